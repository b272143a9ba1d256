"""The package as a whole: what importing costs, what it exports."""

import importlib
import importlib.util
import inspect
import os
import pkgutil
import subprocess
import sys

import pytest

import routesig as rs


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    return done.stdout.strip()


def test_import_loads_neither_torch_nor_numpy():
    heavy = "{'torch', 'numpy', 'pandas', 'pyarrow', 'xarray', 'matplotlib', 'typer', 'tqdm', 'tokenizers'}"
    assert run(f"import sys, routesig; print(sorted({heavy} & set(sys.modules)))") == "[]"


def test_threads_work_without_numpy():
    assert (
        run("import sys, routesig as rs; rs.set_num_threads(3); print(rs.num_threads(), 'numpy' in sys.modules)")
        == "3 False"
    )


def test_thread_count_follows_the_environment():
    assert run("import routesig as rs; print(rs.num_threads())", ROUTESIG_NUM_THREADS="5") == "5"


def test_every_name_in_all_exists_after_every_module_was_imported():
    for module in pkgutil.walk_packages(rs.__path__, "routesig."):
        needs_torch = module.name == "routesig.ops"
        built = importlib.util.find_spec("routesig._torch") is not None
        if module.name not in ("routesig.__main__", "routesig._torch") and (built or not needs_torch):
            importlib.import_module(module.name)
    for name in rs.__all__:
        value = getattr(rs, name)
        assert not inspect.ismodule(value) or name in rs._NAMESPACES, f"rs.{name} was replaced by a module"


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        rs.nothing  # noqa: B018


def test_public_functions_say_what_they_take_and_return():
    for name in rs.__all__:
        value = getattr(rs, name)
        if inspect.isfunction(value):
            assert "Parameters\n" in value.__doc__, name
            assert "Returns\n" in value.__doc__, name


def test_version_is_that_of_the_header(repository):
    header = (repository / "include/routesig/version.hpp").read_text()
    assert f'"{rs.__version__}"' in header


@pytest.mark.parametrize("flag", ["--includes", "--cmakedir"])
def test_python_m_routesig_says_where_the_headers_are(flag):
    done = subprocess.run([sys.executable, "-m", "routesig", flag], capture_output=True, text=True, check=True)
    inside = {"--includes": "routesig/routesig.hpp", "--cmakedir": "routesig-config.cmake"}[flag]
    assert os.path.isfile(os.path.join(done.stdout.strip(), inside))
