#!/usr/bin/python3
# Mendip with gateways that use the Linux kernel's ESP: strongSwan, libreswan, OpenIKED. SPDX-License-Identifier: ISC
import os
import subprocess
import sys
import time
from contextlib import contextmanager

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../netns"))
from daemons import PSK, Mendip, child, config, expect, main, more_traffic, testbed, ping, wait_for  # noqa: E402
import strongswan  # noqa: E402
import uml  # noqa: E402
import uml_peers  # noqa: E402

RATE = 1000     # packets/s of a flow
BACK = 1500     # by how much a number is set back
IKE = "aes128-sha256-x25519"
SLOW = 60       # seconds for an exchange: the machine may share its processor with other tests

# ESP suite, replay window of both sides. The kernel's number of an SA with a window up to 32 and without ESN is in another
# structure than that of any other.
SUITES = (("aes128gcm16-noesn", 32), ("aes256gcm16-esn", 1024), ("chacha20poly1305-noesn", 1024),
          ("chacha20poly1305-esn", 32), ("aes128-sha256-noesn", 32), ("aes256-sha384-esn", 1024),
          ("aes256-sha512-noesn", 2048))

# How a kernel's numbers are set back, the suite, and what Mendip sees. The kernel makes its IVs of the number and a secret
# of the SA: they repeat with the number, unless the SA is installed anew.
REWINDS = (("rewind", "aes128gcm16-noesn", "nonce-reuse"), ("rewind", "aes256gcm16-esn", "nonce-reuse"),
           ("rewind", "chacha20poly1305-esn", "nonce-reuse"), ("rewind", "aes256-sha256-noesn", "proof"),
           ("install", "aes128gcm16-noesn", "proof"), ("install", "aes256gcm16-esn", "proof"),
           ("install", "aes256-sha256-esn", "proof"))

bed = left = machine = lan = None       # of all cases; set at the end of this file
names = (f"branch{n}" for n in range(1000))


class Branch(Mendip):
    """Mendip, with one child to the gateway in the machine; remote: another address of the machine."""

    def __init__(self, esp, ike=IKE, start="start", window=32, more="", remote=None):
        kid = child("10.1.0.0/16", "10.2.0.0/16", start_action=start, esp_proposals=esp, replay_window=window,
                    switchover='{ jitter = "0"; }')
        super().__init__(bed, left, lambda s: config(s, {"net": kid}, remote or machine.outer, proposals=ike, dpd="10s",
                                                     more=more), name=next(names))

    def check(self, what=""):
        """Waits until the child is up and the gateway, too, has its SAs; expects packets to pass both ways."""
        self.wait_up(timeout=SLOW)
        wait_for(lambda: ping(left, lan.inner, 1), lambda: f"{what}: no traffic: {self.tail()}", SLOW)
        expect(ping(left, lan.inner, 3) == 3, f"{what}: no ping from the branch")
        expect(ping(lan, left.inner, 3) == 3, f"{what}: no ping through the gateway")

    def rekeys_child(self, who, do):
        """Runs do(), by which `who` rekeys the CHILD SA, and waits until it is rekeyed."""
        old = self.spi()
        do()
        wait_for(lambda: self.up() and self.spi() not in (None, old), lambda: f"no rekey by {who}: {self.tail()}", SLOW)

    def rekeys_ike(self, who, do=lambda: None):
        """Runs do(), by which `who` rekeys the IKE SA, and waits until it is rekeyed; without do(), at the set time."""
        logged = ", rekeyed\n" if who == "Mendip" else ", rekeyed by the peer\n"

        def count():
            with open(self.log, encoding="utf-8", errors="replace") as file:
                return sum(line.endswith(logged) for line in file)
        old = count()
        do()
        wait_for(lambda: self.up() and count() > old, lambda: f"no rekey of the IKE SA by {who}: {self.tail()}", SLOW)


