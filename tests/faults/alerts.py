#!/usr/bin/python3
"""An alert while everything around it dies: one id, one `since`, and each transition delivered at least once.

    tests/faults/alerts.py [--seed N] [--restarts N]

Two instances watch a temperature. While its alert fires, they are killed or stopped in turn, so that the publisher
changes; then instances die at each place of the protocol around a transition; then Redis loses a transition. Exit 0: in
the log each alert has one beginning and one end, its id and since never change, and the topic has all of it.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import harness
import world

CONFIG = """
instance: {name}
clock: wall
tick: 100ms
kafka:
  brokers: "{brokers}"
  group: alerts
  properties: {{ session.timeout.ms: 2000, heartbeat.interval.ms: 300, fetch.wait.max.ms: 50 }}
live_timeout: 2s
redis: {{ url: "{redis}" }}
publish: {{ alerts: {{ topic: notices, format: json }} }}
http: {{ listen: off }}
sources:
  rooms: {{ topics: [rooms], out_of_order: 300ms, allowed_lateness: 1h, idle_timeout: 20s, max_skew: off }}
measures:
  heat: {{ from: rooms, mean: degrees }}
kpis:
  heat:
    formula: heat
    unit: number
    direction: down
    windows: [{{ rolling: 1s, slide: 1s }}]
    target: 10
    alert: {{ crit: -50 %, clear: -20 %, for: 0s }}
