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

}  // namespace

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
  const auto rows = static_cast<std::size_t>(host_logits.size(0)),
             width = static_cast<std::size_t>(host_logits.size(1));
  const auto top_k = static_cast<std::size_t>(top_k_);
  experts_.resize(rows * top_k);
  nonfinite_.resize(rows);
  for (std::size_t row = 0; row < rows; ++row) {
    const std::span<const float> logits = values(host_logits).subspan(row * width, width);
    routesig::top_k(logits, std::span(experts_).subspan(row * top_k, top_k));
    nonfinite_[row] = is_nonfinite(logits) ? 1 : 0;
  }
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
