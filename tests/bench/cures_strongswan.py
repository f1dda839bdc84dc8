"""Measures the cures with an unmodified strongSwan as the gateway, whose sequence numbers rewind.py sets back while it
runs. Needs root. SPDX-License-Identifier: ISC"""
import os
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), "netns"), os.path.join(os.path.dirname(HERE), "interop")]
from daemons import BUILD, PSK, Mendip, child, config, more_traffic, testbed  # noqa: E402
import rewind  # noqa: E402
import strongswan  # noqa: E402
import wire  # noqa: E402
from cures_report import TITLES  # noqa: E402

BACK = 14000  # numbers; those of 0.1 s at 140,000 packets/s
RATES = {1: 1000, 10: 5000}  # number of tunnels: packets/s of all of them together
FILL = 10000  # packets/s of all tunnels together, before the switchover
KEPT = 64  # frames that the recorder keeps before the switchover, and after it
LIMIT = 20  # seconds per tunnel
ON_ITS_WAY = 0.1  # s; a packet sent so shortly before the switchover may have got its number after it
RESPONSE = 0x20  # flag in byte 19 of an IKE message
CURES = {
    "none": {"switchover": 'detect = "off";'},
    "wide": {"switchover": 'detect = "off";', "replay_window": 65536},
    "unprotected": {"switchover": 'detect = "off";', "replay_window": 0},
    "gateway": {"switchover": 'detect = "off";'},
    "count": {"switchover": 'detect = "pattern"; packets = 64; interval = "50m";'},
    "time": {"switchover": 'detect = "pattern"; packets = 1000000; interval = "1s";'},
    "proof": {"switchover": 'detect = "proof";'},
    "bridge": {"switchover": 'detect = "proof";'},
}


class Recorder:
    """Records ESP frames that the gateway sends, and re-sends them unchanged."""

    def __init__(self, ns):
        self._socket = ns.call(self._open)
        self.kept = []

    @staticmethod
    def _open():
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        made.bind(("eth0", 3))  # ETH_P_ALL
        made.settimeout(0.5)
        return made

    def keep(self, count):
        """Records the next `count` frames, or those of half a second."""
        end, wanted = time.monotonic() + 0.5, len(self.kept) + count
        self._socket.setblocking(False)
        try:
            while self._socket.recv(65535):
                pass
        except BlockingIOError:
            self._socket.settimeout(0.5)
        while len(self.kept) < wanted and time.monotonic() < end:
            frame, where = self._socket.recvfrom(65535)
            if where[2] == socket.PACKET_OUTGOING and wire.is_esp(frame):
                self.kept.append(frame)

    def replay(self):
        for frame in self.kept:
            self._socket.send(frame)
            time.sleep(0.001)

    def close(self):
        self._socket.close()


class Tunnels:
    """`count` CHILD SAs between branch and gateway, each with a /24 of its own at both sides."""

    def __init__(self, count):
        self.names = [f"net{k}" for k in range(count)]

    def nets(self, side):
        return [f"10.{side}.{100 + k}.0/24" for k in range(len(self.names))]

    def addresses(self, side):
        return [net.replace(".0/24", ".1") for net in self.nets(side)]

    def flows(self, bed, left, right, rate, **options):
        """Starts a flow from the gateway through each tunnel; rate: that of all flows together."""
        return [bed.flow(right, source, left, target, rate=rate / len(self.names), port=9000 + k, **options)
                for k, (source, target) in enumerate(zip(self.addresses(2), self.addresses(1)))]


def conf_of(cure, bridge, local="10.1.0.0/16", remote="10.2.0.0/16"):
    """Returns the text of a child for the cure; bridge: whether this build has that option."""
    options = dict(CURES[cure])
    more = f' bridge = "{"on" if cure == "bridge" else "off"}";' if bridge else ""
    options["switchover"] = f"{{ {options['switchover']}{more} }}"
    return child(local, remote, start_action="start", esp_proposals="aes128gcm16", **options)


def accepted(bed, kid):
    """Returns whether this build accepts the child."""
    path = bed.path("try.conf")
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="ascii") as f:
        f.write(config(bed.path("try.sock"), {"net": kid}, "192.0.2.2"))
    return subprocess.run([f"{BUILD}/mendipd", "--check", "-c", path], capture_output=True, check=False).returncode == 0


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        user, system = f.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def wait_flowing(flows):
    """Waits, at least 2.5 s, until 95 % of each flow's packets arrive; returns False when that takes too long."""
    end = time.monotonic() + LIMIT * len(flows)
    time.sleep(2)
    while time.monotonic() < end:
        before = [(f.sent, f.received) for f in flows]
        time.sleep(0.5)
        if all(f.received - received >= 0.95 * (f.sent - sent) > 0 for f, (sent, received) in zip(flows, before)):
            return True
    return False


