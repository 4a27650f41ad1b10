#!/usr/bin/python3
"""What Kafka can do to one instance: brokers that are restarted, partitions that are added, transactions that are aborted
or left open. Figures equal the recount of what was committed, and no window is final without it."""

import json
import os
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import harness
import recount

MINUTE = recount.MINUTE
START = recount.START


class KafkaFaults(harness.TestCase):
    def begin(self, partitions, more="", **kafka):
        second = kafka.pop("second", False)
        self.kafka = self.enterContext(harness.Kafka(**kafka))
        self.second = self.kafka.second() if second else None
        self.redis = self.enterContext(harness.Redis())
        self.name = self.kafka.unique("kafka")
        self.topic = self.kafka.topic("shop", partitions, **({"replicas": 2} if second else {}))
        config = recount.CONFIG.format(brokers=self.kafka.brokers, name=self.name, topic=self.topic,
                                       url=f"redis://{self.redis.address}")
        config = config.replace("session.timeout.ms: 6000", "session.timeout.ms: 6000, topic.metadata.refresh.interval.ms: 500")
        self.port = harness.free_port()
        config = config.replace("listen: off", f'listen: "127.0.0.1:{self.port}"')
        self.orders = recount.Orders(self.kafka, self.topic, partitions)
        return self.enterContext(harness.Kpid(config.replace("max_skew: off", f"max_skew: off{more}")))

    def page(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def metric(self, name):
        """The sum over its labels."""
        lines = [line.rsplit(" ", 1) for line in self.page("/metrics").splitlines() if line[0] != "#"]
        return sum(float(value) for key, value in lines if key.partition("{")[0] == name)

    def wait_equal(self):
        n = recount.wait_equal(lambda: self.redis.client, self.name, self.orders)
        print(f"{self.orders.sent} orders, {n} figures equal the recount", flush=True)

    def final(self, kpi="orders"):
        """The newest final total of `all`."""
        text = self.redis.client.hget(f"{self.name}:snap:{{{kpi}:all}}", "*@final")
        return json.loads(text) if text else None

    def minutes(self):
        """Start of a window of a minute -> its final total."""
        found = recount.figures(self.redis.client, self.name)
        return {start: value for (kpi, start, group), value in found.items() if (kpi, group) == ("orders", "*") and start}

    def some(self, partition, minute, n):
        """So many orders of one partition, spread over a minute that begins so many minutes after the first."""
        return [{"topic": self.topic, "partition": partition, "key": "k",
                 "value": {"type": "order", "id": f"p{partition}-{minute}-{i}", "ts": START + minute * MINUTE + i * 60000 // n,
                           "channel": "web", "user": "u", "amount": 1}} for i in range(n)]

    # ---- brokers ----

    def test_broker_killed_and_stopped_while_it_runs(self):
        kpid = self.begin(3, private=True)
        self.orders.send(400)
        self.wait_equal()
        for end in (self.kafka.kill, self.kafka.stop, self.kafka.kill):
            self.orders.send(200)
            end()
            self.kafka.start()
            self.orders.send(200)
        self.wait_equal()
        self.assertNotIn("HOLDS", kpid.log_text())
        kpid.stop()
        kpid.start()
        self.orders.send(100)
        self.wait_equal()
        kpid.stop()

    def test_leaders_that_change(self):
        kpid = self.begin(4, second=True, properties={"offsets.topic.replication.factor": 2})
        with self.orders:
            for end in (self.second.kill, self.second.stop):
                self.orders.wait_sent(300)
                end()
                self.orders.wait_sent(300)
                self.second.start()
            self.orders.wait_sent(300)
        self.wait_equal()
        self.assertNotIn("HOLDS", kpid.log_text())
        kpid.stop()

    # ---- partitions ----

    def test_partitions_added_while_it_runs(self):
        kpid = self.begin(2, more=", start: latest")
        sent = 0

        def seen(more):
            nonlocal sent
            sent += more
            harness.wait_for(lambda: self.final() and self.final()["value"] == sent, 30, f"{sent} orders")
        harness.wait_for(lambda: "shards 2 of 2" in self.page("/readyz"), 20, "where both begin")
        self.kafka.produce(self.some(0, 0, 30) + self.some(1, 0, 30))
        seen(60)
        self.kafka.grow(self.topic, 4)
        # These are in the new partitions before anybody has heard of them.
        self.kafka.produce(self.some(2, 1, 30) + self.some(3, 1, 30) + self.some(0, 2, 5))
        seen(65)
        self.assertEqual(self.final()["reasons"], ["repartitioned"])
        kpid.stop()
        kpid.start()
        self.kafka.produce(self.some(3, 2, 10))
        seen(10)
        kpid.stop()

    # ---- permissions ----

    def test_reading_that_is_forbidden_for_a_while(self):
        kpid = self.begin(2, properties=harness.AUTHORIZER)
        self.orders.send(400)
        self.wait_equal()
        self.kafka.deny("topic", self.topic)
        kpid.wait_log(rf"<4>kafka: .*{self.topic}.*[Aa]uthoriz", 30) # until then a fetch under way may still bring some
        finals = self.minutes()
        self.orders.send(400)
        self.assertEqual(self.minutes(), finals)
        self.kafka.allow("topic", self.topic)
        self.wait_equal()
        self.assertNotIn("HOLDS", kpid.log_text())
        kpid.stop()

    def test_a_group_that_is_forbidden_for_a_while(self):
        kpid = self.begin(2, properties=harness.AUTHORIZER)
        self.orders.send(400)
        self.wait_equal()
        kpid.stop()
        self.kafka.deny("group", self.name)
        self.orders.send(400)
        kpid.start()
        kpid.wait_log(r"<4>kafka: .*[Gg]roup.*[Aa]uthoriz", 30)
        self.kafka.allow("group", self.name)
        self.wait_equal()
        kpid.stop()

    # ---- transactions ----

    def test_aborted_transactions_are_in_no_figure(self):
        kpid = self.begin(2)
        with self.kafka.transactional(self.name) as producer:
            for minute in range(6):
                producer.begin()
                producer.send(self.some(0, minute, 20) + self.some(1, minute, 20))
                producer.flush()
                if minute % 2:
                    producer.abort()
                else:
                    producer.commit()
                if minute == 2:
                    harness.wait_for(lambda: self.final() and self.final()["value"] == 80, 20, "two minutes")
                    kpid.kill()
                if minute == 4:
                    kpid.start()
        harness.wait_for(lambda: self.final()["value"] == 120, 30, "three of six minutes")
        counted = harness.wait_for(lambda: START + 4 * MINUTE in self.minutes() and self.minutes(), 30, "the last of them")
        self.assertEqual({start: n for start, n in counted.items() if n}, {START + n * MINUTE: 40 for n in (0, 2, 4)})
        ledger = json.loads(harness.kpictl("-c", kpid.config, "ledger", "--json").stdout)
        self.assertEqual((ledger["in"], ledger["balanced"]), (120, True))
        kpid.stop()

    def left_open(self, end, counted):
        """A transaction in one partition stays open while the other one goes on."""
        kpid = self.begin(2)
        self.kafka.produce(self.some(0, 0, 20) + self.some(1, 0, 20))
        harness.wait_for(lambda: self.final() and self.final()["value"] == 40, 20, "the first minute")
        producer = self.kafka.transactional(self.name)
        self.addCleanup(producer.close)
        producer.begin()
        producer.send(self.some(1, 1, 20))
        producer.flush()
        self.kafka.produce(self.some(0, 1, 20) + self.some(0, 5, 20))
        open_for = 8
        began = time.monotonic()
        for n in range(open_for):
            self.kafka.produce(self.some(0, 6 + n, 20))
            taken = 80 + 20 * (n + 1)
            # Several times idle_timeout, in which nothing may become final.
            harness.wait_for(lambda: self.metric("kpid_events_total") == taken and time.monotonic() > began + 0.4 * n, 20,
                             "the events beside it are counted")
            self.assertNotIn(START + MINUTE, self.minutes())
        self.assertEqual(self.final()["value"], 40)
        end(producer)
        harness.wait_for(lambda: self.minutes().get(START + MINUTE) == counted, 30, f"a final minute of {counted}")
        harness.wait_for(lambda: self.final()["value"] == 60 + counted + 20 * open_for, 30, "a final total")
        kpid.stop()

    def test_an_open_transaction_holds_windows_back_until_it_is_committed(self):
        self.left_open(lambda producer: producer.commit(), 40)

    def test_an_open_transaction_of_a_dead_producer_holds_windows_back_until_it_is_aborted(self):
        def end(producer):
            producer.close()
            self.addCleanup(self.kafka.transactional(self.name).close)
        self.left_open(end, 20)


if __name__ == "__main__":
    harness.main()
