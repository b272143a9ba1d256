"""Where the C++ side of the installed package lies: its headers and its CMake package.

``python -m routesig --includes`` and ``--cmakedir`` print these.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def include_dir() -> Path:
    """Return the folder to put on a compiler's include path.

    Returns
    -------
    Path
        The installed package's ``include``, or a source checkout's where this module is run from one.

    Raises
    ------
    FileNotFoundError
        If the package was installed without its headers.
    """
    for folder in (_PACKAGE / "include", _PACKAGE.parents[1] / "include"):
        if (folder / "routesig" / "routesig.hpp").is_file():
            return folder
    raise FileNotFoundError(f"no C++ headers beside {_PACKAGE}: install routesig with `pip install .` from its sources")


def cmake_dir() -> Path:
    """Return the folder to give to CMake as ``routesig_DIR`` or on ``CMAKE_PREFIX_PATH``.

    Returns
    -------
    Path
        The folder of ``routesig-config.cmake``.

    Raises
    ------
    FileNotFoundError
        If the package was not installed: a source checkout has no libraries to link.
    """
    folder = _PACKAGE / "lib" / "cmake" / "routesig"
    if not (folder / "routesig-config.cmake").is_file():
        raise FileNotFoundError(f"no CMake package in {folder}: install routesig with `pip install .` from its sources")
    return folder
