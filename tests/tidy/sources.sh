#!/bin/bash
# Checks that every C++ source is built and that includes point downwards.
#
#   tests/tidy/sources.sh
#
# 1. Every .cc file is named in the CMakeLists.txt (or *.cmake) of its folder or of one above it: sources are listed by
#    hand, and a file that is forgotten would otherwise never be compiled.  Every proto file likewise.
# 2. A lower layer never includes a higher one: core includes no server, client, gRPC or protobuf header, the client
#    library no core header (of the command line program only client/cli/offline.cc may), and inside core the order is
#    base, device and format, store, cache, maintenance.
set -euo pipefail
cd "$(dirname "$0")/../.."
failed=0

complain() {
  echo "sources.sh: $*" >&2
  failed=1
}

# Succeeds if a CMake file of the folder of `$1`, or of a folder above it, names it by its path from there.
is_listed() {
  local folder name
  folder=$(dirname "$1")
  while true; do
    name=${1#"$folder"/}
    [[ "$folder" == . ]] && name=$1
    if grep -qsE "(^|[[:space:](/\"])${name//./\\.}([[:space:])\"]|$)" "$folder"/CMakeLists.txt "$folder"/*.cmake; then
      return 0
    fi
    # Helpers such as dmcached_test(foo_test) name a test without its ending.
    if [[ "$name" == *_test.cc ]] &&
      grep -qsE "(^|[[:space:](/])${name%.cc}([[:space:])]|$)" "$folder"/CMakeLists.txt; then
      return 0
    fi
    [[ "$folder" == . ]] && return 1
    folder=$(dirname "$folder")
  done
}

while read -r file; do
  is_listed "$file" || complain "$file is in no CMakeLists.txt"
done < <(find core server client tests proto -name '*.cc' -o -name '*.proto' | sort)

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
