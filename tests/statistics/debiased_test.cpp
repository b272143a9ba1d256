#include "routesig/statistics/debiased.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "routesig/known_tokens.hpp"
#include "routesig/metric.hpp"
#include "support/traces.hpp"

namespace routesig {
namespace {

using testing::random_trace;
using testing::shape;
using testing::trace_of;

std::vector<RoutingTrace> some(std::size_t n, int tokens = 20) {
  std::vector<RoutingTrace> traces;
  for (std::size_t i = 0; i < n; ++i)
    traces.push_back(random_trace(shape(2, 16, 4), tokens + static_cast<int>(i), 6, i));
  return traces;
}

/// Tokens that choose each expert with the probability of `weights`, one expert a token.
RoutingTrace drawn(const std::vector<double>& weights, int tokens, std::uint64_t seed) {
  Random random(seed);
  std::vector<ExpertId> ids;
  for (int t = 0; t < tokens; ++t) {
    double u = random.uniform();
    std::size_t e = 0;
    while (e + 1 < weights.size() && u >= weights[e]) u -= weights[e++];
    ids.push_back(static_cast<ExpertId>(e));
  }
  return trace_of(shape(1, static_cast<int>(weights.size()), 1), ids, tokens);
}

/// Mean of |E_s & E_t| over pairs of positions more than `window` apart, written out.
double by_definition(const RoutingTrace& trace, int layer, int window) {
  double common = 0.0, pairs = 0.0;
  for (int s = 0; s < trace.tokens(); ++s)
    for (int t = 0; t < trace.tokens(); ++t)
      if (std::abs(s - t) > window) {
        common += common_experts(trace.experts(layer, s), trace.experts(layer, t));
        pairs += 1.0;
      }
  return common / pairs;
}

TEST(Debiased, SquaredNormByHand) {
  // Tokens {0, 1} and {0, 2}: c = (2, 1, 1), (6 - 4) / (2 * 1) = 1, which is the overlap of the two.
  const std::vector<std::uint64_t> counts{2, 1, 1};
  const auto from_counts = debiased_rows(counts, 1, 1, 3, 2);
  EXPECT_DOUBLE_EQ(from_counts.squared_norms[0], 1.0);
  EXPECT_EQ(from_counts.tokens[0], 2U);
  const std::vector<RoutingTrace> traces{trace_of(shape(1, 3, 2), {0, 1, 0, 2}, 2)};
  EXPECT_DOUBLE_EQ(debiased_rows(traces, {.window = 0}).squared_norms[0], 1.0);
  EXPECT_DOUBLE_EQ(debiased_rows(traces, {.window = 1}).squared_norms[0], 0.0);  // no pair is left
}

TEST(Debiased, SquaredNormsEqualTheirDefinition) {
  const auto traces = some(4);
  const auto set = signatures(std::span<const RoutingTrace>(traces));
  const auto counted = debiased_rows(set.counts, 4, 2, 16, 4);
  for (const int window : {0, 1, 4, 9}) {
    const auto rows = debiased_rows(traces, {.window = window});
    for (std::size_t p = 0; p < 4; ++p)
      for (std::size_t l = 0; l < 2; ++l) {
        EXPECT_NEAR(rows.squared_norms[p * 2 + l], by_definition(traces[p], static_cast<int>(l), window), 1e-12);
        if (window == 0) {
          EXPECT_NEAR(counted.squared_norms[p * 2 + l], rows.squared_norms[p * 2 + l], 1e-12);
        }
      }
  }
}

TEST(Debiased, TheWindowIsOfPositionsNotOfRows) {
  TraceColumns columns{.experts = {0, 0, 0}};
  columns.positions = {0, 5, 10};
  columns.types.assign(3, TokenType::prompt);
  const std::vector<RoutingTrace> traces{RoutingTrace(shape(1, 2, 1), {}, columns)};
  EXPECT_DOUBLE_EQ(debiased_rows(traces, {.window = 4}).squared_norms[0], 1.0);
  EXPECT_DOUBLE_EQ(debiased_rows(traces, {.window = 5}).squared_norms[0], 1.0);  // 0 and 10 are left
  EXPECT_DOUBLE_EQ(debiased_rows(traces, {.window = 10}).squared_norms[0], 0.0);
}

TEST(Debiased, FindsTheTruthWhateverTheLength) {
  // Two routings with a known cosine; the plain cosine of such short texts lies below it.
  const std::vector<double> p{.4, .3, .1, .1, .05, .05}, q{.2, .4, .2, .1, .05, .05};
  const double truth = Cosine{}(p, q);
  for (const int tokens : {24, 60, 160}) {
    std::vector<RoutingTrace> traces;
    for (std::uint64_t i = 0; i < 300; ++i) traces.push_back(drawn(i % 2 == 0 ? p : q, tokens, i));
    std::vector<int> task;
    for (int i = 0; i < 300; ++i) task.push_back(i % 2);
    const auto rows = debiased_rows(traces, {.window = 0});
    const auto means = debiased_means(rows, task);
    double plain = 0.0;
    for (std::size_t i = 0; i < 300; i += 2)
      plain += Cosine{}(signature(traces[i]).layer(0), signature(traces[(i + 2) % 300]).layer(0)) / 150.0;
    EXPECT_LT(plain, 1.0 - .5 / tokens);
    EXPECT_NEAR(*means.overall.within, 1.0, .02) << tokens;
    EXPECT_NEAR(*means.overall.across, truth, .02) << tokens;
    EXPECT_NEAR(*means.overall.difference(), 1.0 - truth, .02) << tokens;
  }
}

TEST(Debiased, GroupMeansAreRatiosOfMeans) {
  const auto traces = some(5);
  const auto rows = debiased_rows(traces, {.window = 0});
  const auto layers = debiased_layers(rows);
  const std::vector<int> task{0, 0, 1, 1, -1};
  const auto means = debiased_means(rows, task);
  EXPECT_EQ(means.overall.within_pairs, 2U);
  EXPECT_EQ(means.overall.across_pairs, 4U);
  const auto inner = [&](std::size_t i, std::size_t j, std::size_t l) {
    double sum = 0.0;
    for (std::size_t e = 0; e < 16; ++e) sum += rows.shares[(i * 2 + l) * 16 + e] * rows.shares[(j * 2 + l) * 16 + e];
    return sum;
  };
  const auto norm = [&](std::size_t i, std::size_t j, std::size_t l) {
    return std::sqrt(rows.squared_norms[i * 2 + l] * rows.squared_norms[j * 2 + l]);
  };
  double expected = 0.0;
  for (const std::size_t l : {0U, 1U})
    expected += (inner(0, 1, l) + inner(2, 3, l)) / (norm(0, 1, l) + norm(2, 3, l)) / 2;
  EXPECT_NEAR(*means.overall.within, expected, 1e-12);
  EXPECT_NEAR(layers[(25 + 1) + 0], inner(0, 1, 1) / norm(0, 1, 1), 1e-12);
  // Prompts 0 and 1 in one group: pairs of task 0 are 02, 12.
  const std::vector<int> all_one{0, 0, 0, 0, 1}, group{7, 7, -1, -1, -1};
  const auto grouped = debiased_means(rows, all_one, group);
  double apart = 0.0;
  for (const std::size_t l : {0U, 1U})
    apart += (inner(0, 2, l) + inner(0, 3, l) + inner(1, 2, l) + inner(1, 3, l) + inner(2, 3, l)) /
             (norm(0, 2, l) + norm(0, 3, l) + norm(1, 2, l) + norm(1, 3, l) + norm(2, 3, l)) / 2;
  EXPECT_EQ(grouped.overall.within_pairs, 5U);
  EXPECT_EQ(grouped.overall.across_pairs, 4U);
  EXPECT_NEAR(*grouped.overall.within, apart, 1e-12);
  EXPECT_FALSE(
      debiased_means(rows, task, std::vector<int>{7, 7, -1, -1, -1}).overall.within);  // no pair of task 0 left
  EXPECT_NEAR(debiased_matrix(rows)[7], (layers[7] + layers[25 + 7]) / 2.0, 1e-14);
}

TEST(Debiased, WhatIsUndefinedIsAbsentWithItsReason) {
  const std::vector<RoutingTrace> traces{drawn({.5, .5}, 7, 1), drawn({.5, .5}, 8, 2),
                                         trace_of(shape(1, 2, 1), std::vector<ExpertId>(9, kNoExpert), 9)};
  const auto rows = debiased_rows(traces, {.window = 0});
  EXPECT_FALSE(rows.known(0, 0));
  EXPECT_TRUE(rows.known(1, 0));
  EXPECT_EQ(*rows.absence(0), "expected at least 8 tokens, got 7 in layer 0");
  EXPECT_FALSE(rows.absence(1));
  EXPECT_EQ(*rows.absence(2), "expected at least 8 tokens, got 0 in layer 0");
  for (const double value : debiased_layers(rows)) EXPECT_EQ(value, 0.0);
  EXPECT_FALSE(debiased_means(rows, std::vector<int>{0, 0, 1}).overall.within);

  std::vector<ExpertId> ids(8);
  std::iota(ids.begin(), ids.end(), ExpertId{0});  // no expert twice: the norm is 0
  const std::vector<RoutingTrace> apart{trace_of(shape(1, 8, 1), ids, 8)};
  EXPECT_NE(debiased_rows(apart).absence(0)->find("squared norm above 0, got 0 in layer 0"), std::string::npos);
  EXPECT_EQ(debiased_rows(std::span<const RoutingTrace>()).prompts, 0U);
}

TEST(Debiased, TwoSetsGiveTheirBlock) {
  const auto traces = some(6);
  const auto all = debiased_rows(traces), head = debiased_rows(std::span(traces).first(2)),
             tail = debiased_rows(std::span(traces).subspan(2));
  const auto block = debiased_layers(head, &tail), whole = debiased_layers(all);
  for (std::size_t l = 0; l < 2; ++l)
    for (std::size_t i = 0; i < 2; ++i)
      for (std::size_t j = 0; j < 4; ++j) EXPECT_EQ(block[(l * 2 + i) * 4 + j], whole[(l * 6 + i) * 6 + j + 2]);
}

TEST(Debiased, SameBytesOnAnyNumberOfThreads) {
  const auto traces = some(60);
  set_num_threads(1);
  const auto one = debiased_layers(debiased_rows(traces));
  for (const int threads : {2, 3}) {
    set_num_threads(threads);
    EXPECT_EQ(debiased_layers(debiased_rows(traces)), one);
  }
  set_num_threads(0);
}

TEST(Debiased, RefusesWhatDoesNotFit) {
  const std::vector<std::uint64_t> counts{2, 1};
  EXPECT_THROW((void)debiased_rows(counts, 1, 1, 2, 2), std::invalid_argument);  // 3 is no multiple of 2
  EXPECT_THROW((void)debiased_rows(counts, 1, 1, 3, 1), std::invalid_argument);
  EXPECT_THROW((void)debiased_rows(some(1), {.window = -1}), std::invalid_argument);
  const auto a = debiased_rows(some(2)), b = debiased_rows(counts, 1, 1, 2, 1);
  EXPECT_THROW((void)debiased_layers(a, &b), std::invalid_argument);
  EXPECT_THROW((void)debiased_means(a, std::vector<int>{0}), std::invalid_argument);
}

}  // namespace
}  // namespace routesig
