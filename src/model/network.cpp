#include "network.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>

#include <algorithm>
#include <optional>

#include "device_router.hpp"
#include "experts.hpp"
#include "router.hpp"

namespace routesig::olmoe {
namespace {

// Root mean square norm, in float32 whatever the dtype; the weight is applied after rounding back.
at::Tensor rms_norm(const at::Tensor& states, const at::Tensor& weight, double epsilon) {
  const at::Tensor wide = states.to(at::kFloat);
  const at::Tensor scale = (wide.square().mean(-1, /*keepdim=*/true) + epsilon).rsqrt();
  return weight * (wide * scale).to(states.scalar_type());
}

// `bias` may be undefined: none.
at::Tensor project(const at::Tensor& states, const at::Tensor& weight, const at::Tensor& bias) {
  return at::linear(states, weight, bias.defined() ? std::optional(bias) : std::nullopt);
}

at::Tensor to_device(std::span<const std::int32_t> values, at::Device device) {
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(values.size())}, at::kLong);
  std::ranges::copy(values, tensor.mutable_data_ptr<std::int64_t>());
  return tensor.to(device);
}

// AnyRouter: Router, which decides on the host layer by layer, or DeviceRouter.
template <typename AnyRouter>
class Layers {
 public:
  template <typename MakeRouter>
  Layers(const OlmoeConfig& config, const Weights& weights, const Step& step, const Pass& pass,
         const MakeRouter& router_for)
      : config_(config),
        weights_(weights),
        step_(step),
        pass_(pass),
        rotation_(rotation(config, to_device(step.position, weights.device()), weights.dtype())),
        router_(router_for(pass.recorder)) {
    for (RoutingRecorder* recorder : pass.rotated.recorders) rotated_.push_back(router_for(recorder));
  }

  at::Tensor run() {
    at::Tensor hidden = at::embedding(weights_.embedding, to_device(step_.token, weights_.device()));
    for (std::size_t index = 0; index < weights_.layers.size(); ++index) {
      const LayerWeights& layer = weights_.layers[index];
      hidden = hidden + attention(index, rms_norm(hidden, layer.input_norm, config_.rms_norm_eps));
      const at::Tensor states = rms_norm(hidden, layer.expert_norm, config_.rms_norm_eps);
      const Routing routing = router_.route(static_cast<int>(index), states, layer.router);
      hear_rotated(index, states);
      if (pass_.hidden_wanted || index + 1 < weights_.layers.size())
        hidden = hidden + apply_experts(states, layer, routing);
    }
    router_.finish();
    for (const AnyRouter& rotated : rotated_) rotated.finish();
    return pass_.hidden_wanted ? hidden : at::Tensor();
  }

 private:
  at::Tensor attention(std::size_t index, const at::Tensor& states) {
    const LayerWeights& layer = weights_.layers[index];
    const std::int64_t heads = config_.num_attention_heads, groups = config_.num_key_value_heads;
    const std::int64_t size = config_.head_dim;
    const at::Tensor qkv = project(states, layer.qkv, layer.qkv_bias);
    const auto part = [&](std::int64_t begin, std::int64_t count) { return qkv.narrow(1, begin * size, count * size); };

    // The norms see the whole projected width, before it is split into heads.
    at::Tensor queries = rms_norm(part(0, heads), layer.query_norm, config_.rms_norm_eps);
    at::Tensor keys = rms_norm(part(heads, groups), layer.key_norm, config_.rms_norm_eps);
    at::Tensor values = part(heads + groups, groups);
    if (config_.clip_qkv)
      for (at::Tensor* clipped : {&queries, &keys, &values}) clipped->clamp_(-*config_.clip_qkv, *config_.clip_qkv);

    queries = rotate(queries.unflatten(1, {heads, size}), rotation_);
    keys = rotate(keys.unflatten(1, {groups, size}), rotation_);
    values = values.unflatten(1, {groups, size});
    return project(attend(index, queries, keys, values), layer.output, layer.output_bias);
  }

  void hear_rotated(std::size_t index, const at::Tensor& states) {
    if (rotated_.empty()) return;
    const at::Tensor logits = at::linear(states, pass_.rotated.weights[index]);
    for (std::size_t i = 0; i < rotated_.size(); ++i)
      rotated_[i].hear(static_cast<int>(index),
                       logits.narrow(1, static_cast<std::int64_t>(i) * config_.num_experts, config_.num_experts));
  }

  at::Tensor attend(std::size_t index, const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values) {
    if (step_.segments.empty()) {
      pass_.cache->append(index, keys, values);
      return attend_cached(*pass_.cache, index, queries);
    }
    if (pass_.cache != nullptr)
      for (const Segment& segment : step_.segments) pass_.cache->put(index, segment, keys, values);
    return attend_within(step_.segments, queries, keys, values);
  }

  const OlmoeConfig& config_;
  const Weights& weights_;
  const Step& step_;
  const Pass& pass_;
  Rotation rotation_;
  AnyRouter router_;
  std::vector<AnyRouter> rotated_;
};

}  // namespace

void Step::add(std::int32_t of_sequence, std::int32_t at_position, std::int32_t id, TokenType kind) {
  sequence.push_back(of_sequence);
  position.push_back(at_position);
  token.push_back(id);
  type.push_back(kind);
}

at::Tensor run_layers(const OlmoeConfig& config, const Weights& weights, const Step& step, const Pass& pass) {
  if (pass.recorder != nullptr) pass.recorder->step(step.rows());
  for (RoutingRecorder* recorder : pass.rotated.recorders) recorder->step(step.rows());
  if (step.segments.empty()) pass.cache->grow();
  if (weights.route_on_device) {
    const auto rows = static_cast<std::int64_t>(step.token.size());
    return Layers<DeviceRouter>(
               config, weights, step, pass,
               [&](RoutingRecorder* recorder) { return DeviceRouter(config, rows, weights.device(), recorder); })
        .run();
  }
  return Layers<Router>(config, weights, step, pass,
                        [&](RoutingRecorder* recorder) { return Router(config, recorder); })
      .run();
}

at::Tensor apply_head(const OlmoeConfig& config, const Weights& weights, const at::Tensor& hidden) {
  return at::linear(rms_norm(hidden, weights.norm, config.rms_norm_eps), weights.head);
}

}  // namespace routesig::olmoe
