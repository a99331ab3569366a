"""Finds altered copies of images: flipped, rotated, negative, cropped, framed, noisy, and combinations of these.

Works on sketches (see ``fingerprint``), in two steps. For a few thousand images they cost a small part of a network's
pass over them; as the cost grows with the square of their number, more than ``MOST`` are not searched.

1. *Candidates.* A flip changes signs of cosine coefficients, a quarter turn swaps rows and columns, so the magnitudes
   of a coefficient and its mirror image together change with neither. By them each image, and each of a few windows of
   it (what a crop would leave, what a border would surround), is compared with all other images.
2. *Comparison.* With the nearest of them all orientations are tried. The coefficients are whitened first (variances and
   covariances over all images at hand become alike), so that what images of one kind share counts for little and what
   is peculiar to one counts for much.

A correlation alone doesn't tell a copy from a look-alike: plain solar cells of one module reach 0.97, a copy with much
noise 0.8. But look-alikes are many, so a copy must be much nearer than a rival, the fourth- to tenth-nearest image.
Most of a sample of what is found so on 2,624 solar cells are one cell twice, or wafers cut from one block, the rest
plain cells that hardly differ; ``benchmarks/leaks.py`` plants copies among them and counts.

Not found: crops and borders beyond a tenth of a side, turns by other angles, cut-outs, collages, changed colours alone.

Shapes: N images, W windows, K half-waves a side, F = K² coefficients, G orientations, C candidates.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from svertka.data.fingerprint import SKETCH_WAVES, cosines, read_sketches
from svertka.schema import ImageRecord

MOST = 30_000
"""Images up to which copies are searched for: about two minutes of one processor."""

CANDIDATES = 40
"""Images that each is compared with."""

SAME = 0.98
"""Correlation from which two images are one however many others are near; not where half of the candidates are."""

ALIKE = 0.75
"""Correlation from which they are one if they are nearer than others by ``MARGIN``."""

MARGIN = 0.3
"""What is missing of a correlation of 1, over what is missing for the rival, at most."""

RIVALS = (4, 10)
"""Fewest and most. The rival is number √N / 5: the more images, the more look-alikes are near, and the more copies of
one there may be. Of 300 solar cells the tenth as rival lets 49 pairs pass, the fourth 16, half of them one cell twice;
of 2,624 the fourth loses 3 % of the planted copies."""

_WAVES = 12
_LEAST_SPREAD = 0.5  # gray levels; an image without structure is like any other
_RIDGE = 0.3  # of the mean variance: what whitening adds to all of them
_ROWS = 256

_CENTRED = (0.025, 0.05, 0.0835, 0.1)
"""Parts of a side that a window leaves out at both ends. 0.0835 undoes a border of a tenth."""

Array = NDArray[np.float32]
Rows = NDArray[np.int64]


def _windows() -> list[tuple[float, float, float, float]]:
    """Parts left out at top, bottom, left and right: nothing; one or two edges; all four."""
    sides = [(0.0, 0.0), (0.05, 0.0), (0.0, 0.05)]
    return [(*down, *across) for down in sides for across in sides] + [(part,) * 4 for part in _CENTRED]


def altered_pairs(records: Sequence[ImageRecord], rows: Sequence[int]) -> list[tuple[int, int]]:
    """Pairs i < j of records that show the same picture, one of them altered.

    Args:
        records: with sketches.
        rows: the records to compare; give one of several with equal pixels. Of more than ``MOST`` none are compared.
    """
    known = np.array([row for row in rows if records[row].sketch], np.int64)
    if not 2 <= len(known) <= MOST:
        return []
    sketch_NKK = read_sketches([records[row].sketch for row in known])
    spread_N = np.linalg.norm(sketch_NKK, axis=(1, 2))
    known, sketch_NKK = known[spread_N >= _LEAST_SPREAD], sketch_NKK[spread_N >= _LEAST_SPREAD]
    if len(known) < 2:
        return []
    found = _compare(sketch_NKK)
    return sorted({(int(min(pair)), int(max(pair))) for pair in known[found].tolist()})


def _compare(sketch_NKK: Array) -> Rows:
    """Pairs of rows [P, 2] that are copies."""
    space = _Space.of(sketch_NKK)
    count = len(sketch_NKK)
    wanted = min(CANDIDATES, count - 1)
    rival = min(wanted, max(RIVALS[0], min(RIVALS[1], math.isqrt(count) // 5)))
    firsts, others, scores = [], [], []
    rivals_N, crowded_N = np.zeros(count, np.float32), np.zeros(count, np.bool_)
    for start in range(0, count, _ROWS):
        rows = np.arange(start, min(start + _ROWS, count))
        windows_WnKK = space.windows(sketch_NKK[rows])
        near_nC = space.candidates(windows_WnKK, rows, wanted)
        score_nC = space.correlations(windows_WnKK, near_nC)
        rivals_N[rows] = np.sort(score_nC, axis=1)[:, -rival]
        crowded_N[rows] = (score_nC >= SAME).sum(axis=1) > CANDIDATES / 2
        keep = score_nC >= ALIKE
        firsts.append(np.broadcast_to(rows[:, None], near_nC.shape)[keep])
        others.append(near_nC[keep])
        scores.append(score_nC[keep])
    i, j, score = np.concatenate(firsts), np.concatenate(others), np.concatenate(scores)
    clear = 1 - score <= MARGIN * (1 - np.maximum(rivals_N[i], rivals_N[j]))
    same = (score >= SAME) & ~crowded_N[i] & ~crowded_N[j]
    return np.stack([i, j], axis=1)[clear | same]


@dataclass(frozen=True)
class _Space:
    """Coordinates in which images of this set are compared, and all of them in these coordinates.

    Attributes:
        scale_KK: typical size of each coefficient, the same for a coefficient and its mirror image.
        mean_F: of the scaled coefficients over all images in all orientations.
        whitener_FF: symmetric; it doesn't change when all images are turned.
        magnitude_mean_M: of what candidates are found by.
        magnitude_scale_M: likewise.
        whole_NF: all images, whitened, of length 1.
        magnitudes_NM: all images, of length 1.
    """

    scale_KK: Array
    mean_F: Array
    whitener_FF: Array
    magnitude_mean_M: Array
    magnitude_scale_M: Array
    whole_NF: Array
    magnitudes_NM: Array

    @classmethod
    def of(cls, sketch_NKK: Array) -> "_Space":
        whole_NKK = _through(sketch_NKK, (0.0, 0.0, 0.0, 0.0))
        square_KK = (whole_NKK**2).mean(axis=0)
        scale_KK = np.sqrt((square_KK + square_KK.T) / 2) + np.float32(1e-6)
        scaled_NKK = _unit(whole_NKK / scale_KK)
        mean_F, covariance_FF = _moments(scaled_NKK)
        variance_F, axes_FF = np.linalg.eigh(covariance_FF)
        strength_F = 1 / np.sqrt(np.maximum(variance_F, 0) + _RIDGE * covariance_FF.trace() / len(covariance_FF))
        whitener_FF = ((axes_FF * strength_F) @ axes_FF.T).astype(np.float32)
        magnitudes_NM = _magnitudes(scaled_NKK)
        mean_M, sd_M = magnitudes_NM.mean(axis=0), magnitudes_NM.std(axis=0) + np.float32(1e-6)
        return cls(
            scale_KK=scale_KK,
            mean_F=mean_F,
            whitener_FF=whitener_FF,
            magnitude_mean_M=mean_M,
            magnitude_scale_M=sd_M,
            whole_NF=_unit((scaled_NKK.reshape(len(scaled_NKK), -1) - mean_F) @ whitener_FF),
            magnitudes_NM=_unit((magnitudes_NM - mean_M) / sd_M),
        )

    def windows(self, sketch_nKK: Array) -> Array:
        """Each window of some images, [W, n, K, K], scaled, of length 1; the whole image first."""
        return np.stack([_unit(_through(sketch_nKK, window) / self.scale_KK) for window in _windows()])

    def candidates(self, windows_WnKK: Array, rows: Rows, count: int) -> Rows:
        """The images [n, C] that are nearest to some window of each of ``rows`` by their magnitudes."""
        best_nN = np.full((len(rows), len(self.whole_NF)), -np.inf, np.float32)
        for window_nKK in windows_WnKK:
            own_nM = _unit((_magnitudes(window_nKK) - self.magnitude_mean_M) / self.magnitude_scale_M)
            np.maximum(best_nN, own_nM @ self.magnitudes_NM.T, out=best_nN)
        best_nN[np.arange(len(rows)), rows] = -np.inf
        return np.argpartition(-best_nN, count - 1, axis=1)[:, :count]

    def correlations(self, windows_WnKK: Array, near_nC: Rows) -> Array:
        """The highest correlation [n, C] of some window, in some orientation, with each candidate."""
        n, candidates_nFC = len(near_nC), self.whole_NF[near_nC].transpose(0, 2, 1)
        best_nC = np.full(near_nC.shape, -1, np.float32)
        whole = True
        for window_nKK in windows_WnKK:
            turned = np.stack(_orientations(window_nKK), axis=1).reshape(n, 8, -1)
            variants_nGF = np.concatenate([turned, -turned], axis=1) if whole else turned
            own_nGF = (variants_nGF - self.mean_F) @ self.whitener_FF
            own_nGF /= np.maximum(np.linalg.norm(own_nGF, axis=2, keepdims=True), np.float32(1e-6))
            np.maximum(best_nC, (own_nGF @ candidates_nFC).max(axis=1), out=best_nC)
            whole = False
        return best_nC


def _through(sketch_NKK: Array, window: tuple[float, float, float, float]) -> Array:
    """Coefficients [N, K, K] of what a window shows."""
    top, bottom, left, right = window
    waves = cosines(SKETCH_WAVES).T
    down_KS, across_KS = cosines(_WAVES, top, 1 - bottom) @ waves, cosines(_WAVES, left, 1 - right) @ waves
    seen_NKK: Array = down_KS @ sketch_NKK @ across_KS.T
    return seen_NKK


def _orientations(x_NKK: Array) -> list[Array]:
    """The four flips (a flip changes the signs of odd half-waves), each as it is and transposed."""
    sign_K = np.resize(np.array([-1, 1], np.float32), x_NKK.shape[-1])
    flips = [x_NKK, x_NKK * sign_K, x_NKK * sign_K[:, None], x_NKK * sign_K * sign_K[:, None]]
    return flips + [flip.transpose(0, 2, 1) for flip in flips]


def _moments(x_NKK: Array) -> tuple[Array, Array]:
    """Mean [F] and covariance [F, F] over all images in all orientations."""
    parts_GNF = np.stack(_orientations(x_NKK)).reshape(8, len(x_NKK), -1)
    mean_F: NDArray[np.float64] = parts_GNF.mean(axis=(0, 1), dtype=np.float64)
    second_FF: NDArray[np.float64] = np.mean([part.T @ part for part in parts_GNF], axis=0, dtype=np.float64)
    covariance_FF = second_FF / len(x_NKK) - np.outer(mean_F, mean_F)
    return mean_F.astype(np.float32), covariance_FF.astype(np.float32)


def _magnitudes(x_NKK: Array) -> Array:
    """What no orientation changes: the root of the magnitude of each coefficient with its mirror image."""
    power_NKK = x_NKK**2 + x_NKK.transpose(0, 2, 1) ** 2
    down, across = np.triu_indices(x_NKK.shape[-1])
    roots: Array = power_NKK[:, down, across] ** np.float32(0.25)
    return roots


def _unit(x: Array) -> Array:
    """Each image's numbers with length 1."""
    length = np.sqrt((x.reshape(len(x), -1) ** 2).sum(axis=1))
    unit: Array = x / np.maximum(length, np.float32(1e-6)).reshape(-1, *[1] * (x.ndim - 1))
    return unit
