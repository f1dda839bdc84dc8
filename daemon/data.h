/* data.h - the two data loops: TUN to UDP and UDP to TUN (doc/architecture.md).
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_DATA_H
#define MENDIP_DATA_H

#include <event2/event.h>

#include "device.h"
#include "udp.h"

#define MARKER_LEN 4	 /* non-ESP marker (RFC 3948 2.2) */
#define TRAINS	   8	 /* open at the same time */
#define RX_BATCH   16	 /* receives per turn of the loop */
#define RX_BUFFER  65536 /* bytes per receive */
#define ANSWER_MAX 128	 /* bytes; a cookie has 69 */
/* Per turn and TUN device: a read costs 1, plus 1 per 16 KiB or 16 packets of it. */
#define TURN_BUDGET 64

/* What a socket is for; UDP_ESP and UDP_IKE_NATT of a family share their port. */
enum udp_use { UDP_IKE, UDP_ESP, UDP_IKE_NATT, UDP_RAW /* ESP without UDP */ };
#define UDP_PORTS_MAX 8 /* with UDP encapsulation, 4500 among them */
#define UDP_SOCKETS   (2 * (1 + 2 * UDP_PORTS_MAX + 1))

struct daemon;
struct conn_set;
struct esp_sa;

/* A train that is being filled, or that is sealed and waits to be sent. */
struct train_slot {
	struct esp_train train;
	bool sealed;
	uint32_t sent;	/* bytes of the train that are sent already */
	uint64_t order; /* data_out.sealed when the train was begun */
};

/* TUN to UDP. */
struct data_out {
	struct train_slot slot[TRAINS];
	uint64_t sealed;    /* packets put into trains so far */
	bool parked;	    /* a socket is full: TUN is not read until it is writable */
	bool pending;	    /* `out` is not sealed completely */
	struct esp_out out; /* refers to buffer */
	uint8_t *buffer, *trains;
	struct event *writable[UDP_SOCKETS]; /* of the sockets for data, by their index */
	unsigned full;			     /* while parked: index of the socket that is full */
};

/* What is said to those whose messages one receive has brought. */
struct data_answers {
	struct udp_socket *socket; /* that they came from; NULL: nothing is gathered now */
	unsigned count;
	struct {
		struct endpoint local, remote;
		uint16_t len;
		uint8_t b[ANSWER_MAX];
	} v[RX_BATCH];
};

/* UDP to TUN. */
struct data_in {
	struct data_answers answers;
	uint8_t *buffer;
	uint8_t *super_buffer;
	struct pkt_super super;
	unsigned ike_served; /* receives of IKE since all else had its turn */
};

struct io_counters {
	uint64_t rx_datagrams, rx_receives, rx_bytes, rx_errors, rx_truncated, rx_keepalives,
		rx_short, rx_link_local;
	uint64_t tx_datagrams, tx_sends, tx_bytes, tx_errors, tx_parked, tx_refused;
};

/* Opens the sockets, or adopts those that the process before us left. 0 or -errno; data_fini is to
 * be called in either case. */
int data_init(struct daemon *d) MUST_CHECK;
void data_fini(struct daemon *d);
/*
 * Opens the sockets of each local_port that the connections begin from and that is not open; ports
 * that no connection has any more stay open. 0, or -errno, which is logged: nothing has changed.
 */
int data_open_ports(struct daemon *d, const struct conn_set *conns) MUST_CHECK;
/*
 * Makes the raw sockets hear ESP if one of the connections may need it (encap), else not. A line of
 * the log says so if they are needed but could not be opened.
 */
void data_hear_raw(struct daemon *d, const struct conn_set *conns);
/* The socket for this use of the local port, in the family of remote; NULL: there is none. */
struct udp_socket *data_socket(struct daemon *d, enum udp_use use, const struct endpoint *local,
			       const struct endpoint *remote);
/*
 * Sends an IKE message, with the non-ESP marker if local is not port 500; between data_gather and
 * data_release one for which no state is kept goes out with others a moment later. Failures are
 * counted, and returned as by `send` of struct ike_ops.
 */
int data_send_ike(struct daemon *d, const struct endpoint *local, const struct endpoint *remote,
		  const uint8_t *p, size_t len);
/* The same past fault injection. */
int data_send_now(struct daemon *d, const struct endpoint *local, const struct endpoint *remote,
		  const uint8_t *p, size_t len);
/* Sends a dummy packet (RFC 4303 2.6) on the SA at once. Does nothing if sa is NULL. */
void data_send_dummy(struct daemon *d, struct esp_sa *sa);

/* ---- between data_*.c, device.c and main.c ---- */

static inline bool data_is_for_esp(const struct udp_socket *s)
{
	return s->use == UDP_ESP || s->use == UDP_RAW;
}

/* The socket that ESP to these endpoints goes out by; NULL: there is none. */
struct udp_socket *data_esp_socket(struct daemon *d, const struct esp_dest *dest);

/*
 * Answers from this socket for which no state is kept, such as cookies, wait until data_release and
 * go out in order; another message for it first sends those that wait. A flood that has to be
 * answered costs a call of the kernel per RX_BATCH receives then, not one per message.
 */
void data_gather(struct daemon *d, struct udp_socket *s);
void data_release(struct daemon *d);
int data_out_init(struct daemon *d) MUST_CHECK;
void data_out_fini(struct daemon *d);
int data_in_init(struct daemon *d) MUST_CHECK;
void data_in_fini(struct daemon *d);
/* Callbacks for readable descriptors. ctx: the struct device for TUN, the struct daemon for UDP. */
void data_on_tun(evutil_socket_t fd, short what, void *ctx);
void data_on_udp(evutil_socket_t fd, short what, void *ctx);
/* Callback for a socket of ESP that has room again; ctx: the struct daemon. */
void data_on_writable(evutil_socket_t fd, short what, void *ctx);
/* Writes packets to TUN that waited for their SA or its bridge and are due (esp/parked.h). */
void data_late(struct daemon *d, nsec_t now);

#endif
