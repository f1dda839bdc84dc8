#!/usr/bin/python3
# Tests the arithmetic of tests/bench, its report, its picture and its sniffer. SPDX-License-Identifier: ISC
import os
import struct
import sys
import xml.dom.minidom

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import backports  # noqa: E402
import picture  # noqa: E402
import report  # noqa: E402
import sniffer  # noqa: E402


def expect(got, wanted):
    if got != wanted:
        raise AssertionError(f"{got!r} instead of {wanted!r}")


def close(got, wanted):
    if got is None or abs(got - wanted) > 1e-9:
        raise AssertionError(f"{got!r} instead of {wanted!r}")


def sample(gbit):
    return {"gbit": gbit, "cpu_gib": [1.0, 2 * gbit]}


def some_results():
    one = {"ipsec-mb": [8.0, 9.0, 7.0], "strongswan": [0.5, 0.3, 0.7], "null": [10.0, 10.0, 10.0],
           "wireguard-go": [2.0, None, 4.0]}
    small = {"ipsec-mb": [{"us": 2.0, "offered": 40000, "lost_percent": 0.0}],
             "strongswan": [{"us": 8.0, "offered": 39000, "lost_percent": 12.5}]}
    return {"contenders": [["ipsec-mb", "Mendip"], ["null", "null tunnel"], ["strongswan", "strongSwan"],
                           ["wireguard-go", "wireguard-go & <others>"]],
            "rounds": {"one": {n: [sample(v) if v else None for v in vs] for n, vs in one.items()}, "small": small},
            "alone": {}, "absent": {"openssl": "not wanted"}, "failed": [], "about": {"rounds": 3}}


def percentiles():
    expect(report.percentile([5], 99), 5)
    expect(report.percentile(list(range(100, 0, -1)), 99), 99)
    expect(report.percentile(list(range(1, 101)), 50), 50)
    expect(report.percentile([1, 2, 3], 99), 3)
    expect(report.percentile(list(range(1, 201)), 99), 198)
    expect(report.summary([3.0, 1.0, 2.0]), {"n": 3, "median": 2.0, "p99": 3.0, "max": 3.0})


def ratios_are_of_the_same_round():
    r = some_results()
    close(report.ratio(r, "one", "ipsec-mb", "strongswan"), 16)  # of 16, 30, 10; not the ratio of the medians
    r["rounds"]["one"]["strongswan"][0]["gbit"] = 0.1
    close(report.ratio(r, "one", "ipsec-mb", "strongswan"), 30)  # of 80, 30, 10
    close(report.ratio(r, "small", "ipsec-mb", "strongswan", "us"), 0.25)


def failed_rounds_are_left_out():
    r = some_results()
    close(report.ratio(r, "one", "ipsec-mb", "wireguard-go"), (4 + 1.75) / 2)
    close(report.median(r, "one", "wireguard-go", "gbit"), 3)
    expect(report.median(r, "one", "wireguard-go", "cpu_gib"), [1.0, 6.0])
    expect(report.ratio(r, "one", "ipsec-mb", "openssl"), None)
    expect(report.ratio(r, "four", "ipsec-mb", "null"), None)
    r["rounds"]["one"]["null"] = [sample(0.0)] * 3
    expect(report.ratio(r, "one", "ipsec-mb", "null"), None)


def outages_are_those_of_the_event():
    steady = [(t / 1000, 125000) for t in range(1000)]  # 1 Gbit/s
    seen = [(t, n) for t, n in steady if not 0.5 <= t < 0.53 and not 0.9 <= t < 0.99]
    got = report.outage(seen, 0.499, 0.2)
    close(round(got["gap_ms"], 6), 31)  # not the longer gap, which is too late for the event
    close(round(got["before_gbit"], 2), 1)
    close(round(got["after_gbit"], 2), 1)
    try:
        report.outage([(t, n) for t, n in seen if t < 0.499], 0.6, 0.2)
    except RuntimeError:
        return
    raise AssertionError("silence to the end is no gap")


def goals_are_judged():
    for goal, wanted in ((report.Goal("", 18, at_least=18), True), (report.Goal("", 17.99, at_least=18), False),
                         (report.Goal("", 0, at_most=0), True), (report.Goal("", 20.1, at_most=20), False),
                         (report.Goal("", None, at_most=20), None), (report.Goal("", 3), None)):
        expect(goal.reached(), wanted)
    expect(report.Goal("", 1, at_most=1 / 3).goal(), "<= 0.333")
    expect(report.Goal("", 1, at_least=2.8).goal(), ">= 2.8")


