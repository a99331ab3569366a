"""Layers: an operation with its parameters, which remembers in ``forward`` what its ``backward`` needs.

Shapes: N batch, C/O channels in/out, H/W in, P/Q out, K/L kernel, D features.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from svertka.engine import activations, convolution, dense, normalisation, pooling
from svertka.engine.arrays import Array, Gradients
from svertka.engine.geometry import Padding
from svertka.errors import ShapeError, did_you_mean


@dataclass(slots=True, eq=False)
class Parameter:
    """Numbers that training changes, and the gradient that the last ``backward`` left."""

    value: Array
    gradient: Array = field(init=False)

    def __post_init__(self) -> None:
        self.gradient = np.zeros_like(self.value)


class Layer:
    """What all layers share. A layer without parameters has empty ``parameters``.

    Attributes:
        parameters: by name.
        buffers: numbers that are saved but not trained (running statistics).
        training: set by the network: whether dropout and batch statistics are in force.
        needs_input_gradient: False for the first layer, below which nothing learns.
        rng: for what is random in training.
    """

    training = False
    needs_input_gradient = True
    rng: np.random.Generator

    def __init__(self) -> None:
        self.parameters: dict[str, Parameter] = {}
        self.buffers: dict[str, Array] = {}

    def forward(self, x: Array) -> Array:
        """The layer's output."""
        raise NotImplementedError

    def backward(self, dy: Array) -> Array | None:
        """Leaves the parameters' gradients, and returns that of the last input (None where it isn't needed)."""
        raise NotImplementedError

    def _keep(self, gradients: Gradients) -> Array | None:
        """Leaves the parameters' gradients (in the order of weights, bias), and returns that of the input."""
        for parameter, gradient in zip(self.parameters.values(), gradients[1:], strict=False):  # a bias may be missing
            parameter.gradient = gradient
        return gradients.x

    def layers(self) -> Iterator[tuple[str, "Layer"]]:
        """This layer and all inside it, with dotted names."""
        yield "", self


