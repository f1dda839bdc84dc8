/* data_fixture.c - the simulated kernel of data_fixture.h, and the peers.
 * SPDX-License-Identifier: ISC */
#include <sys/eventfd.h>
#include <unistd.h>

#include "assigned.h"
#include "control.h"
#include "data_fixture.h"
#include "fault.h"
#include "xalloc.h"

struct data_fixture *dl;

/* ---- records ---- */

struct record *records_add(struct records *r, const uint8_t *b, uint32_t len)
{
	struct record *x;

	if (r->n == r->cap) {
		r->cap = r->cap ? 2 * r->cap : 64;
		r->v = xreallocarray(r->v, r->cap, sizeof(*r->v));
	}
	x = &r->v[r->n++];
	/* copies exactly len bytes, so that a read beyond them is detected */
	*x = (struct record){.len = len, .b = xmemdup(b, len)};
	return x;
}

void records_clear(struct records *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->v[i].b);
	free(r->v);
	*r = (struct records){0};
}

void assert_record(const struct record *r, const uint8_t *b, uint32_t len)
{
	assert_int_equal(r->len, len);
	assert_memory_equal(r->b, b, len);
}

void assert_records(const struct records *got, const struct records *want)
{
	assert_int_equal(got->n, want->n);
	for (size_t i = 0; i < want->n; i++)
		assert_record(&got->v[i], want->v[i].b, want->v[i].len);
}

/* ---- descriptors: readable while their queue is not empty ---- */

static void queue_ready(int fd)
{
	assert_int_equal(eventfd_write(fd, 1), 0);
}

static struct record *queue_take(struct records *q, int fd)
{
	eventfd_t all;

	if (q->next == q->n)
		return NULL;
	if (q->next + 1 == q->n)
		(void)eventfd_read(fd, &all);
	return &q->v[q->next++];
}

/* ---- descriptors kept by a previous process: none; see tests/netns/test_restart.py ---- */

int kept_fd(struct kept_fds *k, const char *name)
{
	(void)k, (void)name;
	return -1;
}

const char *kept_udp_name(enum udp_use use, uint8_t family, uint16_t port, char *name)
{
	(void)use, (void)family, (void)port;
	return strcpy(name, "udp");
}

const char *kept_tun_name(const char *device, char *name)
{
	(void)device;
	return strcpy(name, "tun");
}

int tun_adopt(struct tun *t, int fd, bool offload, struct log *log)
{
	(void)t, (void)fd, (void)offload, (void)log;
	return -EINVAL;
}

int udp_adopt(struct udp_socket *s, int fd, uint8_t family, uint16_t port,
	      struct udp_offloads offloads)
{
	(void)s, (void)fd, (void)family, (void)port, (void)offloads;
	return -EINVAL;
}

int tun_raise(struct tun *t)
{
	(void)t;
	return -EIO;
}

int tun_set_mtu(struct tun *t, uint32_t mtu)
{
	(void)t, (void)mtu;
	return -EIO;
}

int tun_get_mtu(const struct tun *t, uint32_t *ret)
{
	(void)t, (void)ret;
	return -EIO;
}

/* ---- TUN ---- */

int tun_open(struct tun *t, uint32_t mtu, bool offload, struct log *log)
{
	(void)mtu, (void)offload, (void)log;
	dl->opens++;
	if (dl->open_result < 0)
		return dl->open_result;
	t->fd = eventfd(0, EFD_NONBLOCK);
	t->accept = PKT_ACCEPT_CSUM | PKT_ACCEPT_TSO4 | PKT_ACCEPT_TSO6 | PKT_ACCEPT_USO;
	return 0;
}

