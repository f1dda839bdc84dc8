/* daemon.h - the daemon's state: one process, one thread, one loop. SPDX-License-Identifier: ISC */
#ifndef MENDIP_DAEMON_H
#define MENDIP_DAEMON_H

#include <event2/event.h>

#include "config.h"
#include "net.h"
#include "tunnel.h"
#include "udp.h"

#define RX_BATCH   32	 /* datagrams of one receive */
#define RX_BUFFER  65536 /* bytes for each */
#define TUN_READS  64	 /* packets of one turn */
#define TUN_BUFFER 65536

enum { PRIORITY_CONTROL, PRIORITY_DATA, PRIORITIES };

struct control;
struct resolver;

struct io_counters {
	uint64_t rx_datagrams, rx_bytes, rx_errors, rx_truncated, rx_keepalives, rx_short;
	uint64_t tx_datagrams, tx_bytes, tx_errors, tx_parked;
	uint64_t tun_read, tun_written, tun_write_errors;
};

struct daemon {
	const char *config_path;
	struct config *config;
	struct event_base *base;
	struct tunnel *tunnel;
	struct log log;
	bool log_journal; /* lines carry <N> priorities for journald */
	int tun_fd;
	struct net *net;
	/* IKE on port 500; on port 4500 one socket for ESP and one for IKE */
	struct udp_socket udp[3];
	struct event *udp_event[3], *udp_writable, *tun_event, *timer, *watchdog, *signals[5];
	struct control *control;
	struct resolver *resolver;
	struct esp_train train; /* being filled, or parked on EAGAIN from parked_at on */
	bool parked;
	uint32_t parked_at;
	uint8_t *train_buffer, *rx_buffer, *tun_buffer;
	struct io_counters io;
	nsec_t started, closing_since;
	uint64_t reloads, reload_failures;
	char reload_error[CONFIG_ERR];
	int exit_status;
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

/* data.c */
int data_init(struct daemon *d) MUST_CHECK;
void data_fini(struct daemon *d);
void data_send_ike(struct daemon *d, const struct endpoint *local, const struct endpoint *remote,
		   const uint8_t *p, size_t len);
void data_send_dummy(struct daemon *d, struct esp_sa *sa);

/* resolve.c: host names in remote_addrs, without blocking. */
struct resolver *resolver_new(struct daemon *d);
void resolver_free(struct resolver *r);
/* Asks for the names of all connections, now and every 5 minutes. */
void resolver_refresh(struct resolver *r);

/* privileges.c: keeps CAP_NET_ADMIN and CAP_NET_BIND_SERVICE, changes to `user` if given. */
int privileges_drop(const char *user, char *err, size_t size) MUST_CHECK;

#endif
