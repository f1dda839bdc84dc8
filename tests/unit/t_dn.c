/* t_dn.c - distinguished names: from text to DER and back, compared, and malformed.
 * SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/dn.h"
#include "auth/ident.h"
#include "pki.h"
#include "xalloc.h"

static struct ident dn(const char *text)
{
	struct ident id = {0};

	if (ident_parse(text, &id) < 0 || id.type != ID_DN)
		fail_msg("%s", text);
	return id;
}

/* Text is read, and written as given on the right; what is written is read as the same name. */
static void text_and_back(void **state)
{
	static const struct {
		const char *text, *back;
	} names[] = {
		{"CN=gw", "CN=gw"},
		{"C=CH,O=Example Ltd,CN=gw", "C=CH, O=Example Ltd, CN=gw"},
		{" cn = gw , ou=a  b ", "CN=gw, OU=a  b"},
		{"CN=a\\,b\\+c\\\\d", "CN=a\\,b\\+c\\\\d"},
		{"CN=\\ a\\ ", "CN=\\ a\\ "},
		{"CN=\\#a", "CN=\\#a"},
		{"CN=M\\C3\\BCller", "CN=M\\C3\\BCller"},
		{"CN=M\xc3\xbcller", "CN=M\\C3\\BCller"},
		{"CN=a+UID=b, O=c", "CN=a+UID=b, O=c"},
		{"E=ike@example.net, DC=example, DC=net",
		 "emailAddress=ike@example.net, DC=example, DC=net"},
		{"1.2.840.113549.1.9.2=x", "1.2.840.113549.1.9.2=x"},
		{"2.999.3=x, 0.9.2342.19200300.100.1.1=y", "2.999.3=x, UID=y"},
		{"CN=#1e0400610062", "CN=#1e0400610062"},
		{"CN=#0c026777", "CN=gw"},
		{"serialNumber=7, dnQualifier=q, street=s, postalCode=1, title=t",
		 "serialNumber=7, dnQualifier=q, street=s, postalCode=1, title=t"},
	};
	char back[IDENT_STRLEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct ident id = dn(names[i].text), again;

		assert_string_equal(ident_format(&id, back), names[i].back);
		again = dn(back);
		assert_int_equal(id.len, again.len);
		assert_memory_equal(id.data, again.data, id.len);
		assert_true(ident_eq(&id, &again));
	}
}

static void bad_texts(void **state)
{
	static const char *const texts[] = {"=",
					    "CN=",
					    "CN= ",
					    "=x",
					    "CN=a,",
					    "CN=a,,O=b",
					    "CN=a+",
					    "XX=a",
					    "1.=x",
					    "1=x",
					    "3.1=x",
					    "1.2.268435456=x",
					    "CN=#",
					    "CN=#0",
					    "CN=#0c",
					    "CN=#0c0267",
					    "CN=#0c026777 x",
					    "CN=a\nb",
					    "CN=\\0a",
					    "CN=\\00",
					    "CN=#0500, ,O=a"};
	struct ident id;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (ident_parse(texts[i], &id) == 0)
			fail_msg("%s", texts[i]);
	}
}

/* A name is as long as an identity may be, and no longer. */
static void long_names(void **state)
{
	char text[IDENT_MAX * 4], back[IDENT_STRLEN];
	unsigned longest = 0;
	struct ident id;

	(void)state;
	for (unsigned len = 1; len < IDENT_MAX + 20; len++) {
		memset(text, 0, sizeof(text));
		memcpy(text, "CN=", 3);
		for (unsigned i = 0; i < len; i++)
			memcpy(text + 3 + 3 * (i % IDENT_MAX), "\\C3", 3);
		if (ident_parse(text, &id) == 0) {
			longest = id.len;
			assert_int_equal(strlen(ident_format(&id, back)), 3 + 3 * len);
		}
	}
	assert_true(longest > IDENT_MAX - 8 && longest <= IDENT_MAX);
}

/* Keys are equal where names are; they have the room of a name. */
static bool same_key(const struct ident *a, const struct ident *b)
{
	struct ident x, y;

	ident_key(a, &x);
	ident_key(b, &y);
	assert_true(x.len <= a->len && y.len <= b->len);
	return memcmp(&x, &y, sizeof(x)) == 0;
}

static void comparison(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} pairs[] = {
		{"CN=gw", "cn=GW", true},
		{"CN=a b", "CN=a  B", true},
		{"CN=\\ a b\\ ", "CN=a b", true},
		{"CN=ab", "CN=a b", false},
		{"CN=#13026777", "CN=gw", true},
		{"CN=#1e0400670077", "CN=gw", false},
		{"CN=#1e0400670077", "CN=#1e0400670077", true},
		{"CN=gw", "CN=gwx", false},
		{"CN=gw", "OU=gw", false},
		{"CN=gw, O=a", "CN=gw", false},
		{"CN=gw", "CN=gw, O=a", false},
		{"CN=a, O=b", "O=b, CN=a", false},
		{"CN=a+O=b", "CN=a, O=b", false},
		{"CN=M\\C3\\BC", "CN=M\\C3\\9C", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct ident a = dn(pairs[i].a), b = dn(pairs[i].b);

		if (ident_eq(&a, &b) != pairs[i].same || ident_eq(&b, &a) != pairs[i].same ||
		    same_key(&a, &b) != pairs[i].same)
			fail_msg("%s, %s", pairs[i].a, pairs[i].b);
	}
}

static unsigned match(const char *pattern, const char *text)
{
	struct ident p = dn(pattern), id = dn(text), wire;

	assert_int_equal(ident_from_wire(ID_DN, (struct chunk){id.data, id.len}, &wire), 0);
	return ident_match(&p, &wire);
}

