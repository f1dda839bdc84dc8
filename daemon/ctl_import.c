/* ctl_import.c - see ctl_import.h. SPDX-License-Identifier: ISC */
#include "ctl_import.h"
#include "config_hint.h"
#include "crypto/cred_parse.h"
#include "import.h"
#include "xalloc.h"

#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MOST (4u << 20)

enum { EXIT_ALL, EXIT_OUTPUT, EXIT_UNREADABLE, EXIT_NOT_ALL };

/* The text of a regular file, with a NUL behind it, for secret_free of *ret_len bytes. NULL with
 * errno. */
static char *read_file(const char *path, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	char *text = NULL;
	ssize_t n = -1;

	if (fd < 0)
		return NULL;
	errno = EFBIG;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_MOST) {
		text = xzalloc((size_t)st.st_size + 1);
		n = read(fd, text, (size_t)st.st_size);
		if (n != st.st_size) {
			secret_free(text, (size_t)st.st_size);
			text = NULL;
		}
	}
	*ret_len = (size_t)n;
	close(fd);
	return text;
}

/* ---- the files of swanctl.conf ---- */

/* Replaces the reason why a file cannot be read, if it is an ipsec.conf. */
static void say_if_ipsec(const char *file, const char *text, size_t len, char *err)
{
	char why[HINT_MAX];
	unsigned line;

	if (conf_hint_ipsec(text, len, &line, why))
		snprintf(err, IMPORT_ERR, "%.150s:%u: %.220s", file, line, why);
}

static bool add_file(struct import_tree *t, struct import_node *section, const char *file,
		     char *err)
{
	size_t len;
	char *text = read_file(file, &len);
	bool ok;

	if (!text) {
		snprintf(err, IMPORT_ERR, "%.200s: cannot be read: %s", file,
			 errno == EFBIG ? "it is no regular file of at most 4 MiB"
					: strerror(errno));
		return false;
	}
	ok = import_add(t, section, file, text, len, err);
	if (!ok)
		say_if_ipsec(file, text, len, err);
	secret_free(text, len);
	return ok;
}

/* Files that match the pattern, which is relative to the folder of the file; none is no error. */
static bool on_include(void *ctx, struct import_tree *t, struct import_node *section,
		       const char *file, const char *pattern, char *err)
{
	char *copy = xstrdup(file);
	char *all = *pattern == '/' ? xstrdup(pattern) : xasprintf("%s/%s", dirname(copy), pattern);
	glob_t g = {0};
	bool ok = true;

	(void)ctx;
	if (glob(all, 0, NULL, &g) == 0) {
		for (size_t i = 0; ok && i < g.gl_pathc; i++)
			ok = add_file(t, section, g.gl_pathv[i], err);
	}
	globfree(&g);
	free(all);
	free(copy);
	return ok;
}

/* The folder that has x509, private and so on: that of the file, or the one above conf.d. For
 * free(). */
static char *folder_of(const char *file)
{
	char *real = realpath(file, NULL), *folder, *found;

	if (!real)
		return xstrdup("/etc/swanctl");
	folder = dirname(real);
	if (strlen(folder) > 7 && strcmp(folder + strlen(folder) - 7, "/conf.d") == 0)
		folder = dirname(folder);
	found = xstrdup(folder);
	free(real);
	return found;
}

/* ---- the key of a certificate ---- */

static bool parse_file(const char *path, struct cred_items *ret)
{
	char why[CRED_WHY_MAX], *text;
	size_t len;
	int e;

	text = read_file(path, &len);
	if (!text)
		return false;
	e = cred_parse((struct chunk){(const uint8_t *)text, len}, NULL, ret, why);
	secret_free(text, len);
	return e == 0;
}

/* Whether the file has the private key that belongs to the public one. */
static bool has_private(const char *path, const struct pkey *known)
{
	struct cred_items items = {0};
	bool found = false;

	if (parse_file(path, &items)) {
		for (unsigned i = 0; i < items.key_count; i++)
			found |= pkey_is_private(items.keys[i]) && pkey_same(known, items.keys[i]);
	}
	cred_items_free(&items);
	return found;
}

static char *key_in(const char *folder, const struct pkey *known)
{
	DIR *d = opendir(folder);
	const struct dirent *e;
	char *path = NULL;

	while (d && !path && (e = readdir(d))) {
		path = xasprintf("%s/%s", folder, e->d_name);
		if (!has_private(path, known)) {
			free(path);
			path = NULL;
		}
	}
	if (d)
		closedir(d);
	return path;
}

/* swanctl finds the key by itself, in one of these folders. */
static char *find_key(void *ctx, const char *cert)
{
	static const char *const folders[] = {"private", "rsa", "ecdsa", "pkcs8"};
	struct cred_items items = {0};
	const struct pkey *known = NULL;
	char *key = NULL;

	if (parse_file(cert, &items) && items.cert_count)
		known = cert_key(items.certs[0]);
	else if (items.key_count)
		known = items.keys[0];
	for (size_t i = 0; known && !key && i < ARRAY_SIZE(folders); i++) {
		char *folder = xasprintf("%s/%s", (const char *)ctx, folders[i]);

		key = key_in(folder, known);
		free(folder);
	}
	cred_items_free(&items);
	return key;
}

/* ---- the result ---- */

static void say(void *ctx, const char *file, unsigned line, const char *text)
{
	(void)ctx;
	fprintf(stderr, "mendipctl: %s:%u: %s\n", file, line, text);
}

/* A file that exists is not overwritten: it may be the configuration in use. Half of one, which has
 * secrets and cannot be made again as it exists, is not left behind. */
static bool write_to(const char *output, const char *text)
{
	int fd = output ? open(output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)
			: STDOUT_FILENO;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	bool ok = f && fputs(text, f) >= 0;

	if (f && fclose(f) != 0)
		ok = false;
	if (!ok)
		fprintf(stderr, "mendipctl: %s: cannot be written: %s\n",
			output ? output : "standard output",
			fd < 0 && errno == EEXIST ? "it exists already: move it away first"
						  : strerror(errno));
	if (!ok && fd >= 0 && output)
		unlink(output);
	return ok;
}

/* Whether there is a connection, before what is left out. */
static bool has_connection(const struct import_tree *t)
{
	const struct import_node *all = import_find(&t->root, "connections");

	return all && all->first;
}

static int convert(struct import_tree *t, const char *file, const char *output)
{
	char *folder = folder_of(file), err[IMPORT_ERR], *text;
	const struct import_ops ops = {
		.ctx = folder, .say = say, .find_key = find_key, .folder = folder};
	unsigned said = 0;
	bool written;

	text = import_convert(t, &ops, &said, err);
	free(folder);
	if (!text) {
		fprintf(stderr, "mendipctl: %s: %s\n", file, err);
		return EXIT_UNREADABLE;
	}
	if (!has_connection(t)) {
		fprintf(stderr,
			"mendipctl: %s: no connection was found, here or in the files that it "
			"includes\n",
			file);
		said++;
	}
	written = write_to(output, text);
	secret_free(text, strlen(text));
	if (!written)
		return EXIT_OUTPUT;
	return said ? EXIT_NOT_ALL : EXIT_ALL;
}

int ctl_import(const char *file, const char *output)
{
	struct import_tree t = {.include = on_include};
	char err[IMPORT_ERR];
	int status = EXIT_UNREADABLE;

	if (!add_file(&t, &t.root, file, err) || !import_resolve(&t, err))
		fprintf(stderr, "mendipctl: %s\n", err);
	else
		status = convert(&t, file, output);
	import_free(&t);
	return status;
}
