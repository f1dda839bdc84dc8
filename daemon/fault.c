/* fault.c - see fault.h. SPDX-License-Identifier: ISC */
#include "fault.h"
#include "xalloc.h"

#include <sys/queue.h>

struct delayed {
	TAILQ_ENTRY(delayed) link;
	struct daemon *daemon;
	struct event *timer;
	struct endpoint local, remote;
	size_t len;
	uint8_t *p;
};

struct fault_state {
	unsigned drop, delay; /* messages still to be dropped, or delayed */
	unsigned delay_ms;
	TAILQ_HEAD(, delayed) delayed;
	fault_send *send;
};

void fault_init(struct daemon *d, fault_send *send)
{
	d->faults = xzalloc(sizeof(*d->faults));
	d->faults->send = send;
	TAILQ_INIT(&d->faults->delayed);
}

static void delayed_free(struct delayed *m)
{
	TAILQ_REMOVE(&m->daemon->faults->delayed, m, link);
	event_free(m->timer);
	free(m->p);
	free(m);
}

void fault_fini(struct daemon *d)
{
	struct delayed *m;

	while ((m = TAILQ_FIRST(&d->faults->delayed)))
		delayed_free(m);
	free(d->faults);
}

static void on_delayed(evutil_socket_t fd, short what, void *ctx)
{
	struct delayed *m = ctx;

	(void)fd;
	(void)what;
	(void)m->daemon->faults->send(m->daemon, &m->local, &m->remote, m->p, m->len);
	delayed_free(m);
}

bool fault_takes_message(struct daemon *d, const struct endpoint *local,
			 const struct endpoint *remote, const uint8_t *p, size_t len)
{
	struct fault_state *f = d->faults;
	struct timeval tv = {.tv_sec = f->delay_ms / 1000, .tv_usec = f->delay_ms % 1000 * 1000};
	struct delayed *m;

	if (f->drop) {
		f->drop--;
		return true;
	}
	if (!f->delay)
		return false;
	f->delay--;
	m = xzalloc(sizeof(*m));
	m->daemon = d;
	m->local = *local;
	m->remote = *remote;
	m->p = xmemdup(p, len);
	m->len = len;
	m->timer = evtimer_new(d->base, on_delayed, m);
	TAILQ_INSERT_TAIL(&f->delayed, m, link);
	evtimer_add(m->timer, &tv);
	return true;
}

static void rewind_sa(struct esp_sa *sa, uint64_t n, bool nonces)
{
	struct esp_out_sa *o = &sa->out;

	o->number -= min_u64(n, o->number);
	if (nonces)
		o->iv_counter -= min_u64(n, o->iv_counter);
}

/* Calls f for the current SA of all children, or of the named one. Returns the number of calls. */
static unsigned each_sa(struct daemon *d, const char *name,
			void (*f)(struct esp_sa *, uint64_t, bool), uint64_t n, bool flag)
{
	struct tunnel_conn *c;
	struct tunnel_child *k;
	unsigned done = 0;

	LIST_FOREACH (c, &d->tunnel->conns, link) {
		LIST_FOREACH (k, &c->children, link) {
			struct esp_sa *sa = k->current ? tunnel_sa_esp(k->current) : NULL;

			if (!sa || (name && strcmp(name, k->conf->name) != 0))
				continue;
			f(sa, n, flag);
			done++;
		}
	}
	return done;
}

static void two_senders(struct esp_sa *sa, uint64_t n, bool flag)
{
	(void)flag;
	sa->out.fault_other = sa->out.number - min_u64(n, sa->out.number);
	sa->out.fault_two = true;
}

static const char *each_conn(struct daemon *d, const char *fault, uint64_t n)
{
	struct tunnel_conn *c, *next;
	unsigned done = 0;

	for (c = LIST_FIRST(&d->tunnel->conns); c; c = next) {
		next = LIST_NEXT(c, link);
		if (!c->sa)
			continue;
		done++;
		if (strcmp(fault, "message-ids") == 0)
			ike_fault_message_ids(c->sa, (uint32_t)n);
		else
			ike_fault_forget_sa(c->sa, daemon_now());
	}
	return done ? NULL : "no IKE SA is up";
}

/* Forgets the first CHILD SA that is up, or lets its next rekey name an SPI unknown to the peer. */
static const char *newest_child(struct daemon *d, bool forget)
{
	struct tunnel_conn *c;
	struct tunnel_child *k;

	LIST_FOREACH (c, &d->tunnel->conns, link) {
		LIST_FOREACH (k, &c->children, link) {
			if (k->current && k->current->ike) {
				if (forget)
					ike_fault_forget_child(k->current->ike, daemon_now());
				else
					ike_fault_rekey_spi(k->current->ike);
				return NULL;
			}
		}
	}
	return "no CHILD SA is up";
}

static uint64_t number(const json_t *args, size_t i, uint64_t otherwise)
{
	const char *s = json_string_value(json_array_get(args, i));
	uint64_t v;

	return s && parse_size(s, false, &v) == 0 ? v : otherwise;
}

const char *fault_run(struct daemon *d, const json_t *args)
{
	const char *name = json_string_value(json_array_get(args, 0));
	struct fault_state *f = d->faults;
	uint64_t n = number(args, 1, 1);

	if (!name)
		return "usage: fault rewind N | rewind-nonces N | message-ids N | forget-child | "
		       "rekey-unknown | "
		       "forget-ike | drop N | delay N MS | two-senders N";
	if (strcmp(name, "rewind") == 0 || strcmp(name, "rewind-nonces") == 0)
		return each_sa(d, NULL, rewind_sa, n, name[6] != '\0') ? NULL : "no CHILD SA is up";
	if (strcmp(name, "two-senders") == 0)
		return each_sa(d, NULL, two_senders, n, true) ? NULL : "no CHILD SA is up";
	if (strcmp(name, "message-ids") == 0 || strcmp(name, "forget-ike") == 0)
		return each_conn(d, name, n);
	if (strcmp(name, "forget-child") == 0)
		return newest_child(d, true);
	if (strcmp(name, "rekey-unknown") == 0)
		return newest_child(d, false);
	if (strcmp(name, "drop") == 0) {
		f->drop = (unsigned)n;
	} else if (strcmp(name, "delay") == 0) {
		f->delay = (unsigned)n;
		f->delay_ms = (unsigned)number(args, 2, 1000);
	} else {
		return "no such fault";
	}
	return NULL;
}
