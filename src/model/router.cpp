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
  const at::Tensor logits = at::linear(states, router_weight);  // in the model's dtype, as Hugging Face does
  const at::Tensor host_logits = on_host(logits);
  select(host_logits);
  const at::Tensor ids = chosen_ids(states.device());
  const at::Tensor weights = weights_of(logits, ids);
  if (recorder_ != nullptr) record(layer, host_logits, weights);
  return {.experts = experts_, .ids = ids, .weights = weights};
}

void Router::hear(int layer, const at::Tensor& logits) {
  const at::Tensor host_logits = on_host(logits);
  select(host_logits);
  record(layer, host_logits, needs_.weights ? weights_of(logits, chosen_ids(logits.device())) : at::Tensor());
}

void Router::select(const at::Tensor& host_logits) {
  const std::int64_t rows = host_logits.size(0), experts = host_logits.size(1);
  experts_.resize(static_cast<std::size_t>(rows * top_k_));
  nonfinite_.resize(static_cast<std::size_t>(rows));
  select_experts(values(host_logits), static_cast<std::size_t>(experts), static_cast<std::size_t>(top_k_), experts_,
                 nonfinite_);
}

at::Tensor Router::chosen_ids(at::Device device) const {
  at::Tensor ids = at::empty({static_cast<std::int64_t>(nonfinite_.size()), top_k_}, at::kLong);
  std::ranges::copy(experts_, ids.mutable_data_ptr<std::int64_t>());
  return ids.to(device);
}

at::Tensor Router::weights_of(const at::Tensor& logits, const at::Tensor& ids) const {
  at::Tensor weights = at::softmax(logits, -1, at::kFloat).gather(1, ids);
  if (renormalize_) weights = weights / weights.sum(-1, /*keepdim=*/true);
  return weights.to(logits.scalar_type());
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
