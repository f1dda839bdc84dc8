#!/usr/bin/python3
# Checks the messages for bad configurations, and what a reload keeps. SPDX-License-Identifier: ISC
import os
import random
import re
import signal
import subprocess
import tempfile

from daemons import BUILD, NET, NET_GW, Mendip, child, config, expect, main, testbed, pair, settle, wait_for

GOOD = config("/tmp/x.sock", NET, "192.0.2.2")


def check(text, mode=0o600, files=()):
    """Runs mendipd --check on this text, on a host without addresses; returns (exit status, stderr)."""
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "mendip.conf")
        for name, content in (("mendip.conf", text), *files):
            full = os.path.join(d, name)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            data = content if isinstance(content, bytes) else content.encode()
            with open(os.open(full, os.O_CREAT | os.O_WRONLY, mode), "wb") as f:
                os.fchmod(f.fileno(), mode)
                f.write(data)
        done = subprocess.run(["unshare", "-n", f"{BUILD}/mendipd", "--check", "-c", path], capture_output=True, text=True,
                              timeout=30)
        return done.returncode, done.stderr


def good_ones_pass():
    expect(check(GOOD) == (0, ""), f"{check(GOOD)}")
    status, err = check(GOOD.replace(f'secret = "{"a secret for tests"}"', 'file = "gw.secret"'),
                        files=[("gw.secret", "0x0123456789abcdef\n")])
    expect(status == 0, err)
    status, err = check('daemon: { };', files=[("conf.d/a.conf", GOOD.split("\n", 1)[1])])
    expect(status == 0, err)
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "../../etc/mendip.conf"), encoding="utf-8") as f:
        status, err = check(f.read(), files=[("gw.secret", "a long one, of random bytes\n")])
    expect((status, err) == (0, ""), f"the sample configuration: {status}, {err}")


