#!/usr/bin/python3
"""Measures that are more than a count, through a real Kafka and the daemon: sketches that Redis' own commands read, lists of
heaviest keys, the same figure earlier, the oldest and the due. What is expected is counted here, from the same events."""

import collections
import json
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import harness

CONFIG = """
clock: events
tick: 50ms
kafka: {{ brokers: "{brokers}", group: {views}, properties: {{ session.timeout.ms: 6000 }} }}
redis: {{ url: "redis://{redis}" }}
http: {{ listen: off }}
sources:
  views: {{ topics: [{views}], out_of_order: 1m, allowed_lateness: 1h, idle_timeout: 500ms, max_skew: off, group_ttl: 52w }}
  desk:  {{ topics: [{desk}], out_of_order: 1m, allowed_lateness: 1h, idle_timeout: 500ms, max_skew: off, group_ttl: 52w }}
measures:
  views:    {{ from: views, count: }}
  visitors: {{ from: views, distinct: user, hll: {{ groups: true }} }}
  products: {{ from: views, top: {{ key: product, k: 3 }} }}
  handling:
    from: desk
    clock: {{ key: ticket, start: type == "opened", stop: type == "closed", deadline: 30h, due: 6h, forget_after: never }}
kpis:
  visitors: {{ formula: visitors, windows: [day, month], by: [channel], history_groups: 2 }}
  products: {{ formula: products, windows: [day], by: [channel] }}
  growth:   {{ formula: views / views @ 1d, windows: [day] }}
  handling: {{ formula: handling, windows: [day] }}
  oldest:   {{ formula: handling.oldest, windows: [day], by: [team] }}
"""

HOUR = 3600000
DAY = 24 * HOUR
MARCH = 1772323200000  # 2026-03-01T00:00:00Z
DAYS = 31
CHANNELS = ("a little one", "app", "web")  # of which two have room


def views(rng):
    """The days of March, some with more visitors than are counted exactly; and a word from April, so that March is over."""
    for day in range(DAYS):
        for i in range(4000 if day % 7 == 3 else 700):
            channel = CHANNELS[min(int(rng.expovariate(1.2)), 2)]
            yield {"type": "view", "ts": MARCH + day * DAY + i * DAY // 4000, "user": f"u{rng.randrange(5000)}",
                   "product": f"p{int(rng.paretovariate(0.9))}", "channel": CHANNELS[2 - CHANNELS.index(channel)]}
    yield {"type": "view", "ts": MARCH + DAYS * DAY + HOUR, "user": "u0", "product": "p1", "channel": "web"}


def tickets():
    """Opened every five hours; each third one stays open, the others are closed 20 hours later."""
    for i in range(60):
        at, team = MARCH + i * 5 * HOUR, f"team {i % 2}"
        yield {"type": "opened", "ts": at, "ticket": f"t{i}", "team": team}
        if i % 3:
            yield {"type": "closed", "ts": at + 20 * HOUR, "ticket": f"t{i}", "team": team}


