#!/usr/bin/python3
"""Look-ups between a real Kafka and a real Redis: who waits and who does not, order, outages, files that change."""

import json
import os
import re
import signal
import sys
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import harness

START = 1_700_000_000_000
PARTITIONS = 4
TEAMS = ["red", "green", "blue"]

# Order counts here: an event that comes behind a later one is late at once.
CONFIG = """
clock: events
tick: 50ms
kafka: {{ brokers: "{brokers}", group: {topic}, properties: {{ session.timeout.ms: 6000 }} }}
redis: {{ url: "redis://{redis}" }}
http: {{ listen: "127.0.0.1:{port}" }}
lookups:
  agents: {{ redis: "ref:agents:{{}}", url: "redis://{agents}", fields: {{ rate: number }}, {more} }}
  tiers: {{ redis: ref:tiers, url: "redis://{tiers}", missing: unknown }}
sources:
  shop:
    topics: [{topic}]
    out_of_order: 0s
    allowed_lateness: 1s
    max_future: 500ms
    idle_timeout: 1s
    max_skew: off
    join: {{ agents: agent, tiers: customer }}
measures:
  calls: {{ from: shop, count: }}
  cost: {{ from: shop, where: agents.team != "blue", sum: seconds * agents.rate }}
kpis:
  calls: {{ formula: calls, unit: count, windows: [all], by: [agents.team, tiers.value] }}
  cost: {{ formula: cost, windows: [all] }}
"""


def metric(text, name, **labels):
    """The sum of the samples with these labels."""
    total = 0.0
    for line in text.splitlines():
        match = re.match(r"(\w+)(?:\{(.*)\})? (\S+)$", line)
        if match and match[1] == name and all(f'{k}="{v}"' in (match[2] or "") for k, v in labels.items()):
            total += float(match[3])
    return total


def fill(client):
    for n in range(200):
        client.hset(f"ref:agents:a{n}", mapping={"team": TEAMS[n % 3], "rate": f"{n % 7}.25"})
        if n % 4:
            client.hset("ref:tiers", f"c{n}", "gold" if n % 2 else "new")


def event(topic, partition, n, **fields):
    value = {"type": "call", "id": f"{partition}-{n}", "ts": START + n * 10_000, "seconds": n % 11} | fields
    return {"topic": topic, "partition": partition, "key": str(partition), "value": value}


def expected(lines):
    """Calls by team and tier, and the cost, counted again."""
    calls, cost = {}, 0
    for line in lines:
        value = line["value"]
        agent, customer = value.get("agent"), value.get("customer")
        team = TEAMS[int(agent[1:]) % 3] if agent else ""
        tier = "unknown"
        if customer and int(customer[1:]) < 200 and int(customer[1:]) % 4:
            tier = "gold" if int(customer[1:]) % 2 else "new"
        calls[f"{team}|{tier}"] = calls.get(f"{team}|{tier}", 0) + 1
        if agent and team != "blue":
            cost += value["seconds"] * (int(agent[1:]) % 7 * 100 + 25)
    return calls, cost / 100


class Pages(harness.TestCase):
    def setUp(self):
        self.port = harness.free_port()

    def page(self, path="/metrics"):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5).read().decode()
        except urllib.error.HTTPError as error:
            return error.read().decode()
        except OSError:
            return ""


