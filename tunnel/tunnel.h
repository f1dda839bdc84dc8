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
#include "sa/ike_sa.h"
#include "options.h"

struct tunnel;
struct tun_child;

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
struct tun_keys {
	uint8_t enc_in[SUITE_MAX_KEY], integ_in[SUITE_MAX_KEY];
	uint8_t enc_out[SUITE_MAX_KEY], integ_out[SUITE_MAX_KEY];
};

/* ---- one CHILD SA as the tunnel sees it: from installation to the end of its retirement ---- */

struct tun_sa {
	LIST_ENTRY(tun_sa) link;
	struct tun_child *child;
	struct child_sa *ike; /* NULL when the engine has forgotten it */
	uint32_t spi;	      /* inbound */
	uint32_t spi_out;
	struct ts_list *local, *remote; /* owned: the engine may forget its SA first */
	struct tun_keys keys;		/* for the process that goes on with it (saved.c) */
	struct spd_policy policy;	/* in the SPD while `active` */
	bool active;			/* outbound packets may take it */
	bool retired;
	bool ending;	/* the operator has ended it: nothing is to be made in its place */
	bool kept;	/* its IKE SA went, as the peer was silent there, and it is being mended */
	bool condensed; /* retired for so long that its history has gone */
	bool surplus;	/* there are too many: it is about to go */
	struct tun_sa *replaces; /* until confirmed */
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
LIST_HEAD(tun_sa_list, tun_sa);

/* ---- a child of a connection, over all its SAs ---- */

struct tun_child {
	LIST_ENTRY(tun_child) link;
	struct tun_conn *conn;
	struct child_conf *conf;
	struct tun_options options; /* may be changed at run time */
	struct tun_sa_list sas;	    /* newest first */
	struct tun_sa *current;	    /* the newest that is not retired; NULL: down */
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
LIST_HEAD(tun_child_list, tun_child);

/* ---- a connection to one peer ---- */

struct tun_conn {
	LIST_ENTRY(tun_conn) link;
	struct tunnel *tunnel;
	struct conn_conf *conf;
	struct ident peer_id; /* who it was last; ID_NONE: nobody yet */
	bool dynamic;	      /* made for a peer of a %any connection; goes with its last SA */
	struct tun_child_list children;
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
LIST_HEAD(tun_conn_list, tun_conn);

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
	void (*event)(void *ctx, enum tunnel_event_kind kind, const struct tun_conn *conn,
		      const struct tun_child *child, const char *text);
};

SLIST_HEAD(held_list, held_route);

struct tunnel {
	struct tunnel_ops ops;
	struct ike *ike;
	struct esp_path *path;
	struct rng *rng;
	struct log *log;
	struct tun_conn_list conns;
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
struct tun_child *tunnel_find_child(struct tunnel *t, const char *name);
struct tun_conn *tunnel_find_conn(struct tunnel *t, const char *name);
void tunnel_child_up(struct tun_child *c, nsec_t now);
void tunnel_child_down(struct tun_child *c, nsec_t now);
/* False when there is nothing to rekey. */
bool tunnel_child_rekey(struct tun_child *c, nsec_t now);
/* Sets options of the running child; applies them to its SAs. -EINVAL with err. */
int tunnel_child_set(struct tun_child *c, const char *name, const char *value, char *err,
		     nsec_t now) MUST_CHECK;
/* Ends back-off and quiet of its gate; what is still CONFIRMED is asked for again. */
void tunnel_child_reset(struct tun_child *c, nsec_t now);
/* The same with a whole set of options. */
int tunnel_child_apply(struct tun_child *c, const struct tun_options *o, char *err,
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
void record_figures(struct tun_sa *s);
/* Packets go on SAs of the child whose IKE SA is gone: doc/recovery.md 5. */
bool tunnel_child_is_kept(const struct tun_child *c);

struct esp_sa *tun_sa_esp(const struct tun_sa *s);

/*
 * doc/recovery.md 5: each live inbound SA whose detector is CONFIRMED has a request under way, a
 * deadline that asks again, or detection is off; and whatever is waited for is under way. NULL when
 * that holds; otherwise what is wrong. For tests, after every turn.
 */
const char *tunnel_check(const struct tunnel *t);

/* ---- within the room ---- */

/* conn.c: bringing connections up again. */
void conn_connect(struct tun_conn *c, nsec_t now);
/*
 * Asks for a CHILD SA of the child from `at` on, unless one is there or asked for: on the IKE SA
 * that there is or is coming, else on a new one. first: as for ike_child_create.
 */
void conn_ask(struct tun_child *k, const struct ts *first, nsec_t at, nsec_t now);
/* What a wanted child lacks, whatever the reason. */
void conn_mend(struct tun_conn *c, nsec_t now);
/* No IKE SA belongs to the connection any more; with `end` they are deleted, and the peer is told.
 */
void conn_disown(struct tun_conn *c, bool end, nsec_t now);
/* Nothing is to come of what was asked for, or checked, on this IKE SA. */
void conn_unask(struct tun_conn *c, const struct ike_sa *sa);
void conn_retry_later(struct tun_conn *c, const char *why, nsec_t now);
void conn_beside_later(struct tun_conn *c, nsec_t now);
deadline_due conn_beside;
/*
 * The new IKE SA that is to take over: ours; or where the peer made one while we did, that of the
 * two with the higher initiator's SPI. Both sides see it so, and neither ends what the other keeps.
 * Only with c->beside.
 */
struct ike_sa *conn_which_call(const struct tun_conn *c);
/*
 * Where the peer called, our answer to its IKE_AUTH may be lost for long: until it is heard on the
 * IKE SA, by IKE or by ESP, it sends on the older one.
 */
bool conn_peer_has(const struct ike_sa *sa);
/* Ends the IKE SA if the connection does not use it and it has no children. */
void conn_drop_spare(struct tun_conn *c, struct ike_sa *sa, nsec_t now);
/* Asks on the IKE SA of rung 3, from `at` on, for what it has not yet of the child. */
void conn_ask_missing(struct tun_child *k, nsec_t at);
/* Whether we may start an IKE SA: to a configured address, or to where the peer was last heard. */
bool conn_can_call(const struct tun_conn *c);
/* The SA that children are asked of, if it is established. */
struct ike_sa *conn_established(const struct tun_conn *c);
bool conn_wanted(const struct tun_conn *c);
/* Who the peer is, or is to be. */
const struct ident *conn_peer(const struct tun_conn *c);
/*
 * After whatever may end rung 3: has its SA all children? Then the old one goes. Not at once, as
 * the engine may be in the middle of a message for it.
 */
void conn_maybe_take_over(struct tun_conn *c, nsec_t now);
deadline_due conn_take_over;
/* It was made for a peer of %any, and nothing is left of that peer. */
bool conn_is_over(const struct tun_conn *c);
/* A dynamic connection that has nothing left goes, in a moment. */
void conn_free_if_dynamic(struct tun_conn *c);
void conn_on_ike_event(struct tunnel *t, struct ike_sa *sa, enum ike_sa_event e,
		       struct ike_sa *other, const char *why, nsec_t now);
struct tun_conn *conn_new(struct tunnel *t, struct conn_conf *conf);
/* tunnel.c: with its configured children and their traps; those to be started are wanted. */
struct tun_conn *conn_configured(struct tunnel *t, struct conn_conf *conf);
/* tunnel.c: the one of that name, or NULL. */
struct conn_conf *conn_conf_named(struct conn_conf **conns, unsigned count, const char *name);
/* tunnel.c: there is one of this configuration that is no peer's of a pattern. */
bool conn_has_static(const struct tunnel *t, const struct conn_conf *conf);
/* tunnel.c: ends what it has, whose peer is told, and itself. */
void conn_end(struct tun_conn *c, nsec_t now);
/* The connection that an IKE SA of a peer belongs to; made for a new peer of a %any connection. */
struct tun_conn *conn_of_peer(struct tunnel *t, const struct ike_sa *sa);
void conn_free(struct tun_conn *c);
/* With all its children, and without a word to the peer. */
void conn_remove(struct tun_conn *c);

/* Rung 3 is to bring something. */
bool conn_is_mending(const struct tun_conn *c);

/* tun_child.c; see struct ike_ops. */
bool tun_keep_mapping(void *ctx, const struct ike_sa *sa);

/* held.c: routes for the peers of connections that only answer, before they come. */
/* Anyone may call, or who fits a pattern, and there is nobody that we could call. */
bool conn_only_answers(const struct conn_conf *conf);
/* The routes of those of these connections that only answer are held, in place of what was. */
void held_configure(struct tunnel *t, struct conn_conf **conns, unsigned count);
/* Drops all routes of the list. */
void held_release(struct tunnel *t, struct held_list *list);

/* admit.c: what a peer may have; see struct ike_ops. */
uint16_t tun_child_admit(void *ctx, struct ike_sa *sa, const struct child_conf *conf,
			 const struct ts_list *local, const struct ts_list *remote, bool ours,
			 const struct child_sa *old, nsec_t now);

/* tidy.c: of what came up twice, one goes. */
/* Another live SA of the child with the same selectors; NULL: there is none. */
struct tun_sa *tun_sa_twin(const struct tun_sa *s);
/* Something came up twice: in a while it is looked which one goes. */
void conn_tidy_later(struct tun_conn *c, nsec_t now);
/* There are two IKE SAs of the connection, one of them without children. */
bool conn_has_spare(const struct tun_conn *c);
/* conn_tidy_later, if there are; after whatever may have left them so. */
void conn_tidy_spare(struct tun_conn *c, nsec_t now);
/* Its deadline: ends one of two, if it may go yet, or looks again. */
deadline_due conn_tidy;

/* recovery.c: one inbound SA from evidence to its successor. */
/* The detector of the SA, or a hint about it, met a criterion. */
void recovery_confirmed(struct tun_sa *s, enum criterion criterion, nsec_t now);
/* The numbers may have gone back once more, and packets be lost now: a back-off is cut short. */
void recovery_third_lap(struct tun_sa *s, nsec_t now);
/* A new SA was replaced before its first FRESH packet: what awaits that awaits it on `by`. */
void recovery_heir(const struct tun_sa *gone, const struct tun_sa *by);
/* `by` has taken the SA's place; NULL: it ends without a successor. */
void recovery_replaced(struct tun_sa *s, const struct tun_sa *by, nsec_t now);
/* The SA ends, whatever its recovery was about. */
void recovery_forget(struct tun_sa *s);
/* The first FRESH packet came on the SA. */
void recovery_sa_fresh(struct tun_sa *s, nsec_t now);
/* A CREATE_CHILD_SA of ours for this child ended; s: the SA that it was to rekey, or NULL. */
void recovery_result(struct tun_child *c, struct tun_sa *s, enum ike_result r, uint16_t notify,
		     nsec_t now);
deadline_due recovery_timer;
/* Options or allowances have changed: whatever is still CONFIRMED is asked for again. */
void recovery_look_again(struct tun_child *c, nsec_t now);
/* For tunnel_check: its ladder was looked at now, the peer can be asked, and nobody asks. */
bool recovery_is_stuck(const struct tun_sa *s, nsec_t now);
/* Rung 3 for this SA. */
void recovery_climb(struct tun_sa *s, enum criterion criterion, const char *why, nsec_t now);

/* For those SAs of a child that depend on an IKE SA which has news. */
/* It answered, or its request ended. */
void recovery_answered(struct tun_child *c, const struct ike_sa *sa, nsec_t now);
/* It did not answer in time. */
void recovery_late(struct tun_child *c, const struct ike_sa *sa, const char *why, nsec_t now);
/* The peer's IKE state went back. */
void recovery_ike_back(struct tun_child *c, const struct ike_sa *sa, nsec_t now);
/* The new IKE SA of rung 3 failed, or the last IKE SA is gone. */
void recovery_failed(struct tun_child *c, const char *why, nsec_t now);

/* hints.c: what tells of a switchover beside the detector. */
void hint_retired_heard(struct tun_sa *s, nsec_t now);
/* The peer said INVALID_SPI, protected, of the SA that we send on. */
void hint_invalid_spi(struct tun_sa *s, nsec_t now);
/* Begins or ends to look whether only we send, as the options say. */
void hint_silent_arm(struct tun_sa *s, nsec_t now);
deadline_due hint_silent_due;
/* RFC 6311: a member took over on this IKE SA, and our numbers leap by delta. */
void hint_synced(struct tun_child *c, const struct ike_sa *sa, uint64_t delta, nsec_t now);

/* record.c: what a recovery leaves. */
void record_open(struct tun_sa *s, enum criterion criterion, nsec_t now);
/* The record goes into the child's ring, with the figures of now. */
void record_close(struct tun_sa *s, const char *outcome);
/*
 * The record that has this outcome (the same text) by the same kind of criterion, not older than
 * `since`: one more is counted in it. NULL: there is none.
 */
struct recovery_record *record_again(struct tun_child *c, enum criterion criterion,
				     const char *outcome, nsec_t since);

/* tun_child.c: what the engine says of CHILD SAs, as struct ike_ops has it. */
int tun_child_install(void *ctx, struct child_sa *c, const struct child_keys *keys,
		      struct child_sa *replaces, nsec_t now);
void tun_child_event(void *ctx, struct child_sa *c, enum child_event e, const char *why,
		     nsec_t now);
void tun_child_result(void *ctx, struct ike_sa *sa, const struct child_conf *conf,
		      struct child_sa *child, enum ike_result r, uint16_t notify, nsec_t now);
nsec_t tun_last_inbound(void *ctx, const struct ike_sa *sa);
/* The connection's child of this configuration; made if it is not there yet. */
struct tun_child *tun_child_of(struct tun_conn *c, struct child_conf *conf);
void tun_child_remove(struct tun_child *k);
/* The policies of its device. */
struct spd *tun_child_spd(const struct tun_child *k);
/* Packets for the child bring it up, or no longer. */
void tun_child_trap(struct tun_child *k, bool on);
/*
 * Makes the SA of the child k; the caller puts ike, SPIs, keys and times into it, then installs it.
 */
struct tun_sa *tun_sa_new(struct tun_child *k, const struct ts_list *local,
			  const struct ts_list *remote);
void tun_sa_free(struct tun_sa *s);
/* Into the SAD, where its SPI is reserved, and into the child's list. Frees it on error. */
int tun_sa_install(struct tun_sa *s, const struct suite *suite, bool esn,
		   const struct endpoint *local, const struct endpoint *remote, nsec_t now);
/* Inbound only from now on, and delivering not for long (doc/recovery.md 4). by: its successor or
 * NULL. */
void tun_sa_retire(struct tun_sa *s, const struct tun_sa *by, nsec_t now);
/* The part of its retirement that has come to its end. */
deadline_due tun_sa_end;
/* The newest SA of the child that carries packets and admits all that s admits; NULL: none. */
struct tun_sa *tun_sa_heir(const struct tun_sa *s);
/* Whether `by` admits all that s admits. */
bool tun_sa_covers(const struct tun_sa *by, const struct tun_sa *s);
void tun_sa_forget(struct tun_sa *s);

/* outbound.c: when what is sent moves to a new CHILD SA, and what that replaces. */
/* Outbound packets take this SA, and what it replaces is retired. */
void tun_sa_activate(struct tun_sa *s, nsec_t now);
/* The same, and the IKE SA of rung 3 may have all that it needs now. */
void tun_sa_use(struct tun_sa *s, nsec_t now);
/* It is up: outbound packets take it at once, or when the peer is known to have it. */
void tun_sa_begin_to_use(struct tun_sa *s, nsec_t now);
/* It is up, and outbound packets do not take it yet. */
bool tun_sa_waits(const struct tun_sa *s);
/* Its deadline: whether the peer has it by now. */
deadline_due tun_sa_move_due;
/* The first FRESH packet came on it. */
void tun_sa_heard(struct tun_sa *s, nsec_t now);

/* tunnel.c: one line in the log, as many as the peer may cause of this kind. */
void tun_log(struct tun_child *c, enum tunnel_event_kind kind, enum log_level level,
	     const char *fmt, ...) PRINTF_LIKE(4, 5);
/* The same, and to our owner in any case. */
void tun_event(struct tun_child *c, enum tunnel_event_kind kind, enum log_level level,
	       const char *fmt, ...) PRINTF_LIKE(4, 5);

#endif
