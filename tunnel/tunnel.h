/*
 * tunnel.h - where IKE and ESP meet: connections and children, and the recovery of a tunnel whose
 * peer's numbers went back. SPDX-License-Identifier: ISC
 *
 * Pure: time and bytes come in, messages go out by struct tunnel_ops. Owns the engine (ike) and the
 * data path (path); the caller feeds both and calls tunnel_turn once a loop turn.
 */
#ifndef MENDIP_TUNNEL_H
#define MENDIP_TUNNEL_H

#include <sys/queue.h>

#include "esp_path.h"
#include "gate.h"
#include "ike.h"
#include "ike_view.h"
#include "options.h"

struct tunnel;
struct tunnel_child;

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
	uint32_t count;	       /* refusals of one quiet are one record */
	uint8_t rung;	       /* 1 to 4; 0: not begun */
	uint32_t old_spi, new_spi;
	nsec_t sync;	     /* a member of the peer's cluster took over by RFC 6311; 0: none did */
	const char *outcome; /* static text; "running" until it has ended */
};

enum recovery_state {
	RECOVERY_IDLE,
	RECOVERY_PENDING,  /* the gate said in-progress: asked again when that ends */
	RECOVERY_REFUSED,  /* the gate said quiet: all starts from zero when that ends */
	RECOVERY_DELAYED,  /* admitted, within its delay */
	RECOVERY_RUNNING,  /* on a rung of the ladder */
	RECOVERY_AWAITING, /* the SA is replaced; the first FRESH packet on its successor is awaited
			    */
};
const char *recovery_state_name(enum recovery_state s);

/* Of one inbound SA, from its evidence until its successor carries traffic. */
struct recovery {
	enum recovery_state state;
	struct deadline timer; /* set in every state but IDLE: something always leads on */
	bool admitted;	       /* by the gate, once at least */
	uint64_t ticket;       /* of that admission; 0: it spent nothing, or was given back */
	nsec_t backoff;	       /* of the delay that runs */
	struct recovery_record now;
};

/* Of both directions; those of the outbound one are wiped when that ends. */
struct tunnel_keys {
	uint8_t enc_in[SUITE_MAX_KEY], integ_in[SUITE_MAX_KEY];
	uint8_t enc_out[SUITE_MAX_KEY], integ_out[SUITE_MAX_KEY];
};

/* ---- one CHILD SA as the tunnel sees it: from installation to the end of its retirement ---- */

struct tunnel_sa {
	LIST_ENTRY(tunnel_sa) link;
	struct tunnel_child *child;
	struct child_sa *ike; /* NULL when the engine has forgotten it */
	uint32_t spi;	      /* inbound */
	uint32_t spi_out;
	struct ts_list *local, *remote; /* owned: the engine may forget its SA first */
	struct tunnel_keys keys;	/* for the process that goes on with it (saved.c) */
	struct spd_policy policy;	/* in the SPD while `active` */
	bool active;			/* outbound packets may take it */
	bool retired;
	bool ending;	/* the operator has ended it: nothing is to be made in its place */
	bool kept;	/* its IKE SA went, as the peer was silent there, and it is being mended */
	bool condensed; /* retired for so long that its history has gone */
	bool surplus;	/* there are too many: it is about to go */
	struct tunnel_sa *replaces; /* until confirmed */
	nsec_t installed, retired_at;
	nsec_t expires;		 /* end of its hard lifetime; NSEC_NEVER: it has none */
	struct deadline end;	 /* of its history, then of its retirement */
	struct deadline move;	 /* next look whether the peer has it, and we may send on it */
	struct deadline silent;	 /* next look whether only we send */
	uint64_t silent_out;	 /* packets out at the last look */
	uint64_t mapping_out;	 /* and when the NAT's mapping was last looked after */
	enum criterion check;	 /* why a liveness check is out for it; NONE: none is */
	struct ike_sa *check_on; /* that IKE SA's */
	struct recovery recovery;
};
LIST_HEAD(tunnel_sa_list, tunnel_sa);

/* ---- a child of a connection, over all its SAs ---- */