/* A "*" stands for any value in the configuration, and for itself on the wire. */
static void patterns(void **state)
{
	struct ident any = {0}, gw = dn("O=a, CN=gw");

	(void)state;
	assert_true(match("CN=*", "CN=gw") > ident_match(&any, &gw));
	assert_true(match("O=a, CN=*", "O=a, CN=gw") > match("O=*, CN=*", "O=a, CN=gw"));
	assert_true(match("O=a, CN=gw", "O=a, CN=gw") > match("O=a, CN=*", "O=a, CN=gw"));
	assert_int_equal(match("O=b, CN=*", "O=a, CN=gw"), 0);
	assert_int_equal(match("CN=*", "O=a, CN=gw"), 0);
	assert_int_equal(match("CN=*", "O=gw"), 0);
	assert_int_equal(match("CN=g*", "CN=gw"), 0);
	assert_int_equal(match("CN=gw", "CN=*"), 0);
	assert_true(match("CN=*", "CN=*") > 0);
	gw = dn("CN=*");
	assert_true(ident_is_pattern(&gw));
	assert_int_equal(ident_from_wire(ID_DN, (struct chunk){gw.data, gw.len}, &any), 0);
	assert_false(ident_is_pattern(&any) || ident_eq(&any, &gw));
	gw = dn("CN=gw");
	assert_false(ident_eq(&any, &gw) || ident_eq(&gw, &any));
}

/* Each prefix and each changed byte of a name is refused or is another one that can be written. */
static void hostile_names(void **state)
{
	struct ident id = dn("C=CH, O=Example+OU=x, 1.2.3=#0402beef, CN=a\\20b");
	char text[IDENT_STRLEN];
	struct ident got;

	(void)state;
	for (uint16_t len = 0; len < id.len; len++) {
		uint8_t *copy = xmemdup(id.data, len + 1u);

		assert_int_equal(ident_from_wire(ID_DN, (struct chunk){copy, len}, &got), -EINVAL);
		free(copy);
	}
	for (unsigned at = 0; at < id.len; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			uint8_t *copy = xmemdup(id.data, id.len);

			copy[at] ^= (uint8_t)(1 << bit);
			if (ident_from_wire(ID_DN, (struct chunk){copy, id.len}, &got) == 0) {
				struct ident again;

				assert_true(ident_eq(&got, &got));
				assert_int_equal(ident_parse(ident_format(&got, text), &again), 0);
				assert_true(again.pattern || ident_eq(&got, &again));
			}
			free(copy);
		}
	}
}

/* Lengths that are not the shortest, empty sets, and too many attributes. */
static void odd_encodings(void **state)
{
	static const struct {
		const char *der;
		size_t len;
	} names[] = {
		{"\x30\x00", 2},		 /* no attribute */
		{"\x30\x02\x31\x00", 4},	 /* an empty set */
		{"\x30\x80\x31\x00\x00\x00", 6}, /* indefinite */
		{"\x30\x81\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02gw", 16},
		{"\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02gw\x00", 16},
		{"\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02g\x00", 15},
		{"\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x83\x0c\x02gw", 15},
		{"\x30\x0d\x31\x0b\x30\x09\x05\x03\x55\x04\x03\x0c\x02gw", 15},
		{"\x30\x0d\x30\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02gw", 15},
		{"\x30\x0b\x31\x09\x30\x07\x06\x03\x55\x04\x03\x0c\x00", 13},
	};
	uint8_t many[2 + 15 * (DN_MAX_PARTS + 1)] = {0x30};
	struct ident id;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct chunk c = {(const uint8_t *)names[i].der, names[i].len};

		if (ident_from_wire(ID_DN, c, &id) == 0)
			fail_msg("name %zu", i);
	}
	for (unsigned n = 7; n <= DN_MAX_PARTS + 1; n++) {
		struct writer w;

		wr_init(&w, many, sizeof(many));
		wr_u8(&w, 0x30);
		if (n * 13 > 255) {
			wr_u8(&w, 0x82);
			wr_be16(&w, (uint16_t)(n * 13));
		} else {
			if (n * 13 > 127)
				wr_u8(&w, 0x81);
			wr_u8(&w, (uint8_t)(n * 13));
		}
		for (unsigned i = 0; i < n; i++)
			wr_bytes(&w, "\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02gw", 15 - 2);
		assert_int_equal(dn_is_valid((struct chunk){many, w.len}), n <= DN_MAX_PARTS);
	}
}

/* What libcrypto writes is what we write: a subject is read as its text. */
static void as_libcrypto_writes_it(void **state)
{
	struct pki *p = pki_make(&(struct pki_spec){
		.kind = PKI_P256,
		.subject = "C=CH,ST=Zug,L=Zug,O=Example,OU=x,CN=gw,emailAddress=a@b.c"});
	struct cert *c = pki_cert(p);
	struct ident id, same = dn("C=CH, ST=Zug, L=Zug, O=Example, OU=x, CN=gw, E=a@b.c");
	char text[IDENT_STRLEN];

	(void)state;
	assert_int_equal(ident_from_wire(ID_DN, cert_subject(c), &id), 0);
	assert_string_equal(ident_format(&id, text),
			    "C=CH, ST=Zug, L=Zug, O=Example, OU=x, CN=gw, emailAddress=a@b.c");
	assert_true(ident_eq(&id, &same));
	assert_int_equal(id.len, same.len);
	assert_memory_equal(id.data, same.data, id.len);
	cert_unref(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_and_back), cmocka_unit_test(bad_texts),
		cmocka_unit_test(long_names),	 cmocka_unit_test(comparison),
		cmocka_unit_test(patterns),	 cmocka_unit_test(hostile_names),
		cmocka_unit_test(odd_encodings), cmocka_unit_test(as_libcrypto_writes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
