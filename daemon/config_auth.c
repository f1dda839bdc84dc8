/* config_auth.c - see config_auth.h. SPDX-License-Identifier: ISC */
#include "config_auth.h"
#include "config_files.h"
#include "crypto/legacy.h"
#include "crypto/token.h"
#include "xalloc.h"

#include <stdio.h>
#include <unistd.h>

/* Our certificates go into one message of IKE_MAX_MESSAGE bytes, with all else. */
#define OUR_CERTS_MOST 12288

/* ---- the kinds and tables ---- */

/* What strongSwan has before an identity, and what is written here. */
static const struct {
	const char *prefix, *instead;
} prefixes[] = {
	{"fqdn:", "the name alone"},
	{"dns:", "the name alone"},
	{"email:", "user@domain alone"},
	{"rfc822:", "user@domain alone"},
	{"userfqdn:", "user@domain alone"},
	{"ipv4:", "the address alone"},
	{"ipv6:", "the address alone"},
	{"asn1dn:", "the name alone, as \"O=Example, CN=gw\""},
	{"keyid:", "@# and the bytes in hexadecimal"},
};

/* Fails if v begins with the type of its identity. */
static int check_prefix(struct conf_reader *r, config_setting_t *s, const char *v)
{
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (strncmp(v, prefixes[i].prefix, strlen(prefixes[i].prefix)) == 0)
			return conf_fail(r, s, "\"%.60s\": write %s, without \"%s\"", v,
					 prefixes[i].instead, prefixes[i].prefix);
	}
	return 0;
}

/* Why nobody can have the identity, written as v; NULL: one can. Only a peer's may be a pattern. */
static const char *no_identity(const char *v, const struct ident *id, bool ours)
{
	bool name = id->type == ID_FQDN || id->type == ID_RFC822;
	const char *at = strchr(v, '@');
	struct addr a;
	struct ts t;

	if (addr_parse(v, &a) == 0 && !addr_is_no_host(&a))
		return NULL;
	if (addr_parse(v, &a) == 0)
		return ours ? "it is not the address of a host"
			    : "it is not the address of a host; \"%any\" stands for any identity";
	if (name && ts_parse(v, &t) == 0)
		return ours ? "a network or range is not an identity"
			    : "a network or range is not an identity; \"%any\" stands for any";
	if (id->type == ID_RFC822 && (at == v || at[1] == '\0'))
		return "a name stands on both sides of @";
	if (name && memchr(id->data + 1, '*', id->len - 1u))
		return ours ? "a name of ours has no \"*\""
			    : "\"*\" stands for anything only at the beginning";
	return NULL;
}

static int read_identity(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
			 void *base)
{
	struct ident *id = (void *)((char *)base + o->at);
	bool ours = o->at == offsetof(struct conn_conf, local_id);
	const char *v, *none;

	if (conf_get_string(r, s, &v) < 0 || check_prefix(r, s, v) < 0)
		return -EINVAL;
	if (ident_parse(v, id) < 0 || (ours && ident_is_pattern(id)))
		return conf_fail(r, s,
				 "\"%.60s\" is not an identity: write an address, a domain name, "
				 "user@domain, @#hex, or a distinguished name such as "
				 "\"O=Example, CN=gw\"",
				 v);
	none = no_identity(v, id, ours);
	if (none)
		return conf_fail(r, s, "nobody has the identity \"%.60s\": %s", v, none);
	return 0;
}

/* In the syntax of the file: names octet for octet, with @ before one that would otherwise be read
 * as another type. */
static void print_identity(struct conf_out *out, const struct conf_option *o, const void *base)
{
	const struct ident *id = (const void *)((const char *)base + o->at);
	char text[IDENT_STRLEN + 1] = "@";
	struct ident again;
	bool plain;

	if (id->type == ID_FQDN || id->type == ID_RFC822)
		memcpy(text + 1, id->data, id->len); /* holds no NUL, as it was read from text */
	else
		ident_format(id, text + 1);
	plain = ident_parse(text + 1, &again) == 0 && ident_eq(&again, id);
	conf_print_text(out, plain ? text + 1 : text);
}

