#!/usr/bin/python3
# Mendip with unmodified strongSwan: each feature in both roles, several tunnels side by side. SPDX-License-Identifier: ISC
"""usage: test_matrix.py [TEXT ...]

Runs the cells of the matrix whose case names contain one of the texts, or all, and prints a table and a case for each cell.
MENDIP_STRONGSWAN_ROOT: the folder of a system with strongSwan 6, see strongswan.py.
"""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../netns"))
import matrix  # noqa: E402
import matrix_rows  # noqa: E402
import strongswan  # noqa: E402
from daemons import side_by_side  # noqa: E402

SIDE_BY_SIDE = int(os.environ.get("MENDIP_CELLS", str(6 * (os.cpu_count() or 1))))


def case_name(row, role):
    return f"{row}; {role} initiates"


def run(subject, number, role):
    """Runs one cell, in a process of its own: namespaces are named after the process. Rows hold functions, and so are
    not handed over."""
    return matrix.run(list(subject())[number], role)


def chosen():
    """Yields (subject, number of the row in it, name of the row, role)."""
    for subject in matrix_rows.SUBJECTS:
        for number, row in enumerate(subject()):
            for role in matrix.ROLES:
                if not sys.argv[1:] or any(text in case_name(row.name, role) for text in sys.argv[1:]):
                    yield subject, number, row.name, role


class Table:
    """A line for each row, with a column for who initiates, and notes below."""

    def __init__(self, results):
        self.notes, self.rows = [], {}
        for result in results:
            self.rows.setdefault(result.row, {})[result.role] = self.shown(result)

    def shown(self, result):
        """Returns the text of a cell."""
        if result.failure:
            return f"FAILED at {result.failure.split(':')[0]}"
        if result.note and result.note not in self.notes:
            self.notes.append(result.note)
        return ("all" if result.passed else "-") + (f" [{self.notes.index(result.note) + 1}]" if result.note else "")

    def print(self, title):
        width = max(len(name) for name in self.rows)
        print(f"# {title}")
        print("# all: it comes up, packets pass both ways, each side rekeys the CHILD SA and the IKE SA, and packets pass "
              "again each time;")
        print("#      strongSwan's sequence numbers are set back under traffic, and no packet is lost")
        print(f"# {'':{width}}  " + "  ".join(f"{role + ' initiates':<22}" for role in matrix.ROLES).rstrip())
        for name, roles in self.rows.items():
            print(f"# {name:{width}}  " + "  ".join(f"{roles.get(role, ''):<22}" for role in matrix.ROLES).rstrip())
        for number, note in enumerate(self.notes, 1):
            print(f"# [{number}] {note}")


def main():
    if os.geteuid():
        print("ok matrix # SKIP needs root")
        sys.exit(77)
    if strongswan.missing():
        print(f"ok matrix # SKIP {strongswan.missing()}")
        sys.exit(77)
    missing = matrix_rows.without_row()
    print(f"not ok each algorithm has a row: {missing} have none" if missing else "ok each algorithm has a row")
    began = time.monotonic()
    with side_by_side(SIDE_BY_SIDE) as pool:
        cells = [pool.submit(run, subject, number, role) for subject, number, _, role in chosen()]
        results = [cell.result() for cell in cells]
    for result in results:
        name = case_name(result.row, result.role)
        if result.failure:
            print(f"not ok {name}: {result.failure}\n{result.log}")
        elif result.ran:
            print(f"ok {name}")
    Table(results).print(f"Mendip and strongSwan {max(r.version for r in results)}: {sum(r.ran for r in results)} cells in "
                         f"{time.monotonic() - began:.0f} s, {SIDE_BY_SIDE} side by side")
    sys.exit(bool(missing) or any(result.failure for result in results))


main()
