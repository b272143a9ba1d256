// The whole model through its public interface: what it computes, what it tells a recorder, what it refuses.
#include "routesig/model/olmoe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "model/checkpoint.hpp"
#include "model/differences.hpp"
#include "routesig/trace.hpp"
#include "support/scratch_folder.hpp"

namespace {

using routesig::ExpertLayout;
using routesig::LoadOptions;
using routesig::OlmoeConfig;
using routesig::OlmoeModel;
using routesig::RoutingTrace;
using routesig::SequenceInfo;
using routesig::TokenIds;
using routesig::TokenType;
using routesig::TraceRecorder;
using routesig::testing::ScratchFolder;
using routesig::testing::TensorValues;
using testing::ElementsAre;
using testing::HasSubstr;

OlmoeModel untrained(const OlmoeConfig& config, std::uint64_t seed = 1) {
  const ScratchFolder folder;
  routesig::testing::write_config(folder.path(), config);
  return OlmoeModel::load(folder.path(), {.random_weights = seed});
}

OlmoeModel loaded(const OlmoeConfig& config, const TensorValues& values, ExpertLayout layout = ExpertLayout::separate,
                  const std::string& dtype = "F32", const LoadOptions& options = {}) {
  const ScratchFolder folder;
  routesig::testing::write_config(folder.path(), config);
  routesig::testing::write_weights(folder.path(), config, values, layout, dtype);
  return OlmoeModel::load(folder.path(), options);
}

std::vector<TokenIds> random_prompts(std::size_t count, const OlmoeConfig& config, std::uint32_t longest = 20) {
  routesig::Random random(9);
  std::vector<TokenIds> prompts(count);
  for (TokenIds& ids : prompts) {
    ids.resize(1 + random.below(longest));
    for (std::int32_t& id : ids)
      id = static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(config.vocab_size)));
  }
  return prompts;
}

std::string problem(const std::function<void()>& act) {
  try {
    act();
    return "nothing was thrown";
  } catch (const std::exception& error) {
    return error.what();
  }
}

