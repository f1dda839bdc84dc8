/*
 * ike_sa.h - IKE SAs, CHILD SAs, and what all of an engine share; within ike/.
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_IKE_SA_H
#define MENDIP_IKE_SA_H

#include <sys/queue.h>
#include <uthash.h>

#include "bucket.h"
#include "ike_view.h"
#include "crypto/kex.h"

struct nonce {
	uint16_t len;
	uint8_t b[IKE_NONCE_MAX];
};

/* What IKE_SA_INIT leaves for IKE_AUTH. */
struct handshake {
	struct nonce ni, nr;
	struct kex *kex;
	/* The messages as they were sent or came, which AUTH covers; owned, NULL before they are.
	 */
	uint8_t *request, *response;
	size_t request_len, response_len;
	/* The initiator's: what it was asked for, and how often. */
	uint8_t cookie[IKE_COOKIE_MAX];
	uint8_t cookie_len;
	uint16_t group; /* by INVALID_KE_PAYLOAD; 0: our first */
	uint8_t rounds;
	uint16_t error; /* an unprotected refusal that we saw; 0: none */
};

struct child_sa {
	LIST_ENTRY(child_sa) link;
	struct ike_sa *ike_sa;
	struct child_conf *conf; /* lives as long as the IKE SA's conn */
	enum child_state state;
	uint32_t spi_in, spi_out;
	struct proposal_choice choice;
	struct ts_list *local, *remote; /* owned */
	bool initiator;			/* we sent the request that made it: keys i go out */
	bool successor;			/* another CHILD SA replaces it */
	struct child_sa *replaces;	/* by a rekey; NULL: none, or that one is gone */
	bool confirmed;			/* the peer surely has it */
	bool voided;			/* made by a rekey of the peer's that it never used */
	nsec_t created;
	struct deadline rekey, expire, cleanup;
	void *owner; /* the tunnel's */
#ifdef MENDIP_FAULTS
	uint32_t fault_spi; /* changes the SPI that a rekey names, as if the peer had forgotten the
			       SA */
#endif
};

TAILQ_HEAD(task_list, ike_task);
LIST_HEAD(child_list, child_sa);

#define REMEMBERED_REQUESTS 8

struct ike_sa {
	struct ike *ike;
	UT_hash_handle hh; /* by our_spi */
	LIST_ENTRY(ike_sa) address_link;
	enum ike_state state;
	bool initiator;
	bool beside; /* of rung 3: no INITIAL_CONTACT */
	uint64_t spi_i, spi_r, our_spi;
	struct conn_conf *conn;
	struct endpoint local, remote;
	struct ident peer_id;
	struct ident wanted_id; /* ours to initiate: who must answer; ID_NONE: see conn */
	bool we_natted, peer_natted;
	struct ike_sa *rival_of; /* the SA whose outstanding rekey of ours collided with the one
				    that made this */
	bool unresolved; /* made by the peer's IKE rekey while ours is outstanding: has no children
			    yet */
	bool unanswered; /* it went because the peer was silent, not because anybody ended it */
	bool busy; /* answers CREATE_CHILD_SA by TEMPORARY_FAILURE (2.25): the tests' peers are, at
		      times */

	struct proposal_choice choice;
	enum hash_alg prf;
	struct ike_keys keys;
	struct aead_key *seal, *open;
	uint64_t iv_counter, iv_mask;

	/* Of IKE_SA_INIT, for IKE_AUTH; NULL when the peer is authenticated, and of an IKE SA that
	 * a rekey made. */
	struct handshake *handshake;

	/* RFC 6311 */
	bool ha_peer;	       /* both sides announced it */
	bool synced;	       /* a member of the peer's cluster has taken over once */
	uint32_t sync_m1;      /* the ID that it began with, which must rise */
	uint8_t sync_nonce[4]; /* of its request */

	/* our requests: a window of 1 */
	struct task_list tasks;
	struct ike_task *outstanding;
	uint32_t next_id; /* of our next request */
	uint8_t *request; /* the outstanding one's bytes */
	size_t request_len;
	unsigned sends;
	nsec_t request_since;
	bool hurried;
	struct deadline retransmit;
	struct deadline late; /* of the outstanding request's answer */

	/* the peer's requests: a window of 1 */
	uint32_t expected_id;
	uint8_t *response; /* to request expected_id - 1 */
	size_t response_len;
	struct {
		uint32_t id;
		bool used;
		uint8_t digest[16];
	} remembered[REMEMBERED_REQUESTS];

