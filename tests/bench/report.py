"""Computes the figures and prints them; it measures nothing. SPDX-License-Identifier: ISC

results: {"contenders": [[name, title], ...], "rounds": {measure: {name: [sample or None, one per round]}},
"alone": {measure: result}, "absent": {name: why}, "failed": [failed measurements], "about": {...}}
"""
import math
import statistics
from dataclasses import dataclass

STRONGSWAN, WIREGUARD, NULL = "strongswan", "wireguard-go", "null"
PEERS = ((STRONGSWAN, "x strongswan"), (WIREGUARD, "x wireguard-go"), (NULL, "x null"))
# (back end, goals of the ratios to strongSwan, to wireguard-go and to the null tunnel)
BACKENDS = (("ipsec-mb", 18, 2.8, 0.8), ("openssl", 14, 2, 0.5))


def percentile(values, p):
    """Returns the smallest of the values that at least p percent of them do not exceed."""
    values = sorted(values)
    return values[max(math.ceil(len(values) * p / 100), 1) - 1]


def summary(values):
    return {"n": len(values), "median": statistics.median(values), "p99": percentile(values, 99), "max": max(values)}


def column(results, measure, name, field):
    """Returns the field's value per round, None for a round that failed; [] when the measure was not taken."""
    return [s[field] if s else None for s in results["rounds"].get(measure, {}).get(name, [])]


def ratio(results, measure, name, other, field="gbit"):
    """Returns the median over the rounds of the ratio of `name` to `other` in the same round, or None."""
    pairs = zip(column(results, measure, name, field), column(results, measure, other, field))
    ratios = [a / b for a, b in pairs if a is not None and b]
    return statistics.median(ratios) if ratios else None


def median(results, measure, name, field):
    """Returns the median over the rounds, or None; for values that are lists, the medians of their elements."""
    values = [v for v in column(results, measure, name, field) if v is not None]
    if not values:
        return None
    if isinstance(values[0], list):
        return [statistics.median(v) for v in zip(*values)]
    return statistics.median(values)


def outage(arrivals, at, window, onset=0.25):
    """Evaluates the arrivals at a receiver, [(seconds, bytes)], around an event at `at`.

    Returns the longest gap that began not later than `onset` seconds after the event, and the rates in the `window`
    seconds before the event and in those after the gap.
    """
    near = [t for t, _ in arrivals if t >= at - 0.05]
    gaps = [(b - a, b) for a, b in zip(near, near[1:]) if a <= at + onset]
    if not gaps:
        raise RuntimeError("traffic did not come back")
    gap, end = max(gaps)

    def gbit(since, until):
        return sum(n for t, n in arrivals if since <= t < until) * 8 / (until - since) / 1e9
    return {"gap_ms": gap * 1e3, "before_gbit": gbit(at - window, at), "after_gbit": gbit(end, end + window)}


# -- goals --------------------------------------------------------------------------------


@dataclass
class Goal:
    """A figure. at_least or at_most: its goal; with neither it has none. measured: None if it was not measured."""
    text: str
    measured: float | None
    at_least: float | None = None
    at_most: float | None = None

    def goal(self):
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return f"<= {self.at_most:.3g}" if self.at_most is not None else ""

    def reached(self):
        """Returns whether the goal is reached, or None without a goal or a measurement."""
        if self.measured is None or self.at_least is self.at_most:
            return None
        return self.measured >= self.at_least if self.at_least is not None else self.measured <= self.at_most


def stream_goals(results):
    for name, strongswan, wireguard, null in BACKENDS:
        title = {"openssl": "OpenSSL"}.get(name, name)
        rest = ((WIREGUARD, "wireguard-go", wireguard), (NULL, "the null tunnel", null),
                (f"null-{name}", "the null tunnel with that cipher", None))
        yield Goal(f"one TCP stream, {title}, to strongSwan", ratio(results, "one", name, STRONGSWAN), strongswan)
        for other, what, least in rest:
            yield Goal(f"... to {what}", ratio(results, "one", name, other), least)


def best_backend(results):
    """Returns the back end that crypto_backend = "auto" uses."""
    return "ipsec-mb" if results["rounds"].get("small", {}).get("ipsec-mb") else "openssl"


def small_goal(results):
    return Goal("CPU of a 64-byte packet, to strongSwan",
                ratio(results, "small", best_backend(results), STRONGSWAN, "us"), at_most=1 / 3)


def over_aead(rows, sas, size, *fields):
    """Returns the ns per packet of a train that esp/ takes in addition to the AEAD; of several fields the greatest."""
    at = [r for r in rows or [] if (r["sas"], r["batch"], r["size"]) == (sas, 32, size)]
    return max(at[0][f] for f in fields or ("seal_over_ns", "open_over_ns")) if at else None


