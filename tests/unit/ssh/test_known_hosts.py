"""known_hosts, with ssh-keygen as the oracle."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.errors import HostKeyError, NextStep, UsageError
from sandbox_ops.ssh import host_key_check, known_hosts
from sandbox_ops.ssh.host_key_check import Trust, Verdict


@dataclass(frozen=True)
class Key:
    type: str
    base64: str
    fingerprint: str

    @property
    def text(self) -> str:
        return f"{self.type} {self.base64}"


def _keygen(*arguments: str) -> str:
    return subprocess.run(
        ("ssh-keygen", *arguments), capture_output=True, text=True, check=False
    ).stdout


def _key(folder: Path, name: str, kind: str) -> Key:
    file = folder / name
    _keygen("-q", "-t", kind, "-N", "", "-f", str(file))
    key_type, base64, *_ = file.with_suffix(".pub").read_text().split()
    return Key(key_type, base64, _keygen("-lf", f"{file}.pub").split()[1])


@pytest.fixture(scope="module")
def ed25519(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return _key(tmp_path_factory.mktemp("keys"), "first", "ed25519")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return _key(tmp_path_factory.mktemp("keys"), "other", "ed25519")


@pytest.fixture(scope="module")
def ecdsa(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return _key(tmp_path_factory.mktemp("keys"), "third", "ecdsa")


def _check(
    text: str, key: Key, host: str = "gpu1", port: int = 22, alias: str = ""
) -> Verdict:
    entries = known_hosts.read(text, "known_hosts")
    return host_key_check.check(entries, host, port, key.type, key.base64, alias=alias)


def test_a_fingerprint_is_the_one_that_ssh_keygen_prints(
    ed25519: Key, ecdsa: Key
) -> None:
    assert known_hosts.fingerprint(ed25519.base64) == ed25519.fingerprint
    assert known_hosts.fingerprint(ecdsa.base64) == ecdsa.fingerprint


HOSTS_FIELDS = [
    "gpu1",
    "GPU1",
    "other,gpu1",
    "gpu1,other",
    "gpu?",
    "*",
    "*.org,gpu*",
    "*,!gpu1",
    "!gpu1,*",
    "!other,*",
    "[gpu1]:22",
    "[gpu1]:2222",
    "[gpu1]:*",
    "[gpu*]:22*",
    "gpu",
    "gpu11",
    "10.0.0.1",
    "10.0.*",
    "::1",
    "[::1]:2222",
    "|1|broken",
    "|1|AAAA|AAAA",
    "|2|AAAA|AAAA",
]


@pytest.mark.parametrize("hosts", HOSTS_FIELDS)
@pytest.mark.parametrize("marker", ["", "@revoked ", "@cert-authority ", "@else "])
def test_a_line_names_the_hosts_that_ssh_keygen_finds_in_it(
    hosts: str, marker: str, ed25519: Key, tmp_path: Path
) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"{marker}{hosts} {ed25519.text} a comment\n")
    for host, port in (("gpu1", 22), ("gpu1", 2222), ("10.0.0.1", 22), ("::1", 2222)):
        name = known_hosts.lookup_name(host, port)
        result = "# Host" in _keygen("-F", name, "-f", str(file))
        entries = known_hosts.read(file.read_text(), "known_hosts")
        assert any(known_hosts.names(entry, name) for entry in entries) is result


@pytest.mark.parametrize("port", [22, 2222])
def test_a_hashed_file_is_read_like_the_plain_one(
    port: int, ed25519: Key, other: Key, tmp_path: Path
) -> None:
    file = tmp_path / "known_hosts"
    line = known_hosts.known_hosts_line("GPU1", port, ed25519.type, ed25519.base64)
    file.write_text(f"{line}\n")
    _keygen("-H", "-f", str(file))
    text = file.read_text()
    assert "gpu1" not in text
    assert _check(text, ed25519, port=port).ok
    assert _check(text, other, port=port).trust is Trust.CHANGED
    assert _check(text, ed25519, host="gpu2", port=port).trust is Trust.UNKNOWN


@pytest.mark.parametrize("port", [22, 2222])
@pytest.mark.parametrize("salt", [b"", b"0123456789abcdefghij"])
@pytest.mark.parametrize("host", ["gpu1", "::1", "10.0.0.1"])
def test_a_line_we_write_is_found_by_ssh_keygen(
    host: str, salt: bytes, port: int, ed25519: Key, tmp_path: Path
) -> None:
    line = known_hosts.known_hosts_line(
        host, port, ed25519.type, ed25519.base64, salt=salt
    )
    file = tmp_path / "known_hosts"
    file.write_text(f"{line}\n")
    name = known_hosts.lookup_name(host, port)
    assert ed25519.base64 in _keygen("-F", name, "-f", str(file))
    assert _check(line, ed25519, host, port).ok


def test_a_line_that_would_trust_more_than_one_machine_is_not_written() -> None:
    with pytest.raises(UsageError, match="it is not one machine's name"):
        known_hosts.known_hosts_line("*", 22, "ssh-ed25519", "AAAA")
    with pytest.raises(UsageError, match="it is not one machine's name"):
        known_hosts.known_hosts_line("a", 22, "ssh-ed25519", "AAAA", alias="a,b")


def test_a_changed_key_is_reported_with_file_line_and_both_fingerprints(
    ed25519: Key, other: Key
) -> None:
    verdict = _check(f"# mine\n\ngpu1 {ed25519.text}\n", other)
    assert verdict == Verdict(
        trust=Trust.CHANGED,
        name="gpu1",
        key_type="ssh-ed25519",
        fingerprint=other.fingerprint,
        file="known_hosts",
        line=3,
        expected_type="ssh-ed25519",
        expected_fingerprint=ed25519.fingerprint,
    )


def test_another_type_on_record_is_a_changed_key_as_in_openssh(
    ed25519: Key, ecdsa: Key
) -> None:
    verdict = _check(f"gpu1 {ecdsa.text}\n", ed25519)
    assert verdict.trust is Trust.CHANGED
    assert verdict.expected_type == "ecdsa-sha2-nistp256"


def test_of_several_keys_on_record_the_one_of_the_same_type_is_reported(
    ed25519: Key, other: Key, ecdsa: Key
) -> None:
    verdict = _check(f"gpu1 {ecdsa.text}\ngpu1 {other.text}\n", ed25519)
    assert (verdict.trust, verdict.line) == (Trust.CHANGED, 2)


def test_one_right_key_among_wrong_ones_is_trusted(ed25519: Key, other: Key) -> None:
    assert _check(f"gpu1 {other.text}\ngpu1 {ed25519.text}\n", ed25519).ok


def test_a_revoked_key_is_refused_wherever_else_it_is_listed(ed25519: Key) -> None:
    trusted = f"gpu1 {ed25519.text}\n"
    for text in (
        f"{trusted}@revoked * {ed25519.text}",
        f"@revoked gpu1 {ed25519.text}",
    ):
        assert _check(text, ed25519).trust is Trust.REVOKED
    assert _check(f"{trusted}@revoked gpu2 {ed25519.text}", ed25519).ok
    assert _check(f"@revoked gpu1 {ed25519.text}", ed25519, port=2222).trust is (
        Trust.REVOKED
    )


def test_another_key_revoked_does_not_matter(ed25519: Key, other: Key) -> None:
    assert _check(f"@revoked * {other.text}\ngpu1 {ed25519.text}", ed25519).ok


def test_a_certificate_authority_is_neither_a_key_nor_a_changed_one(
    ed25519: Key, other: Key
) -> None:
    text = f"@cert-authority * {ed25519.text}\n"
    assert _check(text, ed25519).trust is Trust.UNKNOWN
    assert _check(text, other).trust is Trust.UNKNOWN
    assert _check(f"{text}gpu1 {other.text}\n", other).ok


def test_a_port_without_an_entry_of_its_own_takes_the_hosts_key(
    ed25519: Key, other: Key
) -> None:
    text = f"gpu1 {ed25519.text}\n"
    assert _check(text, ed25519, port=2222).ok
    assert _check(text, other, port=2222).trust is Trust.UNKNOWN
    both = f"{text}[gpu1]:2222 {other.text}\n"
    assert _check(both, ed25519, port=2222).trust is Trust.CHANGED
    assert _check(both, other, port=2222).ok
    assert _check(f"[gpu1]:2222 {other.text}", other).trust is Trust.UNKNOWN


def test_a_host_key_alias_stands_for_host_and_port(ed25519: Key) -> None:
    text = f"my-box {ed25519.text}\n"
    assert _check(text, ed25519, "10.0.0.7", 2222, alias="My-Box").ok
    assert _check(text, ed25519, "my-box", 22, alias="else").trust is Trust.UNKNOWN


def test_broken_lines_are_passed_over(ed25519: Key, ecdsa: Key) -> None:
    broken = (
        "gpu1",
        "gpu1 ssh-ed25519",
        "gpu1 ssh-ed25519 !!!!",
        "gpu1 ssh-ed25519 é",
        f"gpu1 ssh-rsa {ed25519.base64}",
        f"gpu1 ecdsa-sha2-nistp256 {ed25519.base64}",
        f"@else gpu1 {ecdsa.text}",
        f"@revoked @revoked gpu1 {ed25519.text}",
        f"#gpu1 {ecdsa.text}",
        "gpu1 1024 35 12345",
        "\0\x85\u2028",
    )
    text = "\r\n".join((*broken, f"\t gpu1\t{ed25519.text} me"))
    entries = known_hosts.read(text, "known_hosts")
    assert [entry.line for entry in entries] == [len(broken) + 1]
    assert _check(text, ed25519).ok


def test_the_types_on_record_are_reported_in_their_order(
    ed25519: Key, other: Key, ecdsa: Key
) -> None:
    text = (
        f"@cert-authority * {ed25519.text}\n[gpu1]:2222 {ecdsa.text}\n"
        f"[gpu1]:2222 {other.text}\n[gpu1]:2222 {ed25519.text}\ngpu1 {other.text}\n"
    )
    entries = known_hosts.read(text, "known_hosts")
    both = ("ecdsa-sha2-nistp256", "ssh-ed25519")
    assert host_key_check.key_types_known(entries, "gpu1", 2222) == both
    assert host_key_check.key_types_known(entries, "gpu1", 22) == ("ssh-ed25519",)
    assert host_key_check.key_types_known(entries, "gpu1", 44) == ("ssh-ed25519",)
    assert host_key_check.key_types_known(entries, "gpu2", 22) == ()


def test_a_changed_key_is_refused_with_the_commands_that_fix_it(
    ed25519: Key, other: Key
) -> None:
    verdict = _check(f"[gpu1]:2222 {ed25519.text}", other, port=2222)
    error = host_key_check.refusal(
        verdict, machine="me@gpu1:2222", trust=NextStep("trust", {"sandbox": "gpu1"})
    )
    assert isinstance(error, HostKeyError)
    assert str(error) == (
        "the host key of me@gpu1:2222 changed: it showed ssh-ed25519 "
        f"{other.fingerprint}, and known_hosts:1 says ssh-ed25519 "
        f"{ed25519.fingerprint} for [gpu1]:2222. Nothing was sent.\n"
        "Somebody may stand between you and the machine. If you know that it was "
        "reinstalled, forget the old key and look at the new one:\n"
        "    ssh-keygen -R '[gpu1]:2222' -f known_hosts\n"
        "sandbox-ops trust --sandbox gpu1"
    )


def test_an_unknown_key_is_refused_with_the_command_that_trusts_it(
    ed25519: Key,
) -> None:
    error = host_key_check.refusal(
        _check("", ed25519),
        machine="gpu1",
        trust=NextStep("trust", {"sandbox": "gpu1"}),
    )
    assert str(error) == (
        f"the host key of gpu1 is not known: it showed ssh-ed25519 "
        f"{ed25519.fingerprint}, and no known_hosts file names gpu1. "
        "Nothing was sent.\n"
        "Compare the fingerprint with the machine's own, and trust it: "
        "sandbox-ops trust --sandbox gpu1"
    )


def test_a_revoked_key_is_refused_without_a_way_round(ed25519: Key) -> None:
    error = host_key_check.refusal(
        _check(f"@revoked * {ed25519.text}", ed25519),
        machine="gpu1",
        trust=NextStep("trust", {"sandbox": "gpu1"}),
    )
    assert "revoked at known_hosts:1" in error.message
    assert "sandbox-ops trust" not in str(error)


@given(st.text() | st.text("@|*!, 1AB=\t\n").map(lambda text: text * 2))
def test_any_text_is_read(text: str) -> None:
    entries = known_hosts.read(text, "known_hosts")
    assert host_key_check.key_types_known(entries, "gpu1", 22) == ()


@given(st.text(), st.binary(max_size=40))
def test_any_line_around_a_good_one_leaves_it_good(junk: str, salt: bytes) -> None:
    blob = "AAAAC3NzaC1lZDI1NTE5AAAAIA5DP+Dmb8OiKRJt+VXOVjzXbTr1LGwIt5+HKg9lplBT"
    line = known_hosts.known_hosts_line("gpu1", 22, "ssh-ed25519", blob, salt=salt)
    entries = known_hosts.read(f"{junk}\n{line}\n{junk}", "known_hosts")
    assert host_key_check.check(entries, "gpu1", 22, "ssh-ed25519", blob).ok
