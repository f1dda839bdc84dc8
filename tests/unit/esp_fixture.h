/*
 * esp_fixture.h - two data paths in one process, with mirrored SAs, for the tests of esp/.
 * SPDX-License-Identifier: ISC
 *
 * Side GW is the peer's gateway, side ME is Mendip. All random numbers come from one seed, which is
 * printed; the environment variable MENDIP_SEED sets another one.
 */
#ifndef MENDIP_ESP_FIXTURE_H
#define MENDIP_ESP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "esp_path.h"

enum { GW = 0, ME = 1 };

#define FIXTURE_PKT_MAX	  2048
#define FIXTURE_INNER_LEN 48 /* bytes; inner packets of fixture_next */

struct fixture_rng {
	struct rng rng; /* first member: fill finds the struct by it */
	uint64_t state;
};

/* The seed of this run; printed once. */
uint64_t fixture_seed(void);
/* Chooses the fastest AEAD back end, for tests with many packets. */
void fixture_fastest(void);
/* Each salt gives a different sequence. */
void fixture_rng_init(struct fixture_rng *r, uint64_t salt);
uint64_t fixture_u64(struct fixture_rng *r);
uint64_t fixture_below(struct fixture_rng *r, uint64_t bound);
bool fixture_chance(struct fixture_rng *r, unsigned percent);

struct fixture_opt {
	const char *suite; /* name in suite_table; NULL: aes128gcm16 */
	bool esn;
	uint32_t window, verify_rate, mtu;
	bool unprotected; /* replay_window = 0 */
	bool no_bridge;
	uint64_t history_packets, cap, salt;
	struct detector_config detect;
	struct esp_lifetime life;
	const char *ts_gw, *ts_me; /* NULL: 10.1.0.0/16 and 10.2.0.0/16 */
};

/* Replaces what is 0 in o by the daemon's default; without proof_packets, detect is "proof". */
struct fixture_opt fixture_opt(struct fixture_opt o);
#define FIXTURE_OPT(...) fixture_opt((struct fixture_opt){__VA_ARGS__})

struct fixture {
	struct fixture_opt opt;
	struct fixture_rng rng;
	struct esp_path *path[2];
	uint32_t spi[2];  /* inbound SPI of each side */
	uint32_t old_spi; /* inbound SPI of ME before the rekey */
	struct spd_policy policy[2];
	struct ts_list selectors[2][2]; /* by policy, then by side: GW, ME */
	struct endpoint ep[2];
	nsec_t now;
	struct esp_train train;
	uint8_t out[ESP_BUFFER_MAX], in[ESP_BUFFER_MAX], super[ESP_BUFFER_MAX];
	uint8_t keys[4][SUITE_MAX_KEY];
	/* Called with each inner packet that is delivered; NULL: not called. */
	void (*sink)(void *ctx, const uint8_t *inner, uint32_t len);
	void *sink_ctx;
};

struct fixture_pkt {
	uint32_t len;
	uint8_t b[FIXTURE_PKT_MAX];
};

/* Verdicts, drops and deliveries of received datagrams. */
struct fixture_result {
	uint64_t v[VERDICT_COUNT], drops[ESP_DROP_COUNT];
	uint64_t delivered;
	uint32_t last_len; /* of the last packet delivered */
	uint8_t last[FIXTURE_PKT_MAX];
};

struct fixture *fixture_new(const struct fixture_opt *opt);
void fixture_free(struct fixture *l);
struct esp_sa *fixture_sa(struct fixture *l, unsigned side);
/*
 * A rekey in two steps. First the gateway sends on a new SA, for which ME has only reserved the
 * SPI. Then ME installs the SA, and its old inbound SA is RETIRED and delivers for `drain`.
 */
void fixture_rekey_gw(struct fixture *l);
void fixture_rekey_me(struct fixture *l, nsec_t drain);
/* Takes and returns all events of a side's SAs. */
uint32_t fixture_events(struct fixture *l, unsigned side);

/* Makes an IPv4 UDP packet of len bytes (>= 28) from `side` to the other. */
void fixture_inner(const struct fixture *l, unsigned side, uint8_t *p, uint32_t len, uint8_t tos);
void fixture_inner6(unsigned side, uint8_t *p, uint32_t len, uint8_t tos);
/* Routes and seals a packet; false if the path does not send it. */
bool fixture_seal(struct fixture *l, unsigned side, const uint8_t *inner, uint32_t len,
		  struct fixture_pkt *ret);
/* Seals any text with any number; iv NULL: the next IV of the SA. No padding is added to the text.
 */
void fixture_seal_text(struct fixture *l, unsigned side, uint64_t number, const uint8_t *iv,
		       const uint8_t *text, uint32_t len, struct fixture_pkt *ret);
/* The same with a default inner packet, correctly padded. */
void fixture_seal_number(struct fixture *l, unsigned side, uint64_t number, const uint8_t *iv,
			 struct fixture_pkt *ret);
/* Routes and seals another packet of FIXTURE_INNER_LEN bytes from `side`. */
struct fixture_pkt fixture_next(struct fixture *l, unsigned side);

/*
 * Receives len bytes as one receive of `side`; adds the results to *r. Fails unless each datagram
 * gets exactly one verdict, and each parked packet another one. With len 0, only parked packets
 * that are due are opened.
 */
void fixture_open(struct fixture *l, unsigned side, const uint8_t *b, uint32_t len, uint16_t seg,
		  const struct endpoint *from, uint8_t tos, struct fixture_result *r);
/* Opens one packet; returns its verdict. */
enum verdict fixture_verdict(struct fixture *l, unsigned side, const struct fixture_pkt *p);
/*
 * A hash of all state of an inbound SA that influences anything: window, history, bridge, liveness,
 * address and lifetime; if with_evidence is set, also the detector and the events.
 */
uint64_t fixture_fingerprint(const struct esp_sa *sa, bool with_evidence);

#define assert_verdict(got, want) assert_string_equal(verdict_name(got), verdict_name(want))

#endif