# (text in GOOD, text that replaces it, regular expression that the message must match)
BAD = (
    ('log = "debug"', 'log = "loud"', r":1: daemon\.log: must be"),
    ('log = "debug"', 'lgo = "debug"', r":1: daemon\.lgo: unknown option"),
    ('dpd_delay = "2s"', 'dpd_delay = "soon"', r":5: connections\.gw\.dpd_delay: must be a time"),
    ('dpd_delay = "2s"', 'dpd_delay = "2s"; rekey_time = 4294967297', r":5: a number above 2147483647"),
    ('dpd_delay = "2s"', 'dpd_delay = "2s"; rekey_time = 0x1ffffffff', r":5: a number above 2147483647"),
    ('dpd_delay = "2s"', 'dpd_delay = "2s"; rekey_time = 3000000000L', r":5: a number above 2147483647"),
    ('dpd_delay = "2s"', 'dpd_delay = "2s" rekey_time', r":5: syntax error"),
    ('"10.2.0.0/16"', '"10.2.0.0/33"', r":6: connections\.gw\.children\.net\.remote_ts.*10\.2\.0\.0/33"),
    ("aes128gcm16-prfsha256-x25519", "aes128gcm16-md5-x25519", r":5: connections\.gw\.proposals.*\"md5\""),
    ("aes128gcm16-prfsha256-x25519", "aes128gcm16-aes128-sha256-x25519", r"mixes AEAD and other ciphers: write two proposals"),
    ("aes128gcm16-prfsha256-x25519", "aes128-aes128gcm16-prfsha256-x25519", r"two proposals"),
    ('auth = "psk"', 'auth = "pubkey"', r":3: connections\.gw\.local: auth = \"pubkey\" needs key"),
    ('dpd_delay = "2s"', 'dpd_delay = "2s"; device = "ipsec%d"', r":5: connections\.gw\.device: must be a device name"),
    ('start_action = "start"', 'device = "sixteen-letters-"', r":6: connections\.gw\.children\.net\.device: .*1 to 15"),
    ('start_action = "start"', 'device = ".."', r"must be a device name"),
    ('start_action = "start"', 'device = "a b"', r"must be a device name"),
    ('start_action = "start"', 'device = "mendip0"', r'connections\.gw: device = "mendip0" is the shared device'),
    ('jitter = "10ms"', 'interval = "2h"', r"interval must be below"),
    ('jitter = "10ms"', 'history_sample = 32', r"history_sample: gone: every number .* remove the option"),
    ('jitter = "10ms"', 'bridge = "maybe"', r"bridge: .*neither on nor off"),
    ('jitter = "10ms"', 'silent_rekey = "2d"', r"silent_rekey: .*is not a time from 0s to 1d"),
    ('dpd_delay = "2s"', 'dpd_delay = "2s"; ha_peer = "maybe"', r"ha_peer: must be \"yes\" or \"no\""),
    ('start_action = "start"', 'replay_window = 0; esp_proposals = "aes128gcm16-esn"',
     r"replay_window: 0 needs esp_proposals with noesn"),
    ('jitter = "10ms"', 'nonsense = 1', r"switchover\.nonsense: unknown option"),
    ('start_action = "start"', 'start_action = "now"', r"none.*trap.*start"),
    ('start_action = "start"', 'replay_window = 31', r"replay_window: must be from 32 to 65536, or 0 for no protection"),
    ('start_action = "start"', 'rekey_time = "2h"; life_time = "1h"', r"life_time must be above"),
    ('secret = "a secret for tests"', 'id = "x"', r"neither secret nor file"),
    ('secret = "a secret for tests"', 'secret = "0xzz"', r"hexadecimal"),
    ('secret = "a secret for tests"', 'file = "/nonexistent"', r"/nonexistent cannot be read"),
    ("ike_peer", "wifi_peer", r'begin with "ike", "ppk" or "eap"'),
    ('dpd_delay = "2s"', 'dpd_delay = "2s"; ppk_required = "yes"', r"connections\.gw: ppk_required needs ppk_id"),
    ('dpd_delay = "2s"', 'dpd_delay = "2s"; ppk_id = "a b"', r"ppk_id: must be 1 to 64 printable"),
    ('dpd_delay = "2s"', 'dpd_delay = "2s"; ppk_id = "quantum"', r'connections\.gw: no post-quantum key "quantum"'),
    ("ike_peer", "ppk_one: { secret = \"x\"; }; ike_peer", r"secrets\.ppk_one: needs id, and secret or file"),
    ("ike_peer", 'ppk_one: { id = "a"; }; ike_peer', r"secrets\.ppk_one: needs id, and secret or file"),
    ("ike_peer", 'eap_one: { secret = "x"; }; ike_peer', r"secrets\.eap_one: needs id, and secret or file"),
    ("ike_peer", 'eap_one: { id = "a"; }; ike_peer', r"secrets\.eap_one: needs id, and secret or file"),
    ("ike_peer", 'eap_one: { id = ""; secret = "x"; }; ike_peer', r"eap_one\.id: must not be empty"),
    ("ike_peer", 'eap_one: { id = "a"; secret = "0xff"; }; ike_peer', r"secrets\.eap_one: the password must be UTF-8"),
    ("ike_peer", 'eap_one: { id = "a"; secret = "x"; }; eap_two: { id = "a"; secret = "y"; }; ike_peer',
     r"secrets\.eap_two: the password of .*:7 has the same id"),
    ("ike_peer", 'ppk_one: { id = "%any"; secret = "x"; }; ike_peer', r"ppk_one\.id: must be 1 to 64"),
    ("ike_peer", 'ppk_one: { id = "a"; secret = "x"; }; ppk_two: { id = "a"; secret = "y"; }; ike_peer',
     r"ppk_two: the post-quantum key of .*:7 has the same id"),
    ('remote_addrs = [ "192.0.2.2" ];', "", r"needs remote_addrs"),
    ('"192.0.2.2"', '"not a host!"', r"neither an address nor a host name"),
    ('"192.0.2.2"', '"fe80::1"', r'"fe80::1": link-local addresses are not supported'),
    ('"192.0.2.2"', '"fe80::1%eth0"', r"link-local addresses are not supported"),
    ('"192.0.2.2"', '"ff02::1"', r'"ff02::1" is not the address of a host'),
    ('"192.0.2.2"', '"::ffff:192.0.2.2"', r"write an IPv4 address as such"),
    ('remote_addrs = [ "192.0.2.2" ];', 'local_addrs = "192.0.2.1"; remote_addrs = [ "192.0.2.2", "2001:db8::2" ];',
     r"remote_addrs has 2001:db8::2, but local_addrs has no address of that family"),
    ('remote_addrs = [ "192.0.2.2" ];', 'local_addrs = [ "192.0.2.1", "2001:db8::1" ]; remote_addrs = "192.0.2.2";',
     r"local_addrs has 2001:db8::1, but remote_addrs has no address of that family"),
    ('remote_addrs = [ "192.0.2.2" ];', 'local_port = 500; remote_port = 4500; remote_addrs = "192.0.2.2";',
     r"local_port 500 with remote_port 4500: either both are 500 or neither"),
    ('remote_addrs = [ "192.0.2.2" ];', 'remote_port = 65536; remote_addrs = "192.0.2.2";', r"remote_port"),
    ('id = "branch.example"', 'id = "*.example"', r"is not an identity"),
    ('id = "branch.example"', 'id = "GW.example.net"', r"connections\.gw: remote\.id is the same as"),
    ('local_ts = [ "10.1.0.0/16" ]', "local_ts = []", r":6: connections\.gw\.children\.net\.local_ts: must not be empty"),
    ('remote_addrs = [ "192.0.2.2" ]', "remote_addrs = ()", r"remote_addrs: must not be empty"),
    ('proposals = [ "aes128gcm16-prfsha256-x25519" ]', "proposals = []", r"proposals: must not be empty"),
    ('dpd_delay = "2s"', 'dpd_delay = "1ms"', r"dpd_delay: must be at least 1000 ms, or 0"),
    ('dpd_delay = "2s"', 'dpd_delay = "2s"; rekey_time = 04294967396', r":5: a number above 2147483647"),
    ('start_action = "start"', "rekey_packets = 09999999999", r":6: a number above 2147483647"),
    ('log = "debug"', 'peer_children = 0', r"peer_children: must be"),
    ('log = "debug"', 'retransmit_timeout = 0', r"retransmit_timeout: must be at least 100 ms"),
    ('log = "debug"', 'offload = "maybe"', r"daemon\.offload: must be \"auto\", \"on\" or \"off\""),
    ('log = "debug"', 'offload = { udp_segment = "never"; }', r"offload\.udp_segment: must be \"auto\", \"on\" or \"off\""),
    ('log = "debug"', 'offload = { udp = "off"; }', r"offload\.udp: unknown option"),
    ('log = "debug"', 'crypto_backend = "rot13"', r"daemon\.crypto_backend: must be"),
    ('secret = "a secret for tests"', 'idiot = "b"; secret = "x"', r"idiot: unknown option"),
    ('secret = "a secret for tests"', 'secret = "ab\\x00cd"', r"x00 would cut the string"),
    ('secret = "a secret for tests"; }', 'secret = "a"; }; ike_other: { secret = "b"; }', r"same identities"),
    ('secret = "a secret for tests"', 'file = "/tmp"', r"/tmp is not a regular file"),
    ('secret = "a secret for tests"', 'id = "other"; secret = "x"', r"mendip\.conf:2: connections\.gw: no secret for"),
    ("dpd_delay", "/* a \0 */ dpd_delay", r"NUL byte"),
    ('"aes128gcm16-prfsha256-x25519"', '"default", "aes256-sha256-modp1024"',
     r':5: connections\.gw\.proposals\S* "modp1024" can be broken: let the peer offer modp2048, ecp256 or x25519'),
    ('start_action = "start"', 'esp_proposals = "3des-sha1-modp2048"',
     r':6: \S*esp_proposals\S* "3des" repeats its small blocks: let the peer offer aes256gcm16 or aes256'),
)