def every_goal_from_results():
    r = some_results()
    rows = [{"sas": s, "batch": 32, "size": size, "seal_over_ns": s / 10, "open_over_ns": s / 20}
            for s in (1, 1000) for size in (64, 1400)]
    r["alone"] = {"esp": rows, "detection": {"off": 100.0, "proof": 112.5}, "control": {"p99": 4.0},
                  "rekey": {"p99": 5.0, "sent_again": 1, "unanswered": 2},
                  "rewind": {"first_fresh_ms": 6.0, "gap_ms": 7.0, "lost": 8}, "memory": {"kib_pair": 9.0},
                  "lookup": [{"route_instructions": 400, "route_ns": 30}, {"route_instructions": 420, "route_ns": 90}]}
    measured = {g.text: g.measured for g in report.goals(r)}
    for text, wanted in (("one TCP stream, ipsec-mb, to strongSwan", 16),
                         ("CPU of a 64-byte packet, to strongSwan", 0.25),
                         ("esp/ over the AEAD, 1,400 bytes, hot, ns", 0.1),
                         ("esp/ over the AEAD, 64 bytes, 1,000 SAs, seal, ns", 100),
                         ("esp/ over the AEAD, 64 bytes, 1,000 SAs, open, ns", 50),
                         ("detection, instructions a packet", 12.5),
                         ("control command under load, p99 ms", 4), ("IKE exchange under load, p99 ms", 5),
                         ("IKE messages lost under load", 3), ("rewound under load, traffic back, ms", 6),
                         ("a CHILD SA pair, KiB", 9), ("look-up, 10,000 SAs to 10, instructions", 1.05),
                         ("look-up, 10,000 SAs to 10, ns", 3)):
        close(measured[text], wanted)
    expect(measured["one TCP stream, OpenSSL, to strongSwan"], None)


def another_commit_stands_beside():
    r = some_results()
    row = {"sas": 1, "batch": 32, "size": 64, "seal_over_ns": 30.0, "open_over_ns": 40.0,
           **dict.fromkeys(("seal_ns", "open_ns", "aead_seal_ns", "aead_open_ns"), 1.0)}
    r["about"]["against"] = "abc1234"
    r["rounds"]["one"]["before-ipsec-mb"] = [{**s, "gbit": s["gbit"] / 2} if s else None
                                             for s in r["rounds"]["one"]["ipsec-mb"]]
    r["alone"] = {"esp": [row], "esp_before": [{**row, "open_over_ns": 50.0}]}
    lines = {line.split("  ")[0]: line.split()[-3:] for line in report.text(r).splitlines()}
    expect(lines["one TCP stream, Gbit/s, ipsec-mb"][2], "2.00")
    expect(lines["seal over the AEAD, 1 SA, 32 together, 64 bytes, ns"], ["30.0", "30.0", "1.00"])
    expect(lines["open over the AEAD, 1 SA, 32 together, 64 bytes, ns"], ["50.0", "40.0", "0.80"])


def the_report_says_what_is_missing():
    r = some_results()
    r["failed"] = ["memory: it broke"]
    lines = report.text(r).splitlines()
    expect("left out: openssl: not wanted" in lines, True)
    expect("broken: memory: it broke" in lines, True)
    row = [line for line in lines if line.startswith("strongSwan")][0].split()
    expect(row, ["strongSwan", "0.50", "0.30-0.70", "1.00", "0.21", "0.05", "1.00", "+", "1.00"])
    row = [line for line in lines if line.startswith("CPU of a 64-byte")][0].split()
    expect(row[-4:], ["0.25", "<=", "0.333", "yes"])
    report.text({**r, "contenders": [], "rounds": {}})  # a report without measurements is possible


def tables_are_aligned():
    expect(report.table(["", "a"], [["x", "10"], ["long", "1"]]), "       a\nx     10\nlong   1")


def the_picture_is_xml():
    r = some_results()
    doc = xml.dom.minidom.parseString(picture.svg(r))
    widths = {e.getAttribute("fill"): float(e.getAttribute("width")) for e in doc.getElementsByTagName("rect")
              if e.getAttribute("rx")}
    close(round(widths[picture.colour("ipsec-mb")] / widths[picture.colour("null")], 2), 0.8)
    expect(picture.svg({**r, "rounds": {}}), None)
    for top, step in ((0.7, 0.1), (8.9, 1), (12.1, 2), (95, 20)):
        close(picture.tick(top), step)


