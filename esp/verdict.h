/*
 * verdict.h - the one verdict on each inbound packet, and why packets are dropped.
 * SPDX-License-Identifier: ISC
 *
 * doc/recovery.md 1. One list gives enum, name, and the counter of the same index.
 */
#ifndef MENDIP_VERDICT_H
#define MENDIP_VERDICT_H

#define FOREACH_VERDICT(X)                                                    \
	X(MALFORMED, "malformed", "too short, misaligned, or number 0")       \
	X(NO_SA, "no_sa", "unknown SPI")                                      \
	X(FRESH, "fresh", "new and authentic")                                \
	X(AUTH_FAILED, "auth_failed", "the ICV is wrong")                     \
	X(REPLAYED, "replayed", "the same packet again")                      \
	X(BRIDGED, "bridged", "a number used again, delivered by the bridge") \
	X(REWOUND, "rewound", "a used number on another authentic packet")    \
	X(STALE, "stale", "old and authentic, the number not remembered")     \
	X(UNVERIFIED, "unverified", "old, the number not remembered, not opened")

enum verdict {
#define X(id, name, text) VERDICT_##id,
	FOREACH_VERDICT(X)
#undef X
		VERDICT_COUNT
};

/* Why a FRESH or BRIDGED packet is not delivered, or an outbound one not sent. */
#define FOREACH_ESP_DROP(X)                                                                 \
	X(BAD_TRAILER, "bad_trailer", "bad padding or next header in an authentic packet")  \
	X(DUMMY, "dummy", "a dummy packet (next header 59), by design delivered to no one") \
	X(BAD_INNER, "bad_inner", "inner packet malformed")                                 \
	X(SELECTORS, "selectors", "inner packet outside the SA's selectors")                \
	X(ECN, "ecn", "congestion mark on a packet that cannot carry it")                   \
	X(RETIRED, "retired", "on a replaced SA, after it has drained")                     \
	X(EXPOSED, "exposed", "on an SA whose authentication key is exposed")               \
	X(NO_POLICY, "no_policy", "outbound, no policy selects it")                         \
	X(NO_SA_YET, "no_sa_yet", "outbound, the policy's SA is not up")                    \
	X(TOO_BIG, "too_big", "outbound, does not fit and may not be fragmented")           \
	X(EXHAUSTED, "exhausted", "outbound, sequence numbers or lifetime used up")         \
	X(OFFLOAD, "offload", "outbound, an offload that was not asked for")                \
	X(CRYPTO, "crypto", "outbound, the cipher refused")

enum esp_drop {
#define X(id, name, text) ESP_DROP_##id,
	FOREACH_ESP_DROP(X)
#undef X
		ESP_DROP_COUNT
};

const char *verdict_name(enum verdict v);
const char *esp_drop_name(enum esp_drop d);

#endif
