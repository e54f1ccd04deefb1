"""What every section of settings is made of: it refuses names it does not know, and takes lists as one line of text."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


def _words(value: Any) -> Any:
    """A list as one line has it: in the environment and on the command line."""
    return value.split() if isinstance(value, str) else value


Word = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Words = Annotated[tuple[Word, ...], BeforeValidator(_words), Field(max_length=20)]
"""Words of a setting that is a list; one line of text is split at white space."""
Measures = Annotated[Words, BeforeValidator(lambda value: value.replace(",", " ") if isinstance(value, str) else value)]
"""Names of measures; one line of text may have commas between them."""
