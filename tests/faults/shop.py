"""The load: a shop whose customers order, pay and are served, and the exact ledger of what was sent.

Each event is written down before it is sent, so whatever kpid counts can at no time exceed what is recounted here.
Customers key the topic; of one order every event has the same customer.
"""

import json
import random
import subprocess
import sys
import threading
import time

import harness

CHANNELS = ("web", "app", "store")
GOOD, BAD = 10, 30  # moods; at a bad one the alert fires
REPEATED = 0.01  # events that are sent twice
SPOILED = 0.005  # further events that kpid can't count
WINDOW_MS = 10_000
GAP_MS = 3_000
WITHIN_MS = 3_000

SOURCES = """
sources:
  shop:
    topics: [{topic}]
    out_of_order: 1s
    allowed_lateness: 1h
    idle_timeout: 10m
    max_skew: off
    fields: {{ amount: {{ path: amount, type: number, scale: 2 }} }}
measures:
  orders: {{ from: shop, where: type == "order.created", count: , by: [channel] }}
  revenue: {{ from: shop, where: type == "order.created", sum: amount, by: [channel] }}
  buyers: {{ from: shop, where: type == "order.created", distinct: customer, by: [channel] }}
  value: {{ from: shop, where: type == "order.created", quantiles: amount }}
  shipping: {{ from: shop, by: [channel], clock: {{ key: order, start: type == "order.created", stop: type == "order.shipped" }} }}
  baskets: {{ from: shop, where: type == "order.created", distinct: order, by: [channel] }}
  mood: {{ from: shop, where: type == "mood", mean: degrees }}
  visits: {{ from: shop, where: exists(customer), session: {{ key: customer, gap: 3s }} }}
  paying: {{ from: shop, funnel: {{ key: order, within: 3s, steps: [ type == "order.created", type == "order.paid" ] }} }}
kpis:
  orders: {{ formula: orders, unit: count, windows: [{{ rolling: 10s, slide: 10s, history: 1000 }}, all], by: [channel] }}
  revenue: {{ formula: revenue, unit: EUR, windows: [{{ rolling: 10s, slide: 10s, history: 1000 }}, all], by: [channel] }}
  buyers: {{ formula: buyers, unit: count, windows: [{{ rolling: 10s, slide: 10s, history: 1000 }}, all], by: [channel] }}
  baskets: {{ formula: baskets, unit: count, windows: [all], by: [channel] }}
  mood:
    formula: mood
    unit: number
    direction: down
    windows: [{{ rolling: 1s, slide: 1s }}]
    target: 10
    alert: {{ crit: -50 %, clear: -20 %, for: 0s }}
  value_n: {{ formula: value.n, unit: count, windows: [all] }}
  value_p90: {{ formula: value.p90, unit: EUR, windows: [all] }}
  shipped: {{ formula: shipping.n, unit: count, windows: [{{ rolling: 10s, slide: 10s, history: 1000 }}, all], by: [channel] }}
  ship_time: {{ formula: shipping.sum, unit: duration, windows: [all], by: [channel] }}
  open: {{ formula: shipping.open, unit: count, windows: [all], by: [channel] }}
  visits: {{ formula: visits.n, unit: count, windows: [all] }}
  visited: {{ formula: visits.events, unit: count, windows: [all] }}
  begun: {{ formula: paying.step1, unit: count, windows: [all] }}
  paid: {{ formula: paying.step2, unit: count, windows: [all] }}
"""


