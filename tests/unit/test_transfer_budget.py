"""What fits into a budget, and a training that keeps to it whatever the computer does meanwhile."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from training_data import bright_half

from svertka.config import Augment, FineTune
from svertka.errors import DataError
from svertka.messages import sentences
from svertka.training import budget, budget_plan
from svertka.training.budget import Allowance, Costs, Course, Fit, Pace, fewest, fit, over
from svertka.training.budget_plan import (
    BUSIEST,
    EXPORT_S,
    TELL_S,
    BudgetPlan,
    PlanInputs,
    allowed,
    make_plan,
    read_plan,
)
from svertka.training.strategies import make_strategy

LPFT = make_strategy("lp-ft", FineTune(max_epochs=24, min_epochs=4), 6)
FLIPPED = make_strategy("lp-ft", FineTune(measure_flips=False, augment=Augment(mirror=True, upside_down=True)), 6)
TWO = make_strategy("two-stage", FineTune(), 6)
GRADUAL = make_strategy("gradual-unfreezing", FineTune(), 6)


def costs(strategy, image_s=0.05, images=2000, validation_s=5.0):
    return Costs(
        image_s=tuple(0.0 if phase.cached else image_s for phase in strategy.phases),
        validation_s=validation_s,
        images=images,
    )


@pytest.mark.parametrize(
    ("strategy", "seconds", "epochs", "images"),
    [
        (LPFT, 24 * 105, (24,), 0),
        (LPFT, 10 * 105 + 1, (10,), 0),
        (LPFT, 420, (4,), 0),
        (LPFT, 100, (4,), 400),  # 4 x (400 x 0.05 s + 5 s)
        (LPFT, 45, (2,), 350),  # four validations would take nearly half of it
        (LPFT, 20, None, 0),  # 300 images are less than 16 steps of 32
        (TWO, 10 * 105, (10, 10), 0),
        (TWO, 150, (10, 4), 650),
        (GRADUAL, 7 * 105, (10, 1, 1, 1, 1, 1, 1), 0),
        (GRADUAL, 300, (10, 1, 1, 1, 1, 1, 1), 900),
    ],
)
def test_epochs_that_fit(strategy, seconds, epochs, images):
    found = fit(strategy, costs(strategy), seconds)
    assert found == (None if epochs is None else Fit(epochs=epochs, epoch_images=images))
    if found:
        assert costs(strategy).seconds(found.epochs, found.epoch_images) <= seconds


@pytest.mark.parametrize(
    ("images", "seconds", "found"),
    [
        (60, 24.0, None),  # 16 steps of 32 are nine epochs
        (60, 28.0, Fit(epochs=(9,))),
        (60, 100.0, Fit(epochs=(24,))),
        (30, 23.0, None),  # 16 steps of 30 are sixteen epochs
        (30, 25.7, Fit(epochs=(16,))),
        (400, 30.0, Fit(epochs=(4,), epoch_images=148)),
    ],
)
def test_few_images_are_learnt_from_in_sixteen_steps_too(images, seconds, found):
    assert fit(LPFT, costs(LPFT, images=images, validation_s=0.1), seconds) == found


@pytest.mark.parametrize(
    ("strategy", "images", "epochs", "epoch_images"),
    [
        (LPFT, 2000, (1,), 16 * 32),
        (LPFT, 400, (2,), 256),
        (LPFT, 60, (9,), 57),
        (LPFT, 30, (16,), 0),
        (LPFT, 1, (16,), 0),
        (make_strategy("lp-ft", FineTune(max_epochs=2, min_epochs=1), 6), 30, (2,), 0),  # no more is asked for
        (TWO, 100, (10, 6), 86),
        (GRADUAL, 2000, (10, 1, 1, 1, 1, 1, 1), 3 * 32),
        (GRADUAL, 30, (10, 3, 3, 3, 3, 3, 3), 0),
    ],
)
def test_the_least_is_sixteen_steps(strategy, images, epochs, epoch_images):
    assert fewest(strategy, costs(strategy, images=images)) == Fit(epochs=epochs, epoch_images=epoch_images)
    steps = -(-(epoch_images or images) // 32)
    trained = sum(n for n, phase in zip(epochs, strategy.phases, strict=True) if not phase.cached)
    assert steps * trained >= min(16, sum(phase.epochs for phase in strategy.phases if not phase.cached))


def test_phases_are_over_in_proportion_to_what_they_cost():
    assert over(costs(TWO), Fit(epochs=(10, 4))) == (0.0, 1.0)
    assert over(costs(GRADUAL), Fit(epochs=(10, 1, 1, 2, 2, 2, 2)))[1:4] == pytest.approx((0.1, 0.2, 0.4))


def test_the_learning_rate_goes_its_whole_way_whatever_the_number_of_steps():
    planned = Course(0, 0.0, 100)
    assert [planned.at(step) for step in (0, 99)] == pytest.approx([0.005, 0.995])
    shorter = planned.until(60, 40)
    assert shorter.at(40) == pytest.approx(0.4 + 0.6 * 0.5 / 20)
    assert shorter.at(59) == pytest.approx(1.0, abs=0.02)
    assert planned.until(40, 40).at(40) == 1.0
    assert planned.until(40, 40).at(39) == shorter.at(39) == pytest.approx(0.4)  # what led there
    assert planned.until(200, 40).at(120) == pytest.approx(0.4 + 0.6 * 80.5 / 160)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    fake = Clock()
    monkeypatch.setattr(budget, "monotonic", fake)
    return fake


def drive(clock, allowance, step_s, course, steps=50, validation_s=2.0, elapsed=0.0):
    """Trains by the clock alone: seconds of training until the course is over, and the course."""
    pace, done = Pace(allowance, elapsed), 0
    while done < course.end:
        pace.begin_steps(0)
        for _ in range(steps):
            course = pace.corrected(course, done, steps)
            if done >= course.end:
                break
            clock.now += step_s(clock.now - 100.0)
            done += 1
            pace.step_taken()
        clock.now += validation_s
        pace.validated(validation_s)
        if done < course.end:
            course = pace.corrected(course, done, steps, longer=True)
    return pace.elapsed, course


ALLOWED = Allowance(seconds=260.0, afterwards_s=40.0, step_s=(0.5,), validation_s=2.0, over=(1.0,), most=(24,))


@pytest.mark.parametrize(
    ("step_s", "low", "high"),
    [
        (lambda now: 0.5, 200, 220),
        (lambda now: 1.0, 150, 181),  # what follows takes 80 s then
        (lambda now: 0.5 if now < 100 else 1.5, 120, 155),  # sixteen steps tell it
        (lambda now: 0.25, 200, 241),  # goes on, as there is time
    ],
)
def test_training_keeps_to_its_time_on_a_computer_that_becomes_slower_or_quicker(clock, step_s, low, high):
    took, course = drive(clock, ALLOWED, step_s, Course(0, 0.0, 400))
    assert low <= took <= high
    assert course.at(course.end - 1) > 0.93  # where the rate is below a hundredth


def test_one_step_that_is_held_up_decides_nothing(clock):
    _, course = drive(clock, ALLOWED, lambda now: 5.0 if 50 < now < 51 else 0.5, Course(0, 0.0, 400))
    assert course.end >= 380


def test_nothing_is_trained_beyond_what_was_asked_for(clock):
    allowance = replace(ALLOWED, seconds=10_000.0, most=(10,))
    assert drive(clock, allowance, lambda now: 0.1, Course(0, 0.0, 400))[1].end == 500
    assert drive(clock, allowance, lambda now: 0.1, Course(0, 0.0, 500))[1] == Course(0, 0.0, 500)


def test_earlier_sessions_count(clock):
    _, course = drive(clock, ALLOWED, lambda now: 0.5, Course(0, 0.0, 400), elapsed=150.0)
    assert 100 <= course.end <= 140


# --- plans ---------------------------------------------------------------------------------------------------------


def situation(left_s, asked=LPFT, *, image_s=0.05, late=0.5, pass_s=0.008, passes=2500, **changes):
    """A machine on which a whole step takes so long, and one of the late stages a part of it."""
    asked_of = []

    def step_s(strategy, within_s):
        asked_of.append(strategy)
        frozen = [not phase.cached and bool(phase.frozen) for phase in strategy.phases]
        return tuple(
            0.0 if phase.cached else image_s * (late if thin else 1)
            for phase, thin in zip(strategy.phases, frozen, strict=True)
        )

    at = PlanInputs(
        asked=asked,
        images=2000,
        val=bright_half(64, 0, axis=0),
        networks=1,
        left_s=lambda: left_s,
        pass_s=pass_s,
        busy=1.0,
        passes=passes,
        delivers=True,
        logits=lambda images: np.zeros((len(images), 2), np.float32),
        step_s=step_s,
        forward=lambda: 1 / 3,
    )
    return replace(at, **changes), asked_of


def planned(left_s, asked=LPFT, *, insist=False, minutes=10.0, **changes):
    at, measured = situation(left_s, asked, **changes)
    plan = make_plan(at, insist=insist)
    return allowed(plan, asked, minutes, at.images), plan, measured


def test_time_for_all_epochs_takes_them_all_and_more_would_not_help():
    found, plan, measured = planned(4000.0)
    assert found.strategy.epochs == 24
    assert sentences(found.why) == "The time was enough for all epochs (24): more of it would add none."
    assert found.allowance.most == (24,)
    assert not plan.late and len(measured) == 1


def test_little_time_is_used_for_late_stages_and_short_epochs_not_for_nothing():
    found, plan, _ = planned(120.0, FLIPPED, minutes=3.0)
    (phase,) = found.strategy.phases
    assert plan.late and phase.frozen == {0, 1, 2} and phase.epochs == 4
    images = found.strategy.settings.epoch_images
    training_s = 4 * (images * 0.025 + 64 * 0.05 / 6)
    after_s = EXPORT_S + TELL_S + 2500 * 0.008
    assert 0.95 * 120 <= training_s + after_s <= 120
    assert [notice.code for notice in found.notices] == ["late_stages_only", "one_view_only"]
    assert sentences(found.why).startswith(
        "Of the time given (3\u00a0min) 92\u00a0s were left to train in, too short for whole epochs"
    )


def test_steps_that_freezing_makes_no_cheaper_are_whole_ones():
    found, plan, measured = planned(200.0, late=0.9)
    assert len(measured) == 2 and not plan.late
    assert not found.strategy.phases[0].frozen


def test_where_no_step_could_fit_nothing_is_measured():
    at, measured = situation(28.0)
    at = replace(at, logits=lambda images: pytest.fail("flips were tried"))
    found = allowed(make_plan(at, insist=False), LPFT, 1.0, at.images)
    assert found.strategy is None and not measured
    assert "There was no time for fine-tuning: to show the network 512 images (repetitions counted)" in sentences(
        found.why
    )


def test_who_insists_gets_a_few_steps_and_is_told():
    found, plan, _ = planned(20.0, TWO, insist=True, minutes=1.5)
    assert [phase.epochs for phase in found.strategy.phases] == [10, 1]
    assert found.strategy.settings.epoch_images == 512
    assert found.allowance is None and plan.forced
    assert "it was shown 512 images all the same" in sentences(found.why)


def test_an_explicit_strategy_takes_what_fits():
    found, plan, _ = planned(75.0, TWO, insist=True, minutes=1.5)
    assert not plan.forced and [phase.epochs for phase in found.strategy.phases] == [10, 4]
    assert 4 * found.strategy.settings.epoch_images * 0.05 < 75


def test_networks_of_folds_share_the_time():
    (alone, *_), (three, *_) = planned(2000.0), planned(2000.0, networks=3)
    assert three.strategy.epochs < alone.strategy.epochs / 2
    assert three.allowance.seconds == pytest.approx(alone.allowance.seconds / 3, rel=0.01)
    assert three.allowance.step_s == pytest.approx(alone.allowance.step_s)


def test_flips_are_judged_too_where_there_is_time():
    assert planned(4000.0, FLIPPED)[0].strategy.settings.average_views
    assert not planned(150.0, FLIPPED)[0].strategy.settings.average_views


def test_who_insists_with_few_images_gets_whole_steps_whose_time_is_told_as_it_is():
    found, plan, measured = planned(1.0, insist=True, images=30, image_s=0.001)
    assert len(measured) == 2 and plan.forced and not plan.late
    assert [(phase.epochs, phase.frozen) for phase in found.strategy.phases] == [(16, frozenset())]
    assert "it was shown 480 images all the same" in sentences(found.why)
    assert "takes about 1\u00a0s here" in sentences(found.why)  # 16 x (30 + 64 / 3) x 1 ms
    assert planned(1.0, insist=True, image_s=0.1)[1].late  # 51 s, and half of that on the late stages


class Times:
    """A computer on which a thread gets a share of a processor."""

    def __init__(self, share):
        self.share, self.wall_s = share, 0.0

    def perf_counter(self):
        self.wall_s += 1e-3
        return self.wall_s

    def thread_time(self):
        return self.share * self.wall_s


@pytest.mark.parametrize(("share", "busy"), [(1.0, 1.0), (0.25, 4.0), (0.0, BUSIEST)])
def test_a_computer_is_busy_by_what_it_gives_a_thread_not_by_how_a_network_uses_it(monkeypatch, share, busy):
    times = Times(share)
    monkeypatch.setattr(budget_plan, "time", times)

    def embed(images):  # one thread of many computes, or all wait for memory
        times.wall_s += 0.01 * len(images)

    pass_s, found = budget_plan.pass_speed(embed, np.zeros((32, 8, 8, 3), np.uint8))
    assert pass_s == pytest.approx(0.01, rel=0.01)
    assert found == pytest.approx(busy, rel=0.05)


# --- plans of older versions, damaged plans ------------------------------------------------------------------------

OLD = Path(__file__).with_name("older_runs") / "plan.json"


def test_a_plan_of_an_older_version_is_obeyed():
    asked = make_strategy("lp-ft", FineTune(max_epochs=60, min_epochs=8, batch_size=8), 6)
    found = allowed(read_plan(OLD, asked), asked, 60.0, 26)
    assert [phase.epochs for phase in found.strategy.phases] == [60]
    assert found.strategy.settings.epoch_images == 0 and found.strategy.settings.augment.upside_down
    assert found.allowance is None and not found.notices
    assert found.why.code == "epochs_all"


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"epochs": [20]}, "epochs_cut", "enough for 20 of 60 epochs"),
        ({"forced": True, "epochs": [8]}, "epochs_forced", "it was shown 208 images all the same"),
        ({"epochs": []}, "fine_tuning_needs_more", "to show the network 208 images"),
    ],
)
def test_older_plans_of_every_kind_are_told(tmp_path, changes, code, text):
    asked = make_strategy("lp-ft", FineTune(max_epochs=60, min_epochs=8, batch_size=8), 6)
    (tmp_path / "plan.json").write_text(json.dumps(json.loads(OLD.read_text()) | changes))
    found = allowed(read_plan(tmp_path / "plan.json", asked), asked, 60.0, 26)
    assert found.why.code == code and text in sentences(found.why)
    assert (found.strategy is None) == (not changes["epochs"])


def test_a_plan_reads_back_as_it_was_written(tmp_path):
    _, plan, _ = planned(120.0, FLIPPED, minutes=3.0)
    (tmp_path / "plan.json").write_text(json.dumps(asdict(plan)))
    assert read_plan(tmp_path / "plan.json", FLIPPED) == plan


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:40],
        lambda text: "[1, 2]",
        lambda text: "null",
        lambda text: text.replace("120.0", '"soon"'),
        lambda text: text.replace("[5]", "[5, 5]"),
        lambda text: text.replace("[5]", "[2.5]"),
        lambda text: text.replace("[5]", "[0]"),
        lambda text: text.replace("[5]", "[1e999]"),
        lambda text: text.replace("[5]", "5"),
        lambda text: text.replace("[5]", "null"),
        lambda text: text.replace('"forced": false', '"forced": "no"'),
        lambda text: text.replace("forced", "enforced"),
        lambda text: text.replace('"networks": 1', '"networks": 0'),
    ],
)
def test_a_damaged_plan_is_told_in_one_line(tmp_path, damage):
    plan = BudgetPlan(
        strategy="lp-ft", epochs=(5,), forced=False, epoch_s=1.0, left_s=120.0, mirror=True, upside_down=False
    )
    path, text = tmp_path / "plan.json", json.dumps(asdict(plan))
    path.write_text(text)
    assert read_plan(path, LPFT) == plan
    path.write_text(damage(text))
    assert path.read_text() != text
    with pytest.raises(DataError, match=r"^plan .*plan\.json is damaged \(.*delete it and the folder") as raised:
        read_plan(path, LPFT)
    assert "\n" not in str(raised.value)
