#!/usr/bin/python3
# Other programs change routes, rules, devices, addresses and names while the daemon runs. SPDX-License-Identifier: ISC
"""
The branch has a router as its default route, so that packets that bypass the tunnel leave by its outer device: a
sniffer there sees them in clear.
"""
import os
import socket
import struct
import threading
import time

from names import files_of
from daemons import NET_GW, PSK, Mendip, child, config, expect, main, more_traffic, testbed, ping, settle, wait_for

RATE = 500
OURS = range(5149, 5155)
NET = {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action="start")}
ALL = {"net": child("10.1.0.0/16", "0.0.0.0/0", start_action="start")}
ALL_GW = {"net": child("0.0.0.0/0", "10.1.0.0/16")}


def gateway(bed, ends, kids=None):
    """Starts a gateway in the right one of `ends`, (left, router, right); returns (gateway, left, router, right)."""
    left, router, right = ends
    gw = Mendip(bed, right, lambda s: config(s, kids or NET_GW, "%any", "gw.example.net", "*.example", "branch"))
    return gw, left, router, right


def routed(bed, kids=None, kids_gw=None, **options):
    """Starts a branch and a gateway with a router between them; returns (branch, gateway, router)."""
    gw, left, router, right = gateway(bed, bed.routed("branch", "gw", "router"), kids_gw)
    branch = Mendip(bed, left, lambda s: config(s, kids or NET, right.outer, **options))
    return branch, gw, router


def rules(branch):
    text = branch.ns.run("ip", "rule").stdout
    return [p for p in OURS if f"{p}:" in text]


def clear(sniffer):
    return [p for p in sniffer.others if p.kind == "clear" and p.destination.startswith("10.")]


def within(seconds, what, wait):
    """Runs wait(), prints how long it took, and raises when that was `seconds` or more."""
    began = time.monotonic()
    wait()
    took = time.monotonic() - began
    print(f"# {what}: {took:.2f} s")
    expect(took < seconds, f"{what}: {took:.1f} s")


