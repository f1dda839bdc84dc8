/* config_list.c - options that are lists of strings. SPDX-License-Identifier: ISC */
#include "config_option.h"
#include "xalloc.h"

#include <ctype.h>

int conf_each_string(struct conf_reader *r, config_setting_t *s,
		     int (*f)(struct conf_reader *r, config_setting_t *s, const char *v, void *ctx),
		     void *ctx)
{
	const char *v;

	if (!config_setting_is_array(s) && !config_setting_is_list(s)) {
		if (conf_get_string(r, s, &v) < 0)
			return -EINVAL;
		return f(r, s, v, ctx);
	}
	if (config_setting_length(s) == 0)
		return conf_fail(r, s, "must not be empty");
	for (int i = 0; i < config_setting_length(s); i++) {
		config_setting_t *e = config_setting_get_elem(s, (unsigned)i);

		if (conf_get_string(r, e, &v) < 0 || f(r, e, v, ctx) < 0)
			return -EINVAL;
	}
	return 0;
}

static int link_local(struct conf_reader *r, config_setting_t *s, const char *v)
{
	return conf_fail(r, s,
			 "\"%.60s\": link-local addresses are not supported: use one that is "
			 "valid beyond the link, such as a unique local one (fd00::/8)",
			 v);
}

/* Only what a host can have as its own. */
static int check_address(struct conf_reader *r, config_setting_t *s, const char *v,
			 const struct addr *a)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	if (addr_is_link_local(a))
		return link_local(r, s, v);
	if (addr_is_any(a))
		return conf_fail(r, s, "\"%.60s\" is not an address: \"%%any\" stands for any", v);
	if (addr_is_no_host(a))
		return conf_fail(r, s, "\"%.60s\" is not the address of a host", v);
	if (a->family == FAMILY_IPV6 && memcmp(a->b, mapped, sizeof(mapped)) == 0)
		return conf_fail(r, s, "\"%.60s\": write an IPv4 address as such", v);
	return 0;
}

static int add_local(struct conf_reader *r, config_setting_t *s, const char *v, void *ctx)
{
	struct conn_conf *c = ctx;
	struct endpoint e = {.port = (uint16_t)c->local_port};

	if (strcmp(v, "%any") == 0)
		return 0;
	if (addr_parse(v, &e.addr) < 0) {
		if (conf_slip_address(r, s, v, "local_port"))
			return -EINVAL;
		return strchr(v, '%') ? link_local(r, s, v)
				      : conf_fail(r, s, "\"%.60s\" is not an address", v);
	}
	if (check_address(r, s, v, &e.addr) < 0)
		return -EINVAL;
	if (c->local_count == CONN_MAX_ADDRS)
		return conf_fail(r, s, "more than %d addresses", CONN_MAX_ADDRS);
	c->local[c->local_count++] = e;
	return 0;
}

