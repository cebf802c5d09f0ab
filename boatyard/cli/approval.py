"""Approval of disruptive plans (`policy.upgrade.approve`) where the person is: at this terminal."""

import sys
from typing import TYPE_CHECKING

import click

from boatyard.cli.me import who
from boatyard.cli.output import Out
from boatyard.cli.progress import Progress

if TYPE_CHECKING:
    from tasks.approval import Approved, Refused


def ask_here(out: Out, progress: Progress, *, private: bool) -> None:
    """Let the flows of this process ask on the terminal. Without one they ask in the UI, if there is one."""
    from tasks.steps import ask_with

    interactive = sys.stdin.isatty() and out.stream.isatty()
    if interactive or private:
        ask_with(lambda text, digest: _ask(out, progress, interactive=interactive))


def _ask(out: Out, progress: Progress, *, interactive: bool) -> "Approved | Refused":
    from tasks.approval import Approved, Refused

    if not interactive:
        return Refused(
            "policy.upgrade.approve asks for somebody's approval, and there is no terminal and no UI to ask on"
        )
    with progress.paused():
        agreed = click.confirm("The cluster's policy asks for approval. Carry this plan out?", err=out.json)
    return Approved(f"by {who()}") if agreed else Refused(f"by {who()}")
