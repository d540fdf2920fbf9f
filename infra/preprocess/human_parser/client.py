"""The proxy's way to the human parser service."""

from infra.preprocess.human_parser.parse import Parse, ParseInput
from infra.serving.client import ServiceClient


class HumanParserClient(ServiceClient[ParseInput, Parse]):
    service, path, gives = "human_parser", "/v1/parse", Parse
