"""The one training loop: every strategy that changes a network's weights runs through ``train``.

Imports torch. The whole state goes to disk about once a minute: after a kill at any moment the same steps are done
again and end in the same bits.
"""

import copy
import math
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from svertka.errors import TrainingError
from svertka.schema import Advanced, EpochEnded, EpochRow, EventSink, Notice, ignore_events
from svertka.training import checkpoint
from svertka.training.budget import Course, Pace
from svertka.training.classifier import Classifier
from svertka.training.phase_state import PhaseState, open_phase
from svertka.training.step import epoch_batches, learning_rate, optimizer_step
from svertka.training.task import Task
from svertka.training.training_state import BEST, TrainingState, read_state, save_state

SAVE_EVERY_S = 60.0
"""Seconds between two saves inside an epoch; a save takes a fraction of a second."""


def train(
    model: Classifier,
    task: Task,
    directory: Path,
    on_event: EventSink = ignore_events,
    save_every_s: float = SAVE_EVERY_S,
) -> tuple[EpochRow, ...]:
    """Trains ``model`` in place, leaves it with its best averaged weights, and returns the learning curve.

    State is kept in ``directory``; if some is there already, training goes on from it.

    Args:
        model: with the head that the strategy starts from.
        task: backbone, strategy, images and seed.
        directory: for ``last.safetensors`` (everything) and ``best.safetensors`` (the weights to keep).
        on_event: hears ``Advanced`` after each step (images done) and ``EpochEnded``.
        save_every_s: seconds between two saves inside an epoch.

    Raises:
        TrainingError: the loss ceased to be finite before any epoch ended well; after one, training ends with what
            is best so far.
    """
    run = _Run(model, task, directory, on_event, save_every_s)
    while run.state.phase < len(task.strategy.phases):
        phase = run.begin_phase()
        while not phase_is_over(run.state, task):
            run.begin_epoch()
            for rows, raw in epoch_batches(phase, task, run.state.epoch, run.state.step):
                if run.out_of_time(phase):
                    break
                loss = optimizer_step(phase, task, run.state, rows, raw, on_event)
                if not math.isfinite(loss):
                    run.tell_divergence()
                    return run.finish()
                run.end_step(phase, len(rows), loss)
            if not run.state.seen:  # there was no time for a step
                break
            run.end_epoch(phase)
        run.end_phase()
    run.tell_pace()
    return run.finish()


