#!/usr/bin/python3
# Mendip authenticates by EAP to Debian's unmodified strongSwan. SPDX-License-Identifier: ISC
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../netns"))
from daemons import PSK, Mendip, child, expect, main, more_traffic, testbed, ping, wait_for  # noqa: E402
from authentication import EAP_PASSWORD as PASSWORD, EAP_PLUGINS, LEFT, RIGHT  # noqa: E402
from pki import Pki  # noqa: E402
import rewind  # noqa: E402
import strongswan  # noqa: E402

IKE = "aes128-sha256-x25519"
USER = "EXAMPLE\\carol"


class Both:
    """
    A branch (Mendip) and a gateway (strongSwan). local, remote: the text of these groups in mendip.conf, of which local
    has the options of EAP; auth: strongSwan's name of what it asks the branch for, with options `theirs`.
    """

    def __init__(self, bed, local, auth, remote=None, theirs=None, password=PASSWORD, settings="", ours=None, ca="ca",
                 conn=None, more="", inner="10.1.0.0/16"):
        self.pki = made(bed)
        self.left, self.right = bed.pair("branch", "gw")
        connection = strongswan.connection(self.right.outer, self.left.outer, RIGHT, LEFT, "10.2.0.0/16", inner, proposals=IKE, send_cert="always", **(conn or {}))
        connection["local"] = ours or {"auth": "pubkey", "id": RIGHT, "certs": [self.pki.read("gw.pem")]}
        connection["remote"] = {"auth": auth, "id": LEFT, **(theirs or {})}
        self.charon = strongswan.Charon(bed, self.right, connection, PSK, plugins=f"{EAP_PLUGINS} eap-md5", keys=[self.pki.read("gw.key")],
                                        certs=[("CA", self.pki.read("ca.pem")), ("NONE", self.pki.read("gw.pem"))], eaps={"carol": PASSWORD, USER: PASSWORD},
                                        settings=settings, ppks={"quantum": "a post-quantum key"}).start()
        self.charon.request("load-pool", road={"addrs": "10.3.0.0/24"})
        kid = child(inner, "10.2.0.0/16", start_action="start", esp_proposals="aes128gcm16",
                    switchover='{ jitter = "0"; }')
        files = {"pki": self.pki.folder}
        remote = remote or f'id = "{RIGHT}"; auth = "pubkey"; cacerts = [ "{self.pki.path(ca + ".pem")}" ];'
        quoted = USER.replace("\\", "\\\\")
        self.branch = Mendip(bed, self.left, lambda s: f"""daemon: {{ control = "{s}"; log = "debug"; }};
connections: {{ gw: {{ local: {{ id = "{LEFT}"; {local % files} }}; remote: {{ {remote} }};
  remote_addrs = [ "{self.right.outer}" ]; proposals = [ "{IKE}" ]; {more} children: {{ net: {kid}; }}; }}; }};
secrets: {{ ike_peer: {{ secret = "{PSK}"; }}; eap_carol: {{ id = "{quoted}"; secret = "{password}"; }};
  ppk_q: {{ id = "quantum"; secret = "a post-quantum key"; }}; }};
""")

    def check(self, what):
        self.branch.wait_up()
        wait_for(lambda: ping(self.left, "10.2.0.1") == 3, f"{what}: no ping from Mendip")

    def refused(self, said):
        wait_for(lambda: self.branch.logged(said), lambda: f"not said: {said}: {self.branch.tail()}")
        expect(not self.branch.up(), "up all the same")

    def ike_spi(self):
        sas = self.branch.ctl("status")["connections"][0]["ike_sas"]
        return sas[0]["spi_i"] if sas else None

    def rekeys(self):
        """Both SAs are rekeyed from both sides."""
        for rekey in (lambda: self.branch.ctl("rekey", "net"), lambda: self.charon.rekey("net")):
            old = self.branch.spi()
            rekey()
            wait_for(lambda: self.branch.up() and self.branch.spi() not in (None, old), "no rekey of the CHILD SA", 5)
        old = self.ike_spi()
        self.charon.rekey(ike="gw")
        wait_for(lambda: self.ike_spi() not in (None, old), "no rekey of the IKE SA", 5)
        self.check("after rekeys")


def made(bed):
    pki = Pki(bed.path("pki"))
    pki.ca()
    pki.ca("else")
    pki.cert("branch", f"DNS:{LEFT}")
    pki.cert("gw", f"DNS:{RIGHT}")
    return pki


MSCHAPV2 = f'auth = "eap-mschapv2"; eap_id = "{USER}";'.replace("\\", "\\\\")
TLS = 'auth = "eap-tls"; certs = [ "%(pki)s/branch.pem" ]; key = "%(pki)s/branch.key";'
ANY = {"eap_id": "%any"}


def mschapv2():
    with testbed.Testbed("mschapv2") as bed:
        both = Both(bed, MSCHAPV2, "eap-mschapv2", theirs=ANY)
        both.check("eap-mschapv2")
        expect(both.charon.logged("EAP method EAP_MSCHAPV2 succeeded, MSK established"), "no EAP")
        both.rekeys()


