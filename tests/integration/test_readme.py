#!/usr/bin/python3
"""Every command and every configuration in README.md, run; a command that this test does not know is a failure. The
Chinese README has the same ones. The manual names the commands and options that the programs have."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import harness


def read(*path):
    with open(os.path.join(harness.ROOT, *path), encoding="utf-8") as file:
        return file.read()


def without_comments(text):
    return re.sub(r"[ \t]+#.*$", "", text, flags=re.M)


def configurations(name):
    return re.findall(r"^```yaml\n(.*?)^```$", read(name), re.S | re.M)


def commands(name):
    """Lines of indented blocks, outside of fences, without comments."""
    text = re.sub(r"^```.*?^```$", "", read(name), flags=re.S | re.M)
    return [without_comments(line).strip() for line in re.findall(r"^    (\S.*)$", text, re.M)]


EVENTS = [
    {"type": "order.created", "id": "1", "ts": "2026-03-02T10:00:00Z", "order_id": "a", "channel": "web"},
    {"type": "order.paid", "id": "2", "ts": "2026-03-02T10:00:01Z", "order_id": "a", "channel": "web", "amount": 12.5},
]


class Readme(harness.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kpid-test-")
        self.addCleanup(shutil.rmtree, self.folder)

    def run_in(self, folder, command, code=0, **env):
        path = os.pathsep.join([os.path.dirname(harness.tool("daemon", "app", "kpid")),
                                os.path.dirname(harness.tool("daemon", "ctl", "kpictl")), os.environ["PATH"]])
        done = subprocess.run(["bash", "-c", command], cwd=folder, env=os.environ | {"PATH": path} | env,
                              capture_output=True, text=True, timeout=120 * harness.SLOW, check=False)
        self.assertEqual(done.returncode, code, f"{command}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    # ---- how each command is run ----

    def clone(self, command):
        said = self.run_in(self.folder, command.replace("<this repository>", f"file://{harness.ROOT}"))
        for name in ("quickstart", "check"):
            self.assertTrue(os.access(os.path.join(self.folder, "kpid", name), os.X_OK), said)

    def quickstart(self, command):
        """test_quickstart.py runs it to its end."""
        self.assertIn("--keep", self.run_in(harness.ROOT, command + " --help"))
        self.assertIn("test_quickstart.py", os.listdir(os.path.join(harness.ROOT, "tests", "integration")))

    def check(self, command):
        """It is what runs this."""
        self.assertIn("--fast", self.run_in(harness.ROOT, command + " --what", code=2))

    def on_the_example(self, command):
        with open(os.path.join(self.folder, "kpid.yaml"), "w", encoding="utf-8") as file:
            file.write(configurations("README.md")[0])
        with open(os.path.join(self.folder, "events.jsonl"), "w", encoding="utf-8") as file:
            file.writelines(json.dumps({"topic": "orders", "key": "a", "value": event}) + "\n" for event in EVENTS)
        said = self.run_in(self.folder, command)
        if "--check" in command:
            self.assertIn("ok", said)
        if "explain" in command:
            self.assertIn("revenue / orders", said)
        if "replay" in command:
            self.assertIn("in 2 =", said)
            self.assertIn("(balanced)", said)
            self.assertRegex(said, r"order_value +day +12\.5 ")

    def install(self, command):
        """The presets are there; what is built already is installed to another place."""
        self.assertIn('"release"', self.run_in(harness.ROOT, "cmake --list-presets && cmake --list-presets=build"))
        step = command.split("&&")[-1].strip()
        self.assertTrue(step.startswith("cmake --install build/release --prefix "), step)
        self.run_in(harness.ROOT, step.replace("build/release", harness.BUILD).replace("/usr", self.folder))
        for name in ("sbin/kpid", "bin/kpictl", "share/man/man8/kpid.8"):
            self.assertTrue(os.path.exists(os.path.join(self.folder, name)), name)

    def enable(self, command):
        """No systemd runs in tests: that there is such a unit, test_install.py verifies what it says."""
        unit = command.split()[-1]
        self.assertTrue(os.path.exists(os.path.join(harness.BUILD, "systemd", f"{unit}.service")), command)

    KNOWN = (("git clone ", clone), ("./quickstart", quickstart), ("./check", check), ("kpid -c ", on_the_example),
             ("kpictl -c ", on_the_example), ("cmake --preset ", install), ("systemctl enable ", enable))

    # ---- tests ----

    def test_commands(self):
        found = commands("README.md")
        self.assertGreaterEqual(len(found), 8)
        for command in found:
            with self.subTest(command):
                run = next((how for start, how in self.KNOWN if command.startswith(start)), None)
                self.assertIsNotNone(run, f"this test does not know how to run: {command}")
                run(self, command)

    def test_configurations(self):
        found = configurations("README.md")
        self.assertEqual(len(found), 2)
        # The second one is a part: what it lacks is added.
        found[1] += "measures: { orders: { from: shop, where: type == \"order.created\", count: } }\n"
        found[1] += "kpis: { orders: { formula: orders, windows: [5m] } }\n"
        for text in found:
            with self.subTest(text[:40]):
                path = os.path.join(self.folder, "kpid.yaml")
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                self.run_in(self.folder, "kpid -c kpid.yaml --check", KAFKA_PASSWORD="secret")

    def test_chinese_has_the_same(self):
        self.assertEqual(commands("README.zh-CN.md"), commands("README.md"))
        for chinese, english in zip(configurations("README.zh-CN.md"), configurations("README.md"), strict=True):
            self.assertEqual(without_comments(chinese), without_comments(english))
        for heading in (r"^# ", r"^## "):
            self.assertEqual(len(re.findall(heading, read("README.zh-CN.md"), re.M)),
                             len(re.findall(heading, read("README.md"), re.M)))
        # Every name in code that the one explains, the other does.
        names = [set(re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", read(name), flags=re.S | re.M)))
                 for name in ("README.zh-CN.md", "README.md")]
        self.assertEqual(names[0], names[1])

    def test_manual_names_what_there_is(self):
        for program, folder, page in (("kpid", "app", "kpid.8"), ("kpictl", "ctl", "kpictl.1")):
            said = self.run_in(self.folder, f"{program} --help")
            manual = read("systemd", page).replace("\\-", "-")
            for option in set(re.findall(r"--([a-z]+)", said)) - {"help", "version"}:
                self.assertRegex(manual, rf"Fl -{option}\b", f"{page} does not name --{option}")
            for command in re.findall(r"^  ([a-z-]+) ", said, re.M):
                self.assertRegex(manual, rf"\.It Cm {command}\b", f"{page} does not name {command}")


if __name__ == "__main__":
    harness.main()
