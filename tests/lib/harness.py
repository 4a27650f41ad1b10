"""What integration tests stand on: a private Redis, a real Kafka broker, the daemon, and waiting with a
deadline.

    import harness

    class Revenue(harness.TestCase):
        def test_counts(self):
            with harness.Kafka() as kafka, harness.Redis() as redis:
                topic = kafka.topic("orders", partitions=6)
                kafka.produce([{"topic": topic, "key": "1", "value": {"type": "order.paid", "ts": 1}}])
                with harness.Kpid({...}) as kpid:
                    harness.wait_for(lambda: redis.client.get("..."), 10, "the figure")
                    kpid.stop()

    if __name__ == "__main__":
        harness.main()

Everything runs on free ports of 127.0.0.1 in temporary folders and ends with the test. The broker is shared
by all tests of a run, so topics get names of their own. There are no sleeps: only wait_for.

Environment: KPID_BUILD the build tree (default build/release); KPID_DATA the data sets (default
../shared/data); KPID_TEST_BROKERS a broker to share; KPID_TEST_NO_KAFKA why there is none; KPID_TEST_SLOW a
factor for deadlines.
"""

import atexit
import ctypes
import importlib.machinery
import importlib.util
import itertools
import json
import os
import queue
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import unittest

import redis as redis_client
import yaml

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.realpath(os.environ.get("KPID_BUILD") or os.path.join(ROOT, "build", "release"))
SLOW = float(os.environ.get("KPID_TEST_SLOW") or 1)

SANITIZED = "sanitize" in BUILD

_numbers = itertools.count(1)
_loader = importlib.machinery.SourceFileLoader("kpid_test_kafka", os.path.join(HERE, "kafka"))
_broker = importlib.util.module_from_spec(importlib.util.spec_from_loader("kpid_test_kafka", _loader))
sys.dont_write_bytecode = True
_loader.exec_module(_broker)


class TestCase(unittest.TestCase):
    """unittest's, with whole differences."""

    maxDiff = None


def of_plain_builds(test):
    """For a test that says nothing of a build with sanitizers: there it does not exist."""
    return None if SANITIZED else test


def wait_for(predicate, deadline_s, what):
    """Calls `predicate` until it returns something true, and returns that. An AssertionError, KeyError,
    IndexError or lost connection in it means "not yet". Fails after the deadline, which is stretched for slow
    builds."""
    end = time.monotonic() + deadline_s * SLOW
    seen = None
    while True:
        try:
            seen = predicate()
            if seen:
                return seen
        except (AssertionError, KeyError, IndexError, OSError, redis_client.ConnectionError) as error:
            seen = error
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s * SLOW:g} s: {what} (last: {seen!r})")
        time.sleep(0.02)


def holds_within(predicate, deadline_s):
    """Whether `predicate` becomes true in time, for a test that then says in detail what is wrong."""
    try:
        return bool(wait_for(predicate, deadline_s, "it holds"))
    except AssertionError:
        return False


def free_port():
    """A port of 127.0.0.1 on which nobody listens now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def data_dir(name=""):
    """The folder with the public data sets, or of one of them; skips the test where it is absent."""
    folder = os.path.join(os.environ.get("KPID_DATA") or os.path.join(ROOT, "..", "shared", "data"), name)
    if not os.path.isdir(folder):
        raise unittest.SkipTest(f"no data in {os.path.normpath(folder)} (set KPID_DATA)")
    return os.path.realpath(folder)


def tool(*path):
    """A program of the build tree."""
    full = os.path.join(BUILD, *path)
    if not os.access(full, os.X_OK):
        raise AssertionError(f"{full} is not built")
    return full


def die_with_parent():
    """For a child before exec: end when the test does, however that ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def tail(path, lines=40):
    with open(path, encoding="utf-8", errors="replace") as file:
        return "".join(file.readlines()[-lines:])


