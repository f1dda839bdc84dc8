#!/usr/bin/python3
# After kill -9 at random moments the tunnel comes back each time, and nothing leaves in clear. SPDX-License-Identifier: ISC
"""
The test kills the daemon of one of two sites, or both, MENDIP_KILLS (5) times at random moments (MENDIP_SEED, 1), also
while a daemon starts. It starts a killed daemon again as systemd does with etc/mendipd.service: after RestartSec=, and
without the files in RuntimeDirectory=. Each site has a router as its default route, so that packets that bypass the
tunnel leave in clear.
"""
import os
import random
import re
import statistics
import time

from daemons import BUILD, Mendip, child, config, expect, main, testbed, wait_for

KILLS = int(os.environ.get("MENDIP_KILLS", "5"))
SEED = int(os.environ.get("MENDIP_SEED", "1"))
RATE = 200  # packets per second in each direction
BACK_WITHIN = 60  # seconds; longer than the back-off towards a peer that has just been reachable
NET = {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action="start")}
NET_GW = {"net": child("10.2.0.0/16", "10.1.0.0/16", start_action="start")}


def restart_seconds():
    with open(os.path.join(BUILD, "etc/mendipd.service"), encoding="utf-8") as f:
        unit = f.read()
    # systemd's default limit is five starts in ten seconds, and the test kills faster than that
    expect(re.search(r"^StartLimitIntervalSec=0$", unit, re.M), "the unit has a limit of starts")
    return float(re.search(r"^RestartSec=(\d+)$", unit, re.M)[1])


class Unit:
    """A mendipd that look() starts again after it was killed."""

    def __init__(self, daemon):
        self.daemon, self.died = daemon, None
        self.started, self.starts = time.monotonic(), 1
        self.wait = restart_seconds()

    def kill(self):
        if self.died is None:
            self.daemon.kill()
            self.died = time.monotonic()

    def look(self):
        """Starts a killed daemon when RestartSec= has passed; raises when one has ended by itself. Call it often."""
        now = time.monotonic()
        if self.died is None:
            expect(self.daemon.process.poll() is None, f"it ended by itself: {self.daemon.tail()}")
        elif now - self.died >= self.wait:
            if os.path.exists(self.daemon.control):
                os.unlink(self.daemon.control)
            self.daemon.process = self.daemon.launch()
            self.died, self.started = None, now
            self.starts += 1


