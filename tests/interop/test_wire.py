#!/usr/bin/python3
# What Mendip sends, decrypted and checked by tshark on the far side of a router. SPDX-License-Identifier: ISC
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../netns"))
from daemons import OFFLOADS, PSK, Mendip, child, config, expect, main, testbed, ping, wait_for  # noqa: E402
from traffic import Bursts, RawSender, UdpFlow, spoilt, tcp, udp_packet  # noqa: E402
import strongswan  # noqa: E402
import wire  # noqa: E402

MIB = 1 << 20
BRANCH, GW = ("10.1.0.1", "fd00:1::1"), ("10.2.0.1", "fd00:2::1")
NETS = (["10.1.0.0/16", "fd00:1::/64"], ["10.2.0.0/16", "fd00:2::/64"])


def ends(bed):
    """Branch and gateway with both families inside, and a router that cuts and sums what it forwards.

    Between veth devices a train stays one packet without checksums; behind this router it is what a cable would have.
    """
    left, router, right = bed.routed("branch", "gw")
    left.address("lo", f"{BRANCH[1]}/128")
    right.address("lo", f"{GW[1]}/128")
    for device in ("inside", "outside"):
        router.offload(device, gso=False, tso=False, tx_checksum=False)
    return left, right


def traffic(source_ns, source, target_ns, target, size, seed):
    """A stream, pings and datagrams of every size. What is lost at the far end does not matter here."""
    tcp(source_ns, source, target_ns, target, size, port=7000 + seed)
    expect(ping(source_ns, target, 3, source=source) > 0, f"no ping from {source}")
    flows = [UdpFlow(source_ns, source, target_ns, target, 7100 + i) for i in range(3)]
    bursts = Bursts(flows, seed)
    for _ in range(4):
        bursts.send()
    for flow in flows:
        flow.close()


def to_strongswan(bed, esp, offload):
    """
    Mendip up with a strongSwan that tells the keys; returns (branch, gateway's namespace, tshark's SA). With offloads
    off it is Mendip at its plainest, OpenSSL included.
    """
    backend = "auto" if offload == "auto" else "openssl"
    left, right = ends(bed)
    charon = strongswan.Charon(bed, right, strongswan.connection(
        right.outer, left.outer, "gw.example.net", "branch.example", ",".join(NETS[1]), ",".join(NETS[0]),
        esp_proposals=esp), PSK, log_keys=True).start()
    kids = {"net": child(*NETS, start_action="start", esp_proposals=esp)}
    branch = Mendip(bed, left, lambda s: config(s, kids, right.outer, proposals="aes128-sha256-x25519",
                                                daemon=f'offload = "{offload}"; crypto_backend = "{backend}";'))
    branch.wait_up()
    keys = charon.esp_keys()
    sa = wire.sa_option(esp, int(branch.sa()["spi_out"], 16), keys["encryption initiator key"],
                        keys.get("integrity initiator key", b""))
    return branch, right, sa


def all_sent(daemon):
    """How many packets it has sent, once it has sent them all."""
    last = [-1]

    def at_rest():
        before, last[0] = last[0], daemon.sa()["packets_out"]
        return before == last[0]

    testbed.wait_until(at_rest, 10, step=0.2)
    return last[0]


def nothing_is_bad(seen, sent):
    """All of the wire's ESP packets were checked, once each, and everything in and around them holds."""
    expect(not seen.bad_icv, f"bad ICV in frames {seen.bad_icv[:5]}")
    expect(not seen.unchecked, f"not decrypted: frames {seen.unchecked[:5]}")
    expect(not seen.bad_checksum, f"bad checksums in {seen.bad_checksum[:5]}")
    expect(not seen.duplicates(), f"numbers on the wire twice: {seen.duplicates()[:5]}")
    expect(seen.good["icv"] == len(seen.numbers) >= 0.95 * sent, f"{seen.good['icv']} of {sent} were seen: {seen.good}")
    expect(seen.longest <= 1514, f"no wire has a frame of {seen.longest} bytes")


