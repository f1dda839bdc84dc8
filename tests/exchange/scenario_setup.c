/* scenario_setup.c - commands before the peers exist; see scenario.h. SPDX-License-Identifier: ISC
 */
#include "scenario_run.h"

static void set_seed(struct scenario *s, const struct words *w)
{
	words_need(s, w, 2, 2);
	s->o.seed = word_number(s, w->w[1]);
}

static void set_children(struct scenario *s, const struct words *w)
{
	words_need(s, w, 2, 2);
	s->o.children = (unsigned)word_number(s, w->w[1]);
	if (s->o.children < 1 || s->o.children > CHILDREN)
		scenario_fail(s, "1 to %u children", CHILDREN);
}

static void set_wide(struct scenario *s, const struct words *w)
{
	words_need(s, w, 1, 1);
	s->o.wide = true;
}

static void set_role(struct scenario *s, const struct words *w)
{
	words_need(s, w, 3, 3);
	if (word_is(w, 1, "both") && word_is(w, 2, "call"))
		s->o.gw_calls = true;
	else if (word_is(w, 1, "branch"))
		s->o.branch_answers = word_on(s, w->w[2], "answers", "calls");
	else
		scenario_fail(s, "role branch calls|answers, or role both call");
}

static void set_childless(struct scenario *s, const struct words *w)
{
	words_need(s, w, 2, 2);
	s->o.childless[BRANCH] = s->o.childless[GW] =
		word_on(s, w->w[1], "force", "prefer") ? CHILDLESS_FORCE : CHILDLESS_PREFER;
}

static void set_suite(struct scenario *s, const struct words *w)
{
	words_need(s, w, 2, 2);
	snprintf(s->suite, sizeof(s->suite), "%s", w->w[1]);
}

static void set_esn(struct scenario *s, const struct words *w)
{
	words_need(s, w, 2, 2);
	s->esn = word_on(s, w->w[1], "yes", "no");
}

static void set_outer(struct scenario *s, const struct words *w)
{
	words_need(s, w, 3, 3);
	s->o.six = word_on(s, w->w[1], "ipv6", "ipv4");
	s->o.encap = word_on(s, w->w[2], "raw", "udp") ? ENCAP_NO : ENCAP_YES;
}

static void set_pfs(struct scenario *s, const struct words *w)
{
	const char *group = w->w[w->count - 1];

	words_need(s, w, 2, 3);
	if (strcmp(group, "none") == 0)
		group = "";
	for (unsigned i = 0; i < 2; i++) {
		if (w->count == 2 || word_peer(s, w->w[1]) == i)
			snprintf(s->pfs[i], sizeof(s->pfs[i]), "%s", group);
	}
}

/* Additional key exchanges of both sides; a side without PFS has none in its CHILD SAs. */
static void set_addke(struct scenario *s, const struct words *w)
{
	words_need(s, w, 3, 3);
	if (word_on(s, w->w[1], "child", "ike"))
		snprintf(s->addke, sizeof(s->addke), "-%s", w->w[2]);
	else
		snprintf(s->ike, sizeof(s->ike), "aes128gcm16-prfsha256-x25519-%s", w->w[2]);
}

static void set_esp(struct scenario *s, const struct words *w)
{
	words_need(s, w, 2, 3);
	for (unsigned i = 0; i < 2; i++) {
		if (w->count == 2 || word_peer(s, w->w[1]) == i)
			snprintf(s->esp[i], sizeof(s->esp[i]), "%s", w->w[w->count - 1]);
	}
}

static void set_window(struct scenario *s, const struct words *w)
{
	words_need(s, w, 2, 2);
	s->o.window = (uint32_t)word_number(s, w->w[1]);
}

static void set_delay(struct scenario *s, const struct words *w)
{
	words_need(s, w, 2, 2);
	s->o.delay = word_time(s, w->w[1]);
}

static void set_dpd(struct scenario *s, const struct words *w)
{
	nsec_t t;

	words_need(s, w, 2, 3);
	t = word_time(s, w->w[w->count - 1]);
	if (w->count == 2 || word_peer(s, w->w[1]) == BRANCH)
		s->o.dpd = t;
	if (w->count == 3 && word_peer(s, w->w[1]) == GW)
		s->o.gw_dpd = t ? t : NSEC_NEVER;
}

