#!/usr/bin/python3
# Tests the comparison of cures: its arithmetic, and the results of a short run. SPDX-License-Identifier: ISC
import json
import os
import subprocess
import sys
import tempfile
import xml.dom.minidom

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
import cures_report  # noqa: E402

BUILD = os.environ.get("MENDIP_BUILD", os.path.join(HERE, "../../build/bench"))
SIM = os.path.join(BUILD, "tests/bench/cures_sim")
REWOUND = 14000  # 0.1 s of 140,000 packets/s


def expect(got, wanted):
    if got != wanted:
        raise AssertionError(f"{got!r} instead of {wanted!r}")


def run_of(cure, **more):
    run = {"cure": cure, "tunnels": 1, "active": 1, "age": 1, "repeat": 0, "rate": 140000, "limit": 30,
           "rewound": 140000, "ended": True, "lost": 10, "within": 10, "worst": 10, "last_s": 0.01, "rekeys": 1,
           "ike_up": 0, "cpu_s": 0.25, "peak": 2, "ran_s": 1.0, "recorder": False, "resent": 0, "twice": 0}
    return {**run, **more}


def some_results():
    runs = [run_of("proof", lost=n, worst=n, repeat=i) for i, n in enumerate((30, 10, 20))]
    runs += [run_of("proof", lost=999, recorder=True, resent=128, twice=3),
             run_of("none", lost=140000, worst=140000, ended=False, last_s=45.5, within=90000, rekeys=0),
             run_of("bridge", lost=0, worst=0, last_s=0), run_of("proof", tunnels=10, ike_up=4)]
    return {"runs": runs, "strongswan": [], "absent": {"unprotected": "not in this build"}, "about": {"date": "today"}}


def medians_over_repeats():
    c = cures_report.cell(some_results(), (1, 1, 1), "proof")
    expect((c.lost, c.worst, c.resent, c.twice, c.ended), (20, 20, 128, 3, True))  # the medians omit the recorder's run
    expect(cures_report.cell(some_results(), (1, 1, 1), "wide"), None)
    expect(cures_report.cell(some_results(), (1, 1, 1), "none").twice, None)


def rows_say_what_was_reckoned():
    r = some_results()
    expect(cures_report.cells_of_row(cures_report.cell(r, (1, 1, 1), "none")),
           ["~140,000", "~140,000", "not within 30 s, ~45.50 s", "0", "0.2500", "2", ""])
    expect(cures_report.cells_of_row(cures_report.cell(r, (1, 1, 1), "proof")),
           ["20", "20", "10.0 ms", "1", "0.2500", "2", "3 of 128"])
    expect(cures_report.cells_of_row(cures_report.cell(r, (10, 1, 1), "proof"))[3], "1 + 4 IKE")


def durations_are_short():
    for seconds, wanted in ((0, "at once"), (0.0123, "12.3 ms"), (0.123, "123 ms"), (1.5, "1.50 s"), (1234, "1,234 s")):
        expect(cures_report.duration(seconds), wanted)


def the_report_has_every_scene():
    r = some_results()
    text = cures_report.text(r)
    expect(text.count("a sync 1 s old"), 2)
    expect("1 tunnel, 1 active, a sync 1 s old: 140,000 numbers rewound in all\n" in text, True)
    expect(sum("not in this build" in line for line in text.splitlines()), 2)
    expect(cures_report.text(r, short=True).count("a sync 1 s old"), 1)
    r["runs"][0]["rate"] = 14000
    expect("scaled down 10 times, to 14,000 packets/s" in cures_report.text(r), True)
    row = {"title": "no cure", "tunnels": 1, "rewound": 14000, "rate": 1000, "lost": 14000, "worst": 14000,
           "last_ms": 14093.0, "rekeys": 0, "cpu_s": 1.17, "peak": 0, "resent": 128, "twice": 0}
    r["strongswan"] = [row, {**row, "lost": None, "why": "not in this build", "resent": 0},
                       {**row, "tunnels": 10, "lost": 140000}]
    lines = cures_report.text(r).splitlines()
    expect([line.split()[2:] for line in lines if line.startswith("no cure") and "1.17" in line and "128" in line],
           [[lost, "14,000", "14,093", "0", "1.17", "0", "0", "of", "128"] for lost in ("14,000", "140,000")])
    expect(sum("unmodified strongSwan, 10 tunnels" in line for line in lines), 1)