class Shop:
    """Sends `rate` events a second from a thread of its own, until stop(). `mood` says in which one people are from now
    on; it is watched by an alert."""

    def __init__(self, brokers, topic, partitions, seed, rate):
        self.topic, self.partitions, self.rate = topic, partitions, rate
        self.rng = random.Random(seed)
        self.lock = threading.Lock()
        self.events = {}  # id -> event, in the order of their first sending
        self.figures = {kpi: {} for kpi in ("orders", "revenue", "buyers", "shipped")}
        self.cents, self.buyers = {}, {}
        self.repeats = self.spoiled = 0
        self.reasons = {}  # why -> how many were spoiled so
        self.lines = 0
        self.orders = 0
        self.later = []  # (ms, event): what is still to happen to orders
        self.again = []
        self.mood, self.mood_due_ms, self.moods = GOOD, 0, 0
        self.stopped = threading.Event()
        self.producer = subprocess.Popen(
            [harness.tool("tests", "lib", "kpid-test-produce"), brokers, "--default-partitioner", "murmur2_random"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=harness.die_with_parent)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    # ---- what happens

    def happen(self, now_ms):
        """The events of one instant."""
        due = [event for at, event in self.later if at <= now_ms]
        self.later = [(at, event) for at, event in self.later if at > now_ms]
        for event in due:
            event["ts"] = now_ms
        if now_ms >= self.mood_due_ms:
            self.mood_due_ms = now_ms + 100
            self.moods += 1
            due.append({"type": "mood", "ts": now_ms, "id": f"m{self.moods}", "degrees": self.mood})
        for _ in range(max(0, round(self.rate / 50 / 2.5 + self.rng.random() - 0.5))):
            self.orders += 1
            order = {"type": "order.created", "ts": now_ms, "id": f"c{self.orders}", "order": f"o{self.orders}",
                     "customer": f"u{int(self.rng.paretovariate(0.7)) % 1200}", "channel": self.rng.choice(CHANNELS),
                     "amount": self.rng.randrange(100, 20000) / 100}
            due.append(order)
            for kind, chance, slowest in (("paid", 0.8, 5000), ("shipped", 0.7, 15000)):
                if self.rng.random() < chance:
                    at = now_ms + self.rng.randrange(100, slowest)
                    self.later.append((at, order | {"type": f"order.{kind}", "id": f"{kind}{self.orders}"}))
        return due

    def send(self, event, partition=None):
        line = {"topic": self.topic, "key": event.get("customer", event["id"]), "value": event}
        if partition is not None:
            line["partition"] = partition
        self.producer.stdin.write(json.dumps(line) + "\n")
        self.lines += 1

    def spoil(self, now_ms):
        """Something that belongs to the dead letters; its text says with which reason."""
        self.spoiled += 1
        why, rest = self.rng.choice((
            ("syntax", '"type": "order.created"'),
            ("no_time", '"type": "order.created", "id": "n%d"}' % self.spoiled),
            ("wrong_type", '"type": "order.created", "id": "w%d", "ts": %d, "amount": "much", "channel": "web"}'
             % (self.spoiled, now_ms)),
            ("future", '"type": "order.created", "id": "f%d", "ts": %d}' % (self.spoiled, now_ms + 10 ** 9)),
        ))
        self.reasons[why] = self.reasons.get(why, 0) + 1
        text = f'{{"why": "{why}", {rest}'
        line = {"topic": self.topic, "key": str(self.spoiled), "raw": text}
        self.producer.stdin.write(json.dumps(line) + "\n")
        self.lines += 1

    def run(self):
        while not self.stopped.is_set():
            now_ms = int(time.time() * 1000)
            with self.lock:
                events = self.happen(now_ms)
                for event in events:
                    self.events[event["id"]] = dict(event)
                    self.note(event)
            again, self.again = [e for at, e in self.again if at <= now_ms], [p for p in self.again if p[0] > now_ms]
            for event in events:
                self.send(event)
                if self.rng.random() < SPOILED:
                    self.spoil(now_ms)
                if self.rng.random() < REPEATED:
                    self.again.append((now_ms + self.rng.randrange(8000), event))
            for event in again:
                self.send(event)
                self.repeats += 1
            self.producer.stdin.flush()
            self.stopped.wait(0.02)

    def stop(self):
        """Ends the load, and moves every partition's clock behind the last of its windows, sessions and funnels."""
        self.stopped.set()
        self.thread.join()
        end_ms = int(time.time() * 1000)
        for partition in range(self.partitions):
            event = {"type": "tick", "id": f"tick{partition}", "ts": end_ms + 25_000}
            with self.lock:
                self.events[event["id"]] = event
            self.send(event, partition)
        self.producer.stdin.close()
        acknowledged = int(self.producer.stdout.read().split()[-1])
        if self.producer.wait() or acknowledged != self.lines:
            raise AssertionError(f"{acknowledged} of {self.lines} events were acknowledged")

    # ---- the recount

    def note(self, event):
        """Adds an event to the figures of its window and of the whole, (start | None, group) -> figure."""
        if "channel" not in event:
            return
        for at in ((start, group) for start in (event["ts"] // WINDOW_MS * WINDOW_MS, None)
                   for group in ("*", event["channel"])):
            if event["type"] == "order.created":
                self.figures["orders"][at] = self.figures["orders"].get(at, 0) + 1
                cents = self.cents[at] = self.cents.get(at, 0) + round(event["amount"] * 100)
                self.figures["revenue"][at] = cents / 100
                who = self.buyers.setdefault(at, set())
                who.add(event["customer"])
                self.figures["buyers"][at] = len(who)
            elif event["type"] == "order.shipped":
                self.figures["shipped"][at] = self.figures["shipped"].get(at, 0) + 1

    def windows(self):
        """KPI -> (window start | None, group) -> figure, of all that was written down so far."""
        with self.lock:
            return {kpi: dict(cells) for kpi, cells in self.figures.items()}

    def whole(self):
        """(kpi, group) -> figure of the window `all`, and the amounts in order; once the load has ended."""
        events = [event for event in self.events.values() if "customer" in event]
        created = {e["order"]: e for e in events if e["type"] == "order.created"}
        figures = {(kpi, group): value for kpi, cells in self.figures.items()
                   for (start, group), value in cells.items() if start is None}

        def add(kpi, group, value):
            figures[kpi, group] = figures.get((kpi, group), 0) + value

        for e in events:
            for group in ("*", e["channel"]):
                if e["type"] == "order.created":
                    add("open", group, 1)
                elif e["type"] == "order.shipped":
                    add("ship_time", group, (e["ts"] - created[e["order"]]["ts"]) / 1000)
                    add("open", group, -1)
            if e["type"] == "order.paid" and e["ts"] - created[e["order"]]["ts"] <= WITHIN_MS:
                add("paid", "*", 1)
        figures["value_n", "*"] = figures["begun", "*"] = len(created)
        figures["visited", "*"] = len(events)
        figures["visits", "*"] = self.sessions(events)
        return figures, sorted(e["amount"] for e in created.values())

    @staticmethod
    def sessions(events):
        last, n = {}, 0
        for e in sorted(events, key=lambda e: e["ts"]):
            n += e["ts"] - last.get(e["customer"], -GAP_MS - 1) > GAP_MS
            last[e["customer"]] = e["ts"]
        return n


if __name__ == "__main__":
    sys.exit("this is a part of run.py")
