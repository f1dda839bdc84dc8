/*
 * t_hostile.c - peers with a key, or attackers on the path, that try to get what belongs to another
 * peer.
 * SPDX-License-Identifier: ISC
 */
#include "parties.h"
#include "task/exchanges.h"
#include "xalloc.h"

/* ---- identities ---- */

/*
 * A peer sends as its identity what would be a pattern in a configuration. It matches the pattern
 * of a connection for other peers, but no secret except that of its exact name may be found for it.
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
		/*
		 * b is let in, and only b receives the packets for the network of the fleet
		 * connection.
		 */
		bring_up(n, "b");
		assert_true(is_up(n, "b"));
		for (unsigned k = 0; k < 5; k++)
			net_packet(n, GW, 0);
		net_run(n, SEC);
		assert_int_equal(n->peer[BRANCH].delivered, 5);
		assert_int_equal(tunnel_sa_esp(child_of(n, BRANCH, "b")->current)->in.packets, 5);
		net_free(n);
	}
}

/*
 * An identity with a NUL, a space or a control character inside is invalid: always the whole name
 * is compared.
 */
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

/*
 * Compares, by each function, a pattern of the configuration with names from the wire, one of which
 * has the same text.
 */
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
	/* The pattern matches it as a name with that ending, and not as an equal text. */
	assert_int_equal(ident_match(&pattern, &wire), ident_match(&pattern, &name));
	assert_string_equal(ident_format(&wire, text), "*.example");
}

/* ---- reflection ---- */

/* An attacker on the path without a key: it returns to a peer everything that the peer sends. */
struct mirror {
	bool other_spi; /* changes the SPI, by which the peer would recognize its request */
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
		struct net *n = quiet_net();
		struct conn_conf *c = party_conf(n, BRANCH, &p);

		c->remote_any = true;
		c->children[0].start_action = START_START;
		peer_configure(n, BRANCH, c, always_same);
		conn_unref(c);
		m = (struct mirror){.other_spi = kind & 1};
		/* The reflected packets may come from any address. */
		if (kind == 2)
			assert_int_equal(addr_parse("192.0.2.77", &n->peer[GW].address.addr), 0);
		run_mirrored(n, &m, 20 * SEC);
		assert_true(counter(n, BRANCH, IKE_COUNT_REFLECTED) > 0);
		assert_int_equal(n->peer[BRANCH].tunnel->ike->half_open, 0);
		assert_false(is_up(n, "loop"));
		net_free(n);
	}
}

/*
 * A peer that knows the common secret claims the gateway's own identity, which the connection's
 * pattern would match.
 */
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

/* ---- revoked peers are locked out ---- */

static bool no_auth(struct net *n, unsigned from, struct datagram *d)
{
	(void)n;
	return from != BRANCH || d->esp || d->p[18] != IKE_AUTH;
}

/*
 * The gateway answers IKE_SA_INIT, reads another configuration, and then receives IKE_AUTH: the
 * configuration at that time decides.
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

/*
 * Two peers use one connection with a pattern, and the secret of one is removed: its IKE SA ends,
 * the other peer's stays.
 */
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
	gateway(n, &fleet, 1, two_secrets, 2); /* the same configuration again */
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

/* The guest is up on a connection for it alone; then the gateway gets another secret for it. */
static const struct party own = {"own", "gw.example.net", "guest.example", "10.1.0.0/16"};
static const struct secret other = {"guest.example", "another one"};

static struct net *with_another_secret(bool old_secrets_stay)
{
	const char *const secret = "the guest's";
	struct net *n = quiet_net();

	n->peer[GW].tunnel->ike->set.old_secrets_stay = old_secrets_stay;
	gateway(n, &own, 1, two_secrets, 2);
	callers(n, &guest, &secret, 1);
	bring_up(n, "guest");
	assert_true(is_up(n, "guest"));
	gateway(n, &own, 1, &other, 1);
	net_run(n, 5 * SEC);
	return n;
}

static void another_secret_is_asked_for(void **state)
{
	const char *const now = other.secret;
	struct net *n = with_another_secret(false);

	(void)state;
	assert_false(is_up(n, "guest"));
	callers(n, &guest, &now, 1);
	bring_up(n, "guest");
	assert_true(is_up(n, "guest"));
	net_free(n);
}

/*
 * old_secrets_stay: an established peer stays and can rekey; an IKE SA from then on needs the new
 * secret.
 */
static void old_secrets_may_stay(void **state)
{
	struct net *n = with_another_secret(true);

	(void)state;
	assert_true(is_up(n, "guest"));
	assert_true(tunnel_child_rekey(child_of(n, BRANCH, "guest"), n->now));
	net_run(n, 5 * SEC);
	assert_true(is_up(n, "guest"));
	gateway(n, NULL, 0, NULL, 0); /* the connection is removed */
	net_run(n, 5 * SEC);
	assert_false(is_up(n, "guest"));
	gateway(n, &own, 1, &other, 1);
	bring_up(n, "guest");
	assert_false(is_up(n, "guest"));
	net_free(n);
}

