/*
 * ike.h - the IKEv2 engine (RFC 7296): all IKE SAs of one endpoint, as pure code.
 * SPDX-License-Identifier: ISC
 *
 * The caller passes time and messages to ike_receive, ike_tick and the requests below; the engine
 * passes messages and events to struct ike_ops. It does no I/O and reads no clock. Times (now, at)
 * are nanoseconds of one monotonic clock. An op may call the request functions, but not ike_receive
 * or ike_tick.
 *
 * An ended IKE SA is freed at the end of the turn: when ike_receive, ike_tick or ike_set_conns
 * returns. Numbers in parentheses, such as 2.23, are sections of RFC 7296.
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

/* The outcome of a request of ours; the names are part of the control interface. */
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
/* Static text. */
const char *ike_result_name(enum ike_result r);

enum ike_sa_event {
	IKE_EVENT_UP,	     /* authenticated, or made by the rekey of another IKE SA */
	IKE_EVENT_REKEYED,   /* its CHILD SAs have moved to `other` */
	IKE_EVENT_DOWN,	     /* ended, after its CHILD SAs; nothing is told of it any more */
	IKE_EVENT_LATE,	     /* a request was not answered within its `late` time */
	IKE_EVENT_ANSWERED,  /* after ike_hurry, or ike_liveness with `late`: a response came */
	IKE_EVENT_MOVED,     /* the peer sends from another address or port (2.23) */
	IKE_EVENT_WENT_BACK, /* the peer used a message ID for two requests (doc/recovery.md 5) */
};

enum child_event {
	CHILD_EVENT_UP,	       /* installed, after child_install */
	CHILD_EVENT_CONFIRMED, /* the peer surely has it: outbound traffic may move to it */
	CHILD_EVENT_LOST, /* the peer says, inside the IKE SA, that it does not know the SPI we send
			     to */
	CHILD_EVENT_KEPT, /* the SA that was to replace it is void */
	CHILD_EVENT_GOING, /* our DELETE for it is queued */
	CHILD_EVENT_DOWN,  /* removed; freed when the op returns */
};

/*
 * What keeps an IKE SA or a CHILD SA from being made, or has ended it; the last three are
 * the owner's. The names are part of the control interface.
 */
#define FOREACH_IKE_PROBLEM(X)                                                                 \
	X(NOT_SENT, "not-sent")			  /* this host refuses to send */              \
	X(NO_ANSWER, "no-answer")		  /* to IKE_SA_INIT */                         \
	X(NO_ANSWER_TO_AUTH, "no-answer-to-auth") /* IKE_SA_INIT was answered */               \
	X(INIT_REFUSED, "init-refused")		  /* IKE_SA_INIT was answered with an error */ \
	X(UNUSABLE, "unusable-answer")		  /* an answer that cannot be taken */         \
	X(PROPOSALS, "no-proposal")		  /* NO_PROPOSAL_CHOSEN */                     \
	X(NOT_LET_IN, "authentication-refused")	  /* AUTHENTICATION_FAILED */                  \
	X(NOT_TRUSTED, "authentication-failed")	  /* we refuse the peer */                     \
	X(NO_CREDENTIAL, "no-credential")	  /* we have nothing to show */                \
	X(SELECTORS, "selectors-refused")	  /* TS_UNACCEPTABLE, by either side */        \
	X(REFUSED, "refused")			  /* with another error */                     \
	X(SILENT, "peer-silent")		  /* it was up, and is not answered */         \
	X(DELETED, "deleted-by-peer")                                                          \
	X(ENDED, "ended") /* no task says why: the text of its end does */                     \
	X(NO_NAME, "name-not-found")                                                           \
	X(NO_ROUTE, "no-route")

enum ike_problem {
#define X(id, text) IKE_PROBLEM_##id,
	FOREACH_IKE_PROBLEM(X)
#undef X
		IKE_PROBLEMS
};
/* Static text. */
const char *ike_problem_name(enum ike_problem p);

