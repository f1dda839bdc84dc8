/* config.c - reads all files into one configuration; see config.h. SPDX-License-Identifier: ISC */
#include "config.h"
#include "config_access.h"
#include "config_auth.h"
#include "config_files.h"
#include "config_hint.h"
#include "config_option.h"
#include "scan.h"
#include "xalloc.h"

#include <fcntl.h>
#include <glob.h>
#include <ifaddrs.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_MAX    (4u << 20)
#define TRY_SECONDS 10

/*
 * How the child process that tries the files ends. Libraries end a process by 1, 2 or abort() when
 * there is no memory: none of these says that the files are wrong.
 */
enum tried { TRIED_GOOD = 0, TRIED_FAULT = 10, TRIED_MAY_PASS = 11 };

void conf_note_lack(struct config *c, int error)
{
	c->may_pass = c->may_pass || error == EMFILE || error == ENFILE || error == ENOMEM;
}

/* The text of a regular file, NUL-terminated; the caller frees it. NULL with err. */
static char *slurp(struct config *c, const char *path, size_t *ret_len, struct stat *st, char *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const char *why;
	char *text;
	ssize_t n;

	if (fd < 0 || fstat(fd, st) < 0) {
		conf_note_lack(c, errno);
		snprintf(err, CONFIG_ERR, "%s: cannot be read: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	if (!S_ISREG(st->st_mode) || st->st_size > FILE_MAX) {
		snprintf(err, CONFIG_ERR, "%s: not a regular file, or larger than 4 MiB", path);
		close(fd);
		return NULL;
	}
	if (!conf_is_safe(fd, path, &why)) {
		snprintf(err, CONFIG_ERR, "%s: %s", path, why);
		close(fd);
		return NULL;
	}
	text = xzalloc((size_t)st->st_size + 1);
	n = read(fd, text, (size_t)st->st_size);
	close(fd);
	if (n != st->st_size) {
		snprintf(err, CONFIG_ERR, "%s: cannot be read completely", path);
		secret_free(text, (size_t)st->st_size);
		return NULL;
	}
	*ret_len = (size_t)n;
	return text;
}

/* libconfig has refused the text; a better reason than its own is sought. */
static void explain(const char *path, const config_t *lib, const char *text, size_t len, char *err)
{
	unsigned line = (unsigned)config_error_line(lib);
	char why[HINT_MAX];
	const char *said = config_error_text(lib);
	bool known = strcmp(said, "duplicate setting name") == 0
			     ? conf_hint_twice(text, len, &line, why)
			     : conf_hint(text, len, &line, why);

	if (strcmp(said, "mismatched element type in array") == 0)
		said = "the values in [ ] must be of one kind: put each in double quotes";
	snprintf(err, CONFIG_ERR, "%.100s:%u: %s", path, line, known ? why : said);
}

static int parse_text(struct config *c, const char *path, char *text, size_t len,
		      const struct stat *st, bool main_file, char *err)
{
	struct conf_secrets secrets;
	config_t lib;
	int r = -EINVAL;

	conf_take_secrets(text, len, &secrets);
	config_init(&lib);
	if (config_read_string(&lib, text) != CONFIG_TRUE) {
		explain(path, &lib, text, len, err);
	} else {
		struct conf_reader r_ctx = {.config = c,
					    .path = path,
					    .err = err,
					    .mode = st->st_mode,
					    .main_file = main_file,
					    .secrets = secrets};

		r = conf_read_tree(&r_ctx, config_root_setting(&lib));
		conf_options_fini(&r_ctx);
		if (r_ctx.own)
			freeifaddrs(r_ctx.own);
	}
	conf_secrets_free(&secrets);
	config_destroy(&lib);
	return r;
}

static int check_and_parse(struct config *c, const char *path, char *text, size_t len,
			   const struct stat *st, bool main_file, char *err)
{
	char hint[HINT_MAX];
	const char *why;
	unsigned line;

	if (conf_scan(text, len, &line, &why))
		return parse_text(c, path, text, len, st, main_file, err);
	if (conf_hint_foreign(text, len, &line, hint))
		why = hint;
	snprintf(err, CONFIG_ERR, "%.100s:%u: %s", path, line, why);
	return -EINVAL;
}

static int read_file(struct config *c, const char *path, bool main_file, char *err)
{
	struct stat st;
	size_t len;
	char *text = slurp(c, path, &len, &st, err);
	int r;

	if (!text)
		return -EINVAL;
	conf_reads_add(c, CONF_READ_FILE, path, path);
	r = check_and_parse(c, path, text, len, &st, main_file, err);
	secret_free(text, len);
	return r;
}

/* A missing folder is no error; one that cannot be read is. */
static int on_glob_error(const char *path, int error)
{
	(void)path;
	return error != ENOENT;
}

static int read_folder(struct config *c, const char *folder, char *err)
{
	char *pattern = xasprintf("%s/*.conf", folder);
	glob_t g = {0};
	int r, e = 0;

	conf_reads_add(c, access(folder, F_OK) == 0 ? CONF_READ_FOLDER : CONF_READ_MISSING, folder,
		       folder);
	r = glob(pattern, 0, on_glob_error, &g);
	if (r != 0 && r != GLOB_NOMATCH) {
		conf_note_lack(c, r == GLOB_NOSPACE ? ENOMEM : errno);
		snprintf(err, CONFIG_ERR, "%s: cannot be read: %s", pattern, strerror(errno));
		e = -EINVAL;
	}
	for (size_t i = 0; e == 0 && r == 0 && i < g.gl_pathc; i++)
		e = read_file(c, g.gl_pathv[i], false, err);
	globfree(&g);
	free(pattern);
	return e;
}

/* What is needed only while the files are read. */
static void free_help(struct config *c)
{
	conf_files_free(c->files);
	conf_trusts_free(c->trusts);
	conf_places_free(&c->pools_at);
	conf_places_free(&c->psks_at);
	conf_places_free(&c->ppks_at);
	conf_places_free(&c->eaps_at);
	conf_places_free(&c->children_at);
	c->files = NULL;
	c->trusts = NULL;
}

static void doubt_empty(struct config *c, const char *path)
{
	char *place = xasprintf("%s:1", path);

	conf_doubt_at(c, place,
		      "there is no connection, here or in conf.d/: nothing goes through a tunnel; "
		      "mendip.conf(5), EXAMPLES, shows one");
	free(place);
}

/* The configuration is complete: checks it, or frees it. */
static struct config *finish(struct config *c, int r, char *err, bool *ret_may_pass)
{
	conn_names_free(c->names);
	c->names = NULL;
	if (r == 0)
		r = conf_finish(c, err);
	free_help(c);
	*ret_may_pass = r < 0 && c->may_pass;
	if (r == 0)
		return c;
	conf_free(c);
	return NULL;
}

/* An empty configuration; its files will be in the folder of path. */
static struct config *begin(const char *path)
{
	struct config *c = xzalloc(sizeof(*c));
	char *copy = xstrdup(path);

	conf_defaults(c);
	c->folder = xstrdup(dirname(copy));
	c->names = conn_names_new(&c->conns);
	free(copy);
	return c;
}

static struct config *read_all(const char *path, char *err, bool *ret_may_pass)
{
	struct config *c = begin(path);
	char *folder = xasprintf("%s/conf.d", c->folder);
	int r = read_file(c, path, true, err);

	if (r == 0)
		r = read_folder(c, folder, err);
	free(folder);
	if (r == 0 && c->conns.count == 0)
		doubt_empty(c, path);
	return finish(c, r, err, ret_may_pass);
}

struct config *conf_load_text(const char *name, const char *text, char *err)
{
	struct config *c = begin(name);
	const struct stat st = {.st_mode = 0600};
	size_t len = strlen(text);
	char *copy = xstrdup(text);
	int r = check_and_parse(c, name, copy, len, &st, true, err);
	bool may_pass;

	secret_free(copy, len);
	return finish(c, r, err, &may_pass);
}

/* The end of the child process: writes what is wrong to the pipe. */
static void __attribute__((noreturn)) try_and_exit(const char *path, int to)
{
	char why[CONFIG_ERR] = "";
	bool may_pass;
	struct config *c;

	alarm(TRY_SECONDS);
	c = read_all(path, why, &may_pass);
	if (c)
		_exit(TRIED_GOOD);
	if (write(to, why, strlen(why)) < 0)
		may_pass = true;
	_exit(may_pass ? TRIED_MAY_PASS : TRIED_FAULT);
}

/* What the child process writes, NUL-terminated; text has size bytes. */
static void hear(int from, char *text, size_t size)
{
	size_t at = 0;
	ssize_t n;

	while (at < size - 1 && (n = read(from, text + at, size - 1 - at)) > 0)
		at += (size_t)n;
	text[at] = '\0';
}

static bool cannot_be_tried(const char *path, int error, char *err)
{
	snprintf(err, CONFIG_ERR, "%s: cannot be tried: %s", path, strerror(error));
	return false;
}

/* Why the child process has said nothing. status: of waitpid. */
static void say_end(const char *path, int status, char *err)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		snprintf(err, CONFIG_ERR, "%s: reading it took more than %d s, and was given up",
			 path, TRY_SECONDS);
	else if (WIFSIGNALED(status))
		snprintf(err, CONFIG_ERR,
			 "%s: the process that read it was ended by signal %d (%s)%s", path,
			 WTERMSIG(status), strsignal(WTERMSIG(status)),
			 WTERMSIG(status) == SIGKILL ? ": perhaps there is no memory" : "");
	else
		snprintf(err, CONFIG_ERR,
			 "%s: a library ended the process that read it: perhaps there is no memory",
			 path);
}

