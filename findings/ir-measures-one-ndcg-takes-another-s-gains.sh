#!/usr/bin/env bash
# ir_measures 0.4.3 with pytrec_eval-terrier 0.5.11: asked together for nDCG@10 and for nDCG@10 with gains of its own, it
# may count the plain one with the other's gains, and give 0 for the one that has them.
#
# Seen: one query of three judged documents. Alone, nDCG@10 is 0.8597. In the same call with nDCG(gains={1: 5})@10 it is
# 1.0 and the other 0.0 in about three of four processes, and right in the rest: it depends on the order of a set, so on
# PYTHONHASHSEED. No warning, no error.
# Tribrid: measures with gains of their own are asked in a call of their own (evaluation/measures.py, per_query);
# tests/oracle/test_measures.py holds it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check ir_measures==0.4.3 pytrec_eval-terrier==0.5.11
cat >"$work/measure.py" <<'PY'
import ir_measures
from ir_measures import nDCG

qrels = {"q": {"a": 1, "b": 2, "c": 0}}
run = {"q": {"a": 3.0, "b": 2.0, "c": 1.0}}
plain, gained = nDCG @ 10, nDCG(gains={1: 5}) @ 10
alone = ir_measures.calc_aggregate([plain], qrels, run)[plain]
together = ir_measures.calc_aggregate([plain, gained], qrels, run)
print(f"{alone:.4f} {together[plain]:.4f} {together[gained]:.4f}")
PY
wrong=0
for seed in $(seq 0 11); do
    read -r alone plain gained < <(PYTHONHASHSEED=$seed "$work/venv/bin/python" "$work/measure.py")
    echo "hash seed $seed: nDCG@10 alone $alone, together $plain, the one with gains $gained"
    [[ $alone == "$plain" ]] || wrong=$((wrong + 1))
done
echo "$wrong of 12 processes count the plain measure wrongly"
((wrong > 0)) || { echo "changed: the two measures no longer mix" >&2; exit 1; }