#define REFUSAL_STRLEN 920

/* NO_PROPOSAL_CHOSEN, sent or received. All is valid during the call. */
struct ike_refusal {
	const char *exchange; /* "IKE_SA_INIT", "IKE_AUTH" or "CREATE_CHILD_SA" */
	bool by_peer;	      /* we asked; otherwise we refused the peer's request */
	const struct conn_conf *conn;
	const struct child_conf *child; /* NULL: it was about the IKE SA */
	const struct endpoint *remote;	/* of a caller without an IKE SA */
	/* What was offered, and as responder what we have; shorter than REFUSAL_STRLEN. */
	const char *text;
};

/* What the engine calls; all but `keys` are needed. Pointers are valid during the call, SAs until
 * they end. */
struct ike_ops {
	void *ctx; /* passed to each */
	/*
	 * Sends a whole IKE message of len bytes, which has no non-ESP marker. A negative errno:
	 * this host refuses to; what is only lost, as in a full socket, is 0.
	 */
	int (*send)(void *ctx, const struct endpoint *local, const struct endpoint *remote,
		    const uint8_t *p, size_t len);
	/*
	 * Reserves an inbound ESP SPI and returns it, or 0 if there is none; spi_release gives back
	 * one that no SA was installed with.
	 */
	uint32_t (*spi_reserve)(void *ctx);
	void (*spi_release)(void *ctx, uint32_t spi);
	/*
	 * Installs c, whose SPIs, suite and selectors are set, in the SAD. replaces: the SA that it
	 * rekeys, or NULL. A negative errno refuses it.
	 */
	int (*child_install)(void *ctx, struct child_sa *c, const struct child_keys *keys,
			     struct child_sa *replaces, nsec_t now);
	/* why: text, or NULL. */
	void (*child_event)(void *ctx, struct child_sa *c, enum child_event e, const char *why,
			    nsec_t now);
	/*
	 * Decides whether the peer may have a CHILD SA of this configuration with these selectors:
	 * 0, or the error notify type to answer with. ours: we have requested it; old: the SA that
	 * it is to replace, or NULL.
	 */
	uint16_t (*child_admit)(void *ctx, struct ike_sa *sa, const struct child_conf *conf,
				const struct ts_list *local, const struct ts_list *remote,
				bool ours, const struct child_sa *old, nsec_t now);
	/*
	 * The peer asks for these addresses (RFC 7296 2.19), under a connection with pools. 0 and
	 * *ret: they belong to the IKE SA and, after rekeys, its successors, until DOWN; otherwise
	 * the error notify type.
	 */
	uint16_t (*config_assign)(void *ctx, struct ike_sa *sa, const struct cp_config *asked,
				  struct cp_config *ret);
	/*
	 * A request of ours for a CHILD SA has ended. child: with OK the new SA, or after a
	 * collision the peer's that stays instead; otherwise the old one if it is still there, or
	 * NULL. notify: the error notify type, or 0.
	 */
	void (*child_result)(void *ctx, struct ike_sa *sa, const struct child_conf *conf,
			     struct child_sa *child, enum ike_result r, uint16_t notify,
			     nsec_t now);
	/*
	 * A request was refused as no proposal is in common. sa: NULL for an IKE_SA_INIT of the
	 * peer's, which anyone can send.
	 */
	void (*refused)(void *ctx, struct ike_sa *sa, const struct ike_refusal *r, nsec_t now);
	/*
	 * Any other problem with an IKE SA, or with this child if it is not NULL; before the IKE SA
	 * ends, if it does. As responder, before the peer is authenticated, anyone can cause it.
	 * text: what the other side said, valid during the call.
	 */
	void (*problem)(void *ctx, struct ike_sa *sa, const struct child_conf *child,
			enum ike_problem p, const char *text, nsec_t now);
	/* other: the successor with REKEYED, otherwise NULL. why: text. */
	void (*ike_event)(void *ctx, struct ike_sa *sa, enum ike_sa_event e, struct ike_sa *other,
			  const char *why, nsec_t now);
	/*
	 * Another member of the peer's cluster took over: outbound ESP sequence numbers of the SA's
	 * children are to increase by delta (RFC 6311 5.2).
	 */
	void (*synced)(void *ctx, struct ike_sa *sa, uint64_t delta, nsec_t now);
	/*
	 * Keeps a NAT's mapping: makes sure that since the last call an ESP packet went out on one
	 * CHILD SA of sa. False: no CHILD SA can send.
	 */
	bool (*keep_mapping)(void *ctx, const struct ike_sa *sa);
	/* The keys of an IKE SA, as soon as it has them, for key_log; NULL: nobody wants them. */
	void (*keys)(void *ctx, const struct ike_sa *sa, const struct ike_keys *keys);
	/* Seconds since 1970, for the validity of certificates. */
	int64_t (*wall_clock)(void *ctx);
	/* The time of the last FRESH or BRIDGED packet on the IKE SA's children; 0: never. */
	nsec_t (*last_inbound)(void *ctx, const struct ike_sa *sa);
	/* Whether traffic could go elsewhere: then it is to be known soon that the peer is silent.
	 */
	bool (*has_other_way)(void *ctx, const struct ike_sa *sa);
};

