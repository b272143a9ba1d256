"""What a stranger does with routesig: find_package from an install tree, pip install of an sdist without Torch.

Everything happens in fresh folders and a fresh virtual environment; of the checkout only sources are read.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONSUMER = Path(__file__).resolve().parent / "consumer"
TINY = ROOT / "python" / "routesig" / "data" / "tiny-olmoe"
SOURCE_FOLDERS = ("bindings", "cmake", "include", "python", "src")

pytestmark = pytest.mark.install


def clean_environment(**extra: str) -> dict[str, str]:
    """Return this environment without what would leak this checkout's packages into a stranger's."""
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    return kept | extra


def run(*command: str | Path, cwd: Path | None = None, ok: bool = True, **extra: str) -> str:
    """Run a command and return what it printed; it has to succeed, or with ``ok=False`` to fail."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean_environment(**extra),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == ok, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def one_line(text: str) -> str:
    """Return CMake's wrapped output as one line."""
    return re.sub(r"\s+", " ", text)


def build_consumer(folder: Path, *options: str) -> Path:
    """Configure and build the stranger's project; return its build folder."""
    run("cmake", "-S", CONSUMER, "-B", folder, "-DCMAKE_BUILD_TYPE=Release", *options)
    run("cmake", "--build", folder, "--parallel", "2")
    return folder


def configure_refused(folder: Path, *options: str, source: Path = CONSUMER) -> str:
    """Configure where something is missing; return what CMake says, as one line."""
    return one_line(run("cmake", "-S", source, "-B", folder, *options, ok=False))


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the C++ side, then move it: nothing in it may know where it was built or first installed."""
    folder = tmp_path_factory.mktemp("prefix")
    build = ROOT / "build" / "python"  # scripts/test has just built it
    if not (build / "CMakeCache.txt").is_file():
        build = folder / "build"
        run("cmake", "-S", ROOT, "-B", build, "-DROUTESIG_BUILD_TESTS=OFF", "-DROUTESIG_TORCH=OFF")
        run("cmake", "--build", build, "--parallel", "2", "--target", "routesig_package")
    run("cmake", "--install", build, "--prefix", folder / "first", "--component", "devel")
    return (folder / "first").rename(folder / "moved")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source distribution of this checkout."""
    pytest.importorskip("scikit_build_core", reason="pip install -r scripts/requirements.txt")
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-c", f"import scikit_build_core.build as b; b.build_sdist({str(folder)!r})", cwd=ROOT)
    (archive,) = folder.glob("routesig-*.tar.gz")
    return archive


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the source distribution as pip does for a stranger without Torch; scripts/setup proves it with Torch."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "venv", folder / "venv")
    run(folder / "venv" / "bin" / "pip", "wheel", "--no-deps", "--wheel-dir", folder, sdist, cwd=folder)
    (archive,) = folder.glob("routesig-*.whl")
    return archive


@pytest.fixture(scope="module")
def stranger(wheel: Path) -> Path:
    """Install routesig and what it needs where there is no Torch; return that environment's interpreter."""
    python = wheel.parent / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", wheel, cwd=wheel.parent)
    return python


