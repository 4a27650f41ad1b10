#!/usr/bin/python3
"""The harness itself: broker, producer, Redis and runner do what the other tests rely on."""

import collections
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import harness


class SharedBroker(harness.TestCase):
    def test_thousand_lines_over_six_partitions(self):
        with harness.Kafka() as kafka:
            topic = kafka.topic("orders", partitions=6)
            lines = [
                {"topic": topic, "key": f"k{i}", "value": {"type": "order.paid", "ts": 1291191960000 + i}}
                for i in range(1000)
            ]
            self.assertEqual(kafka.produce(lines), 1000)
            messages = kafka.read(topic)
        self.assertEqual(len(messages), 1000)
        self.assertEqual({message["partition"] for message in messages}, set(range(6)))
        self.assertEqual({message["ts"] for message in messages}, {1291191960000 + i for i in range(1000)})

    def test_kcat_counts_the_same(self):
        with harness.Kafka() as kafka:
            topic = kafka.topic("users", partitions=2)
            kafka.produce({"topic": topic, "key": str(i), "value": i, "partition": i % 2} for i in range(10))
            out = subprocess.run(
                ["kcat", "-b", kafka.brokers, "-C", "-t", topic, "-e", "-q", "-f", "%p\n"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        self.assertEqual(collections.Counter(out.split()), {"0": 5, "1": 5})

    def test_value_is_sent_byte_for_byte(self):
        value = '{"amount": 139.10,  "note":"\\u4e2d }\\"",\t"list":[1.0, {"a":null}] }'
        with harness.Kafka() as kafka:
            topic = kafka.topic("orders", partitions=1)
            kafka.produce(
                [
                    f'{{"topic":"{topic}" , "key":"\\u4e2d\\ud83d\\ude00", "value": {value} }}',
                    json.dumps({"topic": topic, "key": None, "raw": "not {json"}),
                    json.dumps({"topic": topic, "hex": "81a474797065"}),
                ]
            )
            messages = kafka.read(topic)
        self.assertEqual(
            [message["payload"] for message in messages], [value, "not {json", "\ufffd\ufffdtype"]
        )
        self.assertEqual([message["key"] for message in messages], ["\u4e2d\U0001f600", None, None])

    def test_same_key_same_partition_after_growth_of_another(self):
        with harness.Kafka() as kafka:
            one, two = kafka.topic("a", partitions=4), kafka.topic("b", partitions=2)
            kafka.grow(two, 4)
            kafka.produce(
                {"topic": topic, "key": f"k{i}", "value": 1} for topic in (one, two) for i in range(50)
            )
            places = [{(m["key"], m["partition"]) for m in kafka.read(topic)} for topic in (one, two)]
        self.assertEqual(places[0], places[1])

    def test_faults_are_reported(self):
        with harness.Kafka() as kafka:
            with self.assertRaisesRegex(AssertionError, "line 2"):
                topic = kafka.topic("orders", partitions=1)
                kafka.produce([{"topic": topic, "value": 1}, "nonsense"])
            with self.assertRaisesRegex(AssertionError, "Unknown topic"):
                kafka.produce([{"topic": kafka.unique("absent"), "value": 1}])
            with self.assertRaisesRegex(AssertionError, "bogus"):
                kafka.topic("orders", partitions=1, bogus_setting=1)


class PrivateBroker(harness.TestCase):
    def test_data_outlives_a_kill(self):
        with harness.Kafka(private=True) as kafka:
            kafka.topic("orders", partitions=1, exact=True)
            kafka.produce([{"topic": "orders", "value": 1}])
            kafka.kill()
            kafka.start()
            self.assertEqual([message["payload"] for message in kafka.read("orders")], ["1"])
            kafka.stop()


class PrivateRedis(harness.TestCase):
    def test_answers_stops_and_comes_back_empty(self):
        with harness.Redis("--maxmemory", "32mb") as redis:
            redis.client.set("k", "v")
            self.assertEqual((redis.client.get("k"), redis.raw.get("k")), ("v", b"v"))
            self.assertEqual(redis.client.config_get("maxmemory")["maxmemory"], str(32 << 20))
            redis.stop()
            self.assertEqual(redis.process.returncode, 0)
            redis.start()
            self.assertIsNone(redis.client.get("k"))

    def test_waiting_ends(self):
        with self.assertRaisesRegex(AssertionError, "not within .* a miracle"):
            harness.wait_for(lambda: [].pop(), 0.05, "a miracle")


if __name__ == "__main__":
    harness.main()
