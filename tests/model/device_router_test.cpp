// The routing that stays on the device, on the CPU: the same decisions, the same model, one record a step.
#include "device_router.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "generation.hpp"
#include "model/differences.hpp"
#include "model/small_models.hpp"
#include "prefill.hpp"
#include "router.hpp"
#include "routesig/trace.hpp"
#include "run.hpp"

namespace {

using routesig::ExpertId;
using routesig::LayerRouting;
using routesig::OlmoeConfig;
using routesig::RoutingInfo;
using routesig::RoutingNeeds;
using routesig::RunOptions;
using routesig::TokenIds;
using routesig::TraceRecorder;
using routesig::olmoe::DeviceRouter;
using routesig::olmoe::Routing;
using routesig::olmoe::Run;
using routesig::olmoe::Weights;
using routesig::testing::random_prompts;
using routesig::testing::same_bytes;
using routesig::testing::small_config;
using routesig::testing::wide_config;

// Keeps what it hears of each layer.
class Listener final : public routesig::RoutingRecorder {
 public:
  explicit Listener(RoutingNeeds needs) : needs_(needs) {}
  [[nodiscard]] RoutingNeeds needs() const override { return needs_; }
  void step(const routesig::StepRows&) override {}
  void layer(const LayerRouting& heard) override {
    layers.push_back(heard.layer);
    experts.insert(experts.end(), heard.experts.begin(), heard.experts.end());
    weights.insert(weights.end(), heard.weights.begin(), heard.weights.end());
    logits.insert(logits.end(), heard.logits.begin(), heard.logits.end());
    nonfinite.insert(nonfinite.end(), heard.nonfinite.begin(), heard.nonfinite.end());
  }

  std::vector<int> layers;
  std::vector<ExpertId> experts;
  std::vector<float> weights, logits;
  std::vector<std::uint8_t> nonfinite;

