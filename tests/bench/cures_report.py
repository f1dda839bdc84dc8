"""Computes the figures of the comparison of cures, and makes its tables and its picture; it measures nothing.

SPDX-License-Identifier: ISC

results: {"runs": [what cures_sim prints], "strongswan": [rows], "absent": {cure: why}, "about": {...}}
"""
import math
import statistics
from dataclasses import dataclass

import picture
from report import number, table

RATE = 140000  # packets/s; the rewind is this times the age of the sync
CURES = [
    ("none", "no cure"),
    ("wide", "window of 65,536"),
    ("unprotected", "replay protection off"),
    ("gateway", "gateway rekeys all its tunnels"),
    ("count", "induced by count, 64 packets"),
    ("time", "induced by time, 1 s"),
    ("proof", "by proof, bridge off"),
    ("bridge", "by proof, with the bridge"),
]
TITLES = dict(CURES)
HEAD = ["lost", "worst tunnel", "all flow after", "rekeys", "CPU s", "requests/s", "replays accepted"]
SHORT = ((1, 1), (100, 10), (4000, 40), (4000, 4000))  # (tunnels, active) of the short table and the picture
COLOURS = {"none": "#9aa5b1", "wide": "#c9d0d8", "unprotected": "#c44e52", "gateway": "#e0a040", "count": "#8c6bb1",
           "time": "#b39ddb", "proof": "#4c9be8", "bridge": "#1f5fa8"}


@dataclass
class Cell:
    """One cure in one scene: medians over the repeated runs, and results of the run with a recorder."""
    lost: float
    worst: float
    last_s: float
    rekeys: float
    ike_up: float
    cpu_s: float
    peak: float
    rewound: int
    ended: bool
    limit: float
    resent: int | None
    twice: int | None


def scenes(results):
    """Returns [(tunnels, active, age)], sorted, each once."""
    return sorted({(r["tunnels"], r["active"], r["age"]) for r in results["runs"]})


def cell(results, scene, cure):
    """Returns the Cell, or None when it was not measured."""
    runs = [r for r in results["runs"] if (r["tunnels"], r["active"], r["age"]) == scene and r["cure"] == cure]
    plain, recorded = ([r for r in runs if r["recorder"] is kind] for kind in (False, True))
    if not plain:
        return None
    middle = {f: statistics.median(r[f] for r in plain)
              for f in ("lost", "worst", "last_s", "rekeys", "ike_up", "cpu_s", "peak")}
    return Cell(**middle, rewound=plain[0]["rewound"], ended=all(r["ended"] for r in plain), limit=plain[0]["limit"],
                resent=recorded[0]["resent"] if recorded else None, twice=recorded[0]["twice"] if recorded else None)


def duration(seconds):
    """Returns a time as text with about three digits."""
    if seconds <= 0:
        return "at once"
    if seconds < 1:
        return f"{seconds * 1000:.{1 if seconds < 0.1 else 0}f} ms"
    return f"{seconds:.2f} s" if seconds < 100 else f"{seconds:,.0f} s"


def cells_of_row(c):
    """Returns the columns of a cell. Estimates, of runs that ended before the switchover was over, are marked with ~."""
    about = "" if c.ended else "~"
    when = duration(c.last_s) if c.ended else f"not within {c.limit:g} s, ~{duration(c.last_s)}"
    rekeys = number(c.rekeys, 0) + (f" + {c.ike_up:,.0f} IKE" if c.ike_up else "")
    replays = "" if c.twice is None else f"{c.twice:,} of {c.resent:,}"
    return [about + number(c.lost, 0), about + number(c.worst, 0), when, rekeys, number(c.cpu_s, 4), number(c.peak, 0),
            replays]


def scene_title(results, scene):
    tunnels, active, age = scene
    some = next(r["rewound"] for r in results["runs"] if (r["tunnels"], r["active"], r["age"]) == scene)
    return (f"{tunnels:,} tunnel{'s' * (tunnels > 1)}, {active:,} active, a sync {age:g} s old: "
            f"{some:,} numbers rewound in all")


def scene_table(results, scene):
    rows = []
    for cure, title in CURES:
        if c := cell(results, scene, cure):
            rows.append([title, *cells_of_row(c)])
        elif cure in results["absent"]:
            rows.append([title, *[""] * (len(HEAD) - 1), results["absent"][cure]])
    return scene_title(results, scene) + "\n" + table(["", *HEAD], rows)


