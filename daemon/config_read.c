/* config_read.c - the top-level groups of a file, and secrets. SPDX-License-Identifier: ISC */
#include "config_files.h"
#include "config_option.h"
#include "swanctl.h"
#include "crypto/base64.h"
#include "xalloc.h"

#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_FILE_MAX 4095 /* bytes */
/* Shorter ones are doubtful, in bytes. */
#define PSK_GOOD_LEN 16
#define PPK_GOOD_LEN 32
#define EAP_GOOD_LEN 8

static int decode_hex(const char *s, struct psk *k)
{
	size_t len = strlen(s);

	if (len == 0 || len % 2)
		return -EINVAL;
	k->secret = xzalloc(len / 2);
	k->len = len / 2;
	for (size_t i = 0; i < len; i += 2) {
		int hi = hex_digit(s[i]), lo = hex_digit(s[i + 1]);

		if (hi < 0 || lo < 0)
			return -EINVAL;
		k->secret[i / 2] = (uint8_t)(hi << 4 | lo);
	}
	return 0;
}

static int decode_base64(const char *s, struct psk *k)
{
	size_t len = strlen(s);
	int n;

	k->secret = xzalloc(BASE64_ROOM(len));
	k->len = BASE64_ROOM(len); /* also if decoding fails: all of it is wiped */
	n = base64_decode(k->secret, s, len);
	if (n <= 0)
		return -EINVAL;
	k->len = (size_t)n;
	return 0;
}

/* As in swanctl: 0x hexadecimal, 0s base64, otherwise the characters themselves. */
static int decode_secret(const char *s, struct psk *k)
{
	if (strncmp(s, "0x", 2) == 0)
		return decode_hex(s + 2, k);
	if (strncmp(s, "0s", 2) == 0)
		return decode_base64(s + 2, k);
	if (*s == '\0')
		return -EINVAL;
	k->len = strlen(s);
	k->secret = xmemdup(s, k->len);
	return 0;
}

