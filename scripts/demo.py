#!/usr/bin/python3
# The demonstration behind ./quickstart. SPDX-License-Identifier: ISC
"""A branch (Mendip) and a gateway in two namespaces; the gateway's ESP numbers go back as after a
stateful switchover, first with detection off, then with it on."""
import json
import os
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ["MENDIP_BUILD"]
sys.path.insert(0, os.path.join(TOP, "tests", "interop"))
sys.dont_write_bytecode = True
import netlab  # noqa: E402

RATE = 1000  # packets/s from the gateway to the branch
BACK = 2000  # numbers: a sync that is two seconds old
PSK = "quickstart only"

CONFIG = """
daemon: {{ tun = "mendip0"; control = "{control}"; log = "info"; }};
connections: {{ {name}: {{
  local: {{ id = "{local_id}"; auth = "psk"; }};
  remote_addrs = [ "{remote}" ]; remote: {{ id = "{remote_id}"; auth = "psk"; }};
  proposals = [ "aes128-sha256-x25519" ];
  children: {{ net: {{
    local_ts = [ "{local_ts}" ]; remote_ts = [ "{remote_ts}" ];
    esp_proposals = [ "aes128gcm16-esn-noesn" ]; start_action = "{start}";
    switchover: {{ max_rekeys = 16; }}; }}; }};
}}; }};
secrets: {{ ike_peer: {{ secret = "{psk}"; }}; }};
"""


class Mendip:
    """A mendipd in a namespace, and mendipctl for it."""

    def __init__(self, lab, ns, **config):
        self.control = lab.path(f"{ns.short}.sock")
        self.conf = lab.path(f"{ns.short}.conf")
        self.log = lab.path(f"{ns.short}.log")
        with open(os.open(self.conf, os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
            f.write(CONFIG.format(control=self.control, psk=PSK, **config))
        self.process = ns.popen(f"{BUILD}/mendipd", "-c", self.conf, log=self.log)
        netlab.wait_until(lambda: os.path.exists(self.control), 10)

    def ctl(self, *args):
        done = subprocess.run([f"{BUILD}/mendipctl", "-s", self.control, "--json", *args],
                              capture_output=True, text=True, timeout=10)
        if done.returncode:
            raise netlab.LabError(done.stderr.strip())
        return json.loads(done.stdout)

    def child(self):
        return self.ctl("switchover")["children"][0]

    def is_up(self):
        return any(c["state"] == "up" for conn in self.ctl("status")["connections"]
                   for c in conn["children"])

    def sa(self):
        """The newest CHILD SA."""
        return self.ctl("status")["connections"][0]["children"][0]["sas"][0]


def start_gateway(kind, lab, ns, branch):
    """Starts it; returns a function that sets its outbound numbers back."""
    if kind == "mendip":
        gateway = Mendip(lab, ns, name="branch", local_id="gw.example.net", remote="%any",
                         remote_id="*.example", local_ts="10.2.0.0/16", remote_ts="10.1.0.0/16", start="none")
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
    record = branch.child()["records"][:1] if mode != "off" else []
    return (mode, result.lost, result.longest_gap_ms,
            record[0]["criterion"] if record else "-", str(record[0]["rung"]) if record else "-")


def main(kind):
    with netlab.Lab("quickstart") as lab:
        left, right = lab.pair("branch", "gateway")
        print(f"branch (Mendip) {left.outer}, 10.1.0.0/16  <==IKEv2/ESP==>  "
              f"gateway ({kind}) {right.outer}, 10.2.0.0/16")
        set_back = start_gateway(kind, lab, right, left)
        branch = Mendip(lab, left, name="gw", local_id="branch.example", remote=right.outer,
                        remote_id="gw.example.net", local_ts="10.1.0.0/16", remote_ts="10.2.0.0/16", start="start")
        netlab.wait_until(branch.is_up, 15)
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
    except KeyboardInterrupt:
        print("\ninterrupted; cleaned up", file=sys.stderr)
        sys.exit(130)
    except (netlab.LabError, TimeoutError) as e:
        print(f"quickstart: {e}", file=sys.stderr)
        sys.exit(1)
