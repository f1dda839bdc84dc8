/* udp.h - UDP sockets that tell and choose the local address (RFC 3948). SPDX-License-Identifier:
 * ISC */
#ifndef MENDIP_UDP_H
#define MENDIP_UDP_H

#include "addr.h"
#include "log.h"

struct udp_socket {
	int fd;
	uint16_t port;
};

struct udp_datagram {
	uint8_t *p;
	uint32_t cap, len;
	struct endpoint local, remote;
	uint8_t tos;
	bool truncated;
};

/*
 * A non-blocking IPv4 socket on the port, with our mark. With `group` it shares the port with
 * others (SO_REUSEPORT). -errno.
 */
int udp_open(struct udp_socket *s, uint16_t port, bool group, struct log *log) MUST_CHECK;
/*
 * Steers what arrives for the group that s is in: datagrams whose first word is 0 (the non-ESP
 * marker) to the second socket, all else to the first.
 */
int udp_steer(struct udp_socket *s) MUST_CHECK;
void udp_close(struct udp_socket *s);
/* Up to n datagrams; their number, 0 when there are none, -errno. */
int udp_receive(struct udp_socket *s, struct udp_datagram *d, unsigned n);
/* One datagram from `local` (family 0: the system's choice) of head and body. 0 or -errno. */
int udp_send(struct udp_socket *s, const struct endpoint *local, const struct endpoint *remote,
	     uint8_t tos, const uint8_t *head, size_t head_len, const uint8_t *body, size_t len);
/*
 * Datagrams of seg bytes back to back, the last one perhaps shorter, all to one place. Bytes that
 * went out; less than len with -EAGAIN in *ret_error when the socket is full. Other errors skip a
 * datagram.
 */
uint32_t udp_send_train(struct udp_socket *s, const struct endpoint *local,
			const struct endpoint *remote, uint8_t tos, const uint8_t *p, uint32_t len,
			uint16_t seg, int *ret_error, uint64_t *ret_failed);

#endif
