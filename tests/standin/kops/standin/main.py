"""Words and flags to what they do. Whatever is not here is odd: exit 64."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from botocore.exceptions import BotoCoreError

from standin.say import VERSION, Fail, Odd, out

ODD = 64
_ENVIRONMENT = {"KOPS_STATE_STORE", "KOPS_BASE_URL"}
_NEEDED = [
    "KUBECONFIG",
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "S3_ENDPOINT",
    "S3_ACCESS_KEY_ID",
    "S3_SECRET_ACCESS_KEY",
    "S3_REGION",
]
_VALUE, _FLAG, _MANY, _OPTIONAL = "value", "flag", "many", "optional"

Given = dict[str, list[str]]


class Command:
    """words: the command. places: how many arguments follow (least, most). flags: name → kind."""

    def __init__(
        self, words: str, places: tuple[int, int], flags: str, do: "Callable[[Sequence[str], Given], None]"
    ) -> None:
        self.words, self.places, self.do = words.split(), places, do
        self.flags = dict(one.split(":") for one in flags.split())

    def read(self, argv: Sequence[str]) -> tuple[list[str], Given]:
        places, given, rest = list[str](), Given(), list(argv)
        while rest:
            word = rest.pop(0)
            if not word.startswith("-") or word == "-":
                places.append(word)
                continue
            name, sign, value = word.lstrip("-").partition("=")
            kind = self.flags.get(name)
            if kind is None:
                raise Odd(f"the flag {word} of `kops {' '.join(self.words)}`")
            if not sign and kind in (_VALUE, _MANY):
                if not rest:
                    raise Fail(f"flag needs an argument: --{name}")
                value = rest.pop(0)
            given.setdefault(name, []).append(value if sign or kind in (_VALUE, _MANY) else "true")
        if not self.places[0] <= len(places) <= self.places[1]:
            raise Odd(f"{len(places)} arguments of `kops {' '.join(self.words)}`: {places}")
        if twice := [name for name, values in given.items() if len(values) > 1 and self.flags[name] != _MANY]:
            raise Odd(f"--{twice[0]} given twice")
        return places, given


def main(argv: Sequence[str]) -> int:
    try:
        if list(argv) == ["version"]:
            out(f"Client version: {VERSION}")
            return 0
        from standin.commands import COMMANDS

        command, rest = _command(list(argv), COMMANDS)
        places, given = command.read(rest)
        if "KOPS_STATE_STORE" in os.environ or "state" in given:
            _environment()
        command.do(places, given)
    except Odd as odd:
        sys.stderr.write(f"stand-in for kOps {VERSION}: {odd} is neither recorded nor documented\n")
        return ODD
    except Fail as failure:
        sys.stderr.write(f"{failure.before}{chr(10) if failure.before else ''}Error: {failure}\n")
        return 1
    except BotoCoreError as error:
        sys.stderr.write(f"Error: dial tcp: {error}\n")
        return 1
    return 0


def _command(argv: list[str], commands: Sequence[Command]) -> tuple[Command, list[str]]:
    for one in sorted(commands, key=lambda one: -len(one.words)):
        if argv[: len(one.words)] == one.words:
            return one, argv[len(one.words) :]
    raise Odd(f"`kops {' '.join(argv)}`")


def _environment() -> None:
    """What kOps is run with: an emulated AWS of which every part is named, a kubeconfig of its own."""
    if missing := [name for name in _NEEDED if not os.environ.get(name)]:
        raise Odd(f"an environment without {', '.join(missing)}")
    if not os.environ.get("AWS_PROFILE") and not os.environ.get("AWS_ACCESS_KEY_ID"):
        raise Odd("an environment without AWS credentials")
    if strange := [name for name in os.environ if name.startswith("KOPS_") and name not in _ENVIRONMENT]:
        raise Odd(f"the environment variable {strange[0]}")
    for name in ("AWS_ENDPOINT_URL", "S3_ENDPOINT"):
        host = os.environ[name].partition("://")[2].partition(":")[0].partition("/")[0]
        if host not in ("127.0.0.1", "localhost"):
            raise Odd(f"{name}={os.environ[name]}: the stand-in only speaks to this machine, which it")
    if Path(os.environ["KUBECONFIG"]).resolve() == (Path.home() / ".kube/config").resolve():
        raise Odd("the user's own kubeconfig")