class Conv2d(Layer):
    """Convolution (cross-correlation) with He's normal initialisation (He et al., ICCV 2015, equation 10)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int],
        rng: np.random.Generator,
        *,
        stride: int = 1,
        padding: Padding = 0,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        K, L = (kernel, kernel) if isinstance(kernel, int) else kernel
        self._how: dict[str, Any] = {"stride": stride, "padding": padding, "groups": groups}
        shape = (out_channels, in_channels // groups, K, L)
        self.parameters["weight"] = Parameter(he_normal(shape, shape[1] * K * L, rng))
        if bias:
            self.parameters["bias"] = Parameter(np.zeros(out_channels, np.float32))

    def forward(self, x: Array) -> Array:
        """[N, C, H, W] to [N, O, P, Q]."""
        self._x = x
        bias = self.parameters["bias"].value if "bias" in self.parameters else None
        return convolution.conv2d(x, self.parameters["weight"].value, bias, **self._how)

    def backward(self, dy: Array) -> Array | None:
        """See ``Layer``."""
        weight, needed = self.parameters["weight"].value, self.needs_input_gradient
        return self._keep(convolution.conv2d_backward(dy, self._x, weight, input_gradient=needed, **self._how))


class ConnectionTableConv2d(Layer):
    """Convolution in which each output map sees only the input maps that a table names, as C3 of LeNet-5 does.

    Only the connections that exist have numbers: ``weight`` is [connections, K, K].

    Source: LeCun et al. 1998, table I; initialisation uniform within ±2.4/fan-in, appendix A.
    """

    def __init__(self, table: Sequence[Sequence[int]], kernel: int, rng: np.random.Generator) -> None:
        super().__init__()
        self._to = np.repeat(np.arange(len(table)), [len(row) for row in table])
        self._from = np.concatenate([np.asarray(row) for row in table])
        self._dense_shape = (len(table), int(self._from.max()) + 1, kernel, kernel)
        bound = np.repeat([2.4 / (len(row) * kernel**2) for row in table], [len(row) for row in table])
        weight = rng.uniform(-1, 1, (len(self._to), kernel, kernel)) * bound[:, None, None]
        self.parameters["weight"] = Parameter(weight.astype(np.float32))
        self.parameters["bias"] = Parameter(np.zeros(len(table), np.float32))

    def forward(self, x: Array) -> Array:
        """[N, C, H, W] to [N, O, P, Q]."""
        self._x = x
        self._dense = np.zeros(self._dense_shape, self.parameters["weight"].value.dtype)
        self._dense[self._to, self._from] = self.parameters["weight"].value
        return convolution.conv2d(x, self._dense, self.parameters["bias"].value)

    def backward(self, dy: Array) -> Array | None:
        """See ``Layer``."""
        gradients = convolution.conv2d_backward(dy, self._x, self._dense, input_gradient=self.needs_input_gradient)
        return self._keep(gradients._replace(w=gradients.w[self._to, self._from]))


class Linear(Layer):
    """Fully connected, [N, D] to [N, K]."""

    def __init__(self, in_features: int, out_features: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.parameters["weight"] = Parameter(he_normal((out_features, in_features), in_features, rng))
        self.parameters["bias"] = Parameter(np.zeros(out_features, np.float32))

    def forward(self, x: Array) -> Array:
        """[N, D] to [N, K]."""
        self._x = x
        return dense.linear(x, self.parameters["weight"].value, self.parameters["bias"].value)

    def backward(self, dy: Array) -> Array | None:
        """See ``Layer``."""
        return self._keep(dense.linear_backward(dy, self._x, self.parameters["weight"].value))


class Rbf(Layer):
    """LeNet-5's output: minus the squared distance to each class's fixed target, so the largest is the answer."""

    def __init__(self, targets_KD: Array) -> None:
        super().__init__()
        self._targets = targets_KD

    def forward(self, x: Array) -> Array:
        """[N, D] to [N, K]."""
        self._x = x
        return -dense.rbf(x, self._targets.astype(x.dtype))

    def backward(self, dy: Array) -> Array:
        """See ``Layer``."""
        return -dense.rbf_backward(dy, self._x, self._targets.astype(self._x.dtype))


class MaxPool2d(Layer):
    """Max pooling."""

    def __init__(self, kernel: int, stride: int | None = None, padding: int = 0) -> None:
        super().__init__()
        self._how = (kernel, stride, padding)

    def forward(self, x: Array) -> Array:
        """[N, C, H, W] to [N, C, P, Q]."""
        self._x, self._y = x, pooling.max_pool2d(x, *self._how)
        return self._y

    def backward(self, dy: Array) -> Array:
        """See ``Layer``."""
        return pooling.max_pool2d_backward(dy, self._x, self._y, *self._how)


class AvgPool2d(Layer):
    """Average pooling."""

    def __init__(self, kernel: int, stride: int | None = None, padding: int = 0) -> None:
        super().__init__()
        self._how = (kernel, stride, padding)

    def forward(self, x: Array) -> Array:
        """[N, C, H, W] to [N, C, P, Q]."""
        self._size = x.shape[2:]
        return pooling.avg_pool2d(x, *self._how)

    def backward(self, dy: Array) -> Array:
        """See ``Layer``."""
        return pooling.avg_pool2d_backward(dy, self._size, *self._how)


class Subsample2d(Layer):
    """The trainable subsampling of 1998: window sum × coefficient + bias.

    Source: LeCun et al. 1998, section II.B; initialisation as of the other weights, appendix A.
    """

    def __init__(self, channels: int, rng: np.random.Generator, kernel: int = 2) -> None:
        super().__init__()
        self._kernel = kernel
        bound = 2.4 / kernel**2
        self.parameters["coefficient"] = Parameter(rng.uniform(-bound, bound, channels).astype(np.float32))
        self.parameters["bias"] = Parameter(np.zeros(channels, np.float32))

    def forward(self, x: Array) -> Array:
        """[N, C, H, W] to [N, C, P, Q]."""
        self._x = x
        return pooling.subsample2d(x, self.parameters["coefficient"].value, self.parameters["bias"].value, self._kernel)

    def backward(self, dy: Array) -> Array | None:
        """See ``Layer``."""
        coefficient = self.parameters["coefficient"].value
        return self._keep(pooling.subsample2d_backward(dy, self._x, coefficient, self._kernel))


class BatchNorm2d(Layer):
    """BatchNorm: the batch's statistics in training, their running means afterwards."""

    def __init__(self, channels: int, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__()
        self._momentum, self._epsilon = momentum, epsilon
        self.parameters["weight"] = Parameter(np.ones(channels, np.float32))
        self.parameters["bias"] = Parameter(np.zeros(channels, np.float32))
        self.buffers["running_mean"] = np.zeros(channels, np.float32)
        self.buffers["running_var"] = np.ones(channels, np.float32)

    def forward(self, x: Array) -> Array:
        """[N, C, H, W], same shape."""
        running_mean, running_var = self.buffers["running_mean"], self.buffers["running_var"]
        if self.training:
            mean, var = normalisation.batch_statistics(x)
            count = x.size // x.shape[1]
            running_mean += self._momentum * (mean - running_mean)
            running_var += self._momentum * (var * (count / max(1, count - 1)) - running_var)
        else:
            mean, var = running_mean.copy(), running_var.copy()
        self._x, self._statistics = x, (mean, var)
        self._of_batch = self.training
        gamma, beta = self.parameters["weight"].value, self.parameters["bias"].value
        return normalisation.batch_norm(x, gamma, beta, mean, var, self._epsilon)

    def backward(self, dy: Array) -> Array | None:
        """See ``Layer``."""
        gamma = self.parameters["weight"].value
        gradients = normalisation.batch_norm_backward(
            dy, self._x, gamma, *self._statistics, self._epsilon, of_batch=self._of_batch
        )
        return self._keep(gradients)


class LocalResponseNorm(Layer):
    """AlexNet's normalisation over neighbouring channels."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self._how = (size, alpha, beta, k)

    def forward(self, x: Array) -> Array:
        """[N, C, H, W], same shape."""
        self._x = x
        return normalisation.local_response_norm(x, *self._how)

    def backward(self, dy: Array) -> Array:
        """See ``Layer``."""
        return normalisation.local_response_norm_backward(dy, self._x, *self._how)


class Dropout(Layer):
    """Dropout in training, nothing afterwards."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self._rate = rate

    def forward(self, x: Array) -> Array:
        """Any shape."""
        self._mask: Array | None = None
        if not self.training:
            return x
        y, self._mask = normalisation.dropout(x, self._rate, self.rng)
        return y

    def backward(self, dy: Array) -> Array:
        """See ``Layer``."""
        return dy if self._mask is None else dy * self._mask


_ACTIVATIONS = {
    "relu": (activations.relu, activations.relu_backward),
    "relu6": (activations.relu6, activations.relu6_backward),
    "tanh": (activations.tanh, activations.tanh_backward),
    "scaled_tanh": (activations.scaled_tanh, activations.scaled_tanh_backward),
    "sigmoid": (activations.sigmoid, activations.sigmoid_backward),
    "softmax": (activations.softmax, activations.softmax_backward),
}


class Activation(Layer):
    """An activation function by name: relu, relu6, tanh, scaled_tanh, sigmoid, softmax."""

    def __init__(self, name: str) -> None:
        super().__init__()
        if name not in _ACTIVATIONS:
            raise ShapeError(
                f"activation is {name!r}; expected one of {', '.join(_ACTIVATIONS)}.{did_you_mean(name, _ACTIVATIONS)}"
            )
        self._function, self._gradient = _ACTIVATIONS[name]

    def forward(self, x: Array) -> Array:
        """Any shape."""
        self._y = self._function(x)
        return self._y

    def backward(self, dy: Array) -> Array:
        """See ``Layer``."""
        return self._gradient(dy, self._y)


class Flatten(Layer):
    """[N, C, H, W] to [N, C·H·W], in this order whatever the memory looks like."""

    def forward(self, x: Array) -> Array:
        """[N, …] to [N, D]."""
        self._shape = x.shape
        return x.reshape(len(x), math.prod(x.shape[1:]))  # -1 can't be worked out for an empty batch

    def backward(self, dy: Array) -> Array:
        """See ``Layer``."""
        return dy.reshape(self._shape)


def he_normal(shape: tuple[int, ...], fan_in: int, rng: np.random.Generator) -> Array:
    """Normal numbers of variance 2/fan-in, float32."""
    numbers: Array = (rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(np.float32)
    return numbers