class _Run:
    """What the loop works on: the state that is saved, and the clock."""

    def __init__(
        self, model: Classifier, task: Task, directory: Path, on_event: EventSink, save_every_s: float
    ) -> None:
        self.model = model.to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(model).eval()
        self.task, self.directory, self.on_event, self.save_every_s = task, directory, on_event, save_every_s
        self.saved, self.state = read_state(directory, task)
        self.pace = Pace(task.allowance, self.state.elapsed)
        self.epoch_began = self.last_save = 0.0

    @property
    def course(self) -> Course:
        """How the running phase's learning rate is spread over its steps."""
        assert self.state.course is not None
        return self.state.course

    def save(self, phase: PhaseState) -> None:
        """Writes everything that is needed to go on."""
        save_state(self.directory, self.state, phase)

    def begin_phase(self) -> PhaseState:
        """Opens the next phase from the best weights so far, or goes on with a phase that was interrupted."""
        state, task = self.state, self.task
        state.course = state.course or Course(0, 0.0, task.strategy.phases[state.phase].epochs * task.steps)
        begins = not self.saved and state.phase > 0
        if begins and state.best_epoch:
            for module in (self.model, self.average):
                module.load_state_dict(checkpoint.load_state(self.directory / BEST)[0])
        phase = open_phase(self.model, self.average, task, state.phase, self.saved)
        if begins:  # kept before this phase finds better weights, which are not those that it began with
            self.save(phase)
        self.saved = {}
        return phase

    def begin_epoch(self) -> None:
        """Starts the clock, where an epoch goes on from the seconds that it has taken."""
        self.last_save = time.monotonic()
        self.epoch_began = self.last_save - self.state.seconds
        self.pace.begin_steps(self.state.phase)

    def out_of_time(self, phase: PhaseState) -> bool:
        """Whether the phase ends before the next step; shortens its course first, where the clock is behind."""
        state, done = self.state, self.state.phase_steps(self.task.steps)
        course = self.pace.corrected(self.course, done, self.task.steps)
        if course is not state.course:
            state.course = course
            self._keep_time()
            self.save(phase)
        return done >= course.end and bool(state.seen or state.best_epoch)

    def end_step(self, phase: PhaseState, images: int, loss: float) -> None:
        """Counts a step, and saves about once a minute."""
        state = self.state
        state.loss_sum += loss * images
        state.seen += images
        state.step += 1
        state.steps_done += 1
        self.pace.step_taken()
        self.on_event(Advanced(state.epoch * self.task.epoch_images + state.seen))
        self._keep_time()
        if time.monotonic() - self.last_save > self.save_every_s:
            self.save(phase)
            self.last_save = time.monotonic()

    def _keep_time(self) -> None:
        self.state.seconds, self.state.elapsed = time.monotonic() - self.epoch_began, self.pace.elapsed

    def end_epoch(self, phase: PhaseState) -> None:
        """Judges the averaged weights on validation, keeps them if they are the best so far, and saves."""
        started, state, task = time.monotonic(), self.state, self.task
        logits, labels = phase.batches.validate(self.average), torch.from_numpy(task.val.labels)
        val_loss = float(cross_entropy(logits, labels))
        self.pace.validated(time.monotonic() - started)
        fitted = task.strategy.settings.epochs_by == "fitted_log_loss"
        judged, epoch = fitted_log_loss(logits, labels) if fitted else val_loss, state.epoch + 1
        last = self.course.at(state.phase_steps(task.steps) - 1)
        row = EpochRow(
            phase=phase.phase.name,
            epoch=epoch,
            train_loss=state.loss_sum / state.seen,
            val_loss=val_loss,
            val_accuracy=float((logits.argmax(1) == labels).double().mean()),
            learning_rate=phase.phase.head_rate * learning_rate(task.strategy.settings.warmup, min(1.0, last)),
            seconds=state.seconds + time.monotonic() - started,
            selection_loss=judged,
        )
        best = judged < state.best_loss
        if best:
            checkpoint.save_state(self.directory / BEST, self.average.state_dict(), {"epoch": epoch})
        course = self._course_after(epoch)
        later = sum(phase.epochs for phase in task.strategy.phases[state.phase + 1 :])
        self.on_event(EpochEnded(row, state.phase_start + math.ceil(course.end / task.steps) + later, best))
        if best:
            state.best_epoch, state.best_loss = epoch, judged
        state.course, state.elapsed, state.history = course, self.pace.elapsed, (*state.history, row)
        state.epoch, state.step, state.loss_sum, state.seen, state.seconds = epoch, 0, 0.0, 0, 0.0
        self.save(phase)

    def _course_after(self, epoch: int) -> Course:
        """The course for the rest of the phase: longer than planned where there is time left."""
        done = (epoch - self.state.phase_start) * self.task.steps
        if done >= self.course.end:
            return self.course
        return self.pace.corrected(self.course, done, self.task.steps, longer=True)

    def end_phase(self) -> None:
        """Goes on to the next phase."""
        state = self.state
        state.early = state.early or not _run_out(state, self.task)
        state.phase, state.phase_start, state.course = state.phase + 1, state.epoch, None

    def tell_divergence(self) -> None:
        """Says that the loss ceased to be a finite number."""
        state = self.state
        self.on_event(Notice("diverged", {"epoch": state.epoch + 1, "kept": state.best_epoch}, level="warning"))

    def tell_pace(self) -> None:
        """Says what training did otherwise than planned."""
        task, state = self.task, self.state
        planned, done = task.strategy.epochs, state.steps_done / task.steps
        if state.early:
            self.on_event(Notice("stopped_early", {"patience": task.strategy.settings.patience, "done": state.epoch}))
        elif task.allowance is None:  # nobody watched the clock
            return
        elif done < 0.9 * planned:
            self.on_event(Notice("pace_slower", {"planned": planned, "done": done}))
        elif done > 1.1 * planned:
            self.on_event(Notice("pace_quicker", {"planned": planned, "done": done}))

    def finish(self) -> tuple[EpochRow, ...]:
        """Leaves the model with its best weights, all of it trainable again, ready to judge."""
        state, phases = self.state, self.task.strategy.phases
        if not state.best_epoch:
            phase = phases[min(state.phase, len(phases) - 1)]
            raise TrainingError(
                f"training diverged in epoch {state.epoch + 1}: no epoch ended with a finite loss. Lower the rates "
                f"(stages up to {max(phase.stage_rates):g}, head {phase.head_rate:g}) and train anew."
            )
        self.model.load_state_dict(checkpoint.load_state(self.directory / BEST)[0])
        self.model.requires_grad_(True).eval()
        return state.history


def phase_is_over(state: TrainingState, task: Task) -> bool:
    """Whether all epochs of the running phase are done, or none of the last ``patience`` was the best.

    Waiting begins at half time: while the rates are high, validation often gets worse before it gets better.
    """
    assert state.course is not None
    epochs = math.ceil(state.course.end / task.steps)
    waited = state.epoch - max(state.best_epoch, state.phase_start + epochs // 2)
    return _run_out(state, task) or waited >= task.strategy.settings.patience


def _run_out(state: TrainingState, task: Task) -> bool:
    """Whether the course of the running phase has come to its end."""
    assert state.course is not None
    return (state.epoch - state.phase_start) * task.steps >= state.course.end


def fitted_log_loss(logits_NK: Tensor, labels_N: Tensor) -> float:
    """Log loss at the temperature that suits these logits best, to within a fiftieth of it.

    Label smoothing makes a network too modest: its plain loss may grow while its answers, told at a fitted
    temperature as those of a finished classifier are, get better.
    """
    temperatures = torch.logspace(-1.5, 1.5, 181, dtype=torch.float64)
    return min(float(cross_entropy(logits_NK.double() / temperature, labels_N)) for temperature in temperatures)
