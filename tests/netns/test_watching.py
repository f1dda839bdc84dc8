#!/usr/bin/python3
# The metrics as those who watch a site get them: as a file, and by HTTP. SPDX-License-Identifier: ISC
import os
import re
import stat
import subprocess
import tempfile

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client import parser as classic

from daemons import NET, NET_GW, expect, main, pair, testbed

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = ("mendip-textfile.service", "mendip-textfile.timer")
# What the formats count differently: the time since then, and the daemon's own calls.
MOVES = re.compile(r"mendip_(child_last_received_seconds|io_total|esp_|child_\w+_(packets|bytes)_total|drops_total)")


def samples(families):
    """Returns {(name, labels): value} of what does not change between two looks."""
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families for s in f.samples
            if not MOVES.match(s.name)}


def check_classic(text):
    """Prometheus's own parser takes it, its linter has nothing to say, and nothing is in it that node_exporter refuses."""
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30)
    expect(done.returncode == 0 and not done.stderr, f"promtool: {done.stdout}{done.stderr}")
    types = set(re.findall(r"^# TYPE \S+ (\S+)$", text, re.M))
    expect(types == {"counter", "gauge", "histogram"}, f"{types}")
    expect("# EOF" not in text and "_created" not in text, "OpenMetrics alone has these")
    timed = [line for line in text.splitlines() if not line.startswith("#") and not re.fullmatch(r"\w+(\{.*\})? \S+", line)]
    expect(not timed, f"with a time: {timed}")
    return list(classic.text_string_to_metric_families(text))


def as_a_file():
    """The file is in the classic format, has all samples, is readable for all, and is replaced as a whole."""
    with testbed.Testbed("watching") as bed:
        branch, _ = pair(bed, NET, NET_GW)
        branch.wait_up()
        folder = bed.path("textfile")
        os.mkdir(folder)
        path = os.path.join(folder, "mendip.prom")
        os.umask(0o077)
        for _ in range(2):
            done = branch.run("metrics", "--format=prometheus", "--output", path, as_json=False)
            expect(done.returncode == 0 and not done.stdout + done.stderr, done.stderr)
        expect(os.listdir(folder) == ["mendip.prom"], os.listdir(folder))
        expect(stat.S_IMODE(os.stat(path).st_mode) == 0o644, oct(os.stat(path).st_mode))
        with open(path, encoding="utf-8") as f:
            found = samples(check_classic(f.read()))
        modern = samples(openmetrics.text_string_to_metric_families(branch.run("metrics", as_json=False).stdout))
        expect(len(found) > 45 and found == modern, set(found.items()) ^ set(modern.items()))
        expect(branch.run("metrics", "--format", "prometheus", as_json=False).stdout.count("mendip_build_info{") == 1, "text")
        os.chmod(path, 0o600)
        os.truncate(path, 0)
        done = branch.run("metrics", "--output", path, as_json=False)
        with open(path, encoding="utf-8") as f:
            expect(f.read().endswith("# EOF\n"), "OpenMetrics")
        for args, why in ((["--output", bed.path("nowhere/mendip.prom")], "No such file"), (["--format", "xml"], "not a value")):
            done = branch.run("metrics", *args, as_json=False)
            expect(done.returncode and why in done.stderr, f"{args}: {done.stderr}")
        branch.process.stop()
        expect(branch.run("metrics", "--output", path, as_json=False).returncode == 1, "without a daemon")
        expect(os.path.getsize(path) > 1000 and os.listdir(folder) == ["mendip.prom"], "the last file is gone")


def a_full_disk():
    """When the file cannot be written, the old one stays, and no other is left."""
    with testbed.Testbed("watching") as bed:
        branch, _ = pair(bed, NET, NET_GW)
        disk = bed.path("disk")
        os.mkdir(disk)
        testbed.run("mount", "-t", "tmpfs", "-o", "size=8k", "none", disk)
        bed.at_exit(lambda: testbed.run("umount", disk))
        path = os.path.join(disk, "mendip.prom")
        with open(path, "w", encoding="ascii") as f:
            f.write("old")
        done = branch.run("metrics", "--output", path, as_json=False)
        expect(done.returncode == 1 and "No space left" in done.stderr, done.stderr)
        with open(path, encoding="ascii") as f:
            expect(f.read() == "old" and os.listdir(disk) == ["mendip.prom"], os.listdir(disk))


def samples_of_units():
    """systemd takes the units of etc/, which are examples."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name in EXAMPLES:
            with open(os.path.join(SOURCE, "etc", name), encoding="utf-8") as f:
                text = f.read().replace("/usr/bin/mendipctl", "/bin/true")
            paths.append(os.path.join(folder, name))
            with open(paths[-1], "w", encoding="utf-8") as f:
                f.write(text)
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *paths], capture_output=True, text=True)
        expect(done.returncode == 0 and "mendip" not in done.stderr, done.stderr)


main([as_a_file, a_full_disk, samples_of_units])
