"""Warnings that a reader needs before trusting the figures: leaks, conflicts, order, rejects, few test images.

Each thing is told once, and what matters most stands first: ``RANKED`` is the order.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from svertka.evaluate import FEW_IMAGES, FEW_IN_A_CLASS
from svertka.messages.translator import Translator
from svertka.report.headline import beats_majority
from svertka.schema import Notice, RunRecord, ShortcutProbe

_MANY_REJECTED = 0.05
# Notices that the alerts below tell with figures and advice of their own.
_TOLD_BY_ALERTS = frozenset(
    {"files_rejected", "few_test_images", "few_test_images_in_class", "class_without_test_images"}
)
SHOWN = 3
"""How many messages stand before the content; the others are folded away or follow it."""
RANKED = (
    "not_handed_over",  # there is nothing to use
    "not_reported",
    "useless",  # the figure says nothing, or not what it seems to say
    "seen_in_training",
    "leaks",
    "conflicts",
    "order",
    "groups_suggested",
    "class_missing_in_split",
    "many_unlike_training",
    "value_range_mixed",
    "shortcut",
    "parity",
    "random_features",
    "few",  # it says little
    "few_test_images",
    "class_without_test_images",
    "ranking_not_measured",
    "large_unit",
    "leaks_val",
    "rejected",  # what was not used
    "files_rejected",
    "classes_left_out",
    "images_in_no_class",
    "folders_ignored",
    "class_without_images",
    "class_missing_in_part",
    "split_missing",
    "samples",
    "value_range_outliers",
)
"""Codes of alerts and notices, the weightiest first; all others come after them."""

Level = Literal["warning", "info", "good", "note"]
_Said = TypeVar("_Said", "Alert", Notice)


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One message at the top of the report."""

    code: str
    """Names the kind, for ``RANKED``."""
    level: Level
    """A ``"note"`` is folded away under the others."""
    title: str
    """What it is about; may be empty."""
    body: str
    link: str = ""
    """Id of the section that shows more, if any."""

    @property
    def said(self) -> str:
        """Title and body, one after the other."""
        return ". ".join(filter(None, (self.title, self.body)))


def make_alerts(tr: Translator, run: RunRecord) -> tuple[Alert, ...]:
    """All alerts, warnings first and the weightiest of them at the top; one calm line where there is no warning."""
    found = [
        *_leaks(tr, run),
        *_figures(tr, run),
        *_few_images(tr, run),
        *_shortcuts(tr, run),
        *_notices(tr, run),
    ]
    if not any(alert.level == "warning" for alert in found):
        found.append(_alert(tr, "none", "good"))
    return tuple(by_weight(found))


def by_weight(said: Sequence[_Said]) -> list[_Said]:
    """Alerts or notices, the loudest first, and of one loudness the weightiest."""
    loudness = {"warning": 0, "good": 1, "info": 2, "note": 3}
    places = {code: place for place, code in enumerate(RANKED)}
    return sorted(said, key=lambda each: (loudness[each.level], places.get(each.code, len(RANKED))))


def folded(alerts: Sequence[Alert]) -> tuple[list[Alert], list[Alert]]:
    """Alerts that stand before the content, and those that are folded away: what is beyond ``SHOWN``, and notes."""
    shown = [alert for alert in alerts if alert.level != "note"][:SHOWN]
    return shown, [alert for alert in alerts if alert not in shown]


def _alert(tr: Translator, code: str, level: Level = "warning", link: str = "", **values: object) -> Alert:
    """An alert whose title and body stand under its code in the catalogue."""
    title, body = tr(f"alert.{code}.title", **values), tr(f"alert.{code}.body", **values)
    return Alert(code=code, level=level, title=title, body=body, link=link)


def _leaks(tr: Translator, run: RunRecord) -> Iterator[Alert]:
    leaks, dropped = run.split.leaks, len(run.split.dropped)
    if leaks:
        kinds = Counter(leak.kind for leak in leaks)
        parts = ", ".join(f"{tr.known('leak', kind)}: {tr.count(n)}" for kind, n in kinds.most_common())
        reach_test = sum("test" in (leak.where_a, leak.where_b) for leak in leaks)
        harm = tr("alert.leaks.test", n=reach_test) if reach_test else tr("alert.leaks.val")
        advice = tr("alert.leaks.dropped", n=dropped) if dropped else tr("alert.leaks.advice")
        yield Alert(
            code="leaks" if reach_test else "leaks_val",
            level="info" if dropped else "warning",
            title=tr("alert.leaks.title", n=len(leaks)),
            body=f"{harm} {advice} ({parts}.)",
            link="leaks",
        )


