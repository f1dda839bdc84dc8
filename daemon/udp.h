/*
 * udp.h - the sockets towards the peers, which report and choose the local address: UDP (RFC 3948),
 * and raw ones for ESP without UDP (RFC 4303). SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_UDP_H
#define MENDIP_UDP_H

#include "addr.h"
#include "log.h"

#define UDP_REFUSALS 64

/* Trains with datagrams of seg bytes or more are not sent whole to addr until `until`. */
struct udp_refusal {
	struct addr addr;
	uint16_t seg;
	nsec_t until; /* 0: never used */
};

/* Offloads that may be used: UDP_SEGMENT, UDP_GRO. */
struct udp_offloads {
	bool segment, gro;
};

struct udp_socket {
	int fd;
	uint8_t family; /* enum family */
	uint8_t use;	/* the owner's: what it is for */
	bool raw;	/* takes and gives ESP packets; endpoints have port 0 */
	uint16_t port;
	bool segment;	    /* UDP_SEGMENT is in use */
	bool group_receive; /* UDP_GRO is on */
	bool df;	    /* what is sent may not be fragmented */
	uint8_t starved;    /* ENOBUFS in a row */
	uint64_t refused;   /* trains that the kernel refused as a whole */
	/* Refusals by a hash of the address; a new one replaces the one in its slot. */
	struct udp_refusal refusal[UDP_REFUSALS];
	nsec_t refused_until; /* the latest `until` */
};

/* One receive: a datagram, or several from one sender that the kernel combined (UDP_GRO). */
struct udp_datagram {
	uint8_t *p; /* the caller's buffer, of cap bytes; after a receive, where the datagram begins
		     */
	uint32_t cap, len;
	uint16_t seg; /* bytes of each datagram but the last; len if there is one */
	struct endpoint local, remote;
	uint8_t tos;
	bool truncated; /* bytes are missing, or local, tos and seg are: to be dropped */
};

/* Datagrams of seg bytes back to back to one destination; the last one may be shorter. */
struct udp_train {
	const struct endpoint *local, *remote; /* local of family 0: the kernel's choice */
	uint8_t tos;
	bool df; /* set DF: not to be fragmented, neither here nor on the way */
	const uint8_t *p;
	uint32_t len;
	uint16_t seg;
};

/*
 * Opens a non-blocking socket of the family on the port, with the mark NET_MARK; one of IPv6 takes
 * no IPv4. With `group` it shares the port (SO_REUSEPORT). Uses those of the offloads that the
 * kernel supports. 0 or -errno, of which -EAFNOSUPPORT is not logged: the kernel has no such
 * family.
 */
int udp_open(struct udp_socket *s, uint8_t family, uint16_t port, bool group,
	     struct udp_offloads offloads, struct log *log) MUST_CHECK;
/*
 * The same with a socket that udp_open made in another process. 0; fd belongs to s then. -EINVAL:
 * it is no such socket; fd is left open.
 */
int udp_adopt(struct udp_socket *s, int fd, uint8_t family, uint16_t port,
	      struct udp_offloads offloads) MUST_CHECK;
/*
 * Distributes datagrams in the group of s: those whose first 32 bits are 0 (the non-ESP marker) go
 * to the socket that was bound second, all others to the first. 0 or -errno.
 */
int udp_steer(struct udp_socket *s) MUST_CHECK;
/*
 * Opens a non-blocking raw socket for ESP of the family, with the mark NET_MARK. It hears nothing
 * before raw_hear. 0 or -errno, which is not logged; needs CAP_NET_RAW. As long as it is open, the
 * kernel does not answer ESP with ICMP "protocol unreachable".
 */
int raw_open(struct udp_socket *s, uint8_t family) MUST_CHECK;
/* The same with a socket that raw_open made in another process; see udp_adopt. */
int raw_adopt(struct udp_socket *s, int fd, uint8_t family) MUST_CHECK;
/* From now on s receives, or not: a filter in the kernel. 0 or -errno. */
int raw_hear(struct udp_socket *s, bool on) MUST_CHECK;
/* Closes s unless its fd is -1. */
void udp_close(struct udp_socket *s);
/* Makes up to n receives, at most 64, without waiting. Returns their number, which may be 0, or
 * -errno. */
int udp_receive(struct udp_socket *s, struct udp_datagram *d, unsigned n);
/* Sends head and body as one datagram from `local` (family 0: the kernel's choice). 0 or -errno. */
int udp_send(struct udp_socket *s, const struct endpoint *local, const struct endpoint *remote,
	     uint8_t tos, const uint8_t *head, size_t head_len, const uint8_t *body, size_t len);
/* A datagram that goes to its own place; local of family 0: the system's choice. */
struct udp_message {
	struct endpoint local, remote;
	const uint8_t *head, *body;
	size_t head_len, len;
	int error; /* 0, or the -errno with which it was lost */
};
#define UDP_MESSAGES 16
/*
 * Sends n of them, UDP_MESSAGES at most, in order: by one call of the kernel, and one more for each
 * that it refuses.
 */
void udp_send_each(struct udp_socket *s, struct udp_message *m, unsigned n);
/*
 * Sends the train in one piece or, if the kernel refuses that, datagram by datagram; trains to the
 * same address are then sent datagram by datagram for 10 s, unless their datagrams are shorter.
 * Returns the bytes that were sent or lost. That is less than len only if the socket is full:
 * *ret_error is -EAGAIN, and the rest is to be sent when the socket is writable. Lost datagrams are
 * added to *ret_failed, and *ret_error is the reason, otherwise 0. *ret_error is also -EMSGSIZE
 * when nothing was lost but the path proved too narrow for the train.
 */
uint32_t udp_send_train(struct udp_socket *s, const struct udp_train *t, nsec_t now, int *ret_error,
			uint64_t *ret_failed);
/* The MTU of the path from local to remote as the kernel knows it, in bytes of IP packet; 0:
 * unknown. */
uint32_t udp_path_mtu(const struct endpoint *local, const struct endpoint *remote);
/* The address of ours from which the kernel sends to remote. False: there is no way to remote. */
bool udp_source(const struct addr *remote, struct addr *ret);

#endif
