"""Runs Debian's strongSwan (charon-systemd, user-space ESP by kernel-libipsec) in a testbed namespace.

    with testbed.Testbed("interop") as bed:
        left, right = bed.pair()
        gateway = strongswan.Charon(bed, right, strongswan.connection(
            local_addrs="192.0.2.2", remote_addrs="192.0.2.1",
            local_id="gw.example", remote_id="branch.example",
            local_ts="10.2.0.0/16", remote_ts="10.1.0.0/16",
            esp_proposals="aes128gcm16"), psk="secret")
        gateway.start()
        gateway.initiate("net")
        gateway.wait_child("net")
        gateway.sas()[0].children[0].spi_out

This module configures the daemon over vici, which it implements, and does not use swanctl
with its folder, pid file and AppArmor profile.  Each daemon has its own socket, files and
log in the testbed's directory.  Debian packages: see PACKAGES.

Properties of strongSwan 5.9.8 with kernel-libipsec that matter to tests: it has no ESN (a
child with ESN fails, the IKE SA stays).  The replay window is always 128.  ESP is always in
UDP: kernel-libipsec forges the NAT detection hash, so that both sides change to port 4500.
There is only tunnel mode.  start_action "trap" has no effect, as libipsec drops a packet
without an SA and acquires none.  A packet with an unknown SPI is dropped without an answer.
After a rekey the old child stays in state DELETED for 5 s.
"""

import os
import re
import shutil
import socket
import struct
from dataclasses import dataclass

import testbed

CHARON = "/usr/sbin/charon-systemd"
# The folder that "scripts/other-debian trixie make" prints: a Debian 13 with strongSwan 6.0.
ROOT = os.environ.get("MENDIP_STRONGSWAN_ROOT", "")
PACKAGES = ("charon-systemd", "libcharon-extauth-plugins", "libcharon-extra-plugins",
            "libstrongswan-extra-plugins", "libstrongswan-standard-plugins")
PLUGINS = ("openssl random nonce kdf pem pkcs1 x509 pubkey curve25519 chapoly "
           "kernel-libipsec kernel-netlink socket-default vici updown")
FWMARK = "0x42"                 # mark of charon's own packets, which its routing table must not catch


def missing():
    """Returns why strongSwan cannot run here, or None."""
    if ROOT and not os.path.exists(ROOT + CHARON):
        return f"no strongSwan in {ROOT}: run \"scripts/other-debian trixie make\" as root"
    if not os.path.exists(CHARON):
        return "charon-systemd is not installed: apt-get install " + " ".join(PACKAGES)
    if not os.path.exists("/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so"):
        return "kernel-libipsec is not installed: apt-get install libcharon-extra-plugins"
    if not os.path.exists("/dev/net/tun"):
        return "/dev/net/tun is missing"
    return None


def _list(value):
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else list(value)


def child(local_ts, remote_ts, esp_proposals="aes128gcm16", rekey_time="1h",
          start_action="none", **more):
    """Returns a child section.  **more: other options of swanctl.conf's children.<child>."""
    return {"mode": "tunnel", "local_ts": _list(local_ts), "remote_ts": _list(remote_ts),
            "esp_proposals": _list(esp_proposals), "rekey_time": rekey_time,
            "start_action": start_action, **more}


def connection(local_addrs, remote_addrs, local_id, remote_id,
               local_ts=None, remote_ts=None, esp_proposals="aes128gcm16", child_rekey_time="1h",
               start_action="none", children=None,
               proposals="aes128-sha256-x25519", rekey_time="4h", dpd_delay="0s", **more):
    """Returns a connection with PSK on both sides, as a dict with the options of swanctl.conf.

    It has one child "net" with local_ts and remote_ts, or `children`: {name: child(...)}.
    remote_addrs="%any" accepts any peer address.  Several proposals: a list or "a,b".
    **more: other options of swanctl.conf's connections.<conn>, such as reauth_time, encap,
    mobike, fragmentation, unique, keyingtries.
    """
    if children is None:
        children = {"net": child(local_ts, remote_ts, esp_proposals, child_rekey_time, start_action)}
    return {"version": "2", "local_addrs": _list(local_addrs), "remote_addrs": _list(remote_addrs),
            "local": {"auth": "psk", "id": local_id}, "remote": {"auth": "psk", "id": remote_id},
            "proposals": _list(proposals), "rekey_time": rekey_time, "dpd_delay": dpd_delay,
            "mobike": "no", **more, "children": children}


# -- vici (src/libcharon/plugins/vici/README.md of strongSwan) ----------------


class ViciError(Exception):
    """A vici command failed; the text has charon's errmsg."""


