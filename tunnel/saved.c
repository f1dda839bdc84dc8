/*
 * saved.c - handing the tunnels over to another process (doc/architecture.md).
 * SPDX-License-Identifier: ISC
 *
 * They are written by a daemon that is restarted, and read by the next one. A connection is written
 * when nothing is under way on it; any other is made anew. The peers notice nothing: our numbers go
 * on, and so do message IDs.
 */
#include "addresses.h"
#include "backup.h"
#include "child.h"
#include "conn.h"
#include "pool.h"
#include "tunnel_sa.h"
#include "saved.h"
#include "xalloc.h"

/* Change it whenever what is written changes: here, in esp_state.c or in ike_saved.c. */
#define FORMAT "mendip tunnels 11"
#define DIGEST 32
/* Upper bounds of what is written, without histories and pools: per SA or IKE SA, and the rest. */
#define ROOM_SA	   (64u << 10)
#define ROOM_FIRST (1u << 20)

/* ---- what can be written ---- */

static bool sa_is_settled(const struct tunnel_sa *s)
{
	const struct esp_sa *sa = tunnel_sa_esp(s);

	return s->active && !s->retired && !s->ending && !s->kept && sa && sa->out.key &&
	       s->recovery.state == RECOVERY_IDLE && s->check == CRITERION_NONE &&
	       esp_sa_is_calm(sa);
}

/* The engine has forgotten the replaced SA, and nothing is being recovered from it. */
static bool tombstone_is_settled(const struct tunnel_sa *s)
{
	return s->retired && !s->ike && s->recovery.state == RECOVERY_IDLE;
}

static bool child_is_settled(const struct tunnel_child *k)
{
	const struct tunnel_sa *s;

	LIST_FOREACH (s, &k->sas, link) {
		if (s->ike ? !sa_is_settled(s) : !tombstone_is_settled(s))
			return false;
	}
	return !k->only_auth;
}

static void count_ike_sas(const struct tunnel *t)
{
	const struct ike_sa *sa;
	struct tunnel_conn *c;

	LIST_FOREACH (c, &t->conns, link)
		c->ike_sas = 0;
	for (sa = ike_first_sa(t->ike); sa; sa = ike_next_sa(sa)) {
		c = ike_sa_owner(sa);
		if (c)
			c->ike_sas++;
	}
}

/* Only with an established c->sa, and after count_ike_sas. */
static bool conn_is_settled(const struct tunnel_conn *c)
{
	const struct tunnel_child *k;

	if (c->beside || c->crossing || c->ike_sas != 1 || !ike_sa_is_settled(c->sa))
		return false;
	LIST_FOREACH (k, &c->children, link) {
		if (!child_is_settled(k))
			return false;
	}
	return true;
}

bool tunnel_is_settled(const struct tunnel *t)
{
	const struct tunnel_conn *c;

	count_ike_sas(t);
	LIST_FOREACH (c, &t->conns, link) {
		if (conn_established(c) && !conn_is_settled(c))
			return false;
	}
	return true;
}

/* ---- writing ---- */

/* Leaves space for the length of what follows; length_done writes it. */
static size_t length_begin(struct writer *w)
{
	wr_be64(w, 0);
	return w->len;
}

static void length_done(struct writer *w, size_t from)
{
	if (!w->bad)
		put_be64(w->base + from - sizeof(uint64_t), w->len - from);
}

static void live_save(const struct tunnel_sa *s, struct writer *w)
{
	text_save(s->child->conf->name, w);
	child_sa_save(s->ike, w);
	wr_bytes(w, &s->keys, sizeof(s->keys));
	wr_be64(w, s->installed);
	wr_be64(w, s->expires);
	esp_sa_save(tunnel_sa_esp(s), w);
}

static void tombstone_save(const struct tunnel_sa *s, struct writer *w)
{
	const struct esp_sa *sa = tunnel_sa_esp(s);
	const struct suite *suite = sa->in.suite;

	text_save(s->child->conf->name, w);
	wr_be32(w, s->spi);
	wr_be32(w, s->spi_out);
	wr_be16(w, suite->encr);
	wr_be16(w, suite->key_bits);
	wr_be16(w, suite->integ);
	wr_u8(w, sa->in.esn);
	ts_list_save(s->local, w);
	ts_list_save(s->remote, w);
	wr_bytes(w, &s->keys, sizeof(s->keys));
	wr_be64(w, s->installed);
	wr_be64(w, s->expires);
	wr_be64(w, s->retired_at);
	wr_u8(w, s->condensed);
	wr_be64(w, deadline_is_set(&s->end) ? s->end.at : NSEC_NEVER);
	esp_sa_save(sa, w);
}

