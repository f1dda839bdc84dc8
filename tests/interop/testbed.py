"""Network namespaces, UDP flows and ESP sniffing for tests that need root.

A Testbed is a context manager.  All that it makes (namespaces, links, processes, threads)
is ended or removed at its end, also on an exception, SIGINT or SIGTERM:

    with testbed.Testbed("rekey") as bed:
        left, right = bed.pair()                # 192.0.2.1 -- 192.0.2.2
        left.run("ping", "-c1", "192.0.2.2")    # inner addresses 10.1.0.1, 10.2.0.1
        daemon = left.popen("mendipd", "-f", "-c", path, log=bed.path("left.log"))
        sniffer = bed.sniff(right, "eth0")
        flow = bed.flow(left, "10.1.0.1", right, "10.2.0.1", rate=1000)
        time.sleep(2)
        print(flow.stop().lost, sniffer.stop().esp[0].sequence)

Namespaces are called mdp-PID-NAME, so that testbeds of different processes do not collide.
A testbed removes the namespaces and files of a killed test: those whose PID does not
exist, if no process is in the namespace.
Processes are ended by PID; the kernel also kills them when the thread that started them
ends, so start them from the main thread.  Standard library only, Python 3.11.
"""

import atexit
import ctypes
import fcntl
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field

PREFIX = "mdp"
COMMAND_TIMEOUT = 30

# for Namespace.drop(): on port 4500, IKE begins with four zero bytes (the non-ESP marker)
DROP_IKE = "udp dport 4500 @th,64,32 0"
DROP_ESP = "udp dport 4500 udp length > 12 @th,64,32 != 0"  # not keepalives

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_ETH_P_ALL = 3
_PACKET_OUTGOING = 4
_SIOCETHTOOL = 0x8946
_ETHTOOL_SET = {"tx-checksum": 0x17, "tso": 0x1f, "gso": 0x24, "gro": 0x2c}    # linux/ethtool.h


class TestbedError(Exception):
    """A command of the testbed failed; the text is the command and its error."""


def run(*argv, check=True, timeout=COMMAND_TIMEOUT, stdin=None):
    """Run a command to its end; returns the CompletedProcess with text output."""
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True,
                          input=stdin, timeout=timeout)
    if check and done.returncode:
        raise TestbedError(f"{' '.join(map(str, argv))}: exit {done.returncode}: "
                       f"{(done.stderr or done.stdout).strip()}")
    return done


def wait_until(condition, timeout=10.0, step=0.05):
    """Wait until condition() is true or the time is over; returns its last value."""
    deadline = time.monotonic() + timeout
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(step)
    return value


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


class Process(subprocess.Popen):
    """A Popen with stop()."""

    def stop(self, timeout=5.0):
        """End the process with SIGTERM, and after `timeout` with SIGKILL; returns the exit status."""
        if self.poll() is None:
            self.terminate()
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.wait()


