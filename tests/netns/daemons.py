"""Runs mendipd in a namespace of a testbed.Testbed and mendipctl against it; and a small case runner.

Used by the scripts of this folder, by tests/interop and by scripts/demo.py. MENDIP_BUILD is the folder that holds
the programs. SPDX-License-Identifier: ISC
"""
import concurrent.futures
import json
import multiprocessing
import os
import select
import signal
import subprocess
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "interop"))
sys.dont_write_bytecode = True
import testbed  # noqa: E402

BUILD = os.environ.get("MENDIP_BUILD", ".")
PSK = "a secret for tests"
OFFLOADS = ("auto", "off")
offload = "auto"  # daemon.offload of configurations that do not set it; main() runs the cases with each value


def check_answer(_command, _text):
    """Checks what mendipctl printed; main() sets this, so that each answer in each test is checked."""


def child(local, remote, **options):
    """Returns the text of a child; options: name=value as in mendip.conf, strings without quotes."""
    more = "".join(f" {k} = {v};" if isinstance(v, int) or v.startswith(("[", "{")) else f' {k} = "{v}";'
                   for k, v in options.items())
    locals_, remotes = ('", "'.join(v if isinstance(v, list) else [v]) for v in (local, remote))
    return f'{{ local_ts = [ "{locals_}" ]; remote_ts = [ "{remotes}" ];{more} }}'


def config(control, children, remote, local_id="branch.example", remote_id="gw.example.net", name="gw",
           psk=PSK, dpd="2s", daemon="", more="", proposals="aes128gcm16-prfsha256-x25519", us=None, peer=None):
    """
    Returns a whole configuration with one connection; children: {name: child(...)}; remote: address or %any; us, peer: the
    text of the groups local and remote, instead of those with a secret.
    """
    kids = " ".join(f"{n}: {c};" for n, c in children.items())
    if offload != "auto" and "offload =" not in daemon:
        daemon += f' offload = "{offload}";'
    return f"""daemon: {{ control = "{control}"; log = "debug"; {daemon} }};
connections: {{ {name}: {{
  local: {{ {us or f'id = "{local_id}"; auth = "psk";'} }};
  remote_addrs = [ "{remote}" ]; remote: {{ {peer or f'id = "{remote_id}"; auth = "psk";'} }};
  proposals = [ "{proposals}" ]; dpd_delay = "{dpd}"; {more}
  children: {{ {kids} }}; }}; }};
secrets: {{ ike_peer: {{ secret = "{psk}"; }}; }};
"""


class CtlError(Exception):
    """mendipctl exited with an error; the text is what it wrote to stderr."""


class NoFaults(Exception):
    """The installed programs, which debian/tests/namespaces tests, have no fault injection."""


