/*
 * tunnel.h - where IKE and ESP meet: connections and children, and the recovery of a tunnel whose
 * peer's ESP numbers went back. SPDX-License-Identifier: ISC
 *
 * Does no I/O and reads no clock: time and bytes come in with the calls, messages go out by struct
 * tunnel_ops. Owns the IKE engine (ike) and the data path (path); the caller feeds both, and calls
 * tunnel_turn once per turn of its loop.
 */
#ifndef MENDIP_TUNNEL_H
#define MENDIP_TUNNEL_H

#include <sys/queue.h>
#include <uthash.h>

#include "esp_path.h"
#include "gate.h"
#include "ike.h"
#include "ike_view.h"
#include "options.h"

struct tunnel;
struct tunnel_child;
struct tunnel_conn;

/* ---- recovery records (doc/recovery.md 5) ---- */

#define RECORDS_KEPT 16

struct recovery_record {
	uint64_t id;	       /* counts up over the daemon's life; 0: empty */
	nsec_t first_evidence; /* first packet that was evidence */
	nsec_t confirmed;      /* the criterion was met */
	nsec_t delay;	       /* the gate's delay, back-off included */
	nsec_t request;	       /* our first request went out; 0: none did */
	nsec_t response;       /* its answer, or the new IKE SA's child; 0: none */
	nsec_t first_fresh;    /* first FRESH packet on the new SA; 0: none yet */
	nsec_t outage_from;    /* last delivery before the first evidence; 0: none */
	nsec_t outage_to;      /* first delivery after it, on whatever SA; 0: none yet */
	enum criterion criterion;
	uint64_t first_number; /* ESP number of the first evidence */
	uint64_t top;	       /* right edge of the window then */
	uint64_t lost;	       /* authentic packets not delivered since outage_from */
	uint64_t unverified;   /* what else may be lost: old numbers that were not opened */
	uint64_t bridged;      /* delivered by the bridge */
	uint32_t count;	       /* refusals within one quiet, or syncs: one record for all */
	uint8_t rung;	       /* 1 to 4; 0: not begun */
	uint32_t old_spi, new_spi;
	nsec_t sync;	     /* a member of the peer's cluster took over by RFC 6311; 0: none did */
	const char *outcome; /* static text; "running" until it has ended */
};

enum recovery_state {
	RECOVERY_IDLE,
	RECOVERY_PENDING,  /* the gate said in-progress: it is asked again */
	RECOVERY_REFUSED,  /* the gate said quiet: waits until that ends */
	RECOVERY_DELAYED,  /* admitted, within its delay */
	RECOVERY_RUNNING,  /* on a rung of the ladder */
	RECOVERY_AWAITING, /* replaced; waits for the first FRESH packet on its successor */
};
const char *recovery_state_name(enum recovery_state s);

/* The recovery of one inbound SA, from its evidence until its successor carries traffic. */
struct recovery {
	enum recovery_state state;
	struct deadline timer;	       /* set in every state but IDLE */
	bool admitted;		       /* the gate has admitted it, since its last reset */
	uint64_t ticket;	       /* of the last admission; 0: there is nothing to give back */
	nsec_t backoff;		       /* its part of the running delay */
	struct recovery_record record; /* of the one under way */
};

/* The ESP keys of both directions. The outbound ones are wiped when the SA is retired. */
struct tunnel_keys {
	uint8_t enc_in[SUITE_MAX_KEY], integ_in[SUITE_MAX_KEY];
	uint8_t enc_out[SUITE_MAX_KEY], integ_out[SUITE_MAX_KEY];
};

/* ---- refusals: NO_PROPOSAL_CHOSEN, sent or received ---- */

/* The last one. Its text has both sides' proposals, as far as they are known; see ike.h. */
struct tunnel_refusal {
	nsec_t at;
	const char *exchange; /* static text */
	bool by_peer;
	char *conn; /* name; only in struct tunnel */
	char text[REFUSAL_STRLEN];
};

/* ---- problems: why a connection or a child is not up ---- */

/* How far a tunnel comes: the steps in their order. The names are part of the control interface. */
#define FOREACH_PROBLEM_STAGE(X)                                                      \
	X(NAME, "name")			    /* the peer's name leads to an address */ \
	X(ROUTE, "route")		    /* this host has a way to it */           \
	X(ANSWER, "answer")		    /* the peer answers */                    \
	X(PROPOSALS, "proposals")	    /* and has a proposal in common */        \
	X(AUTHENTICATION, "authentication") /* both sides trust each other */         \
	X(SELECTORS, "selectors")	    /* and agree on a child */                \
	X(TRAFFIC, "traffic")		    /* packets pass */

