"""A redundant pair of gateways with one address: two unpatched strongSwans of Debian with the `ha` plugin.

    with testbed.Testbed("ha") as bed:
        pair = ha.Pair(bed, {"net": strongswan.child("10.2.0.0/16", "10.1.0.0/16")}, psk="secret").start()
        # start a peer in pair.branch for pair.ADDRESS, and when it is up:
        pair.wait_in_sync()
        flow = bed.flow(pair.host, pair.host.inner, pair.branch, pair.branch.inner)
        first = pair.failover()         # the active member is killed, the standby takes over
        pair.reintegrate()              # the killed member is started again, as the standby, and learns all SAs
        second = pair.failover()        # the member that was killed first takes over
        before, after = ha.losses(flow.stop(), [first, second])

                  switch: bridges "outer" and "inner"
    branch ------ outer ---- one ---- inner ------ host
    192.0.2.1     outer ---- two ---- inner        10.2.0.1
    10.1.0.1               192.0.2.2, 10.2.0.254

Both members have the same addresses and MAC addresses, and only the ports of the active member are in the bridges, so
that branch and host do not notice which member forwards their packets. The members synchronize keys and message IDs
over a link of their own, but not their ESP sequence numbers: the outbound SAs of the standby have sent nothing, and
begin with number 1. The plugin logs that this kernel has no CLUSTERIP, which it would use to filter packets by
segment; here the ports of the bridges do that.

The plugin's option `secret`, a tunnel for the sync link, is not set: it needs transport mode, which kernel-libipsec
does not have, and only the two members are on that link. SPDX-License-Identifier: ISC
"""

import os
import time
from dataclasses import dataclass

import testbed
import strongswan

PLUGIN = "/usr/lib/ipsec/plugins/libstrongswan-ha.so"
HEARTBEAT_MS = 300              # interval
HEARTBEAT_TIMEOUT_MS = 1500     # long enough that a member on a busy machine is not taken for dead
TUN_QUEUE = 5000                # packets that wait while charon gets no CPU; the kernel's default is 500
TAKEOVER_TIMEOUT = 15
SYNC_TIMEOUT = 20
IN_FLIGHT = 0.2                 # s; packets sent so shortly before a kill may be lost in the killed member
MAC_OUTER, MAC_INNER = "02:00:00:00:02:02", "02:00:00:00:02:fe"


def missing():
    """Returns why a pair cannot run here, or None."""
    if why := strongswan.missing():
        return why
    if not os.path.exists(PLUGIN):
        return "strongSwan's ha plugin is not installed: apt-get install libcharon-extra-plugins"
    return None


class Stalled(testbed.TestbedError):
    """A member took over although the active one was running: heartbeats were late, as this machine was too busy."""


@dataclass(frozen=True)
class Takeover:
    """The times (time.time()) of one failover."""

    killed: float       # the active member was killed
    owned: float        # the standby owned the segment
    done: float         # the bridges had the ports of the standby, which gets the traffic from then on


class Member:
    """One of the two gateways: a namespace with a charon, which can be killed and started again."""

    def __init__(self, bed, ns, sync, peer_sync, connection, psk):
        self.bed, self.ns = bed, ns
        self.charon = strongswan.Charon(bed, ns, connection, psk, plugins="ha", settings=f"""    plugins {{
        ha {{
            local = {sync}
            remote = {peer_sync}
            segment_count = 1
            fifo_interface = no
            heartbeat_delay = {HEARTBEAT_MS}
            heartbeat_timeout = {HEARTBEAT_TIMEOUT_MS}
            monitor = yes
            resync = yes
        }}
    }}
""")
        self._log_start = 0

    def start(self):
        if os.path.exists(self.charon.log):
            self._log_start = os.path.getsize(self.charon.log)      # ignore the log before the kill
        self.charon.start()
        self.bed.at_exit(self.kill)     # a stop would retransmit deletions to a peer that has already ended
        self.ns.ip("link", "set", "ipsec0", "txqueuelen", TUN_QUEUE)

    def kill(self):
        """Sends SIGKILL, if charon runs."""
        if self.alive():
            self.charon.kill()

    def alive(self):
        return self.charon.process is not None and self.charon.process.poll() is None

    def log(self):
        """Returns what charon has logged since its last start."""
        with open(self.charon.log, encoding="utf-8", errors="replace") as file:
            file.seek(self._log_start)
            return file.read()

    def owns_segment(self):
        """Returns whether this member owns the segment, by the last line that it logged about it."""
        said = [line for line in self.log().splitlines() if "HA segment 1 " in line and "activated" in line]
        return bool(said) and "deactivated" not in said[-1]

    def spis(self):
        """Returns {(spi_in, spi_out)} of its CHILD SAs; on a standby, of those that were synchronized to it."""
        return {(c.spi_in, c.spi_out) for c in self.charon.children()}


