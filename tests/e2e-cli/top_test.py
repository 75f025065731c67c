"""dmcachectl top against the real daemon and its metrics.

Run by ctest, with the helpers of cli_test.py.
"""

import argparse
import pathlib
import shutil
import sys
import tempfile
import unittest

from cli_test import ARGUMENTS, MIB, Daemon, run_cli


class TopTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dmc-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.daemon = Daemon(self.folder, "--metrics", "127.0.0.1:0")
        self.addCleanup(self.daemon.stop)
        with open(self.folder / "metadata", "wb") as file:
            file.truncate(4 * MIB)
        self.done("cache", "create", "demo", "--metadata", self.folder / "metadata", "--cache-blocks", 1000,
                  "--origin-size", "1GiB", "--block-size", "64KiB")
        self.done("mapping", "insert", "demo", "1:1", "2:2")
        self.done("mapping", "dirty", "demo", "1")
        self.done("stats", "set", "demo", "--read-hits", 3, "--read-misses", 1, "--write-hits", 0, "--write-misses", 0)

    def done(self, *arguments):
        result = run_cli(self.daemon.socket, *arguments)
        self.assertEqual((result.code, result.err), (0, ""), arguments)
        return result

    def top(self, *more):
        return run_cli(self.daemon.socket, "top", "--once", "--interval", 0.2, *more)

    def test_without_metrics_it_shows_what_the_service_says(self):
        (cache,) = self.top("--json").json["caches"]
        self.assertEqual(cache, {"name": "demo", "state": "open", "cacheBlocks": 1000, "mappedBlocks": 2,
                                 "dirtyBlocks": 1, "readHitRatio": 0.75})
        titles, row = self.top().out.splitlines()[1:]
        self.assertEqual(row.split(), ["demo", "open", "1000", "0.2%", "1", "0.1%", "75.0%", "-", "-"])
        self.assertEqual(titles.split()[0], "NAME")

    def test_rates_come_from_the_metrics(self):
        # Its own look at the caches is an rpc, so one was answered between the two looks at the metrics.
        seen = self.top("--metrics", self.daemon.metrics, "--json").json
        self.assertGreater(seen["rpcsPerSecond"], 0)
        self.assertEqual(seen["caches"][0]["commitsPerSecond"], 0)

    def test_metrics_that_cannot_be_had_are_named(self):
        for url in (f"http://{self.daemon.metrics}/nothing", "127.0.0.1:1"):
            result = self.top("--metrics", url)
            self.assertEqual((result.code, result.out), (3, ""))
            self.assertIn(url.removeprefix("http://"), result.err)
        self.assertEqual(self.top("--metrics", "node").code, 2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for option in ("daemon", "cli"):
        parser.add_argument(f"--{option}", required=True)
    parser.parse_args(namespace=ARGUMENTS)
    unittest.main(argv=[sys.argv[0], "-v"])