class Vici:
    """One vici session over a connected socket.  Values are str; sections are dicts; lists are lists."""

    _REQUEST, _RESPONSE, _REGISTER, _UNREGISTER, _CONFIRM, _EVENT = 0, 1, 3, 4, 5, 7

    def __init__(self, connected, timeout=60):
        self._socket = connected
        self._socket.settimeout(timeout)

    def close(self):
        self._socket.close()

    def request(self, command, message=None):
        """Send a command, return its response; raises ViciError on success=no."""
        return self.stream(command, None, message)[1]

    def stream(self, command, event, message=None):
        """Send a command that answers in events; returns ([event messages], response)."""
        if event:
            self._send(self._REGISTER, event)
            self._expect(self._CONFIRM)
        self._send(self._REQUEST, command, self._encode(message or {}))
        events = []
        while (packet := self._receive())[0] == self._EVENT:
            events.append(self._decode(packet[2 + packet[1]:]))
        if packet[0] != self._RESPONSE:
            raise ViciError(f"{command}: vici packet type {packet[0]}")
        if event:
            self._send(self._UNREGISTER, event)
            self._expect(self._CONFIRM)
        response = self._decode(packet[1:])
        if response.get("success", "yes") != "yes":
            raise ViciError(f"{command}: {response.get('errmsg', 'failed')}")
        return events, response

    def _expect(self, kind):
        while (packet := self._receive())[0] == self._EVENT:
            pass
        if packet[0] != kind:
            raise ViciError(f"vici packet type {packet[0]}, not {kind}")

    def _send(self, kind, name, payload=b""):
        packet = bytes([kind, len(name)]) + name.encode() + payload
        self._socket.sendall(struct.pack("!I", len(packet)) + packet)

    def _receive(self):
        return self._exactly(struct.unpack("!I", self._exactly(4))[0])

    def _exactly(self, length):
        data = b""
        while len(data) < length:
            part = self._socket.recv(length - len(data))
            if not part:
                raise ViciError("charon closed the vici session")
            data += part
        return data

    @classmethod
    def _encode(cls, section):
        out = b""
        for key, value in section.items():
            name = bytes([len(key)]) + key.encode()
            if isinstance(value, dict):
                out += b"\x01" + name + cls._encode(value) + b"\x02"
            elif isinstance(value, (list, tuple)):
                items = b"".join(b"\x05" + cls._value(item) for item in value)
                out += b"\x04" + name + items + b"\x06"
            else:
                out += b"\x03" + name + cls._value(value)
        return out

    @staticmethod
    def _value(value):
        if not isinstance(value, bytes):
            value = str(value).encode()
        return struct.pack("!H", len(value)) + value

    @staticmethod
    def _decode(data):
        at, stack, items = 0, [{}], None

        def counted(width):
            nonlocal at
            length = int.from_bytes(data[at:at + width], "big")
            at += width + length
            return data[at - length:at].decode(errors="replace")

        while at < len(data):
            kind, at = data[at], at + 1
            if kind == 1:
                stack.append(stack[-1].setdefault(counted(1), {}))
            elif kind == 2:
                stack.pop()
            elif kind == 3:
                key = counted(1)
                stack[-1][key] = counted(2)
            elif kind == 4:
                items = stack[-1].setdefault(counted(1), [])
            elif kind == 5:
                items.append(counted(2))
        return stack[0]


# -- the state of the daemon --------------------------------------------------


@dataclass(frozen=True)
class ChildSa:
    """A CHILD SA from list-sas; raw has all fields."""

    name: str
    id: int
    state: str                  # INSTALLED, REKEYING, REKEYED, ...
    spi_in: int
    spi_out: int
    packets_in: int             # libipsec's counters
    packets_out: int
    encryption: str             # "AES_GCM_16-128", "AES_CBC-256/HMAC_SHA2_256_128", ...
    group: str                  # key exchange group (PFS), or ""
    local_ts: list
    remote_ts: list
    raw: dict


@dataclass(frozen=True)
class IkeSa:
    """An IKE SA from list-sas; raw has all fields."""

    name: str
    id: int
    state: str                  # ESTABLISHED, CONNECTING, REKEYING, ...
    initiator: bool
    spi_i: int
    spi_r: int
    children: list
    raw: dict

    @property
    def spis(self):
        return self.spi_i, self.spi_r


def _algorithm(raw):
    name = raw.get("encr-alg", "")
    if "encr-keysize" in raw:
        name += "-" + raw["encr-keysize"]
    return name + ("/" + raw["integ-alg"] if "integ-alg" in raw else "")


