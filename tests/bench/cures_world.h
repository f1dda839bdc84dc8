/*
 * cures_world.h - one gateway and many branches in one process, on a virtual clock, for the
 * comparison of cures. SPDX-License-Identifier: ISC
 *
 * Each branch is a complete peer with its own tunnel, data path and seed. The gateway is one peer,
 * with an IKE SA per branch. It sends packets at a rate that the active branches share.
 *
 * Time is virtual with one exception: the gateway's work for IKE takes the processor time that it
 * actually used. Messages that arrive meanwhile wait, so that a thousand simultaneous requests are
 * answered one after the other, as by a daemon with one thread. ESP does not wait for IKE. The
 * network delays each datagram by a millisecond and loses none. The branches' work takes no time,
 * as each would have a machine of its own.
 */
#ifndef MENDIP_CURES_WORLD_H
#define MENDIP_CURES_WORLD_H

#include "seeded.h"
#include "tunnel.h"

#define MSEC	     NSEC_PER_MSEC
#define SEC	     NSEC_PER_SEC
#define WIRE_DELAY   MSEC
#define TO_GATEWAY   UINT32_MAX
#define ESP_LEN_MAX  160
#define REQUEST_BINS 100 /* per second */
#define SERIAL_AT    32	 /* offset of the serial number in the inner packet */

struct datagram {
	nsec_t at;
	uint64_t order;
	uint32_t to; /* a branch, or TO_GATEWAY */
	bool esp;
	struct endpoint from, dest;
	uint32_t len;
	uint8_t p[];
};

struct datagram_heap {
	struct datagram **v;
	uint32_t count, room;
};

struct branch {
	struct world *w;
	uint32_t index;
	struct endpoint address;
	struct seeded rng;
	struct tunnel *tunnel;
	struct conn_conf *conf;
	struct deadline timer; /* of the tunnel's next deadline */
	uint64_t sent;	       /* inner packets sent to it; serial numbers begin with 1 */
	uint64_t *seen;	       /* a bit per serial number that was delivered */
	uint64_t seen_words;
	uint64_t twice; /* packets delivered a second time: accepted replays */
	/* since the switchover */
	uint64_t mark;	    /* value of `sent` at the switchover */
	uint64_t delivered; /* distinct packets above the mark */
	uint64_t last;	    /* the highest serial number delivered */
	uint64_t in_a_row;  /* delivered without a gap */
	nsec_t flows_since; /* the first delivery after the last gap; 0: no gap */
	nsec_t last_at;
	uint64_t rekeys_before, ike_up;
};

struct gateway {
	struct world *w;
	struct endpoint address;
	struct seeded rng;
	struct tunnel *tunnel;
	struct conn_conf *conf;
	/* IKE messages that it has not processed */
	struct datagram **inbox;
	uint32_t in_head, in_count, in_room;
	nsec_t busy_until;
	nsec_t began; /* virtual time at which the current work began */
	uint64_t cpu_began;
	uint64_t cpu; /* nanoseconds of processor time for IKE since the switchover */
	nsec_t last_ike;
	uint32_t *requests; /* sent and received since the switchover, REQUEST_BINS per second */
	uint32_t bins;
};

struct world {
	nsec_t now;
	uint64_t seed, order;
	struct seeded rng;
	struct log log;
	struct gateway gw;
	struct branch *branches;
	uint32_t count, active; /* the first `active` of them carry traffic */
	struct datagram_heap wire;
	struct deadline_heap timers;
	/* traffic: packet k, at traffic_from + k / rate, goes to branch k % active */
	uint32_t rate;
	bool sending;
	uint64_t ticks;
	nsec_t traffic_from;
	uint64_t ticks_from;
	nsec_t switched; /* time of the switchover; 0: not yet */
	struct recorder *recorder;
	struct esp_train train;
	uint8_t train_buf[512];
};

struct world *world_new(uint32_t count, uint32_t window, uint64_t seed);
/* Runs until all tunnels are up; ends the process when one does not come up. */
void world_bring_up(struct world *w);
/* Starts the traffic: the first `active` branches share `rate` packets per second. */
void world_traffic(struct world *w, uint32_t active, uint32_t rate);
/* Ends the traffic. */
void world_silence(struct world *w);
void world_run(struct world *w, nsec_t time);
void world_run_ticks(struct world *w, uint64_t ticks);
/* Seeds the random numbers of gateway and branches again, so that each cure gets the same ones. */
void world_reseed(struct world *w, uint64_t seed);

void world_no_route(void *ctx, uint16_t device, const struct ts_list *local,
		    const struct ts_list *remote, bool add);
struct endpoint host_endpoint(uint32_t host);
void die(const char *fmt, ...) PRINTF_LIKE(1, 2) __attribute__((noreturn));

/* cures_wire.c */
void wire_put(struct datagram_heap *h, struct datagram *d);
struct datagram *wire_take(struct datagram_heap *h);
/* Sends a datagram at time `at`; it arrives WIRE_DELAY later. */
void transmit(struct world *w, uint32_t to, bool esp, const struct endpoint *from,
	      const struct endpoint *dest, nsec_t at, const uint8_t *p, size_t len);

/* cures_gateway.c */
void gateway_init(struct world *w, uint32_t window, const struct ike_settings *set);
/* Enclose the gateway's work, whose processor time they measure; leave also runs its tunnel. */
void gateway_enter(struct gateway *g);
void gateway_leave(struct gateway *g);
/* Queues an IKE message for the gateway, which then owns d. */
void gateway_ike(struct gateway *g, struct datagram *d);
void gateway_esp(struct gateway *g, struct datagram *d);
/* Returns when the gateway has work and is not busy. */
nsec_t gateway_next(const struct gateway *g);
void gateway_turn(struct gateway *g);

/* cures_branch.c */
void branch_init(struct world *w, uint32_t i, uint32_t window, const struct ike_settings *set);
/* Does the branch's work that is due, and sets its timer. */
void branch_turn(struct branch *b);
/* Receives an ESP packet, as from the gateway. */
void branch_esp(struct branch *b, const uint8_t *p, uint32_t len);
void branch_ike(struct branch *b, const struct datagram *d);
struct tunnel_child *branch_child(const struct branch *b);
/* The newest SA of the branch, and the gateway's side of it; NULL: none. */
struct esp_sa *branch_sa(const struct branch *b);
struct esp_sa *branch_gateway_sa(const struct branch *b);

/* cures_conf.c: the configurations of both sides. */
struct conn_conf *conf_of_gateway(uint32_t window);
struct conn_conf *conf_of_branch(uint32_t index, const struct endpoint *gateway, uint32_t window);
/* tunnel_configure with this connection and the common secret. */
void conf_use(struct tunnel *t, const struct conn_conf *conf, nsec_t now);
/* Returns the one address that a branch protects; the gateway sends from 10.2.0.1. */
void inner_address(uint32_t index, uint8_t out[4]);

/* cures_recorder.c */
struct recorder *recorder_new(uint32_t active, uint64_t before);
/* Shows the recorder an ESP packet from the gateway to the branch. */
void recorder_sees(struct recorder *r, struct branch *b, const uint8_t *p, uint32_t len);
/* The switchover is now: starts re-sending the packets that the recorder keeps. */
void recorder_begin(struct recorder *r, nsec_t now);
/* Starts re-sending all of them once more. */
void recorder_again(struct recorder *r, nsec_t now);
nsec_t recorder_next(const struct recorder *r);
void recorder_turn(struct recorder *r, struct world *w);
uint64_t recorder_resent(const struct recorder *r);

#endif
