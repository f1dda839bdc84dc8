/*
 * t_vendors.c - our default proposals with those of usual peers (vendors.txt): each comes up and
 * rekeys in both roles, with what the row names on our side, or is refused for the reason in the
 * row.
 * SPDX-License-Identifier: ISC
 */
#include "peers.h"
#include "wire/words.h"
#include "xalloc.h"

#include <ctype.h>
#include <stdlib.h>

#ifndef VENDORS
#define VENDORS "tests/exchange/vendors.txt"
#endif
#define ROWS_LEAST    25
#define MESSAGE_LIMIT 1280 /* bytes of the IP packet with our IKE_SA_INIT; outer IPv6 included */
#define HEADERS	      (40 + 8)

enum field {
	PEER,
	SOURCE,
	CERTAIN,
	ASSUMED,
	IKE,
	ESP,
	PFS,
	IKE_OURS,
	ESP_OURS,
	REFUSED,
	QUIRK,
	FIELDS
};
static const char *const fields[FIELDS] = {"peer", "source",   "certain",  "assumed", "ike",  "esp",
					   "pfs",  "ike-ours", "esp-ours", "refused", "quirk"};

struct row {
	char *v[FIELDS];	/* NULL: not given */
	char agreed[2][2][128]; /* as initiator, as responder; IKE, ESP after a rekey */
};

static struct row rows[80];
static unsigned row_count;

/* ---- the file ---- */

static void take_line(char *line, unsigned number)
{
	char *value = strstr(line, ": ");
	size_t f = 0;

	line[strcspn(line, "\n")] = '\0';
	if (!*line || *line == '#')
		return;
	if (!value)
		fail_msg("%s:%u: no field", VENDORS, number);
	*value = '\0';
	while (f < FIELDS && strcmp(fields[f], line) != 0)
		f++;
	if (f == FIELDS || (f != PEER && row_count == 0))
		fail_msg("%s:%u: field \"%s\"", VENDORS, number, line);
	if (f == PEER && ++row_count > ARRAY_SIZE(rows))
		fail_msg("%s has too many rows", VENDORS);
	if (rows[row_count - 1].v[f])
		fail_msg("%s:%u: \"%s\" twice", VENDORS, number, line);
	rows[row_count - 1].v[f] = xstrdup(value + 2);
}

static int read_rows(void **state)
{
	FILE *f = fopen(VENDORS, "r");
	unsigned number = 0;
	char *line = NULL;
	size_t size = 0;

	(void)state;
	if (!f)
		fail_msg("%s cannot be read", VENDORS);
	while (getline(&line, &size, f) >= 0)
		take_line(line, ++number);
	free(line);
	fclose(f);
	return 0;
}

static int free_rows(void **state)
{
	(void)state;
	for (unsigned i = 0; i < row_count; i++) {
		for (unsigned f = 0; f < FIELDS; f++)
			free(rows[i].v[f]);
	}
	memset(rows, 0, sizeof(rows));
	row_count = 0;
	return 0;
}

/* Each row is whole: it says where it comes from, and what of it is known. */
static void rows_are_whole(void **state)
{
	(void)state;
	assert_true(row_count >= ROWS_LEAST);
	for (unsigned i = 0; i < row_count; i++) {
		char *const *v = rows[i].v;

		if (!v[SOURCE] || (!v[CERTAIN] && !v[ASSUMED]) || !v[IKE] || !v[ESP] || !v[PFS])
			fail_msg("%s: a field is missing", v[PEER]);
		assert_true(strcmp(v[PFS], "yes") == 0 || strcmp(v[PFS], "none") == 0);
		assert_false(v[REFUSED] && (v[IKE_OURS] || v[ESP_OURS]));
	}
}

/* ---- the peer ---- */

/* Reads a proposal that may have algorithms that we never take. */
static struct proposal read_any(const char *s, uint8_t protocol)
{
	struct proposal p = {.protocol = protocol};
	bool named_prf;

