"""`callsmith jax`: make and check the environment of the worker."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import click

from callsmith import ArmError, CallsmithError, ConfigError
from callsmith_jax.environment import check_space, differences, plan
from callsmith_jax.location import HOME_VARIABLE, PYTHON_VARIABLE, default_home, worker_python
from callsmith_jax.process import WorkerProcess

HELLO_SECONDS = 120.0
IMPORT_SECONDS = 600.0


@click.group()
def jax() -> None:
    """Make and check the environment of the JAX arms.

    The gemma library with Gemma 4 needs Python 3.12 and about 180 packages, so it runs in an
    environment of its own, in a worker process.
    """


@jax.command()
@click.option("--python", default="", help="The interpreter to build on, 3.12 or newer.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    help=f"Where the environment is made; {HOME_VARIABLE} or the user's data folder if left out.",
)
@click.option("--cuda", is_flag=True, help="Also install JAX's CUDA 12 libraries.")
@click.option("--dry-run", is_flag=True, help="Show the commands and run nothing.")
def setup(python: str, folder: Path | None, cuda: bool, dry_run: bool) -> int:
    """Make the environment: about 3 GB, a few minutes. Needs uv."""
    target = (folder or default_home()).expanduser().absolute()
    steps = plan(target, python, cuda=cuda)
    if dry_run:
        for command in steps.commands:
            click.echo(shlex.join(command))
        return 0
    check_space(target)
    for command in steps.commands:
        click.echo(f"$ {shlex.join(command)}")
        try:
            done = subprocess.run(command)
        except OSError as error:
            raise ConfigError(f"{command[0]} cannot be run: {error}") from None
        if done.returncode:
            raise ConfigError(
                f"`{shlex.join(command)}` failed with exit code {done.returncode}; what is wrong "
                "stands above. Run the same command again once it is mended"
            )
    problems = report(steps.python)
    if folder is not None and target != default_home().absolute():
        click.echo(f"to use it: export {PYTHON_VARIABLE}={steps.python}")
    return 1 if problems else 0


@jax.command()
@click.option("--python", default="", help="The worker's interpreter, if not the usual one.")
def check(python: str) -> int:
    """Say which interpreter the arms would use, and what it has missing. Exit code 1 if any."""
    return 1 if report(worker_python(python)) else 0


def report(python: Path) -> list[str]:
    """Starts a worker, has it import everything, and prints what it has; returns what is wrong.

    Raises `ConfigError` where there is no interpreter or it does not answer.
    """
    click.echo(f"interpreter: {python}")
    if not python.exists():
        raise ConfigError(
            f"{python} does not exist; run `callsmith jax setup`, or name an interpreter with "
            f"--python or {PYTHON_VARIABLE}"
        )
    try:
        process = WorkerProcess(python, {}, HELLO_SECONDS)
    except ArmError as error:
        raise ConfigError(str(error)) from None
    hello = process.hello
    problems = differences(hello.versions)
    devices: list[str] = []
    try:
        devices = process.ask("imports", {}, IMPORT_SECONDS)["devices"]
    except CallsmithError as error:
        problems.append(f"the libraries cannot be used: {error}")
    finally:
        process.kill()
    click.echo(f"python: {hello.python}")
    for name, version in hello.versions.items():
        click.echo(f"{name}: {version or 'missing'}")
    if devices:
        click.echo(f"devices: {', '.join(devices)}")
    if hello.too_old:
        problems.insert(0, f"Python {hello.python} is too old: gemma 4 needs 3.12 or newer")
    for problem in problems:
        click.echo(f"problem: {problem}")
    click.echo("run `callsmith jax setup`" if problems else "ready")
    return problems