class _Folder:
    """A temporary folder, and `with`; subclasses have start() and close()."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="kpid-test-")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


class _Broker(_Folder):
    """A broker of our own. Data and port outlive stop() and start()."""

    def __init__(self, properties):
        super().__init__()
        self.properties = properties
        self.brokers = None
        try:
            self.start()
        except Exception:
            self.close()
            raise

    def start(self):
        try:
            self.brokers = _broker.start(self.dir, 0, self.properties, die_with_parent)
        except _broker.Failure as failure:
            raise AssertionError(str(failure)) from None

    def stop(self):
        _broker.stop(self.dir)

    def kill(self):
        pid = _broker.pid_of(self.dir)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not _broker.alive(self.dir), 10, "the broker's end")

    def close(self):
        _broker.stop(self.dir)
        super().close()


class _SecondBroker(_Broker):
    """Another broker beside a first one, which stays the controller."""

    def __init__(self, first):
        with open(os.path.join(first.dir, "server.properties"), encoding="utf-8") as file:
            voters = re.search(r"^controller\.quorum\.voters=(.*)$", file.read(), re.M).group(1)
        self._port = free_port()
        super().__init__(
            first.properties
            | {
                "process.roles": "broker",
                "node.id": "2",
                "controller.quorum.voters": voters,
                "kpid.port": self._port,
                "listeners": f"PLAINTEXT://127.0.0.1:{self._port}",
                "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self._port}",
            }
        )

    def start(self):
        data = os.path.join(self.dir, "data")
        if not os.path.isdir(data):
            shutil.copytree(os.path.join(_broker.fetch(), "template"), data)
            path = os.path.join(data, "meta.properties")
            with open(path, encoding="utf-8") as file:
                text = file.read().replace("node.id=1", "node.id=2")
            with open(path, "w", encoding="utf-8") as file:
                file.write(re.sub(r"directory\.id=.*", f"directory.id={secrets.token_urlsafe(16)}", text))
        super().start()


# A killed broker may come back only after its old session has ended.
_RESTARTABLE = {"broker.session.timeout.ms": "2000", "broker.heartbeat.interval.ms": "500"}
_shared = []


def shared_brokers():
    """The address of the run's broker; starts one for this process if nobody gave one. Skips where Kafka
    cannot be."""
    if os.environ.get("KPID_TEST_BROKERS"):
        return os.environ["KPID_TEST_BROKERS"]
    if os.environ.get("KPID_TEST_NO_KAFKA"):
        raise unittest.SkipTest("no Kafka: " + os.environ["KPID_TEST_NO_KAFKA"])
    if not _shared:
        try:
            _broker.fetch()
        except _broker.Failure as failure:
            os.environ["KPID_TEST_NO_KAFKA"] = str(failure).splitlines()[0]
            return shared_brokers()
        _shared.append(_Broker({}))
        atexit.register(_shared[0].close)
    return _shared[0].brokers


# Properties of a broker on which everybody may do everything that is not denied.
AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}


class Kafka:
    """The shared broker, or with private=True one of our own that may be stopped, killed and started again
    and takes server properties. Topics made here are deleted at the end."""

    def __init__(self, private=False, properties=None):
        if private or properties:
            if os.environ.get("KPID_TEST_NO_KAFKA"):
                shared_brokers()
            self._own = _Broker(_RESTARTABLE | (properties or {}))
            self.brokers = self._own.brokers
        else:
            self._own = None
            self.brokers = shared_brokers()
        self._second = None
        self._topics = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self._second:
            self._second.close()
        if self._own:
            self._own.close()
        elif self._topics:
            subprocess.run(
                [tool("tests", "lib", "kpid-test-topic"), self.brokers, "--delete", *self._topics],
                stderr=subprocess.DEVNULL,
                check=False,
            )
        self._topics = []

    def second(self):
        """A second broker beside a private one, with start(), stop(), kill(); ended with the first. Topics that are to
        outlive it have replicas=2."""
        self._second = _SecondBroker(self._own)
        self.brokers += "," + self._second.brokers
        return self._second

    def start(self):
        self._own.start()

    def stop(self):
        self._own.stop()

    def kill(self):
        self._own.kill()

    def _admin(self, *args):
        done = subprocess.run(
            [tool("tests", "lib", "kpid-test-topic"), self.brokers, *map(str, args)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AssertionError(done.stderr)

    def unique(self, name):
        """A name for a topic or a group that no other test has."""
        return f"{name}-{os.getpid()}-{next(_numbers)}"

    def topic(self, name, partitions=6, exact=False, **settings):
        """Makes a topic (settings with _ for .) and returns its unique name; with exact=True the name as it
        is, for private brokers."""
        name = name if exact else self.unique(name)
        self._admin(
            name, partitions, *(f"{key.replace('_', '.')}={value}" for key, value in settings.items())
        )
        self._topics.append(name)
        return name

    def grow(self, topic, partitions):
        self._admin("--grow", topic, partitions)

    def cut(self, topic, partition, offset):
        """Deletes the records before an offset, as retention does."""
        self._admin("--cut", topic, partition, offset)

    def deny(self, kind, name):
        """Nobody may read a topic, or use a group, until allow(); for brokers with an authorizer (see AUTHORIZER)."""
        self._admin("--deny", kind, name)

    def allow(self, kind, name):
        self._admin("--allow", kind, name)

    def delete(self, topic):
        self._admin("--delete", topic)
        self._topics.remove(topic)

    def produce(self, lines, partitioner="murmur2_random"):
        """Sends lines and returns how many: dicts with topic, key, value | raw | hex [, partition], or such
        lines as text (then `value` goes out byte for byte), or an open file of them. All are acknowledged on
        return.
        """
        return produce(self.brokers, lines, partitioner)

    def transactional(self, name):
        """A producer with a transactional.id of this name, see Transactional. A second one fences the first, and ends
        what that left open."""
        return Transactional(self.brokers, name)

    def read(self, topic):
        """All messages of a topic, from its beginning to its present end, as kcat describes them: partition,
        offset, key, payload (text), headers (a list: name, value, name, value ...), ts."""
        asked = ["kcat", "-b", self.brokers, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-J"]
        done = subprocess.run(asked, capture_output=True, timeout=60 * SLOW, check=False)
        if done.returncode:
            raise AssertionError(done.stderr.decode(errors="replace"))
        return [json.loads(line) for line in done.stdout.decode(errors="replace").splitlines()]


class Transactional:
    """begin(), send(lines), then commit() or abort(); flush() makes sure that the brokers have what was sent. close(),
    or the end of `with`, leaves an open transaction open."""

    def __init__(self, brokers, name):
        self._process = subprocess.Popen(
            [tool("tests", "lib", "kpid-test-produce"), brokers, "--transactional", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,
        )

    def _step(self, word):
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        said = self._process.stdout.readline().strip()
        if said != "ok":
            raise AssertionError(f"{word}: {said or 'the producer ended'}")

    def begin(self):
        self._step("begin")

    def send(self, lines):
        for line in lines:
            self._process.stdin.write(json.dumps(line) + "\n")

    def flush(self):
        self._step("flush")

    def commit(self):
        self._step("commit")

    def abort(self):
        self._step("abort")

    def close(self):
        self._process.kill()
        self._process.communicate()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def produce(brokers, lines, partitioner="murmur2_random"):
    """See Kafka.produce."""
    if not hasattr(lines, "fileno"):
        texts = (line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines)
        source = {"input": "".join(text.rstrip("\n") + "\n" for text in texts).encode()}
    else:
        source = {"stdin": lines}
    done = subprocess.run(
        [tool("tests", "lib", "kpid-test-produce"), brokers, "--default-partitioner", partitioner],
        capture_output=True,
        check=False,
        **source,
    )
    if done.returncode:
        raise AssertionError(done.stderr.decode(errors="replace"))
    return int(done.stdout.split()[-1])


class Redis(_Folder):
    """A private redis-server that keeps nothing on disk. Arguments go to redis-server, e.g. "--maxmemory",
    "10mb". `client` gives text, `raw` bytes. After stop() or kill(), start() brings it back on the same port,
    empty unless the arguments ask for persistence."""

    def __init__(self, *args, password=None):
        super().__init__()
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.args = ("--requirepass", password, "--masterauth", password, *args) if password else args
        self.process = None
        self.client = redis_client.Redis(port=self.port, password=password, decode_responses=True)
        self.raw = redis_client.Redis(port=self.port, password=password)
        try:
            self.start()
        except Exception:
            self.close()
            raise

    def command(self):
        """What is run; for what is no plain server."""
        return [
            "redis-server",
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--dir",
            self.dir,
            "--save",
            "",
            "--appendonly",
            "no",
            "--logfile",
            os.path.join(self.dir, "log"),
            *self.args,
        ]

    def start(self):
        self.process = subprocess.Popen(
            self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent
        )
        wait_for(self._answers, 10, "an answer of Redis")

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError("redis-server ended:\n" + tail(os.path.join(self.dir, "log")))
        return self.client.ping()

    def stop(self):
        self._end(signal.SIGTERM)

    def kill(self):
        self._end(signal.SIGKILL)

    def pause(self):
        """Stands still, connections open: a Redis that hangs. Goes on after resume()."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def _end(self, sign):
        if self.process and self.process.poll() is None:
            self.process.send_signal(sign)
            self.process.send_signal(signal.SIGCONT)
            self.process.wait(10)

    def close(self):
        self.kill()
        self.client.close()
        self.raw.close()
        super().close()