class Measures(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.servers = [harness.Kafka(), harness.Redis()]
        kafka, cls.redis = cls.servers
        names = {name: kafka.topic(name, partitions=3) for name in ("views", "desk")}
        cls.views, cls.tickets = list(views(random.Random(7))), list(tickets())
        kafka.produce([{"topic": names["views"], "key": event["user"], "value": event} for event in cls.views])
        kafka.produce([{"topic": names["desk"], "key": event["ticket"], "value": event}
                       for event in sorted(cls.tickets, key=lambda event: event["ts"])])
        cls.servers.append(harness.Kpid(CONFIG.format(brokers=kafka.brokers, redis=cls.redis.address, **names)))
        for kpi in ("visitors", "products", "growth"):
            harness.wait_for(lambda: cls.window(kpi, "day", DAYS - 1)["*"]["final"], 90, f"the last day of March of {kpi}")
        harness.wait_for(lambda: cls.window("visitors", "month", 0)["*"]["final"], 30, "March")
        for kpi in ("handling", "oldest"):
            harness.wait_for(lambda: cls.window(kpi, "day", 11)["*"]["final"], 30, f"the twelfth day of {kpi}")

    @classmethod
    def tearDownClass(cls):
        for server in reversed(cls.servers):
            server.close()

    @classmethod
    def window(cls, kpi, window, day):
        """The snapshots of a window that is kept, by group."""
        found = cls.redis.client.hgetall(f"kpi:win:{{{kpi}:{window}}}:{MARCH + day * DAY}")
        return {group: json.loads(text) for group, text in found.items()}

    def cli(self, *words):
        host, port = self.redis.address.split(":")
        done = subprocess.run(["redis-cli", "-h", host, "-p", port, *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def of_day(self, day, channel=None):
        return [event for event in self.views
                if day * DAY <= event["ts"] - MARCH < (day + 1) * DAY and channel in (None, event["channel"])]

    def test_pfcount_is_the_snapshots_figure(self):
        estimated = 0
        for day in range(DAYS):
            snapshots = self.window("visitors", "day", day)
            self.assertEqual(sorted(snapshots), ["*", "app", "web"])
            for group, snapshot in snapshots.items():
                key = f"kpi:hll:{{visitors}}:day:{MARCH + day * DAY}" + ("" if group == "*" else f":{group}")
                with self.subTest(key):
                    self.assertEqual(int(self.cli("PFCOUNT", key)), snapshot["value"])
                    users = len({event["user"] for event in self.of_day(day, None if group == "*" else group)})
                    if users <= 1536:
                        self.assertEqual(snapshot["value"], users)
                    else:
                        self.assertAlmostEqual(snapshot["value"] / users, 1, delta=5 * 0.0081)
                        estimated += 1
        self.assertGreater(estimated, 3)

    def test_pfmerge_of_days_is_the_month(self):
        for group in ("", ":web"):
            days = [f"kpi:hll:{{visitors}}:day:{MARCH + day * DAY}{group}" for day in range(DAYS)]
            merged = f"kpi:hll:{{visitors}}:of the test{group}"
            month = f"kpi:hll:{{visitors}}:month:{MARCH}{group}"
            self.assertEqual(self.cli("PFMERGE", merged, *days), "OK")
            figure = self.window("visitors", "month", 0)[group.lstrip(":") or "*"]["value"]
            users = len({event["user"] for day in range(DAYS) for event in self.of_day(day, group.lstrip(":") or None)})
            self.assertEqual(int(self.cli("PFCOUNT", month)), figure)
            self.assertAlmostEqual(int(self.cli("PFCOUNT", merged)) / users, 1, delta=5 * 0.0081)
            self.assertAlmostEqual(figure / users, 1, delta=5 * 0.0081)

    def test_a_group_too_many_has_no_sketch(self):
        """The smallest one, though it is the first by name: those have one that the window keeps."""
        groups = collections.defaultdict(set)
        for key in self.redis.client.scan_iter("kpi:hll:{visitors}:day:*"):
            start, _, group = key.removeprefix("kpi:hll:{visitors}:day:").partition(":")
            groups[int(start)].add(group or "*")
        self.assertGreaterEqual(len(groups), DAYS)
        for start, found in groups.items():
            self.assertEqual(found, set(self.redis.client.hkeys(f"kpi:win:{{visitors:day}}:{start}")))
            self.assertEqual(found >= {"*", "app", "web"}, start < MARCH + DAYS * DAY)
        self.assertIn("a little one", self.redis.client.hkeys("kpi:snap:{visitors:day}"))

    def test_top(self):
        for day in (0, 3, 30):
            for group, snapshot in self.window("products", "day", day).items():
                counts = collections.Counter(event["product"] for event in self.of_day(day, None if group == "*" else group))
                heaviest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]
                self.assertEqual([(line["key"], line["value"], line["error"]) for line in snapshot["parts"]["top"]],
                                 [(key, n, 0) for key, n in heaviest])
                self.assertEqual(snapshot["value"], heaviest[0][1])
                self.assertEqual((snapshot["parts"]["n"], snapshot["parts"]["keys"]), (sum(counts.values()), len(counts)))

    def test_earlier(self):
        for day in range(1, DAYS):
            snapshot = self.window("growth", "day", day)["*"]
            now, before = len(self.of_day(day)), len(self.of_day(day - 1))
            self.assertEqual((snapshot["numerator"], snapshot["denominator"]), (now, before))
            self.assertAlmostEqual(snapshot["value"], now / before)
        first = self.window("growth", "day", 0)["*"]
        self.assertEqual((first["value"], first["quality"]), (None, "no_data"))

    def test_oldest_and_due(self):
        closed = {event["ticket"]: event["ts"] for event in self.tickets if event["type"] == "closed"}
        for day in range(12):
            end = MARCH + (day + 1) * DAY
            opened = [event for event in self.tickets if event["type"] == "opened" and event["ts"] < end
                      and closed.get(event["ticket"], end) >= end]
            ages = [end - event["ts"] for event in opened]
            parts = self.window("handling", "day", day)["*"]["parts"]
            with self.subTest(day):
                self.assertEqual(parts["open"], len(opened))
                self.assertEqual(parts["oldest"], max(ages) / 1000)
                self.assertEqual(parts["breached"], sum(age > 30 * HOUR for age in ages))
                self.assertEqual(parts["due"], sum(24 * HOUR < age <= 30 * HOUR for age in ages))
                for group, snapshot in self.window("oldest", "day", day).items():
                    of = [end - event["ts"] for event in opened if group in ("*", event["team"])]
                    self.assertEqual((snapshot["value"], snapshot["parts"]["open"]), (max(of, default=0) / 1000, len(of)))


if __name__ == "__main__":
    harness.main()
