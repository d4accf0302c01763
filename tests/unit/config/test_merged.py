"""Texts and variables in, sandboxes and a project out, or an error that names the key."""

import dataclasses
import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops import config
from sandbox_ops.config import Config, Source
from sandbox_ops.errors import ConfigError
from sandbox_ops.models import Project, SandboxConfig

AT_THE_TOP = ", ".join(sorted({key.path.split(".")[0] for key in config.KEYS}))
OF_A_SANDBOX = ", ".join(
    sorted(
        {
            key.path.split(".")[2]
            for key in config.KEYS
            if key.path.startswith("sandboxes.NAME.")
        }
    )
)
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
metrics = ['score (?P<score>[0-9.]+)']
progress = ['sweep (?P<step>[0-9]+)', '(?P<step>[0-9]+) of (?P<total>[0-9]+)']
"""


def _source(text: str, project: str = "") -> Source:
    return Source(
        name="sandbox.toml", project=project, folder="/project", home="/home", text=text
    )


def _config(text: str = "", environ: Mapping[str, str] | None = None) -> Config:
    """What a file of the user's own and the environment make together."""
    layer = config.from_toml(_source(text))
    alone = not layer.sandboxes
    variables = config.from_environment(
        environ or {}, ssh_names=alone, folder="/cwd", home="/home"
    )
    return config.combine(
        [layer],
        variables[:-1],
        variables[-1:],
        source="the environment" if alone else "sandbox.toml",
        searched="none was found",
        user_file="own.toml",
    )


def _both(own: str, project: str, environ: Mapping[str, str] | None = None) -> Config:
    """What the user's own file, a project's and the environment make together."""
    layers = [config.from_toml(_source(own)), config.from_toml(_source(project, "/p"))]
    variables = config.from_environment(environ or {}, ssh_names=False)
    return config.combine(layers, (), variables, source="both", searched="none")


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
    result = _config(EVERYTHING)
    assert result.sandbox() == SandboxConfig(
        name="gpu1",
        host="gpu1",
        port=2222,
        user="me",
        identity_file="/home/.ssh/id",
        known_hosts="/home/.ssh/known",
        ssh_config="/etc/ssh/other",
        workspace="/data/work",
    )
    assert result.sandbox("cluster") == SandboxConfig(
        name="cluster", host="login", port=22, user="you"
    )
    assert result.project == Project(
        repo="git@github.com:me/bucket-brigade.git",
        branch="feature/x",
        setup=("uv sync",),
        verify=(),
        outputs=("models/", "results/*.json"),
        train_command="python train.py --steps {steps}",
        train_metrics=("score (?P<score>[0-9.]+)",),
        train_progress=(
            "sweep (?P<step>[0-9]+)",
            "(?P<step>[0-9]+) of (?P<total>[0-9]+)",
        ),
    )


def test_every_key_is_an_attribute_and_has_a_variable_of_its_own() -> None:
    sandbox = {field.name for field in dataclasses.fields(SandboxConfig)}
    sandbox -= {"name", "ssh_options", "mode_set_in"}  # a program's own
    project = {field.name for field in dataclasses.fields(Project)} - {"root", "name"}
    tables = ("sandboxes.", "project.")
    fields = [key.field for key in config.KEYS if key.path.startswith(tables)]
    assert sorted(fields) == sorted(sandbox | project)
    assert len({key.variable for key in config.KEYS}) == len(config.KEYS)


def test_every_key_takes_its_own_example() -> None:
    lines = [
        f"{key.path.replace('NAME', 'gpu1')} = {key.example}" for key in config.KEYS
    ]
    assert _config("\n".join(lines)).sandbox().name == "gpu1"


