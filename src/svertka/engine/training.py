"""The training loop: epochs over shuffled batches, validation, early stopping, exact resume.

Everything random comes from (seed, epoch), so a run that was stopped goes on as if it hadn't been.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from svertka.engine.arrays import Array
from svertka.engine.dense import Loss, cross_entropy
from svertka.engine.network import Network, read_arrays, write_arrays
from svertka.engine.optim import Adam, Optimiser, Schedule, constant
from svertka.errors import ConfigError, DataError, WeightsError
from svertka.schema import Advanced, EpochEnded, EpochRow, EventSink, StepStarted, ignore_events

Objective = Callable[[Array, NDArray[Any]], Loss]
"""Logits and labels to a loss."""
Augment = Callable[[Array, np.random.Generator], Array]
"""Changes a batch of training images [N, C, H, W]."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images [N, C, H, W] with their labels.

    Raises:
        DataError: there are none, or not as many of one as of the other.
    """

    x: Array
    labels: NDArray[Any]

    def __post_init__(self) -> None:
        if len(self.x) != len(self.labels) or len(self.x) == 0:
            raise DataError(f"{len(self.x)} images and {len(self.labels)} labels; expected as many, and at least one.")

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train."""

    epochs: int
    """At most."""
    batch: int = 64
    """Images a step; a last incomplete batch counts too."""
    optimiser: Optimiser = field(default_factory=Adam)
    schedule: Schedule = constant
    """Of the learning rate over all steps."""
    objective: Objective = cross_entropy
    """Cross-entropy if not given."""
    augment: Augment | None = None
    """Changes the images of each batch."""
    patience: int = 0
    """Epochs without a lower validation loss after which to stop; 0 never stops."""
    seed: int = 0
    """Of order, dropout and augmentation."""

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch", 1), ("patience", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected at least {least}.")


@dataclass
class _Progress:
    """What a checkpoint holds beside the network and the optimiser's state."""

    history: list[EpochRow] = field(default_factory=list)
    best_loss: float = np.inf
    best_epoch: int = 0
    best: dict[str, Array] = field(default_factory=dict)


def fit(
    network: Network,
    train: Labelled,
    val: Labelled,
    recipe: Recipe,
    *,
    checkpoint: Path | None = None,
    on_event: EventSink = ignore_events,
) -> tuple[EpochRow, ...]:
    """Trains a network in place; at the end it holds the weights of the epoch with the lowest validation loss.

    ``checkpoint`` is a file that is written after each epoch. If it is there, training goes on from it, to the same
    numbers as without the interruption. Returns the learning curve.

    Raises:
        WeightsError: the checkpoint is damaged or of another network.
        DataError: the loss is no longer a finite number.
    """
    parameters = network.parameters()
    state, progress = recipe.optimiser.begin(parameters), _Progress()
    if checkpoint is not None and checkpoint.exists():
        _restore(checkpoint, network, state, progress)
    on_event(StepStarted("train", recipe.epochs * len(train)))
    for epoch in range(len(progress.history) + 1, recipe.epochs + 1):
        if recipe.patience and epoch - 1 - progress.best_epoch >= recipe.patience:
            break
        started = time.perf_counter()
        train_loss, rate = _one_epoch(network, train, recipe, state, epoch, on_event)
        val_loss, val_accuracy = evaluate(network, val, recipe.objective)
        if not np.isfinite(val_loss):  # before it is kept
            raise DataError(
                f"The loss is {val_loss} in epoch {epoch} on the validation images; train with a lower rate than "
                f"{recipe.optimiser.rate}."
            )
        row = EpochRow(
            phase="train",
            epoch=epoch,
            train_loss=train_loss,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            learning_rate=rate,
            seconds=time.perf_counter() - started,
        )
        progress.history.append(row)
        if best := val_loss < progress.best_loss:
            progress.best_loss, progress.best_epoch, progress.best = val_loss, epoch, network.state()
        if checkpoint is not None:
            _keep(checkpoint, network, state, progress)
        on_event(EpochEnded(row, recipe.epochs, best))
    network.load_state(progress.best)
    return tuple(progress.history)


def evaluate(network: Network, data: Labelled, objective: Objective = cross_entropy) -> tuple[float, float]:
    """Mean loss and accuracy on labelled images."""
    logits = network(data.x)
    return objective(logits, data.labels).value, float((logits.argmax(axis=1) == data.labels).mean())


def _one_epoch(
    network: Network, train: Labelled, recipe: Recipe, state: dict[str, Array], epoch: int, on_event: EventSink
) -> tuple[float, float]:
    """Returns the mean loss over the images, and the learning rate of the last step."""
    rng = np.random.default_rng((recipe.seed, epoch))
    network.set_training(True, rng)
    parameters, total, factor = network.parameters(), 0.0, 1.0
    before = (epoch - 1) * len(train)
    order = rng.permutation(len(train))
    for done in range(0, len(order), recipe.batch):
        rows = order[done : done + recipe.batch]
        images = train.x[rows]
        if recipe.augment is not None:
            images = recipe.augment(images, rng)
        loss = recipe.objective(network.body.forward(images), train.labels[rows])
        if not np.isfinite(loss.value):
            raise DataError(
                f"The loss is {loss.value} in epoch {epoch}; train with a lower rate than {recipe.optimiser.rate}."
            )
        network.body.backward(loss.gradient)
        factor = recipe.schedule((before + done) / (recipe.epochs * len(train)))
        recipe.optimiser.step(parameters, state, factor)
        total += loss.value * len(rows)
        on_event(Advanced(before + done + len(rows)))
    return total / len(train), recipe.optimiser.rate * factor


# --- checkpoints --------------------------------------------------------------------------------------------------

_CURVE = ("epoch", "train_loss", "val_loss", "val_accuracy", "learning_rate", "seconds")


def _keep(path: Path, network: Network, state: dict[str, Array], progress: _Progress) -> None:
    curve = np.array([[getattr(row, name) for name in _CURVE] for row in progress.history], np.float64)
    arrays = {"curve": curve, "best": np.array([progress.best_loss, progress.best_epoch])}
    for kind, part in (("network", network.state()), ("optimiser", state), ("best", progress.best)):
        arrays |= {f"{kind}/{name}": array for name, array in part.items()}
    write_arrays(path, arrays)


def _restore(path: Path, network: Network, state: dict[str, Array], progress: _Progress) -> None:
    arrays = read_arrays(path)

    def part(kind: str) -> dict[str, Array]:
        return {name.removeprefix(f"{kind}/"): array for name, array in arrays.items() if name.startswith(f"{kind}/")}

    moments = part("optimiser")
    if "curve" not in arrays or moments.keys() != state.keys():
        raise WeightsError(f"{path} is no checkpoint of this network and optimiser; remove it to begin anew.")
    network.load_state(part("network"))
    for name, array in moments.items():
        state[name][...] = array
    progress.best = part("best")
    progress.best_loss, progress.best_epoch = float(arrays["best"][0]), int(arrays["best"][1])
    for epoch, *figures in arrays["curve"].tolist():
        numbers = dict(zip(_CURVE[1:], figures, strict=True))
        progress.history.append(EpochRow(phase="train", epoch=int(epoch), **numbers))
