/*
 * t_hostile.c - peers that have a key, or stand on the path, and want what is another's.
 * SPDX-License-Identifier: ISC
 *
 * The branch stands for several peers at one address: each of its connections is one of them, with
 * an identity and a secret of its own.
 */
#include "peers.h"
#include "xalloc.h"

#define CONNS 4

/* A connection of either side; the child is net0 with one net on each side. */
struct party {
	const char *name;	    /* of the connection */
	const char *local, *remote; /* identities; local on the wire as it stands */
	const char *net;	    /* the branch's side of the child */
};

/* A secret of the gateway's; ids: one or NULL. */
struct secret {
	const char *id, *secret;
};

static struct psk_store *secrets_of(const struct secret *v, unsigned count)
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

/* What a peer may send as its name, patterns and all. */
static void wire_name(struct ident *id, const char *name)
{
	assert_int_equal(
		ident_from_wire(ID_FQDN, (struct chunk){(const uint8_t *)name, strlen(name)}, id),
		0);
}

static struct conn_conf *party_conf(struct net *n, unsigned side, const struct party *p,
				    struct psk_store *secrets)
{
	struct conn_conf *c = peer_conf(n, side);
	struct child_conf *k = &c->children[0];

	free(c->name);
	c->name = xstrdup(p->name);
	wire_name(&c->local_id, p->local);
	assert_int_equal(ident_parse(p->remote, &c->remote_id), 0);
	assert_int_equal(
		ts_parse(p->net, side == BRANCH ? &k->local_ts.ts[0] : &k->remote_ts.ts[0]), 0);
	psk_store_unref(c->secrets);
	c->secrets = secrets;
	return c;
}

static bool always_same(const struct conn_conf *a, const struct conn_conf *b)
{
	(void)a, (void)b;
	return true;
}

/* The gateway answers these, with these secrets. */
static void gateway(struct net *n, const struct party *v, unsigned count,
		    const struct secret *secrets, unsigned secret_count)
{
	struct conn_conf *confs[CONNS];

	assert_in_range(count, 0, CONNS);
	for (unsigned i = 0; i < count; i++) {
		confs[i] = party_conf(n, GW, &v[i], secrets_of(secrets, secret_count));
		confs[i]->remote_any = true;
	}
	tunnel_configure(n->peer[GW].tunnel, confs, count, always_same, n->now);
	for (unsigned i = 0; i < count; i++)
		conn_unref(confs[i]);
}

/* These peers call, each with a secret. */
static void callers(struct net *n, const struct party *v, const char *const *secrets,
		    unsigned count)
{
	struct conn_conf *confs[CONNS];

	assert_in_range(count, 1, CONNS);
	for (unsigned i = 0; i < count; i++) {
		const struct secret s = {NULL, secrets[i]};

		confs[i] = party_conf(n, BRANCH, &v[i], secrets_of(&s, 1));
	}
	tunnel_configure(n->peer[BRANCH].tunnel, confs, count, always_same, n->now);
	for (unsigned i = 0; i < count; i++)
		conn_unref(confs[i]);
}

static struct net *quiet_net(void)
{
	struct options o = options_default();
	struct net *n;

	o.start = START_NONE;
	o.dpd = 5 * SEC;
	n = net_new(&o);
	return n;
}

static struct tun_child *child_of(struct net *n, unsigned side, const char *conn)
{
	struct tun_conn *c = tunnel_find_conn(n->peer[side].tunnel, conn);

	return c ? LIST_FIRST(&c->children) : NULL;
}

static bool is_up(struct net *n, const char *conn)
{
	struct tun_child *k = child_of(n, BRANCH, conn);

	return k && k->current;
}

static void bring_up(struct net *n, const char *conn)
{
	tunnel_child_up(child_of(n, BRANCH, conn), n->now);
	net_run(n, 5 * SEC);
}

static uint64_t counter(struct net *n, unsigned i, enum ike_counter c)
{
	return ike_counters(n->peer[i].tunnel->ike)[c];
}

/* ---- identities ---- */

static const struct secret two_secrets[] = {{"guest.example", "the guest's"}, {"b.example", "b's"}};

/*
 * A peer sends as its name what is a pattern in a configuration: it fits a connection that is for
 * others, and no secret but the one of its own name is to be found for it.
 */
