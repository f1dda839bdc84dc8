/*
 * info.c - INFORMATIONAL: deletion and liveness (RFC 7296 1.4, 2.4). SPDX-License-Identifier: ISC
 */
#include "task/exchanges.h"

/* An answer that another message of the peer's has overtaken comes within this time. */
#define OVERTAKEN_WAIT (2 * NSEC_PER_SEC)

static void send_ike_delete(struct ike_sa *sa, struct ike_task *t, nsec_t now)
{
	uint8_t buf[128];
	struct ike_builder b;

	(void)t;
	ib_inside(&b, buf, sizeof(buf));
	ib_delete_ike(&b);
	exchange_send_request(sa, IKE_INFORMATIONAL, &b, now);
}

void info_farewell(struct ike_sa *sa, nsec_t now)
{
	struct ike_header h = {.spi_i = sa->spi_i,
			       .spi_r = sa->spi_r,
			       .exchange = IKE_INFORMATIONAL,
			       .flags = sa->initiator ? IKE_FLAG_INITIATOR : 0,
			       .message_id = sa->window.next_id};
	uint8_t buf[128], msg[512];
	struct ike_builder b;
	size_t len;

	if (!sa->established || sa->window.next_id == UINT32_MAX)
		return;
	ib_inside(&b, buf, sizeof(buf));
	ib_delete_ike(&b);
	len = sk_seal(sa, &h, &b, msg, sizeof(msg));
	if (len)
		send_message(sa, &sa->local, &sa->remote, msg, len, now);
}

/* The task of task_child_delete. */
struct delete_task {
	struct ike_task task;
	uint32_t spi; /* our SPI in the DELETE; 0: that of task.child */
};

void child_unwanted(struct ike_sa *sa, uint32_t spi)
{
	struct ike_task *t = task_add(sa, &task_child_delete, false);

	container_of(t, struct delete_task, task)->spi = spi;
}

static void send_child_delete(struct ike_sa *sa, struct ike_task *t, nsec_t now)
{
	struct delete_task *d = container_of(t, struct delete_task, task);
	uint8_t buf[128];
	struct ike_builder b;

	if (!t->child && !d->spi) {
		task_free(exchange_done(sa));
		return;
	}
	if (t->child) {
		child_set_state(t->child, CHILD_STATE_DELETING);
		d->spi = t->child->spi_in;
	}
	ib_inside(&b, buf, sizeof(buf));
	ib_delete_esp(&b, &d->spi, 1);
	exchange_send_request(sa, IKE_INFORMATIONAL, &b, now);
}

static void send_liveness(struct ike_sa *sa, struct ike_task *t, nsec_t now)
{
	uint8_t buf[128];
	struct ike_builder b;

	(void)t;
	ib_inside(&b, buf, sizeof(buf));
	mobike_write_liveness(&b, sa);
	exchange_send_request(sa, IKE_INFORMATIONAL, &b, now);
}

/* The SPIs in the response: no more than one message, the request, can name. */
struct spi_list {
	uint32_t v[IKE_MAX_MESSAGE / 4];
	unsigned count;
};

/*
 * Ends the CHILD SA that the peer receives on with this SPI, and adds ours to the response; not if
 * our own DELETE of it is outstanding (1.4.1, 2.25.1).
 */
static void delete_child(struct ike_sa *sa, uint32_t spi, struct spi_list *gone, nsec_t now)
{
	struct child_sa *c = child_by_spi_out(sa, spi), *made = c ? child_replacing(c) : NULL;

	if (!c)
		return;
	/*
	 * A peer that deletes the old one has the SA that replaced it: the newest, even if that was
	 * void because our response was late.
	 */
	if (made)
		ike_child_heard(made, now);
	if (!(c->state == CHILD_STATE_DELETING && sa->outstanding && sa->outstanding->child == c))
		gone->v[gone->count++] = c->spi_in;
	c->deleted_by_peer = !made;
	child_kill(c, made ? "replaced" : "deleted by the peer", now);
}

/*
 * INVALID_SPI inside the IKE SA: the peer has lost a CHILD SA that we send on (doc/recovery.md 4,
 * RFC 7296 3.10.1). Nothing is done for one that is being rekeyed, replaced or deleted.
 */
static void lost_child(struct ike_sa *sa, const struct ike_notify_view *n, nsec_t now)
{
	struct chunk spi = n->data.len == 4 ? n->data : n->spi;
	struct child_sa *c = spi.len == 4 ? child_by_spi_out(sa, get_be32(spi.p)) : NULL;

	if (c && !c->successor && c->state == CHILD_STATE_INSTALLED)
		sa->ike->ops.child_event(sa->ike->ops.ctx, c, CHILD_EVENT_LOST, "INVALID_SPI", now);
}