@contextmanager
def tunnel(gateway, *args, **more):
    """Runs a Branch beside a gateway; ends both."""
    branch = None
    try:
        branch = Branch(*args, **more)
        yield branch
    finally:
        if branch:
            branch.process.stop()
        gateway.stop()
        uml_peers.xfrm(machine, "flush")


@contextmanager
def traffic(source, target, rate=RATE):
    flow = bed.flow(source, source.inner, target, target.inner, rate=rate)
    try:
        yield flow
    finally:
        flow.abort()


def nothing_lost(flow, what):
    result = flow.stop()
    expect(result.lost == 0 and result.duplicates == 0,
           f"{what}: {result.lost} of {result.sent} lost: {result.lost_ranges}, {result.duplicates} twice")
    return result


def charon(esp, window=32, ours=None, theirs=None, **more):
    """Starts strongSwan in the machine, with other addresses on request."""
    kids = {"net": strongswan.child("10.2.0.0/16", "10.1.0.0/16", esp, replay_window=str(window))}
    return uml_peers.KernelCharon(bed, machine, strongswan.connection(
        ours or machine.outer, theirs or left.outer, "gw.example.net", "branch.example", children=kids, proposals=IKE,
        **more), PSK).start()


def row(*columns):
    """Prints a row of the matrix of results."""
    print("# " + "  ".join(f"{column:<{width}}" for column, width in zip(columns, (12, 24, 8, 60))).rstrip(), flush=True)


# -- strongSwan ---------------------------------------------------------------


def strongswan_suites():
    """Each suite with small and large windows, with ESN and without, each side as initiator."""
    for number, (esp, window) in enumerate(SUITES):
        gateway, ours = charon(esp, window), number % 2 == 0
        with tunnel(gateway, esp, start="start" if ours else "none", window=window) as branch:
            if not ours:
                gateway.initiate("net", timeout=SLOW)
            branch.check(esp)
            inbound = [s for s in uml_peers.states(machine) if s["destination"] == machine.outer]
            expect([s["window"] for s in inbound] == [window], f"{esp}: windows {inbound}")
            expect(branch.sa()["proposal"] == esp, f"{esp}: {branch.sa()['proposal']}")
            expect(inbound[0]["esn"] == esp.endswith("-esn"), f"{esp}: {inbound}")
            row("strongSwan", esp, str(window), f"up, initiated by {'Mendip' if ours else 'strongSwan'}; traffic both ways")


def strongswan_rekeys():
    gateway = charon("aes128gcm16-x25519-noesn")
    with tunnel(gateway, "aes128gcm16-x25519-noesn", more='rekey_time = "6s"; over_time = "60s";') as branch:
        branch.check()
        with traffic(lan, left) as to_us, traffic(left, lan) as to_them:
            branch.rekeys_child("Mendip", lambda: branch.ctl("rekey", "net"))
            branch.rekeys_child("strongSwan", lambda: gateway.rekey(child_id=gateway.children("net")[-1].id))
            branch.rekeys_ike("strongSwan", lambda: gateway.rekey(ike="gw"))
            branch.rekeys_ike("Mendip")
            more_traffic(to_us, RATE)
            results = nothing_lost(to_us, "to us"), nothing_lost(to_them, "to them")
        branch.check("after rekeys")
        expect(not branch.switchover()["records"], "a rekey is taken for a rewind")
        row("strongSwan", "aes128gcm16-x25519", "", "both SAs rekeyed from both sides: 0 of "
            f"{results[0].sent + results[1].sent} packets lost")


