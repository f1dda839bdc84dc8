/* t_expiry.c - certificates and CRLs that end soon are told, each once. SPDX-License-Identifier:
 * ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/trust_ossl.h"
#include "expiry.h"
#include "pki.h"
#include "xalloc.h"

#include <stdio.h>

#define DAY 86400LL

struct said {
	char lines[8][400];
	unsigned count;
};

static void tell(void *ctx, const struct ident *peer, const char *line)
{
	struct said *s = ctx;

	assert_null(peer);
	assert_true(s->count < ARRAY_SIZE(s->lines));
	snprintf(s->lines[s->count++], sizeof(s->lines[0]), "%s", line);
}

/* Appends days since PKI_NOW to the text. */
static void end(void *ctx, const char *conn, enum expiry_kind kind, int64_t when)
{
	char *text = ctx;
	size_t len = strlen(text);

	snprintf(text + len, 200 - len, "%s %s %lld, ", conn, expiry_kind_name(kind),
		 (long long)(when - PKI_NOW) / DAY);
}

static struct pki *ends(const char *subject, int64_t until)
{
	return pki_make(&(struct pki_spec){.kind = PKI_P256, .subject = subject, .until = until});
}

static void add_cert(struct trust *t, const struct pki *p, bool pinned)
{
	struct cert *c = pki_cert(p);

	trust_add(t, c, pinned);
	cert_unref(c);
}

/* Two connections with the same certificates. */
static struct cred_store *two(const struct pki *ours, const struct trust *t)
{
	struct cred_store *s = cred_store_new();
	const struct cert *c = pki_cert(ours);

	for (unsigned i = 0; i < 2; i++) {
		struct conn_creds *k = cred_store_add(s, i == 0 ? "a" : "b");

		k->chain.v[k->chain.count++] = cert_ref(c);
		k->peer = trust_ref(t);
	}
	cert_unref(c);
	cred_store_complete(s);
	return s;
}

static void what_ends_is_told(void **state)
{
	struct pki *ca = ends("CN=CA", PKI_NOW + 100 * DAY);
	struct trust *t = trust_new();
	struct cred_store *s;
	struct said said = {0};
	char ends_seen[200] = "";
	struct crl *crl = crl_adopt(pki_crl(ca, NULL, PKI_NOW + 9 * DAY)); /* issued a day before */

	(void)state;
	add_cert(t, ca, false);
	add_cert(t, ends("CN=peer", PKI_NOW + 40 * DAY), true);
	trust_add_crl(t, crl);
	s = two(ends("O=Example,CN=gw", PKI_NOW + 31 * DAY), t);
	expiry_look(s, NULL, PKI_NOW, tell, &said);
	assert_int_equal(said.count, 0);
	expiry_look(s, NULL, PKI_NOW + DAY, tell, &said);
	assert_int_equal(said.count, 1);
	assert_string_equal(said.lines[0],
			    "a: our certificate \"O=Example, CN=gw\" ends in 30 days");
	said.count = 0;
	expiry_look(s, NULL, PKI_NOW + 8 * DAY, tell, &said);
	assert_int_equal(said.count, 2);
	assert_string_equal(said.lines[1], "a: the CRL of \"CN=CA\" ends in 24 hours");
	said.count = 0;
	expiry_look(s, NULL, PKI_NOW + 33 * DAY, tell, &said);
	assert_int_equal(said.count, 3);
	assert_string_equal(said.lines[0],
			    "a: our certificate \"O=Example, CN=gw\" ended 2 days ago");
	assert_string_equal(said.lines[1], "a: the peer's certificate \"CN=peer\" ends in 7 days");
	assert_string_equal(said.lines[2], "a: the CRL of \"CN=CA\" ended 24 days ago");
	said.count = 0;
	expiry_look(s, NULL, PKI_NOW + 90 * DAY, tell, &said);
	assert_int_equal(said.count, 4);
	expiry_ends(s, end, ends_seen);
	assert_string_equal(ends_seen, "a own 31, a ca 100, a peer 40, a crl 9, "
				       "b own 31, b ca 100, b peer 40, b crl 9, ");
	crl_unref(crl);
	trust_unref(t);
	cred_store_unref(s);
}

static void nothing_to_look_at(void **state)
{
	struct said said = {0};

	(void)state;
	expiry_look(NULL, NULL, PKI_NOW, tell, &said);
	expiry_ends(NULL, end, NULL);
	assert_int_equal(said.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_ends_is_told),
		cmocka_unit_test(nothing_to_look_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