struct tunnel_child {
	LIST_ENTRY(tunnel_child) link;
	struct tunnel_conn *conn;
	struct child_conf *conf;
	struct tunnel_options options; /* may be changed at run time */
	struct tunnel_sa_list sas;     /* newest first */
	struct tunnel_sa *current;     /* the newest that is not retired; NULL: down */
	struct spd_policy trap;
	struct ts_list *trap_local, *trap_remote; /* of `trap`; owned */
	bool trapped;
	bool wanted;		 /* to be kept up */
	struct ike_sa *asked_on; /* a CHILD SA has been asked for on this one; NULL: none has */
	bool only_auth;		 /* CREATE_CHILD_SA is refused: a new IKE SA may have it */
	nsec_t not_before;	 /* the peer refused it: packets do not ask again earlier */
	struct gate gate;
	struct recovery_record *records; /* the last RECORDS_KEPT; NULL before the first */
	unsigned record_next;
	uint64_t rekeys, recoveries, failures;
};
LIST_HEAD(tunnel_child_list, tunnel_child);

/* ---- a connection to one peer ---- */

struct tunnel_conn {
	LIST_ENTRY(tunnel_conn) link;
	struct tunnel *tunnel;
	struct conn_conf *conf;
	struct ident peer_id; /* who it was last; ID_NONE: nobody yet */
	bool dynamic;	      /* made for a peer of a %any connection; goes with its last SA */
	struct tunnel_child_list children;
	struct ike_sa *sa; /* the one in use; NULL: none */
	/* Where the peer of the last one was heard: who only answers calls back there. */
	struct endpoint last_local, last_remote;
	bool calls_back; /* that is known, and it was not behind a NAT that translates ports */
	struct ike_sa *beside;	 /* of rung 3, until it has taken over */
	struct ike_sa *crossing; /* one that the peer made while ours, `beside`, was being made */
	nsec_t missing_asked;	 /* when CHILD SAs were last asked for that `beside` lacks */
	unsigned failures;	 /* in a row; sets the back-off */
	unsigned next_remote;	 /* index into conf->remote to try next */
	nsec_t not_before;	 /* it failed: packets do not start it again earlier */
	struct deadline retry;	 /* start again, or ask for children that are missing */
	struct deadline rung3;	 /* start beside */
	struct deadline takeover;
	struct deadline tidy; /* of what came up twice, one goes */
	nsec_t untidy_since;  /* with `tidy` armed: nothing has been mended since */
	nsec_t tidied_at;
	unsigned tidied;	  /* so often in a row */
	unsigned beside_failures; /* in a row; sets the back-off of rung 3 */
};
LIST_HEAD(tunnel_conn_list, tunnel_conn);

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
	void (*send)(void *ctx, const struct endpoint *local, const struct endpoint *remote,
		     const uint8_t *p, size_t len);
	/* A dummy packet (next header 59) for the SA. */
	void (*dummy)(void *ctx, struct esp_sa *sa);
	/* Inner packets from local to remote shall reach this TUN device, or no longer; counted by
	 * the callee. */
	void (*route)(void *ctx, uint16_t device, const struct ts_list *local,
		      const struct ts_list *remote, bool add);
	/* One line that tells what happened, beside the log; child may be NULL. */
	void (*event)(void *ctx, enum tunnel_event_kind kind, const struct tunnel_conn *conn,
		      const struct tunnel_child *child, const char *text);
};

SLIST_HEAD(held_list, held_route);

struct tunnel {
	struct tunnel_ops ops;
	struct ike *ike;
	struct esp_path *path;
	struct rng *rng;
	struct log *log;
	struct tunnel_conn_list conns;
	struct held_list held; /* held.c */
	struct deadline_heap deadlines;
	uint64_t policy_order, record_id;
	nsec_t now; /* of the call under way, for ops of the engine that need none */
	bool closing;
};

/* history_cap: bytes. ops, rng, log outlive it. */
struct tunnel *tunnel_new(const struct tunnel_ops *ops, const struct ike_settings *settings,
			  uint64_t history_cap, struct rng *rng, struct log *log);
void tunnel_free(struct tunnel *t);

/*
 * The configuration is this from now on; takes references. Connections whose conf is equal in
 * `same` (by name) stay up, and so do their peers whose secret is the same; others are ended and
 * started afresh. same may be NULL at the first call.
 */
void tunnel_configure(struct tunnel *t, struct conn_conf **conns, unsigned count,
		      bool (*same)(const struct conn_conf *a, const struct conn_conf *b),
		      nsec_t now);

void tunnel_receive_ike(struct tunnel *t, const struct endpoint *local,
			const struct endpoint *remote, const uint8_t *p, size_t len, nsec_t now);
