/* exchange.h - requests of ours, one at a time, responses, and SK (RFC 7296 2.1 to 2.4, 3.14).
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_IKE_EXCHANGE_H
#define MENDIP_IKE_EXCHANGE_H

#include "sa/ike_sa.h"

/* A message that passed parser and integrity, with where it came from. */
struct ike_in {
	const struct ike_header *h;
	const struct ike_payloads *p;
	const uint8_t *raw;
	size_t raw_len;
	const struct endpoint *local, *remote;
	nsec_t now;
};

struct ike_task;

/* A kind of request of ours: what is made and answered in the file of its exchange. */
struct task_kind {
	uint8_t exchange; /* enum ike_exchange */
	uint8_t states;	  /* of the IKE SA, in which it may be sent: a bit for each, 1 << state */
	bool stays;	  /* with its IKE SA, when a successor takes over what is waiting */
	/* What it asks for: the deadline of that SA's rekey has become this task. */
	enum { REKEYS_NOTHING, REKEYS_CHILD_SA, REKEYS_IKE_SA } rekeys;
	size_t size;	  /* of its own struct, which begins with struct ike_task */
	bool makes_child; /* that is struct child_task */
	/* It is outstanding now: its request goes out, or it ends itself (exchange_done). */
	void (*send)(struct ike_sa *sa, struct ike_task *t, nsec_t now);
	/* Of the outstanding one; the message keeps the rules of its exchange. */
	void (*on_response)(struct ike_sa *sa, const struct ike_in *in);

	/* What follows may be NULL. */

	/* It has not begun, and a restart need not wait for it. NULL: it must. */
	bool (*can_wait)(const struct ike_task *t);
	/*
	 * All sendings of it had their time, or somebody has refused it meanwhile. NULL: the IKE SA
	 * goes.
	 */
	void (*on_silence)(struct ike_sa *sa, nsec_t now);
	/* Gives back what the last attempt took, before another one, or the end. */
	void (*reset)(struct ike_task *t);
	/* Frees what it owns besides; comes after reset. */
	void (*release)(struct ike_task *t);
	/*
	 * Called for each CHILD SA c that ends, of every task of its IKE SA, as it may be what the
	 * peer made by an exchange that collided with this one. is_void: called for the outstanding
	 * task alone, when c, which may go on, does not replace anything any more.
	 */
	void (*rival_gone)(struct ike_task *t, const struct child_sa *c, bool is_void);
	/* The same of an IKE SA that ends, for the outstanding task of the one it was to replace.
	 */
	void (*rival_ike_gone)(struct ike_task *t, const struct ike_sa *rival);
	/* The IKE SA ends on which it is outstanding. */
	void (*sa_gone)(struct ike_task *t, nsec_t now);
};

/*
 * One request of ours, from when it is wanted to when its answer is dealt with. It is the beginning
 * of a larger struct where the exchange has state of its own.
 */
struct ike_task {
	TAILQ_ENTRY(ike_task) link;
	struct ike_sa *ike_sa;
	const struct task_kind *kind;
	struct child_sa *child; /* that it is about; NULL: none, or it is gone meanwhile */
	nsec_t late;		/* short timers, and the time for an answer; 0: routine */
	struct deadline wait;	/* not to be sent before */
};

/* ---- exchange.c ---- */
/* A new one, waiting before those that wait already, or behind them; the IKE SA owns it. */
struct ike_task *task_add(struct ike_sa *sa, const struct task_kind *kind, bool front);
/* It is on no list any more; what it has reserved and owns goes with it. */
void task_free(struct ike_task *t);
/* Sends the next waiting task when nothing is outstanding. */
void exchange_run(struct ike_sa *sa, nsec_t now);
/* Ends the outstanding exchange and returns its task, which the caller frees. */
struct ike_task *exchange_done(struct ike_sa *sa);
/* The peer is silent: the IKE SA goes. */
void exchange_unanswered(struct ike_sa *sa, nsec_t now);
/* Of an IKE SA's `retransmit`: the outstanding request is sent again, or given up. */
deadline_due exchange_timeout;
/* Of its `late`: the outstanding request has no answer by its time. */
deadline_due exchange_late;
/* Waits before the task is tried again. */
void task_retry(struct ike_task *t, nsec_t at);
/* Protects the inside and sends it as request of the outstanding task. */
void exchange_send_request(struct ike_sa *sa, uint8_t exchange, struct ike_builder *inside,
			   nsec_t now);
/* Keeps unprotected bytes as outstanding request and sends them (IKE_SA_INIT). */
void exchange_send_plain(struct ike_sa *sa, const uint8_t *p, size_t len, nsec_t now);
/* Protects the inside as the response to the request just taken, caches and sends it. */
void exchange_respond(struct ike_sa *sa, const struct ike_header *req, struct ike_builder *inside,
		      const struct endpoint *local, const struct endpoint *remote, nsec_t now);
/* The bytes as they are. */
void send_message(struct ike_sa *sa, const struct endpoint *local, const struct endpoint *remote,
		  const uint8_t *p, size_t len, nsec_t now);
/* A response with one notify. */
void respond_notify(struct ike_sa *sa, const struct ike_header *req, uint16_t type,
		    struct chunk data, const struct endpoint *local, const struct endpoint *remote,
		    nsec_t now);

/* ---- ike_saved.c: which requests a restart waits for; see ike_hold ---- */
/* A task_kind's can_wait: the deadline that it came from comes again. */
bool task_has_not_begun(const struct ike_task *t);
/* ike_hold keeps it back. */
bool task_is_held(const struct ike_task *t);

/* ---- sk.c: the SK payload ---- */
/* Opens SK of a message; plaintext in out (len bytes). -EBADMSG when the ICV does not hold. */
int sk_open(struct ike_sa *sa, const uint8_t *msg, size_t len, const struct ike_payloads *outer,
	    uint8_t *out, size_t *ret_len) MUST_CHECK;
/* The whole message; 0 when it does not fit. */
size_t sk_seal(struct ike_sa *sa, const struct ike_header *h, const struct ike_builder *inside,
	       uint8_t *out, size_t cap);

#endif
