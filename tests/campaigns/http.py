"""What a server answers to requests that its own OpenAPI description allows and forbids, made up by
schemathesis, which is no dependency: give its program.

    python -m venv .st && .st/bin/pip install schemathesis
    python -m tests.campaigns.http --program .st/bin/schemathesis --examples 200

In: nothing; small models are trained first. Out: schemathesis' report; it exits with 1 where it
finds something.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

from tests.serve.calls import open_host, save_models, served

CONFIG = Path(__file__).with_name("schemathesis.toml")
MODELS = ("bpe", "linear", "many", "numbers", "vectors", "found")


def main() -> None:
    """Serve small models, and let schemathesis ask."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--program", default="schemathesis")
    options.add_argument("--examples", type=int, default=100, help="cases an operation and phase")
    options.add_argument("--seed", type=int, default=1)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = save_models(Path(scratch))
        host = open_host([str(folder / name) for name in MODELS])
        with served(host) as port:
            command = [asked.program, "--config-file", str(CONFIG), "run", "--checks", "all"]
            command += ["--max-examples", str(asked.examples), "--seed", str(asked.seed)]
            command += ["--request-timeout", "30", f"http://127.0.0.1:{port}/openapi.json"]
            environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
            ended = subprocess.run(command, cwd=scratch, env=environment, check=False)
    raise SystemExit(ended.returncode)


if __name__ == "__main__":
    main()
