"""Deeper plain nets learn worse, deeper residual nets don't: figures 1 and 6 of the ResNet paper, scaled down.

He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016 (arXiv 1512.03385). It isn't overfitting:
the error is that on the training images. Torch by nature.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from svertka.architectures.drawing import Drawing
from svertka.architectures.resnet import cifar_resnet
from svertka.intervals import share
from svertka.lab.chart import BLUE, ORANGE, Line, Panel, chart
from svertka.lab.images import Images
from svertka.lab.training import Recipe, images_seen, sgd, train
from svertka.schema import Advanced, Estimate, Event, EventSink, StepStarted, ignore_events

SHALLOW, DEEP = 20, 56
KINDS = {"plain": "plain", "residual": "ResNet"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One epoch of one network.

    Attributes:
        network: ``"plain-56"`` and the like.
        kind: ``"plain"`` or ``"residual"``.
        depth: layers with weights.
        epoch: from 1.
        seconds: of training.
        train_loss: mean over the epoch, while the network was learning.
        train_wrong: training images it got wrong, likewise.
        train_n: training images.
        held_out_wrong: images it never learns from and gets wrong at the epoch's end.
        held_out_n: such images.
    """

    network: str
    kind: str
    depth: int
    epoch: int
    seconds: float
    train_loss: float
    train_wrong: int
    train_n: int
    held_out_wrong: int
    held_out_n: int

    @property
    def train_error(self) -> Estimate:
        """Share of training images, with its 95 % interval."""
        return share(self.train_wrong, self.train_n)


def measure(images: Images, epochs: int, seed: int = 0, on_event: EventSink = ignore_events) -> Iterator[Row]:
    """Trains the four networks one after another, all with the paper's optimiser and one seed.

    Raises:
        ConfigError: ``epochs`` is below 1.
    """
    recipe = Recipe(epochs=epochs, optimiser=sgd, seed=seed)
    each = images_seen(images, recipe)
    cost = {SHALLOW: SHALLOW, DEEP: DEEP}  # time goes with depth, so progress counts images times layers
    on_event(StepStarted("degradation", each * len(KINDS) * sum(cost.values())))
    done = 0
    for kind, title in KINDS.items():
        for depth in (SHALLOW, DEEP):
            torch.manual_seed(seed)
            network = cifar_resnet(
                depth, len(images.class_names), images.channels, shortcut="none" if kind == "plain" else "padding"
            )

            def passed(event: Event, before: int = done, layers: int = depth) -> None:
                on_event(Advanced(before + event.done * layers) if isinstance(event, Advanced) else event)

            for epoch in train(network.to(memory_format=torch.channels_last), images, recipe, passed):
                yield Row(
                    network=f"{title}-{depth}",
                    kind=kind,
                    depth=depth,
                    epoch=epoch.epoch,
                    seconds=epoch.seconds,
                    train_loss=epoch.train_loss,
                    train_wrong=epoch.train_wrong,
                    train_n=epoch.train_n,
                    held_out_wrong=epoch.held_out_n - epoch.held_out_right,
                    held_out_n=epoch.held_out_n,
                )
            done += each * depth


# --- picture and sentences ---------------------------------------------------------------------------------------


def picture(rows: Sequence[Row], data: str) -> Drawing:
    """Training error over epochs: plain nets on the left, residual ones on the right, on one scale."""
    highest = max(row.train_error.value for row in rows)
    panels = [
        Panel(
            title=heading,
            x_label="epoch",
            y_label="training error, %",
            lines=[
                Line(
                    name=f"{title}-{depth}",
                    points=[
                        (float(row.epoch), 100 * row.train_error.value)
                        for row in rows
                        if (row.kind, row.depth) == (kind, depth)
                    ],
                    colour=colour,
                    width=2.0 if depth == SHALLOW else 3.0,
                    dots=True,
                )
                for depth, colour in ((SHALLOW, BLUE), (DEEP, ORANGE))
            ],
            y_span=(0.0, 100 * highest),
        )
        for kind, title, heading in (
            ("plain", KINDS["plain"], "Plain nets"),
            ("residual", KINDS["residual"], "Residual nets"),
        )
    ]
    return chart(
        "Degradation: training error of deeper nets", (differences(rows, data),), panels, columns=2, panel_px=(330, 260)
    )


def differences(rows: Sequence[Row], data: str) -> str:
    """How this differs from the paper's experiment."""
    return (
        f"Scaled down: {rows[0].train_n:,} images of 16 px ({data}), {max(r.epoch for r in rows)} epochs, one seed; "
        "the paper trains on 45,000 of CIFAR-10 at 32 px for 182 epochs."
    )


def sentences(rows: Sequence[Row]) -> tuple[str, str]:
    """Whether the deeper net learns worse, without shortcuts and with them."""
    last = {(row.kind, row.depth): row for row in rows}
    plain, residual = (
        100 * (last[kind, DEEP].train_error.value - last[kind, SHALLOW].train_error.value) for kind in KINDS
    )
    return (
        f"After {rows[-1].epoch} epochs {_compare(last['plain', DEEP], last['plain', SHALLOW])}.",
        f"With shortcuts {_compare(last['residual', DEEP], last['residual', SHALLOW])}; what depth costs is "
        f"{residual:.1f} percentage points instead of {plain:.1f}.",
    )


def _compare(deep: Row, shallow: Row) -> str:
    """``plain-56 gets 12.1 % of 1,000 training images wrong and plain-20 3.2 %: the deeper net learns worse``."""
    a, b = deep.train_error, shallow.train_error
    if a.low <= b.high and b.low <= a.high:
        verdict = "their 95 % intervals overlap, which shows no difference"
    else:
        verdict = f"the deeper net learns {'worse' if a.value > b.value else 'better'}"
    return (
        f"{deep.network} gets {a.value:.1%} of {a.n:,} training images wrong and {shallow.network} {b.value:.1%}: "
        f"{verdict}"
    )
