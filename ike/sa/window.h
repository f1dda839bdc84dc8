/* window.h - an IKE SA's window of message IDs: one request each way (RFC 7296 2.1 to 2.3).
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_IKE_WINDOW_H
#define MENDIP_IKE_WINDOW_H

#include "deadline.h"
#include "saved.h"

#define REMEMBERED_REQUESTS 8

/* A message as it was sent: the datagrams that carry it. RFC 7383 may make several of one. */
struct sent_message {
	struct sent_part {
		uint8_t *p; /* owned */
		uint16_t len;
	} * part;	/* owned */
	unsigned count; /* 0: no message */
};

struct ike_window {
	/* our requests */
	uint32_t next_id;
	struct sent_message request; /* the outstanding one */
	unsigned sends;		     /* of it */
	nsec_t request_since;
	bool hurried; /* it has the short timers (doc/recovery.md 5) */
	struct deadline retransmit;
	struct deadline late; /* for the response to it */

	/* the peer's requests */
	uint32_t expected_id;
	struct sent_message response; /* to request expected_id - 1 */
	struct {
		uint32_t id;
		bool used;
		uint8_t digest[16];
	} remembered[REMEMBERED_REQUESTS];
};

/* Replaces the message by one datagram of len bytes, which is copied. */
void sent_set(struct sent_message *m, const uint8_t *p, size_t len);
/* Frees it; there is no message then. */
void sent_clear(struct sent_message *m);
/* Writes and reads it for a restart; a message that cannot be read makes the reader bad. */
void sent_save(const struct sent_message *m, struct writer *w);
void sent_load(struct sent_message *m, struct reader *r);

#endif
