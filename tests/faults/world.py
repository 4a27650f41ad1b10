"""What is disturbed: a Redis that can lose its last seconds, connections that deliver late, and instances of kpid."""

import os
import shutil
import signal
import socket
import threading
import time

import harness
import harness_redis


ALERT = "kpi:{alert}:h"


def headers_of(client, alert=False):
    """Key of a shard's header -> (nonce, seq); with alert=True that of alerts too."""
    found = {}
    for key in [*client.scan_iter("kpi:s:*:h", count=1000), *([ALERT] if alert else [])]:
        nonce, seq = client.hmget(key, "nonce", "seq")
        found[key] = (nonce, int(seq or 0))
    return found


class Headers:
    """What tells of owners, whatever Redis is made of."""

    def headers(self, alert=False):
        return headers_of(self.client, alert)


class Redis(Headers, harness.Redis):
    """One server. Keeps what it has over a clean restart. `mark` puts a copy of the present state aside; `lose` kills the
    server and brings that copy back, as a failover to a replica that lagged would. Here and below `mark` takes the key
    of a header that is to go back, and returns the headers that will come back with it, alerts' too.
    """

    has_wires = True

    def __init__(self):
        super().__init__("--dbfilename", "dump.rdb", "--stop-writes-on-bgsave-error", "no")

    def restart(self):
        self.client.shutdown(save=True)
        self.process.wait(20)
        self.start()

    def mark(self, _):
        self.client.execute_command("CLIENT PAUSE", 60000, "WRITE")
        try:
            headers = self.headers(alert=True)
            self.client.save()
            shutil.copy(os.path.join(self.dir, "dump.rdb"), os.path.join(self.dir, "marked.rdb"))
        finally:
            self.client.execute_command("CLIENT UNPAUSE")
        return headers

    def lose(self):
        self.kill()
        os.replace(os.path.join(self.dir, "marked.rdb"), os.path.join(self.dir, "dump.rdb"))
        self.start()

    def recover(self):
        pass

    @property
    def url(self):
        return f"redis://{self.address}"


def quiet(master):
    """From now on a master takes no writes; its replica has what it took before."""
    master.client.execute_command("CLIENT PAUSE", 60000, "WRITE")

    def has_all():
        info = master.client.info("replication")
        return info["slave0"]["offset"] == info["master_repl_offset"]

    harness.wait_for(has_all, 20, "a replica that has all")


class Sentinel(Headers, harness_redis.Sentinel):
    """A master that is lost to a replica which heard of nothing since `mark`."""

    has_wires = False

    def __init__(self):
        super().__init__(down_after_ms=2500)  # so that there is time to lose

    def mark(self, _):
        self.hold()
        return headers_of(self.replica.client, alert=True)

    def ports(self):
        return [self.master.port, self.replica.port]

    def restart(self):
        """A master that goes when its replica has all."""
        quiet(self.master)
        self.fail_over()
        self.bring_back()

    def lose(self):
        self.fail_over()

    def recover(self):
        self.bring_back()


class _Client:
    """Commands to a cluster whose slots are on their way and whose masters change; the library's own client loses its
    way there. A command is sent where the last one of its key was answered, follows MOVED and ASK, and is tried again
    while a slot is on its way or a master away."""

    DEADLINE_S = 20

    def __init__(self, cluster):
        self.cluster = cluster
        self.places = {}  # key -> node

    def _node(self, error):
        port = int(str(error).rsplit(":", 1)[1])
        return next(node for node in self.cluster.nodes if node.port == port)

    @staticmethod
    def _ask(node, name, args):
        with node.client.pipeline(transaction=False) as pipe:
            pipe.execute_command("ASKING")
            getattr(pipe, name)(*args)
            return pipe.execute()[1]

    def _try(self, node, name, args):
        try:
            return getattr(node.client, name)(*args)
        except harness.redis_client.ResponseError as error:
            if not str(error).startswith("ASK "):
                raise
            return self._ask(self._node(error), name, args)

    def call(self, name, *args):
        end = time.monotonic() + self.DEADLINE_S * harness.SLOW
        node = self.places.get(args[0]) or self.cluster.alive()[0]
        while True:
            try:
                answer = self._try(node, name, args)
                self.places[args[0]] = node
                return answer
            except (harness.redis_client.RedisError, OSError) as error:
                if time.monotonic() > end:
                    raise
                moved = str(error).startswith("MOVED ")
                node = self._node(error) if moved else self.cluster.alive()[0]
            time.sleep(0.01)

    def scan_iter(self, pattern, count=None):
        found = set()
        for node in self.cluster.alive():
            try:
                if node.client.role()[0] == "master":
                    found.update(node.client.scan_iter(pattern, count=count))
            except (harness.redis_client.RedisError, OSError):
                pass  # its keys are not found now
        return sorted(found)

    def __getattr__(self, name):
        return lambda *args: self.call(name, *args)


