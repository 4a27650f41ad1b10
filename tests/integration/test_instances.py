#!/usr/bin/python3
"""Several instances in one consumer group: one publishes over the shards of all. Instances are killed, stopped, join and
leave; figures equal those of one that nothing happened to, and an outside reader never sees too much."""

# alone: three instances with short session timeouts

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import harness

CONFIG = """
clock: {clock}
tick: 50ms
live_timeout: 1s
kafka:
  brokers: "{brokers}"
  group: {group}
  properties: {{ session.timeout.ms: {session}, heartbeat.interval.ms: 300, max.poll.interval.ms: 10000 }}
redis: {{ url: "redis://{redis}", prefix: {prefix} }}
http: {{ listen: off }}
sources:
  shop: {{ topics: [{topic}], out_of_order: {out_of_order}, allowed_lateness: 10m, idle_timeout: {idle}, max_skew: off }}
measures:
  orders: {{ from: shop, where: type == "order.created", count: }}
  revenue: {{ from: shop, where: type == "order.created", sum: amount }}
  buyers: {{ from: shop, where: type == "order.created", distinct: user }}
  shipping: {{ from: shop, clock: {{ key: order, start: type == "order.created", stop: type == "order.shipped", deadline: 5m }} }}
kpis:
  orders:
    formula: orders
    unit: count
    windows: [{{ rolling: 1m, history: 1000 }}, 1h]
    by: [channel]
    target: {{ 1m: {target} }}
    alert: {{ crit: -1 %, for: 0s }}
  revenue: {{ formula: revenue, unit: EUR, windows: [{{ rolling: 1m, history: 1000 }}, 1h], by: [channel] }}
  buyers: {{ formula: buyers, unit: count, windows: [1h] }}
  shipping: {{ formula: shipping.mean, unit: duration, windows: [{{ rolling: 1m, history: 1000 }}, 1h] }}
  open: {{ formula: shipping.open, unit: count, windows: [{{ rolling: 1m, history: 1000 }}] }}
  missed: {{ formula: shipping.missed, unit: count, windows: [{{ rolling: 1m, history: 1000 }}, 1h] }}
"""