static const struct conf_kind identity = {read_identity, print_identity};

static const char *const kinds[] = {[AUTH_KIND_PSK] = "psk", [AUTH_KIND_PUBKEY] = "pubkey", NULL};
static const char *const our_kinds[] = {[AUTH_KIND_PSK] = "psk",
					[AUTH_KIND_PUBKEY] = "pubkey",
					[AUTH_KIND_EAP_MSCHAPV2] = "eap-mschapv2",
					[AUTH_KIND_EAP_TLS] = "eap-tls",
					NULL};
static const char *const yes_no[] = {"yes", "no", NULL};
static const char *const revocations[] = {[REVOCATION_RELAXED] = "relaxed",
					  [REVOCATION_IFURI] = "ifuri",
					  [REVOCATION_STRICT] = "strict",
					  NULL};

/* As conf_word, with a sentence for those who expect EAP here. */
static int read_their_kind(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
			   void *base)
{
	const char *v;

	if (conf_get_string(r, s, &v) < 0)
		return -EINVAL;
	if (strncmp(v, "eap", 3) == 0)
		return conf_fail(r, s,
				 "EAP is for our side only (local.auth): the peer must "
				 "authenticate by \"pubkey\" or \"psk\"");
	return conf_word.read(r, s, o, base);
}

static void print_their_kind(struct conf_out *out, const struct conf_option *o, const void *base)
{
	conf_word.print(out, o, base);
}

static const struct conf_kind their_kind = {read_their_kind, print_their_kind};

/* Any text without control characters. */
static bool is_eap_id(const char *id)
{
	size_t len = strlen(id);

	for (const char *p = id; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return false;
	}
	return len > 0 && len <= EAP_ID_MAX;
}

static bool is_aaa_id(const char *text)
{
	struct ident id;

	return ident_parse(text, &id) == 0 && !ident_is_pattern(&id);
}

/* clang-format off */
#define AT(field) offsetof(struct conn_conf, field)
static const struct conf_option local_options[] = {
	{.name = "auth", .kind = &conf_word, .at = AT(auth.local), .words = our_kinds, .standard = "\"psk\"",
	 .help = "how we authenticate"},
	{.name = "id", .kind = &identity, .at = AT(local_id), .help = "our identity"},
	{.name = "certs", .kind = &conf_names, .at = AT(auth.certs), .help = "files of our certificates"},
	{.name = "key", .kind = &conf_text, .at = AT(auth.key), .help = "file of our private key, or its URI on a token"},
	{.name = "password", .kind = &conf_text, .at = AT(auth.password), .help = "file of its password, or of the PIN of the token"},
	{.name = "rsa_pss", .kind = &conf_either, .at = AT(auth.rsa_pss), .words = yes_no, .standard = "\"no\"",
	 .help = "sign by RSASSA-PSS"},
	{.name = "eap_id", .kind = &conf_text, .at = AT(auth.eap_id), .good = is_eap_id,
	 .rule = "must be 1 to 253 bytes without control characters", .help = "our identity in EAP"},
	{.name = "aaa_id", .kind = &conf_text, .at = AT(auth.aaa_id), .good = is_aaa_id,
	 .rule = "must be an identity without \"*\"", .help = "identity of the server of EAP-TLS"},
};

static const struct conf_option remote_options[] = {
	{.name = "auth", .kind = &their_kind, .at = AT(auth.remote), .words = kinds, .standard = "\"psk\"",
	 .help = "how the peer authenticates"},
	{.name = "id", .kind = &identity, .at = AT(remote_id), .help = "the identity of the peer"},
	{.name = "cacerts", .kind = &conf_names, .at = AT(auth.cacerts), .help = "files of CAs"},
	{.name = "certs", .kind = &conf_names, .at = AT(auth.peer_certs), .help = "files of the peer's certificates"},
	{.name = "pubkeys", .kind = &conf_names, .at = AT(auth.pubkeys), .help = "files of the peer's public keys"},
	{.name = "revocation", .kind = &conf_word, .at = AT(auth.revocation), .words = revocations,
	 .standard = "\"relaxed\"", .help = "certificates without a CRL"},
};
#undef AT
/* clang-format on */

