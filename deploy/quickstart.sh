#!/bin/bash
# From nothing to a cache that is served, changed and checked, on a Debian 12 machine.
#
#   deploy/quickstart.sh          runs the whole story and stops the daemon clean
#   deploy/quickstart.sh --keep   leaves the daemon running, and says how to talk to it and how to stop it
#
# Installs what is missing (deploy/packages.sh; the only step that may need root), builds release into build/release,
# makes files that stand for the metadata, fast and origin devices in a new temporary folder, and prints every command
# before it runs it.  Nothing outside build/ and that folder is written, and the folder is left for you to look at.
# Set BUILD=FOLDER to use programs that are built already.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly CACHE=demo
keep=false
daemon_pid=
folder=

# Prints a heading, bold on a terminal.
say() {
  if [[ -t 1 ]]; then printf '\n\033[1m%s\033[0m\n' "$*"; else printf '\n%s\n' "$*"; fi
}

# Prints a command as one would type it, then runs it.
run() {
  local shown="$*"
  [[ -z "$folder" ]] || shown=${shown//"$folder"/\$DIR}
  printf '$ %s\n' "${shown//"$build/client/"/}"
  "$@"
}

# Stops the daemon that this script started, if it runs; returns its exit code.
stop_daemon() {
  [[ -n "$daemon_pid" ]] || return 0
  local pid=$daemon_pid
  daemon_pid=
  kill -TERM "$pid" 2>/dev/null || true
  wait "$pid"
}

# However the script ends: no daemon stays behind, and a failure is said in one sentence.
finish() {
  local code=$?
  trap - EXIT
  ((code == 0)) && return
  stop_daemon || true
  printf '\nquickstart.sh: the last command failed (exit code %d).\n' "$code" >&2
  if [[ -n "$folder" && -s "$folder/dmcached.log" ]]; then
    echo "The daemon's last words ($folder/dmcached.log):" >&2
    tail -n 5 "$folder/dmcached.log" >&2
  fi
  exit 1
}

for argument in "$@"; do
  case "$argument" in
    --keep) keep=true ;;
    -h | --help)
      # The comment at the top of this file.
      sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "$0"
      exit 0
      ;;
    *)
      echo "quickstart.sh: unknown argument '$argument'; it takes only --keep" >&2
      exit 2
      ;;
  esac
done
trap finish EXIT
trap 'exit 130' INT TERM

build=${BUILD:-build/release}
if [[ -z "${BUILD:-}" ]]; then
  say "1. Packages and build (the first time some minutes, later seconds)"
  run deploy/packages.sh build
  # The generator looks for the tests' packages only if it is asked to; a folder configured before stays as it is.
  # A configuration that was interrupted left a cache, but nothing to build from.
  [[ -f $build/build.ninja ]] ||
    run cmake -C .cmake/release.cmake -S . -B "$build" -G Ninja -DDMCACHED_TESTS=OFF >/dev/null
  run ninja -C "$build" server/all client/all
fi
started=$SECONDS
daemon=$build/server/dmcached
ctl=$build/client/dmcachectl
for program in "$daemon" "$ctl"; do
  [[ -x $program ]] || { echo "quickstart.sh: $program is not there" >&2; exit 1; }
done

folder=$(mktemp -d "${TMPDIR:-/tmp}/dmcached.XXXXXX")
metadata=$folder/metadata
export DMCACHED_ADDRESS=unix:$folder/dmcached.sock

say "2. Three files stand for the devices: metadata, fast and origin (DIR=$folder)"
run truncate -s 16M "$metadata"
run truncate -s 64M "$folder/fast"
run truncate -s 1G "$folder/origin"

say "3. The daemon, on a unix socket, with metrics on a free port"
echo "\$ dmcached --listen unix:\$DIR/dmcached.sock --metrics 127.0.0.1:0 &"
"$daemon" --listen "$DMCACHED_ADDRESS" --metrics 127.0.0.1:0 >"$folder/dmcached.out" 2>"$folder/dmcached.log" &
daemon_pid=$!
# It prints one line with the addresses really bound when it serves.
for _ in {1..100}; do
  [[ -s $folder/dmcached.out ]] && break
  kill -0 "$daemon_pid" 2>/dev/null || exit 1
  sleep 0.1
