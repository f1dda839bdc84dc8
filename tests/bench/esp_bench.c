/*
 * esp_bench.c - measures esp/ in memory, without a device. SPDX-License-Identifier: ISC
 *
 * usage:
 *   esp_bench cost [ROUNDS [SAS BATCH SIZE]]  time to seal and open a packet, and minus the AEAD's
 *   esp_bench lookup [ROUNDS]                 policy and SA look-ups with 10 to 10,000 SAs
 *   esp_bench suites [ROUNDS]                 each suite and back end, 1 to 32 packets per call
 * and for callgrind, which counts instructions:
 *   esp_bench open MODE COUNT                 opens COUNT packets with detect = MODE
 *   esp_bench find SAS COUNT                  does COUNT look-ups of each kind
 *
 * Prints one JSON object per line. Each figure is the median of the rounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "esp_path.h"
#include "xalloc.h"

#define BATCH	   32
#define BATCHES	   64 /* per round */
#define ROUNDS_MAX 1001
#define SUPER_CAP  ESP_BUFFER_MAX
#define SETTLED	   5000 /* packets per SA before the measurement */

enum { GW, ME };

struct bench {
	struct esp_path *path[2];
	struct policy {
		struct spd_policy p;
		struct ts_list local, remote;
	} * policy[2];
	uint32_t count, *spi[2];
	struct endpoint ep[2];
	struct esp_train train;
	struct pkt_super super;
	uint8_t inner[2048];
	uint8_t *sealed; /* BATCHES trains */
	struct esp_in in[BATCHES];
};

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

/* ---- many SAs between two paths ---- */

static void selector(struct ts_list *l, unsigned net, uint32_t i)
{
	char s[32];

	snprintf(s, sizeof(s), "10.%u.%u.%u/32", net, i >> 8 & 255, i & 255);
	*l = (struct ts_list){.count = 1};
	if (ts_parse(s, &l->ts[0]) < 0)
		abort();
}

static void install(struct bench *b, unsigned side, uint32_t i, enum detect_mode mode)
{
	struct policy *p = &b->policy[side][i];
	uint8_t key[2][SUITE_MAX_KEY];
	struct esp_sa_params sp = {
		.spi_out = b->spi[!side][i],
		.suite = suite_find(ENCR_AES_GCM_16, 128, INTEG_NONE),
		.enc_in = key[side],
		.integ_in = key[side],
		.enc_out = key[!side],
		.integ_out = key[!side],
		.local = &p->local,
		.remote = &p->remote,
		.local_ep = b->ep[side],
		.remote_ep = b->ep[!side],
		.replay_window = 1024,
		.history_packets = 2 << 20,
		.verify_rate = 20000,
		.bridge = true,
		.detect = {
			.mode = mode, .proof_packets = 1, .packets = 64, .interval = NSEC_PER_SEC}};

	for (unsigned s = 0; s < 2; s++)
		memset(key[s], (int)(s + i * 2), sizeof(key[s]));
	selector(&p->local, side == GW ? 2 : 1, i);
	selector(&p->remote, side == GW ? 1 : 2, i);
	if (sad_install(&b->path[side]->sad, b->spi[side][i], &sp, 1) < 0)
		abort();
	p->p.local = &p->local;
	p->p.remote = &p->remote;
	p->p.sa = sad_ref(sad_find(&b->path[side]->sad, b->spi[side][i]));
	if (spd_add(&b->path[side]->devices[0].spd, &p->p) < 0)
		abort();
}

static struct bench *bench_new(uint32_t count, enum detect_mode mode)
{
	struct bench *b = xzalloc(sizeof(*b));

	b->count = count;
	b->sealed = xzalloc((size_t)BATCHES * ESP_BUFFER_MAX);
	for (unsigned side = 0; side < 2; side++) {
		b->path[side] = esp_path_new(256 << 20, &rng_system);
		b->policy[side] = xzalloc(count * sizeof(*b->policy[side]));
		b->spi[side] = xzalloc(count * sizeof(*b->spi[side]));
		for (uint32_t i = 0; i < count; i++)
			b->spi[side][i] = sad_reserve(&b->path[side]->sad);
		if (addr_parse(side ? "192.0.2.1" : "198.51.100.1", &b->ep[side].addr) < 0)
			abort();
		b->ep[side].port = 4500;
	}
	for (uint32_t i = 0; i < count; i++) {
		install(b, GW, i, mode);
		install(b, ME, i, mode);
		/* Different numbers, or the rings of all SAs would be written at the same index. */
		sad_find(&b->path[GW]->sad, b->spi[GW][i])->out.number = i * 37;
	}
	pkt_super_init(&b->super, xzalloc(SUPER_CAP), SUPER_CAP, 0);
	return b;
}