/* ---- another peer's addresses ---- */

/* The first peer has 10.1.1.0/24. What the second peer requests, and whether it gets that. */
static const struct {
	const char *net;
	const char *gw_remote; /* of the connection of the second peer */
	bool let;
} claims[] = {
	{"10.1.1.0/24", "*.example", false},
	{"10.1.1.7/32", "*.example", false},
	{"10.1.0.0/16", "*.example", false},
	{"10.1.2.0/24", "*.example", true},
	{"10.1.1.7/32", "*.b.example", false},
	{"10.1.2.0/24", "*.b.example", true},
	/* The operator allowed this: the second peer has a connection of its own. */
	{"10.1.1.7/32", "x.b.example", true},
};

/*
 * Packets from another device are looked up in the policies of that device: a child there takes
 * nothing from the children of this one.
 */
static void two_on_devices(const char *first, const char *second, bool second_is_up)
{
	const struct party gw[] = {{"fleet", "gw.example.net", "*.example", "10.1.0.0/16"},
				   {"more", "gw.example.net", "*.b.example", "10.1.0.0/16"}};
	const struct party p[] = {{"first", "a.example", "gw.example.net", "10.1.1.0/24"},
				  {"second", "x.b.example", "gw.example.net", "10.1.1.7/32"}};
	const char *const devices[] = {first, second};
	const struct conn_conf *confs[2];
	struct conn_set set = {.v = confs, .count = 2, .secrets = secrets_of(&for_all, 1)};
	struct net *n = quiet_net();

	for (unsigned i = 0; i < 2; i++) {
		struct conn_conf *c = party_conf(n, GW, &gw[i]);

		c->remote_any = true;
		c->children[0].device = devices[i] ? xstrdup(devices[i]) : NULL;
		confs[i] = c;
	}
	esp_path_devices(n->peer[GW].tunnel->path, 2);
	tunnel_configure(n->peer[GW].tunnel, &set, NULL, n->now);
	for (unsigned i = 0; i < 2; i++)
		conn_unref(confs[i]);
	psk_store_unref(set.secrets);
	callers(n, p, all_secrets, 2);
	bring_up(n, "first");
	bring_up(n, "second");
	assert_true(is_up(n, "first"));
	assert_int_equal(is_up(n, "second"), second_is_up);
	net_free(n);
}

static void on_another_device_is_no_claim(void **state)
{
	(void)state;
	two_on_devices(NULL, "other0", true);
}

/* On one device it is a claim, whether that is the shared one or not. */
static void same_device_is_a_claim(void **state)
{
	(void)state;
	two_on_devices("other0", "other0", false);
	two_on_devices(NULL, NULL, false);
}

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
		/* When the first peer's child has ended, its addresses are free for any peer. */
		tunnel_child_down(child_of(n, BRANCH, "first"), n->now);
		net_run(n, 20 * SEC);
		bring_up(n, "second");
		assert_true(is_up(n, "second"));
		net_free(n);
	}
}

/*
 * A peer with a connection of its own has `has`; a peer of a pattern with 10.1.0.0/16 requests
 * `asks`. Where `has` is wider than 10.1.0.0/16 and covers all of it, as a default route does, the
 * operator has allowed this; otherwise no part of `has` is given away.
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
 * The gateway requests a rekey, and the peer responds with more than was offered, or with other
 * selectors: its connection would allow them, but the offer does not.
 */
static void answers_stay_within_the_offer(void **state)
{
	static const struct {
		const char *net;
		uint16_t error;
	} answers[] = {{"10.1.2.0/24", 0},
		       {"10.1.2.9/32", NOTIFY_SINGLE_PAIR_REQUIRED}, /* a rekey is not narrowed */
		       {"10.1.1.7/32", NOTIFY_TS_UNACCEPTABLE},
		       {"10.1.3.0/24", NOTIFY_TS_UNACCEPTABLE}, /* no peer has this */
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
		const struct child_task t = {.task = {.kind = &task_child_rekey, .child = old},
					     .conf = old->conf,
					     .local = old->local,
					     .remote = old->remote};
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

/* The same identity may rekey, and replace its own SAs after a restart. */
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
		cmocka_unit_test(old_secrets_may_stay),
		cmocka_unit_test(another_keeps_what_it_has),
		cmocka_unit_test(on_another_device_is_no_claim),
		cmocka_unit_test(same_device_is_a_claim),
		cmocka_unit_test(a_wider_tunnel_keeps_nobody_out),
		cmocka_unit_test(answers_stay_within_the_offer),
		cmocka_unit_test(its_own_is_not_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
