#!/usr/bin/env bash
# openvino 2026.4.1 with openvino-telemetry 2025.2.0 (which it requires): `import openvino` alone makes an id for the user
# and hands an event to an analytics service. No model is loaded, nothing is converted, nobody was asked.
#
# Seen: after the import the home folder holds intel/openvino_ga_cid, a random id that stays, and intel/stats, which counts
# the imports. openvino/tools/ovc/__init__.py sends the event "import" where no file says that the user declined.
# Tribrid: imports it as if the telemetry package were absent, which openvino allows for (encoders/bfloat16.py).
# tests/unit/test_bfloat16.py holds that the home folder stays empty.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 openvino-telemetry==2025.2.0
mkdir "$work/home"
env -u CI HOME="$work/home" "$work/venv/bin/python" -c 'import openvino; print("openvino", openvino.__version__)'
echo "In the home folder after the import: $(cd "$work/home" && find . -type f | sort | tr '\n' ' ')"
if [[ ! -s "$work/home/intel/openvino_ga_cid" ]]; then
    echo "changed: the import made no id" >&2
    exit 1
fi
