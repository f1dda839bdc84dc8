#!/usr/bin/python3
# IPv6 outside the tunnel, other ports, and ESP without UDP. SPDX-License-Identifier: ISC
import socket
import time

from daemons import (OFFLOADS, CtlError, Mendip, child, config, expect, main, more_traffic, ping,
                     testbed, wait_for)
from test_restart import Unit
from traffic import UdpFlow, tcp

SIX = ("2001:db8:1::1", "2001:db8:1::2")
MIXED = {"net": child(["10.1.0.0/16", "fd00:1::/64"], ["10.2.0.0/16", "fd00:2::/64"], start_action="start",
                      switchover='{ jitter = "0"; }')}
MIXED_GW = {"net": child(["10.2.0.0/16", "fd00:2::/64"], ["10.1.0.0/16", "fd00:1::/64"])}


def inner_six(left, right):
    left.address("inner0", "fd00:1::1/64")
    right.address("inner0", "fd00:2::1/64")


def pair_six(bed, mtu=1500):
    """Two namespaces with IPv6 alone on their link, and both families inside."""
    left, right = bed.pair("branch", "gw", mtu)
    for ns, four, six in ((left, "192.0.2.1", SIX[0]), (right, "192.0.2.2", SIX[1])):
        ns.ip("addr", "del", f"{four}/24", "dev", "eth0")
        ns.address("eth0", f"{six}/64")
        ns.outer = six
    inner_six(left, right)
    return left, right


def routed_six(bed, narrow=1500):
    """Like Testbed.routed, with IPv6 alone."""
    left, router, right = bed.routed("branch", "gw", "router", narrow=narrow)
    for ns, device, four, six in ((left, "eth0", "192.0.2.10", "2001:db8:1::10"),
                                  (router, "inside", "192.0.2.1", "2001:db8:1::1"),
                                  (router, "outside", "198.51.100.1", "2001:db8:2::1"),
                                  (right, "eth0", "198.51.100.20", "2001:db8:2::20")):
        ns.ip("addr", "del", f"{four}/24", "dev", device)
        ns.address(device, f"{six}/64")
        ns.outer = six
    router.sysctl("net.ipv6.conf.all.forwarding", 1)
    left.route("default", "via", "2001:db8:1::1")
    right.route("default", "via", "2001:db8:2::1")
    inner_six(left, right)
    return left, router, right


def start(bed, left, right, kids=None, kids_gw=None, remote=None, gw_more="", kind=Mendip, **options):
    gw = Mendip(bed, right, lambda s: config(s, kids_gw or MIXED_GW, "%any", "gw.example.net", "*.example", "branch",
                                             more=gw_more))
    branch = kind(bed, left, lambda s: config(s, kids or MIXED, remote or right.outer, **options))
    branch.wait_up()
    return branch, gw


def ike_sa(daemon):
    return daemon.ctl("status")["connections"][0]["ike_sas"][0]


def check_both(left, right, what=""):
    for ns, inside in ((left, "10.2.0.1"), (left, "fd00:2::1"), (right, "10.1.0.1"), (right, "fd00:1::1")):
        wait_for(lambda n=ns, i=inside: ping(n, i, 5) == 5, f"{what}: no ping to {inside}")


