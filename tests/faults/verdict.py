"""What must hold at the end of a schedule: nothing differs from what the producer knows, and the schedule was what it was
to be."""

import json
import subprocess
import tempfile

import harness
import shop as load


class Verdict:
    """The end of a Run: of what it has, this reads options, kafka, redis, topic, shop, instances, counts and say."""

    def differences(self):
        figures, amounts = self.shop.whole()
        snapshots, found = {}, []

        def snapshot(key, group):
            if key not in snapshots:
                snapshots[key] = self.redis.client.hgetall(key)
            text = snapshots[key].get(group)
            return json.loads(text) if text else {"value": None, "final": False}

        def compare(kpi, group, expected, error=0.0):
            value = snapshot(f"kpi:snap:{{{kpi}:all}}", group)["value"]
            if value is None or abs(value - expected) > max(1e-6, error * expected):
                found.append(f"{kpi} {group}: {value} and not {expected}")

        for (kpi, group), expected in figures.items():
            compare(kpi, group, expected, 0.04 if kpi == "baskets" else 0)  # an estimate, its error 0.8 %
        compare("value_p90", "*", amounts[max(0, -(-len(amounts) * 9 // 10) - 1)], 0.0101)
        for kpi, cells in self.shop.windows().items():
            for (start, group), expected in cells.items():
                if start is None:
                    continue
                told = snapshot(f"kpi:win:{{{kpi}:10s}}:{start}", group)
                if told["value"] is None or abs(told["value"] - expected) > 1e-6 or not told["final"]:
                    found.append(f"{kpi} {start} {group}: {told['value']} (final {told['final']}), not {expected}")
        return found

    def records(self):
        """Writes the topic into a file for kpid-faults-recount, and behind it what else is asked of both states. Returns
        the file, and (topic, partition, offset) -> reason of what kpid can't count."""
        file = tempfile.TemporaryFile()
        file.write(b"%d\n" % self.options.partitions)
        file.flush()
        subprocess.run(["kcat", "-b", self.kafka.brokers, "-C", "-t", self.topic, "-o", "beginning", "-e", "-q",
                        "-f", "%p %o %T %S\\n%s\\n"], stdout=file, timeout=300 * harness.SLOW, check=True)
        file.seek(0)
        file.readline()
        spoiled, ends, more = {}, [0] * self.options.partitions, []
        while line := file.readline():
            partition, offset, _, size = map(int, line.split())
            text = file.read(size + 1)
            ends[partition] = max(ends[partition], offset + 1)
            if text.startswith(b'{"why": "'):
                spoiled[self.topic, partition, offset] = text.split(b'"', 4)[3].decode()
            elif text.startswith(b'{"type": "order.created"'):
                more.append((partition, json.loads(text)))
        self.ask_more(file, ends, more)
        file.seek(0)
        return file, spoiled

    @staticmethod
    def ask_more(file, ends, orders):
        """What must find equal clocks, sessions, funnels and marks in both: each order is delivered at an earlier instant
        and paid at a later one, its customer looks in between two visits, and it is sent once more."""
        file.write(b"then\n")
        for partition, order in orders:
            at = order["ts"]
            for event in (order | {"type": "order.shipped", "id": order["id"] + "s", "ts": at + 50},
                          order | {"type": "order.paid", "id": order["id"] + "p", "ts": at + load.WITHIN_MS - 100},
                          order | {"type": "look", "id": order["id"] + "l", "ts": at + load.GAP_MS // 2}, order):
                text = json.dumps(event).encode()
                file.write(b"%d %d %d %d\n%s\n" % (partition, ends[partition], event["ts"], len(text), text))
                ends[partition] += 1

    def letters(self):
        found = {}
        for message in self.kafka.read("letters"):
            header = dict(zip(message["headers"][::2], message["headers"][1::2]))
            found[header["kpid.topic"], int(header["kpid.partition"]), int(header["kpid.offset"])] = header["kpid.reason"]
        return found

    def check_letters(self):
        self.file, expected = self.records()
        if not harness.holds_within(lambda: self.letters() == expected, 60):
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
        shop, ticks = self.shop, self.options.partitions
        future = shop.reasons.get("future", 0)
        expected = {"in": shop.lines, "malformed": shop.spoiled - future, "future": future, "late": 0,
                    "duplicate": shop.repeats, "filtered": ticks, "refused": 0, "counted": len(shop.events) - ticks,
                    "lost_range": 0, "reasons": shop.reasons, "balanced": True}
        wrong = {name: (found[name], value) for name, value in expected.items() if found[name] != value}
        if wrong:
            raise AssertionError(f"the ledger has (found, expected): {wrong}")

    def check_alerts(self):
        """Each alert began once, ended once, and kept its beginning."""
        found, begun = self.transitions(), {}
        for number, (id, state, since) in enumerate(found):
            if state != ("resolved" if number % 2 else "firing") or begun.setdefault(id, since) != since:
                raise AssertionError(f"transitions: {found}")
        if len(begun) != (len(found) + 1) // 2:
            raise AssertionError(f"transitions: {found}")

    def check_state(self):
        """Sketches, clocks, sessions, funnels and marks as Redis has them, against a recount by the engine."""
        cluster = next(iter(self.redis.headers())).split("{", 1)[1].split(":", 1)[0]
        for instance in self.instances:
            instance.kill()
        with self.file as file:
            done = subprocess.run([harness.tool("tests", "faults", "kpid-faults-recount"), self.instances[0].config,
                                   self.redis.url, cluster], stdin=file, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"the state: {done.stdout}{done.stderr}")
        self.say(f"  {done.stdout.strip()}")

    def check_counts(self):
        """The schedule was what it was to be."""
        counts, losses = self.counts, self.options.losses
        counts["moves"] = getattr(self.redis, "moves", 0)
        least = {"moves": 2 * (self.options.topology == "cluster"), "owners": min(3, (losses + 1) // 2), "transitions": min(3, losses // 2), "refused": self.options.zombies}
        wrong = {name: (counts[name], number) for name, number in least.items() if counts[name] < number}
        if wrong:
            raise AssertionError(f"happened too seldom (seen, wanted): {wrong}")

    def settle(self):
        if not harness.holds_within(lambda: not self.differences(), 120):
            found = self.differences()
            raise AssertionError(f"{len(found)} figures differ:\n" + "\n".join(found[:10]))