/* After a batch of packets or messages: events of SAs, timers that are due. */
void tunnel_turn(struct tunnel *t, nsec_t now);
nsec_t tunnel_next_deadline(const struct tunnel *t);
/* esp_route said ESP_ROUTE_NO_SA: brings the policy's child up, if it is not on its way. */
void tunnel_acquire(struct tunnel *t, const struct spd_policy *policy, const struct inner *in,
		    nsec_t now);

/* For the control interface; `name` is "child" or "connection/child" or "connection". */
struct tunnel_child *tunnel_find_child(struct tunnel *t, const char *name);
struct tunnel_conn *tunnel_find_conn(struct tunnel *t, const char *name);
void tunnel_child_up(struct tunnel_child *c, nsec_t now);
void tunnel_child_down(struct tunnel_child *c, nsec_t now);
/* False when there is nothing to rekey. */
bool tunnel_child_rekey(struct tunnel_child *c, nsec_t now);
/* Sets options of the running child; applies them to its SAs. -EINVAL with err. */
int tunnel_child_set(struct tunnel_child *c, const char *name, const char *value, char *err,
		     nsec_t now) MUST_CHECK;
/* Ends back-off and quiet of its gate; what is still CONFIRMED is asked for again. */
void tunnel_child_reset(struct tunnel_child *c, nsec_t now);
/* The same with a whole set of options. */
int tunnel_child_apply(struct tunnel_child *c, const struct tunnel_options *o, char *err,
		       nsec_t now) MUST_CHECK;
/* Ends all SAs with a message to their peers. True when none is left to wait for. */
bool tunnel_close(struct tunnel *t, nsec_t now);
/*
 * Addresses, devices or routes of this host have changed: who could not be reached is tried again
 * at once, and an IKE SA from an address that is_ours says is none any more is made anew.
 */
void tunnel_host_changed(struct tunnel *t, bool (*is_ours)(const struct addr *a), nsec_t now);
/* What the connection's remote_names were resolved to, beside the addresses that its file has. */
void tunnel_resolved(struct tunnel *t, struct conn_conf *conf, const struct endpoint *remote,
		     unsigned count, nsec_t now);

/* ---- saved.c: the tunnels in bytes, for the process that goes on with them ---- */

/* SHA-256 of all of a connection's configuration, and of the secret that its peer has. */
typedef void tunnel_digest(const struct conn_conf *conf, const struct ident *peer, uint8_t *out);
/* Nothing is under way: tunnel_save leaves nothing out that is up. */
bool tunnel_is_settled(const struct tunnel *t);
/* What is up and not settled gets its DELETE, where its message window has room for one. */
void tunnel_end_unsettled(struct tunnel *t, nsec_t now);
/*
 * Writes what is settled and goes on without a word to the peers, keys included; returns how many
 * connections. From then on nothing may be sent on these. Too little room: the writer is bad.
 */
unsigned tunnel_save(const struct tunnel *t, tunnel_digest *digest, struct writer *w);
/*
 * Goes on with them; before tunnel_configure. What is configured otherwise by now is ended, and its
 * peer told. Connections that go on, or -EBADMSG: not written by this version, or not whole; what
 * was read until then goes on all the same.
 */
int tunnel_load(struct tunnel *t, struct conn_conf **conns, unsigned count, tunnel_digest *digest,
		struct reader *r, nsec_t now) MUST_CHECK;

/* Brings the figures of the record of a recovery that runs up to now: lost, bridged, outage. */
void record_figures(struct tunnel_sa *s);
/* Packets go on SAs of the child whose IKE SA is gone: doc/recovery.md 5. */
bool tunnel_child_is_kept(const struct tunnel_child *c);

/* The IKE SA that children are asked for on, if it is established; otherwise NULL. */
struct ike_sa *conn_established(const struct tunnel_conn *c);
/* The ESP SAs of this one, or NULL: they are gone. */
struct esp_sa *tunnel_sa_esp(const struct tunnel_sa *s);

/*
 * doc/recovery.md 5: each live inbound SA whose detector is CONFIRMED has a request under way, a
 * deadline that asks again, or detection is off; and whatever is waited for is under way. NULL when
 * that holds; otherwise what is wrong. For tests, after every turn.
 */
const char *tunnel_check(const struct tunnel *t);

#endif
