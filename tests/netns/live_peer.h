/*
 * live_peer.h - a whole IKE engine over real UDP sockets, for programs that talk to a daemon as its
 * peer does. SPDX-License-Identifier: ISC
 *
 * It has one connection with one child. There is no data path: a CHILD SA is its keys, with which
 * the program seals what it likes.
 */
#ifndef MENDIP_LIVE_PEER_H
#define MENDIP_LIVE_PEER_H

#include "sa/ike_sa.h"
#include "seeded.h"
#include "udp.h"

#define LIVE_PLAIN 0 /* sockets: port 500, */
#define LIVE_NATT  1 /* and 4500, with the non-ESP marker */

/* What sends on a CHILD SA. */
struct live_child {
	LIST_ENTRY(live_child) link;
	struct child_sa *ike; /* NULL: it is gone, but its keys may still be used */
	uint32_t spi;	      /* the daemon's inbound one */
	const struct suite *suite;
	bool esn;
	struct aead_key *seal;
	uint64_t number, iv; /* last ones used */
};
LIST_HEAD(live_child_list, live_child);

struct live_who {
	const char *gateway;	      /* its address */
	const char *local, *remote;   /* identities */
	const char *secret;	      /* of both */
	const char *near_ts, *far_ts; /* of the child */
};

struct live_peer {
	struct seeded rng;
	struct log log;
	struct ike *ike;
	struct udp_socket udp[2];
	struct conn_conf *conf;
	struct endpoint gateway;
	struct live_child_list children;
	unsigned child_count;
	uint32_t next_spi;
	unsigned ups, downs; /* IKE SAs that came and went */
	/* May be NULL. What the engine wants to send; false: it goes no further. */
	bool (*on_send)(struct live_peer *p, const struct endpoint *local,
			const struct endpoint *remote, const uint8_t *msg, size_t len);
	/* May be NULL. Sees what comes before the engine does. */
	void (*on_receive)(struct live_peer *p, const uint8_t *msg, size_t len);
	void *ctx;
};

nsec_t live_now(void);
/* Opens the sockets; -1 with a line on stderr when that, or something of who, cannot be. */
int live_open(struct live_peer *p, const struct live_who *who, uint64_t seed);
void live_close(struct live_peer *p);
/* A call to the gateway, beside those that are up; NULL: too many. */
struct ike_sa *live_call(struct live_peer *p, bool beside);
/* Receives and does what is due, until then. */
void live_run(struct live_peer *p, nsec_t until);
/* Bytes to the gateway: an IKE message, or ESP. */
void live_send(struct live_peer *p, unsigned socket, const uint8_t *msg, size_t len);
void live_send_esp(struct live_peer *p, const uint8_t *packet, size_t len);
/* Forgets a CHILD SA whose engine's side is gone. */
void live_forget(struct live_peer *p, struct live_child *c);

#endif