# A wall clock that is a minute ahead.
AHEAD = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *ts)
{
    static int (*next)(clockid_t, struct timespec *);
    if (!next)
        next = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int code = next(id, ts);
    if (id == CLOCK_REALTIME)
        ts->tv_sec += 60;
    return code;
}
"""

BROKER = {"group.min.session.timeout.ms": "1000"}
MINUTE = 60000
START = 28333333 * MINUTE
VOLATILE = ("as_of", "as_of_ms", "lag", "watermark", "watermark_ms", "revision")
TAGS = [f"{kpi}:{window}" for kpi in ("orders", "revenue", "shipping", "missed") for window in ("1m", "1h")] + \
    ["buyers:1h", "open:1m"]
FIRST = {"orders:1m": "count", "revenue:1m": "sum"} # what the outside reader counts for itself


def shop(topic, seed, orders, partitions, late=0):
    """Orders and their parcels, out of order by less than is allowed but for a share of `late` ones, one in fifty twice; a
    record that ends it all."""
    rng = random.Random(seed)
    events = []
    for n in range(orders):
        at = START + n * 3000 + rng.randrange(3000)
        order = {"type": "order.created", "id": f"c{n}", "ts": at, "order": f"o{n}", "user": f"u{rng.randrange(300)}",
                 "channel": rng.choice(["web", "app", "store"]), "amount": rng.randrange(1, 20000) / 100}
        events.append((at, n % partitions, order))
        if rng.random() < 0.9:
            later = at + int(rng.lognormvariate(12, 0.8))
            events.append((later, n % partitions, {"type": "order.shipped", "id": f"s{n}", "ts": later, "order": f"o{n}",
                                                   "channel": order["channel"]}))
    events.sort(key=lambda e: e[0] + rng.randrange(8000) + (rng.randrange(300_000) if rng.random() < late else 0))
    lines = []
    for _, partition, event in events:
        line = {"topic": topic, "key": event["order"], "partition": partition, "value": event}
        lines += [line] * (2 if rng.random() < 0.02 else 1)
    end = max(event["ts"] for _, _, event in events) + 2 * 3600000
    lines += [{"topic": topic, "key": "end", "partition": p, "value": {"type": "end", "id": f"e{p}", "ts": end}}
              for p in range(partitions)]
    return lines


def recount(lines):
    """Orders and revenue by minute and channel ("*": all), once each."""
    found, seen = {}, set()
    for event in (line["value"] for line in lines):
        if event["type"] != "order.created" or event["id"] in seen:
            continue
        seen.add(event["id"])
        for field in ("*", event["channel"]):
            at = (event["ts"] // 1000 * 1000, field)
            n, cents = found.get(at, (0, 0))
            found[at] = (n + 1, cents + round(event["amount"] * 100))
    return found


class Reader(threading.Thread):
    """Looks at every figure, again and again: no final may differ from the recount, nothing may exceed it."""

    def __init__(self, redis, prefix, lines, exact=True):
        super().__init__(daemon=True)
        self.exact = exact # no final is corrected later
        self.client, self.prefix = redis.client, prefix
        self.seconds = recount(lines)
        self.known, self.wrong, self.finals, self.looks = {}, [], set(), 0
        self.over = threading.Event()

    def expected(self, kpi, field, start, end):
        at = (kpi, field, start, end)
        if at not in self.known:
            cells = [self.seconds.get((second, field), (0, 0)) for second in range(start, end, 1000)]
            self.known[at] = sum(c[0] for c in cells) if kpi == "orders" else sum(c[1] for c in cells) / 100
        return self.known[at]

    def check(self, kpi, field, one):
        if one["value"] is None:
            return
        value, whole = float(one["value"]), self.expected(kpi, field, one["start_ms"], one["end_ms"])
        if value > whole + 1e-6 or (one["final"] and self.exact and abs(value - whole) > 1e-6):
            self.wrong.append((kpi, field, one["start_ms"], one["final"], value, whole, one["reasons"]))
        if one["final"]:
            self.finals.add((kpi, field, one["start_ms"]))

    def look(self):
        for tag in FIRST:
            kpi = tag.split(":")[0]
            for field, text in self.client.hgetall(f"{self.prefix}:snap:{{{tag}}}").items():
                if not field.startswith("@"):
                    self.check(kpi, field.removesuffix("@final"), json.loads(text))
            for start in self.client.zrevrange(f"{self.prefix}:wins:{{{tag}}}", 0, 4):
                for field, text in self.client.hgetall(f"{self.prefix}:win:{{{tag}}}:{start}").items():
                    self.check(kpi, field, json.loads(text))
        self.looks += 1

    def run(self):
        # Without a pause a reader and Redis that wake each other on two processors can keep a scheduler from all others.
        while not self.over.wait(0.02):
            self.look()

    def end(self):
        self.over.set()
        self.join()


def figures(client, prefix):
    """All kept windows, without what says when they were written; the highest revision stands in them."""
    found = {}
    for key in client.scan_iter(f"{prefix}:win:*", count=10000):
        for field, text in client.hgetall(key).items():
            found[key[len(prefix):], field] = {k: v for k, v in json.loads(text).items() if k not in VOLATILE}
    return found


class Instances(harness.TestCase):
    partitions = 12

    def setUp(self):
        self.kafka = self.enterContext(harness.Kafka(properties=BROKER))
        self.redis = self.enterContext(harness.Redis())
        self.topic = self.kafka.topic("shop", partitions=self.partitions)
        self.kpids = {}

    def config(self, prefix="many", **more):
        values = {"clock": "events", "idle": "1h", "out_of_order": "10s", "target": 1, "session": 4000} | more
        return CONFIG.format(brokers=self.kafka.brokers, redis=self.redis.address, topic=self.topic, group=prefix,
                             prefix=prefix, **values)

    def start(self, *names, **more):
        for name in names:
            if name in self.kpids:
                self.kpids[name].start()
            else:
                self.kpids[name] = self.enterContext(harness.Kpid(f"instance: {name}\n" + self.config(**more)))

    def wait_final(self, above, what):
        """Finals beyond a boundary; if none come, what the instances and Redis say of it."""
        if not harness.holds_within(lambda: self.final_end() > above, 60):
            self.fail_telling(f"no finals of {what} beyond {above}")

    def fail_telling(self, what):
        for name, kpid in self.kpids.items():
            print(f"log of {name}:\n{kpid.log_text()[-3000:]}", flush=True)
        client = self.redis.client
        told = {key: client.hgetall(f"many:{{alert}}:{key}") for key in ("instances", "notes", "h", "final")}
        live = {key: client.get(key) for key in client.scan_iter("many:s:*:l", count=1000)}
        ends = {tag: self.final_end("many", tag) for tag in TAGS}
        self.fail(f"{what}: {told} {live} {ends}")

    def publisher(self):
        lease = self.redis.client.get("many:{alert}:lease")
        return lease.split(" ")[1].split("@")[0] if lease else None

    def wait_publisher(self, names, deadline_s=10):
        return harness.wait_for(lambda: self.publisher() if self.publisher() in names else None, deadline_s,
                                f"one of {names} to publish")

    def active(self):
        found = self.redis.client.hgetall("many:{alert}:active")
        return {key: json.loads(text) for key, text in found.items()}

    def headers(self):
        keys = self.redis.client.scan_iter("many:s:*:h", count=1000)
        return {key: self.redis.client.hget(key, "nonce") for key in keys}

    def final_end(self, prefix="many", tag="orders:1m", field="*"):
        text = self.redis.client.hget(f"{prefix}:snap:{{{tag}}}", f"{field}@final")
        return json.loads(text)["end_ms"] if text else 0

    def whole(self, lines, **more):
        """What one undisturbed instance says of the same topic."""
        with harness.Kpid(self.config("whole", **more)) as kpid:
            self.settle("whole", lines)
            kpid.stop()
        return figures(self.redis.client, "whole")

    def settle(self, prefix, lines, deadline_s=60):
        """Until every boundary is final that the records at the end let be."""
        end = lines[-1]["value"]["ts"] - 10000
        for tag in TAGS:
            step = 1000 if tag.endswith(":1m") else MINUTE
            if not harness.holds_within(lambda: self.final_end(prefix, tag) == end // step * step, deadline_s):
                self.fail_telling(f"the end of {tag} ({prefix}) is not final, {end // step * step}")

    def same_as_whole(self, lines, but="", late=False, **more):
        def many_figures():
            return {name: one for name, one in figures(self.redis.client, "many").items() if not but or but not in name[0]}
        whole = self.whole(lines, **more)
        harness.holds_within(lambda: many_figures() == whole, 10)
        many = many_figures()
        self.assertGreater(len(whole), 500)
        self.assertEqual(sorted(set(whole) - set(many))[:5], [], "figures that are missing")
        self.assertEqual(sorted(set(many) - set(whole))[:5], [], "figures that should not be there")
        wrong = [(name, whole[name]["value"], many[name]["value"], many[name]["reasons"]) for name in whole
                 if whole[name] != many[name]]
        self.assertEqual(wrong[:5], [], f"{len(wrong)} of {len(whole)} figures differ")
        for tag in () if late else ("orders:1h", "revenue:1h", "shipping:1h"): # late events correct whole windows alone
            one, many = self.history("whole", tag), self.history("many", tag)
            common = one.keys() & many.keys()
            self.assertGreater(len(common), 60)
            differ = [(at, many[at], one[at]) for at in sorted(common)
                      if any(told[:2] != one[at][-1][:2] for told in many[at])]
            self.assertEqual(differ[:3], [], f"{len(differ)} of {len(common)} boundaries of {tag} differ")
        return len(whole)

    def history(self, prefix, tag):
        """What was told of each boundary; boundaries of a run at which nothing changed have one."""
        found = {}
        for _, fields in self.redis.client.xrange(f"{prefix}:hist:{{{tag}}}"):
            one = json.loads(fields["json"])
            found.setdefault(one["start_ms"], []).append((one["value"], one["final"], one["revision"], one["samples"],
                                                          one["reasons"], "restarted" in fields))
        return found

    def chaos(self, lines, rng, parts=12):
        """Sends the lines in parts; between them instances are killed or stopped, others come back."""
        n, alive, kills = len(lines), {"a", "b", "c"}, 0
        self.start(*sorted(alive))
        for part in range(parts):
            before = self.final_end()
            self.kafka.produce(lines[part * n // parts:(part + 1) * n // parts])
            self.wait_final(before, f"part {part}")
            name = self.wait_publisher(alive) if part % 3 == 0 else rng.choice(sorted(alive))
            if part % 2 == 0:
                self.kpids[name].kill()
                kills += 1
            else:
                self.kpids[name].stop()
            alive.discard(name)
            if len(alive) == 1 or rng.random() < 0.5:
                back = rng.choice(sorted({"a", "b", "c"} - alive))
                self.start(back)
                alive.add(back)
        self.settle("many", lines)
        return kills

    def test_rebalances_and_kills_change_no_figure(self):
        lines = shop(self.topic, 11, 3000, self.partitions)
        reader = Reader(self.redis, "many", lines)
        reader.start()
        kills = self.chaos(lines, random.Random(5))
        reader.end()
        print(f"{kills} kills; read {reader.looks} times, {len(reader.finals)} finals seen", flush=True)
        self.assertEqual(reader.wrong[:5], [], f"{len(reader.wrong)} figures that no reader should see")
        self.assertGreater(len(reader.finals), 300)
        print(f"{self.same_as_whole(lines)} figures equal", flush=True)

    def test_late_events_correct_what_another_instance_told(self):
        lines = shop(self.topic, 12, 2000, self.partitions, late=0.03)
        # Of the last minutes of a beginning some are held back until what they belong to is final.
        begin, rest = lines[:500], lines[500:]
        newest = max(line["value"]["ts"] for line in begin)
        held = [line for line in begin[::7] if newest - 480000 < line["value"]["ts"] < newest - 90000]
        begin = [line for line in begin if line not in held]
        reader = Reader(self.redis, "many", lines, exact=False)
        reader.start()
        self.start("a", "b", "c")
        self.kafka.produce(begin)
        harness.wait_for(lambda: self.final_end() > newest - 90000, 30, "the beginning is final")
        self.kafka.produce(held)
        harness.wait_for(lambda: self.revised() > 3, 30, "corrections")
        for kpid in self.kpids.values():
            kpid.stop()
        self.chaos(rest, random.Random(6), parts=7)
        reader.end()
        self.assertEqual(reader.wrong[:5], [], f"{len(reader.wrong)} figures that no reader should see")
        print(f"{self.same_as_whole(rest, late=True)} figures equal, {self.revised()} windows corrected", flush=True)
        self.assertGreater(self.revised(), 3)

    def revised(self):
        return sum(json.loads(self.redis.client.hget(key, "*"))["revision"] > 0
                   for key in self.redis.client.scan_iter("many:win:{orders:1m}:*", count=1000))

    def test_an_alert_outlives_its_publishers(self):
        lines = shop(self.topic, 13, 1500, self.partitions)
        names, n = ["a", "b", "c"], len(lines)
        self.start(*names, target=100000)
        first = None
        for part in range(6):
            before = self.final_end()
            self.kafka.produce(lines[part * n // 6:(part + 1) * n // 6])
            self.wait_final(before, f"part {part}")
            active = {key: one["since"] for key, one in self.active().items()}
            first = first or active
            self.assertTrue(first)
            self.assertEqual(active, first)
            name = self.wait_publisher(names)
            self.kpids[name].kill()
            self.wait_publisher([other for other in names if other != name])
            self.start(name)
        fired = [fields["id"] for _, fields in self.redis.client.xrange("many:{alert}:log")
                 if json.loads(fields["json"])["state"] == "firing"]
        self.assertEqual(sorted(fired), sorted(first), "each alert fires once, whoever publishes")

    def test_one_that_stands_still_makes_figures_partial(self):
        lines = shop(self.topic, 14, 2000, self.partitions)
        half = len(lines) // 2
        self.start("a", "b", "c", session=6000)
        harness.wait_for(lambda: len(self.headers()) == self.partitions, 30, "all shards to be taken")
        self.kafka.produce(lines[:half])
        publisher = self.wait_publisher(["a", "b", "c"])
        self.wait_spread()
        harness.wait_for(lambda: self.final_end() > START + half * 500, 30, "finals of the first half")
        name = next(other for other in ("a", "b", "c") if other != publisher and self.shards(other))
        self.kpids[name].signal(signal.SIGSTOP)
        self.kafka.produce(lines[half:-self.partitions])
        newest_read = max(line["value"]["ts"] for line in lines[:half])

        def partial():
            one = json.loads(self.redis.client.hget("many:snap:{orders:1m}", "*"))
            assert one["end_ms"] > newest_read + 2 * MINUTE, one
            return one
        one = harness.wait_for(partial, 20, "newest figures without the one that stands still")
        self.assertEqual((one["quality"], one["final"]), ("partial", False))
        self.assertIn("shards_missing", one["reasons"])
        self.assertLessEqual(self.final_end(), newest_read, "nothing is final without its shards")
        # Kafka gives its shards to the others; then it wakes up, and what it still held is refused.
        harness.wait_for(lambda: self.final_end() > newest_read + 2 * MINUTE, 40, "finals without it")
        self.kpids[name].signal(signal.SIGCONT)
        self.kafka.produce(lines[-self.partitions:])
        self.settle("many", lines)
        print(f"{self.same_as_whole(lines)} figures equal", flush=True)

    def shards(self, name):
        """How many it has, as this process of it tells: what one before it told may still be listed."""
        for key, text in self.redis.client.hgetall("many:{alert}:instances").items():
            one = json.loads(text.split(" ", 2)[2])
            if key.split("@")[0] == name and one["pid"] == self.kpids[name].process.pid:
                return one["active"]
        return 0

    def are_spread(self, names):
        return (sum(self.shards(name) for name in names) == self.partitions and
                all(self.shards(name) for name in names))

    def wait_spread(self, names=("a", "b", "c")):
        if not harness.holds_within(lambda: self.are_spread(names), 60):
            self.fail_telling(f"not each of {names} has shards")

    def test_idle_shards_of_others_hold_no_window_back(self):
        self.start("a", "b", clock="wall", idle="500ms", out_of_order="1s")
        self.wait_spread(("a", "b"))
        newest = int(self.redis.client.time()[0]) * 1000
        events = [{"type": "order.created", "id": f"c{n}", "ts": newest - 200 * n, "order": f"o{n}", "user": "u",
                   "channel": "web", "amount": 1} for n in range(60)]
        self.kafka.produce([{"topic": self.topic, "key": e["order"], "partition": n % 3, "value": e}
                            for n, e in enumerate(events)])
        last = newest // 1000 * 1000 + 1000
        harness.wait_for(lambda: self.final_end() >= last, 20, "the last second to be final")
        minute = newest // MINUTE * MINUTE
        harness.wait_for(lambda: self.redis.client.hget(f"many:win:{{orders:1m}}:{minute}", "*"), 80,
                         "the minute to be final")
        # Behind what is final, to shards that stood idle: each is counted.
        self.kafka.produce([{"topic": self.topic, "key": f"l{p}", "partition": p,
                             "value": dict(events[0], id=f"l{p}", order=f"l{p}", ts=newest - 500)}
                            for p in range(self.partitions)])
        want = sum(e["ts"] >= minute for e in events) + self.partitions

        def corrected():
            one = json.loads(self.redis.client.hget(f"many:win:{{orders:1m}}:{minute}", "*"))
            assert one["value"] == want and one["final"] and one["revision"] > 0, (one, want)
            return True
        harness.wait_for(corrected, 20, f"{want} orders in the minute")

    def test_what_redis_lost_is_told_again_from_all_shards(self):
        lines = shop(self.topic, 17, 1500, self.partitions)
        self.start("a", "b", "c", target=100000)
        self.wait_spread()
        self.kafka.produce(lines[:len(lines) // 2])
        harness.wait_for(lambda: self.final_end() > START + len(lines) * 500, 60, "finals of the first half")
        before = {key: one["since"] for key, one in self.active().items()}
        self.assertTrue(before)
        publisher = self.publisher()
        self.redis.kill()
        self.redis.start()
        harness.wait_for(lambda: self.publisher() == publisher, 20, "the same publisher")
        harness.wait_for(lambda: {key: one["since"] for key, one in self.active().items()} == before, 20,
                         "the same alerts")
        self.kafka.produce(lines[len(lines) // 2:])
        self.settle("many", lines)
        self.assertEqual({key: one["since"] for key, one in self.active().items()}, before)
        self.assertIn("all that is known is told again", self.kpids[publisher].log_text())
        print(f"{self.same_as_whole(lines, target=100000)} figures equal", flush=True)

    def test_a_measure_that_one_of_them_does_not_count_is_partial(self):
        lines = shop(self.topic, 18, 600, self.partitions)
        more = ("measures:\n  parcels: { from: shop, where: type == \"order.shipped\", count: }\n",
                "kpis:\n  parcels: { formula: parcels, unit: count, windows: [1m] }\n")
        self.start("a")
        harness.wait_for(lambda: len(self.headers()) == self.partitions, 30, "all shards to be taken")
        newer = self.config().replace("measures:\n", more[0]).replace("kpis:\n", more[1])
        self.kpids["b"] = self.enterContext(harness.Kpid("instance: b\n" + newer))
        self.wait_spread(("a", "b"))
        self.kpids["a"].kill()
        self.wait_publisher(["b"])
        self.start("a")
        self.wait_spread(("a", "b"))
        self.kafka.produce(lines)

        def partial():
            text = self.redis.client.hget("many:snap:{parcels:1m}", "*")
            one = json.loads(text) if text else {"reasons": []}
            assert "shards_missing" in one["reasons"] and not one["final"] and one["quality"] == "partial", one
            return True
        harness.wait_for(partial, 30, "the new figure to be partial")
        self.settle("many", lines)
        print(f"{self.same_as_whole(lines, but='parcels')} figures equal", flush=True)

    def test_a_reload_that_goes_around_among_takeovers(self):
        """Shards go to and fro between instances that know a measure and instances that do not."""
        lines = shop(self.topic, 21, 2000, self.partitions)
        more = ("measures:\n  parcels: { from: shop, where: type == \"order.shipped\", count: }\n",
                "kpis:\n  parcels: { formula: parcels, unit: count, windows: [{ rolling: 1m, history: 1000 }] }\n")

        def newer(prefix):
            return self.config(prefix).replace("measures:\n", more[0]).replace("kpis:\n", more[1])

        def go_on(part):
            before = self.final_end()
            self.kafka.produce(lines[part * len(lines) // 8:(part + 1) * len(lines) // 8])
            self.wait_final(before, f"part {part}")

        def reload(name):
            kpid = self.kpids[name]
            kpid.rewrite(f"instance: {name}\n" + newer("many"))
            kpid.signal(signal.SIGHUP)
            kpid.wait_log("reload: ", 30)
        reader = Reader(self.redis, "many", lines)
        reader.start()
        self.start("a", "b", "c")
        self.wait_spread()
        go_on(0)
        reload("a")
        go_on(1)
        self.kpids["b"].kill() # its shards go to one that knows more and to one that does not
        go_on(2)
        self.kpids["b"].start()
        self.wait_spread()
        reload("b")
        go_on(3)
        self.kpids["a"].kill()
        go_on(4)
        self.kpids["a"].start()
        self.wait_spread()
        reload("c")
        self.wait_spread()
        for part in range(5, 8):
            go_on(part)
        self.settle("many", lines)
        reader.end()
        self.assertEqual(reader.wrong[:5], [], f"{len(reader.wrong)} figures that no reader should see")
        with harness.Kpid(newer("newer")) as kpid:
            self.settle("newer", lines)
            kpid.stop()
        expected, found = ({name: one for name, one in figures(self.redis.client, prefix).items() if "parcels" in name[0]}
                           for prefix in ("newer", "many"))
        final = {name: one for name, one in found.items() if one["final"]}
        wrong = [(name, one["value"], expected[name]["value"]) for name, one in final.items()
                 if one["value"] != expected[name]["value"]]
        print(f"{len(final)} of {len(expected)} windows of the new figure are final", flush=True)
        self.assertEqual(wrong[:5], [], f"{len(wrong)} of {len(final)} figures differ")
        self.assertGreater(len(final), 20)
        self.assertTrue(all(one["quality"] == "partial" for name, one in found.items() if name not in final))
        print(f"{self.same_as_whole(lines, but='parcels')} figures equal", flush=True)

    @harness.of_plain_builds # sanitizers want to be loaded first
    def test_one_whose_clock_is_off_publishes_nothing(self):
        lines = shop(self.topic, 19, 200, self.partitions)
        with tempfile.TemporaryDirectory() as folder:
            source, library = os.path.join(folder, "ahead.c"), os.path.join(folder, "ahead.so")
            with open(source, "w", encoding="utf-8") as file:
                file.write(AHEAD)
            subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
            self.kpids["a"] = self.enterContext(harness.Kpid(
                "instance: a\n" + self.config(clock="wall", idle="500ms"), env={"LD_PRELOAD": library}))
            self.kpids["a"].wait_log(r"<4>this machine's clock is 60\.\d s ahead of that of Redis: nothing is published", 20)
            self.kafka.produce(lines)
            harness.wait_for(lambda: len(self.headers()) == self.partitions, 30, "all shards to be taken")
            self.start("b", clock="wall", idle="500ms")
            self.wait_publisher(["b"])
            harness.wait_for(lambda: self.final_end() > START, 30, "finals of the other one")
            self.wait_spread(("a", "b"))
            self.assertEqual(self.publisher(), "b")

    def test_kpictl_lists_and_forgets_them(self):
        lines = shop(self.topic, 16, 200, self.partitions)
        self.start("a", "b")
        self.wait_spread(("a", "b"))
        self.kafka.produce(lines)
        self.settle("many", lines)
        config = self.kpids["a"].config

        def listed():
            found = [json.loads(line) for line in harness.kpictl("-c", config, "--json", "instances").stdout.splitlines()]
            return ({one["instance"].split("@")[0]: one for one in found if "instance" in one},
                    {one["shard"]: one for one in found if "shard" in one})

        def complete():
            instances, shards = listed()
            assert sorted(instances) == ["a", "b"] and all(one["alive"] for one in instances.values()), instances
            assert sorted(shards) == sorted(f"shop/{p}" for p in range(self.partitions)), sorted(shards)
            assert all(one["owner"].split("@")[0] in ("a", "b") for one in shards.values()), shards
            assert sum(one["topics"][0]["next_offset"] for one in shards.values()) == len(lines), shards
            assert all(one["topics"][0]["lag"] == 0 for one in shards.values()), shards
            assert [one["publishes"] for one in instances.values()].count(True) == 1, instances
            assert sum(one["active"] for one in instances.values()) == self.partitions, instances
            return instances
        instances = harness.wait_for(complete, 20, "both instances and all shards")
        text = harness.kpictl("-c", config, "instances").stdout
        self.assertRegex(text, r"  a@\S+ +(publishes|counts) +\d+ of \d+ shards, lag 0, ")
        self.assertRegex(text, r"  shop/11: seq \d+, \S+ at \d+, lag 0, owner [ab]@")
        gone = instances["b"]["instance"]
        refused = harness.kpictl("-c", config, "instances", "remove", gone, check=False)
        self.assertEqual((refused.returncode, refused.stdout), (1, ""))
        self.assertRegex(refused.stderr, r"is alive, seen \d\.\d s ago: stop it instead")
        self.kpids["b"].kill()
        harness.wait_for(lambda: not listed()[0]["b"]["alive"], 20, "silence")
        harness.kpictl("-c", config, "instances", "remove", gone)
        self.assertEqual(sorted(listed()[0]), ["a"])
        self.assertEqual(harness.kpictl("-c", config, "instances", "remove", gone, check=False).returncode, 1)
        self.assertEqual(harness.kpictl("-c", config, "instances", "drop", gone, check=False).returncode, 2)

    def formats(self):
        """Of the state that Redis holds, by partition."""
        return {int(key.split(":")[-2].rstrip("}")): self.redis.raw.hget(key, "meta")[0] for key in self.headers()}

    def speak(self, name, newest=None):
        """Starts an instance: of this version, or as one whose newest format of state is that."""
        if name not in self.kpids:
            self.kpids[name] = self.enterContext(harness.Kpid(f"instance: {name}\n" + self.config(), start=False))
        kpid = self.kpids[name]
        kpid.program = ("tests", "faults", "kpid-faults") if newest else harness.Kpid.program
        kpid.env = os.environ | ({"KPID_FAULT_FORMAT": str(newest)} if newest else {})
        kpid.start()

    def go_on(self, lines, newest):
        """Some more lines; all that is committed meanwhile is of that format."""
        before = self.final_end()
        self.kafka.produce(lines)
        self.wait_final(before, f"{len(lines)} lines")
        harness.wait_for(lambda: set(self.formats().values()) == {newest}, 20, f"all state in format {newest}")
        self.assertEqual(len(self.formats()), self.partitions)

    def test_a_rolling_upgrade_and_the_way_back_change_no_figure(self):
        lines = shop(self.topic, 20, 2000, self.partitions, late=0.03)
        parts = [lines[n * len(lines) // 8:(n + 1) * len(lines) // 8] for n in range(8)]
        # Some of the last minutes of the first part are held back until what they belong to is final.
        end = max(line["value"]["ts"] for line in parts[0])
        held = [line for line in parts[0][::7] if end - 480000 < line["value"]["ts"] < end - 90000]
        reader = Reader(self.redis, "many", lines, exact=False)
        reader.start()
        new, old = 5, 4
        self.speak("a", old)
        self.speak("b", old)
        self.wait_spread(("a", "b"))
        self.go_on([line for line in parts[0] if line not in held], old)
        harness.wait_for(lambda: self.final_end() > end - 90000, 30, "the first part is final")
        self.speak("c")
        self.wait_spread()
        self.kafka.produce(held)
        harness.wait_for(lambda: self.revised() > 3, 30, "corrections")
        self.go_on(parts[1], old)
        self.kpids["a"].stop()
        self.go_on(parts[2], old) # what the new one took over from the old one goes back to one
        self.speak("a")
        self.wait_spread()
        self.kpids["c"].stop()
        self.go_on(parts[3], old)
        self.kpids["b"].kill() # it may come back
        harness.wait_for(lambda: self.shards("a") == self.partitions, 30, "all shards to be taken over")
        self.go_on(parts[4], old)
        self.speak("b", old)
        self.wait_spread(("a", "b"))
        self.kpids["b"].stop()
        self.kpids["a"].wait_log("<5>all instances read state of format 5", 20)
        self.speak("b")
        self.speak("c")
        self.wait_spread()
        self.go_on(parts[5], new)
        self.kpids["c"].stop()
        self.speak("c", old)

        def ended():
            return self.kpids["c"].process.poll() is not None
        harness.wait_for(lambda: ended() or self.are_spread(("a", "b", "c")), 60, "shards of each, or the older one's end")
        if ended(): # it met what it can't read before the others had heard of it; by its next start they have
            self.assertEqual(self.kpids["c"].wait(1), 1)
            self.assertIn("was written by a newer version", self.kpids["c"].log_text())
            harness.wait_for(lambda: set(self.formats().values()) == {old}, 30, "all state written for it while it is away")
            self.kpids["c"].start()
        self.wait_spread()
        self.go_on(parts[6], old)
        self.kpids["a"].stop()
        self.kpids["b"].stop()
        self.wait_publisher(["c"])
        self.go_on(parts[7], old)
        self.settle("many", lines)
        reader.end()
        self.assertEqual(reader.wrong[:5], [], f"{len(reader.wrong)} figures that no reader should see")
        print(f"{self.same_as_whole(lines, late=True)} figures equal, {self.revised()} windows corrected", flush=True)
        self.assertGreater(self.revised(), 3)

    def test_a_shard_of_a_newer_version_is_left_alone(self):
        self.kafka.produce(shop(self.topic, 15, 100, self.partitions))
        self.start("a")
        harness.wait_for(lambda: self.final_end() > START, 30, "finals")
        self.kpids["a"].stop()
        key = next(key for key in self.headers() if key.endswith(":3}:h"))
        meta = self.redis.raw.hget(key, "meta")
        self.redis.raw.hset(key, "meta", b"\x63" + meta[1:])
        before = self.redis.raw.hget(key, "meta")
        self.start("a")
        self.assertEqual(self.kpids["a"].wait(30), 1)
        self.assertRegex(self.kpids["a"].log_text(), r"<3>shard shop/3 was written by a newer version")
        self.assertEqual(self.redis.raw.hget(key, "meta"), before)


if __name__ == "__main__":
    harness.main()
