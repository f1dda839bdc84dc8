#!/usr/bin/python3
# Children with Debian's unmodified strongSwan, each as initiator and as responder: IKE SAs without a CHILD SA.
# SPDX-License-Identifier: ISC
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../netns"))
from daemons import PSK, Mendip, child, config, expect, main, testbed, ping, wait_for  # noqa: E402
import strongswan  # noqa: E402


class Both:
    """A branch (Mendip) and a gateway (strongSwan) on one link; charon: options of its connection."""

    def __init__(self, bed, kid, start="start", more="", gw_child=None, **charon):
        self.left, self.right = bed.pair("branch", "gw")
        self.charon = strongswan.Charon(bed, self.right, strongswan.connection(
            self.right.outer, self.left.outer, "gw.example.net", "branch.example",
            children={"net": gw_child or strongswan.child("10.2.0.0/16", "10.1.0.0/16", "aes128gcm16-x25519")},
            **charon), PSK).start()
        self.branch = Mendip(bed, self.left, lambda s: config(
            s, {"net": child(*kid, start_action=start, esp_proposals="aes128gcm16-x25519")}, self.right.outer,
            proposals="aes128-sha256-x25519", more=more))

    def check(self, what):
        self.branch.wait_up()
        expect(ping(self.left, "10.2.0.1", 3) == 3, f"{what}: no ping from Mendip")
        expect(ping(self.right, "10.1.0.1", 3) == 3, f"{what}: no ping from strongSwan")


NET = ("10.1.0.0/16", "10.2.0.0/16")


def childless_from_either_side():
    for ours, theirs in (("force", "force"), ("prefer", "allow")):
        with testbed.Testbed("childless") as bed:
            both = Both(bed, NET, more=f'childless = "{ours}";', childless=theirs)
            both.check(f"we begin with {ours}, strongSwan has {theirs}")
            expect("x25519" in str(both.branch.sa()), f"{both.branch.sa()}: the first child has no forward secrecy")
    with testbed.Testbed("childless") as bed:
        both = Both(bed, NET, start="none", more='childless = "force";', childless="force")
        both.charon.initiate(child="net")
        both.check("strongSwan begins")


def childless_refused():
    with testbed.Testbed("childless") as bed:
        both = Both(bed, NET, more='childless = "force";', childless="never")
        wait_for(lambda: both.branch.logged("the peer supports no IKE SA without a CHILD SA"),
                 lambda: f"not told: {both.branch.tail()}", 10)
        expect(not both.branch.up(), "up although strongSwan has childless = never")


if strongswan.missing():
    print(f"ok strongswan # SKIP {strongswan.missing()}")
    sys.exit(77)
main([childless_from_either_side, childless_refused])
