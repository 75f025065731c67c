"""A real Prometheus scrapes a real daemon under load: the exposition, the rules, and every expression that we ship.

Started by prometheus_test.sh with Debian's prometheus; needs nothing else.  An expression that returns nothing must be
listed in prometheus_empty.json with the reason, and no more than a tenth may be.  An alert is evaluated without its
comparison, since on a sound daemon it must not fire: what is asked is whether it looks at data at all.
"""

import argparse
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = sorted((ROOT / "deploy/prometheus/rules").glob("*.yml"))
DASHBOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
CACHE = "demo"
TIMEOUT_S = 300
ARGUMENTS = argparse.Namespace()


def run(*command, stdin=""):
    result = subprocess.run([str(word) for word in command], input=stdin, capture_output=True, text=True, timeout=TIMEOUT_S)
    if result.returncode != 0:
        raise AssertionError(f"{command}: exit code {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def fetch(url):
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
        return answer.read().decode()


def wait_for(what, ready):
    """Asks until it is so; a process that is starting, or the next scrape."""
    end = time.monotonic() + TIMEOUT_S
    while time.monotonic() < end:
        try:
            if ready():
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"waited in vain for {what}")


def promtool(*arguments, stdin=""):
    return run(f"{ARGUMENTS.prometheus}/promtool", *arguments, stdin=stdin)


def panels(dashboard):
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def dashboard_expressions():
    """(where, expression) of every target and variable, with Grafana's variables filled in."""
    fill = {"$node": ".*", "$cache": ".*", "$instance": ".*", "$__rate_interval": "15s", "$__range": "1m"}
    for path in DASHBOARDS:
        dashboard = json.loads(path.read_text())
        for panel in panels(dashboard):
            for target in panel.get("targets", []):
                expression = target["expr"]
                for variable, value in fill.items():
                    expression = expression.replace(variable, value)
                yield f"{path.name}: {panel['title']} {target['refId']}", expression


