#!/usr/bin/python3
# Runs the demonstration of ./quickstart as a user does, and checks its output. SPDX-License-Identifier: ISC
import os
import re
import signal
import subprocess

from daemons import BUILD, expect, main

SOURCE = os.environ.get("MENDIP_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def namespaces(p):
    """Returns the namespaces that the process has made; others may be those of tests that run at the same time."""
    names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout.split()
    return [n for n in names if n.startswith(f"mdp-{p.pid}-")]


def start(kind):
    return subprocess.Popen(["/usr/bin/python3", f"{SOURCE}/scripts/demo.py", kind], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, env=dict(os.environ, MENDIP_BUILD=BUILD))


def table(kind):
    """Runs the demonstration to its end; returns {mode: (lost, outage in ms, criterion, rung)}."""
    p = start(kind)
    text = p.communicate(timeout=120)[0]
    expect(p.returncode == 0, f"exit status {p.returncode}: {text[-600:]}")
    expect(not namespaces(p), "it left a namespace behind")
    rows = re.findall(r"^(off|proof) +(\d+) +(\d+) ms +(\S+) +(\S+)$", text, re.M)
    expect(len(rows) == 2, f"no table: {text[-600:]}")
    for mode, lost, gap, criterion, rung in rows:
        print(f"# {kind:<13} {mode:<6} {lost:>6} lost {gap:>6} ms  {criterion:<12} rung {rung}")
    return {mode: (int(lost), int(gap), criterion, rung) for mode, lost, gap, criterion, rung in rows}


def shows_the_difference(kind, lost_max, off_max=2200):
    rows = table(kind)
    expect(1900 <= rows["off"][0] <= off_max, f"{rows['off'][0]} lost without recovery")
    expect(rows["proof"][0] <= lost_max and rows["proof"][2] == "proof" and rows["proof"][3] == "1",
           f"with recovery: {rows['proof']}")


def with_mendip():
    shows_the_difference("mendip", 0)


def with_strongswan():
    shows_the_difference("strongswan", 0)


def with_strongswan_ha():
    # the standby begins with number 1, so that as many packets are lost as were sent before: about two seconds' worth
    shows_the_difference("strongswan-ha", 0, 3000)


def interrupted():
    p = start("mendip")
    expect(any("SPI" in text for text in p.stdout), "it ended before it was under way")
    expect(namespaces(p), "no namespace while it is under way")
    p.send_signal(signal.SIGINT)
    text = p.communicate(timeout=20)[0]
    expect(p.returncode == 130, f"exit status {p.returncode}: {text[-300:]}")
    expect("interrupted" in text, text[-300:])
    expect(not namespaces(p), "it left a namespace behind")


if __name__ == "__main__":
    main([with_mendip, with_strongswan, with_strongswan_ha, interrupted])