def test_every_value_can_come_from_a_variable_and_wins_over_the_file() -> None:
    result = _config(
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
            "SANDBOX_OPS_SETUP_INPUTS": "Cargo.lock",
            "SANDBOX_OPS_ENV": "A=1\nB=x=y",
            "SANDBOX_OPS_PATH": "~/.cargo/bin",
            "SANDBOX_OPS_LINKS": "data",
            "SANDBOX_OPS_TRAIN_TREE": "own",
            "SANDBOX_OPS_TRAIN_OUTPUT_SIZE_GB": "1.5",
            "SANDBOX_OPS_COST_PER_HOUR": "2",
            "SANDBOX_OPS_TRAIN_COMMAND": "make train",
            "SANDBOX_OPS_TRAIN_METRICS": "(?P<f1>[0-9.]+)",
            "SANDBOX_OPS_TRAIN_PROGRESS": "lap (?P<step>[0-9]+)",
        },
    )
    assert result.sandbox() == SandboxConfig(
        name="cluster",
        host="other",
        port=44,
        user="root",
        identity_file="/cwd/key",
        known_hosts="/cwd/known",
        ssh_config="/cwd/conf",
        workspace="/w",
        cost_per_hour=2.0,
    )
    assert result.sandbox("gpu1").host == "gpu1"
    assert result.project == Project(
        repo="/srv/x.git",
        branch="dev",
        setup=("make a", "make b"),
        verify=("make check",),
        outputs=("out/",),
        setup_inputs=("Cargo.lock",),
        env=("A=1", "B=x=y"),
        path=("~/.cargo/bin",),
        links=("data",),
        train_tree="own",
        train_output_size_gb=1.5,
        train_command="make train",
        train_metrics=("(?P<f1>[0-9.]+)",),
        train_progress=("lap (?P<step>[0-9]+)",),
    )


def test_an_empty_variable_counts_as_not_set() -> None:
    environ = {"SANDBOX_OPS_HOST": "", "SANDBOX_OPS_PORT": " ", "SANDBOX_OPS_REPO": ""}
    assert _config(EVERYTHING, environ) == _config(EVERYTHING)


def test_a_variables_host_brings_its_own_user_and_port() -> None:
    result = _config(EVERYTHING, {"SANDBOX_OPS_HOST": "root@other:44"}).sandbox()
    assert (result.host, result.user, result.port) == ("other", "root", 44)


def test_within_one_source_the_separate_keys_win_over_the_host() -> None:
    text = '[sandboxes.a]\nhost = "me@a:1"\nport = 2\nuser = "you"'
    result = _config(text).sandbox()
    assert (result.host, result.user, result.port) == ("a", "you", 2)


def test_a_variable_can_give_the_host_that_the_file_leaves_out() -> None:
    text = '[sandboxes.gpu1]\nworkspace = "/w"\n'
    result = _config(text, {"SANDBOX_OPS_HOST": "gpu1"}).sandbox()
    assert (result.name, result.host, result.workspace) == ("gpu1", "gpu1", "/w")


def test_ssh_variables_make_a_sandbox_where_no_file_describes_one() -> None:
    environ = {"SSH_HOST": "me@gpu1", "SSH_PORT": "2222", "SSH_KEY_PATH": "~/.ssh/id"}
    expected = SandboxConfig(
        name="default", host="gpu1", user="me", port=2222, identity_file="/home/.ssh/id"
    )
    assert _config("", environ).sandbox() == expected
    assert _config('[project]\nbranch = "x"', environ).sandbox("default") == expected
    assert _config(EVERYTHING, environ) == _config(EVERYTHING)


def test_our_own_names_win_over_the_ssh_names() -> None:
    environ = {"SSH_HOST": "a@b:1", "SANDBOX_OPS_HOST": "c", "SANDBOX_OPS_PORT": "2"}
    result = _config("", environ).sandbox()
    assert (result.host, result.user, result.port) == ("c", "a", 2)


def test_a_single_sandbox_is_the_default_one() -> None:
    assert _config(_one("")).sandbox().name == "gpu1"


