"""`everywear tryon`: one picture through the running fleet's public API."""

from __future__ import annotations

from pathlib import Path

import httpx
from rich.console import Console

MEDIA_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}


class Refused(Exception):
    """The fleet did not answer with a picture; the text says why."""


def dress(proxy_url: str, person: Path, garment: Path, kind: str, media_type: str) -> httpx.Response:
    """`POST /v1/tryon`. Raises `Refused`."""
    files = {"person": (person.name, person.read_bytes()), "garment": (garment.name, garment.read_bytes())}
    return post(f"{proxy_url}/v1/tryon", files, {"kind": kind}, media_type)


def post(url: str, files: dict[str, tuple[str, bytes]], fields: dict[str, str], accept: str) -> httpx.Response:
    try:
        answer = httpx.post(url, files=files, data=fields, headers={"Accept": accept}, timeout=120, trust_env=False)
    except httpx.ConnectError:
        raise Refused(f"Nothing answers at {url}; start the fleet with `everywear up`") from None
    except httpx.HTTPError as error:
        raise Refused(f"{url} broke off: {error}") from None
    if answer.status_code != 200:
        try:
            problem = answer.json()
            raise Refused(f"{problem['title']} ({problem['code']}): {problem['detail']}")
        except (ValueError, KeyError):
            raise Refused(f"{url} answered {answer.status_code}") from None
    return answer


def run(proxy_url: str, person: Path, garment: Path, out: Path, kind: str, console: Console) -> int:
    media_type = MEDIA_TYPES.get(out.suffix.lower())
    if media_type is None:
        console.print(f"[red]The result's name must end in {', '.join(MEDIA_TYPES)}[/]")
        return 2
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        answer = dress(proxy_url, person, garment, kind, media_type)
        out.write_bytes(answer.content)
    except (Refused, OSError) as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    console.print(f"{out}  ({answer.headers.get('x-engine', '')})", markup=False, highlight=False, soft_wrap=True)
    if notes := answer.headers.get("x-notes"):
        console.print(f"Note: {notes}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    return 0
