/* handover.c - see handover.h. SPDX-License-Identifier: ISC */
#include "handover.h"
#include "daemon.h"
#include "metrics_http.h"
#include "xalloc.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define WAIT (2 * NSEC_PER_SEC) /* at most, for exchanges and recoveries to end */
/*
 * Time limits for D-Bus to accept us, and for each answer. On a busy machine our request may be
 * what starts it. Packets wait in the kernel meanwhile; to take a restart for a stop would lose
 * more.
 */
#define READY_USEC   2000000
#define CALL_USEC    1000000
#define BARRIER_USEC 1000000
#define STATE	     "state"
#define STATE_MAX    (4ULL << 30)

/* ---- descriptors ---- */

static int leave(const char *name, int fd)
{
	char text[64];

	/* Without FDPOLL=0 systemd would drop a socket that has an error. */
	snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	return sd_pid_notify_with_fds(0, 0, text, &fd, 1) > 0 ? 0 : -EIO;
}

static int leave_all(struct daemon *d, int state)
{
	char name[KEPT_NAME_LEN];
	int r = 0;

	for (unsigned i = 0; r == 0 && i < d->udp_count; i++) {
		const struct udp_socket *s = &d->udp[i];

		r = leave(kept_udp_name(s->use, s->family, s->port, name), s->fd);
	}
	for (uint16_t i = 0; r == 0 && i < d->devices.count; i++) {
		const struct tun *t = &d->devices.all[i]->tun;

		if (t->fd >= 0)
			r = leave(kept_tun_name(t->name, name), t->fd);
	}
	if (r == 0 && metrics_http_own(d->metrics_http) >= 0)
		r = leave(METRICS_OWN, metrics_http_own(d->metrics_http));
	if (r == 0)
		r = leave(STATE, state);
	/* We must not exit before systemd has received them. */
	return r == 0 && sd_notify_barrier(0, BARRIER_USEC) >= 0 ? 0 : -EIO;
}

/* ---- what systemd is about to do ---- */

#define MANAGER "org.freedesktop.systemd1"

/* The D-Bus path of our unit, within *ret_reply, which the caller unrefs. NULL: we have none. */
static const char *own_unit(sd_bus *bus, sd_bus_message **ret_reply)
{
	const char *path = NULL;

	/* PID 0: the caller */
	if (sd_bus_call_method(bus, MANAGER, "/org/freedesktop/systemd1", MANAGER ".Manager",
			       "GetUnitByPID", NULL, ret_reply, "u", 0) < 0 ||
	    sd_bus_message_read(*ret_reply, "o", &path) < 0)
		return NULL;
	return path;
}

/* The type of the unit's job; the caller frees it. NULL: it has none. */
static char *job_type(sd_bus *bus, const char *unit)
{
	sd_bus_message *reply = NULL;
	const char *job = NULL;
	char *type = NULL;
	uint32_t id = 0;

	if (sd_bus_get_property(bus, MANAGER, unit, MANAGER ".Unit", "Job", NULL, &reply, "(uo)") >=
		    0 &&
	    sd_bus_message_read(reply, "(uo)", &id, &job) >= 0 && id)
		(void)sd_bus_get_property_string(bus, MANAGER, job, MANAGER ".Job", "JobType", NULL,
						 &type);
	sd_bus_message_unref(reply);
	return type;
}

/* The number of descriptors that systemd keeps for the unit at most. */
static uint32_t store_size(sd_bus *bus, const char *unit)
{
	uint32_t max = 0;

	(void)sd_bus_get_property_trivial(bus, MANAGER, unit, MANAGER ".Service",
					  "FileDescriptorStoreMax", NULL, 'u', &max);
	return max;
}

/* A bus that is ready within READY_USEC, or NULL: a call itself would wait for that without limit.
 */
static sd_bus *open_bus(void)
{
	nsec_t until = daemon_now() + READY_USEC * NSEC_PER_USEC, now;
	sd_bus *bus = NULL;
	int r = sd_bus_open_system(&bus);

	while (r >= 0 && sd_bus_is_ready(bus) == 0 && (now = daemon_now()) < until) {
		r = sd_bus_process(bus, NULL);
		if (r == 0)
			r = sd_bus_wait(bus, (until - now) / NSEC_PER_USEC);
	}
	if (r >= 0 && sd_bus_is_ready(bus) > 0 &&
	    sd_bus_set_method_call_timeout(bus, CALL_USEC) >= 0)
		return bus;
	sd_bus_close_unref(bus);
	return NULL;
}

