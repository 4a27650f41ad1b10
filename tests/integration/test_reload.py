#!/usr/bin/python3
"""SIGHUP under flowing events: unchanged measures keep their figures, new ones begin now, a broken file changes nothing."""

import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import harness

CONFIG = """
clock: events
tick: 50ms
kafka: {{ brokers: "{brokers}", group: {name}, properties: {{ session.timeout.ms: 6000 }} }}
redis: {{ url: "redis://{redis}", prefix: {name} }}
http: {{ listen: off }}
sources:
  shop: {{ topics: [{topic}], out_of_order: 10s, allowed_lateness: 1h, idle_timeout: 300ms, max_skew: off{more} }}
measures:
  orders: {{ from: shop, count: }}
  revenue: {{ from: shop, sum: amount }}
{measures}
kpis:
  orders: {{ formula: orders, windows: [1m, all], by: [channel] }}
  revenue: {{ formula: revenue, windows: [1m, all] }}
{kpis}
"""

MORE = {"measures": "  items: { from: shop, sum: items }", "kpis": "  items: { formula: items, windows: [1m, all] }"}
MINUTE = 60000
START = 28333333 * MINUTE


def orders(topic, numbers):
    return [{"topic": topic, "key": f"o{n}",
             "value": {"type": "order", "id": f"o{n}", "ts": START + n * 1000, "channel": "web" if n % 3 else "app",
                       "amount": n / 4, "items": n % 7}} for n in numbers]


