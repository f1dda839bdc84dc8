#!/usr/bin/python3
# The figures that scripts/code-figures gives for a few lines of C. SPDX-License-Identifier: ISC
"""Compares the output of scripts/code-figures for a small tree with figures counted by hand. A stand-in prints the
output of pmccabe, which is not installed everywhere."""
import os
import re
import subprocess
import sys
import tempfile

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILES = {
    "common/log.h": '/* one */\n#define say(l, ...) two(l, __VA_ARGS__)\n',
    "ike/ike_sa.h": """struct ike_sa {
	LIST_ENTRY(ike_sa) link; /* a, b; c */
	int a, *b, c[2];
#ifdef FAULTS
	int (*call)(int x, int y);
#endif
	struct {
		int d;
	} inner;
};
""",
    "tunnel/tunnel.h": '#include "ike_sa.h"\n' + "int before;\n" * 20,
    # one() and two() call each other, one() by a macro. two() calls three() by a table only, the twin() of its own file,
    # and a show() that is not the static one in three.c.
    "tunnel/one.c": '#include "tunnel.h"\nint one(void)\n{\n\tif (now)\n\t\treturn say(0, "three()");\n}\n',
    "tunnel/two.c": """#include "tunnel.h"
static int twin(void)
{
	return 1; /* three() */
}
int two(int (*f)(int, int), int b)
{
	return ops->three() + f(b, twin()) + one() + show();
}
""",
    "tunnel/three.c": '#include "log.h"\nint three(void)\n{\n\treturn two(0, 0);\n}\nint twin(void)\n{\n}\n'
                      'static int show(void)\n{\n}\n',
}
PMCCABE = """2 2 2 2 5 tunnel/one.c(2): one
1 1 1 2 4 tunnel/two.c(2): twin
1 1 1 6 4 tunnel/two.c(6): two
1 1 1 2 4 tunnel/three.c(2): three
1 1 0 6 3 tunnel/three.c(6): twin
1 1 0 9 3 tunnel/three.c(9): show
"""
EXPECTED = {
    "functions": "6",
    "lines of a function, median": "4",
    "lines of a function, most": "5 one (tunnel/one.c)",
    "complexity of a function, most": "2 one (tunnel/one.c)",
    "parameters of a function, most": "2 two (tunnel/two.c)",
    "files in circles in ike/": "0",
    "files in circles in tunnel/": "2",
    "fields of struct ike_sa": "7",
    "fields of struct ike_task": "none",
    "lines of the widest header of ike/, tunnel/, esp/": "21 tunnel/tunnel.h",
    "objects rebuilt for ike_sa.h": "2",
    "objects rebuilt for the widest header of tunnel/": "2 tunnel/tunnel.h",
    "lines with a comment, of those not blank": "5.1 %",
}


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def figures(place, programs):
    return subprocess.run([sys.executable, f"{SOURCE}/scripts/code-figures", "--circles", f"{place}/tree"],
                          env={"PATH": programs}, capture_output=True, text=True, check=False)


def small_tree(place):
    """Returns what is wrong in the figures of FILES."""
    for name, text in FILES.items():
        write(f"{place}/tree/{name}", text)
    said = "\n".join("\t".join(line.split(" ", 5)) for line in PMCCABE.splitlines())
    write(f"{place}/bin/pmccabe", f"#!/bin/sh\necho '{said}'\n")
    os.chmod(f"{place}/bin/pmccabe", 0o755)
    run = figures(place, f"{place}/bin")
    rows = dict(re.findall(r"^(\S.*?)  +(\S.*)$", run.stdout, re.MULTILINE))
    wrong = [f"{label} is {rows.get(label)}, not {value}" for label, value in EXPECTED.items()
             if rows.get(label) != value]
    if not run.stdout.endswith(": a circle of 2: tunnel/one, tunnel/two\n"):
        wrong.append("the circle is not named")
    return wrong + run.stderr.splitlines()


def without_pmccabe(place):
    run = figures(place, f"{place}/nothing")
    return [] if run.returncode == 2 and "apt-get install pmccabe" in run.stderr else ["the package is not named"]


failed = False
with tempfile.TemporaryDirectory() as temporary:
    for case in (small_tree, without_pmccabe):
        faults = case(temporary)
        print(f"not ok {case.__name__}: {'; '.join(faults)}" if faults else f"ok {case.__name__}")
        failed |= bool(faults)
sys.exit(failed)
