#!/usr/bin/python3
# Recovery from faults that `mendipctl fault` injects at the gateway, under traffic. SPDX-License-Identifier: ISC
import json
import subprocess
import time

import daemons
from daemons import (BUILD, NET_GW, OFFLOADS, child, expect, main, more_traffic, testbed, pair, settle, wait_for)

RATE = 1000


def under_fault(name, fault, detect="proof", wait=3.0, before=2.0, esp="aes128gcm16-esn-noesn", healed=True, **options):
    """
    Sends traffic from the gateway for `before` seconds, injects the fault, and continues for `wait` seconds, or with
    `healed` until a recovery has ended; returns (FlowResult, newest record or None, the branch's `switchover` output).
    """
    more = "".join(f' {k} = "{v}";' for k, v in options.items())
    kids = {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action="start", esp_proposals=esp,
                         switchover=f'{{ detect = "{detect}"; jitter = "0";{more} }}')}
    kids_gw = {"net": child("10.2.0.0/16", "10.1.0.0/16", esp_proposals=esp)}
    with testbed.Testbed("fault") as bed:
        branch, gw = pair(bed, kids, kids_gw)
        branch.wait_up()
        flow = bed.flow(gw.ns, gw.ns.inner, branch.ns, branch.ns.inner, rate=RATE)
        more_traffic(flow, before * RATE)
        for f in fault if isinstance(fault, list) else [fault]:
            gw.ctl("fault", *f.split())
        if healed:
            branch.wait_recovered()
            more_traffic(flow, 0.5 * RATE)
        else:
            more_traffic(flow, wait * RATE)
        result = flow.stop()
        state = branch.switchover()
        state["events"] = "SECURITY" in open(branch.log, encoding="utf-8").read()
        records = state["records"]
        r = records[0] if records else None
        print(f"# {name:<34} {detect:<8} {result.lost:6d} lost {result.longest_gap_ms:8.0f} ms  "
              f"{r['criterion'] if r else '-':<12} rung {r['rung'] if r else '-'}")
        return result, r, state


def recovered(result, record, lost_max, criterion="proof", rung=1):
    expect(record is not None, "no record")
    expect(record["outcome"] == "recovered", f"outcome {record['outcome']}")
    expect(record["criterion"] == criterion, f"criterion {record['criterion']}")
    expect(record["rung"] == rung, f"rung {record['rung']}")
    expect(result.lost <= lost_max, f"{result.lost} lost, at most {lost_max} expected")


def rewind_without_detection():
    result, record, _ = under_fault("rewind 1500", "rewind 1500", detect="off", healed=False)
    expect(1490 <= result.lost <= 1510, f"{result.lost} lost instead of 1500")
    expect(record is None, "a record with detection off")


def rewind_with_proof():
    result, record, _ = under_fault("rewind 1500", "rewind 1500")
    recovered(result, record, 0)


def rewind_with_pattern():
    result, record, _ = under_fault("rewind 1500", "rewind 1500", detect="pattern")
    recovered(result, record, 200, criterion="count")


def rewind_cbc():
    result, record, _ = under_fault("rewind 1500, AES-CBC", "rewind 1500", esp="aes128-sha256-noesn")
    recovered(result, record, 0)


def nonces_repeat():
    result, record, state = under_fault("rewind-nonces 1500", "rewind-nonces 1500")
    recovered(result, record, 100, criterion="nonce-reuse")
    expect(state["events"], "no security event in the log")


def answers_are_dropped():
    # the response to the first request is lost; the branch retransmits the request after 0.4 to 0.6 s
    result, record, _ = under_fault("rewind 2500, 1 answer dropped", ["drop 1", "rewind 2500"], before=4.0, wait=5.0)
    recovered(result, record, 0)


def answers_are_dropped_for_long():
    # the branch sends the request a third time after 1.2 to 1.8 s, and makes a new IKE SA (rung 3) after 1.5 to 3.5 s
    result, record, _ = under_fault("rewind 2500, 2 answers dropped", ["drop 2", "rewind 2500"], before=4.0, wait=5.0)
    recovered(result, record, 0, rung=record["rung"] if record else 0)
    expect(record["rung"] in (1, 3), f"rung {record['rung']}")


def figures_of_a_recovery_that_runs():
    """While a recovery waits for a response, the record's counter of bridged packets grows."""
    kids = {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action="start", switchover='{ jitter = "0"; }')}
    with testbed.Testbed("running") as bed:
        branch, gw = pair(bed, kids, NET_GW)
        branch.wait_up()
        flow = bed.flow(gw.ns, gw.ns.inner, branch.ns, branch.ns.inner, rate=RATE)
        more_traffic(flow, 3000)
        gw.ctl("fault", "drop", "2")
        gw.ctl("fault", "rewind", "2500")
        wait_for(lambda: branch.switchover()["records"], "no record")
        first = branch.switchover()["records"][0]
        more_traffic(flow, 300)
        then = branch.switchover()["records"][0]
        expect(first["outcome"] == then["outcome"] == "running", f"{first['outcome']}, {then['outcome']}")
        expect(then["bridged"] >= first["bridged"] + 200, f"{first['bridged']} bridged, then {then['bridged']}")
        branch.wait_recovered()
        flow.stop()


def answers_are_late():
    result, record, _ = under_fault("rewind 2500, answers 300 ms late", ["delay 3 300", "rewind 2500"], before=4.0,
                                    wait=4.0)
    recovered(result, record, 0)