class Delay:
    """A proxy in front of a port of 127.0.0.1: what the server answers arrives `seconds` later, in order, and
    pipelines stay pipelines. With `hold` (bytes) nothing is answered on a connection on which a request with
    these bytes was seen, until release()."""

    def __init__(self, port, seconds=0.0, hold=None):
        self.seconds = seconds
        self.hold = hold
        self._target = port
        self._released = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._start(self._accept)

    @staticmethod
    def _start(run, *args):
        threading.Thread(target=run, args=args, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            answers, held = queue.Queue(), threading.Event()
            self._start(self._ask, client, server, held)
            self._start(self._listen, server, answers)
            self._start(self._answer, answers, client, held)

    def _ask(self, client, server, held):
        try:
            while part := client.recv(65536):
                if self.hold and self.hold in part:
                    held.set()
                server.sendall(part)
        except OSError:
            pass
        server.close()

    @staticmethod
    def _listen(server, answers):
        try:
            while part := server.recv(65536):
                answers.put((time.monotonic(), part))
        except OSError:
            pass
        answers.put(None)

    def _answer(self, answers, client, held):
        try:
            while entry := answers.get():
                if held.is_set():
                    self._released.wait()
                time.sleep(max(0.0, entry[0] + self.seconds - time.monotonic()))
                client.sendall(entry[1])
        except OSError:
            pass
        client.close()

    def release(self):
        self._released.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release()
        self._socket.close()


class Kpid(_Folder):
    """The daemon. `config` is a dict, YAML text, or the path of a file; its standard output and error go to
    `log`. Leaving the `with` block kills what still runs; call stop() where a clean end belongs to the
    test."""

    program = ("daemon", "app", "kpid")
    there = []  # those whose folders are there

    def __init__(self, config, *args, env=None, start=True):
        super().__init__()
        self.log = os.path.join(self.dir, "log")
        self.config = self._write(config)
        self.args = args
        self.env = os.environ | (env or {})
        self.process = None
        Kpid.there.append(self)
        if start:
            self.start()

    def _write(self, config, name="kpid.yaml"):
        if isinstance(config, str) and "\n" not in config and os.path.exists(config):
            return config
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(
                config
                if isinstance(config, str)
                else yaml.safe_dump(config, allow_unicode=True, sort_keys=False)
            )
        return path

    def rewrite(self, config):
        """Another configuration in the same file, for a reload; whoever reads it finds the one or the other."""
        path = self._write(config, "next.yaml")
        os.replace(path, self.config)

    def start(self):
        command = [tool(*self.program), "-c", self.config, *self.args]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.env,
                preexec_fn=die_with_parent,
            )

    @property
    def pid(self):
        return self.process.pid

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_log(self, pattern, deadline_s=10):
        """Waits until the log has a match of the regular expression, and returns that. Fails if the daemon
        ends."""

        def look():
            match = re.search(pattern, self.log_text())
            if not match and self.process.poll() is not None:
                raise RuntimeError(f"kpid ended with {self.process.returncode}:\n" + tail(self.log))
            return match

        return wait_for(look, deadline_s, f"{pattern!r} in the log of kpid")

    def signal(self, sign):
        self.process.send_signal(sign)

    def wait(self, deadline_s=5):
        """The exit code of a daemon that should end by itself."""
        try:
            return self.process.wait(deadline_s * SLOW)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"kpid did not end within {deadline_s * SLOW:g} s:\n" + tail(self.log)
            ) from None

    def stop(self, deadline_s=10):
        """TERM; asserts exit code 0 in time, which is as long as systemd waits (TimeoutStopSec)."""
        self.process.send_signal(signal.SIGTERM)
        code = self.wait(deadline_s)
        if code:
            raise AssertionError(f"kpid ended with {code}:\n" + tail(self.log))

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __exit__(self, kind, *_):
        if kind and kind is not unittest.SkipTest:
            print(f"log of kpid:\n{tail(self.log) if self.process else '(not started)'}", file=sys.stderr)
        self.close()

    def close(self):
        self.kill()
        if self in Kpid.there:
            Kpid.there.remove(self)
        super().close()


