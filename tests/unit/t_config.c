/* t_config.c - each option of mendip.conf(5) is read, shown, and its change is noticed at a reload.
 * SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config_access.h"
#include "config_option.h"
#include "pki.h"
#include "xalloc.h"

#include <openssl/pkcs12.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Places in BASE for the options of each group. */
#define IN_DAEMON     "/*daemon*/"
#define IN_CONN	      "/*conn*/"
#define IN_CHILD      "/*child*/"
#define IN_BACKUP     "/*backup*/"
#define IN_SWITCHOVER "/*switchover*/"

#define SECRETS                                                 \
	"secrets: { ike: { secret = \"one for all\"; };"        \
	" ppk: { id = \"quantum\"; secret = \"0x00112233\"; };" \
	" eap: { id = \"user\"; secret = \"password\"; }; };\n"
#define LOCAL	"id = \"a.example\";"
#define REMOTE	"id = \"b.example\";"
#define BETWEEN " remote: { " /* LOCAL and REMOTE */
#define EAP_TLS LOCAL "auth = \"eap-tls\"; key = \"gw.key\"; certs = \"gw.pem\"; "

#define BASE                                                                                \
	"pools: { road: { addrs = \"10.3.0.0/24\"; dns = [ \"10.9.0.53\" ];"                \
	" subnets = [ \"10.9.0.0/16\" ]; }; };\n"                                           \
	"daemon: { " IN_DAEMON " };\n"                                                      \
	"connections: { gw: { " IN_CONN " local_addrs = [ \"192.0.2.1\" ];"                 \
	" remote_addrs = [ \"192.0.2.2\" ]; local: { id = \"a.example\"; };"                \
	" remote: { id = \"b.example\"; };"                                                 \
	" children: { net: { " IN_CHILD " local_ts = \"10.1.0.0/16\"; remote_ts = "         \
	"\"10.2.0.0/16\"; switchover: { " IN_SWITCHOVER " }; }; }; };"                      \
	" gw2: { remote_addrs = [ \"192.0.2.3\" ]; local: { id = \"a.example\"; };"         \
	" remote: { id = \"c.example\"; }; " IN_BACKUP " children: { net: {"                \
	" local_ts = \"10.1.0.0/16\"; remote_ts = \"10.2.0.0/16\"; device = \"ipsec2\"; };" \
	" shared: { local_ts = \"10.1.0.0/16\"; remote_ts = \"10.2.0.0/16\"; }; }; }; "     \
	"};\n" SECRETS

/* A different value for each option; `new` replaces `old`, which is the option in BASE or a
 * place. */
