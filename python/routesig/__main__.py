"""`python -m routesig`: the command line; `--includes` and `--cmakedir` print where the C++ side lies."""

import sys

from routesig import _paths

if sys.argv[1:] == ["--includes"]:
    print(_paths.include_dir())
elif sys.argv[1:] == ["--cmakedir"]:
    print(_paths.cmake_dir())
else:
    from routesig.cli import main

    main()
