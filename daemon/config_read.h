/* config_read.h - libconfig's tree into our structs; within config*.c. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_CONFIG_READ_H
#define MENDIP_CONFIG_READ_H

#include "config.h"
#include "scan.h"

#include <libconfig.h>
#include <sys/types.h>

struct conf_table;

/* What holds without the options of a table; see conf_read_options. */
struct conf_standards {
	const struct conf_table *table;
	config_t lib;
	struct conf_standards *next;
};

struct conf_reader {
	struct config *config;
	const char *path;
	char *err;
	mode_t mode;
	bool main_file;		     /* only it may hold `daemon` and `switchover` */
	struct conf_secrets secrets; /* in the order of the file */
	unsigned next_secret;
	struct conf_standards *standards; /* see conf_options_fini */
};

/* As it is without a file. */
void conf_defaults(struct config *c);
/* Adds what the tree holds. -EINVAL with err. */
int conf_read_tree(struct conf_reader *r, config_setting_t *root);
/* What can be checked only when all files are read. */
int conf_finish(struct config *c, char *err);

/*
 * Nobody but root, or who we are, may write what is at fd, nor change what the folders above it
 * hold: whoever may decides who gets in. False with a static text in *ret_why.
 */
bool conf_is_safe(int fd, const char *path, const char **ret_why);

/* An error at a setting: "FILE:LINE: OPTION: text"; always -EINVAL. */
int conf_fail(struct conf_reader *r, config_setting_t *s, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Every member of the group is one of names (NULL-terminated). */
int conf_known(struct conf_reader *r, config_setting_t *group, const char *const *names);
int conf_get_string(struct conf_reader *r, config_setting_t *s, const char **ret);
/* A time that is not below `least`, or 0 where `zero` allows that. */
int conf_get_time(struct conf_reader *r, config_setting_t *s, nsec_t least, bool zero, nsec_t *ret);
/* One of the words (NULL-terminated); *ret: which. */
int conf_get_word(struct conf_reader *r, config_setting_t *s, const char *const *words,
		  unsigned *ret);
int conf_get_size(struct conf_reader *r, config_setting_t *s, uint64_t min, uint64_t max,
		  uint64_t *ret);
/* The options of a switchover group over those in *o. */
int conf_get_switchover(struct conf_reader *r, config_setting_t *group, struct tunnel_options *o);
int conf_get_conn(struct conf_reader *r, config_setting_t *s);

#endif
