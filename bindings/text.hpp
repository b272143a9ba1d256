// Text that Python gives. `routesig._text` refuses halves of characters, and knows what stands for none.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

namespace py = pybind11;

/// An argument that is text, or stands for none: None, NaN, pandas' NA. Anything else is refused by `text_of`.
class OptionalText : public py::object {
  static bool any(PyObject* /*object*/) { return true; }
  PYBIND11_OBJECT_DEFAULT(OptionalText, object, any)
};

template <>
struct pybind11::detail::handle_type_name<OptionalText> {
  static constexpr auto name = const_name("str | None");
};

/// `value` in UTF-8, empty where it is missing. `who` and `what` are for the message: `trace "x"`, `task`.
inline std::string text_of(const py::object& value, const std::string& who, const std::string& what) {
  if (py::isinstance<py::str>(value)) {
    Py_ssize_t size = 0;
    if (const char* text = PyUnicode_AsUTF8AndSize(value.ptr(), &size)) return {text, static_cast<std::size_t>(size)};
    PyErr_Clear();                                // said better below
  } else if (py::isinstance<py::bytes>(value)) {  // of an array of bytes
    const py::object text = py::reinterpret_steal<py::object>(
        PyUnicode_DecodeUTF8(PyBytes_AS_STRING(value.ptr()), PyBytes_GET_SIZE(value.ptr()), nullptr));
    if (text) return text.cast<std::string>();
    PyErr_Clear();
  }
  const py::object text = py::module_::import("routesig._text").attr("text_or_none")(value, who, what);
  return text.is_none() ? std::string() : text.cast<std::string>();
}
