#!/usr/bin/python3
# The metrics as those who watch a site get them: as a file, and by HTTP. SPDX-License-Identifier: ISC
import grp
import math
import os
import re
import select
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
import xml.dom.minidom

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client import parser as classic

from daemons import BUILD, NET, NET_GW, Mendip, child, config, expect, main, pair, settle, testbed, wait_for
from dashboard import legend, panels, svg, variables
from prometheus import Prometheus, with_short_waits
from test_restart import Unit

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
UNITS = ("mendip-textfile.service", "mendip-textfile.timer", "mendipd-metrics.socket")
# What the formats count differently: the time since then, and the daemon's own calls.
MOVES = re.compile(r"mendip_(child_last_received_seconds|io_total|esp_|child_\w+_(packets|bytes)_total|drops_total)")


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


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
        found = samples(check_classic(read(path)))
        modern = samples(openmetrics.text_string_to_metric_families(branch.run("metrics", as_json=False).stdout))
        expect(len(found) > 45 and found == modern, set(found.items()) ^ set(modern.items()))
        expect(branch.run("metrics", "--format", "prometheus", as_json=False).stdout.count("mendip_build_info{") == 1, "text")
        os.chmod(path, 0o600)
        os.truncate(path, 0)
        done = branch.run("metrics", "--output", path, as_json=False)
        expect(read(path).endswith("# EOF\n"), "OpenMetrics")
        for args, why in ((["--output", bed.path("nowhere/mendip.prom")], "No such file"), (["--format", "xml"], "openmetrics or prometheus")):
            done = branch.run("metrics", *args, as_json=False)
            expect(done.returncode and why in done.stderr, f"{args}: {done.stderr}")
        branch.process.stop()
        expect(branch.run("metrics", "--output", path, as_json=False).returncode == 1, "without a daemon")
        expect(os.path.getsize(path) > 1000 and os.listdir(folder) == ["mendip.prom"], "the last file is gone")


def only_files_are_replaced():
    """A device, a pipe or a link stays what it is."""
    with testbed.Testbed("watching") as bed:
        branch, _ = pair(bed, NET, NET_GW)
        pipe, link, there = bed.path("pipe"), bed.path("link"), bed.path("there")
        os.mkfifo(pipe)
        os.symlink(there, link)
        for path in (pipe, link):
            done = branch.run("metrics", "--output", path, as_json=False)
            expect(done.returncode == 1 and f"{path}: is no regular file" in done.stderr, f"{done}")
        expect(stat.S_ISFIFO(os.lstat(pipe).st_mode) and os.path.islink(link) and not os.path.exists(there), "replaced")


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
        expect(read(path) == "old" and os.listdir(disk) == ["mendip.prom"], os.listdir(disk))


PORT = "127.0.0.1:9500"


