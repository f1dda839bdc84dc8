/*
 * ike_view.h - read access to the engine's SAs, and walks over them.
 * SPDX-License-Identifier: ISC
 *
 * What these return belongs to the SA, and is valid until the SA changes or ends. An IKE SA that
 * has ended is freed when the outermost ike_receive, ike_tick or ike_set_conns returns; a CHILD SA
 * when its CHILD_EVENT_DOWN returns. The engine alone writes SAs; `owner` is the caller's.
 */
#ifndef MENDIP_IKE_VIEW_H
#define MENDIP_IKE_VIEW_H

#include "ike.h"

/* ---- IKE SAs ---- */

#define FOREACH_IKE_STATE(X)                                                                    \
	X(INIT_SENT, "connecting")     /* initiator: no response to IKE_SA_INIT yet */          \
	X(AUTH_SENT, "authenticating") /* initiator: no response to IKE_AUTH yet */             \
	X(HALF_OPEN, "half-open")      /* responder: IKE_SA_INIT answered */                    \
	X(ESTABLISHED, "established")                                                           \
	X(REKEYED, "rekeyed")	/* a successor has the children; waits for the peer's DELETE */ \
	X(DELETING, "deleting") /* our DELETE is queued or outstanding */                       \
	X(DEAD, "dead")		/* is freed soon: see above */

enum ike_state {
#define X(id, text) IKE_STATE_##id,
	FOREACH_IKE_STATE(X)
#undef X
};
/* Static text. */
const char *ike_state_name(enum ike_state s);

enum ike_state ike_sa_state(const struct ike_sa *sa);
/* We are its original initiator, or requested the rekey that made it. */
bool ike_sa_is_initiator(const struct ike_sa *sa);
uint64_t ike_sa_spi_i(const struct ike_sa *sa);
/* 0 before IKE_SA_INIT is answered. */
uint64_t ike_sa_spi_r(const struct ike_sa *sa);
/* Its configuration, to which it holds a reference. */
const struct conn_conf *ike_sa_conn(const struct ike_sa *sa);
const struct endpoint *ike_sa_local(const struct ike_sa *sa);
const struct endpoint *ike_sa_remote(const struct ike_sa *sa);
/* ID_NONE until the peer is authenticated. */
const struct ident *ike_sa_peer_id(const struct ike_sa *sa);
/* The identity of the post-quantum key in its keys (RFC 8784); "": none. */
const char *ike_sa_ppk_id(const struct ike_sa *sa);
/* What the peer authenticated by; NULL: a pre-shared key, or not yet. */
const struct peer_proof *ike_sa_proof(const struct ike_sa *sa);
/*
 * Whether the peer, who authenticated by a key or certificate, would still be let in by these
 * credentials of its connection; true of a pre-shared key. why: TRUST_WHY_MAX bytes for the reason.
 */
bool ike_sa_is_trusted(const struct ike_sa *sa, const struct cred_store *creds, char *why);
/* The suite in it is NULL until a response to IKE_SA_INIT chose one. */
const struct proposal_choice *ike_sa_choice(const struct ike_sa *sa);
/* NAT detection (2.23): whether we, or the peer, are behind a NAT. */
bool ike_sa_we_natted(const struct ike_sa *sa);
bool ike_sa_peer_natted(const struct ike_sa *sa);
/* Whether both sides take messages in fragments (RFC 7383). */
bool ike_sa_fragments(const struct ike_sa *sa);
/* The size of the IP datagrams beyond which our messages are divided then, in bytes. */
unsigned ike_sa_fragment_size(const struct ike_sa *sa);
/* Both sides have MOBIKE (RFC 4555). */
bool ike_sa_has_mobike(const struct ike_sa *sa);
/* ike_sa_move can move it: ESTABLISHED, with MOBIKE, and the addresses are ours to choose. */
bool ike_sa_can_move(const struct ike_sa *sa);
/* The peer has not answered yet that we have moved (ike_sa_move). */
bool ike_sa_is_moving(const struct ike_sa *sa);
/*
 * ESP on its CHILD SAs goes in UDP: one of the two is behind a NAT (RFC 7296 2.23), or says so to
 * have it that way.
 */
bool ike_sa_in_udp(const struct ike_sa *sa);
/*
 * Between which endpoints ESP on its CHILD SAs goes: in UDP never port 500, which takes no ESP;
 * without UDP both ports are 0.
 */
void ike_sa_esp_ends(const struct ike_sa *sa, struct endpoint *ret_local,
		     struct endpoint *ret_remote);
/* When it was authenticated, or made by a rekey; 0: not yet. */
nsec_t ike_sa_established(const struct ike_sa *sa);
/* When we begin to rekey it; 0: never, or that is under way. */
nsec_t ike_sa_rekey_at(const struct ike_sa *sa);
/* When its lifetime ends; 0: never. */
nsec_t ike_sa_expires_at(const struct ike_sa *sa);
/* When a message of IKE was last sent on it. */
nsec_t ike_sa_last_sent(const struct ike_sa *sa);
/* When a new authentic message, not a retransmission, last came on it. */
nsec_t ike_sa_last_heard(const struct ike_sa *sa);
/*
 * Of the IKE SA that this one goes back to by rekeys (itself if it was not made by one): when its
 * IKE_SA_INIT began,
 */
