/* rules.h - which payloads each message must and may have (RFC 7296 1.2 to 1.4).
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_RULES_H
#define MENDIP_RULES_H

#include "wire/ike_wire.h"

/*
 * Whether the payloads fit a message of the exchange: all that it must have and none that it may
 * not. N, V, CERT, CERTREQ and CP may come in any message. A response with an error notify or
 * COOKIE need not have the others. IKE_AUTH has responses of several forms: which of them is due
 * its task knows. False for an unknown exchange.
 */
bool rules_allow(uint8_t exchange, bool response, const struct ike_payloads *p);

#endif
