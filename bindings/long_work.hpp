// Long work asked for by Python: without the GIL, ended by Ctrl-C, and told to a callback.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <memory>

#include "routesig/interrupt.hpp"
#include "routesig/parallel.hpp"

namespace py = pybind11;

/// While it lives the GIL is free, and Ctrl-C ends what runs with KeyboardInterrupt at its next interruption point, as
/// whatever else a signal handler raises. Python handles signals on its main thread alone: elsewhere the work goes on.
/// Every function that computes holds one: a thread that waited with the GIL for a loop of another's would never see it
/// end, since that other needs the GIL to look for signals.
class LongWork {
 private:
  static void raise_pending_signals() {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  }

  py::gil_scoped_release nogil_;
  routesig::Interruptible interruptible_{&raise_pending_signals};  // last: its exceptions leave before the GIL returns
};

/// What tells a Python `callback` (or None) how far long work is: at most twenty times a second, and at the end.
inline routesig::Progress python_progress(const py::object& callback) {
  using Clock = std::chrono::steady_clock;
  if (callback.is_none()) return {};
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
    (*kept)(done, total);
  };
}
