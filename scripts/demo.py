#!/usr/bin/python3
# The demonstration behind ./quickstart. SPDX-License-Identifier: ISC
"""A branch (Mendip) and a gateway in two namespaces; the gateway's ESP numbers go back as after a
stateful switchover, first with detection off, then with it on."""
import os
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(TOP, "tests", "netns"), os.path.join(TOP, "tests", "interop")]
from daemons import Mendip, child, config, netlab  # noqa: E402

RATE = 1000  # packets/s from the gateway to the branch
BACK = 2000  # numbers: a sync that is two seconds old
PSK = "quickstart only"
ESP = "aes128gcm16-esn-noesn"


def start_branch(lab, ns, remote):
    net = {"net": child("10.1.0.0/16", "10.2.0.0/16", esp_proposals=f'[ "{ESP}" ]', start_action="start",
                        switchover="{ max_rekeys = 16; }")}
    return Mendip(lab, ns, lambda control: config(control, net, remote, psk=PSK, proposals="aes128-sha256-x25519"))


def start_gateway(kind, lab, ns, branch):
    """Starts it; returns a function that sets its outbound numbers back."""
    if kind == "mendip":
        net = {"net": child("10.2.0.0/16", "10.1.0.0/16", esp_proposals=f'[ "{ESP}" ]')}
        gateway = Mendip(lab, ns, lambda control: config(control, net, "%any", "gw.example.net", "*.example", "branch",
                                                         psk=PSK, proposals="aes128-sha256-x25519"))
        return lambda: gateway.ctl("fault", "rewind", str(BACK))
    import rewind
    import strongswan
    why = strongswan.missing()
    if why:
        raise netlab.LabError(why)
    charon = strongswan.Charon(lab, ns, strongswan.connection(
        ns.outer, branch.outer, "gw.example.net", "branch.example", "10.2.0.0/16", "10.1.0.0/16"), PSK).start()
    return lambda: rewind.rewind(charon.pid, by=BACK)


def line(branch, flow, before, note=""):
    """One line of the live view; returns the count of packets for the next one."""
    sa, received = branch.sa(), flow.received
    v = sa["verdicts"]
    print(f"  {flow.sent:6d} sent {received:6d} received  {(received - before) * 2:5d}/s   SPI {sa['spi_in']}  "
          f"rewound {v['rewound']:5d}  unverified {v['unverified']:5d}  {note}", flush=True)
    return received


def take_through(branch, set_back, lab, left, right, mode):
    """One switchover under traffic; returns a row of the table."""
    branch.ctl("switchover", "set", "net", f"detect={mode}")
    print(f"\nGateway sends {RATE} packets/s; detect = \"{mode}\"")
    before = 0
    flow = lab.flow(right, right.inner, left, left.inner, rate=RATE)
    for step in range(11 if mode == "off" else 9):
        time.sleep(0.5)
        note = ""
        if step == 4:
            set_back()
            note = f"<- switchover: the gateway's numbers are {BACK} older now"
        before = line(branch, flow, before, note)
    result = flow.stop()
    record = branch.switchover()["records"][:1] if mode != "off" else []
    return (mode, result.lost, result.longest_gap_ms,
            record[0]["criterion"] if record else "-", str(record[0]["rung"]) if record else "-")


def main(kind):
    with netlab.Lab("quickstart") as lab:
        left, right = lab.pair("branch", "gateway")
        print(f"branch (Mendip) {left.outer}, 10.1.0.0/16  <==IKEv2/ESP==>  "
              f"gateway ({kind}) {right.outer}, 10.2.0.0/16")
        set_back = start_gateway(kind, lab, right, left)
        branch = start_branch(lab, left, right.outer)
        branch.wait_up()
        print("tunnel is up:", branch.sa()["proposal"])
        rows = [take_through(branch, set_back, lab, left, right, mode) for mode in ("off", "proof")]
    print(f"\n{'detection':<12}{'packets lost':>14}{'outage':>12}{'criterion':>14}{'rung':>6}")
    for mode, lost, gap, criterion, rung in rows:
        print(f"{mode:<12}{lost:>14}{gap:>9.0f} ms{criterion:>14}{rung:>6}")
    print("""
Everything is cleaned up. How to go on:
  sudo make -C build/demo install    (or configure without --enable-faults: README.md, "A real tunnel")
  man ./man/mendip.conf.5            the configuration, sample in etc/mendip.conf
  build/demo/mendipctl advise --sync-interval 10s --rate 140000
                                     what a switchover of your gateway costs, and options that fit""")
    return 0 if rows[1][1] < rows[0][1] else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except SystemExit as e:  # the lab turns Ctrl-C into this one, and has cleaned up by now
        if e.code in (130, 143):
            print("\ninterrupted; everything is cleaned up", file=sys.stderr)
        raise
    except (netlab.LabError, TimeoutError) as e:
        print(f"quickstart: {e}", file=sys.stderr)
        sys.exit(1)