def scaled(results):
    """Returns a sentence about how far the traffic was scaled down; "" when it was not."""
    rates = {r["rate"] for r in results["runs"]} - {RATE}
    return "".join(f"Traffic scaled down {RATE / r:g} times, to {r:,} packets/s; the numbers rewound are not.\n"
                   for r in sorted(rates))


def strongswan_table(results, tunnels):
    some = [r for r in results["strongswan"] if r.get("tunnels", 1) == tunnels]
    rows = [[r["title"], *(number(r.get(f), d) for f, d in (("lost", 0), ("worst", 0), ("last_ms", 0), ("rekeys", 0),
                                                             ("cpu_s", 2), ("peak", 0))),
             f"{r['twice']:,} of {r['resent']:,}" if r.get("resent") else r.get("why", "")]
            for r in some]
    rate = some[0]["rate"]
    title = (f"unmodified strongSwan, {tunnels} tunnel{'s' * (tunnels > 1)}, all active, {some[0]['rewound']:,} "
             f"numbers rewound in each, traffic scaled down {RATE / rate:g} times, to {rate:,} packets/s in all")
    return title + "\n" + table(["", "lost", "worst tunnel", "all flow after, ms", "rekeys", "charon's CPU s, ESP too",
                                 "requests/s", "replays accepted"], rows)


def text(results, short=False):
    """Returns the report; short: only the scenes of SHORT, with the two oldest syncs."""
    every = scenes(results)
    ages = sorted({age for _, _, age in every})[-2:]
    chosen = [s for s in every if not short or (s[:2] in SHORT and s[2] in ages)]
    parts = [scene_table(results, s) for s in chosen]
    if results.get("strongswan"):
        parts += [strongswan_table(results, n) for n in sorted({r.get("tunnels", 1) for r in results["strongswan"]})]
    about = ", ".join(f"{k} {v}" for k, v in results["about"].items() if v)
    return "\n\n".join([*parts, scaled(results) + about]) + "\n"


# -- the picture ----------------------------------------------------------------------------


def log_length(value, most, width):
    """Returns the length of a bar: 0 below 1, else a share of `width` by the logarithm, so that 1 is visible."""
    return 0 if value < 1 else width * (1 + math.log10(value)) / (1 + math.log10(max(most, 1)))


def bar(x, y, width, most, cure, c):
    length = log_length(c.lost, most, width)
    about = "" if c.ended else "~"
    said = f"{about}{c.lost:,.0f} lost, all flow " + ("at once" if c.last_s <= 0 else f"after {duration(c.last_s)}")
    if c.twice:
        said += f", {c.twice:,} replays accepted"
    return [picture.text(x - 10, y + picture.BAR / 2 + 4, TITLES[cure], anchor="end"),
            f'<rect x="{x}" y="{y}" width="{max(length, 1):.1f}" height="{picture.BAR}" rx="2" '
            f'fill="{COLOURS[cure]}"/>',
            picture.text(x + length + 8, y + picture.BAR / 2 + 4, said, "value")]


def panel(results, scene, top, most):
    """Draws one scene from y = top on; returns (its elements, the y at which it ends)."""
    x, width = picture.LABELS, picture.WIDTH - picture.LABELS - 330
    parts, y = [picture.text(16, top + 24, scene_title(results, scene), "title")], top + picture.HEAD - 8
    for cure, _ in CURES:
        if c := cell(results, scene, cure):
            parts += bar(x, y, width, most, cure, c)
            y += picture.STEP
    return parts, y + 8


def svg(results):
    """Returns a picture of the packets lost at the oldest sync, on a logarithmic scale; None when there are no runs."""
    every = scenes(results)
    if not every:
        return None
    age = max(age for _, _, age in every)
    shown = [s for s in every if s[2] == age and s[:2] in SHORT] or [s for s in every if s[2] == age]
    most = max(r["lost"] for r in results["runs"])
    parts, y = [], 0
    for scene in shown:
        more, y = panel(results, scene, y, most)
        parts += more
    parts.append(picture.text(16, y + 12, "Bars: packets lost in all, on a logarithmic scale.", "axis"))
    size = f'width="{picture.WIDTH}" height="{y + 28}"'
    return (f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {picture.WIDTH} {y + 28}">\n'
            f'<style>{picture.STYLE}</style>\n<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(parts)
            + "\n</svg>\n")
