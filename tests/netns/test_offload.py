#!/usr/bin/python3
# Traffic arrives byte for byte, with the kernel's offloads (super-packets and trains) used at both ends, one or none.
# SPDX-License-Identifier: ISC
import contextlib
import errno
import fcntl
import os
import random
import signal
import struct
import subprocess

from daemons import Mendip, child, config, expect, main, testbed, wait_for
from traffic import (PMTUDISC_DO, PMTUDISC_DONT, PMTUDISC_PROBE, PMTUDISC_WANT, Beside, Bursts, RawSender, Tap, UdpFlow,
                     echoes, spoilt, tcp, tcp_packet, udp_packet)

HERE = os.path.dirname(os.path.abspath(__file__))
MIB = 1 << 20
TUN = "mendip0"
NETS = (["10.1.0.0/16", "fd00:1::/64"], ["10.2.0.0/16", "fd00:2::/64"])
ADDRESSES = (("10.1.0.1", "fd00:1::1"), ("10.2.0.1", "fd00:2::1"))
NOTHING = {"tun": "none", "udp_segment": False, "udp_gro": False}
ESP_OVER = 20 + 8 + 8 + 8 + 16  # IPv4, UDP, SPI and number, explicit IV, ICV of AES-GCM


class Tunnel:
    """A branch and a gateway with IPv4 and IPv6 inside the tunnel, which is up; branch, gw: their offload options."""

    def __init__(self, bed, branch="auto", gw="auto", ends=None, env=(), daemon=""):
        left, right = ends or bed.pair("branch", "gw")

        def option(mode):
            return "" if "offload =" in daemon else f'offload = "{mode}";'

        for ns, (_, six) in zip((left, right), ADDRESSES):
            ns.address("lo", f"{six}/128")
        self.gw = Mendip(bed, right, lambda s: config(
            s, {"net": child(NETS[1], NETS[0])}, "%any", "gw.example.net", "*.example", "branch",
            daemon=option(gw) + daemon), env=env)
        self.branch = Mendip(bed, left, lambda s: config(
            s, {"net": child(NETS[0], NETS[1], start_action="start")}, right.outer,
            daemon=option(branch) + daemon), env=env)
        self.branch.wait_up()
        self.gw.wait_up()
        self.option = {self.branch: branch, self.gw: gw}

    def ways(self):
        """Yields (sender, its address, receiver, its address) for both directions and both address families."""
        for family in (0, 1):
            yield self.branch, ADDRESSES[0][family], self.gw, ADDRESSES[1][family]
            yield self.gw, ADDRESSES[1][family], self.branch, ADDRESSES[0][family]


def mtu_of(daemon):
    return daemon.ctl("status")["offload"]["mtu"]


def send_tcp(way, size, **options):
    """Sends one stream along `way`, one of Tunnel.ways(); options: those of traffic.tcp()."""
    sender, source, receiver, target = way
    return tcp(sender.ns, source, receiver.ns, target, size, **options)


def send_udp(way, count, seed, before=lambda flow: None):
    """Sends at least `count` datagrams of all sizes over three flows; raises unless all arrive. Returns their number."""
    sender, source, receiver, target = way
    flows = [UdpFlow(sender.ns, source, receiver.ns, target, 7100 + i) for i in range(3)]
    try:
        bursts, sent = Bursts(flows, seed), 0
        while sent < count:
            sent += bursts.burst(before)
    finally:
        for flow in flows:
            flow.close()
    return sent


# -- the bytes are the same with and without offloads ----------------------------


def tcp_streams(t, _bed):
    rates = [send_tcp(way, 24 * MIB, port=7000 + i) for i, way in enumerate(t.ways())]
    print("# TCP, Mbit/s: " + " ".join(f"{r:.0f}" for r in rates))
    for way in t.ways():  # sizes that are no multiple of a segment's
        send_tcp(way, MIB + 1, port=7010, chunk=4099)


def datagrams(t, _bed):
    sent = sum(send_udp(way, 2000, seed) for seed, way in enumerate(t.ways()))
    for daemon in (t.branch, t.gw):
        verdicts = daemon.sa()["verdicts"]
        others = {v: n for v, n in verdicts.items() if n and v != "fresh"}
        expect(not others, f"verdicts besides fresh: {others}")
    print(f"# {sent} datagrams")