static void a_pattern_is_no_name(void **state)
{
	static const char *const names[] = {"*.example", "*t.example", "*", "*guest.example",
					    "guest.example"};
	const struct party gw[] = {{"guest", "gw.example.net", "guest.example", "10.1.1.0/24"},
				   {"fleet", "gw.example.net", "*.example", "10.1.0.0/24"}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		bool honest = strcmp(names[i], "guest.example") == 0;
		const struct party p[] = {{"evil", names[i], "gw.example.net", "10.1.0.0/16"},
					  {"b", "b.example", "gw.example.net", "10.1.0.0/16"}};
		const char *const secrets[] = {"the guest's", "b's"};
		struct net *n = quiet_net();

		gateway(n, gw, 2, two_secrets, 2);
		callers(n, p, secrets, 2);
		bring_up(n, "evil");
		assert_int_equal(is_up(n, "evil"), honest);
		/* b is let in, and only b has what the fleet's is. */
		bring_up(n, "b");
		assert_true(is_up(n, "b"));
		for (unsigned k = 0; k < 5; k++)
			net_packet(n, GW, 0);
		net_run(n, SEC);
		assert_int_equal(n->peer[BRANCH].delivered, 5);
		assert_int_equal(tun_sa_esp(child_of(n, BRANCH, "b")->current)->in.packets, 5);
		net_free(n);
	}
}

/* Names with a NUL or a control character inside are none: what is compared is all of a name. */
static void names_have_no_terminators(void **state)
{
	static const char bad[][8] = {"a\0b.ex", "a\nb.ex", "a b.exa", "a\177b.ex"};
	struct ident id;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		const struct chunk c = {(const uint8_t *)bad[i], 6};

		assert_int_equal(ident_from_wire(ID_FQDN, c, &id), -EINVAL);
		assert_int_equal(ident_from_wire(ID_RFC822, c, &id), -EINVAL);
		assert_int_equal(ident_from_wire(ID_KEY_ID, c, &id), 0);
	}
}

/* Each way to compare two identities, for a name and the pattern that looks like it. */
static void patterns_match_one_way(void **state)
{
	struct ident pattern, wire, name;
	char text[IDENT_STRLEN];

	(void)state;
	assert_int_equal(ident_parse("*.example", &pattern), 0);
	assert_int_equal(ident_parse("a.example", &name), 0);
	wire_name(&wire, "*.example");
	assert_true(ident_is_pattern(&pattern));
	assert_false(ident_is_pattern(&wire));
	assert_false(ident_eq(&pattern, &wire));
	assert_false(ident_eq(&wire, &pattern));
	assert_int_equal(ident_match(&wire, &name), 0);
	assert_int_equal(ident_match(&name, &wire), 0);
	/* As any name that ends so; not as the pattern itself. */
	assert_int_equal(ident_match(&pattern, &wire), ident_match(&pattern, &name));
	assert_string_equal(ident_format(&wire, text), "*.example");
}

/* ---- reflection ---- */

/* Somebody on the path without a key: whatever a peer sends comes back to it, and only that. */
struct mirror {
	bool other_spi; /* with another SPI it does not show by that whose call it is */
	unsigned count;
	struct {
		bool esp;
		uint32_t len;
		uint8_t b[1500];
	} d[64];
};

static bool into_mirror(struct net *n, unsigned from, struct datagram *d)
{
	struct mirror *m = n->hook_ctx;

	(void)from;
	if (m->count == ARRAY_SIZE(m->d) || d->len > sizeof(m->d[0].b))
		return false;
	m->d[m->count].esp = d->esp;
	m->d[m->count].len = d->len;
	memcpy(m->d[m->count].b, d->p, d->len);
	if (m->other_spi && !d->esp && d->p[18] == IKE_SA_INIT)
		m->d[m->count].b[0] ^= 0x55;
	m->count++;
	return false;
}

static void run_mirrored(struct net *n, struct mirror *m, nsec_t time)
{
	n->hook = into_mirror;
	n->hook_ctx = m;
	for (nsec_t end = n->now + time; n->now < end; net_run(n, 10 * MSEC)) {
		unsigned count = m->count;

		for (unsigned i = 0; i < count; i++)
			net_inject(n, BRANCH, m->d[i].esp, m->d[i].b, m->d[i].len);
		memmove(m->d, m->d + count, (m->count - count) * sizeof(m->d[0]));
		m->count -= count;
	}
}

