/*
 * trust.h - what makes certificates trusted: CAs, pinned certificates and CRLs (RFC 5280).
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_TRUST_H
#define MENDIP_TRUST_H

#include "crypto/cert.h"

#define CHAIN_MAX     8	  /* certificates of one peer: its own and intermediate CAs */
#define TRUST_WHY_MAX 200 /* bytes of a text that says why a certificate is refused */

/* The certificates of one side: its own, then intermediate CAs in any order. */
struct cert_chain {
	unsigned count;
	const struct cert *v[CHAIN_MAX]; /* each with a reference */
};
/* Drops the references. */
void cert_chain_fini(struct cert_chain *c);
/* A copy with references of its own. */
struct cert_chain cert_chain_copy(const struct cert_chain *c);

/* A CRL; constant and reference-counted. */
struct crl;
struct crl *crl_ref(const struct crl *c);
/* Takes NULL. */
void crl_unref(const struct crl *c);
/* Seconds since 1970; CERT_NO_TIME: it does not say. */
int64_t crl_last_update(const struct crl *c);
int64_t crl_next_update(const struct crl *c);
/* The issuer's Name in DER, valid as long as the CRL. */
struct chunk crl_issuer(const struct crl *c);

/*
 * What becomes of a certificate below a CA for which there is no CRL that is up to date. One that a
 * CRL lists is refused in any case.
 */
enum revocation {
	REVOCATION_RELAXED, /* accepted */
	REVOCATION_IFURI,   /* refused if it says where its CRL or OCSP responder is */
	REVOCATION_STRICT,  /* refused */
};

/* Trust anchors and CRLs; reference-counted, and constant once it is in use. */
struct trust;
struct trust *trust_new(void);
struct trust *trust_ref(const struct trust *t);
/* Takes NULL. */
void trust_unref(const struct trust *t);
/*
 * Adds a trust anchor: a CA, also an intermediate one, or (pinned) a certificate that is trusted
 * itself. One that is there already is not added again.
 */
void trust_add(struct trust *t, const struct cert *c, bool pinned);
void trust_add_crl(struct trust *t, const struct crl *c);
/* Its CAs and pinned certificates, in the order in which they were added. NULL: no more. */
const struct cert *trust_anchor(const struct trust *t, unsigned i);
bool trust_is_pinned(const struct trust *t, unsigned i);
const struct crl *trust_crl(const struct trust *t, unsigned i);
/* Writes a SHA-256 of all that is in it. */
void trust_digest(const struct trust *t, uint8_t out[32]);

/*
 * Whether the first certificate of the chain is trusted: by a path to a trust anchor (RFC 5280 6),
 * with keys and hashes of 112 bits of strength or more, and not revoked. when: seconds since 1970;
 * CERT_NO_TIME: validity periods are not looked at. 0, or -EKEYREJECTED with the reason in `why`
 * (TRUST_WHY_MAX bytes, printable).
 */
int trust_verify(const struct trust *t, const struct cert_chain *chain, enum revocation r,
		 int64_t when, char *why) MUST_CHECK;

#endif
