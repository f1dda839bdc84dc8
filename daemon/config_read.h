/* config_read.h - libconfig's tree into our structs; private to config*.c.
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_CONFIG_READ_H
#define MENDIP_CONFIG_READ_H

#include "config.h"
#include "scan.h"

#include <libconfig.h>
#include <sys/types.h>

struct conf_table;

/* The defaults of a table, as libconfig parsed them; see conf_read_options. */
struct conf_standards {
	const struct conf_table *table;
	config_t lib;
	struct conf_standards *next;
};

struct conf_reader {
	struct config *config;
	const char *path;
	char *err;		     /* CONFIG_ERR bytes */
	mode_t mode;		     /* of the file */
	bool main_file;		     /* only it may hold `daemon` and `switchover` */
	struct conf_secrets secrets; /* taken out of the text, in its order */
	unsigned next_secret;
	struct conf_standards *standards; /* see conf_options_fini */
	struct ifaddrs *own;		  /* of this host, once they are needed; see conf_is_own */
};

/* The configuration without a file. */
void conf_defaults(struct config *c);
/* Adds the content of the tree to r->config. 0, or -EINVAL with r->err. */
int conf_read_tree(struct conf_reader *r, config_setting_t *root);
/* Checks that need all files to be read. 0, or -EINVAL with err (CONFIG_ERR bytes). */
int conf_finish(struct config *c, char *err);

/* Sets c->may_pass if error, an errno, is a lack of descriptors or of memory. */
void conf_note_lack(struct config *c, int error);
/*
 * True if only root and our own user can write the file at fd and change the folders above path:
 * anybody else who could would decide which peers are let in. False with a static text in *ret_why.
 */
bool conf_is_safe(int fd, const char *path, const char **ret_why);

/* Writes "FILE:LINE: OPTION: text" to r->err, for the setting s. Always returns -EINVAL. */
int conf_fail(struct conf_reader *r, config_setting_t *s, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Writes "FILE:LINE: OPTION" to out. */
#define CONF_WHERE 253 /* bytes */
void conf_where(const struct conf_reader *r, config_setting_t *s, char *out);
/*
 * Remembers, as conf_warn will say it, that the setting s is allowed but doubtful. Nothing for a
 * default, which is in no file.
 */
void conf_doubt(struct conf_reader *r, config_setting_t *s, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The same at a place of its own, with the text as a whole. */
void conf_doubt_at(struct config *c, const char *place, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Adds the place of the setting, "FILE:LINE". */
void conf_place_add(struct conf_places *to, const struct conf_reader *r, config_setting_t *s);
void conf_places_free(struct conf_places *p);
/* 1: the address is one of this host's; 0: it is not; -errno: that cannot be known. */
int conf_is_own(struct conf_reader *r, const struct addr *a);
/* Says which children have the same traffic; when all connections have been read. */
void conf_alike_check(struct config *c);
/* The functions below return 0, or -EINVAL through conf_fail. */

/*
 * For an option s that is not in names (NULL-terminated): says what to write instead, if that can
 * be guessed. Always -EINVAL.
 */
int conf_unknown(struct conf_reader *r, config_setting_t *s, const char *const *names);
/* Checks that the name of s is an option of switchover, or was one. */
int conf_known_switchover(struct conf_reader *r, config_setting_t *s);
/* Checks that the name of every member of the group is in names (NULL-terminated). */
int conf_known(struct conf_reader *r, config_setting_t *group, const char *const *names);
/* The name of the group, at most as long as saved.h takes. *ret is the caller's, also on error. */
int conf_get_name(struct conf_reader *r, config_setting_t *group, char **ret);
/* *ret belongs to libconfig. */
int conf_get_string(struct conf_reader *r, config_setting_t *s, const char **ret);
/* A time of at least `least`, or 0 if that means something: `zero`, or NULL. */
int conf_get_time(struct conf_reader *r, config_setting_t *s, nsec_t least, const char *zero,
		  nsec_t *ret);
/* One of the words (NULL-terminated); *ret is its index. */
int conf_get_word(struct conf_reader *r, config_setting_t *s, const char *const *words,
		  unsigned *ret);
int conf_get_size(struct conf_reader *r, config_setting_t *s, uint64_t min, uint64_t max,
		  uint64_t *ret);
/* Sets the options of a switchover group in *o; the others in *o stay. */
int conf_get_switchover(struct conf_reader *r, config_setting_t *group, struct tunnel_options *o);
/* Reads the pools of addresses and appends them to r->config. */
int conf_get_pools(struct conf_reader *r, config_setting_t *g);
/* Reads a connection and appends it to r->config, also if it is bad: conf_free frees it. */
int conf_get_conn(struct conf_reader *r, config_setting_t *g);

#endif
