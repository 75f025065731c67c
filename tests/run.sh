#!/bin/bash
# Builds dmcached and runs every test it has, on a Debian 12 machine; installs the packages that are missing.
#
#   tests/run.sh                release build and all tests, clang-format, tests/tidy/sources.sh, tests/proof.sh --quick
#   tests/run.sh --full         the same, then the sanitizers and clang-tidy
#   tests/run.sh --sanitizers   only AddressSanitizer with UndefinedBehaviorSanitizer, and ThreadSanitizer
#
# A stage that fails does not keep the next from running.  The last line of the output is `N passed, N failed`: the tests
# of every ctest run, the rows of the proof, one for every check, and one failure for every build that fails.  JOBS sets
# how much runs at a time (default: the number of processors).  Everything is built below build/.
set -uo pipefail
cd "$(dirname "$0")/.."

JOBS=${JOBS:-$(nproc)}
export JOBS
release=true
sanitizers=false
tidy=false
case "${1:-}" in
  "") ;;
  --full)
    sanitizers=true
    tidy=true
    ;;
  --sanitizers)
    release=false
    sanitizers=true
    ;;
  *)
    echo "usage: tests/run.sh [--full | --sanitizers]" >&2
    exit 2
    ;;
esac

passed=0
failed=0
timings=()

# stage NAME COMMAND...: runs a command under a heading and notes how long it took.  Returns what it returns.
stage() {
  local name=$1 begin=$SECONDS result=0
  shift
  printf '\n=== %s\n' "$name"
  "$@" || result=$?
  timings+=("$(printf '%5d s  %s%s' $((SECONDS - begin)) "$name" "$( ((result == 0)) || echo '  FAILED')")")
  return $result
}

# check NAME COMMAND...: a stage that counts as one test.
check() {
  if stage "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

# run_tests CONFIGURATION CTEST_ARGUMENTS...: ctest in its build folder, with its result added to the sums.  Tests that
# were skipped count neither way.
run_tests() {
  local build=$PWD/build/$1 result=0
  local junit=$build/junit.xml
  shift
  rm -f "$junit"
  ctest --test-dir "$build" -j "$JOBS" --output-on-failure --no-tests=error --timeout 300 --output-junit "$junit" "$@" ||
    result=$?
  # The attributes of <testsuite>, one a line.
  number() { head -n 10 "$junit" 2>/dev/null | grep -oE "\b$1=\"[0-9]+\"" | grep -oE '[0-9]+' || echo 0; }
  local failures skipped disabled
  failures=$(number failures)
  skipped=$(number skipped)
  disabled=$(number disabled)
  passed=$((passed + $(number tests) - failures - skipped - disabled))
  failed=$((failed + failures))
  # Failed without a failed test: there was none to run, or ctest itself stumbled.
  if ((result != 0 && failures == 0)); then failed=$((failed + 1)); fi
  return $result
}

# build CONFIGURATION TARGETS...: configures build/CONFIGURATION from .cmake/CONFIGURATION.cmake and builds it.
build() {
  local configuration=$1
  shift
  cmake -C ".cmake/$configuration.cmake" -S . -B "build/$configuration" -G Ninja -DDMCACHED_TESTS=ON &&
    ninja -C "build/$configuration" -j "$JOBS" "$@"
}

# Tests of targets that were not built.
left_out='_NOT_BUILT'

# build_and_test CONFIGURATION TARGETS...: builds them and runs their tests.
build_and_test() {
  local configuration=$1
  shift
  if stage "build $configuration" build "$configuration" "$@"; then
    stage "test $configuration" run_tests "$configuration" -E "$left_out" -LE slow || true
  else
    failed=$((failed + 1))
  fi
}

if ! stage "packages" deploy/packages.sh test; then
  printf '0 passed, 1 failed\n'
  exit 1
fi
# What the sanitizers look at: the engine and the daemon over a socket under both, for ThreadSanitizer without what has
# one thread only.  The CLI and the reference tools are run by the release build only, for time's sake.
asan_targets=(tests/core/all tests/property/all tests/crash/all fault_test fixtures_test server_test client_test
  e2e_test check_e2e_test hostile_callers_test process_test)
tsan_targets=(tests/core/cache/all device_test checker_test check_runner_test server_test client_test
  e2e_test check_e2e_test hostile_callers_test security_test)

# The proof's rows, added to the sums.
run_proof() {
  local log=build/proof.log result=0
  tests/proof.sh --quick 2>&1 | tee "$log" || result=$?
  local rows
  rows=$(tail -n 1 "$log" | sed -nE 's/^proof: ([0-9]+) passed, ([0-9]+) failed$/\1 \2/p')
  read -r rows_passed rows_failed <<<"${rows:-0 1}"
  passed=$((passed + rows_passed))
  failed=$((failed + rows_failed))
  return $result
}

if $release; then
  # The proof does more of these.
  left_out='_NOT_BUILT|^crash[.]EveryWrite|^KernelTest' build_and_test release all
  check "clang-format" tests/tidy/format.sh
  check "sources and includes" tests/tidy/sources.sh build/release
  stage "proof" run_proof || true
fi
if $sanitizers; then
  # They need programs that only the release build has.
  left_out='_NOT_BUILT|^CliEndToEnd|^KernelTest|^DeployTest'
  build_and_test asan "${asan_targets[@]}"
  left_out+='|^ForeignClient|^crash[.]' build_and_test tsan "${tsan_targets[@]}"
fi
if $tidy; then check "clang-tidy" tests/tidy/tidy.py build/release; fi

printf '\n=== times\n'
printf '%s\n' "${timings[@]}"
printf '%5d s  together\n\n' "$SECONDS"
printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
