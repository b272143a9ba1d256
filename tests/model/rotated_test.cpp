#include "rotated.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/empty.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/small_models.hpp"
#include "routesig/topk.hpp"
#include "routesig/trace.hpp"

namespace {

using routesig::OlmoeModel;
using routesig::RotatedRouters;
using routesig::RoutingTrace;
using routesig::TraceRecorder;
using routesig::testing::problem;
using routesig::testing::random_prompts;
using routesig::testing::untrained;
using testing::HasSubstr;

// One layer whose router is `router`.
routesig::olmoe::Weights with_router(const at::Tensor& router) {
  routesig::olmoe::Weights weights;
  weights.embedding = at::empty({1, 1}, at::kDouble);  // tells dtype and device
  weights.layers.emplace_back().router = router;
  return weights;
}

at::Tensor drawn(std::int64_t rows, std::int64_t columns) {
  at::Tensor values = at::empty({rows, columns}, at::kDouble);
  routesig::Random random(5);
  std::generate_n(values.mutable_data_ptr<double>(), values.numel(), [&] { return random.normal(); });
  return values;
}

// Of the rotated router, as recorded.
std::span<const float> logits(const RoutingTrace& trace, int layer, int token) {
  const auto experts = static_cast<std::size_t>(trace.info().experts);
  const auto row = static_cast<std::size_t>(token * trace.layers() + layer);
  return std::span(trace.columns().router_logits).subspan(row * experts, experts);
}

double largest(const at::Tensor& values) { return at::abs(values).max().item<double>(); }

TEST(RotatedRouters, KeepEveryInnerProductBetweenExperts) {
  // (W Q)(W Q)^T = W W^T for every orthogonal Q: fewer experts than dimensions, as many, and more.
  for (const std::int64_t experts : {1, 5, 8, 20}) {
    const at::Tensor router = drawn(experts, 8);
    const at::Tensor rotated = routesig::olmoe::rotate_routers(with_router(router), 2, 3)[0];
    for (int i = 0; i < 2; ++i) {
      const at::Tensor one = rotated.narrow(0, i * experts, experts);
      EXPECT_LT(largest(at::matmul(one, one.t()) - at::matmul(router, router.t())), 1e-12);
      EXPECT_GT(largest(one - router), 0.1);
    }
    EXPECT_GT(largest(rotated.narrow(0, 0, experts) - rotated.narrow(0, experts, experts)), 0.1);
  }
}

TEST(RotatedRouters, PointInEveryDirectionAlike) {
  // One expert (3, 0, 0): each coordinate of its rotations has mean 0 and variance 3, that of the sphere of radius 3.
  at::Tensor router = at::empty({1, 3}, at::kDouble).zero_();
  router.mutable_data_ptr<double>()[0] = 3.0;
  const at::Tensor rotated = routesig::olmoe::rotate_routers(with_router(router), 4000, 1)[0];
  EXPECT_LT(largest(rotated.mean(0)), 5 * std::sqrt(3.0 / 4000));
  EXPECT_LT(largest(rotated.square().mean(0) - 3.0), 5 * std::sqrt(7.2 / 4000));  // Var x^2 = 81/5 - 9
}

TEST(RotatedRouters, AreHeardAndChangeNothing) {
  const routesig::OlmoeConfig config = routesig::testing::small_config();
  const OlmoeModel model = untrained(config);
  const auto prompts = random_prompts(3, config);
  TraceRecorder plain, real, first({.logits = true}), second;
  const auto expected = model.generate(prompts, {.max_new_tokens = 4, .ignore_eos = true}, &plain);
  const RotatedRouters rotated = model.rotated_routers(2, 7);
  EXPECT_EQ(model.generate(prompts, {.max_new_tokens = 4, .ignore_eos = true}, &real,
                           {.rotated = rotated, .rotated_recorders = {&first, &second}}),
            expected);
  ASSERT_EQ(first.traces().size(), 3U);
  ASSERT_EQ(second.traces().size(), 3U);
  std::size_t same = 0, rows = 0;
  for (std::size_t p = 0; p < 3; ++p) {
    const RoutingTrace &a = plain.traces()[p], &b = real.traces()[p], &c = first.traces()[p], &d = second.traces()[p];
    EXPECT_EQ(c.tokens(), b.tokens());
    EXPECT_EQ(c.columns().token_ids, b.columns().token_ids);
    for (int l = 0; l < a.layers(); ++l)
      for (int t = 0; t < a.tokens(); ++t) {
        EXPECT_TRUE(std::ranges::equal(a.experts(l, t), b.experts(l, t)));
        std::vector<routesig::ExpertId> chosen(static_cast<std::size_t>(c.top_k()));
        routesig::top_k(logits(c, l, t), chosen);
        EXPECT_TRUE(std::ranges::equal(c.experts(l, t), chosen));
        same += std::ranges::equal(b.experts(l, t), c.experts(l, t)) ? 1U : 0U;
        same += std::ranges::equal(d.experts(l, t), c.experts(l, t)) ? 1U : 0U;
        rows += 2;
      }
  }
  EXPECT_LT(same, rows / 2);
  EXPECT_EQ(first.traces()[0].info().model_name, model.info().model_name + " (rotated router 0, seed 7)");
  EXPECT_EQ(real.traces()[0].info().model_name, model.info().model_name);
}

// The hidden state of token 3 is NaN: whatever a rotated router makes of it is no data either.
TEST(RotatedRouters, RecordWhatIsNotFiniteAsNotKnown) {
  const routesig::OlmoeConfig config = routesig::testing::small_config();
  routesig::testing::TensorValues values = routesig::testing::random_values(config, 2);
  values["model.embed_tokens.weight"][3 * 32] = std::nanf("");
  const OlmoeModel model = routesig::testing::loaded(config, values);
  const std::vector<routesig::TokenIds> prompts{{1, 2}, {1, 2, 3}};
  TraceRecorder real, ids_only(routesig::RoutingNeeds{}), weighted;
  model.replay(prompts, real, {.rotated = model.rotated_routers(2), .rotated_recorders = {&ids_only, &weighted}});
  for (const TraceRecorder* recorder : {&real, &ids_only, &weighted}) {
    const RoutingTrace &sound = recorder->traces()[0], &broken = recorder->traces()[1];
    EXPECT_EQ(sound.unknown_rows() + sound.columns().nonfinite_rows, 0U);
    for (int layer = 0; layer < broken.layers(); ++layer)
      EXPECT_EQ(broken.state(layer, 2), routesig::RowState::unknown);
    EXPECT_EQ(broken.columns().nonfinite_rows, broken.unknown_rows());
  }
}

TEST(RotatedRouters, AreRefusedInOneSentenceWhereTheyDoNotFit) {
  routesig::OlmoeConfig config = routesig::testing::small_config();
  const OlmoeModel model = untrained(config);
  config.num_hidden_layers += 1;
  const OlmoeModel other = untrained(config);
  const auto prompts = random_prompts(1, config);
  TraceRecorder real, heard;
  const auto run = [&](const RotatedRouters& rotated, std::vector<routesig::RoutingRecorder*> recorders) {
    return problem([&] { model.replay(prompts, real, {.rotated = rotated, .rotated_recorders = recorders}); });
  };
  EXPECT_THAT(problem([&] { (void)model.rotated_routers(0); }), HasSubstr("expected a count of 1 or more, got 0"));
  EXPECT_THAT(run(model.rotated_routers(2), {&heard}), HasSubstr("expected 2 recorders (one a rotated router), got 1"));
  EXPECT_THAT(run(model.rotated_routers(1), {nullptr}), HasSubstr("got 0"));
  EXPECT_THAT(run(other.rotated_routers(1), {&heard}), HasSubstr("expected rotated routers of this model"));
}

}  // namespace