enum problem_stage {
#define X(id, text) PROBLEM_AT_##id,
	FOREACH_PROBLEM_STAGE(X)
#undef X
		PROBLEM_STAGES
};
const char *problem_stage_name(enum problem_stage s);

#define PROBLEM_STRLEN 1000

/* The last one. */
struct tunnel_problem {
	enum ike_problem what;
	nsec_t since, at; /* the first and the last time in a row */
	unsigned count;	  /* how often in a row */
	nsec_t told;	  /* in the log */
	nsec_t over;	  /* it was up again; 0: not yet */
	bool child;	  /* it is a child's */
	bool caller;	  /* of somebody who called us and was not let in: anyone can cause it */
	char text[PROBLEM_STRLEN];
};
enum problem_stage problem_stage(const struct tunnel_problem *p);
/* What the operator can do about it: static text. */
const char *problem_advice(enum ike_problem what);
/* Whether it still keeps down what is to be up: the connection, or the child of it. */
bool problem_is_current(const struct tunnel_conn *c, const struct tunnel_child *k);
/* Of a configuration that has no connection, as it waits for any peer. NULL: there was none. */
const struct tunnel_problem *tunnel_problem_of(const struct tunnel *t,
					       const struct conn_conf *conf);
/* The connection's name cannot be resolved; text: why. */
void tunnel_unresolved(struct tunnel *t, const struct conn_conf *conf, const char *text,
		       nsec_t now);

/* ---- one CHILD SA as the tunnel sees it: from installation to the end of its retirement ---- */

struct tunnel_sa {
	LIST_ENTRY(tunnel_sa) link;
	struct tunnel_child *child;
	struct child_sa *ike; /* NULL when the engine has forgotten it */
	uint32_t spi;	      /* inbound */
	uint32_t spi_out;
	struct ts_list *local, *remote; /* owned: the engine may forget its SA first */
	struct tunnel_keys keys;	/* for the next process (saved.c) */
	struct spd_policy policy;	/* in the SPD while `active` */
	bool active;			/* outbound packets may take it */
	bool retired;
	bool ending; /* the operator has ended it: nothing is to be made in its place */
	bool kept;   /* its IKE SA is gone, as the peer was silent; it is being recovered from */
	/*
	 * Set together with `kept`: the peer has deleted it, and our rekey of it is outstanding. It
	 * stays in use until the answer brings its successor, but no longer than this.
	 */
	nsec_t overtaken_until;
	bool condensed;		    /* retired for so long that its history was condensed */
	bool surplus;		    /* one RETIRED SA too many: about to be removed */
	struct tunnel_sa *replaces; /* NULL when it has replaced that */
	nsec_t installed, retired_at;
	nsec_t expires;		 /* end of its hard lifetime; NSEC_NEVER: it has none */
	struct deadline end;	 /* of its history, then of its retirement; kept: next look */
	struct deadline move;	 /* next look whether the peer has it, and we may send on it */
	struct deadline silent;	 /* next look whether only we send */
	uint64_t silent_out;	 /* packets out at the last look */
	uint64_t mapping_out;	 /* packets out when the NAT mapping was last kept */
	enum criterion check;	 /* why a liveness check is out for it; NONE: none is */
	struct ike_sa *check_on; /* the IKE SA of that check */
	struct recovery recovery;
};
LIST_HEAD(tunnel_sa_list, tunnel_sa);

/* ---- a child of a connection, over all its SAs ---- */

struct tunnel_child {
	LIST_ENTRY(tunnel_child) link;
	struct tunnel_conn *conn;
	const struct child_conf *conf;
	uint16_t device;	       /* index of its TUN device */
	struct tunnel_options options; /* may be changed at run time */
	struct tunnel_sa_list sas;     /* newest first */
	struct tunnel_sa *current;     /* outbound packets moved to it last; NULL: down */
	struct spd_policy trap;
	struct ts_list *trap_local, *trap_remote; /* of `trap`; owned */
	bool trapped;
	bool wanted;		 /* to be kept up; see tunnel_child_is_wanted */
	struct ike_sa *asked_on; /* a CHILD SA has been asked for on this one; NULL: none has */
	bool only_auth;		 /* CREATE_CHILD_SA is refused: rung 3 tries IKE_AUTH */
	nsec_t not_before;	 /* the peer refused it: packets do not ask before this */
	bool demoted;		 /* its packets go by the backup of conn; see backup.h */
	struct gate gate;
	struct recovery_record *records; /* the last RECORDS_KEPT; NULL before the first */
	unsigned record_next;
	uint64_t rekeys, recoveries, failures;
	uint64_t gone_in, gone_out;	/* bytes of its SAs that are gone */
	struct tunnel_totals *totals;	/* of all children of its name; see totals.h */
	struct tunnel_refusal *refusal; /* of a CHILD SA; owned, NULL before the first */
	struct tunnel_problem *problem; /* the same */
};
LIST_HEAD(tunnel_child_list, tunnel_child);

