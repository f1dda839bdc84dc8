/*
 * ike_sa.h - IKE SAs, CHILD SAs and the engine's own state; for use within ike/.
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_IKE_SA_H
#define MENDIP_IKE_SA_H

#include <sys/queue.h>
#include <uthash.h>

#include "bucket.h"
#include "auth/eap.h"
#include "ike_view.h"
#include "crypto/kex.h"
#include "sa/window.h"

struct nonce {
	uint16_t len;
	uint8_t b[IKE_NONCE_MAX];
};

/* As initiator: what becomes of EAP in IKE_AUTH (RFC 7296 2.16), once the peer is authenticated. */
struct eap_run {
	struct eap *eap; /* owned */
	bool succeeded;	 /* our AUTH by the MSK is on its way */
	nsec_t until;	 /* the whole of it may take no longer */
	/* The body of the peer's ID payload, which its second AUTH covers. */
	uint8_t idr[IDENT_MAX + 4];
	size_t idr_len;
};

/* What IKE_AUTH needs of IKE_SA_INIT. */
struct handshake {
	struct nonce ni, nr;
	struct kex *kex;
	/*
	 * The messages as they were sent or received, which AUTH covers; owned. NULL: there is none
	 * yet.
	 */
	uint8_t *request, *response;
	size_t request_len, response_len;
	/* As initiator: what the peer asked for, and how often. */
	uint8_t cookie[IKE_COOKIE_MAX];
	uint8_t cookie_len;
	uint16_t group; /* by INVALID_KE_PAYLOAD; 0: our first group */
	uint8_t rounds;
	uint16_t error;	  /* an unprotected refusal that we saw, or, */
	bool unusable;	  /* what is wrong with a response that we cannot accept; 0: none */
	bool childless;	  /* the peer announced CHILDLESS_IKEV2_SUPPORTED */
	bool needs_child; /* IKE_AUTH asks for a child also with CHILDLESS_PREFER */
	/* RFC 9242 and 9370 (task/intermediate.c) */
	uint8_t addke_done; /* additional key exchanges that are over */
	/*
	 * IntAuth_i | IntAuth_r | the message ID of IKE_AUTH, over the IKE_INTERMEDIATE messages up
	 * to now; a part that has no message yet is zero.
	 */
	uint8_t intauth[2 * HASH_MAX_LEN + 4];
	uint8_t intauth_len; /* 0: there were none */
	/*
	 * The keys of the last IKE_INTERMEDIATE exchange, and its message ID: its request may come
	 * again, and its response be sent again, after the keys have changed. Owned.
	 */
	struct aead_key *earlier_open, *earlier_seal;
	uint32_t earlier_id;
	/*
	 * RFC 8784: what both sides said in IKE_SA_INIT; whether AUTH is in N(NO_PPK_AUTH); the
	 * keys as they are without the post-quantum key, while those of the IKE SA have it.
	 */
	bool peer_uses_ppk, without_ppk;
	struct ike_keys *no_ppk_keys; /* owned; NULL: no post-quantum key is used */
	/* RFC 7427: the hashes that the peer announced, 1 << enum signature_hash; 0: none. */
	uint32_t peer_hashes;
	bool announced;	     /* we announced ours */
	bool asks_raw;	     /* as initiator: the peer's CERTREQ wants raw public keys */
	struct eap_run *eap; /* owned; NULL: there is none, or not yet */
};

/* What was negotiated for a CHILD SA. */
struct child_offer {
	const struct child_conf *conf;
	struct ts_list local, remote; /* narrowed */
	struct proposal_choice choice;
	/*
	 * What it makes lost against the peer's SA (2.8.1): it receives until its DELETE is
	 * answered, and nothing is sent on it.
	 */
	bool lost;
};

