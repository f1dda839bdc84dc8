/* options.c - see options.h. SPDX-License-Identifier: ISC */
#include "options.h"

#include <stdio.h>

#define TIME_MAX (10ULL * 365 * 24 * 3600 * NSEC_PER_SEC)

static const struct {
	const char *unit;
	nsec_t ns;
} time_units[] = {
	{"d", 86400 * NSEC_PER_SEC}, {"h", 3600 * NSEC_PER_SEC}, {"m", 60 * NSEC_PER_SEC},
	{"s", NSEC_PER_SEC},	     {"ms", NSEC_PER_MSEC},	 {"", NSEC_PER_SEC},
};

static int parse_number(const char *s, uint64_t *ret, const char **end)
{
	char *e;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	*ret = strtoull(s, &e, 10);
	*end = e;
	return errno ? -EINVAL : 0;
}

int parse_time(const char *s, nsec_t *ret)
{
	const char *end;
	uint64_t v;

	if (parse_number(s, &v, &end) < 0)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(time_units); i++) {
		if (strcmp(end, time_units[i].unit) == 0) {
			if (v > TIME_MAX / time_units[i].ns)
				return -EINVAL;
			*ret = v * time_units[i].ns;
			return 0;
		}
	}
	return -EINVAL;
}

const char *format_time(nsec_t t, char *s)
{
	for (size_t i = 0; i < 5; i++) {
		if (t && t % time_units[i].ns == 0) {
			snprintf(s, 32, "%llu%s", (unsigned long long)(t / time_units[i].ns),
				 time_units[i].unit);
			return s;
		}
	}
	snprintf(s, 32, t ? "%lluns" : "%llus", (unsigned long long)t);
	return s;
}

int parse_size(const char *s, bool decimal, uint64_t *ret)
{
	uint64_t v, step = decimal ? 1000 : 1024, factor = 1;
	const char *end, *unit = "KMGT", *at;

	if (parse_number(s, &v, &end) < 0)
		return -EINVAL;
	if (*end) {
		at = strchr(unit, *end == 'k' ? 'K' : *end);
		if (!at || end[1])
			return -EINVAL;
		for (const char *p = unit; p <= at; p++)
			factor *= step;
	}
	if (v > UINT64_MAX / 2 / factor)
		return -EINVAL;
	*ret = v * factor;
	return 0;
}

void tunnel_options_default(struct tunnel_options *o)
{
	*o = (struct tunnel_options){
		.detect = {.mode = DETECT_PROOF,
			   .proof_packets = 1,
			   .packets = 64,
			   .interval = NSEC_PER_SEC},
		.max_rekeys = 3,
		.per = 60 * NSEC_PER_SEC,
		.quiet = 300 * NSEC_PER_SEC,
		.jitter = 100 * NSEC_PER_MSEC,
		.history_packets = 2097152,
		.verify_rate = 20000,
		.older_sa_grace = 5 * NSEC_PER_SEC,
		.retired_time = 60 * NSEC_PER_SEC,
		.bridge = true,
	};
}

enum option_kind { KIND_DETECT, KIND_COUNT, KIND_COUNT64, KIND_SWITCH, KIND_TIME };

static const struct option {
	const char *name;
	enum option_kind kind;
	size_t at;
	uint64_t min, max;
} options[] = {
#define AT(field) offsetof(struct tunnel_options, field)
	{"detect", KIND_DETECT, AT(detect.mode), 0, 0},
	{"proof_packets", KIND_COUNT, AT(detect.proof_packets), 1, 64},
	{"packets", KIND_COUNT, AT(detect.packets), 1, 1000000},
	{"interval", KIND_TIME, AT(detect.interval), NSEC_PER_MSEC, 86400 * NSEC_PER_SEC},
	{"max_rekeys", KIND_COUNT, AT(max_rekeys), 1, 16},
	{"per", KIND_TIME, AT(per), NSEC_PER_SEC, 86400 * NSEC_PER_SEC},
	{"quiet", KIND_TIME, AT(quiet), 0, 86400 * NSEC_PER_SEC},
	{"jitter", KIND_TIME, AT(jitter), 0, 60 * NSEC_PER_SEC},
	{"history_packets", KIND_COUNT64, AT(history_packets), 1024, 1ULL << 32},
	{"verify_rate", KIND_COUNT, AT(verify_rate), 0, 10000000},
	{"older_sa_grace", KIND_TIME, AT(older_sa_grace), NSEC_PER_SEC, 3600 * NSEC_PER_SEC},
	{"retired_time", KIND_TIME, AT(retired_time), 10 * NSEC_PER_SEC, 3600 * NSEC_PER_SEC},
	{"bridge", KIND_SWITCH, AT(bridge), 0, 1},
	{"silent_rekey", KIND_TIME, AT(silent_rekey), 0, 86400 * NSEC_PER_SEC},
#undef AT
};

