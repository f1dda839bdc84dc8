#!/usr/bin/python3
# Mendip's packets are captured behind a router, and decrypted and checked by tshark. SPDX-License-Identifier: ISC
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../netns"))
from daemons import OFFLOADS, PSK, Mendip, child, config, expect, main, testbed, ping, settle, wait_for  # noqa: E402
from traffic import Bursts, RawSender, UdpFlow, spoilt, tcp, udp_packet  # noqa: E402
import strongswan  # noqa: E402
import wire  # noqa: E402

MIB = 1 << 20
BRANCH, GW = ("10.1.0.1", "fd00:1::1"), ("10.2.0.1", "fd00:2::1")
NETS = (["10.1.0.0/16", "fd00:1::/64"], ["10.2.0.0/16", "fd00:2::/64"])


def ends(bed):
    """Makes namespaces for branch and gateway with IPv4 and IPv6 inside, and a router that segments what it forwards.

    Between veth devices a train stays one packet without checksums. The router's devices have no offloads, so that it
    forwards single packets with checksums, as on a physical link. Returns (branch, gateway).
    """
    left, router, right = bed.routed("branch", "gw")
    left.address("lo", f"{BRANCH[1]}/128")
    right.address("lo", f"{GW[1]}/128")
    for device in ("inside", "outside"):
        router.offload(device, gso=False, tso=False, tx_checksum=False)
    return left, right


def traffic(source_ns, source, target_ns, target, size, seed):
    """Sends a stream, pings and datagrams of all sizes; datagrams that do not arrive are not an error here."""
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
    Establishes a tunnel between Mendip and a strongSwan that logs the keys; returns (branch, gateway's namespace, SA
    for wire.look()). With offload = "off" Mendip also uses OpenSSL instead of ipsec-mb.
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
    """Waits until the daemon sends no more packets; returns how many it has sent."""
    last = [-1]

    def at_rest():
        before, last[0] = last[0], daemon.sa()["packets_out"]
        return before == last[0]

    testbed.wait_until(at_rest, 10, step=0.2)
    return last[0]


def nothing_is_bad(seen, sent):
    """Expects that tshark checked all ESP packets, and that ICVs, checksums, sequence numbers and lengths are right."""
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


def keys_for_wireshark(ike, esp):
    """With key_log tshark decrypts all messages of IKE and all packets of ESP, and finds no payload malformed."""
    with testbed.Testbed("wire") as bed:
        left, right = ends(bed)
        folder = bed.path("keys")
        os.mkdir(folder, 0o700)
        Mendip(bed, right, lambda s: config(s, {"net": child(NETS[1], NETS[0], esp_proposals=esp)}, "%any",
                                            "gw.example.net", "*.example", "branch", proposals=ike))
        capture = wire.Capture(bed, right, direction="inout")
        branch = Mendip(bed, left, lambda s: config(s, {"net": child(*NETS, start_action="start", esp_proposals=esp)},
                                                    right.outer, proposals=ike, daemon=f'key_log = "{folder}";'))
        branch.wait_up()
        expect(ping(left, GW[0]) == 3, "no ping")
        old = branch.spi()
        branch.ctl("rekey", "net")
        wait_for(lambda: branch.up() and branch.spi() != old, "no rekey", 5)
        expect(ping(left, GW[0]) == 3, "no ping after the rekey")
        for name in ("ikev2_decryption_table", "esp_sa"):
            expect(os.stat(os.path.join(folder, name)).st_mode & 0o777 == 0o600, f"{name} is open to others")
        expect(branch.logged("key_log: keys are written"), "no warning")
        expect("KEYS ARE WRITTEN" in branch.run("status", "--all", as_json=False).stdout, "status does not tell")
        path = capture.stop(8)
        shown = wire.decrypted_by(folder, path)
        expect(not shown.malformed and not shown.closed, f"malformed {shown.malformed}, not decrypted {shown.closed}")
        expect(shown.payloads >= {"IDi", "IDr", "AUTH", "SA", "TSi", "TSr", "N"}, f"payloads seen: {shown.payloads}")
        if "chacha" in esp:
            with open(os.path.join(folder, "esp_sa"), encoding="utf-8") as f:
                expect(f.read() == 4 * "# Wireshark does not decrypt chacha20poly1305\n", "no comments in esp_sa")
        else:
            expect(shown.icmp >= 6, f"{shown.icmp} packets inside were seen")
        print(f"# key_log, {ike}, {esp}: {len(shown.payloads)} kinds of payloads, {shown.icmp} packets inside")