def growth(rows, field):
    """Returns the ratio of a field's value with the most SAs to that with the fewest."""
    return rows[-1][field] / rows[0][field] if rows and rows[0][field] else None


def goals(results):
    alone = results["alone"]

    def of(measure, *path):
        value = alone.get(measure)
        for step in path:
            value = value[step] if value is not None else None
        return value
    lost = of("rekey", "sent_again") + of("rekey", "unanswered") if alone.get("rekey") else None
    proof, off = of("detection", "proof"), of("detection", "off")
    return [
        *stream_goals(results),
        small_goal(results),
        *(Goal(f"esp/ over the AEAD, {size:,} bytes, hot, ns", over_aead(alone.get("esp"), 1, size), at_most=25)
          for size in (64, 1400)),
        *(Goal(f"esp/ over the AEAD, {size:,} bytes, 1,000 SAs, {what}, ns",
               over_aead(alone.get("esp"), 1000, size, f"{what}_over_ns"), at_most=most)
          for size in (64, 1400) for what, most in (("seal", 60), ("open", 100))),
        Goal("detection, instructions a packet", proof - off if proof is not None else None, at_most=20),
        Goal("control command under load, p99 ms", of("control", "p99"), at_most=20),
        Goal("IKE exchange under load, p99 ms", of("rekey", "p99"), at_most=20),
        Goal("IKE messages lost under load", lost, at_most=0),
        Goal("rewound under load, traffic back, ms", of("rewind", "first_fresh_ms"), at_most=100),
        Goal("... no byte to the receiver for, ms", of("rewind", "gap_ms")),
        Goal("... packets lost", of("rewind", "lost")),
        Goal("a CHILD SA pair, KiB", of("memory", "kib_pair"), at_most=16),
        Goal("look-up, 10,000 SAs to 10, instructions", growth(alone.get("lookup"), "route_instructions")),
        Goal("look-up, 10,000 SAs to 10, ns", growth(alone.get("lookup"), "route_ns")),
    ]


# -- tables ---------------------------------------------------------------------------------


def table(head, rows):
    """Returns a table with columns of minimum width, the first one aligned to the left, the others to the right."""
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    return "\n".join("  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(r, widths))).rstrip()
                     for r in [head, *rows])


def number(value, digits=2):
    return "" if value is None else f"{value:,.{digits}f}"


def spread(values, digits=2):
    """Returns the range of the values that are not None, as text."""
    values = [v for v in values if v is not None]
    return f"{min(values):.{digits}f}-{max(values):.{digits}f}" if values else ""


def gbit_row(results, measure, name, title):
    cpu = median(results, measure, name, "cpu_gib")
    return [title, number(median(results, measure, name, "gbit")), spread(column(results, measure, name, "gbit")),
            *(number(ratio(results, measure, name, peer)) for peer, _ in PEERS),
            " + ".join(f"{v:.2f}" for v in cpu) if cpu else ""]


def small_row(results, name, title):
    return [title, number(median(results, "small", name, "us")), spread(column(results, "small", name, "us")),
            number(ratio(results, "small", name, STRONGSWAN, "us")),
            number(median(results, "small", name, "offered"), 0),
            number(median(results, "small", name, "lost_percent"))]


MEASURES = (("one", "one TCP stream, Gbit/s"), ("four", "four TCP streams, Gbit/s"),
            ("both", "both directions at once, Gbit/s together"))
AGAINST = (*MEASURES, ("small", "64-byte UDP packets, CPU microseconds"))


def rounds_tables(results):
    """Yields (title, table) of each measure that compares the contenders."""
    for measure, title in MEASURES:
        measured = results["rounds"].get(measure, {})
        rows = [gbit_row(results, measure, n, t) for n, t in results["contenders"] if measured.get(n)]
        if rows:
            yield title, table(["", "median", "range", *(head for _, head in PEERS), "CPU s/GiB"], rows)
    rows = [small_row(results, n, t) for n, t in results["contenders"] if results["rounds"].get("small", {}).get(n)]
    if rows:
        yield ("64-byte UDP packets, CPU microseconds of both daemons for each that arrived",
               table(["", "median", "range", "x strongswan", "offered/s", "lost %"], rows))


def goals_table(results):
    rows = [[g.text, number(g.measured), g.goal(), {None: "", True: "yes", False: "no"}[g.reached()]]
            for g in goals(results)]
    return table(["", "measured", "goal", "reached"], rows)


