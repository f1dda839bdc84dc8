/*
 * fuzz_config.c - loads a configuration: files, scanner, secrets, libconfig, and the result.
 * SPDX-License-Identifier: ISC
 *
 * The input is mendip.conf; after a line "---", if there is one, the file conf.d/more.conf. They
 * are in a temporary folder, with a key file `key`; no file outside of it is opened.
 */
#include "fuzz.h"
#include "../../daemon/config.c" /* for read_all: a crash in the process of conf_load is hidden */
#include "../exchange/pki.h"

#include <signal.h>

#define MARK	 "7q7q" /* a secret that contains this must not appear anywhere */
#define SPLIT	 "\n---\n"
#define INCLUDED "what_a_file_beside_it_has"

/* Wrapped by the linker: see fuzz.mk. */
int __wrap_open(const char *path, int flags, ...);
int __real_open(const char *path, int flags, ...);
int __wrap_config_read_string(config_t *lib, const char *text);
int __real_config_read_string(config_t *lib, const char *text);

static char folder[] = "/tmp/fuzz-config-XXXXXX";
static char main_path[64];  /* of mendip.conf in the folder */
static int here = -1, from; /* the folder; the working folder of libFuzzer */
static int main_fd, more_fd;

/*
 * libconfig 1.5 leaks the buffer of a string before a syntax error; the daemon reads such a file
 * only in a process of its own.
 */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

/* ---- the temporary folder ---- */

/*
 * The code opens files by absolute paths, as libFuzzer needs its own working folder: only files of
 * the folder can be opened, and none can be made, except by gcov (scripts/coverage).
 */
int __wrap_open(const char *path, int flags, ...)
{
	size_t len = strlen(folder);
	const char *name = strncmp(path, folder, len) == 0 ? path + len : "";

	if (flags & O_CREAT) {
		hold(strstr(path, ".gcda") != NULL);
		return __real_open(path, flags, 0600);
	}
	name += strncmp(name, "/conf.d/", 8) == 0 ? 8 : *name == '/';
	if (*name == '\0' || strchr(name, '/') || strncmp(name, "..", 2) == 0) {
		errno = ENOENT;
		return -1;
	}
	return __real_open(path, flags);
}