static const struct change {
	const struct conf_table *table; /* NULL: an option of the switchover group */
	const char *name, *old, *new;
} changes[] = {
	{&conf_daemon_table, "tun", IN_DAEMON, "tun = \"other0\";"},
	{&conf_daemon_table, "mtu", IN_DAEMON, "mtu = 1300;"},
	{&conf_daemon_table, "offload", IN_DAEMON, "offload = { udp_gro = \"off\"; };"},
	{&conf_daemon_table, "key_log", IN_DAEMON, "key_log = \"/run/keys\";"},
	{&conf_daemon_table, "crypto_backend", IN_DAEMON, "crypto_backend = \"openssl\";"},
	{&conf_daemon_table, "log", IN_DAEMON, "log = \"debug\";"},
	{&conf_daemon_table, "control", IN_DAEMON, "control = \"/run/other\";"},
	{&conf_daemon_table, "view_group", IN_DAEMON, "view_group = \"users\";"},
	{&conf_daemon_table, "admin_group", IN_DAEMON, "admin_group = \"adm\";"},
	{&conf_daemon_table, "metrics_listen", IN_DAEMON, "metrics_listen = \"127.0.0.1:9500\";"},
	{&conf_daemon_table, "user", IN_DAEMON, "user = \"nobody\";"},
	{&conf_daemon_table, "ca_folder", IN_DAEMON, "ca_folder = \"other\";"},
	{&conf_daemon_table, "crl_folder", IN_DAEMON, "crl_folder = \"other\";"},
	{&conf_daemon_table, "history_memory", IN_DAEMON, "history_memory = \"8G\";"},
	{&conf_daemon_table, "half_open_max", IN_DAEMON, "half_open_max = 9;"},
	{&conf_daemon_table, "cookie_threshold", IN_DAEMON, "cookie_threshold = 9;"},
	{&conf_daemon_table, "leak", IN_DAEMON, "leak = \"allow\";"},
	{&conf_daemon_table, "local_routes", IN_DAEMON, "local_routes = \"last\";"},
	{&conf_daemon_table, "install_routes", IN_DAEMON, "install_routes = \"no\";"},
	{&conf_daemon_table, "secret_changed", IN_DAEMON, "secret_changed = \"stay\";"},
	{&conf_daemon_table, "nat_keepalive", IN_DAEMON, "nat_keepalive = 9;"},
	{&conf_daemon_table, "peer_ike_sas", IN_DAEMON, "peer_ike_sas = 9;"},
	{&conf_daemon_table, "peer_children", IN_DAEMON, "peer_children = 9;"},
	{&conf_daemon_table, "peer_routes", IN_DAEMON, "peer_routes = 9;"},
	{&conf_daemon_table, "peer_log_rate", IN_DAEMON, "peer_log_rate = 9;"},
	{&conf_daemon_table, "guess_rate", IN_DAEMON, "guess_rate = 9;"},
	{&conf_daemon_table, "retransmit_timeout", IN_DAEMON, "retransmit_timeout = \"4s\";"},
	{&conf_daemon_table, "retransmit_base", IN_DAEMON, "retransmit_base = 1.8;"},
	{&conf_daemon_table, "retransmit_tries", IN_DAEMON, "retransmit_tries = 5;"},
	{&conf_conn_table, "local_port", IN_CONN, "local_port = 10500;"},
	{&conf_conn_table, "remote_port", IN_CONN, "remote_port = 4500;"},
	{&conf_conn_table, "local_addrs", "192.0.2.1", "192.0.2.11"},
	{&conf_conn_table, "remote_addrs", "192.0.2.2", "gw.example"},
	{&conf_conn_table, "local", "a.example", "@192.0.2.1"},
	{&conf_conn_table, "remote", "b.example", "*.example"},
	{&conf_conn_table, "rsa_sha1", IN_CONN, "rsa_sha1 = \"yes\";"},
	{&conf_local_table, "auth", LOCAL, LOCAL "auth = \"pubkey\"; key = \"gw.key\";"},
	{&conf_local_table, "id", LOCAL,
	 "auth = \"pubkey\"; key = \"gw.p12\"; password = \"gw.pass\";"},
	{&conf_local_table, "certs", LOCAL,
	 LOCAL "auth = \"pubkey\"; certs = [ \"gw.pem\", \"ca.pem\" ]; key = \"gw.key\";"},
	{&conf_local_table, "key", LOCAL,
	 LOCAL "auth = \"pubkey\"; key = \"gw.p12\"; password = \"gw.pass\";"},
	{&conf_local_table, "password", LOCAL,
	 LOCAL "auth = \"pubkey\"; key = \"gw.key\"; password = \"gw.pass\";"},
	{&conf_local_table, "rsa_pss", LOCAL, LOCAL "rsa_pss = \"yes\";"},
	{&conf_local_table, "eap_id", LOCAL, LOCAL "auth = \"eap-mschapv2\"; eap_id = \"user\";"},
	{&conf_local_table, "aaa_id", LOCAL " };" BETWEEN REMOTE,
	 EAP_TLS "aaa_id = \"aaa.example\"; };" BETWEEN REMOTE "cacerts = \"ca.pem\";"},
	{&conf_remote_table, "auth", REMOTE, REMOTE "auth = \"pubkey\"; cacerts = \"ca.pem\";"},
	{&conf_remote_table, "id", REMOTE, "id = \"O=Example, CN=*\";"},
	{&conf_remote_table, "cacerts", REMOTE,
	 REMOTE "auth = \"pubkey\"; cacerts = [ \"cas\", \"ca.pem\" ];"},
	{&conf_remote_table, "certs", REMOTE, REMOTE "auth = \"pubkey\"; certs = \"gw.pem\";"},
	{&conf_remote_table, "pubkeys", REMOTE, REMOTE "auth = \"pubkey\"; pubkeys = \"gw.pub\";"},
	{&conf_remote_table, "revocation", REMOTE, REMOTE "revocation = \"strict\";"},
	{&conf_conn_table, "proposals", IN_CONN, "proposals = \"aes128gcm16-prfsha256-x25519\";"},
	{&conf_conn_table, "ppk_id", IN_CONN, "ppk_id = \"quantum\";"},
	{&conf_conn_table, "ppk_required", IN_CONN,
	 "ppk_id = \"quantum\"; ppk_required = \"yes\";"},
	{&conf_conn_table, "rekey_time", IN_CONN, "rekey_time = \"1h\";"},
	{&conf_conn_table, "over_time", IN_CONN, "over_time = \"1h\";"},
	{&conf_conn_table, "dpd_delay", IN_CONN, "dpd_delay = 0;"},
	{&conf_conn_table, "failback", IN_CONN, "failback = \"1m\";"},
	{&conf_conn_table, "backup", IN_CONN, "backup = \"gw2\";"},
	{&conf_conn_table, "encap", IN_CONN, "encap = \"auto\";"},
	{&conf_conn_table, "retransmit_timeout", IN_CONN, "retransmit_timeout = \"4s\";"},
	{&conf_conn_table, "retransmit_base", IN_CONN, "retransmit_base = \"1.8\";"},
	{&conf_conn_table, "retransmit_tries", IN_CONN, "retransmit_tries = 5;"},
	{&conf_conn_table, "unique", IN_CONN, "unique = \"keep\";"},
	{&conf_conn_table, "ha_peer", IN_CONN, "ha_peer = \"yes\";"},
	{&conf_conn_table, "childless", IN_CONN, "childless = \"prefer\";"},
	{&conf_conn_table, "fragmentation", IN_CONN, "fragmentation = \"force\";"},
	{&conf_conn_table, "fragment_size", IN_CONN, "fragment_size = 576;"},
	{&conf_conn_table, "mobike", IN_CONN, "mobike = \"no\";"},
	{&conf_conn_table, "vips", IN_CONN, "vips = [ \"0.0.0.0\", \"::\" ];"},
	{&conf_conn_table, "dns", IN_CONN, "vips = \"0.0.0.0\"; dns = \"resolved\";"},
	{&conf_conn_table, "dns_domains", IN_CONN,
	 "vips = \"0.0.0.0\"; dns = \"resolved\"; dns_domains = [ \"~.\", \"example.net\" ];"},
	{&conf_conn_table, "pools", IN_CONN, "pools = [ \"road\" ];"},
	{&conf_conn_table, "device", IN_CONN, "device = \"ipsec1\";"},
	{&conf_conn_table, "children", "net: {", "lan: {"},
	{&conf_child_table, "local_ts", "10.1.0.0/16", "10.1.0.0/17"},
	{&conf_child_table, "remote_ts", "10.2.0.0/16", "10.2.0.0/16[udp]"},
	{&conf_child_table, "esp_proposals", IN_CHILD,
	 "esp_proposals = [ \"aes128gcm16-noesn\" ];"},
	{&conf_child_table, "rekey_time", IN_CHILD, "rekey_time = \"50m\"; life_time = \"66m\";"},
	{&conf_child_table, "life_time", IN_CHILD, "life_time = \"2h\";"},
	{&conf_child_table, "rekey_bytes", IN_CHILD, "rekey_bytes = \"1G\";"},
	{&conf_child_table, "life_bytes", IN_CHILD, "life_bytes = \"1G\";"},
	{&conf_child_table, "rekey_packets", IN_CHILD, "rekey_packets = \"1G\";"},
	{&conf_child_table, "life_packets", IN_CHILD, "life_packets = \"1G\";"},
	{&conf_child_table, "start_action", IN_CHILD, "start_action = \"trap\";"},
	{&conf_child_table, "close_action", IN_CHILD, "close_action = \"none\";"},
	{&conf_child_table, "dpd_action", IN_CHILD, "dpd_action = \"restart\";"},
	{&conf_child_table, "device", IN_CHILD, "device = \"ipsec1\";"},
	{&conf_child_table, "replay_window", IN_CHILD, "replay_window = 64;"},
	{&conf_child_table, "switchover", IN_SWITCHOVER, "bridge = \"off\";"},
	{NULL, "detect", IN_SWITCHOVER, "detect = \"both\";"},
	{NULL, "proof_packets", IN_SWITCHOVER, "proof_packets = 2;"},
	{NULL, "packets", IN_SWITCHOVER, "packets = 9;"},
	{NULL, "interval", IN_SWITCHOVER, "interval = \"2s\";"},
	{NULL, "max_rekeys", IN_SWITCHOVER, "max_rekeys = 9;"},
	{NULL, "per", IN_SWITCHOVER, "per = \"9s\";"},
	{NULL, "quiet", IN_SWITCHOVER, "quiet = 0;"},
	{NULL, "jitter", IN_SWITCHOVER, "jitter = 0;"},
	{NULL, "history_packets", IN_SWITCHOVER, "history_packets = \"4G\";"},
	{NULL, "verify_rate", IN_SWITCHOVER, "verify_rate = 9;"},
	{NULL, "older_sa_grace", IN_SWITCHOVER, "older_sa_grace = 9;"},
	{NULL, "retired_time", IN_SWITCHOVER, "retired_time = \"1h\";"},
	{NULL, "bridge", IN_SWITCHOVER, "bridge = \"off\";"},
	{NULL, "silent_rekey", IN_SWITCHOVER, "silent_rekey = \"1h\";"},
};

