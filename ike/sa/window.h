/* window.h - an IKE SA's window of message IDs: one request each way (RFC 7296 2.1 to 2.3).
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_IKE_WINDOW_H
#define MENDIP_IKE_WINDOW_H

#include "bucket.h"
#include "deadline.h"
#include "sa/fragments.h"
#include "saved.h"

#define REMEMBERED_REQUESTS 8
#define REQUEST_HEAD	    64 /* bytes by which a request is recognized from its first fragment */

/* A message as it was sent: the datagrams that carry it. RFC 7383 may make several of one. */
struct sent_message {
	struct sent_part {
		uint8_t *p; /* owned */
		uint16_t len;
	} * part;	/* owned */
	unsigned count; /* 0: no message */
	unsigned size;	/* bytes that the IP datagrams may have; longer messages were divided */
	/*
	 * The payloads in it, from which smaller fragments can be made; owned, wiped. NULL: no
	 * smaller ones would be made.
	 */
	uint8_t *text;
	size_t text_len;
};

struct ike_window {
	/* our requests */
	uint32_t next_id;
	struct sent_message request; /* the outstanding one */
	uint8_t exchange;	     /* of it */
	unsigned sends;		     /* of it */
	nsec_t request_since;
	bool told;    /* that it has no response, before it ends */
	int refused;  /* why this host refused its last sending, if it did all; an errno, or 0 */
	bool hurried; /* it has the short timers (doc/recovery.md 5) */
	uint8_t slow; /* the first wait for the response is as long as this many sendings later */
	struct deadline retransmit;
	struct deadline late;		 /* for the response to it */
	struct fragments response_parts; /* of that, as long as some are missing */

	/* the peer's requests */
	uint32_t expected_id;
	struct sent_message response; /* to request expected_id - 1 */
	unsigned repeats;	      /* how often that was sent again */
	struct bucket elsewhere;      /* for those sent to where the peer is not known to be */
	size_t request_longest; /* bytes of the longest fragment of that request; 0: it was whole */
	struct {
		uint32_t id;
		bool used;
		uint8_t digest[16];
	} remembered[REMEMBERED_REQUESTS];
	/* Of the last one of these: its first head_len bytes, at most REQUEST_HEAD. */
	uint8_t head_len, head[16];
	struct fragments request_parts; /* of a request, as long as some are missing */
	struct deadline reassembly;	/* then they are forgotten */
};

/*
 * Remembers a request that is being answered by the payloads in it, so that another one with its
 * message ID is noticed.
 */
void request_remember(struct ike_window *w, uint32_t id, struct chunk text);
enum request_known { REQUEST_FORGOTTEN, REQUEST_SAME, REQUEST_DIFFERENT };
/* Whether it is a request that was answered, or another one with the same message ID. */
enum request_known request_compare(const struct ike_window *w, uint32_t id, struct chunk text);
/* Whether a request with this message ID is remembered. */
bool request_is_remembered(const struct ike_window *w, uint32_t id);
/*
 * Whether a request with the message ID of the last one, whose first fragment holds `start`, is
 * that request again. It may have been divided otherwise. False also if start is too short to tell.
 */
bool request_begins_alike(const struct ike_window *w, struct chunk start);
/* Forgets the fragments of the peer's request. */
void request_parts_clear(struct ike_window *w, struct deadline_heap *h);

/* Replaces the message by one datagram of len bytes, which is copied. */
void sent_set(struct sent_message *m, const uint8_t *p, size_t len);
/* Adds a datagram of len bytes, which is copied. */
void sent_add(struct sent_message *m, const uint8_t *p, size_t len);
/* Frees it; there is no message then. */
void sent_clear(struct sent_message *m);
/* Writes and reads it for a restart; a message that cannot be read makes the reader bad. */
void sent_save(const struct sent_message *m, struct writer *w);
void sent_load(struct sent_message *m, struct reader *r);

#endif
