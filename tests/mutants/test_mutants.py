#!/usr/bin/python3
# One-line breakages of the core, each of which must make a test fail. SPDX-License-Identifier: ISC
"""usage: tests/mutants/test_mutants.py [-v] [NAME ...]

Builds the core and its tests once, then for each mutant: changes one place, compiles that file, links, and
runs the tests, those first that are named with it, until one fails. A mutant that all of them pass has survived, and is
a failure here. The unchanged code passes every test, which is checked first.
"""
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import tempfile

SOURCE = os.environ.get("MENDIP_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CC = os.environ.get("CC", "gcc")
INCLUDES = ["common", "esp", "ike", "tunnel", "daemon", "tests", "tests/unit", "tests/exchange"]
FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-DMENDIP_FAULTS", "-O1", "-w",
         f'-DSCENARIO_DIR="{SOURCE}/tests/exchange/scenarios"'] + [f"-I{SOURCE}/{d}" for d in INCLUDES]
LIBS = ["-lcrypto", "-lcmocka"]
PACKAGES = ["libnl-route-3.0", "libevent_core"]  # of the daemon's files
TESTS = {"unit": ["t_window", "t_esp", "t_esp_sa", "t_train", "t_packet", "t_coalesce", "t_segment", "t_inner", "t_gate",
                  "t_flow", "t_spd", "t_ike_wire", "t_auth", "t_detector", "t_history", "t_fault", "t_bridge",
                  "t_adversary"],
         "exchange": ["t_recovery", "t_ike", "t_hostile", "t_limits", "t_lives", "t_saved", "t_seeds", "t_cluster",
                      "t_scenarios", "t_runs"]}
HELPERS = {"unit": ["esp_lab", "esp_run", "ref_model", "coalesce_lab", "ref_coalesce"],
           "exchange": ["peers", "parties", "scenario", "scenario_setup", "scenario_act", "scenario_attack", "scenario_expect",
                        "scenario_report", "draw"]}
# A mutant that hangs a test is caught by it: seconds of the processor, and of a test that waits.
CPU_LIMIT, LIMIT = 300, 900
# A test ends with its first failure; a few of the drawn runs are enough here.
ENVIRONMENT = {**os.environ, "CMOCKA_TEST_ABORT": "1", "MENDIP_RUNS": "300"}

