#!/usr/bin/python3
# What each folder may include (doc/architecture.md). SPDX-License-Identifier: ISC
"""Prints a line per folder: its files include only headers of the folders below it and system headers that are allowed
there; they have no variables if it is pure; and only files that make a configuration can write to one."""
import glob
import os
import re
import sys

SOURCE = os.environ.get("MENDIP_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Plain C, lists and hashes: no sockets, clocks or events, and neither systemd nor OpenSSL.
PURE = {"assert.h", "ctype.h", "endian.h", "errno.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h",
        "string.h", "strings.h", "sys/queue.h", "uthash.h"}
# Exceptions: arpa/inet.h has inet_pton and inet_ntop; linux/virtio_net.h has the header before a packet of a TUN device.
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
# The interface of the IKE engine, which its own folders may include, too; and the only header of those folders that its
# callers may include, the configuration. Callers read SAs through ike_view.h.
INTERFACE = ("ike.h", "ike_view.h")
CONFIGURATION = ("sa/ike_config.h",)
# Matches variables of a thread, a function or a file. Pure folders have none: they keep state only in what callers pass.
HIDDEN_STATE = re.compile(r"_Thread_local|^[ \t]+static (?!const\b|inline\b|.*##\w+\()|^static (?!.*\bconst\b)[^()\n]*[;=].*"
                          r"|^(?!static\b|extern\b|typedef\b|.*\bconst\b)[a-z][\w *]* \*?\w+(?:\[\w*\])? = .*",
                          re.MULTILINE)
# Matches pointers through which a configuration can be written to, which is allowed only while it is made.
CONFIGURATION_WRITTEN = re.compile(r"^.*(?<!const )\bstruct (?:conn|child)_conf \*(?!.* = xzalloc\().*", re.MULTILINE)
MAKES_CONFIGURATION = re.compile(r"ike/sa/ike_config\.[ch]|daemon/config_\w+\.[ch]")


def files(folder):
    return sorted(glob.glob(os.path.join(SOURCE, folder, "*.[ch]")))


def is_from(header, folders):
    """
    Returns whether a header in quotes is in one of these folders. It must be named with the folder's path below the
    top folder, such as "sa/ike_config.h".
    """
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
