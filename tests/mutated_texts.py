"""Mutates texts, archives and checkpoints and runs the commands that read them.

``PYTHONPATH=. python tests/mutated_texts.py NUMBER SEED`` does so in a process of its own, whose memory is bounded, and
prints as JSON what came of it: how many ended with which exit code, and every one that ended otherwise.
"""

import argparse
import copy
import faulthandler
import io
import json
import logging
import os
import pickle
import re
import resource
import shutil
import sys
import time
import traceback
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import yaml
from example_texts import READERS, Reader, set_environment
from matplotlib.figure import Figure

from dataset_conversion.files.hashing import sha256_of
from nnunet_seqdropout.cli.command import main
from nnunet_seqdropout.study.steps import Steps

MOST_BYTES = 12 << 30
"""Of address space, most of which torch reserves and does not take."""
SLOWEST_S, MOST_GROWTH = 5, 500 << 20
HANGS_S = 120
TOO_LARGE = "@1e400@"
DEEP: Any = [[]]
for _ in range(150):
    DEEP = [DEEP]
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 7, 10**30, float("nan"), float("inf"), TOO_LARGE, DEEP),
    *("", "x", "../x", "=1+1", "x" * 3000, "1", "a\nb", "\u00e9", "\ud800", "\0", "nan", "2020-01-01"),
    *([], {}, [1], ["x"], [None], [[1, 2]], {"x": 1}, {"": None}, {"x": {}}, [{"x": 1}]),
)


class Payload:
    """Unpickled, it creates the file ``ran``."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "ran"

    def __reduce__(self) -> tuple:
        return Path.touch, (self.file,)


def one_of(choices: Any, rng: np.random.Generator) -> Any:
    return choices[int(rng.integers(len(choices)))]


def bytes_changed(content: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(0, max(1, len(data))))
        match rng.integers(0, 6):
            case 0 | 1 if data:
                data[place] ^= 1 << int(rng.integers(8))
            case 2:
                data[place : place + int(rng.integers(1, 20))] = b""
            case 3:
                data[place:place] = rng.bytes(int(rng.integers(1, 20)))
            case 4:
                data[place:place] = data[: int(rng.integers(1, 60))]
            case _:
                del data[place:]
    return bytes(data)


def places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Every container with every key of it."""
    for key in list(content) if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ():
        yield content, key
        yield from places(content[key])


def structure_changed(content: Any, rng: np.random.Generator) -> Any:
    """One or two values replaced, removed, repeated or renamed; now and then all of it."""
    root = {"": copy.deepcopy(content)}
    for _ in range(rng.integers(1, 3)):
        found = list(places(root))
        container, key = one_of(found[1:] or found, rng) if rng.random() < 0.97 else found[0]
        match rng.integers(0, 9):
            case 0 if key != "":
                del container[key]
            case 1 if isinstance(container, list):
                container.append(container[key])
            case 1 | 2 if isinstance(container, dict) and key != "":
                container[str(one_of(VALUES, rng))[:5000]] = container.pop(key)
            case 3:
                container[key] = [container[key]]
            case _:
                container[key] = copy.deepcopy(one_of(VALUES, rng))
    return root[""]


def as_json(content: Any) -> bytes:
    text = json.dumps(content).replace(f'"{TOO_LARGE}"', "1e400")
    return text.encode("utf-8", "surrogatepass")


def text_changed(file: Path, rng: np.random.Generator) -> bytes:
    content = file.read_bytes()
    if rng.random() < 0.3:
        return bytes_changed(content, rng)
    if file.suffix == ".csv":
        return table_changed(content.decode(), rng).encode("utf-8", "surrogatepass")
    if file.suffix == ".json":
        return as_json(structure_changed(json.loads(content), rng))
    changed = structure_changed(yaml.safe_load(content), rng)
    if rng.random() < 0.5:
        return as_json(changed)  # which is YAML, too
    return yaml.safe_dump(changed, allow_unicode=True).encode("utf-8", "replace")


def table_changed(text: str, rng: np.random.Generator) -> str:
    rows = [line.split(",") for line in text.splitlines()]
    row, column = int(rng.integers(len(rows))), int(rng.integers(len(rows[0])))
    match rng.integers(0, 7):
        case 0:
            rows = [[*each[:column], *each[column + 1 :]] for each in rows]
        case 1:
            rows = [[*each, each[column]] for each in rows if column < len(each)]
        case 2:
            del rows[row]
        case 3:
            rows.append(rows[row])
        case 4:
            rows = rows[: int(rng.integers(0, 2))]
        case _:
            value = one_of(VALUES, rng)
            new = str(value).replace("\n", " ").replace(TOO_LARGE, "1e400")[:500]
            for each in rows if rng.random() < 0.3 else [rows[row]]:
                each[min(column, len(each) - 1)] = new
    return "\n".join(map(",".join, rows)) + "\n"


