"""Tells answers how a notebook shows them: a report and a comparison as their page, any other as a table."""

from __future__ import annotations

from tribrid.answers.answer import Answer, drawn
from tribrid.answers.comparison import SystemComparison
from tribrid.answers.report import EvaluationReport
from tribrid.report.comparison import comparison_page
from tribrid.report.notebook import fields, framed
from tribrid.report.page import render_html

_REPORT, _HEAD, _ROW = 720, 420, 60
"""Heights, px: a report's, whose inside scrolls; a comparison's without its rows; a row's."""


def _report(report: EvaluationReport) -> str:
    return framed(render_html(report, [], {}), _REPORT)


def _comparison(found: SystemComparison) -> str:
    rows = len(found.systems) + len(found.pairs) + len(found.slices)
    return framed(comparison_page(found), min(2 * _REPORT, _HEAD + _ROW * rows))


drawn.update({Answer: fields, EvaluationReport: _report, SystemComparison: _comparison})
