"""Optimisers and learning rate schedules.

An optimiser is a frozen recipe; what it has gathered (momentum, moments) is in its ``State``, plain arrays that are
saved with a checkpoint. Parameters change in place.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from svertka.engine.arrays import Array
from svertka.engine.layers import Parameter
from svertka.errors import ConfigError

State = dict[str, Array]
"""What an optimiser has gathered; ``"step"`` counts its steps."""
Schedule = Callable[[float], float]
"""The factor of the learning rate once this share of all steps (0 to 1) is done."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimiser:
    """What SGD and Adam share: they begin, and then step.

    Raises:
        ConfigError: a number is out of range.
    """

    rate: float
    """Learning rate, before a schedule."""
    weight_decay: float = 0.0
    """Added to the gradient, times the parameter."""
    decoupled: bool = False
    """Weight decay acts beside the gradient, not as part of it (AdamW: Loshchilov, Hutter, ICLR 2019)."""

    def __post_init__(self) -> None:
        for name in ("rate", "weight_decay"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"{name} is {value}; expected a finite number of at least 0.")
        for name in ("momentum", "beta1", "beta2"):
            if hasattr(self, name) and not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected at least 0 and below 1.")

    def begin(self, parameters: Mapping[str, Parameter]) -> State:
        """The state before the first step."""
        return {"step": np.zeros(1, np.int64)} | {
            f"{kind}.{name}": np.zeros_like(each.value) for kind in self._gathers for name, each in parameters.items()
        }

    def step(self, parameters: Mapping[str, Parameter], state: State, factor: float = 1.0) -> None:
        """Changes parameters and state by the gradients; ``factor`` is the schedule's."""
        state["step"] += 1
        for name, parameter in parameters.items():
            gradient = parameter.gradient
            if self.weight_decay and self.decoupled:
                parameter.value *= 1 - self.rate * factor * self.weight_decay
            elif self.weight_decay:
                gradient = gradient + self.weight_decay * parameter.value
            gathered = [state[f"{kind}.{name}"] for kind in self._gathers]
            parameter.value -= self._change(gradient, self.rate * factor, int(state["step"][0]), *gathered)

    _gathers: ClassVar[tuple[str, ...]]
    """What is gathered of each parameter."""

    def _change(self, gradient: Array, rate: float, count: int, *gathered: Array) -> Array:
        """What to take off a parameter in step number ``count``; changes what is gathered."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True, slots=True)
class SGD(Optimiser):
    """Stochastic gradient descent with momentum, plain or Nesterov's.

    Source: Sutskever, Martens, Dahl, Hinton, ICML 2013; in torch's form, where the rate multiplies the velocity.
    """

    momentum: float = 0.0
    """Share of the velocity that a step keeps."""
    nesterov: bool = False
    """Look ahead by one step of momentum."""

    _gathers = ("velocity",)

    def __post_init__(self) -> None:
        Optimiser.__post_init__(self)
        if self.nesterov and not self.momentum:
            raise ConfigError(f"nesterov needs momentum above 0, received {self.momentum}.")

    def _change(self, gradient: Array, rate: float, count: int, *gathered: Array) -> Array:
        if self.momentum:
            (velocity,) = gathered
            velocity *= self.momentum
            velocity += gradient
            gradient = gradient + self.momentum * velocity if self.nesterov else velocity
        return rate * gradient


@dataclass(frozen=True, kw_only=True, slots=True)
class Adam(Optimiser):
    """Adam.

    Source: Kingma, Ba, ICLR 2015, algorithm 1.
    """

    rate: float = 1e-3
    beta1: float = 0.9
    """Share of the mean that a step keeps."""
    beta2: float = 0.999
    """Share of the mean square that a step keeps."""
    epsilon: float = 1e-8
    """Added to the root of the mean square."""

    _gathers = ("mean", "square")

    def _change(self, gradient: Array, rate: float, count: int, *gathered: Array) -> Array:
        mean, square = gathered
        mean *= self.beta1
        mean += (1 - self.beta1) * gradient
        square *= self.beta2
        square += (1 - self.beta2) * gradient * gradient
        step_size, root_scale = rate / (1 - self.beta1**count), 1 / math.sqrt(1 - self.beta2**count)
        change: Array = step_size * mean / (np.sqrt(square) * root_scale + self.epsilon)
        return change


def adamw(rate: float = 1e-3, weight_decay: float = 0.01) -> Adam:
    """AdamW: Adam whose weight decay acts beside the gradient."""
    return Adam(rate=rate, weight_decay=weight_decay, decoupled=True)


def constant(done: float) -> float:
    """The schedule that leaves the rate as it is."""
    return 1.0


@dataclass(frozen=True, slots=True)
class Cosine:
    """Linear warm-up, then half a cosine down to ``floor`` (Loshchilov, Hutter, ICLR 2017, without restarts)."""

    warm_up: float = 0.0
    floor: float = 0.0

    def __call__(self, done: float) -> float:
        """From above 0 up to 1, then down."""
        if done < self.warm_up:
            return max(done, 0.01 * self.warm_up) / self.warm_up
        after = (done - self.warm_up) / (1 - self.warm_up)
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, after)))
