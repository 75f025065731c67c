#!/bin/bash
# Runs clang-tidy (.clang-tidy: every finding is an error) over our sources.
#
#   tests/tidy/tidy.sh BUILD_FOLDER              every source in BUILD_FOLDER/compile_commands.json
#   tests/tidy/tidy.sh BUILD_FOLDER FILE...      only these
#
# BUILD_FOLDER is configured and built: generated headers must exist.  A file is skipped while nothing it depends on has
# changed since it was last found clean; that is remembered in BUILD_FOLDER/tidy.  JOBS (default: processors) at a time.
set -euo pipefail
cd "$(dirname "$0")/../.."
if (($# < 1)) || [[ ! -f "$1/compile_commands.json" ]]; then
  echo "usage: tests/tidy/tidy.sh BUILD_FOLDER [FILE...]   (a configured build folder)" >&2
  exit 2
fi
build=$1
shift
mapfile -t files < <(if (($# > 0)); then printf '%s\n' "$@"; else
  find core server client tests -name '*.cc' ! -name tsan_absl_shim.cc | sort; fi)

mkdir -p "$build/tidy"
# What decides the result besides the file itself: every header of ours, the protos, the checks, the tool.
common=$({ find core server client tests proto \( -name '*.h' -o -name '*.proto' \) -print0 | sort -z | xargs -0 cat
  cat .clang-tidy; clang-tidy --version; } | sha256sum)

check_one() {
  local file=$1 stamp key output
  grep -q "/$file\"" "$build/compile_commands.json" || return 0  # Not part of this configuration.
  stamp="$build/tidy/${file//\//.}.clean"
  key=$({ echo "$common"; cat "$file"; } | sha256sum)
  [[ -f "$stamp" && "$(<"$stamp")" == "$key" ]] && return 0
  if output=$(clang-tidy --quiet -p "$build" "$file" 2>&1); then
    echo "$key" >"$stamp"
  else
    printf '%s\n' "$output" | grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header-filter' >&2
    echo "tidy.sh: $file has findings" >&2
    return 1
  fi
}
export -f check_one
export build common
printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "${JOBS:-$(nproc)}" bash -c 'check_one "$0"' || exit 1