def decrypted(esp, offload):
    with testbed.Testbed("wire") as bed:
        branch, right, sa = to_strongswan(bed, esp, offload)
        capture = wire.Capture(bed, right)
        for seed in (0, 1):
            traffic(branch.ns, BRANCH[seed], right, GW[seed], 4 * MIB, seed)
        sent = all_sent(branch)
        seen = wire.look(capture.stop(sent), sa)
        nothing_is_bad(seen, sent)
        expect(seen.good["tcp"] > 6000, f"TCP was not looked at: {seen.good}")
        expect(seen.good["udp"] > seen.good["icv"] + 300, f"UDP inside was not looked at: {seen.good}")
        expect(seen.good["icmp"] >= 3 and seen.good["icmpv6"] >= 3, f"ICMP was not looked at: {seen.good}")
        print(f"# {esp}, offload {offload}: {seen.good['icv']} ICVs of {sent}, checksums "
              + " ".join(f"{layer} {seen.good[layer]}" for layer in wire.LAYERS))


def between_two_mendips():
    """Without keys: outer headers and numbers, both directions, trains at both ends."""
    for offload in OFFLOADS:
        with testbed.Testbed("wire") as bed:
            left, right = ends(bed)
            option = f'offload = "{offload}";'
            gw = Mendip(bed, right, lambda s: config(s, {"net": child(NETS[1], NETS[0])}, "%any", "gw.example.net",
                                                     "*.example", "branch", daemon=option))
            branch = Mendip(bed, left, lambda s: config(s, {"net": child(*NETS, start_action="start")}, right.outer,
                                                        daemon=option))
            branch.wait_up()
            captures = [wire.Capture(bed, ns) for ns in (right, left)]
            for seed in (0, 1):
                traffic(left, BRANCH[seed], right, GW[seed], 4 * MIB, seed)
                traffic(right, GW[seed], left, BRANCH[seed], 4 * MIB, seed)
            for daemon, capture in zip((branch, gw), captures):
                sent = all_sent(daemon)
                seen = wire.look(capture.stop(sent))
                expect(not seen.bad_checksum, f"bad checksums in {seen.bad_checksum[:5]}")
                expect(not seen.duplicates(), f"numbers on the wire twice: {seen.duplicates()[:5]}")
                expect(len(seen.numbers) >= 0.95 * sent, f"{len(seen.numbers)} of {sent} were seen")
                expect(seen.good["udp"] >= len(seen.numbers), f"UDP was not looked at: {seen.good}")


def flipped_bit_is_found():
    """The control: one bit of one packet, and a wrong checksum inside, are found, and nothing else."""
    with testbed.Testbed("wire") as bed:
        branch, right, sa = to_strongswan(bed, "aes128gcm16", "auto")
        capture = wire.Capture(bed, right)
        good = udp_packet(BRANCH[0], GW[0], 7000, 7001, b"datagram", 1)
        raw = RawSender(branch.ns, GW[0])
        for packet in (good, spoilt(good, 26), good, good):
            raw.send(packet)
        raw.close()
        wait_for(lambda: branch.sa()["packets_out"] >= 4, "nothing was sent")
        settled = wire.look(capture.stop(4), sa)
        expect([layer for _, layer in settled.bad_checksum] == ["udp"], f"wrong inside: {settled}")
        expect(not settled.bad_icv and settled.good["icv"] == 4, f"{settled}")
        bad = settled.bad_checksum[0][0]
        wire.flip(capture.path, bad + 1, 20)
        seen = wire.look(capture.path, sa)
        expect(seen.bad_icv == [bad + 1] and seen.good["icv"] == 3, f"the flipped bit was not found: {seen}")


def of_suites():
    def case(esp, offload):
        def run():
            decrypted(esp, offload)
        run.__name__ = f"{esp}_offload_{offload}"
        return run
    return [case(esp, offload) for esp in ("aes128gcm16", "aes128-sha256") for offload in OFFLOADS]


if strongswan.missing():
    print(f"ok strongswan # SKIP {strongswan.missing()}")
    sys.exit(77)
main([*of_suites(), between_two_mendips, flipped_bit_is_found])
