libdaemon_a_SOURCES = \
	daemon/config.c daemon/config.h daemon/config_auth.c daemon/config_auth.h daemon/config_backup.c daemon/config_conn.c daemon/config_daemon.c \
	daemon/config_access.c daemon/config_access.h daemon/config_files.c daemon/config_files.h daemon/expiry.c daemon/expiry.h daemon/expiry_text.c daemon/expiry_text.h \
	daemon/assigned.c daemon/assigned.h daemon/config_list.c daemon/config_pool.c daemon/config_option.c daemon/config_option.h daemon/config_read.c daemon/config_same.c daemon/config_slip.c \
	daemon/config_alike.c daemon/config_check.c daemon/config_hint.c daemon/config_hint.h daemon/config_own.c daemon/config_twice.c \
	daemon/config_unknown.c daemon/config_warn.c daemon/dns.c daemon/dns.h daemon/import.c daemon/import.h daemon/import_lines.c daemon/import_lines.h daemon/import_option.c daemon/import_option.h daemon/import_side.c daemon/import_text.c daemon/import_text.h \
	daemon/config_read.h daemon/config_value.c daemon/scan.c daemon/scan.h daemon/scan_text.c daemon/scan_text.h daemon/swanctl.c daemon/swanctl.h \
	daemon/advise.c daemon/advise.h daemon/classic.c daemon/classic.h daemon/listen_at.c daemon/listen_at.h
libdaemon_a_CPPFLAGS = $(INCLUDES_DAEMON) $(CONFIG_CFLAGS) $(CRYPTO_CFLAGS)

mendipd_SOURCES = \
	daemon/alarm.c daemon/alarm.h daemon/control.c daemon/control.h daemon/control_socket.c daemon/control_socket.h daemon/daemon.h daemon/diagnose.c daemon/data.c \
	daemon/data.h daemon/data_in.c daemon/destination.c daemon/destination.h daemon/data_out.c daemon/data_send.c daemon/device.c daemon/device.h \
	daemon/exit_status.c daemon/exit_status.h daemon/fault.h daemon/handover.c daemon/handover.h daemon/host.c daemon/kept.c daemon/kept.h daemon/key_log.c daemon/key_log.h \
	daemon/main.c daemon/metrics.c daemon/mtu.c daemon/net.c daemon/net.h daemon/netlink.c daemon/netlink.h \
	daemon/privileges.c daemon/resolve.c daemon/resolved.c daemon/resolved.h daemon/services.c daemon/sink.c daemon/sink.h daemon/source.c daemon/source.h daemon/status.c \
	daemon/status.h daemon/tun.c daemon/tun.h daemon/udp.c daemon/udp.h daemon/udp_name.c \
	daemon/udp_name.h daemon/udp_open.c daemon/udp_offload.c \
	daemon/udp_offload.h daemon/metrics_http.c daemon/metrics_http.h daemon/metrics_socket.c daemon/metrics_socket.h \
	daemon/unix_socket.c daemon/unix_socket.h
if FAULTS
mendipd_SOURCES += daemon/fault.c
AM_CFLAGS += -DMENDIP_FAULTS
endif
mendipd_CPPFLAGS = $(INCLUDES_DAEMON) -DSYSCONFDIR='"$(sysconfdir)"' $(CONFIG_CFLAGS) $(EVENT_CFLAGS) \
	$(JANSSON_CFLAGS) $(NL_CFLAGS) $(SYSTEMD_CFLAGS) $(CAPNG_CFLAGS) $(CRYPTO_CFLAGS)
mendipd_LDADD = libdaemon.a libtunnel.a libike.a libesp.a libcommon.a $(CONFIG_LIBS) $(EVENT_LIBS) \
	$(JANSSON_LIBS) $(NL_LIBS) $(SYSTEMD_LIBS) $(CAPNG_LIBS) $(CRYPTO_LIBS)

mendipctl_SOURCES = daemon/ctl_bundle.c daemon/ctl_bundle.h daemon/ctl_client.c daemon/ctl_client.h daemon/ctl_import.c daemon/ctl_import.h \
	daemon/ctl_wait.c daemon/ctl_wait.h daemon/mendipctl.c daemon/show.c daemon/show.h \
	daemon/show_status.c daemon/show_text.c daemon/show_text.h
mendipctl_CPPFLAGS = $(INCLUDES_DAEMON) -DSYSCONFDIR='"$(sysconfdir)"' $(JANSSON_CFLAGS) $(CRYPTO_CFLAGS)
mendipctl_SOURCES += daemon/ctl_metrics.c daemon/ctl_metrics.h
mendipctl_LDADD = libdaemon.a libtunnel.a libike.a libesp.a libcommon.a $(CONFIG_LIBS) $(JANSSON_LIBS) $(CRYPTO_LIBS)
mendipctl_SOURCES += daemon/ctl_command.h daemon/ctl_complete.c daemon/ctl_complete.h
