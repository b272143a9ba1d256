"""`python -m routesig`: the command line; `--includes` and `--cmakedir` print where the C++ side lies."""

import sys

from routesig import _paths


def main() -> None:
    """Run the command line; Ctrl-C ends it without a traceback from its first import on."""
    try:
        if sys.argv[1:] == ["--includes"]:
            print(_paths.include_dir())
        elif sys.argv[1:] == ["--cmakedir"]:
            print(_paths.cmake_dir())
        else:
            from routesig import cli

            cli.main()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
