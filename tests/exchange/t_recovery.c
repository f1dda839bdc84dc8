/*
 * t_recovery.c - recovery from a rewound gateway, with two whole peers (doc/recovery.md 4 to 6).
 * SPDX-License-Identifier: ISC
 *
 * In most tests the gateway sends 1,000 packets/s per child to the branch and is then rewound,
 * perhaps with another fault; the branch's recovery record shows the result.
 */
#include "conn.h"
#include "recovery.h"
#include "peers.h"

#define RATE 1000

struct run {
	struct net *n;
	const char *name;
	uint64_t delivered, sent;
};

static struct run begin(const char *name, const struct options *o)
{
	struct run r = {.name = name, .n = net_new(o)};

	net_until(r.n, net_is_up, 10 * SEC, "the tunnel comes up");
	r.n->rate[GW] = RATE * o->children;
	return r;
}

static void mark(struct run *r)
{
	r->sent = r->n->peer[GW].sent;
	r->delivered = r->n->peer[BRANCH].delivered;
	r->n->peer[BRANCH].longest_gap = 0;
}

static uint64_t lost(const struct run *r)
{
	uint64_t sent = r->n->peer[GW].sent - r->sent,
		 got = r->n->peer[BRANCH].delivered - r->delivered;

	return sent > got ? sent - got : 0;
}

static uint64_t bridged(const struct run *r)
{
	return r->n->peer[BRANCH].tunnel->path->verdicts[VERDICT_BRIDGED];
}

static void row(const struct run *r)
{
	const struct recovery_record *rec = last_record(r->n, 0);
	const uint64_t *v = r->n->peer[BRANCH].tunnel->path->verdicts;

	printf("# %-44s %6llu lost %8.1f ms  %-11s rung %u  fresh %llu rewound %llu stale %llu "
	       "replayed %llu "
	       "unverified %llu auth_failed %llu\n",
	       r->name, (unsigned long long)lost(r), (double)r->n->peer[BRANCH].longest_gap / MSEC,
	       rec->id ? criterion_name(rec->criterion) : "none", rec->rung,
	       (unsigned long long)v[VERDICT_FRESH], (unsigned long long)v[VERDICT_REWOUND],
	       (unsigned long long)v[VERDICT_STALE], (unsigned long long)v[VERDICT_REPLAYED],
	       (unsigned long long)v[VERDICT_UNVERIFIED],
	       (unsigned long long)v[VERDICT_AUTH_FAILED]);
}

static void check(const struct run *r, bool ok, const char *what)
{
	if (ok)
		return;
	net_print_log(r->n);
	fail_msg("%s: %s", r->name, what);
}

/* The last record of net0 says: recovered, by this criterion and rung. Then traffic flows again. */
static void recovered(struct run *r, enum criterion c, unsigned rung, uint64_t lost_max)
{
	const struct recovery_record *rec = last_record(r->n, 0);
	uint64_t before = r->n->peer[BRANCH].delivered;

	row(r);
	check(r, rec->id != 0 && strcmp(rec->outcome, "recovered") == 0, "no record of a recovery");
	check(r, rec->criterion == c, "another criterion");
	check(r, rec->rung == rung, "another rung");
	check(r, lost(r) <= lost_max, "more packets lost than stated");
	/* The outage begins with the last packet before the first evidence. */
	check(r, rec->outage_from == 0 || rec->outage_from != rec->first_evidence,
	      "the outage begins with the evidence");
	net_run(r->n, SEC);
	check(r, r->n->peer[BRANCH].delivered - before >= RATE * 9 / 10,
	      "traffic does not flow again");
	net_free(r->n);
}

static void induced_nothing(struct run *r)
{
	row(r);
	check(r, peer_child(r->n, BRANCH, 0)->recoveries == 0, "a rekey was induced");
	net_free(r->n);
}

static struct options calm(void)
{
	struct options o = options_default();

	o.sw.jitter = 0;
	return o;
}

/* ---- rung 1 ---- */

struct rewind_case {
	const char *name, *esp;
	uint64_t before, by;
	enum criterion criterion;
	uint64_t lost_max;
};

static void rewinds(void **state)
{
	static const struct rewind_case cases[] = {
		{"by 1", NULL, 2000, 1, CRITERION_PROOF, 6},
		{"within the window", NULL, 3000, 500, CRITERION_PROOF, 6},
		{"beyond the window", NULL, 20000, 15000, CRITERION_PROOF, 36},
		{"to number 1", NULL, 20000, 30000, CRITERION_PROOF, 40},
		{"no ESN", "aes256gcm16-noesn", 3000, 1500, CRITERION_PROOF, 36},
		{"AES-CBC", "aes128-sha256-noesn", 3000, 1500, CRITERION_PROOF, 36},
		{"AES-CBC, ESN", "aes256-sha512-esn", 3000, 500, CRITERION_PROOF, 6},
		{"ChaCha20-Poly1305", "chacha20poly1305-esn", 3000, 500, CRITERION_PROOF, 6},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct rewind_case *c = &cases[i];
		struct options o = calm();
		struct run r;

		o.esp = c->esp;
		r = begin(c->name, &o);
		net_run(r.n, c->before * SEC / RATE);
		mark(&r);
		gw_rewind(r.n, 0, c->by, false);
		net_run(r.n, 2 * SEC);
		check(&r, last_record(r.n, 0)->bridged == bridged(&r) && bridged(&r) > 0,
		      "the record hides what the bridge delivered");
		recovered(&r, c->criterion, 1, c->lost_max);
	}
}

/* Repeated nonces raise a security event, and the rekey is sent without jitter. */
static void nonces_repeat(void **state)
{
	static const char *const esp[] = {"aes128gcm16-esn", "chacha20poly1305-noesn"};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct options o = calm();
		struct run r;

		o.esp = esp[i];
		o.sw.jitter = 10 * SEC;
		r = begin(i ? "nonces repeat, ChaCha20" : "nonces repeat, AES-GCM", &o);
		net_run(r.n, 3 * SEC);
		mark(&r);
		gw_rewind(r.n, 0, 500, true);
		net_run(r.n, 2 * SEC);
		check(&r, r.n->peer[BRANCH].security_events == 1, "no security event");
		recovered(&r, CRITERION_NONCE_REUSE, 1, 6);
	}
}

