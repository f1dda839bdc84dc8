/*
 * ppk.c - post-quantum pre-shared keys (RFC 8784). SPDX-License-Identifier: ISC
 *
 *   HDR, SAi1, KEi, Ni, N(USE_PPK)  -->
 *                                   <--  HDR, SAr1, KEr, Nr, N(USE_PPK)
 *   HDR, SK {IDi, AUTH, ..., N(PPK_IDENTITY) [, N(NO_PPK_AUTH)]}  -->
 *                                   <--  HDR, SK {IDr, AUTH, ..., N(PPK_IDENTITY)}
 *
 * The key is mixed into SK_d, SK_pi and SK_pr, so that AUTH shows that both sides have it, and
 * every CHILD SA and successor inherits it. N(NO_PPK_AUTH) is the AUTH of an initiator that would
 * go on without; a responder that does so leaves out N(PPK_IDENTITY).
 */
#include "task/exchanges.h"
#include "xalloc.h"

#define PPK_ID_FIXED 2 /* the type of identity that both sides have configured (5.1) */

void ppk_write_use(struct ike_builder *b, const struct ike_sa *sa)
{
	/*
	 * A responder does not know its connection yet: it says so to whoever asks, if it has a key
	 * at all.
	 */
	bool use = sa->initiator
			   ? sa->conn->ppk_id != NULL
			   : sa->handshake->peer_uses_ppk && sa->ike->conns.secrets->ppk_count;

	if (use)
		ib_notify(b, PROTOCOL_NONE, (struct chunk){0}, NOTIFY_USE_PPK, (struct chunk){0});
}

void ppk_read_use(struct ike_sa *sa, const struct ike_payloads *p)
{
	sa->handshake->peer_uses_ppk = ike_find_notify(p, NOTIFY_USE_PPK) != NULL;
}

/* Changes to the keys that have this one; the others are kept beside them. */
static bool mix_in(struct ike_sa *sa, const struct ppk *ppk)
{
	struct handshake *hs = sa->handshake;

	hs->no_ppk_keys = xmemdup(&sa->keys, sizeof(sa->keys));
	memcpy(sa->ppk_id, ppk->id, sizeof(sa->ppk_id));
	return keymat_ppk(sa->prf, (struct chunk){ppk->secret, ppk->len}, &sa->keys) == 0;
}

/* As initiator: the post-quantum key that both sides use; NULL: there is none. */
static const struct ppk *chosen(const struct ike_sa *sa)
{
	const char *id = sa->conn->ppk_id;

	return id && sa->handshake->peer_uses_ppk ? ppk_find(sa->ike->conns.secrets, id) : NULL;
}

bool ppk_is_missing(const struct ike_sa *sa)
{
	return sa->conn->ppk_required && !chosen(sa);
}

bool ppk_begin(struct ike_sa *sa)
{
	const struct ppk *ppk = chosen(sa);

	return ppk ? mix_in(sa, ppk) : !sa->conn->ppk_required;
}

bool ppk_is_optional(const struct ike_sa *sa)
{
	return sa->handshake->no_ppk_keys && !sa->conn->ppk_required;
}

/* The key that N(PPK_IDENTITY) names, if we have it and the connection admits it. */
static const struct ppk *named(const struct ike_sa *sa, const struct ike_notify_view *n)
{
	const char *ours = sa->conn->ppk_id;
	char id[PPK_ID_MAX + 1] = "";

	/* What follows a NUL would not be compared. */
	if (!ours || n->data.len < 2 || n->data.len > PPK_ID_MAX + 1 ||
	    n->data.p[0] != PPK_ID_FIXED || memchr(n->data.p, 0, n->data.len))
		return NULL;
	memcpy(id, n->data.p + 1, n->data.len - 1);
	if (strcmp(ours, PPK_ANY) != 0 && strcmp(ours, id) != 0)
		return NULL;
	return ppk_find(sa->ike->conns.secrets, id);
}

bool ppk_on_request(struct ike_sa *sa, const struct ike_payloads *p)
{
	const struct ike_notify_view *n = ike_find_notify(p, NOTIFY_PPK_IDENTITY);
	const struct ppk *ppk = n && sa->handshake->peer_uses_ppk ? named(sa, n) : NULL;

	if (ppk)
		return mix_in(sa, ppk);
	/* Its AUTH has a key that we do not have. */
	sa->handshake->without_ppk = n != NULL;
	return !sa->conn->ppk_required && (!n || ike_find_notify(p, NOTIFY_NO_PPK_AUTH));
}

bool ppk_on_response(struct ike_sa *sa, const struct ike_payloads *p)
{
	struct handshake *hs = sa->handshake;

	if (!hs->no_ppk_keys || ike_find_notify(p, NOTIFY_PPK_IDENTITY))
		return true;
	if (sa->conn->ppk_required)
		return false;
	sa->keys = *hs->no_ppk_keys;
	secret_free(hs->no_ppk_keys, sizeof(*hs->no_ppk_keys));
	hs->no_ppk_keys = NULL;
	sa->ppk_id[0] = '\0';
	return true;
}

struct chunk ppk_auth_data(const struct ike_sa *sa, const struct ike_payloads *p)
{
	const struct ike_notify_view *n = ike_find_notify(p, NOTIFY_NO_PPK_AUTH);

	return sa->handshake->without_ppk && n ? n->data : p->auth.data;
}

void ppk_write(struct ike_builder *b, const struct ike_sa *sa, struct chunk no_ppk_auth)
{
	uint8_t id[PPK_ID_MAX + 1] = {PPK_ID_FIXED};
	size_t len = 0;

	if (!sa->handshake->no_ppk_keys)
		return;
	if (sa->initiator) { /* the responder confirms without naming it */
		len = strlen(sa->ppk_id);
		memcpy(id + 1, sa->ppk_id, len++);
	}
	ib_notify(b, PROTOCOL_NONE, (struct chunk){0}, NOTIFY_PPK_IDENTITY,
		  (struct chunk){id, len});
	if (no_ppk_auth.len)
		ib_notify(b, PROTOCOL_NONE, (struct chunk){0}, NOTIFY_NO_PPK_AUTH, no_ppk_auth);
}
