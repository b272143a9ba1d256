// The whole model through its public interface: what it computes, what it tells a recorder, what it refuses.
#include "routesig/model/olmoe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/differences.hpp"
#include "model/small_models.hpp"
#include "routesig/trace.hpp"

namespace {

using routesig::OlmoeConfig;
using routesig::OlmoeModel;
using routesig::RoutingTrace;
using routesig::SequenceInfo;
using routesig::TokenIds;
using routesig::TokenType;
using routesig::TraceRecorder;
using routesig::testing::loaded;
using routesig::testing::problem;
using routesig::testing::random_prompts;
using routesig::testing::same_bytes;
using routesig::testing::TensorValues;
using routesig::testing::untrained;
using testing::ElementsAre;
using testing::HasSubstr;

// One layer whose attention adds nothing (o_proj 0), two experts of width 1, the better one chosen.
TEST(Olmoe, WorkedByHand) {
  OlmoeConfig config;
  config.vocab_size = 3;
  config.hidden_size = config.head_dim = 2;
  config.num_attention_heads = config.num_key_value_heads = 1;
  config.intermediate_size = config.num_experts_per_tok = config.num_hidden_layers = 1;
  config.num_experts = 2;
  const std::string layer = "model.layers.0.", attention = layer + "self_attn.", experts = layer + "mlp.experts.";
  const OlmoeModel model = loaded(config, {{"model.embed_tokens.weight", {3, 4, 1, 1, 1, -1}},
                                           {layer + "input_layernorm.weight", {1, 1}},
                                           {attention + "q_proj.weight", {1, 0, 0, 1}},
                                           {attention + "k_proj.weight", {1, 0, 0, 1}},
                                           {attention + "v_proj.weight", {1, 0, 0, 1}},
                                           {attention + "q_norm.weight", {1, 1}},
                                           {attention + "k_norm.weight", {1, 1}},
                                           {attention + "o_proj.weight", {0, 0, 0, 0}},
                                           {layer + "post_attention_layernorm.weight", {1, 2}},
                                           {layer + "mlp.gate.weight", {1, 0, 0, 1}},
                                           {experts + "0.gate_proj.weight", {9, 9}},
                                           {experts + "0.up_proj.weight", {9, 9}},
                                           {experts + "0.down_proj.weight", {9, 9}},
                                           {experts + "1.gate_proj.weight", {1, 0}},
                                           {experts + "1.up_proj.weight", {0, 1}},
                                           {experts + "1.down_proj.weight", {2, 0}},
                                           {"model.norm.weight", {1, 1}},
                                           {"lm_head.weight", {1, 0, 0, 1, 1, 1}}});
  TraceRecorder recorder({.weights = true, .logits = true});
  const std::vector<TokenIds> tokens{{0}};
  const std::vector<float> logits = model.forward(tokens, &recorder)[0];

  const double rms = std::sqrt((9.0 + 16.0) / 2.0 + 1e-5);
  const double x = 3.0 / rms, y = 2.0 * 4.0 / rms;  // normed, times the weight (1, 2)
  const double p = std::exp(y) / (std::exp(x) + std::exp(y));
  const double hidden_x = 3.0 + p * 2.0 * (x / (1.0 + std::exp(-x))) * y, hidden_y = 4.0;
  const double last = std::sqrt((hidden_x * hidden_x + hidden_y * hidden_y) / 2.0 + 1e-5);
  ASSERT_EQ(logits.size(), 3U);
  EXPECT_NEAR(logits[0], hidden_x / last, 1e-6);
  EXPECT_NEAR(logits[1], hidden_y / last, 1e-6);
  EXPECT_NEAR(logits[2], (hidden_x + hidden_y) / last, 1e-6);

  const RoutingTrace& trace = recorder.traces()[0];
  EXPECT_THAT(trace.experts(0, 0), ElementsAre(1));
  EXPECT_NEAR(trace.weights(0, 0)[0], p, 1e-6);
  EXPECT_NEAR(trace.columns().router_logits[1], y, 1e-6);
}

// Narrow layers compute all experts, wide ones the chosen: everything below holds for both.
class OlmoeBothWays : public testing::TestWithParam<bool> {
 protected:
  OlmoeConfig config_ = GetParam() ? routesig::testing::wide_config() : routesig::testing::small_config();
};
INSTANTIATE_TEST_SUITE_P(Width, OlmoeBothWays, testing::Bool(),
                         [](const auto& of) { return of.param ? "Wide" : "Narrow"; });

TEST_P(OlmoeBothWays, RecordingChangesNoBitOfTheLogits) {
  const OlmoeModel model = untrained(config_);
  const std::vector<TokenIds> prompts = random_prompts(5, config_);
  TraceRecorder recorder({.weights = true, .logits = true});
  const auto without = model.forward(prompts), with = model.forward(prompts, &recorder);
  for (std::size_t i = 0; i < prompts.size(); ++i) EXPECT_TRUE(same_bytes(without[i], with[i])) << "prompt " << i;
  TraceRecorder second;
  EXPECT_EQ(model.generate(prompts, {.max_new_tokens = 9}), model.generate(prompts, {.max_new_tokens = 9}, &second));
}

// 100 new tokens: past the cache's first capacity.
TEST_P(OlmoeBothWays, CachedDecodingRoutesAsAForcedRun) {
  const OlmoeModel model = untrained(config_);
  const std::vector<TokenIds> prompts = random_prompts(4, config_);
  TraceRecorder decoded({.weights = true, .logits = true}), forced({.weights = true, .logits = true});
  const auto answers = model.generate(prompts, {.max_new_tokens = 100, .ignore_eos = true}, &decoded);
  std::vector<TokenIds> whole = prompts;
  std::vector<SequenceInfo> sequences(prompts.size());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    sequences[i] = {.id = std::to_string(i), .prompt_tokens = static_cast<int>(prompts[i].size())};
    whole[i].insert(whole[i].end(), answers[i].begin(), answers[i].end() - 1);
  }
  model.replay(whole, forced, {.sequences = sequences});
  routesig::testing::expect_same_routing(decoded.traces(), forced.traces());

