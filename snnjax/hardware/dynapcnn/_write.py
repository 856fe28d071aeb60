"""JSON that a person can read: short lists on one line, long ones on several."""

import json
from typing import Any

_WIDTH = 100


def to_text(value: Any, indent: str = "") -> str:
    """Dictionaries and lists as JSON; what fits goes on a line, down from the outside."""
    line = json.dumps(value)
    if len(indent) + len(line) <= _WIDTH or not isinstance(value, dict | list) or _flat(value):
        return line
    deeper = indent + "  "
    if isinstance(value, dict):
        rows = [f"{deeper}{json.dumps(k)}: {to_text(v, deeper)}" for k, v in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
    return "[\n" + ",\n".join(deeper + to_text(v, deeper) for v in value) + f"\n{indent}]"


def _flat(value: Any) -> bool:
    return isinstance(value, list) and not any(isinstance(v, dict | list) for v in value)
