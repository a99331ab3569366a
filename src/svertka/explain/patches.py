"""What the channels of a stage respond to: the most active channels, and the patches with the highest activation.

Patches come from the person's own images, in the manner of Zeiler and Fergus 2014 (figure 2). Images are ranked by a
channel's mean, which the cached features hold already; in the best ones the network is asked for the place, and the
receptive field says what lies there.

Shapes: N images, D features, H/W rows and columns of a stage's map.
"""

from collections.abc import Callable, Sequence

import numpy as np

from svertka.explain.opened_bundle import F32, Image, Look, OpenedBundle
from svertka.schema import FeatureLevel, Patch, StagePatches


def level_of(stage: int, stages: int) -> FeatureLevel:
    """Level in the hierarchy of features: first, middle or last layers, a third of the stages each."""
    third = 3 * stage // max(1, stages)
    return ("first", "middle", "last")[third]


def shown_stages(stages: int) -> tuple[int, ...]:
    """One stage a level, where patches tell most: the last of the first layers, the first middle one, the last."""
    levels = [level_of(stage, stages) for stage in range(stages)]
    chosen = [levels.count("first") - 1, levels.count("first"), stages - 1]
    return tuple(sorted({stage for stage in chosen if 0 <= stage < stages}))


def top_patches(
    network: OpenedBundle,
    x_ND: F32,
    read: Callable[[int], Image],
    paths: Sequence[str],
    channels: int = 4,
    patches: int = 5,
) -> tuple[StagePatches, ...]:
    """For some stages, the channels that the head weighs most, each with the images that excite it most.

    The network must have stages. The rows of features, paths, and what ``read`` gives (prepared images) go together;
    ``channels`` are shown a stage, ``patches`` a channel.
    """
    looks: dict[int, Look] = {0: network.look(read(0))}
    weight_D = np.abs(network.head.scaled_weight_KD - network.head.scaled_weight_KD.mean(axis=0)).max(axis=0)
    importance_D = weight_D * x_ND.std(axis=0)
    widths = [len(one) for one in looks[0].maps[0]]
    starts = np.cumsum([0, *widths])
    found = []
    for stage in shown_stages(network.stages):
        part = slice(starts[stage], starts[stage + 1])
        best = np.argsort(-importance_D[part], kind="stable")[:channels]
        rows = {}
        for channel in best:
            top = np.argsort(-x_ND[:, starts[stage] + channel], kind="stable")[:patches]
            for row in set(map(int, top)) - looks.keys():
                looks[row] = network.look(read(row))
            rows[int(channel)] = tuple(_patch(network, looks[int(row)], stage, int(channel), paths[row]) for row in top)
        found.append(
            StagePatches(
                stage=stage,
                level=level_of(stage, network.stages),
                size=looks[0].maps[0][stage].shape[1],
                channels=rows,
                field_px=field_side(network, stage),
            )
        )
    return tuple(found)


def _patch(network: OpenedBundle, look: Look, stage: int, channel: int, path: str) -> Patch:
    plane = look.maps[0][stage][channel]
    row, column = (int(at) for at in np.unravel_index(int(plane.argmax()), plane.shape))
    side = look.image_SSC.shape[0]
    field = network.anatomy.fields[stage]
    box = field.window(row, column, side) if field is not None else (0, 0, side, side)
    return Patch(path=path, box=box, value=float(plane.max()))


def field_side(network: OpenedBundle, stage: int) -> int:
    """Side in pixels of what one number of a stage sees, were the image endless; 0 means the whole image."""
    field = network.anatomy.fields[stage]
    return 0 if field is None else field.side_px


def most_active(look: Look, stage: int, count: int) -> tuple[int, ...]:
    """Channels of a stage whose map varies most over the image, the liveliest first."""
    spread_C = look.maps[0][stage].std(axis=(1, 2))
    return tuple(int(channel) for channel in np.argsort(-spread_C, kind="stable")[:count])


def describe(network: OpenedBundle, stage: int) -> tuple[FeatureLevel, int]:
    """Level of a stage in the hierarchy, and the side in pixels of what one number sees; 0 means the whole image."""
    side = field_side(network, stage)
    return level_of(stage, network.stages), side if side < network.preprocess.size_px else 0