class Mendip:
    """
    A mendipd in a namespace; it ends with the testbed. conf: the configuration, or a function that returns it for the
    path of the control socket; env: a list of "NAME=VALUE".
    """

    def __init__(self, bed, ns, conf, name=None, build=BUILD, env=(), control=None):
        name = name or ns.short
        self.build, self.env = build, env
        self.ns, self.control = ns, control or bed.path(f"{name}.sock")
        self.conf, self.log = bed.path(f"{name}.conf"), bed.path(f"{name}.log")
        self.write(conf(self.control) if callable(conf) else conf)
        self.process = None
        self.start()

    def write(self, text):
        with open(os.open(self.conf, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as f:
            f.write(text)

    def launch(self):
        """Starts mendipd and returns at once."""
        return self.ns.popen("env", *self.env, f"{self.build}/mendipd", "-c", self.conf, log=self.log)

    def start(self):
        self.process = self.launch()
        wait_for(lambda: self.process.poll() is not None or self.answers(), lambda: f"no answer: {self.tail()}")
        expect(self.process.poll() is None, f"mendipd ended: {self.tail()}")

    def answers(self):
        return os.path.exists(self.control) and self.run("version").returncode == 0

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def run(self, *args, as_json=True):
        """Runs mendipctl; returns the CompletedProcess."""
        done = subprocess.run([f"{self.build}/mendipctl", "-s", self.control] + (["--json"] if as_json else [])
                              + list(args), capture_output=True, text=True, timeout=15)
        if as_json and done.stdout.strip():
            check_answer(args[0], done.stdout)
        return done

    def ctl(self, *args):
        """Returns the JSON result of a command, for whose end it does not wait; raises CtlError when mendipctl fails."""
        done = self.run(*args, *(["--no-wait"] if args[0] in ("up", "down", "rekey") else []))
        if args[0] == "fault" and "unknown command" in done.stderr and "MENDIP_INSTALLED" in os.environ:
            raise NoFaults
        if done.returncode:
            raise CtlError(done.stderr.strip())
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def ctl_failing(self, *args):
        """Returns the JSON result of a command that says by its exit status that something is wrong."""
        done = self.run(*args)
        expect(done.returncode == 1 and done.stdout.strip(), f"{args}: status {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)

    def children(self):
        """Returns {name: child} over all connections."""
        return {c["name"]: c for conn in self.ctl("status")["connections"] for c in conn["children"]}

    def up(self, *names):
        kids = self.children()
        return all(kids.get(n, {}).get("state") == "up" for n in names or ("net",))

    def wait_up(self, *names, timeout=15):
        wait_for(lambda: self.up(*names), lambda: f"{names or 'net'} not up: {self.tail()}", timeout)

    def sa(self, name="net"):
        """Returns the newest CHILD SA of the child."""
        return self.children()[name]["sas"][0]

    def spi(self, name="net"):
        """Returns the inbound SPI of the child's newest CHILD SA, or None when it has no CHILD SA."""
        sas = self.children().get(name, {}).get("sas", [])
        return sas[0]["spi_in"] if sas else None

    def switchover(self, name="net"):
        return [c for c in self.ctl("switchover")["children"] if c["name"] == name][0]

    def recovered(self, name="net"):
        records = self.switchover(name)["records"]
        return bool(records) and records[0]["outcome"] == "recovered"

    def wait_recovered(self, timeout=20):
        wait_for(self.recovered, lambda: f"no recovery: {self.switchover()['records'][:1]}", timeout)

    def logged(self, text):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return text in f.read()

    def tail(self, lines=20):
        """Returns the last lines of the daemon's log."""
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-lines:])


def ping(ns, target, count=3, source=None):
    """Sends `count` echo requests; returns the number of replies."""
    done = ns.run("ping", "-n", "-q", "-i", "0.05", "-W", "1", "-c", str(count),
                  *(["-I", source] if source else []), target, check=False)
    for part in done.stdout.split(","):
        if "received" in part:
            return int(part.split()[0])
    return 0


def expect(condition, why):
    if not condition:
        raise AssertionError(why)


def run_case(case, name):
    """Runs one case and prints its result; returns whether it passed or was skipped."""
    if os.geteuid() != 0:
        print(f"ok {name} # SKIP needs root")
        return True
    try:
        case()
    except NoFaults:
        print(f"ok {name} # UNTESTED the installed programs have no fault injection", flush=True)
        return True
    except Exception as e:  # the other cases run all the same
        print(f"not ok {name}: {type(e).__name__}: {e}", flush=True)
        traceback.print_exc(file=sys.stdout)
        return False
    print(f"ok {name}", flush=True)
    return True


def wait_for(condition, why, timeout=10.0):
    """Waits until condition() is true and returns its value; raises AssertionError after `timeout` seconds."""
    value = testbed.wait_until(condition, timeout)
    expect(value, f"{why() if callable(why) else why}, after {timeout} s")
    return value


def side_by_side(count):
    """Runs functions in so many processes. They are copies of this one, which later Pythons do not make without being asked."""
    return concurrent.futures.ProcessPoolExecutor(count, multiprocessing.get_context("fork"))


def read_lines(stream, count, nudge=lambda: None, timeout=20.0):
    """Returns the first lines of what a program writes; calls nudge() again and again until they are there."""
    end, data = time.monotonic() + timeout, b""
    while data.count(b"\n") < count:
        expect(time.monotonic() < end, f"{count} lines did not come in {timeout} s: {data!r}")
        nudge()
        if select.select([stream], [], [], 0.5)[0]:
            part = os.read(stream.fileno(), 65536)
            expect(part, f"the program ended: {data!r}")
            data += part
    return data.decode().splitlines(True)[:count]


def main(cases, offloads=None):
    """
    Runs the functions as cases, which are named after them: all, or those that the command line names. With `offloads`
    it runs them once for each of these values of daemon.offload. Exits with 0, with 1 when a case failed, or with 77
    when it is not run as root.
    """
    global offload, check_answer
    import answers  # which needs a module that the demonstration has no use for
    check_answer = answers.check
    passed = True
    for offload in offloads or ("auto",):
        for case in [c for c in cases if not sys.argv[1:] or c.__name__ in sys.argv[1:]]:
            name = f"{case.__name__}, offload {offload}" if offloads else case.__name__
            passed &= run_case(case, name)
    sys.exit(77 if os.geteuid() else 0 if passed else 1)


def pair(bed, left_children, right_children, dpd="2s", gw_dpd=None, **left_options):
    """Starts a branch and a gateway on one link; returns (branch, gateway) and does not wait for the tunnel."""
    left, right = bed.pair("branch", "gw")
    gw = Mendip(bed, right, lambda s: config(s, right_children, "%any", "gw.example.net", "*.example", "branch",
                                             dpd=gw_dpd or dpd))
    branch = Mendip(bed, left, lambda s: config(s, left_children, right.outer, dpd=dpd, **left_options))
    return branch, gw


NET = {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action="start", switchover='{ jitter = "10ms"; }')}
NET_GW = {"net": child("10.2.0.0/16", "10.1.0.0/16")}


def more_traffic(flow, packets):
    """Waits until the flow has sent `packets` more; on a busy machine that takes longer than its rate implies."""
    enough = flow.sent + packets
    wait_for(lambda: flow.sent >= enough, lambda: f"{flow.sent} sent instead of {enough}", 30)


def settle(seconds=0.2):
    time.sleep(seconds)
