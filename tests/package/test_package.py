#!/usr/bin/python3
# The Debian package: built twice, looked at, installed. SPDX-License-Identifier: ISC
"""
With MENDIP_PACKAGE=build it builds only once, and installs nothing: scripts/other-debian does that from outside its folder.
"""
import glob
import hashlib
import os
import re
import subprocess
import sys
import tempfile

import image

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("MENDIP_BUILD", os.path.join(SOURCE, "build/test"))
FOLDER = os.path.join(BUILD, "package")
CANNOT = 77  # exit status of scripts/other-debian: the release is not available
# The other build differs in all that must not matter: the path, the time zone, the language, the mask of new files.
OTHER = {"TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8", "HOME": "/nowhere"}
OTHER_MASK = 0o027
BESIDE = ("nice", "-n", "15")  # builds take both processors; other tests run at the same time
DOCUMENTS = ["README.md", "NEWS.md", *glob.glob(os.path.join(SOURCE, "doc/*.md"))]
CONTENTS = ("etc/apparmor.d/usr.sbin.mendipd", "usr/bin/mendipctl", "usr/sbin/mendipd", "lib/systemd/system/mendipd.service",
            "lib/systemd/system/mendipd-metrics.socket", "usr/lib/sysusers.d/mendip.conf", "usr/lib/tmpfiles.d/mendip.conf",
            "usr/share/man/man8/mendipd.8.gz", "usr/share/man/man8/mendipctl.8.gz", "usr/share/man/man5/mendip.conf.5.gz",
            "usr/share/mendip/control.schema.json",
            *(f"usr/share/doc/mendip/examples/{name}" for name in (
                "credentials.conf", "mendip.conf", "mendip.rules", "mendip-textfile.service", "mendip-textfile.timer",
                "mendip.rules.yml", "mendip-dashboard.json")),
            "usr/share/bash-completion/completions/mendipctl", "usr/share/zsh/vendor-completions/_mendipctl",
            *(f"usr/share/fish/vendor_completions.d/{name}.fish" for name in ("mendipctl", "mendipd")),
            *(f"usr/share/doc/mendip/{os.path.basename(path)}" for path in DOCUMENTS))
# What lintian of one release alone says, so that an override would be wrong in the other one: a restart leaves the tunnels
# with systemd, which no other init does; and the version of the policy is that of Debian 12.
EXPECTED = r"^I: .*(package-supports-alternative-init-but-no-init.d-script|out-of-date-standards-version)"


class Untested(Exception):
    """This machine cannot do that; the text says why."""


def expect(condition, why):
    if not condition:
        raise AssertionError(why)


