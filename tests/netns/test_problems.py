#!/usr/bin/python3
# Why a tunnel is down: what status, diagnose and the log say of each failure. SPDX-License-Identifier: ISC
"""
FAILURES is the table. Each row is a tunnel that does not come up, or does not carry traffic: how the two sides are
configured, and what the side that is asked has to say. Several rows run at once, each with a testbed of its own.
"""
import contextlib
import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from daemons import Mendip, child, config, expect, main, more_traffic, testbed, wait_for

QUICK = 'retransmit_timeout = "200ms"; retransmit_tries = 2;'
KID = ("10.1.0.0/16", "10.2.0.0/16")
KID_GW = ("10.2.0.0/16", "10.1.0.0/16")


@dataclass
class Failure:
    """What `side` says of it: kind and stage of the problem, a part of its text, and whether it is the child's."""

    name: str
    kind: str
    stage: str
    text: str
    branch: dict = field(default_factory=dict)     # options of config() besides the usual ones
    gw: dict = field(default_factory=dict)
    kid: dict = field(default_factory=dict)        # options of the branch's child
    kid_gw: tuple = KID_GW
    esp_gw: str = ""                               # the ESP proposal of the gateway's child
    side: str = "branch"
    of_child: bool = False
    before: object = None                          # called with (branch's namespace, gateway's) before the start


def no_route(left, _right):
    left.ip("route", "flush", "root", "192.0.2.0/24")
    left.ip("addr", "flush", "dev", "eth0")


def blackhole(match):
    return lambda _left, right: right.drop(match)


FAILURES = [
    Failure("another secret", "authentication-refused", "authentication", "AUTHENTICATION_FAILED",
            branch={"psk": "a secret of nobody else"}),
    Failure("another secret, seen by the gateway", "authentication-failed", "authentication", "called us",
            branch={"psk": "a secret of nobody else"}, side="gw"),
    Failure("an identity that the gateway does not know", "authentication-refused", "authentication",
            "AUTHENTICATION_FAILED", branch={"local_id": "branch.elsewhere"}),
    Failure("an unknown identity, seen by the gateway", "authentication-failed", "authentication", "called us",
            branch={"local_id": "branch.elsewhere"}, side="gw"),
    Failure("another identity of the gateway", "authentication-failed", "authentication", "the peer's authentication",
            branch={"remote_id": "gw9.example.net"}),
    Failure("no IKE proposal in common", "no-proposal", "proposals", "we offered aes256gcm16",
            branch={"proposals": "aes256gcm16-prfsha384-ecp384"}),
    Failure("no IKE proposal, seen by the gateway", "no-proposal", "proposals", "the peer offers aes256gcm16",
            branch={"proposals": "aes256gcm16-prfsha384-ecp384"}, side="gw"),
    Failure("no ESP proposal in common", "no-proposal", "selectors", "we offered aes256",
            kid={"esp_proposals": '[ "aes256-sha512-noesn" ]'}, esp_gw="aes128gcm16-noesn", of_child=True),
    Failure("no ESP proposal, seen by the gateway", "no-proposal", "selectors", "the peer offers aes256",
            kid={"esp_proposals": '[ "aes256-sha512-noesn" ]'}, esp_gw="aes128gcm16-noesn", of_child=True, side="gw"),
    Failure("other selectors", "selectors-refused", "selectors", "we asked for 10.1.0.0/16 === 10.2.0.0/16",
            kid_gw=("10.7.0.0/16", "10.1.0.0/16"), of_child=True),
    Failure("other selectors, seen by the gateway", "selectors-refused", "selectors",
            "the peer asks for 10.2.0.0/16 === 10.1.0.0/16", kid_gw=("10.7.0.0/16", "10.1.0.0/16"), side="gw"),
    Failure("a gateway that is away", "no-answer", "answer", "no response to IKE_SA_INIT",
            branch={"remote": "192.0.2.77"}),
    Failure("two addresses, of which none answers", "no-answer", "answer", "from any of 2 addresses",
            branch={"remote": '192.0.2.77", "192.0.2.78'}),
    Failure("a firewall that drops IKE", "no-answer", "answer", "no response to IKE_SA_INIT",
            before=blackhole("udp dport { 500, 4500 }")),
    Failure("a firewall that drops port 4500", "no-answer-to-auth", "authentication", "no response to IKE_AUTH",
            before=blackhole("udp dport 4500")),
    Failure("no route to the gateway", "no-route", "route", "no route to 203.0.113.9",
            branch={"remote": "203.0.113.9"}),
    Failure("a name that leads nowhere", "name-not-found", "name", "gw.nowhere.invalid",
            branch={"remote": "gw.nowhere.invalid"}),
]


def walk_text(walks):
    return "\n".join(f"{s['stage']}: {s['result']} {s.get('text', '')}" for w in walks for s in w["steps"])


