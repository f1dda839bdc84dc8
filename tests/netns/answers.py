# What mendipctl --json prints, against doc/control.schema.json. SPDX-License-Identifier: ISC
import functools
import json
import os

import jsonschema

SCHEMA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "doc", "control.schema.json")
COMMANDS = ("status", "switchover", "diagnose", "metrics", "version", "advise", "up", "down", "rekey", "reload", "log")
WHOLE = 100_000  # bytes of an answer from which on checking it would slow its test down


def schema():
    with open(SCHEMA, encoding="ascii") as f:
        return json.load(f)


def closed(node):
    """Returns the same schema, in which an object has no other members than those that are described."""
    if isinstance(node, list):
        return [closed(v) for v in node]
    if not isinstance(node, dict):
        return node
    node = {k: closed(v) for k, v in node.items()}
    if "properties" in node and isinstance(node["properties"], dict) and node.get("type") == "object":
        node.setdefault("additionalProperties", False)
    return node


@functools.lru_cache(maxsize=None)
def validator(name):
    """Returns the validator of one definition, usually the name of a command."""
    whole = closed(schema())
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": whole["$defs"]})


def validate(definition, text):
    """Raises an AssertionError if this JSON text is not as the definition says."""
    for error in validator(definition).iter_errors(json.loads(text)):
        raise AssertionError(f"mendipctl --json {definition}: not as in control.schema.json: "
                             f"{'/'.join(map(str, error.path))}: {error.message}")


def check(command, text):
    """The same for what a command printed, if it is of one that has a result."""
    if command in COMMANDS and len(text) <= WHOLE:
        validate(command, text)
