"""Redis in more than one process, beside harness.Redis: a master with a replica under Sentinel, and a cluster. All on
free ports of 127.0.0.1, all ended with the test."""

from urllib.parse import quote

import harness


class _Sentinel(harness.Redis):
    """One sentinel; it writes into its configuration file what it learns."""

    def __init__(self, monitored, name, password, sentinel_password):
        self.config = (
            f"sentinel monitor {name} 127.0.0.1 {monitored.port} 2\n"
            f"sentinel down-after-milliseconds {name} 1000\n"
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

    def __init__(self, name="kpid", password=None, sentinel_password=None):
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
                self.sentinels.append(_Sentinel(self.master, name, password, sentinel_password))
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
        replica that has been cut off for 10 s is not promoted."""
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