/* Whether its next packet brings it up; otherwise its packets are dropped, while it is down. */
static inline bool tunnel_child_is_trapped(const struct tunnel_child *k)
{
	return k->trapped && k->trap.trap;
}

/* ---- a connection to one peer ---- */

/* Why packets of a connection go by its backup; see backup.h. */
enum demoted {
	NOT_DEMOTED,
	DEMOTED_LATE,	 /* the peer has not answered yet: until it does */
	DEMOTED_IN_VAIN, /* calls are in vain: until it is up */
	DEMOTED_DOWN,	 /* it was up, and is down: until it has been up for `failback` */
};

struct tunnel_conn {
	LIST_ENTRY(tunnel_conn) link;
	UT_hash_handle by_conf; /* in tunnel.configured, unless it is dynamic */
	struct tunnel *tunnel;
	const struct conn_conf *conf;
	struct ident peer_id; /* as it was last authenticated; ID_NONE: not yet */
	bool dynamic;	      /* made for one peer of %any or of a pattern; goes with its last SA */
	struct tunnel_child_list children; /* in the order of the file */
	struct tunnel_child *
		*child_at; /* the same by their places in conf->children; NULL: not made */
	struct tunnel_child *last_child,
		*last_read;	    /* of children; of those that saved.c has read */
	struct cp_config *assigned; /* to us by the peer, told by ops.config; NULL: nothing */
	unsigned ike_sas;	    /* as counted by saved.c */
	struct ike_sa *sa;	    /* the one in use; NULL: none */
	/* Endpoints of the last one: a connection that only responds initiates to them. */
	struct endpoint last_local, last_remote;
	bool calls_back; /* they are set, and the peer was not behind a NAT that translates ports */
	struct ike_sa *beside;	 /* the new one of rung 3, until it has taken over */
	struct ike_sa *crossing; /* one that the peer made while ours, `beside`, was being made */
	bool move_late;		 /* the peer did not follow in time to another address of ours */
	nsec_t missing_asked;	 /* when CHILD SAs were last asked for that `beside` lacks */
	unsigned failures;	 /* in a row; sets the back-off */
	unsigned next_remote;	 /* the peer's address to call next; see conn_remote */
	unsigned called;	 /* addresses that were called in this pass, in vain */
	struct tunnel_conn *backup;  /* see backup.h; NULL: none */
	unsigned rank;		     /* 0: it is no backup */
	enum demoted demoted;	     /* whether its packets go by the backup */
	unsigned preference;	     /* of the address where the IKE SA had its peer last */
	const struct ike_sa *silent; /* it was not answered in time, nor since; see addresses.h */
	bool going_back;	     /* `beside` calls a more preferred address, or did just now */
	nsec_t not_before;	     /* it failed: packets do not start it before this */
	struct deadline retry;	     /* start again, or ask for children that are missing */
	struct deadline rung3;	     /* initiate `beside` */
	struct deadline takeover;
	struct deadline call;	  /* end a call without an answer; see addresses.h */
	struct deadline failback; /* call a more preferred address */
	struct deadline trusted;  /* its packets do not go by the backup any more */
	struct deadline tidy;	  /* end one of two SAs that do the same */
	nsec_t untidy_since;	  /* while `tidy` is armed: nothing has been recovered since */
	nsec_t tidied_at;
	unsigned tidied;	  /* how often in a row */
	nsec_t merged_at;	  /* when the children of one of two IKE SAs were asked for on the
				     other one; 0: never */
	unsigned merges;	  /* how often */
	unsigned beside_failures; /* in a row; sets the back-off of rung 3 */
	struct tunnel_refusal *refusal; /* of an IKE SA; owned, NULL before the first */
	struct tunnel_problem *problem; /* the same */
};
LIST_HEAD(tunnel_conn_list, tunnel_conn);

/*
 * Whether it is to come up by itself: it is to be kept up, or it waits for a packet and the backup
 * of its connection has its packets.
 */
bool tunnel_child_is_wanted(const struct tunnel_child *k);

/* ---- the whole ---- */

