/*
 * t_mtu.c - the MTU of SAs and devices, for any path MTU.
 * SPDX-License-Identifier: ISC
 *
 * daemon/mtu.c is linked with a simulated kernel that has a path MTU for each address, and with a
 * device that only stores its MTU.
 */
#include "esp_fixture.h"
#include "daemon.h"

#define OUTER 28 /* IPv4 and UDP */

/* ---- what daemon/mtu.c calls ---- */

static uint32_t path_of[256]; /* path MTU by the last byte of the remote address */
static unsigned asked;
static int set_result;	    /* of tun_set_mtu */
static uint32_t device_mtu; /* the last one set, */
static uint16_t device;	    /* on this device */
static unsigned device_set;

uint32_t udp_path_mtu(const struct endpoint *local, const struct endpoint *remote)
{
	(void)local;
	asked++;
	return path_of[remote->addr.b[3]];
}

int tun_set_mtu(struct tun *t, uint32_t mtu)
{
	device = t->device;
	device_mtu = mtu;
	device_set++;
	return set_result;
}

/* ---- a daemon that has only SAs ---- */

struct mtu_fixture {
	struct fixture *l;
	struct device device[2], *devices[2];
	struct daemon d;
	struct tunnel tunnel;
	struct config config;
};

static void mtu_fixture_init(struct mtu_fixture *h, const struct fixture_opt *o)
{
	*h = (struct mtu_fixture){.l = fixture_new(o)};
	h->tunnel.path = h->l->path[GW];
	h->d.tunnel = &h->tunnel;
	h->d.config = &h->config;
	for (uint16_t i = 0; i < 2; i++) {
		h->device[i].daemon = &h->d;
		h->device[i].tun.device = i;
		h->device[i].readable = (struct event *)1; /* not NULL: the device exists */
		h->devices[i] = &h->device[i];
	}
	h->d.devices = (struct devices){.all = h->devices, .count = 2};
	h->d.base = event_base_new();
	assert_int_equal(event_base_priority_init(h->d.base, PRIORITIES), 0);
	memset(path_of, 0, sizeof(path_of));
	asked = device_set = device_mtu = 0;
	assert_int_equal(mtu_init(&h->d), 0);
	assert_true(h->d.path_floor > 0); /* of the real kernel */
	h->d.path_floor = 552;
}

static void mtu_fixture_fini(struct mtu_fixture *h)
{
	mtu_fini(&h->d);
	event_base_free(h->d.base);
	fixture_free(h->l);
}

static struct esp_out_sa *first_sa(struct mtu_fixture *h)
{
	return &fixture_sa(h->l, GW)->out;
}

/* Adds an SA with 192.0.2.last. */
static struct esp_out_sa *add_sa(struct mtu_fixture *h, uint8_t last)
{
	struct sad *sad = &h->l->path[GW]->sad;
	const struct fixture *l = h->l;
	struct esp_sa_params p = {.spi_out = 4711,
				  .suite = first_sa(h)->suite,
				  .enc_in = l->keys[0],
				  .integ_in = l->keys[1],
				  .enc_out = l->keys[2],
				  .integ_out = l->keys[3],
				  .local = l->policy[GW].local,
				  .remote = l->policy[GW].remote,
				  .local_ep = l->ep[GW],
				  .remote_ep = l->ep[ME],
				  .replay_window = 64};
	uint32_t spi = sad_reserve(sad);

	p.remote_ep.addr.b[3] = last;
	assert_int_equal(sad_install(sad, spi, &p, l->now), 0);
	return &sad_find(sad, spi)->out;
}

static void look(struct mtu_fixture *h, const struct esp_out_sa *out, uint32_t path)
{
	path_of[out->dest.remote.addr.b[3]] = path;
	mtu_look(&h->d, &out->dest.local, &out->dest.remote);
}

static void tick(struct mtu_fixture *h)
{
	event_active(h->d.mtu_timer, EV_TIMEOUT, 1);
	event_base_loop(h->d.base, EVLOOP_NONBLOCK);
}

/* ---- tests ---- */

static uint32_t on_the_wire(const struct esp_out_sa *out, uint32_t inner)
{
	return OUTER + esp_frame_len(out->suite, inner);
}

/* An SA's MTU is the largest inner packet whose outer packet fits the path. */
static void test_exact(void **state)
{
	size_t n;
	const struct suite *s = suite_table(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		struct fixture_opt o = FIXTURE_OPT(.suite = s[i].name);
		struct mtu_fixture h;

		mtu_fixture_init(&h, &o);
		for (uint32_t path = 68; path <= 65535; path += path < 1600 ? 1 : 997) {
			const struct esp_out_sa *out = first_sa(&h);

			look(&h, out, path);
			if (out->mtu > 1)
				assert_in_range(on_the_wire(out, out->mtu), OUTER, path);
			assert_true(on_the_wire(out, out->mtu + 1) > path);
		}
		mtu_fixture_fini(&h);
	}
}

