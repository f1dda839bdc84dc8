/*
 * resolve1.c - stands in for systemd-resolved on a bus of its own (org.freedesktop.resolve1(5)):
 * prints one line for each call. SPDX-License-Identifier: ISC
 *
 *   tests/netns/resolve1 [refuse | silent | fail DEVICE [METHOD]]
 *
 * The bus is that of DBUS_SYSTEM_BUS_ADDRESS. `refuse` answers as systemd-resolved does where
 * polkit has no rule, `silent` never answers, `fail` answers calls, or this one, for this device
 * with an error. A line is the method, the device, and the arguments; domains that are only for
 * routing begin with "~". It ends with the bus.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

static const char *mode = "", *failing = "", *failing_method = "";
static const char *method_called;
static char called[IF_NAMESIZE]; /* the device of this call */

/* Reads and prints the device. */
static int begin(sd_bus_message *m, const char *method)
{
	int ifindex, e = sd_bus_message_read(m, "i", &ifindex);

	if (e < 0)
		return e;
	if (!if_indextoname((unsigned)ifindex, called))
		strcpy(called, "none");
	method_called = method;
	printf("%s %s", method, called);
	return 0;
}

/* Ends the line and answers. */
static int end(sd_bus_message *m)
{
	puts("");
	fflush(stdout);
	if (strcmp(mode, "silent") == 0)
		return 1;
	if (strcmp(mode, "refuse") == 0)
		return sd_bus_reply_method_errorf(
			m, "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
			"Interactive authentication required.");
	if (strcmp(called, failing) == 0 &&
	    (!*failing_method || strcmp(method_called, failing_method) == 0))
		return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_FAILED, "failing");
	return sd_bus_reply_method_return(m, "");
}

static int set_dns(sd_bus_message *m, void *ctx, sd_bus_error *error)
{
	char text[INET6_ADDRSTRLEN];
	const void *bytes;
	size_t len;
	int family, e = begin(m, "SetLinkDNS");

	(void)ctx, (void)error;
	if (e >= 0)
		e = sd_bus_message_enter_container(m, 'a', "(iay)");
	while (e >= 0 && (e = sd_bus_message_enter_container(m, 'r', "iay")) > 0) {
		e = sd_bus_message_read(m, "i", &family);
		if (e >= 0)
			e = sd_bus_message_read_array(m, 'y', &bytes, &len);
		if (e >= 0)
			printf(" %s", len == (family == AF_INET ? 4 : 16)
					      ? inet_ntop(family, bytes, text, sizeof(text))
					      : "bad");
		if (e >= 0)
			e = sd_bus_message_exit_container(m);
	}
	return e < 0 ? e : end(m);
}

static int set_domains(sd_bus_message *m, void *ctx, sd_bus_error *error)
{
	const char *domain;
	int only_route, e = begin(m, "SetLinkDomains");
	bool root = false;

	(void)ctx, (void)error;
	if (e >= 0)
		e = sd_bus_message_enter_container(m, 'a', "(sb)");
	while (e >= 0 && (e = sd_bus_message_read(m, "(sb)", &domain, &only_route)) > 0) {
		printf(" %s%s", only_route ? "~" : "", domain);
		root |= !only_route && strcmp(domain, ".") == 0;
	}
	if (e >= 0 && root) {
		puts("");
		return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_INVALID_ARGS,
						  "Root domain is not suitable as search domain");
	}
	return e < 0 ? e : end(m);
}

static int set_default(sd_bus_message *m, void *ctx, sd_bus_error *error)
{
	int on, e = begin(m, "SetLinkDefaultRoute");

	(void)ctx, (void)error;
	if (e >= 0)
		e = sd_bus_message_read(m, "b", &on);
	if (e < 0)
		return e;
	printf(" %s", on ? "yes" : "no");
	return end(m);
}

static int revert(sd_bus_message *m, void *ctx, sd_bus_error *error)
{
	int e = begin(m, "RevertLink");

	(void)ctx, (void)error;
	return e < 0 ? e : end(m);
}

static const sd_bus_vtable manager[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("SetLinkDNS", "ia(iay)", "", set_dns, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("SetLinkDomains", "ia(sb)", "", set_domains, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("SetLinkDefaultRoute", "ib", "", set_default, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("RevertLink", "i", "", revert, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END};

int main(int argc, char **argv)
{
	sd_bus *bus = NULL;
	int e = sd_bus_open_system(&bus);

	if (argc > 1)
		mode = argv[1];
	if (argc > 2)
		failing = argv[2];
	if (argc > 3)
		failing_method = argv[3];
	if (e >= 0)
		e = sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/resolve1",
					     "org.freedesktop.resolve1.Manager", manager, NULL);
	if (e >= 0)
		e = sd_bus_request_name(bus, "org.freedesktop.resolve1", 0);
	while (e >= 0) {
		e = sd_bus_process(bus, NULL);
		if (e == 0)
			e = sd_bus_wait(bus, UINT64_MAX);
	}
	fprintf(stderr, "resolve1: %s\n", strerror(-e));
	sd_bus_unref(bus);
	return 1;
}
