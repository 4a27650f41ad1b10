"""What is disturbed: a Redis that can lose its last seconds, connections that deliver late, and instances of kpid."""

import os
import shutil
import signal
import socket
import threading
import time

import harness
import harness_redis


class Headers:
    """What tells of owners, whatever Redis is made of."""

    def headers(self):
        """Key of a shard's header -> (nonce, seq)."""
        found = {}
        for key in list(self.client.scan_iter("kpi:s:*:h", count=1000)):
            nonce, seq = self.client.hmget(key, "nonce", "seq")
            found[key] = (nonce, int(seq or 0))
        return found


class Redis(Headers, harness.Redis):
    """One server. Keeps what it has over a clean restart. `mark` puts a copy of the present state aside; `lose` kills the
    server and brings that copy back, as a failover to a replica that lagged would."""

    has_wires = True

    def __init__(self):
        super().__init__("--dbfilename", "dump.rdb", "--stop-writes-on-bgsave-error", "no")

    def restart(self):
        self.client.shutdown(save=True)
        self.process.wait(20)
        self.start()

    def mark(self):
        self.client.save()
        shutil.copy(os.path.join(self.dir, "dump.rdb"), os.path.join(self.dir, "marked.rdb"))

    def lose(self):
        self.kill()
        os.replace(os.path.join(self.dir, "marked.rdb"), os.path.join(self.dir, "dump.rdb"))
        self.start()

    def recover(self):
        pass

    @property
    def url(self):
        return f"redis://{self.address}"


class Sentinel(Headers, harness_redis.Sentinel):
    """A master that is lost to a replica which heard of nothing since `mark`."""

    has_wires = False

    def mark(self):
        self.hold()

    def lose(self):
        self.fail_over()

    def recover(self):
        self.bring_back()


class _Client:
    """Commands to a cluster. The library's client loses its way when slots move: then another one asks once more."""

    def __init__(self, port):
        self.port = port

    def __getattr__(self, name):
        def call(*args, **kwargs):
            for last in (*[False] * 50, True):
                client = None
                try:
                    client = harness.redis_client.RedisCluster(host="127.0.0.1", port=self.port(), decode_responses=True)
                    answer = getattr(client, name)(*args, **kwargs)
                    return list(answer) if name == "scan_iter" else answer
                except (harness.redis_client.RedisError, harness.redis_client.exceptions.RedisClusterException, OSError):
                    if last:
                        raise
                    time.sleep(0.1)
                finally:
                    if client:
                        client.close()

        return call


class Cluster(Headers, harness_redis.Cluster):
    """Three masters, one of which is lost to its replica; meanwhile the slot of a shard goes back and forth."""

    has_wires = False

    def __init__(self):
        super().__init__(replicas=True)
        self.held = None
        self.moves = 0
        self.still = threading.Lock() # no slot moves while masters change
        self.ended = threading.Event()
        self.mover = threading.Thread(target=self._move_on, daemon=True)
        self.mover.start()

    @property
    def client(self):
        return _Client(lambda: self.alive()[0].port)

    @client.setter
    def client(self, client):
        if client:
            client.close()

    def close(self):
        self.ended.set()
        self.mover.join(10)
        for node in self.nodes:
            node.close()

    def _move_on(self):
        while not self.ended.wait(1):
            with self.still:
                keys = sorted(self.headers())
                if not keys:
                    continue
                slot = self.slot(keys[self.moves // 2 % len(keys)])
                masters = [node for node in self.alive() if node.client.role()[0] == "master"]
                source = self.owner(slot)
                self.move(slot, next(node for node in masters if node is not source))
                self.moves += 1

    def mark(self):
        self.still.acquire()
        master = self.owner(self.slot(sorted(self.headers())[0]))
        self.held = master, self.hold(master)

    def lose(self):
        self.fail_over(*self.held)

    def recover(self):
        self.bring_back(self.held[0])
        self.still.release()


TOPOLOGIES = {"standalone": Redis, "sentinel": Sentinel, "cluster": Cluster}


class Wire:
    """A proxy in front of a port. hold() keeps what clients send from then on; deliver() hands it to the server after
    all, though the client may be gone: late commits."""

    def __init__(self, port):
        self.target = port
        self.lock = threading.Condition()
        self.holding = False
        self.held_bytes = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self._start(self._accept)

    @staticmethod
    def _start(run, *args):
        threading.Thread(target=run, args=args, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            self._start(self._ask, client, server)
            self._start(self._answer, server, client)

    def _ask(self, client, server):
        try:
            while part := client.recv(262144):
                with self.lock:
                    self.held_bytes += len(part) if self.holding else 0
                    self.lock.wait_for(lambda: not self.holding)
                server.sendall(part)
        except OSError:
            pass
        try:  # the client is gone; what it asked for may still run
            server.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    @staticmethod
    def _answer(server, client):
        try:
            while part := server.recv(262144):
                client.sendall(part)
        except OSError:
            pass
        for end in (client, server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def hold(self):
        with self.lock:
            self.holding, self.held_bytes = True, 0

    def deliver(self):
        with self.lock:
            self.holding = False
            self.lock.notify_all()

    def close(self):
        self.deliver()
        self.socket.close()


class Instance(harness.Kpid):
    """An instance with places to die at, and a wire of its own to a single Redis."""

    program = ("tests", "faults", "kpid-faults")

    def __init__(self, name, config, redis):
        self.name = name
        self.wire = Wire(redis.port) if redis.has_wires else None
        super().__init__(config(name, f"redis://{self.wire.address}" if self.wire else redis.url), start=False)
        self.fault_file = os.path.join(self.dir, "fault")
        self.env = os.environ | {"KPID_FAULT_FILE": self.fault_file}

    def arm(self, point, sign, skip=0):
        """At that point, passed for the skip + 1st time, the process gets the signal."""
        with open(self.fault_file + ".new", "w", encoding="utf-8") as file:
            file.write(f"{point} {int(sign)} {skip}\n")
        os.replace(self.fault_file + ".new", self.fault_file)

    def disarm(self):
        """False: the fault has happened already."""
        try:
            os.remove(self.fault_file)
            return True
        except FileNotFoundError:
            return False

    def struck(self):
        return not os.path.exists(self.fault_file)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def said(self, text):
        return self.log_text().count(text)

    def cont(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        if self.process and self.process.poll() is None:
            self.cont()
        super().close()
        if self.wire:
            self.wire.close()
