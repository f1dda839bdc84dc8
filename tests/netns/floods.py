"""Sends floods to a gateway and measures what is left of its tunnel. SPDX-License-Identifier: ISC

For tests/netns/test_floods.py and tests/bench/floods. A branch and a gateway have a tunnel. An attacker has a link of
its own to the gateway; it is the gateway's default route, so that answers to forged source addresses are sent, too. A
guest, which also has its own link, establishes IKE SAs with the gateway. Each flood goes to the gateway, or for
comparison to another port of the same host, where a program drops the datagrams ("nobody") or answers each with 60
bytes ("answerer"), the size of a message with a cookie.
"""
import json
import os
import select
import socket
import statistics
import struct
import subprocess
import time

from daemons import BUILD, PSK, Mendip, child, config, expect, wait_for

NOBODY_PORT, ANSWERER_PORT = 4501, 4502
TO = ("gateway", "nobody", "answerer")  # the targets of a flood
SO_RCVBUFFORCE = 33
MARKER = bytes(4)  # the non-ESP marker before IKE on port 4500 (RFC 3948 2.2)
FLOODS = {
    "init-spoofed": "IKE_SA_INIT, each from another address",
    "init-one": "IKE_SA_INIT, all from one address",
    "forged": "ESP of the live SA, ICV wrong",
    "replayed": "ESP of the live SA, recorded",
    "garbage": "SK of the live IKE SA, garbage",
    "notifies": "INVALID_SPI and INVALID_IKE_SPI, unprotected",
    "fragments": "halves of datagrams to port 4500",
}


