#!/usr/bin/python3
# DNS servers that the gateway assigns go to systemd-resolved, by D-Bus. SPDX-License-Identifier: ISC
"""
Each case has a bus of its own, by dbus-daemon, and resolve1 in place of systemd-resolved, which prints the calls.
"""
import os
import re
import shutil
import signal
import time

from daemons import BUILD, Mendip, child, config, expect, main, ping, settle, testbed, wait_for
from test_restart import Unit

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
<allow send_requested_reply="true"/><allow receive_type="*"/></policy></busconfig>
"""
POOLS = ('pools: { road: { addrs = "10.3.0.0/24"; dns = [ "10.2.0.53", "fd02::53" ]; };\n'
         'office: { addrs = "10.4.0.0/24"; dns = [ "10.2.0.54", "10.2.0.53" ]; }; };\n')
KIDS = {"net": child("10.2.0.0/16", "dynamic")}
ALL = ["SetLinkDefaultRoute mendip0 yes", "SetLinkDomains mendip0 ~.", "SetLinkDNS mendip0 10.2.0.53 fd02::53"]
GONE = ["RevertLink mendip0"]


class Bus:
    """A bus, and what is in the place of systemd-resolved on it."""

    def __init__(self, bed, ns):
        self.bed, self.ns, self.path, self.log = bed, ns, bed.path("bus"), bed.path("calls")
        self.address = f"DBUS_SYSTEM_BUS_ADDRESS=unix:path={self.path}"
        self.daemon = self.service = None
        open(self.log, "w", encoding="utf-8").close()
        with open(bed.path("bus.conf"), "w", encoding="utf-8") as f:
            f.write(BUS.format(path=self.path))

    def start(self):
        self.daemon = self.ns.popen("dbus-daemon", "--nofork", "--nosyslog",
                                    f"--config-file={self.bed.path('bus.conf')}", log=self.bed.path("bus.log"))
        wait_for(lambda: os.path.exists(self.path), "no bus")
        return self

    def stop(self):
        self.daemon.stop()
        if os.path.exists(self.path):
            os.unlink(self.path)

    def serve(self, *mode):
        """Starts the service; the calls so far are forgotten."""
        open(self.log, "w", encoding="utf-8").close()
        self.service = self.ns.popen("env", self.address, f"{BUILD}/tests/netns/resolve1", *mode, log=self.log)
        wait_for(lambda: self.owned() or self.service.poll() is not None, "the service does not start")
        return self

    def owned(self):
        return "resolve1" in self.ns.run("env", self.address, "busctl", "--system", "--no-pager", "list").stdout

    def calls(self):
        with open(self.log, encoding="utf-8") as f:
            return f.read().splitlines()

    def wait_calls(self, *calls, timeout=5):
        wait_for(lambda: self.calls()[-len(calls):] == list(calls), lambda: f"calls: {self.calls()}", timeout)


class Road:
    """A gateway that assigns DNS servers, and a branch that asks for them; more: options of the branch's connection."""

    def __init__(self, bed, more="", kind=Mendip, daemon="", change=lambda text: text):
        self.left, self.right = bed.pair("branch", "gw")
        self.bus = Bus(bed, self.left)
        self.more, self.kind, self.daemon, self.change, self.bed = more, kind, daemon, change, bed
        self.gw = Mendip(bed, self.right, lambda s: POOLS + config(
            s, KIDS, "%any", "gw.example.net", "*.example", "branch", more='pools = [ "road" ];'))
        self.branch = None

    def start(self):
        env = self.bus.address
        conf = lambda s: self.change(config(  # noqa: E731
            s, {"net": child("dynamic", "10.2.0.0/16", start_action="start")}, self.right.outer, daemon=self.daemon,
            more=f'vips = [ "0.0.0.0" ]; dns = "resolved"; {self.more}'))

        class Branch(self.kind):
            def launch(self):
                self.env = [*self.env, env]
                with open(self.conf, encoding="utf-8") as f:
                    self.control = re.search('control = "(.*?)"', f.read())[1]
                return super().launch()

        self.branch = Branch(self.bed, self.left, conf)
        self.branch.wait_up()
        return self

    def works(self):
        expect(ping(self.left, "10.2.0.1") == 3, "our own packets are not tunnelled")


