#!/usr/bin/python3
# Makes one-line faults in the core, each of which must make a test fail. SPDX-License-Identifier: ISC
"""usage: tests/mutants/test_mutants.py [NAME ...]

Builds the core and its tests once, and checks that the unchanged code passes all tests. Then for each mutant it changes
one place, compiles that file, links, and runs the cases that the mutant names until one fails. A mutant with which all of
them pass has survived, which is a failure, also if another test would notice: a case that has stopped to show what it is
for is found so.
"""
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from mutants import MUTANTS, PROLOGUE  # noqa: E402
from places import Places  # noqa: E402

SOURCE = os.environ.get("MENDIP_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CC = os.environ.get("CC", "gcc")
INCLUDES = ["common", "esp", "ike", "tunnel", "daemon", "tests", "tests/unit", "tests/exchange"]
FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-DMENDIP_FAULTS", "-O1", "-w",
         f'-DSCENARIO_DIR="{SOURCE}/tests/exchange/scenarios"'] + [f"-I{SOURCE}/{d}" for d in INCLUDES]
LIBS = ["-lssl", "-lcrypto", "-lcmocka"]
PACKAGES = ["libnl-route-3.0", "libevent_core", "jansson"]  # needed by the daemon's files
TESTS = {"unit": ["t_addr", "t_window", "t_esp", "t_esp_sa", "t_train", "t_packet", "t_coalesce", "t_segment", "t_inner", "t_gate",
                  "t_flow", "t_spd", "t_ike_wire", "t_reassembly", "t_auth", "t_cert", "t_dn", "t_detector", "t_history", "t_fault",
                  "t_bridge", "t_adversary"],
         "exchange": ["t_recovery", "t_ike", "t_fragments", "t_hostile", "t_limits", "t_answers", "t_unique", "t_lives", "t_reload", "t_saved", "t_seeds",
                      "t_cluster", "t_children", "t_assigned", "t_certs", "t_outer", "t_mobike", "t_addresses", "t_backup", "t_backup_runs", "t_scenarios", "t_runs"]}
TESTS["exchange"] += ["t_addke", "t_ppk", "t_forged", "t_eap"]
TESTS["unit"] += ["t_mschap", "t_eap_peer"]
HELPERS = {"unit": ["esp_fixture", "esp_run", "ref_model", "coalesce_fixture", "ref_coalesce"],
           "exchange": ["peers", "parties", "two_gateways", "scenario", "scenario_setup", "scenario_act", "scenario_attack", "scenario_expect",
                        "scenario_report", "draw"]}
PKI = ["tests/exchange/pki.c", "tests/exchange/eap_server.c"]  # of tests in both folders
# Tests that replace functions of the core.
WRAPS = {"t_eap": ["-Wl,--wrap=auth_on_request,--wrap=rules_allow"]}
# Limits of a test in seconds: of processor time, which an endless loop exceeds, and of time, which a test that waits does.
CPU_LIMIT, LIMIT = 300, 900
# Tests end at their first failure, and do fewer random runs.
ENVIRONMENT = {**os.environ, "CMOCKA_TEST_ABORT": "1", "MENDIP_RUNS": "300"}
TESTS["unit"] += ["t_proposal", "t_token"]
HELPERS["unit"].append("token_provider")
TESTS["exchange"] += ["t_problems", "t_refusal", "t_totals", "t_trace"]


def run(cmd, **kw):
    return subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **kw)


def compile_one(path, obj, *more):
    r = run([CC, *FLAGS, *more, "-c", path, "-o", obj])
    if r.returncode:
        raise RuntimeError(f"{path} does not compile:\n{r.stdout}")


def core_sources():
    out = []
    for pattern in ("common/*.c", "common/*/*.c", "esp/*.c", "ike/*.c", "ike/*/*.c", "tunnel/*.c"):
        out += [f for f in glob.glob(pattern, root_dir=SOURCE) if "ipsec_mb" not in f]  # optional
    return sorted(out)


def pkg_config(what):
    return subprocess.run(["pkg-config", what, *PACKAGES], stdout=subprocess.PIPE, text=True, check=True).stdout.split()


