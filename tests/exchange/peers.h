/*
 * peers.h - two whole peers in one process, on a virtual clock, over a wire that loses, doubles,
 * delays and reorders from a seed. SPDX-License-Identifier: ISC
 *
 * Peer 0, the branch, connects; peer 1, the gateway, answers (and may connect, if told so).
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
	const char *ike_gw, *esp_gw; /* the gateway's, if others */
	unsigned children;	     /* 1 to CHILDREN; child i has 10.1.i.0/24 === 10.2.i.0/24 */
	enum start_action start;     /* of the branch's children */
	bool gw_any;		     /* the gateway answers anyone, by pattern */
	bool gw_calls; /* the gateway has the branch's address, for rung 3 from there */
	/* The branch only answers (%any): the gateway calls, and starts the children. */
	bool branch_answers;
	/*
	 * The branch has one child, net0, with 10.1.0.0/16 === 10.2.0.0/16, which it does not
	 * start; the gateway brings up its own, narrower children as several SAs of it.
	 */
	bool wide;
	bool twice_allowed; /* replay protection is off: delivered twice is no failure */
	nsec_t delay;	    /* one way; 0: 1 ms */
	nsec_t dpd, rekey, ike_rekey;
	nsec_t gw_dpd; /* the gateway's, if another one; NSEC_NEVER: none */
	uint32_t window;
	const char *psk_branch, *psk_gw; /* NULL: the same */
	struct tunnel_options sw;	 /* of both; detect.packets 0: defaults */
	struct ike_settings set;	 /* half_open_max 0: defaults */
};

struct net;

/* Inner packets of one child from one peer, as seen where they are counted. */
struct flow {
	uint64_t sent;	    /* given to the peer's data path */
	uint64_t path_lost; /* by the wire: loss and cuts */
	uint64_t delivered; /* at the other peer */
	int64_t in_flight;
};

struct peer {
	struct net *net;
	unsigned index;
	struct seeded rng;
	struct log log;
	struct tunnel *tunnel;
	struct endpoint address;
	struct endpoint seen_as; /* behind a NAT: what the other side sees; port 0: no NAT */
	struct conn_conf *conf;
	struct psk_store *secrets;
	uint64_t sent, delivered; /* inner packets */
	uint64_t path_lost;	  /* of those sent: by the wire */
	struct flow
		flow[CHILDREN]; /* of what this peer sends; `delivered` is counted at the other */
	uint64_t delivered_twice;
	uint64_t *got, got_words; /* a bit for each count of the other peer's packets */
	uint64_t ike_sent, dummies;
	nsec_t last_delivery, longest_gap;
	unsigned security_events;
	uint8_t next_inner;
};

struct kept {
	struct spd_policy policy;
	struct ts_list *local, *remote;
};

struct net {
	struct options o;
	struct seeded rng;
	struct peer peer[2];
	nsec_t now;
	struct wire_queue queue;
	uint64_t order;
	/* the wire: per mille */
	unsigned loss, dup, reorder;
	nsec_t jitter;
	bool cut[2];	   /* what peer i sends is lost */
	nsec_t cut_ike[2]; /* until then: IKE only */
	nsec_t cut_esp[2]; /* until then: ESP only */
	/* false: the datagram is lost; may change or record it */
	bool (*hook)(struct net *n, unsigned from, struct datagram *d);
	void *hook_ctx;
	/* traffic: packets a second from peer i, in its child `child` */
	unsigned rate[2];
	nsec_t next_packet[2];
	struct kept kept[CHILDREN];
	char log[LOG_LINES][220];
	unsigned log_next;
	/* Where failures go; NULL: the log is printed and the test fails. */
	void (*failed)(struct net *n, const char *text) __attribute__((noreturn));
	bool has_failed;
	unsigned turns_at_now; /* a clock that stands still is a failure too */
};

/* A sum of the headers of all datagrams that any peer of this process has sent, with their times:
 * what leaves it as it is changes nothing on the wire. */
extern uint64_t net_wire_sum;