	while (*s) {
		size_t len = strcspn(s, "-");
		const struct word *w = word_find(s, len);

		if (!w)
			w = word_refused(s, len);
		if (!w || !proposal_add(&p, w->t))
			fail_msg("\"%.*s\" is no word", (int)len, s);
		s += len + (s[len] == '-');
	}
	named_prf = proposal_count_type(&p, TRANSFORM_PRF) > 0;
	for (unsigned i = 0, n = p.count; i < n && protocol == PROTOCOL_IKE && !named_prf; i++) {
		static const uint16_t prfs[][2] = {{1, 1},
						   {INTEG_HMAC_SHA1_96, PRF_HMAC_SHA1},
						   {INTEG_HMAC_SHA2_256_128, PRF_HMAC_SHA2_256},
						   {INTEG_HMAC_SHA2_384_192, PRF_HMAC_SHA2_384},
						   {INTEG_HMAC_SHA2_512_256, PRF_HMAC_SHA2_512}};

		for (size_t k = 0; k < ARRAY_SIZE(prfs); k++) {
			if (p.t[i].type == TRANSFORM_INTEG && p.t[i].id == prfs[k][0])
				proposal_add(&p, (struct transform){TRANSFORM_PRF, prfs[k][1], 0});
		}
	}
	if (protocol == PROTOCOL_ESP && !proposal_count_type(&p, TRANSFORM_ESN))
		proposal_add(&p, (struct transform){TRANSFORM_ESN, ESN_NO, 0});
	return p;
}

/* Replaces the list by the proposals of the text; ours are read as in a configuration. */
static void set(struct proposal_list *l, const char *text, uint8_t protocol, bool ours)
{
	char *copy = xstrdup(text), *save = NULL, err[PROPOSAL_ERR];

	proposals_free(l);
	for (char *s = strtok_r(copy, ", ", &save); s; s = strtok_r(NULL, ", ", &save)) {
		if (!ours) {
			l->p = xreallocarray(l->p, l->count + 1u, sizeof(*l->p));
			l->p[l->count++] = read_any(s, protocol);
		} else if (proposals_add_text(l, s, protocol, err) < 0) {
			fail_msg("%s: %s", s, err);
		}
	}
	free(copy);
}

static size_t largest; /* IKE_SA_INIT of ours */

static bool measure(struct net *n, unsigned from, struct datagram *d)
{
	(void)n;
	if (from == BRANCH && !d->esp && d->len > IKE_HEADER_LEN && d->p[18] == IKE_SA_INIT &&
	    d->len > largest)
		largest = d->len;
	return true;
}

/* Both, with our defaults or what is named on our side; nothing is started. */
static struct net *begin(const struct row *r, bool we_call)
{
	struct options o = options_default();
	struct net *n;

	o.start = START_NONE;
	o.branch_answers = !we_call;
	n = net_new(&o);
	n->hook = measure;
	set(&n->peer[BRANCH].conf->proposals, r->v[IKE_OURS] ? r->v[IKE_OURS] : "default",
	    PROTOCOL_IKE, true);
	set(&n->peer[BRANCH].conf->children[0].proposals,
	    r->v[ESP_OURS] ? r->v[ESP_OURS] : "default", PROTOCOL_ESP, true);
	set(&n->peer[GW].conf->proposals, r->v[IKE], PROTOCOL_IKE, false);
	set(&n->peer[GW].conf->children[0].proposals, r->v[ESP], PROTOCOL_ESP, false);
	return n;
}

static const struct proposal_choice *child_choice(struct net *n)
{
	return &peer_child(n, BRANCH, 0)->current->ike->choice;
}

/* Rekeys the CHILD SA from this side; pfs: with a key exchange. */
static void rekey_child(struct net *n, unsigned side, bool pfs)
{
	uint32_t before = peer_sa(n, BRANCH, 0)->spi;

	if (!tunnel_child_rekey(peer_child(n, side, 0), n->now))
		net_fail(n, "nothing to rekey");
	net_run(n, 2 * SEC);
	if (!peer_sa(n, BRANCH, 0) || peer_sa(n, BRANCH, 0)->spi == before)
		net_fail(n, "the CHILD SA was not rekeyed");
	if ((child_choice(n)->group != GROUP_NONE) != pfs)
		net_fail(n, "a rekey %s a key exchange", pfs ? "without" : "with");
	net_traffic(n, 0);
}

