SCRIPT_TESTS += tests/docs/test_docs.py
EXTRA_DIST += tests/docs/test_docs.py