static void jitter_delays(void **state)
{
	struct options o = calm();
	struct run r;
	nsec_t delay;

	(void)state;
	o.sw.jitter = SEC;
	r = begin("jitter of up to 1 s", &o);
	net_run(r.n, 3 * SEC);
	mark(&r);
	gw_rewind(r.n, 0, 2000, false);
	net_run(r.n, 3 * SEC);
	delay = last_record(r.n, 0)->delay;
	check(&r, delay > 0 && delay <= SEC, "no delay");
	recovered(&r, CRITERION_PROOF, 1, 0);
}

/*
 * The published rule (detect = pattern); and the same rewind with detection off, which costs as
 * many packets as the numbers went back.
 */
static void pattern_and_off(void **state)
{
	struct options o = calm();
	struct run r;

	(void)state;
	o.sw.detect.mode = DETECT_PATTERN;
	r = begin("pattern: 64 packets", &o);
	net_run(r.n, 3 * SEC);
	mark(&r);
	gw_rewind(r.n, 0, 2000, false);
	net_run(r.n, 3 * SEC);
	recovered(&r, CRITERION_COUNT, 1, 70);

	o.sw.detect.mode = DETECT_OFF;
	r = begin("off", &o);
	net_run(r.n, 3 * SEC);
	mark(&r);
	gw_rewind(r.n, 0, 2000, false);
	net_run(r.n, 3 * SEC);
	check(&r, lost(&r) == 2000, "not exactly the rewind is lost");
	induced_nothing(&r);
}

/* ---- the gate ---- */

/*
 * Proofs whose earlier rekeys helped are never refused: the first three rekeys are sent at once,
 * further ones after a wait.
 */
static void flapping(void **state)
{
	struct options o = calm();
	struct run r;
	struct tunnel_child *k;

	(void)state;
	r = begin("six switchovers in a minute", &o);
	net_run(r.n, 2 * SEC);
	mark(&r);
	for (unsigned i = 0; i < 6; i++) {
		gw_rewind(r.n, 0, 300, false);
		net_run(r.n, 10 * SEC);
	}
	k = peer_child(r.n, BRANCH, 0);
	check(&r, k->recoveries == 6, "not each of them led to a rekey");
	check(&r, k->gate.answers[GATE_QUIET] == 0, "the gate was quiet");
	recovered(&r, CRITERION_PROOF, 1, 0);
}

static void options_at_run_time(void **state)
{
	struct options o = calm();
	char err[OPTION_ERR];
	struct run r;

	(void)state;
	o.sw.detect.mode = DETECT_OFF;
	r = begin("switched on while it runs", &o);
	net_run(r.n, 3 * SEC);
	mark(&r);
	gw_rewind(r.n, 0, 2500, false);
	net_run(r.n, SEC / 2);
	check(&r, peer_child(r.n, BRANCH, 0)->recoveries == 0, "off did something");
	assert_int_equal(
		tunnel_child_set(peer_child(r.n, BRANCH, 0), "detect", "proof", err, r.n->now), 0);
	net_run(r.n, SEC);
	recovered(&r, CRITERION_PROOF, 1, 520 + 36);
}

/* A liveness check of the branch is outstanding when the gateway fails and comes back rewound. */
static void dpd_outstanding(void **state)
{
	struct options o = calm();
	struct run r;

	(void)state;
	r = begin("our liveness check outstanding", &o);
	net_run(r.n, 3 * SEC);
	r.n->cut[GW] = true;
	ike_liveness(peer_conn(r.n, BRANCH)->sa, 0, r.n->now);
	net_run(r.n, 100 * MSEC);
	r.n->cut[GW] = false;
	mark(&r);
	gw_rewind(r.n, 0, 1500, false);
	net_run(r.n, 3 * SEC);
	check(&r, peer_child(r.n, BRANCH, 0)->gate.answers[GATE_IN_PROGRESS] > 0,
	      "the gate was not in-progress");
	recovered(&r, CRITERION_PROOF, 1, 1);
}

/*
 * A routine rekey of the branch is outstanding: it gets the short timers of the ladder, and its
 * result is that of the recovery.
 */
static void our_rekey_outstanding(void **state)
{
	struct options o = calm();
	struct run r;

	(void)state;
	r = begin("our rekey outstanding", &o);
	net_run(r.n, 3 * SEC);
	r.n->cut[BRANCH] = true;
	tunnel_child_rekey(peer_child(r.n, BRANCH, 0), r.n->now);
	net_run(r.n, 50 * MSEC);
	r.n->cut[BRANCH] = false;
	mark(&r);
	gw_rewind(r.n, 0, 1500, false);
	net_run(r.n, 3 * SEC);
	check(&r, peer_child(r.n, BRANCH, 0)->rekeys == 1, "rekeyed more than once");
	recovered(&r, CRITERION_PROOF, 1, 0);
}

/*
 * The gateway rekeys during the branch's random delay: this is the cure, and the branch sends no
 * rekey.
 */
static void their_rekey_during_delay(void **state)
{
	struct options o = calm();
	struct run r;

	(void)state;
	o.sw.jitter = 60 * SEC;
	r = begin("their rekey during our delay", &o);
	net_run(r.n, 3 * SEC);
	mark(&r);
	gw_rewind(r.n, 0, 1500, false);
	net_run(r.n, 10 * MSEC);
	tunnel_child_rekey(peer_child(r.n, GW, 0), r.n->now);
	net_run(r.n, 2 * SEC);
	check(&r, peer_child(r.n, BRANCH, 0)->recoveries == 0, "we rekeyed too");
	recovered(&r, CRITERION_PROOF, 1, 0);
}

/* ---- rung 2, and traffic on a replaced SA ---- */

static void forget_newest(struct net *n)
{
	ike_fault_forget_child(peer_child(n, GW, 0)->current->ike, n->now);
}

/*
 * The gateway comes back without the newest CHILD SA, as from an older copy of its state, and has
 * no SA to send on. After the branch's rekey there is one CHILD SA pair again.
 */
static void child_not_found(void **state)
{
	struct options o = calm();
	struct run r;

	(void)state;
	r = begin("gateway without the CHILD SA", &o);
	net_run(r.n, 2 * SEC);
	forget_newest(r.n);
	net_run(r.n, SEC);
	tunnel_child_rekey(peer_child(r.n, BRANCH, 0), r.n->now);
	net_run(r.n, SEC);
	mark(&r);
	net_run(r.n, SEC);
	check(&r, lost(&r) <= 2, "traffic does not flow again");
	check(&r, peer_child_sas(r.n, BRANCH) == 1 && peer_child_sas(r.n, GW) == 1, "not one pair");
	row(&r);
	net_free(r.n);
}

