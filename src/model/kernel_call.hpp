// A call of the router as the kernel of src/cuda is told of it: addresses, types and strides in place of tensors. Needs
// no GPU, so that tests can hand it to the emulator.
#pragma once

#include <ATen/core/Tensor.h>

#include "topk_call.hpp"
#include "topk_router.hpp"

namespace routesig {

// Keeps alive what it points to.
class KernelCall {
 public:
  // Lays out anew what the kernel cannot walk over: rows may lie apart, their values must be neighbours.
  KernelCall(const RouterCall& call, const RouterTensors& out);

  [[nodiscard]] const cuda::TopkCall& told() const noexcept { return told_; }
  // After the kernel: brings records home that it could not write in place.
  void put_back() const;

 private:
  RouterTensors out_;
  at::Tensor logits_, bias_, trace_, counts_;
  cuda::TopkCall told_;
};

}  // namespace routesig
