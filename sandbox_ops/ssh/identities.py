"""Which keys are offered, and in what order: as ssh(1) decides it.

Certificates first, then the agent's keys that ssh_config names, then the agent's others
(not with IdentitiesOnly), then keys that are in files alone. A key whose passphrase
nobody knows yet comes last of all, so that nobody is asked for nothing.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import paramiko
from paramiko.agent import AgentKey
from paramiko.pkey import PublicBlob

from sandbox_ops.ssh import algorithms, key_files
from sandbox_ops.ssh.key_files import KeyFile
from sandbox_ops.ssh.resolved_host import ResolvedHost

_CERTIFICATE = "-cert-v01@openssh.com"
_USUAL = (
    "id_rsa",
    "id_ecdsa",
    "id_ecdsa_sk",
    "id_ed25519",
    "id_ed25519_sk",
    "id_xmss",
    "id_dsa",
)
"""What ssh tries where nobody named a key: that they are missing is no news."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A key, and how to name it to its owner."""

    description: str
    key: paramiko.PKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """What there is to log in with.

    Attributes:
        offers: In the order to try.
        locked: Files that want a passphrase first.
        unused: What was named and cannot be offered: a line each, with the reason.
        cures: The commands that make usable what is not.
    """

    offers: tuple[Offer, ...] = ()
    locked: tuple[KeyFile, ...] = ()
    unused: tuple[str, ...] = ()
    cures: tuple[str, ...] = ()


def gather(
    resolved: ResolvedHost,
    held: Sequence[AgentKey],
    opened: Mapping[str, paramiko.PKey],
    user_keys: Sequence[str] = (),
) -> Identities:
    """Decide what is offered to a machine.

    Args:
        resolved: What ssh_config says of it.
        held: What the agent holds.
        opened: Keys that wanted a passphrase and were given it, by path.
        user_keys: Algorithms that a key may be used with; empty: any.
    """
    files = [key_files.read(path) for path in resolved.identity_files]
    keys = _from_files(files, opened)
    asked = _agent_keys_to_offer(resolved, files, held)
    in_agent = {key.blob for key in asked}
    certificates, orphans = _certificates(resolved, files, asked, keys)
    usable = [file for file in files if not file.unusable]
    wanted = [file for file in usable if file.public not in in_agent or not file.public]
    of_files = [Offer(f.path, keys[f.path]) for f in wanted if f.path in keys]
    of_agent = [_of_agent(key) for key in asked]
    if resolved.identities_first and of_files:
        of_agent, of_files = of_files, of_agent
    offers, excluded = [], []
    for offer in (*certificates, *of_agent, *of_files):
        objection = _objection(offer.key, resolved, user_keys)
        if objection:
            excluded.append(f"{offer.description}: {objection}")
        else:
            offers.append(offer)
    return Identities(
        offers=tuple(offers),
        locked=tuple(f for f in wanted if f.locked and f.path not in keys),
        unused=(*orphans, *excluded, *_unused(resolved, files, keys, in_agent)),
        cures=tuple(file.cure for file in files if file.cure),
    )


def _objection(
    key: paramiko.PKey, resolved: ResolvedHost, user_keys: Sequence[str]
) -> str:
    """Return why ssh_config lets a key not be used; "" where it may."""
    plain = key.blob if isinstance(key, AgentKey) else key.asbytes()
    certificate = key.public_blob.key_blob if key.public_blob is not None else b""
    key_type = key_files.key_type(certificate or plain)
    # both are of one type, but for how an RSA key's certificate calls itself
    if user_keys and not algorithms.accepts_key(key_type, user_keys):
        return f"PubkeyAcceptedAlgorithms of ssh_config leaves {key_type} out"
    bits = key_files.rsa_bits(plain)
    if 0 < bits < resolved.required_rsa_bits:
        return (
            f"it has {bits} bits, and RequiredRSASize of ssh_config is "
            f"{resolved.required_rsa_bits}"
        )
    return ""


def _from_files(
    files: Sequence[KeyFile], opened: Mapping[str, paramiko.PKey]
) -> dict[str, paramiko.PKey]:
    keys = dict(opened)
    for file in files:
        if not file.unusable and not file.locked and (key := file.open()) is not None:
            keys[file.path] = key
    return keys


def _agent_keys_to_offer(
    resolved: ResolvedHost, files: Sequence[KeyFile], held: Sequence[AgentKey]
) -> list[AgentKey]:
    """Return the agent's keys that may be offered, those of ssh_config first."""
    named = [key for file in files for key in held if _is_for(key.blob, file.public)]
    asked = {key.blob: key for key in named}
    if not resolved.identities_only:
        asked |= {key.blob: key for key in held if key.blob not in asked}
    return list(asked.values())


def _of_agent(key: AgentKey) -> Offer:
    comment = f" {key.comment!r}" if key.comment else ""
    return Offer(f"the agent's {key.get_name()}{comment}", key)


def _is_for(held: bytes, public: bytes) -> bool:
    return bool(public) and (held == public or key_files.certifies(held, public))


def _certificates(
    resolved: ResolvedHost,
    files: Sequence[KeyFile],
    held: Sequence[AgentKey],
    keys: Mapping[str, paramiko.PKey],
) -> tuple[list[Offer], list[str]]:
    """Return certificates with the keys that sign for them, and those without one."""
    offers, orphans = [], []
    beside = (f"{file.path}-cert.pub" for file in files)
    for path in (*resolved.certificate_files, *filter(_is_file, beside)):
        blob = key_files.public_blob(path)
        signer = _signer(blob, files, held, keys) if blob else None
        if signer is not None:
            offers.append(Offer(f"the certificate {path}", _certified(signer, blob)))
        elif blob:
            orphans.append(f"{path}: the key that it certifies is not there, or locked")
        else:
            orphans.append(f"{path}: holds no certificate")
    return offers, orphans


def _signer(
    certificate: bytes,
    files: Sequence[KeyFile],
    held: Sequence[AgentKey],
    keys: Mapping[str, paramiko.PKey],
) -> paramiko.PKey | None:
    for agent_key in held:
        if key_files.certifies(certificate, agent_key.blob):
            return agent_key
    for file in files:
        key = keys.get(file.path)
        if key is not None and key_files.certifies(certificate, key.asbytes()):
            return key
    return None


def _certified(key: paramiko.PKey, certificate: bytes) -> paramiko.PKey:
    """Return a copy of the key that shows the certificate for its public half."""
    if isinstance(key, AgentKey):
        copied: paramiko.PKey = type(key)(key.agent, key.blob, key.comment)
    else:
        copied = copy.copy(key)
    copied.public_blob = PublicBlob(key_files.key_type(certificate), certificate)
    return copied


def _unused(
    resolved: ResolvedHost,
    files: Sequence[KeyFile],
    keys: Mapping[str, paramiko.PKey],
    in_agent: set[bytes],
) -> Iterator[str]:
    for file in files:
        why = file.unusable
        if not why and not file.locked and file.path not in keys:
            why = "is damaged, or cannot be read"
        absent = why == "no such file" and Path(file.path).name in _USUAL
        if why and not absent and file.public not in in_agent:
            yield f"{file.path}: {why}"
    if "PKCS11Provider" in resolved.not_honoured:
        yield (
            "PKCS11Provider: only ssh and ssh-agent can ask a smart card; let the agent "
            "do it: ssh-add -s PROVIDER"
        )


def _is_file(path: str) -> bool:
    return Path(path).is_file()
