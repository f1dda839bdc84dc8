"""Draws the throughputs: a bar for the median, a line for the range, a panel per measure, the same scale for all.

SPDX-License-Identifier: ISC
"""
import math
from xml.sax.saxutils import escape

from report import MEASURES, column, median

WIDTH, LABELS, RIGHT = 860, 262, 64
BAR, STEP, HEAD, FOOT = 17, 25, 44, 34
COLOURS = (("null-", "#9aa5b1"), ("null", "#c9d0d8"), ("strongswan", "#c44e52"), ("wireguard-go", "#8c6bb1"),
           ("openssl", "#4c9be8"), ("ipsec-mb", "#1f5fa8"))
STYLE = """text { font-family: "DejaVu Sans", Helvetica, Arial, sans-serif; font-size: 12px; fill: #24292f; }
.title { font-size: 14px; font-weight: bold; } .axis { fill: #57606a; font-size: 11px; }
.value { font-weight: bold; } .grid { stroke: #e3e7eb; } .range { stroke: #24292f; stroke-width: 1.4; }
.halo { stroke: #ffffff; stroke-width: 4; stroke-opacity: 0.7; }"""


def colour(name):
    return next((c for start, c in COLOURS if name.startswith(start)), "#777777")


def tick(top):
    """Returns a round distance of ticks, with at most nine of them up to `top`."""
    unit = 10 ** math.floor(math.log10(top))
    return next(unit * f for f in (0.1, 0.2, 0.5, 1, 2) if top / (unit * f) <= 9)


def bars_of(results, measure):
    """Returns [(name, title, median, minimum, maximum)] of the contenders that were measured."""
    bars = []
    for name, title in results["contenders"]:
        values = [v for v in column(results, measure, name, "gbit") if v is not None]
        if values:
            bars.append((name, title, median(results, measure, name, "gbit"), min(values), max(values)))
    return bars


def text(x, y, what, css="", anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{css}" text-anchor="{anchor}">{escape(what)}</text>'


def line(x1, y1, x2, y2, css):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'


def bar(x, y, scale, item):
    name, title, middle, least, most = item
    centre = y + BAR / 2
    a, b = x + least * scale, x + most * scale
    strokes = ((a, centre, b, centre), (a, centre - 4, a, centre + 4), (b, centre - 4, b, centre + 4))
    return [text(x - 10, centre + 4, title, anchor="end"),
            f'<rect x="{x}" y="{y}" width="{max(middle * scale, 1):.1f}" height="{BAR}" rx="2" '
            f'fill="{colour(name)}"/>',
            *(line(*s, css) for css in ("halo", "range") for s in strokes),
            text(max(b, x + middle * scale) + 8, centre + 4, f"{middle:.2f}", "value")]


def panel(top, title, bars, most):
    """Draws one measure from y = top on, on a scale up to `most`; returns (its elements, the y at which it ends)."""
    scale, step = (WIDTH - LABELS - RIGHT) / most, tick(most)
    y, end = top + HEAD, top + HEAD + len(bars) * STEP
    parts = [text(16, top + 24, title, "title")]
    for i in range(int(most / step) + 1):
        x = LABELS + i * step * scale
        parts += [line(x, y - 6, x, end, "grid"), text(x, end + 14, f"{i * step:g}", "axis", "middle")]
    for i, item in enumerate(bars):
        parts += bar(LABELS, y + i * STEP, scale, item)
    return parts, end + FOOT


def svg(results):
    """Returns the picture, or None when no throughput was measured."""
    panels = [(title, bars) for measure, title in MEASURES if (bars := bars_of(results, measure))]
    if not panels:
        return None
    parts, y, most = [], 0, max(b[4] for _, bars in panels for b in bars) or 1
    for title, bars in panels:
        more, y = panel(y, title[0].upper() + title[1:], bars, most)
        parts += more
    about = f"Bars: medians of {results['about'].get('rounds', '')} interleaved rounds; lines: the least and the most."
    parts.append(text(16, y + 12, about, "axis"))
    size = f'width="{WIDTH}" height="{y + 28}"'
    return (f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {WIDTH} {y + 28}">\n<style>{STYLE}</style>\n'
            '<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n")
