"""BatchNorm, local response normalisation and dropout, forward and backward.

Shapes: N batch, C channels, H/W rows and columns.
"""

import numpy as np
from numpy.typing import ArrayLike

from svertka.engine.arrays import Array, Gradients, floats, same_shape
from svertka.engine.fast.sums import channel_products, channel_sums
from svertka.errors import ShapeError


def batch_statistics(x_NCHW: ArrayLike) -> tuple[Array, Array]:
    """Mean and (biased) variance of each channel over batch, rows and columns.

    Raises:
        ShapeError: the batch is empty.
    """
    (x,) = floats(x=(x_NCHW, 4))
    if len(x) == 0:
        raise ShapeError(f"x has shape {list(x.shape)}; expected at least one image to take statistics of.")
    count = x.size // x.shape[1]
    mean = (channel_sums(x) / count).astype(x.dtype)
    centred = x - mean[:, None, None]
    centred *= centred
    return mean, (channel_sums(centred) / count).astype(x.dtype)


def batch_norm(
    x_NCHW: ArrayLike,
    gamma_C: ArrayLike,
    beta_C: ArrayLike,
    mean_C: ArrayLike,
    var_C: ArrayLike,
    epsilon: float = 1e-5,
) -> Array:
    """``gamma (x - mean) / sqrt(var + epsilon) + beta`` for each channel.

    In training, mean and variance are those of ``batch_statistics``; afterwards their running means.
    Source: Ioffe, Szegedy, "Batch Normalization", ICML 2015, algorithm 1.

    Raises:
        ShapeError: a vector hasn't one number for each channel.
    """
    x, gamma, beta, mean, var = floats(
        x=(x_NCHW, 4), gamma=(gamma_C, 1), beta=(beta_C, 1), mean=(mean_C, 1), var=(var_C, 1)
    )
    for name, vector in (("gamma", gamma), ("beta", beta), ("mean", mean), ("var", var)):
        same_shape(name, vector, (x.shape[1],))
    scale = gamma / np.sqrt(var + epsilon)
    y: Array = x * scale[:, None, None]
    y += (beta - mean * scale)[:, None, None]
    return y


def batch_norm_backward(
    dy_NCHW: ArrayLike,
    x_NCHW: ArrayLike,
    gamma_C: ArrayLike,
    mean_C: ArrayLike,
    var_C: ArrayLike,
    epsilon: float = 1e-5,
    *,
    of_batch: bool = True,
) -> Gradients:
    """Gradients of ``batch_norm``: of x, gamma (``w``) and beta (``b``).

    Mean and variance depend on the input too where they are those ``of_batch``; else they are given numbers, such as
    the running means.

    Raises:
        ShapeError: shapes don't fit.
    """
    dy, x, gamma, mean, var = floats(
        dy=(dy_NCHW, 4), x=(x_NCHW, 4), gamma=(gamma_C, 1), mean=(mean_C, 1), var=(var_C, 1)
    )
    same_shape("dy", dy, x.shape)
    inverse = 1 / np.sqrt(var + epsilon)
    standard, scale = (x - mean[:, None, None]) * inverse[:, None, None], (gamma * inverse)[:, None, None]
    dgamma, dbeta = channel_products(dy, standard).astype(dy.dtype), channel_sums(dy).astype(dy.dtype)
    if not of_batch:
        return Gradients(dy * scale, dgamma, dbeta)
    count = dy.dtype.type(max(1, dy.size // dy.shape[1]))
    standard *= (dgamma / count)[:, None, None]
    dx = dy - (dbeta / count)[:, None, None]
    dx -= standard
    dx *= scale
    return Gradients(dx, dgamma, dbeta)


def local_response_norm(x_NCHW: ArrayLike, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Array:
    """``x / (k + alpha/size · Σ x²)^beta``, the sum over ``size`` neighbouring channels.

    Source: Krizhevsky, Sutskever, Hinton, NIPS 2012, section 3.3. As in torch, alpha is divided by the size (in
    the paper it isn't).

    Raises:
        ShapeError: ``size`` is below 1.
    """
    (x,) = floats(x=(x_NCHW, 4))
    y: Array = x * _response(x, size, alpha, k) ** -beta
    return y


def local_response_norm_backward(
    dy_NCHW: ArrayLike, x_NCHW: ArrayLike, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    """Gradient of ``local_response_norm``.

    Raises:
        ShapeError: shapes differ, or ``size`` is below 1.
    """
    dy, x = floats(dy=(dy_NCHW, 4), x=(x_NCHW, 4))
    same_shape("dy", dy, x.shape)
    response = _response(x, size, alpha, k)
    shared = dy * x * response ** (-beta - 1)
    # A channel counts in the sums of those whose window reaches it: the same window, turned round.
    dx: Array = dy * response**-beta - (2 * alpha * beta / size) * x * _channel_sums(shared, (size - 1) // 2, size // 2)
    return dx


def _response(x_NCHW: Array, size: int, alpha: float, k: float) -> Array:
    if size < 1:
        raise ShapeError(f"size is {size}; expected at least 1 channel.")
    return k + (alpha / size) * _channel_sums(x_NCHW * x_NCHW, size // 2, (size - 1) // 2)


def _channel_sums(x_NCHW: Array, before: int, after: int) -> Array:
    """Sums over the channels from ``before`` below to ``after`` above each one."""
    sums = np.zeros_like(x_NCHW)
    C = x_NCHW.shape[1]
    for offset in range(-min(before, C - 1), min(after, C - 1) + 1):
        here, there = slice(max(0, -offset), C - max(0, offset)), slice(max(0, offset), C - max(0, -offset))
        sums[:, here] += x_NCHW[:, there]
    return sums


def dropout(x: ArrayLike, rate: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Zeroes each number with probability ``rate`` and scales the others by ``1 / (1 - rate)``.

    Source: Srivastava et al., JMLR 2014; scaled in training ("inverted"), so that nothing is done afterwards.

    Returns:
        The output, and the mask whose product with ``dy`` is the gradient.

    Raises:
        ShapeError: ``rate`` is outside 0 ≤ rate < 1.
    """
    (array,) = floats(x=(x, np.ndim(x)))
    if not 0 <= rate < 1:
        raise ShapeError(f"rate is {rate}; expected at least 0 and below 1.")
    keep = rng.random(array.shape, dtype=np.float32) >= rate
    mask: Array = keep.astype(array.dtype) / (1 - rate)
    return array * mask, mask
