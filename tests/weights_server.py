"""A real HTTP server on this machine that misbehaves as told."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """One file and the server's manners with it."""

    content: bytes
    etag: str | None = '"one"'
    ranges: bool = True  # answers Range with 206
    cuts: list[int] = field(default_factory=list)  # body bytes sent before the connection drops, one per request
    statuses: list[int] = field(default_factory=list)  # error codes answered first, one per request
    half_way: threading.Event | None = None  # the second half of the body is held back until this is set
    headers: dict[str, str] = field(default_factory=dict)  # further ones, such as a hub's


class FileServer:
    """`files`: path -> Served. `asked`: path -> the Range header of every GET for it, None for one without."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.asked: dict[str, list[str | None]] = defaultdict(list)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._answer(self)

            def do_HEAD(self) -> None:
                outer._answer(self)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        path, wanted = handler.path.partition("?")[0], handler.headers.get("Range")
        if handler.command == "GET":
            self.asked[path].append(wanted)
        served = self.files.get(path)
        if served is None or served.statuses:
            handler.send_error(served.statuses.pop(0) if served else 404)
            return
        start = self._start(served, wanted, handler.headers.get("If-Range"))
        body = served.content[start:]
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(body)))
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(served.content) - 1}/{len(served.content)}")
        if served.etag:
            handler.send_header("ETag", served.etag)
        for name, value in served.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command == "HEAD":
            return
        if served.half_way:
            handler.wfile.write(body[: len(body) // 2])
            served.half_way.wait(timeout=30)
            body = body[len(body) // 2 :]
        try:
            handler.wfile.write(body[: served.cuts.pop(0)] if served.cuts else body)
        except ConnectionError:  # the client was killed, as a test wanted
            pass
        handler.close_connection = True

    @staticmethod
    def _start(served: Served, wanted: str | None, if_range: str | None) -> int:
        if wanted is None or not served.ranges or if_range not in (served.etag, None):
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-"))
