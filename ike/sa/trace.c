/* trace.c - see trace.h. SPDX-License-Identifier: ISC */
#include "sa/trace.h"

#include "auth/ident.h"
#include "wire/cp.h"
#include "wire/proposal.h"
#include "wire/words.h"
#include "xalloc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/queue.h>

/* More than exchanges that go well ever are: peers may send as many as they like. */
#define TRACE_RATE	100 /* lines a second */
#define TRACE_BURST	500
#define SPIS_SHOWN	4
#define SELECTORS_SHOWN 4

/* A connection whose lines are wanted. */
struct trace_name {
	SLIST_ENTRY(trace_name) link;
	char name[];
};

/* ---- which are wanted ---- */

static struct trace_name *find(const struct ike *ike, const char *conn)
{
	struct trace_name *n;

	SLIST_FOREACH(n, &ike->traced, link)
	{
		if (strcmp(n->name, conn) == 0)
			return n;
	}
	return NULL;
}

static void forget(struct ike *ike, struct trace_name *n)
{
	SLIST_REMOVE(&ike->traced, n, trace_name, link);
	free(n);
}

int ike_trace(struct ike *ike, const char *conn, bool on)
{
	struct trace_name *n = find(ike, conn);

	if (!on && n)
		forget(ike, n);
	if (!on || n)
		return 0;
	if (!conn_set_find(&ike->conns, conn))
		return -ENOENT;
	n = xzalloc(sizeof(*n) + strlen(conn) + 1);
	strcpy(n->name, conn);
	SLIST_INSERT_HEAD(&ike->traced, n, link);
	return 0;
}

void trace_init(struct ike *ike)
{
	SLIST_INIT(&ike->traced);
	bucket_init(&ike->traces.bucket, TRACE_RATE, TRACE_BURST);
}

void trace_free(struct ike *ike)
{
	while (!SLIST_EMPTY(&ike->traced))
		forget(ike, SLIST_FIRST(&ike->traced));
}

bool trace_is_asked(const struct ike_sa *sa)
{
	return find(sa->ike, sa->conn->name) != NULL;
}

static bool is_wanted(const struct ike_sa *sa)
{
	const struct log *log = sa->ike->log;

	return log && (log->level == LOG_LEVEL_DEBUG || trace_is_asked(sa));
}

/* Of one that is wanted. */
#define write_line(sa, now, fmt, ...)                                                   \
	log_asked((sa)->ike->log, &(sa)->ike->traces, now, LOG_LEVEL_DEBUG, "%s: " fmt, \
		  sa_label(sa), __VA_ARGS__)

/* ---- one line ---- */

/* Each item begins with ", ". */
struct line {
	char s[900];
	size_t len;
};

