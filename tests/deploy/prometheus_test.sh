#!/bin/bash
# Fetches Debian's prometheus and hands it to prometheus_test.py: tests/deploy/prometheus_test.sh BUILD_FOLDER
#
# The package is unpacked below the build folder and not installed: its installation would start a service.  Exit code
# 77 (ctest: skipped) if the package cannot be had.
set -euo pipefail
cd "$(dirname "$0")/../.."

build=$(realpath "${1:-build/release}")
folder=$build/prometheus
if [[ ! -x $folder/usr/bin/promtool ]]; then
  mkdir -p "$folder"
  for package in $(deploy/packages.sh --list prometheus); do
    (cd "$folder" && apt-get download -q "$package" >apt.log 2>&1) ||
      { tail -n 3 "$folder/apt.log"; echo "prometheus_test.sh: no $package to download"; exit 77; }
    dpkg-deb -x "$folder/$package"_*.deb "$folder"
  done
fi
exec /usr/bin/python3 -B tests/deploy/prometheus_test.py --daemon "$build/server/dmcached" \
  --cli "$build/client/dmcachectl" --prometheus "$folder/usr/bin"