def run_for(units, seconds):
    """Waits, and meanwhile starts killed daemons again."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for u in units:
            u.look()
        time.sleep(0.02)


def is_back(units, flows, since):
    """Returns whether packets that were sent after `since` have arrived in both directions."""
    for u in units:
        u.look()
    return all(f.received_after(since) for f in flows)


def clear(sniffers):
    found = []
    for s in sniffers:
        expect(s.others_seen == len(s.others), f"the sniffer kept {len(s.others)} of {s.others_seen}")
        found += [p for p in s.others if p.kind == "clear" and p.destination.startswith("10.")]
    return found


class Watched:
    """A flow with the list of its arrivals."""

    def __init__(self, flow):
        self.flow, self.seen = flow, 0
        self.arrived = []  # (arrival, sent)

    def received_after(self, since):
        new = self.flow.arrivals(self.seen)
        self.seen += len(new)
        self.arrived += new
        return next((at for at, sent in self.arrived if sent > since), None)


def stuck(units, flows):
    """Returns the message of a failure: what the flows sent, and the ends of the logs."""
    flow = "; ".join(f"{f.flow.sent} sent, {f.flow.received} arrived" for f in flows)
    return f"nothing passes: {flow}\n" + "\n".join(f"{u.daemon.ns.short}: {u.daemon.tail(12)}" for u in units)


def kill_and_wait(units, flows, rng):
    """
    Kills one daemon or both after a random time, and with probability 0.3 once more soon after its new start; returns
    (seconds until packets pass again, which daemons were killed).
    """
    who = rng.choice((units[:1], units[1:], units))
    run_for(units, rng.uniform(0, 1.5))
    for u in who:
        u.kill()
    if rng.random() < 0.3:  # kill it again as soon as it is started, or a little later
        wait_for(lambda: [u.look() for u in units] and who[0].died is None, "it is not started again", 10)
        run_for(units, rng.choice((0, 0.01, 0.05, 0.2, 0.5)))
        who[0].kill()
    killed = time.time()
    for f in flows:
        f.arrived.clear()
    wait_for(lambda: is_back(units, flows, killed), lambda: stuck(units, flows), BACK_WITHIN)
    return max(f.received_after(killed) for f in flows) - killed, "both" if len(who) > 1 else who[0].daemon.ns.short


class Sites:
    """Two sites with the tunnel up, traffic both ways, and a sniffer on each outer device."""

    def __init__(self, bed, gw, branch):
        self.branch, self.gw = branch, gw
        branch.wait_up()
        left, right = branch.ns, gw.ns
        self.sniffers = [bed.sniff(ns, "eth0", keep=1 << 20) for ns in (left, right)]
        self.flows = [Watched(bed.flow(left, left.inner, right, right.inner, rate=RATE)),
                      Watched(bed.flow(right, right.inner, left, left.inner, rate=RATE, port=9001))]
        self.units = [Unit(branch), Unit(gw)]

    def end(self):
        """Stops the flows; returns (number of packets that arrived, [packets in clear at each site])."""
        arrived = sum(f.flow.stop().received for f in self.flows)
        return arrived, [clear([s.stop()]) for s in self.sniffers]


def killed_at_random_moments():
    rng, took = random.Random(SEED), []
    with testbed.Testbed("kills") as bed:
        left, _, right = bed.routed("branch", "gw", "router")
        sites = Sites(bed, Mendip(bed, right, lambda s: config(s, NET_GW, left.outer, "gw.example.net",
                                                               "branch.example", "branch")),
                      Mendip(bed, left, lambda s: config(s, NET, right.outer)))
        for i in range(KILLS):
            seconds, who = kill_and_wait(sites.units, sites.flows, rng)
            took.append(seconds)
            print(f"# kill {i + 1} ({who}): packets pass again after {seconds:.2f} s", flush=True)
        arrived, leaked = sites.end()
        print(f"# {KILLS} kills, {sum(u.starts for u in sites.units)} starts: packets pass again after "
              f"{statistics.median(took):.2f} s (median), {max(took):.2f} s (longest); {arrived} arrived, "
              f"{sum(map(len, leaked))} in clear")
        expect(not any(leaked), f"{[len(x) for x in leaked]} packets in clear: {[x[:1] for x in leaked]}")


def a_gateway_that_only_answers():
    """
    A killed gateway with remote_addrs = "%any" has lost its SAs and cannot initiate new ones. The branch finds out when
    a liveness check stays unanswered: after dpd_delay and all retransmissions, which take 45 s with the default
    retransmit_timeout of 2 s. The test sets a tenth of that.
    """
    with testbed.Testbed("kills") as bed:
        left, _, right = bed.routed("branch", "gw", "router")
        kids = {"net": child("10.2.0.0/16", "10.1.0.0/16", start_action="trap")}
        gw = Mendip(bed, right, lambda s: config(s, kids, "%any", "gw.example.net", "*.example", "branch"))
        sites = Sites(bed, gw, Mendip(bed, left, lambda s: config(s, NET, right.outer, dpd="1s",
                                                                  daemon='retransmit_timeout = "200ms";')))
        sites.units[1].kill()
        killed = time.time()
        wait_for(lambda: is_back(sites.units, sites.flows, killed), lambda: stuck(sites.units, sites.flows), BACK_WITHIN)
        took = max(f.received_after(killed) for f in sites.flows) - killed
        # The gateway keeps the routes of its child without a peer: over a reload, until the child is removed.
        gw.ctl("reload")
        expect("10.1.0.0/16" in gw.ns.run("ip", "route", "show", "table", "5150").stdout, "no route after a reload")
        gw.write(config(gw.control, {"net": child("10.2.0.0/16", "10.9.0.0/16")}, "%any", "gw.example.net", "*.example",
                        "branch"))
        _, leaked = sites.end()
        gw.ctl("reload")
        for table in ("5150", "5151"):
            left_over = gw.ns.run("ip", "route", "show", "table", table, check=False).stdout
            expect(not left_over, f"table {table} after the child went: {left_over}")
        print(f"# a gateway that only answers: packets pass again after {took:.2f} s, {len(leaked[0]) + len(leaked[1])} "
              "in clear")
        for who, packets in zip(("branch", "gateway"), leaked):
            expect(not packets, f"{len(packets)} of the {who}'s packets in clear: {packets[:1]}")


main([killed_at_random_moments, a_gateway_that_only_answers])
