#!/bin/bash
# Checks that every source is built, that includes point downwards, and that the deliberate breaks still apply.
#
#   tests/tidy/sources.sh BUILD_FOLDER      a configured build folder, with tests
#
# 1. Every .cc and every .proto file is compiled in that configuration: sources are listed by hand, and a file that is
#    forgotten would otherwise never be compiled.
# 2. A lower layer never includes a higher one: core includes no server, client, gRPC or protobuf header, the client
#    library no core header (of the command line program only client/cli/offline.cc may), and inside core the order is
#    base, device and format, store, cache, maintenance.
# 3. Every patch of tests/crash/mutations applies: what no longer does would be missed only by the whole proof.
set -euo pipefail
cd "$(dirname "$0")/../.."
commands=${1:-}/compile_commands.json
if [[ ! -f "$commands" ]]; then
  echo "usage: tests/tidy/sources.sh BUILD_FOLDER   (a configured build folder)" >&2
  exit 2
fi
failed=0

complain() {
  echo "sources.sh: $*" >&2
  failed=1
}

bench=true # Configured only where its yardsticks are installed.
grep -q '/tests/bench/main.cc"' "$commands" || bench=false
while read -r file; do
  case "$file" in
    tests/support/tsan_absl_shim.cc | tests/fuzz/*.cc | tests/package/*.cc) continue ;; # Only in builds of their own.
    tests/bench/*.cc) $bench || continue ;;&
    *.proto) compiled=${file%.proto}.pb.cc ;;
    *) compiled=$file ;;
  esac
  grep -q "/$compiled\"" "$commands" || complain "no CMakeLists.txt names $file"
done < <(find core server client tests proto -name '*.cc' -o -name '*.proto' | sort)

for break in tests/crash/mutations/*.patch; do
  patch -p1 --dry-run --silent --fuzz=0 <"$break" >/dev/null || complain "$break does not apply any more"
done

# must_not_include FOLDER PATTERN EXCEPT: no file below FOLDER, but for EXCEPT, includes what PATTERN matches.
must_not_include() {
  local hits
  [[ -d "$1" ]] || return 0
  hits=$(grep -rnE --include='*.h' --include='*.cc' "^#include [<\"]($2)" "$1" | grep -v "^${3:-nothing}:" || true)
  [[ -z "$hits" ]] || complain "these includes point upwards:"$'\n'"$hits"
}
must_not_include core '(server|client|tests|dmcached|grpc|grpcpp|google|prometheus|spdlog|CLI)/'
must_not_include core/base 'core/(device|format|store|cache|maintenance|migration)/'
must_not_include core/device 'core/(format|store|cache|maintenance|migration)/'
must_not_include core/format 'core/(device|store|cache|maintenance|migration)/'
must_not_include core/store 'core/(cache|maintenance|migration)/'
must_not_include core/cache 'core/(maintenance|migration)/'
must_not_include core/maintenance 'core/migration/'
must_not_include server 'client/|tests/'
must_not_include client '(core|server|tests)/' client/cli/offline.cc
must_not_include client/include '(grpc|grpcpp|google)/|[a-z/]*\.pb\.h'
exit $failed
