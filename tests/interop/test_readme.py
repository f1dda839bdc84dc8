#!/usr/bin/python3
# A tunnel by README.md alone: its two configurations, with the right and with a wrong secret. SPDX-License-Identifier: ISC
"""
Takes the configuration of Mendip and that of strongSwan from README.md as they stand there, and does what README.md says, in
two namespaces. Only the path of the control socket is added.
"""
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "netns"))
import strongswan  # noqa: E402
from daemons import BUILD, Mendip, expect, main, ping, testbed, wait_for  # noqa: E402
from names import files_of  # noqa: E402

README = os.path.join(HERE, "..", "..", "README.md")
SECRET = "use a long random one"


def block(title):
    """Returns the first indented lines after the paragraph that begins with this title."""
    with open(README, encoding="utf-8") as f:
        text = f.read()
    after = text[text.index(title):]
    return re.sub(r"^    ", "", re.search(r"^\n((?:    .*\n)+)", after, re.M)[1], flags=re.M)


class Steps:
    """What a new user does, with the time that it took and what was printed."""

    def __init__(self):
        self.last = time.monotonic()

    def done(self, what, said=""):
        now = time.monotonic()
        print(f"# {what:<44} {now - self.last:5.1f} s  {' / '.join(said.strip().splitlines()[-2:])[:110]}")
        self.last = now


class Site:
    """The branch and the gateway, each configured as README.md says."""

    def __init__(self, bed, secret=SECRET):
        self.steps = Steps()
        left, right = bed.pair("branch", "gw")
        files_of(bed, left)("hosts", f"127.0.0.1 localhost\n{right.outer} gw.example.net\n")
        self.charon = strongswan.Charon(bed, right, {}, SECRET).start()
        swanctl = self.load(bed, block("**strongSwan's side**"))
        self.steps.done("strongSwan: swanctl --load-all", swanctl)
        self.conf = bed.path("mendip.conf")
        self.text = block("**Mendip's side**").replace(SECRET, secret)
        self.bed, self.ns, self.gw = bed, left, right

    def load(self, bed, text):
        """swanctl --load-all of a file with this text."""
        path = bed.path("swanctl.conf")
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        done = subprocess.run(["swanctl", "--load-all", "--file", path, "--uri", f"unix://{self.charon.socket}"],
                              capture_output=True, text=True, timeout=20)
        expect(done.returncode == 0, f"swanctl: {done.stdout}{done.stderr}")
        return done.stdout

    def check(self):
        """mendipd --check of README.md's text as it is."""
        with open(os.open(self.conf, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as f:
            f.write(self.text)
        done = self.ns.run(f"{BUILD}/mendipd", "--check", "-c", self.conf, check=False)
        expect(done.returncode == 0 and "warning" not in done.stdout + done.stderr, f"{done.stdout}{done.stderr}")
        self.steps.done("mendipd --check", done.stdout + done.stderr)

    def begin(self):
        branch = Mendip(self.bed, self.ns, lambda s: f'daemon: {{ control = "{s}"; log = "debug"; }};\n{self.text}')
        self.steps.done("systemctl start mendipd")
        return branch


def commands_of_readme_exist():
    """Each option of the programs that README.md shows is one."""
    with open(README, encoding="utf-8") as f:
        shown = set(re.findall(r"^    (?:sudo )?(mendipctl [a-z]+|mendipd --[a-z-]+)", f.read(), re.M))
    expect({"mendipctl status", "mendipctl diagnose", "mendipd --check"} <= shown, f"{shown}")
    for command in shown:
        program, word = command.split()
        done = subprocess.run([f"{BUILD}/{program}", "help" if program == "mendipctl" else "--help"], capture_output=True,
                              text=True)
        expect(re.search(rf"^ +(-\w, )?{re.escape(word)}\b", done.stdout, re.M), f"{command} is not in its help")


def with_the_right_secret():
    with testbed.Testbed("readme") as bed:
        site = Site(bed)
        site.check()
        branch = site.begin()
        branch.wait_up("net")
        status = branch.run("status", as_json=False).stdout
        expect(re.search(r"^gw/net  up  ", status, re.M), status)
        site.steps.done("mendipctl status", status)
        expect(ping(site.ns, site.gw.inner, 3, source=site.ns.inner) == 3, "no ping")
        site.steps.done("ping through the tunnel")
        done = branch.run("diagnose", "gw", as_json=False)
        expect(done.returncode == 0 and "gw/net: ok" in done.stdout, done.stdout)
        site.steps.done("mendipctl diagnose gw", done.stdout)


def with_a_wrong_secret():
    with testbed.Testbed("readme") as bed:
        site = Site(bed, "not the one of the gateway")
        site.check()
        branch = site.begin()
        wait_for(lambda: "DOWN" in branch.run("status", as_json=False).stdout, branch.tail)
        status = branch.run("status", as_json=False).stdout
        expect(re.search(r"^gw/net  DOWN .*authentication-refused: .*the peer refused IKE_AUTH", status, re.M), status)
        expect(status.endswith("What to do about it: mendipctl diagnose NAME\n"), status)
        site.steps.done("mendipctl status", "\n".join(status.splitlines()[2:3]))
        done = branch.run("diagnose", "gw", as_json=False)
        expect(done.returncode == 1 and re.search(r"^  authentication  failed ", done.stdout, re.M), done.stdout)
        expect("compare local.id, and the secret" in " ".join(done.stdout.split()), done.stdout)
        site.steps.done("mendipctl diagnose gw", re.search(r"^  authentication .*", done.stdout, re.M)[0])
        branch.write(f'daemon: {{ control = "{branch.control}"; log = "debug"; }};\n'
                     + site.text.replace("not the one of the gateway", SECRET))
        expect(branch.run("reload").returncode == 0, "reload")
        done = branch.run("up", "gw", as_json=False)
        expect(done.returncode == 0 and done.stdout == "gw/net: up\n", f"{done}")
        site.steps.done("secret corrected: reload, mendipctl up gw", done.stdout)


main([commands_of_readme_exist, with_the_right_secret, with_a_wrong_secret])