/*
 * The gateway goes on sending on a replaced CHILD SA, as its copy of the state is older than the
 * newest one. It answers a liveness check, so the branch rekeys the newest CHILD SA, which the
 * gateway does not know: rung 2.
 */
static void older_sa(void **state)
{
	struct options o = calm();
	struct run r;
	struct esp_sa *gw;
	struct aead_key *keep;
	struct esp_out_sa old;

	(void)state;
	r = begin("gateway never learnt of the newest", &o);
	net_run(r.n, 2 * SEC);
	/*
	 * Keeps the gateway's old outbound SA for use after the rekey, as an older copy of the
	 * state has it.
	 */
	gw = peer_sa(r.n, GW, 0);
	old = gw->out;
	keep = gw->out.key;
	gw->out.key = NULL;
	r.n->rate[GW] = 0;
	tunnel_child_rekey(peer_child(r.n, BRANCH, 0), r.n->now);
	net_run(r.n, SEC);
	check(&r, peer_child(r.n, BRANCH, 0)->rekeys == 1, "not rekeyed");
	forget_newest(r.n);
	for (unsigned i = 0; i < 900; i++) {
		uint8_t buf[256];
		struct esp_train t;
		struct esp_sa fake = {.out = old};

		fake.out.key = keep;
		esp_train_init(&t, buf, sizeof(buf));
		esp_seal_dummy(r.n->peer[GW].tunnel->path, &fake, &t, r.n->now);
		esp_train_finish(r.n->peer[GW].tunnel->path, &t);
		old = fake.out;
		net_inject(r.n, BRANCH, true, buf, t.len);
		net_run(r.n, 10 * MSEC);
		if (peer_sa(r.n, GW, 0))
			break;
	}
	aead_key_free(keep);
	check(&r, peer_sa(r.n, GW, 0) != NULL, "the older SA led to no new CHILD SA");
	r.n->rate[GW] = RATE;
	mark(&r);
	net_run(r.n, SEC);
	recovered(&r, CRITERION_OLDER_SA, 2, 2);
}

/* Of what the branch sends, only the first IKE message arrives. */
static bool only_the_request(struct net *n, unsigned from, struct datagram *d)
{
	unsigned *passed = n->hook_ctx;

	return from == GW || (!d->esp && (*passed)++ == 0);
}

static bool one_ike_sa(struct net *n)
{
	return peer_ike_sas(n, BRANCH) == 1;
}

/*
 * The gateway dies between the branch's rekey and its DELETE. The standby has the state of before
 * the rekey: it sends, rewound, on the old CHILD SA, and its message IDs are one behind, so that it
 * answers no request of the branch.
 */
static void dies_before_delete(void **state)
{
	struct options o = calm();
	unsigned passed = 0;
	struct run r;

	(void)state;
	r = begin("gateway dies between rekey and DELETE", &o);
	net_run(r.n, 3 * SEC);
	r.n->hook = only_the_request;
	r.n->hook_ctx = &passed;
	tunnel_child_rekey(peer_child(r.n, BRANCH, 0), r.n->now);
	net_run(r.n, 100 * MSEC);
	check(&r, peer_child(r.n, BRANCH, 0)->rekeys == 1, "not rekeyed");
	ike_fault_forget_child(LIST_FIRST(&peer_child(r.n, GW, 0)->sas)->ike, r.n->now);
	ike_fault_message_ids(peer_conn(r.n, GW)->sa, 1);
	r.n->hook = NULL;
	mark(&r);
	gw_rewind(r.n, 0, 1500, false);
	net_run(r.n, 30 * SEC);
	net_until(r.n, one_ike_sa, 60 * SEC, "the old IKE SA goes");
	/*
	 * From the end of the drain: 5.5 s for the response, and at most 2 s until rung 3
	 * initiates.
	 */
	recovered(&r, CRITERION_OLDER_SA, 3, 7550);
}

/* ---- rung 3 ---- */

static void lose_ike(struct net *n)
{
	ike_fault_forget_sa(peer_conn(n, GW)->sa, n->now);
}

static bool back_up(struct net *n)
{
	return net_is_up(n) && peer_ike_sas(n, BRANCH) == 1 && peer_ike_sas(n, GW) == 1;
}

/*
 * The gateway sends on, rewound, while its IKE does not answer for 6 s. Then it has lost the IKE SA
 * and all CHILD SAs.
 */
static void ike_lost(unsigned children, const char *name)
{
	struct options o = calm();
	struct run r;

	o.children = children;
	r = begin(name, &o);
	net_run(r.n, 3 * SEC);
	mark(&r);
	gw_rewind(r.n, 0, 2000, false);
	r.n->cut[BRANCH] = true; /* no requests arrive: IKE fails, outbound ESP does not */
	net_run(r.n, 6 * SEC);
	lose_ike(r.n);
	r.n->cut[BRANCH] = false;
	net_until(r.n, back_up, 30 * SEC, "one new IKE SA with all children");
	check(&r, peer_child_sas(r.n, BRANCH) == children && peer_child_sas(r.n, GW) == children,
	      "not all children");
	net_run(r.n, 3 * SEC);
	/* Packets are lost from then until rung 3's IKE_SA_INIT is retransmitted. */
	recovered(&r, CRITERION_PROOF, 3, 4000 * children);
}

static void rung_three(void **state)
{
	(void)state;
	ike_lost(1, "gateway without the IKE SA");
	ike_lost(3, "the same with three children");
}

static void message_ids_back(void **state)
{
	struct options o = calm();
	struct run r;

	(void)state;
	o.sw.jitter = 0;
	r = begin("gateway with older message IDs", &o);
	net_run(r.n, SEC);
	for (unsigned i = 0; i < 4; i++) {
		tunnel_child_rekey(peer_child(r.n, i % 2 ? GW : BRANCH, 0), r.n->now);
		net_run(r.n, SEC);
	}
	net_run(r.n, 9 * SEC);
	mark(&r);
	ike_fault_message_ids(peer_conn(r.n, GW)->sa, 2);
	gw_rewind(r.n, 0, 9000, false);
	net_run(r.n, 20 * SEC);
	recovered(&r, CRITERION_PROOF, 3, 0);
}

/*
 * The same, but before any timer expires the gateway sends a request under a message ID that the
 * branch has already answered.
 */