def both_families_in_ipv6():
    """Pings, traffic classes with ECN, streams, and rekeys under traffic, all in IPv6; nothing in clear."""
    with testbed.Testbed("six") as bed:
        left, right = pair_six(bed)
        sniffer = bed.sniff(right, "eth0")
        branch, _ = start(bed, left, right)
        check_both(left, right)
        expect(ike_sa(branch)["remote"] == f"[{SIX[1]}]:4500", ike_sa(branch)["remote"])
        for source, target in (("10.1.0.1", "10.2.0.1"), ("fd00:1::1", "fd00:2::1")):
            with UdpFlow(left, source, right, target, 9500) as flow:
                for tos in (0, 1, 2, 0xb8, 0xba):
                    flow.set_tos(tos)
                    for size in (1, 900, 1300, 3000):
                        flow.send(bytes([size % 251]) * size)
                flow.settle()
            print(f"# {source}: {tcp(left, source, right, target, 20 << 20):.0f} Mbit/s")
        flow = bed.flow(right, "10.2.0.1", left, "10.1.0.1", rate=2000)
        for _ in range(3):
            branch.ctl("rekey", "net")
            more_traffic(flow, 1000)
        result = flow.stop()
        expect(result.lost == 0, f"{result.lost} lost over three rekeys")
        seen = sniffer.stop()
        clear = [p for p in seen.others if p.kind == "clear"]
        expect(not clear, f"in clear: {[p.data[:48].hex() for p in clear]}")
        expect({p.source for p in seen.esp} == set(SIX), f"ESP from {({p.source for p in seen.esp})}")


def a_path_of_1280():
    """Behind a router with an MTU of 1,280, the least that IPv6 has, streams of both families get through."""
    with testbed.Testbed("narrow") as bed:
        left, _, right = routed_six(bed, narrow=1280)
        branch, _ = start(bed, left, right)
        check_both(left, right)
        for source, target in (("10.1.0.1", "10.2.0.1"), ("fd00:1::1", "fd00:2::1")):
            rate = tcp(left, source, right, target, 2 << 20), tcp(right, target, left, source, 2 << 20)
            print(f"# {source}: {rate[0]:.0f} and {rate[1]:.0f} Mbit/s")
        with UdpFlow(left, "fd00:1::1", right, "fd00:2::1", 9501) as flow:
            for size in (1200, 1232, 1400):
                flow.send(bytes(size))
            flow.settle()
        expect(branch.ctl("status")["offload"]["mtu"] == 1280, branch.ctl("status")["offload"])
        with UdpFlow(left, "10.1.0.1", right, "10.2.0.1", 9502) as flow:
            flow.set_discover(3)  # IP_PMTUDISC_PROBE: DF, whatever the kernel has learned
            flow.told()
            flow.send(bytes(1252))
            flow.sent.clear()
            # 1,280 less IPv6, UDP and ESP: 1280 - 40 - 8 - 8 - 8 - 16 - 2 = 1198, in words of 4 bytes
            told = wait_for(flow.told, "no ICMP error for what does not fit", 3)
            expect(told == 1198, f"told {told}")


def our_ipv6_address_changes():
    with testbed.Testbed("move") as bed:
        left, _, right = routed_six(bed)
        branch, _ = start(bed, left, right, dpd="30s")
        left.ip("addr", "add", "2001:db8:1::11/64", "dev", "eth0", "nodad")
        began = time.monotonic()
        left.ip("addr", "del", "2001:db8:1::10/64", "dev", "eth0")
        wait_for(lambda: ping(left, "10.2.0.1", 1) == 1, "no packet comes through any more", 10)
        took = time.monotonic() - began
        print(f"# our IPv6 address changed, then packets come through: {took:.2f} s")
        expect(took < 3, f"{took:.1f} s")
        expect(branch.logged("2001:db8:1::10 is no address of this host any more"), "it is not told")


def rewound(bed, branch, gw, what):
    flow = bed.flow(gw.ns, "10.2.0.1", branch.ns, "10.1.0.1", rate=1000)
    more_traffic(flow, 2000)
    gw.ctl("fault", "rewind", "1500")
    branch.wait_recovered()
    more_traffic(flow, 500)
    result = flow.stop()
    print(f"# rewound by 1,500, {what}: {result.lost} lost")
    expect(result.lost == 0, f"{what}: {result.lost} lost")


def a_rewind_over_ipv6():
    with testbed.Testbed("rewind") as bed:
        left, right = pair_six(bed)
        branch, gw = start(bed, left, right)
        rewound(bed, branch, gw, "over IPv6")


