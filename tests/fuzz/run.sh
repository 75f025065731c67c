#!/bin/bash
# Builds the fuzzers and runs each of them for a while; fails on a crash, a leak, a hang (10 s) or 2 GiB of memory.
#
#   tests/fuzz/run.sh [--seconds N] [FUZZER...]
#
# N (default 20) is per fuzzer.  Prints a line for each: executions, edges reached (cov), inputs kept.  What made one
# fail is left in build/fuzz/artifacts; `build/fuzz/tests/fuzz/FUZZER FILE` runs it again.  What was found interesting
# is kept in build/fuzz/corpus for the next run.  SEED sets libFuzzer's seed (default: random, printed).
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=20
if [[ "${1:-}" == --seconds ]]; then
  seconds=${2:?usage: tests/fuzz/run.sh [--seconds N] [FUZZER...]}
  shift 2
fi
fuzzers=("$@")
if ((${#fuzzers[@]} == 0)); then fuzzers=(image_fuzzer config_fuzzer request_fuzzer); fi

jobs=${JOBS:-$(nproc)}
log=build/fuzz/build.log
mkdir -p build/fuzz/artifacts
if ! { cmake -C .cmake/fuzz.cmake -S . -B build/fuzz -G Ninja -DDMCACHED_TESTS=ON &&
  ninja -C build/fuzz -j "$jobs" "${fuzzers[@]}" request_seeds; } >"$log" 2>&1; then
  tail -n 40 "$log" >&2
  exit 1
fi

seed=${SEED:-$RANDOM}
failed=0
for fuzzer in "${fuzzers[@]}"; do
  name=${fuzzer%_fuzzer}
  corpus=build/fuzz/corpus/$name
  mkdir -p "$corpus"
  arguments=(-max_total_time="$seconds" -seed="$seed" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
    -artifact_prefix=build/fuzz/artifacts/ "$corpus")
  # An image's execution is so short that the entropic schedule takes a third of the time.
  if [[ $name == image ]]; then arguments+=(-entropic=0); fi
  if [[ -d tests/fuzz/corpus/$name ]]; then arguments+=("tests/fuzz/corpus/$name"); fi
  if [[ $name == request ]]; then
    mkdir -p build/fuzz/seeds
    build/fuzz/tests/fuzz/request_seeds build/fuzz/seeds
    arguments+=(build/fuzz/seeds)
  fi
  if [[ -f tests/fuzz/$name.dict ]]; then arguments+=("-dict=tests/fuzz/$name.dict"); fi
  result=0
  "build/fuzz/tests/fuzz/$fuzzer" "${arguments[@]}" >"build/fuzz/$fuzzer.log" 2>&1 || result=$?
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/$fuzzer.log")
  coverage=$(grep -oE 'cov: [0-9]+ ft: [0-9]+ corp: [0-9]+' "build/fuzz/$fuzzer.log" | tail -n 1 || true)
  printf '%-16s %8s executions  %s  seed %s%s\n' "$fuzzer" "${executions:-0}" "$coverage" "$seed" \
    "$( ((result == 0)) || echo '  FAILED')"
  if ((result != 0)); then
    failed=1
    tail -n 60 "build/fuzz/$fuzzer.log" >&2
  fi
done
exit $failed
