"""Every setting of every service, in one place: environment variables `EVERYWEAR_...`, or a `.env` file."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

SERVICES = ("masking", "human_parser", "pose_estimation", "densepose", "viton", "proxy")

_ORIGIN = r"https?://([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?"


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="EVERYWEAR_", env_file=".env", env_ignore_empty=True, extra="ignore")

    host: str = Field("127.0.0.1", description="Address that `everywear up` binds the proxy to; 0.0.0.0 for all.")
    weights: Path | None = Field(None, description="Weights folder; by default the user's data folder.")
    threads: int = Field(0, ge=0, description="CPU threads of one engine's run; 0 takes every core.")

    masking_url: str = Field(
        "http://127.0.0.1:8001",
        description="Where the masking service is: the proxy asks there, `everywear up` starts it there.",
    )
    human_parser_url: str = Field("http://127.0.0.1:8002", description="The same for the human parser.")
    pose_estimation_url: str = Field("http://127.0.0.1:8003", description="The same for pose estimation.")
    densepose_url: str = Field("http://127.0.0.1:8004", description="The same for DensePose.")
    viton_url: str = Field("http://127.0.0.1:8005", description="The same for the try-on service.")
    proxy_url: str = Field(
        "http://127.0.0.1:8000", description="The same for the proxy itself, which commands talk to."
    )

    masking_engine: str = Field("auto", description="`auto` (best whose weights are there) or an engine's name.")
    human_parser_engine: str = Field("auto", description="As above.")
    pose_estimation_engine: str = Field("auto", description="As above.")
    densepose_engine: str = Field("auto", description="As above.")
    viton_engine: str = Field("auto", description="As above.")
    blazepose_network: Literal["heavy", "full"] = Field(
        "heavy", description="Landmark network of BlazePose: `full` saves about 20 ms and is a little less exact."
    )

    device: str = Field(
        "auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="`auto` (CUDA where there is one), `cpu` or `cuda:0`."
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="`auto`: bfloat16 on CUDA (float16 where the card lacks it), float32 on a CPU."
    )
    compile: bool = Field(False, description="Whether torch.compile makes the networks faster, after a slow start.")
    batch: int = Field(
        0, ge=0, description="Most requests that one run takes; 0: what the device's free memory holds, 1 on a CPU."
    )
    tracer_matting: Literal["off", "fba", "carvekit"] = Field(
        "off", description="FBA matting after TRACER, in the colour order it was trained for or in CarveKit's."
    )
    schp_weights: Literal["cihp", "lip", "atr", "pascal"] = Field(
        "cihp", description="Which SCHP checkpoint; all give CIHP labels, `cihp` needs no renumbering."
    )
    openpose_body: Literal["body_25", "coco"] = Field("body_25", description="Which OpenPose body checkpoint.")
    openpose_rules: Literal["openpose", "port"] = Field(
        "openpose", description="Grouping as OpenPose does it on CUDA, or as its Python port does."
    )
    openpose_hands: Literal["chosen", "everyone", "nobody"] = Field("chosen", description="Whose hands are looked for.")
    openpose_net_height: int = Field(
        368, ge=16, le=1024, multiple_of=16, description="Height of the picture that OpenPose's body network sees."
    )
    openpose_scales: int = Field(
        1, ge=1, le=4, description="Sizes that OpenPose's body maps are averaged over; `port` has one."
    )
    densepose_proposals: int = Field(
        1000, ge=50, le=1000, description="Boxes that DensePose's second stage looks at; fewer are faster."
    )
    densepose_short_side: int = Field(
        800, ge=256, le=1333, description="Shorter side of the picture that DensePose's network sees."
    )

    max_upload_mb: float = Field(
        25, ge=16, description="Largest request body, in MiB; at least 16, as the services send each other up to 12."
    )
    max_megapixels: float = Field(50, gt=0, description="Largest picture, in millions of pixels, told from its header.")
    deadline_ms: int = Field(60_000, gt=0, description="Deadline of a request that names none, in milliseconds.")
    queue: int = Field(
        32, ge=1, description="Requests that may wait for one engine; a service takes twice as many at once, no more."
    )
    cache_mb: float = Field(
        512, ge=0, description="Memory for cached results of persons and garments; 0 caches nothing."
    )
    cache_seconds: float = Field(900, ge=0, description="How long a cached result lives after it was made.")

    cors_origins: list[str] = Field(
        [], description='Web origins that may call from a browser, e.g. ["https://shop.example"].'
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")

    @field_validator("weights")
    @classmethod
    def _in_the_home(cls, folder: Path | None) -> Path | None:
        return folder.expanduser() if folder else None

    @field_validator(*(f"{service}_url" for service in SERVICES))
    @classmethod
    def _an_address(cls, url: str) -> str:
        if not re.fullmatch(rf"{_ORIGIN}(/[\w./-]*)?", url):
            raise ValueError(f"{url} is no address of a service, such as http://127.0.0.1:8001")
        return url

    @field_validator("cors_origins")
    @classmethod
    def _as_browsers_send_them(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            if origin != "*" and not re.fullmatch(_ORIGIN, origin):
                raise ValueError(f"{origin} is no origin, such as https://shop.example (no path, no slash at the end)")
        return origins

    def url(self, service: str) -> str:
        return getattr(self, f"{service}_url").rstrip("/")

    def engine(self, service: str) -> str:
        return getattr(self, f"{service}_engine")

    @property
    def engine_threads(self) -> int:
        return self.threads or len(os.sched_getaffinity(0))

    @property
    def max_pixels(self) -> int:
        return int(self.max_megapixels * 1e6)

    @property
    def max_body_bytes(self) -> int:
        return int(self.max_upload_mb * 2**20)


@cache
def settings() -> Settings:
    """The process's settings, read once. Ends the process with a line for every one that cannot be."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = [f"EVERYWEAR_{'.'.join(map(str, each['loc'])).upper()}: {each['msg']}" for each in error.errors()]
        raise SystemExit("\n".join(wrong)) from None
    except SettingsError:  # only one of them is no plain value
        raise SystemExit('EVERYWEAR_CORS_ORIGINS must be a JSON list, such as ["https://shop.example"]') from None