static void bench_free(struct bench *b)
{
	for (unsigned side = 0; side < 2; side++) {
		esp_path_free(b->path[side]);
		free(b->policy[side]);
		free(b->spi[side]);
	}
	free(b->super.base);
	free(b->sealed);
	free(b);
}

/* ---- packets ---- */

/* Makes a UDP packet of len bytes for SA i, from the gateway's net to the other end's. */
static void make_inner(struct bench *b, uint32_t i, uint32_t len)
{
	uint8_t *p = b->inner;

	memset(p, 0xa5, len);
	memset(p, 0, 28);
	p[0] = 0x45;
	put_be16(p + 2, (uint16_t)len);
	p[8] = 64;
	p[9] = 17;
	put_be32(p + 12, 0x0a020000u + i);
	put_be32(p + 16, 0x0a010000u + i);
	put_be16(p + 24, (uint16_t)(len - 20));
}

static void seal_one(struct bench *b, struct esp_train *t, uint32_t i, uint32_t len)
{
	struct esp_out o;

	esp_out_init(&o, b->inner, len, 0);
	put_be32(b->inner + 12, 0x0a020000u + i);
	put_be32(b->inner + 16, 0x0a010000u + i);
	if (esp_route(b->path[GW], &o, 1) != ESP_ROUTE_SEAL ||
	    esp_seal(b->path[GW], &o, t, 1) != ESP_DONE)
		abort();
}

/* Seals BATCHES trains of n packets; returns nanoseconds per packet. */
static double seal_round(struct bench *b, uint32_t n, uint32_t len, uint32_t *at)
{
	/* Trains are close together: 64 KiB apart they would share a few sets of the cache. */
	uint32_t apart = (n * (len + ESP_OVERHEAD_MAX) + 63) & ~63u;
	uint64_t t = clock_ns();

	for (uint32_t k = 0; k < BATCHES; k++) {
		esp_train_init(&b->train, b->sealed + (size_t)k * apart, ESP_BUFFER_MAX);
		for (uint32_t j = 0; j < n; j++)
			seal_one(b, &b->train, (*at)++ % b->count, len);
		esp_train_finish(b->path[GW], &b->train);
		b->in[k] = (struct esp_in){.base = b->train.base,
					   .len = b->train.len,
					   .seg = b->train.seg,
					   .from = b->ep[GW]};
	}
	return (double)(clock_ns() - t) / (BATCHES * n);
}

/* Opens the trains of seal_round; returns nanoseconds per packet. */
static double open_round(struct bench *b, uint32_t n)
{
	uint64_t fresh = b->path[ME]->verdicts[VERDICT_FRESH], t = clock_ns();

	for (uint32_t k = 0; k < BATCHES; k++) {
		while (esp_open(b->path[ME], &b->in[k], &b->super, 1) == ESP_FULL)
			pkt_super_reset(&b->super);
		pkt_super_reset(&b->super);
	}
	t = clock_ns() - t;
	if (b->path[ME]->verdicts[VERDICT_FRESH] - fresh != BATCHES * n)
		abort();
	return (double)t / (BATCHES * n);
}

/* Calls the AEAD alone, with the same bytes and keys; returns nanoseconds per packet. */
static double aead_round(struct bench *b, uint32_t n, uint32_t *at, bool seal)
{
	static struct aead_op op[BATCHES][BATCH];
	uint64_t t;

	for (uint32_t k = 0; k < BATCHES; k++) {
		for (uint32_t j = 0; j < n; j++) {
			uint8_t *p = b->in[k].base + (size_t)j * b->in[k].seg;
			unsigned side = seal ? GW : ME;
			struct esp_sa *sa =
				sad_find(&b->path[side]->sad, b->spi[side][(*at)++ % b->count]);
			struct esp_layout lay;

			if (!esp_frame_split(sa->in.suite, b->in[k].seg, &lay))
				abort();
			op[k][j] = (struct aead_op){.key = seal ? sa->out.key : sa->in.key,
						    .aad = p,
						    .aad_len = 8,
						    .iv = p + lay.iv,
						    .src = p + lay.text,
						    .dst = p + lay.text,
						    .icv = p + lay.icv,
						    .len = lay.text_len};
		}
	}
	t = clock_ns();
	for (uint32_t k = 0; k < BATCHES; k++) {
		if (seal)
			aead_seal_many(op[k], n);
		else
			aead_open_many(op[k], n);
	}
	return (double)(clock_ns() - t) / (BATCHES * n);
}

/* ---- measurements ---- */

