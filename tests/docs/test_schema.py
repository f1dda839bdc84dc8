#!/usr/bin/python3
# doc/control.schema.json is valid, complete, and only added to. SPDX-License-Identifier: ISC
"""
The lists of names in the sources are those of the schema; the manual names each member; and each member that was there
once, by tests/docs/control_members, is there still.
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(SOURCE, "tests", "netns"))
sys.dont_write_bytecode = True
import answers  # noqa: E402

# Each list of names in the sources, and where the schema has it: the definition, its member, and whether they are members.
LISTS = [
    ("ike/ike.h", "FOREACH_IKE_PROBLEM", "problem", "kind"),
    ("tunnel/tunnel.h", "FOREACH_PROBLEM_STAGE", "problem", "stage"),
    ("tunnel/tunnel.h", "FOREACH_PROBLEM_STAGE", "step", "stage"),
    ("esp/detector.h", "FOREACH_CRITERION", "detector", "criterion"),
    ("esp/detector.h", "FOREACH_CRITERION", "record", "criterion"),
    ("ike/ike_view.h", "FOREACH_IKE_STATE", "ike_sa", "state"),
    ("esp/verdict.h", "FOREACH_VERDICT", "verdicts", None),
    ("esp/verdict.h", "FOREACH_ESP_DROP", "status", "drops"),
    ("ike/ike.h", "FOREACH_IKE_COUNTER", "status", "ike"),
]


def names(path, macro):
    """Returns the names that a FOREACH macro lists."""
    with open(os.path.join(SOURCE, path), encoding="utf-8") as f:
        text = f.read()
    return re.findall(r'X\(\w+,\s*"([^"]+)"', re.search(rf"#define {macro}\(X\)((?:.*\\\n)*.*\n)", text)[1])


def members(node, path=""):
    """Yields the path of each member below a schema, without following references."""
    for name, value in node.get("properties", {}).items():
        yield f"{path}/{name}"
        yield from members(value, f"{path}/{name}")


def all_members(schema):
    return {m for name, d in schema["$defs"].items() for m in members(d, name)}


def is_valid(schema):
    answers.jsonschema.Draft202012Validator.check_schema(schema)


def has_each_name(schema):
    for path, macro, definition, member in LISTS:
        place = schema["$defs"][definition]
        place = place["properties"][member] if member else place
        found = place["enum"] if "enum" in place else list(place["properties"])
        assert found == names(path, macro), f"{definition}/{member} is not {macro} of {path}: {found}"


def manual_names_each(schema):
    with open(os.path.join(SOURCE, "man", "mendipctl.8"), encoding="utf-8") as f:
        words = set(re.findall(r"[\w-]+", f.read()))
    # Names of counters are explained where they are defined: VERDICTS in the manual, and in the metrics.
    counted = {f"status/{m}/{n}" for m in ("drops", "ike") for n in schema["$defs"]["status"]["properties"][m]["properties"]}
    missing = [m for m in sorted(all_members(schema) - counted) if m.rsplit("/", 1)[1] not in words]
    assert not missing, f"not in man/mendipctl.8: {missing}"


def is_only_added_to(schema):
    path = os.path.join(HERE, "control_members")
    with open(path, encoding="ascii") as f:
        once = set(f.read().split())
    now = all_members(schema)
    assert not once - now, f"gone or renamed: {sorted(once - now)}"
    assert not now - once, f"add to {os.path.relpath(path, SOURCE)}: {sorted(now - once)}"


def refuses_what_is_not_described(_schema):
    """The check of answers itself: a member too many, one that is missing, another type, an unknown value."""
    answers.check("version", '{"version": "1"}')
    for command, text in (("version", '{"version": "1", "more": 1}'), ("version", "{}"), ("version", '{"version": 1}'),
                          ("diagnose", '{"walks": [{"connection": "c", "child": null, "result": "perhaps", "steps": []}]}')):
        try:
            answers.check(command, text)
        except AssertionError:
            continue
        raise AssertionError(f"{text} passes as an answer to {command}")


failed = False
for case in (is_valid, has_each_name, manual_names_each, is_only_added_to, refuses_what_is_not_described):
    try:
        case(answers.schema())
        print(f"ok {case.__name__}")
    except AssertionError as e:
        failed = True
        print(f"not ok {case.__name__}: {e}")
sys.exit(failed)
