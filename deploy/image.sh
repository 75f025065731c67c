#!/bin/bash
# Builds the image of dmcached without a Docker engine or a registry, and tries it as a node would run it.
#
#   deploy/image.sh          builds the image and tries it
#   deploy/image.sh build    builds localhost/dmcached:VERSION from this folder (buildah, chroot isolation)
#   deploy/image.sh try      runs that image and calls it, stops it with SIGTERM, and prints its size
#
# On Debian 12, as root.  Installs what is missing (deploy/packages.sh image).  The base image is made out of Debian's own
# packages, from the mirror that this machine's apt uses and with its settings, unless docker.io/library/debian is in the
# local storage already; the downloads and a cold build take a quarter of an hour or more, so CI does not run this.
# `try` gives the container no capability, no new privileges, a read-only root file system, limits on memory, processors
# and processes, and files in a temporary folder for devices.  Hand the image on with
# `podman save localhost/dmcached:VERSION`, or push it with `buildah push`.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly SUITE=bookworm
readonly BASE=docker.io/library/debian:$SUITE-slim
VERSION=$(sed -nE 's/^project\(dmcached VERSION ([0-9.]+).*/\1/p' CMakeLists.txt)
readonly VERSION
readonly IMAGE=localhost/dmcached:$VERSION
readonly CONTAINER=dmcached-try-$$
# The user of the image, whose the mounted folders have to be.
readonly USER_ID=10110
# Podman shall not ask systemd for a timer: the health check is run by hand here.
export DISABLE_HC_SYSTEMD=true
folder=
running=false

say() { printf '\n%s\n' "$*"; }
die() { echo "image.sh: $*" >&2; exit 1; }

finish() {
  local code=$?
  trap - EXIT
  if $running; then
    ((code == 0)) || podman logs "$CONTAINER" 2>&1 | tail -n 20 >&2
    podman rm --force --time 20 "$CONTAINER" >/dev/null 2>&1 || true
  fi
  [[ -z $folder ]] || rm -rf "$folder"
  exit "$code"
}

