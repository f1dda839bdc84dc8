/* config_daemon.c - the options of the group daemon. SPDX-License-Identifier: ISC */
#include "config_option.h"
#include "listen_at.h"
#include "xalloc.h"

#include <pwd.h>

#define AT(field) offsetof(struct config, field)

/* It must fit into sun_path of a socket address. */
static bool is_control_path(const char *text)
{
	return text[0] == '/' && strlen(text) <= 100;
}

static bool is_listen_at(const char *text)
{
	struct listen_at l;

	return listen_at_parse(text, &l) == 0;
}

static bool is_folder(const char *text)
{
	return text[0] == '/';
}

static bool is_user(const char *text)
{
	return getpwnam(text) != NULL;
}

static const char *const modes[] = {
	[OFFLOAD_AUTO] = "auto", [OFFLOAD_ON] = "on", [OFFLOAD_OFF] = "off", NULL};

static int read_mode(struct conf_reader *r, config_setting_t *s, enum offload_mode *ret)
{
	unsigned which;

	if (conf_get_word(r, s, modes, &which) < 0)
		return -EINVAL;
	*ret = (enum offload_mode)which;
	return 0;
}

/* One word for all three, or a group with a word for each. */
static int read_offload(struct conf_reader *r, config_setting_t *s, const struct conf_option *o,
			void *base)
{
	static const char *const names[] = {"tun", "udp_segment", "udp_gro", NULL};
	struct offload_config *c = &((struct config *)base)->fixed.offload;
	enum offload_mode *const each[] = {&c->tun, &c->udp_segment, &c->udp_gro};
	config_setting_t *one;

	(void)o;
	if (!config_setting_is_group(s)) {
		if (read_mode(r, s, &c->tun) < 0)
			return -EINVAL;
		c->udp_segment = c->udp_gro = c->tun;
		return 0;
	}
	if (conf_known(r, s, names) < 0)
		return -EINVAL;
	for (size_t i = 0; names[i]; i++) {
		one = config_setting_get_member(s, names[i]);
		if (one && read_mode(r, one, each[i]) < 0)
			return -EINVAL;
	}
	return 0;
}

static void print_offload(struct conf_out *out, const struct conf_option *o, const void *base)
{
	const struct offload_config *c = &((const struct config *)base)->fixed.offload;

	(void)o;
	fprintf(out->f, "{ tun = \"%s\"; udp_segment = \"%s\"; udp_gro = \"%s\"; }", modes[c->tun],
		modes[c->udp_segment], modes[c->udp_gro]);
}

static const struct conf_kind offload = {read_offload, print_offload};

/* ---- the table ---- */

static const char *const levels[] = {[LOG_LEVEL_ERROR] = "error",
				     [LOG_LEVEL_WARNING] = "warning",
				     [LOG_LEVEL_INFO] = "info",
				     [LOG_LEVEL_DEBUG] = "debug",
				     NULL};
static const char *const backends[] = {
	[AEAD_AUTO] = "auto", [AEAD_OPENSSL] = "openssl", [AEAD_IPSEC_MB] = "ipsec-mb", NULL};
static const char *const yes_no[] = {"yes", "no", NULL},
			 *const block_allow[] = {"block", "allow", NULL},
			 *const first_last[] = {"first", "last", NULL},
			 *const stay_end[] = {"stay", "end", NULL};

#define LIMIT_MAX 65535

