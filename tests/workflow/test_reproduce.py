"""`./reproduce` with stand-ins for Python, uv and the driver: what it runs, when, and what it says when it cannot."""

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
TOOLS = (
    "awk bash cat chmod cksum cmp cp cut date df dirname env flock grep head ln ls mkdir mv printf readlink rm sed "
    "sort touch tr"
).split()

# Answers as a Python would, and as `uv`, `pytest` and `snakemake` of the environment that it makes.
STAND_IN = r"""#!/usr/bin/env bash
echo "${0##*/} $*" >>"$CALLS"
case "${0##*/} $*" in
    pytest* | *workflow.start*) echo "sees $SNAKEMAKE_PROFILE [$PYTHONPATH]" >>"$CALLS" ;;
    uv*) [[ -z ${SAYS_OF_UV:-} ]] || { echo "$SAYS_OF_UV" >&2; exit 1; } ;;
    *version_info*) echo "$VERSION" ;;
    *ensurepip*) exit "${VENV_MISSING:-0}" ;;
    *"-m venv"*)
        made=${*: -1}
        rm -rf "$made" && mkdir -p "$made/bin"
        for name in python uv pytest snakemake; do cp "$0" "$made/bin/$name"; done
        echo "export VIRTUAL_ENV='$made' PATH='$made/bin':\$PATH" >"$made/bin/activate" ;;
    *"workflow.job configuration"*) [[ -z ${REFUSES:-} ]] || { echo "$REFUSES" >&2; exit 1; } ;;
    *"pip config"*) [[ -z ${CONFIGURED:-} ]] || printf "$CONFIGURED" ;;
    *"pip install"*)
        env | grep -E '^(PIP|UV)_' | sort | sed 's/^/told /' >>"$CALLS"
        [[ -z ${SAYS_OF_PIP:-} ]] || { echo "$SAYS_OF_PIP" >&2; exit 1; } ;;
esac
"""


class Machine:
    """A clone with nothing on its PATH but the ordinary tools and what a test puts there."""

    def __init__(self, folder):
        self.clone, self.bin, self.calls = folder / "a clone", folder / "bin", folder / "calls"
        self.bin.mkdir()
        for tool in filter(shutil.which, TOOLS):
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.clone.mkdir()
        for path in ("reproduce", "pyproject.toml", "envs"):
            copy = shutil.copytree if (ROOT / path).is_dir() else shutil.copy
            copy(ROOT / path, self.clone / path)
        self.add("python3", STAND_IN)

    def add(self, name, script):
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(script)
        (self.bin / name).chmod(0o755)

    def run(self, *command, **environment):
        self.calls.write_text("")
        given = {"PATH": self.bin, "HOME": self.clone.parent, "CALLS": self.calls, "VERSION": "3.12.4"} | environment
        return subprocess.run(
            command, cwd=self.clone, env={k: str(v) for k, v in given.items()}, capture_output=True, text=True
        )

    def reproduce(self, *arguments, **environment):
        return self.run("./reproduce", *arguments, **environment)

    def called(self, what):
        return [line for line in self.calls.read_text().splitlines() if what in line]


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def assert_one_sentence(finished, *words):
    """It stopped with one line on stderr that holds the words, before anything else was said there."""
    assert finished.returncode != 0
    lines = finished.stderr.splitlines()
    assert len(lines) == 1, finished.stderr
    assert lines[0].startswith("reproduce: ")
    assert all(word in lines[0] for word in words), lines[0]


# What it runs


def test_the_first_call_sets_up_and_runs_the_workflow(machine):
    finished = machine.reproduce("-n")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert machine.called("pip install --no-deps --require-hashes")
    assert machine.called("uv pip sync --require-hashes")
    assert machine.called("workflow.start") == ["python -m workflow.start --cores all -n"]
    assert machine.called("sees") == [f"sees {machine.clone}/envs/profiles/default []"]


def test_uv_itself_is_taken_from_the_lock_with_its_hashes(machine):
    machine.reproduce()
    lines = (machine.clone / ".cache/uv.lock.txt").read_text().splitlines()
    assert lines[0].startswith("uv==")
    assert len(lines) > 1
    assert all(line.strip().startswith("--hash=sha256:") for line in lines[1:])


