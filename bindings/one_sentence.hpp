// Arguments that a class of ours does not take: one sentence in the place of pybind11's list of signatures.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

namespace py = pybind11;

namespace one_sentence {

/// Calls `function`. Where it does not take the arguments, `routesig._arguments` says what to raise instead.
inline PyObject* call(PyObject* function, PyObject* args, PyObject* kwargs) {
  PyObject* result = PyObject_Call(function, args, kwargs);
  if (result != nullptr || PyErr_ExceptionMatches(PyExc_TypeError) == 0) return result;
  py::error_already_set refused;
  try {
    const py::object better =
        py::module_::import("routesig._arguments")
            .attr("refusal")(refused.value(), py::handle(args),
                             kwargs == nullptr ? py::dict() : py::reinterpret_borrow<py::dict>(kwargs));
    if (better.is_none())
      refused.restore();
    else
      PyErr_SetObject(py::type::handle_of(better).ptr(), better.ptr());
  } catch (py::error_already_set& error) {
    error.restore();
  }
  return nullptr;
}

/// The function that is called as `function` is, of its name and docstring.
inline py::object in_front_of(const py::object& function) {
  struct Definition {
    std::string name, doc;
    PyMethodDef method{};
  };
  auto* kept =
      new Definition{function.attr("__name__").cast<std::string>(), function.attr("__doc__").cast<std::string>()};
  kept->method = {kept->name.c_str(), reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&call)),
                  METH_VARARGS | METH_KEYWORDS, kept->doc.c_str()};  // as long as the interpreter
  return py::reinterpret_steal<py::object>(PyCFunction_NewEx(&kept->method, function.ptr(), nullptr));
}

}  // namespace one_sentence

/// For the constructors and public methods of the classes of `m`.
inline void refuse_in_one_sentence(const py::module_& m) {
  for (const auto& [unused, value] : py::cast<py::dict>(m.attr("__dict__"))) {
    if (!PyType_Check(value.ptr()) || !py::detail::get_type_info(reinterpret_cast<PyTypeObject*>(value.ptr())))
      continue;
    for (const auto& [key, found] : py::dict(value.attr("__dict__"))) {
      const auto name = key.cast<std::string>();
      if (name.starts_with('_') && name != "__init__") continue;
      if (PyInstanceMethod_Check(found.ptr())) {
        const auto front =
            one_sentence::in_front_of(py::reinterpret_borrow<py::object>(PyInstanceMethod_GET_FUNCTION(found.ptr())));
        py::setattr(value, key, py::reinterpret_steal<py::object>(PyInstanceMethod_New(front.ptr())));
      } else if (PyObject_TypeCheck(found.ptr(), &PyStaticMethod_Type) != 0) {
        const auto front = one_sentence::in_front_of(found.attr("__func__"));
        py::setattr(value, key, py::reinterpret_steal<py::object>(PyStaticMethod_New(front.ptr())));
      }
    }
  }
}