def readme_program(folder: Path) -> Path:
    """Return the README's C++ lines as a source file."""
    (block,) = re.findall(r"^```cpp\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    source = folder / "readme.cpp"
    source.write_text(block)
    return source


def test_installed_package_builds_a_strangers_project(prefix: Path, tmp_path: Path) -> None:
    build = build_consumer(tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    assert run(build / "similarity") == "similarity 0.4\n"
    expected = "2 traces, code-01 3 tokens, math-01 3 tokens\n"
    assert run(build / "read_trace", tmp_path / "traces.jsonl") == expected


def test_installed_package_names_no_folder_of_its_build(prefix: Path) -> None:
    files = sorted(prefix.rglob("*.cmake"))
    assert len(files) >= 5
    for file in files:
        text = file.read_text()
        for forbidden in (str(ROOT), str(prefix.parent), "routesig_warnings", "-Wconversion"):
            assert forbidden not in text, file


def test_installed_package_needs_no_other(prefix: Path, tmp_path: Path) -> None:
    options = (f"-DCMAKE_PREFIX_PATH={prefix}", "-DCONSUMER_COMPONENTS=analysis;io")
    asked = run("cmake", "-S", CONSUMER, "-B", tmp_path / "io", *options, "--trace-expand")
    found = set(re.findall(r"\bfind_package\((\w+)", asked))
    assert {"routesig"} <= found <= {"routesig", "Threads"}
    build = build_consumer(tmp_path / "core", f"-DCMAKE_PREFIX_PATH={prefix}", "-DCONSUMER_COMPONENTS=core")
    assert run(build / "similarity") == "similarity 0.4\n"
    assert not (build / "read_trace").exists(), "core was asked for alone"


def test_analyses_are_there_where_they_are_asked_for(prefix: Path, tmp_path: Path) -> None:
    build = build_consumer(tmp_path, f"-DCMAKE_PREFIX_PATH={prefix}", "-DCONSUMER_COMPONENTS=analysis")
    assert run(build / "separation") == "difference 0.4\n"


def test_unknown_component_is_refused_by_name(prefix: Path, tmp_path: Path) -> None:
    said = configure_refused(tmp_path, f"-DCMAKE_PREFIX_PATH={prefix}", "-DCONSUMER_COMPONENTS=modle")
    assert 'it has no component "modle"; it has core, analysis, io and model' in said


def test_installed_model_runs_in_a_strangers_project(prefix: Path, tmp_path: Path) -> None:
    if not (prefix / "lib" / "libroutesig_model.a").is_file():
        pytest.skip("this build has no model: run scripts/test")
    options = (f"-DCMAKE_PREFIX_PATH={prefix}", "-DCONSUMER_COMPONENTS=model")
    build = build_consumer(tmp_path / "build", *options, f"-DPython_EXECUTABLE={sys.executable}")
    assert run(build / "load_model", TINY) == "16 layers, 3 tokens, logits\n"
    said = configure_refused(tmp_path / "no-torch", *options, f"-DROUTESIG_TORCH_DIR={tmp_path}")
    assert 'its component "model" needs LibTorch' in said


@pytest.mark.parametrize("package", ["Eigen3", "nlohmann_json", "GTest"])
def test_missing_dependency_is_one_sentence_with_its_remedy(package: str, tmp_path: Path) -> None:
    said = configure_refused(tmp_path, f"-DCMAKE_DISABLE_FIND_PACKAGE_{package}=ON", source=ROOT)
    assert re.search(rf"routesig: {package} [0-9.]+ or newer was not found; apt-get install (lib|nlohmann)", said)
    assert f"Could not find a package configuration file provided by {package}" not in said


def test_pip_installed_copy_builds_a_strangers_project(stranger: Path, tmp_path: Path) -> None:
    cmake_dir = run(stranger, "-m", "routesig", "--cmakedir", cwd=tmp_path).strip()
    assert Path(cmake_dir).is_relative_to(stranger.parents[1])
    readme = readme_program(tmp_path)
    build = build_consumer(tmp_path / "build", f"-Droutesig_DIR={cmake_dir}", f"-DCONSUMER_README={readme}")
    assert run(build / "similarity") == "similarity 0.4\n"
    assert run(build / "read_trace", tmp_path / "t.jsonl").startswith("2 traces, code-01 3 tokens")
    assert run(build / "readme") == "similarity 0.5\n"


def test_includes_are_enough_for_a_plain_compiler(stranger: Path, tmp_path: Path) -> None:
    includes = run(stranger, "-m", "routesig", "--includes", cwd=tmp_path).strip()
    assert Path(includes).is_relative_to(stranger.parents[1])
    program = tmp_path / "similarity"
    flags = ("-std=c++20", "-I", includes, "-I", "/usr/include/eigen3", "-pthread")
    run("c++", *flags, CONSUMER / "similarity.cpp", "-o", program)
    assert run(program) == "similarity 0.4\n"


def test_component_model_says_that_it_was_not_built(stranger: Path, tmp_path: Path) -> None:
    cmake_dir = run(stranger, "-m", "routesig", "--cmakedir", cwd=tmp_path).strip()
    said = configure_refused(tmp_path / "build", f"-Droutesig_DIR={cmake_dir}", "-DCONSUMER_COMPONENTS=model")
    assert 'its component "model" was not built; install torch, then build routesig with -DROUTESIG_TORCH=ON' in said


def test_without_torch_everything_but_the_model_works(stranger: Path, tmp_path: Path) -> None:
    script = """
import sys
import routesig
assert not {"torch", "numpy", "pandas"} & set(sys.modules), "import routesig is not light"
assert len(routesig.load_prompts()) == 80
try:
    routesig.load_model()
except ImportError as error:
    print(error)
"""
    said = run(stranger, "-c", script, cwd=tmp_path)
    assert "pip install" in said
    assert "ROUTESIG_TORCH=ON" in said
    assert len(said.strip().splitlines()) == 1


def test_command_line_works_from_a_pip_installed_copy(stranger: Path, tmp_path: Path) -> None:
    said = run(stranger.parent / "routesig", "--help", cwd=tmp_path)
    assert "record" in said
    assert "demo" in said


def test_source_distribution_holds_every_source_and_nothing_built(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    sources = {
        str(file.relative_to(ROOT))
        for folder in SOURCE_FOLDERS
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".so"
    }
    assert sources - names == set()
    assert {"CMakeLists.txt", "pyproject.toml", "README.md", "LICENSE"} <= names
    assert not [name for name in names if name.startswith(("build/", ".venv")) or name.endswith((".so", ".pyc"))]


def test_wheel_of_the_source_distribution_is_complete_and_runs_on_any_processor(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        core_targets = archive.read("routesig/lib/cmake/routesig/routesig-core-targets.cmake").decode()
    assert "routesig/include/routesig/routesig.hpp" in names
    assert {"routesig/lib/libroutesig_io.a", "routesig/lib/libroutesig_analysis.a"} <= names
    assert "routesig/py.typed" in names
    assert "routesig/data/prompts.jsonl" in names
    assert {f"routesig/data/tiny-olmoe/{file.name}" for file in TINY.iterdir()} <= names
    assert "-march=native" not in core_targets


def test_installed_copy_knows_its_version(stranger: Path, tmp_path: Path) -> None:
    said = run(stranger, "-c", "import routesig; print(routesig.__version__, routesig.__file__)", cwd=tmp_path)
    version = re.search(r'ROUTESIG_VERSION "(.+)"', (ROOT / "include/routesig/version.hpp").read_text())
    assert version is not None
    printed, file = said.split()
    assert printed == version[1]
    assert Path(file).is_relative_to(stranger.parents[1])
