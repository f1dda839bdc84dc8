#!/usr/bin/python3
"""Tests the tools of this folder, with strongSwan at both ends: rewind.py does to an
unmodified charon what a stateful switchover does, and a peer with only a replay window
loses the packets with repeated numbers.  Needs root; takes about 30 s.

    test_rewind_selfcheck.py [NAME ...]

Prints one line per case, `ok NAME` or `not ok NAME: why`; lines with # are measurements.
"""

import os
import subprocess
import sys
import time
import traceback
from contextlib import contextmanager

import testbed
import rewind
import strongswan
import uml_peers

RATE = 1000
BEFORE, BY = 600, 400       # packets sent before the rewind, and how far it goes back
SKIPPED = 77


def expect(truth, complaint):
    """An assertion that python -O does not remove."""
    if not truth:
        raise AssertionError(complaint)


@contextmanager
def tunnel(esp_proposals="aes128gcm16", up=True, **both):
    """Yields (bed, left, right): two charons, with a CHILD SA that left has initiated if `up`."""
    with testbed.Testbed("selfcheck") as bed:
        left, right = bed.pair()
        a = strongswan.Charon(bed, left, strongswan.connection(
            left.outer, right.outer, "left.example", "right.example",
            "10.1.0.0/16", "10.2.0.0/16", esp_proposals), "secret", **both).start()
        b = strongswan.Charon(bed, right, strongswan.connection(
            right.outer, "%any", "right.example", "left.example",
            "10.2.0.0/16", "10.1.0.0/16", esp_proposals), "secret", **both).start()
        if up:
            a.initiate("net")
            a.wait_child()
            b.wait_child()
        yield bed, a, b


def flow(bed, source, target, **options):
    """Starts a flow from one charon's inner address to the other's."""
    return bed.flow(source.ns, source.ns.inner, target.ns, target.ns.inner, rate=RATE, **options)


def sent_at_least(running, count):
    expect(testbed.wait_until(lambda: running.sent >= count, 10, 0.005), "the flow does not run")


def switchover(esp_proposals, which):
    """Rewinds once under traffic, and checks losses, sequence numbers and IVs."""
    with tunnel(esp_proposals) as (bed, left, right):
        sniffer = bed.sniff(right.ns)
        running = flow(bed, left, right, count=BEFORE + 3 * BY)
        sent_at_least(running, BEFORE)
        done, = rewind.rewind(left.pid, by=BY, which=which)
        result = running.wait()
        wire = [p for p in sniffer.stop().esp if p.spi == done.spi]
    numbers = [p.sequence for p in wire]
    pairs = [(p.sequence, p.iv[:8]) for p in wire]
    again = len(pairs) - len(set(pairs))
    print(f"# {esp_proposals} {which}: {done.old} -> {done.new}, sent {result.sent}, "
          f"lost {result.lost}, gap {result.longest_gap_ms:.0f} ms, "
          f"(number, IV) used twice {again}, charon stood {done.paused * 1000:.1f} ms")
    expect(done.old - done.new == BY, f"set back by {done.old - done.new}")
    expect(numbers == [*range(1, done.old + 1), *range(done.new + 1, result.sent - BY + 1)],
           "the wire's numbers did not go back once and exactly")
    expect(result.lost == BY, f"{result.lost} packets lost of {BY} with used numbers")
    expect(result.lost_ranges == [(done.old, done.old + BY - 1)],
           f"lost other packets: {result.lost_ranges}")
    expect(again == (BY if which == "nonce" else 0), f"{again} (number, IV) pairs used twice")


def gcm_number():
    switchover("aes128gcm16", "number")


def gcm_nonce():
    switchover("aes128gcm16", "nonce")


def cbc_number():
    switchover("aes128-sha256", "number")


def chacha20_nonce():
    switchover("chacha20poly1305", "nonce")


def number_works_once():
    """After a second "number" rewind over the same range charon has no IVs for these numbers, and drops packets."""
    with tunnel() as (bed, left, right):
        sniffer = bed.sniff(right.ns)
        running = flow(bed, left, right, count=1500)
        sent_at_least(running, 300)
        rewind.rewind(left.pid, by=200)
        sent_at_least(running, 600)
        second, = rewind.rewind(left.pid, by=200)
        result = running.wait()
        on_wire = len(sniffer.stop().sequences(second.spi))
    missing = result.sent - on_wire
    print(f"# second rewind at {second.old}: {missing} packets never left charon")
    expect(missing > 0, "every packet left charon")


