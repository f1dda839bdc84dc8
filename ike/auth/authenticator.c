/* authenticator.c - see authenticator.h. SPDX-License-Identifier: ISC */
#include "auth/authenticator.h"

static const struct authenticator *const all[] = {&auth_psk};

const struct authenticator *authenticator_of(uint8_t method)
{
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (all[i]->method == method)
			return all[i];
	}
	return NULL;
}
