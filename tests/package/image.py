"""Makes the image of etc/Containerfile with podman, and runs a tunnel from a container of it. SPDX-License-Identifier: ISC"""
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "netns"))
from daemons import NET, NET_GW, Mendip, config, expect, ping, testbed, wait_for  # noqa: E402

# podman and crun fail where cgroups are of both versions; the folder of version 2 is taken away for them alone.
APART = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
         'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"', "sh"]
LEFT_OUT = ("./usr/share/locale/*", "./usr/share/man/*")
# Lower than this process's limits: podman's own may be higher, which not every root may set.
LIMITS = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]
# What README.md names: one device, one capability, and ports that are open to all.
NEEDED = ["--cap-drop=all", "--cap-add=NET_ADMIN", "--device=/dev/net/tun", "--sysctl=net.ipv4.ip_unprivileged_port_start=500"]


class Podman:
    """podman, with images and containers in a folder of its own."""

    def __init__(self, folder):
        self.argv = [*APART, "podman", f"--root={folder}/images", f"--runroot={folder}/run", "--cgroup-manager=cgroupfs",
                     "--events-backend=none"]

    def __call__(self, *args, **options):
        done = subprocess.run([*self.argv, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
        expect(done.returncode == 0, f"podman {args[0]}: {done.stdout[-3000:]}")
        return done.stdout

    def take(self, root):
        """Makes an image of a system's folder, in place of Debian's from a registry."""
        tar = subprocess.Popen(["tar", "-C", root, *(f"--exclude={path}" for path in LEFT_OUT), "-c", "."],
                               stdout=subprocess.PIPE)
        self("import", "-q", "-", "localhost/base", stdin=tar.stdout)
        tar.stdout.close()
        expect(tar.wait() == 0, "tar failed")


def packets_pass(podman, folder):
    """A container with the sample's place for the configuration, and a gateway without a container."""
    with testbed.Testbed("image") as bed:
        left, right = bed.pair("branch", "gw")
        Mendip(bed, right, lambda s: config(s, NET_GW, "%any", "gw.example.net", "*.example", "branch"))
        conf = os.path.join(folder, "mendip.conf")
        with open(os.open(conf, os.O_CREAT | os.O_WRONLY, 0o640), "w", encoding="ascii") as f:
            f.write(config("/run/mendip/control", NET, right.outer))
        log = bed.path("container.log")
        with open(log, "w", encoding="utf-8") as out:
            container = subprocess.Popen(
                [*podman.argv, "run", "--rm", "--pull=never", "--cgroups=disabled", f"--network=ns:/run/netns/{left.name}",
                 *NEEDED, *LIMITS, f"--volume={folder}:/etc/mendip:ro", "localhost/mendip"], stdout=out, stderr=out)
        try:
            def said():
                with open(log, encoding="utf-8") as f:
                    return f.read()
            wait_for(lambda: container.poll() is not None or ping(left, "10.2.0.1", 1, "10.1.0.1"), said, 20)
            expect(container.poll() is None, said())
            expect(ping(left, "10.2.0.1", 20, "10.1.0.1") == 20, "packets were lost")
        finally:
            container.terminate()
            container.wait(20)


def check(package, root):
    """package: a file; root: the folder of a Debian that has what it depends on."""
    with tempfile.TemporaryDirectory(prefix="mendip-image.") as folder:
        podman = Podman(folder)
        context, conf = (os.path.join(folder, name) for name in ("context", "conf"))
        os.mkdir(context)
        os.mkdir(conf)
        shutil.copy(package, context)
        try:
            podman.take(root)
            podman("build", "-q", "--pull-never", "--network=none", "--build-arg=BASE=localhost/base", *LIMITS,
                   "-t", "localhost/mendip", "-f", os.path.join(HERE, "../../etc/Containerfile"), context)
            packets_pass(podman, conf)
        finally:
            subprocess.run(["umount", "--quiet", "--lazy", f"{folder}/images/overlay"], check=False)
