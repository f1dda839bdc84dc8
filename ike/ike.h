/*
 * ike.h - the IKEv2 engine (RFC 7296): all IKE SAs of one endpoint, as pure code.
 * SPDX-License-Identifier: ISC
 *
 * Time and bytes come in by ike_receive, ike_tick and the requests below; messages and what
 * happened go out by struct ike_ops. The engine does no I/O and reads no clock. Calls from within
 * an op back into the engine are allowed for the request functions (they only queue), not for
 * ike_receive and ike_tick.
 */
#ifndef MENDIP_IKE_H
#define MENDIP_IKE_H

#include "deadline.h"
#include "saved.h"
#include "sa/ike_config.h"
#include "sa/keymat.h"
#include "log.h"
#include "crypto/random.h"

struct ike;
struct ike_sa;
struct child_sa;

/* Why a task of ours ended; names are part of the control interface. */
#define FOREACH_IKE_RESULT(X)              \
	X(OK, "ok")                        \
	X(SUPERSEDED, "superseded")        \
	X(NOT_FOUND, "child-sa-not-found") \
	X(TEMPORARY, "temporary-failure")  \
	X(REFUSED, "refused")              \
	X(LATE, "no-answer-yet")           \
	X(TIMEOUT, "timeout")              \
	X(GONE, "gone")

enum ike_result {
#define X(id, text) IKE_RESULT_##id,
	FOREACH_IKE_RESULT(X)
#undef X
};
const char *ike_result_name(enum ike_result r);

enum ike_sa_event {
	IKE_EVENT_UP,	     /* authenticated, or the successor of an IKE SA that was rekeyed */
	IKE_EVENT_REKEYED,   /* children have moved to *other */
	IKE_EVENT_DOWN,	     /* gone with all children; ends with it */
	IKE_EVENT_LATE,	     /* a request with a time for its answer has none by then */
	IKE_EVENT_ANSWERED,  /* after ike_hurry or ike_liveness: a fresh answer came */
	IKE_EVENT_MOVED,     /* the peer speaks from another address or port (2.23) */
	IKE_EVENT_WENT_BACK, /* the peer's message IDs went back (doc/recovery.md 5) */
};

enum child_event {
	CHILD_EVENT_UP,	       /* installed; `replaces` is what it is to replace, or NULL */
	CHILD_EVENT_CONFIRMED, /* the peer has it surely: outbound may move */
	CHILD_EVENT_LOST, /* the peer says, protected, that it does not know the SPI we send to */
	CHILD_EVENT_KEPT, /* what was to replace it is void */
	CHILD_EVENT_DOWN, /* removed; ends with it */
};

struct ike_ops {
	void *ctx;
	/* A whole IKE message, without non-ESP marker. */
	void (*send)(void *ctx, const struct endpoint *local, const struct endpoint *remote,
		     const uint8_t *p, size_t len);
	/* An inbound SPI of the SAD, or 0; and its return when no SA came of it. */
	uint32_t (*spi_reserve)(void *ctx);
	void (*spi_release)(void *ctx, uint32_t spi);
	/* Puts the child into the SAD, which has c's SPIs, suite and selectors. Negative errno:
	 * refuse it. */
	int (*child_install)(void *ctx, struct child_sa *c, const struct child_keys *keys,
			     struct child_sa *replaces, nsec_t now);
	void (*child_event)(void *ctx, struct child_sa *c, enum child_event e, const char *why,
			    nsec_t now);
	/*
	 * 0, or the error to answer with: whether the peer may have a CHILD SA of this
	 * configuration with these selectors; ours: we have asked for it; old: in the place of
	 * this one, or NULL.
	 */
	uint16_t (*child_admit)(void *ctx, struct ike_sa *sa, const struct child_conf *conf,
				const struct ts_list *local, const struct ts_list *remote,
				bool ours, const struct child_sa *old, nsec_t now);
	/* A rekey or creation of ours has ended (LATE: goes on). child: the new one with OK,
	 * otherwise the old one if it is still there. */
	void (*child_result)(void *ctx, struct ike_sa *sa, const struct child_conf *conf,
			     struct child_sa *child, enum ike_result r, uint16_t notify,
			     nsec_t now);
	void (*ike_event)(void *ctx, struct ike_sa *sa, enum ike_sa_event e, struct ike_sa *other,
			  const char *why, nsec_t now);
	/* A member of the peer's cluster took over; our ESP numbers are to leap by delta (RFC
	 * 6311).
	 */
	void (*synced)(void *ctx, struct ike_sa *sa, uint64_t delta, nsec_t now);
	/*
	 * Behind a NAT: something authenticated goes out on a CHILD SA, unless something has since
	 * the last call. False: it has none that could.
	 */
	bool (*keep_mapping)(void *ctx, const struct ike_sa *sa);
	/* When the last FRESH or BRIDGED packet of the SA's children came; 0: never. */
	nsec_t (*last_inbound)(void *ctx, const struct ike_sa *sa);
};

