#!/usr/bin/python3
# mendipctl and the control socket, with well-behaved and hostile clients. SPDX-License-Identifier: ISC
import contextlib
import fcntl
import json
import os
import re
import socket
import stat
import struct
import subprocess
import tempfile
import termios
import time

import answers
from daemons import (BUILD, PSK, NET, NET_GW, Mendip, child, config, expect, main, more_traffic, testbed, pair, ping,
                     read_lines, settle, wait_for)
from puppet import Puppet


def with_tunnel(f, **options):
    with testbed.Testbed("control") as bed:
        branch, gw = pair(bed, NET, NET_GW, **options)
        branch.wait_up()
        f(branch, gw, bed)
        expect(gw.process.poll() is None, "the gateway ended")
        expect(branch.process.poll() is None, "the branch ended")


def commands_text_and_json():
    def check(branch, _gw, _bed):
        for args in (["status"], ["status", "net"], ["status", "gw/net"], ["switchover"], ["switchover", "net"],
                     ["metrics"], ["version"]):
            text, as_json = branch.run(*args, as_json=False), branch.run(*args)
            expect(text.returncode == 0 and text.stdout.strip() and not text.stderr, f"{args}: {text.stderr}")
            expect(isinstance(json.loads(as_json.stdout), dict), f"{args}: no JSON object")
        for args in (["rekey", "net"], ["log", "debug"], ["log", "debug", "gw"], ["reload"], ["down", "net"], ["up", "net"],
                     ["switchover", "reset", "net"], ["switchover", "set", "net", "packets=100", "detect=both"]):
            done = branch.run(*args, as_json=False)
            expect(done.returncode == 0 and not done.stderr, f"{args}: {done.stderr}")
        options = branch.switchover()["options"]
        expect(options["packets"] == "100" and options["detect"] == "both", f"options not set: {options}")

    with_tunnel(check)


def refused(daemon, rows):
    """Each row is (arguments, exit status, what stderr says)."""
    for args, status, why in rows:
        done = daemon.run(*args, as_json=False)
        expect(done.returncode == status, f"{args}: status {done.returncode}")
        expect(re.search(why, done.stderr), f"{args}: {done.stderr!r} does not say {why!r}")
        if status == 1:
            expect(done.stderr.count("\n") == 1, f"{args}: not one line: {done.stderr!r}")


def refusals_say_why():
    def check(branch, _gw, _bed):
        refused(branch, (
            (["status", "nothing"], 1, "no such"), (["up", "nothing"], 1, "no such child"),
            (["log", "loud"], 1, "error, warning, info or debug"), (["up"], 2, "usage"),
            (["log", "debug", "nothing"], 1, "no such connection"), (["log", "error", "gw"], 1, "debug or info"),
            (["nonsense"], 2, "unknown command"), (["switchover", "set", "net"], 1, "OPTION=VALUE"),
            (["switchover", "set", "net", "packets"], 1, "OPTION=VALUE"),
            (["switchover", "set", "net", "a" + 60 * "\u00e4"], 1, "OPTION=VALUE"),
            (["switchover", "set", "net", "a\nb\x1b[2J"], 1, "OPTION=VALUE"),
            (["switchover", "set"], 2, "usage"), (["switchover", "reset"], 2, "usage"),
            (["switchover", "reset", "nothing"], 1, "no such child"),
            (["switchover", "set", "gw", "packets=1"], 1, "this is a connection: name one of its children"),
            (["switchover", "reset", "gw"], 1, "this is a connection: name one of its children"),
            (["switchover", "set", "net", "packets=0"], 1, "packets"),
            (["switchover", "set", "net", "interval=2h"], 1, "rekey_time")))

    with_tunnel(check)
    with testbed.Testbed("alone") as bed:
        _, right = bed.pair("branch", "gw")
        gw = Mendip(bed, right, lambda s: config(s, NET_GW, "%any", "gw.example.net", "*.example", "branch"))
        refused(gw, [([*command, name], 1, "it waits to be called, and no such peer has called yet")
                     for command in (["switchover", "reset"], ["rekey", "--no-wait"])
                     for name in ("branch", "net", "branch/net")])


