#include "routesig/recorder_state.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "routesig/signature.hpp"
#include "routesig/trace.hpp"

namespace routesig {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::testing::ThrowsMessage;

const RoutingInfo kTwoLayers{.layers = 2, .experts = 4, .top_k = 2};

// What an engine gets wrong, on every recorder that keeps the state. (JsonlRecorder: tests/io/jsonl_test.cpp)
struct Misuse : ::testing::TestWithParam<const char*> {
  Misuse() {
    if (std::string(GetParam()) == "TraceRecorder")
      recorder = std::make_unique<TraceRecorder>(RoutingNeeds{});
    else
      recorder = std::make_unique<SignatureRecorder>();
  }

  void begin() {
    recorder->begin(kTwoLayers);
    recorder->begin_sequence(0, {.id = "a"});
  }
  void step(std::vector<std::int32_t> sequence, std::vector<std::int32_t> position) {
    const std::vector<TokenType> types(sequence.size());
    recorder->step({.sequence = sequence, .position = position, .token = {}, .type = types});
  }
  void layer(int layer, std::vector<ExpertId> experts) { recorder->layer({.layer = layer, .experts = experts}); }

  template <typename Error = std::invalid_argument>
  void expect(const std::function<void()>& call, const std::string& sentence) {
    EXPECT_THAT(call, ThrowsMessage<Error>(::testing::AllOf(StartsWith(GetParam()), HasSubstr(sentence))));
  }

