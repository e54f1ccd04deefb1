"""What models cost: `data/models.json`, looked up and multiplied.

A price nobody can vouch for is not in the list, and an estimate for such a model says so (`usd` is None) instead
of claiming it is free. Local models cost 0 and report their compute seconds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tribrid.answers.costs import Cost, CostEstimate, EvaluationCost, GenerationCost, MiningCost, TrainingCost
from tribrid.errors import InvalidInput, Unavailable

Kind = Literal["RERANK", "EMB", "GEN"]
Unit = Literal["token", "search"]
LOCAL = "local"

# Rule of thumb of the providers for English: a token is about four characters.
CHARS_PER_TOKEN = 4
# Rerank services that bill by search count each hundred documents as one, and each of the pieces that a long document
# is cut into, of about this many tokens with the query, as a document of its own.
DOCUMENTS_PER_SEARCH = 100
PIECE_TOKENS = 500
# A longer query is cut, so that each piece has room for the document.
MOST_QUERY_TOKENS = PIECE_TOKENS // 2

_FILE = "models.json"


class Price(BaseModel):
    """One model's price: `usd` for every `per` units; for kind GEN `usd_output` for every `per` units written."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Kind
    provider: Annotated[str, Field(min_length=1, max_length=100)]
    model: Annotated[str, Field(min_length=1, max_length=1000)]
    unit: Unit
    per: Annotated[int, Field(ge=1)]
    usd: Annotated[float, Field(ge=0)]
    usd_output: Annotated[float, Field(ge=0)] | None = None
    as_of: Annotated[str, Field(pattern=r"^\d{4}-\d{2}(-\d{2})?$")]
    source: str


