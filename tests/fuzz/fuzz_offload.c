/*
 * fuzz_offload.c - virtio-net header and packet: cut into segments, and put together again.
 * SPDX-License-Identifier: ISC
 */
#include "fuzz.h"
#include "packet/coalesce.h"
#include "packet/icmp.h"
#include "packet/segment.h"
#include "xalloc.h"

#define SEGMENTS_MAX 300

/* Segments go into exactly their own length; what is put together of them is cut back to them. */
static void there_and_back(const struct seg_plan *plan)
{
	static uint8_t base[70000];
	struct pkt_super super;
	uint32_t total = 0;

	pkt_super_init(&super, base, 65536, 0xff);
	for (uint32_t i = 0; i < plan->count && i < SEGMENTS_MAX; i++) {
		uint32_t len = seg_len(plan, i);
		uint8_t *seg = xzalloc(len);
		struct inner in;

		seg_write(plan, i, seg);
		hold(inner_parse(seg, len, &in) == 0 && in.len == len);
		total += len - plan->hdr_len;
		if (!pkt_super_add(&super, seg, &in)) {
			pkt_super_finish(&super);
			pkt_super_reset(&super);
			hold(pkt_super_add(&super, seg, &in));
		}
		hold(super.len <= 65536 && super.len >= 20);
		free(seg);
	}
	if (plan->count <= SEGMENTS_MAX)
		hold(total + plan->hdr_len == plan->len);
	pkt_super_finish(&super);
	if (super.off.gso != PKT_GSO_NONE) {
		struct seg_plan again;
		struct inner in;

		hold(inner_parse(super.base, super.len, &in) == 0);
		hold(seg_plan(super.base, &in, &super.off, &again) == 0);
		hold(again.count == super.count && again.size == plan->size);
	}
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
