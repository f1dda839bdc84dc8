/*
 * parties.h - several peers of one gateway. SPDX-License-Identifier: ISC
 *
 * The branch plays all of them, at one address: each of its connections is a peer with an identity
 * and a secret of its own.
 */
#ifndef MENDIP_PARTIES_H
#define MENDIP_PARTIES_H

#include "peers.h"

#define CONNS 4

/* A connection of either side; its child is net0, with one network on each side. */
struct party {
	const char *name;	    /* of the connection */
	const char *local, *remote; /* identities; `local` is sent unparsed */
	const char *net;	    /* the branch's side of the child */
};

/* A secret of the gateway; id: whose it is, or NULL for everybody. */
struct secret {
	const char *id, *secret;
};

/* The secrets of guest and b_peer, each for its identity. */
extern const struct secret two_secrets[2];
/* A secret for everybody. */
extern const struct secret for_all;
extern const char *const all_secrets[CONNS];
/* The gateway's connection for everybody, and two peers that initiate. */
extern const struct party fleet, guest, b_peer;

/* Two peers, none of which initiates by itself; free with net_free. */
struct net *quiet_net(void);
/* The identity that a peer sends with this name, which may look like a pattern. */
void wire_name(struct ident *id, const char *name);
/* Returned with one reference. */
struct psk_store *secrets_of(const struct secret *v, unsigned count);
/* Returned with one reference. */
struct conn_conf *party_conf(struct net *n, unsigned side, const struct party *p);
/* The gateway's configuration from now on: these connections, with these secrets. */
void gateway(struct net *n, const struct party *v, unsigned count, const struct secret *secrets,
	     unsigned secret_count);
/* The branch's configuration from now on: these peers, each with its secret. */
void callers(struct net *n, const struct party *v, const char *const *secrets, unsigned count);

/* The child of a connection; NULL if there is no such connection. */
struct tunnel_child *child_of(struct net *n, unsigned side, const char *conn);
/* Whether the branch has a CHILD SA of the connection. */
bool is_up(struct net *n, const char *conn);
/* Requests the child of the connection, and runs for 5 s. */
void bring_up(struct net *n, const char *conn);
uint64_t counter(struct net *n, unsigned i, enum ike_counter c);

#endif