def rewound(branch, how, criterion, what):
    """
    Sets the kernel's number back by BACK under traffic, as REWINDS says. After nonce-reuse packets are lost until the
    rekey; after a proof they are bridged, and none is.
    """
    with traffic(lan, left) as flow:
        more_traffic(flow, BACK + RATE)
        spi = uml_peers.outbound(machine)["spi"]
        if how == "install":            # the kernel drops packets while it has no SA
            nothing_lost(flow, f"{what}: before")
        begun = time.time()
        uml_peers.xfrm(machine, how, spi, str(BACK))
        if how != "install":
            result, recovered = goes_on(branch, flow)
    if how == "install":
        with traffic(lan, left) as flow:
            result, recovered = goes_on(branch, flow)
    record = branch.switchover()["records"][0]
    row(what[0], what[1], how, f"{record['criterion']}, rung {record['rung']}, {record['bridged']} bridged, "
        f"{result.lost} lost, first packet on the new SA after {record['first_fresh_ms']:.0f} ms")
    expect(record["criterion"] == criterion and record["rung"] == 1, f"{what}: {record}")
    expect(result.duplicates == 0 and record["lost"] <= result.lost, f"{what}: {result}, {record}")
    if criterion == "proof":
        expect(result.lost == 0 and record["bridged"] > 0, f"{what}: {result}, {record}")
    else:
        # a gateway that is slow to use the new SA loses all that repeats, and what it then sends on the old SA
        during = result.lost_between(begun, recovered + 1)
        expect(0 < result.lost == during and result.lost <= BACK + RATE, f"{what}: {during}: {result}, {record}")
    expect(branch.logged("SECURITY") == (criterion == "nonce-reuse"), f"{what}: the security event")
    branch.check(f"{what}, {how}")


def goes_on(branch, flow):
    """Waits until the branch has recovered and 2 s more; returns (FlowResult, when it had)."""
    branch.wait_recovered(SLOW)
    recovered = time.time()
    more_traffic(flow, 2 * RATE)
    return flow.stop(), recovered


def strongswan_rewinds():
    for how, esp, criterion in REWINDS:
        with tunnel(charon(esp), esp) as branch:
            branch.check(esp)
            rewound(branch, how, criterion, ("strongSwan", esp))


