"""Compiles the CUDA kernels for every supported architecture, warnings as errors, and checks what ptxas says of them.

.venv/bin/python scripts/cuda_registers.py            # about a minute on two cores; without nvcc it says so and stops
.venv/bin/python scripts/cuda_registers.py --write    # and writes docs/cuda-registers.md

No instance may spill or use local memory; at 64 experts and k = 8 none may need more than 64 registers. Where the table
was written by the same nvcc, it has to agree.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs/cuda-registers.md"
SOURCE = ROOT / "src/cuda/topk.cu"
ARCHITECTURES = (80, 90, 100, 120)  # Ampere, Hopper, two of Blackwell; the last also as PTX
FLAGS = ("-std=c++20", "--expt-relaxed-constexpr")  # those of src/cuda/CMakeLists.txt
MOST_REGISTERS = 64  # at 64 experts, k = 8

INSTANCE = re.compile(
    r"Compiling entry function '\S*TopkTileI([jm])Lb([01])ELi(\d+)ELi(\d+)ELi(\d+)E\S*' for 'sm_(\d+)'"
)
MEMORY = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
REGISTERS = re.compile(r"Used (\d+) registers")


@dataclass(frozen=True, order=True)
class Tile:
    """An instance of the kernel, as topk_tile.hpp cuts them."""

    experts: int
    k: int
    scoring: str


@dataclass(frozen=True)
class Use:
    """What one instance uses on one architecture."""

    tile: Tile
    architecture: int
    registers: int
    local_bytes: int


def compile_for(nvcc: str, architecture: int, folder: Path) -> str:
    """Return what ptxas says; the last architecture is compiled to PTX too, as a release would be."""
    kinds = f"[sm_{architecture},compute_{architecture}]" if architecture == ARCHITECTURES[-1] else f"sm_{architecture}"
    command = [nvcc, "-O3", *FLAGS, f"-I{ROOT / 'include'}", "-Werror=all-warnings", "-Xptxas=-v"]
    command += [f"--generate-code=arch=compute_{architecture},code={kinds}"]
    command += ["-c", str(SOURCE), "-o", str(folder / f"{architecture}.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode != 0 or re.search(r"\b(warning|error)\b", said):
        sys.exit(f"{' '.join(command)}\n{said}")
    return said


def uses(said: str) -> list[Use]:
    """Read ptxas's lines: an instance, its memory, its registers."""
    found = []
    for part in said.split("Compiling entry function")[1:]:
        text = "Compiling entry function" + part
        instance, memory, registers = INSTANCE.search(text), MEMORY.search(text), REGISTERS.search(text)
        if not (instance and memory and registers):
            sys.exit(f"what ptxas says is not understood:\n{text}")
        key, sigmoid, lanes, values, k = instance.groups()[:5]
        scoring = "sigmoid" if sigmoid == "1" else "softmax, 16-bit logits" if key == "j" else "softmax, fp32 logits"
        tile = Tile(int(lanes) * int(values), int(k), scoring)
        local = sum(int(count) for count in memory.groups())
        found.append(Use(tile, int(instance.group(6)), int(registers.group(1)), local))
    return found


def complaints(found: list[Use]) -> list[str]:
    """Return a sentence for each instance that breaks the rules."""
    out = []
    for use in found:
        name = f"sm_{use.architecture}, up to {use.tile.experts} experts, k to {use.tile.k}, {use.tile.scoring}"
        if use.local_bytes:
            out.append(f"{name}: {use.local_bytes} bytes of local memory or spills")
        if (use.tile.experts, use.tile.k) == (64, 8) and use.registers > MOST_REGISTERS:
            out.append(f"{name}: {use.registers} registers, expected at most {MOST_REGISTERS}")
    return out


def page(found: list[Use], version: str) -> str:
    """Return docs/cuda-registers.md."""
    registers = {(use.tile, use.architecture): use.registers for use in found}
    heads = "".join(f" sm_{architecture} |" for architecture in ARCHITECTURES)
    lines = [
        "# Registers of the CUDA kernels",
        "",
        f"Printed by `scripts/cuda_registers.py --write`, from ptxas of nvcc {version}. Registers of a thread for each",
        "instance of the router kernel; none spills, none uses local memory. The rule that is checked: at most",
        f"{MOST_REGISTERS} registers at 64 experts and k = 8, which leaves a multiprocessor eight blocks of 128 threads.",
        "",
        f"| experts to | k to | scores |{heads}",
        "|---|---|---|" + "---|" * len(ARCHITECTURES),
    ]
    for tile in sorted({use.tile for use in found}):
        cells = "".join(f" {registers[tile, architecture]} |" for architecture in ARCHITECTURES)
        lines.append(f"| {tile.experts} | {tile.k} | {tile.scoring} |{cells}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Compile, check, compare or write."""
    parser = argparse.ArgumentParser(description="Checks what ptxas says of the CUDA kernels.")
    parser.add_argument("--write", action="store_true", help="write docs/cuda-registers.md")
    arguments = parser.parse_args()
    nvcc = os.environ.get("CUDACXX") or shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")
    if nvcc is None:
        print("cuda-registers: skipped, no nvcc was found (CUDACXX, PATH, /usr/local/cuda)")
        return
    flags = (ROOT / "src/cuda/CMakeLists.txt").read_text()
    if missing := [flag for flag in FLAGS if flag not in flags]:
        sys.exit(f"src/cuda/CMakeLists.txt does not say {missing}")
    (version,) = re.findall(
        r"V(\d+\.\d+\.\d+)", subprocess.run([nvcc, "--version"], capture_output=True, text=True).stdout
    )
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        said = list(pool.map(lambda architecture: compile_for(nvcc, architecture, Path(folder)), ARCHITECTURES))
    found = [use for text in said for use in uses(text)]
    if wrong := complaints(found):
        sys.exit("\n".join(wrong))
    text = page(found, version)
    if arguments.write:
        TABLE.write_text(text)
    elif f"nvcc {version}." in TABLE.read_text() and TABLE.read_text() != text:
        sys.exit(
            f"{TABLE.relative_to(ROOT)} is not what nvcc {version} says now: run scripts/cuda_registers.py --write"
        )
    print(f"{len(found)} instances on {len(ARCHITECTURES)} architectures: no spills, no local memory")


if __name__ == "__main__":
    main()