/*
 * Reads everything once in a child process: if the library calls exit(), loops or crashes, that
 * must not end the tunnels of a daemon that was only asked to reload.
 */
static bool try_in_child(const char *path, char *err, bool *ret_may_pass)
{
	int fds[2], status = 0, error;
	char text[CONFIG_ERR];
	pid_t pid;

	*ret_may_pass = true;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return cannot_be_tried(path, errno, err);
	pid = fork();
	error = errno;
	if (pid == 0)
		try_and_exit(path, fds[1]);
	close(fds[1]);
	hear(fds[0], text, sizeof(text));
	close(fds[0]);
	if (pid < 0)
		return cannot_be_tried(path, error, err);
	if (waitpid(pid, &status, 0) < 0)
		return cannot_be_tried(path, errno, err);
	if (WIFEXITED(status) && WEXITSTATUS(status) == TRIED_GOOD)
		return true;
	if (*text)
		memcpy(err, text, sizeof(text));
	else
		say_end(path, status, err);
	/* Only a child that came to its end has found a fault in the files. */
	*ret_may_pass = !WIFEXITED(status) || WEXITSTATUS(status) != TRIED_FAULT;
	return false;
}

struct config *conf_load(const char *path, char *err, bool *ret_may_pass)
{
	bool may_pass = false;
	struct config *c = NULL;

	if (try_in_child(path, err, &may_pass))
		c = read_all(path, err, &may_pass);
	if (ret_may_pass)
		*ret_may_pass = may_pass;
	if (!c)
		conf_make_printable(err);
	return c;
}

void conf_free(struct config *c)
{
	if (!c)
		return;
	conf_places_free(&c->where);
	for (unsigned i = 0; i < c->doubt_count; i++) {
		free(c->doubts[i].place);
		free(c->doubts[i].text);
	}
	free(c->doubts);
	free(c->ca_folder);
	free(c->crl_folder);
	free(c->folder);
	free(c->fixed.tun);
	free(c->fixed.control);
	free(c->fixed.user);
	free(c->fixed.view_group);
	free(c->fixed.admin_group);
	free(c->fixed.metrics_listen);
	conn_names_free(c->names);
	free(c->fixed.key_log);
	conn_set_fini(&c->conns);
	conf_reads_free(c);
	for (unsigned i = 0; i < c->pool_count; i++)
		free(c->pools[i].name);
	free(c->pools);
	free(c);
}
