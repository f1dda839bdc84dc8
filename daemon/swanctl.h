/*
 * swanctl.h - the options of strongSwan's swanctl.conf and ipsec.conf that Mendip does not have.
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_SWANCTL_H
#define MENDIP_SWANCTL_H

#include "base.h"

/*
 * What to write in place of an option of swanctl.conf, or what Mendip always does: a part of a
 * sentence. NULL: swanctl.conf has no such option, or Mendip has it too.
 */
const char *swanctl_without(const char *option);
/* The same for a section of `secrets`, such as "private-gw". */
const char *swanctl_secret_without(const char *section);
/* What to write in place of an option of ipsec.conf, as a part of a sentence; NULL: none is known.
 */
const char *ipsec_instead(const char *option);

#endif
