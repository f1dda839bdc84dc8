"""The rows of the interop matrix, by subject. SPDX-License-Identifier: ISC"""
import os

from authentication import EAP_PASSWORD, EAP_PLUGINS, LEFT, PLUGINS, RIGHT, charons, made, mendip, raw_keys
from daemons import BUILD, child, config, expect, ping, testbed, wait_for
from matrix import ESP, IKE, NETS, Keys, Row, Unavailable
import strongswan

AEAD = ["aes128gcm16", "aes192gcm16", "aes256gcm16", "chacha20poly1305"]
CBC = ["aes128", "aes192", "aes256"]
INTEG = ["sha256", "sha384", "sha512", "sha1"]
PRF = ["prfsha256", "prfsha384", "prfsha512", "prfsha1"]
GROUPS = ["x25519", "ecp256", "ecp384", "ecp521", "modp2048", "modp3072", "modp4096", "x448", "modp6144", "modp8192", "ecp256bp",
          "ecp384bp", "ecp512bp"]
# With ciphers in this order each cipher meets each hash.
CIPHERS = AEAD + [f"{c}-{i}" for i in INTEG for c in CBC]

ROLES_OF_CP = "who asks for an address initiates (RFC 7296 2.19)"


# -- defaults --

def _agreed(cell):
    """Neither side named an algorithm; as responder, we choose what we prefer."""
    conn = cell.status()
    expect(conn["proposals"] == ["default"] and conn["children"][0]["esp_proposals"] == ["default"], f"{conn}")
    ike, esp = cell.ike_sa()["proposal"], cell.branch.sa()["proposal"]
    expect(ike.startswith("aes") and esp.startswith("aes"), f"{ike}, {esp}")
    if cell.role == "strongSwan":
        expect("gcm16-prfsha" in ike and "gcm16-" in esp, f"not what we prefer: {ike}, {esp}")
    return f"{ike}, {esp}"


def defaults():
    yield Row("the defaults of both", "default", "default", used=_agreed)


# -- algorithms --

def _exactly(cell):
    row, conn = cell.row, cell.status()
    expect(conn["ike_sas"][0]["proposal"] == row.ike, f"{row.ike}: {conn['ike_sas'][0]['proposal']}")
    expect(conn["refusal"] is None and conn["children"][0]["refusal"] is None, f"refused: {conn}")
    # A first CHILD SA has the keys of the IKE SA, and so no group yet; its rekeys have one.
    cipher = "-".join(w for w in row.esp.split("-") if w not in GROUPS)
    expect(cell.branch.sa()["proposal"] in (row.esp, cipher), f"{row.esp}: {cell.branch.sa()['proposal']}")


def algorithms():
    """Each algorithm occurs in IKE and in ESP: in each row another one of each kind."""
    for i in range(max(len(CIPHERS), len(GROUPS))):
        ike = f"{CIPHERS[i % len(CIPHERS)]}-{PRF[i % len(PRF)]}-{GROUPS[i % len(GROUPS)]}"
        esp = f"{CIPHERS[(i + 5) % len(CIPHERS)]}-{GROUPS[(i + 4) % len(GROUPS)]}-noesn"
        yield Row(f"{ike}, {esp[:-len('-noesn')]}", ike, esp, used=_exactly)
    no_esn = "strongSwan's user-space ESP has no extended sequence numbers"
    yield Row("esn", esp="aes128gcm16-esn", cannot={"Mendip": (no_esn, "ESN not supported"),
                                                    "strongSwan": (no_esn, "ESN not supported")})


def without_row():
    """Returns the algorithms that no row has in IKE, or none in ESP."""
    ike, esp = ({word for row in algorithms() for word in getattr(row, side).split("-")} for side in ("ike", "esp"))
    return (set(AEAD + CBC + INTEG + GROUPS + PRF) - ike) | (set(AEAD + CBC + INTEG + GROUPS) - esp)


def _additional(cell):
    got = cell.ike_sa()["proposal"]
    expect("-ke1_" in got, f"no additional key exchange: {got}")
    return cell.ike_sa()["key_exchange"]


