"""dmcachectl check against the real daemon, and without one: findings, JSON, exit codes.

Run by ctest, with the helpers of cli_test.py.
"""

import argparse
import lzma
import os
import pathlib
import pty
import shutil
import subprocess
import sys
import tempfile
import unittest

from cli_test import ARGUMENTS, MIB, TIMEOUT_S, Daemon, run_cli

METADATA_BLOCK = 4096
BITMAP_SALT = 240779  # core/format/README.md.
SUMMARY = {
    "noteCount", "repairableCount", "fatalCount", "cacheBlocks", "mappedCount", "dirtyCount", "metadataBlockCount",
    "readBlockCount", "usedBlockCount", "leakedBlockCount", "cleanShutdown", "needsCheck", "needsCheckCleared",
}


def crc32c(data):
    """Without the final inversion, as the format has it."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register


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

    def patch(self, path, at, change):
        """The byte at an offset, in place: whoever has the file open sees it."""
        with open(path, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([change(byte)]))

    def damage_mappings(self, path, root=None):
        """One bit of the block that the index of the mappings begins with."""
        image = path.read_bytes()
        root = root or int.from_bytes(image[192:200], "little")
        self.patch(path, root * METADATA_BLOCK + 40, lambda byte: byte ^ 1)
        return root

    def leak_a_block(self, path):
        """The last metadata block is in use from now on, says the first bitmap."""
        image = bytearray(path.read_bytes())
        number = lambda at: int.from_bytes(image[at : at + 8], "little")
        leaked = number(64) - 1
        bitmap = number(number(80) * METADATA_BLOCK + 16) * METADATA_BLOCK
        at = bitmap + 16 + leaked // 4
        self.assertEqual(image[at] >> leaked % 4 * 2 & 3, 0, "it is free")
        image[at] |= 2 << leaked % 4 * 2
        checksum = crc32c(image[bitmap + 4 : bitmap + METADATA_BLOCK]) ^ BITMAP_SALT
        image[bitmap : bitmap + 4] = checksum.to_bytes(4, "little")
        path.write_bytes(image)
        return leaked


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

    def serve(self, path):
        """A daemon that has the metadata open as "c", and a way to call it."""
        daemon = Daemon(self.folder)
        self.addCleanup(lambda: self.assertEqual(daemon.stop(), 0))
        cli = lambda *arguments: self.cli(*arguments, socket=daemon.socket)
        if not any(path.read_bytes()):
            opened = cli("cache", "create", "c", "--metadata", path, "--block-size", "64KiB", "--cache-blocks", 500)
        else:
            opened = cli("cache", "open", "c", "--metadata", path)
        self.assertEqual(opened.code, 0, opened.err)
        return cli

    def zeros(self):
        path = self.folder / "meta"
        path.write_bytes(bytes(4 * MIB))
        return path

    def test_an_open_cache(self):
        path = self.zeros()
        cli = self.serve(path)
        self.assertEqual(cli("mapping", "insert", "c", "1:10", "2:20:dirty").code, 0)
        result = cli("check", "c", "--json")
        self.assertEqual(result.code, 0, result.err)
        self.assertEqual(result.lines[-1]["summary"]["mappedCount"], 2)
        self.assertEqual(result.lines[-1]["summary"]["dirtyCount"], 1)
        self.assertIn("cache c is sound; 0 notes", cli("check", "c").out)
        busy = self.offline(path, "--json")
        self.assertEqual((busy.code, busy.error["reason"]), (1, "DEVICE_IN_USE"))
        self.assertEqual(cli("check", "other").code, 1)

    def test_an_open_cache_with_a_leak_exits_with_4(self):
        path = self.fixture("v2-dirty-clean")
        leaked = self.leak_a_block(path)
        cli = self.serve(path)
        result = cli("check", "c", "--json")
        self.assertEqual(result.code, 4, result.out + result.err)
        self.assertIn(("leaked_block", leaked), [(line["kind"], line.get("block")) for line in result.lines[:-1]])
        self.assertIn("repairable", cli("check", "c").out)
        self.assertEqual(cli("cache", "show", "c", "--json").json["state"], "open", "nothing fatal")

    def test_an_open_cache_that_is_damaged_exits_with_5_until_it_is_sound_again(self):
        path = self.zeros()
        cli = self.serve(path)
        self.assertEqual(cli("mapping", "insert", "c", "1:10:dirty").code, 0)
        root = self.damage_mappings(path)
        result = cli("check", "c", "--clear-needs-check", "--json")
        self.assertEqual(result.code, 5, result.out + result.err)
        self.assertEqual((result.lines[0]["kind"], result.lines[0]["block"]), ("index_node_damaged", root))
        self.assertFalse(result.lines[-1]["summary"]["needsCheckCleared"])
        self.assertIn("DAMAGED: 1 fatal finding", cli("check", "c").out)
        self.assertNotEqual(cli("mapping", "insert", "c", "3:30").code, 0, "it needs a check")
        self.assertEqual(self.damage_mappings(path, root), root)  # The same bit again: as before.
        result = cli("check", "c", "--clear-needs-check", "--json")
        self.assertEqual(result.code, 0, result.out + result.err)
        self.assertTrue(result.lines[-1]["summary"]["needsCheckCleared"])
        self.assertEqual(cli("cache", "close", "c").code, 0)
        self.assertFalse(self.offline(path, "--json").lines[-1]["summary"]["needsCheck"])

    def test_a_terminal_sees_a_progress_bar(self):
        here, there = pty.openpty()
        self.addCleanup(os.close, here)
        path = self.fixture("v2-dirty-clean")
        subprocess.run(
            [ARGUMENTS.cli, "check", "--offline", path], check=True, stdout=subprocess.PIPE, stderr=there, timeout=TIMEOUT_S
        )
        os.close(there)
        drawn = b""
        try:
            while chunk := os.read(here, 65536):
                drawn += chunk
        except OSError:  # Linux: nothing more to read, and nobody has the other end.
            pass
        self.assertRegex(drawn.decode(), r"\r\[[#.]{30}\] \d+% \d+ metadata blocks of ")
        self.assertTrue(drawn.endswith(b" \r"), "wiped at the end")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for option in ("daemon", "cli", "fixtures"):
        parser.add_argument(f"--{option}", required=True)
    parser.parse_args(namespace=ARGUMENTS)
    unittest.main(argv=[sys.argv[0], "-v"])