/* A RETIRED SA that is written: one whose bridge was opened is not, as a bridge is not saved. */
static bool is_tombstone(const struct tunnel_sa *s)
{
	const struct esp_sa *sa = tunnel_sa_esp(s);

	return s->retired && !s->surplus && sa && esp_sa_is_calm(sa);
}

static const struct tunnel_sa *oldest(const struct tunnel_child *k)
{
	const struct tunnel_sa *s, *last = NULL;

	LIST_FOREACH (s, &k->sas, link)
		last = s;
	return last;
}

/* The next newer one; NULL: that is the newest. */
static const struct tunnel_sa *newer(const struct tunnel_child *k, const struct tunnel_sa *than)
{
	const struct tunnel_sa *s;

	LIST_FOREACH (s, &k->sas, link) {
		if (LIST_NEXT(s, link) == than)
			return s;
	}
	return NULL;
}

/* Oldest first, as they were made, so that packets take the newest when they are read. */
static void sas_save(const struct tunnel_child *k, struct writer *w)
{
	for (const struct tunnel_sa *s = oldest(k); s; s = newer(k, s)) {
		if (s->ike) {
			wr_u8(w, 'L');
			live_save(s, w);
		} else if (is_tombstone(s)) {
			wr_u8(w, 'T');
			tombstone_save(s, w);
		}
	}
}

static void children_save(const struct tunnel_conn *c, struct writer *w)
{
	const struct tunnel_child *k;

	LIST_FOREACH (k, &c->children, link) {
		wr_u8(w, k->wanted ? 'W' : 'C');
		text_save(k->conf->name, w);
		wr_u8(w, (uint8_t)(k->trapped | k->trap.trap << 1 | k->demoted << 2));
		sas_save(k, w);
	}
	wr_u8(w, '.');
}

static void conn_save(const struct tunnel_conn *c, tunnel_digest *digest, struct writer *w)
{
	uint8_t d[DIGEST];
	size_t at;

	wr_u8(w, 'c');
	at = length_begin(w);
	text_save(c->conf->name, w);
	digest(c->conf, ike_secrets(c->tunnel->ike), &c->peer_id, d);
	wr_bytes(w, d, sizeof(d));
	ike_sa_save(c->sa, w);
	wr_u8(w, c->dynamic);
	wr_u8(w, c->calls_back);
	endpoint_save(&c->last_local, w);
	endpoint_save(&c->last_remote, w);
	children_save(c, w);
	length_done(w, at);
}

void tunnel_end_unsettled(struct tunnel *t, nsec_t now)
{
	struct ike_sa *sa, *next;

	t->now = now;
	count_ike_sas(t);
	for (sa = ike_first_sa(t->ike); sa; sa = next) {
		const struct tunnel_conn *c = ike_sa_owner(sa);

		next = ike_next_sa(sa);
		if (!c || c->sa != sa || !conn_established(c) || !conn_is_settled(c))
			ike_sa_delete(sa, now);
	}
	tunnel_turn(t, now);
}

uint64_t tunnel_save_room(const struct tunnel *t)
{
	const struct sad *sad = &t->path->sad;
	uint64_t sas = sad->used + ike_sa_count(t->ike);

	return sad->history.used + sas * ROOM_SA + pools_room(t) + ROOM_FIRST;
}

unsigned tunnel_save(const struct tunnel *t, tunnel_digest *digest, struct writer *w)
{
	const struct tunnel_conn *c;
	unsigned count = 0;

	count_ike_sas(t);
	wr_bytes(w, FORMAT, sizeof(FORMAT));
	pools_save(t, w);
	LIST_FOREACH (c, &t->conns, link) {
		if (conn_established(c) && conn_is_settled(c)) {
			conn_save(c, digest, w);
			count++;
		}
	}
	LIST_FOREACH (c, &t->conns, link) {
		if (c->demoted)
			backup_save(c, w);
	}
	wr_u8(w, '.');
	return count;
}

/* ---- reading ---- */

/* They come in the order of the file, so the one that was made last is looked at first. */
static struct tunnel_child *child_of_name(struct tunnel_conn *c, struct reader *r)
{
	const struct child_conf *conf = c->last_read ? c->last_read->conf : c->conf->children;
	const struct child_conf *end = c->conf->children + c->conf->child_count;
	char name[SAVED_TEXT];