"""

PARTITIONS = 4
POINTS = ("alerts.sending", "alerts.sent", "alerts.answered", "notice.sent", "notice.delivered", "notice.confirmed")
HOT, COOL = 30, 10


class Rooms(threading.Thread):
    """Sends the present temperature of every partition, all the time."""

    def __init__(self, brokers):
        super().__init__(daemon=True)
        self.degrees = COOL
        self.stopped = threading.Event()
        self.producer = subprocess.Popen([harness.tool("tests", "lib", "kpid-test-produce"), brokers], text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         preexec_fn=harness.die_with_parent)

    def run(self):
        number = 0
        while not self.stopped.wait(0.05):
            for partition in range(PARTITIONS):
                number += 1
                event = {"type": "heat", "id": f"e{number}", "ts": int(time.time() * 1000), "degrees": self.degrees}
                self.producer.stdin.write(json.dumps({"topic": "rooms", "partition": partition, "value": event}) + "\n")
            self.producer.stdin.flush()
        self.producer.stdin.close()
        self.producer.wait()


class Watch:
    def __init__(self, options, kafka, redis, say):
        self.options, self.kafka, self.redis, self.say = options, kafka, redis, say
        self.rng = random.Random(options.seed)
        kafka.topic("rooms", partitions=PARTITIONS, exact=True)
        kafka.topic("notices", partitions=1, exact=True)
        self.instances = [world.Instance(f"i{n}", self.config, redis) for n in range(2)]
        self.rooms = Rooms(kafka.brokers)
        self.known = {}  # id -> since

    def config(self, name, address):
        return CONFIG.format(name=name, brokers=self.kafka.brokers, redis=address)

    # ---- what is seen

    def active(self):
        return {id: json.loads(text) for id, text in self.redis.client.hgetall("kpi:{alert}:active").items()}

    def log(self):
        return [json.loads(fields["json"]) for _, fields in self.redis.client.xrange("kpi:{alert}:log")]

    def publisher(self):
        return self.redis.client.hget("kpi:{alert}:h", "nonce")

    def published(self, deadline_s=30):
        """Until a window is final that ended after now."""
        now_ms = time.time() * 1000
        harness.wait_for(lambda: json.loads(self.redis.client.hget("kpi:snap:{heat:1s}", "*@final"))["end_ms"] > now_ms,
                         deadline_s, "a final window")

    def firing(self):
        def one():
            found = [a for a in self.active().values() if a["state"] == "firing"]
            return found[0] if len(found) == 1 else None

        alert = harness.wait_for(one, 40, "the alert fires")
        since = self.known.setdefault(alert["id"], alert["since_ms"])
        assert since == alert["since_ms"], f"since was {since} and is {alert['since_ms']}"
        return alert

    def quiet(self):
        harness.wait_for(lambda: not self.active(), 40, "the alert is resolved")

    # ---- what is done

    def revive(self):
        for instance in self.instances:
            if not instance.running():
                instance.disarm()
                instance.start()

    def restarts(self):
        """The publisher changes while the alert fires."""
        self.rooms.degrees = HOT
        first, changes = self.firing(), 0
        for _ in range(self.options.restarts):
            before = self.publisher()
            victim = self.instances[_ % 2]
            if self.rng.random() < 0.5:
                victim.kill()
            else:
                victim.stop(10)
            if self.rng.random() < 0.5:
                self.published()
            victim.start()
            self.published()
            changes += self.publisher() != before
            alert = self.firing()
            assert (alert["id"], alert["since_ms"]) == (first["id"], first["since_ms"]), f"{alert} was {first}"
        self.rooms.degrees = COOL
        self.quiet()
        self.say(f"{self.options.restarts} restarts, {changes} changes of publisher: alert {first['id']} is the same")

    def points(self):
        """Instances die at each place around the beginning and the end of an alert."""
        for point in POINTS:
            for degrees, seen in ((HOT, self.firing), (COOL, self.quiet)):
                self.published()
                for instance in self.instances:
                    instance.arm(point, signal.SIGKILL)
                self.rooms.degrees = degrees
                harness.wait_for(lambda: any(i.struck() for i in self.instances), 40, f"{point} is passed")
                harness.wait_for(lambda: not all(i.running() for i in self.instances), 10, "it dies")
                for instance in self.instances:
                    instance.disarm()
                self.revive()
                seen()
        self.say(f"{2 * len(POINTS)} kills around transitions, at {len(POINTS)} places")

    def loss(self):
        """Redis loses a beginning, then an end, which were delivered: each is made again, as the same one."""
        for degrees, state, seen in ((HOT, "firing", self.firing), (COOL, "resolved", self.quiet)):
            self.published()
            before = len(self.log())
            self.redis.mark(world.ALERT)
            self.rooms.degrees = degrees
            first = harness.wait_for(lambda: self.log()[before:], 40, "a transition")[0]
            harness.wait_for(lambda: first["id"] in self.delivered(state), 20, "it is delivered")
            self.redis.lose()
            again = harness.wait_for(lambda: self.log()[before:], 40, "the transition again")[0]
            for name in ("id", "state", "since_ms"):
                assert again[name] == first[name], f"{again} was {first}"
            seen()
        self.say(f"a beginning and an end that were lost came again, of {first['id']}")

    # ---- the end

    def delivered(self, state):
        """id -> since of what the topic has of that state."""
        found = {}
        for message in self.kafka.read("notices"):
            notice = json.loads(message["payload"])
            if notice["state"] == state:
                assert found.setdefault(notice["id"], notice["since_ms"]) == notice["since_ms"], notice
        return found

    def check(self):
        transitions = {}
        for entry in self.log():
            transitions.setdefault(entry["id"], []).append(entry["state"])
        for id in self.known:
            assert transitions.get(id) == ["firing", "resolved"], f"{id}: {transitions.get(id)}"
        assert set(transitions) == set(self.known), f"{sorted(transitions)} were logged, {sorted(self.known)} seen"
        for state in ("firing", "resolved"):
            harness.wait_for(lambda: set(self.delivered(state)) == set(self.known), 30, f"all {state} are delivered")
        assert self.delivered("firing") == self.known
        self.say(f"{len(self.known)} alerts: each has one beginning and one end, and both were delivered")

    def go(self):
        self.rooms.start()
        self.revive()
        harness.wait_for(lambda: self.redis.client.hget("kpi:snap:{heat:1s}", "*@final"), 40, "a figure")
        self.restarts()
        self.points()
        self.loss()
        self.check()

    def close(self):
        self.rooms.stopped.set()
        for instance in self.instances:
            instance.close()


def run(options, say=print):
    broker = {"group.min.session.timeout.ms": "1000", "group.initial.rebalance.delay.ms": "0"}
    say(f"seed {options.seed}")
    with harness.Kafka(private=True, properties=broker) as kafka, world.Redis() as redis:
        watch = Watch(options, kafka, redis, say)
        try:
            watch.go()
        except BaseException:
            for instance in watch.instances:
                say(f"---- {instance.name}\n{harness.tail(instance.log, 25)}")
            raise
        finally:
            watch.close()


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--restarts", type=int, default=50)
    return parser.parse_args(arguments)


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