def restarted(bed, branch, gw, what):
    """Restarts the branch three times under traffic in both directions: nothing may be lost."""
    left, right = branch.ns, gw.ns
    before = branch.spi()
    flows = [testbed.Flow(right, right.inner, left, left.inner, rate=2000),
             testbed.Flow(left, left.inner, right, right.inner, rate=2000, port=9001)]
    for _ in range(3):
        time.sleep(0.5)
        branch.restart()
    time.sleep(0.5)
    lost = [flow.stop().lost for flow in flows]
    print(f"# restarted three times, {what}: {lost} lost")
    expect(lost == [0, 0], f"{what}: {lost} lost")
    expect(branch.spi() == before, "the tunnel was made anew")
    expect(branch.store.names() == [], f"left in the store: {branch.store.names()}")


def a_restart_over_ipv6():
    with testbed.Testbed("restart") as bed:
        left, right = pair_six(bed)
        branch, gw = start(bed, left, right, kind=Unit)
        restarted(bed, branch, gw, "over IPv6")


def a_restart_with_other_ports():
    with testbed.Testbed("restart") as bed:
        left, right = bed.pair("branch", "gw")
        inner_six(left, right)
        branch, gw = start(bed, left, right, kind=Unit, more="local_port = 15500; remote_port = 4500;")
        restarted(bed, branch, gw, "from port 15500")


def link_local_addresses_are_not_heard():
    """A datagram from a link-local address is dropped and counted, as an answer would need the device."""
    with testbed.Testbed("link") as bed:
        left, right = pair_six(bed)
        _, gw = start(bed, left, right)
        sender = left.call(socket.socket, socket.AF_INET6, socket.SOCK_DGRAM)
        index = left.call(socket.if_nametoindex, "eth0")
        there = [w for w in right.ip("-6", "addr", "show", "dev", "eth0").stdout.split() if w.startswith("fe80:")][0]

        def heard():
            sender.sendto(bytes(64), (there.split("/")[0], 500, 0, index))
            return gw.ctl("status")["io"]["rx_link_local"] > 0
        wait_for(heard, "it is not counted", 5)
        sender.close()


def ike_begins_on_4500():
    """remote_port = 4500: nothing on port 500, in either family."""
    for six in (False, True):
        with testbed.Testbed("port") as bed:
            left, right = pair_six(bed) if six else bed.pair("branch", "gw")
            if not six:
                inner_six(left, right)
            sniffer = bed.sniff(right, "eth0")
            start(bed, left, right, more="remote_port = 4500;")
            check_both(left, right)
            ports = {(p.source_port, p.destination_port) for p in sniffer.stop().others if p.kind == "ike"}
            expect(ports == {(4500, 4500)}, f"IKE between ports {ports}")


def other_ports_on_both_sides():
    """local_port = 14500 at the gateway, which the branch calls from 15500; a reload opens another port."""
    with testbed.Testbed("ports") as bed:
        left, right = bed.pair("branch", "gw")
        inner_six(left, right)
        branch, gw = start(bed, left, right, more="local_port = 15500; remote_port = 14500;",
                           gw_more="local_port = 14500;")
        check_both(left, right)
        expect((ike_sa(branch)["local"], ike_sa(branch)["remote"]) == ("192.0.2.1:15500", "192.0.2.2:14500"),
               f"{ike_sa(branch)}")
        branch.write(config(branch.control, MIXED, right.outer, more="local_port = 15501; remote_port = 4500;"))
        branch.ctl("reload")
        wait_for(lambda: branch.up() and ike_sa(branch)["local"] == "192.0.2.1:15501", "not up from the new port", 10)
        check_both(left, right)
        blocker = left.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
        left.call(blocker.bind, ("", 15502))
        branch.write(config(branch.control, MIXED, right.outer, more="local_port = 15502; remote_port = 4500;"))
        try:
            branch.ctl("reload")
            raise AssertionError("a port that another program has was opened")
        except CtlError as e:
            expect("local_port" in str(e), str(e))
        blocker.close()
        check_both(left, right)
        del gw


# ---- ESP without UDP

AUTO = 'encap = "auto";'


