"""The proxy's way to the masking service."""

from infra.preprocess.masking.mask import Mask, MaskInput
from infra.serving.client import ServiceClient


class MaskingClient(ServiceClient[MaskInput, Mask]):
    service, path, gives = "masking", "/v1/mask", Mask
