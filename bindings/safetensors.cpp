// Safetensors files for Python: what a checkpoint holds, read by the strict reader.
#include "routesig/io/safetensors.hpp"

#include <pybind11/stl/filesystem.h>

#include <cstddef>
#include <filesystem>

#include "bindings.hpp"
#include "long_work.hpp"

void bind_safetensors(py::module_& m) {
  m.def(
      "read_safetensors",
      [](const std::filesystem::path& path) {
        const auto weights = [&] {
          const LongWork working;
          return routesig::Safetensors::open(path);
        }();
        py::dict all;
        for (const routesig::Tensor& tensor : weights.tensors()) {
          py::tuple shape(tensor.shape.size());
          for (std::size_t i = 0; i < tensor.shape.size(); ++i) shape[i] = py::int_(tensor.shape[i]);
          all[py::str(tensor.name)] =
              py::make_tuple(py::str(routesig::name(tensor.dtype)), shape,
                             py::bytes(reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size()));
        }
        return all;
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
