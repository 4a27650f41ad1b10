"""A steady load of orders with an exact ledger, and figures held against a recount of it."""

import json
import threading
from collections import defaultdict

import harness

MINUTE = 60000
START = 28333333 * MINUTE

CONFIG = """
clock: events
tick: 50ms
kafka: {{ brokers: "{brokers}", group: {name}, properties: {{ session.timeout.ms: 6000 }} }}
redis: {{ url: "{url}", prefix: {name}, max_uncommitted: 5000, timeout: 1s }}
http: {{ listen: off }}
sources:
  shop: {{ topics: [{topic}], out_of_order: 10s, allowed_lateness: 1h, idle_timeout: 300ms, max_skew: off }}
measures:
  orders: {{ from: shop, count: }}
  revenue: {{ from: shop, sum: amount }}
  buyers: {{ from: shop, distinct: user }}
kpis:
  orders: {{ formula: orders, windows: [1m, all], by: [channel] }}
  revenue: {{ formula: revenue, windows: [1m, all], by: [channel] }}
  buyers: {{ formula: buyers, windows: [1m, all] }}
"""


def order(topic, n, partitions):
    """The n-th order; half a second lies between two of them. One in fifty comes twice (see Orders)."""
    value = {"type": "order", "id": f"o{n}", "ts": START + n * 500, "channel": ("web", "app", "store")[n % 3],
             "user": f"u{n % 97}", "amount": n % 89 + 1}
    return {"topic": topic, "partition": n % partitions, "key": f"o{n}", "value": value}


class Orders:
    """Sends orders in the background until stopped, so many at a time; `sent` says how many are acknowledged. Offsets
    are known, so that duplicates (same id, one in fifty) don't count. Used with `with`."""

    def __init__(self, kafka, topic, partitions, batch=40, duplicates=True):
        self.kafka = kafka
        self.topic = topic
        self.partitions = partitions
        self.batch = batch
        self.duplicates = duplicates
        self.sent = 0
        self._stop = threading.Event()
        self._thread = None
        self._failure = None

    def send(self, n):
        """So many more, in this thread."""
        lines = []
        for number in range(self.sent, self.sent + n):
            lines.append(order(self.topic, number, self.partitions))
            if self.duplicates and number % 50 == 0:
                lines.append(lines[-1])
        self.kafka.produce(lines)
        self.sent += n

    def _run(self):
        try:
            while not self._stop.wait(0.1):  # the pace, about 300 a second
                self.send(self.batch)
        except Exception as error:
            self._failure = error

    def start(self):
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self):
        if self._thread:
            self._stop.set()
            self._thread.join()
            self._thread = None
        if self._failure:
            raise self._failure

    def wait_sent(self, more, deadline_s=60):
        """Waits until so many more have been sent."""
        end = self.sent + more
        harness.wait_for(lambda: self._failure or self.sent >= end, deadline_s, f"{end} orders sent")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        if self._thread:
            self._thread.join()

    def expected(self):
        """(KPI, window start or None for `all`, group or *) -> value."""
        count, revenue, users = defaultdict(int), defaultdict(int), defaultdict(set)
        for number in range(self.sent):
            value = order(self.topic, number, self.partitions)["value"]
            minute = value["ts"] // MINUTE * MINUTE
            for start in (minute, None):
                users[start].add(value["user"])
                for group in ("*", value["channel"]):
                    count[start, group] += 1
                    revenue[start, group] += value["amount"]
        found = {("orders", *key): n for key, n in count.items()}
        found |= {("revenue", *key): n for key, n in revenue.items()}
        found |= {("buyers", start, "*"): len(names) for start, names in users.items()}
        return found


def figures(client, prefix):
    """What readers find of these: the same keys -> value, finals only."""
    found = {}
    for kpi in ("orders", "revenue", "buyers"):
        for start in client.zrange(f"{prefix}:wins:{{{kpi}:1m}}", 0, -1):
            for field, text in client.hgetall(f"{prefix}:win:{{{kpi}:1m}}:{start}").items():
                one = json.loads(text)
                if not field.startswith("@") and one["final"]:
                    found[kpi, int(start), field] = one["value"]
        for field, text in client.hgetall(f"{prefix}:snap:{{{kpi}:all}}").items():
            if field.endswith("@final"):
                found[kpi, None, field.removesuffix("@final")] = json.loads(text)["value"]
    return found


def wait_equal(client, prefix, orders, deadline_s=60):
    """Waits until what readers find is the recount of all that was sent: every whole minute but those at the end that
    no event has closed and those that history does not keep, and the totals. Distinct counts are estimates: exact at these sizes, within one of a hundred.
    Returns how many figures were compared."""
    expected = orders.expected()
    closed = START + orders.sent * 500 - 2 * MINUTE
    expected = {key: value for key, value in expected.items()
                if key[1] is None or closed - 100 * MINUTE < key[1] <= closed}

    def look():
        found = figures(client(), prefix)
        differ = []
        for key, value in expected.items():
            near = 0.02 * value if key[0] == "buyers" else 1e-9
            if key not in found or abs(found[key] - value) > near:
                differ.append((key, value, found.get(key)))
        assert not differ, (len(differ), differ[:4])
        return len(expected)

    return harness.wait_for(look, deadline_s, "figures that equal the recount")
