/*
 * t_coalesce.c - packets are coalesced for TUN exactly where the rules of ref_coalesce.h allow it,
 * and segmentation gives the same packets again.
 * SPDX-License-Identifier: ISC
 */
#include "coalesce_fixture.h"
#include "packet/checksum.h"

/* ---- rule by rule: the third of four packets is changed ---- */

/* Asserts that the sequence gives the runs `want`, such as "2 1 1", and, unless rule is REF_COUNT,
 * that this rule alone ended a run. */
static void check_runs(const char *name, struct sequence *s, const struct ref_device *d,
		       enum ref_rule rule, const char *want)
{
	uint64_t alone[REF_COUNT] = {0};
	char got[1024] = "";
	size_t n = 0;

	print_message("# %s\n", name);
	seq_check(s, d, alone);
	for (uint32_t i = 0; i < s->run_count; i++)
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%u", i ? " " : "", s->runs[i]);
	if (strcmp(got, want) != 0)
		fail_msg("%s: runs of %s, not %s", name, got, want);
	if (rule != REF_COUNT && alone[rule] == 0)
		fail_msg("%s: it is not \"%s\" that ended a run", name, ref_rule_name(rule));
	free(s);
}

static const struct change {
	const char *name;
	enum kind kind;
	uint16_t at;
	uint8_t x;
	bool unmended;
	enum ref_rule rule;
	const char *runs;
} changes[] = {
	{"nothing", TCP4, 0, 0, false, REF_COUNT, "4"},
	{"nothing", TCP6, 0, 0, false, REF_COUNT, "4"},
	{"nothing", UDP4, 0, 0, false, REF_COUNT, "4"},
	{"nothing", UDP6, 0, 0, false, REF_COUNT, "4"},
	{"the payload", TCP4, 60, 1, false, REF_COUNT, "4"},
	{"DSCP", TCP4, 1, 4, false, REF_TOS, "2 1 1"},
	{"ECN, CE set on the way", TCP4, 1, 3, false, REF_TOS, "2 1 1"},
	{"traffic class, high half", TCP6, 0, 1, false, REF_TOS, "2 1 1"},
	{"traffic class, ECN", TCP6, 1, 0x30, false, REF_TOS, "2 1 1"},
	{"TOS", UDP4, 1, 4, false, REF_TOS, "2 1 1"},
	{"ID", TCP4, 5, 2, false, REF_ID, "2 1 1"},
	{"ID, high half", UDP4, 4, 1, false, REF_ID, "2 1 1"},
	{"DF", TCP4, 6, 0x40, false, REF_DF, "2 1 1"},
	{"the reserved flag", TCP4, 6, 0x80, false, REF_DF, "2 1 1"},
	{"DF", UDP4, 6, 0x40, false, REF_DF, "2 1 1"},
	{"more fragments", TCP4, 6, 0x20, false, REF_FRAGMENT, "2 1 1"},
	{"a later fragment", TCP4, 7, 1, false, REF_FRAGMENT, "2 1 1"},
	{"the last fragment, far behind", UDP4, 6, 0x10, false, REF_FRAGMENT, "2 1 1"},
	{"TTL", TCP4, 8, 1, false, REF_TTL, "2 1 1"},
	{"TTL", UDP4, 8, 1, false, REF_TTL, "2 1 1"},
	{"hop limit", TCP6, 7, 1, false, REF_TTL, "2 1 1"},
	{"hop limit", UDP6, 7, 1, false, REF_TTL, "2 1 1"},
	{"flow label", TCP6, 3, 1, false, REF_LABEL, "2 1 1"},
	{"flow label, high bits", UDP6, 1, 1, false, REF_LABEL, "2 1 1"},
	{"protocol", TCP4, 9, 6 ^ 132, false, REF_PROTOCOL, "2 1 1"},
	{"next header", TCP6, 6, 6 ^ 59, false, REF_PROTOCOL, "2 1 1"},
	{"source", TCP4, 15, 1, false, REF_ADDRESSES, "2 1 1"},
	{"source", TCP4, 12, 1, false, REF_ADDRESSES, "2 1 1"},
	{"destination", TCP4, 19, 1, false, REF_ADDRESSES, "2 1 1"},
	{"source", TCP6, 8, 1, false, REF_ADDRESSES, "2 1 1"},
	{"destination", UDP6, 39, 1, false, REF_ADDRESSES, "2 1 1"},
	{"source port", TCP4, 20, 1, false, REF_PORTS, "2 1 1"},
	{"destination port", TCP4, 23, 1, false, REF_PORTS, "2 1 1"},
	{"source port", UDP6, 41, 1, false, REF_PORTS, "2 1 1"},
	{"destination port", UDP4, 23, 1, false, REF_PORTS, "2 1 1"},
	{"number", TCP4, 27, 1, false, REF_SEQUENCE, "2 1 1"},
	{"number, high half", TCP6, 44, 0x80, false, REF_SEQUENCE, "2 1 1"},
	{"acknowledgement", TCP4, 31, 1, false, REF_ACK_NUMBER, "2 1 1"},
	{"acknowledgement, high half", TCP6, 48, 1, false, REF_ACK_NUMBER, "2 1 1"},
	{"a longer TCP header", TCP4, 32, 0x10, false, REF_HEADER_LEN, "2 1 1"},
	{"a TCP header of 16 bytes", TCP4, 32, 0xc0, false, REF_SHORT_HEADER, "2 1 1"},
	{"a reserved bit", TCP4, 32, 8, false, REF_FLAGS, "2 1 1"},
	{"AE, RFC 9768", TCP4, 32, 1, false, REF_FLAGS, "2 1 1"},
	{"FIN", TCP4, 33, 0x01, false, REF_FLAGS, "2 1 1"},
	{"SYN", TCP4, 33, 0x02, false, REF_FLAGS, "2 1 1"},
	{"RST", TCP6, 53, 0x04, false, REF_FLAGS, "2 1 1"},
	{"PSH", TCP4, 33, 0x08, false, REF_AFTER_PSH, "3 1"},
	{"PSH", TCP6, 53, 0x08, false, REF_AFTER_PSH, "3 1"},
	{"no ACK", TCP4, 33, 0x10, false, REF_FLAGS, "2 1 1"},
	{"URG", TCP6, 53, 0x20, false, REF_FLAGS, "2 1 1"},
	{"ECE", TCP4, 33, 0x40, false, REF_ECE, "2 1 1"},
	{"CWR", TCP4, 33, 0x80, false, REF_FLAGS, "2 1 1"},
	{"window", TCP4, 34, 1, false, REF_WINDOW, "2 1 1"},
	{"window, low half", TCP6, 55, 1, false, REF_WINDOW, "2 1 1"},
	{"urgent pointer", TCP4, 39, 1, false, REF_URGENT, "2 1 1"},
	{"first byte of TCP options", TCP4, 40, 1, false, REF_TCP_OPTIONS, "2 1 1"},
	{"last byte of TCP options", TCP6, 71, 1, false, REF_TCP_OPTIONS, "2 1 1"},
	{"IPv4 checksum", TCP4, 10, 1, true, REF_IP_SUM, "2 1 1"},
	{"IPv4 checksum", UDP4, 11, 1, true, REF_IP_SUM, "2 1 1"},
	{"TCP checksum", TCP4, 36, 1, true, REF_L4_SUM, "2 1 1"},
	{"TCP checksum", TCP6, 57, 1, true, REF_L4_SUM, "2 1 1"},
	{"UDP checksum", UDP4, 26, 1, true, REF_L4_SUM, "2 1 1"},
	{"UDP checksum", UDP6, 47, 1, true, REF_L4_SUM, "2 1 1"},
	{"a damaged payload", TCP4, 151, 0x80, true, REF_L4_SUM, "2 1 1"},
	{"a damaged payload", UDP6, 60, 0x80, true, REF_L4_SUM, "2 1 1"},
	{"UDP length", UDP4, 25, 1, false, REF_SHORT_HEADER, "2 1 1"},
	{"UDP length", UDP6, 44, 1, false, REF_SHORT_HEADER, "2 1 1"},
};

