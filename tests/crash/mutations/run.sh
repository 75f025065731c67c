#!/bin/bash
# Breaks one rule after the other and demands that the crash tests notice.
#
#   tests/crash/mutations/run.sh BUILD_FOLDER [NAME...]      without names: every patch of this folder
#
# BUILD_FOLDER is a release build with tests.  The sources stay as they are: each patch is applied to a copy, that copy is
# compiled as BUILD_FOLDER compiles the original, and the crash programs are linked with it in front of their libraries.
# Its first line says which rule it takes away.  A patch that does not apply any more, or does not compile, fails.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
build=$(cd "${1:?usage: run.sh BUILD_FOLDER [NAME...]}" && pwd) || exit 2
shift
names=("$@")
if ((${#names[@]} == 0)); then
  for patch in "$here"/*.patch; do names+=("$(basename "$patch" .patch)"); done
fi
# Judged images per program that is not found guilty, and the seed of the first history.
images=${IMAGES:-30000}
seed=${SEED:-1}
programs=(crash_findings_test fault_test crash_driver)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

ninja -C "$build" "${programs[@]}" >"$work/build.log" || { cat "$work/build.log"; exit 1; }
for program in "${programs[@]}"; do
  ninja -C "$build" -t commands "$program" | tail -n 1 >"$work/$program.link"
done

# compile_command SOURCE COPY OBJECT: how the build compiles SOURCE, for COPY.
compile_command() {
  python3 - "$build/compile_commands.json" "$@" <<'PYTHON'
import json, shlex, sys
commands, source, copy, output = sys.argv[1:]
entry = next(e for e in json.load(open(commands)) if e["file"] == source)
words = shlex.split(entry["command"])
words[words.index("-o") + 1] = output
words[words.index("-c") + 1] = copy
print(shlex.join(words))
PYTHON
}

# link PROGRAM OBJECT OUTPUT: the object comes before the libraries, whose own version of it is then not taken.
link() {
  local command
  command=$(sed -e "s| -o [^ ]*$1 | $2 -o $3 |" -e 's|^: && ||' -e 's| && :$||' "$work/$1.link")
  [[ "$command" == *"$2"* ]] && (cd "$build" && eval "$command")
}

# survives NAME: whether no program notices; says who did.
survives() {
  local name=$1 program status began=$SECONDS
  local -a arguments
  for program in "${programs[@]}"; do
    arguments=()
    [[ $program == crash_driver ]] && arguments=(--seed "$seed" --images "$images")
    timeout 300 "$work/$program" "${arguments[@]}" >"$work/out" 2>&1
    status=$?
    ((status == 0)) && continue
    printf '%-38s found by %s (exit code %s), %d s: %s\n' "$name" "$program" "$status" $((SECONDS - began)) \
      "$(grep -m 1 -E '^\[  FAILED|history of seed|Check failed' "$work/out" | cut -c 1-130)"
    return 1
  done
}

found=0
failed=0
for name in "${names[@]}"; do
  patch=$here/$name.patch
  source=$(sed -n 's|^--- a/||p' "$patch")
  mkdir -p "$work/$(dirname "$source")"
  cp "$root/$source" "$work/$source"
  if ! (cd "$work" && patch -p1 --fuzz=0 --silent --no-backup-if-mismatch <"$patch"); then
    echo "$name: does not apply to $source any more" >&2
    failed=$((failed + 1))
    continue
  fi
  if ! (cd "$build" && eval "$(compile_command "$root/$source" "$work/$source" "$work/mutant.o")") 2>"$work/errors"; then
    head -n 5 "$work/errors" >&2
    echo "$name: does not compile" >&2
    failed=$((failed + 1))
    continue
  fi
  linked=true
  for program in "${programs[@]}"; do
    $linked && link "$program" "$work/mutant.o" "$work/$program" || linked=false
  done
  if ! $linked; then
    echo "$name: does not link" >&2
    failed=$((failed + 1))
    continue
  fi
  if survives "$name"; then
    echo "$name: NOT FOUND by any program: $(head -n 1 "$patch")" >&2
    failed=$((failed + 1))
  else
    found=$((found + 1))
  fi
done
printf '%d mutations found, %d not, %d s\n' "$found" "$failed" "$SECONDS"
((failed == 0))
