"""One tunnel whose gateway is an unmodified strongSwan, set back in its memory while it runs, with each cure that can
be had there. Needs root. SPDX-License-Identifier: ISC"""
import os
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), "netns"), os.path.join(os.path.dirname(HERE), "interop")]
from daemons import BUILD, PSK, Mendip, child, config, more_traffic, netlab  # noqa: E402
import rewind  # noqa: E402
import strongswan  # noqa: E402
import wire  # noqa: E402
from cures_report import TITLES  # noqa: E402

BACK = 14000  # what 140,000 packets/s send in 0.1 s
RATE = 1000
FILL = 5000  # packets/s until there is something to set back
KEPT = 64  # frames that the recorder keeps before, and after
LIMIT = 20  # seconds
ON_ITS_WAY = 0.1  # what was sent so long before the switchover may have been numbered after it
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
    """Keeps ESP frames that the gateway sends, and sends them again as they are."""

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
        """The next `count` of them, or those of half a second."""
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


def conf_of(cure, bridge):
    """(options of the child) for the cure; bridge: this build has the option."""
    options = dict(CURES[cure])
    more = f' bridge = "{"on" if cure == "bridge" else "off"}";' if bridge else ""
    options["switchover"] = f"{{ {options['switchover']}{more} }}"
    return child("10.1.0.0/16", "10.2.0.0/16", start_action="start", esp_proposals="aes128gcm16", **options)


def accepted(lab, kid):
    """Whether this build takes such a child."""
    path = lab.path("try.conf")
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="ascii") as f:
        f.write(config(lab.path("try.sock"), {"net": kid}, "192.0.2.2"))
    return subprocess.run([f"{BUILD}/mendipd", "--check", "-c", path], capture_output=True, check=False).returncode == 0


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        user, system = f.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def wait_flowing(flow):
    """Until nearly all of what is sent arrives, at least 2.5 s; False when that does not come in time."""
    end = time.monotonic() + LIMIT
    time.sleep(2)
    while time.monotonic() < end:
        sent, received = flow.sent, flow.received
        time.sleep(0.5)
        if flow.received - received >= 0.95 * (flow.sent - sent) > 0:
            return True
    return False


def peak(others, since):
    """The most requests of IKE in any second."""
    times = [p.time for p in others if p.kind == "ike" and p.time >= since and not p.data[19] & RESPONSE]
    return max((sum(t <= u < t + 1 for u in times) for t in times), default=0)


def flows_after_ms(result, at):
    """From `at` to when the first packet was sent after the last one lost; 0 when none was."""
    late = [last for _, last in result.lost_ranges if result.sent_at[last] >= at - ON_ITS_WAY]
    if not late:
        return 0.0
    after = min(late[-1] + 1, len(result.sent_at) - 1)
    return max(result.sent_at[after] - at, 0) * 1000


def through(lab, left, right, charon, branch, cure):
    """The switchover under traffic; a row."""
    lab.flow(right, right.inner, left, left.inner, rate=FILL, count=2 * BACK + 1000, port=9001).wait(60)
    flow = lab.flow(right, right.inner, left, left.inner, rate=RATE)
    more_traffic(flow, RATE)
    recorder, sniffer = Recorder(right), lab.sniff(right)
    recorder.keep(KEPT)
    rekeys, cpu = branch.children()["net"]["rekeys"], cpu_s(charon.pid)
    at = rewind.rewind(charon.pid, by=BACK, which="number")[0].at
    if cure == "gateway":
        charon.rekey(child="net")
    recorder.keep(KEPT)
    ended = wait_flowing(flow)
    cpu = cpu_s(charon.pid) - cpu
    recorder.replay()
    more_traffic(flow, RATE // 2)
    result, others = flow.stop(), sniffer.stop().others
    rekeys = branch.children()["net"]["rekeys"] - rekeys
    row = {"lost": result.lost_between(at - ON_ITS_WAY, float("inf")), "last_ms": flows_after_ms(result, at),
           "ended": ended, "rekeys": rekeys, "cpu_s": cpu, "peak": peak(others, at), "resent": len(recorder.kept),
           "twice": result.duplicates}
    recorder.close()
    return row


def row_of(cure):
    row = {"cure": cure, "title": TITLES[cure], "rewound": BACK, "rate": RATE}
    with netlab.Lab("cures") as lab:
        bridge = accepted(lab, child("10.1.0.0/16", "10.2.0.0/16", switchover='{ bridge = "on"; }'))
        kid = conf_of(cure, bridge)
        if not accepted(lab, kid) or (cure == "bridge" and not bridge):
            return {**row, "why": "not in this build"}
        left, right = lab.pair("branch", "gw")
        charon = strongswan.Charon(lab, right, strongswan.connection(
            right.outer, left.outer, "gw.example.net", "branch.example", "10.2.0.0/16", "10.1.0.0/16",
            esp_proposals="aes128gcm16"), PSK).start()
        branch = Mendip(lab, left, lambda s: config(s, {"net": kid}, right.outer, proposals="aes128-sha256-x25519",
                                                    dpd="0").replace('log = "debug"', 'log = "info"'))
        branch.wait_up()
        return {**row, **through(lab, left, right, charon, branch, cure)}


def rows(say):
    """A row for each cure; one that broke says so, and the rest go on."""
    made = []
    for cure in CURES:
        say(f"strongSwan: {TITLES[cure]}")
        try:
            made.append(row_of(cure))
        except Exception as e:  # each cure stands for itself
            made.append({"cure": cure, "title": TITLES[cure], "rewound": BACK, "rate": RATE,
                         "why": f"broken: {type(e).__name__}: {e}"})
    return made
