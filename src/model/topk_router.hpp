// The router on LibTorch's tensors: the rules of topk.hpp for every row of the logits, on the processor by that plain
// code, on a GPU by the kernel of src/cuda. What torch.ops.routesig (topk_router_operators.cpp) and the model call.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "routesig/topk.hpp"
#include "topk_call.hpp"

namespace routesig {

// True where `route` works on `device`: on the CPU always, on a GPU where this build has the kernel.
[[nodiscard]] bool has_router_kernel(at::Device device);

// One call of the router. The kernel's limits (cuda::kMaxTopkExperts, cuda::kMaxTopk) hold on every device, so that
// what runs on one runs on all.
struct RouterCall {
  at::Tensor logits;  // float32, float16 or bfloat16 [tokens, experts], any strides
  std::int64_t top_k = 0;
  RouterRule rule{};
  std::optional<at::Tensor> bias{};  // float32 [experts]; sigmoid scoring only
};

// What it writes, on the device of the logits. The last three may be undefined: then nobody asked for them.
struct RouterTensors {
  at::Tensor weights;      // float32 [tokens, k], contiguous
  at::Tensor ids;          // int64 [tokens, k], contiguous
  at::Tensor counts{};     // int64 [experts], added to
  at::Tensor trace{};      // uint8 (at most 256 experts) or uint16 [tokens, k]
  at::Tensor nonfinite{};  // uint8 [tokens], contiguous: 1 where a row has no softmax
};

// "softmax", "topk_softmax" or "sigmoid".
[[nodiscard]] Scoring scoring_called(std::string_view name);

// Throws c10::ValueError with one sentence where the call, or what it is to write, does not fit. Reads no values, so
// that it also serves tensors without any (meta, fake).
void check_call(const RouterCall& call);
void check_record(const RouterCall& call, const at::Tensor& counts, const at::Tensor& trace);

// Weights and ids for this call, without values yet.
[[nodiscard]] RouterTensors empty_result(const RouterCall& call);

// Routes every row, on the current stream of the device; no synchronisation. The call has been checked.
void route(const RouterCall& call, const RouterTensors& out);

}  // namespace routesig
