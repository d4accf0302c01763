"""`[user@]host[:port]` and host patterns, as OpenSSH reads them, in one place.

What passes here ends up in the arguments of `ssh -G` and, as %h, %n and %r, in the
ProxyCommand lines of the user's own ssh_config, which a shell runs. So whatever a
shell or an option parser could take for more than a name is refused, by OpenSSH's own
rules (`ssh_valid_hostname` and `ssh_valid_ruser` in its readconf.c) or stricter ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

_SHELL = frozenset("'`\"$;&<>|(){}")
# "/" besides: a `%h` in UserKnownHostsFile must not lead out of its directory.
_NOT_IN_HOST = _SHELL | frozenset("\\,/")
# A backslash is allowed in a user name: DOMAIN\user is one.
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A machine as a user names it.

    Attributes:
        host: An ssh_config alias, a host name or an IP address without brackets.
        user: None: what ssh_config says. The same holds for the port.
    """

    host: str
    user: str | None = None
    port: int | None = None


def read(text: str) -> Address:
    """Read `host`, `user@host`, `user@host:port`, `[::1]:22`, `::1` or an ssh:// URI.

    Raises:
        ValueError: It is none of these, or a part of it could be taken for an option
            or for shell text. Says what is wrong, to go after "it".
    """
    uri = text.startswith("ssh://")
    rest = text.removeprefix("ssh://").removesuffix("/") if uri else text
    user, at, place = rest.rpartition("@")
    host, port = _host_and_port(place)
    if uri:
        user, host = unquote(user), unquote(host)
    return Address(
        host=check_host(host),
        user=check_user(user) if at else None,
        port=check_port(port) if port is not None else None,
    )


def _host_and_port(place: str) -> tuple[str, str | None]:
    if place.startswith("["):
        host, bracket, tail = place[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise ValueError('has a "[" without "]" or "]:port"')
        return host, tail[1:] if tail else None
    if place.count(":") > 1:  # an IPv6 address as it is
        return place, None
    host, colon, port = place.partition(":")
    return host, port if colon else None


def check_host(host: str) -> str:
    """Return the host.

    Raises:
        ValueError: It is empty, or a shell or an option parser could take it for more
            than a name.
    """
    if not host:
        raise ValueError("names no host")
    _refuse("host", host, _NOT_IN_HOST)
    if any(character.isspace() for character in host):
        raise ValueError("has white space in its host")
    return host


def check_user(user: str) -> str:
    """Return the user name.

    Raises:
        ValueError: It is empty, or a shell or an option parser could take it for more
            than a name.
    """
    if not user:
        raise ValueError("names no user")
    _refuse("user", user, _SHELL)
    if any(character.isspace() for character in user) or user.endswith("\\"):
        raise ValueError('has white space, or "\\" at the end, in its user')
    return user


def check_port(port: str) -> int:
    """Return the port as a number.

    Raises:
        ValueError: It is not a number from 1 to 65535.
    """
    digits = port.isascii() and port.isdigit() and len(port) <= len(str(_LAST_PORT))
    if not digits or not is_port(int(port)):
        raise ValueError(f"has a port that is not a number from 1 to {_LAST_PORT}")
    return int(port)


def is_port(number: int) -> bool:
    """Whether the number can be a TCP port."""
    return 1 <= number <= _LAST_PORT


def _refuse(part: str, text: str, forbidden: frozenset[str]) -> None:
    if text.startswith("-"):
        raise ValueError(f'has a {part} that begins with "-"')
    if not text.isprintable():
        raise ValueError(f"has control characters in its {part}")
    for character in text:
        if character in forbidden:
            raise ValueError(f"has {character} in its {part}")


def matches(patterns: Iterable[str], name: str) -> bool:
    """Whether a list of OpenSSH patterns (`*`, `?`, `!` in front) matches a name.

    A negated pattern that matches ends it: the list does not match.
    """
    name = name.lower()
    matched = False
    for pattern in patterns:
        negated = pattern.startswith("!")
        if _matches_one(pattern.removeprefix("!").lower(), name):
            if negated:
                return False
            matched = True
    return matched


def _matches_one(pattern: str, name: str) -> bool:
    """Match `*` and `?`; never worse than len(pattern) * len(name) steps."""
    at_pattern = at_name = 0
    star, star_name = -1, 0
    while at_name < len(name):
        wanted = pattern[at_pattern] if at_pattern < len(pattern) else ""
        if wanted == "*":
            star, star_name = at_pattern, at_name
            at_pattern += 1
        elif wanted in {"?", name[at_name]}:
            at_pattern += 1
            at_name += 1
        elif star >= 0:  # let the last star take one character more
            star_name += 1
            at_pattern, at_name = star + 1, star_name
        else:
            return False
    return not pattern[at_pattern:].strip("*")
