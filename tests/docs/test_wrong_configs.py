#!/usr/bin/python3
# Every wrong configuration gets its sentence. SPDX-License-Identifier: ISC
"""
Runs mendipd --check on each configuration of wrong_configs.txt and compares what it prints, to the letter; and checks that
each sentence in the sources of the configuration stands there, or in UNREACHED with the reason.
`test_wrong_configs.py --write` writes the sentences that mendipd has now into the table: look at what changes.
"""
import glob
import os
import re
import subprocess
import sys
import tempfile

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("MENDIP_BUILD", os.path.join(SOURCE, "build/test"))
sys.path.insert(0, os.path.join(SOURCE, "tests/netns"))
sys.dont_write_bytecode = True
import pki  # noqa: E402

TABLE = os.path.join(SOURCE, "tests/docs/wrong_configs.txt")
# Rows replace $PLACE by their text.
BASE = """daemon: { $daemon };
switchover: { $switchover };
pools: { $pools };
connections: { gw: { $conn
  local_addrs = [ "%any" ]; remote_addrs = [ "203.0.113.2" ];
  local: { id = "branch.example"; $local };
  remote: { id = "gw.example"; $remote };
  children: { net: { $child
    local_ts = [ "10.1.0.0/16" ]; remote_ts = [ "10.2.0.0/16" ]; }; $children }; };
  $conns
};
secrets: { ike_gw: { secret = "a long secret for tests"; }; $secrets };
"""
# Literals of the sources that are no sentence for a user, or that no file can bring about here: (text, reason).
UNREACHED = (
    ("duplicate setting name", "what libconfig says"),
    ("mismatched element type in array", "what libconfig says"),
    ("{ tun = \\\"%s\\\"; udp_segment = \\\"%s\\\"; udp_gro = \\\"%s\\\"; }", "printed by --dump-config"),
    ("# %s: none", "printed by --dump-config"),
    ("# secrets: %u, not shown", "printed by --dump-config"),
    ("%s: cannot be read completely", "the file becomes shorter while it is read"),
    ("%.100s cannot be read completely", "the file becomes shorter while it is read"),
    ("%s: cannot be tried: %s", "no descriptor or process is left: tests/netns/test_service.py"),
    ("%s: reading it took more than %d s, and was given up", "no file is known that takes so long: tests/unit/t_config.c"),
    ("%s: the process that read it was ended by signal %d (%s)%s", "no file is known that does this: tests/unit/t_config.c"),
    (": perhaps there is no memory", "tests/unit/t_config.c"),
    ("%s: a library ended the process that read it: perhaps there is no memory", "tests/unit/t_config.c"),
    ("eap-mschapv2 needs MD4 and DES, and OpenSSL's legacy provider, which has them, cannot be loaded: on Debian 13 install "
     "openssl-provider-legacy", "depends on the host's packages"),
    ("key on a token: %s", "depends on the host's packages: tests/unit/t_config_token.c"),
    ("more than %d connections", "100001 of them take long: the limit is a comparison"),
    ("cannot be found in the text: write secret = \\\"...\\\" in a group of its own",
     "a slip of scan.c: tests/fuzz/fuzz_config.c looks for one"),
)


