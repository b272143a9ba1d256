#include "device_router.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <span>
#include <vector>

namespace routesig::olmoe {
namespace {

// The one copy and the one wait of a step.
at::Tensor copied_to_host(const at::Tensor& bytes) {
  if (bytes.is_cpu()) return bytes;
  const at::Tensor host = at::empty(bytes.sizes(), at::TensorOptions(at::kByte).pinned_memory(true));
  host.copy_(bytes, /*non_blocking=*/true);
  const c10::impl::VirtualGuardImpl device(bytes.device().type());
  device.synchronizeStream(device.getStream(bytes.device()));
  return host;
}

// A layer's values of a contiguous tensor [layers, ...] on the host; none where it is undefined.
template <typename T>
std::span<const T> values_of(const at::Tensor& tensor, int layer) {
  if (!tensor.defined()) return {};
  const auto count = static_cast<std::size_t>(tensor.numel() / tensor.size(0));
  return std::span(tensor.const_data_ptr<T>(), count * static_cast<std::size_t>(tensor.size(0)))
      .subspan(count * static_cast<std::size_t>(layer), count);
}

}  // namespace

bool routes_on_device(const OlmoeConfig& config, at::Device device) {
  return has_router_kernel(device) && config.num_experts <= cuda::kMaxTopkExperts &&
         config.num_experts_per_tok <= cuda::kMaxTopk;
}

DeviceRouter::DeviceRouter(const OlmoeConfig& config, std::int64_t rows, at::Device device, RoutingRecorder* recorder)
    : config_(config), rows_(rows), recorder_(recorder) {
  if (recorder_ == nullptr) return;
  needs_ = recorder_->needs();
  record_ = record_in(at::empty({record_bytes()}, at::TensorOptions(device).dtype(at::kByte)));
}

Routing DeviceRouter::route(int layer, const at::Tensor& states, const at::Tensor& router_weight) const {
  return decide(layer, at::linear(states, router_weight));  // in the model's dtype, as Hugging Face does
}

void DeviceRouter::hear(int layer, const at::Tensor& logits) const { static_cast<void>(decide(layer, logits)); }

Routing DeviceRouter::decide(int layer, const at::Tensor& logits) const {
  const RouterCall call{
      .logits = logits, .top_k = config_.num_experts_per_tok, .rule = {.renormalize = config_.norm_topk_prob}};
  RouterTensors out = empty_result(call);
  if (recorder_ != nullptr) {
    out.trace = record_.ids[layer];
    out.nonfinite = record_.nonfinite[layer];
  }
  routesig::route(call, out);
  const at::Tensor weights = out.weights.to(logits.scalar_type());
  if (needs_.weights) record_.weights[layer].copy_(weights);
  if (needs_.logits) record_.logits[layer].copy_(logits);
  return {.experts = {}, .ids = out.ids, .weights = weights};
}

void DeviceRouter::finish() const {
  if (recorder_ == nullptr) return;
  const StepRecord host = record_in(copied_to_host(record_.bytes));
  std::vector<ExpertId> experts(static_cast<std::size_t>(rows_ * config_.num_experts_per_tok));
  for (int layer = 0; layer < config_.num_hidden_layers; ++layer) {
    if (host.ids.scalar_type() == at::kByte)
      std::ranges::copy(values_of<std::uint8_t>(host.ids, layer), experts.begin());
    else
      std::ranges::copy(values_of<std::uint16_t>(host.ids, layer), experts.begin());
    recorder_->layer({.layer = layer,
                      .experts = experts,
                      .weights = values_of<float>(host.weights, layer),
                      .logits = values_of<float>(host.logits, layer),
                      .nonfinite = values_of<std::uint8_t>(host.nonfinite, layer)});
  }
}

std::int64_t DeviceRouter::record_bytes() const {
  const std::int64_t top_k = config_.num_experts_per_tok, experts = config_.num_experts;
  const std::int64_t floats = (needs_.logits ? experts : 0) + (needs_.weights ? top_k : 0);
  return config_.num_hidden_layers * rows_ * (4 * floats + (experts <= 256 ? 1 : 2) * top_k + 1);
}

// The widest type first, so that each part is aligned.
StepRecord DeviceRouter::record_in(const at::Tensor& bytes) const {
  const std::int64_t top_k = config_.num_experts_per_tok, experts = config_.num_experts;
  std::int64_t begin = 0;
  const auto part = [&](at::ScalarType type, std::int64_t values) {  // of a row
    const std::int64_t length =
        config_.num_hidden_layers * rows_ * values * static_cast<std::int64_t>(c10::elementSize(type));
    const at::Tensor values_of_all = bytes.narrow(0, begin, length).view(type);
    begin += length;
    return values_of_all.view({config_.num_hidden_layers, rows_, values});
  };
  StepRecord record{.bytes = bytes};
  if (needs_.logits) record.logits = part(at::kFloat, experts);
  if (needs_.weights) record.weights = part(at::kFloat, top_k);
  record.ids = part(experts <= 256 ? at::kByte : at::kUInt16, top_k);
  record.nonfinite = part(at::kByte, 1).squeeze(2);
  return record;
}

}  // namespace routesig::olmoe