static void message_ids_back_shown(void **state)
{
	struct options o = calm();
	struct run r;

	(void)state;
	r = begin("the same, shown by the gateway's own request", &o);
	net_run(r.n, SEC);
	tunnel_child_rekey(peer_child(r.n, GW, 0), r.n->now);
	net_run(r.n, 9 * SEC);
	mark(&r);
	ike_fault_message_ids(peer_conn(r.n, GW)->sa, 2);
	gw_rewind(r.n, 0, 8000, false);
	net_run(r.n, 100 * MSEC);
	tunnel_child_rekey(peer_child(r.n, GW, 0), r.n->now);
	net_run(r.n, 10 * MSEC);
	check(&r, peer_child(r.n, BRANCH, 0)->current->recovery.record.rung == 3,
	      "the request was not understood");
	net_run(r.n, 5 * SEC);
	recovered(&r, CRITERION_PROOF, 3, 0);
}

/*
 * The gateway refuses the rekey with NO_ADDITIONAL_SAS: a new IKE SA is made beside the old one,
 * whose other children continue and lose no packet.
 */
static void no_additional_sas(void **state)
{
	struct options o = calm();
	struct run r;

	(void)state;
	o.children = 3;
	r = begin("NO_ADDITIONAL_SAS at the rekey", &o);
	net_run(r.n, 3 * SEC);
	mark(&r);
	r.n->peer[GW].tunnel->ike->set.children_max = 0;
	gw_rewind(r.n, 0, 1500, false);
	net_run(r.n, 100 * MSEC);
	r.n->peer[GW].tunnel->ike->set.children_max = 256;
	/*
	 * The other children follow on the new IKE SA while the first one exists: the limit has to
	 * allow them again.
	 */
	net_run(r.n, 5 * SEC);
	net_until(r.n, back_up, 10 * SEC, "one new IKE SA with all children");
	net_run(r.n, SEC);
	check(&r, peer_child_sas(r.n, BRANCH) == 3 && peer_child_sas(r.n, GW) == 3,
	      "not all children");
	check(&r, lost(&r) == r.n->peer[BRANCH].tunnel->path->verdicts[VERDICT_REWOUND],
	      "the other children lost packets too");
	recovered(&r, CRITERION_PROOF, 3, 0);
}

/*
 * The gateway answers TEMPORARY_FAILURE: the branch asks again after 1, 2 and 4 s, then makes a new
 * IKE SA.
 */
static void temporary_failure(void **state)
{
	struct options o = calm();
	struct run r;

	(void)state;
	r = begin("TEMPORARY_FAILURE twice", &o);
	net_run(r.n, 12 * SEC);
	mark(&r);
	peer_conn(r.n, GW)->sa->busy = true;
	gw_rewind(r.n, 0, 11000, false);
	net_run(r.n, 2 * SEC);
	peer_conn(r.n, GW)->sa->busy = false;
	net_run(r.n, 2 * SEC);
	recovered(&r, CRITERION_PROOF, 1, 0);

	r = begin("TEMPORARY_FAILURE for ever", &o);
	net_run(r.n, 20 * SEC);
	mark(&r);
	peer_conn(r.n, GW)->sa->busy = true;
	gw_rewind(r.n, 0, 19000, false);
	net_run(r.n, 6900 * MSEC);
	check(&r, last_record(r.n, 0)->id == 0 && peer_ike_sas(r.n, BRANCH) == 1,
	      "a new IKE SA before the third try");
	net_run(r.n, 5 * SEC);
	recovered(&r, CRITERION_PROOF, 3, 0);
}

/*
 * The first rekey shows that the sides have different groups for PFS: rung 3 makes a new IKE SA,
 * whose first CHILD SA needs no key exchange of its own.
 */
static void pfs_mismatch(void **state)
{
	struct options o = calm();
	struct run r;

	(void)state;
	o.esp = "aes128gcm16-x25519-noesn";
	o.esp_gw = "aes128gcm16-ecp256-noesn";
	r = begin("PFS mismatch at the first rekey", &o);
	net_run(r.n, 3 * SEC);
	mark(&r);
	gw_rewind(r.n, 0, 2000, false);
	net_run(r.n, 10 * SEC);
	recovered(&r, CRITERION_PROOF, 3, 0);
}

/*
 * The gateway refuses the key exchange: the branch asks once more without it, on the same IKE SA.
 */
static void pfs_refused(void **state)
{
	struct options o = calm();
	uint64_t before;
	struct child_conf *conf;
	uint8_t count;
	struct run r;

	(void)state;
	o.esp = "aes128gcm16-x25519-noesn,aes128gcm16-noesn";
	r = begin("a key exchange is refused", &o);
	net_run(r.n, 3 * SEC);
	before = peer_conn(r.n, BRANCH)->sa->our_spi;
	conf = r.n->peer[GW].conf->children;
	count = conf->proposals.count;
	mark(&r);
	conf->proposals.count = 0;
	gw_rewind(r.n, 0, 1500, false);
	net_run(r.n, 4 * MSEC + MSEC / 2);
	conf->proposals.count = count;
	net_run(r.n, 2 * SEC);
	check(&r, peer_conn(r.n, BRANCH)->sa->our_spi == before, "a new IKE SA");
	check(&r, peer_child(r.n, BRANCH, 0)->current->ike->choice.group == GROUP_NONE,
	      "the key exchange was offered again");
	recovered(&r, CRITERION_PROOF, 1, 0);
}

/*
 * A proof during a recovery that a hint began: the recovery goes on with the shorter timers of a
 * proof, and the record names the proof.
 */
static void proof_over_a_hint(void **state)
{
	struct options o = calm();
	struct recovery_record *rec;
	struct run r;

	(void)state;
	r = begin("a proof while a hint's rekey is out", &o);
	net_run(r.n, 3 * SEC);
	rec = &peer_child(r.n, BRANCH, 0)->current->recovery.record;
	mark(&r);
	r.n->cut_ike[GW] = r.n->now + 4 * SEC;
	recovery_confirmed(peer_child(r.n, BRANCH, 0)->current, CRITERION_SILENT, r.n->now);
	net_run(r.n, 100 * MSEC);
	check(&r, rec->criterion == CRITERION_SILENT && rec->rung == 1, "the hint led to nothing");
	gw_rewind(r.n, 0, 1500, false);
	net_run(r.n, 1600 * MSEC);
	check(&r, rec->criterion == CRITERION_PROOF && rec->rung == 3, "the proof did not count");
	/* The request of rung 1 or that of rung 3 may be answered first. */
	net_run(r.n, 20 * SEC);
	recovered(&r, CRITERION_PROOF, last_record(r.n, 0)->rung, 0);
}

