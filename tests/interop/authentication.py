"""Certificates and keys of a branch (Mendip) and a gateway (strongSwan), in the words of both. SPDX-License-Identifier: ISC

Texts for mendip.conf are those of the groups local and remote; sections of swanctl.conf are dicts for vici, in which files
of certificates and keys are given as their content.
"""
from pki import Pki

PLUGINS = "pkcs8 constraints revocation"
LEFT, RIGHT = "branch.example", "gw.example.net"
EAP_PLUGINS, EAP_PASSWORD = f"{PLUGINS} eap-identity eap-mschapv2 eap-tls", "Ar3etTnp"


def made(bed, kind="p256", gw_kind=None):
    """Makes a CA and a certificate for each side."""
    pki = Pki(bed.path("pki"))
    pki.ca()
    pki.cert("branch", f"DNS:{LEFT}", kind)
    pki.cert("gw", f"DNS:{RIGHT}", gw_kind or kind)
    return pki


def mendip(pki, more="", **files):
    """Returns the groups local and remote for certificates."""
    local = f'id = "{LEFT}"; auth = "pubkey"; certs = [ "{pki.path("branch.pem")}" ]; key = "{pki.path("branch.key")}"; '
    return local + more, f'id = "{RIGHT}"; auth = "pubkey"; cacerts = [ "{files.get("ca", pki.path("ca.pem"))}" ];'


def charons(pki, auth="pubkey", **more):
    """Returns strongSwan's local and remote sections for certificates, and what else it has to load."""
    return ({"auth": "pubkey", "id": RIGHT, "certs": [pki.read("gw.pem")]},
            {"auth": auth, "id": LEFT, "cacerts": [pki.read("ca.pem")], **more}, [pki.read("gw.key")],
            [("CA", pki.read("ca.pem"))])


def raw_keys(bed, kind):
    """
    Makes a key pair for each side, without certificates. Returns Mendip's groups local and remote, strongSwan's sections
    local and remote, and the private keys that strongSwan loads.
    """
    pki = Pki(bed.path("pki"))
    for name in ("branch", "gw"):
        pki.key(name, kind)
        pki.public(name)
    return (f'id = "{LEFT}"; auth = "pubkey"; key = "{pki.path("branch.key")}";',
            f'id = "{RIGHT}"; auth = "pubkey"; pubkeys = [ "{pki.path("gw.pub")}" ];',
            {"auth": "pubkey", "id": RIGHT, "pubkeys": [pki.read("gw.pub")]},
            {"auth": "pubkey", "id": LEFT, "pubkeys": [pki.read("branch.pub")]}, [pki.read("gw.key")])
