"""The rules."""

from pathlib import Path

import click

from adjourn.cli.options import mode_option, policy_option
from adjourn.settings import load_policy, policy_toml


@click.group("policy")
def policy_group() -> None:
    """Show or check the rules."""


@policy_group.command("show")
@policy_option
@mode_option
def policy_show(policy: Path | None, mode: str | None) -> None:
    """Show the rules in force, as a file from which they can be loaded again."""
    rules = load_policy(policy, mode)
    click.echo(f"# digest {rules.digest}\n{policy_toml(rules)}", nl=False)


@policy_group.command("check")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def policy_check(file: Path) -> None:
    """Check a file with rules."""
    rules = load_policy(file)
    click.echo(f"{file}: good. Revision {rules.revision}, digest {rules.digest}.")
