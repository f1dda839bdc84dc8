/* config_value.c - reads single values; errors name file, line and option.
 * SPDX-License-Identifier: ISC */
#include "config_read.h"
#include "saved.h"
#include "xalloc.h"

#include <stdarg.h>
#include <stdio.h>

#define DOUBT_MAX 1024 /* bytes; with all names in full */

void conf_make_printable(char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || (unsigned char)*s >= 0x7f)
			*s = '?';
	}
}

char *conf_printable(const char *fmt, va_list ap)
{
	char text[DOUBT_MAX];

	vsnprintf(text, sizeof(text), fmt, ap);
	conf_make_printable(text);
	return xstrdup(text);
}

bool conf_is_one_of(const char *v, const char *const *words)
{
	while (*words && strcmp(*words, v) != 0)
		words++;
	return *words != NULL;
}

/* The name of an option with those of its groups: "connections.gw.local.id". */
static void option_path(config_setting_t *s, char *out, size_t size)
{
	config_setting_t *chain[16];
	unsigned n = 0;
	size_t at = 0;

	for (; s && n < ARRAY_SIZE(chain) && !config_setting_is_root(s);
	     s = config_setting_parent(s))
		chain[n++] = s;
	*out = '\0';
	while (n-- > 0) {
		const char *name = config_setting_name(chain[n]);
		int k = name ? snprintf(out + at, size - at, "%s%s", at ? "." : "", name)
			     : snprintf(out + at, size - at, "[%d]",
					config_setting_index(chain[n]));

		at += k > 0 ? (size_t)k : 0;
		if (at >= size)
			return;
	}
}

void conf_where(const struct conf_reader *r, config_setting_t *s, char *out)
{
	char path[160];

	option_path(s, path, sizeof(path));
	snprintf(out, CONF_WHERE, "%.80s:%u%s%s", r->path, config_setting_source_line(s),
		 *path ? ": " : "", path);
}

int conf_fail(struct conf_reader *r, config_setting_t *s, const char *fmt, ...)
{
	char where[CONF_WHERE], text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	conf_where(r, s, where);
	snprintf(r->err, CONFIG_ERR, "%s: %s", where, text);
	return -EINVAL;
}

void conf_doubt_at(struct config *c, const char *place, const char *fmt, ...)
{
	va_list ap;

	c->doubts = xreallocarray(c->doubts, c->doubt_count + 1, sizeof(*c->doubts));
	va_start(ap, fmt);
	c->doubts[c->doubt_count++] = (struct conf_doubt){xstrdup(place), conf_printable(fmt, ap)};
	va_end(ap);
}

/* "FILE:LINE"; the caller frees it. */
static char *place_of(const struct conf_reader *r, config_setting_t *s)
{
	return xasprintf("%s:%u", r->path, config_setting_source_line(s));
}

void conf_doubt(struct conf_reader *r, config_setting_t *s, const char *fmt, ...)
{
	char path[160], *place, *text;
	va_list ap;

	for (const struct conf_standards *d = r->standards; d; d = d->next) {
		if (config_setting_parent(s) == config_root_setting(&d->lib))
			return;
	}
	va_start(ap, fmt);
	text = conf_printable(fmt, ap);
	va_end(ap);
	option_path(s, path, sizeof(path));
	place = place_of(r, s);
	conf_doubt_at(r->config, place, "%s: %s", path, text);
	free(place);
	free(text);
}

void conf_place_add(struct conf_places *to, const struct conf_reader *r, config_setting_t *s)
{
	to->v = xreallocarray(to->v, to->count + 1, sizeof(*to->v));
	to->v[to->count++] = place_of(r, s);
}

void conf_places_free(struct conf_places *p)
{
	for (unsigned i = 0; i < p->count; i++)
		free(p->v[i]);
	free(p->v);
	*p = (struct conf_places){0};
}

int conf_known(struct conf_reader *r, config_setting_t *group, const char *const *names)
{
	if (!config_setting_is_group(group))
		return conf_fail(r, group, "must be a group: { ... }");
	for (int i = 0; i < config_setting_length(group); i++) {
		config_setting_t *s = config_setting_get_elem(group, (unsigned)i);

		if (!conf_is_one_of(config_setting_name(s), names))
			return conf_unknown(r, s, names);
	}
	return 0;
}

int conf_get_name(struct conf_reader *r, config_setting_t *group, char **ret)
{
	*ret = xstrdup(config_setting_name(group));
	return strlen(*ret) < SAVED_TEXT
		       ? 0
		       : conf_fail(r, group, "the name is longer than %d bytes", SAVED_TEXT - 1);
}

int conf_get_string(struct conf_reader *r, config_setting_t *s, const char **ret)
{
	if (config_setting_type(s) != CONFIG_TYPE_STRING)
		return conf_fail(r, s, "must be a string in double quotes");
	*ret = config_setting_get_string(s);
	return 0;
}

/* A string or an integer as text, for one parser; NULL: another type. buf: 32 bytes. */
static const char *as_text(config_setting_t *s, char *buf)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_STRING: return config_setting_get_string(s);
	case CONFIG_TYPE_INT: snprintf(buf, 32, "%d", config_setting_get_int(s)); return buf;
	case CONFIG_TYPE_INT64: snprintf(buf, 32, "%lld", config_setting_get_int64(s)); return buf;
	default: return NULL;
	}
}

int conf_get_time(struct conf_reader *r, config_setting_t *s, nsec_t least, const char *zero,
		  nsec_t *ret)
{
	char buf[32];
	const char *text = as_text(s, buf);

	if (!text || parse_time(text, ret) < 0)
		return conf_fail(
			r, s,
			"must be a time: seconds, or a string such as \"30s\", \"4h\", \"100ms\"");
	if (*ret < least && !(zero && *ret == 0))
		return conf_fail(r, s, "must be at least %llu ms%s%s",
				 (unsigned long long)(least / NSEC_PER_MSEC),
				 zero ? ", or 0 for " : "", zero ? zero : "");
	return 0;
}

int conf_get_size(struct conf_reader *r, config_setting_t *s, uint64_t min, uint64_t max,
		  uint64_t *ret)
{
	char buf[32];
	const char *text = as_text(s, buf);

	if (!text || parse_size(text, false, ret) < 0 || *ret < min || *ret > max)
		return conf_fail(r, s,
				 "must be a number from %llu to %llu, or a string with K, M or G",
				 (unsigned long long)min, (unsigned long long)max);
	return 0;
}

int conf_get_switchover(struct conf_reader *r, config_setting_t *group, struct tunnel_options *o)
{
	char err[OPTION_ERR], buf[32];

	if (!config_setting_is_group(group))
		return conf_fail(r, group, "must be a group: { detect = \"proof\"; ... }");
	for (int i = 0; i < config_setting_length(group); i++) {
		config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
		const char *text = as_text(s, buf);

		if (conf_known_switchover(r, s) < 0)
			return -EINVAL;
		if (!text)
			return conf_fail(r, s, "must be a number or a string");
		if (tunnel_options_set(o, config_setting_name(s), text, err) < 0)
			return conf_fail(r, s, "%s", err);
	}
	return 0;
}
