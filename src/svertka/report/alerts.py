"""What a person must know before trusting the figure: leaks, conflicts, order, rejects, few test images."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from svertka.report.headline import beats_majority
from svertka.report.voice import Voice
from svertka.schema import Notice, RunRecord, ShortcutProbe

_FEW_TEST_IMAGES = 200
_FEW_IN_A_CLASS = 10
_MANY_REJECTED = 0.05
# Notices that the alerts below tell with figures and advice of their own.
_TOLD_BY_ALERTS = frozenset({"files_rejected", "few_test_images", "few_test_images_in_class"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One message at the top of the report.

    Attributes:
        level: ``"note"`` is folded away under the others.
        title: what it is about; may be empty.
        body: a sentence or two.
        link: id of the section that shows more, if any.
    """

    level: Literal["warning", "info", "good", "note"]
    title: str
    body: str
    link: str = ""


def make_alerts(voice: Voice, run: RunRecord) -> tuple[Alert, ...]:
    """All alerts, warnings first; one calm line where there is no warning."""
    found = [
        *_leaks(voice, run),
        *_conflicts(voice, run),
        *_order(voice, run),
        *_usefulness(voice, run),
        *_few_images(voice, run),
        *_shortcuts(voice, run),
        *_rejected(voice, run),
        *_parity(voice, run),
        *_notices(voice, run),
    ]
    warnings = [alert for alert in found if alert.level == "warning"]
    rest = [alert for alert in found if alert.level != "warning"]
    if not warnings:
        rest.insert(0, Alert(level="good", title=voice("alert.none.title"), body=voice("alert.none.body")))
    return (*warnings, *rest)


def _leaks(voice: Voice, run: RunRecord) -> Iterator[Alert]:
    leaks, dropped = run.split.leaks, len(run.split.dropped)
    if leaks:
        kinds = Counter(leak.kind for leak in leaks)
        parts = ", ".join(f"{voice.known('leak', kind)}: {voice.count(n)}" for kind, n in kinds.most_common())
        reach_test = sum("test" in (leak.where_a, leak.where_b) for leak in leaks)
        harm = voice("alert.leaks.test", n=reach_test) if reach_test else voice("alert.leaks.val")
        advice = voice("alert.leaks.dropped", n=dropped) if dropped else voice("alert.leaks.advice")
        yield Alert(
            level="info" if dropped else "warning",
            title=voice("alert.leaks.title", n=len(leaks)),
            body=f"{harm} {advice} ({parts}.)",
            link="leaks",
        )


def _conflicts(voice: Voice, run: RunRecord) -> Iterator[Alert]:
    if run.split.conflicts:
        yield Alert(
            level="warning",
            title=voice("alert.conflicts.title", n=len(run.split.conflicts)),
            body=voice("alert.conflicts.body"),
            link="leaks",
        )


def _order(voice: Voice, run: RunRecord) -> Iterator[Alert]:
    if run.order is not None and run.order.suspicious:
        yield Alert(
            level="warning",
            title=voice("alert.order.title"),
            body=voice(
                "alert.order.body",
                shuffled=voice.decimal(run.order.shuffled),
                contiguous=voice.decimal(run.order.contiguous),
                error=voice.decimal(run.order.standard_error),
            ),
        )


def _usefulness(voice: Voice, run: RunRecord) -> Iterator[Alert]:
    if beats_majority(run.evaluation) is False:
        yield Alert(level="warning", title=voice("alert.useless.title"), body=voice("alert.useless.body"))


def _few_images(voice: Voice, run: RunRecord) -> Iterator[Alert]:
    evaluation = run.evaluation
    if evaluation.n < _FEW_TEST_IMAGES:
        accuracy = evaluation.metrics.get("accuracy")
        body = (
            voice("alert.few.body_plain")
            if accuracy is None
            else voice("alert.few.body", low=voice.percent(accuracy.low), high=voice.percent(accuracy.high))
        )
        yield Alert(level="warning", title=voice("alert.few.title", n=evaluation.n), body=body)
    thin = [scores for scores in evaluation.per_class if 0 < scores.support < _FEW_IN_A_CLASS]
    if thin:
        yield Alert(
            level="warning",
            title=voice("alert.thin.title", n=len(thin), limit=_FEW_IN_A_CLASS),
            body=voice("alert.thin.body", names=[scores.name for scores in thin]),
            link="classes",
        )


def _rejected(voice: Voice, run: RunRecord) -> Iterator[Alert]:
    rejected = len(run.catalog.rejected)
    if rejected:
        share = rejected / (rejected + len(run.catalog.records))
        yield Alert(
            level="warning" if share > _MANY_REJECTED else "info",
            title=voice("alert.rejected.title", n=rejected),
            body=voice("alert.rejected.body", share=voice.percent(share)),
            link="rejected",
        )


def _shortcuts(voice: Voice, run: RunRecord) -> Iterator[Alert]:
    """Probes that learn from what should not matter: a warning where one comes near the model."""
    model = run.evaluation.metrics.get("roc_auc")
    for probe in run.insight.shortcuts if run.insight else ():
        near = probe.verdict == "near the model"
        if probe.pairs and not near:
            yield _paired_shortcut(voice, probe)
            continue
        if probe.roc_auc is None or not (near or probe.verdict == "better than chance"):
            continue
        yield Alert(
            level="warning" if near else "info",
            title=voice(f"alert.shortcut.{probe.name}.title"),
            body=voice(
                f"alert.shortcut.{probe.name}.body",
                probe=voice.decimal(probe.roc_auc.value),
                low=voice.decimal(probe.roc_auc.low),
                high=voice.decimal(probe.roc_auc.high),
                model="–" if model is None else voice.decimal(model.value),
                n=probe.roc_auc.n,
            ),
            link="seeing",
        )


def _paired_shortcut(voice: Voice, probe: ShortcutProbe) -> Alert:
    """What tells some classes apart, though not all of them."""
    best = probe.pairs[0]
    return Alert(
        level="warning",
        title=voice(f"alert.shortcut.{probe.name}.pairs"),
        body=voice(
            "alert.shortcut.pairs",
            n=len(probe.pairs),
            sees=voice(f"shortcut.{probe.name}"),
            first=voice.quoted(best.first),
            second=voice.quoted(best.second),
            value=voice.decimal(best.roc_auc.value),
            low=voice.decimal(best.roc_auc.low),
            high=voice.decimal(best.roc_auc.high),
            mean="–" if probe.roc_auc is None else voice.decimal(probe.roc_auc.value),
        ),
        link="seeing",
    )


def _parity(voice: Voice, run: RunRecord) -> Iterator[Alert]:
    if run.parity and run.parity.same_labels < run.parity.n:
        yield Alert(
            level="warning",
            title=voice("alert.parity.title"),
            body=voice("alert.parity.body", same=run.parity.same_labels, n=run.parity.n),
        )


def _notices(voice: Voice, run: RunRecord) -> Iterator[Alert]:
    """What other steps noticed, each once."""
    seen: set[str] = set()
    every: tuple[Notice, ...] = (
        *run.notices,
        *run.catalog.notices,
        *run.split.notices,
        *run.evaluation.notices,
    )
    for notice in every:
        body = voice.sentences(notice)
        if notice.code in _TOLD_BY_ALERTS or body in seen:
            continue
        seen.add(body)
        yield Alert(
            level="warning" if notice.level == "warning" else "note",
            title=voice.known("notice", f"{notice.code}.title", ""),
            body=body,
        )