def test_the_second_call_installs_nothing_and_needs_no_network(machine):
    machine.reproduce()
    finished = machine.reproduce(SAYS_OF_PIP="no network", SAYS_OF_UV="no network")
    assert finished.returncode == 0
    assert machine.called("venv") + machine.called("pip") + machine.called("uv ") == []


def test_a_configuration_that_is_not_there_is_named_before_the_set_up(machine):
    (machine.clone / "config").mkdir()
    for name in ("paper", "quick", "config.schema"):
        (machine.clone / "config" / f"{name}.yaml").touch()
    for arguments in (["--configfile", "config/papr.yaml"], ["--configfile=config/papr.yaml", "-n"]):
        done = machine.run("./reproduce", *arguments)
        assert done.returncode == 1
        assert "no configuration config/papr.yaml: take one of config/paper.yaml config/quick.yaml," in done.stderr
        assert machine.calls.read_text() == ""
    assert machine.run("./reproduce", "-n", "--configfile", "config/paper.yaml", "--cores", "1").returncode == 0


def test_the_tests_get_their_arguments(machine):
    assert machine.reproduce("test", "-k", "two words").returncode == 0
    assert machine.called("pytest -k two words")
    assert machine.reproduce("test").returncode == 0
    assert machine.called("pytest --numprocesses=auto --dist=worksteal")
    assert machine.called("workflow.start") == []


@pytest.mark.parametrize("argument", ["-h", "--help"])
def test_help_says_how_and_sets_nothing_up(machine, argument):
    finished = machine.reproduce(argument)
    assert finished.returncode == 0
    assert all(text in finished.stdout for text in ("./reproduce test", "--configfile config/paper.yaml", "--gpu"))
    assert not (machine.clone / ".venv").exists()


def test_a_changed_lock_is_installed_into_the_same_environment(machine):
    machine.reproduce()
    (machine.clone / "envs/cpu.lock.txt").write_text((machine.clone / "envs/cpu.lock.txt").read_text() + "# changed\n")
    assert machine.reproduce().returncode == 0
    assert machine.called("-m venv") == []
    assert machine.called("uv pip sync")
    assert machine.reproduce().returncode == 0
    assert machine.called("uv ") == []


def test_an_interrupted_set_up_is_made_anew_by_the_next_call(machine):
    assert machine.reproduce(SAYS_OF_UV="killed").returncode != 0
    assert machine.reproduce().returncode == 0
    assert machine.called("-m venv")
    assert machine.called("workflow.start")


def test_a_failed_update_is_not_taken_for_a_finished_one(machine):
    machine.reproduce()
    (machine.clone / "pyproject.toml").write_text("# changed\n")
    assert machine.reproduce(SAYS_OF_UV="killed").returncode != 0
    assert machine.reproduce().returncode == 0
    assert machine.called("uv pip sync")


def test_a_clone_that_was_moved_gets_a_new_environment(machine):
    machine.reproduce()
    machine.clone = machine.clone.rename(machine.clone.with_name("elsewhere"))
    assert machine.reproduce().returncode == 0
    assert machine.called("-m venv")


def test_another_python_gets_a_new_environment(machine):
    machine.reproduce()
    machine.add("other", STAND_IN)
    assert machine.reproduce(PYTHON=machine.bin / "other", VERSION="3.13.1").returncode == 0
    assert machine.called("other -m venv")


def test_the_activated_environment_is_not_built_from_itself(machine):
    machine.reproduce()
    (machine.clone / ".venv/stablespike-setup").unlink()
    shutil.copy(machine.clone / ".venv/bin/python", machine.clone / ".venv/bin/python3")
    (machine.clone / ".venv/bin/snakemake").write_text("#!/bin/sh\nexit 3\n")
    path = f"{machine.clone}/.venv/bin:{machine.bin}"
    assert machine.reproduce(PATH=path).returncode == 0
    assert machine.called("python3 -m venv")


