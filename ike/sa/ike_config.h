/*
 * ike_config.h - what the engine has to know of a connection. SPDX-License-Identifier: ISC
 *
 * Made by the daemon from the file, immutable while in use, shared by reference count: a reload
 * makes new ones, and SAs keep the one they were made from until they are handed another.
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
	uint32_t replay_window;		/* 0: no protection against replays */
	char *device;			/* its TUN device; NULL: that of all */
	uint16_t device_index;		/* set before use by whoever has the devices */
	struct tunnel_options *options; /* of the tunnel room; owned */
};

struct conn_conf {
	char *name;
	unsigned refs;
	struct endpoint local[CONN_MAX_ADDRS]; /* none: any address of ours */
	struct endpoint remote[CONN_MAX_ADDRS];
	uint8_t local_count, remote_count;
	uint8_t fixed_count; /* of remote: those from the file; resolved ones follow */
	bool remote_any;     /* %any: answer anyone */
	bool ha_peer;	     /* the peer is a cluster that speaks RFC 6311 */
	char **remote_names; /* host names that the daemon resolves into remote; NULL-terminated or
				NULL */
	struct ident local_id, remote_id; /* remote_id may be a pattern */
	struct proposal_list proposals;
	nsec_t rekey_time, life_time, dpd_delay; /* 0: never */
	struct child_conf *children;
	unsigned child_count;
	struct psk_store *secrets; /* a reference */
};

static inline struct conn_conf *conn_ref(struct conn_conf *c)
{
	c->refs++;
	return c;
}
/* Frees with the last reference; takes NULL. */
void conn_unref(struct conn_conf *c);
/* Whether one of the endpoints has the address, on whatever port. */
bool endpoints_have(const struct endpoint *v, unsigned count, const struct addr *a);
/* The child of the name, or NULL. */
struct child_conf *conn_child(const struct conn_conf *c, const char *name);

#endif