def esp_table(rows):
    return table(["esp/ in memory, ns a packet", "seal", "open", "AEAD seal", "AEAD open", "seal over", "open over"],
                 [[f"{r['sas']:,} SA{'s' * (r['sas'] > 1)}, {r['batch']} together, {r['size']:,} bytes",
                   *(number(r[f], 1) for f in ("seal_ns", "open_ns", "aead_seal_ns", "aead_open_ns", "seal_over_ns",
                                               "open_over_ns"))] for r in rows])


def against_table(results):
    """Compares this commit with another one: medians, and the medians of the ratios within a round."""
    rows = []
    for measure, title in AGAINST:
        field = "us" if measure == "small" else "gbit"
        for backend, *_ in BACKENDS:
            now, then = (median(results, measure, n, field) for n in (backend, f"before-{backend}"))
            if now is not None and then is not None:
                rows.append([f"{title}, {backend}", number(then), number(now),
                             number(ratio(results, measure, backend, f"before-{backend}", field))])
    before = {(r["sas"], r["batch"], r["size"]): r for r in results["alone"].get("esp_before") or []}
    for r in results["alone"].get("esp") or []:
        old = before.get((r["sas"], r["batch"], r["size"]))
        for what in ("seal", "open") if old else ():
            then, now = old[f"{what}_over_ns"], r[f"{what}_over_ns"]
            rows.append([f"{what} over the AEAD, {r['sas']:,} SA{'s' * (r['sas'] > 1)}, {r['batch']} together, "
                         f"{r['size']:,} bytes, ns", number(then, 1), number(now, 1),
                         number(now / then if then else None)])
    return table([f"against {results['about']['against']}", "before", "now", "now to before"], rows)


def suites_table(rows):
    """Returns a table of each suite and back end, with 1 and 32 packets per call."""
    at = {(r["suite"], r["backend"], r["batch"]): r for r in rows}
    kinds = dict.fromkeys((s, b) for s, b, _ in at)
    return table(["AEAD of 1,404 bytes, ns", "back end", "seal 1", "seal 32", "open 1", "open 32"],
                 [[s, b, *(number(at[s, b, n][f], 0) for f in ("seal_ns", "open_ns") for n in (1, 32))]
                  for s, b in kinds])


def lookup_table(rows):
    return table(["look-up", "policy, ns", "instructions", "SA, ns", "instructions"],
                 [[f"{r['sas']:,} SAs", *(number(r[f], 1) for f in ("route_ns", "route_instructions", "sad_find_ns",
                                                                 "sad_find_instructions"))] for r in rows])


def alone_tables(results):
    alone = results["alone"]
    for name, text in (("esp", esp_table), ("suites", suites_table), ("lookup", lookup_table)):
        if alone.get(name):
            yield text(alone[name])
    if alone.get("detection"):
        yield table(["detection, instructions of an opened packet", *alone["detection"]],
                    [["", *(number(v, 1) for v in alone["detection"].values())]])
    rows = [[t, f"{s['n']:,}", number(s["median"]), number(s["p99"]), number(s["max"])]
            for t, s in (("control command", alone.get("control")), ("CREATE_CHILD_SA exchange", alone.get("rekey")))
            if s]
    if rows:
        yield table(["under full load, ms", "times", "median", "p99", "longest"], rows)
    if alone.get("rewind"):
        rows = [[str(i + 1), number(r["first_fresh_ms"]), number(r["response_ms"]), number(r["gap_ms"]),
                 number(r["lost"], 0), number(r["before_gbit"]), number(r["after_gbit"])]
                for i, r in enumerate(alone["rewind"]["each"])]
        yield table(["gateway rewound under load", "fresh again, ms", "answer, ms", "no byte for, ms", "packets lost",
                     "Gbit/s before", "after"], rows)
    if alone.get("memory"):
        rows = [[f"{int(n):,} CHILD SA pairs", *(number(k / 1024, 1) for k in v["rss_kib"]), number(v["seconds"], 1)]
                for n, v in alone["memory"]["at"].items()]
        yield table(["memory before traffic", "branch, MiB", "gateway, MiB", "up after, s"], rows)


def text(results):
    """Returns the whole report."""
    parts = [f"{title}\n{'-' * len(title)}\n{body}" for title, body in rounds_tables(results)]
    parts += alone_tables(results)
    if results["about"].get("against"):
        parts.append(against_table(results))
    parts.append(f"goals\n{'-' * 68}\n{goals_table(results)}")
    notes = [f"left out: {name}: {why}" for name, why in results["absent"].items()]
    notes += [f"broken: {what}" for what in results["failed"]]
    about = ", ".join(f"{k} {v}" for k, v in results["about"].items() if v)
    return "\n\n".join([*parts, "\n".join([*notes, about])]) + "\n"
