#!/usr/bin/python3
"""kpid and kpictl on a Redis Cluster: slots of shards are moved back and forth under load, and masters fail; figures
equal the recount."""
# alone: failovers are a matter of seconds

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import harness
import harness_redis
import recount

PARTITIONS = 6


class _ReadOnly:
    """A replica that answers reads of its own data, on a connection of its own."""

    def __init__(self, node):
        self.client = harness.redis_client.Redis(port=node.port, decode_responses=True, single_connection_client=True)
        self.client.execute_command("READONLY")


class OnACluster(harness.TestCase):
    def begin(self, **options):
        self.kafka = self.enterContext(harness.Kafka())
        self.redis = self.enterContext(harness_redis.Cluster(**options))
        self.name = self.kafka.unique("cluster")
        topic = self.kafka.topic("shop", partitions=PARTITIONS)
        config = recount.CONFIG.format(brokers=self.kafka.brokers, name=self.name, topic=topic, url=self.redis.url)
        self.orders = recount.Orders(self.kafka, topic, PARTITIONS)
        return self.enterContext(harness.Kpid(config))

    def headers(self):
        """All headers of shards, wherever they are."""
        found = []
        for node in self.redis.alive():
            if node.client.role()[0] == "master":
                found += node.client.scan_iter(f"{self.name}:s:*:h", count=10000)
        return sorted(set(found))

    def wait_headers(self):
        harness.wait_for(lambda: len(self.headers()) == PARTITIONS, 20, "headers")
        return self.headers()

    def wait_equal(self):
        n = recount.wait_equal(lambda: self.redis.client, self.name, self.orders)
        print(f"{self.orders.sent} orders, {n} figures equal the recount", flush=True)

    def move(self, key, to, between=lambda: None):
        self.redis.move(self.redis.slot(key), to, between)

    def other(self, key):
        owner = self.redis.owner(self.redis.slot(key))
        return next(node for node in self.redis.masters if node is not owner)

    def test_slots_moved_back_and_forth_under_load(self):
        kpid = self.begin(password="p@ss")
        with self.orders:
            shard = self.wait_headers()[0]
            self.orders.wait_sent(400)
            for key in (shard, f"{{alert}}", "{orders:1m}", "{orders:all}"):
                slot = self.redis.slot(key)
                home, away = self.redis.owner(slot), self.other(key)
                for to in (away, home, away):
                    self.redis.move(slot, to, lambda: self.orders.wait_sent(200))
            # Several at a time, and longer than Redis' timeout: nothing is given up.
            for key in self.wait_headers():
                self.move(key, self.other(key), lambda: self.orders.wait_sent(100))
            self.move(shard, self.other(shard), lambda: self.orders.wait_sent(1500))
            self.orders.wait_sent(200)
        self.wait_equal()
        counts = self.redis.error_counts()
        print(f"answers: {counts}", flush=True)
        for name in ("MOVED", "ASK", "TRYAGAIN"):
            self.assertGreater(counts.get(name, 0), 0)
        kpid.stop()
        kpid.start()
        self.orders.send(200)
        self.wait_equal()
        kpid.stop()

    def seqs(self, node):
        """Of the headers that a node has, shards' and alerts'."""
        keys = [key for key in node.client.scan_iter(f"{self.name}:*:h", count=10000)]
        if node.client.role()[0] == "slave":
            node = _ReadOnly(node)
        return {key: int(node.client.hget(key, "seq")) for key in keys}

    def spread(self, headers):
        """Sees to it that each master has a shard."""
        has = {node: [] for node in self.redis.masters}
        for key in headers:
            has[self.redis.owner(self.redis.slot(key))].append(key)
        for node in has:
            if not has[node]:
                rich = max(has.values(), key=len)
                has[node].append(rich.pop())
                self.move(has[node][0], node)

    def test_each_master_killed_with_its_last_seconds_lost(self):
        kpid = self.begin(replicas=True)
        with self.orders:
            self.spread(self.wait_headers())
            self.orders.wait_sent(400)
            for master in list(self.redis.masters):
                self.redis.fail_over(master, self.lose(master))
                self.orders.wait_sent(300)
        self.wait_equal()
        self.assertIn("lost what was committed", kpid.log_text())
        kpid.stop()

    def lose(self, master):
        """Writes that only this master has; returns its replica."""
        replica = self.redis.hold(master)
        held = self.seqs(replica)
        self.orders.wait_sent(300)
        harness.wait_for(lambda: all(seq > held[key] + 1 for key, seq in self.seqs(master).items() if ":s:" in key), 20,
                         "commits on the master alone")
        newest = self.seqs(master)
        back = {key: newest[key] - held[key] for key in newest if newest[key] > held[key]}
        print(f"going back: {back}", flush=True)
        self.assertTrue(back)
        return replica

    def test_a_master_that_hangs_and_its_owner_killed(self):
        kpid = self.begin(replicas=True)
        with self.orders:
            shard = self.wait_headers()[0]
            self.orders.wait_sent(400)
            # Figures and alerts lie elsewhere: what is looked at here is what shards lose.
            master, elsewhere = self.redis.owner(self.redis.slot(shard)), self.other(shard)
            for tag in ("alert", *(f"{kpi}:{window}" for kpi in ("orders", "revenue", "buyers") for window in ("1m", "all"))):
                slot = self.redis.slot(f"{{{tag}}}")
                if self.redis.owner(slot) is not elsewhere:
                    self.redis.move(slot, elsewhere)
            replica = self.lose(master)
            kpid.kill()
            self.redis.fail_over(master, replica, kill=False)
            kpid.start()
            self.orders.wait_sent(400)
            self.redis.bring_back(master)
            self.orders.wait_sent(200)
        self.wait_equal()
        kpid.stop()

    def finals(self, client, kpi):
        """Starts of the minutes that readers find."""
        return {int(start) for start in client.zrange(f"{self.name}:wins:{{{kpi}:1m}}", 0, -1)}

    def test_the_publisher_dies_with_a_master_that_had_its_figures(self):
        """What that master alone had heard of is noted as told in {alert}, which lies elsewhere and lost nothing; and
        whoever told it is dead."""
        kpid = self.begin(replicas=True)
        with self.orders:
            self.wait_headers()
            self.orders.wait_sent(400)
            tags = [f"{kpi}:{window}" for kpi in ("orders", "revenue", "buyers") for window in ("1m", "all")]
            master, elsewhere = self.redis.masters[:2]
            for key in [*self.headers(), "{alert}"]: # these lose nothing
                if self.redis.owner(self.redis.slot(key)) is master:
                    self.move(key, elsewhere)
            for tag in tags:
                if self.redis.owner(self.redis.slot(f"{{{tag}}}")) is not master:
                    self.move(f"{{{tag}}}", master)
            self.orders.wait_sent(200)
            replica = self.redis.hold(master)
            held = {kpi: self.finals(_ReadOnly(replica).client, kpi) for kpi in ("orders", "revenue", "buyers")}
            harness.wait_for(lambda: all(len(self.finals(self.redis.client, kpi) - old) > 2 for kpi, old in held.items()), 30,
                             "minutes that are final on the master alone")
            self.orders.stop() # no later figure is to take the place of what is lost
            self.wait_equal()
            notes = lambda: self.redis.client.hgetall(f"{self.name}:{{alert}}:written")
            stamp = lambda tag: self.redis.client.hget(f"{self.name}:snap:{{{tag}}}", "@writer")
            harness.wait_for(lambda: all(notes()[tag].startswith(stamp(tag) + ":") for tag in tags), 10, "all of it noted")
            kpid.kill()
            self.redis.fail_over(master, replica)
            self.redis.client.close()
            self.redis.client = self.redis.connect()
            back = [kpi for kpi, old in held.items() if self.finals(self.redis.client, kpi) == old]
            self.assertEqual(back, list(held), "each went back")
            kpid.start()
        self.wait_equal()
        kpid.wait_log("lost figures that a former publisher had told", 1)
        harness.wait_for(lambda: not self.redis.client.hexists(f"{self.name}:{{alert}}:h", "again"), 10, "all told again")
        kpid.stop()

    def test_a_node_that_joins_and_one_that_leaves(self):
        kpid = self.begin()
        with self.orders:
            shard = self.wait_headers()[0]
            self.orders.wait_sent(200)
            node = self.redis.join()
            slots = [self.redis.slot(key) for key in (shard, "{alert}", "{orders:1m}", "{orders:all}")]
            homes = [self.redis.owner(slot) for slot in slots]
            for slot in slots:
                self.redis.move(slot, node, lambda: self.orders.wait_sent(150))
            self.orders.wait_sent(200)
            for slot, home in zip(slots, homes):
                self.redis.move(slot, home, lambda: self.orders.wait_sent(100))
            # The map is asked for every two seconds; then nobody but this test is connected to it any more.
            harness.wait_for(lambda: len(node.client.client_list(_type="normal")) == 1, 20, "a node without clients")
            self.redis.leave(node)
            self.orders.wait_sent(200)
        self.wait_equal()
        log = kpid.log_text()
        self.assertNotIn("lost", log)
        self.assertEqual(log.count("redis: connected"), 1, "a node that came or went took the connection along")
        kpid.stop()

    def changes_places(self, master, replica):
        if replica.client.role()[0] == "slave":
            replica.ask("CLUSTER FAILOVER")
        return harness.holds_within(lambda: self.redis.replica_of(replica) is master, 12)

    def test_failovers_that_were_asked_for(self):
        kpid = self.begin(replicas=True)
        with self.orders:
            for key in (self.wait_headers()[0], "{alert}", "{orders:1m}", "{orders:all}"):
                master = self.redis.owner(self.redis.slot(key))
                replica = self.redis.replica_of(master)
                self.orders.wait_sent(200)
                # Redis gives a failover up that takes longer than 5 s; whoever asked has to ask again.
                self.assertTrue(any(self.changes_places(master, replica) for _ in range(5)), "places are not changed")
            self.orders.wait_sent(200)
        self.wait_equal()
        self.assertIn("another node has become a master of the cluster", kpid.log_text())
        kpid.stop()

    def test_kpictl(self):
        kpid = self.begin(password="p@ss")
        self.orders.send(1200)
        self.wait_headers()
        self.wait_equal()
        shown = harness.kpictl("show", "-c", kpid.config, "orders").stdout
        self.assertIn(str(self.orders.sent), shown.replace(",", ""))
        ledger = harness.kpictl("ledger", "-c", kpid.config, "--json").stdout
        self.assertIn(str(self.orders.sent), ledger)
        kpid.stop()


if __name__ == "__main__":
    harness.main()
