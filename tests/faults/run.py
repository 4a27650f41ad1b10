#!/usr/bin/python3
"""A schedule of faults, random from a seed, over instances, Redis and Kafka, and a recount of what they made of it.

    tests/faults/run.py [--seed N] [--topology standalone|sentinel|cluster] [--instances N] [--partitions N] [--rate N] [--kills N] [--rebalances N]
                        [--restarts N] [--losses N] [--brokers N] [--zombies N] [--late N]

A shop sends events all the while, one in a hundred twice. Faults come in random order:
  kill       kill -9 of an instance, at a random place of the protocol or anywhere
  rebalance  an instance leaves the group in good order and comes back
  restart    Redis restarts and has kept everything
  loss       Redis restarts without its last seconds, in which shards changed hands, or an alert began or ended
  broker     Kafka restarts
  zombie     an instance stands still between building a commit and sending it, until others own its shards
  late       a commit that is under way arrives after others own the shard

Under Sentinel and in a cluster a loss is a failover to a replica that lags and a restart one to a replica that has all;
restarts and late commits occur there only where they are asked for. In a cluster the slot of one shard after the other
goes back and forth.

Throughout, a reader compares what is published with the recount: a final figure equals it, and none ever exceeds it.
At the end every figure equals it, the ledger by class and reason, the dead letters by place, and the state itself: what
instances left in Redis is held against the same events counted without a break (kpid-faults-recount). Prints the faults
as they come, and a line of totals. Exit 0: difference 0, and all that was to happen did: headers went back over a
change of owner and over a transition at least three times each (half of the losses, if they are fewer), and at least as
many commits were refused as there were zombies.
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
import verdict
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
BROKER = {"group.min.session.timeout.ms": "1000", "group.initial.rebalance.delay.ms": "0"}
KINDS = ("kills", "rebalances", "restarts", "losses", "brokers", "zombies", "late")


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--topology", choices=tuple(world.TOPOLOGIES), default="standalone")
    parser.add_argument("--instances", type=int, default=3)
    parser.add_argument("--partitions", type=int, default=12)
    parser.add_argument("--rate", type=int, default=500)
    for name in KINDS:
        parser.add_argument(f"--{name}", type=int)
    options = parser.parse_args(arguments)
    single = world.TOPOLOGIES[options.topology].has_wires
    for name, number in zip(KINDS, (20, 6, 3 if single else 0, 3, 2, 3, 3 if single else 0)):
        if getattr(options, name) is None:
            setattr(options, name, number)
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
        try:
            while not self.stopped.is_set():
                self.look()
                self.stopped.wait(0.3)
        except Exception as error:  # a reader that ended has not read to the end
            self.wrong.append(f"the reader: {error!r}")
            raise

    def look(self):
        try:
            found = self.read()
        except (OSError, harness.redis_client.RedisError):
            return
        self.compare(found)

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


class Run(verdict.Verdict):
    def __init__(self, options, kafka, redis, say=print):
        self.options, self.kafka, self.redis, self.say = options, kafka, redis, say
        self.rng = random.Random(options.seed)
        self.topic = kafka.topic("shop", partitions=options.partitions, exact=True)
        kafka.topic("letters", partitions=1, exact=True)
        self.instances = [world.Instance(f"i{n}", self.config, redis, options.late > 0) for n in range(options.instances)]
        self.shop = None
        self.reader = None
        self.counts = {"back": 0, "owners": 0, "transitions": 0, "at_points": 0, "refused": 0, "losses": 0}

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

    def transitions(self):
        """(id, state, since) of all that the log of alerts has."""
        entries = [json.loads(fields["json"]) for _, fields in self.redis.client.xrange("kpi:{alert}:log")]
        return [(entry["id"], entry["state"], entry["since_ms"]) for entry in entries]

    def firing(self):
        found = self.transitions()
        return bool(found) and found[-1][1] == "firing"

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
        self.counts["losses"] += 1
        if self.counts["losses"] % 2:
            self.lose_owners()
        else:
            self.lose_transition()

    def lose_owners(self):
        """Redis loses that a shard changed hands."""
        marked = self.redis.mark(self.rng.choice(sorted(self.redis.headers())))
        shards = [key for key in marked if key != world.ALERT]

        def over():
            now = self.redis.headers()
            return any(now[key][0] != marked[key][0] for key in shards if key in now)

        for victim in self.rng.sample(self.instances, len(self.instances)):  # in a cluster not all have some of these
            victim.kill()
            victim.start()
            if harness.holds_within(over, 10):
                break
        self.lose(marked)

    def lose_transition(self):
        """Redis loses that an alert began or ended: it does so again, as the same one."""
        bad = self.shop.mood == load.BAD
        harness.wait_for(lambda: self.firing() == bad, 60, "the alert agrees with the mood")
        known = self.transitions()
        marked = self.redis.mark(world.ALERT)
        self.shop.mood = load.GOOD if bad else load.BAD
        made = harness.wait_for(lambda: self.transitions()[len(known):], 60, "a transition")
        back = self.lose(marked)
        harness.wait_for(lambda: self.transitions()[len(known):], 60, "the transition again")
        again = self.transitions()[len(known):]
        if again != made:
            raise AssertionError(f"what was {made} came again as {again}")
        self.counts["transitions"] += world.ALERT in back
        self.say(f"  {made[0][1]} was lost, and came again as the same")

    def lose(self, marked):
        before = self.redis.headers(alert=True)
        self.redis.lose()
        back = [key for key in marked if marked[key][1] < before.get(key, (None, 0))[1]]
        over = [key for key in back if key != world.ALERT and marked[key][0] != before[key][0]]
        self.counts["back"] += len(back) > 0
        self.counts["owners"] += len(over) > 0
        self.say(f"  {len(back)} headers went back{', that of alerts too' if world.ALERT in back else ''}; "
                 f"{len(over)} of them across a change of owner")
        self.redis.recover()
        return back

    def brokers(self):
        self.kafka.stop()
        self.kafka.start()

    def zombies(self):
        for _ in range(5):
            self.moving()
            zombie = self.any_running()
            zombie.arm("commit.sending", signal.SIGSTOP)
            harness.wait_for(zombie.struck, 20, "it stands still")
            self.handed_over(self.redis.headers())
            self.moving()  # all that was its own has another owner
            refused = zombie.said("another owner has taken")
            zombie.cont()
            if harness.holds_within(lambda: zombie.said("another owner has taken") > refused, 15):
                break
            # Its connection was lost meanwhile, so that nothing of what it sent was answered: another one.
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

    def begin(self):
        self.shop = load.Shop(self.kafka.brokers, self.topic, self.options.partitions, self.options.seed,
                              self.options.rate)

    def go(self):
        began = time.monotonic()
        self.begin()
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
        self.check_alerts()
        self.check_state()
        self.check_counts()
        shop, reader, counts = self.shop, self.reader, self.counts
        self.say(f"{time.monotonic() - began:6.1f} s  {len(shop.events)} events, {shop.repeats} sent twice, {shop.spoiled} spoiled; "
                 f"{reader.reads} figures read on the way, {reader.finals} of them final; {counts['at_points']} kills at a "
                 f"point of the protocol; {counts['refused']} commits refused; headers went back {counts['back']} times, "
                 f"{counts['owners']} across owners, {counts['transitions']} across a transition; "
                 + (f"{counts['moves']} slots moved; " if counts["moves"] else "") + "difference 0")

    def check_reader(self):
        if self.reader.wrong:
            raise AssertionError(f"{len(self.reader.wrong)} wrong figures:\n" + "\n".join(self.reader.wrong[:5]))

    def close(self):
        if self.shop:
            self.shop.stopped.set()
        for instance in self.instances:
            instance.close()

    def logs(self):
        return "\n".join(f"---- {i.name}\n{harness.tail(i.log, 400)}" for i in self.instances if os.path.exists(i.log))


def run(options, say=print):
    say(f"{options.topology}, seed {options.seed}")
    with harness.Kafka(private=True, properties=BROKER) as kafka, world.TOPOLOGIES[options.topology]() as redis:
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