def additional():
    """Additional key exchanges (RFC 9370)."""
    yield Row("ecp256 in addition", f"{IKE}-ke1_ecp256", f"{ESP}-x25519-ke1_ecp256", six=True, used=_additional)
    yield Row("two in addition", "aes256-sha384-ecp384-ke1_x25519-ke2_modp2048", f"{ESP}-ecp256-ke1_x25519-ke3_modp2048",
              six=True, used=_additional)


def _takes(cell):
    """Raises Unavailable unless this mendipd has all algorithms of the row."""
    text = config(cell.bed.path("none"), {"net": child(*NETS[4], esp_proposals=cell.row.esp)}, cell.right.outer,
                  proposals=cell.row.ike)
    path = cell.bed.path("check.conf")
    with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as f:
        f.write(text)
    done = testbed.run(f"{BUILD}/mendipd", "--check", "-c", path, check=False)
    if done.returncode:
        expect("mlkem" in done.stderr, done.stderr)
        raise Unavailable("needs OpenSSL 3.5: make check-ml-kem")
    if not _ML and cell.charon.version() < (6, 0, 2):
        raise Unavailable("needs a strongSwan with ML-KEM, which Debian 13's has not: make check-ml-kem")


# strongSwan's own ML-KEM; from 6.0.2 on its plugin for OpenSSL has it, too.
_ML = os.path.exists(strongswan.ROOT + "/usr/lib/ipsec/plugins/libstrongswan-ml.so")


def ml_kem():
    ml = {"plugins": "ml" if _ML else ""}
    for size in ("mlkem512", "mlkem768", "mlkem1024"):
        yield Row(f"{size} in addition", f"aes256-sha384-x25519-ke1_{size}", f"{ESP}-x25519-ke1_{size}", six=True,
                  charon=ml, before=_takes, used=_additional)


# -- authentication --

def _signed(*names):
    """Both sides have signed by these methods, as strongSwan's log names them: it verified ours, and made its own."""
    def used(cell):
        ours, its = names if len(names) == 2 else names * 2
        for who, method in ((f"'{LEFT}' with", ours), (f"'{RIGHT}' (myself) with", its)):
            expect(cell.charon.logged(f"authentication of {who} {method}"), f"not {method}: {cell.charon.tail()}")
    return used


def _certificates(kind, more="", **charon):
    def keys(bed):
        pki = made(bed, kind)
        us, peer = mendip(pki, more)
        theirs, ours, private, certs = charons(pki)
        return Keys(us, peer, {"local": theirs, "remote": ours, "send_cert": "always"},
                    {"plugins": PLUGINS, "keys": private, "certs": certs, **charon})
    return keys


def _raw(kind):
    def keys(bed):
        us, peer, theirs, ours, private = raw_keys(bed, kind)
        return Keys(us, peer, {"local": theirs, "remote": ours}, {"plugins": PLUGINS, "keys": private})
    return keys


def _mixed(ours_is_secret):
    def keys(bed):
        made_keys = _certificates("p256")(bed)
        if ours_is_secret:
            made_keys.us = f'id = "{LEFT}"; auth = "psk";'
            made_keys.gateway["remote"] = {"auth": "psk", "id": LEFT}
        else:
            made_keys.peer = f'id = "{RIGHT}"; auth = "psk";'
            made_keys.gateway["local"] = {"auth": "psk", "id": RIGHT}
        return made_keys
    return keys


def _eap(method, ours):
    """strongSwan asks for EAP, and authenticates by its certificate; ours: Mendip's options for the method."""
    def keys(bed):
        pki = made(bed)
        _, peer = mendip(pki)
        theirs, _, private, certs = charons(pki)
        us = f'id = "{LEFT}"; auth = "{method}"; {ours.format(folder=pki.folder)}'
        return Keys(us, peer, {"local": theirs, "remote": {"auth": method, "id": LEFT, "eap_id": "%any"}, "send_cert": "always"},
                    {"plugins": EAP_PLUGINS, "keys": private, "certs": certs,
                     "eaps": {"carol": EAP_PASSWORD}, "settings": "    tls {\n    version_max = 1.2\n    }"})
    return keys


