"""Rows of a workbook: textkit beside openpyxl in its read-only mode, over the same file.

Usage: python benchmarks/workbooks.py [--rows 200000]. A row is a number, a text of 15 words and a
label; as Excel does, the texts lie among the shared ones. Each reader runs in a process of its own:
seconds from the open file to the last row, best of three, and the peak of its memory.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
READERS = {
    "textkit": "from textkit.io.corpus import RowReader\n"
    "def read(): return ((row.text, row.label) for row in RowReader(path, labelled=True))",
    "openpyxl": "from openpyxl import load_workbook\n"
    "def read():\n"
    "    sheet = load_workbook(path, read_only=True, data_only=True).active\n"
    "    return (row[1:] for row in sheet.iter_rows(min_row=2, values_only=True))",
}
MEASURE = """
import sys, time, zlib
path = sys.argv[1]
{read}
seconds = []
for _ in range(3):
    started, found = time.perf_counter(), 0
    for row in read():
        found = zlib.crc32(repr(tuple(row)).encode(), found)
    seconds.append(time.perf_counter() - started)
with open("/proc/self/status", encoding="utf-8") as status:
    peak = next(line.split()[1] for line in status if line.startswith("VmHWM"))
print(min(seconds), int(peak) >> 10, found)
"""


def write(path: Path, n_rows: int) -> None:
    """Write the workbook, as Excel lays one out."""
    draw = random.Random(0)
    words = [f"word{n}" for n in range(5000)]
    texts = ["id", "text", "label", *"abc"]
    texts += [" ".join(draw.choices(words, k=15)) for _ in range(n_rows)]
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    types = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    kinds = {"workbook": "sheet.main", "sheet1": "worksheet", "strings": "sharedStrings"}
    listed = "".join(
        f'<Override PartName="/{name}.xml" ContentType="{types}.{kind}+xml"/>'
        for name, kind in kinds.items()
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "[Content_Types].xml",
            '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            f"{listed}</Types>",
        )
        for part, targets in (
            ("_rels/.rels", {"officeDocument": "workbook"}),
            ("_rels/workbook.xml.rels", {"worksheet": "sheet1", "sharedStrings": "strings"}),
        ):
            inside = "".join(
                f'<Relationship Id="{kind}" Type="{OFFICE}/{kind}" Target="{name}.xml"/>'
                for kind, name in targets.items()
            )
            space = "http://schemas.openxmlformats.org/package/2006/relationships"
            archive.writestr(part, f'<Relationships xmlns="{space}">{inside}</Relationships>')
        archive.writestr(
            "workbook.xml",
            f'<workbook {main} xmlns:r="{OFFICE}"><sheets>'
            '<sheet name="S" sheetId="1" r:id="worksheet"/></sheets></workbook>',
        )
        shared = "".join(f"<si><t>{text}</t></si>" for text in texts)
        archive.writestr("strings.xml", f"<sst {main}>{shared}</sst>")
        rows = [_row(1, "s", (0, 1, 2))]
        rows += [_row(n + 2, "n", (n, n + 6, 3 + n % 3)) for n in range(n_rows)]
        sheet = f"<worksheet {main}><sheetData>{''.join(rows)}</sheetData></worksheet>"
        archive.writestr("sheet1.xml", sheet)


def _row(number: int, first: str, values: tuple[int, int, int]) -> str:
    cells = "".join(
        f'<c r="{letter}{number}" t="{kind}"><v>{value}</v></c>'
        for letter, kind, value in zip("ABC", (first, "s", "s"), values, strict=True)
    )
    return f'<row r="{number}">{cells}</row>'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    n_rows = parser.parse_args().rows
    found = set()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.xlsx"
        write(path, n_rows)
        print(f"{n_rows:,} rows, {path.stat().st_size >> 20} MB")
        for name, read in READERS.items():
            command = [sys.executable, "-W", "ignore", "-c", MEASURE.format(read=read), str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds, megabytes, digest = done.stdout.split()
            found.add(digest)
            print(f"{name:<10}{n_rows / float(seconds):>10,.0f} rows/s{megabytes:>8} MB")
    if len(found) > 1:
        raise SystemExit("the readers disagree")


if __name__ == "__main__":
    main()
