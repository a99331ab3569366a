"""The model card, as Markdown.

Its items are those that reporting checklists for diagnostic models ask for: TRIPOD+AI (Collins et al. 2024, BMJ 385,
e078378) and CLAIM (Mongan, Moy and Kahn 2020, Radiology: Artificial Intelligence 2, e200029), in the form of a model
card (Mitchell et al. 2019, arXiv 1810.03993). What a run measured is filled in. What only a person can know (where the
images come from, who named their classes, what the model is for) is asked for, never made up.
"""

import re
from pathlib import Path

from svertka.messages.translator import Translator
from svertka.report.alerts import make_alerts
from svertka.report.appendix import make_methods
from svertka.report.dataset import class_counts
from svertka.report.mistakes import surest_mistakes
from svertka.report.results import make_abstention, make_class_table, make_confusion, positive_class
from svertka.report.templating import make_environment, minute, write_page
from svertka.schema import RunRecord
from svertka.util.version import __version__

_MISTAKES_SHOWN = 5


def write_card(run: RunRecord, path: Path | str) -> Path:
    """Writes the model card of a run, in the language of ``run.config.language``.

    Args:
        run: all that is shown.
        path: of the Markdown file; its folder must exist.

    Returns:
        The path.
    """
    return write_page(render_card(run), path)


def render_card(run: RunRecord) -> str:
    """Returns the model card as Markdown."""
    tr = Translator(run.config.language, whole=True)
    environment = make_environment(tr, html=False)
    environment.filters["md"] = escaped
    return environment.get_template("model_card.md.j2").render(
        run=run,
        version=__version__,
        date=minute(run.started),
        classes=class_counts(run),
        table=make_class_table(tr, run.evaluation),
        confusion=make_confusion(tr, run.evaluation).finding,
        abstention=make_abstention(tr, run.evaluation),
        mistakes=surest_mistakes(run)[:_MISTAKES_SHOWN],
        positive=positive_class(run.evaluation),
        methods=[sentence for sentence in make_methods(tr, run) if sentence != tr("methods.limits")],
        warnings=[alert.said for alert in make_alerts(tr, run) if alert.level == "warning"],
    )


def escaped(text: object) -> str:
    """Other people's text as it reads in Markdown: no markup of its own, no line break, no end of a table's cell."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", " ".join(str(text).split()))