def probabilities_changed(file: Path, rng: np.random.Generator) -> None:
    values = np.load(file)["probabilities"]
    key = "probabilities" if rng.random() < 0.9 else "other"
    changed: list[Any] = [
        *(values.astype(each) for each in ("f2", "f8", "i1", "u1", "c8", "?", "U3", "S1", "M8[D]", "V3", "O")),
        *(values[..., 0], values[:, 1:], values[None], values[:1], values[0, 0, 0, 0], values[:0], values.T),
        *(values * np.nan, values - 1, values + 1e30, values * np.inf, np.zeros((2, 4, 6, 8), [("a", "f4")])),
        np.array([Payload(file.parent.parent)], dtype=object),
    ]
    chosen = one_of(changed, rng)
    with np.errstate(all="ignore"):
        np.savez_compressed(file, allow_pickle=True, **{key: chosen})
    if rng.random() < 0.15:
        with zipfile.ZipFile(file, "w") as archive:
            shape = one_of(
                ["(1099511627776,)", "(2, 4, 6, -8)", "(2, 4, 6, 8", "((1,),)", "x", "(2, 4, 6, 800000)"], rng
            )
            header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
            archive.writestr("probabilities.npy", b"\x93NUMPY\x01\x00v\x00" + header.encode() + values.tobytes())


def checkpoint_changed(file: Path, folder: Path, rng: np.random.Generator) -> None:
    content = torch.load(file, weights_only=False)
    weights = content["network_weights"]
    key, name = one_of([*content], rng), one_of([*weights], rng)
    tensor = weights[name]
    match rng.integers(0, 9):
        case 0:
            del content[key]
        case 1 | 2:
            content[key] = one_of(VALUES[:10] + VALUES[11:], rng)
        case 3:
            content[key] = Payload(folder)
        case 4:
            weights[name] = Payload(folder)
        case 5 | 6:
            scaled = (tensor * np.nan, tensor.double(), tensor.int(), tensor.to(torch.complex64), tensor[None])
            weights[name] = one_of([*scaled, tensor.to_sparse(), tensor.bool(), 1, None, "x", tensor.to("meta")], rng)
        case 7:
            weights[one_of(["x", "", 1], rng)] = weights.pop(name)
        case 8:
            content = one_of([[], None, tensor, weights, {}, "x"], rng)
    torch.save(content, file)
    if rng.random() < 0.05:
        file.write_bytes(pickle.dumps(Payload(folder)))


def archive_changed(file: Path, rng: np.random.Generator) -> None:
    """A file of it changed, with checksums that fit, so that it is read."""
    files = archived(file)
    name = one_of([*files], rng)
    if name.endswith(".json") and rng.random() < 0.8:
        files[name] = as_json(structure_changed(json.loads(files[name]), rng))
    else:
        files[name] = bytes_changed(files[name], rng)
    write_archived(files, file, sums=name != "checksums.json")


def archived(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def write_archived(files: dict[str, bytes], file: Path, *, sums: bool = True) -> None:
    """sums: with checksums that fit."""
    if sums:
        fitting = {name: sha256_of(content) for name, content in files.items() if name != "checksums.json"}
        files = {**files, "checksums.json": as_json({"version": 1, "sha256": fitting})}
    with zipfile.ZipFile(file, "w") as opened:
        for each, content in files.items():
            opened.writestr(each, content)


def mutate(file: Path, folder: Path, rng: np.random.Generator) -> None:
    special: dict[str, Callable[[], None]] = {
        ".npz": lambda: probabilities_changed(file, rng),
        ".pth": lambda: checkpoint_changed(file, folder, rng),
        ".zip": lambda: archive_changed(file, rng),
    }
    if file.suffix not in special:
        file.write_bytes(text_changed(file, rng))
    elif rng.random() < 0.3:
        file.write_bytes(bytes_changed(file.read_bytes(), rng))
    else:
        special[file.suffix]()


def run(reader: Reader, folder: Path, *options: str) -> tuple[int, str]:
    """The exit code, and what was printed."""
    set_environment(folder)
    # the next command's go where it prints
    logging.getLogger().handlers.clear()
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        try:
            code = main([*reader.words.replace("{}", str(folder)).split(), *options])
        except SystemExit as stop:
            code = int(stop.code or 0)
    return code, printed.getvalue()


def wrong_with(code: int, printed: str, folder: Path) -> str:
    """What is wrong with how the command ended; empty where nothing is."""
    if (folder / "ran").exists():
        return "the payload ran"
    if found := re.search(r"Traceback|.*unexpected (error \(|\w+: ).*", printed):
        return found[0][:400]
    if code not in (0, 1, 2):
        return f"exit code {code}"
    return "" if code == 0 or printed.strip() else "nothing is said"


def peak_bytes() -> int:
    """The most memory that this program took so far."""
    return 1024 * int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])