def last_error(daemon, of_child):
    """Returns the problem of the only connection, or of its child; None: there is none."""
    for conn in daemon.ctl("status")["connections"]:
        for place in conn["children"] if of_child else [conn]:
            if place["last_error"] and not place["last_error"]["over"]:
                return place["last_error"]
    return None


def check_row(row, daemon):
    wait_for(lambda: (last_error(daemon, row.of_child) or {}).get("kind") == row.kind,
             lambda: f"{row.name}: {last_error(daemon, row.of_child)}\n{daemon.tail(60)}", 60)
    error = last_error(daemon, row.of_child)
    expect(error["stage"] == row.stage and row.text in error["text"], f"{row.name}: {error}")
    text = daemon.run("status", "--all", as_json=False).stdout
    # Whoever is not to keep it up only tells what was wrong last: anyone can call.
    title = rf"NOT UP for \S+: {row.kind}, " if row.side == "branch" else rf"last problem \S+ ago: {row.kind}"
    expect(error["current"] == (row.side == "branch"), f"{row.name}: {error}")
    expect(re.search(title, text) and error["advice"] in " ".join(text.split()), f"{row.name}: {text}")
    table = daemon.run("status", as_json=False).stdout
    if row.side == "branch":
        expect(re.search(rf"^gw/net  DOWN +for \S+: {row.kind}: .*\nWhat to do", table, re.M), f"{row.name}: {table}")
    expect(max(map(len, (text + table).splitlines())) <= 100, f"{row.name}: wider than 100 columns:\n{text}{table}")
    name = "gw" if row.side == "branch" else "branch"
    done = daemon.run("diagnose", name)
    expect(done.returncode == 1, f"{row.name}: diagnose: status {done.returncode}: {done.stderr}")
    check_walk(row, daemon.ctl_failing("diagnose", name)["walks"])
    said = daemon.run("diagnose", name, as_json=False).stdout
    expect(f"  {row.stage:<14}  failed " in said, f"{row.name}: {said}")
    expect(max(map(len, said.splitlines())) <= 100, f"{row.name}: wider than 100 columns:\n{said}")
    if row.side == "branch":
        expect(daemon.logged(f": {row.kind}: "), f"{row.name}: not in the log: {daemon.tail(40)}")


def check_walk(row, walks):
    """Each step before the one that failed is done, and none behind it is reached."""
    steps = walks[0]["steps"]
    failed = [s for s in steps if s["result"] == "failed"]
    expect([s["stage"] for s in failed] == [row.stage], f"{row.name}:\n{walk_text(walks)}")
    at = steps.index(failed[0])
    expect(all(s["result"] == "ok" for s in steps[:at]), f"{row.name}:\n{walk_text(walks)}")
    expect(all(s["result"] == "not-reached" for s in steps[at + 1:]), f"{row.name}:\n{walk_text(walks)}")
    expect(failed[0]["advice"] and row.text in failed[0]["text"], f"{row.name}: {failed}")


def run_row(number):
    """Runs one row in this process; returns what was wrong, or None."""
    row = FAILURES[number]
    try:
        with testbed.Testbed("problems") as bed:
            left, right = bed.pair("branch", "gw")
            if row.before:
                row.before(left, right)
            esp = {"esp_proposals": f'[ "{row.esp_gw}" ]'} if row.esp_gw else {}
            gw = Mendip(bed, right, lambda s: config(s, {"net": child(*row.kid_gw, **esp)}, "%any", "gw.example.net",
                                                     "*.example", "branch", **row.gw))
            kids = {"net": child(*KID, start_action="start", **row.kid)}
            options = dict({"remote": right.outer, "more": QUICK}, **row.branch)
            branch = Mendip(bed, left, lambda s: config(s, kids, **options))
            check_row(row, branch if row.side == "branch" else gw)
        return None
    except Exception as e:  # pylint: disable=broad-except
        return f"{row.name}: {type(e).__name__}: {e}"


def each_failure_says_why():
    with ProcessPoolExecutor(4) as pool:
        errors = [e for e in pool.map(run_row, range(len(FAILURES))) if e]
    expect(not errors, "\n".join(errors))
    for row in FAILURES:
        print(f"# {row.name:<44} {row.stage:<15} {row.kind}")


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
        wait_for(lambda: last_error(branch, False), "no error", 30)
        gw.start()
        branch.wait_up(timeout=60)
        error = branch.ctl("status")["connections"][0]["last_error"]
        expect(error["kind"] in ("peer-silent", "no-answer") and not error["current"] and error["age"] > 0, f"{error}")
        expect("NOT UP" not in branch.run("status", "--all", as_json=False).stdout, "it is up")


if __name__ == "__main__":
    main([each_failure_says_why, what_works_is_said_too, what_is_mended_is_over])
