/*
 * cures_sim.c - simulates the same switchover with each cure. SPDX-License-Identifier: ISC
 *
 * usage: cures_sim [--tunnels 1,10,...] [--active 1,10,100] [--ages 0.1,1,10] [--cures none,...]
 *                  [--rate N] [--limit SECONDS] [--repeats N] [--seed N] [--list]
 *
 * The tunnels are established once per number of tunnels and window size, and the traffic before
 * the switchover is sent once per share of active tunnels. From there, each cell is a forked
 * process that simulates the switchover with one cure. Prints one JSON object per run. As a
 * recorder disturbs the figures, there is a separate run with it.
 */
#include "cures_cell.h"

#include <math.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define FEW	 10 /* active tunnels up to which runs are repeated, as their figures vary */
#define LIST_MAX 16

struct list {
	double v[LIST_MAX];
	unsigned count;
};

static struct settings {
	struct list tunnels, active, ages;
	const char *cures;
	uint32_t rate, repeats;
	double limit;
	uint64_t seed;
} settings = {
	.tunnels = {{1, 10, 100, 1000, 4000}, 5},
	.active = {{1, 10, 100}, 3},
	.ages = {{0.1, 1, 10}, 3},
	.rate = ORIGINAL_RATE,
	.repeats = 5,
	.limit = 30,
	.seed = 1,
};

/* ---- cells ---- */

static bool chosen(const struct cure *c)
{
	size_t len = strlen(c->name);

	for (const char *s = settings.cures; s; s = strchr(s, ',')) {
		s += *s == ',';
		if (strncmp(s, c->name, len) == 0 && (s[len] == ',' || !s[len]))
			return true;
	}
	return !settings.cures;
}

static void print(const struct world *w, const struct cure *c, double age, uint32_t repeat,
		  const struct result *r)
{
	printf("{\"cure\": \"%s\", \"tunnels\": %u, \"active\": %u, \"age\": %g, \"repeat\": %u, "
	       "\"rate\": %u, \"limit\": %g, \"rewound\": %llu, \"ended\": %s, \"lost\": %llu, "
	       "\"within\": %llu, \"worst\": %llu, \"last_s\": %.6f, \"rekeys\": %llu, "
	       "\"ike_up\": %llu, \"cpu_s\": %.6f, \"peak\": %u, \"ran_s\": %.3f, "
	       "\"recorder\": %s, \"resent\": %llu, \"twice\": %llu}\n",
	       c->name, w->count, w->active, age, repeat, w->rate, settings.limit,
	       (unsigned long long)r->rewound, r->ended ? "true" : "false",
	       (unsigned long long)r->lost, (unsigned long long)r->within,
	       (unsigned long long)r->worst, r->last_s, (unsigned long long)r->rekeys,
	       (unsigned long long)r->ike_up, r->cpu_s, r->peak, r->ran_s,
	       w->recorder ? "true" : "false",
	       (unsigned long long)(w->recorder ? recorder_resent(w->recorder) : 0),
	       (unsigned long long)r->twice);
}

/* Forks; returns true in the child, and false in the parent when the child has ended. */
static bool forked(void)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (pid == 0)
		return true;
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		die("a run broke off");
	return false;
}

static void finish(void)
{
	fflush(stdout);
	_exit(0);
}

static void cell(struct world *w, const struct cure *c, double age, uint32_t repeat, bool recorded)
{
	struct result r;

	if (!forked())
		return;
	if (!recorded)
		w->recorder = NULL;
	world_reseed(w, settings.seed + 1000 * repeat);
	cure_apply(w, c);
	r = cure_measure(w, c, age, settings.limit);
	print(w, c, age, repeat, &r);
	finish();
}

static double longest(const struct list *l)
{
	double most = 0;

	for (unsigned i = 0; i < l->count; i++)
		most = l->v[i] > most ? l->v[i] : most;
	return most;
}

