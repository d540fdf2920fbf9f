"""The proxy's way to the pose estimation service."""

from infra.preprocess.pose_estimation.pose import Pose, PoseInput
from infra.serving.client import ServiceClient


class PoseEstimationClient(ServiceClient[PoseInput, Pose]):
    service, path, gives = "pose_estimation", "/v1/pose", Pose
