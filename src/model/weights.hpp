// The weights of an OLMoE as tensors, filled tensor by tensor from a checkpoint or drawn from a seed.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <vector>

#include "routesig/model/config.hpp"

namespace routesig::olmoe {

// D hidden_size, H heads and G key/value heads of d values, E experts of width F, V vocabulary.
struct LayerWeights {
  at::Tensor input_norm;   // [D]
  at::Tensor qkv;          // [(H + 2 G) d, D]: query, key and value projections stacked, one product instead of three
  at::Tensor query_norm;   // [H d]
  at::Tensor key_norm;     // [G d]
  at::Tensor qkv_bias;     // [(H + 2 G) d], only where the attention has biases
  at::Tensor output;       // [D, H d]
  at::Tensor output_bias;  // [D], where qkv_bias is
  at::Tensor expert_norm;  // [D], before the experts
  at::Tensor router;       // [E, D]
  at::Tensor gate_up;      // [E, 2 F, D]: the rows of the gate, then of the up projection
  at::Tensor down;         // [E, D, F]
  at::Tensor down_flat;    // [D, E F], only where `compute_all_experts` (experts.hpp)
};

struct Weights {
  at::Tensor embedding;  // [V, D]
  std::vector<LayerWeights> layers;
  at::Tensor norm;               // [D]
  at::Tensor head;               // [V, D]; the embedding itself where the two are tied
  bool route_on_device = false;  // device_router.hpp in place of router.hpp; whoever loads them decides

  [[nodiscard]] at::ScalarType dtype() const { return embedding.scalar_type(); }
  [[nodiscard]] at::Device device() const { return embedding.device(); }
};

// From the checkpoint in `folder`, either expert layout; every shape is checked before anything is copied.
[[nodiscard]] Weights read_weights(const std::filesystem::path& folder, const OlmoeConfig& config, at::ScalarType dtype,
                                   at::Device device);

// Untrained: matrices normal(0, initializer_range), norms 1, biases 0.
[[nodiscard]] Weights draw_weights(std::uint64_t seed, const OlmoeConfig& config, at::ScalarType dtype,
                                   at::Device device);

}  // namespace routesig::olmoe
