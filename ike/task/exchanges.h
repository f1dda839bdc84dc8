/* exchanges.h - the exchanges, one file per exchange: our kinds of requests, and the peer's.
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_IKE_EXCHANGES_H
#define MENDIP_IKE_EXCHANGES_H

#include "sa/followups.h"
#include "task/child_task.h"

extern const struct task_kind task_init, task_auth, task_child_create, task_child_rekey,
	task_child_delete, task_ike_rekey, task_ike_delete, task_liveness, task_mobike_update,
	task_mobike_check, task_intermediate;

/*
 * Each *_on_request handles a well-formed request of the peer's, which is new and authentic unless
 * it is IKE_SA_INIT, and sends the response, if there is one.
 */
void init_on_request(struct ike *ike, const struct ike_in *in);
/* A response to IKE_SA_INIT against the rules, which anyone may have sent. */
void init_on_bad_response(struct ike *ike, const struct ike_in *in);
/* A message in an older version than ours with these SPIs, which anyone may have sent. */
void init_on_old_version(struct ike *ike, const struct ike_header *h);
void auth_on_request(struct ike_sa *sa, const struct ike_in *in);
void intermediate_on_request(struct ike_sa *sa, const struct ike_in *in);
/* How many additional key exchanges are to come before IKE_AUTH. */
unsigned intermediate_left(const struct ike_sa *sa);
/*
 * The request of a half-open IKE SA was not valid: it ends, and counts as a guess, as each costs us
 * a key exchange.
 */
void intermediate_refused(struct ike_sa *sa, const struct ike_in *in);
/*
 * Queues a DELETE for a CHILD SA that the peer has made and we have not; spi: our inbound SPI of
 * it. Whatever makes a request of ours for a CHILD SA fail after the peer has accepted it leads
 * here: otherwise the peer sends into nothing.
 */
void child_unwanted(struct ike_sa *sa, uint32_t spi);
/*
 * Of a CHILD SA's `cleanup`: the peer replaced it and has not deleted it in time. If the peer has
 * never used the new one, the rekey is void, as the cluster member that sends now may not know of
 * it; otherwise the old one is deleted. A void SA is deleted.
 */
deadline_due child_cleanup;
void child_on_request(struct ike_sa *sa, const struct ike_in *in);
void rekey_ike_on_request(struct ike_sa *sa, const struct ike_in *in);
/*
 * The IKE SA that the peer made by a rekey which collided with this task and is undecided; NULL:
 * there is none, or t is NULL or of another kind.
 */
struct ike_sa *rekey_ike_rival(const struct ike_task *t);
void info_on_request(struct ike_sa *sa, const struct ike_in *in);
/*
 * Sends DELETE of an established IKE SA once, without waiting for the response, as the next
 * request: the last one has got its response. For an IKE SA that the caller ends: the peer forgets
 * it and its CHILD SAs too, unless the message is lost.
 */
void info_farewell(struct ike_sa *sa, nsec_t now);

/* ---- negotiate.c: what IKE_AUTH and CREATE_CHILD_SA share about CHILD SAs ---- */
/*
 * As responder: chooses a configuration and a proposal, and narrows the selectors. with_ke: whether
 * groups count (not in IKE_AUTH). old: the SA that is rekeyed, or NULL. Returns 0, or the error
 * notify to send; with INVALID_KE_PAYLOAD the group wanted is in ret->choice, and with
 * NO_PROPOSAL_CHOSEN ret->conf is the one whose proposals do not fit.
 */
uint16_t child_negotiate(struct ike_sa *sa, const struct ike_payloads *p, bool with_ke,
			 const struct child_sa *old, struct child_offer *ret, nsec_t now);
/* Asks the owner whether the CHILD SA may be: 0, or the error notify; see ops.child_admit. */
uint16_t child_admit(struct ike_sa *sa, const struct child_offer *o, bool ours,
		     const struct child_sa *old, nsec_t now);
/*
 * As initiator: checks that the response is within what task t offered. Returns 0, or an error
 * notify type that says what is wrong: SINGLE_PAIR_REQUIRED, which no peer can have sent here, if a
 * rekey would leave out traffic that the old SA carries (2.9.2).
 */
uint16_t child_check_answer(struct ike_sa *sa, const struct ike_payloads *p, bool with_ke,
			    const struct child_task *t, struct child_offer *ret, nsec_t now);