/* The folder of the configuration, and the files of certificates in it. */
static char folder[] = "/tmp/t_config.XXXXXX";
static const char *const files[] = {"ca.pem",  "gw.pem",     "gw.key",	"gw.pub",   "gw.p12",
				    "gw.pass", "cas/ca.pem", "odd.pem", "weak.pem", "other.key"};

static void write_file(const char *name, const void *text, size_t len, mode_t mode)
{
	char path[sizeof(folder) + 32];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

static void write_text(const char *name, char *text, mode_t mode)
{
	write_file(name, text, strlen(text), mode);
	free(text);
}

static void write_p12(const struct pki *p)
{
	unsigned char *der = NULL;
	PKCS12 *p12 = PKCS12_create("a password", "gw", p->key, p->x, NULL, 0, 0, 0, 0, 0);
	int len = i2d_PKCS12(p12, &der);

	write_file("gw.p12", der, (size_t)len, 0600);
	OPENSSL_free(der);
	PKCS12_free(p12);
}

static int make_files(void **state)
{
	struct pki *ca = pki_ca(PKI_P256, "CN=CA", NULL);
	struct pki *gw = pki_make(&(struct pki_spec){.kind = PKI_P256,
						     .subject = "O=Example,CN=gw",
						     .san = "DNS:a.example",
						     .issuer = ca});
	struct pki *odd = pki_make(&(struct pki_spec){.kind = PKI_P256,
						      .subject = "CN=odd",
						      .usage = "keyEncipherment",
						      .san = "DNS:a.example",
						      .key_of = gw});
	struct pkey *key = pki_private(gw);
	char cas[sizeof(folder) + 8];

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(cas, sizeof(cas), "%s/cas", folder);
	assert_int_equal(mkdir(cas, 0755), 0);
	write_text("ca.pem", pki_pem(ca, true, false), 0644);
	write_text("cas/ca.pem", pki_pem(ca, true, false), 0644);
	write_text("gw.pem", pki_pem(gw, true, false), 0644);
	write_text("gw.key", pki_pem(gw, false, true), 0600);
	write_text("odd.pem", pki_pem(odd, true, false), 0644);
	write_text("other.key", pki_pem(ca, false, true), 0600);
	write_text("weak.pem",
		   pki_pem(pki_make(&(struct pki_spec){.kind = PKI_RSA_1024, .subject = "CN=weak"}),
			   true, false),
		   0644);
	write_file("gw.pub", pkey_spki(key).p, pkey_spki(key).len, 0644);
	write_text("gw.pass", xstrdup("a password\nsecond line"), 0600);
	write_p12(gw);
	pkey_unref(key);
	return 0;
}

static int remove_files(void **state)
{
	char path[sizeof(folder) + 32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/cas", folder);
	rmdir(path);
	return rmdir(folder);
}

/* Loads a file with this text; NULL with err (CONFIG_ERR bytes). */
static struct config *try(const char *text, char *err)
{
	char path[sizeof(folder) + 32];
	struct config *c;

	write_file("mendip.conf", text, strlen(text), 0600);
	snprintf(path, sizeof(path), "%s/mendip.conf", folder);
	c = conf_load(path, err, NULL);
	unlink(path);
	return c;
}

static struct config *load(const char *text)
{
	char err[CONFIG_ERR] = "";
	struct config *c = try(text, err);

	if (!c)
		fail_msg("%s", err);
	return c;
}

/* BASE with `old` replaced by `new`; to be freed. */
static char *replaced(const char *text, const char *old, const char *new)
{
	const char *at = strstr(text, old);

	assert_non_null(at);
	return xasprintf("%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
}

static char *base_with(const char *old, const char *new)
{
	return replaced(BASE, old, new);
}

static struct config *load_with(const char *old, const char *new)
{
	char *text = base_with(old, new);
	struct config *c = load(text);

	free(text);
	return c;
}

static bool has_change(const struct conf_table *table, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		if (changes[i].table == table && strcmp(changes[i].name, name) == 0)
			return true;
	}
	return false;
}

static void switchover_has_change(void *ctx, const char *name, const char *value)
{
	(void)ctx, (void)value;
	if (!has_change(NULL, name))
		fail_msg("switchover.%s is not tried", name);
}

/* Every option has an entry in `changes`. */
static void each_option_is_tried(void **state)
{
	static const struct conf_table *const tables[] = {&conf_daemon_table, &conf_conn_table,
							  &conf_local_table, &conf_remote_table,
							  &conf_child_table};
	struct tunnel_options o;

	(void)state;
	for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
		for (unsigned i = 0; i < tables[t]->count; i++) {
			const struct conf_option *row = &tables[t]->v[i];

			assert_non_null(row->help);
			if (!has_change(tables[t], row->name))
				fail_msg("%s is not tried", row->name);
		}
	}
	tunnel_options_default(&o);
	tunnel_options_each(&o, switchover_has_change, NULL);
}

/* Asserts that the connection counts as changed: a reload acts on it, and a restart does not use
 * the state that was handed over. */
static void conn_is_another(const struct change *change, const struct config *old,
			    const struct config *new)
{
	uint8_t a[32], b[32];

	if (conf_conn_same(old->conns.v[0], new->conns.v[0]))
		fail_msg("%s: the connection is the same", change->new);
	conf_conn_digest(old->conns.v[0], old->conns.secrets, &old->conns.v[0]->remote_id, a);
	conf_conn_digest(new->conns.v[0], new->conns.secrets, &old->conns.v[0]->remote_id, b);
	assert_memory_not_equal(a, b, sizeof(a));
}

/* Asserts that the new value is used from now on, or that the option is named and keeps its value
 * until the next start. */
static void daemon_is_another(const struct change *change, const struct config *old,
			      struct config *new)
{
	char *before = conf_dump(old), *with = conf_dump(new), *kept, names[256];

	assert_string_not_equal(before, with);
	conf_keep_fixed(old, new, names, sizeof(names));
	kept = conf_dump(new);
	assert_string_equal(kept, *names ? before : with);
	assert_string_equal(names, *names ? change->name : "");
	free(before);
	free(with);
	free(kept);
}

/* Every change in `changes` is noticed, and BASE loaded twice is equal. */
static void each_change_is_noticed(void **state)
{
	struct config *old = load(BASE), *again = load(BASE);

	(void)state;
	assert_true(conf_conn_same(old->conns.v[0], again->conns.v[0]));
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		struct config *new = load_with(changes[i].old, changes[i].new);

		if (changes[i].table == &conf_daemon_table) {
			assert_true(conf_conn_same(old->conns.v[0], new->conns.v[0]));
			daemon_is_another(&changes[i], old, new);
		} else {
			conn_is_another(&changes[i], old, new);
		}
		conf_free(new);
	}
	conf_free(again);
	conf_free(old);
}