def message(number, response=False, initiator=True, spi=b"12345678", exchange=36):
    flags = (sniffer.RESPONSE if response else 0) | (sniffer.INITIATOR if initiator else 0)
    return spi, exchange, flags, number


def exchanges_are_paired():
    seen = [(1.0, *message(0)), (1.001, *message(0, initiator=False)),  # each side has its own message IDs
            (1.004, *message(0, response=True)),                       # responds to the other side's request
            (2.0, *message(1)), (2.5, *message(1)), (2.6, *message(1, response=True, initiator=False)),
            (2.7, *message(1, response=True, initiator=False)), (3.0, *message(2, exchange=37)),
            (3.1, *message(7, response=True)), (4.0, *message(1, spi=b"another.."))]
    got = sniffer.exchanges(seen)
    expect([round(ms, 6) for ms in got["ms"]], [3.0, 600.0])
    expect((got["sent_again"], got["open"]), (1, 2))


def run_filter(packet):
    """Interprets the filter, with the instructions of classic BPF that it has; returns the number of bytes accepted."""
    def load(width, at):
        if at + width > len(packet):
            raise IndexError
        return int.from_bytes(packet[at:at + width], "big")
    a = x = at = 0
    try:
        while True:
            code, true, false, k = sniffer.IKE_FILTER[at]
            at += 1
            if code == 0x06:
                return k
            if code == 0x15:
                at += true if a == k else false
            elif code == 0xb1:
                x = 4 * (load(1, k) & 15)
            else:
                a = {0x30: lambda: load(1, k), 0x48: lambda: load(2, x + k), 0x40: lambda: load(4, x + k)}[code]()
    except IndexError:
        return 0


def packet(port=4500, marker=0, proto=17, options=b""):
    header = bytes([0x45 + len(options) // 4, 0]) + bytes(7) + bytes([proto]) + bytes(10) + options
    ike = b"12345678" + b"87654321" + bytes([0, 0x20, 36, 8, 0, 0, 0, 5]) + bytes(4)
    return header + struct.pack(">HHHHI", 4500, port, 0, 0, marker) + ike


def the_filter_takes_ike_alone():
    for p in (packet(), packet(options=bytes(8))):
        expect(run_filter(p) > 0, True)
        expect(sniffer.parse(p), (b"12345678", 36, 8, bytes([0, 0, 0, 5])))
    keepalive = packet()[:29]
    for p in (packet(port=4501), packet(marker=1), packet(proto=6), packet(proto=0), keepalive):
        expect(run_filter(p), 0)
    expect(sniffer.parse(packet()[:40]), None)


def backports_from_the_release():
    stanza = ("# a comment\nTypes: deb deb-src\nURIs: mirror+file:/etc/mirrors\nSuites: bookworm bookworm-updates\n"
              "Components: main contrib\nSigned-By:\n -----BEGIN\n .\n -----END\n")
    got = backports.entries("debian.sources", stanza + "\n\n" + stanza.replace("bookworm", "other"), "bookworm")
    expect(got, [(".sources", "Types: deb\nUris: mirror+file:/etc/mirrors\nSuites: bookworm-backports\n"
                              "Components: main\nSigned-By: \n -----BEGIN\n .\n -----END\n")])
    lines = ("# deb file:/old bookworm main\ndeb [signed-by=/k.gpg arch=amd64] file:/mirror bookworm main contrib # x\n"
             "deb file:/mirror bookworm-security main\ndeb-src file:/mirror bookworm main\n"
             "deb file:/x bookworm stable\n")
    expect(backports.entries("sources.list", lines, "bookworm"),
           [(".list", "deb [signed-by=/k.gpg arch=amd64] file:/mirror bookworm-backports main\n")])
    expect(backports.entries("x.sources", stanza + "Enabled: no\n", "bookworm"), [])
    expect(backports.entries("x.sources", "", "bookworm"), [])


def main(cases):
    failed = 0
    for case in cases:
        try:
            case()
            print(f"ok {case.__name__}")
        except Exception as e:  # the other cases run all the same
            failed += 1
            print(f"not ok {case.__name__}: {type(e).__name__}: {e}")
    sys.exit(1 if failed else 0)


main([percentiles, ratios_are_of_the_same_round, failed_rounds_are_left_out, outages_are_those_of_the_event,
      goals_are_judged, every_goal_from_results, another_commit_stands_beside, the_report_says_what_is_missing,
      tables_are_aligned, the_picture_is_xml, exchanges_are_paired, the_filter_takes_ike_alone,
      backports_from_the_release])
