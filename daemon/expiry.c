/* expiry.c - see expiry.h. SPDX-License-Identifier: ISC */
#include "expiry.h"
#include "ike_view.h"
#include "xalloc.h"

#include <stdio.h>

struct look {
	int64_t now;
	expiry_tell *tell;
	void *ctx;
	const void **told; /* certificates and CRLs of several connections are told once */
	unsigned count;
};

static const char *name_text(struct chunk name, char *s)
{
	struct ident id;

	return ident_from_wire(ID_DN, name, &id) < 0 ? "?" : ident_format(&id, s);
}

const char *expiry_subject(const struct cert *c, char *s)
{
	return name_text(cert_subject(c), s);
}

static bool is_told(struct look *l, const void *what)
{
	for (unsigned i = 0; i < l->count; i++) {
		if (l->told[i] == what)
			return true;
	}
	l->told = xreallocarray(l->told, l->count + 1, sizeof(*l->told));
	l->told[l->count++] = what;
	return false;
}

/* left: seconds to its end; negative: it has ended. */
static void tell(struct look *l, const char *conn, const struct ident *peer, const char *what,
		 const char *name, int64_t left)
{
	char line[400], end[EXPIRY_STRLEN];

	snprintf(line, sizeof(line), "%.60s: %s \"%.200s\" %s", conn, what, name,
		 expiry_words(left, end));
	l->tell(l->ctx, peer, line);
}

static void look_cert(struct look *l, const char *conn, const struct ident *peer, const char *what,
		      const struct cert *c)
{
	int64_t end = cert_not_after(c);
	char name[IDENT_STRLEN];

	if (end != CERT_NO_TIME && end - l->now <= EXPIRY_WARNING && !is_told(l, c))
		tell(l, conn, peer, what, expiry_subject(c, name), end - l->now);
}

static void look_crl(struct look *l, const char *conn, const struct crl *c)
{
	int64_t next = crl_next_update(c), last = crl_last_update(c);
	char name[IDENT_STRLEN];

	if (next != CERT_NO_TIME && last != CERT_NO_TIME && next - l->now <= (next - last) / 10 &&
	    !is_told(l, c))
		tell(l, conn, NULL, "the CRL of", name_text(crl_issuer(c), name), next - l->now);
}

static void look_trust(struct look *l, const char *conn, const struct trust *t)
{
	const struct cert *c;
	const struct crl *crl;

	for (unsigned i = 0; (c = trust_anchor(t, i)); i++)
		look_cert(l, conn, NULL,
			  trust_is_pinned(t, i) ? "the peer's certificate"
						: "the certificate of the CA",
			  c);
	for (unsigned i = 0; (crl = trust_crl(t, i)); i++)
		look_crl(l, conn, crl);
}

static void look_creds(struct look *l, const struct cred_store *s)
{
	const struct trust *last = NULL; /* many connections share it */

	for (unsigned i = 0; i < s->count; i++) {
		const struct conn_creds *c = &s->v[i];

		for (unsigned k = 0; k < c->chain.count; k++)
			look_cert(l, c->conn, NULL,
				  k == 0 ? "our certificate" : "the certificate of the CA",
				  c->chain.v[k]);
		if (c->peer && c->peer != last)
			look_trust(l, c->conn, c->peer);
		last = c->peer;
	}
}

static void look_peers(struct look *l, const struct ike *ike)
{
	const struct ike_sa *sa;

	for (sa = ike_first_sa(ike); sa; sa = ike_next_sa(sa)) {
		const struct peer_proof *p = ike_sa_proof(sa);

		if (p && p->chain.count)
			look_cert(l, ike_sa_conn(sa)->name, ike_sa_peer_id(sa),
				  "the peer's certificate", p->chain.v[0]);
	}
}

void expiry_look(const struct cred_store *creds, const struct ike *ike, int64_t now,
		 expiry_tell *tell_one, void *ctx)
{
	struct look l = {.now = now, .tell = tell_one, .ctx = ctx};

	if (creds)
		look_creds(&l, creds);
	if (ike)
		look_peers(&l, ike);
	free(l.told);
}

/* ---- the first end of each kind ---- */

const char *expiry_kind_name(enum expiry_kind kind)
{
	static const char *const names[] = {[EXPIRY_OWN] = "own",
					    [EXPIRY_CA] = "ca",
					    [EXPIRY_PEER] = "peer",
					    [EXPIRY_CRL] = "crl"};

	return names[kind];
}

/* Both may be CERT_NO_TIME: none. */
static int64_t first_of(int64_t a, int64_t b)
{
	if (a == CERT_NO_TIME || b == CERT_NO_TIME)
		return a == CERT_NO_TIME ? b : a;
	return a < b ? a : b;
}

static int64_t end_of_chain(const struct cert_chain *c)
{
	int64_t end = CERT_NO_TIME;

	for (unsigned i = 0; i < c->count; i++)
		end = first_of(end, cert_not_after(c->v[i]));
	return end;
}

static void ends_of_trust(const struct trust *t, int64_t ends[EXPIRY_KINDS])
{
	const struct cert *c;
	const struct crl *crl;

	ends[EXPIRY_CA] = ends[EXPIRY_PEER] = ends[EXPIRY_CRL] = CERT_NO_TIME;
	for (unsigned i = 0; t && (c = trust_anchor(t, i)); i++) {
		int64_t *of = &ends[trust_is_pinned(t, i) ? EXPIRY_PEER : EXPIRY_CA];

		*of = first_of(*of, cert_not_after(c));
	}
	for (unsigned i = 0; t && (crl = trust_crl(t, i)); i++)
		ends[EXPIRY_CRL] = first_of(ends[EXPIRY_CRL], crl_next_update(crl));
}

void expiry_ends(const struct cred_store *creds, expiry_end *tell_end, void *ctx)
{
	const struct trust *last = NULL; /* many connections share it */
	int64_t ends[EXPIRY_KINDS];

	ends_of_trust(NULL, ends);
	for (unsigned i = 0; creds && i < creds->count; i++) {
		const struct conn_creds *c = &creds->v[i];

		ends[EXPIRY_OWN] = end_of_chain(&c->chain);
		if (c->peer != last)
			ends_of_trust(c->peer, ends);
		last = c->peer;
		for (int k = 0; k < EXPIRY_KINDS; k++) {
			if (ends[k] != CERT_NO_TIME)
				tell_end(ctx, c->conn, (enum expiry_kind)k, ends[k]);
		}
	}
}