# Prints the mirror of this machine's apt.
apt_mirror() {
  local found
  found=$(awk -v suite=$SUITE '/^URIs:/ { uri = $2 } /^Suites:/ && $0 ~ "[ ]" suite "( |$)" { print uri; exit }' \
    /etc/apt/sources.list.d/*.sources 2>/dev/null || true)
  [[ -n $found ]] || found=$(awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^https?:/) { print $i; exit } }' \
    /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | head -n 1 || true)
  [[ -n $found ]] || die "apt's sources name no mirror of $SUITE"
  printf '%s\n' "$found"
}

# Makes the base image from Debian's packages.
make_base() {
  local root=$folder/base container
  # A base that is half made is thrown away, so dpkg need not flush every file; that takes most of the time otherwise.
  DPKG_FORCE=unsafe-io debootstrap --variant=minbase --include=ca-certificates $SUITE "$root" "$(apt_mirror)" >"$folder/debootstrap.log" 2>&1 ||
    # A mirror's address may hold a password.
    { tail -n 20 "$folder/debootstrap.log" | sed -E 's#//[^/ ]*#//MIRROR#g' >&2; die "debootstrap failed"; }
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/var/log/*.log "$root"/var/log/apt \
    "$root"/usr/share/{man,locale,info,lintian}/*
  find "$root/usr/share/doc" -mindepth 1 ! -name copyright ! -type d -delete
  # As in the published image: packages that are installed later are not flushed either, bring no documentation, start no
  # service and leave nothing in apt's caches.
  echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/docker-speed"
  printf 'path-exclude /usr/share/%s\n' 'doc/*' 'man/*' 'locale/*' 'info/*' 'lintian/*' >"$root/etc/dpkg/dpkg.cfg.d/docker"
  echo 'path-include /usr/share/doc/*/copyright' >>"$root/etc/dpkg/dpkg.cfg.d/docker"
  printf '%s\n' 'Dir::Cache::pkgcache "";' 'Dir::Cache::srcpkgcache "";' 'Acquire::Languages "none";' \
    'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };' \
    >"$root/etc/apt/apt.conf.d/docker-clean"
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  : >"$root/etc/hostname"
  : >"$root/etc/resolv.conf"
  rm -f "$root/etc/apt/sources.list"
  cp /etc/apt/sources.list "$root/etc/apt/" 2>/dev/null || true
  cp /etc/apt/sources.list.d/*.{sources,list} "$root/etc/apt/sources.list.d/" 2>/dev/null || true
  # Proxies and the like, where this machine has any.
  { grep -lsE '^ *Acquire::(http|https|Check)' /etc/apt/apt.conf.d/* || true; } |
    xargs -r cp --target-directory="$root/etc/apt/apt.conf.d/"

  container=$(buildah from scratch)
  buildah copy --quiet "$container" "$root" / >/dev/null
  buildah config --cmd bash --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
  buildah commit --quiet --rm "$container" "$BASE" >/dev/null
  rm -rf "$root"
}

build_image() {
  local revision
  revision=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
  [[ -z $(git status --porcelain 2>/dev/null) ]] || revision+=-dirty
  if ! buildah inspect --type image $BASE >/dev/null 2>&1; then
    say "The base image, $BASE, from Debian's packages"
    make_base
  fi
  say "The image, $IMAGE"
  # The format is Docker's because OCI's has no HEALTHCHECK.
  buildah bud --isolation chroot --pull-never --layers --format docker --tag "$IMAGE" \
    --build-arg VERSION="$VERSION" --build-arg REVISION="$revision" .
  say "Built in $SECONDS s."
}

# Runs a command in the container and shows it.
inside() {
  printf '$ %s\n' "$*"
  podman exec "$CONTAINER" "$@"
}

# Starts the container and waits until the image's own HEALTHCHECK is content.
start_container() {
  # File limits as they are: raising them would need a capability.
  podman --runtime runc --cgroup-manager cgroupfs --events-backend file run --detach \
    --pull never --name "$CONTAINER" --network host --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 \
    --read-only --read-only-tmpfs=false --cap-drop all --security-opt no-new-privileges \
    --memory 512m --cpus 1 --pids-limit 128 \
    --volume "$folder/run:/run/dmcached" --volume "$folder/data:/var/lib/dmcached" "$IMAGE" >/dev/null
  running=true
  for _ in {1..100}; do
    if podman healthcheck run "$CONTAINER" >/dev/null 2>&1; then
      echo "HEALTHCHECK: healthy"
      return
    fi
    sleep 0.2
  done
  die "the container did not become healthy"
}

# Shows that the container has no more rights than it was meant to have.
check_confinement() {
  local status
  status=$(podman exec "$CONTAINER" cat /proc/1/status | grep -E '^(Uid|Gid|CapPrm|CapEff|CapBnd|NoNewPrivs):')
  echo "$status"
  grep -qE "^Uid:\s+$USER_ID\s" <<<"$status" || die "the daemon is not user $USER_ID"
  [[ $(grep -cE '^Cap...:\s+0+$' <<<"$status") == 3 ]] || die "the daemon has capabilities"
  grep -qE '^NoNewPrivs:\s+1$' <<<"$status" || die "the daemon may gain privileges"
  if podman exec --user 0 "$CONTAINER" touch /usr/local/bin/x 2>/dev/null; then die "the root file system is writable"; fi
  echo "The root file system is read-only."
}

try_image() {
  local code
  install -d -o $USER_ID -g $USER_ID "$folder/run" "$folder/data"
  chmod 0711 "$folder"
  truncate -s 16M "$folder/data/metadata"
  truncate -s 64M "$folder/data/fast"
  truncate -s 1G "$folder/data/origin"
  chown $USER_ID:$USER_ID "$folder"/data/*

  say "Running $IMAGE"
  start_container
  check_confinement

  say "Calls"
  inside dmcachectl health
  inside dmcachectl info
  inside dmcachectl cache create demo --metadata /var/lib/dmcached/metadata --fast /var/lib/dmcached/fast \
    --origin /var/lib/dmcached/origin --block-size 64KiB
  inside dmcachectl mapping insert demo 0:100 1:111 2:122
  inside dmcachectl mapping list demo | tee "$folder/listed"
  [[ $(grep -cE '\b(100|111|122)\b' "$folder/listed") == 3 ]] || die "the mappings were not listed"
  inside dmcachectl check demo

  say "SIGTERM"
  podman stop --time 60 "$CONTAINER" >/dev/null
  code=$(podman inspect "$CONTAINER" --format '{{.State.ExitCode}}')
  echo "exit code $code"
  [[ $code == 0 ]] || die "the daemon did not stop clean"

  say "$IMAGE: $(podman image inspect "$IMAGE" --format '{{.Size}}' | awk '{ printf "%.0f MB", $1 / 1e6 }')," \
    "of it the base image $(podman image inspect $BASE --format '{{.Size}}' | awk '{ printf "%.0f MB", $1 / 1e6 }')"
}

action=${1:-all}
case "$action" in
  all | build | try) ;;
  -h | --help)
    # The comment at the top of this file.
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "$0"
    exit 0
    ;;
  *)
    echo "usage: deploy/image.sh [build | try]" >&2
    exit 2
    ;;
esac
((EUID == 0)) || die "this needs root: chroot isolation and debootstrap do"
trap finish EXIT
trap 'exit 130' INT TERM
deploy/packages.sh image
folder=$(mktemp -d /var/tmp/dmcached-image.XXXXXX)
[[ $action == try ]] || build_image
[[ $action == build ]] || try_image