static void rekey_ike(struct net *n, unsigned side)
{
	uint64_t before = peer_conn(n, BRANCH)->sa->our_spi;

	ike_sa_rekey(peer_conn(n, side)->sa, n->now);
	net_run(n, 2 * SEC);
	if (!peer_conn(n, BRANCH)->sa || peer_conn(n, BRANCH)->sa->our_spi == before)
		net_fail(n, "the IKE SA was not rekeyed");
	net_traffic(n, 0);
}

/* The whole life with a peer that fits. */
static void comes_up(struct row *r, bool we_call)
{
	struct net *n = begin(r, we_call);
	bool pfs = strcmp(r->v[PFS], "yes") == 0;

	tunnel_child_up(peer_child(n, we_call ? BRANCH : GW, 0), n->now);
	net_until(n, net_is_up, 20 * SEC, r->v[PEER]);
	net_traffic(n, 0);
	choice_format(&peer_conn(n, BRANCH)->sa->choice, r->agreed[!we_call][0],
		      sizeof(r->agreed[0][0]));
	rekey_child(n, BRANCH, pfs);
	choice_format(child_choice(n), r->agreed[!we_call][1], sizeof(r->agreed[0][1]));
	rekey_child(n, GW, pfs);
	rekey_ike(n, BRANCH);
	rekey_ike(n, GW);
	rekey_child(n, BRANCH, pfs);
	rekey_child(n, GW, pfs);
	if (!net_agrees(n))
		net_fail(n, "%s: the sides have different SAs", r->v[PEER]);
	if (net_logged(n, "NO_PROPOSAL_CHOSEN"))
		net_fail(n, "%s: something was refused", r->v[PEER]);
	net_free(n);
}

/* ---- peers that are refused ---- */

/* The notify in an unprotected response, as the last one of ours; 0: none. */
static uint16_t answered;

static bool note_answer(struct net *n, unsigned from, struct datagram *d)
{
	struct ike_payloads p;
	const struct ike_notify_view *e;
	struct ike_header h;

	(void)n;
	if (from == BRANCH && !d->esp && ike_header_parse(d->p, d->len, &h) == 0 &&
	    h.exchange == IKE_SA_INIT && h.flags & IKE_FLAG_RESPONSE &&
	    ike_payloads_parse(h.next, d->p + IKE_HEADER_LEN, d->len - IKE_HEADER_LEN, &p) == 0) {
		e = ike_find_error(&p);
		answered = e ? e->type : 0;
	}
	return true;
}

/* The peer calls, with a KE payload of its first group, which we do not have. */
static void call_by_hand(struct net *n)
{
	const struct proposal_list *l = &n->peer[GW].conf->proposals;
	struct ike_header h = {
		.spi_i = 0x1234, .exchange = IKE_SA_INIT, .flags = IKE_FLAG_INITIATOR};
	static const uint8_t some[IKE_NONCE_LEN] = {1, 2, 3}, value[192] = {7};
	uint16_t group = 0;
	uint8_t m[2048];
	struct ike_builder b;

	for (unsigned i = 0; i < l->p[0].count && !group; i++)
		group = l->p[0].t[i].type == TRANSFORM_KE ? l->p[0].t[i].id : 0;
	ib_message(&b, m, sizeof(m), &h);
	proposals_write(&b, l, (struct chunk){0}, PROPOSAL_KEX);
	ib_ke(&b, group, (struct chunk){value, group == 5 ? 192 : 128});
	ib_payload(&b, PAYLOAD_NONCE, (struct chunk){some, sizeof(some)});
	net_inject(n, BRANCH, false, m, (uint32_t)ib_finish(&b));
}

static void is_refused(struct row *r)
{
	struct net *n = begin(r, true);
	struct proposal p;
	char err[PROPOSAL_ERR];

	/* we call */
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_run(n, 40 * SEC);
	if (net_is_up(n) || !net_logged(n, "NO_PROPOSAL_CHOSEN"))
		net_fail(n, "%s: came up", r->v[PEER]);
	net_free(n);
	/* the peer calls */
	n = begin(r, false);
	n->hook = note_answer;
	answered = 0;
	call_by_hand(n);
	net_run(n, SEC);
	assert_int_equal(answered, NOTIFY_NO_PROPOSAL_CHOSEN);
	assert_int_equal(peer_ike_sas(n, BRANCH), 0);
	/* the status shows what the peer offers */
	assert_non_null(n->peer[BRANCH].tunnel->refusal);
	assert_non_null(strstr(n->peer[BRANCH].tunnel->refusal->text, r->v[REFUSED]));
	net_free(n);
	/* and to name it on our side only tells what the peer should be given */
	snprintf(r->agreed[0][0], sizeof(r->agreed[0][0]), "aes256-sha256-%s", r->v[REFUSED]);
	assert_int_equal(proposal_parse_text(r->agreed[0][0], PROTOCOL_IKE, &p, err), -EINVAL);
	assert_non_null(strstr(err, r->v[REFUSED]));
	assert_non_null(strstr(err, "let the peer offer modp2048, ecp256 or x25519"));
}

