"""The catalogue of published networks, fetching them, and the folder that engines read them from."""

from infra.weights.folder import MissingWeights, WeightsFolder

__all__ = ["MissingWeights", "WeightsFolder"]
