#!/usr/bin/python3
# Calls go down, too (doc/architecture.md). SPDX-License-Identifier: ISC
"""What a folder's objects need of another one, by name, is in a folder below it: upwards, only tables of functions are
called. Reads the object files of the libraries."""
import glob
import os
import subprocess
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("MENDIP_BUILD", ".")
# From below; the folders of a line know nothing of each other.
ORDER = [["common"], ["esp", "ike/wire"], ["ike/auth"], ["ike/sa"], ["ike/task"], ["ike"], ["tunnel"]]
RANK = {folder: i for i, line in enumerate(ORDER) for folder in line}


def folder_of(path):
    name = os.path.dirname(os.path.relpath(path, BUILD))
    return "common" if name.startswith("common") else name


def symbols():
    """({name: (folder, object)} of what is defined, [(folder, object, name)] of what is needed)"""
    defined, needed = {}, []
    for path in glob.glob(f"{BUILD}/**/lib*_a-*.o", recursive=True):
        folder = folder_of(path)
        if folder not in RANK:
            continue
        where = os.path.relpath(path, BUILD).replace("/" + os.path.basename(path).split("_a-")[0] + "_a-", "/")[:-2] + ".c"
        if not os.path.exists(os.path.join(SOURCE, where)):  # of a file that has moved since
            continue
        for line in subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout.splitlines():
            *_, kind, name = line.split()
            if kind in "TDRBC":
                defined[name] = folder, where
            elif kind == "U":
                needed.append((folder, where, name))
    return defined, needed


def main():
    defined, needed = symbols()
    wrong = [f"{where} needs {name} of {defined[name][1]}" for folder, where, name in needed
             if name in defined and defined[name][0] != folder and RANK[defined[name][0]] >= RANK[folder]]
    if len(needed) < 500 or {f for f, _ in defined.values()} != set(RANK):
        wrong.append("objects are missing: build first")
    print(f"not ok calls_go_down: {'; '.join(sorted(wrong))}" if wrong else "ok calls_go_down")
    sys.exit(1 if wrong else 0)


main()
