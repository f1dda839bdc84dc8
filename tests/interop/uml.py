"""A machine with a real Linux kernel, in user space: Debian's user-mode-linux, which needs no virtualization.

    with testbed.Testbed("kernel") as bed:
        left, machine, lan = uml.between(bed)       # left -- machine -- lan
        machine.run("ip", "xfrm", "state").stdout

The kernel is a process. Its root file system is that of this system, read-only, with the packages of uml_packages.py and
a memory file system over it: the machine changes no file of this system. uml_agent.py runs in it, and carries out
commands that come over a device of their own. All processes of the machine are in a PID namespace, and end with its
first one. SPDX-License-Identifier: ISC
"""
import json
import os
import signal
import socket
import subprocess

import testbed
import uml_agent
import uml_packages

HERE = os.path.dirname(os.path.abspath(__file__))
MEMORY = "256M"
BOOT_TIMEOUT = 90           # seconds; without other load it takes 4
COMMAND_TIMEOUT = 30
OUTER = "192.0.2.2"         # of the machine, on the link to `left`
OUTER6 = "2001:db8::2"
INSIDE = "10.2.255.254"     # of the machine, on the link to `lan`
CONTROL = "203.0.113.2"     # of the machine, for commands
ENDED = 128 + signal.SIGKILL


