"""One cell of the interop matrix: a tunnel between Mendip and unmodified strongSwan, taken through all that a tunnel does.

The rows are in matrix_rows.py; test_matrix.py runs and prints them. SPDX-License-Identifier: ISC
"""
import os
import sys
import time
from dataclasses import dataclass, field
from typing import Callable

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../netns"))
from daemons import PSK, Mendip, child, config, expect, more_traffic, ping, testbed, wait_for  # noqa: E402
import rewind  # noqa: E402
import strongswan  # noqa: E402

ROLES = ("Mendip", "strongSwan")  # who initiates
IKE, ESP = "aes128-sha256-x25519", "aes128gcm16"
BACK = 150  # packets by which strongSwan's numbers are set back
RATE = 500  # packets/s
PATIENCE = 30  # seconds for a stage, on a machine that does other things too
REKEY = 5  # seconds after which Mendip rekeys the IKE SA: there is no command for it
OUTER = {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8:1::1", "2001:db8:1::2")}
INNER = {4: ("10.1.0.1", "10.2.0.1"), 6: ("fd00:1::1", "fd00:2::1")}
NETS = {4: ("10.1.0.0/16", "10.2.0.0/16"), 6: ("fd00:1::/64", "fd00:2::/64")}


class Unavailable(Exception):
    """The programs of this machine are too old for a row; the text says which and why."""


@dataclass
class Row:
    """What is configured on both sides, and how it is shown that it was used."""

    name: str
    ike: str = IKE
    esp: str = ESP
    outer: int = 4                      # family of the addresses of the tunnel's ends
    inner: int = 4                      # family of what it carries
    nets: tuple | None = None           # Mendip's local_ts and remote_ts, if not those of the family
    mendip: str = ""                    # more options of the connection in mendip.conf
    pools: str = ""                     # the group pools in mendip.conf
    secrets: str = ""                   # more groups of secrets
    gateway: dict = field(default_factory=dict)     # more options of the connection in swanctl.conf
    charon: dict = field(default_factory=dict)      # more arguments of strongswan.Charon
    keys: Callable | None = None        # given the testbed, returns what authenticates both sides, as a Keys
    before: Callable | None = None      # called with the cell when strongSwan runs and Mendip does not yet
    used: Callable | None = None        # called with the cell when it is up; fails unless the row's subject is in use
    cannot: dict = field(default_factory=dict)      # {role: (reason, what Mendip's or strongSwan's log then has)}
    elsewhere: dict = field(default_factory=dict)   # {role: reason why the RFC has no such cell}
    six: bool = False                   # needs strongSwan 6


@dataclass
class Keys:
    """The groups local and remote of mendip.conf, and what strongSwan has for them."""

    us: str
    peer: str
    gateway: dict
    charon: dict


@dataclass
class Result:
    """What became of a cell: the stages that passed, and why it went no further."""

    row: str
    role: str
    passed: list = field(default_factory=list)
    note: str = ""                      # why there is no such tunnel, or what was measured
    ran: bool = True                    # False: there is no such cell, or the programs here are too old for it
    failure: str | None = None
    log: str = ""
    version: str = ""                   # of strongSwan
    seconds: float = 0.0


class Cell:
    """A branch (Mendip) and a gateway (strongSwan) in namespaces of their own; `role` initiates."""

    def __init__(self, bed, row, role):
        self.bed, self.row, self.role = bed, row, role
        self.charon = self.branch = None
        self.left, self.right = bed.pair("branch", "gw")
        for ns, i in ((self.left, 0), (self.right, 1)):
            if row.outer == 6:
                ns.ip("addr", "del", f"{OUTER[4][i]}/24", "dev", "eth0")
                ns.address("eth0", f"{OUTER[6][i]}/64")
            if row.inner == 6:
                ns.address("inner0", f"{INNER[6][i]}/64")
            ns.outer, ns.inner = OUTER[row.outer][i], INNER[row.inner][i]

    def start(self):
        """Starts both daemons; raises Unavailable when one of them is too old for this row."""
        row = self.row
        ours, theirs = row.nets or NETS[row.inner]
        keys = row.keys(self.bed) if row.keys else Keys("", "", {}, {})
        connection = strongswan.connection(**{
            "local_addrs": self.right.outer, "remote_addrs": self.left.outer, "local_id": "gw.example.net",
            "remote_id": "branch.example", "local_ts": theirs, "remote_ts": ours, "proposals": row.ike,
            "esp_proposals": row.esp, **row.gateway, **keys.gateway})
        self.charon = strongswan.Charon(self.bed, self.right, connection, PSK, **{**row.charon, **keys.charon})
        try:
            self.charon.start()
        except strongswan.ViciError as e:
            if row.six and self.charon.version() < (6, 0):
                raise Unavailable("needs strongSwan 6: make check-strongswan-6") from e
            raise
        if row.before:
            row.before(self)
        kid = {"net": child(ours, theirs, start_action="start" if self.role == "Mendip" else "none", esp_proposals=row.esp,
                            switchover='{ jitter = "0"; }')}
        more = f'rekey_time = "{REKEY}s"; over_time = "60s"; {row.mendip}'

        def conf(control):
            text = config(control, kid, self.right.outer, proposals=row.ike, more=more, us=keys.us, peer=keys.peer)
            return row.pools + text.replace("secrets: {", f"secrets: {{ {row.secrets}")

        self.branch = Mendip(self.bed, self.left, conf)

    def status(self):
        return self.branch.ctl("status")["connections"][0]

    def ike_sa(self):
        """Returns Mendip's newest IKE SA as its status has it, or {}."""
        sas = self.status()["ike_sas"]
        return sas[0] if sas else {}

    def pings(self):
        """Expects echoes both ways; strongSwan may answer before its own end of an SA carries packets."""
        for ns, other, name in ((self.left, self.right, "Mendip"), (self.right, self.left, "strongSwan")):
            wait_for(lambda a=ns, b=other: ping(a, b.inner, 2, a.inner) == 2, f"no ping from {name}")

    # -- the stages, in this order; each returns a note or None --

    def comes_up(self):
        if self.role == "strongSwan":
            self.charon.initiate("net", timeout=PATIENCE)
        self.branch.wait_up(timeout=PATIENCE)
        expect(self.ike_sa()["role"] == ("initiator" if self.role == "Mendip" else "responder"), f"{self.ike_sa()}")
        return self.row.used(self) if self.row.used else None

    def passes_packets(self):
        self.pings()

    def _child_rekeyed(self, start):
        old, rekeys = self.branch.spi(), self.branch.children()["net"]["rekeys"]
        start()
        wait_for(lambda: self.branch.up() and self.branch.spi() not in (None, old), "no other CHILD SA", PATIENCE)
        got, row = self.branch.sa()["proposal"], self.row
        expect(row.esp == "default" or set(row.esp.split("-")) <= set(got.split("-")), f"{row.esp} was rekeyed with {got}")
        self.pings()
        wait_for(lambda: self.branch.children()["net"]["rekeys"] > rekeys, "another CHILD SA, but by no rekey")

    def child_by_mendip(self):
        self._child_rekeyed(lambda: self.branch.ctl("rekey", "net"))

    def child_by_strongswan(self):
        self._child_rekeyed(lambda: self.charon.rekey(child_id=self.charon.children("net")[-1].id))

    def _ike_rekeyed(self, old, role):
        """Waits for another IKE SA in which Mendip has this role: who rekeys it is its initiator."""
        def other():
            sa = self.ike_sa()
            return sa and sa["spi_i"] != old and sa["role"] == role
        wait_for(other, "no other IKE SA", PATIENCE)
        self.pings()
        # ESP goes on with keys of before: only a rekey of the child shows that the new IKE SA can be used.
        self._child_rekeyed(lambda: self.branch.ctl("rekey", "net"))

    def ike_by_strongswan(self):
        old = self.ike_sa()["spi_i"]
        self.charon.rekey(ike="gw")
        self._ike_rekeyed(old, "responder")

    def ike_by_mendip(self):
        self._ike_rekeyed(self.ike_sa().get("spi_i"), "initiator")

    def mended(self):
        """strongSwan's numbers are set back under traffic: a recovery follows, and no packet is lost."""
        flow = self.bed.flow(self.right, self.right.inner, self.left, self.left.inner, rate=RATE)
        more_traffic(flow, BACK + 50)
        rewind.rewind(self.charon.pid, by=BACK)
        self.branch.wait_recovered(PATIENCE)
        more_traffic(flow, 50)
        result, record = flow.stop(1), self.branch.switchover()["records"][0]
        expect(record["criterion"] == "proof" and record["bridged"] > 0, f"{record}")
        expect(result.lost == 0, f"lost {result.lost_ranges} of {result.sent}: {record}")


# Column of the printed table: what is done. The rekey by Mendip comes by its time, and is waited for last.
STAGES = {
    "up": Cell.comes_up, "packets": Cell.passes_packets, "child by us": Cell.child_by_mendip,
    "child by it": Cell.child_by_strongswan, "IKE by it": Cell.ike_by_strongswan, "rewind": Cell.mended,
    "IKE by us": Cell.ike_by_mendip,
}


def refused(cell, result, reason, said):
    """There is no tunnel, and a log says why."""
    if cell.role == "strongSwan":
        try:
            cell.charon.initiate("net", timeout=5)
        except strongswan.ViciError:
            pass
    wait_for(lambda: cell.branch.logged(said) or cell.charon.logged(said), f"not said: {said}", PATIENCE)
    expect(not cell.branch.up(), "up all the same")
    result.note = reason


def run(row, role):
    """Takes one cell through all stages; returns its Result. Nothing of it remains."""
    result, began = Result(row.name, role), time.monotonic()
    if role in row.elsewhere:
        result.note, result.ran = row.elsewhere[role], False
        return result
    with testbed.Testbed("matrix") as bed:
        cell, stage = Cell(bed, row, role), "start"
        try:
            cell.start()
            result.version = cell.charon.request("version")["version"]
            expect(not strongswan.ROOT or cell.charon.version() >= (6, 0), f"strongSwan {result.version} in {strongswan.ROOT}")
            if role in row.cannot:
                refused(cell, result, *row.cannot[role])
            else:
                for stage, act in STAGES.items():
                    result.note = act(cell) or result.note
                    result.passed.append(stage)
        except Unavailable as e:
            result.note, result.ran = str(e), False
        except Exception as e:  # the other cells run all the same
            result.failure = f"{stage}: {type(e).__name__}: {e}"
            result.log = "".join(daemon.tail(60) for daemon in (cell.charon, cell.branch) if daemon)
    result.seconds = time.monotonic() - began
    return result
