/* sink.c - see sink.h. SPDX-License-Identifier: ISC */
#include "sink.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

/* At most PIPE_BUF: a pipe takes it whole or not at all, and poll() tells which. */
#define LINE_SIZE 2048

void sink_init(struct sink *s, int fd)
{
	struct stat st = {0};
	char path[32];
	int own = -1;

	(void)fstat(fd, &st);
	/*
	 * Opens a file description of our own: O_NONBLOCK does not affect other users of fd. Not
	 * for regular files: these never block, and others may share the file offset.
	 */
	if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	}
	*s = (struct sink){.fd = own >= 0 ? own : fd,
			   .journal = getenv("JOURNAL_STREAM") != NULL,
			   .is_socket = S_ISSOCK(st.st_mode)};
}

/* False if it would block. poll() helps where the file description is not our own. */
static bool put(struct sink *s, const char *text, size_t len)
{
	struct pollfd p = {.fd = s->fd, .events = POLLOUT};

	if (s->is_socket)
		return send(s->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) &&
	       write(s->fd, text, len) == (ssize_t)len;
}

static bool put_line(struct sink *s, enum log_level level, const char *line)
{
	static const char *const priorities[] = {SD_ERR, SD_WARNING, SD_INFO, SD_DEBUG};
	char text[LINE_SIZE], stamp[32];
	struct timespec ts;
	struct tm tm;
	int n;

	if (s->journal) {
		n = snprintf(text, sizeof(text), "%s%s\n", priorities[level], line);
	} else {
		clock_gettime(CLOCK_REALTIME, &ts);
		gmtime_r(&ts.tv_sec, &tm);
		strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
		n = snprintf(text, sizeof(text), "%s.%03ldZ %s: %s\n", stamp, ts.tv_nsec / 1000000,
			     log_level_name(level), line);
	}
	return put(s, text, min_u64((uint64_t)n, sizeof(text) - 1));
}

void sink_line(struct sink *s, enum log_level level, const char *line)
{
	char told[80];

	if (s->lost) {
		snprintf(told, sizeof(told),
			 "%llu log lines were dropped here: the reader was too slow",
			 (unsigned long long)s->lost);
		if (put_line(s, LOG_LEVEL_WARNING, told))
			s->lost = 0;
	}
	if (s->lost || !put_line(s, level, line))
		s->lost++;
}