/*
 * `late` of the requests below: how long a recovery waits for the answer, after which
 * IKE_EVENT_LATE comes. Such a request is sent at 0, 0.5, 1.5, 3.5 and 5.5 s, and with longer waits
 * after that; each wait varies by 20 % (doc/recovery.md 5).
 */
#define IKE_LATE_PROOF (1500 * NSEC_PER_MSEC)
#define IKE_LATE_HINT  (5500 * NSEC_PER_MSEC)

/* Each comment ends with the default. */
struct ike_settings {
	unsigned half_open_max;		/* half-open IKE SAs of which we are the responder: 1,000 */
	unsigned half_open_per_address; /* of them from one IPv4 address or IPv6 /64: 10 */
	unsigned cookie_threshold; /* with so many of them every IKE_SA_INIT needs a cookie: 30 */
	unsigned sa_max;	   /* all IKE SAs: 100,000 */
	unsigned children_max;	   /* CHILD SAs on one IKE SA at the peer's request, twice that in
				      rekeys, and at least those configured; 0: none: 256 */
	unsigned peer_sas;	   /* IKE SAs of one identity: 8 */
	unsigned peer_children; /* CHILD SAs of one identity on one IKE SA, twice that on all of its
				   IKE SAs: 256 */
	unsigned peer_routes;	/* the peer's selectors in them, twice that likewise: 1,024 */
	unsigned peer_log_rate; /* log lines per second that one identity may cause: 10 */
	unsigned guess_rate; /* failed IKE_AUTHs per second from one IPv4 address or IPv6 /64, after
				a burst of 10; at least 1: 1 */
	bool old_secrets_stay; /* an IKE SA whose secret has changed since is kept: false */
	/*
	 * Default 30 s. As responder: how long an IKE SA may be half-open, at most 5 s when half of
	 * half_open_max are taken. As initiator: how long after the last IKE_SA_INIT request was
	 * made IKE_AUTH may be unanswered, but at least 10 s from the response.
	 */
	nsec_t half_open_timeout;
	/* Where a connection says nothing else: 0.5 s, 1.9 times, 7: a peer has 94 s to answer. */
	struct retransmission retransmit;
	nsec_t keepalive; /* longest silence of ours when we are behind a NAT: 20 s */
};
/* Sets all to the defaults. */
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
	X(RETRANSMITS, "retransmits", "our requests sent again")                                   \
	X(FRAGMENTS, "fragments", "authentic fragments of messages")                               \
	X(REASSEMBLED, "reassembled", "messages put together from them")                           \
	X(FRAGMENT_DROPPED, "fragment_dropped", "fragments that no message needs")                 \
	X(FRAGMENT_TIMEOUT, "fragment_timeout", "messages of which fragments stayed missing")

