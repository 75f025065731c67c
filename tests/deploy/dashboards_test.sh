#!/bin/bash
# Dashboards against Grafana's published schema types (npm/validate-dashboard.mjs); needs node, npm and its registry.
#
#   tests/deploy/dashboards_test.sh [BUILD_FOLDER]   what npm installs is kept below the build folder
#
# Not run by ctest: the types and the compiler that reads them are 26 MB.
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=${1:-build/release}/dashboards
mkdir -p "$folder"
cp tests/deploy/npm/{package.json,package-lock.json,validate-dashboard.mjs} "$folder/"
[[ -d $folder/node_modules ]] || (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund)
exec node "$folder/validate-dashboard.mjs" deploy/grafana/dashboards/*.json
