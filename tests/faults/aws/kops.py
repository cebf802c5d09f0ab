"""The stand-in for kOps, counted: `kops.py FOLDER ARGUMENT…`."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "standin/kops")]

import counting  # noqa: E402
from standin.main import main  # noqa: E402

counting.install(Path(sys.argv[1]))
sys.exit(main(sys.argv[2:]))