def bad_ones_name_file_line_and_option():
    for old, new, pattern in BAD:
        expect(old in GOOD, f"{old} is not in the sample")
        status, err = check(GOOD.replace(old, new, 1))
        expect(status == 1, f"{new}: status {status}")
        expect(re.search(pattern, err), f"{new}: {err!r} does not match {pattern!r}")
        expect("mendip.conf" in err, f"{new}: names no file: {err!r}")
    print(f"# {len(BAD)} bad configurations refused, each by name")


def old_algorithms_warn():
    """What is allowed but old passes with a warning that names connection, child and option."""
    ike, esp = '"default", "aes128-aes256-sha1-sha256-modp2048"', 'esp_proposals = [ "default", "aes128-sha1" ];'
    status, err = check(GOOD.replace('"aes128gcm16-prfsha256-x25519"', ike).replace('start_action', esp + ' start_action'))
    lines = err.splitlines()
    expect(status == 0 and len(lines) == 2, f"status {status}, {err!r}")
    expect(re.search(r'mendip\.conf:5: warning: connections\.gw\.proposals: "sha1" is old: let the peer offer sha256$', lines[0]), err)
    expect(re.search(r':6: warning: connections\.gw\.children\.net\.esp_proposals: "sha1" is old: let the peer offer sha256$', lines[1]), err)
    status, err = check(GOOD.replace('start_action', 'replay_window = 0; start_action'))
    expect(status == 0 and re.search(r"warning: connections\.gw\.children\.net\.replay_window: 0: an attacker can have", err), err)
    status, err = check(GOOD.replace('proposals = [ "aes128gcm16-prfsha256-x25519" ];', "").replace(
        "local_ts", 'esp_proposals = "default"; local_ts', 1))
    expect((status, err) == (0, ""), f"the default proposals warn: {err!r}")