def kpictl(*args, check=True, stdin=None, timeout_s=60):
    """Runs kpictl; returns its CompletedProcess with text."""
    done = subprocess.run(
        [tool("daemon", "ctl", "kpictl"), *map(str, args)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s * SLOW,
        check=False,
    )
    if check and done.returncode:
        raise AssertionError(
            f"kpictl {' '.join(map(str, args))}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done


class _Result(unittest.TestResult):
    """A line a test; what went wrong follows it at once."""

    def __init__(self):
        super().__init__()
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.began = 0.0

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def _line(self, kind, word, test, more=""):
        self.counts[kind] += 1
        name = test.id().removeprefix("__main__.")
        print(f"{word} {name} [{time.monotonic() - (self.began or time.monotonic()):.1f}s]{more}", flush=True)

    def addSuccess(self, test):
        self._line("passed", "ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._line("skipped", "skip", test, " " + reason)

    def _failed(self, test, error):
        self._line("failed", "not ok", test)
        print("".join(traceback.format_exception(*error)), flush=True)
        for kpid in Kpid.there:
            if kpid.process:
                print(f"log of kpid {os.path.basename(kpid.dir)}:\n{tail(kpid.log, 60)}", flush=True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._failed(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self._failed(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self._failed(subtest, err)

    def addExpectedFailure(self, test, err):
        self._line("passed", "ok", test)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._line("failed", "not ok", test, " was expected to fail")


def main():
    """Runs the tests of the calling file, or those whose names hold one of the arguments; exits 0 if none
    failed."""
    loader = unittest.TestLoader()
    if len(sys.argv) > 1:
        loader.testNamePatterns = [f"*{word}*" for word in sys.argv[1:]]
    result = _Result()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    loader.loadTestsFromModule(sys.modules["__main__"]).run(result)
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**result.counts), flush=True)
    sys.exit(1 if result.counts["failed"] else 0)
