/*
 * fuzz_ike_engine.c - datagrams from anybody to an engine with a tunnel, and messages of the peer
 * with any content, correctly protected. SPDX-License-Identifier: ISC
 *
 * The input is a sequence of records: one byte of command, two bytes of length, then the message.
 */
#include "fuzz.h"
#include "task/exchanges.h"
#include "../exchange/peers.h"

/* Delivers one message to the branch, as it is or protected as the gateway's. */
static void deliver(struct net *n, bool protect, const uint8_t *p, size_t len, bool response)
{
	struct ike_sa *sa = peer_conn(n, GW) ? peer_conn(n, GW)->sa : NULL;
	uint8_t msg[IKE_MAX_MESSAGE];
	struct ike_builder inside;
	struct ike_header h;
	size_t total;

	if (!protect) {
		net_inject(n, BRANCH, false, p, (uint32_t)len);
		return;
	}
	if (!sa || len < 2)
		return;
	h = (struct ike_header){.spi_i = sa->spi_i,
				.spi_r = sa->spi_r,
				.exchange = (uint8_t)(IKE_AUTH + p[0] % 3),
				.flags = (sa->initiator ? IKE_FLAG_INITIATOR : 0) |
					 (response ? IKE_FLAG_RESPONSE : 0)};
	h.message_id = response ? (sa->window.expected_id ? sa->window.expected_id - 1 : 0)
				: sa->window.next_id++;
	ib_inside(&inside, (uint8_t *)p + 2, len - 2);
	inside.w.len = len - 2;
	inside.first = p[1];
	total = sk_seal(sa, &h, &inside, msg, sizeof(msg));
	if (total)
		net_inject(n, BRANCH, false, msg, (uint32_t)total);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct options o = options_default();
	struct net *n;
	bool protected_seen = false;

	o.seed = 1;
	o.dpd = 0;
	n = net_new(&o);
	net_until(n, net_is_up, 10 * SEC, "up");
	while (size >= 3) {
		size_t len = (size_t)(data[1] << 8 | data[2]);
		unsigned command = data[0];

		data += 3;
		size -= 3;
		len = len < size ? len : size;
		protected_seen |= command & 1;
		if (command & 4)
			tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
		net_run(n, (command & 8) ? 100 * MSEC : 0);
		deliver(n, command & 1, data, len, command & 2);
		data += len;
		size -= len;
	}
	hold(n->peer[BRANCH].tunnel->ike->half_open <= o.set.half_open_max);
	/* Without a protected message, the IKE SA is still established. */
	if (!protected_seen)
		hold(peer_conn(n, BRANCH)->sa &&
		     peer_conn(n, BRANCH)->sa->state == IKE_STATE_ESTABLISHED);
	net_free(n);
	return 0;
}
