/* config_option.c - reads and prints tables of options; the simple kinds.
 * SPDX-License-Identifier: ISC */
#include "config_option.h"
#include "xalloc.h"

#include <stdarg.h>

FILE *conf_open_text(char **ret_text, size_t *ret_size)
{
	FILE *f = open_memstream(ret_text, ret_size);

	if (!f)
		abort();
	return f;
}

void conf_close_text(FILE *f)
{
	/* A truncated text could compare equal to another one. */
	if (ferror(f) || fclose(f) != 0)
		abort();
}

/* ---- reading ---- */

static int check_names(struct conf_reader *r, config_setting_t *group, const struct conf_table *t)
{
	const char **names = xzalloc((t->count + 1) * sizeof(*names));
	int e;

	for (unsigned i = 0; i < t->count; i++)
		names[i] = t->v[i].name;
	e = conf_known(r, group, names);
	free(names);
	return e;
}

/* The defaults of the table, written as a text and parsed by libconfig; made once per reader. */
static config_setting_t *standards(struct conf_reader *r, const struct conf_table *t)
{
	struct conf_standards *have = r->standards;
	char *text = NULL;
	size_t size = 0;
	FILE *f;

	while (have && have->table != t)
		have = have->next;
	if (have)
		return config_root_setting(&have->lib);
	f = conf_open_text(&text, &size);
	for (unsigned i = 0; i < t->count; i++) {
		if (t->v[i].standard)
			fprintf(f, "%s = %s;\n", t->v[i].name, t->v[i].standard);
	}
	conf_close_text(f);
	have = xzalloc(sizeof(*have));
	have->table = t;
	have->next = r->standards;
	r->standards = have;
	config_init(&have->lib);
	if (config_read_string(&have->lib, text) != CONFIG_TRUE)
		abort(); /* a mistake in a row of the table */
	free(text);
	return config_root_setting(&have->lib);
}

void conf_options_fini(struct conf_reader *r)
{
	struct conf_standards *s;

	while ((s = r->standards)) {
		r->standards = s->next;
		config_destroy(&s->lib);
		free(s);
	}
}

static int read_option(struct conf_reader *r, config_setting_t *group, config_setting_t *without,
		       const struct conf_option *o, void *base)
{
	config_setting_t *s = group ? config_setting_get_member(group, o->name) : NULL;

	if (s)
		return o->kind->read(r, s, o, base);
	if (o->needed)
		return conf_fail(r, group, "needs %s", o->needed);
	if (o->derive)
		return o->derive(r, group, base);
	return o->standard ? o->kind->read(r, config_setting_get_member(without, o->name), o, base)
			   : 0;
}

int conf_read_options(struct conf_reader *r, config_setting_t *group,
		      const struct conf_table *table, void *base)
{
	config_setting_t *without = standards(r, table);

	if (group && check_names(r, group, table) < 0)
		return -EINVAL;
	for (unsigned i = 0; i < table->count; i++) {
		if (read_option(r, group, without, &table->v[i], base) < 0)
			return -EINVAL;
	}
	return 0;
}

/* ---- writing ---- */

static void indent(struct conf_out *out)
{
	for (unsigned i = 0; i < out->depth; i++)
		fputs("  ", out->f);
}

void conf_print_line(struct conf_out *out, const char *fmt, ...)
{
	va_list ap;

	indent(out);
	va_start(ap, fmt);
	vfprintf(out->f, fmt, ap);
	va_end(ap);
	putc('\n', out->f);
}

void conf_print_text(struct conf_out *out, const char *s)
{
	putc('"', out->f);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			fprintf(out->f, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			fprintf(out->f, "\\x%02x", c);
		else
			putc(c, out->f);
	}
	putc('"', out->f);
}

/* A number larger than an int is accepted only as a string. */
static void print_number(struct conf_out *out, uint64_t v)
{
	fprintf(out->f, v > INT32_MAX ? "\"%llu\"" : "%llu", (unsigned long long)v);
}

static char *value_within(const struct conf_option *o, const void *base, unsigned depth)
{
	char *text = NULL;
	size_t size = 0;
	struct conf_out out = {.f = conf_open_text(&text, &size), .depth = depth};

	o->kind->print(&out, o, base);
	conf_close_text(out.f);
	return text;
}

