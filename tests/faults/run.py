#!/usr/bin/python3
"""A schedule of faults, random from a seed, over instances, Redis and Kafka, and a recount of what they made of it.

    tests/faults/run.py [--seed N] [--topology standalone|sentinel|cluster] [--instances N] [--partitions N] [--rate N] [--kills N] [--rebalances N]
                        [--restarts N] [--losses N] [--brokers N] [--zombies N] [--late N]

A shop sends events all the while, one in a hundred twice. Faults come in random order:
  kill       kill -9 of an instance, at a random place of the protocol or anywhere
  rebalance  an instance leaves the group in good order and comes back
  restart    Redis restarts and has kept everything
  loss       Redis restarts without its last seconds, in which shards changed hands
  broker     Kafka restarts
  zombie     an instance stands still between building a commit and sending it, until others own its shards
  late       a commit that is under way arrives after others own the shard

Under Sentinel and in a cluster a loss is a failover to a replica that lags, restarts and late commits do not occur, and
in a cluster the slot of one shard after the other goes back and forth.

Throughout, a reader compares what is published with the recount: a final figure equals it, and none ever exceeds it.
At the end every figure equals it. Prints the faults as they come, and a line of totals. Exit 0: difference 0.
--seed repeats a schedule (not its timing); the seed of a random one is printed first.
"""

import argparse
import json
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import harness
import shop as load
import world

CONFIG = """
instance: {name}
clock: wall
tick: 100ms
kafka:
  brokers: "{brokers}"
  group: faults
  properties: {{ session.timeout.ms: 2000, heartbeat.interval.ms: 300, reconnect.backoff.max.ms: 500, fetch.wait.max.ms: 50 }}
live_timeout: 2s
redis: {{ url: "{redis}" }}
publish: {{ dead_letters: letters }}
http: {{ listen: off }}
"""

POINTS = ("commit.sending", "commit.sent", "commit.answered", "acquire.sent", "acquire.answered", "restore.finished")
KINDS = ("kills", "rebalances", "restarts", "losses", "brokers", "zombies", "late")


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--topology", choices=tuple(world.TOPOLOGIES), default="standalone")
    parser.add_argument("--instances", type=int, default=3)
    parser.add_argument("--partitions", type=int, default=12)
    parser.add_argument("--rate", type=int, default=500)
    for name, number in zip(KINDS, (20, 6, 3, 3, 2, 3, 3)):
        parser.add_argument(f"--{name}", type=int, default=number)
    options = parser.parse_args(arguments)
    if not world.TOPOLOGIES[options.topology].has_wires:
        options.restarts = options.late = 0
    if options.seed is None:
        options.seed = random.randrange(1 << 32)
    return options


class Reader(threading.Thread):
    """Reads published windows as any client would, and compares them with the recount at that moment."""

    def __init__(self, redis, shop):
        super().__init__(daemon=True)
        self.redis, self.shop = redis, shop
        self.stopped = threading.Event()
        self.finals, self.reads, self.wrong = 0, 0, []

    def run(self):
        while not self.stopped.is_set():
            try:
                found = self.read()
            except (OSError, world.harness.redis_client.RedisError):
                self.stopped.wait(0.1)
                continue
            self.compare(found)
            self.stopped.wait(0.3)

    def read(self):
        found = []
        client = self.redis.client
        for kpi in ("orders", "revenue", "buyers", "shipped"):
            tag = f"{{{kpi}:10s}}"
            for start in client.zrange(f"kpi:wins:{tag}", -4, -1):
                for group, text in client.hgetall(f"kpi:win:{tag}:{start}").items():
                    if not group.startswith("@"):
                        found.append((kpi, int(start), group, json.loads(text)))
            for group, text in client.hgetall(f"kpi:snap:{{{kpi}:all}}").items():
                if not group.startswith("@") and "@" not in group:
                    found.append((kpi, None, group, json.loads(text)))
        return found

    def compare(self, found):
        recount = self.shop.windows()
        for kpi, start, group, snapshot in found:
            self.reads += 1
            value, most = snapshot["value"] or 0, recount[kpi].get((start, group), 0)
            if value > most + 1e-9:
                self.wrong.append(f"{kpi} {start} {group}: {value} is more than {most}: {snapshot}")
            elif start is not None and snapshot["final"] and snapshot["quality"] == "ok":
                self.finals += 1
                if abs(value - most) > 1e-9:
                    self.wrong.append(f"{kpi} {start} {group}: {value} is final and not {most}: {snapshot}")


