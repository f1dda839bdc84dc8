#!/usr/bin/python3
# The systemd unit, the notify protocol, the daemon's privileges, and the manual pages. SPDX-License-Identifier: ISC
import os
import re
import shutil
import signal
import socket
import stat
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


# (what is wrong, the options of daemon, words in front of the command, exit status, what the log says). In front: "sh -c"
# scripts in a mount namespace of their own, or tools that take something away. {bed}: the folder of the test.
ALONE = ["unshare", "--mount", "sh", "-c"]
STARTS = (
    ("the configuration", "nonsense = 1;", [], 78, "daemon.nonsense"),
    ("no tun", "", [*ALONE, 'mount -t tmpfs none /dev/net && exec "$0" "$@"'], 69, "/dev/net/tun: No such file or directory"),
    ("tun is another thing", "", [*ALONE, 'mount -t tmpfs none /dev/net && echo >/dev/net/tun && exec "$0" "$@"'], 69,
     "TUN device mendip0: Inappropriate ioctl"),
    ("no CAP_NET_ADMIN", "", ["setpriv", "--bounding-set", "-net_admin"], 77, "needs CAP_NET_ADMIN"),
    ("no CAP_NET_BIND_SERVICE", "", ["setpriv", "--bounding-set", "-net_bind_service"], 77, "needs CAP_NET_BIND_SERVICE"),
    ("the name of the device", 'tun = "eth0";', [], 69, "TUN device eth0: Invalid argument"),
    ("the device is taken", "", [], 69, "TUN device mendip0: Device or resource busy: another process has it"),
    ("the port is taken", 'tun = "other0";', [], 69, "UDP port 500: Address already in use: is another IKE daemon running?"),
    ("the user", 'user = "no-such-user";', [], 78, "daemon.user: this host has no such user"),
    ("the folder of keys", 'key_log = "/no/such/folder";', [], 69, "No such file or directory"),
    ("the folder of the socket", 'control = "/no/such/folder/c";', [], 69, "make its folder"),
    ("the right to the folder", 'user = "nobody"; control = "{bed}/c";', [], 77, "let the daemon's user write to its folder"),
    ("a socket of another daemon", 'control = "{bed}/branch.sock"; tun = "other0";', ["ip", "netns", "exec", "{other}"], 69, "is another mendipd running?"),
    ("a file in place of the socket", 'control = "{bed}/n.conf";', [], 69, "exists and is not a socket"),
    ("the right to become the user", 'user = "nobody";', ["setpriv", "--bounding-set", "-setuid"], 77, 'cannot become "nobody"'),
    ("the right to its groups", 'user = "nobody";', ["setpriv", "--bounding-set", "-setgid"], 77,
     'the groups of "nobody" cannot be set: Operation not permitted: start with CAP_SETGID'),
    ("descriptors", "", ["prlimit", "--nofile=9"], 1, "cannot be brought up"),
    ("fewer of them", "", ["prlimit", "--nofile=7"], 1, "not started (exit status 1, "),
    ("none for the configuration", "", ["prlimit", "--nofile=6"], 1, "n.conf: cannot be read: Too many open files"),
    ("none to try it", "", ["prlimit", "--nofile=4"], 1, "n.conf: cannot be tried: Too many open files"),
    ("no process to try it", "", ["setpriv", "--reuid", "games", "--clear-groups", "prlimit", "--nproc=0"], 1,
     "cannot be tried: Resource temporarily unavailable"),
)


def start_failing(bed, ns, row, other):
    """Starts mendipd as the row says; returns (exit status, log)."""
    what, daemon, front, _, _ = row
    path = bed.path("n.conf")
    text = config(bed.path("n.sock"), NET, "192.0.2.2", daemon=daemon.replace("{bed}", bed.directory))
    if "control =" in daemon:
        text = text.replace(f'control = "{bed.path("n.sock")}"; ', "")
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8") as f:
        f.write(text)
    front = [word.replace("{other}", other.name) for word in front]
    done = ns.run(*front, f"{BUILD}/mendipd", "-c", path, check=False)
    expect(done.returncode >= 0, f"{what}: it crashed: {done.stderr}")
    return done.returncode, done.stderr


