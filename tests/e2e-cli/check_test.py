"""dmcachectl check against the real daemon, and without one: findings, JSON, exit codes.

Run by ctest, with the helpers of cli_test.py.
"""

import argparse
import lzma
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from cli_test import ARGUMENTS, MIB, Daemon, run_cli

METADATA_BLOCK = 4096
SUMMARY = {
    "noteCount", "repairableCount", "fatalCount", "cacheBlocks", "mappedCount", "dirtyCount", "metadataBlockCount",
    "readBlockCount", "usedBlockCount", "leakedBlockCount", "cleanShutdown", "needsCheck", "needsCheckCleared",
}


class CheckTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dmc-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def cli(self, *arguments, socket="unix:/nonexistent/s"):
        return run_cli(socket, *arguments)

    def fixture(self, name):
        path = self.folder / f"{name}.img"
        path.write_bytes(lzma.open(pathlib.Path(ARGUMENTS.fixtures) / name / "meta.img.xz").read())
        return path

    def offline(self, path, *more):
        return self.cli("check", "--offline", path, *more)

    def damage_mappings(self, path):
        """One bit of the block that the index of the mappings begins with."""
        image = bytearray(path.read_bytes())
        root = int.from_bytes(image[192:200], "little")
        image[root * METADATA_BLOCK + 40] ^= 1
        path.write_bytes(image)
        return root

    def test_sound_images_of_a_kernel_exit_with_0(self):
        for name in ("v1-clean-smq", "v2-dirty-clean", "v1-grown"):
            result = self.offline(self.fixture(name), "--json")
            self.assertEqual(result.code, 0, result.err)
            self.assertEqual(set(result.lines[-1]["summary"]), SUMMARY)
            self.assertEqual(result.lines[-1]["summary"]["fatalCount"], 0)
            self.assertEqual(result.err, "", "no progress beside JSON, none in a pipe for a short run")

    def test_fatal_damage_exits_with_5_and_says_what_is_affected(self):
        path = self.fixture("v2-dirty-clean")
        root = self.damage_mappings(path)
        result = self.offline(path, "--json")
        self.assertEqual(result.code, 5)
        finding = result.lines[0]
        self.assertEqual(
            (finding["kind"], finding["severity"], finding["block"]), ("index_node_damaged", "fatal", root)
        )
        self.assertEqual(finding["cblocks"], [0, result.lines[-1]["summary"]["cacheBlocks"]])
        self.assertLessEqual({"kind", "severity", "block", "cblocks", "mappings", "dirty", "message"}, set(finding))
        text = self.offline(path)
        self.assertEqual(text.code, 5)
        self.assertIn(f"fatal index_node_damaged: mapping array: btree node {root}", text.out)
        self.assertIn("DAMAGED: 1 fatal finding", text.out)

    def test_what_cache_restore_leaves_exits_with_4(self):
        if shutil.which("cache_restore") is None:
            self.skipTest("cache_restore is not installed")
        xml = self.folder / "dump.xml"
        xml.write_text(
            '<superblock uuid="" block_size="128" nr_cache_blocks="100" policy="smq" hint_width="4">\n'
            '  <mappings>\n    <mapping cache_block="1" origin_block="7" dirty="true"/>\n  </mappings>\n'
            "  <hints>\n  </hints>\n</superblock>\n"
        )
        path = self.folder / "restored.img"
        path.write_bytes(bytes(4 * MIB))
        subprocess.run(["cache_restore", "-i", xml, "-o", path], check=True, capture_output=True)
        result = self.offline(path, "--json")
        self.assertEqual(result.code, 4, result.out + result.err)
        self.assertIn("leaked_block", [line.get("kind") for line in result.lines])

    def test_clear_needs_check_offline(self):
        path = self.fixture("v1-needs-check")
        before = path.read_bytes()
        result = self.offline(path, "--json")
        self.assertEqual((result.code, result.lines[0]["kind"]), (0, "needs_check_set"))
        self.assertEqual(path.read_bytes(), before, "a check alone writes nothing")
        result = self.offline(path, "--clear-needs-check", "--json")
        self.assertEqual((result.code, result.lines[-1]["summary"]["needsCheckCleared"]), (0, True))
        self.assertFalse(self.offline(path, "--json").lines[-1]["summary"]["needsCheck"])
        self.assertEqual(path.read_bytes()[METADATA_BLOCK:], before[METADATA_BLOCK:])

    def test_wrong_use_and_what_is_no_metadata(self):
        self.assertEqual(self.cli("check").code, 2)
        self.assertEqual(self.cli("check", "name", "--offline", "/x").code, 2)
        self.assertEqual(self.cli("check", "name").code, 3)
        missing = self.offline(self.folder / "none", "--json")
        self.assertEqual((missing.code, missing.error["reason"]), (1, "DEVICE_NOT_FOUND"))
        zeros = self.folder / "zeros"
        zeros.write_bytes(bytes(MIB))
        self.assertEqual(self.offline(zeros, "--json").error["reason"], "NOT_FORMATTED")
        noise = self.folder / "noise"
        noise.write_bytes(b"\x55" * MIB)
        self.assertEqual(self.offline(noise).code, 5)

    def test_an_open_cache(self):
        daemon = Daemon(self.folder)
        try:
            path = self.folder / "meta"
            path.write_bytes(bytes(4 * MIB))
            cli = lambda *arguments: self.cli(*arguments, socket=daemon.socket)
            created = cli("cache", "create", "c", "--metadata", path, "--block-size", "64KiB", "--cache-blocks", 500)
            self.assertEqual(created.code, 0, created.err)
            self.assertEqual(cli("mapping", "insert", "c", "1:10", "2:20:dirty").code, 0)
            result = cli("check", "c", "--json")
            self.assertEqual(result.code, 0, result.err)
            self.assertEqual(result.lines[-1]["summary"]["mappedCount"], 2)
            self.assertEqual(result.lines[-1]["summary"]["dirtyCount"], 1)
            self.assertIn("cache c is sound; 0 notes", cli("check", "c").out)
            busy = self.offline(path, "--json")
            self.assertEqual((busy.code, busy.error["reason"]), (1, "DEVICE_IN_USE"))
            self.assertEqual(cli("check", "other").code, 1)
        finally:
            self.assertEqual(daemon.stop(), 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for option in ("daemon", "cli", "fixtures"):
        parser.add_argument(f"--{option}", required=True)
    parser.parse_args(namespace=ARGUMENTS)
    unittest.main(argv=[sys.argv[0], "-v"])
