"""Writes sandbox_ops/text/token_shapes.py from the rules of gitleaks (MIT).

usage: python packaging/token_shapes.py gitleaks.toml >sandbox_ops/text/token_shapes.py

Left out are the rules that look at whole command lines, and the one for any assignment:
of a training's log they would mask what is no secret. Keywords that every log has are
replaced by longer ones.
"""

import re
import sys
import tomllib
from pathlib import Path

LEFT_OUT = {"generic-api-key", "curl-auth-header", "curl-auth-user"}
KEYWORDS = {  # by rule: a regular expression each, in the place of a word
    "jwt": ["eyj"],
    "twilio-api-key": ["sk[0-9a-f]{8}"],
    "vault-service-token": [r"hvs\."],
    "sendgrid-api-token": [r"sg\.[a-z0-9=_.-]{8}"],
    "azure-ad-client-secret": ["q~"],
}
HEAD = '''\
"""The shapes of tokens: (name, keywords, pattern, least entropy). Generated; do not edit.

From the rules of gitleaks, Copyright (c) 2019 Zachary Rice, under the MIT licence; see
packaging/token_shapes.py, which wrote this file. The licence:

{licence}
"""

# ruff: noqa: Q000
# fmt: off
SHAPES: tuple[tuple[str, tuple[str, ...], str, float], ...] = (
'''


def main(path: Path) -> None:
    """Print the module for a file of rules."""
    rules = tomllib.loads(path.read_text("utf-8"))["rules"]
    licence = path.with_name("LICENSE").read_text("utf-8").split("\n\n", 2)[2].strip()
    sys.stdout.write(HEAD.format(licence=licence))
    stems: set[str] = set()
    for rule in rules:
        name = rule["id"]
        if name in LEFT_OUT or "regex" not in rule:
            continue
        words = tuple(KEYWORDS.get(name) or map(re.escape, rule["keywords"]))
        row = (name, words, rule["regex"], float(rule.get("entropy", 0)))
        sys.stdout.write(f"    {row!r},\n")
        stems.update(_stem(word) for word in words)
    sys.stdout.write(")\n\n")
    sys.stdout.write(f"STEMS: tuple[str, ...] = {tuple(sorted(stems))!r}\n")
    sys.stdout.write('"""The plain text that each keyword begins with."""\n')


def _stem(word: str) -> str:
    plain = re.match(r"(?:\\.|[^\\\[(.?+*{|])+", word)
    if plain is None:
        sys.exit(f"a keyword begins with no plain text: {word}")
    return plain[0].replace("\\", "")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