def peak(others, since):
    """Returns the largest number of IKE requests in any second."""
    times = [p.time for p in others if p.kind == "ike" and p.time >= since and not p.data[19] & RESPONSE]
    return max((sum(t <= u < t + 1 for u in times) for t in times), default=0)


def flows_after_ms(result, at):
    """Returns the time from `at` until the packet after the last lost one was sent; 0 when none was lost."""
    late = [last for _, last in result.lost_ranges if result.sent_at[last] >= at - ON_ITS_WAY]
    if not late:
        return 0.0
    after = min(late[-1] + 1, len(result.sent_at) - 1)
    return max(result.sent_at[after] - at, 0) * 1000


def rekeys_of(branch):
    return sum(c["rekeys"] for c in branch.children().values())


def through(bed, left, right, charon, branch, cure, tunnels):
    """Rewinds all tunnels at once under traffic; returns a row of figures."""
    for flow in tunnels.flows(bed, left, right, FILL, count=BACK + 1000):
        flow.wait(60)
    rate = RATES[len(tunnels.names)]
    flows = tunnels.flows(bed, left, right, rate)
    more_traffic(flows[-1], rate // len(flows))
    recorder, sniffer = Recorder(right), bed.sniff(right)
    recorder.keep(KEPT)
    rekeys, cpu = rekeys_of(branch), cpu_s(charon.pid)
    rewound = rewind.rewind(charon.pid, by=BACK, which="number")
    if len(rewound) != len(flows):
        raise RuntimeError(f"{len(rewound)} SAs were set back instead of {len(flows)}")
    at = rewound[0].at
    for name in tunnels.names if cure == "gateway" else ():
        charon.rekey(child=name)
    recorder.keep(KEPT)
    ended = wait_flowing(flows)
    cpu = cpu_s(charon.pid) - cpu
    recorder.replay()
    more_traffic(flows[-1], rate // 2 // len(flows))
    results, others = [f.stop() for f in flows], sniffer.stop().others
    lost = [r.lost_between(at - ON_ITS_WAY, float("inf")) for r in results]
    row = {"lost": sum(lost), "worst": max(lost), "last_ms": max(flows_after_ms(r, at) for r in results),
           "ended": ended, "rekeys": rekeys_of(branch) - rekeys, "cpu_s": cpu, "peak": peak(others, at),
           "resent": len(recorder.kept), "twice": sum(r.duplicates for r in results)}
    recorder.close()
    return row


def row_of(cure, count):
    row = {"cure": cure, "title": TITLES[cure], "tunnels": count, "rewound": BACK, "rate": RATES[count]}
    tunnels = Tunnels(count)
    with testbed.Testbed("cures") as bed:
        bridge = accepted(bed, child("10.1.0.0/16", "10.2.0.0/16", switchover='{ bridge = "on"; }'))
        if not accepted(bed, conf_of(cure, bridge)) or (cure == "bridge" and not bridge):
            return {**row, "why": "not in this build"}
        left, right = bed.pair("branch", "gw")
        for side, ns in ((1, left), (2, right)):
            ns.inner_net(*(f"{a}/24" for a in tunnels.addresses(side)), device="inner1")
        pairs = list(zip(tunnels.names, tunnels.nets(1), tunnels.nets(2)))
        charon = strongswan.Charon(bed, right, strongswan.connection(
            right.outer, left.outer, "gw.example.net", "branch.example",
            children={n: strongswan.child(there, here, "aes128gcm16") for n, here, there in pairs}), PSK).start()
        kids = {n: conf_of(cure, bridge, here, there) for n, here, there in pairs}
        branch = Mendip(bed, left, lambda s: config(s, kids, right.outer, proposals="aes128-sha256-x25519",
                                                    dpd="0").replace('log = "debug"', 'log = "info"'))
        branch.wait_up(*tunnels.names)
        return {**row, **through(bed, left, right, charon, branch, cure, tunnels)}


def rows(say):
    """Returns a row per cure and number of tunnels; the row of a failed measurement has the reason, "why"."""
    made = []
    for count in RATES:
        for cure in CURES:
            say(f"strongSwan, {count} tunnel{'s' * (count > 1)}: {TITLES[cure]}")
            try:
                made.append(row_of(cure, count))
            except Exception as e:  # the other cures are measured all the same
                made.append({"cure": cure, "title": TITLES[cure], "tunnels": count, "rewound": BACK,
                             "rate": RATES[count], "why": f"broken: {type(e).__name__}: {e}"})
    return made
