#!/usr/bin/python3
"""What users see, compared with the files in tests/golden: what the daemon leaves in Redis and on its pages, and what
kpictl prints of it. tests/golden/accept takes what comes now as what is wanted; look at the difference before it is
committed."""

import difflib
import json
import os
import re
import subprocess
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import harness
import jsonschema

GOLDEN = os.path.join(harness.ROOT, "tests", "golden")
ACCEPT = bool(os.environ.get("KPID_GOLDEN_WRITE"))
# When it was written, and how far the watermark was then, is another thing each time.
LIVE = ("as_of", "as_of_ms", "watermark", "watermark_ms", "lag")


def schema(name):
    with open(os.path.join(harness.ROOT, "conf", f"{name}.schema.json"), encoding="utf-8") as file:
        return jsonschema.Draft202012Validator(json.load(file))


def lines_of(values):
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


def settled(text):
    """A JSON text without what is live."""
    value = json.loads(text)
    return {key: "LIVE" if key in LIVE else value[key] for key in value}


class Golden(harness.TestCase):
    def compare(self, name, text):
        path = os.path.join(GOLDEN, name)
        if ACCEPT:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            return
        with open(path, encoding="utf-8") as file:
            wanted = file.read()
        if text != wanted:
            lines = difflib.unified_diff(wanted.splitlines(), text.splitlines(), name, "now", lineterm="", n=0)
            self.fail("tests/golden/accept takes what is new:\n" + "\n".join(line[:400] for line in list(lines)[:20]))

    def run_tool(self, *command, code=0, **options):
        done = subprocess.run(command, capture_output=True, text=True, timeout=30 * harness.SLOW, check=False, **options)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done


class Programs(Golden):
    def test_help(self):
        for name, folder in (("kpid", "app"), ("kpictl", "ctl")):
            self.compare(f"help_{name}.txt", self.run_tool(harness.tool("daemon", folder, name), "--help").stdout)

    def test_faults(self):
        done = self.run_tool(harness.tool("daemon", "ctl", "kpictl"), "-c", "tests/config/fifteen-faults.yaml", "check",
                             code=3, cwd=harness.ROOT)
        self.assertEqual(done.stdout, "")
        self.assertTrue(done.stderr.endswith("kpictl: tests/config/fifteen-faults.yaml: 15 faults\n"))
        self.compare("check_faults.txt", done.stderr)

    def test_explain(self):
        config = os.path.join(GOLDEN, "shop.yaml")
        text = "".join(harness.kpictl("-c", config, "explain", kpi).stdout + "\n"
                       for kpi in ("orders", "order_value", "basket", "shipping", "late"))
        self.compare("explain.txt", text)
        text = "".join(harness.kpictl("-c", config, "--json", "explain", kpi).stdout for kpi in ("orders", "basket"))
        for line in text.splitlines():
            json.loads(line)
        self.compare("explain.jsonl", text)

    def test_explain_measures(self):
        config = os.path.join(GOLDEN, "measures.yaml")
        kpis = ("visitors", "products", "visits", "checkout", "retention", "oldest")
        text = "".join(harness.kpictl("-c", config, "explain", kpi).stdout + "\n" for kpi in kpis)
        self.compare("explain_measures.txt", text.replace(GOLDEN, "GOLDEN"))
        text = "".join(harness.kpictl("-c", config, "--json", "explain", kpi).stdout for kpi in kpis)
        for line in text.splitlines():
            self.assertEqual([cost["measure"] for cost in json.loads(line)["costs"]], json.loads(line)["measures"][:1])
        self.compare("explain_measures.jsonl", text)

    def test_replay(self):
        config, events = (os.path.join(GOLDEN, name) for name in ("shop.yaml", "shop.jsonl"))
        self.compare("replay.txt", harness.kpictl("-c", config, "replay", events).stdout)
        done = harness.kpictl("-c", config, "--json", "replay", events)
        values = [json.loads(line) for line in done.stdout.splitlines()]
        snapshot = schema("snapshot")
        for value in values:
            if "alert" not in value:
                snapshot.validate(value)
        self.compare("replay.jsonl", lines_of(settled(line) for line in done.stdout.splitlines()))


