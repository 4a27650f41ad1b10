"""Redis in more than one process, beside harness.Redis: a master with a replica under Sentinel, and a cluster. All on
free ports of 127.0.0.1, all ended with the test."""

import logging
from urllib.parse import quote

import harness

logging.getLogger("redis.cluster").setLevel(logging.CRITICAL)  # it shows each redirection


class _Sentinel(harness.Redis):
    """One sentinel; it writes into its configuration file what it learns."""

    def __init__(self, monitored, name, password, sentinel_password, down_after_ms):
        self.config = (
            f"sentinel monitor {name} 127.0.0.1 {monitored.port} 2\n"
            f"sentinel down-after-milliseconds {name} {down_after_ms}\n"
            f"sentinel failover-timeout {name} 5000\n"
        )
        if password:
            self.config += f"sentinel auth-pass {name} {password}\n"
        if sentinel_password:
            self.config += f"sentinel sentinel-pass {sentinel_password}\n"
        super().__init__(password=sentinel_password)

    def command(self):
        path = f"{self.dir}/sentinel.conf"
        login = [line for line in self.args if line]
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"port {self.port}\nbind 127.0.0.1\ndir {self.dir}\nlogfile {self.dir}/log\n")
            file.write(f"requirepass {login[1]}\n" if login else "")
            file.write(self.config)
        return ["redis-server", path, "--sentinel"]


class Sentinel:
    """A master, a replica and three sentinels that watch them under `name`; `url` is how kpid finds them. `master` and
    `replica` (harness.Redis) change places at a failover.
    """

    def __init__(self, name="kpid", password=None, sentinel_password=None, down_after_ms=1000):
        self.name = name
        self.password = password
        self.sentinel_password = sentinel_password
        self.sentinels = []
        self.master = self.replica = None
        args = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
        try:
            self.master = harness.Redis(*args, password=password)
            self.replica = harness.Redis(*args, "--replicaof", "127.0.0.1", str(self.master.port), password=password)
            harness.wait_for(self._in_step, 20, "a replica in step")
            for _ in range(3):
                self.sentinels.append(_Sentinel(self.master, name, password, sentinel_password, down_after_ms))
            harness.wait_for(self._all_see, 30, "sentinels that know of each other and of the replica")
        except Exception:
            self.close()
            raise

    @property
    def client(self):
        """Of the master of the moment."""
        return self.master.client

    @property
    def url(self):
        places = ",".join(one.address for one in self.sentinels)
        login = f":{quote(self.password, safe='')}@" if self.password else ""
        asked = f"?sentinel=:{quote(self.sentinel_password, safe='')}" if self.sentinel_password else ""
        return f"redis+sentinel://{login}{places}/{self.name}{asked}"

    def _in_step(self):
        info = self.replica.client.info("replication")
        return info["role"] == "slave" and info["master_link_status"] == "up"

    def _all_see(self):
        for one in self.sentinels:
            state = one.client.sentinel_master(self.name)
            if state["num-other-sentinels"] != 2 or state["num-slaves"] != 1 or state["flags"] != "master":
                return False
        return True

    def _all_name_replica(self):
        named = [one.client.sentinel_get_master_addr_by_name(self.name) for one in self.sentinels]
        return all(int(address[1]) == self.replica.port for address in named)

    def hold(self):
        """From now on the replica hears of nothing that is written, so that a failover loses it. It must come soon: a
        replica that has been cut off for ten times down_after_ms is not promoted."""
        self.replica.client.config_set("masterauth", "held")
        self.master.client.client_kill_filter(_type="slave", skipme=True)
        harness.wait_for(lambda: self.master.client.info("replication")["connected_slaves"] == 0, 10, "no replica")

    def fail_over(self, kill=True):
        """Ends the master (kill=False: it hangs), and waits until the replica is promoted."""
        if kill:
            self.master.kill()
        else:
            self.master.pause()
        harness.wait_for(lambda: self.replica.client.role()[0] == "master", 30, "a replica that is promoted")
        harness.wait_for(self._all_name_replica, 30, "sentinels that agree on the new master")
        self.replica.client.config_set("masterauth", self.password or "")
        self.master, self.replica = self.replica, self.master

    def bring_back(self):
        """Starts the former master again, which the sentinels make a replica; waits until it is in step."""
        if self.replica.process.poll() is None:
            self.replica.resume()
        else:
            self.replica.start()
        harness.wait_for(self._in_step, 40, "the former master as a replica in step")
        harness.wait_for(self._all_see, 30, "sentinels that are at rest")

    def close(self):
        for one in [*self.sentinels, self.master, self.replica]:
            if one:
                one.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


