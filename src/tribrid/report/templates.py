"""Fills the HTML templates. Whatever is put into one is escaped, unless a template made it itself.

jinja2 and markupsafe are named in this folder alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from typing import Any

from markupsafe import Markup, escape

from tribrid.report.words import milliseconds, number, percent, probability, prose, shortened, signed, spaced


def code(text: str) -> Markup:
    """Text with its `code` marked."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


_FILTERS: dict[str, Callable[..., object]] = {
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


class Templates:
    """The templates of a package, which may use the parts of the report's.

    Whatever is put into one is escaped, unless a template made it itself.
    """

    def __init__(self, package: str, **filters: Callable[..., object]) -> None:
        self._package, self._filters = package, filters

    @cached_property
    def _environment(self) -> Any:
        # 50 ms of processor time that a command which makes no page does without.
        from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

        loaders = [PackageLoader(name) for name in dict.fromkeys((self._package, _PACKAGE))]
        made = Environment(
            loader=ChoiceLoader(loaders),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        made.filters.update(_FILTERS | self._filters)
        return made

    def render(self, template: str, **names: object) -> str:
        """The page of a template."""
        page: str = self._environment.get_template(template).render(**names)
        return page


_PACKAGE = "tribrid.report"
render = Templates(_PACKAGE).render
"""The page of a template in `templates/`."""
