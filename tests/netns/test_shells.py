#!/usr/bin/python3
# bash, zsh and fish complete command lines of mendipctl and mendipd. SPDX-License-Identifier: ISC
"""Each shell is a real one on a terminal of its own, which gets keys and shows what the line has become."""
import os
import pty
import re
import select
import subprocess
import tempfile
import time

from daemons import BUILD, HERE, Mendip, child, config, expect, main, testbed
from puppet import Puppet

FOLDER = os.path.join(HERE, "../../etc/completions")
# What is typed before the key Tab, and what that makes of it: one word that fits, so that no shell asks.
LINES = {"mendipctl stat": "mendipctl status",
         "mendipctl --js": "mendipctl --json",
         "mendipctl --json switchover s": "mendipctl --json switchover set",
         "mendipctl up --no": "mendipctl up --no-wait",
         "mendipctl log deb": "mendipctl log debug",
         "mendipctl log debug g": "mendipctl log debug gw",
         "mendipctl help sw": "mendipctl help switchover",
         "mendipctl down lon": "mendipctl down longest",  # the names are the daemon's
         "mendipctl switchover reset par": "mendipctl switchover reset paris",
         "mendipctl switchover set paris max": "mendipctl switchover set paris max_rekeys=",
         "mendipctl import /etc/os-rel": "mendipctl import /etc/os-release",  # a file, where nothing else fits
         "mendipd --du": "mendipd --dump-config"}


class Shell:
    """An interactive shell, without the settings of a user."""

    def __init__(self, argv, env, begin):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            try:
                os.execvpe(argv[0], argv, dict(env, TERM="dumb", PS1="$ "))
            finally:  # there is no such shell: the rest of the test is not for this process
                os._exit(127)
        self.said = ""
        self.type(begin + "\n")
        self.type("echo be''gun\n")
        self.wait("begun")

    def type(self, keys):
        os.write(self.terminal, keys.encode())

    def wait(self, pattern, seconds=10):
        """Returns the match of a pattern in what the shell shows from here on."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = re.search(pattern, self.said)
            if found:
                self.said = self.said[found.end():]
                return found
            if select.select([self.terminal], [], [], 0.1)[0]:
                self.said += os.read(self.terminal, 4096).decode(errors="replace")
        raise AssertionError(f"{pattern} did not come: {self.said!r}")

    def completed(self, line):
        """Returns the line after the key Tab: it is not run but printed, between brackets."""
        self.type(f"{line}\t")
        self.type("]'\x01echo '[")  # at the end; and at the beginning, by Ctrl-A
        self.type("\n")
        return self.wait(r"\n\[([^\n]*)\]")[1].strip()

    def close(self):
        os.close(self.terminal)
        os.waitpid(self.pid, 0)


def check(shell):
    try:
        for line, whole in LINES.items():
            got = shell.completed(line)
            expect(got == whole, f"{line}: {got!r}, not {whole!r}")
    finally:
        shell.close()


class Branch:
    """A daemon with two connections, and an environment in which mendipctl asks it."""

    def __enter__(self):
        self.bed = testbed.Testbed("shells").__enter__()
        left, _ = self.bed.pair("branch", "gw")
        kids = {"paris": child("10.1.1.0/24", "10.2.1.0/24"), "longest": child("10.1.2.0/24", "10.2.2.0/24")}
        daemon = Mendip(self.bed, left, lambda s: config(s, kids, "192.0.2.2"))
        self.env = {"PATH": f"{BUILD}:{os.environ['PATH']}", "MENDIP_SOCKET": daemon.control, "HOME": self.bed.path(""),
                    "LANG": "C.UTF-8"}
        return self

    def __exit__(self, *why):
        return self.bed.__exit__(*why)


def bash_completes():
    with Branch() as branch:
        check(Shell(["bash", "--norc", "--noprofile", "-i"], branch.env, f"source {FOLDER}/mendipctl.bash"))


def zsh_completes():
    with Branch() as branch:
        check(Shell(["zsh", "-f", "-i"], branch.env, f"fpath=({FOLDER} $fpath); autoload -U compinit; compinit -u -D"))


def fish_completes():
    """fish has a command that does what its key Tab does."""
    with Branch() as branch:
        for line, whole in LINES.items():
            done = subprocess.run(["fish", "--no-config", "-c", f"set -p fish_complete_path {FOLDER}; complete -C '{line}'"],
                                  env=branch.env, capture_output=True, text=True, timeout=20)
            expect(done.stdout.split("\t")[0].strip() == whole.split()[-1], f"{line}: {done.stdout!r} {done.stderr!r}")


def offered(socket, *words):
    """Returns what mendipctl offers in the place of the last word."""
    done = subprocess.run([f"{BUILD}/mendipctl", "complete", "--", "-s", socket, *words], capture_output=True, text=True,
                          check=True, timeout=20)
    expect(done.stderr == "", done.stderr)
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


def each_name_is_offered_once():
    """A connection that several peers have called has each name once; a child of two connections needs theirs before it."""
    def conn(name, *kids):
        return {"name": name, "children": [{"name": k} for k in kids]}

    fleet = [conn("fleet", "lan", "net"), conn("other", "net"), conn("fleet", "lan", "net")]
    with tempfile.TemporaryDirectory() as folder:
        with Puppet(f"{folder}/c", {"status": {"connections": fleet}}):
            got = offered(f"{folder}/c", "up", "")
    expect(got == ["fleet", "other", "lan", "fleet/net", "other/net"], f"{got}")


def each_command_that_help_names_is_completed():
    """All words of the usage, and no others; without a daemon that answers, names are missing and nothing is said."""
    def asked(*words):
        return offered("/nowhere", *words)
    usage = subprocess.run([f"{BUILD}/mendipctl", "help"], capture_output=True, text=True, check=True).stdout
    commands = re.findall(r"^  (\w+) ?(.*)$", usage, re.M)
    expect(len(commands) > 10 and asked("") == [name for name, _ in commands], asked(""))
    for name, args in commands:
        options = [o for o in asked(name, "--") if o not in asked("--")]
        expect(options == re.findall(r"--[a-z-]+", args), f"{name}: {options}, in the usage: {args}")
    expect(asked("status", "") == [], asked("status", ""))
    expect(asked("metrics", "") == [] and asked("metrics", "--format", "") == [], asked("metrics", ""))


main([each_command_that_help_names_is_completed, each_name_is_offered_once, bash_completes, zsh_completes, fish_completes])
