PRIVILEGED_TESTS += tests/package/test_package.py
PRIVILEGED_TESTS += tests/package/test_apparmor.py
EXTRA_DIST += tests/package/test_package.py tests/package/test_apparmor.py tests/package/image.py etc/Containerfile