enum ike_counter {
#define X(id, name, text) IKE_COUNT_##id,
	FOREACH_IKE_COUNTER(X)
#undef X
		IKE_COUNTERS
};
/* Static text. */
const char *ike_counter_name(enum ike_counter c);

/* Copies *ops and *settings. ops->ctx, rng and log must outlive the engine. */
struct ike *ike_new(const struct ike_ops *ops, const struct ike_settings *settings, struct rng *rng,
		    struct log *log);
/* Ends all SAs, with their DOWN events and without a message, and frees the engine. Takes NULL. */
void ike_free(struct ike *ike, nsec_t now);
/*
 * Sets the connections that the engine answers for, and the secrets that IKE SAs authenticate by
 * from now on; it copies the set. A half-open IKE SA goes on with its connection if that is in the
 * set, or with the one of the same name if same() says that they are alike; otherwise it ends. same
 * may be NULL: no two are alike.
 */
void ike_set_conns(struct ike *ike, const struct conn_set *conns, conn_same *same, nsec_t now);
/* The secrets that ike_set_conns gave; NULL before. They belong to the engine. */
const struct psk_store *ike_secrets(const struct ike *ike);
/* The same of the keys and certificates. */
const struct cred_store *ike_credentials(const struct ike *ike);
/* The connections, valid until ike_set_conns. */
const struct conn_set *ike_conns(const struct ike *ike);
/* IKE_COUNTERS values, indexed by enum ike_counter; valid as long as the engine. */
const uint64_t *ike_counters(const struct ike *ike);
/* Adds one: for what the caller refuses in an op. */
void ike_count(struct ike *ike, enum ike_counter c);
/* Copies *settings, which apply from now on; deadlines that are set already stay. */
void ike_set_settings(struct ike *ike, const struct ike_settings *settings);
/*
 * The caller cannot send or receive ESP that is not in UDP: what is ENCAP_AUTO is ENCAP_YES from
 * now on. Call it before there are IKE SAs.
 */
void ike_only_udp(struct ike *ike);
/*
 * The limit, for log_limited, of the log lines that this peer causes. It belongs to the engine; two
 * peers may share one.
 */
struct log_limit *ike_peer_lines(struct ike *ike, const struct ident *id);
/* The same for lines about recoveries, which have a limit of their own. */
struct log_limit *ike_recovery_lines(struct ike *ike, const struct ident *id);

/*
 * Writes all lines about the IKE SAs of this connection, debug lines with what its messages say
 * among them, whatever the level of the log, or no longer. A reload does not end that. -ENOENT:
 * there is no such connection.
 */
int ike_trace(struct ike *ike, const char *conn, bool on) MUST_CHECK;

/*
 * Handles one received IKE message, without non-ESP marker. The len bytes at p may be anything;
 * errors are counted, and answered where the RFC says so.
 */
void ike_receive(struct ike *ike, const struct endpoint *local, const struct endpoint *remote,
		 const uint8_t *p, size_t len, nsec_t now);
/* When ike_tick is to be called next; NSEC_NEVER: there is nothing to wait for. */
nsec_t ike_next_deadline(const struct ike *ike);
/* Does everything that is due at `now`. */
void ike_tick(struct ike *ike, nsec_t now);

/*
 * Starts an IKE SA with `remote` as initiator; nothing is sent before the next ike_tick. It takes a
 * reference to conn, and ike_set_conns must have given secrets. peer: the identity that the peer
 * must have, or NULL for any that conn admits; copied. beside: another IKE SA with the same peer
 * stays, and INITIAL_CONTACT is not sent. NULL: no proposal has a key exchange, or there are sa_max
 * IKE SAs.
 */
struct ike_sa *ike_initiate(struct ike *ike, const struct conn_conf *conn,
			    const struct endpoint *local, const struct endpoint *remote,
			    const struct ident *peer, bool beside, nsec_t now);
