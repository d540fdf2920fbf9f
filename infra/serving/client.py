"""Calling another service: typed records over one pooled httpx client."""

from __future__ import annotations

import json
import time
from typing import Any, ClassVar, Generic, TypeVar

import httpx

from infra.serving import arrays
from infra.serving.app import in_thread
from infra.serving.context import Context
from infra.serving.problems import CODES, Problem
from infra.serving.timing import durations

In = TypeVar("In")
Out = TypeVar("Out")

# What a service says of the request itself or of its load is passed on; all else that goes wrong is `upstream_failed`.
_PASSED_ON = set(CODES) - {"internal", "upstream_failed", "not_found", "unauthorized", "invalid_request"}

KEEP_ALIVE = 4.0  # seconds that an idle connection is used again; uvicorn closes it after 5


def http_client() -> httpx.AsyncClient:
    """Keep-alive connections to every service; no proxies, so that requests go nowhere but there."""
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=50, keepalive_expiry=KEEP_ALIVE)
    return httpx.AsyncClient(limits=limits, trust_env=False, timeout=httpx.Timeout(60, connect=2))


class ServiceClient(Generic[In, Out]):
    """One call of one service. Subclasses name the call and its records."""

    service: ClassVar[str]
    path: ClassVar[str]
    gives: ClassVar[type]

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self.url = url
        self.latency: float | None = None  # seconds of the last answered call
        self._http = http

    async def __call__(self, input: In, context: Context) -> Out:
        """Raises Problem: what the service says, deadline_exceeded, or upstream_failed with the service's name."""
        begin = time.perf_counter()
        body = await in_thread(arrays.encode, input)
        headers = {"content-type": arrays.NPZ, "accept": arrays.NPZ, **context.headers()}
        response = await self.send("POST", self.path, context, content=body, headers=headers)
        if response.status_code != 200:
            raise self._problem(response)
        spent = durations(response.headers.get("server-timing", ""))
        context.timing.worked_until(time.perf_counter() - spent.get("encode", 0.0), spent.get("infer", 0.0))
        try:
            result = arrays.decode(self.gives, response.content)
        except arrays.ArrayError as error:
            raise self._failed(f"answered with something else than {self.gives.__name__}: {error}") from None
        self.latency = time.perf_counter() - begin
        return result

    async def send(self, method: str, path: str, context: Context, **request: Any) -> httpx.Response:
        """One HTTP exchange within the deadline. Raises Problem: deadline_exceeded, upstream_failed.

        The calls compute and change nothing, so one that met a connection which had just died is made once more.
        """
        for attempt in (1, 2):
            context.deadline.check(f"{self.service} was asked")
            timeout = httpx.Timeout(context.deadline.left, connect=min(2.0, context.deadline.left))
            try:
                return await self._http.request(method, self.url + path, timeout=timeout, **request)
            except httpx.TimeoutException as error:
                if isinstance(error, httpx.ConnectTimeout) and context.deadline.left > 0:
                    raise self._failed("does not accept connections") from None
                raise Problem("deadline_exceeded", f"The deadline passed while {self.service} was working") from None
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as error:
                if attempt == 2:
                    raise self._failed(f"broke the connection ({type(error).__name__})") from None
            except httpx.HTTPError as error:
                raise self._failed(f"cannot be reached ({type(error).__name__})") from None
        raise AssertionError("unreachable")

    def _failed(self, what: str) -> Problem:
        return Problem("upstream_failed", f"The service {self.service} {what}", service=self.service)

    def _problem(self, response: httpx.Response) -> Problem:
        try:
            said = response.json()
            code, detail = str(said["code"]), str(said["detail"])
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
            return self._failed(f"answered {response.status_code}")
        if code not in _PASSED_ON:
            return self._failed(f"answered {response.status_code} {code}: {detail}")
        retry = response.headers.get("retry-after", "")
        return Problem(code, detail, retry_after=int(retry) if retry.isdigit() else None, service=self.service)
