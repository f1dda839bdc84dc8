/*
 * t_proposal.c - proposals as text: the words of swanctl.conf(5), the default proposals, what is
 * never taken and why, and what is written of a peer's offer.
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "crypto/kex.h"
#include "wire/proposal.h"

static struct proposal_list list; /* of the case; freed after it */

static int after_each(void **state)
{
	(void)state;
	proposals_free(&list);
	return 0;
}

static void add(const char *s, uint8_t protocol)
{
	char err[PROPOSAL_ERR];

	if (proposals_add_text(&list, s, protocol, err) < 0)
		fail_msg("%s: %s", s, err);
}

static void assert_text(const char *s, uint8_t protocol, const char *want)
{
	struct proposal p;
	char err[PROPOSAL_ERR], text[512];

	if (proposal_parse_text(s, protocol, &p, err) < 0)
		fail_msg("%s: %s", s, err);
	assert_string_equal(proposal_format(&p, text, sizeof(text)), want);
}

/* ---- reading ---- */

/* Words for the same algorithm, and what a combined list, or one without PRF, stands for. */
static void words_of_swanctl(void **state)
{
	static const char *const ike[][2] = {
		{"aes256gcm16-prfsha384-x25519", "aes256gcm16-prfsha384-x25519"},
		{"aes256gcm128-prfsha384-curve25519", "aes256gcm16-prfsha384-x25519"},
		{"aes256gcm-aes192gcm-aes128gcm-prfsha256-curve448",
		 "aes256gcm16-aes192gcm16-aes128gcm16-prfsha256-x448"},
		{"aes192gcm128-aes128gcm128-prfsha512-ecp512bp",
		 "aes192gcm16-aes128gcm16-prfsha512-ecp512bp"},
		{"aes-sha-modp2048", "aes128-sha1-modp2048-prfsha1"},
		{"aes128-sha2_256-sha2_384-sha2_512-modp8192",
		 "aes128-sha256-sha384-sha512-modp8192-prfsha256-prfsha384-prfsha512"},
		{"aes128-aes256-sha256-sha384-modp2048-ecp256",
		 "aes128-aes256-sha256-sha384-modp2048-ecp256-prfsha256-prfsha384"},
		{"aes128-sha256-prfsha512-modp6144", "aes128-sha256-prfsha512-modp6144"},
		/* beside AEAD ciphers, integrity algorithms only name the PRF */
		{"aes256gcm16-sha384-ecp384", "aes256gcm16-ecp384-prfsha384"},
		{"aes256gcm16-sha384-prfsha256-ecp384bp", "aes256gcm16-prfsha256-ecp384bp"},
		{"aes128-aes128-sha256-sha256-ecp256bp-ecp256bp",
		 "aes128-sha256-ecp256bp-prfsha256"},
	};
	static const char *const esp[][2] = {
		{"aes128gcm16", "aes128gcm16-noesn"},
		{"aes128-aes256-sha1-sha256-modp2048-ecp256-esn-noesn",
		 "aes128-aes256-sha1-sha256-modp2048-ecp256-esn-noesn"},
		{"aes128gcm16-sha256-x25519", "aes128gcm16-x25519-noesn"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ike); i++)
		assert_text(ike[i][0], PROTOCOL_IKE, ike[i][1]);
	for (size_t i = 0; i < ARRAY_SIZE(esp); i++)
		assert_text(esp[i][0], PROTOCOL_ESP, esp[i][1]);
}

static void assert_refused(const char *s, uint8_t protocol, const char *why)
{
	struct proposal p = {.count = 7};
	char err[PROPOSAL_ERR] = "";

	if (proposal_parse_text(s, protocol, &p, err) == 0)
		fail_msg("\"%s\" was taken", s);
	if (!strstr(err, why))
		fail_msg("\"%s\": \"%s\" does not say \"%s\"", s, err, why);
	assert_true(strlen(err) < PROPOSAL_ERR - 1);
	assert_int_equal(p.count, 7);
}