SLOTS = 16384


class _Node(harness.Redis):
    """One node of a cluster."""

    def __init__(self, password=None):
        self.bus = harness.free_port()
        super().__init__("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-port", str(self.bus),
                         "--cluster-node-timeout", "2000", "--repl-diskless-sync-delay", "0",
                         "--cluster-replica-validity-factor", "0", "--cluster-allow-replica-migration", "no", password=password)

    @property
    def id(self):
        return self.client.execute_command("CLUSTER MYID")

    def ask(self, *words):
        return self.client.execute_command(*words)


class Cluster:
    """Three masters, and a replica of each with replicas=True; `url` is how kpid finds them. Passwords are one for all.
    What tests read, they read with `client`, which follows redirections."""

    def __init__(self, masters=3, replicas=False, password=None):
        self.password = password
        self.nodes = []
        self.client = None
        try:
            self.nodes = [_Node(password) for _ in range(masters * 2 if replicas else masters)]
            self.masters, rest = self.nodes[:masters], self.nodes[masters:]
            for number, node in enumerate(self.masters):
                node.ask("CLUSTER ADDSLOTSRANGE", SLOTS * number // masters, SLOTS * (number + 1) // masters - 1)
            for number, node in enumerate(self.nodes):
                node.ask("CLUSTER SET-CONFIG-EPOCH", number + 1)
            for node in self.nodes[1:]:
                node.ask("CLUSTER MEET", "127.0.0.1", self.nodes[0].port, self.nodes[0].bus)
            harness.wait_for(lambda: all(self._sees_all(node) for node in self.nodes), 20, "nodes that know each other")
            for master, replica in zip(self.masters, rest):
                replica.ask("CLUSTER REPLICATE", master.id)
            harness.wait_for(lambda: all(self._in_step(node) for node in rest), 20, "replicas in step")
            harness.wait_for(lambda: all(self._is_ok(node) for node in self.nodes), 20, "a cluster that is ok")
            self.client = self.connect()
        except Exception:
            self.close()
            raise

    def connect(self):
        """Another client. One that stood idle while a master failed may not find the way to its successor."""
        return harness.redis_client.RedisCluster(
            host="127.0.0.1", port=self.alive()[0].port, password=self.password, decode_responses=True
        )

    @property
    def url(self):
        login = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis+cluster://{login}" + ",".join(node.address for node in self.nodes[:2])

    def _sees_all(self, node):
        return node.ask("CLUSTER INFO")["cluster_known_nodes"] == str(len(self.nodes))

    @staticmethod
    def _in_step(node):
        info = node.client.info("replication")
        return info["role"] == "slave" and info["master_link_status"] == "up"

    def _is_ok(self, node):
        ranges = node.ask("CLUSTER SLOTS")
        members = len(self.nodes) // len(self.masters)
        return (node.ask("CLUSTER INFO")["cluster_state"] == "ok" and len(ranges) == len(self.masters)
                and all(len(one) == 2 + members for one in ranges))

    def join(self):
        """Another master, without slots."""
        node = _Node(self.password)
        self.nodes.append(node)
        node.ask("CLUSTER MEET", "127.0.0.1", self.nodes[0].port, self.nodes[0].bus)
        harness.wait_for(lambda: all(self._sees_all(one) for one in self.nodes), 20, "nodes that know each other")
        harness.wait_for(lambda: node.ask("CLUSTER INFO")["cluster_state"] == "ok", 20, "a cluster that is ok")
        self.masters.append(node)
        return node

    def leave(self, node):
        """A master without slots goes."""
        self.nodes.remove(node)
        self.masters.remove(node)
        name = node.id
        node.close()
        for one in self.nodes:
            one.ask("CLUSTER FORGET", name)

    def alive(self):
        return [node for node in self.nodes if node.process.poll() is None]

    def slot(self, key):
        return int(self.alive()[0].ask("CLUSTER KEYSLOT", key))

    def owner(self, slot):
        """The node that says of itself that it has the slot."""
        for node in self.alive():
            for first, last, master, *_ in node.ask("CLUSTER SLOTS"):
                if first <= slot <= last and master[1] == node.port:
                    return node
        raise AssertionError(f"nobody has slot {slot}")

    def move(self, slot, to, between=lambda: None):
        """Moves a slot under way to another master, as resharding does. `between` is called when half of its keys have
        gone."""
        source = self.owner(slot)
        to.ask("CLUSTER SETSLOT", slot, "IMPORTING", source.id)
        source.ask("CLUSTER SETSLOT", slot, "MIGRATING", to.id)
        keys = source.ask("CLUSTER GETKEYSINSLOT", slot, 100000)
        self._migrate(source, to, keys[: (len(keys) + 1) // 2])
        between()
        while keys := source.ask("CLUSTER GETKEYSINSLOT", slot, 1000):
            self._migrate(source, to, keys)
        for node in (to, source, *(one for one in self.alive() if one not in (to, source))):
            if node.client.role()[0] == "master":
                node.ask("CLUSTER SETSLOT", slot, "NODE", to.id)

    def replica_of(self, master):
        """The replica of a master that is in step with it."""
        for node in self.alive():
            info = node.client.info("replication")
            if info["role"] == "slave" and info["master_port"] == master.port:
                return node
        raise AssertionError(f"no replica of {master.port}")

    def hold(self, master):
        """From now on its replica hears of nothing that is written. Returns the replica."""
        replica = self.replica_of(master)
        replica.client.config_set("masterauth", "held")
        master.client.client_kill_filter(_type="slave", skipme=True)
        harness.wait_for(lambda: master.client.info("replication")["connected_slaves"] == 0, 10, "no replica")
        return replica

    def fail_over(self, master, replica, kill=True):
        """Ends a master (kill=False: it hangs), and waits until its replica has taken its slots over."""
        if kill:
            master.kill()
        else:
            master.pause()
        harness.wait_for(lambda: replica.client.role()[0] == "master", 30, "a replica that is promoted")
        replica.client.config_set("masterauth", self.password or "")
        rest = [node for node in self.alive() if node is not master]
        harness.wait_for(lambda: all(node.ask("CLUSTER INFO")["cluster_state"] == "ok" for node in rest), 30, "an ok cluster")

    def bring_back(self, node):
        """Starts a former master again; it becomes a replica. Waits until it is in step."""
        if node.process.poll() is None:
            node.resume()
        else:
            node.start()
        harness.wait_for(lambda: self._in_step(node), 40, "the former master as a replica in step")

    def error_counts(self):
        """How often the nodes that are alive have answered with which error."""
        counts = {}
        for node in self.alive():
            for name, text in node.client.info("errorstats").items():
                code = name.removeprefix("errorstat_")
                counts[code] = counts.get(code, 0) + int(str(text).removeprefix("count="))
        return counts

    def _migrate(self, source, to, keys):
        login = ("AUTH", self.password) if self.password else ()
        if keys:
            source.ask("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, *login, "KEYS", *keys)

    def close(self):
        if self.client:
            self.client.close()
        for node in self.nodes:
            node.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