bool handover_is_restart(struct daemon *d)
{
	uint32_t needed = 1u + d->udp_count + d->devices.count +
			  (metrics_http_own(d->metrics_http) >= 0),
		 max;
	sd_bus *bus = getenv("NOTIFY_SOCKET") ? open_bus() : NULL;
	sd_bus_message *reply = NULL;
	const char *unit = bus ? own_unit(bus, &reply) : NULL;
	char *type = unit ? job_type(bus, unit) : NULL;
	bool restart = type && strcmp(type, "restart") == 0;

	max = restart ? store_size(bus, unit) : 0;
	if (restart && max < needed) {
		log_warn(&d->log,
			 "the tunnels end, as systemd does not keep them: %u descriptors are "
			 "needed, "
			 "FileDescriptorStoreMax is %u",
			 needed, max);
		restart = false;
	}
	if (getenv("NOTIFY_SOCKET") && !unit)
		log_info(&d->log, "D-Bus does not say whether this is a restart: assuming a stop");
	free(type);
	sd_bus_message_unref(reply);
	sd_bus_close_unref(bus);
	return restart;
}

/* ---- the state ---- */

/* Returns a descriptor. Its size is sealed, so that mapping it is safe; its content can be wiped.
 */
static int state_write(struct daemon *d, unsigned *ret_conns)
{
	int fd = memfd_create("mendip-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t room = (size_t)min_u64(tunnel_save_room(d->tunnel), STATE_MAX);
	struct writer w;
	uint8_t *map;

	if (fd < 0 || ftruncate(fd, (off_t)room) < 0)
		goto bad;
	map = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		goto bad;
	wr_init(&w, map, room);
	*ret_conns = tunnel_save(d->tunnel, conf_conn_digest, &w);
	munmap(map, room);
	if (!w.bad && ftruncate(fd, (off_t)w.len) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0)
		return fd;
bad:
	if (fd >= 0)
		close(fd);
	return -EIO;
}

/* Maps the whole state, *ret_len bytes. MAP_FAILED: it cannot be mapped, or is empty. */
static uint8_t *state_map(int fd, size_t *ret_len)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_size <= 0)
		return MAP_FAILED;
	*ret_len = (size_t)st.st_size;
	return mmap(NULL, *ret_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

/* Wipes the state, so that no other process that has its descriptor can resume from it. */
static void state_unmap_wiped(uint8_t *map, size_t len)
{
	if (map == MAP_FAILED)
		return;
	secret_wipe(map, len);
	munmap(map, len);
}

bool handover_try(struct daemon *d, nsec_t now)
{
	unsigned conns = 0;
	int state;

	if (!(tunnel_is_settled(d->tunnel) && !d->out.parked) && now - d->handing_since < WAIT)
		return false;
	tunnel_end_unsettled(d->tunnel, now);
	state = state_write(d, &conns);
	if (state < 0 || leave_all(d, state) < 0) {
		log_warn(&d->log, "the tunnels cannot be handed over and will end");
		/* They send until they end, so no process may resume from this state. */
		if (state >= 0) {
			size_t len = 0;
			uint8_t *map = state_map(state, &len);

			state_unmap_wiped(map, len);
			close(state);
		}
		sd_notify(0, "FDSTOREREMOVE=1\nFDNAME=" STATE);
		daemon_close(d);
		return false;
	}
	close(state);
	net_leave(d->net);
	log_info(&d->log, "handed over: %u connections", conns);
	return true;
}

static int state_read(struct daemon *d, const uint8_t *p, size_t len)
{
	const struct config *c = d->config;
	struct reader r;
	int conns;

	rd_init(&r, p, len);
	conns = tunnel_load(d->tunnel, &c->conns, conf_conn_digest, &r, daemon_now());
	history_budget_set(&d->tunnel->path->sad.history, c->history_memory);
	return conns;
}

void handover_load(struct daemon *d)
{
	int fd = kept_fd(d->kept, STATE), conns = -EBADMSG;
	size_t len = 0;
	uint8_t *map;

	if (fd < 0)
		return;
	map = state_map(fd, &len);
	if (map != MAP_FAILED)
		conns = state_read(d, map, len);
	state_unmap_wiped(map, len);
	close(fd);
	if (conns < 0)
		log_warn(&d->log, "the state that was handed over cannot be read, perhaps as "
				  "another version wrote it: tunnels are made anew");
	else
		log_info(&d->log, "taken over: %d connections", conns);
}