/*
 * Requests that a recovery waits for are sent at 0, 0.5, 1.5 and 3.5 s, and after this time without
 * an answer IKE_EVENT_LATE comes (doc/recovery.md 5).
 */
#define IKE_LATE_PROOF (1500 * NSEC_PER_MSEC)
#define IKE_LATE_HINT  (5500 * NSEC_PER_MSEC)

struct ike_settings {
	unsigned half_open_max;		/* IKE_SA_INITs answered and not authenticated: 1,000 */
	unsigned half_open_per_address; /* of them from one address: 10 */
	unsigned cookie_threshold;	/* from here on cookies are demanded: 30 */
	unsigned sa_max;		/* IKE SAs altogether: 100,000 */
	unsigned children_max;		/* of one IKE SA: 256 */
	unsigned peer_sas;		/* IKE SAs of one identity: 8 */
	unsigned peer_children;		/* CHILD SAs of one identity that live: 256 */
	unsigned peer_routes;		/* selectors of its side in them: 1,024 */
	unsigned peer_log_rate;		/* lines a second that one identity may cause: 10 */
	unsigned guess_rate; /* failed IKE_AUTHs a second of one address, after a burst of 10: 1 */
	bool old_secrets_stay; /* who got in by a secret that has changed since stays: false */
	/* Of theirs, 5 s when half of the places are taken, and of ours from IKE_AUTH on: 30 s */
	nsec_t half_open_timeout;
	nsec_t retransmit_timeout; /* first one of a routine request: 2 s, then times 1.8 */
	unsigned retransmit_tries; /* 5 */
	nsec_t keepalive;	   /* behind a NAT, without a packet of ours: 20 s */
};
void ike_settings_default(struct ike_settings *s);

#define FOREACH_IKE_COUNTER(X)                                                                     \
	X(MALFORMED, "malformed", "not an IKEv2 message, or lengths that do not add up")           \
	X(VERSION, "version", "an IKE version other than 2")                                       \
	X(UNKNOWN_SPI, "unknown_spi", "no IKE SA with these SPIs")                                 \
	X(AUTH_FAILED, "auth_failed", "the integrity of a protected message does not hold")        \
	X(OLD_MESSAGE, "old_message", "an authentic message with a Message ID outside the window") \
	X(RETRANSMITTED, "retransmitted", "a request again; the cached response was sent")         \
	X(UNEXPECTED, "unexpected", "against the rules of its exchange")                           \
	X(COOKIE_DEMANDED, "cookie_demanded", "IKE_SA_INIT answered with a cookie")                \
	X(HALF_OPEN_LIMIT, "half_open_limit", "IKE_SA_INIT dropped: too many half-open SAs")       \
	X(REFLECTED, "reflected", "our own IKE_SA_INIT came back to us")                           \
	X(GUESS, "guess", "IKE_AUTH without the right secret")                                     \
	X(GUESS_LIMIT, "guess_limit", "refused: too many of these from one address")               \
	X(PEER_LIMIT, "peer_limit", "an authenticated peer asked for too much")                    \
	X(NO_CONFIG, "no_config", "IKE_SA_INIT from an address that no connection names")          \
	X(UNPROTECTED, "unprotected", "INVALID_SPI or the like without protection")                \
	X(RETRANSMITS, "retransmits", "our requests sent again")

