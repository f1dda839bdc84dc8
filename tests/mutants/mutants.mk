# One-line breakages of the core, each of which a test must catch; needs no root and builds for itself.
LONG_TESTS += tests/mutants/test_mutants.py
EXTRA_DIST += tests/mutants/test_mutants.py tests/mutants/mutants.py tests/mutants/places.py
