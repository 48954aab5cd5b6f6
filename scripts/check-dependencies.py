#!/usr/bin/env python3
"""Refuses a dependency whose licence we have not agreed to, or that does not come from crates.io."""
import json
import re
import subprocess
import sys

# Permissive, or copyleft by the file (MPL-2.0): nothing here asks a user of the program for more than a notice.
AGREED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0",
    "CDLA-Permissive-2.0", "ISC", "MIT", "MIT-0", "MPL-2.0", "Unicode-3.0", "Unlicense", "Zlib",
}
SOURCE = "registry+https://github.com/rust-lang/crates.io-index"


def agreed(licence: str) -> bool:
    """Whether an SPDX expression can be met with what we agreed to. Old crates write "/" for OR."""
    tokens = re.findall(r"\(|\)|[^\s()/]+|/", licence.replace(" WITH ", "_WITH_"))
    words = {"/": " or ", "OR": " or ", "AND": " and ", "(": "(", ")": ")"}
    return eval("".join(words.get(token, str(token.replace("_WITH_", " WITH ") in AGREED)) for token in tokens))


def main() -> int:
    metadata = subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1"], check=True, capture_output=True, text=True
    )
    packages = [package for package in json.loads(metadata.stdout)["packages"] if package["source"]]
    wrong = [f"{p['name']} {p['version']} comes from {p['source']}" for p in packages if p["source"] != SOURCE]
    wrong += [
        f"{p['name']} {p['version']} has the licence {p['license'] or 'none'}"
        for p in packages
        if not agreed(p["license"] or "none")
    ]
    print("\n".join(wrong) or f"{len(packages)} dependencies, all from crates.io under agreed licences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
