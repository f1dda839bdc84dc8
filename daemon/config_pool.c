/*
 * config_pool.c - addresses that peers get (pools), and that we ask for (vips).
 * SPDX-License-Identifier: ISC
 */
#include "config_option.h"
#include "xalloc.h"

static int add_vip(struct conf_reader *r, config_setting_t *s, const char *v, void *ctx)
{
	struct conn_conf *c = ctx;

	if (c->vip_count == CP_ADDRS)
		return conf_fail(r, s, "more than %d addresses", CP_ADDRS);
	if (addr_parse(v, &c->vips[c->vip_count]) < 0)
		return conf_fail(r, s, "\"%.60s\" is not an address; 0.0.0.0 and :: ask for any",
				 v);
	c->vip_count++;
	return 0;
}

static int read_vips(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
		     void *base)
{
	(void)o;
	return conf_each_string(r, s, add_vip, base);
}

/* Prints one string of an array; *items is the number of those printed before. */
static void print_item(struct conf_out *out, unsigned *items, const char *text)
{
	fputs((*items)++ ? ", " : "[ ", out->f);
	conf_print_text(out, text);
}

static void print_addrs(struct conf_out *out, const struct addr *v, unsigned count)
{
	char text[ADDR_STRLEN];

	for (unsigned i = 0, items = 0; i < count; i++)
		print_item(out, &items, addr_format(&v[i], text));
	if (count)
		fputs(" ]", out->f);
}

static void print_vips(struct conf_out *out, const struct conf_option *o, const void *base)
{
	const struct conn_conf *c = base;

	(void)o;
	print_addrs(out, c->vips, c->vip_count);
}

const struct conf_kind conf_vips = {read_vips, print_vips};

static int add_pool(struct conf_reader *r, config_setting_t *s, const char *v, void *ctx)
{
	const struct config *all = r->config;
	struct conn_conf *c = ctx;
	unsigned i;

	for (i = 0; i < all->pool_count && strcmp(all->pools[i].name, v) != 0; i++)
		;
	if (i == all->pool_count)
		return conf_fail(r, s, "there is no pool \"%.60s\" in this file or an earlier one",
				 v);
	if (c->pool_count == UINT8_MAX)
		return conf_fail(r, s, "more than %d pools", UINT8_MAX);
	c->pools = xreallocarray(c->pools, c->pool_count + 1u, sizeof(*c->pools));
	c->pools[c->pool_count] = all->pools[i];
	c->pools[c->pool_count++].name = xstrdup(v);
	return 0;
}

static int read_pool_names(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
			   void *base)
{
	(void)o;
	return conf_each_string(r, s, add_pool, base);
}

/* For comparison all of a pool, as it is a part of what the connection is. */
static void print_pool_names(struct conf_out *out, const struct conf_option *o, const void *base)
{
	const struct conn_conf *c = base;

	(void)o;
	for (unsigned i = 0, items = 0; !out->bare && i < c->pool_count; i++)
		print_item(out, &items, c->pools[i].name);
	if (!out->bare && c->pool_count)
		fputs(" ]", out->f);
	for (unsigned i = 0; out->bare && i < c->pool_count; i++)
		conf_print_pool(out, &c->pools[i]);
}

const struct conf_kind conf_pool_names = {read_pool_names, print_pool_names};

/* ---- the pools themselves ---- */

/* Moves *a by one, up or down; the caller knows that it stays in the family. */
static void step(struct addr *a, bool up)
{
	for (unsigned i = (unsigned)addr_len(a->family); i-- > 0;) {
		a->b[i] = (uint8_t)(a->b[i] + (up ? 1 : -1));
		if (a->b[i] != (up ? 0 : 255))
			break;
	}
}

static int read_addrs(struct conf_reader *r, config_setting_t *s, struct pool_conf *p)
{
	const char *v;
	struct ts t;

	if (conf_get_string(r, s, &v) < 0)
		return -EINVAL;
	if (ts_parse(v, &t) < 0 || ts_is_dynamic(&t) || t.proto || !ts_any_port(&t))
		return conf_fail(r, s,
				 "\"%.60s\" is not \"10.3.0.0/24\" or \"10.3.0.10-10.3.0.99\"", v);
	conf_doubt_prefix(r, s, v, &t);
	p->lo = t.lo;
	p->hi = t.hi;
	/* Nobody gets the address of a network as such, nor its broadcast address. */
	if (strchr(v, '/') && addr_cmp(&p->lo, &p->hi) < 0) {
		step(&p->lo, true);
		if (p->lo.family == FAMILY_IPV4 && addr_cmp(&p->lo, &p->hi) < 0)
			step(&p->hi, false);
	}
	return 0;
}

