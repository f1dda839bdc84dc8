#!/usr/bin/python3
# The demonstration that ./quickstart runs. SPDX-License-Identifier: ISC
"""Sets up a branch (Mendip) and a gateway in two namespaces, and sets the gateway's ESP sequence numbers back as in a
stateful switchover, first with detection off, then with it on. With strongswan-ha there are two gateways, of which the
active one is killed."""
import os
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(TOP, "tests", "netns"), os.path.join(TOP, "tests", "interop")]
from daemons import Mendip, child, config, testbed  # noqa: E402

RATE = 1000  # packets/s from the gateway to the branch
BACK = 2000  # numbers of the rewind, as with a sync that is two seconds old
PSK = "quickstart only"
ESP = "aes128gcm16-esn-noesn"


def start_branch(bed, ns, remote):
    net = {"net": child("10.1.0.0/16", "10.2.0.0/16", esp_proposals=f'[ "{ESP}" ]', start_action="start",
                        switchover="{ max_rekeys = 16; }")}
    return Mendip(bed, ns, lambda control: config(control, net, remote, psk=PSK, proposals="aes128-sha256-x25519"))


class Pretended:
    """One gateway, whose outbound sequence numbers are set back as if a standby had taken over."""

    def __init__(self, kind, bed):
        self.branch, self.source = bed.pair("branch", "gateway")
        self.address = self.source.outer
        self.set_back = self._mendip(bed) if kind == "mendip" else self._strongswan(bed)
        print(f"branch (Mendip) {self.branch.outer}, 10.1.0.0/16  <==IKEv2/ESP==>  "
              f"gateway ({kind}) {self.address}, 10.2.0.0/16")

    def _mendip(self, bed):
        net = {"net": child("10.2.0.0/16", "10.1.0.0/16", esp_proposals=f'[ "{ESP}" ]')}
        gateway = Mendip(bed, self.source, lambda control: config(
            control, net, "%any", "gw.example.net", "*.example", "branch", psk=PSK, proposals="aes128-sha256-x25519"))
        return lambda: gateway.ctl("fault", "rewind", str(BACK))

    def _strongswan(self, bed):
        import rewind
        import strongswan
        why = strongswan.missing()
        if why:
            raise testbed.TestbedError(why)
        charon = strongswan.Charon(bed, self.source, strongswan.connection(
            self.address, self.branch.outer, "gw.example.net", "branch.example", "10.2.0.0/16", "10.1.0.0/16"),
            PSK).start()
        return lambda: rewind.rewind(charon.pid, by=BACK)

    def ready(self):
        pass

    def switchover(self):
        """Does the switchover; returns its time and a note for the live view."""
        when = time.time()
        self.set_back()
        return when, f"<- switchover: the gateway's numbers are {BACK} older now"


class Redundant:
    """Two strongSwans with the ha plugin and one address; switchover() kills the active one."""

    def __init__(self, bed):
        import ha
        import strongswan
        why = ha.missing()
        if why:
            raise testbed.TestbedError(why)
        self.pair = ha.Pair(bed, {"net": strongswan.child("10.2.0.0/16", "10.1.0.0/16")}, PSK)
        self.branch, self.source, self.address = self.pair.branch, self.pair.host, self.pair.ADDRESS
        print(f"""                                                        +-- gateway one (strongSwan, active) ---+
branch (Mendip) {self.branch.outer}  <==IKEv2/ESP==>  {self.address} --+                                       +-- host
10.1.0.0/16                                             +-- gateway two (strongSwan, standby) --+   10.2.0.0/16
The gateways tell each other their keys, by strongSwan's own ha plugin, but not how far their ESP numbers are.""")
        self.pair.start()

    def ready(self):
        if not self.pair.standby.alive():
            print(f"\nGateway {self.pair.standby.ns.short} is started again, as the standby.")
            self.pair.reintegrate()
        self.pair.wait_in_sync()

    def switchover(self):
        old, new = self.pair.active.ns.short, self.pair.standby.ns.short
        takeover = self.pair.failover()
        took = (takeover.done - takeover.killed) * 1000
        return takeover.done, f"<- {old} killed; after {took:.0f} ms {new} took over, and numbers from 1"


def line(branch, flow, before, note=""):
    """Prints one line of the live view; `before` and the result are (time, packets received until then)."""
    sa, now = branch.sa(), (time.monotonic(), flow.received)
    v = sa["verdicts"]
    rate = (now[1] - before[1]) / (now[0] - before[0])
    print(f"  {flow.sent:6d} sent {now[1]:6d} received  {rate:5.0f}/s   SPI {sa['spi_in']}  "
          f"rewound {v['rewound']:5d}  unverified {v['unverified']:5d}  {note}".rstrip(), flush=True)
    return now


def take_through(branch, gateway, bed, mode):
    """One switchover under traffic; returns a row of the table."""
    gateway.ready()
    branch.ctl("switchover", "set", "net", f"detect={mode}")
    print(f"\nGateway sends {RATE} packets/s; detect = \"{mode}\"")
    last = time.monotonic(), 0
    flow = bed.flow(gateway.source, gateway.source.inner, gateway.branch, gateway.branch.inner, rate=RATE)
    for step in range(11 if mode == "off" else 9):
        time.sleep(0.5)
        note = ""
        if step == 4:
            when, note = gateway.switchover()
        last = line(branch, flow, last, note)
    result = flow.stop()
    lost = result.lost_between(when, float("inf"))
    record = branch.switchover()["records"][:1] if mode != "off" else []
    return (mode, lost, outage(result, when), record[0]["criterion"] if record else "-",
            str(record[0]["rung"]) if record else "-", result.lost - lost)


def outage(result, when):
    """Returns the longest time without a packet since `when`, in ms."""
    marks = [when, *(at for at, _ in result.arrivals if at > when), result.sent_at[-1]]
    return max(b - a for a, b in zip(marks, marks[1:])) * 1000


def table(rows, redundant):
    print(f"\n{'detection':<12}{'packets lost':>14}{'outage':>12}{'criterion':>14}{'rung':>6}")
    for mode, lost, gap, criterion, rung, _ in rows:
        print(f"{mode:<12}{lost:>14}{gap:>9.0f} ms{criterion:>14}{rung:>6}")
    if redundant:
        before = " and ".join(str(row[-1]) for row in rows)
        print(f"Counted from when the standby had taken over. Until it did, {before} packets were lost with the\n"
              "gateway that died: no peer can save those.")


def main(kind):
    with testbed.Testbed("quickstart") as bed:
        redundant = kind == "strongswan-ha"
        gateway = Redundant(bed) if redundant else Pretended(kind, bed)
        branch = start_branch(bed, gateway.branch, gateway.address)
        branch.wait_up()
        print("tunnel is up:", branch.sa()["proposal"])
        rows = [take_through(branch, gateway, bed, mode) for mode in ("off", "proof")]
    table(rows, redundant)
    print("""
Everything is cleaned up. How to go on:
  README.md, "A first tunnel"        make a package, install it, configure it (this build has faults for the demonstration)
  man ./man/mendip.conf.5            the configuration, sample in etc/mendip.conf
  build/demo/mendipctl advise --sync-interval 10s --rate 140000
                                     what a switchover of your gateway costs, and options that fit""")
    return 0 if rows[1][1] < rows[0][1] else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except SystemExit as e:  # raised by the testbed on Ctrl-C; it has cleaned up
        if e.code in (130, 143):
            print("\ninterrupted; everything is cleaned up", file=sys.stderr)
        raise
    except (testbed.TestbedError, TimeoutError) as e:
        print(f"quickstart: {e}", file=sys.stderr)
        sys.exit(1)
