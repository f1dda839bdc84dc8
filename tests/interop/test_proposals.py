#!/usr/bin/python3
# What Mendip and unmodified strongSwan choose from many proposals, and what is told when they have none in common.
# SPDX-License-Identifier: ISC
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../netns"))
from daemons import PSK, Mendip, child, config, expect, main, ping, testbed, wait_for  # noqa: E402
from matrix_rows import AEAD, CBC, GROUPS, INTEG, PRF  # noqa: E402
import strongswan  # noqa: E402

# strongSwan accepts all of it; Mendip is given one proposal after the other.
ALL_IKE = ["-".join(AEAD + PRF + GROUPS), "-".join(CBC + INTEG + PRF + GROUPS)]
ALL_ESP = ["-".join(AEAD + GROUPS), "-".join(AEAD), "-".join(CBC + INTEG + GROUPS), "-".join(CBC + INTEG)]
ROWS = (("aes128gcm16-prfsha256-x25519", "aes192-sha256-modp2048-noesn"), ("aes128-sha256-prfsha256-modp2048", "aes256-sha384-noesn"),
        ("chacha20poly1305-prfsha1-ecp521", "aes256gcm16-x25519-noesn"), ("aes256-sha1-prfsha512-ecp256", "chacha20poly1305-noesn"))


class Walk:
    """One pair of daemons; the branch (Mendip) is configured anew for each row."""

    def __init__(self, bed):
        self.left, self.right = bed.pair("branch", "gw")
        self.charon = strongswan.Charon(bed, self.right, strongswan.connection(
            self.right.outer, self.left.outer, "gw.example.net", "branch.example", "10.2.0.0/16", "10.1.0.0/16",
            proposals=ALL_IKE, esp_proposals=ALL_ESP), PSK).start()
        self.branch = Mendip(bed, self.left, lambda s: self.conf(s, "aes128gcm16-prfsha256-x25519", "aes128gcm16", False))

    def conf(self, control, ike, esp, calls):
        kids = {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action="start" if calls else "none", esp_proposals=esp)}
        return config(control, kids, self.right.outer, proposals=ike)

    def row(self, ike, esp, calls):
        """The tunnel comes up with just these; its CHILD SA is rekeyed with the group, and the IKE SA too."""
        self.branch.write(self.conf(self.branch.control, ike, esp, calls))
        self.branch.ctl("reload")
        if not calls:
            self.charon.initiate(child="net")
        self.branch.wait_up()
        before = self.branch.spi()
        if calls:
            self.branch.ctl("rekey", "net")
        else:
            self.charon.rekey(child_id=self.charon.children("net")[-1].id)
        wait_for(lambda: self.branch.up() and self.branch.spi() not in (None, before), f"{ike}, {esp}: no rekey")
        conn = self.branch.ctl("status")["connections"][0]
        expect(conn["ike_sas"][0]["proposal"] == ike, f"{ike}: {conn['ike_sas'][0]['proposal']}")
        expect(self.branch.sa()["proposal"] == esp, f"{esp}: {self.branch.sa()['proposal']}")
        expect(conn["refusal"] is None and conn["children"][0]["refusal"] is None, f"refused: {conn}")
        expect(ping(self.left, "10.2.0.1", 2) == 2, f"{ike}, {esp}: no ping")


def chosen_from_many():
    """strongSwan has every algorithm in its proposals, as initiator and as responder."""
    with testbed.Testbed("proposals") as bed:
        walk = Walk(bed)
        for ike, esp in ROWS:
            for calls in (True, False):
                walk.row(ike, esp, calls)


def nothing_in_common():
    """In IKE_SA_INIT and in IKE_AUTH, in both roles, status and log say what was offered."""
    with testbed.Testbed("refusal") as bed:
        walk = Walk(bed)
        walk.charon.connections["gw"].update(proposals=["aes256-sha512-ecp384"])
        walk.charon.connections["gw"]["children"]["net"].update(esp_proposals=["aes256-sha512"])
        walk.charon.load_all()

        def configured(ike, esp, calls):
            walk.branch.write(walk.conf(walk.branch.control, ike, esp, calls))
            walk.branch.ctl("reload")

        def refusal(child_too):
            conn = walk.branch.ctl("status")["connections"][0]
            return (conn["children"][0] if child_too else conn)["refusal"]

        def told(child_too, exchange, by, text):
            wait_for(lambda: refusal(child_too), f"{exchange} by {by}: no refusal in the status", 40)
            got = refusal(child_too)
            expect((got["exchange"], got["by"], got["text"]) == (exchange, by, text), f"{got}")
            expect(walk.branch.logged(text), f"not in the log: {text}")
            shown = walk.branch.run("status", "--all", as_json=False).stdout
            expect(" ".join(shown.split()).count(text) == 1 and "no-proposal" in shown, f"{shown}")

        def call():
            try:
                walk.charon.initiate(child="net", timeout=5)
            except strongswan.ViciError:
                return
            expect(False, "strongSwan came up")

        configured("aes128-sha256-x25519", "aes128gcm16", False)
        call()
        told(False, "IKE_SA_INIT", "us", "the peer offers aes256-sha512-prfsha512-ecp384; we have "
             "aes128-sha256-x25519-prfsha256")
        configured("aes256-sha512-ecp384", "aes128gcm16", False)
        call()
        told(True, "IKE_AUTH", "us", "the peer offers aes256-sha512-noesn; we have aes128gcm16-noesn")
        walk.charon.terminate(ike="gw")
        configured("aes128-sha256-ecp384", "aes128gcm16", True)
        told(False, "IKE_SA_INIT", "peer", "we offered aes128-sha256-ecp384-prfsha256")
        configured("aes256-sha512-ecp384", "aes128gcm16-x25519", True)
        told(True, "IKE_AUTH", "peer", "we offered aes128gcm16-noesn")


if strongswan.missing():
    print(f"ok proposals # SKIP {strongswan.missing()}")
    sys.exit(77)
main([chosen_from_many, nothing_in_common])