const struct conf_table conf_local_table = {local_options, ARRAY_SIZE(local_options)};
const struct conf_table conf_remote_table = {remote_options, ARRAY_SIZE(remote_options)};

/* We authenticate by a key of our own. */
static bool needs_key(const struct conn_auth *a)
{
	return a->local == AUTH_KIND_PUBKEY || a->local == AUTH_KIND_EAP_TLS;
}

/* The peer, or the server of EAP-TLS, authenticates by a key. */
static bool needs_trust(const struct conn_auth *a)
{
	return a->remote == AUTH_KIND_PUBKEY || a->local == AUTH_KIND_EAP_TLS;
}

static int read_local(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
		      void *base)
{
	const struct conn_conf *c = base;

	(void)o;
	if (conf_read_options(r, s, &conf_local_table, base) < 0)
		return -EINVAL;
	if (c->auth.eap_id && !auth_kind_is_eap(c->auth.local))
		return conf_fail(r, s,
				 "eap_id needs auth = \"eap-mschapv2\" or auth = \"eap-tls\"");
	if (c->auth.aaa_id && c->auth.local != AUTH_KIND_EAP_TLS)
		return conf_fail(r, s, "aaa_id needs auth = \"eap-tls\"");
	if (needs_key(&c->auth))
		return 0;
	if (c->auth.key || c->auth.certs.count)
		return conf_fail(r, s,
				 "certs and key need auth = \"pubkey\" or auth = \"eap-tls\"");
	if (c->auth.password)
		return conf_fail(r, s,
				 "password is that of key, and there is none: passwords of EAP "
				 "stand in secrets, in a group eap...");
	return c->local_id.type == ID_NONE ? conf_fail(r, s, "needs id") : 0;
}

static void print_local(struct conf_out *out, const struct conf_option *o, const void *base)
{
	(void)o;
	conf_print_group(out, &conf_local_table, base);
}

static int read_remote(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
		       void *base)
{
	const struct conn_conf *c = base;

	(void)o;
	if (conf_read_options(r, s, &conf_remote_table, base) < 0)
		return -EINVAL;
	if (c->auth.remote == AUTH_KIND_PSK && ((c->auth.cacerts.count && !needs_trust(&c->auth)) ||
						c->auth.peer_certs.count || c->auth.pubkeys.count))
		return conf_fail(r, s, "cacerts, certs and pubkeys need auth = \"pubkey\"");
	if (c->auth.pubkeys.count && ident_is_pattern(&c->remote_id))
		return conf_fail(r, s,
				 "pubkeys need an id without \"*\": a public key does not say "
				 "whose it is");
	return 0;
}

static void print_remote(struct conf_out *out, const struct conf_option *o, const void *base)
{
	(void)o;
	conf_print_group(out, &conf_remote_table, base);
}

const struct conf_kind conf_local_auth = {read_local, print_local};
const struct conf_kind conf_remote_auth = {read_remote, print_remote};

int conf_no_remote(struct conf_reader *r, config_setting_t *conn, void *base)
{
	(void)conn;
	return conf_read_options(r, NULL, &conf_remote_table, base);
}

/* ---- our key and certificates ---- */

static const struct cred_items *from_file(struct conf_reader *r, config_setting_t *s,
					  const char *name, bool secret, const char *password)
{
	bool on_token = secret && token_is_uri(name);
	char *path = on_token ? NULL : conf_file_path(r, s, name);
	char *pw = password ? conf_file_path(r, s, password) : NULL;
	const struct cred_items *items;

	if ((!path && !on_token) || (password && !pw))
		items = NULL;
	else if (on_token)
		items = conf_key_on_token(r, s, name, pw);
	else if (secret)
		items = conf_keys_from(r, s, path, pw);
	else
		items = conf_creds_from(r, s, path);

	free(path);
	free(pw);
	return items;
}

static const struct pkey *private_key(const struct cred_items *items)
{
	for (unsigned i = 0; i < items->key_count; i++) {
		if (pkey_is_private(items->keys[i]))
			return items->keys[i];
	}
	return NULL;
}

