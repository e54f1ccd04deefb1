#!/usr/bin/env bash
# ir_measures 0.4.3 with pytrec_eval-terrier 0.5.11: measures of one call break ties in opposite directions, and scores that
# differ by less than a float32 can hold are ties to some of them and an order to others.
#
# Seen: of two documents with one score, of which the first by id is relevant, RR@1 is 1.0, while P@1 and nDCG@1 of the same
# call are 0.0 and RR is 0.5: it is first for one of them and second for the others. If the relevant one scores 0.3 + 1e-9 and
# the other 0.3, nothing changes: P@1, nDCG@1 and RR see a tie and put it second. No warning.
# Tribrid: no score reaches a provider. Each list is put in trec_eval's order first and handed on with scores counted down
# from its length (evaluation/measures.py, _countdown); tests/oracle/test_measures.py holds it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check ir_measures==0.4.3 pytrec_eval-terrier==0.5.11
"$work/venv/bin/python" - <<'PY'
import sys

import ir_measures
from ir_measures import P, RR, nDCG

qrels = {"q": {"a": 1}}


def measured(a, b):
    found = ir_measures.calc_aggregate([P @ 1, nDCG @ 1, RR, RR @ 1], qrels, {"q": {"a": a, "b": b}})
    print(f"a {a!r}, b {b!r}:", ", ".join(f"{measure} {value}" for measure, value in found.items()))
    return {str(measure): value for measure, value in found.items()}


tied, close = measured(1.0, 1.0), measured(0.3 + 1e-9, 0.3)
seen = (tied["RR@1"], tied["P@1"], tied["nDCG@1"], tied["RR"], close["RR@1"], close["P@1"])
sys.exit("changed" if seen != (1.0, 0.0, 0.0, 0.5, 1.0, 0.0) else 0)
PY
