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
 * key_new of struct aead_backend, for AES-CBC with HMAC. mgr: the library's function table and job
 * queue, for one thread; it outlives the key.
 */
struct aead_key *ipsec_mb_cbc_key_new(IMB_MGR *mgr, const struct suite *suite, const uint8_t *enc,
				      const uint8_t *integ);

#endif
