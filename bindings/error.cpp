// C++ exceptions as Python's: FormatError is a ValueError, FileError the OSError of its errno. Messages are always
// text.
#include "routesig/error.hpp"

#include <string>
#include <string_view>

#include "bindings.hpp"

namespace {

// A message may quote bytes of a file that are no text: they are written out.
py::str unicode_of(std::string_view message) {
  return py::reinterpret_steal<py::str>(
      PyUnicode_DecodeUTF8(message.data(), static_cast<Py_ssize_t>(message.size()), "backslashreplace"));
}

// The name of a file, as Python's own functions give and take it.
py::str path_of(const std::string& path) {
  return py::reinterpret_steal<py::str>(
      PyUnicode_DecodeFSDefaultAndSize(path.data(), static_cast<Py_ssize_t>(path.size())));
}

}  // namespace

void bind_error(py::module_& m) {
  auto& format_error = py::register_exception<routesig::FormatError>(m, "FormatError", PyExc_ValueError);
  format_error.attr("__module__") = "routesig";
  format_error.attr("__doc__") =
      "A file that cannot be read as what it claims to be. The message begins with the place.";
  static PyObject* const format_error_type = format_error.ptr();  // the module keeps it
  // NOLINTNEXTLINE(performance-unnecessary-value-param): the signature is pybind11's
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const routesig::FormatError& error) {
      PyErr_SetObject(format_error_type, unicode_of(error.what()).ptr());
    } catch (const std::invalid_argument& error) {
      PyErr_SetObject(PyExc_ValueError, unicode_of(error.what()).ptr());
    } catch (const routesig::FileError& error) {
      // OSError(errno, ...) makes FileNotFoundError and its like by itself.
      const std::string prefix = error.path() + ": ", what = error.what();
      const auto text = what.starts_with(prefix) ? what.substr(prefix.size()) : what;
      PyErr_SetObject(PyExc_OSError, py::make_tuple(error.code(), unicode_of(text), path_of(error.path())).ptr());
    }
  });
}