def includes_modes_and_duplicates():
    status, err = check('@include "/etc"\n' + GOOD)
    expect(status == 1 and re.search(r":1: @include", err), err)
    status, err = check(GOOD, mode=0o644)
    expect(status == 1 and "others can read" in err, err)
    second = GOOD.split("\n", 1)[1].replace('secret = ', 'id = "gw.example.net"; secret = ')
    status, err = check(GOOD, files=[("conf.d/b.conf", second)])
    expect(status == 1 and "conf.d/b.conf" in err and "mendip.conf:2 already has a connection of this name" in err, err)
    status, err = check(GOOD, files=[("conf.d/b.conf", "daemon: { };")])
    expect(status == 1 and "belongs into mendip.conf" in err, err)
    status, err = check(GOOD, files=[("conf.d/b.conf", "switchover: { };")])
    expect(status == 1 and "belongs into mendip.conf" in err, err)
    # the switchover section of the main file applies to the connections in conf.d, too
    first, rest = GOOD.split("\n", 1)
    status, err = check(first + '\nswitchover: { interval = "1h"; };', files=[("conf.d/b.conf", rest)])
    expect(status == 1 and "interval must be below" in err, err)


def files_that_others_may_write():
    """
    The daemon refuses a configuration or a secret when users other than root may write the file or its folder: they
    could decide which peers are accepted.
    """
    def modes(path, name, mode, owner, folder):
        os.chmod(os.path.join(path, name), mode)
        os.chown(os.path.join(path, name), owner, 0)
        os.chmod(path, folder)

    by_file = GOOD.replace(f'secret = "{"a secret for tests"}"', 'file = "secrets/gw"')
    for mode, owner, folder, pattern in ((0o600, 0, 0o700, None), (0o640, 0, 0o750, None),
                                         (0o620, 0, 0o700, "not be writable by others"),
                                         (0o602, 0, 0o700, "not be writable by others"),
                                         (0o600, 65534, 0o700, "must belong to root"),
                                         (0o600, 0, 0o770, "folder that others may write"),
                                         (0o600, 0, 0o1777, "folder that others may write")):
        for what in ("main", "conf.d", "secret"):
            with tempfile.TemporaryDirectory() as d:
                for folder_name in ("conf.d", "secrets"):
                    os.mkdir(os.path.join(d, folder_name), 0o700)
                for name, text in (("mendip.conf", "daemon: { };" if what == "conf.d" else by_file),
                                   ("conf.d/a.conf", by_file.split("\n", 1)[1] if what == "conf.d" else " "),
                                   ("conf.d/secrets/gw" if what == "conf.d" else "secrets/gw", "a secret for tests\n")):
                    os.makedirs(os.path.dirname(os.path.join(d, name)), 0o700, exist_ok=True)
                    with open(os.open(os.path.join(d, name), os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
                        f.write(text)
                where, name = {"main": (d, "mendip.conf"), "conf.d": (os.path.join(d, "conf.d"), "a.conf"),
                               "secret": (os.path.join(d, "secrets"), "gw")}[what]
                modes(where, name, mode, owner, folder)
                done = subprocess.run([f"{BUILD}/mendipd", "--check", "-c", f"{d}/mendip.conf"], capture_output=True,
                                      text=True, timeout=30)
                label = f"{what} {mode:o} of {owner} in {folder:o}: {done.stderr}"
                if pattern is None:
                    expect(done.returncode == 0, label)
                else:
                    expect(done.returncode == 1 and pattern in done.stderr and name in done.stderr, label)


def folders_above_that_others_may_write():
    """
    The daemon refuses a path below a folder that others may write: they could replace a folder on that path. A sticky
    folder such as /tmp is accepted, as others cannot rename what is in it.
    """
    for mode, good in ((0o755, True), (0o775, False), (0o777, False), (0o1777, True)):
        with tempfile.TemporaryDirectory() as d:
            for name in ("a", "a/b", "a/b/mendip"):
                os.mkdir(os.path.join(d, name), 0o700)
            path = os.path.join(d, "a/b/mendip/mendip.conf")
            with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
                f.write(GOOD)
            os.symlink(f"{d}/a/b", f"{d}/link")
            os.chmod(os.path.join(d, "a"), mode)
            for way in (path, f"{d}/link/mendip/mendip.conf"):
                done = subprocess.run([f"{BUILD}/mendipd", "--check", "-c", way], capture_output=True, text=True,
                                      timeout=30)
                expect((done.returncode == 0) == good, f"{way} below {mode:o}: {done.returncode}, {done.stderr}")


def links_in_folders_that_others_may_write():
    """The daemon refuses a symbolic link in a folder that others may write, even if it leads to a good file."""
    for mode, good in ((0o755, True), (0o777, False), (0o1777, False)):
        with tempfile.TemporaryDirectory() as d:
            for name in ("safe", "open", "safe/conf.d"):
                os.mkdir(os.path.join(d, name), 0o755)
            for name, text in (("safe/mendip.conf", GOOD), ("safe/part.conf", " ")):
                with open(os.open(os.path.join(d, name), os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
                    f.write(text)
            os.symlink(f"{d}/safe/mendip.conf", f"{d}/open/mendip.conf")
            os.symlink(f"{d}/safe/part.conf", f"{d}/safe/conf.d/part.conf")
            for folder, path in (("open", "open/mendip.conf"), ("safe/conf.d", "safe/mendip.conf")):
                os.chmod(f"{d}/{folder}", mode)
                done = subprocess.run([f"{BUILD}/mendipd", "--check", "-c", f"{d}/{path}"], capture_output=True, text=True,
                                      timeout=30)
                os.chmod(f"{d}/{folder}", 0o755)
                expect((done.returncode == 0) == good, f"{path}, {folder} {mode:o}: {done.returncode}, {done.stderr}")


def in_memory(pid, what):
    """Returns how often the bytes occur in the writable memory of the process."""
    count = 0
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            first, last = (int(x, 16) for x in line.split()[0].split("-"))
            if line.split()[1].startswith("rw"):
                try:
                    mem.seek(first)
                    count += mem.read(last - first).count(what)
                except OSError:
                    pass  # a mapping that cannot be read, such as a device's
    return count


def secrets_leave_nothing_behind():
    """
    A secret is in the daemon's memory once, however often the configuration is reloaded, and not at all once it has
    been removed from the configuration.
    """
    with testbed.Testbed("heap") as bed:
        left, _ = bed.pair("branch", "gw")
        first, second = "Correct-Horse-Battery-Staple-1", "Correct-Horse-Battery-Staple-2"
        branch = Mendip(bed, left, lambda s: config(s, NET, "192.0.2.2", psk=first))
        for _ in range(5):
            branch.ctl("reload")
        pid = branch.process.pid
        expect(in_memory(pid, first.encode()) == 1, f"{in_memory(pid, first.encode())} copies after five reloads")
        branch.write(config(branch.control, NET, "192.0.2.2", psk=second))
        branch.ctl("reload")
        expect(in_memory(pid, second.encode()) == 1, f"{in_memory(pid, second.encode())} copies of the new one")
        left_over = in_memory(pid, first[5:].encode())
        expect(left_over == 0, f"{left_over} copies of what was revoked")


def garbage_never_crashes():
    rng = random.Random(7)
    for i in range(200):
        data = bytearray(GOOD.encode())
        for _ in range(1 + i % 30):
            at = rng.randrange(len(data))
            data[at:at + rng.randrange(3)] = bytes(rng.randrange(256) for _ in range(rng.randrange(4)))
        status, err = check(bytes(data) if i % 10 else rng.randbytes(3000))
        expect(status in (0, 1), f"case {i}: status {status}: {err}")


def reload_keeps_what_has_not_changed():
    with testbed.Testbed("reload") as bed:
        branch, gw = pair(bed, NET, NET_GW)
        branch.wait_up()
        spi = branch.spi()
        flow = bed.flow(gw.ns, gw.ns.inner, branch.ns, branch.ns.inner, rate=500)
        branch.ctl("reload")
        os.kill(branch.process.pid, signal.SIGHUP)
        wait_for(lambda: branch.ctl("status")["reloads"] == 2, "SIGHUP reloads nothing", 5)
        good = open(branch.conf, encoding="utf-8").read()
        for bad in ('@include "/etc"', "connections: {", good.replace('"2s"', "99999999999"), "\0\0"):
            branch.write(bad)
            done = branch.run("reload", as_json=False)
            expect(done.returncode == 1 and done.stderr.count("\n") == 1, f"{done.stderr}")
            expect(branch.ctl("status")["reload_error"], "status does not tell")
        settle(0.3)
        expect(flow.stop().lost == 0, "packets were lost over reloads that changed nothing")
        expect(branch.spi() == spi, "an unchanged tunnel was restarted")
        more = good.replace("children: {", 'children: { two: ' + child("10.3.0.0/16", "10.4.0.0/16") + "; ")
        branch.write(more)
        branch.ctl("reload")
        branch.wait_up()
        expect(branch.spi() != spi, "a changed connection was not restarted")
        expect("two" in branch.children(), "the new child is missing")
        branch.write(good.split("connections")[0])
        branch.ctl("reload")
        expect(branch.children() == {}, "a removed connection stays")
        wait_for(lambda: not gw.up(), "the peer's child stays", 5)


def what_holds_is_shown():
    """mendipd --dump-config shows options with the values in force and no secret; its output reads back as the same."""
    rich = GOOD.replace('log = "debug"', 'log = "debug"; secret_changed = "stay"; offload = { tun = "off"; }').replace(
        'id = "gw.example.net"', 'id = "@10.0.0.1"').replace(
        '"192.0.2.2"', '"gw.example.net", "192.0.2.2", "%any"').replace(
        'jitter = "10ms"', 'jitter = "10ms"; history_packets = "4G"').replace(
        '"10.2.0.0/16"', '"10.2.0.0/16[tcp/80]", "10.3.0.1-10.3.0.9"')
    with tempfile.TemporaryDirectory() as d:
        def dump(text):
            path = os.path.join(d, "mendip.conf")
            with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as f:
                f.write(text)
            done = subprocess.run([f"{BUILD}/mendipd", "--dump-config", "-c", path], capture_output=True, text=True,
                                  timeout=30)
            expect(done.returncode == 0 and not done.stderr, f"{done.stderr}")
            return done.stdout
        for text in (GOOD, rich):
            shown = dump(text)
            expect("a secret for tests" not in shown, "a secret is shown")
            expect(dump(shown + 'secrets: { ike: { secret = "x"; }; };') == shown, f"it reads back otherwise: {shown}")
        for line in ('secret_changed = "stay";', 'id = "@10.0.0.1"', '"192.0.2.2", "gw.example.net", "%any" ];',
                     'tun = "off"; udp_segment = "auto"', 'history_packets = "4294967296";', 'life_time = "66m";'):
            expect(line in shown, f"{line} is not in: {shown}")


def reload_leaves_what_is_made_at_the_start():
    with testbed.Testbed("reload-fixed") as bed:
        branch, _gw = pair(bed, NET, NET_GW)
        branch.wait_up()
        before = branch.ctl("status")
        good = open(branch.conf, encoding="utf-8").read()
        for option in ('offload = "off"', 'crypto_backend = "openssl"', "mtu = 1300", 'tun = "other0"'):
            branch.write(good.replace("daemon: {", f"daemon: {{ {option};"))
            lines = len(branch.tail(10000).splitlines())
            branch.ctl("reload")
            said = "\n".join(branch.tail(10000).splitlines()[lines:])
            told = f"these options take effect only after a restart: {option.split()[0]}\n"
            expect(told in said, f"{option}: the log does not tell: {said}")
            after = branch.ctl("status")
            expect(all(before[k] == after[k] for k in ("tun", "offload", "crypto")), f"{option}: {after}")
            expect(branch.up(), f"{option}: the tunnel went down")
        lines = len(branch.tail(10000).splitlines())
        branch.write(good)
        branch.ctl("reload")
        expect("changes only" not in "\n".join(branch.tail(10000).splitlines()[lines:]), "told without reason")


main([good_ones_pass, bad_ones_name_file_line_and_option, old_algorithms_warn, includes_modes_and_duplicates, garbage_never_crashes,
      files_that_others_may_write, folders_above_that_others_may_write,
      links_in_folders_that_others_may_write, secrets_leave_nothing_behind,
      what_holds_is_shown, reload_keeps_what_has_not_changed, reload_leaves_what_is_made_at_the_start])
