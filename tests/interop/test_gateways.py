#!/usr/bin/python3
# Two strongSwan gateways to one network: as addresses of one connection, and as primary and backup.
# SPDX-License-Identifier: ISC
"""
                  switch: a bridge
    branch ------ outer ------ one     192.0.2.2, 10.2.0.1
    192.0.2.1     outer ------ two     192.0.2.3, 10.2.0.1
    10.1.0.1

Both gateways have the inner address: whichever has the tunnel answers the branch's pings. The first gateway's port goes
down and up again; the gateway itself notices nothing.
"""
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../netns"))
from daemons import PSK, Mendip, child, config, expect, main, testbed, wait_for  # noqa: E402
import strongswan  # noqa: E402

PINGS = 100             # per second
DPD = 1                 # s, dpd_delay
LATE, RANDOM, CALL = 5.5, 2, 1      # s: five messages in vain; before rung 3; the first address is called in vain
FAILBACK = 4            # s
SLACK = 2.5             # s: strongSwan's part, on a busy machine
ONE, TWO = "192.0.2.2", "192.0.2.3"


class Pings:
    """Pings of the branch through the tunnel, PINGS per second, until stop()."""

    def __init__(self, bed, ns, name):
        self.log = bed.path(f"{name}.pings")
        self.process = ns.popen("ping", "-D", "-n", "-i", str(1 / PINGS), "-I", "10.1.0.1", "10.2.0.1", log=self.log)

    def answers(self):
        """Returns [(time, sequence number)]."""
        with open(self.log, encoding="utf-8") as f:
            return [(float(t), int(n)) for t, n in re.findall(r"^\[([\d.]+)\] 64 bytes .* icmp_seq=(\d+)", f.read(), re.M)]

    def more(self, count):
        """Waits for `count` more answers."""
        want = len(self.answers()) + count
        wait_for(lambda: len(self.answers()) >= want, "no more answers", 30 + count / PINGS)

    def stop(self):
        """Returns (pings lost before the last answer, the longest time without one in seconds)."""
        self.process.stop()
        seen = self.answers()
        gap = max(b[0] - a[0] for a, b in zip(seen, seen[1:]))
        return seen[-1][1] - len({n for _, n in seen}), gap


class Site:
    """The branch, the switch, and the two gateways, with the identities `ids`."""

    def __init__(self, bed, ids):
        self.bed = bed
        self.branch, self.switch, one, two = (bed.namespace(n) for n in ("branch", "switch", "one", "two"))
        self.switch.ip("link", "add", "outer", "type", "bridge")
        self.switch.ip("link", "set", "outer", "up")
        for ns, address in ((self.branch, "192.0.2.1"), (one, ONE), (two, TWO)):
            bed.link(ns, "eth0", f"{address}/24", self.switch, ns.short, [])
            self.switch.ip("link", "set", ns.short, "master", "outer")
            ns.outer = address
        self.branch.inner_net("10.1.0.1/16")
        self.gateways = []
        for ns, gateway_id in zip((one, two), ids):
            ns.inner_net("10.2.0.1/16")
            self.gateways.append(strongswan.Charon(bed, ns, strongswan.connection(
                ns.outer, self.branch.outer, gateway_id, "branch.example", "10.2.0.0/16", "10.1.0.0/16",
                esp_proposals=["aes128gcm16"], proposals=["aes128gcm16-prfsha256-x25519"]), PSK, name=ns.short).start())

    def cut(self, gateway, off):
        self.switch.ip("link", "set", gateway, "down" if off else "up")


def kids():
    return {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action="start", esp_proposals="aes128gcm16")}


def remote(mendip, name="gw"):
    """Returns the address of the connection's IKE SA that is established, or None."""
    for conn in mendip.ctl("status")["connections"]:
        for sa in conn["ike_sas"]:
            if conn["name"] == name and sa["state"] == "established":
                return sa["remote"].split(":")[0]
    return None


