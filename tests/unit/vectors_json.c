/* vectors_json.c - see vectors_json.h. SPDX-License-Identifier: ISC */
#include "vectors_json.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BUFFERS 32 /* more than one case needs */

static char unpacked[64];

static int nibble(char c)
{
	return c >= 'a' ? c - 'a' + 10 : c >= 'A' ? c - 'A' + 10 : c - '0';
}

struct chunk vec_hex(const json_t *o, const char *key)
{
	static uint8_t buf[BUFFERS][VECTOR_MAX];
	static unsigned next;
	uint8_t *to = buf[next++ % BUFFERS];
	const char *s = json_string_value(json_object_get(o, key));
	size_t n = s ? strlen(s) / 2 : 0;

	if (n > VECTOR_MAX)
		fail_msg("%s: too long", key);
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)(nibble(s[2 * i]) << 4 | nibble(s[2 * i + 1]));
	return (struct chunk){to, n};
}

const char *vec_str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

void vec_need(void)
{
	if (getenv("MENDIP_VECTORS"))
		return;
	print_message("# SKIP MENDIP_VECTORS names no folder of published vectors\n");
	skip();
}

static json_t *load(const char *path)
{
	json_error_t e;
	json_t *o = json_load_file(path, 0, &e);

	if (!o)
		fail_msg("%s: %s", path, e.text);
	return o;
}

json_t *vec_load(const char *path)
{
	char full[512];

	snprintf(full, sizeof(full), "%s/%s", getenv("MENDIP_VECTORS"), path);
	return load(full);
}

static void remove_unpacked(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", unpacked);
	if (system(command) != 0)
		fprintf(stderr, "%s was not removed\n", unpacked);
}

void wycheproof_unpack(void)
{
	char command[700];

	if (*unpacked)
		return;
	strcpy(unpacked, "/tmp/mendip-vectors-XXXXXX");
	if (!mkdtemp(unpacked))
		fail_msg("no temporary folder");
	atexit(remove_unpacked);
	snprintf(command, sizeof(command), "tar -C '%s' -xzf '%s/wycheproof/vectors.tar.gz'",
		 unpacked, getenv("MENDIP_VECTORS"));
	if (system(command) != 0)
		fail_msg("the archive of Wycheproof cannot be unpacked");
}

json_t *wycheproof_load(const char *name)
{
	char full[200];

	wycheproof_unpack();
	snprintf(full, sizeof(full), "%s/%s_test.json", unpacked, name);
	return load(full);
}

void vec_report(const char *kind, unsigned cases)
{
	printf("# %-44s %5u cases\n", kind, cases);
	assert_true(cases > 0);
}