/*
 * Derives the keys and installs the CHILD SA; UP is told. secrets: none without PFS. NULL: it was
 * refused. spi_in then is released; otherwise it belongs to the CHILD SA.
 */
struct child_sa *child_install(struct ike_sa *sa, const struct child_offer *o, uint32_t spi_in,
			       bool initiator, const struct kex_secrets *secrets,
			       const struct nonce *ni, const struct nonce *nr,
			       struct child_sa *replaces, nsec_t now);
/*
 * Reads TSi and TSr as local and remote; we_asked: TSi is ours. False: they are missing, or hold
 * none that we know.
 */
bool child_read_ts(const struct ike_payloads *p, bool we_asked, struct ts_list *local,
		   struct ts_list *remote);
void child_write_ts(struct ike_builder *b, const struct ts_list *tsi, const struct ts_list *tsr);
/*
 * Writes the proposals, nonce (unless empty), KE and selectors of the request of task t. spi: ours.
 */
void child_write_offer(struct ike_builder *b, const struct child_task *t, uint32_t spi,
		       bool with_ke, struct chunk nonce);

/* ---- refusal.c: why an IKE SA or a CHILD SA was refused ---- */
/*
 * The peer refused our request of this exchange for an IKE SA, or for `child` if that is not NULL;
 * kex: the part of `offered` that it was sent. Logs and tells what we offered.
 */
void refusal_by_peer(struct ike_sa *sa, const char *exchange, const struct child_conf *child,
		     const struct proposal_list *offered, enum proposal_kex kex, nsec_t now);
/* We refuse such a request; theirs: the body of its SA payload. Logs and tells what both have. */
void refusal_of_peer(struct ike_sa *sa, const char *exchange, const struct child_conf *child,
		     enum proposal_kex kex, struct chunk theirs, nsec_t now);
/* The same for an IKE_SA_INIT, of which there is no IKE SA. */
void refusal_of_caller(struct ike *ike, const struct conn_conf *conn, const struct endpoint *remote,
		       struct chunk theirs, nsec_t now);
/*
 * A CHILD SA that we asked for was not made. by_peer: the peer answered with this error notify;
 * otherwise we cannot take its answer. Tells the owner, except for NO_PROPOSAL_CHOSEN of the peer,
 * which refusal_by_peer tells, and TEMPORARY_FAILURE, which is tried again.
 */
void refusal_of_child(struct ike_sa *sa, const struct child_task *t, bool by_peer, uint16_t error,
		      nsec_t now);
/* We answer the peer's request for a CHILD SA with TS_UNACCEPTABLE. Tells the owner. */
void refusal_of_selectors(struct ike_sa *sa, const struct ike_payloads *p, nsec_t now);

/* ---- certs.c: certificates, raw public keys, and the hashes of signatures ---- */
/* Writes SIGNATURE_HASH_ALGORITHMS in IKE_SA_INIT; reads the peer's. sa has a handshake. */
void hashes_write(struct ike_builder *b, struct ike_sa *sa);
void hashes_read(struct ike_sa *sa, const struct ike_payloads *p);
/* What CERTREQ asks the peer for: SHA-1 hashes of the public keys of CAs, and raw public keys. */
struct asked_cas {
	uint8_t ids[16][CERT_KEY_ID];
	unsigned count;
	bool raw;
	const struct trust *last; /* whose CAs are in it already */
};
/* Adds what lets the peer of a connection in; CAs beyond the room are left out. */
void certreq_add(struct asked_cas *a, const struct ike *ike, const struct conn_conf *conn);
void certreq_write(struct ike_builder *b, const struct asked_cas *a);
/* Whether a CERTREQ asks for a raw public key (RFC 7670). */
bool certreq_asks_raw(const struct ike_payloads *p);
/* Writes our certificates, or our raw public key if the peer asks for it. */
void certs_write(struct ike_builder *b, const struct ike_sa *sa, bool asks_raw);
/*
 * What a peer with this identity may have signed its AUTH by: the key of its certificate, which is
 * trusted and confirms the identity, or keys that are configured. Returns their number, and in ret
 * as many proofs, each with a reference; 0 with the reason in `why` (TRUST_WHY_MAX bytes).
 */
unsigned certs_candidates(const struct ike_sa *sa, const struct ident *id,
			  const struct ike_payloads *p, struct peer_proof *ret[PUBKEYS_MAX],
			  char *why);
