# Not among the tests that CI runs: it takes some minutes, with nothing beside it.
check-kernel: all
	@$(srcdir)/tests/run --build . $(srcdir)/tests/interop/test_kernel.py
.PHONY: check-kernel
EXTRA_DIST += tests/interop/test_kernel.py tests/interop/uml.py tests/interop/uml_init tests/interop/uml_agent.py \
	tests/interop/uml_packages.py tests/interop/uml_peers.py tests/interop/uml_ptrace.c tests/interop/uml_ptrace_check.py \
	tests/interop/xfrm_state.py
BUSY_TESTS += tests/interop/test_matrix.py
PRIVILEGED_TESTS += tests/interop/test_switchover_strongswan.py tests/interop/test_ha.py \
	tests/interop/test_strongswan.py tests/interop/test_rewind_selfcheck.py tests/interop/test_proposals.py tests/interop/test_wire.py \
	tests/interop/test_children.py tests/interop/test_certificates.py tests/interop/test_gateways.py
EXTRA_DIST += tests/interop/testbed.py tests/interop/strongswan.py tests/interop/ha.py tests/interop/rewind.py tests/interop/wire.py \
	tests/interop/authentication.py tests/interop/matrix.py tests/interop/matrix_rows.py tests/interop/test_matrix.py \
	tests/interop/test_switchover_strongswan.py tests/interop/test_ha.py tests/interop/test_strongswan.py \
	tests/interop/test_rewind_selfcheck.py tests/interop/test_proposals.py tests/interop/test_wire.py \
	tests/interop/test_children.py tests/interop/test_certificates.py tests/interop/test_gateways.py

PRIVILEGED_TESTS += tests/interop/test_eap.py tests/interop/test_readme.py
EXTRA_DIST += tests/interop/test_eap.py tests/interop/test_readme.py

# Each feature with strongSwan, in both roles, as a table.
check-matrix: all
	@$(srcdir)/tests/run --build . $(srcdir)/tests/interop/test_matrix.py

# The same with strongSwan 6, which Debian 12 does not have, as root; installs Debian 13 for it once.
check-strongswan-6: all
	$(srcdir)/scripts/other-debian trixie make
	MENDIP_STRONGSWAN_ROOT=`$(srcdir)/scripts/other-debian trixie make` MENDIP_REQUIRE_ALL=1 \
		$(srcdir)/tests/run --build . $(srcdir)/tests/interop/test_matrix.py

# The rows with additional key exchanges, ML-KEM among them, with the strongSwan of Debian testing; installs that once.
check-ml-kem:
	$(srcdir)/scripts/other-debian testing sh -c './autogen.sh && mkdir build && cd build && \
		../configure --quiet --enable-faults && make -s all tests && \
		MENDIP_BUILD=$$PWD MENDIP_REQUIRE_ALL=1 ../tests/interop/test_matrix.py addition'
.PHONY: check-matrix check-strongswan-6 check-ml-kem
