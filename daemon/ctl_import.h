/* ctl_import.h - the command import of mendipctl: files in, a file out. SPDX-License-Identifier:
 * ISC */
#ifndef MENDIP_CTL_IMPORT_H
#define MENDIP_CTL_IMPORT_H

/*
 * Reads a swanctl.conf, and what it includes, and writes a mendip.conf to the file `output`, which
 * is made with mode 0600, or to standard output if that is NULL. What is not carried over is said
 * on standard error, a line each. 0: all was carried over; 3: not all, or there was nothing; 2: it
 * cannot be read; 1: the output cannot be written.
 */
int ctl_import(const char *file, const char *output);

#endif