static bool is_safe(const struct stat *st)
{
	return (st->st_uid == 0 || st->st_uid == geteuid()) && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

/* Whether `first` and all folders above it are safe; above it a sticky one, such as /tmp, is too.
 */
static bool folders_from(const char *first)
{
	char *real = realpath(first, NULL), *folder = real;
	bool safe = real != NULL;
	unsigned above = 0;
	struct stat st;

	while (safe) {
		safe = stat(folder, &st) == 0;
		if (safe && above++ > 0 && st.st_mode & S_ISVTX)
			st.st_mode &= ~(mode_t)(S_IWGRP | S_IWOTH);
		safe = safe && is_safe(&st);
		if (strcmp(folder, "/") == 0)
			break;
		folder = dirname(folder);
	}
	free(real);
	return safe;
}

/* path may be a symbolic link: its own folders and those of its target must be safe. */
static bool folders_are_safe(const char *path)
{
	char *named = xstrdup(path), *real = realpath(path, NULL);
	bool safe = real && folders_from(dirname(named)) && folders_from(dirname(real));

	free(named);
	free(real);
	return safe;
}

bool conf_is_safe(int fd, const char *path, const char **ret_why)
{
	struct stat file;

	*ret_why = "must belong to root or the user of mendipd, and not be writable by others: "
		   "chown root, chmod go-w";
	if (fstat(fd, &file) < 0 || !is_safe(&file))
		return false;
	*ret_why = "is below a folder that others may write: chown root and chmod go-w that folder";
	return folders_are_safe(path);
}

static int read_secret_file(struct conf_reader *r, config_setting_t *s, struct psk *k)
{
	const char *name;
	char *path, *text;
	size_t len;
	int e = -EINVAL;

	if (conf_get_string(r, s, &name) < 0)
		return -EINVAL;
	path = conf_file_path(r, s, name);
	text = path ? conf_read_file(r, s, path, true, SECRET_FILE_MAX, &len) : NULL;
	if (text) {
		text[strcspn(text, "\r\n")] = '\0';
		e = decode_secret(text, k);
		if (e < 0)
			conf_fail(r, s, "the file holds no secret in its first line");
		secret_free(text, len);
	}
	free(path);
	return e;
}

/* The secret whose placeholder v is; see conf_take_secrets. NULL: none. */
static const char *next_secret(struct conf_reader *r, const char *v)
{
	const struct conf_secret *s;

	if (r->next_secret >= r->secrets.count)
		return NULL;
	s = &r->secrets.v[r->next_secret++];
	return s->shown == strlen(v) ? s->text : NULL;
}

/* Says so if the secret, of an option of the group, is shorter than it should be. */
static void doubt_length(struct conf_reader *r, config_setting_t *g, size_t len, size_t least,
			 const char *what)
{
	config_setting_t *s = config_setting_get_member(g, "secret");

	if (len < least)
		conf_doubt(r, s ? s : config_setting_get_member(g, "file"),
			   "has fewer than %zu bytes: %s", least, what);
}

/* `secret` or `file`, of either kind of key. */
static int read_secret(struct conf_reader *r, config_setting_t *s, struct psk *k)
{
	const char *name = config_setting_name(s), *v, *secret;

	if (strcmp(name, "file") == 0)
		return k->secret ? conf_fail(r, s, "secret and file exclude each other")
				 : read_secret_file(r, s, k);
	if (strcmp(name, "secret") != 0)
		return conf_fail(r, s, "unknown option: only id, id1, ..., secret and file");
	if (conf_get_string(r, s, &v) < 0)
		return -EINVAL;
	if (k->secret)
		return conf_fail(r, s, "secret and file exclude each other");
	secret = next_secret(r, v);
	if (!secret)
		return conf_fail(r, s,
				 "cannot be found in the text: write secret = "
				 "\"...\" in a group of its own");
	if (decode_secret(secret, k) < 0)
		return conf_fail(
			r, s,
			"must not be empty; 0x must be followed by hexadecimal, 0s by base64");
	return 0;
}

static int read_psk_option(struct conf_reader *r, config_setting_t *s, struct psk *k)
{
	const char *name = config_setting_name(s), *v;

	if (strncmp(name, "id", 2) != 0 || name[2 + strspn(name + 2, "0123456789")] != '\0')
		return read_secret(r, s, k);
	if (conf_get_string(r, s, &v) < 0)
		return -EINVAL;
	if (k->id_count == PSK_MAX_IDS || ident_parse(v, &k->ids[k->id_count]) < 0)
		return conf_fail(r, s, "is no identity, or one too many (at most %d)", PSK_MAX_IDS);
	k->id_count++;
	return 0;
}

/* Its only id is copied to id, which has PPK_ID_MAX + 1 bytes. */
static int read_ppk_id(struct conf_reader *r, config_setting_t *s, char *id)
{
	const char *v;

	if (conf_get_string(r, s, &v) < 0)
		return -EINVAL;
	if (!conf_is_ppk_id(v) || strcmp(v, PPK_ANY) == 0)
		return conf_fail(r, s, "%s", CONF_PPK_RULE);
	memcpy(id, v, strlen(v) + 1);
	return 0;
}

/* A post-quantum key (RFC 8784). */
static int read_ppk(struct conf_reader *r, config_setting_t *g)
{
	struct psk_store *store = r->config->conns.secrets;
	struct psk secret = {0};
	struct ppk *k;
	int e = 0;

	conf_place_add(&r->config->ppks_at, r, g);
	store->ppks = xreallocarray(store->ppks, store->ppk_count + 1, sizeof(*store->ppks));
	k = &store->ppks[store->ppk_count++];
	*k = (struct ppk){0};
	for (int i = 0; e == 0 && i < config_setting_length(g); i++) {
		config_setting_t *s = config_setting_get_elem(g, (unsigned)i);

		e = strcmp(config_setting_name(s), "id") == 0 ? read_ppk_id(r, s, k->id)
							      : read_secret(r, s, &secret);
	}
	k->secret = secret.secret; /* the store wipes it, also after an error */
	k->len = secret.len;
	if (e < 0)
		return e;
	if (!k->id[0] || !k->secret)
		return conf_fail(r, g, "needs id, and secret or file");
	doubt_length(r, g, k->len, PPK_GOOD_LEN,
		     "RFC 8784 wants 256 random bits; openssl rand -hex 32 prints them, to write "
		     "behind 0x");
	return ppk_find(store, k->id) == k
		       ? 0
		       : conf_fail(r, g, "the post-quantum key of %.100s has the same id",
				   r->config->ppks_at.v[ppk_find(store, k->id) - store->ppks]);
}

static int read_eap_id(struct conf_reader *r, config_setting_t *s, struct eap_secret *k)
{
	const char *v;

	if (conf_get_string(r, s, &v) < 0)
		return -EINVAL;
	if (*v == '\0')
		return conf_fail(r, s, "must not be empty");
	k->id = xstrdup(v);
	return 0;
}

/* A password by which we authenticate with EAP. */
static int read_eap(struct conf_reader *r, config_setting_t *g)
{
	struct psk_store *store = r->config->conns.secrets;
	struct psk secret = {0};
	struct eap_secret *k;
	int e = 0;

	conf_place_add(&r->config->eaps_at, r, g);
	store->eaps = xreallocarray(store->eaps, store->eap_count + 1, sizeof(*store->eaps));
	k = &store->eaps[store->eap_count++];
	*k = (struct eap_secret){0};
	for (int i = 0; e == 0 && i < config_setting_length(g); i++) {
		config_setting_t *s = config_setting_get_elem(g, (unsigned)i);

		e = strcmp(config_setting_name(s), "id") == 0 ? read_eap_id(r, s, k)
							      : read_secret(r, s, &secret);
	}
	k->secret = secret.secret; /* the store wipes it, also after an error */
	k->len = secret.len;
	if (e < 0)
		return e;
	if (!k->id || !k->secret)
		return conf_fail(r, g, "needs id, and secret or file");
	if (!eap_secret_is_valid(k))
		return conf_fail(r, g, "the password must be UTF-8 of at most 256 characters");
	doubt_length(r, g, k->len, EAP_GOOD_LEN, "ask for a longer password");
	return eap_secret_find(store, k->id) == k
		       ? 0
		       : conf_fail(
				 r, g, "the password of %.100s has the same id",
				 r->config->eaps_at.v[eap_secret_find(store, k->id) - store->eaps]);
}

static bool has_id(const struct psk *k, const struct ident *id)
{
	for (unsigned i = 0; i < k->id_count; i++) {
		if (ident_eq(&k->ids[i], id))
			return true;
	}
	return false;
}

static bool same_ids(const struct psk *a, const struct psk *b)
{
	bool same = a->id_count == b->id_count;

	for (unsigned i = 0; same && i < a->id_count; i++)
		same = has_id(b, &a->ids[i]);
	return same;
}

/* A pre-shared key of IKE. */
static int read_psk(struct conf_reader *r, config_setting_t *g)
{
	struct psk_store *store = r->config->conns.secrets;
	struct psk *k;

	conf_place_add(&r->config->psks_at, r, g);
	store->v = xreallocarray(store->v, store->count + 1, sizeof(*store->v));
	k = &store->v[store->count++];
	*k = (struct psk){0};
	for (int i = 0; i < config_setting_length(g); i++) {
		if (read_psk_option(r, config_setting_get_elem(g, (unsigned)i), k) < 0)
			return -EINVAL;
	}
	for (unsigned i = 0; i + 1 < store->count; i++) {
		if (same_ids(&store->v[i], k))
			return conf_fail(r, g, "the secret of %.100s is for the same identities",
					 r->config->psks_at.v[i]);
	}
	if (!k->secret)
		return conf_fail(r, g, "has neither secret nor file");
	doubt_length(
		r, g, k->len, PSK_GOOD_LEN,
		"whoever takes the peer's place can find it by trying; openssl rand -base64 32 "
		"prints a good one");
	return 0;
}

static int read_secret_group(struct conf_reader *r, config_setting_t *g)
{
	static const struct {
		const char *prefix;
		int (*read)(struct conf_reader *r, config_setting_t *g);
	} kinds[] = {{"ike", read_psk}, {"ppk", read_ppk}, {"eap", read_eap}};
	const char *name = config_setting_name(g), *without = swanctl_secret_without(name);

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strncmp(name, kinds[i].prefix, strlen(kinds[i].prefix)) != 0)
			continue;
		return config_setting_is_group(g)
			       ? kinds[i].read(r, g)
			       : conf_fail(r, g, "must be a group: { id = ...; secret = ...; }");
	}
	if (without)
		return conf_fail(r, g, "is a section of swanctl.conf that Mendip does not have: %s",
				 without);
	return conf_fail(r, g,
			 "secrets are groups whose names begin with \"ike\", \"ppk\" or \"eap\"");
}