static void digest_with_ppk(const char *ppk_id, const char *secrets, uint8_t *out)
{
	char *conn = xasprintf("ppk_id = \"%s\";", ppk_id), *text;
	const char *at = strstr(BASE, IN_CONN), *end = strstr(BASE, SECRETS);
	struct config *c;

	text = xasprintf("%.*s%s%.*ssecrets: { ike: { secret = \"one for all\"; }; %s };\n",
			 (int)(at - BASE), BASE, conn, (int)(end - at), at, secrets);
	c = load(text);
	conf_conn_digest(c->conns.v[0], c->conns.secrets, &c->conns.v[0]->remote_id, out);
	conf_free(c);
	free(text);
	free(conn);
}

/* A restart does not go on with an IKE SA whose post-quantum key has changed; others do not count.
 */
static void ppks_are_part_of_the_digest(void **state)
{
	static const char one[] = "ppk1: { id = \"quantum\"; secret = \"0x11\"; };",
			  changed[] = "ppk1: { id = \"quantum\"; secret = \"0x12\"; };",
			  other[] = "ppk1: { id = \"quantum\"; secret = \"0x11\"; };"
				    " ppk2: { id = \"else\"; secret = \"0x12\"; };";
	uint8_t a[32], b[32];

	(void)state;
	digest_with_ppk("quantum", one, a);
	digest_with_ppk("quantum", changed, b);
	assert_memory_not_equal(a, b, sizeof(a));
	digest_with_ppk("quantum", other, b);
	assert_memory_equal(a, b, sizeof(a));
	digest_with_ppk(PPK_ANY, one, a);
	digest_with_ppk(PPK_ANY, other, b);
	assert_memory_not_equal(a, b, sizeof(a));
}

/* Asserts that the shown configuration, read back, is the same. */
static void check_shown(const struct config *c)
{
	char *shown = conf_dump(c), *text, *shown_again;
	struct config *again;

	text = xasprintf("%s" SECRETS, shown);
	again = load(text);
	shown_again = conf_dump(again);
	assert_string_equal(shown, shown_again);
	for (unsigned i = 0; i < c->conns.count; i++) {
		assert_true(conf_conn_same(c->conns.v[i], again->conns.v[i]));
		assert_true(ident_eq(&c->conns.v[i]->remote_id, &again->conns.v[i]->remote_id));
	}
	free(shown);
	free(text);
	free(shown_again);
	conf_free(again);
}

/* The shown configuration, read back, is the same for every change. */
static void shown_reads_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		struct config *c = load_with(changes[i].old, changes[i].new);

		check_shown(c);
		conf_free(c);
	}
}

