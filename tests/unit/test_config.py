"""Texts and variables in, sandboxes and a project out, or an error that names the key."""

import dataclasses
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops import config
from sandbox_ops.config import Config
from sandbox_ops.errors import ConfigError
from sandbox_ops.models import Project, SandboxConfig

EVERYTHING = """
default = "gpu1"

[sandboxes.gpu1]
host = "me@gpu1:2222"
identity_file = "~/.ssh/id"
known_hosts = "~/.ssh/known"
ssh_config = "/etc/ssh/other"
workspace = "/data/work/"

[sandboxes.cluster]
host = "login"
port = 22
user = "you"

[project]
repo = "git@github.com:me/bucket-brigade.git"
branch = "feature/x"
setup = ["uv sync"]
verify = []
outputs = ["models/", "results/*.json"]

[project.train]
command = "python train.py --steps {steps}"
"""


def _config(text: str = "", environ: Mapping[str, str] | None = None) -> Config:
    layer = config.from_toml(text, "sandbox.toml", "/project")
    alone = not layer.sandboxes
    variables = config.from_environment(environ or {}, ssh_names=alone)
    source = "the environment" if alone else "sandbox.toml"
    return config.combine(layer, variables, source=source, searched="none was found")


def _refused(text: str, environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as refused:
        _config(text, environ).sandbox()
    return str(refused.value)


def _refusal(text: str, environ: Mapping[str, str] | None = None) -> ConfigError | None:
    try:
        _config(text, environ)
    except ConfigError as error:
        return error
    return None


def _one(line: str) -> str:
    """A file with one sandbox and a line more."""
    return f'[sandboxes.gpu1]\nhost = "gpu1"\n{line}\n'


def test_every_key_of_the_file_arrives() -> None:
    found = _config(EVERYTHING)
    assert found.sandbox() == SandboxConfig(
        name="gpu1",
        host="gpu1",
        port=2222,
        user="me",
        identity_file="~/.ssh/id",
        known_hosts="~/.ssh/known",
        ssh_config="/etc/ssh/other",
        workspace="/data/work",
    )
    assert found.sandbox("cluster") == SandboxConfig(
        name="cluster", host="login", port=22, user="you"
    )
    assert found.project == Project(
        repo="git@github.com:me/bucket-brigade.git",
        branch="feature/x",
        setup=("uv sync",),
        verify=(),
        outputs=("models/", "results/*.json"),
        train_command="python train.py --steps {steps}",
    )


def test_every_key_is_an_attribute_and_has_a_variable_of_its_own() -> None:
    sandbox = {field.name for field in dataclasses.fields(SandboxConfig)} - {"name"}
    project = {field.name for field in dataclasses.fields(Project)} - {"root", "name"}
    fields = [key.field for key in config.KEYS]
    assert sorted(fields) == sorted(sandbox | project | {"default"})
    assert len({key.variable for key in config.KEYS}) == len(config.KEYS)


def test_every_key_takes_its_own_example() -> None:
    lines = [
        f"{key.path.replace('NAME', 'gpu1')} = {key.example}" for key in config.KEYS
    ]
    assert _config("\n".join(lines)).sandbox().name == "gpu1"


def test_every_value_can_come_from_a_variable_and_wins_over_the_file() -> None:
    found = _config(
        EVERYTHING,
        {
            "SANDBOX_OPS_SANDBOX": "cluster",
            "SANDBOX_OPS_HOST": "other",
            "SANDBOX_OPS_PORT": " 44 ",
            "SANDBOX_OPS_USER": "root",
            "SANDBOX_OPS_IDENTITY_FILE": "key",
            "SANDBOX_OPS_KNOWN_HOSTS": "known",
            "SANDBOX_OPS_SSH_CONFIG": "conf",
            "SANDBOX_OPS_WORKSPACE": "/w",
            "SANDBOX_OPS_REPO": "/srv/x.git",
            "SANDBOX_OPS_BRANCH": "dev",
            "SANDBOX_OPS_SETUP": "make a\n\n make b \n",
            "SANDBOX_OPS_VERIFY": "make check",
            "SANDBOX_OPS_OUTPUTS": "out/",
            "SANDBOX_OPS_TRAIN_COMMAND": "make train",
        },
    )
    assert found.sandbox() == SandboxConfig(
        name="cluster",
        host="other",
        port=44,
        user="root",
        identity_file="key",
        known_hosts="known",
        ssh_config="conf",
        workspace="/w",
    )
    assert found.sandbox("gpu1").host == "gpu1"
    assert found.project == Project(
        repo="/srv/x.git",
        branch="dev",
        setup=("make a", "make b"),
        verify=("make check",),
        outputs=("out/",),
        train_command="make train",
    )


def test_an_empty_variable_counts_as_not_set() -> None:
    environ = {"SANDBOX_OPS_HOST": "", "SANDBOX_OPS_PORT": " ", "SANDBOX_OPS_REPO": ""}
    assert _config(EVERYTHING, environ) == _config(EVERYTHING)


def test_a_variables_host_brings_its_own_user_and_port() -> None:
    found = _config(EVERYTHING, {"SANDBOX_OPS_HOST": "root@other:44"}).sandbox()
    assert (found.host, found.user, found.port) == ("other", "root", 44)


def test_within_one_source_the_separate_keys_win_over_the_host() -> None:
    text = '[sandboxes.a]\nhost = "me@a:1"\nport = 2\nuser = "you"'
    found = _config(text).sandbox()
    assert (found.host, found.user, found.port) == ("a", "you", 2)


def test_a_variable_can_give_the_host_that_the_file_leaves_out() -> None:
    text = '[sandboxes.gpu1]\nworkspace = "/w"\n'
    found = _config(text, {"SANDBOX_OPS_HOST": "gpu1"}).sandbox()
    assert (found.name, found.host, found.workspace) == ("gpu1", "gpu1", "/w")


def test_ssh_variables_make_a_sandbox_where_no_file_describes_one() -> None:
    environ = {"SSH_HOST": "me@gpu1", "SSH_PORT": "2222", "SSH_KEY_PATH": "~/.ssh/id"}
    expected = SandboxConfig(
        name="default", host="gpu1", user="me", port=2222, identity_file="~/.ssh/id"
    )
    assert _config("", environ).sandbox() == expected
    assert _config('[project]\nbranch = "x"', environ).sandbox("default") == expected
    assert _config(EVERYTHING, environ) == _config(EVERYTHING)


def test_our_own_names_win_over_the_ssh_names() -> None:
    environ = {"SSH_HOST": "a@b:1", "SANDBOX_OPS_HOST": "c", "SANDBOX_OPS_PORT": "2"}
    found = _config("", environ).sandbox()
    assert (found.host, found.user, found.port) == ("c", "a", 2)


def test_a_single_sandbox_is_the_default_one() -> None:
    assert _config(_one("")).sandbox().name == "gpu1"


def test_without_any_sandbox_the_error_shows_what_to_write() -> None:
    assert _refused("") == (
        "no sandbox is configured: none was found\n"
        "Write these three lines to sandbox.toml, with your machine for me@gpu1:\n"
        '    default = "gpu1"\n'
        "    [sandboxes.gpu1]\n"
        '    host = "me@gpu1"\n'
        "or name the machine in the environment: export SSH_HOST=me@gpu1"
    )


def test_the_lines_that_the_error_shows_do_work() -> None:
    lines = [line.strip() for line in _refused("").splitlines()[2:5]]
    assert _config("\n".join(lines)).sandbox() == SandboxConfig(
        name="gpu1", host="gpu1", user="me"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            _one('prot = "22"'),
            (
                "sandbox.toml: unknown key `sandboxes.gpu1.prot`: expected one of host, "
                "identity_file, known_hosts, port, ssh_config, user, workspace\n"
                "Did you mean `sandboxes.gpu1.port`?"
            ),
        ),
        (
            _one("Identity-File = 1"),
            (
                "sandbox.toml: unknown key `sandboxes.gpu1.Identity-File`: expected one of "
                "host, identity_file, known_hosts, port, ssh_config, user, workspace\n"
                "Did you mean `sandboxes.gpu1.identity_file`?"
            ),
        ),
        (
            '[sandbox.gpu1]\nhost = "gpu1"\n',
            (
                "sandbox.toml: unknown key `sandbox`: expected one of default, project, "
                "sandboxes\nDid you mean `sandboxes`?"
            ),
        ),
        (
            'workspace = "/w"\n',
            (
                "sandbox.toml: unknown key `workspace`: expected one of default, project, "
                "sandboxes\nDid you mean `sandboxes.NAME.workspace`?"
            ),
        ),
        (
            _one("xyzzy = 1"),
            (
                "sandbox.toml: unknown key `sandboxes.gpu1.xyzzy`: expected one of host, "
                "identity_file, known_hosts, port, ssh_config, user, workspace\n"
                "Remove it, or write one of those."
            ),
        ),
        (
            '"sandboxes.NAME.host" = "x"\n',
            (
                'sandbox.toml: unknown key `"sandboxes.NAME.host"`: expected one of '
                "default, project, sandboxes\nDid you mean `sandboxes`?"
            ),
        ),
        (
            _one('port = "22"'),
            (
                'sandbox.toml: `sandboxes.gpu1.port` is "22": expected a number from 1 to '
                "65535\nFor example: port = 2222"
            ),
        ),
        (
            _one("port = 65536"),
            (
                "sandbox.toml: `sandboxes.gpu1.port` is 65536: expected a number from 1 to "
                "65535\nFor example: port = 2222"
            ),
        ),
        (
            _one("port = true"),
            (
                "sandbox.toml: `sandboxes.gpu1.port` is true: expected a number from 1 to "
                "65535\nFor example: port = 2222"
            ),
        ),
        (
            '[project]\nsetup = "uv sync"\n',
            (
                'sandbox.toml: `project.setup` is "uv sync": expected a list of commands\n'
                'For example: setup = ["uv sync"]'
            ),
        ),
        (
            "[project]\nsetup = [1]\n",
            (
                "sandbox.toml: `project.setup` is [1]: expected a list of commands\n"
                'For example: setup = ["uv sync"]'
            ),
        ),
        (
            '[project]\ntrain = "make"\n',
            (
                'sandbox.toml: `project.train` is "make": expected a table\n'
                "Write [project.train], and its keys below."
            ),
        ),
        (
            "[[sandboxes]]\n",
            (
                "sandbox.toml: `sandboxes` is [{}]: expected a table\n"
                "Write [sandboxes], and its keys below."
            ),
        ),
        (
            '[project]\nbranch = {x = "y"}\n',
            (
                'sandbox.toml: `project.branch` is {"x": "y"}: expected the name of a '
                'branch\nFor example: branch = "main"'
            ),
        ),
        (
            _one('workspace = "~/work"'),
            (
                'sandbox.toml: `sandboxes.gpu1.workspace` is "~/work": it is not absolute; '
                "expected an absolute path on the sandbox\n"
                'For example: workspace = "/workspace"'
            ),
        ),
        (
            '[sandboxes.gpu1]\nhost = "-oProxyCommand=x"\n',
            (
                'sandbox.toml: `sandboxes.gpu1.host` is "-oProxyCommand=x": it has a host '
                'that begins with "-"; expected an ssh_config alias, host, user@host or '
                'user@host:port\nFor example: host = "me@gpu1"'
            ),
        ),
        (
            "[sandboxes.gpu1]\n",
            (
                "sandbox.toml: key `sandboxes.gpu1.host` is missing: expected an ssh_config "
                "alias, host, user@host or user@host:port\n"
                'Write it below [sandboxes.gpu1]. For example: host = "me@gpu1"'
            ),
        ),
        (
            '[sandboxes.a]\nhost = "a"\n[sandboxes.b]\nhost = "b"\n',
            (
                "sandbox.toml: key `default` is missing: expected one of a, b\n"
                'Write it at the top, default = "a", or name one: --sandbox a'
            ),
        ),
        (
            f'default = "gpu2"\n{_one("")}',
            (
                'sandbox.toml: `default` is "gpu2": expected one of gpu1\n'
                "Did you mean `gpu1`?"
            ),
        ),
        (
            'default = "gpu1"\n',
            (
                'sandbox.toml: `default` is "gpu1": no sandbox is described\n'
                "Describe it in a table [sandboxes.gpu1]."
            ),
        ),
        (
            '[sandboxes."a b"]\nhost = "a"\n',
            (
                'sandbox.toml: [sandboxes."a b"]: the name of a sandbox has other '
                "characters than letters, digits and . _ -\n"
                "Give it a plain name, such as gpu1."
            ),
        ),
        (
            "default = gpu1\n",
            (
                "sandbox.toml: not TOML: Invalid value (at line 1, column 11)\n"
                "Mend that line; https://toml.io shows how values are written."
            ),
        ),
    ],
)
def test_what_is_wrong_in_the_file_is_told_whole(text: str, message: str) -> None:
    assert _refused(text) == message


