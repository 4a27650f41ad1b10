"""Real data through a real broker and a real Redis, and through kpictl replay: every figure of the truth tables, in
every order of arrival. What tests/integration/test_data_*.py share."""

import functools
import importlib.util
import json
import os
import re
import tempfile
import time

import harness
import truth

CONFIGS = os.path.join(harness.ROOT, "tests", "realdata")
ORDERS = ("sorted", "file", "dup")


@functools.lru_cache(1)
def source(folder, name):
    """The set's script as a module, and what it reads, in the order of the source; its events as lines."""
    spec = importlib.util.spec_from_file_location("to_events", os.path.join(folder, "to_events.py"))
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    found = []
    for ts, rank, record in script.SETS[name](folder):
        line, = truth.keyed(name, [script.js(record) + "\n"])
        found.append((ts, rank, {"value" if "value" in record else "raw": line}))
    return script, found


def events(folder, name, order):
    script, found = source(folder, name)
    return [line for record in script.arrange(found, order) for line in record.values()]


class RealData(harness.TestCase):
    def run_both(self, name, order):
        """Under sanitizers one order goes through Kafka and Redis, the others through replay alone."""
        lines = events(self.folder, name, order)
        self.through_replay(name, order, lines)
        if harness.SLOW == 1 or order == "dup":
            self.through_kafka(name, order, lines)

    def setUp(self):
        self.folder = harness.data_dir("")

    def configuration(self, name, kafka, redis, topics):
        with open(os.path.join(CONFIGS, name + ".yaml"), encoding="utf-8") as file:
            text = file.read()
        for old, new in topics.items():
            text = re.sub(rf"topics: \[{old}\]", f"topics: [{new}]", text)
        text = text.replace("127.0.0.1:9092", kafka.brokers)
        return text.replace("127.0.0.1:6379", redis.address)

    def reads(self, name):
        with open(os.path.join(CONFIGS, name + ".yaml"), encoding="utf-8") as file:
            return re.findall(r"topics: \[(\w+)\]", file.read())

    def through_kafka(self, name, order, lines):
        with harness.Kafka() as kafka, harness.Redis() as redis:
            topics = {topic: kafka.topic(topic, partitions=6) for topic in self.reads(name)}
            sent = [line.replace(f'"topic": "{topic}"', f'"topic": "{topics[topic]}"', 1)
                    for line in lines for topic in [json.loads(line)["topic"]] if topic in topics]
            kafka.produce(sent)
            with harness.Kpid(self.configuration(name, kafka, redis, topics)) as kpid:
                result, due = [None], 0.0

                def right():
                    """Looks, and then not for four times as long as that took: the daemon needs the processor, too."""
                    nonlocal due
                    began = time.monotonic()
                    if began < due:
                        return False
                    result[0] = truth.compare(name, self.folder, truth.from_redis(redis.client))
                    due = time.monotonic() + 4 * (time.monotonic() - began)
                    return not result[0][1]

                harness.holds_within(right, 240)
                figures, wrong = result[0]
                self.assertEqual(wrong[:10], [], f"{name} {order}: {len(wrong)} of {figures} figures differ")
                ledger = harness.kpictl("-c", kpid.config, "--json", "ledger").stdout.splitlines()
                self.assertTrue(all(json.loads(line)["balanced"] for line in ledger), ledger)
                self.assertEqual(sum(json.loads(line)["in"] for line in ledger), len(sent))
                kpid.stop()
            print(f"{name} {order}: {figures} figures from Redis, {len(sent)} events, ledger balances", flush=True)

    def through_replay(self, name, order, lines):
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
            file.writelines(lines)
            file.flush()
            done = harness.kpictl("-c", os.path.join(CONFIGS, name + ".yaml"), "--json", "--partitions", 6, "replay",
                                  file.name)
        figures, wrong = truth.compare(name, self.folder, truth.from_lines(done.stdout.splitlines()))
        self.assertEqual(wrong[:10], [], f"{name} {order}: {len(wrong)} of {figures} figures differ")
        self.assertNotIn("DOES NOT BALANCE", done.stderr)
        print(f"{name} {order}: {figures} figures from kpictl replay", flush=True)


def tests_of(case, names):
    """Adds a test to the case for each set and order."""
    for name in names:
        for order in ORDERS:
            setattr(case, f"test_{name}_{order}", lambda self, name=name, order=order: self.run_both(name, order))
