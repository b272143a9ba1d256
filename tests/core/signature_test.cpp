#include "routesig/signature.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/traces.hpp"

namespace routesig {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pointwise;
using testing::random_trace;
using testing::shape;
using ::testing::ThrowsMessage;
using testing::trace_of;

// One layer, four experts, top-2; tokens {0,1}, {0,2} are the prompt, {3,0} is generated.
RoutingTrace by_hand() { return trace_of(shape(1, 4, 2), {0, 1, 0, 2, 3, 0}, 2, "hand"); }

TEST(Signature, CountsByHand) {
  const auto s = signature(by_hand());
  EXPECT_THAT(s.counts, ElementsAre(3U, 1U, 1U, 1U));
  EXPECT_THAT(s.values, ElementsAre(0.5, 1.0 / 6, 1.0 / 6, 1.0 / 6));
  EXPECT_EQ(s.num_tokens, 3U);
}

TEST(Signature, TokenSetsAddUpToAll) {
  const auto prompt = signature(by_hand(), {.tokens = TokenSet::prompt});
  const auto generated = signature(by_hand(), {.tokens = TokenSet::generation});
  EXPECT_THAT(prompt.counts, ElementsAre(2U, 1U, 1U, 0U));
  EXPECT_THAT(generated.counts, ElementsAre(1U, 0U, 0U, 1U));
  EXPECT_EQ(prompt.num_tokens + generated.num_tokens, 3U);
}

TEST(Signature, Top1CountsTheBestExpertAlone) {
  EXPECT_THAT(signature(by_hand(), {.weighting = Weighting::top1}).counts, ElementsAre(2U, 0U, 0U, 1U));
}

TEST(Signature, GateWeightingSharesOutAppliedWeights) {
  const RoutingTrace plain = by_hand();
  TraceColumns columns = plain.columns();
  columns.weights = {0.5F, 0.25F, 0.5F, 0.25F, 0.25F, 0.25F};
  const auto s =
      signature(RoutingTrace(plain.shared_info(), plain.sequence(), columns), {.weighting = Weighting::gate});
  EXPECT_THAT(s.values, Pointwise(DoubleNear(1e-15), {1.25 / 2, 0.25 / 2, 0.25 / 2, 0.25 / 2}));
  EXPECT_TRUE(s.counts.empty());
}

TEST(Signature, GateWeightingNamesWhatIsMissing) {
  EXPECT_THAT([] { (void)signature(by_hand(), {.weighting = Weighting::gate}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("weights=True")));
}

TEST(Signature, Top1IsRefusedWhereRankIsUnknown) {
  auto info = std::make_shared<RoutingInfo>(RoutingInfo{.layers = 1, .experts = 4, .top_k = 2, .ranked = false});
  EXPECT_THAT([&] { (void)signature(trace_of(info, {0, 1}, 1), {.weighting = Weighting::top1}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("rank order")));
}

TEST(Signature, UnknownRowsAreSkippedAndCounted) {
  const auto s = signature(trace_of(shape(1, 4, 2), {0, 1, kNoExpert, kNoExpert}, 2));
  EXPECT_THAT(s.counts, ElementsAre(1U, 1U, 0U, 0U));
  EXPECT_EQ(s.unknown_rows, 1U);
  EXPECT_EQ(s.num_tokens, 2U);
}

TEST(Signature, ImpossibleRowsAreRefusedOrDroppedAndCounted) {
  const auto trace = trace_of(shape(1, 4, 2), {0, 1, 2, 2, 0, 9}, 3, "bad");
  EXPECT_THAT([&] { (void)signature(trace); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("got [2, 2] in layer 0, token 1 (trace \"bad\"")));
  const auto s = signature(trace, {.drop_invalid = true});
  EXPECT_THAT(s.counts, ElementsAre(1U, 1U, 0U, 0U));
  EXPECT_EQ(s.dropped_rows, 2U);
}

TEST(Signature, AnEmptyTokenSetGivesZerosNotNan) {
  for (const double x : signature(trace_of(shape(2, 4, 2), {}, 0)).values) EXPECT_EQ(x, 0.0);
}

TEST(Signature, EveryLayerSumsToOne) {
  const auto s = signature(random_trace(shape(3, 16, 4), 20, 10, 1));
  for (int l = 0; l < 3; ++l) {
    double sum = 0.0;
    for (const double x : s.layer(l)) sum += x;
    EXPECT_NEAR(sum, 1.0, 1e-14);
  }
}

TEST(Signatures, EqualOneByOneOnAnyNumberOfThreads) {
  TraceSet set;
  for (std::uint64_t i = 0; i < 20; ++i) set.push_back(random_trace(shape(3, 16, 4), 5 + static_cast<int>(i), 5, i));
  const SignatureOptions options{.weighting = Weighting::gate};
  set_num_threads(3);
  const auto all = signatures(set, options);
  set_num_threads(1);
  EXPECT_EQ(signatures(set, options).values, all.values);
  set_num_threads(0);
  for (std::size_t i = 0; i < set.size(); ++i) {
    const auto one = signature(set[i], options);
    EXPECT_TRUE(std::ranges::equal(one.values, std::span(all.values).subspan(i * 48, 48)));
  }
}

TEST(Signatures, OfNoTracesAreEmptyAndKeepTheirShape) {
  const TraceSet none({}, {}, true, shape(2, 4, 2));
  for (const Weighting weighting : {Weighting::count, Weighting::gate, Weighting::top1}) {
    const auto set = signatures(none, {.weighting = weighting});
    EXPECT_EQ(set.size(), 0U);
    EXPECT_EQ(set.layers, 2);
    EXPECT_EQ(set.experts, 4);
    EXPECT_TRUE(set.values.empty());
  }
}

TEST(SignatureRecorder, EqualsTheSignaturesOfTheTraces) {
  const auto info = shape(2, 8, 3);
  TraceRecorder keep(RoutingNeeds{});
  SignatureRecorder all, generated(TokenSet::generation);
  TeeRecorder tee({&keep, &all, &generated});
  const RoutingTrace source = random_trace(info, 9, 4, 3);
  tee.begin(*info);
  tee.begin_sequence(0, {.id = "a"});
  tee.begin_sequence(1, {.id = "b"});
  for (int t = 0; t < source.tokens(); ++t) {
    const std::vector<std::int32_t> sequence{t % 2}, position{t};
    const std::vector<TokenType> type{source.columns().types[static_cast<std::size_t>(t)]};
    tee.step({.sequence = sequence, .position = position, .token = position, .type = type});
    for (int l = 0; l < 2; ++l) tee.layer({.layer = l, .experts = source.experts(l, t)});
  }
  tee.end();
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(all.signatures()[i].values, signature(keep.traces()[i]).values);
    EXPECT_EQ(generated.signatures()[i].counts, signature(keep.traces()[i], {.tokens = TokenSet::generation}).counts);
    EXPECT_EQ(generated.signatures()[i].num_tokens,
              signature(keep.traces()[i], {.tokens = TokenSet::generation}).num_tokens);
  }
}

TEST(SignatureRecorder, SkipsAndCountsRowsThatNanChose) {
  const auto info = shape(1, 4, 2);
  TraceRecorder keep(RoutingNeeds{});
  SignatureRecorder counted, generated(TokenSet::generation);
  TeeRecorder tee({&keep, &counted, &generated});
  tee.begin(*info);
  tee.begin_sequence(0, {.id = "a"});
  const std::vector<std::int32_t> sequence{0, 0, 0}, position{0, 1, 2};
  const std::vector<TokenType> type{TokenType::prompt, TokenType::prompt, TokenType::generation};
  const std::vector<ExpertId> experts{0, 1, 0, 1, 2, 3};
  const std::vector<std::uint8_t> flags{0, 1, 0};
  tee.step({.sequence = sequence, .position = position, .token = {}, .type = type});
  tee.layer({.layer = 0, .experts = experts, .nonfinite = flags});
  tee.end();
  const auto one = counted.signatures()[0], other = signature(keep.traces()[0]);
  EXPECT_THAT(one.counts, ElementsAre(1U, 1U, 1U, 1U));
  EXPECT_EQ(one.counts, other.counts);
  EXPECT_EQ(one.num_tokens, 3U);
  for (const auto* found : {&one, &other}) {
    EXPECT_EQ(found->unknown_rows, 1U);
    EXPECT_EQ(found->nonfinite_rows, 1U);
  }
  EXPECT_EQ(generated.signatures()[0].nonfinite_rows, 0U);
}

TEST(SignatureRecorder, RefusesAPositionThatDoesNotAscend) {
  SignatureRecorder recorder;
  recorder.begin(*shape(1, 4, 1));
  recorder.begin_sequence(0, {.id = "a"});
  const std::vector<std::int32_t> sequence{0, 0}, position{5, 5};
  const std::vector<TokenType> type(2);
  EXPECT_THAT([&] { recorder.step({.sequence = sequence, .position = position, .token = {}, .type = type}); },
              ThrowsMessage<std::invalid_argument>(
                  HasSubstr("SignatureRecorder: expected positions of prompt \"a\" to ascend, got 5 after 5")));
}

}  // namespace
}  // namespace routesig
