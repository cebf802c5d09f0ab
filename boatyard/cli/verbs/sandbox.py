"""`boatyard sandbox`."""

import shlex
import sys

import click

from boatyard.cli.output import Out
from boatyard.cli.verb import verb


@verb(
    "boatyard sandbox up aws",
    "boatyard sandbox up aws --boot 90          # machines take as long as on AWS",
    "boatyard sandbox up aws --account-only     # no control planes",
)
@click.argument("action", type=click.Choice(["up"]), metavar="up")
@click.argument("cloud", type=click.Choice(["aws"]), metavar="aws")
@click.option("--account-only", is_flag=True, help="Emulate the account alone, without live clusters.")
@click.option(
    "--boot",
    type=click.FloatRange(min=0, max=3600),
    default=0.0,
    metavar="SECONDS",
    help="From a machine's launch until it joins its cluster; on AWS it takes one or two minutes. At once by default.",
)
def command(out: Out, action: str, cloud: str, account_only: bool, boot: float) -> int:
    """Start an emulated AWS account with a live control plane for each kOps cluster in it, until Ctrl-C.

    Prints the environment to export in another terminal. Nothing leaves this machine, and nothing is kept.
    """
    from boatyard.errors import Permanent
    from boatyard.sandbox.aws import Sandbox
    from boatyard.sandbox.aws.sandbox import PROGRAMS
    from boatyard.settings import Settings
    from boatyard.tools import Toolbox

    settings = Settings.load()
    tools = None
    if not account_only:
        tools = Toolbox(settings.cache, lambda line: click.echo(line, err=True))
        tools.ensure(PROGRAMS)
    with Sandbox.start(settings.home / "sandbox" / cloud, tools, boot=boot) as sandbox:
        provider = {"api_server": sandbox.api_server, "channel": sandbox.channel}
        out.emit({"environment": sandbox.environment, **provider, "pid": sandbox.pid})
        if not out.json:
            for name, value in sandbox.environment.items():
                out.line(f"export {name}={shlex.quote(value)}")
            out.line("unset AWS_PROFILE")
            out.line(f"# In specs, under provider: api_server: {sandbox.api_server}")
            out.line(f"#                           channel: {sandbox.channel}")
            out.line("# Ctrl-C ends it all.")
        sys.stdout.flush()
        try:
            while (code := sandbox.wait(3600)) is None:
                pass
        except KeyboardInterrupt:
            return 0
    raise Permanent(f"the sandbox ended by itself with exit code {code}; see {sandbox.folder / 'server.log'}.")