  const auto logits = model.forward(whole);  // greedy: every answer is the largest logit of the row before
  for (std::size_t i = 0; i < whole.size(); ++i)
    for (std::size_t t = prompts[i].size() - 1; t < whole[i].size(); ++t)
      EXPECT_EQ(answers[i][t + 1 - prompts[i].size()],
                routesig::testing::largest(logits[i], t, static_cast<std::size_t>(config_.vocab_size)));
}

TEST_P(OlmoeBothWays, ABatchIsItsPromptsOneByOne) {
  const OlmoeModel model = untrained(config_);
  const std::vector<TokenIds> prompts = random_prompts(7, config_);
  TraceRecorder together({.weights = true, .logits = true}), apart({.weights = true, .logits = true});
  const auto answers = model.generate(prompts, {.max_new_tokens = 12, .ignore_eos = true}, &together);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const std::vector<TokenIds> one{prompts[i]};
    EXPECT_EQ(model.generate(one, {.max_new_tokens = 12, .ignore_eos = true}, &apart,
                             {.first_sequence = static_cast<int>(i)})[0],
              answers[i]);
  }
  routesig::testing::expect_same_routing(together.traces(), apart.traces());
}

TEST_P(OlmoeBothWays, BatchesThatEndAtDifferentTimesKeepTheirSequencesApart) {
  const std::vector<TokenIds> prompts = random_prompts(9, config_);
  const auto whole = untrained(config_).generate(prompts, {.max_new_tokens = 20, .ignore_eos = true});
  config_.eos_token_ids = {whole[3][4]};  // some sequences meet it, at different steps
  const OlmoeModel model = untrained(config_);
  TraceRecorder recorder;
  const auto cut = model.generate(prompts, {.max_new_tokens = 20}, &recorder);
  std::size_t stopped = 0;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    TokenIds expected = whole[i];
    if (const auto stop = std::ranges::find(expected, config_.eos_token_ids[0]); stop != expected.end()) {
      expected.erase(stop + 1, expected.end());
      ++stopped;
    }
    EXPECT_EQ(cut[i], expected) << "prompt " << i;
    EXPECT_EQ(recorder.traces()[i].tokens(), static_cast<int>(prompts[i].size() + expected.size()) - 1);
  }
  EXPECT_GT(stopped, 0U);
  EXPECT_EQ(model.generate(prompts, {.max_new_tokens = 20, .ignore_eos = true}), whole);
}

