#include "routesig/statistics/reliability.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/traces.hpp"

namespace routesig {
namespace {

using testing::random_trace;
using testing::shape;
using testing::trace_of;

TEST(Reliability, HalvesByHand) {
  // Experts 0 1 0 1: interleaved halves are (2, 0) and (0, 2), contiguous ones (1, 1) and (1, 1).
  const std::vector<RoutingTrace> traces{trace_of(shape(1, 2, 1), {0, 1, 0, 1}, 4)};
  EXPECT_DOUBLE_EQ(half_similarities(traces, Split::interleaved).values[0], 0.0);
  EXPECT_DOUBLE_EQ(half_similarities(traces, Split::contiguous).values[0], 1.0);
  EXPECT_EQ(half_similarities(traces, Split::contiguous).tokens[0], 4U);
}

TEST(Reliability, AnOddTokenFallsToTheFirstHalf) {
  const std::vector<RoutingTrace> traces{trace_of(shape(1, 2, 1), {0, 0, 1}, 3)};
  EXPECT_NEAR(half_similarities(traces, Split::interleaved).values[0], 1 / std::sqrt(2.0), 1e-15);
  EXPECT_NEAR(half_similarities(traces, Split::contiguous).values[0], 0.0, 1e-15);
}

TEST(Reliability, OneTokenHasNoHalves) {
  const std::vector<RoutingTrace> traces{trace_of(shape(1, 2, 1), {0}, 1)};
  const auto halves = half_similarities(traces, Split::interleaved);
  EXPECT_EQ(halves.values[0], 0.0);
  EXPECT_EQ(halves.tokens[0], 1U);
}

TEST(Reliability, FollowsTheClosedFormOfUniformRouting) {
  // Reliability of T tokens is about 1 / (1 + r / T), r = E / K - 1 [science: load balance].
  const int tokens = 64;
  std::vector<RoutingTrace> traces;
  for (std::uint64_t i = 0; i < 200; ++i) traces.push_back(random_trace(shape(1, 16, 4), tokens, tokens, i));
  const auto halves = half_similarities(traces, Split::interleaved);
  double mean = 0.0;
  for (const double h : halves.values) mean += h / 200.0;
  const double r = 16.0 / 4.0 - 1.0;
  EXPECT_NEAR(spearman_brown(mean), 1.0 / (1.0 + r / tokens), .01);
  EXPECT_NEAR(tokens_for_reliability(1.0 / (1.0 + r / tokens), r), tokens, 1e-9);
}

TEST(Reliability, SameBytesOnAnyNumberOfThreads) {
  std::vector<RoutingTrace> traces;
  for (std::uint64_t i = 0; i < 20; ++i) traces.push_back(random_trace(shape(3, 16, 4), 11, 11, i));
  set_num_threads(1);
  const auto one = half_similarities(traces, Split::contiguous).values;
  set_num_threads(3);
  EXPECT_EQ(half_similarities(traces, Split::contiguous).values, one);
  set_num_threads(0);
}

TEST(Reliability, RefusesImpossibleReliabilities) {
  EXPECT_THROW((void)tokens_for_reliability(1.0, 7.0), std::invalid_argument);
  EXPECT_THROW((void)tokens_for_reliability(0.0, 7.0), std::invalid_argument);
  EXPECT_THROW((void)tokens_for_reliability(.9, -1.0), std::invalid_argument);
}

}  // namespace
}  // namespace routesig