def mschapv2_without_identity():
    """strongSwan does not ask for the identity, and authenticates by a pre-shared key."""
    with testbed.Testbed("mschapv2") as bed:
        both = Both(bed, MSCHAPV2, "eap-mschapv2", remote=f'id = "{RIGHT}"; auth = "psk";',
                    ours={"auth": "psk", "id": RIGHT})
        both.check("eap-mschapv2 with a secret of the gateway")


def wrong_password():
    with testbed.Testbed("wrong") as bed:
        both = Both(bed, MSCHAPV2, "eap-mschapv2", theirs=ANY, password="guess")
        both.refused("E=691, name or password is wrong")


def another_method():
    """strongSwan wants EAP-MD5, which Mendip does not have."""
    with testbed.Testbed("method") as bed:
        both = Both(bed, MSCHAPV2, "eap-md5", theirs=ANY)
        both.refused("the server wants EAP type 4, and local.auth says eap-mschapv2")


def tls():
    with testbed.Testbed("tls") as bed:
        both = Both(bed, TLS, "eap-tls", theirs=ANY)
        both.check("eap-tls")
        expect(both.charon.logged("negotiated TLS 1.2"), "no TLS 1.2")
        expect(both.charon.logged("EAP method EAP_TLS succeeded, MSK established"), "no EAP")
        both.rekeys()


def tls_1_3_without_commitment():
    """strongSwan 5.9 does not send the octet by which a server shows that it has accepted us (RFC 9190 2.1.1)."""
    with testbed.Testbed("tls13") as bed:
        both = Both(bed, TLS, "eap-tls", theirs=ANY, settings="    tls {\n    version_max = 1.3\n    }")
        both.refused("with TLS 1.2 it can be used")
        expect(both.charon.logged("negotiated TLS 1.3"), "no TLS 1.3")


def tls_beside_a_secret():
    """The gateway authenticates by a pre-shared key, and in EAP-TLS by its certificate."""
    with testbed.Testbed("tls-psk") as bed:
        pki = bed.path("pki")
        both = Both(bed, TLS, "eap-tls", remote=f'id = "{RIGHT}"; auth = "psk"; cacerts = [ "{pki}/ca.pem" ];',
                    ours={"auth": "psk", "id": RIGHT, "certs": []})
        both.check("eap-tls beside a secret")


def tls_server_of_another_name():
    with testbed.Testbed("tls-name") as bed:
        both = Both(bed, TLS + ' aaa_id = "aaa.example.net";', "eap-tls", theirs=ANY)
        both.refused("its certificate: it does not have the peer's id")


def other_parts_of_ike():
    """EAP in fragments of 400 bytes, with MOBIKE and a post-quantum key."""
    with testbed.Testbed("parts") as bed:
        both = Both(bed, TLS, "eap-tls", theirs=ANY, conn={"mobike": "yes", "ppk_id": "quantum", "ppk_required": "yes"},
                    settings="    fragment_size = 400",
                    more='fragment_size = 400; mobike = "yes"; ppk_id = "quantum"; ppk_required = "yes";')
        both.check("fragments")
        expect(both.charon.logged("using PPK for PPK_ID 'quantum'"), "no post-quantum key")
        expect(both.charon.logged("peer supports MOBIKE"), "no MOBIKE")
        both.rekeys()


def assigned_address():
    """The usual case of remote access: name and password, and an address from the gateway."""
    with testbed.Testbed("address") as bed:
        both = Both(bed, MSCHAPV2, "eap-mschapv2", theirs=ANY, conn={"pools": ["road"]}, more='vips = [ "0.0.0.0" ];',
                    inner="dynamic")
        both.check("an assigned address")
        expect(both.charon.children("net")[0].remote_ts == ["10.3.0.1/32"], f"{both.charon.children('net')}")


def recovery():
    """The gateway's numbers go back: Mendip rekeys, and when the gateway's IKE is silent makes a new IKE SA by EAP."""
    with testbed.Testbed("recovery") as bed:
        both = Both(bed, MSCHAPV2, "eap-mschapv2", theirs=ANY)
        both.check("before the rewind")
        flow = bed.flow(both.right, both.right.inner, both.left, both.left.inner, rate=5000, count=8000, port=9001)
        flow.wait(30)
        flow = bed.flow(both.right, both.right.inner, both.left, both.left.inner, rate=500)
        more_traffic(flow, 500)
        rewind.rewind(both.charon.pid, by=5000, which="number")
        both.branch.wait_recovered()
        result = flow.stop()
        expect(result.lost == 0, f"{result.lost} packets lost")


def gateway_restarts():
    with testbed.Testbed("restart") as bed:
        both = Both(bed, MSCHAPV2, "eap-mschapv2", theirs=ANY)
        both.check("before the restart")
        both.charon.stop()
        both.charon.start()
        wait_for(lambda: both.branch.up() and ping(both.left, "10.2.0.1", 1) == 1, "no way back after the restart", 40)


if strongswan.missing():
    print(f"ok eap # SKIP {strongswan.missing()}")
    sys.exit(77)
main([mschapv2, mschapv2_without_identity, wrong_password, another_method, tls, tls_1_3_without_commitment,
      tls_beside_a_secret,
      tls_server_of_another_name, other_parts_of_ike, assigned_address, recovery, gateway_restarts])
