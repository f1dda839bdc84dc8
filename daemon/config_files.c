/* config_files.c - see config_files.h. SPDX-License-Identifier: ISC */
#include "config_files.h"
#include "crypto/token.h"
#include "xalloc.h"

#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define CREDS_MOST    (16u << 20) /* bytes of a file; CRLs can be large */
#define PASSWORD_MOST 1024
#define FOLDER_MOST   1000 /* files */

struct conf_files {
	struct conf_files *next;
	char *path;
	bool secret;
	struct cred_items items;
};

char *conf_path(const struct conf_reader *r, const char *name)
{
	char *copy = xstrdup(r->path), *path;

	path = *name == '/' ? xstrdup(name) : xasprintf("%s/%s", dirname(copy), name);
	free(copy);
	return path;
}

#define CREDENTIAL "credential:"

/* A credential of systemd (LoadCredential= of the unit); owned. NULL through conf_fail. */
static char *credential_path(struct conf_reader *r, config_setting_t *s, const char *name)
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	char *path;

	if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		conf_fail(r, s, "\"" CREDENTIAL "%.60s\" is no name of a credential", name);
		return NULL;
	}
	if (!folder || *folder != '/') {
		conf_fail(
			r, s,
			"there are no credentials, as systemd sets CREDENTIALS_DIRECTORY only for "
			"a unit with LoadCredential=: mendip.conf(5), CREDENTIALS");
		return NULL;
	}
	path = xasprintf("%s/%s", folder, name);
	if (access(path, F_OK) == 0 || errno != ENOENT)
		return path;
	conf_fail(r, s,
		  "there is no credential \"%.60s\": the unit needs LoadCredential=%.60s:FILE",
		  name, name);
	free(path);
	return NULL;
}

char *conf_file_path(struct conf_reader *r, config_setting_t *s, const char *name)
{
	if (strncmp(name, CREDENTIAL, strlen(CREDENTIAL)) == 0)
		return credential_path(r, s, name + strlen(CREDENTIAL));
	return conf_path(r, name);
}

/* Reads up to the end of the file; the length, or -1. */
static ssize_t read_all(int fd, char *text, size_t most)
{
	size_t at = 0;
	ssize_t n;

	while (at < most && (n = read(fd, text + at, most - at)) != 0) {
		if (n < 0)
			return -1;
		at += (size_t)n;
	}
	return (ssize_t)at;
}

/* For errno. */
static int cannot_be_read(struct conf_reader *r, config_setting_t *s, const char *path)
{
	conf_note_lack(r->config, errno);
	return conf_fail(r, s, "%.100s cannot be read: %s", path, strerror(errno));
}

static char *read_open(struct conf_reader *r, config_setting_t *s, const char *path, int fd,
		       bool secret, size_t most, size_t *ret_len)
{
	const char *why;
	struct stat st;
	char *text;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		cannot_be_read(r, s, path);
	else if (!S_ISREG(st.st_mode))
		conf_fail(r, s, "%.100s is not a regular file", path);
	else if (secret && (st.st_mode & S_IROTH))
		conf_fail(r, s, "others can read %.100s: chmod o-r", path);
	else if (!conf_is_safe(fd, path, &why))
		conf_fail(r, s, "%.100s %s", path, why);
	else if ((size_t)st.st_size > most)
		conf_fail(r, s, "%.100s is larger than %zu bytes", path, most);
	else {
		*ret_len = (size_t)st.st_size + 1;
		text = xzalloc(*ret_len);
		n = read_all(fd, text, (size_t)st.st_size);
		if (n == st.st_size)
			return text;
		secret_free(text, *ret_len);
		conf_fail(r, s, "%.100s cannot be read completely", path);
	}
	return NULL;
}

void conf_note_read(struct conf_reader *r, config_setting_t *s, enum conf_read_kind kind,
		    const char *path)
{
	char where[CONF_WHERE];

	conf_where(r, s, where);
	conf_reads_add(r->config, kind, where, path);
}

char *conf_read_file(struct conf_reader *r, config_setting_t *s, const char *path, bool secret,
		     size_t most, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = read_open(r, s, path, fd, secret, most, ret_len);

	if (fd >= 0)
		close(fd);
	conf_note_read(r, s, CONF_READ_FILE, path);
	return text;
}

/* ---- certificates and keys ---- */

static struct conf_files *find(const struct conf_reader *r, const char *path, bool secret)
{
	struct conf_files *f = r->config->files;

	while (f && (f->secret != secret || strcmp(f->path, path) != 0))
		f = f->next;
	return f;
}

/* Remembers the items, which it takes over. */
static const struct cred_items *keep(struct conf_reader *r, const char *path, bool secret,
				     const struct cred_items *items)
{
	struct conf_files *f = xzalloc(sizeof(*f));

	f->path = xstrdup(path);
	f->secret = secret;
	f->items = *items;
	f->next = r->config->files;
	r->config->files = f;
	return &f->items;
}

void conf_files_free(struct conf_files *f)
{
	while (f) {
		struct conf_files *next = f->next;

		cred_items_free(&f->items);
		free(f->path);
		free(f);
		f = next;
	}
}

static int parse(struct conf_reader *r, config_setting_t *s, const char *path, char *text,
		 size_t len, const char *password, struct cred_items *ret)
{
	char why[CRED_WHY_MAX];
	int e = cred_parse((struct chunk){(const uint8_t *)text, len - 1}, password, ret, why);

	secret_free(text, len);
	return e < 0 ? conf_fail(r, s, "%.100s: %s", path, why) : 0;
}

