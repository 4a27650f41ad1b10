#!/usr/bin/python3
"""Figures equal the recount, and alerts stay what they are, whatever dies: the short schedules of tests/faults. Those who
want longer ones call tests/faults/run.py and alerts.py themselves."""

import os
import signal
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "faults")]
import harness
import alerts
import run
import world

# A build that is slower by that factor takes a part of it.
PART = max(1, round(harness.SLOW))


def say(text):
    print(text, flush=True)


class Faults(harness.TestCase):
    def schedule(self, *arguments):
        options = run.parse(list(arguments))
        for kind in run.KINDS:
            setattr(options, kind, -(-getattr(options, kind) // PART))
        options.rate //= PART
        run.run(options, say)

    def test_a_schedule_that_was_seen_before(self):
        self.schedule("--seed", "10")

    def test_a_schedule_of_chance(self):
        self.schedule()

    def test_under_sentinel(self):
        self.schedule("--topology", "sentinel", "--kills", "5", "--rebalances", "1", "--losses", "1", "--brokers", "0",
                      "--zombies", "1")

    def test_in_a_cluster_whose_slots_move(self):
        self.schedule("--topology", "cluster", "--kills", "5", "--rebalances", "1", "--losses", "1", "--brokers", "0",
                      "--zombies", "1")

    @harness.of_plain_builds
    def test_who_hears_too_late_that_it_lost_a_shard_leaves_it_alone(self):
        """A zombie's commit is on its way when Kafka takes its shards away, and then the answer says that another owner has
        them: that one is not disturbed."""
        with harness.Kafka(private=True, properties=run.BROKER) as kafka, world.Redis() as redis:
            one = run.Run(run.parse(["--instances", "2", "--partitions", "2", "--rate", "50"]), kafka, redis, say)
            with harness.Delay(redis.port) as far:
                zombie, other = one.instances
                zombie.rewrite(one.config(zombie.name, f"redis://{far.address}"))
                try:
                    self.zombie(one, zombie, other, far)
                except BaseException:
                    say(one.logs())
                    raise
                finally:
                    one.close()

    @staticmethod
    def zombie(one, zombie, other, far):
        zombie.start()
        one.begin()
        one.moving()
        for _ in range(5):
            zombie.arm("commit.sending", signal.SIGSTOP)
            harness.wait_for(zombie.struck, 20, "it stands still")
            other.start()
            one.handed_over(one.redis.headers())
            one.moving()
            seen, disturbed = zombie.said("was committed too late"), other.said("has another owner")
            far.seconds = 1.0
            zombie.cont()
            late = harness.holds_within(lambda: zombie.said("was committed too late") > seen, 10)
            far.seconds = 0.0  # what it asks for now is answered as fast as what the other one asks for
            if late:
                break
            other.stop()  # the answer came first, so it might try to have them again
            one.moving()
        else:
            raise AssertionError("Kafka was never faster than Redis")
        for _ in range(8):  # a second each: what a former owner asks for, it asks for at least every five
            one.moving()
        if other.said("has another owner") > disturbed:
            raise AssertionError("the former owner took a shard from the new one")

    def test_an_alert_outlives_its_publishers(self):
        alerts.run(alerts.parse(["--restarts", "6"]), say)


if __name__ == "__main__":
    harness.main()