enum ike_counter {
#define X(id, name, text) IKE_COUNT_##id,
	FOREACH_IKE_COUNTER(X)
#undef X
		IKE_COUNTERS
};
const char *ike_counter_name(enum ike_counter c);

/* ops, rng and log must outlive the engine. */
struct ike *ike_new(const struct ike_ops *ops, const struct ike_settings *settings, struct rng *rng,
		    struct log *log);
/* Forgets all SAs without a word to their peers. */
void ike_free(struct ike *ike);
/*
 * The connections that may be answered; the engine takes references. Who is not authenticated yet
 * goes on under the one of the same name, where `same` says that nothing but secrets differs;
 * others are out. same may be NULL: all are.
 */
void ike_set_conns(struct ike *ike, struct conn_conf **conns, unsigned count,
		   bool (*same)(const struct conn_conf *a, const struct conn_conf *b), nsec_t now);
const uint64_t *ike_counters(const struct ike *ike);
/* Counts one more: for what the caller refuses in an op. */
void ike_count(struct ike *ike, enum ike_counter c);
/* Limits and times are these from now on. */
void ike_set_settings(struct ike *ike, const struct ike_settings *settings);
/* For log_limited: the lines that this peer may still cause. */
struct log_limit *ike_peer_lines(struct ike *ike, const struct ident *id);
/* The same for lines about recoveries, which other lines do not push out. */
struct log_limit *ike_recovery_lines(struct ike *ike, const struct ident *id);

/* One IKE message from the network. Never fails; the bytes may be anything. */
void ike_receive(struct ike *ike, const struct endpoint *local, const struct endpoint *remote,
		 const uint8_t *p, size_t len, nsec_t now);
nsec_t ike_next_deadline(const struct ike *ike);
/* Does what is due at now. */
void ike_tick(struct ike *ike, nsec_t now);

/*
 * Starts an IKE SA to `remote`; it sends nothing before the next ike_tick. peer: the identity that
 * it must have, or NULL for any that the connection admits. With `beside` another IKE SA to the
 * same peer stays, and INITIAL_CONTACT is not sent. NULL: no proposal has a key exchange or too
 * many SAs.
 */
struct ike_sa *ike_initiate(struct ike *ike, struct conn_conf *conn, const struct endpoint *local,
			    const struct endpoint *remote, const struct ident *peer, bool beside,
			    nsec_t now);
/*
 * A new CHILD SA, asked for from `at` on. On an IKE SA that is not up yet the first one rides along
 * in IKE_AUTH. first: the two selectors of the packet that asked for it, or NULL. False: the IKE SA
 * is going, or has too many requests waiting.
 */
bool ike_child_create(struct ike_sa *sa, struct child_conf *conf, const struct ts *first,
		      nsec_t at) MUST_CHECK;
/*
 * The same with selectors of its own, within those of conf, as of an SA that is to be replaced.
 * What is asked for already is not asked for twice.
 */
bool ike_child_create_like(struct ike_sa *sa, struct child_conf *conf, const struct ts_list *local,
			   const struct ts_list *remote, nsec_t at) MUST_CHECK;
/* A request that makes a CHILD SA of this configuration is waiting or outstanding. */
bool ike_child_is_asked(const struct ike_sa *sa, const struct child_conf *conf);
/* Nobody wants the CHILD SAs that were asked for by ike_child_create or a rekey any more. */
void ike_child_cancel(struct ike_sa *sa, const struct child_conf *conf);
/*
 * Rekeys the child; the outcome comes by child_result. late: with short timers, and the time for an
 * answer; 0: a routine rekey.
 */
