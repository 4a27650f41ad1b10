#!/usr/bin/python3
"""kpictl in the hands of somebody who errs: wrong words, no Redis, an empty one, a terminal. What its tables look like
is in the golden files."""

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios

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


def snapshot(value, deviation, status):
    return json.dumps({"value": value, "deviation": deviation, "status": status, "quality": "ok", "expected": 10},
                      separators=(",", ":"))


class Top(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.redis = harness.Redis()
        for window, rows in {
            "orders:1h": {"*": snapshot(9, -0.1, "ok"), "web": snapshot(4, -0.6, "warn"), "a%7Cb": snapshot(3, -0.7, "warn"),
                          "app": snapshot(2, -0.8, "warn"),
                          "web@final": snapshot(1, -0.9, "crit"), "@meta": "{}"},
            "order_value:1h": {"*": snapshot(8, -0.2, "warn"), "web": snapshot(20, 1.0, "ok")},
            "basket:day": {"*": snapshot(30, None, "none")},
            "shipping:day": {"*": snapshot(600, -5.5, "crit")},
            "orders:day": {"*": snapshot(77, -0.3, "crit")},
        }.items():
            cls.redis.client.hset("kpi:snap:{" + window + "}", mapping=rows)

    @classmethod
    def tearDownClass(cls):
        cls.redis.close()

    def rows(self, *args):
        """KPI and group of each row."""
        done = kpictl("top", "--once", *args, redis=self.redis.address)
        self.assertEqual(done.returncode, 0, done.stderr)
        table = done.stdout.split("\n\n")[0].splitlines()[1:]
        return [(line[:24].strip(), line[32:48].strip()) for line in table]

    def test_order(self):
        totals = [("orders", "*"), ("order_value", "*"), ("basket", "*"), ("shipping", "*")]
        for sort, order in (("config", "0123"), ("deviation", "3102"), ("status", "3102"), ("kpi", "2103"),
                            ("owner", "1023"), ("value", "3201")):
            with self.subTest(sort):
                self.assertEqual(self.rows("--sort", sort), [totals[int(i)] for i in order])
        self.assertEqual(self.rows(), totals)
        self.assertEqual(self.rows("-w", "day"), [("orders", "*"), ("basket", "*"), ("shipping", "*")])
        done = kpictl("top", "--sort", "colour", redis=self.redis.address)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("can't be sorted by 'colour', but by deviation, status, kpi, group, owner, value, config", done.stderr)

    def test_search(self):
        orders = [("orders", "*"), ("orders", "a%7Cb"), ("orders", "app"), ("orders", "web")]
        value = [("order_value", "*"), ("order_value", "web")]
        for match, rows in (("ORDERS", orders), ("finance@", value), ("Financial", value), ("客单价", value), ("a|b", orders[1:2]),
                            ("web", orders[3:] + value[1:]), ("nothing of that", [])):
            with self.subTest(match):
                self.assertEqual(self.rows("--match", match), rows)
        self.assertEqual(self.rows("--match", "web", "--sort", "deviation"), orders[3:] + value[1:])
        self.assertIn("nothing matches 'x.y'", kpictl("top", "--once", "--match", "x.y", redis=self.redis.address).stderr)
        lines = kpictl("--json", "top", "--match", "web", "--sort", "value", redis=self.redis.address).stdout.splitlines()
        self.assertEqual([json.loads(line)["value"] for line in lines], [20, 4])

    def terminal(self, *keys, lines=24):
        """Runs it in a terminal of so many lines. Of `keys` each is sent when what stands before it is to be seen in the last
        picture: pairs of (text or None for two pictures, key)."""
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", lines, 120, 0, 0))
        before = termios.tcgetattr(follower)
        command = [harness.tool("daemon", "ctl", "kpictl"), "-c", CONFIG, "--redis", f"redis://{self.redis.address}", "top"]
        process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower)
        seen = b""

        def picture(text):
            nonlocal seen
            while select.select([leader], [], [], 0)[0]:
                seen += os.read(leader, 65536)
            pictures = seen.split(b"\x1b[H\x1b[2J")
            return len(pictures) >= 3 if text is None else text.encode() in pictures[-1]

        try:
            for text, key in keys:
                harness.wait_for(lambda: picture(text), 20, f"the terminal shows {text}")
                last = seen.split(b"\x1b[H\x1b[2J")[-1].decode()
                os.write(leader, key.encode())
            self.assertEqual(process.wait(10 * harness.SLOW), 0)
            self.assertEqual(termios.tcgetattr(follower), before)
        finally:
            process.kill()
            process.wait()
            os.close(leader)
            os.close(follower)
        return last

    def test_in_a_terminal(self):
        """Draws again and again; what is typed searches and sorts; q ends it, and the terminal is as it was."""
        last = self.terminal(
            (None, "/"), ("search: _", "Wx"), ("search: Wx_", "\x7fEB"), ("search: WEB_", "\n"),
            ("with `WEB`", "s"), ("2 rows by status", "r"), ("by status, reversed, with `WEB`", "q"),
        )  # fmt: skip
        rows = [line[:24].strip() for line in last.splitlines() if " web " in line]
        self.assertEqual(rows, ["order_value", "orders"])
        self.assertIn("/ search  s order  r reverse  n p pages  q end", last)

    def test_pages(self):
        """Worst first, as many rows as there is room for; Control-C ends it too."""
        last = self.terminal(("page 1 of 1, 4 rows by deviation", "/"), ("search: _", "or\n"), ("page 1 of 2, 6 rows", "\x1b[6~"),
                             ("page 2 of 2", "\x1b[5~"), ("page 1 of 2", "\x1b"), ("page 1 of 1, 4 rows", "\x03"), lines=20)
        rows = [line[:24].strip() for line in last.replace("\r", "").split("\n\n")[0].splitlines()[1:]]
        self.assertEqual(rows, ["shipping", "order_value", "orders", "basket"])


if __name__ == "__main__":
    harness.main()