class Namespace:
    """One network namespace; made by Testbed.namespace()."""

    def __init__(self, bed, name):
        self.bed = bed
        self.short = name
        self.name = f"{PREFIX}-{os.getpid()}-{name}"
        self.outer = None       # outer address, if the topology sets one
        self.inner = None       # address to be reached through the tunnel
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def __repr__(self):
        return f"<Namespace {self.name}>"

    def ip(self, *args, **kwargs):
        """Run ip(8) for the namespace."""
        return run("ip", "-n", self.name, *args, **kwargs)

    def run(self, *argv, **kwargs):
        """Run a command in the namespace to its end (see testbed.run)."""
        return run("ip", "netns", "exec", self.name, *argv, **kwargs)

    def popen(self, *argv, log=None, **kwargs):
        """Start a process in the namespace; it ends with the testbed.  log: file for its output."""
        if log is not None:
            kwargs["stdout"] = kwargs["stderr"] = open(log, "ab")
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        process = Process(["ip", "netns", "exec", self.name, *map(str, argv)],
                          preexec_fn=_die_with_parent, **kwargs)
        if log is not None:
            kwargs["stdout"].close()
        self.bed.at_exit(process.stop)
        return process

    def call(self, function, *args):
        """Call a Python function in a thread in the namespace; returns its result.

        A socket stays in the namespace in which it was made.  To make one:
        ns.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
        """
        result = {}

        def inside():
            try:
                with open(f"/run/netns/{self.name}", "rb") as handle:
                    if _libc.setns(handle.fileno(), _CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                result["value"] = function(*args)
            except BaseException as error:      # raised below, in the caller's thread
                result["error"] = error

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if "error" in result:
            raise result["error"]
        return result["value"]

    def sysctl(self, key, value):
        """Set a network sysctl of the namespace: ns.sysctl("net.ipv4.ip_forward", 1)."""
        if os.statvfs("/proc/sys").f_flag & os.ST_RDONLY:
            raise TestbedError("/proc/sys is read-only here, as in a container without --privileged: tests that forward packets "
                               "need it to be writable (podman --privileged, or mount -o remount,rw /proc/sys)")
        self.run("sh", "-c", 'echo "$1" > "$2"', "sh", value,
                 "/proc/sys/" + key.replace(".", "/"))

    def nft(self, rules):
        """Load an nftables script in the namespace."""
        self.run("nft", "-f", "-", stdin=rules)

    def drop(self, match):
        """Drop packets to this namespace that fit an nftables match.

        DROP_IKE and DROP_ESP match IKE and ESP on port 4500; "numgen random mod 100 < 5"
        drops 5 % of all packets.
        """
        self.nft(f"table inet {PREFIX} {{ chain input {{ type filter hook input priority 0; "
                 f"{match} drop; }}; }}")

    def drop_nothing(self):
        """Undo all drop() calls."""
        self.run("nft", "delete", "table", "inet", PREFIX, check=False)

    def address(self, device, *addresses):
        """Add addresses (with prefix length) to a device and set it up."""
        for address in addresses:
            extra = ["nodad"] if ":" in address else []
            self.ip("addr", "add", address, "dev", device, *extra)
        self.ip("link", "set", device, "up")

    def offload(self, device, **switches):
        """Switch a device's offloads, as ethtool -K: offload("eth0", gso=False, tx_checksum=False).

        The switches are tx_checksum, tso, gso and gro.  Without gso and tx_checksum the kernel
        segments packets and computes their checksums before it gives them to the device.
        """
        def switch():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
                for name, on in switches.items():
                    value = ctypes.create_string_buffer(
                        struct.pack("II", _ETHTOOL_SET[name.replace("_", "-")], on))
                    request = struct.pack("16sP", device.encode(), ctypes.addressof(value))
                    fcntl.ioctl(any_socket, _SIOCETHTOOL, request)
        self.call(switch)

    def inner_net(self, *addresses, device="inner0"):
        """Make an interface with local addresses that stands for the protected net.

        It is a veth pair in this namespace, as not all kernels have the dummy module.
        """
        self.ip("link", "add", device, "type", "veth", "peer", "name", device + "p")
        self.ip("link", "set", device + "p", "up")
        self.address(device, *addresses)

    def route(self, destination, *via):
        """Add a route: ns.route("default", "via", "192.0.2.1")."""
        self.ip("route", "add", destination, *via)

    def pids(self):
        """Return the PIDs of the processes in the namespace."""
        return [int(p) for p in run("ip", "netns", "pids", self.name).stdout.split()]

    def remove(self):
        """End the processes in the namespace, which are all this testbed's, and remove it."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.pids():
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
            if wait_until(lambda: not self.pids(), 2):
                break
        run("ip", "netns", "del", self.name, check=False)


class Testbed:
    """A set of namespaces and processes that ends with the with-block."""

    def __init__(self, title="bed", keep_files=False):
        """keep_files: keep .directory, the working directory with the logs."""
        self.title = title
        self.keep_files = keep_files
        self.directory = None
        self.namespaces = []
        self._exits = []
        self._old_handlers = {}

    # -- start and end ------------------------------------------------------

    def __enter__(self):
        if os.geteuid():
            raise TestbedError("network namespaces need root")
        remove_stale()
        owner = "kept" if self.keep_files else os.getpid()      # remove_stale() ignores "kept"
        self.directory = tempfile.mkdtemp(prefix=f"{PREFIX}-{owner}-{self.title}-")
        atexit.register(self.close)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old_handlers[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_):
        self.close()

    @staticmethod
    def _on_signal(number, _frame):
        raise SystemExit(128 + number)      # unwinds the with-block

    def at_exit(self, function):
        """Call `function` when the testbed ends; the last one registered is called first."""
        self._exits.append(function)

    def close(self):
        """End and remove everything; may be called again."""
        atexit.unregister(self.close)
        for number in self._old_handlers:   # a second Ctrl-C must not interrupt the cleanup
            signal.signal(number, signal.SIG_IGN)
        self._exits, exits = [], self._exits
        self.namespaces, namespaces = [], self.namespaces
        for function in [*reversed(exits), *(n.remove for n in reversed(namespaces))]:
            try:
                function()
            except Exception as error:      # the others must be ended, too
                print(f"# bed {self.title}: cleanup: {error}")
        if self.directory and not self.keep_files:
            shutil.rmtree(self.directory, ignore_errors=True)
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        self._old_handlers = {}

    def path(self, name):
        """Return the path of `name` in the testbed's working directory."""
        return os.path.join(self.directory, name)

    # -- topology -----------------------------------------------------------

    def namespace(self, name):
        """Make a namespace, with lo up."""
        made = Namespace(self, name)
        self.namespaces.append(made)
        return made

    def link(self, a, a_device, a_address, b, b_device, b_address, mtu=1500):
        """Connect two namespaces by a veth pair; each address is "A.B.C.D/LEN" or a list."""
        run("ip", "link", "add", a_device, "netns", a.name, "mtu", mtu, "type", "veth",
            "peer", "name", b_device, "netns", b.name, "mtu", mtu)
        for ns, device, address in ((a, a_device, a_address), (b, b_device, b_address)):
            ns.address(device, *([address] if isinstance(address, str) else address))

    def pair(self, left="left", right="right", mtu=1500):
        """Make two namespaces on one link; returns (left, right).

        left: 192.0.2.1, inner 10.1.0.1/16     right: 192.0.2.2, inner 10.2.0.1/16
        Both have the devices eth0 and inner0.
        """
        a, b = self.namespace(left), self.namespace(right)
        a.outer, b.outer = "192.0.2.1", "192.0.2.2"
        self.link(a, "eth0", "192.0.2.1/24", b, "eth0", "192.0.2.2/24", mtu)
        self._inner(a, b)
        return a, b

    def behind_nat(self, left="left", right="right", router="router", mtu=1500):
        """Make left -- router with NAT -- right; returns (left, router, right).

        left: 192.0.2.10 seen as 198.51.100.1     right: 198.51.100.20
        The router's devices are "inside" and "outside"; see rebind().
        """
        a, r, b = self.namespace(left), self.namespace(router), self.namespace(right)
        a.outer, b.outer = "192.0.2.10", "198.51.100.20"
        self.link(a, "eth0", "192.0.2.10/24", r, "inside", "192.0.2.1/24", mtu)
        self.link(r, "outside", "198.51.100.1/24", b, "eth0", "198.51.100.20/24", mtu)
        a.route("default", "via", "192.0.2.1")
        r.sysctl("net.ipv4.ip_forward", 1)
        r.nft('table ip nat { chain post { type nat hook postrouting priority srcnat; '
              'oifname "outside" masquerade; }; }')
        self._inner(a, b)
        return a, r, b

    def routed(self, left="left", right="right", router="router", mtu=1500, narrow=1500):
        """Make left -- router -- right, without NAT; returns (left, router, right).

        left: 192.0.2.10     right: 198.51.100.20     The router's devices are "inside", with an
        MTU of `mtu`, and "outside", with `narrow`: right has that MTU at its own device, left
        learns it by ICMP.
        """
        a, r, b = self.namespace(left), self.namespace(router), self.namespace(right)
        a.outer, b.outer = "192.0.2.10", "198.51.100.20"
        self.link(a, "eth0", "192.0.2.10/24", r, "inside", "192.0.2.1/24", mtu)
        self.link(r, "outside", "198.51.100.1/24", b, "eth0", "198.51.100.20/24", narrow)
        a.route("default", "via", "192.0.2.1")
        b.route("default", "via", "198.51.100.1")
        r.sysctl("net.ipv4.ip_forward", 1)
        self._inner(a, b)
        return a, r, b

    @staticmethod
    def rebind(router, address="198.51.100.2/24", ports="20000-29999"):
        """Change the outside address and the ports of behind_nat()'s NAT.

        When an address is removed, the kernel forgets the flows masqueraded with it.
        """
        router.nft('flush table ip nat\n'
                   'table ip nat { chain post { '
                   f'oifname "outside" meta l4proto {{ tcp, udp }} masquerade to :{ports} random; '
                   'oifname "outside" masquerade; }; }')
        router.ip("addr", "flush", "dev", "outside")
        router.ip("addr", "add", address, "dev", "outside")

    @staticmethod
    def _inner(a, b):
        a.inner, b.inner = "10.1.0.1", "10.2.0.1"
        a.inner_net("10.1.0.1/16")
        b.inner_net("10.2.0.1/16")

    # -- measuring ----------------------------------------------------------

    def flow(self, source, source_address, target, target_address, **options):
        """Start a Flow (see there); it is stopped with the testbed at the latest."""
        made = Flow(source, source_address, target, target_address, **options)
        self.at_exit(made.abort)
        return made

    def sniff(self, ns, device="eth0", **options):
        """Start a Sniffer (see there); it is stopped with the testbed at the latest."""
        made = Sniffer(ns, device, **options)
        self.at_exit(made.stop)
        return made


def remove_stale():
    """Remove the files of killed testbeds, and their namespaces in which no process runs."""
    for line in run("ip", "netns", "list").stdout.splitlines():
        name = line.split()[0] if line else ""
        if _is_stale(name) and not run("ip", "netns", "pids", name, check=False).stdout.strip():
            run("ip", "netns", "del", name, check=False)
    for name in os.listdir(tempfile.gettempdir()):
        if _is_stale(name):
            shutil.rmtree(os.path.join(tempfile.gettempdir(), name), ignore_errors=True)


def _is_stale(name):
    match = re.fullmatch(PREFIX + r"-(\d+)-.+", name)
    return bool(match) and not _alive(int(match[1]))


# -- UDP flow -----------------------------------------------------------------


@dataclass
class FlowResult:
    """The result of a Flow.  Times are those of time.time(); packets are numbered from 0."""

    sent: int
    received: int               # distinct packets that arrived
    duplicates: int             # arrivals of a packet that had already arrived
    reordered: int              # arrivals with a lower number than an earlier one
    lost: int
    longest_gap_ms: float       # the longest time without an arrival, while sending
    longest_gap: tuple          # (start, end) of that time
    lost_ranges: list           # [(first, last)] numbers
    send_errors: int            # sends that the kernel refused (no route, for one); not in `sent`
    sent_at: list = field(repr=False, default_factory=list)      # index: number
    arrivals: list = field(repr=False, default_factory=list)     # (time, number)

    def lost_between(self, start, end):
        """Return how many of the packets sent in [start, end) did not arrive."""
        there = {number for _, number in self.arrivals}
        return sum(1 for number, when in enumerate(self.sent_at)
                   if start <= when < end and number not in there)

    def first_arrival_after(self, when):
        """Return the time of the first arrival of a packet sent after `when`, or None."""
        return min((at for at, number in self.arrivals if self.sent_at[number] > when),
                   default=None)


class Flow:
    """Sends numbered UDP packets from one namespace to another at a steady rate.

    It starts at once.  Options: rate (packets/s, 1000), count (None: until stop()), size
    (UDP payload bytes, 64, at least 16), port (9000).  Arrival times are the kernel's, so
    that a busy Python does not lengthen a gap.  When the sender is late, it sends the
    packets that are due in a burst, of about 100 packets at most.
    """

    _HEADER = struct.Struct("!8sQ")
    _MAGIC = b"mdp-flow"

    def __init__(self, source, source_address, target, target_address, rate=1000,
                 count=None, size=64, port=9000):
        self.rate, self.count, self.size = rate, count, max(size, self._HEADER.size)
        family = socket.AF_INET6 if ":" in target_address else socket.AF_INET
        self._rx = target.call(socket.socket, family, socket.SOCK_DGRAM)
        self._rx.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 24)
        self._rx.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._rx.bind((target_address, port))
        self._tx = source.call(socket.socket, family, socket.SOCK_DGRAM)
        self._tx.bind((source_address, 0))
        self._peer = (target_address, port)
        self._sent_at, self._arrivals, self._errors = [], [], 0
        self._stop_sending, self._stop_receiving = threading.Event(), threading.Event()
        self._result = None
        self._threads = [threading.Thread(target=self._receive, daemon=True),
                         threading.Thread(target=self._send, daemon=True)]
        for thread in self._threads:
            thread.start()

    @property
    def sent(self):
        """The number of packets sent so far."""
        return len(self._sent_at)

    @property
    def received(self):
        """The number of packets received so far, duplicates included."""
        return len(self._arrivals)

    def arrivals(self, first=0):
        """Return [(time of arrival, time of sending)] so far, from arrival number `first` on."""
        return [(at, self._sent_at[number]) for at, number in self._arrivals[first:]]

    def wait(self, timeout=None):
        """Wait until `count` packets are sent, or `timeout`; then stop() and return its result."""
        self._threads[1].join(timeout)
        return self.stop()

    def stop(self, drain=0.5):
        """Stop sending, wait `drain` seconds for packets on their way; returns FlowResult."""
        if self._result is None:
            self._stop_sending.set()
            self._threads[1].join()
            time.sleep(drain)
            self.abort()
            self._result = self._evaluate()
        return self._result

    def abort(self):
        """Stop sending and receiving at once."""
        self._stop_sending.set()
        self._stop_receiving.set()
        for thread in self._threads:
            thread.join()
        self._tx.close()
        self._rx.close()

    def _send(self):
        padding = bytes(self.size - self._HEADER.size)
        start, due = time.monotonic(), 0
        while not self._stop_sending.is_set():
            if self.count is not None and due >= self.count:
                return
            ahead = start + due / self.rate - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            elif ahead < -100 / self.rate:          # too late: do not catch up
                start -= ahead
            due += 1
            packet = self._HEADER.pack(self._MAGIC, len(self._sent_at)) + padding
            when = time.time()
            self._sent_at.append(when)              # before it can arrive
            try:
                self._tx.sendto(packet, self._peer)
            except OSError:
                self._sent_at.pop()
                self._errors += 1

    def _receive(self):
        while not self._stop_receiving.is_set():
            if not select.select([self._rx], [], [], 0.1)[0]:
                continue
            data, ancillary, _, _ = self._rx.recvmsg(2048, 64)
            if len(data) < self._HEADER.size:
                continue
            magic, number = self._HEADER.unpack_from(data)
            if magic == self._MAGIC:
                self._arrivals.append((_kernel_time(ancillary), number))

    def _evaluate(self):
        seen, duplicates, reordered, highest = set(), 0, 0, -1
        for _, number in self._arrivals:
            duplicates += number in seen
            reordered += number < highest
            seen.add(number)
            highest = max(highest, number)
        gaps = [(0.0, (0.0, 0.0))]
        if self._sent_at:
            marks = [self._sent_at[0], *(when for when, _ in self._arrivals)]
            marks.append(max(marks[-1], self._sent_at[-1]))
            gaps += [(b - a, (a, b)) for a, b in zip(marks, marks[1:])]
        longest, where = max(gaps)
        missing = [n for n in range(len(self._sent_at)) if n not in seen]
        return FlowResult(len(self._sent_at), len(seen), duplicates, reordered,
                          len(missing), longest * 1000, where, _ranges(missing),
                          self._errors, self._sent_at, self._arrivals)


