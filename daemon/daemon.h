/* daemon.h - the daemon's state: one process, one thread, one loop. SPDX-License-Identifier: ISC */
#ifndef MENDIP_DAEMON_H
#define MENDIP_DAEMON_H

#include <event2/event.h>

#include "alarm.h"
#include "config.h"
#include "data.h"
#include "handover.h"
#include "kept.h"
#include "net.h"
#include "sink.h"
#include "tunnel.h"

#define MTU_DEFAULT 1400 /* of the device, until an SA says what fits */
#define MTU_MIN	    1280

/* libevent's default for what cannot be told is the one in the middle. */
enum { PRIORITY_FIRST, PRIORITY_CONTROL, PRIORITY_DATA, PRIORITIES };

struct control;
struct resolver;

struct daemon {
	const char *config_path;
	struct config *config;
	struct event_base *base;
	struct tunnel *tunnel;
	struct log log;
	struct log_limit send_lines; /* about messages that our own kernel refuses */
	struct sink sink;	     /* where log writes to */
	struct devices devices;
	uint32_t path_floor; /* the least that the kernel believes of a path's MTU */
	uint32_t mtu_next;   /* slot of the SAD to look at next */
	struct net *net;
	struct event *net_readable, *net_settled;
	/* IKE on port 500; on port 4500 one socket for ESP and one for IKE */
	struct udp_socket udp[UDP_SOCKETS];
	struct event *udp_event[UDP_SOCKETS], *mtu_timer, *watchdog, *signals[5];
	struct alarm alarm; /* the next deadline of the tunnel */
	struct control *control;
	struct resolver *resolver;
	struct udp_offloads udp_offloads; /* of ESP's socket */
	const char *segment_why;	  /* why it has not UDP_SEGMENT; NULL: see offload_decide */
	struct data_in in;
	struct data_out out;
	struct bucket icmp_bucket; /* errors that we send into TUN */
	struct bucket mtu_bucket; /* looks at paths because of what was too long; each goes over all
				     SAs */
	struct io_counters io;
	struct kept_fds *kept; /* of the process before us; NULL: nothing */
	nsec_t started, closing_since;
	nsec_t handing_since; /* a restart: the tunnels are to go on */
	bool handed;	      /* nothing may be sent any more */
	uint64_t reloads, reload_failures;
	char reload_error[CONFIG_ERR];
#ifdef MENDIP_FAULTS
	struct fault_state *faults;
#endif
};

/* Monotonic; never 0. */
nsec_t daemon_now(void);
/* After anything that may have moved the tunnel: events, timers that are due, the next timer. */
void daemon_turn(struct daemon *d);
/* Reads the configuration again. False with d->reload_error; then nothing has changed. */
bool daemon_reload(struct daemon *d);
/* Begins to end: peers are told, the loop ends when they answered or after 2 s. */
void daemon_close(struct daemon *d);

/* mtu.c: what fits into the SAs' paths. */
int mtu_init(struct daemon *d) MUST_CHECK;
void mtu_fini(struct daemon *d);
/* Asks for the path to remote, and sets all SAs that go there. */
void mtu_look(struct daemon *d, const struct endpoint *local, const struct endpoint *remote);

/* host.c: what changes around us: routes, rules, devices, addresses. */
int host_init(struct daemon *d) MUST_CHECK;
void host_fini(struct daemon *d);

/* resolve.c: host names in remote_addrs, without blocking. */
struct resolver *resolver_new(struct daemon *d);
void resolver_free(struct resolver *r);
/* Asks for the names of all connections, now and every 5 minutes; for those of one that is not up
 * every 2 s, and after 2 minutes every 10 s.
 */
void resolver_refresh(struct resolver *r);
/* For those that are not up, but at most every 2 s: an attempt failed, or the host has changed. */
void resolver_soon(struct resolver *r);

/* privileges.c: keeps CAP_NET_ADMIN and CAP_NET_BIND_SERVICE, changes to `user` if given. */
int privileges_drop(const char *user, char *err, size_t size) MUST_CHECK;

#endif