void tun_close(struct tun *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

void tun_set_link(struct tun *t, bool up)
{
	assert_true(t->fd >= 0);
	dl->links++;
	dl->link = up;
}

void net_repair(struct net *n)
{
	(void)n;
	dl->repairs++;
}

void assigned_repair(struct daemon *d)
{
	(void)d;
}

int tun_read(struct tun *t, uint8_t *buf, struct esp_out *out)
{
	const struct record *r = queue_take(t->device == 0 ? &dl->tun_in : &dl->own_in, t->fd);

	if (!r)
		return 0;
	dl->tun_reads++;
	if (r->result != 1)
		return r->result;
	memcpy(buf + TUN_HEADROOM, r->b, r->len);
	esp_out_init(out, buf + TUN_HEADROOM, r->len, t->device);
	out->off = r->off;
	return 1;
}

void tun_write(struct tun *t, struct pkt_super *super)
{
	if (super->len == 0)
		return;
	pkt_super_finish(super);
	records_add(t->device == 0 ? &dl->tun_out : &dl->own_out, super->base, super->len)->off =
		super->off;
	pkt_super_reset(super);
	super->accept = t->accept;
}

/* ---- UDP ---- */

int udp_open(struct udp_socket *s, uint8_t family, uint16_t port, bool group,
	     struct udp_offloads offload, struct log *log)
{
	(void)group, (void)log;
	*s = (struct udp_socket){.fd = eventfd(0, EFD_NONBLOCK),
				 .family = family,
				 .port = port,
				 .segment = offload.segment};
	return 0;
}

int raw_open(struct udp_socket *s, uint8_t family)
{
	*s = (struct udp_socket){.fd = eventfd(0, EFD_NONBLOCK), .family = family, .raw = true};
	return 0;
}

int raw_adopt(struct udp_socket *s, int fd, uint8_t family)
{
	(void)s, (void)fd, (void)family;
	return -EINVAL;
}

int raw_hear(struct udp_socket *s, bool on)
{
	(void)s, (void)on;
	return 0;
}

void tunnel_only_udp(struct tunnel *t)
{
	(void)t;
	fail();
}

int udp_steer(struct udp_socket *s)
{
	(void)s;
	return 0;
}

void udp_close(struct udp_socket *s)
{
	close(s->fd);
}

int udp_receive(struct udp_socket *s, struct udp_datagram *d, unsigned n)
{
	unsigned which = (unsigned)(s - dl->d.udp), got = 0;
	struct record *r;

	dl->receives[which]++;
	for (; got < n && (r = queue_take(&dl->udp_in[which], s->fd)); got++) {
		if (r->result < 0)
			return r->result;
		assert_true(d[got].cap >= r->len);
		memcpy(d[got].p, r->b, r->len);
		d[got].len = r->len;
		d[got].seg = r->seg;
		d[got].local = r->local;
		d[got].remote = r->remote;
		d[got].tos = r->tos;
		d[got].truncated = r->truncated;
	}
	if (dl->on_receive)
		dl->on_receive(which);
	return (int)got;
}

int udp_send(struct udp_socket *s, const struct endpoint *local, const struct endpoint *remote,
	     uint8_t tos, const uint8_t *head, size_t head_len, const uint8_t *body, size_t len)
{
	uint8_t all[PACKET_MAX];
	struct record *r;

	if (dl->send_alone_result < 0)
		return dl->send_alone_result;
	if (head_len)
		memcpy(all, head, head_len);
	memcpy(all + head_len, body, len);
	r = records_add(&dl->alone, all, (uint32_t)(head_len + len));
	r->local = *local;
	r->remote = *remote;
	r->tos = tos;
	r->socket = (unsigned)(s - dl->d.udp);
	return 0;
}

/* Counts as one call; all messages are sent, unless send_alone_result says otherwise. */
void udp_send_each(struct udp_socket *s, struct udp_message *m, unsigned n)
{
	assert_in_range(n, 1, UDP_MESSAGES);
	for (unsigned i = 0; i < n; i++)
		m[i].error = udp_send(s, &m[i].local, &m[i].remote, 0, m[i].head, m[i].head_len,
				      m[i].body, m[i].len);
	dl->sends_each++;
}

static struct answer next_answer(void)
{
	if (dl->say)
		return dl->say();
	return dl->sends < dl->script_len ? dl->script[dl->sends] : ALL_GO;
}

/* What the kernel requires of a train. */
static void check_train(const struct udp_socket *s, const struct udp_train *t)
{
	assert_ptr_equal(s, &dl->d.udp[UDP_ESP]);
	assert_true(t->seg > 0 && t->len > 0 && t->len <= 65507);
	assert_true((t->len + t->seg - 1u) / t->seg <= 64);
	assert_true(endpoint_eq(t->local, &dl->here));
}

uint32_t udp_send_train(struct udp_socket *s, const struct udp_train *t, nsec_t now, int *ret_error,
			uint64_t *ret_failed)
{
	struct answer a = next_answer();
	uint32_t done = 0;

	check_train(s, t);
	assert_true(now == dl->now);
	for (unsigned i = 0; i < a.take && done < t->len; i++) {
		uint32_t len = (uint32_t)min_u64(t->seg, t->len - done);
		struct record *r = records_add(&dl->wire, t->p + done, len);

		r->remote = *t->remote;
		r->tos = t->tos;
		r->df = t->df;
		r->seg = t->seg;
		r->send = dl->sends;
		r->lost = i < a.lost;
		*ret_failed += r->lost;
		done += len;
	}
	/* only a full socket leaves a rest; any other error loses datagrams and continues */
	assert_true(a.error == -EAGAIN || done == t->len);
	*ret_error = done == t->len && a.error == -EAGAIN ? 0 : a.error;
	dl->sends++;
	return done;
}

/* ---- what the loops call in the rest of the daemon ---- */

nsec_t daemon_now(void)
{
	return dl->now;
}

void daemon_turn(struct daemon *d)
{
	(void)d;
	dl->turns++;
}

void mtu_look(struct daemon *d, const struct endpoint *local, const struct endpoint *remote)
{
	(void)d, (void)local;
	dl->looks++;
	dl->looked_at = *remote;
}

void tunnel_acquire(struct tunnel *t, const struct spd_policy *policy, const struct inner *in,
		    nsec_t now)
{
	assert_ptr_equal(t, &dl->tunnel);
	assert_true(now == dl->now && in->ports_known);
	dl->acquired++;
	dl->sprung = policy;
}

void tunnel_receive_ike(struct tunnel *t, const struct endpoint *local,
			const struct endpoint *remote, const uint8_t *p, size_t len, nsec_t now)
{
	struct record *r = records_add(&dl->ike_in, p, (uint32_t)len);

	assert_ptr_equal(t, &dl->tunnel);
	assert_true(now == dl->now);
	r->local = *local;
	r->remote = *remote;
	if (dl->on_ike)
		dl->on_ike();
}

#ifdef MENDIP_FAULTS
bool fault_takes_message(struct daemon *d, const struct endpoint *local,
			 const struct endpoint *remote, const uint8_t *p, size_t len)
{
	(void)d, (void)local, (void)remote, (void)p, (void)len;
	return false;
}
#endif

/* ---- both sides ---- */

static void selector(struct ts_list *l, const char *fmt, unsigned i)
{
	char s[TS_STRLEN];

	*l = (struct ts_list){.count = 1};
	snprintf(s, sizeof(s), fmt, i);
	assert_int_equal(ts_parse(s, &l->ts[0]), 0);
}

static void install_side(unsigned peer, bool ours, const struct esp_lifetime *life,
			 uint8_t keys[2][SUITE_MAX_KEY])
{
	static const struct detector_config detect = {
		.mode = DETECT_PROOF, .proof_packets = 1, .packets = 64, .interval = NSEC_PER_SEC};
	struct esp_path *path = ours ? dl->tunnel.path : dl->peer;
	struct spd_policy *p = ours ? &dl->policy[peer] : &dl->policy_peer[peer];
	uint32_t spi = ours ? dl->spi[peer] : dl->spi_peer[peer];
	struct esp_sa_params sp = {
		.spi_out = ours ? dl->spi_peer[peer] : dl->spi[peer],
		.suite = suite_find(ENCR_AES_GCM_16, 128, INTEG_NONE),
		.enc_in = keys[ours],
		.enc_out = keys[!ours],
		.local = ours ? &dl->ours : &dl->theirs[peer],
		.remote = ours ? &dl->theirs[peer] : &dl->ours,
		.local_ep = ours ? dl->here : dl->there[peer],
		.remote_ep = ours ? dl->there[peer] : dl->here,
		.replay_window = PEER_WINDOW,
		.history_packets = 1 << 16,
		.verify_rate = 20000,
		.detect = detect,
		.bridge = true,
		/* the peers are several machines: each has its own policies */
		.device = ours ? dl->device_of[peer] : (uint16_t)peer,
		.owner = dl,
	};

	if (ours && life)
		sp.life = *life;
	assert_int_equal(sad_install(&path->sad, spi, &sp, dl->now), 0);
	p->local = sp.local;
	p->remote = sp.remote;
	p->sa = sad_ref(sad_find(&path->sad, spi));
	assert_int_equal(spd_add(&path->devices[sp.device].spd, p), 0);
}

void dl_install(unsigned peer, const struct esp_lifetime *life)
{
	uint8_t keys[2][SUITE_MAX_KEY];

	if (dl->spi[peer]) {
		spd_remove(&dl->tunnel.path->devices[dl->device_of[peer]].spd, &dl->policy[peer]);
		spd_remove(&dl->peer->devices[peer].spd, &dl->policy_peer[peer]);
	}
	rng_fill(&dl->rng.rng, keys, sizeof(keys));
	dl->base[peer] = 0;
	dl->spi[peer] = sad_reserve(&dl->tunnel.path->sad);
	dl->spi_peer[peer] = sad_reserve(&dl->peer->sad);
	install_side(peer, true, life, keys);
	install_side(peer, false, NULL, keys);
}

struct esp_sa *dl_sa(unsigned peer)
{
	return sad_find(&dl->tunnel.path->sad, dl->spi[peer]);
}

void dl_retire(unsigned peer)
{
	sad_retire(&dl->tunnel.path->sad, dl_sa(peer), dl->now + 5 * NSEC_PER_SEC);
}

static void no_line(void *ctx, enum log_level level, const char *line)
{
	(void)ctx, (void)level, (void)line;
}

static void make_peers(void)
{
	char s[ADDR_STRLEN];

	dl->tunnel.path = esp_path_new(64 << 20, &dl->rng.rng);
	dl->peer = esp_path_new(64 << 20, &dl->rng.rng);
	esp_path_devices(dl->peer, PEERS);
	assert_int_equal(addr_parse("192.0.2.1", &dl->here.addr), 0);
	dl->here.port = IKE_PORT_NATT;
	selector(&dl->ours, "10.2.0.0/16", 0);
	for (unsigned i = 0; i < PEERS; i++) {
		snprintf(s, sizeof(s), "198.51.100.%u", i + 1);
		assert_int_equal(addr_parse(s, &dl->there[i].addr), 0);
		dl->there[i].port = IKE_PORT_NATT;
		selector(&dl->theirs[i], "10.%u.0.0/16", 100 + i);
		dl_install(i, NULL);
	}
}

void dl_own_device(unsigned peer, unsigned net)
{
	static char own_name[] = "own0";
	struct child_conf child = {.device = own_name};
	struct conn_conf conn = {.children = &child, .child_count = 1};
	const struct conn_conf *conns = &conn;
	struct config c = {.conns = {.v = &conns, .count = 1}};

	devices_make(&dl->d, &c);
	spd_remove(&dl->tunnel.path->devices[0].spd, &dl->policy[peer]);
	dl->device_of[peer] = device_index(&dl->d, own_name);
	dl->theirs[peer] = dl->theirs[net];
	dl_install(peer, NULL);
}

int dl_begin(void **state)
{
	static char all_name[] = "all0";
	struct daemon *d;

	(void)state;
	dl = xzalloc(sizeof(*dl));
	dl->now = NSEC_PER_SEC;
	fixture_rng_init(&dl->rng, 77);
	make_peers();
	d = &dl->d;
	d->tunnel = &dl->tunnel;
	d->config = &dl->config;
	d->udp_offloads = (struct udp_offloads){.segment = true};
	log_init(&d->log, LOG_LEVEL_ERROR, no_line, NULL);
	dl->config.fixed.tun = all_name;
	d->base = event_base_new();
	return !d->base || event_base_priority_init(d->base, PRIORITIES) < 0 ||
	       devices_init(d) < 0 || data_init(d) < 0;
}

int dl_end(void **state)
{
	(void)state;
	data_fini(&dl->d);
	devices_fini(&dl->d);
	event_base_free(dl->d.base);
	esp_path_free(dl->tunnel.path);
	esp_path_free(dl->peer);
	records_clear(&dl->tun_in);
	records_clear(&dl->tun_out);
	records_clear(&dl->own_in);
	records_clear(&dl->own_out);
	for (unsigned i = 0; i < UDP_SOCKETS; i++)
		records_clear(&dl->udp_in[i]);
	records_clear(&dl->wire);
	records_clear(&dl->ike_in);
	records_clear(&dl->alone);
	free(dl);
	return 0;
}

/* A number that changes with everything that the loops do, but not when a send is refused again. */
static unsigned progress(void)
{
	return dl->tun_reads + dl->receives[UDP_IKE] + dl->receives[UDP_ESP] +
	       dl->receives[UDP_IKE_NATT] + (unsigned)dl->wire.n + dl->d.out.parked;
}

void dl_turn(void)
{
	event_base_loop(dl->d.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

void dl_loop(void)
{
	unsigned before;

	do {
		before = progress();
		dl_turn();
	} while (progress() != before);
}

/* ---- inner packets ---- */

static uint32_t slow_sum(const uint8_t *p, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void put_l3(const struct shape *s, uint8_t *p, uint32_t len)
{
	const uint8_t us[] = {10, 2, 0, 1},
		      them[] = {10, (uint8_t)(100 + (s->net ? s->net : s->peer)), 0, 1};

	p[0] = 0x45;
	p[1] = s->tos;
	put_be16(p + 2, (uint16_t)len);
	put_be16(p + 4, s->id);
	put_be16(p + 6, s->df ? 0x4000 : 0);
	p[8] = 64;
	p[9] = s->tcp ? PROTO_TCP : PROTO_UDP;
	memcpy(p + 12, s->from_peer ? them : us, 4);
	memcpy(p + 16, s->from_peer ? us : them, 4);
	put_be16(p + 10, (uint16_t)~slow_sum(p, 20, 0));
}

uint32_t dl_packet(const struct shape *s, uint8_t *p)
{
	uint32_t hdr = s->tcp ? 40 : 28, len = hdr + s->payload, l4_len = len - 20;
	uint8_t *l4 = p + 20;

	memset(p, 0, hdr);
	put_l3(s, p, len);
	put_be16(l4, s->flow);
	put_be16(l4 + 2, 5000);
	if (s->tcp) {
		put_be32(l4 + 4, s->at);
		l4[12] = 0x50;
		l4[13] = s->push ? 0x18 : 0x10;
		put_be16(l4 + 14, 500);
	} else {
		put_be16(l4 + 4, (uint16_t)l4_len);
	}
	for (uint32_t i = 0; i < s->payload; i++)
		p[hdr + i] = (uint8_t)((s->at + i) * 131 + ((s->at + i) >> 8) * 17 + s->flow);
	put_be16(l4 + (s->tcp ? 16 : 6),
		 (uint16_t)~slow_sum(l4, l4_len, slow_sum(p + 12, 8, p[9] + l4_len)));
	return len;
}

static struct record *tun_add(const struct shape *s)
{
	uint16_t device = dl->device_of[s->peer];
	uint8_t p[PACKET_MAX];
	struct record *r = records_add(device ? &dl->own_in : &dl->tun_in, p, dl_packet(s, p));

	r->result = 1;
	queue_ready(dl->d.devices.all[device]->tun.fd);
	return r;
}

void dl_tun(const struct shape *s)
{
	tun_add(s);
}

void dl_tun_super(const struct shape *s, uint16_t mss)
{
	tun_add(s)->off = (struct pkt_offload){.gso = PKT_GSO_TCP4,
					       .needs_csum = true,
					       .gso_size = mss,
					       .csum_start = 20,
					       .csum_offset = 16};
}

void dl_expect(struct records *r, const struct shape *s, uint16_t mss)
{
	uint8_t p[PACKET_MAX];
	uint32_t left = s->payload;
	struct shape one = *s;

	do {
		one.payload = mss ? (uint32_t)min_u64(left, mss) : left;
		left -= one.payload;
		one.push = s->push && left == 0;
		records_add(r, p, dl_packet(&one, p));
		one.id++;
		one.at += one.payload;
	} while (left);
}

/* ---- what was sent ---- */

/* Orders datagrams by SPI and number, the first 8 bytes. */
static int by_number(const void *a, const void *b)
{
	return memcmp(*(uint8_t *const *)a, *(uint8_t *const *)b, 8);
}

/* Asserts that *ret_first is the first number used since dl_forget; returns the last one, or 0 if
 * the SA is gone. */
static uint64_t numbers_of(uint32_t spi, uint32_t *ret_first)
{
	for (unsigned i = 0; i < PEERS; i++) {
		if (dl->spi_peer[i] != spi || !dl_sa(i))
			continue;
		assert_true(*ret_first == dl->base[i] + 1);
		return dl_sa(i)->out.number;
	}
	return 0;
}

void dl_assert_numbers(void)
{
	uint8_t **all = xzalloc((dl->wire.n + 1) * sizeof(*all));
	uint64_t sent = 0, used = 0;

	for (size_t i = 0; i < dl->wire.n; i++)
		all[i] = dl->wire.v[i].b;
	qsort(all, dl->wire.n, sizeof(*all), by_number);
	for (size_t i = 0, n; i < dl->wire.n; i += n) {
		uint32_t spi = get_be32(all[i]), first = get_be32(all[i] + 4);
		uint64_t last = numbers_of(spi, &first);

		for (n = 0; i + n < dl->wire.n && get_be32(all[i + n]) == spi; n++)
			assert_int_equal(get_be32(all[i + n] + 4), first + n);
		assert_true(last == 0 || last == first + n - 1);
		sent += last ? n : 0;
	}
	for (unsigned i = 0; i < PEERS; i++)
		used += dl_sa(i) ? dl_sa(i)->out.number - dl->base[i] : 0;
	assert_true(sent == used);
	free(all);
}

void dl_forget(void)
{
	records_clear(&dl->tun_in);
	records_clear(&dl->tun_out);
	records_clear(&dl->own_in);
	records_clear(&dl->own_out);
	records_clear(&dl->wire);
	for (unsigned i = 0; i < PEERS; i++)
		dl->base[i] = dl_sa(i)->out.number;
}

void dl_open_wire(struct records *ret_plain)
{
	static uint8_t text[PACKET_MAX];
	struct pkt_super s;
	uint64_t fresh, *verdicts = dl->peer->verdicts;

	for (; dl->wire.next < dl->wire.n; dl->wire.next++) {
		struct record *r = &dl->wire.v[dl->wire.next];
		struct esp_in in = {.base = r->b, .len = r->len, .from = dl->here, .tos = r->tos};
		uint8_t *sealed = xmemdup(r->b, r->len);

		if (!r->lost) {
			fresh = verdicts[VERDICT_FRESH];
			pkt_super_init(&s, text, sizeof(text), 0);
			assert_int_equal(esp_open(dl->peer, &in, &s, dl->now), ESP_DONE);
			assert_true(verdicts[VERDICT_FRESH] == fresh + 1);
			if (s.len)
				records_add(ret_plain, s.base, s.len)->send = r->send;
		}
		memcpy(r->b, sealed, r->len); /* it was opened in place, and may be looked at
					       * again */
		free(sealed);
	}
}

unsigned dl_sent_by(unsigned send)
{
	unsigned n = 0;

	for (size_t i = 0; i < dl->wire.n; i++)
		n += dl->wire.v[i].send == send;
	return n;
}

/* ---- what is received ---- */

uint32_t dl_seal(const struct shape *s, uint8_t *esp)
{
	static uint8_t inner[PACKET_MAX];
	static struct esp_train t;
	struct esp_out o;

	esp_out_init(&o, inner, dl_packet(s, inner), (uint16_t)s->peer);
	esp_train_init(&t, esp, PACKET_MAX);
	assert_int_equal(esp_route(dl->peer, &o, dl->now), ESP_ROUTE_SEAL);
	assert_int_equal(esp_seal(dl->peer, &o, &t, dl->now), ESP_DONE);
	esp_train_finish(dl->peer, &t);
	return t.len;
}

struct record *dl_arrive(unsigned which, unsigned peer, const uint8_t *b, uint32_t len,
			 uint16_t seg)
{
	struct record *r = records_add(&dl->udp_in[which], b, len);

	r->seg = seg;
	r->remote = dl->there[peer];
	r->local = dl->here;
	if (which == UDP_IKE)
		r->local.port = IKE_PORT;
	queue_ready(dl->d.udp[which].fd);
	return r;
}
