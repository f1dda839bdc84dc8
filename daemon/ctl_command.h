/* ctl_command.h - the table of mendipctl's commands. SPDX-License-Identifier: ISC */
#ifndef MENDIP_CTL_COMMAND_H
#define MENDIP_CTL_COMMAND_H

struct call; /* the command line */

struct command {
	const char *name;
	int min, max;	     /* number of arguments */
	const char *options; /* letters of those that only some commands have */
	int (*run)(struct call *c);
	/*
	 * args: what may follow the name, which help prints and ctl_complete.c reads. It has words
	 * that are meant as they stand, in small letters; "--option", perhaps with its VALUE; and
	 * what stands for something, in capitals. [] may be left out; | is between alternatives of
	 * all that follows the name, and not within []; ... repeats the word before it. Both are
	 * NULL for a command that is not told of.
	 */
	const char *args, *help;
};

#endif