def wire(sniffer):
    """Returns (what ESP was in, between which ports IKE was): {"ip", "udp"} and {(source, destination)}."""
    seen = sniffer.stop()
    clear = [p for p in seen.others if p.kind == "clear"]
    expect(not clear, f"in clear: {[p.data[:48].hex() for p in clear]}")
    return ({"udp" if p.source_port else "ip" for p in seen.esp},
            {(p.source_port, p.destination_port) for p in seen.others if p.kind == "ike"})


def plain_pair(bed, six):
    left, right = pair_six(bed) if six else bed.pair("branch", "gw")
    if not six:
        inner_six(left, right)
    return left, right


def esp_without_udp():
    """Without a NAT it is protocol 50, and with "no" IKE stays on port 500; both families inside and outside."""
    for six in (False, True):
        with testbed.Testbed("raw") as bed:
            left, right = plain_pair(bed, six)
            sniffer = bed.sniff(right, "eth0")
            branch, gw = start(bed, left, right, gw_more=AUTO, more='encap = "no";')
            expect(not ike_sa(branch)["esp_in_udp"] and not ike_sa(gw)["esp_in_udp"], "the status says UDP")
            check_both(left, right)
            for source, target in (("10.1.0.1", "10.2.0.1"), ("fd00:1::1", "fd00:2::1")):
                with UdpFlow(left, source, right, target, 9500) as flow:
                    for tos in (0, 1, 2, 0xb8, 0xba):
                        flow.set_tos(tos)
                        for size in (1, 900, 1300, 3000):
                            flow.send(bytes([size % 251]) * size)
                    flow.settle()
                print(f"# {source}: {tcp(left, source, right, target, 10 << 20):.0f} Mbit/s")
            flow = bed.flow(right, "10.2.0.1", left, "10.1.0.1", rate=1000)
            branch.ctl("rekey", "net")
            more_traffic(flow, 500)
            expect(flow.stop().lost == 0, "lost by a rekey")
            expect(wire(sniffer) == ({"ip"}, {(500, 500)}), "not by protocol 50 and port 500 alone")


def one_side_wants_udp():
    """Where one side has encap = "yes", both use UDP."""
    for more, gw_more in ((AUTO, ""), ("", AUTO)):
        with testbed.Testbed("one") as bed:
            left, right = plain_pair(bed, True)
            sniffer = bed.sniff(right, "eth0")
            start(bed, left, right, gw_more=gw_more, more=more)
            check_both(left, right)
            expect(wire(sniffer)[0] == {"udp"}, "ESP without UDP")


def a_nat_needs_udp():
    """Behind a NAT "auto" takes UDP, and "no" has no CHILD SA and says why."""
    with testbed.Testbed("nat") as bed:
        left, router, right = bed.behind_nat("branch", "gw")
        inner_six(left, right)
        sniffer = bed.sniff(right, "eth0")
        branch, _ = start(bed, left, right, gw_more=AUTO, more=AUTO)
        expect(ike_sa(branch)["nat"] == "local", ike_sa(branch)["nat"])
        check_both(left, right)
        bed.rebind(router)
        expect(ping(left, "10.2.0.1", 10) >= 8, "no ping after the rebinding")
        expect(wire(sniffer)[0] == {"udp"}, "ESP without UDP")
        branch.write(config(branch.control, MIXED, right.outer, more='encap = "no";'))
        branch.ctl("reload")
        wait_for(lambda: branch.logged('encap = "no", but there is a NAT on the way'), "it is not told", 10)
        expect(not branch.up(), "up without UDP behind a NAT")