def back_and_forward():
    """rewind() with to=, and with a negative by=, which jumps forward."""
    with tunnel() as (bed, left, right):
        sniffer = bed.sniff(right.ns)
        flow(bed, left, right, count=100).wait()
        one, = rewind.rewind(left.pid, to=0, which="nonce")
        flow(bed, left, right, count=50).wait()
        two, = rewind.rewind(left.pid, by=-1000, which="nonce")
        result = flow(bed, left, right, count=50).wait()
        numbers = sniffer.stop().sequences(two.spi)
    expect((one.old, one.new, two.old, two.new) == (100, 0, 50, 1050), f"{one} {two}")
    expect(numbers == [*range(1, 101), *range(1, 51), *range(1051, 1101)], "other numbers on the wire")
    expect(result.lost == 0, f"{result.lost} lost after the jump forward")


def after_rekeys():
    """After twelve rekeys rewind.py finds the live context only; and a rekey after a rewind ends the outage."""
    with tunnel() as (bed, left, right):
        for _ in range(12):
            old = left.wait_child()
            expect(left.rekey(child_id=old.id) == 1, "not one child to rekey")
            left.wait_rekeyed(old)
        live = [sa for sa in rewind.show(left.pid) if not sa.inbound]
        child = left.wait_child()
        expect([sa.spi for sa in live] == [child.spi_out], "the walk finds other outbound SAs")
        expect(rewind.scan(left.pid) == [live[0].context], "the shape finds other contexts")
        running = flow(bed, left, right, count=2000)
        sent_at_least(running, BEFORE)
        done, = rewind.rewind(left.pid, by=BEFORE - 100, spi=child.spi_out)
        time.sleep(0.2)
        left.rekey(child_id=child.id)
        left.wait_rekeyed(child)
        result = running.wait()
    print(f"# rekey 0.2 s after a rewind by {done.old - done.new}: lost {result.lost}, "
          f"gap {result.longest_gap_ms:.0f} ms")
    expect(100 < result.lost < 450, f"{result.lost} lost")


def refusals():
    """rewind() and show() raise RewindError, with the reason, for what is not possible."""
    with tunnel("aes128-sha256") as (_, left, _right):
        spi = left.wait_child().spi_out
        for options, text in (({"by": 1, "which": "nonce"}, f"SA {spi:08x} has random IVs"),
                              ({"by": 1, "spi": spi ^ 1}, f"has no outbound SA {spi ^ 1:08x}")):
            try:
                rewind.rewind(left.pid, **options)
                expect(False, f"{options} was done")
            except rewind.RewindError as error:
                expect(text in str(error), str(error))
        try:
            rewind.show(os.getpid())
            expect(False, "found SAs in Python")
        except rewind.RewindError as error:
            expect("not a charon" in str(error), str(error))


def command_line():
    """rewind.py as a program: its output and its exit status."""
    with tunnel() as (bed, left, right):
        flow(bed, left, right, count=100).wait()
        tool = [sys.executable, rewind.__file__, str(left.pid)]
        shown = subprocess.run([*tool, "--by", "30", "--nonce"], capture_output=True, text=True,
                               check=False, timeout=10)
        expect(shown.returncode == 0, shown.stderr)
        spi = left.wait_child().spi_out
        expect(f"found out {spi:08x} number 100 IVs low 100 high unused" in shown.stdout, shown.stdout)
        expect(f"wrote out {spi:08x} number 100 -> 70, nonces repeat" in shown.stdout, shown.stdout)
        failed = subprocess.run([*tool, "--by", "1", "--spi", "1"], capture_output=True, text=True,
                                check=False, timeout=10)
        expect(failed.returncode == 1 and "no outbound SA" in failed.stderr, failed.stderr)


def charon_commands():
    """The commands of strongswan.py: rekey from both sides, delete, kill and restart; a wrong secret is refused."""
    with tunnel("aes256gcm16-x25519") as (bed, left, right):
        for charon in (left, right):
            child, ike = charon.wait_child(), charon.sas()[0]
            charon.rekey(child_id=child.id)
            expect(charon.wait_rekeyed(child).group == "CURVE_25519", "rekeyed without PFS")
            charon.rekey(ike="gw")
            expect(charon.wait_rekeyed(ike).children, "the IKE rekey lost the child")
        left.terminate(child="net")
        expect(left.sas() and not left.children(), "terminate child")
        left.initiate("net")
        right.terminate(ike="gw")
        left.wait_gone()
        left.initiate("net")
        right.kill()
        right.start()
        expect(not right.sas(), "SAs survived kill -9")
        left.terminate(ike="gw", timeout=0)
        left.psk = "other"
        left.load_all()
        try:
            left.initiate("net")
            expect(False, "authenticated with a wrong secret")
        except strongswan.ViciError as error:
            expect("failed" in str(error), str(error))