class Pair:
    """The two members, a namespace for the branch, and a host behind the gateways; .active and .standby are Members.

    children: {name: strongswan.child()}; in_sync() expects that each of them is up.
    """

    ADDRESS = "192.0.2.2"
    BRANCH = "192.0.2.1"
    NETS = (("10.2.0.1/16", "10.2.0.254/16"), ("10.3.0.1/16", "10.3.0.254/16"))     # host, members

    def __init__(self, bed, children, psk, local_id="gw.example.net", remote_id="branch.example"):
        self.bed, self._children = bed, len(children)
        self.switch, self.branch, self.host = (bed.namespace(n) for n in ("switch", "branch", "host"))
        self._wire()
        conn = strongswan.connection(self.ADDRESS, self.BRANCH, local_id, remote_id, children=children)
        self.active, self.standby = (self._member(name, here, there, conn, psk) for name, here, there in
                                     (("one", "198.51.100.1", "198.51.100.2"), ("two", "198.51.100.2", "198.51.100.1")))
        self._sync_link()

    def start(self):
        """Start both; the first member becomes the active one.  Returns the pair."""
        self.active.start()
        self._wait(self.active.owns_segment, TAKEOVER_TIMEOUT, "it does not take the segment", self.active)
        self._turn_to(self.active)
        self.standby.start()
        # wait for its resync, which must precede the first SA: or that SA would be synchronized twice
        self._wait(lambda: "requesting HA resync" in self.standby.log(), TAKEOVER_TIMEOUT, "no resync", self.standby)
        return self

    def failover(self):
        """Kill the active member; when the standby owns the segment, give it the ports.  Returns a Takeover."""
        dying, successor = self.active, self.standby
        self.check_roles()
        killed = time.time()
        dying.kill()
        self._wait(successor.owns_segment, TAKEOVER_TIMEOUT, "the standby does not take over", successor)
        owned = time.time()
        self._turn_to(successor)
        self.active, self.standby = successor, dying
        return Takeover(killed, owned, time.time())

    def reintegrate(self):
        """Start the killed member again as the standby, and wait until it has the SAs of the active one."""
        self.standby.start()
        self.wait_in_sync()

    def wait_in_sync(self):
        """Wait until the standby has the CHILD SAs of the active one; call it when the peer is up, too."""
        self._wait(self.in_sync, SYNC_TIMEOUT, "has not been told of the SAs", self.standby)

    def check_roles(self):
        """Raise Stalled when the members have changed roles without a failover()."""
        standby_owns = self.standby.alive() and self.standby.owns_segment()
        if standby_owns or not self.active.owns_segment():
            raise Stalled(f"{self.standby.ns.short} took over while {self.active.ns.short} lived")

    def in_sync(self):
        """Return whether the standby has the CHILD SAs of the active one: one per child, so that no rekey is under way."""
        asked = "requesting HA resync" in self.standby.log()
        return asked and len(self.active.spis()) == self._children and self.standby.spis() == self.active.spis()

    # -- inside ----------------------------------------------------------------

    def _wire(self):
        """Make the bridges, and connect the branch and the host to them."""
        for bridge in ("outer", "inner"):
            self.switch.ip("link", "add", bridge, "type", "bridge")
            self.switch.ip("link", "set", bridge, "up")
        self.bed.link(self.branch, "eth0", f"{self.BRANCH}/24", self.switch, "branch", [])
        self.bed.link(self.host, "eth0", [host for host, _ in self.NETS], self.switch, "host", [])
        self.switch.ip("link", "set", "branch", "master", "outer")
        self.switch.ip("link", "set", "host", "master", "inner")
        self.branch.outer, self.branch.inner, self.host.inner = self.BRANCH, "10.1.0.1", "10.2.0.1"
        self.branch.inner_net("10.1.0.1/16")
        # Neighbour entries are permanent: a standby, which is not in the bridges, could not resolve them, and would
        # delay its first packets after a takeover.
        self._know(self.branch, self.ADDRESS, MAC_OUTER)
        for _, gateway in self.NETS:
            self._know(self.host, gateway.split("/")[0], MAC_INNER)
        self.host.route("10.1.0.0/16", "via", "10.2.0.254")

    def _member(self, name, sync, peer_sync, connection, psk):
        ns = self.bed.namespace(name)
        for device, mac, addresses in (("eth0", MAC_OUTER, [f"{self.ADDRESS}/24"]),
                                       ("eth1", MAC_INNER, [member for _, member in self.NETS])):
            self.bed.link(ns, device, [], self.switch, f"{name}-{device}", [])
            ns.ip("link", "set", device, "address", mac)
            ns.address(device, *addresses)
        self._know(ns, self.BRANCH, self._mac(self.branch))
        for host, _ in self.NETS:
            self._know(ns, host.split("/")[0], self._mac(self.host), "eth1")
        ns.sysctl("net.ipv4.ip_forward", 1)
        return Member(self.bed, ns, sync, peer_sync, connection, psk)

    def _sync_link(self):
        self.bed.link(self.active.ns, "sync", "198.51.100.1/30", self.standby.ns, "sync", "198.51.100.2/30")

    @staticmethod
    def _mac(ns, device="eth0"):
        return ns.run("cat", f"/sys/class/net/{device}/address").stdout.strip()

    @staticmethod
    def _know(ns, address, mac, device="eth0"):
        ns.ip("neigh", "replace", address, "lladdr", mac, "dev", device, "nud", "permanent")

    def _turn_to(self, member):
        """Put the member's ports into the bridges, and take the other member's out."""
        other = self.standby if member is self.active else self.active
        lines = [f"link set {other.ns.short}-eth{i} nomaster" for i in (0, 1)]
        lines += [f"link set {member.ns.short}-eth{i} master {bridge}" for i, bridge in enumerate(("outer", "inner"))]
        self.switch.ip("-batch", "-", stdin="\n".join(lines) + "\n")

    def _wait(self, condition, timeout, complaint, member):
        if not testbed.wait_until(condition, timeout, 0.01):
            raise testbed.TestbedError(f"{member.ns.short}: {complaint}, after {timeout} s:\n{member.charon.tail()}")


def losses(result, takeovers):
    """Returns (number of packets that a flow lost in outages, [number lost after each takeover]).

    An outage lasts from the kill until the standby has the ports: the peer cannot save packets sent in that time.
    "After a takeover" is from then until the next kill, or the end.
    """
    ends = [t.killed - IN_FLIGHT for t in takeovers[1:]] + [float("inf")]
    outages = sum(result.lost_between(t.killed - IN_FLIGHT, t.done) for t in takeovers)
    return outages, [result.lost_between(t.done, end) for t, end in zip(takeovers, ends)]


def sent_after(result, takeover):
    """Returns how many packets of a flow were sent since the takeover."""
    return sum(when >= takeover.done for when in result.sent_at)