# (name, what would go wrong, file, the code, the mutant, tests that are likely to catch it)
MUTANTS = [
    # ---- who gets in
    ("patterns-from-the-wire", "a peer finds another's secret by a name that is a pattern", "ike/auth/ident.c",
     "return id->type == ID_NONE || id->pattern;", "return id->type == ID_NONE || (is_name(id) && id->data[0] == '*');",
     ["t_hostile"]),
    ("pattern-equals-name", "a name like the pattern fits it as if it were configured", "ike/auth/ident.c",
     "a->len == b->len && a->pattern == b->pattern &&", "a->len == b->len &&", ["t_hostile"]),
    ("names-with-terminators", "two peers have one name", "ike/auth/ident.c",
     "data.len) < 0 || (is_name(&id) && has_controls(&id))", "data.len) < 0", ["t_hostile"]),
    ("mirror-of-the-call", "whoever sends our own call back becomes a half-open peer", "ike/task/init.c",
     "	return sa && sa->initiator;\n", "	(void)sa; return false;\n", ["t_hostile"]),
    ("mirror-with-another-spi", "the same with an SPI of the mirror's", "ike/task/init.c",
     "is_nonce(&sa->handshake->ni, in->p->nonce))", "0)", ["t_hostile"]),
    ("any-auth-data-is-right", "whoever knows the identity is let in", "ike/auth/psk.c",
     "crypto_equal(want, data.p, data.len)", "true", ["t_auth"]),
    ("empty-auth-is-right", "AUTH without data is not looked at", "ike/auth/psk.c",
     "data.len == (size_t)len && ", "data.len <= (size_t)len && ", ["t_auth"]),
    ("handshake-stays", "the secrets of IKE_SA_INIT stay in memory as long as the IKE SA", "ike/task/auth.c",
     "\tsa_end_handshake(sa);\n\ttask_free(t);\n", "\ttask_free(t);\n", ["t_ike"]),
    ("our-own-name", "a peer with our name is let in", "ike/task/auth.c",
     "ident_eq(&id, &sa->conn->local_id) ||", "", ["t_hostile"]),
    ("half-open-as-it-was", "a secret that was removed lets in who called before", "ike/ike.c",
     "\tupdate_half_open(ike, same, now);\n", "", ["t_hostile"]),
    ("revoked-goes-on", "a peer whose secret was removed stays", "tunnel/tunnel.c",
     " && !is_revoked(c, conns->secrets)", "", ["t_hostile"]),
    ("takes-what-another-has", "a peer of a pattern takes another's traffic", "tunnel/admit.c",
     "if (lives(s) && overlap", "if (0 && overlap", ["t_hostile"]),
    ("answers-beyond-the-offer", "a peer answers our rekey with another's addresses", "ike/task/negotiate.c",
     "if (!is_within_offer(t, ret))", "if (0)", ["t_hostile"]),
    ("its-own-is-refused", "a peer of a pattern cannot come again", "tunnel/admit.c",
     "if (ident_eq(conn_peer(c), peer))", "if (0)", ["t_hostile"]),
    ("a-guest-keeps-out-the-owner", "who has a connection of its own does not get what is in it", "tunnel/admit.c",
     "if (!ident_is_pattern(&ike_sa_conn(sa)->remote_id))", "if (0)", ["t_hostile"]),
    ("ike-sas-without-limit", "one peer has all IKE SAs", "ike/sa/limits.c",
     ">= ike->set.peer_sas) {", "> 1000000) {", ["t_limits"]),
    ("recovery-lines-without-end", "a peer that goes back for ever fills the log", "tunnel/tunnel.c",
     "\tif (!t->ike)\n", "\tif (!t->ike || kind != TUNNEL_EVENT_CHILD)\n", ["t_limits"]),
    ("recovery-lines-are-pushed-out", "lines about SAs take the place of those about recoveries", "tunnel/tunnel.c",
     ": ike_recovery_lines(t->ike, peer)", ": ike_peer_lines(t->ike, peer)", ["t_limits"]),
    ("children-without-limit", "one peer has all CHILD SAs", "tunnel/admit.c",
     "return here.children >= set->peer_children ||", "return", ["t_limits"]),
    ("routes-without-limit", "one peer fills the routing table", "tunnel/admit.c",
     "here.routes + more->count > set->peer_routes ||", "", ["t_limits"]),
    ("recovery-without-limit", "one peer has as much again on each IKE SA", "tunnel/admit.c",
     "in_all.children >= 2 * set->peer_children ||", "", ["t_limits"]),
    ("recovery-is-refused", "a peer with many CHILD SAs cannot make them anew on another IKE SA", "tunnel/admit.c",
     "in_all.children >= 2 * set->peer_children ||", "in_all.children >= set->peer_children ||", ["t_limits"]),
    ("rekeys-without-limit", "one peer has all IKE SAs by rekeying one", "ike/task/rekey_ike.c",
     "\n\t    !limit_may_rekey(sa))", "\n\t    false)", ["t_limits"]),
    ("wider-tunnel-takes-all", "a default route keeps all peers of a pattern out", "tunnel/admit.c",
     " && !is_carved_out(s, conf))", ")", ["t_hostile"]),
    ("carved-out-of-the-owner", "a peer of a pattern takes a part of what is another's alone", "tunnel/admit.c",
     "ts_list_within(&conf->remote_ts, s->remote) &&", "", ["t_hostile"]),
    ("deletes-one-by-one", "the answer to a DELETE of many SAs does not fit into a message", "ike/task/info.c",
     "ib_delete_esp(&b, gone.v, gone.count);", "for (unsigned i = 0; i < gone.count; i++) ib_delete_esp(&b, &gone.v[i], 1);",
     ["t_limits"]),
    ("mapping-for-twice-as-long", "a NAT forgets us between two packets", "ike/ike.c",
     "now + sa->ike->set.keepalive / 2);", "now + sa->ike->set.keepalive);", ["t_lives"]),
    ("lines-without-limit", "one peer fills the log", "ike/sa/limits.c",
     "l->bucket.rate = ike->set.peer_log_rate;", "l->bucket.rate = 1000000;", ["t_limits"]),
    ("guesses-without-limit", "secrets are guessed as fast as one can ask", "ike/sa/limits.c",
     "bool may = false;", "bool may = true;", ["t_limits"]),
    ("places-are-held", "addresses that answer cookies keep everybody out", "ike/sa/half_open.c",
     "if (ike->half && ike->half_open >=", "if (0 && ike->half_open >=", ["t_limits"]),
    ("places-are-had-for-long", "the same, for 30 s each", "ike/sa/half_open.c",
     "return ike->half_open < ike->set.half_open_max / 2", "return 1", ["t_limits"]),
    # ---- window and history
    ("lifetime-forgets", "a standby that begins at number 1 meets nobody", "esp/history.c",
     "\tlife_record(h, number, tag, iv);\n",
     "",
     ["t_history", "t_fault"]),
    ("window-one-too-wide", "the configured size is not used exactly", "esp/window.h",
     "if (w->top - n >= w->size)", "if (w->top - n > w->size)", ["t_window"]),
    ("jump-keeps-old-bits", "after a forward jump, places look taken", "esp/window.h",
     "for (uint64_t i = 0; i < steps; i++)", "for (uint64_t i = 0; i + 1 < steps; i++)", ["t_window"]),
    ("no-second-candidate", "under ESN a rewound sender stays an integrity failure", "esp/window.c",
     "return (struct esn_guess){join(high + 1, low), join(high, low)};",
     "return (struct esn_guess){join(high + 1, low), 0};", ["t_window", "t_fault"]),
    ("no-third-candidate", "a standby that begins with 1 in a later subspace is an integrity failure", "esp/window.h",
     "g.second != low ? low : 0;", "g.second != low ? 0 : 0;", ["t_window", "t_scenarios"]),
    # ---- the way in
    ("count-before-the-icv", "forged packets at remembered numbers are proofs", "esp/esp_in.c",
     "\tcase HISTORY_OTHER:\n\t\tpath->ends_batch = may_open_bridge(in, now);",
     "\tcase HISTORY_OTHER:\n\t\tif (detector_rewound(&in->detector, &in->detect, now, s->"
     "number, s->tag, false) == EVIDENCE_CONFIRMS) sad_raise(&path->sad, sa, ESP_EVENT"
     "_SWITCHOVER);\n\t\tpath->ends_batch = may_open_bridge(in, now);",
     ["t_esp", "t_detector", "t_adversary"]),
    ("second-candidate-may-be-fresh", "an old epoch's packet is delivered", "esp/esp_in.c",
     "if (!s->tried_older && is_new(&sa->in, s->number))",
     "if (s->tried_older || is_new(&sa->in, s->number))",
     ["t_train", "t_fault"]),
    ("window-asked-once", "one number twice in a batch is delivered twice", "esp/esp_in.c",
     "if (!s->tried_older && is_new(&sa->in, s->number))",
     "if (!s->tried_older && !s->scratch)",
     ["t_train", "t_esp"]),
    ("replays-are-opened", "a replay can be evidence", "esp/esp_in.c",
     "case HISTORY_SAME: settle_early(path, s, sa, VERDICT_REPLAYED); return false;",
     "case HISTORY_SAME: return true;", ["t_esp", "t_adversary"]),
    ("replays-are-proofs", "whoever recorded a packet triggers rekeys", "esp/esp_in.c",
     "\tif (known == HISTORY_SAME)\n\t\treturn VERDICT_REPLAYED;",
     "\tif (known == HISTORY_SAME)\n\t\treturn VERDICT_REWOUND;",
     ["t_train", "t_esp", "t_adversary"]),
    ("proofs-pay-from-the-budget", "a flood of old numbers starves the proof", "esp/esp_in.c",
     "\t\tnote_ahead(path, sa, s->number);\n\t\treturn true;",
     "\t\tnote_ahead(path, sa, s->number);\n\t\treturn bucket_take(&in->verify, now);",
     ["t_esp", "t_adversary"]),
    ("no-budget-for-the-unknown", "forged old numbers cost a decryption each", "esp/esp_in.c",
     "if (asks(in, s->number) && bucket_take(&in->verify, now))",
     "if (asks(in, s->number))",
     ["t_esp_sa"]),
    ("a-failed-icv-commits", "an outsider moves the window", "esp/esp_in.c",
     "\tif (s->opened)\n\t\tv = judge", "\tif (s->op >= 0)\n\t\tv = judge", ["t_esp", "t_adversary"]),
    ("old-packets-move-the-peer", "a replayed packet takes the peer's address along", "esp/esp_in.c",
     "\tbool was_exposed = in->exposed;",
     "\tbool was_exposed = in->exposed; in->last_fresh = now;", ["t_esp_sa"]),
    ("exposed-key-delivers", "who has the exposed key writes into the network", "esp/esp_in.c",
     "if (sa->in.exposed && sa->in.phase == ESP_IN_RETIRED)",
     "if (0)",
     ["t_esp_sa"]),
    ("retired-delivers-for-ever", "the replaced SA is never drained", "esp/esp_in.c",
     "if (sa->in.phase == ESP_IN_RETIRED && now >= sa->in.deliver_until)\n\t\treturn ESP_DROP_RETIRED;", "", ["t_esp_sa", "t_bridge"]),
    ("selectors-not-checked", "the peer injects packets for any network", "esp/esp_in.c",
     "(!selected(sa->remote,", "(0 && !selected(sa->remote,", ["t_esp", "t_flow"]),
    ("admitted-once-admits-all", "who has one port of a selector has all of them", "esp/esp_in.c",
     "if (!inner_same_flow(in, &found) &&", "if (!addr_eq(&in->src, &found.src) &&", ["t_esp", "t_flow"]),
    ("family-of-the-flow", "IPv4 inside what says IPv6 is delivered", "esp/esp_in.c",
     "return in->src.family == family ? ESP_DROP_COUNT : ESP_DROP_BAD_INNER;", "return ESP_DROP_COUNT;", ["t_flow"]),
    ("recordings-on-retired-are-heard", "a recorder causes liveness checks for ever", "esp/esp_in.c",
     "if (is_drained(in, now) && !was_exposed && s->number > in->rewound_top)",
     "if (is_drained(in, now) && !was_exposed)", ["t_adversary"]),
    # ---- flows that are known by their header
    ("next-of-any-port", "one flow's policy and selectors serve another port", "common/packet/inner.h",
     "memcmp(p + 12, in->src.b, 4) == 0 && memcmp(p + 16, in->dst.b, 4) == 0 &&\n\t\t       get_be32(p + 20) == ports;",
     "memcmp(p + 12, in->src.b, 4) == 0 && memcmp(p + 16, in->dst.b, 4) == 0;", ["t_flow"]),
    ("next-may-be-a-fragment", "a later fragment's bytes are taken for ports", "common/packet/inner.h",
     "(get_be16(p + 6) & 0x3fff) == 0 &&", "", ["t_flow"]),
    ("next-keeps-the-tos", "a flow keeps the class of its first packet", "common/packet/inner.h",
     "in->tos = v4 ? p[1] : (uint8_t)(p[0] << 4 | p[1] >> 4);", "", ["t_flow"]),
    ("policies-change-unseen", "a flow keeps a policy that has gone", "esp/esp_out.c",
     "f->generation == spd->generation &&\n", "1 &&\n",
     ["t_flow"]),
    # ---- putting packets together, cutting them, reading their headers
    ("options-called-verified", "a damaged packet behind a routing header is declared good",
     "common/packet/coalesce.c",
     "if (!in->bare || in->fragment || !(tcp || udp)) {", "if (in->l4 == 0 || in->fragment || !(tcp || udp)) {",
     ["t_coalesce"]),
    ("other-zero-of-ip", "an IPv4 checksum of 0xffff comes out as 0", "common/packet/coalesce.c",
     " && get_be16(p + IPV4_SUM) != 0xffff;", ";", ["t_coalesce"]),
    ("65-datagrams", "the kernel refuses the run", "common/packet/coalesce.c",
     "return s->count < UDP_COUNT;", "return s->count <= UDP_COUNT;", ["t_coalesce"]),
    ("run-too-long", "lengths of more than 16 bits", "common/packet/coalesce.c",
     "(uint32_t)min_u64(s->cap, SUPER_MAX);", "s->cap;", ["t_coalesce"]),
    ("short-one-goes-on", "boundaries of datagrams move", "common/packet/coalesce.c",
     "if (payload < s->size)\n\t\ts->open = false;", "", ["t_coalesce"]),
    ("push-goes-on", "PSH does not end a run", "common/packet/coalesce.c",
     "|= TCP_PSH;\n\t\ts->open = false;", "|= TCP_PSH;", ["t_coalesce"]),
    ("push-is-lost", "PSH of the last one is lost", "common/packet/coalesce.c",
     "s->base[s->l4 + TCP_FLAGS] |= TCP_PSH;", "", ["t_coalesce"]),
    ("any-window", "windows are lost", "common/packet/coalesce.c",
     "memcmp(l4 + 14, q + 14, 2) == 0 &&", "", ["t_coalesce"]),
    ("any-option", "timestamps are lost", "common/packet/coalesce.c",
     "s->hdr_len - s->l4 - 18u)", "2)", ["t_coalesce"]),
    ("any-ece", "ECE is lost", "common/packet/coalesce.c",
     "& ~TCP_PSH) == 0 &&", "& ~(TCP_PSH | TCP_ECE)) == 0 &&", ["t_coalesce"]),
    ("any-ack", "acknowledgements are lost", "common/packet/coalesce.c",
     "memcmp(l4 + 8, q + 8, 5) == 0 &&", "", ["t_coalesce"]),
    ("any-number", "a gap is closed", "common/packet/coalesce.c",
     "return get_be32(l4 + TCP_SEQ) == s->next_seq &&", "return", ["t_coalesce"]),
    ("any-id", "IPv4 IDs are made up", "common/packet/coalesce.c",
     "get_be16(p + 4) == (uint16_t)(get_be16(q + 4) + s->count) &&", "", ["t_coalesce"]),
    ("damaged-merged", "a damaged packet becomes a good one", "common/packet/coalesce.c",
     "if (csum_end(sum) != 0xffff)\n\t\treturn false;", "", ["t_coalesce"]),
    ("damaged-begins", "a damaged packet begins a run", "common/packet/coalesce.c",
     "if (!right || hdr == 0)", "if (hdr == 0)", ["t_coalesce"]),
    ("udp-without-sum-merged", "no checksum becomes one", "common/packet/coalesce.c",
     "get_be16(l4 + UDP_SUM)\n", "true\n", ["t_coalesce"]),
    ("pseudo-of-first-hop", "bad sums behind a routing header", "common/packet/segment.c",
     "if (!in->bare)\n", "if (false)\n", ["t_segment"]),
    ("gso-sum-anywhere", "a header that makes no sense is taken", "common/packet/segment.c",
     "(off->csum_start != in->l4 || off->csum_offset != sum_field(in->proto))", "(off->csum_start != in->l4)",
     ["t_segment"]),
    ("alone-is-as-long-as-many", "a short packet with a segment size is called too big", "common/packet/segment.c",
     "p.seg_len = p.count > 1 ? hdr + off->gso_size : in->len;", "p.seg_len = hdr + off->gso_size;", ["t_packet"]),
    ("sum-of-a-fragment", "a fragment's sum goes for the packet's", "common/packet/segment.c",
     "if (in->fragment) /*", "if (false) /*", ["t_segment"]),
    ("udp-length-unseen", "what is behind a datagram becomes its payload", "common/packet/segment.c",
     "left >= hdr && get_be16(l4 + UDP_LEN) == left ?", "left >= hdr ?", ["t_segment"]),
    ("later-fragment-has-ports", "its bytes are taken for ports", "common/packet/inner.c",
     "return !*later_fragment;", "return true;", ["t_inner"]),
    ("extension-over-the-end", "bytes behind the end are read", "common/packet/inner.c",
     "\tif (*at + size > len)\n\t\treturn false;\n", "", ["t_inner"]),
    ("longer-than-read", "bytes behind the packet are read", "common/packet/inner.c",
     "if (ihl < 20 || total < ihl || total > len)", "if (ihl < 20 || total < ihl)", ["t_inner"]),
    ("not-ect-marked", "CE on what cannot bear it", "common/packet/inner.c",
     "return outer != CE;", "return true;", ["t_inner"]),
    ("ecn-sum-not-adjusted", "IPv4's checksum is wrong after CE", "common/packet/inner.c",
     "(uint32_t)(uint16_t)~old + get_be16(p)", "get_be16(p)", ["t_inner"]),
    # ---- checksums
    ("sum-forgets-the-rest", "the last bytes of a packet are not summed up", "common/packet/checksum.c",
     "return s + sum_rest(dst, p, len);", "sum_rest(dst, p, len); return s;", ["t_packet"]),
    # ---- segments, runs and trains
    ("outer-df-where-narrow", "packets vanish on paths below the kernel's floor", "esp/esp_out.c",
     "out->inner->df && whole && !sa->out.narrow", "out->inner->df && whole", ["t_train"]),
    ("outer-df-though-too-long", "IPv6 of 1,280 bytes stands still on a narrow path", "esp/esp_out.c",
     "out->inner->df && whole && !sa->out.narrow", "out->inner->df && !sa->out.narrow", ["t_train"]),
    ("ipv6-below-its-least", "an error names less than any IPv6 link has", "common/packet/headers.h",
     "#define IPV6_MTU_MIN 1280", "#define IPV6_MTU_MIN 68", ["t_train"]),
    ("train-of-two-df", "DF of one packet is another's", "esp/esp_out.c",
     "a->tos == b->tos && a->df == b->df", "a->tos == b->tos", ["t_train"]),
    ("mtu-that-does-not-fit", "packets vanish on paths below 580", "daemon/mtu.c",
     "max_u64(fits, 1)", "max_u64(fits, 552)", ["t_mtu"]),
    ("df-not-told", "the path's MTU is never learned", "daemon/udp.c",
     "df ? IP_PMTUDISC_DO :", "df ? IP_PMTUDISC_WANT :", ["t_udp"]),
    ("one-narrow-path-for-all", "one peer's path switches trains off for others", "daemon/udp.c",
     "memcmp(r->addr, t->remote->addr.b, 4) != 0 || ", "", ["t_udp"]),
    ("spins-without-memory", "a kernel without memory keeps us at full speed", "daemon/udp.c",
     "errno == ENOBUFS && s->starved < PATIENCE", "errno == ENOBUFS", ["t_udp"]),
    ("refused-bytes-twice", "a refused train is sent again from its beginning", "daemon/udp.c",
     "fill(m, iov, common, t->p + done,", "fill(m, iov, common, t->p,", ["t_udp"]),
    ("cut-control-is-read", "a length that is not there is believed", "daemon/udp.c",
     "if (!d[i].truncated)", "if (1)", ["t_udp_in"]),
    ("cut-control-is-taken", "a datagram without its size is taken for one", "daemon/udp.c",
     "(MSG_TRUNC | MSG_CTRUNC)", "MSG_TRUNC", ["t_udp_in"]),
    ("offloads-of-the-last-owner", "with offload off super-packets come all the same", "daemon/tun.c",
     "t->vnet ? 0 : ARRAY_SIZE(offload_sets) - 1", "0", ["t_tun"]),
    ("refused-run-is-tried-for-ever", "each run is written twice", "daemon/tun.c",
     "\tt->rest = REST;\n", "", ["t_tun"]),
    ("trains-wait", "a packet of another class falls out of the window", "daemon/data_out.c",
     "sealed - s->order > OVERTAKEN_MAX", "sealed - s->order > 100000", ["t_data_out"]),
    ("parked-in-clear", "what waits for space is sealed with a key that may go", "daemon/data_out.c",
     "if (s->train.count && !s->sealed)", "if (0)", ["t_data_out", "t_data_random"]),
    ("one-train-for-all-classes", "bulk data holds what is urgent", "daemon/data_out.c",
     "if (has->tos >> 2 == out->dest.tos >> 2)", "if (1)", ["t_data_out"]),
    ("ecn-makes-a-class", "a flow overtakes itself when it is marked", "daemon/data_out.c",
     "if (has->tos >> 2 == out->dest.tos >> 2)", "if (has->tos == out->dest.tos)", ["t_data_out"]),
    ("resumed-from-the-front", "the rest of a train sends its beginning again", "daemon/data_out.c",
     "u.p = t->base + s->sent;", "u.p = t->base;", ["t_data_random"]),
    ("sealed-again-from-the-front", "segments that went take numbers again", "daemon/data_out.c",
     "\t\tout->at = at;\n", "", ["t_data_out"]),
    ("rekeyed-while-parked", "the rest of a super-packet goes with the old SA", "daemon/data_out.c",
     "\t\troute(d, &d->out.out, daemon_now());", "\t\td->out.pending = !seal(d, &d->out.out, daemon_now());", ["t_data_out"]),
    ("turn-without-end", "small segments keep IKE waiting", "daemon/data_out.c",
     "max_u64(d->out.out.len >> 14, (d->out.sealed - before) / 16)", "(d->out.out.len >> 14)", ["t_data_out"]),
    ("answers-without-bound", "ICMP errors as fast as packets come", "daemon/data_out.c",
     "if (s.len && bucket_take(&d->icmp_bucket, now))", "if (s.len)", ["t_data_out"]),
    ("train-longer-than-udp", "a train that no datagram can hold", "daemon/data_out.c",
     "#define TRAIN_MAX 65507", "#define TRAIN_MAX 65536", ["t_data_out"]),
    ("run-is-held", "packets wait for the next turn", "daemon/data_in.c",
     "\tdeliver(d);\n\treturn n > 0", "\treturn n > 0", ["t_data_in"]),
    ("cut-datagrams-are-used", "bytes that are missing are made up", "daemon/data_in.c",
     "if (g->truncated || g->seg == 0) {", "if (g->seg == 0) {", ["t_data_in"]),
    ("mixed-train-is-one-kind", "IKE within a train of ESP is lost", "daemon/data_in.c",
     "receive(d, &g[i], which != UDP_IKE, now);", "receive(d, &g[i], which == UDP_ESP, now);", ["t_data_in"]),
    ("ike-flood-stops-data", "whoever sends IKE keeps ESP waiting", "daemon/data_in.c",
     "(d->in.ike_served += served) >= RX_BATCH", "(d->in.ike_served = served) >= RX_BATCH", ["t_data_in"]),
    ("ike-flood-stops-commands", "whoever sends IKE keeps mendipctl waiting", "daemon/data_in.c",
     "\t\tcontrol_serve(d->control);\n", "", ["t_data_in"]),
    ("answers-with-state-overtake", "an answer arrives before what was said first", "daemon/data.c",
     "a->count && (a->count == RX_BATCH || !waits)", "a->count == RX_BATCH", ["t_data_in"]),
    ("answers-with-state-wait", "a rekey waits for the key exchanges of others", "daemon/data.c",
     " && get_be64(p + 8) == 0", "", ["t_data_in"]),
    ("answers-from-one-address", "a gateway with two addresses answers from the wrong one", "daemon/data.c",
     ".local = a->v[i].local", ".local = a->v[0].local", ["t_data_in"]),
    ("gathered-for-another-socket", "IKE of port 500 leaves port 4500", "daemon/data.c",
     "d->in.answers.socket == s && gathered", "d->in.answers.socket && gathered", ["t_data_in"]),
    ("gathered-for-ever", "what is sent later waits for the next message", "daemon/data.c",
     "\ta->socket = NULL;\n", "", ["t_data_in"]),
    ("each-from-any-address", "answers leave with the address that the route has", "daemon/udp.c",
     "address(h, &e[i].sin, e[i].control, &m[i].local, &m[i].remote, 0);",
     "address(h, &e[i].sin, e[i].control, &(struct endpoint){0}, &m[i].remote, 0);", ["t_udp_in"]),
    ("proofs-overtake-answers", "a packet comes for an SA that nobody was told of", "daemon/data.c",
     "\tif (d->in.answers.count)\n\t\tflush_answers(d, &d->in.answers);\n", "", ["t_data_in"]),
    ("answers-are-not-gathered", "a flood of IKE_SA_INIT costs a call of the kernel for each cookie", "daemon/data_in.c",
     "\tdata_gather(d, &d->udp[which]);\n", "", ["t_data_in"]),
    ("refused-message-stops-the-rest", "one address that is unreachable silences the answers to others", "daemon/udp.c",
     "m[done++].error = -errno;", "m[done++].error = -errno, done = n;", ["t_udp_in"]),
    # ---- the way out
    ("numbers-wrap", "the sender uses its numbers twice", "esp/esp_out.c",
     "if (o->number == last_number(o) ||", "if (", ["t_esp", "t_esp_sa"]),
    ("ivs-follow-the-number", "setting the number back repeats nonces", "esp/esp_out.c",
     "put_be64(iv, o->iv_counter ^ o->iv_mask);", "put_be64(iv, o->number);", ["t_esp", "t_recovery", "t_fault"]),
    # ---- detector
    ("fresh-clears-proofs", "one packet let through by an attacker undoes a proof", "esp/detector.c",
     "if (d->state == DETECTOR_CALM || criterion_is_proof(d->criterion))",
     "if (d->state == DETECTOR_CALM)",
     ["t_detector", "t_adversary"]),
    ("fresh-keeps-the-pattern", "old packets among new ones are counted as a switchover", "esp/detector.c",
     "void detector_fresh_slow(struct detector *d)\n{\n\tforget_pattern(d);",
     "void detector_fresh_slow(struct detector *d)\n{",
     ["t_detector"]),
    ("proofs-not-remembered", "a recorded REWOUND packet is proof again", "esp/detector.c",
     "pair_add(&memory_of(d)->rewound, number, tag);", "(void)memory_of(d);", ["t_detector", "t_adversary"]),
    # ---- gate
    ("quiet-not-reset", "after the first quiet, each proof is quiet at once", "tunnel/gate.c",
     "\tif (a->quiet_until) /* over: all starts from zero */\n\t\tstart_from_zero(a);", "", ["t_gate", "t_recovery"]),
    ("hints-spend-what-proofs-need", "a pattern uses up the allowance of proofs", "tunnel/gate.c",
     "return criterion_is_proof(c) ? &g->proof : &g->hint;\n}\n\n/* How many",
     "return &g->proof;\n}\n\n/* How many",
     ["t_gate"]),
    ("in-progress-not-asked", "a second rekey beside the one that is out", "tunnel/gate.c",
     "if (f->in_progress)", "if (0)", ["t_gate", "t_recovery"]),
    ("never-quiet", "two senders make us rekey for ever", "tunnel/gate.c",
     "(!criterion_is_proof(c) || none_helped(a, o->max_rekeys))",
     "0",
     ["t_gate", "t_scenarios"]),
    ("old-secrets-never-stay", "a secret cannot be changed without an outage", "tunnel/tunnel.c",
     "return old && !ike_settings_of(ike)->old_secrets_stay &&", "return old &&", ["t_hostile"]),
    ("new-conf-for-what-stays", "a connection is told to its peers by one configuration and answered by another",
     "tunnel/tunnel.c", "			conn_set_replace(&kept, new, c->conf);\n", "			;\n", ["t_lives"]),
    # ---- devices
    ("policies-of-all-devices", "a packet takes the tunnel of another device", "esp/esp_out.c",
     "const struct spd *spd = &path->devices[out->device].spd;", "const struct spd *spd = &path->devices[0].spd;",
     ["t_device"]),
    ("flow-of-another-device", "a flow that is known takes the same tunnel from another device", "esp/esp_out.c",
     "path->flow_device == out->device", "path->flow_device + 1", ["t_device"]),
    ("run-for-two-devices", "packets of two tunnels come out of one device", "esp/esp_in.c",
     "return super->device == device && pkt_super_add", "return pkt_super_add", ["t_device"]),
    ("takes-what-another-takes", "a device is given runs that it does not take", "esp/esp_in.c",
     "super->accept = path->devices[device].accept;", "super->accept = path->devices[0].accept;", ["t_device"]),
    ("device-of-another-takes", "0.0.0.0/0 on a device of its own is refused for what another peer has", "tunnel/admit.c",
     "if (!same_device(k->conf, conf))", "if (0)", ["t_hostile"]),
    ("link-flaps-in-a-rekey", "the link goes down and up within a turn", "daemon/device.c",
     "\td->devices.stale = true;\n", "\td->devices.stale = true;\n\tdevices_settle(d);\n", ["t_device"]),
    ("device-name-taken-too-soon", "what comes late on an SA reaches the device of another child", "daemon/device.c",
     "if (sa && sa->in.key && sa->in.device == v->tun.device)", "if (0)", ["t_device"]),
    ("device-made-in-a-circle", "a device that is removed each time it comes takes all the time", "daemon/device.c",
     "if (!wait)", "if (1)", ["t_device"]),
    ("pending-for-another-device", "half of a super-packet goes to the peer of another child", "daemon/device.c",
     "\t\td->out.pending = false;\n", "\t\t;\n", ["t_device"]),
    ("refused-mtu-is-believed", "an MTU that could not be set is never set", "daemon/mtu.c",
     "\t\tv->refused = mtu;\n", "\t\tv->refused = v->mtu = mtu;\n", ["t_mtu"]),
    ("device-read-while-full", "a device made while the socket is full is read all the same", "daemon/device.c",
     "if (!d->out.parked)", "if (1)", ["t_device"]),
    # ---- recovery
    ("inbound-dropped-at-delete", "a healthy rekey loses the packets in flight", "tunnel/child_events.c",
     "\t\ttunnel_sa_drain(s, now);\n", "\t\ttunnel_sa_forget(s);\n\t\treturn;\n", ["t_recovery"]),
    ("drain-of-nothing", "the replaced SA stops delivering at once", "tunnel/tunnel_sa.c",
     "sad_retire(&t->path->sad, sa, now + DRAIN);", "sad_retire(&t->path->sad, sa, now);", ["t_recovery"]),
    ("nonce-reuse-waits", "an exposed key stays in use for the jitter", "tunnel/recovery.c",
     "g->backoff + (at_once ? 0 : jitter)",
     "g->backoff + jitter",
     ["t_recovery", "t_scenarios"]),
    ("peers-rekey-not-seen", "we rekey on top of the peer's own rekey", "tunnel/recovery.c",
     "\tcase RECOVERY_DELAYED: give_back(s); break;",
     "\tcase RECOVERY_DELAYED: return;",
     ["t_recovery", "t_scenarios"]),
    ("older-sa-without-asking", "traffic on a replaced SA makes a new IKE SA at once", "tunnel/hints.c",
     "ike_liveness(s->check_on, IKE_LATE_HINT, now);",
     "recovery_late(s->child, s->check_on, \"mutant\", now);",
     ["t_recovery"]),
    ("takeover-before-all-children", "the old IKE SA goes while children are only on it", "tunnel/beside.c",
     "if (!has_all_children(c, sa) || !conn_peer_has(sa)) {",
     "if (!conn_peer_has(sa)) {",
     ["t_recovery", "t_scenarios"]),
    # ---- IKE
    ("late-is-not-told", "a gateway that lost the IKE SA costs minutes", "ike/sa/exchange.c",
     "\tike->ops.ike_event(ike->ops.ctx, sa, IKE_EVENT_LATE, NULL, why, now);\n",
     "",
     ["t_recovery"]),
    ("any-old-request-went-back", "whoever replays an IKE request starts rung 3", "ike/receive.c",
     "if (!crypto_equal(d, sa->remembered[slot].digest, sizeof(d)))", "if (1)", ["t_ike", "t_recovery"]),
    ("old-ids-say-nothing", "a gateway with older message IDs is never noticed", "ike/receive.c",
     "if (!crypto_equal(d, sa->remembered[slot].digest, sizeof(d)))", "if (0)", ["t_recovery"]),
    ("response-not-kept", "a retransmitted request is answered with other bytes", "ike/sa/exchange.c",
     "\tremember(sa, &h, msg, len);\n", "", ["t_ike", "t_seeds"]),
    ("the-other-rekey-wins", "a peer of another make keeps another SA of a collision", "ike/task/child.c",
     "return nonce_cmp(ours, &t->rival_nonce) < 0;", "return nonce_cmp(ours, &t->rival_nonce) > 0;", ["t_ike"]),
    ("each-keeps-its-own-rekey", "the two sides keep different SAs of a collision", "ike/task/child.c",
     "return nonce_cmp(ours, &t->rival_nonce) < 0;", "return false;", ["t_ike", "t_seeds"]),
    ("old-ike-messages-are-life", "replayed IKE messages hide that the peer is dead", "ike/receive.c",
     "\tdigest(text, len, d);\n\tif (!sa->remembered", "\theard(sa, in);\n\tdigest(text, len, d);\n\tif (!sa->remembered",
     ["t_ike"]),
    ("not-found-gives-up", "a gateway without the CHILD SA gets no new one", "ike/task/child.c",
     "\tike_child_replace(old, t->task.late, now);",
     "\tchild_kill(old, \"mutant\", now);",
     ["t_recovery"]),
    ("any-cookie-will-do", "half-open SAs for spoofed addresses", "ike/sa/half_open.c",
     "return crypto_equal(want, cookie.p, COOKIE_LEN);", "return true;", ["t_ike"]),
    ("initial-contact-beside", "rung 3 tells the gateway to drop what still works", "ike/task/auth.c",
     "if (!sa->beside && !has_sibling(sa))", "if (1)", ["t_recovery"]),
    # ---- the near ring, the bridge, and recovery for each SA
    ("lap-not-told", "an entry of another lap answers for this number", "esp/history.c",
     "return b && b->index == index ? b->v : NULL;",
     "return b ? b->v : NULL;",
     ["t_history"]),
    ("all-zero-is-not-received", "a packet whose tag and IV are zero can be delivered twice", "esp/history.h",
     "(struct near_entry){tag, iv | (tag == 0 && iv == 0)};",
     "(struct near_entry){tag, iv};",
     ["t_history"]),
    ("forgotten-reads-as-absent", "what was forgotten passes for never received, and is delivered twice",
     "esp/history.c",
     "\th->floor = index * HISTORY_BLOCK;\n",
     "",
     ["t_history", "t_bridge"]),
    ("retired-takes-from-live", "a replaced SA takes what live ones need", "esp/history.c",
     "\tif (h->retired)\n\t\treturn false;\n\tvictim", "\tvictim",
     ["t_history"]),
    ("retired-is-not-known", "a replaced SA is not the first to give", "esp/esp_sa.c",
     "\thistory_retire(&sa->in.history);\n", "",
     ["t_esp_sa"]),
    ("lower-cap-waits", "less memory by a reload is not given back", "esp/history.c",
     "while (!is_free(b, 0)) {", "while (0) {",
     ["t_history"]),
    ("places-stay", "an SA that once had much keeps the places of it", "esp/history.c",
     "while (room > RING_START && h->blocks < room / 4)", "while (0)",
     ["t_history"]),
    ("oldest-stays", "at the cap the newest numbers are not recorded", "esp/history.c",
     "\t\tstruct near_block *b = &h->ring[h->first++];", "\t\tstruct near_block *b = &h->ring[h->first];",
     ["t_history"]),
    ("retired-does-not-end", "a %any connection without an end of its lifetimes is kept for ever", "tunnel/conn.c",
     "\tend_retired_of_dynamic(c, now);\n\tconn_free", "\tconn_free",
     ["t_lives"]),
    ("half-open-for-ever", "IKE_AUTH is repeated to a peer that has forgotten the call", "ike/task/init.c",
     "\tdeadline_set(&sa->ike->deadlines, &sa->expire, auth_until(sa, in->now));\n", "", ["t_ike"]),
    ("half-open-since-the-answer", "the same where the answer to IKE_SA_INIT was late", "ike/task/init.c",
     "return max_u64(sa->request_since + sa->ike->set.half_open_timeout,", "return max_u64(now + sa->ike->set.half_open_timeout,",
     ["t_ike"]),
    ("init-of-any-length", "an outsider makes us keep 64 KiB for each half-open SA", "ike/task/init.c",
     "if (in->raw_len > IKE_MAX_MESSAGE) {", "if (0) {",
     ["t_ike"]),
    ("proposals-before-addresses", "who is nobody's peer is answered", "ike/task/init.c",
     "if (!is_expected(ike, in)) {", "if (0) {",
     ["t_ike"]),
    ("others-checks", "what was to be done on one IKE SA is done on another", "tunnel/recovery.c",
     "\tif (s->check_on != sa)\n\t\treturn CRITERION_NONE;\n", "",
     ["t_recovery", "t_scenarios", "t_runs"]),
    ("lifetime-starves-the-rings", "early SAs keep what late ones need", "esp/history.c",
     "if (h->life_size > LIFE_START && life_units(h) * 2 > h->blocks)",
     "if (h->life_size > LIFE_START && h->blocks < 2)",
     ["t_history"]),
    ("shaved-to-one-block", "the ring gives what the lifetime entries should", "esp/history.c",
     "if (h->blocks > 1 && h->blocks >= life_units(h))", "if (h->blocks > 1)",
     ["t_history"]),
    ("nobody-gives", "an SA that was once refused stays short", "esp/history.c",
     "\t\tif (!take_from_others(h))\n\t\t\treturn false;",
     "\t\treturn false;",
     ["t_history"]),
    ("retired-keeps-its-memory", "a replaced SA holds what live ones need", "esp/history.c",
     "\tif (take_from_retired(b, h))\n\t\treturn true;\n",
     "",
     ["t_history"]),
    ("withheld-packets-count-again", "65 packets replayed meet a criterion of 1,000", "esp/detector.c",
     "\tif (!set_add(&d->memory->distinct, number, tag))\n\t\treturn EVIDENCE_NONE;",
     "\tset_add(&d->memory->distinct, number, tag);",
     ["t_detector"]),
    ("both-asks-within-reach", "late packets within reach pass for a switchover", "esp/esp_in.c",
     "return detector_asks(&in->detect, history_reaches(&in->history, number));",
     "return detector_asks(&in->detect, false);",
     ["t_detector", "t_adversary"]),
    ("absent-numbers-move-the-bridge", "whoever withheld packets moves the bridge past the sender", "esp/bridge.c",
     "if (known && number + b->size > b->window.top)",
     "if (number + b->size > b->window.top)",
     ["t_bridge"]),
    ("bridge-delivers-twice", "a packet of the second lap is delivered again", "esp/bridge.c",
     "\tcase WINDOW_TAKEN:\n\tcase WINDOW_LEFT: return false;",
     "\tcase WINDOW_TAKEN: return true;\n\tcase WINDOW_LEFT: return false;",
     ["t_bridge"]),
    ("bridge-delivers-what-it-left", "what is left of the bridge is delivered again", "esp/bridge.c",
     "\tcase WINDOW_TAKEN:\n\tcase WINDOW_LEFT: return false;",
     "\tcase WINDOW_TAKEN: return false;\n\tcase WINDOW_LEFT: return known;",
     ["t_bridge"]),
    ("bridge-far-ahead", "numbers far from the sender's are admitted", "esp/bridge.c",
     "case WINDOW_RIGHT: return known; /*",
     "case WINDOW_RIGHT: return true; /*",
     ["t_bridge"]),
    ("bridge-opens-without-proof", "a withheld packet opens the bridge", "esp/bridge.c",
     "\tif (!b->open)\n\t\treturn known;",
     "\tif (!b->open)\n\t\treturn true;",
     ["t_bridge"]),
    ("bridge-beyond-reach", "a number out of the ring's reach is admitted", "esp/esp_in.c",
     "if (history_reaches(&in->history, s->number) && !reused",
     "if (!reused",
     ["t_bridge"]),
    ("bridge-in-spite-of-nonces", "a repeated nonce is bridged", "esp/esp_in.c",
     "\tbridge_close(&in->bridge);\n",
     "",
     ["t_fault", "t_bridge"]),
    ("bridge-cannot-be-switched-off", "the option does nothing", "esp/esp_in.c",
     "return in->bridge_on && !in->exposed",
     "return !in->exposed",
     ["t_bridge"]),
    ("bridge-outlives-the-drain", "a replaced SA delivers for ever", "esp/esp_in.c",
     "return in->bridge_on && !in->exposed && !is_drained(in, now) &&",
     "return in->bridge_on && !in->exposed &&",
     ["t_bridge"]),
    ("bridge-is-no-life", "a tunnel that only the bridge carries looks dead", "esp/esp_in.c",
     "\tin->bridged++;\n\tnote_delivery(in, now);\n\tin->last_fresh = now;",
     "\tin->bridged++;\n\tnote_delivery(in, now);",
     ["t_esp", "t_bridge"]),
    ("batch-goes-on", "packets behind the one that opens the bridge are lost", "esp/esp_in.c",
     "path->slot_count < ESP_BATCH && !path->ends_batch)",
     "path->slot_count < ESP_BATCH)",
     ["t_bridge"]),
    ("no-look-ahead", "a train that is wider than the window loses packets", "esp/esp_in.c",
     "\t\treturn path->ahead_sa.gen == ref.gen &&",
     "\t\treturn false && path->ahead_sa.gen == ref.gen &&",
     ["t_bridge"]),
    ("nobody-waits", "a lossy first lap costs packets before the proof", "esp/esp_in.c",
     "\tif (may_open_bridge(&sa->in, now))\n\t\tparked_add",
     "\tif (0)\n\t\tparked_add",
     ["t_bridge"]),
    ("replays-are-a-loss", "a recorder changes the figure of loss", "esp/esp_in.c",
     "\tif (behind)\n\t\tin->unverified++;\n\telse\n\t\tin->missed++;",
     "\tin->missed++;",
     ["t_adversary"]),
    ("second-lap-proves-again", "a recorder of the second lap makes proofs", "esp/esp_in.c",
     "weigh_rewound(path, sa, s, reused, live && (!behind || proof_is_begun(in)), now);",
     "weigh_rewound(path, sa, s, reused, live, now);",
     ["t_adversary"]),
    ("helped-proofs-are-refused", "a pair that flaps is refused", "tunnel/gate.c",
     "ring[(ticket - 1) % GATE_REMEMBERED].helped = true;",
     "ring[(ticket - 1) % GATE_REMEMBERED].helped = false;",
     ["t_gate", "t_scenarios"]),
    ("siblings-pay", "the fourth SA of a child waits", "tunnel/gate.c",
     "if (criterion_is_proof(c) && !f->again && counted(a) && f->installed < newest(a, 0)->at)",
     "if (0)",
     ["t_gate"]),
    ("no-backoff", "two senders make us rekey as fast as we can", "tunnel/gate.c",
     "\t\tr->backoff = backoff(n - o->max_rekeys);",
     "\t\tr->backoff = 0;",
     ["t_gate"]),
    ("void-never", "a rekey that the standby does not know keeps ours back", "tunnel/recovery.c",
     "\tif (now - made->installed < PEER_REKEY_LIMIT)\n\t\treturn true;",
     "\treturn true;",
     ["t_scenarios"]),
    ("third-lap-waits", "packets are lost while the gate waits", "tunnel/recovery.c",
     "\tat = r->timer.at - (r->backoff - left);",
     "at = r->timer.at;",
     ["t_scenarios"]),
    ("not-asked-again", "detection that is switched on again does nothing", "tunnel/child.c",
     "\tif (gate_differs(&old, o))\n\t\ttunnel_child_reset(c, now);",
     "",
     ["t_scenarios"]),
    ("answerers-never-call", "a branch that only answers is not mended", "tunnel/conn.c",
     "return conn_remote_count(c->conf) > 0 ||",
     "return conn_remote_count(c->conf) > 0 || 0 &&",
     ["t_cluster", "t_scenarios"]),
    ("any-peer-will-do", "whoever is at the address is called back", "tunnel/conn.c",
     "c->dynamic ? &c->peer_id : NULL",
     "NULL",
     ["t_cluster"]),
    ("invalid-spi-is-ignored", "only we send, into nothing", "ike/task/info.c",
     "if (c && !c->successor && c->state == CHILD_STATE_INSTALLED)",
     "if (0 && c)",
     ["t_scenarios"]),
    ("pfs-or-nothing", "no child of a peer without PFS is ever rekeyed", "ike/task/child.c",
     "\tif (!t->kex || !proposals_without_group(&t->conf->proposals))\n\t\treturn false;",
     "\treturn false;",
     ["t_recovery"]),
    ("own-offer-is-refused", "the peer picks our proposal without a key exchange, and we refuse it",
     "ike/task/negotiate.c",
     "ret->choice.group != GROUP_NONE && ret->choice.group != group)",
     "ret->choice.group != group)",
     ["t_cluster"]),
    ("foreign-types-spoil", "a type of transform whose only value is NONE spoils a proposal", "ike/wire/proposal.c",
     "\t\tif (t.id == 0)\n\t\t\tset_type(read->optional, t.type);",
     "",
     ["t_ike_wire"]),
    ("foreign-types-pass", "a type of transform that must be answered is left out", "ike/wire/proposal.c",
     "p->unknown |= (read.foreign[i] & ~read.optional[i]) != 0;",
     "p->unknown |= 0;",
     ["t_ike_wire"]),
    ("first-address-decides", "the second connection for anyone is never reached", "ike/task/init.c",
     "\t\tfit += common ? FIT_PROPOSALS : 0;",
     "\t\t\tfit += 0;",
     ["t_cluster"]),
    ("sync-again", "a recorded takeover moves our message IDs", "ike/task/sync.c",
     "(sa->synced && m1 <= sa->sync_m1)",
     "0",
     ["t_cluster"]),
    ("sync-unasked", "a peer that never announced it moves our message IDs", "ike/task/sync.c",
     "return sa->ha_peer && sa->established",
     "return sa->established",
     ["t_cluster"]),
    ("sync-leaps-far", "a peer uses up our sequence numbers", "esp/esp_out.c",
     "by = min_u64(min_u64(by, ESP_LEAP_MAX), room);",
     "by = min_u64(by, room);",
     ["t_cluster"]),
    ("first-of-a-block-reads-as-absent", "a block's first packet, of zero tag and IV, can be delivered twice",
     "esp/history.c",
     "struct near_entry *v, e = {tag, iv | (tag == 0 && iv == 0)};",
     "struct near_entry *v, e = {tag, iv};",
     ["t_history"]),
    ("unrecorded-reads-as-absent", "what a short history did not record passes for never received", "esp/history.c",
     "\t\traise_floor(h, index + 1, 0, false);\n\t\treturn;",
     "\t\treturn;",
     ["t_history"]),
    ("victims-lose-all", "the largest SA is left with one block", "esp/history.c",
     "uint32_t want = h->blocks / 2;",
     "uint32_t want = 1;",
     ["t_history"]),
    ("no-share-by-right", "an SA below its share gets nothing from one a little larger", "esp/history.c",
     "victim = mine < share ? largest(b->live, mine + 2, h) : NULL;",
     "victim = NULL;",
     ["t_history"]),
    ("late-packet-takes-a-newer-block", "late packets cost newer ones their record", "esp/history.c",
     "\t\tif (index < oldest(h))\n\t\t\treturn NULL;\n",
     "",
     ["t_history"]),
    ("life-phase-is-known", "a recorder knows which numbers an SA remembers for life", "esp/history.c",
     "h->life_phase += rng_below(h->rng, 2) * h->life_step;",
     "",
     ["t_history"]),
    ("bridge-forgets-when-switched-off", "what the bridge delivered is delivered again after off and on",
     "esp/esp_sa.c",
     "\tsa->in.bridge_on = bridge;",
     "\tsa->in.bridge_on = bridge;\n\tif (!bridge)\n\t\tbridge_fini(&sa->in.bridge);",
     ["t_bridge"]),
    ("bridge-delivers-a-reused-nonce", "a packet with a repeated nonce is delivered", "esp/esp_in.c",
     "history_reaches(&in->history, s->number) && !reused",
     "history_reaches(&in->history, s->number)",
     ["t_bridge"]),
    ("bridge-under-pattern", "the bridge opens where proof is not asked for", "esp/esp_in.c",
     "!is_drained(in, now) &&\n\t       (in->detect.mode == DETECT_PROOF || in->detect.mode == DETECT_BOTH);",
     "!is_drained(in, now);",
     ["t_bridge"]),
    ("bridge-pays-from-the-budget", "a flood of forged numbers starves the bridge", "esp/esp_in.c",
     "\t\tif (bridge_asks(path, sa, s->number, now))\n\t\t\treturn true;",
     "\t\tif (bridge_asks(path, sa, s->number, now))\n\t\t\treturn bucket_take(&in->verify, now);",
     ["t_bridge"]),
    ("bridge-edge-too-near", "the edge of the bridge is behind the sender by its size", "esp/bridge.c",
     "window_advance(&b->window, number + b->size);",
     "window_advance(&b->window, number);",
     ["t_bridge"]),
    ("never-looked-at-again", "what waited for the bridge is lost", "esp/esp_in.c",
     "if (path->late_due && next_late(path))",
     "if (0 && next_late(path))",
     ["t_bridge"]),
    ("set-forgets-when-it-grows", "packets count again when the set grows", "esp/detector.c",
     "\t\tif (s->v[i].round == s->round)\n\t\t\tn.count",
     "\t\tif (0)\n\t\t\tn.count",
     ["t_detector"]),
    ("set-is-never-emptied", "packets of an earlier pattern do not count in a new one", "esp/detector.c",
     "\t\tset_empty(&d->memory->distinct);\n",
     "",
     ["t_detector"]),
    ("reset-leaves-the-allowance", "an operator's reset leaves the gate quiet", "tunnel/gate.c",
     "\tstart_from_zero(&g->proof);\n",
     "",
     ["t_gate"]),
    ("siblings-free-again-and-again", "an SA whose rekey failed is admitted without end", "tunnel/gate.c",
     "if (criterion_is_proof(c) && !f->again && counted(a)",
     "if (criterion_is_proof(c) && counted(a)",
     ["t_gate"]),
    ("given-back-not-at-all", "switchovers that the peer mended use up the allowance", "tunnel/gate.c",
     "\t\ta->count--;",
     "\t\t;",
     ["t_gate"]),
    ("running-without-a-timer", "a ladder that comes to nothing is never looked at", "tunnel/recovery.c",
     "\tif (state == RECOVERY_IDLE)\n\t\tdeadline_clear(h, &s->recovery.timer);",
     "\tif (state == RECOVERY_IDLE || state == RECOVERY_RUNNING)\n\t\tdeadline_clear(h, &s->recovery.timer);",
     ["t_recovery"]),
    ("refused-without-a-timer", "after a quiet nothing is looked at again", "tunnel/recovery.c",
     "\tif (state == RECOVERY_IDLE)\n\t\tdeadline_clear(h, &s->recovery.timer);",
     "\tif (state == RECOVERY_IDLE || state == RECOVERY_REFUSED)\n\t\tdeadline_clear(h, &s->recovery.timer);",
     ["t_scenarios"]),
    ("switched-on-looks-not-again", "a rewind found while detection was off waits for ever", "tunnel/recovery.c",
     "\t\t\trecovery_confirmed(s, why, now);\n\t\telse if (s->recovery.state == RECOVERY_REFUSED)",
     "\t\t\t;\n\t\telse if (s->recovery.state == RECOVERY_REFUSED)",
     ["t_scenarios"]),
    ("late-climbs-not", "an answer that does not come leads nowhere", "tunnel/recovery.c",
     "\t\tif (waits && depends_on(s, sa))",
     "\t\tif (0)",
     ["t_recovery"]),
    ("refused-climbs-not", "a gateway that refuses rekeys is never left", "tunnel/recovery.c",
     "\t\t\trecovery_climb(o, o->recovery.now.criterion, why, now);",
     "\t\t\t;",
     ["t_recovery"]),
    ("unverified-is-lost", "the record counts as lost what may have been a replay", "tunnel/record.c",
     "\tr->lost = sa->in.missed;",
     "\tr->lost = sa->in.missed + sa->in.unverified;",
     ["t_scenarios"]),
    ("refusals-push-records-out", "a quiet pushes out the records of real recoveries", "tunnel/record.c",
     "if (r->id && r->outcome == outcome && r->confirmed >= since &&",
     "if (0 && r->id && r->outcome == outcome && r->confirmed >= since &&",
     ["t_scenarios"]),
    ("sixteen-proposals", "a peer with many proposals is refused", "ike/wire/proposal.c",
     "\tif (*at >= o->body.len)",
     "\tif (*at >= o->body.len || *at > 16 * 44)",
     ["t_ike_wire"]),
    ("unknown-spoils", "an algorithm that we do not have spoils the proposal", "ike/wire/proposal.c",
     "\tif (!unknown && is_known(&t) &&",
     "\tread->p->unknown |= unknown || !is_known(&t);\n\tif (!unknown && is_known(&t) &&",
     ["t_ike_wire"]),
    ("unknown-takes-the-place", "algorithms that we do not have push out ours", "ike/wire/proposal.c",
     "\tif (!unknown && is_known(&t) &&",
     "\tif (!unknown &&",
     ["t_ike_wire"]),
    ("sync-ids-leap-far", "a peer uses up our message IDs", "ike/task/sync.c",
     "(m2 > ours && m2 - ours > IDS_AHEAD_MAX)",
     "0",
     ["t_cluster"]),
    ("sync-not-announced", "a cluster never learns that we can do this", "ike/task/sync.c",
     "if (!sa->conn->ha_peer)\n\t\treturn;",
     "return;",
     ["t_cluster"]),
    ("outstanding-stays-lost", "what was asked before the takeover is never answered", "ike/task/sync.c",
     "\ttask_retry(t, now);\n}\n\nvoid sync_on_request",
     "\ttask_free(t);\n}\n\nvoid sync_on_request",
     ["t_cluster"]),
    ("sync-without-a-leap", "what we send after a takeover looks like a replay", "tunnel/hints.c",
     "(unsigned long long)esp_leap(esp, delta));",
     "0ULL);",
     ["t_cluster"]),
    ("one-child-of-many", "rung 3 brings back one CHILD SA of several", "tunnel/conn.c",
     "if (needs_successor(s) && !has_child(k, sa, s) &&",
     "if (s == LIST_FIRST(&k->sas) && needs_successor(s) && !has_child(k, sa, s) &&",
     ["t_runs"]),
    ("branch-behind-a-nat-is-called", "calls go to a NAT that lets nobody in", "tunnel/conn.c",
     "ike_sa_established(c->sa) && !behind_nat(c->sa)",
     "ike_sa_established(c->sa)",
     ["t_cluster"]),
    # ---- what waits for what
    ("ticket-of-before-the-reset", "what was admitted before a reset gives back what was not spent", "tunnel/gate.c",
     "ticket > a->from && ticket == a->count",
     "ticket && ticket == a->count",
     ["t_gate"]),
    ("third-lap-ends-it-all", "a recorder ends the back-off as often as it likes", "tunnel/recovery.c",
     "min_u64(r->backoff, THIRD_LAP_WAIT)", "0",
     ["t_scenarios", "t_recovery"]),
    ("over-the-peers-rekey", "our rekey goes on top of what the peer asked for during the delay", "tunnel/recovery.c",
     "\tif (peer_is_rekeying(s, now) || is_going(s)) {",
     "\tif (0) {",
     ["t_scenarios", "t_runs"]),
    ("others-news", "the silence of one IKE SA makes a recovery on another climb", "tunnel/recovery.c",
     "return (s->ike ? child_sa_ike(s->ike) : s->child->asked_on) == sa;",
     "return true;",
     ["t_scenarios", "t_runs"]),
    ("open-bridge-starts-from-zero", "after a quiet with an open bridge nobody asks again", "tunnel/recovery.c",
     "\treturn sa->in.bridge.open && sa->in.detector.state == DETECTOR_CONFIRMED\n",
     "\treturn 0\n",
     ["t_recovery"]),
    ("ended-comes-back", "what the operator ends is brought up by its recovery", "tunnel/child.c",
     "\t\ts->ending = true;\n", "",
     ["t_recovery"]),
    ("orphans-stay", "a successor of rung 3 that dies leaves SAs on which we do not listen", "tunnel/child_events.c",
     "\tend_orphans(k, now);\n\t/* What is", "\t/* What is",
     ["t_scenarios", "t_runs"]),
    ("check-goes-unseen", "a liveness check whose IKE SA goes is never made again", "tunnel/conn.c",
     "\t\t\tif (s->check_on == sa)\n\t\t\t\ts->check = CRITERION_NONE;\n", "",
     ["t_scenarios", "t_runs", "t_recovery"]),
    ("unused-rekey-stands", "a standby that knows nothing of the rekey loses the old SA", "ike/task/child_respond.c",
     "if (!made || made->confirmed) {", "if (1) {",
     ["t_scenarios", "t_runs"]),
    ("asked-for-twice", "what the peer has brought up is asked for again", "ike/task/child.c",
     "if (pointless(sa, t, now) || already_there(sa, t, now) || too_early(sa, t, now))",
     "if (pointless(sa, t, now) || too_early(sa, t, now))",
     ["t_scenarios", "t_runs"]),
    ("both-rekeys-stand", "two rekeys of the peer's for one SA leave two", "ike/task/child_respond.c",
     "if (earlier && !earlier->confirmed)", "if (0)",
     ["t_scenarios", "t_runs"]),
    ("asked-again-and-refused", "a standby that knows nothing of a rekey cannot make one", "ike/receive.c",
     " && !(asked && c->replaces == asked)", "",
     ["t_scenarios"]),
    ("sixteen-whatever", "many SAs replaced at once lose what is in flight", "tunnel/tunnel_sa.c",
     "retired > RETIRED_MAX + (live ? live - 1 : 0)", "retired > RETIRED_MAX",
     ["t_lives"]),
    ("unprotected-replay-moves", "without protection a recorder moves the tunnel to itself", "esp/esp_in.c",
     "\tif (in->unprotected && !window_is_new(window_place(&in->window, s->number)))\n\t\treturn;\n", "",
     ["t_esp"]),
    ("stand-in-is-not-heard", "a recovery by an SA that was there before never ends", "tunnel/recovery.c",
     "\tif (tunnel_sa_esp(by)) /* it may have carried packets before */\n\t\tesp_sa_await_fresh(tunnel_sa_esp(by));", "",
     ["t_recovery"]),
    ("waits-for-another", "a packet is looked at when another SA's bridge opens", "esp/parked.c",
     "if (k->sa.gen == sa.gen && k->sa.index == sa.index && sa.gen)",
     "if (k->sa.gen && sa.gen)",
     ["t_bridge"]),
    ("late-ones-count-twice", "what waited and was delivered is counted as not verified too", "esp/esp_in.c",
     "\t\tin->unverified -= in->unverified > 0;\n",
     "",
     ["t_bridge"]),
    ("set-knows-numbers-only", "two packets of one number count as one", "esp/detector.c",
     "if (s->v[at].number == number && s->v[at].tag == tag)",
     "if (s->v[at].number == number)",
     ["t_detector"]),
    ("running-not-looked-after", "a ladder on which nothing is under way stays for ever", "tunnel/recovery.c",
     "\tcase RECOVERY_RUNNING: look_at_ladder(s, now); break;",
     "\tcase RECOVERY_RUNNING: enter(s, RECOVERY_RUNNING, now + LADDER_LOOK); break;",
     ["t_recovery"]),
    ("refuted-pattern-goes-on", "a pattern that a new packet refuted makes a rekey all the same", "tunnel/recovery.c",
     "return (c == CRITERION_COUNT || c == CRITERION_TIME) && sa &&",
     "return 0 && (c == CRITERION_COUNT || c == CRITERION_TIME) && sa &&",
     ["t_recovery"]),
    ("proof-waits-for-the-hint", "a proof waits out the quiet of a hint", "tunnel/recovery.c",
     "\tcase RECOVERY_REFUSED: return true;\n\tcase RECOVERY_RUNNING:",
     "\tcase RECOVERY_REFUSED: return false;\n\tcase RECOVERY_RUNNING:",
     ["t_recovery"]),
    ("bridged-not-told", "the record hides what the bridge delivered", "tunnel/record.c",
     "\tr->bridged = sa->in.bridged;\n",
     "",
     ["t_recovery"]),
    ("early-rekey-of-theirs", "a rekey of what the peer may not have yet is refused", "ike/task/child.c",
     "if (!c || c->confirmed || now - c->created >= UNCONFIRMED_LIMIT)",
     "if (1)",
     ["t_ike"]),
    ("unknown-attribute-is-chosen", "a transform with an attribute that we do not know is chosen", "ike/wire/proposal.c",
     "\tif (!unknown && is_known(&t) &&",
     "\tif (is_known(&t) &&",
     ["t_ike_wire"]),
    ("sync-below-what-was-seen", "a takeover makes us accept old requests again", "ike/task/sync.c",
     "if (m1 < sa->expected_id || (sa->synced",
     "if ((sa->synced",
     ["t_cluster"]),
    ("spare-is-left", "each call of both sides at once leaves an IKE SA", "tunnel/conn.c",
     "\t    ike_sa_state(sa) == IKE_STATE_ESTABLISHED && !ike_sa_unresolved(sa) && !is_asked(c, sa))\n\t\tike_sa_delete(sa, now);",
     "\t    0)\n\t\tike_sa_delete(sa, now);",
     ["t_lives"]),
    ("called-beside-for-ever", "a new IKE SA that is not needed any more is made all the same", "tunnel/beside.c",
     "if (c->beside || !conn_is_mending(c))",
     "if (c->beside)",
     ["t_recovery"]),
    # ---- what crosses
    ("both-ask-and-keep", "two requests for one CHILD SA that cross leave two", "ike/task/child_respond.c",
     "return t->task.kind == &task_child_create && t->conf == made->conf &&",
     "return 0 && t->task.kind == &task_child_create && t->conf == made->conf &&",
     ["t_ike"]),
    ("narrow-against-wide", "a wide CHILD SA is deleted for a narrow one", "ike/sa/child_sa.c",
     "return ts_list_within(a->local, local) && ts_list_within(local, a->local) &&",
     "return ts_list_within(local, a->local) && 1 ||",
     ["t_ike"]),
    ("both-calls-end-the-other", "of two new IKE SAs that cross none is left", "tunnel/beside.c",
     "ike_sa_spi_i(theirs) > ike_sa_spi_i(ours)", "0",
     ["t_scenarios", "t_runs"]),
    ("second-sa-not-asked-any-more", "a child's second SA is forgotten when the first comes up", "tunnel/child_events.c",
     "if (k->asked_on && !ike_child_is_asked(k->asked_on, k->conf))\n\t\tk->asked_on = NULL;\n\tk->only_auth",
     "k->asked_on = NULL;\n\tk->only_auth",
     ["t_scenarios"]),
    ("exposed-is-left", "an SA whose key is exposed is left alone after detection was off", "tunnel/recovery.c",
     "\tif (sa->in.exposed)\n\t\treturn CRITERION_NONCE_REUSE;\n", "",
     ["t_scenarios", "t_runs"]),
    ("heir-is-not-awaited", "a rekey that helped counts as one that did not", "tunnel/recovery.c",
     "\t\to->recovery.now.new_spi = by->spi;\n", "",
     ["t_scenarios", "t_runs"]),
    ("gone-with-its-ike-sa", "ESP that came back is lost for IKE that did not", "tunnel/child_events.c",
     "bool keep = !by && may_be_kept(s, now);", "bool keep = false;",
     ["t_scenarios"]),
    ("superseded-for-all", "what is kept is given up when another SA of the child came up", "tunnel/recovery.c",
     "if (!s && res == IKE_RESULT_SUPERSEDED)", "if (0)",
     ["t_scenarios"]),
    ("kept-beside-a-live-one", "of several kept SAs only one is made anew", "tunnel/conn.c",
     "(!k->current || tunnel_child_is_kept(k))", "!k->current",
     ["t_scenarios"]),
    ("exposed-is-kept", "anybody can forge packets on an SA that outlives its IKE SA", "tunnel/tunnel_sa.c",
     "if (!sa || sa->in.exposed || s->ending)", "if (!sa || s->ending)",
     ["t_scenarios"]),
    ("kept-beyond-its-packets", "an SA outlives its hard lifetime in packets", "tunnel/tunnel.c",
     "\tif (events & ESP_EVENT_HARD_LIFETIME)\n\t\ts->expires = now;\n", "",
     ["t_recovery"]),
    ("answerers-give-up", "a branch that only answers stops asking", "tunnel/conn.c",
     "if (is_needed(c))\n\t\tconn_connect", "if (conn_wanted(c))\n\t\tconn_connect",
     ["t_scenarios"]),
    # ---- the first numbers
    ("no-head", "a standby that begins with 1 is not proven on an SA older than the ring", "esp/history.c",
     "index - h->blocks_max + 1, h->blocks_max / 8 + 1, true)", "index - h->blocks_max + 1, 0, true)",
     ["t_history", "t_scenarios"]),
    ("head-over-a-gap", "first numbers that were given up read as never received", "esp/history.c",
     "\tif (end < h->floor / HISTORY_BLOCK) /* numbers are missing between */\n\t\treturn end;\n", "",
     ["t_history"]),
    ("head-does-not-give", "the first numbers take what the near ring needs", "esp/history.c",
     "\thead_shrink(h, left / 8);\n", "",
     ["t_history"]),
    ("late-in-the-head", "a late packet under a first number reads as never received", "esp/history.c",
     "\t\thead_cut(h, number / HISTORY_BLOCK);\n}", "\t\t;\n}",
     ["t_history"]),
    ("head-is-never-asked", "in a later subspace the first numbers prove nothing", "esp/esp_in.c",
     "\tif (anew >= in->history.head_end)\n", "",
     ["t_scenarios"]),
    # ---- of what came up twice, one goes
    ("twins-stay", "two CHILD SAs with the same selectors are rekeyed for ever", "tunnel/tidy.c",
     "\tike_child_delete(goes->ike, now);\n\ttunnel_sa_retire(goes, stays, now);\n", "",
     ["t_scenarios", "t_runs"]),
    ("nobody-looks-for-twins", "what came up twice stays", "tunnel/outbound.c",
     "\tif (tunnel_sa_twin(s))\n\t\tconn_tidy_later(c->conn, now);\n", "",
     ["t_scenarios", "t_runs"]),
    ("rekeyed-is-newer", "a late answer to a rekey ends what a newer call has made", "tunnel/tidy.c",
     "return ike_sa_began(a) > ike_sa_called(b) + CROSSED;",
     "return ike_sa_established(a) > ike_sa_established(b) + CROSSED;",
     ["t_scenarios"]),
    ("deleted-is-live-again", "an SA whose DELETE waits is live again when another rekey wins", "ike/task/child.c",
     "if (t->task.child && t->task.child->state != CHILD_STATE_DELETING)", "if (t->task.child)", ["t_scenarios"]),
    ("old-ike-sa-stays", "the IKE SA that a rewound gateway still has ends the new one", "tunnel/tidy.c",
     "\treturn !is_later_call(b, a) && ike_sa_spi_i(a) > ike_sa_spi_i(b);",
     "\treturn ike_sa_established(b) > ike_sa_established(a);",
     ["t_scenarios"]),
    ("early-is-lost", "what the peer sends on a new SA before its answer is lost", "esp/esp_in.c",
     "\telse if (!path->is_late)\n\t\tparked_add(", "\telse if (0)\n\t\tparked_add(",
     ["t_scenarios"]),
    ("early-is-not-fresh", "what waited for its SA is looked at and not delivered", "esp/esp_in.c",
     "&& !(path->is_early && v == VERDICT_FRESH))", ")",
     ["t_scenarios"]),
    ("deaf-before-the-delete", "what the peer sends until it has our DELETE is lost", "tunnel/tunnel_sa.c",
     "\t\tsa->in.deliver_until = now + DELIVER_MAX;\n", "\t\t;\n",
     ["t_scenarios"]),
    ("void-and-gone", "what a late answer made is not used though the peer has it", "ike/task/info.c",
     "*made = c ? child_replacing(c) : NULL;", "*made = c && c->successor ? child_replacing(c) : NULL;",
     ["t_scenarios"]),
    ("void-ends-the-new-call", "what the peer uses late ends what its newer IKE SA has made", "tunnel/child_events.c",
     "\t\t    child_sa_ike(o->ike) != child_sa_ike(s->ike) || !tunnel_sa_covers", " !tunnel_sa_covers",
     ["t_scenarios"]),
    ("later-call-crossed", "a call that began long after the other was up may have crossed it", "tunnel/tidy.c",
     "#define CROSSED\t (5 ", "#define CROSSED\t (10 ",
     ["t_scenarios"]),
    ("restart-same-ivs", "a restart uses the last numbers and IVs once more", "esp/esp_state.c",
     "\tsa->out.iv_counter += ESP_SAVED_LEAP;\n", "\tsa->out.iv_counter -= 1;\n", ["t_saved"]),
    ("restart-same-ike-ivs", "a restart uses the IVs of IKE messages once more", "ike/sa/ike_saved.c",
     "sa->iv_counter = rd_be64(r) + SAVED_LEAP;", "sa->iv_counter = rd_be64(r) * 0;", ["t_saved"]),
    ("restart-of-a-pattern", "the peer of a pattern is the configured connection after a restart", "tunnel/saved.c",
     "if (!dynamic && !conn_has_static(t, ike_sa_conn(sa)))",
     "if ((dynamic = false, !conn_has_static(t, ike_sa_conn(sa))))",
     ["t_saved"]),
    ("restart-empty-window", "what was recorded before a restart is delivered again", "esp/esp_state.c",
     "\twin->top = rd_be64(r);\n", "\twin->top = rd_be64(r) * 0;\n", ["t_saved"]),
    ("restart-without-history", "after a restart nothing is known of what came before", "esp/esp_state.c",
     "\thistory_save(&in->history, w);\n", "\thistory_save(&(struct history){.floor = 1, .life_step = 1}, w);\n",
     ["t_saved"]),
    ("restart-half-an-exchange", "a restart does not wait for what is under way", "ike/sa/ike_saved.c",
     "|| sa->outstanding || sa->unresolved", "|| sa->unresolved", ["t_saved"]),
    ("restart-any-configuration", "tunnels go on under another configuration", "tunnel/saved.c",
     "if (memcmp(d, then, DIGEST) == 0)", "if (true)", ["t_saved"]),
    ("restart-forgets-replaced", "SAs that were replaced before a restart are forgotten", "tunnel/saved.c",
     "\t\t} else if (is_tombstone(s)) {", "\t\t} else if (false && is_tombstone(s)) {", ["t_saved"]),
    ("restart-without-deadlines", "no rekey comes after a restart", "ike/sa/ike_saved.c",
     "\tdeadline_set(h, &c->rekey, rd_be64(r));\n", "\t(void)rd_be64(r);\n", ["t_saved"]),
    ("void-leaves-an-orphan", "an SA that nobody listens on stays when its rekey is void", "tunnel/child_events.c",
     "\tcase CHILD_EVENT_KEPT: end_orphans(s->child, now); break;\n", "\tcase CHILD_EVENT_KEPT: break;\n",
     ["t_scenarios"]),
    ("one-network-takes-all", "half-open SAs of one network push out those of others", "ike/sa/half_open.c",
     "return count >= max_u64(1, ", "return count >= max_u64(1000, ", ["t_limits"]),
    ("reset-for-one", "after a change of options one SA is mended and its siblings are refused", "tunnel/child.c",
     "\t\ts->recovery.admitted = false;\n", "\t\t;\n",
     ["t_scenarios"]),
    ("overtaken-counts", "a rekey that the peer's overtook counts as one that did not help", "tunnel/recovery.c",
     "\t\t\tgive_back(o);\n\t\telse if", "\t\t\t;\n\t\telse if",
     ["t_scenarios"]),
    ("orphan-of-a-kept-one", "what a kept SA had replaced stays for ever", "tunnel/child_events.c",
     "\t\tend_orphans(k, now);\n\t\treturn;\n", "\t\treturn;\n",
     ["t_scenarios"]),
    ("answerer-waits", "a call with one child leaves the others unmended", "tunnel/conn.c",
     "\tif (is_needed(c))\n\t\tdeadline_set(&t->deadlines", "\tif (conn_wanted(c))\n\t\tdeadline_set(&t->deadlines",
     ["t_scenarios"]),
    ("kept-for-ever", "an SA without an IKE SA stays though nothing comes on it", "tunnel/tunnel_sa.c",
     "return min_u64(s->expires, sa->in.last_fresh + KEPT_LOOK);", "return s->expires;",
     ["t_scenarios"]),
    ("proof-stops-behind-the-bridge", "a proof of several packets is never whole", "esp/esp_in.c",
     "live && (!behind || proof_is_begun(in)), now);", "live && !behind, now);",
     ["t_bridge"]),
    # ---- times that doc/recovery.md states
    ("hint-is-hurried", "a hint makes a new IKE SA after 2.5 s", "tunnel/recovery.c",
     "return criterion_is_proof(c) ? IKE_LATE_PROOF : IKE_LATE_HINT;",
     "return criterion_is_proof(c) ? IKE_LATE_PROOF : IKE_LATE_HINT - 3 * NSEC_PER_SEC;",
     ["t_recovery"]),
    ("void-for-a-moment", "a rekey that the peer uses late is not taken up", "ike/task/request.c",
     "#define VOID_KEPT (20 * NSEC_PER_SEC)", "#define VOID_KEPT (1 * NSEC_PER_SEC)",
     ["t_scenarios"]),
    ("theirs-for-a-moment", "a rekey of the peer's that is slow is void", "tunnel/recovery.c",
     "#define PEER_REKEY_LIMIT (5 * NSEC_PER_SEC)", "#define PEER_REKEY_LIMIT (2 * NSEC_PER_SEC)",
     ["t_scenarios"]),
    ("no-grace", "one late packet on a replaced SA asks for liveness", "tunnel/hints.c",
     "now - max_u64(sa->in.last_fresh, newest->installed) < c->options.older_sa_grace)", "0)",
     ["t_scenarios"]),
    ("silent-without-sending", "a tunnel that nobody uses is rekeyed", "tunnel/hints.c",
     "bool sent = sa && sa->out.packets != s->silent_out;", "bool sent = sa;",
     ["t_scenarios"]),
    ("used-ones-go-first", "what is being recovered from is forgotten for others", "tunnel/tunnel_sa.c",
     "\t\treturn 2;\n", "\t\treturn 0;\n",
     ["t_lives"]),
    ("outage-from-the-evidence", "the outage counts from the first evidence, half of what it was", "tunnel/record.c",
     "r->outage_from = sa->in.before_evidence ? sa->in.before_evidence : sa->in.last_fresh;",
     "r->outage_from = r->first_evidence;",
     ["t_scenarios", "t_recovery"]),
    ("handover-begins-anew", "a restart with many requests waiting makes tunnels anew", "ike/sa/exchange.c",
     "return t->ike_sa->ike->held && task_can_wait(t);", "return false && task_can_wait(t);",
     ["t_saved"]),
    ("held-rekey-forgotten", "a rekey that a restart held back never comes", "ike/sa/ike_saved.c",
     "return deadline_is_set(&t->wait) ? t->wait.at : 0;", "return deadline_is_set(&t->wait) ? t->wait.at : NSEC_NEVER;",
     ["t_saved"]),
    ("responder-moves-at-once", "packets go out on an SA that the peer may not have", "tunnel/outbound.c",
     "if (!peer_has_sa(s) && tunnel_sa_substitute(s))", "if (false && tunnel_sa_substitute(s))",
     ["t_scenarios"]),
    ("auth-answer-taken-for-received", "packets go out on an SA of an IKE SA that the peer may not have",
     "tunnel/outbound.c",
     "(child_sa_confirmed(s->ike) && conn_peer_has(child_sa_ike(s->ike)))", "child_sa_confirmed(s->ike)",
     ["t_scenarios"]),
    ("unanswered-call-goes-on", "a call of ours comes up long after the peer's", "tunnel/beside.c",
     "\tgive_up_call(c, c->beside, \"the peer's call came first\", now);\n", "",
     ["t_scenarios"]),
    ("takeover-before-packets-move", "the older IKE SA ends while packets go out on it", "tunnel/conn.c",
     "return o && (o->active || !deadline_is_set(&o->move));", "return o;",
     ["t_lives"]),
    ("no-waiting-one-stands-in", "what packets go out on goes, and nothing takes its place", "tunnel/child_events.c",
     "(s->replaces == gone || tunnel_sa_covers(s, gone))) {", "s->replaces == gone) {",
     ["t_lives"]),
    ("stands-in-for-itself", "an SA that is going replaces what it was to replace", "tunnel/child_events.c",
     "s != gone && tunnel_sa_waits(s)", "tunnel_sa_waits(s)",
     ["t_lives"]),
    ("waits-for-ever", "packets stay on an SA that the peer has lost", "tunnel/outbound.c",
     "now - s->installed >= MOVE_MAX", "false",
     ["t_lives"]),
    ("what-packets-wait-for-is-held", "packets stay on the older SA for a restart", "ike/task/info.c",
     "return !t->late && t->ike_sa->last_heard > t->ike_sa->established;", "return !t->late;",
     ["t_lives"]),
    ("loser-is-used", "packets go out on an SA that is to go", "tunnel/outbound.c",
     "\t       !child_sa_is_replaced(s->ike) && ", "\t       ",
     ["t_lives"]),
    ("replaced-by-a-successor-unseen", "an SA that was replaced comes back beside what replaced it", "ike/sa/child_sa.c",
     "(o->replaces == old || o->replaces == c)", "o->replaces == old",
     ["t_lives"]),
    ("replaced-by-a-successor-forgotten", "an SA is deleted as replaced when what replaced it has gone", "ike/sa/child_sa.c",
     "o->replaces = o->voided ? NULL : c->replaces;", "o->replaces = NULL;",
     ["t_lives"]),
    ("refused-child-renews-all", "new IKE SAs without end for a child that nobody wants",
     "tunnel/child.c",
     "c->wanted = c->only_auth = false;", "c->wanted = false;",
     ["t_lives"]),
    ("climbs-beside-a-new-call", "two calls for one rung 3, and each side ends one", "tunnel/beside.c",
     "if (!has_come_beside(c, now))\n\t\tc->beside", "c->beside",
     ["t_scenarios"]),
    ("rival-comes-back", "an IKE SA that is being deleted is one that was rekeyed", "ike/sa/state.c",
     "if (sa->state != IKE_STATE_DELETING)", "if (true)",
     ["t_scenarios"]),
    ("rekeyed-while-deleting", "a CHILD SA that is being deleted is deleted twice", "ike/task/child.c",
     "\tif (old->state == CHILD_STATE_DELETING) /* its lifetime ended, or its user ended it */\n\t\treturn;\n", "",
     ["t_recovery", "t_scenarios"]),
    ("takeover-unheard", "the older IKE SA ends before the peer has the new one", "tunnel/beside.c",
     "return ike_sa_is_initiator(sa) || ", "return true || ",
     ["t_scenarios"]),
    ("needs-it-again-unseen", "what rung 3 brought stays unmended", "tunnel/beside.c",
     "\tif (conn_is_mending(c))\n\t\tconn_beside_later(c, now);\n}\n\nvoid conn_ask_no_more",
     "}\n\nvoid conn_ask_no_more",
     ["t_lives"]),
    ("successor-of-the-rival-goes-unseen", "an SA is deleted as replaced, and nothing has replaced it", "ike/task/child.c",
     "\t\tmade->replaces = t->rival;\n", "",
     ["t_scenarios"]),
    ("replaced-by-what-is-gone", "an SA is deleted as replaced when what replaced it has gone", "ike/sa/child_sa.c",
     "if (leaves_nothing_instead(c))", "if (false && leaves_nothing_instead(c))",
     ["t_scenarios"]),
]

