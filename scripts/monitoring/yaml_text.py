"""YAML for people: what we generate is read in the night. Only what our files need, without a library."""

import json
import re
import textwrap

WIDTH = 120
PLAIN = re.compile(r"[A-Za-z][\w./#:-]*(?: [\w.,/-]+)*|[0-9]+(ms|[smhd])")


def dump(value, indent=0):
    """The lines of a block: mappings, lists, texts, numbers."""
    pad = " " * indent
    if isinstance(value, dict):
        for key, each in value.items():
            head, *rest = inline_or_block(each, indent + 2)
            yield f"{pad}{key}:{head}"
            yield from rest
    else:
        for each in value:
            if isinstance(each, dict):
                first, *rest = dump(each, indent + 2)
                yield f"{pad}- {first.lstrip()}"
                yield from rest
            else:
                yield f"{pad}- {scalar(each)}"


def inline_or_block(value, indent):
    if isinstance(value, (dict, list)) and value:
        yield ""
        yield from dump(value, indent)
    elif isinstance(value, str) and "\n" in value:
        yield " |-"
        yield from (" " * indent + line for line in value.splitlines())
    elif isinstance(value, str) and len(value) + indent > WIDTH - 20 and " " in value and not value.startswith(" "):
        yield " >-"
        fill = textwrap.TextWrapper(WIDTH - indent, break_long_words=False, break_on_hyphens=False)
        yield from (" " * indent + line for line in fill.wrap(value))
    else:
        yield f" {scalar(value)}"


def scalar(value):
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in ("true", "false", "yes", "no", "on", "off", "null"):
        return value
    return json.dumps(value, ensure_ascii=False)