/* How many values conf_take_secrets has taken out of the setting and of what is in it. */
static unsigned count_secrets(config_setting_t *s)
{
	const char *name = config_setting_name(s);
	unsigned count = 0;

	if (config_setting_type(s) == CONFIG_TYPE_STRING)
		return name && strcmp(name, "secret") == 0;
	if (!config_setting_is_aggregate(s))
		return 0;
	for (int i = 0; i < config_setting_length(s); i++)
		count += count_secrets(config_setting_get_elem(s, (unsigned)i));
	return count;
}

/* Skips those that stand before the group, where none belongs: an error that is found later. */
static void skip_misplaced(struct conf_reader *r, config_setting_t *g)
{
	config_setting_t *root = config_setting_parent(g), *s;

	for (unsigned i = 0; (s = config_setting_get_elem(root, i)) != g; i++)
		r->next_secret += count_secrets(s);
}

static int read_secrets(struct conf_reader *r, config_setting_t *g)
{
	if (!config_setting_is_group(g))
		return conf_fail(r, g, "must be a group: { NAME: { ... }; }");
	if (r->mode & S_IROTH)
		return conf_fail(r, g,
				 "others can read this file, which holds secrets: chmod o-r %s",
				 r->path);
	skip_misplaced(r, g);
	for (int i = 0; i < config_setting_length(g); i++) {
		if (read_secret_group(r, config_setting_get_elem(g, (unsigned)i)) < 0)
			return -EINVAL;
	}
	return 0;
}