void ike_child_rekey(struct child_sa *c, nsec_t late, nsec_t now);
/* The peer does not know the child (CHILD_SA_NOT_FOUND): forgets it and makes another one like it.
 */
void ike_child_replace(struct child_sa *c, nsec_t late, nsec_t now);
/*
 * The peer's rekey of `old`, which made `made`, is void: `old` is what it was before, and may be
 * rekeyed (doc/recovery.md 4). `made` is kept for a while, should the peer use it after all: then
 * it is CONFIRMED; otherwise it is deleted.
 */
void ike_child_void(struct child_sa *old, struct child_sa *made, nsec_t now);
void ike_child_delete(struct child_sa *c, nsec_t now);
/* Forgets the child without a message. */
void ike_child_drop(struct child_sa *c, const char *why, nsec_t now);
void ike_sa_rekey(struct ike_sa *sa, nsec_t now);
/* Deletes the SA with a message, or forgets it without one. */
void ike_sa_delete(struct ike_sa *sa, nsec_t now);
void ike_sa_drop(struct ike_sa *sa, const char *why, nsec_t now);
/* A liveness check unless one is under way (RFC 7296 2.4). late: as for ike_child_rekey. */
void ike_liveness(struct ike_sa *sa, nsec_t late, nsec_t now);
/*
 * For a process that is about to save its SAs: no rekey, new CHILD SA or check is begun any more,
 * so that what is under way ends. What a recovery asks for goes on.
 */
void ike_hold(struct ike *ike);
/* Gives the outstanding request the short timers and the time; false when there is none. */
bool ike_hurry(struct ike_sa *sa, nsec_t late, nsec_t now);
/* The peer's address changed, shown by a FRESH ESP packet; kept only when it may (RFC 7296 2.23).
 */
bool ike_peer_moved(struct ike_sa *sa, const struct endpoint *remote, nsec_t now);
/* An outsider hints that the peer at the address has lost an SA: at most a rate-limited check. */
void ike_outsider_hint(struct ike *ike, const struct endpoint *remote, nsec_t now);
/* A first FRESH ESP packet came on the child: the peer has it. */
void ike_child_heard(struct child_sa *c, nsec_t now);

/* ---- SAs in bytes, for the process that goes on with them (doc/architecture.md) ---- */
/* Nothing is under way on it, from either side: ike_sa_save writes all there is. */
bool ike_sa_is_settled(const struct ike_sa *sa);
/* The IKE SA, and a CHILD SA of it; keys are among the bytes. */
void ike_sa_save(const struct ike_sa *sa, struct writer *w);
void child_sa_save(const struct child_sa *c, struct writer *w);
/*
 * An established IKE SA without owner and children; nothing is told of it. NULL: that is none. Its
 * next IVs are some further on, should any have been used after it was written.
 */
struct ike_sa *ike_sa_load(struct ike *ike, struct conn_conf *conn, struct reader *r, nsec_t now);
/* A CHILD SA of it without owner; it is not installed. NULL: that is none. */
struct child_sa *child_sa_load(struct ike_sa *sa, struct child_conf *conf, struct reader *r);

/*
 * What must hold between two calls: whatever an SA waits for is under way. NULL when it does;
 * otherwise what is wrong. For tests.
 */
const char *ike_check(const struct ike *ike);

/* Faults for tests (builds with --enable-faults). */
#ifdef MENDIP_FAULTS
void ike_fault_message_ids(struct ike_sa *sa, uint32_t back);
void ike_fault_forget_child(struct child_sa *c);
/* Its rekeys name another SPI, as if the peer had forgotten the SA. */
void ike_fault_rekey_spi(struct child_sa *c);
void ike_fault_forget_sa(struct ike_sa *sa);
#endif

#endif
