#!/usr/bin/python3
# Functions are called by name only in folders below (doc/architecture.md). SPDX-License-Identifier: ISC
"""Checks the symbols of the object files: an object may need symbols of its own folder and of those below it, but not of
those above, whose functions are called by tables only; and pure folders have no variables."""
import glob
import os
import re
import subprocess
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("MENDIP_BUILD", ".")
# The folders below each folder.
IKE = ["ike/wire", "ike/auth", "ike/sa", "ike/task", "ike"]
BELOW = {"common": set(), "common/crypto": {"common"}, "common/packet": {"common"},
         "esp": {"common", "common/crypto", "common/packet"}}
for k, name in enumerate(IKE):
    BELOW[name] = {"common", "common/crypto", *IKE[:k]}
BELOW["tunnel"] = {*BELOW, *IKE}
BELOW["daemon"] = {*BELOW}
PURE = set(BELOW) - {"daemon", "common/crypto"}


def source_of(path):
    """
    Returns the source of an object of a library, mendipd or mendipctl; None for objects of other programs, or when the
    source does not exist any more.
    """
    name = re.sub(r"/(lib\w+_a|mendipd|mendipctl)-(\w+)\.o$", r"/\2.c", "/" + os.path.relpath(path, BUILD))[1:]
    return name if name.endswith(".c") and os.path.exists(os.path.join(SOURCE, name)) else None


def symbols(sources):
    """
    Returns ({name: (folder, source)} of defined symbols, [(folder, source, name)] of undefined ones, [a text about each
    variable in a pure folder]).
    """
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
    for folder in BELOW:  # a source that is not built would not be checked
        there = {os.path.relpath(p, SOURCE) for p in glob.glob(f"{SOURCE}/{folder}/*.c")}
        wrong += [f"{s} is not built" for s in sorted(there - set(sources.values())) if "ipsec_mb" not in s]
    wrong += [f"{f} is in no folder that this test knows" for f in {os.path.dirname(s) for s in sources.values()} - set(BELOW)]
    print(f"not ok calls_go_down: {'; '.join(sorted(wrong))}" if wrong else "ok calls_go_down")
    sys.exit(1 if wrong else 0)


main()
