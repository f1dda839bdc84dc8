# Mutants: one-line faults in the core, each of which must make a test fail. Needs no root, and builds by itself.
LONG_TESTS += tests/mutants/test_mutants.py
EXTRA_DIST += tests/mutants/test_mutants.py tests/mutants/mutants.py tests/mutants/places.py