/*
 * After a hint the branch waits 5.5 s for a response before rung 3: a slow peer has lost nothing.
 */
static void hint_is_patient(void **state)
{
	struct options o = calm();
	const struct recovery_record *rec;
	struct run r;

	(void)state;
	r = begin("a hint whose request is not answered", &o);
	net_run(r.n, 3 * SEC);
	rec = &peer_child(r.n, BRANCH, 0)->current->recovery.record;
	mark(&r);
	r.n->cut_ike[GW] = r.n->now + 20 * SEC;
	recovery_confirmed(peer_child(r.n, BRANCH, 0)->current, CRITERION_SILENT, r.n->now);
	net_run(r.n, 5400 * MSEC);
	check(&r, rec->rung == 1, "it did not wait");
	net_run(r.n, 200 * MSEC);
	check(&r, rec->rung == 3, "it waits for too long");
	net_free(r.n);
}

/*
 * Marks; then the gateway is rewound and its IKE silent for 60 s, until the branch gives up the IKE
 * SA.
 */
static void lose_ike_sa(struct run *r, uint64_t back)
{
	mark(r);
	r->n->cut_ike[GW] = r->n->now + 1000 * SEC;
	gw_rewind(r->n, 0, back, false);
	net_run(r->n, 60 * SEC);
	check(r, !peer_conn(r->n, BRANCH)->sa || !peer_conn(r->n, BRANCH)->sa->established,
	      "the IKE SA is still there");
}

static struct run begin_unchecked(const char *name)
{
	struct options o = calm();

	o.dpd = NSEC_NEVER;
	return begin(name, &o);
}

/* A CHILD SA whose IKE SA was given up is kept while packets arrive on it, and no longer. */
static void kept_while_packets_come(void **state)
{
	struct run r = begin_unchecked("an SA without an IKE SA");
	struct tunnel_child *k = peer_child(r.n, BRANCH, 0);

	(void)state;
	net_run(r.n, 20 * SEC);
	lose_ike_sa(&r, 19000);
	check(&r, !LIST_EMPTY(&k->sas) && LIST_FIRST(&k->sas)->kept, "its SA is not kept");
	check(&r, lost(&r) == 0, "packets were lost");
	r.n->rate[GW] = 0;
	net_run(r.n, 130 * SEC);
	check(&r, LIST_EMPTY(&k->sas), "it is still there");
	net_free(r.n);
}

/*
 * A CHILD SA is not kept when its hard lifetime, counted in packets, ended before its IKE SA was
 * given up.
 */
static void not_kept_beyond_its_lifetime(void **state)
{
	struct run r = begin_unchecked("a hard lifetime before the IKE SA goes");
	struct tunnel_child *k = peer_child(r.n, BRANCH, 0);

	(void)state;
	net_run(r.n, 5 * SEC);
	/* The lifetime ends after 10 s of traffic from now. */
	tunnel_sa_esp(k->current)->life.hard_packets =
		tunnel_sa_esp(k->current)->in.packets + 10 * RATE;
	lose_ike_sa(&r, 4000);
	check(&r, !tunnel_child_is_kept(k), "it is kept");
	net_free(r.n);
}

/*
 * The gateway's rekey arrives during the branch's random delay, and the branch's response is lost
 * for 1 s: the branch waits for the gateway's rekey and sends none itself.
 */
static void their_rekey_during_our_delay(void **state)
{
	struct options o = options_default();
	struct tunnel_sa *s;
	struct run r;

	(void)state;
	o.sw.jitter = 60 * SEC;
	r = begin("the peer rekeys during our delay", &o);
	net_run(r.n, 3 * SEC);
	mark(&r);
	gw_rewind(r.n, 0, 1500, false);
	net_run(r.n, 20 * MSEC);
	s = peer_child(r.n, BRANCH, 0)->current;
	check(&r, s->recovery.state == RECOVERY_DELAYED, "not delayed");
	/* The delay is random; here it is set to 300 ms. */
	deadline_set(&r.n->peer[BRANCH].tunnel->deadlines, &s->recovery.timer,
		     r.n->now + 300 * MSEC);
	r.n->cut_ike[BRANCH] = r.n->now + SEC;
	ike_child_rekey(peer_child(r.n, GW, 0)->current->ike, 0, r.n->now);
	net_run(r.n, 800 * MSEC);
	check(&r, peer_child(r.n, BRANCH, 0)->recoveries == 0, "ours went on top of it");
	check(&r, peer_child(r.n, BRANCH, 0)->gate.proof.count == 0, "it cost an allowance");
	net_run(r.n, 10 * SEC);
	check(&r, peer_rekeys(r.n, GW) == 1, "more than one rekey");
	recovered(&r, CRITERION_PROOF, 1, 0);
}

/* A late response or old message IDs on another IKE SA do not affect this recovery. */
static void news_of_another_ike_sa(void **state)
{
	static const struct ike_sa other;
	struct options o = calm();
	struct tunnel_child *k;
	struct run r;

	(void)state;
	r = begin("news of another IKE SA", &o);
	k = peer_child(r.n, BRANCH, 0);
	net_run(r.n, 3 * SEC);
	mark(&r);
	r.n->cut_ike[GW] = r.n->now + SEC;
	gw_rewind(r.n, 0, 1500, false);
	net_run(r.n, 100 * MSEC);
	recovery_late(k, &other, "of another one", r.n->now);
	recovery_ike_back(k, &other, r.n->now);
	net_run(r.n, 100 * MSEC);
	check(&r, k->current->recovery.record.rung == 1, "it climbed");
	net_run(r.n, 10 * SEC);
	recovered(&r, CRITERION_PROOF, 1, 0);
}

/*
 * The quiet that refuses a hint does not delay a proof: hints and proofs have separate allowances.
 */
static void proof_over_a_refused_hint(void **state)
{
	struct options o = calm();
	struct tunnel_child *k;
	struct run r;

	(void)state;
	r = begin("a proof while a hint is refused", &o);
	net_run(r.n, 3 * SEC);
	k = peer_child(r.n, BRANCH, 0);
	k->gate.hint.quiet_until = r.n->now + 100 * SEC;
	recovery_confirmed(k->current, CRITERION_INVALID_SPI, r.n->now);
	check(&r, k->current->recovery.state == RECOVERY_REFUSED, "the hint is not refused");
	mark(&r);
	gw_rewind(r.n, 0, 1500, false);
	net_run(r.n, SEC);
	recovered(&r, CRITERION_PROOF, 1, 0);
}