def _by_eap(method):
    def used(cell):
        expect(cell.charon.logged(f"EAP method {method} succeeded, MSK established"), f"no {method}: {cell.charon.tail()}")
    return used


CLIENT_OF_EAP = "Mendip authenticates itself by EAP, and asks no peer for it"
PSK_METHOD, SIGNED_P256 = "pre-shared key", "ECDSA_WITH_SHA256_DER"


def authentication():
    old = {"settings": "    signature_authentication = no"}
    yield Row("secret", used=_signed(PSK_METHOD))
    yield Row("RSA, PKCS #1 before RFC 7427", keys=_certificates("rsa", **old), mendip='rsa_sha1 = "yes";',
              used=_signed("RSA signature"))
    yield Row("RSA, PKCS #1", keys=_certificates("rsa"), used=_signed("RSA_EMSA_PKCS1_SHA2_256"))
    yield Row("RSA, PSS", keys=_certificates("rsa3072", 'rsa_pss = "yes";', settings="    rsa_pss = yes"),
              used=_signed("RSA_EMSA_PSS"))
    for kind, bits, sha in (("p256", 256, 256), ("p384", 384, 384), ("p521", 521, 512)):
        yield Row(f"ECDSA {bits} before RFC 7427", keys=_certificates(kind, **old), used=_signed(f"ECDSA-{bits} signature"))
        yield Row(f"ECDSA {bits}", keys=_certificates(kind), used=_signed(f"ECDSA_WITH_SHA{sha}_DER"))
    yield Row("Ed25519", keys=_certificates("ed25519"), used=_signed("ED25519"))
    yield Row("ours by secret, its by certificate", keys=_mixed(True), used=_signed(PSK_METHOD, SIGNED_P256))
    yield Row("ours by certificate, its by secret", keys=_mixed(False), used=_signed(SIGNED_P256, PSK_METHOD))
    for kind, method in (("rsa", "RSA_EMSA_PKCS1_SHA2_256"), ("p256", SIGNED_P256), ("ed25519", "ED25519")):
        yield Row(f"raw key, {kind}", keys=_raw(kind), used=_signed(method))
    yield Row("EAP-MSCHAPv2", keys=_eap("eap-mschapv2", 'eap_id = "carol";'), used=_by_eap("EAP_MSCHAPV2"),
              secrets=f'eap_carol: {{ id = "carol"; secret = "{EAP_PASSWORD}"; }};', elsewhere={"strongSwan": CLIENT_OF_EAP})
    yield Row("EAP-TLS", keys=_eap("eap-tls", 'certs = [ "{folder}/branch.pem" ]; key = "{folder}/branch.key";'),
              used=_by_eap("EAP_TLS"), elsewhere={"strongSwan": CLIENT_OF_EAP})


# -- families --

def _family(cell):
    sa, row = cell.ike_sa(), cell.row
    for value, family in ((sa["local"], row.outer), (cell.branch.sa()["local_ts"][0], row.inner)):
        expect(("." in value) == (family == 4), f"{value} is not of IPv{family}")


def families():
    for outer in (4, 6):
        for inner in (4, 6):
            yield Row(f"IPv{inner} in IPv{outer}", outer=outer, inner=inner, used=_family)


# -- what else two sides may agree on --

def _in_fragments(cell):
    expect(cell.ike_sa()["fragments"] is True, "not agreed on")
    expect(cell.branch.ctl("status")["ike"]["reassembled"] > 0, "Mendip has seen no fragments")
    expect(cell.charon.logged("EF(2/"), "strongSwan has seen no fragments")


