/* auth_task.h - what the parts of IKE_AUTH share: auth.c, and with EAP eap_auth.c.
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_IKE_AUTH_TASK_H
#define MENDIP_IKE_AUTH_TASK_H

#include "auth/authenticator.h"
#include "task/exchanges.h"

/* The data of an AUTH payload, and the method by which it is made. */
struct auth_data {
	uint8_t method;
	uint8_t b[AUTH_DATA_MAX];
	size_t len;
};

/* ---- auth.c ---- */
/* Writes the body of an ID payload, which AUTH covers, and returns its length. */
size_t auth_id_body(const struct ident *id, uint8_t out[IDENT_MAX + 4]);
/* The octets that the initiator, or the responder, signs; id: the body of its ID payload. */
struct auth_octets auth_octets_of(const struct ike_sa *sa, const struct ike_keys *keys,
				  bool initiator, struct chunk id);
void auth_write(struct ike_builder *b, const struct auth_data *a);
/* As initiator: whether the post-quantum key, or the identity and AUTH of the peer, are right.
 * False: the IKE SA has ended. */
bool auth_takes_ppk(struct ike_sa *sa, const struct ike_in *in) MUST_CHECK;
bool auth_takes_peer(struct ike_sa *sa, const struct ike_in *in) MUST_CHECK;
/* As initiator: the response has no AUTH where one is due; the IKE SA ends. */
void auth_refused(struct ike_sa *sa, const struct ike_in *in);
/* As initiator: both sides are authenticated, and this is the last response. */
void auth_complete(struct ike_sa *sa, const struct ike_in *in);

/* ---- eap_auth.c ---- */
/* As initiator: we authenticate by EAP. */
bool eap_auth_is_chosen(const struct ike_sa *sa);
/* Handles a response to IKE_AUTH then. */
void eap_auth_on_response(struct ike_sa *sa, const struct ike_in *in);
/*
 * Whether EAP has failed. To be asked before other reasons, which are what follows from it; then
 * eap_auth_end ends the IKE SA for that.
 */
bool eap_auth_is_refused(const struct ike_sa *sa);
void eap_auth_end(struct ike_sa *sa, nsec_t now);

#endif