static int add_dns(struct conf_reader *r, config_setting_t *s, const char *v, void *ctx)
{
	struct cp_config *c = ctx;

	if (c->dns_count == CP_DNS)
		return conf_fail(r, s, "more than %d servers", CP_DNS);
	if (addr_parse(v, &c->dns[c->dns_count]) < 0)
		return conf_fail(r, s, "\"%.60s\" is not an address", v);
	c->dns_count++;
	return 0;
}

static int add_subnet(struct conf_reader *r, config_setting_t *s, const char *v, void *ctx)
{
	struct cp_config *c = ctx;
	struct ts t;

	if (c->subnet_count == CP_SUBNETS)
		return conf_fail(r, s, "more than %d subnets", CP_SUBNETS);
	if (ts_parse(v, &t) < 0 || ts_is_dynamic(&t) || t.proto || !ts_any_port(&t) ||
	    range_prefixes(&t.lo, &t.hi, &c->subnet[c->subnet_count], 1) != 1)
		return conf_fail(r, s, "\"%.60s\" is not a network such as \"10.1.0.0/16\"", v);
	conf_doubt_prefix(r, s, v, &t);
	c->subnet_count++;
	return 0;
}

static int read_pool(struct conf_reader *r, config_setting_t *g, struct pool_conf *p)
{
	static const char *const names[] = {"addrs", "dns", "subnets", NULL};
	config_setting_t *s;

	if (conf_known(r, g, names) < 0)
		return -EINVAL;
	s = config_setting_get_member(g, "addrs");
	if (!s)
		return conf_fail(r, g, "needs addrs");
	if (read_addrs(r, s, p) < 0)
		return -EINVAL;
	s = config_setting_get_member(g, "dns");
	if (s && conf_each_string(r, s, add_dns, &p->with) < 0)
		return -EINVAL;
	s = config_setting_get_member(g, "subnets");
	return s ? conf_each_string(r, s, add_subnet, &p->with) : 0;
}

int conf_get_pools(struct conf_reader *r, config_setting_t *g)
{
	struct config *c = r->config;

	if (!config_setting_is_group(g))
		return conf_fail(r, g, "must be a group: { NAME: { ... }; }");
	for (int i = 0; i < config_setting_length(g); i++) {
		config_setting_t *s = config_setting_get_elem(g, (unsigned)i);
		struct pool_conf *p;

		for (unsigned k = 0; k < c->pool_count; k++) {
			if (strcmp(c->pools[k].name, config_setting_name(s)) == 0)
				return conf_fail(
					r, s, "%.100s already has a pool of this name: rename one",
					c->pools_at.v[k]);
		}
		conf_place_add(&c->pools_at, r, s);
		c->pools = xreallocarray(c->pools, c->pool_count + 1, sizeof(*c->pools));
		p = &c->pools[c->pool_count++];
		*p = (struct pool_conf){0};
		if (conf_get_name(r, s, &p->name) < 0 || read_pool(r, s, p) < 0)
			return -EINVAL;
	}
	return 0;
}

void conf_print_pool(struct conf_out *out, const struct pool_conf *p)
{
	char lo[ADDR_STRLEN], hi[ADDR_STRLEN];
	unsigned items = 0;

	fprintf(out->f, "%s: { addrs = \"%s-%s\";", p->name, addr_format(&p->lo, lo),
		addr_format(&p->hi, hi));
	if (p->with.dns_count) {
		fputs(" dns = ", out->f);
		print_addrs(out, p->with.dns, p->with.dns_count);
		fputc(';', out->f);
	}
	for (unsigned i = 0; i < p->with.subnet_count; i++) {
		char text[ADDR_STRLEN + 8];

		if (!items)
			fputs(" subnets = ", out->f);
		snprintf(text, sizeof(text), "%s/%u", addr_format(&p->with.subnet[i].addr, lo),
			 p->with.subnet[i].len);
		print_item(out, &items, text);
	}
	fputs(items ? " ]; };" : " };", out->f);
}