def test_a_wrong_variable_is_told_by_its_name() -> None:
    assert _refused(_one(""), {"SANDBOX_OPS_PORT": "x"}) == (
        'environment variable SANDBOX_OPS_PORT is "x": expected a number from 1 to '
        "65535\nSet it to something else, or unset it."
    )
    assert _refused("", {"SSH_HOST": "me@gpu1;id"}) == (
        'environment variable SSH_HOST is "me@gpu1;id": it has ; in its host; expected '
        "an ssh_config alias, host, user@host or user@host:port\n"
        "Set it to something else, or unset it."
    )


def test_what_a_message_shows_hides_nothing() -> None:
    assert '"a\\u202eb\\udcff\\u001b"' in _refused(
        "", {"SSH_HOST": "a\u202eb\udcff\x1b"}
    )


def test_an_unknown_sandbox_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError) as refused:
        _config(EVERYTHING).sandbox("gpu2")
    assert str(refused.value) == (
        'sandbox "gpu2": expected one of gpu1, cluster, which sandbox.toml describes\n'
        "Did you mean `gpu1`?"
    )
    assert _refused("", {"SSH_HOST": "a", "SANDBOX_OPS_SANDBOX": "gpu1"}) == (
        'environment variable SANDBOX_OPS_SANDBOX is "gpu1": expected one of default, '
        "which the environment describes\n"
        "Describe it in sandbox.toml, in a table [sandboxes.gpu1]."
    )


