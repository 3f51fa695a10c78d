#!/usr/bin/env bash
# Build the wheel, install it core only into a fresh environment outside the checkout, and use it there from another folder.
set -euo pipefail
checkout=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python="$scratch/env/bin/python"
pip=("$python" -I -m pip --quiet --disable-pip-version-check)

"${PYTHON:-python3}" -m venv "$scratch/env"
"${pip[@]}" wheel --no-deps --wheel-dir "$scratch/wheel" "$checkout"
"${pip[@]}" install -c "$checkout/constraints.txt" "$scratch"/wheel/*.whl
mkdir "$scratch/work"
cd "$scratch/work"
"$python" -I "$checkout/scripts/check_wheel.py" "$scratch"/wheel/*.whl "$checkout"
