/*
 * esp_sa.h - the pair of ESP SAs of a CHILD SA, and the database that holds them (SAD).
 * SPDX-License-Identifier: ISC
 *
 * A slot of the SAD holds both directions. The inbound SPI carries the index of the slot and a
 * generation, so a look-up is an array access and a comparison.
 */
#ifndef MENDIP_ESP_SA_H
#define MENDIP_ESP_SA_H

#include "bridge.h"
#include "bucket.h"
#include "detector.h"
#include "history.h"
#include "spd.h"
#include "verdict.h"
#include "window.h"
#include "crypto/aead.h"

#define SAD_INDEX_BITS 20
#define SAD_INDEX_MASK ((1u << SAD_INDEX_BITS) - 1)

/* Events that an SA reports to its owner; bits on the dirty list, taken once per turn. */
enum esp_event {
	ESP_EVENT_SOFT_LIFETIME = 1 << 0, /* bytes or packets: time to rekey */
	ESP_EVENT_HARD_LIFETIME = 1 << 1, /* a hard limit reached, or outbound numbers used up */
	ESP_EVENT_SEQ_HIGH = 1 << 2,	  /* outbound numbers are running out */
	ESP_EVENT_SWITCHOVER = 1 << 3,	  /* the detector is CONFIRMED */
	ESP_EVENT_NONCE_REUSE = 1 << 4,	  /* the first repeated nonce on this SA */
	ESP_EVENT_MOVED = 1 << 5,	  /* a FRESH packet came from in.moved_to */
	ESP_EVENT_FIRST_FRESH = 1 << 6,	  /* the first FRESH packet, or the one that was awaited */
	ESP_EVENT_RETIRED_HEARD = 1 << 7, /* FRESH, or REWOUND above rewound_top, past its drain */
	ESP_EVENT_THIRD_LAP = 1 << 8, /* a known number behind the bridge: perhaps a third lap */
};

/* Limits of bytes and packets, for each direction by itself; 0: no limit. */
struct esp_lifetime {
	uint64_t soft_bytes, hard_bytes, soft_packets, hard_packets;
};

enum esp_in_phase {
	ESP_IN_LIVE,
	ESP_IN_RETIRED, /* replaced: delivers until deliver_until, then gives verdicts only */
};

/* Members that every packet touches come first: with many SAs each cache line is a miss. */
struct esp_in_sa {
	struct aead_key *key; /* NULL: only reserved */
	const struct suite *suite;
	struct window window;
	bool esn;
	bool exposed;	  /* a nonce repeated under AES-GCM: ICVs prove nothing any more */
	bool unprotected; /* replay_window = 0: every authentic packet is FRESH */
	bool awaited;	  /* the next FRESH packet raises FIRST_FRESH */
	uint16_t device;  /* where its packets go: index into the path's devices */
	enum esp_in_phase phase : 16; /* 16 bits: keeps what follows in its cache lines */
	uint64_t packets, bytes;      /* of FRESH and BRIDGED packets; bytes of decrypted text */
	nsec_t last_fresh;	      /* time of the last FRESH or BRIDGED packet; 0: never */
	struct endpoint peer;
	struct inner admitted; /* headers of the last packet that the selectors admitted */
	uint64_t verdicts[VERDICT_COUNT];
	/* since the last delivery before the first evidence: */
	uint64_t missed;     /* authentic packets that were not delivered, each counted once */
	uint64_t unverified; /* old, not opened or behind the bridge: perhaps lost too */
	struct detector detector;
	struct history history;
	/* touched seldom: */
	struct bridge bridge;
	bool bridge_on;
	uint64_t bridged; /* since the first evidence */
	nsec_t before_evidence,
		after_evidence; /* last delivery before it, first one since; 0: none */
	nsec_t drain_until;	/* RETIRED: packets after this raise RETIRED_HEARD */
	nsec_t deliver_until;	/* RETIRED: FRESH packets are delivered until this */
	struct detector_config detect;
	struct bucket verify, second; /* budgets: numbers not remembered; older ESN candidates */
	struct endpoint moved_to;
	uint64_t nonce_reuses;
	uint64_t rewound_top; /* highest number of a REWOUND packet */
};

struct esp_out_sa {
	struct aead_key *key;
	const struct suite *suite;
	bool esn;
	uint32_t spi;
	uint64_t number;     /* last one used */
	uint64_t iv_counter; /* last one used; never set back with the number */
	uint64_t iv_mask;    /* secret mask of the counter: IVs do not show it */
	struct esp_dest {
		struct endpoint local, remote; /* ports 0: not in UDP, but as IP protocol 50 */
		uint8_t tos;
		bool df;
	} dest;
	uint64_t packets, bytes;
	uint32_t mtu; /* largest inner packet that fits the path whole; 0: any */
	bool narrow;  /* the path may hold less than mtu says: nothing is sent with DF */
#ifdef MENDIP_FAULTS
	bool fault_two;	      /* acts as two senders that share the SA: their numbers take turns */
	uint64_t fault_other; /* the last number of the other sender */
#endif
};

struct esp_sa {
	struct esp_out_sa out;
	struct esp_lifetime life;
	uint32_t index, gen, spi; /* spi: inbound, ours */
	struct esp_in_sa in;
	void *owner;
	struct ts_list *local, *remote; /* selectors of inner packets */
	uint32_t events;
	struct esp_sa *next_dirty;
	bool dirty;
};

/*
 * What sad_install needs to make a reserved slot an SA. Keys and selectors are copied; the caller
 * cleanses its own keys. Keys have the lengths of the suite (aead.h).
 */
