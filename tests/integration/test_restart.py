#!/usr/bin/python3
"""Stopping and starting again changes no figure; each stop is quick and clean, whatever is away."""

import json
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import harness

CONFIG = """
clock: events
tick: 50ms
kafka: {{ brokers: "{brokers}", group: {group}, properties: {{ session.timeout.ms: 6000 }} }}
redis: {{ url: "redis://{redis}", prefix: {prefix} }}
http: {{ listen: off }}
sources:
  shop: {{ topics: [{topic}], out_of_order: 10s, allowed_lateness: 10m, idle_timeout: 1s, max_skew: off }}
measures:
  orders: {{ from: shop, where: type == "order.created", count: }}
  revenue: {{ from: shop, where: type == "order.created", sum: amount }}
  buyers: {{ from: shop, where: type == "order.created", distinct: user }}
  value: {{ from: shop, where: type == "order.created", quantiles: amount }}
  shipping: {{ from: shop, clock: {{ key: order, start: type == "order.created", stop: type == "order.shipped", deadline: 5m }} }}
kpis:
  orders: {{ formula: orders, unit: count, windows: [1m, 1h, day, all], by: [channel] }}
  revenue: {{ formula: revenue, unit: EUR, windows: [1m, day, all], by: [channel] }}
  buyers: {{ formula: buyers, unit: count, windows: [1h, day, all] }}
  value: {{ formula: value.p90, unit: EUR, windows: [1h, day, all] }}
  shipping: {{ formula: shipping.mean, unit: duration, windows: [1h, day, all] }}
  open: {{ formula: shipping.open, unit: count, windows: [1m, day, all] }}
  missed: {{ formula: shipping.missed, unit: count, windows: [1h, day, all] }}
"""

VOLATILE = ("as_of", "as_of_ms", "lag", "watermark", "watermark_ms", "revision")


def shop(topic, seed, orders):
    """Orders and their parcels over some hours, a little out of order, one in fifty twice."""
    rng = random.Random(seed)
    start = 1_700_000_000_000
    events = []
    for n in range(orders):
        at = start + n * 5000 + rng.randrange(5000)
        order = {"type": "order.created", "id": f"c{n}", "ts": at, "order": f"o{n}", "user": f"u{rng.randrange(300)}",
                 "channel": rng.choice(["web", "app", "store"]), "amount": rng.randrange(1, 20000) / 100}
        events.append((at, order))
        if rng.random() < 0.9:
            later = at + int(rng.lognormvariate(12, 0.8))
            events.append((later, {"type": "order.shipped", "id": f"s{n}", "ts": later, "order": f"o{n}",
                                   "channel": order["channel"]}))
    events.sort(key=lambda e: e[0] + rng.randrange(8000))
    lines = []
    for at, event in events:
        line = {"topic": topic, "key": event["order"], "value": event}
        lines.append(line)
        if rng.random() < 0.02:
            lines.append(line)
    return lines


def figures(client, prefix):
    """Every final figure that readers find, without what says when it was written."""
    found = {}
    keys = list(client.scan_iter(f"{prefix}:win:*", count=10000)) + list(client.scan_iter(f"{prefix}:snap:*", count=10000))
    for key in keys:
        for field, text in client.hgetall(key).items():
            if field.startswith("@") or ((":snap:" in key) and not field.endswith("@final")):
                continue
            value = json.loads(text)
            found[key[len(prefix):], field] = {k: v for k, v in value.items() if k not in VOLATILE}
    return found


def differs(whole, broken, name):
    """The newest final of a rolling window is whichever boundary came last; its windows are compared one by one."""
    return whole[name] != broken[name] and not name[1].endswith("@final")


def same(broken, whole):
    return set(whole) <= set(broken) and not any(differs(whole, broken, name) for name in whole)


