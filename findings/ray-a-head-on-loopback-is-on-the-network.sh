#!/usr/bin/env bash
# Ray 2.60.0 takes 127.0.0.1 for the machine's address on the network: a head that is started there listens to everybody.
#
# Seen: `ray start --head --node-ip-address=127.0.0.1` says "Local node IP: 10.0.0.5" (or whatever the machine has) and
# listens on all interfaces; who reaches the port runs code, unless token authentication is on, which it is not by itself
# for a cluster that is started so. `ray.init("127.0.0.1:6379")` asks the machine's other address for the same reason, so
# a head that `ray.cluster_utils` does bind to loopback is not found. RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0, made for other
# systems, is the only way that was found to have 127.0.0.1 mean itself.
# Tribrid: tests/ray_nodes.py sets it, so that the nodes of the tests listen on loopback alone. The how-to says to turn
# the token on, and to close the ports (docs/howto-ray.md). tests/contract/test_spread_work.py holds it.
set -euo pipefail
work=$(mktemp -d)
head=
ended() { test -z "$head" || { kill "$head" 2>/dev/null; wait "$head" 2>/dev/null; } || true; head=; }
trap 'ended; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check ray==2.60.0
export HOME="$work" RAY_TMPDIR="$work" RAY_USAGE_STATS_ENABLED=0 RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_TOKEN

# What a head that is told 127.0.0.1 says of itself.
address() {
    "$work/venv/bin/ray" start --head --block --node-ip-address=127.0.0.1 --port=0 --num-cpus=1 \
        --include-dashboard=false >"$work/said" 2>&1 &
    head=$!
    for _ in $(seq 120); do
        grep -q 'Ray runtime started' "$work/said" && break
        sleep 1
    done
    ended
    sed -n 's/.*Local node IP: *//p' "$work/said" | sed 's/\x1b\[[0-9;]*m//g' | head -1
}
as_told=$(RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 address)
usual=$(address)
echo "told 127.0.0.1, it is: $usual; with the switch for other systems: $as_told"
if [[ $usual == 127.* ]]; then
    own=$("$work/venv/bin/python" -c 'import ray; print(ray.util.get_node_ip_address())')
    [[ $own == 127.* ]] && echo "this machine has no other address: nothing can be seen here" && exit 0
    echo "changed: a head that is told 127.0.0.1 stays there" >&2
    exit 1
fi
[[ $as_told == 127.0.0.1 ]] || { echo "changed: the switch does nothing" >&2; exit 1; }
