// Routers rotated at random, heard beside the model's own.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "routesig/model/olmoe.hpp"
#include "weights.hpp"

namespace routesig {

struct RotatedRouters::Impl {
  std::size_t count = 0;
  std::uint64_t seed = 0;
  RoutingInfo info;                 // the model's
  std::vector<at::Tensor> weights;  // of each layer: [count E, D], one router below the other
};

namespace olmoe {

// What one forward step needs of them.
struct RotatedPass {
  std::span<const at::Tensor> weights;          // [layers]
  std::span<RoutingRecorder* const> recorders;  // one a rotated router; empty: none
};

// `count` times W Q for the router W of every layer.
[[nodiscard]] std::vector<at::Tensor> rotate_routers(const Weights& weights, std::size_t count, std::uint64_t seed);

}  // namespace olmoe
}  // namespace routesig
