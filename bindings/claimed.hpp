// What a recorder's methods are bound as.
#pragma once

#include <pybind11/pybind11.h>

#include "routesig/recorder.hpp"

namespace py = pybind11;

/// `method` of a recorder without the GIL, since it may wait for the disk, and refused while a model feeds the recorder
/// from another thread.
template <typename Recorder, typename... Arguments>
auto claimed(void (Recorder::*method)(Arguments...)) {
  return [method](Recorder& recorder, Arguments... arguments) {
    const py::gil_scoped_release nogil;
    const routesig::RecorderClaim claim(recorder);
    (recorder.*method)(arguments...);
  };
}
