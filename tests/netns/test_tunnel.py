#!/usr/bin/python3
# Two daemons in namespaces, with TUN devices and real traffic. SPDX-License-Identifier: ISC
import json
import os
import signal
import socket
import threading

from daemons import (NET, NET_GW, OFFLOADS, Mendip, child, config, expect, main, testbed, pair, ping, settle, wait_for)
from traffic import Beside, UdpFlow, family_of


def ping_both_ways():
    with testbed.Testbed("tunnel") as bed:
        branch, gw = pair(bed, NET, NET_GW)
        branch.wait_up()
        sniffer = bed.sniff(gw.ns, "eth0")
        expect(ping(branch.ns, "10.2.0.1", 5) == 5, "branch to gateway")
        expect(ping(gw.ns, "10.1.0.1", 5) == 5, "gateway to branch")
        wait_for(lambda: len(sniffer.esp) >= 20, lambda: f"only {len(sniffer.esp)} ESP packets on the wire")
        seen = sniffer.stop()
        expect("clear" not in seen.kinds(), f"a clear packet on the wire: {seen.kinds()}")


def ipv6_inside():
    with testbed.Testbed("v6") as bed:
        kids = {"six": child("fd00:1::/64", "fd00:2::/64", start_action="start")}
        kids_gw = {"six": child("fd00:2::/64", "fd00:1::/64")}
        left, right = bed.pair("branch", "gw")
        left.address("lo", "fd00:1::1/128")
        right.address("lo", "fd00:2::1/128")
        gw = Mendip(bed, right, lambda s: config(s, kids_gw, "%any", "gw.example.net", "*.example", "branch"))
        branch = Mendip(bed, left, lambda s: config(s, kids, right.outer))
        branch.wait_up("six")
        expect(ping(left, "fd00:2::1", 5) >= 4, "no ping over IPv6")
        expect(gw.up("six"), "the gateway's child is not up")


def one_stream(branch, gw, *options):
    """
    Returns the bits per second of two seconds of iperf3. Each call starts a server, as one that has just served may
    still be busy.
    """
    server = gw.ns.popen("iperf3", "-s", "-1", log=gw.ns.bed.path("iperf.log"))
    wait_for(lambda: gw.ns.run("ss", "-Hltn", "sport", "=", ":5201").stdout, "iperf3 does not listen")
    report = json.loads(branch.ns.run("iperf3", "-c", "10.2.0.1", "-t", "2", "-J", *options).stdout)
    expect("sum_received" in report["end"], f"iperf3 {' '.join(options)}: {report.get('error', 'no result')}")
    wait_for(lambda: server.poll() is not None, "the server of iperf3 does not end")
    return report["end"]["sum_received"]["bits_per_second"]


def iperf_both_ways():
    with testbed.Testbed("iperf") as bed:
        branch, gw = pair(bed, NET, NET_GW)
        branch.wait_up()
        for flag in ([], ["-R"]):
            bits = one_stream(branch, gw, *flag)
            print(f"# iperf3 {'to' if flag else 'from'} the branch: {bits / 1e9:.2f} Gbit/s")
            expect(bits > 1e7, "hardly any throughput")
        expect(ping(branch.ns, "10.2.0.1") == 3, "no ping after load")


def trap_brings_it_up():
    with testbed.Testbed("trap") as bed:
        kids = {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action="trap")}
        branch, _ = pair(bed, kids, NET_GW)
        expect(not branch.up(), "up before the first packet")
        ping(branch.ns, "10.2.0.1", 1)
        branch.wait_up()
        expect(ping(branch.ns, "10.2.0.1") == 3, "no ping")


def remote_ts_contains_the_peer():
    with testbed.Testbed("all") as bed:
        kids = {"net": child("10.1.0.0/16", "0.0.0.0/0", start_action="start")}
        branch, gw = pair(bed, kids, {"net": child("0.0.0.0/0", "10.1.0.0/16")})
        branch.wait_up()
        expect(ping(branch.ns, gw.ns.outer, 5, source="10.1.0.1") == 5, "the peer's own address through the tunnel")
        expect(ping(branch.ns, "10.2.0.1", 5) == 5, "the net behind it")


