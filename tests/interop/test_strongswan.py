#!/usr/bin/python3
# Mendip with Debian's unmodified strongSwan, each as initiator and as responder. SPDX-License-Identifier: ISC
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../netns"))
from daemons import OFFLOADS, PSK, Mendip, child, config, expect, main, testbed, ping, settle, wait_for  # noqa: E402
import strongswan  # noqa: E402

PPK = "a post-quantum key for tests"


class Both:
    """A branch (Mendip) and a gateway (strongSwan) on one link."""

    def __init__(self, bed, esp="aes128gcm16", ike="aes128-sha256-x25519", start="start", gw_esp=None, gw_ike=None,
                 gw_remote=None, gw_mobike="no", daemon="", dpd="2s", more="", fragmentation="yes", **charon):
        self.left, self.right = bed.pair("branch", "gw")
        self.charon = strongswan.Charon(bed, self.right, strongswan.connection(
            self.right.outer, gw_remote or self.left.outer, "gw.example.net", "branch.example", "10.2.0.0/16",
            "10.1.0.0/16", esp_proposals=gw_esp or esp, proposals=gw_ike or ike, fragmentation=fragmentation,
            mobike=gw_mobike), PSK,
            **charon).start()
        kids = {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action=start, esp_proposals=esp,
                             switchover='{ jitter = "0"; }')}
        self.branch = Mendip(bed, self.left, lambda s: config(s, kids, self.right.outer, proposals=ike, daemon=daemon,
                                                              dpd=dpd, more=more))

    def wait_other(self, spi, why, timeout=10):
        """Waits until the child is up with another inbound SPI than `spi`."""
        wait_for(lambda: self.branch.up() and self.branch.spi() not in (None, spi), why, timeout)

    def ike_spi(self):
        sas = self.branch.ctl("status")["connections"][0]["ike_sas"]
        return sas[0]["spi_i"] if sas else None

    def ike(self, name):
        """A counter of IKE."""
        return self.branch.ctl("status")["ike"][name]

    def check(self, what=""):
        self.branch.wait_up()
        expect(ping(self.left, "10.2.0.1", 3) == 3, f"{what}: no ping from Mendip")
        expect(ping(self.right, "10.1.0.1", 3) == 3, f"{what}: no ping from strongSwan")


def strongswan_initiates():
    with testbed.Testbed("responder") as bed:
        both = Both(bed, start="none")
        both.charon.initiate(child="net")
        both.check("strongSwan as initiator")


def rekeys_from_both_sides():
    with testbed.Testbed("rekey") as bed:
        both = Both(bed, esp="aes128gcm16-x25519")
        both.check()
        flow = bed.flow(both.right, both.right.inner, both.left, both.left.inner, rate=500)
        for side in ("mendip", "strongswan", "mendip", "strongswan"):
            old = both.branch.spi()
            if side == "mendip":
                both.branch.ctl("rekey", "net")
            else:
                both.charon.rekey(child_id=both.charon.children("net")[-1].id)
            both.wait_other(old, f"no rekey by {side}", 5)
            settle(0.5)  # with traffic on the new SA
        ike = both.ike_spi()
        both.charon.rekey(ike="gw")
        wait_for(lambda: both.ike_spi() not in (None, ike), "no rekey of the IKE SA by strongSwan", 5)
        settle(0.5)
        result = flow.stop()
        expect(result.lost == 0, f"{result.lost} packets lost over rekeys")
        both.check("after rekeys")


def in_fragments():
    """
    Both sides divide almost all of their messages; each of the two initiates. Mendip does not divide all, as strongSwan
    drops INFORMATIONAL messages in fragments ("received unencrypted informational").
    """
    for ike, start in (("aes128-sha256-x25519", "start"), ("aes128gcm16-prfsha256-ecp256", "none"),
                       ("aes256-sha512-ecp521", "start"), ("chacha20poly1305-prfsha512-modp2048", "none")):
        with testbed.Testbed("fragments") as bed:
            both = Both(bed, esp="aes128gcm16-x25519", ike=ike, start=start, more="fragment_size = 256;",
                        fragmentation="force", settings="    fragment_size = 200")
            if start == "none":
                both.charon.initiate(child="net")
            both.check(f"in fragments, {ike}")
            expect(both.branch.ctl("status")["connections"][0]["ike_sas"][0]["fragments"] is True, "not agreed on")
            for side in ("mendip", "strongswan"):
                old = both.branch.spi()
                if side == "mendip":
                    both.branch.ctl("rekey", "net")
                else:
                    both.charon.rekey(child_id=both.charon.children("net")[-1].id)
                both.wait_other(old, f"no rekey by {side} in fragments", 5)
                settle(0.5)
            old = both.ike_spi()
            both.charon.rekey(ike="gw")
            wait_for(lambda: both.ike_spi() not in (None, old), "no rekey of the IKE SA by strongSwan in fragments", 5)
            settle(0.5)
            both.branch.ctl("down", "net")
            wait_for(lambda: not both.charon.children("net"), "strongSwan keeps the child", 5)
            both.branch.ctl("up", "net")
            both.check("after rekeys in fragments")
            for name, least in (("reassembled", 5), ("fragments", 10)):
                expect(both.ike(name) >= least, f"{name}: {both.ike(name)}")
            for name in ("fragment_dropped", "fragment_timeout", "malformed", "unexpected", "auth_failed"):
                expect(both.ike(name) == 0, f"{name}: {both.ike(name)}")
            expect(both.charon.logged("EF(2/2)") >= 3, "strongSwan has seen no fragments")


