/*
 * peers.h - two whole peers in one process, on a virtual clock, over a wire that loses, duplicates,
 * delays and reorders datagrams at random from a seed. SPDX-License-Identifier: ISC
 *
 * Peer 0, the branch, initiates; peer 1, the gateway, responds (and may initiate, if told so).
 */
#ifndef MENDIP_PEERS_H
#define MENDIP_PEERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "sa/ike_sa.h"
#include "seeded.h"
#include "tunnel.h"
#include "wire_queue.h"

#define BRANCH	  0
#define GW	  1
#define MSEC	  NSEC_PER_MSEC
#define SEC	  NSEC_PER_SEC
#define LOG_LINES 400
#define CHILDREN  4

struct options {
	uint64_t seed;
	const char *ike, *esp;	     /* proposals; NULL: the standard ones */
	const char *ike_gw, *esp_gw; /* the gateway's, if different */
	unsigned children;	     /* 1 to CHILDREN; child i has 10.1.i.0/24 === 10.2.i.0/24 */
	enum start_action start;     /* of the branch's children */
	bool six;		     /* IPv6 outside */
	enum encap encap;	     /* of both */
	bool gw_any;		     /* the gateway accepts any peer that matches a pattern */
	bool gw_calls;	    /* the gateway has the branch's address, and can initiate rung 3 */
	bool gw_starts;	    /* the gateway starts its children, too; with gw_calls */
	enum unique unique; /* of both */
	/* The branch only responds (%any): the gateway initiates, and starts the children. */
	bool branch_answers;
	/*
	 * The branch has one child, net0, with 10.1.0.0/16 === 10.2.0.0/16, which it does not
	 * start. The gateway starts its own, narrower children, which are several SAs of the
	 * branch's child.
	 */
	bool wide;
	bool twice_allowed; /* without replay protection: a packet delivered twice is no failure */
	nsec_t delay;	    /* one way; 0: 1 ms */
	enum childless childless[2];
	enum end_action close, dead; /* of the branch's children: close_action, dpd_action */
	nsec_t dpd, rekey, ike_rekey;
	nsec_t gw_dpd;			  /* the gateway's, if different; NSEC_NEVER: none */
	enum fragmentation fragmentation; /* of both */
	unsigned fragment_size;		  /* 0: the default */
	uint32_t window;
	const char *psk_branch, *psk_gw; /* NULL: the default secret */
	struct tunnel_options sw;	 /* of both; detect.packets 0: defaults */
	struct ike_settings set;	 /* half_open_max 0: defaults */
};

struct net;

/* Counts of the inner packets that one peer sends in one child, at different places. */
struct flow {
	uint64_t sent;	    /* given to the sender's data path */
	uint64_t path_lost; /* lost on the wire: random loss and cuts */
	uint64_t delivered; /* by the other peer */
	int64_t in_flight;
};

struct peer {
	struct net *net;
	unsigned index;
	struct seeded rng;
	struct log log;
	struct tunnel *tunnel;
	struct endpoint address;
	struct addr also;	 /* another address of it; family 0: none */
	struct endpoint seen_as; /* behind a NAT: what the other side sees; port 0: no NAT */
	struct conn_conf *conf;
	uint64_t sent, delivered;   /* inner packets */
	uint64_t path_lost;	    /* of those sent: lost on the wire */
	struct flow flow[CHILDREN]; /* of this peer's packets; `delivered`: at the other peer */
	uint64_t delivered_twice;
	uint64_t *got, got_words; /* a bit for each packet of the other peer: it was delivered */
	uint64_t ike_sent, dummies;
	nsec_t last_delivery, longest_gap;
	unsigned security_events;
	int addresses;		   /* assigned by the other peer and not withdrawn yet */
	struct addr address_given; /* the last one */
	unsigned dns;
	int routes; /* asked for and not withdrawn yet */
	uint8_t next_inner;
};

struct kept {
	struct spd_policy policy;
	struct ts_list *local, *remote;
};

/* What the wire does to the next `count` IKE messages of peer `from` that are of this kind. */
struct ike_fate {
	unsigned from;
	uint8_t exchange; /* 0: any */
	bool response;
	unsigned count;
	unsigned copies; /* 0: it is lost, 2: it is doubled */
	nsec_t later;	 /* it arrives later by this; a second copy does */
};
#define IKE_FATES 8

struct net {
	struct options o;
	struct seeded rng;
	struct peer peer[2];
	nsec_t now;
	int64_t wall; /* seconds since 1970 at time 0, for certificates */
	struct wire_queue queue;
	uint64_t order;
	/* the wire: probabilities, per mille */
	unsigned loss, dup, reorder;
	nsec_t jitter;
	bool cut[2];	   /* all datagrams of peer i are lost */
	nsec_t refuses[2]; /* until then, peer i's host refuses to send IKE messages */
	nsec_t cut_ike[2]; /* until then, IKE messages of peer i are lost */
	nsec_t cut_esp[2]; /* until then, ESP packets of peer i are lost */
	struct ike_fate fate[IKE_FATES];
	/* Called for each datagram, which it may change or record; false: the datagram is lost. */
	bool (*hook)(struct net *n, unsigned from, struct datagram *d);
	void *hook_ctx;
	/* traffic: packets per second from peer i, over its children in turn */
	unsigned rate[2];
	nsec_t next_packet[2];
	struct kept kept[CHILDREN];
	char log[LOG_LINES][640];
	unsigned log_next;
	/* Called for the configuration of a new process; NULL: it stays as it is. */
	void (*conf_made)(struct net *n, unsigned side);
	/* Called on a failure; NULL: the log is printed and the test fails. */
	void (*failed)(struct net *n, const char *text) __attribute__((noreturn));
	bool has_failed;
	unsigned turns_at_now; /* to detect a clock that stands still, which is a failure */
};

