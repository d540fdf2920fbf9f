"""The masking service: `uvicorn masking:app --port 8001`."""

from infra.service_app import engine_app
from routers.masking import router

app = engine_app("masking", "Cuts a person or a garment out of a photo.", router)
