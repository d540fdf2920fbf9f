"""The proxy's way to the DensePose service."""

from infra.preprocess.densepose.densepose import DensePose, DensePoseInput
from infra.serving.client import ServiceClient


class DensePoseClient(ServiceClient[DensePoseInput, DensePose]):
    service, path, gives = "densepose", "/v1/densepose", DensePose
