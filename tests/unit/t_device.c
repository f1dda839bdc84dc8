/*
 * t_device.c - several TUN devices: which packets are read from and written to which, link states,
 * and devices that are removed by others.
 * SPDX-License-Identifier: ISC
 */
#include "data_fixture.h"

#define OWN	  3 /* the peer whose child has its own device */
#define TO(...)	  (&(struct shape){__VA_ARGS__})
#define FROM(...) (&(struct shape){.from_peer = true, __VA_ARGS__})

/* Queues a packet from the peer, and expects it in *want. */
static void arrive(const struct shape *s, struct records *want)
{
	uint8_t esp[PACKET_MAX];
	uint32_t len = dl_seal(s, esp);

	dl_arrive(UDP_ESP, s->peer, esp, len, (uint16_t)len);
	dl_expect(want, s, 0);
}

static struct device *own(void)
{
	return dl->d.devices.all[1];
}

/* Each packet is written to the device of its SA, in order, also if packets of two SAs
 * alternate. */
static void test_inbound(void **state)
{
	struct records own_want = {0}, want = {0};

	(void)state;
	dl_own_device(OWN, OWN + 1); /* both SAs carry the same flow */
	for (uint32_t i = 0; i < 40; i++) {
		bool to_own = i % 2 == 0;

		arrive(FROM(.peer = to_own ? OWN : OWN + 1, .net = OWN + 1, .tcp = true, .flow = 7,
			    .id = (uint16_t)i, .at = i * 100, .payload = 100),
		       to_own ? &own_want : &want);
	}
	dl_loop();
	assert_records(&dl->own_out, &own_want);
	assert_records(&dl->tun_out, &want);
	records_clear(&own_want);
	records_clear(&want);
}

/* One device accepts super-packets, the other does not. */
static void test_accept(void **state)
{
	struct records want = {0};

	(void)state;
	dl_own_device(OWN, OWN);
	own()->tun.accept = dl->tunnel.path->devices[1].accept = 0;
	for (uint32_t peer = OWN; peer <= OWN + 1; peer++) {
		for (uint32_t i = 0; i < 10; i++)
			arrive(FROM(.peer = peer, .tcp = true, .flow = 7, .id = (uint16_t)i,
				    .at = i * 100, .payload = 100),
			       &want);
	}
	dl_loop();
	assert_int_equal(dl->own_out.n, 10);
	assert_in_range(dl->tun_out.n, 1, 2); /* two turns, each of which ends a run */
	records_clear(&want);
}

/* A packet is matched only against the policies of the device from which it was read. */
static void test_outbound(void **state)
{
	struct records plain = {0};

	(void)state;
	dl_own_device(OWN, OWN);
	dl_tun(TO(.peer = OWN, .flow = 1, .payload = 100));
	dl_loop();
	dl_open_wire(&plain);
	assert_int_equal(plain.n, 1);
	records_clear(&plain);
	/* The same packet from the shared device, and a packet of another peer from the own device,
	 * match none. */
	dl->tunnel.path->devices[0].spd.generation = dl->tunnel.path->devices[1].spd.generation;
	dl->device_of[OWN] = 0;
	dl_tun(TO(.peer = OWN, .flow = 1, .payload = 100));
	dl->device_of[OWN] = 1;
	dl->device_of[OWN + 1] = 1;
	dl_tun(TO(.peer = OWN + 1, .flow = 1, .payload = 100));
	dl->device_of[OWN + 1] = 0;
	dl_loop();
	dl_open_wire(&plain);
	assert_int_equal(plain.n, 0);
	assert_int_equal(dl->tunnel.path->drops[ESP_DROP_NO_POLICY], 2);
	records_clear(&plain);
}

/* The ICMP error is written to the device from which the packet was read. */
static void test_too_big(void **state)
{
	(void)state;
	dl_own_device(OWN, OWN);
	dl_sa(OWN)->out.mtu = 1000;
	dl_tun(TO(.peer = OWN, .flow = 1, .payload = 1100, .df = true));
	dl_loop();
	assert_int_equal(dl->own_out.n, 1);
	assert_int_equal(dl->tun_out.n, 0);
}

/* A device's link is up while it has a user; changes within one turn are not seen. */
static void test_link(void **state)
{
	(void)state;
	dl_own_device(OWN, OWN);
	assert_int_equal(dl->links, 2);
	assert_false(dl->link);
	device_use(&dl->d, 1, true);
	devices_settle(&dl->d);
	assert_int_equal(dl->links, 3);
	assert_true(dl->link);
	/* a rekey */
	device_use(&dl->d, 1, false);
	device_use(&dl->d, 1, true);
	devices_settle(&dl->d);
	assert_int_equal(dl->links, 3);
	device_use(&dl->d, 1, false);
	devices_settle(&dl->d);
	assert_int_equal(dl->links, 4);
	assert_false(dl->link);
}

static void lose(unsigned peer)
{
	dl_tun(TO(.peer = peer, .flow = 1, .payload = 100));
	if (dl->device_of[peer])
		dl->own_in.v[dl->own_in.n - 1].result = -EIO;
	else
		dl->tun_in.v[dl->tun_in.n - 1].result = -EIO;
	dl_turn();
}

