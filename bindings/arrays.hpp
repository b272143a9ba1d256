// NumPy arrays over memory of ours: a view whose base is the Python object that owns it, or an array that takes a
// vector.
#pragma once

#include <pybind11/numpy.h>

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "routesig/error.hpp"
#include "routesig/similarity.hpp"

namespace py = pybind11;

/// A read-only array of `shape` and `strides` (in items) over `data`, which `owner` keeps alive.
template <typename T>
py::array_t<T> view(std::span<const T> data, std::vector<py::ssize_t> shape, std::vector<py::ssize_t> strides,
                    py::handle owner) {
  for (py::ssize_t& stride : strides) stride *= static_cast<py::ssize_t>(sizeof(T));
  static const T nothing{};  // an empty vector has no address, and NumPy would then allocate
  py::array_t<T> out(std::move(shape), std::move(strides), data.empty() ? &nothing : data.data(), owner);
  py::detail::array_proxy(out.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
  return out;
}

/// An array that owns `data`, row-major.
template <typename T>
py::array_t<T> owned(std::vector<T> data, std::vector<py::ssize_t> shape) {
  auto* kept = new std::vector<T>(std::move(data));
  const py::capsule owner(kept, [](void* p) { delete static_cast<std::vector<T>*>(p); });
  return py::array_t<T>(std::move(shape), kept->data(), owner);
}

/// The items of a C-contiguous array.
template <typename T>
std::span<const T> items(const py::array_t<T, py::array::c_style>& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

/// The shape of an array as Python writes it.
inline std::string shape_text(const py::array& array) { return py::str(array.attr("shape")); }

/// Signatures [prompts, layers, experts] as the analyses take them.
inline routesig::SignatureView signature_view(const char* who, const py::array_t<double, py::array::c_style>& values) {
  if (values.ndim() != 3)
    throw routesig::invalid_argument(who, ": expected signatures [prompts, layers, experts], got ", values.ndim(),
                                     " axes");
  const auto size = [&](int axis) { return static_cast<std::size_t>(values.shape(axis)); };
  return {items(values), size(0), size(1), size(2)};
}
