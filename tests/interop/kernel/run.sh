#!/bin/bash
# Hands caches over between dmcached and a real kernel, and back; needs no KVM, no device mapper and no root.
#
#   tests/interop/kernel/run.sh BUILD_FOLDER [--handovers N]    N is 1 if it is not given
#
# The kernel and what it boots from are made once, in BUILD_FOLDER/kernel.  Exit code 77 where there can be no guest.
set -euo pipefail
build=$(realpath "${1:?"usage: run.sh BUILD_FOLDER [--handovers N]"}")
shift
"$(dirname "$0")/setup.sh" "$build/kernel"
exec "$build/tests/interop/kernel/kernel_handovers" "$build/kernel" "$@"
