"""What another engine answers is held to its form: what is in none is told, and is no traceback."""

from __future__ import annotations

from typing import Any

import pytest

from tribrid.engines import elastic, qdrant
from tribrid.engines.http import formed
from tribrid.errors import Unavailable

HITS: list[Any] = [{}, {"hits": ["x"]}, {"hits": {"hits": ["x"]}}, {"hits": {"hits": [{"_id": "a", "_source": ["b"]}]}}]


@pytest.mark.parametrize("answer", [*HITS, {"hits": {"hits": []}, "_shards": [1]}])
def test_hits_in_another_form_are_told(answer: Any) -> None:
    with pytest.raises(Unavailable, match="is not as OpenSearch or Elasticsearch gives it"):
        elastic._hits(answer)


def test_hits_of_some_shards_are_not_all() -> None:
    answer = {"hits": {"hits": []}, "_shards": {"total": 2, "successful": 1, "failed": 1, "skipped": 0}}
    with pytest.raises(Unavailable, match="only 1 of 2 shards answered"):
        elastic._hits(answer)


@pytest.mark.parametrize("result", [None, [], {"points": ["x"]}, {"points": [{"id": 1, "payload": ["a"]}]}])
def test_points_in_another_form_are_told(result: Any) -> None:
    with pytest.raises(Unavailable, match="is not as Qdrant gives it"):
        formed({"result": result}, qdrant._Answer, "Qdrant")
