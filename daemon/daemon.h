/* daemon.h - the daemon's state: one process, one thread, one loop. SPDX-License-Identifier: ISC */
#ifndef MENDIP_DAEMON_H
#define MENDIP_DAEMON_H

#include <event2/event.h>

#include "alarm.h"
#include "config.h"
#include "data.h"
#include "dns.h"
#include "handover.h"
#include "key_log.h"
#include "kept.h"
#include "net.h"
#include "sink.h"
#include "tunnel.h"

#define MTU_DEFAULT 1400 /* bytes; of a TUN device until the path of an SA is known */
#define MTU_MIN	    1280

/* libevent gives the middle one to events whose priority cannot be set, such as listeners. */
enum { PRIORITY_FIRST, PRIORITY_CONTROL, PRIORITY_DATA, PRIORITIES };

struct control;
struct daemon;
struct metrics_http;
struct resolved;
struct resolver;

/* What main.c does for the files that it uses; see daemon_turn, daemon_reload, daemon_close. */
struct daemon_services {
	void (*turn)(struct daemon *d);
	bool (*reload)(struct daemon *d);
	void (*close)(struct daemon *d);
};

struct daemon {
	const struct daemon_services *services;
	const char *config_path;
	struct config *config;
	struct event_base *base;
	struct tunnel *tunnel;
	struct log log;
	struct log_limit send_lines; /* about IKE messages that our kernel refuses to send */
	struct sink sink;	     /* where `log` writes to */
	struct key_log key_log;
	struct devices devices;
	uint32_t path_floor; /* the smallest path MTU that the kernel accepts from ICMP, in bytes */
	uint32_t mtu_next;   /* slot of the SAD whose path was checked last */
	struct net *net;
	SLIST_HEAD(, assigned) assigned; /* addresses that peers have assigned (assigned.c) */
	bool assigned_unused;		 /* some have no user: assigned_settle removes them */
	struct dns_users dns;		 /* and DNS servers */
	struct resolved *resolved;	 /* gets those */
	struct event *net_readable, *net_settled;
	/* those of IPv4 first, by enum udp_use, then those of IPv6 */
	struct udp_socket udp[UDP_SOCKETS];
	unsigned udp_count;
	int raw_error; /* 0, or the -errno with which there are no raw sockets */
	struct event *udp_event[UDP_SOCKETS], *mtu_timer, *watchdog, *expiry_timer, *signals[5];
	struct alarm alarm; /* the next deadline of the tunnel */
	struct control *control;
	struct metrics_http *metrics_http; /* NULL: nobody asked for it */
	struct resolver *resolver;
	struct udp_offloads udp_offloads; /* of the socket for ESP */
	const char *segment_why;	  /* *ret_why of offload_decide */
	struct data_in in;
	struct data_out out;
	struct bucket icmp_bucket; /* ICMP errors that we write to TUN */
	struct bucket mtu_bucket;  /* path checks after a datagram was too long; each visits all
				      SAs */
	struct io_counters io;
	struct kept_fds *kept;	       /* left by the process before us; NULL: none */
	nsec_t started, closing_since; /* closing_since 0: not ending */
	int64_t started_at;	       /* seconds since 1970 */
	nsec_t handing_since; /* ending for a restart through which the tunnels stay up; 0: not */
	bool handed;	      /* the tunnels are handed over: nothing more may be sent */
	uint64_t reloads, reload_failures;
	char reload_error[CONFIG_ERR]; /* of the last reload; "": it succeeded */
#ifdef MENDIP_FAULTS
	struct fault_state *faults;
#endif
};

/* services.c. daemon_now: CLOCK_MONOTONIC in nanoseconds; never 0. */
nsec_t daemon_now(void);
/* To be called after anything that may have changed the tunnel: runs due timers, settles routes and
 * links, sets the next timer. */
void daemon_turn(struct daemon *d);
/* Reads the configuration again. False with d->reload_error; nothing has changed then. */
bool daemon_reload(struct daemon *d);
/* Begins to end: tells the peers; the loop ends when they have answered, after 2 s at most. */
void daemon_close(struct daemon *d);

/* mtu.c: the largest inner packet that fits the path of each SA. 0 or -errno. */
int mtu_init(struct daemon *d) MUST_CHECK;
void mtu_fini(struct daemon *d);
/* Asks the kernel for the MTU of the path from local to remote and applies it to all SAs with that
 * remote endpoint. */
void mtu_look(struct daemon *d, const struct endpoint *local, const struct endpoint *remote);

/* host.c: reacts to changes of routes, rules, devices and addresses of this host. 0 or -errno. */
int host_init(struct daemon *d) MUST_CHECK;
void host_fini(struct daemon *d);
/* Once per turn of the loop: net_settle, and net_follow soon if that could not be done. */
void host_settle(struct daemon *d);

/* resolve.c: resolves host names in remote_addrs, without blocking. */
struct resolver *resolver_new(struct daemon *d);
/* Accepts NULL. */
void resolver_free(struct resolver *r);
/*
 * Asks for the names of all connections now, and then when the first TTL ends, after 5 minutes at
 * most. Asks for the names of connections that are not up every 2 s, after 2 minutes every 10 s,
 * and less often where more than 50 of them are down.
 */
void resolver_refresh(struct resolver *r);
/* Asks for connections that are not up soon, but not within 2 s of the last time: an attempt
 * failed, or the host has changed. Accepts NULL. */
void resolver_soon(struct resolver *r);

/* privileges.c: keeps only CAP_NET_ADMIN, and CAP_NET_BIND_SERVICE if it is there; changes from
 * root to c->user unless that is NULL, with the user's groups and those of the sockets. 0, or
 * -errno with a text in err (size bytes). */
int privileges_drop(const struct config_fixed *c, char *err, size_t size) MUST_CHECK;

#endif
