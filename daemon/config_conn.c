/* config_conn.c - connections and their children. SPDX-License-Identifier: ISC */
#include "config_auth.h"
#include "config_option.h"
#include "window.h"
#include "xalloc.h"

#include <stdio.h>

#define CONNS_MAX 100000

/* ---- kinds of a connection ---- */

/*
 * Port 500 is spoken to from port 500: IKE on any other port has the non-ESP marker (RFC 3948 2.2),
 * so a side that begins on another port than 500 finds the other one on 4500.
 */
static unsigned port_beside(config_setting_t *g, const char *other)
{
	config_setting_t *s = g ? config_setting_get_member(g, other) : NULL;

	return !s || config_setting_get_int(s) == IKE_PORT ? IKE_PORT : IKE_PORT_NATT;
}

static int derive_local_port(struct conf_reader *r, config_setting_t *g, void *base)
{
	(void)r;
	((struct conn_conf *)base)->local_port = port_beside(g, "remote_port");
	return 0;
}

static int derive_remote_port(struct conf_reader *r, config_setting_t *g, void *base)
{
	(void)r;
	((struct conn_conf *)base)->remote_port = port_beside(g, "local_port");
	return 0;
}

/* In whole milliseconds, so that it can be written in a file. */
static nsec_t a_tenth(nsec_t t)
{
	return t / 10 / NSEC_PER_MSEC * NSEC_PER_MSEC;
}

static void set_over(struct conn_conf *c, nsec_t over)
{
	c->life_time = c->rekey_time ? c->rekey_time + over : 0;
}

static int read_over(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
		     void *base)
{
	nsec_t over;

	if (conf_get_time(r, s, o->least, o->zero, &over) < 0)
		return -EINVAL;
	set_over(base, over);
	return 0;
}

static int derive_over(struct conf_reader *r, config_setting_t *g, void *base)
{
	struct conn_conf *c = base;

	(void)r, (void)g;
	set_over(c, a_tenth(c->rekey_time));
	return 0;
}

static void print_over(struct conf_out *out, const struct conf_option *o, const void *base)
{
	const struct conn_conf *c = base;
	char text[32];

	(void)o;
	conf_print_text(out, format_time(c->life_time - c->rekey_time, text));
}

static const struct conf_kind over_time = {read_over, print_over};

/* Only checked here; children without a device take it over: see derive_device. */
static int read_conn_device(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
			    void *base)
{
	const char *v;

	(void)base;
	if (conf_get_string(r, s, &v) < 0)
		return -EINVAL;
	return o->good(v) ? 0 : conf_fail(r, s, "%s", o->rule);
}

static const struct conf_kind conn_device = {read_conn_device, NULL};

static int read_children(struct conf_reader *r, config_setting_t *g, const struct conf_option *o,
			 void *base);

static const struct conf_kind children = {read_children, NULL};

/* Printable, as it is shown, and without spaces. */
bool conf_is_ppk_id(const char *id)
{
	size_t len = strlen(id);

	for (const char *p = id; *p; p++) {
		if (*p <= ' ' || *p > '~')
			return false;
	}
	return len > 0 && len <= PPK_ID_MAX;
}

/* ---- kinds of a child ---- */

static int derive_life(struct conf_reader *r, config_setting_t *g, void *base)
{
	struct child_conf *c = base;

	(void)r, (void)g;
	c->life_time = c->rekey_time + a_tenth(c->rekey_time);
	return 0;
}

/* 0: no anti-replay, and thus no ESN, whose high half is derived from the window. */
static int read_window(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
		       void *base)
{
	struct child_conf *c = base;

	if (conf_number.read(r, s, o, base) < 0)
		return -EINVAL;
	if (c->replay_window == 0)
		conf_doubt(r, s,
			   "0: an attacker can have recorded packets delivered again; remove the "
			   "option");
	if (c->replay_window == 0 && !proposals_drop_esn(&c->proposals))
		return conf_fail(r, s,
				 "0 needs esp_proposals with noesn: extended sequence numbers "
				 "need the anti-replay window");
	return 0;
}

static void print_window(struct conf_out *out, const struct conf_option *o, const void *base)
{
	conf_number.print(out, o, base);
}

static const struct conf_kind replay_window = {read_window, print_window};

/* The default is the device of the connection, if it names one. */
static int derive_device(struct conf_reader *r, config_setting_t *g, void *base)
{
	config_setting_t *conn = config_setting_parent(config_setting_parent(g));
	config_setting_t *s = config_setting_get_member(conn, "device");
	const char *v;

	if (!s)
		return 0;
	if (conf_get_string(r, s, &v) < 0)
		return -EINVAL;
	((struct child_conf *)base)->device = xstrdup(v);
	return 0;
}

