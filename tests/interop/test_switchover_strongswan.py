#!/usr/bin/python3
# Mendip recovers from rewinds of an unmodified strongSwan (rewind.py). SPDX-License-Identifier: ISC
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../netns"))
from daemons import OFFLOADS, PSK, Mendip, child, config, expect, main, more_traffic, testbed, wait_for  # noqa: E402
import rewind  # noqa: E402
import strongswan  # noqa: E402

RATE = 1000
BACK = 20000
FILL = 5000  # packets/s before the rewind, until enough numbers are used


def run(name, esp, which, detect, wait):
    """
    Sends more than BACK packets, then rewinds the gateway by BACK under RATE packets/s; returns (FlowResult, record or
    None, whether a security event was logged).
    """
    with testbed.Testbed("switchover") as bed:
        left, right = bed.pair("branch", "gw")
        charon = strongswan.Charon(bed, right, strongswan.connection(
            right.outer, left.outer, "gw.example.net", "branch.example", "10.2.0.0/16", "10.1.0.0/16",
            esp_proposals=esp), PSK).start()
        kids = {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action="start", esp_proposals=esp,
                             switchover=f'{{ detect = "{detect}"; }}')}
        branch = Mendip(bed, left, lambda s: config(s, kids, right.outer, proposals="aes128-sha256-x25519"))
        branch.wait_up()
        bed.flow(right, right.inner, left, left.inner, rate=FILL, count=BACK + 3000, port=9001).wait(30)
        flow = bed.flow(right, right.inner, left, left.inner, rate=RATE)
        more_traffic(flow, RATE)
        rewind.rewind(charon.pid, by=BACK, which=which)
        if detect != "off":
            branch.wait_recovered()
        more_traffic(flow, wait * RATE)
        result = flow.stop()
        records = branch.switchover()["records"]
        r = records[0] if records else None
        print(f"# {name:<28} {detect:<6} {result.lost:6d} lost of {result.sent:6d}, outage {result.longest_gap_ms:7.0f} ms"
              f"{'' if r else ' and going on'}  {r['criterion'] if r else '-':<12} rung {r['rung'] if r else '-'}")
        return result, r, branch.logged("SECURITY")


def case(name, esp, which, criterion, lost_max, security=False):
    result, record, _ = run(name, esp, which, "off", 4)
    # without detection 20 s are lost, of which run() waits for 4
    expect(result.lost >= 3.5 * RATE, f"only {result.lost} lost without detection")
    expect(record is None, "a record with detection off")
    result, record, told = run(name, esp, which, "proof", 1)
    expect(record is not None and record["outcome"] == "recovered", f"{record}")
    expect(record["criterion"] == criterion and record["rung"] == 1, f"{record}")
    expect(result.lost <= lost_max, f"{result.lost} lost with detection, at most {lost_max} expected")
    expect(result.longest_gap_ms <= 1000, f"outage {result.longest_gap_ms} ms")
    expect(told == security, "security event" + (" missing" if security else " without reason"))


def number_alone():
    case("number alone, IVs differ", "aes128gcm16", "number", "proof", 0)


def nonces_repeat():
    case("nonces repeat", "aes128gcm16", "nonce", "nonce-reuse", 100, security=True)


def aes_cbc():
    case("AES-CBC", "aes128-sha256", "number", "proof", 0)


def ladder(bed, **more):
    left, right = bed.pair("branch", "gw")
    charon = strongswan.Charon(bed, right, strongswan.connection(
        right.outer, left.outer, "gw.example.net", "branch.example", "10.2.0.0/16", "10.1.0.0/16",
        esp_proposals="aes128gcm16", **more), PSK).start()
    kids = {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action="start", esp_proposals="aes128gcm16",
                         switchover='{ jitter = "0"; }')}
    branch = Mendip(bed, left, lambda s: config(s, kids, right.outer, proposals="aes128-sha256-x25519", dpd="0"))
    branch.wait_up()
    return left, right, charon, branch


def nothing_lost(result, branch):
    """
    Expects that no packet was lost, not even on a new SA before the branch has it: strongSwan's ESP thread may use the
    SA before its IKE thread sends the response. The branch keeps such packets until the response arrives.
    """
    early = branch.ctl("status")["verdicts"]["no_sa"]
    expect(result.lost == 0, f"{result.lost} lost, {early} under an SPI that was not known yet")


def rung_two():
    """
    The branch's rekey names an SPI that strongSwan does not know: strongSwan answers CHILD_SA_NOT_FOUND, and the branch
    creates a CHILD SA without REKEY_SA (rung 2).
    """
    with testbed.Testbed("rung2") as bed:
        left, right, charon, branch = ladder(bed)
        flow = bed.flow(right, right.inner, left, left.inner, rate=RATE)
        more_traffic(flow, 2500)
        old = branch.spi()
        branch.ctl("fault", "rekey-unknown")
        rewind.rewind(charon.pid, by=2000)
        wait_for(lambda: branch.spi() not in (None, old), "no other child")
        branch.wait_recovered()
        more_traffic(flow, RATE // 2)
        result = flow.stop()
        record = branch.switchover()["records"][0]
        print(f"# CHILD_SA_NOT_FOUND: {result.lost} lost, outage {result.longest_gap_ms:.0f} ms, {record['criterion']}, "
              f"rung {record['rung']}")
        expect(branch.logged("does not know"), "CHILD_SA_NOT_FOUND was not met")
        nothing_lost(result, branch)
        expect(record["rung"] == 2 and record["outcome"] == "recovered", f"{record}")


def rung_three():
    """
    strongSwan's ESP is rewound while its IKE messages are dropped: the branch initiates a new IKE SA beside the old one
    (rung 3).
    """
    with testbed.Testbed("rung3") as bed:
        left, right, charon, branch = ladder(bed)
        flow = bed.flow(right, right.inner, left, left.inner, rate=RATE)
        more_traffic(flow, 2500)
        right.drop(testbed.DROP_IKE)
        rewind.rewind(charon.pid, by=2000)
        wait_for(lambda: branch.logged("beside the old one"), "rung 3 was not begun")
        right.drop_nothing()
        branch.wait_recovered()
        result = flow.stop()
        record = branch.switchover()["records"][0]
        print(f"# IKE unanswered until rung 3: {result.lost} lost, outage {result.longest_gap_ms:.0f} ms, "
              f"{record['criterion']}, rung {record['rung']}, request at {record['request_ms']:.0f} ms, "
              f"answer at {record['response_ms']:.0f} ms")
        expect(record["rung"] in (1, 3), f"{record}")
        nothing_lost(result, branch)
        wait_for(lambda: len(branch.ctl("status")["connections"][0]["ike_sas"]) == 1, "two IKE SAs stay")


if strongswan.missing():
    print(f"ok strongswan # SKIP {strongswan.missing()}")
    sys.exit(77)
main([number_alone, nonces_repeat, aes_cbc, rung_two, rung_three], OFFLOADS)