def _ranges(numbers):
    ranges = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges


def _kernel_time(ancillary):
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("qq", data[:16])
            return seconds + nanoseconds / 1e9
    return time.time()


# -- sniffer ------------------------------------------------------------------


@dataclass(frozen=True)
class EspPacket:
    """An ESP packet on the wire, in UDP (RFC 3948) or directly in IP."""

    time: float
    source: str                 # address
    destination: str
    source_port: int            # 0: not in UDP
    destination_port: int
    spi: int
    sequence: int               # the 32 bits on the wire
    iv: bytes                   # the 16 bytes after the number: iv[:8] is GCM's explicit IV
    tag: bytes                  # the last 16 bytes
    length: int                 # of the ESP packet
    outgoing: bool              # sent by the device, not received


@dataclass(frozen=True)
class OtherPacket:
    """Another packet.  kind: "ike", "keepalive", "clear" (IP without ESP), "neighbour" (ARP,
    IPv6 neighbour and multicast listener discovery) or "other"."""

    time: float
    kind: str
    source: str
    destination: str
    source_port: int
    destination_port: int
    data: bytes                 # UDP payload for ike, else from the IP header on


class Sniffer:
    """Records both directions of one device through AF_PACKET.

    It starts at once.  .esp: list of EspPacket; .others: list of OtherPacket (at most
    `keep`; .others_seen counts all); .dropped: frames that the kernel dropped because
    the socket's buffer was full (valid after stop()).
    """

    def __init__(self, ns, device, keep=10000):
        self.esp, self.others, self.others_seen, self.dropped = [], [], 0, 0
        self._keep = keep
        self._socket = ns.call(self._open, device)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._capture, daemon=True)
        self._thread.start()

    @staticmethod
    def _open(device):
        made = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)    # receives nothing before bind()
        made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 25)
        made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        made.bind((device, _ETH_P_ALL))
        return made

    def stop(self):
        """Stop recording; returns self."""
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join()
            statistics = self._socket.getsockopt(263, 6, 8)     # SOL_PACKET, PACKET_STATISTICS
            self.dropped = struct.unpack("II", statistics)[1]
            self._socket.close()
        return self

    def sequences(self, spi=None, source=None):
        """Return the ESP sequence numbers in order of arrival, of one SPI or of one source address."""
        return [p.sequence for p in list(self.esp)
                if spi in (None, p.spi) and source in (None, p.source)]

    def kinds(self):
        """Return {kind: number} of the other packets."""
        counts = {}
        for packet in list(self.others):
            counts[packet.kind] = counts.get(packet.kind, 0) + 1
        return counts

    def _capture(self):
        while True:
            if not select.select([self._socket], [], [], 0.1)[0]:
                if self._stop.is_set():
                    return
                continue
            data, ancillary, _, where = self._socket.recvmsg(65535, 64)
            self._record(data, _kernel_time(ancillary), where[1], where[2] == _PACKET_OUTGOING)
            if self._stop.is_set():
                return

    def _record(self, data, when, ethertype, outgoing):
        if ethertype == 0x0800 and len(data) >= 20:
            header = (data[0] & 15) * 4
            protocol, end = data[9], int.from_bytes(data[2:4], "big")
            source, destination = (socket.inet_ntop(socket.AF_INET, data[i:i + 4])
                                   for i in (12, 16))
        elif ethertype == 0x86dd and len(data) >= 40:
            header, protocol, end = 40, data[6], 40 + int.from_bytes(data[4:6], "big")
            source, destination = (socket.inet_ntop(socket.AF_INET6, data[i:i + 16])
                                   for i in (8, 24))
        else:
            kind = "neighbour" if ethertype == 0x0806 else "other"
            self._other(when, kind, "", "", 0, 0, data)
            return
        payload = data[header:end]
        if protocol == 50:
            self._esp(when, source, destination, 0, 0, payload, outgoing)
        elif protocol == 17 and len(payload) >= 8:
            ports = struct.unpack_from("!HH", payload)
            self._udp(when, source, destination, *ports, payload[8:], data[:end], outgoing)
        elif ethertype == 0x86dd and (source.startswith(("fe80:", "::")) and protocol in (0, 58) or
                                      protocol == 58 and payload[0] in range(133, 138)):
            self._other(when, "neighbour", source, destination, 0, 0, data[:end])
        else:
            self._other(when, "clear", source, destination, 0, 0, data[:end])

    def _udp(self, when, source, destination, sport, dport, payload, whole, outgoing):
        where = (source, destination, sport, dport)
        if 4500 in (sport, dport):
            if payload == b"\xff":
                self._other(when, "keepalive", *where, payload)
            elif payload[:4] == bytes(4):
                self._other(when, "ike", *where, payload[4:])
            else:
                self._esp(when, *where, payload, outgoing)
        elif 500 in (sport, dport):
            self._other(when, "ike", *where, payload)
        else:
            self._other(when, "clear", *where, whole)

    def _esp(self, when, source, destination, sport, dport, payload, outgoing):
        if len(payload) < 8:
            self._other(when, "other", source, destination, sport, dport, payload)
            return
        spi, sequence = struct.unpack_from("!II", payload)
        self.esp.append(EspPacket(when, source, destination, sport, dport, spi, sequence,
                                  payload[8:24], payload[-16:], len(payload), outgoing))

    def _other(self, *what):
        self.others_seen += 1
        if len(self.others) < self._keep:
            self.others.append(OtherPacket(*what))