/*
 * detect = pattern: the first FRESH packet during the random delay refutes the pattern, and no
 * rekey is sent.
 */
static void refuted_while_it_waits(void **state)
{
	struct options o = calm();
	const struct tunnel_sa *s;
	struct run r;

	(void)state;
	o.sw.detect.mode = DETECT_PATTERN;
	o.sw.detect.packets = 8;
	o.sw.jitter = 20 * SEC;
	r = begin("a pattern refuted within its delay", &o);
	net_run(r.n, 3 * SEC);
	s = peer_child(r.n, BRANCH, 0)->current;
	gw_rewind(r.n, 0, 100, false);
	net_run(r.n, 50 * MSEC);
	check(&r, s->recovery.state == RECOVERY_DELAYED, "the pattern was not acted upon");
	net_run(r.n, 20 * SEC);
	check(&r, strcmp(last_record(r.n, 0)->outcome, "withdrawn") == 0, "it was not withdrawn");
	induced_nothing(&r);
}

/*
 * The gateway answers TEMPORARY_FAILURE, and is behind a NAT that translates its port, so that the
 * branch cannot initiate rung 3: no request is under way any more. The ladder begins again until
 * the gateway accepts the rekey.
 */
static void nobody_to_call(void **state)
{
	struct options o = calm();
	const struct tunnel_sa *s;
	struct run r;

	(void)state;
	o.branch_answers = true;
	r = begin("nobody to call: the ladder begins again", &o);
	r.n->peer[GW].seen_as = r.n->peer[GW].address;
	r.n->peer[GW].seen_as.port = 31337;
	net_run(r.n, 12 * SEC);
	check(&r, !conn_can_call(peer_conn(r.n, BRANCH)), "the gateway can be called");
	s = peer_child(r.n, BRANCH, 0)->current;
	mark(&r);
	peer_conn(r.n, GW)->sa->busy = true;
	gw_rewind(r.n, 0, 11000, false);
	net_run(r.n, 7100 * MSEC);
	peer_conn(r.n, GW)->sa->busy = false;
	check(&r,
	      s->recovery.state == RECOVERY_RUNNING && s->ike->state == CHILD_STATE_INSTALLED &&
		      !s->ike->ike_sa->outstanding,
	      "something is under way");
	net_run(r.n, 11 * SEC);
	recovered(&r, CRITERION_PROOF, 1, 0);
}

/*
 * `down` during a recovery that waits for a silent gateway: the child stays down until the next
 * `up`.
 */
static void down_during_a_recovery(void **state)
{
	struct options o = calm();
	struct run r;

	(void)state;
	r = begin("down during a recovery", &o);
	net_run(r.n, 3 * SEC);
	r.n->cut_ike[GW] = r.n->now + 8 * SEC;
	gw_rewind(r.n, 0, 1500, false);
	net_run(r.n, 1700 * MSEC);
	check(&r, peer_child(r.n, BRANCH, 0)->current->recovery.record.rung == 3, "not on rung 3");
	tunnel_child_down(peer_child(r.n, BRANCH, 0), r.n->now);
	r.n->rate[GW] = 0;
	net_run(r.n, 100 * SEC);
	check(&r, !peer_child(r.n, BRANCH, 0)->current, "it came up again");
	check(&r, peer_child_sas(r.n, BRANCH) == 0, "an SA is left");
	tunnel_child_up(peer_child(r.n, BRANCH, 0), r.n->now);
	net_until(r.n, net_is_up, 10 * SEC, "up again");
	net_free(r.n);
}

static bool is_about_to_call(struct net *n)
{
	return deadline_is_set(&peer_conn(n, BRANCH)->rung3);
}

/* `down` while a new IKE SA is about to be initiated for the child: it is not made any more. */
static void down_before_the_call(void **state)
{
	struct options o = calm();
	struct run r;

	(void)state;
	r = begin("down before the call of rung 3", &o);
	net_run(r.n, 3 * SEC);
	r.n->cut_ike[GW] = r.n->now + 8 * SEC;
	gw_rewind(r.n, 0, 1500, false);
	net_until(r.n, is_about_to_call, 2 * SEC, "rung 3");
	tunnel_child_down(peer_child(r.n, BRANCH, 0), r.n->now);
	net_run(r.n, 3 * SEC);
	check(&r, peer_ike_sas(r.n, BRANCH) == 1, "a new IKE SA all the same");
	net_free(r.n);
}

/* Drops the gateway's INFORMATIONAL responses. */
static bool lose_answers(struct net *n, unsigned from, struct datagram *d)
{
	struct ike_header h;

	(void)n;
	return from == BRANCH || d->esp || ike_header_parse(d->p, d->len, &h) < 0 ||
	       h.exchange != IKE_INFORMATIONAL || !(h.flags & IKE_FLAG_RESPONSE);
}

/*
 * The gateway rekeys the IKE SA on which a liveness check of the branch is outstanding, so that the
 * response never arrives: the check is repeated on the new IKE SA, and its response leads to a
 * rekey.
 */
static void check_on_an_ike_sa_that_goes(void **state)
{
	struct options o = calm();
	static const struct ike_sa other;
	const struct tunnel_sa *s;
	struct ike_sa *ike;
	struct run r;

	(void)state;
	o.sw.silent_rekey = 5 * SEC;
	r = begin("a check on an IKE SA that goes", &o);
	r.n->rate[GW] = 0;
	r.n->rate[BRANCH] = 100;
	r.n->hook = lose_answers;
	net_run(r.n, 6 * SEC);
	s = peer_child(r.n, BRANCH, 0)->current;
	ike = peer_conn(r.n, BRANCH)->sa;
	check(&r, s->check == CRITERION_SILENT && s->check_on == ike, "no check is out");
	recovery_late(peer_child(r.n, BRANCH, 0), &other, "of another one", r.n->now);
	recovery_answered(peer_child(r.n, BRANCH, 0), &other, r.n->now);
	check(&r, s->check == CRITERION_SILENT, "another IKE SA's answer was taken for it");
	ike_sa_rekey(peer_conn(r.n, GW)->sa, r.n->now);
	net_run(r.n, 100 * MSEC);
	check(&r, peer_conn(r.n, BRANCH)->sa != ike && s->ike, "the IKE SA was not replaced");
	check(&r, s->check == CRITERION_NONE, "the check is still waited for");
	r.n->hook = NULL;
	net_run(r.n, 5 * SEC);
	r.n->rate[GW] = RATE;
	mark(&r);
	net_run(r.n, SEC);
	check(&r, peer_child(r.n, BRANCH, 0)->recoveries == 1, "no rekey was induced");
	recovered(&r, CRITERION_SILENT, 1, 1);
}

