/* exchange.h - our requests, one at a time, responses, SK and SKF (RFC 7296 2.1 to 2.4, 3.14; RFC
 * 7383). SPDX-License-Identifier: ISC */
#ifndef MENDIP_IKE_EXCHANGE_H
#define MENDIP_IKE_EXCHANGE_H

#include "sa/ike_sa.h"

/*
 * A parsed message, authenticated unless it is of IKE_SA_INIT or has no SK; nothing in it is owned.
 */
struct ike_in {
	const struct ike_header *h;
	const struct ike_payloads *p; /* those inside SK, once that is opened */
	const uint8_t *raw; /* the datagram, raw_len bytes: the message, or its last fragment */
	size_t raw_len;
	/*
	 * The payloads inside SK in bytes, and the type of the first one, also if they came in
	 * fragments.
	 */
	struct chunk text;
	uint8_t first;
	size_t longest; /* bytes of the longest of these; 0: it came in one */
	const struct endpoint *local, *remote;
	nsec_t now;
};

struct ike_task;

/* A kind of request of ours; the file of its exchange defines one. */
struct task_kind {
	uint8_t exchange; /* enum ike_exchange; of its first request, if there are several */
	uint8_t states;	  /* the states of the IKE SA in which it may be sent: bits 1 << state */
	bool stays; /* it stays with its IKE SA when a successor takes over the waiting tasks */
	/* The kind of SA that it rekeys: the task has taken the place of its rekey deadline. */
	enum { REKEYS_NOTHING, REKEYS_CHILD_SA, REKEYS_IKE_SA } rekeys;
	size_t size;	  /* of its own struct, which begins with struct ike_task */
	bool makes_child; /* that is struct child_task */
	/* It is outstanding now: its request goes out, or it ends itself (exchange_done). */
	void (*send)(struct ike_sa *sa, struct ike_task *t, nsec_t now);
	/* Handles the response to it; the message keeps the rules of its exchange. */
	void (*on_response)(struct ike_sa *sa, const struct ike_in *in);

	/* The following may be NULL. */

