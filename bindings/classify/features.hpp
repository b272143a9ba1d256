// Tables of numbers as the classifiers and the projection take them.
#pragma once

#include "arrays.hpp"
#include "routesig/classify/features.hpp"

using Values = py::array_t<double, py::array::c_style>;

/// A view of `values` [rows, columns]; `noun` is for the sentence that refuses other shapes.
inline routesig::Features features_of(const char* noun, const Values& values) {
  if (values.ndim() != 2)
    throw routesig::invalid_argument(noun, ": expected a table [rows, columns], got ", values.ndim(), " axes");
  return {items(values), static_cast<std::size_t>(values.shape(0)), static_cast<std::size_t>(values.shape(1))};
}