TEST(Olmoe, FifteenPromptTokensAndThirtyTwoNewOnesAreFortySixRows) {
  const OlmoeModel model = untrained(routesig::testing::small_config());
  const std::vector<TokenIds> prompts{TokenIds(15, 7)};
  TraceRecorder recorder;
  const auto answers = model.generate(prompts, {.max_new_tokens = 32}, &recorder);
  ASSERT_EQ(answers[0].size(), 32U);
  const RoutingTrace& trace = recorder.traces()[0];
  ASSERT_EQ(trace.tokens(), 46);
  EXPECT_EQ(trace.sequence().id, "0");
  EXPECT_EQ(trace.sequence().prompt_tokens, 15);
  for (int t = 0; t < 46; ++t) {
    const auto at = static_cast<std::size_t>(t);
    EXPECT_EQ(trace.columns().positions[at], t);
    EXPECT_EQ(trace.columns().types[at], t < 15 ? TokenType::prompt : TokenType::generation);
    EXPECT_EQ(trace.columns().token_ids[at], t < 15 ? 7 : answers[0][at - 15]);
    for (int layer = 0; layer < trace.layers(); ++layer) EXPECT_EQ(trace.state(layer, t), routesig::RowState::known);
  }
}

TEST(Olmoe, NoNewTokensRecordsThePromptAlone) {
  const OlmoeModel model = untrained(routesig::testing::small_config());
  const std::vector<TokenIds> prompts{{1, 2, 3}};
  TraceRecorder recorder;
  EXPECT_THAT(model.generate(prompts, {.max_new_tokens = 0}, &recorder), ElementsAre(ElementsAre()));
  EXPECT_EQ(recorder.traces()[0].tokens(), 3);
}

TEST(Olmoe, SamplingDependsOnSeedAndStreamNotOnTheBatch) {
  const OlmoeConfig config = routesig::testing::small_config();
  const OlmoeModel model = untrained(config);
  const std::vector<TokenIds> prompts = random_prompts(6, config);
  const routesig::GenerateOptions options{.max_new_tokens = 15, .temperature = 1.0, .seed = 4, .ignore_eos = true};
  const auto all = model.generate(prompts, options);
  EXPECT_EQ(model.generate(prompts, options), all);
  auto other = options;
  other.seed = 5;
  EXPECT_NE(model.generate(prompts, other), all);
  const std::vector<TokenIds> one{prompts[4]};
  EXPECT_EQ(model.generate(one, options, nullptr, {.first_sequence = 4})[0], all[4]);
  auto by_stream = options;
  by_stream.streams = {4};
  EXPECT_EQ(model.generate(one, by_stream)[0], all[4]);
  EXPECT_NE(model.generate(one, options)[0], all[4]);  // stream 0
}

TEST(Olmoe, ReplayTakesTokenTypesFromPromptTokens) {
  const OlmoeModel model = untrained(routesig::testing::small_config());
  const std::vector<TokenIds> tokens{{1, 2, 3, 4}, {5, 6}};
  TraceRecorder recorder;
  model.replay(tokens, recorder, {.sequences = {{.id = "a", .task = "code", .prompt_tokens = 3}, {.id = "b"}}});
  EXPECT_THAT(recorder.traces()[0].columns().types,
              ElementsAre(TokenType::prompt, TokenType::prompt, TokenType::prompt, TokenType::generation));
  EXPECT_EQ(recorder.traces()[0].sequence().task, "code");
  EXPECT_THAT(recorder.traces()[1].columns().types, ElementsAre(TokenType::prompt, TokenType::prompt));
  EXPECT_EQ(recorder.traces()[1].sequence().prompt_tokens, 2);
}

TEST(Olmoe, ManyRunsGoIntoOneRecording) {
  const OlmoeConfig config = routesig::testing::small_config();
  const OlmoeModel model = untrained(config);
  const std::vector<TokenIds> prompts = random_prompts(4, config);
  const std::span all(prompts);
  TraceRecorder recorder;
  recorder.begin(model.info());
  static_cast<void>(model.generate(all.first(3), {.max_new_tokens = 2}, &recorder, {.begun = true}));
  static_cast<void>(
      model.generate(all.last(1), {.max_new_tokens = 2}, &recorder, {.first_sequence = 3, .begun = true}));
  EXPECT_EQ(recorder.traces().size(), 0U);
  recorder.end();
  ASSERT_EQ(recorder.traces().size(), 4U);
  EXPECT_EQ(recorder.traces()[3].sequence().id, "3");
}

