#!/usr/bin/python3
# Additional key exchanges (RFC 9370) with strongSwan 6, which 5.9 does not have. SPDX-License-Identifier: ISC
"""With strongSwan 6: as installed (Debian 13), or in MENDIP_STRONGSWAN_ROOT (make check-strongswan-6)."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../netns"))
from daemons import BUILD, OFFLOADS, PSK, Mendip, child, config, expect, main, testbed, ping, settle, wait_for  # noqa: E402
import strongswan  # noqa: E402

ML = "/usr/lib/ipsec/plugins/libstrongswan-ml.so"


class TooOld(Exception):
    """strongSwan 5.9 has no additional key exchanges."""


def takes(proposal):
    """Whether this mendipd has all algorithms of an IKE proposal."""
    text = config("/nowhere", {"net": child("10.1.0.0/16", "10.2.0.0/16")}, "192.0.2.2", proposals=proposal)
    path = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"hybrid.{os.getpid()}.conf")
    with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as f:
        f.write(text)
    try:
        return subprocess.run([f"{BUILD}/mendipd", "--check", "-c", path], capture_output=True, check=False).returncode == 0
    finally:
        os.unlink(path)


def hybrid(ike, esp, calls):
    """Both sides with these proposals; Mendip initiates, or strongSwan does. Then both rekey both SAs."""
    with testbed.Testbed("hybrid") as bed:
        left, right = bed.pair("branch", "gw")
        ml = "ml" if os.path.exists(strongswan.ROOT + ML) else ""
        charon = strongswan.Charon(bed, right, strongswan.connection(
            right.outer, left.outer, "gw.example.net", "branch.example", "10.2.0.0/16", "10.1.0.0/16",
            esp_proposals=esp, proposals=ike), PSK, plugins=ml).start()
        kids = {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action="start" if calls else "none", esp_proposals=esp,
                             switchover='{ jitter = "0"; }')}
        branch = Mendip(bed, left, lambda s: config(s, kids, right.outer, proposals=ike))
        if charon.version() < (6, 0):
            raise TooOld
        if not calls:
            charon.initiate("net")
        branch.wait_up()
        expect(ping(left, "10.2.0.1", 3) == 3, f"no ping with {ike}")

        def sa():
            sas = branch.ctl("status")["connections"][0]["ike_sas"]
            return sas[0] if sas else {}

        expect("-ke1_" in sa()["proposal"], f"no additional key exchange: {sa()}")
        for start in (lambda: branch.ctl("rekey", "net"), lambda: charon.rekey(child_id=charon.children("net")[-1].id)):
            old = branch.spi()
            start()
            wait_for(lambda: branch.up() and branch.spi() not in (None, old), "no rekey of the CHILD SA", 10)
            settle(0.5)
            expect(ping(left, "10.2.0.1", 3) == 3, "no ping after a rekey of the CHILD SA")
        old = sa()["spi_i"]
        charon.rekey(ike="gw")
        wait_for(lambda: sa().get("spi_i") not in (None, old), "no rekey of the IKE SA by strongSwan", 10)
        settle(0.5)
        expect(ping(left, "10.2.0.1", 3) == 3, "no ping after the rekey of the IKE SA")


def only_with_six(case):
    def run():
        try:
            case()
        except TooOld:
            print("# SKIP strongSwan 5.9 has no additional key exchanges: make check-strongswan-6")
    run.__name__ = case.__name__
    return run


@only_with_six
def classic_groups():
    for calls in (True, False):
        hybrid("aes128-sha256-x25519-ke1_ecp256", "aes128gcm16-x25519-ke1_ecp256", calls)
        hybrid("aes256-sha384-ecp384-ke1_x25519-ke2_modp2048", "aes128gcm16-ecp256-ke1_x25519-ke3_modp2048", calls)


@only_with_six
def ml_kem():
    for size in ("mlkem512", "mlkem768", "mlkem1024"):
        if not takes(f"aes128-sha256-x25519-ke1_{size}"):
            print(f"# SKIP {size}: this mendipd's libcrypto does not have it")
            return
        for calls in (True, False):
            hybrid(f"aes256-sha384-x25519-ke1_{size}", f"aes128gcm16-x25519-ke1_{size}", calls)


if strongswan.missing():
    print(f"ok hybrid # SKIP {strongswan.missing()}")
    sys.exit(77)
main([classic_groups, ml_kem], OFFLOADS)