bool same_bytes(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

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
  EXPECT_EQ(recorder.steps, 3);  // 10 + 10 + 5 prompts: at most 2,048 rows a step
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

// A NaN in the router: every row is flagged, its weights are NaN, its ids are still distinct, and nothing fails.
TEST(Olmoe, ABrokenRouterIsShownNotHidden) {
  const OlmoeConfig config = routesig::testing::small_config();
  TensorValues values = routesig::testing::random_values(config, 2);
  values["model.layers.2.mlp.gate.weight"][5] = std::nanf("");
  const OlmoeModel model = loaded(config, values);
  const std::vector<TokenIds> prompts{{1, 2, 3}};
  TraceRecorder recorder;
  static_cast<void>(model.generate(prompts, {.max_new_tokens = 4, .ignore_eos = true}, &recorder));
  const RoutingTrace& trace = recorder.traces()[0];
  EXPECT_EQ(trace.state(2, 0), routesig::RowState::known);
  EXPECT_TRUE(std::isnan(trace.weights(2, 0)[0]));
  EXPECT_FALSE(std::isnan(trace.weights(1, 0)[0]));
  EXPECT_GE(trace.columns().nonfinite_rows, 3U);
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
  EXPECT_EQ(generate({{1}}, {.streams = {1, 2}}), "generate: expected 1 random streams (one a prompt), got 2");
  EXPECT_EQ(generate({{1}}, {}, {.sequences = {{}, {}}}), "generate: expected 1 sequences (one a prompt), got 2");
  EXPECT_THAT(generate({{1}}, {}, {.first_sequence = -1}), HasSubstr("expected sequence numbers from 0"));
  TraceRecorder recorder;
  const std::vector<TokenIds> tokens{{1, 2}};
  EXPECT_EQ(problem([&] { model.replay(tokens, recorder, {.sequences = {{.prompt_tokens = 3}}}); }),
            "replay: expected prompt_tokens from 0 to 2, got 3 (prompt 0)");
  EXPECT_EQ(recorder.traces().size(), 0U);
}

TEST(OlmoeLoad, BothExpertLayoutsAreTheSameModel) {
  const OlmoeConfig config = routesig::testing::small_config();
  const TensorValues values = routesig::testing::random_values(config, 3);
  const std::vector<TokenIds> prompts = random_prompts(2, config);
  const auto separate = loaded(config, values).forward(prompts);
  const auto fused = loaded(config, routesig::testing::fused(config, values), ExpertLayout::fused).forward(prompts);
  for (std::size_t i = 0; i < prompts.size(); ++i) EXPECT_TRUE(same_bytes(separate[i], fused[i]));
}

TEST(OlmoeLoad, SixteenBitFilesAreReadExactlyIntoFloat32) {
  const OlmoeConfig config = routesig::testing::small_config();
  const TensorValues values = routesig::testing::random_values(config, 3);
  const std::vector<TokenIds> prompts = random_prompts(2, config);
  for (const std::string dtype : {"F16", "BF16"}) {
    TensorValues rounded = values;
    for (auto& [name, of_tensor] : rounded)
      for (float& value : of_tensor) value = routesig::testing::truncated(value, dtype);
    const auto expected = loaded(config, rounded).forward(prompts);
    const OlmoeModel model = loaded(config, values, ExpertLayout::separate, dtype, {.dtype = "float32"});
    EXPECT_EQ(model.info().model_dtype, "float32");
    const auto logits = model.forward(prompts);
    for (std::size_t i = 0; i < prompts.size(); ++i) EXPECT_TRUE(same_bytes(expected[i], logits[i])) << dtype;
  }
}

TEST(OlmoeLoad, DtypeAutoIsTheCheckpoints) {
  OlmoeConfig config = routesig::testing::wide_config();
  const TensorValues values = routesig::testing::random_values(config, 3);
  const std::vector<TokenIds> prompts = random_prompts(2, config);
  config.dtype = "bfloat16";
  const OlmoeModel model = loaded(config, values, ExpertLayout::separate, "BF16");
  EXPECT_EQ(model.info().model_dtype, "bfloat16");
  const auto narrow = model.forward(prompts);
  const auto wide = loaded(config, values, ExpertLayout::separate, "BF16", {.dtype = "float32"}).forward(prompts);
  double largest = 0.0, difference = 0.0;
  for (std::size_t i = 0; i < prompts.size(); ++i)
    for (std::size_t j = 0; j < wide[i].size(); ++j) {
      largest = std::max<double>(largest, std::abs(wide[i][j]));
      difference += std::abs(static_cast<double>(narrow[i][j] - wide[i][j])) /
                    static_cast<double>(wide[i].size() * prompts.size());
    }
  EXPECT_GT(difference, 0.0);             // it did compute in 16 bits
  EXPECT_LT(difference, largest * 0.05);  // mean difference; one flipped expert moves single logits far
  config.dtype = "float16";
  EXPECT_EQ(loaded(config, values, ExpertLayout::separate, "F16").info().model_dtype, "float32");
}

TEST(OlmoeLoad, RandomWeightsAreTheirSeed) {
  const OlmoeConfig config = routesig::testing::small_config();
  const std::vector<TokenIds> prompts = random_prompts(2, config);
  const auto logits = untrained(config, 7).forward(prompts);
  EXPECT_TRUE(same_bytes(logits[0], untrained(config, 7).forward(prompts)[0]));
  EXPECT_FALSE(same_bytes(logits[0], untrained(config, 8).forward(prompts)[0]));
  EXPECT_THAT(untrained(config, 7).info().model_name, HasSubstr("random weights, seed 7"));
}

TEST(OlmoeLoad, NamesAndHashesReachTheRecorder) {
  const ScratchFolder folder;
  routesig::testing::write_config(folder.path(), routesig::testing::small_config());
  const OlmoeModel model =
      OlmoeModel::load(folder.path(), {.random_weights = 1, .name = "tiny", .sha256 = "ab", .tokenizer_sha256 = "cd"});
  EXPECT_EQ(model.info().model_name, "tiny");
  EXPECT_EQ(model.info().model_sha256, "ab");
  EXPECT_EQ(model.info().tokenizer_sha256, "cd");
  EXPECT_EQ(model.device(), "cpu");
}

TEST(OlmoeLoad, RefusesWhatItCannotRunInOneSentence) {
  const ScratchFolder folder;
  const OlmoeConfig config = routesig::testing::small_config();
  const auto load = [&](const LoadOptions& options) {
    return problem([&] { static_cast<void>(OlmoeModel::load(folder.path(), options)); });
  };
  EXPECT_THAT(load({}), HasSubstr("config.json"));
  routesig::testing::write_config(folder.path(), config);
  EXPECT_THAT(load({}), HasSubstr("safetensors"));
  EXPECT_EQ(load({.device = "tpu"}), "load: expected device auto, cpu, cuda or cuda:N, got \"tpu\"");
  EXPECT_EQ(load({.device = "cuda:x"}), "load: expected device auto, cpu, cuda or cuda:N, got \"cuda:x\"");
  EXPECT_EQ(load({.dtype = "int8"}), "load: expected dtype auto, float32 or bfloat16, got \"int8\"");
  OlmoeConfig larger = config;
  larger.num_experts = 17;
  routesig::testing::write_weights(folder.path(), larger, routesig::testing::random_values(larger, 1));
  EXPECT_THAT(load({}), HasSubstr("expert"));  // 17 experts in the file, 16 in config.json
}

TEST(OlmoeLoad, AMissingGpuIsOneSentence) {
  const ScratchFolder folder;
  routesig::testing::write_config(folder.path(), routesig::testing::small_config());
  const std::string found =
      problem([&] { static_cast<void>(OlmoeModel::load(folder.path(), {.device = "cuda", .random_weights = 1})); });
  if (found == "nothing was thrown") GTEST_SKIP() << "there is a GPU";
  EXPECT_EQ(found, "load: device cuda was asked for, but LibTorch finds no GPU; use cpu");
}

}  // namespace
