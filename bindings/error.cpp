// C++ exceptions as Python's: FormatError is a ValueError, FileError the OSError of its errno.
#include "routesig/error.hpp"

#include "bindings.hpp"

void bind_error(py::module_& m) {
  auto& format_error = py::register_exception<routesig::FormatError>(m, "FormatError", PyExc_ValueError);
  format_error.attr("__module__") = "routesig";
  format_error.attr("__doc__") =
      "A file that cannot be read as what it claims to be. The message begins with the place.";
  // NOLINTNEXTLINE(performance-unnecessary-value-param): the signature is pybind11's
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const routesig::FileError& error) {
      // OSError(errno, ...) makes FileNotFoundError and its like by itself.
      const std::string prefix = error.path() + ": ", what = error.what();
      const auto text = what.starts_with(prefix) ? what.substr(prefix.size()) : what;
      PyErr_SetObject(PyExc_OSError, py::make_tuple(error.code(), text, error.path()).ptr());
    }
  });
}
