/*
 * t_runs.c - thousands of random runs of two peers. SPDX-License-Identifier: ISC
 *
 * Each seed draws a scenario (draw.h), which is run. MENDIP_RUNS sets the number of runs and
 * MENDIP_FROM the first seed. MENDIP_SEED runs a single seed and prints its log. MENDIP_KEEP names
 * a folder for the text of each run that fails, which can be kept as a file of
 * tests/exchange/scenarios. Packets are encrypted by intel-ipsec-mb where it is available, and by
 * OpenSSL with MENDIP_CRYPTO=openssl.
 */
#include "crypto/aead.h"
#include "draw.h"
#include "scenario.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define RUNS	 500 /* test_more_runs.py continues after these */
#define TEXTS	 2   /* failures whose scenario is printed */
#define FAILURES 30  /* failures that are reported */
#define PROGRESS 10000

static volatile uint64_t running;

/* Prints the seed of a run that crashes; a signal handler may call write() only. */
static void on_crash(int sig)
{
	char digits[24];
	size_t at = sizeof(digits);
	uint64_t v = running;
	ssize_t ignored;

	digits[--at] = '\n';
	do
		digits[--at] = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	ignored = write(STDERR_FILENO, "# the run crashed; again with MENDIP_SEED=", 42);
	ignored = write(STDERR_FILENO, digits + at, sizeof(digits) - at);
	(void)ignored;
	signal(sig, SIG_DFL);
	raise(sig);
}

static void keep(const struct draw *d, uint64_t seed, const char *why)
{
	const char *folder = getenv("MENDIP_KEEP");
	char path[512];
	FILE *f;

	if (!folder)
		return;
	snprintf(path, sizeof(path), "%s/run-%llu.txt", folder, (unsigned long long)seed);
	f = fopen(path, "w");
	if (!f) {
		print_error("# %s cannot be written\n", path);
		return;
	}
	fprintf(f, "# %s\n%s", why, d->text);
	fclose(f);
}

static void tell(const struct draw *d, uint64_t seed, const char *why, bool whole)
{
	print_error("# %s; again with MENDIP_SEED=%llu\n", why, (unsigned long long)seed);
	if (whole)
		print_error("---- the scenario, which can be kept as a file ----\n%s----\n",
			    d->text);
}

static bool one_run(uint64_t seed, bool loud, struct draw *d, char *why)
{
	char name[32];

	running = seed;
	draw_scenario(d, seed);
	snprintf(name, sizeof(name), "run %llu", (unsigned long long)seed);
	return scenario_run(name, d->text, loud, why);
}

static void single(uint64_t seed)
{
	static struct draw d;
	char why[SCENARIO_WHY];

	if (one_run(seed, true, &d, why))
		return;
	keep(&d, seed, why);
	tell(&d, seed, why, true);
	fail_msg("%s", why);
}

static void drawn_runs(void **state)
{
	uint64_t runs = number_from_env("MENDIP_RUNS", RUNS),
		 from = number_from_env("MENDIP_FROM", 1), failed = 0;
	static struct draw d;
	char why[SCENARIO_WHY];

	(void)state;
	signal(SIGSEGV, on_crash);
	signal(SIGABRT, on_crash);
	if (getenv("MENDIP_SEED")) {
		single(number_from_env("MENDIP_SEED", 1));
		return;
	}
	for (uint64_t i = 0; i < runs; i++) {
		if (!one_run(from + i, false, &d, why)) {
			keep(&d, from + i, why);
			if (failed++ < FAILURES)
				tell(&d, from + i, why, failed <= TEXTS);
		}
		if ((i + 1) % PROGRESS == 0)
			print_message("# seeds %llu to %llu: %llu failed\n",
				      (unsigned long long)from, (unsigned long long)(from + i),
				      (unsigned long long)failed);
	}
	print_message("# %llu runs in %.1f s of CPU: %llu failed\n", (unsigned long long)runs,
		      (double)clock() / CLOCKS_PER_SEC, (unsigned long long)failed);
	print_message("# what was on the wire: %016llx\n", (unsigned long long)net_wire_sum);
	if (failed)
		fail_msg("%llu of %llu runs failed", (unsigned long long)failed,
			 (unsigned long long)runs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(drawn_runs)};
	const char *crypto = getenv("MENDIP_CRYPTO");
	char err[200];

	setvbuf(stdout, NULL, _IOLBF, 0);
	if ((!crypto || strcmp(crypto, "openssl") != 0) &&
	    aead_init(AEAD_AUTO, err, sizeof(err)) < 0)
		abort(); /* AEAD_AUTO falls back to OpenSSL */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
