#!/bin/bash
# Tries to lose data, in every way we know, and prints one table: what, how many, how long, failures.
#
#   tests/proof.sh           the whole proof: hours, not minutes; PROOF_HOURS (default 1, fractions allowed) scales it
#   tests/proof.sh --quick   what tests/run.sh ends with: minutes
#
# Uses build/release and builds what is missing.  What each part printed is in build/proof.  Exit code 1: something was
# found; the last line is `proof: N passed, N failed`.
set -uo pipefail
cd "$(dirname "$0")/.."

JOBS=${JOBS:-$(nproc)}
export JOBS
quick=false
case "${1:-}" in
  "") ;;
  --quick) quick=true ;;
  *)
    echo "usage: tests/proof.sh [--quick]" >&2
    exit 2
    ;;
esac

build=build/release
logs=build/proof
mkdir -p "$logs"
if [[ ! -f $build/build.ninja ]]; then
  deploy/packages.sh test && cmake -C .cmake/release.cmake -S . -B $build -G Ninja -DDMCACHED_TESTS=ON || exit 1
fi
ninja -C $build -j "$JOBS" >"$logs/build.log" 2>&1 || {
  tail -n 40 "$logs/build.log" >&2
  exit 1
}

rows=()
passed=0
failed=0
skipped=0

# prove WHAT FIGURES COMMAND...: runs a part; FIGURES is a sed script that makes its figures out of what it printed.
prove() {
  local what=$1 figures=$2 begin=$SECONDS result=0
  shift 2
  local log=$logs/${what// /-}.log
  "$@" >"$log" 2>&1 || result=$?
  local verdict=0
  case $result in
    0) passed=$((passed + 1)) ;;
    77)
      skipped=$((skipped + 1))
      verdict=skipped
      ;;
    *)
      failed=$((failed + 1))
      verdict=FAILED
      ;;
  esac
  local text
  text=$(sed -nE "$figures" "$log" | tr '\n' ' ')
  rows+=("$(printf '%-34s %6d s  %-8s %s' "$what" $((SECONDS - begin)) "$verdict" "$text")")
  printf '%s\n' "${rows[-1]}"
  if [[ $verdict == FAILED || $verdict == skipped ]]; then tail -n 40 "$log"; fi
}

# tests PROGRAMS: their tests, as ctest counts them; PROGRAMS is a regular expression.
tests() { ctest --test-dir $build -j "$JOBS" --output-on-failure --no-tests=error --timeout 900 -R "^($1)[.]" -E _NOT_BUILT; }
readonly TESTS_RUN='s/^.*, ([0-9]+) tests failed out of ([0-9]+)$/\2 tests, \1 failed/p'
readonly WHOLE_LINE='$p'

if $quick; then
  cuts=(--images 100000)  # Of first cuts; those of second ones come on top.
  kills=20
  handovers=3
  fuzz_seconds=20
else
  hours=${PROOF_HOURS:-1}
  # part N: that many for an hour, as many as `hours` asks for, at least one.
  part() { awk -v all="$1" -v hours="$hours" 'BEGIN { n = int(all * hours + 0.5); print n < 1 ? 1 : n }'; }
  cuts=(--hours "$hours")
  kills=$(part 500)
  handovers=10
  fuzz_seconds=$(part 1200)
fi

prove "power cuts" "$WHOLE_LINE" $build/tests/crash/crash_driver "${cuts[@]}" --jobs "$JOBS"
prove "rules of the model" "$TESTS_RUN" tests 'crash_findings_test|engine_(commit|failure|interleavings|repeats|threads)_test'
prove "faults and damage" "$TESTS_RUN" tests 'fault_test|e2e_test[.]All/FailingDeviceTest|e2e_test[.]FaultIsolationTest'
prove "checker" "$TESTS_RUN" tests 'checker_test|check_memory_test|check_runner_test|checker_interop_test|check_e2e_test'
prove "hostile callers" "$TESTS_RUN" tests 'hostile_callers_test|process_test'
prove "kill -9 under load" '/kills, /p' env DMCACHED_KILLS=$kills $build/tests/e2e/kill_test
prove "kernel handovers" "$WHOLE_LINE" tests/interop/kernel/run.sh $build --handovers $handovers
prove "fuzzing" 's/ +/ /gp' tests/fuzz/run.sh --seconds $fuzz_seconds
if ! $quick; then
  prove "breaks that the cuts must find" "$WHOLE_LINE" tests/crash/mutations/run.sh $build
  prove "sanitizers" "$WHOLE_LINE" tests/run.sh --sanitizers
fi

printf '\n%-34s %8s  %-8s %s\n' "what" "time" "failures" "how many"
printf '%s\n' "${rows[@]}"
((skipped == 0)) || printf '%d skipped: see %s\n' $skipped $logs
printf 'proof: %d passed, %d failed\n' $passed $failed
((failed == 0))
