/*
 * flood.c - sends datagrams at a rate, from any source address; or receives and drops or answers
 * them. For use within the namespaces of a test. SPDX-License-Identifier: ISC
 *
 * usage: flood send FROM TO PORT RATE SECONDS FILE [CHANGE]..., flood sink PORT, flood answer PORT
 *
 * FILE holds payloads, each preceded by its length (16 bits, network byte order); they are sent in
 * turn. FROM is ADDRESS:PORT, or "any:PORT" for a random source in 198.18.0.0/15 per datagram.
 *
 * CHANGE is `random AT LEN`: LEN bytes from offset AT on are random in each datagram; `count AT
 * FIRST`: the 32-bit number at offset AT is FIRST, and grows by one per datagram; or `fragments N`:
 * each datagram is sent as two IP fragments of about the same size, and the second one of every Nth
 * datagram is not sent.
 *
 * Prints the numbers of datagrams made, of packets sent and of sends that failed, as JSON. When the
 * rate cannot be kept, fewer datagrams are sent.
 */
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH	    64
#define PACKET_MAX  2048
#define CHANGES	    8
#define ANSWER_LEN  60 /* an IKE header and a COOKIE notification with 24 bytes */
#define TICK_NS	    500000
#define SECONDS_MAX 300
#define HEADERS	    (sizeof(struct iphdr) + sizeof(struct udphdr))
#define ANY_NET	    0xc6120000u /* 198.18.0.0/15, for tests of networks (RFC 2544) */
#define ANY_MASK    0x0001ffffu

enum change_kind { CHANGE_RANDOM, CHANGE_COUNT };

struct change {
	enum change_kind kind;
	size_t at, len;
	uint32_t next;
};

struct payload {
	uint16_t len;
	uint8_t b[PACKET_MAX];
};

struct flood {
	int fd;
	int any_source;
	unsigned
		fragments; /* one of so many datagrams lacks its second fragment; 0: no fragments */
	struct sockaddr_in from, to;
	double rate, seconds;
	struct payload *payload;
	unsigned payloads;
	struct change change[CHANGES];
	unsigned changes;
	uint64_t seed, made, sent, failed;
	uint8_t packet[BATCH][PACKET_MAX];
	size_t len[BATCH];
	unsigned waiting;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t next_random(struct flood *f)
{
	uint64_t z = (f->seed += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static void flush(struct flood *f)
{
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];
	unsigned done = 0;

	for (unsigned i = 0; i < f->waiting; i++) {
		iov[i] = (struct iovec){f->packet[i], f->len[i]};
		m[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &f->to,
						    .msg_namelen = sizeof(f->to),
						    .msg_iov = &iov[i],
						    .msg_iovlen = 1}};
	}
	while (done < f->waiting) {
		int n = sendmmsg(f->fd, m + done, f->waiting - done, 0);

		if (n < 0)
			f->failed++;
		else
			f->sent += (uint64_t)n;
		done += n < 0 ? 1 : (unsigned)n;
	}
	f->waiting = 0;
}

/* Adds an IP packet with `len` bytes of the UDP datagram from `at` on; more: fragments follow. */
static void add_packet(struct flood *f, const uint8_t *udp, size_t at, size_t len, int more,
		       uint16_t id, uint32_t source)
{
	struct iphdr h = {.version = 4,
			  .ihl = 5,
			  .ttl = 64,
			  .protocol = IPPROTO_UDP,
			  .id = htons(id),
			  .frag_off = htons((uint16_t)(at / 8 | (more ? IP_MF : 0))),
			  .saddr = source,
			  .daddr = f->to.sin_addr.s_addr};
	uint8_t *p;

	if (f->waiting == BATCH)
		flush(f);
	p = f->packet[f->waiting];
	h.tot_len = htons((uint16_t)(sizeof(h) + len));
	memcpy(p, &h, sizeof(h));
	memcpy(p + sizeof(h), udp + at, len);
	f->len[f->waiting++] = sizeof(h) + len;
}

static void change(struct flood *f, uint8_t *p, size_t len)
{
	for (unsigned i = 0; i < f->changes; i++) {
		struct change *c = &f->change[i];
		uint32_t n = htonl(c->next);

		if (c->at + c->len > len)
			continue;
		if (c->kind == CHANGE_COUNT) {
			memcpy(p + c->at, &n, sizeof(n));
			c->next++;
			continue;
		}
		for (size_t k = 0; k < c->len; k += 8) {
			uint64_t v = next_random(f);

			memcpy(p + c->at + k, &v, c->len - k < 8 ? c->len - k : 8);
		}
	}
}

static void make(struct flood *f)
{
	const struct payload *t = &f->payload[f->made % f->payloads];
	uint8_t udp[PACKET_MAX];
	/* No checksum: IPv4 allows that (RFC 768). */
	struct udphdr h = {.source = f->from.sin_port,
			   .dest = f->to.sin_port,
			   .len = htons((uint16_t)(sizeof(h) + t->len))};
	size_t len = sizeof(h) + t->len, half = len / 2 / 8 * 8;
	uint32_t source = f->from.sin_addr.s_addr;
	uint16_t id = (uint16_t)f->made;

	if (f->any_source)
		source = htonl(ANY_NET | ((uint32_t)next_random(f) & ANY_MASK));
	memcpy(udp, &h, sizeof(h));
	memcpy(udp + sizeof(h), t->b, t->len);
	change(f, udp + sizeof(h), t->len);
	if (!f->fragments) {
		add_packet(f, udp, 0, len, 0, id, source);
	} else {
		add_packet(f, udp, 0, half, 1, id, source);
		if (f->made % f->fragments)
			add_packet(f, udp, half, len - half, 0, id, source);
	}
	f->made++;
}

static int run(struct flood *f)
{
	const struct timespec tick = {.tv_nsec = TICK_NS};
	double began = now(), passed = 0;

	while (passed < f->seconds) {
		double due = passed * f->rate;

		/* After a long wait, catch up at most a tenth of a second's datagrams at once. */
		if (due - (double)f->made > f->rate / 10)
			began += (due - (double)f->made) / f->rate - 0.1;
		while ((double)f->made < due && now() - began < f->seconds)
			make(f);
		flush(f);
		nanosleep(&tick, NULL);
		passed = now() - began;
	}
	printf("{\"datagrams\": %llu, \"packets\": %llu, \"failed\": %llu}\n",
	       (unsigned long long)f->made, (unsigned long long)f->sent,
	       (unsigned long long)f->failed);
	return 0;
}

/*
 * Receives datagrams and drops them, or answers each with its first ANSWER_LEN bytes, the size of a
 * message with a cookie. All datagrams of one receive call are answered by one send call, so that
 * this is the least that answers can cost.
 */
static int receiver(const char *port, bool answers)
{
	static uint8_t buffer[BATCH][PACKET_MAX];
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	struct sockaddr_in from[BATCH];
	int fd = socket(AF_INET, SOCK_DGRAM, 0), size = 4 << 20;
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];

	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0) {
		perror("flood: receiver");
		return 1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	for (;;) {
		int n;

		for (unsigned i = 0; i < BATCH; i++) {
			iov[i] = (struct iovec){buffer[i], sizeof(buffer[i])};
			m[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &from[i],
							    .msg_namelen = sizeof(from[i]),
							    .msg_iov = &iov[i],
							    .msg_iovlen = 1}};
		}
		n = recvmmsg(fd, m, BATCH, MSG_WAITFORONE, NULL);
		for (int i = 0; i < n; i++)
			iov[i].iov_len = ANSWER_LEN;
		if (answers && n > 0)
			sendmmsg(fd, m, (unsigned)n, MSG_DONTWAIT);
	}
}