class Daemon(Golden):
    """One run of the daemon on the events of shop.jsonl, and everything that can be read after it."""

    @classmethod
    def setUpClass(cls):
        cls.servers = []
        cls.kafka = cls.keep(harness.Kafka())
        cls.redis = cls.keep(harness.Redis())
        cls.port = harness.free_port()
        topic = cls.kafka.topic("golden", partitions=1)
        with open(os.path.join(GOLDEN, "shop.jsonl"), encoding="utf-8") as file:
            lines = [line.replace('"topic":"shop"', f'"topic":"{topic}"') for line in file]
        cls.kafka.produce(lines)
        cls.topic = topic
        with open(os.path.join(GOLDEN, "shop.yaml"), encoding="utf-8") as file:
            text = file.read().replace("topics: [shop]", f"topics: [{topic}]")
        text = text.replace("${BROKERS:-127.0.0.1:9092}", cls.kafka.brokers)
        text = text.replace("${REDIS:-redis://127.0.0.1:6379}", f"redis://{cls.redis.address}")
        text = text.replace("${LISTEN:-127.0.0.1:9464}", f"127.0.0.1:{cls.port}")
        cls.kpid = cls.keep(harness.Kpid(text))
        harness.wait_for(lambda: cls.redis.client.hget("kpi:snap:{late:day}", "*@final"), 60, "the last day's final")
        harness.wait_for(lambda: b"kpid_consumer_lag_records{" in cls.page("/metrics"), 30, "lag on the page")

    @classmethod
    def keep(cls, server):
        cls.servers.append(server)
        return server

    @classmethod
    def tearDownClass(cls):
        for server in reversed(cls.servers):
            server.close()

    @classmethod
    def page(cls, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{cls.port}{path}", timeout=10) as answer:
            return answer.read()

    def kpictl(self, *args):
        return harness.kpictl("-c", self.kpid.config, *args).stdout.replace(self.topic, "shop")

    def fields(self, pattern, validator):
        """Fields of hashes as lines, each a JSON text that its schema allows."""
        lines = []
        for key in sorted(self.redis.client.scan_iter(pattern, count=1000)):
            for field, text in sorted(self.redis.client.hgetall(key).items()):
                if field == "@writer":
                    continue  # the publisher's own
                if field != "@meta":
                    validator.validate(json.loads(text))
                lines.append({"key": key, "field": field, "json": settled(text)})
        self.assertTrue(lines, pattern)
        return lines_of(lines)

    def test_snapshots(self):
        self.compare("redis_snap.jsonl", self.fields("kpi:snap:*", schema("snapshot")))

    def test_windows(self):
        self.compare("redis_win.jsonl", self.fields("kpi:win:*", schema("snapshot")))
        starts = {key: self.redis.client.zrange(key, 0, -1) for key in sorted(self.redis.client.scan_iter("kpi:wins:*"))}
        self.compare("redis_wins.json", json.dumps(starts, indent=1) + "\n")

    def test_history(self):
        lines = []
        for key in sorted(self.redis.client.scan_iter("kpi:hist:*")):
            for _, entry in self.redis.client.xrange(key):
                schema("snapshot").validate(json.loads(entry["json"]))
                lines.append({"key": key} | {name: settled(entry[name]) if name == "json" else entry[name] for name in entry})
        self.compare("redis_hist.jsonl", lines_of(lines))

    def test_alerts(self):
        self.compare("redis_active.jsonl", self.fields("kpi:{alert}:active", schema("alert")))
        steps = [json.loads(entry["json"]) for _, entry in self.redis.client.xrange("kpi:{alert}:log")]
        for step in steps:
            schema("alert").validate(step)
        # Which group's rule is judged first within one boundary is not promised.
        steps.sort(key=lambda step: (step["at_ms"], step["kpi"], step["rule"], json.dumps(step["group"])))
        self.compare("redis_log.jsonl", lines_of(steps))

    def test_index(self):
        self.compare("redis_index.jsonl", self.fields("kpi:index", schema("index")))

    def test_keys(self):
        """No key but those that kpid-redis(7) names."""
        known = re.compile(r"kpi:(snap:\{.*\}|win:\{.*\}:\d+|wins:\{.*\}|hist:\{.*\}|index|hll:.*|\{alert\}:\w+|s:\{.*\}:.*)$")
        self.assertEqual([key for key in self.redis.client.scan_iter("*") if not known.match(key)], [])

    def test_metrics(self):
        text = self.page("/metrics").decode()
        self.compare("metrics.txt", "".join(line + "\n" for line in sorted(re.findall(r"^# TYPE (.*)$", text, re.M))))

    def test_kpictl_text(self):
        for name, args in (("show", ["show"]), ("show_kpi", ["show", "orders"]), ("show_window", ["show", "orders", "-w", "day"]),
                           ("top", ["top", "--once"]), ("alerts", ["alerts"]), ("ledger", ["ledger"]), ("lag", ["lag"])):
            with self.subTest(name):
                self.compare(f"kpictl_{name}.txt", self.kpictl(*args))

    def test_kpictl_json(self):
        snapshot, alert = schema("snapshot"), schema("alert")
        for name, args in (("show", ["show", "orders"]), ("top", ["top"]), ("alerts", ["alerts"]), ("ledger", ["ledger"]),
                           ("lag", ["lag"])):
            with self.subTest(name):
                lines = self.kpictl("--json", *args).splitlines()
                self.assertTrue(lines)
                for line in lines:
                    if name in ("show", "top", "alerts"):
                        (alert if "state" in json.loads(line) else snapshot).validate(json.loads(line))
                self.compare(f"kpictl_{name}.jsonl", lines_of(sorted((settled(line) for line in lines), key=json.dumps)))


if __name__ == "__main__":
    harness.main()
