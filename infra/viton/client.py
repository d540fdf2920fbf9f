"""The proxy's way to the try-on service."""

from infra.serving.client import ServiceClient
from infra.viton.tryon import TryOn, TryOnInput


class TryOnClient(ServiceClient[TryOnInput, TryOn]):
    service, path, gives = "viton", "/v1/synthesize", TryOn
