#!/usr/bin/python3
# Mendip and unmodified strongSwan with their default proposals: tunnel, rekeys and recovery.
# SPDX-License-Identifier: ISC
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../netns"))
from daemons import PSK, Mendip, child, config, expect, main, more_traffic, testbed, ping, wait_for  # noqa: E402
import rewind  # noqa: E402
import strongswan  # noqa: E402

RATE = 1000
BACK = 3000


def without_proposals(text):
    """Returns the configuration without the IKE proposals, so that Mendip uses its defaults."""
    kept = text.replace('proposals = [ "standard" ]; ', "")
    expect("proposals" not in kept, f"a proposal is named: {kept}")
    return kept


class Defaults:
    def __init__(self, bed, calls):
        """calls: Mendip initiates the IKE SA; otherwise strongSwan does, and Mendip accepts any address."""
        self.bed, self.left, self.right = bed, *bed.pair("branch", "gw")
        self.charon = strongswan.Charon(bed, self.right, strongswan.connection(
            self.right.outer, self.left.outer, "gw.example.net", "branch.example", "10.2.0.0/16", "10.1.0.0/16",
            proposals=["default"], esp_proposals=["default"]), PSK).start()
        kids = {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action="start" if calls else "none")}
        remote = self.right.outer if calls else "%any"
        self.branch = Mendip(bed, self.left, lambda s: without_proposals(config(s, kids, remote, proposals="standard")))
        if not calls:
            self.charon.initiate("net")
        self.branch.wait_up()

    def agreed(self, calls):
        """Returns what was agreed on, as neither side named anything; we prefer AES-GCM, strongSwan 5.9 AES-CBC."""
        conn = self.branch.ctl("status")["connections"][0]
        expect(conn["proposals"] == ["default"] and conn["children"][0]["esp_proposals"] == ["default"], f"{conn}")
        ike, esp = conn["ike_sas"][0]["proposal"], self.branch.sa()["proposal"]
        expect(ike.startswith("aes") and ike.split("-")[-1] in ("x25519", "ecp256") and esp.startswith("aes"), f"{ike}, {esp}")
        if not calls:
            expect("gcm16-prfsha" in ike and "gcm16-" in esp, f"not what we prefer: {ike}, {esp}")
        return f"{ike}, {esp}"

    def rekeyed(self, start, who):
        """Expects that start() rekeys the CHILD SA within the same IKE SA."""
        spi, ike = self.branch.spi(), self.ike()
        start()
        wait_for(lambda: self.branch.up() and self.branch.spi() not in (None, spi), f"{who}: no rekey")
        expect(self.ike() == ike, f"{who}: the rekey took a new IKE SA")
        expect(ping(self.left, "10.2.0.1", 3) == 3, f"{who}: no ping after the rekey")

    def ike(self):
        return self.branch.ctl("status")["connections"][0]["ike_sas"][0]["spi_i"]

    def mended(self):
        flow = self.bed.flow(self.right, self.right.inner, self.left, self.left.inner, rate=RATE)
        more_traffic(flow, BACK + 1000)
        rewind.rewind(self.charon.pid, by=BACK, which="number")
        self.branch.wait_recovered()
        more_traffic(flow, 2 * RATE)
        result, record = flow.stop(), self.branch.switchover()["records"][0]
        version = self.charon.request("version")["version"]
        expect(not strongswan.ROOT or version.startswith("6."), f"strongSwan {version} in {strongswan.ROOT}")
        print(f"# strongSwan {version}, rewound by {BACK} on the defaults: {result.lost} lost of {result.sent}, "
              f"{record['bridged']} bridged, rung {record['rung']}")
        expect(result.lost == 0, f"{result.lost} lost")
        expect((record["criterion"], record["rung"]) == ("proof", 1), f"{record}")


def run(calls):
    with testbed.Testbed("defaults") as bed:
        both = Defaults(bed, calls)
        print(f"# {'Mendip' if calls else 'strongSwan'} initiates: {both.agreed(calls)}")
        both.rekeyed(lambda: both.branch.ctl("rekey", "net"), "Mendip")
        both.rekeyed(lambda: both.charon.rekey(child="net"), "strongSwan")
        both.mended()


def mendip_calls():
    run(True)


def strongswan_calls():
    run(False)


main([mendip_calls, strongswan_calls])