/* Four packets of 100 bytes of payload; the third is changed as c says. */
static struct sequence *four(enum kind kind, const struct change *c)
{
	struct sequence *s = seq_new();
	struct flow f = flow_of(kind);

	for (unsigned i = 0; i < 4; i++) {
		uint8_t *p = seq_emit(s, &f, 100, ACK);

		if (i != 2 || !c)
			continue;
		p[c->at] ^= c->x;
		if (c->unmended)
			seq_decode_last(s);
		else
			seq_mend_last(s);
	}
	return s;
}

/* Each change of one field has the effect that the table says. */
static void test_changes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		const struct change *c = &changes[i];

		check_runs(c->name, four(c->kind, c), &everything, c->rule, c->runs);
	}
}

/* Each of the twelve flags, including the reserved ones, is toggled on all four packets. */
static void test_flags_of_all(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 12; bit++) {
		uint32_t flags = ACK ^ 1u << bit;
		struct sequence *s = seq_new();
		struct flow f = flow_of(bit & 1 ? TCP6 : TCP4);
		char name[32];

		for (unsigned i = 0; i < 4; i++) {
			uint8_t *p = seq_emit(s, &f, 100, (uint8_t)flags);

			p[f.v6 ? 52 : 32] |= (uint8_t)(flags >> 8);
			seq_mend_last(s);
		}
		snprintf(name, sizeof(name), "flags 0x%03x on all", flags);
		check_runs(name, s, &everything, REF_COUNT, flags == (ACK | ECE) ? "4" : "1 1 1 1");
	}
}

