// Safetensors files for Python: what a checkpoint holds, read by the strict reader.
#include "routesig/io/safetensors.hpp"

#include <pybind11/stl/filesystem.h>

#include <cstddef>
#include <filesystem>

#include "bindings.hpp"
#include "long_work.hpp"

namespace {

// Name -> what `of` makes of the tensor, of every tensor of a checkpoint.
template <typename Of>
py::dict tensors_of(const std::filesystem::path& path, const Of& of) {
  const auto weights = [&] {
    const LongWork working;
    return routesig::Safetensors::open(path);
  }();
  py::dict all;
  for (const routesig::Tensor& tensor : weights.tensors()) all[py::str(tensor.name)] = of(weights, tensor);
  return all;
}

py::str dtype_of(const routesig::Tensor& tensor) { return py::str(routesig::name(tensor.dtype)); }

py::tuple shape_of(const routesig::Tensor& tensor) {
  py::tuple shape(tensor.shape.size());
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) shape[i] = py::int_(tensor.shape[i]);
  return shape;
}

}  // namespace

void bind_safetensors(py::module_& m) {
  m.def(
      "safetensors_shapes",
      [](const std::filesystem::path& path) {
        return tensors_of(path, [](const routesig::Safetensors& /*weights*/, const routesig::Tensor& tensor) {
          return py::make_tuple(dtype_of(tensor), shape_of(tensor));
        });
      },
      py::arg("path"),
      R"(What a safetensors file, an index, or a model folder holds, from the headers alone.

Returns, for each tensor, its dtype as the file writes it and its shape; takes and raises what `read_safetensors` does.
)");
  m.def(
      "read_safetensors",
      [](const std::filesystem::path& path) {
        return tensors_of(path, [](const routesig::Safetensors& weights, const routesig::Tensor& tensor) {
          const auto data = py::reinterpret_steal<py::bytes>(
              PyBytes_FromStringAndSize(nullptr, static_cast<py::ssize_t>(tensor.data.size())));
          if (!data) throw py::error_already_set();
          weights.read(tensor, {reinterpret_cast<std::byte*>(PyBytes_AS_STRING(data.ptr())), tensor.data.size()});
          return py::make_tuple(dtype_of(tensor), shape_of(tensor), data);
        });
      },
      py::arg("path"),
      R"(Read a safetensors file, an index, or a model folder into memory.

Parameters
----------
path : str or os.PathLike
    A ``.safetensors`` file, a ``.safetensors.index.json``, or a folder that holds ``model.safetensors``, else
    ``model.safetensors.index.json``.

Returns
-------
dict of str to tuple
    For each tensor its dtype as the file writes it (``"BF16"``), its shape, and its bytes (little-endian, row-major).

Raises
------
routesig.FormatError
    Where the file breaks a rule of the format; the sentence names the file, the place and the rule.
OSError
    Where a file cannot be opened.
)");
}