struct esp_sa_params {
	uint32_t spi_out;
	const struct suite *suite;
	bool esn;
	const uint8_t *enc_in, *integ_in, *enc_out, *integ_out;
	const struct ts_list *local, *remote;
	struct endpoint local_ep, remote_ep;
	uint32_t replay_window; /* 0: no protection; not with esn */
	uint64_t history_packets;
	uint32_t verify_rate; /* packets per second */
	struct detector_config detect;
	bool bridge;
	struct esp_lifetime life;
	uint32_t mtu;
	uint16_t device; /* index into the devices of the path */
	void *owner;
};

struct sad {
	struct esp_sa **slots;
	uint32_t slot_count, used;
	uint32_t *free_list, free_count;
	uint32_t gen; /* of the next reservation */
	struct esp_sa *dirty;
	struct history_budget history;
	struct rng *rng;
};

/* history_cap: bytes for all histories. rng must outlive s. */
void sad_init(struct sad *s, uint64_t history_cap, struct rng *rng);
/* Frees all SAs. */
void sad_fini(struct sad *s);
/*
 * Reserves a slot, without keys, and returns its SPI (>= 256), or 0 if 2^20 are in use. Free with
 * sad_release.
 */
uint32_t sad_reserve(struct sad *s);
/*
 * Makes the reserved SPI an SA. -ENOENT: not reserved, or an SA already; -EINVAL: the suite cannot
 * be used, or ESN without a replay window.
 */
int sad_install(struct sad *s, uint32_t spi, const struct esp_sa_params *p, nsec_t now) MUST_CHECK;
/* Cleanses and frees the slot, reserved or installed. No effect for an unknown SPI. */
void sad_release(struct sad *s, uint32_t spi);

/* The SA with the inbound SPI, or NULL; reserved ones have no in.key. */
static inline struct esp_sa *sad_find(const struct sad *s, uint32_t spi)
{
	uint32_t index = spi & SAD_INDEX_MASK;
	struct esp_sa *sa = index < s->slot_count ? s->slots[index] : NULL;

	return sa && sa->spi == spi ? sa : NULL;
}

/* The SA that ref refers to, or NULL if it is gone. */
static inline struct esp_sa *sad_get(const struct sad *s, struct sa_ref ref)
{
	struct esp_sa *sa = ref.gen && ref.index < s->slot_count ? s->slots[ref.index] : NULL;

	return sa && sa->gen == ref.gen ? sa : NULL;
}

#define CACHE_LINE 64

/* Prefetches what each inbound packet of the SA touches. */
static inline void esp_sa_warm_in(const struct esp_sa *sa)
{
	for (const char *p = (const char *)&sa->in; p < (const char *)&sa->in.bridge;
	     p += CACHE_LINE)
		__builtin_prefetch(p, 1);
}

/* Prefetches what each outbound packet of the SA touches. */
static inline void esp_sa_warm_out(const struct esp_sa *sa)
{
	for (const char *p = (const char *)&sa->out; p < (const char *)&sa->index; p += CACHE_LINE)
		__builtin_prefetch(p, 1);
}

static inline struct sa_ref sad_ref(const struct esp_sa *sa)
{
	return (struct sa_ref){.index = sa->index, .gen = sa->gen};
}

/* ---- esp_state.c: handing the SA over to another process ---- */

#define ESP_SAVED_LEAP 64 /* numbers and IVs that esp_sa_load skips */
/*
 * True if the detector is calm, the bridge was never opened or closed, and no nonce was reused.
 * esp_sa_save then writes the whole state, except which packets the detector has counted already.
 */
bool esp_sa_is_calm(const struct esp_sa *sa);
/* Writes the state of the SA, without the keys, selectors and options of struct esp_sa_params. */
void esp_sa_save(const struct esp_sa *sa, struct writer *w);
/*
 * Reads that state into an SA that sad_install has just made from the same parameters, and skips
 * ESP_SAVED_LEAP IVs and as many numbers, or fewer where esp_leap ends. Its history may exceed the
 * budget (history_load). -EBADMSG: the state is malformed, or has a window of another size; the SA
 * must not be used.
 */
int esp_sa_load(struct sad *s, struct esp_sa *sa, struct reader *r) MUST_CHECK;
/*
 * Reserves this SPI, which sad_reserve gave in another process. -EEXIST: its slot is taken, or
 * sad_reserve gives no such SPI.
 */
int sad_reserve_spi(struct sad *s, uint32_t spi) MUST_CHECK;

/*
 * Retires the SA (doc/recovery.md 4): frees the outbound key; the inbound SA delivers until
 * drain_until.
 */
void sad_retire(struct sad *s, struct esp_sa *sa, nsec_t drain_until);
/* Adds an event and puts the SA on the dirty list. */
void sad_raise(struct sad *s, struct esp_sa *sa, uint32_t event);
/* Takes an SA off the dirty list and gives its events; NULL if the list is empty. */
struct esp_sa *sad_take_dirty(struct sad *s, uint32_t *ret_events);
/*
 * Changes the detection options of a running SA; verify_rate is in packets per second. A bridge
 * that is switched off and on is the same one.
 */
void esp_sa_set_detect(struct esp_sa *sa, const struct detector_config *cfg, uint32_t verify_rate,
		       bool bridge);
/* The next FRESH packet is reported as FIRST_FRESH, even if others came before. */
void esp_sa_await_fresh(struct esp_sa *sa);
/* Call it when the evidence so far has been dealt with: resets detector and figures. */
void esp_sa_forget_evidence(struct esp_sa *sa);

#endif