	if (text_load(r, name) < 0)
		return NULL;
	if (conf < end && strcmp(conf->name, name) != 0)
		conf++;
	if (conf >= end || strcmp(conf->name, name) != 0)
		conf = conn_child(c->conf, name);
	if (conf)
		c->last_read = tunnel_child_of(c, conf);
	return conf ? tunnel_child_of(c, conf) : NULL;
}

static void keys_load(struct tunnel_sa *s, struct reader *r)
{
	const uint8_t *p = rd_bytes(r, sizeof(s->keys));

	if (p)
		memcpy(&s->keys, p, sizeof(s->keys));
}

/* Into the SAD; frees s on error. */
static int put(struct tunnel_sa *s, const struct suite *suite, bool esn, const struct ike_sa *sa,
	       struct reader *r, nsec_t now)
{
	struct sad *sad = &s->child->conn->tunnel->path->sad;

	if (r->bad || !suite || sad_reserve_spi(sad, s->spi) < 0) {
		tunnel_sa_free(s);
		return -EBADMSG;
	}
	return tunnel_sa_install(s, suite, esn, sa, now) < 0 ? -EBADMSG : 0;
}

static int live_load(struct tunnel_conn *c, struct reader *r, nsec_t now)
{
	struct tunnel_child *k = child_of_name(c, r);
	struct child_sa *ike = k ? child_sa_load(c->sa, k->conf, r) : NULL;
	struct tunnel_sa *s;

	if (!ike)
		return -EBADMSG;
	s = tunnel_sa_new(k, child_sa_local(ike), child_sa_remote(ike));
	s->spi = child_sa_spi_in(ike);
	s->spi_out = child_sa_spi_out(ike);
	keys_load(s, r);
	s->installed = rd_be64(r);
	s->expires = rd_be64(r);
	if (put(s, child_sa_choice(ike)->suite, child_sa_choice(ike)->esn, c->sa, r, now) < 0)
		return -EBADMSG;
	s->ike = ike;
	child_sa_set_owner(ike, s);
	if (esp_sa_load(&c->tunnel->path->sad, tunnel_sa_esp(s), r) < 0)
		return -EBADMSG;
	tunnel_sa_activate(s, now);
	return 0;
}

static int tombstone_load(struct tunnel_conn *c, struct reader *r, nsec_t now)
{
	struct tunnel_child *k = child_of_name(c, r);
	uint32_t spi = rd_be32(r), spi_out = rd_be32(r);
	uint16_t encr = rd_be16(r), key_bits = rd_be16(r), integ = rd_be16(r);
	bool esn = rd_u8(r);
	struct ts_list local, remote;
	struct tunnel_sa *s;

	if (!k || ts_list_load(r, &local) < 0 || ts_list_load(r, &remote) < 0)
		return -EBADMSG;
	s = tunnel_sa_new(k, &local, &remote);
	s->spi = spi;
	s->spi_out = spi_out;
	s->retired = true;
	keys_load(s, r);
	s->installed = rd_be64(r);
	s->expires = rd_be64(r);
	s->retired_at = rd_be64(r);
	s->condensed = rd_u8(r);
	s->end.at = rd_be64(r);
	if (put(s, suite_find(encr, key_bits, integ), esn, c->sa, r, now) < 0)
		return -EBADMSG;
	deadline_set(&c->tunnel->deadlines, &s->end, s->end.at);
	return esp_sa_load(&c->tunnel->path->sad, tunnel_sa_esp(s), r);
}

/* What the end of its last SA has left behind (tunnel_child_ended). */
static void state_load(struct tunnel_child *k, bool wanted, uint8_t traps)
{
	k->wanted = wanted;
	if (traps & 1)
		tunnel_child_trap(k, true);
	k->trap.trap = traps & 2;
	k->demoted = traps & 4;
}

static int children_load(struct tunnel_conn *c, struct reader *r, nsec_t now)
{
	struct tunnel_child *k = NULL;
	int e = 0;

	while (e == 0) {
		uint8_t what = rd_u8(r);

		switch (what) {
		case '.': return r->bad ? -EBADMSG : 0;
		case 'W':
		case 'C':
			k = child_of_name(c, r);
			e = k ? 0 : -EBADMSG;
			if (k)
				state_load(k, what == 'W', rd_u8(r));
			break;
		case 'L': e = live_load(c, r, now); break;
		case 'T': e = tombstone_load(c, r, now); break;
		default: e = -EBADMSG;
		}
	}
	return e;
}

