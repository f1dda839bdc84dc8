"""Downloads wireguard-go from Debian's backports and unpacks it without installing it.

The backports have version 0.0.20231211, the first one with offloads; Debian 12 itself has an older one. Their address
is derived from the system's package sources, so that the same mirror and proxy are used.
SPDX-License-Identifier: ISC
"""
import glob
import os
import re
import shutil
import subprocess

SOURCES = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources")


def from_line(line, release, suite):
    """Returns an entry of the one-line style, changed to another suite; None when it is not for the release's main."""
    m = re.match(r"\s*deb\s+(\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)", line.split("#")[0])
    if not m or m[3] != release or "main" not in m[4].split():
        return None
    return f"deb {m[1] or ''}{m[2]} {suite} main\n"


def from_stanza(stanza, release, suite):
    """Does the same as from_line() for a stanza of the deb822 style; keeps its other fields, such as Signed-By."""
    fields, name = {}, None
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if name and line[:1].isspace():  # continuation line
            fields[name] += "\n" + line
        elif ":" in line:
            name, value = line.split(":", 1)
            name = name.strip().lower()
            fields[name] = value.strip()

    def words(field):
        return fields.get(field, "").split()
    if "deb" not in words("types") or release not in words("suites") or "main" not in words("components") \
            or fields.get("enabled", "yes").lower() in ("no", "false"):
        return None
    fields.update(types="deb", suites=suite, components="main")
    return "".join(f"{name.title()}: {value}\n" for name, value in fields.items())


def entries(name, text, release):
    """Returns [(suffix of a file name, entry)] for backports, one per entry of the release in this file of sources."""
    suite = f"{release}-backports"
    if name.endswith(".sources"):
        found = [from_stanza(s, release, suite) for s in re.split(r"\n\s*\n", text)]
        return [(".sources", s) for s in found if s]
    return [(".list", s) for s in (from_line(line, release, suite) for line in text.splitlines()) if s]


def system_entries():
    """Returns (entries for this system's backports, code name of its release or "")."""
    with open("/etc/os-release", encoding="utf-8") as f:
        m = re.search(r"^VERSION_CODENAME=\"?(\w+)", f.read(), re.M)
    if not m:
        return [], ""
    result = []
    for path in (p for pattern in SOURCES for p in sorted(glob.glob(pattern))):
        with open(path, encoding="utf-8", errors="replace") as f:
            result += entries(path, f.read(), m[1])
    return result, m[1]


def download(folder, ending, entry):
    """Downloads the package into the folder from this entry alone; returns None, or why that failed."""
    private = os.path.join(folder, "apt")
    os.makedirs(os.path.join(private, "lists/partial"), exist_ok=True)
    source = os.path.join(private, "backports" + ending)
    with open(source, "w", encoding="utf-8") as f:
        f.write(entry)
    options = ["-q", "-o", f"Dir::Etc::sourcelist={source}", "-o", "Dir::Etc::sourceparts=/dev/null",
               "-o", f"Dir::State::lists={private}/lists", "-o", f"Dir::Cache={private}",
               "-o", "APT::Sandbox::User=root", "-o", "APT::Update::Error-Mode=any"]
    try:
        for command in (["update"], ["download", "wireguard-go"]):
            done = subprocess.run(["apt-get", *options, *command], cwd=folder, capture_output=True, text=True,
                                  timeout=120)
            if done.returncode:
                complaints = re.findall(r"^E: .*", done.stderr, re.M) or ["failed"]
                return f"apt-get {command[0]}: {complaints[0]}"
    except (OSError, subprocess.TimeoutExpired) as e:
        return f"apt-get: {e}"
    finally:
        shutil.rmtree(private, ignore_errors=True)
    return None


def wireguard_go(folder):
    """Returns (path of the program, None), or (None, why it is not available)."""
    binary = os.path.join(folder, "usr/bin/wireguard-go")
    if os.path.exists(binary):
        return binary, None
    if not shutil.which("apt-get") or not shutil.which("wg"):
        return None, "this takes apt-get, and wg of wireguard-tools"
    os.makedirs(folder, exist_ok=True)
    sources, release = system_entries()
    why = f"no package source for the release {release!r} is configured"
    for ending, entry in sources:
        why = download(folder, ending, entry)
        if why is None:
            break
    for package in glob.glob(os.path.join(folder, "wireguard-go_*.deb")):
        subprocess.run(["dpkg", "-x", package, folder], check=True)
        os.unlink(package)
    return (binary, None) if os.path.exists(binary) else (None, why or "the package holds no wireguard-go")
