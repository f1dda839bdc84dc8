# Files of /etc as one namespace sees them: hosts, resolv.conf. SPDX-License-Identifier: ISC
import os
import shutil


def files_of(bed, ns):
    """Returns a function that writes a file of /etc as the namespace sees it."""
    folder = f"/etc/netns/{ns.name}"
    os.makedirs(folder)
    bed.at_exit(lambda: shutil.rmtree(folder))

    def write(name, text):
        with open(f"{folder}/{name}", "w", encoding="ascii") as f:
            f.write(text)
    return write