/* Packets with these lengths of payload. */
static struct sequence *of_lengths(enum kind kind, const uint32_t *payload, unsigned n)
{
	struct sequence *s = seq_new();
	struct flow f = flow_of(kind);

	for (unsigned i = 0; i < n; i++)
		seq_emit(s, &f, payload[i], ACK);
	return s;
}

/* A shorter packet ends a run, a longer one begins another, and one without payload is alone. */
static void test_lengths(void **state)
{
	static const uint32_t shorter[] = {100, 100, 99, 99, 99}, one[] = {100, 1, 100, 100},
			      longer[] = {100, 100, 101, 101}, empty[] = {100, 0, 100, 100};

	(void)state;
	for (enum kind k = TCP4; k <= UDP6; k++) {
		check_runs("a short one ends a run", of_lengths(k, shorter, 5), &everything,
			   REF_AFTER_SHORT, "3 2");
		check_runs("one byte", of_lengths(k, one, 4), &everything, REF_COUNT, "2 2");
		check_runs("none is longer", of_lengths(k, longer, 4), &everything, REF_LONGER,
			   "2 2");
		check_runs("no payload", of_lengths(k, empty, 4), &everything, REF_EMPTY, "1 1 2");
	}
}

/* A packet with IPv4 options or an IPv6 extension header is written alone. */
static void test_extra_headers(void **state)
{
	static const uint8_t types[] = {0, 43, 44, 51, 60};
	char name[40];

	(void)state;
	for (enum kind k = TCP4; k <= UDP6; k++) {
		for (size_t t = 0; t < (k == TCP6 || k == UDP6 ? ARRAY_SIZE(types) : 1); t++) {
			struct sequence *s = seq_new();
			struct flow f = flow_of(k);

			for (unsigned i = 0; i < 6; i++) {
				seq_emit(s, &f, 100, ACK);
				if (i == 2 || i == 3)
					seq_insert_extra(s, types[t]);
			}
			snprintf(name, sizeof(name), "options or extension header %u", types[t]);
			check_runs(name, s, &everything,
				   f.v6 && types[t] == 44 ? REF_FRAGMENT : REF_OPTIONS, "2 1 1 2");
		}
	}
}

/* A TCP checksum of 0 is kept. 0xffff is numerically equal, but not what segmentation writes (RFC
 * 1624 3), so that such a packet is written alone. */
static void test_the_other_zero(void **state)
{
	(void)state;
	for (enum kind k = TCP4; k <= TCP6; k++) {
		struct sequence *s = seq_new();
		struct flow f = flow_of(k);

		for (unsigned i = 0; i < 8; i++) {
			uint8_t *p = seq_emit(s, &f, 100, ACK), *data = p + flow_header_len(&f);
			uint8_t *sum = p + flow_header_len(&f) - f.options - 4;

			if (i != 2 && i != 5)
				continue;
			/* adds the checksum to the payload, so that it becomes 0 */
			put_be16(data, csum_fold((uint32_t)get_be16(data) + get_be16(sum)));
			seq_mend_last(s);
			assert_int_equal(get_be16(sum), 0);
			if (i == 5)
				put_be16(sum, 0xffff);
			seq_decode_last(s);
		}
		check_runs("TCP checksum 0 and 0xffff", s, &everything, REF_L4_SUM, "5 1 2");
	}
}

/* A UDP checksum that is computed as 0 is sent as 0xffff (RFC 768); 0 means "no checksum", even
 * where it adds up. */
