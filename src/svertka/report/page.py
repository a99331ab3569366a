"""Builds ``report.html`` from a run's records: one file, no network, no script needed to read it."""

from pathlib import Path

from svertka.messages.translator import Translator
from svertka.report.alerts import folded, make_alerts
from svertka.report.appendix import costs_finding, make_commands, make_config_rows, make_methods, unused_table
from svertka.report.charts import learning_charts, precision_recall_chart, reliability_charts, roc_chart
from svertka.report.dataset import make_data_section
from svertka.report.headline import make_headline
from svertka.report.mistakes import make_mistakes
from svertka.report.phases import make_phases
from svertka.report.results import make_abstention, make_class_table, make_confusion, metric_glosses
from svertka.report.seeing import make_seeing
from svertka.report.templating import make_environment, minute, write_page
from svertka.schema import RunRecord


def build_report(run: RunRecord, path: Path | str) -> Path:
    """Writes the report of a run.

    Images are read from ``run.catalog``; one that is gone or damaged becomes a tile that says so.

    Args:
        run: all that is shown, in the language of ``run.config.language``.
        path: of the HTML file; its folder must exist.

    Returns:
        The path.
    """
    return write_page(render(run), path)


def render(run: RunRecord) -> str:
    """Returns the report as HTML."""
    tr = Translator(run.config.language)
    curves = roc_chart(tr, run.evaluation), precision_recall_chart(tr, run.evaluation)
    template = make_environment(tr, html=True).get_template("page.html.j2")
    return template.render(
        run=run,
        date=minute(run.started),
        headline=make_headline(tr, run),
        # Where it is read, the report exists, also if the run had failed to write it.
        alerts=folded([alert for alert in make_alerts(tr, run) if alert.code != "not_reported"]),
        phases=make_phases(tr, run.phases),
        data=make_data_section(tr, run),
        learning=learning_charts(tr, run.history),
        confusion=make_confusion(tr, run.evaluation),
        classes=make_class_table(tr, run.evaluation),
        curves=[chart for chart in curves if chart],
        reliability=reliability_charts(tr, run.evaluation),
        abstention=make_abstention(tr, run.evaluation),
        mistakes=make_mistakes(tr, run),
        seeing=make_seeing(tr, run),
        glosses=metric_glosses(tr, run.evaluation),
        costs_finding=costs_finding(tr, run.costs) if run.costs else "",
        config=make_config_rows(run.config),
        unused_table=unused_table(run.config),
        commands=make_commands(run),
        methods=make_methods(tr, run),
    )