// Hears every call and checks their order and the sizes of the spans.
struct StrictRecorder : routesig::RoutingRecorder {
  explicit StrictRecorder(routesig::RoutingNeeds needed) : wanted(needed) {}
  [[nodiscard]] routesig::RoutingNeeds needs() const override { return wanted; }
  void begin(const routesig::RoutingInfo& given) override { info = given; }
  void begin_sequence(int sequence, const SequenceInfo& /*of*/) override { open.push_back(sequence); }
  void step(const routesig::StepRows& given) override {
    EXPECT_EQ(next_layer, steps == 0 ? 0 : info.layers) << "a step before the last one's layers";
    rows = given.rows();
    total_rows += rows;
    next_layer = 0;
    ++steps;
    for (const int sequence : given.sequence) EXPECT_THAT(open, testing::Contains(sequence));
    EXPECT_EQ(given.token.size(), rows);
    EXPECT_EQ(given.position.size(), rows);
    EXPECT_EQ(given.type.size(), rows);
  }
  void layer(const routesig::LayerRouting& routing) override {
    EXPECT_EQ(routing.layer, next_layer++);
    EXPECT_EQ(routing.experts.size(), rows * static_cast<std::size_t>(info.top_k));
    EXPECT_EQ(routing.weights.size(), wanted.weights ? routing.experts.size() : 0U);
    EXPECT_EQ(routing.logits.size(), wanted.logits ? rows * static_cast<std::size_t>(info.experts) : 0U);
    EXPECT_EQ(routing.nonfinite.size(), rows);
  }
  void end_sequence(int sequence) override { EXPECT_EQ(std::erase(open, sequence), 1U); }
  void end() override { ended = open.empty(); }

  routesig::RoutingNeeds wanted;
  routesig::RoutingInfo info;
  std::vector<int> open;
  std::size_t rows = 0, total_rows = 0;
  int next_layer = 0, steps = 0;
  bool ended = false;
};

TEST(Olmoe, TellsARecorderWhatItNeedsInOrder) {
  const OlmoeConfig config = routesig::testing::small_config();
  const OlmoeModel model = untrained(config);
  const std::vector<TokenIds> prompts = random_prompts(3, config);
  for (const auto& wanted : {routesig::RoutingNeeds{}, routesig::RoutingNeeds{.weights = true},
                             routesig::RoutingNeeds{.weights = true, .logits = true}}) {
    StrictRecorder recorder(wanted);
    static_cast<void>(model.generate(prompts, {.max_new_tokens = 4, .ignore_eos = true}, &recorder));
    EXPECT_TRUE(recorder.ended);
    EXPECT_EQ(recorder.steps, 4);  // the prompts, then three tokens that were fed back
    EXPECT_EQ(recorder.info, model.info());
    EXPECT_EQ(recorder.info.layers, 3);
    EXPECT_TRUE(recorder.info.renormalized);
  }
}

TEST(Olmoe, LongBatchesAreSplitBetweenSequences) {
  OlmoeConfig config = routesig::testing::small_config();
  config.num_hidden_layers = 1;
  const OlmoeModel model = untrained(config);
  const std::vector<TokenIds> prompts(25, TokenIds(200, 3));
  StrictRecorder recorder({});
  const auto logits = model.forward(prompts, &recorder);
  EXPECT_EQ(recorder.total_rows, 5000U);
  EXPECT_EQ(recorder.steps, 13);  // two prompts each, then the last: at most 512 rows a step
  for (const auto& of_prompt : logits) EXPECT_EQ(of_prompt.size(), 200U * 61U);
  TraceRecorder traces;
  EXPECT_EQ(model.generate(prompts, {.max_new_tokens = 3}, &traces),
            std::vector<TokenIds>(25, model.generate(std::span(prompts).first(1), {.max_new_tokens = 3})[0]));
}

