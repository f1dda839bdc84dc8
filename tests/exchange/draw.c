/* draw.c - see draw.h. SPDX-License-Identifier: ISC */
#include "draw.h"
#include "seeded.h"
#include "tunnel.h"

#include <stdarg.h>
#include <stdio.h>

static unsigned below(struct draw *d, unsigned n)
{
	return (unsigned)(seeded_next(&d->state) % n);
}

static unsigned between(struct draw *d, unsigned lo, unsigned hi)
{
	return lo + below(d, hi - lo + 1);
}

static bool one_in(struct draw *d, unsigned n)
{
	return below(d, n) == 0;
}

static void say(struct draw *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(struct draw *d, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(d->text + d->len, DRAW_TEXT - d->len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n + 1 >= DRAW_TEXT - d->len)
		abort();
	d->len += (size_t)n;
	d->text[d->len++] = '\n';
	d->text[d->len] = '\0';
}

#define ONE_OF(d, a) ((a)[below(d, ARRAY_SIZE(a))])

/* ---- the peers ---- */

static void draw_roles(struct draw *d)
{
	d->children = one_in(d, 2) ? 1 : between(d, 2, 4);
	d->wide = d->children > 1 && one_in(d, 3);
	d->answers = one_in(d, 3);
	say(d, "children %u", d->children);
	if (d->wide)
		say(d, "wide");
	if (d->answers)
		say(d, "role branch answers");
	else if (one_in(d, 6))
		say(d, "role both call");
	else
		d->may_move = !d->wide && one_in(d, 4);
}

/* Additional key exchanges of the IKE SA, of CHILD SAs, or of both, in one run of four. */
static void draw_addke(struct draw *d)
{
	struct draw own = {.state = ~d->state}; /* one more draw would change all that follow */

	if (!one_in(&own, 4))
		return;
	if (!one_in(&own, 3))
		say(d, "addke ike ke1_ecp256%s", one_in(&own, 2) ? "-ke2_ecp384" : "");
	if (!one_in(&own, 3))
		say(d, "addke child ke1_ecp256%s", one_in(&own, 2) ? "-ke2_ecp384" : "");
}

static void draw_algorithms(struct draw *d)
{
	static const char *const suites[] = {"aes128gcm16",   "aes256gcm16",   "aes128gcm16",
					     "aes128-sha256", "aes256-sha384", "chacha20poly1305"};
	static const unsigned windows[] = {32, 64, 128, 1024, 1024, 1024, 4096, 65536};

	say(d, "suite %s", ONE_OF(d, suites));
	draw_addke(d);
	d->esn = !one_in(d, 3);
	say(d, "esn %s", d->esn ? "yes" : "no");
	if (one_in(d, 8)) {
		say(d, "pfs none");
	} else if (d->children == 1 && one_in(d, 6)) {
		/* Further children could not be created, and no routine rekey succeeds. */
		d->mismatch = true;
		say(d, "pfs %s none", one_in(d, 2) ? "gw" : "branch");
	}
	d->window = ONE_OF(d, windows);
	say(d, "window %u", d->window);
}

static void draw_options(struct draw *d)
{
	static const char *const dpd[] = {"30s", "30s", "5s", "2s", "0s"};
	static const char *const jitter[] = {"0s", "100ms", "100ms", "2s"};
	const char *t = ONE_OF(d, dpd);

	d->dpd = strcmp(t, "0s") != 0;
	say(d, "dpd branch %s", t);
	say(d, "dpd gw %s", one_in(d, 2) ? "5s" : "30s");
	if (one_in(d, 6)) {
		say(d, one_in(d, 3) ? "lifetime ike 15s" : "lifetime child 12s");
		d->short_lived = true;
	}
	say(d, "option jitter %s", ONE_OF(d, jitter));
	if (one_in(d, 10)) {
		say(d, "option history_packets 1024");
		d->beyond_reach = true;
	}
	d->silent_rekey = one_in(d, 4);
	if (d->silent_rekey)
		say(d, "option silent_rekey 5s");
	d->proof = !one_in(d, 8);
	if (!d->proof)
		say(d, "option detect %s", one_in(d, 2) ? "pattern" : "both");
	d->no_bridge = one_in(d, 16);
	if (d->no_bridge)
		say(d, "option bridge off");
}

/* In one run of four every IKE message is divided. The other draws do not depend on it. */
static void draw_fragments(struct draw *d)
{
	uint64_t state = d->state;

	if (seeded_next(&state) % 4 == 0)
		say(d, "fragments force %u", seeded_next(&state) % 2 ? 1280 : 256);
}

/* ---- the wire ---- */

static void draw_wire(struct draw *d)
{
	unsigned jitter;

	if (one_in(d, 2))
		return;
	if (one_in(d, 2)) {
		say(d, "loss %u %%", between(d, 1, 20));
		d->loses = d->drops = true;
	}
	if (one_in(d, 2))
		say(d, "duplicate %u %%", between(d, 1, 15));
	if (one_in(d, 2)) {
		jitter = between(d, 1, 60);
		say(d, "reorder %u %%", between(d, 1, 15));
		say(d, "jitter %ums", jitter);
		d->loses |= d->window < 1024;
		d->overtakes = true;
	}
}

static void draw_traffic(struct draw *d)
{
	d->rate = between(d, 50, 500);
	say(d, "traffic gw %u", d->rate * d->children);
	if (one_in(d, 2))
		say(d, "traffic branch %u", between(d, 5, 100));
	say(d, "run %ums", between(d, 300, 4000));
}

/*
 * In one run of eight, numbers cross a multiple of 2^32. Numbers sent before the jump are beyond
 * the reach of the history, so enough packets are sent after it first. Without ESN a sender rekeys
 * when 2^28 numbers are left.
 */
static void draw_numbers(struct draw *d)
{
	struct draw own = {.state = ~d->state}; /* one more draw would change all that follow */

	if (!one_in(&own, 8))
		return;
	d->far_numbers = true;
	say(d, "try number all %u",
	    UINT32_MAX - (d->esn ? 0 : 1U << 28) - between(&own, 1, d->rate * 8));
	say(d, "run 5s");
}

/* ---- events ---- */

static void draw_under_way(struct draw *d)
{
	const char *peer = one_in(d, 2) ? "branch" : "gw";

	switch (below(d, 6)) {
	case 0: say(d, "liveness %s", peer); break;
	case 1: say(d, "rekey %s net%u", peer, below(d, d->children)); break;
	case 2: say(d, "rekey %s ike", peer); break;
	case 3:
		say(d, "rekey branch net%u", below(d, d->children));
		say(d, "rekey gw net%u", below(d, d->children));
		break;
	case 4: say(d, "rekey %s all", peer); break;
	case 5: return;
	}
	if (one_in(d, 2))
		say(d, "run %ums", between(d, 1, 30));
}

/* IKE is silent, comes back later, or has an older state. */
static void draw_ike_fault(struct draw *d)
{
	d->ike_fault = true;
	switch (below(d, 9)) {
	case 0: say(d, "cut ike gw %ums", between(d, 50, 9000)); break;
	case 1: say(d, "cut ike branch %ums", between(d, 50, 9000)); break;
	case 2:
		say(d, "cut ike gw %ums", between(d, 50, 9000));
		say(d, "cut ike branch %ums", between(d, 50, 9000));
		break;
	case 3:
		/*
		 * Packets lost on the first lap prove nothing when their numbers are used again,
		 * and before the proof only 64 packets can wait.
		 */
		say(d, "cut all gw %ums", between(d, 20, 500));
		d->loses = true;
		break;
	case 4:
		/* Only a liveness check, or evidence, can reveal it. */
		if (d->dpd)
			say(d, "try ids back %u", between(d, 1, 3));
		d->ids_back = true;
		break;
	case 5:
		if (d->dpd && one_in(d, 3)) {
			say(d, "try forget ike");
			d->gone = true;
			say(d, "run 40s");
		}
		break;
	case 6:
		/*
		 * The branch's response to a rekey is lost, and the standby does not know of the
		 * request. The standby's next request seems to show that it has the response: the
		 * branch then sends on an SA that the standby does not know.
		 */
		if (!d->silent_rekey)
			return;
		say(d, "cut ike branch 300ms");
		say(d, "rekey gw net%u", below(d, d->children));
		say(d, "run %ums", between(d, 5, 200));
		say(d, "try forget request");
		d->forgetful = true;
		break;
	default: break;
	}
}

static void draw_rewind(struct draw *d)
{
	static const unsigned shares[] = {1, 2, 4, 8, 100};
	unsigned c = below(d, d->children + 1), n;
	const char *nonces = "";
	char name[16] = "all";

	if (c < d->children)
		snprintf(name, sizeof(name), "net%u", c);
	for (unsigned k = 0; k < d->children; k++) {
		if (c == k || c == d->children)
			d->third_lap |= d->laps[k]++ > 0;
	}
	if (one_in(d, 8)) {
		nonces = " nonces";
		d->nonces = true;
	}
	n = 1 + below(d, d->rate * 4 / ONE_OF(d, shares) + 1);
	if (one_in(d, 5))
		say(d, "try rewind %s 1%s", name, nonces);
	else if (one_in(d, 4)) {
		say(d, "try rewind %s to 0%s", name, nonces);
		d->beyond_reach |= d->far_numbers;
	} else
		say(d, "try rewind %s %u%s", name, n, nonces);
}

static void draw_senders(struct draw *d)
{
	say(d, "try senders net%u %u", below(d, d->children), between(d, 1, 300));
	d->third_lap = d->senders = true;
}

static void draw_change(struct draw *d)
{
	static const char *const changes[] = {"quiet 0s",     "max_rekeys 16", "max_rekeys 1",
					      "jitter 0s",    "jitter 1s",     "per 5s",
					      "verify_rate 0"};
	const char *change;

	if (one_in(d, 3)) {
		say(d, "set all detect off");
		say(d, "run %ums", between(d, 1, 1500));
		say(d, "set all detect proof");
		d->proof = false;
		return;
	}
	change = ONE_OF(d, changes);
	d->few_rekeys |= strcmp(change, "max_rekeys 1") == 0;
	say(d, "set all %s", change);
}

static void draw_switchover(struct draw *d)
{
	draw_under_way(d);
	if (d->may_move && one_in(d, 2))
		say(d, "move branch %u", between(d, 10, 250));
	if (one_in(d, 2))
		draw_ike_fault(d);
	if (one_in(d, 10))
		draw_senders(d);
	else
		draw_rewind(d);
	if (one_in(d, 4)) {
		say(d, "run %ums", between(d, 1, 100));
		draw_under_way(d);
	}
	if (one_in(d, 6))
		draw_change(d);
	if (one_in(d, 2)) {
		say(d, "run %ums", between(d, 5, 5000));
		return;
	}
	/*
	 * Long enough for every fault to be over and recovered from: where IKE was cut for 9 s,
	 * rung 3's request may be retransmitted 7 s after that. Most recover sooner, and packets
	 * cost time, so the rate is lower.
	 */
	say(d, d->ike_fault ? "run 12s" : "run 5s");
	say(d, "traffic gw %u", 10 * d->children);
	say(d, d->ike_fault ? "run 18s" : "run 10s");
	say(d, "traffic gw %u", d->rate * d->children);
	memset(d->laps, 0, sizeof(d->laps));
}

static void draw_benign(struct draw *d)
{
	for (unsigned i = between(d, 1, 4); i > 0; i--) {
		draw_under_way(d);
		say(d, "run %ums", between(d, 5, 3000));
	}
}

/* ---- expectations ---- */

bool draw_expects_no_loss(const struct draw *d)
{
	/* When no rekey succeeds, a new IKE SA brings SAs on which the peer sends at once. */
	bool fresh_ike = d->mismatch || d->ike_fault;

	return d->proof && !d->no_bridge && !d->loses && !d->beyond_reach && !d->nonces &&
	       !d->third_lap && !d->gone && !d->forgetful &&
	       !(fresh_ike && (d->overtakes || d->short_lived || d->ids_back));
}

/*
 * Whether the sides may have different SAs at the end. The branch keeps an idle SA that the gateway
 * does not know until its routine rekey; an IKE SA that the gateway has given up, with a lost
 * DELETE, if the branch has no liveness checks; and SAs that a standby with other message IDs does
 * not know (doc/recovery.md 4), if the loss of a message hid that, until silent_rekey reveals it.
 * When rekeys are lost until a lifetime of seconds ends, two IKE SAs may each have a part of the
 * CHILD SAs.
 */
static bool may_disagree(const struct draw *d)
{
	return d->forgetful || (d->loses && (!d->dpd || (d->ids_back && !d->silent_rekey))) ||
	       (d->drops && d->short_lived && d->ike_fault);
}

/*
 * Whether packets of all children must arrive at the end. The published rule does not detect a
 * rewind when FRESH packets come in between: with two senders, or under numbers that were lost or
 * not sent on the first lap. With one rekey per quiet it recovers one SA after another, minutes
 * apart. When no rekey succeeds, an SA with a lifetime of seconds may end during the random wait of
 * rung 3. After a jump to far numbers, the proof of a second lap from 0 is in its first numbers; if
 * those packets are lost, no later number was received before.
 */
static bool flows_at_the_end(const struct draw *d)
{
	if ((d->loses && d->ids_back && !d->silent_rekey) || (d->mismatch && d->short_lived) ||
	    (d->loses && d->far_numbers && d->beyond_reach && !d->silent_rekey))
		return false;
	return d->proof || !(d->senders || d->loses || d->beyond_reach || d->few_rekeys);
}

static void draw_end(struct draw *d)
{
	say(d, "calm wire");
	say(d, "traffic gw %u", 10 * d->children);
	say(d, "run 10s");
	say(d, "traffic branch %u", 10 * d->children);
	if (draw_expects_no_loss(d))
		say(d, "expect lost 0");
	/*
	 * If the DELETE of an SA and its retransmissions are lost, the peer sends on it for a long
	 * time.
	 */
	if (d->benign && d->proof && !d->mismatch && !d->drops)
		say(d, "expect calm");
	/*
	 * No rekey is refused, since each one helped. After max_rekeys 1, the peer may not have
	 * seen the single rekey.
	 */
	if (d->proof && !d->third_lap && !d->few_rekeys)
		say(d, "expect gate quiet 0");
	/*
	 * A refusal lasts for `quiet` at most; then the rewind is detected again. The published
	 * rule then begins from zero, for the SAs of a child one after another.
	 */
	say(d, "expect mended 400s");
	say(d, "run 5s");
	say(d, d->proof ? "expect mended" : "expect mended 400s");
	/* Older message IDs may be found by a liveness check only. */
	if (d->ids_back)
		say(d, "run 100s");
	say(d, may_disagree(d) ? "run 400s" : "expect up 400s");
	/*
	 * Numbers lost on the first lap prove nothing: the second lap has to get beyond them. There
	 * are many of them when the response that makes an SA was late. An IKE SA may have been
	 * given up when all transmissions of a request were lost.
	 */
	if (d->loses && d->proof) {
		say(d, "traffic gw %u", (d->ike_fault || d->mismatch ? 1000 : 200) * d->children);
		say(d, "run 5s");
		say(d, "expect mended");
		/*
		 * A request whose transmissions were all lost before the wire was calm is given up
		 * within this time.
		 */
		say(d, "traffic gw %u", d->children);
		say(d, "run 90s");
		say(d, may_disagree(d) ? "run 5s" : "expect up 400s");
	}
	/* Once in 100,000 runs all transmissions of a request, or all responses, are lost. */
	if (flows_at_the_end(d))
		say(d, d->loses && !d->dpd ? "expect flows unless given up" : "expect flows");
	say(d, "expect twice 0");
}

void draw_scenario(struct draw *d, uint64_t seed)
{
	*d = (struct draw){.state = seed ^ 0x6d656e646970ULL};
	say(d, "# drawn by tests/exchange/t_runs, MENDIP_SEED=%llu", (unsigned long long)seed);
	say(d, "seed %llu", (unsigned long long)seed);
	draw_roles(d);
	draw_algorithms(d);
	draw_options(d);
	draw_fragments(d);
	say(d, "delay %ums", (unsigned[]){1, 1, 5, 20, 100}[below(d, 5)]);
	say(d, "up");
	draw_wire(d);
	draw_traffic(d);
	draw_numbers(d);
	say(d, "mark");
	d->benign = one_in(d, 10);
	if (d->benign)
		draw_benign(d);
	else
		for (unsigned i = one_in(d, 2) ? 1 : between(d, 2, 4); i > 0; i--)
			draw_switchover(d);
	draw_end(d);
}
