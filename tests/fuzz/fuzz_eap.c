/*
 * fuzz_eap.c - the packets of a server of EAP, which is hostile. SPDX-License-Identifier: ISC
 *
 * The first octet says which method we have: even MS-CHAPv2, odd TLS. Then come packets, each after
 * its length in two octets. Our challenge of MS-CHAPv2 is always the same, so that inputs can have
 * the right proof.
 */
#include "fuzz.h"
#include "auth/eap.h"
#include "exchange/pki.h"
#include "seeded.h"

static struct conn_creds *credentials(void)
{
	static struct conn_creds creds;
	struct trust *t;
	struct cert *ca;
	struct pki *root;
	struct pki_spec spec = {.kind = PKI_P256, .subject = "CN=x", .san = "DNS:branch.example"};

	if (creds.key)
		return &creds;
	root = pki_ca(PKI_P256, "CN=Root", NULL);
	spec.issuer = root;
	t = trust_new();
	ca = pki_cert(root);
	trust_add(t, ca, false);
	cert_unref(ca);
	creds.peer = t;
	root = pki_make(&spec);
	creds.key = pki_private(root);
	creds.chain.v[creds.chain.count++] = pki_cert(root);
	return &creds;
}

static void is_printable(const char *s)
{
	for (; s && *s; s++)
		hold(*s >= ' ' && *s < 0x7f);
}

/* What we send is a response to this packet, and fits. */
static void is_response(const struct writer *w, struct chunk request)
{
	hold(!w->bad && w->len >= 5 && w->len <= EAP_OUT_MAX);
	hold(w->base[0] == 2 && w->base[1] == request.p[1] && get_be16(w->base + 2) == w->len);
	hold(request.p[0] == 1 && request.len >= 5);
}

static void packets(struct eap *e, struct reader *r, bool tls)
{
	enum eap_result result = EAP_RESPONDS;
	unsigned responses = 0;

	while (r->left >= 2 && result == EAP_RESPONDS) {
		uint16_t len = rd_be16(r);
		struct chunk packet = {.len = min_u64(len, r->left)};
		uint8_t out[EAP_OUT_MAX];
		struct writer w;

		packet.p = rd_bytes(r, packet.len);
		wr_init(&w, out, sizeof(out));
		result = eap_receive(e, packet, &w);
		is_printable(eap_notice(e));
		is_printable(eap_why(e));
		if (result == EAP_RESPONDS)
			is_response(&w, packet);
		responses += result == EAP_RESPONDS;
		hold(responses <= EAP_ROUNDS);
		/* Success is four octets, and nobody here has a key for TLS. */
		hold(result != EAP_SUCCEEDS || (packet.len == 4 && packet.p[0] == 3 && !tls));
		hold(result != EAP_FAILS || *eap_why(e));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool tls = size && data[0] & 1;
	struct seeded rng;
	struct ident server;
	struct eap_setup setup = {.kind = tls ? AUTH_KIND_EAP_TLS : AUTH_KIND_EAP_MSCHAPV2,
				  .identity = {(const uint8_t *)"User", 4},
				  .rng = &rng.rng,
				  .password = {(const uint8_t *)"clientPass", 10},
				  .creds = credentials(),
				  .server = &server,
				  .when = PKI_NOW};
	struct reader r;
	const char *why;
	struct eap *e;

	if (!size)
		return 0;
	seeded_init(&rng, 1);
	hold(ident_parse("aaa.example", &server) == 0);
	e = eap_new(&setup, &why);
	hold(e != NULL);
	rd_init(&r, data + 1, size - 1);
	packets(e, &r, tls);
	eap_free(e);
	return 0;
}