def killed_gateway_comes_back():
    with testbed.Testbed("kill-gw") as bed:
        branch, gw = pair(bed, NET, NET_GW, dpd="1s", daemon='retransmit_timeout = "100ms";')
        branch.wait_up()
        gw.kill()
        gw.start()
        wait_for(lambda: branch.up() and ping(branch.ns, "10.2.0.1", 1) == 1, "the gateway's return helps nothing", 40)


def killed_branch_comes_back():
    with testbed.Testbed("kill-branch") as bed:
        branch, gw = pair(bed, NET, NET_GW)
        branch.wait_up()
        branch.kill()
        branch.start()
        branch.wait_up()
        expect(ping(branch.ns, "10.2.0.1") == 3, "no ping")
        wait_for(lambda: len(gw.ctl("status")["connections"][0]["ike_sas"]) == 1, "the old IKE SA stays", 5)
        expect(gw.logged("INITIAL_CONTACT"), "INITIAL_CONTACT was not honoured")


def up_down_rekey():
    with testbed.Testbed("updown") as bed:
        branch, gw = pair(bed, NET, NET_GW)
        branch.wait_up()
        flow = bed.flow(gw.ns, gw.ns.inner, branch.ns, branch.ns.inner, rate=1000)
        spis = set()
        for daemon in (branch, gw, branch, gw):
            spis.add(branch.sa()["spi_in"])
            daemon.ctl("rekey", "net")
            wait_for(lambda: branch.sa()["spi_in"] not in spis and branch.sa()["state"] == "installed",
                     f"no rekey from {daemon.ns.short}", 5)
            settle(0.5)  # with traffic on the new SA
        result = flow.stop()
        expect(result.lost == 0, f"{result.lost} packets lost over four rekeys")
        branch.ctl("down", "net")
        wait_for(lambda: not branch.up() and not gw.up(), "down leaves something up", 5)
        branch.ctl("up", "net")
        branch.wait_up()
        expect(ping(branch.ns, "10.2.0.1") == 3, "no ping after up")
        old = branch.spi()
        gw.ctl("down", "net")
        wait_for(lambda: branch.up() and branch.spi() != old, "what the peer ended does not come back")
        expect(ping(branch.ns, "10.2.0.1") == 3, "no ping after it came back")


def nat_and_rebinding():
    with testbed.Testbed("nat") as bed:
        left, router, right = bed.behind_nat("branch", "gw")
        gw = Mendip(bed, right, lambda s: config(s, NET_GW, "%any", "gw.example.net", "*.example", "branch"))
        branch = Mendip(bed, left, lambda s: config(s, NET, right.outer))
        branch.wait_up()
        expect(branch.ctl("status")["connections"][0]["ike_sas"][0]["nat"] == "local", "the NAT was not seen")
        expect(ping(left, "10.2.0.1") == 3, "no ping through the NAT")
        before = gw.ctl("status")["connections"][0]["ike_sas"][0]["remote"]
        bed.rebind(router)
        expect(ping(left, "10.2.0.1", 10) >= 8, "no ping after the rebinding")
        after = gw.ctl("status")["connections"][0]["ike_sas"][0]["remote"]
        expect(before != after, f"the gateway did not follow: {after}")
        expect(ping(right, "10.1.0.1", 3) == 3, "no ping from the gateway after the rebinding")


