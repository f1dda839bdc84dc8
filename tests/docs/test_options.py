#!/usr/bin/python3
# The manual page names each option of mendip.conf, and its default. SPDX-License-Identifier: ISC
"""Compares mendip.conf(5) with what `mendipd --dump-config` prints for a configuration with required options only."""
import os
import re
import subprocess
import sys
import tempfile

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("MENDIP_BUILD", os.path.join(SOURCE, "build/test"))
LEAST = """connections: { c: { remote_addrs = [ "%any" ]; local: { id = "a.example"; };
    children: { k: { local_ts = "10.1.0.0/16"; remote_ts = "10.2.0.0/16"; }; }; }; };
secrets: { ike: { secret = "one for all"; }; };
"""
# Options that the file must have, or that have no default to show.
GIVEN = {"local_addrs", "remote_addrs", "local", "remote", "local_ts", "remote_ts", "children", "device", "user", "key_log", "metrics_listen", "ppk_id",
         "switchover", "backup", "vips", "dns_domains", "pools", "id", "certs", "key", "password", "eap_id", "aaa_id", "cacerts", "pubkeys"}
# Options whose default depends on another option: the words with which the manual says so.
FOLLOWS = {"over_time": "a tenth of it", "life_time": "a tenth later", "local_port": "500, or 4500 with",
           "remote_port": "500, or 4500 with"}
SECTIONS = {"daemon": "daemon", "connections": "connections", "local": "local", "remote": "remote", "children": "children",
            "switchover": "switchover of a child"}


def dumped():
    """Returns {section: {option: value}}, with values as in the dumped configuration."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "mendip.conf")
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as f:
            f.write(LEAST)
        text = subprocess.run([f"{BUILD}/mendipd", "--dump-config", "-c", path], capture_output=True, text=True,
                              check=True).stdout
    found = {"daemon": {"user": "", "key_log": "", "metrics_listen": ""}, "connections": {"device": "", "children": "", "local": "", "remote": "", "ppk_id": "", "backup": "",
                                                          "vips": "", "dns_domains": "", "pools": ""},
             "local": {"id": "", "certs": "", "key": "", "password": "", "eap_id": "", "aaa_id": ""},
             "remote": {"id": "", "cacerts": "", "certs": "", "pubkeys": ""},
             "children": {"device": "", "switchover": ""}, "switchover": {}}
    path = []
    for line in text.splitlines():
        line = line.strip()
        group = re.match(r"(\w+)(:| =) \{$", line)
        option = re.match(r"(\w+) = (.*);$", line)
        if group:
            path.append(group[1])
        elif line == "};":
            path.pop()
        elif option and option[1] == "offload":  # one word if all three switches have the same value
            words = set(re.findall(r'"(\w+)"', option[2]))
            found["daemon"]["offload"] = f'"{words.pop()}"' if len(words) == 1 else option[2]
        elif option:
            section = {("daemon",): "daemon", ("switchover",): "switchover", ("connections", "c"): "connections",
                       ("connections", "c", "local"): "local", ("connections", "c", "remote"): "remote",
                       ("connections", "c", "children", "k"): "children"}.get(tuple(path))
            if section:
                found[section][option[1]] = option[2]
    return found


def manual():
    """Returns {section: {option: text of its item}}."""
    with open(os.path.join(SOURCE, "man/mendip.conf.5"), encoding="utf-8") as f:
        parts = re.split(r"^\.Ss (.*)\n", f.read(), flags=re.M)
    found = {}
    for title, body in zip(parts[1::2], parts[2::2]):
        items = re.split(r"^\.It Cm (.*)\n", body, flags=re.M)
        texts = {}
        for names, text in zip(items[1::2], items[2::2]):
            for name in names.split(" , "):
                texts[name] = text
        found[title] = texts
    return found


def spellings(value):
    """Yields the ways in which the manual may write a number or a time."""
    yield value
    if value.isdigit():
        for unit, factor in (("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)):
            if int(value) and int(value) % factor == 0:
                yield f"{int(value) // factor}{unit}"
    time = re.fullmatch(r"(\d+)(ms|s|m|h|d)", value)
    if time:
        if time[2] == "s":
            yield time[1]
        seconds = int(time[1]) * {"ms": 0, "s": 1, "m": 60, "h": 3600, "d": 86400}[time[2]]
        for unit, factor in (("s", 1), ("m", 60), ("h", 3600)):
            if seconds and seconds % factor == 0:
                yield f"{seconds // factor}{unit}"


def plain(item):
    """Returns an item's text as it is displayed, with quotes and parentheses instead of macros."""
    lines = []
    for line in item.replace(r"\:", "").splitlines():  # where a long word may be broken
        macro = re.match(r"\.(Pq |)(Qq|Pa|Cm|Em|Li|Nm|Xr) (.*)$", line)
        if macro:
            words = re.sub(r" ([,.;:])", r"\1", re.sub(r"\bQq ", "", macro[3]))
            end = re.search(r"[,.;:]*$", words)[0]
            words = words[:len(words) - len(end)]
            words = ", ".join(f'"{w}"' for w in words.split(", ")) if macro[2] == "Qq" else words
            line = (f"({words})" if macro[1] else words) + end
        elif line.startswith(".Pq "):
            words = re.sub(r" ([,.;:])", r"\1", line[4:])
            line = re.sub(r"^(.*?)([.,;:]*)$", r"(\1)\2", words)
        elif line in (".It", ".El"):  # a list of values
            line = ","
        lines.append(line)
    return " ".join(lines).replace(" ,", ",")


def told_at(item, value, start):
    """
    Returns the position after the place, from `start` on, where the item says that `value` is the default, as (VALUE) or
    "VALUE" (the default); None if it does not say so.
    """
    text, end = plain(item), start
    for word in re.findall(r'"([^"]*)"', value) or [value]:
        found = [m.end() for s in spellings(word) for pattern in (r'[(,] ?"?{}"?[,):;]', r'"?\b{}"? \(the default\)')
                 for m in [re.compile(pattern.format(re.escape(s))).search(text, end)] if m]
        if not found:
            return None
        end = min(found) - 1  # the character that ends one match may begin the next
    return end


def compare():
    """Returns a list of differences."""
    wrong, options, texts, told = [], dumped(), manual(), {}
    for section, title in SECTIONS.items():
        for name, value in options[section].items():
            text = texts[title].get(name)
            if text is None:
                wrong.append(f"{title}: {name} is not in the manual")
            elif name in FOLLOWS:
                if FOLLOWS[name] not in text:
                    wrong.append(f"{title}: {name}: the manual does not say \"{FOLLOWS[name]}\"")
            elif name not in GIVEN:
                # Options that share an item: the item has their values in the order of the names, or one for all.
                start, before = told.get(text, (0, None))
                at = start if value == before else told_at(text, value, start)
                told[text] = at or 0, value
                if at is None:
                    wrong.append(f"{title}: {name}: the manual does not say that it is {value}")
        for name in texts[title]:
            if name not in options[section]:
                wrong.append(f"{title}: {name} is in the manual and is no option")
    return wrong


WRONG = compare()
for each in WRONG:
    print(f"not ok {each}")
if not WRONG:
    print("ok the manual page names each option and its default")
sys.exit(1 if WRONG else 0)