# What `heard` needs where a mutant calls it before its definition.
PROLOGUE = {"old-ike-messages-are-life": "static void heard(struct ike_sa *sa, const struct ike_in *in);\n"}


def run(cmd, **kw):
    return subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **kw)


def compile_one(path, obj, *more):
    r = run([CC, *FLAGS, *more, "-c", path, "-o", obj])
    if r.returncode:
        raise RuntimeError(f"{path} does not compile:\n{r.stdout}")


def core_sources():
    out = []
    for pattern in ("common/*.c", "common/*/*.c", "esp/*.c", "ike/*.c", "ike/*/*.c", "tunnel/*.c"):
        out += [f for f in glob.glob(pattern, root_dir=SOURCE) if "ipsec_mb" not in f]  # optional
    return sorted(out)


def pkg_config(what):
    return subprocess.run(["pkg-config", what, *PACKAGES], stdout=subprocess.PIPE, text=True, check=True).stdout.split()


def daemon_tests():
    """{test: (sources, linker's flags)} of the unit tests that have files of the daemon in them, from their makefiles."""
    variables = {}
    for path in glob.glob(f"{SOURCE}/tests/unit/*.mk"):
        with open(path, encoding="utf-8") as f:
            for name, value in re.findall(r"^(\w+) = (.*)$", f.read().replace("\\\n", " "), re.M):
                variables[name] = value

    def words(name):
        value = re.sub(r"\$\((\w+)\)", lambda m: " ".join(words(m.group(1))), variables.get(name, ""))
        return value.split()
    tests = {}
    for name in variables:
        m = re.fullmatch(r"tests_unit_(t_\w+)_SOURCES", name)
        sources = [w for w in words(name) if w.endswith(".c")]
        if m and any(s.startswith("daemon/") for s in sources):
            tests[m.group(1)] = (sources, words(f"tests_unit_{m.group(1)}_LDFLAGS"))
    return tests


