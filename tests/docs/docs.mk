SCRIPT_TESTS += tests/docs/test_docs.py tests/docs/test_includes.py tests/docs/test_options.py tests/docs/test_calls.py \
	tests/docs/test_figures.py tests/docs/test_schema.py tests/docs/test_wrong_configs.py tests/docs/test_import.py
EXTRA_DIST += tests/docs/test_docs.py tests/docs/test_includes.py tests/docs/test_options.py tests/docs/test_calls.py \
	tests/docs/test_figures.py tests/docs/test_schema.py tests/docs/control_members \
	tests/docs/test_wrong_configs.py tests/docs/wrong_configs.txt tests/docs/test_import.py tests/docs/import
