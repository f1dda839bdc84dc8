/*
 * fuzz_ike_message.c - IKE headers, payload chains, proposals, traffic selectors.
 * SPDX-License-Identifier: ISC
 */
#include "fuzz.h"
#include "auth/ident.h"
#include "wire/cp.h"
#include "wire/ike_wire.h"
#include "wire/proposal.h"
#include "wire/rules.h"

static const uint8_t *low, *high;

/* Checks that a view lies within the input. */
static void inside(struct chunk c)
{
	hold(c.len == 0 || (c.p >= low && c.p + c.len <= high));
}

/* An offer that was parsed without an error can be read, to its end and no further. */
static void walk(const struct proposal_offer *offer)
{
	struct proposal p;
	unsigned count = 0;
	size_t at = 0;
	char text[PROPOSALS_STRLEN];

	while (proposals_next(offer, &at, &p)) {
		hold(p.count <= PROPOSAL_TRANSFORMS);
		count++;
	}
	hold(count == offer->count && at == offer->body.len);
	for (size_t size = 1; size <= sizeof(text); size += 1 + size / 2)
		hold(strlen(offer_format(offer, text, size)) < size);
}

static void payloads(uint8_t first, const uint8_t *p, size_t len)
{
	struct ike_payloads out;
	struct proposal_offer offer;
	struct ts_list ts;
	struct cp_config config;
	struct ident id;
	uint8_t type;

	if (ike_payloads_parse(first, p, len, &out) < 0)
		return;
	inside(out.sa);
	inside(out.nonce);
	inside(out.sk);
	inside(out.ke.data);
	inside(out.auth.data);
	for (unsigned i = 0; i < out.notify_count; i++) {
		inside(out.notify[i].spi);
		inside(out.notify[i].data);
	}
	for (unsigned i = 0; i < out.delete_count; i++)
		inside(out.del[i].spis);
	if (proposals_parse(out.sa, &offer) == 0)
		walk(&offer);
	if (ike_ts_parse(out.tsi, &ts) == 0)
		hold(ts.count <= out.tsi.p[0]);
	if (cp_parse(out.cp, &type, &config) == 0)
		hold(config.addr_count <= CP_ADDRS && config.dns_count <= CP_DNS &&
		     config.subnet_count <= CP_SUBNETS);
	(void)!ident_from_wire(out.idi.type, out.idi.data, &id);
	for (unsigned x = IKE_SA_INIT; x <= IKE_INFORMATIONAL; x++)
		rules_allow((uint8_t)x, x & 1, &out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ike_header h;

	low = data;
	high = data + size;
	if (ike_header_parse(data, size, &h) == 0)
		payloads(h.next, data + IKE_HEADER_LEN, size - IKE_HEADER_LEN);
	if (size > 1)
		payloads(data[0], data + 1, size - 1);
	return 0;
}
