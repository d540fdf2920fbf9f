"""The five services as the proxy sees them: a client each, and what they say of themselves."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import httpx

from infra.preprocess.densepose.client import DensePoseClient
from infra.preprocess.human_parser.client import HumanParserClient
from infra.preprocess.masking.client import MaskingClient
from infra.preprocess.pose_estimation.client import PoseEstimationClient
from infra.serving.client import ServiceClient
from infra.serving.settings import Settings
from infra.viton.client import TryOnClient

INFO_SECONDS = 5.0  # how long a service's word about itself is believed
_ASK_SECONDS = 1.0  # for health and info, which are answered at once or not at all


class Fleet:
    def __init__(self, http: httpx.AsyncClient, settings: Settings) -> None:
        self._http = http
        self.masking = MaskingClient(http, settings.url("masking"))
        self.human_parser = HumanParserClient(http, settings.url("human_parser"))
        self.pose_estimation = PoseEstimationClient(http, settings.url("pose_estimation"))
        self.densepose = DensePoseClient(http, settings.url("densepose"))
        self.viton = TryOnClient(http, settings.url("viton"))
        self._info: dict[str, tuple[float, dict[str, Any]]] = {}  # service -> when it was asked, what it said last

    def clients(self) -> list[ServiceClient[Any, Any]]:
        return [self.masking, self.human_parser, self.pose_estimation, self.densepose, self.viton]

    async def infos(self, now: bool = False) -> dict[str, dict[str, Any]]:
        """service -> its `/v1/info`, a few seconds old at most, or asked now.

        One that does not answer is not `ready` and else what it was: a service too busy to answer in time has not
        changed its engine. Empty for one that never answered.
        """
        answers = await asyncio.gather(*(self._ask(client, 0 if now else INFO_SECONDS) for client in self.clients()))
        return {client.service: answer for client, answer in zip(self.clients(), answers, strict=True)}

    async def engines(self) -> dict[str, str]:
        return {service: info.get("engine", "unknown") for service, info in (await self.infos()).items()}

    async def _ask(self, client: ServiceClient[Any, Any], oldest: float) -> dict[str, Any]:
        asked, answer = self._info.get(client.service, (0.0, {}))
        if answer.get("ready") and time.monotonic() - asked < oldest:
            return answer
        answer = answer | {"ready": False}
        with contextlib.suppress(httpx.HTTPError, ValueError):
            response = await self._http.get(f"{client.url}/v1/info", timeout=_ASK_SECONDS)
            answer = dict(response.raise_for_status().json())
        self._info[client.service] = time.monotonic(), answer
        return answer

    async def status(self) -> dict[str, dict[str, Any]]:
        """For `GET /v1/fleet`."""
        infos = await self.infos(now=True)
        return {
            client.service: {
                "url": client.url,
                "ready": infos[client.service].get("ready", False),
                "engine": infos[client.service].get("engine"),
                "note": infos[client.service].get("note"),
                "weights": infos[client.service].get("weights", []),
                "latency_ms": None if client.latency is None else round(1000 * client.latency, 1),
            }
            for client in self.clients()
        }
