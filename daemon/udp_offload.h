/*
 * udp_offload.h - decides which of the kernel's UDP offloads are used. SPDX-License-Identifier:
 * ISC
 *
 * Kernels 7.0.0 to 7.1.4 segment trains of equal datagrams (UDP_SEGMENT) wrongly, without an error.
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

/* Whether the kernel of this release (uname -r) is known to mangle trains. */
bool offload_is_known_bad(const char *release);
/*
 * Sends a train over the loopback device and reads it back, waiting up to 200 ms per datagram.
 * False: it arrived changed, or not at all. True also if the train could not be sent.
 */
bool offload_train_arrives(void);
/*
 * The offloads that the configuration, the kernel's version and the trial allow. *ret_why: why
 * UDP_SEGMENT is not used although the configuration leaves it open (static text), else NULL.
 */
struct udp_offloads offload_decide(const struct offload_config *c, const char **ret_why);

#endif
