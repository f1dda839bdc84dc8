#!/usr/bin/python3
# Daemons authenticate by certificates: files, reloads, the status and the log. SPDX-License-Identifier: ISC
import os
import re
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from daemons import CtlError, Mendip, child, expect, main, ping, settle, testbed, wait_for  # noqa: E402
from pki import Pki  # noqa: E402


def conf(control, peer, who, whom, nets, start, daemon=""):
    kid = child(*nets, start_action=start)
    return f"""daemon: {{ control = "{control}"; log = "debug"; {daemon} }};
connections: {{ peer: {{ remote_addrs = [ "{peer}" ];
  local: {{ id = "{who}.example"; auth = "pubkey"; certs = [ "pki/{who}.pem" ]; key = "pki/{who}.key"; }};
  remote: {{ id = "{whom}.example"; auth = "pubkey"; cacerts = "cas"; }};
  children: {{ net: {kid}; }}; }}; }};
"""


class Ends:
    """A branch and a gateway with certificates of one CA; CAs and CRLs are in the folder cas of the testbed."""

    def __init__(self, bed, days=365):
        self.pki, self.bed = Pki(bed.path("pki")), bed
        self.pki.ca()
        for who in ("branch", "gw"):
            self.pki.cert(who, f"DNS:{who}.example", days=days)
        os.mkdir(bed.path("cas"), 0o755)
        self.put("ca.pem")
        left, right = bed.pair("branch", "gw")
        self.gw = Mendip(bed, right, lambda s: conf(s, "%any", "gw", "branch", ("10.2.0.0/16", "10.1.0.0/16"), "none"))
        self.branch = Mendip(bed, left, lambda s: conf(s, right.outer, "branch", "gw", ("10.1.0.0/16", "10.2.0.0/16"),
                                                       "start"))
        self.branch.wait_up()
        expect(ping(left, "10.2.0.1") == 3, "no ping")

    def put(self, name):
        """Puts a file of the PKI into the folder of CAs."""
        with open(os.open(self.bed.path(f"cas/{name}"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644), "w",
                  encoding="ascii") as f:
            f.write(self.pki.read(name))

    def ike(self, daemon):
        return daemon.ctl("status")["connections"][0]["ike_sas"]


def logs_its_end(mendip, certificate):
    return any(mendip.logged(f"{certificate} ends in {days} days") for days in (9, 10))


def status_shows_certificates():
    with testbed.Testbed("certs") as bed:
        ends = Ends(bed, days=10)
        conn = ends.branch.ctl("status")["connections"][0]
        for got, name in ((conn["certificate"], "branch"), (conn["ike_sas"][0]["peer_certificate"], "gw")):
            expect(got["subject"] == f"O=Example, CN={name}", f"{got}")
            expect(9 * 86400 < got["ends_in"] <= 10 * 86400, f"{got}")
        text = ends.branch.run("status", "--all", as_json=False).stdout
        # Whole days: 10 in the second in which the certificate was made, 9 afterwards.
        for line in ("our certificate O=Example, CN=branch", "the peer's certificate O=Example, CN=gw"):
            expect(re.search(rf"{line}: ends in (9|10) days", text), text)
        expect(logs_its_end(ends.branch, 'our certificate "O=Example, CN=branch"'), ends.branch.tail())
        metrics = ends.branch.run("metrics", as_json=False).stdout
        told = dict(re.findall(r'^mendip_certificate_expiry_timestamp_seconds\{connection="peer",kind="(\w+)"\} (\d+)$', metrics, re.M))
        expect(set(told) == {"own", "ca"} and 9 * 86400 < int(told["own"]) - time.time() <= 10 * 86400, metrics)
        ends.branch.ctl("reload")
        wait_for(lambda: logs_its_end(ends.branch, 'the peer\'s certificate "O=Example, CN=gw"'), ends.branch.tail)


def reload_revokes_and_renews():
    with testbed.Testbed("certs") as bed:
        ends = Ends(bed)
        spi = ends.ike(ends.gw)[0]["spi_i"]
        ends.pki.crl()
        ends.put("ca.crl")
        ends.pki.cert("gw", "DNS:gw.example", kind="ed25519")
        ends.gw.ctl("reload")
        settle(0.5)
        expect(ends.ike(ends.gw)[0]["spi_i"] == spi, "the reload ended what is still trusted")
        expect(ends.gw.ctl("status")["connections"][0]["ike_sas"], "no IKE SA")
        ends.pki.crl("branch")
        ends.put("ca.crl")
        ends.gw.ctl("reload")
        wait_for(lambda: ends.gw.logged("not trusted any more: certificate revoked"), ends.gw.tail)
        wait_for(lambda: ends.branch.logged("AUTHENTICATION_FAILED"), ends.branch.tail)
        expect(not ends.branch.up(), "up with a revoked certificate")


def bad_files_change_nothing():
    with testbed.Testbed("certs") as bed:
        ends = Ends(bed)
        key = ends.pki.path("gw.key")
        for mode, why in ((0o644, "chmod o-r"), (0o620, "chmod go-w")):
            os.chmod(key, mode)
            try:
                ends.gw.ctl("reload")
                raise AssertionError(f"reloaded with mode {mode:o}")
            except CtlError as e:
                expect(why in str(e), f"{e}")
        os.chmod(key, 0o600)
        ends.pki.write("ca.pem", ends.pki.read("ca.pem")[:300])
        ends.put("ca.pem")
        try:
            ends.gw.ctl("reload")
            raise AssertionError("reloaded with a CA that is cut short")
        except CtlError as e:
            expect("cas/ca.pem" in str(e), f"{e}")
        expect(ends.branch.up() and ping(ends.branch.ns, "10.2.0.1") == 3, "down after reloads that failed")


main([status_shows_certificates, reload_revokes_and_renews, bad_files_change_nothing])
