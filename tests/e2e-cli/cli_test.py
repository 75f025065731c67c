"""dmcachectl against the real daemon on a unix socket: every command, its JSON, its exit codes, and wrong inputs.

Run by ctest; needs Debian's python3 (no package besides).  Every test has a cache and files of its own; the reference
cache_check, where it is installed, looks at what was written.
"""

import argparse
import json
import lzma
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

MIB = 1 << 20
BLOCK = 65536  # Bytes of a cache block.
TIMEOUT_S = 120
ARGUMENTS = argparse.Namespace()


class Result:
    def __init__(self, process):
        self.code = process.returncode
        self.out = process.stdout
        self.err = process.stderr

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self):
        return json.loads(self.err)


class Daemon:
    """The real one, stopped by its handle."""

    def __init__(self, folder, *more):
        self.socket = f"unix:{folder}/s"
        self.log = open(folder / "daemon.log", "w")
        self.process = subprocess.Popen(
            [ARGUMENTS.daemon, "--listen", self.socket, *map(str, more)], stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        line = self.process.stdout.readline()  # It prints one line when it serves.
        if "/s" not in line:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the daemon said {line!r}: {(folder / 'daemon.log').read_text()}")

        self.metrics = line.rpartition(" metrics=")[2].strip()  # Of a daemon that was given --metrics.

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(TIMEOUT_S)
        self.process.stdout.close()
        self.log.close()
        return code


def run_cli(socket, *arguments, stdin=""):
    return Result(
        subprocess.run(
            [ARGUMENTS.cli, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            env={**os.environ, "DMCACHED_ADDRESS": socket},
        )
    )


class CliTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="dmc-"))
        cls.daemon = Daemon(cls.folder)

    @classmethod
    def tearDownClass(cls):
        code = cls.daemon.stop()
        shutil.rmtree(cls.folder)
        if code != 0:
            raise AssertionError(f"the daemon exited with {code}")

    def cli(self, *arguments, stdin=""):
        return run_cli(self.daemon.socket, *arguments, stdin=stdin)

    def done(self, *arguments, stdin=""):
        """Runs a command that must succeed without a word on the error stream."""
        result = self.cli(*arguments, stdin=stdin)
        self.assertEqual((result.code, result.err), (0, ""), arguments)
        return result

    def refused(self, reason, *arguments, stdin="", code=1):
        """Runs a command that must fail with the reason."""
        result = self.cli(*arguments, "--json", stdin=stdin)
        self.assertEqual(result.code, code, (arguments, result.out, result.err))
        self.assertEqual(result.error["reason"], reason, result.err)
        self.assertEqual(set(result.error), {"code", "reason", "message"})
        return result.error

    def file(self, name, size):
        path = self.folder / name
        with open(path, "wb") as file:
            file.truncate(size)
        return path

    def create(self, name, *more, blocks=100, origin="1GiB", meta_bytes=8 * MIB):
        meta = self.file(f"{name}.meta", meta_bytes)
        self.done("cache", "create", name, "--metadata", meta, "--block-size", "64KiB", "--cache-blocks", blocks,
                  "--origin-size", origin, *more)
        return meta

    def show(self, name):
        return self.done("cache", "show", name, "--json").json

    def list(self, name, *filters):
        return self.done("mapping", "list", name, "--json", *filters).lines

    def check(self, path):
        """The reference tool on a closed cache."""
        if shutil.which("cache_check"):
            checked = subprocess.run(["cache_check", path], capture_output=True, text=True)
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def assert_fields(self, found, **kinds):
        for field, kind in kinds.items():
            self.assertIn(field, found)
            self.assertIs(type(found[field]), kind, f"{field}: {found[field]!r}")

    # Whole stories.

    def test_a_cache_from_creation_to_deletion(self):
        meta = self.file("story.meta", 8 * MIB)
        fast = self.file("story.fast", 64 * BLOCK)
        origin = self.file("story.origin", 1024 * BLOCK)
        self.assertEqual(self.done("probe", meta, "--json").json, {"formatted": False, "deviceBytes": 8 * MIB})
        create = ["cache", "create", "story", "--metadata", meta, "--fast", fast, "--origin", origin, "--block-size",
                  "64KiB", "--policy", "smq", "--identity", "story-1"]
        self.assertEqual(self.done(*create, "--validate-only", "--json").json, {"valid": True})
        self.refused("CACHE_NOT_OPEN", "cache", "show", "story")
        self.assertEqual(self.done(*create, "--json").json["cacheBlocks"], 64)
        self.refused("CACHE_EXISTS", *create)

        reservation = self.done("mapping", "reserve", "story", "--count", 3, "--ttl", "30s", "--json").json
        self.assertRegex(reservation["reservation"], "^[0-9a-f]{16}$")
        self.assertEqual(len(reservation["cblocks"]), 3)
        self.assertEqual(reservation["ttlMs"], 30000)
        a, b, c = reservation["cblocks"]
        inserted = self.done("mapping", "insert", "story", "--reservation", reservation["reservation"], f"{a}:500",
                             f"{b}:7:dirty", "--durable", "--json").json
        self.assert_fields(inserted, revision=int, transaction=int, durableTransaction=int, incarnation=str)
        self.assertGreaterEqual(inserted["durableTransaction"], inserted["transaction"])
        released = self.done("mapping", "release", "story", reservation["reservation"], "--json").json
        self.assertEqual(released, {"releasedCount": 1})
        self.refused("RESERVATION_EXPIRED", "mapping", "insert", "story", "--reservation",
                     reservation["reservation"], f"{c}:9")
        self.refused("CBLOCK_IN_USE", "mapping", "insert", "story", f"{a}:10")
        self.refused("OBLOCK_ALREADY_MAPPED", "mapping", "insert", "story", f"{c}:500")

        self.assertEqual(self.list("story"), sorted([{"cblock": a, "oblock": 500, "dirty": False},
                                                     {"cblock": b, "oblock": 7, "dirty": True}],
                                                    key=lambda m: m["cblock"]))
        self.assertEqual([m["cblock"] for m in self.list("story", "--dirty")], [b])
        self.assertEqual([m["oblock"] for m in self.list("story", "--oblocks", "0-7")], [7])
        self.done("mapping", "dirty", "story", a)
        self.refused("MAPPING_DIRTY", "mapping", "remove", "story", a)
        self.done("mapping", "clean", "story", a, f"{b}:7")
        self.assertEqual(self.list("story", "--dirty"), [])
        self.refused("NOT_MAPPED", "mapping", "clean", "story", f"{b}:8")
        looked_up = self.done("mapping", "lookup", "story", "--cblocks", c, b, "--durable", "--json").lines
        self.assertEqual(looked_up, [{"cblock": c, "mapped": False}, {"cblock": b, "oblock": 7, "dirty": False}])
        looked_up = self.done("mapping", "lookup", "story", "--oblocks", 500, 501, "--json").lines
        self.assertEqual(looked_up, [{"cblock": a, "oblock": 500, "dirty": False}, {"oblock": 501, "mapped": False}])

        self.done("hint", "begin", "story", "smq", "--version", "2.0.0", "--hint-size", 4, "--json")
        self.done("hint", "save", "story", f"{a}:17", "--json")
        self.assertEqual(self.done("hint", "list", "story", "--json").lines,
                         sorted([{"cblock": a, "hint": 17}, {"cblock": b, "hint": 0}], key=lambda h: h["cblock"]))
        self.assertEqual({m["cblock"]: m["hint"] for m in self.list("story")}, {a: 17, b: 0})
        self.assertNotIn("hint", self.list("story", "--policy", "mq", "--policy-version", "1.0.0")[0])

        removed = self.done("mapping", "remove", "story", "--oblocks", "0-99", "--json").json
        self.assertEqual(removed["removedCount"], 1)
        self.done("mapping", "remove", "story", f"{a}:500")
        self.assertEqual(self.show("story")["mappedBlocks"], 0)
        self.done("commit", "story", "--json")
        self.assertFalse(self.show("story")["uncommittedChanges"])
        closed = self.done("cache", "close", "story", "--require-no-dirty", "--json").json
        self.assertEqual(closed, {"name": "story", "state": "closed"})
        self.check(meta)
        probe = self.done("probe", meta, "--json").json
        self.assertEqual((probe["formatted"], probe["cleanShutdown"], probe["needsCheck"]), (True, True, False))
        self.assertEqual((probe["identity"], probe["policyName"], probe["policyHintSize"]), ("story-1", "smq", 4))

        self.refused("IDENTITY_MISMATCH", "cache", "open", "story", "--metadata", meta, "--identity", "other")
        self.refused("GEOMETRY_MISMATCH", "cache", "open", "story", "--metadata", meta, "--expect-block-size", "32KiB")
        opened = self.done("cache", "open", "story", "--metadata", meta, "--identity", "story-1", "--expect-block-size",
                           "64KiB", "--json").json
        self.assertEqual((opened["state"], opened["adopted"]), ("open", False))
        self.refused("RESERVE_HOLDOFF", "mapping", "reserve", "story", "--count", 1)
        self.done("cache", "delete", "story", "--wipe", "--json")
        self.assertFalse(self.done("probe", meta, "--json").json["formatted"])
        self.refused("CACHE_NOT_OPEN", "cache", "show", "story")

    def test_show_and_probe_have_every_field_of_the_contract(self):
        meta = self.create("fields", "--metadata-version", 1, "--dirty-tracking", "conservative")
        common = dict(version=int, cleanShutdown=bool, needsCheck=bool, dataBlockSizeSectors=int, cacheBlocks=int,
                      policyName=str, policyHintSize=int, discardBlockSizeSectors=int, discardBlocks=int, identity=str)
        show = self.show("fields")
        self.assert_fields(show, **common, state=str, mappedBlocks=int, dirtyBlocks=int, metadataBlocks=int,
                           freeMetadataBlocks=int, uncommittedChanges=bool, incarnation=str, revision=int,
                           transaction=int, durableTransaction=int)
        self.assertEqual((show["version"], show["dirtyTracking"], show["state"]), (1, "conservative", "open"))
        self.assertRegex(show["incarnation"], "^[0-9a-f]{16}$")
        self.assertEqual(show["metadataBlocks"], 2048)
        self.assert_fields(self.done("probe", meta, "--json").json, formatted=bool, **common)
        listed = [c for c in self.done("cache", "list", "--json").lines if c["name"] == "fields"]
        self.assertEqual(len(listed), 1)
        self.done("cache", "close", "fields")
        self.check(meta)

    def test_discards_are_half_open_maximal_ranges(self):
        self.create("discards")
        self.done("discard", "set", "discards", "0-10", "10-12", 20, "--json")
        ranges = self.done("discard", "list", "discards", "--json").lines
        self.assertEqual(ranges, [{"begin": 0, "end": 12}, {"begin": 20, "end": 21}])
        cleared = self.done("discard", "clear", "discards", "5-7", "--durable", "--json").json
        self.assert_fields(cleared, revision=int, transaction=int, durableTransaction=int)
        ranges = self.done("discard", "list", "discards", "--json").lines
        self.assertEqual(ranges, [{"begin": 0, "end": 5}, {"begin": 7, "end": 12}, {"begin": 20, "end": 21}])
        self.refused("DBLOCK_OUT_OF_RANGE", "discard", "set", "discards", "0-99999999")
        self.assertIn("20", self.done("discard", "list", "discards").out)

    def test_stats_are_set_and_shown(self):
        self.create("stats")
        self.done("stats", "set", "stats", "--read-hits", 1, "--read-misses", 2, "--write-hits", 3, "--write-misses",
                  4294967295)
        shown = self.done("stats", "show", "stats", "--json").json
        self.assertEqual(shown, {"readHits": 1, "readMisses": 2, "writeHits": 3, "writeMisses": 4294967295})
        self.assertIn("4294967295", self.done("stats", "show", "stats").out)

    def test_resize_refuses_dirty_blocks_in_the_cut_part(self):
        meta = self.create("resize")
        self.done("mapping", "insert", "resize", "99:1:dirty")
        error = self.refused("DIRTY_BLOCKS", "cache", "resize", "resize", "--cache-blocks", 50)
        self.assertIn("99", error["message"])
        grown = self.done("cache", "resize", "resize", "--cache-blocks", 2000, "--origin-size", "2GiB", "--json").json
        self.assert_fields(grown, revision=int, transaction=int, durableTransaction=int, cacheBlocks=int)
        self.assertEqual((grown["cacheBlocks"], self.show("resize")["cacheBlocks"]), (2000, 2000))
        self.refused("DIRTY_BLOCKS", "cache", "close", "resize", "--require-no-dirty")
        self.done("cache", "close", "resize")
        self.check(meta)

    def test_a_repeated_request_id_happens_once(self):
        self.create("ids")
        insert = ["mapping", "insert", "ids", "1:10", "--request-id", "once", "--json"]
        first = self.done(*insert).json
        self.done("mapping", "insert", "ids", "2:20")
        again = self.done(*insert).json
        self.assertEqual((again["revision"], again["transaction"]), (first["revision"], first["transaction"]))
        self.refused("REQUEST_ID_REUSED", "mapping", "insert", "ids", "3:30", "--request-id", "once")
        show = self.show("ids")
        self.refused("REVISION_MISMATCH", "mapping", "dirty", "ids", 1, "--expected-revision", show["revision"] + 1)
        self.refused("INCARNATION_CHANGED", "mapping", "dirty", "ids", 1, "--incarnation", "0000000000000001")
        self.done("mapping", "dirty", "ids", 1, "--expected-revision", show["revision"], "--incarnation",
                  show["incarnation"])

    def test_lines_of_input_go_in_batches(self):
        self.create("lines", blocks=140000, origin="100GiB", meta_bytes=32 * MIB)
        lines = "".join(f"{i} {i + 5}{' dirty' if i % 2 else ''}\n" for i in range(70000))
        inserted = self.done("mapping", "insert", "lines", "-", "--json", stdin=lines).json
        self.assertEqual(inserted["itemCount"], 70000)
        show = self.show("lines")
        self.assertEqual((show["mappedBlocks"], show["dirtyBlocks"]), (70000, 35000))
        listed = self.list("lines", "--cblocks", "69990-80000")
        self.assertEqual([m["cblock"] for m in listed], list(range(69990, 70000)))
        self.assertEqual([m["dirty"] for m in listed], [False, True] * 5)

        more = "".join(f"{i} {i + 5}\n" for i in range(70000, 70000 + 65536 + 20)).splitlines(keepends=True)
        more[65536 + 3] = "69999 1600000\n"  # In use; the second batch fails whole.
        error = self.refused("CBLOCK_IN_USE", "mapping", "insert", "lines", "-", stdin="".join(more))
        self.assertIn("line 65540: ", error["message"])
        self.assertIn("65536 lines were applied", error["message"])
        self.assertEqual(self.show("lines")["mappedBlocks"], 70000 + 65536)

        self.done("mapping", "clean", "lines", "0-69999")
        self.assertEqual(self.show("lines")["dirtyBlocks"], 0)
        removed = self.done("mapping", "remove", "lines", "0-69999", "--json").json
        self.assertEqual(removed["removedCount"], 70000)

    def test_what_loses_data_must_be_asked_for(self):
        meta = self.create("lossy")
        self.done("mapping", "insert", "lossy", "1:10:dirty", "2:20:dirty", "3:3000:dirty")
        self.refused("MAPPING_DIRTY", "mapping", "remove", "lossy", "1:10")
        removed = self.done("mapping", "remove", "lossy", "1:10", "--discard-dirty", "--json").json
        self.assertEqual(removed["removedCount"], 1)
        self.refused("MAPPING_DIRTY", "discard", "set", "lossy", "20-21")
        self.done("discard", "set", "lossy", "20-21", "--discard-dirty")
        self.assertEqual(self.done("discard", "list", "lossy", "--json").lines, [{"begin": 20, "end": 21}])
        self.refused("DIRTY_BLOCKS", "cache", "delete", "lossy", "--wipe")
        deleted = self.done("cache", "delete", "lossy", "--wipe", "--discard-dirty", "--json").json
        self.assertEqual(deleted, {"name": "lossy", "state": "deleted"})
        self.assertFalse(self.done("probe", meta, "--json").json["formatted"])
        create = ["cache", "create", "again", "--metadata", meta, "--block-size", "64KiB", "--cache-blocks", 10]
        self.refused("NOT_EMPTY", *create)
        created = self.done(*create, "--force", "--json").json
        self.assertEqual(created["mappedBlocks"], 0)
        self.assertNotIn("originSizeSectors", created)  # Nobody said it.
        self.done("cache", "close", "again")
        self.check(meta)

    def test_a_clean_commit_of_a_conservative_cache(self):
        meta = self.create("conservative", "--dirty-tracking", "conservative")
        self.done("mapping", "insert", "conservative", "1:10")
        self.done("commit", "conservative", "--request-id", "r", "--durable")
        self.assertFalse(self.show("conservative")["cleanShutdown"])
        committed = self.done("commit", "conservative", "--clean-shutdown", "--json").json
        self.assertGreaterEqual(committed["durableTransaction"], committed["transaction"])
        self.assertTrue(self.show("conservative")["cleanShutdown"])
        self.done("mapping", "dirty", "conservative", 1)
        self.assertFalse(self.show("conservative")["cleanShutdown"])
        self.done("cache", "close", "conservative")
        self.check(meta)

    def test_open_with_devices_and_without_trust(self):
        meta = self.create("devices", origin="64MiB")
        self.done("mapping", "insert", "devices", "1:10")
        self.done("cache", "close", "devices")
        small = self.file("devices.small", 99 * BLOCK)
        fast = self.file("devices.fast", 100 * BLOCK)
        origin = self.file("devices.origin", 1024 * BLOCK)
        self.refused("GEOMETRY_MISMATCH", "cache", "open", "devices", "--metadata", meta, "--fast", small)
        opened = self.done("cache", "open", "devices", "--metadata", meta, "--fast", fast, "--origin", origin,
                           "--assume-unclean", "--json").json
        self.assertEqual((opened["fastPath"], opened["originPath"]), (str(fast), str(origin)))
        self.assertEqual((opened["fastSizeSectors"], opened["originSizeSectors"]), (100 * 128, 1024 * 128))
        self.assertEqual((opened["adopted"], opened["dirtyBlocks"]), (True, 1))
        self.refused("CACHE_EXISTS", "cache", "open", "devices", "--recover")  # It has not failed.
        self.done("cache", "close", "devices")
        self.check(meta)

    def test_a_command_is_repeated_with_its_id_and_incarnation(self):
        meta = self.create("repeats")
        self.done("mapping", "insert", "repeats", "1:10")
        self.assertIn("a plain cblock will not do",
                      self.refused("INVALID_REQUEST", "mapping", "remove", "repeats", 1, "--request-id", "r",
                                   code=2)["message"])
        remove = ["mapping", "remove", "repeats", "1:10", "--request-id", "r", "--incarnation",
                  self.show("repeats")["incarnation"], "--json"]
        first = self.done(*remove).json
        again = self.done(*remove).json
        self.assertEqual((again["revision"], again["removedCount"]), (first["revision"], 1))
        self.done("cache", "close", "repeats")
        self.done("cache", "open", "repeats", "--metadata", meta)
        self.refused("INCARNATION_CHANGED", *remove)

    def test_unclean_metadata_of_a_real_kernel_read_only(self):
        fixture = ARGUMENTS.fixtures / "v2-dirty-unclean-2nd"
        expected = json.loads((fixture / "fixture.json").read_text())
        meta = self.folder / "unclean.meta"
        meta.write_bytes(lzma.decompress((fixture / "meta.img.xz").read_bytes()))
        opened = self.done("cache", "open", "unclean", "--metadata", meta, "--read-only", "--json").json
        self.assertEqual((opened["state"], opened["mustAssumeAllDirty"]), ("read_only", True))
        found = self.list("unclean")
        stored = [[m["cblock"], m["oblock"], m.get("dirtyStored", m["dirty"])] for m in found]
        self.assertEqual(stored, [[c, o, bool(d)] for c, o, d in expected["mappings_on_disk"]])
        self.assertTrue(all(m["dirty"] for m in found))
        self.assertTrue(all("hint" not in m for m in found))
        self.assertTrue(any("dirtyStored" in m for m in found))
        self.assertNotIn(True, [m.get("dirtyStored") for m in found])
        self.refused("READ_ONLY", "mapping", "dirty", "unclean", found[0]["cblock"])
        self.assertEqual(self.done("discard", "list", "unclean", "--json").out, "")
        self.done("cache", "close", "unclean")
        opened = self.done("cache", "open", "unclean", "--metadata", meta, "--old-callers-gone", "--json").json
        self.assertTrue(opened["adopted"])
        self.assertEqual(opened["dirtyBlocks"], len(found))
        self.done("mapping", "reserve", "unclean", "--count", 1)
        self.done("cache", "close", "unclean")
        self.check(meta)

    def test_metadata_that_needs_a_check_is_not_opened_for_writing(self):
        meta = self.folder / "needs.meta"
        meta.write_bytes(lzma.decompress((ARGUMENTS.fixtures / "v1-needs-check" / "meta.img.xz").read_bytes()))
        self.refused("NEEDS_CHECK", "cache", "open", "needs", "--metadata", meta)
        self.assertTrue(self.done("probe", meta, "--json").json["needsCheck"])

    def test_info_plan_and_health(self):
        info = self.done("info", "--json").json
        self.assertEqual((info["metadataVersions"], info["maxItemsPerMessage"]), ([1, 2], 65536))
        plan = self.done("plan", "--origin-size", "10TiB", "--fast-size", "500GiB", "--block-size", "256KiB", "--json")
        self.assertEqual(plan.json["dataBlockSizeSectors"], 512)
        self.assertEqual(plan.json["cacheBlocks"], 500 * 4096)
        self.assertEqual(self.done("health", "--json").json, {"service": "", "status": "serving"})
        self.done("health", "--service", "dmcached.v1.CacheService")
        unknown = self.cli("health", "--service", "cache/none")
        self.assertEqual((unknown.code, unknown.out), (1, "service_unknown\n"))

    # For people.

    def test_tables_are_aligned(self):
        self.create("people")
        self.done("mapping", "insert", "people", "3:4:dirty", "10:12345")
        lines = self.done("mapping", "list", "people").out.splitlines()
        self.assertEqual(len(lines), 3)
        self.assertEqual(len({line.index(word) for line, word in zip(lines, ["DIRTY", "yes", "no"])}), 1)
        listing = self.done("cache", "list").out.splitlines()
        header = next(line for line in listing if line.startswith("NAME"))
        row = next(line for line in listing if line.startswith("people "))
        self.assertEqual(header.index("STATE"), row.index("open"))
        self.assertIn("dirty tracking:", self.done("cache", "show", "people").out)
        self.assertRegex(self.done("mapping", "dirty", "people", 10).out, r"^Marked dirty 1 mapping of people \(.*\)\.\n$")

    def test_wrong_inputs_are_answered_by_one_sentence(self):
        meta = self.create("wrong")
        cases = [
            (2, "a command is missing", []),
            (2, "no command of dmcachectl cache", ["cache", "frobnicate"]),
            (2, "NAME is required", ["cache", "show"]),
            (2, "--metadata is required", ["cache", "create", "x", "--block-size", "64KiB"]),
            (2, '"64KB" is not a size', ["cache", "create", "x", "--metadata", meta, "--block-size", "64KB"]),
            (2, '"-5" is not a number', ["mapping", "reserve", "wrong", "--count", "-5"]),
            (2, '"sometimes" is neither', ["cache", "open", "x", "--metadata", meta, "--dirty-tracking", "sometimes"]),
            (2, '"5" is not CBLOCK:OBLOCK', ["mapping", "insert", "wrong", "5"]),
            (2, '"9-3" ends before it begins', ["mapping", "dirty", "wrong", "9-3"]),
            (2, '"7-7" is empty', ["discard", "set", "wrong", "7-7"]),
            (2, "needs either --cblocks or --oblocks", ["mapping", "lookup", "wrong"]),
            (2, '"12x" is not a number of 16 hex digits', ["mapping", "release", "wrong", "12x"]),
            (2, '"nowhere" is not an address', ["info", "--address", "nowhere"]),
            (2, "cache resize needs", ["cache", "resize", "wrong"]),
            (2, "--frobnicate", ["cache", "list", "--frobnicate"]),
            (1, "nosuchcache", ["mapping", "list", "nosuchcache"]),
            (1, "Not A Name", ["cache", "open", "Not A Name", "--metadata", meta]),
            (1, "/nonexistent/meta", ["cache", "open", "x", "--metadata", "/nonexistent/meta"]),
            (1, "relative", ["probe", "relative"]),
            (1, "63", ["cache", "create", "x", "--metadata", self.file("w.meta", 8 * MIB), "--block-size", "63s"]),
            (1, "4000", ["mapping", "dirty", "wrong", 4000]),
            (1, "cblock 5 is not mapped", ["mapping", "clean", "wrong", 5]),
            (1, str(meta), ["cache", "open", "second", "--metadata", meta]),
            (1, "policy", ["hint", "begin", "wrong", "a-policy-with-a-long-name"]),
            (1, "1001", ["mapping", "reserve", "wrong", "--count", 1001]),
            (3, "cannot connect to unix:/nonexistent/socket: No such file", ["info", "--address",
                                                                            "unix:/nonexistent/socket"]),
        ]
        for code, expected, arguments in cases:
            with self.subTest(arguments=arguments):
                result = self.cli(*arguments)
                self.assertEqual((result.code, result.out), (code, ""), result.err)
                self.assertIn(expected, result.err)
                self.assertTrue(result.err.startswith("dmcachectl: "), result.err)
                self.assertEqual(result.err.count("\n"), 1, result.err)
                error = self.cli(*arguments, "--json").error
                self.assertEqual(set(error), {"code", "reason", "message"})
                self.assertIn(expected, error["message"])

    def test_lines_that_are_no_items_name_the_line(self):
        self.create("badline")
        error = self.refused("INVALID_REQUEST", "mapping", "insert", "badline", "-", stdin="1 10\n2 twenty\n")
        self.assertIn('line 2: "2 twenty"', error["message"])
        self.assertIn("0 lines were applied", error["message"])
        self.refused("INVALID_REQUEST", "mapping", "insert", "badline", "-", stdin="")
        self.assertEqual(self.list("badline"), [])


