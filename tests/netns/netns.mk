PRIVILEGED_TESTS += tests/netns/test_tunnel.py tests/netns/test_offload.py tests/netns/test_switchover.py \
	tests/netns/test_control.py tests/netns/test_config.py tests/netns/test_service.py tests/netns/test_quickstart.py \
	tests/netns/test_host.py tests/netns/test_kills.py
EXTRA_DIST += tests/netns/daemons.py tests/netns/traffic.py tests/netns/refuse.c tests/netns/test_tunnel.py \
	tests/netns/test_offload.py tests/netns/test_switchover.py tests/netns/test_control.py tests/netns/test_config.py \
	tests/netns/test_service.py tests/netns/test_quickstart.py tests/netns/test_host.py tests/netns/test_kills.py

PRIVILEGED_TESTS += tests/netns/test_devices.py
EXTRA_DIST += tests/netns/test_devices.py
