"""An analysis in a notebook: a short table, as a fragment of HTML."""

from html import escape

from lungscore.report.text import NOT_COMPUTED, headline
from lungscore.result import Analysis, to_result
from lungscore.version import RESEARCH_USE


def summary_html(analysis: Analysis) -> str:
    """The numbers of the headline and the warnings; every text is escaped."""
    result = to_result(analysis)
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(name.strip())}</th>"
        f"<td style='text-align:left'>{escape(text)}</td></tr>"
        for name, text in headline(result)
        if text != NOT_COMPUTED
    )
    warnings = "".join(f"<li>{escape(warning.message)}</li>" for warning in result.warnings)
    return (
        f"<table><caption>{escape(result.case)} · {escape(RESEARCH_USE)}</caption>{rows}</table>"
        + (f"<ul>{warnings}</ul>" if warnings else "")
    )
