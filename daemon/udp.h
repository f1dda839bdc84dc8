/* udp.h - UDP sockets that tell and choose the local address (RFC 3948). SPDX-License-Identifier:
 * ISC */
#ifndef MENDIP_UDP_H
#define MENDIP_UDP_H

#include "addr.h"
#include "log.h"

#define UDP_REFUSALS 64

/* Trains of seg bytes a datagram, or more, do not go to the address for a while. */
struct udp_refusal {
	uint8_t addr[4];
	uint16_t seg;
	nsec_t until; /* 0: never used */
};

/* What may be asked of the kernel. */
struct udp_offloads {
	bool segment, gro;
};

struct udp_socket {
	int fd;
	uint16_t port;
	bool segment;	    /* UDP_SEGMENT is to be had */
	bool group_receive; /* UDP_GRO is on */
	bool df;	    /* what IP_MTU_DISCOVER is set to */
	uint8_t starved;    /* sends in a row for which the kernel had no memory */
	uint64_t refused;   /* trains that had to be sent singly */
	/* What was refused, by a hash of the address; one takes the place of another. */
	struct udp_refusal refusal[UDP_REFUSALS];
	nsec_t refused_until; /* the last of them */
};

/* One receive: a datagram, or several of one sender that the kernel put together. */
struct udp_datagram {
	uint8_t *p;
	uint32_t cap, len;
	uint16_t seg; /* size of each but the last; len when it is one */
	struct endpoint local, remote;
	uint8_t tos;
	bool truncated; /* bytes are missing, or local, tos and seg: not to be used */
};

/* Datagrams of seg bytes back to back, the last one perhaps shorter, all to one place. */
struct udp_train {
	const struct endpoint *local, *remote; /* local of family 0: the system's choice */
	uint8_t tos;
	bool df; /* not to be fragmented on the way */
	const uint8_t *p;
	uint32_t len;
	uint16_t seg;
};

/*
 * A non-blocking IPv4 socket on the port, with our mark. With `group` it shares the port with
 * others (SO_REUSEPORT). Of the offloads it has those that the kernel can do. -errno.
 */
int udp_open(struct udp_socket *s, uint16_t port, bool group, struct udp_offloads offloads,
	     struct log *log) MUST_CHECK;
/*
 * The same with a socket that udp_open made in another process. -EINVAL: it is no such socket; it
 * is not closed then.
 */
int udp_adopt(struct udp_socket *s, int fd, uint16_t port, struct udp_offloads offloads) MUST_CHECK;
/*
 * Steers what arrives for the group that s is in: datagrams whose first word is 0 (the non-ESP
 * marker) to the second socket, all else to the first.
 */
int udp_steer(struct udp_socket *s) MUST_CHECK;
void udp_close(struct udp_socket *s);
/* Up to n receives; their number, 0 when there is nothing, -errno. */
int udp_receive(struct udp_socket *s, struct udp_datagram *d, unsigned n);
/* One datagram from `local` (family 0: the system's choice) of head and body. 0 or -errno. */
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
/* Sends up to UDP_MESSAGES of them in order, by as few calls of the kernel as that takes. */
void udp_send_each(struct udp_socket *s, struct udp_message *m, unsigned n);
/*
 * Sends the train, in one piece where that works, else its datagrams one by one: then those to the
 * same address are not tried in one piece for 10 s, unless they are shorter. Bytes that went
 * out or were lost; less than len with *ret_error -EAGAIN when the socket is full: the rest is to
 * be sent when it has room. What is lost is counted in *ret_failed, in datagrams, and *ret_error
 * says why; it is -EMSGSIZE too when nothing was lost but the path turned out too narrow for the
 * train.
 */
uint32_t udp_send_train(struct udp_socket *s, const struct udp_train *t, nsec_t now, int *ret_error,
			uint64_t *ret_failed);
/* What the kernel holds for the MTU of the path to remote, in bytes of IP packet; 0: unknown. */
uint32_t udp_path_mtu(const struct endpoint *local, const struct endpoint *remote);

#endif
