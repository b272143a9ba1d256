// The router of one layer: logits -> the top k experts and their weights, by the rule of topk.hpp.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "experts.hpp"
#include "routesig/recorder.hpp"

namespace routesig::olmoe {

// Routes the rows of one forward step, layer after layer, and tells the recorder. Keeps its buffers between layers.
class Router {
 public:
  Router(const OlmoeConfig& config, RoutingRecorder* recorder)
      : top_k_(config.num_experts_per_tok), renormalize_(config.norm_topk_prob), recorder_(recorder) {
    if (recorder_ != nullptr) needs_ = recorder_->needs();
  }

  // states [rows, D], router_weight [E, D]. The result's `experts` hold until the next call.
  [[nodiscard]] Routing route(int layer, const at::Tensor& states, const at::Tensor& router_weight);
  // logits [rows, E] of a router that is only heard: nothing is dispatched by it.
  void hear(int layer, const at::Tensor& logits);
  // Behind the last layer: the recorder has heard of each already.
  void finish() const noexcept {}

 private:
  void select(const at::Tensor& host_logits);
  [[nodiscard]] at::Tensor weights_of(const at::Tensor& logits, const at::Tensor& ids) const;
  [[nodiscard]] at::Tensor chosen_ids(at::Device device) const;  // [rows, top_k]
  void record(int layer, const at::Tensor& host_logits, const at::Tensor& weights) const;

  std::int64_t top_k_;
  bool renormalize_;
  RoutingRecorder* recorder_;  // may be null
  RoutingNeeds needs_;
  std::vector<ExpertId> experts_;        // [rows, top_k]
  std::vector<std::uint8_t> nonfinite_;  // [rows]
};

}  // namespace routesig::olmoe
