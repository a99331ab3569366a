"""The degradation problem: figures 1 and 6 of the ResNet paper, scaled down.

He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016 (arXiv 1512.03385). It isn't overfitting:
the error is that on the training images. Imports torch.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from svertka.evaluate.intervals import difference, share
from svertka.lab.small_images import Images
from svertka.lab.training_loop import Scale, TrainingSettings, cifar_net, images_seen, sgd, train, train_step
from svertka.schema import Advanced, Estimate, Event, EventSink, StepStarted, ignore_events
from svertka.viz.drawing import BLUE, ORANGE, Drawing
from svertka.viz.line_chart import Line, Panel, chart

SHALLOW, DEEP = 20, 56
KINDS = {"plain": "plain", "residual": "ResNet"}
BATCH = 16
"""Images a step, an eighth of the paper's: of so few images it makes steps enough for the deepest net to learn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DegradationEpoch:
    """One epoch of one network."""

    network: str
    """``"plain-56"`` and the like."""
    kind: str
    depth: int
    epoch: int
    """From 1."""
    seconds: float
    """Of training."""
    train_loss: float
    """Mean over the epoch, while the network was learning."""
    train_wrong: int
    """Training images it got wrong, likewise."""
    train_n: int
    held_out_wrong: int
    """Images it never learns from and gets wrong at the epoch's end."""
    held_out_n: int
    """Such images."""

    @property
    def train_error(self) -> Estimate:
        """Share of training images, with its 95 % interval."""
        return share(self.train_wrong, self.train_n)


def measure(
    images: Images, epochs: int, seed: int = 0, on_event: EventSink = ignore_events
) -> Iterator[DegradationEpoch]:
    """Trains the four networks one after another, all with the paper's optimiser and one seed.

    Raises:
        ConfigError: ``epochs`` is below 1.
    """
    settings = TrainingSettings(epochs=epochs, batch_size=BATCH, optimiser=sgd, seed=seed)
    each = images_seen(images, settings)
    cost = {SHALLOW: SHALLOW, DEEP: DEEP}  # time goes with depth, so progress counts images times layers
    on_event(StepStarted("degradation", each * len(KINDS) * sum(cost.values())))
    done = 0
    for kind, title in KINDS.items():
        for depth in (SHALLOW, DEEP):
            network = cifar_net(kind, depth, images, seed)

            def passed(event: Event, before: int = done, layers: int = depth) -> None:
                on_event(Advanced(before + event.done * layers) if isinstance(event, Advanced) else event)

            for epoch in train(network.to(memory_format=torch.channels_last), images, settings, passed):
                yield DegradationEpoch(network=f"{title}-{depth}", kind=kind, depth=depth, **asdict(epoch))
            done += each * depth


def estimate_s(images: Images, epochs: int) -> float:
    """About how many seconds ``measure`` will take here, from three steps of the smallest network.

    Raises:
        ConfigError: ``epochs`` is below 1.
    """
    settings = TrainingSettings(epochs=epochs, batch_size=BATCH, optimiser=sgd)
    network = cifar_net("plain", SHALLOW, images, seed=0)
    optimizer = settings.optimiser(network.to(memory_format=torch.channels_last).parameters())
    rows = np.arange(min(settings.batch_size, len(images.train)))
    x, labels = Scale.of(images.train)(images.train[rows]), torch.from_numpy(images.train_labels[rows])
    times = []
    for _ in range(3):
        started = time.perf_counter()
        train_step(network, optimizer, x, labels)
        times.append(time.perf_counter() - started)
    each = min(times) / len(rows) / SHALLOW  # of an image, in a layer
    return each * images_seen(images, settings) * len(KINDS) * (SHALLOW + DEEP)


# --- picture and sentences ---------------------------------------------------------------------------------------


def picture(rows: Sequence[DegradationEpoch], data: str) -> Drawing:
    """Training error over epochs: plain nets on the left, residual ones on the right, on one scale."""
    highest = max(row.train_error.value for row in rows)

    def line(kind: str, depth: int, colour: str) -> Line:
        own = [row for row in rows if (row.kind, row.depth) == (kind, depth)]
        points = [(float(row.epoch), 100 * row.train_error.value) for row in own]
        width = 2.0 if depth == SHALLOW else 3.0
        return Line(name=f"{KINDS[kind]}-{depth}", points=points, colour=colour, width=width, dots=True)

    panels = [
        Panel(
            title=f"{kind.capitalize()} nets",
            x_label="epoch",
            y_label="training error, %",
            lines=[line(kind, SHALLOW, BLUE), line(kind, DEEP, ORANGE)],
            y_span=(0.0, 100 * highest),
        )
        for kind in KINDS
    ]
    return chart(
        "Degradation: training error of deeper nets", differences(rows, data), panels, columns=2, panel_px=(330, 260)
    )


def differences(rows: Sequence[DegradationEpoch], data: str) -> tuple[str, str]:
    """How this differs from the paper's experiment."""
    return (
        f"Scaled down: {rows[0].train_n:,} images of 16 px ({data}), {_epochs(rows)} in steps of {BATCH}, one seed.",
        "The paper trains on 45,000 of CIFAR-10 at 32 px for 182 epochs in steps of 128.",
    )


def sentences(rows: Sequence[DegradationEpoch]) -> tuple[str, str]:
    """Whether the deeper net learns worse, without shortcuts and with them."""
    last = {(row.kind, row.depth): row for row in rows}
    plain, residual = ((last[kind, DEEP], last[kind, SHALLOW]) for kind in KINDS)
    return (
        f"After {_epochs(rows)} {_compare(*plain)}.",
        f"With shortcuts {_compare(*residual)}{_cost(_gap(*plain), _gap(*residual))}.",
    )


def _epochs(rows: Sequence[DegradationEpoch]) -> str:
    last = max(row.epoch for row in rows)
    return f"{last} epoch{'' if last == 1 else 's'}"


def _gap(deep: DegradationEpoch, shallow: DegradationEpoch) -> float:
    """Percentage points that depth adds to the error; 0 where chance may have added them."""
    found = difference(deep.train_error, shallow.train_error)
    return 0.0 if found.low <= 0 <= found.high else 100 * found.value


def _cost(plain: float, residual: float) -> str:
    """What shortcuts change, where plain nets degrade at all."""
    if plain <= 0:
        return ". Plain nets degrade no more than by chance here; with more images and epochs they may"
    if residual > 0:
        return f"; depth costs {plain:.1f} percentage points without shortcuts and {residual:.1f} with them"
    with_them = f"with them it gains {-residual:.1f}" if residual else "with them nothing that chance couldn't explain"
    return f"; without shortcuts depth costs {plain:.1f} percentage points, {with_them}"


def _compare(deep: DegradationEpoch, shallow: DegradationEpoch) -> str:
    """``plain-56 gets 12.1 % of 1,000 training images wrong and plain-20 3.2 %: the deeper net learns worse``."""
    a, b, gap = deep.train_error, shallow.train_error, _gap(deep, shallow)
    verdict = f"the deeper net learns {'worse' if gap > 0 else 'better'}"
    if not gap:
        verdict = "the 95 % interval of the difference holds 0, which shows none"
    return (
        f"{deep.network} gets {a.value:.1%} of {a.n:,} training images wrong and {shallow.network} {b.value:.1%}: "
        f"{verdict}"
    )
