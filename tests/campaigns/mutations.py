"""Damage to files: bytes, numbers in text, and JSON wherever it stands.

In: a folder of small valid files and a generator of random numbers. Out: the same folder with one
to three damages, and a word for each. Much of the damage is done within JSON, so that a reader gets
past its parser and meets values of other types, keys that are gone and numbers that are huge.
"""

from __future__ import annotations

import gzip
import json
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

# What stands in the place of a JSON value.
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 10**9, 2**31, 2**63, -(2**63), 10**30, 10**400),
    *(0.5, -0.0, 1e308, float("nan"), float("inf")),
    *("", "a", "0", "\ud800", "\0", "../x", "/etc/passwd", "hf:a/b", "os:system", "x" * 3000),
    *([], {}, [[]], [None], [1, "a"], {"": None}, {"name": {}}, [10**9], [[["a"]]]),
)
# What stands in the place of a number in text.
NUMBERS = (b"-1", b"0", b"1", b"99999999999", b"nan", b"1e400", b"0x10", b"", b"1" * 5000, b"2.5")
_DIGITS = re.compile(rb"-?\d+")


def damage_folder(folder: Path, random: Random) -> str:
    """Damage one to three times what lies in a folder; say how."""
    said = []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        if not paths:
            break
        path = random.choice(paths)
        name = path.relative_to(folder).as_posix()
        if random.random() < 0.08:
            said.append(f"{name}: {_damage_file(path, paths, random)}")
            continue
        data = path.read_bytes()
        packed = data.startswith(b"\x1f\x8b") and random.random() < 0.8
        try:
            inner = gzip.decompress(data) if packed else data
        except (OSError, EOFError, ValueError, zlib.error):
            packed, inner = False, data
        word, changed = damage_bytes(inner, random)
        path.write_bytes(gzip.compress(changed, mtime=0) if packed else changed)
        said.append(f"{name}: {word}{' in gzip' if packed else ''}")
    return "; ".join(said)


def _damage_file(path: Path, paths: list[Path], random: Random) -> str:
    """Take a file away, or put another in its place."""
    how = random.choice(("removed", "empty", "swapped", "folder", "garbage"))
    if how == "removed":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "swapped":
        other = random.choice(paths)
        ours, theirs = path.read_bytes(), other.read_bytes()
        path.write_bytes(theirs)
        other.write_bytes(ours)
        return f"swapped with {other.name}"
    elif how == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(random.randbytes(random.choice((1, 9, 500))))
    return how


def damage_bytes(data: bytes, random: Random) -> tuple[str, bytes]:
    """Damage bytes in a manner that suits them; give the manner and the result."""
    manners: list[Callable[[bytes, Random], bytes | None]] = [
        *(flip, cut_short, drop, repeat, insert, change_number, change_integer),
        *((change_json,) * 6),
    ]
    while True:
        manner = random.choice(manners)
        changed = manner(data, random)
        if changed is not None and changed != data:
            return manner.__name__, changed
        manners = [other for other in manners if other is not manner]
        if not manners:
            return "insert", data + b"\xff"


def flip(data: bytes, random: Random) -> bytes | None:
    """Change some bytes."""
    if not data:
        return None
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8))):
        at = random.randrange(len(data))
        changed[at] = random.choice(
            (changed[at] ^ (1 << random.randrange(8)), 0, 255, 0x80, 10, 34)
        )
    return bytes(changed)


def cut_short(data: bytes, random: Random) -> bytes | None:
    """Leave the end out."""
    return data[: random.randrange(len(data))] if data else None


def drop(data: bytes, random: Random) -> bytes | None:
    """Leave a piece out."""
    if not data:
        return None
    at = random.randrange(len(data))
    return data[:at] + data[at + random.choice((1, 1, 4, 50)) :]


def repeat(data: bytes, random: Random) -> bytes | None:
    """Say a piece twice."""
    if not data:
        return None
    at = random.randrange(len(data))
    end = at + random.choice((1, 8, 200))
    return data[:end] + data[at:]


def insert(data: bytes, random: Random) -> bytes | None:
    """Put bytes in between."""
    at = random.randrange(len(data) + 1)
    pieces = (b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\n", b'"', b"\t", b"[" * 5000, b"\x1b[31m")
    return data[:at] + random.choice((*pieces, random.randbytes(6))) + data[at:]


def change_number(data: bytes, random: Random) -> bytes | None:
    """Write another number where text has one."""
    places = list(_DIGITS.finditer(data[:50_000]))
    if not places:
        return None
    place = random.choice(places)
    return data[: place.start()] + random.choice(NUMBERS) + data[place.end() :]


def change_integer(data: bytes, random: Random) -> bytes | None:
    """Write another integer of four or eight bytes."""
    code, size = random.choice((("<i", 4), ("<q", 8)))
    if len(data) < size:
        return None
    at = random.randrange(0, min(len(data) - size, 4096) + 1)
    number = random.choice((-1, 0, 1, 2**31 - 1, -(2**31), 10**6))
    return data[:at] + struct.pack(code, number) + data[at + size :]


def change_json(data: bytes, random: Random) -> bytes | None:
    """Change a value of JSON: a whole file's, a line's, or that of a safetensors header."""
    if len(data) > 8 and data[8:9] == b"{":
        (length,) = struct.unpack("<Q", data[:8])
        header = _changed_json(data[8 : 8 + length], random)
        return (
            None if header is None else struct.pack("<Q", len(header)) + header + data[8 + length :]
        )
    whole = _changed_json(data, random)
    if whole is not None:
        return whole
    lines = data.split(b"\n")
    if len(lines) < 2:
        return None
    at = random.randrange(len(lines))
    line = _changed_json(lines[at], random)
    return None if line is None else b"\n".join([*lines[:at], line, *lines[at + 1 :]])


def _changed_json(data: bytes, random: Random) -> bytes | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict | list) or not value:
        return json.dumps(random.choice(ODD)).encode() if isinstance(value, dict | list) else None
    places = list(_places(value))
    holder, key = random.choice(places)
    how = random.random()
    if how < 0.2:
        del holder[key]
    elif how < 0.3:
        holder[key] = holder[random.choice(list(_keys(holder)))]
    elif how < 0.35:
        holder[key] = [holder[key]]
    elif how < 0.4 and isinstance(holder, dict):
        holder[str(random.choice(("", "name", "added", "\ud800")))] = holder.pop(key)
    else:
        holder[key] = random.choice(ODD)
    return json.dumps(value, ensure_ascii=random.random() < 0.9).encode("utf-8", "surrogatepass")


def _keys(holder: Any) -> Any:
    return holder if isinstance(holder, dict) else range(len(holder))


def _places(value: Any) -> Any:
    """Give every (holder, key) within a JSON value; of a long list the first ten."""
    left = [value]
    while left:
        holder = left.pop()
        for key in (
            list(_keys(holder))[:60] if isinstance(holder, dict) else range(min(len(holder), 10))
        ):
            yield holder, key
            if isinstance(holder[key], dict | list):
                left.append(holder[key])
