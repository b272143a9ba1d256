#include "router.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/softmax.h>

#include <algorithm>

#include "routesig/topk.hpp"

namespace routesig::olmoe {
namespace {

// The contents of a contiguous float32 tensor on the host.
std::span<const float> values(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

at::Tensor on_host(const at::Tensor& tensor) { return tensor.to(at::kCPU, at::kFloat).contiguous(); }

// Orders as topk.hpp does: the greater key first. Equal logits: the lower index has the greater key.
std::uint64_t rank_key(float logit, std::size_t expert) {
  return (std::uint64_t{order_key(logit)} << 32U) | (0xFFFF'FFFFU - static_cast<std::uint32_t>(expert));
}

}  // namespace

void select_experts(std::span<const float> logits, std::size_t experts, std::size_t top_k, std::span<ExpertId> ids,
                    std::span<std::uint8_t> nonfinite) {
  std::vector<std::uint64_t> best(top_k);  // descending
  for (std::size_t row = 0; row < nonfinite.size(); ++row) {
    const std::span<const float> of_row = logits.subspan(row * experts, experts);
    std::ranges::fill(best, 0);
    for (std::size_t e = 0; e < experts; ++e) {
      const std::uint64_t key = rank_key(of_row[e], e);
      if (key <= best.back()) continue;
      std::size_t place = top_k - 1;
      for (; place > 0 && best[place - 1] < key; --place) best[place] = best[place - 1];
      best[place] = key;
    }
    for (std::size_t rank = 0; rank < top_k; ++rank)
      ids[row * top_k + rank] = static_cast<ExpertId>(0xFFFF'FFFFU - static_cast<std::uint32_t>(best[rank]));
    nonfinite[row] = is_nonfinite(of_row) ? 1 : 0;
  }
}

Routing Router::route(int layer, const at::Tensor& states, const at::Tensor& router_weight) {
  const std::int64_t rows = states.size(0), experts = router_weight.size(0);
  const at::Tensor logits = at::linear(states, router_weight);  // in the model's dtype, as Hugging Face does
  const at::Tensor host_logits = on_host(logits);
  experts_.resize(static_cast<std::size_t>(rows * top_k_));
  nonfinite_.resize(static_cast<std::size_t>(rows));
  select_experts(values(host_logits), static_cast<std::size_t>(experts), static_cast<std::size_t>(top_k_), experts_,
                 nonfinite_);

  at::Tensor ids = at::empty({rows, top_k_}, at::kLong);
  std::ranges::copy(experts_, ids.mutable_data_ptr<std::int64_t>());
  ids = ids.to(states.device());
  at::Tensor weights = at::softmax(logits, -1, at::kFloat).gather(1, ids);
  if (renormalize_) weights = weights / weights.sum(-1, /*keepdim=*/true);
  weights = weights.to(states.scalar_type());
  if (recorder_ != nullptr) record(layer, host_logits, weights);
  return {.experts = experts_, .ids = ids, .weights = weights};
}

void Router::record(int layer, const at::Tensor& host_logits, const at::Tensor& weights) const {
  const at::Tensor host_weights = needs_.weights ? on_host(weights) : at::Tensor();
  recorder_->layer({.layer = layer,
                    .experts = experts_,
                    .weights = needs_.weights ? values(host_weights) : std::span<const float>(),
                    .logits = needs_.logits ? values(host_logits) : std::span<const float>(),
                    .nonfinite = nonfinite_});
}

}  // namespace routesig::olmoe