static void test_the_other_zero_of_udp(void **state)
{
	(void)state;
	for (enum kind k = UDP4; k <= UDP6; k++) {
		struct sequence *s = seq_new();
		struct flow f = flow_of(k);

		for (unsigned i = 0; i < 8; i++) {
			uint8_t *p = seq_emit(s, &f, 100, 0), *data = p + flow_header_len(&f);

			if (i != 2 && i != 5)
				continue;
			put_be16(data, csum_fold((uint32_t)get_be16(data) + get_be16(data - 2)));
			seq_mend_last(s);
			assert_int_equal(get_be16(data - 2), 0xffff);
			if (i == 5)
				put_be16(data - 2, 0);
			seq_decode_last(s);
		}
		check_runs("UDP checksum 0xffff and 0", s, &everything, REF_NO_SUM, "5 1 2");
	}
}

/* The same for the IPv4 checksum. */
static void test_the_other_zero_of_ip(void **state)
{
	(void)state;
	for (unsigned other = 0; other < 2; other++) {
		struct sequence *s = seq_new();
		struct flow f = flow_of(other ? UDP4 : TCP4);

		/* the third packet gets an ID with which its checksum is 0 */
		f.id = 0;
		seq_emit(s, &f, 100, ACK);
		f.id = (uint16_t)(s->pkt[0].ip_sum - 2);
		s->count = 0;
		for (unsigned i = 0; i < 5; i++) {
			seq_emit(s, &f, 100, ACK);
			if (i == 2)
				assert_int_equal(get_be16(seq_last(s) + 10), 0);
			if (i == 2 && other)
				put_be16(seq_last(s) + 10, 0xffff);
			seq_decode_last(s);
		}
		check_runs("IPv4 checksum 0 and 0xffff", s, &everything,
			   other ? REF_IP_SUM : REF_COUNT, other ? "2 1 2" : "5");
	}
}

/* Runs of a kind that the device does not accept are written as single packets. */
static void test_what_the_device_takes(void **state)
{
	struct ref_device no_tso4 = everything, no_tso6 = everything, no_uso = everything;

	(void)state;
	no_tso4.tso4 = no_tso6.tso6 = no_uso.uso = false;
	check_runs("no TSO4", four(TCP4, NULL), &no_tso4, REF_COUNT, "1 1 1 1");
	check_runs("no TSO4", four(TCP6, NULL), &no_tso4, REF_COUNT, "4");
	check_runs("no TSO4", four(UDP4, NULL), &no_tso4, REF_COUNT, "4");
	check_runs("no TSO6", four(TCP6, NULL), &no_tso6, REF_COUNT, "1 1 1 1");
	check_runs("no TSO6", four(TCP4, NULL), &no_tso6, REF_COUNT, "4");
	check_runs("no TSO6", four(UDP6, NULL), &no_tso6, REF_COUNT, "4");
	check_runs("no USO", four(UDP4, NULL), &no_uso, REF_COUNT, "1 1 1 1");
	check_runs("no USO", four(UDP6, NULL), &no_uso, REF_COUNT, "1 1 1 1");
	check_runs("no USO", four(TCP4, NULL), &no_uso, REF_COUNT, "4");
	check_runs("nothing", four(TCP4, NULL), &(struct ref_device){.cap = 65535}, REF_COUNT,
		   "1 1 1 1");
}

/* A UDP packet without checksum is written alone. */
static void test_udp_without_checksum(void **state)
{
	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct sequence *s = seq_new();
		struct flow f = flow_of(v6 ? UDP6 : UDP4);

		for (unsigned i = 0; i < 6; i++) {
			seq_emit(s, &f, 100, 0);
			if (i == 2 || i == 3)
				put_be16(seq_last(s) + (v6 ? 46 : 26), 0);
			seq_decode_last(s);
		}
		check_runs("UDP without checksum", s, &everything, REF_NO_SUM, "2 1 1 2");
	}
}

/* n packets with `payload` bytes each. */
static struct sequence *many(enum kind kind, unsigned n, uint32_t payload)
{
	struct sequence *s = seq_new();
	struct flow f = flow_of(kind);

	for (unsigned i = 0; i < n; i++)
		seq_emit(s, &f, payload, ACK);
	return s;
}

