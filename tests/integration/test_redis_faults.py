#!/usr/bin/python3
"""What Redis can do to one instance: come back empty, forget while nobody writes, refuse to write, load, want a password,
run out of memory, threaten to evict. Reading waits, the group stays, it goes on by itself, and each is told when it
begins and when it is over."""

import json
import os
import sys
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import harness

CONFIG = """
clock: events
tick: 50ms
kafka: {{ brokers: "{brokers}", group: {name}, properties: {{ session.timeout.ms: 6000 }} }}
redis: {{ url: "{url}", prefix: {name}, max_uncommitted: 500, timeout: {timeout} }}
http: {{ listen: "127.0.0.1:{port}" }}
sources:
  shop: {{ topics: [{topic}], out_of_order: 10s, allowed_lateness: 1h, idle_timeout: 300ms, max_skew: off }}
measures:
  orders: {{ from: shop, count: }}
  revenue: {{ from: shop, sum: amount }}
kpis:
  orders: {{ formula: orders, windows: [1m, all], by: [channel] }}
  revenue:
    formula: revenue
    windows: [1m, all]
    target: {{ 1m: 100000000 }}
    alert: {{ crit: -1 %, for: 0s }}
"""

MINUTE = 60000
START = 28333333 * MINUTE


def orders(topic, numbers, apart_ms=1000):
    return [{"topic": topic, "partition": 0, "key": f"o{n}",
             "value": {"type": "order", "id": f"o{n}", "ts": START + 200_000 + (n - 200) * apart_ms, "channel": "web" if n % 3 else "app",
                       "amount": n}} for n in numbers]