def three_children_lose_the_ike_sa():
    names = ("a", "b", "c")
    with testbed.Testbed("three") as bed:
        kids = {n: child(f"10.1.{i}.0/24", f"10.2.{i}.0/24", start_action="start", switchover='{ jitter = "0"; }')
                for i, n in enumerate(names)}
        kids_gw = {n: child(f"10.2.{i}.0/24", f"10.1.{i}.0/24") for i, n in enumerate(names)}
        branch, gw = pair(bed, kids, kids_gw, dpd="0", daemon='retransmit_timeout = "200ms";')
        for i in range(3):
            branch.ns.address("lo", f"10.1.{i}.2/32")
            gw.ns.address("lo", f"10.2.{i}.2/32")
        branch.wait_up(*names)
        old = {n: branch.sa(n)["spi_in"] for n in names}
        gw.ctl("fault", "forget-ike")
        for n in names:
            branch.ctl("rekey", n)
        wait_for(lambda: branch.up(*names) and all(branch.spi(n) not in (None, old[n]) for n in names),
                 "the children do not come back", 60)
        for i in range(3):
            expect(ping(branch.ns, f"10.2.{i}.2", 3, source=f"10.1.{i}.2") == 3, f"no ping on child {i}")


def a_pause_loses_nothing():
    """
    The branch's daemon is stopped while 9,000 packets arrive (18 ms of 500,000 packets per second), first from TUN and
    then from the network: its queues must hold them all.
    """
    with testbed.Testbed("pause") as bed:
        branch, gw = pair(bed, NET, NET_GW)
        branch.wait_up()
        ends = (branch.ns, branch.ns.inner, gw.ns, gw.ns.inner)
        with UdpFlow(*ends, 7001) as up, UdpFlow(*ends[2:], *ends[:2], 7002) as down:
            for flow in (up, down):
                os.kill(branch.process.pid, signal.SIGSTOP)
                for i in range(9000):
                    flow.send(i.to_bytes(200, "big"))
                settle()
                os.kill(branch.process.pid, signal.SIGCONT)
                flow.settle()


class NoSuchName:
    """
    Runs a name server in the namespace, at the address that /etc/resolv.conf names: it answers that no name exists (RFC
    1035 4.1.1, RCODE 3).
    """

    def __init__(self, bed, ns):
        with open("/etc/resolv.conf", encoding="utf-8") as f:
            servers = [line.split()[1] for line in f if line.startswith("nameserver")]
        address = servers[0] if servers else "127.0.0.1"
        if not address.startswith("127."):
            ns.address("lo", address)
        self.socket = ns.call(socket.socket, family_of(address), socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        self.socket.settimeout(0.1)
        self.ends = threading.Event()
        self.thread = Beside(self.answer)
        bed.at_exit(self.stop)

    def answer(self):
        while not self.ends.is_set():
            try:
                query, peer = self.socket.recvfrom(512)
            except TimeoutError:
                continue
            self.socket.sendto(query[:2] + b"\x81\x83" + query[4:6] + bytes(6) + query[12:], peer)

    def stop(self):
        self.ends.set()
        self.thread.join()
        self.socket.close()


def name_is_resolved():
    with testbed.Testbed("name") as bed:
        left, right = bed.pair("branch", "gw")
        NoSuchName(bed, left)
        Mendip(bed, right, lambda s: config(s, NET_GW, "%any", "gw.example.net", "*.example", "branch"))
        branch = Mendip(bed, left, lambda s: config(s, NET, "localhost"))
        # localhost resolves, but no peer answers there: the daemon keeps trying and goes on running
        wait_for(lambda: branch.logged("gw: connecting"), "it does not connect")
        expect(branch.run("version").returncode == 0, "the daemon does not answer")
        branch.write(config(branch.control, NET, "no-such-host.invalid"))
        branch.ctl("reload")
        wait_for(lambda: branch.logged("cannot be resolved"), "it is not told that the name does not resolve")


main([ping_both_ways, ipv6_inside, iperf_both_ways, trap_brings_it_up, remote_ts_contains_the_peer,
      killed_gateway_comes_back, killed_branch_comes_back, up_down_rekey, nat_and_rebinding,
      three_children_lose_the_ike_sa, name_is_resolved, a_pause_loses_nothing], OFFLOADS)