/* What is wrong with keys and certificates is said, with the remedy. */
static void wrong_credentials_are_told(void **state)
{
	static const struct {
		const char *old, *new, *error;
		const char *file; /* that has this mode meanwhile; NULL: none */
		mode_t mode;
	} cases[] = {
		{LOCAL, LOCAL "auth = \"pubkey\";", "needs key", NULL, 0},
		{LOCAL, LOCAL "key = \"gw.key\";", "need auth = \"pubkey\"", NULL, 0},
		{LOCAL, "auth = \"pubkey\"; key = \"gw.key\";", "needs id", NULL, 0},
		{LOCAL, "auth = \"psk\";", "needs id", NULL, 0},
		{LOCAL, LOCAL "auth = \"pubkey\"; key = \"gw.pem\";", "no private key", "gw.pem",
		 0600},
		{LOCAL, LOCAL "auth = \"pubkey\"; key = \"none.key\";", "cannot be read", NULL, 0},
		{LOCAL, LOCAL "auth = \"pubkey\"; key = \"gw.key\";", "others can read", "gw.key",
		 0604},
		{LOCAL, LOCAL "auth = \"pubkey\"; key = \"gw.key\";", "chmod go-w", "gw.key", 0620},
		{LOCAL, LOCAL "auth = \"pubkey\"; key = \"gw.key\"; certs = \"gw.pem\";",
		 "chmod go-w", "gw.pem", 0664},
		{LOCAL, LOCAL "auth = \"pubkey\"; key = \"gw.p12\";", "password", NULL, 0},
		{LOCAL, LOCAL "auth = \"pubkey\"; key = \"gw.p12\"; password = \"gw.key\";",
		 "password is wrong", NULL, 0},
		{LOCAL, LOCAL "auth = \"pubkey\"; key = \"gw.p12\"; password = \"gw.pass\";",
		 "others can read", "gw.pass", 0644},
		{LOCAL, LOCAL "auth = \"pubkey\"; key = \"other.key\"; certs = \"gw.pem\";",
		 "none of the certificates is that of the private key", NULL, 0},
		{LOCAL,
		 "id = \"c.example\"; auth = \"pubkey\"; key = \"gw.key\"; certs = \"gw.pem\";",
		 "subjectAltName", NULL, 0},
		{LOCAL, LOCAL "auth = \"pubkey\"; key = \"gw.key\"; certs = \"odd.pem\";",
		 "keyUsage", NULL, 0},
		{LOCAL, LOCAL "auth = \"eap\";", "\"eap-mschapv2\" or \"eap-tls\"", NULL, 0},
		{LOCAL, LOCAL "auth = \"eap-mschapv2\";", "no password for \"a.example\"", NULL, 0},
		{LOCAL, LOCAL "auth = \"eap-mschapv2\"; eap_id = \"\";", "1 to 253 bytes", NULL, 0},
		{LOCAL, LOCAL "auth = \"eap-mschapv2\"; eap_id = \"a\tb\";", "control", NULL, 0},
		{LOCAL, LOCAL "auth = \"eap-mschapv2\"; password = \"gw.pass\";",
		 "password is that of key", NULL, 0},
		{LOCAL, LOCAL "eap_id = \"user\";", "eap_id needs auth", NULL, 0},
		{LOCAL, LOCAL "auth = \"eap-mschapv2\"; eap_id = \"user\"; aaa_id = \"a\";",
		 "aaa_id needs auth = \"eap-tls\"", NULL, 0},
		{LOCAL, LOCAL "auth = \"eap-mschapv2\"; key = \"gw.key\";", "certs and key need",
		 NULL, 0},
		{LOCAL, LOCAL "auth = \"eap-tls\";", "needs key", NULL, 0},
		{LOCAL, EAP_TLS, "no CA is configured", NULL, 0},
		{LOCAL " };" BETWEEN REMOTE " };", EAP_TLS "aaa_id = \"aaa.example\"; };",
		 "no CA is configured", NULL, 0},
		{LOCAL, EAP_TLS "aaa_id = \"*.example\";", "without \"*\"", NULL, 0},
		{LOCAL " };" BETWEEN REMOTE,
		 LOCAL "auth = \"eap-tls\"; key = \"gw.key\"; };" BETWEEN REMOTE
		       "cacerts = \"ca.pem\";",
		 "needs certs", NULL, 0},
		{LOCAL " };" BETWEEN REMOTE,
		 EAP_TLS "};" BETWEEN "id = \"*.example\"; cacerts = \"ca.pem\";",
		 "set local.aaa_id", NULL, 0},
		{LOCAL " };" BETWEEN REMOTE, EAP_TLS "};" BETWEEN "cacerts = \"ca.pem\";",
		 "set local.aaa_id", NULL, 0},
		{LOCAL " };" BETWEEN REMOTE,
		 EAP_TLS "};" BETWEEN REMOTE "auth = \"pubkey\"; pubkeys = \"gw.pub\";",
		 "needs cacerts", NULL, 0},
		{"192.0.2.2\" ]; local: { " LOCAL,
		 "192.0.2.2\", \"%any\" ]; local: { " LOCAL
		 "auth = \"eap-mschapv2\"; eap_id = \"user\";",
		 "for calls of ours only", NULL, 0},
		{REMOTE, REMOTE "auth = \"eap-mschapv2\";", "EAP is for our side only", NULL, 0},
		{LOCAL, "id = \"CN=*\";", "not an identity", NULL, 0},
		{REMOTE, REMOTE "auth = \"pubkey\";", "no CA is configured", NULL, 0},
		{REMOTE, REMOTE "cacerts = \"ca.pem\";", "need auth = \"pubkey\"", NULL, 0},
		{REMOTE, REMOTE "auth = \"pubkey\"; cacerts = \"weak.pem\";", "2048", NULL, 0},
		{REMOTE, REMOTE "auth = \"pubkey\"; cacerts = \"gw.pass\";", "neither certificate",
		 "gw.pass", 0644},
		{REMOTE, REMOTE "auth = \"pubkey\"; cacerts = \"gw.pub\";", "no certificate", NULL,
		 0},
		{REMOTE, REMOTE "auth = \"pubkey\"; pubkeys = \"gw.pem\";", "no public key", NULL,
		 0},
		{REMOTE, "id = \"*.example\"; auth = \"pubkey\"; pubkeys = \"gw.pub\";", "without",
		 NULL, 0},
		{REMOTE, "id = \"CN=\";", "not an identity", NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *text = base_with(cases[i].old, cases[i].new), path[sizeof(folder) + 32],
		     err[CONFIG_ERR] = "";
		struct stat was = {0};
		struct config *c;

		snprintf(path, sizeof(path), "%s/%s", folder, cases[i].file ? cases[i].file : "");
		assert_int_equal(stat(path, &was), 0);
		if (cases[i].file)
			assert_int_equal(chmod(path, cases[i].mode), 0);
		c = try(text, err);
		assert_int_equal(chmod(path, was.st_mode & 07777), 0);
		if (c || !strstr(err, cases[i].error))
			fail_msg("%s: \"%s\" is not in: %s", cases[i].new, cases[i].error, err);
		free(text);
	}
}

/* What is read: keys that fit their certificates, CAs from files and folders, the identity. */
static void credentials_are_read(void **state)
{
	struct config *c =
		load_with(LOCAL, "auth = \"pubkey\"; key = \"gw.p12\"; password = \"gw.pass\";");
	const struct conn_creds *creds = cred_find(c->conns.creds, "gw");
	char id[IDENT_STRLEN];

	(void)state;
	assert_non_null(creds);
	assert_true(pkey_is_private(creds->key));
	assert_int_equal(creds->chain.count, 1);
	assert_true(pkey_same(creds->key, cert_key(creds->chain.v[0])));
	assert_null(creds->peer);
	assert_string_equal(ident_format(&c->conns.v[0]->local_id, id), "O=Example, CN=gw");
	conf_free(c);
	c = load_with(REMOTE, REMOTE
		      "auth = \"pubkey\"; cacerts = [ \"cas\", \"ca.pem\" ]; certs = \"gw.pem\"; "
		      "pubkeys = \"gw.pub\";");
	creds = cred_find(c->conns.creds, "gw");
	assert_non_null(creds);
	assert_null(creds->key);
	assert_non_null(trust_anchor(creds->peer, 1));
	assert_null(trust_anchor(creds->peer, 2)); /* the same CA twice is one */
	assert_false(trust_is_pinned(creds->peer, 0));
	assert_true(trust_is_pinned(creds->peer, 1));
	assert_int_equal(creds->pubkey_count, 1);
	conf_free(c);
	c = load_with(IN_DAEMON, "ca_folder = \"cas\";");
	assert_null(cred_find(c->conns.creds, "gw"));
	conf_free(c);
}

/* Files that systemd hands over: a secret, a key with its password, and CAs. */
static void credentials_of_systemd(void **state)
{
	static const struct {
		const char *old, *new, *error;
	} wrong[] = {
		{"secret = \"one for all\"", "file = \"credential:none\"",
		 "the unit needs LoadCredential=none:FILE"},
		{"secret = \"one for all\"", "file = \"credential:\"",
		 "is no name of a credential"},
		{"secret = \"one for all\"", "file = \"credential:../gw.pass\"", "is no name"},
		{"secret = \"one for all\"", "file = \"credential:..\"", "is no name"},
		{LOCAL, LOCAL "auth = \"pubkey\"; key = \"gw.p12\"; password = \"credential:no\";",
		 "LoadCredential=no:FILE"},
		{LOCAL, LOCAL "auth = \"pubkey\"; key = \"credential:no\";", "LoadCredential=no:"},
	};
	const char *secret = "secret = \"one for all\"", *file = "file = \"credential:gw.pass\"";
	char err[CONFIG_ERR] = "", *text = base_with(secret, file);
	struct config *c;

	(void)state;
	assert_null(try(text, err));
	assert_non_null(strstr(err, "systemd sets CREDENTIALS_DIRECTORY only for a unit with"));
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", folder, 1), 0);
	c = try(text, err);
	assert_non_null(c);
	conf_free(c);
	free(text);
	c = load_with(LOCAL, "auth = \"pubkey\"; key = \"credential:gw.p12\"; "
			     "password = \"credential:gw.pass\";");
	assert_true(pkey_is_private(cred_find(c->conns.creds, "gw")->key));
	conf_free(c);
	c = load_with(REMOTE, REMOTE "auth = \"pubkey\"; cacerts = \"credential:ca.pem\";");
	assert_non_null(trust_anchor(cred_find(c->conns.creds, "gw")->peer, 0));
	conf_free(c);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		text = base_with(wrong[i].old, wrong[i].new);
		assert_null(try(text, err));
		if (!strstr(err, wrong[i].error))
			fail_msg("%s: %s", wrong[i].new, err);
		free(text);
	}
	assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

/* What becomes of the process that tries a file; it calls alarm() first. */
static enum { TRIES, IS_KILLED, CRASHES, TAKES_LONG, EXITS } fate;

unsigned alarm(unsigned seconds)
{
	(void)seconds;
	if (fate == IS_KILLED)
		raise(SIGKILL);
	if (fate == TAKES_LONG)
		raise(SIGALRM);
	if (fate == CRASHES) {
		signal(SIGSEGV, SIG_DFL); /* a sanitizer has its own handler */
		raise(SIGSEGV);
	}
	if (fate == EXITS)
		_exit(1); /* as libraries do that have no memory */
	return 0;
}

/* Only of a fault in the file it is said that it does not pass. */
static void what_may_pass(void **state)
{
	static const struct {
		const char *text, *error;
		int fate;
		rlim_t files; /* descriptors that can be opened; 0: as many as ever */
		bool may_pass;
	} rows[] = {
		{"nonsense = 1;", "nonsense", TRIES, 0, false},
		{BASE, "ended by signal 9 (Killed): perhaps there is no memory", IS_KILLED, 0,
		 true},
		{BASE, "ended by signal 11 (Segmentation fault)", CRASHES, 0, true},
		{BASE, "took more than 10 s", TAKES_LONG, 0, true},
		{BASE, "a library ended the process that read it", EXITS, 0, true},
		{BASE, "cannot be read: Too many open files", TRIES, 2, true},
		{BASE, "cannot be tried: Too many open files", TRIES, 1, true},
	};
	char path[sizeof(folder) + 32];
	struct rlimit before, now;
	int next = dup(0);

	(void)state;
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	snprintf(path, sizeof(path), "%s/mendip.conf", folder);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char err[CONFIG_ERR] = "";
		bool may_pass = !rows[i].may_pass;

		write_file("mendip.conf", rows[i].text, strlen(rows[i].text), 0600);
		now = before;
		if (rows[i].files)
			now.rlim_cur = (rlim_t)next + rows[i].files;
		fate = rows[i].fate;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
		assert_null(conf_load(path, err, &may_pass));
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		fate = TRIES;
		if (!strstr(err, rows[i].error) || may_pass != rows[i].may_pass)
			fail_msg("row %zu: %s, %s", i, err, may_pass ? "may pass" : "stays");
	}
	unlink(path);
}

