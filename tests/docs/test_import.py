#!/usr/bin/python3
# What mendipctl import makes of a swanctl.conf. SPDX-License-Identifier: ISC
"""
For each NAME.conf of the folder import: mendipctl import writes NAME.out, says NAME.err, and has the exit status that
they stand for; and mendipd --check takes what is written.  `test_import.py --write` writes both files anew: look at what
changes.  The same check is made of the connections by which the interop tests configure strongSwan.
"""
import glob
import os
import resource
import shutil
import stat
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("MENDIP_BUILD", os.path.join(SOURCE, "build/test"))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(SOURCE, "tests/netns"), os.path.join(SOURCE, "tests/interop")]
import pki  # noqa: E402
import strongswan  # noqa: E402

SECRETS = ("never shown", "1234")


def run(*args):
    return subprocess.run(args, capture_output=True, text=True, timeout=60, check=False)


def make_folder(folder):
    """The folders of swanctl, with a certificate, its key among others, and a CA."""
    p = pki.Pki(os.path.join(folder, "made"))
    p.ca()
    p.cert("gw", "DNS:a.example")
    p.cert("lost", "DNS:a.example")
    p.public("gw")
    for name, into in (("ca.pem", "x509ca"), ("gw.pem", "x509"), ("lost.pem", "x509"), ("gw.key", "private"),
                       ("ca.key", "private"), ("gw.pub", "pubkey")):
        os.makedirs(f"{folder}/{into}", exist_ok=True)
        shutil.copy2(p.path(name), f"{folder}/{into}/{name}")


def imported(folder, path):
    """Returns (exit status, what is written, what is said), with FOLDER for the folder."""
    done = run(f"{BUILD}/mendipctl", "import", path)
    said = "".join(line.removeprefix("mendipctl: ") for line in done.stderr.splitlines(True))
    return done.returncode, done.stdout, said.replace(folder, "FOLDER")


def check_result(folder, text):
    """Returns what mendipd says of it, without warnings; None if it takes it."""
    path = os.path.join(folder, "result.conf")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as f:
        f.write(text)
    done = run(f"{BUILD}/mendipd", "--check", "-c", path)
    return None if done.returncode == 0 else done.stderr


def read(path):
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as f:
        return f.read()


def one_file(folder, source, write):
    """Returns what is wrong with one NAME.conf; None: nothing."""
    name, path = os.path.basename(source), os.path.join(folder, os.path.basename(source))
    shutil.copy(source, path)
    status, text, said = imported(folder, path)
    shown = text.replace(folder, "FOLDER")
    for ending, content in ((".out", shown), (".err", said)):
        golden = source.removesuffix(".conf") + ending
        if write and content:
            with open(golden, "w", encoding="utf-8") as f:
                f.write(content)
        if content != read(golden):
            return f"{name}: {ending[1:]} is another one:\n{content}"
    want = 2 if not text else 3 if said else 0
    if status != want:
        return f"{name}: the exit status is {status}, not {want}"
    if any(s in said for s in SECRETS):
        return f"{name}: a secret is shown: {said}"
    wrong = check_result(folder, text) if text else None
    return f"{name}: mendipd refuses the result: {wrong}" if wrong else None


def files(folder, write):
    sources = sorted(glob.glob(os.path.join(HERE, "import/*.conf")))
    wrong = [w for w in (one_file(folder, s, write) for s in sources) if w]
    return wrong if len(sources) >= 20 else [f"only {len(sources)} files were found: the search is wrong"]


def text_of(sections, depth=0):
    """A dict, as the interop tests have it for vici, as swanctl.conf has it."""
    out = ""
    for name, value in sections.items():
        if isinstance(value, dict):
            out += f"{'  ' * depth}{name} {{\n{text_of(value, depth + 1)}{'  ' * depth}}}\n"
        else:
            out += f"{'  ' * depth}{name} = {', '.join(value) if isinstance(value, list) else value}\n"
    return out


