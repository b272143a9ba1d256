#include "routesig/comparison/agreement.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "routesig/comparison/shared_tokens.hpp"
#include "support/traces.hpp"

namespace routesig {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::random_trace;
using testing::shape;
using testing::trace_of;

constexpr ExpertId kNone = kNoExpert;

// Two layers, four experts, two a token; three tokens, the last of them generated.
const auto kShape = shape(2, 4, 2);
const std::vector<ExpertId> kA{0, 1, 0, 1, /**/ 0, 2, 2, 3, /**/ 1, 3, 0, 2};
const std::vector<ExpertId> kB{1, 0, 0, 1, /**/ 0, 3, 0, 1, /**/ 1, 3, 0, 3};

TraceSet set_of(std::vector<RoutingTrace> traces) { return TraceSet(std::move(traces)); }

Agreement by_hand() { return agreement(set_of({trace_of(kShape, kA, 2)}), set_of({trace_of(kShape, kB, 2)})); }

RoutingTrace with_ids(const RoutingTrace& trace, std::vector<std::int32_t> ids) {
  TraceColumns columns = trace.columns();
  columns.token_ids = std::move(ids);
  return {trace.shared_info(), trace.sequence(), std::move(columns)};
}

TEST(Agreement, ByHand) {
  const Agreement found = by_hand();
  const RowAgreement all = found.total();
  EXPECT_EQ(all.rows, 6U);
  EXPECT_DOUBLE_EQ(*all.exact(), 3.0 / 6.0);  // order within a set does not matter
  EXPECT_DOUBLE_EQ(*all.overlap(2), (2.0 + 2 + 1 + 0 + 2 + 1) / 12.0);
  EXPECT_DOUBLE_EQ(*all.top1(), 4.0 / 6.0);
  EXPECT_DOUBLE_EQ(*found.layer(0).exact(), 2.0 / 3.0);
  EXPECT_DOUBLE_EQ(*found.layer(1).overlap(2), 3.0 / 6.0);
  EXPECT_EQ(found.prompt(0).equal, 3U);
  EXPECT_THAT(found.first_divergent, ElementsAre(1, 1, 1));  // the second token, the third, the first never
  EXPECT_EQ(found.prompts[0].tokens, 3U);
  EXPECT_FALSE(found.prompts[0].parts_at);
}

TEST(Agreement, ChanceByHand) {
  const Agreement found = by_hand();
  EXPECT_DOUBLE_EQ(found.uniform_chance(), 0.5);
  EXPECT_DOUBLE_EQ(found.exact_chance(), 1.0 / 6.0);
  // Layer 0: a picks (2, 2, 1, 1) of 3 tokens, b (2, 2, 0, 2); layer 1: (2, 1, 2, 1) and (3, 2, 0, 1).
  EXPECT_NEAR(*found.marginal_chance(0), (4.0 + 4 + 0 + 2) / 9.0 / 2.0, 1e-15);
  EXPECT_NEAR(*found.marginal_chance(1), (6.0 + 2 + 0 + 1) / 9.0 / 2.0, 1e-15);
  const auto mean = found.mean_over_rows([&](std::size_t l) { return found.marginal_chance(l); });
  EXPECT_NEAR(*mean, 19.0 / 36.0, 1e-15);
  EXPECT_NEAR(*found.top1_chance(0), (2.0 * 1 + 1 * 2) / 9.0, 1e-15);  // best: 0, 0, 1 and 1, 0, 1
  EXPECT_NEAR(*found.load_divergence(0), 1.0 / 12 + 0.5 * (std::log2(2.0 / 3) / 6 + std::log2(4.0 / 3) / 3), 1e-14);
}

TEST(Agreement, MarginalChanceIsThatOfUnrelatedRouting) {
  const auto info = shape(2, 8, 3);
  const Agreement found =
      agreement(set_of({random_trace(info, 4'000, 4'000, 1)}), set_of({random_trace(info, 4'000, 4'000, 2)}));
  EXPECT_NEAR(*found.total().overlap(3), found.uniform_chance(), 0.01);
  EXPECT_NEAR(*found.marginal_chance(1), found.uniform_chance(), 0.01);
  EXPECT_NEAR(*found.total().exact(), 1.0 / 56, 0.005);
  EXPECT_NEAR(found.exact_chance(), 1.0 / 56, 1e-15);
}

TEST(Agreement, ARecordingAgreesWithItself) {
  const TraceSet traces =
      set_of({random_trace(shape(3, 16, 4), 20, 12, 1, "x"), random_trace(shape(3, 16, 4), 9, 9, 2, "y")});
  const Agreement found = agreement(traces, traces);
  EXPECT_EQ(*found.total().exact(), 1.0);
  EXPECT_EQ(*found.total().overlap(4), 1.0);
  EXPECT_EQ(*found.total().top1(), 1.0);
  EXPECT_THAT(found.first_divergent, ElementsAre(0, 0, 0, 29));
  EXPECT_NEAR(*found.load_divergence(2), 0.0, 1e-14);
}

TEST(Agreement, GeneratedTokensCountUpToTheFirstDifference) {
  const auto info = shape(1, 8, 2);
  const RoutingTrace a = random_trace(info, 7, 3, 1);
  const RoutingTrace b = with_ids(random_trace(info, 7, 3, 1), {100, 101, 102, 103, 999, 105, 106});
  const SharedTokens shared = shared_tokens(a, b);
  EXPECT_EQ(shared.tokens.size(), 4U);
  EXPECT_EQ(shared.parts_at, 4);
  const Agreement all = agreement(set_of({a}), set_of({b}));
  EXPECT_EQ(all.prompts[0].tokens, 4U);
  EXPECT_EQ(all.prompts[0].parts_at, 4);
  const Agreement generated = agreement(set_of({a}), set_of({b}), {.tokens = TokenSet::generation});
  EXPECT_EQ(generated.prompts[0].tokens, 1U);
  EXPECT_EQ(agreement(set_of({a}), set_of({b}), {.tokens = TokenSet::prompt}).prompts[0].tokens, 3U);
  // One that stopped earlier.
  EXPECT_EQ(shared_tokens(a, random_trace(info, 5, 3, 1)).parts_at, 5);
  EXPECT_EQ(shared_tokens(random_trace(info, 5, 3, 1), a).tokens.size(), 5U);
}

TEST(Agreement, TokensAreMatchedByTheirPosition) {
  const RoutingTrace a = trace_of(kShape, kA, 2);
  TraceColumns columns = a.columns();
  columns.positions = {0, 1, 3};  // of the generated token
  const RoutingTrace b(a.shared_info(), a.sequence(), columns);
  EXPECT_THAT(shared_tokens(a, b).tokens, ElementsAre(TokenPair{0, 0}, TokenPair{1, 1}));
  EXPECT_EQ(shared_tokens(a, b).parts_at, 2);
}

TEST(Agreement, OtherPromptTokensAreNotCompared) {
  const RoutingTrace a = trace_of(kShape, kA, 2);
  const Agreement found = agreement(set_of({a}), set_of({with_ids(a, {100, 7, 102})}));
  EXPECT_EQ(found.prompts[0].tokens, 0U);
  EXPECT_EQ(found.prompts[0].reason, "its prompt tokens differ (from position 1 on)");
  EXPECT_FALSE(found.total().exact() || found.marginal_chance(0) || found.load_divergence(0) || found.top1_chance(1));
  EXPECT_FALSE(found.mean_over_rows([&](std::size_t l) { return found.marginal_chance(l); }));
  EXPECT_THAT(*shared_tokens(a, with_ids(a, {})).incomparable, HasSubstr("no token ids"));
  EXPECT_THAT(*shared_tokens(a, trace_of(kShape, {}, 0)).incomparable, HasSubstr("no tokens"));
  EXPECT_THAT(
      agreement(set_of({trace_of(kShape, kA, 3)}), set_of({trace_of(kShape, kB, 3)}), {.tokens = TokenSet::generation})
          .prompts[0]
          .reason,
      HasSubstr("no token of the set"));
}

TEST(Agreement, UnknownRowsAreSkippedAndCounted) {
  auto unknown = kB;
  unknown[0] = unknown[1] = kNone;  // token 0, layer 0
  unknown[4] = unknown[5] = unknown[6] = unknown[7] = kNone;
  const Agreement found = agreement(set_of({trace_of(kShape, kA, 2)}), set_of({trace_of(kShape, unknown, 2)}));
  EXPECT_EQ(found.unknown_rows, 3U);
  EXPECT_EQ(found.total().rows, 3U);
  EXPECT_EQ(found.layer(0).rows, 1U);
  EXPECT_THAT(found.first_divergent, ElementsAre(0, 1, 1));  // a token without a known layer is in none
}

TEST(Agreement, ImpossibleRowsAreRefusedOrDropped) {
  auto repeated = kB;
  repeated[1] = repeated[0];
  const TraceSet a = set_of({trace_of(kShape, kA, 2)}), b = set_of({trace_of(kShape, repeated, 2)});
  EXPECT_THROW((void)agreement(a, b), std::invalid_argument);
  EXPECT_THROW((void)agreement(b, a), std::invalid_argument);
  const Agreement found = agreement(a, b, {.drop_invalid = true});
  EXPECT_EQ(found.dropped_rows, 1U);
  EXPECT_EQ(found.unknown_rows, 0U);
  EXPECT_EQ(found.total().rows, 5U);
}

TEST(Agreement, OtherShapesAndPromptsAreRefused) {
  const TraceSet a = set_of({trace_of(kShape, kA, 2)});
  EXPECT_THROW((void)agreement(a, {}), std::invalid_argument);
  EXPECT_THROW((void)agreement(a, set_of({trace_of(kShape, kA, 2, "other")})), std::invalid_argument);
  EXPECT_THROW((void)agreement(a, set_of({random_trace(shape(2, 4, 1), 3, 2, 1)})), std::invalid_argument);
  EXPECT_EQ(agreement(TraceSet(), TraceSet()).layers, 0U);
}

TEST(Agreement, ThreadsDoNotChangeAByte) {
  TraceSet a, b;
  for (std::uint64_t i = 0; i < 40; ++i) {
    a.push_back(random_trace(shape(4, 16, 4), 12, 6, i, sentence("p", i)));
    b.push_back(random_trace(shape(4, 16, 4), 12, 6, i % 7, sentence("p", i)));
  }
  set_num_threads(1);
  const Agreement one = agreement(a, b);
  for (const int threads : {2, 3}) {
    set_num_threads(threads);
    const Agreement more = agreement(a, b);
    EXPECT_EQ(one.picks_a, more.picks_a);
    EXPECT_EQ(one.best_b, more.best_b);
    EXPECT_EQ(one.first_divergent, more.first_divergent);
    EXPECT_EQ(one.total().common, more.total().common);
  }
  set_num_threads(0);
}

}  // namespace
}  // namespace routesig
