"""The training loop of the experiments: small, seeded, the same for every network. Imports torch."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from svertka.architectures.resnet import ResNet, Shortcut, cifar_resnet
from svertka.errors import ConfigError
from svertka.lab.small_images import Images
from svertka.schema import Advanced, EventSink, ignore_events
from svertka.training.bf16_gradients import quick_gradients

_WARMUP = 0.1  # of all steps

adam = partial(torch.optim.AdamW, lr=1e-3, weight_decay=1e-2)
gentle_adam = partial(adam, lr=3e-4)
sgd = partial(torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=1e-4)  # He et al. 2015, section 4.2


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSettings:
    """How a network is trained: the rate rises over the first tenth of all steps, then falls to zero as a cosine."""

    epochs: int
    """Passes over the training images."""
    batch_size: int = 64
    optimiser: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer] = adam
    """Makes one from parameters; its rate is the highest."""
    shift_px: int = 0
    """Training images are moved by up to this much each way (0: not at all)."""
    seed: int = 0
    """Of order and shifts."""

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ConfigError(f"epochs is {self.epochs}; expected 1 or more.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """What one epoch came to."""

    epoch: int
    """From 1."""
    seconds: float
    """Of training alone, without evaluation."""
    train_loss: float
    """Mean over the epoch, while the network was learning."""
    train_wrong: int
    """Training images it got wrong, likewise."""
    train_n: int
    """Images behind these two."""
    held_out_wrong: int
    """Images it never learns from and gets wrong at the epoch's end."""
    held_out_n: int
    """Such images."""


def cifar_net(kind: str, depth: int, images: Images, seed: int, *, batch_norm: bool = True) -> ResNet:
    """A network of the CIFAR family for these images, ``"plain"`` or ``"residual"``, with its initial weights."""
    torch.manual_seed(seed)
    shortcut: Shortcut = "none" if kind == "plain" else "padding"
    return cifar_resnet(depth, len(images.class_names), images.channels, shortcut=shortcut, batch_norm=batch_norm)


def train(
    network: nn.Module, images: Images, settings: TrainingSettings, on_event: EventSink = ignore_events
) -> Iterator[Epoch]:
    """Trains in place and yields each epoch as it ends; ``Advanced`` counts images.

    The images of a last, smaller batch sit an epoch out, each epoch others.
    """
    scale = Scale.of(images.train)
    size = min(settings.batch_size, len(images.train))
    steps = len(images.train) // size
    optimizer = settings.optimiser(network.parameters())
    peaks = [group["lr"] for group in optimizer.param_groups]
    for epoch in range(settings.epochs):
        network.train()
        started, loss_sum, wrong = time.perf_counter(), 0.0, 0
        rng = np.random.default_rng([settings.seed, epoch])
        torch.manual_seed(int(rng.integers(2**63)))  # dropout, if the network has any
        order = rng.permutation(len(images.train))[: steps * size].reshape(steps, size)
        for step, rows in enumerate(order):
            x = scale(shift(images.train[rows], settings.shift_px, rng))
            labels = torch.from_numpy(images.train_labels[rows])
            factor = rate_factor((epoch * steps + step + 0.5) / (settings.epochs * steps))
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * factor
            loss, logits = train_step(network, optimizer, x, labels)
            loss_sum += loss * size
            wrong += int((logits.argmax(1) != labels).sum())
            on_event(Advanced((epoch * steps + step + 1) * size))
        seconds = time.perf_counter() - started
        yield Epoch(
            epoch=epoch + 1,
            seconds=seconds,
            train_loss=loss_sum / order.size,
            train_wrong=wrong,
            train_n=order.size,
            held_out_wrong=_count_wrong(network, images, scale),
            held_out_n=len(images.held_out),
        )


def train_step(network: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, labels: Tensor) -> tuple[float, Tensor]:
    """One step forward, back and down the gradient; the loss and the logits [N, K] it began with."""
    with quick_gradients():
        logits = network(x)
    loss = F.cross_entropy(logits, labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.detach()), logits.detach()


def rate_factor(position: float) -> float:
    """Share of the highest rate at ``position`` in 0..1 of the training."""
    if position < _WARMUP:
        return position / _WARMUP
    return 0.5 * (1 + math.cos(math.pi * (position - _WARMUP) / (1 - _WARMUP)))


def images_seen(images: Images, settings: TrainingSettings) -> int:
    """Training images that ``train`` will have counted at its end."""
    size = min(settings.batch_size, len(images.train))
    return settings.epochs * (len(images.train) // size) * size


@dataclass(frozen=True, slots=True)
class Scale:
    """Pixels to the network's numbers: zero mean and unit deviation in each channel of the training images."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, train: NDArray[np.uint8]) -> "Scale":
        """From training images [N, S, S, C]."""
        mean = train.mean(axis=(0, 1, 2), dtype=np.float64)
        std = np.maximum(train.std(axis=(0, 1, 2), dtype=np.float64), 1.0)  # of 255; flat images have none
        return cls(*(torch.from_numpy(values.astype(np.float32))[:, None, None] for values in (mean, std)))

    def __call__(self, images: NDArray[np.uint8]) -> Tensor:
        """[N, S, S, C] to [N, C, S, S], in channels-last memory."""
        return (torch.from_numpy(images).permute(0, 3, 1, 2).float() - self.mean) / self.std


def shift(images: NDArray[np.uint8], by_px: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Each image moved by a random whole number of pixels down and across; its edge is repeated where it leaves off."""
    if not by_px:
        return images
    side = images.shape[1]
    wide = np.pad(images, ((0, 0), (by_px, by_px), (by_px, by_px), (0, 0)), mode="edge")
    top, left = rng.integers(0, 2 * by_px + 1, (2, len(images)))
    places = np.arange(side)
    rows, columns = (top[:, None] + places)[:, :, None], (left[:, None] + places)[:, None, :]
    moved: NDArray[np.uint8] = wide[np.arange(len(images))[:, None, None], rows, columns]
    return moved


def _count_wrong(network: nn.Module, images: Images, scale: Scale) -> int:
    network.eval()
    wrong = 0
    with torch.inference_mode():
        for start in range(0, len(images.held_out), 100):
            rows = slice(start, start + 100)
            answers = network(scale(images.held_out[rows])).argmax(1)
            wrong += int((answers != torch.from_numpy(images.held_out_labels[rows])).sum())
    return wrong
