#!/usr/bin/python3
# The AppArmor profile, enforced by a kernel that has AppArmor: that of user-mode Linux. SPDX-License-Identifier: ISC
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "netns"))
from daemons import BUILD, PSK, Mendip, child, config, expect, main, ping, testbed, wait_for  # noqa: E402
import uml  # noqa: E402

PROFILE = os.path.join(HERE, "../../etc/usr.sbin.mendipd")
DAEMON = "/usr/sbin/mendipd"  # the profile knows it by this path
SECONDS = 60  # for a tunnel: the machine may share its processor with other tests
# It starts as root and becomes another user, so that all capabilities are needed; a name asks the resolver.
US = config("/run/mendip/control", {"net": child("10.2.0.0/16", "10.1.0.0/16")}, "%any", "gw.example.net", "*.example",
            "branch", daemon='user = "nobody";').replace(f'secret = "{PSK}"', 'file = "credential:psk"')
CREDENTIALS = "/run/credentials/mendipd.service"  # as systemd names it


def read(machine, path):
    return machine.run("cat", path).stdout


def denied(machine):
    """Returns what AppArmor refused this profile, as the kernel logged it."""
    return [line for line in machine.run("dmesg").stdout.splitlines() if 'apparmor="DENIED"' in line and "mendipd" in line]


def the_profile_is_enforced():
    """The daemon carries a tunnel, reloads and ends with nothing refused; a configuration elsewhere is refused."""
    with testbed.Testbed("apparmor") as bed:
        left, machine, lan = uml.between(bed, ("security=apparmor",))
        machine.run("mount", "-t", "securityfs", "securityfs", "/sys/kernel/security")
        machine.run("apparmor_parser", "--replace", "--skip-cache", PROFILE)
        machine.run("modprobe", "tun")
        machine.run("install", "-m", "0755", os.path.abspath(f"{BUILD}/mendipd"), DAEMON)
        machine.run("install", "-d", "-o", "nobody", "/run/mendip")
        machine.write("/etc/mendip/mendip.conf", US, 0o640)
        machine.run("chgrp", "nogroup", "/etc/mendip/mendip.conf")
        machine.write(f"{CREDENTIALS}/psk", PSK, 0o640)
        machine.run("chgrp", "nogroup", f"{CREDENTIALS}/psk")
        machine.write("/root/mendip.conf", US)

        elsewhere = machine.run(DAEMON, "--check", "-c", "/root/mendip.conf", check=False)
        expect(elsewhere.returncode and "Permission denied" in elsewhere.stderr, f"not refused: {elsewhere}")
        expect(len(denied(machine)) == 1, f"refused: {denied(machine)}")

        daemon = machine.popen(DAEMON, "-c", "/etc/mendip/mendip.conf", log="/run/log",
                               env={"CREDENTIALS_DIRECTORY": CREDENTIALS})
        wait_for(lambda: "ready:" in machine.read("/run/log") or daemon.poll() is not None, "it does not start", SECONDS)
        expect(daemon.poll() is None, machine.read("/run/log"))
        current = read(machine, f"/proc/{daemon.pid}/attr/apparmor/current").strip()
        expect(current == "mendipd (enforce)", current)

        branch = Mendip(bed, left, lambda s: config(s, {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action="start")},
                                                    machine.outer))
        wait_for(branch.up, lambda: f"no tunnel: {branch.tail()} {machine.read('/run/log')}", SECONDS)
        wait_for(lambda: ping(lan, "10.1.0.1", 1), lambda: f"no packet passes: {machine.read('/run/log')}", SECONDS)
        status = machine.run(os.path.abspath(f"{BUILD}/mendipctl"), "status").stdout
        expect("net" in status, status)
        machine.run("kill", "-HUP", daemon.pid)
        wait_for(lambda: "reload: 1 connections" in machine.read("/run/log"),
                 lambda: f"no reload: {machine.read('/run/log')} {denied(machine)}", SECONDS)
        expect(daemon.stop(SECONDS) == 0, machine.read("/run/log"))
        expect(len(denied(machine)) == 1, f"refused: {denied(machine)[1:]}")


if not os.geteuid():
    why = uml.missing()
    if why:
        print(f"ok the_profile_is_enforced # UNTESTED {why}")
        sys.exit(0)
main([the_profile_is_enforced])