class Row:
    """A record of the table: what the file is, what is beside it, and the lines that are expected."""

    def __init__(self, text):
        self.text, self.files, self.modes, self.want, self.pki, conf, whole = text, {}, {}, [], False, BASE, None
        self.folders, self.missing, self.env = [], False, ()
        for line in text.splitlines():
            word, _, rest = line.partition(" ")
            if word == "#":
                continue
            if word == "at":
                place, _, value = rest.partition(": ")
                conf = self.replaced(conf, "$" + place, value)
            elif word == "for":
                old, _, new = rest.partition(" => ")
                conf = self.replaced(conf, old, new)
            elif word == "|":
                whole = (whole or "") + rest + "\n"
            elif word == "and":
                name, _, value = rest.partition(": ")
                self.files[name] = self.files.get(name, b"") + self.decoded(value) + b"\n"
            elif word == "mode":
                name, mode = rest.split()
                self.modes[name] = int(mode, 8)
            elif word == "folder":
                name, count = rest.split()
                self.files.update({f"{name}/{i}": b"" for i in range(int(count))})
                self.folders.append(name)
            elif line == "with credentials":
                self.env = ("CREDENTIALS_DIRECTORY",)
            elif line == "missing":
                self.missing = True
            elif line == "with keys":
                self.pki = True
            elif line == "empty":
                whole = ""
            elif word == "=":
                self.want.append(rest)
            else:
                sys.exit(f"wrong_configs.txt: {line!r} is no line of a row")
        if "mendip.conf" in self.folders or self.missing:
            return
        self.files["mendip.conf"] = self.decoded(re.sub(r"\$[a-z]+", "", conf) if whole is None else whole)

    @staticmethod
    def replaced(conf, old, new):
        if old not in conf:
            sys.exit(f"wrong_configs.txt: {old!r} is not in the configuration")
        return conf.replace(old, new, 1)

    @staticmethod
    def decoded(text):
        """\\xNN is a byte, and *N behind a character repeats it, as in x*300."""
        text = re.sub(r"(.)\*(\d{2,})(?!\d)", lambda m: m[1] * int(m[2]), text)
        return re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), text.encode())

    def got(self, keys):
        """Returns the lines that mendipd --check writes to stderr, without its name and the folder, and its status."""
        with tempfile.TemporaryDirectory() as d:
            for name in os.listdir(keys) if self.pki else ():
                os.link(f"{keys}/{name}", f"{d}/{name}")
            for name, data in self.files.items():
                path = os.path.join(d, name)
                os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
                with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as f:
                    f.write(data)
            before = {name: os.stat(f"{d}/{name}").st_mode for name in self.modes}
            for name, mode in self.modes.items():
                os.chmod(f"{d}/{name}", mode)
            env = {k: v for k, v in os.environ.items() if k != "CREDENTIALS_DIRECTORY"}
            env.update({name: d for name in self.env})
            done = subprocess.run([f"{BUILD}/mendipd", "--check", "-c", f"{d}/mendip.conf"], capture_output=True, text=True,
                                  timeout=30, check=False, env=env)
            for name, mode in before.items():
                os.chmod(f"{d}/{name}", mode & 0o7777)
            lines = [line.removeprefix("mendipd: ").replace(d + "/", "").replace(d, "FOLDER")
                     for line in done.stderr.splitlines()]
            lines = [re.sub(r"have \d+ bytes", "have N bytes", line) for line in lines]  # a signature's length varies
            return lines, done.returncode


