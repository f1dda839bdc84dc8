/*
 * scenario_act.c - commands for the wire, traffic, faults and actions of peers; see scenario.h.
 * SPDX-License-Identifier: ISC
 */
#include "scenario_run.h"
#include "task/exchanges.h"

/* ---- the wire ---- */

/* Parses "10 %" or "2.5 %" as per mille. */
static unsigned per_mille(struct scenario *s, const struct words *w)
{
	char *end;
	double v;

	words_need(s, w, 3, 3);
	v = strtod(w->w[1], &end);
	if (*end || v < 0 || v > 100 || !word_is(w, 2, "%"))
		scenario_fail(s, "%s N %%", w->w[0]);
	return (unsigned)(v * 10 + 0.5);
}

static void loss(struct scenario *s, const struct words *w)
{
	s->n->loss = per_mille(s, w);
}

static void duplicate(struct scenario *s, const struct words *w)
{
	s->n->dup = per_mille(s, w);
}

static void reorder(struct scenario *s, const struct words *w)
{
	s->n->reorder = per_mille(s, w);
}

static void jitter(struct scenario *s, const struct words *w)
{
	words_need(s, w, 2, 2);
	s->n->jitter = word_time(s, w->w[1]);
}

static void calm(struct scenario *s, const struct words *w)
{
	struct net *n = s->n;

	words_need(s, w, 2, 2);
	n->loss = n->dup = n->reorder = 0;
	n->jitter = 0;
	memset(n->fate, 0, sizeof(n->fate));
	for (unsigned i = 0; i < 2; i++) {
		n->cut[i] = false;
		n->cut_ike[i] = n->cut_esp[i] = 0;
	}
}

static void cut(struct scenario *s, const struct words *w)
{
	bool ike = word_is(w, 1, "ike"), esp = word_is(w, 1, "esp"), all = word_is(w, 1, "all");
	unsigned p;
	nsec_t until;

	words_need(s, w, 4, 4);
	p = word_peer(s, w->w[2]);
	if (!ike && !esp && !all)
		scenario_fail(s, "cut ike|esp|all");
	if (all && (word_is(w, 3, "on") || word_is(w, 3, "off"))) {
		s->n->cut[p] = word_is(w, 3, "on");
		return;
	}
	until = s->n->now + word_time(s, w->w[3]);
	if (ike || all)
		s->n->cut_ike[p] = until;
	if (esp || all)
		s->n->cut_esp[p] = until;
}

static uint8_t word_exchange(struct scenario *s, const char *w)
{
	static const struct {
		const char *name;
		uint8_t exchange;
	} all[] = {{"init", IKE_SA_INIT},
		   {"auth", IKE_AUTH},
		   {"child", IKE_CREATE_CHILD_SA},
		   {"info", IKE_INFORMATIONAL}};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (strcmp(w, all[i].name) == 0)
			return all[i].exchange;
	}
	scenario_fail(s, "\"%s\" is none of init, auth, child, info", w);
}

/* message PEER EXCHANGE request|answer lost|twice TIME|late TIME [N] */
static void message(struct scenario *s, const struct words *w)
{
	struct ike_fate f = {.count = 1, .copies = 1};
	unsigned at = 5, i;

	words_need(s, w, 5, 7);
	f.from = word_peer(s, w->w[1]);
	f.exchange = word_exchange(s, w->w[2]);
	f.response = word_on(s, w->w[3], "answer", "request");
	if (word_is(w, 4, "lost"))
		f.copies = 0;
	else
		f.copies = word_on(s, w->w[4], "twice", "late") ? 2 : 1;
	if (f.copies && at < w->count)
		f.later = word_time(s, w->w[at++]);
	if (at < w->count)
		f.count = (unsigned)word_number(s, w->w[at]);
	for (i = 0; i < IKE_FATES && s->n->fate[i].count; i++)
		;
	if (i == IKE_FATES)
		scenario_fail(s, "at most %u at a time", IKE_FATES);
	s->n->fate[i] = f;
}

static void nat(struct scenario *s, const struct words *w)
{
	struct peer *p = &s->n->peer[BRANCH];

	words_need(s, w, 2, 2);
	p->seen_as = p->address;
	p->seen_as.port = (uint16_t)word_number(s, w->w[1]);
}

/* The address that the branch has; is_branch's answer for a call of tunnel_host_changed. */
static struct addr branch_address;

