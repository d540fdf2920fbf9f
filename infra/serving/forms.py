"""Request bodies: `multipart/form-data` from people and browsers, NumPy arrays from other services."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, WithJsonSchema
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from infra.serving import arrays
from infra.serving.app import in_thread
from infra.serving.context import context, too_large
from infra.serving.problems import Problem

_FILE = WithJsonSchema({"type": "string", "format": "binary"})
Upload = Annotated[bytes, _FILE]
OptionalUpload = Annotated[bytes | None, _FILE]

MULTIPART = "multipart/form-data"
PICTURES = "image/jpeg, image/png, image/webp, image/avif, image/gif, image/bmp, image/tiff"
MAX_FIELDS = 32  # parts of a form, files and texts each

T = TypeVar("T")
Form = TypeVar("Form", bound="RequestForm")


class RequestForm(BaseModel):
    """A multipart request; fields typed `Upload` or `OptionalUpload` are files. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class _InMemoryParser(MultiPartParser):
    spool_max_size = 2**40  # photos are personal data: the body's own limit holds, and nothing goes to disk


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def sends_arrays(request: Request) -> bool:
    return media_type(request) in (arrays.NPY, arrays.NPZ)


async def read_record(request: Request, record: type[T], limit: int, only: str | None = None) -> T:
    """An `.npz` of the record, or an `.npy` that is its field `only`. Raises Problem("invalid_request")."""
    body = await read_body(request, limit)
    try:
        if media_type(request) == arrays.NPZ:
            return await in_thread(arrays.decode, record, body)
        if only is None:
            raise arrays.ArrayError("one array is not enough here; send an .npz as application/x-npz")
        return arrays.build(record, {only: arrays.decode_array(body)})
    except arrays.ArrayError as error:
        raise Problem("invalid_request", str(error)) from None


async def read_form(request: Request, form: type[Form], limit: int) -> Form:
    """The request's multipart form. Raises Problem: unsupported_media_type, image_too_large, invalid_request."""
    if media_type(request) != MULTIPART:
        got = media_type(request) or "nothing"
        raise Problem("unsupported_media_type", f"Send {MULTIPART} or {arrays.NPZ}, not {got}")
    parser = _InMemoryParser(
        request.headers, _chunks(request, limit), max_files=MAX_FIELDS, max_fields=MAX_FIELDS, max_part_size=2**20
    )
    try:
        parts = await _in_time(request, parser.parse())
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        raise Problem("invalid_request", f"The multipart body cannot be read: {error}") from None
    values: dict[str, Any] = {}
    for name, part in parts.multi_items():
        if name in values:
            raise Problem("invalid_request", f"The field {name!r} is there more than once")
        if _is_file(form, name) and isinstance(part, str):
            raise Problem("invalid_request", f"The field {name!r} must be a file; with curl: -F {name}=@file.jpg")
        values[name] = await part.read() if isinstance(part, UploadFile) else part
    await parts.close()
    try:
        return form.model_validate(values)
    except ValidationError as error:
        raise Problem("invalid_request", describe(error, form)) from None


def _is_file(form: type[RequestForm], name: str) -> bool:
    return name in form.model_fields and form.model_fields[name].annotation in (bytes, bytes | None)


def describe(error: ValidationError, form: type[RequestForm]) -> str:
    """One sentence a problem, without echoing what was sent."""
    said = []
    for problem in error.errors(include_input=False, include_url=False):
        name = ".".join(map(str, problem["loc"]))
        if problem["type"] == "missing":
            said.append(f"the field {name!r} is missing")
        elif problem["type"] == "extra_forbidden":
            said.append(f"there is no field {name[:60]!r}; the fields are {', '.join(form.model_fields)}")
        else:
            said.append(f"{name}: {problem['msg']}")
    return "; ".join(said)


def request_body(form: type[RequestForm], record: type | None = None, only: str | None = None) -> dict[str, Any]:
    """The `openapi_extra` of an operation that takes this form, or this record as arrays."""
    schema = form.model_json_schema(ref_template="#/components/schemas/{model}")
    files = {name: part for name, part in schema["properties"].items() if _is_file(form, name)}
    encoding = {name: {"contentType": part.get("contentMediaType", PICTURES)} for name, part in files.items()}
    content: dict[str, Any] = {MULTIPART: {"schema": schema, "encoding": encoding}}
    raw = {"type": "string", "format": "binary"}
    if record is not None:
        names = ", ".join(arrays.fields_of(record))
        content[arrays.NPZ] = {"schema": {**raw, "description": f"uncompressed .npz with {names}"}}
        if only is not None:
            content[arrays.NPY] = {"schema": {**raw, "description": f".npy: {only}"}}
    return {"requestBody": {"required": True, "content": content}}


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises Problem: image_too_large, deadline_exceeded, invalid_request."""

    async def collect() -> bytes:
        return b"".join([chunk async for chunk in _chunks(request, limit)])

    return await _in_time(request, collect())


async def _chunks(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """The body as it comes. Raises Problem("image_too_large") as soon as it is."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        yield chunk


async def _in_time(request: Request, reading: Awaitable[T]) -> T:
    try:
        return await context(request).deadline.wait(reading, "the body was being read")
    except ClientDisconnect:
        raise Problem("invalid_request", "The client went away before the body was complete") from None
