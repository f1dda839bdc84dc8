/* config_conn.c - connections and their children. SPDX-License-Identifier: ISC */
#include "config_read.h"
#include "crypto/hash.h"
#include "window.h"
#include "xalloc.h"

#include <stdio.h>

#define HOST_NAMES_MAX CONN_MAX_ADDRS
#define CONNS_MAX      100000

/* Calls f for a string, or for each string of an array or list. */
static int each_string(struct conf_reader *r, config_setting_t *s,
		       int (*f)(struct conf_reader *r, config_setting_t *s, const char *v,
				void *ctx),
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

static int add_local(struct conf_reader *r, config_setting_t *s, const char *v, void *ctx)
{
	struct conn_conf *c = ctx;
	struct endpoint e = {.port = IKE_PORT};

	if (strcmp(v, "%any") == 0)
		return 0;
	if (addr_parse(v, &e.addr) < 0 || e.addr.family != FAMILY_IPV4)
		return conf_fail(r, s, "\"%.60s\" is not an IPv4 address", v);
	if (c->local_count == CONN_MAX_ADDRS)
		return conf_fail(r, s, "more than %d addresses", CONN_MAX_ADDRS);
	c->local[c->local_count++] = e;
	return 0;
}

static int add_name(struct conf_reader *r, config_setting_t *s, const char *v, struct conn_conf *c)
{
	unsigned n = 0;

	if (*v == '\0' || strlen(v) > 253 ||
	    strspn(v, "abcdefghijklmnopqrstuvwxyz"
		      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") != strlen(v))
		return conf_fail(r, s, "\"%.60s\" is neither an IPv4 address nor a host name", v);
	while (c->remote_names && c->remote_names[n])
		n++;
	if (n == HOST_NAMES_MAX)
		return conf_fail(r, s, "more than %d host names", HOST_NAMES_MAX);
	c->remote_names = xreallocarray(c->remote_names, n + 2, sizeof(char *));
	c->remote_names[n] = xstrdup(v);
	c->remote_names[n + 1] = NULL;
	return 0;
}

static int add_remote(struct conf_reader *r, config_setting_t *s, const char *v, void *ctx)
{
	struct conn_conf *c = ctx;
	struct endpoint e = {.port = IKE_PORT};

	if (strcmp(v, "%any") == 0) {
		c->remote_any = true;
		return 0;
	}
	if (addr_parse(v, &e.addr) < 0)
		return add_name(r, s, v, c);
	if (e.addr.family != FAMILY_IPV4)
		return conf_fail(r, s, "\"%.60s\": outer IPv6 is not supported yet", v);
	if (c->remote_count == CONN_MAX_ADDRS)
		return conf_fail(r, s, "more than %d addresses", CONN_MAX_ADDRS);
	c->remote[c->remote_count++] = e;
	c->fixed_count = c->remote_count;
	return 0;
}

static int add_ts(struct conf_reader *r, config_setting_t *s, const char *v, void *ctx)
{
	struct ts_list *l = ctx;

	if (l->count == TS_MAX)
		return conf_fail(r, s, "more than %d selectors", TS_MAX);
	if (ts_parse(v, &l->ts[l->count]) < 0)
		return conf_fail(
			r, s,
			"\"%.60s\" is no selector, such as \"10.1.0.0/16\" or \"10.1.0.1[tcp/80]\"",
			v);
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
	char err[128];

	if (p->list->count == PROPOSAL_MAX)
		return conf_fail(r, s, "more than %d proposals", PROPOSAL_MAX);
	if (proposal_parse_text(v, p->protocol, &p->list->p[p->list->count], err) < 0)
		return conf_fail(r, s, "%s", err);
	p->list->count++;
	return 0;
}

static const char *const standard_ike[] = {"aes256gcm16-prfsha384-x25519", NULL};
/* IKE_AUTH cannot tell whether the peer wants a key exchange of each child's own (PFS): both. */
static const char *const standard_esp[] = {"aes128gcm16-x25519-esn-noesn", "aes128gcm16-esn-noesn",
					   NULL};

static int read_proposals(struct conf_reader *r, config_setting_t *group, const char *name,
			  uint8_t protocol, const char *const *standard, struct proposal_list *list)
{
	config_setting_t *s = config_setting_get_member(group, name);
	struct proposals_ctx p = {.list = list, .protocol = protocol};

	if (s)
		return each_string(r, s, add_proposal, &p);
	for (; *standard; standard++) {
		if (add_proposal(r, group, *standard, &p) < 0)
			return -EINVAL;
	}
	return 0;
}

static int read_id(struct conf_reader *r, config_setting_t *conn, const char *side, bool patterns,
		   struct ident *id)
{
	static const char *const names[] = {"id", "auth", NULL};
	config_setting_t *g = config_setting_get_member(conn, side), *s;
	const char *v;

	if (!g) {
		if (!patterns)
			return conf_fail(r, conn, "needs %s: { id = \"...\"; auth = \"psk\"; }",
					 side);
		return 0;
	}
	if (conf_known(r, g, names) < 0)
		return -EINVAL;
	s = config_setting_get_member(g, "auth");
	if (s && (conf_get_string(r, s, &v) < 0 || strcmp(v, "psk") != 0))
		return conf_fail(r, s, "must be \"psk\": certificates are not supported yet");
	s = config_setting_get_member(g, "id");
	if (!s)
		return patterns ? 0 : conf_fail(r, g, "needs id");
	if (conf_get_string(r, s, &v) < 0)
		return -EINVAL;
	if (ident_parse(v, id) < 0 || (!patterns && ident_is_pattern(id)))
		return conf_fail(r, s,
				 "\"%.60s\" is no identity here: an address, a domain name, "
				 "user@domain, or @#hex",
				 v);
	return 0;
}

static int read_optional_time(struct conf_reader *r, config_setting_t *g, const char *name,
			      nsec_t *t)
{
	config_setting_t *s = config_setting_get_member(g, name);

	return s ? conf_get_time(r, s, NSEC_PER_SEC, true, t) : 0;
}

static int read_optional_size(struct conf_reader *r, config_setting_t *g, const char *name,
			      uint64_t min, uint64_t max, uint64_t *v)
{
	config_setting_t *s = config_setting_get_member(g, name);

	return s ? conf_get_size(r, s, min, max, v) : 0;
}

static int read_yes_no(struct conf_reader *r, config_setting_t *s, bool *ret)
{
	const char *v = "";

	if (conf_get_string(r, s, &v) < 0)
		return -EINVAL;
	*ret = strcmp(v, "yes") == 0;
	return *ret || strcmp(v, "no") == 0 ? 0 : conf_fail(r, s, "must be \"yes\" or \"no\"");
}

static int read_start_action(struct conf_reader *r, config_setting_t *g, struct child_conf *c)
{
	config_setting_t *s = config_setting_get_member(g, "start_action");
	const char *v = "none";

	if (s && conf_get_string(r, s, &v) < 0)
		return -EINVAL;
	if (strcmp(v, "none") == 0)
		c->start_action = START_NONE;
	else if (strcmp(v, "trap") == 0)
		c->start_action = START_TRAP;
	else if (strcmp(v, "start") == 0)
		c->start_action = START_START;
	else
		return conf_fail(r, s, "must be \"none\", \"trap\" or \"start\"");
	return 0;
}

/* 0: no protection against replays, and so no extended numbers, which the window tells. */
static int read_replay_window(struct conf_reader *r, config_setting_t *g, struct child_conf *c)
{
	config_setting_t *s = config_setting_get_member(g, "replay_window");
	uint64_t window = WINDOW_DEFAULT;

	if (s && conf_get_size(r, s, 0, WINDOW_MAX, &window) < 0)
		return -EINVAL;
	if (window && window < WINDOW_MIN)
		return conf_fail(r, s, "must be from %d to %d, or 0 for no protection", WINDOW_MIN,
				 WINDOW_MAX);
	c->replay_window = (uint32_t)window;
	if (window == 0 && !proposals_drop_esn(&c->proposals))
		return conf_fail(r, s,
				 "0 needs esp_proposals with noesn: extended sequence numbers are "
				 "told by the window");
	return 0;
}

static int read_child_limits(struct conf_reader *r, config_setting_t *g, struct child_conf *c)
{
	c->rekey_time = 3600 * NSEC_PER_SEC;
	if (read_optional_time(r, g, "rekey_time", &c->rekey_time) < 0)
		return -EINVAL;
	c->life_time = c->rekey_time + c->rekey_time / 10;
	if (read_optional_time(r, g, "life_time", &c->life_time) < 0 ||
	    read_optional_size(r, g, "rekey_bytes", 0, UINT64_MAX / 2, &c->rekey_bytes) < 0 ||
	    read_optional_size(r, g, "life_bytes", 0, UINT64_MAX / 2, &c->life_bytes) < 0 ||
	    read_optional_size(r, g, "rekey_packets", 0, UINT64_MAX / 2, &c->rekey_packets) < 0 ||
	    read_optional_size(r, g, "life_packets", 0, UINT64_MAX / 2, &c->life_packets) < 0 ||
	    read_replay_window(r, g, c) < 0)
		return -EINVAL;
	if (c->life_time && c->rekey_time && c->life_time <= c->rekey_time)
		return conf_fail(r, g, "life_time must be above rekey_time");
	if ((c->life_bytes && c->rekey_bytes >= c->life_bytes) ||
	    (c->life_packets && c->rekey_packets >= c->life_packets))
		return conf_fail(
			r, g,
			"rekey_bytes and rekey_packets must be below life_bytes and life_packets");
	return 0;
}

static int read_child(struct conf_reader *r, config_setting_t *conn, config_setting_t *g,
		      struct child_conf *c)
{
	static const char *const names[] = {"local_ts",	     "remote_ts",
					    "esp_proposals", "rekey_time",
					    "life_time",     "rekey_bytes",
					    "life_bytes",    "rekey_packets",
					    "life_packets",  "start_action",
					    "replay_window", "switchover",
					    "device",	     NULL};
	config_setting_t *s;
	char err[OPTION_ERR];

	c->name = xstrdup(config_setting_name(g));
	c->options = xmemdup(&r->config->defaults, sizeof(r->config->defaults));
	if (conf_known(r, g, names) < 0)
		return -EINVAL;
	s = config_setting_get_member(g, "local_ts");
	if (!s || each_string(r, s, add_ts, &c->local_ts) < 0)
		return s ? -EINVAL : conf_fail(r, g, "needs local_ts");
	s = config_setting_get_member(g, "remote_ts");
	if (!s || each_string(r, s, add_ts, &c->remote_ts) < 0)
		return s ? -EINVAL : conf_fail(r, g, "needs remote_ts");
	if (read_proposals(r, g, "esp_proposals", PROTOCOL_ESP, standard_esp, &c->proposals) < 0 ||
	    read_child_limits(r, g, c) < 0 || read_start_action(r, g, c) < 0)
		return -EINVAL;
	s = config_setting_get_member(g, "device");
	if (!s)
		s = config_setting_get_member(conn, "device");
	if (s && conf_get_device(r, s, &c->device) < 0)
		return -EINVAL;
	s = config_setting_get_member(g, "switchover");
	if (s && conf_get_switchover(r, s, c->options) < 0)
		return -EINVAL;
	if (tun_options_check(c->options, c->rekey_time, err) < 0)
		return conf_fail(r, s ? s : g, "%s", err);
	return 0;
}

static int read_children(struct conf_reader *r, config_setting_t *conn, struct conn_conf *c)
{
	config_setting_t *g = config_setting_get_member(conn, "children");
	int n = g && config_setting_is_group(g) ? config_setting_length(g) : 0;

	if (n == 0)
		return conf_fail(r, g ? g : conn,
				 "needs children: { NAME: { local_ts = ...; remote_ts = ...; }; }");
	if (n > 64)
		return conf_fail(r, g, "more than 64 children");
	c->children = xzalloc((size_t)n * sizeof(*c->children));
	for (int i = 0; i < n; i++) {
		c->child_count++;
		if (read_child(r, conn, config_setting_get_elem(g, (unsigned)i), &c->children[i]) <
		    0)
			return -EINVAL;
	}
	return 0;
}

static int read_conn(struct conf_reader *r, config_setting_t *g, struct conn_conf *c)
{
	static const char *const names[] = {"local_addrs", "remote_addrs", "local",	"remote",
					    "proposals",   "rekey_time",   "over_time", "dpd_delay",
					    "children",	   "ha_peer",	   "device",	NULL};
	config_setting_t *s;
	nsec_t over = 0;

	if (conf_known(r, g, names) < 0)
		return -EINVAL;
	s = config_setting_get_member(g, "local_addrs");
	if (s && each_string(r, s, add_local, c) < 0)
		return -EINVAL;
	s = config_setting_get_member(g, "remote_addrs");
	if (!s)
		return conf_fail(r, g, "needs remote_addrs; [ \"%%any\" ] to answer anyone");
	if (each_string(r, s, add_remote, c) < 0)
		return -EINVAL;
	c->rekey_time = 4 * 3600 * NSEC_PER_SEC;
	c->dpd_delay = 30 * NSEC_PER_SEC;
	if (read_id(r, g, "local", false, &c->local_id) < 0 ||
	    read_id(r, g, "remote", true, &c->remote_id) < 0 ||
	    read_proposals(r, g, "proposals", PROTOCOL_IKE, standard_ike, &c->proposals) < 0 ||
	    read_optional_time(r, g, "rekey_time", &c->rekey_time) < 0 ||
	    read_optional_time(r, g, "dpd_delay", &c->dpd_delay) < 0)
		return -EINVAL;
	s = config_setting_get_member(g, "ha_peer");
	if (s && read_yes_no(r, s, &c->ha_peer) < 0)
		return -EINVAL;
	over = c->rekey_time / 10;
	if (read_optional_time(r, g, "over_time", &over) < 0)
		return -EINVAL;
	c->life_time = c->rekey_time ? c->rekey_time + over : 0;
	return read_children(r, g, c);
}

int conf_get_conn(struct conf_reader *r, config_setting_t *g)
{
	struct config *c = r->config;
	struct conn_conf *conn = xzalloc(sizeof(*conn));

	conn->name = xstrdup(config_setting_name(g));
	conn->refs = 1;
	c->conns = xreallocarray(c->conns, c->conn_count + 1, sizeof(*c->conns));
	c->where = xreallocarray(c->where, c->conn_count + 1, sizeof(*c->where));
	c->where[c->conn_count] = xasprintf("%s:%u", r->path, config_setting_source_line(g));
	c->conns[c->conn_count++] = conn;
	conn->secrets = psk_store_ref(c->secrets);
	if (c->conn_count > CONNS_MAX)
		return conf_fail(r, g, "more than %d connections", CONNS_MAX);
	for (unsigned i = 0; i + 1 < c->conn_count; i++) {
		if (strcmp(c->conns[i]->name, conn->name) == 0)
			return conf_fail(r, g,
					 "a connection of this name is in another file already");
	}
	return read_conn(r, g, conn);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* How many different devices the children have. */
static unsigned count_devices(const struct config *c)
{
	const char **names = NULL;
	unsigned count = 0, different = 0;

	for (unsigned i = 0; i < c->conn_count; i++) {
		const struct conn_conf *conn = c->conns[i];

		names = xreallocarray(names, (size_t)count + conn->child_count, sizeof(*names));
		for (unsigned k = 0; k < conn->child_count; k++) {
			if (conn->children[k].device)
				names[count++] = conn->children[k].device;
		}
	}
	if (count)
		qsort(names, count, sizeof(*names), compare_names);
	for (unsigned i = 0; i < count; i++)
		different += i == 0 || strcmp(names[i], names[i - 1]) != 0;
	free(names);
	return different;
}

int conf_check_devices(const struct config *c, char *err)
{
	unsigned different = count_devices(c);

	if (different > DEVICE_MAX) {
		snprintf(err, CONFIG_ERR, "%u TUN devices (device = ...) are more than %d",
			 different, DEVICE_MAX);
		return -EINVAL;
	}
	for (unsigned i = 0; i < c->conn_count; i++) {
		const struct conn_conf *conn = c->conns[i];

		for (unsigned k = 0; k < conn->child_count; k++) {
			const char *name = conn->children[k].device;

			if (!name || strcmp(name, c->tun) != 0)
				continue;
			snprintf(err, CONFIG_ERR,
				 "%.100s: connections.%.60s: device = \"%s\" is the device of all "
				 "(daemon.tun): leave it out, or take another name",
				 c->where[i], conn->name, name);
			return -EINVAL;
		}
	}
	return 0;
}

int conf_finish(struct config *c, char *err)
{
	if (conf_check_devices(c, err) < 0)
		return -EINVAL;
	for (unsigned i = 0; i < c->conn_count; i++) {
		const struct conn_conf *conn = c->conns[i];

		if (ident_eq(&conn->local_id, &conn->remote_id)) {
			snprintf(err, CONFIG_ERR,
				 "%.100s: connections.%.60s: remote.id is local.id, and no peer "
				 "has our name: give it another one",
				 c->where[i], conn->name);
			return -EINVAL;
		}
		if (!psk_find(c->secrets, &conn->local_id, &conn->remote_id) &&
		    !ident_is_pattern(&conn->remote_id)) {
			char id[IDENT_STRLEN];

			snprintf(err, CONFIG_ERR,
				 "%.100s: connections.%.60s: no secret for \"%.100s\": add one to "
				 "secrets",
				 c->where[i], conn->name, ident_format(&conn->remote_id, id));
			return -EINVAL;
		}
	}
	return 0;
}

static bool same_child(const struct child_conf *a, const struct child_conf *b)
{
	return strcmp(a->name, b->name) == 0 && ts_list_eq(&a->local_ts, &b->local_ts) &&
	       ts_list_eq(&a->remote_ts, &b->remote_ts) &&
	       proposals_equal(&a->proposals, &b->proposals) && a->rekey_time == b->rekey_time &&
	       a->life_time == b->life_time && a->rekey_bytes == b->rekey_bytes &&
	       a->life_bytes == b->life_bytes && a->rekey_packets == b->rekey_packets &&
	       a->life_packets == b->life_packets && a->start_action == b->start_action &&
	       a->replay_window == b->replay_window && conf_text_same(a->device, b->device) &&
	       tun_options_equal(a->options, b->options);
}

static bool same_names(char **a, char **b)
{
	unsigned i = 0;

	if (!a || !b)
		return a == b;
	for (; a[i] && b[i]; i++) {
		if (strcmp(a[i], b[i]) != 0)
			return false;
	}
	return a[i] == b[i];
}

static bool same_addrs(const struct endpoint *a, const struct endpoint *b, unsigned na, unsigned nb)
{
	for (unsigned i = 0; na == nb && i < na; i++) {
		if (!endpoint_eq(&a[i], &b[i]))
			return false;
	}
	return na == nb;
}

bool conf_conn_same(const struct conn_conf *a, const struct conn_conf *b)
{
	bool same =
		same_addrs(a->local, b->local, a->local_count, b->local_count) &&
		a->remote_any == b->remote_any && same_names(a->remote_names, b->remote_names) &&
		same_addrs(a->remote, b->remote, a->fixed_count, b->fixed_count) &&
		ident_eq(&a->local_id, &b->local_id) && ident_eq(&a->remote_id, &b->remote_id) &&
		proposals_equal(&a->proposals, &b->proposals) && a->rekey_time == b->rekey_time &&
		a->life_time == b->life_time && a->dpd_delay == b->dpd_delay &&
		a->ha_peer == b->ha_peer && a->child_count == b->child_count;

	for (unsigned i = 0; same && i < a->child_count; i++)
		same = same_child(&a->children[i], &b->children[i]);
	return same;
}

/* ---- the same for another process: see conf_conn_digest ---- */

#define DIGEST_TEXT 512

struct digest {
	uint8_t d[HASH_MAX_LEN];
};

/* Each part changes what the parts before it have made. */
static void add_bytes(struct digest *d, const void *p, size_t len)
{
	const struct chunk parts[] = {{d->d, 32}, {p, len}};

	hash_compute(HASH_SHA256, parts, ARRAY_SIZE(parts), d->d);
}

static void add_text(struct digest *d, const char *s)
{
	add_bytes(d, s ? s : "", s ? strlen(s) + 1 : 0);
}

static void add_number(struct digest *d, uint64_t v)
{
	add_bytes(d, &v, sizeof(v));
}

static void add_option(void *ctx, const char *name, const char *value)
{
	add_text(ctx, name);
	add_text(ctx, value);
}

static void add_proposals(struct digest *d, const struct proposal_list *l)
{
	char text[DIGEST_TEXT];

	add_number(d, l->count);
	for (unsigned i = 0; i < l->count; i++)
		add_text(d, proposal_format(&l->p[i], text, sizeof(text)));
}

static void add_selectors(struct digest *d, const struct ts_list *l)
{
	char text[TS_STRLEN];

	add_number(d, l->count);
	for (unsigned i = 0; i < l->count; i++)
		add_text(d, ts_format(&l->ts[i], text));
}

static void add_endpoints(struct digest *d, const struct endpoint *e, unsigned count)
{
	char text[ENDPOINT_STRLEN];

	add_number(d, count);
	for (unsigned i = 0; i < count; i++)
		add_text(d, endpoint_format(&e[i], text));
}

static void add_identity(struct digest *d, const struct ident *id)
{
	char text[IDENT_STRLEN];

	add_number(d, id->type);
	add_text(d, ident_format(id, text));
}

static void add_child(struct digest *d, const struct child_conf *c)
{
	add_text(d, c->name);
	add_text(d, c->device);
	add_selectors(d, &c->local_ts);
	add_selectors(d, &c->remote_ts);
	add_proposals(d, &c->proposals);
	add_number(d, c->rekey_time);
	add_number(d, c->life_time);
	add_number(d, c->rekey_bytes);
	add_number(d, c->life_bytes);
	add_number(d, c->rekey_packets);
	add_number(d, c->life_packets);
	add_number(d, c->start_action);
	add_number(d, c->replay_window);
	tun_options_each(c->options, add_option, d);
}

void conf_conn_digest(const struct conn_conf *c, const struct ident *peer, uint8_t *out)
{
	const struct psk *psk = c->secrets ? psk_find(c->secrets, &c->local_id, peer) : NULL;
	struct digest d = {{0}};

	add_text(&d, c->name);
	add_endpoints(&d, c->local, c->local_count);
	add_endpoints(&d, c->remote, c->fixed_count);
	add_number(&d, c->remote_any);
	for (char **n = c->remote_names; n && *n; n++)
		add_text(&d, *n);
	add_identity(&d, &c->local_id);
	add_identity(&d, &c->remote_id);
	add_proposals(&d, &c->proposals);
	add_number(&d, c->rekey_time);
	add_number(&d, c->life_time);
	add_number(&d, c->dpd_delay);
	add_number(&d, c->ha_peer);
	add_number(&d, c->child_count);
	for (unsigned i = 0; i < c->child_count; i++)
		add_child(&d, &c->children[i]);
	if (psk)
		add_bytes(&d, psk->secret, psk->len);
	memcpy(out, d.d, 32);
	secret_wipe(&d, sizeof(d));
}