def esn_numbers_pass_2_32():
    """A kernel's number passes 2^32; then it is set back to before that."""
    esp = "aes128gcm16-esn"
    with tunnel(charon(esp), esp) as branch:
        branch.check(esp)
        with traffic(lan, left) as flow:
            more_traffic(flow, 100)
            spi = uml_peers.outbound(machine)["spi"]
            uml_peers.xfrm(machine, "set", spi, str(2**32 - BACK // 2))
            more_traffic(flow, BACK + RATE)
            result = nothing_lost(flow, "past 2^32")
        expect(branch.sa()["number_in"] > 2**32, f"{branch.sa()['number_in']}")
        before = uml_peers.outbound(machine)["number"]
        uml_peers.xfrm(machine, "install", spi, str(before - 2**32 + 100))
        after = uml_peers.outbound(machine)["number"]
        expect(after < 2**32 < before, f"{before} {after}")
        with traffic(lan, left) as flow:
            branch.wait_recovered(SLOW)
            more_traffic(flow, RATE)
            result = nothing_lost(flow, "set back to before 2^32")
        record = branch.switchover()["records"][0]
        row("strongSwan", esp, "install", f"from 2^32 + {before - 2**32} to 2^32 - {2**32 - after}: {record['criterion']}, "
            f"{record['bridged']} bridged, {result.lost} lost")
        expect(record["criterion"] == "proof", f"{record}")


def carried(family, encap, initiator):
    """Between other outer addresses, or without UDP: traffic, rekeys, and a standby's SA."""
    esp, more = "aes128gcm16-x25519-esn", 'rekey_time = "4s"; over_time = "60s";'
    ours, theirs = (machine.outer6, left.outer6) if family == "IPv6" else (machine.outer, left.outer)
    what = f"{family}, {'ESP in UDP' if encap == 'yes' else 'ESP alone'}"
    gateway = charon(esp, 128, ours, theirs)
    with tunnel(gateway, esp, start="start" if initiator == "Mendip" else "none", window=128, remote=ours,
                more=more + ("" if encap == "yes" else f' encap = "{encap}";')) as branch:
        if initiator != "Mendip":
            gateway.initiate("net", timeout=SLOW)
        branch.check(what)
        with traffic(lan, left) as flow:
            branch.rekeys_child("strongSwan", lambda: gateway.rekey(child_id=gateway.children("net")[-1].id))
            branch.rekeys_ike("Mendip")
            nothing_lost(flow, f"{what}: rekeys")
        states = uml_peers.states(machine)
        expect({s["source"] for s in states} == {ours, theirs}, f"{states}")
        expect({s["udp"] for s in states} == {encap == "yes"}, f"{states}")
        row("strongSwan", what, "", f"up, initiated by {initiator}; both SAs rekeyed: 0 packets lost")
        rewound(branch, "install", "proof", ("strongSwan", what))


def ipv6_outside():
    for initiator in ("Mendip", "strongSwan"):
        carried("IPv6", "yes", initiator)


def esp_without_udp():
    carried("IPv4", "auto", "Mendip")
    carried("IPv6", "auto", "strongSwan")


def netem_induces_nothing():
    """The kernel's network emulator delays, reorders, loses and doubles packets: nothing is taken for a rewind."""
    esp = "aes256gcm16-esn"
    with tunnel(charon(esp, 128), esp, window=128) as branch:
        branch.check(esp)
        spi = branch.spi()
        machine.run("tc", "qdisc", "add", "dev", "vec0", "root", "netem", "delay", "30ms", "20ms", "loss", "3%", "duplicate",
                    "3%", "reorder", "30%")
        try:
            with traffic(lan, left) as flow:
                more_traffic(flow, 5 * RATE)
                result = flow.stop()
        finally:
            machine.run("tc", "qdisc", "del", "dev", "vec0", "root")
        verdicts = branch.sa()["verdicts"]
        row("strongSwan", esp, "netem", f"{result.lost} of {result.sent} lost, {result.reordered} out of order, "
            f"{verdicts['replayed']} replayed: nothing induced")
        expect(result.lost and result.reordered and verdicts["replayed"], f"netem does nothing: {result}")
        expect(not branch.switchover()["records"] and branch.spi() == spi and verdicts["rewound"] == 0, f"{verdicts}")
        expect(result.duplicates == 0, f"{result.duplicates} delivered twice")


# -- libreswan ----------------------------------------------------------------

# What libreswan proposes first, and accepts.
LIBRESWAN_IKE = "aes256gcm16-prfsha512-ecp256"
LIBRESWAN_ESP = "aes256gcm16-ecp256-esn-noesn"


def libreswan_answers():
    """
    libreswan sends on a new SA while it runs its script, before it answers the rekey. Mendip keeps 64 of such packets: at
    this rate, those of 320 ms.
    """
    rate = 200
    gateway = uml_peers.Libreswan(machine, left.outer, PSK).start()
    with tunnel(gateway, LIBRESWAN_ESP, LIBRESWAN_IKE, window=128, more='rekey_time = "6s"; over_time = "60s";') as branch:
        branch.check("Mendip as initiator")
        expect(branch.sa()["proposal"] == "aes256gcm16-esn", branch.sa()["proposal"])
        with traffic(lan, left, rate) as to_us, traffic(left, lan, rate) as to_them:
            branch.rekeys_child("Mendip", lambda: branch.ctl("rekey", "net"))
            branch.rekeys_child("libreswan", gateway.rekey_child)
            branch.rekeys_ike("libreswan", gateway.rekey_ike)
            branch.rekeys_ike("Mendip")
            more_traffic(to_us, rate)
            results = nothing_lost(to_us, "to us"), nothing_lost(to_them, "to them")
        row("libreswan", "aes256gcm16-esn", "", "up, initiated by Mendip; both SAs rekeyed from both sides: 0 of "
            f"{results[0].sent + results[1].sent} packets lost")
        branch.check("after rekeys")


def libreswan_initiates():
    gateway = uml_peers.Libreswan(machine, left.outer, PSK).start()
    with tunnel(gateway, LIBRESWAN_ESP, LIBRESWAN_IKE, start="none", window=128) as branch:
        gateway.initiate()
        branch.check("libreswan as initiator")
        row("libreswan", branch.sa()["proposal"], "", "up, initiated by libreswan; traffic both ways")
        rewound(branch, "rewind", "nonce-reuse", ("libreswan", "aes256gcm16-esn"))


# -- OpenIKED -----------------------------------------------------------------

IKED_ESP = "aes256-sha512-noesn"


def openiked_answers():
    """
    OpenIKED answers a rekey before it installs the new SA, and after a rekey of its own deletes the replaced SA before it
    installs the new one: its kernel drops what arrives in between. No other packet may be lost.
    """
    gateway = uml_peers.Iked(machine, left.outer, PSK).start(ike_lifetime=16, lifetime=8)
    with tunnel(gateway, IKED_ESP, start="start") as branch:
        branch.check("Mendip as initiator")
        expect(branch.sa()["proposal"] == IKED_ESP, branch.sa()["proposal"])
        before = uml_peers.dropped(machine)
        with traffic(lan, left) as to_us, traffic(left, lan) as to_them:
            branch.rekeys_child("Mendip", lambda: branch.ctl("rekey", "net"))
            branch.rekeys_child("OpenIKED", lambda: None)
            branch.rekeys_ike("OpenIKED")
            more_traffic(to_us, RATE)
            result = nothing_lost(to_us, "to us")
            theirs = to_them.stop()
        row("OpenIKED", IKED_ESP, "", "up, initiated by Mendip; both SAs rekeyed by OpenIKED, the CHILD SA by Mendip: 0 of "
            f"{result.sent} packets lost, {theirs.lost} of {theirs.sent} on an SA that it had not installed yet")
        drops = {reason: n - before[reason] for reason, n in uml_peers.dropped(machine).items() if n > before[reason]}
        expect(theirs.lost <= drops.get("XfrmAcquireError", 0) and theirs.duplicates == 0, f"{theirs}, dropped: {drops}")
        branch.check("after rekeys")


def openiked_initiates():
    gateway = uml_peers.Iked(machine, left.outer, PSK)
    with tunnel(gateway, IKED_ESP, start="none", more='rekey_time = "4s"; over_time = "60s";') as branch:
        gateway.start(active=True)
        branch.check("OpenIKED as initiator")
        row("OpenIKED", branch.sa()["proposal"], "", "up, initiated by OpenIKED; traffic both ways")
        branch.rekeys_ike("Mendip")
        rewound(branch, "rewind", "proof", ("OpenIKED", IKED_ESP))


# -- the machine --------------------------------------------------------------


def registers_of_any_size():
    """uml_ptrace.c sets a part of a process's registers, which the kernel refuses."""
    program = os.path.join(uml.HERE, "uml_ptrace_check.py")
    for preload, want in (("", "refused"), (uml.shim(bed.directory), "kept")):
        done = subprocess.run(["/usr/bin/python3", program], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "LD_PRELOAD": preload})
        expect(done.stdout.strip() == want, f"{done.stdout} {done.stderr}")


CASES = [registers_of_any_size, strongswan_suites, strongswan_rekeys, strongswan_rewinds, esn_numbers_pass_2_32,
         ipv6_outside, netem_induces_nothing, libreswan_answers, libreswan_initiates, openiked_answers, openiked_initiates]

if os.geteuid():
    main(CASES)     # says that they need root
with open(os.path.join(uml.HERE, "../../man/mendip.conf.5"), encoding="utf-8") as manual:
    if ".It Cm encap\n" in manual.read():
        CASES.insert(CASES.index(ipv6_outside) + 1, esp_without_udp)
    else:
        print("ok esp_without_udp # UNTESTED Mendip has no option encap")
why = uml.missing() or strongswan.missing()
if why:
    print(f"ok kernel # UNTESTED {why}")
    sys.exit(0)
began = time.monotonic()
with testbed.Testbed("kernel") as bed:
    left, machine, lan = uml.between(bed)
    print(f"# Linux {machine.run('uname', '-r').stdout.strip()} in user mode, started in {time.monotonic() - began:.0f} s",
          flush=True)
    main(CASES)
