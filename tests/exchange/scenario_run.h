/* scenario_run.h - one scenario while it runs; within scenario*.c. SPDX-License-Identifier: ISC */
#ifndef MENDIP_SCENARIO_RUN_H
#define MENDIP_SCENARIO_RUN_H

#include "scenario.h"

#define SCENARIO_WORDS 16
#define SCENARIO_DEPTH 4

struct tape {
	struct datagram *v;
	unsigned count, room;
	unsigned want; /* this many more are to be copied, */
	unsigned from; /* of the datagrams from this peer: */
	bool ike;      /* IKE messages if true, otherwise ESP packets */
};

struct words {
	unsigned count;
	char *w[SCENARIO_WORDS];
};

struct scenario {
	const char *name;
	unsigned line;
	struct options o;
	struct net *n; /* NULL before `up` */
	/*
	 * the proposals; pfs and esp are per peer, and esp, if given, replaces all other parts; ike
	 * "": the standard ones
	 */
	char suite[64], pfs[2][32], esp[2][256], addke[64], ike[128];
	bool esn;
	bool trying; /* `try`: a fault does nothing, instead of failing, if its SA does not exist */
	uint64_t lost_base[2][CHILDREN]; /* net_lost() at the mark */
	struct tape recorded, held;
	jmp_buf out;
	char *why;
};

/* Ends the scenario: a line cannot be executed, or an expectation is not met. */
void scenario_fail(struct scenario *s, const char *fmt, ...) PRINTF_LIKE(2, 3)
	__attribute__((noreturn));
/* For net->failed. */
void scenario_net_failed(struct net *n, const char *text) __attribute__((noreturn));
void words_need(struct scenario *s, const struct words *w, unsigned least, unsigned most);
uint64_t word_number(struct scenario *s, const char *w);
nsec_t word_time(struct scenario *s, const char *w);
unsigned word_peer(struct scenario *s, const char *w);
/* The number of the child; CHILDREN for "all". */
unsigned word_child(struct scenario *s, const char *w);
bool is_peer(const char *w);
bool is_child(const char *w);
bool word_is(const struct words *w, unsigned i, const char *text);
bool word_on(struct scenario *s, const char *w, const char *yes, const char *no);

/* Each runs the command, if the file has it, and returns whether it has. */
bool scenario_setup(struct scenario *s, const struct words *w);	 /* scenario_setup.c */
bool scenario_act(struct scenario *s, const struct words *w);	 /* scenario_act.c */
bool scenario_attack(struct scenario *s, const struct words *w); /* scenario_attack.c */
void scenario_expect(struct scenario *s, const struct words *w); /* scenario_expect.c */
void scenario_mark(struct scenario *s);
/* The packets from peer `from` lost since the mark, in `child`; CHILDREN: in all. */
uint64_t lost_since_mark(struct scenario *s, unsigned from, unsigned child);
/* Prints the results of the run (doc/recovery.md 6), and all SAs if it failed. */
void scenario_report(struct scenario *s, bool failed); /* scenario_report.c */
void tape_clear(struct tape *t);

#endif
