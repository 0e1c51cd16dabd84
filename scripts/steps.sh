# Shared by the scripts of this folder: where the checkout is, and progress lines.
# Source it; it runs nothing by itself.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
step_number=0
step_count=0
step_quiet=no

# Prints "[n/m] name ..... " and leaves the line open for the outcome.
step() {
    step_number=$((step_number + 1))
    step_name=$1
    [ "$step_quiet" = yes ] || step_line
}

step_line() {
    local dots="............................................."
    printf '[%d/%d] %s %s ' "$step_number" "$step_count" "$step_name" "${dots:${#step_name}}"
}

# Ends the line that `step` began. Quiet steps that did nothing leave no line at all.
outcome() {
    if [ "$step_quiet" = no ]; then
        printf '%s\n' "$1"
    elif [ "$1" != "already here" ]; then
        step_line
        printf '%s\n' "$1"
    fi
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Runs a command with its output in a log, which is shown only when the command fails.
logged() {
    local log
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1 </dev/null; then
        printf 'failed\n'
        printf '$ %s\n' "$*" >&2
        tail -40 "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

# A duration in the form that people read: 0.4 s, 12 s, 3 min 12 s. Takes two $EPOCHREALTIME values.
duration() {
    local from=${1/[.,]/} to=${2/[.,]/} ms
    ms=$(((to - from) / 1000))
    if [ "$ms" -lt 10000 ]; then
        printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
    elif [ "$ms" -lt 60000 ]; then
        printf '%d s' $((ms / 1000))
    else
        printf '%d min %d s' $((ms / 60000)) $((ms % 60000 / 1000))
    fi
}