/* A device that somebody removes is made again at once, and used. */
static void test_gone(void **state)
{
	(void)state;
	dl_own_device(OWN, OWN);
	device_use(&dl->d, 1, true);
	devices_settle(&dl->d);
	lose(OWN);
	assert_int_equal(dl->opens, 3);
	assert_int_equal(dl->repairs, 0); /* none of our routes use it */
	assert_true(dl->link);
	lose(0);
	assert_int_equal(dl->opens, 3); /* the second one within a second waits */
	event_active(dl->d.devices.again, EV_TIMEOUT, 1);
	dl_turn();
	assert_int_equal(dl->opens, 4);
	assert_int_equal(dl->repairs, 1);
	for (unsigned peer = 0; peer <= OWN; peer += OWN)
		dl_tun(TO(.peer = peer, .flow = 1, .payload = 100));
	dl_loop();
	assert_int_equal(dl->wire.n, 2);
}

/* A device that cannot be made is tried again; meanwhile, packets for it are dropped. */
static void test_cannot_be_made(void **state)
{
	struct records want = {0};

	(void)state;
	dl_own_device(OWN, OWN);
	dl->open_result = -EBUSY;
	lose(OWN);
	assert_null(own()->readable);
	arrive(FROM(.peer = OWN, .flow = 7, .payload = 100), &want);
	dl->own_out.n = 0;
	for (unsigned i = 0; i < 3; i++) {
		event_active(dl->d.devices.again, EV_TIMEOUT, 1);
		dl_turn();
		assert_true(evtimer_pending(dl->d.devices.again, NULL));
	}
	assert_int_equal(dl->opens, 6);
	dl->open_result = 0;
	event_active(dl->d.devices.again, EV_TIMEOUT, 1);
	dl_turn();
	assert_non_null(own()->readable);
	event_active(dl->d.devices.again, EV_TIMEOUT, 1);
	dl_turn();
	assert_false(evtimer_pending(dl->d.devices.again, NULL));
	records_clear(&want);
}

/* A device that is no longer configured is closed; its place is reused when no SA has it any more.
 */
static void test_reload(void **state)
{
	char other[] = "other0";
	struct child_conf child = {.device = other};
	struct conn_conf conn = {.children = &child, .child_count = 1};
	const struct conn_conf *conns = &conn;
	struct config none = {0}, c = {.conns = {.v = &conns, .count = 1}};

	(void)state;
	dl_own_device(OWN, OWN);
	devices_make(&dl->d, &none);
	devices_prune(&dl->d);
	assert_null(own()->readable);
	devices_make(&dl->d, &c);
	assert_int_equal(device_index(&dl->d, other), 2); /* an SA still has the first place */
	devices_make(&dl->d, &none);
	devices_prune(&dl->d);
	spd_remove(&dl->tunnel.path->devices[1].spd, &dl->policy[OWN]);
	sad_release(&dl->tunnel.path->sad, dl->spi[OWN]);
	dl->spi[OWN] = 0;
	other[0] = 'O';
	devices_make(&dl->d, &c);
	assert_int_equal(device_index(&dl->d, other), 1);
	assert_string_equal(own()->tun.name, "Other0");
	assert_non_null(own()->readable);
}

/* A packet that was pending when its device was removed is not sent by the device that takes its
 * place. */
static void test_pending(void **state)
{
	static const struct answer full[] = {FULL};
	char other[] = "other0";
	struct child_conf child = {.device = other};
	struct conn_conf conn = {.children = &child, .child_count = 1};
	const struct conn_conf *conns = &conn;
	struct config c = {.conns = {.v = &conns, .count = 1}};

	(void)state;
	dl_own_device(OWN, OWN);
	dl->script = full;
	dl->script_len = ARRAY_SIZE(full);
	dl_tun_super(TO(.peer = OWN, .tcp = true, .flow = 1, .payload = 65000), 500);
	dl_turn();
	assert_true(dl->d.out.pending);
	spd_remove(&dl->tunnel.path->devices[1].spd, &dl->policy[OWN]);
	sad_release(&dl->tunnel.path->sad, dl->spi[OWN]);
	dl->spi[OWN] = 0;
	devices_make(&dl->d, &c);
	assert_int_equal(device_index(&dl->d, other), 1);
	assert_false(dl->d.out.pending);
}

/* While the socket is full, no device is read, including those made meanwhile. */
static void test_full_socket(void **state)
{
	static const struct answer full[] = {FULL};

	(void)state;
	dl->script = full;
	dl->script_len = ARRAY_SIZE(full);
	dl_tun(TO(.flow = 1, .payload = 100));
	dl_turn();
	assert_true(dl->d.out.parked);
	dl_own_device(OWN, OWN);
	dl_tun(TO(.peer = OWN, .flow = 1, .payload = 100));
	dl_turn();
	assert_int_equal(dl->tun_reads, 1);
	dl_loop();
	assert_int_equal(dl->wire.n, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_inbound, dl_begin, dl_end),
		cmocka_unit_test_setup_teardown(test_accept, dl_begin, dl_end),
		cmocka_unit_test_setup_teardown(test_outbound, dl_begin, dl_end),
		cmocka_unit_test_setup_teardown(test_too_big, dl_begin, dl_end),
		cmocka_unit_test_setup_teardown(test_link, dl_begin, dl_end),
		cmocka_unit_test_setup_teardown(test_gone, dl_begin, dl_end),
		cmocka_unit_test_setup_teardown(test_cannot_be_made, dl_begin, dl_end),
		cmocka_unit_test_setup_teardown(test_reload, dl_begin, dl_end),
		cmocka_unit_test_setup_teardown(test_pending, dl_begin, dl_end),
		cmocka_unit_test_setup_teardown(test_full_socket, dl_begin, dl_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
