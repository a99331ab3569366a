"""Feature maps of one image: in each stage the channels that are most active, from edges to objects."""

import numpy as np

from svertka.explain.opened_bundle import Look, OpenedBundle
from svertka.explain.patches import field_side, level_of
from svertka.schema import FeatureLevel


def most_active(look: Look, stage: int, count: int) -> tuple[int, ...]:
    """Channels of a stage whose map varies most over the image, the liveliest first."""
    spread_C = look.maps[0][stage].std(axis=(1, 2))
    return tuple(int(channel) for channel in np.argsort(-spread_C, kind="stable")[:count])


def describe(network: OpenedBundle, stage: int) -> tuple[FeatureLevel, int]:
    """Level of a stage in the hierarchy, and the side in pixels of what one number sees; 0 means the whole image."""
    side = field_side(network, stage)
    return level_of(stage, network.stages), side if side < network.preprocess.size_px else 0
