#!/usr/bin/python3
# More random runs by t_runs. SPDX-License-Identifier: ISC
"""Runs t_runs with the seeds that follow those of its default run; in parallel with other tests, as this takes minutes.
MENDIP_RUNS sets the number of runs (4,500)."""
import os
import subprocess
import sys

OWN, MORE = 500, 4500  # OWN is RUNS of t_runs.c; together 5,000 runs
env = {**os.environ, "MENDIP_FROM": str(OWN + 1), "MENDIP_RUNS": os.environ.get("MENDIP_RUNS", str(MORE)),
       "CMOCKA_MESSAGE_OUTPUT": "TAP"}
sys.exit(subprocess.run([os.path.join(os.environ.get("MENDIP_BUILD", "."), "tests/exchange/t_runs")], env=env,
                        check=False).returncode)
