#!/bin/bash
# Checks that clang-format has nothing to change in our C++ files.
#
#   tests/tidy/format.sh          names the files that differ, and fails if there is one
#   tests/tidy/format.sh --fix    formats them
set -euo pipefail
cd "$(dirname "$0")/../.."
mapfile -t files < <(find core server client tests -name '*.cc' -o -name '*.h' | sort)
((${#files[@]} > 0)) || { echo "format.sh: no C++ files below $PWD" >&2; exit 1; }
if [[ "${1:-}" == --fix ]]; then
  exec clang-format -i "${files[@]}"
fi
failed=0
for file in "${files[@]}"; do
  if ! clang-format "$file" | cmp -s - "$file"; then
    echo "format.sh: $file is not formatted (tests/tidy/format.sh --fix)" >&2
    failed=1
  fi
done
exit $failed