def udp_payloads(ns, device, during, enough, port):
    """
    Calls during(); returns the payloads of at least `enough` UDP datagrams to this port that the device received
    meanwhile.
    """
    def listen():
        s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
        s.bind((device, 0x0800))
        return s
    found = []
    with ns.call(listen) as s:
        during()
        end = time.monotonic() + 5
        while len(found) < enough and time.monotonic() < end:
            if not select.select([s], [], [], 0.2)[0]:
                continue
            data, where = s.recvfrom(65535)
            at = (data[0] & 15) * 4
            if where[2] != 4 and data[9] == 17 and struct.unpack_from("!H", data, at + 2)[0] == port:
                found.append(data[at + 8:])
    expect(len(found) >= enough, f"only {len(found)} of {enough} datagrams to port {port} were seen")
    return found


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Scene:
    """The branch, gateway, guest and attacker, with the tunnel up."""

    def __init__(self, bed, build=BUILD):
        self.bed, self.build = bed, build
        left, right = bed.pair("branch", "gw")
        self.attacker, self.guest = bed.namespace("attacker"), bed.namespace("guest")
        bed.link(self.attacker, "eth0", "198.51.100.1/24", right, "eth1", "198.51.100.2/24")
        bed.link(self.guest, "eth0", "203.0.113.1/24", right, "eth2", "203.0.113.2/24")
        right.route("default", "via", "198.51.100.1")
        # On a veth pair the sender's CPU also processes what the other end receives: the attacker drops it at once.
        self.attacker.nft('table netdev t { chain in { type filter hook ingress device "eth0" priority 0; '
                          'ether type != arp drop; }; }')
        for device in ("all", "eth1"):  # accept datagrams from there with the branch's address, too
            right.sysctl(f"net.ipv4.conf.{device}.rp_filter", 0)
        kids = {"net": child("10.1.0.0/17", "10.2.0.0/16", start_action="start")}
        self.gw = Mendip(bed, right, lambda s: self.quiet(config(
            s, {"net": child("10.2.0.0/16", "10.1.0.0/16")}, "%any", "gw.example.net", "*.example", "branch",
            dpd="30s")), build=build)
        self.branch = Mendip(bed, left, lambda s: self.quiet(config(s, kids, right.outer, dpd="30s")), build=build)
        self.branch.wait_up()
        right.popen("iperf3", "-s", log=bed.path("iperf.log"))
        self.pids = {"gateway": self.gw.process.pid}
        for who, mode, port in (("nobody", "sink", NOBODY_PORT), ("answerer", "answer", ANSWERER_PORT)):
            self.pids[who] = right.popen(f"{build}/tests/netns/flood", mode, port, log=bed.path(f"{mode}.log")).pid
        wait_for(lambda: right.run("ss", "-Hltn", "sport", "=", ":5201").stdout, "iperf3 does not listen")
        self._record()

    @staticmethod
    def quiet(text):
        return text.replace('log = "debug"', 'log = "info"')

    # -- the floods

    def _record(self):
        """Records an IKE_SA_INIT request of the guest, and ESP packets of the live SA."""
        gw, branch = self.gw.ns, self.branch.ns
        init = udp_payloads(gw, "eth2", lambda: self.calls(1), 1, 500)[0]

        def traffic():
            self.bed.flow(branch, branch.inner, gw, gw.inner, rate=1000, count=1000, size=1350).wait()
        # a longer datagram is a train
        esp = [p for p in udp_payloads(gw, "eth0", traffic, 200, 4500) if p[:4] != MARKER and 1000 < len(p) < 1500]
        expect(len(esp) > 50, f"only {len(esp)} packets were recorded singly")
        self.init, self.esp = init, esp

    def calls(self, count, pause_ms=50):
        """
        Lets the guest establish `count` IKE SAs, one after the other; returns the milliseconds that each took, or None
        for one that was not up within 10 s.
        """
        done = self.guest.run(f"{self.build}/tests/netns/caller", "203.0.113.2", "guest.example", "gw.example.net",
                              PSK, "10.1.128.0/17", "10.2.0.0/16", count, pause_ms, timeout=30 + 12 * count)
        return [None if t == "none" else float(t) for t in done.stdout.split()]

    def _live_ike(self):
        """Returns (the SPIs of the branch's IKE SA, the message ID of its next request)."""
        sa = self.branch.ctl("status")["connections"][0]["ike_sas"][0]
        spis = bytes.fromhex(sa["spi_i"]) + bytes.fromhex(sa["spi_r"])
        return spis, sa["message_id"]

    def _packets(self, kind):
        """Returns (source, destination port, payloads, CHANGE arguments) for flood.c."""
        branch = f"{self.branch.ns.outer}:4500"
        if kind == "init-spoofed":
            return "any:500", 500, [self.init], ["random", 0, 8]
        if kind == "init-one":
            return "198.51.100.1:500", 500, [self.init], ["random", 0, 8]
        if kind == "forged":
            ahead = self.gw.sa()["number_in"] + (1 << 28)
            return branch, 4500, self.esp[:1], ["count", 4, ahead & 0xffffffff, "random", 8, 8]
        if kind == "replayed":
            return branch, 4500, self.esp, []
        if kind == "fragments":
            return branch, 4500, self.esp[:1], ["random", 4, 16, "fragments", 512]
        spis, number = self._live_ike()
        if kind == "garbage":
            sk = struct.pack("!BBH", 41, 0, 4 + 400)
            header = spis + struct.pack("!BBBBII", 46, 0x20, 37, 0x08, number, 28 + 4 + 400)
            return branch, 4500, [MARKER + header + sk + bytes(400)], ["random", 4 + 32, 400]
        notifies = []
        for code, flags in ((11, 0x00), (4, 0x20)):
            body = struct.pack("!BBHBBHI", 0, 0, 12, 3, 0, code, 0x01020304)
            header = spis + struct.pack("!BBBBII", 41, 0x20, 37, flags, 0, 28 + len(body))
            notifies.append(MARKER + header + body)
        return branch, 4500, notifies, []

    def flood(self, kind, rate, seconds, to="gateway"):
        """Starts a flood to one of TO; returns the Process, which prints what it sent."""
        source, port, payloads, changes = self._packets(kind)
        path = self.bed.path("flood.bin")
        with open(path, "wb") as f:
            for p in payloads:
                f.write(struct.pack("!H", len(p)) + p)
        return self.attacker.popen(f"{self.build}/tests/netns/flood", "send", source, "198.51.100.2",
                                   {"gateway": port, "nobody": NOBODY_PORT, "answerer": ANSWERER_PORT}[to], rate, seconds, path, *changes,
                                   stdout=subprocess.PIPE, text=True)

    # -- what is left of the tunnel

    def throughput(self, kind, rate, seconds, to="gateway", while_it_goes=None):
        """
        Runs one TCP stream from the branch through the tunnel during a flood, and calls while_it_goes() meanwhile;
        returns {"gbit": the stream's Gbit/s, "sent": the flood's datagrams per second, "failed": sends of the flood that
        failed}. With kind None there is no flood, and the result has "gbit" alone.
        """
        flood = self.flood(kind, rate, seconds + 1, to) if kind else None
        time.sleep(0.2)
        client = self.branch.ns.popen("iperf3", "-c", self.gw.ns.inner, "-t", seconds, "-J", stdout=subprocess.PIPE,
                                      text=True)
        if while_it_goes:
            time.sleep(0.2)
            while_it_goes()
        end = json.loads(client.communicate(timeout=seconds + 30)[0])
        expect("end" in end and "sum_received" in end["end"], f"no stream: {end.get('error')}")
        result = {"gbit": end["end"]["sum_received"]["bits_per_second"] / 1e9}
        if flood:
            told = json.loads(flood.communicate(timeout=seconds + 30)[0])
            result["sent"] = told["datagrams"] / (seconds + 1)
            result["failed"] = told["failed"]
        return result

    def cpu_us(self, kind, rate, seconds, to="gateway"):
        """Returns the processor time in us, the kernel's included, that its receiver spends per datagram of the flood."""
        before = cpu_seconds(self.pids[to])
        told = json.loads(self.flood(kind, rate, seconds, to).communicate(timeout=seconds + 30)[0])
        return (cpu_seconds(self.pids[to]) - before) * 1e6 / told["datagrams"]

    def status_ms(self, count):
        """Returns the milliseconds that each of `count` runs of `mendipctl status` at the gateway took."""
        times = []
        for _ in range(count):
            began = time.monotonic()
            expect(self.gw.run("status").returncode == 0, "status was refused")
            times.append((time.monotonic() - began) * 1e3)
        return times

    def counters(self):
        """Returns the gateway's counters as one dict."""
        status = self.gw.ctl("status")
        return {**{f"ike.{k}": v for k, v in status["ike"].items()}, **status["verdicts"],
                **{f"drop.{k}": v for k, v in status["drops"].items()}}

    def counted(self, function):
        """Calls the function; returns (its result, the gateway's counters that grew meanwhile, and by how much)."""
        before = self.counters()
        result = function()
        return result, {k: v - before[k] for k, v in self.counters().items() if v != before[k]}

    def rss_mib(self):
        with open(f"/proc/{self.gw.process.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmRSS"))


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, round(p / 100 * (len(values) - 1)))]


def median(values):
    return statistics.median(values)
