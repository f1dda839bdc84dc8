#!/usr/bin/python3
# The systemd unit, the notify protocol, the daemon's privileges, and the manual pages. SPDX-License-Identifier: ISC
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile

from daemons import BUILD, NET, Mendip, config, expect, main, testbed, wait_for

NET_ADMIN, NET_BIND_SERVICE = 12, 10


def unit_verifies():
    with tempfile.TemporaryDirectory() as d:
        unit = os.path.join(d, "mendipd.service")
        with open(os.path.join(BUILD, "etc/mendipd.service"), encoding="utf-8") as f:
            text = f.read()
        # the programs are not installed, and the check of the unit wants existing executables
        text = re.sub(r"^ExecStart=\S+", f"ExecStart={BUILD}/mendipd", text, flags=re.M)
        text = re.sub(r"^ExecReload=\S+", f"ExecReload={BUILD}/mendipctl", text, flags=re.M)
        with open(unit, "w", encoding="utf-8") as f:
            f.write(text)
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
        expect(done.returncode == 0 and "mendipd" not in done.stderr, done.stderr)
        done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", unit],
                              capture_output=True, text=True)
        m = re.search(r"Overall exposure level for mendipd.service: ([\d.]+)", done.stdout)
        expect(m, done.stdout + done.stderr)
        print(f"# systemd-analyze security: exposure {m[1]}")
        expect(float(m[1]) < 2.5, f"exposure {m[1]}")


class Notify:
    """A notify socket that collects the daemon's messages."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.seen = ""

    def wait(self, text, timeout=5):
        self.socket.settimeout(timeout)
        while text not in self.seen:
            self.seen += self.socket.recv(4096).decode() + "\n"


def start_with(bed, ns, environment, conf=None):
    control, path = bed.path("n.sock"), bed.path("n.conf")
    with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
        f.write(conf or config(control, NET, "192.0.2.2"))
    return ns.popen("env", *environment, f"{BUILD}/mendipd", "-c", path, log=bed.path("n.log"))


def notify_protocol():
    with testbed.Testbed("notify") as bed:
        left, _ = bed.pair("branch", "gw")
        n = Notify(bed.path("notify"))
        process = start_with(bed, left, [f"NOTIFY_SOCKET={n.path}", "WATCHDOG_USEC=400000"])
        n.wait("READY=1")
        n.wait("WATCHDOG=1")
        n.seen = ""
        os.kill(process.pid, signal.SIGHUP)
        n.wait("RELOADING=1")
        n.wait("READY=1")
        os.kill(process.pid, signal.SIGTERM)
        n.wait("STOPPING=1")
        expect(process.wait(timeout=5) == 0, "exit status")


def a_bad_configuration_is_not_started_again():
    """
    A bad configuration has an exit status of its own, after which the unit does not start the daemon again; after other
    failures it does.
    """
    with testbed.Testbed("bad") as bed:
        left, _ = bed.pair("branch", "gw")
        bad = start_with(bed, left, [], "daemon: { nonsense = 1; };").wait(timeout=5)
        no_device = start_with(bed, left, [], config(bed.path("n.sock"), NET, "192.0.2.2", daemon='tun = "eth0";'))
        failed = no_device.wait(timeout=5)
    with open(f"{BUILD}/etc/mendipd.service", encoding="utf-8") as f:
        unit = f.read()
    expect(bad == 78 and failed == 1, f"exit statuses {bad} and {failed}")
    expect("\nRestartPreventExitStatus=78\n" in unit and "\nRestart=on-failure\n" in unit, unit)


def capabilities(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        fields = dict(line.split(":", 1) for line in f)
    return {k: v.strip() for k, v in fields.items()}


def privileges_are_dropped():
    with testbed.Testbed("privileges") as bed:
        left, _ = bed.pair("branch", "gw")
        daemon = Mendip(bed, left, lambda s: config(s, NET, "192.0.2.2"))
        status = capabilities(daemon.process.pid)
        want = 1 << NET_ADMIN | 1 << NET_BIND_SERVICE
        expect(int(status["CapEff"], 16) == want, f"CapEff {status['CapEff']}")
        expect(int(status["CapPrm"], 16) == want, f"CapPrm {status['CapPrm']}")
        expect(status["NoNewPrivs"] == "1", "NoNewPrivs is off")


def runs_as_a_user():
    with testbed.Testbed("user") as bed:
        left, _ = bed.pair("branch", "gw")
        folder = bed.path("run")
        os.mkdir(folder)
        shutil.chown(folder, "nobody")
        os.chmod(os.path.dirname(folder), 0o755)
        conf = config(f"{folder}/c.sock", NET, "192.0.2.2", daemon='user = "nobody";')
        process = start_with(bed, left, [], conf)
        wait_for(lambda: os.path.exists(f"{folder}/c.sock"), "no control socket", 5)
        wait_for(lambda: capabilities(process.pid)["Uid"].split()[0] != "0", "it still runs as root", 5)
        status = capabilities(process.pid)
        expect(int(status["CapEff"], 16) == 1 << NET_ADMIN | 1 << NET_BIND_SERVICE, f"CapEff {status['CapEff']}")


def manual_pages_are_clean():
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../man")
    for page in os.listdir(here):
        done = subprocess.run(["mandoc", "-Tlint", "-W", "warning", os.path.join(here, page)], capture_output=True,
                              text=True)
        expect(done.returncode == 0, done.stdout)


main([unit_verifies, notify_protocol, a_bad_configuration_is_not_started_again,
      privileges_are_dropped, runs_as_a_user, manual_pages_are_clean])