def the_picture_is_logarithmic():
    expect([round(cures_report.log_length(v, 1000, 400)) for v in (0, 1, 10, 1000)], [0, 100, 200, 400])
    doc = xml.dom.minidom.parseString(cures_report.svg(some_results()))
    bars = [e for e in doc.getElementsByTagName("rect") if e.getAttribute("rx")]
    expect([e.getAttribute("fill") for e in bars], [cures_report.COLOURS[c] for c in ("none", "proof", "bridge")])
    expect(cures_report.svg({"runs": [], "absent": {}, "about": {}}), None)


# -- a short run ----------------------------------------------------------------------------


def simulated(*options):
    out = subprocess.run([SIM, *options], stdout=subprocess.PIPE, text=True, check=True, timeout=120).stdout
    return [json.loads(line) for line in out.splitlines()]


def quick():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([os.path.join(HERE, "cures"), "--quick", "--no-build", "--build", BUILD, "--out", folder],
                       stdout=subprocess.PIPE, check=True, timeout=120)
        for name in ("report.txt", "cures.svg"):
            expect(os.path.getsize(os.path.join(folder, name)) > 0, True)
        with open(os.path.join(folder, "results.json"), encoding="utf-8") as f:
            return json.load(f)


def what_has_to_hold():
    """Checks each run of `cures --quick`, with each cure that this build has."""
    results = quick()
    expect(len({(r["tunnels"], r["cure"]) for r in results["runs"]}),
           2 * (len(cures_report.CURES) - len(results["absent"])))
    for r in results["runs"]:
        expect((r["cure"], r["ended"], r["rewound"], r["lost"]), (r["cure"], True, REWOUND, r["within"]))
        expect((r["cure"], r["worst"] <= r["lost"] <= REWOUND), (r["cure"], True))
        expect((r["cure"], r["twice"] > 0), (r["cure"], r["cure"] == "unprotected" and r["recorder"]))
        if r["cure"] in ("none", "wide"):
            expect((r["cure"], r["lost"], r["rekeys"], r["peak"]), (r["cure"], REWOUND, 0, 0))
        if r["cure"] == "unprotected":
            expect((r["cure"], r["lost"], r["rekeys"]), (r["cure"], 0, 0))
        if r["cure"] in ("gateway", "proof", "bridge"):
            expect((r["cure"], r["rekeys"]), (r["cure"], r["tunnels"]))
            expect((r["cure"], r["cpu_s"] > 0 and r["peak"] >= r["tunnels"]), (r["cure"], True))
        if r["cure"] == "bridge":
            expect((r["cure"], r["lost"], r["last_s"]), (r["cure"], 0, 0))


def what_is_not_seen_is_reckoned():
    """Without a cure, a run that ends when half of the rewound numbers are sent again adds the other half as lost."""
    for tunnels, active in ((1, 1), (10, 3)):
        r = simulated("--tunnels", str(tunnels), "--active", str(100 * active // tunnels), "--ages", "0.1", "--limit",
                      "0.05", "--cures", "none", "--repeats", "1")[0]
        expect((r["ended"], r["rewound"], r["active"]), (False, REWOUND, active))
        expect((r["lost"], r["within"] < 0.6 * REWOUND), (REWOUND, True))
        expect(abs(r["last_s"] - 0.1) < 0.01, True)


def scaled_traffic_rewinds_as_much():
    r = simulated("--tunnels", "1", "--ages", "0.1", "--rate", "14000", "--cures", "none", "--repeats", "1")[0]
    expect((r["ended"], r["rewound"], r["lost"], round(r["last_s"])), (True, REWOUND, REWOUND, 1))


def main(cases):
    failed = 0
    for case in cases:
        if not case.__name__.startswith(("medians", "rows", "durations", "the_")) and not os.path.exists(SIM):
            print(f"ok {case.__name__} # SKIP {SIM} is not built")
            continue
        try:
            case()
            print(f"ok {case.__name__}")
        except Exception as e:  # the other cases run all the same
            failed += 1
            print(f"not ok {case.__name__}: {type(e).__name__}: {e}")
    sys.exit(1 if failed else 0)


main([medians_over_repeats, rows_say_what_was_reckoned, durations_are_short, the_report_has_every_scene,
      the_picture_is_logarithmic, what_has_to_hold, what_is_not_seen_is_reckoned, scaled_traffic_rewinds_as_much])