def two_addresses():
    with testbed.Testbed("addresses") as bed:
        site = Site(bed, ("gw.example.net", "gw.example.net"))
        mendip = Mendip(bed, site.branch, lambda s: config(s, kids(), f'{ONE}", "{TWO}', dpd=f"{DPD}s",
                                                           more=f'failback = "{FAILBACK}s"; mobike = "no";'))
        mendip.wait_up()
        expect(remote(mendip) == ONE, f"up at {remote(mendip)}")
        pings = Pings(bed, site.branch, "dies")
        pings.more(PINGS)
        site.cut("one", True)
        pings.more(2 * PINGS)
        expect(remote(mendip) == TWO, f"answers from {remote(mendip)}: {mendip.tail()}")
        lost, gap = pings.stop()
        print(f"# the first of two addresses falls silent: {lost} of {PINGS} pings/s lost, {gap:.2f} s")
        expect(gap < DPD + LATE + RANDOM + CALL + SLACK, f"{gap} s")
        pings = Pings(bed, site.branch, "returns")
        pings.more(PINGS)
        site.cut("one", False)
        wait_for(lambda: remote(mendip) == ONE, lambda: f"not back: {mendip.tail()}", 3 * FAILBACK + 10)
        pings.more(2 * PINGS)
        lost, gap = pings.stop()
        print(f"# back at the first address: {lost} pings lost, longest gap {gap * 1000:.0f} ms")
        expect(lost == 0, f"{lost} lost on the way back: {mendip.tail(40)}")


def primary_and_backup():
    with testbed.Testbed("backup") as bed:
        site = Site(bed, ("gw1.example", "gw2.example"))

        def conf(socket):
            one = config(socket, kids(), ONE, remote_id="gw1.example", name="gw1", dpd=f"{DPD}s",
                         more=f'backup = "gw2"; failback = "{FAILBACK}s"; mobike = "no";')
            two = config(socket, kids(), TWO, remote_id="gw2.example", name="gw2", dpd=f"{DPD}s", more='mobike = "no";')
            second = re.search(r"connections: \{ (gw2: .*)\};\nsecrets", two, re.S)[1]
            return one.replace("};\nsecrets", f"{second} }};\nsecrets")

        mendip = Mendip(bed, site.branch, conf)
        wait_for(lambda: remote(mendip, "gw1") and remote(mendip, "gw2"), lambda: f"not up: {mendip.tail()}", 20)
        pings = Pings(bed, site.branch, "dies")
        pings.more(PINGS)
        expect(not site.gateways[1].children("net")[-1].packets_in, "the backup has traffic")
        site.cut("one", True)
        pings.more(2 * PINGS)
        lost, gap = pings.stop()
        print(f"# the primary falls silent: {lost} of {PINGS} pings/s lost, {gap:.2f} s")
        expect(gap < 2 * DPD + LATE + SLACK / 2, f"{gap} s")
        expect(mendip.ctl("status")["connections"][0]["traffic_to_backup"] is True, "status does not tell")
        for args in (["status"], ["status", "--all"]):
            text = mendip.run(*args, as_json=False).stdout
            expect("its traffic goes by gw2" in text, text)
        time.sleep(25)          # the first IKE SA is given up
        pings = Pings(bed, site.branch, "returns")
        pings.more(PINGS)
        site.cut("one", False)
        wait_for(lambda: remote(mendip, "gw1"), lambda: f"gw1 is not up: {mendip.tail()}", 60)
        wait_for(lambda: not mendip.ctl("status")["connections"][0]["traffic_to_backup"],
                 lambda: f"no traffic: {mendip.tail()}", FAILBACK + 5)
        pings.more(2 * PINGS)
        lost, gap = pings.stop()
        print(f"# the primary has its traffic again: {lost} pings lost, longest gap {gap * 1000:.0f} ms")
        expect(lost == 0, f"{lost} lost on the way back: {mendip.tail(40)}")


main([two_addresses, primary_and_backup])