static void a_mirror_is_no_peer(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		static struct mirror m;
		const struct party p = {"loop", "a.example", kind & 2 ? "%any" : "*.example",
					"10.1.0.0/16"};
		const struct secret s = {NULL, "one for all"};
		struct net *n = quiet_net();
		struct conn_conf *c = party_conf(n, BRANCH, &p, secrets_of(&s, 1));

		c->remote_any = true;
		c->children[0].start_action = START_START;
		tunnel_configure(n->peer[BRANCH].tunnel, &c, 1, always_same, n->now);
		conn_unref(c);
		m = (struct mirror){.other_spi = kind & 1};
		/* It may send from anywhere. */
		if (kind == 2)
			assert_int_equal(addr_parse("192.0.2.77", &n->peer[GW].address.addr), 0);
		run_mirrored(n, &m, 20 * SEC);
		assert_true(counter(n, BRANCH, IKE_COUNT_REFLECTED) > 0);
		assert_int_equal(n->peer[BRANCH].tunnel->ike->half_open, 0);
		assert_false(is_up(n, "loop"));
		net_free(n);
	}
}

/* A peer that knows the secret of all and says it is we: with a pattern it would fit. */
static void our_own_name_is_not_the_peers(void **state)
{
	const struct party gw = {"fleet", "gw.example", "*.example", "10.1.0.0/16"};
	const struct party p = {"evil", "gw.example", "%any", "10.1.0.0/16"};
	const struct secret s = {NULL, "one for all"};
	const char *const secret = "one for all";
	struct net *n = quiet_net();

	(void)state;
	gateway(n, &gw, 1, &s, 1);
	callers(n, &p, &secret, 1);
	bring_up(n, "evil");
	assert_false(is_up(n, "evil"));
	assert_int_equal(HASH_COUNT(n->peer[GW].tunnel->ike->sas), 0);
	net_free(n);
}

/* ---- what is revoked is out ---- */

static bool no_auth(struct net *n, unsigned from, struct datagram *d)
{
	(void)n;
	return from != BRANCH || d->esp || d->p[18] != IKE_AUTH;
}

static const struct party fleet = {"fleet", "gw.example.net", "*.example", "10.1.0.0/16"};
static const struct party guest = {"guest", "guest.example", "gw.example.net", "10.1.1.0/24"};
static const struct party b_peer = {"b", "b.example", "gw.example.net", "10.1.0.0/24"};

/*
 * IKE_SA_INIT is answered, then the gateway reads another configuration, then IKE_AUTH comes: what
 * counts is the configuration of that moment.
 */
static void half_open_is_not_let_in(void **state)
{
	static const struct secret other[] = {{"guest.example", "another one"}};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		const char *const secret = "the guest's";
		struct net *n = quiet_net();

		gateway(n, &fleet, 1, two_secrets, 2);
		callers(n, &guest, &secret, 1);
		n->hook = no_auth;
		tunnel_child_up(child_of(n, BRANCH, "guest"), n->now);
		net_run(n, 500 * MSEC);
		assert_int_equal(n->peer[GW].tunnel->ike->half_open, 1);
		switch (i) {
		case 0: gateway(n, &fleet, 0, two_secrets, 0); break;
		case 1: gateway(n, &fleet, 1, other, 1); break;
		case 2: gateway(n, &fleet, 1, two_secrets, 2); break;
		}
		assert_int_equal(n->peer[GW].tunnel->ike->half_open, i != 0);
		n->hook = NULL;
		net_run(n, 10 * SEC);
		assert_int_equal(is_up(n, "guest"), i == 2);
		net_free(n);
	}
}

/* Of two peers of a pattern the secret of one is removed: that one is out, the other stays. */
static void established_is_out(void **state)
{
	const struct party p[] = {guest, b_peer};
	const char *const secrets[] = {"the guest's", "b's"};
	struct net *n = quiet_net();

	(void)state;
	gateway(n, &fleet, 1, two_secrets, 2);
	callers(n, p, secrets, 2);
	bring_up(n, "guest");
	bring_up(n, "b");
	assert_true(is_up(n, "guest") && is_up(n, "b"));
	gateway(n, &fleet, 1, two_secrets, 2); /* the same again */
	net_run(n, SEC);
	assert_int_equal(HASH_COUNT(n->peer[GW].tunnel->ike->sas), 2);
	gateway(n, &fleet, 1, two_secrets + 1, 1);
	net_run(n, 5 * SEC);
	assert_false(is_up(n, "guest"));
	assert_true(is_up(n, "b"));
	assert_int_equal(HASH_COUNT(n->peer[GW].tunnel->ike->sas), 1);
	bring_up(n, "guest");
	assert_false(is_up(n, "guest"));
	net_free(n);
}