/* ---- followup.c: IKE_FOLLOWUP_KE (RFC 9370 2.2.4) ---- */
enum followup_step {
	FOLLOWUP_NONE, /* there are no additional key exchanges, or no more: the secrets are
			  complete */
	FOLLOWUP_SENT, /* a request went out: the task is outstanding again */
	FOLLOWUP_BAD,  /* the response is not valid */
};
/*
 * As initiator: goes on after a response to task t, which is no longer outstanding. *ret: NULL
 * after that to CREATE_CHILD_SA, which gave `choice`, SK(0) in `first` and nr; it is made then, and
 * the caller frees it at the end.
 */
enum followup_step followup_next(struct ike_sa *sa, struct ike_task *t, struct followups **ret,
				 const struct ike_in *in, const struct proposal_choice *choice,
				 struct chunk first);
/*
 * As responder: keeps f, which the IKE SA owns from now on, until its additional key exchanges are
 * over, and writes N(ADDITIONAL_KEY_EXCHANGE) to the response to CREATE_CHILD_SA. Those of an
 * earlier request end.
 */
void followup_expect(struct ike_sa *sa, struct followups *f, struct ike_builder *b, nsec_t now);
void followup_on_request(struct ike_sa *sa, const struct ike_in *in);
/* Of an IKE SA's `followup`: the peer does not go on. */
deadline_due followup_late;
/*
 * The last additional key exchange of the peer's CREATE_CHILD_SA is over: makes the SA. Returns 0,
 * or the error notify to answer with.
 */
uint16_t child_followed_up(struct ike_sa *sa, struct followups *f, nsec_t now);
uint16_t rekey_ike_followed_up(struct ike_sa *sa, struct followups *f, struct ike_sa **ret_made,
			       nsec_t now);
/* After the response to it: its children move to the new IKE SA, unless that collides. */
void rekey_ike_responded(struct ike_sa *sa, struct followups *f, struct ike_sa *made, nsec_t now);

/* ---- sync.c: RFC 6311 ---- */
/* Writes and reads the support notifies in IKE_AUTH, on either side. */
void sync_write_supported(struct ike_builder *b, const struct ike_sa *sa);
void sync_read_supported(struct ike_sa *sa, const struct ike_payloads *p);
/*
 * Whether this authentic request is a synchronization, with message ID 0, from the member that took
 * over; sync_on_request handles it.
 */
bool sync_is_request(const struct ike_sa *sa, const struct ike_in *in);
void sync_on_request(struct ike_sa *sa, const struct ike_in *in);

/* ---- childless.c: RFC 6023 ---- */
/* Writes the announcement into our response to IKE_SA_INIT, and reads the peer's. */
void childless_write_supported(struct ike_builder *b, const struct ike_sa *sa);
void childless_read_supported(struct ike_sa *sa, const struct ike_payloads *p);
/* As initiator: IKE_AUTH is to ask for no child; those that wait are created on the IKE SA. */
bool childless_chosen(const struct ike_sa *sa);
/*
 * Why IKE_AUTH may not be as it is, with or without a child, from either side; static text. NULL:
 * it may.
 */
const char *childless_wrong(const struct ike_sa *sa, bool with_child);
/* As responder: an IKE_AUTH that may not be as it is was answered, and the IKE SA has ended. */
bool childless_refused(struct ike_sa *sa, const struct ike_in *in);
/* ---- mobike.c: RFC 4555 ---- */
/* Write and read the support notifies in IKE_AUTH, and further addresses, on either side. */
void mobike_write_supported(struct ike_builder *b, const struct ike_sa *sa);
void mobike_read_supported(struct ike_sa *sa, const struct ike_payloads *p);
/* What a rekey of the IKE SA passes on. */
void mobike_inherit(struct ike_sa *sa, const struct ike_sa *old, nsec_t now);
/*
 * The error notify type with which a request is refused because a NAT is in between that the peer
 * does not allow (3.9); 0: none.
 */
uint16_t mobike_refuses(const struct ike_in *in);
/* The peer has moved, and has not shown yet that it receives there (3.7). */
bool mobike_is_checking(const struct ike_sa *sa);
/* Does what an INFORMATIONAL request asks for, and writes the answer. */
void mobike_on_request(struct ike_sa *sa, const struct ike_in *in, struct ike_builder *b);
/* A response came: if it is from another address of the peer's, the IKE SA moves there (3.10). */
void mobike_answered(struct ike_sa *sa, const struct ike_in *in);
/* Notice, by liveness checks, that the mapping of a NAT changed; the IKE SA then moves (3.8). */
void mobike_write_liveness(struct ike_builder *b, struct ike_sa *sa);
void mobike_on_alive(struct ike_sa *sa, const struct ike_in *in);

