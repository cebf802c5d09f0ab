"""Puts the stand-in on a PATH, run by the interpreter that has boto3."""

import shlex
import sys
from pathlib import Path


def install(folder: Path) -> Path:
    """Write `folder/kops` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "kops"
    command = shlex.join([sys.executable, str(Path(__file__).with_name("kops"))])
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    program.chmod(0o755)
    return program
