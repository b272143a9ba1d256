# Finds LibTorch without importing it and defines the imported target routesig::torch (c10 and torch_cpu, headers as
# SYSTEM). Used by this build and, installed beside the package files, by consumers of routesig::model.
#
#   routesig_find_torch()   ->  routesig_torch_version (2.13.0), routesig_torch_dir; or routesig_torch_problem (a sentence)
#
# Looked for in ROUTESIG_TORCH_DIR (a folder with include/ and lib/), else in the Python of Python_EXECUTABLE.

set(ROUTESIG_TORCH_MENDING "pip install torch==2.13.0")

# Asks Python where torch lies and which version it is; importing it would take a second and load its libraries.
function(routesig_ask_python_for_torch)
  find_package(Python 3.10 COMPONENTS Interpreter QUIET)
  if(NOT Python_EXECUTABLE)
    set(routesig_torch_problem "no Python was found to look for LibTorch in (set Python_EXECUTABLE or ROUTESIG_TORCH_DIR)"
        PARENT_SCOPE)
    return()
  endif()
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c
      "import importlib.metadata as m, importlib.util as u, os; print(os.path.dirname(u.find_spec('torch').origin)); print(m.version('torch'))"
    OUTPUT_VARIABLE answer ERROR_QUIET RESULT_VARIABLE status OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT status EQUAL 0)
    set(routesig_torch_problem
        "LibTorch was not found in ${Python_EXECUTABLE}; run: ${Python_EXECUTABLE} -m ${ROUTESIG_TORCH_MENDING}"
        PARENT_SCOPE)
    return()
  endif()
  string(REPLACE "\n" ";" answer "${answer}")
  list(GET answer 0 dir)
  list(GET answer 1 version)
  set(routesig_torch_dir "${dir}" PARENT_SCOPE)
  set(routesig_torch_version "${version}" PARENT_SCOPE)
endfunction()

# The version of a folder given by hand: a wheel has version.py, a LibTorch archive build-version.
function(routesig_read_torch_version dir)
  set(version "")
  if(EXISTS "${dir}/version.py")
    file(STRINGS "${dir}/version.py" line REGEX "^__version__")
    string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" version "${line}")
  elseif(EXISTS "${dir}/build-version")
    file(STRINGS "${dir}/build-version" version LIMIT_COUNT 1)
  endif()
  set(routesig_torch_version "${version}" PARENT_SCOPE)
endfunction()

macro(routesig_find_torch)
  set(routesig_torch_problem "")
  set(routesig_torch_version "")
  if(ROUTESIG_TORCH_DIR)
    set(routesig_torch_dir "${ROUTESIG_TORCH_DIR}")
    routesig_read_torch_version("${ROUTESIG_TORCH_DIR}")
  else()
    routesig_ask_python_for_torch()
  endif()
  if(NOT routesig_torch_problem AND NOT EXISTS "${routesig_torch_dir}/lib/libtorch_cpu.so")
    set(routesig_torch_problem
        "expected LibTorch in ${routesig_torch_dir}, found no lib/libtorch_cpu.so (set ROUTESIG_TORCH_DIR)")
  elseif(NOT routesig_torch_problem AND (routesig_torch_version VERSION_LESS 2.13 OR NOT routesig_torch_version VERSION_LESS 2.14))
    set(routesig_torch_problem
        "expected LibTorch 2.13, found ${routesig_torch_version} in ${routesig_torch_dir}; run: pip install torch==2.13.0")
  endif()
  if(NOT routesig_torch_problem AND NOT TARGET routesig::torch)
    routesig_define_torch("${routesig_torch_dir}")
  endif()
endmacro()

function(routesig_define_torch dir)
  foreach(library c10 torch_cpu)
    add_library(routesig::${library} SHARED IMPORTED GLOBAL)
    set_target_properties(routesig::${library} PROPERTIES IMPORTED_LOCATION "${dir}/lib/lib${library}.so")
  endforeach()
  add_library(routesig::torch INTERFACE IMPORTED GLOBAL)
  target_include_directories(routesig::torch SYSTEM INTERFACE "${dir}/include")
  target_link_libraries(routesig::torch INTERFACE routesig::torch_cpu routesig::c10)
  if(EXISTS "${dir}/lib/libtorch_cuda.so")
    # The kernels of the GPU register themselves when their library is loaded; nothing refers to them by name.
    target_link_options(routesig::torch INTERFACE "LINKER:--no-as-needed,${dir}/lib/libtorch.so,--as-needed")
  endif()
endfunction()

# --- this build: ROUTESIG_TORCH = AUTO | ON | OFF -> ROUTESIG_HAS_TORCH ---------------------------------------------
# A consumer that includes this file from the installed package has not set ROUTESIG_TORCH and only gets the functions.
set(ROUTESIG_HAS_TORCH OFF)
if(ROUTESIG_TORCH)
  string(TOUPPER "${ROUTESIG_TORCH}" routesig_torch_wanted)
  routesig_find_torch()
  if(NOT routesig_torch_problem)
    set(ROUTESIG_HAS_TORCH ON)
    string(REGEX MATCH "^[0-9]+\\.[0-9]+" ROUTESIG_TORCH_VERSION "${routesig_torch_version}")   # the ABI built against
    message(STATUS "routesig::model: built with LibTorch ${routesig_torch_version} from ${routesig_torch_dir}")
  elseif(routesig_torch_wanted STREQUAL "AUTO")
    message(WARNING "routesig::model is left out of this build: ${routesig_torch_problem}. "
                    "Say ROUTESIG_TORCH=OFF to leave it out on purpose, ROUTESIG_TORCH=ON to insist on it.")
  else()
    message(FATAL_ERROR "ROUTESIG_TORCH=ON: ${routesig_torch_problem}")
  endif()
elseif(PROJECT_NAME STREQUAL "routesig")
  message(STATUS "routesig::model: left out (ROUTESIG_TORCH=OFF)")
endif()
