#!/usr/bin/python3
# Mendip and Debian's unmodified strongSwan: chains, names and refusals of certificates; test_matrix.py has each kind of key.
# SPDX-License-Identifier: ISC
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../netns"))
from daemons import PSK, Mendip, child, expect, main, testbed, ping, settle, wait_for  # noqa: E402
from pki import Pki  # noqa: E402
from authentication import LEFT, PLUGINS, RIGHT, charons, made, mendip  # noqa: E402
import strongswan  # noqa: E402
import wire  # noqa: E402

IKE = "aes128-sha256-x25519"


class Both:
    """
    A branch (Mendip) and a gateway (strongSwan). local, remote: the text of these groups in mendip.conf; theirs, ours:
    the same for strongSwan, as dicts for vici; files of certificates and keys are given as their content.
    """

    def __init__(self, bed, pki, local, remote, theirs, ours, keys=(), certs=(), start="start", more="", settings="",
                 log_keys=False):
        self.left, self.right = bed.pair("branch", "gw")
        connection = strongswan.connection(self.right.outer, self.left.outer, RIGHT, LEFT, "10.2.0.0/16",
                                           "10.1.0.0/16", proposals=IKE, send_cert="always")
        connection["local"], connection["remote"] = theirs, ours
        self.charon = strongswan.Charon(bed, self.right, connection, PSK, plugins=PLUGINS, keys=keys, certs=certs,
                                        settings=settings, log_keys=log_keys).start()
        kid = child("10.1.0.0/16", "10.2.0.0/16", start_action=start, esp_proposals="aes128gcm16")
        self.branch = Mendip(bed, self.left, lambda s: f"""daemon: {{ control = "{s}"; log = "debug"; }};
connections: {{ gw: {{ local: {{ {local} }}; remote: {{ {remote} }}; remote_addrs = [ "{self.right.outer}" ];
  proposals = [ "{IKE}" ]; {more} children: {{ net: {kid}; }}; }}; }};
secrets: {{ ike_peer: {{ secret = "{PSK}"; }}; }};
""")

    def check(self, what):
        self.branch.wait_up()
        # strongSwan may answer before its own end of the SA carries packets.
        wait_for(lambda: ping(self.left, "10.2.0.1") == 3, f"{what}: no ping from Mendip")

    def refused(self, by_mendip=None, by_strongswan=None):
        if by_mendip:
            wait_for(lambda: self.branch.logged(by_mendip), lambda: f"not said: {by_mendip}: {self.branch.tail()}")
        if by_strongswan:
            wait_for(lambda: self.charon.logged(by_strongswan), lambda: f"not said: {by_strongswan}")
        expect(not self.branch.up(), "up all the same")


def start(bed, pki, groups=None, **more):
    theirs, ours, keys, certs = charons(pki)
    local, remote = groups or mendip(pki)
    return Both(bed, pki, local, remote, more.pop("theirs", theirs), more.pop("ours", ours), keys,
                certs + more.pop("certs", []), **more)


def before_rfc7427():
    """strongSwan does not announce hashes: RSA is used with SHA-1 then, which has to be admitted."""
    old = "    signature_authentication = no"
    with testbed.Testbed("old") as bed:
        start(bed, made(bed, "rsa"), settings=old).refused(by_mendip="rsa_sha1")


def distinguished_names():
    with testbed.Testbed("dn") as bed:
        pki = made(bed)
        local, remote = mendip(pki)
        both = start(bed, pki, (local.replace(f'id = "{LEFT}";', ""), remote.replace(RIGHT, "O=Example, CN=*")),
                     theirs={"auth": "pubkey", "certs": [pki.read("gw.pem")]},
                     ours={"auth": "pubkey", "id": "O=Example, CN=branch", "cacerts": [pki.read("ca.pem")]})
        both.check("distinguished names")
        expect(both.branch.ctl("status")["connections"][0]["ike_sas"][0]["peer_id"] == "O=Example, CN=gw", "peer_id")


def intermediate_cas():
    with testbed.Testbed("chain") as bed:
        pki = Pki(bed.path("pki"))
        pki.ca()
        pki.ca("middle", issuer="ca")
        pki.cert("branch", f"DNS:{LEFT}", issuer="middle")
        pki.cert("gw", f"DNS:{RIGHT}", issuer="middle")
        pki.write("branch.pem", pki.read("branch.pem") + pki.read("middle.pem"))
        start(bed, pki, certs=[("NONE", pki.read("middle.pem"))]).check("intermediate CA on both sides")


def wrong_and_revoked():
    with testbed.Testbed("wrong") as bed:
        pki = made(bed)
        pki.ca("else")
        start(bed, pki, mendip(pki, ca=pki.path("else.pem"))).refused(by_mendip="unable to get")
    with testbed.Testbed("wrong") as bed:
        pki = made(bed)
        pki.crl("gw")
        local, remote = mendip(pki)
        pki.write("both.pem", pki.read("ca.pem") + pki.read("ca.crl"))
        both = start(bed, pki, (local, remote.replace("ca.pem", "both.pem")))
        both.refused(by_mendip="revoked")
    with testbed.Testbed("wrong") as bed:
        pki = made(bed)
        pki.cert("branch", f"DNS:{LEFT}", issuer=None)
        start(bed, pki).refused(by_strongswan="no trusted ECDSA public key")


def wire_is_well_formed():
    """tshark decrypts both IKE_AUTH messages, and finds CERT, CERTREQ and AUTH in them as they should be."""
    with testbed.Testbed("wire") as bed:
        pki = made(bed)
        both = start(bed, pki, start="none", log_keys=True)
        capture = wire.Capture(bed, both.right)
        back = wire.Capture(bed, both.left)
        both.branch.ctl("up", "net")
        both.check("before tshark")
        settle(0.5)
        keys, sa = both.charon.ike_keys(), both.branch.ctl("status")["connections"][0]["ike_sas"][0]
        row = [sa["spi_i"], sa["spi_r"], keys["Sk_ei"].hex(), keys["Sk_er"].hex(), '"AES-CBC-128 [RFC3602]"',
               keys["Sk_ai"].hex(), keys["Sk_ar"].hex(), '"HMAC_SHA2_256_128 [RFC4868]"']
        option = "uat:ikev2_decryption_table:" + ",".join(row)
        for path in (capture.stop(3), back.stop(3)):
            shown = testbed.run("tshark", "-r", path, "-o", option, "-Y", "isakmp.exchangetype == 35", "-V").stdout
            expect("Payload: Authentication (39)" in shown, f"not decrypted: {shown[:2000]}")
            expect("Payload: Certificate (37)" in shown and "X.509 Certificate - Signature (4)" in shown, shown)
            expect("Digital Signature (14)" in shown, shown)
            expect("Malformed" not in shown and "[Expert Info (Error" not in shown, shown)
        init = testbed.run("tshark", "-r", capture.path, "-Y", "isakmp.exchangetype == 34", "-V").stdout
        expect("SIGNATURE_HASH_ALGORITHMS" in init and "Malformed" not in init, init)


if strongswan.missing():
    print(f"ok certificates # SKIP {strongswan.missing()}")
    sys.exit(77)
main([before_rfc7427, distinguished_names, intermediate_cas, wrong_and_revoked, wire_is_well_formed])
