/*
 * udp_offload.h - which of the kernel's offloads for UDP are to be used. SPDX-License-Identifier:
 * ISC
 *
 * Kernels 7.0.0 to 7.1.4 cut trains of equal segments (UDP_SEGMENT) wrongly, and say nothing.
 */
#ifndef MENDIP_UDP_OFFLOAD_H
#define MENDIP_UDP_OFFLOAD_H

#include "log.h"
#include "udp.h"

enum offload_mode { OFFLOAD_AUTO, OFFLOAD_ON, OFFLOAD_OFF };

/* The option `offload` of mendip.conf(5). */
struct offload_config {
	enum offload_mode tun, udp_segment, udp_gro;
};

/* uname -r of a kernel that is known to mangle trains. */
bool offload_is_known_bad(const char *release);
/*
 * Sends a train over the loopback and reads it again. False: something else arrived than was sent.
 * True also where that could not be tried.
 */
bool offload_train_arrives(void);
/*
 * What the configuration, the kernel's version and the trial leave. *ret_why: static text, why
 * trains are not used although they might be; NULL: they are, or are not wanted.
 */
struct udp_offloads offload_decide(const struct offload_config *c, const char **ret_why);

#endif
