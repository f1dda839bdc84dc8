/* data_send.c - sends IKE messages and dummy packets. SPDX-License-Identifier: ISC */
#include "daemon.h"
#include "fault.h"

static const uint8_t marker[MARKER_LEN];

_Static_assert(RX_BATCH <= UDP_MESSAGES, "udp_send_each takes what one batch is answered with");

/* The socket that an IKE message from this port goes out by; NULL: there is none. */
static struct udp_socket *ike_socket(struct daemon *d, const struct endpoint *local,
				     const struct endpoint *remote)
{
	return data_socket(d, local->port == IKE_PORT ? UDP_IKE : UDP_IKE_NATT, local, remote);
}

static void tell_failure(struct daemon *d, const struct endpoint *remote, int error)
{
	char to[ENDPOINT_STRLEN];

	d->io.tx_errors++;
	log_limited(&d->log, &d->send_lines, daemon_now(), LOG_LEVEL_WARNING,
		    "IKE message to %s cannot be sent: %s", endpoint_format(remote, to),
		    strerror(-error));
}

/* From any port but 500, everything except the keepalive carries the marker. */
static size_t marker_len(const struct endpoint *local, const uint8_t *p, size_t len)
{
	return local->port == IKE_PORT || (len == 1 && p[0] == 0xff) ? 0 : MARKER_LEN;
}

/* ---- what waits for the end of a receive ---- */

void data_gather(struct daemon *d, struct udp_socket *s)
{
	d->in.answers.socket = s;
}

static void flush_answers(struct daemon *d, struct data_answers *a)
{
	struct udp_message m[RX_BATCH];

	for (unsigned i = 0; i < a->count; i++) {
		m[i] = (struct udp_message){
			.local = a->v[i].local,
			.remote = a->v[i].remote,
			.head = marker,
			.head_len = marker_len(&a->v[i].local, a->v[i].b, a->v[i].len),
			.body = a->v[i].b,
			.len = a->v[i].len};
	}
	udp_send_each(a->socket, m, a->count);
	for (unsigned i = 0; i < a->count; i++) {
		if (m[i].error)
			tell_failure(d, &m[i].remote, m[i].error);
	}
	a->count = 0;
}

void data_release(struct daemon *d)
{
	struct data_answers *a = &d->in.answers;

	if (a->count)
		flush_answers(d, a);
	a->socket = NULL;
}

/*
 * An answer for which no state is kept, such as a cookie: it has no responder's SPI (RFC 7296 3.1).
 * It alone waits, as it depends on nothing, and is what a flood asks for.
 */
static bool is_stateless(const uint8_t *p, size_t len)
{
	return len > 16 && len <= ANSWER_MAX && get_be64(p + 8) == 0;
}

/* False: it goes out now, behind those that wait. */
static bool gathered(struct daemon *d, const struct endpoint *local, const struct endpoint *remote,
		     const uint8_t *p, size_t len)
{
	struct data_answers *a = &d->in.answers;
	bool waits = is_stateless(p, len);

	if (a->count && (a->count == RX_BATCH || !waits))
		flush_answers(d, a);
	if (!waits)
		return false;
	a->v[a->count].local = *local;
	a->v[a->count].remote = *remote;
	a->v[a->count].len = (uint16_t)len;
	memcpy(a->v[a->count++].b, p, len);
	return true;
}

int data_send_now(struct daemon *d, const struct endpoint *local, const struct endpoint *remote,
		  const uint8_t *p, size_t len)
{
	struct udp_socket *s = ike_socket(d, local, remote);
	int r = -EAFNOSUPPORT;

	if (s && d->in.answers.socket == s && gathered(d, local, remote, p, len))
		return 0;
	if (s)
		r = udp_send(s, local, remote, 0, marker, marker_len(local, p, len), p, len);
	if (r >= 0)
		return 0;
	tell_failure(d, remote, r);
	return r == -EAGAIN || r == -ENOBUFS ? 0 : r; /* a full socket takes the next one */
}

/* ---- what goes out alone ---- */

int data_send_ike(struct daemon *d, const struct endpoint *local, const struct endpoint *remote,
		  const uint8_t *p, size_t len)
{
	if (fault_takes_message(d, local, remote, p, len))
		return 0;
	return data_send_now(d, local, remote, p, len);
}

/*
 * Sent through the socket for IKE: the peer may wait for this packet before it moves over to the SA
 * (doc/recovery.md 4), so it must neither queue behind data nor be lost because data has filled the
 * socket; without UDP there is only the one socket. It overtakes nothing: it is the first packet on
 * its SA.
 */
void data_send_dummy(struct daemon *d, struct esp_sa *sa)
{
	uint8_t packet[ESP_OVERHEAD_MAX];
	struct udp_socket *s;
	struct esp_train t;

	if (!sa)
		return;
	esp_train_init(&t, packet, sizeof(packet));
	(void)esp_seal_dummy(d->tunnel->path, sa, &t, daemon_now());
	if (t.count == 0)
		return;
	esp_train_finish(d->tunnel->path, &t);
	/* What was said before it, arrives before it. */
	if (d->in.answers.count)
		flush_answers(d, &d->in.answers);
	s = t.dest.remote.port ? data_socket(d, UDP_IKE_NATT, &t.dest.local, &t.dest.remote)
			       : data_esp_socket(d, &t.dest);
	d->io.tx_errors += !s || udp_send(s, &t.dest.local, &t.dest.remote, t.dest.tos, NULL, 0,
					  t.base, t.len) < 0;
}