class Cluster(Headers, harness_redis.Cluster):
    """Three masters, one of which is lost to its replica; meanwhile the slot of a shard goes back and forth."""

    has_wires = False

    def __init__(self):
        self._client = _Client(self)
        super().__init__(replicas=True)
        self.held = None
        self.moves = 0
        self.still = threading.Lock()  # no slot moves while masters change
        self.ended = threading.Event()
        self.mover = threading.Thread(target=self._move_on, daemon=True)
        self.mover.start()

    @property
    def client(self):
        return self._client

    @client.setter
    def client(self, client):  # the library's, which is not wanted
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
                try:
                    self._move_one()
                    self.moves += 1
                except (harness.redis_client.RedisError, OSError, AssertionError):
                    pass  # a node was too slow; the same slot goes on its way again

    def _move_one(self):
        keys = sorted(self.headers())
        slot = self.slot(keys[self.moves // 2 % len(keys)] if keys else ALERT)
        masters = [node for node in self.alive() if node.client.role()[0] == "master"]
        source = self.owner(slot)
        self.move(slot, next(node for node in masters if node is not source))

    def ports(self):
        return [node.port for node in self.nodes]

    def restart(self):
        """A master that goes when its replica has all; one after the other."""
        with self.still:
            masters = [node for node in self.alive() if node.client.role()[0] == "master"]
            master = masters[self.moves % len(masters)]
            replica = self.replica_of(master)
            quiet(master)
            self.fail_over(master, replica)
            self.bring_back(master)

    def mark(self, key):
        self.still.acquire()
        master = self.owner(self.slot(key))
        self.held = master, self.hold(master)
        client = harness.redis_client.Redis(port=self.held[1].port, decode_responses=True, single_connection_client=True)
        with client:
            client.execute_command("READONLY")
            return headers_of(client, alert=key == ALERT)

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


class Wires:
    """Of an instance to several servers, by their ports (wire.c)."""

    def __init__(self, ports):
        self.wires = {port: Wire(port) for port in ports}

    @property
    def held_bytes(self):
        return sum(wire.held_bytes for wire in self.wires.values())

    def hold(self):
        for wire in self.wires.values():
            wire.hold()

    def deliver(self):
        for wire in self.wires.values():
            wire.deliver()

    def close(self):
        for wire in self.wires.values():
            wire.close()

    def __str__(self):
        return " ".join(f"{port}={wire.address.split(':')[1]}" for port, wire in self.wires.items())


class Instance(harness.Kpid):
    """An instance with places to die at, and wires of its own to Redis: always to a single one, else where they are wanted."""

    program = ("tests", "faults", "kpid-faults")

    def __init__(self, name, config, redis, wired=False):
        self.name = name
        self.wire = Wire(redis.port) if redis.has_wires else Wires(redis.ports()) if wired else None
        super().__init__(config(name, f"redis://{self.wire.address}" if redis.has_wires else redis.url), start=False)
        self.fault_file = os.path.join(self.dir, "fault")
        self.env = os.environ | {"KPID_FAULT_FILE": self.fault_file}
        if isinstance(self.wire, Wires):
            self.env["KPID_FAULT_WIRES"] = str(self.wire)

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
