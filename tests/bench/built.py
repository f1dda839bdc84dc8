"""Builds what a bench measures, and says what it was measured on. SPDX-License-Identifier: ISC"""
import os
import platform
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def say(what):
    print(f"[{time.strftime('%H:%M:%S')}] {what}", flush=True)


def build(folder, *programs):
    """Builds in the folder, with these programs, and configures it the first time; on failure, names the log and exits."""
    os.makedirs(folder, exist_ok=True)
    log = os.path.join(folder, "build.log")
    say(f"building {os.path.relpath(folder)}")
    steps = ((os.path.exists(f"{TOP}/configure"), TOP, [f"{TOP}/autogen.sh"]),
             (os.path.exists(f"{folder}/Makefile"), folder, [f"{TOP}/configure", "--quiet"]),
             (False, folder, ["make", "-s", f"-j{os.cpu_count()}", "all", *programs]))
    with open(log, "wb") as out:
        for skip, where, command in steps:
            if not skip and subprocess.run(command, cwd=where, stdout=out, stderr=out,
                                           stdin=subprocess.DEVNULL).returncode:
                sys.exit(f"{command[0]} failed: see {log}")


def about():
    """Returns date, kernel, processors and commit."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        cpu = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), platform.machine())
    commit = subprocess.run(["git", "-C", TOP, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {"date": time.strftime("%Y-%m-%d"), "kernel": platform.release(), "processors": f"{os.cpu_count()} x {cpu}",
            "commit": commit}
