/*
 * certs.c - certificates and raw public keys in IKE_SA_INIT and IKE_AUTH (RFC 7296 3.6, 3.7, RFC
 * 7427 4, RFC 7670). SPDX-License-Identifier: ISC
 */
#include "auth/authenticator.h"
#include "task/exchanges.h"

#include <stdio.h>

static const struct conn_creds *creds_of(const struct ike_sa *sa)
{
	return cred_find(sa->ike->conns.creds, sa->conn->name);
}

/* ---- SIGNATURE_HASH_ALGORITHMS ---- */

static const uint8_t our_hashes[] = {0, SIGNATURE_HASH_SHA2_256, 0, SIGNATURE_HASH_SHA2_384,
				     0, SIGNATURE_HASH_SHA2_512, 0, SIGNATURE_HASH_IDENTITY};

void hashes_write(struct ike_builder *b, struct ike_sa *sa)
{
	ib_notify(b, PROTOCOL_NONE, (struct chunk){0}, NOTIFY_SIGNATURE_HASH_ALGORITHMS,
		  (struct chunk){our_hashes, sizeof(our_hashes)});
	sa->handshake->announced = true;
}

void hashes_read(struct ike_sa *sa, const struct ike_payloads *p)
{
	const struct ike_notify_view *n = ike_find_notify(p, NOTIFY_SIGNATURE_HASH_ALGORITHMS);
	struct reader r;

	if (!n)
		return;
	rd_init(&r, n->data.p, n->data.len);
	while (r.left >= 2) {
		uint16_t hash = rd_be16(&r);

		if (hash < 32)
			sa->handshake->peer_hashes |= 1u << hash;
	}
}

/* ---- CERTREQ ---- */

static void add_ca(struct asked_cas *a, const struct cert *c)
{
	uint8_t id[CERT_KEY_ID];

	if (a->count == ARRAY_SIZE(a->ids))
		return;
	cert_key_id(c, id);
	for (unsigned i = 0; i < a->count; i++) {
		if (memcmp(a->ids[i], id, CERT_KEY_ID) == 0)
			return;
	}
	memcpy(a->ids[a->count++], id, CERT_KEY_ID);
}

void certreq_add(struct asked_cas *a, const struct ike *ike, const struct conn_conf *conn)
{
	const struct conn_creds *c = conn->auth.remote == AUTH_KIND_PUBKEY
					     ? cred_find(ike->conns.creds, conn->name)
					     : NULL;
	const struct cert *ca;

	if (!c)
		return;
	a->raw |= c->pubkey_count > 0;
	/* Many connections have the same CAs. */
	if (c->peer && c->peer != a->last) {
		for (unsigned i = 0; (ca = trust_anchor(c->peer, i)); i++) {
			if (!trust_is_pinned(c->peer, i))
				add_ca(a, ca);
		}
		a->last = c->peer;
	}
}

void certreq_write(struct ike_builder *b, const struct asked_cas *a)
{
	if (a->count)
		ib_cert(b, PAYLOAD_CERTREQ, CERT_X509,
			(struct chunk){a->ids[0], a->count * sizeof(a->ids[0])});
	if (a->raw)
		ib_cert(b, PAYLOAD_CERTREQ, CERT_RAW_KEY, (struct chunk){0});
}

bool certreq_asks_raw(const struct ike_payloads *p)
{
	for (unsigned i = 0; i < p->certreq_count; i++) {
		if (p->certreq[i].encoding == CERT_RAW_KEY)
			return true;
	}
	return false;
}

/* ---- CERT ---- */

void certs_write(struct ike_builder *b, const struct ike_sa *sa, bool asks_raw)
{
	const struct conn_creds *c = sa->conn->auth.local == AUTH_KIND_PUBKEY ? creds_of(sa) : NULL;

	for (unsigned i = 0; c && i < c->chain.count; i++)
		ib_cert(b, PAYLOAD_CERT, CERT_X509, cert_der(c->chain.v[i]));
	if (c && c->key && !c->chain.count && asks_raw)
		ib_cert(b, PAYLOAD_CERT, CERT_RAW_KEY, pkey_spki(c->key));
}

/* The peer's own certificate, then the others that can be read; empty: it sent none. */
static int read_chain(const struct ike_payloads *p, struct cert_chain *ret)
{
	for (unsigned i = 0; i < p->cert_count && ret->count < CHAIN_MAX; i++) {
		const struct cert *c = NULL;

		if (p->cert[i].encoding != CERT_X509)
			continue;
		if (p->cert[i].data.len <= CERT_MAX)
			c = cert_from_der(p->cert[i].data);
		if (c)
			ret->v[ret->count++] = c;
		else if (ret->count == 0)
			return -EBADMSG;
	}
	return 0;
}

/* The raw public key that the peer sent, or NULL. */
static struct pkey *read_raw(const struct ike_payloads *p)
{
	for (unsigned i = 0; i < p->cert_count; i++) {
		if (p->cert[i].encoding == CERT_RAW_KEY)
			return pkey_from_spki(p->cert[i].data);
	}
	return NULL;
}

/* ---- what the peer may have signed by ---- */

/* The configured public keys: the one that the peer showed, or all if it showed none. */
static unsigned configured_keys(const struct conn_creds *c, const struct pkey *shown,
				struct peer_proof **ret)
{
	const struct pkey *k = shown ? creds_pubkey(c, shown) : NULL;
	unsigned n = 0;

	if (k)
		ret[n++] = proof_new(k, NULL);
	for (unsigned i = 0; !shown && i < c->pubkey_count; i++)
		ret[n++] = proof_new(c->pubkeys[i], NULL);
	return n;
}

/* The certificate that the peer sent, or one that is configured. */
static unsigned by_chain(const struct ike_sa *sa, const struct conn_creds *c,
			 const struct ident *id, struct cert_chain *chain, struct peer_proof **ret,
			 char *why)
{
	const struct cert *pinned = chain->count ? NULL : creds_pinned(c, id);

	if (pinned)
		chain->v[chain->count++] = cert_ref(pinned);
	if (!chain->count) {
		snprintf(why, TRUST_WHY_MAX, "it sends no certificate, and none is configured");
		return 0;
	}
	if (chain_admits(c, chain, id, sa->conn->auth.revocation,
			 sa->ike->ops.wall_clock(sa->ike->ops.ctx), why) < 0)
		return 0;
	ret[0] = proof_new(cert_key(chain->v[0]), chain);
	return 1;
}

unsigned certs_candidates(const struct ike_sa *sa, const struct ident *id,
			  const struct ike_payloads *p, struct peer_proof *ret[PUBKEYS_MAX],
			  char *why)
{
	const struct conn_creds *c = creds_of(sa);
	struct cert_chain chain = {0};
	struct pkey *raw = read_raw(p);
	const struct pkey *shown;
	unsigned n = 0;

	snprintf(why, TRUST_WHY_MAX, "its certificate is malformed, or has a key of another kind");
	if (c && read_chain(p, &chain) == 0) {
		shown = chain.count ? cert_key(chain.v[0]) : raw;
		n = configured_keys(c, shown, ret);
		if (n == 0 && raw && !chain.count)
			snprintf(why, TRUST_WHY_MAX, "its public key is not configured");
		else if (n == 0)
			n = by_chain(sa, c, id, &chain, ret, why);
	}
	cert_chain_fini(&chain);
	pkey_unref(raw);
	return n;
}