def _figures(tr: Translator, run: RunRecord) -> Iterator[Alert]:
    """What the run's own checks found: conflicting labels, order, no gain over guessing, engines that disagree."""
    if run.split.conflicts:
        yield _alert(tr, "conflicts", link="leaks", n=len(run.split.conflicts))
    if run.order and run.order.suspicious:
        yield _alert(tr, "order", order=run.order)
    if beats_majority(run.evaluation) is False:
        yield _alert(tr, "useless")
    if run.parity and run.parity.same_labels < run.parity.n:
        yield _alert(tr, "parity", same=run.parity.same_labels, n=run.parity.n)
    rejected = len(run.catalog.rejected)
    if rejected:
        share = rejected / (rejected + len(run.catalog.records))
        level: Level = "warning" if share > _MANY_REJECTED else "info"
        yield _alert(tr, "rejected", level, link="rejected", n=rejected, share=share)


def _few_images(tr: Translator, run: RunRecord) -> Iterator[Alert]:
    """One alert for all that too few test images bring: on the whole, in some classes, none in a class."""
    evaluation = run.evaluation
    said: list[tuple[str, str]] = []
    if evaluation.n < FEW_IMAGES:
        accuracy = evaluation.metrics.get("accuracy")
        body = tr("alert.few.body", accuracy=accuracy) if accuracy else tr("alert.few.body_plain")
        said.append((tr("alert.few.title", n=evaluation.n), body))
    missing = [scores.name for scores in evaluation.per_class if scores.support == 0]
    if missing:
        notice = Notice("class_without_test_images", {"names": missing})
        said.append((tr("notice.class_without_test_images.title"), tr.sentences(notice)))
    thin = [scores.name for scores in evaluation.per_class if 0 < scores.support < FEW_IN_A_CLASS]
    if thin:
        title = tr("alert.thin.title", n=len(thin), limit=FEW_IN_A_CLASS)
        scarce = Notice("few_test_images_in_class", {"limit": FEW_IN_A_CLASS, "names": thin})
        said.append((title, tr.sentences(scarce)))
    if said:
        yield Alert(
            code="few",
            level="warning",
            title=said[0][0],
            body=" ".join(body for _, body in said),
            link="classes" if thin or missing else "",
        )


def _shortcuts(tr: Translator, run: RunRecord) -> Iterator[Alert]:
    """Probes that learn from what should not matter: a warning where one comes near the model."""
    model = run.evaluation.metrics.get("roc_auc")
    for probe in run.insight.shortcuts if run.insight else ():
        near = probe.verdict == "near the model"
        if probe.pairs and not near:
            yield _paired_shortcut(tr, probe)
            continue
        if probe.roc_auc is None or not (near or probe.verdict == "better than chance"):
            continue
        level: Level = "warning" if near else "info"
        reached = model.value if model else math.nan
        said = _alert(tr, f"shortcut.{probe.name}", level, link="seeing", probe=probe.roc_auc, model=reached)
        yield replace(said, code="shortcut")


def _paired_shortcut(tr: Translator, probe: ShortcutProbe) -> Alert:
    """What tells some classes apart, though not all of them."""
    best = probe.pairs[0]
    return Alert(
        code="shortcut",
        level="warning",
        title=tr(f"alert.shortcut.{probe.name}.pairs"),
        body=tr(
            "alert.shortcut.pairs",
            n=len(probe.pairs),
            sees=tr(f"shortcut.{probe.name}"),
            first=tr.quoted(best.first),
            second=tr.quoted(best.second),
            best=best.roc_auc,
            mean=probe.roc_auc.value if probe.roc_auc else math.nan,
        ),
        link="seeing",
    )


def _notices(tr: Translator, run: RunRecord) -> Iterator[Alert]:
    """What other steps noticed, each once."""
    seen: set[str] = set()
    without = {scores.name for scores in run.evaluation.per_class if scores.support == 0}
    for notice in (*run.notices, *run.catalog.notices, *run.split.notices, *run.evaluation.notices):
        body = tr.sentences(notice)
        if notice.code in _TOLD_BY_ALERTS or body in seen or _told_of_test(notice, without):
            continue
        seen.add(body)
        yield Alert(
            code=notice.code,
            level="warning" if notice.level == "warning" else "note",
            title=tr.known("notice", f"{notice.code}.title", ""),
            body=body,
        )


def _told_of_test(notice: Notice, without: set[str]) -> bool:
    """Whether a notice says no more than that classes have no test images, which the alert on few images says."""
    if notice.code not in ("class_missing_in_part", "class_missing_in_split") or notice.values.get("part") != "test":
        return False
    names = notice.values.get("names")
    return isinstance(names, list) and without >= set(names)
