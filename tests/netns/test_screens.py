#!/usr/bin/python3
# The screens of mendipctl in README.md and in the manual are those of a real run. SPDX-License-Identifier: ISC
"""
A branch has two tunnels: one to a gateway that was taken through a switchover, and one to a gateway that is away. What
status, diagnose, switchover and watch print there stands between marks in the documents. The test compares all but
figures; with --write the documents get what was printed.
"""
import os
import re
import subprocess
import sys

from daemons import BUILD, PSK, Mendip, child, config, expect, main, read_lines, testbed, wait_for

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
QUICK = 'retransmit_timeout = "200ms"; retransmit_tries = 2;'


def two_connections(control, gateway):
    """The configuration of the branch."""
    net = child("10.1.0.0/16", "10.2.0.0/16", start_action="start")
    text = config(control, {"net": net}, gateway)
    hq = f"""  hq: {{ local: {{ id = "branch.example"; auth = "psk"; }}; {QUICK}
    remote_addrs = [ "192.0.2.9" ]; remote: {{ id = "hq.example.net"; auth = "psk"; }};
    children: {{ lan: {child("10.1.0.0/16", "10.3.0.0/16", start_action="start")}; }}; }};
"""
    return text.replace("}; };\nsecrets:", "}; " + hq + "};\nsecrets:")


def screens(bed):
    """Returns {command line: what it printed}."""
    left, right = bed.pair("branch", "gw")
    gw = Mendip(bed, right, lambda s: config(s, {"net": child("10.2.0.0/16", "10.1.0.0/16")}, "%any", "gw.example.net",
                                             "*.example", "branch"))
    branch = Mendip(bed, left, lambda s: two_connections(s, right.outer))
    branch.wait_up("net")
    flow = bed.flow(gw.ns, gw.ns.inner, branch.ns, branch.ns.inner, rate=500)
    wait_for(lambda: flow.sent > 2000, "the flow is slow", 30)
    gw.ctl("fault", "rewind", "1500")
    branch.wait_recovered()
    wait_for(lambda: branch.ctl("status", "hq")["connections"][0]["last_error"], "hq has no error", 20)

    def say(*args):
        return branch.run(*args, as_json=False).stdout.rstrip("\n")
    shown = {" ".join(args): say(*args) for args in (("status",), ("diagnose", "hq"), ("switchover", "net"))}
    with subprocess.Popen([f"{BUILD}/mendipctl", "-s", branch.control, "watch"], stdout=subprocess.PIPE) as view:
        frames = read_lines(view.stdout, 6)
        view.stdout.close()
        view.terminate()
    shown["watch"] = "".join(frames[3:]).rstrip("\n")
    flow.stop()
    expect(PSK not in str(shown), "a secret")
    return shown


# -- the documents --------------------------------------------------------------------------------


def as_mdoc(text):
    """Returns the text as lines of mdoc(7), in which a backslash, and a dot or an apostrophe that begins a line, are special."""
    return "\n".join(re.sub(r"^([.'])", r"\\&\1", line.rstrip().replace("\\", "\\e")) for line in text.splitlines())


class Document:
    """A file with places for screens."""

    def __init__(self, path, begin, end, form):
        self.path, self.begin, self.end, self.form = os.path.join(TOP, path), begin, end, form
        with open(self.path, encoding="utf-8") as f:
            self.text = f.read()

    def place(self, command):
        """Returns the match of the screen of this command, or None."""
        return re.search(re.escape(self.begin.format(command)) + "\n(.*?)\n" + re.escape(self.end), self.text, re.S)

    def put(self, command, screen):
        place = self.place(command)
        if place:
            self.text = self.text[:place.start(1)] + self.form(screen) + self.text[place.end(1):]


def documents():
    return [Document("README.md", "<!-- mendipctl {} -->\n", "\n<!-- -->",
                     lambda s: "\n".join(f"    {line}".rstrip() for line in s.splitlines())),
            Document("man/mendipctl.8", ".\\\" screen: {}\n.Bd -literal", ".Ed", as_mdoc)]


def shape(text):
    """Returns the text without what differs from run to run: figures, SPIs, the width of columns."""
    text = re.sub(r"\b[0-9a-f]{8}\b", "#", text)
    text = re.sub(r"\b(starting|trapped)\b", "waiting", text)  # between two calls of a gateway that is away
    text = re.sub(r"\b(proof|hint)s\b", r"\1", text)
    text = re.sub(r"\d[\d.,]*(?:ms|[smhdKMG]\d*[smhd]?)?\b", "#", text)
    return re.sub(r" *\n *", "\n", re.sub(r"[ #]+", " ", text)).strip()


def screens_are_those_of_a_run():
    with testbed.Testbed("screens") as bed:
        shown = screens(bed)
    for command, screen in shown.items():
        expect(max(map(len, screen.splitlines())) <= 100, f"too wide: {screen}")
        places = [d.place(command) for d in documents()]
        expect(any(places), f"no document has a screen of {command}")
        for document, place in zip(documents(), places):
            expect(not place or shape(place[1]) == shape(document.form(screen)),
                   f"{document.path}: this is not what mendipctl {command} prints; tests/netns/test_screens.py --write "
                   f"renews it:\n{document.form(screen)}")


def write():
    with testbed.Testbed("screens") as bed:
        shown = screens(bed)
    for document in documents():
        for command, screen in shown.items():
            document.put(command, screen)
        with open(document.path, "w", encoding="utf-8") as f:
            f.write(document.text)


if sys.argv[1:] == ["--write"]:
    write()
else:
    main([screens_are_those_of_a_run])