/* The same for a peer with a connection of its own, whose secret is another one from now on. */
static void another_secret_is_asked_for(void **state)
{
	const struct party own = {"own", "gw.example.net", "guest.example", "10.1.0.0/16"};
	const struct secret other = {"guest.example", "another one"};
	const char *const secret = "the guest's", *const now = other.secret;
	struct net *n = quiet_net();

	(void)state;
	gateway(n, &own, 1, two_secrets, 2);
	callers(n, &guest, &secret, 1);
	bring_up(n, "guest");
	assert_true(is_up(n, "guest"));
	gateway(n, &own, 1, &other, 1);
	net_run(n, 5 * SEC);
	assert_false(is_up(n, "guest"));
	callers(n, &guest, &now, 1);
	bring_up(n, "guest");
	assert_true(is_up(n, "guest"));
	net_free(n);
}

/* ---- another's addresses ---- */

static const struct secret for_all = {NULL, "one for all"};
static const char *const all_secrets[] = {"one for all", "one for all", "one for all"};

/* The first peer has 10.1.1.0/24. What the second one asks for, and whether it is let. */
static const struct {
	const char *net;
	const char *gw_remote; /* of its connection */
	bool let;
} claims[] = {
	{"10.1.1.0/24", "*.example", false},
	{"10.1.1.7/32", "*.example", false},
	{"10.1.0.0/16", "*.example", false},
	{"10.1.2.0/24", "*.example", true},
	{"10.1.1.7/32", "*.b.example", false},
	{"10.1.2.0/24", "*.b.example", true},
	/* The operator said so: it has a connection of its own. */
	{"10.1.1.7/32", "x.b.example", true},
};

static void another_keeps_what_it_has(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(claims); i++) {
		const struct party gw[] = {
			{"fleet", "gw.example.net", "*.example", "10.1.0.0/16"},
			{"more", "gw.example.net", claims[i].gw_remote, "10.1.0.0/16"}};
		const struct party p[] = {
			{"first", "a.example", "gw.example.net", "10.1.1.0/24"},
			{"second", "x.b.example", "gw.example.net", claims[i].net}};
		struct net *n = quiet_net();

		gateway(n, gw, strcmp(gw[1].remote, "*.example") == 0 ? 1 : 2, &for_all, 1);
		callers(n, p, all_secrets, 2);
		bring_up(n, "first");
		assert_true(is_up(n, "first"));
		bring_up(n, "second");
		if (is_up(n, "second") != claims[i].let)
			fail_msg("claim %u: %s", i, claims[i].let ? "refused" : "let");
		assert_true(is_up(n, "first"));
		/* Once it is gone, what it had is anybody's. */
		tunnel_child_down(child_of(n, BRANCH, "first"), n->now);
		net_run(n, 20 * SEC);
		bring_up(n, "second");
		assert_true(is_up(n, "second"));
		net_free(n);
	}
}

/*
 * A peer with a connection of its own has `has`; one of a pattern with 10.1.0.0/16 asks for `asks`.
 * Where all of that lies within the wider selectors, as within a default route, the operator has
 * given it away; a part of what is narrower is not to be had.
 */
static void a_wider_tunnel_keeps_nobody_out(void **state)
{
	static const struct {
		const char *has, *asks;
		bool let;
	} cases[] = {{"0.0.0.0/0", "10.1.2.0/24", true},
		     {"10.0.0.0/8", "10.1.2.0/24", true},
		     {"10.1.0.0/16", "10.1.2.0/24", false},
		     {"10.1.1.0/24", "10.1.1.7/32", false},
		     {"10.1.128.0-10.2.255.255", "10.1.200.0/24", false}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct party gw[] = {
			{"own", "gw.example.net", "a.example", cases[i].has},
			{"fleet", "gw.example.net", "*.b.example", "10.1.0.0/16"}};
		const struct party p[] = {
			{"first", "a.example", "gw.example.net", cases[i].has},
			{"second", "x.b.example", "gw.example.net", cases[i].asks}};
		struct net *n = quiet_net();

		gateway(n, gw, 2, &for_all, 1);
		callers(n, p, all_secrets, 2);
		bring_up(n, "first");
		assert_true(is_up(n, "first"));
		bring_up(n, "second");
		if (is_up(n, "second") != cases[i].let)
			fail_msg("%s beside %s: %s", cases[i].asks, cases[i].has,
				 cases[i].let ? "refused" : "let");
		net_free(n);
	}
}

