"""What test_docs.py does not run: C++ blocks compile, shell lines name what exists, file lines are of the format."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import routesig as rs
from support import random_traces

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TOP_FOLDERS = "|".join(sorted(entry.name for entry in ROOT.iterdir() if entry.is_dir() and entry.name[0] != "."))
NOT_SHELL = ("prompt -> tokens -> ", "from transformers import ")  # a diagram; Python that has a test below
COMMANDS = ("scripts/", "apt-get ", "bench/run", ".venv/bin/", "build/", "pip ", "cmake ", "routesig ", "cp ")


def fenced(page: Path, language: str) -> list[str]:
    blocks = re.findall(r"^```([^\n`]*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    return [block for of, block in blocks if of == language]


def indented(page: Path) -> list[str]:
    """Blocks indented by four spaces behind a blank line, outside of fences and of the demo's output."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^(```+)[^\n]*\n.*?^\1|<!-- demo output -->.*?<!-- /demo output -->", "", text, flags=re.M | re.S)
    return [re.sub(r"(?m)^    ", "", block) for block in re.findall(r"\n\n((?:    [^\n]*(?:\n|\Z))+)", text)]


def shell_lines() -> list[tuple[str, str]]:
    """(page, line without its comment) of every block that is commands."""
    return [
        (page.name, re.sub(r"\s+#.*", "", line))
        for page in PAGES
        for block in indented(page)
        if block.startswith(COMMANDS)
        for line in block.splitlines()
    ]


def test_every_fence_is_of_a_kind_that_is_tested():
    for page in PAGES:
        for language in re.findall(r"^```+([^\n`]*)\n", page.read_text(encoding="utf-8"), re.M):
            known = language in ("", "python", "cpp", "text") or re.fullmatch(r"\{[\w-]+\}.*", language)
            assert known, f"{page.name}: no test knows ```{language} blocks"


def test_every_indented_block_is_of_a_kind_that_is_tested():
    for page in PAGES:
        for block in indented(page):
            assert block.startswith(COMMANDS + NOT_SHELL), f"{page.name}: no test knows what this is:\n{block}"