/* ---- ppk.c: RFC 8784 ---- */
/* Writes N(USE_PPK) into our IKE_SA_INIT message, if we want it. */
void ppk_write_use(struct ike_builder *b, const struct ike_sa *sa);
/* Notes whether the peer's IKE_SA_INIT message has it. */
void ppk_read_use(struct ike_sa *sa, const struct ike_payloads *p);
/* As initiator, before IKE_AUTH: the connection requires a post-quantum key, and there is none. */
bool ppk_is_missing(const struct ike_sa *sa);
/*
 * As initiator, before the request of IKE_AUTH: changes to the keys that have the post-quantum key,
 * if both sides use one. False: the connection requires one and there is none, or libcrypto fails.
 */
bool ppk_begin(struct ike_sa *sa) MUST_CHECK;
/* As initiator: whether a second AUTH, made with the keys without it, goes into N(NO_PPK_AUTH). */
bool ppk_is_optional(const struct ike_sa *sa);
/*
 * As responder, when the connection is known: changes to the keys with the post-quantum key that
 * the request names, or notes that N(NO_PPK_AUTH) is to be verified. False: refuse.
 */
bool ppk_on_request(struct ike_sa *sa, const struct ike_payloads *p) MUST_CHECK;
/* As initiator: goes back to the keys without it if the responder did. False: that is refused. */
bool ppk_on_response(struct ike_sa *sa, const struct ike_payloads *p) MUST_CHECK;
/* The peer's AUTH data that is to be verified. */
struct chunk ppk_auth_data(const struct ike_sa *sa, const struct ike_payloads *p);
/*
 * Writes N(PPK_IDENTITY) of either side, if the keys have a post-quantum key, and N(NO_PPK_AUTH)
 * with this data unless it is empty.
 */
void ppk_write(struct ike_builder *b, const struct ike_sa *sa, struct chunk no_ppk_auth);

/* ---- config.c: configuration payloads, and dynamic selectors ---- */
/* As initiator: writes what the connection asks for, and reads what the peer has assigned. */
void config_write_request(struct ike_builder *b, const struct ike_sa *sa);
void config_read_reply(struct ike_sa *sa, const struct ike_payloads *p);
/*
 * As initiator: the peer has assigned no address, and the child needs one. The IKE SA then ends
 * some time after config_give_up, so that the next one asks again.
 */
bool config_lacks_address(const struct ike_sa *sa, const struct child_conf *conf);
void config_give_up(struct ike_sa *sa, nsec_t now);
/*
 * As responder: assigns what the peer asks for; 0, or the error notify to send in place of a child.
 */
uint16_t config_assign(struct ike_sa *sa, const struct ike_payloads *p);
void config_write_reply(struct ike_builder *b, const struct ike_sa *sa);
/* The selectors of the configuration, of our side or the peer's, with addresses for "dynamic". */
void config_resolve(const struct ike_sa *sa, const struct ts_list *conf, bool local,
		    struct ts_list *ret);
/*
 * Gives a request its own selectors: a rekey those of the SA that it is to replace (2.9.2), a new
 * child those with addresses if "dynamic" is among them.
 */
void config_resolve_task(struct child_task *t);
/*
 * Narrows what the peer answered for our side to the addresses that are ours. False: nothing is
 * left.
 */
bool config_narrow(const struct ike_sa *sa, const struct child_conf *conf, struct ts_list *local);

/* ---- nat.c ---- */
/*
 * Writes the NAT detection notifies (2.23). The SPIs of sa and `remote` are what the destination
 * hash covers; the source hash is random.
 */
void nat_write(struct ike_builder *b, struct ike_sa *sa, const struct endpoint *local,
	       const struct endpoint *remote);
/*
 * Sets we_natted and peer_natted from the notifies of the peer. The SPIs and endpoints are those of
 * the message.
 */
void nat_read(struct ike_sa *sa, const struct ike_payloads *p, uint64_t spi_i, uint64_t spi_r,
	      const struct endpoint *local, const struct endpoint *remote);

#endif