/*
 * We ask, and the peer answers with more than was asked for, or with another's: within what its
 * connection might have, but not what is offered.
 */
static void answers_stay_within_the_offer(void **state)
{
	static const struct {
		const char *net;
		uint16_t error;
	} answers[] = {{"10.1.2.0/24", 0},
		       {"10.1.2.9/32", 0},
		       {"10.1.1.7/32", NOTIFY_TS_UNACCEPTABLE},
		       {"10.1.3.0/24", NOTIFY_TS_UNACCEPTABLE}, /* nobody's */
		       {"10.1.0.0/16", NOTIFY_TS_UNACCEPTABLE}};
	const struct party p[] = {{"first", "a.example", "gw.example.net", "10.1.1.0/24"},
				  {"second", "x.b.example", "gw.example.net", "10.1.2.0/24"}};
	struct net *n = quiet_net();
	struct child_sa *old;

	(void)state;
	gateway(n, &fleet, 1, &for_all, 1);
	callers(n, p, all_secrets, 2);
	bring_up(n, "first");
	bring_up(n, "second");
	old = LIST_FIRST(&n->peer[GW].tunnel->conns)->children.lh_first->current->ike;
	assert_int_equal(old->remote->ts[0].lo.b[2], 2);
	for (unsigned i = 0; i < ARRAY_SIZE(answers); i++) {
		const struct ike_task t = {
			.kind = TASK_CHILD_REKEY, .conf = old->conf, .child = old};
		uint8_t buf[1000], spi[4] = {9, 9, 9, 9};
		struct ts_list theirs = {.count = 1};
		struct ike_payloads in;
		struct child_offer o;
		struct ike_builder b;

		assert_int_equal(ts_parse(answers[i].net, &theirs.ts[0]), 0);
		ib_inside(&b, buf, sizeof(buf));
		choice_write(&b, &old->choice, (struct chunk){spi, 4});
		child_write_ts(&b, old->local, &theirs);
		assert_int_equal(ike_payloads_parse(b.first, buf, b.w.len, &in), 0);
		assert_int_equal(child_check_answer(old->ike_sa, &in, false, &t, &o, n->now),
				 answers[i].error);
	}
	net_free(n);
}

/* The same identity may come again, rekey, and be mended, also from elsewhere. */
static void its_own_is_not_refused(void **state)
{
	const struct party p = {"first", "a.example", "gw.example.net", "10.1.1.0/24"};
	struct net *n = quiet_net();

	(void)state;
	gateway(n, &fleet, 1, &for_all, 1);
	callers(n, &p, all_secrets, 1);
	bring_up(n, "first");
	assert_true(tunnel_child_rekey(child_of(n, BRANCH, "first"), n->now));
	net_run(n, SEC);
	assert_int_equal(child_of(n, BRANCH, "first")->rekeys, 1);
	n->cut[BRANCH] = true;
	ike_sa_drop(tunnel_find_conn(n->peer[BRANCH].tunnel, "first")->sa, "restart", n->now);
	net_run(n, SEC);
	n->cut[BRANCH] = false;
	bring_up(n, "first");
	assert_true(is_up(n, "first"));
	net_free(n);
}

/* ---- what one peer may take ---- */

static unsigned lines;

static void count_line(void *ctx, enum log_level level, const char *line)
{
	(void)ctx, (void)line;
	lines += level <= LOG_LEVEL_INFO;
}

static void call_again(struct net *n, const char *conn)
{
	struct tun_conn *c = tunnel_find_conn(n->peer[BRANCH].tunnel, conn);

	assert_non_null(ike_initiate(n->peer[BRANCH].tunnel->ike, c->conf, &n->peer[BRANCH].address,
				     &c->conf->remote[0], NULL, true, n->now));
}

static void ike_sas_are_limited(void **state)
{
	struct net *n = quiet_net();

	(void)state;
	gateway(n, &fleet, 1, &for_all, 1);
	callers(n, &b_peer, all_secrets, 1);
	bring_up(n, "b");
	for (unsigned i = 0; i < 60; i++) {
		call_again(n, "b");
		net_run(n, 50 * MSEC);
		assert_in_range(HASH_COUNT(n->peer[GW].tunnel->ike->sas), 1,
				n->peer[GW].tunnel->ike->set.peer_sas + 1);
	}
	assert_true(counter(n, GW, IKE_COUNT_PEER_LIMIT) >= 60 - 8);
	net_free(n);
}

