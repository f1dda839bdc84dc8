/* exchanges.h - the exchanges, a file each: kinds of requests of ours, and what the peer asks.
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_IKE_EXCHANGES_H
#define MENDIP_IKE_EXCHANGES_H

#include "task/child_task.h"

extern const struct task_kind task_init, task_auth, task_child_create, task_child_rekey,
	task_child_delete, task_ike_rekey, task_ike_delete, task_liveness;

void init_on_request(struct ike *ike, const struct ike_in *in);
void auth_on_request(struct ike_sa *sa, const struct ike_in *in);
/* The peer has made an SA that we have not, with this SPI of ours: it would send into nothing. */
void child_unwanted(struct ike_sa *sa, uint32_t spi);
/* The SA that a REKEY_SA notification of the peer's names, or NULL. */
struct child_sa *child_named(const struct ike_sa *sa, const struct ike_notify_view *rekey_sa);
/* The newest SA that a rekey made of it, or NULL. */
struct child_sa *child_replacing(const struct child_sa *c);
/*
 * Of a CHILD SA's `cleanup`: the peer replaced it and has not deleted it in time. Where the peer
 * has never used the new one, the rekey is void, as the member that sends now may not know of it;
 * otherwise the old one is deleted.
 */
deadline_due child_cleanup;
/* Whether a admits just what these do. */
bool child_has_selectors(const struct child_sa *a, const struct ts_list *local,
			 const struct ts_list *remote);
/* It has a successor that the peer made: the peer is to delete it, otherwise child_cleanup does. */
void child_replaced_by_peer(struct child_sa *old, nsec_t now);
void child_on_request(struct ike_sa *sa, const struct ike_in *in);
void rekey_ike_on_request(struct ike_sa *sa, const struct ike_in *in);
/*
 * The IKE SA that the peer made by a rekey which collided with this task and is not decided on yet;
 * NULL: there is none, or the task (which may be NULL) is of another kind.
 */
struct ike_sa *rekey_ike_rival(const struct ike_task *t);
void info_on_request(struct ike_sa *sa, const struct ike_in *in);

/* ---- negotiate.c: what IKE_AUTH and CREATE_CHILD_SA share about CHILD SAs ---- */
/* One side's part of a CHILD SA being made. */
struct child_offer {
	struct child_conf *conf;
	struct ts_list local, remote; /* narrowed */
	struct proposal_choice choice;
};
/* As responder: choice and narrowing, or the error notify to send. */
uint16_t child_negotiate(struct ike_sa *sa, const struct ike_payloads *p, bool with_ke,
			 const struct child_sa *old, struct child_offer *ret, nsec_t now);
/* As initiator: the answer must be within what we offered. */
uint16_t child_check_answer(struct ike_sa *sa, const struct ike_payloads *p, bool with_ke,
			    const struct child_task *t, struct child_offer *ret, nsec_t now);
/* Derives keys and installs; NULL when refused. The SPI is the child's from here on. */
struct child_sa *child_install(struct ike_sa *sa, const struct child_offer *o, uint32_t spi_in,
			       bool initiator, struct chunk secret, const struct nonce *ni,
			       const struct nonce *nr, struct child_sa *replaces, nsec_t now);
void child_write_ts(struct ike_builder *b, const struct ts_list *tsi, const struct ts_list *tsr);
/* Proposals and selectors of a request for conf. */
void child_write_offer(struct ike_builder *b, const struct child_task *t, uint32_t spi,
		       bool with_ke, struct chunk nonce, const struct child_sa *old);

/* ---- sync.c: RFC 6311 ---- */
/* What IKE_AUTH says of it, on either side. */
void sync_write_supported(struct ike_builder *b, const struct ike_sa *sa);
void sync_read_supported(struct ike_sa *sa, const struct ike_payloads *p);
/* A genuine request with ID 0 from the member that took over. */
bool sync_is_request(const struct ike_sa *sa, const struct ike_in *in);
void sync_on_request(struct ike_sa *sa, const struct ike_in *in);

/* ---- nat.c ---- */
void nat_write(struct ike_builder *b, struct ike_sa *sa, const struct endpoint *local,
	       const struct endpoint *remote);
void nat_read(struct ike_sa *sa, const struct ike_payloads *p, uint64_t spi_i, uint64_t spi_r,
	      const struct endpoint *local, const struct endpoint *remote);

#endif
