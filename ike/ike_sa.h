/*
 * ike_sa.h - IKE SA, CHILD SA, and the requests between them; within ike/ and for reading in
 * tunnel/. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_IKE_SA_H
#define MENDIP_IKE_SA_H

#include <sys/queue.h>
#include <uthash.h>

#include "bucket.h"
#include "ike.h"
#include "crypto/kex.h"

#define FOREACH_IKE_STATE(X)                                                               \
	X(INIT_SENT, "connecting")     /* ours: IKE_SA_INIT is out */                      \
	X(AUTH_SENT, "authenticating") /* ours: IKE_AUTH is out */                         \
	X(HALF_OPEN, "half-open")      /* theirs: IKE_SA_INIT answered */                  \
	X(ESTABLISHED, "established")                                                      \
	X(REKEYED, "rekeyed")	/* a successor has the children; waits for its deletion */ \
	X(DELETING, "deleting") /* our DELETE is out or queued */                          \
	X(DEAD, "dead")		/* to be freed at the end of the turn */

enum ike_state {
#define X(id, text) IKE_STATE_##id,
	FOREACH_IKE_STATE(X)
#undef X
};
const char *ike_state_name(enum ike_state s);

#define FOREACH_CHILD_STATE(X)                                           \
	X(INSTALLED, "installed")                                        \
	X(REKEYING, "rekeying") /* our rekey is queued or outstanding */ \
	X(REKEYED, "rekeyed")	/* has a successor */                    \
	X(DELETING, "deleting") /* our DELETE is queued or outstanding */

enum child_state {
#define X(id, text) CHILD_STATE_##id,
	FOREACH_CHILD_STATE(X)
#undef X
};
const char *child_state_name(enum child_state s);

struct nonce {
	uint16_t len;
	uint8_t b[IKE_NONCE_MAX];
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

struct ike_in;
struct ike_task;

/* A kind of request of ours: what is made and answered in the file of its exchange. */
struct task_kind {
	const char *name;
	uint8_t exchange; /* enum ike_exchange */
	uint8_t states;	  /* of the IKE SA, in which it may be sent: a bit for each, 1 << state */
	bool stays;	  /* with its IKE SA, when a successor takes over what is waiting */
	/* It has not begun, and a restart need not wait for it; NULL: it must. */
	bool (*can_wait)(const struct ike_task *t);
	/* It is outstanding now: its request goes out, or it ends itself (exchange_done). */
	void (*send)(struct ike_sa *sa, struct ike_task *t, nsec_t now);
	/* Of the outstanding one; the message keeps the rules of its exchange. */
	void (*on_response)(struct ike_sa *sa, const struct ike_in *in);
};
extern const struct task_kind task_init, task_auth, task_child_create, task_child_rekey,
	task_child_delete, task_ike_rekey, task_ike_delete, task_liveness;

/* One request of ours, from when it is wanted to when its answer is dealt with. */
struct ike_task {
	TAILQ_ENTRY(ike_task) link;
	struct ike_sa *ike_sa;
	const struct task_kind *kind;
	struct child_conf *conf;
	struct child_sa *child; /* to be rekeyed or deleted; NULL when it is gone meanwhile */
	nsec_t late;		/* short timers, and the time for an answer; 0: routine */
	struct ts_list *local, *remote; /* selectors of its own, owned; NULL: those of conf */
	bool no_kex;			/* NO_PROPOSAL_CHOSEN: once more without a key exchange */
	uint8_t tries;			/* of TEMPORARY_FAILURE or INVALID_KE_PAYLOAD */
	struct ts first_ts[2];		/* of the packet that asked: local, remote */
	bool has_first;
	struct deadline wait; /* not to be sent before */
	/* of a CREATE_CHILD_SA under way */
	struct kex *kex;
	uint16_t group; /* asked for by INVALID_KE_PAYLOAD; 0: our first */
	struct nonce nonce;
	uint32_t spi;	     /* child: reserved inbound SPI */
	uint64_t ike_spi;    /* IKE rekey: our new SPI */
	bool cancelled;	     /* what comes of it is deleted at once */
	uint32_t delete_spi; /* of a child that only the peer has */
	/* the peer's exchange for the same thing, answered while ours was outstanding
	 * (2.8.1, 2.8.2) */
	bool collided;
	struct nonce rival_nonce; /* the lower one of theirs */
	struct child_sa *rival;
	struct ike_sa *rival_ike;
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

