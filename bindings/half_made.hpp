// Objects that were made without `__init__`: `cls.__new__(cls)`, as copying and unpickling begin, or a `__setstate__`
// that was refused.
#pragma once

#include <pybind11/pybind11.h>

namespace py = pybind11;

/// Makes every use of such an object a TypeError, for the classes of `m`. pybind11 would give them memory that nobody
/// has filled, which it asks for through this very function; nothing else calls it.
inline void refuse_half_made(const py::module_& m) {
  for (const auto& [name, value] : py::cast<py::dict>(m.attr("__dict__"))) {
    if (!PyType_Check(value.ptr())) continue;
    if (auto* bound = py::detail::get_type_info(reinterpret_cast<PyTypeObject*>(value.ptr())))
      bound->operator_new = [](std::size_t) -> void* {
        throw py::type_error("expected an object that its class has made, got one made by __new__ alone");
      };
  }
}