# The environment that it makes


def activate(machine, command, **environment):
    return machine.run("bash", "-c", f"source .venv/bin/activate; {command}", **environment).stdout.strip()


def test_activation_names_this_repositorys_profile(machine):
    machine.reproduce()
    assert activate(machine, 'echo "$SNAKEMAKE_PROFILE"') == f"{machine.clone}/envs/profiles/default"
    stale = "/another/clone/envs/profiles/default"
    assert activate(machine, 'echo "$SNAKEMAKE_PROFILE"', SNAKEMAKE_PROFILE=stale).startswith(str(machine.clone))


def test_activation_leaves_a_readers_own_profile(machine):
    machine.reproduce()
    assert activate(machine, 'echo "$SNAKEMAKE_PROFILE"', SNAKEMAKE_PROFILE="cluster") == "cluster"


def test_an_update_extends_the_activation_once(machine):
    machine.reproduce()
    (machine.clone / "pyproject.toml").write_text("# changed\n")
    machine.reproduce()
    assert (machine.clone / ".venv/bin/activate").read_text().count("# stablespike:") == 1


def test_jupyter_opens_the_percent_files_as_notebooks(machine):
    machine.reproduce()
    settings = machine.clone / ".venv/etc/jupyter/labconfig/default_setting_overrides.json"
    assert '"python": "Jupytext Notebook"' in settings.read_text()


# The lock for a GPU

NVIDIA = "#!/usr/bin/env bash\nprintf '{}'\n"


@pytest.mark.parametrize(
    ("answer", "lock"),
    [
        ("580.65.06, 9.0", "cuda13"),
        ("612.10, 12.0", "cuda13"),
        ("580.65.06, 7.0", "cuda12"),
        ("580.65.06, 9.0\\n580.65.06, 7.0", "cuda12"),
        ("570.124.06, 9.0", "cuda12"),
        ("525.60.13, 8.0", "cuda12"),
    ],
)
def test_the_lock_fits_driver_and_card(machine, answer, lock):
    machine.add("nvidia-smi", NVIDIA.format(answer + "\\n"))
    assert machine.reproduce("--gpu", "test").returncode == 0
    assert machine.called(f"envs/{lock}.lock.txt")
    assert machine.called("pytest")
    assert [path.name for path in machine.clone.glob(".venv*")] == [f".venv-{lock}"]


def test_gpu_without_a_driver(machine):
    assert_one_sentence(machine.reproduce("--gpu"), "--gpu needs an NVIDIA driver", "run plain ./reproduce")
    machine.add("nvidia-smi", "#!/bin/sh\necho 'NVIDIA-SMI has failed because it could not communicate'\nexit 9\n")
    assert_one_sentence(machine.reproduce("--gpu"), "--gpu needs an NVIDIA driver", "run plain ./reproduce")
    assert not list(machine.clone.glob(".venv*"))


def test_gpu_with_an_old_driver(machine):
    machine.add("nvidia-smi", NVIDIA.format("470.82, 7.5\\n"))
    assert_one_sentence(machine.reproduce("--gpu"), "525", "470")


@pytest.mark.parametrize("lock", ["cuda12", "cuda13"])
def test_a_login_node_without_gpu_names_the_lock(machine, lock):
    assert machine.reproduce(f"--gpu={lock}", "-n").returncode == 0
    assert machine.called("workflow.start") == ["python -m workflow.start --cores all -n"]
    assert [path.name for path in machine.clone.glob(".venv*")] == [f".venv-{lock}"]


def test_a_lock_that_does_not_exist(machine):
    assert_one_sentence(machine.reproduce("--gpu=cuda11"), "--gpu takes cuda12 or cuda13, not cuda11")


# The cores


@pytest.mark.parametrize(
    ("arguments", "called"),
    [
        (["--profile", "envs/profiles/slurm", "-n"], "--profile envs/profiles/slurm -n"),
        (["-n", "--profile=envs/profiles/slurm"], "-n --profile=envs/profiles/slurm"),
        (["--profile", "envs/profiles/default"], "--cores all --profile envs/profiles/default"),
        (["--cores", "3"], "--cores 3"),
        (["-c3"], "-c3"),
    ],
)
def test_the_cores_are_those_of_the_caller_or_profile_else_all(machine, arguments, called):
    assert machine.reproduce(*arguments).returncode == 0
    assert machine.called("workflow.start") == [f"python -m workflow.start {called}"]


