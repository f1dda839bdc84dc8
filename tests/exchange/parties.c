/* parties.c - see parties.h. SPDX-License-Identifier: ISC */
#include "parties.h"
#include "xalloc.h"

const struct secret two_secrets[2] = {{"guest.example", "the guest's"}, {"b.example", "b's"}};
const struct party fleet = {"fleet", "gw.example.net", "*.example", "10.1.0.0/16"};
const struct party guest = {"guest", "guest.example", "gw.example.net", "10.1.1.0/24"};
const struct party b_peer = {"b", "b.example", "gw.example.net", "10.1.0.0/24"};
const struct secret for_all = {NULL, "one for all"};
const char *const all_secrets[CONNS] = {"one for all", "one for all", "one for all", "one for all"};

struct psk_store *secrets_of(const struct secret *v, unsigned count)
{
	struct psk_store *s = psk_store_new();

	s->v = xzalloc(count * sizeof(*s->v));
	s->count = count;
	for (unsigned i = 0; i < count; i++) {
		s->v[i].secret = xmemdup(v[i].secret, strlen(v[i].secret));
		s->v[i].len = strlen(v[i].secret);
		if (v[i].id)
			assert_int_equal(ident_parse(v[i].id, &s->v[i].ids[s->v[i].id_count++]), 0);
	}
	return s;
}

void wire_name(struct ident *id, const char *name)
{
	assert_int_equal(
		ident_from_wire(ID_FQDN, (struct chunk){(const uint8_t *)name, strlen(name)}, id),
		0);
}

struct conn_conf *party_conf(struct net *n, unsigned side, const struct party *p)
{
	struct conn_conf *c = peer_conf(n, side);
	struct child_conf *k = &c->children[0];

	free(c->name);
	c->name = xstrdup(p->name);
	wire_name(&c->local_id, p->local);
	assert_int_equal(ident_parse(p->remote, &c->remote_id), 0);
	assert_int_equal(
		ts_parse(p->net, side == BRANCH ? &k->local_ts->ts[0] : &k->remote_ts->ts[0]), 0);
	return c;
}

static void configure(struct net *n, unsigned side, const struct conn_conf **confs, unsigned count,
		      struct psk_store *secrets)
{
	struct conn_set set = {.v = confs, .count = count, .secrets = secrets};

	tunnel_configure(n->peer[side].tunnel, &set, always_same, n->now);
	for (unsigned i = 0; i < count; i++)
		conn_unref(confs[i]);
	psk_store_unref(secrets);
}

void gateway(struct net *n, const struct party *v, unsigned count, const struct secret *secrets,
	     unsigned secret_count)
{
	const struct conn_conf *confs[CONNS];

	assert_in_range(count, 0, CONNS);
	for (unsigned i = 0; i < count; i++) {
		struct conn_conf *c = party_conf(n, GW, &v[i]);

		c->remote_any = true;
		confs[i] = c;
	}
	configure(n, GW, confs, count, secrets_of(secrets, secret_count));
}

/* One secret per caller, for its own identity and that of the gateway. */
static struct psk_store *secrets_of_callers(const struct conn_conf *const *confs,
					    const char *const *secrets, unsigned count)
{
	struct psk_store *s = psk_store_new();

	s->v = xzalloc(count * sizeof(*s->v));
	s->count = count;
	for (unsigned i = 0; i < count; i++) {
		s->v[i].len = strlen(secrets[i]);
		s->v[i].secret = xmemdup(secrets[i], s->v[i].len);
		s->v[i].ids[0] = confs[i]->local_id;
		s->v[i].ids[1] = confs[i]->remote_id;
		s->v[i].id_count = 2;
	}
	return s;
}

void callers(struct net *n, const struct party *v, const char *const *secrets, unsigned count)
{
	const struct conn_conf *confs[CONNS];

	assert_in_range(count, 1, CONNS);
	for (unsigned i = 0; i < count; i++)
		confs[i] = party_conf(n, BRANCH, &v[i]);
	configure(n, BRANCH, confs, count, secrets_of_callers(confs, secrets, count));
}

struct net *quiet_net(void)
{
	struct options o = options_default();
	struct net *n;

	o.start = START_NONE;
	o.dpd = 5 * SEC;
	n = net_new(&o);
	return n;
}

struct tunnel_child *child_of(struct net *n, unsigned side, const char *conn)
{
	struct tunnel_conn *c = tunnel_find_conn(n->peer[side].tunnel, conn);

	return c ? LIST_FIRST(&c->children) : NULL;
}

bool is_up(struct net *n, const char *conn)
{
	struct tunnel_child *k = child_of(n, BRANCH, conn);

	return k && k->current;
}

void bring_up(struct net *n, const char *conn)
{
	tunnel_child_up(child_of(n, BRANCH, conn), n->now);
	net_run(n, 5 * SEC);
}

uint64_t counter(struct net *n, unsigned i, enum ike_counter c)
{
	return ike_counters(n->peer[i].tunnel->ike)[c];
}
