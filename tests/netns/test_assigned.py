#!/usr/bin/python3
# Addresses that the gateway assigns: the branch's own packets have them as their source. SPDX-License-Identifier: ISC
import signal

from daemons import Mendip, child, config, expect, main, ping, testbed, wait_for
from test_restart import Unit

POOLS = 'pools: { road: { addrs = "10.3.0.0/24"; }; road6: { addrs = "fd03::/120"; }; };\n'
KIDS = {"net": child(["10.2.0.0/16", "fd02::/64"], "dynamic")}


def gateway(bed, kind=Mendip):
    """Starts a gateway with pools; returns (gateway, namespace of the branch)."""
    left, right = bed.pair("branch", "gw")
    gw = kind(bed, right, lambda s: POOLS + config(s, KIDS, "%any", "gw.example.net", "*.example", "branch",
                                                    more='pools = [ "road", "road6" ];'))
    right.run("ip", "addr", "add", "fd02::1/64", "dev", "inner0", "nodad")
    return gw, left


def branch_of(bed, gw, ns, start, kind=Mendip, vips='"0.0.0.0"'):
    return kind(bed, ns, lambda s: config(
        s, {"net": child("dynamic", ["10.2.0.0/16", "fd02::/64"] if "::" in vips else "10.2.0.0/16", start_action=start)},
        gw.ns.outer, more=f"vips = [ {vips} ];"))


def source(ns, to="10.2.0.0/16"):
    """Returns the source of the route to a network in table 5150, or None."""
    family = "-6" if ":" in to else "-4"
    words = ns.run("ip", family, "route", "show", "table", "5150", to, check=False).stdout.split()
    return words[words.index("src") + 1] if "src" in words else None


def wait_source(branch, address="10.3.0.1", to="10.2.0.0/16"):
    wait_for(lambda: source(branch.ns, to) == address,
             lambda: f"the source is {source(branch.ns, to)} instead of {address}: {branch.tail()}", 5)


def each_start_action():
    """A trap's selector is any address, so that its route has another address of the host before."""
    for start in ("start", "trap", "none"):
        with testbed.Testbed("assigned") as bed:
            gw, ns = gateway(bed)
            branch = branch_of(bed, gw, ns, start)
            if start == "trap":
                wait_for(lambda: ping(ns, "10.2.0.1", 1) or branch.up(), "the trap does nothing")
            if start == "none":
                branch.ctl("up", "net")
            branch.wait_up()
            wait_source(branch)
            expect(ping(ns, "10.2.0.1") == 3, f"{start}: our own packets are not tunnelled")
            branch.ctl("rekey", "net")
            expect(ping(ns, "10.2.0.1") == 3, f"{start}: our own packets are not tunnelled after a rekey")
            wait_source(branch)
            branch.ctl("down", "net")
            gw.process.terminate()
            wait_for(lambda: "10.3.0.1" not in ns.run("ip", "address").stdout, "the address stays", 5)
            expect(source(ns) != "10.3.0.1", "the source stays")


def both_families():
    with testbed.Testbed("assigned") as bed:
        gw, ns = gateway(bed)
        branch = branch_of(bed, gw, ns, "start", vips='"0.0.0.0", "::"')
        branch.wait_up()
        wait_source(branch)
        wait_source(branch, "fd03::1", "fd02::/64")
        expect(ping(ns, "10.2.0.1") == 3 and ping(ns, "fd02::1") == 3, "our own packets are not tunnelled")


def after_a_restart():
    with testbed.Testbed("assigned") as bed:
        gw, ns = gateway(bed)
        branch = branch_of(bed, gw, ns, "start", Unit)
        branch.wait_up()
        wait_source(branch)
        before = branch.spi()
        for wrong in (False, True):
            branch.process.send_signal(signal.SIGUSR2)
            expect(branch.process.wait(10) == 0, f"it failed: {branch.tail()}")
            if wrong:
                ns.run("ip", "route", "replace", "10.2.0.0/16", "dev", "mendip0", "table", "5150", "src", ns.outer)
            branch.start()
            branch.wait_up()
            expect(branch.spi() == before, f"the tunnel is another one: {branch.tail()}")
            wait_source(branch)
            expect(ping(ns, "10.2.0.1") == 3, "our own packets are not tunnelled")


def after_a_crash():
    with testbed.Testbed("assigned") as bed:
        gw, ns = gateway(bed)
        branch = branch_of(bed, gw, ns, "start")
        branch.wait_up()
        wait_source(branch)
        branch.kill()
        branch.start()
        branch.wait_up()
        wait_source(branch)
        expect(ping(ns, "10.2.0.1") == 3, "our own packets are not tunnelled")


def the_device_is_made_again():
    """The device has its address again before the route that has it as its source."""
    for change in (("link", "del", "mendip0"), ("link", "set", "mendip0", "down")):
        with testbed.Testbed("assigned") as bed:
            gw, ns = gateway(bed)
            branch = branch_of(bed, gw, ns, "start", vips='"0.0.0.0", "::"')
            branch.wait_up()
            wait_source(branch, "fd03::1", "fd02::/64")
            ns.run("ip", *change)
            wait_for(lambda: ping(ns, "10.2.0.1", 1) and ping(ns, "fd02::1", 1), lambda: f"{change}: {branch.tail()}", 5)
            wait_source(branch)
            wait_source(branch, "fd03::1", "fd02::/64")
            if change[1] == "del":
                expect(not branch.logged("cannot be made"), f"{change}: {branch.tail()}")


if __name__ == "__main__":
    main([each_start_action, both_families, after_a_restart, after_a_crash, the_device_is_made_again])