# What it says when it cannot


@pytest.mark.parametrize("minor", range(9, 17))
def test_it_takes_the_pythons_that_pyproject_admits(machine, minor):
    admitted = SpecifierSet(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"])
    finished = machine.reproduce(VERSION=f"3.{minor}.2")
    assert (finished.returncode == 0) == admitted.contains(f"3.{minor}.2")
    if finished.returncode:
        assert_one_sentence(finished, "Python 3.11, 3.12 or 3.13 is needed", f"python3 is 3.{minor}.2", "PYTHON=")


def test_an_older_python3_gives_way_to_a_newer_one_by_name(machine):
    machine.add("python3", "#!/bin/sh\necho 3.9.2\n")
    machine.add("python3.11", STAND_IN)
    assert machine.reproduce().returncode == 0
    assert machine.called("python3.11 -m venv")


def test_no_python(machine):
    (machine.bin / "python3").unlink()
    assert_one_sentence(machine.reproduce(), "Python 3.11, 3.12 or 3.13 is needed and none was found: install one")


def test_no_venv_module(machine):
    assert_one_sentence(machine.reproduce(VENV_MISSING=1), "lacks the venv module", "python3-venv")


def test_too_small_a_disk(machine):
    machine.add("df", "#!/bin/sh\nprintf 'Filesystem\\nfull 9 9 500000 99%% /\\n'\n")
    assert_one_sentence(machine.reproduce(), "needs 2 GB", "500 MB left")
    assert not (machine.clone / ".venv").exists()


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("error: Failed to install: x\n  cause: No space left on device (os error 28)", "The disk is full"),
        ("OSError: [Errno 122] Disk quota exceeded", "The disk is full"),
        ("NewConnectionError(Failed to establish a new connection: [Errno 111])", "cannot be reached"),
        ("ERROR: No matching distribution found for uv==1", "cannot be reached"),
        ("cause: dns error\n  cause: failed to lookup address information", "cannot be reached"),
        ("error: Failed to fetch: x\n  cause: operation timed out", "cannot be reached"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "does not match its hash"),
        ("error: Hash mismatch for `x==1`", "does not match its hash"),
        ("error: command '/usr/bin/gcc' failed: No such file or directory", "needs a C compiler"),
        ("Traceback (most recent call last): an unknown thing; + connection-pool==0.0.3", "stopped while installing"),
    ],
)
@pytest.mark.parametrize("says", ["SAYS_OF_PIP", "SAYS_OF_UV"])
def test_a_failed_step_is_explained_in_one_sentence(machine, says, output, sentence):
    assert_one_sentence(machine.reproduce(**{says: output}), sentence, ".cache/setup.log")
    assert output in (machine.clone / ".cache/setup.log").read_text()
    assert not (machine.clone / ".venv/stablespike-setup").exists()


def test_another_installations_packages_do_not_shadow_the_locked_ones(machine):
    machine.reproduce("test", PYTHONPATH="/opt/elsewhere")
    assert machine.called("sees") == [f"sees {machine.clone}/envs/profiles/default []"]


# Readers' environments: none changes what is set up, and none stops it


def told(machine):
    """The variables of pip and uv under which uv was installed."""
    return dict(line.removeprefix("told ").split("=", 1) for line in machine.called("told "))