static bool deletes_ike(const struct ike_payloads *p)
{
	for (unsigned i = 0; i < p->delete_count; i++) {
		if (p->del[i].protocol == PROTOCOL_IKE)
			return true;
	}
	return false;
}

/*
 * The peer may have sent its DELETE of the IKE SA right behind the answer to our rekey of it, which
 * makes the IKE SA that its children move to (2.25.2). Waits for the answer a little.
 */
static bool is_overtaken(struct ike_sa *sa, nsec_t now)
{
	if (sa->state != IKE_STATE_ESTABLISHED || !sa->outstanding ||
	    sa->outstanding->kind != &task_ike_rekey || rekey_ike_rival(sa->outstanding))
		return false;
	sa->deleted_by_peer = true;
	deadline_set(&sa->ike->deadlines, &sa->expire, now + OVERTAKEN_WAIT);
	return true;
}

void info_on_request(struct ike_sa *sa, const struct ike_in *in)
{
	uint8_t buf[IKE_MAX_MESSAGE];
	struct spi_list gone; /* is not cleared as a whole: it is large */
	struct ike_builder b;
	bool ends = deletes_ike(in->p);

	gone.count = 0;
	for (unsigned i = 0; !ends && i < in->p->delete_count; i++) {
		const struct ike_delete_view *d = &in->p->del[i];

		for (unsigned k = 0; d->protocol == PROTOCOL_ESP && k < d->count; k++)
			delete_child(sa, get_be32(d->spis.p + 4 * k), &gone, in->now);
	}
	ib_inside(&b, buf, sizeof(buf));
	if (gone.count)
		ib_delete_esp(&b, gone.v, gone.count);
	if (!ends)
		mobike_on_request(sa, in, &b);
	exchange_respond(sa, in->h, &b, in->local, in->remote, in->now);
	for (unsigned i = 0; !ends && i < in->p->notify_count; i++) {
		if (in->p->notify[i].type == NOTIFY_INVALID_SPI &&
		    sa->state == IKE_STATE_ESTABLISHED)
			lost_child(sa, &in->p->notify[i], in->now);
	}
	if (!ends || is_overtaken(sa, in->now))
		return;
	sa->deleted_by_peer = sa->state != IKE_STATE_REKEYED;
	if (sa->deleted_by_peer)
		sa_fail(sa, IKE_PROBLEM_DELETED, "deleted by the peer", in->now);
	else
		sa_kill(sa, "replaced", in->now);
}

static void on_ike_deleted(struct ike_sa *sa, const struct ike_in *in)
{
	struct ike_task *t = exchange_done(sa);

	sa_kill(sa,
		sa->established && sa->child_count == 0 ? "replaced or deleted by us"
							: "deleted by us",
		in->now);
	task_free(t);
}

static void on_child_deleted(struct ike_sa *sa, const struct ike_in *in)
{
	struct ike_task *t = exchange_done(sa);

	if (t->child)
		child_kill(t->child, t->child->successor ? "replaced" : "deleted by us", in->now);
	task_free(t);
}

static void on_alive(struct ike_sa *sa, const struct ike_in *in)
{
	task_free(exchange_done(sa));
	mobike_on_alive(sa, in);
}

/*
 * A routine check comes again by itself. It must not wait where nothing was heard on the IKE SA
 * yet: CHILD SAs wait for the proof that the peer has it.
 */
static bool liveness_can_wait(const struct ike_task *t)
{
	return !t->late && t->ike_sa->last_heard > t->ike_sa->established;
}

const struct task_kind task_ike_delete = {
	.exchange = IKE_INFORMATIONAL,
	.states = 1 << IKE_STATE_DELETING,
	.stays = true,
	.send = send_ike_delete,
	.on_response = on_ike_deleted,
	.size = sizeof(struct ike_task),
};
const struct task_kind task_child_delete = {
	.exchange = IKE_INFORMATIONAL,
	.states = 1 << IKE_STATE_ESTABLISHED,
	.send = send_child_delete,
	.on_response = on_child_deleted,
	.size = sizeof(struct delete_task),
};
const struct task_kind task_liveness = {
	.exchange = IKE_INFORMATIONAL,
	.states = 1 << IKE_STATE_ESTABLISHED,
	.can_wait = liveness_can_wait,
	.send = send_liveness,
	.on_response = on_alive,
	.size = sizeof(struct ike_task),
};
