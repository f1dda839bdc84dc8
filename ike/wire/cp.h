/*
 * cp.h - configuration payloads (RFC 7296 2.19, 3.15). SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_CP_H
#define MENDIP_CP_H

#include "wire/ike_wire.h"

enum cp_type { CP_REQUEST = 1, CP_REPLY = 2, CP_SET = 3, CP_ACK = 4 };

#define CP_ADDRS   4 /* of one IKE SA; further ones are left out */
#define CP_DNS	   8
#define CP_SUBNETS 32

/* What is asked for, in a CFG_REQUEST, or assigned, in a CFG_REPLY. */
struct cp_config {
	uint8_t addr_count, dns_count, subnet_count;
	/* In a request, all zeros: any address of the family. */
	struct addr addr[CP_ADDRS];
	struct addr dns[CP_DNS];
	struct prefix subnet[CP_SUBNETS];
};

/*
 * Reads the body of a configuration payload. Attributes that are unknown, of a length that theirs
 * may not have, or beyond the numbers above are left out; so are addresses that no host can have,
 * as multicast. -EBADMSG: lengths do not add up; *ret_type and *ret are then set in part.
 */
int cp_parse(struct chunk body, uint8_t *ret_type, struct cp_config *ret) MUST_CHECK;
/*
 * Writes the payload. A CFG_REQUEST asks besides for DNS servers and subnets of the families of its
 * addresses.
 */
void cp_write(struct ike_builder *b, uint8_t type, const struct cp_config *c);
/* Whether both say the same, in the same order. */
bool cp_eq(const struct cp_config *a, const struct cp_config *b);
/* Whether it has this address. */
bool cp_has(const struct cp_config *c, const struct addr *a);

#endif