def came_of(reader: Reader, original: Path, rng: np.random.Generator, keep: Path | None) -> tuple[str, float]:
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "f"
        shutil.copytree(original, folder, symlinks=True)
        mutated = next(folder.glob(reader.file))
        mutate(mutated, folder, rng)
        content = mutated.read_bytes()
        before, started = peak_bytes(), time.process_time()
        faulthandler.dump_traceback_later(HANGS_S, exit=True)
        try:
            code, printed = run(reader, folder)
            found = wrong_with(code, printed, folder) or f"exit code {code}"
            found = found if code in (0, 1, 2) or not found.startswith("exit code") else f"wrong: {found}"
            if not found.startswith("exit code"):
                found = f"wrong: {found}"
        except BaseException:
            found = f"wrong: {traceback.format_exc()[-600:]}"
        faulthandler.cancel_dump_traceback_later()
        if (seconds := time.process_time() - started) > SLOWEST_S:
            found = f"wrong: {seconds:.1f} s"
        if (grown := peak_bytes() - before) > MOST_GROWTH:
            found = f"wrong: {grown:,} bytes more"
        if keep and found.startswith("wrong"):
            (keep / f"{len([*keep.iterdir()])}_{reader.words.split()[0]}_{mutated.name}").write_bytes(content)
        return found, seconds


def undrawn(_: Figure, file: Any, **__: Any) -> None:
    """In place of a picture, which takes longer than all else: what it shows has been put together."""
    if isinstance(file, str | Path):
        Path(file).touch()


def read_mutated(number: int, seed: int, *, keep: Path | None = None, word: str = "", quick: bool = False) -> dict:
    """What came of so many mutations, drawn among the readers by their shares. quick: without ``require_sound``."""
    Figure.savefig = undrawn  # type: ignore[assignment,method-assign]
    Steps.run = lambda self, only=None: None  # type: ignore[method-assign]
    counts: Counter[str] = Counter()
    wrong: dict[str, list[str]] = {}
    times: dict[str, float] = defaultdict(float)
    readers = [reader for reader in READERS if word in reader.name]
    shares = np.array([reader.share for reader in readers])
    with TemporaryDirectory() as made:
        originals = {}
        for number_of, make in enumerate(dict.fromkeys(reader.make for reader in readers)):
            originals[make] = Path(made) / str(number_of) / "f"
            originals[make].mkdir(parents=True)
            make(originals[make])
        for reader in () if quick else readers:
            require_sound(reader, originals[reader.make])
        start = peak_bytes()
        for i in range(number):
            rng = np.random.default_rng((seed, i))
            # all in turn, before one is drawn
            reader = readers[i] if i < len(readers) else readers[int(rng.choice(len(readers), p=shares / shares.sum()))]
            print(f"{seed} {i} {reader.name}", file=sys.__stderr__, flush=True)
            found, seconds = came_of(reader, originals[reader.make], rng, keep)
            times[reader.name] += seconds
            if found.startswith("exit code"):
                counts[f"{reader.name}: {found}"] += 1
            else:
                wrong.setdefault(reader.name, []).append(f"{i}: {found}")
        grown = peak_bytes() - start
    return {
        "counts": dict(sorted(counts.items())),
        "wrong": wrong,
        "n_wrong": {name: len(each) for name, each in wrong.items()},
        "grown_bytes": grown,
        "seconds": {name: round(each, 1) for name, each in sorted(times.items(), key=lambda item: -item[1])},
    }


def require_sound(reader: Reader, original: Path) -> None:
    """The command reads what was not mutated."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "f"
        shutil.copytree(original, folder, symlinks=True)
        code, printed = run(reader, folder)
        if wrong_with(code, printed, folder) or code not in reader.codes:
            raise RuntimeError(f"{reader.name} ends with {code}: {printed}")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    os.chdir(Path(__file__).parent)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("number", type=int)
    parser.add_argument("seed", type=int)
    parser.add_argument("--keep", type=Path, help="folder for the files that went wrong")
    parser.add_argument("--word", default="", help="only the readers whose name has it")
    parser.add_argument("--quick", action="store_true", help="do not read first what is not mutated")
    given = vars(parser.parse_args())
    print(json.dumps(read_mutated(given.pop("number"), given.pop("seed"), **given), indent=1))
