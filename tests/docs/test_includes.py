#!/usr/bin/python3
# What each folder may include (doc/architecture.md). SPDX-License-Identifier: ISC
"""Prints a line for each folder: its files include the folders below it, only such headers as belong
there, and none but those that make a configuration could write to it."""
import glob
import os
import re
import sys

SOURCE = os.environ.get("MENDIP_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Plain C, lists and hashes: no sockets, no clock, no events, nothing of systemd, nothing of OpenSSL.
PURE = {"assert.h", "ctype.h", "endian.h", "errno.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h",
        "string.h", "strings.h", "sys/queue.h", "uthash.h"}
# inet_pton and inet_ntop are in arpa/inet.h; linux/virtio_net.h has the format of what TUN puts before a packet.
ALL_COMMON = ["common", "common/crypto", "common/packet"]
IKE = ["ike/wire", "ike/auth", "ike/sa", "ike/task", "ike"]  # each includes those before it
FOLDERS = {
    "common": (["common"], PURE | {"arpa/inet.h"}),
    "common/crypto": (["common", "common/crypto"], None),
    "common/packet": (["common", "common/packet"], PURE | {"linux/virtio_net.h"}),
    "esp": ([*ALL_COMMON, "esp"], PURE),
    **{folder: ([*ALL_COMMON, *IKE[:i + 1]], PURE) for i, folder in enumerate(IKE)},
    "tunnel": ([*ALL_COMMON, "esp", "ike", "tunnel"], PURE),
    "daemon": ([*ALL_COMMON, "esp", "ike", "tunnel", "daemon"], None),
}
# What the engine's callers give it and see of it, which its own folders know too; and what of those its callers may
# know: the configuration. SAs are read by ike_view.h alone.
INTERFACE = ("ike.h", "ike_view.h")
CONFIGURATION = ("sa/ike_config.h",)
# No variable outlives a call but what callers pass in: none of a thread, a function or a file.
HIDDEN_STATE = re.compile(r"_Thread_local|^[ \t]+static (?!const\b|inline\b)|^static (?!.*\bconst\b)[^()\n]*[;=].*"
                          r"|^(?!static\b|extern\b|typedef\b|.*\bconst\b)[a-z][\w *]* \*?\w+(?:\[\w*\])? = .*",
                          re.MULTILINE)
# A configuration is written to while it is made; who uses it has it constant.
CONFIGURATION_WRITTEN = re.compile(r"^.*(?<!const )\bstruct (?:conn|child)_conf \*(?!.* = xzalloc\().*", re.MULTILINE)
MAKES_CONFIGURATION = re.compile(r"ike/sa/ike_config\.[ch]|daemon/config_\w+\.[ch]")


def files(folder):
    return sorted(glob.glob(os.path.join(SOURCE, folder, "*.[ch]")))


def is_from(header, folders):
    """Whether a header in quotes is one of these folders, said with its folder where that is one within another."""
    return any(os.path.exists(os.path.join(SOURCE, f, os.path.basename(header)))
               and header == os.path.join(*f.split("/")[1:], os.path.basename(header)) for f in folders)


def wrong_in(path, folder):
    below, system = FOLDERS[folder]
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for header in re.findall(r'^#\s*include "([^"]+)"', text, re.MULTILINE):
        also = {"ike/sa": INTERFACE, "ike/task": INTERFACE, "tunnel": CONFIGURATION, "daemon": CONFIGURATION}
        if header != "config.h" and not is_from(header, below) and header not in also.get(folder, ()):
            return f'includes "{header}", which is not in {", ".join(below)}'
    for header in re.findall(r"^#\s*include <([^>]+)>", text, re.MULTILINE):
        if header.startswith("openssl/") and folder != "common/crypto":
            return f"includes <{header}>"
        if system is not None and header not in system:
            return f"includes <{header}>"
    if system is not None and HIDDEN_STATE.search(text):
        return f"has a variable of its own: {HIDDEN_STATE.search(text)[0].strip()}"
    if not MAKES_CONFIGURATION.search(path) and CONFIGURATION_WRITTEN.search(text):
        return f"could write to a configuration in use: {CONFIGURATION_WRITTEN.search(text)[0].strip()}"
    return None


failed = False
unknown = {os.path.dirname(os.path.relpath(p, SOURCE)) for top in ("common", "esp", "ike", "tunnel", "daemon")
           for p in glob.glob(os.path.join(SOURCE, top, "**/*.[ch]"), recursive=True)} - set(FOLDERS)
if unknown:
    print(f"not ok each_folder_is_known: {', '.join(sorted(unknown))}")
    failed = True
for name in FOLDERS:
    found = [(os.path.relpath(path, SOURCE), wrong_in(path, name)) for path in files(name)]
    wrong = [f"{path} {what}" for path, what in found if what]
    if len(found) < 2:
        wrong.append(f"only {len(found)} files were found: the search is wrong")
    case = f"{name.replace('/', '_')}_includes_what_is_below"
    print(f"not ok {case}: {'; '.join(wrong)}" if wrong else f"ok {case}")
    failed |= bool(wrong)
sys.exit(failed)