class Faults(harness.TestCase):
    redis_args = ()

    def setUp(self):
        self.kafka = self.enterContext(harness.Kafka())
        self.name = self.kafka.unique("faults")
        self.topic = self.kafka.topic("shop", partitions=1)
        self.port = harness.free_port()

    def start(self, *redis_args, credentials="", delay_s=None):
        self.redis = self.enterContext(harness.Redis(*redis_args))
        address = self.redis.address
        if delay_s:
            address = self.enterContext(harness.Delay(self.redis.port, delay_s)).address
        kpid = self.enterContext(harness.Kpid(CONFIG.format(
            brokers=self.kafka.brokers, topic=self.topic, name=self.name, port=self.port,
            # A slow one is not one that hangs, and on a busy machine slower still.
            url=f"redis://{credentials}{address}", timeout="30s" if delay_s else "1s")))
        self.kafka.produce(orders(self.topic, range(200)))
        self.wait_total(200)
        harness.wait_for(lambda: START + 180_000 in self.starts("revenue"), 20, "the last minute")
        return kpid

    def snapshot(self, kpi="orders", window="all", field="*@final"):
        text = self.redis.client.hget(f"{self.name}:snap:{{{kpi}:{window}}}", field)
        return json.loads(text) if text else None

    def wait_total(self, n):
        harness.wait_for(lambda: self.snapshot()["value"] == n if self.snapshot() else False, 20, f"{n} orders")

    def starts(self, kpi):
        return {int(start) for start in self.redis.client.zrange(f"{self.name}:wins:{{{kpi}:1m}}", 0, -1)}

    def told(self):
        """What readers find, but for when it was written and how often it was corrected."""
        found = {}
        for key in self.redis.client.scan_iter(f"{self.name}:win:*", count=1000):
            for field, text in self.redis.client.hgetall(key).items():
                one = json.loads(text)
                found[key, field] = one["value"], one["final"]
        for kpi in ("orders", "revenue"):
            for field, text in self.redis.client.hgetall(f"{self.name}:snap:{{{kpi}:1m}}").items():
                if field.endswith("@final"):
                    found[kpi, field] = json.loads(text)["value"]
        return found

    def wait_told(self, before):
        def look():
            now = self.told()
            differ = {key for key in before.keys() | now.keys() if before.get(key) != now.get(key)}
            assert not differ, [(key, before.get(key), now.get(key)) for key in sorted(differ)][:5]
            return True
        harness.wait_for(look, 10, "all that was told")

    def active(self):
        return {key: json.loads(text) for key, text in self.redis.client.hgetall(f"{self.name}:{{alert}}:active").items()}

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            return dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line[0] != "#")

    def taken(self):
        return sum(float(value) for key, value in self.metrics().items() if key.startswith("kpid_events_total"))

    def stays_in_the_group(self, kpid):
        self.assertNotIn("is taken away", kpid.log_text())
        self.assertEqual(kpid.process.poll(), None)

    def test_emptied_while_it_runs(self):
        kpid = self.start()
        harness.wait_for(self.active, 20, "an alert that fires")
        before, alerts = self.told(), self.active()
        self.assertGreater(len(before), 8)
        self.redis.kill()
        self.redis.start()
        began = time.monotonic()
        self.wait_told(before)
        print(f"told again after {time.monotonic() - began:.1f} s", flush=True)
        harness.wait_for(lambda: {key: one["since"] for key, one in self.active().items()}
                         == {key: one["since"] for key, one in alerts.items()}, 10, "the same alerts")
        kpid.wait_log(r"<4>publishing: Redis lost what was told; all that is known is told again")
        history = self.redis.client.xrange(f"{self.name}:hist:{{orders:1m}}")
        self.assertTrue(history and all(fields.get("restarted") == "1" for _, fields in history))
        # The state is there as well: what comes next is counted on top of it, by this life and by the next.
        self.kafka.produce(orders(self.topic, range(200, 260)))
        self.wait_total(260)
        kpid.stop()
        kpid.start()
        self.kafka.produce(orders(self.topic, range(260, 300)))
        self.wait_total(300)
        self.assertEqual(self.snapshot()["reasons"], [])
        self.stays_in_the_group(kpid)
        kpid.stop()

    def test_emptied_under_a_connection_that_stays(self):
        kpid = self.start()
        before = self.told()
        self.redis.client.flushall()
        self.wait_told(before)
        self.kafka.produce(orders(self.topic, range(200, 230)))
        self.wait_total(230)
        kpid.stop()

    def test_a_connection_that_was_only_lost_is_no_loss(self):
        kpid = self.start()
        self.redis.client.client_kill_filter(_type="normal", skipme=True)
        kpid.wait_log(r"(?s)redis: connected.*redis: (?!connected).*redis: connected")
        self.kafka.produce(orders(self.topic, range(200, 230)))
        self.wait_total(230)
        self.assertNotIn("told again", kpid.log_text())
        kpid.stop()

    def refuses_then_goes_on(self, kpid, refuse, allow, said):
        refuse()
        self.kafka.produce(orders(self.topic, range(200, 20200), apart_ms=10))
        kpid.wait_log(said, 15)
        harness.wait_for(lambda: self.taken() >= 700, 10, "events up to max_uncommitted")
        self.assertLess(self.taken(), 20200, "reading does not wait")
        allow()
        self.wait_total(20200)
        self.stays_in_the_group(kpid)
        kpid.stop()

    def test_out_of_memory(self):
        kpid = self.start()
        set_ = self.redis.client.config_set
        self.refuses_then_goes_on(kpid, lambda: set_("maxmemory", 1), lambda: set_("maxmemory", 0),
                                  r"<4>shard shop/0 is not committed: .*OOM")
        self.assertIn("committing again", kpid.log_text())

    def test_read_only(self):
        kpid = self.start()
        port = harness.free_port()
        self.refuses_then_goes_on(kpid, lambda: self.redis.client.replicaof("127.0.0.1", port),
                                  lambda: self.redis.client.replicaof("no", "one"),
                                  r"<4>(shard shop/0 is not committed: .*READONLY|redis: this Redis is a read-only replica)")

    def test_a_disk_that_can_not_be_written(self):
        kpid = self.start()
        in_the_way = os.path.join(self.redis.dir, "dump.rdb")

        def refuse():
            os.mkdir(in_the_way)
            self.redis.client.config_set("save", "3600 1000000")
            self.redis.client.bgsave()
            harness.wait_for(lambda: self.redis.client.info("persistence")["rdb_last_bgsave_status"] == "err", 10, "a failure")

        def allow():
            os.rmdir(in_the_way)
            self.redis.client.bgsave()
        self.refuses_then_goes_on(kpid, refuse, allow, r"<4>shard shop/0 is not committed: .*MISCONF")

    def test_loading_what_it_had_some_time_ago(self):
        kpid = self.start("--key-load-delay", "300", "--loading-process-events-interval-bytes", "1024")
        self.redis.client.mset({f"filler:{n}": "x" * 100 for n in range(5000)})
        self.redis.client.save()
        seq = self.seq()
        self.kafka.produce(orders(self.topic, range(200, 260)))
        self.wait_total(260)
        harness.wait_for(lambda: self.seq() > seq, 10, "a commit that will be lost")
        self.redis.kill()
        self.redis.start()
        kpid.wait_log(r"<4>redis: Redis is still loading its data: LOADING")
        kpid.wait_log("<4>shard shop/0: Redis lost what was committed; writing the whole state")
        self.kafka.produce(orders(self.topic, range(260, 300)))
        self.wait_total(300)
        self.stays_in_the_group(kpid)
        kpid.stop()

    def seq(self):
        key, = self.redis.client.scan_iter(f"{self.name}:s:*:h", count=10000)
        return int(self.redis.client.hget(key, "seq"))

    def test_slow(self):
        kpid = self.start(delay_s=0.2)
        for n in range(200, 300, 20):
            self.kafka.produce(orders(self.topic, range(n, n + 20)))
            self.wait_total(n + 20)
        self.assertNotIn("in time", kpid.log_text())
        kpid.stop()

    def test_hanging_with_a_commit_on_its_way(self):
        kpid = self.start()
        for n in range(200, 260, 20):
            self.redis.pause()
            self.kafka.produce(orders(self.topic, range(n, n + 20)))
            told = kpid.log_text().count("Redis has not answered in time")
            harness.wait_for(lambda: kpid.log_text().count("Redis has not answered in time") > told, 10, "the timeout")
            self.redis.resume()  # what was sent is executed now, on a connection that is no more
            self.wait_total(n + 20)
        self.stays_in_the_group(kpid)
        kpid.stop()

    def test_a_password_that_is_wanted_later(self):
        kpid = self.start()
        self.redis.client.config_set("requirepass", "x")
        self.redis.client.client_kill_filter(_type="normal", skipme=True)
        kpid.wait_log(r"<4>redis: .*NOAUTH")
        self.redis.client.config_set("requirepass", "")
        self.kafka.produce(orders(self.topic, range(200, 230)))
        self.wait_total(230)
        self.stays_in_the_group(kpid)
        kpid.stop()

    def test_a_policy_that_may_evict_state(self):
        kpid = self.start()
        self.redis.client.config_set("maxmemory-policy", "allkeys-lru")
        self.redis.client.client_kill_filter(_type="normal", skipme=True)
        kpid.wait_log(r"<4>redis: maxmemory-policy allkeys-lru may evict state: set noeviction")
        self.redis.client.config_set("maxmemory-policy", "noeviction")
        self.kafka.produce(orders(self.topic, range(200, 230)))
        self.wait_total(230)
        kpid.stop()


if __name__ == "__main__":
    harness.main()