class Tree:
    """Objects of the unchanged code, and tests linked from them with one object replaced."""

    def __init__(self, top):
        self.top = top
        self.core = {s: os.path.join(top, s.replace("/", "_") + ".o") for s in core_sources()}
        self.tests = {}
        self.helpers = {}
        jobs = [(os.path.join(SOURCE, s), o) for s, o in self.core.items()]
        for folder, names in TESTS.items():
            self.helpers[folder] = []
            for n in HELPERS[folder] + names:
                obj = os.path.join(top, f"{folder}_{n}.o")
                jobs.append((f"{SOURCE}/tests/{folder}/{n}.c", obj))
                if n in HELPERS[folder]:
                    self.helpers[folder].append(obj)
                else:
                    self.tests[n] = (folder, obj)
        jobs += self._daemon(top)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda j: compile_one(*j), jobs))
        for folder, objs in self.helpers.items():
            lib = os.path.join(top, f"lib{folder}.a")
            run(["ar", "rc", lib, *objs])
            self.helpers[folder] = lib

    def _daemon(self, top):
        """Remembers the tests of the daemon's files; what is to be compiled for them."""
        self.daemon = {}
        objects = {}
        for test, (sources, flags) in daemon_tests().items():
            wanted = [s for s in sources if s not in ("tests/unit/esp_lab.c", "tests/unit/ref_model.c")]
            for s in wanted:
                objects[s] = os.path.join(top, s.replace("/", "_") + ".o")
            self.daemon[test] = ({s: objects[s] for s in wanted}, flags)
        return [(os.path.join(SOURCE, s), o, *pkg_config("--cflags")) for s, o in objects.items()]

    def inputs(self, test, replaced, obj):
        """What the test is linked from."""
        core = [replaced.get(s, o) for s, o in self.core.items()]
        if test in self.daemon:
            objects, flags = self.daemon[test]
            own = [obj if s == f"tests/unit/{test}.c" and obj else replaced.get(s, o) for s, o in objects.items()]
            below = [o for s, o in zip(self.core, core) if s.startswith(("common/", "esp/"))]
            return [*own, self.helpers["unit"], *below, self.helpers["unit"], *flags, *pkg_config("--libs")]
        folder, plain = self.tests[test]
        return [obj or plain, self.helpers[folder], *core, self.helpers[folder]]

    def names(self):
        return [*self.tests, *self.daemon]

    def outcome(self, test, replaced, tag, header=None):
        """True when the test passes with these objects in place of others ({source: object}), itself compiled with the
        header in front of all else if there is one."""
        folder = self.tests[test][0] if test in self.tests else "unit"
        binary = os.path.join(self.top, f"{tag}-{test}")
        obj = None
        if header:
            obj = binary + ".o"
            compile_one(f"{SOURCE}/tests/{folder}/{test}.c", obj, "-include", header, *pkg_config("--cflags"))
        r = run([CC, "-o", binary, *self.inputs(test, replaced, obj), *LIBS])
        if r.returncode:
            raise RuntimeError(f"{test} does not link:\n{r.stdout}")
        try:
            return run(["prlimit", f"--cpu={CPU_LIMIT}", binary], timeout=LIMIT, stdin=subprocess.DEVNULL,
                       env=ENVIRONMENT).returncode == 0
        except subprocess.TimeoutExpired as e:  # a loop ends by its processor time: this one waits, or is starved
            if test not in self.daemon:
                raise RuntimeError(f"{test} does not end") from e
            return False
        finally:
            os.unlink(binary)