struct child_sa {
	LIST_ENTRY(child_sa) link;
	struct ike_sa *ike_sa;
	const struct child_conf *conf; /* valid as long as the IKE SA's conn */
	enum child_state state;
	uint32_t spi_in, spi_out;
	struct proposal_choice choice;
	struct ts_list *local, *remote; /* owned */
	bool initiator;			/* we sent the request that made it: keys _i are outbound */
	bool successor;			/* another CHILD SA replaces it */
	struct child_sa *replaces;	/* the SA that it rekeys; NULL: none, or it ended */
	bool confirmed;			/* the peer surely has it */
	bool deleted_by_peer;
	bool rekeyed_instead; /* we rekey it, as the peer's rekey would have narrowed it */
	bool voided; /* made by a rekey of the peer's that the peer never used (ike_child_void) */
	nsec_t created;
	struct deadline rekey, expire, cleanup;
	void *owner; /* of ike_view.h */
#ifdef MENDIP_FAULTS
	uint32_t fault_spi; /* changes the SPI that its rekey names */
#endif
};

TAILQ_HEAD(task_list, ike_task);
LIST_HEAD(child_list, child_sa);

struct ike_sa {
	struct ike *ike;
	UT_hash_handle hh; /* by our_spi */
	LIST_ENTRY(ike_sa) address_link;
	enum ike_state state;
	bool initiator;
	bool beside; /* made by rung 3: sends no INITIAL_CONTACT */
	uint64_t spi_i, spi_r, our_spi;
	const struct conn_conf *conn;
	struct endpoint local, remote;
	struct ident peer_id;
	char ppk_id[PPK_ID_MAX + 1]; /* the post-quantum key in its keys; "": none */
	struct peer_proof *proof;    /* a reference; NULL: a pre-shared key, or not authenticated */
	struct ident wanted_id; /* as initiator: the identity that the peer must have; ID_NONE: that
				   of conn */
	bool we_natted, peer_natted;
	bool claims_nat;	 /* we have made the peer believe that we are behind a NAT */
	struct ike_sa *rival_of; /* the IKE SA whose rekey by us is outstanding; the peer made this
				    one by a rekey that collided with that */
	bool unresolved;	 /* rival_of is not decided: it has no children yet */
	/*
	 * It ended by a DELETE or INITIAL_CONTACT. It may be ESTABLISHED still while our rekey of
	 * it is outstanding: the answer to that may have been overtaken, and is waited for.
	 */
	bool deleted_by_peer;
	bool unanswered; /* it ended because the peer was silent, not because somebody ended it */
	bool busy;	 /* TEMPORARY_FAILURE to requests for CHILD SAs (2.25); only tests set it */

	struct proposal_choice choice;
	enum hash_alg prf;
	struct ike_keys keys;
	struct aead_key *seal, *open;
	uint64_t iv_counter, iv_mask;

	/* NULL when the peer is authenticated, and in an IKE SA that a rekey made. */
	struct handshake *handshake;

	/* RFC 6311, as peer of a cluster */
	bool ha_peer;	       /* both sides announced support */
	bool synced;	       /* another member has taken over at least once */
	uint32_t sync_m1;      /* M1 of its last request, which must rise */
	uint8_t sync_nonce[4]; /* nonce of that request */

	/* RFC 7383 */
	bool fragments;		/* both sides announced support */
	uint16_t fragment_size; /* bytes of an IP datagram, as larger ones had no answer; 0: that
				   of conn */
	bool mute;		/* a response was too long for a message: it ends */
	/* RFC 4555 */
	bool mobike;		 /* both sides announced support */
	bool original_initiator; /* we called: of the two sides we choose the addresses */
	bool mapped_known;
	uint8_t mapped[20];	   /* how the peer sees our address: its last hash of it */
	struct addr peer_addrs[8]; /* further ones of the peer */
	uint8_t peer_addr_count;

	struct task_list tasks; /* that wait */
	struct ike_task *outstanding;
	struct ike_window window;

