#!/usr/bin/python3
"""Groups that are silent for group_ttl go from Redis, by one field or by two."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import harness

CONFIG = """
clock: events
tick: 50ms
kafka: {{ brokers: "{brokers}", group: groups, properties: {{ session.timeout.ms: 6000 }} }}
redis: {{ url: "redis://{redis}" }}
http: {{ listen: off }}
sources:
  shop: {{ topics: [{topic}], out_of_order: 1s, allowed_lateness: 2m, idle_timeout: 300ms, max_skew: off, group_ttl: 10m }}
measures:
  orders: {{ from: shop, count: }}
kpis:
  one: {{ formula: orders, windows: [1m], by: [channel] }}
  two: {{ formula: orders, windows: [1m], by: [channel, country] }}
"""

MINUTE = 60000
START = 28333333 * MINUTE


def order(topic, minute, channel, country):
    return {"topic": topic, "key": "k", "value": {"type": "order", "ts": START + minute * MINUTE, "channel": channel,
                                                  "country": country}}


class Groups(harness.TestCase):
    def fields(self, redis, kpi, window="1m"):
        return {name for name in redis.client.hkeys(f"kpi:snap:{{{kpi}:{window}}}")
                if name[0] not in "@*_" or name == "__other__"}

    def test_a_silent_group_goes_from_every_hash(self):
        with harness.Kafka() as kafka, harness.Redis() as redis:
            topic = kafka.topic("shop", partitions=1)
            config = CONFIG.format(brokers=kafka.brokers, redis=redis.address, topic=topic)
            with harness.Kpid(config) as kpid:
                kafka.produce([order(topic, 0, "web", "de"), order(topic, 0, "app|x", "fr"), order(topic, 3, "web", "de")])
                harness.wait_for(lambda: self.fields(redis, "two") >= {"web|de", "web|de@final", "app%7Cx|fr@final"}, 20,
                                 "both groups")
                self.assertIn("app%7Cx@final", self.fields(redis, "one"))
                kafka.produce([order(topic, 20, "web", "de"), order(topic, 40, "web", "de")])
                for kpi, window, left in (("one", "1m", {"web"}), ("two", "1m", {"web|de"})):
                    harness.wait_for(lambda: {name.removesuffix("@final") for name in self.fields(redis, kpi, window)}
                                     == left, 20, f"only {left} in {kpi}:{window}")
                # One that comes back is there again.
                kafka.produce([order(topic, 41, "app|x", "fr"), order(topic, 43, "web", "de")])
                harness.wait_for(lambda: "app%7Cx|fr@final" in self.fields(redis, "two"), 20, "the group that came back")
                text = redis.client.hget("kpi:snap:{two:1m}", "app%7Cx|fr@final")
                self.assertEqual(json.loads(text)["group"], {"channel": "app|x", "country": "fr"})
                kpid.stop()


if __name__ == "__main__":
    harness.main()