/* swanctl.conf has two words for two of them: none or clear, start or restart. */
static int read_end_action(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
			   void *base)
{
	static const char *const words[] = {"auto",  "none",	"trap", "start",
					    "clear", "restart", NULL};
	static const enum end_action meaning[] = {END_AUTO,  END_NONE, END_TRAP,
						  END_START, END_NONE, END_START};
	unsigned which;

	if (conf_get_word(r, s, words, &which) < 0)
		return -EINVAL;
	*(enum end_action *)(void *)((char *)base + o->at) = meaning[which];
	return 0;
}

static void print_end_action(struct conf_out *out, const struct conf_option *o, const void *base)
{
	static const char *const words[] = {[END_AUTO] = "auto",
					    [END_NONE] = "none",
					    [END_TRAP] = "trap",
					    [END_START] = "start"};

	conf_print_text(
		out, words[*(const enum end_action *)(const void *)((const char *)base + o->at)]);
}

static const struct conf_kind end_action = {read_end_action, print_end_action};

static int read_switchover(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
			   void *base)
{
	(void)o;
	return conf_get_switchover(r, s, ((struct child_conf *)base)->options);
}

static void print_switchover(struct conf_out *out, const struct conf_option *o, const void *base)
{
	(void)o;
	conf_print_switchover(out, ((const struct child_conf *)base)->options);
}

static const struct conf_kind switchover = {read_switchover, print_switchover};

/* ---- the tables ---- */

static const char *const yes_no[] = {"yes", "no", NULL};
static const char *const encaps[] = {
	[ENCAP_YES] = "yes", [ENCAP_AUTO] = "auto", [ENCAP_NO] = "no", NULL};
static const char *const actions[] = {
	[START_NONE] = "none", [START_TRAP] = "trap", [START_START] = "start", NULL};

static const char *const childless[] = {[CHILDLESS_ALLOW] = "allow",
					[CHILDLESS_PREFER] = "prefer",
					[CHILDLESS_FORCE] = "force",
					[CHILDLESS_NEVER] = "never",
					NULL};

static const char *const fragmentation[] = {[FRAGMENTATION_YES] = "yes",
					    [FRAGMENTATION_NO] = "no",
					    [FRAGMENTATION_FORCE] = "force",
					    NULL};

static const char *const dns_uses[] = {[DNS_NONE] = "none", [DNS_RESOLVED] = "resolved", NULL};
static const char *const uniques[] = {
	[UNIQUE_REPLACE] = "replace", [UNIQUE_KEEP] = "keep", [UNIQUE_NEVER] = "never", NULL};

#define VOLUME_MAX (UINT64_MAX / 2)
#define REKEY_MAX  (9ULL * 365 * 86400 * NSEC_PER_SEC) /* a file can still express a tenth more */

