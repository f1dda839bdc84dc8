"""Reads the panels of the Grafana dashboard, and draws them with what their queries give. SPDX-License-Identifier: ISC"""
import json
import math
import os
import re
import sys
from dataclasses import dataclass
from xml.sax.saxutils import escape

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bench"))
from picture import STYLE, line, text, tick  # noqa: E402

COLUMNS, WIDTH, HEIGHT = 2, 470, 176
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 44, 22
COLOURS = ("#1f5fa8", "#c44e52", "#4c9be8", "#8c6bb1", "#e0a030", "#3a8f5c", "#9aa5b1")
# What Grafana puts in place of variables; a scrape a second gives a rate over 4 s.
VARIABLES = {"$instance": ".*", "$connection": ".*", "$__rate_interval": "5s"}
SI = (("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1), ("m", 1e-3))


@dataclass
class Panel:
    """title, unit: as Grafana shows them; queries: [(query without variables, form of the legend)]."""

    title: str
    unit: str
    queries: list


def substituted(query):
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    return query


def panels(path):
    with open(path, encoding="utf-8") as f:
        found = json.load(f)["panels"]
    return [Panel(p["title"], p["fieldConfig"]["defaults"]["unit"],
                  [(substituted(t["expr"]), t["legendFormat"]) for t in p["targets"]]) for p in found]


def variables(path):
    """Returns (names of the variables, the queries that give their values, those of annotations), the queries without variables."""
    with open(path, encoding="utf-8") as f:
        board = json.load(f)
    each = board["templating"]["list"]
    values = [substituted(v["query"]["query"]) for v in each if v["type"] == "query"]
    return {v["name"] for v in each}, values, [substituted(a["expr"]) for a in board["annotations"]["list"]]


def legend(form, labels):
    return re.sub(r"\{\{(\w+)\}\}", lambda m: labels.get(m[1], ""), form)


def short(value):
    """A number as an axis has it, such as 2.5M."""
    for sign, factor in SI:
        if abs(value) >= factor:
            return f"{value / factor:.3g}{sign}"
    return f"{value:.2g}"


def path_of(points, x, y):
    """The line through the points, with gaps where nothing was measured for more than two steps."""
    parts, before = [], -math.inf
    for when, value in points:
        if math.isfinite(value):
            parts.append(f"{'L' if when - before <= 2 else 'M'}{x(when):.0f} {y(value):.0f}")
            before = when
    return "".join(parts)


def draw_panel(panel, series, left, top, start, end):
    """series: [(name, [(time, value), ...])]. Returns elements of an SVG."""
    finite = [v for _, points in series for _, v in points if math.isfinite(v)]
    count = panel.unit == "none"
    most = max([*finite, 1 if count else 1e-9]) * 1.05
    step = max(tick(most) * 2, 1 if count else 0)
    bottom, width = top + HEIGHT - BOTTOM, WIDTH - LEFT - RIGHT

    def x(when):
        return left + LEFT + (when - start) / (end - start) * width

    def y(value):
        return bottom - value / most * (HEIGHT - TOP - BOTTOM)

    unit = "" if count else f", {panel.unit}"
    parts = [text(left + 8, top + 16, panel.title + unit, "title")]
    for i in range(int(most / step) + 1):
        parts += [line(left + LEFT, y(i * step), left + WIDTH - RIGHT, y(i * step), "grid"),
                  text(left + LEFT - 6, y(i * step) + 4, short(i * step), "axis", "end")]
    for seconds in range(0, int(end - start) + 1, 10):
        parts.append(text(x(start + seconds), bottom + 15, f"{seconds} s", "axis", "middle"))
    at = left + LEFT
    for i, (name, points) in enumerate(series):
        colour = COLOURS[i % len(COLOURS)]
        parts.append(f'<path d="{path_of(points, x, y)}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        if at + 7 * len(name) < left + WIDTH:
            parts.append(f'<text x="{at}" y="{top + 32}" style="font-size:11px;fill:{colour}">{escape(name)}</text>')
            at += 7 * len(name) + 14
    return parts


def svg(drawn, start, end):
    """drawn: [(panel, series)]. Returns a picture of all of them."""
    parts = []
    for i, (panel, series) in enumerate(drawn):
        parts += draw_panel(panel, series, i % COLUMNS * WIDTH, i // COLUMNS * HEIGHT, start, end)
    width, height = COLUMNS * WIDTH, math.ceil(len(drawn) / COLUMNS) * HEIGHT + 8
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">\n'
            f'<style>{STYLE}</style>\n<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n")