done
cat "$folder/dmcached.out"
metrics=$(sed -n 's/.* metrics=//p' "$folder/dmcached.out")
run "$ctl" health

say "4. A cache of 64 KiB blocks: plan it, then format and open it"
run "$ctl" plan --origin-size 1GiB --fast-size 64MiB --block-size 64KiB
run "$ctl" cache create $CACHE --metadata "$metadata" --fast "$folder/fast" --origin "$folder/origin" \
  --block-size 64KiB --identity quickstart

say "5. Reserve cache blocks; an agent copies the data into them now; then insert the mappings"
run "$ctl" mapping reserve $CACHE --count 8 --json | tee "$folder/reserved.json"
reservation=$(grep -oE '"reservation": *"[0-9a-f]+"' "$folder/reserved.json" | grep -oE '[0-9a-f]{16}')
mapfile -t cblocks < <(grep -oE '"cblocks": *\[[0-9, ]*\]' "$folder/reserved.json" | grep -oE '[0-9]+')
pairs=()
for i in "${!cblocks[@]}"; do pairs+=("${cblocks[i]}:$((100 + 11 * i))"); done
run "$ctl" mapping insert $CACHE --reservation "$reservation" "${pairs[@]}"

say "6. Blocks about to be written: mark them dirty.  The answer comes when that is durable"
run "$ctl" mapping dirty $CACHE "${cblocks[1]}-${cblocks[3]}"

say "7. A range of the origin that holds nothing of worth, and the policy's hints"
run "$ctl" discard set $CACHE 4096-8192
run "$ctl" discard list $CACHE
run "$ctl" hint begin $CACHE smq --version 2.0.0 --hint-size 4
run "$ctl" hint save $CACHE "${cblocks[0]}:7" "${cblocks[1]}:42"
run "$ctl" stats set $CACHE --read-hits 90 --read-misses 10 --write-hits 5 --write-misses 1

say "8. Commit: everything accepted so far is durable"
run "$ctl" commit $CACHE
run "$ctl" mapping list $CACHE
run "$ctl" cache list

say "9. Metrics"
url=http://$metrics/metrics
echo "\$ curl -s $url | grep -E '...'"
fetch_metrics() {
  if command -v curl >/dev/null; then
    curl -sS "$url"
  else  # bash alone can do it.
    exec 3<>"/dev/tcp/${metrics%:*}/${metrics#*:}"
    printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
    cat <&3
  fi
}
fetch_metrics >"$folder/metrics.txt"
grep -E '^dmcached_(cache_blocks|cache_state|commits_total|mutations_total|hits_total|durable_transaction)\{' \
  "$folder/metrics.txt" | grep -vE ' 0(\.0*)?$'

if $keep; then
  disown "$daemon_pid"
  say "The daemon is left running (pid $daemon_pid)."
  cat <<END
  export DMCACHED_ADDRESS=$DMCACHED_ADDRESS
  $ctl --help
  metrics: $url
  stop it: kill $daemon_pid    (it closes every cache clean)
  files:   $folder
END
  exit 0
fi

say "10. SIGTERM closes every cache clean"
echo "\$ kill -TERM $daemon_pid"
stop_daemon

cache_check=$(command -v cache_check || { [[ -x /usr/sbin/cache_check ]] && echo /usr/sbin/cache_check; } || true)
if [[ -n "$cache_check" ]]; then
  say "11. The reference tool, on what was written"
  run "$cache_check" "$metadata"
  echo "cache_check: no error"
fi

say "Done, $((SECONDS - started)) s after the build."
cat <<END
  programs: $daemon  $ctl
  files:    $folder: metadata, fast, origin, dmcached.log, metrics.txt   (rm -r $folder when you are done)
  again:    deploy/quickstart.sh --keep leaves the daemon running
END