def test_cpp_blocks_compile(tmp_path):
    """A whole program as it stands; lines of a program inside a function, behind every public header."""
    compiler = shutil.which("c++")
    eigen = Path("/usr/include/eigen3")
    if compiler is None or not eigen.is_dir():
        pytest.skip("needs a C++ compiler and Eigen")
    headers = sorted((ROOT / "include/routesig").rglob("*.hpp"))
    lines = "".join(f'#include "{header.relative_to(ROOT / "include")}"\n' for header in headers)
    for page in PAGES[1:]:  # the README's program is built and run in tests/install
        for number, block in enumerate(fenced(page, "cpp")):
            if "#include" in block:
                (tmp_path / f"{page.stem}_{number}.cpp").write_text(block)
            else:
                lines += f'void {page.stem.replace("-", "_")}_{number}() {{\n#line 1 "{page.name}"\n{block}}}\n'
    (tmp_path / "lines.cpp").write_text(lines)
    for source in sorted(tmp_path.glob("*.cpp")):
        command = [compiler, "-std=c++20", "-fsyntax-only", f"-I{ROOT / 'include'}", f"-I{eigen}", str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_scripts_and_paths_in_shell_lines_exist():
    lines = shell_lines()
    assert len(lines) >= 10
    for page, line in lines:
        for path in re.findall(rf"(?<![\w/.-])(?:{TOP_FOLDERS})/[\w./-]+", line):
            if not path.startswith("build/"):
                assert (ROOT / path).exists(), f"{page}: {line}"


def test_options_of_scripts_exist():
    for page, line in shell_lines():
        script, *arguments = line.split()
        if script.startswith(("scripts/", "bench/")):
            text = (ROOT / script).read_text(encoding="utf-8")
            for option in (a for a in arguments if a.startswith("--")):
                assert option in text, f"{page}: {line}"


def test_options_of_the_command_line_exist():
    typer = pytest.importorskip("typer")
    from routesig.cli import app

    commands = typer.main.get_command(app).commands
    mentioned = [(page, line) for page, line in shell_lines() if line.startswith("routesig ")]
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        mentioned += [(page.name, line) for line in re.findall(r"`(routesig (?!--)[^`\n]*)`", text)]
    assert len(mentioned) >= 5
    for page, line in mentioned:
        _, name, *arguments = line.split()
        assert name in commands, f"{page}: {line}"
        options = {option for parameter in commands[name].params for option in parameter.opts}
        for option in (a for a in arguments if a.startswith("--")):
            assert option in options, f"{page}: {line}"


def test_pip_lines_agree_with_setup_and_pyproject():
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 reads pyproject.toml")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    setup = (ROOT / "scripts/setup").read_text(encoding="utf-8")
    options = "".join(file.read_text(encoding="utf-8") for file in [ROOT / "CMakeLists.txt", *ROOT.glob("cmake/*")])
    pip = [(page, line) for page, line in shell_lines() if line.startswith("pip install")]
    assert len(pip) >= 5
    for page, line in pip:
        for torch in re.findall(r"torch==\S+", line):
            assert torch in setup, f"{page}: {line}"
        for requirement in re.findall(r'"([\w-]+>=[\d.]+)"', line):
            assert requirement in project["build-system"]["requires"], f"{page}: {line}"
        for extra in re.findall(r"\.\[(\w+)\]", line):
            assert extra in project["project"]["optional-dependencies"], f"{page}: {line}"
        for option in re.findall(r"cmake\.define\.(\w+)", line):
            assert option in options, f"{page}: {line}"


def test_presets_and_targets_exist():
    presets = json.loads((ROOT / "CMakePresets.json").read_text(encoding="utf-8"))
    names = {preset["name"] for preset in presets["configurePresets"]}
    lists = list(ROOT.glob("tests/*/CMakeLists.txt"))
    nouns = [noun for file in lists for noun in re.findall(r"\w+", file.read_text(encoding="utf-8"))]
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for preset in re.findall(r"cmake (?:--build )?--preset\s+(\w[\w-]*)", text):
            assert preset in names, f"{page.name}: --preset {preset}"
        for noun in re.findall(r"--target (\w+)_test\b", text):
            assert noun in nouns, f"{page.name}: --target {noun}_test"


def test_files_named_in_prose_exist():
    """`folder/file` between backticks, where the folder is one of the repository's."""
    for page in PAGES:
        for path in re.findall(rf"`((?:{TOP_FOLDERS})/[\w./-]*)`", page.read_text(encoding="utf-8")):
            made = path.startswith("build/") or "NOUN" in path
            assert made or (ROOT / path).exists(), f"{page.name}: {path}"


def test_file_lines_are_json_with_the_fields_that_are_written(tmp_path):
    blocks = fenced(ROOT / "docs/formats.md", "")
    documented: dict[str, set[str]] = {}
    for block in blocks:
        for line in block.splitlines():
            fields = json.loads(line)
            documented.setdefault(fields.get("kind", "event"), set()).update(fields)
    random_traces().save(tmp_path / "t.jsonl")
    for line in (tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines():
        fields = json.loads(line)
        assert set(fields) <= documented[fields["kind"]], fields["kind"]


def test_the_event_lines_can_be_read(tmp_path):
    (block,) = [block for block in fenced(ROOT / "docs/formats.md", "") if '"kind"' not in block]
    (tmp_path / "events.jsonl").write_text(block)
    (trace,) = rs.read_traces(tmp_path / "events.jsonl", experts=64)
    assert trace.experts.ravel().tolist() == [12]


def test_the_lines_that_convert_pickled_weights_convert_them(model, tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    load_file = pytest.importorskip("safetensors.torch").load_file
    (block,) = [block for block in indented(ROOT / "docs/errors.md") if block.startswith("from transformers")]
    pickled, converted = tmp_path / "pickled", tmp_path / "converted"
    pickled.mkdir()
    torch.save(load_file(model.path / "model.safetensors"), pickled / "pytorch_model.bin")
    shutil.copy(model.path / "config.json", pickled)
    with pytest.raises(rs.FormatError, match="pickled weights"):
        rs.load_model(pickled)
    exec(block, {"folder": pickled, "new_folder": converted})
    assert rs.load_model(converted).info.layers == model.info.layers