/* By rekeys of one IKE SA a peer gets no more of them either: as many again, on their way out. */
static void rekeys_of_ike_sas_are_limited(void **state)
{
	struct net *n = quiet_net();
	struct tun_conn *c;
	uint64_t spi;

	(void)state;
	gateway(n, &fleet, 1, &for_all, 1);
	callers(n, &b_peer, all_secrets, 1);
	bring_up(n, "b");
	for (unsigned i = 0; i < 2; i++) {
		call_again(n, "b");
		net_run(n, SEC);
	}
	c = tunnel_find_conn(n->peer[BRANCH].tunnel, "b");
	for (unsigned most = 2; most > 0; most--) {
		n->peer[GW].tunnel->ike->set.peer_sas = most;
		spi = c->sa->our_spi;
		ike_sa_rekey(c->sa, n->now);
		net_run(n, 2 * SEC);
		/* There are two beside it. */
		assert_int_equal(c->sa->our_spi != spi, most == 2);
	}
	net_free(n);
}

/* The gateway's answer to one more CHILD SA of the branch's child on its newest IKE SA. */
static uint16_t on_another_ike_sa(struct net *n, const struct tun_child *k)
{
	struct tunnel *gw = n->peer[GW].tunnel;
	struct ike_sa *sa, *newest = gw->ike->sas;

	for (sa = gw->ike->sas; sa; sa = sa->hh.next)
		newest = sa->established > newest->established ? sa : newest;
	return tun_child_admit(gw, newest, newest->conn->children, &k->conf->remote_ts,
			       &k->conf->local_ts, false, NULL, n->now);
}

/* A recovery makes each CHILD SA anew on another IKE SA. */
static void a_recovery_has_room(void **state)
{
	struct net *n = quiet_net();
	struct tunnel *gw = n->peer[GW].tunnel;
	const struct tun_sa *made;

	(void)state;
	gateway(n, &fleet, 1, &for_all, 1);
	callers(n, &b_peer, all_secrets, 1);
	bring_up(n, "b");
	made = LIST_FIRST(&LIST_FIRST(&gw->conns)->children)->current;
	gw->ike->set.peer_children = 1;
	/* On its own IKE SA it is one too many; in its own place it is not. */
	assert_int_equal(on_another_ike_sa(n, child_of(n, BRANCH, "b")), NOTIFY_NO_ADDITIONAL_SAS);
	assert_int_equal(tun_child_admit(gw, made->ike->ike_sa, made->child->conf, made->local,
					 made->remote, false, made->ike, n->now),
			 0);
	call_again(n, "b");
	net_run(n, SEC);
	assert_int_equal(on_another_ike_sa(n, child_of(n, BRANCH, "b")), 0);
	net_free(n);
}

/* A peer that makes CHILD SAs as fast as it can: so many, and so many lines. */
static void children_and_lines_are_limited(void **state)
{
	struct net *n = quiet_net();
	struct tun_child *k;
	struct ike_settings *set = &n->peer[GW].tunnel->ike->set;

	(void)state;
	set->peer_children = 20;
	n->peer[GW].log.sink = count_line;
	lines = 0;
	gateway(n, &fleet, 1, &for_all, 1);
	callers(n, &b_peer, all_secrets, 1);
	bring_up(n, "b");
	k = child_of(n, BRANCH, "b");
	tunnel_child_down(k, n->now); /* it has all; the IKE SA stays */
	net_run(n, SEC);
	for (unsigned i = 1; i < 1000; i++) {
		struct ts_list local = {.count = 1}, remote = k->conf->remote_ts;
		char ts[32];

		snprintf(ts, sizeof(ts), "10.1.0.%u/32", i % 256);
		assert_int_equal(ts_parse(ts, &local.ts[0]), 0);
		assert_true(ike_child_create_like(k->conn->sa, k->conf, &local, &remote, n->now));
		net_run(n, 5 * MSEC);
	}
	assert_int_equal(peer_child_sas(n, GW), 20);
	assert_true(counter(n, GW, IKE_COUNT_PEER_LIMIT) > 900);
	assert_in_range(lines, 20, 420);
	/* The other limit: 20 selectors there are, and each of these has two. */
	set->peer_children = 100;
	set->peer_routes = 30;
	for (unsigned i = 0; i < 20; i++) {
		struct ts_list local = {.count = 2}, remote = k->conf->remote_ts;

		for (unsigned m = 0; m < 2; m++) {
			char ts[32];

			snprintf(ts, sizeof(ts), "10.1.0.%u/32", 200 + 2 * i + m);
			assert_int_equal(ts_parse(ts, &local.ts[m]), 0);
		}
		assert_true(ike_child_create_like(k->conn->sa, k->conf, &local, &remote, n->now));
		net_run(n, 5 * MSEC);
	}
	assert_int_equal(peer_child_sas(n, GW), 25);
	/* Nor on another IKE SA, where twice as many may be in all. */
	set->peer_children = 10;
	call_again(n, "b");
	net_run(n, SEC);
	assert_int_equal(on_another_ike_sa(n, k), NOTIFY_NO_ADDITIONAL_SAS);
	net_free(n);
}

