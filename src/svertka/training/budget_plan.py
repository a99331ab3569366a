"""Plans a strategy within the time budget: measures this machine, cuts epochs or stages, and says why.

Torch is needed by what is passed in, not here; where there is no time to use what it could measure, it isn't called.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from svertka.config import Augment
from svertka.data.loader import ImageSource
from svertka.errors import DataError
from svertka.features.linear_probe import stratified
from svertka.schema import Notice
from svertka.training.budget import AIM, Allowance, Costs, Fit, fewest, fit, over
from svertka.training.strategies import Strategy
from svertka.training.tta import Logits, count_views, measure_flips
from svertka.util.atomic_files import read_json
from svertka.util.from_dict import from_dict

QUICKEST = 2.0
"""Training on an image takes at least so many passes of the frozen network; measured: 4 to 8."""

MEASURING = 0.04
"""Share of the time that is left which each measurement may take (two steps, or 64 images, it always takes)."""

VIEWING = 0.25
"""Share of the time that is left which judging flipped images too may take where not all epochs fit."""

WORTH_FREEZING = 0.8
"""Steps on the late stages alone must take no more than this of whole ones to be preferred where time is short."""

EXPORT_S, TELL_S = 4.0, 4.0
"""Seconds on a quiet computer that do not depend on the images: to export a network, and to compare engines, explain
examples, compute intervals and write the report."""

WORTH_WAITING_S = 10.0
"""Beyond the budget so many seconds are taken, rather than freeze stages, where somebody insists on training."""

LOAD_S, BUSIEST = 0.1, 8.0
"""Seconds for which one thread computes to tell how busy the computer is, and the most that is believed of it: more is
soon over."""

_FLIPPED = 400  # validation images that tell of flips; more would tell no more


@dataclass(frozen=True, kw_only=True)
class PlanInputs:
    """What a plan starts from.

    Attributes:
        asked: the strategy with all its epochs.
        images: that are learnt from.
        val: images that choose the epoch.
        networks: that are trained so, one after the other.
        left_s: seconds of the budget that are left when it is asked, of which ``AIM`` is the share to fill.
        pass_s: seconds an image takes the frozen network.
        busy: how many times as long as on a quiet computer things take.
        passes: images that are looked at after training.
        delivers: whether a bundle, explanations and a report follow.
        logits: of prepared images, by the probe.
        step_s: times the steps of a strategy: seconds an image in each phase; given seconds not to exceed by much.
        forward: share of a training image's time that a validation image takes.
    """

    asked: Strategy
    images: int
    val: ImageSource
    networks: int
    left_s: Callable[[], float]
    pass_s: float
    busy: float
    passes: int
    delivers: bool
    logits: Logits
    step_s: Callable[[Strategy, float], tuple[float, ...]]
    forward: Callable[[], float]

    def afterwards_s(self, views: int) -> float:
        """Seconds for what follows training, with so many views of each image."""
        fixed_s = self.networks * EXPORT_S + (TELL_S if self.delivers else 0.0)
        return self.networks * self.pass_s * views * self.passes + fixed_s * self.busy

    def costs(self, strategy: Strategy, within_s: float) -> Costs:
        """Measured, for all networks together."""
        image_s = tuple(self.networks * s for s in self.step_s(strategy, within_s))
        return Costs(image_s=image_s, validation_s=self.forward() * max(image_s) * len(self.val), images=self.images)


@dataclass(frozen=True, kw_only=True)
class BudgetPlan:
    """What a budget allows, as it is written down. What has a default is not in the plans of older versions.

    Attributes:
        strategy: that was asked for.
        epochs: of each phase; none where there is no time for any.
        epoch_images: images of each; 0: all.
        late: whether the late stages alone learn.
        views: whether several views of an image are judged.
        forced: whether it is trained although there is no time.
        networks: that share the time.
        least: images that training is shown at least, repetitions counted; 0: not known.
        least_s: seconds that takes.
        epoch_s: seconds of a whole epoch.
        step_s: of a step in each phase, for one network; none: not known.
        validation_s: of a validation, for one network.
        over: see ``Allowance``.
        left_s: seconds for training.
        after_s: seconds for what follows.
        mirror: whether images are mirrored.
        upside_down: whether they are turned upside down.
    """

    strategy: str
    epochs: tuple[int, ...]
    forced: bool
    epoch_s: float
    left_s: float
    mirror: bool
    upside_down: bool
    epoch_images: int = 0
    late: bool = False
    views: bool = True
    networks: int = 1
    least: int = 0
    least_s: float = 0.0
    step_s: tuple[float, ...] = ()
    validation_s: float = 0.0
    over: tuple[float, ...] = ()
    after_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class BudgetDecision:
    """What a budget allows.

    Attributes:
        strategy: None where the budget is too small.
        why: the decision in words.
        notices: what else was decided for want of time.
        allowance: of time, for one network; None where steps are trained for which there is no time.
    """

    strategy: Strategy | None
    why: Notice
    notices: tuple[Notice, ...] = ()
    allowance: Allowance | None = None


# --- measuring -----------------------------------------------------------------------------------------------------


def make_plan(at: PlanInputs, *, insist: bool) -> BudgetPlan:
    """What the data and this machine allow: ``allowed`` says what it means, in this session or a later one.

    Args:
        at: what is known and can be measured.
        insist: train a few steps even where there is no time for them.
    """
    asked, settings = at.asked, at.asked.settings
    hoped = Costs(
        image_s=tuple(0.0 if phase.cached else at.networks * QUICKEST * at.pass_s for phase in asked.phases),
        validation_s=0.0,
        images=at.images,
    )
    after_s = at.afterwards_s(1)
    left_s = at.left_s() - after_s
    if not insist and left_s < hoped.seconds(*_steps(fewest(asked, hoped))):
        return _plan(at, hoped, None, settings.augment, left_s, after_s)
    augment = _flips(at, left_s) if settings.measure_flips else settings.augment
    costs = at.costs(asked, MEASURING * left_s)
    whole_s, all_views_s = (
        costs.seconds([phase.epochs for phase in asked.phases]),
        at.afterwards_s(count_views(settings, augment)),
    )
    left_s = at.left_s()
    one_view = all_views_s - after_s > VIEWING * left_s and whole_s + all_views_s > left_s
    after_s = after_s if one_view else all_views_s
    fitted, late = fit(asked, costs, left_s - after_s), False
    if _can_thin(asked) and (fitted is None or fitted.epoch_images):
        thinner = at.costs(asked.late_stages(), MEASURING * left_s)
        left_s = at.left_s()
        late = max(thinner.image_s) < WORTH_FREEZING * max(costs.image_s)
        if late and insist and fit(asked, thinner, left_s - after_s) is None:  # the budget is exceeded either way
            late = costs.seconds(*_steps(fewest(asked, costs))) > WORTH_WAITING_S
        costs = thinner if late else costs
        fitted = fit(asked, costs, left_s - after_s)
    forced = fitted is None and insist
    fitted = fewest(asked, costs) if forced else fitted
    plan = _plan(at, costs, fitted, augment, left_s - after_s, after_s)
    return replace(plan, late=late, views=not one_view, forced=forced)


def _can_thin(asked: Strategy) -> bool:
    """Whether the late stages alone are a way of doing what was asked: others say themselves which stages train."""
    return asked.name == "lp-ft" and asked.settings.rates == "decay" and len(asked.phases[0].stage_rates) > 1


def _flips(at: PlanInputs, left_s: float) -> Augment:
    """The flips that keep the meaning, by as many validation images as time allows."""
    affordable = int(MEASURING * left_s / (3 * at.pass_s))
    rows = stratified(at.val.labels, max(64, min(_FLIPPED, affordable)), seed=0)
    return measure_flips(at.logits, at.val.rows(rows), at.asked.settings.augment)


def _steps(fitted: Fit) -> tuple[tuple[int, ...], int]:
    return fitted.epochs, fitted.epoch_images


def _plan(
    at: PlanInputs, costs: Costs, fitted: Fit | None, augment: Augment, left_s: float, after_s: float
) -> BudgetPlan:
    least, costly = fewest(at.asked, costs), [int(s > 0) for s in costs.image_s]
    return BudgetPlan(
        strategy=at.asked.name,
        forced=False,
        epochs=fitted.epochs if fitted else (),
        epoch_images=fitted.epoch_images if fitted else 0,
        networks=at.networks,
        least=(least.epoch_images or at.images) * sum(n * s for n, s in zip(least.epochs, costly, strict=True)),
        least_s=round(costs.seconds(*_steps(least)), 1),
        epoch_s=round(costs.seconds(costly) / max(1, sum(costly)), 1),
        step_s=tuple(s * at.asked.settings.batch_size / at.networks for s in costs.image_s),
        validation_s=costs.validation_s / at.networks,
        over=over(costs, fitted) if fitted else (),
        left_s=round(left_s, 1),
        after_s=round(after_s, 1),
        mirror=augment.mirror,
        upside_down=augment.upside_down,
    )


# --- what a plan says ----------------------------------------------------------------------------------------------


def read_plan(path: Path, asked: Strategy) -> BudgetPlan:
    """A plan that was written down, with every value of its kind.

    Raises:
        DataError: the file is damaged, or of another strategy.
    """
    try:
        plain = read_json(path)
        plan = from_dict(BudgetPlan, plain)
        as_read = json.loads(json.dumps(asdict(plan)))
        wrong = [name for name, value in plain.items() if as_read[name] != value]
        counts = {len(values) for values in (plan.epochs, plan.step_s, plan.over) if values}
        if plan.epochs and counts != {len(asked.phases)}:
            wrong.append("epochs")
        if min(plan.epochs, default=1) < 1 or plan.networks < 1 or plan.epoch_images < 0:
            wrong.append("a number")
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: not as expected")
    except (OSError, ValueError, TypeError, OverflowError) as error:
        raise DataError(
            f"plan {path} is damaged ({error!s:.200}); delete it and the folder checkpoints beside it, then resume: "
            "training starts again."
        ) from error
    return plan


def allowed(plan: BudgetPlan, asked: Strategy, minutes: float, images: int) -> BudgetDecision:
    """What a plan says, in records.

    Args:
        plan: from ``make_plan``, of this version or an older one.
        asked: the strategy with all its epochs.
        minutes: of the budget.
        images: that are learnt from.
    """
    least, least_s = _least(plan, asked, images)
    if not plan.epochs:
        other_s = 60 * minutes - plan.left_s
        why = Notice(
            "fine_tuning_needs_more",
            {
                "least": least,
                "train_s": max(1.0, least_s),
                "other_s": other_s,
                "minutes": minutes,
                "enough": math.ceil((other_s + least_s) / 60 / AIM),
            },
        )
        return BudgetDecision(strategy=None, why=why)
    settings, short = asked.settings, plan.epoch_images
    augment = replace(settings.augment, mirror=plan.mirror, upside_down=plan.upside_down)
    settings = replace(settings, augment=augment)
    if not plan.views:
        settings = replace(settings, average_views=False, average_shifts=False)
    whole = replace(asked, settings=settings)
    share = short / images if short else 1.0
    strategy = (whole.late_stages() if plan.late else whole).within(plan.epochs, short, share)
    notices = [Notice("late_stages_only")] if plan.late else []
    if not plan.views:
        notices.append(Notice("one_view_only"))
    return BudgetDecision(
        strategy=strategy,
        why=_why(plan, asked, strategy, minutes, images),
        notices=tuple(notices),
        allowance=None if plan.forced or not plan.step_s else _allowance(plan, asked, share),
    )


def _least(plan: BudgetPlan, asked: Strategy, images: int) -> tuple[int, float]:
    """Images that are shown at least, repetitions counted, and the seconds that takes."""
    if plan.least:
        return plan.least, plan.least_s
    epochs = min(asked.settings.min_epochs, asked.epochs)  # in older plans
    return epochs * images, epochs * plan.epoch_s


def _allowance(plan: BudgetPlan, asked: Strategy, share: float) -> Allowance:
    return Allowance(
        seconds=(plan.left_s + plan.after_s) / plan.networks,
        afterwards_s=plan.after_s / plan.networks,
        step_s=plan.step_s,
        validation_s=plan.validation_s,
        over=plan.over,
        most=tuple(math.ceil(phase.epochs / share) for phase in asked.phases),
    )


def _why(plan: BudgetPlan, asked: Strategy, strategy: Strategy, minutes: float, images: int) -> Notice:
    """How the time that was left to train in decided the epochs."""
    left_s, n, short = max(0.0, plan.left_s), strategy.epochs, plan.epoch_images
    if plan.forced:
        least, least_s = _least(plan, asked, images)
        return Notice(
            "epochs_forced",
            {"minutes": minutes, "left_s": left_s, "images": least, "train_s": max(1.0, least_s)},
        )
    if short:
        costly = sum(n for n, s in zip(plan.epochs, plan.step_s, strict=True) if s)
        return Notice(
            "epochs_short",
            {
                "minutes": minutes,
                "left_s": left_s,
                "n": costly,
                "images": short,
                "all": images,
                "seen": costly * short / images,
                "epoch_s": plan.epoch_s,
            },
        )
    if n < asked.epochs:
        return Notice(
            "epochs_cut",
            {
                "epoch_s": plan.epoch_s,
                "minutes": minutes,
                "left_s": left_s,
                "epochs": n,
                "asked": asked.epochs,
            },
        )
    return Notice("epochs_all", {"n": n})


def pass_speed(embed: Callable[[NDArray[np.uint8]], object], images_NSSC: NDArray[np.uint8]) -> tuple[float, float]:
    """Seconds that an image takes a network, and how many times as long as on a quiet computer one thread takes.

    The network itself tells nothing of the second: it waits for memory and for its own threads on a quiet computer too.

    Args:
        embed: the network; called once before, which opens it.
        images_NSSC: a batch.
    """
    embed(images_NSSC[:1])
    started = time.perf_counter()
    embed(images_NSSC)
    return (time.perf_counter() - started) / len(images_NSSC), _busy()


def _busy() -> float:
    """Seconds that pass while one thread computes for a second, from 1 to ``BUSIEST``."""
    started, worked = time.perf_counter(), time.thread_time()
    while (wall_s := time.perf_counter() - started) < LOAD_S:
        pass
    return min(max(wall_s / max(time.thread_time() - worked, 1e-3), 1.0), BUSIEST)