def run(*argv, **options):
    """Runs a command; returns its output."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **options)
    expect(done.returncode == 0, f"{' '.join(argv)}: exit status {done.returncode}:\n" + done.stdout[-3000:])
    return done.stdout


def environment(**more):
    """Without what this make tells its children."""
    kept = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MENDIP_VECTORS")}
    return dict(kept, DEB_BUILD_OPTIONS=f"nocheck parallel={os.cpu_count()}", **more)


def read(path):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as f:
        return f.read()


def the(pattern, folder=FOLDER):
    found = glob.glob(os.path.join(folder, pattern))
    expect(len(found) == 1, f"{pattern}: {found}")
    return found[0]


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def names_one_version():
    version = re.search(r"^AC_INIT\(\[mendip\], \[([^]]+)\]", read("configure.ac"), re.M)[1]
    expect(read("debian/changelog").startswith(f"mendip ({version}) "), f"debian/changelog is not that of {version}")
    expect(f"\n## {version}" in read("NEWS.md"), f"NEWS.md has no {version}")


def is_made_by_make_release():
    """Which makes it by `make package`, and adds the tarball and the sums."""
    run(*BESIDE, "make", "-s", "-C", BUILD, "release", env=environment())
    checked = run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=f"{BUILD}/release")
    expect(len(re.findall(r"^mendip[-_].*\.(?:deb|tar\.xz): OK$", checked, re.M)) == 3, checked)
    listed = {line.split()[-1].lstrip("./"): line.split() for line in run("dpkg-deb", "-c", the("mendip_*.deb")).splitlines()}
    names = {re.sub("^usr/(?=lib/systemd)", "", name) for name in listed}  # in Debian 13
    names |= {name.removesuffix(".gz") for name in names if name.startswith("usr/share/doc/")}  # of 4 KiB or more
    expect(not set(CONTENTS) - names, f"not in the package: {set(CONTENTS) - names}")
    expect(listed["etc/mendip/"][0] == "drwxr-x---", listed["etc/mendip/"])


def has_no_fault_injection():
    with tempfile.TemporaryDirectory() as folder:
        run("dpkg-deb", "-x", the("mendip_*.deb"), folder)
        with open(f"{folder}/usr/sbin/mendipd", "rb") as mine, open(f"{BUILD}/mendipd", "rb") as other:
            expect(b"two-senders" not in mine.read(), "the package is built with --enable-faults")
            expect(b"two-senders" in other.read(), "the build of the tests has no faults either: the search is wrong")


def is_lintian_clean():
    said = run("lintian", "--display-info", "--fail-on", "error,warning", the("mendip_*.changes"))
    tags = [line for line in said.splitlines() if re.match("[EWI]: ", line) and not re.search(EXPECTED, line)]
    expect(not tags, "\n".join(tags))


def is_the_same_from_another_folder():
    """Builds again, from the source package."""
    with tempfile.TemporaryDirectory(prefix="another-folder.") as folder:
        os.chmod(folder, 0o755)
        run("dpkg-source", "-x", the("mendip_*.dsc"), cwd=folder)
        run(*BESIDE, "dpkg-buildpackage", "-us", "-uc", cwd=the("mendip-*/", folder), env=environment(**OTHER), umask=OTHER_MASK)
        run("make", "-s", "tarball", cwd=the("mendip-*/", folder), env=environment(**OTHER), umask=OTHER_MASK)
        pairs = [(the(pattern), the(pattern, folder))
                 for pattern in ("mendip_*.deb", "mendip-dbgsym_*.deb", "mendip_*.dsc", "mendip_*.tar.xz")]
        pairs.append((the("release/*.tar.xz", BUILD), the("mendip-*/mendip-*.tar.xz", folder)))
        for path, other in pairs:
            expect(digest(path) == digest(other), f"{os.path.basename(path)} differs")


def has_an_apparmor_profile():
    run("apparmor_parser", "--skip-kernel-load", "--skip-cache", f"{SOURCE}/etc/usr.sbin.mendipd")


def in_a_clean_system(command):
    """Runs a command of scripts/other-debian with the package, in this release; returns its last line."""
    with open("/etc/os-release", encoding="utf-8") as f:
        release = re.search(r"^VERSION_CODENAME=(\w+)", f.read(), re.M)[1]
    done = subprocess.run([f"{SOURCE}/scripts/other-debian", release, command, the("mendip_*.deb")], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    last = done.stdout.strip().split("\n")[-1]
    if done.returncode == CANNOT:
        raise Untested(last)
    expect(done.returncode == 0, done.stdout)
    return last


def is_installed_in_a_clean_system():
    """As debian/tests/service and tests/boot/package check it."""
    in_a_clean_system("install")


def runs_in_a_container():
    """With /dev/net/tun and CAP_NET_ADMIN alone."""
    image.check(the("mendip_*.deb"), in_a_clean_system("clean"))


def passes_the_namespaces_tests():
    """Those of debian/tests/namespaces that take seconds, with the programs of the package."""
    with tempfile.TemporaryDirectory() as folder:
        run("dpkg-deb", "-x", the("mendip_*.deb"), folder)
        said = run(f"{SOURCE}/debian/tests/namespaces", "certs", "assigned", env=dict(os.environ, MENDIP_ROOT=folder))
        expect(re.search(r"^[1-9]\d* passed, 0 failed$", said, re.M), said)


CASES = [names_one_version, is_made_by_make_release, has_no_fault_injection, is_lintian_clean, has_an_apparmor_profile]
if os.environ.get("MENDIP_PACKAGE") != "build" or sys.argv[1:]:
    CASES += [is_the_same_from_another_folder, is_installed_in_a_clean_system, runs_in_a_container,
              passes_the_namespaces_tests]


def main():
    failed = False
    for case in [c for c in CASES if not sys.argv[1:] or c.__name__ in sys.argv[1:]]:
        name = f"the package {case.__name__.replace('_', ' ')}"
        try:
            if os.geteuid():
                print(f"ok {name} # SKIP needs root")
                continue
            case()
            print(f"ok {name}", flush=True)
        except Untested as e:
            print(f"ok {name} # UNTESTED {e}", flush=True)
        except Exception as e:  # the other cases run all the same
            print(f"not ok {name}: {type(e).__name__}: {e}", flush=True)
            failed = True
    sys.exit(77 if os.geteuid() else failed)


main()
