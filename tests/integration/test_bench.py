#!/usr/bin/python3
"""The programs of bench/ run, on little input, and print their tables. What they print is nobody's pass or failure."""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import harness


def run(*command, deadline_s=120):
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=deadline_s * harness.SLOW, check=False
    )
    if done.returncode:
        raise AssertionError(f"{command[0]}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Bench(harness.TestCase):
    def rows(self, text, words, columns):
        """The numbers at the end of the one line that begins with these words."""
        lines = [line for line in text.splitlines() if line.startswith(words)]
        self.assertEqual(len(lines), 1, text)
        numbers = [float(word) for word in lines[0].split()[-columns:]]
        self.assertEqual(len(numbers), columns, text)
        return numbers

    def test_decode(self):
        table = run(harness.tool("bench", "kpid-bench-decode"), 1)
        self.assertGreater(self.rows(table, "json, kpid_decode", 5)[0], 0)
        self.assertGreater(self.rows(table, "msgpack, kpid_decode", 5)[0], 0)

    def test_engine(self):
        table = run(harness.tool("bench", "kpid-bench-engine"), os.path.join(harness.ROOT, "conf", "kpid.yaml"), 1, 40000)
        for encoding in ("json", "msgpack"):
            low, middle, high = self.rows(table, f"{encoding:8} decode + engine  ", 8)[:3]
            self.assertTrue(0 < low <= middle <= high, table)

    def test_measures(self):
        table = run(harness.tool("bench", "kpid-bench-measures"), "--rounds", 1, "--events", 4000, "--keys", 2000)
        self.assertGreater(self.rows(table, "(an event with one count)", 4)[0], 0)
        for words in ("sum ", "clock, working time", "funnel ", "retention ", "top, summed"):
            self.rows(table, words, 4)
        for words in ("1 window ", "16 windows", "1000000 groups"):
            low, middle, high = self.rows(table, words, 7)[:3]
            self.assertTrue(0 < low <= middle <= high, table)
        for words in ("open clock  ", "session, one grouping", "de-duplication mark", "one more cell of a count"):
            allocated, counted, packed = self.rows(table, words, 3)
            self.assertTrue(counted > 0 and packed > 0, table)
            if not harness.SANITIZED: # whose malloc does not say what it gives
                self.assertLessEqual(counted, allocated, table)

    @harness.of_plain_builds # valgrind runs no others
    def test_instructions(self):
        if not shutil.which("valgrind"):
            self.skipTest("no valgrind")
        table = run(os.path.join(harness.ROOT, "bench", "instructions"), "--build", harness.BUILD, "--events", 1000)
        self.assertGreater(self.rows(table, "count  ", 1)[0], 0)

    def test_pipeline(self):
        harness.shared_brokers()  # skips where Kafka cannot be
        table = run(
            os.path.join(harness.ROOT, "bench", "pipeline"), "--events", 4000, "--pairs", 1, "--format", "msgpack",
            "--compression", "lz4", "--build", harness.BUILD,
        )  # fmt: skip
        for words in ("kpid / bare, polled", "kpid / bare, in batches"):
            self.assertGreater(self.rows(table, words, 3)[0], 0)
        self.assertGreaterEqual(self.rows(table, "written / changed", 3)[0], 1)

    def test_restart(self):
        harness.shared_brokers()
        table = run(os.path.join(harness.ROOT, "bench", "restart"), "--cells", 2000, "--clocks", 2000, "--marks", 20000,
                    "--restarts", 1, "--build", harness.BUILD)
        for words in ("connected ", "joined ", "restored ", "counted ", "committed "):
            self.assertGreater(self.rows(table, words, 3)[0], 0)
        self.assertIn("2000 open clocks, 20000 marks", table)

    def test_stall(self):
        harness.shared_brokers()
        table = run(os.path.join(harness.ROOT, "bench", "stall"), "--dirty", 1000, "--commits", 1, "--build", harness.BUILD)
        for words in ("without a commit, p99", "with a commit, longest"):
            self.assertGreater(self.rows(table, words, 3)[0], 0)
        self.assertIn("1 commits of 1000 cells", table)

    def test_lookup(self):
        text = run(os.path.join(harness.ROOT, "bench", "lookup"), "--events", 40000, "--pairs", 1, "--agents", 100,
                   "--build", harness.BUILD)
        self.assertIn("1 pairs of 40000 events", text)
        for words in ("at once, events a second", "200 ms late, events a second", "at once, events a CPU second"):
            self.assertGreater(min(self.rows(text, words, 3)), 0)


if __name__ == "__main__":
    harness.main()
