#!/usr/bin/python3
# The code and the documents agree. SPDX-License-Identifier: ISC
"""Prints a line per case: citations and links have a target, the manual has all names that users see, and the code and
the tests of each mutant, and the tests of each threat, exist."""
import glob
import importlib.util
import os
import re
import sys

sys.dont_write_bytecode = True
SOURCE = os.environ.get("MENDIP_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CODE = ("common/**/*.[ch]", "esp/*.[ch]", "ike/**/*.[ch]", "tunnel/*.[ch]", "daemon/*.[ch]", "tests/**/*.[ch]",
        "tests/**/*.py")


def read(path):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as f:
        return f.read()


def code():
    for pattern in CODE:
        for path in glob.glob(os.path.join(SOURCE, pattern), recursive=True):
            if path != os.path.abspath(__file__):
                yield os.path.relpath(path, SOURCE)


def citations_resolve():
    """Where a comment cites doc/NAME.md N, that document has a section N; no comment cites a document by its old name."""
    cited = 0
    for path in code():
        text = re.sub(r"\n\s*(\*|#|//)?\s*", " ", read(path))
        for name, sections in re.findall(r"doc/(\w+)\.md((?:,? (?:and |to )?[0-9]+)*)", text):
            document = read(f"doc/{name}.md")
            for number in re.findall(r"[0-9]+", sections):
                if not re.search(rf"^## {number}\. ", document, re.MULTILINE):
                    return f"{path} cites doc/{name}.md {number}, which is not there"
                cited += 1
        if re.search(r"\b(RECOVERY|DESIGN) [0-9]", text):
            return f"{path} cites a document that is not in the repository"
    return None if cited > 20 else f"only {cited} citations were found: the search is wrong"


def options_are_in_the_manual():
    names = re.findall(r'^\t\{"(\w+)", KIND_', read("tunnel/options.c"), re.MULTILINE)
    page = read("man/mendip.conf.5")
    missing = [n for n in names if not re.search(rf"^\.It Cm .*\b{n}\b", page, re.MULTILINE)]
    if len(names) < 10:
        return f"only {names} were found: the search is wrong"
    return f"not in mendip.conf(5): {missing}" if missing else None


def verdicts_are_in_the_manual():
    names = re.findall(r'X\([A-Z_]+, "(\w+)"', read("esp/verdict.h").split("enum verdict")[0])
    page = read("man/mendipctl.8")
    missing = [n for n in names if n not in page]
    if len(names) < 8:
        return f"only {names} were found: the search is wrong"
    return f"not in mendipctl(8): {missing}" if missing else None


def criteria_and_outcomes_are_in_the_manual():
    table = read("esp/detector.h").split("define FOREACH_CRITERION")[1].split("enum criterion")[0]
    names = re.findall(r'X\([A-Z_]+, "([\w-]+)"', table)
    gate = re.findall(r'X\([A-Z_]+, "([\w-]+)"', read("tunnel/gate.h"))
    recovery = "".join(read(f"tunnel/{f}.c") for f in ("recovery", "record", "hints"))
    outcomes = re.findall(r'(?:drop\(s, |record_close\(s, |outcome = |outcome\[\] = |quiet\[\] = )"([^"]+)"', recovery)
    page = " ".join(read("man/mendipctl.8").split())
    missing = [n for n in names[1:] + gate + outcomes if n not in page]
    if len(names) < 11 or len(gate) < 5 or len(set(outcomes)) < 8:
        return f"only {names}, {gate} and {outcomes} were found: the search is wrong"
    return f"not in mendipctl(8): {missing}" if missing else None


def has_case(test, case=None):
    """Returns whether a test program has the case, which is a function of it or a scenario."""
    sources = glob.glob(os.path.join(SOURCE, f"tests/*/{test}.c"))
    return case is None or any(re.search(rf"\b{case}\b", read(s)) for s in sources) or \
        test == "t_scenarios" and os.path.exists(os.path.join(SOURCE, f"tests/exchange/scenarios/{case}.txt"))


def mutants_meet_the_code():
    """The code of each mutant occurs once, and its tests and cases exist; tests/mutants runs the mutants themselves."""
    spec = importlib.util.spec_from_file_location("test_mutants", os.path.join(SOURCE, "tests/mutants/test_mutants.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    places, wrong = module.Places(SOURCE), []
    for m in module.MUTANTS:
        try:
            places.find(m[2], m[3])
        except LookupError as e:
            wrong.append(f"{m[0]}: {e}")
    if len(module.MUTANTS) < 200:
        return f"only {len(module.MUTANTS)} were found: the search is wrong"
    known = {t for names in module.TESTS.values() for t in names} | set(module.daemon_tests())
    unknown = sorted({t.split("/")[0] for m in module.MUTANTS for t in m[5]} - known)
    if unknown:
        return f"tests that it does not build: {unknown}"
    wrong += [f"{m[0]}: no case {t}" for m in module.MUTANTS for t in m[5] if not has_case(*t.split("/"))]
    return "; ".join(wrong) or None


def metrics_are_in_the_manual():
    names = re.findall(r'(?:metric\(f|family\(f|counters\(f|child_metrics\(d, f), "(\w+)"', read("daemon/metrics.c"))
    page = read("man/mendipctl.8")
    missing = [n for n in names if f"mendip_{n}" not in page]
    if len(names) < 11:
        return f"only {names} were found: the search is wrong"
    return f"not in mendipctl(8): {missing}" if missing else None


def threats_have_tests():
    """Each test that doc/threat-model.md names exists, and each row of its table by exchange names one."""
    text = read("doc/threat-model.md")
    named = re.findall(r"`((?:t|fuzz)_\w+)(?:/([\w-]+))?`", text)
    missing = [f"{test}/{case}" for test, case in named
               if not glob.glob(os.path.join(SOURCE, f"tests/*/{test}.c")) or not has_case(test, case or None)]
    missing += [name for name in re.findall(r"`(test_\w+\.py)", text) if not glob.glob(os.path.join(SOURCE, f"tests/*/{name}"))]
    rows = re.findall(r"^\| .* \|$", text.split("## By exchange")[1].split("\n## ")[0], re.MULTILINE)[1:]
    bare = [row[:60] for row in rows if not re.search(r"\| [^|]*`(?:t|fuzz|test)_[^|]*\|$", row)]
    if len(named) < 60 or len(rows) < 40:
        return f"only {len(named)} tests and {len(rows)} rows were found: the search is wrong"
    return f"no such test: {missing}" if missing else f"rows without a test: {bare}" if bare else None


def links_lead_somewhere():
    for path in ["README.md", "CONTRIBUTING.md", "NEWS.md", "SECURITY.md"] + [f"doc/{os.path.basename(p)}" for p in glob.glob(os.path.join(SOURCE, "doc/*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)\)", read(path)):
            if not os.path.exists(os.path.join(SOURCE, os.path.dirname(path), target)):
                return f"{path} links to {target}, which is not there"
    return None


failed = False
for case in (citations_resolve, options_are_in_the_manual, verdicts_are_in_the_manual,
             criteria_and_outcomes_are_in_the_manual, metrics_are_in_the_manual, mutants_meet_the_code,
             threats_have_tests, links_lead_somewhere):
    why = case()
    print(f"not ok {case.__name__}: {why}" if why else f"ok {case.__name__}")
    failed |= bool(why)
sys.exit(failed)