/* ---- the cases ---- */

static void print_row(const struct row *r)
{
	if (r->v[REFUSED]) {
		print_message("# %-48s refused: %s\n", r->v[PEER], r->v[REFUSED]);
		return;
	}
	print_message("# %-48s %s\n", r->v[PEER],
		      r->v[IKE_OURS] || r->v[ESP_OURS] ? "named: SHA-1" : "default");
	for (unsigned i = 0; i < 2; i++)
		print_message("#   %-10s %-42s %s\n", i ? "responder" : "initiator",
			      r->agreed[i][0], r->agreed[i][1]);
}

/* A row needs what it says: what fits by default names nothing, and what names something needs it.
 */
static void names_what_it_needs(struct row *r)
{
	char *ike = r->v[IKE_OURS], *esp = r->v[ESP_OURS];
	struct net *n;

	if (!ike && !esp)
		return;
	r->v[IKE_OURS] = r->v[ESP_OURS] = NULL;
	n = begin(r, true);
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_run(n, 20 * SEC);
	if (net_is_up(n))
		net_fail(n, "%s fits by default", r->v[PEER]);
	net_free(n);
	r->v[IKE_OURS] = ike;
	r->v[ESP_OURS] = esp;
}

static void every_peer(void **state)
{
	unsigned by_default = 0, named = 0, refused = 0;

	(void)state;
	for (unsigned i = 0; i < row_count; i++) {
		struct row *r = &rows[i];

		if (r->v[REFUSED]) {
			is_refused(r);
			refused++;
		} else {
			comes_up(r, true);
			comes_up(r, false);
			names_what_it_needs(r);
			named += r->v[IKE_OURS] || r->v[ESP_OURS];
			by_default += !r->v[IKE_OURS] && !r->v[ESP_OURS];
		}
		print_row(r);
	}
	print_message("# %u peers: %u by default, %u with SHA-1 named, %u refused; IKE_SA_INIT of "
		      "%zu bytes at most\n",
		      row_count, by_default, named, refused, largest);
	assert_in_range(largest + HEADERS, 1, MESSAGE_LIMIT - 1);
	assert_true(by_default >= ROWS_LEAST && named && refused);
}

/*
 * INVALID_KE_PAYLOAD leads to each of the default groups, and the IKE_SA_INIT with its KE payload
 * stays below the limit.
 */
static void every_default_group(void **state)
{
	static const char *const groups[] = {"x25519",	 "ecp256",   "ecp384",	"ecp521",
					     "modp2048", "modp3072", "modp4096"};

	(void)state;
	largest = 0;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		struct row r = {0};
		char ike[64], esp[64];

		snprintf(ike, sizeof(ike), "aes256-sha256-%s", groups[i]);
		snprintf(esp, sizeof(esp), "aes256-sha256-%s", groups[i]);
		r.v[PEER] = (char *)groups[i];
		r.v[IKE] = ike;
		r.v[ESP] = esp;
		r.v[PFS] = (char *)"yes";
		comes_up(&r, true);
		comes_up(&r, false);
		assert_non_null(strstr(r.agreed[0][0], groups[i]));
		assert_non_null(strstr(r.agreed[0][1], groups[i]));
	}
	print_message("# the largest IKE_SA_INIT by default has %zu bytes\n", largest);
	assert_in_range(largest + HEADERS, 1, MESSAGE_LIMIT - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rows_are_whole, read_rows, free_rows),
		cmocka_unit_test_setup_teardown(every_peer, read_rows, free_rows),
		cmocka_unit_test(every_default_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