	struct cp_config
		*config; /* assigned by us (with pools) or the peer (vips); owned, or NULL */
	struct child_list children;
	unsigned child_count;
	struct followups *followups; /* of the peer's CREATE_CHILD_SA; owned, NULL: none */
	struct deadline followup;    /* when it is given up */
	struct deadline dpd, rekey, expire, keepalive;
	nsec_t established, last_heard;
	/*
	 * Of the IKE SA that this one goes back to by rekeys: when its IKE_SA_INIT began, and when
	 * it was ESTABLISHED.
	 */
	nsec_t began, called;
	nsec_t last_sent;
	bool watch_answer; /* the next response leads to IKE_EVENT_ANSWERED */
	void *owner;	   /* of ike_view.h */
	struct ike_sa *next_dead;
};

LIST_HEAD(ike_sa_list, ike_sa);

/* The functions for the deadlines of SAs, each named like its deadline; ike.c sets them. */
struct sa_timers {
	deadline_due *dpd, *rekey, *expire, *keepalive, *followup;
	deadline_due *child_rekey, *child_expire, *child_cleanup;
};

#define LIMIT_SLOTS   256
#define LIMIT_ROWS    4
#define LIMIT_COLUMNS 1024

struct ike {
	struct ike_ops ops;
	struct ike_settings set;
	struct rng *rng;
	struct log *log;
	struct conn_set conns;
	struct ike_sa *sas;	/* uthash by our_spi */
	struct ike_half *half;	/* uthash: half-open SAs of responders by (SPIi, address) */
	struct ike_addr *addrs; /* uthash: SAs by remote address */
	struct ike_site *sites; /* uthash: half-open counts by site (addr_site) */
	unsigned half_open;
	struct deadline_heap deadlines;
	const struct sa_timers *timers;
	struct ike_sa *dead;
	bool held;	  /* ike_hold */
	bool only_udp;	  /* ike_only_udp */
	bool wrong_state; /* set by state.c: a state changed to one that may not follow it */
	uint8_t cookie_secret[2][32];
	uint8_t cookie_version;
	nsec_t cookie_since;
	struct bucket version_bucket, hint_bucket;
	uint64_t counters[IKE_COUNTERS];
	/*
	 * Of limits.c. The places are chosen by a keyed hash, so that nobody can aim at that of
	 * another.
	 */
	uint64_t limit_key;
	struct log_limit peer_lines[LIMIT_SLOTS]; /* by identity */
	struct log_limit recovery_lines[LIMIT_SLOTS];
	struct log_limit traces;
	SLIST_HEAD(, trace_name) traced; /* trace.c */
	/* By address, which has a place in each row. */
	struct bucket guesses[LIMIT_ROWS][LIMIT_COLUMNS];
	nsec_t guesses_until; /* from then on all of these are full again */
};

/* ---- state.c: the only writer of states; see there for what may follow what ---- */
void sa_set_state(struct ike_sa *sa, enum ike_state to);
/* REKEYED: a successor has its children. An SA that is being deleted stays DELETING. */
void sa_set_rekeyed(struct ike_sa *sa);
void child_set_state(struct child_sa *c, enum child_state to);
/* The name of its connection, for the log. */
const char *sa_label(const struct ike_sa *sa);

/* ---- ike_sa.c, child_sa.c: making, finding and ending SAs ---- */
/*
 * Makes an IKE SA with a new SPI of ours, and adds it to the tables; it takes a reference to conn.
 * sa_kill ends it.
 */
struct ike_sa *sa_new(struct ike *ike, const struct conn_conf *conn, bool initiator,
		      const struct endpoint *local, const struct endpoint *remote);