def commands_wait_for_the_end():
    """up, down and rekey return when it is done, or say why not; of a child, or of all of a connection."""
    kids = {f"net{i}": child(f"10.1.{i}.0/24", "10.2.0.0/16", start_action="start") for i in range(2)}
    with testbed.Testbed("control") as bed:
        branch, gw = pair(bed, kids, NET_GW, more='retransmit_timeout = "200ms"; retransmit_tries = 2;')
        branch.wait_up(*kids)

        def run(*args, status=0):
            done = branch.run(*args, as_json=False)
            expect(done.returncode == status, f"{args}: status {done.returncode}: {done.stdout}{done.stderr}")
            return done.stdout

        spi = branch.spi("net0")
        expect(run("rekey", "net0") == "gw/net0: rekeyed\n", "net0 is not rekeyed")
        expect(branch.spi("net0") != spi, "the same SPI")
        said = run("down", "gw")
        expect(re.fullmatch(r"gw/net0: (down|trapped)\ngw/net1: (down|trapped)\n", said), said)
        # With start_action = "start", too, no packet brings it up.
        expect(ping(branch.ns, gw.ns.inner, 2, source="10.1.0.1") == 0, "a packet passed")
        expect(not branch.up("net0") and not branch.up("net1"), f"a packet brought it up: {branch.children()}")
        expect("the child is not up" in branch.run("rekey", "net0", as_json=False).stderr, "rekey of what is down")
        expect(run("up", "gw", "--timeout", "10s") == "gw/net0: up\ngw/net1: up\n", "the connection is not up")
        expect(ping(branch.ns, gw.ns.inner, 2, source="10.1.0.1") == 2, "no ping")
        status = json.loads(branch.run("up", "--no-wait", "net1").stdout or "{}")
        expect(status == {}, f"{status}")
        gw.kill()
        run("down", "gw")
        said = run("up", "net0", status=1)
        expect(re.search(r"gw/net0: \w+, no-answer: .*\n  What to do: ", said), said)
        expect(max(map(len, said.splitlines())) <= 100, f"wider than 100 columns: {said}")
        run("down", "gw")
        began = time.monotonic()
        said = run("up", "--timeout", "1", "net0", status=1)
        expect(time.monotonic() - began < 5 and ("still under way" in said or "no-answer" in said), said)
        expect(run("up", status=2) == "" and run("up", "a", "b", status=2) == "", "usage")


def conventions_are_kept():
    """Options may stand behind the command; help, wrong options, and output that nobody takes."""
    def run(*args, **options):
        return subprocess.run([f"{BUILD}/mendipctl", *args], capture_output=True, text=True, timeout=15, **options)

    everything, one = run("help"), run("help", "up")
    expect(everything.returncode == 0 and one.returncode == 0, "help fails")
    expect(one.stdout.startswith("  up NAME [--timeout") and one.stdout in everything.stdout, one.stdout)
    expect(max(map(len, everything.stdout.splitlines())) <= 100, "wider than 100 columns")
    said = re.findall(r"^  (-\w), (--\w+)", everything.stdout, re.M)
    expect(said == [("-s", "--socket"), ("-j", "--json"), ("-V", "--version"), ("-h", "--help")], f"{said}")
    expect("MENDIP_SOCKET" in everything.stdout, "the variable for the socket is not in help")
    for args, why in ((["help", "nonsense"], "unknown command"), (["advise", "--rate"], "requires an argument"),
                      (["advise", "--rate", "x", "--sync-interval", "1s"], 'rate: "x"'), (["advise", "--rate", "1"], "--sync"),
                      (["status", "--no-wait"], "status has no option --no-wait"), (["up", "a", "--rate", "1"], "up has no"),
                      (["--nonsense", "status"], "nonsense"), ([], "usage"), (["log"], "log LEVEL")):
        done = run(*args)
        expect(done.returncode == 2 and why in done.stderr, f"{args}: status {done.returncode}: {done.stderr}")
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([f"{BUILD}/mendipctl", "help"], stdout=full, stderr=subprocess.PIPE, text=True)
    expect(done.returncode == 1 and "cannot write: No space left" in done.stderr, f"{done}")

    def check(branch, _gw, _bed):
        done = run("-s", branch.control, "status", "--json")
        expect(json.loads(done.stdout)["version"], f"{done}")

    with_tunnel(check)


