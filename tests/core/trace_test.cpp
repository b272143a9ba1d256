#include "routesig/trace.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stop_token>
#include <thread>
#include <utility>

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

TEST(TraceRecorder, ASnapshotIsGoodWhileAnotherThreadRecords) {
  TraceRecorder recorder(RoutingNeeds{});
  std::jthread reader([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const auto traces = recorder.snapshot();
      for (const RoutingTrace& trace : *traces) ASSERT_EQ(trace.tokens(), 1);
    }
  });
  for (int run = 0; run < 300; ++run) {
    recorder.begin(kTwoLayers);
    recorder.begin_sequence(0, {});
    feed(recorder, {0}, {0}, {{0, 1}, {2, 3}});
    recorder.end();
  }
  EXPECT_EQ(recorder.snapshot()->size(), 300U);
}

TEST(TraceRecorder, CanBeMovedInTheMiddleOfAStep) {
  auto begun = [] {
    TraceRecorder recorder(RoutingNeeds{});
    recorder.begin(kTwoLayers);
    recorder.begin_sequence(0, {.id = "a"});
    feed(recorder, {0}, {0}, {{0, 1}});
    return recorder;
  }();
  TraceRecorder recorder = std::move(begun);
  const std::vector<ExpertId> experts{2, 3};
  recorder.layer({.layer = 1, .experts = experts});
  recorder.end();
  EXPECT_THAT(recorder.traces()[0].columns().experts, ElementsAre(0, 1, 2, 3));
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
  const std::vector<std::int32_t> sequence{0, 0, 0}, position{0, 1, 2}, token{1, 0, 9};
  const std::vector<TokenType> type(3);
  const std::vector<ExpertId> experts{1, 2, 3};
  const std::vector<std::uint8_t> bad{0, 1, 1};
  recorder.step({.sequence = sequence, .position = position, .token = token, .type = type});
  recorder.layer({.layer = 0, .experts = experts, .nonfinite = bad});
  recorder.end();
  EXPECT_EQ(recorder.traces()[0].columns().nonfinite_rows, 2U);
  EXPECT_THAT(recorder.traces()[0].columns().token_texts, ElementsAre("one", "zero", ""));
}

TEST(TraceRecorder, ARowThatNanChoseIsUnknownAndCounted) {
  // By its flag in layer 0, by one of its weights in layer 1; what else was heard of it is kept.
  const float nan = std::nanf("");
  TraceRecorder recorder({.weights = true, .logits = true});
  recorder.begin({.layers = 2, .experts = 3, .top_k = 2});
  recorder.begin_sequence(0, {});
  const std::vector<std::int32_t> sequence{0, 0}, position{0, 1};
  const std::vector<TokenType> type(2);
  const std::vector<ExpertId> experts{0, 1, 2, 1};
  const std::vector<float> weights{0.5F, 0.25F, 0.5F, 0.25F}, broken{0.5F, nan, 0.5F, 0.25F}, logits(6, nan);
  const std::vector<std::uint8_t> flags{0, 1};
  recorder.step({.sequence = sequence, .position = position, .token = {}, .type = type});
  recorder.layer({.layer = 0, .experts = experts, .weights = weights, .logits = logits, .nonfinite = flags});
  recorder.layer({.layer = 1, .experts = experts, .weights = broken, .logits = logits});
  recorder.end();
  const RoutingTrace& trace = recorder.traces()[0];
  EXPECT_THAT(trace.columns().experts, ElementsAre(0, 1, kNoExpert, kNoExpert, kNoExpert, kNoExpert, 2, 1));
  EXPECT_EQ(trace.columns().nonfinite_rows, 2U);
  EXPECT_EQ(trace.unknown_rows(), 2U);
  EXPECT_THAT(trace.weights(0, 1), ElementsAre(0.5F, 0.25F));
}

TEST(TraceRecorder, RefusesAPositionThatDoesNotAscend) {
  TraceRecorder recorder(RoutingNeeds{});
  recorder.begin(kTwoLayers);
  recorder.begin_sequence(0, {.id = "a"});
  recorder.begin_sequence(1, {.id = "b"});
  feed(recorder, {0, 1, 0}, {0, 4, 7}, {{0, 1, 0, 1, 0, 1}, {0, 1, 0, 1, 0, 1}});  // sequences may share a step
  EXPECT_THAT([&] { feed(recorder, {1, 0}, {5, 7}, {}); },
              ThrowsMessage<std::invalid_argument>(
                  HasSubstr("TraceRecorder: expected positions of prompt \"a\" to ascend, got 7 after 7")));
  EXPECT_THAT([&] { feed(recorder, {0}, {3}, {}); }, ThrowsMessage<std::invalid_argument>(HasSubstr("got 3 after 7")));
  feed(recorder, {1, 0}, {5, 8}, {{0, 1, 0, 1}, {0, 1, 0, 1}});  // nothing of the steps that were refused
  recorder.begin_sequence(2, {.id = "c"});
  EXPECT_THROW(feed(recorder, {2}, {-1}, {}), std::invalid_argument);
  recorder.end();
  EXPECT_THAT(recorder.traces()[0].columns().positions, ElementsAre(0, 7, 8));
  EXPECT_THAT(recorder.traces()[1].columns().positions, ElementsAre(4, 5));
}