/* A random SPI, not 0, that no IKE SA of ours has. */
uint64_t sa_new_spi(struct ike *ike);
/* Replaces our_spi, not spi_i or spi_r, by one that no IKE SA of ours has. */
void sa_set_spi(struct ike_sa *sa, uint64_t our_spi);
/* The IKE SA that has not ended with this SPI of ours, or NULL. */
struct ike_sa *sa_find(struct ike *ike, uint64_t our_spi);
/* Makes `seal` and `open` from its keys; its choice is set. -EINVAL if that fails. */
int sa_set_keys(struct ike_sa *sa) MUST_CHECK;
/* Gives its keys to the owner's key log, if there is one. */
void sa_tell_keys(const struct ike_sa *sa);
/* Gives an IKE SA that has none an empty handshake. */
void sa_begin_handshake(struct ike_sa *sa);
/* Wipes and frees its handshake, if it has one. */
void sa_end_handshake(struct ike_sa *sa);
/* Makes the IKE SA ESTABLISHED: sets its timers and tells UP. how: text for the log. */
void sa_establish(struct ike_sa *sa, const char *how, nsec_t now);
/* If we are behind a NAT: its mapping is kept from now on (RFC 3948 2.3). */
void sa_keep_mapping(struct ike_sa *sa, nsec_t now);
/* Changes the peer's endpoint, and the index by address. */
void sa_set_remote(struct ike_sa *sa, const struct endpoint *remote);
/*
 * Ends the IKE SA without a message: ends its children, then tells DOWN; sa_reap frees it. Does
 * nothing to one that has ended. why: text for the log.
 */
void sa_kill(struct ike_sa *sa, const char *why, nsec_t now);
/* The same because of a problem, of which the owner is told with `why`. */
void sa_fail(struct ike_sa *sa, enum ike_problem p, const char *why, nsec_t now);
/* Frees the IKE SAs that have ended. */
void sa_reap(struct ike *ike);
/* Makes a CHILD SA, INSTALLED and zeroed but for its configuration, on the list of sa. */
struct child_sa *child_new(struct ike_sa *sa, const struct child_conf *conf);
/* Sets `created`, and the deadlines of the configuration. */
void child_arm(struct child_sa *c, nsec_t now);
/* The CHILD SA that sends to this SPI, or NULL. */
struct child_sa *child_by_spi_out(const struct ike_sa *sa, uint32_t spi);
/* Ends the CHILD SA without a message, tells DOWN, and frees it. why: text. */
void child_kill(struct child_sa *c, const char *why, nsec_t now);
/* The two parts of that, for one that nothing was told of: takes it off the list of its IKE SA, */
void child_unlink(struct child_sa *c);
/* and clears its deadlines and frees it. */
void child_free(struct child_sa *c);
/*
 * `gone`, which was to replace `old`, is void or ends: `old` becomes what it was, and a rekey of
 * ours that collided with `gone` has no rival any more.
 */
void child_kept(struct child_sa *old, const struct child_sa *gone, nsec_t now);
/* INSTALLED again, as its rekey failed; the next one comes in a minute, if rekey_time is set. */
void child_not_replaced(struct child_sa *c, nsec_t now);
/* The CHILD SA that the peer's REKEY_SA notify names, or NULL; rekey_sa may be NULL. */
struct child_sa *child_named(const struct ike_sa *sa, const struct ike_notify_view *rekey_sa);
/* The newest CHILD SA that replaces it by a rekey, or NULL. */
struct child_sa *child_replacing(const struct child_sa *c);
/* Whether a admits just what these do. */
bool child_has_selectors(const struct child_sa *a, const struct ts_list *local,
			 const struct ts_list *remote);
/*
 * Marks it as replaced by the peer's rekey: if the peer has not deleted it in 30 s, child_cleanup
 * is called.
 */
void child_replaced_by_peer(struct child_sa *old, nsec_t now);
/*
 * Less than, equal to or greater than 0, as memcmp; of two that begin alike the shorter is lower
 * (2.8.1).
 */
int nonce_cmp(const struct nonce *a, const struct nonce *b);
/* Copies c, of at most IKE_NONCE_MAX bytes. */
void nonce_set(struct nonce *n, struct chunk c);
/* Points into n. */
struct chunk nonce_chunk(const struct nonce *n);

#endif