static void cost(unsigned rounds, uint32_t sas, uint32_t n, uint32_t len)
{
	struct bench *b = bench_new(sas, DETECT_PROOF);
	static double seal[ROUNDS_MAX], open[ROUNDS_MAX], raw_seal[ROUNDS_MAX],
		raw_open[ROUNDS_MAX], over_seal[ROUNDS_MAX], over_open[ROUNDS_MAX];
	uint32_t at = 0, raw_at = 0;

	make_inner(b, 0, len);
	/* Until all histories have their full size. */
	while (at / sas < SETTLED) {
		seal_round(b, n, len, &at);
		open_round(b, n);
	}
	for (unsigned r = 0; r < rounds; r++) {
		seal[r] = seal_round(b, n, len, &at);
		open[r] = open_round(b, n);
		raw_seal[r] = aead_round(b, n, &raw_at, true);
		raw_open[r] = aead_round(b, n, &raw_at, false);
		over_seal[r] = seal[r] - raw_seal[r];
		over_open[r] = open[r] - raw_open[r];
	}
	printf("{\"measure\": \"cost\", \"sas\": %u, \"batch\": %u, \"size\": %u, "
	       "\"seal_ns\": %.1f, \"seal_over_ns\": %.1f, \"open_ns\": %.1f, "
	       "\"open_over_ns\": %.1f, \"aead_seal_ns\": %.1f, \"aead_open_ns\": %.1f}\n",
	       sas, n, len, median(seal, rounds), median(over_seal, rounds), median(open, rounds),
	       median(over_open, rounds), median(raw_seal, rounds), median(raw_open, rounds));
	bench_free(b);
}

/* Not inlined, as callgrind counts within route_many and find_many. */
__attribute__((noinline)) static void route_many(struct bench *b, uint32_t count, uint32_t *at)
{
	for (uint32_t k = 0; k < count; k++) {
		uint32_t i = (*at)++ * 7919 % b->count;
		struct esp_out o;

		esp_out_init(&o, b->inner, 64, 0);
		put_be32(b->inner + 12, 0x0a020000u + i);
		put_be32(b->inner + 16, 0x0a010000u + i);
		if (esp_route(b->path[GW], &o, 1) != ESP_ROUTE_SEAL)
			abort();
	}
}

__attribute__((noinline)) static void find_many(struct bench *b, uint32_t count, uint32_t *at)
{
	for (uint32_t k = 0; k < count; k++) {
		if (!sad_find(&b->path[ME]->sad, b->spi[ME][(*at)++ * 7919 % b->count]))
			abort();
	}
}

static void lookup(unsigned rounds, uint32_t sas)
{
	struct bench *b = bench_new(sas, DETECT_PROOF);
	static double route[ROUNDS_MAX], find[ROUNDS_MAX];
	uint32_t at = 0;

	make_inner(b, 0, 64);
	for (unsigned r = 0; r < rounds; r++) {
		uint64_t t = clock_ns();

		route_many(b, BATCHES * BATCH, &at);
		route[r] = (double)(clock_ns() - t) / (BATCHES * BATCH);
		t = clock_ns();
		find_many(b, BATCHES * BATCH, &at);
		find[r] = (double)(clock_ns() - t) / (BATCHES * BATCH);
	}
	printf("{\"measure\": \"lookup\", \"sas\": %u, \"route_ns\": %.1f, \"sad_find_ns\": "
	       "%.1f}\n",
	       sas, median(route, rounds), median(find, rounds));
	bench_free(b);
}

static void find_count(uint32_t sas, uint32_t count)
{
	struct bench *b = bench_new(sas, DETECT_PROOF);
	uint32_t at = 0;

	make_inner(b, 0, 64);
	route_many(b, count, &at);
	at = 0;
	find_many(b, count, &at);
	printf("{\"measure\": \"find\", \"sas\": %u, \"lookups\": %u}\n", sas, at);
	bench_free(b);
}

