"""The five services as the proxy sees them: a client each, and what they say of themselves."""

from __future__ import annotations

import asyncio
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
        self._info: dict[str, tuple[float, dict[str, Any]]] = {}

    def clients(self) -> list[ServiceClient[Any, Any]]:
        return [self.masking, self.human_parser, self.pose_estimation, self.densepose, self.viton]

    async def infos(self) -> dict[str, dict[str, Any]]:
        """service -> its `/v1/info`, a few seconds old at most; empty for one that does not answer."""
        answers = await asyncio.gather(*map(self._ask, self.clients()))
        return {client.service: answer for client, answer in zip(self.clients(), answers, strict=True)}

    async def engines(self) -> dict[str, str]:
        return {service: info.get("engine", "unknown") for service, info in (await self.infos()).items()}

    async def _ask(self, client: ServiceClient[Any, Any]) -> dict[str, Any]:
        asked, answer = self._info.get(client.service, (-INFO_SECONDS, {}))
        if answer.get("ready") and time.monotonic() - asked < INFO_SECONDS:
            return answer
        try:
            response = await self._http.get(f"{client.url}/v1/info", timeout=_ASK_SECONDS)
            answer = response.json() if response.status_code == 200 else {}
        except (httpx.HTTPError, ValueError):
            answer = {}
        self._info[client.service] = time.monotonic(), answer
        return answer

    async def status(self) -> dict[str, dict[str, Any]]:
        """For `GET /v1/fleet`: asked now, not remembered."""
        self._info.clear()
        infos = await self.infos()
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
