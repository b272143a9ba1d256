// The experts of one layer: for every row the weighted sum of its experts' down(silu(gate(x)) * up(x)).
#pragma once

#include <ATen/core/Tensor.h>

#include <span>

#include "routesig/routing.hpp"
#include "weights.hpp"

namespace routesig::olmoe {

// What the router of one layer decided for [rows] tokens.
struct Routing {
  std::span<const ExpertId> experts;  // [rows, top_k] on the host, best first
  at::Tensor ids;                     // int64 [rows, top_k] on the model's device
  at::Tensor weights;                 // [rows, top_k] in the model's dtype, as applied
};

// The rule that chooses between the two ways below: narrow float32 layers (at most 2^17 values in a projection, all
// experts together) compute every expert, because one product beats many small ones; all others compute the chosen ones
// only. It looks at the model alone, so that a row's arithmetic does not depend on what else is in the batch.
[[nodiscard]] bool compute_all_experts(const OlmoeConfig& config, at::ScalarType dtype);

// states [rows, D] -> [rows, D].
[[nodiscard]] at::Tensor apply_experts(const at::Tensor& states, const LayerWeights& layer, const Routing& routing);

// Every expert for every row; the ones not chosen weigh 0. Needs layer.down_flat.
[[nodiscard]] at::Tensor apply_all_experts(const at::Tensor& states, const LayerWeights& layer, const Routing& routing);

// Rows gathered by expert, one product for each expert that was chosen at all, the sum in rank order.
[[nodiscard]] at::Tensor apply_chosen_experts(const at::Tensor& states, const LayerWeights& layer,
                                              const Routing& routing);

}  // namespace routesig::olmoe