  std::unique_ptr<RoutingRecorder> recorder;
};

INSTANTIATE_TEST_SUITE_P(Recorders, Misuse, ::testing::Values("TraceRecorder", "SignatureRecorder"),
                         [](const auto& recorder) { return std::string(recorder.param); });

TEST_P(Misuse, CallsBeforeBeginAndAfterEndAreRefused) {
  for (const char* when : {"before", "after"}) {
    expect<std::logic_error>([&] { recorder->begin_sequence(0, {}); }, "expected begin before begin_sequence");
    expect<std::logic_error>([&] { step({}, {}); }, "expected begin before step");
    expect<std::logic_error>([&] { layer(0, {}); }, "expected begin before layer");
    expect<std::logic_error>([&] { recorder->end_sequence(0); }, "expected begin before end_sequence");
    expect<std::logic_error>([&] { recorder->end(); }, "expected begin before end");
    if (std::string(when) == "after") break;
    begin();
    step({0}, {0});
    recorder->end();
  }
}

TEST_P(Misuse, ALayerNeedsItsStep) {
  begin();
  expect<std::logic_error>([&] { layer(0, {0, 1}); }, "expected step before layer 0");
  step({0}, {0});
  recorder->end_sequence(0);
  expect<std::logic_error>([&] { layer(0, {0, 1}); }, "expected step before layer 0");
  recorder->begin_sequence(1, {.id = "b"});
  step({1}, {0});
  recorder->begin(kTwoLayers);  // the run before is given up with its step
  expect<std::logic_error>([&] { layer(0, {0, 1}); }, "expected step before layer 0");
  expect([&] { step({1}, {0}); }, "sequence 1 is not open");
}

TEST_P(Misuse, LayersAscend) {
  begin();
  step({0}, {0});
  expect([&] { layer(2, {0, 1}); }, "expected layers to ascend to 1 after each step, got 2 where 0 or more is next");
  expect([&] { layer(-1, {0, 1}); }, "got -1 where 0 or more is next");
  layer(1, {0, 1});
  expect([&] { layer(1, {0, 1}); }, "got 1 where 2 or more is next");
  expect([&] { layer(0, {0, 1}); }, "got 0 where 2 or more is next");
}

TEST_P(Misuse, ExpertsAreDistinctAndInRange) {
  begin();
  step({0, 0}, {0, 1});
  expect(
      [&] { layer(1, {0, 1, 2, 4}); },
      "expected 2 distinct experts below 4 (or 65535 in all places where none are known), got 2, 4 in layer 1, row 1");
  expect([&] { layer(1, {3, 3, 0, 1}); }, "got 3, 3 in layer 1, row 0");
  expect([&] { layer(1, {3, kNoExpert, 0, 1}); }, "got 3, 65535 in layer 1, row 0");
  expect([&] { layer(1, {0, 1}); }, "expected 4 expert ids, got 2");
  layer(0, {0, 1, kNoExpert, kNoExpert});  // what was refused left no trace
  layer(1, {0, 1, 2, 3});
}

TEST_P(Misuse, IdsOfRowsThatAreNotFiniteAreNotJudged) {
  begin();
  step({0}, {0});
  const std::vector<ExpertId> experts{9, 9};
  const std::vector<std::uint8_t> flag{1};
  recorder->layer({.layer = 0, .experts = experts, .nonfinite = flag});
  recorder->end();
}

TEST_P(Misuse, RowsAreOfOpenSequencesAndAscend) {
  begin();
  expect([&] { step({1}, {0}); }, "sequence 1 is not open");
  expect([&] { step({0}, {-1}); }, "expected positions of 0 or more, got -1");
  expect([&] { step({0, 0}, {3, 3}); }, "expected positions of prompt \"a\" to ascend, got 3 after 3");
  step({0}, {3});  // a step that was refused took nobody on
  recorder->end_sequence(0);
  expect([&] { step({0}, {4}); }, "sequence 0 is not open");
}

TEST_P(Misuse, EveryRowHasAPositionAndATypeThatIsOne) {
  begin();
  const std::vector<std::int32_t> zero{0};
  const std::vector<TokenType> types(1), odd{static_cast<TokenType>(7)};
  expect([&] { recorder->step({.sequence = zero, .position = zero, .token = {}, .type = {}}); },
         "expected 1 positions, types and tokens, got 1, 0 and 0");
  expect([&] { recorder->step({.sequence = zero, .position = {}, .token = {}, .type = types}); }, "got 0, 1 and 0");
  expect([&] { recorder->step({.sequence = zero, .position = zero, .token = {}, .type = odd}); },
         "expected token types 0 (prompt) or 1 (generation), got 7");
}

TEST_P(Misuse, TokenIdsComeAlwaysOrNever) {
  begin();
  step({0}, {0});
  const std::vector<std::int32_t> zero{0}, one{1};
  const std::vector<TokenType> types(1);
  expect([&] { recorder->step({.sequence = zero, .position = one, .token = zero, .type = types}); },
         "expected token ids for every step of prompt \"a\" or for none");
}

TEST_P(Misuse, ANumberIsUsedOnceInARun) {
  begin();
  expect([&] { recorder->begin_sequence(0, {}); }, "sequence 0 begun twice");
  expect([&] { recorder->end_sequence(1); }, "sequence 1 is not open");
  recorder->end_sequence(0);
  expect([&] { recorder->end_sequence(0); }, "sequence 0 is not open");
  expect([&] { recorder->begin_sequence(0, {}); }, "sequence 0 begun twice");
  expect([&] { recorder->begin_sequence(1, {.prompt_tokens = -1}); }, "expected prompt_tokens of 0 or more, got -1");
}

TEST_P(Misuse, AShapeThatNoModelHasIsRefused) {
  for (const RoutingInfo& bad : {RoutingInfo{.layers = 0x7FFFFFFF, .experts = 4, .top_k = 1},
                                 {.layers = kMaxLayers, .experts = kMaxExperts, .top_k = 1}})
    EXPECT_THROW(recorder->begin(bad), std::invalid_argument);
}

TEST(RecorderState, SaysWhatALayerSaidOfEveryRow) {
  RecorderState<int> state("test", {});
  state.begin(kTwoLayers);
  state.begin_sequence(7, {}, 70);
  const std::vector<std::int32_t> sequence{7, 7, 7}, position{0, 1, 2};
  const std::vector<TokenType> types(3);
  state.step({.sequence = sequence, .position = position, .token = {}, .type = types});
  const std::vector<ExpertId> experts{0, 1, kNoExpert, kNoExpert, 2, 3};
  const std::vector<std::uint8_t> flags{0, 0, 1};
  state.layer({.layer = 0, .experts = experts, .nonfinite = flags});
  EXPECT_THAT((std::vector{state.heard(0), state.heard(1), state.heard(2)}),
              ElementsAre(RowHeard::known, RowHeard::unknown, RowHeard::nonfinite));
  EXPECT_EQ(*state.rows()[2], 70);
  EXPECT_FALSE(state.step_is_whole());
  state.layer({.layer = 1, .experts = experts});
  EXPECT_TRUE(state.step_is_whole());
  EXPECT_EQ(state.end_sequence(7), 70);
  EXPECT_TRUE(state.rows().empty());
}

TEST(RecorderClaim, IsHeldByOneRunAtATime) {
  TraceRecorder recorder;
  {
    const RecorderClaim claim(recorder);
    EXPECT_THAT([&] { const RecorderClaim second(recorder); },
                ThrowsMessage<std::logic_error>(HasSubstr("got one in use by another run (give each run its own)")));
  }
  EXPECT_NO_THROW(const RecorderClaim again(recorder));
}

TEST(RecorderClaim, AMovedOneGivesTheRecorderBackOnce) {
  TraceRecorder recorder;
  std::vector<RecorderClaim> claims;
  claims.emplace_back(recorder);
  claims.reserve(100);
  EXPECT_THROW(const RecorderClaim second(recorder), std::logic_error);
  claims.clear();
  EXPECT_NO_THROW(const RecorderClaim again(recorder));
}

}  // namespace
}  // namespace routesig