static unsigned count_doubts(const char *text, const char *what)
{
	char err[CONFIG_ERR] = "";
	struct config *c = conf_load_text("mendip.conf", text, err);
	unsigned count = 0;

	assert_string_equal(err, "");
	assert_non_null(c);
	for (unsigned i = 0; i < c->doubt_count; i++)
		count += strstr(c->doubts[i].text, what) != NULL;
	conf_free(c);
	return count;
}

/* Without descriptors, the addresses of this host cannot be known. */
static void local_addrs_that_may_be_ours(void **state)
{
	static const char not_ours[] = "this host has none of these addresses";
	struct rlimit before, none;

	(void)state;
	assert_int_equal(count_doubts(BASE, not_ours), 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){0, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(count_doubts(BASE, not_ours), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static pid_t parent;

static void crash_in_child(void *ctx, const char *line)
{
	if (getpid() != parent)
		raise(SIGKILL);
	snprintf(ctx, CONFIG_ERR, "%s", line);
}

static void a_look_that_crashes_is_told(void **state)
{
	char err[CONFIG_ERR] = "", said[CONFIG_ERR] = "";
	struct config *c = conf_load_text("/no/such/folder/mendip.conf", BASE, err);

	(void)state;
	assert_string_equal(err, "");
	assert_non_null(c);
	parent = getpid();
	/* The child has something to say, as it cannot find the folder. */
	assert_false(conf_can_read(c, getpwuid(0), crash_in_child, said));
	assert_non_null(strstr(said, "the process that looked has crashed"));
	conf_free(c);
}

/* The gateway may have any of several identities where that of the server is written. */
static void server_of_eap_beside_a_pattern(void **state)
{
	struct config *c = load_with(LOCAL " };" BETWEEN REMOTE,
				     EAP_TLS "aaa_id = \"aaa.example\"; };" BETWEEN
					     "id = \"*.example\"; cacerts = \"ca.pem\";");

	(void)state;
	conf_free(c);
}

/* Names octet for octet, as the server has them; other identities as text. */
static void identity_in_eap(void **state)
{
	static const struct {
		const char *local, *eap;
	} rows[] = {
		{"gw-\xc3\xb6.example", "gw-\xc3\xb6.example"},
		{"@user", "user"},
		{"us\xc3\xa9r@b.example", "us\xc3\xa9r@b.example"},
		{"192.0.2.1", "192.0.2.1"},
		{"CN=user", "CN=user"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *local = xasprintf("id = \"%s\"; auth = \"eap-mschapv2\";", rows[i].local);
		char *eap = xasprintf("eap: { id = \"%s\";", rows[i].eap), id[IDENT_STRLEN];
		char *once = base_with(LOCAL, local);
		char *text = replaced(once, "eap: { id = \"user\";", eap);
		struct config *c = load(text);

		assert_string_equal(conn_eap_id(c->conns.v[0], id), rows[i].eap);
		assert_non_null(conn_eap_secret(c->conns.v[0], c->conns.secrets));
		conf_free(c);
		free(text);
		free(once);
		free(eap);
		free(local);
	}
}

#define MANY_WORDS                                                                        \
	"aes128gcm16-aes192gcm16-aes256gcm16-chacha20poly1305-x25519-x448-ecp256-ecp384-" \
	"ecp521-ecp256bp-ecp384bp-ecp512bp-modp4096-modp6144-modp8192-"

/* Values that are easily confused with each other, or difficult to write. */
static void odd_values(void **state)
{
	static const struct {
		const char *old, *a, *b;
	} pairs[] = {
		{"b.example", "gw-\xc3\xb6.example", "gw-\xc3\xbc.example"},
		{"b.example", "@192.0.2.9", "@@192.0.2.9"},
		{"b.example", "192.0.2.9", "@192.0.2.9"},
		{"b.example", "%any", "@%any"},
		{"b.example", "a@b.example", "@@a@b.example"},
		{"b.example", "@#0102ff", "@#0102fe"},
		{"b.example", "*.example", "*.example.net"},
		{"b.example", "C=CH, O=Example\\\\, Ltd, CN=*",
		 "C=CH, O=Example\\\\, Ltd, CN=\\\\2A\\\\2A"},
		{"b.example", "CN=a+UID=b, 1.2.3.4=#0402beef", "CN=a, UID=b, 1.2.3.4=x"},
		{IN_CONN, "rekey_time = 5;", "rekey_time = \"5001ms\";"},
		{IN_CONN, "rekey_time = \"12345ms\";", "over_time = 0;"},
		{IN_CHILD, "rekey_time = \"12345ms\";", "rekey_time = \"3285d\";"},
		{IN_CHILD, "esp_proposals = \"aes128gcm16-noesn\"; replay_window = 0;",
		 "replay_window = 32;"},
		{IN_CHILD, "esp_proposals = \"" MANY_WORDS "modp2048-noesn\";",
		 "esp_proposals = \"" MANY_WORDS "modp3072-noesn\";"},
		{"\"10.2.0.0/16\"", "[ \"10.2.0.1-10.2.0.9\" ]", "[ \"10.2.0.0/16[tcp/1-9]\" ]"},
		{"\"192.0.2.2\"", "\"a.example\", \"192.0.2.3\"", "\"%any\", \"192.0.2.3\""},
		{IN_DAEMON, "ca_folder = \"a\\\"b\\\\c\";", "ca_folder = \"\";"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct config *a = load_with(pairs[i].old, pairs[i].a),
			      *b = load_with(pairs[i].old, pairs[i].b);
		char *x = conf_dump(a), *y = conf_dump(b);

		assert_string_not_equal(x, y);
		if (strcmp(pairs[i].old, IN_DAEMON) != 0)
			assert_false(conf_conn_same(a->conns.v[0], b->conns.v[0]));
		check_shown(a);
		check_shown(b);
		free(x);
		free(y);
		conf_free(a);
		conf_free(b);
	}
}

/* Longer ones could not be left to the next process at a restart. */
static void long_names_are_refused(void **state)
{
	static const char *const groups[] = {"gw: {", "net: {", "road: {"};
	char name[SAVED_TEXT + 8], *text, err[CONFIG_ERR];
	struct config *c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		for (size_t len = SAVED_TEXT - 1; len <= SAVED_TEXT; len++) {
			memset(name, 'x', len);
			memcpy(name + len, ": {", sizeof(": {"));
			text = base_with(groups[i], name);
			c = try(text, err);
			free(text);
			assert_true(!!c == (len < SAVED_TEXT));
			if (c)
				conf_free(c);
			else
				assert_non_null(strstr(err, "the name is longer than 255 bytes"));
		}
	}
}

static void dns_is_checked(void **state)
{
	static const char label[] =
		"a23456789-123456789-123456789-123456789-123456789-123456789-1234";
	static const struct {
		const char *with, *error;
	} cases[] = {
		{"dns = \"none\";", NULL},
		{"dns = \"resolved\";", "dns needs vips"},
		{"vips = \"::\"; dns_domains = \"example.net\";", "dns_domains needs dns"},
		{"", NULL},
		{"\"~example.net\", \"a_b.c-d\", \"~.\"", NULL},
		{"\"example.net\", \".\"", "write \"~.\" for all names"},
		{"\"example.net.\"", "is not a domain"},
		{"\"\"", "is not a domain"},
		{"\"~\"", "is not a domain"},
		{"\"~~.\"", "is not a domain"},
		{"\"a..b\"", "is not a domain"},
		{"\"a b\"", "is not a domain"},
	};
	char err[CONFIG_ERR], domains[300], *with, *text;

	(void)state;
	for (size_t i = 0; i <= ARRAY_SIZE(cases); i++) {
		const char *v = i < ARRAY_SIZE(cases) ? cases[i].with : domains;
		const char *error = i < ARRAY_SIZE(cases) ? cases[i].error : "is not a domain";
		struct config *c;

		snprintf(domains, sizeof(domains), "\"%s\"", label); /* 64 characters */
		with = xasprintf(i < 3 ? "%s"
				 : *v  ? "vips = \"::\"; dns = \"resolved\"; dns_domains = [ %s ];"
				       : "vips = \"::\"; dns = \"resolved\";%s",
				 v);
		text = base_with(IN_CONN, with);
		c = try(text, err);
		if (!!c != !error || (error && !strstr(err, error)))
			fail_msg("%s: %s", with, c ? "it is taken" : err);
		conf_free(c);
		free(with);
		free(text);
	}
}

/* A backup is another connection, for one peer, that has all the traffic on the same device. */
static void backups_are_checked(void **state)
{
	static const struct {
		const char *conn, *place, *text, *error; /* NULL: it is taken */
	} cases[] = {
		{"backup = \"gw2\";", NULL, NULL, NULL},
		{"backup = \"gw3\";", NULL, NULL, "there is no connection of this name"},
		{"backup = \"gw\";", NULL, NULL, "go round in a circle"},
		{"backup = \"gw2\";", IN_BACKUP, "backup = \"gw\";", "go round in a circle"},
		{"backup = \"gw2\";", "\"192.0.2.3\"", "\"%any\"", "both need one peer"},
		{"backup = \"gw2\";", "\"c.example\"", "\"*.example\"", "both need one peer"},
		{"backup = \"gw2\"; device = \"ipsec1\";", NULL, NULL,
		 "it has no child with the local_ts, remote_ts and device of net"},
		{"backup = \"gw2\"; device = \"ipsec2\";", NULL, NULL, NULL},
		{"backup = \"gw2\";", "shared: { local_ts = \"10.1.0.0/16\"",
		 "shared: { local_ts = \"10.1.0.0/24\"", "and device of net"},
	};
	char err[CONFIG_ERR];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *text = base_with(IN_CONN, cases[i].conn), *with;
		struct config *c;

		with = cases[i].place ? replaced(text, cases[i].place, cases[i].text)
				      : xstrdup(text);
		c = try(with, err);
		if (!cases[i].error && !c)
			fail_msg("%zu: %s", i, err);
		if (cases[i].error && (c || !strstr(err, cases[i].error)))
			fail_msg("%zu: %s", i, c ? "it is taken" : err);
		conf_free(c);
		free(with);
		free(text);
	}
}

/* Options that apply only at a start, all changed at once, are named and keep their values. */
static void fixed_ones_stay(void **state)
{
	struct config *old = load(BASE),
		      *new = load_with(IN_DAEMON,
				       "tun = \"other0\"; mtu = 1300; offload = \"off\"; "
				       "crypto_backend = \"openssl\"; control = \"/x\"; "
				       "metrics_listen = \"unix:/m\"; "
				       "user = \"nobody\"; key_log = \"/k\"; leak = \"allow\"; "
				       "local_routes = \"last\"; install_routes = \"no\";");
	char names[256], few[8], *before = conf_dump(old), *kept;

	(void)state;
	conf_keep_fixed(old, new, names, sizeof(names));
	assert_string_equal(
		names,
		"tun, mtu, offload, crypto_backend, control, metrics_listen, user, key_log, leak, "
		"local_routes, install_routes");
	kept = conf_dump(new);
	assert_string_equal(before, kept);
	conf_keep_fixed(old, new, few, sizeof(few)); /* the same again, with a buffer that is too
						      * short */
	assert_string_equal(few, "");
	free(before);
	free(kept);
	conf_free(old);
	conf_free(new);
}

static void same_values(const struct config *a, const struct config *b, size_t from, size_t to)
{
	for (unsigned i = 0; i < conf_daemon_table.count; i++) {
		const struct conf_option *o = &conf_daemon_table.v[i];
		char *x, *y;

		if (o->at < from || o->at >= to)
			continue;
		x = conf_value(o, a);
		y = conf_value(o, b);
		assert_string_equal(x, y);
		free(x);
		free(y);
	}
}

/* The table's defaults are those of the engine, and of an empty file. */
static void defaults_are_the_engines(void **state)
{
	struct config *none = xzalloc(sizeof(*none)), engine = {0}, *c = load(BASE);

	(void)state;
	ike_settings_default(&engine.ike);
	conf_defaults(none);
	same_values(none, &engine, offsetof(struct config, ike),
		    offsetof(struct config, ike) + sizeof(engine.ike));
	same_values(none, c, 0, sizeof(*none));
	conf_free(none);
	conf_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_option_is_tried),
		cmocka_unit_test(each_change_is_noticed),
		cmocka_unit_test(ppks_are_part_of_the_digest),
		cmocka_unit_test(shown_reads_back),
		cmocka_unit_test(odd_values),
		cmocka_unit_test(long_names_are_refused),
		cmocka_unit_test(dns_is_checked),
		cmocka_unit_test(backups_are_checked),
		cmocka_unit_test(fixed_ones_stay),
		cmocka_unit_test(defaults_are_the_engines),
		cmocka_unit_test(wrong_credentials_are_told),
		cmocka_unit_test(server_of_eap_beside_a_pattern),
		cmocka_unit_test(identity_in_eap),
		cmocka_unit_test(credentials_are_read),
		cmocka_unit_test(credentials_of_systemd),
		cmocka_unit_test(what_may_pass),
		cmocka_unit_test(a_look_that_crashes_is_told),
		cmocka_unit_test(local_addrs_that_may_be_ours),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
