#include "experts.hpp"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <cstdint>
#include <vector>

namespace routesig::olmoe {
namespace {

// (row, rank) pairs in the order of their experts, equal experts in row order: a counting sort.
struct Grouping {
  std::vector<std::int64_t> begin;  // [E + 1] first pair of each expert
  at::Tensor rows;                  // [pairs] the row of each sorted pair
  at::Tensor place;                 // [pairs] where pair (row, rank) went
};

Grouping group_by_expert(const Routing& routing, std::int64_t experts, std::int64_t top_k, at::Device device) {
  const auto pairs = static_cast<std::int64_t>(routing.experts.size());
  Grouping grouping;
  grouping.begin.assign(static_cast<std::size_t>(experts) + 1, 0);
  for (const ExpertId expert : routing.experts) ++grouping.begin[expert + std::size_t{1}];
  for (std::size_t e = 0; e < static_cast<std::size_t>(experts); ++e) grouping.begin[e + 1] += grouping.begin[e];

  at::Tensor rows = at::empty({pairs}, at::kLong), place = at::empty({pairs}, at::kLong);
  auto* row_of = rows.mutable_data_ptr<std::int64_t>();
  auto* place_of = place.mutable_data_ptr<std::int64_t>();
  std::vector<std::int64_t> next = grouping.begin;
  for (std::int64_t pair = 0; pair < pairs; ++pair) {
    const std::int64_t at = next[routing.experts[static_cast<std::size_t>(pair)]]++;
    row_of[at] = pair / top_k;
    place_of[pair] = at;
  }
  grouping.rows = rows.to(device);
  grouping.place = place.to(device);
  return grouping;
}

// silu(gate) * up, where the last dimension of `both` holds the gate's F values, then up's.
at::Tensor gated(const at::Tensor& both) {
  const std::int64_t width = both.size(-1) / 2;
  return at::silu(both.narrow(-1, 0, width)).mul_(both.narrow(-1, width, width));
}

}  // namespace

bool compute_all_experts(const OlmoeConfig& config, at::ScalarType dtype) {
  const std::int64_t values = std::int64_t{config.num_experts} * config.intermediate_size * config.hidden_size;
  return dtype == at::kFloat && values <= std::int64_t{1} << 17;
}

at::Tensor apply_all_experts(const at::Tensor& states, const LayerWeights& layer, const Routing& routing) {
  const std::int64_t rows = states.size(0), hidden = states.size(1);
  const std::int64_t experts = layer.gate_up.size(0), width = layer.down.size(2);
  const at::Tensor both = at::linear(states, layer.gate_up.view({experts * 2 * width, hidden}));
  at::Tensor inner = gated(both.view({rows, experts, 2 * width}));
  const at::Tensor weights = at::zeros({rows, experts}, states.options()).scatter_(1, routing.ids, routing.weights);
  inner.mul_(weights.unsqueeze(-1));
  return at::linear(inner.view({rows, experts * width}), layer.down_flat);
}

at::Tensor apply_chosen_experts(const at::Tensor& states, const LayerWeights& layer, const Routing& routing) {
  const std::int64_t rows = states.size(0), hidden = states.size(1);
  const std::int64_t experts = layer.gate_up.size(0), width = layer.down.size(2), top_k = routing.ids.size(1);
  const Grouping grouping = group_by_expert(routing, experts, top_k, states.device());

  const at::Tensor gathered = states.index_select(0, grouping.rows);  // [pairs, D]
  at::Tensor both = at::empty({rows * top_k, 2 * width}, states.options());
  at::Tensor outputs = at::empty({rows * top_k, hidden}, states.options());
  const auto for_each_chosen = [&](const auto& multiply) {
    // Threads take whole experts: one barrier instead of one for every product, and sums that do not depend on how many
    // threads there are.
    at::parallel_for(0, experts, 1, [&](std::int64_t first, std::int64_t last) {
      const c10::InferenceMode no_gradients;  // is the calling thread's alone
      for (std::int64_t e = first; e < last; ++e) {
        const std::int64_t begin = grouping.begin[static_cast<std::size_t>(e)];
        const std::int64_t count = grouping.begin[static_cast<std::size_t>(e) + 1] - begin;
        if (count > 0) multiply(e, begin, count);
      }
    });
  };
  for_each_chosen([&](std::int64_t e, std::int64_t begin, std::int64_t count) {
    at::Tensor out = both.narrow(0, begin, count);
    at::mm_out(out, gathered.narrow(0, begin, count), layer.gate_up.select(0, e).t());
  });
  const at::Tensor inner = gated(both);  // [pairs, F]
  for_each_chosen([&](std::int64_t e, std::int64_t begin, std::int64_t count) {
    at::Tensor out = outputs.narrow(0, begin, count);
    at::mm_out(out, inner.narrow(0, begin, count), layer.down.select(0, e).t());
  });
  // Back to (row, rank) order before the sum: its order is then the rank's, whatever else was in the batch.
  const at::Tensor ranked = outputs.index_select(0, grouping.place).view({rows, top_k, hidden});
  return (ranked * routing.weights.unsqueeze(-1)).sum(1);
}

at::Tensor apply_experts(const at::Tensor& states, const LayerWeights& layer, const Routing& routing) {
  return layer.down_flat.defined() ? apply_all_experts(states, layer, routing)
                                   : apply_chosen_experts(states, layer, routing);
}

}  // namespace routesig::olmoe