/* A guess costs its address a second, from the eleventh on; the right secret is let in after. */
static void guesses_are_limited(void **state)
{
	const char *const wrong = "a guess";
	struct net *n = quiet_net();
	uint64_t guesses;

	(void)state;
	gateway(n, &fleet, 1, &for_all, 1);
	callers(n, &b_peer, &wrong, 1);
	n->o.delay = MSEC;
	for (unsigned i = 0; i < 2000; i++) {
		call_again(n, "b");
		net_run(n, 10 * MSEC);
	}
	guesses = counter(n, GW, IKE_COUNT_GUESS);
	assert_in_range(guesses, 20, 32);
	assert_true(counter(n, GW, IKE_COUNT_GUESS_LIMIT) > 1000);
	callers(n, &b_peer, all_secrets, 1);
	net_run(n, 120 * SEC); /* until the last of its calls is given up */
	bring_up(n, "b");
	assert_true(is_up(n, "b"));
	net_free(n);
}

/* ---- messages that are long ---- */

#define MANY 1500

static size_t answered; /* length of what the gateway sent last */

static bool note_answer(struct net *n, unsigned from, struct datagram *d)
{
	(void)n;
	if (from == GW)
		answered = d->len;
	return true;
}

/* A peer deletes so many CHILD SAs in one message: the answer, which names as many, fits too. */
static void a_long_delete_is_answered(void **state)
{
	static uint8_t text[IKE_MAX_MESSAGE];
	static uint32_t spis[MANY];
	struct net *n = quiet_net();
	struct ike_payloads p;
	struct ike_builder b;
	struct ike_sa *sa;

	(void)state;
	gateway(n, &fleet, 1, &for_all, 1);
	callers(n, &b_peer, all_secrets, 1);
	bring_up(n, "b");
	sa = n->peer[GW].tunnel->ike->sas;
	for (unsigned i = 0; i < MANY; i++) {
		struct child_sa *c = child_new(sa, sa->conn->children);

		c->spi_in = c->spi_out = spis[i] = 1000000 + i;
	}
	ib_inside(&b, text, sizeof(text));
	ib_delete_esp(&b, spis, MANY);
	assert_int_equal(ike_payloads_parse(b.first, text, b.w.len, &p), 0);
	n->hook = note_answer;
	answered = 0;
	info_on_request(sa,
			&(struct ike_in){.h = &(struct ike_header){.exchange = IKE_INFORMATIONAL},
					 .p = &p,
					 .local = &sa->local,
					 .remote = &sa->remote,
					 .now = n->now});
	assert_in_range(answered, 4 * MANY, 4 * MANY + 200);
	assert_int_equal(sa->child_count, 1);
	n->hook = NULL;
	net_free(n);
}

/* ---- behind a NAT ---- */

static nsec_t sent_at, longest_pause;

static bool note_pause(struct net *n, unsigned from, struct datagram *d)
{
	(void)d;
	if (from != BRANCH)
		return true;
	if (n->now - sent_at > longest_pause)
		longest_pause = n->now - sent_at;
	sent_at = n->now;
	return true;
}