def beside_traffic(bed, what, change):
    """
    Calls change(branch) while the branch sends traffic through the tunnel. Packets must pass after it, and none may
    leave in clear. Returns (branch, FlowResult).
    """
    branch, gw, _ = routed(bed)
    branch.wait_up()
    sniffer = bed.sniff(branch.ns, "eth0")
    flow = bed.flow(branch.ns, branch.ns.inner, gw.ns, gw.ns.inner, rate=RATE)
    more_traffic(flow, RATE // 2)
    change(branch)
    before = flow.received
    wait_for(lambda: flow.received > before + RATE // 2, "no packet comes through any more", 5)
    result = flow.stop()
    seen = sniffer.stop()
    print(f"# {what:<28} {result.lost:4d} of {result.sent} lost, longest gap {result.longest_gap_ms:.0f} ms, "
          f"{len(clear(seen))} in clear")
    expect(not clear(seen), f"{len(clear(seen))} packets in clear: {clear(seen)[:3]}")
    return branch, result


def undisturbed(what, lost_max, change):
    """After change(branch) all rules must be there, and at most `lost_max` packets may have been lost."""
    with testbed.Testbed("host") as bed:
        branch, result = beside_traffic(bed, what, change)
        expect(result.lost <= lost_max, f"{result.lost} lost, at most {lost_max} expected")
        expect(rules(branch) == list(OURS), f"rules: {rules(branch)}")


def by_ip(*args):
    """Returns a change that runs ip(8) and gives the daemon a little time to react."""
    def change(branch):
        branch.ns.run("ip", *args)
        settle(0.2)
    return change


def each_rule_comes_back():
    for priority in OURS:
        undisturbed(f"ip rule del pref {priority}", 5, by_ip("rule", "del", "pref", str(priority)))


def routes_come_back():
    for table in (5150, 5151):
        undisturbed(f"ip route flush table {table}", 5, by_ip("route", "flush", "table", str(table)))


def the_device_goes_down():
    def down(branch):
        branch.ctl("reload")  # after which the daemon still knows the device, which it made at its start
        branch.ns.run("ip", "link", "set", "mendip0", "down")

    undisturbed("ip link set down", RATE // 2, down)


def the_device_is_deleted():
    """The daemon makes a deleted TUN device again at once, but not more often than once per second."""
    undisturbed("ip link del", RATE // 2, by_ip("link", "del", "mendip0"))

    def thrice(branch):
        for _ in range(3):
            wait_for(lambda: branch.ns.run("ip", "link", "del", "mendip0", check=False).returncode == 0, "no device", 3)

    undisturbed("ip link del, three times", 4 * RATE, thrice)


def kill_and_start(branch):
    branch.kill()
    settle(0.5)
    if os.path.exists(branch.control):
        os.unlink(branch.control)
    branch.start()
    branch.wait_up()


def a_peer_that_comes_anew_keeps_its_routes():
    """
    A killed branch comes again and replaces its SAs: the gateway, for which this is one turn, must not remove their
    routes in between. Without them its packets are refused, or leave in clear.
    """
    with testbed.Testbed("host") as bed:
        branch, gw, _ = routed(bed)
        branch.wait_up()
        flow = bed.flow(gw.ns, gw.ns.inner, branch.ns, branch.ns.inner, rate=RATE)
        more_traffic(flow, RATE // 2)
        log = bed.path("monitor")
        monitor = gw.ns.popen("ip", "monitor", "route", log=log)
        settle(0.2)
        kill_and_start(branch)
        more_traffic(flow, RATE // 2)
        monitor.stop()
        gone = [line for line in open(log, encoding="utf-8") if line.startswith("Deleted") and "table 515" in line]
        expect(not gone, f"removed: {gone}")
        refused = flow.stop().send_errors
        expect(not refused, f"{refused} packets were refused")


def what_dies_blocks():
    """
    While a killed daemon is not started again, no packet leaves in clear; a daemon that is stopped removes its rules
    and routes.
    """
    with testbed.Testbed("host") as bed:
        branch, _ = beside_traffic(bed, "kill -9", kill_and_start)
        branch.process.stop()
        expect(not rules(branch), f"rules after a stop: {rules(branch)}")
        for table in (5150, 5151, 5153, 5154):
            left = branch.ns.run("ip", "route", "show", "table", str(table), check=False).stdout
            expect(not left, f"table {table} after a stop: {left}")


def leak_allow_lets_it_out():
    """
    With leak = "allow", packets for the tunnel leave in clear when the daemon has been killed. That the sniffer sees
    them shows that it would see them in the other cases.
    """
    with testbed.Testbed("host") as bed:
        branch, gw, _ = routed(bed, daemon='leak = "allow";')
        branch.wait_up()
        sniffer = bed.sniff(branch.ns, "eth0")
        branch.kill()
        ping(branch.ns, gw.ns.inner, 3, branch.ns.inner)
        settle()
        expect(clear(sniffer.stop()), "nothing in clear: the other cases may see nothing either")


def a_default_route_leaves_the_lan():
    """
    With remote_ts = 0.0.0.0/0 on a router, the LAN and the management net are still reachable, and hosts in the LAN
    reach the far end of the tunnel.
    """
    with testbed.Testbed("host") as bed:
        branch, gw, _ = routed(bed, ALL, ALL_GW)
        for ns, net in (("lan", "10.1.7"), ("mgmt", "172.16.0")):
            host = bed.namespace(ns)
            bed.link(branch.ns, ns, f"{net}.1/24", host, "eth0", f"{net}.2/24")
            host.route("default", "via", f"{net}.1")
        lan, mgmt = (n for n in bed.namespaces if n.short in ("lan", "mgmt"))
        branch.ns.sysctl("net.ipv4.ip_forward", 1)
        gw.ns.sysctl("net.ipv4.ip_forward", 1)
        branch.wait_up()
        expect(ping(branch.ns, "10.1.7.2") == 3, "the router does not reach its LAN")
        expect(ping(mgmt, "172.16.0.1") == 3, "the management net does not reach the router")
        expect(ping(mgmt, "10.1.7.2") == 3, "the management net does not reach the LAN")
        expect(ping(lan, gw.ns.inner) == 3, "the LAN does not reach the tunnel")
        expect(ping(branch.ns, gw.ns.inner) == 3, "the router does not reach the tunnel")


def closer_routes_win():
    """
    Where the main table has a longer prefix within remote_ts, such as a connected net, packets for it do not enter the
    tunnel; that holds for routes that appear after the tunnel, too.
    """
    with testbed.Testbed("host") as bed:
        branch, gw, _ = routed(bed)
        branch.wait_up()
        near = bed.namespace("near")
        bed.link(branch.ns, "near", "10.2.9.1/24", near, "eth0", "10.2.9.2/24")
        wait_for(lambda: ping(branch.ns, "10.2.9.2", 1) == 1, "a connected net is cut off", 5)
        expect(ping(branch.ns, gw.ns.inner) == 3, "the tunnel is cut off")
        for table in ("5150", "5151"):
            branch.ns.run("ip", "route", "flush", "table", table)
            wait_for(lambda: ping(branch.ns, "10.2.9.2", 1) == 1, f"its exception in {table} does not come back", 5)
        branch.ns.run("ip", "link", "del", "near")
        wait_for(lambda: "10.2.9.0/24" not in branch.ns.run("ip", "route", "show", "table", "5150").stdout,
                 "its exception stays", 5)


def the_inside_address_comes_later():
    with testbed.Testbed("host") as bed:
        _, left, _, right = gateway(bed, bed.routed("branch", "gw", "router"))
        left.run("ip", "addr", "del", "10.1.0.1/16", "dev", "inner0")
        branch = Mendip(bed, left, lambda s: config(s, NET, right.outer))
        branch.wait_up()
        expect(ping(left, right.inner, 1) == 0, "a source from nowhere")
        for address in ("10.1.0.7", "10.1.0.8"):
            left.run("ip", "addr", "add", f"{address}/16", "dev", "inner0")
            wait_for(lambda a=address: f"src {a}" in left.run("ip", "route", "show", "table", "5150").stdout,
                     "the route does not get its source", 2)
            expect(ping(left, right.inner) == 3, "our own packets are not tunnelled")
            left.run("ip", "addr", "del", f"{address}/16", "dev", "inner0")


def change_our_address(**options):
    """Gives the branch another outer address; returns the names of its IKE SA and CHILD SA before and after."""
    with testbed.Testbed("host") as bed:
        branch, gw, _ = routed(bed, dpd="30s", **options)
        branch.wait_up()
        before = branch.ctl("status")["connections"][0]["ike_sas"][0]["spi_i"], branch.spi()
        branch.ns.run("ip", "addr", "del", "192.0.2.10/24", "dev", "eth0")
        branch.ns.run("ip", "addr", "add", "192.0.2.11/24", "dev", "eth0")
        branch.ns.run("ip", "route", "replace", "default", "via", "192.0.2.1")
        within(3, "our address changed, then packets come through", lambda: wait_for(
            lambda: ping(branch.ns, gw.ns.inner, 1, branch.ns.inner) == 1, "no packet comes through any more", 10))
        expect(branch.logged("192.0.2.10 is no address of this host any more"), "it is not told")
        return before, (branch.ctl("status")["connections"][0]["ike_sas"][0]["spi_i"], branch.spi())


def our_address_changes():
    """With MOBIKE the SAs move."""
    before, after = change_our_address()
    expect(before == after, f"other SAs: {before}, {after}")


def our_address_changes_without_mobike():
    before, after = change_our_address(more='mobike = "no";')
    expect(before[0] != after[0] and before[1] != after[1], f"the same SAs: {before}, {after}")


def a_way_comes_back():
    """The link is down for longer than the first retransmissions take: once it is up, the daemon tries again at once."""
    with testbed.Testbed("host") as bed:
        _, left, router, right = gateway(bed, bed.routed("branch", "gw", "router"))
        router.run("ip", "link", "set", "inside", "down")
        branch = Mendip(bed, left, lambda s: config(s, NET, right.outer))
        settle(4)
        router.run("ip", "link", "set", "inside", "up")
        within(3, "the link is up again, then the tunnel", lambda: branch.wait_up(timeout=10))


def names_of(bed, ns, server, timeout=1):
    """
    Gives the namespace an /etc/hosts with localhost alone and a resolv.conf with this name server; returns a function
    that rewrites these files.
    """
    write = files_of(bed, ns)
    write("hosts", "127.0.0.1 localhost\n")
    write("resolv.conf", f"nameserver {server}\noptions timeout:{timeout} attempts:1\n")
    return write


def a_name_moves():
    """
    The peer's name does not resolve, then resolves to an address that nobody has, and then to the peer's: the daemon
    reads /etc/hosts again each time.
    """
    with testbed.Testbed("host") as bed:
        _, left, _, right = gateway(bed, bed.routed("branch", "gw", "router"))
        write = names_of(bed, left, "127.0.0.1")
        branch = Mendip(bed, left, lambda s: config(s, NET, "gw.test"))
        wait_for(lambda: branch.logged("cannot be resolved"), "it is not told that the name does not resolve", 15)
        write("hosts", "127.0.0.1 localhost\n198.51.100.99 gw.test\n")
        wait_for(lambda: branch.logged("gw: connecting"), "the file is not read again", 15)
        write("hosts", f"127.0.0.1 localhost\n{right.outer} gw.test\n")
        within(3, "the name has another address, then the tunnel is up", lambda: branch.wait_up(timeout=30))


class NameServer:
    """
    A name server that answers each query with the same addresses, of IPv4 and of IPv6 (None: it has none of that
    family), and records the times of the queries for IPv4.
    """

    def __init__(self, bed, ns, address, ttl, six=None):
        self.address, self.six, self.ttl, self.asked = address, six, ttl, []
        self.socket = ns.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        ns.call(self.socket.bind, ("127.0.0.1", 53))
        bed.at_exit(self.socket.close)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                query, whence = self.socket.recvfrom(512)
            except OSError:
                return
            kind = query[query.index(b"\0", 12) + 2]
            if kind == 1:
                self.asked.append(time.monotonic())
            self.socket.sendto(self._answer(query, kind), whence)

    def _answer(self, query, kind):
        end = query.index(b"\0", 12) + 5  # RFC 1035 4.1.2: the name, type and class
        text, family = {1: (self.address, socket.AF_INET), 28: (self.six, socket.AF_INET6)}.get(kind, (None, None))
        address = socket.inet_pton(family, text) if text else b""
        record = struct.pack("!HHHIH", 0xc00c, kind, 1, self.ttl, len(address)) + address if address else b""
        return query[:2] + struct.pack("!HHHHH", 0x8180, 1, bool(record), 0, 0) + query[12:end] + record


def a_name_has_both_families():
    """RFC 6724: of a name's addresses that of IPv6 comes first where there is a way to it, else that of IPv4."""
    for six in (True, False):
        with testbed.Testbed("host") as bed:
            left, right = bed.pair("branch", "gw")
            if six:
                left.address("eth0", "2001:db8:1::1/64")
                right.address("eth0", "2001:db8:1::2/64")
            gateway(bed, (left, None, right))
            names_of(bed, left, "127.0.0.1")
            NameServer(bed, left, right.outer, 60, "2001:db8:1::2")
            branch = Mendip(bed, left, lambda s: config(s, NET, "gw.test"))
            branch.wait_up()
            remote = branch.ctl("status")["connections"][0]["ike_sas"][0]["remote"]
            expect(remote == ("[2001:db8:1::2]:4500" if six else "192.0.2.2:4500"), f"called {remote}")
            expect(not branch.logged("cannot be resolved"), "a family without an address is taken for an error")


def a_name_is_asked_for_when_its_ttl_ends():
    """
    The daemon resolves the peer's name again whenever its TTL ends, also while the tunnel is up, so that it knows the
    current address when it initiates the next IKE SA.
    """
    with testbed.Testbed("host") as bed:
        gw, left, _, right = gateway(bed, bed.routed("branch", "gw", "router"))
        names_of(bed, left, "127.0.0.1")
        left.run("ip", "link", "set", "lo", "up")
        server = NameServer(bed, left, right.outer, 3)
        branch = Mendip(bed, left, lambda s: config(s, NET, "gw.test"))
        branch.wait_up()
        wait_for(lambda: len(server.asked) >= 4, "it is not asked again when its TTL ends", 15)
        gaps = [b - a for a, b in zip(server.asked[1:], server.asked[2:])]
        print(f"# asked again after {', '.join(f'{g:.2f}' for g in gaps)} s, TTL 3 s")
        expect(all(2.9 < g < 4 for g in gaps), f"asked again after {gaps}, with a TTL of 3 s")
        server.ttl = 3600
        settle(3.5)  # the last short TTL has ended
        asked = len(server.asked)
        settle(5)
        expect(len(server.asked) == asked, "asked again long before its TTL ends")
        expect(ping(left, gw.ns.inner) == 3, "the tunnel went down")


def files_change_while_names_are_asked_for():
    """
    The name server does not answer, so that look-ups of several connections are pending at all times: the daemon reads
    a changed /etc/hosts all the same.
    """
    with testbed.Testbed("host") as bed:
        left, right = bed.pair("branch", "gw")
        write = names_of(bed, left, "192.0.2.99", 3)
        left.drop("ip daddr 192.0.2.99")

        def conf(control, *names):
            connections = " ".join(
                f'{n}: {{ local: {{ id = "branch.example"; }}; remote_addrs = "{n}.test"; remote: {{ id = "gw.example.net"; }}; '
                f'children: {{ net: {child("10.1.0.0/16", f"10.{2 + i}.0.0/16", start_action="start")}; }}; }};'
                for i, n in enumerate(names))
            return (f'daemon: {{ control = "{control}"; }}; connections: {{ {connections} }};'
                    f'secrets: {{ ike_all: {{ secret = "{PSK}"; }}; }};')

        branch = Mendip(bed, left, lambda s: conf(s, "a"))
        settle(1.5)  # so that the look-ups of the connections do not begin together
        branch.write(conf(branch.control, "a", "b", "c"))
        branch.ctl("reload")
        settle(2)
        write("hosts", "".join(f"{right.outer} {n}.test\n" for n in ("a", "b", "c")))
        within(10, "three names in a file that was written meanwhile", lambda: wait_for(
            lambda: all(branch.logged(f"info: {n}: connecting") for n in ("a", "b", "c")), "they are not read", 30))


def a_mapping_is_kept():
    """
    The branch is behind a NAT, only the gateway sends traffic, and the NAT's mapping changes: the branch's keepalives
    make the gateway learn the new mapping soon.
    """
    with testbed.Testbed("host") as bed:
        gw, left, router, right = gateway(bed, bed.behind_nat("branch", "gw", "router"))
        branch = Mendip(bed, left, lambda s: config(s, NET, right.outer, dpd="30s", daemon='nat_keepalive = "1s";'))
        branch.wait_up()
        flow = bed.flow(gw.ns, gw.ns.inner, branch.ns, branch.ns.inner, rate=RATE)
        more_traffic(flow, RATE // 2)
        bed.rebind(router)
        before = flow.received
        within(4, "another mapping, then half a second of packets", lambda: wait_for(
            lambda: flow.received > before + RATE // 2, "no packet comes through any more", 10))
        flow.stop()


main([each_rule_comes_back, routes_come_back, the_device_goes_down, the_device_is_deleted,
      a_peer_that_comes_anew_keeps_its_routes, what_dies_blocks, leak_allow_lets_it_out, a_default_route_leaves_the_lan,
      closer_routes_win, the_inside_address_comes_later, our_address_changes, our_address_changes_without_mobike,
      a_way_comes_back, a_name_moves, a_name_has_both_families, a_name_is_asked_for_when_its_ttl_ends,
      files_change_while_names_are_asked_for, a_mapping_is_kept])