nsec_t ike_sa_began(const struct ike_sa *sa);
/* and when it became ESTABLISHED. */
nsec_t ike_sa_called(const struct ike_sa *sa);
/*
 * What the peer has assigned to us, if its connection asks for addresses, or we to the peer. NULL:
 * nothing; then also where a rekey has moved it to the successor.
 */
const struct cp_config *ike_sa_config(const struct ike_sa *sa);
/* A request of ours is outstanding. */
bool ike_sa_is_asking(const struct ike_sa *sa);
/* When the outstanding one was first sent. */
nsec_t ike_sa_request_since(const struct ike_sa *sa);
/* The message ID of our next request. */
uint32_t ike_sa_next_id(const struct ike_sa *sa);
/* The next response leads to IKE_EVENT_ANSWERED. */
bool ike_sa_watches_answer(const struct ike_sa *sa);
/* The peer made it by a rekey while our rekey is outstanding (2.8.2): it has no children yet. */
bool ike_sa_unresolved(const struct ike_sa *sa);
/* It ended because the peer was silent. */
bool ike_sa_unanswered(const struct ike_sa *sa);
void *ike_sa_owner(const struct ike_sa *sa);
void ike_sa_set_owner(struct ike_sa *sa, void *owner);

/*
 * Walk over all IKE SAs that have not ended. NULL: no more. Take the next one before ending this
 * one.
 */
struct ike_sa *ike_first_sa(const struct ike *ike);
struct ike_sa *ike_next_sa(const struct ike_sa *sa);
unsigned ike_sa_count(const struct ike *ike);
/* The same, for those whose peer is at this address, on any port. */
struct ike_sa *ike_first_sa_at(const struct ike *ike, const struct addr *remote);
struct ike_sa *ike_next_sa_at(const struct ike_sa *sa);
/* The number of half-open IKE SAs of which we are the responder. */
unsigned ike_half_open(const struct ike *ike);
const struct ike_settings *ike_settings_of(const struct ike *ike);

/* ---- CHILD SAs ---- */

#define FOREACH_CHILD_STATE(X)                                           \
	X(INSTALLED, "installed")                                        \
	X(REKEYING, "rekeying") /* our rekey is queued or outstanding */ \
	X(REKEYED, "rekeyed")	/* has a successor */                    \
	X(DELETING, "deleting") /* our DELETE is queued or outstanding */

enum child_state {
#define X(id, text) CHILD_STATE_##id,
	FOREACH_CHILD_STATE(X)
#undef X
};
/* Static text. */
const char *child_state_name(enum child_state s);

enum child_state child_sa_state(const struct child_sa *c);
/* The IKE SA that it belongs to now: a rekey of the IKE SA moves it. */
struct ike_sa *child_sa_ike(const struct child_sa *c);
/* Valid as long as the configuration of the IKE SA. */
const struct child_conf *child_sa_conf(const struct child_sa *c);
/* The SPI that we receive on, and the one that we send to. */
uint32_t child_sa_spi_in(const struct child_sa *c);
uint32_t child_sa_spi_out(const struct child_sa *c);
/* As ike_sa_rekey_at and ike_sa_expires_at. */
nsec_t child_sa_rekey_at(const struct child_sa *c);
nsec_t child_sa_expires_at(const struct child_sa *c);
const struct proposal_choice *child_sa_choice(const struct child_sa *c);
const struct ts_list *child_sa_local(const struct child_sa *c);
const struct ts_list *child_sa_remote(const struct child_sa *c);
/* What ends, or has just ended, a CHILD SA. */
enum child_end {
	CHILD_END_OTHER,  /* we did, or its lifetime */
	CHILD_END_PEER,	  /* the peer deleted it or its IKE SA, or forgot both (INITIAL_CONTACT) */
	CHILD_END_SILENT, /* the peer did not answer */
};
enum child_end child_sa_end(const struct child_sa *c);
/* We sent the request that made it. */
bool child_sa_is_initiator(const struct child_sa *c);
/* Another CHILD SA replaces it. */
bool child_sa_is_replaced(const struct child_sa *c);
/* The peer surely has it. */
bool child_sa_confirmed(const struct child_sa *c);
/* The peer made it by a rekey that it never used (ike_child_void). */
bool child_sa_voided(const struct child_sa *c);
void *child_sa_owner(const struct child_sa *c);
void child_sa_set_owner(struct child_sa *c, void *owner);
/* Walk over the CHILD SAs of an IKE SA. NULL: no more. Take the next one before ending this one. */
struct child_sa *ike_first_child(const struct ike_sa *sa);
struct child_sa *ike_next_child(const struct child_sa *c);

#endif
