# What the rooms of tests/ build; one fragment a subject adds to check_PROGRAMS. "make check" runs them, and the
# scripts of netns/ and interop/, through tests/run, which counts cases.
EXTRA_DIST += tests/run
PRIVILEGED_TESTS =

if HAVE_CMOCKA
include tests/unit/esp.mk
include tests/unit/crypto.mk
include tests/unit/daemon.mk
include tests/exchange/exchange.mk
include tests/fuzz/fuzz.mk
endif
include tests/netns/netns.mk
include tests/interop/interop.mk

# Within distcheck the tests of the tarball are those that CI has run: see distcheck-quick.
check-local:
	@test "$(DISTCHECK_CHECK)" = no || $(MAKE) $(AM_MAKEFLAGS) check-all

check-all: $(check_PROGRAMS) mendipd mendipctl
	$(srcdir)/tests/run --build . $(check_PROGRAMS) $(PRIVILEGED_TESTS:%=$(srcdir)/%)

# The rooms that anyone can run; what the sanitizers run on.
check-unprivileged: $(check_PROGRAMS)
	$(srcdir)/tests/run --build . $(check_PROGRAMS)

.PHONY: check-all check-unprivileged
