/*
 * data_fixture.h - the two data loops with a pretended kernel. SPDX-License-Identifier: ISC
 *
 * The daemon's data*.c run as they are, over real ESP paths and a real libevent loop. Sockets and
 * TUN are queues: a descriptor is readable while its queue holds something, and what is sent or
 * written is kept. Time stands still unless a test moves it. There is one fixture at a time.
 */
#ifndef MENDIP_DATA_FIXTURE_H
#define MENDIP_DATA_FIXTURE_H

#include "esp_fixture.h"
#include "daemon.h"

#define PEERS	    12
#define PACKET_MAX  65536
#define PEER_WINDOW 32		 /* packets, the least that RFC 4303 3.4.3 allows */
#define GCM_ADDS    (8 + 8 + 16) /* to a text that is padded already: header, IV, ICV */

/* Anything that went through, came out, or is to come in. */
struct record {
	uint8_t *b;
	uint32_t len;
	struct endpoint local, remote;
	uint8_t tos;
	bool df, truncated;
	bool lost;     /* the send failed for this one */
	int result;    /* of tun_read, or 0 */
	uint16_t seg;  /* of a receive, or of a send */
	unsigned send; /* which send it was part of */
	unsigned socket;
	struct pkt_offload off;
};

struct records {
	struct record *v;
	size_t n, cap, next; /* next: to be taken */
};

/* What a send says: that many datagrams went, some of them at the front were lost; then `error`. */
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
	struct esp_path *peer;		      /* all the peers */
	uint32_t spi[PEERS], spi_peer[PEERS]; /* inbound: ours, the peer's */
	uint16_t device_of[PEERS];	      /* where the peer's packets come from and go to */
	struct endpoint here, there[PEERS];
	struct spd_policy policy[PEERS], policy_peer[PEERS];
	struct ts_list ours, theirs[PEERS];
	uint64_t base[PEERS]; /* our last number when all was forgotten */
	/* the kernel */
	struct records tun_in, tun_out, udp_in[UDP_SOCKETS];
	struct records own_in, own_out; /* of the second device, see dl_own_device */
	int open_result;		/* of tun_open */
	struct records wire;		/* ESP, datagram by datagram, lost ones too */
	struct records ike_in;		/* what the engine got */
	struct records alone;		/* sent by udp_send and udp_send_each */
	const struct answer *script;	/* one for each send; then ALL_GO */
	unsigned script_len;
	struct answer (*say)(void);	    /* instead of the script */
	int send_alone_result;		    /* of udp_send */
	void (*on_receive)(unsigned which); /* after each udp_receive */
	void (*on_ike)(void);		    /* within tunnel_receive_ike */
	/* what happened */
	unsigned sends, sends_each, tun_reads, turns, commands, looks, acquired;
	unsigned opens, links, repairs; /* of devices; how often one was told of its link */
	bool link;			/* what it was told last */
	unsigned receives[UDP_SOCKETS];
	struct endpoint looked_at;
	const struct spd_policy *sprung;
};
extern struct data_fixture *dl;

/* Setup and teardown of each test. */
int dl_begin(void **state);
int dl_end(void **state);
/* Fresh SAs of the peer, in both directions, in place of those that it has. */
void dl_install(unsigned peer, const struct esp_lifetime *life);
struct esp_sa *dl_sa(unsigned peer);
/* The peer's child, with new SAs and the selectors of `net`, has a device to itself: own0. */
void dl_own_device(unsigned peer, unsigned net);
/* Our outbound half goes, as at the end of a rekey. */
void dl_retire(unsigned peer);
/* What is ready now. */
void dl_turn(void);
/* The loop, as long as anything is ready at once, but a socket that stays full only once. */
void dl_loop(void);

/* ---- inner packets, made slowly ---- */

struct shape {
	unsigned peer;
	unsigned net;	/* the peer's addresses are those of this one; 0: its own */
	bool from_peer; /* else to it */
	bool tcp, df;
	uint8_t tos;
	uint16_t flow; /* a port */
	uint16_t id;
	uint32_t at; /* place in the flow's bytes, from which they are made up */
	uint32_t payload;
	bool push;
};

/* A whole packet with all checksums right; its length. */
uint32_t dl_packet(const struct shape *s, uint8_t *p);
/* Into TUN: one packet, or a super-packet of TCP segments of mss bytes. */
void dl_tun(const struct shape *s);
void dl_tun_super(const struct shape *s, uint16_t mss);
/* Adds to r what a device without offloads would have got for it. */
void dl_expect(struct records *r, const struct shape *s, uint16_t mss);

struct record *records_add(struct records *r, const uint8_t *b, uint32_t len);
void records_clear(struct records *r);
void assert_record(const struct record *r, const uint8_t *b, uint32_t len);
void assert_records(const struct records *got, const struct records *want);

/* ---- looking at what went out ---- */

/* Each number of each SA went to the kernel exactly once, and none is missing. */
void dl_assert_numbers(void);
/* Clears what was read from TUN, written and sent; numbers are looked at from here on. */
void dl_forget(void);
/* The peers open all that was not lost since the last call, and deliver every packet. */
void dl_open_wire(struct records *ret_plain);
/* Datagrams of the n-th send, lost ones too. */
unsigned dl_sent_by(unsigned send);

/* ---- what comes in ---- */

/* Seals a packet from the peer to us; its length. */
uint32_t dl_seal(const struct shape *s, uint8_t *esp);
/* Queues datagrams of seg bytes for a socket, as one receive. */
struct record *dl_arrive(unsigned which, unsigned peer, const uint8_t *b, uint32_t len,
			 uint16_t seg);

#endif