class Run:
    def __init__(self, options, kafka, redis, say=print):
        self.options, self.kafka, self.redis, self.say = options, kafka, redis, say
        self.rng = random.Random(options.seed)
        self.topic = kafka.topic("shop", partitions=options.partitions, exact=True)
        kafka.topic("letters", partitions=1, exact=True)
        self.instances = [world.Instance(f"i{n}", self.config, redis) for n in range(options.instances)]
        self.shop = None
        self.reader = None
        self.counts = {"went_back": 0, "back_over_owners": 0, "at_points": 0, "refused": 0}

    def config(self, name, address):
        return CONFIG.format(name=name, brokers=self.kafka.brokers, redis=address) + load.SOURCES.format(topic=self.topic)

    # ---- conditions

    def moving(self, deadline_s=60):
        """Until every shard's header has moved on: somebody owns, reads and commits each."""
        before = self.redis.headers()

        def moved():
            now = self.redis.headers()
            return len(now) == self.options.partitions and all(
                now[key] != before.get(key) for key in now)

        harness.wait_for(moved, deadline_s, "a commit of every shard")

    def handed_over(self, before):
        """Until some shard has another owner than then."""
        harness.wait_for(lambda: any(self.redis.headers()[key][0] != nonce for key, (nonce, _) in before.items()), 60,
                         "a shard changes hands")

    def revive(self):
        for instance in self.instances:
            if not instance.running():
                instance.disarm()
                instance.start()

    def any_running(self):
        return self.rng.choice([i for i in self.instances if i.running()])

    # ---- faults

    def kills(self):
        victim = self.any_running()
        point = self.rng.choice(POINTS + (None,) * 3)
        if point:
            if not point.startswith("commit"):  # on the way to its shards
                victim.kill()
            victim.arm(point, signal.SIGKILL, self.rng.randrange(4))
            if not victim.running():
                victim.start()
            struck = harness.holds_within(victim.struck, 5)
            self.say(f"  {victim.name} at {point}{'' if struck else ': not passed, killed anywhere'}")
            self.counts["at_points"] += struck
            victim.disarm()
        victim.kill()
        time.sleep(self.rng.random())  # how long it is away belongs to the schedule
        victim.start()

    def rebalances(self):
        self.moving()
        one = self.any_running()
        one.stop(10)
        if self.rng.random() < 0.5 and sum(i.running() for i in self.instances):
            self.moving()
        one.start()

    def restarts(self):
        self.redis.restart()

    def losses(self):
        self.redis.mark()
        marked = self.redis.headers()
        victim = self.any_running()
        victim.kill()
        victim.start()
        self.handed_over(marked)
        before = self.redis.headers()
        self.redis.lose()
        after = self.redis.headers()
        back = [key for key in before if after.get(key, (None, 0))[1] < before[key][1]]
        over = [key for key in back if after.get(key, (None, 0))[0] != before[key][0]]
        self.counts["went_back"] += len(back) > 0
        self.counts["back_over_owners"] += len(over) > 0
        self.say(f"  {len(back)} headers went back, {len(over)} of them across a change of owner")
        self.redis.recover()

    def brokers(self):
        self.kafka.stop()
        self.kafka.start()

    def zombies(self):
        self.moving()
        zombie = self.any_running()
        zombie.arm("commit.sending", signal.SIGSTOP)
        harness.wait_for(zombie.struck, 20, "it stands still")
        frozen = self.redis.headers()
        self.handed_over(frozen)
        self.moving()
        refused, gone = zombie.said("another owner has taken"), zombie.said("is taken away")
        zombie.cont()
        # It hears of Kafka or of Redis first that its shards are gone; what it sent changes nothing either way.
        harness.wait_for(lambda: zombie.said("another owner has taken") > refused or zombie.said("is taken away") > gone or
                         not zombie.running(), 60, "it lets its shards go")
        self.counts["refused"] += zombie.said("another owner has taken") - refused

    def late(self):
        self.moving()
        one = self.any_running()
        before = self.redis.headers()
        one.wire.hold()
        harness.wait_for(lambda: one.wire.held_bytes > 0, 20, "a commit is under way")
        one.kill()
        self.handed_over(before)
        one.wire.deliver()
        self.moving()
        one.start()

    # ---- the run

    def schedule(self):
        faults = [kind for kind in KINDS for _ in range(getattr(self.options, kind))]
        self.rng.shuffle(faults)
        return faults

    def go(self):
        began = time.monotonic()
        self.shop = load.Shop(self.kafka.brokers, self.topic, self.options.partitions, self.options.seed,
                              self.options.rate)
        self.revive()
        self.moving()
        self.reader = Reader(self.redis, self.shop)
        self.reader.start()
        for number, kind in enumerate(self.schedule(), 1):
            self.say(f"{time.monotonic() - began:6.1f} s  {number}: {kind}")
            getattr(self, kind)()
            self.revive()
            if self.rng.random() < 0.4:
                self.moving()
            else:
                time.sleep(self.rng.random() * 0.5)  # faults may come upon faults
            self.check_reader()
        self.moving()
        self.shop.stop()
        self.settle()
        self.reader.stopped.set()
        self.reader.join()
        self.check_reader()
        self.check_letters()
        self.check_ledger()
        self.say(f"{time.monotonic() - began:6.1f} s  {len(self.shop.events)} events, {self.shop.repeats} sent twice, {self.shop.spoiled} spoiled; "
                 f"{self.reader.reads} figures read on the way, {self.reader.finals} of them final; "
                 f"{self.counts['at_points']} kills at a point of the protocol; {self.counts['refused']} commits refused; headers went back {self.counts['went_back']} times, {self.counts['back_over_owners']} across owners; "
                 "difference 0")

    def check_reader(self):
        if self.reader.wrong:
            raise AssertionError(f"{len(self.reader.wrong)} wrong figures:\n" + "\n".join(self.reader.wrong[:5]))

    # ---- the end

    def differences(self):
        figures, amounts = self.shop.whole()
        found = []
        for (kpi, group), expected in figures.items():
            text = self.redis.client.hget(f"kpi:snap:{{{kpi}:all}}", group)
            value = json.loads(text)["value"] if text else None
            if value is None or abs(value - expected) > 1e-6:
                found.append(f"{kpi} {group}: {value} and not {expected}")
        text = self.redis.client.hget("kpi:snap:{value_p90:all}", "*")
        value, exact = json.loads(text)["value"] if text else 0, amounts[max(0, -(-len(amounts) * 9 // 10) - 1)]
        if abs(value / exact - 1) > 0.0101:
            found.append(f"value_p90: {value} and not {exact}")
        windows = self.shop.windows()
        for kpi, cells in windows.items():
            for (start, group), expected in cells.items():
                if start is None:
                    continue
                text = self.redis.client.hget(f"kpi:win:{{{kpi}:10s}}:{start}", group)
                snapshot = json.loads(text) if text else {"value": None, "final": False}
                if snapshot["value"] is None or abs(snapshot["value"] - expected) > 1e-6 or not snapshot["final"]:
                    found.append(f"{kpi} {start} {group}: {snapshot['value']} (final {snapshot['final']}), not {expected}")
        return found

    def spoiled(self):
        """(partition, offset) -> reason, of what the topic holds and kpid can't count."""
        return {(m["partition"], m["offset"]): json.loads(m["payload"] + ("" if m["payload"].endswith("}") else "}"))["why"]
                for m in self.kafka.read(self.topic) if m["payload"].startswith('{"why"')}

    def letters(self):
        found = {}
        for message in self.kafka.read("letters"):
            header = dict(zip(message["headers"][::2], message["headers"][1::2]))
            found[int(header["kpid.partition"]), int(header["kpid.offset"])] = header["kpid.reason"]
        return found

    def check_letters(self):
        expected = self.spoiled()
        if not harness.holds_within(lambda: self.letters() == expected, 30):
            found = self.letters()
            missing, more = set(expected) - set(found), set(found) - set(expected)
            raise AssertionError(f"dead letters: {len(missing)} missing, {len(more)} too many, of {len(expected)}: "
                                 f"{[(at, expected[at]) for at in sorted(missing)][:5]} {sorted(more)[:5]} "
                                 f"{[(found[at], expected[at]) for at in found if found[at] != expected.get(at)][:5]}")

    def check_ledger(self):
        """The ledger of all shards together against the producer's."""
        lines = harness.kpictl("-c", self.instances[0].config, "--json", "ledger", "--redis",
                               self.redis.url).stdout.splitlines()
        found = json.loads(lines[0])
        events, shop = self.shop.events.values(), self.shop
        future = sum(why == "future" for why in self.spoiled().values())
        expected = {"in": shop.lines, "malformed": shop.spoiled - future, "future": future, "late": 0,
                    "duplicate": shop.repeats, "filtered": self.options.partitions, "refused": 0,
                    "counted": len(events) - self.options.partitions, "lost_range": 0, "balanced": True}
        wrong = {name: (found[name], value) for name, value in expected.items() if found[name] != value}
        if wrong:
            raise AssertionError(f"the ledger has (found, expected): {wrong}")

    def settle(self):
        if not harness.holds_within(lambda: not self.differences(), 60):
            found = self.differences()
            raise AssertionError(f"{len(found)} figures differ:\n" + "\n".join(found[:10]))

    def close(self):
        if self.shop:
            self.shop.stopped.set()
        for instance in self.instances:
            instance.close()

    def logs(self):
        return "\n".join(f"---- {i.name}\n{harness.tail(i.log, 25)}" for i in self.instances if os.path.exists(i.log))


def run(options, say=print):
    broker = {"group.min.session.timeout.ms": "1000", "group.initial.rebalance.delay.ms": "0"}
    say(f"{options.topology}, seed {options.seed}")
    with harness.Kafka(private=True, properties=broker) as kafka, world.TOPOLOGIES[options.topology]() as redis:
        one = Run(options, kafka, redis, say)
        try:
            one.go()
        except BaseException:
            say(one.logs())
            say(f"failed with --seed {options.seed}")
            raise
        finally:
            one.close()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run(parse(), lambda text: print(text, flush=True))
    except AssertionError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
