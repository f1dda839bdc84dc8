/* headers.h - offsets and bits in the headers of inner packets. SPDX-License-Identifier: ISC */
#ifndef MENDIP_HEADERS_H
#define MENDIP_HEADERS_H

/* The smallest MTU that a link may have (RFC 791 3.2, RFC 8200 5). */
#define IPV4_MTU_MIN 68
#define IPV6_MTU_MIN 1280

#define IPV4_SUM     10 /* the header checksum */

#define TCP_SEQ	     4
#define TCP_FLAGS    13
#define TCP_SUM	     16
#define TCP_FIN	     0x01
#define TCP_PSH	     0x08
#define TCP_ACK	     0x10
#define TCP_ECE	     0x40
#define TCP_CWR	     0x80

#define UDP_LEN	     4
#define UDP_SUM	     6

#endif
