/* rules.h - which payloads each message must and may have (RFC 7296 1.2 to 1.4).
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_RULES_H
#define MENDIP_RULES_H

#include "wire/ike_wire.h"

/*
 * Whether the payloads fit a message of the exchange. A response that refuses (an error notify)
 * needs nothing else; what the table does not allow is ignored there only for status payloads.
 */
bool rules_allow(uint8_t exchange, bool response, const struct ike_payloads *p);

#endif