static void add(struct line *l, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void add(struct line *l, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->s + l->len, sizeof(l->s) - l->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		l->len = min_u64(l->len + (size_t)n, sizeof(l->s) - 1);
	if (l->len == sizeof(l->s) - 1)
		memcpy(l->s + l->len - 3, "...", 3);
}

static void add_proposals(struct line *l, struct chunk body)
{
	char text[PROPOSALS_STRLEN];
	struct proposal_offer o;

	if (proposals_parse(body, &o) < 0)
		add(l, ", SA that cannot be read");
	else
		add(l, ", SA %s", offer_format(&o, text, sizeof(text)));
}

static void add_ke(struct line *l, const struct ike_payloads *p)
{
	const struct transform t = {.type = TRANSFORM_KE, .id = p->ke.group};
	char word[TRANSFORM_STRLEN];

	add(l, ", KE %s", transform_format(&t, word));
}

static void add_id(struct line *l, const char *title, uint8_t type, struct chunk data)
{
	char text[IDENT_STRLEN];
	struct ident id;

	if (ident_from_wire(type, data, &id) < 0)
		add(l, ", %s of type %u that cannot be read", title, type);
	else
		add(l, ", %s %s", title, ident_format(&id, text));
}

static void add_auth(struct line *l, uint8_t method)
{
	switch (method) {
	case AUTH_METHOD_PSK: add(l, ", AUTH by secret"); break;
	case AUTH_METHOD_RSA: add(l, ", AUTH by RSA"); break;
	case AUTH_METHOD_ECDSA_256:
	case AUTH_METHOD_ECDSA_384:
	case AUTH_METHOD_ECDSA_521: add(l, ", AUTH by ECDSA"); break;
	case AUTH_METHOD_SIGNATURE: add(l, ", AUTH by signature"); break;
	default: add(l, ", AUTH by method %u", method); break;
	}
}

static void add_selectors(struct line *l, const char *title, struct chunk body)
{
	char text[TS_STRLEN];
	struct ts_list ts;

	if (ike_ts_parse(body, &ts) < 0) {
		add(l, ", %s that cannot be read", title);
		return;
	}
	add(l, ", %s", title);
	for (unsigned i = 0; i < ts.count && i < SELECTORS_SHOWN; i++)
		add(l, " %s", ts_format(&ts.ts[i], text));
	if (ts.count > SELECTORS_SHOWN)
		add(l, " and %u more", ts.count - SELECTORS_SHOWN);
}

/* RFC 3748 4: the code, and of requests and responses the type. */
static void add_eap(struct line *l, struct chunk eap)
{
	static const char *const codes[] = {"?", "request", "response", "success", "failure"};
	unsigned code = eap.len > 0 && eap.p[0] < ARRAY_SIZE(codes) ? eap.p[0] : 0;

	add(l, ", EAP %s", codes[code]);
	if (eap.len > 4 && (code == 1 || code == 2))
		add(l, " of type %u", eap.p[4]);
}

static void add_config(struct line *l, struct chunk body)
{
	static const char *const types[] = {"?", "request", "reply", "set", "ack"};
	char text[ADDR_STRLEN];
	struct cp_config c;
	uint8_t type;

	if (cp_parse(body, &type, &c) < 0) {
		add(l, ", CP that cannot be read");
		return;
	}
	add(l, ", CP %s", types[type < ARRAY_SIZE(types) ? type : 0]);
	for (unsigned i = 0; i < c.addr_count; i++)
		add(l, " %s", addr_format(&c.addr[i], text));
	for (unsigned i = 0; i < c.dns_count; i++)
		add(l, " DNS %s", addr_format(&c.dns[i], text));
	if (c.subnet_count)
		add(l, " and %u subnets", c.subnet_count);
}

static void add_notify(struct line *l, const struct ike_notify_view *n)
{
	add(l, ", N(%s)", ike_notify_name(n->type));
	if (n->type == NOTIFY_INVALID_KE_PAYLOAD && n->data.len == 2) {
		const struct transform t = {.type = TRANSFORM_KE, .id = get_be16(n->data.p)};
		char word[TRANSFORM_STRLEN];

		add(l, " %s", transform_format(&t, word));
	} else if (n->protocol == PROTOCOL_ESP && n->spi.len == 4) {
		add(l, " %08x", get_be32(n->spi.p));
	}
}

static void add_delete(struct line *l, const struct ike_delete_view *d)
{
	add(l, ", DELETE of %s", d->protocol == PROTOCOL_IKE ? "the IKE SA" : "CHILD SA");
	for (unsigned i = 0; d->protocol == PROTOCOL_ESP && i < d->count && i < SPIS_SHOWN; i++)
		add(l, " %08x", get_be32(d->spis.p + 4 * i));
	if (d->protocol == PROTOCOL_ESP && d->count > SPIS_SHOWN)
		add(l, " and %u more", d->count - SPIS_SHOWN);
}

static void add_identities(struct line *l, const struct ike_payloads *p)
{
	if (p->present & PL(IDI))
		add_id(l, "IDi", p->idi.type, p->idi.data);
	if (p->present & PL(IDR))
		add_id(l, "IDr", p->idr.type, p->idr.data);
	if (p->cert_count)
		add(l, ", CERT %u", p->cert_count);
	if (p->certreq_count)
		add(l, ", CERTREQ");
	if (p->present & PL(AUTH))
		add_auth(l, p->auth.method);
	if (p->present & PL(EAP))
		add_eap(l, p->eap);
}

static void add_payloads(struct line *l, const struct ike_payloads *p)
{
	add_identities(l, p);
	if (p->present & PL(SA))
		add_proposals(l, p->sa);
	if (p->present & PL(TSI))
		add_selectors(l, "TSi", p->tsi);
	if (p->present & PL(TSR))
		add_selectors(l, "TSr", p->tsr);
	if (p->present & PL(CP))
		add_config(l, p->cp);
	if (p->present & PL(KE))
		add_ke(l, p);
	for (unsigned i = 0; i < p->delete_count; i++)
		add_delete(l, &p->del[i]);
	for (unsigned i = 0; i < p->notify_count; i++)
		add_notify(l, &p->notify[i]);
	if (p->unknown_critical)
		add(l, ", critical payload %u, which is not known", p->unknown_critical);
}

/* p: NULL if they cannot be read. */
static void trace(struct ike_sa *sa, bool sent, const struct ike_header *h,
		  const struct ike_payloads *p, const struct endpoint *at, nsec_t now)
{
	struct line l = {.len = 0};
	char end[ENDPOINT_STRLEN];

	l.s[0] = '\0';
	if (p)
		add_payloads(&l, p);
	else
		add(&l, ", payloads that cannot be read");
	write_line(sa, now, "%s %s %s %u %s %s: %s", sent ? "sent" : "received",
		   ike_exchange_name(h->exchange),
		   h->flags & IKE_FLAG_RESPONSE ? "response" : "request", h->message_id,
		   sent ? "to" : "from", endpoint_format(at, end),
		   l.len ? l.s + strlen(", ") : "nothing");
}

/* ---- the messages ---- */

void trace_received(struct ike_sa *sa, const struct ike_in *in, bool well_formed)
{
	if (is_wanted(sa))
		trace(sa, false, in->h, well_formed ? in->p : NULL, in->remote, in->now);
}

void trace_sent(struct ike_sa *sa, const struct ike_header *h, uint8_t first, struct chunk payloads,
		const struct endpoint *to, nsec_t now)
{
	struct ike_payloads p;

	if (is_wanted(sa))
		trace(sa, true, h,
		      ike_payloads_parse(first, payloads.p, payloads.len, &p) == 0 ? &p : NULL, to,
		      now);
}

void trace_sent_plain(struct ike_sa *sa, const uint8_t *p, size_t len, const struct endpoint *to,
		      nsec_t now)
{
	struct ike_header h;

	if (ike_header_parse(p, len, &h) == 0)
		trace_sent(sa, &h, h.next, (struct chunk){p + IKE_HEADER_LEN, len - IKE_HEADER_LEN},
			   to, now);
}

void trace_sent_again(struct ike_sa *sa, const struct endpoint *to, nsec_t now)
{
	char end[ENDPOINT_STRLEN];

	if (is_wanted(sa))
		write_line(sa, now, "sent %s request %u again to %s, for the %u. time",
			   ike_exchange_name(sa->window.exchange), sa->window.next_id - 1,
			   endpoint_format(to, end), sa->window.sends);
}