/* A run has at most 64 datagrams of UDP, 65535 bytes, and the size of the buffer. */
static void test_limits(void **state)
{
	struct ref_device small = everything;

	(void)state;
	check_runs("64 datagrams", many(UDP4, 130, 20), &everything, REF_FULL_64, "64 64 2");
	check_runs("64 datagrams", many(UDP6, 65, 20), &everything, REF_FULL_64, "64 1");
	check_runs("no such limit for TCP", many(TCP4, 130, 20), &everything, REF_COUNT, "130");
	/* headers of 52 and 72 bytes; 65535 - 52 = 7 * 9354 + 5, 65535 - 72 = 21 * 3117 + 6 */
	check_runs("65535 bytes", many(TCP4, 9, 9354), &everything, REF_FULL_65535, "7 2");
	check_runs("65535 bytes", many(TCP6, 24, 3117), &everything, REF_FULL_65535, "21 3");
	check_runs("exactly 65535", of_lengths(TCP4, (uint32_t[]){40000, 25483, 1}, 3), &everything,
		   REF_COUNT, "2 1");
	check_runs("65536", of_lengths(TCP4, (uint32_t[]){40000, 25484, 1}, 3), &everything,
		   REF_FULL_65535, "1 2");
	check_runs("65536", of_lengths(UDP6, (uint32_t[]){40000, 25488, 1}, 3), &everything,
		   REF_FULL_65535, "1 2");
	small.cap = 52 + 300;
	check_runs("the buffer", many(TCP4, 8, 100), &small, REF_FULL_CAP, "3 3 2");
	small.cap--;
	check_runs("the buffer", many(TCP4, 5, 100), &small, REF_FULL_CAP, "2 2 1");
}

/* Packets are written in the order of arrival: alternating flows, a swapped pair, a repeated packet
 * or a gap end the runs. */
static void test_order(void **state)
{
	struct flow a = flow_of(TCP4), b = flow_of(TCP4);
	struct sequence *s = seq_new();

	(void)state;
	b.sport = 9;
	for (unsigned i = 0; i < 3; i++) {
		seq_emit(s, &a, 100, ACK);
		seq_emit(s, &b, 100, ACK);
	}
	check_runs("flows are not put in order", s, &everything, REF_COUNT, "1 1 1 1 1 1");
	s = four(TCP4, NULL);
	seq_swap(s, 1, 2);
	check_runs("nor numbers", s, &everything, REF_COUNT, "1 1 1 1");
	s = four(TCP4, NULL);
	s->pkt[2] = s->pkt[1];
	check_runs("twice the same", s, &everything, REF_COUNT, "2 1 1");
	s = four(TCP6, NULL);
	s->pkt[2] = s->pkt[3];
	s->count = 3;
	check_runs("a gap", s, &everything, REF_SEQUENCE, "2 1");
	s = seq_new();
	a = flow_of(UDP4);
	for (unsigned i = 0; i < 4; i++, a.v6 = !a.v6)
		seq_emit(s, &a, 100, 0);
	check_runs("families", s, &everything, REF_FAMILY, "1 1 1 1");
	s = seq_new();
	a = flow_of(TCP6);
	for (unsigned i = 0; i < 4; i++, a.udp = !a.udp)
		seq_emit(s, &a, 100, ACK);
	check_runs("protocols", s, &everything, REF_OTHER_PROTOCOL, "1 1 1 1");
}

/* After a run has ended, a packet that would have continued it begins another one. */
static void test_after_an_end(void **state)
{
	struct sequence *s = seq_new();
	struct flow f = flow_of(TCP4);

	(void)state;
	seq_emit(s, &f, 100, ACK | PSH);
	seq_emit(s, &f, 100, ACK);
	seq_emit(s, &f, 100, ACK | PSH);
	seq_emit(s, &f, 40, ACK | PSH);
	seq_emit(s, &f, 40, ACK | ECE);
	seq_emit(s, &f, 40, ACK | ECE);
	check_runs("PSH on the first one", s, &everything, REF_AFTER_PSH, "1 2 1 2");
	s = seq_new();
	f = flow_of(TCP6);
	seq_emit(s, &f, 100, ACK);
	seq_last(s)[90] ^= 1;
	seq_decode_last(s);
	for (unsigned i = 0; i < 3; i++)
		seq_emit(s, &f, 100, ACK);
	check_runs("nothing is added to a damaged one", s, &everything, REF_AFTER_ALONE, "1 3");
}

/* ---- at random ---- */