static void set_lifetime(struct scenario *s, const struct words *w)
{
	words_need(s, w, 3, 3);
	*(word_on(s, w->w[1], "child", "ike") ? &s->o.rekey : &s->o.ike_rekey) =
		word_time(s, w->w[2]);
}

/* retransmit TIME THOUSANDTHS TRIES */
static void set_retransmit(struct scenario *s, const struct words *w)
{
	words_need(s, w, 4, 4);
	s->o.set.retransmit = (struct retransmission){.timeout = word_time(s, w->w[1]),
						      .base = (uint32_t)word_number(s, w->w[2]),
						      .tries = (uint32_t)word_number(s, w->w[3])};
}

static void set_option(struct scenario *s, const struct words *w)
{
	char err[OPTION_ERR];

	words_need(s, w, 3, 3);
	if (tunnel_options_set(&s->o.sw, w->w[1], w->w[2], err) < 0)
		scenario_fail(s, "%s", err);
}

/* fragments yes|no|force [BYTES] */
static void set_fragments(struct scenario *s, const struct words *w)
{
	words_need(s, w, 2, 3);
	s->o.fragmentation = word_is(w, 1, "force")		? FRAGMENTATION_FORCE
			     : word_on(s, w->w[1], "yes", "no") ? FRAGMENTATION_YES
								: FRAGMENTATION_NO;
	if (w->count == 3)
		s->o.fragment_size = (unsigned)word_number(s, w->w[2]);
}

static void set_twice(struct scenario *s, const struct words *w)
{
	words_need(s, w, 2, 2);
	s->o.twice_allowed = word_is(w, 1, "allowed");
}

static void check_proposals(struct scenario *s, const char *text, uint8_t protocol)
{
	char copy[256], err[PROPOSAL_ERR], *save = NULL;
	struct proposal p;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *t = strtok_r(copy, ",", &save); t; t = strtok_r(NULL, ",", &save)) {
		if (proposal_parse_text(t, protocol, &p, err) < 0)
			scenario_fail(s, "%s: %s", t, err);
	}
}

static void bring_up(struct scenario *s, const struct words *w)
{
	nsec_t limit = w->count > 1 ? word_time(s, w->w[1]) : 30 * SEC;

	words_need(s, w, 1, 2);
	for (unsigned i = 0; i < 2; i++) {
		if (!s->esp[i][0])
			snprintf(s->esp[i], sizeof(s->esp[i]), "%s%s%s%s-%s", s->suite,
				 s->pfs[i][0] ? "-" : "", s->pfs[i], s->pfs[i][0] ? s->addke : "",
				 s->esn ? "esn" : "noesn");
		check_proposals(s, s->esp[i], PROTOCOL_ESP);
	}
	if (s->ike[0]) {
		check_proposals(s, s->ike, PROTOCOL_IKE);
		s->o.ike = s->ike;
	}
	s->o.esp = s->esp[BRANCH];
	s->o.esp_gw = s->esp[GW];
	s->n = net_new(&s->o);
	s->n->failed = scenario_net_failed;
	for (nsec_t end = s->n->now + limit; !net_is_up(s->n) && s->n->now < end;)
		net_run(s->n, 10 * MSEC);
	if (!net_is_up(s->n))
		scenario_fail(s, "the tunnel does not come up");
	scenario_mark(s);
}

static const struct {
	const char *name;
	void (*run)(struct scenario *s, const struct words *w);
} commands[] = {
	{"addke", set_addke},
	{"seed", set_seed},
	{"children", set_children},
	{"wide", set_wide},
	{"role", set_role},
	{"suite", set_suite},
	{"esn", set_esn},
	{"pfs", set_pfs},
	{"esp", set_esp},
	{"window", set_window},
	{"delay", set_delay},
	{"dpd", set_dpd},
	{"lifetime", set_lifetime},
	{"retransmit", set_retransmit},
	{"option", set_option},
	{"twice", set_twice},
	{"up", bring_up},
	{"outer", set_outer},
	{"childless", set_childless},
	{"fragments", set_fragments},
};

bool scenario_setup(struct scenario *s, const struct words *w)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!word_is(w, 0, commands[i].name))
			continue;
		if (s->n)
			scenario_fail(s, "\"%s\" comes after \"up\"", w->w[0]);
		commands[i].run(s, w);
		return true;
	}
	return false;
}