/* Routes a packet with DF; returns 0 if it is sealed, or the MTU in the ICMP error. */
static uint32_t route(struct mtu_fixture *h, const uint8_t *inner, uint32_t len, bool *ret_df)
{
	struct esp_out out = {.pkt = inner, .len = len};
	enum esp_route r = esp_route(h->l->path[GW], &out, h->l->now);

	assert_true(r == ESP_ROUTE_SEAL || r == ESP_ROUTE_TOO_BIG);
	*ret_df = out.dest.df;
	return r == ESP_ROUTE_TOO_BIG ? out.mtu : 0;
}

/*
 * A packet of len bytes with DF must get through, at once or after it was made as short as an ICMP
 * error says; an outer packet with DF must fit the path.
 */
static void no_black_hole(struct mtu_fixture *h, bool v6, uint32_t path, uint32_t len)
{
	uint32_t named;
	uint8_t inner[2000];
	bool df;

	for (unsigned tries = 0;; tries++) {
		assert_true(tries < 2);
		if (v6)
			fixture_inner6(GW, inner, len, 0);
		else
			fixture_inner(h->l, GW, inner, len, 0);
		named = route(h, inner, len, &df);
		if (named == 0)
			break;
		assert_in_range(named, v6 ? 1280 : 68, len - 1);
		len = named;
	}
	if (df) {
		assert_in_range(on_the_wire(first_sa(h), len), OUTER, path);
		assert_true(path > 552); /* at its floor, the kernel's path MTU may be too large */
	}
}

/* There is no black hole on any path from 68 to 1600 bytes. */
static void test_no_black_hole(void **state)
{
	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct fixture_opt o = v6 ? FIXTURE_OPT(.ts_gw = "fd01::/16", .ts_me = "fd02::/16")
					  : FIXTURE_OPT();
		struct mtu_fixture h;

		mtu_fixture_init(&h, &o);
		for (uint32_t path = 68; path <= 1600; path++) {
			look(&h, first_sa(&h), path);
			for (uint32_t len = v6 ? 48 : 28; len <= 1600; len += 13)
				no_black_hole(&h, v6, path, len);
		}
		mtu_fixture_fini(&h);
	}
}

/* A path of 580 bytes takes inner packets of 518 bytes. At the kernel's floor, the outer packet is
 * sent without DF. */
static void test_narrow_paths(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct mtu_fixture h;
	const struct esp_out_sa *out;

	(void)state;
	mtu_fixture_init(&h, &o);
	out = first_sa(&h);
	look(&h, out, 580);
	assert_int_equal(out->mtu, 518);
	assert_false(out->narrow);
	look(&h, out, 553);
	assert_false(out->narrow);
	look(&h, out, 552);
	assert_int_equal(out->mtu, 490);
	assert_true(out->narrow);
	look(&h, out, 68);
	assert_int_equal(out->mtu, 6);
	assert_true(out->narrow);
	look(&h, out, OUTER); /* nothing fits; an MTU of 0 would mean "unknown" */
	assert_int_equal(out->mtu, 1);
	look(&h, out, 0); /* no route at the moment */
	assert_int_equal(out->mtu, 0);
	assert_false(out->narrow);
	/* with a higher floor, paths of that MTU are narrow */
	h.d.path_floor = 1280;
	look(&h, out, 1281);
	assert_false(out->narrow);
	look(&h, out, 1280);
	assert_true(out->narrow);
	mtu_fixture_fini(&h);
}

/* With IPv6 outside, 20 bytes less fit than with IPv4, and no path is narrower than it says. */
static void test_ipv6_outside(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct mtu_fixture h;
	struct esp_out_sa *out;

	(void)state;
	mtu_fixture_init(&h, &o);
	out = first_sa(&h);
	look(&h, out, 1300);
	assert_int_equal(out->mtu, 1238);
	out->dest.remote.addr.family = FAMILY_IPV6;
	look(&h, out, 1320);
	assert_int_equal(out->mtu, 1238);
	h.d.path_floor = 1280;
	look(&h, out, 1280);
	assert_int_equal(out->mtu, 1198);
	assert_false(out->narrow);
	mtu_fixture_fini(&h);
}

/* The loopback device has an MTU of 65,536, which is longer than any datagram. */
static void test_wide_path(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct mtu_fixture h;

	(void)state;
	mtu_fixture_init(&h, &o);
	look(&h, first_sa(&h), 65536);
	assert_in_range(esp_frame_len(first_sa(&h)->suite, first_sa(&h)->mtu), 65500, 65507);
	mtu_fixture_fini(&h);
}