ALWAYS = {"PIP_CONFIG_FILE": "/dev/null", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def test_without_a_home_caches_lie_in_the_clone(machine):
    finished = machine.run("env", "-u", "HOME", "./reproduce", "-n")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert (machine.clone / ".cache/home/.cache").is_dir()


def test_a_home_that_cannot_be_written_stops_nothing(machine):
    finished = machine.reproduce("-n", HOME="/proc/nowhere")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert (machine.clone / ".cache/home/.cache").is_dir()


def test_pips_habits_are_put_aside(machine):
    habits = {"PIP_USER": 1, "PIP_TARGET": "/tmp/elsewhere", "PIP_NO_BINARY": ":all:", "UV_SYSTEM_PYTHON": 1}
    assert machine.reproduce(CONFIGURED="global.user='true'\\ninstall.user='true'\\n", **habits).returncode == 0
    assert told(machine) == ALWAYS


def test_where_pip_gets_packages_from_is_kept_and_told_to_uv(machine):
    lines = ["install.index-url='https://mirror/simple'", "global.index-url='https://older/simple'"]
    lines += ["global.extra-index-url='https://a/simple\\\\nhttps://b/simple'", ":env:.timeout='7'", "global.proxy='p'"]
    assert machine.reproduce(CONFIGURED="\\n".join(lines), UV_INDEX_MINE_PASSWORD="x", PIP_TIMEOUT=7).returncode == 0
    assert told(machine) == ALWAYS | {
        "PIP_INDEX_URL": "https://mirror/simple",
        "PIP_EXTRA_INDEX_URL": "https://a/simple https://b/simple",
        "PIP_TIMEOUT": "7",
        "PIP_PROXY": "p",
        "UV_DEFAULT_INDEX": "https://mirror/simple",
        "UV_INDEX_MINE_PASSWORD": "x",
    }


def test_a_link_to_the_script_finds_the_clone(machine):
    commands = machine.clone.parent / "commands"
    commands.mkdir()
    (commands / "again").symlink_to(machine.clone / "reproduce")
    (commands / "reproduce").symlink_to("again")
    finished = machine.run(commands / "reproduce", "-n", CDPATH="/:.")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert machine.called("sees") == [f"sees {machine.clone}/envs/profiles/default []"]
    assert {path.name for path in commands.iterdir()} == {"again", "reproduce"}


def test_the_folder_that_the_shell_searches_first_is_not_where_it_looks(machine):
    assert machine.run("bash", "reproduce", "-n", CDPATH="/:.").returncode == 0
    assert (machine.clone / ".venv").is_dir()


def test_a_clone_that_cannot_be_written(machine):
    (machine.clone / ".cache").touch()
    assert_one_sentence(machine.reproduce(), ".cache cannot be written")


def test_a_configuration_that_cannot_be_read_stops_before_snakemake(machine):
    (machine.clone / "odd.yaml").touch()
    finished = machine.reproduce("--configfile", "odd.yaml", REFUSES="odd.yaml is not UTF-8.")
    assert (finished.returncode, finished.stderr) == (1, "odd.yaml is not UTF-8.\n")
    assert machine.called("workflow.job") == ["python -m workflow.job configuration odd.yaml"]
    assert machine.called("workflow.start") == []


def test_a_clone_by_git_on_windows_has_the_same_bytes(tmp_path):
    git = ["git", "-c", "user.name=n", "-c", "user.email=e"]
    source, clone = tmp_path / "source", tmp_path / "clone"
    (source / "results").mkdir(parents=True)
    shutil.copy(ROOT / ".gitattributes", source)
    files = {"reproduce": b"#!/usr/bin/env bash\n", "results/table.csv": b"x,y\r\n", "config.yaml": b"a: 1\n"}
    for name, content in files.items():
        (source / name).write_bytes(content)
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, "-C", source, *arguments], check=True)
    subprocess.run([*git, "clone", "-q", "-c", "core.autocrlf=true", source, clone], check=True)
    assert {name: (clone / name).read_bytes() for name in files} == files


def test_an_environment_that_is_a_link_is_not_emptied(machine):
    """Setting up clears the folder first: that of another clone, through the link."""
    other = machine.clone.parent / "other"
    other.mkdir()
    (other / "kept").write_text("mine")
    (machine.clone / ".venv").symlink_to(other)
    result = machine.reproduce("test")
    assert result.returncode != 0
    assert ".venv is a link" in result.stderr
    assert "remove the link" in result.stderr
    assert (other / "kept").read_text() == "mine"
