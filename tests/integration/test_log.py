#!/usr/bin/python3
"""Kafka against Redis: logs that are not the ones that were counted, ranges that are gone, state that is gone."""

import json
import os
import re
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import harness

CONFIG = """
clock: events
tick: 50ms
kafka: {{ brokers: "{brokers}", group: {name}, properties: {{ session.timeout.ms: 6000, topic.metadata.refresh.interval.ms: 500 }} }}
redis: {{ url: "redis://{redis}", prefix: {name} }}
http: {{ listen: "127.0.0.1:{port}" }}
sources:
  shop: {{ topics: [{topic}], out_of_order: 10s, allowed_lateness: 10m, idle_timeout: 300ms, max_skew: off, {more} }}
measures:
  orders: {{ from: shop, count: }}
  revenue: {{ from: shop, sum: amount }}
kpis:
  orders: {{ formula: orders, windows: [1m, all] }}
  revenue: {{ formula: revenue, windows: [1m, all] }}
"""

MINUTE = 60000
START = 28333333 * MINUTE


def orders(topic, numbers, partition=0, salt=""):
    """One order a second; its amount is its number, so that a sum tells which were counted."""
    return [{"topic": topic, "partition": partition, "key": f"o{n}",
             "value": {"type": "order", "id": f"{salt}{partition}-{n}", "ts": START + n * 1000, "amount": n}}
            for n in numbers]


