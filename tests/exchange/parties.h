/*
 * parties.h - several peers of one gateway. SPDX-License-Identifier: ISC
 *
 * The branch stands for all of them, at one address: each of its connections is a peer with an
 * identity and a secret of its own.
 */
#ifndef MENDIP_PARTIES_H
#define MENDIP_PARTIES_H

#include "peers.h"

#define CONNS 4

/* A connection of either side; the child is net0 with one net on each side. */
struct party {
	const char *name;	    /* of the connection */
	const char *local, *remote; /* identities; local on the wire as it stands */
	const char *net;	    /* the branch's side of the child */
};

/* A secret of the gateway's; ids: one or NULL. */
struct secret {
	const char *id, *secret;
};

/* The secrets of guest and b_peer, each for its name. */
extern const struct secret two_secrets[2];
/* One that everybody has. */
extern const struct secret for_all;
extern const char *const all_secrets[CONNS];
/* The gateway's connection for everybody, and two who call. */
extern const struct party fleet, guest, b_peer;

/* A network in which nobody calls by itself; free with net_free. */
struct net *quiet_net(void);
/* What a peer may send as its name, patterns and all. */
void wire_name(struct ident *id, const char *name);
/* With one reference. */
struct psk_store *secrets_of(const struct secret *v, unsigned count);
/* With one reference. */
struct conn_conf *party_conf(struct net *n, unsigned side, const struct party *p);
/* For tunnel_configure: connections of the same name are as before, but for their secrets. */
bool always_same(const struct conn_conf *a, const struct conn_conf *b);
/* From now on the gateway answers these, with these secrets. */
void gateway(struct net *n, const struct party *v, unsigned count, const struct secret *secrets,
	     unsigned secret_count);
/* From now on there are these peers, each with a secret. */
void callers(struct net *n, const struct party *v, const char *const *secrets, unsigned count);

/* The child of a connection; NULL: there is no such connection. */
struct tunnel_child *child_of(struct net *n, unsigned side, const char *conn);
/* As the branch sees it. */
bool is_up(struct net *n, const char *conn);
/* Asks for it, and runs for 5 s. */
void bring_up(struct net *n, const char *conn);
uint64_t counter(struct net *n, unsigned i, enum ike_counter c);

#endif