 private:
  RoutingNeeds needs_;
};

OlmoeConfig router_config(int experts, int top_k) {
  OlmoeConfig config = small_config();
  config.num_hidden_layers = 2;
  config.num_experts = experts;
  config.num_experts_per_tok = top_k;
  return config;
}

// Two layers of three rows heard by both routers; the third row of layer 1 has no softmax.
template <typename AnyRouter>
void hear_two_layers(AnyRouter& router, int experts) {
  routesig::Random random(3);
  for (int layer = 0; layer < 2; ++layer) {
    std::vector<float> values(static_cast<std::size_t>(3 * experts));
    for (float& value : values) value = static_cast<float>(random.normal());
    values[1] = values[0];  // a tie
    if (layer == 1) values.back() = std::numeric_limits<float>::quiet_NaN();
    router.hear(layer, at::tensor(values).view({3, experts}));
  }
  router.finish();
}

TEST(DeviceRouter, TellsTheRecorderWhatTheRouterOfTheHostTells) {
  const c10::InferenceMode no_gradients;
  for (const int experts : {5, 256, 300})
    for (const bool renormalize : {false, true})
      for (const RoutingNeeds needs : {RoutingNeeds{}, {.weights = true}, {.logits = true}, {true, true}}) {
        OlmoeConfig config = router_config(experts, 4);
        config.norm_topk_prob = renormalize;
        Listener expected(needs), heard(needs);
        routesig::olmoe::Router host(config, &expected);
        DeviceRouter device(config, 3, at::kCPU, &heard);
        hear_two_layers(host, experts);
        hear_two_layers(device, experts);
        EXPECT_EQ(heard.layers, (std::vector<int>{0, 1}));
        EXPECT_EQ(heard.experts, expected.experts);
        EXPECT_EQ(heard.nonfinite, (std::vector<std::uint8_t>{0, 0, 0, 0, 0, 1}));
        EXPECT_EQ(heard.nonfinite, expected.nonfinite);
        EXPECT_TRUE(same_bytes(heard.logits, expected.logits));
        EXPECT_EQ(heard.logits.size(), needs.logits ? 2U * 3U * static_cast<std::size_t>(experts) : 0U);
        ASSERT_EQ(heard.weights.size(), needs.weights ? 2U * 3U * 4U : 0U);
        for (std::size_t i = 0; i < heard.weights.size(); ++i) {
          if (i >= 20)
            EXPECT_TRUE(std::isnan(heard.weights[i]));  // the row without a softmax
          else
            EXPECT_NEAR(heard.weights[i], expected.weights[i], 1e-6F);
        }
      }
}

TEST(DeviceRouter, WhatIsNotFiniteIsRecordedAsNotKnown) {
  const c10::InferenceMode no_gradients;
  for (const int experts : {5, 300})  // ids of one byte, and of two
    for (const RoutingNeeds needs : {RoutingNeeds{}, {.weights = true}}) {
      const OlmoeConfig config = router_config(experts, 4);
      TraceRecorder of_host(needs), of_device(needs);
      const std::vector<std::int32_t> sequence(3, 0), position{0, 1, 2};
      const std::vector<routesig::TokenType> type(3);
      for (TraceRecorder* recorder : {&of_host, &of_device}) {
        recorder->begin(config.routing());
        recorder->begin_sequence(0, {});
        recorder->step({.sequence = sequence, .position = position, .token = {}, .type = type});
      }
      routesig::olmoe::Router host(config, &of_host);
      DeviceRouter device(config, 3, at::kCPU, &of_device);
      hear_two_layers(host, experts);
      hear_two_layers(device, experts);
      for (TraceRecorder* recorder : {&of_host, &of_device}) {
        recorder->end();
        const routesig::RoutingTrace& trace = recorder->traces()[0];
        EXPECT_EQ(trace.unknown_rows(), 1U);
        EXPECT_EQ(trace.state(1, 2), routesig::RowState::unknown);
        EXPECT_EQ(trace.columns().nonfinite_rows, 1U);
      }
      EXPECT_EQ(of_host.traces()[0].columns().experts, of_device.traces()[0].columns().experts);
    }
}

TEST(DeviceRouter, DispatchesTheSameWithAndWithoutARecorder) {
  const c10::InferenceMode no_gradients;
  const OlmoeConfig config = router_config(8, 3);
  Listener listener({.weights = true, .logits = true});
  const at::Tensor states = at::tensor({0.5F, -1.0F, 2.0F, 0.25F}).view({2, 2});
  std::vector<float> weight;
  for (int i = 0; i < 16; ++i) weight.push_back(static_cast<float>(i % 5) - 2.0F);
  const at::Tensor router_weight = at::tensor(weight).view({8, 2});
  const Routing quiet = DeviceRouter(config, 2, at::kCPU, nullptr).route(0, states, router_weight);
  const Routing heard = DeviceRouter(config, 2, at::kCPU, &listener).route(0, states, router_weight);
  EXPECT_TRUE(at::equal(quiet.ids, heard.ids));
  EXPECT_TRUE(at::equal(quiet.weights, heard.weights));
  EXPECT_TRUE(quiet.experts.empty());  // they stay on the device
}

TEST(DeviceRouter, IsUsedWhereTheKernelIsAndFits) {
  using routesig::olmoe::routes_on_device;
  EXPECT_TRUE(routes_on_device(router_config(1024, 32), at::kCPU));
  EXPECT_FALSE(routes_on_device(router_config(1025, 32), at::kCPU));
  EXPECT_FALSE(routes_on_device(router_config(1024, 33), at::kCPU));
  EXPECT_FALSE(routes_on_device(router_config(64, 8), at::kMPS));
}

// What a forward pass gives, and what a recorder heard of it.
struct Pass {
  std::vector<std::vector<float>> logits;
  routesig::TraceSet traces;
};

Pass forward(const OlmoeConfig& config, const Weights& weights, const std::vector<TokenIds>& prompts,
             TraceRecorder* recorder) {
  Pass pass;
  const RunOptions options;
  const RoutingInfo info = config.routing();
  const Run run("test", prompts, recorder, options, config, info);
  run.begin();
  routesig::olmoe::prefill(config, weights, prompts, run, nullptr, /*hidden_wanted=*/true,
                           [&](std::size_t begin, std::size_t end, const auto& step, const at::Tensor& hidden) {
                             for (std::size_t i = begin; i < end; ++i) {
                               const auto& segment = step.segments[i - begin];
                               const at::Tensor rows = hidden.narrow(0, segment.first_row, segment.length);
                               const at::Tensor out = apply_head(config, weights, rows).to(at::kFloat).contiguous();
                               pass.logits.emplace_back(out.const_data_ptr<float>(),
                                                        out.const_data_ptr<float>() + out.numel());
                               run.end_sequence(i);
                             }
                           });
  run.end();
  if (recorder != nullptr) pass.traces = recorder->traces();
  return pass;
}

// Narrow float32 layers compute every expert, wide ones blocks of sorted rows, bfloat16 one grouped product.
struct Case {
  const char* name;
  OlmoeConfig config;
  at::ScalarType dtype;
  float tolerance;  // of a logit
};

class OlmoeOnDevice : public testing::TestWithParam<Case> {
 protected:
  [[nodiscard]] Weights weights(bool route_on_device) const {
    Weights drawn = routesig::olmoe::draw_weights(5, GetParam().config, GetParam().dtype, at::kCPU);
    drawn.route_on_device = route_on_device;
    return drawn;
  }
};

TEST_P(OlmoeOnDevice, ForwardAgreesWithTheHostsWay) {
  const auto& [name, config, dtype, tolerance] = GetParam();
  const std::vector<TokenIds> prompts = random_prompts(6, config);
  TraceRecorder of_host({.weights = true, .logits = true}), of_device({.weights = true, .logits = true});
  const Pass host = forward(config, weights(false), prompts, &of_host);
  const Pass device = forward(config, weights(true), prompts, &of_device);
  routesig::testing::expect_same_routing(host.traces, device.traces);
  float largest = 0.0F;
  for (std::size_t i = 0; i < prompts.size(); ++i)
    for (std::size_t j = 0; j < host.logits[i].size(); ++j) {
      EXPECT_NEAR(host.logits[i][j], device.logits[i][j], tolerance);
      largest = std::max(largest, std::abs(host.logits[i][j]));
    }
  EXPECT_GT(largest, 0.01F);
}

TEST_P(OlmoeOnDevice, LogitsAreTheSameBitsWithAndWithoutARecorder) {
  const OlmoeConfig& config = GetParam().config;
  const std::vector<TokenIds> prompts = random_prompts(6, config);
  TraceRecorder recorder({.weights = true, .logits = true}), ids_only(RoutingNeeds{});
  const Pass quiet = forward(config, weights(true), prompts, nullptr);
  const Pass heard = forward(config, weights(true), prompts, &recorder);
  const Pass half_heard = forward(config, weights(true), prompts, &ids_only);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    EXPECT_TRUE(same_bytes(quiet.logits[i], heard.logits[i]));
    EXPECT_TRUE(same_bytes(quiet.logits[i], half_heard.logits[i]));
    EXPECT_EQ(heard.traces[i].columns().experts, half_heard.traces[i].columns().experts);
  }
}