def between_two_mendips():
    """Two Mendips, so that tshark has no keys: outer headers and sequence numbers of both directions are right."""
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


def ike_in_fragments():
    """Mendip's IKE messages, as requests and as responses, in fragments: tshark opens each and reads the whole."""
    ids, child_sa, rekey = [35, 36, 39], [33, 44, 45], [33, 34, 40, 44, 45]
    for ike in wire.IKE_ALGORITHMS:
        with testbed.Testbed("wire") as bed:
            left, right = ends(bed)
            charon = strongswan.Charon(bed, right, strongswan.connection(
                right.outer, left.outer, "gw.example.net", "branch.example", NETS[1][0], NETS[0][0], proposals=ike,
                esp_proposals="aes128gcm16-x25519", fragmentation="force"), PSK, log_keys=True).start()
            capture = wire.Capture(bed, right)
            kids = {"net": child(NETS[0][0], NETS[1][0], start_action="start", esp_proposals="aes128gcm16-x25519")}
            branch = Mendip(bed, left, lambda s: config(s, kids, right.outer, proposals=ike, more="fragment_size = 256;"))
            branch.wait_up()
            for command in (lambda: branch.ctl("rekey", "net"),
                            lambda: charon.rekey(child_id=charon.children("net")[-1].id)):
                old = branch.spi()
                command()
                wait_for(lambda: branch.spi() not in (None, old), "no rekey")
            settle(0.5)
            sa = branch.ctl("status")["connections"][0]["ike_sas"][0]
            seen = wire.look_ike(capture.stop(1), wire.ike_option(ike, sa["spi_i"], sa["spi_r"], charon.ike_keys()))
            expect(not seen.bad, f"{ike}: malformed or not decrypted: frames {seen.bad}")
            expect(len(seen.fragments) >= 6 and max(total for *_, total in seen.fragments) >= 2, f"{seen.fragments}")
            expect(seen.longest <= 256, f"{ike}: an IP datagram of {seen.longest} bytes")
            for message, types in (((35, False), [*ids, *child_sa]), ((36, False), rekey), ((36, True), rekey)):
                found = seen.payloads.get(message, [])
                expect(set(types) <= set(found), f"{ike}: {message} holds {found}")
            print(f"# {ike}: {len(seen.fragments)} fragments of IKE messages")


def flipped_bit_is_found():
    """Verifies the checks: they find one flipped bit and one wrong inner checksum, and nothing else."""
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


def of_key_logs():
    def case(ike, esp):
        def run():
            keys_for_wireshark(ike, esp)
        run.__name__ = f"keys_{ike}_{esp}".replace("-", "_")
        return run
    return [case(ike, esp) for ike, esp in (
        ("aes128-sha256-x25519", "aes128gcm16-x25519-noesn"), ("aes256-sha384-x25519", "aes256gcm16-noesn"),
        ("aes256-sha512-x25519", "aes256-sha512-noesn"), ("aes128gcm16-prfsha256-x25519", "aes128-sha256-noesn"),
        ("aes256gcm16-prfsha384-x25519", "chacha20poly1305-noesn"))]


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
main([*of_suites(), *of_key_logs(), between_two_mendips, ike_in_fragments, flipped_bit_is_found])
