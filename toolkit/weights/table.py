"""All weights that do not ship with us, by name."""

from toolkit.weights.for_avatar import AVATAR_WEIGHTS
from toolkit.weights.for_dataset import DATASET_WEIGHTS
from toolkit.weights.weight import Weight

WEIGHTS: dict[str, Weight] = {weight.name: weight for weight in AVATAR_WEIGHTS + DATASET_WEIGHTS}
