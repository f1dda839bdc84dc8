/* config_access.c - see config_access.h. SPDX-License-Identifier: ISC */
#include "config_access.h"
#include "xalloc.h"

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE_SIZE 2048

struct conf_read {
	enum conf_read_kind kind;
	char *where;
	char *path; /* absolute, as the configuration names it */
	char *real; /* without symbolic links; NULL before conf_can_read, or if root finds none */
};

/* Owned. */
static char *absolute(const char *path)
{
	char *here = *path == '/' ? NULL : realpath(".", NULL);
	char *whole = here ? xasprintf("%s/%s", here, path) : xstrdup(path);

	free(here);
	return whole;
}

void conf_reads_add(struct config *c, enum conf_read_kind kind, const char *where, const char *path)
{
	c->reads = xreallocarray(c->reads, c->read_count + 1, sizeof(*c->reads));
	c->reads[c->read_count++] =
		(struct conf_read){.kind = kind, .where = xstrdup(where), .path = absolute(path)};
}

void conf_reads_free(struct config *c)
{
	for (unsigned i = 0; i < c->read_count; i++) {
		free(c->reads[i].where);
		free(c->reads[i].path);
		free(c->reads[i].real);
	}
	free(c->reads);
}

static bool can_read(const struct conf_read *f)
{
	int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK, fd;

	if (f->kind == CONF_READ_MISSING)
		return access(f->path, F_OK) == 0 || errno == ENOENT;
	fd = open(f->path, f->kind == CONF_READ_FOLDER ? flags | O_DIRECTORY : flags);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* The uppermost folder of the path that we may not enter; owned. NULL: none. */
static char *closed_folder(const char *path)
{
	char *folder = xstrdup(path);

	for (char *p = strchr(folder + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (access(folder, X_OK) < 0)
			return folder;
		*p = '/';
	}
	free(folder);
	return NULL;
}

static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* What the process that looks knows of before it becomes the user. */
struct look {
	const struct passwd *pw;
	char *group;  /* name of the user's own group */
	char *folder; /* of the configuration */
	conf_say_line *say;
	void *ctx;
};

/* How to mend it. Folders above our own are the business of others: there the file is to move. */
static void advise_fix(const struct look *l, const struct conf_read *f, char *out, size_t size)
{
	char *closed = f->real ? closed_folder(f->real) : NULL;

	if (!closed)
		closed = closed_folder(f->path);
	if (closed && !is_below(closed, l->folder))
		snprintf(out, size, "%s is closed to it: move the file below %s", closed,
			 l->folder);
	else if (closed || f->kind == CONF_READ_FOLDER)
		snprintf(out, size, "chgrp %s %s && chmod g+rx %s", l->group,
			 closed ? closed : f->path, closed ? closed : f->path);
	else
		snprintf(out, size, "chgrp %s %s && chmod g+r %s", l->group, f->path, f->path);
	free(closed);
}

static bool look_at(const struct look *l, const struct conf_read *f)
{
	char line[LINE_SIZE], fix[LINE_SIZE / 2];
	const char *why;

	if (can_read(f))
		return true;
	why = strerror(errno);
	advise_fix(l, f, fix, sizeof(fix));
	snprintf(line, sizeof(line),
		 "%s: the user %s cannot read %s (%s), so a reload would fail, and a start as that "
		 "user: %s",
		 f->where, l->pw->pw_name, f->path, why, fix);
	conf_make_printable(line);
	l->say(l->ctx, line);
	return false;
}

/* In the order of reading. False: one of them cannot be read. */
static bool look_at_all(const struct look *l, const struct config *c)
{
	bool good = true;

	for (unsigned i = 0; i < c->read_count; i++)
		good = look_at(l, &c->reads[i]) && good;
	return good;
}

/* For good: the process gives up all rights of root. */
static bool become(const struct passwd *pw)
{
	return initgroups(pw->pw_name, pw->pw_gid) == 0 &&
	       setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) == 0 &&
	       setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) == 0;
}

static bool look_as(const struct config *c, const struct passwd *pw, conf_say_line *say, void *ctx)
{
	const struct group *g = getgrgid(pw->pw_gid);
	struct look l = {pw, xstrdup(g ? g->gr_name : pw->pw_name), realpath(c->folder, NULL), say,
			 ctx};
	char line[LINE_SIZE];
	bool good = false;

	for (unsigned i = 0; i < c->read_count; i++)
		c->reads[i].real = realpath(c->reads[i].path, NULL); /* as root */
	if (l.folder && become(pw)) {
		good = look_at_all(&l, c);
	} else {
		snprintf(line, sizeof(line),
			 "it is not known what the user %s can read, as we cannot become that "
			 "user: %s",
			 pw->pw_name, strerror(errno));
		say(ctx, line);
	}
	free(l.group);
	free(l.folder);
	return good;
}

bool conf_can_read(const struct config *c, const struct passwd *pw, conf_say_line *say, void *ctx)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit(look_as(c, pw, say, ctx) ? 0 : 1);
	if (pid < 0 || waitpid(pid, &status, 0) < 0) {
		say(ctx, "it is not known what the daemon's user can read: no process for it");
		return false;
	}
	if (!WIFEXITED(status)) {
		say(ctx, "it is not known what the daemon's user can read: the process that looked "
			 "has crashed");
		return false;
	}
	return WEXITSTATUS(status) == 0;
}
