/* two_gateways.c - see two_gateways.h. SPDX-License-Identifier: ISC */
#include "two_gateways.h"
#include "xalloc.h"

static const struct party ours[] = {{"gw1", "branch.example", "gw1.example", "10.1.0.0/24"},
				    {"gw2", "branch.example", "gw2.example", "10.1.0.0/24"}};
static const struct party theirs[] = {{"b1", "gw1.example", "branch.example", "10.1.0.0/24"},
				      {"b2", "gw2.example", "branch.example", "10.1.0.0/24"}};

bool dead[2], two_addresses;
/* Packets that have gone to each, dead or not. */
static unsigned sent_to[2];
/* What the first gateway takes for the first child. */
static struct ts *its_policy;
static unsigned child_count;
static bool has_two_addresses;

static bool where_it_lives(struct net *n, unsigned from, struct datagram *d)
{
	const struct addr *a = from == GW ? &d->from.addr : &d->dest.addr;
	unsigned which = addr_eq(a, &n->peer[GW].also) ? SECOND : FIRST;

	if (from == BRANCH && d->counted)
		sent_to[which]++;
	return !dead[which];
}

static bool is_same(const struct conn_conf *a, const struct conn_conf *b)
{
	return (a->backup == NULL) == (b->backup == NULL);
}

/* Calls use with the configuration of a side, and returns what it does. */
static int with_conf(struct net *n, unsigned side, bool has_backup,
		     int (*use)(struct net *n, unsigned side, const struct conn_set *set))
{
	const struct conn_conf *confs[2];
	struct psk_store *s = secrets_of(&for_all, 1);
	const struct conn_set set = {.v = confs, .count = 2, .secrets = s};
	int r;

	n->o.children = child_count;
	for (unsigned i = 0; i < 2; i++) {
		struct conn_conf *c = party_conf(n, side, side == BRANCH ? &ours[i] : &theirs[i]);

		c->mobike = false;
		c->dpd_delay = DPD;
		c->failback = FAILBACK;
		if (side == BRANCH && i == SECOND)
			c->remote[0].addr = n->peer[GW].also;
		if (side == BRANCH && i == FIRST && has_two_addresses) {
			c->remote[1] = c->remote[0];
			c->remote[1].addr = n->peer[GW].also;
			c->remote_count = 2;
		}
		if (side == BRANCH && i == FIRST && has_backup)
			c->backup = xstrdup(ours[SECOND].name);
		if (side == GW && i == FIRST)
			its_policy = &c->children[0].local_ts->ts[0];
		confs[i] = c;
	}
	n->o.children = 1;
	r = use(n, side, &set);
	for (unsigned i = 0; i < 2; i++)
		conn_unref(confs[i]);
	psk_store_unref(s);
	return r;
}

static int take(struct net *n, unsigned side, const struct conn_set *set)
{
	tunnel_configure(n->peer[side].tunnel, set, is_same, n->now);
	return 0;
}

void branch_configure(struct net *n, bool has_backup)
{
	(void)with_conf(n, BRANCH, has_backup, take);
}

static int restart(struct net *n, unsigned side, const struct conn_set *set)
{
	uint8_t *room = xreallocarray(NULL, 1, SAVED_ROOM);
	unsigned conns;
	struct chunk saved = peer_save(n, side, room, SAVED_ROOM, &conns);
	int loaded = peer_load_set(n, side, saved, set);

	free(room);
	assert_int_equal(loaded, conns);
	return loaded;
}

int branch_restart(struct net *n, bool has_backup)
{
	return with_conf(n, BRANCH, has_backup, restart);
}

struct net *two_gateways(bool has_backup, enum start_action start, unsigned children)
{
	struct net *n = quiet_net();

	child_count = children;
	has_two_addresses = two_addresses;
	two_addresses = false;
	dead[FIRST] = dead[SECOND] = false;
	assert_int_equal(addr_parse("192.0.2.77", &n->peer[GW].also), 0);
	(void)with_conf(n, GW, false, take);
	n->o.start = start;
	branch_configure(n, has_backup);
	n->hook = where_it_lives;
	return n;
}

void takes_children(bool yes)
{
	assert_int_equal(ts_parse(yes ? "10.2.0.0/24" : "10.99.0.0/24", its_policy), 0);
}

unsigned goes_to(struct net *n, nsec_t time)
{
	sent_to[FIRST] = sent_to[SECOND] = 0;
	net_run(n, time);
	if (sent_to[FIRST] && sent_to[SECOND])
		return BOTH;
	assert_true(sent_to[FIRST] || sent_to[SECOND]);
	return sent_to[SECOND] ? SECOND : FIRST;
}
