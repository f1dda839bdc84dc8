PRIVILEGED_TESTS += tests/interop/test_rewind_selfcheck.py tests/interop/test_strongswan.py tests/interop/test_defaults.py \
	tests/interop/test_switchover_strongswan.py tests/interop/test_ha.py tests/interop/test_wire.py
EXTRA_DIST += tests/interop/netlab.py tests/interop/strongswan.py tests/interop/ha.py tests/interop/rewind.py \
	tests/interop/wire.py tests/interop/test_rewind_selfcheck.py tests/interop/test_strongswan.py tests/interop/test_defaults.py \
	tests/interop/test_switchover_strongswan.py tests/interop/test_ha.py tests/interop/test_wire.py