# Connections as in tests/interop: (options of strongswan.connection, options that cannot be carried over).
INTEROP = (
    ({}, ()),
    ({"remote_addrs": "%any"}, ()),
    ({"esp_proposals": "aes128gcm16-x25519,aes256gcm16", "proposals": "aes128-sha256-x25519,aes256-sha1-modp2048"}, ()),
    ({"encap": "yes", "mobike": "yes", "fragmentation": "force", "unique": "keep"}, ()),
    ({"reauth_time": "10s", "keyingtries": "3"}, ("reauth_time", "keyingtries")),
    ({"childless": "force", "rekey_time": "30s", "over_time": "5s", "dpd_delay": "2s"}, ()),
    ({"start_action": "start"}, ()),
    ({"local_ts": "10.2.0.0/16, 10.3.0.0/16[tcp/80]", "remote_ts": "10.1.0.0/24,10.1.1.0/24"}, ()),
    ({"local_ts": "fd00:2::/64", "remote_ts": "fd00:1::/64"}, ()),
    ({"pools": "road"}, ()),
    ({"vips": ["0.0.0.0"], "remote_ts": "10.1.0.0/16", "local_ts": "dynamic"}, ()),
)


def interop(folder):
    """Everything but the options named is carried over, and the result is taken."""
    for options, lost in INTEROP:
        options = {"local_addrs": "203.0.113.2", "remote_addrs": "203.0.113.1", "local_id": "gw.example",
                   "remote_id": "branch.example", "local_ts": "10.2.0.0/16", "remote_ts": "10.1.0.0/16", **options}
        path = os.path.join(folder, "interop.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text_of({"connections": {"gw": strongswan.connection(**options)},
                             "pools": {"road": {"addrs": "10.3.0.0/24"}},
                             "secrets": {"ike-1": {"id": "branch.example", "secret": '"a long secret for tests"'}}}))
        status, text, said = imported(folder, path)
        lines = said.splitlines()
        if status != (3 if lost else 0) or len(lines) != len(lost) or \
                any(f"gw.{option}:" not in line for option, line in zip(lost, lines)):
            return [f"{options}: status {status}: {said}"]
        wrong = check_result(folder, text)
        if wrong or "children" not in text:
            return [f"{options}: mendipd refuses the result: {wrong}"]
    return []


def small_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))


def output(folder):
    """--output makes a file that nobody else can read, overwrites none, and leaves no half of one; includes are followed."""
    os.makedirs(f"{folder}/conf.d", exist_ok=True)
    shutil.copy(os.path.join(HERE, "import/readme.conf"), f"{folder}/conf.d/gw.conf")
    with open(f"{folder}/swanctl.conf", "w", encoding="ascii") as f:
        f.write("include conf.d/*.conf\n")
    os.umask(0)
    to = f"{folder}/made.conf"
    first = run(f"{BUILD}/mendipctl", "import", f"{folder}/swanctl.conf", "--output", to)
    again = run(f"{BUILD}/mendipctl", "import", f"{folder}/swanctl.conf", "--output", to)
    half = subprocess.run([f"{BUILD}/mendipctl", "import", f"{folder}/swanctl.conf", "--output", f"{folder}/half.conf"],
                          capture_output=True, text=True, timeout=60, check=False, preexec_fn=small_files,
                          restore_signals=False)  # SIGXFSZ stays ignored: the write fails as on a full disk
    none = run(f"{BUILD}/mendipctl", "import", f"{folder}/not-there.conf")
    os.symlink("/dev/zero", f"{folder}/endless.conf")
    endless = run(f"{BUILD}/mendipctl", "import", f"{folder}/endless.conf")
    if first.returncode or first.stdout or stat.S_IMODE(os.stat(to).st_mode) != 0o600 or \
            read(to) != read(os.path.join(HERE, "import/readme.out")):
        return [f"--output: {first}"]
    if again.returncode != 1 or "move it away first" not in again.stderr:
        return [f"--output overwrites: {again}"]
    if half.returncode != 1 or "File too large" not in half.stderr or os.path.exists(f"{folder}/half.conf"):
        return [f"the half of a file with secrets is left: {half}"]
    if (none.returncode, endless.returncode) != (2, 2) or "No such file" not in none.stderr:
        return [f"what cannot be read: {none}, {endless}"]
    return []


def main():
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        make_folder(folder)
        for case, wrong in (("files", files(folder, "--write" in sys.argv)), ("interop", interop(folder)),
                            ("output", output(folder))):
            failed |= bool(wrong)
            for each in wrong:
                print(f"not ok {case}: {each}")
            if not wrong:
                print(f"ok {case}")
    return failed


sys.exit(main())
