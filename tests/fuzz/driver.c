/*
 * driver.c - runs a fuzz target with its corpus, with seeded mutations of the corpus, and with
 * published captures. SPDX-License-Identifier: ISC
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#define INPUT_MAX 65536
#define INPUTS	  4096
#ifndef MUTATIONS
#define MUTATIONS 20000
#endif

struct input {
	uint8_t *p;
	size_t len;
};

static struct input corpus[INPUTS];
static unsigned corpus_count;

static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static void keep(const uint8_t *p, size_t len)
{
	if (corpus_count == INPUTS || len > INPUT_MAX)
		return;
	corpus[corpus_count].p = malloc(len ? len : 1);
	memcpy(corpus[corpus_count].p, p, len);
	corpus[corpus_count++].len = len;
}

/* Passes a copy of exactly the right size, so that sanitizers see a read beyond its end. */
static void run(const uint8_t *p, size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);

	memcpy(exact, p, len);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
}

static unsigned load_folder(const char *path, bool captures)
{
	static uint8_t buf[1 << 20];
	struct dirent **names;
	unsigned before = corpus_count;
	int n = scandir(path, &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char full[1024];
		FILE *f;
		size_t len;

		snprintf(full, sizeof(full), "%s/%s", path, names[i]->d_name);
		f = names[i]->d_name[0] != '.' ? fopen(full, "rb") : NULL;
		free(names[i]);
		if (!f)
			continue;
		len = fread(buf, 1, sizeof(buf), f);
		fclose(f);
		if (!captures) {
			keep(buf, len);
			continue;
		}
		/*
		 * Whatever the link layer: takes every place that could be a UDP header with port
		 * 500 or 4500.
		 */
		for (size_t at = 24; at + 36 < len; at++) {
			unsigned sport = buf[at] << 8 | buf[at + 1],
				 dport = buf[at + 2] << 8 | buf[at + 3],
				 ulen = buf[at + 4] << 8 | buf[at + 5];

			if ((sport == 500 || dport == 500 || sport == 4500 || dport == 4500) &&
			    ulen > 8 && at + ulen <= len)
				keep(buf + at + 8, ulen - 8);
		}
	}
	if (n >= 0)
		free(names);
	return corpus_count - before;
}

static size_t mutate(uint64_t *s, uint8_t *out)
{
	const struct input *a = &corpus[next_random(s) % corpus_count];
	size_t len = a->len;

	memcpy(out, a->p, len);
	if (next_random(s) % 4 == 0) { /* splice: the head of one input, the tail of another */
		const struct input *b = &corpus[next_random(s) % corpus_count];
		size_t cut = len ? next_random(s) % len : 0,
		       from = b->len ? next_random(s) % b->len : 0;

		len = cut + (b->len - from);
		if (len > INPUT_MAX)
			len = INPUT_MAX;
		memcpy(out + cut, b->p + from, len - cut);
	}
	for (unsigned n = (unsigned)(next_random(s) % 6); n > 0 && len > 0; n--) {
		size_t at = next_random(s) % len;

		switch (next_random(s) % 4) {
		case 0: out[at] = (uint8_t)next_random(s); break;
		case 1: out[at] ^= (uint8_t)(1u << next_random(s) % 8); break;
		case 2: out[at] = next_random(s) % 2 ? 0xff : 0; break;
		default: len = at; break;
		}
	}
	return len;
}

int main(void)
{
	static uint8_t buf[2 * INPUT_MAX];
	const char *vectors = getenv("MENDIP_VECTORS");
	uint64_t seed = 88172645463325252ULL;
	unsigned files = load_folder(FUZZ_CORPUS, false);
	char path[512];

	for (unsigned i = 0; i < corpus_count; i++)
		run(corpus[i].p, corpus[i].len);
	printf("%s %s corpus (%u inputs)\n", files ? "ok" : "not ok", FUZZ_NAME, files);
	if (vectors && strncmp(FUZZ_NAME, "ike", 3) == 0) {
		unsigned more;

		snprintf(path, sizeof(path), "%s/captures", vectors);
		more = load_folder(path, true);
		snprintf(path, sizeof(path), "%s/ikev2-seeds", vectors);
		more += load_folder(path, false);
		for (unsigned i = files; i < corpus_count; i++)
			run(corpus[i].p, corpus[i].len);
		printf("%s %s captures and seeds (%u inputs)\n", more ? "ok" : "not ok", FUZZ_NAME,
		       more);
	}
	for (unsigned i = 0; corpus_count && i < MUTATIONS; i++)
		run(buf, mutate(&seed, buf));
	printf("ok %s mutations (%u)\n", FUZZ_NAME, MUTATIONS);
	for (unsigned i = 0; i < corpus_count; i++)
		free(corpus[i].p);
	return files ? 0 : 1;
}
