/* import_side.c - who both sides of a connection are. SPDX-License-Identifier: ISC */
#include "import_option.h"
#include "config_option.h"
#include "xalloc.h"

#include <stdio.h>

static bool has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* ---- identities ---- */

/* The identity as mendip.conf writes it; for free(). */
static char *identity(const char *v)
{
	static const char *const any[] = {"%any", "%any4",   "%any6", "%",
					  "*",	  "0.0.0.0", "::",    NULL},
				 *const plain[] = {"ipv4:",	"ipv6:",   "email:", "rfc822:",
						   "userfqdn:", "asn1dn:", NULL},
				 *const names[] = {"fqdn:", "dns:", NULL};
	char *text;
	size_t len;

	if (conf_is_one_of(v, any))
		return xstrdup("%any");
	if (has_prefix(v, "@@"))
		return xstrdup(v + 2);
	for (unsigned i = 0; plain[i]; i++) {
		if (has_prefix(v, plain[i]))
			return xstrdup(v + strlen(plain[i]));
	}
	for (unsigned i = 0; names[i]; i++) {
		if (has_prefix(v, names[i]))
			return xasprintf("@%s", v + strlen(names[i]));
	}
	if (!has_prefix(v, "keyid:"))
		return xstrdup(v);
	len = strlen(v + 6);
	text = xzalloc(2 * len + 3);
	snprintf(text, 3, "@#");
	for (size_t i = 0; i < len; i++)
		snprintf(text + 2 + 2 * i, 3, "%02x", (unsigned char)v[6 + i]);
	return text;
}

void import_add_identity(struct import_lines *l, const struct import_node *n, const char *name)
{
	char *id = identity(n->value);

	import_add_text(l, n, false, name, id);
	free(id);
}

/* ---- local and remote ---- */

/* The name of a file that stands in a folder of swanctl; for free(). */
char *import_file_in(const struct import_lines *l, const char *folder, const char *name)
{
	return *name == '/' ? xstrdup(name) : xasprintf("%s/%s/%s", l->ops->folder, folder, name);
}

static void add_file(struct import_lines *l, const struct import_node *n, const char *folder,
		     const char *name)
{
	char *file = import_file_in(l, folder, name);

	import_add_item(l, n, file);
	free(file);
}

/* The list `name` of the section, and its sections cert..., of which each has a `file`. */
static void add_files(struct import_lines *l, struct import_node *section, const char *path,
		      const char *name, const char *part, const char *folder)
{
	struct import_node *list = import_get(section, name);
	const char *at = list ? list->value : "";
	unsigned before = import_begin_list(l, section, true, name), items = 0;
	char *item, part_path[200];

	while ((item = import_next_item(&at))) {
		add_file(l, list, folder, item);
		free(item);
		items++;
	}
	for (struct import_node *n = section->first; part && n; n = n->next) {
		struct import_node *file = n->value ? NULL : import_get(n, "file");

		if (n->value || !has_prefix(n->name, part))
			continue;
		n->seen = true;
		if (file) {
			add_file(l, file, folder, file->value);
			items++;
		}
		snprintf(part_path, sizeof(part_path), "%.150s.%.30s", path, n->name);
		import_say_rest(l, n, part_path);
	}
	import_end_list(l, section, before);
	if (!items) { /* the part goes without its parent */
		l->parts[l->part_count - 1].needed = false;
		l->parts[l->part_count - 1].gone = true;
	}
}

/* The first name of the list, for free(), or NULL. */
static char *first_of(const struct import_node *section, const char *name)
{
	const struct import_node *list = import_find(section, name);
	const char *at = list && list->value ? list->value : "";

	return import_next_item(&at);
}

/* The file of our certificate, or of our public key; for free(), or NULL. */
static char *first_cert(const struct import_lines *l, const struct import_node *section)
{
	const struct import_node *file;
	char *item = first_of(section, "certs"), *path = NULL;

	for (const struct import_node *n = section->first; n && !item; n = n->next) {
		file = has_prefix(n->name, "cert") && !n->value ? import_find(n, "file") : NULL;
		item = file && file->value ? xstrdup(file->value) : NULL;
	}
	if (item) {
		path = import_file_in(l, "x509", item);
	} else {
		item = first_of(section, "pubkeys");
		path = item ? import_file_in(l, "pubkey", item) : NULL;
	}
	free(item);
	return path;
}

/* "pubkey" and what stands for it, such as "rsa-3072-sha256"; the rest of the word is lost. */
static bool is_pubkey(const char *auth)
{
	static const char *const kinds[] = {"pubkey", "rsa", "ecdsa", "ed25519", "ed448", NULL};

	for (unsigned i = 0; kinds[i]; i++) {
		if (has_prefix(auth, kinds[i]))
			return true;
	}
	return false;
}

/* The way in which a side authenticates, in the words of mendip.conf. NULL: Mendip has none such.
 */
static const char *auth_of(const char *v, bool ours)
{
	static const char *const eap[] = {"eap-mschapv2", "eap-tls", NULL};

	if (is_pubkey(v))
		return "pubkey";
	if (strcmp(v, "psk") == 0)
		return v;
	return ours && conf_is_one_of(v, eap) ? v : NULL;
}

/* n: what Mendip does not have, and what narrows the circle of those who are let in; or NULL. */
static void leave_out_for(struct import_lines *l, const struct import_node *n, const char *path)
{
	if (!n)
		return;
	import_leave_out(
		l, n,
		"%.150s.%.60s: without it more peers would be let in, so the connection is left "
		"out",
		path, n->name);
}

