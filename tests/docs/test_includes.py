#!/usr/bin/python3
# What each folder may include (doc/architecture.md). SPDX-License-Identifier: ISC
"""Prints a line for each folder: its files include the folders below it, and only such headers as belong there."""
import glob
import os
import re
import sys

SOURCE = os.environ.get("MENDIP_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Plain C, lists and hashes: no sockets, no clock, no events, nothing of systemd, nothing of OpenSSL.
PURE = {"ctype.h", "endian.h", "errno.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h",
        "string.h", "strings.h", "sys/queue.h", "uthash.h"}
# inet_pton and inet_ntop are in arpa/inet.h; linux/virtio_net.h has the format of what TUN puts before a packet.
FOLDERS = {
    "common": (["common"], PURE | {"arpa/inet.h"}),
    "common/crypto": (["common", "common/crypto"], None),
    "common/packet": (["common", "common/packet"], PURE | {"linux/virtio_net.h"}),
    "esp": (["common", "esp"], PURE),
    "ike": (["common", "ike"], PURE),
    "tunnel": (["common", "esp", "ike", "tunnel"], PURE),
    "daemon": (["common", "esp", "ike", "tunnel", "daemon"], None),
}
# No variable outlives a call but what callers pass in: none of a thread, a function or a file.
HIDDEN_STATE = re.compile(r"_Thread_local|^[ \t]+static (?!const\b|inline\b)|^static (?!.*\bconst\b)[^()\n]*[;=].*",
                          re.MULTILINE)


def files(folder):
    return sorted(glob.glob(os.path.join(SOURCE, folder, "*.[ch]")))


def folder_of(header, folders):
    """The folder that a header in quotes is taken from, or None."""
    return next((f for f in folders if os.path.exists(os.path.join(SOURCE, f, header))), None)


def wrong_in(path, folder):
    below, system = FOLDERS[folder]
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for header in re.findall(r'^#\s*include "([^"]+)"', text, re.MULTILINE):
        if header != "config.h" and not folder_of(header, below):
            return f'includes "{header}", which is not in {", ".join(below)}'
    for header in re.findall(r"^#\s*include <([^>]+)>", text, re.MULTILINE):
        if header.startswith("openssl/") and folder != "common/crypto":
            return f"includes <{header}>"
        if system is not None and header not in system:
            return f"includes <{header}>"
    if system is not None and HIDDEN_STATE.search(text):
        return f"has a variable of its own: {HIDDEN_STATE.search(text)[0].strip()}"
    return None


failed = False
for name in FOLDERS:
    found = [(os.path.relpath(path, SOURCE), wrong_in(path, name)) for path in files(name)]
    wrong = [f"{path} {what}" for path, what in found if what]
    if len(found) < 5:
        wrong.append(f"only {len(found)} files were found: the search is wrong")
    case = f"{name.replace('/', '_')}_includes_what_is_below"
    print(f"not ok {case}: {'; '.join(wrong)}" if wrong else f"ok {case}")
    failed |= bool(wrong)
sys.exit(failed)
