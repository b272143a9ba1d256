#include "routesig/trace.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/traces.hpp"

namespace routesig {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::shape;
using ::testing::ThrowsMessage;

const RoutingInfo kTwoLayers{.layers = 2, .experts = 4, .top_k = 2};

// Feeds `recorder` one step: for every row its sequence and position; expert ids are 2 a row and layer.
void feed(RoutingRecorder& recorder, std::vector<std::int32_t> sequence, std::vector<std::int32_t> position,
          std::vector<std::vector<ExpertId>> layers, TokenType type = TokenType::prompt) {
  const std::vector<TokenType> types(sequence.size(), type);
  recorder.step({.sequence = sequence, .position = position, .token = position, .type = types});
  for (int l = 0; l < static_cast<int>(layers.size()); ++l) {
    const std::vector<float> weights(layers[static_cast<std::size_t>(l)].size(), 0.25F * static_cast<float>(l + 1));
    recorder.layer({.layer = l, .experts = layers[static_cast<std::size_t>(l)], .weights = weights});
  }
}

TEST(RowState, KnownUnknownImpossible) {
  const auto state = [](std::vector<ExpertId> row) { return row_state(row, 4); };
  EXPECT_EQ(state({0, 3}), RowState::known);
  EXPECT_EQ(state({kNoExpert, kNoExpert}), RowState::unknown);
  EXPECT_EQ(state({1, 1}), RowState::impossible);
  EXPECT_EQ(state({1, 4}), RowState::impossible);
  EXPECT_EQ(state({1, kNoExpert}), RowState::impossible);
}

TEST(ExpertIds, MinusOneIsUnknownAndAnythingElseOutOfRangeIsRefusedWithItsPlace) {
  const auto ids = [](auto... values) {
    return expert_ids(std::span<const std::int64_t>(std::vector<std::int64_t>{values...}), kTwoLayers, "t");
  };
  EXPECT_THAT(ids(0, 3, -1, 65535), ElementsAre(0, 3, kNoExpert, kNoExpert));
  EXPECT_THAT([&] { (void)ids(0, 1, 2, 3, 0, 1, 2, 4); },
              ThrowsMessage<std::invalid_argument>(
                  "trace: expected expert ids from 0 to 3 (-1 where unknown), got 4 in layer 1, "
                  "token 1 (trace \"t\")"));
  EXPECT_THROW((void)ids(-2, 1), std::invalid_argument);
  const std::vector<std::uint64_t> wraps{~std::uint64_t{0}, 1};
  EXPECT_THROW((void)expert_ids(std::span<const std::uint64_t>(wraps), kTwoLayers, "t"), std::invalid_argument);
}

TEST(TraceRecorder, KeepsRowsOfInterleavedSequencesApart) {
  TraceRecorder recorder;
  recorder.begin(kTwoLayers);
  recorder.begin_sequence(0, {.id = "a", .prompt_tokens = 1});
  recorder.begin_sequence(1, {.id = "b", .prompt_tokens = 1});
  feed(recorder, {1, 0}, {0, 0}, {{0, 1, 2, 3}, {1, 0, 3, 2}});
  recorder.end_sequence(1);
  feed(recorder, {0}, {1}, {{3, 0}, {2, 1}}, TokenType::generation);
  recorder.end_sequence(0);
  recorder.end();
  ASSERT_EQ(recorder.traces().size(), 2U);
  const RoutingTrace &a = recorder.traces()[0], &b = recorder.traces()[1];
  EXPECT_EQ(a.sequence().id, "a");
  EXPECT_EQ(a.tokens(), 2);
  EXPECT_EQ(b.tokens(), 1);
  EXPECT_THAT(b.experts(0, 0), ElementsAre(0, 1));
  EXPECT_THAT(b.experts(1, 0), ElementsAre(1, 0));
  EXPECT_THAT(a.experts(0, 0), ElementsAre(2, 3));
  EXPECT_THAT(a.experts(1, 1), ElementsAre(2, 1));
  EXPECT_THAT(a.weights(1, 1), ElementsAre(0.5F, 0.5F));
  EXPECT_THAT(a.columns().positions, ElementsAre(0, 1));
  EXPECT_THAT(a.columns().types, ElementsAre(TokenType::prompt, TokenType::generation));
}

TEST(TraceRecorder, RunAfterRunAddsTraces) {
  TraceRecorder recorder(RoutingNeeds{});
  for (int run = 0; run < 2; ++run) {
    recorder.begin(kTwoLayers);
    recorder.begin_sequence(0, {.id = std::to_string(run)});
    feed(recorder, {0}, {0}, {{0, 1}, {2, 3}});
    recorder.end_sequence(0);
    recorder.end();
  }
  ASSERT_EQ(recorder.traces().size(), 2U);
  EXPECT_EQ(recorder.traces()[1].sequence().id, "1");
  EXPECT_TRUE(recorder.traces()[0].columns().weights.empty());
}

TEST(TraceRecorder, ALayerThatIsNotHeardIsUnknown) {
  TraceRecorder recorder(RoutingNeeds{});
  recorder.begin(kTwoLayers);
  recorder.begin_sequence(0, {});
  feed(recorder, {0}, {0}, {{0, 1}});
  recorder.end();
  EXPECT_EQ(recorder.traces()[0].state(0, 0), RowState::known);
  EXPECT_EQ(recorder.traces()[0].state(1, 0), RowState::unknown);
}

TEST(TraceRecorder, CountsNonfiniteRowsAndFillsTokenTexts) {
  TraceRecorder recorder({}, std::make_shared<std::vector<std::string>>(std::vector<std::string>{"zero", "one"}));
  recorder.begin({.layers = 1, .experts = 4, .top_k = 1});
  recorder.begin_sequence(0, {});
  const std::vector<std::int32_t> sequence{0, 0, 0}, token{1, 0, 9};
  const std::vector<TokenType> type(3);
  const std::vector<ExpertId> experts{1, 2, 3};
  const std::vector<std::uint8_t> bad{0, 1, 1};
  recorder.step({.sequence = sequence, .position = token, .token = token, .type = type});
  recorder.layer({.layer = 0, .experts = experts, .nonfinite = bad});
  recorder.end();
  EXPECT_EQ(recorder.traces()[0].columns().nonfinite_rows, 2U);
  EXPECT_THAT(recorder.traces()[0].columns().token_texts, ElementsAre("one", "zero", ""));
}

TEST(TraceRecorder, RefusesWhatDoesNotFit) {
  TraceRecorder recorder;
  recorder.begin(kTwoLayers);
  recorder.begin_sequence(0, {});
  EXPECT_THROW(recorder.begin_sequence(0, {}), std::invalid_argument);
  EXPECT_THROW(recorder.end_sequence(1), std::invalid_argument);
  EXPECT_THROW(feed(recorder, {1}, {0}, {}), std::invalid_argument);
  EXPECT_THROW(feed(recorder, {0}, {0}, {{0, 1, 2}}), std::invalid_argument);
  EXPECT_THROW(feed(recorder, {0}, {0}, {{0, 1}, {0, 1}, {0, 1}}), std::invalid_argument);
  const std::vector<ExpertId> experts{0, 1};
  EXPECT_THAT([&] { recorder.layer({.layer = 0, .experts = experts}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("expected 2 weights, got 0")));
}

TEST(RoutingTrace, RefusesArraysThatDoNotFit) {
  const auto info = shape(2, 4, 2);
  TraceColumns columns{.experts = {0, 1, 2}, .positions = {0}, .types = {TokenType::prompt}};
  EXPECT_THAT([&] { RoutingTrace(info, {.id = "code-03"}, columns); },
              ThrowsMessage<std::invalid_argument>("trace: expected 4 expert ids, got 3 (trace \"code-03\")"));
}

TEST(RoutingTrace, CopiesShareTheirArrays) {
  const RoutingTrace trace = testing::random_trace(shape(2, 8, 2), 5, 3, 1);
  const RoutingTrace copy = trace;  // NOLINT(performance-unnecessary-copy-initialization)
  EXPECT_EQ(trace.columns().experts.data(), copy.columns().experts.data());
}

TEST(TraceSet, KnowsItsRoutingWithoutTraces) {
  EXPECT_EQ(TraceSet().info(), nullptr);
  const auto info = shape(2, 4, 2);
  EXPECT_EQ(TraceSet({}, {}, true, info).info(), info);
  const auto traces = TraceSet({testing::random_trace(info, 3, 1, 1)}, {}, true, shape(9, 9, 9));
  EXPECT_EQ(traces.info(), info) << "what the traces say goes before what is said of them";
  TraceRecorder recorder;
  recorder.begin(*info);
  recorder.end();
  EXPECT_EQ(*recorder.traces().info(), *info);
}

TEST(TraceSet, RefusesAnotherShapeByName) {
  TraceSet set;
  set.push_back(testing::random_trace(shape(2, 8, 2), 5, 3, 1));
  EXPECT_THAT([&] { set.push_back(testing::random_trace(shape(3, 8, 2), 5, 3, 1, "late")); },
              ThrowsMessage<std::invalid_argument>(
                  HasSubstr("expected 2 layers x 8 experts x top-2, got 3 x 8 x top-2 (trace \"late\")")));
}

}  // namespace
}  // namespace routesig
