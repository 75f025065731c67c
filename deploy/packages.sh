#!/bin/bash
# Installs the Debian 12 packages that dmcached needs, if any of them is missing; asks nothing.
#
#   deploy/packages.sh build     what building the daemon and dmcachectl needs
#   deploy/packages.sh test      that, and what tests/run.sh needs
#   deploy/packages.sh bench     what building needs, and the yardsticks of tests/bench/run.sh
#   deploy/packages.sh arm64     what building needs, and tests/arm64.sh
#   deploy/packages.sh runtime   what the finished programs need besides the libraries they link: nothing to compile with
#   deploy/packages.sh image     what deploy/image.sh builds and runs an image with
#   deploy/packages.sh --list NAME   prints that list, or prometheus, one package a line, and installs nothing
#
# This is the only list of packages: deploy/quickstart.sh, deploy/image.sh, tests/run.sh, tests/arm64.sh and the
# Dockerfile call it.
set -euo pipefail

readonly BUILD=(build-essential cmake ninja-build ccache pkg-config git
  libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc libabsl-dev
  libssl-dev libisal-dev prometheus-cpp-dev libcivetweb-dev libspdlog-dev libcli11-dev nlohmann-json3-dev)
readonly TEST=(openssl libgtest-dev libgmock-dev xz-utils thin-provisioning-tools
  python3 python3-grpcio python3-protobuf curl clang clang-tidy clang-format libclang-rt-14-dev)
readonly BENCH=(libgtest-dev libgmock-dev liblmdb-dev librocksdb-dev thin-provisioning-tools)
readonly ARM64=(g++-aarch64-linux-gnu qemu-user-static)
readonly RUNTIME=(libgrpc++1.51 libssl3 libprotobuf32 libabsl20220623 libisal2 libprometheus-cpp-core1.0
  libcivetweb1 libspdlog1.10)
# Unpacked by tests/deploy/prometheus_test.sh; installing it would start a service.
readonly PROMETHEUS=(prometheus)
readonly IMAGE=(buildah podman runc conmon debootstrap ca-certificates)

list=false
if [[ "${1:-}" == --list ]]; then
  list=true
  shift
fi
case "${1:-}" in
  build) packages=("${BUILD[@]}") ;;
  test) packages=("${BUILD[@]}" "${TEST[@]}") ;;
  bench) packages=("${BUILD[@]}" "${BENCH[@]}") ;;
  arm64) packages=("${BUILD[@]}" "${ARM64[@]}") ;;
  runtime) packages=("${RUNTIME[@]}") ;;
  image) packages=("${IMAGE[@]}") ;;
  prometheus) packages=("${PROMETHEUS[@]}") ;;
  *)
    echo "usage: deploy/packages.sh [--list] build|test|bench|arm64|runtime|image|prometheus" >&2
    exit 2
    ;;
esac
if $list; then
  printf '%s\n' "${packages[@]}"
  exit 0
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "packages.sh: this is not a Debian system; install the equivalents of: ${packages[*]}" >&2
  exit 1
fi
missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ "$status" == installed ]] || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
  exit 0
fi

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "packages.sh: these packages are missing, and installing them needs root: ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo -n)
fi
echo "Installing ${#missing[@]} Debian packages: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# "env" carries the setting through sudo, which drops the caller's environment.
if ! { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"; } \
  >"$log" 2>&1 </dev/null; then
  tail -n 30 "$log" >&2
  echo "packages.sh: apt-get failed; its last words are above" >&2
  exit 1
fi
