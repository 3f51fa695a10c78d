#!/bin/sh
# The quick start, as `make demo` runs it: real text, no download.
set -eu
show() { printf '\n$ %s\n' "$*"; "$@"; }

show textkit data docstrings -o data/
printf '\n$ echo "Vanity and pride are different things" | textkit tokenize -\n'
echo "Vanity and pride are different things" | textkit tokenize -
rm -rf runs/demo
show textkit train data/train.csv -o runs/demo
show textkit evaluate runs/demo/model data/test.csv --baseline data/train.csv
printf '\n$ textkit predict runs/demo/model --top 2\n'
textkit predict runs/demo/model --top 2 <<'TEXTS'
Open a socket and wait for the server's answer.
Wait until all worker processes have finished.
Return the standard deviation of the sample.
Fail if the two objects are unequal.
TEXTS
show textkit info runs/demo/model
printf '\nThe pictures: runs/demo/confusion.png, runs/demo/reliability.png    The model: runs/demo/model\n'
