/*
 * t_reassembly.c - a message is put together from its fragments (RFC 7383 2.6), whatever their
 * order. SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sa/fragments.h"
#include "wire/ike_types.h"
#include "../seeded.h"

#define LIMIT 4096

static struct fragment_head head(uint32_t id, unsigned number, unsigned total)
{
	return (struct fragment_head){.id = id,
				      .exchange = IKE_AUTH,
				      .next = number == 1 ? PAYLOAD_IDI : PAYLOAD_NONE,
				      .number = (uint16_t)number,
				      .total = (uint16_t)total};
}

/* The bytes of a fragment: its number, as often as that is. */
static struct chunk text_of(unsigned number)
{
	static uint8_t text[256];

	memset(text, (int)number, sizeof(text));
	return (struct chunk){text, number % sizeof(text)};
}

static enum fragment_result add(struct fragments *f, uint32_t id, unsigned number, unsigned total)
{
	struct fragment_head h = head(id, number, total);

	assert_true(fragments_want(f, &h));
	return fragments_add(f, &h, text_of(number), LIMIT);
}

static bool wants(const struct fragments *f, uint32_t id, unsigned number, unsigned total)
{
	struct fragment_head h = head(id, number, total);

	return fragments_want(f, &h);
}

/* All parts are here: compares the message with what it must be. */
static void check_joined(const struct fragments *f, unsigned total)
{
	uint8_t text[LIMIT];
	size_t at = 0;

	assert_int_equal(f->count, total);
	assert_int_equal(f->first, PAYLOAD_IDI);
	fragments_join(f, text);
	for (unsigned i = 1; i <= total; i++) {
		for (unsigned k = 0; k < i; k++)
			assert_int_equal(text[at++], i);
	}
	assert_int_equal(f->len, at);
}

static void swap(unsigned *a, unsigned *b)
{
	unsigned t = *a;

	*a = *b;
	*b = t;
}

#define PARTS 5

/* Stores the fragments in this order, each one twice. */
static void try_order(const unsigned *order)
{
	struct fragments f = {0};

	for (unsigned i = 0; i < PARTS; i++) {
		assert_int_equal(add(&f, 7, order[i], PARTS),
				 i + 1 < PARTS ? FRAGMENT_STORED : FRAGMENT_COMPLETE);
		assert_false(wants(&f, 7, order[i], PARTS));
	}
	check_joined(&f, PARTS);
	fragments_clear(&f);
	assert_null(f.part);
}

static unsigned permute(unsigned *order, unsigned from)
{
	unsigned tried = 0;

	if (from == PARTS) {
		try_order(order);
		return 1;
	}
	for (unsigned i = from; i < PARTS; i++) {
		swap(&order[from], &order[i]);
		tried += permute(order, from + 1);
		swap(&order[from], &order[i]);
	}
	return tried;
}

static void every_order(void **state)
{
	unsigned order[PARTS] = {1, 2, 3, 4, 5};

	(void)state;
	assert_int_equal(permute(order, 0), 120);
}

static void wrong_numbers(void **state)
{
	struct fragments f = {0};

	(void)state;
	assert_false(wants(&f, 7, 0, 3));
	assert_false(wants(&f, 7, 4, 3));
	assert_false(wants(&f, 7, 0, 0));
	assert_false(wants(&f, 7, 1, 0));
	assert_false(wants(&f, 7, 1, IKE_MAX_FRAGMENTS + 1));
	assert_false(wants(&f, 7, 65535, 65535));
	assert_true(wants(&f, 7, IKE_MAX_FRAGMENTS, IKE_MAX_FRAGMENTS));
}

/* RFC 7383 2.5.2: more fragments than before replace them, fewer are dropped. */
static void another_total(void **state)
{
	struct fragments f = {0};

	(void)state;
	assert_int_equal(add(&f, 7, 1, 3), FRAGMENT_STORED);
	assert_int_equal(add(&f, 7, 2, 3), FRAGMENT_STORED);
	assert_false(wants(&f, 7, 3, 2));
	assert_false(wants(&f, 7, 1, 2));
	assert_int_equal(add(&f, 7, 4, 4), FRAGMENT_STORED);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.len, 4);
	assert_false(wants(&f, 7, 3, 3)); /* what would have made the first set complete */
	for (unsigned i = 1; i < 4; i++)
		assert_int_equal(add(&f, 7, i, 4), i < 3 ? FRAGMENT_STORED : FRAGMENT_COMPLETE);
	check_joined(&f, 4);
	fragments_clear(&f);
}