def pings(way):
    for size in (0, 56, 1001, 3000):
        echoes(way[0].ns, way[1], way[3], size, 20)


def mixed_traffic(t, _bed):
    """TCP, ICMP, and UDP whose DSCP, ECN field and DF vary: a train may not mix packets that differ in these."""
    for i, way in enumerate(t.ways()):
        dice = random.Random(i)

        def change(flow):
            flow.set_tos(dice.choice((0, 0, 0x01, 0x02, 0x28, 0xb8, 0xb9, 0xba, 0xbb)))
            flow.set_discover(dice.choice((PMTUDISC_WANT, PMTUDISC_DONT)))

        beside = [Beside(lambda w=way: send_tcp(w, 8 * MIB, window=MIB // 8)), Beside(pings, way)]
        try:
            send_udp(way, 500, 100 + i, change)
        finally:
            for thread in beside:
                thread.join()
        for thread in beside:
            thread.finish()


# -- status and its counters --------------------------------------------------------


class Counted:
    """Measures by how much a daemon's counters grow within the with-block."""

    def __init__(self, daemon):
        self.daemon = daemon

    def _now(self):
        sa = self.daemon.sa()
        return {**self.daemon.ctl("status")["io"], **{k: sa[k] for k in ("packets_in", "packets_out")}}

    def __enter__(self):
        self.before = self._now()
        return self

    def __exit__(self, *_):
        now = self._now()
        self.moved = {k: now[k] - self.before[k] for k in now}

    def __getitem__(self, name):
        return self.moved[name]


def sender_used(counted, longest, option):
    if option == "auto":
        expect(counted["packets_out"] > 4 * counted["tun_read"], f"no super-packets from TUN: {counted.moved}")
        expect(counted["tx_datagrams"] > 4 * counted["tx_sends"], f"no trains: {counted.moved}")
        expect(longest > 9000, f"no train in one piece: the longest had {longest} bytes")
    else:
        expect(counted["packets_out"] <= counted["tun_read"], f"super-packets from TUN: {counted.moved}")
        expect(longest < 1500, f"a train in one piece: {longest} bytes")


def receiver_used(counted, both, option):
    if option == "off":
        expect(counted["rx_receives"] == counted["rx_datagrams"], f"UDP_GRO is in use: {counted.moved}")
        expect(counted["tun_written"] >= counted["packets_in"], f"super-packets to TUN: {counted.moved}")
    elif both:
        expect(counted["rx_datagrams"] > 4 * counted["rx_receives"], f"UDP_GRO is not in use: {counted.moved}")
        expect(counted["packets_in"] > 4 * counted["tun_written"], f"no super-packets to TUN: {counted.moved}")


def status_tells(t, bed):
    for daemon, option in t.option.items():
        offload = daemon.ctl("status")["offload"]
        if option == "off":
            expect(offload.items() >= NOTHING.items(), f"in use although off: {offload}")
        else:
            expect("csum tso4 tso6" in offload["tun"] and offload["udp_segment"] and offload["udp_gro"],
                   f"not in use: {offload}")
        expect(daemon.sa()["backend"] in ("openssl", "ipsec-mb"), f"backend {daemon.sa()['backend']}")
    for sender, source, receiver, target in t.ways():
        sniffer = bed.sniff(sender.ns, "eth0")
        with Counted(sender) as tx, Counted(receiver) as rx:
            tcp(sender.ns, source, receiver.ns, target, 8 * MIB)
        longest = max(p.length for p in sniffer.stop().esp if p.outgoing)
        sender_used(tx, longest, t.option[sender])
        receiver_used(rx, t.option[sender] == "auto", t.option[receiver])


def segmented_sends_stay_whole(t, _bed):
    """Where the kernel has USO, the daemon reads an application's UDP_SEGMENT send from TUN as one super-packet."""
    for sender, source, receiver, target in t.ways():
        with UdpFlow(sender.ns, source, receiver.ns, target, 7200) as flow:
            with Counted(sender) as tx:
                for _ in range(20):
                    flow.send_segments(os.urandom(30 * 1000), 1000)
                    flow.settle()
        if "uso" in sender.ctl("status")["offload"]["tun"]:
            expect(tx["packets_out"] >= 600 and tx["tun_read"] < 60, f"cut before TUN: {tx.moved}")
        else:
            expect(tx["tun_read"] >= 600, f"super-packets without USO: {tx.moved}")


# -- wrong checksums ------------------------------------------------------------------


def checksum_errors(ns, six):
    """Returns how many (UDP datagrams, TCP segments) the kernel has dropped for bad checksums."""
    rows = {}
    for line in ns.run("cat", "/proc/net/snmp", "/proc/net/snmp6").stdout.splitlines():
        name, *values = line.split()
        if name in rows and values[0].isdigit():
            rows[name] = dict(zip(rows[name], map(int, values)))
        else:
            rows[name] = values
    udp = int(rows["Udp6InCsumErrors"][0]) if six else rows["Udp:"]["InCsumErrors"]
    return udp, rows["Tcp:"]["InCsumErrors"]


def wrong_packets(source, target, port):
    """
    Makes a flow of UDP and one of TCP, in which each fifth packet has a bad checksum; returns (all packets, the bad
    ones, the payloads of the good UDP datagrams).
    """
    head = 40 if ":" in source else 20
    payloads = [struct.pack("!I", i) + os.urandom(996) for i in range(40)]
    udp = [udp_packet(source, target, 9, port, p, 100 + i) for i, p in enumerate(payloads)]
    segments = [tcp_packet(source, target, 9, port + 1, 1000 * i, p, 500 + i) for i, p in enumerate(payloads)]
    for flow, field in ((udp, head + 6), (segments, head + 16)):
        for i in range(3, 40, 5):
            flow[i] = spoilt(flow[i], field)
    return udp + segments, udp[3::5] + segments[3::5], [p for i, p in enumerate(payloads) if i % 5 != 3]


@contextlib.contextmanager
def arriving_at_once(daemon):
    """Stops the daemon during the with-block, so that it then finds all packets that arrived meanwhile at once."""
    os.kill(daemon.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(daemon.process.pid, signal.SIGCONT)


def wrong_checksums_stay_wrong(t, _bed):
    for sender, source, receiver, target in t.ways():
        six = ":" in source
        before = checksum_errors(receiver.ns, six)
        everything, bad, payloads = wrong_packets(source, target, 7300)
        raw, tap = RawSender(sender.ns, target), Tap(receiver.ns, TUN)
        with UdpFlow(sender.ns, source, receiver.ns, target, 7300) as flow, Counted(receiver) as rx:
            sent = sender.sa()["packets_out"] + len(everything)
            with arriving_at_once(receiver):
                for packet in everything:
                    raw.send(packet)
                wait_for(lambda: sender.sa()["packets_out"] >= sent, "not all was sent")
            flow.sent = [(p, 0) for p in payloads]
            flow.settle()
            dropped = tuple(n + len(bad) // 2 for n in before)
            wait_for(lambda: checksum_errors(receiver.ns, six) == dropped,
                     lambda: f"the far kernel dropped {checksum_errors(receiver.ns, six)} after {before}", 3)
            seen = tap.take()
        raw.close()
        tap.close()
        expect(all(packet in seen for packet in bad), f"{source}: a bad packet is not as it was sent")
        if t.option[receiver] == "auto":  # the good packets between the bad ones were written in runs
            expect(rx["tun_written"] < rx["packets_in"] - len(everything) // 4, f"hardly any runs: {rx.moved}")


# -- paths narrower than the link ---------------------------------------------------------


def inner_max(path):
    """Returns the size of the largest inner packet that fits in one outer packet (RFC 4303 2.4: padded to 4 bytes)."""
    return (path - ESP_OVER) // 4 * 4 - 2


def told_mtu(way):
    """Returns the MTU that ICMP tells a sender whose packets have DF and the size of the device's MTU."""
    sender, source, receiver, target = way
    with UdpFlow(sender.ns, source, receiver.ns, target, 7400) as probe:
        probe.set_discover(PMTUDISC_PROBE)
        probe.told()

        def told():
            probe.send(bytes(mtu_of(sender) - 28))
            return testbed.wait_until(probe.told, 0.5)

        return wait_for(told, f"{source}: nothing is told of a packet with DF that does not fit")


def fits_exactly(way, most):
    """
    With DF set, a packet of `most` bytes must arrive, and the kernel must refuse one that exceeds the path MTU that it
    has learned.
    """
    sender, source, receiver, target = way
    with UdpFlow(sender.ns, source, receiver.ns, target, 7401) as flow:
        flow.set_discover(PMTUDISC_DO)
        flow.send(os.urandom(most - 28))
        flow.settle()
        try:
            flow.send(bytes(flow.mtu() - 27))
        except OSError as e:
            expect(e.errno == errno.EMSGSIZE, f"{source}: {e}")
            return
    raise AssertionError(f"{source}: a datagram with DF that does not fit was not refused")


def narrow_path(path):
    with testbed.Testbed("narrow") as bed:
        left, _, right = bed.routed("branch", "gw", narrow=path)
        t = Tunnel(bed, ends=(left, right))
        for i, way in enumerate(t.ways()):
            send_tcp(way, 6 * MIB, port=7000 + i)
        for daemon in (t.branch, t.gw):
            wait_for(lambda d=daemon: mtu_of(d) == max(1280, inner_max(path)),
                     lambda d=daemon: f"{d.ns.short}: MTU of the device {mtu_of(d)}")
        for way in list(t.ways())[:2]:
            mtu = told_mtu(way)
            expect(mtu == inner_max(path), f"{way[1]}: told an MTU of {mtu} in a path of {path}")
            fits_exactly(way, mtu)
        for sender, _, _, target in list(t.ways())[2:]:
            done = sender.ns.run("ping", "-n", "-q", "-i", "0.05", "-c", "5", "-M", "do", "-s", str(1280 - 48), target,
                                 check=False)
            expect("5 received" in done.stdout, f"IPv6 of 1280 bytes in a path of {path}: {done.stdout}")
        for seed, way in enumerate(t.ways()):
            send_udp(way, 200, seed)


def path_of_1300():
    narrow_path(1300)


def path_of_576():
    narrow_path(576)


def narrow_peer_leaves_others_alone():
    """
    A hub has one peer behind a narrow path, whose MTU it learns by ICMP, and one on another link: the daemon still
    sends trains to the latter.
    """
    with testbed.Testbed("hub") as bed:
        hub, _, far = bed.routed("hub", "far", narrow=576)
        near = bed.namespace("near")
        bed.link(hub, "eth1", "203.0.113.1/24", near, "eth0", "203.0.113.2/24")
        near.inner_net("10.3.0.1/16")
        gw = Mendip(bed, hub, lambda s: config(s, {"net": child("10.1.0.0/16", "10.2.0.0/15")}, "%any",
                                               "gw.example.net", "*.example", "hub"))
        peers = [Mendip(bed, ns, lambda s, a=address, n=net, i=name: config(
            s, {"net": child(n, "10.1.0.0/16", start_action="start")}, a, f"{i}.example"))
            for ns, address, net, name in ((far, "192.0.2.10", "10.2.0.0/16", "far"),
                                           (near, "203.0.113.1", "10.3.0.0/16", "near"))]
        for peer in peers:
            peer.wait_up()
        send_tcp((gw, "10.1.0.1", peers[0], "10.2.0.1"), 2 * MIB)
        expect("mtu 576" in hub.ip("route", "get", far.outer).stdout, "the narrow path was not learned")
        sniffer = bed.sniff(hub, "eth1")
        before = gw.ctl("status")["io"]["tx_refused"]
        send_tcp((gw, "10.1.0.1", peers[1], "10.3.0.1"), 8 * MIB)
        longest = max(p.length for p in sniffer.stop().esp if p.outgoing)
        expect(longest > 9000, f"no trains to the near peer: the longest has {longest} bytes")
        status = gw.ctl("status")
        expect(status["io"]["tx_refused"] == before, "trains to the near peer are refused")
        expect(status["offload"]["udp_segment"], "trains are off")


def link_shrinks_under_load():
    with testbed.Testbed("shrink") as bed:
        t = Tunnel(bed)
        stream = Beside(send_tcp, next(t.ways()), 96 * MIB)
        try:
            wait_for(lambda: t.branch.sa()["bytes_out"] > 4 * MIB, "no load")
            for ns in (t.branch.ns, t.gw.ns):
                ns.ip("link", "set", "eth0", "mtu", "1300")
            expect(stream.is_alive(), "the stream had ended before the link changed")
        finally:
            stream.join()
        stream.finish()
        wait_for(lambda: mtu_of(t.branch) == 1280, lambda: f"MTU of the device {mtu_of(t.branch)}")


# -- devices and kernels whose offloads are not as expected -----------------------------------


def leave_device():
    """Makes a persistent TUN device on which all offloads are left on, as a previous owner may leave it."""
    tunsetiff, tunsetpersist, tunsetoffload = 0x400454ca, 0x400454cb, 0x400454d0
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, tunsetiff, struct.pack("16sH22x", TUN.encode(), 0x0001 | 0x1000 | 0x4000))  # TUN, NO_PI, VNET_HDR
    for flags in (0x67, 0x07):  # checksum, TSO4, TSO6, and USO where the kernel has it
        try:
            fcntl.ioctl(fd, tunsetoffload, flags)
            break
        except OSError:
            continue
    fcntl.ioctl(fd, tunsetpersist, 1)
    os.close(fd)


def device_with_offloads_left_on():
    with testbed.Testbed("persistent") as bed:
        ends = bed.pair("branch", "gw")
        for ns in ends:
            ns.call(leave_device)
        t = Tunnel(bed, "off", "off", ends=ends)
        for daemon in (t.branch, t.gw):
            expect(daemon.ctl("status")["offload"].items() >= NOTHING.items(), "offloads are on")
        for i, way in enumerate(t.ways()):
            send_tcp(way, 4 * MIB, port=7000 + i)
            send_udp(way, 200, i)


def refusing(bed, **variables):
    """Returns the environment that preloads refuse.c into the daemon; variables: those that refuse.c reads."""
    library = bed.path("refuse.so")
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-o", library,
                    os.path.join(HERE, "refuse.c"), "-ldl"], check=True)
    return [f"LD_PRELOAD={library}", *(f"{k}={v}" for k, v in variables.items())]


def nothing_is_lost(t):
    """Sends streams and datagrams both ways; each daemon must deliver all packets that the other one sent."""
    for i, way in enumerate(t.ways()):
        send_tcp(way, 4 * MIB, port=7000 + i)
        send_udp(way, 300, i)
    for a, b in ((t.branch, t.gw), (t.gw, t.branch)):
        wait_for(lambda a=a, b=b: a.sa()["packets_out"] == b.sa()["packets_in"],
                 lambda a=a, b=b: f"{a.sa()['packets_out']} sent, {b.sa()['packets_in']} delivered", 3)
        io = a.ctl("status")["io"]
        expect(io["tx_errors"] == 0 and io["tun_write_errors"] == 0, f"errors: {io}")


def trains_refused():
    with testbed.Testbed("refused") as bed:
        t = Tunnel(bed, env=refusing(bed, REFUSE_TRAINS=20))
        nothing_is_lost(t)
        for way in t.ways():
            with Counted(way[0]) as tx:
                send_tcp(way, 4 * MIB, port=7020)
            expect(way[0].ctl("status")["io"]["tx_refused"] > 0, "nothing was refused")
            expect(tx["tx_refused"] <= 2, f"trains are tried again and again: {tx.moved}")


def runs_refused():
    with testbed.Testbed("refused") as bed:
        t = Tunnel(bed, env=refusing(bed, REFUSE_RUNS=20))
        nothing_is_lost(t)
        for way in t.ways():
            with Counted(way[2]) as rx:
                send_tcp(way, 4 * MIB, port=7020)
            expect(way[2].ctl("status")["io"]["tun_refused"] > 0, "nothing was refused")
            expect(rx["tun_refused"] <= 2, f"runs are tried again and again: {rx.moved}")


def kernel_that_mangles_trains():
    """The daemon does not use trains if its trial at the start finds them mangled, or if its kernel is known for that."""
    for variables, why in (({"MANGLE_TRAINS": 1}, "loopback"), ({"KERNEL": "7.0.0-arch1"}, "7.0.0 to 7.1.4"),
                           ({"KERNEL": "7.1.4"}, "7.0.0 to 7.1.4"), ({"KERNEL": "7.1.5"}, None),
                           ({"KERNEL": "6.19.12-amd64"}, None)):
        with testbed.Testbed("mangled") as bed:
            t = Tunnel(bed, env=refusing(bed, **variables))
            offload = t.branch.ctl("status")["offload"]
            expect(offload["udp_segment"] == (why is None), f"{variables}: {offload}")
            expect((why or "None") in str(offload["udp_segment_why"]), f"{variables}: {offload}")
            text = t.branch.run("status", "--all", as_json=False).stdout
            expect(("UDP segment is not used" in text) == (why is not None), f"{variables}: {text}")
            nothing_is_lost(t)


def trains_on_all_the_same():
    """
    With offload = "on" the daemon uses trains without a trial. That they then arrive mangled shows that the case before
    passes because of the trial.
    """
    with testbed.Testbed("mangled") as bed:
        t = Tunnel(bed, env=refusing(bed, MANGLE_TRAINS=1), branch="on", gw="on")
        expect(t.branch.ctl("status")["offload"]["udp_segment"], "it is off")
        send_tcp(next(t.ways()), MIB)
        expect(t.gw.sa()["verdicts"]["replayed"] + t.gw.sa()["verdicts"]["stale"] > 0, "nothing was mangled")


def switches_in_all_combinations():
    for bits in range(8):
        words = {n: "on" if bits >> i & 1 else "off" for i, n in enumerate(("tun", "udp_segment", "udp_gro"))}
        with testbed.Testbed("switches") as bed:
            t = Tunnel(bed, daemon="offload = { " + " ".join(f'{k} = "{v}";' for k, v in words.items()) + " };")
            offload = t.branch.ctl("status")["offload"]
            expect((offload["tun"] != "none") == (words["tun"] == "on"), f"{words}: {offload}")
            expect(offload["udp_segment"] == (words["udp_segment"] == "on"), f"{words}: {offload}")
            expect(offload["udp_gro"] == (words["udp_gro"] == "on"), f"{words}: {offload}")
            nothing_is_lost(t)


def link_without_checksum_offload():
    """Without checksum offload, kernels before 6.11 refuse UDP_SEGMENT; later ones segment in software."""
    with testbed.Testbed("no-csum") as bed:
        t = Tunnel(bed)
        for i, way in enumerate(t.ways()):
            send_tcp(way, 2 * MIB, port=7000 + i)
        for ns in (t.branch.ns, t.gw.ns):
            ns.offload("eth0", tx_checksum=False)
        nothing_is_lost(t)


def each_back_end():
    for name in ("openssl", "auto"):
        with testbed.Testbed("backend") as bed:
            t = Tunnel(bed, daemon=f' crypto_backend = "{name}";')
            expect(name == "auto" or t.branch.sa()["backend"] == name, f"backend {t.branch.sa()['backend']}")
            print(f"# crypto_backend {name}: {t.branch.sa()['backend']}")
            nothing_is_lost(t)


def of_pairs(check):
    """Returns the check as four cases: offload = "auto" or "off" at either end."""
    def case(branch, gw):
        def run():
            with testbed.Testbed("offload") as bed:
                check(Tunnel(bed, branch, gw), bed)
        run.__name__ = f"{check.__name__}_{branch}_{gw}"
        return run
    return [case(branch, gw) for branch in ("auto", "off") for gw in ("auto", "off")]


main([*of_pairs(tcp_streams), *of_pairs(datagrams), *of_pairs(mixed_traffic), *of_pairs(status_tells),
      *of_pairs(segmented_sends_stay_whole), *of_pairs(wrong_checksums_stay_wrong), path_of_1300, path_of_576,
      narrow_peer_leaves_others_alone, link_shrinks_under_load, device_with_offloads_left_on, trains_refused,
      runs_refused, kernel_that_mangles_trains, trains_on_all_the_same, switches_in_all_combinations,
      link_without_checksum_offload, each_back_end])
