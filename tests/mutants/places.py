# Finds the code that a mutant changes. SPDX-License-Identifier: ISC
"""A place is the name of a function, in any file; FILE:FUNCTION if several files have a function of that name; or FILE
for code outside of functions. The code that a mutant changes must occur in its place exactly once.
"""
import glob
import os
import re

FOLDERS = ("common", "esp", "ike", "tunnel", "daemon")
# A function definition begins and ends in the first column, as clang-format formats it.
FUNCTION = re.compile(r"^(?![\s#/*}]|typedef\b)[^;={}()]*?\b(\w+)\([^;{}]*?\)\n\{\n.*?^\}\n", re.M | re.S)


class Places:
    """The texts and functions of all source files, which are read once."""

    def __init__(self, source):
        self.texts, self.functions = {}, {}
        for folder in FOLDERS:
            for path in glob.glob(os.path.join(source, folder, "**/*.[ch]"), recursive=True):
                with open(path, encoding="utf-8") as file:
                    self._add(os.path.relpath(path, source), file.read())

    def _add(self, path, text):
        self.texts[path] = text
        for found in FUNCTION.finditer(text):
            self.functions.setdefault(found[1], []).append((path, found.start(), found.end()))

    def _extent(self, place):
        """Returns (path, begin, end) of a place; raises LookupError when it is unknown or ambiguous."""
        if place in self.texts:
            return place, 0, len(self.texts[place])
        path, _, name = place.rpartition(":")
        found = [f for f in self.functions.get(name, []) if path in ("", f[0])]
        if len(found) != 1:
            where = ", ".join(f[0] for f in found) or "no file"
            raise LookupError(f"{place}: {where} has this function: write FILE:FUNCTION, or FILE if it is in none")
        return found[0]

    def find(self, place, code):
        """Returns (path, offset of the code in its text); raises LookupError if the code does not occur exactly once."""
        path, begin, end = self._extent(place)
        count = self.texts[path].count(code, begin, end)
        if count != 1:
            raise LookupError(f"the code is {count} times in {place}, not once")
        return path, self.texts[path].index(code, begin, end)
