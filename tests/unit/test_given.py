"""A document without text is not read, and stands last with a probability of nothing, whatever the others have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synthetic import reading_of
from tribrid.encoders.cross_encoder import CrossEncoder
from tribrid.loop.given_documents import GivenList
from tribrid.retrieval.outside import WORDLESS
from tribrid.scoring.calibration import SIGMOID, AnyCalibration
from tribrid.scoring.learned import Reading, Scores


class Logits:
    """A scorer that is sure of all it reads."""

    model_id = "m"
    calibration: AnyCalibration = SIGMOID
    cross_encoder: CrossEncoder | None = None

    def score(self, reading: Reading) -> Scores:
        assert all(c.passage.text for c in reading.candidates)
        return np.arange(3, 3 + len(reading.candidates), dtype=np.float64)


@pytest.mark.parametrize("wordless", [1, 2, 4])
def test_what_has_no_text_is_not_read_and_last(wordless: int) -> None:
    reading = reading_of(0, n=4)
    blank = [
        replace(c, passage=replace(c.passage, text=" "), score=WORDLESS) if at >= 4 - wordless else c
        for at, c in enumerate(reading.candidates)
    ]
    given = GivenList(replace(reading, candidates=blank), [[at] for at in range(4)], 0)
    placed = given.placed(given.reranked(Logits(), 4))
    read = 4 - wordless
    assert [at for at, _ in placed] == [*range(read - 1, -1, -1), *range(read, 4)]
    probabilities = SIGMOID.probabilities(np.array([score for _, score in placed]))
    assert (probabilities[:read] > 0.9).all()
    assert (probabilities[read:] < 0.001).all()
