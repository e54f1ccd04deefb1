"""Fills the HTML templates. Whatever is put into one is escaped, unless a template made it itself.

jinja2 and markupsafe are named in this folder alone.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from markupsafe import Markup, escape

from tribrid.report.words import milliseconds, number, percent, probability, prose, shortened, signed, spaced


def code(text: str) -> Markup:
    """Text with its `code` marked."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


_FILTERS = {
    "code": code,
    "milliseconds": milliseconds,
    "number": number,
    "percent": percent,
    "probability": probability,
    "prose": prose,
    "shortened": shortened,
    "signed": signed,
    "spaced": spaced,
    "thousands": "{:,}".format,
}


@cache
def _template(name: str) -> Any:
    # 50 ms of processor time that a command which makes no page does without.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("tribrid.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(_FILTERS)
    return made.get_template(name)


def render(template: str, **names: object) -> str:
    """The page of a template in `templates/`."""
    page: str = _template(template).render(**names)
    return page