static int wrong(char *err, const struct option *opt, const char *value)
{
	char lo[32], hi[32];

	switch (opt->kind) {
	case KIND_DETECT:
		snprintf(err, OPTION_ERR, "%s: \"%.40s\" is none of off, proof, pattern, both",
			 opt->name, value);
		break;
	case KIND_TIME:
		snprintf(err, OPTION_ERR,
			 "%s: \"%.40s\" is not a time from %s to %s, such as \"1s\"", opt->name,
			 value, format_time(opt->min, lo), format_time(opt->max, hi));
		break;
	case KIND_SWITCH:
		snprintf(err, OPTION_ERR, "%s: \"%.40s\" is neither on nor off", opt->name, value);
		break;
	case KIND_COUNT:
	case KIND_COUNT64:
		snprintf(err, OPTION_ERR, "%s: \"%.40s\" is not a number from %llu to %llu",
			 opt->name, value, (unsigned long long)opt->min,
			 (unsigned long long)opt->max);
		break;
	}
	return -EINVAL;
}

static const struct option *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	}
	return NULL;
}

static bool read_value(const struct option *opt, const char *value, uint64_t *ret)
{
	enum detect_mode mode;

	if (opt->kind == KIND_DETECT) {
		if (detect_mode_parse(value, &mode) < 0)
			return false;
		*ret = mode;
		return true;
	}
	if (opt->kind == KIND_SWITCH) {
		*ret = strcmp(value, "on") == 0;
		return *ret || strcmp(value, "off") == 0;
	}
	if (opt->kind == KIND_TIME ? parse_time(value, ret) < 0 : parse_size(value, false, ret) < 0)
		return false;
	return *ret >= opt->min && *ret <= opt->max;
}

int tunnel_options_set(struct tunnel_options *o, const char *name, const char *value, char *err)
{
	const struct option *opt = find(name);
	uint64_t v;
	uint32_t v32;
	enum detect_mode mode;

	if (!opt) {
		if (tunnel_options_gone(name))
			snprintf(err, OPTION_ERR, "%s: %s", name, tunnel_options_gone(name));
		else
			snprintf(err, OPTION_ERR, "\"%.40s\" is no option of switchover", name);
		return -EINVAL;
	}
	if (!read_value(opt, value, &v))
		return wrong(err, opt, value);
	switch (opt->kind) {
	case KIND_DETECT:
		mode = (enum detect_mode)v;
		memcpy((char *)o + opt->at, &mode, sizeof(mode));
		break;
	case KIND_SWITCH: memcpy((char *)o + opt->at, &(bool){v != 0}, sizeof(bool)); break;
	case KIND_COUNT:
		v32 = (uint32_t)v;
		memcpy((char *)o + opt->at, &v32, sizeof(v32));
		break;
	case KIND_COUNT64:
	case KIND_TIME: memcpy((char *)o + opt->at, &v, sizeof(v)); break;
	}
	return 0;
}

static size_t size_of(enum option_kind kind)
{
	switch (kind) {
	case KIND_DETECT: return sizeof(enum detect_mode);
	case KIND_SWITCH: return sizeof(bool);
	case KIND_COUNT: return sizeof(uint32_t);
	case KIND_COUNT64:
	case KIND_TIME: return sizeof(uint64_t);
	}
	return 0;
}

bool tunnel_options_equal(const struct tunnel_options *a, const struct tunnel_options *b)
{
	/* Field by field: the padding between them has no defined value. */
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option *opt = &options[i];

		if (memcmp((const char *)a + opt->at, (const char *)b + opt->at,
			   size_of(opt->kind)) != 0)
			return false;
	}
	return true;
}

int tunnel_options_check(const struct tunnel_options *o, nsec_t rekey_time, char *err)
{
	if (rekey_time && o->detect.interval >= rekey_time) {
		snprintf(err, OPTION_ERR,
			 "interval must be below the child's rekey_time: with it the "
			 "criterion \"time\" could never be met");
		return -EINVAL;
	}
	return 0;
}

const char *tunnel_options_gone(const char *name)
{
	if (strcmp(name, "history_sample") == 0)
		return "gone: every number of history_packets is remembered now; remove the option";
	return NULL;
}

/* The option's value as the configuration would have it, into text of 32 bytes. */
static const char *value_text(const struct option *opt, const struct tunnel_options *o, char *text)
{
	const char *at = (const char *)o + opt->at;
	enum detect_mode mode;
	uint64_t v = 0;
	uint32_t v32;
	bool on;

	switch (opt->kind) {
	case KIND_DETECT: memcpy(&mode, at, sizeof(mode)); return detect_mode_name(mode);
	case KIND_SWITCH: memcpy(&on, at, sizeof(on)); return on ? "on" : "off";
	case KIND_COUNT:
		memcpy(&v32, at, sizeof(v32));
		v = v32;
		break;
	case KIND_COUNT64: memcpy(&v, at, sizeof(v)); break;
	case KIND_TIME: memcpy(&v, at, sizeof(v)); return format_time(v, text);
	}
	snprintf(text, 32, "%llu", (unsigned long long)v);
	return text;
}

void tunnel_options_each(const struct tunnel_options *o,
			 void (*each)(void *ctx, const char *name, const char *value), void *ctx)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		char text[32];

		each(ctx, options[i].name, value_text(&options[i], o, text));
	}
}
