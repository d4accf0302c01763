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
    "authress-service-client-access-key": [
        r"sc_[a-z0-9]{5,30}\.[a-z0-9]{4,6}\.acc",
        r"ext_[a-z0-9]{5,30}\.[a-z0-9]{4,6}\.acc",
        "scauth_",
        "authress_",
    ],
    "lob-api-key": ["test_[a-f0-9]{35}", "live_[a-f0-9]{35}"],
    "lob-pub-api-key": ["test_pub_[a-f0-9]{8}", "live_pub_[a-f0-9]{8}"],
    "gocardless-api-token": ["gocardless"],
}
END = r"""(?:[\x60'"\s;]|\\[nr]|$)"""
PATTERNS = {
    # by rule: of what has a keyword of its own, but is known by another word far before it: in
    # a stream that word may be gone already, and `lob` is in every `global`
    "defined-networking-api-token": r"(?i)\b(dnkey-[a-z0-9=_\-]{26}-[a-z0-9=_\-]{52})"
    + END,
    "lob-api-key": r"(?i)\b((?:live|test)_[a-f0-9]{35})" + END,
    "lob-pub-api-key": r"(?i)\b((?:live|test)_pub_[a-f0-9]{31})" + END,
    "new-relic-browser-api-token": r"(?i)\b(NRJS-[a-f0-9]{19})" + END,
    "new-relic-insert-key": r"(?i)\b(NRII-[a-z0-9-]{32})" + END,
    "new-relic-user-api-key": r"(?i)\b(NRAK-[a-z0-9]{27})" + END,
    "typeform-api-token": r"(?i)\b(tfp_[a-z0-9\-_\.=]{59})" + END,
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
        pattern = PATTERNS.get(name, rule["regex"])
        row = (name, words, pattern, float(rule.get("entropy", 0)))
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
