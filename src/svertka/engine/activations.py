"""Activation functions and their gradients. Any shape and memory layout."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from svertka.engine.arrays import Array, floats

# LeCun et al. 1998, appendix A: f(x) = A tanh(S x), with f(1) = 1 and f(-1) = -1.
_AMPLITUDE, _SLOPE = 1.7159, 2 / 3


def relu(x: ArrayLike) -> Array:
    """``max(x, 0)``."""
    y: Array = np.clip(_any(x), 0, np.inf)  # a maximum with a number takes three times as long
    return y


def relu_backward(dy: Array, y: Array) -> Array:
    """Passes the gradient where the output is above 0."""
    return _where(y > 0, dy)


def relu6(x: ArrayLike) -> Array:
    """``min(max(x, 0), 6)``."""
    y: Array = np.clip(_any(x), 0, 6)
    return y


def relu6_backward(dy: Array, y: Array) -> Array:
    """Passes the gradient where the output lies inside 0 and 6."""
    return _where((y > 0) & (y < 6), dy)


def _where(inside: NDArray[np.bool_], dy: Array) -> Array:
    dx: Array = inside.astype(dy.dtype)  # numbers times numbers are twice as fast as numbers times booleans
    dx *= dy
    return dx


def tanh(x: ArrayLike) -> Array:
    """The hyperbolic tangent."""
    y: Array = np.tanh(_any(x))
    return y


def tanh_backward(dy: Array, y: Array) -> Array:
    """``dy (1 - y²)``."""
    dx: Array = dy * (1 - y * y)
    return dx


def scaled_tanh(x: ArrayLike) -> Array:
    """``1.7159 tanh(2x/3)``, the squashing function of LeNet-5."""
    y: Array = _AMPLITUDE * np.tanh(_SLOPE * _any(x))
    return y


def scaled_tanh_backward(dy: Array, y: Array) -> Array:
    """``dy · 1.7159 · 2/3 · (1 - (y/1.7159)²)``."""
    dx: Array = dy * (_AMPLITUDE * _SLOPE - (_SLOPE / _AMPLITUDE) * y * y)
    return dx


def sigmoid(x: ArrayLike) -> Array:
    """``1 / (1 + exp(-x))``, without overflow on either side."""
    x = _any(x)
    small = np.exp(-np.abs(x))
    y: Array = np.where(x >= 0, 1, small) / (1 + small)
    return y


def sigmoid_backward(dy: Array, y: Array) -> Array:
    """``dy · y (1 - y)``."""
    dx: Array = dy * (y * (1 - y))
    return dx


def softmax(x: ArrayLike) -> Array:
    """Probabilities along the last axis."""
    x = _any(x)
    y: Array = np.exp(x - x.max(axis=-1, keepdims=True))
    y /= y.sum(axis=-1, keepdims=True)
    return y


def softmax_backward(dy: Array, y: Array) -> Array:
    """``y (dy - Σ dy·y)``."""
    dx: Array = y * (dy - (dy * y).sum(axis=-1, keepdims=True))
    return dx


def _any(x: ArrayLike) -> Array:
    (array,) = floats(x=(x, np.ndim(x)))
    return array