def mutate(name, path, old, new):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as f:
        text = f.read()
    if text.count(old) != 1:
        raise RuntimeError(f"the code of this mutant is {text.count(old)} times in {path}, not once")
    return with_prologue(name, text.replace(old, new))


def with_prologue(name, text):
    head = PROLOGUE.get(name)
    if not head:
        return text
    at = text.index("\nstatic ")
    return text[:at + 1] + head + text[at + 1:]


def compile_mutant(tree, name, path, src):
    """{source: object} of what the mutant in src changes. A header is included before all else, so that its guard
    keeps the sound one out."""
    header = path.endswith(".h")
    replaced = {}
    for s in (users_of(tree, path) if header else [path]):
        obj = replaced[s] = os.path.join(tree.top, f"{name}-{os.path.basename(s)}.o")
        more = ["-include", src] if header else [f"-I{SOURCE}/{os.path.dirname(path)}"]
        more += pkg_config("--cflags") if s.startswith("daemon/") else []
        compile_one(f"{SOURCE}/{s}" if header else src, obj, *more)
    return replaced


def users_of(tree, header):
    """The sources of the core that include the header, directly or not."""
    users = []
    for s in tree.core:
        r = run([CC, *FLAGS, "-MM", f"{SOURCE}/{s}"])
        if f"{SOURCE}/{header}" in r.stdout.split():
            users.append(s)
    return users


