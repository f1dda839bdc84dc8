"""mendipd in a namespace of a netlab.Lab, mendipctl for it, and a small case runner.

Used by the scripts of this folder, by tests/interop and by scripts/demo.py. MENDIP_BUILD is the folder with
the programs. SPDX-License-Identifier: ISC
"""
import json
import os
import signal
import subprocess
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "interop"))
sys.dont_write_bytecode = True
import netlab  # noqa: E402

BUILD = os.environ.get("MENDIP_BUILD", ".")
PSK = "a secret for tests"


def child(local, remote, **options):
    """The text of a child; options: name=value in mendip.conf's terms, strings without quotes."""
    more = "".join(f" {k} = {v};" if isinstance(v, int) or v.startswith(("[", "{")) else f' {k} = "{v}";'
                   for k, v in options.items())
    locals_, remotes = ('", "'.join(v if isinstance(v, list) else [v]) for v in (local, remote))
    return f'{{ local_ts = [ "{locals_}" ]; remote_ts = [ "{remotes}" ];{more} }}'


def config(control, children, remote, local_id="branch.example", remote_id="gw.example.net", name="gw",
           psk=PSK, dpd="2s", daemon="", more="", proposals="aes128gcm16-prfsha256-x25519"):
    """A whole configuration with one connection; children: {name: child(...)}; remote: address or %any."""
    kids = " ".join(f"{n}: {c};" for n, c in children.items())
    return f"""daemon: {{ control = "{control}"; log = "debug"; {daemon} }};
connections: {{ {name}: {{
  local: {{ id = "{local_id}"; auth = "psk"; }};
  remote_addrs = [ "{remote}" ]; remote: {{ id = "{remote_id}"; auth = "psk"; }};
  proposals = [ "{proposals}" ]; dpd_delay = "{dpd}"; {more}
  children: {{ {kids} }}; }}; }};
secrets: {{ ike_peer: {{ secret = "{psk}"; }}; }};
"""


class CtlError(Exception):
    """mendipctl refused; the text is its line on stderr."""


class Mendip:
    """A mendipd in a namespace; ends with the lab. conf: text, or a function of the control path."""

    def __init__(self, lab, ns, conf, name=None, build=BUILD):
        name = name or ns.short
        self.build = build
        self.ns, self.control = ns, lab.path(f"{name}.sock")
        self.conf, self.log = lab.path(f"{name}.conf"), lab.path(f"{name}.log")
        self.write(conf(self.control) if callable(conf) else conf)
        self.process = None
        self.start()

    def write(self, text):
        with open(os.open(self.conf, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as f:
            f.write(text)

    def start(self):
        self.process = self.ns.popen(f"{self.build}/mendipd", "-c", self.conf, log=self.log)
        netlab.wait_until(self.answers, 10)

    def answers(self):
        return os.path.exists(self.control) and self.run("version").returncode == 0

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def run(self, *args, as_json=True):
        """mendipctl as it is: the CompletedProcess."""
        return subprocess.run([f"{self.build}/mendipctl", "-s", self.control] + (["--json"] if as_json else [])
                              + list(args), capture_output=True, text=True, timeout=15)

    def ctl(self, *args):
        """The JSON result of a command; CtlError when it is refused."""
        done = self.run(*args)
        if done.returncode:
            raise CtlError(done.stderr.strip())
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def children(self):
        """{name: child} over all connections."""
        return {c["name"]: c for conn in self.ctl("status")["connections"] for c in conn["children"]}

    def up(self, *names):
        kids = self.children()
        return all(kids.get(n, {}).get("state") == "up" for n in names or ("net",))

    def wait_up(self, *names, timeout=15):
        netlab.wait_until(lambda: self.up(*names), timeout)

    def sa(self, name="net"):
        """The newest CHILD SA of the child."""
        return self.children()[name]["sas"][0]

    def spi(self, name="net"):
        """Its inbound SPI, or None when there is none."""
        sas = self.children().get(name, {}).get("sas", [])
        return sas[0]["spi_in"] if sas else None

    def switchover(self, name="net"):
        return [c for c in self.ctl("switchover")["children"] if c["name"] == name][0]

    def logged(self, text):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return text in f.read()


def ping(ns, target, count=3, source=None):
    """Replies of `count` pings."""
    done = ns.run("ping", "-n", "-q", "-i", "0.05", "-W", "1", "-c", str(count),
                  *(["-I", source] if source else []), target, check=False)
    for part in done.stdout.split(","):
        if "received" in part:
            return int(part.split()[0])
    return 0


def expect(condition, why):
    if not condition:
        raise AssertionError(why)


def main(cases):
    """Runs the functions; each is a case named by itself. Exits 0, or 1 when one failed."""
    if os.geteuid() != 0:
        for case in cases:
            print(f"ok {case.__name__} # SKIP needs root")
        sys.exit(77)
    failed = 0
    for case in [c for c in cases if not sys.argv[1:] or c.__name__ in sys.argv[1:]]:
        try:
            case()
            print(f"ok {case.__name__}", flush=True)
        except Exception as e:  # each case stands for itself
            failed += 1
            print(f"not ok {case.__name__}: {type(e).__name__}: {e}", flush=True)
            traceback.print_exc(file=sys.stdout)
    sys.exit(1 if failed else 0)


def pair(lab, left_children, right_children, dpd="2s", **left_options):
    """Branch and gateway side by side, up; returns (branch, gateway)."""
    left, right = lab.pair("branch", "gw")
    gw = Mendip(lab, right, lambda s: config(s, right_children, "%any", "gw.example.net", "*.example", "branch",
                                             dpd=dpd))
    branch = Mendip(lab, left, lambda s: config(s, left_children, right.outer, dpd=dpd, **left_options))
    return branch, gw


NET = {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action="start", switchover='{ jitter = "10ms"; }')}
NET_GW = {"net": child("10.2.0.0/16", "10.1.0.0/16")}


def settle(seconds=0.2):
    time.sleep(seconds)