def views_survive_a_restart():
    """events and watch go on when the daemon comes again, and end when nobody reads them any more."""
    def check(branch, _gw, bed):
        views = {}
        for command in ("events", "watch"):
            log = bed.path(f"{command}.out")
            views[command] = (log, branch.ns.popen(f"{BUILD}/mendipctl", "-s", branch.control, "--json", command, log=log))

        def lines(command):
            with open(views[command][0], encoding="utf-8") as f:
                return f.read().splitlines()
        wait_for(lambda: len(lines("watch")) >= 2, "watch is silent")
        branch.kill()
        wait_for(lambda: all(any("has ended" in line for line in lines(c)) for c in views), "the end is not told", 10)
        os.unlink(branch.control)
        branch.start()
        branch.wait_up(timeout=60)
        settle(2)  # they look once a second
        branch.ctl("rekey", "net")  # which is an event

        def goes_on(command):
            said = lines(command)
            return "{" in "".join(said[next(i for i, line in enumerate(said) if "has ended" in line) + 1:])
        for command, (_, process) in views.items():
            wait_for(lambda c=command: goes_on(c), f"{command} is silent")
            expect(process.poll() is None, f"{command} has ended")
        piped = subprocess.Popen([f"{BUILD}/mendipctl", "-s", branch.control, "watch"], stdout=subprocess.PIPE)
        piped.stdout.readline()
        piped.stdout.close()
        expect(piped.wait(10) == 0, "watch does not end when nobody reads it")

    with_tunnel(check)


def set_is_all_or_none():
    def check(branch, _gw, _bed):
        before = branch.switchover()["options"]
        done = branch.run("switchover", "set", "net", "packets=100", "detect=both", "jitter=never")
        expect(done.returncode == 1, "a bad value was taken")
        expect(branch.switchover()["options"] == before, "half of it was set")

    with_tunnel(check)


def switchover_fits_a_terminal():
    """After a recovery, `mendipctl switchover` prints the record's figures in lines of at most 100 columns."""
    def check(branch, gw, bed):
        flow = bed.flow(gw.ns, gw.ns.inner, branch.ns, branch.ns.inner, rate=1000)
        more_traffic(flow, 2000)
        gw.ctl("fault", "rewind", "1000")
        branch.wait_recovered()
        flow.stop()
        text = branch.run("switchover", as_json=False).stdout
        wide = [line for line in text.splitlines() if len(line) > 100]
        expect(not wide, f"wider than 100 columns: {wide}")
        expect(re.search(r"recovered; shown by proof, rung 1, SPI \w+ to \w+", text), text)
        expect(re.search(r"0 lost, \d+ bridged, outage \d+\.\d ms", text), text)
        expect(re.search(r"bridge (open|ended) \(\d+\)", text), text)

    with_tunnel(check)


def each_sa_is_shown():
    """The peer establishes two CHILD SAs of one child: `mendipctl switchover` lists both."""
    kids = {f"net{i}": child(f"10.1.{i}.0/24", "10.2.0.0/16", start_action="start") for i in range(2)}
    with testbed.Testbed("control") as bed:
        branch, gw = pair(bed, kids, NET_GW)
        branch.wait_up(*kids)
        text = gw.run("switchover", as_json=False).stdout
        sas = gw.switchover()["sas"]
        expect(len(sas) == 2, f"{len(sas)} SAs")
        for sa in sas:
            expect(len(re.findall(rf"^  SPI {sa['spi_in']}: calm", text, re.M)) == 1, f"{sa['spi_in']}: {text}")


