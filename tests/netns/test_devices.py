#!/usr/bin/python3
# Children with a TUN device of their own: addresses, carrier, reloads, and FRR's BGP with BFD over two such devices.
# SPDX-License-Identifier: ISC
"""
The branch has a tunnel to each of two gateways. The traffic selectors of both tunnels are 0.0.0.0/0, and each tunnel
has its own TUN device:

  branch  eth1 192.0.2.1 -- 192.0.2.2  gw1      ipsec1 10.255.1.1 -- 10.255.1.2
          eth2 198.51.100.1 -- .2      gw2      ipsec2 10.255.2.1 -- 10.255.2.2

Both gateways have the address 10.2.0.1: the branch's route decides which of them answers.
"""
import os
import shutil
import tempfile
import time

from daemons import PSK, Mendip, expect, main, testbed, ping, settle, wait_for

OUTER = {1: ("192.0.2.1", "192.0.2.2"), 2: ("198.51.100.1", "198.51.100.2")}
ALL = 'local_ts = [ "0.0.0.0/0" ]; remote_ts = [ "0.0.0.0/0" ];'
FRR = "/usr/lib/frr"


def connection(name, device, remote, local_id, remote_id, action):
    return f"""{name}: {{
  local: {{ id = "{local_id}"; auth = "psk"; }};
  remote_addrs = [ "{remote}" ]; remote: {{ id = "{remote_id}"; auth = "psk"; }};
  proposals = [ "aes128gcm16-prfsha256-x25519" ]; dpd_delay = "2s"; device = "{device}";
  children: {{ {name}: {{ {ALL} start_action = "{action}"; }}; }}; }};"""


def conf(*connections, daemon=""):
    """Returns a function from the path of the control socket to the configuration, as Mendip() takes it."""
    secret = f'secrets: {{ ike_all: {{ secret = "{PSK}"; }}; }};'
    return lambda s: (f'daemon: {{ control = "{s}"; log = "debug"; retransmit_timeout = "100ms"; {daemon} }};\n'
                      f'connections: {{ {" ".join(connections)} }};\n{secret}\n')


def to_gateway(i, action="start"):
    return connection(f"gw{i}", f"ipsec{i}", OUTER[i][1], "branch.example", f"gw{i}.example", action)


class Site:
    """The branch and its two gateways, with addresses on the TUN devices; action: start_action of the branch's children."""

    def __init__(self, bed, action="start"):
        self.bed, self.action = bed, action
        ns = bed.namespace("branch")
        ns.inner_net("10.1.0.1/16")
        self.gw = {}
        for i in (1, 2):
            far = bed.namespace(f"gw{i}")
            bed.link(ns, f"eth{i}", f"{OUTER[i][0]}/24", far, "eth0", f"{OUTER[i][1]}/24")
            far.inner_net("10.2.0.1/16")
            self.gw[i] = Mendip(bed, far, conf(connection("branch", "ipsec0", "%any", f"gw{i}.example",
                                                          "branch.example", "none")))
            far.ip("addr", "add", f"10.255.{i}.2/30", "dev", "ipsec0")
        self.branch = Mendip(bed, ns, conf(*(to_gateway(i, action) for i in (1, 2))))
        for i in (1, 2):
            ns.ip("addr", "add", f"10.255.{i}.1/30", "dev", f"ipsec{i}")

    def wait_up(self):
        self.branch.wait_up("gw1", "gw2")
        for i in (1, 2):
            self.gw[i].wait_up("branch")


def has_link(ns, device):
    return "LOWER_UP" in ns.run("ip", "link", "show", device).stdout


