"""One self-contained HTML report of a run, and its model card, from records alone.

``page`` is the table of contents. Each section has a builder that turns records into words and numbers (``headline``,
``alerts``, ``dataset``, ``charts``, ``results``, ``curves``, ``mistakes``, ``appendix``) and a template that only lays
them out. ``card`` is the Markdown beside it.
"""

from svertka.report.card import write_card
from svertka.report.page import build_report

__all__ = ["build_report", "write_card"]