def _child_sa(raw):
    return ChildSa(raw["name"], int(raw["uniqueid"]), raw["state"],
                   int(raw.get("spi-in", "0"), 16), int(raw.get("spi-out", "0"), 16),
                   int(raw.get("packets-in", 0)), int(raw.get("packets-out", 0)),
                   _algorithm(raw), raw.get("dh-group", ""),
                   raw.get("local-ts", []), raw.get("remote-ts", []), raw)


def _ike_sa(name, raw):
    return IkeSa(name, int(raw["uniqueid"]), raw["state"], raw.get("initiator") == "yes",
                 int(raw["initiator-spi"], 16), int(raw["responder-spi"], 16),
                 [_child_sa(c) for c in raw.get("child-sas", {}).values()], raw)


# -- the daemon ---------------------------------------------------------------


class Charon:
    """A charon-systemd in one namespace; it ends with the testbed.

    connections  a dict of connection(), or {name: connection()} for several
    psk          the pre-shared key of each connection (str or bytes)
    retransmit   (tries, timeout in s, base); strongSwan's defaults are (5, 4.0, 1.8)
    cookie_threshold, cookie_threshold_ip
                 number of half-open IKE SAs (in all, per address) from which on charon
                 demands cookies (defaults: 30 and 3); 0: never
    block_threshold
                 number of half-open IKE SAs per address from which on charon ignores
                 requests (default: 5; charon raises it above cookie_threshold_ip; 0 acts as
                 1, so use a large number for "never")
    settings     more lines for the charon-systemd section of strongswan.conf
    plugins      names of plugins in addition to PLUGINS, such as "ha"
    log_level    1; from 2 on, packets that libipsec drops are logged, too
    log_keys     whether the keys of SAs are logged, for esp_keys() and ike_keys()
    ppks         post-quantum keys (RFC 8784): {identity: secret}
    eaps         passwords of EAP: {identity: password}
    keys         private keys in PEM
    certs        certificates in PEM, each as (flag, text); flag: "CA" or "NONE"
    """

    PLUGINS = PLUGINS
    READY_TIMEOUT = 15      # seconds

    def __init__(self, bed, ns, connections, psk, name="charon", retransmit=(5, 4.0, 1.8),
                 cookie_threshold=None, cookie_threshold_ip=None, block_threshold=None,
                 settings="", plugins="", log_level=1, log_keys=False, keys=(), certs=(),
                 ppks=None, eaps=None):
        self.bed, self.ns, self.name, self.psk = bed, ns, name, psk
        self.connections = {"gw": connections} if "children" in connections else connections
        self.keys, self.certs = keys, certs
        self.directory = bed.path(f"{name}-{ns.short}")
        self.log = os.path.join(self.directory, "charon.log")
        self.socket = os.path.join(self.directory, "vici")
        self.process = None
        self._vici = None
        self._limits = {"cookie_threshold": cookie_threshold,
                        "cookie_threshold_ip": cookie_threshold_ip,
                        "block_threshold": block_threshold}
        self._retransmit, self._settings, self._log_level = retransmit, settings, log_level
        self._log_keys, self.plugins = log_keys, f"{self.PLUGINS} {plugins}".strip()
        self.ppks, self.eaps = ppks or {}, eaps or {}

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        """Start charon, wait until it answers, load secrets and connections; returns self."""
        self.process = self._launch()
        self._vici = testbed.wait_until(self._connect, self.READY_TIMEOUT)
        if not self._vici:
            raise testbed.TestbedError(f"charon in {self.ns.name} does not answer:\n{self.tail()}")
        self.load_all()
        return self

    def stop(self):
        """End charon with SIGTERM, upon which it deletes its SAs at the peer; returns the exit status."""
        self._disconnect()
        return self.process.stop()

    def kill(self):
        """End charon with SIGKILL, so that it sends no deletions.  start() may follow."""
        self._disconnect()
        self.process.kill()
        self.process.wait()

    def load_all(self):
        """(Re)load secrets and connections; start_action acts as with swanctl --load-all."""
        for key in self.keys:
            self._vici.request("load-key", {"type": "any", "data": key})
        for flag, text in self.certs:
            self._vici.request("load-cert", {"type": "X509", "flag": flag, "data": text})
        for number, conn in enumerate(self.connections.values()):
            if "psk" not in (conn["local"]["auth"], conn["remote"]["auth"]):
                continue
            owners = [conn["local"]["id"], conn["remote"]["id"]]
            self._vici.request("load-shared", {"id": f"ike{number}", "type": "IKE",
                                               "data": self.psk,
                                               "owners": [o for o in owners if "%any" not in o]})
        for name, secret in self.ppks.items():
            self._vici.request("load-shared", {"id": f"ppk-{name}", "type": "PPK", "data": secret, "owners": [name]})
        for name, password in self.eaps.items():
            self._vici.request("load-shared", {"id": f"eap-{name}", "type": "EAP", "data": password, "owners": [name]})
        for name, conn in self.connections.items():
            self._vici.request("load-conn", {name: conn})

    def version(self):
        """Its version, as (6, 0, 1)."""
        return tuple(int(n) for n in re.findall(r"\d+", self._vici.request("version")["version"])[:3])

    # -- commands (as swanctl --initiate, --terminate, --rekey) --------------

    def initiate(self, child=None, ike=None, timeout=10):
        """Establish a child (child=None: only the IKE SA); raises ViciError when that fails."""
        return self._vici.stream("initiate", "control-log",
                                 self._which(child=child, ike=ike, timeout=int(timeout * 1000)))

    def terminate(self, child=None, ike=None, timeout=10, **ids):
        """Delete SAs by name, child_id or ike_id.  timeout=0: do not wait for the response."""
        wait = int(timeout * 1000) or -1
        return self._vici.stream("terminate", "control-log",
                                 self._which(child=child, ike=ike, timeout=wait, **ids))

    def rekey(self, child=None, ike=None, **ids):
        """Start rekeying a child or an IKE SA by name or id; returns the number of matches.

        It does not wait for the end; wait_rekeyed() does.  A child's name also matches rekeyed
        CHILD SAs, which stay for 5 s in state DELETED; child_id does not.  charon skips an IKE
        SA that one of its threads uses at that time, so that without a match the command is
        repeated for a second.
        """
        message = self._which(child=child, ike=ike, **ids)
        return testbed.wait_until(
            lambda: int(self._vici.request("rekey", message)["matches"]), 1)

    def request(self, command, **message):
        """Run another vici command, such as "stats" or "list-conns"; returns its response."""
        return self._vici.request(command, message)

    # -- state ---------------------------------------------------------------

    def sas(self):
        """Return all IKE SAs with their children, as [IkeSa]."""
        events, _ = self._vici.stream("list-sas", "list-sa")
        return [_ike_sa(name, raw) for event in events for name, raw in event.items()]

    def children(self, name=None, state="INSTALLED"):
        """Return the CHILD SAs of all IKE SAs with this name and state (None: any)."""
        return [c for sa in self.sas() for c in sa.children
                if name in (None, c.name) and state in (None, c.state)]

    def wait_child(self, name="net", timeout=15):
        """Wait until one CHILD SA of that name is installed, and no other exists; returns it."""
        return self._wait(lambda: self._single(self.children(name, None)),
                          timeout, f"no single child {name}")

    def wait_rekeyed(self, old, timeout=15):
        """Wait until `old` (ChildSa or IkeSa) is replaced and deleted; returns its successor."""
        if isinstance(old, ChildSa):
            def successor():
                new = self._single(self.children(old.name, None))
                return new if new and new.spi_in != old.spi_in else None
        else:
            def successor():
                new = self._single([s for s in self.sas() if s.name == old.name], "ESTABLISHED")
                return new if new and new.spis != old.spis else None
        return self._wait(successor, timeout, f"{old.name} was not rekeyed")

    def wait_gone(self, timeout=15):
        """Wait until charon has no IKE SA."""
        self._wait(lambda: not self.sas(), timeout, "IKE SAs remain")

    def tail(self, lines=40):
        """Return the last lines of charon's output and of its log."""
        text = ""
        for name in ("output", "charon.log"):
            text += "".join(self._read(os.path.join(self.directory, name)).splitlines(True)[-lines:])
        return text

    def logged(self, text):
        """Return how often a text is in the log."""
        return self._read(self.log).count(text)

    def esp_keys(self):
        """Return the newest CHILD SA's keys: {"encryption initiator key": bytes, "integrity responder key": ...}; needs
        log_keys."""
        return self._keys("CHD", r"\w+ \w+ key")

    def ike_keys(self):
        """Return the newest IKE SA's keys: {"Sk_ei": bytes, ...}; needs log_keys."""
        return {name.split()[0]: key for name, key in self._keys("IKE", r"Sk_\w+ secret").items()}

    # -- inside ----------------------------------------------------------------

    def _keys(self, group, names):
        keys, name = {}, None
        with open(self.log, encoding="utf-8", errors="replace") as file:
            for line in file:
                if begin := re.search(rf"\[{group}\] ({names}) => (\d+) bytes", line):
                    name = begin[1]
                    keys[name] = b""
                elif name and (row := re.search(rf"\[{group}\] +\d+: ((?:[0-9A-F]{{2}} )+)", line)):
                    keys[name] += bytes.fromhex(row[1])
                else:
                    name = None
        return keys

    def _wait(self, condition, timeout, complaint):
        value = testbed.wait_until(condition, timeout)
        if not value:
            raise testbed.TestbedError(f"charon in {self.ns.name}: {complaint}:\n{self.tail()}")
        return value

    @staticmethod
    def _single(sas, state="INSTALLED"):
        """Return the only SA if it is in that state, else None; DELETED ones, which stay for 5 s, do not count."""
        sas = [sa for sa in sas if sa.state != "DELETED"]
        return sas[0] if len(sas) == 1 and sas[0].state == state else None

    @staticmethod
    def _which(**options):
        return {key.replace("_", "-"): value for key, value in options.items()
                if value is not None}

    def _connect(self):
        if self.process.poll() is not None:
            raise testbed.TestbedError(f"charon ended: {self.process.returncode}\n{self.tail()}")
        try:
            vici = Vici(self._dial())
        except OSError:
            return None
        vici.request("version")
        return vici

    def _disconnect(self):
        if self._vici:
            self._vici.close()
            self._vici = None

    # uml_peers.py replaces those that follow: there, charon is in another machine and uses its kernel's ESP.

    def _launch(self):
        """Start charon with its configuration; returns the process."""
        os.makedirs(self.directory, exist_ok=True)
        if os.path.exists(self.socket):
            os.unlink(self.socket)              # left by kill()
        conf = os.path.join(self.directory, "strongswan.conf")
        with open(conf, "w", encoding="ascii") as file:
            file.write(self._strongswan_conf())
        return self.ns.popen(*self._command(), log=os.path.join(self.directory, "output"),
                             env={**os.environ, "STRONGSWAN_CONF": conf})

    def _dial(self):
        """Return a socket connected to charon's vici; raises OSError."""
        made = socket.socket(socket.AF_UNIX)
        try:
            made.connect(self.socket)
        except OSError:
            made.close()
            raise
        return made

    @staticmethod
    def _read(path):
        """Return the text of a file of charon's, or "" when it does not exist."""
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def _command(self):
        """Return the command that runs Debian's charon, or the one in ROOT by chroot.

        The latter has the testbed's folder mounted at the same path, in a mount namespace of its own, so that no mount
        remains. unshare and chroot exec charon, so that the PID of the process is charon's.
        """
        if not ROOT:
            return [self._binary()]
        inside = ROOT + self.directory
        mount = (f"mkdir -p {inside} && mount --bind {self.directory} {inside} && mount --rbind /dev {ROOT}/dev && "
                 f"mount -t proc proc {ROOT}/proc && exec chroot {ROOT} {CHARON}")
        return ["unshare", "--mount", "sh", "-c", mount]

    def _binary(self):
        """Return the path of Debian's binary, or with AppArmor of a copy, to which no profile applies."""
        try:
            with open("/sys/module/apparmor/parameters/enabled", encoding="ascii") as file:
                confined = file.read(1) == "Y"
        except OSError:
            confined = False
        if not confined:
            return CHARON
        return shutil.copy(CHARON, os.path.join(self.directory, "charon-systemd"))

    def _vici_address(self):
        return f"unix://{self.socket}"

    @staticmethod
    def _kernel_conf():
        """Return the settings of the plugins that carry ESP."""
        return f"""        kernel-libipsec {{
            load = yes
            allow_peer_ts = yes
        }}
        kernel-netlink {{ fwmark = !{FWMARK} }}
        socket-default {{ fwmark = {FWMARK} }}"""

    def _strongswan_conf(self):
        tries, timeout, base = self._retransmit
        limits = "".join(f"    {key} = {value}\n" for key, value in self._limits.items()
                         if value is not None)
        level = self._log_level
        keys = "            chd = 4\n            ike = 4\n" if self._log_keys else ""
        return f"""charon-systemd {{
    load = {self.plugins}
    install_virtual_ip = no
    retransmit_tries = {tries}
    retransmit_timeout = {timeout}
    retransmit_base = {base}
{limits}    plugins {{
        vici {{ socket = {self._vici_address()} }}
{self._kernel_conf()}
    }}
    journal {{ default = -1 }}
    filelog {{
        test {{
            path = {self.log}
            time_format = %H:%M:%S
            time_add_ms = yes
            flush_line = yes
            default = {level}
{keys}        }}
    }}
{self._settings}
}}
"""