/* clang-format off */
#define AT(field) offsetof(struct conn_conf, field)
static const struct conf_option conn_options[] = {
	/* Before the addresses, which take them over. */
	{.name = "local_port", .kind = &conf_number, .at = AT(local_port), .least = 1, .most = 65535,
	 .derive = derive_local_port, .help = "our port, where IKE begins"},
	{.name = "remote_port", .kind = &conf_number, .at = AT(remote_port), .least = 1, .most = 65535,
	 .derive = derive_remote_port, .help = "the peer's port, where IKE begins"},
	{.name = "local_addrs", .kind = &conf_local_addresses, .help = "our addresses"},
	{.name = "remote_addrs", .kind = &conf_remote_addresses,
	 .needed = "remote_addrs; [ \"%any\" ] to answer anyone", .help = "the peer's addresses and names"},
	{.name = "local", .kind = &conf_local_auth, .needed = "local: { id = \"...\"; auth = \"psk\"; }",
	 .help = "who we are"},
	{.name = "remote", .kind = &conf_remote_auth, .derive = conf_no_remote, .help = "who the peer is"},
	{.name = "rsa_sha1", .kind = &conf_either, .at = AT(auth.rsa_sha1), .words = yes_no, .standard = "\"no\"",
	 .help = "RSA signatures with SHA-1, for peers without RFC 7427"},
	{.name = "proposals", .kind = &conf_ike_proposals, .at = AT(proposals), .standard = "\"default\"",
	 .help = "IKE proposals"},
	{.name = "ppk_id", .kind = &conf_text, .at = AT(ppk_id), .good = conf_is_ppk_id, .rule = CONF_PPK_RULE,
	 .help = "identity of the post-quantum key"},
	{.name = "ppk_required", .kind = &conf_either, .at = AT(ppk_required), .words = yes_no, .standard = "\"no\"",
	 .help = "no IKE SA without a post-quantum key"},
	{.name = "rekey_time", .kind = &conf_time, .at = AT(rekey_time), .least = NSEC_PER_SEC, .most = REKEY_MAX,
	 .zero = "never", .standard = "\"4h\"", .help = "rekey of the IKE SA"},
	{.name = "over_time", .kind = &over_time, .least = NSEC_PER_MSEC, .zero = "never",
	 .derive = derive_over, .help = "lifetime of the IKE SA beyond rekey_time"},
	{.name = "dpd_delay", .kind = &conf_time, .at = AT(dpd_delay), .least = NSEC_PER_SEC,
	 .zero = "never", .standard = "\"30s\"", .help = "time without a packet from the peer before a liveness check"},
	{.name = "failback", .kind = &conf_time, .at = AT(failback), .least = NSEC_PER_SEC,
	 .zero = "never", .standard = "\"5m\"", .help = "return to an address that stands before in remote_addrs"},
	{.name = "backup", .kind = &conf_text, .at = AT(backup),
	 .help = "connection that has the traffic while this one is down"},
	{.name = "encap", .kind = &conf_word, .at = AT(encap), .words = encaps, .standard = "\"yes\"",
	 .help = "whether ESP goes in UDP"},
	{.name = "retransmit_timeout", .kind = &conf_time, .at = AT(retransmit.timeout), .least = 100 * NSEC_PER_MSEC,
	 .zero = "what daemon says", .standard = "\"0s\"", .help = "first retransmission of a request; 0: as daemon says"},
	{.name = "retransmit_base", .kind = &conf_factor, .at = AT(retransmit.base), .least = 1000, .most = 10000,
	 .zero = "what daemon says", .standard = "\"0\"", .help = "how much longer each further one waits; 0: as daemon says"},
	{.name = "retransmit_tries", .kind = &conf_number, .at = AT(retransmit.tries), .least = 1, .most = 100,
	 .zero = "what daemon says", .standard = "0", .help = "retransmissions before the peer is given up; 0: as daemon says"},
	{.name = "unique", .kind = &conf_word, .at = AT(unique), .words = uniques, .standard = "\"replace\"",
	 .help = "a second IKE SA with the same identities"},
	{.name = "ha_peer", .kind = &conf_either, .at = AT(ha_peer), .words = yes_no, .standard = "\"no\"",
	 .help = "the peer is a cluster that speaks RFC 6311"},
	{.name = "childless", .kind = &conf_word, .at = AT(childless), .words = childless, .standard = "\"allow\"",
	 .help = "IKE SAs without a CHILD SA (RFC 6023)"},
	{.name = "fragmentation", .kind = &conf_word, .at = AT(fragmentation), .words = fragmentation,
	 .standard = "\"yes\"", .help = "whether long messages of IKE are divided (RFC 7383)"},
	{.name = "fragment_size", .kind = &conf_number, .at = AT(fragment_size), .least = FRAGMENT_SIZE_MIN,
	 .most = UINT16_MAX, .standard = "1280", .help = "bytes of an IP datagram of IKE"},
	{.name = "mobike", .kind = &conf_either, .at = AT(mobike), .words = yes_no, .standard = "\"yes\"",
	 .help = "SAs move with addresses (RFC 4555)"},
	{.name = "vips", .kind = &conf_vips, .help = "addresses that we ask the peer for"},
	{.name = "dns", .kind = &conf_word, .at = AT(dns), .words = dns_uses, .standard = "\"none\"",
	 .help = "what becomes of DNS servers that the peer assigns"},
	{.name = "dns_domains", .kind = &conf_domains, .at = AT(dns_domains), .help = "names for which they are asked"},
	{.name = "pools", .kind = &conf_pool_names, .help = "pools from which the peer gets addresses"},
	{.name = "device", .kind = &conn_device, .good = conf_is_device, .rule = CONF_DEVICE_RULE,
	 .help = "TUN device of the children"},
	{.name = "children", .kind = &children,
	 .needed = "children: { NAME: { local_ts = ...; remote_ts = ...; }; }", .help = "a group for each"},
};
#undef AT