char *conf_value(const struct conf_option *o, const void *base)
{
	return value_within(o, base, 0);
}

void conf_print_options(struct conf_out *out, const struct conf_table *table, const void *base,
			bool help)
{
	for (unsigned i = 0; i < table->count; i++) {
		const struct conf_option *o = &table->v[i];
		char *value;

		if (!o->kind->print)
			continue;
		if (out->bare) {
			fprintf(out->f, "%s = ", o->name);
			o->kind->print(out, o, base);
			fputs(";\n", out->f);
			continue;
		}
		value = value_within(o, base, out->depth);
		if (help)
			conf_print_line(out, "# %s", o->help);
		if (*value)
			conf_print_line(out, "%s = %s;", o->name, value);
		else
			conf_print_line(out, "# %s: none", o->name);
		free(value);
	}
}

void conf_print_group(struct conf_out *out, const struct conf_table *table, const void *base)
{
	fputs("{\n", out->f);
	out->depth++;
	conf_print_options(out, table, base, false);
	out->depth--;
	indent(out);
	putc('}', out->f);
}

static void print_switchover_option(void *ctx, const char *name, const char *value)
{
	bool number = value[strspn(value, "0123456789")] == '\0' &&
		      strtoull(value, NULL, 10) <= INT32_MAX;

	conf_print_line(ctx, number ? "%s = %s;" : "%s = \"%s\";", name, value);
}

void conf_print_switchover(struct conf_out *out, const struct tunnel_options *o)
{
	fputs("{\n", out->f);
	out->depth++;
	tunnel_options_each(o, print_switchover_option, out);
	out->depth--;
	indent(out);
	putc('}', out->f);
}

/* ---- kinds ---- */