@pytest.mark.parametrize(
    "line",
    [
        'repo = "--upload-pack=x"',
        'repo = "ext::sh -c id"',
        'repo = ""',
        'branch = "-x"',
        'branch = "a..b"',
        'branch = "a b"',
        'branch = "a.lock"',
        'branch = "a@{1}"',
        'outputs = ["/etc"]',
        'outputs = ["../x"]',
        'outputs = ["a/../../x"]',
        'outputs = ["~/x"]',
        'outputs = ["-rf"]',
        'outputs = [".git/hooks"]',
        'outputs = ["a/.GIT/hooks"]',
        'outputs = ["a\\nb"]',
        'setup = ["a\\u0000b"]',
        'setup = [" "]',
        'train = {command = ""}',
    ],
)
def test_a_value_that_could_do_more_than_it_says_is_refused(line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        _config(f"[project]\n{line}\n")
    assert refused.value.message.startswith("sandbox.toml: `project.")


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    error = _refusal(text)
    assert not error or error.message.startswith("sandbox.toml: ")
    assert not error or error.hint


_VALUES = st.recursive(
    st.sampled_from(['"gpu1"', '"a b"', '""', "22", "0", "true", "1.5", '"/w"', "nan"]),
    lambda inner: st.lists(inner, max_size=2).map(
        lambda items: f"[{', '.join(items)}]"
    ),
    max_leaves=3,
)
_NAMES = st.lists(
    st.sampled_from(
        ["default", "sandboxes", "gpu1", "host", "port", "project", "train", "setup"]
    ),
    min_size=1,
    max_size=3,
).map(".".join)


@given(st.lists(st.tuples(_NAMES, _VALUES), max_size=4))
def test_any_toml_is_read_or_refused(pairs: list[tuple[str, str]]) -> None:
    text = "\n".join(f"{name} = {value}" for name, value in pairs)
    error = _refusal(text)
    assert not error or error.message.startswith("sandbox.toml: ")
    assert not error or error.hint


@given(st.dictionaries(st.sampled_from([k.variable for k in config.KEYS]), st.text()))
def test_any_environment_is_read_or_refused(environ: dict[str, str]) -> None:
    error = _refusal(_one(""), environ)
    assert not error or error.message.startswith("environment variable SANDBOX_OPS_")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("git@github.com:me/bucket-brigade.git", "bucket-brigade"),
        ("git@host:thing.git", "thing"),
        ("ssh://git@host:22/me/thing.git/", "thing"),
        ("https://github.com/me/thing", "thing"),
        ("https://me:token@github.com/me/th.ing_2.git", "th.ing_2"),
        ("/srv/git/thing.git", "thing"),
        ("/home/me/thing/.git", "thing"),
        ("file:///srv/thing.git", "thing"),
        ("../thing/", "thing"),
    ],
)
def test_a_project_is_named_like_the_end_of_its_url(url: str, name: str) -> None:
    assert config.project_name(url) == name


@pytest.mark.parametrize(
    "url", ["", "/", "..", "git@host:", "/x/.git/..", "https://h/a b.git", "h:a;b"]
)
def test_a_url_that_names_no_folder_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config.project_name(url)
    assert refused.value.message == (
        f"the repository {url!r} gives the project no name: the last part of the URL, "
        "without .git, may have letters, digits and . _ - only"
    )


@given(st.text())
def test_any_url_names_a_folder_or_is_refused(url: str) -> None:
    try:
        name = config.project_name(url)
    except ConfigError:
        return
    assert "/" not in name
    assert name not in {"", ".", ".."}
