# The tests: one fragment a subject adds its programs to check_PROGRAMS. "make check" runs them, and the
# scripts of netns/ and interop/, through tests/run, which counts cases.
EXTRA_DIST += tests/run
# They need root, and wait most of the time: several run at once.
PRIVILEGED_TESTS =
# They need root and all of the processors: each runs alone.
BUSY_TESTS =
SCRIPT_TESTS =
# They run beside all others, at the lowest priority.
LONG_TESTS =

if HAVE_CMOCKA
check_LIBRARIES = libtests.a
libtests_a_SOURCES = tests/only.c
libtests_a_CPPFLAGS = $(CMOCKA_CFLAGS)
# Those that run longest come first.
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

# Within distcheck the tests of the tarball are those that CI has run: see distcheck-quick.
check-local:
	@test "$(DISTCHECK_CHECK)" = no || $(MAKE) $(AM_MAKEFLAGS) check-all

# The published vectors are run where they are: MENDIP_VECTORS names their folder.
WITHOUT_VECTORS = test -n "$$MENDIP_VECTORS" || echo "published vectors are not run: MENDIP_VECTORS is not set"
UNPRIVILEGED_TESTS = `for t in $(check_PROGRAMS); do \
	test $$t = tests/unit/t_vectors && test -z "$$MENDIP_VECTORS" || echo $$t; done`

check-all: $(check_PROGRAMS) mendipd mendipctl
	@$(WITHOUT_VECTORS)
	@$(srcdir)/tests/run --build . $(LONG_TESTS:%=--background $(srcdir)/%) --jobs `nproc` \
		$(UNPRIVILEGED_TESTS) $(SCRIPT_TESTS:%=$(srcdir)/%) \
		--jobs 1 $(BUSY_TESTS:%=$(srcdir)/%) \
		--jobs `expr 2 \* \`nproc\`` $(PRIVILEGED_TESTS:%=$(srcdir)/%)

# The tests that need no root; what the sanitizers run on.
check-unprivileged: $(check_PROGRAMS)
	@$(WITHOUT_VECTORS)
	@$(srcdir)/tests/run --build . --jobs `nproc` $(UNPRIVILEGED_TESTS)

# Which lines and branches the tests reach that need no root; a build of its own, some minutes.
coverage:
	@$(srcdir)/scripts/coverage coverage

# For clangd and clang-tidy.
compile_commands.json: Makefile
	@$(srcdir)/scripts/compile-commands

.PHONY: check-all check-unprivileged coverage
