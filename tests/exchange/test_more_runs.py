#!/usr/bin/python3
# The drawn runs beyond those of t_runs. SPDX-License-Identifier: ISC
"""Runs t_runs from the seed on at which it ends by itself; beside other tests, as it takes minutes. MENDIP_RUNS: how
many (4,500)."""
import os
import subprocess
import sys

OWN, MORE = 500, 4500  # RUNS of t_runs.c; together 5,000
env = {**os.environ, "MENDIP_FROM": str(OWN + 1), "MENDIP_RUNS": os.environ.get("MENDIP_RUNS", str(MORE)),
       "CMOCKA_MESSAGE_OUTPUT": "TAP"}
sys.exit(subprocess.run([os.path.join(os.environ.get("MENDIP_BUILD", "."), "tests/exchange/t_runs")], env=env,
                        check=False).returncode)
