/*
 * ipsec_mb.h - intel-ipsec-mb, for the files that use it. SPDX-License-Identifier: ISC
 *
 * For the crypto folder only.
 */
#ifndef MENDIP_IPSEC_MB_H
#define MENDIP_IPSEC_MB_H

#include "crypto/aead_backend.h"

/* Without LINUX the header does not align its key data, and the library crashes. */
#ifndef LINUX
#define LINUX
#endif
#include <intel-ipsec-mb.h>

/*
 * The library's function table and job queue, for one thread. NULL unless aead_ipsec_mb_init
 * succeeded.
 */
IMB_MGR *ipsec_mb_manager(void);
/* key_new of struct aead_backend, for AES-CBC with HMAC. */
struct aead_key *ipsec_mb_cbc_key_new(const struct suite *suite, const uint8_t *enc,
				      const uint8_t *integ);

#endif
