#!/usr/bin/python3
# Each cipher, hash, PRF and group once with unmodified strongSwan, in IKE and in ESP, in both roles; and what is told when
# no proposal is in common. SPDX-License-Identifier: ISC
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../netns"))
from daemons import PSK, Mendip, child, config, expect, main, ping, testbed, wait_for  # noqa: E402
import strongswan  # noqa: E402

AEAD = ["aes128gcm16", "aes192gcm16", "aes256gcm16", "chacha20poly1305"]
CBC = ["aes128", "aes192", "aes256"]
INTEG = ["sha256", "sha384", "sha512", "sha1"]
PRF = ["prfsha256", "prfsha384", "prfsha512", "prfsha1"]
GROUPS = ["x25519", "ecp256", "ecp384", "ecp521", "modp2048", "modp3072", "modp4096", "x448", "modp6144", "modp8192", "ecp256bp",
          "ecp384bp", "ecp512bp"]
# strongSwan accepts all of it; Mendip is given one proposal after the other.
ALL_IKE = ["-".join(AEAD + PRF + GROUPS), "-".join(CBC + INTEG + PRF + GROUPS)]
ALL_ESP = ["-".join(AEAD + GROUPS), "-".join(AEAD), "-".join(CBC + INTEG + GROUPS), "-".join(CBC + INTEG)]
# With ciphers in this order each cipher meets each hash.
CIPHERS = AEAD + [f"{c}-{i}" for i in INTEG for c in CBC]


def table():
    """Yields (IKE proposal, ESP proposal), in which each algorithm occurs, in IKE and in ESP."""
    for i in range(max(len(CIPHERS), len(GROUPS))):
        cipher, group = CIPHERS[i % len(CIPHERS)], GROUPS[i % len(GROUPS)]
        yield (f"{cipher}-{PRF[i % len(PRF)]}-{group}",
               f"{CIPHERS[(i + 5) % len(CIPHERS)]}-{GROUPS[(i + 4) % len(GROUPS)]}-noesn")


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


def each_algorithm():
    with testbed.Testbed("algorithms") as bed:
        walk = Walk(bed)
        rows = list(table())
        for words in (AEAD, CBC, INTEG, GROUPS):
            for word in words:
                for column in (0, 1):
                    expect(any(word in row[column].split("-") for row in rows), f"{word} is not walked")
        for i, (ike, esp) in enumerate(rows):
            walk.row(ike, esp, calls=i % 2 == 0)
        print(f"# {len(rows)} pairs of proposals with strongSwan, in turn as initiator and responder")


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
            shown = walk.branch.run("status", as_json=False).stdout
            expect(text in shown and "NO_PROPOSAL_CHOSEN" in shown, f"{shown}")

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


main([each_algorithm, nothing_in_common])