static int read_payloads(struct flood *f, const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t len[2];

	while (file && fread(len, 1, 2, file) == 2) {
		struct payload *p;

		f->payload = realloc(f->payload, (f->payloads + 1) * sizeof(*f->payload));
		if (!f->payload)
			return -1;
		p = &f->payload[f->payloads++];
		p->len = (uint16_t)(len[0] << 8 | len[1]);
		if (p->len > PACKET_MAX - HEADERS || fread(p->b, 1, p->len, file) != p->len)
			return -1;
	}
	if (file)
		fclose(file);
	return f->payloads ? 0 : -1;
}

static int read_from(struct flood *f, char *text)
{
	char *colon = strchr(text, ':');

	if (!colon)
		return -1;
	*colon = '\0';
	f->from.sin_port = htons((uint16_t)atoi(colon + 1));
	f->any_source = strcmp(text, "any") == 0;
	return f->any_source || inet_pton(AF_INET, text, &f->from.sin_addr) == 1 ? 0 : -1;
}

static int read_changes(struct flood *f, char **v)
{
	for (; *v; v++) {
		struct change *c = &f->change[f->changes];

		if (strcmp(*v, "fragments") == 0 && v[1]) {
			f->fragments = (unsigned)strtoul(*++v, NULL, 0);
			continue;
		}
		if (f->changes == CHANGES || !v[1] || !v[2])
			return -1;
		c->kind = strcmp(*v, "count") == 0 ? CHANGE_COUNT : CHANGE_RANDOM;
		c->at = strtoul(v[1], NULL, 0);
		c->len = c->kind == CHANGE_COUNT ? 4 : strtoul(v[2], NULL, 0);
		c->next = (uint32_t)strtoul(v[2], NULL, 0);
		f->changes++;
		v += 2;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct flood f = {.to = {.sin_family = AF_INET}};

	if (argc == 3 && (strcmp(argv[1], "sink") == 0 || strcmp(argv[1], "answer") == 0))
		return receiver(argv[2], strcmp(argv[1], "answer") == 0);
	if (argc < 8 || strcmp(argv[1], "send") != 0 || read_from(&f, argv[2]) < 0 ||
	    inet_pton(AF_INET, argv[3], &f.to.sin_addr) != 1 || read_payloads(&f, argv[7]) < 0 ||
	    read_changes(&f, argv + 8) < 0) {
		fprintf(stderr, "usage: flood send FROM TO PORT RATE SECONDS FILE [random AT LEN] "
				"[count AT FIRST] [fragments N]\n       flood sink PORT\n       "
				"flood answer PORT\n");
		return 2;
	}
	f.to.sin_port = htons((uint16_t)atoi(argv[4]));
	f.rate = atof(argv[5]);
	f.seconds = atof(argv[6]);
	f.seed = (uint64_t)getpid() << 32 | (uint64_t)time(NULL);
	if (f.rate <= 0 || f.seconds > SECONDS_MAX)
		return 2;
	/* With IPPROTO_RAW, this program supplies the IP header. */
	f.fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	if (f.fd < 0) {
		perror("flood");
		return 1;
	}
	return run(&f);
}