def ike_rekey_by_time():
    with testbed.Testbed("ike-rekey") as bed:
        both = Both(bed, more='rekey_time = "2s"; over_time = "10s";')
        both.check()
        ike = both.ike_spi()
        wait_for(lambda: both.ike_spi() not in (None, ike), "no rekey of the IKE SA by Mendip", 6)
        wait_for(both.branch.up, "the child did not move to the new IKE SA", 2)
        expect(ping(both.left, "10.2.0.1") == 3, "no ping after our rekey of the IKE SA")


def deletes_from_both_sides():
    with testbed.Testbed("delete") as bed:
        both = Both(bed)
        both.check()
        both.branch.ctl("down", "net")
        wait_for(lambda: not both.charon.children("net"), "strongSwan keeps the child", 5)
        both.branch.ctl("up", "net")
        both.check("after down and up")
        old = both.branch.spi()
        both.charon.terminate(child="net")
        both.wait_other(old, "the child that strongSwan deleted does not come back")
        both.check("after strongSwan deleted the child")
        old = both.branch.spi()
        both.charon.terminate(ike="gw")
        both.wait_other(old, "the IKE SA that strongSwan deleted does not come back")
        both.check("after strongSwan deleted the IKE SA")


def strongswan_restarts():
    with testbed.Testbed("restart") as bed:
        both = Both(bed, dpd="1s", daemon='retransmit_timeout = "100ms";')
        both.check()
        both.charon.kill()
        both.charon.start()
        wait_for(lambda: both.branch.up() and ping(both.left, "10.2.0.1", 1) == 1, "no way back after the restart", 40)


def cookies_and_invalid_ke():
    with testbed.Testbed("cookie") as bed:
        # strongSwan always demands a cookie, and does not accept the branch's first key exchange group
        both = Both(bed, ike='aes128-sha256-ecp256-x25519', gw_ike="aes128-sha256-x25519", cookie_threshold=1,
                    cookie_threshold_ip=1)
        both.check("cookie and INVALID_KE_PAYLOAD")


def pfs_mismatch_climbs_to_rung_three():
    with testbed.Testbed("pfs") as bed:
        both = Both(bed, esp="aes128gcm16-x25519", gw_esp="aes128gcm16-ecp256")
        both.check()
        old = both.branch.spi()
        both.branch.ctl("rekey", "net")
        both.wait_other(old, "the mismatch leaves no child", 15)
        wait_for(lambda: both.branch.switchover()["records"], "no record", 5)
        expect(both.branch.switchover()["records"][0]["rung"] == 3, f"{both.branch.switchover()['records'][0]}")
        both.check("after the mismatch")


def no_selectors_in_common():
    with testbed.Testbed("ts") as bed:
        left, right = bed.pair("branch", "gw")
        strongswan.Charon(bed, right, strongswan.connection(right.outer, left.outer, "gw.example.net", "branch.example",
                                                            "10.2.0.0/16", "10.1.0.0/16"), PSK).start()
        kids = {"bad": child("10.8.0.0/16", "10.9.0.0/16", start_action="start", esp_proposals="aes128gcm16"),
                "net": child("10.1.0.0/16", "10.2.0.0/24", start_action="start", esp_proposals="aes128gcm16")}
        branch = Mendip(bed, left, lambda s: config(s, kids, right.outer, proposals="aes128-sha256-x25519"))
        branch.wait_up("net")
        wait_for(lambda: branch.logged("TS_UNACCEPTABLE"), "TS_UNACCEPTABLE is not told", 5)
        expect(branch.sa("net")["remote_ts"] == ["10.2.0.0/24"], "not narrowed")
        expect(ping(left, "10.2.0.1") == 3, "no ping")


