/*
 * data_fixture.h - the two data loops with a simulated kernel.
 * SPDX-License-Identifier: ISC
 *
 * The daemon's data*.c are used unchanged, over real ESP paths and a real libevent loop. Sockets
 * and TUN are queues: a descriptor is readable while its queue is not empty, and what the daemon
 * sends or writes is kept. The clock stands still unless a test moves it. There is one fixture at a
 * time.
 */
#ifndef MENDIP_DATA_FIXTURE_H
#define MENDIP_DATA_FIXTURE_H

#include "esp_fixture.h"
#include "daemon.h"

#define PEERS	    12
#define PACKET_MAX  65536
#define PEER_WINDOW 32		 /* packets; the least that RFC 4303 3.4.3 allows */
#define GCM_ADDS    (8 + 8 + 16) /* per packet, if no padding is needed: header, IV, ICV */

/* A packet or datagram that was sent or written, or is queued to be received. */
struct record {
	uint8_t *b;
	uint32_t len;
	struct endpoint local, remote;
	uint8_t tos;
	bool df, truncated;
	bool lost;     /* the send lost this datagram */
	int result;    /* of tun_read or udp_receive, or 0 */
	uint16_t seg;  /* segment size of a receive or send */
	unsigned send; /* index of the send that it was part of */
	unsigned socket;
	struct pkt_offload off;
};

struct records {
	struct record *v;
	size_t n, cap, next; /* next: the next to be read */
};

/* The result of a send: `take` datagrams were sent, of which the first `lost` were lost; then
 * `error`. */
struct answer {
	unsigned take, lost;
	int error; /* with -EAGAIN the rest is not sent */
};
#define ALL_GO ((struct answer){.take = UINT16_MAX})
#define FULL   ((struct answer){.error = -EAGAIN})

struct data_fixture {
	struct daemon d;
	struct tunnel tunnel;
	struct config config;
	struct fixture_rng rng;
	nsec_t now;
	struct esp_path *peer;		      /* one path for all peers */
	uint32_t spi[PEERS], spi_peer[PEERS]; /* inbound SPIs: ours, the peers' */
	uint16_t device_of[PEERS];	      /* the device of the peer's child */
	struct endpoint here, there[PEERS];
	struct spd_policy policy[PEERS], policy_peer[PEERS];
	struct ts_list ours, theirs[PEERS];
	uint64_t base[PEERS]; /* our last number at dl_forget */
	/* state of the simulated kernel */
	struct records tun_in, tun_out, udp_in[UDP_SOCKETS];
	struct records own_in, own_out; /* of the second device, see dl_own_device */
	int open_result;		/* of tun_open */
	struct records wire;		/* ESP datagrams, including lost ones */
	struct records ike_in;		/* what tunnel_receive_ike got */
	struct records alone;		/* sent by udp_send and udp_send_each */
	const struct answer *script;	/* one per send, then ALL_GO */
	unsigned script_len;
	struct answer (*say)(void);	    /* instead of the script */
	int send_alone_result;		    /* of udp_send */
	void (*on_receive)(unsigned which); /* called after each udp_receive */
	void (*on_ike)(void);		    /* called by tunnel_receive_ike */
	/* counters of what happened */
	unsigned sends, sends_each, tun_reads, turns, looks, acquired;
	unsigned opens, links, repairs; /* calls per device function: open, link, repair */
	bool link;			/* the link state last set */
	unsigned receives[UDP_SOCKETS];
	struct endpoint looked_at;
	const struct spd_policy *sprung;
};
extern struct data_fixture *dl;

/* Setup and teardown of each test. */
int dl_begin(void **state);
int dl_end(void **state);
/* Installs new SAs with the peer, in both directions, in place of those it has. */
void dl_install(unsigned peer, const struct esp_lifetime *life);
struct esp_sa *dl_sa(unsigned peer);
/* Gives the peer's child new SAs, the selectors of peer `net` and a device of its own, own0. */
void dl_own_device(unsigned peer, unsigned net);
/* Retires our SA with the peer, as at the end of a rekey: it sends nothing more. */
void dl_retire(unsigned peer);
/* Handles the events that are ready now, once. */
void dl_turn(void);
/* Runs the loop until nothing more can be done at once; a socket that stays full is tried once. */
void dl_loop(void);

/* ---- inner packets, made slowly ---- */

struct shape {
	unsigned peer;
	unsigned net;	/* the addresses are those of this peer; 0: of `peer` */
	bool from_peer; /* else to it */
	bool tcp, df;
	uint8_t tos;
	uint16_t flow; /* a port */
	uint16_t id;
	uint32_t at; /* offset in the flow's bytes, which are generated */
	uint32_t payload;
	bool push;
};

/* Writes a whole packet with correct checksums; returns its length. */
uint32_t dl_packet(const struct shape *s, uint8_t *p);
/* Queue in TUN one packet, or a super-packet of TCP segments of mss bytes. */
void dl_tun(const struct shape *s);
void dl_tun_super(const struct shape *s, uint16_t mss);
/* Adds to r the packets that a device without offloads would have received for it. */
void dl_expect(struct records *r, const struct shape *s, uint16_t mss);

struct record *records_add(struct records *r, const uint8_t *b, uint32_t len);
void records_clear(struct records *r);
void assert_record(const struct record *r, const uint8_t *b, uint32_t len);
void assert_records(const struct records *got, const struct records *want);

/* ---- what was sent ---- */

/* Asserts that each sequence number of each SA was sent to the kernel exactly once, without a
 * gap. */
void dl_assert_numbers(void);
/* Clears what was read from TUN, written and sent; dl_assert_numbers checks from here on. */
void dl_forget(void);
/* The peers open all datagrams sent since the last call that were not lost; each must be
 * delivered. */
void dl_open_wire(struct records *ret_plain);
/* Counts the datagrams of the n-th send, including lost ones. */
unsigned dl_sent_by(unsigned send);

/* ---- what is received ---- */

/* Seals a packet from the peer to us; returns its length. */
uint32_t dl_seal(const struct shape *s, uint8_t *esp);
/* Queues datagrams of seg bytes for a socket, as one receive. */
struct record *dl_arrive(unsigned which, unsigned peer, const uint8_t *b, uint32_t len,
			 uint16_t seg);

#endif
