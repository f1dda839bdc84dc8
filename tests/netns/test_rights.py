#!/usr/bin/python3
# Who may view, who may change, and what viewing gives away. SPDX-License-Identifier: ISC
import base64
import glob
import grp
import json
import os
import pwd
import re
import shutil
import socket
import stat
import subprocess

import answers
from daemons import BUILD, NET, NET_GW, PSK, Mendip, config, expect, main, pair, testbed, wait_for
from pki import Pki

# Groups and a user that every Debian has; the defaults mendip-view and mendip-admin are made by the installation.
VIEW, ADMIN, NOBODY = "users", "operator", 65534
GROUPS = f'view_group = "{VIEW}"; admin_group = "{ADMIN}";'
# Commands of mendipctl that are no requests of their own: they need no daemon, or are made of others, such as status.
LOCAL = {"help", "advise", "watch", "bundle", "complete", "import"}


def gid(name):
    return grp.getgrnam(name).gr_gid


def as_user(daemon, args, primary=NOBODY, groups=()):
    """Runs mendipctl as nobody with these groups; returns the CompletedProcess."""
    tool = os.path.join(os.path.dirname(daemon.log), "mendipctl")
    if not os.path.exists(tool):  # nobody may perhaps not enter the folder of the build
        shutil.copy(f"{BUILD}/mendipctl", tool)
    more = ["--groups", ",".join(str(gid(g)) for g in groups)] if groups else ["--clear-groups"]
    return subprocess.run(["setpriv", "--reuid", str(NOBODY), "--regid", str(primary), *more,
                           tool, "-s", daemon.control, *args], capture_output=True, text=True, timeout=15)


class As:
    """Within it, this process has the effective user nobody and one supplementary group."""

    def __init__(self, group):
        self.group = gid(group)

    def __enter__(self):
        os.setgroups([self.group])
        os.setegid(NOBODY)
        os.seteuid(NOBODY)

    def __exit__(self, *_):
        os.seteuid(0)
        os.setegid(0)
        os.setgroups([])


