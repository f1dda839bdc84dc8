/* show.h - answers of the daemon as text for a person. SPDX-License-Identifier: ISC */
#ifndef MENDIP_SHOW_H
#define MENDIP_SHOW_H

#include <jansson.h>
#include <stdio.h>

void show_status(FILE *f, const json_t *o);
void show_switchover(FILE *f, const json_t *o);
void show_event(FILE *f, const json_t *o);
/* One screen: children with their rates since `before` (NULL: none), evidence and last recovery. */
void show_watch(FILE *f, const json_t *status, const json_t *switchover, const json_t *before,
		double seconds);

#endif