def testbed_cleans_up():
    """A testbed that ends by SIGTERM leaves no namespace, process or file."""
    script = ("import testbed, time\n"
              "with testbed.Testbed('gone') as bed:\n"
              "    left, right = bed.pair()\n"
              "    print(left.popen('sleep', '60').pid, bed.directory, flush=True)\n"
              "    time.sleep(60)\n")
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True,
                             cwd=os.path.dirname(os.path.abspath(__file__)))
    pid, directory = child.stdout.readline().split()
    child.terminate()
    expect(child.wait(10) == 128 + 15, f"exit {child.returncode}")
    names = testbed.run("ip", "netns", "list").stdout
    expect(f"mdp-{child.pid}-" not in names, "namespaces remain")
    expect(not os.path.exists(f"/proc/{pid}"), "a process remains")
    expect(not os.path.exists(directory), "files remain")


def nat_and_rebinding():
    """behind_nat() translates the source address and port, and rebind() changes both."""
    with testbed.Testbed("selfcheck") as bed:
        left, router, right = bed.behind_nat()
        sniffer = bed.sniff(right)
        running = bed.flow(left, left.outer, right, right.outer, rate=RATE)
        time.sleep(0.3)
        bed.rebind(router)
        time.sleep(0.3)
        result = running.stop()
        seen = [(p.source, p.source_port) for p in sniffer.stop().others if p.kind == "clear"]
    before, after = seen[0], seen[-1]
    expect(before[0] == "198.51.100.1" and after[0] == "198.51.100.2", f"{before} {after}")
    expect(20000 <= after[1] < 30000 and set(seen) == {before, after}, f"{set(seen)}")
    expect(result.lost < 50, f"{result.lost} lost")


def dropping():
    """drop() with DROP_IKE drops only IKE on port 4500, and with DROP_ESP only ESP."""
    with tunnel(retransmit=(5, 0.2, 1.2)) as (bed, left, right):
        child = left.wait_child()
        right.ns.drop(testbed.DROP_IKE)
        left.rekey(child_id=child.id)
        result = flow(bed, left, right, count=100).wait()
        expect(result.lost == 0, f"{result.lost} ESP packets lost with IKE dropped")
        expect(left.children(state="INSTALLED") == [], "rekeyed without IKE")
        right.ns.drop_nothing()
        child = left.wait_rekeyed(child)
        right.ns.drop(testbed.DROP_ESP)
        left.rekey(child_id=child.id)
        left.wait_rekeyed(child)
        result = flow(bed, left, right, count=100).wait()
        expect(result.received == 0, f"{result.received} packets arrived with ESP dropped")


def the_kernels_gateway_has_one_esp():
    """strongSwan in the machine of uml.py, whose own test is not in each run, loads no ESP beside that of the kernel."""
    with testbed.Testbed("selfcheck") as bed:
        left, _ = bed.pair()
        plugins = uml_peers.KernelCharon(bed, left, {}, "secret").plugins
    expect("kernel-netlink" in plugins and "kernel-libipsec" not in plugins, plugins)


CASES = (gcm_number, gcm_nonce, cbc_number, chacha20_nonce, number_works_once, back_and_forward,
         after_rekeys, refusals, command_line, charon_commands, dropping, testbed_cleans_up,
         nat_and_rebinding, the_kernels_gateway_has_one_esp)


def main(names):
    """Run the cases; returns the exit status."""
    if os.geteuid():
        reason = "needs root"
    else:
        reason = strongswan.missing()
    if reason:
        required = os.environ.get("MENDIP_REQUIRE_ALL") == "1"
        print(f"not ok all: {reason}" if required else f"skip: {reason}")
        return 1 if required else SKIPPED
    failed = 0
    for case in CASES:
        name = case.__name__.replace("_", "-")
        if names and name not in names:
            continue
        try:
            case()
            print(f"ok {name}", flush=True)
        except Exception as error:      # the other cases run all the same
            failed += 1
            first, *rest = str(error).splitlines() or [type(error).__name__]
            print(f"not ok {name}: {first}", flush=True)
            for line in rest or traceback.format_exc().splitlines():
                print(f"# {line}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
