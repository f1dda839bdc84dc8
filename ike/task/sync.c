/*
 * sync.c - synchronizes message IDs and replay counters with a member of the peer's cluster that
 * took over (RFC 6311). SPDX-License-Identifier: ISC
 *
 *   HDR(ID 0), SK {N(MESSAGE_ID_SYNC: nonce, M1, M2) [, N(REPLAY_COUNTER_SYNC: delta)]}  <--
 *                              -->  HDR(ID 0), SK {N(MESSAGE_ID_SYNC: nonce, P1, P2)}
 *
 * M1 is the ID of the member's next request, M2 the one that it expects of us; P1 and P2 are the
 * same for us. The message always has ID 0: what protects it against replays is that M1 must rise.
 */
#include "task/exchanges.h"
#include "xalloc.h"

#define SYNC_LEN 12 /* nonce, ID of the sender's next request, ID that it expects */
/*
 * The most by which a member may raise the ID of our next request: no honest one is further ahead.
 */
#define IDS_AHEAD_MAX 65536

void sync_write_supported(struct ike_builder *b, const struct ike_sa *sa)
{
	if (!sa->conn->ha_peer)
		return;
	ib_notify(b, PROTOCOL_NONE, (struct chunk){0}, NOTIFY_IKEV2_MESSAGE_ID_SYNC_SUPPORTED,
		  (struct chunk){0});
	ib_notify(b, PROTOCOL_NONE, (struct chunk){0}, NOTIFY_IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED,
		  (struct chunk){0});
}

void sync_read_supported(struct ike_sa *sa, const struct ike_payloads *p)
{
	sa->ha_peer =
		sa->conn->ha_peer && ike_find_notify(p, NOTIFY_IKEV2_MESSAGE_ID_SYNC_SUPPORTED);
}

bool sync_is_request(const struct ike_sa *sa, const struct ike_in *in)
{
	return sa->ha_peer && sa->established && in->h->exchange == IKE_INFORMATIONAL &&
	       in->h->message_id == 0 && ike_find_notify(in->p, NOTIFY_IKEV2_MESSAGE_ID_SYNC);
}

static void respond(struct ike_sa *sa, const struct ike_in *in, const uint8_t *nonce)
{
	uint8_t buf[128], data[SYNC_LEN], msg[256];
	struct ike_header h = {.spi_i = sa->spi_i,
			       .spi_r = sa->spi_r,
			       .exchange = IKE_INFORMATIONAL,
			       .flags = IKE_FLAG_RESPONSE |
					(sa->initiator ? IKE_FLAG_INITIATOR : 0)};
	struct ike_builder b;
	size_t len;

	memcpy(data, nonce, 4);
	put_be32(data + 4, sa->outstanding ? sa->window.next_id - 1 : sa->window.next_id);
	put_be32(data + 8, sa->window.expected_id);
	ib_inside(&b, buf, sizeof(buf));
	ib_notify(&b, PROTOCOL_NONE, (struct chunk){0}, NOTIFY_IKEV2_MESSAGE_ID_SYNC,
		  (struct chunk){data, sizeof(data)});
	len = sk_seal(sa, &h, &b, msg, sizeof(msg));
	if (len)
		send_message(sa, in->local, in->remote, msg, len, in->now);
}

/* The number by which our outbound sequence numbers are to increase (RFC 6311 5.2); 0: none. */
static uint64_t replay_delta(const struct ike_payloads *p)
{
	const struct ike_notify_view *n = ike_find_notify(p, NOTIFY_IPSEC_REPLAY_COUNTER_SYNC);

	if (!n)
		return 0;
	return n->data.len == 4 ? get_be32(n->data.p) : n->data.len == 8 ? get_be64(n->data.p) : 0;
}

/*
 * Makes the outstanding request again, with the new ID. If it is a rekey of the IKE SA that
 * collided with the peer's, what the peer made ends: the new member does not know it, and uses this
 * IKE SA.
 */
static void send_again(struct ike_sa *sa, uint32_t next_id, nsec_t now)
{
	struct ike_task *t = sa->outstanding ? exchange_done(sa) : NULL;

	sa->window.next_id = next_id;
	if (!t)
		return;
	if (rekey_ike_rival(t))
		sa_kill(rekey_ike_rival(t), "the member that asked for it is gone", now);
	task_retry(t, now);
}

void sync_on_request(struct ike_sa *sa, const struct ike_in *in)
{
	struct ike *ike = sa->ike;
	const struct ike_notify_view *n = ike_find_notify(in->p, NOTIFY_IKEV2_MESSAGE_ID_SYNC);
	uint32_t m1, m2, ours = sa->outstanding ? sa->window.next_id - 1 : sa->window.next_id;

	if (n->data.len != SYNC_LEN) {
		ike->counters[IKE_COUNT_UNEXPECTED]++;
		return;
	}
	m1 = get_be32(n->data.p + 4);
	m2 = get_be32(n->data.p + 8);
	/* The same request again gets the same response; an older one is a replay. */
	if (sa->synced && m1 == sa->sync_m1 && memcmp(n->data.p, sa->sync_nonce, 4) == 0) {
		ike->counters[IKE_COUNT_RETRANSMITTED]++;
		respond(sa, in, n->data.p);
		return;
	}
	if (m1 < sa->window.expected_id || (sa->synced && m1 <= sa->sync_m1) ||
	    (m2 > ours && m2 - ours > IDS_AHEAD_MAX)) {
		ike->counters[IKE_COUNT_OLD_MESSAGE]++;
		return;
	}
	sa->synced = true;
	sa->sync_m1 = m1;
	memcpy(sa->sync_nonce, n->data.p, 4);
	sa->window.expected_id = m1;
	send_again(sa, m2 > ours ? m2 : sa->window.next_id, in->now);
	sa->last_heard = in->now;
	respond(sa, in, n->data.p);
	log_info(ike->log, "%s: the cluster's new member has message ID %u and expects %u",
		 sa_label(sa), m1, sa->window.next_id);
	ike->ops.synced(ike->ops.ctx, sa, replay_delta(in->p), in->now);
}
