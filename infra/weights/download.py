"""One file over HTTP: resumed where it was cut, given up soon where nobody answers."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection
from pathlib import Path

import httpx

CONNECT_SECONDS = 4.0  # a host that can be reached at all answers a connection in far less
OPEN_SECONDS = 12.0  # until the answer's head: name look-up, proxies and redirects included
READ_SECONDS = 15.0  # silence in mid-file that counts as a cut
FRUITLESS_ATTEMPTS = 3  # in a row without a new byte, after which a source is given up
FIRST_PAUSE_SECONDS = 0.5  # doubled for each fruitless attempt


class SourceError(Exception):
    """A source cannot give the file; the text says why, as one clause."""


class Cut(SourceError):
    """The transfer broke off, and another attempt may go on where it stopped."""


class Downloader:
    """The HTTP client of one run; any thread may use it. It remembers which hosts did not answer."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._unreachable: dict[str, str] = {}
        self._client = httpx.Client(
            follow_redirects=True,
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            headers={"Accept-Encoding": "identity", "User-Agent": "everywear"},
        )

    def close(self) -> None:
        self._client.close()

    def json(self, url: str) -> dict:
        """A small JSON document."""
        response = self._open(url, {"Accept": "application/json"})
        try:
            if response.status_code != httpx.codes.OK:
                raise SourceError(f"{_host(response.request)} answered {response.status_code}")
            response.read()
            return response.json()
        except (httpx.TransportError, ValueError) as error:
            raise SourceError(f"{response.url.host} gave no readable answer ({error})") from error
        finally:
            response.close()

    def get(
        self,
        url: str,
        part: Path,
        sizes: Collection[int] = (),
        report: Callable[[int], None] = lambda done: None,
        limit: int | None = None,
    ) -> None:
        """Bring the file to `part`, going on from what a cut attempt (of this run or an earlier one) left there.

        `sizes` are the lengths in bytes that the file may have, if known: one of another length is not taken.
        `report` is told the bytes that are there. More than `limit` bytes are not taken. Raises `SourceError`.
        """
        limit = max(sizes) if sizes else limit
        furthest, fruitless = _length(part), 0
        while True:
            if furthest in sizes and _resume_headers(url, part):
                return
            try:
                return self._attempt(url, part, sizes, limit, report)
            except Cut as cut:
                reached = _length(part)
                fruitless = 0 if reached > furthest else fruitless + 1
                furthest = max(furthest, reached)
                if fruitless == FRUITLESS_ATTEMPTS:
                    raise SourceError(f"the transfer broke off again and again ({cut})") from cut
            if self._stop.wait(FIRST_PAUSE_SECONDS * 2**fruitless):
                raise SourceError("stopped")

    def _attempt(
        self, url: str, part: Path, sizes: Collection[int], limit: int | None, report: Callable[[int], None]
    ) -> None:
        response = self._open(url, _resume_headers(url, part))
        try:
            done = _start(response, part)
            length = response.headers.get("Content-Length", "")
            if sizes and length.isdigit() and done + int(length) not in sizes:
                raise SourceError(f"the file has {done + int(length)} bytes there, which is not this network's size")
            with part.open("ab" if done else "wb") as file:
                _mark(part).write_text(f"{url}\n{_validator(response)}", encoding="utf-8")
                for chunk in response.iter_raw():
                    if self._stop.is_set():
                        raise SourceError("stopped")
                    file.write(chunk)
                    done += len(chunk)
                    if limit is not None and done > limit:
                        break
                    report(done)
        except httpx.TransportError as error:
            raise Cut(str(error) or type(error).__name__) from error
        finally:
            response.close()
        if limit is not None and done > limit:
            discard(part)
            raise SourceError("the file is longer there than this network")
        if sizes and done not in sizes:
            raise Cut(f"{done} bytes came")

    def _open(self, url: str, headers: dict[str, str]) -> httpx.Response:
        """The answer's head. Asked in a thread of its own, as a name look-up cannot be given a time limit."""
        try:
            request = self._client.build_request("GET", url, headers=headers)
        except httpx.InvalidURL as error:
            raise SourceError(f"{url} is no address ({error})") from error
        host = _host(request)
        if host in self._unreachable:
            raise SourceError(self._unreachable[host])
        answers: queue.SimpleQueue[httpx.Response | Exception] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._client.send(request, stream=True))
            except Exception as error:  # raised again below, in the thread that asks
                answers.put(error)

        threading.Thread(target=ask, daemon=True).start()
        try:
            answer = answers.get(timeout=OPEN_SECONDS)
        except queue.Empty:
            answer = httpx.ConnectTimeout(f"no answer in {OPEN_SECONDS:.0f} s", request=request)
        if isinstance(answer, httpx.Response):
            return answer
        if isinstance(answer, (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)):
            blamed = _host(answer.request)  # another one after a redirect
            self._unreachable[blamed] = f"{blamed} cannot be reached ({answer})"
            raise SourceError(self._unreachable[blamed]) from answer
        if isinstance(answer, (httpx.ReadTimeout, httpx.NetworkError, httpx.RemoteProtocolError)):
            raise Cut(str(answer) or type(answer).__name__) from answer
        raise SourceError(f"{host} cannot be asked ({answer})") from answer


def _host(request: httpx.Request) -> str:
    return request.url.netloc.decode("ascii")


def discard(part: Path) -> None:
    """Remove a partial file and what was noted about it."""
    part.unlink(missing_ok=True)
    _mark(part).unlink(missing_ok=True)


def _start(response: httpx.Response, part: Path) -> int:
    """How many bytes of `part` the answer goes on from: 0 where the server sends the whole file (anew)."""
    there, code = _length(part), response.status_code
    if code == httpx.codes.OK:
        return 0
    if code == httpx.codes.PARTIAL_CONTENT and response.headers.get("Content-Range", "").startswith(f"bytes {there}-"):
        return there
    if code in (httpx.codes.PARTIAL_CONTENT, httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE):
        discard(part)
        raise Cut("the server no longer has the rest of what was begun")
    if code == httpx.codes.TOO_MANY_REQUESTS or code >= 500:
        raise Cut(f"{_host(response.request)} answered {code}")
    raise SourceError(f"{_host(response.request)} answered {code}")


def _resume_headers(url: str, part: Path) -> dict[str, str]:
    """What asks for the rest of `part` only, if it is still the same file; empty where nothing can be resumed."""
    if not _length(part) or not _mark(part).is_file():
        return {}
    begun_from, _, validator = _mark(part).read_text(encoding="utf-8").partition("\n")
    if begun_from != url or not validator:
        return {}
    return {"Range": f"bytes={_length(part)}-", "If-Range": validator}


def _validator(response: httpx.Response) -> str:
    """What tells this content from a later one at the same address; If-Range takes no weak ETag (RFC 9110, 13.1.5)."""
    etag = response.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")


def _mark(part: Path) -> Path:
    """The note beside a partial file: the address it was begun from, and the validator."""
    return part.with_name(part.name + ".from")


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
