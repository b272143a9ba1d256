// routesig._torch: everything that needs LibTorch.
#include <pybind11/pybind11.h>

#include "bindings.hpp"
#include "half_made.hpp"
#include "one_sentence.hpp"

PYBIND11_MODULE(_torch, m) {
  py::module_::import("routesig._core");  // first: recorders and errors are its types
  m.doc() = "The model of routesig, compiled against LibTorch; use the names of the package `routesig`.";
  m.attr("torch_version") = ROUTESIG_TORCH_VERSION;           // the minor version built against, "2.13"
  m.attr("has_cuda_kernel") = ROUTESIG_HAS_CUDA_KERNEL != 0;  // of the router
  bind_model(m);
  refuse_half_made(m);
  refuse_in_one_sentence(m);
}
