/* show.h - prints the daemon's answers as text for people. SPDX-License-Identifier: ISC */
#ifndef MENDIP_SHOW_H
#define MENDIP_SHOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/*
 * o: the result of the command of that name, or a line after the command events. No line has more
 * than SHOW_COLUMNS columns, but for one with a single longer word, and for events, each of which
 * is one line.
 */
/* A line for each tunnel, in colours or not. */
void show_status(FILE *f, const json_t *o, bool colour);
/* All that a result of `status` has. */
void show_all(FILE *f, const json_t *o);
void show_switchover(FILE *f, const json_t *o);
void show_diagnosis(FILE *f, const json_t *o);
/* Whether a step of any walk of `diagnose` failed. */
bool diagnosis_failed(const json_t *o);
void show_event(FILE *f, const json_t *o);
/* One screen: per child its rates, evidence and last recovery. status, switchover: results of these
 * commands; before: the status `seconds` earlier, or NULL: rates are 0. */
void show_watch(FILE *f, const json_t *status, const json_t *switchover, const json_t *before,
		double seconds);

#endif