class Prometheus:
    """One of its own on a free loopback port, stopped by its handle."""

    def __init__(self, folder, metrics):
        # A second instead of the minutes that a fleet wants: expressions over [5m] have data after two scrapes.
        rules = json.dumps([str(path) for path in RULES])
        (folder / "prometheus.yml").write_text(
            f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: {rules}\nscrape_configs:\n"
            f"  - {{job_name: dmcached, static_configs: [{{targets: ['{metrics}'], labels: {{node: here}}}}]}}\n"
        )
        self.log = open(folder / "prometheus.log", "w+")
        self.process = subprocess.Popen(
            [f"{ARGUMENTS.prometheus}/prometheus", f"--config.file={folder}/prometheus.yml",
             f"--storage.tsdb.path={folder}/tsdb", "--web.listen-address=127.0.0.1:0"],
            stdout=self.log, stderr=subprocess.STDOUT)
        self.url = None
        wait_for("Prometheus to listen", self._find_address)
        wait_for("Prometheus to be ready", lambda: "Ready" in fetch(f"{self.url}/-/ready"))

    def _find_address(self):
        if self.process.poll() is not None:
            raise AssertionError(pathlib.Path(self.log.name).read_text())
        found = re.search(r'msg="Listening on" address=(127\.0\.0\.1:[1-9]\d*)', pathlib.Path(self.log.name).read_text())
        if found:
            self.url = f"http://{found[1]}"
        return found

    def get(self, path, **parameters):
        answer = json.loads(fetch(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"))
        if answer["status"] != "success":
            raise AssertionError(answer)
        return answer["data"]

    def query(self, expression):
        return self.get("query", query=expression)["result"]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(TIMEOUT_S)
        self.log.close()


def make_certificates(folder):
    """A CA, and pairs of it for the daemon and for a caller named agent."""
    common = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "365"]
    run(*common, "-subj", "/CN=ca", "-keyout", folder / "ca.key", "-out", folder / "ca.crt")
    for name, names in (("daemon", "DNS:dmcached,IP:127.0.0.1"), ("agent", "DNS:agent")):
        run(*common, "-CA", folder / "ca.crt", "-CAkey", folder / "ca.key", "-subj", f"/CN={name}",
            "-addext", f"subjectAltName={names}", "-addext", "basicConstraints=critical,CA:FALSE",
            "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt")


class PrometheusTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="dmc-prom-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.address = f"unix:{cls.folder}/s"
        make_certificates(cls.folder)
        (cls.folder / "config.json").write_text(json.dumps({
            "listen": [cls.address, "127.0.0.1:0"], "metrics": "127.0.0.1:0",
            "tls": {"certificate": f"{cls.folder}/daemon.crt", "key": f"{cls.folder}/daemon.key",
                    "client_ca": f"{cls.folder}/ca.crt"},
            "roles": [{"identity": "agent", "role": "reader"}]}))
        log = open(cls.folder / "daemon.log", "w")
        cls.addClassCleanup(log.close)
        cls.daemon = subprocess.Popen(
            [ARGUMENTS.daemon, "--config", cls.folder / "config.json"], stdout=subprocess.PIPE, stderr=log, text=True)
        cls.addClassCleanup(cls.stop_daemon)
        banner = cls.daemon.stdout.readline()
        cls.metrics = re.search(r"metrics=(\S+)", banner)[1]
        cls.tls_address = re.search(r"127\.0\.0\.1:\d+", banner.replace(cls.metrics, ""))[0]
        for name, size in (("metadata", 16 << 20), ("fast", 64 << 20), ("origin", 1 << 30)):
            with open(cls.folder / name, "wb") as file:
                file.truncate(size)
        cls.cli("cache", "create", CACHE, "--metadata", cls.folder / "metadata", "--fast", cls.folder / "fast",
                "--origin", cls.folder / "origin", "--block-size", "64KiB")
        cls.prometheus = Prometheus(cls.folder, cls.metrics)
        cls.addClassCleanup(cls.prometheus.stop)
        cls.load(0)
        cls.cli("check", CACHE)
        # Rates need a scrape between two pieces of work, and rules that use rules need one more evaluation.
        for part in range(1, 4):
            cls.wait_for_scrape()
            cls.load(part)
        cls.wait_for_scrape()
        wait_for("the rules", lambda: cls.prometheus.query("instance:dmcached_rpc_errors:ratio_rate5m"))

    @classmethod
    def stop_daemon(cls):
        cls.daemon.send_signal(signal.SIGTERM)
        code = cls.daemon.wait(TIMEOUT_S)
        cls.daemon.stdout.close()
        if code != 0:
            raise AssertionError(f"the daemon exited with {code}")

    @classmethod
    def cli(cls, *arguments, stdin=""):
        return run(ARGUMENTS.cli, "--address", cls.address, *arguments, stdin=stdin)

    @classmethod
    def agent(cls, *arguments):
        """A reader, over TLS."""
        files = ("--tls-ca", cls.folder / "ca.crt", "--tls-cert", cls.folder / "agent.crt", "--tls-key", cls.folder / "agent.key")
        return run(ARGUMENTS.cli, "--address", cls.tls_address, *files, *arguments)

    @classmethod
    def load(cls, part):
        """Every kind of work once, on blocks of its own."""
        reserved = json.loads(cls.cli("mapping", "reserve", CACHE, "--count", 8, "--json"))
        cblocks = reserved["cblocks"]
        cls.cli("mapping", "insert", CACHE, "--reservation", reserved["reservation"],
                *(f"{cblock}:{1000 * part + cblock}" for cblock in cblocks))
        cls.cli("mapping", "dirty", CACHE, cblocks[0])
        cls.cli("mapping", "lookup", CACHE, "--cblocks", cblocks[1])
        cls.cli("discard", "set", CACHE, f"{8192 + part * 16}-{8200 + part * 16}")
        cls.cli("stats", "set", CACHE, "--read-hits", 90 * part, "--read-misses", 10 * part, "--write-hits", 5 * part,
                "--write-misses", part)
        cls.cli("commit", CACHE)
        cls.agent("cache", "show", CACHE)
        try:
            cls.agent("commit", CACHE)
        except AssertionError as denied:
            assert "needs operator" in str(denied), denied
        else:
            raise AssertionError("a reader may commit")

    @classmethod
    def wait_for_scrape(cls):
        def last_scrape():
            found = [target for target in cls.prometheus.get("targets")["activeTargets"] if target["health"] == "up"]
            return found[0]["lastScrape"] if found else ""
        before = last_scrape()
        wait_for("a scrape", lambda: last_scrape() not in ("", before))

    def test_promtool_finds_nothing_to_say_about_the_exposition(self):
        self.assertEqual(promtool("check", "metrics", stdin=fetch(f"http://{self.metrics}/metrics")), "")

    def test_promtool_finds_rules_and_example_sound(self):
        promtool("check", "rules", *RULES)
        promtool("check", "config", ROOT / "deploy/prometheus/prometheus.yml")

    def test_every_alert_is_seen_firing_and_not_firing(self):
        tests = sorted((ROOT / "deploy/prometheus/tests").glob("*.yml"))
        promtool("test", "rules", *tests)
        shown = "".join(path.read_text() for path in tests)
        for alert in self.rules("alerting"):
            self.assertIn(f'alertname="{alert["name"]}"', shown)
            self.assertLessEqual({"summary", "description", "action"}, set(alert["annotations"]), alert["name"])
            self.assertIn(alert["name"], (ROOT / "deploy/prometheus/README.md").read_text())

    def rules(self, kind):
        return [rule for group in self.prometheus.get("rules")["groups"] for rule in group["rules"] if rule["type"] == kind]

    def expressions(self):
        for rule in self.rules("recording"):
            yield f"record {rule['name']}", rule["query"]
        for rule in self.rules("alerting"):
            # `> BOUND` and its like, wherever they stand: without them an alert returns what it looks at.
            yield f"alert {rule['name']}", re.sub(r" (>|<|==) [\d.]+( \* [\d.]+)?", "", rule["query"])
        yield from dashboard_expressions()

    def test_every_expression_returns_data_or_is_listed_as_empty(self):
        listed = json.loads((pathlib.Path(__file__).parent / "prometheus_empty.json").read_text())
        everything = list(self.expressions())
        empty = {where: expression for where, expression in everything if not self.prometheus.query(expression)}
        self.assertEqual(sorted(empty), sorted(listed), "empty, and listed in prometheus_empty.json")
        self.assertTrue(all(listed.values()), "each with a reason")
        self.assertLess(10 * len(empty), len(everything))
        print(f"{len(everything)} expressions, {len(empty)} legitimately empty")

    def test_no_alert_fires_for_a_sound_daemon(self):
        self.assertEqual(self.prometheus.query('ALERTS{alertstate="firing"}'), [])
        for rule in self.rules("alerting") + self.rules("recording"):
            self.assertEqual(rule["health"], "ok", rule)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for option in ("daemon", "cli", "prometheus"):
        parser.add_argument(f"--{option}", required=True)
    ARGUMENTS, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])