def without_the_capability():
    """Without CAP_NET_RAW "auto" uses UDP, "no" does not come up, "yes" is as always; the log says why."""
    for encap, comes_up in (("yes", True), ("auto", True), ("no", False)):
        with testbed.Testbed("cap") as bed:
            left, right = plain_pair(bed, False)
            gw = Mendip(bed, right, lambda s: config(s, MIXED_GW, "%any", "gw.example.net", "*.example", "branch",
                                                     more=AUTO))
            branch = Mendip(bed, left, lambda s, e=encap: config(s, MIXED, right.outer, more=f'encap = "{e}";'),
                            env=("setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw"))
            if comes_up:
                branch.wait_up()
                check_both(left, right)
                expect(ike_sa(branch)["esp_in_udp"] and ike_sa(gw)["esp_in_udp"], "not in UDP")
            else:
                wait_for(lambda: branch.logged("we cannot send ESP without UDP"), "it is not told", 10)
                expect(not branch.up(), "up")
            expect(branch.logged("needs CAP_NET_RAW") == (encap != "yes"), "what is missing, and whether it is told")


def esp_without_udp_on_a_narrow_path():
    for six in (True, False):
        without_udp_on_a_narrow_path(six)


def without_udp_on_a_narrow_path(six):
    with testbed.Testbed("narrow") as bed:
        left, _, right = routed_six(bed, narrow=1280) if six else bed.routed("branch", "gw", "router", narrow=1280)
        if not six:
            inner_six(left, right)
        start(bed, left, right, gw_more=AUTO, more=AUTO)
        for source, target in (("10.1.0.1", "10.2.0.1"), ("fd00:1::1", "fd00:2::1")):
            rate = tcp(left, source, right, target, 2 << 20), tcp(right, target, left, source, 2 << 20)
            print(f"# {source}: {rate[0]:.0f} and {rate[1]:.0f} Mbit/s")
        with UdpFlow(left, "10.1.0.1", right, "10.2.0.1", 9502) as flow:
            flow.set_discover(3)
            flow.told()
            flow.send(bytes(1252))
            flow.sent.clear()
            told = wait_for(flow.told, "no ICMP error for what does not fit", 3)
            expect(told == (1206 if six else 1226), f"told {told}")  # 8 bytes more than in UDP


def rewinds_and_restarts_without_udp():
    for six in (False, True):
        with testbed.Testbed("again") as bed:
            left, right = plain_pair(bed, six)
            branch, gw = start(bed, left, right, kind=Unit, gw_more=AUTO, more=AUTO)
            sniffer = bed.sniff(right, "eth0")
            restarted(bed, branch, gw, f"ESP in IPv{6 if six else 4}")
            rewound(bed, branch, gw, f"ESP in IPv{6 if six else 4}")
            expect(wire(sniffer)[0] == {"ip"}, "ESP in UDP")


def nobody_says_protocol_unreachable():
    """ESP for nobody is not answered by the kernel, whether raw sockets hear or not."""
    for more in ("", AUTO):
        with testbed.Testbed("icmp") as bed:
            left, right = plain_pair(bed, False)
            _, gw = start(bed, left, right, gw_more=more, more=more)
            sniffer = bed.sniff(right, "eth0")
            stranger = left.call(socket.socket, socket.AF_INET, socket.SOCK_RAW, 50)
            for spi in (1, 0x10000000):
                stranger.sendto(spi.to_bytes(4, "big") + bytes(60), ("192.0.2.2", 0))
            stranger.sendto(b"\1", ("192.0.2.2", 0))
            stranger.close()
            time.sleep(0.5)
            others = [p for p in sniffer.stop().others if p.kind == "clear"]
            expect(not others, f"answered: {[p.data[:48].hex() for p in others]}")
            heard = gw.ctl("status")["verdicts"].get("no_sa", 0)
            expect(heard == bool(more), f"{heard} packets heard: only what may be ESP, and only with encap")


if __name__ == "__main__":
    main([both_families_in_ipv6, a_path_of_1280, our_ipv6_address_changes, a_rewind_over_ipv6, a_restart_over_ipv6,
          a_restart_with_other_ports, link_local_addresses_are_not_heard, ike_begins_on_4500, other_ports_on_both_sides, esp_without_udp,
          one_side_wants_udp, a_nat_needs_udp, without_the_capability, esp_without_udp_on_a_narrow_path,
          rewinds_and_restarts_without_udp, nobody_says_protocol_unreachable], OFFLOADS)
