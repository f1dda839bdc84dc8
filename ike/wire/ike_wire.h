/*
 * ike_wire.h - IKEv2 messages: reading them whole, and building them. SPDX-License-Identifier: ISC
 *
 * The parser knows no SA: bytes in, views out. A message is checked to its last byte before anyone
 * sees any of it; the views point into the caller's buffer.
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
 * Reads the header (RFC 7296 3.1). -EBADMSG: shorter than a header, or its length field is not
 * len. The version is left to the caller.
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

#define IKE_MAX_NOTIFIES 32
#define IKE_MAX_DELETES	 8

/* The payloads of one message; what is not in `present` is empty. */
struct ike_payloads {
	uint32_t present; /* set of PL() */
	struct chunk sa, nonce, tsi, tsr, sk;
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
	uint8_t notify_count, delete_count;
	uint8_t sk_next;	  /* first payload within SK */
	uint8_t unknown_critical; /* a payload type that we must refuse (RFC 7296 2.5) */
};

/*
 * Reads a chain of payloads that starts with type `first` and fills p[0..len) exactly. -EBADMSG on
 * lengths that do not add up, trailing bytes, bodies too short for their kind, and payloads twice
 * that may not repeat. Unknown payloads are skipped; a critical one is told in unknown_critical.
 */
int ike_payloads_parse(uint8_t first, const uint8_t *p, size_t len,
		       struct ike_payloads *ret) MUST_CHECK;

/* The first notify of the type, or NULL. */
const struct ike_notify_view *ike_find_notify(const struct ike_payloads *p, uint16_t type);
/* The first notify that is an error, or NULL. */
const struct ike_notify_view *ike_find_error(const struct ike_payloads *p);

/* Traffic selectors of a TS payload (RFC 7296 3.13); types that we do not know are left out. */
int ike_ts_parse(struct chunk body, struct ts_list *ret) MUST_CHECK;

/* A message or the inside of SK being built. */
struct ike_builder {
	struct writer w;
	size_t next_at; /* where the type of the next payload goes; SIZE_MAX: into first */
	size_t start;	/* of the payload being written */
	uint8_t first;	/* type of the first payload */
};

/* With a header to be patched at the end. */
void ib_message(struct ike_builder *b, uint8_t *buf, size_t cap, const struct ike_header *h);
/* Without a header: the inside of SK. */
void ib_inside(struct ike_builder *b, uint8_t *buf, size_t cap);
void ib_open(struct ike_builder *b, uint8_t type);
void ib_close(struct ike_builder *b);
void ib_payload(struct ike_builder *b, uint8_t type, struct chunk body);
void ib_ke(struct ike_builder *b, uint16_t group, struct chunk data);
void ib_notify(struct ike_builder *b, uint8_t protocol, struct chunk spi, uint16_t type,
	       struct chunk data);
void ib_ts(struct ike_builder *b, uint8_t type, const struct ts_list *l);
void ib_id(struct ike_builder *b, uint8_t type, uint8_t id_type, struct chunk data);
void ib_delete_ike(struct ike_builder *b);
void ib_delete_esp(struct ike_builder *b, const uint32_t *spis, unsigned n);
/* Sets the header's length; the message's bytes, or 0 when it did not fit. */
size_t ib_finish(struct ike_builder *b);

#endif