class Reload(harness.TestCase):
    def setUp(self):
        self.kafka = self.enterContext(harness.Kafka())
        self.redis = self.enterContext(harness.Redis())
        self.topic = self.kafka.topic(self.kafka.unique("shop"), partitions=3, exact=True)

    def config(self, name, measures="", kpis="", more=""):
        return CONFIG.format(brokers=self.kafka.brokers, redis=self.redis.address, topic=self.topic, name=name,
                             measures=measures, kpis=kpis, more=more)

    def snapshot(self, name, kpi, window="all", field="*@final"):
        text = self.redis.client.hget(f"{name}:snap:{{{kpi}:{window}}}", field)
        return json.loads(text) if text else None

    def wait_total(self, n):
        def look():
            found = self.snapshot("reloaded", "orders")
            return found and found["value"] == n
        harness.wait_for(look, 30, f"{n} orders")

    def windows(self, name, kpi):
        """Of the totals, by start."""
        keys = self.redis.client.scan_iter(f"{name}:win:{{{kpi}:1m}}:*", count=1000)
        found = (json.loads(text) for text in (self.redis.client.hget(key, "*") for key in keys) if text)
        return {one["start_ms"]: one for one in found}

    def settle(self, name, n, deadline_s=30):
        """Until all is counted and the last minute is final."""
        def look():
            found = self.snapshot(name, "orders")
            assert found and found["value"] == n, found
            last = self.windows(name, "orders")[START + (n - 1) // 60 * MINUTE]
            assert last["value"] == (n - 1) % 60 + 1, last
            return True
        harness.wait_for(look, deadline_s, f"{n} orders")

    def reload(self, kpid, **more):
        before = kpid.log_text().count("reload: ")
        kpid.rewrite(self.config("reloaded", **more))
        kpid.signal(signal.SIGHUP)
        harness.wait_for(lambda: kpid.log_text().count("reload: ") > before, 10, "the reload in the log")

    def test_figures_go_on_and_new_ones_begin_now(self):
        with harness.Kpid(self.config("reloaded")) as kpid:
            parts = [range(0, 500), range(500, 900), range(900, 1300), range(1300, 1500)]
            self.kafka.produce(orders(self.topic, parts[0]))
            self.wait_total(500)
            # Nothing waits for the reload: the next part is on its way while it happens.
            self.reload(kpid, **MORE)
            self.kafka.produce(orders(self.topic, parts[1]))
            self.reload(kpid, more=", max_age: 2h", **MORE)
            self.kafka.produce(orders(self.topic, parts[2]))
            self.reload(kpid, **MORE)
            self.kafka.produce(orders(self.topic, parts[3]))
            self.settle("reloaded", 1500)
            self.assertEqual(kpid.log_text().count("its state in Redis is lost"), 0)
            kpid.stop()
        with harness.Kpid(self.config("whole", **MORE)) as kpid:
            self.settle("whole", 1500)
            kpid.stop()
        for kpi in ("orders", "revenue"):
            self.assertEqual({at: one["value"] for at, one in self.windows("reloaded", kpi).items()},
                             {at: one["value"] for at, one in self.windows("whole", kpi).items()})
            self.assertEqual(self.snapshot("reloaded", kpi)["value"], self.snapshot("whole", kpi)["value"])
        for group in ("web@final", "app@final"):
            self.assertEqual(self.snapshot("reloaded", "orders", field=group)["value"],
                             self.snapshot("whole", "orders", field=group)["value"])
        self.items_are_partial_or_right()

    def items_are_partial_or_right(self):
        found, whole = self.windows("reloaded", "items"), self.windows("whole", "items")
        partial = [at for at, one in found.items() if one["quality"] == "partial"]
        final = [at for at, one in found.items() if one["final"]]
        self.assertEqual(sorted(partial + final), sorted(found))
        for at in partial:
            self.assertIn("began_before_measure", found[at]["reasons"])
            self.assertFalse(found[at]["final"])
            self.assertLess(at, min(final))
        # It began with the second part, at some minute after 500 s; from then on it is as if it had always been there.
        self.assertLessEqual(min(final), START + 16 * MINUTE)
        self.assertEqual({at: found[at]["value"] for at in final}, {at: whole[at]["value"] for at in final})
        self.assertGreaterEqual(len(final), 9)
        self.assertFalse(self.snapshot("reloaded", "items")["final"], "since ever it is never final")

    def test_no_signal_is_lost_while_it_is_being_reloaded(self):
        """Each comes at another instant of the reload before it: the last file counts, and TERM after it ends the daemon."""
        with harness.Kpid(self.config("reloaded")) as kpid:
            self.kafka.produce(orders(self.topic, range(100)))
            self.wait_total(100)
            for n in range(6):
                kpid.rewrite(self.config("reloaded", more=f", max_age: {n + 2}h"))
                kpid.signal(signal.SIGHUP)
                until = time.monotonic() + n * 0.02 * harness.SLOW
                while time.monotonic() < until and kpid.process.poll() is None:
                    pass
            kpid.rewrite(self.config("reloaded", **MORE))
            kpid.signal(signal.SIGHUP)
            self.kafka.produce(orders(self.topic, range(100, 160)))
            harness.wait_for(lambda: self.snapshot("reloaded", "items"), 120, "what only the last file names")
            self.settle("reloaded", 160, 120)
            kpid.signal(signal.SIGHUP)
            kpid.stop()

    def test_a_broken_file_changes_nothing(self):
        with harness.Kpid(self.config("reloaded")) as kpid:
            self.kafka.produce(orders(self.topic, range(100)))
            self.wait_total(100)
            kpid.rewrite(self.config("reloaded", measures="  items: { from: shop, summ: items }",
                                     kpis="  items: { formula: itemz, windows: [1m] }"))
            kpid.signal(signal.SIGHUP)
            kpid.wait_log(r"<3>reload refused, the old configuration stays: 2 faults")
            for fault in (r"kpid.yaml:\d+:\d+: error: .*summ", r"kpid.yaml:\d+:\d+: error: .*itemz"):
                kpid.wait_log(fault)
            self.kafka.produce(orders(self.topic, range(100, 160)))
            self.settle("reloaded", 160)
            self.assertNotIn("stopping", kpid.log_text())
            kpid.stop()


if __name__ == "__main__":
    harness.main()
