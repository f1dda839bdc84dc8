/*
 * ipsec_mb.h - intel-ipsec-mb, for the files that use it. SPDX-License-Identifier: ISC
 *
 * Within the crypto folder only.
 */
#ifndef MENDIP_IPSEC_MB_H
#define MENDIP_IPSEC_MB_H

#include "crypto/aead_backend.h"

/* Without it the header does not align its key data, and the library crashes. */
#ifndef LINUX
#define LINUX
#endif
#include <intel-ipsec-mb.h>

/* The library's own tables and job queue; one thread uses them. NULL before aead_ipsec_mb_init. */
IMB_MGR *ipsec_mb_manager(void);
/* AES-CBC with HMAC: takes and gives what key_new of a back end does. */
struct aead_key *ipsec_mb_cbc_key_new(const struct suite *suite, const uint8_t *enc,
				      const uint8_t *integ);

#endif