	/* of IKE_SA_INIT, until authenticated */
	struct nonce ni, nr;
	struct kex *kex;
	uint8_t *init_request, *init_response;
	size_t init_request_len, init_response_len;
	uint8_t cookie[IKE_COOKIE_MAX];
	uint8_t cookie_len;
	uint16_t ke_group; /* asked for by INVALID_KE_PAYLOAD */
	uint8_t init_rounds;
	uint16_t init_error; /* an unprotected refusal that we saw */

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

/* Kinds of deadlines, so that ike_tick knows what to do. */
enum ike_deadline {
	DL_RETRANSMIT,
	DL_LATE,
	DL_DPD,
	DL_REKEY,
	DL_EXPIRE,
	DL_KEEPALIVE,
	DL_TASK,
	DL_CHILD_REKEY,
	DL_CHILD_EXPIRE,
	DL_CHILD_CLEANUP,
};

/* ---- state.c: the only writer of states, and what may follow what ---- */
void sa_set_state(struct ike_sa *sa, enum ike_state to);
/* A successor has its children; what is being deleted stays so. */
void sa_set_rekeyed(struct ike_sa *sa);
void child_set_state(struct child_sa *c, enum child_state to);

/* ---- ike_sa.c: making, finding and ending SAs ---- */
struct ike_sa *sa_new(struct ike *ike, struct conn_conf *conn, bool initiator,
		      const struct endpoint *local, const struct endpoint *remote);
uint64_t sa_new_spi(struct ike *ike);
/* In place of the one that sa_new gave it; nobody else has it. */
void sa_set_spi(struct ike_sa *sa, uint64_t our_spi);
struct ike_sa *sa_find(struct ike *ike, uint64_t our_spi);
/* Sets SK_* objects from keys; the SA's choice is set. */
int sa_set_keys(struct ike_sa *sa) MUST_CHECK;
/* Becomes ESTABLISHED: timers run, up is told. */
void sa_establish(struct ike_sa *sa, const char *how, nsec_t now);
/* The peer's endpoint is this from now on. */
void sa_set_remote(struct ike_sa *sa, const struct endpoint *remote);
/* Ends it: children down, DOWN told, freed at the end of the turn. */
void sa_kill(struct ike_sa *sa, const char *why, nsec_t now);
void sa_reap(struct ike *ike);
/* All children and waiting tasks go to the successor. */
void sa_hand_over(struct ike_sa *from, struct ike_sa *to, nsec_t now);
struct child_sa *child_new(struct ike_sa *sa, struct child_conf *conf);
void child_arm(struct child_sa *c, nsec_t now);
struct child_sa *child_by_spi_out(const struct ike_sa *sa, uint32_t spi);
/* Removes the child and tells DOWN. */
void child_kill(struct child_sa *c, const char *why, nsec_t now);
/* Off the list of its IKE SA: what child_kill does before it tells, */
void child_unlink(struct child_sa *c);
/* and what it does after that: its deadlines, then itself. */
void child_free(struct child_sa *c);
/* The lower of two nonces (2.8.1), octet by octet. */
int nonce_cmp(const struct nonce *a, const struct nonce *b);
void nonce_set(struct nonce *n, struct chunk c);
struct chunk nonce_chunk(const struct nonce *n);
nsec_t jittered(struct ike *ike, nsec_t t);
const char *sa_label(const struct ike_sa *sa);

/* ---- ike_saved.c: for the process that goes on with it ---- */
/* A task_kind's can_wait: the deadline that it came from comes again. */
bool task_has_not_begun(const struct ike_task *t);
/* ike_hold keeps it back. */
bool task_is_held(const struct ike_task *t);
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

/* ---- half_open.c: what outsiders can make grow, and cookies ---- */
struct ike_sa *half_find(struct ike *ike, uint64_t spi_i, const struct endpoint *remote);
void half_add(struct ike_sa *sa);
/*
 * Where all places are taken, the oldest one goes: of the /24 or /64 that the call comes from, if
 * that has an eighth of them, else of all.
 */
void half_make_room(struct ike *ike, const struct addr *from, nsec_t now);
/* How long it may be half-open: less when many are (RFC 8019 4.1). */
nsec_t half_open_time(const struct ike *ike);
void half_remove(struct ike_sa *sa);
unsigned half_open_from(const struct ike *ike, const struct addr *a);
/* A list of SAs with the peer's address. */
void addr_index_add(struct ike_sa *sa);
void addr_index_remove(struct ike_sa *sa);
struct ike_sa *addr_index_first(struct ike *ike, const struct addr *a);
void cookie_make(struct ike *ike, struct chunk ni, const struct endpoint *remote, uint64_t spi_i,
		 uint8_t version, uint8_t *out);
bool cookie_valid(struct ike *ike, struct chunk cookie, struct chunk ni,
		  const struct endpoint *remote, uint64_t spi_i, nsec_t now);
#define COOKIE_LEN 33

/* ---- limits.c: what one peer, or one who guesses, may take ---- */
/* Once the engine has its first cookie secrets. */
void limits_init(struct ike *ike);
/* The lines that a peer may still cause; what it does not cause alone has log_line. */
struct log_limit *limit_lines(struct ike *ike, const struct ident *id);
/* Those about recoveries, which what else it does shall not push out. */
struct log_limit *limit_recovery_lines(struct ike *ike, const struct ident *id);
#define log_peer(sa, now, level, ...) \
	log_limited((sa)->ike->log, limit_lines((sa)->ike, &(sa)->peer_id), now, level, __VA_ARGS__)
/* Whether this address may try a secret. */
bool limit_may_guess(struct ike *ike, const struct addr *a, nsec_t now);
/* It had a wrong one. */
void limit_guessed(struct ike *ike, const struct addr *a, nsec_t now);
/* False: the peer has so many that it may not even rekey one. */
bool limit_may_rekey(const struct ike_sa *sa);
/* The peer has a new IKE SA: its oldest ones beyond what it may have end. */
void limit_sas(struct ike_sa *newest, nsec_t now);

/* ---- exchange.c: message IDs, windows, retransmission, the SK payload ---- */
struct ike_task *task_add(struct ike_sa *sa, const struct task_kind *kind, bool front);
void task_free(struct ike_task *t);
/* Sends the next waiting task when nothing is outstanding. */
void exchange_run(struct ike_sa *sa, nsec_t now);
/* Ends the outstanding exchange and returns its task, which the caller frees. */
struct ike_task *exchange_done(struct ike_sa *sa);
void exchange_timeout(struct ike_sa *sa, nsec_t now);
/* The peer is silent: the IKE SA goes. */
void exchange_unanswered(struct ike_sa *sa, nsec_t now);
/* The outstanding request has no answer by its time. */
void exchange_late(struct ike_sa *sa, nsec_t now);
/* Waits before the task is tried again. */
void task_retry(struct ike_task *t, nsec_t at);
/* Protects the inside and sends it as request of the outstanding task. */
void exchange_send_request(struct ike_sa *sa, uint8_t exchange, struct ike_builder *inside,
			   nsec_t now);
/* Keeps unprotected bytes as outstanding request and sends them (IKE_SA_INIT). */
void exchange_send_plain(struct ike_sa *sa, const uint8_t *p, size_t len, nsec_t now);
/* Protects the inside as the response to the request just taken, caches and sends it. */
void exchange_respond(struct ike_sa *sa, const struct ike_header *req, struct ike_builder *inside,
		      const struct endpoint *local, const struct endpoint *remote, nsec_t now);
/* Opens SK of a message; plaintext in out (len bytes). -EBADMSG when the ICV does not hold. */
int sk_open(struct ike_sa *sa, const uint8_t *msg, size_t len, const struct ike_payloads *outer,
	    uint8_t *out, size_t *ret_len) MUST_CHECK;
/* The whole message; 0 when it does not fit. */
size_t sk_seal(struct ike_sa *sa, const struct ike_header *h, const struct ike_builder *inside,
	       uint8_t *out, size_t cap);
void send_message(struct ike_sa *sa, const struct endpoint *local, const struct endpoint *remote,
		  const uint8_t *p, size_t len, nsec_t now);
/* A response with one notify. */
void respond_notify(struct ike_sa *sa, const struct ike_header *req, uint16_t type,
		    struct chunk data, const struct endpoint *local, const struct endpoint *remote,
		    nsec_t now);

/* A message that passed parser and integrity, with where it came from. */
struct ike_in {
	const struct ike_header *h;
	const struct ike_payloads *p;
	const uint8_t *raw;
	size_t raw_len;
	const struct endpoint *local, *remote;
	nsec_t now;
};

/* ---- one file for each exchange: the peer's requests, and what else asks for it ---- */
void init_on_request(struct ike *ike, const struct ike_in *in);
void init_timeout(struct ike_sa *sa, nsec_t now);
void auth_on_request(struct ike_sa *sa, const struct ike_in *in);
/* The peer has made an SA that we have not, with this SPI of ours: it would send into nothing. */
void child_unwanted(struct ike_sa *sa, uint32_t spi, struct child_conf *conf);
/* The SA that a REKEY_SA notification of the peer's names, or NULL. */
struct child_sa *child_named(const struct ike_sa *sa, const struct ike_notify_view *rekey_sa);
/* The newest SA that a rekey made of it, or NULL. */
struct child_sa *child_replacing(const struct child_sa *c);
/*
 * The peer replaced it and has not deleted it in time. Nor has it ever used what it asked for: then
 * that is void, as whoever sends now may not know of it; else the old one goes.
 */
void child_cleanup(struct child_sa *c, nsec_t now);
/* What was to replace it is void or gone: it is what it was, and a rekey of ours has no rival. */
void child_kept(struct child_sa *old, const struct child_sa *gone, nsec_t now);
/* No rekey of it is under way any more, and it has no successor: the next one comes in a minute. */
void child_not_replaced(struct child_sa *c, nsec_t now);
void child_on_request(struct ike_sa *sa, const struct ike_in *in);
void rekey_ike_on_request(struct ike_sa *sa, const struct ike_in *in);
/* Our IKE rekey ended without a new SA: the peer's, if it collided, wins. */
void rekey_ike_lost(struct ike_sa *sa, struct ike_task *t, nsec_t now);
void info_on_request(struct ike_sa *sa, const struct ike_in *in);

/* ---- negotiate.c: what IKE_AUTH and CREATE_CHILD_SA share about CHILD SAs ---- */
/* One side's part of a CHILD SA being made. */
struct child_offer {
	struct child_conf *conf;
	struct ts_list local, remote; /* narrowed */
	struct proposal_choice choice;
};
/* As responder: choice and narrowing, or the error notify to send. */
uint16_t child_negotiate(struct ike_sa *sa, const struct ike_payloads *p, bool with_ke,
			 const struct child_sa *old, struct child_offer *ret, nsec_t now);
/* As initiator: the answer must be within what we offered. */
uint16_t child_check_answer(struct ike_sa *sa, const struct ike_payloads *p, bool with_ke,
			    const struct ike_task *t, struct child_offer *ret, nsec_t now);
/* Derives keys and installs; NULL when refused. The SPI is the child's from here on. */
struct child_sa *child_install(struct ike_sa *sa, const struct child_offer *o, uint32_t spi_in,
			       bool initiator, struct chunk secret, const struct nonce *ni,
			       const struct nonce *nr, struct child_sa *replaces, nsec_t now);
void child_write_ts(struct ike_builder *b, const struct ts_list *tsi, const struct ts_list *tsr);
/* Proposals and selectors of a request for conf. */
void child_write_offer(struct ike_builder *b, const struct ike_task *t, uint32_t spi, bool with_ke,
		       struct chunk nonce, const struct child_sa *old);

/* ---- sync.c: RFC 6311 ---- */
/* What IKE_AUTH says of it, on either side. */
void sync_write_supported(struct ike_builder *b, const struct ike_sa *sa);
void sync_read_supported(struct ike_sa *sa, const struct ike_payloads *p);
/* A genuine request with ID 0 from the member that took over. */
bool sync_is_request(const struct ike_sa *sa, const struct ike_in *in);
void sync_on_request(struct ike_sa *sa, const struct ike_in *in);

/* ---- nat.c ---- */
void nat_write(struct ike_builder *b, struct ike_sa *sa, const struct endpoint *local,
	       const struct endpoint *remote);
void nat_read(struct ike_sa *sa, const struct ike_payloads *p, uint64_t spi_i, uint64_t spi_r,
	      const struct endpoint *local, const struct endpoint *remote);

#endif