class FailedCacheTest(unittest.TestCase):
    def test_a_configured_cache_that_failed_is_recovered_or_closed(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="dmc-"))
        self.addCleanup(shutil.rmtree, folder)
        config = folder / "config.json"
        caches = [{"name": name, "metadata": str(folder / name)} for name in ("later", "never")]
        config.write_text(json.dumps({"recover_interval_ms": 0, "caches": caches}))
        daemon = Daemon(folder, "--config", config)
        self.addCleanup(lambda: daemon.process.poll() is None and daemon.stop())

        def cli(*arguments):
            return run_cli(daemon.socket, *arguments)

        shown = cli("cache", "show", "later", "--json").json
        self.assertEqual(shown["state"], "failed")
        for unknown in ("version", "cleanShutdown", "cacheBlocks", "incarnation", "originSizeSectors"):
            self.assertNotIn(unknown, shown)
        self.assertIn(str(folder / "later"), shown["lastError"])
        self.assertEqual(cli("cache", "open", "later", "--recover", "--json").error["reason"], "DEVICE_NOT_FOUND")
        with open(folder / "other", "wb") as file:
            file.truncate(8 * MIB)
        created = cli("cache", "create", "other", "--metadata", folder / "other", "--block-size", "64KiB",
                      "--cache-blocks", 10, "--origin-size", "1GiB")
        self.assertEqual(created.code, 0, created.err)
        self.assertEqual(cli("cache", "close", "other").code, 0)
        os.rename(folder / "other", folder / "later")
        recovered = cli("cache", "open", "later", "--recover", "--json")
        self.assertEqual((recovered.code, recovered.json["state"]), (0, "open"), recovered.err)

        self.assertEqual(cli("cache", "close", "never", "--json").error["reason"], "CACHE_FAILED")
        closed = cli("cache", "close", "never", "--discard-uncommitted", "--json")
        self.assertEqual(closed.json, {"name": "never", "state": "closed"})
        self.assertEqual(cli("cache", "show", "never", "--json").error["reason"], "CACHE_NOT_OPEN")
        self.assertEqual(daemon.stop(), 0)


