#!/usr/bin/python3
"""Stopping at any instant after the start is clean: while Kafka assigns, Redis is asked for state, the log is compared,
look-ups are awaited, dead letters are sent; with answers that take their time."""

import json
import os
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import harness

CONFIG = """
clock: events
tick: 20ms
kafka: {{ brokers: "{brokers}", group: {group}, properties: {{ heartbeat.interval.ms: 200, session.timeout.ms: 6000 }} }}
redis: {{ url: "redis://{redis}", prefix: early }}
http: {{ listen: off }}
publish: {{ dead_letters: {letters} }}
lookups:
  products: {{ redis: "product:{{}}", fields: {{ category: string }} }}
sources:
  shop:
    topics: [{topic}]
    out_of_order: 1s
    allowed_lateness: 10m
    idle_timeout: 300ms
    max_skew: off
    join: {{ products: product }}
measures:
  orders: {{ from: shop, where: type == "order", count: }}
  buyers: {{ from: shop, where: type == "order", distinct: user }}
kpis:
  orders: {{ formula: orders, windows: [1m, all], by: [products.category] }}
  buyers: {{ formula: buyers, windows: [1h, all] }}
"""

PARTITIONS = 4
ROUNDS = 12
AT_ONCE = 3  # members of one group, so that shards are also taken away and given


def orders(topic, first, n):
    """One in 50 is no JSON, and becomes a dead letter."""
    for i in range(first, first + n):
        if i % 50 == 7:
            yield {"topic": topic, "key": str(i), "partition": i % PARTITIONS, "raw": f"{{broken {i}"}
            continue
        yield {"topic": topic, "key": str(i), "partition": i % PARTITIONS,
               "value": {"type": "order", "id": f"o{i}", "ts": 1_700_000_000_000 + i * 500, "user": f"u{i % 97}",
                         "product": f"p{i % 40}"}}


class EarlyStop(harness.TestCase):
    def counted(self, redis):
        value = redis.client.hget("early:snap:{orders:all}", "*")
        return json.loads(value)["value"] if value else None

    def test_whatever_is_under_way(self):
        rng = random.Random(11)
        with harness.Kafka() as kafka, harness.Redis() as redis:
            topic, letters = kafka.topic("early", partitions=PARTITIONS), kafka.topic("letters", partitions=1)
            values = {"brokers": kafka.brokers, "group": kafka.unique("early"), "topic": topic, "letters": letters}
            for product in range(40):
                redis.client.hset(f"product:p{product}", "category", f"c{product % 5}")
            sent, good = kafka.produce(orders(topic, 0, 2000)), 1960
            with harness.Kpid(CONFIG.format(redis=redis.address, **values)) as kpid:
                harness.wait_for(lambda: self.counted(redis) == good, 60, "all orders")
                kpid.stop()
            for _ in range(ROUNDS):
                sent += kafka.produce(orders(topic, sent, 200))
                good += 196
                with harness.Delay(redis.port, rng.choice((0, 0.005, 0.03, 0.1))) as slow:
                    self.round(rng, CONFIG.format(redis=slow.address, **values))
            with harness.Kpid(CONFIG.format(redis=redis.address, **values)) as kpid:
                harness.wait_for(lambda: self.counted(redis) == good, 60, "all orders, none twice")
                kpid.stop()

    def round(self, rng, config):
        """Starts some, ends each at an instant of its own."""
        daemons = [harness.Kpid(config) for _ in range(AT_ONCE)]
        began = time.monotonic()
        try:
            for after, kpid in sorted((rng.random() * 0.5 * harness.SLOW, i) for i in range(AT_ONCE)):
                try:
                    daemons[kpid].process.wait(max(0.0, began + after - time.monotonic()))
                except subprocess.TimeoutExpired:
                    daemons[kpid].signal(signal.SIGTERM)
            for kpid in daemons:
                code, log = kpid.wait(10), kpid.log_text()
                # Who has not begun ends as the signal has it.
                self.assertIn(code, (0,) if log else (0, -signal.SIGTERM), f"{code}:\n{log[-5000:]}")
        finally:
            for kpid in daemons:
                kpid.close()


if __name__ == "__main__":
    harness.main()
