/*
 * config_option.h - the options of mendip.conf(5), one row each; private to config*.c.
 * SPDX-License-Identifier: ISC
 *
 * A row says how the option is read and checked, what its default is, and how its value is printed.
 * Configurations are compared (config_same.c) and shown (mendipd --dump-config) in that printed
 * form. tests/unit/t_config.c walks the rows.
 */
#ifndef MENDIP_CONFIG_OPTION_H
#define MENDIP_CONFIG_OPTION_H

#include "config_read.h"

#include <stdio.h>

struct conf_option;

/* Where values are printed, and the indentation of the lines. */
struct conf_out {
	FILE *f;
	unsigned depth; /* levels of two spaces */
	bool bare;	/* for comparison: no indentation, help or comments */
};

/* A type of value. base is the struct that the table describes; the value is at base + o->at. */
struct conf_kind {
	/* Reads s into base. 0, or -EINVAL through conf_fail. */
	int (*read)(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
		    void *base);
	/* Prints the value in the syntax of the file; prints nothing if there is none. NULL: the
	 * option is printed elsewhere. */
	void (*print)(struct conf_out *out, const struct conf_option *o, const void *base);
};

struct conf_option {
	const char *name;
	const struct conf_kind *kind;
	size_t at;
	/* Range of a number or a time (most 0: no limit). zero: the meaning of 0 where 0 is allowed
	 * as well, or NULL. */
	uint64_t least, most;
	const char *zero;
	const char *const
		*words; /* NULL-terminated: in the order of the enum; for a bool, true first */
	bool (*good)(const char *text); /* whether a text is valid; NULL: any text is */
	const char *rule;		/* error message for a text that is not */
	const char *standard;		/* the default, in the syntax of the file, or NULL */
	/* Sets a default that depends on options earlier in the table, or NULL. */
	int (*derive)(struct conf_reader *r, config_setting_t *group, void *base);
	const char *needed; /* error message if it is missing; NULL: it is optional */
	const char *help;   /* one line */
};

struct conf_table {
	const struct conf_option *v;
	unsigned count;
};

/* The group daemon (base: struct config), a connection and its groups local and remote (struct
 * conn_conf), and a child (struct child_conf). */
extern const struct conf_table conf_daemon_table, conf_conn_table, conf_local_table,
	conf_remote_table, conf_child_table;

extern const struct conf_kind conf_text;   /* char *, owned; NULL: none */
extern const struct conf_kind conf_word;   /* enum: one of its words */
extern const struct conf_kind conf_either; /* bool: two words */
extern const struct conf_kind conf_number; /* unsigned */
extern const struct conf_kind conf_factor; /* uint32_t: "1.8", in thousandths */
extern const struct conf_kind conf_size;   /* uint64_t */
extern const struct conf_kind conf_time;   /* nsec_t */
extern const struct conf_kind conf_ike_proposals, conf_esp_proposals; /* struct proposal_list */
extern const struct conf_kind conf_vips, conf_pool_names;	      /* of struct conn_conf */
extern const struct conf_kind conf_selectors;			      /* struct ts_list *, owned */
extern const struct conf_kind conf_local_addresses, conf_remote_addresses; /* of struct conn_conf */
extern const struct conf_kind conf_local_auth, conf_remote_auth;	   /* of struct conn_conf */
extern const struct conf_kind conf_names;				   /* struct name_list */
extern const struct conf_kind conf_domains;				   /* the same */

/* The place in base of an option of the kind conf_text. */
char **conf_text_at(const struct conf_option *o, void *base);

/* Whether it is valid as the name of a network device, and the error message if not. */
bool conf_is_device(const char *name);
#define CONF_DEVICE_RULE "must be a device name: 1 to 15 characters, without spaces, /, : and %"

/* Whether it is valid as the identity of a post-quantum key, and the error message if not. */
bool conf_is_ppk_id(const char *id);
#define CONF_PPK_RULE "must be 1 to 64 printable ASCII characters, without spaces"

/*
 * Reads all options of the group into base, in the order of the table; options that are missing in
 * the group get their defaults, and all of them do if group is NULL. 0, or -EINVAL through
 * conf_fail, also for a name that is not in the table. Call conf_options_fini when done with r.
 */
int conf_read_options(struct conf_reader *r, config_setting_t *group,
		      const struct conf_table *table, void *base);
/* Frees the parsed defaults that conf_read_options keeps in the reader. */
void conf_options_fini(struct conf_reader *r);

/*
 * Checks that concern several options of a child, and of a connection with its children, that have
 * been read from g. 0, or -EINVAL through conf_fail.
 */
int conf_check_child(struct conf_reader *r, config_setting_t *g, const struct child_conf *c);
int conf_check_conn(struct conf_reader *r, config_setting_t *g, const struct conn_conf *c);
/* Says so if v, which has been read as t, is a prefix with bits behind its length. */
void conf_doubt_prefix(struct conf_reader *r, config_setting_t *s, const char *v,
		       const struct ts *t);
/*
 * Says through conf_fail what to write instead of v, which is no address, or no selector, if that
 * can be seen in it: several values, a netmask, a port. port_option: the option in which a port
 * belongs. False: it cannot.
 */
bool conf_slip_address(struct conf_reader *r, config_setting_t *s, const char *v,
		       const char *port_option);
bool conf_slip_selector(struct conf_reader *r, config_setting_t *s, const char *v);
/* Prints "NAME = VALUE;", one line per option; with `help`, each after a comment with its help. */
void conf_print_options(struct conf_out *out, const struct conf_table *table, const void *base,
			bool help);
/* The printed value alone; the caller frees it. */
char *conf_value(const struct conf_option *o, const void *base);
/* Opens a stream into memory; aborts without memory. The text is complete once conf_close_text has
 * been called; the caller frees it. */
FILE *conf_open_text(char **ret_text, size_t *ret_size);
void conf_close_text(FILE *f);
/* Prints an indented line. */
void conf_print_line(struct conf_out *out, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Prints s in double quotes, escaped so that libconfig reads it back unchanged. */
void conf_print_text(struct conf_out *out, const char *s);
/* Prints a group as "{ NAME = VALUE; ... }" over several lines. */
void conf_print_group(struct conf_out *out, const struct conf_table *table, const void *base);
/* Prints "NAME: { addrs = ...; };". */
void conf_print_pool(struct conf_out *out, const struct pool_conf *p);
/* Calls f for a string, or for each string of an array or list, which must not be empty. */
int conf_each_string(struct conf_reader *r, config_setting_t *s,
		     int (*f)(struct conf_reader *r, config_setting_t *s, const char *v, void *ctx),
		     void *ctx);
/* Prints "{ detect = ...; }" over several lines. */
void conf_print_switchover(struct conf_out *out, const struct tunnel_options *o);

#endif