/*
 * The first CHILD SA is asked for in IKE_AUTH also if the connection prefers IKE SAs without
 * (CHILDLESS_PREFER): the peer refuses CREATE_CHILD_SA. sa: one that ike_initiate has just given.
 */
void ike_begin_with_child(struct ike_sa *sa);
/*
 * Requests a new CHILD SA, not before `at`; the outcome comes by child_result. conf must be a child
 * of the IKE SA's connection. On an IKE SA that is not authenticated yet the first such request is
 * made in IKE_AUTH. first: two selectors, local and remote, of the packet that caused it (2.9), or
 * NULL; copied. False: the IKE SA has ended or is being deleted, or has
 * 512 requests waiting and one for each child of the connection.
 */
bool ike_child_create(struct ike_sa *sa, const struct child_conf *conf, const struct ts *first,
		      nsec_t at) MUST_CHECK;
/*
 * The same with selectors of its own, which are within those of conf and are copied. True without a
 * new request if one like it is waiting or outstanding.
 */
bool ike_child_create_like(struct ike_sa *sa, const struct child_conf *conf,
			   const struct ts_list *local, const struct ts_list *remote,
			   nsec_t at) MUST_CHECK;
/* Whether a request that makes a CHILD SA of this configuration is waiting or outstanding. */
bool ike_child_is_asked(const struct ike_sa *sa, const struct child_conf *conf);
/*
 * Whether a rekey is outstanding whose CHILD SA, of this configuration, has ended meanwhile: the
 * response to it still brings the successor.
 */
bool ike_child_rekey_is_out(const struct ike_sa *sa, const struct child_conf *conf);
/*
 * Drops the waiting requests for CHILD SAs of conf, rekeys included, without child_result. If one
 * is outstanding, the CHILD SA that it makes is deleted at once.
 */
void ike_child_cancel(struct ike_sa *sa, const struct child_conf *conf);
/*
 * Rekeys the CHILD SA, unless it is being rekeyed or deleted or has a successor; the outcome comes
 * by child_result. late: nanoseconds until IKE_EVENT_LATE, and the short timers; 0: a routine
 * rekey.
 */
void ike_child_rekey(struct child_sa *c, nsec_t late, nsec_t now);
/*
 * Ends c without a message, as the peer does not know it (CHILD_SA_NOT_FOUND), and requests another
 * one with its selectors. c is freed. late: as for ike_child_rekey.
 */
void ike_child_replace(struct child_sa *c, nsec_t late, nsec_t now);
/*
 * Declares the peer's rekey of `old`, which made `made`, void: `old` is what it was before, and may
 * be rekeyed (doc/recovery.md 4). `made` is kept for 20 s: if the peer uses it after all, it is
 * CONFIRMED; otherwise it is deleted.
 */
void ike_child_void(struct child_sa *old, struct child_sa *made, nsec_t now);
/* Sends DELETE; the CHILD SA ends when that is answered. */
void ike_child_delete(struct child_sa *c, nsec_t now);
/* Ends the CHILD SA without a message, and frees it. */
void ike_child_drop(struct child_sa *c, const char *why, nsec_t now);
/* Rekeys the IKE SA, unless it is not ESTABLISHED or a rekey is under way. */
void ike_sa_rekey(struct ike_sa *sa, nsec_t now);
/*
 * ike_sa_delete sends DELETE and ends the SA when that is answered; an SA that is not authenticated
 * ends at once without a message. ike_sa_drop ends any SA at once without a message.
 */
void ike_sa_delete(struct ike_sa *sa, nsec_t now);
void ike_sa_drop(struct ike_sa *sa, const char *why, nsec_t now);
/*
 * Checks whether an ESTABLISHED SA is alive (2.4). An outstanding request counts as the check.
 * late: as for ike_child_rekey; unless it is 0, IKE_EVENT_ANSWERED tells of the response.
 */
void ike_liveness(struct ike_sa *sa, nsec_t late, nsec_t now);
/*
 * For a process that is about to save its SAs: begins no more routine rekeys, new CHILD SAs and
 * liveness checks, so that what is under way ends. Requests of a recovery go on, and so does the
 * first check of an IKE SA on which nothing was heard since it was made.
 */