class Restart(harness.TestCase):
    def config(self, kafka, redis, topic, name):
        return CONFIG.format(brokers=kafka.brokers, redis=redis.address, topic=topic, group=name, prefix=name)

    def test_twenty_restarts_change_nothing(self):
        orders = 4000
        with harness.Kafka() as kafka, harness.Redis() as redis:
            topic = kafka.topic("shop", partitions=6)
            lines = shop(topic, 7, orders)
            parts = [lines[i * len(lines) // 21:(i + 1) * len(lines) // 21] for i in range(21)]
            with harness.Kpid(self.config(kafka, redis, topic, "broken")) as kpid:
                for part in parts[:20]:
                    kafka.produce(part)
                    kpid.wait_log(r"shard shop/5 restored", 30)
                    kpid.stop()
                    os.truncate(kpid.log, 0)
                    kpid.start()
                kafka.produce(parts[20])
                with harness.Kpid(self.config(kafka, redis, topic, "whole")) as undisturbed:
                    self.settle(redis.client, "whole", undisturbed, lines)
                    undisturbed.stop()
                whole = figures(redis.client, "whole")
                self.settle(redis.client, "broken", kpid, lines)
                harness.holds_within(lambda: same(figures(redis.client, "broken"), whole), 60)
                kpid.stop()
            broken = figures(redis.client, "broken")
            self.assertGreater(len(whole), 1000)
            missing = sorted(set(whole) - set(broken))
            self.assertEqual(missing[:5], [], f"{len(missing)} of {len(whole)} figures are missing")
            wrong = [(name, whole[name]["value"], broken[name]["value"]) for name in whole
                     if differs(whole, broken, name)]
            self.assertEqual(wrong[:5], [], f"{len(wrong)} of {len(whole)} figures differ")
            print(f"{len(whole)} figures equal after 20 restarts", flush=True)

    def settle(self, client, prefix, kpid, lines):
        """Until every event is in the ledger, and the day of the last one is final for every KPI: boundaries are taken
        in order, and without restarts none of them is final before the end of the input."""
        day = 86_400_000
        end = (max(line["value"]["ts"] for line in lines) // day + 1) * day

        def settled():
            ledger = harness.kpictl("-c", kpid.config, "--json", "ledger").stdout.splitlines()
            days = [client.hget(key, "*@final") for key in client.scan_iter(f"{prefix}:snap:*:day}}")]
            return (sum(json.loads(line)["in"] for line in ledger) == len(lines) and len(days) == 7 and
                    all(text and json.loads(text)["end_ms"] >= end for text in days))

        harness.wait_for(settled, 120, f"the end of the day of the last event ({prefix})")

    def test_a_stop_is_quick_when_redis_is_away(self):
        with harness.Kafka() as kafka, harness.Redis() as redis:
            topic = kafka.topic("shop", partitions=6)
            kafka.produce(shop(topic, 1, 200))
            with harness.Kpid(self.config(kafka, redis, topic, "away")) as kpid:
                kpid.wait_log(r"shard shop/5 restored", 30)
                redis.kill()
                kpid.wait_log(r"redis: .*(lost|closed|refused|reset|gone|down)|redis: (?!connected)", 10)
                kpid.stop()

    def test_a_stop_is_quick_when_redis_hangs(self):
        with harness.Kafka() as kafka, harness.Redis() as redis:
            topic = kafka.topic("shop", partitions=6)
            kafka.produce(shop(topic, 1, 200))
            with harness.Kpid(self.config(kafka, redis, topic, "hangs")) as kpid:
                kpid.wait_log(r"shard shop/5 restored", 30)
                redis.pause()
                try:
                    kpid.stop()
                finally:
                    redis.resume()

    def test_a_stop_is_quick_when_kafka_is_away(self):
        with harness.Kafka(private=True) as kafka, harness.Redis() as redis:
            topic = kafka.topic("shop", partitions=6)
            kafka.produce(shop(topic, 1, 200))
            with harness.Kpid(self.config(kafka, redis, topic, "nobody")) as kpid:
                kpid.wait_log(r"shard shop/5 restored", 30)
                kafka.kill()
                kpid.stop()

    def test_a_stop_while_nobody_takes_a_dead_letter(self):
        """The producer reports of it when it closes, and the shards are gone then."""
        with harness.Kafka(private=True, properties={"auto.create.topics.enable": "false"}) as kafka, \
                harness.Redis() as redis:
            topic = kafka.topic("shop", partitions=6)
            kafka.produce([{"topic": topic, "key": str(n), "raw": "spoiled"} for n in range(40)])
            config = self.config(kafka, redis, topic, "letters") + "publish: { dead_letters: nowhere }\n"
            with harness.Kpid(config) as kpid:
                harness.wait_for(lambda: self.malformed(config, redis) == 40, 30, "the letters lie in the outbox")
                kpid.stop(5)
                kpid.start()
                kpid.wait_log(r"shard shop/5 restored.*\n(.*\n)*.*shard shop/5 restored", 30)
                kafka.topic("nowhere", partitions=1, exact=True)
                harness.wait_for(lambda: len(kafka.read("nowhere")) >= 40, 120, "the letters arrive")
                kpid.stop(5)

    @staticmethod
    def malformed(config, redis):
        ledger = harness.kpictl("-c", "/dev/stdin", "--redis", f"redis://{redis.address}", "--json", "ledger", stdin=config)
        return json.loads(ledger.stdout.splitlines()[0])["malformed"]


if __name__ == "__main__":
    harness.main()
