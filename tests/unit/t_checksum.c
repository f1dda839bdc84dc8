/*
 * t_checksum.c - every implementation of the Internet checksum, including those that this machine
 * would not choose.
 * SPDX-License-Identifier: ISC
 */
#include "esp_fixture.h"

/* includes the file for its static functions */
#include "../../common/packet/checksum.c"

#define ROOM 512

struct way {
	const char *name;
	uint64_t (*sum)(uint8_t *dst, const uint8_t *p, size_t len);
	bool usable;
};

static struct way ways[] = {
	{"plain", sum_plain, true},
#ifdef __x86_64__
	{"avx2", sum_avx2, false},
	{"avx512", sum_avx512, false},
#endif
};

/* RFC 1071 4.1, as written there. */
static uint16_t slow(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static int find_usable(void **state)
{
	(void)state;
#ifdef __x86_64__
	ways[1].usable = __builtin_cpu_supports("avx2");
	ways[2].usable = __builtin_cpu_supports("avx512f");
#endif
	return 0;
}

/* Every length up to several blocks of the widest vectors, and every alignment to 8 bytes. */
static void check(const struct way *w, const uint8_t *from)
{
	static uint8_t to[ROOM + 8];

	for (size_t len = 0; len < ROOM - 8; len++) {
		size_t at = len % 8;

		memset(to, 0x5a, sizeof(to));
		assert_int_equal(csum_end(w->sum(NULL, from + at, len)), slow(from + at, len));
		assert_int_equal(csum_end(w->sum(to + 7 - at, from + at, len)),
				 slow(from + at, len));
		assert_memory_equal(to + 7 - at, from + at, len);
		assert_int_equal(to[7 - at + len], 0x5a);
	}
}

/* Every implementation that this machine can run gives the sum of RFC 1071. */
static void test_ways(void **state)
{
	static uint8_t from[ROOM];
	struct fixture_rng r;

	(void)state;
	fixture_rng_init(&r, 1071);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		if (!ways[i].usable) {
			print_message("# this machine has no %s\n", ways[i].name);
			continue;
		}
		for (size_t n = 0; n < ROOM; n++)
			from[n] = (uint8_t)fixture_u64(&r);
		check(&ways[i], from);
		/* carries out of every word */
		memset(from, 0xff, sizeof(from));
		check(&ways[i], from);
	}
}

/* The longest packet does not overflow a vector lane. */
static void test_long(void **state)
{
	static uint8_t from[65535];

	(void)state;
	memset(from, 0xff, sizeof(from));
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		if (ways[i].usable)
			assert_int_equal(csum_end(ways[i].sum(NULL, from, sizeof(from))),
					 slow(from, sizeof(from)));
	}
}

/* A sum of parts is the sum of the whole. */
static void test_parts(void **state)
{
	uint8_t p[100], to[100];
	uint64_t part;

	(void)state;
	for (size_t i = 0; i < sizeof(p); i++)
		p[i] = (uint8_t)(i * 37 + 11);
	part = csum_copy_part(to, p + 40, 59) + csum_words(p, 40);
	assert_int_equal(csum_end(part), slow(p, 99));
	assert_int_equal(csum_end(part), csum(p, 99, 0));
	part = csum_words(p, 40) + csum_number(0x12345);
	assert_int_equal(csum_end(part), csum(p, 40, 0x12345));
	assert_int_equal(csum_end(0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ways),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_parts),
	};

	return cmocka_run_group_tests(tests, find_usable, NULL);
}
