#include "routesig/baselines/token_pool.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "support/traces.hpp"

namespace routesig {
namespace {

constexpr std::size_t kLayers = 3, kExperts = 16, kTopK = 4;

std::vector<RoutingTrace> some_traces() {
  const auto info = testing::shape(kLayers, kExperts, kTopK);
  return {testing::random_trace(info, 12, 5, 1), testing::random_trace(info, 7, 7, 2),
          testing::random_trace(info, 20, 4, 3)};
}

std::vector<double> dealt(const TokenPool& pool, std::uint64_t seed) {
  Random random(seed);
  std::vector<double> sums(pool.observed().values.size(), 99.0);
  pool.redistribute(random, sums);
  return sums;
}

double total(std::span<const double> values) { return std::accumulate(values.begin(), values.end(), 0.0); }

TEST(TokenPool, KeepsTheNumberOfTokensOfEveryPromptAndTokenSet) {
  const auto traces = some_traces();
  for (const TokenSet tokens : {TokenSet::all, TokenSet::prompt, TokenSet::generation}) {
    const TokenPool pool(traces, {.tokens = tokens});
    const auto sums = dealt(pool, 1);
    for (std::size_t p = 0; p < 3; ++p)
      for (std::size_t l = 0; l < kLayers; ++l)
        EXPECT_EQ(total(std::span(sums).subspan((p * kLayers + l) * kExperts, kExperts)),
                  static_cast<double>(kTopK * pool.observed().num_tokens[p]));
  }
  EXPECT_EQ(TokenPool(traces, {.tokens = TokenSet::prompt}).observed().num_tokens,
            (std::vector<std::uint64_t>{5, 7, 4}));
}

TEST(TokenPool, KeepsTheMarginalsExactlyAndMovesTokens) {
  const TokenPool pool(some_traces());
  const auto sums = dealt(pool, 2);
  const auto& counts = pool.observed().counts;
  bool moved = false;
  for (std::size_t cell = 0; cell < kLayers * kExperts; ++cell) {
    double before = 0.0, after = 0.0;
    for (std::size_t p = 0; p < 3; ++p) {
      before += static_cast<double>(counts[p * kLayers * kExperts + cell]);
      after += sums[p * kLayers * kExperts + cell];
      moved =
          moved || static_cast<double>(counts[p * kLayers * kExperts + cell]) != sums[p * kLayers * kExperts + cell];
    }
    EXPECT_EQ(before, after);
  }
  EXPECT_TRUE(moved);
  EXPECT_NE(dealt(pool, 3), sums);
  EXPECT_EQ(dealt(pool, 2), sums);
}

TEST(TokenPool, KeepsTheLayersOfATokenTogether) {
  // Both layers of every token choose the same expert: whatever is dealt, the layers of a prompt stay equal.
  const auto info = testing::shape(2, 8, 1);
  std::vector<RoutingTrace> traces;
  for (ExpertId p = 0; p < 4; ++p) {
    std::vector<ExpertId> ids;
    for (ExpertId t = 0; t < 6; ++t) ids.insert(ids.end(), 2, static_cast<ExpertId>((3 * p + t) % 8));
    traces.push_back(testing::trace_of(info, std::move(ids), 6));
  }
  const auto sums = dealt(TokenPool(traces), 4);
  for (std::size_t p = 0; p < 4; ++p)
    for (std::size_t e = 0; e < 8; ++e) EXPECT_EQ(sums[p * 16 + e], sums[p * 16 + 8 + e]);
}

TEST(TokenPool, EveryTokenGoesToEveryPromptInProportionToItsLength) {
  // Expert 0 is chosen by the first token of the first prompt only.
  const auto info = testing::shape(1, 2, 1);
  const std::vector<RoutingTrace> traces{testing::trace_of(info, {0, 1, 1}, 3), testing::trace_of(info, {1}, 1)};
  const TokenPool pool(traces);
  double stays = 0.0;
  for (std::uint64_t seed = 0; seed < 8'000; ++seed) stays += dealt(pool, seed)[0] / 8'000.0;
  EXPECT_NEAR(stays, 0.75, 0.02);
}

TEST(TokenPool, CarriesAppliedWeightsAndBestExperts) {
  const auto traces = some_traces();
  const TokenPool gate(traces, {.weighting = Weighting::gate}), top1(traces, {.weighting = Weighting::top1});
  double weights = 0.0;
  for (const auto& trace : traces)
    for (const float w : trace.columns().weights) weights += static_cast<double>(w);
  EXPECT_NEAR(total(dealt(gate, 5)), weights, 1e-9 * weights);
  EXPECT_EQ(total(dealt(top1, 5)), 39.0 * kLayers);
}

TEST(TokenPool, UnknownRowsTravelAndImpossibleOnesAreRefused) {
  const auto info = testing::shape(1, 4, 2);
  const std::vector<RoutingTrace> unknown{testing::trace_of(info, {0, 1, kNoExpert, kNoExpert}, 2),
                                          testing::trace_of(info, {2, 3, 2, 3}, 2)};
  EXPECT_EQ(total(dealt(TokenPool(unknown), 6)), 6.0);
  const std::vector<RoutingTrace> broken{testing::trace_of(info, {1, 1, 0, 2}, 2)};
  EXPECT_THROW(TokenPool{broken}, std::invalid_argument);
  EXPECT_EQ(total(dealt(TokenPool(broken, {.drop_invalid = true}), 6)), 2.0);
  Random random(1);
  TokenPool({}).redistribute(random, {});
}

}  // namespace
}  // namespace routesig
