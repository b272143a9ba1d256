// The ways through the experts, one result.
#include "experts.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>
#include <torch/library.h>

#include <cmath>
#include <numeric>

#include "routesig/random.hpp"
#include "run.hpp"

namespace {

using routesig::ExpertId;
using routesig::olmoe::compute_all_experts;
using routesig::olmoe::LayerWeights;
using routesig::olmoe::Routing;

at::Tensor random_tensor(std::initializer_list<std::int64_t> shape, std::uint64_t stream) {
  routesig::Random random(11, stream);
  std::vector<float> values;
  const auto size = std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
  for (std::int64_t i = 0; i < size; ++i) values.push_back(static_cast<float>(random.normal()));
  return at::tensor(values).view(shape);
}

LayerWeights random_layer(std::int64_t experts, std::int64_t width, std::int64_t hidden) {
  LayerWeights layer;
  layer.gate_up = random_tensor({experts, 2 * width, hidden}, 1);
  layer.down = random_tensor({experts, hidden, width}, 2);
  layer.down_flat = layer.down.permute({1, 0, 2}).reshape({hidden, experts * width});
  return layer;
}

// Distinct random experts for every row.
std::vector<ExpertId> random_experts(std::size_t rows, std::size_t experts, std::size_t top_k) {
  routesig::Random random(12);
  std::vector<ExpertId> ids, all(experts);
  std::iota(all.begin(), all.end(), ExpertId{0});
  for (std::size_t row = 0; row < rows; ++row) {
    random.shuffle(std::span(all));
    ids.insert(ids.end(), all.begin(), all.begin() + static_cast<std::ptrdiff_t>(top_k));
  }
  return ids;
}

Routing routing_of(const std::vector<ExpertId>& ids, std::int64_t top_k, const at::Tensor& weights) {
  const std::vector<std::int64_t> wide(ids.begin(), ids.end());
  return {.experts = ids, .ids = at::tensor(wide).view({-1, top_k}), .weights = weights};
}

// One row x = (1, 2), two experts of width 1, both chosen with weights 0.75 (expert 1) and 0.25 (expert 0).
TEST(Experts, WorkedByHand) {
  const c10::InferenceMode no_gradients;
  LayerWeights layer;
  layer.gate_up = at::tensor({1.0F, 0.0F, 0.0F, 1.0F, /* expert 1 */ 0.0F, 1.0F, 1.0F, 1.0F}).view({2, 2, 2});
  layer.down = at::tensor({1.0F, 0.0F, /* expert 1 */ 2.0F, -1.0F}).view({2, 2, 1});
  layer.down_flat = layer.down.permute({1, 0, 2}).reshape({2, 2});
  const std::vector<ExpertId> ids{1, 0};
  const Routing routing = routing_of(ids, 2, at::tensor({0.75F, 0.25F}).view({1, 2}));
  const auto silu = [](double x) { return x / (1.0 + std::exp(-x)); };
  const double expert0 = silu(1.0) * 2.0, expert1 = silu(2.0) * 3.0;  // gate, times up
  const at::Tensor states = at::tensor({1.0F, 2.0F}).view({1, 2});
  for (const at::Tensor& out :
       {apply_all_experts(states, layer, routing), apply_chosen_experts(states, layer, routing)}) {
    EXPECT_NEAR(out[0][0].item<float>(), 0.25 * expert0 + 0.75 * 2.0 * expert1, 1e-6);
    EXPECT_NEAR(out[0][1].item<float>(), -0.75 * expert1, 1e-6);
  }
}

TEST(Experts, BothWaysAgree) {
  const c10::InferenceMode no_gradients;
  for (const std::size_t rows : {1U, 3U, 50U})
    for (const std::size_t top_k : {1U, 4U, 16U}) {
      const LayerWeights layer = random_layer(16, 6, 10);
      const std::vector<ExpertId> ids = random_experts(rows, 16, top_k);
      const auto n = static_cast<std::int64_t>(rows), k = static_cast<std::int64_t>(top_k);
      const Routing routing = routing_of(ids, k, random_tensor({n, k}, 4));
      const at::Tensor states = random_tensor({n, 10}, 5);
      const at::Tensor all = apply_all_experts(states, layer, routing);
      EXPECT_TRUE(at::allclose(all, apply_chosen_experts(states, layer, routing), 1e-4, 1e-4)) << rows << ' ' << top_k;
      EXPECT_GT(all.abs().max().item<float>(), 1.0F);
    }
}

// The ids stay on the device there: sorted, in blocks or as one grouped product (bfloat16, widths of 8).
TEST(Experts, SortedOnTheDeviceTheyAgreeWithTheChosen) {
  const c10::InferenceMode no_gradients;
  const routesig::olmoe::ThreadCount one{routesig::OlmoeConfig()};  // small products: a second thread only waits
  for (const auto dtype : {at::kFloat, at::kBFloat16})
    for (const std::int64_t width : {6, 16})
      for (const std::size_t rows : {1U, 3U, 50U})
        for (const std::size_t top_k : {1U, 4U, 16U}) {
          LayerWeights layer = random_layer(16, width, 24);
          for (at::Tensor* each : {&layer.gate_up, &layer.down}) *each = each->to(dtype);
          const std::vector<ExpertId> ids = random_experts(rows, 16, top_k);
          const auto n = static_cast<std::int64_t>(rows), k = static_cast<std::int64_t>(top_k);
          Routing routing = routing_of(ids, k, random_tensor({n, k}, 4).to(dtype));
          const at::Tensor states = random_tensor({n, 24}, 5).to(dtype);
          const at::Tensor chosen = apply_chosen_experts(states, layer, routing);
          routing.experts = {};
          const at::Tensor sorted = apply_sorted_experts(states, layer, routing);
          const double tolerance = dtype == at::kFloat ? 1e-5 : 3e-2;
          const double scale = chosen.abs().max().item().toDouble();
          EXPECT_LE((sorted - chosen).abs().max().item().toDouble(), tolerance * scale)
              << dtype << ", width " << width << ", rows " << rows << ", top_k " << top_k;
          EXPECT_GT(scale, 1.0);
        }
}

// PyTorch registers this one from Python only.
TORCH_LIBRARY_IMPL(aten, Meta, m) {
  m.impl("index_select", [](const at::Tensor& self, std::int64_t dimension, const at::Tensor& index) {
    std::vector<std::int64_t> shape = self.sizes().vec();
    shape[static_cast<std::size_t>(dimension)] = index.size(0);
    return at::empty(shape, self.options());
  });
}

// Tensors without values: whatever asks a device for one, and would wait for it, throws here.
TEST(Experts, SortedOnTheDeviceTheyAskItForNothing) {
  const c10::InferenceMode no_gradients;
  for (const std::int64_t rows : {1, 50}) {
    LayerWeights layer = random_layer(16, 6, 10);
    for (at::Tensor* each : {&layer.gate_up, &layer.down}) *each = each->to(at::kMeta);
    const at::TensorOptions meta(at::kMeta);
    const Routing routing{
        .experts = {}, .ids = at::empty({rows, 4}, meta.dtype(at::kLong)), .weights = at::empty({rows, 4}, meta)};
    const at::Tensor out = apply_sorted_experts(at::empty({rows, 10}, meta), layer, routing);
    EXPECT_EQ(out.sizes(), (std::vector<std::int64_t>{rows, 10}));
    EXPECT_THROW(static_cast<void>(out.sum().item()), c10::Error);  // what the name says of such tensors
  }
}

// Each expert's share is gathered, multiplied and put back: a row must not hear of its neighbours.
TEST(Experts, ARowAloneIsTheRowInItsBatch) {
  const c10::InferenceMode no_gradients;
  const LayerWeights layer = random_layer(16, 6, 10);
  const std::vector<ExpertId> ids = random_experts(20, 16, 4);
  const at::Tensor weights = random_tensor({20, 4}, 4), states = random_tensor({20, 10}, 5);
  const at::Tensor together = apply_chosen_experts(states, layer, routing_of(ids, 4, weights));
  for (std::int64_t row = 0; row < 20; ++row) {
    const std::vector<ExpertId> own(ids.begin() + row * 4, ids.begin() + row * 4 + 4);
    const at::Tensor alone =
        apply_chosen_experts(states.narrow(0, row, 1), layer, routing_of(own, 4, weights.narrow(0, row, 1)));
    EXPECT_TRUE(at::allclose(alone, together.narrow(0, row, 1), 1e-5, 1e-5)) << "row " << row;
  }
}

TEST(Experts, TheWayIsChosenByTheModelAlone) {
  routesig::OlmoeConfig config;
  config.hidden_size = 96;
  config.intermediate_size = 8;
  config.num_experts = 64;
  EXPECT_TRUE(compute_all_experts(config, at::kFloat));
  EXPECT_FALSE(compute_all_experts(config, at::kBFloat16));  // the sum over all would not round as Hugging Face's does
  config.hidden_size = 2048;
  config.intermediate_size = 1024;
  EXPECT_FALSE(compute_all_experts(config, at::kFloat));
}

}  // namespace