def each_start_that_fails_has_its_status():
    """What does not get better by itself has an exit status after which the unit does not start the daemon again."""
    busy = {"the device is taken", "the port is taken", "a socket of another daemon"}
    with testbed.Testbed("starts") as bed:
        left, _ = bed.pair("branch", "gw")
        other = bed.namespace("other")
        os.chmod(bed.directory, 0o755)

        def look(row):
            status, log = start_failing(bed, left, row, other)
            expect(status == row[3] and row[4] in log, f"{row[0]}: exit status {status} instead of {row[3]}: {log}")
            ending = "that may pass: another start can succeed" if status == 1 else "mend that, then start mendipd again"
            last = log.splitlines()[-1]
            expect(re.search(rf" error: not started \(exit status {status}(, [^)]+)?\): {ending}$", last), f"{row[0]}: the last line: {log}")
        for row in STARTS:
            if row[0] not in busy:
                look(row)
        running = Mendip(bed, left, lambda s: config(s, NET, "192.0.2.2"), name="branch")
        for row in STARTS:
            if row[0] in busy:
                look(row)
        expect(running.run("version").returncode == 0, "the one that runs has ended")
        usage = left.run(f"{BUILD}/mendipd", "--nonsense", check=False).returncode
        expect(usage == 2, f"wrong usage: {usage}")
    with open(f"{BUILD}/etc/mendipd.service", encoding="utf-8") as f:
        unit = f.read()
    not_again = set(re.search(r"^RestartPreventExitStatus=(.*)$", unit, re.M)[1].split())
    expect(not_again == {"GROUP", "USER", "CREDENTIALS", str(usage), *(str(row[3]) for row in STARTS if row[3] != 1)}, not_again)
    expect("\nRestart=on-failure\n" in unit, unit)


def the_manual_has_each_status():
    here = os.path.dirname(os.path.abspath(__file__))
    with open(f"{here}/../../man/mendipd.8", encoding="utf-8") as f:
        text = f.read().split(".Sh EXIT STATUS")[1].split(".Sh ")[0]
    with open(f"{here}/../../daemon/exit_status.h", encoding="utf-8") as f:
        statuses = set(re.findall(r"\bEXIT_\w+\s*= (\d+)", f.read()))
    expect(set(re.findall(r"^\.It (\d+)$", text, re.M)) == statuses and len(statuses) == 6, statuses)


