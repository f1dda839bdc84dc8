#!/usr/bin/python3
# The metrics, read by the parser of Prometheus's own client library. SPDX-License-Identifier: ISC
import os
import signal
import time

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from daemons import NET, NET_GW, CtlError, Mendip, child, config, expect, main, more_traffic, pair, ping, testbed, wait_for


def families(daemon):
    """Returns {name: family}. The parser refuses what the format does not allow, such as a sample that comes twice."""
    return {f.name: f for f in text_string_to_metric_families(daemon.run("metrics", as_json=False).stdout)}


def value(found, sample, **labels):
    """Returns the value of the only sample of this name with these labels, or None."""
    values = [s.value for f in found.values() for s in f.samples
              if s.name == f"mendip_{sample}" and all(s.labels.get(k) == v for k, v in labels.items())]
    expect(len(values) < 2, f"{sample} {labels}: {values}")
    return values[0] if values else None


def expect_values(found, wanted, **labels):
    for sample, v in wanted.items():
        got = value(found, sample, **labels)
        expect(got is not None and (v(got) if callable(v) else got == v), f"{sample} {labels}: {got}")


def of_a_tunnel():
    """A tunnel with traffic, after a switchover: what is up, what it carried, and what the switchover cost."""
    with testbed.Testbed("metrics") as bed:
        branch, gw = pair(bed, NET, NET_GW)
        branch.wait_up()
        flow = bed.flow(gw.ns, gw.ns.inner, branch.ns, branch.ns.inner, rate=1000)
        more_traffic(flow, 2000)
        gw.ctl("fault", "rewind", "1000")
        branch.wait_recovered()
        flow.stop()
        found = families(branch)
        # None, if it is not known; 0, if the packets before and after the switchover are read at once.
        outage = branch.switchover()["records"][0]["outage_ms"] / 1000
        expect(0 <= outage < 1, f"an outage of {outage} s")
        expect_values(found, {"connection_up": 1, "connection_wanted": 1}, connection="gw")
        expect_values(found, {
            "child_up": 1, "child_wanted": 1, "child_received_packets_total": lambda v: v >= 2000, "child_rekeys_total": lambda v: v >= 1,
            "child_received_bytes_total": lambda v: v > 2000 * 60, "child_sent_packets_total": lambda v: v >= 1,
            "child_last_received_seconds": lambda v: 0 <= v < 10, "recoveries_total": 1,
            "recovery_lost_packets_count": 1, "recovery_lost_packets_sum": 0, "recovery_outage_seconds_count": 1,
            "recovery_outage_seconds_sum": lambda v: abs(v - outage) < 1e-6}, connection="gw", child="net")
        expect_values(found, {"gate_answers_total": 1}, answer="admitted")
        expect_values(found, {"recovery_lost_packets_bucket": 1}, le="0.0")
        expect(not found["mendip_connection_problem"].samples, "a problem of a tunnel that is up")
        expect_values(found, {"start_time_seconds": lambda v: time.time() - 60 < v <= time.time()})
        expect_values(found, {"build_info": 1}, version=branch.ctl("version")["version"])
        status, text = branch.ctl("status"), branch.run("status", "--all", as_json=False).stdout
        for line in ("of the TUN device checksums, TCP segments over IPv4, TCP segments over IPv6",
                     "of UDP sending trains, receiving trains", f"MTU {status['offload']['mtu']},",
                     f"cryptography: {status['crypto']}"):
            expect(line in " ".join(text.split()), f"the text does not say {line!r}: {text}")
        expect_values(found, {"data_path_info": 1}, crypto=status["crypto"])
        for name, v in status["io"].items():
            expect_values(found, {"io_total": lambda got, most=v: got <= most}, what=name)


def tunnel_down():
    """What an alert needs: a tunnel that is to be up and is not, and why; then its end. Totals never fall."""
    with testbed.Testbed("metrics") as bed:
        branch, gw = pair(bed, NET, NET_GW, dpd="1s", more='retransmit_timeout = "200ms"; retransmit_tries = 2;')
        branch.wait_up()
        ping(branch.ns, gw.ns.inner)
        before = value(families(branch), "child_sent_packets_total", child="net")
        gw.kill()
        wait_for(lambda: value(families(branch), "connection_up", connection="gw") == 0, "it is up", 30)
        found = families(branch)
        expect_values(found, {"connection_wanted": 1}, connection="gw")
        problems = [s.labels["kind"] for s in found["mendip_connection_problem"].samples]
        expect(problems and set(problems) <= {"peer-silent", "no-answer"}, f"{problems}")
        expect(before >= 3 and value(found, "child_sent_packets_total", child="net") >= before, "a total has fallen")
        gw.start()
        branch.wait_up(timeout=60)
        found = families(branch)
        expect_values(found, {"connection_up": 1}, connection="gw")
        expect(not found["mendip_connection_problem"].samples, "the problem is over")
        expect(value(found, "child_sent_packets_total", child="net") >= before, "a total has fallen")


def reloads_are_counted():
    with testbed.Testbed("metrics") as bed:
        branch, _ = pair(bed, NET, NET_GW)
        branch.wait_up()
        expect_values(families(branch), {"reloads_total": 0, "reload_failures_total": 0, "last_reload_successful": 1})
        branch.ctl("reload")
        with open(branch.conf, encoding="utf-8") as f:
            good = f.read()
        branch.write("nonsense")
        try:
            branch.ctl("reload")
        except CtlError:
            pass
        expect_values(families(branch), {"reloads_total": 1, "reload_failures_total": 1, "last_reload_successful": 0})
        branch.write(good)
        os.kill(branch.process.pid, signal.SIGHUP)
        wait_for(lambda: value(families(branch), "last_reload_successful") == 1, "not reloaded")


def many_peers_of_one_connection():
    """Two peers of a connection that answers any peer are one sample each; with none it is there, too."""
    with testbed.Testbed("metrics") as bed:
        left, right = bed.pair("branch", "gw")
        gw = Mendip(bed, right, lambda s: config(s, {"net": child("10.2.0.0/16", "10.1.0.0/16")}, "%any", "gw.example.net",
                                                 "*.example", "branch"))
        expect_values(families(gw), {"connection_up": 0, "connection_wanted": 0}, connection="branch")
        other = bed.namespace("other")
        bed.link(other, "eth0", "198.51.100.1/24", right, "eth1", "198.51.100.2/24")
        peers = [Mendip(bed, ns, lambda s, i=i, to=to: config(
            s, {"net": child(f"10.1.{i}.0/24", "10.2.0.0/16", start_action="start")}, to, f"b{i}.example"))
            for i, (ns, to) in enumerate(((left, right.outer), (other, "198.51.100.2")))]
        for peer in peers:
            peer.wait_up()
        found = families(gw)
        expect_values(found, {"connection_up": 2}, connection="branch")
        expect_values(found, {"child_up": 2, "child_rekeys_total": 0}, child="net")
        peers[0].process.stop()
        wait_for(lambda: value(families(gw), "connection_up", connection="branch") == 1, "both are up")


main([of_a_tunnel, tunnel_down, reloads_are_counted, many_peers_of_one_connection])
