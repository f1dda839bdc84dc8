/* ctl_complete.h - which words can follow on a command line of mendipctl; shells ask.
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_CTL_COMPLETE_H
#define MENDIP_CTL_COMPLETE_H

#include "ctl_command.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>

/* What mendipctl's command line is made of. */
struct grammar {
	const struct command *commands;
	size_t count;
	const struct option *options; /* all of them */
	const char *general;	      /* letters of those that each command has */
	const char *socket;	      /* where to ask for names, unless the words say where */
};

/*
 * Prints one line for each word that can be in the place of the last one of `words`, which has been
 * begun or is empty; those before it are whole, without the program's name. A line is the word, or
 * the word, a tab and what it means. Names are those that the daemon has now: none, if it cannot be
 * asked. Ends the process if it does not answer within two seconds, so that no shell hangs.
 */
void complete(FILE *f, const struct grammar *g, char **words, int count);

#endif