def given_and_taken_back():
    with testbed.Testbed("dns") as bed:
        road = Road(bed)
        road.bus.start().serve()
        road.start()
        road.bus.wait_calls(*ALL)
        wait_for(lambda: road.branch.logged("mendip0: systemd-resolved has the DNS servers 10.2.0.53 fd02::53 for ~."), "not told", 2)
        road.branch.ctl("rekey", "net")
        settle()
        expect(road.bus.calls() == ALL, f"told more than once: {road.bus.calls()}")
        road.branch.ctl("down", "net")
        road.gw.process.terminate()
        road.bus.wait_calls(*ALL, *GONE)
        wait_for(lambda: road.branch.logged("systemd-resolved has no DNS servers of it any more"), "not told", 2)


def a_rekey_of_the_ike_sa_tells_nothing():
    with testbed.Testbed("dns") as bed:
        road = Road(bed, 'rekey_time = "2s"; over_time = "60s";')
        road.bus.start().serve()
        road.start()
        road.bus.wait_calls(*ALL)
        spis = lambda: [sa["spi_i"] for sa in road.branch.ctl("status")["connections"][0]["ike_sas"]]  # noqa: E731
        first = spis()
        wait_for(lambda: not set(first) & set(spis() or first), "no rekey")
        settle()
        expect(road.bus.calls() == ALL, f"told more than once: {road.bus.calls()}")


def taken_back_at_the_end():
    """By a daemon that does not run as root."""
    with testbed.Testbed("dns") as bed:
        run = bed.path("run")
        os.mkdir(run)
        shutil.chown(run, "nobody")
        os.chmod(os.path.dirname(run), 0o755)
        road = Road(bed, daemon='user = "nobody";', change=lambda text: text.replace("/branch.sock", "/run/branch.sock"))
        road.bus.start().serve()
        road.start()
        road.bus.wait_calls(*ALL)
        road.branch.process.send_signal(signal.SIGTERM)
        expect(road.branch.process.wait(5) == 0, f"it failed: {road.branch.tail()}")
        expect(road.bus.calls() == ALL + GONE, f"calls: {road.bus.calls()}")


def taken_back_from_a_dead_gateway():
    """Its name is to be looked up by others then: it may be elsewhere."""
    with testbed.Testbed("dns") as bed:
        road = Road(bed, 'retransmit_timeout = "200ms"; retransmit_tries = 2;')
        road.bus.start().serve()
        road.start()
        road.bus.wait_calls(*ALL)
        road.gw.kill()
        road.bus.wait_calls(*ALL, *GONE, timeout=20)


def for_some_domains():
    with testbed.Testbed("dns") as bed:
        road = Road(bed, 'dns_domains = [ "example.net", "~corp.example" ];')
        road.bus.start().serve()
        road.start()
        road.bus.wait_calls("SetLinkDefaultRoute mendip0 no", "SetLinkDomains mendip0 example.net ~corp.example", ALL[2])
        road.works()


def not_unless_asked_for():
    with testbed.Testbed("dns") as bed:
        road = Road(bed, change=lambda text: text.replace('dns = "resolved";', ""))
        road.bus.start().serve()
        road.start()
        road.works()
        expect(not road.bus.calls(), f"calls: {road.bus.calls()}")
        road.branch.write(road.change(open(road.branch.conf, encoding="utf-8").read()).replace(
            "vips =", 'dns = "resolved"; vips ='))
        road.branch.ctl("reload")
        road.bus.wait_calls(*ALL)


