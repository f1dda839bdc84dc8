/*
 * config_option.h - the options of mendip.conf(5), a row each; within config*.c.
 * SPDX-License-Identifier: ISC
 *
 * A row says how the option is read and checked, what holds without it, and how its value is
 * written: by that, configurations are compared (config_same.c) and shown (mendipd --dump-config).
 * tests/unit/t_config.c walks the rows.
 */
#ifndef MENDIP_CONFIG_OPTION_H
#define MENDIP_CONFIG_OPTION_H

#include "config_read.h"

#include <stdio.h>

struct conf_option;

/* Where values are written to, and how far lines are moved in. */
struct conf_out {
	FILE *f;
	unsigned depth;
	bool bare; /* to be compared, not to be read */
};

/* Values of one form. base is the struct that the table is of; the value is at o->at in it. */
struct conf_kind {
	/* 0, or -EINVAL by conf_fail */
	int (*read)(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
		    void *base);
	/* As the file would have it; nothing where there is no value. NULL: shown elsewhere. */
	void (*print)(struct conf_out *out, const struct conf_option *o, const void *base);
};

struct conf_option {
	const char *name;
	const struct conf_kind *kind;
	size_t at;
	/* Of a number, or a time (most 0: any); `zero`: what 0 means where it is allowed too, or
	 * NULL. */
	uint64_t least, most;
	const char *zero;
	const char *const
		*words; /* NULL-terminated: of an enum in its order; of a bool: true first */
	bool (*good)(const char *text); /* of a text: whether it may be that; NULL: any may */
	const char *rule;		/* what is said where it may not */
	const char *standard; /* what holds without it, as the file would have it, or NULL */
	/* What holds without it where that depends on what stands before it in the table, or NULL.
	 */
	int (*derive)(struct conf_reader *r, config_setting_t *group, void *base);
	const char *needed; /* what is said where it is missing and must not be; NULL: it may be */
	const char *help;   /* a line */
};

struct conf_table {
	const struct conf_option *v;
	unsigned count;
};

/* Of the group daemon, in struct config; of a connection, in struct conn_conf; of a child, in
 * struct child_conf. */
extern const struct conf_table conf_daemon_table, conf_conn_table, conf_child_table;

extern const struct conf_kind conf_text;   /* char *, owned; NULL: none */
extern const struct conf_kind conf_word;   /* enum: one of its words */
extern const struct conf_kind conf_either; /* bool: two words */
extern const struct conf_kind conf_number; /* unsigned */
extern const struct conf_kind conf_size;   /* uint64_t */
extern const struct conf_kind conf_time;   /* nsec_t */
extern const struct conf_kind conf_ike_proposals, conf_esp_proposals; /* struct proposal_list */
extern const struct conf_kind conf_selectors;			      /* struct ts_list */
extern const struct conf_kind conf_local_addresses, conf_remote_addresses; /* of struct conn_conf */

/* Where an option of the kind conf_text is kept. */
char **conf_text_at(const struct conf_option *o, void *base);

/* The name of a network device, and what is said where it is none. */
bool conf_is_device(const char *name);
#define CONF_DEVICE_RULE "must be a device name: 1 to 15 characters, without spaces, /, : and %"

/*
 * All options of the group, in the order of the table, into base; what the group does not have is
 * as without it. group NULL: it is not there. -EINVAL by conf_fail, also for names that the table
 * does not have.
 */
int conf_read_options(struct conf_reader *r, config_setting_t *group,
		      const struct conf_table *table, void *base);
/* Frees what conf_read_options keeps in the reader. */
void conf_options_fini(struct conf_reader *r);

/* "NAME = VALUE;", a line each; with `help`, the row's help behind it. */
void conf_print_options(struct conf_out *out, const struct conf_table *table, const void *base,
			bool help);
/* The value alone; the caller frees it. */
char *conf_value(const struct conf_option *o, const void *base);
/* A stream into memory: closed, the text is whole, and the caller's to free. */
FILE *conf_open_text(char **ret_text, size_t *ret_size);
void conf_close_text(FILE *f);
/* A line of its own, moved in. */
void conf_print_line(struct conf_out *out, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* In double quotes, which the library reads back as it was. */
void conf_print_text(struct conf_out *out, const char *s);
/* "{ detect = ...; }" over several lines. */
void conf_print_switchover(struct conf_out *out, const struct tunnel_options *o);

#endif
