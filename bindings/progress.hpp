// Long work told to Python: a callback (done, total), and Ctrl-C.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <memory>

#include "routesig/parallel.hpp"

namespace py = pybind11;

/// What long work calls: at most twenty times a second, and at the end, it raises KeyboardInterrupt where Ctrl-C was
/// pressed and calls `callback` (or None). Work that takes it runs without the GIL.
inline routesig::Progress python_progress(const py::object& callback) {
  using Clock = std::chrono::steady_clock;
  // Destroyed by a thread that may not hold the GIL.
  const std::shared_ptr<py::object> kept(new py::object(callback), [](py::object* object) {
    const py::gil_scoped_acquire gil;
    delete object;
  });
  return [kept, last = Clock::time_point{}](std::size_t done, std::size_t total) mutable {
    const auto now = Clock::now();
    if (done < total && now - last < std::chrono::milliseconds(50)) return;
    last = now;
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (!kept->is_none()) (*kept)(done, total);
  };
}
