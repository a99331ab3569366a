"""Compares how fast networks learn: time per epoch, accuracy over time, time to an accuracy, peak memory.

Each network trains in a process of its own, one after another, so that its memory and its time are its own. Time to a
given accuracy as in DAWNBench (Coleman et al. 2017). Imports torch.
"""

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from statistics import median

import torch
from torch import nn

from svertka.architectures import Architecture, find
from svertka.errors import ConfigError, SvertkaError, TrainingError
from svertka.evaluate.intervals import share
from svertka.lab.small_images import SIDE_PX, Images
from svertka.lab.training_loop import TrainingSettings, adam, gentle_adam, images_seen, train
from svertka.schema import Advanced, Estimate, EventSink, StepStarted, ignore_events
from svertka.util import runtime
from svertka.viz.drawing import COLOURS, Drawing
from svertka.viz.line_chart import Line, Panel, chart

DEEP = 8
"""Layers from which on a network that nothing normalises is trained by ``gentle_adam``.

At the common rate, 1,000 digits and 6 epochs leave VGG-16 at an accuracy of 0.10 and AlexNet at 0.58; at the gentle one
it is 0.86 and 0.82. Between the papers of VGG and ResNet it is a factor of ten (arXiv 1409.1556, section 3.1;
1512.03385, section 3.4).
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lap:
    """One epoch of one network."""

    network: str
    parameters: int
    epoch: int
    epoch_s: float
    """Seconds of training in this epoch."""
    elapsed_s: float
    """Seconds of training until its end, without evaluation."""
    train_loss: float
    """Mean over the epoch."""
    right: int
    """Held-out images it gets right at the epoch's end."""
    held_out_n: int
    peak_memory_mb: float
    """Of the network's process so far (Python, torch and the images included)."""

    @property
    def accuracy(self) -> Estimate:
        """On the held-out images, with its 95 % interval."""
        return share(self.right, self.held_out_n)


def enter(names: Sequence[str]) -> tuple[Architecture, ...]:
    """The racing networks; in their forms for small images all of svertka's take 32 px.

    Raises:
        ConfigError: none is named, or one twice.
        NotFoundError: a name is unknown; close ones are offered.
    """
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"networks are {', '.join(names) or 'none'}; expected different names: resnet18 vgg16.")
    return tuple(find(name) for name in names)


def race(
    entries: Sequence[Architecture], images: Images, settings: TrainingSettings, on_event: EventSink = ignore_events
) -> Iterator[Lap]:
    """Trains the networks one after another, each in its own process, and yields every epoch as it ends.

    All have the same images in the same order, optimiser, schedule (see ``settings_for``) and seed.

    Raises:
        TrainingError: a network's process came to an end before its work did.
        SvertkaError: what went wrong inside it.
    """
    for architecture in entries:
        on_event(StepStarted(architecture.name, images_seen(images, settings)))
        yield from _run(architecture, images, settings, on_event)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Ctrl-C waits until the end; a process that is started inside inherits that, and its parent decides for both."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # it would end the blocking when it is first started
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(architecture: Architecture, images: Images, settings: TrainingSettings, on_event: EventSink) -> Iterator[Lap]:
    spawn = multiprocessing.get_context("spawn")  # a forked child would share the parent's memory and its threads
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_work, args=(sender, architecture.name, images, settings), daemon=True)
    with _interrupts_blocked():
        process.start()
    sender.close()
    try:
        while True:
            match receiver.recv():
                case Lap() as lap:
                    yield lap
                case SvertkaError() as error:
                    raise error
                case None:
                    return
                case done:
                    on_event(Advanced(done))
    except EOFError:
        process.join()
        raise TrainingError(
            f"{architecture.name}'s process ended with exit code {process.exitcode} before its last epoch (-9: the "
            "system had no memory left). Try fewer images, or a smaller network."
        ) from None
    finally:
        process.kill()
        process.join()


def settings_for(network: nn.Module, settings: TrainingSettings) -> TrainingSettings:
    """The common settings, but for deep networks without normalisation by ``gentle_adam``."""
    normalised = any(isinstance(module, nn.modules.batchnorm._BatchNorm | nn.LayerNorm) for module in network.modules())
    layers = sum(isinstance(module, nn.Conv2d | nn.Linear) for module in network.modules())
    if normalised or layers < DEEP:
        return settings
    return replace(settings, optimiser=gentle_adam)