def a_kept_sa_is_shown():
    """
    The gateway's IKE messages are dropped until the branch gives its IKE SA up, while ESP still passes: the branch
    shows the child as "kept", and recovers it once IKE passes again.
    """
    def check(branch, gw, bed):
        flow = bed.flow(gw.ns, gw.ns.inner, branch.ns, branch.ns.inner, rate=200)
        more_traffic(flow, 600)
        gw.ns.drop(testbed.DROP_IKE)
        gw.ctl("fault", "rewind", "500")
        wait_for(lambda: branch.children()["net"]["state"] == "kept", "it is not kept", 60)
        more_traffic(flow, 200)
        expect(branch.sa()["state"] == "kept", f"{branch.sa()['state']}")
        expect(branch.switchover()["detector"]["recovery"] == "running", f"{branch.switchover()['detector']}")
        gw.ns.drop_nothing()
        branch.wait_recovered(90)
        branch.wait_up()
        result = flow.stop()
        expect(result.lost == 0 and result.send_errors == 0,
               f"lost: {result.lost_ranges}; {result.send_errors} were refused")

    with_tunnel(check, gw_dpd="5m")  # its own liveness check would fail, too, and make the gateway end its IKE SA


def advise_needs_no_daemon():
    done = subprocess.run([f"{BUILD}/mendipctl", "--json", "advise", "--sync-interval", "10s", "--rate", "140000",
                           "--tunnels", "1000"], capture_output=True, text=True, check=True)
    advice = json.loads(done.stdout)
    expect(advice["lost_each"] == 1400000 and advice["lost_all"] == 1400000000, f"{advice}")
    said = subprocess.run([f"{BUILD}/mendipctl", "advise", "--sync-interval", "10s", "--rate", "140000", "--tunnels", "1000"],
                          capture_output=True, text=True, check=True).stdout
    expect(f'history_packets = "{advice["history_packets"]}"' in said and f"packets = {advice['packets']};" in said, said)
    expect(max(map(len, said.splitlines())) <= 100, f"wider than 100 columns: {said}")
    for args in ([], ["--rate", "1"], ["--sync-interval", "x", "--rate", "1"]):
        done = subprocess.run([f"{BUILD}/mendipctl", "advise", *args], capture_output=True, text=True)
        expect(done.returncode == 2, f"advise {args}: {done.returncode}")


def connect(daemon):
    s = socket.socket(socket.AF_UNIX)
    s.connect(daemon.control)
    s.settimeout(5)
    return s


def hostile_clients():
    def check(branch, _gw, _bed):
        for bad in (b"\n", b"garbage\n", b"{}\n", b"[]\n", b'{"command": 1}\n', b'{"command": "status", "args": 5}\n',
                    b'{"command": "status", "args": [5]}\n', b"[" * 60000 + b"\n", b"\xff\xfe\x00\n",
                    b'{"command":"switchover","args":["set","net","packets=1e9999"]}\n'):
            with connect(branch) as s:
                s.sendall(bad)
                expect(s.recv(65536).startswith(b"{"), f"no answer to {bad[:30]!r}")
        with connect(branch) as s:  # a line without an end
            try:
                for _ in range(64):
                    s.sendall(b"x" * 65536)
                s.recv(10)
            except OSError:
                pass
        many = []
        for _ in range(100):
            try:
                many.append(connect(branch))
            except OSError:
                break
        settle(0.5)
        for s in many:
            s.close()
        wait_for(lambda: branch.run("version").returncode == 0, "no answer after a hundred clients", 5)
        deaf = connect(branch)  # asks for events and never reads them
        deaf.sendall(b'{"command": "events"}\n')
        for _ in range(20):
            branch.ctl("rekey", "net")
        expect(branch.run("status").returncode == 0, "others are not served")
        deaf.close()
        # a client that leaves megabytes of answers unread is dropped, in the middle of its requests, and no other is
        deaf = connect(branch)
        deaf.setblocking(False)
        wanted = b'{"command": "events"}\n' + b'{"command": "metrics"}\n' * 3000 + b'{"command": "reload"}\n' * 5
        until = time.monotonic() + 5
        while wanted and time.monotonic() < until:
            try:
                wanted = wanted[deaf.send(wanted):]
            except BlockingIOError:
                time.sleep(0.01)
        expect(branch.run("status").returncode == 0, "the daemon does not answer any more")
        branch.ctl("reload")
        deaf.close()
        # many requests in one go are all answered
        with connect(branch) as s:
            s.sendall(b'{"command": "version"}\n' * 4000)
            s.settimeout(5)
            received = b""
            while received.count(b"\n") < 4000:
                received += s.recv(1 << 20)
        expect(branch.up(), "the tunnel went")

    with_tunnel(check)


