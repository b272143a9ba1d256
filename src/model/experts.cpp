#include "experts.hpp"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/_grouped_mm.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/floor_divide.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <cstdint>
#include <utility>
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

// Products of sorted pairs with their experts' matrices; group e ends at ends[e].
class GroupedProduct {
 public:
  GroupedProduct(at::Tensor ends, at::ScalarType dtype, std::int64_t hidden, std::int64_t width)
      : ends_(std::move(ends)),
        grouped_(dtype == at::kBFloat16 && hidden % 8 == 0 && width % 8 == 0) {  // rows of 16 bytes
    if (!grouped_) host_ends_ = ends_.to(at::kCPU);
  }

  // pairs [pairs, in], matrices [E, out, in] -> [pairs, out].
  at::Tensor operator()(const at::Tensor& pairs, const at::Tensor& matrices) const {
    if (grouped_) return at::_grouped_mm(pairs, matrices.transpose(1, 2), ends_);
    at::Tensor products = at::empty({pairs.size(0), matrices.size(1)}, pairs.options());
    const auto ends = host_ends_.accessor<std::int32_t, 1>();
    for (std::int64_t e = 0, begin = 0; e < matrices.size(0); begin = ends[e++]) {
      if (ends[e] == begin) continue;
      at::Tensor out = products.narrow(0, begin, ends[e] - begin);
      at::mm_out(out, pairs.narrow(0, begin, ends[e] - begin), matrices.select(0, e).t());
    }
    return products;
  }

 private:
  at::Tensor ends_;  // int32 [E]
  bool grouped_;
  at::Tensor host_ends_;  // where the products are made one by one
};

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

at::Tensor apply_sorted_experts(const at::Tensor& states, const LayerWeights& layer, const Routing& routing) {
  const std::int64_t rows = states.size(0), hidden = states.size(1), experts = layer.gate_up.size(0);
  const std::int64_t top_k = routing.ids.size(1);
  const auto index = routing.ids.options();
  // (row, rank) pairs in the order of their experts, equal experts in row order.
  const auto [sorted, order] = at::sort(routing.ids.flatten(), /*stable=*/true, 0, /*descending=*/false);
  const at::Tensor ends = at::searchsorted(sorted, at::arange(experts, index), /*out_int32=*/true, /*right=*/true);
  const at::Tensor gathered = states.index_select(0, at::floor_divide(order, top_k));  // [pairs, D]
  const at::Tensor place = at::empty_like(order).scatter_(0, order, at::arange(rows * top_k, index));

  const GroupedProduct multiply(ends, states.scalar_type(), hidden, layer.down.size(2));
  const at::Tensor outputs = multiply(gated(multiply(gathered, layer.gate_up)), layer.down);  // [pairs, D]
  // Back to (row, rank) order before the sum: its order is then the rank's, whatever else was in the batch.
  const at::Tensor ranked = outputs.index_select(0, place).view({rows, top_k, hidden});
  return (ranked * routing.weights.unsqueeze(-1)).sum(1);
}

at::Tensor apply_experts(const at::Tensor& states, const LayerWeights& layer, const Routing& routing) {
  if (layer.down_flat.defined()) return apply_all_experts(states, layer, routing);
  return routing.experts.empty() ? apply_sorted_experts(states, layer, routing)
                                 : apply_chosen_experts(states, layer, routing);
}

}  // namespace routesig::olmoe
