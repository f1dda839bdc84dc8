#!/usr/bin/python3
# A daemon whose private key is on a token. A module for OpenSSL stands in for it. SPDX-License-Identifier: ISC
import os
import subprocess

from daemons import BUILD, CtlError, Mendip, child, expect, main, ping, testbed
from pki import Pki

PIN = "a pin of tests"
URI = "pkcs11:token=t;object=key"
NETS = ("10.1.0.0/16", "10.2.0.0/16")


def conf(control, peer, who, whom, key, nets, start, daemon=""):
    return f"""daemon: {{ control = "{control}"; log = "debug"; {daemon} }};
connections: {{ peer: {{ remote_addrs = [ "{peer}" ];
  local: {{ id = "{who}.example"; auth = "pubkey"; certs = [ "pki/{who}.pem" ]; {key} }};
  remote: {{ id = "{whom}.example"; auth = "pubkey"; cacerts = "pki/ca.pem"; }};
  children: {{ net: {child(*nets, start_action=start)}; }}; }}; }};
"""


def environment(pki):
    return [f"OPENSSL_MODULES={BUILD}/tests/netns", "OPENSSL_CONF=/dev/null", f"TOKEN_KEY={pki.path('branch.key')}"]


def make_pki(bed, kind):
    pki = Pki(bed.path("pki"))
    pki.ca()
    pki.cert("branch", "DNS:branch.example", kind)
    pki.cert("gw", "DNS:gw.example")
    pki.write("pin", f"{PIN}\n", 0o600)
    return pki


def each_kind_of_key_lets_us_in():
    """The key signs again after a reload and a start."""
    for kind in ("rsa", "p256", "p384", "ed25519"):
        with testbed.Testbed("token") as bed:
            pki = make_pki(bed, kind)
            left, right = bed.pair("branch", "gw")
            Mendip(bed, right, lambda s: conf(s, "%any", "gw", "branch", 'key = "pki/gw.key";', NETS[::-1], "none"))
            for more in ("", "rsa_pss = \"yes\";") if kind == "rsa" else ("",):
                key = f'key = "{URI}"; password = "pki/pin"; {more}'
                branch = Mendip(bed, left, lambda s, k=key: conf(s, right.outer, "branch", "gw", k, NETS, "start"),
                                env=environment(pki))
                branch.wait_up()
                expect(ping(left, "10.2.0.1") == 3, f"{kind}: no ping")
                branch.ctl("reload")
                expect(branch.up(), f"{kind}: the reload ended the tunnel: {branch.tail()}")
                branch.kill()
                branch.start()
                branch.wait_up()
                branch.kill()
                with open(branch.log, encoding="utf-8") as f:
                    expect(PIN not in f.read(), "the PIN is in the log")


def a_wrong_pin_changes_nothing():
    with testbed.Testbed("token") as bed:
        pki = make_pki(bed, "p256")
        left, right = bed.pair("branch", "gw")
        Mendip(bed, right, lambda s: conf(s, "%any", "gw", "branch", 'key = "pki/gw.key";', NETS[::-1], "none"))
        branch = Mendip(bed, left, lambda s: conf(s, right.outer, "branch", "gw", f'key = "{URI}"; password = "pki/pin";',
                                                  NETS, "start"), env=environment(pki))
        branch.wait_up()
        spi = branch.spi()
        pki.write("pin", "another one\n", 0o600)
        try:
            branch.ctl("reload")
            raise AssertionError("the reload is done")
        except CtlError as e:
            expect("the PIN is wrong" in str(e) and "another one" not in str(e), str(e))
        expect(branch.spi() == spi and ping(left, "10.2.0.1") == 3, "the tunnel is not as it was")


def checked(bed, pki, *change):
    """Runs mendipd --check and --dump-config; returns (exit status, output)."""
    path = bed.path("check.conf")
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="ascii") as f:
        f.write(conf(bed.path("c"), "192.0.2.2", "branch", "gw", f'key = "{URI}"; password = "pki/pin";', NETS, "none"))
    env = {**os.environ, **dict(e.split("=", 1) for e in [*environment(pki), *change])}
    done = [subprocess.run([f"{BUILD}/mendipd", "-c", path, option], capture_output=True, text=True, env=env)
            for option in ("--check", "--dump-config")]
    return done[0].returncode, "".join(d.stdout + d.stderr for d in done)


def what_a_start_ends_with():
    """The service manager starts the daemon again, as the token may come, but not to give a wrong PIN again."""
    with testbed.Testbed("token") as bed:
        pki = make_pki(bed, "p256")
        pki.write("wrong", "another one\n", 0o600)
        for uri, pin, status in (("pkcs11:token=other", "pin", 1), (URI, "wrong", 78)):
            path = bed.path("start.conf")
            with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="ascii") as f:
                f.write(conf(bed.path("c"), "192.0.2.2", "branch", "gw", f'key = "{uri}"; password = "pki/{pin}";', NETS, "none"))
            done = subprocess.run([f"{BUILD}/mendipd", "-c", path], capture_output=True, text=True, check=False,
                                  env={**os.environ, **dict(e.split("=", 1) for e in environment(pki))})
            expect(done.returncode == status, f"{uri}: status {done.returncode}: {done.stderr}")


def told_by_check():
    with testbed.Testbed("token") as bed:
        pki = make_pki(bed, "p256")
        status, text = checked(bed, pki)
        expect(status == 0 and URI in text and PIN not in text, text)
        status, text = checked(bed, pki, "OPENSSL_MODULES=/nonexistent")
        expect(status == 1 and "install the package pkcs11-provider" in text, text)
        status, text = checked(bed, pki, f"TOKEN_KEY={pki.path('gw.key')}")
        expect(status == 1 and "none of the certificates is that of the private key" in text, text)


main([each_kind_of_key_lets_us_in, a_wrong_pin_changes_nothing, what_a_start_ends_with, told_by_check])