static bool is_branch(const struct addr *a)
{
	return addr_eq(a, &branch_address);
}

/* "move branch N": its address becomes 192.0.2.N. */
static void move(struct scenario *s, const struct words *w)
{
	struct peer *p = &s->n->peer[BRANCH];

	words_need(s, w, 3, 3);
	p->address.addr.b[3] = (uint8_t)word_number(s, w->w[2]);
	branch_address = p->address.addr;
	tunnel_host_changed(p->tunnel, is_branch, s->n->now);
}

/* ---- traffic and time ---- */

static void traffic(struct scenario *s, const struct words *w)
{
	unsigned p;

	words_need(s, w, 3, 3);
	p = word_peer(s, w->w[1]);
	s->n->rate[p] = (unsigned)word_number(s, w->w[2]);
	s->n->next_packet[p] = max_u64(s->n->next_packet[p], s->n->now);
}

static void packets(struct scenario *s, const struct words *w)
{
	unsigned p, c;
	uint64_t count;

	words_need(s, w, 4, 4);
	p = word_peer(s, w->w[1]);
	c = word_child(s, w->w[2]);
	count = word_number(s, w->w[3]);
	for (uint64_t i = 0; i < count; i++) {
		for (unsigned k = 0; k < s->o.children; k++) {
			if (c == CHILDREN || c == k)
				net_packet(s->n, p, k);
		}
	}
}

static void run(struct scenario *s, const struct words *w)
{
	words_need(s, w, 2, 2);
	net_run(s->n, word_time(s, w->w[1]));
}

/* ---- faults, in one child or all ---- */

typedef void each_child(struct scenario *s, const struct words *w, unsigned c);

static void for_children(struct scenario *s, const struct words *w, unsigned at, each_child *f)
{
	unsigned c;

	words_need(s, w, at + 1, SCENARIO_WORDS);
	c = word_child(s, w->w[at]);
	for (unsigned k = 0; k < s->o.children; k++) {
		if (c == CHILDREN || c == k)
			f(s, w, k);
	}
}

/* The gateway's current SA of child c; NULL if there is none and the command is tried only. */
static struct tunnel_sa *gw_sa(struct scenario *s, unsigned c)
{
	struct tunnel_child *k = peer_child(s->n, GW, c);

	if (k && k->current && k->current->ike)
		return k->current;
	if (!s->trying)
		scenario_fail(s, "the gateway has no SA for net%u", c);
	return NULL;
}

static void rewind_child(struct scenario *s, const struct words *w, unsigned c)
{
	bool to = word_is(w, 2, "to");
	unsigned at = to ? 3 : 2;
	struct tunnel_sa *sa = gw_sa(s, c);
	uint64_t n, number;

	words_need(s, w, at + 1, at + 2);
	n = word_number(s, w->w[at]);
	if (!sa)
		return;
	number = tunnel_sa_esp(sa)->out.number;
	if (to)
		n = number - min_u64(n, number);
	gw_rewind(s->n, c, n, word_is(w, at + 1, "nonces"));
}

static void rewind_all(struct scenario *s, const struct words *w)
{
	for_children(s, w, 1, rewind_child);
}

static void number_child(struct scenario *s, const struct words *w, unsigned c)
{
	struct tunnel_sa *sa = gw_sa(s, c);

	words_need(s, w, 3, 3);
	if (sa)
		tunnel_sa_esp(sa)->out.number = word_number(s, w->w[2]);
}

static void number(struct scenario *s, const struct words *w)
{
	for_children(s, w, 1, number_child);
}

static void two_senders(struct scenario *s, const struct words *w, unsigned c)
{
	struct tunnel_sa *sa = gw_sa(s, c);
	struct esp_out_sa *out;

	words_need(s, w, 3, 3);
	if (!sa)
		return;
	out = &tunnel_sa_esp(sa)->out;
	out->fault_other = out->number - min_u64(word_number(s, w->w[2]), out->number);
	out->fault_two = true;
}

static void senders(struct scenario *s, const struct words *w)
{
	for_children(s, w, 1, two_senders);
}

static void forget_child(struct scenario *s, const struct words *w, unsigned c)
{
	struct tunnel_sa *sa = gw_sa(s, c);

	(void)w;
	if (sa)
		ike_fault_forget_child(sa->ike, s->n->now);
}