def what_is_installed_agrees():
    """
    make install, systemd-sysusers and systemd-tmpfiles make a folder that only root and the service can enter, and the
    groups of the sockets, of which the service is a member; the unit has the same names and modes.
    """
    with tempfile.TemporaryDirectory() as root:
        subprocess.run(["make", "-s", "-C", BUILD, "install", f"DESTDIR={root}"], check=True, capture_output=True,
                       env={k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")})

        def installed(name):
            return [os.path.join(d, name) for d, _, files in os.walk(root) if name in files]
        units = installed("mendipd.service")
        expect(len(units) == 1, units)
        with open(units[0], encoding="utf-8") as f:
            unit = dict(line.split("=", 1) for line in f.read().splitlines() if "=" in line and not line.startswith("#"))
        expect((unit["User"], unit["Group"], unit["UMask"]) == ("mendip", "mendip", "0027"), unit)
        file = unit["ExecStart"].split("-c ")[1]
        expect(unit["ConditionPathExists"] == file, f"the unit does not wait for {file}")
        etc = os.path.dirname(root + file)
        users, files = (p for folder in ("sysusers.d", "tmpfiles.d") for p in installed("mendip.conf") if folder in p)
        mode = stat.S_IMODE(os.stat(etc).st_mode)
        expect(f"{mode:04o}" == unit["ConfigurationDirectoryMode"] == "0750", f"{etc}: {mode:o}")
        os.makedirs(f"{root}/etc", exist_ok=True)
        subprocess.run(["systemd-sysusers", f"--root={root}", users], check=True, capture_output=True)
        with open(f"{root}/etc/group", encoding="utf-8") as f:
            groups = {line.split(":")[0]: line.strip().split(":")[2:] for line in f}
        expect(set(groups) == {"mendip", "mendip-view", "mendip-admin"}, groups)
        expect([groups[g][1] for g in ("mendip", "mendip-view", "mendip-admin")] == ["", "mendip", "mendip"], groups)
        subprocess.run(["systemd-tmpfiles", f"--root={root}", "--create", files], check=True, capture_output=True)
        run = os.stat(f"{root}/run/mendip")
        expect(f"{stat.S_IMODE(run.st_mode):04o}" == unit["RuntimeDirectoryMode"] == "0755", f"{run}")
        st = os.stat(etc)
        expect((st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (0, int(groups["mendip"][0]), 0o750), f"{etc}: {st}")


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


def one_capability_is_enough():
    """As in a container: root without CAP_SETPCAP and the like, and ports that are open to all."""
    with testbed.Testbed("container") as bed:
        left, _ = bed.pair("branch", "gw")
        left.run("sysctl", "-q", "-w", "net.ipv4.ip_unprivileged_port_start=500")
        control, path = bed.path("n.sock"), bed.path("n.conf")
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
            f.write(config(control, NET, "192.0.2.2"))
        os.chmod(os.path.dirname(control), 0o755)
        process = left.popen("setpriv", "--bounding-set", "-all,+net_admin", f"{BUILD}/mendipd", "-c", path,
                             log=bed.path("n.log"))
        wait_for(lambda: os.path.exists(control) or process.poll() is not None, "no control socket", 5)
        with open(bed.path("n.log"), encoding="utf-8") as f:
            expect(process.poll() is None, f.read())
        status = capabilities(process.pid)
        expect(int(status["CapPrm"], 16) == int(status["CapEff"], 16) == 1 << NET_ADMIN, f"CapPrm {status['CapPrm']}")


def runs_as_a_user():
    """Also without CAP_SETPCAP, when the bounding set stays as it is."""
    for front in ([], ["setpriv", "--bounding-set", "-setpcap"]):
        with testbed.Testbed("user") as bed:
            left, _ = bed.pair("branch", "gw")
            folder = bed.path("run")
            os.mkdir(folder)
            shutil.chown(folder, "nobody")
            os.chmod(os.path.dirname(folder), 0o755)
            conf = config(f"{folder}/c.sock", NET, "192.0.2.2", daemon='user = "nobody";')
            process = start_with(bed, left, front, conf)
            wait_for(lambda: os.path.exists(f"{folder}/c.sock") or process.poll() is not None, "no control socket", 5)
            with open(bed.path("n.log"), encoding="utf-8") as f:
                expect(process.poll() is None, f"{front}: {f.read()}")
            status = capabilities(process.pid)
            expect(status["Uid"].split()[0] != "0", f"{front}: it still runs as root")
            want = 1 << NET_ADMIN | 1 << NET_BIND_SERVICE
            expect(int(status["CapEff"], 16) == int(status["CapPrm"], 16) == want, f"{front}: CapEff {status['CapEff']}")
            expect(bool(front) == bool(int(status["CapBnd"], 16)), f"{front}: CapBnd {status['CapBnd']}")


def manual_pages_are_clean():
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../man")
    for page in os.listdir(here):
        done = subprocess.run(["mandoc", "-Tlint", "-W", "warning", os.path.join(here, page)], capture_output=True,
                              text=True)
        expect(done.returncode == 0, done.stdout)


main([unit_verifies, notify_protocol, each_start_that_fails_has_its_status, the_manual_has_each_status, what_is_installed_agrees,
      privileges_are_dropped, one_capability_is_enough, runs_as_a_user, manual_pages_are_clean])