def daemon_tests():
    """Returns {test: (sources, linker flags)} of the unit tests that use files of daemon/, from their makefiles."""
    variables = {}
    for path in glob.glob(f"{SOURCE}/tests/unit/*.mk"):
        with open(path, encoding="utf-8") as f:
            for name, value in re.findall(r"^(\w+) = (.*)$", f.read().replace("\\\n", " "), re.M):
                variables[name] = value

    def words(name):
        value = re.sub(r"\$\((\w+)\)", lambda m: " ".join(words(m.group(1))), variables.get(name, ""))
        return value.split()
    tests = {}
    for name in variables:
        m = re.fullmatch(r"tests_unit_(t_\w+)_SOURCES", name)
        sources = [w for w in words(name) if w.endswith(".c")]
        if m and any(s.startswith("daemon/") for s in sources):
            tests[m.group(1)] = (sources, words(f"tests_unit_{m.group(1)}_LDFLAGS"))
    return tests


class Tree:
    """The objects of the unchanged code; links tests from them, with some replaced."""

    def __init__(self, top):
        self.top = top
        self.places = Places(SOURCE)
        self.only = os.path.join(top, "only.o")
        self.core = {s: os.path.join(top, s.replace("/", "_") + ".o") for s in core_sources()}
        self.tests = {}
        self.helpers = {}
        jobs = [(os.path.join(SOURCE, s), o) for s, o in self.core.items()]
        for folder, names in TESTS.items():
            self.helpers[folder] = []
            for n in HELPERS[folder] + names:
                obj = os.path.join(top, f"{folder}_{n}.o")
                jobs.append((f"{SOURCE}/tests/{folder}/{n}.c", obj))
                if n in HELPERS[folder]:
                    self.helpers[folder].append(obj)
                else:
                    self.tests[n] = (folder, obj)
                self.pki = [os.path.join(top, os.path.basename(s) + ".o") for s in PKI]
        jobs += [(f"{SOURCE}/tests/only.c", self.only), *self._daemon(top)]
        jobs += [(f"{SOURCE}/{s}", o) for s, o in zip(PKI, self.pki)]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda j: compile_one(*j), jobs))
        for folder, objs in self.helpers.items():
            lib = os.path.join(top, f"lib{folder}.a")
            run(["ar", "rc", lib, *objs])
            self.helpers[folder] = lib

    def _daemon(self, top):
        """Sets self.daemon, the tests of the daemon's files; returns the arguments of compile_one() for them."""
        self.daemon = {}
        objects = {}
        for test, (sources, flags) in daemon_tests().items():
            wanted = [s for s in sources if s not in ("tests/unit/esp_fixture.c", "tests/unit/ref_model.c")]
            for s in wanted:
                objects[s] = os.path.join(top, s.replace("/", "_") + ".o")
            self.daemon[test] = ({s: objects[s] for s in wanted}, flags)
        return [(os.path.join(SOURCE, s), o, *pkg_config("--cflags")) for s, o in objects.items()]

    def inputs(self, test, replaced, obj):
        """Returns the objects and flags with which the test is linked."""
        core = [replaced.get(s, o) for s, o in self.core.items()]
        if test in self.daemon:
            objects, flags = self.daemon[test]
            own = [obj if s == f"tests/unit/{test}.c" and obj else replaced.get(s, o) for s, o in objects.items()]
            below = [o for s, o in zip(self.core, core) if s.startswith(("common/", "esp/", "ike/"))]
            return [*own, self.helpers["unit"], *below, self.helpers["unit"], *flags, *pkg_config("--libs")]
        folder, plain = self.tests[test]
        return [obj or plain, self.helpers[folder], *self.pki, *core, self.helpers[folder], *WRAPS.get(test, [])]

    def names(self):
        return [*self.tests, *self.daemon]

    def outcome(self, which, replaced, tag, header=None):
        """Links and runs a test, or one case of it (TEST/CASE); returns whether it passes.

        replaced: {source: object} to use instead of the unchanged ones; header: a mutated header, which is included
        first when the test is compiled.
        """
        test, *case = which.split("/")
        folder = self.tests[test][0] if test in self.tests else "unit"
        binary = os.path.join(self.top, f"{tag}-{test}")
        obj = None
        if header:
            obj = binary + ".o"
            compile_one(f"{SOURCE}/tests/{folder}/{test}.c", obj, "-include", header, *pkg_config("--cflags"))
        r = run([CC, "-o", binary, self.only, *self.inputs(test, replaced, obj), *LIBS])
        if r.returncode:
            raise RuntimeError(f"{test} does not link:\n{r.stdout}")
        try:
            return run(["prlimit", f"--cpu={CPU_LIMIT}", binary, *case], timeout=LIMIT, stdin=subprocess.DEVNULL,
                       env=ENVIRONMENT).returncode == 0
        except subprocess.TimeoutExpired as e:  # an endless loop hits CPU_LIMIT: this test waits, or gets no CPU
            if test not in self.daemon:
                raise RuntimeError(f"{test} does not end") from e
            return False
        finally:
            os.unlink(binary)


