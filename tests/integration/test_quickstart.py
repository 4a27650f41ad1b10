#!/usr/bin/python3
"""./quickstart without a terminal: figures, alerts that fire and resolve, and nothing left behind."""

# alone: it has two minutes for its traffic, and builds

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import harness

SECONDS = str(round(12 * harness.SLOW))
DEADLINE_S = 130


class Quickstart(harness.TestCase):
    def setUp(self):
        # All that it starts has this folder in its environment or, where it writes over that, in its title.
        self.runtime = tempfile.mkdtemp(prefix="kpid-test-")
        self.addCleanup(shutil.rmtree, self.runtime, ignore_errors=True)
        self.addCleanup(self.kill_rest)
        self.env = os.environ | {"KPID_BUILD": harness.BUILD, "XDG_RUNTIME_DIR": self.runtime}
        self.env["KPID_WITHIN_S"] = str(round(108 * harness.SLOW))
        self.env["KPID_END_S"] = str(round(8 * harness.SLOW))

    def processes(self):
        """The programs of ours that run, by pid."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as first:
                    known = first.read()
                with open(f"/proc/{pid}/cmdline", "rb") as second:
                    known += second.read()
                if self.runtime.encode() in known:
                    with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                        found[int(pid)] = file.read().strip()
            except OSError:
                pass
        return found

    def kill_rest(self):
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass

    def assert_nothing_left(self):
        harness.wait_for(lambda: not self.processes(), 5, "the end of all processes")
        self.assertEqual(os.listdir(self.runtime), [])

    def start(self, *args):
        return subprocess.Popen(
            ["./quickstart", *args],
            cwd=harness.ROOT,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # Where this run was started in the background, SIGINT may be ignored, which bash would keep.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def run_to_end(self, *args):
        process = self.start(*args)
        try:
            out, _ = process.communicate(timeout=DEADLINE_S * harness.SLOW)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError("it does not come to an end:\n" + process.communicate()[0]) from None
        self.assertEqual(process.returncode, 0, out)
        return out

    def test_figures_and_alerts(self):
        out = self.run_to_end("--seconds", SECONDS)
        self.assertRegex(out, r"(?m)^conversion +5m +\* +\d+\.\d\d % .* (ok|warn|crit) ")
        self.assertRegex(out, r"(?m)^FIRING +\w+ conversion \w+ channel=app: ")
        self.assertRegex(out, r"(?m)^RESOLVED +\w+ conversion \w+ channel=app: ")
        self.assertEqual(len(re.findall(r"\(balanced\)", out)), 3, out)
        self.assertIn("redis-cli", out)
        self.assert_nothing_left()

    def test_interrupted(self):
        process = self.start("--seconds", "100")
        self.addCleanup(process.stdout.close)
        for line in process.stdout:
            if line.startswith("---- "):
                break
        process.send_signal(signal.SIGINT)
        try:
            out, _ = process.communicate(timeout=24 * harness.SLOW)
        except subprocess.TimeoutExpired:
            left = self.processes()
            self.kill_rest()
            raise AssertionError(f"it has not ended, {left} were left:\n{process.communicate()[0]}") from None
        self.assertEqual(process.returncode, 130, out)
        self.assertNotIn("had to be killed", out)
        self.assert_nothing_left()

    def test_kept_and_stopped(self):
        out = self.run_to_end("--seconds", SECONDS, "--keep")
        self.assertEqual(sorted(self.processes().values()), ["kpid", "kpid-generate", "redis-server"])
        look = re.search(r"(?m)^ +look: +(.*) top$", out).group(1)
        shown = subprocess.check_output(f"{look} show conversion", shell=True, cwd=harness.ROOT, text=True)
        self.assertRegex(shown, r"(?m)^conversion ")
        self.assertIn("ending kpid", self.run_to_end("--stop"))
        self.assert_nothing_left()


if __name__ == "__main__":
    harness.main()