#define AT(field) offsetof(struct child_conf, field)
static const struct conf_option child_options[] = {
	{.name = "local_ts", .kind = &conf_selectors, .at = AT(local_ts), .needed = "local_ts",
	 .help = "our side of the traffic"},
	{.name = "remote_ts", .kind = &conf_selectors, .at = AT(remote_ts), .needed = "remote_ts",
	 .help = "the peer's side of the traffic"},
	{.name = "esp_proposals", .kind = &conf_esp_proposals, .at = AT(proposals),
	 .standard = "\"default\"", .help = "ESP proposals"},
	{.name = "rekey_time", .kind = &conf_time, .at = AT(rekey_time), .least = NSEC_PER_SEC, .most = REKEY_MAX,
	 .zero = "never", .standard = "\"1h\"", .help = "rekey of the CHILD SA"},
	{.name = "life_time", .kind = &conf_time, .at = AT(life_time), .least = NSEC_PER_SEC,
	 .zero = "never", .derive = derive_life, .help = "end of the CHILD SA"},
	{.name = "rekey_bytes", .kind = &conf_size, .at = AT(rekey_bytes), .most = VOLUME_MAX, .standard = "0",
	 .help = "rekey after so many bytes; 0: never"},
	{.name = "life_bytes", .kind = &conf_size, .at = AT(life_bytes), .most = VOLUME_MAX, .standard = "0",
	 .help = "end after so many bytes; 0: never"},
	{.name = "rekey_packets", .kind = &conf_size, .at = AT(rekey_packets), .most = VOLUME_MAX,
	 .standard = "0", .help = "rekey after so many packets; 0: never"},
	{.name = "life_packets", .kind = &conf_size, .at = AT(life_packets), .most = VOLUME_MAX, .standard = "0",
	 .help = "end after so many packets; 0: never"},
	{.name = "start_action", .kind = &conf_word, .at = AT(start_action), .words = actions,
	 .standard = "\"none\"", .help = "what brings it up"},
	{.name = "close_action", .kind = &end_action, .at = AT(close_action), .standard = "\"auto\"",
	 .help = "what follows when the peer has deleted it"},
	{.name = "dpd_action", .kind = &end_action, .at = AT(dpd_action), .standard = "\"auto\"",
	 .help = "what follows when the peer is silent"},
	{.name = "device", .kind = &conf_text, .at = AT(device), .good = conf_is_device,
	 .rule = CONF_DEVICE_RULE, .derive = derive_device, .help = "TUN device of its own"},
	{.name = "replay_window", .kind = &replay_window, .at = AT(replay_window), .least = WINDOW_MIN,
	 .most = WINDOW_MAX, .zero = "no protection", .standard = "1024",
	 .help = "packets of the anti-replay window"},
	{.name = "switchover", .kind = &switchover, .help = "how a switchover of the peer is found and cured"},
};
#undef AT
/* clang-format on */

const struct conf_table conf_conn_table = {conn_options, ARRAY_SIZE(conn_options)};
const struct conf_table conf_child_table = {child_options, ARRAY_SIZE(child_options)};

/* ---- groups ---- */

static int read_child(struct conf_reader *r, config_setting_t *g, struct child_conf *c)
{
	int e = conf_get_name(r, g, &c->name);

	conf_place_add(&r->config->children_at, r, g);
	c->options = xmemdup(&r->config->defaults, sizeof(r->config->defaults));
	if (e < 0 || conf_read_options(r, g, &conf_child_table, c) < 0)
		return -EINVAL;
	return conf_check_child(r, g, c);
}

static int read_children(struct conf_reader *r, config_setting_t *g, const struct conf_option *o,
			 void *base)
{
	struct conn_conf *c = base;
	int n = config_setting_is_group(g) ? config_setting_length(g) : 0;

	if (n == 0)
		return conf_fail(r, g, "needs %s", o->needed);
	c->children = xzalloc((size_t)n * sizeof(*c->children));
	for (int i = 0; i < n; i++) {
		c->child_count++;
		if (read_child(r, config_setting_get_elem(g, (unsigned)i), &c->children[i]) < 0)
			return -EINVAL;
		c->routes += c->children[i].remote_ts->count;
	}
	return 0;
}

