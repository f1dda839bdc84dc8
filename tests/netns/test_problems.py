#!/usr/bin/python3
# Why a tunnel is down: what status, diagnose and the log say of each failure. SPDX-License-Identifier: ISC
"""
doc/failures.md has the table of failures, with what status, diagnose and the log say of each. SETUPS makes each of them: how
the two sides are configured, and what happens. Several run at once, each with a testbed of its own.
"""
import contextlib
import os
import re
import sys
from dataclasses import dataclass, field

from daemons import Mendip, child, config, expect, main, more_traffic, side_by_side, testbed, wait_for
from pki import Pki

QUICK = 'retransmit_timeout = "200ms"; retransmit_tries = 2; '
KID = ("10.1.0.0/16", "10.2.0.0/16")
KID_GW = ("10.2.0.0/16", "10.1.0.0/16")
TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "doc", "failures.md")


@dataclass
class Setup:
    """How a failure is made; the side that is asked is the branch, or the gateway if the failure is "seen by the gateway"."""

    branch: dict = field(default_factory=dict)     # options of config() besides the usual ones
    gw: dict = field(default_factory=dict)         # None: no Mendip runs there
    kid: dict = field(default_factory=dict)        # options of the branch's child
    kid_gw: tuple = KID_GW
    gw_kid: dict = field(default_factory=dict)     # options of the gateway's child
    more_kids: dict = field(default_factory=dict)  # of the branch: {name: child(...)}
    before: object = None                          # called with (testbed, branch's namespace, gateway's) before the start
    after: object = None                           # called with (branch, gateway) when the tunnel is up


# -- what is done to hosts and peers --------------------------------------------------------------


def no_route(_bed, left, _right):
    left.ip("route", "add", "unreachable", "203.0.113.0/24")


def gateway_drops(match):
    return lambda _bed, _left, right: right.drop(match)


def branch_drops(_bed, left, _right):
    left.nft("table inet own { chain output { type filter hook output priority 0; udp dport { 500, 4500 } drop; }; }")


def gateway_of_ikev1(_bed, _left, right):
    """Answers each message on port 500 with INVALID_MAJOR_VERSION (RFC 7296 2.5)."""
    right.popen(sys.executable, "-c", """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 500))
while True:
    data, peer = s.recvfrom(65535)
    s.sendto(data[:16] + bytes((41, 0x10, 34, 0x20)) + bytes(4) + (36).to_bytes(4, "big") + bytes.fromhex("0000000800000005"),
             peer)
""")


def certificates(**options):
    """Returns a function that makes a PKI in the testbed: two CAs, and certificates of both sides by these options."""
    def prepare(bed, _left, _right):
        pki = Pki(bed.path("pki"))
        for ca in ("ca", "other"):
            pki.ca(ca)
        pki.cert("branch", "DNS:branch.example", issuer=options.get("branch_ca", "ca"))
        pki.cert("gw", f"DNS:{options.get('gw_name', 'gw.example.net')}", days=options.get("gw_days", 365))
        os.mkdir(bed.path("cas"), 0o755)
        pki.write("../cas/ca.pem", pki.read("ca.pem"))
        if "revoked" in options:
            pki.crl(options["revoked"])
            pki.write("../cas/ca.crl", pki.read("ca.crl"))
    return prepare


def by_certificate(who, name, peer):
    return {"us": f'id = "{name}"; auth = "pubkey"; certs = [ "pki/{who}.pem" ]; key = "pki/{who}.key";',
            "peer": f'id = "{peer}"; auth = "pubkey"; cacerts = "cas";'}


def by_certificates(**options):
    return {"before": certificates(**options), "branch": by_certificate("branch", "branch.example", "gw.example.net"),
            "gw": by_certificate("gw", "gw.example.net", "*.example")}


def gateway_dies(_branch, gw):
    gw.kill()


def gateway_takes_the_secret_back(_branch, gw):
    with open(gw.conf, encoding="ascii") as f:
        text = f.read()
    gw.write(text.replace("a secret for tests", "another secret for tests"))
    gw.ctl("reload")