static const char *add_auth(struct import_lines *l, struct import_node *section, const char *path,
			    bool ours)
{
	const struct import_node *n = import_get(section, "auth");
	const char *word = n ? n->value : "pubkey", *auth = auth_of(word, ours);

	if (!auth) {
		import_leave_out(
			l, n,
			"%.150s.auth: Mendip has no \"%.60s\" on this side, so the connection "
			"is left out",
			path, word);
		return NULL;
	}
	if (strcmp(auth, "pubkey") == 0 && strcmp(word, auth) != 0) {
		import_say(l, n, "%.150s.auth: what \"%.60s\" says beyond pubkey is left out", path,
			   word);
		if (!ours)
			leave_out_for(l, n, path);
	}
	import_add_text(l, n ? n : section, false, "auth", auth);
	return auth;
}

static void add_key(struct import_lines *l, const struct import_node *section, const char *path)
{
	char *cert = first_cert(l, section), *key = l->ops->find_key(l->ops->ctx, cert ? cert : "");

	(void)import_get(section, "pubkeys");
	if (key)
		import_add_text(l, section, false, "key", key);
	else
		import_say(l, section,
			   "%.150s: no private key without a password in private, rsa, ecdsa "
			   "and pkcs8 of %.100s belongs to the certificate",
			   path, l->ops->folder);
	free(cert);
	free(key);
}

/* The address of the connection, if it has one; swanctl takes it for our identity. */
static char *own_address(const struct import_node *conn)
{
	char *item = first_of(conn, "local_addrs");
	struct addr a;

	if (item && addr_parse(item, &a) == 0 && !addr_is_no_host(&a))
		return item;
	free(item);
	return NULL;
}

static void add_local(struct import_lines *l, const struct import_node *conn,
		      struct import_node *section, const char *path)
{
	const struct import_node *id = import_get(section, "id"), *n;
	const char *auth;
	char *address = own_address(conn);

	import_open(l, section, "local");
	auth = add_auth(l, section, path, true);
	if (id)
		import_add_identity(l, id, "id");
	else if (auth && strcmp(auth, "psk") == 0 && address)
		import_add_text(l, section, false, "id", address);
	else if (auth && import_get(section, "eap_id")) {
		import_say(l, section, "%.150s: needs an id, as which eap_id is taken", path);
		import_add_text(l, section, false, "id", import_find(section, "eap_id")->value);
	}
	free(address);
	if (auth && (strcmp(auth, "pubkey") == 0 || strcmp(auth, "eap-tls") == 0)) {
		add_files(l, section, path, "certs", "cert", "x509");
		add_key(l, section, path);
	}
	n = import_get(section, "eap_id");
	if (n)
		import_add_text(l, n, false, "eap_id", n->value);
	n = import_get(section, "aaa_id");
	if (n)
		import_add_identity(l, n, "aaa_id");
	import_close(l, section);
	import_say_rest(l, section, path);
}

static void add_remote(struct import_lines *l, struct import_node *section, const char *path)
{
	/* What narrows the circle of those who are let in. */
	static const char *const narrower[] = {"groups", "cert_policy", "ca_id", NULL};
	const struct import_node *id = import_get(section, "id"), *n;
	const char *auth;

	import_open(l, section, "remote");
	auth = add_auth(l, section, path, false);
	if (id)
		import_add_identity(l, id, "id");
	if (auth && strcmp(auth, "pubkey") == 0) {
		l->certificates = true;
		add_files(l, section, path, "cacerts", "cacert", "x509ca");
		add_files(l, section, path, "certs", "cert", "x509");
		add_files(l, section, path, "pubkeys", NULL, "pubkey");
	}
	for (unsigned i = 0; narrower[i]; i++)
		leave_out_for(l, import_find(section, narrower[i]), path);
	for (n = section->first; n; n = n->next) {
		/* A certificate on a token: without it, any CA in the folder would do. */
		if (!n->value && (has_prefix(n->name, "cert") || has_prefix(n->name, "cacert")) &&
		    !import_find(n, "file"))
			leave_out_for(l, n, path);
	}
	n = import_get(section, "revocation");
	if (n)
		import_add_text(l, n, false, "revocation", n->value);
	import_close(l, section);
	import_say_rest(l, section, path);
}

/* The first section whose name begins so; further ones are rounds of authentication, or NULL. */
static struct import_node *side_of(struct import_lines *l, const struct import_node *conn,
				   const char *name, const char *path)
{
	struct import_node *found = NULL;

	for (struct import_node *n = conn->first; n; n = n->next) {
		if (n->value || !has_prefix(n->name, name) || n->name[strlen(name)] == '_')
			continue;
		n->seen = true;
		if (!found) {
			found = n;
			continue;
		}
		import_leave_out(
			l, n,
			"%.150s.%.60s: there is one round of authentication, so the connection "
			"is left out",
			path, n->name);
	}
	return found;
}

void import_add_sides(struct import_lines *l, const struct import_node *conn, const char *path)
{
	struct import_node *side;
	char side_path[120];

	side = side_of(l, conn, "local", path);
	snprintf(side_path, sizeof(side_path), "%s.local", path);
	if (side)
		add_local(l, conn, side, side_path);
	side = side_of(l, conn, "remote", path);
	snprintf(side_path, sizeof(side_path), "%s.remote", path);
	if (side)
		add_remote(l, side, side_path);
}