TEST(Olmoe, StopsBetweenTwoStepsWhenAsked) {
  const OlmoeModel model = untrained(routesig::testing::small_config());
  const std::vector<TokenIds> prompts{{1, 2}};
  int polls = 0;
  const routesig::RunOptions run{.should_stop = [&] {
    if (++polls == 3) throw std::runtime_error("interrupted");
  }};
  EXPECT_EQ(problem([&] { static_cast<void>(model.generate(prompts, {.ignore_eos = true}, nullptr, run)); }),
            "interrupted");
  EXPECT_EQ(polls, 3);
}

// A NaN in the router: its layer routes by what is left, nothing fails, and none of its rows is recorded as data.
TEST(Olmoe, ABrokenRouterIsShownNotHidden) {
  const OlmoeConfig config = routesig::testing::small_config();
  TensorValues values = routesig::testing::random_values(config, 2);
  values["model.layers.2.mlp.gate.weight"][5] = std::nanf("");
  const OlmoeModel model = loaded(config, values);
  const std::vector<TokenIds> prompts{{1, 2, 3}};
  TraceRecorder recorder;
  static_cast<void>(model.generate(prompts, {.max_new_tokens = 4, .ignore_eos = true}, &recorder));
  const RoutingTrace& trace = recorder.traces()[0];
  for (int token = 0; token < trace.tokens(); ++token) {
    EXPECT_EQ(trace.state(2, token), routesig::RowState::unknown);
    EXPECT_TRUE(std::isnan(trace.weights(2, token)[0]));
  }
  EXPECT_EQ(trace.state(1, 0), routesig::RowState::known);
  EXPECT_FALSE(std::isnan(trace.weights(1, 0)[0]));
  EXPECT_EQ(trace.columns().nonfinite_rows, trace.unknown_rows());
  EXPECT_GE(trace.columns().nonfinite_rows, 6U);
}

TEST(Olmoe, RefusesBadRequestsInOneSentence) {
  const OlmoeModel model = untrained(routesig::testing::small_config());
  const auto generate = [&](const std::vector<TokenIds>& prompts, const routesig::GenerateOptions& options = {},
                            const routesig::RunOptions& run = {}) {
    return problem([&] { static_cast<void>(model.generate(prompts, options, nullptr, run)); });
  };
  EXPECT_EQ(generate({}), "generate: expected at least 1 list of token ids, got none");
  EXPECT_EQ(generate({{1}, {}}), "generate: expected at least 1 token id in prompt 1, got none");
  EXPECT_EQ(generate({{1, 61}}), "generate: expected token ids from 0 to 60, got 61 (prompt 0, position 1)");
  EXPECT_EQ(generate({{-1}}), "generate: expected token ids from 0 to 60, got -1 (prompt 0, position 0)");
  EXPECT_EQ(generate({{1}, TokenIds(300, 1)}),
            "generate: expected at most 256 tokens (the model's context) in prompt 1, got 300");
  EXPECT_EQ(generate({TokenIds(250, 1)}),
            "generate: expected prompt and new tokens to fit the model's context of 256, got 250 + 32 in prompt 0 "
            "(lower max_new_tokens)");
  EXPECT_EQ(generate({TokenIds(224, 1)}, {.max_new_tokens = 32}), "nothing was thrown");
  EXPECT_EQ(generate({{1}}, {.max_new_tokens = -1}), "generate: expected max_new_tokens of 0 or more, got -1");
  EXPECT_EQ(generate({{1}}, {.temperature = -0.5}), "generate: expected a temperature of 0 or more, got -0.5");
  EXPECT_EQ(generate({{1}}, {.temperature = std::nan("")}), "generate: expected a temperature of 0 or more, got nan");
  EXPECT_EQ(generate({{1}}, {.streams = {1, 2}}), "generate: expected 1 random streams (one per prompt), got 2");
  EXPECT_EQ(generate({{1}}, {}, {.sequences = {{}, {}}}), "generate: expected 1 sequences (one per prompt), got 2");
  EXPECT_THAT(generate({{1}}, {}, {.first_sequence = -1}), HasSubstr("expected sequence numbers from 0"));
  TraceRecorder recorder;
  const std::vector<TokenIds> tokens{{1, 2}};
  EXPECT_EQ(problem([&] { model.replay(tokens, recorder, {.sequences = {{.prompt_tokens = 3}}}); }),
            "replay: expected prompt_tokens from 0 to 2, got 3 (prompt 0)");
  EXPECT_EQ(recorder.traces().size(), 0U);
}

}  // namespace
