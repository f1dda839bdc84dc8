# The tests: each fragment adds the programs of one subject to check_PROGRAMS. "make check" runs them, and the scripts of
# netns/ and interop/, by tests/run, which counts the cases.
EXTRA_DIST += tests/run
# Tests that need root and mostly wait: several of them run at once.
PRIVILEGED_TESTS =
# Tests that need root and all processors: each of them runs alone.
BUSY_TESTS =
SCRIPT_TESTS =
# Tests that run in parallel with all others, at the lowest priority.
LONG_TESTS =

if HAVE_CMOCKA
check_LIBRARIES = libtests.a
libtests_a_SOURCES = tests/only.c
libtests_a_CPPFLAGS = $(CMOCKA_CFLAGS)
# The fragments with the longest tests come first.
include tests/exchange/exchange.mk
include tests/unit/esp.mk
include tests/unit/crypto.mk
include tests/unit/daemon.mk
include tests/unit/data.mk
include tests/unit/loop.mk
include tests/fuzz/fuzz.mk
include tests/mutants/mutants.mk
endif
include tests/interop/interop.mk
include tests/netns/netns.mk
include tests/bench/bench.mk
include tests/docs/docs.mk
include tests/package/package.mk

# distcheck-quick sets DISTCHECK_CHECK=no: CI has run the tests already.
check-local:
	@test "$(DISTCHECK_CHECK)" = no || $(MAKE) $(AM_MAKEFLAGS) check-all

# The published test vectors are run only if MENDIP_VECTORS names their folder.
WITHOUT_VECTORS = test -n "$$MENDIP_VECTORS" || echo "published vectors are not run: MENDIP_VECTORS is not set"
UNPRIVILEGED_TESTS = `for t in $(check_PROGRAMS); do \
	test $$t = tests/unit/t_vectors && test -z "$$MENDIP_VECTORS" || echo $$t; done`

check-all: $(check_PROGRAMS) mendipd mendipctl
	@$(WITHOUT_VECTORS)
	@$(srcdir)/tests/run --build . $(LONG_TESTS:%=--background $(srcdir)/%) --jobs `nproc` \
		$(UNPRIVILEGED_TESTS) $(SCRIPT_TESTS:%=$(srcdir)/%) \
		--jobs 1 $(BUSY_TESTS:%=$(srcdir)/%) \
		--jobs `expr 2 \* \`nproc\`` $(PRIVILEGED_TESTS:%=$(srcdir)/%)

# The tests that do not need root; the sanitizers run on these.
check-unprivileged: $(check_PROGRAMS)
	@$(WITHOUT_VECTORS)
	@$(srcdir)/tests/run --build . --jobs `nproc` $(UNPRIVILEGED_TESTS)

# Which lines and branches the tests without root reach; makes a build of its own, which takes some minutes.
coverage:
	@$(srcdir)/scripts/coverage coverage

# For clangd and clang-tidy.
compile_commands.json: Makefile
	@$(srcdir)/scripts/compile-commands

.PHONY: check-all check-unprivileged coverage