static int goes_on(struct tunnel *t, struct ike_sa *sa, struct reader *r, nsec_t now)
{
	bool dynamic = rd_u8(r);
	struct tunnel_conn *c;

	/* A dynamic connection exists once per peer, any other once per configuration. */
	if (!dynamic && !conn_static(t, ike_sa_conn(sa)))
		c = conn_configured(t, ike_sa_conn(sa));
	else
		c = conn_of_peer(t, sa);
	if (!c || c->sa || c->dynamic != dynamic) {
		if (c)
			conn_free_if_dynamic(c);
		ike_sa_delete(sa, now);
		return -EBADMSG;
	}
	ike_sa_set_owner(sa, c);
	c->sa = sa;
	c->peer_id = *ike_sa_peer_id(sa);
	c->calls_back = rd_u8(r);
	if (endpoint_load(r, &c->last_local) < 0 || endpoint_load(r, &c->last_remote) < 0 ||
	    children_load(c, r, now) < 0) {
		conn_end(c, now);
		return -EBADMSG;
	}
	conn_assigned_up(c, sa);
	addresses_look(c, now);
	conn_mend(c, now);
	return 0;
}

/* The configuration of a connection that is no longer configured, until its IKE SA has ended. */
static const struct conn_conf *stand_in(const char *name)
{
	struct conn_conf *conf = xzalloc(sizeof(*conf));

	conf->name = xstrdup(name);
	conf->refs = 1;
	return conf;
}

/* 1: it goes on; 0: it has ended. */
static int conn_load(struct tunnel *t, const struct conn_set *conns, const struct conn_names *names,
		     tunnel_digest *digest, struct reader *r, nsec_t now)
{
	const uint8_t *then;
	char name[SAVED_TEXT];
	const struct conn_conf *conf;
	uint8_t d[DIGEST];
	struct ike_sa *sa;
	int at, e = 0;
	char why[TRUST_WHY_MAX];
	bool retaken;

	if (text_load(r, name) < 0)
		return -EBADMSG;
	then = rd_bytes(r, DIGEST);
	at = conn_names_find(names, name);
	conf = at >= 0 ? conns->v[at] : NULL;
	conf = conf ? conn_ref(conf) : stand_in(name);
	sa = then ? ike_sa_load(t->ike, conf, r, now) : NULL;
	conn_unref(conf);
	if (!sa)
		return -EBADMSG;
	digest(ike_sa_conn(sa), conns->secrets, ike_sa_peer_id(sa), d);
	/* Also for one that ends, which gives back what it has. */
	retaken = pool_retake(t, sa);
	if (!ike_sa_is_trusted(sa, conns->creds, why))
		log_warn(t->log, "%s: the peer is not trusted any more: %s", name, why);
	else if (memcmp(d, then, DIGEST) != 0)
		log_info(t->log, "%s: its configuration has changed: the IKE SA ends", name);
	else if (!retaken)
		e = -EBADMSG;
	else
		return goes_on(t, sa, r, now) < 0 ? -EBADMSG : 1;
	ike_sa_delete(sa, now);
	return e;
}

static int part_load(struct tunnel *t, const struct conn_set *conns, const struct conn_names *names,
		     tunnel_digest *digest, struct reader *r, nsec_t now)
{
	uint64_t len = rd_be64(r);
	struct reader part = rd_part(r, len);

	return part.bad ? -EBADMSG : conn_load(t, conns, names, digest, &part, now);
}

int tunnel_load(struct tunnel *t, const struct conn_set *conns, tunnel_digest *digest,
		struct reader *r, nsec_t now)
{
	const uint8_t *format = rd_bytes(r, sizeof(FORMAT));
	struct conn_names *names;
	int total = 0, one = 0;
	uint8_t what;

	t->now = now;
	if (!format || memcmp(format, FORMAT, sizeof(FORMAT)) != 0)
		return -EBADMSG;
	if (pools_load(t, r) < 0)
		return -EBADMSG;
	names = conn_names_new(conns);
	while (one >= 0 && (what = rd_u8(r)) != '.') {
		if (what == 'c')
			one = part_load(t, conns, names, digest, r, now);
		else
			one = what == 'd' && backup_load(t, conns, names, r) ? 0 : -EBADMSG;
		total += one;
	}
	conn_names_free(names);
	return one >= 0 && rd_done(r) ? total : -EBADMSG;
}
