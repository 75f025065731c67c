#!/usr/bin/python3
"""Runs clang-tidy (.clang-tidy: every finding is an error) over our sources.

  tests/tidy/tidy.py BUILD_FOLDER              every source of that configuration
  tests/tidy/tidy.py BUILD_FOLDER FILE...      only these

BUILD_FOLDER is configured and built: generated headers must exist.  JOBS (default: the processors) run at a time.

Most of what clang-tidy does is to read the same headers again for every source, so sources that are compiled alike are
checked several at a time, as one file that includes them.  Where such a group does not compile (names that may be used
twice only in different files), its halves are checked instead, down to single files.  What was found clean is remembered
in BUILD_FOLDER/tidy until a source, a header, a proto file or .clang-tidy changes.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("core", "server", "client", "tests")
GROUP_SIZE = 10
# Defines its own symbols by their mangled names; nothing in it follows our rules.
EXCLUDED = {ROOT / "tests/support/tsan_absl_shim.cc"}
# In a group the sources are included files, so they count as headers for this filter.
GROUP_FILTER = r"^(.*/)?(core|server|client|tests)/([a-z0-9_/-]*/)?[a-z0-9_]+\.(h|cc)$"


def load_sources(build):
    """Returns {source: compiler arguments without source and outputs} for our own sources."""
    sources = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["file"]).resolve()
        if path in EXCLUDED or path.suffix != ".cc" or path.is_relative_to(build):
            continue
        if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in FOLDERS:
            sources[path] = compiler_arguments(shlex.split(entry["command"]))
    return sources


def compiler_arguments(command):
    """Drops launcher, compiler, source, outputs, and the precompiled header, which is g++'s."""
    while not re.search(r"(c\+\+|clang\+\+|g\+\+)(-\d+)?$", command[0]):
        command = command[1:]
    kept = []
    skip = False
    for word in command[1:]:
        if skip:
            skip = False
        elif word in ("-o", "-c", "-include", "-MF", "-MT", "-MQ"):
            skip = True
        elif word not in ("-MD", "-Winvalid-pch", "-Werror"):
            kept.append(word)
    return tuple(kept)


def make_groups(sources):
    """Lists of neighbouring sources with equal arguments, at most GROUP_SIZE long."""
    alike = {}
    for path in sorted(sources):
        alike.setdefault((sources[path], path.parent), []).append(path)
    return [
        (arguments, paths[i : i + GROUP_SIZE])
        for (arguments, _), paths in alike.items()
        for i in range(0, len(paths), GROUP_SIZE)
    ]


def fingerprint_of_context():
    """What decides a result besides the sources of a group."""
    digest = hashlib.sha256(subprocess.run(["clang-tidy", "--version"], capture_output=True, check=True).stdout)
    for folder in (*FOLDERS, "proto"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".h", ".proto"):
                digest.update(path.read_bytes())
    digest.update((ROOT / ".clang-tidy").read_bytes())
    return digest.hexdigest()


def run_clang_tidy(arguments, paths, work):
    """Returns clang-tidy's exit code and its findings."""
    if len(paths) == 1:
        target = paths[0]
        extra = []
    else:
        name = hashlib.sha256("\n".join(map(str, paths)).encode()).hexdigest()[:16]
        target = work / f"group_{name}.cc"
        target.write_text("".join(f'#include "{path}"\n' for path in paths))
        extra = [
            f"--header-filter={GROUP_FILTER}",
            f"--config-file={ROOT / '.clang-tidy'}",
            "--checks=-bugprone-suspicious-include",
        ]
    result = subprocess.run(
        ["clang-tidy", "--quiet", *extra, str(target), "--", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    output = result.stdout + "\n".join(line for line in result.stderr.splitlines() if " generated" not in line)
    return result.returncode, output


def check(arguments, paths, context, work):
    """Returns the findings in `paths`, empty if there are none."""
    digest = hashlib.sha256((context + repr(arguments)).encode())
    for path in paths:
        digest.update(path.read_bytes())
    stamp = work / f"{digest.hexdigest()}.clean"
    if stamp.exists():
        return ""
    code, output = run_clang_tidy(arguments, paths, work)
    if code == 0:
        stamp.touch()
        return ""
    if len(paths) > 1 and "clang-diagnostic-error" in output:
        middle = len(paths) // 2
        return check(arguments, paths[:middle], context, work) + check(arguments, paths[middle:], context, work)
    return output


def main():
    if len(sys.argv) < 2 or not (pathlib.Path(sys.argv[1]) / "compile_commands.json").exists():
        print("usage: tests/tidy/tidy.py BUILD_FOLDER [FILE...]   (a configured build folder)", file=sys.stderr)
        return 2
    build = pathlib.Path(sys.argv[1]).resolve()
    sources = load_sources(build)
    if len(sys.argv) > 2:
        wanted = {pathlib.Path(name).resolve() for name in sys.argv[2:]}
        sources = {path: arguments for path, arguments in sources.items() if path in wanted}
    if not sources:
        print("tidy.py: no source to check", file=sys.stderr)
        return 2
    work = build / "tidy"
    work.mkdir(exist_ok=True)
    context = fingerprint_of_context()
    jobs = int(os.environ.get("JOBS", os.cpu_count()))
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        groups = make_groups(sources)
        for output in pool.map(lambda group: check(*group, context, work), groups):
            if output.strip():
                bad += 1
                print(output.strip(), flush=True)
    print(f"tidy.py: {len(sources)} sources in {len(groups)} groups, {bad} groups with findings")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