/* A private key that others can read would be found here only by chance: it is not used. */
static int read_public(struct conf_reader *r, config_setting_t *s, const char *path,
		       struct cred_items *ret)
{
	size_t len;
	char *text = conf_read_file(r, s, path, false, CREDS_MOST, &len);

	return text ? parse(r, s, path, text, len, NULL, ret) : -EINVAL;
}

/* Moves all items of `from` to the end of `to`. */
static void append(struct cred_items *to, struct cred_items *from)
{
	to->certs =
		xreallocarray(to->certs, to->cert_count + from->cert_count + 1, sizeof(*to->certs));
	to->crls = xreallocarray(to->crls, to->crl_count + from->crl_count + 1, sizeof(*to->crls));
	to->keys = xreallocarray(to->keys, to->key_count + from->key_count + 1, sizeof(*to->keys));
	for (unsigned i = 0; i < from->cert_count; i++)
		to->certs[to->cert_count++] = from->certs[i];
	for (unsigned i = 0; i < from->crl_count; i++)
		to->crls[to->crl_count++] = from->crls[i];
	for (unsigned i = 0; i < from->key_count; i++)
		to->keys[to->key_count++] = from->keys[i];
	from->cert_count = from->crl_count = from->key_count = 0;
	cred_items_free(from);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a folder but hidden ones, sorted; it closes fd. -1 with errno. */
static int list_folder(int fd, struct name_list *ret)
{
	DIR *d = fdopendir(fd);
	const struct dirent *e;

	if (!d) {
		close(fd);
		return -1;
	}
	while ((e = readdir(d)) && ret->count <= FOLDER_MOST) {
		if (e->d_name[0] != '.')
			name_list_add(ret, e->d_name);
	}
	closedir(d);
	if (ret->count)
		qsort(ret->v, ret->count, sizeof(*ret->v), compare_names);
	return 0;
}

static int read_folder(struct conf_reader *r, config_setting_t *s, const char *path, int fd,
		       struct cred_items *ret)
{
	struct name_list names = {0};
	int e = 0;

	if (list_folder(fd, &names) < 0)
		e = cannot_be_read(r, s, path);
	else if (names.count > FOLDER_MOST)
		e = conf_fail(r, s, "%.100s has more than %d files", path, FOLDER_MOST);
	for (unsigned i = 0; i < names.count; i++) {
		char *file = xasprintf("%s/%s", path, names.v[i]);
		struct cred_items one = {0};

		if (e == 0)
			e = read_public(r, s, file, &one);
		append(ret, &one);
		free(file);
		free(names.v[i]);
	}
	free(names.v);
	return e;
}

const struct cred_items *conf_creds_from(struct conf_reader *r, config_setting_t *s,
					 const char *path)
{
	const struct conf_files *known = find(r, path, false);
	struct cred_items items = {0};
	int fd, e;

	if (known)
		return &known->items;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_DIRECTORY);
	if (fd >= 0)
		conf_note_read(r, s, CONF_READ_FOLDER, path);
	e = fd >= 0 ? read_folder(r, s, path, fd, &items) : read_public(r, s, path, &items);
	if (e < 0) {
		cred_items_free(&items);
		return NULL;
	}
	return keep(r, path, false, &items);
}

/* The first line of a file that others cannot read; free it by secret_free. NULL through conf_fail.
 */
static char *read_password(struct conf_reader *r, config_setting_t *s, const char *path,
			   size_t *ret_len)
{
	char *secret = conf_read_file(r, s, path, true, PASSWORD_MOST, ret_len);

	if (secret)
		secret[strcspn(secret, "\r\n")] = '\0';
	return secret;
}

const struct cred_items *conf_keys_from(struct conf_reader *r, config_setting_t *s,
					const char *path, const char *password)
{
	const struct conf_files *known = find(r, path, true);
	struct cred_items items = {0};
	size_t len, password_len = 0;
	char *text, *secret = NULL;
	int e = 0;

	if (known)
		return &known->items;
	if (password) {
		secret = read_password(r, s, password, &password_len);
		e = secret ? 0 : -EINVAL;
	}
	text = e == 0 ? conf_read_file(r, s, path, true, CREDS_MOST, &len) : NULL;
	e = text ? parse(r, s, path, text, len, secret, &items) : -EINVAL;
	secret_free(secret, password_len);
	return e < 0 ? NULL : keep(r, path, true, &items);
}

const struct cred_items *conf_key_on_token(struct conf_reader *r, config_setting_t *s,
					   const char *uri, const char *pin)
{
	const struct conf_files *known = find(r, uri, true);
	struct cred_items items = {0};
	char *secret = NULL, why[CRED_WHY_MAX];
	size_t len = 0;
	struct pkey *k;

	if (known)
		return &known->items;
	if (pin && !(secret = read_password(r, s, pin, &len)))
		return NULL;
	k = token_key(uri, secret, why, &r->config->may_pass);
	secret_free(secret, len);
	if (!k) {
		conf_fail(r, s, "key on a token: %s", why);
		return NULL;
	}
	items.keys = xreallocarray(NULL, 1, sizeof(struct pkey *));
	items.keys[items.key_count++] = k;
	return keep(r, uri, true, &items);
}
