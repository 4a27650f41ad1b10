#!/usr/bin/python3
"""kpid and kpictl under Sentinel: the master is found and followed, and what a failover loses is in the figures again,
whoever owns the shards then."""
# alone: failovers are a matter of seconds

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import harness
import harness_redis
import recount

PARTITIONS = 3


class UnderSentinel(harness.TestCase):
    def begin(self, **passwords):
        self.kafka = self.enterContext(harness.Kafka())
        self.redis = self.enterContext(harness_redis.Sentinel(**passwords))
        self.name = self.kafka.unique("sentinel")
        topic = self.kafka.topic("shop", partitions=PARTITIONS)
        self.config = recount.CONFIG.format(brokers=self.kafka.brokers, name=self.name, topic=topic,
                                            url=self.redis.url)
        self.orders = recount.Orders(self.kafka, topic, PARTITIONS)
        return self.enterContext(harness.Kpid(self.config))

    def seqs(self, client):
        """Of every header, shards and alerts."""
        keys = [*client.scan_iter(f"{self.name}:s:*:h"), f"{self.name}:{{alert}}:h"]
        return {key: int(client.hget(key, "seq") or 0) for key in keys}

    def wait_equal(self):
        n = recount.wait_equal(lambda: self.redis.client, self.name, self.orders)
        print(f"{self.orders.sent} orders, {n} figures equal the recount", flush=True)

    def hold_for_a_while(self):
        """Writes that only the master has: returns how far it was ahead."""
        self.redis.hold()
        before = self.seqs(self.redis.replica.client)
        self.orders.wait_sent(400)

        def ahead():
            now = self.seqs(self.redis.master.client)
            return all(now[key] > before[key] + 1 for key in now if ":s:" in key)
        harness.wait_for(ahead, 8, "commits on the master alone")

    def fail_over(self, **how):
        """Asserts that the seq of a header went back."""
        newest = self.seqs(self.redis.master.client)
        held = self.seqs(self.redis.replica.client)
        back = sum(held[key] < seq for key, seq in newest.items())
        self.assertGreaterEqual(back, PARTITIONS)
        print(f"{back} headers went back, by up to {max(newest[key] - held[key] for key in newest)}", flush=True)
        self.redis.fail_over(**how)

    def test_master_killed_with_its_last_seconds_lost(self):
        kpid = self.begin()
        with self.orders:
            self.orders.wait_sent(400)
            kpid.wait_log("redis: connected")
            harness.wait_for(lambda: len(self.seqs(self.redis.client)) == PARTITIONS + 1, 20, "headers")
            self.hold_for_a_while()
            self.fail_over()
            self.orders.wait_sent(400)
        self.wait_equal()
        self.assertIn("lost what was committed", kpid.log_text())
        # The one that was killed is a replica now, and nobody writes to it.
        self.redis.bring_back()
        self.orders.send(200)
        self.wait_equal()
        kpid.stop()

    def test_master_and_owner_killed_together(self):
        kpid = self.begin()
        with self.orders:
            self.orders.wait_sent(400)
            harness.wait_for(lambda: len(self.seqs(self.redis.client)) == PARTITIONS + 1, 20, "headers")
            self.hold_for_a_while()
            kpid.kill()
            self.fail_over()
            kpid.start()
            self.orders.wait_sent(400)
        self.wait_equal()
        kpid.stop()

    def test_master_that_hangs_and_passwords(self):
        kpid = self.begin(password="p@ss/word", sentinel_password="other:one")
        with self.orders:
            self.orders.wait_sent(400)
            harness.wait_for(lambda: len(self.seqs(self.redis.client)) == PARTITIONS + 1, 20, "headers")
            self.redis.fail_over(kill=False)
            self.orders.wait_sent(400)
        self.wait_equal()
        self.redis.bring_back()
        self.orders.send(200)
        self.wait_equal()
        shown = harness.kpictl("show", "-c", kpid.config, "orders").stdout
        self.assertIn(str(self.orders.sent), shown.replace(",", ""))
        self.assertNotIn("p@ss", kpid.log_text())
        kpid.stop()

    def test_what_is_wrong_is_told(self):
        kpid = self.begin(sentinel_password="x")
        kpid.wait_log("redis: connected")
        kpid.kill()
        for url, said in ((self.redis.url.replace("/kpid?", "/other?"), "has no master of that name"),
                          (self.redis.url.replace("=:x", "=:y"), "does not accept the user or password"),
                          (self.redis.url.split("?")[0], "wants a password")):
            done = harness.kpictl("show", "-c", kpid.config, "--redis", url, "orders", check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("no Sentinel knows where the master", done.stderr)
            self.assertIn(said, done.stderr)
            self.assertNotIn("sentinel=", done.stderr)


if __name__ == "__main__":
    harness.main()
