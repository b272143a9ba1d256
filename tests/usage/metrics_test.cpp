#include "routesig/usage/metrics.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "support/traces.hpp"

namespace routesig {
namespace {

using testing::random_trace;
using testing::shape;
using testing::trace_of;

Load load_of(const std::vector<std::uint64_t>& counts) { return load(std::span(counts)); }

TEST(Load, ByHand) {
  // Shares (.5, .25, .25, 0): mean .25, deviations .25 0 0 -.25.
  const Load found = load_of({1, 2, 0, 1});
  EXPECT_TRUE(found.known);
  EXPECT_DOUBLE_EQ(found.entropy_bits, 1.5);
  EXPECT_DOUBLE_EQ(found.effective_experts, std::exp2(1.5));
  EXPECT_NEAR(found.cv, std::sqrt(.125 / 4) / .25, 1e-15);
  EXPECT_DOUBLE_EQ(found.max_violation, 1.0);
  EXPECT_DOUBLE_EQ(found.balancedness, .5);
  EXPECT_NEAR(found.gini, (-3 * 0 - 1 * .25 + 1 * .25 + 3 * .5) / 4, 1e-15);
  EXPECT_NEAR(found.jain, 1.0 / (4 * .375), 1e-15);  // (sum)^2 / (n sum of squares)
  EXPECT_EQ(found.unused, 1.0);
  EXPECT_EQ(found.coverage, (std::vector<double>{.5, .75, 1, 1}));
}

TEST(Load, EvenAndOneSidedAreTheEnds) {
  const Load even = load_of({3, 3, 3, 3}), one = load_of({0, 0, 7, 0});
  EXPECT_DOUBLE_EQ(even.entropy_bits, 2.0);
  EXPECT_NEAR(even.cv + even.max_violation + even.gini + even.unused, 0.0, 1e-15);
  EXPECT_DOUBLE_EQ(even.jain, 1.0);
  EXPECT_DOUBLE_EQ(one.entropy_bits, 0.0);
  EXPECT_DOUBLE_EQ(one.gini, .75);
  EXPECT_DOUBLE_EQ(one.jain, .25);
  EXPECT_DOUBLE_EQ(one.max_violation, 3.0);
}

TEST(Load, AnEmptyLayerIsNotKnown) {
  EXPECT_FALSE(load_of({0, 0}).known);
  EXPECT_FALSE(chance_load(8, 2, 0).known);
}

TEST(Load, DoesNotDependOnLabelsOrScale) {
  const Load a = load_of({5, 1, 4, 0, 2}), b = load_of({0, 20, 4, 16, 8});
  EXPECT_DOUBLE_EQ(a.entropy_bits, b.entropy_bits);
  EXPECT_DOUBLE_EQ(a.gini, b.gini);
  const Load shares = load(std::span<const double>(std::array{5 / 12.0, 1 / 12.0, 4 / 12.0, 0.0, 2 / 12.0}));
  EXPECT_NEAR(shares.cv, a.cv, 1e-14);
}

TEST(Load, ChanceIsThatOfUniformRouting) {
  for (const int tokens : {8, 46}) {
    std::vector<Load> drawn;
    for (std::uint64_t i = 0; i < 1500; ++i)
      drawn.push_back(
          load(std::span<const std::uint64_t>(signature(random_trace(shape(1, 32, 4), tokens, tokens, i)).counts)));
    const auto mean = [&](auto value) {
      double sum = 0.0;
      for (const Load& one : drawn) sum += value(one) / 1500.0;
      return sum;
    };
    const Load chance = chance_load(32, 4, static_cast<std::uint64_t>(tokens));
    EXPECT_NEAR(chance.entropy_bits, mean([](const Load& x) { return x.entropy_bits; }), .01);
    EXPECT_NEAR(chance.cv, std::sqrt(mean([](const Load& x) { return x.cv * x.cv; })), .01);
    EXPECT_NEAR(chance.unused, mean([](const Load& x) { return x.unused; }), .2);
    const auto near = [](double a, double b) { EXPECT_NEAR(a / b, 1.0, .05); };
    near(chance.max_violation, mean([](const Load& x) { return x.max_violation; }));
    near(chance.gini, mean([](const Load& x) { return x.gini; }));
    near(chance.jain, mean([](const Load& x) { return x.jain; }));
    near(chance.balancedness, mean([](const Load& x) { return x.balancedness; }));
    near(chance.coverage[3], mean([](const Load& x) { return x.coverage[3]; }));
  }
}

TEST(Load, ChanceKnowsItsEnds) {
  const Load all = chance_load(8, 8, 10);
  EXPECT_DOUBLE_EQ(all.entropy_bits, 3.0);
  EXPECT_DOUBLE_EQ(all.cv, 0.0);
  EXPECT_NEAR(chance_load(64, 8, 200'000).entropy_bits, 6.0 - entropy_bias_bits(64, 8, 200'000), 1e-6);
  EXPECT_NEAR(unused_probability(64, 8, 100), std::pow(.875, 100), 1e-18);
  EXPECT_DOUBLE_EQ(chance_load(1, 1, 5).entropy_bits, 0.0);
  EXPECT_THROW((void)chance_load(8, 9, 1), std::invalid_argument);
}

TEST(ChanceLoad, LongTextsCostNoMoreAndGoOnAsShortOnesDo) {
  // 24 sd of 15,000 tokens take fewer steps than 1024; those of 30,000 more, and are compared with steps of 1.
  for (const std::uint64_t tokens : {15'000ULL, 30'000ULL, 400'000ULL}) {
    const double sd = std::sqrt(static_cast<double>(tokens) * 7.0 / 64.0);
    const auto some = detail::binomial_tail(tokens, 0.125), all = detail::binomial_tail(tokens, 0.125, 1'000'000);
    EXPECT_EQ(some.step > 1, tokens > 20'000);
    EXPECT_LE(some.cumulative.size(), 1025U);
    const auto largest = [&](const detail::BinomialTail& tail) {  // of 64 independent counts, expected
      double sum = static_cast<double>(tail.first);
      for (const double below : tail.cumulative) sum += static_cast<double>(tail.step) * (1.0 - std::pow(below, 64.0));
      return sum;
    };
    EXPECT_NEAR(largest(some) / sd, largest(all) / sd, 2e-4) << tokens;
  }
  for (const std::uint64_t tokens : {1'000'000'000ULL, 2'000'000'000'000'000ULL}) {
    const Load chance = chance_load(64, 8, tokens);
    // In units of the sd of a share the largest of 64 counts stands as in a shorter text.
    const double unit = std::sqrt(7.0 / static_cast<double>(tokens));
    const double of_short = chance_load(64, 8, 400'000).max_violation / std::sqrt(7.0 / 400'000.0);
    EXPECT_NEAR(chance.max_violation / unit, of_short, 0.005);
    EXPECT_NEAR(chance.entropy_bits, 6.0, 1e-8);
  }
}

TEST(Coactivation, ByHand) {
  // Rows (0, 1, 2) and (0, 2, 3).
  const std::vector<RoutingTrace> traces{trace_of(shape(1, 4, 3), {0, 1, 2, 0, 2, 3}, 2)};
  const auto all = coactivation(traces);
  EXPECT_EQ(all(0, 0, 0), 2U);
  EXPECT_EQ(all(0, 0, 2), 2U);
  EXPECT_EQ(all(0, 2, 0), 2U);
  EXPECT_EQ(all(0, 1, 3), 0U);
  EXPECT_EQ(all.tokens[0], 2U);
  const auto adjacent = coactivation(traces, Pairs::adjacent);
  EXPECT_EQ(adjacent(0, 0, 2), 1U);  // of the second row alone
  EXPECT_EQ(adjacent(0, 0, 0), 2U);
}

TEST(Coactivation, RowsSumToTopKTimesTheDiagonal) {
  std::vector<RoutingTrace> traces;
  for (std::uint64_t i = 0; i < 5; ++i) traces.push_back(random_trace(shape(3, 16, 4), 20, 20, i));
  const auto found = coactivation(traces);
  for (std::size_t l = 0; l < 3; ++l)
    for (std::size_t i = 0; i < 16; ++i) {
      std::uint64_t sum = 0;
      for (std::size_t j = 0; j < 16; ++j) sum += found(l, i, j);
      EXPECT_EQ(sum, 4 * found(l, i, i));
    }
  set_num_threads(3);
  EXPECT_EQ(coactivation(traces).counts, found.counts);
  set_num_threads(0);
}

TEST(Coactivation, AdjacentPairsNeedTheRankOrder) {
  RoutingInfo info = *shape(1, 4, 2);
  info.ranked = false;
  const std::vector<RoutingTrace> traces{trace_of(std::make_shared<const RoutingInfo>(info), {0, 1}, 1)};
  EXPECT_EQ(coactivation(traces)(0, 0, 1), 1U);
  EXPECT_THROW((void)coactivation(traces, Pairs::adjacent), std::invalid_argument);
  EXPECT_TRUE(coactivation(std::span<const RoutingTrace>()).counts.empty());
}

TEST(Uncertainty, ByHand) {
  // p = (4, 2, 1, 1) / 8: entropy 1.75 bits.
  const std::vector<float> logits{0.0F, std::log(2.0F), 0.0F, std::log(4.0F)};
  const auto found = uncertainty(logits, 2);
  EXPECT_NEAR(found->entropy_bits, 1.75, 1e-6);
  EXPECT_NEAR(found->gap, .25, 1e-7);
  EXPECT_NEAR(found->mass, .75, 1e-7);
  EXPECT_NEAR(found->margin, std::log(2.0), 1e-7);
}

TEST(Uncertainty, OfAFlatRouter) {
  const auto found = uncertainty(std::vector<float>(16, 3.0F), 4);
  EXPECT_NEAR(found->entropy_bits, 4.0, 1e-12);
  EXPECT_EQ(found->gap, 0.0);
  EXPECT_NEAR(found->mass, .25, 1e-15);
  EXPECT_EQ(found->margin, 0.0);
  EXPECT_EQ(uncertainty(std::vector<float>{1.0F}, 1)->gap, 1.0);
}

TEST(Uncertainty, DoesNotOverflowAndNamesNoNumberForWhatIsNotFinite) {
  const auto sure = uncertainty(std::vector<float>{3e38F, 0.0F, -3e38F}, 1);
  EXPECT_NEAR(sure->entropy_bits, 0.0, 1e-12);
  EXPECT_EQ(sure->mass, 1.0);
  EXPECT_FALSE(uncertainty(std::vector<float>{0.0F, std::numeric_limits<float>::quiet_NaN()}, 1));
  EXPECT_FALSE(uncertainty(std::vector<float>{0.0F, std::numeric_limits<float>::infinity()}, 1));
  EXPECT_THROW((void)uncertainty(std::vector<float>{0.0F}, 2), std::invalid_argument);
}

TEST(Specialization, ByHand) {
  TraceColumns columns{.experts = {0, 1, 0, 2, 3, 1, 0, 1}};
  columns.token_ids = {7, 7, 5, 7};
  columns.positions = {0, 1, 2, 3};
  columns.types.assign(4, TokenType::prompt);
  const std::vector<RoutingTrace> traces{RoutingTrace(shape(1, 4, 2), {}, columns)};
  const auto found = vocabulary_specialization(traces, 2);
  EXPECT_EQ(found.token_ids, std::vector<std::int32_t>{7});
  EXPECT_EQ(found.occurrences, std::vector<std::uint64_t>{3});
  EXPECT_DOUBLE_EQ(found(0, 0, 0), 1.0);
  EXPECT_DOUBLE_EQ(found(0, 0, 1), 2.0 / 3);
  EXPECT_DOUBLE_EQ(found(0, 0, 2), 1.0 / 3);
  EXPECT_TRUE(vocabulary_specialization(traces, 4).token_ids.empty());
  EXPECT_TRUE(vocabulary_specialization(traces, 1, {.tokens = TokenSet::generation}).token_ids.empty());
}

TEST(Specialization, NeedsTokenIds) {
  TraceColumns columns{.experts = {0}};
  columns.positions = {0};
  columns.types.assign(1, TokenType::prompt);
  const std::vector<RoutingTrace> traces{RoutingTrace(shape(1, 4, 1), {.id = "bare"}, columns)};
  EXPECT_THROW((void)vocabulary_specialization(traces), std::invalid_argument);
}

}  // namespace
}  // namespace routesig
