#!/bin/sh
# Runs each fuzz target for SECONDS, 60 by default, from its seeds and the corpus of earlier runs.
#
# Usage: run.sh [SECONDS [TARGET...]]. Prints the totals at the end. The status is 1 if anything was
# found.
set -eu
cd "$(dirname "$0")"
time=${1:-60}
[ $# = 0 ] || shift
[ $# -gt 0 ] || set -- wire policy setters network images
command -v cargo-fuzz >/dev/null || cargo install --quiet --locked cargo-fuzz
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for target in "$@"; do
    cargo +nightly fuzz build "$target" >/dev/null 2>"$log" || { cat "$log"; exit 1; }
done
found=0
totals=
for target in "$@"; do
    mkdir -p "corpus/$target"
    if cargo +nightly fuzz run "$target" "corpus/$target" "seeds/$target" -- -max_total_time="$time" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 >"$log" 2>&1; then
        end=passed
    else
        end=FAILED found=1
        tail -60 "$log"
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    totals="$totals$target: ${runs:-0} executions in $time s, $end
"
done
printf '%s' "$totals"
exit "$found"
