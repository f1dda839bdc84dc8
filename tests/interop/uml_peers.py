"""The gateways that run in the machine of uml.py: strongSwan with the kernel's ESP, libreswan, OpenIKED.

    with testbed.Testbed("kernel") as bed:
        left, machine, lan = uml.between(bed)
        gateway = uml_peers.KernelCharon(bed, machine, strongswan.connection(...), psk="secret").start()
SPDX-License-Identifier: ISC
"""
import json
import os

import strongswan
import testbed
import uml

VICI_PORT = 7001
XFRM_STATE = os.path.join(uml.HERE, "xfrm_state.py")


def xfrm(machine, *words):
    """Runs xfrm_state.py in the machine; returns its output."""
    return machine.run("/usr/bin/python3", XFRM_STATE, *words).stdout


def states(machine):
    """Returns the kernel's SAs, as [{"spi": "c0ffee00", "source": ..., "number": ..., ...}]."""
    return json.loads(xfrm(machine, "list"))


def outbound(machine):
    """Returns the newest SA by which the machine sends. A kernel lists the newest first."""
    return [s for s in states(machine) if s["source"] in (machine.outer, machine.outer6)][0]


def dropped(machine):
    """Returns why the kernel's IPsec has dropped packets so far, as {reason: number}."""
    rows = (line.split() for line in machine.run("cat", "/proc/net/xfrm_stat").stdout.splitlines())
    return {reason: int(count) for reason, count in rows}


class KernelCharon(strongswan.Charon):
    """strongSwan with the kernel's ESP (kernel-netlink), in the machine; its files are the machine's."""

    PLUGINS = strongswan.PLUGINS.replace("kernel-libipsec ", "")
    READY_TIMEOUT = 60

    def __init__(self, bed, machine, connections, psk, **more):
        super().__init__(bed, machine, connections, psk, **more)
        self.directory = "/run/charon"
        self.log = f"{self.directory}/charon.log"

    def _launch(self):
        self.ns.write(f"{self.directory}/strongswan.conf", self._strongswan_conf())
        self.ns.write(self.log, "")
        return self.ns.popen(strongswan.CHARON, log=f"{self.directory}/output",
                             env={"STRONGSWAN_CONF": f"{self.directory}/strongswan.conf"})

    def _dial(self):
        return self.ns.connect(VICI_PORT)

    def _read(self, path):
        return self.ns.read(path)

    def _vici_address(self):
        return f"tcp://0.0.0.0:{VICI_PORT}"

    @staticmethod
    def _kernel_conf():
        return ""


class Daemon:
    """Another IKE daemon in the machine, with one connection to a branch; it ends with stop().

    local_ts is the net behind the machine, 10.2.0.0/16; the branch has 10.1.0.0/16. Its files are below /etc and /run.
    """

    LOG = None

    def __init__(self, machine, peer, psk):
        self.machine, self.peer, self.psk, self.process = machine, peer, psk, None

    def stop(self):
        if self.process:
            self.process.stop()

    def log(self):
        return self.machine.read(self.LOG)

    def wait_log(self, text, timeout=30):
        """Waits until a text is in the log."""
        if not testbed.wait_until(lambda: text in self.log() or self.process.poll() is not None, timeout) or \
                self.process.poll() is not None:
            raise testbed.TestbedError(f"{type(self).__name__}: no \"{text}\":\n{self.log()[-2000:]}")


class Libreswan(Daemon):
    """libreswan, with its own proposals: AES-GCM and AES-CBC with SHA-2, ESN or not, PFS with the IKE SA's group."""

    LOG = "/run/pluto/log"
    LIBEXEC = "/usr/libexec/ipsec"

    def start(self):
        m = self.machine
        m.write("/etc/ipsec.conf", f"""config setup
	logfile={self.LOG}
conn net
	authby=secret
	left={m.outer}
	leftid=@gw.example.net
	leftsubnet=10.2.0.0/16
	right={self.peer}
	rightid=@branch.example
	rightsubnet=10.1.0.0/16
	auto=add
""")
        m.write("/etc/ipsec.secrets", f'@gw.example.net @branch.example : PSK "{self.psk}"\n')
        m.write(self.LOG, "")
        m.run("ipsec", "initnss", check=False)      # fails when there is a database
        self.process = m.popen(f"{self.LIBEXEC}/pluto", "--nofork", "--config", "/etc/ipsec.conf", log="/run/pluto/output")
        self.wait_log("loading secrets from")
        m.run("ipsec", "auto", "--add", "net")
        return self

    def whack(self, *words):
        """Gives pluto a command for the connection; returns at once."""
        self.machine.run("ipsec", "whack", "--asynchronous", "--name", "net", *words)

    def initiate(self):
        self.whack("--initiate")

    def rekey_child(self):
        self.whack("--rekey-ipsec")

    def rekey_ike(self):
        self.whack("--rekey-ike")


class Iked(Daemon):
    """OpenIKED, with its own proposals. It uses PF_KEY: AES-CBC with SHA-1, SHA-384 or SHA-512, without ESN and PFS.

    It has no command to rekey: it does so when `lifetime` seconds of an SA are over, or a little earlier.
    """

    LOG = "/run/iked.log"
    PREPARE = """grep -q ^_iked: /etc/passwd || {
	echo "_iked:x:900:900::/run/iked:/usr/sbin/nologin" >>/etc/passwd
	echo "_iked:x:900:" >>/etc/group
	openssl genpkey -quiet -algorithm rsa -out /etc/iked/private/local.key
	openssl rsa -in /etc/iked/private/local.key -pubout -out /etc/iked/local.pub
}
mkdir -p /run/iked
modprobe af_key"""

    def start(self, active=False, ike_lifetime=36000, lifetime=36000):
        m = self.machine
        m.run("sh", "-ec", self.PREPARE)
        m.write("/etc/iked.conf", f"""ikev2 "net" {"active" if active else "passive"} esp from 10.2.0.0/16 to 10.1.0.0/16 \\
	local {m.outer} peer {self.peer} srcid gw.example.net dstid branch.example \\
	ikelifetime {ike_lifetime} lifetime {lifetime} psk "{self.psk}"
""")
        m.write(self.LOG, "")
        self.process = m.popen("/usr/sbin/iked", "-d", "-vv", "-f", "/etc/iked.conf", log=self.LOG)
        self.wait_log("config_getstatic: nattport")     # before that it answers, and then forgets what it answered
        return self