def connect(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    s.settimeout(5)
    return s


def ask(s, command, *args):
    """Sends a request; returns its answer."""
    s.sendall(json.dumps({"command": command, "args": args}).encode() + b"\n")
    answer = b""
    while not answer.endswith(b"\n"):
        piece = s.recv(65536)
        if not piece:
            raise ConnectionError("the daemon has closed the connection")
        answer += piece
    return json.loads(answer)


def is_served(s):
    try:
        return ask(s, "version")["ok"]
    except ConnectionError:
        return False


def with_tunnel(f, daemon=GROUPS):
    with testbed.Testbed("rights") as bed:
        branch, gw = pair(bed, NET, NET_GW, daemon=daemon)
        os.chmod(bed.directory, 0o755)
        branch.wait_up()
        f(branch, gw, bed)
        expect(branch.process.poll() is None and gw.process.poll() is None, "a daemon ended")


def each_command_has_its_right():
    """Walks all commands of the daemon, and those of mendipctl: none has no right, and none is let through without it."""
    def check(branch, _gw, _bed):
        with connect(branch.control + ".view") as s:
            result = ask(s, "commands")["result"]
            answers.validate("commands", json.dumps(result))
            commands = result["commands"]
            names = {c["name"] for c in commands}
            expect(len(commands) >= 14 and {"status", "up", "events", "fault"} <= names, f"{commands}")
            for c in commands:
                expect(c["right"] in ("view", "change"), f"{c}")
                answer = ask(s, c["name"], *([c["argument"]] if c["argument"] else []))
                refused = "you may view, but not change" in answer.get("error", "")
                expect(refused == (c["right"] == "change"), f"{c}: {answer}")
        change = {(c["name"], c["argument"]) for c in commands if c["right"] == "change"}
        expect({("up", None), ("down", None), ("rekey", None), ("reload", None), ("log", None), ("fault", None),
                ("switchover", "set"), ("switchover", "reset")} == change, f"{change}")
        shown = subprocess.run([f"{BUILD}/mendipctl", "help"], capture_output=True, text=True, check=True).stdout
        tool = set(re.findall(r"^  (\w+)", shown, re.MULTILINE)) - LOCAL
        expect(tool <= names and len(tool) > 8, f"mendipctl has {tool - names}")

    with_tunnel(check)


def who_may_do_what():
    """Strangers, viewers and administrators, by primary and by supplementary group; each refusal is one sentence."""
    def check(branch, _gw, _bed):
        for path, group in ((branch.control, ADMIN), (branch.control + ".view", VIEW)):
            st = os.stat(path)
            expect((stat.S_IMODE(st.st_mode), st.st_gid) == (0o660, gid(group)), f"{path}: {st}")
        who = {"a stranger": {}, "a viewer": {"groups": [VIEW]}, "a viewer by primary group": {"primary": gid(VIEW)},
               "an administrator": {"groups": [ADMIN]}, "both": {"groups": ["adm", VIEW, ADMIN]}}
        for name, groups in who.items():
            for args, change in ((["status"], False), (["switchover"], False), (["metrics"], False), (["diagnose", "net"], False),
                                 (["version"], False), (["log", "debug"], True), (["reload"], True),
                                 (["switchover", "set", "net", "packets=100"], True), (["rekey", "net"], True)):
                done = as_user(branch, args, **groups)
                may = "administrator" in name or name == "both" or (not change and "viewer" in name)
                expect((done.returncode == 0) == may, f"{name}, {args}: {done.stdout}{done.stderr}")
                if may:
                    continue
                expect(done.stderr.count("\n") == 1, f"{name}, {args}: not one line: {done.stderr}")
                how = f"to view, join the group {VIEW}; to change, the group {ADMIN} (usermod -aG GROUP NAME, " \
                    "then log in again), or be root" if name == "a stranger" else \
                    f"join the group {ADMIN} (usermod -aG {ADMIN} NAME, then log in again), or be root"
                expect(how in done.stderr, f"{name}, {args}: {done.stderr}")
        expect(branch.run("reload").returncode == 0, "root may not change")
        # Beside this one there is no other socket.
        view = branch.control + ".view"
        done = as_user(branch, ["-s", view, "status"])
        expect(done.stderr == f"mendipctl: {view}: Permission denied: join the group {VIEW} (usermod -aG GROUP NAME, then log in "
               "again), or be root\n", done.stderr)

    with_tunnel(check)


def a_connection_keeps_its_right():
    """The group is looked at when a client connects, by the kernel: who leaves the group keeps what is open."""
    def check(branch, _gw, _bed):
        with As(ADMIN):
            s = connect(branch.control)
        with As("adm"):
            expect(ask(s, "reload")["ok"], "the open connection has lost its right")
            try:
                connect(branch.control)
                raise AssertionError("a new connection has the right without the group")
            except PermissionError:
                pass
        s.close()

    with_tunnel(check)


def groups_that_do_not_exist():
    """Then only root and the daemon's own user are let in."""
    def check(branch, _gw, _bed):
        for path in (branch.control, branch.control + ".view"):
            mode = stat.S_IMODE(os.stat(path).st_mode)
            expect(mode == 0o600, f"{path}: mode {mode:o}")
        expect(branch.logged("there is no group no-such-group: only root and the daemon's own user can use it"), "not told")
        done = as_user(branch, ["status"], groups=[VIEW, ADMIN])
        expect(done.returncode == 1 and done.stderr.endswith("Permission denied: be root\n"), done.stderr)
        with connect(branch.control + ".view") as s:
            why = ask(s, "reload")["error"]
        expect(why == "you may view, but not change: be root, as mendipd could not give the group no-such-group its socket: "
               "its log says why", why)
        expect(branch.run("reload").returncode == 0, "root may not change")

    with_tunnel(check, 'view_group = "no-such-group"; admin_group = "no-such-group";')


def sockets_of_another_user():
    """A daemon that is not root any more gives its sockets to the groups, too, and removes both when it ends."""
    with testbed.Testbed("user") as bed:
        left, _ = bed.pair("branch", "gw")
        folder = bed.path("run")
        os.mkdir(folder, 0o755)
        os.chown(folder, NOBODY, -1)
        os.chmod(bed.directory, 0o755)
        branch = Mendip(bed, left, lambda s: config(s, NET, "192.0.2.2", daemon=f'user = "nobody"; {GROUPS}'),
                        control=f"{folder}/c.sock")
        for path, group in ((branch.control, ADMIN), (branch.control + ".view", VIEW)):
            st = os.stat(path)
            expect((st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (NOBODY, gid(group), 0o660), f"{path}: {st}")
        with open(f"/proc/{branch.process.pid}/status", encoding="ascii") as f:
            groups = re.search(r"^Groups:\s*(.*?)\s*$", f.read(), re.M)[1].split()
        expect(set(groups) == {str(NOBODY), str(gid(VIEW)), str(gid(ADMIN))}, f"groups {groups}")
        branch.process.terminate()
        expect(branch.process.wait(5) == 0 and os.listdir(folder) == [], f"left: {os.listdir(folder)}")


def viewers_keep_nobody_out():
    """Clients that may only view hold all places: who may change is served, and so is root; not the other way round."""
    def check(branch, _gw, _bed):
        view = branch.control + ".view"
        with As(VIEW):
            many = [connect(view) for _ in range(40)]
        served = sum(is_served(s) for s in many)
        expect(0 < served < len(many), f"{served} of {len(many)} viewers are served")
        expect(as_user(branch, ["reload"], groups=[ADMIN]).returncode == 0, "viewers keep administrators out")
        expect(branch.run("reload").returncode == 0, "viewers keep root out")
        for s in many:
            s.close()
        with As(ADMIN):
            many = [connect(branch.control) for _ in range(32)]
        expect(all(is_served(s) for s in many), "an administrator is not served")
        expect(as_user(branch, ["version"], groups=[VIEW]).returncode == 1, "a viewer displaces an administrator")
        expect(all(is_served(s) for s in many), "an administrator was disconnected")
        expect(branch.run("reload").returncode == 0, "administrators keep root out")
        for s in many:
            s.close()

    with_tunnel(check)


def forms(secret):
    """Returns how the bytes may be written."""
    return {secret.hex(), secret.hex().upper(), base64.b64encode(secret).decode().rstrip("="),
            secret.decode("latin1") if secret.isascii() else secret.hex()}


def keys_in(folder):
    """Returns the keys that key_log has written."""
    text = ""
    for path in glob.glob(f"{folder}/*"):
        with open(path, encoding="ascii") as f:
            text += f.read()
    return {bytes.fromhex(k) for k in re.findall(r"\b(?:0x)?([0-9a-f]{32,})\b", text)}


def viewing_gives_no_secret_away():
    """
    Neither what the view socket answers, nor its events, nor the log at the level debug hold the secret or a key. The keys
    are those that key_log writes, so that the test knows them.
    """
    with testbed.Testbed("secrets") as bed:
        folder = bed.path("keys")
        os.mkdir(folder, 0o700)
        branch, _ = pair(bed, NET, NET_GW, daemon=f'{GROUPS} key_log = "{folder}";')
        branch.wait_up()
        view = branch.control + ".view"
        shown = ""
        with connect(view) as events, connect(view) as s:
            ask(events, "events")
            branch.run("rekey", "net", as_json=False)
            for args in (["status"], ["status", "net"], ["switchover"], ["metrics"], ["diagnose", "gw"], ["commands"],
                         ["version"], ["status", PSK[:3]]):
                shown += json.dumps(ask(s, *args))
            shown += events.recv(1 << 20).decode()
        with open(branch.log, encoding="utf-8") as f:
            shown += f.read()
        keys = wait_for(lambda: keys_in(folder), "no keys are written")
        # of two IKE keys and of two generations of two ESP keys; SPIs, which are public, are shorter
        expect(len(keys) >= 6 and "net" in shown and '"event"' in shown, f"{len(keys)} keys, {len(shown)} bytes shown")
        for secret in (*keys, PSK.encode()):
            found = [form for form in forms(secret) if form in shown]
            expect(not found, f"shown: {found}")


def secrets_by_credentials():
    """A secret that systemd hands over lets the peer in; a reload reads it again, and one that is gone changes nothing."""
    with testbed.Testbed("creds") as bed:
        left, right = bed.pair("branch", "gw")
        folder = bed.path("credentials")

        def put(text):
            with open(os.open(f"{folder}/gw.secret", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o400), "w", encoding="ascii") as f:
                f.write(text)
        os.mkdir(folder, 0o700)
        put("another secret")
        gw = Mendip(bed, right, lambda s: config(s, NET_GW, "%any", "gw.example.net", "*.example", "branch"))
        branch = Mendip(bed, left, lambda s: config(s, NET, right.outer).replace(f'secret = "{PSK}"', 'file = "credential:gw.secret"'),
                        env=[f"CREDENTIALS_DIRECTORY={folder}"])
        wait_for(lambda: branch.ctl("status")["connections"][0]["last_error"], "the wrong secret is not noticed")
        put(PSK)
        branch.ctl("reload")
        branch.wait_up(timeout=30)
        os.unlink(f"{folder}/gw.secret")
        why = branch.run("reload", as_json=False)
        expect(why.returncode == 1 and 'there is no credential "gw.secret": the unit needs LoadCredential=gw.secret:FILE' in why.stderr,
               why.stderr)
        expect(branch.up() and gw.up(), "the tunnel went")
        check = subprocess.run([f"{BUILD}/mendipd", "--check", "-c", branch.conf], capture_output=True, text=True)
        expect(check.returncode == 1 and check.stderr.count("\n") == 1 and ":7: secrets.ike_peer.file: there are no credentials" in check.stderr,
               check.stderr)


def what_the_user_cannot_read():
    """
    --check as root says which files the daemon's user could not read, each with its place and a fix; the fixes, done as they
    are written, mend it.
    """
    with testbed.Testbed("check") as bed:
        os.chmod(bed.directory, 0o755)
        top = bed.path("etc")
        pki = Pki(f"{top}/pki")
        pki.ca()
        pki.cert("branch", "DNS:branch.example")
        text = config("/run/x", NET, "198.51.100.2", daemon='ca_folder = "cas";',
                      us='id = "branch.example"; auth = "pubkey"; key = "pki/branch.key"; certs = "link.pem";',
                      peer='id = "gw.example.net"; auth = "pubkey";').split("secrets:")[0]
        for name in ("conf.d", "cas", "shut", "shut/in"):
            os.mkdir(f"{top}/{name}", 0o755)

        def put(name, content, mode):
            with open(os.open(f"{top}/{name}", os.O_CREAT | os.O_WRONLY, mode), "w", encoding="ascii") as f:
                f.write(content)
        put("mendip.conf", text, 0o640)
        put("conf.d/a.conf", '\nsecrets: { ike_a: { id = "a.example"; file = "gw.secret"; };\n ike_b: { id = "b.example"; file = "b.secret"; }; };', 0o640)
        put("conf.d/gw.secret", "the first of two secrets", 0o600)
        put("conf.d/b.secret", "the second of two secrets", 0o640)
        put("cas/ca.pem", pki.read("ca.pem"), 0o644)
        put("shut/in/branch.pem", pki.read("branch.pem"), 0o644)
        os.symlink(f"{top}/shut/in/branch.pem", f"{top}/link.pem")
        conf = f"{top}/mendip.conf"
        for path in (f"{top}/conf.d/b.secret", conf):
            os.chown(path, 0, gid("users"))  # by a supplementary group, too, the user can read it
        os.chmod(f"{top}/shut", 0o700)
        os.chmod(f"{top}/cas", 0o700)

        def check(*more, user="games", front=()):
            done = subprocess.run([*front, f"{BUILD}/mendipd", "--check", "-c", conf, *(["--user", user] if user else []), *more],
                                  capture_output=True, text=True, cwd=top)
            return done.returncode, done.stderr.replace(top, "/TOP").splitlines()

        def line(place, path, fix):
            return (f"mendipd: {place}: the user games cannot read /TOP/{path} (Permission denied), so a reload would fail, and a "
                    f"start as that user: {fix}")
        expect(check(user=None) == (0, []), f"a check for no user: {check(user=None)}")
        expect(check(user="root") == (0, []), "a check for root")
        wanted = [
            line("/TOP/mendip.conf", "mendip.conf", "chgrp games /TOP/mendip.conf && chmod g+r /TOP/mendip.conf"),
            line("/TOP/mendip.conf:3: connections.gw.local", "pki/branch.key",
                 "chgrp games /TOP/pki/branch.key && chmod g+r /TOP/pki/branch.key"),
            line("/TOP/mendip.conf:3: connections.gw.local", "link.pem", "chgrp games /TOP/shut && chmod g+rx /TOP/shut"),
            line("/TOP/mendip.conf:4: connections.gw.remote", "cas", "chgrp games /TOP/cas && chmod g+rx /TOP/cas"),
            line("/TOP/mendip.conf:4: connections.gw.remote", "cas/ca.pem", "chgrp games /TOP/cas && chmod g+rx /TOP/cas"),
            line("/TOP/conf.d/a.conf", "conf.d/a.conf", "chgrp games /TOP/conf.d/a.conf && chmod g+r /TOP/conf.d/a.conf"),
            line("/TOP/conf.d/a.conf:2: secrets.ike_a.file", "conf.d/gw.secret",
                 "chgrp games /TOP/conf.d/gw.secret && chmod g+r /TOP/conf.d/gw.secret"),
            line("/TOP/conf.d/a.conf:3: secrets.ike_b.file", "conf.d/b.secret",
                 "chgrp games /TOP/conf.d/b.secret && chmod g+r /TOP/conf.d/b.secret")]
        status, said = check()
        expect(status == 1 and said == wanted, f"status {status}: " + "\n".join(said))
        # A user with the supplementary group reads two of them: games is given it, in an /etc/group of its own.
        groups = bed.path("group")
        with open("/etc/group", encoding="utf-8") as f, open(groups, "w", encoding="utf-8") as g:
            g.write(re.sub(r"^(users:.*:)\S*$", r"\1games", f.read(), flags=re.M))
        os.chmod(groups, 0o644)
        as_member = ["unshare", "--mount", "sh", "-c", f'mount --bind {groups} /etc/group && exec "$0" "$@"']
        status, said = check(front=as_member)
        unread = [w for w in wanted if "mendip.conf (" not in w and "b.secret (" not in w]
        expect(status == 1 and said == unread, f"with its group, status {status}: " + "\n".join(said))
        # It is what the daemon's own user finds when it reads them, one after the other.
        env = {**os.environ, "LC_ALL": "C"}
        tool = shutil.copy(f"{BUILD}/mendipd", bed.path("mendipd"))
        expect(subprocess.run(["setpriv", "--reuid", "games", "--regid", "games", "--clear-groups", tool, "--check", "-c", conf],
                              capture_output=True, env=env).returncode == 1, "the user itself can read all")
        for w in wanted:
            fix = w.split("as that user: ")[1].replace("/TOP", top)
            subprocess.run(["sh", "-ec", fix], check=True)
        expect(check() == (0, []), f"after the fixes: {check()}")
        done = subprocess.run(["setpriv", "--reuid", "games", "--regid", "games", "--clear-groups", tool, "--check", "-c", conf],
                              capture_output=True, text=True)
        expect(done.returncode == 0, f"the user itself: {done.stderr}")


def the_check_of_many_files_ends():
    """However many files there are, each is looked at, in the order of the file."""
    with testbed.Testbed("many") as bed:
        os.chmod(bed.directory, 0o755)
        names = [f"s{i}" for i in range(400)]
        for name in names:
            with open(os.open(bed.path(name), os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as f:
                f.write("a long one, of random bytes")
        text = config("/run/x", NET, "198.51.100.2")
        many = "".join(f' ike_{name} = {{ id = "{name}.example"; file = "{name}"; }};' for name in names)
        with open(os.open(bed.path("many.conf"), os.O_CREAT | os.O_WRONLY, 0o640), "w", encoding="ascii") as f:
            f.write(re.sub(r"secrets: *\{", lambda m: m[0] + many, text))
        os.chown(bed.path("many.conf"), -1, gid("games"))

        def check(*front):
            return subprocess.run([*front, f"{BUILD}/mendipd", "--check", "--user", "games", "-c", bed.path("many.conf")],
                                  capture_output=True, text=True)
        # A frame of the stack for each file would not fit.
        done = check("prlimit", "--stack=524288")
        unread = re.findall(r"the user games cannot read \S+/(\w+) ", done.stderr)
        expect(done.returncode == 1 and unread == names, f"status {done.returncode}, {len(unread)} files: {done.stderr[:400]}")


def whose_access_is_checked():
    """That of --user, else of daemon.user; where a folder above is closed, the file is to move."""
    with testbed.Testbed("whose") as bed:
        conf = bed.path("whose.conf")

        def check(*more, daemon='user = "games";'):
            with open(os.open(conf, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o640), "w", encoding="ascii") as f:
                f.write(config("/run/x", NET, "198.51.100.2", daemon=daemon))
            done = subprocess.run([f"{BUILD}/mendipd", "--check", "-c", conf, *more], capture_output=True, text=True)
            return done.returncode, done.stderr
        status, said = check()
        expect(status == 1 and f"{bed.directory} is closed to it: move the file below {bed.directory}" not in said
               and f"chgrp games {bed.directory} && chmod g+rx {bed.directory}" in said, said)
        os.mkdir(bed.path("other"), 0o700)
        with open(os.open(bed.path("other/gw.secret"), os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as f:
            f.write("a long one, of random bytes")
        os.chmod(bed.directory, 0o755)
        expect(check("--user", "root") == (0, ""), "the option is not stronger than the configuration")
        expect(check("--user", "nobody-at-all")[1].endswith('there is no user "nobody-at-all"\n'), "an unknown user")
        status, said = check(daemon="")
        expect((status, said) == (0, ""), f"without a user: {said}")
        os.mkdir(bed.path("etc"), 0o755)
        conf = bed.path("etc/whose.conf")
        check()
        os.chown(conf, -1, gid("games"))
        with open(conf, "r+", encoding="ascii") as f:
            text = f.read().replace(f'secret = "{PSK}"', 'file = "../other/gw.secret"')
            f.seek(0)
            f.truncate()
            f.write(text)
        done = subprocess.run([f"{BUILD}/mendipd", "--check", "-c", conf], capture_output=True, text=True)
        expect(done.returncode == 1 and done.stderr.endswith(f"{bed.directory}/other is closed to it: move the file below "
                                                             f"{bed.directory}/etc\n"), done.stderr)
        # A start as root reads it, and a reload does not: what the check has said.
        left, _ = bed.pair("branch", "gw")
        run = bed.path("run")
        os.mkdir(run, 0o755)
        os.chown(run, pwd.getpwnam("games").pw_uid, -1)
        branch = Mendip(bed, left, text.replace("/run/x", f"{run}/c").replace("../other", bed.path("other")), control=f"{run}/c")
        os.chown(branch.conf, -1, gid("games"))
        os.chmod(branch.conf, 0o640)
        done = branch.run("reload", as_json=False)
        expect(done.returncode == 1 and "gw.secret cannot be read: Permission denied" in done.stderr, done.stderr)


main([each_command_has_its_right, who_may_do_what, a_connection_keeps_its_right, groups_that_do_not_exist,
      sockets_of_another_user, viewers_keep_nobody_out, viewing_gives_no_secret_away, secrets_by_credentials, what_the_user_cannot_read,
      the_check_of_many_files_ends, whose_access_is_checked])
