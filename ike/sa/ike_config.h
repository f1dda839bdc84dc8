/*
 * ike_config.h - the configuration of a connection. SPDX-License-Identifier: ISC
 *
 * The daemon makes it from the file. It is reference-counted and, apart from resolved addresses,
 * not changed while in use: a reload makes new ones, and an SA keeps the one that it was made from
 * until it is given another.
 */
#ifndef MENDIP_IKE_CONFIG_H
#define MENDIP_IKE_CONFIG_H

#include "auth/psk.h"
#include "wire/proposal.h"

#define CONN_MAX_ADDRS 8

enum start_action { START_NONE, START_TRAP, START_START };

struct child_conf {
	char *name;
	struct ts_list local_ts, remote_ts;
	struct proposal_list proposals;
	nsec_t rekey_time, life_time; /* 0: never */
	uint64_t rekey_bytes, life_bytes, rekey_packets, life_packets;
	enum start_action start_action;
	uint32_t replay_window;		/* packets; 0: no protection against replays */
	char *device;			/* name of its TUN device; NULL: the default one */
	uint16_t device_index;		/* of that device; the daemon sets it before use */
	struct tunnel_options *options; /* those of tunnel/; owned */
};

struct conn_conf {
	char *name;
	unsigned refs;
	struct endpoint local[CONN_MAX_ADDRS]; /* local_count 0: any address of ours */
	struct endpoint remote[CONN_MAX_ADDRS];
	uint8_t local_count, remote_count;
	uint8_t fixed_count; /* number of remote addresses from the file; resolved ones follow */
	bool remote_any;     /* remote_addrs has %any: answer any address */
	bool ha_peer;	     /* the peer is a cluster that supports RFC 6311 */
	char **remote_names; /* host names that the daemon resolves into remote; NULL-terminated, or
				NULL */
	struct ident local_id, remote_id; /* remote_id may be a pattern */
	struct proposal_list proposals;
	nsec_t rekey_time, life_time, dpd_delay; /* 0: never */
	struct child_conf *children;
	unsigned child_count;
	struct psk_store *secrets; /* a reference */
};

/* Adds a reference and returns c. */
static inline struct conn_conf *conn_ref(struct conn_conf *c)
{
	c->refs++;
	return c;
}
/* Drops a reference; frees c with the last one. Takes NULL. */
void conn_unref(struct conn_conf *c);
/* Whether one of the endpoints has the address, on any port. */
bool endpoints_have(const struct endpoint *v, unsigned count, const struct addr *a);
/* The child with this name, or NULL; it belongs to c. */
struct child_conf *conn_child(const struct conn_conf *c, const char *name);

#endif