/* Collects certificates; the one of the key comes first. */
static int add_certs(struct conf_reader *r, config_setting_t *s, struct conn_creds *c,
		     const struct cred_items *items)
{
	for (unsigned i = 0; i < items->cert_count; i++) {
		const struct cert *cert = items->certs[i];
		struct cert_chain *to = &c->chain;

		if (to->count == CHAIN_MAX)
			return conf_fail(r, s, "more than %d certificates", CHAIN_MAX);
		to->v[to->count++] = cert_ref(cert);
		if (!pkey_same(cert_key(cert), c->key))
			continue;
		to->v[to->count - 1] = to->v[0];
		to->v[0] = cert;
	}
	return 0;
}

static int check_chain(struct conf_reader *r, config_setting_t *s, const struct cert_chain *chain,
		       const struct pkey *key)
{
	size_t size = 0;
	const char *why;

	if (chain->count && !pkey_same(cert_key(chain->v[0]), key))
		return conf_fail(r, s, "none of the certificates is that of the private key");
	for (unsigned i = 0; i < chain->count; i++)
		size += cert_der(chain->v[i]).len;
	if (size > OUR_CERTS_MOST)
		return conf_fail(r, s, "the certificates have %zu bytes, more than %d", size,
				 OUR_CERTS_MOST);
	if (chain->count && !cert_may_sign(chain->v[0], &why))
		return conf_fail(r, s, "the certificate cannot be used: %s", why);
	return 0;
}

static int load_ours(struct conf_reader *r, config_setting_t *g, struct conn_conf *conn,
		     struct conn_creds *c)
{
	config_setting_t *s = config_setting_get_member(g, "local");
	const struct conn_auth *a = &conn->auth;
	const struct cred_items *items;

	if (!a->key)
		return conf_fail(r, s, "auth = \"%s\" needs key, the file of a private key",
				 our_kinds[a->local]);
	items = from_file(r, s, a->key, true, a->password);
	if (!items)
		return -EINVAL;
	c->key = private_key(items);
	if (!c->key)
		return conf_fail(r, s, "%.100s holds no private key", a->key);
	c->key = pkey_ref(c->key);
	if (!a->certs.count && add_certs(r, s, c, items) < 0)
		return -EINVAL;
	for (unsigned i = 0; i < a->certs.count; i++) {
		items = from_file(r, s, a->certs.v[i], false, NULL);
		if (!items || add_certs(r, s, c, items) < 0)
			return -EINVAL;
	}
	return check_chain(r, s, &c->chain, c->key);
}

/*
 * Without an id it is the subject of our certificate. A distinguished name that is the subject is
 * sent as it is written there: some peers compare the bytes.
 */
static int set_our_id(struct conf_reader *r, config_setting_t *g, struct conn_conf *conn,
		      const struct conn_creds *c)
{
	config_setting_t *s = config_setting_get_member(g, "local");
	const struct cert *cert = c->chain.count ? c->chain.v[0] : NULL;
	bool given = conn->local_id.type != ID_NONE;
	struct ident subject;

	if (given && !cert)
		return 0;
	if (!cert)
		return conf_fail(r, s, "needs id, as there is no certificate");
	if (ident_from_wire(ID_DN, cert_subject(cert), &subject) < 0) {
		if (!given)
			return conf_fail(r, s,
					 "needs id, as the certificate has no subject, or one "
					 "of more than %d bytes",
					 IDENT_MAX);
		subject = conn->local_id;
	}
	if (!given || ident_eq(&subject, &conn->local_id))
		conn->local_id = subject;
	/* The server of EAP looks at eap_id. */
	if (!conn->auth.eap_id && !cert_confirms(cert, &conn->local_id))
		return conf_fail(r, s,
				 "the certificate does not have id as subjectAltName or subject: "
				 "peers would refuse it");
	return 0;
}

/* ---- what lets the peer in ---- */

static void add_anchors(struct trust *t, const struct cred_items *items, bool pinned)
{
	for (unsigned i = 0; i < items->cert_count; i++)
		trust_add(t, items->certs[i], pinned);
	for (unsigned i = 0; i < items->crl_count; i++)
		trust_add_crl(t, items->crls[i]);
}

