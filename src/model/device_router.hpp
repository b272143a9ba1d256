// The router of a model on a device: what it decides stays there. All layers of a forward step are written into one
// buffer, which reaches the host, and the recorder, in one copy after the last layer; nothing waits in between. Runs
// on the CPU too, where tests compare it with router.hpp.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "experts.hpp"
#include "routesig/model/config.hpp"
#include "routesig/recorder.hpp"
#include "topk_router.hpp"

namespace routesig::olmoe {

// Whether a model on `device` routes there: where this build has a kernel for it and the kernel takes the shape.
[[nodiscard]] bool routes_on_device(const OlmoeConfig& config, at::Device device);

// What a recorder hears of one forward step: parts of one buffer of bytes, undefined where it does not need them.
struct StepRecord {
  at::Tensor bytes;
  at::Tensor logits{};     // float32 [layers, rows, experts]
  at::Tensor weights{};    // float32 [layers, rows, top_k]
  at::Tensor ids{};        // uint8 (at most 256 experts) or uint16 [layers, rows, top_k]
  at::Tensor nonfinite{};  // uint8 [layers, rows]
};

// For the rows of one forward step. Speaks as Router does, but tells the recorder in `finish`.
class DeviceRouter {
 public:
  DeviceRouter(const OlmoeConfig& config, std::int64_t rows, at::Device device, RoutingRecorder* recorder);

  // states [rows, D], router_weight [E, D].
  [[nodiscard]] Routing route(int layer, const at::Tensor& states, const at::Tensor& router_weight) const;
  // logits [rows, E] of a router that is only heard: nothing is dispatched by it.
  void hear(int layer, const at::Tensor& logits) const;
  // Behind the last layer: copies the record, waits for it, and tells the recorder.
  void finish() const;

 private:
  // Weights as applied [rows, top_k], and ids.
  [[nodiscard]] Routing decide(int layer, const at::Tensor& logits) const;
  [[nodiscard]] std::int64_t record_bytes() const;
  [[nodiscard]] StepRecord record_in(const at::Tensor& bytes) const;

  const OlmoeConfig& config_;
  std::int64_t rows_;
  RoutingRecorder* recorder_;  // may be null
  RoutingNeeds needs_;
  StepRecord record_;  // on the device, where there is a recorder
};

}  // namespace routesig::olmoe
