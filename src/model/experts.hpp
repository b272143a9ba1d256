// The experts of one layer: for every row the weighted sum of its experts' down(silu(gate(x)) * up(x)).
#pragma once

#include <ATen/core/Tensor.h>

#include <span>

#include "routesig/routing.hpp"
#include "weights.hpp"

namespace routesig::olmoe {

// What the router of one layer decided for [rows] tokens.
struct Routing {
  std::span<const ExpertId> experts;  // [rows, top_k] on the host, best first; empty where they stay on the device
  at::Tensor ids;                     // int64 [rows, top_k] on the model's device
  at::Tensor weights;                 // [rows, top_k] in the model's dtype, as applied
};

// The rule that chooses between the two ways below: narrow float32 layers (at most 2^17 values in a projection, all
// experts together) compute every expert, because one product beats many small ones; all others compute the chosen ones
// only. It looks at the model alone, so that a row's arithmetic does not depend on what else is in the batch.
[[nodiscard]] bool compute_all_experts(const OlmoeConfig& config, at::ScalarType dtype);

// states [rows, D] -> [rows, D], by the way that the layer and the routing ask for.
[[nodiscard]] at::Tensor apply_experts(const at::Tensor& states, const LayerWeights& layer, const Routing& routing);

// Every expert for every row; the ones not chosen weigh 0. Needs layer.down_flat.
[[nodiscard]] at::Tensor apply_all_experts(const at::Tensor& states, const LayerWeights& layer, const Routing& routing);

// Rows gathered by expert, one product for each expert that was chosen at all, the sum in rank order.
[[nodiscard]] at::Tensor apply_chosen_experts(const at::Tensor& states, const LayerWeights& layer,
                                              const Routing& routing);

// The same with the rows sorted on the device by routing.ids alone; no step of it waits for the device. All experts are
// one grouped product where LibTorch has a kernel for it (bfloat16, widths of 8, compute capability 9.0 and 10.0), and
// blocks of equal height elsewhere, which copy the experts' matrices before they multiply.
[[nodiscard]] at::Tensor apply_sorted_experts(const at::Tensor& states, const LayerWeights& layer,
                                              const Routing& routing);

}  // namespace routesig::olmoe