static int add_files(struct conf_reader *r, config_setting_t *s, const struct name_list *names,
		     bool pinned, struct trust *t)
{
	for (unsigned i = 0; i < names->count; i++) {
		const struct cred_items *items = from_file(r, s, names->v[i], false, NULL);

		if (!items)
			return -EINVAL;
		if (!items->cert_count)
			return conf_fail(r, s, "%.100s holds no certificate", names->v[i]);
		add_anchors(t, items, pinned);
	}
	return 0;
}

/* A folder of `daemon`, which need not exist; cas: certificates in it are trusted. */
static int add_folder(struct conf_reader *r, config_setting_t *s, const char *name, bool cas,
		      struct trust *t)
{
	char *path = *name == '/' ? xstrdup(name) : xasprintf("%s/%s", r->config->folder, name);
	const struct cred_items *items = NULL;
	int error = access(path, F_OK) == 0 ? 0 : errno, e = 0;

	if (error == 0)
		items = conf_creds_from(r, s, path);
	/* One that cannot be entered may hold what revokes. */
	else if (error == ENOENT)
		conf_note_read(r, s, CONF_READ_MISSING, path);
	else
		e = conf_fail(r, s, "%.200s: %s", path, strerror(error));
	free(path);
	if (error)
		return e;
	if (!items)
		return -EINVAL;
	for (unsigned i = 0; cas && i < items->cert_count; i++)
		trust_add(t, items->certs[i], false);
	for (unsigned i = 0; i < items->crl_count; i++)
		trust_add_crl(t, items->crls[i]);
	return 0;
}

static int load_pubkeys(struct conf_reader *r, config_setting_t *s, const struct name_list *names,
			struct conn_creds *c)
{
	for (unsigned i = 0; i < names->count; i++) {
		const struct cred_items *items = from_file(r, s, names->v[i], false, NULL);

		if (!items)
			return -EINVAL;
		if (!items->key_count)
			return conf_fail(r, s, "%.100s holds no public key", names->v[i]);
		for (unsigned k = 0; k < items->key_count; k++) {
			if (c->pubkey_count == PUBKEYS_MAX)
				return conf_fail(r, s, "more than %d public keys", PUBKEYS_MAX);
			c->pubkeys[c->pubkey_count++] = pkey_ref(items->keys[k]);
		}
	}
	return 0;
}

/* What makes certificates trusted, by the names that it was made of. */
struct conf_trusts {
	struct conf_trusts *next;
	char *names;
	struct trust *trust;
};

void conf_trusts_free(struct conf_trusts *t)
{
	while (t) {
		struct conf_trusts *next = t->next;

		trust_unref(t->trust);
		free(t->names);
		free(t);
		t = next;
	}
}

/* All names of files of the connection that lead to trust, as one text. Owned. */
static char *trusted_names(const struct conf_reader *r, const struct conn_auth *a)
{
	char *text = NULL, *folder = conf_path(r, "");
	size_t size = 0;
	FILE *f = conf_open_text(&text, &size);

	fprintf(f, "%s%c", folder, a->pubkeys.count ? 'k' : 'n');
	for (unsigned i = 0; i < a->cacerts.count; i++)
		fprintf(f, "\nc%s", a->cacerts.v[i]);
	for (unsigned i = 0; i < a->peer_certs.count; i++)
		fprintf(f, "\np%s", a->peer_certs.v[i]);
	conf_close_text(f);
	free(folder);
	return text;
}

/* The CAs that the connection names; if it names nothing, those of the folder. */
static int fill_trust(struct conf_reader *r, config_setting_t *s, const struct conn_auth *a,
		      struct trust *t)
{
	bool named = a->cacerts.count || a->peer_certs.count || a->pubkeys.count;