def each_gateway_has_a_device():
    """Two children have the same traffic selectors: the device that a packet is routed to decides which tunnel it takes."""
    with testbed.Testbed("devices") as bed:
        site = Site(bed)
        site.wait_up()
        for i in (1, 2):
            expect(ping(site.branch.ns, f"10.255.{i}.2", 5) == 5, f"the far end of ipsec{i}")
            expect(ping(site.gw[i].ns, f"10.255.{i}.1", 5) == 5, f"the branch from gateway {i}")
            expect(ping(site.branch.ns, f"10.255.{3 - i}.2", 2, source=f"10.255.{3 - i}.1") == 2, "the other one")
        before = {i: site.branch.sa(f"gw{i}")["packets_out"] for i in (1, 2)}
        site.branch.ns.ip("route", "replace", "10.2.0.0/16", "dev", "ipsec2", "src", "10.1.0.1")
        site.gw[2].ns.ip("route", "replace", "10.1.0.0/16", "dev", "ipsec0")
        expect(ping(site.branch.ns, "10.2.0.1", 5) == 5, "by the route to ipsec2")
        after = {i: site.branch.sa(f"gw{i}")["packets_out"] for i in (1, 2)}
        expect(after[1] == before[1] and after[2] == before[2] + 5, f"{before}, then {after}")
        # The daemon makes no routes for children with a device: with these selectors they would catch all traffic.
        for table in (5150, 5151, 5153, 5154):
            made = site.branch.ns.run("ip", "route", "show", "table", str(table), check=False).stdout
            expect(not made, f"table {table}: {made}")
        text = site.branch.run("status", "--all", as_json=False).stdout
        expect("TUN device ipsec1: link up, MTU 1438\n" in text, text)
        expect("    child gw1 on ipsec1: up," in text, text)
        metrics = site.branch.run("metrics", as_json=False).stdout
        expect('mendip_device_link{device="ipsec1"} 1\n' in metrics, metrics)


def the_link_is_the_tunnels():
    """The device's carrier is down without a CHILD SA and up with one; a rekey or a recovery does not change it."""
    with testbed.Testbed("devices") as bed:
        site = Site(bed, action="none")
        ns, branch = site.branch.ns, site.branch
        expect(not has_link(ns, "ipsec1") and not has_link(ns, "ipsec2"), "a link before there is a child")
        branch.ctl("up", "gw1/gw1")
        branch.wait_up("gw1")
        wait_for(lambda: has_link(ns, "ipsec1"), "no link", 2)
        expect(not has_link(ns, "ipsec2"), "the other one has a link, too")
        first = branch.spi("gw1")
        branch.ctl("rekey", "gw1/gw1")
        wait_for(lambda: branch.spi("gw1") != first, "no rekey")
        expect(ping(ns, "10.255.1.2", 50) == 50, "a packet was lost")
        site.gw[1].ctl("fault", "rewind", "40")
        expect(ping(site.gw[1].ns, "10.255.1.1", 50) == 50, "the rewind cost a packet")
        branch_log = open(branch.log, encoding="utf-8", errors="replace").read()
        expect(branch_log.count("link of ipsec1: up") == 1, "the link changed in the rekey")
        expect("link of ipsec1: down" not in branch_log, "the link went down in the rekey")
        branch.ctl("down", "gw1/gw1")
        wait_for(lambda: not has_link(ns, "ipsec1"), "the link stays up", 2)


def reloads_make_and_remove_them():
    with testbed.Testbed("devices") as bed:
        site = Site(bed)
        site.wait_up()
        branch, ns = site.branch, site.branch.ns
        branch.write(conf(to_gateway(1))(branch.control))
        branch.ctl("reload")
        wait_for(lambda: ns.run("ip", "link", "show", "ipsec2", check=False).returncode != 0, "ipsec2 stays")
        expect(ping(ns, "10.255.1.2", 5) == 5, "what did not change was disturbed")
        spi = branch.spi("gw1")
        branch.write(conf(to_gateway(1), to_gateway(2))(branch.control))
        branch.ctl("reload")
        branch.wait_up("gw2")
        ns.ip("addr", "add", "10.255.2.1/30", "dev", "ipsec2")
        expect(ping(ns, "10.255.2.2", 5) == 5, "the new device")
        expect(branch.spi("gw1") == spi, "the first tunnel was made anew")
        # When a reload gives a tunnel another device, the daemon establishes the tunnel anew on that device.
        branch.write(conf(to_gateway(1).replace("ipsec1", "other1"), to_gateway(2))(branch.control))
        branch.ctl("reload")
        wait_for(lambda: branch.up("gw1") and branch.spi("gw1") != spi, "the tunnel keeps its device")
        expect(ns.run("ip", "link", "show", "ipsec1", check=False).returncode != 0, "ipsec1 stays")
        ns.ip("addr", "add", "10.255.1.1/30", "dev", "other1")
        expect(ping(ns, "10.255.1.2", 5) == 5, "the tunnel on its new device")
        # When the device is deleted from outside, the daemon makes it again, with its carrier up but without addresses.
        ns.ip("link", "del", "ipsec2")
        wait_for(lambda: ns.run("ip", "link", "show", "ipsec2", check=False).returncode == 0, "it does not come back", 3)
        expect(has_link(ns, "ipsec2"), "it came back without a link")
        ns.ip("addr", "add", "10.255.2.1/30", "dev", "ipsec2")
        expect(ping(ns, "10.255.2.2", 5) == 5, "the device that came back")


