/*
 * caller.c - an honest peer that establishes IKE SAs, one after the other, and measures the time.
 * SPDX-License-Identifier: ISC
 *
 * usage: caller GATEWAY LOCAL REMOTE SECRET NEAR_TS FAR_TS CALLS PAUSE_MS
 *
 * Prints for each IKE SA the milliseconds from the IKE_SA_INIT request to the IKE_AUTH response, or
 * "none" after ten seconds. Each IKE SA is deleted before the next one.
 */
#include "live_peer.h"

#include <stdio.h>
#include <stdlib.h>

#define MSEC	  NSEC_PER_MSEC
#define CALL_TIME (10 * NSEC_PER_SEC)
#define LOOK	  (MSEC / 4) /* resolution of the measurement */

static void call(struct live_peer *p)
{
	nsec_t began = live_now();
	unsigned ups = p->ups;
	struct ike_sa *sa = live_call(p, false);

	while (p->ups == ups && live_now() - began < CALL_TIME)
		live_run(p, live_now() + LOOK);
	if (p->ups == ups)
		printf("none\n");
	else
		printf("%.2f\n", (double)(live_now() - began) / MSEC);
	fflush(stdout);
	/* An IKE SA that is not up in time is still connecting, and is deleted as well. */
	if (sa && p->ike->sas)
		ike_sa_delete(p->ike->sas, live_now());
}

int main(int argc, char **argv)
{
	static struct live_peer p;
	struct live_child *c;

	if (argc != 9) {
		fprintf(stderr, "usage: caller GATEWAY LOCAL REMOTE SECRET NEAR_TS FAR_TS CALLS "
				"PAUSE_MS\n");
		return 2;
	}
	if (live_open(&p,
		      &(struct live_who){.gateway = argv[1],
					 .local = argv[2],
					 .remote = argv[3],
					 .secret = argv[4],
					 .near_ts = argv[5],
					 .far_ts = argv[6]},
		      live_now()) < 0)
		return 1;
	for (int i = atoi(argv[7]); i > 0; i--) {
		call(&p);
		live_run(&p, live_now() + (nsec_t)atoi(argv[8]) * MSEC);
		while ((c = LIST_FIRST(&p.children)) && !c->ike)
			live_forget(&p, c);
	}
	live_close(&p);
	return 0;
}