/*
 * The SA that is being recovered from is deleted while another CHILD SA of the child, which is
 * older, carries all packets: no rekey is induced, and the recovery counts as successful.
 */
static void older_sa_stands_in(void **state)
{
	struct options o = calm();
	struct child_sa *first;
	struct run r;

	(void)state;
	o.sw.jitter = 10 * SEC;
	r = begin("an older SA stands in", &o);
	net_run(r.n, SEC);
	/* A child that is up is not created again, unless its SA is void. */
	first = peer_child(r.n, GW, 0)->current->ike;
	first->voided = true;
	assert_true(ike_child_create(peer_conn(r.n, GW)->sa, peer_child(r.n, GW, 0)->conf, NULL,
				     r.n->now));
	net_run(r.n, 100 * MSEC);
	first->voided = false;
	check(&r, peer_child_sas(r.n, BRANCH) == 2, "not two SAs");
	net_run(r.n, 2 * SEC);
	mark(&r);
	gw_rewind(r.n, 0, 1500, false);
	net_run(r.n, 10 * MSEC);
	ike_child_delete(peer_child(r.n, GW, 0)->current->ike, r.n->now);
	net_run(r.n, 2 * SEC);
	check(&r, peer_child(r.n, BRANCH, 0)->recoveries == 0, "a rekey was induced");
	check(&r, strcmp(last_record(r.n, 0)->outcome, "recovered") == 0,
	      "not seen to have helped");
	net_free(r.n);
}

/*
 * During the quiet, while the bridge is open, the numbers go back once more, to before those of the
 * bridge. When the quiet ends, the gate is asked again, and the branch recovers.
 */
static void quiet_with_an_open_bridge(void **state)
{
	struct options o = calm();
	struct run r;

	(void)state;
	r = begin("quiet ends with an open bridge", &o);
	net_run(r.n, 20 * SEC);
	peer_child(r.n, BRANCH, 0)->gate.proof.quiet_until = r.n->now + 10 * SEC;
	gw_rewind(r.n, 0, 4000, false);
	net_run(r.n, SEC);
	check(&r, peer_child(r.n, BRANCH, 0)->recoveries == 0, "the gate is not quiet");
	gw_rewind(r.n, 0, 15000, false);
	net_run(r.n, 8 * SEC);
	check(&r, peer_child(r.n, BRANCH, 0)->recoveries == 0, "the gate is not quiet any more");
	net_run(r.n, 2 * SEC);
	mark(&r);
	recovered(&r, CRITERION_PROOF, 1, 0);
}

/*
 * The events of a third lap and of both lifetimes come in one turn, while a recovery from
 * INVALID_SPI waits: one CHILD SA is left.
 */
static void third_lap_and_lifetime(void **state)
{
	struct options o = calm();
	struct tunnel_sa *s;
	struct sad *sad;
	struct run r;

	(void)state;
	o.sw.jitter = SEC;
	r = begin("a third lap and a lifetime in one turn", &o);
	net_run(r.n, 3 * SEC);
	s = peer_child(r.n, BRANCH, 0)->current;
	sad = &r.n->peer[BRANCH].tunnel->path->sad;
	mark(&r);
	recovery_confirmed(s, CRITERION_INVALID_SPI, r.n->now);
	s->recovery.backoff = s->recovery.timer.at - r.n->now + 2 * SEC;
	s->recovery.timer.at = r.n->now + s->recovery.backoff - SEC;
	sad_raise(sad, tunnel_sa_esp(s),
		  ESP_EVENT_THIRD_LAP | ESP_EVENT_SOFT_LIFETIME | ESP_EVENT_HARD_LIFETIME);
	net_run(r.n, 3 * SEC);
	check(&r, peer_child_sas(r.n, BRANCH) == 1, "not one SA");
	net_free(r.n);
}

/* ---- routine rekeys and benign networks ---- */

static void healthy_rekeys(void **state)
{
	struct options o = calm();
	struct run r;
	uint64_t rekeys;

	(void)state;
	o.delay = 100 * MSEC;
	r = begin("a thousand healthy rekeys at 200 ms", &o);
	r.n->rate[GW] = 100;
	net_run(r.n, SEC);
	mark(&r);
	for (unsigned i = 0; i < 1000; i++) {
		tunnel_child_rekey(peer_child(r.n, i % 2 ? GW : BRANCH, 0), r.n->now);
		net_run(r.n, 700 * MSEC);
	}
	rekeys = peer_child(r.n, BRANCH, 0)->rekeys;
	r.n->rate[GW] = 0;
	net_run(r.n, SEC);
	check(&r, rekeys >= 990, "most rekeys did not happen");
	/* Packets that were on the wire at mark() arrived after it: no fewer arrived than sent. */
	check(&r, lost(&r) == 0, "a packet was lost");
	induced_nothing(&r);
}

static void benign_wire(const char *name, unsigned reorder, unsigned dup, nsec_t jitter,
			uint32_t window)
{
	struct options o = calm();
	struct run r;

	o.window = window;
	r = begin(name, &o);
	r.n->reorder = reorder;
	r.n->dup = dup;
	r.n->jitter = jitter;
	net_run(r.n, SEC);
	mark(&r);
	net_run(r.n, 30 * SEC);
	induced_nothing(&r);
}

static void benign(void **state)
{
	(void)state;
	benign_wire("reordering beyond a window of 32", 100, 0, 100 * MSEC, 32);
	benign_wire("10 % duplication", 0, 100, 2 * MSEC, 1024);
	benign_wire("both", 100, 100, 50 * MSEC, 64);
}

static void rebinding(void **state)
{
	struct options o = calm();
	struct run r;

	(void)state;
	r = begin("NAT rebinding", &o);
	r.n->rate[BRANCH] = 100;
	net_run(r.n, SEC);
	mark(&r);
	r.n->peer[BRANCH].seen_as = r.n->peer[BRANCH].address;
	r.n->peer[BRANCH].seen_as.port = 31337;
	net_run(r.n, SEC);
	check(&r, peer_conn(r.n, GW)->sa->remote.port == 31337, "the gateway did not follow");
	induced_nothing(&r);
}

