/*
 * config.h - the configuration file: reading, checking, comparing (mendip.conf(5)).
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_DAEMON_CONFIG_H
#define MENDIP_DAEMON_CONFIG_H

#include "ike.h"
#include "sa/ike_config.h"
#include "log.h"
#include "crypto/aead.h"
#include "udp_offload.h"
#include "options.h"

#define CONFIG_ERR   512
#define DEVICE_MAX   200		   /* devices that children have to themselves */
#define CONTROL_PATH "/run/mendip/control" /* what mendipctl asks by default */

/* What a start makes and a reload leaves as it is. */
struct config_fixed {
	char *tun;		       /* name of the TUN device */
	char *control;		       /* path of the control socket */
	char *user;		       /* to run as when started as root; NULL: stay */
	uint32_t mtu;		       /* of the TUN device; 0: worked out */
	struct offload_config offload; /* of TUN and UDP, where the kernel has it */
	bool install_routes;	       /* false: others make routes to the device */
	bool leak_block;	       /* what is for a tunnel is unreachable without it */
	bool local_routes_first;       /* closer routes of the main table go before a tunnel's */
	enum aead_choice crypto;
};

struct config {
	struct config_fixed fixed; /* the first member: by that an option is known to be one */
	enum log_level log;
	uint64_t history_memory;
	struct ike_settings ike;	/* limits and times of the engine */
	struct tunnel_options defaults; /* of the group `switchover` */
	struct conn_conf **conns;
	char **where; /* FILE:LINE of each */
	unsigned conn_count;
	struct psk_store *secrets; /* shared with conns */
};

/*
 * Reads the file and conf.d/ *.conf beside it. NULL on any error, with err (CONFIG_ERR bytes)
 * saying file, line, option and what would be right. Never ends the process, whatever the file
 * holds: a child process tries it first.
 */
struct config *conf_load(const char *path, char *err);
/*
 * For a message that names what somebody has written, perhaps cut within a letter: nothing in it
 * steers a terminal or breaks JSON.
 */
void conf_make_printable(char *s);
/*
 * The devices that children have to themselves: not too many, and none is that of all. -EINVAL with
 * err (CONFIG_ERR bytes).
 */
int conf_check_devices(const struct config *c, char *err) MUST_CHECK;
/* Cleanses secrets; takes NULL. Connections in use live on by their own references. */
void conf_free(struct config *c);
/* Whether a running connection can stay as it is under the new configuration, but for its secrets:
 * see tunnel_configure. */
bool conf_conn_same(const struct conn_conf *a, const struct conn_conf *b);
/* A tunnel_digest: of all that conf_conn_same compares, and of the secret for that peer. */
void conf_conn_digest(const struct conn_conf *c, const struct ident *peer, uint8_t *out);
/*
 * Takes what was fixed at the start over into the configuration that follows. The names of the
 * options that are others there, with ", " between them, in names (size bytes); "": none.
 */
void conf_keep_fixed(const struct config *old, struct config *new, char *names, size_t size);
/*
 * All options with the values that they have, also those that the file does not say, in a form that
 * is read back as the same; secrets are not shown. The caller frees it.
 */
char *conf_dump(const struct config *c);

#endif
