/* scan.h - what libconfig must not see. SPDX-License-Identifier: ISC */
#ifndef MENDIP_SCAN_H
#define MENDIP_SCAN_H

#include "base.h"

/*
 * Looks over a configuration text for what libconfig 1.5 gets wrong without telling: integers that
 * it would wrap, and @include, which ends the process on a folder. False with the line in *ret_line
 * and a static text in *ret_why.
 */
bool conf_scan(const char *text, size_t len, unsigned *ret_line, const char **ret_why);

#endif
