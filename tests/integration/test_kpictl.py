#!/usr/bin/python3
"""kpictl in the hands of somebody who errs: wrong words, no Redis, an empty one, a terminal. What its tables look like
is in the golden files."""

import json
import os
import pty
import select
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import harness

CONFIG = os.path.join(harness.ROOT, "tests", "golden", "shop.yaml")


def kpictl(*args, redis=None, **options):
    where = ["--redis", f"redis://{redis}"] if redis else []
    return harness.kpictl("-c", CONFIG, *where, *args, check=False, **options)


class Usage(harness.TestCase):
    def refused(self, code, pattern, *args):
        done = kpictl(*args)
        self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
        self.assertRegex(done.stderr, pattern)

    def test_wrong_words(self):
        for code, pattern, *args in (
            (2, "usage"),
            (2, "there is no command 'shwo'", "shwo"),
            (2, "explain needs KPI", "explain"),
            (2, "replay needs FILE", "replay"),
            (2, "check takes no more than 0 arguments", "check", "x"),
            (2, "show takes no more than 1 argument", "show", "orders", "basket"),
            (2, "'x' is not a number from 0 to 100000", "-n", "x", "alerts"),
            (2, "'0' is not a number from 1 to 10000", "--partitions", "0", "replay", "f"),
            (2, "unrecognized option", "--bogus", "show"),
            (1, "there is no KPI 'order'.*orders, order_value", "explain", "order"),
            (1, "there is no KPI 'order'", "show", "order"),
            (1, "no KPI has a window '2h'", "show", "-w", "2h"),
            (1, "KPI basket has no window '1h'", "show", "basket", "-w", "1h"),
            (1, r"^kpictl: /no/such/file: No such file or directory$", "replay", "/no/such/file"),
        ):
            with self.subTest(args):
                self.refused(code, pattern, *args)

    def test_no_configuration(self):
        done = harness.kpictl("-c", "/no/such/file", "check", check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn("/no/such/file", done.stderr)

    def test_check(self):
        done = kpictl("check")
        self.assertEqual((done.returncode, done.stdout), (0, f"{CONFIG}: ok: 1 sources, 4 measures, 5 KPIs\n"))
        self.assertEqual(json.loads(kpictl("--json", "check").stdout), {"ok": True, "sources": 1, "measures": 4, "kpis": 5})

    def test_replay(self):
        """Nothing to read is no fault; a damaged line is, with its number."""
        self.assertIn("in 0 = ", kpictl("replay", "/dev/null").stdout)
        done = kpictl("replay", "-", stdin='{"topic":"shop","key":"a","value":{"type":"x","ts":1}}\n{"topic":\n')
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "standard input:2: ")


class Away(harness.TestCase):
    def test_redis_is_down(self):
        nobody = f"127.0.0.1:{harness.free_port()}"
        for args in (["show"], ["alerts"], ["ledger"]):
            with self.subTest(args):
                done = kpictl(*args, redis=nobody)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertRegex(done.stderr, "redis.*Connection refused")

    def test_daemon_is_down(self):
        os.environ["LISTEN"] = f"127.0.0.1:{harness.free_port()}"
        self.addCleanup(os.environ.pop, "LISTEN")
        done = kpictl("lag")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("does not answer at http.listen", done.stderr)

    def test_redis_is_empty(self):
        with harness.Redis() as redis:
            for args in (["show"], ["show", "orders"], ["top", "--once"]):
                done = kpictl(*args, redis=redis.address)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("no figures yet", done.stderr)
            done = kpictl("alerts", redis=redis.address)
            self.assertEqual((done.returncode, done.stdout.count("none")), (0, 2))
            self.assertIn("in 0 = ", kpictl("ledger", redis=redis.address).stdout)
            for args in (["show"], ["top"], ["alerts"]):
                done = kpictl("--json", *args, redis=redis.address)
                self.assertEqual((done.returncode, done.stdout), (0, ""))


class Top(harness.TestCase):
    def test_in_a_terminal(self):
        """Draws again and again, and Enter ends it."""
        with harness.Redis() as redis:
            leader, follower = pty.openpty()
            command = [harness.tool("daemon", "ctl", "kpictl"), "-c", CONFIG, "--redis", f"redis://{redis.address}", "top"]
            process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower)
            os.close(follower)
            seen = b""

            def pictures():
                nonlocal seen
                while select.select([leader], [], [], 0)[0]:
                    seen += os.read(leader, 65536)
                return seen.count(b"\x1b[H\x1b[2J") >= 2 and b"active alerts" in seen
            try:
                harness.wait_for(pictures, 20, "two pictures")
                self.assertIn(b"Enter ends it.", seen)
                os.write(leader, b"\n")
                self.assertEqual(process.wait(10 * harness.SLOW), 0)
            finally:
                process.kill()
                process.wait()
                os.close(leader)


if __name__ == "__main__":
    harness.main()