TEST(TraceRecorder, RefusesWhatDoesNotFit) {
  TraceRecorder recorder;
  recorder.begin(kTwoLayers);
  recorder.begin_sequence(0, {});
  EXPECT_THROW(recorder.begin_sequence(0, {}), std::invalid_argument);
  EXPECT_THROW(recorder.end_sequence(1), std::invalid_argument);
  EXPECT_THROW(feed(recorder, {1}, {0}, {}), std::invalid_argument);
  EXPECT_THROW(feed(recorder, {0}, {0}, {{0, 1, 2}}), std::invalid_argument);
  feed(recorder, {0}, {1}, {});
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

TEST(RoutingTrace, RowsWithWeightsThatAreNotFiniteAreUnknown) {
  const float nan = std::nanf(""), infinity = std::numeric_limits<float>::infinity();
  const auto trace = [&](std::uint64_t counted) {
    TraceColumns columns{.experts = {0, 1, 2, 3, kNoExpert, kNoExpert, 3, 0},
                         .weights = {1.0F, nan, 1.0F, 0.0F, nan, nan, infinity, 0.0F},
                         .positions = {0, 1},
                         .types = std::vector<TokenType>(2),
                         .nonfinite_rows = counted};
    return RoutingTrace(shape(2, 4, 2), {}, columns);
  };
  EXPECT_THAT(trace(0).columns().experts,
              ElementsAre(kNoExpert, kNoExpert, 2, 3, kNoExpert, kNoExpert, kNoExpert, kNoExpert));
  EXPECT_EQ(trace(0).columns().nonfinite_rows, 2U) << "the row that was not known before may be so for another reason";
  EXPECT_EQ(trace(2).columns().nonfinite_rows, 2U) << "what a recording counted are these rows";
  EXPECT_EQ(trace(3).columns().nonfinite_rows, 3U);
  EXPECT_EQ(RoutingTrace(trace(3)).columns().nonfinite_rows, 3U);
}

TEST(RoutingTrace, RefusesPositionsThatDoNotAscendAndNamesTheFirst) {
  TraceColumns columns{.experts = {0, 1, 2, 3}, .positions = {4, 6, 6, 5}, .types = std::vector<TokenType>(4)};
  const auto made = [&] { return RoutingTrace(shape(1, 4, 1), {.id = "a"}, columns); };
  EXPECT_THAT([&] { (void)made(); },
              ThrowsMessage<std::invalid_argument>(HasSubstr(
                  "trace: expected positions that ascend, got 6 after 6 at token 2 (trace \"a\"; drop_invalid")));
  columns.positions = {4, 6, 7, 5};
  EXPECT_THAT([&] { (void)made(); }, ThrowsMessage<std::invalid_argument>(HasSubstr("got 5 after 7 at token 3")));
  columns.positions = {4, 6, 7, 100};
  EXPECT_EQ(made().tokens(), 4);
}

TEST(KeptTokens, AreTheLaterOnesAndNothingOfARejectedDraft) {
  const auto kept = [](std::vector<std::int32_t> positions) { return kept_tokens(positions); };
  EXPECT_THAT(kept({}), ElementsAre());
  EXPECT_THAT(kept({0, 3, 9}), ElementsAre(0, 1, 2));
  EXPECT_THAT(kept({0, 1, 1, 2}), ElementsAre(0, 2, 3));
  EXPECT_THAT(kept({0, 1, 2, 3, 1, 2}), ElementsAre(0, 4, 5)) << "position 3 was drafted and never came";
  EXPECT_THAT(kept({5, 4, 3}), ElementsAre(2));
}

TEST(KeptTokens, AreAllThatIsLeftOfEveryColumn) {
  const RoutingTrace plain = testing::random_trace(shape(2, 8, 2), 5, 3, 1);
  TraceColumns columns = plain.columns();
  columns.positions = {0, 1, 1, 2, 3};
  columns.token_texts = {"a", "b", "c", "d", "e"};
  SequenceInfo sequence = plain.sequence();  // 3 tokens of the prompt, and the second is dropped
  drop_repeated_positions(columns, 2, sequence);
  const RoutingTrace trace(plain.shared_info(), sequence, columns);
  EXPECT_EQ(trace.tokens(), 4);
  EXPECT_EQ(trace.sequence().prompt_tokens, 2);
  EXPECT_EQ(trace.columns().dropped_tokens, 1U);
  EXPECT_EQ(TraceSet({trace, trace}).dropped_tokens(), 2U);
  EXPECT_THAT(trace.columns().positions, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(trace.columns().token_texts, ElementsAre("a", "c", "d", "e"));
  EXPECT_THAT(trace.columns().token_ids, ElementsAre(100, 102, 103, 104));
  for (int layer = 0; layer < 2; ++layer) {
    EXPECT_TRUE(std::ranges::equal(trace.experts(layer, 1), plain.experts(layer, 2)));
    EXPECT_TRUE(std::ranges::equal(trace.weights(layer, 3), plain.weights(layer, 4)));
  }
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