struct options options_default(void);
struct net *net_new(const struct options *o);
void net_free(struct net *n);
/* Runs until the time has passed. */
void net_run(struct net *n, nsec_t time);
/* Runs until cond holds; fails the test when it does not within limit. */
void net_until(struct net *n, bool (*cond)(struct net *n), nsec_t limit, const char *what);
bool net_is_up(struct net *n);
/* An inner packet from peer i of child c; its copy of the way is the wire's. */
void net_packet(struct net *n, unsigned i, unsigned c);
/* A datagram that arrives at peer `to` at once, as from the other peer. */
void net_inject(struct net *n, unsigned to, bool esp, const uint8_t *p, uint32_t len);
/* A copy of a datagram that n->hook kept back arrives now after all. */
void net_release(struct net *n, struct datagram *d);
/* What is on the wire is lost. */
void net_drop_queued(struct net *n);
void net_print_log(const struct net *n);
/* Fails the run, with seed and log. */
void net_fail(struct net *n, const char *fmt, ...) PRINTF_LIKE(2, 3) __attribute__((noreturn));
/*
 * Packets from peer i, in its child c or in all (CHILDREN), that are neither delivered, nor on
 * their way, nor lost by the wire itself. Sent while there was no SA counts as lost.
 */
uint64_t net_lost(const struct net *n, unsigned i, unsigned c);
/* Both sides have the same newest SA pair in each child, no other one, and one IKE SA. */
bool net_agrees(struct net *n);
/* The children have that many CONFIRMED inbound SAs of peer i that were not replaced. */
unsigned peer_confirmed(struct net *n, unsigned i);

/* Another configuration like that of peer i, with one reference, which may be changed before use.
 */
struct conn_conf *peer_conf(struct net *n, unsigned i);
/* tunnel_configure with one connection and one secret for every peer. */
void peer_configure(struct net *n, unsigned i, const struct conn_conf *conf, conn_same *same);
#define SAVED_ROOM (64u << 20)
/*
 * What a new process of peer i needs, in room of size bytes: after the time that the old one waits
 * for requests under way. The old one goes on until peer_load.
 */
struct chunk peer_save(struct net *n, unsigned i, uint8_t *room, size_t size, unsigned *ret_conns);
/* A new process in place of the old one, with the same configuration: as tunnel_load. */
int peer_load(struct net *n, unsigned i, struct chunk saved);
/* Both; the connections that went on. */
int peer_restart(struct net *n, unsigned i);
struct tunnel_conn *peer_conn(struct net *n, unsigned i);
struct tunnel_child *peer_child(struct net *n, unsigned i, unsigned c);
/* The newest SA of child c of peer i, or NULL. */
struct esp_sa *peer_sa(struct net *n, unsigned i, unsigned c);
/* CHILD SAs of all children that the engine of peer i has. */
unsigned peer_child_sas(struct net *n, unsigned i);
unsigned peer_ike_sas(struct net *n, unsigned i);
/* Requests of ours that are waiting or outstanding on any IKE SA of peer i. */
bool peer_is_busy(struct net *n, unsigned i);
/* Over all children of the peer. */
uint64_t peer_recoveries(struct net *n, unsigned i);
uint64_t peer_rekeys(struct net *n, unsigned i);
/* How often in a row it has ended one of what came up twice. */
unsigned peer_tidied(struct net *n, unsigned i);
unsigned peer_records(struct net *n, unsigned i, const char *outcome);
uint64_t peer_gate_answers(struct net *n, unsigned i, enum gate_answer a);
/* Takes the gateway's outbound numbers back, as a switchover would. */
void gw_rewind(struct net *n, unsigned c, uint64_t by, bool nonces);
/*
 * What the gateway sends child c's packets on is kept for gw_take_over, and it sends none before
 * the next rekey; then a standby sends on this SA until it makes a newer one.
 */
void gw_keep(struct net *n, unsigned c);
void gw_take_over(struct net *n, unsigned c);
/* The newest record of the branch's child. */
const struct recovery_record *last_record(struct net *n, unsigned c);
uint64_t seed_from_env(uint64_t otherwise);

#endif