/* Runs all cells of one number of active tunnels; sends the traffic before the switchover once. */
static void cells(struct world *w, uint32_t window, uint32_t active)
{
	uint64_t ticks = 2 * (uint64_t)llround(longest(&settings.ages) * ORIGINAL_RATE);
	uint32_t repeats = active <= FEW ? settings.repeats : 1;

	if (!forked())
		return;
	/* rewind_all() needs twice the rewind; a few packets more, as the tunnels take turns. */
	ticks += 4 * active;
	w->recorder = recorder_new(active, ticks / active);
	world_traffic(w, active, settings.rate);
	world_run_ticks(w, ticks);
	for (size_t i = 0; i < CURES; i++) {
		if (cures[i].window != window || !cure_available(&cures[i]) || !chosen(&cures[i]))
			continue;
		for (unsigned a = 0; a < settings.ages.count; a++) {
			for (uint32_t r = 0; r < repeats; r++)
				cell(w, &cures[i], settings.ages.v[a], r, false);
			cell(w, &cures[i], settings.ages.v[a], 0, true);
		}
	}
	finish();
}

static uint32_t active_of(uint32_t tunnels, unsigned i)
{
	double n = tunnels * settings.active.v[i] / 100;

	return n < 1 ? 1 : (uint32_t)llround(n);
}

static void of_tunnels(uint32_t tunnels, uint32_t window)
{
	struct world *w;
	uint32_t last = 0;

	if (!forked())
		return;
	w = world_new(tunnels, window, settings.seed);
	world_bring_up(w);
	for (unsigned i = 0; i < settings.active.count; i++) {
		uint32_t active = active_of(tunnels, i);

		if (active != last)
			cells(w, window, active);
		last = active;
	}
	finish();
}

static bool window_wanted(uint32_t window)
{
	for (size_t i = 0; i < CURES; i++) {
		if (cures[i].window == window && cure_available(&cures[i]) && chosen(&cures[i]))
			return true;
	}
	return false;
}

/* ---- arguments ---- */

static void read_list(struct list *l, const char *text)
{
	char *end;

	l->count = 0;
	do {
		if (l->count == LIST_MAX)
			die("more than %d in a list", LIST_MAX);
		l->v[l->count++] = strtod(text, &end);
		if (end == text || (*end && *end != ',') || l->v[l->count - 1] <= 0)
			die("\"%s\" is no list of numbers", text);
		text = end + 1;
	} while (*end);
}

static void print_cures(void)
{
	for (size_t i = 0; i < CURES; i++)
		printf("{\"cure\": \"%s\", \"window\": %u, \"available\": %s}\n", cures[i].name,
		       cures[i].window, cure_available(&cures[i]) ? "true" : "false");
}

static void argument(const char *name, const char *value)
{
	struct list one;

	if (strcmp(name, "--cures") == 0)
		settings.cures = value;
	else if (strcmp(name, "--tunnels") == 0)
		read_list(&settings.tunnels, value);
	else if (strcmp(name, "--active") == 0)
		read_list(&settings.active, value);
	else if (strcmp(name, "--ages") == 0)
		read_list(&settings.ages, value);
	else {
		read_list(&one, value);
		if (strcmp(name, "--rate") == 0)
			settings.rate = (uint32_t)one.v[0];
		else if (strcmp(name, "--limit") == 0)
			settings.limit = one.v[0];
		else if (strcmp(name, "--repeats") == 0)
			settings.repeats = (uint32_t)one.v[0];
		else if (strcmp(name, "--seed") == 0)
			settings.seed = (uint64_t)one.v[0];
		else
			die("no option %s", name);
	}
}

int main(int argc, char **argv)
{
	static const uint32_t windows[] = {WINDOW_USUAL, WINDOW_WIDE, 0};

	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		print_cures();
		return 0;
	}
	for (int i = 1; i < argc; i += 2) {
		if (i + 1 == argc)
			die("%s: a value is missing", argv[i]);
		argument(argv[i], argv[i + 1]);
	}
	for (unsigned t = 0; t < settings.tunnels.count; t++) {
		for (size_t i = 0; i < ARRAY_SIZE(windows); i++) {
			if (window_wanted(windows[i]))
				of_tunnels((uint32_t)settings.tunnels.v[t], windows[i]);
		}
	}
	return 0;
}