	struct child_list children;
	unsigned child_count;
	struct deadline dpd, rekey, expire, keepalive;
	nsec_t established, last_heard;
	/* Of the first of the IKE SAs that it has replaced: its IKE_SA_INIT began, it was up. */
	nsec_t began, called;
	nsec_t last_sent;
	bool watch_answer; /* tell IKE_EVENT_ANSWERED */
	void *owner;	   /* the tunnel's */
	struct ike_sa *next_dead;
};

LIST_HEAD(ike_sa_list, ike_sa);

/* What the layers above do at the deadlines of SAs; each is called with the one of its name. */
struct sa_timers {
	deadline_due *dpd, *rekey, *expire, *keepalive;
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
	struct conn_conf **conns;
	unsigned conn_count;
	struct ike_sa *sas;	/* uthash by our_spi */
	struct ike_half *half;	/* uthash: half-open SAs of responders by (SPIi, address) */
	struct ike_addr *addrs; /* uthash: SAs and half-open counts by remote address */
	unsigned half_open;
	struct deadline_heap deadlines;
	const struct sa_timers *timers;
	struct ike_sa *dead;
	bool held;	  /* ike_hold */
	bool wrong_state; /* state.c: a change of state that no exchange brings about */
	uint8_t cookie_secret[2][32];
	uint8_t cookie_version;
	nsec_t cookie_since;
	struct bucket version_bucket, hint_bucket;
	uint64_t counters[IKE_COUNTERS];
	/* limits.c: by a keyed hash, as who fills a table of all would have no limit. */
	uint64_t limit_key;
	struct log_limit peer_lines[LIMIT_SLOTS]; /* of an identity */
	struct log_limit recovery_lines[LIMIT_SLOTS];
	/* Of an address: it has a place in each row. */
	struct bucket guesses[LIMIT_ROWS][LIMIT_COLUMNS];
};

/* ---- state.c: the only writer of states, and what may follow what ---- */
void sa_set_state(struct ike_sa *sa, enum ike_state to);
/* A successor has its children; what is being deleted stays so. */
void sa_set_rekeyed(struct ike_sa *sa);
void child_set_state(struct child_sa *c, enum child_state to);

/* ---- ike_sa.c, child_sa.c: making, finding and ending SAs ---- */
struct ike_sa *sa_new(struct ike *ike, struct conn_conf *conn, bool initiator,
		      const struct endpoint *local, const struct endpoint *remote);
uint64_t sa_new_spi(struct ike *ike);
/* In place of the one that sa_new gave it; nobody else has it. */
void sa_set_spi(struct ike_sa *sa, uint64_t our_spi);
struct ike_sa *sa_find(struct ike *ike, uint64_t our_spi);
/* Sets SK_* objects from keys; the SA's choice is set. */
int sa_set_keys(struct ike_sa *sa) MUST_CHECK;
/* Gives an IKE SA that has none an empty handshake. */
void sa_begin_handshake(struct ike_sa *sa);
/* Wipes and frees its handshake, if it has one. */
void sa_end_handshake(struct ike_sa *sa);
/* Becomes ESTABLISHED: timers run, up is told. */
void sa_establish(struct ike_sa *sa, const char *how, nsec_t now);
/* The peer's endpoint is this from now on. */
void sa_set_remote(struct ike_sa *sa, const struct endpoint *remote);
/* Ends it: children down, DOWN told, freed at the end of the turn. */
void sa_kill(struct ike_sa *sa, const char *why, nsec_t now);
void sa_reap(struct ike *ike);
struct child_sa *child_new(struct ike_sa *sa, struct child_conf *conf);
void child_arm(struct child_sa *c, nsec_t now);
struct child_sa *child_by_spi_out(const struct ike_sa *sa, uint32_t spi);
/* Removes the child and tells DOWN. */
void child_kill(struct child_sa *c, const char *why, nsec_t now);
/* Off the list of its IKE SA: what child_kill does before it tells, */
void child_unlink(struct child_sa *c);
/* and what it does after that: its deadlines, then itself. */
void child_free(struct child_sa *c);
/* What was to replace it is void or gone: it is what it was, and a rekey of ours has no rival. */
void child_kept(struct child_sa *old, const struct child_sa *gone, nsec_t now);
/* No rekey of it is under way any more, and it has no successor: the next one comes in a minute. */
void child_not_replaced(struct child_sa *c, nsec_t now);
/* The lower of two nonces (2.8.1), octet by octet. */
int nonce_cmp(const struct nonce *a, const struct nonce *b);
void nonce_set(struct nonce *n, struct chunk c);
struct chunk nonce_chunk(const struct nonce *n);
nsec_t jittered(struct ike *ike, nsec_t t);
const char *sa_label(const struct ike_sa *sa);

#endif
