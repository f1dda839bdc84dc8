#!/usr/bin/python3
# A restart by the service manager: the tunnels stay up, and no packet is lost. SPDX-License-Identifier: ISC
"""
The test acts as the service manager: it keeps the descriptors that the daemon stores with it (FDSTORE=1) and passes
them to the next process (LISTEN_FDS), as systemd does. scripts/other-debian tests with systemd itself.
"""
import fcntl
import json
import os
import signal
import socket
import subprocess
import threading
import time

from daemons import NET, NET_GW, Mendip, child, config, expect, main, testbed, wait_for

FIRST_FD = 3  # SD_LISTEN_FDS_START
RESTART_WITHIN = 10


class Store:
    """A notify socket that stores descriptors with their names."""

    def __init__(self, path):
        self.path, self.kept, self.seen = path, [], ""
        self.is_busy = False  # if true, BARRIER=1 is not answered
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        os.chmod(path, 0o777)
        self.thread = threading.Thread(target=self.receive, daemon=True)
        self.thread.start()

    def receive(self):
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self.socket, 4096, 8)
            except OSError:
                return
            self.take(data.decode(), fds)

    def take(self, text, fds):
        fields = dict(line.split("=", 1) for line in text.split("\n") if "=" in line)
        self.seen += text + "\n"
        name = fields.get("FDNAME")
        if fields.get("FDSTORE") == "1" and len(fds) == 1:
            self.kept.append((name, fds[0]))
            return
        if fields.get("FDSTOREREMOVE") == "1":
            for fd in [fd for n, fd in self.kept if n == name]:
                os.close(fd)
            self.kept = [(n, fd) for n, fd in self.kept if n != name]
        for fd in fds if not self.is_busy else ():  # BARRIER=1: the daemon waits until this descriptor is closed
            os.close(fd)

    def names(self):
        return sorted(n for n, _ in self.kept)


