"""The time budget: how many epochs fit, and whether training keeps to it. No torch.

Before training, a step of every phase is timed and an allowance is written down. While it trains, a ``Pace`` compares
the clock with it: where the computer has become slower, the rest of the learning rate's course is run in fewer steps;
where it has become quicker, in more, up to what was asked for. Every such decision is part of the training state.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from time import monotonic

from svertka.training.strategies import Strategy

AIM = 0.95
"""Share of the budget that a plan fills; the rest is for what no measurement foresees."""

FEWEST_STEPS = 16
"""Steps, of a batch or of all images where those are fewer, with which fine-tuning is begun at all; fewer hardly move a
network."""

VALIDATING = 0.3
"""Share of training's time that may go to validation where an epoch is a part of the images."""

SLACK = 0.03
"""Share of the remaining steps that the clock may be behind before they are counted anew; ahead: thrice that."""


@dataclass(frozen=True, slots=True)
class Course:
    """How the learning rate's way from 0 to 1 is spread over the steps of a phase.

    Attributes:
        step: of the phase, from which on this holds.
        position: that was reached there.
        end: the step at which position 1 is reached, and the phase is over.
    """

    step: int
    position: float
    end: int

    def at(self, step: int) -> float:
        """Position in the middle of a step; of a step before this course, the position that it had led to."""
        if step >= self.end:
            return 1.0
        if step < self.step:
            return self.position
        return self.position + (1.0 - self.position) * (step + 0.5 - self.step) / (self.end - self.step)

    def until(self, end: int, step: int) -> "Course":
        """The rest of the way from ``step`` on, in fewer or more steps than planned."""
        way = (step - self.step) / (self.end - self.step) if self.end > self.step else 1.0
        return Course(step, self.position + (1.0 - self.position) * way, end)


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """The time that training has.

    Attributes:
        seconds: for training and all that follows in the run.
        afterwards_s: of them for what follows, at the speed that was measured.
        step_s: seconds of a step in each phase, as measured; 0 on remembered features.
        validation_s: of a validation, likewise.
        over: share of training's time after which each phase should be over; the last is 1.
        most: epochs of each phase that were asked for, beyond which nothing is trained however much time there is.
    """

    seconds: float
    afterwards_s: float
    step_s: tuple[float, ...]
    validation_s: float
    over: tuple[float, ...]
    most: tuple[int, ...]


class Pace:
    """How fast training goes, over all sessions of a run.

    Args:
        allowance: None: as long as it takes.
        elapsed: seconds that earlier sessions have taken.
    """

    def __init__(self, allowance: Allowance | None, elapsed: float) -> None:
        self._allowance, self._began = allowance, monotonic() - elapsed
        self._step_s, self._phase, self._last = 0.0, -1, 0.0
        self._validation_s = allowance.validation_s if allowance else 0.0

    @property
    def elapsed(self) -> float:
        """Seconds of training so far."""
        return monotonic() - self._began

    def begin_steps(self, phase: int) -> None:
        """The clock for the next step starts here."""
        if phase != self._phase:
            self._phase, self._step_s = phase, self._allowance.step_s[phase] if self._allowance else 0.0
        self._last = self.elapsed

    def step_taken(self) -> None:
        """Counts a step, with all that came before it since the last, into the mean of the latest ones.

        So many that they took a fiftieth of the time, sixteen at least: one that was held up shouldn't decide.
        """
        now, whole_s = self.elapsed, self._allowance.seconds if self._allowance else 0.0
        taken_s, self._last = now - self._last, now
        self._step_s += (taken_s - self._step_s) / max(16.0, whole_s / 50 / max(taken_s, 1e-3))

    def validated(self, seconds: float) -> None:
        """Counts a validation."""
        self._validation_s = seconds

    def steps_left(self, steps_an_epoch: int) -> float:
        """Steps of this phase that there is still time for; no end of them on remembered features."""
        if self._allowance is None:
            return math.inf
        planned_s = self._allowance.step_s[self._phase]
        if not planned_s:
            return math.inf
        slower = min(max(self._step_s / planned_s, 0.5), 8.0)
        training_s = self._allowance.seconds - slower * self._allowance.afterwards_s
        left_s = training_s * self._allowance.over[self._phase] - self.elapsed - self._validation_s
        return max(0.0, left_s) // max(self._step_s + self._validation_s / steps_an_epoch, 1e-9)

    def corrected(self, course: Course, done: int, steps_an_epoch: int, *, longer: bool = False) -> Course:
        """The course that fits into the time, after so many steps of the phase; the same one where it does.

        Args:
            course: until now.
            done: steps of the phase.
            steps_an_epoch: each is followed by a validation.
            longer: whether it may also become longer.
        """
        fits, left = self.steps_left(steps_an_epoch), course.end - done
        if fits < left * (1 - SLACK) - 1:
            return course.until(done + int(fits), done)
        if longer and self._allowance and 0 < left * (1 + 3 * SLACK) + 1 < fits:
            most = self._allowance.most[self._phase] * steps_an_epoch
            return course.until(int(min(done + fits, most)), done) if most > course.end else course
        return course


