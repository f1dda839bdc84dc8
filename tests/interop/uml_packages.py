"""The Debian packages that the machine of uml.py needs beyond this system's, in a folder of their own.

They are unpacked and not installed: libreswan cannot be installed beside strongSwan, and neither it nor OpenIKED shall
be started on this system. apt-get says which packages an installation would add. The folder is
MENDIP_DEBIAN_CACHE/machine (/var/cache/mendip-tests/machine), about 140 MB; it is made again when apt-get names others.
SPDX-License-Identifier: ISC
"""
import fcntl
import functools
import glob
import os
import re
import shutil
import subprocess
import tempfile

CACHE = os.environ.get("MENDIP_DEBIAN_CACHE", "/var/cache/mendip-tests")
FOLDER = os.path.join(CACHE, "machine")
NAMES = ("user-mode-linux", "kmod", "libreswan", "openiked")
STAMP = "packages"      # the file in the folder that lists them
KERNEL = "usr/bin/linux.uml"
MERGED = ("bin", "sbin", "lib", "lib64")    # are links to folders of /usr, so that the folder can lie over the root
TIMEOUT = 300


class CannotBeHad(Exception):
    """The packages cannot be downloaded; the text says why."""


def _run(*argv, **more):
    return subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT, **more)


def _wanted():
    """Returns what an installation would add to this system, as ["name=version", ...]."""
    def ask():
        return _run("apt-get", "--simulate", "install", "--no-install-recommends", *NAMES)
    done = ask()
    if done.returncode:
        _run("apt-get", "--quiet", "update")
        done = ask()
    if done.returncode:
        raise CannotBeHad(f"apt-get does not know {' '.join(NAMES)}: {done.stderr.strip()[-200:]}")
    # "Inst iptables (1.8.9-2 Debian:12 [amd64])", with the installed version in brackets after the name when there is one
    return [f"{name}={version}" for name, version in re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+)", done.stdout, re.M)]


def _unpack(wanted, place):
    """Downloads packages and unpacks them into `place`/root."""
    archives, root = os.path.join(place, "archives"), os.path.join(place, "root")
    for name in MERGED:
        os.makedirs(os.path.join(root, "usr", name))
        os.symlink(os.path.join("usr", name), os.path.join(root, name))
    os.mkdir(archives)
    done = _run("apt-get", "--quiet", "download", *wanted, cwd=archives)
    if done.returncode:
        raise CannotBeHad(f"apt-get download: {done.stderr.strip()[-200:]}")
    for archive in glob.glob(os.path.join(archives, "*.deb")):
        subprocess.run(["sh", "-c", 'dpkg-deb --fsys-tarfile "$0" | tar -x --keep-directory-symlink '
                        '--exclude="./usr/share/doc" --exclude="./usr/share/man" -C "$1"', archive, root],
                       check=True, timeout=TIMEOUT)
    with open(os.path.join(root, STAMP), "w", encoding="ascii") as file:
        file.write("\n".join(wanted))
    return root


@functools.cache
def folder():
    """Makes the folder, unless it exists and is up to date; returns its path. Raises CannotBeHad."""
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "machine.lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = _wanted()
        stamp = os.path.join(FOLDER, STAMP)
        if os.path.exists(stamp) and open(stamp, encoding="ascii").read() == "\n".join(wanted):
            return FOLDER
        with tempfile.TemporaryDirectory(prefix="machine.half.", dir=CACHE) as half:
            root = _unpack(wanted, half)
            shutil.rmtree(FOLDER, ignore_errors=True)
            os.rename(root, FOLDER)
    return FOLDER


def kernel(packages):
    """Returns the path of the kernel's program: in the folder, or installed."""
    unpacked = os.path.join(packages, KERNEL)
    return unpacked if os.path.exists(unpacked) else os.path.join("/", KERNEL)


def missing():
    """Makes the folder; returns why that is not possible, or None."""
    try:
        folder()
    except (CannotBeHad, OSError, subprocess.SubprocessError) as error:
        return f"the packages {' '.join(NAMES)} cannot be had: {error}"
    return None