def make_keys(folder):
    p = pki.Pki(folder)
    p.ca()
    p.cert("gw", "DNS:branch.example")
    p.ca("other")
    p.key("weak", "p256")
    p.write("weak.key", p.openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024").decode(), 0o600)
    p.issue("weak", "/CN=weak", "basicConstraints=critical,CA:TRUE\n", None, 30)
    p.write("odd.key", p.read("gw.key"), 0o600)
    p.issue("odd", "/CN=odd", "keyUsage=keyEncipherment\nsubjectAltName=DNS:branch.example\n", "ca", 30)
    p.public("gw")
    p.write("gw.pass", "a password\n", 0o600)
    p.openssl("pkcs12", "-export", "-inkey", "gw.key", "-in", "gw.pem", "-passout", "file:gw.pass", "-out", "gw.p12")
    os.chmod(p.path("gw.p12"), 0o600)
    p.write("many.pem", p.read("gw.pem") + p.read("ca.pem") * 8)
    names = "".join(f",DNS:{i}.branch.example" for i in range(1000))
    for name, subject, san in (("fat", "/CN=fat", "DNS:branch.example" + names), ("plain", "/", "DNS:branch.example")):
        p.write(f"{name}.key", p.read("gw.key"), 0o600)
        p.issue(name, subject, f"subjectAltName={san}\n", "ca", 30)


def rows():
    with open(TABLE, encoding="utf-8") as f:
        head, *parts = re.split(r"\n\n+", f.read().strip("\n"))
    return head, [Row(part) for part in parts]


# ---- the sentences in the sources ----

def literals(text):
    """Yields the string literals of C, those that follow each other joined, without those of comments and #include."""
    token = re.compile(r'/\*.*?\*/|//[^\n]*|#\s*include[^\n]*|"((?:[^"\\]|\\.)*)"|\'(?:[^\'\\]|\\.)*\'', re.DOTALL)
    parts, end = [], 0
    for m in token.finditer(text):
        if parts and (text[end:m.start()].strip() or m[1] is None):
            yield "".join(parts)
            parts = []
        if m[1] is not None:
            parts.append(m[1])
        end = m.end()
    if parts:
        yield "".join(parts)


def sentences():
    """Yields (file, literal) for all that may be one: with two words, and no option's help, which --dump-config prints."""
    for path in sorted(glob.glob(os.path.join(SOURCE, "daemon/config*.[ch]")) + [os.path.join(SOURCE, "daemon/scan.c")]):
        if os.path.basename(path) == "config_access.c":  # what another user can read: tests/netns/test_rights.py
            continue
        with open(path, encoding="utf-8") as f:
            text = re.sub(r"\.help = (\"[^\"]*\"\s*)+", "", f.read())
        for literal in literals(text):
            if re.search(r"[a-z]{2,}.* .*[a-z]{2,}|[a-z]{3,} %|%\S* [a-z]{3,}", literal):
                yield os.path.basename(path), literal


def pattern(literal):
    """A regular expression for what printf makes of it."""
    plain = re.sub(r'\\(["\\])', r"\1", literal)
    parts = re.split(r"%(?:\.\*|\.\d+)?(?:[sucdg]|zu|llu)", plain)
    return re.compile(".*".join(re.escape(p.replace("%%", "%")) for p in parts))


def uncovered(told):
    told = "\n".join(told)
    gone = {text for text, _ in UNREACHED} - {literal for _, literal in sentences()}
    yield from (f"{text!r} is in UNREACHED, but in no source any more" for text in gone)
    for path, literal in sentences():
        if any(literal == text for text, _ in UNREACHED):
            continue
        if not pattern(literal).search(told):
            yield f"{path}: {literal!r} is in no row of wrong_configs.txt"


def without_counterpart():
    """The names in each of the tables of daemon/swanctl.c: options and secrets of swanctl.conf, options of ipsec.conf."""
    with open(os.path.join(SOURCE, "daemon/swanctl.c"), encoding="utf-8") as f:
        tables = re.split(r"^static const struct row \w+\[\] = ", f.read(), flags=re.M)[1:]
    return [re.findall(r'^\t\{"(\w+)", ', table, re.M) for table in tables]


def main():
    wrong, told, count, write = [], [], 0, "--write" in sys.argv
    head, table = rows()
    with tempfile.TemporaryDirectory() as keys:
        make_keys(f"{keys}/k")
        for row in table:
            lines, status = row.got(f"{keys}/k")
            count += 1
            told += lines
            if write:
                row.text = "\n".join([line for line in row.text.splitlines() if not line.startswith("= ")] +
                                     ["= " + line for line in lines])
                row.want = lines
            refused = not all(": warning: " in line for line in row.want)
            if lines != row.want or status != refused:
                wrong.append(f"{row.text}\n    but it says, with status {status}:\n    " + "\n    ".join(lines))
            if not row.want or any(not re.match(r"\S+:\d+: |mendip\.conf: ", line) for line in lines):
                wrong.append(f"{row.text}: a line without file and line: {lines}")
    options, secrets, ipsec = without_counterpart()
    wrong += [f"no row has the option {o} of swanctl.conf" for o in options
              if not any(re.search(rf"\b{o}: is an option of swanctl.conf", t) for t in told)]
    wrong += [f"no row has the secret {o} of swanctl.conf" for o in secrets
              if not any(re.search(rf"\.{o}\w*: is a section of swanctl.conf", t) for t in told)]
    wrong += [f"no row has the option {o} of ipsec.conf" for o in ipsec
              if not any(re.search(rf"\b{o}: is an option of ipsec.conf", t) for t in told)]
    wrong += list(uncovered(told))
    if count < 150 or len(options) < 50 or len(ipsec) < 10:
        wrong.append(f"only {count} rows, {len(options)} and {len(ipsec)} options were found: the search is wrong")
    if write:
        with open(TABLE, "w", encoding="utf-8") as f:
            f.write("\n\n".join([head, *(row.text for row in table)]) + "\n")
    for each in wrong:
        print(f"not ok {each}")
    if not wrong:
        print(f"ok each of {count} wrong configurations gets its sentence, and each sentence has one")
    return bool(wrong)


sys.exit(main())