int conf_get_conn(struct conf_reader *r, config_setting_t *g)
{
	struct config *c = r->config;
	struct conn_conf *conn = xzalloc(sizeof(*conn));
	int e = conf_get_name(r, g, &conn->name);
	int before;

	conn->refs = 1;
	c->conns.v = xreallocarray(c->conns.v, c->conns.count + 1, sizeof(*c->conns.v));
	conf_place_add(&c->where, r, g);
	c->conns.v[c->conns.count++] = conn;
	if (e < 0)
		return e;
	before = conn_names_find(c->names, conn->name);
	if (before < 0)
		(void)conn_names_add(c->names, conn->name);
	if (c->conns.count > CONNS_MAX)
		return conf_fail(r, g, "more than %d connections", CONNS_MAX);
	if (before >= 0)
		return conf_fail(r, g, "%.100s already has a connection of this name: rename one",
				 c->where.v[before]);
	if (conf_read_options(r, g, &conf_conn_table, conn) < 0)
		return -EINVAL;
	if (conn->ppk_required && !conn->ppk_id)
		return conf_fail(r, g, "ppk_required needs ppk_id");
	if (conf_check_conn(r, g, conn) < 0)
		return -EINVAL;
	return conf_load_creds(r, g, conn);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The number of different devices of children. */
static unsigned count_devices(const struct config *c)
{
	const char **names = NULL;
	unsigned count = 0, different = 0;

	for (unsigned i = 0; i < c->conns.count; i++) {
		const struct conn_conf *conn = c->conns.v[i];

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
		snprintf(err, CONFIG_ERR,
			 "%.100s: connections: %u TUN devices (device = ...) in all, more than %d",
			 c->where.v[0], different, DEVICE_MAX);
		return -EINVAL;
	}
	for (unsigned i = 0; i < c->conns.count; i++) {
		const struct conn_conf *conn = c->conns.v[i];

		for (unsigned k = 0; k < conn->child_count; k++) {
			const char *name = conn->children[k].device;

			if (!name || strcmp(name, c->fixed.tun) != 0)
				continue;
			snprintf(err, CONFIG_ERR,
				 "%.100s: connections.%.60s: device = \"%s\" is the shared "
				 "device (daemon.tun): remove the option, or use another name",
				 c->where.v[i], conn->name, name);
			return -EINVAL;
		}
	}
	return 0;
}

#define IDS_SHOWN 3

/* Names the identities that secrets has a key for; nothing if it has none. */
static void list_ids(const struct psk_store *store, char *out, size_t size)
{
	char id[IDENT_STRLEN];
	unsigned count = 0;
	size_t at = 0;

	*out = '\0';
	for (unsigned i = 0; i < store->count; i++) {
		for (unsigned k = 0; k < store->v[i].id_count; k++, count++) {
			if (count >= IDS_SHOWN || at >= size)
				continue;
			at += (size_t)snprintf(out + at, size - at, "%s\"%.60s\"",
					       count ? ", " : ", which has one for ",
					       ident_format(&store->v[i].ids[k], id));
		}
	}
	if (count > IDS_SHOWN && at < size)
		snprintf(out + at, size - at, " and %u more", count - IDS_SHOWN);
}

/* What is wrong with the connection, when all secrets are known. 0, or -EINVAL with why. */
static int check_one(const struct conn_conf *conn, const struct psk_store *secrets, char *why)
{
	char id[IDENT_STRLEN], ids[200];

	if (conf_check_eap(conn, secrets, why) < 0)
		return -EINVAL;
	if (ident_eq(&conn->local_id, &conn->remote_id)) {
		snprintf(why, CONFIG_ERR,
			 "remote.id is the same as local.id: set remote.id to the identity of the "
			 "peer");
		return -EINVAL;
	}
	if (conn_has_psk(conn) && !psk_find(secrets, &conn->local_id, &conn->remote_id) &&
	    !ident_is_pattern(&conn->remote_id)) {
		list_ids(secrets, ids, sizeof(ids));
		snprintf(why, CONFIG_ERR, "no secret for \"%.100s\": add one to secrets%s",
			 ident_format(&conn->remote_id, id), ids);
		return -EINVAL;
	}
	if (conn->ppk_id && strcmp(conn->ppk_id, PPK_ANY) != 0 &&
	    !ppk_find(secrets, conn->ppk_id)) {
		snprintf(why, CONFIG_ERR,
			 "no post-quantum key \"%s\": add a group ppk... to secrets", conn->ppk_id);
		return -EINVAL;
	}
	return 0;
}

int conf_finish(struct config *c, char *err)
{
	char why[CONFIG_ERR];

	if (conf_check_devices(c, err) < 0 || conf_check_backups(c, err) < 0)
		return -EINVAL;
	cred_store_complete(c->conns.creds);
	conf_alike_check(c);
	for (unsigned i = 0; i < c->conns.count; i++) {
		if (check_one(c->conns.v[i], c->conns.secrets, why) < 0) {
			snprintf(err, CONFIG_ERR, "%.100s: connections.%.60s: %.330s",
				 c->where.v[i], c->conns.v[i]->name, why);
			return -EINVAL;
		}
	}
	return 0;
}