/* Whenever the last packet of its own went out, the next thing goes out in time. */
static void a_mapping_is_not_left_alone(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.dpd = NSEC_NEVER;
	n = net_new(&o);
	n->peer[BRANCH].seen_as.port = 2000;
	assert_int_equal(addr_parse("198.51.100.1", &n->peer[BRANCH].seen_as.addr), 0);
	net_until(n, net_is_up, 20 * SEC, "up behind a NAT");
	assert_true(peer_conn(n, BRANCH)->sa->we_natted);
	sent_at = n->now;
	longest_pause = 0;
	n->hook = note_pause;
	for (unsigned i = 1; i < 40; i++) {
		net_run(n, i * SEC + 100 * MSEC);
		net_packet(n, BRANCH, 0);
	}
	assert_in_range(longest_pause, 5 * SEC, 20 * SEC + MSEC);
	assert_true(n->peer[BRANCH].dummies > 10);
	net_free(n);
}

/* ---- half-open places ---- */

/* Of the IKE_AUTHs of the branch only that of b's own call gets through. */
static bool only_honest_auth(struct net *n, unsigned from, struct datagram *d)
{
	const struct tun_conn *c = tunnel_find_conn(n->peer[BRANCH].tunnel, "b");

	return from != BRANCH || d->esp || d->p[18] != IKE_AUTH ||
	       (c->sa && get_be64(d->p) == c->sa->spi_i);
}

/*
 * Addresses that answer cookies, and go no further, take all places again and again: who goes on is
 * let in all the same.
 */
static void call_from(struct net *n, uint8_t host)
{
	uint8_t honest = n->peer[BRANCH].address.addr.b[3];

	n->peer[BRANCH].address.addr.b[3] = host;
	call_again(n, "b");
	net_run(n, 10 * MSEC);
	n->peer[BRANCH].address.addr.b[3] = honest;
}

/* A gateway with 40 places, of which so many calls that go no further want one each. */
static struct net *flooded(unsigned calls)
{
	struct net *n = quiet_net();

	n->peer[GW].tunnel->ike->set.half_open_max = 40;
	gateway(n, &fleet, 1, &for_all, 1);
	callers(n, &b_peer, all_secrets, 1);
	n->hook = only_honest_auth;
	for (unsigned i = 0; i < calls; i++)
		call_from(n, (uint8_t)(20 + i / 4 % 50));
	return n;
}

static void places_are_made_free(void **state)
{
	struct net *n = flooded(250);
	struct ike *gw = n->peer[GW].tunnel->ike;

	(void)state;
	assert_int_equal(gw->half_open, 40);
	tunnel_child_up(child_of(n, BRANCH, "b"), n->now);
	for (unsigned i = 0; i < 250 && !is_up(n, "b"); i++)
		call_from(n, (uint8_t)(20 + i / 4 % 50));
	assert_true(is_up(n, "b"));
	assert_in_range(gw->half_open, 38, 40);
	net_free(n);
}

/* From when half of the places are taken, one is had for 5 s instead of 30. */
static void places_are_had_for_shorter(void **state)
{
	struct net *n = flooded(30);
	struct ike *gw = n->peer[GW].tunnel->ike;

	(void)state;
	assert_int_equal(gw->half_open, 30);
	n->cut[BRANCH] = true;
	net_run(n, 6 * SEC);
	assert_int_equal(gw->half_open, 19);
	net_run(n, 25 * SEC);
	assert_int_equal(gw->half_open, 0);
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pattern_is_no_name),
		cmocka_unit_test(names_have_no_terminators),
		cmocka_unit_test(patterns_match_one_way),
		cmocka_unit_test(a_mirror_is_no_peer),
		cmocka_unit_test(our_own_name_is_not_the_peers),
		cmocka_unit_test(half_open_is_not_let_in),
		cmocka_unit_test(established_is_out),
		cmocka_unit_test(another_secret_is_asked_for),
		cmocka_unit_test(another_keeps_what_it_has),
		cmocka_unit_test(a_wider_tunnel_keeps_nobody_out),
		cmocka_unit_test(answers_stay_within_the_offer),
		cmocka_unit_test(its_own_is_not_refused),
		cmocka_unit_test(ike_sas_are_limited),
		cmocka_unit_test(rekeys_of_ike_sas_are_limited),
		cmocka_unit_test(a_recovery_has_room),
		cmocka_unit_test(children_and_lines_are_limited),
		cmocka_unit_test(guesses_are_limited),
		cmocka_unit_test(a_long_delete_is_answered),
		cmocka_unit_test(a_mapping_is_not_left_alone),
		cmocka_unit_test(places_are_made_free),
		cmocka_unit_test(places_are_had_for_shorter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
