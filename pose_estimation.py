"""The pose estimation service: `uvicorn pose_estimation:app --port 8003`."""

from infra.service_app import engine_app
from routers.pose_estimation import router

app = engine_app("pose_estimation", "Finds the key points of the people in a photo.", router)