class Site:
    """A branch that serves its metrics at this address, as metrics_listen has it, and the gateway of its tunnel."""

    def __init__(self, branch, listen=PORT, gw=None):
        self.branch, self.listen, self.gw = branch, listen, gw

    def connect(self):
        """A connection to the metrics."""
        if self.listen.startswith("unix:"):
            made = socket.socket(socket.AF_UNIX)
            made.connect(self.listen.removeprefix("unix:"))
            return made
        host, port = self.listen.rsplit(":", 1)
        address = (host.strip("[]"), int(port))
        return self.branch.ns.call(lambda: socket.create_connection(address, 10))

    def raw(self, request, timeout=15, alone=False):
        """Returns all that comes back, until the end of the connection. alone: the server is told that nothing else comes."""
        with self.connect() as s:
            s.settimeout(timeout)
            got = b""
            try:
                s.sendall(request)
                if alone:
                    s.shutdown(socket.SHUT_WR)
                while more := s.recv(65536):
                    got += more
            except ConnectionError:
                pass
            return got

    def get(self, method="GET", path="/metrics", **headers):
        """Returns (status, {header: value}, body)."""
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *(f"{k}: {v}" for k, v in headers.items())]
        got = self.raw("\r\n".join([*lines, "", ""]).encode())
        head, _, body = got.partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        return int(first.split()[1]), dict(line.split(": ", 1) for line in rest), body.decode()

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.branch.process.pid}/fd"))

    def logged(self):
        """Returns the lines of the branch's log but those for debugging, such as of IKE messages."""
        return [line for line in read(self.branch.log).splitlines() if " debug: " not in line]

    def busy(self):
        """Returns the seconds of processor time that the branch has used."""
        fields = read(f"/proc/{self.branch.process.pid}/stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Returns the bytes of memory that the branch has in use."""
        return int(read(f"/proc/{self.branch.process.pid}/statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def site_of_a_pair(bed, listen=PORT):
    """Returns a site whose tunnel is up."""
    branch, gw = pair(bed, NET, NET_GW, daemon=f'metrics_listen = "{listen}";')
    branch.wait_up()
    return Site(branch, listen, gw)


MODERN, CLASSIC = "application/openmetrics-text; version=1.0.0; charset=utf-8", "text/plain; version=0.0.4; charset=utf-8"
# What Prometheus sends.
PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;q=0.3"


def serves(listen):
    with testbed.Testbed("watching") as bed:
        site = site_of_a_pair(bed, listen.format(bed.path("metrics")))
        modern = site.branch.run("metrics", as_json=False).stdout
        wanted = samples(openmetrics.text_string_to_metric_families(modern))
        for accept, kind in ((PROMETHEUS, MODERN), ("Application/OpenMetrics-Text", MODERN),
                             ("text/plain;version=0.0.4", CLASSIC), ("*/*", CLASSIC)):
            status, headers, body = site.get(Accept=accept)
            expect(status == 200 and headers["Content-Type"] == kind, f"{accept}: {status} {headers}")
            expect(headers["Content-Length"] == str(len(body)) and headers["Connection"] == "close", headers)
            families = check_classic(body) if kind == CLASSIC else openmetrics.text_string_to_metric_families(body)
            expect(samples(families) == wanted, f"{accept}: not what mendipctl prints")
        status, headers, body = site.get("HEAD")
        expect(status == 200 and int(headers["Content-Length"]) > 1000 and not body, f"HEAD: {status} {headers}")
        expect(site.get(path="/metrics?x=1")[0] == 200, "with a query")
        for path in ("/", "/metrics/", "//metrics", "/metrics%00", "/../metrics"):
            expect(site.get(path=path)[0] == 404, f"{path}: {site.get(path=path)}")
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "NONSENSE"):
            expect(site.get(method)[0] == 501, f"{method}: {site.get(method)}")


def by_http():
    """Both formats, by what the client accepts; HEAD; and nothing but /metrics."""
    serves(PORT)


def by_http_over_ipv6():
    serves("[::1]:9500")


def by_http_over_a_unix_socket():
    serves("unix:{}")


HOSTILE = {
    "nothing": b"", "no request": b"\0\xff" * 500 + b"\r\n\r\n", "a long line": b"GET /" + b"a" * 100_000,
    "a long line with an end": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    "many headers": b"GET /metrics HTTP/1.1\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
    "a long header": b"GET /metrics HTTP/1.1\r\na: " + b"b" * 100_000 + b"\r\n\r\n",
    "a folded header": b"GET /metrics HTTP/1.1\r\na: b\r\n" + b" c\r\n" * 20_000 + b"\r\n",
    "no name of a header": b"GET /metrics HTTP/1.1\r\n: b\r\n\r\n", "no colon": b"GET /metrics HTTP/1.1\r\nab\r\n\r\n",
    "another version": b"GET /metrics HTTP/9.9\r\n\r\n", "no version": b"GET /metrics\r\n\r\n", "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a body": b"POST /metrics HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n" + b"a" * 100_000,
    "a negative length": b"POST /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    "chunks": b"POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" + b"a" * 100_000,
    "a tunnel": b"CONNECT example.net:443 HTTP/1.1\r\n\r\n", "an asterisk": b"OPTIONS * HTTP/1.1\r\n\r\n",
    "another host": b"GET http://user:secret@[::1]:99999/metrics HTTP/1.1\r\n\r\n",
    "many requests": b"GET /metrics HTTP/1.1\r\n\r\n" * 5000,
}


# These ask for the metrics after all, and may get them, once: an answer ends the connection.
ANSWERED = {"no name of a header", "many requests"}


def hostile_requests():
    """None gets the metrics but those that ask for them after all. Nothing stays of any, and the next client is served."""
    with testbed.Testbed("watching") as bed:
        site = site_of_a_pair(bed)
        site.get()
        settle(1.5)  # places of connections that have ended are found empty once a second
        before, memory, logged = site.descriptors(), site.memory(), site.logged()
        for name, request in HOSTILE.items():
            got = site.raw(request, alone=True)
            expect(got.count(b"HTTP/1.1 ") < 2 and (name in ANSWERED or b" 200 " not in got[:20]), f"{name}: {got[:200]}")
            expect(site.get()[0] == 200, f"{name}: the next client is not served")
        wait_for(lambda: site.descriptors() == before, lambda: f"{before} descriptors became {site.descriptors()}", 5)
        expect(site.memory() < memory + (8 << 20), f"{memory} bytes became {site.memory()}")
        expect(site.logged() == logged, f"clients fill the log: {site.branch.tail(5)}")
        expect(site.branch.up() and site.gw.process.poll() is None, site.branch.tail())


def idle_clients():
    """
    Clients that say nothing keep nobody out, however many there are: one more takes the place of the oldest. One alone is
    disconnected after 10 s, also if it sends a byte now and then.
    """
    with testbed.Testbed("watching") as bed:
        site = site_of_a_pair(bed)
        before = site.descriptors()
        idle, began = [site.connect() for _ in range(60)], time.monotonic()
        for _ in range(5):
            expect(site.get()[0] == 200, "idle clients keep others out")
        took = time.monotonic() - began
        expect(took < 4, f"five scrapes take {took:.1f} s beside idle clients")
        expect(site.descriptors() <= before + 8, f"{before} descriptors became {site.descriptors()}")
        for s in idle:
            s.close()
        wait_for(lambda: site.descriptors() == before, lambda: f"{before} descriptors became {site.descriptors()}", 5)
        with site.connect() as slow:
            began, ended = time.monotonic(), False
            slow.send(b"GET /")
            while not ended and time.monotonic() - began < 25:
                try:
                    slow.send(b"a")
                    ended = bool(select.select([slow], [], [], 0.5)[0]) and slow.recv(100) == b""
                except ConnectionError:
                    ended = True
            took = time.monotonic() - began
        expect(ended and 9 < took < 20, f"a slow client was disconnected after {took:.1f} s: {ended}")


def slow_readers_and_floods():
    """
    Clients that ask as fast as they can, and clients that do not read, cost the tunnel no packets and little memory: the text
    is made once a second, and shared.
    """
    with testbed.Testbed("watching") as bed:
        site = site_of_a_pair(bed)
        site.get()
        memory, flow = site.memory(), bed.flow(site.gw.ns, site.gw.ns.inner, site.branch.ns, site.branch.ns.inner, rate=2000)
        stop, served = threading.Event(), [0] * 4

        def flood(i):
            while not stop.is_set():
                served[i] += site.raw(b"GET /metrics HTTP/1.1\r\n\r\n", 2).startswith(b"HTTP/1.1 200")

        threads = [threading.Thread(target=flood, args=(i,), daemon=True) for i in range(len(served))]
        for t in threads:
            t.start()
        deaf = []
        for _ in range(40):
            deaf.append(site.connect())
            deaf[-1].sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            settle(0.05)
        settle(1)
        stop.set()
        for t in threads:
            t.join()
        result = flow.stop()
        print(f"# {sum(served)} answers beside {result.sent} packets, {result.lost} lost, longest gap {result.longest_gap_ms:.0f} ms, "
              f"{(site.memory() - memory) >> 10} KiB more memory")
        expect(sum(served) > 100, f"{served} answers")
        expect(result.lost < result.sent / 100, f"{result.lost} of {result.sent} packets were lost")  # none on a machine that is not busy
        expect(site.memory() < memory + (8 << 20), f"{memory} bytes became {site.memory()}")
        expect(site.get()[0] == 200, "not served after it")


MANY = 4000


def thousands(control):
    """The configuration of a gateway with so many connections, each with a child that waits for packets."""
    conns = " ".join(f"""c{i}: {{ local: {{ id = "b.example"; auth = "psk"; }}; remote_addrs = [ "198.18.{i // 250}.{i % 250 + 1}" ];
        remote: {{ id = "g{i}.example"; auth = "psk"; }};
        children: {{ net: {child('10.1.0.0/16', f'10.{2 + i // 250}.{i % 250}.0/24')}; }}; }};""" for i in range(MANY))
    return f"""daemon: {{ control = "{control}"; metrics_listen = "127.0.0.1:9500"; }}; connections: {{ {conns} }};
        secrets: {{ ike_all: {{ secret = "a secret for tests"; }}; }};"""


def thousands_of_connections():
    """Of clients that do not read a long text each keeps one in memory, and only while it has its place. Others are served."""
    with testbed.Testbed("watching") as bed:
        site = Site(Mendip(bed, bed.namespace("branch"), thousands))
        size = len(site.get(Accept=PROMETHEUS)[2])
        site.get()
        settle(1.5)
        before, memory, began, highest = site.descriptors(), site.memory(), site.busy(), 0
        deaf = []
        for _ in range(12):  # each gets a text of its own, as the last one is too old
            deaf.append(site.connect())
            deaf[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # the kernel does not take it in their place
            deaf[-1].sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            settle(1.05)
            highest = max(highest, site.memory())
        per_scrape = (site.busy() - began) / 12
        status, _, text = site.get()
        expect(status == 200 and text.count("\nmendip_child_up{") == MANY, f"{status}, {len(text)} bytes")
        print(f"# {MANY} connections: {size >> 10} KiB, {per_scrape * 1000:.0f} ms of the daemon's time per scrape, "
              f"{(highest - memory) >> 10} KiB more memory with clients that do not read")
        expect(highest - memory < 8 * 2 * size + (8 << 20), f"{memory} bytes became {highest}")
        expect(per_scrape < 0.5, f"{per_scrape} s per scrape")
        for s in deaf:
            s.close()
        wait_for(lambda: site.descriptors() == before, lambda: f"{before} descriptors became {site.descriptors()}", 15)


BACKLOG = 5


def listening(address="127.0.0.1", family=socket.AF_INET):
    s = socket.socket(family)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(address if family == socket.AF_UNIX else (address, 9500))
    s.listen(BACKLOG)
    return s


def of_a_socket_unit():
    """
    Sockets that systemd passes are served beside what a restart has left, and stay over reloads and restarts; one that others
    can reach is refused.
    """
    with testbed.Testbed("watching") as bed:
        left, right = bed.pair("branch", "gw")
        Mendip(bed, right, lambda s: config(s, NET_GW, "%any", "gw.example.net", "*.example", "branch"))
        made = [left.call(listening), left.call(listening, bed.path("metrics"), socket.AF_UNIX), left.call(listening, left.outer)]
        branch = Unit(bed, left, lambda s: config(s, NET, right.outer), sockets=[("metrics", s.fileno()) for s in made])
        branch.wait_up()
        sites = [Site(branch), Site(branch, f"unix:{bed.path('metrics')}")]

        def served():
            for site in sites:
                expect(site.get()[0] == 200, f"{site.listen}: {branch.tail()}")
            return True

        served()
        listed = left.run("ss", "-Hltn", "src 127.0.0.1:9500").stdout
        expect(re.match(rf"LISTEN +0 +{BACKLOG} ", listed), f"the backlog of the unit is not {BACKLOG} any more: {listed}")
        expect(branch.count(f"not served at {left.outer}:9500") == 1, branch.tail())
        branch.ctl("reload")
        served()
        for i in range(2):
            branch.restart()
            served()
            expect(branch.count("taken over: 1 connections") == i + 1, branch.tail())
        expect(branch.store.names() == [] and os.path.exists(bed.path("metrics")), "what systemd has is left alone")
        for s in made:
            s.close()


def kept_over_a_restart():
    """What listens for metrics_listen goes to the next process, with clients that wait; another address is opened anew."""
    with testbed.Testbed("watching") as bed:
        left, right = bed.pair("branch", "gw")
        Mendip(bed, right, lambda s: config(s, NET_GW, "%any", "gw.example.net", "*.example", "branch"))
        path = bed.path("metrics")

        def conf(listen, group="nogroup"):
            return lambda s: config(s, NET, right.outer, daemon=f'metrics_listen = "{listen}"; view_group = "{group}";')
        branch = Unit(bed, left, conf(PORT))
        branch.wait_up()
        site = Site(branch)
        expect(site.get()[0] == 200, "before")
        os.kill(branch.process.pid, signal.SIGUSR2)
        branch.process.wait(timeout=10)
        expect("metrics-own" in branch.store.names(), branch.store.names())
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(site.get()[0]))
        waiting.start()
        settle()
        branch.start()
        waiting.join(10)
        expect(answers == [200] and branch.store.names() == [], f"{answers}, {branch.store.names()}")
        # A Unix socket is made anew: systemd removes its folder, and its group may be another one.
        for listen, group in (("127.0.0.1:9501", "nogroup"), (f"unix:{path}", "nogroup"), (f"unix:{path}", "daemon"),
                              (PORT, "nogroup"), (f"unix:{path}", "nogroup")):
            branch.write(conf(listen, group)(branch.control))
            branch.restart()
            site.listen = listen
            expect(site.get()[0] == 200, f"{listen}: {branch.tail()}")
            if listen.startswith("unix:"):
                there = os.stat(path)
                expect(stat.S_IMODE(there.st_mode) == 0o660 and there.st_gid == grp.getgrnam(group).gr_gid, f"{there}")
        expect(branch.count("taken over: 1 connections") == 6 and branch.up(), branch.tail())
        branch.ctl("reload")
        branch.process.stop()
        expect(not os.path.exists(path), "the socket is left after a reload and an end")


def what_is_taken():
    """The tunnels do without metrics, and one line of the log says why there are none."""
    with testbed.Testbed("watching") as bed:
        left, right = bed.pair("branch", "gw")
        Mendip(bed, right, lambda s: config(s, NET_GW, "%any", "gw.example.net", "*.example", "branch"))
        path = bed.path("metrics")
        taken = [left.call(listening), left.call(listening, path, socket.AF_UNIX)]
        for name, listen, why in (("port", PORT, f"the metrics are not served: {PORT}: Address already in use"),
                                  ("path", f"unix:{path}", f"the metrics are not served: {path}: another process is listening there")):
            branch = Mendip(bed, left, lambda s, at=listen: config(s, NET, right.outer, daemon=f'metrics_listen = "{at}";'), name=name)
            branch.wait_up()
            lines = [line for line in read(branch.log).splitlines() if listen.removeprefix("unix:") in line]
            expect(len(lines) == 1 and why in lines[0], f"{lines}")
            branch.process.stop()
        for s in taken:
            s.close()


RULES = os.path.join(SOURCE, "etc/prometheus/mendip.rules.yml")


def alert_rules():
    """promtool takes the rules, and its unit tests raise each alert, and have a time at which it is not raised."""
    tests = os.path.join(SOURCE, "tests/netns/mendip.rules.test.yml")
    for command in (["check", "rules", RULES], ["test", "rules", tests]):
        done = subprocess.run(["promtool", *command], capture_output=True, text=True, timeout=60)
        expect(done.returncode == 0, f"{command}: {done.stdout}{done.stderr}")
    names = re.findall(r"^ +- alert: (\w+)$", read(RULES), re.M)
    raised = re.findall(r"alertname: (\w+)\n +exp_alerts:\n +- exp_labels", read(tests))
    documented = re.findall(r"^\| (Mendip\w+) \| (\w+) \|", read(os.path.join(SOURCE, "doc/watching.md")), re.M)
    severities = re.findall(r"- alert: (\w+)\n(?:(?!- alert).)*?severity: (\w+)", read(RULES), re.S)
    expect(sorted(documented) == sorted(severities), f"doc/watching.md and the rules: {set(documented) ^ set(severities)}")
    quiet = re.findall(r"alertname: (\w+)\}", read(tests))
    expect(len(names) > 15 and set(names) == set(raised) == set(quiet), f"{set(names) ^ set(raised)} {set(names) ^ set(quiet)}")


# The link of a device is a metric only where there is one.
WITH_DEVICE = {**NET, "own": child("10.9.0.0/16", "10.8.0.0/16", device="own0", start_action="start")}
WITH_DEVICE_GW = {**NET_GW, "own": child("10.8.0.0/16", "10.9.0.0/16")}


def watched(bed):
    """Returns a site whose branch a Prometheus scrapes, and that."""
    left, right = bed.pair("branch", "gw")
    gw = Mendip(bed, right, lambda s: config(s, WITH_DEVICE_GW, "%any", "gw.example.net", "*.example", "branch"))
    branch = Mendip(bed, left, lambda s: config(s, WITH_DEVICE, right.outer, dpd="1s", daemon=f'metrics_listen = "{PORT}";',
                                                more='retransmit_timeout = "200ms"; retransmit_tries = 2;'))
    branch.wait_up("net", "own")
    prometheus = Prometheus(bed, left, with_short_waits(read(RULES)))
    wait_for(lambda: prometheus.value('mendip_connection_up{connection="gw"}') == 1, prometheus.said, 20)
    return Site(branch, gw=gw), prometheus


def expressions():
    """Returns the expressions of all alerts."""
    return re.findall(r"expr:(.*?)\n +(?:for|labels):", read(RULES), re.S)


def alerts_of_a_real_prometheus():
    """A gateway that dies raises the alert, with the reason, and its return ends it; so with the daemon, and with a switchover."""
    with testbed.Testbed("watching") as bed:
        site, prometheus = watched(bed)
        target = prometheus.ask("targets")["activeTargets"][0]
        expect(target["health"] == "up" and not target["lastError"], target)
        wait_for(lambda: not prometheus.firing(), "it stays absent after the first scrape")
        settle(4)
        expect(not prometheus.firing(), f"all is well, and raised are {list(prometheus.firing())}")
        flow = bed.flow(site.gw.ns, site.gw.ns.inner, site.branch.ns, site.branch.ns.inner, rate=500)
        settle(2)
        site.gw.ctl("fault", "rewind", "200")
        site.branch.wait_recovered()
        flow.stop()
        wait_for(lambda: "MendipRecovered" in prometheus.firing(), lambda: f"{prometheus.firing()}", 15)
        expect(list(prometheus.firing()) == ["MendipRecovered"], list(prometheus.firing()))
        known = prometheus.names() | set(re.findall(r"^# TYPE (\w+)", site.get()[2], re.M))  # some have no sample here
        unknown = set(re.findall(r"mendip_\w+", "".join(expressions()))) - known
        expect(not unknown, f"alerts on what is no metric: {unknown}")

        began = time.monotonic()
        site.gw.kill()
        alert = wait_for(lambda: prometheus.firing().get("MendipTunnelDown"), lambda: f"{prometheus.firing()}", 30)
        print(f"# tunnel down: raised {time.monotonic() - began:.1f} s after the gateway died: {alert['annotations']['summary']}")
        expect(alert["labels"]["connection"] == "gw" and alert["labels"]["severity"] == "critical", alert)
        expect(re.search(r"is down: (peer-silent|no-answer)$", alert["annotations"]["summary"]), alert)
        expect("MendipChildDown" not in prometheus.firing(), "the connection is down, not a child alone")
        began = time.monotonic()
        site.gw.start()
        wait_for(lambda: "MendipTunnelDown" not in prometheus.firing(), "the alert stays", 60)
        print(f"# tunnel down: cleared {time.monotonic() - began:.1f} s after the gateway was back")
        expect(site.branch.up(), "cleared, and the tunnel is down")

        site.branch.kill()
        wait_for(lambda: "MendipAbsent" in prometheus.firing(), lambda: f"{prometheus.firing()}", 15)
        site.branch.start()
        wait_for(lambda: "MendipAbsent" not in prometheus.firing(), "the daemon is back", 15)


def units():
    """systemd takes those that are off by default."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for path in (*(os.path.join(SOURCE, "etc", name) for name in UNITS), f"{BUILD}/etc/mendipd.service"):
            text = re.sub(r"^Exec(Start|Reload)=\S+", r"Exec\1=/bin/true", read(path), flags=re.M)  # nothing is installed
            name = os.path.basename(path)
            paths.append(os.path.join(folder, name))
            with open(paths[-1], "w", encoding="utf-8") as f:
                f.write(text)
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *paths], capture_output=True, text=True)
        expect(done.returncode == 0 and "mendip" not in done.stderr, done.stderr)


DASHBOARD = os.path.join(SOURCE, "etc/grafana/mendip-dashboard.json")
PICTURE = os.environ.get("MENDIP_PICTURE")  # a file: dashboard runs a longer scene, and draws it there


def a_day(bed, site, prometheus, pause):
    """Traffic both ways, a switchover of the gateway, and its end and return, with `pause` seconds between them."""
    flows = [bed.flow(a, a.inner, b, b.inner, rate=400, port=port)
             for a, b, port in ((site.gw.ns, site.branch.ns, 9000), (site.branch.ns, site.gw.ns, 9001))]
    settle(pause)
    site.gw.ctl("fault", "rewind", "200")
    site.branch.wait_recovered()
    settle(pause)
    site.gw.kill()
    wait_for(lambda: prometheus.query("mendip_connection_problem"), site.branch.tail, 20)
    settle(pause)
    site.gw.start()
    site.branch.wait_up("net", "own", timeout=60)
    settle(pause)
    for flow in flows:
        flow.stop()


def dashboard():
    """
    A Prometheus takes each query of Grafana's dashboard, has all its metrics, and has something to show in each panel after a day
    in which all happens. MENDIP_PICTURE=FILE draws that.
    """
    with testbed.Testbed("watching") as bed:
        site, prometheus = watched(bed)
        start = time.time()
        a_day(bed, site, prometheus, 12 if PICTURE else 3)
        end, drawn = time.time(), []
        names, values, annotations = variables(DASHBOARD)
        used = set(re.findall(r"\$\{?(\w+)", read(DASHBOARD))) - {"__rate_interval", "__all"}
        expect(used == names, f"variables {names} are defined, and {used} used")
        metrics = set(re.findall(r"mendip_\w+", read(DASHBOARD))) - prometheus.names()
        expect(not metrics, f"no such metrics: {metrics}")
        for query in values:
            found = prometheus.query(re.sub(r"^label_values\((.*), (\w+)\)$", r"count by (\2) (\1)", query))
            expect(found and all(labels for labels, _ in found), f"{query}: {found}")
        for query in annotations:
            prometheus.query(query)
        for panel in panels(DASHBOARD):
            series = [(legend(form, labels), points) for query, form in panel.queries
                      for labels, points in prometheus.history(query, start, end)]
            expect(any(math.isfinite(v) for _, points in series for _, v in points), f"{panel.title}: nothing to show: {panel.queries}")
            expect(all(name for name, _ in series), f"{panel.title}: a line without a name: {panel.queries}")
            drawn.append((panel, series))
        expect(len(drawn) >= 20, f"{len(drawn)} panels")
        picture = svg(drawn, start, end)
        xml.dom.minidom.parseString(picture)
        if PICTURE:
            with open(PICTURE, "w", encoding="utf-8") as f:
                f.write(picture)


main([as_a_file, a_full_disk, only_files_are_replaced, by_http, by_http_over_ipv6, by_http_over_a_unix_socket, hostile_requests, idle_clients,
      slow_readers_and_floods, thousands_of_connections, of_a_socket_unit, kept_over_a_restart, what_is_taken, units,
      alert_rules, alerts_of_a_real_prometheus, dashboard])