	/* Whether a restart need not wait for the task, as it has not begun. NULL: it must wait. */
	bool (*can_wait)(const struct ike_task *t);
	/*
	 * Whether a call has failed by more than silence, such as a refusal that is not protected:
	 * then end_refused ends the IKE SA for that when all sendings had their time. In
	 * IKE_SA_INIT two are enough. Both, or neither.
	 */
	bool (*is_refused)(const struct ike_sa *sa);
	void (*end_refused)(struct ike_sa *sa, nsec_t now);
	/* Releases what the last attempt took: before another one, and at the end. */
	void (*reset)(struct ike_task *t);
	/* Frees whatever else the task owns; called after reset. */
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
 * One request of ours, from when it is asked for until its response is handled. An exchange with
 * state of its own has a larger struct that begins with this one.
 */
struct ike_task {
	TAILQ_ENTRY(ike_task) link;
	struct ike_sa *ike_sa;
	const struct task_kind *kind;
	struct child_sa *child; /* the CHILD SA that it is about; NULL: none, or it has ended */
	nsec_t late; /* nanoseconds until IKE_EVENT_LATE, with the short timers; 0: routine */
	struct deadline wait; /* set: the task is not sent before */
};

/* ---- exchange.c, task.c ---- */
/*
 * Makes a task of this kind, zeroed but for its IKE SA and kind, at the front or the end of the
 * waiting ones. The IKE SA owns it.
 */
struct ike_task *task_add(struct ike_sa *sa, const struct task_kind *kind, bool front);
/* The first waiting task of this kind, or NULL. */
struct ike_task *task_waiting(const struct ike_sa *sa, const struct task_kind *kind);
/* Whether a task of this kind waits or is outstanding. */
bool task_is_under_way(const struct ike_sa *sa, const struct task_kind *kind);
/* Frees a task that is on no list and not outstanding, and what it has reserved and owns. */
void task_free(struct ike_task *t);
/* Sends the next waiting task that may be sent, unless one is outstanding. */
void exchange_run(struct ike_sa *sa, nsec_t now);
/*
 * Ends the outstanding exchange, with its timers, and returns its task, which the caller frees or
 * retries.
 */
struct ike_task *exchange_done(struct ike_sa *sa);
/* Ends the IKE SA because the peer is silent. */
void exchange_unanswered(struct ike_sa *sa, nsec_t now);
/* Of an IKE SA's `retransmit`: sends the outstanding request again, or gives it up. */
deadline_due exchange_timeout;
/* Of its `late`: tells IKE_EVENT_LATE. */
deadline_due exchange_late;
/*
 * Resets the task and puts it first among the waiting ones, not to be sent before `at`. It must be
 * on no list.
 */
void task_retry(struct ike_task *t, nsec_t at);
/*
 * Protects the payloads in `inside` and sends them as the request of the outstanding task, with the
 * next message ID. Ends the IKE SA if message IDs are used up (2.2) or the message is too long.
 */
void exchange_send_request(struct ike_sa *sa, uint8_t exchange, struct ike_builder *inside,
			   nsec_t now);
/* Sends len unprotected bytes as the outstanding request (IKE_SA_INIT); copies them. */
void exchange_send_plain(struct ike_sa *sa, const uint8_t *p, size_t len, nsec_t now);
/*
 * Whether a message with this header, which must be a response, has the message ID of our request;
 * an authentic one of another exchange than that is malformed.
 */
bool exchange_awaits(const struct ike_sa *sa, const struct ike_header *h);
/*
 * Protects the payloads in `inside` as the response to req, caches it for retransmissions (2.1),
 * and sends it. One that is too long for a message is INVALID_SYNTAX instead, which ends the IKE SA
 * on both sides (2.21.3): here when the request is handled (sa->mute).
 */
void exchange_respond(struct ike_sa *sa, const struct ike_header *req, struct ike_builder *inside,
		      const struct endpoint *local, const struct endpoint *remote, nsec_t now);
/* The same request came again: sends the cached response again. */
void exchange_respond_again(struct ike_sa *sa, const struct endpoint *local,
			    const struct endpoint *remote, nsec_t now);
/* Sends the bytes as they are. Returns as `send` of struct ike_ops. */
int send_message(struct ike_sa *sa, const struct endpoint *local, const struct endpoint *remote,
		 const uint8_t *p, size_t len, nsec_t now);
/* The same for all datagrams of the message, as they were sent before: the first error. */
int sent_again(struct ike_sa *sa, const struct sent_message *m, const struct endpoint *local,
	       const struct endpoint *remote, nsec_t now);
/* Responds with one notify of this type, which names no SPI; data has at most 248 bytes. */
void respond_notify(struct ike_sa *sa, const struct ike_header *req, uint16_t type,
		    struct chunk data, const struct endpoint *local, const struct endpoint *remote,
		    nsec_t now);

/* ---- task.c: which requests a restart waits for; see ike_hold ---- */
/* Its kind says that a restart need not wait for it. */
bool task_can_wait(const struct ike_task *t);
/* For can_wait: it has not begun; when the SA is loaded, the deadline that it came from is set
 * again. */
bool task_has_not_begun(const struct ike_task *t);
/* ike_hold keeps it back. */
bool task_is_held(const struct ike_task *t);

/* ---- sk.c: the SK payload ---- */
/*
 * Verifies and decrypts the SK payload of the whole message msg, which was parsed into `outer`.
 * Writes *ret_len bytes of payloads to out, which has len bytes. -EBADMSG: the ICV does not hold,
 * or the lengths do not add up; -EPROTO: authentic, but its padding is longer than the text, and
 * *ret_len is 0.
 */
int sk_open(struct ike_sa *sa, const uint8_t *msg, size_t len, const struct ike_payloads *outer,
	    uint8_t *out, size_t *ret_len) MUST_CHECK;
/*
 * Writes the whole message, with `inside` in its SK payload, to out. Returns its length; 0: it does
 * not fit into cap bytes, `inside` had overflowed, or encryption failed.
 */
size_t sk_seal(struct ike_sa *sa, const struct ike_header *h, const struct ike_builder *inside,
	       uint8_t *out, size_t cap);

/* The bytes of a whole message whose payloads inside SK have len bytes. */
size_t sk_len(const struct ike_sa *sa, size_t len);
/* How many bytes of payloads go into a message of cap bytes with SKF; 0: none. */
size_t skf_room(const struct ike_sa *sa, size_t cap);
/*
 * The same as sk_seal for one fragment, which holds these bytes (RFC 7383 2.5); h and f agree on
 * message ID and exchange. f->total 0: SK in place of SKF.
 */
size_t skf_seal(struct ike_sa *sa, const struct ike_header *h, const struct fragment_head *f,
		struct chunk inside, uint8_t *out, size_t cap);

/* ---- divide.c: the datagrams of a message that we send (RFC 7383 2.5) ---- */
/*
 * Makes the datagrams of a message with these payloads; as IP datagrams they have `size` bytes at
 * most, if both sides have fragments. -EMSGSIZE, and *ret is empty: it is too long for a message,
 * `inside` had overflowed, or encryption failed.
 */
int message_make(struct ike_sa *sa, const struct ike_header *h, const struct ike_builder *inside,
		 unsigned size, struct sent_message *ret) MUST_CHECK;
/*
 * Divides a message that was sent in vain into smaller and more fragments (2.5.2). False: there can
 * be none.
 */
bool message_divide(struct ike_sa *sa, struct sent_message *m);
/* The size of the IP datagrams that messages of this IKE SA may have, in bytes, */
unsigned message_size(const struct ike_sa *sa);
/* and of those of a response to the last request: no longer than fragments of that were. */
unsigned response_size(const struct ike_sa *sa);
/* Write IKEV2_FRAGMENTATION_SUPPORTED in IKE_SA_INIT, and read it: whether both sides have it. */
void fragmentation_write(struct ike_builder *b, const struct ike_sa *sa);
void fragmentation_read(struct ike_sa *sa, const struct ike_payloads *p);

/* ---- reassembly.c: the messages that come in fragments (RFC 7383 2.6) ---- */
enum reassembly {
	REASSEMBLY_NOTHING, /* the fragment was dropped or stored */
	REASSEMBLY_DONE,    /* the message is complete */
	REASSEMBLY_AGAIN,   /* it begins a request that was answered: the response is due again */
};
/*
 * Handles a message with SKF. With REASSEMBLY_DONE the payloads of the whole message are in text,
 * which has IKE_MAX_MESSAGE bytes, and in->text and in->first say so.
 */
enum reassembly reassemble(struct ike_sa *sa, struct ike_in *in, uint8_t *text);
/* Of its `reassembly`: forgets what there is of a request. */
deadline_due reassembly_timeout;

#endif