/* Prints the nanoseconds to seal and to open a packet of 1,404 bytes, n packets per call. */
static void suite_cost(unsigned rounds, const struct suite *s, unsigned n)
{
	static uint8_t packet[BATCH][8 + SUITE_MAX_IV + 1504];
	static double seal[ROUNDS_MAX], open[ROUNDS_MAX];
	const uint8_t secret[2 * SUITE_MAX_KEY] = {1, 2, 3};
	struct aead_key *key = aead_key_new(s, secret, secret + SUITE_MAX_KEY);
	struct aead_op op[BATCH];
	const unsigned times = 256 / n;

	for (unsigned i = 0; i < n; i++) {
		uint8_t *p = packet[i], *text = p + 8 + s->iv_len;
		uint32_t len = 1404u / s->block * s->block;

		op[i] = (struct aead_op){.key = key,
					 .aad = p,
					 .aad_len = 8,
					 .iv = p + 8,
					 .src = text,
					 .dst = text,
					 .icv = text + len,
					 .len = len};
	}
	for (unsigned r = 0; r < rounds; r++) {
		uint64_t t0 = clock_ns(), t1;

		for (unsigned k = 0; k < times; k++)
			aead_seal_many(op, n);
		t1 = clock_ns();
		/*
		 * Opening is in place, and with CBC a packet with a wrong ICV costs less: so
		 * packets are sealed again, outside of the measured time, before they are opened.
		 */
		open[r] = 0;
		seal[r] = (double)(t1 - t0) / (times * n);
		for (unsigned k = 0; k < times; k++) {
			aead_seal_many(op, n);
			t0 = clock_ns();
			aead_open_many(op, n);
			open[r] += (double)(clock_ns() - t0);
		}
		open[r] /= times * n;
	}
	printf("{\"measure\": \"suite\", \"suite\": \"%s\", \"backend\": \"%s\", \"batch\": %u, "
	       "\"seal_ns\": %.0f, \"open_ns\": %.0f}\n",
	       s->name, aead_backend_name(key), n, median(seal, rounds), median(open, rounds));
	aead_key_free(key);
}

static void suites(unsigned rounds)
{
	static const unsigned together[] = {1, 2, 4, 8, 16, 32};
	const enum aead_choice choice[] = {AEAD_OPENSSL, AEAD_AUTO};
	char err[256];
	size_t count;
	const struct suite *s = suite_table(&count);

	for (size_t i = 0; i < count; i++) {
		for (unsigned c = 0; c < 2; c++) {
			if (aead_init(choice[c], err, sizeof(err)) < 0)
				abort();
			for (size_t k = 0; k < ARRAY_SIZE(together); k++)
				suite_cost(rounds, &s[i], together[k]);
		}
	}
	aead_fini();
}

static void open_count(const char *name, unsigned count)
{
	static const struct {
		const char *name;
		enum detect_mode mode;
	} modes[] = {{"off", DETECT_OFF},
		     {"proof", DETECT_PROOF},
		     {"pattern", DETECT_PATTERN},
		     {"both", DETECT_BOTH}};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct bench *b;
		uint32_t at = 0;

		if (strcmp(name, modes[i].name) != 0)
			continue;
		b = bench_new(1, modes[i].mode);
		make_inner(b, 0, 1400);
		for (unsigned r = 0; r < count / (BATCHES * BATCH); r++) {
			seal_round(b, BATCH, 1400, &at);
			open_round(b, BATCH);
		}
		printf("{\"measure\": \"open\", \"detect\": \"%s\", \"packets\": %u}\n", name, at);
		bench_free(b);
	}
}

static void costs(unsigned rounds)
{
	static const uint32_t many[] = {1, 1000}, together[] = {1, BATCH}, sizes[] = {64, 1400};

	for (size_t s = 0; s < 2; s++)
		for (size_t n = 0; n < 2; n++)
			for (size_t l = 0; l < 2; l++)
				cost(rounds, many[s], together[n], sizes[l]);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 201;
	char err[256];

	if (rounds < 1 || rounds > ROUNDS_MAX)
		rounds = ROUNDS_MAX;
	if (aead_init(AEAD_AUTO, err, sizeof(err)) < 0)
		return 1;
	if (strcmp(what, "cost") == 0) {
		if (argc == 6)
			cost(rounds, (uint32_t)atoi(argv[3]), (uint32_t)atoi(argv[4]),
			     (uint32_t)atoi(argv[5]));
		else
			costs(rounds);
	} else if (strcmp(what, "lookup") == 0) {
		for (uint32_t sas = 10; sas <= 10000; sas *= 10)
			lookup(rounds, sas);
	} else if (strcmp(what, "suites") == 0) {
		suites(rounds);
	} else if (strcmp(what, "open") == 0 && argc == 4) {
		aead_fini(); /* no ipsec-mb: callgrind does not know the newest instructions */
		open_count(argv[2], (unsigned)atoi(argv[3]));
	} else if (strcmp(what, "find") == 0 && argc == 4) {
		aead_fini();
		find_count((uint32_t)atoi(argv[2]), (uint32_t)atoi(argv[3]));
	} else {
		fprintf(stderr, "usage: esp_bench cost|lookup|suites [ROUNDS] | open MODE COUNT | "
				"find SAS COUNT\n");
		return 2;
	}
	aead_fini();
	return 0;
}