def two_pools(road, **more):
    """The gateway has a second pool, with other servers, and the branch a second connection for it."""
    second = """connections: { gw2: { local: { id = "branch.example"; }; remote_addrs = "%s"; remote: { id = "gw2.example.net"; };
                vips = "0.0.0.0"; dns = "resolved"; dns_domains = "example.org"; proposals = "aes128gcm16-prfsha256-x25519";
                children: { office: %s; }; }; """
    road.gw.write(open(road.gw.conf, encoding="utf-8").read().replace("connections: {", """connections: { other: {
        local: { id = "gw2.example.net"; }; remote_addrs = "%any"; remote: { id = "*.example"; }; pools = "office";
        proposals = "aes128gcm16-prfsha256-x25519"; children: { net: """ + child("10.5.0.0/16", "dynamic") + "; }; }; "))
    road.gw.ctl("reload")
    road.change = lambda text: text.replace("connections: {", second % (
        road.right.outer, child("dynamic", "10.5.0.0/16", start_action="none", **more)))


def several_connections():
    """Two connections share mendip0: their servers are put together, and what one of them had is taken back alone."""
    with testbed.Testbed("dns") as bed:
        road = Road(bed)
        two_pools(road)
        road.bus.start().serve()
        road.start()
        road.bus.wait_calls(*ALL)
        road.branch.ctl("up", "office")
        both = [ALL[0], "SetLinkDomains mendip0 ~. example.org", "SetLinkDNS mendip0 10.2.0.53 fd02::53 10.2.0.54"]
        road.bus.wait_calls(*both)
        road.branch.ctl("down", "net")
        road.gw.write(open(road.gw.conf, encoding="utf-8").read().replace("gw.example.net", "gone.example.net"))
        road.gw.ctl("reload")
        road.bus.wait_calls("SetLinkDefaultRoute mendip0 no", "SetLinkDomains mendip0 example.org",
                            "SetLinkDNS mendip0 10.2.0.54 10.2.0.53")


def one_device_fails():
    """The other one is told at once all the same."""
    with testbed.Testbed("dns") as bed:
        road = Road(bed)
        two_pools(road, device="mendip1")
        road.bus.start().serve("fail", "mendip0")
        road.start()
        wait_for(lambda: len(road.bus.calls()) >= 12, lambda: f"not tried again: {road.bus.calls()}", 10)  # after 7 s
        road.branch.ctl("up", "office")
        wait_for(lambda: sum("mendip1" in c for c in road.bus.calls()) == 3, lambda: f"not told: {road.bus.calls()}", 3)
        road.branch.process.send_signal(signal.SIGTERM)
        expect(road.branch.process.wait(5) == 0, f"it failed: {road.branch.tail()}")
        expect("RevertLink mendip1" in road.bus.calls(), f"calls: {road.bus.calls()}")


def half_of_it_is_taken_back():
    """Servers that systemd-resolved takes without their domains would be asked for other names."""
    for method in ("SetLinkDomains", "SetLinkDefaultRoute"):
        with testbed.Testbed("dns") as bed:
            road = Road(bed, 'dns_domains = "example.net";')
            road.bus.start().serve("fail", "mendip0", method)
            road.start()
            calls = ["SetLinkDefaultRoute mendip0 no", "SetLinkDomains mendip0 example.net", ALL[2]]
            road.bus.wait_calls(*calls, *GONE)
            road.bus.wait_calls(*calls, *GONE, *calls, *GONE)


def the_bus_comes_later():
    with testbed.Testbed("dns") as bed:
        road = Road(bed).start()
        wait_for(lambda: road.branch.logged("no connection to D-Bus"), "not told", 3)
        road.works()
        road.bus.start()
        road.bus.serve()
        road.bus.wait_calls(*ALL, timeout=10)


def the_bus_restarts():
    with testbed.Testbed("dns") as bed:
        road = Road(bed)
        road.bus.start().serve()
        road.start()
        road.bus.wait_calls(*ALL)
        road.bus.stop()
        wait_for(lambda: road.branch.logged("no connection to D-Bus"), "not told", 3)
        road.works()
        road.bus.start().serve()
        road.bus.wait_calls(*ALL, timeout=10)


