#!/bin/bash
# Installs a build into a temporary folder and builds and runs a project of somebody else's against it.
#
#   tests/package/package_test.sh BUILD_FOLDER CXX      run by ctest; the build is finished
#
# The programs that run are the installed ones, and the consumer (consumer/) sees nothing of the source tree.
set -euo pipefail
build=$(realpath "$1")
compiler=$2
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d /tmp/dmc.XXXXXX)
daemon=

finish() {
  local code=$?
  [[ -z $daemon ]] || kill -KILL "$daemon" 2>/dev/null || true
  rm -rf "$folder"
  exit "$code"
}
trap finish EXIT
die() { echo "package_test.sh: $*" >&2; exit 1; }
# Prints the output only if the command fails.
quietly() { "$@" >"$folder/log" 2>&1 || { cat "$folder/log" >&2; die "failed: $*"; }; }

# What each component holds.
quietly cmake --install "$build" --component runtime --prefix "$folder/runtime"
[[ $(cd "$folder/runtime" && find . -type f | sort | xargs) == "./bin/dmcachectl ./sbin/dmcached" ]] ||
  die "the runtime component holds something else: $(find "$folder/runtime" -type f)"
quietly cmake --install "$build" --component development --prefix "$folder/development"
for proto in "$here"/../../proto/dmcached/v1/*.proto; do
  name=$(basename "$proto")
  cmp "$proto" "$folder/development/share/dmcached/proto/dmcached/v1/$name"
done
# Other languages make their stubs from the installed protos: these need nothing that is not there.
quietly protoc -I "$folder/development/share/dmcached/proto" --descriptor_set_out="$folder/descriptors" \
  "$folder"/development/share/dmcached/proto/dmcached/v1/*.proto
# An installation may be moved, and its place must not be the build's.
mv "$folder/development" "$folder/moved"
if grep -rlF -e "$build" -e "$(realpath "$here/../..")/" "$folder/moved/lib/cmake"; then
  die "the files above name folders of the build"
fi

cp -r "$here/consumer" "$folder/source"
quietly cmake -S "$folder/source" -B "$folder/consumer" -G Ninja -DCMAKE_PREFIX_PATH="$folder/moved" \
  -DCMAKE_CXX_COMPILER="$compiler"
quietly ninja -C "$folder/consumer"

[[ $("$folder/consumer/proto_user") == dmcached.v1.GetCacheRequest ]] || die "the message has another name"

truncate -s 8M "$folder/metadata"
"$folder/runtime/sbin/dmcached" --listen "unix:$folder/socket" >"$folder/daemon.out" 2>"$folder/daemon.log" &
daemon=$!
# It prints one line when it serves.
for _ in {1..600}; do
  [[ -s $folder/daemon.out ]] && break
  kill -0 "$daemon" 2>/dev/null || { cat "$folder/daemon.log" >&2; die "the daemon ended"; }
  sleep 0.1
done
[[ $("$folder/consumer/client_user" "unix:$folder/socket" "$folder/metadata") == "oblock 500 is at cblock 7" ]] ||
  die "the consumer found another mapping"
DMCACHED_ADDRESS=unix:$folder/socket "$folder/runtime/bin/dmcachectl" health >/dev/null
stopped=$daemon
daemon=
kill -TERM "$stopped"
wait "$stopped" || die "the daemon did not stop clean"
