"""One self-contained HTML report of a run, and its model card, from records alone.

``page`` is the table of contents. A section's builder (``headline``, ``alerts``, ``dataset``, ``charts``, ``results``,
``mistakes``, ``seeing``, ``appendix``) computes what the records don't hold: findings, cuts, pictures, charts. Its
template writes these and the records' own figures with the translator ``t``. ``card`` is the Markdown beside the page.
"""

from svertka.report.card import write_card
from svertka.report.page import build_report

__all__ = ["build_report", "write_card"]
