/*
 * ike_wire.h - reads and builds IKEv2 messages. SPDX-License-Identifier: ISC
 *
 * The parser knows no SAs. It checks a chain of payloads to its last byte; the bodies of SA and TS
 * payloads are checked by proposals_parse and ike_ts_parse. Views point into the caller's buffer.
 */
#ifndef MENDIP_IKE_WIRE_H
#define MENDIP_IKE_WIRE_H

#include "addr.h"
#include "wire/ike_types.h"
#include "wire.h"

struct ike_header {
	uint64_t spi_i, spi_r;
	uint8_t next, version, exchange, flags;
	uint32_t message_id, length;
};

/*
 * Reads the header (RFC 7296 3.1) of a message of len bytes; it does not check the version.
 * -EBADMSG, with *ret unchanged: shorter than a header, or its length field is not len.
 */
int ike_header_parse(const uint8_t *p, size_t len, struct ike_header *ret) MUST_CHECK;

struct ike_notify_view {
	uint8_t protocol;
	uint16_t type;
	struct chunk spi, data;
};

struct ike_delete_view {
	uint8_t protocol, spi_size;
	uint16_t count;
	struct chunk spis;
};

/* A CERT or CERTREQ payload (RFC 7296 3.6, 3.7). */
struct ike_cert_view {
	uint8_t encoding;
	struct chunk data;
};

#define IKE_MAX_NOTIFIES 32
#define IKE_MAX_DELETES	 8
#define IKE_MAX_CERTS	 8

/* The payloads of one message; those not in `present` are empty. */
struct ike_payloads {
	uint32_t present; /* set of PL() */
	struct chunk sa, nonce, tsi, tsr;
	struct chunk cp; /* the first one; p NULL: none */
	struct chunk eap;
	struct chunk sk; /* of SK or SKF: from the IV on */
	struct {
		uint16_t group;
		struct chunk data;
	} ke;
	struct {
		struct chunk body; /* type, reserved, data: what AUTH covers */
		uint8_t type;
		struct chunk data;
	} idi, idr;
	struct {
		uint8_t method;
		struct chunk data;
	} auth;
	struct ike_notify_view notify[IKE_MAX_NOTIFIES];
	struct ike_delete_view del[IKE_MAX_DELETES];
	struct ike_cert_view cert[IKE_MAX_CERTS], certreq[IKE_MAX_CERTS];
	uint8_t notify_count, delete_count, cert_count, certreq_count;
	uint8_t sk_next;	  /* type of the first payload inside SK, or inside SKF number 1 */
	uint16_t fragment;	  /* of SKF: its number, from 1 */
	uint16_t fragments;	  /* and how many there are (RFC 7383 2.5) */
	uint8_t unknown_critical; /* the first payload type that we must refuse (RFC 7296 2.5); 0:
				     none */
};

/*
 * Reads a chain of payloads that starts with type `first` and fills p[0..len) exactly; SK or SKF
 * ends it; the numbers in SKF are not checked.
 * Unknown payloads are skipped; the first critical one is reported in unknown_critical. Notifies
 * beyond IKE_MAX_NOTIFIES, and CERT and CERTREQ beyond IKE_MAX_CERTS each, are dropped. -EBADMSG:
 * lengths that do not add up, trailing bytes, a malformed body, more than IKE_MAX_DELETES, or a
 * payload twice that may come once only; *ret is then set in part.
 */
int ike_payloads_parse(uint8_t first, const uint8_t *p, size_t len,
		       struct ike_payloads *ret) MUST_CHECK;

/* The first notify of the type, or NULL. */
const struct ike_notify_view *ike_find_notify(const struct ike_payloads *p, uint16_t type);
/* The first notify that is an error, or NULL. */
const struct ike_notify_view *ike_find_error(const struct ike_payloads *p);

/*
 * Reads the body of a TS payload (RFC 7296 3.13). Types that we do not know, OPAQUE ports and
 * selectors beyond TS_MAX are left out, so *ret may be empty. -EBADMSG, with *ret unchanged:
 * malformed.
 */
int ike_ts_parse(struct chunk body, struct ts_list *ret) MUST_CHECK;

/* A message, or the payloads inside SK, being built. The writer is bad if they did not fit. */
struct ike_builder {
	struct writer w;
	size_t next_at; /* where the type of the next payload is written; SIZE_MAX: to first */
	size_t start;	/* where the payload being written begins */
	uint8_t first;	/* type of the first payload */
};

/*
 * Begins a message in buf, of cap bytes, with the SPIs, exchange, flags and message ID of h (3.1).
 */
void ib_message(struct ike_builder *b, uint8_t *buf, size_t cap, const struct ike_header *h);
/* Begins the payloads inside SK, without a header. */
void ib_inside(struct ike_builder *b, uint8_t *buf, size_t cap);
/*
 * Begin and end a payload; its body is written to b->w in between. The others write whole payloads.
 */
void ib_open(struct ike_builder *b, uint8_t type);
void ib_close(struct ike_builder *b);
void ib_payload(struct ike_builder *b, uint8_t type, struct chunk body);
void ib_ke(struct ike_builder *b, uint16_t group, struct chunk data);
void ib_notify(struct ike_builder *b, uint8_t protocol, struct chunk spi, uint16_t type,
	       struct chunk data);
/* type: PAYLOAD_TSI or PAYLOAD_TSR. */
void ib_ts(struct ike_builder *b, uint8_t type, const struct ts_list *l);
/* type: PAYLOAD_IDI or PAYLOAD_IDR. */
void ib_id(struct ike_builder *b, uint8_t type, uint8_t id_type, struct chunk data);
/* type: PAYLOAD_CERT or PAYLOAD_CERTREQ. */
void ib_cert(struct ike_builder *b, uint8_t type, uint8_t encoding, struct chunk data);
void ib_delete_ike(struct ike_builder *b);
/* n SPIs of ours, in host byte order. */
void ib_delete_esp(struct ike_builder *b, const uint32_t *spis, unsigned n);
/*
 * Sets the length in the header of a message and returns it, in bytes; 0: the message did not fit.
 */
size_t ib_finish(struct ike_builder *b);

#endif