/* ASCII names that the kernel accepts, without %, which it would replace by a number. */
bool conf_is_device(const char *name)
{
	size_t len = strlen(name);

	for (const char *p = name; *p; p++) {
		if (*p <= ' ' || *p > '~' || strchr("/:%", *p))
			return false;
	}
	return len > 0 && len < 16 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

char **conf_text_at(const struct conf_option *o, void *base)
{
	return (char **)(void *)((char *)base + o->at);
}

static int read_text(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
		     void *base)
{
	char **to = conf_text_at(o, base);
	const char *v;

	if (conf_get_string(r, s, &v) < 0)
		return -EINVAL;
	if (o->good && !o->good(v))
		return conf_fail(r, s, "%s", o->rule);
	free(*to);
	*to = xstrdup(v);
	return 0;
}

static void print_text(struct conf_out *out, const struct conf_option *o, const void *base)
{
	char *text;

	memcpy(&text, (const char *)base + o->at, sizeof(text));
	if (text)
		conf_print_text(out, text);
}

const struct conf_kind conf_text = {read_text, print_text};

int conf_get_word(struct conf_reader *r, config_setting_t *s, const char *const *words,
		  unsigned *ret)
{
	const char *v = config_setting_get_string(s); /* NULL: it is no string */
	char all[100] = "";
	size_t at = 0;

	for (unsigned i = 0; words[i]; i++) {
		if (v && strcmp(v, words[i]) == 0) {
			*ret = i;
			return 0;
		}
		at += (size_t)snprintf(all + at, sizeof(all) - at, "%s\"%s\"",
				       i == 0	      ? ""
				       : words[i + 1] ? ", "
						      : " or ",
				       words[i]);
	}
	return conf_fail(r, s, "must be %s", all);
}

static int read_word(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
		     void *base)
{
	unsigned which;

	if (conf_get_word(r, s, o->words, &which) < 0)
		return -EINVAL;
	memcpy((char *)base + o->at, &which, sizeof(which));
	return 0;
}

static void print_word(struct conf_out *out, const struct conf_option *o, const void *base)
{
	unsigned which;

	memcpy(&which, (const char *)base + o->at, sizeof(which));
	conf_print_text(out, o->words[which]);
}

const struct conf_kind conf_word = {read_word, print_word};

static int read_either(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
		       void *base)
{
	unsigned which;
	bool first;

	if (conf_get_word(r, s, o->words, &which) < 0)
		return -EINVAL;
	first = which == 0;
	memcpy((char *)base + o->at, &first, sizeof(first));
	return 0;
}

static void print_either(struct conf_out *out, const struct conf_option *o, const void *base)
{
	bool first;

	memcpy(&first, (const char *)base + o->at, sizeof(first));
	conf_print_text(out, o->words[first ? 0 : 1]);
}

const struct conf_kind conf_either = {read_either, print_either};

static int read_any_size(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
			 uint64_t *ret)
{
	if (!o->zero)
		return conf_get_size(r, s, o->least, o->most, ret);
	if (conf_get_size(r, s, 0, o->most, ret) < 0)
		return -EINVAL;
	if (*ret && *ret < o->least)
		return conf_fail(r, s, "must be from %llu to %llu, or 0 for %s",
				 (unsigned long long)o->least, (unsigned long long)o->most,
				 o->zero);
	return 0;
}

static int read_number(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
		       void *base)
{
	uint64_t v;
	unsigned number;

	if (read_any_size(r, s, o, &v) < 0)
		return -EINVAL;
	number = (unsigned)v;
	memcpy((char *)base + o->at, &number, sizeof(number));
	return 0;
}

static void print_unsigned(struct conf_out *out, const struct conf_option *o, const void *base)
{
	unsigned number;

	memcpy(&number, (const char *)base + o->at, sizeof(number));
	print_number(out, number);
}

const struct conf_kind conf_number = {read_number, print_unsigned};

/* A number, or text with one, of which three digits behind the point count. */
static bool get_factor(config_setting_t *s, double *ret)
{
	const char *text = config_setting_get_string(s);
	char *end;

	if (!text) {
		*ret = config_setting_type(s) == CONFIG_TYPE_FLOAT
			       ? config_setting_get_float(s)
			       : (double)config_setting_get_int64(s);
		return config_setting_is_number(s);
	}
	*ret = strtod(text, &end);
	return *text >= '0' && *text <= '9' && *end == '\0';
}

static int read_factor(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
		       void *base)
{
	double v;
	uint32_t thousandths;

	if (!get_factor(s, &v) ||
	    !((v == 0 && o->zero) || (v >= (double)o->least / 1000 && v <= (double)o->most / 1000)))
		return conf_fail(r, s, "must be a number from %g to %g%s", (double)o->least / 1000,
				 (double)o->most / 1000, o->zero ? ", or 0" : "");
	thousandths = (uint32_t)(v * 1000 + 0.5);
	memcpy((char *)base + o->at, &thousandths, sizeof(thousandths));
	return 0;
}

static void print_factor(struct conf_out *out, const struct conf_option *o, const void *base)
{
	uint32_t v;
	char text[32];

	memcpy(&v, (const char *)base + o->at, sizeof(v));
	snprintf(text, sizeof(text), "%g", v / 1000.0);
	conf_print_text(out, text);
}

const struct conf_kind conf_factor = {read_factor, print_factor};

static int read_size(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
		     void *base)
{
	uint64_t v;

	if (read_any_size(r, s, o, &v) < 0)
		return -EINVAL;
	memcpy((char *)base + o->at, &v, sizeof(v));
	return 0;
}

static void print_size(struct conf_out *out, const struct conf_option *o, const void *base)
{
	uint64_t v;

	memcpy(&v, (const char *)base + o->at, sizeof(v));
	print_number(out, v);
}

const struct conf_kind conf_size = {read_size, print_size};

static int read_time(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
		     void *base)
{
	char text[32];
	nsec_t t;

	if (conf_get_time(r, s, o->least, o->zero, &t) < 0)
		return -EINVAL;
	if (o->most && t > o->most)
		return conf_fail(r, s, "must be at most %s", format_time(o->most, text));
	memcpy((char *)base + o->at, &t, sizeof(t));
	return 0;
}

static void print_time(struct conf_out *out, const struct conf_option *o, const void *base)
{
	char text[32];
	nsec_t t;

	memcpy(&t, (const char *)base + o->at, sizeof(t));
	conf_print_text(out, format_time(t, text));
}

const struct conf_kind conf_time = {read_time, print_time};
