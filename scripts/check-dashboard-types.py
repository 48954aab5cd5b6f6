#!/usr/bin/env python3
"""Checks dashboards/*.json against Grafana's types: scripts/check-dashboard-types.py DIR

DIR contains the package grafana-foundation-sdk of scripts/monitoring/requirements.txt. Its classes are generated from
Grafana's own schemas. A key that no class has, and a value of another type, are errors.
"""

import enum
import inspect
import json
import re
import sys
import types
import typing
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__))

from grafana_foundation_sdk.cog import plugins, runtime  # noqa: E402
from grafana_foundation_sdk.models import dashboard, prometheus  # noqa: E402

plugins.register_default_plugins()
DASHBOARDS = Path(__file__).resolve().parent.parent / "dashboards"


def key_of(attribute):
    """`type_val` is the key `type`, `grid_pos` is `gridPos`."""
    head, *tail = attribute.removesuffix("_val").split("_")
    return head + "".join(part.capitalize() for part in tail)


def fields(cls):
    """The types of the keys of a class, from the annotations of its constructor."""
    hints = typing.get_type_hints(cls.__init__, vars(sys.modules[cls.__module__]))
    known = inspect.getsource(cls.from_json)
    names = {name: hint for name, hint in hints.items() if name not in ("self", "return")}
    # The key as from_json reads it: abbreviations keep their case there.
    by_argument = {argument: key for key, argument in re.findall(r'if "(\w+)" in data:\s+args\["(\w+)"\]', known)}
    # A constant is no argument.
    constants = {key_of(name): hint for name, hint in inspect.get_annotations(cls).items() if name not in names}
    return constants | {by_argument.get(name, key_of(name)): hint for name, hint in names.items()}


def errors(value, hint, path):
    """What is wrong with a value, each with its path."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in (typing.Any, object) or value is None:
        return
    if origin in (typing.Union, types.UnionType):
        found = [list(errors(value, each, path)) for each in arguments if each is not types.NoneType]
        yield from min(found, key=len)
    elif origin is list:
        if not isinstance(value, list):
            yield f"{path}: not a list"
            return
        for number, each in enumerate(value):
            yield from errors(each, arguments[0], f"{path}[{number}]")
    elif origin is dict:
        if not isinstance(value, dict):
            yield f"{path}: no object"
            return
        for key, each in value.items():
            yield from errors(each, arguments[1], f"{path}.{key}")
    elif origin is typing.Literal:
        if value not in arguments:
            yield f"{path}: {value!r} is none of {arguments}"
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        if value not in [each.value for each in hint]:
            yield f"{path}: {value!r} is no {hint.__name__}"
    elif hint in (int, float):
        if isinstance(value, bool) or not isinstance(value, (int, float) if hint is float else int):
            yield f"{path}: {value!r} is no number"
    elif hint in (str, bool):
        if not isinstance(value, hint):
            yield f"{path}: {value!r} is no {hint.__name__}"
    elif hasattr(hint, "from_json"):
        yield from object_errors(value, hint, path)
    elif inspect.isclass(hint) and hint.__name__ == "Dataquery":
        yield from object_errors(value, prometheus.Dataquery, path)
    else:
        yield f"{path}: cannot judge {hint}"


def object_errors(value, cls, path):
    """What is wrong with an object of a class."""
    if not isinstance(value, dict):
        yield f"{path}: no object"
        return
    known = fields(cls)
    for key, each in value.items():
        if key not in known:
            yield f"{path}: {cls.__name__} has no {key}"
        else:
            yield from errors(each, known[key], f"{path}.{key}")
    if cls.__name__ == "Panel":
        yield from plugin_errors(value, path)


def plugin_errors(panel, path):
    """What is wrong with those parts of a panel whose types depend on its kind."""
    config = runtime.panelcfg_config(panel["type"])
    if config is None:
        yield f"{path}: there is no panel {panel['type']}"
        return
    parts = [
        (config.options_from_json_hook, panel["options"], "options"),
        (config.field_config_from_json_hook, panel["fieldConfig"]["defaults"].get("custom", {}), "custom"),
    ]
    for hook, value, name in parts:
        if hook is not None:
            yield from object_errors(value, hook.__self__, f"{path}.{name}")
        elif value:
            yield f"{path}: a panel {panel['type']} has no {name}"


def main():
    found = []
    for file in sorted(DASHBOARDS.glob("*.json")):
        found += object_errors(json.loads(file.read_text()), dashboard.Dashboard, file.stem)
    return "\n".join(found) or None


if __name__ == "__main__":
    sys.exit(main())
