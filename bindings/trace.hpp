// What the bindings of a trace and of a set of them share.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>

#include "routesig/trace.hpp"

namespace py = pybind11;

// What pickle keeps of a RoutingInfo.
py::tuple info_state(const routesig::RoutingInfo& i);
routesig::RoutingInfo info_from(const py::tuple& s);

// A count that is worth a word only where there is something to count.
inline std::string where_any(const char* name, std::uint64_t count, const char* unit = "") {
  return count == 0 ? std::string() : routesig::sentence(name, count, unit);
}

// A method that is written in Python, where its optional packages are: `function` of a private module, with what else
// it is given.
template <typename Self, typename... Arguments>
auto in_python(const char* module, const char* function) {
  return [module, function](const Self& self, const Arguments&... arguments) -> py::object {
    return py::module_::import(module).attr(function)(py::cast(self, py::return_value_policy::reference), arguments...);
  };
}