enum tunnel_event_kind {
	TUNNEL_EVENT_CONN,     /* an IKE SA came or went */
	TUNNEL_EVENT_CHILD,    /* a CHILD SA came or went */
	TUNNEL_EVENT_EVIDENCE, /* the detector is confirmed; the gate's answer */
	TUNNEL_EVENT_RECOVERY, /* a step or the end of a recovery */
	TUNNEL_EVENT_SECURITY, /* a nonce was used twice */
};

struct tunnel_ops {
	void *ctx;
	/* That of struct ike_ops. */
	int (*send)(void *ctx, const struct endpoint *local, const struct endpoint *remote,
		    const uint8_t *p, size_t len);
	/* Sends a dummy packet (next header 59) on the SA. */
	void (*dummy)(void *ctx, struct esp_sa *sa);
	/*
	 * The index of the TUN device of this name, which stays while a child has that device; any
	 * function of the tunnel may ask. NULL if no child has a device of its own.
	 */
	uint16_t (*device)(void *ctx, const char *name);
	/* Routes inner packets from local to remote to this TUN device, or no longer; the callee
	 * counts how often it was asked to. */
	void (*route)(void *ctx, uint16_t device, const struct ts_list *local,
		      const struct ts_list *remote, bool add);
	/*
	 * The address of ours from which the system would send to remote. False: there is no way to
	 * it. NULL: it cannot be known before something is sent.
	 */
	bool (*source)(void *ctx, const struct addr *remote, struct addr *ret);
	/* Seconds since 1970, for the validity of certificates. */
	int64_t (*wall_clock)(void *ctx);
	/*
	 * The peer of this connection has assigned these addresses, DNS servers and subnets for
	 * traffic of this device, or no longer; the callee counts how often each was. Another
	 * `conf` with the same name and options may be passed when it ends.
	 */
	void (*config)(void *ctx, const struct conn_conf *conf, uint16_t device,
		       const struct cp_config *config, bool add);
	/* Tells in one line what happened, in addition to the log; child may be NULL. */
	void (*event)(void *ctx, enum tunnel_event_kind kind, const struct tunnel_conn *conn,
		      const struct tunnel_child *child, const char *text);
	/* New keys, for key_log. Both may be NULL: nobody wants them. */
	void (*ike_keys)(void *ctx, const struct ike_sa *sa, const struct ike_keys *keys);
	void (*child_keys)(void *ctx, const struct tunnel_sa *s);
};

SLIST_HEAD(held_list, held_route);

struct tunnel {
	struct tunnel_ops ops;
	struct ike *ike;
	struct esp_path *path;
	bool only_udp; /* tunnel_only_udp */
	struct rng *rng;
	struct log *log;
	struct tunnel_conn_list conns;
	struct tunnel_conn *configured; /* uthash by conf: those that are not dynamic */
	struct held_list held;		/* held.c */
	struct pool *pools;		/* pool.c; uthash by name */
	struct deadline_heap deadlines;
	uint64_t policy_order, record_id;
	nsec_t now; /* of the call under way, for ops of the engine that pass none */
	bool closing;
	/* The last refusal on a connection that only responds and has no peer yet; as above. */
	struct tunnel_refusal *refusal;
	LIST_HEAD(, tunnel_totals) totals;   /* totals.c */
	SLIST_HEAD(, conf_problem) problems; /* of configurations without a connection; problem.c */
};

/* history_cap: bytes for all histories. rng, log and ops->ctx must outlive it; ops is copied. */
struct tunnel *tunnel_new(const struct tunnel_ops *ops, const struct ike_settings *settings,
			  uint64_t history_cap, struct rng *rng, struct log *log);
void tunnel_free(struct tunnel *t);
/* There is no way to send or receive ESP that is not in UDP. Call it before there are connections.
 */
void tunnel_only_udp(struct tunnel *t);

/*
 * Replaces the configuration; takes references. A connection stays up if the new configuration of
 * its name is equal by `same`, and its peer's secret has not changed and its certificate or key is
 * still trusted, or old_secrets_stay is set.
 * Any other is ended and started afresh. same may be NULL at the first call.
 */
void tunnel_configure(struct tunnel *t, const struct conn_set *conns, conn_same *same, nsec_t now);

void tunnel_receive_ike(struct tunnel *t, const struct endpoint *local,
			const struct endpoint *remote, const uint8_t *p, size_t len, nsec_t now);
/* Call it after a batch of packets or messages: handles events of SAs and timers that are due. */
void tunnel_turn(struct tunnel *t, nsec_t now);
nsec_t tunnel_next_deadline(const struct tunnel *t);
/*
 * Call it when esp_route returned ESP_ROUTE_NO_SA: brings the policy's child up, unless it is on
 * its way or has just failed.
 */
