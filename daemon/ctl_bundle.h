/* ctl_bundle.h - all that somebody who helps has to see, in one text. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_CTL_BUNDLE_H
#define MENDIP_CTL_BUNDLE_H

#include "ctl_client.h"

#include <stdio.h>

/*
 * Writes what the daemon says, the options in effect without secrets, its log, and the addresses,
 * routes and rules of the host. What cannot be had is said in its place, as is why. c: open, or
 * not, and then error is what ctl_open returned; config: the path of its configuration.
 */
void ctl_bundle(struct ctl *c, int error, const char *config, FILE *f);

#endif
