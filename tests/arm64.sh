#!/bin/bash
# Cross-builds for arm64 on an amd64 Debian 12 machine, and runs the result under qemu.
#
#   tests/arm64.sh      ten minutes from nothing; CI does not run it
#
# Debian's arm64 libraries are unpacked into build/arm64-sysroot with an apt of its own: nothing foreign is installed.
# Builds the daemon, dmcachectl, the client library and the tests of core into build/arm64 (.cmake/arm64.cmake), runs
# those tests, and then deploy/quickstart.sh with the arm64 programs.  JOBS sets how much runs at a time.
set -euo pipefail
cd "$(dirname "$0")/.."

JOBS=${JOBS:-$(nproc)}
readonly SYSROOT=$PWD/build/arm64-sysroot
readonly FOLDER=build/arm64

# Unpacks the libraries that the build and its tests link, and what those depend on.
make_sysroot() {
  local apt=$SYSROOT/apt link package libraries
  mapfile -t libraries < <(deploy/packages.sh --list build | grep -e '-dev$')
  libraries+=(libc6-dev libgtest-dev libgmock-dev)
  rm -rf "$SYSROOT"
  mkdir -p "$apt"/{lists,archives}/partial
  touch "$apt/status"
  local get=(apt-get -qq -o APT::Architecture=arm64 -o Dir::State="$apt" -o Dir::State::status="$apt/status"
    -o Dir::Cache="$apt")
  "${get[@]}" update
  "${get[@]}" install -y --download-only --no-install-recommends "${libraries[@]}" >/dev/null
  for package in "$apt"/archives/*.deb; do dpkg-deb -x "$package" "$SYSROOT"; done
  rm -rf "$apt"
  # Absolute links mean the root that they were packed for.
  find "$SYSROOT" -type l -lname '/*' | while read -r link; do ln -sfn "$SYSROOT$(readlink "$link")" "$link"; done
  # gRPC's CMake package wants its plugins next to it; they run here.
  ln -s /usr/bin/grpc_*_plugin "$SYSROOT/usr/bin/"
  touch "$SYSROOT/complete"
}

deploy/packages.sh arm64
[[ $SYSROOT/complete -nt deploy/packages.sh ]] || make_sysroot
cmake -C .cmake/release.cmake --toolchain .cmake/arm64.cmake -S . -B $FOLDER -G Ninja -DDMCACHED_TESTS=ON
ninja -C $FOLDER -j "$JOBS" dmcached dmcachectl dmcached_client tests/core/all
ctest --test-dir $FOLDER/tests/core -j "$JOBS" --output-on-failure --no-tests=error

for program in server/dmcached client/dmcachectl; do
  mkdir -p "$FOLDER/qemu/${program%/*}"
  printf '#!/bin/sh\nexec qemu-aarch64-static -L "%s" "%s" "$@"\n' "$SYSROOT" "$PWD/$FOLDER/$program" \
    >"$FOLDER/qemu/$program"
  chmod +x "$FOLDER/qemu/$program"
done
BUILD=$FOLDER/qemu deploy/quickstart.sh