def _moved(cell):
    """The side that initiated gets another address, and the IKE SA stays."""
    ns, to = (cell.left, "192.0.2.77") if cell.role == "Mendip" else (cell.right, "192.0.2.78")
    cell.pings()
    before = cell.ike_sa()["spi_i"]
    ns.ip("addr", "del", f"{ns.outer}/24", "dev", "eth0")
    ns.ip("addr", "add", f"{to}/24", "dev", "eth0")
    wait_for(lambda: to in (cell.ike_sa()["local"] + cell.ike_sa()["remote"]), f"nobody follows to {to}", 20)
    wait_for(lambda: ping(cell.left, cell.right.inner, 1) == 1, "no ping after the move", 20)
    expect(cell.ike_sa()["spi_i"] == before or cell.ike_sa()["role"] == "initiator", "another IKE SA")


def _childless(cell):
    expect("x25519" in str(cell.branch.sa()), f"{cell.branch.sa()}: the first CHILD SA has no key exchange of its own")


def _ppk(cell):
    expect(cell.ike_sa().get("ppk_id") == "quantum", f"without the post-quantum key: {cell.ike_sa()}")


def _in_udp(cell):
    expect(cell.ike_sa()["esp_in_udp"] is True, f"{cell.ike_sa()}")
    return "in UDP, which strongSwan's user-space ESP asks for"


def _pool_of_strongswan(cell):
    cell.charon.request("load-pool", road={"addrs": "10.3.0.0/24"})


def _address_for_us(cell):
    wait_for(lambda: "10.3.0.1/" in cell.left.run("ip", "-o", "address").stdout, "no address on the device", 5)
    expect(cell.branch.sa()["local_ts"] == ["10.3.0.1/32"], f"{cell.branch.sa()}")
    cell.left.inner = "10.3.0.1"


def _address_for_strongswan(cell):
    """strongSwan's user-space ESP needs the address on a device; it does not put it there in these tests."""
    cell.right.address("inner0", "10.3.0.1/32")
    cell.right.inner = "10.3.0.1"


def _assigned_by_us(cell):
    expect(cell.branch.sa()["remote_ts"] == ["10.3.0.1/32"], f"{cell.branch.sa()}")


def features():
    yield Row("all in fragments", mendip="fragment_size = 256;", gateway={"fragmentation": "force"},
              charon={"settings": "    fragment_size = 200"}, used=_in_fragments)
    yield Row("MOBIKE", gateway={"mobike": "yes", "remote_addrs": ["192.0.2.1", "%any"]}, used=_moved)
    yield Row("childless", esp=f"{ESP}-x25519", mendip='childless = "force";', gateway={"childless": "force"},
              used=_childless)
    yield Row("post-quantum key", mendip='ppk_id = "quantum"; ppk_required = "yes";',
              secrets='ppk_one: { id = "quantum"; secret = "a post-quantum key for tests"; };',
              gateway={"ppk_id": "quantum", "ppk_required": "yes"},
              charon={"ppks": {"quantum": "a post-quantum key for tests"}}, used=_ppk)
    yield Row("ESP without UDP if it can be", mendip='encap = "auto";', used=_in_udp)
    only_udp = ("strongSwan's user-space ESP is always in UDP", 'encap = "no", but ')
    yield Row("ESP without UDP", mendip='encap = "no";', cannot={"Mendip": only_udp, "strongSwan": only_udp})
    yield Row("an address from strongSwan", nets=("dynamic", "10.2.0.0/16"), mendip='vips = [ "0.0.0.0" ];',
              gateway={"pools": ["road"]}, before=_pool_of_strongswan, used=_address_for_us,
              elsewhere={"strongSwan": ROLES_OF_CP})
    yield Row("an address for strongSwan", nets=("10.1.0.0/16", "dynamic"), mendip='pools = [ "road" ];',
              pools='pools: { road: { addrs = "10.3.0.0/24"; }; };\n', gateway={"vips": ["0.0.0.0"]},
              before=_address_for_strongswan, used=_assigned_by_us, elsewhere={"Mendip": ROLES_OF_CP})


SUBJECTS = (defaults, algorithms, additional, ml_kem, authentication, families, features)