	if (add_files(r, s, &a->cacerts, false, t) < 0 ||
	    add_files(r, s, &a->peer_certs, true, t) < 0 ||
	    (!named && add_folder(r, s, r->config->ca_folder, true, t) < 0) ||
	    add_folder(r, s, r->config->crl_folder, false, t) < 0)
		return -EINVAL;
	if (!trust_anchor(t, 0) && !a->pubkeys.count)
		return conf_fail(
			r, s,
			"no CA is configured: put one into the folder %.100s (ca_folder in "
			"daemon), or name it in cacerts",
			r->config->ca_folder);
	return 0;
}

static int load_trust(struct conf_reader *r, config_setting_t *s, const struct conn_auth *a,
		      const struct trust **ret)
{
	char *names = trusted_names(r, a);
	struct conf_trusts *t = r->config->trusts;

	while (t && strcmp(t->names, names) != 0)
		t = t->next;
	if (t) {
		free(names);
	} else {
		t = xzalloc(sizeof(*t));
		*t = (struct conf_trusts){
			.next = r->config->trusts, .names = names, .trust = trust_new()};
		r->config->trusts = t;
		if (fill_trust(r, s, a, t->trust) < 0)
			return -EINVAL;
	}
	*ret = trust_anchor(t->trust, 0) ? trust_ref(t->trust) : NULL;
	return 0;
}

int conf_load_creds(struct conf_reader *r, config_setting_t *g, struct conn_conf *conn)
{
	config_setting_t *s = config_setting_get_member(g, "remote");
	struct conn_creds *c;

	if (!s)
		s = g; /* eap-tls needs no group remote */
	if (!needs_key(&conn->auth) && !needs_trust(&conn->auth))
		return 0;
	c = cred_store_add(r->config->conns.creds, conn->name);
	if (needs_key(&conn->auth) &&
	    (load_ours(r, g, conn, c) < 0 || set_our_id(r, g, conn, c) < 0))
		return -EINVAL;
	if (!needs_trust(&conn->auth))
		return 0;
	if (load_pubkeys(r, s, &conn->auth.pubkeys, c) < 0 ||
	    load_trust(r, s, &conn->auth, &c->peer) < 0)
		return -EINVAL;
	if (conn->auth.local != AUTH_KIND_EAP_TLS)
		return 0;
	if (!c->chain.count)
		return conf_fail(r, config_setting_get_member(g, "local"),
				 "auth = \"eap-tls\" needs certs");
	return c->peer ? 0
		       : conf_fail(r, s,
				   "local.auth = \"eap-tls\" needs cacerts, by which the "
				   "server of EAP-TLS is checked");
}

int conf_check_eap(const struct conn_conf *conn, const struct psk_store *secrets, char *why)
{
	char id[IDENT_STRLEN];

	if (!auth_kind_is_eap(conn->auth.local))
		return 0;
	if (strlen(conn_eap_id(conn, id)) > EAP_ID_MAX)
		snprintf(why, CONFIG_ERR, "local.id is too long for EAP: set local.eap_id");
	else if (conn->remote_any)
		snprintf(
			why, CONFIG_ERR,
			"local.auth = \"eap-...\" is for calls of ours only: take \"%%any\" out of "
			"remote_addrs");
	/* The gateway's identity would be the server's, and every certificate of the CA fit. */
	else if (conn->auth.local == AUTH_KIND_EAP_TLS && !conn->auth.aaa_id &&
		 ident_is_pattern(&conn->remote_id))
		snprintf(why, CONFIG_ERR,
			 "local.auth = \"eap-tls\" needs to know whose certificate the server has: "
			 "set local.aaa_id to its identity, or remote.id to one without \"*\"");
	else if (conn->auth.local == AUTH_KIND_EAP_MSCHAPV2 && !conn_eap_secret(conn, secrets))
		snprintf(why, CONFIG_ERR,
			 "no password for \"%.100s\": add a group eap... with this id to secrets",
			 id);
	else if (conn->auth.local == AUTH_KIND_EAP_MSCHAPV2 && !legacy_is_available())
		snprintf(why, CONFIG_ERR,
			 "eap-mschapv2 needs MD4 and DES, and OpenSSL's legacy provider, which has "
			 "them, cannot be loaded: on Debian 13 install openssl-provider-legacy");
	else
		return 0;
	return -EINVAL;
}