/* clang-format off */
static const struct conf_option options[] = {
	{.name = "tun", .kind = &conf_text, .at = AT(fixed.tun), .good = conf_is_device,
	 .rule = CONF_DEVICE_RULE, .standard = "\"mendip0\"",
	 .help = "name of the TUN device"},
	{.name = "mtu", .kind = &conf_number, .at = AT(fixed.mtu), .least = 1280, .most = 9000,
	 .zero = "what fits the paths", .standard = "0", .help = "MTU of the TUN device"},
	{.name = "offload", .kind = &offload, .at = AT(fixed.offload), .standard = "\"auto\"",
	 .help = "super-packets of TUN, and trains of datagrams"},
	{.name = "crypto_backend", .kind = &conf_word, .at = AT(fixed.crypto), .words = backends,
	 .standard = "\"auto\"", .help = "which library encrypts packets"},
	{.name = "log", .kind = &conf_word, .at = AT(log), .words = levels, .standard = "\"info\"",
	 .help = "lines of this level and above"},
	{.name = "control", .kind = &conf_text, .at = AT(fixed.control), .good = is_control_path,
	 .rule = "must be an absolute path of at most 100 characters",
	 .standard = "\"" CONTROL_PATH "\"", .help = "path of the control socket"},
	{.name = "view_group", .kind = &conf_text, .at = AT(fixed.view_group), .standard = "\"mendip-view\"",
	 .help = "group whose members may view the status"},
	{.name = "admin_group", .kind = &conf_text, .at = AT(fixed.admin_group), .standard = "\"mendip-admin\"",
	 .help = "group whose members may also change what runs"},
	{.name = "metrics_listen", .kind = &conf_text, .at = AT(fixed.metrics_listen), .good = is_listen_at,
	 .rule = LISTEN_AT_RULE, .help = "where metrics are served by HTTP"},
	{.name = "user", .kind = &conf_text, .at = AT(fixed.user), .good = is_user,
	 .rule = "this host has no such user: make it (useradd --system NAME), or name another one",
	 .help = "user to run as when started as root"},
	{.name = "key_log", .kind = &conf_text, .at = AT(fixed.key_log), .good = is_folder,
	 .rule = "must be the absolute path of a folder", .help = "folder where keys are written for Wireshark"},
	{.name = "ca_folder", .kind = &conf_text, .at = AT(ca_folder), .standard = "\"x509ca\"",
	 .help = "folder of the CAs for connections that name none"},
	{.name = "crl_folder", .kind = &conf_text, .at = AT(crl_folder), .standard = "\"x509crl\"",
	 .help = "folder of CRLs"},
	{.name = "history_memory", .kind = &conf_size, .at = AT(history_memory), .least = 1 << 20,
	 .most = 1ULL << 40, .standard = "\"256M\"", .help = "bytes that the histories of all SAs may take"},
	{.name = "half_open_max", .kind = &conf_number, .at = AT(ike.half_open_max), .least = 1,
	 .most = LIMIT_MAX, .standard = "1000", .help = "half-open IKE SAs"},
	{.name = "cookie_threshold", .kind = &conf_number, .at = AT(ike.cookie_threshold), .least = 1,
	 .most = LIMIT_MAX, .standard = "30", .help = "half-open IKE SAs from which on cookies are demanded"},
	{.name = "leak", .kind = &conf_either, .at = AT(fixed.leak_block), .words = block_allow,
	 .standard = "\"block\"", .help = "packets for a tunnel that is down: dropped, or sent in clear"},
	{.name = "local_routes", .kind = &conf_either, .at = AT(fixed.local_routes_first), .words = first_last,
	 .standard = "\"first\"", .help = "closer routes of the main table: in clear, or through the tunnel"},
	{.name = "install_routes", .kind = &conf_either, .at = AT(fixed.install_routes), .words = yes_no,
	 .standard = "\"yes\"", .help = "make routes and rules"},
	{.name = "secret_changed", .kind = &conf_either, .at = AT(ike.old_secrets_stay), .words = stay_end,
	 .standard = "\"end\"", .help = "IKE SAs that came up with a secret that has changed"},
	{.name = "nat_keepalive", .kind = &conf_time, .at = AT(ike.keepalive), .least = NSEC_PER_SEC,
	 .standard = "\"20s\"", .help = "interval of NAT keepalives"},
	{.name = "peer_ike_sas", .kind = &conf_number, .at = AT(ike.peer_sas), .least = 1, .most = LIMIT_MAX,
	 .standard = "8", .help = "IKE SAs of one peer"},
	{.name = "peer_children", .kind = &conf_number, .at = AT(ike.peer_children), .least = 1,
	 .most = LIMIT_MAX, .standard = "256", .help = "CHILD SAs of one peer"},
	{.name = "peer_routes", .kind = &conf_number, .at = AT(ike.peer_routes), .least = 1, .most = LIMIT_MAX,
	 .standard = "1024", .help = "selectors of one peer"},
	{.name = "peer_log_rate", .kind = &conf_number, .at = AT(ike.peer_log_rate), .least = 1,
	 .most = LIMIT_MAX, .standard = "10", .help = "lines a second that one peer may cause"},
	{.name = "guess_rate", .kind = &conf_number, .at = AT(ike.guess_rate), .least = 1, .most = LIMIT_MAX,
	 .standard = "1", .help = "wrong secrets a second from one address"},
	{.name = "retransmit_timeout", .kind = &conf_time, .at = AT(ike.retransmit.timeout),
	 .least = 100 * NSEC_PER_MSEC, .standard = "\"500ms\"", .help = "first retransmission of a request"},
	{.name = "retransmit_base", .kind = &conf_factor, .at = AT(ike.retransmit.base), .least = 1000,
	 .most = 10000, .standard = "\"1.9\"", .help = "how much longer each further one waits"},
	{.name = "retransmit_tries", .kind = &conf_number, .at = AT(ike.retransmit.tries), .least = 1,
	 .most = 100, .standard = "7", .help = "retransmissions before the peer is given up"},
};
/* clang-format on */

const struct conf_table conf_daemon_table = {options, ARRAY_SIZE(options)};

void conf_defaults(struct config *c)
{
	char err[CONFIG_ERR];
	struct conf_reader r = {.config = c, .path = "", .err = err};

	*c = (struct config){.conns = {.secrets = psk_store_new(), .creds = cred_store_new()}};
	ike_settings_default(&c->ike);
	tunnel_options_default(&c->defaults);
	(void)conf_read_options(&r, NULL, &conf_daemon_table, c);
	conf_options_fini(&r);
}
