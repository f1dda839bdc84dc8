/*
 * fault.h - fault injection, only in builds with --enable-faults. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_FAULT_H
#define MENDIP_FAULT_H

#include "daemon.h"

#ifdef MENDIP_FAULTS
#include <jansson.h>

/* Sends an IKE message at once: data_send_now, by which delayed messages go out. */
typedef int fault_send(struct daemon *d, const struct endpoint *local,
		       const struct endpoint *remote, const uint8_t *p, size_t len);
void fault_init(struct daemon *d, fault_send *send);
void fault_fini(struct daemon *d);
/* True when the IKE message is to be dropped, or is delayed and will be sent later. Copies p. */
bool fault_takes_message(struct daemon *d, const struct endpoint *local,
			 const struct endpoint *remote, const uint8_t *p, size_t len);
/* Runs the fault that args (an array of strings) name. NULL on success, else the error (static). */
const char *fault_run(struct daemon *d, const json_t *args);
#else
static inline bool fault_takes_message(struct daemon *d, const struct endpoint *local,
				       const struct endpoint *remote, const uint8_t *p, size_t len)
{
	(void)d, (void)local, (void)remote, (void)p, (void)len;
	return false;
}
#endif

#endif