def with_ppk(bed, ours, theirs, key="quantum", start="start"):
    """
    Mendip and strongSwan with ppk_required as given; strongSwan has this post-quantum key. It names it when it
    initiates; as responder it refuses who names another one than ppk_id, so it has none then.
    """
    left, right = bed.pair("branch", "gw")
    named = {"ppk_id": key} if start == "none" or key == "quantum" else {}
    charon = strongswan.Charon(bed, right, strongswan.connection(
        right.outer, left.outer, "gw.example.net", "branch.example", "10.2.0.0/16", "10.1.0.0/16",
        ppk_required=theirs, **named), PSK, ppks={key: PPK}).start()
    kids = {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action=start, esp_proposals="aes128gcm16")}

    def conf(control):
        text = config(control, kids, right.outer, proposals="aes128-sha256-x25519",
                      more=f'ppk_id = "quantum"; ppk_required = "{ours}";')
        return text.replace("secrets: {", f'secrets: {{ ppk_one: {{ id = "quantum"; secret = "{PPK}"; }};')

    return Mendip(bed, left, conf), charon


def post_quantum_keys():
    for start in ("start", "none"):
        for required in ("yes", "no"):
            with testbed.Testbed("ppk") as bed:
                branch, charon = with_ppk(bed, required, required, "quantum", start)
                if start == "none":
                    charon.initiate(child="net")
                branch.wait_up()
                expect(ping(branch.ns, "10.2.0.1", 3) == 3, f"no ping with a post-quantum key, {start}, {required}")
                sas = branch.ctl("status")["connections"][0]["ike_sas"]
                expect(sas[0].get("ppk_id") == "quantum", f"the post-quantum key is not used: {sas}")
                old = branch.spi()
                charon.rekey(ike="gw")  # the successor inherits the key, and so does what is made on it
                settle(0.5)
                branch.ctl("rekey", "net")
                wait_for(lambda: branch.up() and branch.spi() not in (None, old), "no rekey", 5)
                expect(ping(branch.ns, "10.2.0.1", 3) == 3, "no ping after the rekeys")


def post_quantum_key_that_one_side_lacks():
    for start in ("start", "none"):
        with testbed.Testbed("ppk") as bed:
            branch, charon = with_ppk(bed, "no", "no", "other", start)
            if start == "none":
                charon.initiate(child="net")
            branch.wait_up()
            expect("ppk_id" not in branch.ctl("status")["connections"][0]["ike_sas"][0], "a key that nobody shares")
            expect(ping(branch.ns, "10.2.0.1", 3) == 3, "no ping without the post-quantum key")
    with testbed.Testbed("ppk") as bed:
        branch, _charon = with_ppk(bed, "yes", "no", "other")
        wait_for(lambda: branch.logged("AUTHENTICATION_FAILED"), "the peer lets in who names a key that it lacks", 5)
        expect(not branch.up(), "up without the key that is required")
    with testbed.Testbed("ppk") as bed:
        branch, charon = with_ppk(bed, "yes", "no", "other", "none")
        try:
            charon.initiate(child="net")
        except strongswan.ViciError:
            pass
        expect(not branch.up(), "let in without the key that is required")


def wrong_secret_is_told():
    with testbed.Testbed("psk") as bed:
        left, right = bed.pair("branch", "gw")
        strongswan.Charon(bed, right, strongswan.connection(right.outer, left.outer, "gw.example.net", "branch.example",
                                                            "10.2.0.0/16", "10.1.0.0/16"), "another").start()
        kids = {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action="start", esp_proposals="aes128gcm16")}
        branch = Mendip(bed, left, lambda s: config(s, kids, right.outer, proposals="aes128-sha256-x25519"))
        wait_for(lambda: branch.logged("AUTHENTICATION_FAILED"), "AUTHENTICATION_FAILED is not told", 5)
        expect(not branch.up(), "up with the wrong secret")


class Six(Both):
    """The same with IPv6 alone on the link, and both families inside."""

    SIX = ("2001:db8:1::1", "2001:db8:1::2")

    def __init__(self, bed, start="start", **charon):
        self.left, self.right = bed.pair("branch", "gw")
        for ns, four, six, inner in zip((self.left, self.right), ("192.0.2.1", "192.0.2.2"), self.SIX,
                                        ("fd00:1::1", "fd00:2::1")):
            ns.ip("addr", "del", f"{four}/24", "dev", "eth0")
            ns.address("eth0", f"{six}/64")
            ns.address("inner0", f"{inner}/64")
            ns.outer = six
        nets = ["10.1.0.0/16", "fd00:1::/64"], ["10.2.0.0/16", "fd00:2::/64"]
        self.charon = strongswan.Charon(bed, self.right, strongswan.connection(
            self.right.outer, self.left.outer, "gw.example.net", "branch.example", children={
                "four": strongswan.child(nets[1][0], nets[0][0]), "six": strongswan.child(nets[1][1], nets[0][1])}),
            PSK, **charon).start()
        kids = {name: child(ours, theirs, start_action=start, esp_proposals="aes128gcm16")
                for name, ours, theirs in zip(("four", "six"), *nets)}
        self.branch = Mendip(bed, self.left, lambda s: config(s, kids, self.right.outer,
                                                              proposals="aes128-sha256-x25519"))

    def check(self, what=""):
        self.branch.wait_up("four", "six")
        for ns, inside in ((self.left, "10.2.0.1"), (self.left, "fd00:2::1"), (self.right, "10.1.0.1"),
                           (self.right, "fd00:1::1")):
            wait_for(lambda n=ns, i=inside: ping(n, i, 3) == 3, f"{what}: no ping to {inside}")