def test_without_any_sandbox_the_error_shows_what_to_write() -> None:
    assert _refused("") == (
        "no sandbox is configured: none was found\n"
        "Write these three lines to own.toml, with your machine for me@gpu1:\n"
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
                "sandbox.toml:3: unknown key `sandboxes.gpu1.prot`: expected one of "
                f"{OF_A_SANDBOX}\n"
                "Did you mean `sandboxes.gpu1.port`?"
            ),
        ),
        (
            _one("Identity-File = 1"),
            (
                "sandbox.toml:3: unknown key `sandboxes.gpu1.Identity-File`: expected one of "
                f"{OF_A_SANDBOX}\n"
                "Did you mean `sandboxes.gpu1.identity_file`?"
            ),
        ),
        (
            '[sandbox.gpu1]\nhost = "gpu1"\n',
            (
                "sandbox.toml:1: unknown key `sandbox`: expected one of "
                f"{AT_THE_TOP}\nDid you mean `sandboxes`?"
            ),
        ),
        (
            'workspace = "/w"\n',
            (
                "sandbox.toml:1: unknown key `workspace`: expected one of "
                f"{AT_THE_TOP}\nDid you mean `sandboxes.NAME.workspace`?"
            ),
        ),
        (
            _one("xyzzy = 1"),
            (
                "sandbox.toml:3: unknown key `sandboxes.gpu1.xyzzy`: expected one of "
                f"{OF_A_SANDBOX}\n"
                "Remove it, or write one of those."
            ),
        ),
        (
            '"sandboxes.NAME.host" = "x"\n',
            (
                'sandbox.toml:1: unknown key `"sandboxes.NAME.host"`: expected one of '
                f"{AT_THE_TOP}\nDid you mean `sandboxes`?"
            ),
        ),
        (
            _one('port = "22"'),
            (
                'sandbox.toml:3: `sandboxes.gpu1.port` is "22": expected a number from 1 to '
                "65535\nFor example: port = 2222"
            ),
        ),
        (
            _one("port = 65536"),
            (
                "sandbox.toml:3: `sandboxes.gpu1.port` is 65536: expected a number from 1 to "
                "65535\nFor example: port = 2222"
            ),
        ),
        (
            _one("port = true"),
            (
                "sandbox.toml:3: `sandboxes.gpu1.port` is true: expected a number from 1 to "
                "65535\nFor example: port = 2222"
            ),
        ),
        (
            '[project]\nsetup = "uv sync"\n',
            (
                'sandbox.toml:2: `project.setup` is "uv sync": expected a list of commands\n'
                'For example: setup = ["uv sync"]'
            ),
        ),
        (
            "[project]\nsetup = [1]\n",
            (
                "sandbox.toml:2: `project.setup` is [1]: expected a list of commands\n"
                'For example: setup = ["uv sync"]'
            ),
        ),
        (
            '[project]\ntrain = "make"\n',
            (
                'sandbox.toml:2: `project.train` is "make": expected a table\n'
                "Write [project.train], and its keys below."
            ),
        ),
        (
            "[[sandboxes]]\n",
            (
                "sandbox.toml:1: `sandboxes` is [{}]: expected a table\n"
                "Write [sandboxes], and its keys below."
            ),
        ),
        (
            '[project]\nbranch = {x = "y"}\n',
            (
                'sandbox.toml:2: `project.branch` is {"x": "y"}: expected the name of a '
                'branch\nFor example: branch = "main"'
            ),
        ),
        (
            _one('workspace = "~/work"'),
            (
                'sandbox.toml:3: `sandboxes.gpu1.workspace` is "~/work": it is not absolute; '
                "expected an absolute path on the sandbox\n"
                'For example: workspace = "/workspace"'
            ),
        ),
        (
            '[sandboxes.gpu1]\nhost = "-oProxyCommand=x"\n',
            (
                'sandbox.toml:2: `sandboxes.gpu1.host` is "-oProxyCommand=x": it has a host '
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
                'sandbox.toml:1: `default` is "gpu2": expected one of gpu1, '
                "which sandbox.toml describes\nDid you mean `gpu1`?"
            ),
        ),
        (
            'default = "gpu1"\n',
            (
                'sandbox.toml:1: `default` is "gpu1": no sandbox is described\n'
                "Describe it in own.toml, in a table [sandboxes.gpu1]."
            ),
        ),
        (
            '[sandboxes."a b"]\nhost = "a"\n',
            (
                'sandbox.toml:1: [sandboxes."a b"]: the name of a sandbox has other '
                "characters than letters, digits and . _ -\n"
                "Give it a plain name, such as gpu1."
            ),
        ),
        (
            "default = gpu1\n",
            (
                "sandbox.toml: not TOML: Invalid value (at line 1, column 11)\n"
                "Correct that line; https://toml.io shows how values are written."
            ),
        ),
    ],
)
def test_what_is_wrong_in_the_file_is_reported_whole(text: str, message: str) -> None:
    assert _refused(text) == message


def test_a_wrong_variable_is_reported_by_its_name() -> None:
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