static int read_connections(struct conf_reader *r, config_setting_t *g)
{
	if (!config_setting_is_group(g))
		return conf_fail(r, g, "must be a group: { NAME: { ... }; }");
	for (int i = 0; i < config_setting_length(g); i++) {
		if (conf_get_conn(r, config_setting_get_elem(g, (unsigned)i)) < 0)
			return -EINVAL;
	}
	return 0;
}

int conf_read_tree(struct conf_reader *r, config_setting_t *root)
{
	static const char *const names[] = {"daemon",  "switchover", "connections",
					    "secrets", "pools",	     NULL};
	config_setting_t *s;

	if (conf_known(r, root, names) < 0)
		return -EINVAL;
	s = config_setting_get_member(root, "switchover");
	if (s && !r->main_file)
		return conf_fail(r, s, "belongs into mendip.conf, not into conf.d");
	if (s && conf_get_switchover(r, s, &r->config->defaults) < 0)
		return -EINVAL;
	s = config_setting_get_member(root, "daemon");
	if (s && !r->main_file)
		return conf_fail(r, s, "belongs into mendip.conf, not into conf.d");
	if (s && conf_read_options(r, s, &conf_daemon_table, r->config) < 0)
		return -EINVAL;
	s = config_setting_get_member(root, "secrets");
	if (s && read_secrets(r, s) < 0)
		return -EINVAL;
	s = config_setting_get_member(root, "pools");
	if (s && conf_get_pools(r, s) < 0)
		return -EINVAL;
	s = config_setting_get_member(root, "connections");
	return s ? read_connections(r, s) : 0;
}
