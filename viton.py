"""The try-on service: `uvicorn viton:app --port 8005`."""

from infra.service_app import engine_app
from routers.viton import router

app = engine_app("viton", "Dresses a person in a garment, from inputs that are ready.", router)