def learning_rate_note(names: Sequence[str]) -> str:
    """A sentence where not all networks race at one learning rate, else nothing; see ``settings_for``."""
    common = TrainingSettings(epochs=1)
    with torch.device("meta"):
        networks = {name: find(name).build(small_images=True) for name in names}
    gentle = [_title(name) for name, network in networks.items() if settings_for(network, common) is not common]
    if not gentle:
        return ""
    low, usual = (each.keywords["lr"] for each in (gentle_adam, adam))
    return f" Learning rate {low:g} for {', '.join(gentle)}, which nothing normalises; else {usual:g}."


def _work(connection: Connection, name: str, images: Images, settings: TrainingSettings) -> None:
    """What a network's own process does: laps, images done and, at the end, None go through the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the first one decides
    runtime.setup()
    try:
        torch.manual_seed(settings.seed)
        network = find(name).build(len(images.class_names), images.channels, small_images=True)
        network = network.to(memory_format=torch.channels_last)
        parameters = sum(p.numel() for p in network.parameters() if p.requires_grad)
        elapsed = 0.0
        for epoch in train(
            network, images, settings_for(network, settings), lambda event: connection.send(getattr(event, "done", 0))
        ):
            elapsed += epoch.seconds
            lap = Lap(
                network=name,
                parameters=parameters,
                epoch=epoch.epoch,
                epoch_s=epoch.seconds,
                elapsed_s=elapsed,
                train_loss=epoch.train_loss,
                right=epoch.held_out_n - epoch.held_out_wrong,
                held_out_n=epoch.held_out_n,
                peak_memory_mb=runtime.peak_memory_mb(),
            )
            connection.send(lap)
        connection.send(None)
    except SvertkaError as error:
        connection.send(error)


# --- what came of it -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One network's race."""

    network: str
    parameters: int
    epoch_s: float
    """Median over its epochs."""
    accuracy: Estimate
    """At the end."""
    to_target_s: float | None
    """Training time until the end of the first epoch with that accuracy; None if it was never reached."""
    peak_memory_mb: float
    """Of its process."""


def common_target(laps: Sequence[Lap]) -> float:
    """The highest accuracy, in whole percent, that every network reached."""
    best = [max(lap.accuracy.value for lap in laps if lap.network == name) for name in _names(laps)]
    return int(100 * min(best) + 1e-9) / 100


def results(laps: Sequence[Lap], target: float) -> tuple[Result, ...]:
    """One for each network, in the order of the race."""
    found = []
    for name in _names(laps):
        own = [lap for lap in laps if lap.network == name]
        reached = [lap.elapsed_s for lap in own if lap.accuracy.value >= target]
        found.append(
            Result(
                network=name,
                parameters=own[0].parameters,
                epoch_s=median(lap.epoch_s for lap in own),
                accuracy=own[-1].accuracy,
                to_target_s=reached[0] if reached else None,
                peak_memory_mb=own[-1].peak_memory_mb,
            )
        )
    return tuple(found)


def picture(laps: Sequence[Lap], target: float, data: str, train_n: int) -> Drawing:
    """Accuracy over training time, and over epochs."""
    colours = dict(zip(_names(laps), COLOURS * len(laps), strict=False))

    def line(name: str, by_time: bool) -> Line:
        own = [lap for lap in laps if lap.network == name]
        points = [(lap.elapsed_s if by_time else float(lap.epoch), 100 * lap.accuracy.value) for lap in own]
        return Line(name=_title(name), points=points, colour=colours[name], dots=True)

    goal = "the highest that all reach" if target == common_target(laps) else "the goal"
    low = 100 * min(target, *(lap.accuracy.value for lap in laps))
    high = 100 * max(target, *(lap.accuracy.value for lap in laps))
    panels = [
        Panel(
            title=title,
            x_label=x_label,
            y_label="accuracy on held-out images, %",
            lines=[line(name, by_time) for name in colours],
            y_span=(low, high),
            y_target=(100 * target, f"{target:.0%}, {goal}"),
        )
        for title, x_label, by_time in (
            ("Over time", "training time, s", True),
            ("Over epochs", "epoch", False),
        )
    ]
    subtitle = (
        f"{data}: {train_n:,} training images of {SIDE_PX} px, {laps[0].held_out_n:,} held out. "
        "A dot for each epoch; one seed. Networks in their forms for small images (VGG: one full layer).",
        f"Dark line: the accuracy to which the times are compared.{learning_rate_note(_names(laps))}",
    )
    return chart("Accuracy over time", subtitle, panels, columns=2, panel_px=(330, 250))