class Unit(Mendip):
    """A mendipd that is started with the descriptors in its store, after `sockets`, the (name, descriptor) of socket units."""

    def __init__(self, bed, ns, conf, sockets=(), **more):
        self.sockets = list(sockets)
        self.store = Store(bed.path(f"{ns.short}.notify"))
        super().__init__(bed, ns, conf, env=[f"NOTIFY_SOCKET={self.store.path}"], **more)

    def launch(self):
        kept = self.sockets + list(self.store.kept)
        if not kept:
            return super().launch()
        # LISTEN_PID is that of the shell, which the daemon keeps through exec; the descriptors must be 3, 4, 5 ...
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for _, fd in kept]

        def place():
            testbed._die_with_parent()
            for i, fd in enumerate(high):
                os.dup2(fd, FIRST_FD + i)

        script = 'export LISTEN_PID=$$; exec "$@"'
        with open(self.log, "ab") as log:
            process = testbed.Process(
                ["ip", "netns", "exec", self.ns.name, "env", *self.env, f"LISTEN_FDS={len(kept)}",
                 "LISTEN_FDNAMES=" + ":".join(n for n, _ in kept), "sh", "-c", script, "sh",
                 f"{self.build}/mendipd", "-c", self.conf],
                preexec_fn=place, close_fds=False, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.ns.bed.at_exit(process.stop)
        for fd in high:
            os.close(fd)
        return process

    def restart(self):
        """Restarts the daemon; returns the seconds from the end of the old process until the new one answers."""
        os.kill(self.process.pid, signal.SIGUSR2)
        expect(self.process.wait(timeout=RESTART_WITHIN) == 0, f"exit status: {self.tail()}")
        gone = time.monotonic()
        self.start()
        return time.monotonic() - gone

    def count(self, text):
        with open(self.log, encoding="utf-8") as f:
            return f.read().count(text)


def scene(bed, **more):
    left, right = bed.pair("branch", "gw")
    gw = Mendip(bed, right, lambda s: config(s, NET_GW, "%any", "gw.example.net", "*.example", "branch"))
    branch = Unit(bed, left, lambda s: config(s, NET, right.outer, **more))
    branch.wait_up()
    return left, right, branch, gw


def spis(daemon):
    return [(sa["spi_in"], sa["spi_out"]) for sa in daemon.children()["net"]["sas"]]


def nothing_is_lost():
    """The daemon is restarted ten times under 5,000 packets/s each way: no packet is lost or duplicated."""
    with testbed.Testbed("restart") as bed:
        left, right, branch, gw = scene(bed)
        before = spis(branch)
        down = testbed.Flow(right, right.inner, left, left.inner, rate=5000)
        up = testbed.Flow(left, left.inner, right, right.inner, rate=5000, port=9001)
        gone = []
        for _ in range(10):
            time.sleep(0.5)
            gone.append(branch.restart() * 1000)
        time.sleep(0.5)
        results = {"down": down.stop(), "up": up.stop()}
        for name, r in results.items():
            print(f"# {name}: {r.sent} sent, {r.lost} lost, {r.duplicates} twice, longest gap {r.longest_gap_ms:.0f} ms")
        print("# the next process answers after " + " ".join(f"{g:.0f}" for g in sorted(gone)) + " ms")
        expect(branch.count("taken over: 1 connections") == 10, branch.tail())
        expect(spis(branch) == before, f"{before} became {spis(branch)}")
        with open(gw.log, encoding="utf-8") as f:
            expect("gone" not in f.read(), gw.tail())
        for name, r in results.items():
            expect(r.lost == 0 and r.duplicates == 0, f"{name}: {r.lost_ranges}")
        expect(branch.store.names() == [], f"left in the store: {branch.store.names()}")


def a_stream_at_full_rate():
    """A TCP stream at full rate survives two restarts, and is without a byte for at most two tenths of a second."""
    with testbed.Testbed("stream") as bed:
        left, right, branch, _ = scene(bed)
        server = right.popen("iperf3", "-s", "-1", log=bed.path("server.log"))
        wait_for(lambda: right.run("ss", "-Hltn", "sport", "=", ":5201").stdout, "iperf3 does not listen")
        client = left.popen("iperf3", "-c", right.inner, "-B", left.inner, "-t", "6", "-i", "0.1", "-J",
                            stdout=open(bed.path("client.json"), "wb"))
        time.sleep(2)
        branch.restart()
        time.sleep(2)
        branch.restart()
        client.wait(timeout=20)
        server.wait(timeout=20)
        with open(bed.path("client.json"), encoding="utf-8") as f:
            done = json.load(f)
        expect("error" not in done, done.get("error"))
        rates = [i["sum"]["bits_per_second"] / 1e9 for i in done["intervals"]]
        sent = done["end"]["sum_sent"]
        idle = sum(r < 0.01 for r in rates)
        print(f"# {sent['bits_per_second'] / 1e9:.2f} Gbit/s, {sent['retransmits']} retransmitted, "
              f"lowest tenth of a second {min(rates):.2f} Gbit/s")
        expect(branch.count("taken over: 1 connections") == 2, branch.tail())
        expect(idle <= 2, f"{idle} tenths of a second without a byte")


def a_crash_later_gets_nothing_old():
    """State that was handed over is used once: after kill -9 the next process establishes new SAs."""
    with testbed.Testbed("crash") as bed:
        _, _, branch, _ = scene(bed)
        before = spis(branch)
        branch.restart()
        expect(spis(branch) == before, "handed over")
        branch.kill()
        branch.start()
        branch.wait_up()
        expect(spis(branch) != before, "the same SAs after a crash")
        expect(branch.count("taken over") == 1, branch.tail())


def a_changed_configuration():
    """When a connection's configuration has changed, the restart deletes its SAs at the peer and establishes new ones."""
    with testbed.Testbed("changed") as bed:
        _, right, branch, gw = scene(bed)
        before = spis(branch)
        branch.write(config(branch.control, NET, right.outer, dpd="7s"))
        branch.restart()
        branch.wait_up()
        expect(spis(branch) != before, "the old SAs under another configuration")
        expect(branch.count("its configuration has changed") == 1, branch.tail())
        with open(gw.log, encoding="utf-8") as f:
            expect("deleted by the peer" in f.read(), gw.tail())


def a_stop_is_a_stop():
    """A daemon that is stopped deletes its SAs at the peers, and leaves no descriptor with the service manager."""
    with testbed.Testbed("stop") as bed:
        _, _, branch, gw = scene(bed)
        os.kill(branch.process.pid, signal.SIGTERM)
        expect(branch.process.wait(timeout=5) == 0, "exit status")
        wait_for(lambda: not gw.up(), lambda: gw.tail())
        expect(branch.store.names() == [], branch.store.names())


def nobody_keeps_it():
    """Without a service manager that stores descriptors, a restart ends the tunnels as a stop does, and logs that."""
    with testbed.Testbed("nobody") as bed:
        left, right = bed.pair("branch", "gw")
        gw = Mendip(bed, right, lambda s: config(s, NET_GW, "%any", "gw.example.net", "*.example", "branch"))
        branch = Mendip(bed, left, lambda s: config(s, NET, right.outer))
        branch.wait_up()
        os.kill(branch.process.pid, signal.SIGUSR2)
        expect(branch.process.wait(timeout=5) == 0, "exit status")
        expect("cannot be handed over" in branch.tail(), branch.tail())
        wait_for(lambda: not gw.up(), lambda: gw.tail())


def half_a_handover():
    """
    The service manager does not confirm that it has stored everything: the daemon ends the tunnels, and wipes the state
    that it has already stored.
    """
    with testbed.Testbed("half") as bed:
        _, _, branch, gw = scene(bed)
        branch.store.is_busy = True
        state = []
        take = branch.store.take

        def look(text, fds):
            if "FDNAME=state" in text and fds:
                state.append(os.dup(fds[0]))
            take(text, fds)

        branch.store.take = look
        os.kill(gw.process.pid, signal.SIGSTOP)
        began = time.monotonic()
        os.kill(branch.process.pid, signal.SIGUSR2)
        expect(branch.process.wait(timeout=8) == 0, "exit status")
        took = time.monotonic() - began
        os.kill(gw.process.pid, signal.SIGCONT)
        expect("cannot be handed over" in branch.tail(), branch.tail())
        expect("state" not in branch.store.names(), branch.store.names())
        size = os.fstat(state[0]).st_size
        expect(size > 500 and os.pread(state[0], size, 0) == bytes(size), f"{size} bytes of state, and not wiped")
        os.close(state[0])
        expect(took > 2.5, f"the peer is silent, and was waited for {took:.1f} s: the barrier 1 s, a DELETE 2 s")
        wait_for(lambda: not gw.up(), lambda: gw.tail())


def a_bad_configuration():
    """The configuration on disk is invalid, so that the next process would not start: a restart acts like a stop."""
    with testbed.Testbed("bad") as bed:
        _, _, branch, gw = scene(bed)
        branch.write("daemon: { nonsense = 1; };")
        os.kill(branch.process.pid, signal.SIGUSR2)
        expect(branch.process.wait(timeout=5) == 0, "exit status")
        expect("nonsense" in branch.tail() and branch.store.names() == [], branch.tail())
        wait_for(lambda: not gw.up(), lambda: gw.tail())


def the_link_of_a_device_stays_up():
    """A restart does not change the carrier of a child's own TUN device."""
    with testbed.Testbed("link") as bed:
        left, right = bed.pair("branch", "gw")
        Mendip(bed, right, lambda s: config(s, NET_GW, "%any", "gw.example.net", "*.example", "branch"))
        own = {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action="start", device="own0")}
        branch = Unit(bed, left, lambda s: config(s, own, right.outer))
        branch.wait_up()
        monitor = left.popen("ip", "monitor", "link", log=bed.path("monitor.log"))
        time.sleep(0.3)
        for _ in range(3):
            branch.restart()
        time.sleep(0.3)
        monitor.stop()
        with open(bed.path("monitor.log"), encoding="utf-8") as f:
            seen = f.read()
        expect("NO-CARRIER" not in seen and "own0" not in "".join(x for x in seen.splitlines() if "DOWN" in x), seen)
        expect(branch.count("taken over: 1 connections") == 3, branch.tail())


if __name__ == "__main__":
    main([nothing_is_lost, a_stream_at_full_rate, a_crash_later_gets_nothing_old, a_changed_configuration,
          a_stop_is_a_stop, nobody_keeps_it, half_a_handover, a_bad_configuration,
          the_link_of_a_device_stays_up])
