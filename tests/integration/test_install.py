#!/usr/bin/python3
"""The unit, the metrics page, the manual, and the shape of the tree."""

import os
import re
import subprocess
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import harness

ROOT = harness.ROOT
# What the pure libraries may call: libc and libm that touch nothing outside of their arguments.
PURE = set("""malloc calloc realloc free abort memcpy memmove memset memcmp memchr memrchr strlen strcmp strncmp strchr strrchr
strtod strtol strtoll strtoull snprintf vsnprintf __snprintf_chk __vsnprintf_chk qsort bsearch log exp pow sqrt fabs floor ceil
lround llround round rint erf erfc lgamma lgamma_r fmod frexp ldexp scalbn log1p expm1 log2 log10 isnan isinf __assert_fail
__stack_chk_fail fputs fprintf fwrite stderr __fprintf_chk __isoc99_sscanf strndup strdup memcpy_chk __memcpy_chk __memset_chk
tgamma nan trunc nearbyint lrint llrint fmin fmax strpbrk strstr strspn strcspn tolower toupper __ctype_b_loc
__ctype_tolower_loc isfinite cbrt hypot __memmove_chk __strcpy_chk _GLOBAL_OFFSET_TABLE_ sin cos exp2 errno __errno_location
log_gamma strcpy strcat __divti3 __modti3 __udivti3 __umodti3 __floattidf __floatuntidf __fixdfti __fixunsdfti __multi3 __udivmodti4 __divmodti4
__muloti4 __popcountdi2""".split())


class Unit(harness.TestCase):
    def unit(self, name="kpid.service"):
        return os.path.join(harness.BUILD, "systemd", name)

    def test_systemd_rates_the_unit(self):
        for name in ("kpid.service", "kpid@.service"):
            done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", self.unit(name)],
                                  capture_output=True, text=True)
            rate = float(re.search(r"exposure level for kpid(?:@\S*)?\.service: ([0-9.]+)", done.stdout).group(1))
            print(f"systemd-analyze security: {name} {rate}", flush=True)
            self.assertLessEqual(rate, 2.0)

    def test_systemd_accepts_the_unit(self):
        import shutil
        import tempfile
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(self.unit("kpid@.service"), os.path.join(folder, "kpid@9464.service"))
            for unit in (self.unit(), os.path.join(folder, "kpid@9464.service")):
                done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
                said = [line for line in done.stderr.splitlines() if "kpid" in line and "is not executable" not in line
                        and "not found" not in line.lower()]
                self.assertEqual(said, [])

    def test_the_installation_is_whole(self):
        import tempfile
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["cmake", "--install", harness.BUILD], env=os.environ | {"DESTDIR": folder}, check=True,
                           capture_output=True)
            names = {name for _, _, files in os.walk(folder) for name in files}
        for name in ("kpid", "kpictl", "kpid.service", "kpid@.service", "kpid.yaml", "kpid.conf", "kpid.8", "kpictl.1", "kpid.yaml.5",
                     "kpid-redis.7", "snapshot.schema.json", "cn-workdays.yaml", "us-federal.yaml", "br-national.yaml", "24x7.yaml"):
            self.assertIn(name, names)


class Metrics(harness.TestCase):
    def test_promtool_accepts_the_page(self):
        port = harness.free_port()
        with harness.Kafka() as kafka, harness.Redis() as redis:
            topic = kafka.topic("shop", partitions=2)
            kafka.produce([{"topic": topic, "key": "k", "value": {"type": "a", "id": "1", "ts": 1700000000000}},
                           {"topic": topic, "key": "k", "raw": "no event"}])
            config = f'''
clock: events
tick: 100ms
kafka: {{ brokers: "{kafka.brokers}", group: {kafka.unique("metrics")} }}
redis: {{ url: "redis://{redis.address}" }}
http: {{ listen: "127.0.0.1:{port}" }}
sources: {{ shop: {{ topics: [{topic}] }} }}
measures: {{ all: {{ from: shop, count: }} }}
kpis: {{ all: {{ formula: all, unit: count, windows: [1m] }} }}
'''
            with harness.Kpid(config) as kpid:
                def page(path):
                    try:
                        return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).read().decode()
                    except OSError:
                        return ""
                harness.wait_for(lambda: 'class="malformed"} 1' in page("/metrics"), 30, "the ledger on the page")
                harness.wait_for(lambda: page("/readyz").startswith("ready"), 30, "/readyz")
                self.assertEqual(page("/healthz"), "ok\n")
                done = subprocess.run(["promtool", "check", "metrics"], input=page("/metrics"), text=True,
                                      capture_output=True)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                kpid.stop()


class Tree(harness.TestCase):
    def test_folders_say_what_they_are(self):
        for folder in sorted(os.listdir(os.path.join(ROOT, "daemon"))):
            self.assertTrue(os.path.exists(os.path.join(ROOT, "daemon", folder, "README.md")), folder)

    def test_no_file_is_two_subjects(self):
        long = []
        for at, _, names in os.walk(os.path.join(ROOT, "daemon")):
            for name in names:
                with open(os.path.join(at, name), encoding="utf-8", errors="replace") as file:
                    lines = sum(1 for _ in file)
                if lines > 600:
                    long.append((name, lines))
        self.assertEqual(long, [])

    @harness.of_plain_builds # sanitizers bring symbols of their own
    def test_the_core_is_pure(self):
        defined, wanted = set(), {}
        for name in ("util", "engine", "evaluate"):
            library = os.path.join(harness.BUILD, "daemon", name, f"libkpid_{name}.a")
            out = subprocess.run(["nm", "-P", library], capture_output=True, text=True, check=True).stdout
            for line in out.splitlines():
                parts = line.split()
                if len(parts) < 2 or parts[0].endswith(":"):
                    continue
                if parts[1] == "U":
                    wanted.setdefault(parts[0], name)
                else:
                    defined.add(parts[0])
                    self.assertFalse(parts[1] in "BbDCc" and not parts[0].startswith(("kpid_agg", "completed", ".")) and
                                     parts[1] in "BbCc", f"{name}: {parts[0]} is global mutable state")
        foreign = {symbol: name for symbol, name in wanted.items() if symbol not in defined and symbol not in PURE}
        self.assertEqual(foreign, {})


if __name__ == "__main__":
    harness.main()