def mutate(places, mutant):
    """Returns (file, its text with the mutant's change)."""
    name, _, place, old, new, _ = mutant
    path, at = places.find(place, old)
    text = places.texts[path]
    return path, with_prologue(name, text[:at] + new + text[at + len(old):])


def with_prologue(name, text):
    head = PROLOGUE.get(name)
    if not head:
        return text
    at = text.index("\nstatic ")
    return text[:at + 1] + head + text[at + 1:]


def compile_mutant(tree, name, path, src):
    """Compiles the sources that the mutant in `src` changes; returns {source: object}.

    A mutated header is included before all else, so that its guard keeps the unchanged one out.
    """
    header = path.endswith(".h")
    replaced = {}
    for s in (users_of(tree, path) if header else [path]):
        obj = replaced[s] = os.path.join(tree.top, f"{name}-{os.path.basename(s)}.o")
        more = ["-include", src] if header else [f"-I{SOURCE}/{os.path.dirname(path)}"]
        more += pkg_config("--cflags") if s.startswith("daemon/") else []
        compile_one(f"{SOURCE}/{s}" if header else src, obj, *more)
    return replaced


def users_of(tree, header):
    """Returns the sources of the core that include the header, directly or indirectly."""
    users = []
    for s in tree.core:
        r = run([CC, *FLAGS, "-MM", f"{SOURCE}/{s}"])
        if f"{SOURCE}/{header}" in r.stdout.split():
            users.append(s)
    return users


def try_mutant(tree, mutant):
    """Returns the test that failed with the mutant, or None if the mutant survived."""
    name, tests = mutant[0], mutant[5]
    path, text = mutate(tree.places, mutant)
    src = os.path.join(tree.top, name + os.path.splitext(path)[1])
    with open(src, "w", encoding="utf-8") as f:
        f.write(text)
    replaced = compile_mutant(tree, name, path, src)
    for t in tests:
        if not tree.outcome(t, replaced, name, src if path.endswith(".h") else None):
            return t
    return None


def report(tree, mutant):
    name, why = mutant[:2]
    try:
        caught = try_mutant(tree, mutant)
    except (LookupError, RuntimeError) as e:
        return f"not ok {name}: {e}"
    if caught is None:
        return f"not ok {name}: {', '.join(mutant[5])}: passed, though {why}"
    return f"ok {name}\n# {name:34s} {why:62s} caught by {caught}"


def main(argv):
    wanted = [m for m in MUTANTS if not argv or m[0] in argv]
    if not wanted:
        print("not ok mutants: no such mutant")
        return 1
    with tempfile.TemporaryDirectory(prefix="mendip-mutants-") as top:
        tree = Tree(top)
        failed = 0
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            needed = tree.names()
            for t, passes in zip(needed, pool.map(lambda t: tree.outcome(t, {}, "whole"), needed)):
                print(f"{'ok' if passes else 'not ok'} unchanged code passes {t}", flush=True)
                failed += not passes
            for line in pool.map(lambda m: report(tree, m), wanted):
                print(line, flush=True)
                failed += line.startswith("not ok")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
