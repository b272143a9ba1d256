// Estimates with their intervals, as Python takes them.
#pragma once

#include "arrays.hpp"
#include "routesig/statistics/bootstrap.hpp"

/// {"value", "se", "interval": (low, high, method) or None}.
inline py::dict estimate_dict(const routesig::BootstrapEstimate& found) {
  py::dict out;
  out["value"] = found.value;
  out["se"] = found.se;
  out["interval"] = found.interval ? py::object(py::make_tuple(found.interval->low, found.interval->high,
                                                               found.interval->bca ? "BCa" : "percentile"))
                                   : py::object(py::none());
  return out;
}