def the_device_of_all_is_nobodys():
    """
    A reload must not give the shared device's name to a child: not even when the new file renames the shared device,
    as that takes effect only after a restart.
    """
    with testbed.Testbed("devices") as bed:
        ns = bed.namespace("branch")
        branch = Mendip(bed, ns, conf(to_gateway(1)))
        expect(not has_link(ns, "ipsec1"), "a link while nobody answers")
        branch.write(conf(to_gateway(1).replace("ipsec1", "mendip0"), daemon='tun = "m1";')(branch.control))
        done = branch.run("reload", as_json=False)
        expect(done.returncode != 0 and "is the shared device" in done.stderr, f"{done.returncode}: {done.stderr}")
        expect(has_link(ns, "mendip0") and "gw1 on ipsec1" in branch.run("status", "--all", as_json=False).stdout, "it changed")


def a_device_that_was_there():
    """The daemon uses a persistent device made by others; when it ends, the addresses stay and the carrier goes down."""
    with testbed.Testbed("devices") as bed:
        site = Site(bed)
        site.wait_up()
        branch, ns = site.branch, site.branch.ns
        branch.process.stop()
        ns.ip("tuntap", "add", "dev", "ipsec1", "mode", "tun")
        ns.ip("addr", "add", "10.255.1.1/30", "dev", "ipsec1")
        branch.start()
        branch.wait_up("gw1")
        expect(ping(ns, "10.255.1.2", 5) == 5, "no ping")
        branch.process.stop()
        expect("10.255.1.1" in ns.run("ip", "addr", "show", "ipsec1").stdout, "the address went")
        expect(not has_link(ns, "ipsec1"), "a link without a daemon")


# ---- FRR ----

ZEBRA = "log file {log}\n"
# By a profile: FRR 8 takes the times in the neighbor's line too, FRR 10 does not.
BFDD = """log file {log}
bfd
 profile fast
  detect-multiplier 3
  receive-interval 100
  transmit-interval 100
"""
BGPD = """log file {log}
router bgp {asn}
 bgp router-id {id}
 no bgp ebgp-requires-policy
 timers bgp 1 3
{neighbors}
 address-family ipv4 unicast
{networks}
{weights}
 exit-address-family
"""


class Router:
    """zebra, bgpd and bfdd of FRR in a namespace. peers: {address: (AS, weight)}; networks: the prefixes to announce."""

    def __init__(self, bed, ns, asn, router_id, peers, networks):
        self.ns, self.folder = ns, tempfile.mkdtemp(prefix="mendip-frr-", dir="/run")  # FRR drops root
        bed.at_exit(lambda: shutil.rmtree(self.folder, ignore_errors=True))
        shutil.chown(self.folder, "frr", "frr")
        neighbors = "\n".join(f" neighbor {a} remote-as {n}\n neighbor {a} bfd\n neighbor {a} bfd profile fast\n neighbor {a} timers connect 1"
                              for a, (n, _) in peers.items())
        weights = "\n".join(f"  neighbor {a} weight {w}" for a, (_, w) in peers.items())
        announced = "\n".join(f"  network {n}" for n in networks)
        self._run("zebra", ZEBRA)
        wait_for(lambda: os.path.exists(f"{self.folder}/zserv.api"), "zebra does not start")
        # FRR 8 has a socket for other programs, one path for all instances, and FRR 10 has neither it nor the option.
        has_socket = "--bfdctl" in ns.run(f"{FRR}/bfdd", "--help").stdout
        self._run("bfdd", BFDD, *(["--bfdctl", f"{self.folder}/bfdd.sock"] if has_socket else []))
        self._run("bgpd", BGPD.format(log="{log}", asn=asn, id=router_id, neighbors=neighbors, networks=announced,
                                      weights=weights), "-p", "179", "-l", "0.0.0.0")

    def _run(self, daemon, text, *more):
        with open(f"{self.folder}/{daemon}.conf", "w", encoding="utf-8") as f:
            f.write(text.format(log=f"{self.folder}/{daemon}.log"))
        process = self.ns.popen(f"{FRR}/{daemon}", "-f", f"{self.folder}/{daemon}.conf", "-z", f"{self.folder}/zserv.api",
                                "-i", f"{self.folder}/{daemon}.pid", "--vty_socket", self.folder, "-P", "0", *more,
                                log=f"{self.folder}/{daemon}.out")
        wait_for(lambda: os.path.exists(f"{self.folder}/{daemon}.pid") or process.poll() is not None, f"{daemon} hangs")
        expect(process.poll() is None, f"{daemon} ended with {process.poll()}: see its output")