class Lookup(Pages):
    def config(self, kafka, redis, topic, agents, tiers, more=""):
        return CONFIG.format(brokers=kafka.brokers, redis=redis.address, topic=topic, port=self.port,
                             agents=agents.address, tiers=tiers.address, more=more)

    def figures(self, client):
        """Final totals by group, and the cost."""
        calls = {field[:-len("@final")]: json.loads(text)["value"]
                 for field, text in client.hgetall("kpi:snap:{calls:all}").items()
                 if field.endswith("@final") and not field.startswith("*")}
        cost = client.hget("kpi:snap:{cost:all}", "*@final")
        return calls, json.loads(cost)["value"] if cost else None

    def settle(self, kpid, client, lines):
        harness.wait_for(lambda: kpid.process.poll() is None and self.figures(client) == expected(lines), 60,
                         "every final figure")
        page = self.page()
        self.assertEqual(metric(page, "kpid_events_total", **{"class": "counted"}), len(lines))
        self.assertEqual(metric(page, "kpid_events_total"), len(lines))  # none late, so none out of order
        self.assertEqual(metric(page, "kpid_waiting_events"), 0)

    def lines(self, topic, per_shard):
        """Shard 0 asks for agents and customers by turns; the others only for customers, or for nothing."""
        lines = []
        for n in range(per_shard):
            lines.append(event(topic, 0, n, **({"agent": f"a{n % 200}"} if n % 2 == 0 else {"customer": f"c{n % 250}"})))
            lines.append(event(topic, 1, n, customer=f"c{n % 250}"))
            lines.append(event(topic, 2, n))
            lines.append(event(topic, 3, n, customer=f"c{n % 20}"))
        return lines

    def test_one_shard_waits_and_the_others_do_not(self):
        """Answers about agents are held from the first question on: three shards are read to their end meanwhile, and
        the fourth is taken in its order once they come, 200 ms late each time."""
        with harness.Kafka() as kafka, harness.Redis() as redis, harness.Redis() as table, \
                harness.Delay(table.port, 0.2, hold=b"HMGET") as agents:
            fill(table.client)
            topic = kafka.topic("calls", partitions=PARTITIONS)
            lines = self.lines(topic, 1500)
            kafka.produce(lines)
            others = sum(line["partition"] != 0 for line in lines)
            with harness.Kpid(self.config(kafka, redis, topic, agents, table, "timeout: 10m")) as kpid:
                harness.wait_for(lambda: metric(self.page(), "kpid_events_total") == others, 60,
                                 "three shards read to their end")
                harness.wait_for(lambda: metric(self.page(), "kpid_lookup_asking", lookup="agents") == 100, 30,
                                 "all agents asked ahead")
                page = self.page()
                self.assertEqual(metric(page, "kpid_events_total"), others)  # not one of the shard that waits
                self.assertEqual(metric(page, "kpid_waiting_events"), len(lines) - others)
                self.assertIsNone(redis.client.hget("kpi:snap:{calls:all}", "*@final"))
                agents.release()
                self.settle(kpid, redis.client, lines)
                page = self.page()
                self.assertEqual(metric(page, "kpid_lookup_late_total"), 0)
                self.assertEqual(metric(page, "kpid_lookup_asked_total", lookup="agents"), 100)  # each agent once
                kpid.stop()

    def test_a_queue_that_is_full_loses_nothing(self):
        """max_waiting of a few events: reading stops and goes on many times."""
        with harness.Kafka() as kafka, harness.Redis() as redis, harness.Redis() as table, \
                harness.Delay(table.port, 0.02) as agents:
            fill(table.client)
            topic = kafka.topic("calls", partitions=PARTITIONS)
            lines = self.lines(topic, 600)
            kafka.produce(lines)
            config = self.config(kafka, redis, topic, agents, table, "refresh: 100ms, max_keys: 7")
            config = config.replace("max_skew: off", "max_skew: off\n    max_waiting: 4KiB")
            with harness.Kpid(config) as kpid:
                self.settle(kpid, redis.client, lines)
                kpid.stop()

    def test_killed_while_it_waits(self):
        with harness.Kafka() as kafka, harness.Redis() as redis, harness.Redis() as table, \
                harness.Delay(table.port, hold=b"HMGET") as agents:
            fill(table.client)
            topic = kafka.topic("calls", partitions=PARTITIONS)
            lines = self.lines(topic, 300)
            kafka.produce(lines)
            config = self.config(kafka, redis, topic, agents, table, "timeout: 10m")
            config = config.replace("redis: {", "redis: { timeout: 10m,", 1)
            with harness.Kpid(config) as kpid:
                others = sum(line["partition"] != 0 for line in lines)
                harness.wait_for(lambda: metric(self.page(), "kpid_events_total") == others, 60, "the other shards")
                kpid.kill()
                agents.release()
                kpid.start()
                self.settle(kpid, redis.client, lines)
                kpid.stop()

    def test_without_a_connection(self):
        """`wait`: the shard that needs it stands still, is said to, and goes on once there is one."""
        with harness.Kafka() as kafka, harness.Redis() as redis, harness.Redis() as agents, harness.Redis() as tiers:
            fill(tiers.client)
            agents.stop()
            topic = kafka.topic("calls", partitions=PARTITIONS)
            lines = self.lines(topic, 200)
            kafka.produce(lines)
            with harness.Kpid(self.config(kafka, redis, topic, agents, tiers, "timeout: 50ms")) as kpid:
                others = sum(line["partition"] != 0 for line in lines)
                harness.wait_for(lambda: metric(self.page(), "kpid_events_total") == others, 60, "the other shards")
                self.assertRegex(self.page("/readyz"), r"look-up agents down, \d+ events wait for look-ups")
                self.assertEqual(metric(self.page(), "kpid_lookup_ok", lookup="agents"), 0)
                agents.start()
                fill(agents.client)
                kpid.wait_log("look-up agents: redis: connected", 30)
                # The server came up empty: keys asked for before they were there are asked again within a minute.
                harness.wait_for(lambda: metric(self.page(), "kpid_events_total") == len(lines), 60, "every event")
                self.assertEqual(metric(self.page(), "kpid_lookup_late_total"), 0)
                kpid.stop()


FILE_CONFIG = """
clock: events
tick: 50ms
kafka: {{ brokers: "{brokers}", group: {topic} }}
redis: {{ url: "redis://{redis}" }}
http: {{ listen: "127.0.0.1:{port}" }}
lookups:
  customers: {{ file: customers.csv, key: id }}
sources:
  shop: {{ topics: [{topic}], idle_timeout: 200ms, max_skew: off, join: {{ customers: customer }} }}
measures:
  calls: {{ from: shop, {where} count: }}
kpis:
  calls: {{ formula: calls, unit: count, windows: [all], by: [customers.tag] }}
"""


