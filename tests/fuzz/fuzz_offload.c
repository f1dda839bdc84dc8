/*
 * fuzz_offload.c - a virtio-net header and a packet: segmented, and coalesced again.
 * SPDX-License-Identifier: ISC
 */
#include "fuzz.h"
#include "packet/coalesce.h"
#include "packet/icmp.h"
#include "packet/segment.h"
#include "xalloc.h"

#define SEGMENTS_MAX 300

/* Returns segment i, in a buffer of exactly its length. */
static uint8_t *segment(const struct seg_plan *plan, uint32_t i, struct inner *in)
{
	uint32_t len = seg_len(plan, i);
	uint8_t *seg = xzalloc(len);

	seg_write(plan, i, seg);
	hold(inner_parse(seg, len, in) == 0 && in->len == len);
	return seg;
}

/*
 * The packet coalesced from the segments from `first` on is segmented into the same ones, byte for
 * byte.
 */
static void give_back(struct pkt_super *super, const struct seg_plan *plan, uint32_t first)
{
	struct seg_plan again;
	struct inner in;

	pkt_super_finish(super);
	hold(inner_parse(super->base, super->len, &in) == 0);
	hold(seg_plan(super->base, &in, &super->off, &again) == 0 && again.count == super->count);
	for (uint32_t i = 0; i < again.count; i++) {
		struct inner was, is;
		uint8_t *want = segment(plan, first + i, &was), *got = segment(&again, i, &is);

		hold(is.len == was.len && memcmp(got, want, was.len) == 0);
		free(want);
		free(got);
	}
	pkt_super_reset(super);
}

static void there_and_back(const struct seg_plan *plan)
{
	static uint8_t base[70000];
	struct pkt_super super;
	uint32_t total = 0, first = 0;

	pkt_super_init(&super, base, 65536, 0xff);
	for (uint32_t i = 0; i < plan->count && i < SEGMENTS_MAX; i++) {
		struct inner in;
		uint8_t *seg = segment(plan, i, &in);

		total += in.len - plan->hdr_len;
		if (!pkt_super_add(&super, seg, &in)) {
			give_back(&super, plan, first);
			first = i;
			hold(pkt_super_add(&super, seg, &in));
		}
		hold(super.len <= 65536 && super.len >= 20);
		free(seg);
	}
	if (plan->count <= SEGMENTS_MAX)
		hold(total + plan->hdr_len == plan->len);
	give_back(&super, plan, first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pkt_offload off;
	struct seg_plan plan;
	uint8_t error[ICMP_MAX], *pkt;
	uint32_t len;
	struct inner in;

	if (size <= VNET_HEADER_LEN || size > 65536 + VNET_HEADER_LEN)
		return 0;
	len = (uint32_t)size - VNET_HEADER_LEN;
	if (vnet_read(data, len, &off) < 0)
		return 0;
	pkt = xmemdup(data + VNET_HEADER_LEN, len);
	if (inner_parse(pkt, len, &in) == 0) {
		hold(icmp_too_big(error, sizeof(error), pkt, &in, 1300) <= sizeof(error));
		if (seg_plan(pkt, &in, &off, &plan) == 0)
			there_and_back(&plan);
	}
	free(pkt);
	return 0;
}