static struct flow random_flow(struct fixture_rng *r)
{
	struct flow f = flow_of((enum kind)fixture_below(r, 4));

	f.tos = (uint8_t)fixture_u64(r);
	f.ttl = (uint8_t)fixture_u64(r);
	f.flags3 = fixture_chance(r, 70) ? 2 : 0;
	f.options = (uint8_t)(4 * fixture_below(r, 11));
	f.sport = (uint16_t)fixture_u64(r);
	f.id = (uint16_t)fixture_u64(r);
	f.host = (uint32_t)fixture_below(r, 200);
	f.label = (uint32_t)fixture_below(r, 1 << 20);
	f.seq = (uint32_t)fixture_u64(r);
	f.ack = (uint32_t)fixture_u64(r);
	return f;
}

/* Changes one property of the flow. */
static void change_flow(struct fixture_rng *r, struct flow *f)
{
	switch (fixture_below(r, 9)) {
	case 0: f->tos ^= (uint8_t)(1 << fixture_below(r, 8)); break;
	case 1: f->ttl--; break;
	case 2: f->flags3 ^= 2; break;
	case 3: f->id = (uint16_t)fixture_u64(r); break;
	case 4: f->window++; break;
	case 5: f->ack += 100; break;
	case 6: f->label ^= 1u << fixture_below(r, 20); break;
	case 7: f->seq += 100; break; /* a lost segment */
	default: f->sport ^= 1; break;
	}
}

/* Decodes the changed last packet, and with mended corrects its checksums; false if inner_parse
 * rejects it. */
static bool settle_last(struct sequence *s, bool mended)
{
	struct ref_packet *r = &s->pkt[s->count - 1];
	uint32_t room_of = (uint32_t)(s->arena + s->used - r->p);
	struct inner in;

	if (inner_parse(r->p, room_of, &in) < 0)
		return false;
	if (mended)
		seq_mend_last(s);
	else
		seq_decode_last(s);
	return true;
}

/* Changes a field of the last packet's headers. */
static void mutate_header(struct fixture_rng *r, struct sequence *s)
{
	uint8_t *p = seq_last(s), *l4 = p + (p[0] >> 4 == 6 ? 40 : 20);
	bool v6 = p[0] >> 4 == 6, udp = (v6 ? p[6] : p[9]) == 17;

	switch (fixture_below(r, 7)) {
	case 0:
		l4[udp ? 5 : 13] ^= (uint8_t)(1 << fixture_below(r, 8));
		break; /* UDP length, TCP flags */
	case 1: l4[12] ^= (uint8_t)(1 << fixture_below(r, 8)); break;
	case 2: p[v6 ? 6 : 9] = (uint8_t)fixture_below(r, 140); break;
	case 3: p[6] ^= (uint8_t)(v6 ? 0 : 1 << fixture_below(r, 8)); break; /* fragment bits */
	case 4: p[v6 ? 5 : 3] ^= (uint8_t)(1 << fixture_below(r, 8)); break; /* length */
	case 5: put_be16(l4 + 4, (uint16_t)fixture_below(r, 300)); break;
	default: p[fixture_below(r, s->pkt[s->count - 1].len)] ^= (uint8_t)fixture_u64(r); break;
	}
}

/* Changes or loses the last packet; false if it is not delivered. */
static bool mutate(struct fixture_rng *r, struct sequence *s)
{
	static const uint8_t types[] = {0, 43, 44, 51, 60};
	uint8_t *p = seq_last(s);
	uint32_t len = s->pkt[s->count - 1].len;

	switch (fixture_below(r, 10)) {
	case 0: /* a bit of a header */
	case 1:
		p[fixture_below(r, min_u64(len, 80))] ^= (uint8_t)(1 << fixture_below(r, 8));
		return settle_last(s, true);
	case 2: mutate_header(r, s); return settle_last(s, true);
	case 3: mutate_header(r, s); return settle_last(s, false);
	case 4: /* damaged after the IP header */
		p[fixture_below(r, len - 20) + 20] ^= (uint8_t)(1 << fixture_below(r, 8));
		return settle_last(s, false);
	case 5: /* UDP without checksum; TCP with a wrong one */
		put_be16(p + (p[0] >> 4 == 6 ? 46 : 26), 0);
		return settle_last(s, false);
	case 6:
		if (!seq_room(s, 8))
			return true;
		seq_insert_extra(s, types[fixture_below(r, ARRAY_SIZE(types))]);
		return settle_last(s, true);
	case 7: /* IPv4 checksum */
		p[p[0] >> 4 == 4 ? 10 + fixture_below(r, 2) : 6] ^=
			(uint8_t)(1 << fixture_below(r, 8));
		return settle_last(s, false);
	case 8:
		if (s->count > 1)
			seq_swap(s, s->count - 1, s->count - 2);
		return true;
	default: return false; /* lost */
	}
}