class Process:
    """A process in the machine; as testbed.Process."""

    def __init__(self, machine, pid, log):
        self.machine, self.pid, self.log, self.returncode = machine, pid, log, None

    def poll(self):
        if self.returncode is None and self.machine.runs():
            self.returncode = self.machine.ask("poll", pid=self.pid)
        return self.returncode if self.machine.runs() else ENDED

    def wait(self, timeout=COMMAND_TIMEOUT):
        testbed.wait_until(lambda: self.poll() is not None, timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired(self.log, timeout)
        return self.returncode

    def signal(self, number):
        if self.machine.runs():
            self.machine.ask("kill", pid=self.pid, number=number)

    def kill(self):
        self.signal(signal.SIGKILL)

    def stop(self, timeout=5.0):
        """Ends the process with SIGTERM, and after `timeout` with SIGKILL; returns the exit status."""
        self.signal(signal.SIGTERM)
        if testbed.wait_until(lambda: self.poll() is not None, timeout) is None:
            self.kill()
        return self.wait()


class Machine:
    """The machine, as a namespace of a testbed; it ends with the testbed.

    host is a Namespace that holds the processes of the machine and the link for commands; options: further ones of the kernel.
    """

    def __init__(self, bed, host, name="machine", options=()):
        self.options = options
        self.bed, self.host, self.short, self.name = bed, host, name, f"{host.name}, user-mode Linux"
        self.outer, self.inner = OUTER, None
        self.console = bed.path(f"{name}.console")
        self.process = None

    def start(self):
        """Boots; returns self. The devices left, lan and control of the host's namespace are those of the machine."""
        packages = uml_packages.folder()
        devices = {"left": f"{OUTER}/24", "lan": f"{INSIDE}/16", "control": f"{CONTROL}/30"}
        for device in devices:
            self.host.ip("tuntap", "add", "mode", "tap", "name", device)
        self.host.address("control", "203.0.113.1/30")
        vectors = [f"vec{n}:transport=tap,ifname={device}" for n, device in enumerate(devices)]
        addresses = ",".join(f"vec{n}={address}" for n, address in enumerate(devices.values()))
        self.process = self.host.popen(
            "unshare", "--pid", "--fork", "--kill-child", uml_packages.kernel(packages), f"mem={MEMORY}",
            "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "con=null", "con0=null,fd:1", "ssl=null",
            f"init={HERE}/uml_init", f"uml_dir={self.bed.directory}/", "umid=machine", "panic=-1", *self.options, *vectors,
            f"mendip_packages={packages}", f"mendip_agent={HERE}/uml_agent.py", f"mendip_devices={addresses}",
            log=self.console, env={**os.environ, "LD_PRELOAD": shim(self.bed.directory), "TMPDIR": self.bed.directory})
        if not testbed.wait_until(lambda: not self.runs() or self.answers(), BOOT_TIMEOUT) or not self.runs():
            raise testbed.TestbedError(f"the machine does not start:\n{self.said()}")
        return self

    def runs(self):
        return self.process.poll() is None

    def answers(self):
        try:
            return self.ask("read", path="/etc/hostname", patience=1) is not None
        except OSError:
            return False

    def connect(self, port, patience=5):
        """Returns a TCP connection to a port of the machine."""
        return self.host.call(socket.create_connection, (CONTROL, port), patience)

    def ask(self, what, patience=COMMAND_TIMEOUT, **more):
        """Lets the agent carry out a request; returns its value."""
        with self.connect(uml_agent.PORT) as connection, connection.makefile("rwb") as file:
            connection.settimeout(patience + 5)
            file.write(json.dumps({"do": what, **more}).encode() + b"\n")
            file.flush()
            line = file.readline()
        answer = json.loads(line or '{"error": "no answer"}')
        if "error" in answer:
            raise testbed.TestbedError(f"{what} {more}: {answer['error']}")
        return answer["value"]

    def run(self, *argv, check=True, timeout=COMMAND_TIMEOUT, stdin=None):
        """Runs a command to its end; returns the CompletedProcess with text output (as Namespace.run)."""
        argv = [str(a) for a in argv]
        status, out, err = self.ask("run", timeout, argv=argv, stdin=stdin, timeout=timeout)
        if check and status:
            raise testbed.TestbedError(f"{' '.join(argv)}: exit {status}: {(err or out).strip()}")
        return subprocess.CompletedProcess(argv, status, out, err)

    def popen(self, *argv, log="/run/log", env=None):
        """Starts a process with its output in a file of the machine."""
        return Process(self, self.ask("spawn", argv=[str(a) for a in argv], log=log, env=env or {}), log)

    def write(self, path, text, mode=0o600):
        self.ask("write", path=path, text=text, mode=mode)

    def read(self, path):
        return self.ask("read", path=path)

    def said(self, lines=40):
        """Returns what the console said since the first process was started."""
        with open(self.console, encoding="utf-8", errors="replace") as file:
            text = file.read()
        return "".join(text[max(text.find("as init process"), 0):].splitlines(True)[:lines])


def shim(folder):
    """Compiles uml_ptrace.c; returns the path of the library."""
    library = os.path.join(folder, "uml_ptrace.so")
    testbed.run("cc", "-Wall", "-Wextra", "-Werror", "-O2", "-fPIC", "-shared", "-o", library,
                os.path.join(HERE, "uml_ptrace.c"))
    return library


def missing():
    """Returns why the machine cannot run here, or None."""
    if not os.path.exists("/dev/net/tun"):
        return "/dev/net/tun is missing"
    return uml_packages.missing()


def between(bed, options=()):
    """Makes left -- machine -- lan and boots the machine, with these options of its kernel; returns (left, machine, lan).

    left: 192.0.2.1 and 2001:db8::1, inner 10.1.0.1/16      machine: 192.0.2.2 and 2001:db8::2
    lan: 10.2.0.1/16, behind the machine
    """
    host, left, lan = (bed.namespace(name) for name in ("host", "branch", "lan"))
    machine = Machine(bed, host, options=options).start()
    for ns, device, *addresses in ((left, "left", "192.0.2.1/24", "2001:db8::1/64"), (lan, "lan", "10.2.0.1/16")):
        host.ip("link", "set", device, "netns", ns.name, "name", "eth0")  # the machine keeps its end
        ns.address("eth0", *addresses)
    left.outer6, machine.outer6 = "2001:db8::1", OUTER6
    left.outer, left.inner, lan.inner, machine.inner = "192.0.2.1", "10.1.0.1", "10.2.0.1", "10.2.0.1"
    left.inner_net("10.1.0.1/16")
    lan.route("10.1.0.0/16", "via", INSIDE)
    machine.run("ip", "route", "add", "default", "via", left.outer)
    # Only now: a device of the machine that sends while its other end is moved is dead for good.
    machine.run("sh", "-ec", f"modprobe ipv6; ip addr add {OUTER6}/64 dev vec0 nodad")
    return left, machine, lan
