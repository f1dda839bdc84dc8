/*
 * cures_conf.c - the configurations of the gateway and its branches. SPDX-License-Identifier: ISC
 *
 * They have no rekeys by time and no liveness checks, so that all exchanges are due to the cure.
 */
#include "cures_world.h"
#include "one_conn.h"
#include "xalloc.h"

#include <stdio.h>

/*
 * Without ESN, so that all cures have the same suite: ESN needs replay protection, from whose
 * window the receiver infers the high half of a sequence number.
 */
#define ESP_PROPOSAL "aes128gcm16-x25519-noesn"
#define IKE_PROPOSAL "aes256gcm16-prfsha384-x25519"
#define SECRET	     "a secret that all have"

void inner_address(uint32_t index, uint8_t out[4])
{
	out[0] = 10;
	out[1] = 1;
	out[2] = (uint8_t)(index >> 8);
	out[3] = (uint8_t)index;
}

static void selector(struct ts_list *l, const char *text)
{
	if (ts_parse(text, &l->ts[0]) < 0)
		die("selector %s", text);
	l->count = 1;
}

static void proposal(struct proposal_list *l, uint8_t protocol, const char *text)
{
	char err[PROPOSAL_ERR];

	if (proposals_add_text(l, text, protocol, err) < 0)
		die("%s: %s", text, err);
}

static void identity(struct ident *id, const char *text)
{
	if (ident_parse(text, id) < 0)
		die("identity %s", text);
}

static struct conn_conf *conf_new(const char *name, const char *local, const char *remote,
				  uint32_t window)
{
	struct conn_conf *c = xzalloc(sizeof(*c));
	struct child_conf *k = xzalloc(sizeof(*k));

	c->refs = 1;
	c->name = xstrdup(name);
	identity(&c->local_id, local);
	identity(&c->remote_id, remote);
	proposal(&c->proposals, PROTOCOL_IKE, IKE_PROPOSAL);
	c->children = k;
	c->child_count = 1;
	k->name = xstrdup("net");
	k->local_ts = xzalloc(sizeof(*k->local_ts));
	k->remote_ts = xzalloc(sizeof(*k->remote_ts));
	proposal(&k->proposals, PROTOCOL_ESP, ESP_PROPOSAL);
	k->replay_window = window;
	k->options = xzalloc(sizeof(*k->options));
	tunnel_options_default(k->options);
	return c;
}

struct conn_conf *conf_of_gateway(uint32_t window)
{
	struct conn_conf *c = conf_new("branches", "gw.example.net", "*.example", window);

	c->remote_any = true;
	selector(c->children->local_ts, "10.2.0.0/16");
	selector(c->children->remote_ts, "10.1.0.0/16");
	return c;
}

struct conn_conf *conf_of_branch(uint32_t index, const struct endpoint *gateway, uint32_t window)
{
	char name[32], net[32];
	uint8_t a[4];
	struct conn_conf *c;

	snprintf(name, sizeof(name), "branch-%u.example", index);
	c = conf_new("gw", name, "gw.example.net", window);
	c->local_port = c->remote_port = IKE_PORT;
	c->remote[c->remote_count++] = *gateway;
	inner_address(index, a);
	snprintf(net, sizeof(net), "%u.%u.%u.%u/32", a[0], a[1], a[2], a[3]);
	selector(c->children->local_ts, net);
	selector(c->children->remote_ts, "10.2.0.0/16");
	c->children->start_action = START_START;
	return c;
}

void conf_use(struct tunnel *t, const struct conn_conf *conf, nsec_t now)
{
	struct conn_set set = one_conn(conf, SECRET);

	tunnel_configure(t, &set, NULL, now);
	conn_set_fini(&set);
}
