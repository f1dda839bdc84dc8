/*
 * divide.c - the datagrams of a message that we send: one with SK, or fragments with SKF (RFC 7383
 * 2.3 to 2.5). SPDX-License-Identifier: ISC
 */
#include "sa/exchange.h"
#include "sa/limits.h"
#include "xalloc.h"

/* What a message has around it in an IP datagram. */
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

/* The next smaller size to try; 0: there is none. */
static unsigned smaller(const struct ike_sa *sa, unsigned size)
{
	if (size > SIZE_USUAL)
		return SIZE_USUAL;
	return size > SIZE_LEAST && sa->remote.addr.family == FAMILY_IPV4 ? SIZE_LEAST : 0;
}

/* The bytes of a message in an IP datagram of this size. */
static size_t inside_of(const struct ike_sa *sa, unsigned size)
{
	size_t around = sa->remote.addr.family == FAMILY_IPV4 ? IPV4_LEN : IPV6_LEN;

	return size - around - UDP_LEN - NON_ESP_MARKER;
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
	    (!force && sk_len(sa, len) <= inside_of(sa, size)))
		return len;
	room = max_u64(skf_room(sa, inside_of(sa, size)), 1);
	parts = (len + room - 1) / room;
	parts = min_u64(max_u64(parts, 2), IKE_MAX_FRAGMENTS);
	return (len + parts - 1) / parts;
}

static size_t count_parts(size_t len, size_t part)
{
	return part < len ? (len + part - 1) / part : 1;
}

/* The largest size with which the message would have more parts than now; 0: none. */
static unsigned next_size(const struct ike_sa *sa, size_t len, size_t parts)
{
	unsigned size = message_size(sa);

	do {
		size = smaller(sa, size);
	} while (size && count_parts(len, part_len(sa, len, size)) <= parts);
	return size;
}

/* Seals the payloads, in parts of this length, into the datagrams of *ret, which is empty. */
static int seal_parts(struct ike_sa *sa, const struct ike_header *h, uint8_t first,
		      struct chunk text, size_t part, struct sent_message *ret)
{
	size_t parts = count_parts(text.len, part);
	uint8_t msg[IKE_MAX_MESSAGE];

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
	return 0;
}

int message_make(struct ike_sa *sa, const struct ike_header *h, const struct ike_builder *inside,
		 struct sent_message *ret)
{
	struct chunk text = {inside->w.base, inside->w.len};
	size_t part = part_len(sa, text.len, message_size(sa));

	sent_clear(ret);
	if (inside->w.bad || seal_parts(sa, h, inside->first, text, part, ret) < 0)
		return -EMSGSIZE;
	if (next_size(sa, text.len, ret->count)) {
		ret->text = xmemdup(text.p, text.len);
		ret->text_len = text.len;
	}
	return 0;
}

void message_divide(struct ike_sa *sa, struct sent_message *m, unsigned sends, nsec_t now)
{
	struct sent_message divided = {0};
	struct chunk text = {m->text, m->text_len};
	unsigned size;
	struct ike_header h;

	if (sends == 0 || sends % 2 || !m->text)
		return;
	size = next_size(sa, text.len, m->count);
	if (!size || ike_header_parse(m->part[0].p, m->part[0].len, &h) < 0 ||
	    seal_parts(sa, &h, m->part[0].p[IKE_HEADER_LEN], text, part_len(sa, text.len, size),
		       &divided) < 0)
		return;
	log_peer(sa, now, LOG_LEVEL_INFO,
		 "%s: no answer to a message in datagrams of up to %u bytes: up to %u from now on",
		 sa_label(sa), message_size(sa), size);
	sa->fragment_size = (uint16_t)size;
	if (next_size(sa, text.len, divided.count)) {
		divided.text = xmemdup(text.p, text.len);
		divided.text_len = text.len;
	}
	sent_clear(m);
	*m = divided;
}
