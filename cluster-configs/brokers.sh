# What the `start` scripts of this folder share: brokers that are started together, watched, and
# stopped cleanly by Ctrl-C. Sourced, not run.
#
#   start_cluster NAME FOUNDER ID BROKER ..
#
# NAME is the folder with BROKER.yaml for each broker, and the folder of their data and logs below
# gossamer-data. The first start makes the mesh in the directory of FOUNDER, whose node id is ID,
# and the secret that lets the others in; later starts find both.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
binary=${GOSSAMER:-.build/release/gossamer}
[ -x "$binary" ] || { echo "error: $binary is not built; run: swift build -c release" >&2; exit 1; }

brokers=()
code=0

# Whatever ends the script, no broker is left behind.
stop_all() {
    trap '' INT TERM
    local broker
    [ ${#brokers[@]} -eq 0 ] || kill -TERM "${brokers[@]}" 2>/dev/null || true
    for broker in "${brokers[@]}"; do
        wait "$broker" || { code=1; echo "broker of process $broker did not stop cleanly: see $data/*.log" >&2; }
    done
    brokers=()
}

# Members that the founder sees alive.
alive() {
    "$binary" gossip members --data-dir "$data/$founder" -o json 2>/dev/null \
        | grep -o '"state" *: *"alive"' | wc -l
}

start_cluster() {
    local name=$1 id=$3 n
    founder=$2
    shift 3
    local names=("$@")
    data=gossamer-data/$name
    mkdir -p "$data"
    trap stop_all EXIT
    trap 'echo; echo "stopping"; stop_all; [ $code -ne 0 ] || echo "stopped cleanly"; exit $code' INT TERM
    [ -e "$data/secret" ] || "$binary" cluster init --data-dir "$data/$founder" --node-id "$id" --secret-file "$data/secret"
    for n in "${names[@]}"; do
        # In a session of its own, so that Ctrl-C reaches this script alone.
        setsid "$binary" serve --config "cluster-configs/$name/$n.yaml" >"$data/$n.log" 2>&1 </dev/null &
        brokers+=($!)
        echo $! >"$data/$n.pid"
    done
    local deadline=$((SECONDS + 60))
    until [ "$(alive)" -ge ${#names[@]} ]; do
        for n in "${!brokers[@]}"; do
            kill -0 "${brokers[$n]}" 2>/dev/null || { tail -3 "$data/${names[$n]}.log" >&2; exit 1; }
        done
        [ $SECONDS -lt $deadline ] || { echo "error: not ${#names[@]} members after a minute: see $data/*.log" >&2; exit 1; }
        sleep 0.1
    done
    "$binary" gossip members --data-dir "$data/$founder"
    echo
}

# Until Ctrl-C, or until the last broker has ended. One that ends is named and not missed: whoever
# killed it sees what the others make of it.
watch_brokers() {
    local ended broker left
    while [ ${#brokers[@]} -gt 0 ]; do
        wait -n -p ended "${brokers[@]}" || true
        echo "the broker of process $ended has ended: see $data/*.log" >&2
        left=()
        for broker in "${brokers[@]}"; do [ "$broker" = "$ended" ] || left+=("$broker"); done
        brokers=("${left[@]}")
    done
    echo "error: no broker is left" >&2
    exit 1
}
