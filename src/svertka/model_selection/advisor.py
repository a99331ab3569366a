"""The decision matrix of transfer learning: how much data, how similar to the pretraining data, which strategy.

The cells are those of every course (Yosinski et al. 2014, arXiv 1411.1792, shows why: late features are specific to
what was learnt first, and the more so the more the tasks differ). What makes them executable is how they are told
apart: size by counting, similarity by what pretrained features do that random ones don't, and late ones that early
ones don't, both cross-validated on the person's own images. ``benchmarks/LOG.md`` has the calibration.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from svertka.config import STRATEGY_NAMES, StrategyName
from svertka.errors import DataError
from svertka.evaluate.intervals import share
from svertka.evaluate.paired import Gain, paired_gain
from svertka.features.feature_table import FeatureTable
from svertka.features.linear_probe import stratified_folds
from svertka.features.separability import SeparabilityScore, judge, judge_taps
from svertka.schema import Advice, FeatureScore, Notice, Similarity, Size

LITTLE, LITTLE_IN_A_CLASS, MUCH = 1_000, 50, 20_000
"""Images: fewer than this in all or in the rarest class are little data; so many or more in all are much."""

SIMILAR = 0.5
"""Share of the errors on random features that pretrained ones must remove for the images to count as similar.

A share, because a random network may leave few errors: of 8 photographs it tells patches apart in 92 %.
"""

CEILING = 0.9
"""Accuracy on random features from which pretrained ones have too little left to show: similarity is then not told."""

ENOUGH = 1_000
"""Images on which similarity is measured: the standard error of a paired difference is then about a point."""

CELLS: Mapping[tuple[Size, Similarity], tuple[tuple[str, ...], Notice]] = {
    ("little", "similar"): (("probe", "lp-ft"), Notice("advice_little_similar")),
    ("little", "different"): (("lp-ft", "probe", "gradual-unfreezing"), Notice("advice_little_different")),
    ("between", "similar"): (("lp-ft", "probe"), Notice("advice_between_similar")),
    ("between", "different"): (("lp-ft", "probe", "full"), Notice("advice_between_different")),
    ("much", "similar"): (("lp-ft", "probe", "gradual-unfreezing"), Notice("advice_much_similar")),
    ("much", "different"): (("full", "lp-ft", "scratch"), Notice("advice_much_different")),
}
"""What each cell names, what it is worth racing it against, and why."""


def choose_rows(y_N: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """At most about ``ENOUGH`` rows, the classes in proportion, two of each at least."""
    if len(y_N) <= ENOUGH:
        return np.arange(len(y_N))
    rng = np.random.default_rng(seed)
    rows = []
    for label in np.unique(y_N):
        members = np.flatnonzero(y_N == label)
        rows.append(rng.choice(members, max(2, round(ENOUGH * len(members) / len(y_N))), replace=False))
    return np.sort(np.concatenate(rows))


def advise(
    pretrained: FeatureTable,
    random: FeatureTable,
    counts_K: NDArray[np.int64],
    units_N: NDArray[np.int64],
    seed: int,
) -> Advice:
    """Measures which cell the data are in and says what follows.

    Args:
        pretrained: features of at most ``ENOUGH`` images to learn from (see ``choose_rows``).
        random: features of the same images by the same network with random weights.
        counts_K: images to learn from in each class, all of them.
        units_N: of the rows of the tables; see ``Split.units``.
        seed: of the folds.

    Raises:
        DataError: a class is too small for two folds.
    """
    y_N = pretrained.y_N
    folds = stratified_folds(y_N, units_N, seed)
    if not folds:
        raise DataError(
            f"the rarest class has {int(counts_K.min())} image to learn from; expected 2 or more, to measure how "
            "similar the images are to what the network has learnt. Add images, or take the class out."
        )
    x_ND = pretrained.read()
    whole, taps = judge(x_ND, pretrained.widths, y_N, folds), judge_taps(x_ND, pretrained.widths, y_N, folds)
    base = judge(random.read(), random.widths, y_N, folds)
    best = max(taps, key=lambda tap: np.count_nonzero(tap.probe_N))
    gain = paired_gain(_points(base), _points(whole), units_N)
    late = paired_gain(_points(best), _points(taps[-1]), units_N)
    size = size_of(int(counts_K.sum()), int(counts_K.min()))
    removed = gain.mean / max(1 - float(base.probe_N.mean()), 1 / len(y_N))
    known, fits = removed >= SIMILAR and gain.worth_it, -late.mean <= late.standard_error
    similarity: Similarity = "similar" if known and fits else "different"
    strategy, *rivals = strategies_of(size, similarity)
    return Advice(
        size=size,
        similarity=similarity,
        strategy=strategy,
        rivals=tuple(rivals),
        reasons=(
            _evidence(counts_K, size, similarity, (whole, base, best, taps[-1])),
            *_why_different(base, removed, late, known=known, fits=fits),
            CELLS[size, similarity][1],
        ),
        images=int(counts_K.sum()),
        smallest_class=int(counts_K.min()),
        taps=tuple(map(_score, taps)),
        whole=_score(whole),
        random=_score(base),
        gain=gain.estimate,
        errors_removed=removed,
        late=late.estimate,
    )


def _evidence(
    counts_K: NDArray[np.int64], size: Size, similarity: Similarity, scores: tuple[SeparabilityScore, ...]
) -> Notice:
    """What was counted and measured; ``scores`` of all features, of random ones, of the best tap and of the last."""
    whole, random, best, last = (100 * float(score.probe_N.mean()) for score in scores)
    return Notice(
        "advice_evidence",
        {
            "n": int(counts_K.sum()),
            "smallest": int(counts_K.min()),
            "size": size,
            "similarity": similarity,
            "pretrained": whole,
            "random": random,
            "best": best,
            "last": last,
        },
    )


def _why_different(base: SeparabilityScore, removed: float, late: Gain, *, known: bool, fits: bool) -> Iterator[Notice]:
    """Which of the tests failed that similar images pass; nothing where they are similar."""
    random = float(base.probe_N.mean())
    if not known and random >= CEILING:
        yield Notice("advice_ceiling", {"random": 100 * random, "n": len(base.probe_N)})
    elif not known and removed >= SIMILAR:
        yield Notice("advice_gain_not_shown", {"n": len(base.probe_N)})
    elif not known:
        yield Notice("advice_features_add_little", {"share": 100 * max(0.0, removed), "least": 100 * SIMILAR})
    if not fits:
        yield Notice("advice_late_features_worse", {"points": -100 * late.mean, "error": 100 * late.standard_error})


def size_of(images: int, smallest_class: int) -> Size:
    """How much data that is."""
    if images < LITTLE or smallest_class < LITTLE_IN_A_CLASS:
        return "little"
    return "much" if images >= MUCH else "between"


def strategies_of(size: Size, similarity: Similarity) -> tuple[StrategyName, ...]:
    """The strategy of a cell, then its rivals; only those that there are."""
    return tuple(name for name in CELLS[size, similarity][0] if name in STRATEGY_NAMES)


def _points(judged: SeparabilityScore) -> NDArray[np.float64]:
    return judged.probe_N.astype(np.float64)


def _score(judged: SeparabilityScore) -> FeatureScore:
    n = len(judged.probe_N)
    return FeatureScore(
        width=judged.width,
        probe=share(int(judged.probe_N.sum()), n),
        neighbours=share(int(judged.neighbours_N.sum()), n),
    )