static int add_name(struct conf_reader *r, config_setting_t *s, const char *v, struct conn_conf *c)
{
	if (conf_slip_address(r, s, v, "remote_port"))
		return -EINVAL;
	if (*v == '\0' || strlen(v) > 253 ||
	    strspn(v, "abcdefghijklmnopqrstuvwxyz"
		      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") != strlen(v))
		return conf_fail(r, s, "\"%.60s\" is neither an address nor a host name", v);
	if (!c->names)
		c->names = xzalloc(sizeof(*c->names));
	if (c->names->count == HOST_NAMES_MAX)
		return conf_fail(r, s, "more than %d host names", HOST_NAMES_MAX);
	c->names->name[c->names->count++] = xstrdup(v);
	return 0;
}

static int add_remote(struct conf_reader *r, config_setting_t *s, const char *v, void *ctx)
{
	struct conn_conf *c = ctx;
	struct endpoint e = {.port = (uint16_t)c->remote_port};

	if (strcmp(v, "%any") == 0) {
		c->remote_any = true;
		return 0;
	}
	if (addr_parse(v, &e.addr) < 0)
		return strchr(v, '%') ? link_local(r, s, v) : add_name(r, s, v, c);
	if (check_address(r, s, v, &e.addr) < 0)
		return -EINVAL;
	if (c->remote_count == CONN_MAX_ADDRS)
		return conf_fail(r, s, "more than %d addresses", CONN_MAX_ADDRS);
	if (c->remote_port == c->local_port && conf_is_own(r, &e.addr) > 0)
		conf_doubt(r, s,
			   "\"%.60s\" is an address of this host, which would call itself: write "
			   "the address of the peer",
			   v);
	c->remote[c->remote_count++] = e;
	return 0;
}

void conf_doubt_prefix(struct conf_reader *r, config_setting_t *s, const char *v,
		       const struct ts *t)
{
	struct ts all = {.family = t->family, .port_hi = UINT16_MAX, .lo = t->lo, .hi = t->hi};
	size_t len = strcspn(v, "/-[");
	char host[ADDR_STRLEN], text[TS_STRLEN];
	struct addr a;

	if (v[len] != '/' || len >= sizeof(host))
		return;
	memcpy(host, v, len);
	host[len] = '\0';
	if (addr_parse(host, &a) == 0 && !addr_eq(&a, &t->lo))
		conf_doubt(r, s, "\"%.60s\" is taken as %s: write that, or \"%s\" for one address",
			   v, ts_format(&all, text), host);
}

static int add_ts(struct conf_reader *r, config_setting_t *s, const char *v, void *ctx)
{
	struct ts_list *l = ctx;

	if (l->count == TS_MAX)
		return conf_fail(r, s, "more than %d selectors", TS_MAX);
	if (ts_parse(v, &l->ts[l->count]) < 0)
		return conf_slip_selector(r, s, v)
			       ? -EINVAL
			       : conf_fail(r, s,
					   "\"%.60s\" is not a selector such as \"10.1.0.0/16\" or "
					   "\"10.1.0.1[tcp/80]\"",
					   v);
	conf_doubt_prefix(r, s, v, &l->ts[l->count]);
	l->count++;
	return 0;
}

struct proposals_ctx {
	struct proposal_list *list;
	uint8_t protocol;
};

static int add_proposal(struct conf_reader *r, config_setting_t *s, const char *v, void *ctx)
{
	struct proposals_ctx *p = ctx;
	char err[PROPOSAL_ERR];

	if (proposals_add_text(p->list, v, p->protocol, err) < 0)
		return conf_fail(r, s, "%s", err);
	return 0;
}

static int read_proposals(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
			  void *base, uint8_t protocol)
{
	struct proposals_ctx p = {.list = (void *)((char *)base + o->at), .protocol = protocol};

	char why[PROPOSAL_ERR];

	if (conf_each_string(r, s, add_proposal, &p) < 0)
		return -EINVAL;
	if (proposals_weakness(p.list, why))
		conf_doubt(r, s, "%s", why);
	return 0;
}

static int read_ike(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
		    void *base)
{
	return read_proposals(r, s, o, base, PROTOCOL_IKE);
}

static int read_esp(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
		    void *base)
{
	return read_proposals(r, s, o, base, PROTOCOL_ESP);
}

/* Prints one string of an array; *items is the number of those printed before. */
static void print_item(struct conf_out *out, unsigned *items, const char *text)
{
	fputs((*items)++ ? ", " : "[ ", out->f);
	conf_print_text(out, text);
}

static void print_proposals(struct conf_out *out, const struct conf_option *o, const void *base)
{
	const struct proposal_list *l = (const void *)((const char *)base + o->at);
	char text[PROPOSAL_STRLEN];

	for (unsigned i = 0, items = 0; i < l->count; i++)
		print_item(out, &items, proposal_format(&l->p[i], text, sizeof(text)));
	fputs(" ]", out->f);
}

const struct conf_kind conf_ike_proposals = {read_ike, print_proposals};
const struct conf_kind conf_esp_proposals = {read_esp, print_proposals};

static void print_addresses(struct conf_out *out, unsigned *items, const struct endpoint *e,
			    unsigned count)
{
	char text[ADDR_STRLEN];

	for (unsigned i = 0; i < count; i++)
		print_item(out, items, addr_format(&e[i].addr, text));
}

static int read_local(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
		      void *base)
{
	(void)o;
	return conf_each_string(r, s, add_local, base);
}

static void print_local(struct conf_out *out, const struct conf_option *o, const void *base)
{
	const struct conn_conf *c = base;
	unsigned items = 0;

	(void)o;
	print_addresses(out, &items, c->local, c->local_count);
	if (c->local_count == 0)
		print_item(out, &items, "%any");
	fputs(" ]", out->f);
}

const struct conf_kind conf_local_addresses = {read_local, print_local};

static int read_remote(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
		       void *base)
{
	(void)o;
	return conf_each_string(r, s, add_remote, base);
}

/* Only addresses and names of the file, not the addresses that the names resolve to. */
static void print_remote(struct conf_out *out, const struct conf_option *o, const void *base)
{
	const struct conn_conf *c = base;
	unsigned items = 0;

	(void)o;
	print_addresses(out, &items, c->remote, c->remote_count);
	for (unsigned i = 0; c->names && i < c->names->count; i++)
		print_item(out, &items, c->names->name[i]);
	if (c->remote_any)
		print_item(out, &items, "%any");
	fputs(" ]", out->f);
}

const struct conf_kind conf_remote_addresses = {read_remote, print_remote};

static int read_selectors(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
			  void *base)
{
	struct ts_list **to = (void *)((char *)base + o->at), l = {0};
	int e = conf_each_string(r, s, add_ts, &l);

	free(*to);
	*to = ts_list_dup(&l);
	return e;
}

static int add_name_of_file(struct conf_reader *r, config_setting_t *s, const char *v, void *ctx)
{
	if (*v == '\0')
		return conf_fail(r, s, "must not be empty");
	name_list_add(ctx, v);
	return 0;
}

static int read_names(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
		      void *base)
{
	return conf_each_string(r, s, add_name_of_file, (char *)base + o->at);
}

static void print_names(struct conf_out *out, const struct conf_option *o, const void *base)
{
	const struct name_list *l = (const void *)((const char *)base + o->at);

	if (!l->count)
		return;
	for (unsigned i = 0, items = 0; i < l->count; i++)
		print_item(out, &items, l->v[i]);
	fputs(" ]", out->f);
}

const struct conf_kind conf_names = {read_names, print_names};

/* A name of at most 253 characters, in labels of at most 63 (RFC 1035 2.3.4). */
static bool is_domain(const char *v)
{
	size_t label = 0;

	if (strlen(v) > 253)
		return false;
	for (; *v; v++) {
		if (*v == '.' && label == 0)
			return false;
		if (*v != '.' && !isalnum((unsigned char)*v) && *v != '-' && *v != '_')
			return false;
		label = *v == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	return label > 0;
}

static int add_domain(struct conf_reader *r, config_setting_t *s, const char *v, void *ctx)
{
	struct name_list *l = ctx;

	/* systemd-resolved does not search names in the root. */
	if (strcmp(v, ".") == 0)
		return conf_fail(r, s, "\".\" is not searched: write \"~.\" for all names");
	if (strcmp(v, "~.") != 0 && !is_domain(*v == '~' ? v + 1 : v))
		return conf_fail(r, s,
				 "\"%.60s\" is not a domain; \"~.\" stands for all names, and "
				 "\"~example.net\" for names in it that are not searched",
				 v);
	if (l->count == DNS_DOMAINS_MAX)
		return conf_fail(r, s, "more than %d domains", DNS_DOMAINS_MAX);
	name_list_add(l, v);
	return 0;
}

static int read_domains(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
			void *base)
{
	return conf_each_string(r, s, add_domain, (char *)base + o->at);
}

const struct conf_kind conf_domains = {read_domains, print_names};

static void print_selectors(struct conf_out *out, const struct conf_option *o, const void *base)
{
	const struct ts_list *l =
		*(const struct ts_list *const *)(const void *)((const char *)base + o->at);
	char text[TS_STRLEN];

	for (unsigned i = 0, items = 0; i < l->count; i++)
		print_item(out, &items, ts_format(&l->ts[i], text));
	fputs(" ]", out->f);
}

const struct conf_kind conf_selectors = {read_selectors, print_selectors};
