"""The proxy's way to the try-on service."""

from infra.viton.tryon import TryOn, TryOnInput
from infra.serving.client import ServiceClient


class TryOnClient(ServiceClient[TryOnInput, TryOn]):
    service, path, gives = "viton", "/v1/synthesize", TryOn
