#!/usr/bin/python3
# A tunnel under floods, with bounds for a busy machine; tests/bench/floods gives figures. SPDX-License-Identifier: ISC
from daemons import expect, main, testbed, ping
from floods import FLOODS, Scene, median

RATE = 5000  # datagrams per second
SECONDS = 1
LEFT_OF_STREAM, STATUS_MS, UP_MS, MEMORY_MIB = 0.6, 200, 1000, 32
TURNS = 5  # measurements of a flood before the case fails, as other jobs may disturb one
SATURATING = 150000
# the counter of the gateway that shows that it processed the flood
COUNTS = {"init-spoofed": "ike.cookie_demanded", "init-one": "ike.cookie_demanded", "forged": "auth_failed",
          "replayed": "replayed", "garbage": "ike.auth_failed", "notifies": "ike.unprotected", "fragments": "auth_failed"}


def lines_of(daemon):
    with open(daemon.log, encoding="utf-8") as f:
        return len(f.readlines())


def measured(scene, kind):
    """Measures once; returns ({"ratio", "status", "up": value}, the gateway's counters that grew)."""
    found = {}

    def look():
        found["status"] = median(scene.status_ms(7))
        found["up"] = scene.calls(1)[0]
    nobody = scene.throughput(kind, RATE, SECONDS, "nobody")
    real, counted = scene.counted(lambda: scene.throughput(kind, RATE, SECONDS))
    beside = scene.flood(kind, RATE, 2)
    look()
    beside.stop()
    found["ratio"] = real["gbit"] / nobody["gbit"]
    return found, counted


def is_good(found):
    return (found["ratio"] >= LEFT_OF_STREAM and found["status"] < STATUS_MS and found["up"] is not None
            and found["up"] < UP_MS)


def the_tunnel_goes_on():
    with testbed.Testbed("floods") as bed:
        scene = Scene(bed)
        before, lines = scene.rss_mib(), lines_of(scene.gw)
        for kind, title in FLOODS.items():
            for _ in range(TURNS):
                found, counted = measured(scene, kind)
                if is_good(found):
                    break
            print(f"# {title:<45} {found['ratio']:.2f} of the stream, status {found['status']:.0f} ms, a peer is up after "
                  f"{found['up']} ms", flush=True)
            expect(counted.get(COUNTS[kind], 0) > RATE * SECONDS // 4, f"{kind}: not looked at: {counted}")
            expect(is_good(found), f"{kind}: {found}")
            expect(scene.gw.process.poll() is None, f"{kind}: the gateway ended: {scene.gw.tail()}")
        more, told = scene.rss_mib() - before, lines_of(scene.gw) - lines
        print(f"# {more:.1f} MiB more, {told} lines")
        expect(more < MEMORY_MIB, f"{more:.1f} MiB more")
        expect(told < 700, f"{told} lines: {scene.gw.tail()}")
        expect(scene.branch.up() and ping(scene.branch.ns, scene.gw.ns.inner, 3, scene.branch.ns.inner) == 3,
               "the tunnel has gone")


def commands_are_served():
    """More IKE_SA_INIT requests arrive than the gateway can process: it must still answer mendipctl in time."""
    with testbed.Testbed("floods") as bed:
        scene = Scene(bed)
        flood = scene.flood("init-one", SATURATING, 3)
        times = scene.status_ms(20)
        going_on = flood.poll() is None
        flood.stop()
        print(f"# status beside {SATURATING:,} a second: {median(times):.0f} ms, {max(times):.0f} at the most")
        expect(going_on and max(times) < UP_MS, f"{max(times):.0f} ms, or longer than the flood")


main([the_tunnel_goes_on, commands_are_served])
