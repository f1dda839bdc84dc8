/*
 * live_peer.h - the IKE engine with UDP sockets, for test programs that act as a daemon's peer.
 * SPDX-License-Identifier: ISC
 *
 * It has one connection with one child. There is no data path: of a CHILD SA it keeps the keys,
 * with which the program can seal any packet.
 */
#ifndef MENDIP_LIVE_PEER_H
#define MENDIP_LIVE_PEER_H

#include "sa/ike_sa.h"
#include "seeded.h"
#include "udp.h"

#define LIVE_PLAIN 0 /* the socket of port 500 */
#define LIVE_NATT  1 /* the socket of port 4500, with the non-ESP marker */

/* The sender's side of a CHILD SA. */
struct live_child {
	LIST_ENTRY(live_child) link;
	struct child_sa *ike; /* NULL: the CHILD SA is deleted, but its keys may still be used */
	uint32_t spi;	      /* the daemon's inbound SPI */
	const struct suite *suite;
	bool esn;
	struct aead_key *seal;
	uint64_t number, iv; /* the last ones used */
};
LIST_HEAD(live_child_list, live_child);

struct live_who {
	const char *gateway;	      /* address */
	const char *local, *remote;   /* identities */
	const char *secret;	      /* pre-shared key */
	const char *near_ts, *far_ts; /* traffic selectors of the child */
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
	unsigned ups, downs; /* numbers of IKE SAs that were established, and that ended */
	/* Called before the engine sends a message; false: it is not sent. May be NULL. */
	bool (*on_send)(struct live_peer *p, const struct endpoint *local,
			const struct endpoint *remote, const uint8_t *msg, size_t len);
	/* Called before the engine gets a received message. May be NULL. */
	void (*on_receive)(struct live_peer *p, const uint8_t *msg, size_t len);
	void *ctx;
};

nsec_t live_now(void);
/* Opens the sockets; -1 and a line on stderr when that fails or a member of `who` is invalid. */
int live_open(struct live_peer *p, const struct live_who *who, uint64_t seed);
void live_close(struct live_peer *p);
/*
 * Initiates an IKE SA with the gateway, and a CHILD SA; beside: other IKE SAs stay, as with
 * ike_initiate. NULL: too many IKE SAs, or the CHILD SA cannot be requested.
 */
struct ike_sa *live_call(struct live_peer *p, bool beside);
/* Receives messages and runs the engine's timers until that time. */
void live_run(struct live_peer *p, nsec_t until);
/* Sends an IKE message, or an ESP packet, to the gateway. */
void live_send(struct live_peer *p, unsigned socket, const uint8_t *msg, size_t len);
void live_send_esp(struct live_peer *p, const uint8_t *packet, size_t len);
/* Frees the keys of a CHILD SA that the engine has deleted. */
void live_forget(struct live_peer *p, struct live_child *c);

#endif