/* A look sets the MTU of all SAs with that remote address, and of no other. */
static void test_by_remote(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct mtu_fixture h;
	const struct esp_out_sa *a, *b, *c;

	(void)state;
	mtu_fixture_init(&h, &o);
	a = add_sa(&h, 10);
	b = add_sa(&h, 10);
	c = add_sa(&h, 20);
	path_of[20] = 1000;
	look(&h, a, 1400);
	assert_int_equal(asked, 1);
	assert_int_equal(a->mtu, 1338);
	assert_int_equal(b->mtu, 1338);
	assert_int_equal(c->mtu, 0);
	look(&h, c, 1000);
	assert_int_equal(a->mtu, 1338);
	assert_int_equal(c->mtu, 938);
	mtu_fixture_fini(&h);
}

/* The device gets the lowest MTU of its SAs, but at least 1280 for IPv6 (RFC 8200 5). */
static void test_device(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct mtu_fixture h;
	const struct esp_out_sa *a;

	(void)state;
	mtu_fixture_init(&h, &o);
	a = add_sa(&h, 10);
	look(&h, first_sa(&h), 1500);
	assert_int_equal(device_mtu, 1438);
	assert_int_equal(h.device[0].mtu, 1438);
	look(&h, a, 1480);
	assert_int_equal(device_mtu, 1418);
	look(&h, a, 1500); /* wide again */
	assert_int_equal(device_mtu, 1438);
	look(&h, a, 800);
	assert_int_equal(device_mtu, 1280);
	assert_int_equal(device_set, 4);
	look(&h, a, 700); /* no change for the device */
	assert_int_equal(device_set, 4);
	mtu_fixture_fini(&h);
}

/* Each device gets the lowest MTU of the SAs whose packets are read from it. */
static void test_devices(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct mtu_fixture h;
	const struct esp_out_sa *a;

	(void)state;
	mtu_fixture_init(&h, &o);
	a = add_sa(&h, 10);
	h.l->path[GW]->sad.slots[1]->in.device = 1;
	assert_ptr_equal(&h.l->path[GW]->sad.slots[1]->out, a);
	look(&h, first_sa(&h), 1500);
	assert_int_equal(device_mtu, 1438);
	assert_int_equal(device, 0);
	look(&h, a, 1400);
	assert_int_equal(device_mtu, 1338);
	assert_int_equal(device, 1);
	assert_int_equal(device_set, 2);
	/* an MTU that could not be set is tried again */
	set_result = -EIO;
	look(&h, a, 1300);
	assert_int_equal(h.device[1].mtu, 1338);
	set_result = 0;
	tick(&h);
	assert_int_equal(device_set, 4);
	assert_int_equal(h.device[1].mtu, 1280);
	h.device[1].readable = NULL; /* the device is gone */
	look(&h, a, 1400);
	assert_int_equal(device_set, 4);
	mtu_fixture_fini(&h);
}

/* With `mtu` configured, the device's MTU is never changed. */
static void test_device_configured(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct mtu_fixture h;

	(void)state;
	mtu_fixture_init(&h, &o);
	h.config.fixed.mtu = 1400;
	look(&h, first_sa(&h), 1000);
	assert_int_equal(device_set, 0);
	assert_int_equal(first_sa(&h)->mtu, 938);
	mtu_fixture_fini(&h);
}

/* Paths whose MTU changes silently are found, at most 64 SAs per tick; an SA may be gone by
 * then. */
static void test_goes_round(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct mtu_fixture h;
	const struct esp_out_sa *sa[150];
	unsigned found = 0;

	(void)state;
	mtu_fixture_init(&h, &o);
	for (unsigned i = 0; i < ARRAY_SIZE(sa); i++) {
		sa[i] = add_sa(&h, (uint8_t)(100 + i));
		path_of[100 + i] = 1000 + i;
	}
	tick(&h);
	assert_in_range(asked, 1, 64);
	for (unsigned i = 0; i < 3; i++) /* 256 slots */
		tick(&h);
	for (unsigned i = 0; i < ARRAY_SIZE(sa); i++)
		found += sa[i]->mtu > 0;
	assert_int_equal(found, ARRAY_SIZE(sa));
	assert_int_equal(device_mtu, 1280);
	sad_release(&h.l->path[GW]->sad, h.l->spi[GW]);
	tick(&h);
	mtu_fixture_fini(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact),
		cmocka_unit_test(test_no_black_hole),
		cmocka_unit_test(test_narrow_paths),
		cmocka_unit_test(test_ipv6_outside),
		cmocka_unit_test(test_wide_path),
		cmocka_unit_test(test_by_remote),
		cmocka_unit_test(test_device),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_device_configured),
		cmocka_unit_test(test_goes_round),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