ELSE = {"psk": "a secret of nobody else"}
NOT_FOR_THIS_PEER = 'a secret for tests"; id = "somebody.example'
AES = {"esp_proposals": '[ "aes256-sha512-noesn" ]'}
GCM = {"esp_proposals": '[ "aes128gcm16-noesn" ]'}
PPK = {"more": QUICK + 'ppk_id = "quantum"; ppk_required = "yes";',
       "psk": 'a secret for tests"; }; ppk_one: { id = "quantum"; secret = "entangled'}

SETUPS = {
    "another secret": Setup(branch=ELSE),
    "another secret, seen by the gateway": Setup(branch=ELSE),
    "no secret for the branch, seen by the gateway": Setup(gw={"psk": NOT_FOR_THIS_PEER}),
    "an identity that the gateway does not know": Setup(branch={"local_id": "branch.elsewhere"}),
    "an unknown identity, seen by the gateway": Setup(branch={"local_id": "branch.elsewhere"}),
    "another identity of the gateway": Setup(branch={"remote_id": "gw9.example.net"}),
    "a gateway that takes the secret back": Setup(after=gateway_takes_the_secret_back),
    "a post-quantum key that the gateway has not": Setup(branch=PPK),
    "a certificate of another CA": Setup(**by_certificates(branch_ca="other")),
    "a certificate of another CA, seen by the gateway": Setup(**by_certificates(branch_ca="other")),
    "a certificate of the gateway that has ended": Setup(**by_certificates(gw_days=0)),
    "a certificate of the gateway for another name": Setup(**{
        **by_certificates(gw_name="gw9.example.net"), "gw": by_certificate("gw", "gw9.example.net", "*.example")}),
    "a certificate of the gateway that is revoked": Setup(**by_certificates(revoked="gw")),
    "a certificate of the branch that is revoked, seen by the gateway": Setup(**by_certificates(revoked="branch")),
    "no IKE proposal in common": Setup(branch={"proposals": "aes256gcm16-prfsha384-ecp384"}),
    "no IKE proposal, seen by the gateway": Setup(branch={"proposals": "aes256gcm16-prfsha384-ecp384"}),
    "no ESP proposal in common": Setup(kid=AES, gw_kid=GCM),
    "no ESP proposal, seen by the gateway": Setup(kid=AES, gw_kid=GCM),
    "other selectors": Setup(kid_gw=("10.7.0.0/16", "10.1.0.0/16")),
    "other selectors, seen by the gateway": Setup(kid_gw=("10.7.0.0/16", "10.1.0.0/16")),
    "more children than the gateway permits": Setup(
        gw={"daemon": "peer_children = 1;"}, more_kids={"net2": child("10.1.0.0/16", "10.2.3.0/24", start_action="start")}),
    "a gateway that is away": Setup(branch={"remote": "192.0.2.77"}),
    "a gateway whose program does not run": Setup(gw=None),
    "a gateway of IKEv1": Setup(gw=None, before=gateway_of_ikev1),
    "another port": Setup(branch={"more": QUICK + "remote_port = 4501;"}),
    "an address that the gateway does not expect": Setup(gw={"remote": "192.0.2.99"}),
    "two addresses, of which none answers": Setup(branch={"remote": '192.0.2.77", "192.0.2.78'}),
    "a firewall of the gateway that drops IKE": Setup(before=gateway_drops("udp dport { 500, 4500 }")),
    "a firewall of the gateway that drops port 4500": Setup(before=gateway_drops("udp dport 4500")),
    "a firewall of this host": Setup(before=branch_drops),
    "local_addrs that this host has not": Setup(branch={"more": QUICK + 'local_addrs = [ "192.0.2.55" ];'}),
    "a gateway that dies": Setup(after=gateway_dies),
    "no route to the gateway": Setup(branch={"remote": "203.0.113.9"}),
    "an unreachable route to the gateway": Setup(branch={"remote": "203.0.113.9"}, before=no_route),
    "no IPv6, and a gateway that has nothing else": Setup(branch={"remote": "2001:db8:9::1"}),
    "a name that leads nowhere": Setup(branch={"remote": "gw.nowhere.invalid"}),
}


# -- the table ------------------------------------------------------------------------------------