/*
 * A checksum of the headers and times of all datagrams that the peers of this process have sent: a
 * change of the code that leaves it as it was changes nothing on the wire.
 */
extern uint64_t net_wire_sum;

struct options options_default(void);
struct net *net_new(const struct options *o);
/* The same, and runs it until all children are up, for 20 s at most. */
struct net *net_up(const struct options *o);
void net_free(struct net *n);
/* Runs for this time. */
void net_run(struct net *n, nsec_t time);
/* Runs until cond holds; fails the test if it does not within the limit. */
void net_until(struct net *n, bool (*cond)(struct net *n), nsec_t limit, const char *what);
bool net_is_up(struct net *n);
/* Sends an inner packet of child c from peer i; without an SA it is lost and acquires one. */
void net_packet(struct net *n, unsigned i, unsigned c);
/* One packet of child c each way arrives within 1 s; otherwise the test fails. */
void net_traffic(struct net *n, unsigned c);
/* Delivers a datagram to peer `to` at once, as from the other peer. */
void net_inject(struct net *n, unsigned to, bool esp, const uint8_t *p, uint32_t len);
/* Delivers a datagram that n->hook held back, at once. */
void net_release(struct net *n, struct datagram *d);
/* Loses all datagrams that are on the wire. */
void net_drop_queued(struct net *n);
void net_print_log(const struct net *n);
/* Whether a line of the log has this text. */
bool net_logged(const struct net *n, const char *text);
/* Fails the run; prints seed and log. */
void net_fail(struct net *n, const char *fmt, ...) PRINTF_LIKE(2, 3) __attribute__((noreturn));
/*
 * The number of packets from peer i, in its child c or in all children (CHILDREN), that were
 * neither delivered nor lost on the wire, and are not on the wire. A packet sent without an SA
 * counts as lost.
 */
uint64_t net_lost(const struct net *n, unsigned i, unsigned c);
/* Whether both sides have one IKE SA, the same one, and in each child one SA pair, the same one. */
bool net_agrees(struct net *n);
/* The number of CONFIRMED inbound SAs of peer i that have not been replaced. */
unsigned peer_confirmed(struct net *n, unsigned i);

/*
 * A new configuration for peer i, like its current one, with one reference; may be changed before
 * use.
 */
struct conn_conf *peer_conf(struct net *n, unsigned i);
/* tunnel_configure with one connection, and one secret for every peer. */
void peer_configure(struct net *n, unsigned i, const struct conn_conf *conf, conn_same *same);
/* The same with credentials, whose reference it takes over. */
void peer_configure_with(struct net *n, unsigned i, const struct conn_conf *conf,
			 struct cred_store *creds, conn_same *same);
/* For tunnel_configure: connections with the same name have not changed, except for secrets. */
bool always_same(const struct conn_conf *a, const struct conn_conf *b);
#define SAVED_ROOM (64u << 20)
/*
 * Saves what a new process of peer i needs into `room`, of `size` bytes, after the time that the
 * old process waits for outstanding requests. The old process continues until peer_load.
 */
struct chunk peer_save(struct net *n, unsigned i, uint8_t *room, size_t size, unsigned *ret_conns);
/*
 * Replaces the process of peer i by a new one with the same configuration; returns as tunnel_load.
 */
int peer_load(struct net *n, unsigned i, struct chunk saved);
/* The same with this configuration and these credentials, whose references it takes over. */
int peer_load_with(struct net *n, unsigned i, struct chunk saved, struct conn_conf *conf,
		   struct cred_store *creds);
/* The same with several connections; the set stays the caller's. */
int peer_load_set(struct net *n, unsigned i, struct chunk saved, const struct conn_set *set);
/* peer_save and peer_load; returns the number of connections that continued. */
int peer_restart(struct net *n, unsigned i);
struct tunnel_conn *peer_conn(struct net *n, unsigned i);
struct tunnel_child *peer_child(struct net *n, unsigned i, unsigned c);
/* The newest SA of child c of peer i, or NULL. */
struct esp_sa *peer_sa(struct net *n, unsigned i, unsigned c);
/* The number of CHILD SAs of peer i, in its IKE engine, over all children. */
unsigned peer_child_sas(struct net *n, unsigned i);
unsigned peer_ike_sas(struct net *n, unsigned i);
/* Whether requests of peer i are queued or outstanding on any of its IKE SAs. */
bool peer_is_busy(struct net *n, unsigned i);
/* Over all children of peer i. */
uint64_t peer_recoveries(struct net *n, unsigned i);
uint64_t peer_rekeys(struct net *n, unsigned i);
/* How often in succession peer i has deleted one of two redundant SAs. */
unsigned peer_tidied(struct net *n, unsigned i);
unsigned peer_records(struct net *n, unsigned i, const char *outcome);
uint64_t peer_gate_answers(struct net *n, unsigned i, enum gate_answer a);
/* Sets the gateway's outbound numbers back by `by`, as a switchover does. */
void gw_rewind(struct net *n, unsigned c, uint64_t by, bool nonces);
/*
 * Keeps the outbound SA of the gateway's child c for gw_take_over; the gateway sends nothing in the
 * child until the next rekey. After gw_take_over, the gateway sends on the kept SA, as a standby
 * does, until it makes a newer one.
 */
void gw_keep(struct net *n, unsigned c);
void gw_take_over(struct net *n, unsigned c);
/* The newest record of the branch's child c. */
const struct recovery_record *last_record(struct net *n, unsigned c);
uint64_t seed_from_env(uint64_t otherwise);
/* The number in this variable of the environment. */
uint64_t number_from_env(const char *name, uint64_t otherwise);

#endif