def over_ipv6():
    """Both families in IPv6, with each side as the initiator, and rekeys from both."""
    with testbed.Testbed("six") as bed:
        both = Six(bed)
        both.check("Mendip initiates")
        for rekey in (lambda: both.branch.ctl("rekey", "four"), lambda: both.charon.rekey("four")):
            spi = both.branch.spi("four")
            rekey()
            wait_for(lambda before=spi: both.branch.spi("four") not in (None, before), "no rekey", 10)
            both.check("after a rekey")
    with testbed.Testbed("six") as bed:
        both = Six(bed, start="none")
        for name in ("four", "six"):
            both.charon.initiate(name)
        both.check("strongSwan initiates")


def behind_nat():
    with testbed.Testbed("nat") as bed:
        left, router, right = bed.behind_nat("branch", "gw")
        strongswan.Charon(bed, right, strongswan.connection(right.outer, "%any", "gw.example.net", "branch.example",
                                                            "10.2.0.0/16", "10.1.0.0/16"), PSK).start()
        kids = {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action="start", esp_proposals="aes128gcm16")}
        branch = Mendip(bed, left, lambda s: config(s, kids, right.outer, proposals="aes128-sha256-x25519"))
        branch.wait_up()
        expect(ping(left, "10.2.0.1") == 3, "no ping through the NAT")
        bed.rebind(router)
        wait_for(lambda: ping(left, "10.2.0.1", 1) == 1, "no ping after the rebinding", 20)


def branch_moves():
    """
    The branch gets another address: strongSwan follows by MOBIKE, and the IKE SA stays.  strongSwan rekeys the CHILD SA,
    as its user-space ESP cannot change the addresses of an SA.
    """
    with testbed.Testbed("mobike") as bed:
        both = Both(bed, gw_remote="%any", gw_mobike="yes")
        both.check()
        before = both.ike_spi()
        both.left.run("ip", "addr", "del", f"{both.left.outer}/24", "dev", "eth0")
        both.left.run("ip", "addr", "add", "192.0.2.77/24", "dev", "eth0")
        wait_for(lambda: ping(both.left, "10.2.0.1", 1) == 1, "no ping from the new address", 3)
        wait_for(lambda: both.branch.logged("the peer follows"), "strongSwan does not follow", 3)
        expect(both.ike_spi() == before, "another IKE SA")
        expect(ping(both.right, "10.1.0.1") == 3, "no ping from strongSwan")


def gateway_moves():
    """strongSwan initiated and gets another address: we follow."""
    with testbed.Testbed("mobike-peer") as bed:
        both = Both(bed, start="none", gw_mobike="yes")
        both.charon.initiate(child="net")
        both.check("strongSwan as initiator")
        before = both.ike_spi()
        both.right.run("ip", "addr", "del", f"{both.right.outer}/24", "dev", "eth0")
        both.right.run("ip", "addr", "add", "192.0.2.78/24", "dev", "eth0")
        wait_for(lambda: ping(both.right, "10.1.0.1", 1) == 1, "no ping from strongSwan's new address", 10)
        wait_for(lambda: both.branch.logged("192.0.2.78"), "we are not told", 3)
        expect(ping(both.left, "10.2.0.1") == 3, "no ping to strongSwan's new address")
        expect(both.ike_spi() == before, "another IKE SA")


if strongswan.missing():
    print(f"ok strongswan # SKIP {strongswan.missing()}")
    sys.exit(77)
main([post_quantum_keys, post_quantum_key_that_one_side_lacks, strongswan_initiates, rekeys_from_both_sides, in_fragments, ike_rekey_by_time,
      deletes_from_both_sides, strongswan_restarts, cookies_and_invalid_ke, pfs_mismatch_climbs_to_rung_three,
      no_selectors_in_common, wrong_secret_is_told, over_ipv6, behind_nat, branch_moves, gateway_moves], OFFLOADS)
