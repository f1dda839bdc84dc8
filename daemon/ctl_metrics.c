/* ctl_metrics.c - see ctl_metrics.h. SPDX-License-Identifier: ISC */
#include "ctl_metrics.h"
#include "base.h"
#include "classic.h"
#include "xalloc.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODE 0644 /* node_exporter runs as a user of its own */

bool metrics_format_parse(const char *name, struct metrics_output *ret)
{
	ret->classic = strcmp(name, "prometheus") == 0;
	return ret->classic || strcmp(name, "openmetrics") == 0;
}

/* 0 or -errno; closes fd. */
static int write_all(int fd, const char *text)
{
	FILE *f = fdopen(fd, "w");
	bool good = f && fchmod(fd, MODE) == 0 && fputs(text, f) >= 0;
	int e = good ? 0 : -errno;

	if (!f)
		close(fd);
	else if (fclose(f) != 0 && good)
		e = -errno;
	return e;
}

/* A device or a pipe must not become a file, nor a link's target stay as it was. */
static bool is_replaceable(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 || S_ISREG(st.st_mode);
}

/* 0 or -errno. The file beside it has a name that no collector of *.prom reads. */
static int replace(const char *path, const char *text)
{
	char *beside = xasprintf("%s.XXXXXX", path);
	int fd = mkstemp(beside), e = fd < 0 ? -errno : write_all(fd, text);

	if (e == 0 && rename(beside, path) < 0)
		e = -errno;
	if (e < 0 && fd >= 0)
		unlink(beside);
	free(beside);
	return e;
}

int metrics_write(const struct metrics_output *to, const char *text)
{
	char *classic = to->classic ? metrics_classic(text) : NULL;
	int e = 0;

	if (classic)
		text = classic;
	if (to->path && !is_replaceable(to->path)) {
		fprintf(stderr,
			"mendipctl: %s: is no regular file, and is not replaced by one: without "
			"--output the metrics go to the standard output\n",
			to->path);
		e = -EINVAL;
	} else if (to->path) {
		e = replace(to->path, text);
		if (e < 0)
			fprintf(stderr, "mendipctl: %s: %s: the metrics are not written\n",
				to->path, strerror(-e));
	}
	if (!to->path)
		fputs(text, stdout); /* main() says whether that went well */
	free(classic);
	return e;
}
