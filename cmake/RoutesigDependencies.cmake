# Finds what the build needs; what is missing is one sentence with the command that mends it.
#
#   routesig_find_package(Eigen3 3.4 MEND "apt-get install libeigen3-dev")
#
# All of it is found here, at the top: imported targets are visible in the folder that found them and below.
macro(routesig_find_package package version)
  cmake_parse_arguments(routesig_find "" "MEND" "" ${ARGN})
  find_package(${package} ${version} QUIET CONFIG)
  if(NOT ${package}_FOUND)
    set(routesig_found_instead "")
    if(${package}_CONSIDERED_VERSIONS)
      set(routesig_found_instead " (found ${${package}_CONSIDERED_VERSIONS})")
    endif()
    message(FATAL_ERROR
      "routesig: ${package} ${version} or newer was not found${routesig_found_instead}; ${routesig_find_MEND}")
  endif()
endmacro()

routesig_find_package(Eigen3 3.4 MEND "apt-get install libeigen3-dev")
routesig_find_package(nlohmann_json 3.11 MEND "apt-get install nlohmann-json3-dev")
find_package(Threads REQUIRED)
if(ROUTESIG_BUILD_TESTS)
  routesig_find_package(GTest 1.12 MEND "apt-get install libgtest-dev libgmock-dev, or configure with -DROUTESIG_BUILD_TESTS=OFF")
endif()
if(ROUTESIG_BUILD_BENCH)
  routesig_find_package(benchmark 1.7 MEND "apt-get install libbenchmark-dev, or configure with -DROUTESIG_BUILD_BENCH=OFF")
  find_package(simdjson 3.0 QUIET CONFIG)  # a peer: without it one comparison is left out
  if(NOT simdjson_FOUND)
    message(STATUS "routesig: simdjson 3.0 was not found, so jsonl_bench leaves it out; apt-get install libsimdjson-dev")
  endif()
endif()

# The Python that the modules are built for and that LibTorch is looked up in: the caller's, else the checkout's own .venv.
if(NOT DEFINED Python_EXECUTABLE AND PROJECT_IS_TOP_LEVEL AND NOT DEFINED ENV{VIRTUAL_ENV}
   AND EXISTS "${PROJECT_SOURCE_DIR}/.venv/bin/python")
  set(Python_EXECUTABLE "${PROJECT_SOURCE_DIR}/.venv/bin/python" CACHE FILEPATH "The Python to build for")
endif()

if(ROUTESIG_BUILD_PYTHON)
  find_package(Python 3.10 QUIET COMPONENTS Interpreter Development.Module)
  if(NOT Python_FOUND)
    message(FATAL_ERROR "routesig: Python 3.10 or newer with its headers was not found; apt-get install python3-dev, "
                        "or name an interpreter with -DPython_EXECUTABLE=...")
  endif()
  if(NOT pybind11_DIR AND NOT SKBUILD)  # scikit-build-core puts its own environment on the search path
    execute_process(COMMAND "${Python_EXECUTABLE}" -m pybind11 --cmakedir
                    OUTPUT_VARIABLE pybind11_DIR OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
  routesig_find_package(pybind11 3.0 MEND "${Python_EXECUTABLE} -m pip install \"pybind11>=3.0\"")
endif()