class StopTest(unittest.TestCase):
    def test_sigterm_closes_clean_and_commands_then_answer_three(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="dmc-"))
        self.addCleanup(shutil.rmtree, folder)
        daemon = Daemon(folder)
        meta = folder / "meta"
        with open(meta, "wb") as file:
            file.truncate(8 * MIB)
        created = run_cli(daemon.socket, "cache", "create", "c", "--metadata", meta, "--block-size", "64KiB",
                          "--cache-blocks", 10, "--origin-size", "1GiB")
        inserted = run_cli(daemon.socket, "mapping", "insert", "c", "1:2:dirty", "3:4")
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual((created.code, inserted.code), (0, 0), created.err + inserted.err)
        for command in (["health"], ["cache", "list"], ["mapping", "list", "c"], ["mapping", "dirty", "c", "1"]):
            result = run_cli(daemon.socket, *command)
            self.assertEqual((result.code, result.out), (3, ""), result.err)
        if shutil.which("cache_check"):
            self.assertEqual(subprocess.run(["cache_check", meta], capture_output=True).returncode, 0)
        again = Daemon(folder)
        try:
            opened = run_cli(again.socket, "cache", "open", "c", "--metadata", meta, "--json")
            listed = run_cli(again.socket, "mapping", "list", "c", "--json")
        finally:
            code = again.stop()
        self.assertEqual((opened.code, code), (0, 0), opened.err)
        self.assertFalse(opened.json["adopted"])
        self.assertEqual(listed.lines, [{"cblock": 1, "oblock": 2, "dirty": True},
                                        {"cblock": 3, "oblock": 4, "dirty": False}])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--daemon", required=True)
    parser.add_argument("--cli", required=True)
    parser.add_argument("--fixtures", required=True, type=pathlib.Path)
    known, rest = parser.parse_known_args()
    ARGUMENTS.__dict__.update(known.__dict__)
    unittest.main(argv=[sys.argv[0], *rest])