def test_an_unknown_sandbox_is_reported_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError) as refused:
        _config(EVERYTHING).sandbox("gpu2")
    assert str(refused.value) == (
        'sandbox "gpu2": expected one of gpu1, cluster, which sandbox.toml describes\n'
        "Did you mean `gpu1`?"
    )
    assert _refused("", {"SSH_HOST": "a", "SANDBOX_OPS_SANDBOX": "gpu1"}) == (
        'environment variable SANDBOX_OPS_SANDBOX is "gpu1": expected one of default, '
        "which the environment describes\n"
        "Describe it in own.toml, in a table [sandboxes.gpu1]."
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
        'train = {metrics = ["score ("]}',
        'train = {metrics = ["score [0-9]+"]}',
        'train = {progress = ["(?P<steps>[0-9]+)"]}',
        'train = {progress = ["(?P<step>[0-9]+)(?=x)"]}',
    ],
)
def test_a_value_that_could_do_more_than_it_says_is_refused(line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        _config(f"[project]\n{line}\n")
    assert refused.value.message.startswith("sandbox.toml:2: `project.")


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    error = _refusal(text)
    assert not error or re.match(r"sandbox\.toml(:\d+)?: ", error.message)
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
    assert not error or re.match(r"sandbox\.toml(:\d+)?: ", error.message)
    assert not error or error.hint


@given(st.dictionaries(st.sampled_from([k.variable for k in config.KEYS]), st.text()))
def test_any_environment_is_read_or_refused(environ: dict[str, str]) -> None:
    error = _refusal(_one(""), environ)
    assert not error or error.message.startswith("environment variable SANDBOX_OPS_")


@pytest.mark.parametrize("key", ["identity_file", "known_hosts", "ssh_config"])
def test_a_project_may_not_say_what_touches_this_computer(key: str) -> None:
    text = f'{_one("")}{key} = "/etc/x"\n'
    with pytest.raises(ConfigError) as refused:
        config.from_toml(_source(text, "/project"), "/me/config.toml")
    assert str(refused.value) == (
        f"sandbox.toml:4: `sandboxes.gpu1.{key}` is not for a project to say: it touches "
        "this computer\nMove it to your own /me/config.toml, below [sandboxes.NAME], or "
        f"set it in the environment: SANDBOX_OPS_{key.upper()}"
    )
    assert config.from_toml(_source(text)).sandboxes["gpu1"][key].value == "/etc/x"


@pytest.mark.parametrize(
    "line",
    [
        'known_hosts = "/x kh"',
        'known_hosts = "/x\\tkh"',
        "known_hosts = '/x\"kh'",
        'known_hosts = "/x\'kh"',
        'known_hosts = "/%h"',
        'known_hosts = "/${HOME}/kh"',
        'identity_file = "/%d/key"',
        'identity_file = "/${HOME}/key"',
        'identity_file = ""',
        'ssh_config = "a\\nb"',
    ],
)
def test_a_path_that_ssh_would_read_otherwise_is_refused(line: str) -> None:
    name = line.partition(" ")[0]
    assert _refused(_one(line)).startswith(
        f"sandbox.toml:3: `sandboxes.gpu1.{name}` is "
    )


def test_an_error_names_the_line_of_its_key() -> None:
    text = (
        '# port = "x"\n[project]\nsetup = [\n  """\n  port = "x"\n  """,\n]\n'
        '\n[sandboxes.gpu1]\n# a remark\nhost = "gpu1"\n\nport =  "x"\n'
    )
    assert _refused(text).startswith("sandbox.toml:13: `sandboxes.gpu1.port` is ")
    inline = 'sandboxes = {gpu1 = {host = "gpu1", port = 0}}\n'
    assert _refused(inline).startswith("sandbox.toml:1: `sandboxes.gpu1.port` is 0")


def _two(own: str, project: str, environ: Mapping[str, str] | None = None) -> Config:
    """What the user's file, a project's and the environment make together."""
    variables = config.from_environment(
        environ or {}, ssh_names="[sandboxes" not in project
    )
    return config.combine(
        [
            config.from_toml(Source(name="own.toml", text=own)),
            config.from_toml(_source(project, "/project")),
        ],
        variables[:-1],
        variables[-1:],
        source="own.toml and sandbox.toml",
        searched="none was found",
    )


OWN = """
default = "gpu1"
[sandboxes.gpu1]
host = "me@gpu1"
identity_file = "/me/key"
[sandboxes.gpu2]
host = "gpu2"
"""


def test_a_project_adds_to_the_users_machines_and_wins() -> None:
    project = 'default = "gpu2"\n[sandboxes.gpu2]\nworkspace = "/data"\n'
    both = _two(OWN, project)
    assert both.sandbox() == SandboxConfig(name="gpu2", host="gpu2", workspace="/data")
    assert both.sandbox("gpu1").identity_file == "/me/key"
    assert both.settings()[1]["workspace"].where == (
        "sandbox.toml:3: `sandboxes.gpu2.workspace`"
    )
    assert both.settings()[1]["host"].where == "own.toml:7: `sandboxes.gpu2.host`"


def test_a_machine_of_the_users_own_words_needs_no_permission() -> None:
    assert _two(OWN, "").unconfirmed() is None
    assert _two(OWN, '[sandboxes.x]\nhost = "gpu2"').unconfirmed("x") is None
    assert _two("", "", {"SSH_HOST": "gpu9"}).unconfirmed() is None
    variable = {"SANDBOX_OPS_HOST": "gpu9"}
    assert _two("", '[sandboxes.x]\nhost = "gpu8"', variable).unconfirmed() is None


@pytest.mark.parametrize(
    ("project", "address"),
    [
        ('host = "evil"', "me@evil"),
        ("port = 2222", "me@gpu1:2222"),
        ('user = "root"', "root@gpu1"),
        ('host = "root@[::1]:22"', "root@[::1]:22"),
    ],
)
def test_a_machine_that_only_a_project_names_is_distinguished(
    project: str, address: str
) -> None:
    machine = _two(OWN, f"[sandboxes.gpu1]\n{project}\n").unconfirmed()
    assert machine is not None
    assert (machine.project, machine.address) == ("/project", address)
    assert machine.where.startswith("sandbox.toml:2: `sandboxes.gpu1.")


def test_ssh_host_is_the_default_machine_beside_the_users_others() -> None:
    both = _two(OWN, "", {"SSH_HOST": "gpu7"})
    assert both.sandbox() == SandboxConfig(name="default", host="gpu7")
    assert both.sandbox("gpu1").user == "me"


def test_ssh_host_means_the_users_machine_of_that_name() -> None:
    result = _two(OWN, "", {"SSH_HOST": "gpu2", "SSH_PORT": "22"}).sandbox()
    assert result == SandboxConfig(name="gpu2", host="gpu2", port=22)


def test_a_machine_that_the_user_has_not_described_is_reported_with_its_place() -> None:
    with pytest.raises(ConfigError) as refused:
        _two("", 'default = "gpu1"\n').sandbox()
    assert str(refused.value) == (
        'sandbox.toml:1: `default` is "gpu1": no sandbox is described\n'
        "Describe it in ~/.config/sandbox-ops/config.toml, in a table [sandboxes.gpu1]."
    )


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


def test_the_strictest_mode_of_a_host_holds_whatever_the_host_is_called() -> None:
    own = '[sandboxes.gpu1]\nhost = "me@GPU1:22"\nmode = "read-only"\n'
    own += 'read_roots = ["/data"]\n'
    for project in (
        'default = "x"\n[sandboxes.x]\nhost = "gpu1"\n',
        'default = "x"\n[sandboxes.x]\nhost = "other@gpu1."\n',
    ):
        merged = _both(own, project).sandbox()
        assert (merged.name, merged.mode, merged.read_roots) == (
            "x", "read-only", ("/data",)
        )  # fmt: skip
        assert "`sandboxes.gpu1.mode`" in merged.mode_set_in
    with_variable = {"SANDBOX_OPS_MODE": "full"}
    assert _both(own, "", with_variable).sandbox().mode == "read-only"
    stricter = {"SANDBOX_OPS_MODE": "read-only"}
    loose = own.replace("read-only", "workflow")
    assert _both(loose, "", stricter).sandbox().mode == "read-only"
    assert _both(loose, '[sandboxes.gpu1]\nhost = "elsewhere"\n').sandbox().mode == (
        "workflow"
    )


@pytest.mark.parametrize(
    "text",
    [
        'secrets = ["A"]\n',
        'secret_files = ["/x"]\n',
        _one('mode = "full"'),
        _one('read_roots = ["/"]'),
        _one("deny_read = []"),
    ],
)
def test_a_project_says_nothing_of_secrets_and_of_what_may_be_done(text: str) -> None:
    with pytest.raises(ConfigError, match="is not for a project to say: only you may"):
        config.from_toml(Source(name="sandbox.toml", project="/p", text=text), "/me")


@pytest.mark.parametrize(
    "text",
    [
        'secrets = ["A=b"]\n',
        'secrets = "A"\n',
        _one('mode = "readonly"'),
        _one('read_roots = ["relative"]'),
        _one('deny_read = [".env"]'),
    ],
)
def test_what_cannot_be_a_policy_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected"):
        config.from_toml(Source(name="config.toml", text=text), "/me")
