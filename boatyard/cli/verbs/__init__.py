"""One file a verb: parse, call, render. `boatyard.cli.main.VERBS` is the list."""
