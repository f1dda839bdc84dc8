/*
 * ike_config.h - the configuration of a connection. SPDX-License-Identifier: ISC
 *
 * The daemon makes it from the file. It is reference-counted, and constant from then on: a reload
 * makes new ones, and an SA keeps the one that it was made from until it is given another.
 */
#ifndef MENDIP_IKE_CONFIG_H
#define MENDIP_IKE_CONFIG_H

#include "auth/credentials.h"
#include "auth/psk.h"
#include "wire/cp.h"
#include "wire/proposal.h"

#define CONN_MAX_ADDRS	  8
#define HOST_NAMES_MAX	  CONN_MAX_ADDRS

#define FRAGMENT_SIZE_MIN 256 /* bytes; headers, IV and ICV are up to 140 of them */
enum fragmentation { FRAGMENTATION_YES, FRAGMENTATION_NO, FRAGMENTATION_FORCE };
enum start_action { START_NONE, START_TRAP, START_START };
/* When the peer has deleted a child, or was silent: what follows. AUTO: as start_action says. */
enum end_action { END_AUTO, END_NONE, END_TRAP, END_START };
/* IKE SAs without a CHILD SA (RFC 6023); see childless.c. */
enum childless { CHILDLESS_ALLOW, CHILDLESS_PREFER, CHILDLESS_FORCE, CHILDLESS_NEVER };

/* Whether ESP goes in UDP (RFC 3948), or by itself as IP protocol 50 (RFC 4303). */
enum encap {
	ENCAP_YES,  /* in UDP: the peer is made to believe that we are behind a NAT */
	ENCAP_AUTO, /* in UDP only if one of us is behind a NAT */
	ENCAP_NO,   /* never in UDP: behind a NAT there is no CHILD SA */
};

struct child_conf {
	char *name;
	struct ts_list *local_ts, *remote_ts; /* owned */
	struct proposal_list proposals;
	nsec_t rekey_time, life_time; /* 0: never */
	uint64_t rekey_bytes, life_bytes, rekey_packets, life_packets;
	enum start_action start_action;
	enum end_action close_action, dpd_action;
	uint32_t replay_window;		/* packets; 0: no protection against replays */
	char *device;			/* name of its TUN device; NULL: the default one */
	struct tunnel_options *options; /* those of tunnel/; owned */
};

/* What becomes of two IKE SAs of a connection with the same identities; see mendip.conf(5). */
enum unique { UNIQUE_REPLACE, UNIQUE_KEEP, UNIQUE_NEVER };

/*
 * When a routine request is sent again: after `timeout`, then each time `base` times as long,
 * `tries` times in all; every wait varies by 20 %. After the last one the peer is given up.
 */
struct retransmission {
	nsec_t timeout;
	uint32_t base; /* thousandths */
	uint32_t tries;
};

/* Addresses for peers, and what goes with them. */
struct pool_conf {
	char *name;
	struct addr lo, hi;
	struct cp_config with; /* DNS servers and subnets; no addresses */
};

/* Host names of a peer, and where they lead now: no part of the configuration. */
struct peer_names {
	char *name[HOST_NAMES_MAX];
	unsigned count;
	struct endpoint found[CONN_MAX_ADDRS]; /* see conn_resolved */
	uint8_t name_of[CONN_MAX_ADDRS];       /* the place of its name in `name` */
	unsigned found_count;
};

/* Names of files or domains, as they are written in the configuration. */
struct name_list {
	char **v; /* owned, and so is each name */
	unsigned count;
};

/* How both sides of a connection authenticate. */
struct conn_auth {
	enum auth_kind local, remote;
	enum revocation revocation; /* of the peer's certificates */
	bool rsa_pss;		    /* as in struct auth_identities */
	bool rsa_sha1;
	/* Where the daemon reads the credentials from (struct conn_creds). */
	struct name_list certs, cacerts, peer_certs, pubkeys;
	char *key, *password; /* owned; NULL: none */
	/* Of EAP: our identity (NULL: local_id as text), and that of the server of EAP-TLS (NULL:
	 * that of the peer). Owned. */
	char *eap_id, *aaa_id;
};

/* What becomes of DNS servers that the peer assigns to us. */
enum dns_use {
	DNS_NONE,     /* they are not used */
	DNS_RESOLVED, /* systemd-resolved gets them */
};

#define DNS_DOMAINS_MAX 32 /* of one connection */

