"""The contenders that are compared: each is a tunnel between two namespaces, which stays up and idle until it is used.

SPDX-License-Identifier: ISC
"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), room) for room in ("netns", "interop")]
from daemons import Mendip, child, config, testbed  # noqa: E402
import strongswan  # noqa: E402

ESP = "aes128gcm16"
IKE = "aes128-sha256-x25519"
TICK = os.sysconf("SC_CLK_TCK")


class Contender:
    """A tunnel from .left (10.1.0.1) to .right (10.2.0.1); pids: the two daemons."""

    def __init__(self, bed, name, short, title):
        self.bed, self.name, self.title = bed, name, title
        self.left, self.right = bed.pair(f"{short}-l", f"{short}-r")
        self.pids = self.start()
        self.right.popen("iperf3", "-s", log=bed.path(f"{short}-iperf.log"))
        if not testbed.wait_until(self.answers, 20):
            raise testbed.TestbedError(f"{title}: nothing passes")

    def answers(self):
        return self.left.run("ping", "-c1", "-W1", "-I", "10.1.0.1", "10.2.0.1", check=False).returncode == 0

    def start(self):
        """Starts both daemons; returns their PIDs."""
        raise NotImplementedError

    @staticmethod
    def wait_device(ns, device):
        if not testbed.wait_until(lambda: ns.ip("link", "show", device, check=False).returncode == 0, 5):
            raise testbed.TestbedError(f"{device} does not come up in {ns.name}")

    def cpu_seconds(self):
        """Returns [user and system time of each daemon], of all threads, in seconds."""
        times = []
        for pid in self.pids:
            with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            times.append((int(fields[11]) + int(fields[12])) / TICK)
        return times


class MendipPair(Contender):
    """
    Two mendipd of the build folder. backend, offload: options of both daemons; detect: that of the branch's child;
    more: options of the branch's connection.
    """

    def __init__(self, bed, name, short, title, build, backend="auto", offload="auto", detect="proof", more=""):
        self.daemon = f'crypto_backend = "{backend}"; offload = "{offload}";'
        self.detect, self.build, self.more = detect, build, more
        self.branch = self.gateway = None
        super().__init__(bed, name, short, title)

    def start(self):
        switchover = f'{{ detect = "{self.detect}"; jitter = "0"; max_rekeys = 16; }}'
        kids = {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action="start", esp_proposals=ESP,
                             rekey_time="1h", switchover=switchover)}
        kids_gw = {"net": child("10.2.0.0/16", "10.1.0.0/16", esp_proposals=ESP)}
        self.gateway = Mendip(self.bed, self.right, lambda s: quiet(config(
            s, kids_gw, "%any", "gw.example.net", "*.example", "branch", dpd="30s", proposals=IKE,
            daemon=self.daemon)), build=self.build)
        self.branch = Mendip(self.bed, self.left, lambda s: quiet(config(
            s, kids, self.right.outer, dpd="30s", proposals=IKE, daemon=self.daemon, more=self.more)),
            build=self.build)
        self.branch.wait_up()
        return [self.branch.process.pid, self.gateway.process.pid]


def quiet(text):
    return text.replace('log = "debug"', 'log = "info"')


class Strongswan(Contender):
    """Two charon-systemd with kernel-libipsec; the openssl plugin is loaded first."""

    def start(self):
        def conn(here, there, here_id, there_id, net, far):
            return strongswan.connection(here.outer, there.outer, here_id, there_id, net, far, esp_proposals=ESP,
                                         proposals=IKE, encap="yes")
        sides = [(self.right, self.left, "gw.example.net", "branch.example", "10.2.0.0/16", "10.1.0.0/16"),
                 (self.left, self.right, "branch.example", "gw.example.net", "10.1.0.0/16", "10.2.0.0/16")]
        gateway, branch = [strongswan.Charon(self.bed, s[0], conn(*s), "bench").start() for s in sides]
        branch.initiate("net")
        return [branch.pid, gateway.pid]


class NullTunnel(Contender):
    """null_tunnel: Mendip's offloads and packet sizes without ESP; cipher: "openssl", "ipsec-mb", or None."""

    def __init__(self, bed, name, short, title, build, cipher=None):
        self.build, self.cipher = build, cipher
        super().__init__(bed, name, short, title)

    def start(self):
        pids = []
        for ns, other in ((self.left, self.right), (self.right, self.left)):
            process = ns.popen(f"{self.build}/tests/bench/null_tunnel", "null0", "1438", other.outer,
                               *([self.cipher] if self.cipher else []), log=self.bed.path(f"{ns.short}.log"))
            self.wait_device(ns, "null0")
            ns.route("10.2.0.0/16" if ns is self.left else "10.1.0.0/16", "dev", "null0", "src", ns.inner)
            pids.append(process.pid)
        return pids


class WireguardGo(Contender):
    """wireguard-go of Debian's backports, with its TUN and UDP offloads."""

    def __init__(self, bed, name, short, title, binary):
        self.binary = binary
        super().__init__(bed, name, short, title)

    def start(self):
        sides, pids = (self.left, self.right), []
        keys = [subprocess.run(["wg", "genkey"], capture_output=True, text=True, check=True).stdout.strip()
                for _ in sides]
        public = [subprocess.run(["wg", "pubkey"], input=k, capture_output=True, text=True, check=True).stdout.strip()
                  for k in keys]
        for i, ns in enumerate(sides):
            device = f"mdpwg{i}"
            process = ns.popen(self.binary, "-f", device, log=self.bed.path(f"{device}.log"))
            self.wait_device(ns, device)
            testbed.wait_until(lambda name=device: os.path.exists(f"/var/run/wireguard/{name}.sock"), 5)
            secret = self.bed.path(f"{device}.key")
            with open(os.open(secret, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as f:
                f.write(keys[i])
            other = sides[1 - i]
            ns.run("wg", "set", device, "listen-port", "51820", "private-key", secret, "peer", public[1 - i],
                   "endpoint", f"{other.outer}:51820", "allowed-ips", "10.2.0.0/16" if i == 0 else "10.1.0.0/16")
            ns.ip("link", "set", device, "up", "mtu", "1420")
            ns.route("10.2.0.0/16" if i == 0 else "10.1.0.0/16", "dev", device, "src", ns.inner)
            pids.append(process.pid)
        return pids