/* A length of payload, usually mss. */
static uint32_t random_payload(struct fixture_rng *r, uint32_t mss)
{
	switch (fixture_below(r, 20)) {
	case 0: return 0;
	case 1: return (uint32_t)fixture_below(r, mss);
	case 2: return mss + (uint32_t)fixture_below(r, 20);
	default: return mss;
	}
}

static void random_sequence(struct fixture_rng *r, struct sequence *s)
{
	struct flow flow[3] = {random_flow(r), random_flow(r), random_flow(r)};
	uint32_t n = 1 + (uint32_t)fixture_below(r, fixture_chance(r, 10) ? SEQUENCE_MAX : 40),
		 current = 0;
	uint32_t mss = 1 + (uint32_t)fixture_below(r, fixture_chance(r, 10) ? 9000 : 200);
	unsigned trouble = (unsigned)fixture_below(r, 3) * 10;

	s->count = s->used = 0;
	while (n-- && seq_room(s, mss + 200)) {
		uint8_t flags = ACK;

		if (fixture_chance(r, 5))
			current = (uint32_t)fixture_below(r, ARRAY_SIZE(flow));
		if (fixture_chance(r, trouble / 2))
			change_flow(r, &flow[current]);
		if (fixture_chance(r, trouble / 4))
			flags |= fixture_chance(r, 50) ? PSH : ECE;
		seq_emit(s, &flow[current], trouble ? random_payload(r, mss) : mss, flags);
		if (fixture_chance(r, trouble) && !mutate(r, s)) {
			s->count--;
			continue;
		}
		if (fixture_chance(r, 10) && seq_room(s, 100)) { /* TFC padding */
			s->used += s->pad[s->count - 1] = (uint32_t)fixture_below(r, 100);
			memset(s->arena + s->used - s->pad[s->count - 1], 0x5a,
			       s->pad[s->count - 1]);
		}
	}
}

static struct ref_device random_device(struct fixture_rng *r)
{
	struct ref_device d = everything;

	if (fixture_chance(r, 20))
		d.csum = d.tso4 = d.tso6 = d.uso = false;
	else if (fixture_chance(r, 20))
		d.tso4 = fixture_chance(r, 50), d.tso6 = fixture_chance(r, 50),
		d.uso = fixture_chance(r, 50);
	/* large enough for every single packet */
	if (fixture_chance(r, 30))
		d.cap = 9500 + (uint32_t)fixture_below(r, 30000);
	return d;
}

/* 20,000 random sequences, in which every rule is applied. */
static void test_random(void **state)
{
	uint64_t alone[REF_COUNT] = {0}, packets = 0, runs = 0;
	struct sequence *s = seq_new();
	struct fixture_rng r;

	(void)state;
	fixture_rng_init(&r, 700);
	for (unsigned i = 0; i < 20000; i++) {
		struct ref_device d = random_device(&r);

		s->nr = i;
		random_sequence(&r, s);
		seq_check(s, &d, alone);
		packets += s->count;
		runs += s->run_count;
	}
	print_message("# %llu packets in %llu runs\n", (unsigned long long)packets,
		      (unsigned long long)runs);
	assert_true(packets > 300000 && runs < packets * 2 / 3);
	/* each rule was the only one against at least 10 packets */
	for (unsigned i = 0; i < REF_COUNT; i++) {
		print_message("# %s: %llu\n", ref_rule_name(i), (unsigned long long)alone[i]);
		if (alone[i] < 10)
			fail_msg("untried: %s", ref_rule_name(i));
	}
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_flags_of_all),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_extra_headers),
		cmocka_unit_test(test_the_other_zero),
		cmocka_unit_test(test_the_other_zero_of_udp),
		cmocka_unit_test(test_the_other_zero_of_ip),
		cmocka_unit_test(test_what_the_device_takes),
		cmocka_unit_test(test_udp_without_checksum),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_after_an_end),
		cmocka_unit_test(test_random),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