def message_ids_back():
    result, record, _ = under_fault("message IDs and numbers back", ["message-ids 1", "rewind 1500"], wait=12.0)
    expect(result.lost <= 1600, f"{result.lost} lost")
    expect(record is not None and record["outcome"] == "recovered", f"{record}")


def two_senders_are_served():
    result, _, state = under_fault("two senders, 500 apart", "two-senders 500", wait=5.0, healed=False, max_rekeys=1)
    expect(state["gate"]["admitted"] >= 1, "nothing was admitted")
    # the gate admits the first rekey at once, the others after 1, 2 and 4 s
    expect(state["recoveries"] <= 4, f"{state['recoveries']} rekeys")
    expect(state["gate"]["quiet"] == 0, "the gate was quiet though each rekey helped")


def tcp_through_a_rewind(bridge):
    """Rewinds the gateway's SA during one TCP stream from the gateway.

    Returns (record, the most retransmissions in a half second before the rewind, all of the half second of the rewind
    and of the second after it). The stream runs at full rate and the rewind is by 50,000 packets. Without offloads the
    machine itself drops packets at full rate, in bursts that would hide those of the rewind: then the stream is limited
    to 200 Mbit/s, and the rewind is by 20,000.
    """
    full = daemons.offload != "off"
    back, pace = (50000, "0") if full else (20000, "200M")
    kids = {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action="start", switchover=f'{{ bridge = "{bridge}"; }}')}
    with testbed.Testbed("tcp") as bed:
        branch, gw = pair(bed, kids, {"net": child("10.2.0.0/16", "10.1.0.0/16")})
        branch.wait_up()
        gw.ns.popen("iperf3", "-s", "-J", "-i", "0.5", log=bed.path("iperf.log"))
        wait_for(lambda: gw.ns.run("ss", "-Hltn", "sport", "=", ":5201").stdout, "iperf3 does not listen")
        began = time.monotonic()
        client = branch.ns.popen("iperf3", "-c", "10.2.0.1", "-R", "-t", "6", "-b", pace, "-J", "--get-server-output",
                                 log=bed.path("client.json"))
        wait_for(lambda: branch.sa()["number_in"] > 2 * back, "too little traffic to set back")
        at = int((time.monotonic() - began) / 0.5)
        gw.ctl("fault", "rewind", str(back))
        branch.wait_recovered()
        wait_for(lambda: client.poll() is not None, "iperf3 does not end", 20)
        with open(bed.path("client.json"), encoding="utf-8") as f:
            report = json.load(f)
        end = report["end"]
        again = [i["sum"]["retransmits"] for i in report["server_output_json"]["intervals"]]
        expect(len(again) >= 9, f"the sender's figures are missing: {again}")
        record = branch.switchover()["records"][0]
        print(f"# TCP at {'full rate' if full else pace + 'bit/s'}, back by {back}, bridge {bridge:<3}  "
              f"{end['sum_sent']['retransmits']:6d} segments sent again, {record['lost']} packets lost, "
              f"{record['bridged']} bridged, outage {record['outage_ms']:.1f} ms, "
              f"{end['sum_received']['bits_per_second'] / 1e9:.2f} Gbit/s")
        return record, max(again[:at], default=0), sum(again[at:at + 3])


def tcp_loses_nothing():
    record, before, after = tcp_through_a_rewind("on")
    expect(record["outcome"] == "recovered" and record["criterion"] == "proof", f"{record}")
    expect(record["lost"] == 0 and record["unverified"] == 0, f"{record}")
    expect(record["bridged"] > 0, "nothing was bridged")
    # The machine itself may drop packets, before the rewind and after it.
    expect(after <= 3 * before + 10, f"{after} sent again after the rewind, at most {before} in half a second before it")
    without, _, _ = tcp_through_a_rewind("off")
    expect(without["lost"] > 0, "without the bridge nothing was lost either: no rewind?")


def forgotten_child_comes_back():
    with testbed.Testbed("forget") as bed:
        kids = {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action="start")}
        branch, gw = pair(bed, kids, NET_GW)
        branch.wait_up()
        gw.ctl("fault", "forget-child")
        old = branch.sa()["spi_in"]
        branch.ctl("rekey", "net")
        wait_for(lambda: branch.up() and branch.sa()["spi_in"] != old, "the child does not come back", 5)
        expect(branch.logged("does not know it"), "CHILD_SA_NOT_FOUND was not met")
        expect(gw.up(), "the gateway has no child")


def events_tell():
    with testbed.Testbed("events") as bed:
        kids = {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action="start", switchover='{ jitter = "0"; }')}
        branch, gw = pair(bed, kids, NET_GW)
        branch.wait_up()
        watcher = subprocess.Popen([f"{BUILD}/mendipctl", "-s", branch.control, "events"], stdout=subprocess.PIPE,
                                   text=True)
        settle()  # until it is subscribed
        flow = bed.flow(gw.ns, gw.ns.inner, branch.ns, branch.ns.inner, rate=RATE)
        more_traffic(flow, 200)
        gw.ctl("fault", "rewind", "100")
        wait_for(lambda: branch.switchover()["recoveries"], "no recovery")
        flow.stop()
        watcher.terminate()
        text = watcher.communicate(timeout=5)[0]
        for kind in ("evidence", "recovery", "child"):
            expect(kind in text, f"no {kind} among the events: {text}")


main([rewind_without_detection, rewind_with_proof, rewind_with_pattern, rewind_cbc, nonces_repeat, answers_are_dropped,
      answers_are_dropped_for_long, figures_of_a_recovery_that_runs, answers_are_late, message_ids_back,
      two_senders_are_served, tcp_loses_nothing, forgotten_child_comes_back, events_tell], OFFLOADS)
