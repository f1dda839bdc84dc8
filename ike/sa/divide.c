/*
 * divide.c - the datagrams of a message that we send: one with SK, or fragments with SKF (RFC 7383
 * 2.3 to 2.5). SPDX-License-Identifier: ISC
 */
#include "sa/exchange.h"
#include "xalloc.h"

#define IPV4_LEN       20
#define IPV6_LEN       40
#define UDP_LEN	       8
#define NON_ESP_MARKER 4

/* The IP datagrams that every path takes, or nearly every one (RFC 7383 2.5.1). */
#define SIZE_USUAL 1280
#define SIZE_LEAST 576 /* with IPv6 it is SIZE_USUAL */

void fragmentation_write(struct ike_builder *b, const struct ike_sa *sa)
{
	if (sa->conn->fragmentation != FRAGMENTATION_NO)
		ib_notify(b, PROTOCOL_NONE, (struct chunk){0}, NOTIFY_IKEV2_FRAGMENTATION_SUPPORTED,
			  (struct chunk){0});
}

void fragmentation_read(struct ike_sa *sa, const struct ike_payloads *p)
{
	sa->fragments = sa->conn->fragmentation != FRAGMENTATION_NO &&
			ike_find_notify(p, NOTIFY_IKEV2_FRAGMENTATION_SUPPORTED);
}

unsigned message_size(const struct ike_sa *sa)
{
	if (sa->fragment_size)
		return sa->fragment_size;
	return sa->conn->fragment_size ? sa->conn->fragment_size : SIZE_USUAL;
}

/* A size that every path takes, or nearly every one. */
static unsigned least_size(const struct ike_sa *sa)
{
	return sa->remote.addr.family == FAMILY_IPV4 ? SIZE_LEAST : SIZE_USUAL;
}

/* The next smaller size to try; 0: there is none. */
static unsigned smaller(const struct ike_sa *sa, unsigned size)
{
	if (size > SIZE_USUAL)
		return SIZE_USUAL;
	return size > least_size(sa) ? least_size(sa) : 0;
}

/* What a message has around it in an IP datagram, in bytes. */
static unsigned around(const struct ike_sa *sa)
{
	return (sa->remote.addr.family == FAMILY_IPV4 ? IPV4_LEN : IPV6_LEN) + UDP_LEN +
	       NON_ESP_MARKER;
}

unsigned response_size(const struct ike_sa *sa)
{
	unsigned size = message_size(sa), theirs = sa->window.request_longest;

	if (theirs)
		theirs = (unsigned)max_u64(theirs + around(sa), least_size(sa));
	return theirs && theirs < size ? theirs : size;
}

/*
 * How many bytes of payloads, of len in all, go into each datagram, if it may have this size. At
 * least len: the message is not divided.
 */
static size_t part_len(const struct ike_sa *sa, size_t len, unsigned size)
{
	bool force = sa->conn->fragmentation == FRAGMENTATION_FORCE;
	size_t room, parts;

	if (!sa->fragments || sa->conn->fragmentation == FRAGMENTATION_NO || len < 2 ||
	    (!force && sk_len(sa, len) <= size - around(sa)))
		return len;
	room = max_u64(skf_room(sa, size - around(sa)), 1);
	parts = (len + room - 1) / room;
	parts = min_u64(max_u64(parts, 2), IKE_MAX_FRAGMENTS);
	return (len + parts - 1) / parts;
}

static size_t count_parts(size_t len, size_t part)
{
	return part < len ? (len + part - 1) / part : 1;
}

/* The largest size with which the message would have more parts than now; 0: none. */
static unsigned next_size(const struct ike_sa *sa, size_t len, const struct sent_message *m)
{
	unsigned size = m->size;

	do {
		size = smaller(sa, size);
	} while (size && count_parts(len, part_len(sa, len, size)) <= m->count);
	return size;
}

/* Seals the payloads into the datagrams of *ret, which is empty. */
static int seal_parts(struct ike_sa *sa, const struct ike_header *h, uint8_t first,
		      struct chunk text, unsigned size, struct sent_message *ret)
{
	size_t part = part_len(sa, text.len, size), parts = count_parts(text.len, part);
	uint8_t msg[IKE_MAX_MESSAGE];

	ret->size = size;
	for (size_t i = 0; i < parts; i++) {
		struct fragment_head f = {.next = i ? PAYLOAD_NONE : first,
					  .number = (uint16_t)(i + 1),
					  .total = parts > 1 ? (uint16_t)parts : 0};
		size_t at = i * part, len = min_u64(part, text.len - at);

		len = skf_seal(sa, h, &f, (struct chunk){text.p + at, len}, msg, sizeof(msg));
		if (len == 0) {
			sent_clear(ret);
			return -EMSGSIZE;
		}
		sent_add(ret, msg, len);
	}
	if (next_size(sa, text.len, ret)) {
		ret->text = xmemdup(text.p, text.len);
		ret->text_len = text.len;
	}
	return 0;
}

int message_make(struct ike_sa *sa, const struct ike_header *h, const struct ike_builder *inside,
		 unsigned size, struct sent_message *ret)
{
	sent_clear(ret);
	if (inside->w.bad)
		return -EMSGSIZE;
	return seal_parts(sa, h, inside->first, (struct chunk){inside->w.base, inside->w.len}, size,
			  ret);
}

bool message_divide(struct ike_sa *sa, struct sent_message *m)
{
	struct sent_message divided = {0};
	struct chunk text = {m->text, m->text_len};
	struct ike_header h;
	unsigned size;

	if (!m->text)
		return false;
	size = next_size(sa, text.len, m);
	if (!size || ike_header_parse(m->part[0].p, m->part[0].len, &h) < 0 ||
	    seal_parts(sa, &h, m->part[0].p[IKE_HEADER_LEN], text, size, &divided) < 0)
		return false;
	sent_clear(m);
	*m = divided;
	return true;
}