void tunnel_acquire(struct tunnel *t, const struct spd_policy *policy, const struct inner *in,
		    nsec_t now);

/* For the control interface; `name` is "child" or "connection/child" or "connection". */
struct tunnel_child *tunnel_find_child(struct tunnel *t, const char *name);
struct tunnel_conn *tunnel_find_conn(struct tunnel *t, const char *name);
void tunnel_child_up(struct tunnel_child *c, nsec_t now);
void tunnel_child_down(struct tunnel_child *c, nsec_t now);
/* False when there is nothing to rekey. */
bool tunnel_child_rekey(struct tunnel_child *c, nsec_t now);
/* Sets an option of the running child, and applies it to its SAs. -EINVAL with err. */
int tunnel_child_set(struct tunnel_child *c, const char *name, const char *value, char *err,
		     nsec_t now) MUST_CHECK;
/* Ends back-off and quiet of its gate, and asks the gate again for SAs that are CONFIRMED. */
void tunnel_child_reset(struct tunnel_child *c, nsec_t now);
/* As tunnel_child_set, with a whole set of options. */
int tunnel_child_apply(struct tunnel_child *c, const struct tunnel_options *o, char *err,
		       nsec_t now) MUST_CHECK;
/* Ends all SAs with a message to their peers. True when none is left to wait for. */
bool tunnel_close(struct tunnel *t, nsec_t now);
/*
 * Addresses, devices or routes of this host have changed. A peer that could not be reached is tried
 * again after 100 ms. An IKE SA from an address that is_ours denies moves to another one (RFC
 * 4555), or, without MOBIKE, is dropped and made anew where the connection is wanted. Dynamic ones,
 * and those that cannot initiate, stay as they are.
 */
void tunnel_host_changed(struct tunnel *t, bool (*is_ours)(const struct addr *a), nsec_t now);
/* The connection's names, of which it has some, lead to these now; see conn_resolved. */
void tunnel_resolved(struct tunnel *t, const struct conn_conf *conf, const struct endpoint *found,
		     const uint8_t *name_of, unsigned count, nsec_t now);

/* ---- saved.c: handing the tunnels over to another process ---- */

/* SHA-256 of the whole configuration of a connection and of its peer's secret. */
typedef void tunnel_digest(const struct conn_conf *conf, const struct psk_store *secrets,
			   const struct ident *peer, uint8_t *out);
/* No connection that is up has anything under way: tunnel_save leaves none of these out. */
bool tunnel_is_settled(const struct tunnel *t);
/* Deletes IKE SAs that are not settled; the DELETE goes out where the message window has room. */
void tunnel_end_unsettled(struct tunnel *t, nsec_t now);
/* An upper bound of the bytes that tunnel_save writes. */
uint64_t tunnel_save_room(const struct tunnel *t);
/*
 * Writes the connections that are settled, keys included, and returns how many. They go on without
 * a message to their peers, so nothing may be sent on them any more. With too little room the
 * writer is bad.
 */
unsigned tunnel_save(const struct tunnel *t, tunnel_digest *digest, struct writer *w);
/*
 * Goes on with the connections that were saved; call it before tunnel_configure. A connection whose
 * configuration has changed is deleted, and its peer told. Returns how many go on, or -EBADMSG: not
 * written by this version, or not whole; the connections read before that go on all the same.
 */
int tunnel_load(struct tunnel *t, const struct conn_set *conns, tunnel_digest *digest,
		struct reader *r, nsec_t now) MUST_CHECK;

/* Updates the figures in the record of a running recovery: lost, not verified, bridged, outage. */
void record_figures(struct tunnel_sa *s);
/* An SA of the child stays in use although its IKE SA is gone (doc/recovery.md 5). */
bool tunnel_child_is_kept(const struct tunnel_child *c);

/* The IKE SA on which children are asked for, if it is established; otherwise NULL. */
struct ike_sa *conn_established(const struct tunnel_conn *c);
/* The ESP SAs of this one, or NULL: they are gone. */
struct esp_sa *tunnel_sa_esp(const struct tunnel_sa *s);

/*
 * Checks the invariant of doc/recovery.md 5: for each live inbound SA whose detector is CONFIRMED a
 * request is under way, a deadline asks again, or detection is off; and whatever is waited for is
 * under way. NULL when that holds; otherwise what is wrong. For tests, after every turn.
 */
const char *tunnel_check(const struct tunnel *t);

#endif