/* Forgets the newest SA, which the gateway's rekey has made and on which it does not send yet. */
static void forget_newest(struct scenario *s, const struct words *w, unsigned c)
{
	struct tunnel_sa *t = gw_sa(s, c);

	(void)w;
	t = t ? LIST_FIRST(&t->child->sas) : NULL;
	if (t && t->ike)
		ike_fault_forget_child(t->ike, s->n->now);
}

static struct ike_sa *gw_ike(struct scenario *s)
{
	struct tunnel_conn *c = peer_conn(s->n, GW);

	if (c && c->sa)
		return c->sa;
	if (!s->trying)
		scenario_fail(s, "the gateway has no IKE SA");
	return NULL;
}

/* A standby does not know of its predecessor's rekey request, and uses the message ID again. */
static void forget_request(struct scenario *s)
{
	struct ike_sa *sa = gw_ike(s);
	struct child_task *t;
	struct child_sa *c;

	if (!sa || !sa->outstanding || sa->outstanding->kind != &task_child_rekey) {
		if (!s->trying)
			scenario_fail(s, "the gateway has no rekey outstanding");
		return;
	}
	t = child_task_of(exchange_done(sa));
	c = t->task.child;
	/* The lifetime of the CHILD SA may have ended meanwhile. */
	if (c && c->state == CHILD_STATE_REKEYING) {
		if (c->successor)
			child_set_state(c, CHILD_STATE_REKEYED);
		else
			child_not_replaced(c, s->n->now);
	}
	sa->ike->ops.child_result(sa->ike->ops.ctx, sa, t->conf, c, IKE_RESULT_GONE, 0, s->n->now);
	task_free(&t->task);
	exchange_run(sa, s->n->now);
}

static void forget(struct scenario *s, const struct words *w)
{
	struct ike_sa *ike;

	if (word_is(w, 1, "ike")) {
		ike = gw_ike(s);
		if (ike)
			ike_fault_forget_sa(ike, s->n->now);
	} else if (word_is(w, 1, "request")) {
		forget_request(s);
	} else if (word_is(w, 1, "newest")) {
		for_children(s, w, 2, forget_newest);
	} else if (word_is(w, 1, "child")) {
		for_children(s, w, 2, forget_child);
	} else {
		scenario_fail(s, "forget child|newest CHILD, forget ike, forget request");
	}
}

static void ids(struct scenario *s, const struct words *w)
{
	struct ike_sa *ike;

	words_need(s, w, 3, 3);
	if (!word_is(w, 1, "back"))
		scenario_fail(s, "ids back N");
	ike = gw_ike(s);
	if (ike)
		ike_fault_message_ids(ike, (uint32_t)word_number(s, w->w[2]));
}

static void keep_child(struct scenario *s, const struct words *w, unsigned c)
{
	(void)w;
	if (gw_sa(s, c))
		gw_keep(s->n, c);
}

static void keep(struct scenario *s, const struct words *w)
{
	for_children(s, w, 1, keep_child);
}

static void takeover_child(struct scenario *s, const struct words *w, unsigned c)
{
	(void)w;
	if (!s->n->kept[c].policy.sa.gen)
		scenario_fail(s, "nothing was kept for net%u", c);
	gw_take_over(s->n, c);
}

static void takeover(struct scenario *s, const struct words *w)
{
	for_children(s, w, 1, takeover_child);
}

static void gw(struct scenario *s, const struct words *w)
{
	struct ike_sa *ike;
	bool on;

	words_need(s, w, 3, 3);
	on = word_on(s, w->w[2], "on", "off");
	if (word_is(w, 1, "temporary")) {
		ike = gw_ike(s);
		if (ike)
			ike->busy = on;
	} else if (word_is(w, 1, "full")) {
		s->n->peer[GW].tunnel->ike->set.children_max = on ? 0 : s->o.set.children_max;
	} else {
		scenario_fail(s, "gw temporary|full on|off");
	}
}

/* ---- actions of peers ---- */

static struct tunnel_sa *sa_of(struct scenario *s, const struct words *w, unsigned c)
{
	struct esp_sa *sa = peer_sa(s->n, word_peer(s, w->w[1]), c);

	return sa ? sa->owner : NULL;
}

static void rekey_child(struct scenario *s, const struct words *w, unsigned c)
{
	struct tunnel_sa *t = sa_of(s, w, c);

	if (t && t->ike)
		ike_child_rekey(t->ike, false, s->n->now);
}

