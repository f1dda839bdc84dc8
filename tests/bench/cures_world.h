/*
 * cures_world.h - one gateway and many branches in one process, on a virtual clock, for the
 * comparison of cures. SPDX-License-Identifier: ISC
 *
 * Each branch is a whole peer with a tunnel, a data path and a seed of its own. The gateway is one
 * peer with as many connections. It sends to the branches at a rate that the active ones share.
 *
 * Time is virtual but for one thing: what the gateway does for IKE takes as long as the processor
 * really needed for it. Messages that come meanwhile wait, so a thousand requests at once are
 * answered one after another, as by a daemon with one thread. ESP does not wait for IKE, the wire
 * takes a millisecond and loses nothing, and the branches are machines of their own: they take no
 * time.
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
#define REQUEST_BINS 100 /* a second */
#define SERIAL_AT    32	 /* in the inner packet, behind the UDP header: its number */

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
	struct deadline timer; /* when its tunnel wants a turn */
	uint64_t sent;	       /* inner packets for it; each carries its number, from 1 on */
	uint64_t *seen;	       /* a bit for each one delivered */
	uint64_t seen_words;
	uint64_t twice; /* delivered once more: a replay that was accepted */
	/* since the switchover */
	uint64_t mark;	    /* `sent` then */
	uint64_t delivered; /* of those after the mark, each once */
	uint64_t last;	    /* the newest one delivered */
	uint64_t in_a_row;  /* delivered without one missing */
	nsec_t flows_since; /* the first delivery after the last one missing; 0: none is missing */
	nsec_t last_at;
	uint64_t rekeys_before, ike_up;
};

struct gateway {
	struct world *w;
	struct endpoint address;
	struct seeded rng;
	struct tunnel *tunnel;
	struct conn_conf *conf;
	/* IKE messages that wait for it */
	struct datagram **inbox;
	uint32_t in_head, in_count, in_room;
	nsec_t busy_until;
	nsec_t began; /* of the call under way, virtual */
	uint64_t cpu_began;
	uint64_t cpu; /* nanoseconds for IKE since the switchover */
	nsec_t last_ike;
	uint32_t *requests; /* in and out, REQUEST_BINS to a second from the switchover on */
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
	nsec_t switched; /* when the switchover was; 0: not yet */
	struct recorder *recorder;
	struct esp_train train;
	uint8_t train_buf[512];
};

struct world *world_new(uint32_t count, uint32_t window, uint64_t seed);
/* Runs until all tunnels are up; ends the process when one does not come. */
void world_bring_up(struct world *w);
/* From now on `active` branches share `rate` packets a second. */
void world_traffic(struct world *w, uint32_t active, uint32_t rate);
/* The traffic ends. */
void world_silence(struct world *w);
void world_run(struct world *w, nsec_t time);
void world_run_ticks(struct world *w, uint64_t ticks);
/* Draws of the branches from now on; the same for each cure. */
void world_reseed(struct world *w, uint64_t seed);

void world_no_route(void *ctx, uint16_t device, const struct ts_list *local,
		    const struct ts_list *remote, bool add);
struct endpoint host_endpoint(uint32_t host);
void die(const char *fmt, ...) PRINTF_LIKE(1, 2) __attribute__((noreturn));

/* cures_wire.c */
void wire_put(struct datagram_heap *h, struct datagram *d);
struct datagram *wire_take(struct datagram_heap *h);
/* It arrives WIRE_DELAY after `at`. */
void transmit(struct world *w, uint32_t to, bool esp, const struct endpoint *from,
	      const struct endpoint *dest, nsec_t at, const uint8_t *p, size_t len);

/* cures_gateway.c */
void gateway_init(struct world *w, uint32_t window, const struct ike_settings *set);
/* Work of the gateway is done between these two: its time is taken. */
void gateway_enter(struct gateway *g);
void gateway_leave(struct gateway *g);
/* An IKE message for it, which takes d. */
void gateway_ike(struct gateway *g, struct datagram *d);
void gateway_esp(struct gateway *g, struct datagram *d);
/* When it has something to do and the time for it. */
nsec_t gateway_next(const struct gateway *g);
void gateway_turn(struct gateway *g);

/* cures_branch.c */
void branch_init(struct world *w, uint32_t i, uint32_t window, const struct ike_settings *set);
/* Does what is due, and sets the timer anew. */
void branch_turn(struct branch *b);
/* An ESP packet arrives now, as from the gateway. */
void branch_esp(struct branch *b, const uint8_t *p, uint32_t len);
void branch_ike(struct branch *b, const struct datagram *d);
struct tunnel_child *branch_child(const struct branch *b);
/* The newest SA of the branch, and the gateway's SA that it belongs to; NULL: none. */
struct esp_sa *branch_sa(const struct branch *b);
struct esp_sa *branch_gateway_sa(const struct branch *b);

/* cures_conf.c: what both sides are configured with. */
struct conn_conf *conf_of_gateway(uint32_t window);
struct conn_conf *conf_of_branch(uint32_t index, const struct endpoint *gateway, uint32_t window);
/* tunnel_configure with this connection and the secret of all. */
void conf_use(struct tunnel *t, const struct conn_conf *conf, nsec_t now);
/* Branch i protects this one address (of the gateway's net: 10.2.0.1). */
void inner_address(uint32_t index, uint8_t out[4]);

/* cures_recorder.c */
struct recorder *recorder_new(uint32_t active, uint64_t before);
/* The gateway sends its packet number `serial` to the branch. */
void recorder_sees(struct recorder *r, struct branch *b, const uint8_t *p, uint32_t len);
/* From now on it re-sends what it has. */
void recorder_begin(struct recorder *r, nsec_t now);
/* All of it once more, from now on. */
void recorder_again(struct recorder *r, nsec_t now);
nsec_t recorder_next(const struct recorder *r);
void recorder_turn(struct recorder *r, struct world *w);
uint64_t recorder_resent(const struct recorder *r);

#endif