@dataclass
class Row:
    """A line of the table; words: with * for what differs from one run to the other."""

    name: str
    kind: str
    stage: str
    words: str

    @property
    def side(self):
        return "gw" if self.name.endswith("seen by the gateway") else "branch"


def cells(title):
    """Returns the lines of the table whose first column has this title, as lists."""
    with open(TABLE, encoding="utf-8") as f:
        lines = f.read().splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith(f"| {title} |")) + 2
    end = next((i for i, line in enumerate(lines[begin:], begin) if not line.startswith("|")), len(lines))
    return [[c.strip().strip("`") for c in line.strip("|").split(" | ")] for line in lines[begin:end]]


def rows():
    return [Row(*c) for c in cells("What is wrong")]


def advice():
    """Returns {kind: what to do}."""
    return dict(cells("Kind"))


def walk_text(walks):
    return "\n".join(f"{s['stage']}: {s['result']} {s.get('text', '')}" for w in walks for s in w["steps"])


def last_error(daemon):
    """Returns the problem of the only connection, or of a child; None: there is none."""
    for conn in daemon.ctl("status")["connections"]:
        for place in [conn, *conn["children"]]:
            if place["last_error"] and not place["last_error"]["over"]:
                return {**place["last_error"], "name": place["name"]}
    return None


def fits(words, text):
    """Whether the text is this, with * for anything."""
    return re.fullmatch(".*".join(map(re.escape, words.split("*"))), text) is not None


def check_row(row, daemon):
    def fitting():
        error = last_error(daemon)
        return error if error and error["kind"] == row.kind else None

    error = wait_for(fitting, lambda: f"{last_error(daemon)}\n{daemon.tail(60)}", 60)
    expect(error["stage"] == row.stage and fits(row.words, error["text"]), f"{error}")
    expect(error["advice"] == advice()[row.kind], f"{row.kind}: what to do is: {error['advice']}")
    check_status(row, daemon, error)
    name = "gw" if row.side == "branch" else "branch"
    check_walk(row, daemon.ctl_failing("diagnose", name)["walks"])
    said = daemon.run("diagnose", name, as_json=False).stdout
    expect(f"  {row.stage:<14}  failed " in said, said)
    expect(max(map(len, said.splitlines())) <= 100, f"wider than 100 columns:\n{said}")
    if row.side == "branch":
        expect(daemon.logged(f": {row.kind}: {error['text']}: {error['advice']}"), f"not in the log: {daemon.tail(40)}")
    else:
        said = error["text"].split(" called us: ")[-1].split("192.0.2.1:4500: ")[-1]
        expect(daemon.logged(said), f"not in the log: {said}\n{daemon.tail(40)}")


def check_status(row, daemon, error):
    text, table = (daemon.run("status", *args, as_json=False).stdout for args in (["--all"], []))
    # Whoever is not to keep it up only tells what was wrong last: anyone can call.
    title = rf"NOT UP for \S+: {row.kind}, " if row.side == "branch" else rf"last problem \S+ ago: {row.kind}"
    expect(error["current"] == (row.side == "branch"), f"{error}")
    flat = " ".join(text.split())
    expect(re.search(title, text) and error["advice"] in flat and error["text"] in flat, text)
    if row.side == "branch":
        expect(re.search(rf"^gw/net2?  DOWN +for \S+: {row.kind}: .*\n", table, re.M) and "What to do" in table, table)
    expect(max(map(len, (text + table).splitlines())) <= 100, f"wider than 100 columns:\n{text}{table}")


def check_walk(row, walks):
    """Each step before the one that failed is done, and none behind it is reached."""
    walk = next(w for w in walks if w["result"] == "failed")
    steps = walk["steps"]
    failed = [s for s in steps if s["result"] == "failed"]
    expect([s["stage"] for s in failed] == [row.stage], walk_text(walks))
    at = steps.index(failed[0])
    expect(all(s["result"] == "ok" for s in steps[:at]), walk_text(walks))
    expect(all(s["result"] == "not-reached" for s in steps[at + 1:]), walk_text(walks))
    expect(failed[0]["advice"] and fits(row.words, failed[0]["text"]), f"{failed}")


