"""The DensePose service: `uvicorn densepose:app --port 8004`."""

from infra.service_app import engine_app
from routers.densepose import router

app = engine_app("densepose", "Maps the pixels of the person in a photo to the body's surface.", router)