/* A later message replaces an incomplete one; an earlier one does not. */
static void another_message(void **state)
{
	struct fragments f = {0};
	struct fragment_head other = head(8, 2, 2);

	(void)state;
	assert_int_equal(add(&f, 7, 2, 2), FRAGMENT_STORED);
	assert_false(wants(&f, 6, 1, 2));
	assert_int_equal(add(&f, 8, 1, 2), FRAGMENT_STORED);
	assert_int_equal(f.count, 1);
	assert_false(wants(&f, 7, 1, 2));
	other.exchange = IKE_INFORMATIONAL; /* no part of the same message */
	assert_false(fragments_want(&f, &other));
	assert_int_equal(add(&f, 8, 2, 2), FRAGMENT_COMPLETE);
	check_joined(&f, 2);
	fragments_clear(&f);
}

/* What is longer than the limit is forgotten, also where the last fragment makes it so. */
static void too_long(void **state)
{
	static uint8_t text[LIMIT];
	struct fragments f = {0};
	struct fragment_head h = head(7, 1, 3);

	(void)state;
	assert_int_equal(fragments_add(&f, &h, (struct chunk){text, LIMIT - 1}, LIMIT),
			 FRAGMENT_STORED);
	h.number = 2;
	assert_int_equal(fragments_add(&f, &h, (struct chunk){text, 1}, LIMIT), FRAGMENT_STORED);
	h.number = 3;
	assert_int_equal(fragments_add(&f, &h, (struct chunk){text, 1}, LIMIT), FRAGMENT_TOO_LONG);
	assert_null(f.part);
	assert_int_equal(f.len, 0);
	h.number = 1;
	assert_int_equal(fragments_add(&f, &h, (struct chunk){text, LIMIT}, LIMIT - 1),
			 FRAGMENT_TOO_LONG);
	assert_null(f.part);
}

/* Empty fragments count, and take no memory of their own. */
static void empty_ones(void **state)
{
	struct fragments f = {0};
	uint8_t text[1];

	(void)state;
	for (unsigned i = IKE_MAX_FRAGMENTS; i > 0; i--) {
		struct fragment_head h = head(7, i, IKE_MAX_FRAGMENTS);

		assert_true(fragments_want(&f, &h));
		assert_int_equal(fragments_add(&f, &h, (struct chunk){0}, LIMIT),
				 i > 1 ? FRAGMENT_STORED : FRAGMENT_COMPLETE);
		assert_false(fragments_want(&f, &h));
	}
	assert_int_equal(f.len, 0);
	fragments_join(&f, text);
	fragments_clear(&f);
}

#define IDS    2
#define TOTALS 4

/* What the rules say about a fragment, told of what has come by the simplest means. */
struct model {
	uint32_t id;
	unsigned total; /* 0: nothing */
	bool here[TOTALS + 1];
};

static bool model_wants(const struct model *m, uint32_t id, unsigned number, unsigned total)
{
	if (number == 0 || number > total)
		return false;
	if (m->total == 0 || id > m->id)
		return true;
	return id == m->id && (total > m->total || (total == m->total && !m->here[number]));
}

static bool model_add(struct model *m, uint32_t id, unsigned number, unsigned total)
{
	if (m->total != total || m->id != id)
		*m = (struct model){.id = id, .total = total};
	m->here[number] = true;
	for (unsigned i = 1; i <= total; i++) {
		if (!m->here[i])
			return false;
	}
	return true;
}

/* Fragments of several messages, divided in several ways, in any order, against the model. */
static void any_fragments(void **state)
{
	uint64_t s = 42;
	struct fragments f = {0};
	struct model m = {0};
	unsigned complete = 0;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		uint32_t id = (uint32_t)(seeded_next(&s) % IDS);
		unsigned total = (unsigned)(seeded_next(&s) % (TOTALS + 1));
		unsigned number = (unsigned)(seeded_next(&s) % (TOTALS + 2));
		bool want = model_wants(&m, id, number, total), done;

		assert_int_equal(wants(&f, id, number, total), want);
		if (!want)
			continue;
		done = model_add(&m, id, number, total);
		assert_int_equal(add(&f, id, number, total),
				 done ? FRAGMENT_COMPLETE : FRAGMENT_STORED);
		if (!done && seeded_next(&s) % 64)
			continue;
		if (done)
			check_joined(&f, total);
		complete += done;
		fragments_clear(&f);
		m = (struct model){0};
	}
	assert_true(complete > 100);
	fragments_clear(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_order),	 cmocka_unit_test(wrong_numbers),
		cmocka_unit_test(another_total), cmocka_unit_test(another_message),
		cmocka_unit_test(too_long),	 cmocka_unit_test(empty_ones),
		cmocka_unit_test(any_fragments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
