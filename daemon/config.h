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

#include <stdarg.h>

#define CONFIG_ERR   512
#define DEVICE_MAX   200		   /* TUN devices besides the shared one */
#define CONTROL_PATH "/run/mendip/control" /* default control socket of mendipd and mendipctl */
#define VIEW_SUFFIX  ".view"		   /* of the socket beside it, for who may only view */

/* Options that take effect at the start; a reload does not change them. */
struct config_fixed {
	char *tun;			/* name of the TUN device */
	char *control;			/* path of the control socket */
	char *view_group, *admin_group; /* who may view; who may also change */
	char *user;			/* to run as when started as root; NULL: stay root */
	char *key_log;			/* folder where keys are written; NULL: nowhere */
	char *metrics_listen;		/* where metrics are served (listen_at.h); NULL: nowhere */
	uint32_t mtu;			/* of the TUN devices; 0: follows the paths (mtu.c) */
	struct offload_config offload;	/* of TUN and UDP, where the kernel supports it */
	bool install_routes;		/* false: another program makes the routes */
	bool leak_block;		/* traffic for a tunnel that is down is dropped */
	bool local_routes_first; /* more specific routes of the main table win over a tunnel's */
	enum aead_choice crypto;
};

/* What is allowed but should be looked at. */
struct conf_doubt {
	char *place; /* FILE:LINE */
	char *text;  /* OPTION: what is doubtful, and what to do */
};

/* Where each of several groups stands. */
struct conf_places {
	char **v; /* FILE:LINE */
	unsigned count;
};

struct config {
	struct config_fixed fixed; /* must be first: config_same.c tells these options by offset */
	enum log_level log;
	uint64_t history_memory;	/* bytes, of the histories of all SAs */
	struct ike_settings ike;	/* limits and times of the IKE engine */
	struct tunnel_options defaults; /* from the top-level group `switchover` */
	struct conn_set conns;
	struct pool_conf *pools; /* owned */
	unsigned pool_count;
	struct conf_places where;  /* of each connection */
	struct conf_doubt *doubts; /* owned */
	unsigned doubt_count;
	struct conn_names *names;     /* of the connections, while the files are read; owned */
	char *ca_folder, *crl_folder; /* folders of CAs and CRLs for all connections */
	char *folder;		      /* of the main file */
	/* While it is read: where pools, secrets of each kind and children stand, and what the
	 * files of certificates hold. */
	struct conf_places pools_at, psks_at, ppks_at, eaps_at, children_at;
	struct conf_files *files;
	struct conf_trusts *trusts;
	struct conf_read *reads; /* what it was read from (config_access.h); owned */
	unsigned read_count;
	bool may_pass; /* of the error; see conf_load */
};

/*
 * Reads the file and conf.d/ *.conf beside it. The caller frees the result with conf_free. NULL on
 * any error, with file, line, option and the remedy in err (CONFIG_ERR bytes). Never ends the
 * process, whatever the file holds: a child process tries it first. *ret_may_pass, unless NULL: the
 * same file may be good later, as a token is not there, there are no descriptors, memory or
 * processes, or the child process has not come to its end.
 */
struct config *conf_load(const char *path, char *err, bool *ret_may_pass);
/*
 * The same for a text of ours in place of files: `name` stands for the file in errors. Nothing
 * guards against what libconfig might do with it.
 */
struct config *conf_load_text(const char *name, const char *text, char *err);
/*
 * Replaces every byte that is not printable ASCII with '?', in place: a message that quotes input,
 * perhaps cut within a UTF-8 sequence, neither controls a terminal nor breaks JSON.
 */
void conf_make_printable(char *s);
/* The text, made printable in this way, of at most 1023 bytes; the caller frees it. */
char *conf_printable(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));
/* Whether v is one of the words (NULL-terminated). */
bool conf_is_one_of(const char *v, const char *const *words);
/*
 * Checks the children's own TUN devices: at most DEVICE_MAX, and none is the shared one. 0, or
 * -EINVAL with err (CONFIG_ERR bytes).
 */
int conf_check_devices(const struct config *c, char *err) MUST_CHECK;
/* Checks what `backup` of each connection names. 0, or -EINVAL with err (CONFIG_ERR bytes). */
int conf_check_backups(const struct config *c, char *err) MUST_CHECK;
/* Drops its references to connections and secrets; the last reference wipes them. Accepts NULL. */
void conf_free(struct config *c);
/* Whether a running connection can stay as it is under the new configuration. Secrets are not
 * compared: see tunnel_configure. */
bool conf_conn_same(const struct conn_conf *a, const struct conn_conf *b);
/*
 * A tunnel_digest: of all that conf_conn_same compares and of the secret for peer, if there are
 * secrets. out: 32 bytes.
 */
void conf_conn_digest(const struct conn_conf *c, const struct psk_store *secrets,
		      const struct ident *peer, uint8_t *out);
/*
 * Copies old->fixed into new, which replaces old at a reload. Writes the names of the options whose
 * values in new were different to names (size bytes), separated by ", "; "" when there are none.
 */
void conf_keep_fixed(const struct config *old, struct config *new, char *names, size_t size);
/*
 * All options with their values, including those that the file does not set, in a form that reads
 * back as the same configuration, without the secrets. The caller frees the text.
 */
char *conf_dump(const struct config *c);
/*
 * Says what the configuration allows but nobody should want, such as old algorithms, in the order
 * in which it was read: FILE:LINE, and OPTION with a sentence; both are valid during the call.
 */
typedef void conf_say(void *ctx, const char *place, const char *text);
void conf_warn(const struct config *c, conf_say *say, void *ctx);

#endif
