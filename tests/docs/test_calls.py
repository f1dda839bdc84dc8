#!/usr/bin/python3
# Calls go down, too (doc/architecture.md). SPDX-License-Identifier: ISC
"""What a folder's objects need of another one, by name, is in a folder below it: upwards, only tables of functions are
called. Reads the object files of the libraries."""
import glob
import os
import re
import subprocess
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("MENDIP_BUILD", ".")
# Of each folder, what is below it.
IKE = ["ike/wire", "ike/auth", "ike/sa", "ike/task", "ike"]
BELOW = {"common": set(), "common/crypto": {"common"}, "common/packet": {"common"},
         "esp": {"common", "common/crypto", "common/packet"}}
for k, name in enumerate(IKE):
    BELOW[name] = {"common", "common/crypto", *IKE[:k]}
BELOW["tunnel"] = {*BELOW, *IKE}
BELOW["daemon"] = {*BELOW}
PURE = set(BELOW) - {"daemon", "common/crypto"}


def source_of(path):
    """The source of an object of a library or of mendipd, or None: of another program, or of a file that has moved since."""
    name = re.sub(r"/(lib\w+_a|mendipd|mendipctl)-(\w+)\.o$", r"/\2.c", "/" + os.path.relpath(path, BUILD))[1:]
    return name if name.endswith(".c") and os.path.exists(os.path.join(SOURCE, name)) else None


def symbols(sources):
    """({name: (folder, source)} of what is defined, [(folder, source, name)] of what is needed, variables of pure folders)"""
    defined, needed, variables = {}, [], []
    for path, source in sources.items():
        folder = os.path.dirname(source)
        for line in subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout.splitlines():
            *_, kind, name = line.split()
            if kind in "TDRBC":
                defined[name] = folder, source
            elif kind == "U":
                needed.append((folder, source, name))
            if kind in "BbCG" and folder in PURE and not name.startswith("__"):
                variables.append(f"{source} has the variable {name}")
    return defined, needed, variables


def main():
    objects = glob.glob(f"{BUILD}/**/lib*_a-*.o", recursive=True) + glob.glob(f"{BUILD}/daemon/mendip*-*.o")
    sources = {path: source_of(path) for path in objects if source_of(path) and not source_of(path).startswith("tests/")}
    defined, needed, wrong = symbols(sources)
    for folder, source, name in needed:
        where = defined.get(name, (folder, source))
        if where[0] != folder and where[0] not in BELOW[folder]:
            wrong.append(f"{source} needs {name} of {where[1]}")
    for folder in BELOW:  # what is not built is not looked at
        there = {os.path.relpath(p, SOURCE) for p in glob.glob(f"{SOURCE}/{folder}/*.c")}
        wrong += [f"{s} is not built" for s in sorted(there - set(sources.values())) if "ipsec_mb" not in s]
    wrong += [f"{f} is in no folder that this test knows" for f in {os.path.dirname(s) for s in sources.values()} - set(BELOW)]
    print(f"not ok calls_go_down: {'; '.join(sorted(wrong))}" if wrong else "ok calls_go_down")
    sys.exit(1 if wrong else 0)


main()