def way_to(ns, address):
    return ns.run("ip", "route", "get", address, check=False).stdout


def bgp_moves_the_traffic():
    """The preferred gateway is killed: BFD detects it within 0.3 s, and BGP moves the traffic to the other tunnel."""
    with testbed.Testbed("frr") as bed:
        site = Site(bed)
        site.wait_up()
        ns = site.branch.ns
        Router(bed, ns, 65001, "10.1.0.1", {"10.255.1.2": (65010, 200), "10.255.2.2": (65010, 100)}, ["10.1.0.0/16"])
        for i in (1, 2):
            Router(bed, site.gw[i].ns, 65010, f"10.255.{i}.2", {f"10.255.{i}.1": (65001, 0)}, ["10.2.0.0/16"])
        began = time.monotonic()
        wait_for(lambda: "ipsec1" in way_to(ns, "10.2.0.1"), "BGP gives no route", 30)
        print(f"# BGP over both tunnels: route after {time.monotonic() - began:.1f} s")
        settle(3)
        expect("ipsec1" in way_to(ns, "10.2.0.1"), f"the preferred way: {way_to(ns, '10.2.0.1')}")
        log = bed.path("ping.txt")
        pinging = ns.popen("ping", "-n", "-D", "-i", "0.02", "-I", "10.1.0.1", "10.2.0.1", log=log)
        settle(1)
        for k in range(3):  # BGP and BFD do not notice a rekey
            site.branch.ctl("rekey", "gw1/gw1")
            settle(0.3)
        site.gw[1].kill()
        wait_for(lambda: "ipsec2" in way_to(ns, "10.2.0.1"), "the traffic does not move", 10)
        settle(1)
        moved, gap = len(replies(log)), longest_gap(replies(log))
        print(f"# gateway killed: longest time without a reply {gap:.2f} s, of {moved} replies")
        expect(gap < 2, f"{gap} s without a reply")
        if os.path.exists(site.gw[1].control):
            os.unlink(site.gw[1].control)
        site.gw[1].start()
        site.gw[1].ns.ip("addr", "add", "10.255.1.2/30", "dev", "ipsec0")
        began = time.monotonic()
        wait_for(lambda: "ipsec1" in way_to(ns, "10.2.0.1"), "the traffic does not come back", 40)
        settle(1)
        print(f"# gateway back: its route after {time.monotonic() - began:.1f} s")
        pinging.stop()
        expect(longest_gap(replies(log)[moved:]) < 2, "the way back has a gap")


def replies(path):
    """Returns the times at which replies arrived, from the output of ping -D."""
    with open(path, encoding="utf-8") as f:
        return [float(line[1:].split("]")[0]) for line in f if line.startswith("[") and "bytes from" in line]


def longest_gap(times):
    return max((b - a for a, b in zip(times, times[1:])), default=float("inf"))


if __name__ == "__main__":
    main([each_gateway_has_a_device, the_link_is_the_tunnels, reloads_make_and_remove_them,
          the_device_of_all_is_nobodys, a_device_that_was_there,
          bgp_moves_the_traffic])