class File(Pages):
    """Tables in a file that changes while the daemon runs, and what replay makes of it."""

    def write(self, kpid, text):
        path = os.path.join(kpid.dir, "customers.csv")
        with open(path + ".next", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(path + ".next", path)

    def calls(self, client):
        return {field: json.loads(text)["value"] for field, text in client.hgetall("kpi:snap:{calls:all}").items()
                if not field.startswith(("*", "@")) and not field.endswith("@final")}

    def test_a_file_that_changes(self):
        with harness.Kafka() as kafka, harness.Redis() as redis:
            topic = kafka.topic("calls", partitions=1)
            config = FILE_CONFIG.format(brokers=kafka.brokers, redis=redis.address, topic=topic, port=self.port, where="")
            with harness.Kpid(config, start=False) as kpid:
                self.write(kpid, "id,tag\n7,gold\n")
                kpid.start()
                kafka.produce([event(topic, 0, n, customer=7) for n in range(10)])
                harness.wait_for(lambda: self.calls(redis.client) == {"gold": 10}, 30, "the first table's groups")

                self.write(kpid, "id,tag\n7,silver\n8\n")
                kpid.wait_log(r"(?s)the new file is refused.*customers.csv:3:1: error: 1 cells, and 2 in the header", 30)
                self.assertEqual(metric(self.page(), "kpid_lookup_ok"), 0)
                self.assertIn("look-up customers broken", self.page("/readyz"))
                kafka.produce([event(topic, 0, n, customer=7) for n in range(10, 15)])
                harness.wait_for(lambda: self.calls(redis.client) == {"gold": 15}, 30, "the old table")

                kpid.signal(signal.SIGHUP)  # the file is part of the configuration: refused as well
                kpid.wait_log("reload refused, the old configuration stays: 1 faults", 30)

                self.write(kpid, "id,tag\n7,silver\n")
                kpid.wait_log("look-up customers: read again", 30)
                self.assertEqual(metric(self.page(), "kpid_lookup_ok"), 1)
                self.assertGreaterEqual(metric(self.page(), "kpid_lookup_age_seconds"), 0)
                kafka.produce([event(topic, 0, n, customer=7) for n in range(15, 20)])
                harness.wait_for(lambda: self.calls(redis.client) == {"gold": 15, "silver": 5}, 30, "the new table")

                self.write(kpid, "id,tag\n7,bronze\n")
                kpid.signal(signal.SIGHUP)
                kpid.wait_log("reload: ", 30)
                kafka.produce([event(topic, 0, n, customer=7) for n in range(20, 30)])
                harness.wait_for(lambda: self.calls(redis.client) == {"gold": 15, "silver": 5, "bronze": 10}, 30,
                                 "the table as of the reload, and the figures before it")
                kpid.stop()

    def test_faults_end_the_start(self):
        config = FILE_CONFIG.format(brokers="127.0.0.1:1", redis="127.0.0.1:1", topic="t", port=self.port, where="")
        with harness.Kpid(config, start=False) as kpid:
            self.write(kpid, "id,tagg\n7,gold\n")
            kpid.start()
            self.assertEqual(kpid.wait(), 3)
            self.assertRegex(kpid.log_text(), r"kpid.yaml:14:\d+: error: .*customers.csv has no column `tag`")
            done = harness.kpictl("-c", kpid.config, "check", check=False)
            self.assertEqual(done.returncode, 3)
            self.assertIn("advice: its header has id, tagg", done.stderr)

    def test_replay(self):
        with harness.Redis() as redis:
            config = FILE_CONFIG.format(brokers="127.0.0.1:1", redis="127.0.0.1:1", topic="t", port=self.port,
                                        where='where: customers.tag == "gold",')
            lines = "".join(json.dumps(event("t", 0, n, customer=n % 3)) + "\n" for n in range(30))
            with harness.Kpid(config, start=False) as kpid:
                self.write(kpid, "id,tag\n0,gold\n1,new\n")
                done = harness.kpictl("-c", kpid.config, "replay", "-", stdin=lines)
                self.assertRegex(done.stdout, r"calls +all +10 ")
                self.assertRegex(done.stdout, "filtered 20 .* counted 10 ")
                kpid.rewrite(config.replace("file: customers.csv, key: id", 'redis: "ref:{}"'))
                done = harness.kpictl("-c", kpid.config, "replay", "-", stdin=lines, check=False)
                self.assertEqual(done.returncode, 2)
                self.assertIn("add --redis URL", done.stderr)
                redis.client.hset("ref:0", "tag", "gold")
                redis.client.hset("ref:1", "tag", "new")
                done = harness.kpictl("-c", kpid.config, "--redis", f"redis://{redis.address}", "replay", "-",
                                      stdin=lines)
                self.assertRegex(done.stdout, r"calls +all +10 ")
                shown = json.loads(harness.kpictl("-c", kpid.config, "explain", "calls", "--json").stdout)
                self.assertEqual(shown["joins"], [{"source": "shop", "lookup": "customers", "by": "customer",
                                                   "fields": ["customers.tag"]}])


if __name__ == "__main__":
    harness.main()
