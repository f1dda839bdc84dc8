/* fuzz_inner.c - inner packets: headers, traffic selectors, ECN. SPDX-License-Identifier: ISC */
#include "fuzz.h"
#include "packet/inner.h"
#include "spd.h"
#include "xalloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct inner in;
	struct spd spd;
	struct ts_list local = {0}, remote = {0};
	struct spd_policy p = {.local = &local, .remote = &remote};
	uint8_t *copy;

	if (size > 65535 || inner_parse(data, (uint32_t)size, &in) < 0)
		return 0;
	hold(in.len <= size);
	hold(in.src.family == in.dst.family);
	/* A policy for exactly this packet selects it, if its ports are known. */
	local.ts[local.count++] = ts_host(&in.src, in.proto, in.sport);
	remote.ts[remote.count++] = ts_host(&in.dst, in.proto, in.dport);
	spd_init(&spd);
	hold(spd_add(&spd, &p) == 0);
	hold((spd_lookup(&spd, &in) == &p) == in.ports_known);
	spd_remove(&spd, &p);
	hold(spd_lookup(&spd, &in) == NULL && spd.entry_count == 0);
	spd_fini(&spd);
	copy = xmemdup(data, size);
	(void)inner_ecn_decap(copy, data[size - 1]);
	free(copy);
	return 0;
}
