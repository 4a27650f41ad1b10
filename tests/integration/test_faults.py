#!/usr/bin/python3
"""Figures equal the recount, and alerts stay what they are, whatever dies: the short schedules of tests/faults. Those who
want longer ones call tests/faults/run.py and alerts.py themselves."""

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "faults")]
import harness
import alerts
import run

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

    def test_an_alert_outlives_its_publishers(self):
        alerts.run(alerts.parse(["--restarts", "6"]), say)


if __name__ == "__main__":
    harness.main()