class _PriceList(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    about: str = ""
    models: tuple[Price, ...]
    vendors: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prices:
    """The price list in force. `vendors`: names of their rerank models that clients send, priced or not."""

    models: tuple[Price, ...]
    vendors: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def vendor(self, model: str) -> str | None:
        """Whose rerank model this is; None for a local one, and for one that the list has not."""
        named = next((vendor for vendor, models in self.vendors.items() if model in models), None)
        if named is not None:
            return named
        return next(
            (p.provider for p in self.models if (p.kind, p.model) == ("RERANK", model) and p.provider != LOCAL), None
        )

    def find(self, kind: Kind, model: str, provider: str | None = None) -> Price | None:
        """The price of a model, of any provider if none is named; None if the list has none."""
        for price in self.models:
            if price.kind == kind and price.model == model and provider in (None, price.provider):
                return price
        return None

    def estimate(
        self,
        kind: Kind,
        model: str,
        units: float,
        *,
        provider: str | None = None,
        output_units: float = 0.0,
        compute_s: float | None = None,
    ) -> Cost:
        """What some use of a model costs.

        Args:
            kind: RERANK, EMB or GEN.
            model: its name in the list; any name at all where the provider is "local".
            units: tokens or searches, as the price says; tokens read for kind GEN.
            provider: "local" for a model that runs here; None to go by the model's name alone.
            output_units: tokens written, kind GEN.
            compute_s: seconds of this machine's time, where they are known.

        Returns:
            `usd` is None, with a `note`, for a model that is not in the list.
        """
        price = self.find(kind, model, provider)
        cost = Cost(
            model=model,
            kind=kind,
            provider=price.provider if price else provider,
            unit=price.unit if price else "token",
            units=units,
            usd=0.0 if provider == LOCAL else None,
            as_of=price.as_of if price else None,
            compute_s=compute_s,
        )
        if price is not None:
            usd = (units * price.usd + output_units * (price.usd_output or 0.0)) / price.per
            return cost.model_copy(update={"usd": usd})
        if provider == LOCAL:
            return cost
        note = f"no {kind} price for this model in {_FILE}: add it to the file that TRIBRID_MODELS_FILE names"
        return cost.model_copy(update={"note": note})

    def estimate_rerank(
        self,
        model: str,
        *,
        query_chars: Sequence[int],
        documents: int,
        document_chars: int,
        provider: str | None = None,
        batch: int | None = None,
    ) -> Cost:
        """What reranking costs before it is done, in the unit the model's price is in (see `rerank_units`).

        Args:
            model: its name in the list.
            query_chars: length of each query, characters.
            documents: candidates of each query.
            document_chars: length of a candidate, characters.
            provider: as for `estimate`.
            batch: documents in a request; None: all in one.
        """
        price = self.find("RERANK", model, provider)
        tokens = math.ceil(document_chars / CHARS_PER_TOKEN)
        units = sum(
            rerank_units(
                price.unit if price else "token", math.ceil(chars / CHARS_PER_TOKEN), [tokens] * documents, batch=batch
            )
            for chars in query_chars
        )
        return self.estimate("RERANK", model, units, provider=provider)


NO_SERVICES: Mapping[str, Cost] = MappingProxyType({})
Whole = TypeVar("Whole", CostEstimate, MiningCost, TrainingCost, EvaluationCost)


def together(
    whole: type[Whole],
    local: Cost,
    *,
    generation: GenerationCost | None = None,
    cloud: Mapping[str, Cost] = NO_SERVICES,
    estimated: CostEstimate | None = None,
) -> Whole:
    """The cost of work on this machine with that of what it asks elsewhere; unknown as soon as one part is."""
    asked: list[Cost] = [*([generation] if generation else []), *cloud.values()]
    parts = [cost.usd for cost in (local, *asked) if cost.usd is not None]
    facts = local.model_dump(exclude_unset=True) | {"usd": sum(parts) if len(parts) == 1 + len(asked) else None}
    facts |= ({"generation": generation} if generation else {}) | ({"cloud": dict(cloud)} if cloud else {})
    facts |= {"estimated": estimated} if estimated else {}
    return whole.model_validate(facts)


def rerank_units(unit: Unit, query_tokens: int, document_tokens: Sequence[int], *, batch: int | None = None) -> int:
    """What a service counts for reranking these documents for one query.

    By search: each request's documents in hundreds, long ones as their pieces. By token: the query once for each
    document, and the documents.

    Args:
        unit: what the price is for.
        query_tokens: length of the query, tokens.
        document_tokens: length of each document, tokens.
        batch: documents in a request; None: all in one.

    References: cohere.com/pricing, docs.pinecone.io/models/cohere-rerank-4-fast, docs.voyageai.com/docs/pricing.
    """
    if unit == "token":
        return query_tokens * len(document_tokens) + sum(document_tokens)
    room = PIECE_TOKENS - min(query_tokens, MOST_QUERY_TOKENS)
    pieces = [max(1, math.ceil(tokens / room)) for tokens in document_tokens]
    size = batch or max(1, len(pieces))
    requests = [pieces[start : start + size] for start in range(0, len(pieces), size)]
    return sum(math.ceil(sum(request) / DOCUMENTS_PER_SEARCH) for request in requests)


def load_prices(path: Path | None = None) -> Prices:
    """The price list of a file, or the one that comes with Tribrid.

    Raises:
        InvalidInput: the file given cannot be read, or an entry is wrong; names file and field.
        Unavailable: Tribrid's own list is missing from this installation.
    """
    file = Path(path) if path is not None else _shipped()
    try:
        listed = _PriceList.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput(f"The price list {str(file)!r} cannot be read: {_reason(error)}.", path=str(file)) from None
    return Prices(listed.models, listed.vendors)


def _shipped() -> Traversable:
    """The list inside the installed package; in a source tree, where `src/` is the package, the repository's."""
    packaged = resources.files("tribrid") / "data" / _FILE
    if packaged.is_file():
        return packaged
    repository = Path(__file__).resolve().parents[3] / "data" / _FILE
    if repository.is_file():
        return repository
    raise Unavailable(f"The price list {_FILE} is missing from this installation: install tribrid again.")


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        fault = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
    return str(error) if not isinstance(error, OSError) else str(error.strerror)
