/* t_unix_socket.c - what stands in the way of a Unix socket is told apart.
 * SPDX-License-Identifier: ISC */
#include "exit_status.h"
#include "unix_socket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY	 65534
#define NO_GROUP "mendip-no-such-group"

static char folder[64], path[80];
static char said[UNIX_SOCKET_WHY];

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/mendip-unix.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/s", folder);
	said[0] = '\0';
	return chmod(folder, 0755);
}

static int remove_folder(void **state)
{
	(void)state;
	setfsuid(geteuid()); /* a test that failed may have left that of another */
	chmod(folder, 0700);
	unlink(path);
	return rmdir(folder);
}

/* A socket on path, which listens if backlog is not negative. */
static int make_socket(int type, int backlog)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sun, sizeof(sun)), 0);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

/*
 * It is refused with this errno, with which a start ends with this status, and with these words;
 * and what is at path stays.
 */
static void is_refused(int error, enum exit_status status, const char *words)
{
	struct stat before, after;

	assert_int_equal(exit_status_of_start(-error), status);
	assert_int_equal(lstat(path, &before), 0);
	assert_int_equal(unix_socket_listen(path, NO_GROUP, NULL, NULL, said), -error);
	if (!strstr(said, words))
		fail_msg("not '%s': %s", words, said);
	assert_int_equal(lstat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
}

/* As is_refused, for a user who has no right that the modes do not give: root has all. */
static void is_refused_to_others(int error, enum exit_status status, const char *words)
{
	if (geteuid() == 0)
		setfsuid(NOBODY);
	is_refused(error, status, words);
	setfsuid(geteuid());
}

static void left_by_a_crash(void **state)
{
	bool has_group = true;
	struct stat st;
	int fd;

	(void)state;
	close(make_socket(SOCK_STREAM, 1));
	fd = unix_socket_listen(path, NO_GROUP, &has_group, NULL, said);
	assert_true(fd >= 0);
	assert_false(has_group);
	assert_string_equal(said, "");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	close(fd);
}

static void another_listens(void **state)
{
	int fd = make_socket(SOCK_STREAM, 0);

	(void)state;
	is_refused(EADDRINUSE, EXIT_UNAVAILABLE,
		   "another process is listening there: is another mendipd running?");
	/* It has not accepted that look, which fills its queue. */
	is_refused(EADDRINUSE, EXIT_UNAVAILABLE,
		   "another process is listening there: is another mendipd running?");
	close(fd);
}

static void no_socket(void **state)
{
	FILE *f = fopen(path, "w");

	(void)state;
	assert_non_null(f);
	fclose(f);
	is_refused(EADDRINUSE, EXIT_UNAVAILABLE, "exists and is not a socket: move it away");
}

static void left_and_not_to_be_removed(void **state)
{
	(void)state;
	close(make_socket(SOCK_STREAM, 1));
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(chmod(folder, 0555), 0);
	is_refused_to_others(
		EACCES, EXIT_NO_RIGHT,
		"is left by another process, and cannot be removed: Permission denied: remove it");
}

static void nobody_may_ask(void **state)
{
	int fd = make_socket(SOCK_STREAM, 1);

	(void)state;
	assert_int_equal(chmod(path, 0), 0);
	is_refused_to_others(EACCES, EXIT_NO_RIGHT,
			     "cannot find out whether a process listens there: Permission "
			     "denied: remove it if none does");
	close(fd);
}

static void of_another_kind(void **state)
{
	int fd = make_socket(SOCK_DGRAM, -1);

	(void)state;
	is_refused(EPROTOTYPE, EXIT_UNAVAILABLE,
		   "cannot find out whether a process listens there: Protocol wrong type for "
		   "socket: remove it if none does");
	close(fd);
}

/* That may pass: the start is tried again (exit_status.h). */
static void no_descriptor(void **state)
{
	int fd = make_socket(SOCK_STREAM, 1);
	struct rlimit all, none;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	none = all;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	is_refused(EMFILE, EXIT_FAILED,
		   "cannot find out whether a process listens there: Too many open files");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
	close(fd);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(left_by_a_crash), ROW(another_listens),
		ROW(no_socket),	      ROW(left_and_not_to_be_removed),
		ROW(nobody_may_ask),  ROW(of_another_kind),
		ROW(no_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