/* Makes a file; returns its descriptor. */
static int make(const char *name, const char *text, size_t len)
{
	int fd = openat(here, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	hold(fd >= 0 && write(fd, text, len) == (ssize_t)len);
	return fd;
}

static void put(int fd, const char *text, size_t len)
{
	hold(pwrite(fd, text, len, 0) == (ssize_t)len && ftruncate(fd, (off_t)len) == 0);
}

static void remove_folder(void)
{
	static const char *const names[] = {"conf.d/more.conf", "conf.d", "mendip.conf", "key",
					    "beside",		"certs",  "ca"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlinkat(here, names[i], i == 1 ? AT_REMOVEDIR : 0);
	rmdir(folder);
}

/* A CA, and a certificate of it with its key; valid for some years, as the time is the real one. */
static void make_certs(void)
{
	const int64_t until = PKI_NOW + 20 * PKI_YEAR;
	struct pki *ca = pki_make(&(struct pki_spec){.kind = PKI_P256,
						     .subject = "O=Example,CN=CA",
						     .basic = "critical,CA:TRUE",
						     .usage = "critical,keyCertSign,cRLSign",
						     .until = until});
	struct pki *own = pki_make(&(struct pki_spec){.kind = PKI_ED25519,
						      .subject = "O=Example,CN=branch.example",
						      .san = "DNS:branch.example",
						      .until = until,
						      .issuer = ca});
	char *pem = pki_pem(ca, true, false);

	close(make("ca", pem, strlen(pem)));
	free(pem);
	pem = pki_pem(own, true, true);
	close(make("certs", pem, strlen(pem)));
	free(pem);
}

static void make_folder(void)
{
	static const char beside[] = INCLUDED " = 1;\n";

	from = __real_open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	hold(from >= 0 && mkdtemp(folder) != NULL);
	here = __real_open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	hold(here >= 0 && mkdirat(here, "conf.d", 0700) == 0);
	snprintf(main_path, sizeof(main_path), "%s/mendip.conf", folder);
	close(make("key", "a secret in a file\n", 19));
	close(make("beside", beside, sizeof(beside) - 1));
	make_certs();
	/* Kept open: files that are made again each time would be written to the disk. */
	main_fd = make("mendip.conf", "", 0);
	more_fd = make("conf.d/more.conf", "", 0);
	atexit(remove_folder);
}

/* ---- what libconfig may see ---- */

/* Calls f for each string named `secret`, in the order of the text. */
static void each_secret(config_setting_t *s, void (*f)(void *ctx, config_setting_t *s), void *ctx)
{
	const char *name = config_setting_name(s);

	if (name && strcmp(name, "secret") == 0 && config_setting_type(s) == CONFIG_TYPE_STRING)
		f(ctx, s);
	if (config_setting_is_aggregate(s)) {
		for (int i = 0; i < config_setting_length(s); i++)
			each_secret(config_setting_get_elem(s, (unsigned)i), f, ctx);
	}
}

static void is_hidden(void *ctx, config_setting_t *s)
{
	const char *value = config_setting_get_string(s);

	(void)ctx;
	hold(value[strspn(value, "x\n")] == '\0');
}

/* libconfig opens included files relative to the working folder. */
static int read_string(config_t *lib, const char *text)
{
	int r;

	hold(fchdir(here) == 0);
	r = __real_config_read_string(lib, text);
	hold(fchdir(from) == 0);
	return r;
}

int __wrap_config_read_string(config_t *lib, const char *text)
{
	int r = read_string(lib, text);

	/* No file was included. */
	hold(strstr(text, INCLUDED) || !config_lookup(lib, INCLUDED));
	if (r == CONFIG_TRUE)
		each_secret(config_root_setting(lib), is_hidden, NULL);
	return r;
}

/*
 * The secrets taken from the text are those that libconfig would have read, all of them and in
 * their order. libconfig ignores an unterminated string at the very end, but such a string can only
 * be outside of all groups.
 */
static void compare_secret(void *ctx, config_setting_t *s)
{
	struct conf_reader *r = ctx;
	const struct conf_secret *taken;

	hold(r->next_secret < r->secrets.count);
	taken = &r->secrets.v[r->next_secret++];
	hold(config_setting_is_root(config_setting_parent(s)) ||
	     strcmp(taken->text, config_setting_get_string(s)) == 0);
}

static void check_secrets(const char *text, size_t len)
{
	struct conf_reader r = {0};
	const char *why;
	unsigned line;
	char *copy;
	config_t lib;

	if (!conf_scan(text, len, &line, &why))
		return;
	copy = xzalloc(len + 1);
	memcpy(copy, text, len);
	conf_take_secrets(copy, len, &r.secrets);
	hold(strlen(copy) == len);
	config_init(&lib);
	memcpy(copy, text, len);
	if (read_string(&lib, copy) == CONFIG_TRUE) {
		each_secret(config_root_setting(&lib), compare_secret, &r);
		hold(r.next_secret == r.secrets.count);
	}
	config_destroy(&lib);
	conf_secrets_free(&r.secrets);
	free(copy);
}

/* ---- errors ---- */

static unsigned lines_of(const char *text, size_t len)
{
	unsigned lines = 1;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	return lines;
}

/*
 * Whether the marked secrets of a file are nowhere else in it, not even in parts: libconfig joins
 * strings that follow each other, and reads escapes.
 */
static bool is_only_in_secrets(const char *text, size_t len)
{
	struct conf_secrets taken;
	char *copy = xzalloc(len + 1);
	bool only;

	memcpy(copy, text, len);
	conf_take_secrets(copy, len, &taken);
	only = !memchr(copy, MARK[1], len) && !memchr(copy, '\\', len);
	conf_secrets_free(&taken);
	free(copy);
	return only;
}

/*
 * Checks that an error is one printable line "FILE:LINE: ...", that the line exists, and that it
 * shows no marked secret.
 */
static void check_error(const char *err, const char *text, size_t len, const char *more,
			size_t more_len)
{
	bool of_main = strncmp(err, main_path, strlen(main_path)) == 0;
	const char *number = err + strlen(folder),
		   *end_of = of_main ? "/mendip.conf:" : "/conf.d/more.conf:";
	char *end;
	unsigned long line;

	hold(strncmp(err, folder, strlen(folder)) == 0);
	hold(strncmp(number, end_of, strlen(end_of)) == 0);
	number += strlen(end_of);
	line = strtoul(number, &end, 10);
	hold(end > number && strncmp(end, ": ", 2) == 0 && end[2]);
	hold(line >= 1 && line <= (of_main ? lines_of(text, len) : lines_of(more, more_len)));
	for (const char *p = err; *p; p++)
		hold((unsigned char)*p >= 0x20 && (unsigned char)*p < 0x7f);
	if (is_only_in_secrets(text, len) && is_only_in_secrets(more, more_len))
		hold(!strstr(err, MARK));
}

/* ---- accepted configurations ---- */

static bool same_psk(const struct psk *a, const struct psk *b)
{
	bool same = psk_same(a, b) && a->id_count == b->id_count;

	for (unsigned i = 0; same && i < a->id_count; i++)
		same = ident_eq(&a->ids[i], &b->ids[i]);
	return same;
}

static void compare(const struct config *a, const struct config *b)
{
	char *x = conf_dump(a), *y = conf_dump(b);

	hold(strcmp(x, y) == 0);
	free(x);
	free(y);
	hold(a->conns.count == b->conns.count &&
	     a->conns.secrets->count == b->conns.secrets->count);
	for (unsigned i = 0; i < a->conns.count; i++) {
		const struct conn_conf *c = a->conns.v[i], *d = b->conns.v[i];

		hold(conf_conn_same(c, d));
		hold(c->child_count >= 1);
		/* There is a secret for every peer that is named, or none is asked for. */
		hold(!conn_has_psk(c) || ident_is_pattern(&c->remote_id) ||
		     psk_find(a->conns.secrets, &c->local_id, &c->remote_id));
	}
	for (unsigned i = 0; i < a->conns.secrets->count; i++) {
		hold(a->conns.secrets->v[i].len >= 1);
		hold(same_psk(&a->conns.secrets->v[i], &b->conns.secrets->v[i]));
	}
}

static void print_secret(struct conf_out *out, const char *kind, unsigned i, const char *id)
{
	fprintf(out->f, " %s_%u: { id = ", kind, i);
	conf_print_text(out, id);
	fputs("; secret = \"a key of 32 bytes for tests ...\"; };", out->f);
}

/* Secrets with which each connection can be read back; to be freed. */
static char *some_secrets(const struct config *c)
{
	char *text, id[IDENT_STRLEN];
	size_t size;
	struct conf_out out = {.f = conf_open_text(&text, &size)};

	fputs("secrets: { ike: { secret = \"x\"; };", out.f);
	for (unsigned i = 0; i < c->conns.count; i++) {
		const struct conn_conf *conn = c->conns.v[i];

		if (conn->ppk_id && strcmp(conn->ppk_id, PPK_ANY) != 0)
			print_secret(&out, "ppk", i, conn->ppk_id);
		if (conn->auth.local == AUTH_KIND_EAP_MSCHAPV2)
			print_secret(&out, "eap", i, conn_eap_id(conn, id));
	}
	fputs(" };\n", out.f);
	conf_close_text(out.f);
	return text;
}

/* The printed configuration is read back as the same. */
static void read_back(const struct config *c)
{
	char err[CONFIG_ERR] = "", *shown = conf_dump(c), *text, *again_shown;
	char *secrets = some_secrets(c);
	struct config *again;
	bool may_pass;

	text = xasprintf("%s%s", shown, secrets);
	put(main_fd, text, strlen(text));
	put(more_fd, " ", 1);
	again = read_all(main_path, err, &may_pass);
	hold(again && again->conns.count == c->conns.count);
	again_shown = conf_dump(again);
	/* Ignores the number of secrets, at the end. */
	*strrchr(shown, '#') = *strrchr(again_shown, '#') = '\0';
	hold(strcmp(again_shown, shown) == 0);
	for (unsigned i = 0; i < c->conns.count; i++) {
		const struct conn_conf *a = c->conns.v[i], *b = again->conns.v[i];

		hold(conf_conn_same(a, b));
		hold(ident_eq(&a->local_id, &b->local_id) &&
		     ident_eq(&a->remote_id, &b->remote_id));
		for (unsigned k = 0; k < a->child_count; k++) {
			const struct child_conf *x = &a->children[k], *y = &b->children[k];

			hold(ts_list_eq(x->local_ts, y->local_ts) &&
			     ts_list_eq(x->remote_ts, y->remote_ts));
			hold(tunnel_options_equal(x->options, y->options));
		}
	}
	free(again_shown);
	free(secrets);
	free(text);
	free(shown);
	conf_free(again);
}

/* The timer of libFuzzer interrupts system calls; the daemon has no signal that does. */
static void restart_calls(void)
{
	struct sigaction a;

	hold(sigaction(SIGALRM, NULL, &a) == 0);
	a.sa_flags |= SA_RESTART;
	hold(sigaction(SIGALRM, &a, NULL) == 0);
}

/*
 * Calls conf_load as the daemon does, in a process of its own: only for some inputs, as that takes
 * time.
 */
static void load_whole(const struct config *expected, const char *expected_err)
{
	char err[CONFIG_ERR] = "";
	struct config *c;

	restart_calls();
	c = conf_load(main_path, err, NULL);
	hold(!c == !expected);
	if (c)
		compare(c, expected);
	else
		hold(strcmp(err, expected_err) == 0);
	conf_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *split = memmem(text, size, SPLIT, strlen(SPLIT));
	size_t len = split ? (size_t)(split - text) : size;
	const char *more = split ? split + strlen(SPLIT) : text;
	size_t more_len = split ? size - len - strlen(SPLIT) : 0;
	char err[CONFIG_ERR] = "";
	struct config *c, *again;
	bool may_pass;

	if (here < 0)
		make_folder();
	put(main_fd, text, len);
	put(more_fd, more, more_len);
	check_secrets(text, len);
	c = read_all(main_path, err, &may_pass);
	if (c) {
		again = read_all(main_path, err, &may_pass);
		hold(again != NULL);
		compare(c, again);
		conf_free(again);
		read_back(c);
		put(main_fd, text, len);
		put(more_fd, more, more_len);
	} else {
		conf_make_printable(err);
		check_error(err, text, len, more, more_len);
	}
	if (size % 64 == 63)
		load_whole(c, err);
	conf_free(c);
	return 0;
}