/* Keeps copies of the gateway's first 1,000 ESP packets; tape[0].len is their number. */
static bool record(struct net *n, unsigned from, struct datagram *d)
{
	struct datagram *tape = n->hook_ctx;

	if (from == GW && d->esp && tape[0].len < 1000) {
		struct datagram *t = &tape[1 + tape[0].len++];

		t->len = d->len;
		t->p = malloc(d->len);
		memcpy(t->p, d->p, d->len);
	}
	return true;
}

/*
 * A recording is replayed for a minute while the gateway is silent, and induces nothing; a true
 * rewind after that is recovered from.
 */
static void recorder(void **state)
{
	static struct datagram tape[1001];
	struct options o = calm();
	struct run r;

	(void)state;
	r = begin("a recording replayed for a minute", &o);
	r.n->hook = record;
	r.n->hook_ctx = tape;
	net_run(r.n, 2 * SEC);
	r.n->hook = NULL;
	r.n->rate[GW] = 0;
	for (unsigned i = 0; i < 60000; i++) {
		const struct datagram *t = &tape[1 + i % tape[0].len];

		net_inject(r.n, BRANCH, true, t->p, t->len);
		if (i % 1000 == 0)
			net_run(r.n, SEC);
	}
	check(&r, peer_child(r.n, BRANCH, 0)->recoveries == 0, "a replay induced a rekey");
	r.n->rate[GW] = RATE;
	mark(&r);
	gw_rewind(r.n, 0, 1500, false);
	net_run(r.n, SEC);
	for (unsigned i = 0; i < tape[0].len; i++)
		free(tape[1 + i].p);
	recovered(&r, CRITERION_PROOF, 1, 1);
}

/* ---- packets to the first proof ---- */

#define PROOF_RUNS 300

struct lossy {
	struct seeded rng;
	unsigned percent, sent;
};

/* Drops a share of the gateway's ESP packets, and counts all of them. */
static bool lose_esp(struct net *n, unsigned from, struct datagram *d)
{
	struct lossy *l = n->hook_ctx;

	if (from != GW || !d->esp)
		return true;
	l->sent++;
	return rng_below(&l->rng.rng, 100) >= l->percent;
}

static unsigned sent_until_proof(unsigned percent, uint64_t seed)
{
	struct options o = calm();
	struct lossy l = {.percent = percent};
	const struct esp_sa *sa;
	struct run r;

	o.seed = seed;
	o.delay = MSEC / 10; /* a packet has arrived before the next one is sent */
	r = begin("packets to the first proof", &o);
	seeded_init(&l.rng, seed * 2654435761U + percent);
	r.n->hook = lose_esp;
	r.n->hook_ctx = &l;
	net_run(r.n, 300 * MSEC);
	gw_rewind(r.n, 0, 200, false);
	l.sent = 0;
	sa = tunnel_sa_esp(peer_child(r.n, BRANCH, 0)->current);
	for (unsigned i = 0; sa->in.detector.state != DETECTOR_CONFIRMED; i++) {
		check(&r, i < 400, "no proof within the rewound range");
		net_run(r.n, MSEC / 2);
	}
	net_free(r.n);
	return l.sent;
}

static int by_size(const void *a, const void *b)
{
	const unsigned *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/*
 * A proof is a packet that arrives with a number that had also arrived before the rewind. With loss
 * p, a packet is one with probability (1 - p)^2. So the number of packets until the first proof is
 * geometric: the median and the 99th percentile are as calculated.
 */
static void packets_to_proof(void **state)
{
	static const struct {
		unsigned percent, median, p99;
	} cases[] = {{0, 1, 1}, {1, 1, 2}, {10, 1, 4}, {30, 2, 8}};
	unsigned count[PROOF_RUNS];

	(void)state;
	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		for (unsigned i = 0; i < PROOF_RUNS; i++)
			count[i] = sent_until_proof(cases[c].percent, i + 1);
		qsort(count, PROOF_RUNS, sizeof(count[0]), by_size);
		printf("# %2u %% loss: %u packets sent to the first proof, median; %u p99\n",
		       cases[c].percent, count[PROOF_RUNS / 2], count[PROOF_RUNS * 99 / 100]);
		assert_int_equal(count[PROOF_RUNS / 2], cases[c].median);
		assert_in_range(count[PROOF_RUNS * 99 / 100], 1, cases[c].p99);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rewinds),
		cmocka_unit_test(nonces_repeat),
		cmocka_unit_test(jitter_delays),
		cmocka_unit_test(pattern_and_off),
		cmocka_unit_test(flapping),
		cmocka_unit_test(options_at_run_time),
		cmocka_unit_test(dpd_outstanding),
		cmocka_unit_test(our_rekey_outstanding),
		cmocka_unit_test(their_rekey_during_delay),
		cmocka_unit_test(child_not_found),
		cmocka_unit_test(older_sa),
		cmocka_unit_test(dies_before_delete),
		cmocka_unit_test(rung_three),
		cmocka_unit_test(packets_to_proof),
		cmocka_unit_test(message_ids_back),
		cmocka_unit_test(message_ids_back_shown),
		cmocka_unit_test(no_additional_sas),
		cmocka_unit_test(temporary_failure),
		cmocka_unit_test(pfs_mismatch),
		cmocka_unit_test(pfs_refused),
		cmocka_unit_test(proof_over_a_hint),
		cmocka_unit_test(hint_is_patient),
		cmocka_unit_test(kept_while_packets_come),
		cmocka_unit_test(not_kept_beyond_its_lifetime),
		cmocka_unit_test(their_rekey_during_our_delay),
		cmocka_unit_test(news_of_another_ike_sa),
		cmocka_unit_test(proof_over_a_refused_hint),
		cmocka_unit_test(refuted_while_it_waits),
		cmocka_unit_test(nobody_to_call),
		cmocka_unit_test(down_during_a_recovery),
		cmocka_unit_test(down_before_the_call),
		cmocka_unit_test(check_on_an_ike_sa_that_goes),
		cmocka_unit_test(older_sa_stands_in),
		cmocka_unit_test(quiet_with_an_open_bridge),
		cmocka_unit_test(third_lap_and_lifetime),
		cmocka_unit_test(healthy_rekeys),
		cmocka_unit_test(benign),
		cmocka_unit_test(rebinding),
		cmocka_unit_test(recorder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
