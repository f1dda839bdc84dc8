PRIVILEGED_TESTS += tests/package/test_package.py
EXTRA_DIST += tests/package/test_package.py tests/package/image.py etc/Containerfile