class Log(harness.TestCase):
    def setUp(self):
        self.kafka = self.enterContext(harness.Kafka())
        self.redis = self.enterContext(harness.Redis())
        self.name = self.kafka.unique("log")
        self.topic = self.kafka.topic(self.kafka.unique("shop"), partitions=1, exact=True)
        self.port = harness.free_port()

    def start(self, more="start: earliest"):
        self.more = more
        return self.enterContext(harness.Kpid(self.config()))

    def config(self):
        return CONFIG.format(brokers=self.kafka.brokers, redis=self.redis.address, topic=self.topic, name=self.name,
                             port=self.port, more=self.more)

    def snapshot(self, kpi="orders", window="all"):
        text = self.redis.client.hget(f"{self.name}:snap:{{{kpi}:{window}}}", "*@final")
        return json.loads(text) if text else None

    def wait_total(self, count, total):
        """Until the figures are these; returns the snapshot of the count."""
        def look():
            found = self.snapshot(), self.snapshot("revenue")
            assert all(found), found
            assert [float(f["value"]) for f in found] == [count, total], found
            return found[0]
        return harness.wait_for(look, 20, f"{count} orders of {total}")

    def window(self, n):
        """The one-minute window that begins n minutes after the first order."""
        text = self.redis.client.hget(f"{self.name}:win:{{orders:1m}}:{START + n * MINUTE}", "*")
        return json.loads(text) if text else None

    def page(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def metric(self, name):
        return float(re.search(rf"^{name} (\S+)$", self.page("/metrics"), re.M).group(1))

    def restart(self, kpid, between):
        """Stops, lets something happen, starts with an empty log."""
        kpid.stop()
        between()
        os.truncate(kpid.log, 0)
        kpid.start()

    def again(self, numbers, salt="again"):
        """The topic is deleted and made again with other records."""
        self.kafka.delete(self.topic)
        self.kafka.topic(self.topic, partitions=1, exact=True)
        self.kafka.produce(orders(self.topic, numbers, salt=salt))

    def reset(self, kpid, *args, **more):
        return harness.kpictl("-c", kpid.config, "shard", "reset", *args, **more)

    def test_the_same_log_goes_on_after_a_restart(self):
        self.kafka.produce(orders(self.topic, range(100)))
        kpid = self.start()
        self.wait_total(100, sum(range(100)))
        self.restart(kpid, lambda: self.kafka.produce(orders(self.topic, range(100, 150))))
        found = self.wait_total(150, sum(range(150)))
        self.assertEqual(found["reasons"], [])
        self.assertEqual(self.metric("kpid_log_mismatches_total"), 0)
        kpid.stop()

    def test_a_topic_made_again_and_grown_past_the_offset_holds_until_a_person_decides(self):
        self.kafka.produce(orders(self.topic, range(100)))
        kpid = self.start()
        self.wait_total(100, sum(range(100)))
        self.restart(kpid, lambda: self.again(range(200, 400)))
        kpid.wait_log(r"<4>shard shop/0 HOLDS: .*another record than the one that was counted is at offset 99.*"
                      r"kpictl shard reset shop/0", 20)
        self.assertIn("held 1", self.page("/readyz"))
        self.assertEqual(self.metric("kpid_shards_held"), 1)
        self.assertEqual(self.metric("kpid_log_mismatches_total"), 1)
        self.assertEqual(float(self.snapshot("revenue")["value"]), sum(range(100)))
        self.assertEqual(self.reset(kpid, "shop/0", check=False).returncode, 2)
        self.assertEqual(self.reset(kpid, "shop/x", "--keep", check=False).returncode, 2)
        self.assertIn("no state of shop/7", self.reset(kpid, "shop/7", "--keep", check=False).stderr)
        self.reset(kpid, "shop/0", "--rebuild")
        found = self.wait_total(200, sum(range(200, 400)))
        self.assertEqual(found["reasons"], ["rebuilt"])
        self.assertEqual(self.metric("kpid_shards_held"), 0)
        kpid.stop()

    def test_a_log_that_ends_before_the_offset_is_kept_if_the_configuration_says_so(self):
        self.kafka.produce(orders(self.topic, range(100)))
        kpid = self.start("on_log_mismatch: keep")
        self.wait_total(100, sum(range(100)))
        self.restart(kpid, lambda: self.again(range(200, 240)))
        kpid.wait_log(r"<3>shard shop/0: .*the log ends before what was counted, at offset 40; its figures are kept, "
                      r"and reading goes on at offset 40", 20)
        self.kafka.produce(orders(self.topic, range(300, 310)))
        found = self.wait_total(110, sum(range(100)) + sum(range(300, 310)))
        self.assertEqual(found["reasons"], ["lost_range"])
        kpid.stop()

    def test_a_log_made_again_is_counted_again_if_the_configuration_says_so(self):
        self.kafka.produce(orders(self.topic, range(100)))
        kpid = self.start("on_log_mismatch: rebuild")
        self.wait_total(100, sum(range(100)))
        self.restart(kpid, lambda: self.again(range(50, 350)))
        found = self.wait_total(300, sum(range(50, 350)))
        self.assertEqual(found["reasons"], ["rebuilt"])
        self.assertEqual(self.metric("kpid_rebuilds_total"), 1)
        kpid.stop()
        # The next start finds nothing wrong with it.
        os.truncate(kpid.log, 0)
        kpid.start()
        self.kafka.produce(orders(self.topic, range(350, 360)))
        self.wait_total(310, sum(range(50, 360)))
        self.assertNotIn("HOLDS", kpid.log_text())
        kpid.stop()

    def test_what_retention_took_is_told_in_ledger_and_figures(self):
        self.kafka.produce(orders(self.topic, range(100)))
        kpid = self.start()
        self.wait_total(100, sum(range(100)))

        def gap():
            self.kafka.produce(orders(self.topic, range(100, 400)))
            self.kafka.cut(self.topic, 0, 300)

        self.restart(kpid, gap)
        kpid.wait_log(r"<3>shard shop/0: topic \S+ no longer has offsets 100 to 299: their events are in no figure", 20)
        found = self.wait_total(200, sum(range(100)) + sum(range(300, 400)))
        self.assertEqual(found["reasons"], ["lost_range"])
        self.assertEqual(self.window(0)["reasons"], [])
        # The second minute was final before anything was lost.
        self.assertEqual(self.window(1)["reasons"], [])
        self.assertEqual([self.window(n)["reasons"] for n in (2, 3, 4, 5)], [["lost_range"]] * 4)
        self.assertEqual(self.window(6)["reasons"] if self.window(6) else [], [])
        self.assertEqual(self.metric("kpid_lost_offsets_total"), 200)
        self.assertEqual(self.metric("kpid_witness_gone_total"), 1)
        ledger = json.loads(harness.kpictl("-c", kpid.config, "ledger", "--json").stdout)
        self.assertEqual((ledger["in"], ledger["lost_range"], ledger["balanced"]), (200, 200, True))
        self.assertIn("lost_range 200", harness.kpictl("-c", kpid.config, "ledger").stdout)
        kpid.stop()

    def test_a_witness_that_is_gone_is_no_mismatch(self):
        self.kafka.produce(orders(self.topic, range(100)))
        kpid = self.start()
        self.wait_total(100, sum(range(100)))
        self.restart(kpid, lambda: self.kafka.cut(self.topic, 0, 100))
        self.kafka.produce(orders(self.topic, range(100, 130)))
        found = self.wait_total(130, sum(range(130)))
        self.assertEqual(found["reasons"], [])
        self.assertEqual(self.metric("kpid_witness_gone_total"), 1)
        self.assertEqual(self.metric("kpid_lost_offsets_total"), 0)
        kpid.stop()

    def test_redis_emptied_while_stopped_is_counted_again_from_where_it_began(self):
        self.kafka.produce(orders(self.topic, range(50)))
        kpid = self.start("start: latest")
        kpid.wait_log("shard shop/0 has no state yet", 20)
        harness.wait_for(lambda: self.metric("kpid_group_notes_total") >= 1, 20, "a note of the beginning")
        # Nothing was read yet, but where reading began stands: what comes while it is away is not jumped over.
        self.restart(kpid, lambda: self.kafka.produce(orders(self.topic, range(50, 100))))
        self.wait_total(50, sum(range(50, 100)))
        self.kafka.produce(orders(self.topic, range(100, 200)))
        before = self.wait_total(150, sum(range(50, 200)))
        self.assertEqual(before["reasons"], [])

        def lose():
            self.redis.client.flushall()
            self.kafka.produce(orders(self.topic, range(200, 300)))

        self.restart(kpid, lose)
        kpid.wait_log(r"<3>shard shop/0: Redis has no state, but Kafka's group knows", 20)
        found = self.wait_total(250, sum(range(50, 300)))
        self.assertEqual(found["reasons"], ["rebuilt"])
        self.assertEqual(self.window(1)["reasons"], ["rebuilt"])
        self.assertEqual(self.window(4)["reasons"] if self.window(4) else [], [])
        kpid.stop()

    def test_a_shard_that_fell_back_corrects_nothing_until_it_is_where_it_was(self):
        """{alert} and a shard are on other masters in a cluster: one can lose its end, and the other knows."""
        self.kafka.produce(orders(self.topic, range(60)))
        kpid = self.start()
        self.wait_total(60, sum(range(60)))
        kpid.stop()
        client = self.redis.client
        shard = client.keys(f"{self.name}:s:{{*:shop:0}}:*")
        self.assertGreaterEqual(len(shard), 3, client.keys("*"))
        kept = {key: client.dump(key) for key in shard}
        kpid.start()
        # Enough to be counted again in several rounds.
        more = [dict(order, value=order["value"] | {"ts": START + 60_000 + n * 3}) for n, order in
                enumerate(orders(self.topic, range(1000, 101000)))]
        self.kafka.produce(more)
        total = sum(range(60)) + sum(range(1000, 101000))
        self.wait_total(100060, total)
        told = [self.window(n) for n in range(1, 5)]
        harness.wait_for(lambda: self.metric("kpid_group_notes_total") >= 2, 20, "a note of the last commit")
        kpid.stop()
        client.delete(*client.keys(f"{self.name}:s:{{*:shop:0}}:*"))
        for key, bytes_ in kept.items():
            client.restore(key, 0, bytes_)
        os.truncate(kpid.log, 0)
        kpid.start()
        kpid.wait_log(r"<4>shard shop/0 fell back: Kafka's group knows of commit \d+, Redis has \d+; nothing is "
                      r"corrected until topic \S+ is counted again up to offset 100060", 20)
        seen = []

        def there():
            seen.append([self.window(n) for n in range(1, 5)])
            self.assertEqual(float(self.snapshot("revenue")["value"]), total)
            taken = re.findall(r"^kpid_events_total\{.*\} (\S+)$", self.page("/metrics"), re.M)
            return sum(map(float, taken)) >= 100060

        harness.wait_for(there, 30, "all is counted again")
        for windows in seen:
            self.assertEqual([w["value"] for w in windows], [w["value"] for w in told])
        self.kafka.produce(orders(self.topic, range(200000, 200010)))
        found = self.wait_total(100070, total + sum(range(200000, 200010)))
        self.assertEqual(found["reasons"], [])
        kpid.stop()

    def test_a_partition_that_came_later_is_read_from_its_beginning(self):
        self.kafka.produce(orders(self.topic, range(50)))
        kpid = self.start("start: latest")
        kpid.wait_log("shard shop/0 has no state yet", 20)
        harness.wait_for(lambda: self.metric("kpid_group_notes_total") >= 1, 20, "a note of the beginning")
        self.kafka.produce(orders(self.topic, range(60, 100)))
        self.wait_total(40, sum(range(60, 100)))
        kpid.stop()
        self.kafka.grow(self.topic, 2)
        self.kafka.produce(orders(self.topic, range(100, 130), partition=1))
        kpid.start()
        found = self.wait_total(70, sum(range(60, 130)))
        self.assertEqual(found["reasons"], ["repartitioned"])
        kpid.stop()


if __name__ == "__main__":
    harness.main()