TEST_P(OlmoeOnDevice, GeneratesTheSameTokens) {
  const OlmoeConfig& config = GetParam().config;
  const std::vector<TokenIds> prompts = random_prompts(4, config);
  const routesig::GenerateOptions options{.max_new_tokens = 6, .ignore_eos = true};
  const RunOptions run_options;
  const RoutingInfo info = config.routing();
  std::vector<std::vector<TokenIds>> generated;
  std::vector<routesig::TraceSet> traces;
  for (const bool on_device : {false, true}) {
    TraceRecorder recorder({.weights = true, .logits = true});
    const routesig::olmoe::Run run("test", prompts, &recorder, run_options, config, info);
    run.begin();
    generated.push_back(routesig::olmoe::generate(config, weights(on_device), prompts, options, run));
    run.end();
    traces.push_back(recorder.traces());
  }
  EXPECT_EQ(generated[0], generated[1]);
  routesig::testing::expect_same_routing(traces[0], traces[1]);
}

INSTANTIATE_TEST_SUITE_P(Ways, OlmoeOnDevice,
                         testing::Values(Case{"AllExperts", small_config(), at::kFloat, 1e-5F},
                                         Case{"Blocks", wide_config(), at::kFloat, 1e-5F},
                                         Case{"GroupedProduct", wide_config(), at::kBFloat16, 2e-2F}),
                         [](const auto& param) { return param.param.name; });

}  // namespace