def start(bed, setup):
    """Returns the branch and the gateway, which is None if there is no Mendip."""
    left, right = bed.pair("branch", "gw")
    if setup.before:
        setup.before(bed, left, right)
    gw = None
    if setup.gw is not None:
        options = {"local_id": "gw.example.net", "remote_id": "*.example", "remote": "%any", **setup.gw}
        gw = Mendip(bed, right, lambda s: config(s, {"net": child(*setup.kid_gw, **setup.gw_kid)}, name="branch", **options))
    kids = {"net": child(*KID, start_action="start", **setup.kid), **setup.more_kids}
    options = {"remote": right.outer, "more": QUICK, **setup.branch}
    branch = Mendip(bed, left, lambda s: config(s, kids, **options))
    if setup.after:
        branch.wait_up()
        setup.after(branch, gw)
    return branch, gw


def run_row(row):
    """Runs one row in this process; returns what was wrong, or None."""
    try:
        with testbed.Testbed("problems") as bed:
            branch, gw = start(bed, SETUPS[row.name])
            check_row(row, branch if row.side == "branch" else gw)
        return None
    except Exception as e:  # pylint: disable=broad-except
        return f"{row.name}: {type(e).__name__}: {e}"


def each_failure_says_why():
    table = rows()
    expect([r.name for r in table] == list(SETUPS), f"doc/failures.md has other rows: {[r.name for r in table]}")
    with side_by_side(4) as pool:
        errors = [e for e in pool.map(run_row, table) if e]
    expect(not errors, "\n".join(errors))
    print(f"# {len(table)} failures, each with its kind, step, words and advice")


@contextlib.contextmanager
def tunnel():
    with testbed.Testbed("problems") as bed:
        left, right = bed.pair("branch", "gw")
        gw = Mendip(bed, right, lambda s: config(s, {"net": child(*KID_GW)}, "%any", "gw.example.net", "*.example",
                                                 "branch"))
        branch = Mendip(bed, left, lambda s: config(s, {"net": child(*KID, start_action="start")}, right.outer,
                                                    more=QUICK))
        yield bed, branch, gw


def what_works_is_said_too():
    """Of a tunnel that is up, each step is done; of one that waits for its peers, that is said."""
    with tunnel() as (bed, branch, gw):
        branch.wait_up()
        flow = bed.flow(branch.ns, branch.ns.inner, gw.ns, gw.ns.inner, rate=100)
        more_traffic(flow, 20)
        for daemon, names in ((branch, ("gw", "net", "gw/net")), (gw, ("branch", "branch/net"))):
            for name in names:
                walk = daemon.ctl("diagnose", name)["walks"][0]
                expect(walk["result"] == "ok" and all(s["result"] == "ok" for s in walk["steps"]), walk_text([walk]))
        flow.stop()
        branch.process.stop()
        wait_for(lambda: not gw.up(), "the gateway still has it")
        conn = gw.ctl("status")["connections"][0]
        expect(conn["name"] == "branch" and conn["answers"] and conn["children"] == [], f"{conn}")
        expect("branch: waits for its peers to call" in gw.run("status", "--all", as_json=False).stdout, "not said")
        walk = gw.ctl("diagnose", "branch")["walks"][0]
        expect(walk["result"] == "waiting", walk_text([walk]))
        done = gw.run("diagnose", "nothing", as_json=False)
        expect(done.returncode == 1 and "no such child or connection" in done.stderr, f"{done}")


def what_is_mended_is_over():
    """The gateway dies, which is said, and comes back: the error is told with its age, and is not current."""
    with tunnel() as (_bed, branch, gw):
        branch.wait_up()
        gw.kill()
        wait_for(lambda: last_error(branch), "no error", 30)
        gw.start()
        branch.wait_up(timeout=60)
        error = branch.ctl("status")["connections"][0]["last_error"]
        expect(error["kind"] in ("peer-silent", "no-answer") and not error["current"] and error["age"] > 0, f"{error}")
        expect("NOT UP" not in branch.run("status", "--all", as_json=False).stdout, "it is up")


if __name__ == "__main__":
    main([each_failure_says_why, what_works_is_said_too, what_is_mended_is_over])