static void rekey(struct scenario *s, const struct words *w)
{
	struct tunnel_conn *c;

	words_need(s, w, 3, 3);
	if (!word_is(w, 2, "ike")) {
		for_children(s, w, 2, rekey_child);
		return;
	}
	c = peer_conn(s->n, word_peer(s, w->w[1]));
	if (c && c->sa)
		ike_sa_rekey(c->sa, s->n->now);
}

static void restart(struct scenario *s, const struct words *w)
{
	words_need(s, w, 2, 2);
	(void)peer_restart(s->n, word_peer(s, w->w[1]));
}

static void delete_child(struct scenario *s, const struct words *w, unsigned c)
{
	struct tunnel_sa *t = sa_of(s, w, c);

	if (t && t->ike)
		ike_child_delete(t->ike, s->n->now);
}

/* The IKE SA that was ESTABLISHED first, which a rekey may have replaced. */
static void delete_ike(struct scenario *s, unsigned p)
{
	struct ike_sa *sa, *oldest = NULL;

	for (sa = s->n->peer[p].tunnel->ike->sas; sa; sa = sa->hh.next) {
		if (sa->established && (!oldest || sa->established < oldest->established))
			oldest = sa;
	}
	if (oldest)
		ike_sa_delete(oldest, s->n->now);
}

static void delete (struct scenario *s, const struct words *w)
{
	if (word_is(w, 2, "ike")) {
		delete_ike(s, word_peer(s, w->w[1]));
		return;
	}
	for_children(s, w, 2, delete_child);
}

static void liveness(struct scenario *s, const struct words *w)
{
	struct tunnel_conn *c;

	words_need(s, w, 2, 2);
	c = peer_conn(s->n, word_peer(s, w->w[1]));
	if (c && c->sa)
		ike_liveness(c->sa, false, s->n->now);
}

/* The gateway reports by a protected INVALID_SPI that it does not know the branch's outbound SA. */
static void tell_invalid_spi(struct scenario *s, const struct words *w, unsigned c)
{
	struct ike_sa *sa = gw_ike(s);
	const struct esp_sa *branch = peer_sa(s->n, BRANCH, c);
	uint8_t buf[128], spi[4];
	struct ike_builder b;

	(void)w;
	if (!sa || sa->outstanding || !branch)
		scenario_fail(s, "the gateway has a request outstanding, or the branch no SA");
	put_be32(spi, branch->out.spi);
	sa->outstanding = task_add(sa, &task_liveness, true);
	TAILQ_REMOVE(&sa->tasks, sa->outstanding, link);
	ib_inside(&b, buf, sizeof(buf));
	ib_notify(&b, 0, (struct chunk){0}, NOTIFY_INVALID_SPI, (struct chunk){spi, 4});
	exchange_send_request(sa, IKE_INFORMATIONAL, &b, s->n->now);
}

static void invalid_spi(struct scenario *s, const struct words *w)
{
	for_children(s, w, 1, tell_invalid_spi);
}

static void set_child(struct scenario *s, const struct words *w, unsigned c)
{
	struct tunnel_child *k = peer_child(s->n, BRANCH, c);
	char err[OPTION_ERR];

	words_need(s, w, 4, 4);
	if (k && tunnel_child_set(k, w->w[2], w->w[3], err, s->n->now) < 0)
		scenario_fail(s, "%s", err);
}

static void set(struct scenario *s, const struct words *w)
{
	for_children(s, w, 1, set_child);
}

static const struct {
	const char *name;
	void (*run)(struct scenario *s, const struct words *w);
} commands[] = {
	{"loss", loss},
	{"duplicate", duplicate},
	{"reorder", reorder},
	{"jitter", jitter},
	{"calm", calm},
	{"cut", cut},
	{"message", message},
	{"nat", nat},
	{"move", move},
	{"traffic", traffic},
	{"packets", packets},
	{"run", run},
	{"rewind", rewind_all},
	{"senders", senders},
	{"forget", forget},
	{"ids", ids},
	{"keep", keep},
	{"takeover", takeover},
	{"gw", gw},
	{"rekey", rekey},
	{"delete", delete},
	{"restart", restart},
	{"liveness", liveness},
	{"set", set},
	{"number", number},
	{"invalid-spi", invalid_spi},
};

bool scenario_act(struct scenario *s, const struct words *w)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!word_is(w, 0, commands[i].name))
			continue;
		commands[i].run(s, w);
		return true;
	}
	return false;
}