def the_path_is_not_taken():
    with testbed.Testbed("path") as bed:
        left, _ = bed.pair("branch", "gw")
        control = bed.path("precious")
        with open(control, "w", encoding="utf-8") as f:
            f.write("not a socket")
        conf = bed.path("path.conf")
        with open(os.open(conf, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as f:
            f.write(config(control, NET, "192.0.2.2"))
        done = left.run(f"{BUILD}/mendipd", "-c", conf, check=False)
        expect(done.returncode == 69 and "not a socket" in done.stderr, done.stderr)
        expect(open(control, encoding="utf-8").read() == "not a socket", "the file is gone")


def a_second_one_changes_nothing():
    def check(branch, _gw, bed):
        rules = branch.ns.run("ip", "rule").stdout
        conf = bed.path("second.conf")
        with open(os.open(conf, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as f:
            f.write(config(bed.path("second.sock"), NET, "192.0.2.2", daemon='tun = "other0";'))
        done = branch.ns.run(f"{BUILD}/mendipd", "-c", conf, check=False)
        expect(done.returncode == 69 and "another IKE daemon" in done.stderr, done.stderr)
        expect(branch.ns.run("ip", "rule").stdout == rules, "the rules of the first one are gone")

    with_tunnel(check)


def goes_on_when_the_device_goes():
    def check(branch, _gw, _bed):
        before = branch.spi()
        branch.ns.run("ip", "link", "del", "mendip0")
        wait_for(lambda: branch.logged("the TUN device mendip0 has been made again"), "the device is not made again", 5)
        expect(ping(branch.ns, "10.2.0.1", 5) == 5, "no ping through the device that was made again")
        expect(branch.spi() == before, "the tunnel was made anew")

    with_tunnel(check)


def busy(pid):
    """Returns the processor time that the process has used, in seconds."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def no_descriptor_is_left():
    """
    More clients connect than the daemon may have descriptors: it must neither use the processor nor fill its log, and
    must answer again when they have gone.
    """
    def check(branch, _gw, _bed):
        pid = branch.process.pid
        used = len(os.listdir(f"/proc/{pid}/fd"))
        subprocess.run(["prlimit", "--pid", str(pid), f"--nofile={used + 2}:{used + 2}"], check=True)
        many = [connect(branch) for _ in range(15)]
        settle(0.5)
        before, size = busy(pid), os.path.getsize(branch.log)
        settle(2)
        expect(busy(pid) - before < 0.2, f"{busy(pid) - before:.2f} s of 2 s busy")
        expect(os.path.getsize(branch.log) - size < 2000, f"{os.path.getsize(branch.log) - size} bytes in the log")
        expect(branch.logged("cannot accept a client"), "it is not told")
        for s in many:
            s.close()
        wait_for(lambda: branch.run("version").returncode == 0, "no answer after that", 5)
        expect(branch.up(), "the tunnel went")

    with_tunnel(check)


def commands_do_not_stop_the_data():
    """One client sends 3,000 reload commands at once: the daemon still forwards packets and answers other clients."""
    def check(branch, gw, bed):
        flow = bed.flow(gw.ns, gw.ns.inner, branch.ns, branch.ns.inner, rate=500)
        more_traffic(flow, 250)
        with connect(branch) as s:
            s.setblocking(False)
            wanted = b'{"command": "reload"}\n' * 3000
            until = time.monotonic() + 2
            while wanted and time.monotonic() < until:
                try:
                    wanted = wanted[s.send(wanted):]
                except BlockingIOError:
                    time.sleep(0.01)
            began = time.monotonic()
            expect(branch.run("version").returncode == 0, "others are not served")
            took = time.monotonic() - began
            expect(took < 2, f"others wait for {took:.1f} s")
        result = flow.stop()
        print(f"# beside 3,000 reloads: an answer after {took:.3f} s, {result.lost} lost, "
              f"longest gap {result.longest_gap_ms:.0f} ms")
        expect(result.lost == 0 and result.longest_gap_ms < 300, f"{result.lost} lost, {result.longest_gap_ms} ms")

    with_tunnel(check)


def root_is_let_in():
    """Another user's clients, or root's, hold all connections of the control socket: root's next command is served."""
    def check(branch, _gw, _bed):
        os.chmod(branch.control, 0o666)
        os.chmod(os.path.dirname(branch.control), 0o755)
        for uid, first in ((65534, b""), (65534, b'{"command": "events"}\n'), (0, b'{"command": "events"}\n')):
            os.seteuid(uid)
            try:
                many = [connect(branch) for _ in range(32)]
                for s in many:
                    with contextlib.suppress(BrokenPipeError):  # clients of the last round may still be counted
                        s.sendall(first)
            finally:
                os.seteuid(0)
            settle()
            expect(branch.run("version").returncode == 0, f"root is kept out by uid {uid}, {first}")
            expect(branch.run("reload").returncode == 0, f"root cannot reload beside uid {uid}, {first}")
            for s in many:
                s.close()

    with_tunnel(check)


def half_closed_clients_are_answered():
    def check(branch, _gw, _bed):
        with connect(branch) as s:
            s.sendall(b'{"command": "version"}\n' * 10)
            s.shutdown(socket.SHUT_WR)
            received = b""
            while part := s.recv(65536):
                received += part
            count = received.count(b"\n")
            expect(count == 10, f"{count} of 10 answers")

    with_tunnel(check)


def unread(pipe):
    """Returns how many bytes wait in the pipe."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


def a_log_that_nobody_reads():
    """
    The daemon's stderr is a pipe that is full: it must go on, log later that lines were dropped, and end on SIGTERM
    while the pipe is full.
    """
    with testbed.Testbed("log") as bed:
        left, _ = bed.pair("branch", "gw")
        branch = Mendip(bed, left, lambda s: config(s, NET, "192.0.2.2"))
        branch.process.stop()
        reader, writer = os.pipe()
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 8192)
        process = left.popen(f"{BUILD}/mendipd", "-c", branch.conf, stderr=writer)
        os.close(writer)
        wait_for(branch.answers, "no answer")
        for _ in range(100):
            branch.ctl("reload")
        expect(unread(reader) > 3000, f"{unread(reader)} bytes wait: the pipe is not full, and the case shows nothing")
        os.set_blocking(reader, False)
        while unread(reader):
            os.read(reader, 65536)
        branch.ctl("reload")
        settle()
        text = os.read(reader, 65536).decode()
        expect("log lines were dropped here" in text, f"it is not told what is missing: {text}")
        for _ in range(100):
            branch.ctl("reload")
        process.terminate()
        expect(process.wait(5) == 0, "it does not end")
        os.close(reader)


def what_is_printed_fits_the_schema():
    """Also what no other test reads as JSON: views, the end of commands that wait, and the lines of the socket."""
    def check(branch, gw, _bed):
        def first_line(command, nudge=lambda: None):
            with subprocess.Popen([f"{BUILD}/mendipctl", "-s", branch.control, "--json", command],
                                  stdout=subprocess.PIPE) as process:
                try:
                    return read_lines(process.stdout, 1, nudge)[0]
                finally:
                    process.stdout.close()
                    process.terminate()

        answers.validate("events", first_line("events", lambda: branch.ctl("rekey", "net")))
        answers.validate("watch", first_line("watch"))
        for command in ("rekey", "down", "up"):
            done = branch.run(command, "net")
            expect(json.loads(done.stdout)["connections"], f"{command}: {done}")
        answers.validate("advise", branch.run("advise", "--sync-interval", "1s", "--rate", "1000").stdout)
        expect(json.loads(gw.run("diagnose", "branch").stdout)["walks"], "no walk")
        peers = [gw.ctl("status")["connections"][0]["peer"], gw.ctl("switchover")["children"][0]["peer"]]
        expect(peers == 2 * ["branch.example"], f"{peers}")
        with connect(branch) as s, s.makefile("rw", encoding="ascii") as f:
            for line in ('{"command": "version"}', '{"command": "events"}', "x"):
                f.write(f"{line}\n")
                f.flush()
                answers.validate("answer", f.readline())
            branch.ctl("rekey", "net")
            answers.validate("event_line", f.readline())

    with_tunnel(check)


def a_bundle_has_all_but_secrets():
    """Of a tunnel that is up, and of a daemon that does not run; programs that are missing are said to be."""
    def check(branch, _gw, bed):
        def bundle(path=os.environ["PATH"]):
            done = branch.ns.run("env", f"PATH={BUILD}:{path}", f"{BUILD}/mendipctl", "-s", branch.control, "bundle",
                                 branch.conf, check=False)
            expect(done.returncode == 0, f"{done}")
            return done

        done = bundle()
        sections = re.findall(r"^==== (.*) ====$", done.stdout, re.M)
        expect(sections == ["tunnels", "diagnose", "status", "switchover", "metrics", "configuration", "system", "distribution",
                            "service", "links", "addresses", "rules", "rules of IPv6", "routes", "routes of IPv6", "sockets",
                            "firewall", "log"], f"{sections}")
        for text in ("child net: up", "gw/net: ok", '"spi_in": "', "mendip_build_info", "start_action = \"start\"", "Linux",
                     "PRETTY_NAME", "mendip0: ", "5150:", "10.2.0.0/16", "Read it before you give"):
            expect(text in done.stdout, f"{text!r} is not in the bundle: {done.stdout}")
        expect(PSK not in done.stdout and PSK.encode().hex() not in done.stdout, "the secret is in the bundle")
        few = bed.path("few")
        os.mkdir(few)
        os.symlink("/usr/bin/timeout", f"{few}/timeout")
        expect(re.search(r"==== firewall ====\n.*nft.*No such file", bundle(few).stdout), "a missing program is not told")
        branch.kill()
        done = bundle()
        expect("==== tunnels ====\nthe daemon cannot be asked: Connection refused\n" in done.stdout, done.stdout)
        expect("==== addresses ====\n1: lo" in done.stdout, "the rest is missing")
        branch.start()

    with_tunnel(check)


def a_bundle_asks_once_of_each_connection():
    """However many peers have called it: an answer of diagnose is about all of them."""
    fleet = [{"name": name, "children": []} for name in ("fleet", "other", "fleet", "fleet")]
    with tempfile.TemporaryDirectory() as folder:
        results = {"status": {"connections": fleet}, "diagnose": {"walks": []}, "switchover": {"children": []},
                   "metrics": {"text": ""}}
        with Puppet(f"{folder}/c", results) as puppet:
            subprocess.run([f"{BUILD}/mendipctl", "-s", f"{folder}/c", "bundle", "/dev/null"], stdout=subprocess.DEVNULL,
                           check=True, timeout=60)
    asked = [args for command, args in puppet.asked if command == "diagnose"]
    expect(asked == [["fleet"], ["other"]], f"{asked}")


def socket_is_private_and_single():
    with testbed.Testbed("single") as bed:
        left, _ = bed.pair("branch", "gw")
        branch = Mendip(bed, left, lambda s: config(s, NET, "192.0.2.2"))
        for path in (branch.control, branch.control + ".view"):  # 0660 where its group exists: test_rights.py
            mode = stat.S_IMODE(os.stat(path).st_mode)
            expect(mode in (0o600, 0o660), f"{path}: mode {mode:o}")
        other = bed.namespace("other")
        second = other.run(f"{BUILD}/mendipd", "-c", branch.conf, check=False)
        expect(second.returncode == 69 and "another mendipd" in second.stderr, f"{second.stderr}")
        expect(branch.run("version").returncode == 0, "the first one lost its socket")


main([commands_text_and_json, commands_wait_for_the_end, conventions_are_kept, views_survive_a_restart,
      switchover_fits_a_terminal, each_sa_is_shown, a_kept_sa_is_shown, refusals_say_why,
      set_is_all_or_none, advise_needs_no_daemon, hostile_clients, no_descriptor_is_left,
      commands_do_not_stop_the_data, root_is_let_in, half_closed_clients_are_answered, a_log_that_nobody_reads,
      what_is_printed_fits_the_schema, a_bundle_has_all_but_secrets, a_bundle_asks_once_of_each_connection,
      socket_is_private_and_single, the_path_is_not_taken, a_second_one_changes_nothing, goes_on_when_the_device_goes])