def resolved_restarts():
    with testbed.Testbed("dns") as bed:
        road = Road(bed)
        road.bus.start()
        road.start()
        wait_for(lambda: road.branch.logged("systemd-resolved does not run"), "not told", 3)
        road.works()
        road.bus.serve()
        road.bus.wait_calls(*ALL)
        for _ in range(2):
            road.bus.service.stop()
            road.bus.serve()
            road.bus.wait_calls(*ALL)


def it_may_be_refused():
    """A user that is not root needs a rule of polkit. The tunnel is up all the same, and the log says so once."""
    with testbed.Testbed("dns") as bed:
        road = Road(bed)
        road.bus.start().serve("refuse")
        road.start()
        wait_for(lambda: len(road.bus.calls()) >= 9, lambda: f"not tried again: {road.bus.calls()}", 10)
        road.works()
        with open(road.branch.log, encoding="utf-8") as f:
            expect(f.read().count("systemd-resolved does not let us: see mendipd(8), DNS") == 1, road.branch.tail())
        road.bus.service.stop()
        road.bus.serve()
        road.bus.wait_calls(*ALL)


def silence_blocks_nothing():
    with testbed.Testbed("dns") as bed:
        road = Road(bed)
        road.bus.start().serve("silent")
        road.start()
        road.bus.wait_calls(*ALL)
        road.works()
        began = time.monotonic()
        road.branch.process.send_signal(signal.SIGTERM)
        expect(road.branch.process.wait(5) == 0, f"it failed: {road.branch.tail()}")
        expect(time.monotonic() - began < 2, f"it ended after {time.monotonic() - began:.1f} s")


def a_device_that_is_made_again():
    with testbed.Testbed("dns") as bed:
        road = Road(bed)
        road.bus.start().serve()
        road.start()
        road.bus.wait_calls(*ALL)
        road.left.run("ip", "link", "del", "mendip0")
        road.bus.wait_calls(*ALL, *ALL)


def a_restart_keeps_them():
    with testbed.Testbed("dns") as bed:
        road = Road(bed, kind=Unit)
        road.bus.start().serve()
        road.start()
        road.bus.wait_calls(*ALL)
        road.branch.process.send_signal(signal.SIGUSR2)
        expect(road.branch.process.wait(10) == 0, f"it failed: {road.branch.tail()}")
        expect(road.bus.calls() == ALL, f"calls: {road.bus.calls()}")
        road.branch.start()
        road.bus.wait_calls(*ALL, *ALL)


def a_restart_without_them():
    """The next process has another configuration, and takes back what was given; so does one after a crash."""
    for crash in (False, True):
        with testbed.Testbed("dns") as bed:
            road = Road(bed, kind=Unit)
            if crash:
                road.left.run("ip", "tuntap", "add", "mendip0", "mode", "tun")
            road.bus.start().serve()
            road.start()
            road.bus.wait_calls(*ALL)
            if crash:
                road.branch.kill()
            else:
                road.branch.process.send_signal(signal.SIGUSR2)
                expect(road.branch.process.wait(10) == 0, f"it failed: {road.branch.tail()}")
            with open(road.branch.conf, encoding="utf-8") as f:
                road.branch.write(f.read().replace('dns = "resolved";', ""))
            road.branch.start()
            road.branch.wait_up()
            road.bus.wait_calls(*ALL, *GONE)


def nothing_to_take_back():
    """A device that others have made, and neither a bus nor servers: nothing is told."""
    with testbed.Testbed("dns") as bed:
        road = Road(bed, change=lambda text: text.replace('dns = "resolved";', ""))
        road.left.run("ip", "tuntap", "add", "mendip0", "mode", "tun")
        road.start()
        road.works()
        expect(not road.branch.logged("D-Bus"), road.branch.tail())


main([given_and_taken_back, a_rekey_of_the_ike_sa_tells_nothing, taken_back_at_the_end, taken_back_from_a_dead_gateway,
      for_some_domains, not_unless_asked_for, several_connections, the_bus_comes_later, the_bus_restarts, resolved_restarts,
      one_device_fails, half_of_it_is_taken_back, it_may_be_refused, silence_blocks_nothing, a_device_that_is_made_again,
      a_restart_keeps_them, a_restart_without_them, nothing_to_take_back])