/* Algorithms that are never taken, whatever else is in the proposal: the error says what to do. */
static void never_taken(void **state)
{
	static const char *const groups[] = {"modp768",	     "modp1024",     "modp1536",
					     "modp1024s160", "modp2048s224", "modp2048s256",
					     "ecp192",	     "ecp224",	     "ecp224bp"};
	static const char *const ciphers[] = {
		"3des",	      "des",	     "blowfish",    "blowfish256", "cast128",
		"idea",	      "null",	     "aes128ctr",   "aes256ccm8",  "aes256ccm16",
		"aes128gcm8", "aes256gcm12", "aes192gcm96", "aes256gmac",  "camellia256",
		"serpent128", "twofish256"};
	static const char *const integ[] = {"md5",     "md5_128",   "sha1_160",	  "aesxcbc",
					    "aescmac", "sha256_96", "sha2_256_96"};
	static const char *const prfs[] = {"prfmd5", "prfaesxcbc", "prfaescmac"};
	char s[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		snprintf(s, sizeof(s), "aes256-sha256-ecp256-%s", groups[i]);
		assert_refused(s, PROTOCOL_IKE, "let the peer offer modp2048, ecp256 or x25519");
		assert_refused(s, PROTOCOL_ESP, groups[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(ciphers); i++) {
		snprintf(s, sizeof(s), "%s-sha256-ecp256", ciphers[i]);
		assert_refused(s, PROTOCOL_IKE, "let the peer offer aes256gcm16 or aes");
		assert_refused(s, PROTOCOL_ESP, ciphers[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(integ); i++) {
		snprintf(s, sizeof(s), "aes256-sha256-%s-ecp256", integ[i]);
		assert_refused(s, PROTOCOL_IKE, "let the peer offer sha256");
		assert_refused(s, PROTOCOL_ESP, integ[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(prfs); i++) {
		snprintf(s, sizeof(s), "aes256-sha256-%s-ecp256", prfs[i]);
		assert_refused(s, PROTOCOL_IKE, "let the peer offer prfsha256");
	}
	assert_refused("aes256-sha256-modp2048-modpnone", PROTOCOL_ESP,
		       "one more proposal without");
	assert_refused("aes256-sha256-modp1024", PROTOCOL_IKE, "\"modp1024\" can be broken");
}

static void incomplete(void **state)
{
	(void)state;
	assert_refused("", PROTOCOL_ESP, "names no encryption algorithm");
	assert_refused("sha256", PROTOCOL_ESP, "names no encryption algorithm");
	assert_refused("aes128-x25519", PROTOCOL_ESP, "needs an integrity algorithm");
	assert_refused("aes128gcm16-aes128-sha256", PROTOCOL_ESP, "write two proposals");
	assert_refused("aes128gcm16-prfsha256", PROTOCOL_ESP, "has a PRF");
	assert_refused("aes128gcm16-x25519", PROTOCOL_IKE, "needs a PRF");
	assert_refused("aes128-sha256", PROTOCOL_IKE, "needs a key exchange");
	assert_refused("aes128-sha256-x25519-esn", PROTOCOL_IKE, "has esn");
	assert_refused("aes128gcm16-nonsense", PROTOCOL_ESP, "\"nonsense\" is not an algorithm");
	assert_refused("aes256-sha256-group14", PROTOCOL_IKE, "\"group14\" is written modp2048");
	assert_refused("aes256-sha256-dh31", PROTOCOL_IKE, "\"dh31\" is written x25519");
	assert_refused("aes256-sha256-group0", PROTOCOL_IKE, "is not an algorithm");
	assert_refused("aes256-sha256-group2", PROTOCOL_IKE, "is not an algorithm");
	assert_refused("aes256-sha256-group", PROTOCOL_IKE, "is not an algorithm");
	assert_refused("aes256-sha256-group014", PROTOCOL_IKE, "is not an algorithm");
	assert_refused("aes256-sha256-modp2048!", PROTOCOL_IKE, "\"modp2048!\": remove the !");
	assert_refused("AES256-sha256-modp2048", PROTOCOL_IKE, "\"AES256\": write it in lower");
	assert_refused("aes256-sha256-x25519,aes256", PROTOCOL_IKE, "string of its own");
	assert_refused("aes256--x25519", PROTOCOL_IKE, "\"\" is not an algorithm");
	/* a keyword of the list, not of a proposal */
	assert_refused("default-x25519", PROTOCOL_ESP, "\"default\" is not an algorithm");
}

/* SHA-1 is taken when it is named, and only then; it is reported. */
static void sha1_is_reported(void **state)
{
	char err[PROPOSAL_ERR];

	(void)state;
	add("default", PROTOCOL_IKE);
	add("aes256-sha256-modp2048", PROTOCOL_IKE);
	assert_null(proposals_weakness(&list, err));
	add("aes256-sha256-prfsha1-modp2048", PROTOCOL_IKE);
	assert_string_equal(proposals_weakness(&list, err),
			    "\"prfsha1\" is old: let the peer offer sha256");
	proposals_free(&list);
	add("default", PROTOCOL_ESP);
	assert_null(proposals_weakness(&list, err));
	add("aes128-sha1", PROTOCOL_ESP);
	assert_string_equal(proposals_weakness(&list, err),
			    "\"sha1\" is old: let the peer offer sha256");
}

static void list_is_limited(void **state)
{
	char err[PROPOSAL_ERR];

	(void)state;
	for (unsigned i = 0; i < PROPOSAL_MAX; i++)
		add("aes128gcm16", PROTOCOL_ESP);
	assert_int_equal(proposals_add_text(&list, "aes128gcm16", PROTOCOL_ESP, err), -EINVAL);
	assert_string_equal(err, "more than 16 proposals");
	assert_int_equal(proposals_add_text(&list, "default", PROTOCOL_ESP, err), -EINVAL);
	assert_int_equal(list.count, PROPOSAL_MAX);
}

/* ---- the default proposals ---- */

static size_t offer(const struct proposal_list *l, enum proposal_kex kex, uint8_t *m, size_t cap)
{
	struct ike_builder b;

	ib_inside(&b, m, cap);
	proposals_write(&b, l, (struct chunk){0}, kex);
	assert_false(b.w.bad);
	return b.w.len;
}

/* A peer with this one proposal, and ours, agree on just that, whoever offers. */
static void assert_fits(const char *s, uint8_t protocol, const char *want)
{
	struct proposal p;
	struct proposal_list peer = {.count = 1, .p = &p};
	const struct proposal_list *sides[] = {&list, &peer};
	char err[PROPOSAL_ERR], text[128];

	assert_int_equal(proposal_parse_text(s, protocol, &p, err), 0);
	for (unsigned i = 0; i < 2; i++) {
		uint8_t m[2048];
		size_t len = offer(sides[i], PROPOSAL_KEX, m, sizeof(m));
		struct proposal_offer o;
		struct proposal_choice c;

		assert_int_equal(proposals_parse((struct chunk){m + 4, len - 4}, &o), 0);
		if (!proposals_choose(sides[!i], &o, true, 0, &c))
			fail_msg("%s is not among the default proposals", s);
		assert_string_equal(choice_format(&c, text, sizeof(text)), want);
	}
}

static const char *const groups[] = {"x25519",	 "ecp256",   "ecp384",	"ecp521",
				     "modp2048", "modp3072", "modp4096"};

/* All that is not old: any cipher with any hash and any of the usual groups, with and without PFS
 * and ESN. */
static void default_fits_all(void **state)
{
	static const char *const prfs[] = {"prfsha256", "prfsha384", "prfsha512"};
	size_t suites;
	const struct suite *t = suite_table(&suites);
	unsigned tried = 0;
	char s[128];

	(void)state;
	add("default", PROTOCOL_IKE);
	for (size_t i = 0; i < suites; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(prfs) * ARRAY_SIZE(groups); k++) {
			snprintf(s, sizeof(s), "%s-%s-%s", t[i].name, prfs[k % 3], groups[k / 3]);
			if (t[i].integ != INTEG_HMAC_SHA1_96 && ++tried)
				assert_fits(s, PROTOCOL_IKE, s);
		}
	}
	proposals_free(&list);
	add("default", PROTOCOL_ESP);
	for (size_t i = 0; i < suites; i++) {
		for (size_t k = 0; k < 2 * (ARRAY_SIZE(groups) + 1); k++) {
			snprintf(s, sizeof(s), "%s%s%s-%s", t[i].name, k / 2 ? "-" : "",
				 k / 2 ? groups[k / 2 - 1] : "", k % 2 ? "esn" : "noesn");
			if (t[i].integ != INTEG_HMAC_SHA1_96 && ++tried)
				assert_fits(s, PROTOCOL_ESP, s);
		}
	}
	assert_int_equal(tried, 13 * (3 * 7 + 2 * 8));
	print_message("# the default proposals fit each of %u peers with one proposal\n", tried);
}

/*
 * Their form: few proposals, AEAD ciphers apart from others, the fastest group first, and small
 * enough for a message of 1,280 bytes beside the largest KE payload and what else may come there.
 */
static void default_is_small(void **state)
{
	static const struct {
		uint8_t protocol;
		enum proposal_kex kex;
		uint16_t first_suite_bits, count;
		size_t most;
	} offers[] = {
		/* One more with ML-KEM. */
		{PROTOCOL_IKE, PROPOSAL_KEX, 256, 2, 320},
		{PROTOCOL_ESP, PROPOSAL_KEX, 128, 4, 480},
		{PROTOCOL_ESP, PROPOSAL_KEX_CUT, 128, 2, 200},
		{PROTOCOL_ESP, PROPOSAL_KEX_NONE, 128, 2, 200},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(offers); i++) {
		uint8_t m[2048];
		size_t len, at = 0;
		struct proposal_offer o;
		struct proposal p;
		bool hybrid = offers[i].protocol == PROTOCOL_IKE && kex_available(GROUP_ML_KEM_768);

		proposals_free(&list);
		add("default", offers[i].protocol);
		assert_int_equal(proposals_first_group(&list), GROUP_X25519);
		len = offer(&list, offers[i].kex, m, sizeof(m));
		assert_in_range(len, 1, offers[i].most + (hybrid ? 130 : 0));
		assert_int_equal(proposals_parse((struct chunk){m + 4, len - 4}, &o), 0);
		assert_int_equal(o.count, offers[i].count + hybrid);
		for (unsigned n = 0; proposals_next(&o, &at, &p); n++) {
			assert_int_equal(p.t[0].key_bits, offers[i].first_suite_bits);
			/* all AEAD, or none */
			assert_int_equal(proposal_count_type(&p, TRANSFORM_INTEG) == 0,
					 p.t[0].id == ENCR_AES_GCM_16);
			if (n == 0)
				assert_int_equal(p.t[0].id, ENCR_AES_GCM_16);
		}
	}
}

/* "default" may stand beside others, in any place. */
static void default_beside_others(void **state)
{
	char text[PROPOSALS_STRLEN];

	(void)state;
	add("aes256-sha512-ecp512bp", PROTOCOL_IKE);
	add("default", PROTOCOL_IKE);
	add("aes128-sha1-modp2048", PROTOCOL_IKE);
	assert_int_equal(list.count, 4 + kex_available(GROUP_ML_KEM_768));
	assert_int_equal(proposals_first_group(&list), GROUP_ECP_512_BP);
	assert_fits("aes128-sha1-modp2048", PROTOCOL_IKE, "aes128-sha1-prfsha1-modp2048");
	/* and all of it fits into the text that status and log show */
	assert_null(strstr(proposals_format(&list, PROPOSAL_KEX, text, sizeof(text)), "..."));
	proposals_free(&list);
	add("default", PROTOCOL_ESP);
	assert_null(strstr(proposals_format(&list, PROPOSAL_KEX, text, sizeof(text)), "..."));
}

/* Without replay protection there is no ESN: the default proposals allow that. */
static void default_without_esn(void **state)
{
	(void)state;
	add("default", PROTOCOL_ESP);
	assert_true(proposals_drop_esn(&list));
	for (unsigned i = 0; i < list.count; i++)
		assert_false(
			proposal_has(&list.p[i], &(struct transform){TRANSFORM_ESN, ESN_YES, 0}));
	assert_fits("aes256-sha512-ecp384-noesn", PROTOCOL_ESP, "aes256-sha512-ecp384-noesn");
}

/* A call begins with a group of which keys can be made, whatever else the list has. */
static void first_group_that_we_have(void **state)
{
	struct proposal p = {.protocol = PROTOCOL_IKE};
	struct proposal_list l = {.count = 1, .p = &p};

	(void)state;
	proposal_add(&p, (struct transform){TRANSFORM_KE, 2, 0});
	assert_int_equal(proposals_first_group(&l), GROUP_NONE);
	proposal_add(&p, (struct transform){TRANSFORM_KE, GROUP_ECP_384, 0});
	proposal_add(&p, (struct transform){TRANSFORM_KE, GROUP_X25519, 0});
	assert_int_equal(proposals_first_group(&l), GROUP_ECP_384);
}

/* ---- a peer's offer as text ---- */

/* The body of an SA payload. */
struct body {
	uint8_t b[16384];
	struct writer w;
	size_t proposal;
};

static void begin_proposal(struct body *s, uint8_t number, uint8_t spi_len)
{
	if (s->w.len)
		s->b[s->proposal] = 2;
	else
		wr_init(&s->w, s->b, sizeof(s->b));
	s->proposal = s->w.len;
	wr_be32(&s->w, 8);
	wr_u8(&s->w, number);
	wr_u8(&s->w, PROTOCOL_IKE);
	wr_u8(&s->w, spi_len);
	wr_u8(&s->w, 0);
	wr_bytes(&s->w, "12345678", spi_len);
	wr_patch_len16(&s->w, s->proposal + 2, s->proposal);
}

/* attribute: an unknown one, of 4 bytes, beside the key length. */
static void add_transform(struct body *s, uint8_t type, uint16_t id, uint16_t bits, bool attribute)
{
	size_t at = s->w.len, header = s->proposal + 8u + s->b[s->proposal + 6];

	for (size_t t = header; t < at; t += get_be16(s->b + t + 2))
		s->b[t] = 3;
	wr_be32(&s->w, 0);
	wr_u8(&s->w, type);
	wr_u8(&s->w, 0);
	wr_be16(&s->w, id);
	if (attribute) {
		wr_be16(&s->w, 99);
		wr_be16(&s->w, 4);
		wr_be32(&s->w, 0x800e0080);
	}
	if (bits) {
		wr_be16(&s->w, 0x800e);
		wr_be16(&s->w, bits);
	}
	wr_patch_len16(&s->w, at + 2, at);
	s->b[s->proposal + 7]++;
	wr_patch_len16(&s->w, s->proposal + 2, s->proposal);
}

static void offers_are_written(void **state)
{
	static const char *const want =
		"3des-md5-prfmd5-modp1024, aes256-sha256-prfsha256-modp2048-modp2048s256, "
		"encr(30/"
		"256)-integ(77)-prf(9)-group(4660)-esn(2)-ke1_mlkem768-ke6_group(99)-ke7_none-"
		"type13(36)-"
		"aes192ctr-encr(12/129)";
	static struct body s;
	struct proposal_offer o;
	char text[PROPOSALS_STRLEN];

	(void)state;
	begin_proposal(&s, 1, 0);
	add_transform(&s, TRANSFORM_ENCR, 3, 0, false);
	add_transform(&s, TRANSFORM_INTEG, 1, 0, false);
	add_transform(&s, TRANSFORM_PRF, 1, 0, false);
	add_transform(&s, TRANSFORM_KE, 2, 0, false);
	begin_proposal(&s, 2, 8);
	add_transform(&s, TRANSFORM_ENCR, ENCR_AES_CBC, 256, true);
	add_transform(&s, TRANSFORM_INTEG, INTEG_HMAC_SHA2_256_128, 0, false);
	add_transform(&s, TRANSFORM_PRF, PRF_HMAC_SHA2_256, 0, false);
	add_transform(&s, TRANSFORM_KE, GROUP_MODP_2048, 0, false);
	add_transform(&s, TRANSFORM_KE, 24, 0, false);
	begin_proposal(&s, 3, 4);
	add_transform(&s, TRANSFORM_ENCR, 30, 256, false);
	add_transform(&s, TRANSFORM_INTEG, 77, 0, false);
	add_transform(&s, TRANSFORM_PRF, 9, 0, false);
	add_transform(&s, TRANSFORM_KE, 0x1234, 0, false);
	add_transform(&s, TRANSFORM_ESN, 2, 0, false);
	add_transform(&s, TRANSFORM_ADDKE1, GROUP_ML_KEM_768, 0, false);
	add_transform(&s, TRANSFORM_ADDKE1 + 5, 99, 0, false);
	add_transform(&s, TRANSFORM_ADDKE7, GROUP_NONE, 0, false);
	add_transform(&s, 13, 36, 0, false);
	add_transform(&s, TRANSFORM_ENCR, 13, 192, false);
	add_transform(&s, TRANSFORM_ENCR, ENCR_AES_CBC, 129, false);
	assert_int_equal(proposals_parse((struct chunk){s.b, s.w.len}, &o), 0);
	assert_string_equal(offer_format(&o, text, sizeof(text)), want);
	/* in any room: the beginning, cut at a word, and dots */
	for (size_t size = 0; size <= strlen(want) + 8; size++) {
		char cut[512];
		size_t len;

		memset(cut, 'x', sizeof(cut));
		offer_format(&o, cut, size);
		assert_int_equal(cut[size], 'x');
		if (size == 0)
			continue;
		len = strlen(cut);
		assert_true(len < size);
		if (strcmp(cut, want) == 0 || len == 0)
			continue;
		assert_string_equal(cut + len - 3, "...");
		assert_memory_equal(cut, want, len - 3);
	}
}

/* However much a peer offers, the text of it is short. */
static void long_offers_are_cut(void **state)
{
	static struct body s;
	struct proposal_offer o;
	char text[PROPOSALS_STRLEN];

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		begin_proposal(&s, (uint8_t)(i + 1), 4);
		for (unsigned k = 0; k < 30; k++)
			add_transform(&s, TRANSFORM_ENCR, (uint16_t)(1000 + k), 256, false);
	}
	assert_int_equal(proposals_parse((struct chunk){s.b, s.w.len}, &o), 0);
	offer_format(&o, text, sizeof(text));
	assert_true(strlen(text) > sizeof(text) - 40 && strlen(text) < sizeof(text));
	assert_string_equal(text + strlen(text) - 3, "...");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_of_swanctl),
		cmocka_unit_test(never_taken),
		cmocka_unit_test(incomplete),
		cmocka_unit_test_teardown(sha1_is_reported, after_each),
		cmocka_unit_test_teardown(list_is_limited, after_each),
		cmocka_unit_test_teardown(default_fits_all, after_each),
		cmocka_unit_test_teardown(default_is_small, after_each),
		cmocka_unit_test_teardown(default_beside_others, after_each),
		cmocka_unit_test_teardown(default_without_esn, after_each),
		cmocka_unit_test(first_group_that_we_have),
		cmocka_unit_test(offers_are_written),
		cmocka_unit_test(long_offers_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
