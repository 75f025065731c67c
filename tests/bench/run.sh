#!/bin/bash
# Builds the benchmarks and runs them on a Debian 12 machine; installs the packages that are missing.
#
#   tests/bench/run.sh [--quick] [--dir FOLDER] [--json FILE] [--plot FILE] [--only PART_OF_NAME] [--list]
#
# FOLDER (default /var/tmp) is where files are made; where its file system does not take O_DIRECT, the exit code is 2.
# Every row prints a figure, its yardstick from the same run, their ratio, the target, and whether it is met.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

"$root/deploy/packages.sh" bench
{
  cmake -C "$root/.cmake/release.cmake" -S "$root" -B "$root/build/release" -G Ninja -DDMCACHED_TESTS=ON
  ninja -C "$root/build/release" -j "${JOBS:-$(nproc)}" dmcached_bench
} >&2
exec "$root/build/release/tests/bench/dmcached_bench" "$@"
