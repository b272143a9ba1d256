#include "experts.hpp"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/_grouped_mm.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/div.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#if ROUTESIG_HAS_CUDA_KERNEL
#include "device.hpp"
#endif

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

// Pairs sorted by expert, what a grouped product and blocks start from. Nothing here looks at a value.
struct SortedPairs {
  at::Tensor expert;  // int64 [pairs], ascending
  at::Tensor order;   // [pairs] which (row, rank) pair it is
  at::Tensor end;     // [E] past the last pair of each expert

  SortedPairs(const at::Tensor& ids, std::int64_t experts) {
    std::tie(expert, order) = at::sort(ids.flatten(), /*stable=*/true, 0, /*descending=*/false);
    end = at::zeros({experts}, ids.options()).scatter_add_(0, expert, at::ones_like(expert)).cumsum(0);
  }
  [[nodiscard]] std::int64_t size() const { return expert.size(0); }
};

// Whether LibTorch multiplies groups in one kernel on this device, without asking it how large they are.
bool has_grouped_kernel(const at::Tensor& states, std::int64_t width) {
  if (states.scalar_type() != at::kBFloat16 || states.size(1) % 8 != 0 || width % 8 != 0) return false;  // 16 bytes
#if ROUTESIG_HAS_CUDA_KERNEL
  if (states.is_cuda()) {
    const int capability = cuda::compute_capability(states.device().index());
    return capability == 90 || capability == 100;
  }
#endif
  return states.is_cpu();
}

// Outputs of sorted pairs [pairs, D] from states gathered in their order [pairs, D], as two grouped products.
at::Tensor grouped_outputs(const at::Tensor& gathered, const LayerWeights& layer, const SortedPairs& pairs) {
  const at::Tensor ends = pairs.end.to(at::kInt);
  const at::Tensor both = at::_grouped_mm(gathered, layer.gate_up.transpose(1, 2), ends);
  return at::_grouped_mm(gated(both), layer.down.transpose(1, 2), ends);
}

// The same by blocks: each expert's pairs fill blocks of equal height, the last one up to what it has. How many blocks
// that can be at most follows from the shapes alone, so that nobody waits for the device to say how many it is; those
// left over multiply zeros.
at::Tensor blockwise_outputs(const at::Tensor& gathered, const LayerWeights& layer, const SortedPairs& pairs) {
  constexpr std::int64_t kMatrixBytes = std::int64_t{1} << 28;  // of experts copied beside each other
  const std::int64_t experts = layer.gate_up.size(0), hidden = gathered.size(1);
  const std::int64_t height = std::clamp<std::int64_t>(pairs.size() / experts, 1, 128);
  const std::int64_t blocks = (pairs.size() + std::min(experts, pairs.size()) * (height - 1)) / height;
  const auto index = pairs.end.options();

  const at::Tensor begin = at::cat({at::zeros({1}, index), pairs.end.narrow(0, 0, experts - 1)});
  const at::Tensor block_end = at::div(pairs.end - begin + (height - 1), height, "floor").cumsum(0);  // of each expert
  const at::Tensor first_block = at::cat({at::zeros({1}, index), block_end.narrow(0, 0, experts - 1)});
  const at::Tensor place =
      at::arange(pairs.size(), index) + (first_block * height - begin).index_select(0, pairs.expert);
  const at::Tensor owner =  // [blocks]; any expert will do for a block left over
      (at::arange(blocks, index).unsqueeze(1) >= block_end).sum(1).clamp_max(experts - 1);

  const at::Tensor inputs = at::zeros({blocks * height, hidden}, gathered.options()).index_copy_(0, place, gathered);
  at::Tensor outputs = at::empty({blocks, height, hidden}, gathered.options());
  const auto matrix_bytes = static_cast<std::int64_t>(layer.gate_up[0].nbytes() + layer.down[0].nbytes());
  const std::int64_t at_once = std::max<std::int64_t>(1, kMatrixBytes / matrix_bytes);
  for (std::int64_t first = 0; first < blocks; first += at_once) {
    const std::int64_t count = std::min(at_once, blocks - first);
    const at::Tensor of = owner.narrow(0, first, count);
    const at::Tensor states = inputs.view({blocks, height, hidden}).narrow(0, first, count);
    const at::Tensor both = at::bmm(states, layer.gate_up.index_select(0, of).transpose(1, 2));
    at::Tensor out = outputs.narrow(0, first, count);
    at::bmm_out(out, gated(both), layer.down.index_select(0, of).transpose(1, 2));
  }
  return outputs.view({blocks * height, hidden}).index_select(0, place);
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

at::Tensor apply_sorted_experts(const at::Tensor& states, const LayerWeights& layer, const Routing& routing) {
  const std::int64_t rows = states.size(0), top_k = routing.ids.size(1);
  const SortedPairs pairs(routing.ids, layer.gate_up.size(0));
  const at::Tensor gathered = states.index_select(0, at::div(pairs.order, top_k, "floor"));  // [pairs, D]
  const at::Tensor outputs = has_grouped_kernel(states, layer.down.size(2)) ? grouped_outputs(gathered, layer, pairs)
                                                                            : blockwise_outputs(gathered, layer, pairs);
  // Back to (row, rank) order before the sum: its order is then the rank's, whatever else was in the batch.
  const at::Tensor ranked = at::empty_like(outputs).index_copy_(0, pairs.order, outputs).view({rows, top_k, -1});
  return (ranked * routing.weights.unsqueeze(-1)).sum(1);
}

at::Tensor apply_experts(const at::Tensor& states, const LayerWeights& layer, const Routing& routing) {
  if (layer.down_flat.defined()) return apply_all_experts(states, layer, routing);
  return routing.experts.empty() ? apply_sorted_experts(states, layer, routing)
                                 : apply_chosen_experts(states, layer, routing);
}

}  // namespace routesig::olmoe