void ike_hold(struct ike *ike);
/*
 * Sends the outstanding request again at once, with the short timers and this `late` time. False:
 * there is none. IKE_EVENT_ANSWERED tells of the response.
 */
bool ike_hurry(struct ike_sa *sa, nsec_t late, nsec_t now);
/*
 * The same, and also if it has the short timers already: addresses or routes of ours have changed.
 */
void ike_send_now(struct ike_sa *sa, nsec_t late, nsec_t now);
/*
 * A FRESH ESP packet came from this endpoint: the SA follows it if only the peer is behind a NAT
 * (2.23) and the address family is the same. Returns whether it did.
 */
bool ike_peer_moved(struct ike_sa *sa, const struct endpoint *remote, nsec_t now);
/*
 * Our address has changed, or the peer is to be reached at another one: the IKE SA and its CHILD
 * SAs send from `local` (family 0: the system's choice) to `remote` from now on, and the peer is
 * asked to follow (RFC 4555 3.5). IKE_EVENT_MOVED comes at once and when the peer has answered; if
 * it has not within 1.5 s, IKE_EVENT_LATE. False, and nothing changes: the SA is not ESTABLISHED,
 * the two sides do not have MOBIKE, or it is the peer's to choose the addresses.
 */
bool ike_sa_move(struct ike_sa *sa, const struct endpoint *local, const struct endpoint *remote,
		 nsec_t now);
/*
 * An unprotected message claims that the peer at this address has lost an SA. Leads to one liveness
 * check at most, and to one per second over all SAs.
 */
void ike_outsider_hint(struct ike *ike, const struct endpoint *remote, nsec_t now);
/*
 * A first FRESH ESP packet came on the CHILD SA, so the peer has it: CONFIRMED is told, unless it
 * was before or the SA is being replaced or deleted.
 */
void ike_child_heard(struct child_sa *c, nsec_t now);

/* ---- SAs in bytes, for the process that goes on with them (doc/architecture.md) ---- */
/*
 * Whether nothing is under way on the SA from either side, so that ike_sa_save writes all of its
 * state.
 */
bool ike_sa_is_settled(const struct ike_sa *sa);
/*
 * Write the IKE SA, and one CHILD SA of it, keys included. The writer is bad if it runs out of
 * room.
 */
void ike_sa_save(const struct ike_sa *sa, struct writer *w);
void child_sa_save(const struct child_sa *c, struct writer *w);
/*
 * Reads an ESTABLISHED IKE SA, which has neither owner nor children; it takes a reference to conn.
 * No UP event is told. The next 64 IVs are skipped, in case the writer has used them. NULL:
 * truncated, malformed, or we have the SPI already; IKE_EVENT_DOWN may then have been told of an SA
 * without owner.
 */
struct ike_sa *ike_sa_load(struct ike *ike, const struct conn_conf *conn, struct reader *r,
			   nsec_t now);
/*
 * Reads a CHILD SA of the IKE SA, without owner; it is not installed and no event is told. NULL:
 * truncated or malformed.
 */
struct child_sa *child_sa_load(struct ike_sa *sa, const struct child_conf *conf, struct reader *r);

/*
 * For tests: checks what must hold between two calls, as that whatever an SA waits for is under
 * way. NULL, or static text that says what is wrong.
 */
const char *ike_check(const struct ike *ike);

/* Faults for tests (builds with --enable-faults). */
#ifdef MENDIP_FAULTS
void ike_fault_message_ids(struct ike_sa *sa, uint32_t back);
void ike_fault_forget_child(struct child_sa *c, nsec_t now);
/* Its rekeys name another SPI, as if the peer had forgotten the SA. */
void ike_fault_rekey_spi(struct child_sa *c);
void ike_fault_forget_sa(struct ike_sa *sa, nsec_t now);
#endif

#endif