def try_mutant(tree, mutant):
    """The test that caught it; None: it survived."""
    name, _, path, old, new, tests = mutant
    src = os.path.join(tree.top, name + os.path.splitext(path)[1])
    with open(src, "w", encoding="utf-8") as f:
        f.write(mutate(name, path, old, new))
    replaced = compile_mutant(tree, name, path, src)
    for t in tests + [t for t in tree.names() if t not in tests]:
        if not tree.outcome(t, replaced, name, src if path.endswith(".h") else None):
            return t
    return None


def report(tree, mutant):
    name, why = mutant[:2]
    try:
        caught = try_mutant(tree, mutant)
    except RuntimeError as e:
        return f"not ok {name}: {e}"
    if caught is None:
        return f"not ok {name}: survived, though {why}"
    return f"ok {name}\n# {name:34s} {why:62s} caught by {caught}"


def main(argv):
    wanted = [m for m in MUTANTS if not argv or m[0] in argv]
    if not wanted:
        print("not ok mutants: no such mutant")
        return 1
    with tempfile.TemporaryDirectory(prefix="mendip-mutants-") as top:
        tree = Tree(top)
        failed = 0
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            needed = tree.names()
            for t, passes in zip(needed, pool.map(lambda t: tree.outcome(t, {}, "whole"), needed)):
                print(f"{'ok' if passes else 'not ok'} unchanged code passes {t}", flush=True)
                failed += not passes
            for line in pool.map(lambda m: report(tree, m), wanted):
                print(line, flush=True)
                failed += line.startswith("not ok")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main([a for a in sys.argv[1:] if a != "-v"]))