struct conn_conf {
	char *name;
	unsigned refs;
	struct endpoint local[CONN_MAX_ADDRS];	/* local_count 0: any address of ours */
	struct endpoint remote[CONN_MAX_ADDRS]; /* those of the file; all: conn_remote */
	uint8_t local_count, remote_count;
	unsigned local_port, remote_port; /* where IKE begins: both 500, or neither */
	bool remote_any;		  /* remote_addrs has %any: answer any address */
	struct retransmission retransmit; /* a member that is 0: that of struct ike_settings */
	bool ha_peer;			  /* the peer is a cluster that supports RFC 6311 */
	bool mobike;			  /* RFC 4555 */
	enum unique unique;
	enum childless childless;
	enum fragmentation
		fragmentation;	/* RFC 7383; FORCE: messages that need not be divided too */
	unsigned fragment_size; /* bytes of an IP datagram of IKE; 0: 1,280 */
	enum encap encap;
	struct peer_names *names;	  /* in remote_addrs; owned, NULL: none */
	struct ident local_id, remote_id; /* remote_id may be a pattern */
	struct conn_auth auth;
	struct proposal_list proposals;
	bool ppk_required; /* no IKE SA without a post-quantum key (RFC 8784) */
	char *ppk_id;	   /* of that key, or PPK_ANY; NULL: none */
	nsec_t rekey_time, life_time, dpd_delay; /* 0: never */
	nsec_t failback; /* from a less preferred address of the peer to a better one; 0: never */
	char *backup;	 /* name of the connection that has the traffic while this one is down */
	struct addr vips[CP_ADDRS]; /* that we ask the peer for; all zeros: any of the family */
	uint8_t vip_count;
	enum dns_use dns;
	/* For which names; "~" first: not for searching. None: for all names. */
	struct name_list dns_domains;
	uint8_t pool_count;
	struct pool_conf *pools; /* from which the peer gets addresses; owned */
	struct child_conf *children;
	unsigned child_count;
	unsigned routes; /* selectors of the peer's side in them, together */
};

/* The connections of one version of the configuration, and the secrets for them. */
struct conn_set {
	const struct conn_conf **v; /* owned array; each entry holds a reference */
	unsigned count;
	struct psk_store *secrets; /* a reference; NULL: none, and no connections */
	struct cred_store *creds;  /* a reference; NULL: none */
};

/* Adds a copy of the name. */
void name_list_add(struct name_list *l, const char *name);
/* Adds a reference and returns c. */
const struct conn_conf *conn_ref(const struct conn_conf *c);
/* Drops a reference; frees c with the last one. Takes NULL. */
void conn_unref(const struct conn_conf *c);
/* Whether one of the endpoints has the address, on any port. */
bool endpoints_have(const struct endpoint *v, unsigned count, const struct addr *a);
/*
 * Writes our identity for EAP, as text with a NUL, to id, which has IDENT_STRLEN bytes, and returns
 * id. Without eap_id it is local_id: a name octet for octet, another one as text. It may be longer
 * than EAP takes.
 */
const char *conn_eap_id(const struct conn_conf *c, char *id);
/* The password by which we authenticate, or NULL: none is needed, or none is there. */
const struct eap_secret *conn_eap_secret(const struct conn_conf *c, const struct psk_store *s);
/* Whether either side authenticates by a pre-shared key. */
bool conn_has_psk(const struct conn_conf *c);
/* The number of the peer's addresses: those of the file, and after them what its names lead to. */
unsigned conn_remote_count(const struct conn_conf *c);
/* One of them; i is less than their number. */
const struct endpoint *conn_remote(const struct conn_conf *c, unsigned i);
/* How far behind it stands in remote_addrs: 0 is the first. Addresses of one name stand together.
 */
unsigned conn_remote_preference(const struct conn_conf *c, unsigned i);
/* It is for several peers, or for whoever calls. */
bool conn_is_for_anyone(const struct conn_conf *c);
/* Whether the address is one of them. */
bool conn_has_remote(const struct conn_conf *c, const struct addr *a);
/*
 * From now on the names of c, which has some, lead to these, in the order of preference; name_of:
 * for each, the place of its name in c->names. Only c->names changes. All addresses of the peer
 * together are CONN_MAX_ADDRS at most; the last ones are left out.
 */
void conn_resolved(const struct conn_conf *c, const struct endpoint *found, const uint8_t *name_of,
		   unsigned count);
/* Whether the packets of both go through the same TUN device. */
bool child_conf_same_device(const struct child_conf *a, const struct child_conf *b);
/* The child with this name, or NULL; it belongs to c. */
const struct child_conf *conn_child(const struct conn_conf *c, const char *name);

/* Whether two connections of one name are alike; their secrets are not compared. */
typedef bool conn_same(const struct conn_conf *a, const struct conn_conf *b);
/* The connection of that name, or NULL. */
const struct conn_conf *conn_set_find(const struct conn_set *s, const char *name);
/*
 * An index of the names of a set, for many look-ups; it is valid while none of the connections that
 * the set had then ends. The first of several with one name counts.
 */
struct conn_names;
struct conn_names *conn_names_new(const struct conn_set *s);
void conn_names_free(struct conn_names *n); /* takes NULL */
/* The place of the connection in s->v, or -1. */
int conn_names_find(const struct conn_names *n, const char *name);
/* Adds one that has come to the set behind the others; false: there is one of that name. */
bool conn_names_add(struct conn_names *n, const char *name);
/* A copy of `from` with references of its own. */
struct conn_set conn_set_copy(const struct conn_set *from);
/* Drops all references and empties the set. */
void conn_set_fini(struct conn_set *s);

#endif