# --- before training ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Costs:
    """What training costs on this machine.

    Attributes:
        image_s: seconds a training image takes in each phase; 0 on remembered features.
        validation_s: seconds of a validation.
        images: that are learnt from.
    """

    image_s: tuple[float, ...]
    validation_s: float
    images: int

    def seconds(self, epochs: Sequence[int], images: float = 0) -> float:
        """Of so many epochs a phase, of so many images each (0: all)."""
        costly = zip(epochs, self.image_s, strict=True)
        return sum(n * (s * (images or self.images) + self.validation_s) for n, s in costly if s)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """Epochs a phase, and the images of each (0: all)."""

    epochs: tuple[int, ...]
    epoch_images: int = 0


def fit(asked: Strategy, costs: Costs, seconds: float) -> Fit | None:
    """The epochs that fit; where too few whole ones do, short ones; None where even ``FEWEST_STEPS`` steps don't.

    Args:
        asked: with all its epochs.
        costs: of its phases.
        seconds: for training.
    """
    epochs = [phase.epochs for phase in asked.phases]
    costly = sum(n for n, s in zip(epochs, costs.image_s, strict=True) if s)
    whole_s = costs.seconds(epochs)
    share = min(1.0, seconds / whole_s) if whole_s else 1.0
    cut = tuple(phase.epochs for phase in asked.scaled(share).phases)
    enough = share * costly >= min(asked.settings.min_epochs, costly) and costs.seconds(cut) <= max(
        seconds, share * whole_s
    )
    seen = costs.images * sum(n for n, s in zip(cut, costs.image_s, strict=True) if s)
    least = min(FEWEST_STEPS * _step_images(asked, costs), costs.images * costly)
    return Fit(epochs=cut) if enough and seen >= least else _short(asked, costs, seconds, costly, least)


def fewest(asked: Strategy, costs: Costs) -> Fit:
    """The least that is trained where somebody insists: ``FEWEST_STEPS`` steps, or all if fewer were asked for.

    They are steps of one epoch, of several where the images are few.
    """
    costly = [phase.epochs for phase, s in zip(asked.phases, costs.image_s, strict=True) if s]
    wanted = math.ceil(FEWEST_STEPS / max(1, len(costly))) * _step_images(asked, costs)
    count = min(math.ceil(wanted / costs.images), *costly) if costly else 1
    images = math.ceil(wanted / count)
    epochs = tuple(count if s else phase.epochs for phase, s in zip(asked.phases, costs.image_s, strict=True))
    return Fit(epochs=epochs, epoch_images=images if images < costs.images else 0)


def _step_images(asked: Strategy, costs: Costs) -> int:
    return min(asked.settings.batch_size, costs.images)


def _short(asked: Strategy, costs: Costs, seconds: float, costly: int, least: int) -> Fit | None:
    """So many epochs that choosing among them pays, of as many images as there is time for, at least ``least``."""
    most = min(costly, max(asked.settings.min_epochs, math.ceil(least / costs.images)))
    for count in range(most, 0, -1):
        cut = tuple(phase.epochs for phase in asked.scaled(count / costly).phases)
        trained = [(n, s) for n, s in zip(cut, costs.image_s, strict=True) if s]
        validating_s = costs.validation_s * sum(n for n, _ in trained)
        images = min(costs.images, math.floor((seconds - validating_s) / sum(n * s for n, s in trained)))
        if images * sum(n for n, _ in trained) >= least and (validating_s <= VALIDATING * seconds or count == 1):
            return Fit(epochs=cut, epoch_images=images if images < costs.images else 0)
    return None


def over(costs: Costs, fitted: Fit) -> tuple[float, ...]:
    """Share of the time after which each phase should be over."""
    parts = [
        costs.seconds([n if number == phase else 0 for number, n in enumerate(fitted.epochs)], fitted.epoch_images)
        for phase in range(len(fitted.epochs))
    ]
    total = sum(parts)
    shares = [one / total if total else 1.0 for one in accumulate(parts)]
    return (*shares[:-1], 1.0)
