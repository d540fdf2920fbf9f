"""The human parser service: `uvicorn human_parser:app --port 8002`."""

from infra.service_app import engine_app
from routers.human_parser import router

app = engine_app("human_parser", "Labels the clothes, skin and hair of the person in a photo.", router)
