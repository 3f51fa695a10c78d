"""Workbooks made by hand, part by part, for what no program writes of its own."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def text_cell(text: str) -> str:
    """Give a cell with a text of its own."""
    return f'<c t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


def row_of(*texts: str) -> str:
    """Give a row of texts."""
    return f"<row>{''.join(map(text_cell, texts))}</row>"


def sheet_of(rows: str, behind: str = "") -> str:
    """Give the XML of a sheet; behind: what stands behind its rows."""
    return f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData>{behind}</worksheet>'


def parts_of(
    sheets: Mapping[str, str], *, strings: str = "", styles: str = "", properties: str = ""
) -> dict[str, str]:
    """Give the parts of a workbook; sheets: the XML of each by its name, strings: the shared
    texts, properties: the attributes of the workbook.
    """
    listed, relations, parts = "", "", {}
    for number, (name, xml) in enumerate(sheets.items(), start=1):
        parts[f"xl/worksheets/sheet{number}.xml"] = xml
        listed += f'<sheet name="{name}" sheetId="{number}" r:id="rId{number}"/>'
        relations += _relation(f"rId{number}", "worksheet", f"worksheets/sheet{number}.xml")
    if strings:
        parts["xl/sharedStrings.xml"] = f'<sst xmlns="{MAIN}">{strings}</sst>'
        relations += _relation("s", "sharedStrings", "sharedStrings.xml")
    if styles:
        parts["xl/styles.xml"] = f'<styleSheet xmlns="{MAIN}">{styles}</styleSheet>'
        relations += _relation("t", "styles", "styles.xml")
    return {
        "_rels/.rels": f"<Relationships>{_relation('r', 'officeDocument', 'xl/workbook.xml')}"
        "</Relationships>",
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><workbookPr {properties}/>'
        f"<sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f"<Relationships>{relations}</Relationships>",
        **parts,
    }


def _relation(key: str, kind: str, target: str) -> str:
    return f'<Relationship Id="{key}" Type="{OFFICE}/{kind}" Target="{target}"/>'


def write_parts(name: str, parts: Mapping[str, str | bytes], *, packed: bool = True) -> Path:
    """Write a workbook of these parts."""
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, content in parts.items():
            is_packed = packed and part != "mimetype"
            kind = zipfile.ZIP_DEFLATED if is_packed else zipfile.ZIP_STORED
            archive.writestr(part, content, kind)
    return Path(name)


def write_rows(name: str, rows: str, behind: str = "", **more: str) -> Path:
    """Write a workbook of one sheet, named S."""
    return write_parts(name, parts_of({"S": sheet_of(rows, behind)}, **more))
