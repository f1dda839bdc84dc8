/* ctl_wait.h - what mendipctl waits for after up, down and rekey. SPDX-License-Identifier: ISC */
#ifndef MENDIP_CTL_WAIT_H
#define MENDIP_CTL_WAIT_H

#include <jansson.h>
#include <stdio.h>

enum outcome { OUTCOME_OPEN, OUTCOME_DONE, OUTCOME_FAILED };

/*
 * How up, down or rekey has ended for all children in `now`, a result of `status` for the name it
 * was given; before: the same before the command, `elapsed` seconds ago. FAILED as soon as one has.
 */
enum outcome look_at_outcome(const char *command, const json_t *before, const json_t *now,
			     double elapsed);
/* One line for each child, and why it failed; the result of look_at_outcome is `outcome`. */
void show_outcome(FILE *f, const char *command, const json_t *before, const json_t *now,
		  double elapsed);

#endif
