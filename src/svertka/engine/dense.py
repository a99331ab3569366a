"""Linear layers, the radial output of LeNet-5, and losses.

Shapes: N batch, D features, K classes or outputs.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from svertka.engine.arrays import Array, Gradients, floats, same_shape
from svertka.engine.fast.threads import matmul
from svertka.errors import ShapeError


class Loss(NamedTuple):
    """A loss: its mean over the batch in nats, and the gradient of that mean with respect to the logits."""

    value: float
    gradient: Array


def linear(x_ND: ArrayLike, w_KD: ArrayLike, b_K: ArrayLike | None = None) -> Array:
    """``x wᵀ + b``, shape [N, K].

    Raises:
        ShapeError: features or outputs differ.
    """
    x, w = floats(x=(x_ND, 2), w=(w_KD, 2))
    _same_features(x, w)
    y = matmul(x, w.T)
    if b_K is not None:
        (b,) = floats(b=(b_K, 1))
        same_shape("b", b, (len(w),))
        y += b.astype(y.dtype, copy=False)
    return y


def linear_backward(dy_NK: ArrayLike, x_ND: ArrayLike, w_KD: ArrayLike) -> Gradients:
    """Gradients of ``linear``.

    Raises:
        ShapeError: shapes don't fit.
    """
    dy, x, w = floats(dy=(dy_NK, 2), x=(x_ND, 2), w=(w_KD, 2))
    _same_features(x, w)
    same_shape("dy", dy, (len(x), len(w)))
    return Gradients(matmul(dy, w), matmul(dy.T, x), dy.sum(axis=0))


def rbf(x_ND: ArrayLike, targets_KD: ArrayLike) -> Array:
    """Squared distances to the targets, ``Σ (x - target)²``, shape [N, K].

    Source: LeCun et al. 1998, equation 7.

    Raises:
        ShapeError: features differ.
    """
    x, targets = floats(x=(x_ND, 2), targets=(targets_KD, 2))
    _same_features(x, targets)
    offsets = x[:, None] - targets
    y: Array = np.einsum("nkd,nkd->nk", offsets, offsets)
    return y


def rbf_backward(dy_NK: ArrayLike, x_ND: ArrayLike, targets_KD: ArrayLike) -> Array:
    """Gradient of ``rbf`` with respect to ``x``.

    Raises:
        ShapeError: shapes don't fit.
    """
    dy, x, targets = floats(dy=(dy_NK, 2), x=(x_ND, 2), targets=(targets_KD, 2))
    _same_features(x, targets)
    same_shape("dy", dy, (len(x), len(targets)))
    dx: Array = 2 * (x * dy.sum(axis=1, keepdims=True) - matmul(dy, targets))
    return dx


def cross_entropy(logits_NK: ArrayLike, labels_N: ArrayLike, label_smoothing: float = 0.0) -> Loss:
    """Mean cross-entropy of the softmax of logits against labels from 0 to K - 1.

    ``label_smoothing`` is the share of the target that is spread over all classes (Szegedy et al., CVPR 2016, section
    7).

    Raises:
        ShapeError: the batch is empty, a label is no class, or the smoothing lies outside 0 to 1.
    """
    (logits,) = floats(logits=(logits_NK, 2))
    labels = _labels(labels_N, logits)
    if not 0 <= label_smoothing <= 1:
        raise ShapeError(f"label_smoothing is {label_smoothing}; expected 0 to 1.")
    N, K = logits.shape
    target = np.full((N, K), label_smoothing / K, logits.dtype)
    target[np.arange(N), labels] += 1 - label_smoothing
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return Loss(float(-(target * log_p).sum() / N), (np.exp(log_p) - target) / N)


def map_criterion(logits_NK: ArrayLike, labels_N: ArrayLike, rubbish: float = 1.0) -> Loss:
    """LeNet-5's discriminative loss on the negated distances of ``rbf``: ``-log p(label)`` beside a rubbish class.

    Source: LeCun et al. 1998, equation 9. The constant logit ``-rubbish`` stands for "none of the digits": it keeps the
    distances of wrong classes from growing without bound.

    Raises:
        ShapeError: the batch is empty, or a label is no class.
    """
    (logits,) = floats(logits=(logits_NK, 2))
    labels = _labels(labels_N, logits)
    N = len(logits)
    extended = np.concatenate([logits, np.full((N, 1), -rubbish, logits.dtype)], axis=1)
    loss = cross_entropy(extended, labels)
    return Loss(loss.value, loss.gradient[:, :-1])


def _same_features(x_ND: Array, w_KD: Array) -> None:
    if x_ND.shape[1] != w_KD.shape[1]:
        raise ShapeError(
            f"x has {x_ND.shape[1]} features and the weights are for {w_KD.shape[1]} (shape {list(w_KD.shape)}); "
            "expected equal numbers."
        )


def _labels(labels_N: ArrayLike, logits_NK: Array) -> NDArray[np.intp]:
    labels = np.asarray(labels_N)
    N, K = logits_NK.shape
    if labels.dtype.kind not in "iu" or labels.shape != (N,):
        raise ShapeError(
            f"labels have type {labels.dtype} and shape {list(labels.shape)}; expected {N} whole numbers, one a row."
        )
    if N == 0:
        raise ShapeError("The batch is empty; expected at least one row to take a mean over.")
    if labels.min() < 0 or labels.max() >= K:
        raise ShapeError(f"labels run from {labels.min()} to {labels.max()}; expected 0 to {K - 1}.")
    return labels.astype(np.intp, copy=False)