def sentences(found: Sequence[Result], target: float, guessing: float) -> tuple[str, ...]:
    """Which network is quicker an epoch and lighter; which one gets further sooner; and which have learnt nothing.

    Times are compared to the accuracy ``target``; ``guessing`` is that of always answering the commonest class.
    """
    if len(found) == 1:
        return *_alone(found[0], target), *_no_better(found, target, guessing)
    quick, slow = (f(found, key=lambda result: result.epoch_s) for f in (min, max))
    light, heavy = (f(found, key=lambda result: result.peak_memory_mb) for f in (min, max))
    first = (
        f"{_title(quick.network)} takes {_seconds(quick.epoch_s)} an epoch and {_title(slow.network)} "
        f"{_seconds(slow.epoch_s)} ({slow.epoch_s / quick.epoch_s:.1f} times as long); peak memory is between "
        f"{light.peak_memory_mb:,.0f} MB ({_title(light.network)}) and {heavy.peak_memory_mb:,.0f} MB "
        f"({_title(heavy.network)})."
    )
    reached = sorted((r for r in found if r.to_target_s is not None), key=lambda r: r.to_target_s or 0.0)
    missed = [_title(r.network) for r in found if r.to_target_s is None]
    times = ", ".join(f"{_title(r.network)} after {_seconds(r.to_target_s or 0.0)}" for r in reached)
    said = [times] if times else []
    said += [f"{', '.join(missed)} never in this race"] if missed else []
    worst, *_, best = sorted(found, key=lambda result: result.accuracy.value)
    overlap = best.accuracy.low <= worst.accuracy.high
    verdict = f"and their 95 % intervals {'overlap' if overlap else 'lie apart'}; it is one seed"
    second = (
        f"{target:.0%} of the held-out images are right: {'; '.join(said)}; at the end {_title(best.network)} has "
        f"{best.accuracy.value:.1%} and {_title(worst.network)} {worst.accuracy.value:.1%}, {verdict}."
    )
    return first, second, *_no_better(found, target, guessing)


def _no_better(found: Sequence[Result], target: float, guessing: float) -> Iterator[str]:
    """A sentence on networks that are not shown to be better than guessing, and on a target that says nothing."""
    lost = [_title(result.network) for result in found if result.accuracy.low <= guessing]
    if lost:
        end = "; times to that accuracy say nothing" if target <= guessing else ""
        are = "is" if len(lost) == 1 else "are"
        yield (
            f"Always answering the commonest class gives {guessing:.1%}: {', '.join(lost)} {are} not shown to be "
            f"better at the end{end}. Give more --epochs or --images."
        )


def _alone(result: Result, target: float) -> tuple[str, str]:
    when = "was never reached" if result.to_target_s is None else f"was reached after {_seconds(result.to_target_s)}"
    return (
        f"{_title(result.network)} takes {_seconds(result.epoch_s)} an epoch and {result.peak_memory_mb:,.0f} MB at "
        "its peak.",
        f"An accuracy of {target:.0%} {when}; at the end it is {write_accuracy(result.accuracy)}.",
    )


def write_accuracy(accuracy: Estimate) -> str:
    """``95.1 % (93.6 to 96.3, n = 1,000)``."""
    value, low, high = (100 * part for part in (accuracy.value, accuracy.low, accuracy.high))
    return f"{value:.1f} % ({low:.1f} to {high:.1f}, n = {accuracy.n:,})"


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 100 else f"{value:.0f} s"


def _title(name: str) -> str:
    return find(name).title


def _names(laps: Sequence[Lap]) -> list[str]:
    return list(dict.fromkeys(lap.network for lap in laps))
