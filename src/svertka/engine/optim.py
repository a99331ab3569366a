"""Optimisers and learning rate schedules.

An optimiser is a frozen recipe; what it has gathered (momentum, moments) is in its ``State``, plain arrays that are
saved with a checkpoint. Parameters change in place.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from svertka.engine.arrays import Array
from svertka.engine.layers import Parameter
from svertka.errors import ConfigError

State = dict[str, Array]
"""What an optimiser has gathered; ``"step"`` counts its steps."""
Schedule = Callable[[float], float]
"""The factor of the learning rate once this share of all steps (0 to 1) is done."""


class Optimiser(Protocol):
    """Anything that can begin and then step."""

    @property
    def rate(self) -> float:
        """The learning rate, before a schedule."""

    def begin(self, parameters: Mapping[str, Parameter]) -> State:
        """The state before the first step."""

    def step(self, parameters: Mapping[str, Parameter], state: State, factor: float) -> None:
        """Changes parameters and state by the gradients; ``factor`` is the schedule's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SGD:
    """Stochastic gradient descent with momentum, plain or Nesterov's.

    Source: Sutskever, Martens, Dahl, Hinton, ICML 2013; in torch's form, where the rate multiplies the velocity.
    """

    rate: float
    momentum: float = 0.0
    """Share of the velocity that a step keeps."""
    nesterov: bool = False
    """Look ahead by one step of momentum."""
    weight_decay: float = 0.0
    """Added to the gradient, times the parameter."""

    def __post_init__(self) -> None:
        _check(self.rate, self.weight_decay, momentum=self.momentum)
        if self.nesterov and not self.momentum:
            raise ConfigError(f"nesterov needs momentum above 0, received {self.momentum}.")

    def begin(self, parameters: Mapping[str, Parameter]) -> State:
        """See ``Optimiser``."""
        return _zeros(parameters, "velocity")

    def step(self, parameters: Mapping[str, Parameter], state: State, factor: float = 1.0) -> None:
        """See ``Optimiser``."""
        state["step"] += 1
        rate = self.rate * factor
        for name, parameter in parameters.items():
            gradient = parameter.gradient
            if self.weight_decay:
                gradient = gradient + self.weight_decay * parameter.value
            if self.momentum:
                velocity = state[f"velocity.{name}"]
                velocity *= self.momentum
                velocity += gradient
                gradient = gradient + self.momentum * velocity if self.nesterov else velocity
            parameter.value -= rate * gradient


@dataclass(frozen=True, kw_only=True, slots=True)
class Adam:
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
    weight_decay: float = 0.0
    """Added to the gradient, times the parameter."""

    def __post_init__(self) -> None:
        _check(self.rate, self.weight_decay, beta1=self.beta1, beta2=self.beta2)

    def begin(self, parameters: Mapping[str, Parameter]) -> State:
        """See ``Optimiser``."""
        return _zeros(parameters, "mean", "square")

    def step(self, parameters: Mapping[str, Parameter], state: State, factor: float = 1.0) -> None:
        """See ``Optimiser``."""
        state["step"] += 1
        count = int(state["step"][0])
        step_size = self.rate * factor / (1 - self.beta1**count)
        root_scale = 1 / math.sqrt(1 - self.beta2**count)
        for name, parameter in parameters.items():
            gradient, mean, square = parameter.gradient, state[f"mean.{name}"], state[f"square.{name}"]
            if self.weight_decay:
                gradient = gradient + self.weight_decay * parameter.value
            mean *= self.beta1
            mean += (1 - self.beta1) * gradient
            square *= self.beta2
            square += (1 - self.beta2) * gradient * gradient
            parameter.value -= step_size * mean / (np.sqrt(square) * root_scale + self.epsilon)


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


def _zeros(parameters: Mapping[str, Parameter], *kinds: str) -> State:
    state = {f"{kind}.{name}": np.zeros_like(p.value) for kind in kinds for name, p in parameters.items()}
    return state | {"step": np.zeros(1, np.int64)}


def _check(rate: float, weight_decay: float, **shares: float) -> None:
    for name, value in (("rate", rate), ("weight_decay", weight_decay)):
        if not (math.isfinite(value) and value >= 0):
            raise ConfigError(f"{name} is {value}; expected a finite number of at least 0.")
    for name, value in shares.items():
        if not 0 <= value < 1:
            raise ConfigError(f"{name} is {value}; expected at least 0 and below 1.")
