#include "routesig/statistics/bootstrap.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "routesig/statistics/statistics.hpp"
#include "support/matrices.hpp"

namespace routesig {
namespace {

using testing::cyclic;
using testing::random_matrix;

SignatureSet<double> random_set(std::size_t prompts, int layers, int experts) {
  SignatureSet<double> out{.layers = layers, .experts = experts};
  out.num_tokens.resize(prompts);
  Random random(1);
  for (std::size_t i = 0; i < prompts * static_cast<std::size_t>(layers * experts); ++i)
    out.values.push_back(random.uniform());
  return out;
}

// The statistics of a list of prompts with repeats, pair by pair; a prompt is never paired with itself.
detail::Statistics slow(std::span<const double> m, std::span<const int> task, std::span<const double> weight) {
  const std::size_t n = task.size();
  double n_w = 0, n_a = 0, w = 0, a = 0;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j) {
      const double pairs = std::isnan(m[i * n + j]) ? 0.0 : weight[i] * weight[j];
      if (pairs == 0.0) continue;
      (task[i] == task[j] ? n_w : n_a) += pairs;
      (task[i] == task[j] ? w : a) += pairs * m[i * n + j];
    }
  w /= n_w;
  a /= n_a;
  double squares = 0;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j) {
      if (std::isnan(m[i * n + j])) continue;
      const double x = m[i * n + j] - (task[i] == task[j] ? w : a);
      squares += weight[i] * weight[j] * x * x;
    }
  return {w, a, w - a, (w - a) / std::sqrt(squares / (n_w + n_a - 2.0))};
}

void expect_definition(const std::vector<double>& m) {
  const std::size_t n = 18;
  const auto tasks = cyclic(n, 3);
  const Units units(tasks);
  const BootstrapOptions options{.draws = 70, .seed = 4};
  const detail::Resamples resamples(units, options);
  const auto found = detail::resampled(units, resamples, m, {});
  ASSERT_EQ(found.size(), 1U + 70U + n);
  std::vector<double> sorted(n), weight(n);
  for (std::size_t row = 0; row < found.size(); ++row) {
    std::ranges::fill(sorted, 1.0);
    if (row >= 1 && row <= 70) resamples.fill(row - 1, sorted);
    if (row > 70) sorted[row - 71] = 0.0;
    for (std::size_t k = 0; k < n; ++k) weight[resamples.order()[k]] = sorted[k];
    const auto expected = slow(m, tasks, weight);
    for (std::size_t k = 0; k < 4; ++k) ASSERT_NEAR(found[row][k], expected[k], 1e-11) << row << " " << k;
    const double total = std::accumulate(weight.begin(), weight.end(), 0.0);
    EXPECT_EQ(total, row == 0 ? 18.0 : row <= 70 ? 15.0 : 17.0);  // n_c - 1 of six prompts in each of three tasks
  }
}

TEST(Bootstrap, DrawsEqualTheirDefinition) { expect_definition(random_matrix(18, 3)); }

TEST(Bootstrap, PairsWithoutASimilarityAreNoPairs) {
  auto m = random_matrix(18, 3);
  for (const std::size_t i : {1U, 5U, 20U, 44U}) m[i * 7] = m[i * 7 % 18 * 18 + i * 7 / 18] = std::nan("");
  expect_definition(m);
}

TEST(Bootstrap, OfASetIsThatOfItsLayers) {
  const auto set = random_set(24, 3, 8);
  const auto tasks = cyclic(24, 4);
  const BootstrapOptions options{.draws = 100, .seed = 2};
  const Bootstrap one_by_one = layer_bootstrap(set, tasks, {}, options);
  const Bootstrap together = bootstrap(similarity_layers(set), tasks, {}, options);
  ASSERT_EQ(one_by_one.separations.size(), 3U);
  EXPECT_EQ(one_by_one.slope.interval->low, together.slope.interval->low);
  for (std::size_t l = 0; l < 3; ++l)
    EXPECT_EQ(one_by_one.separations[l].cohens_d.interval->high, together.separations[l].cohens_d.interval->high);
}

TEST(Bootstrap, ValuesAreThoseOfSeparation) {
  const auto m = random_matrix(24, 5);
  const auto tasks = cyclic(24, 4);
  const Bootstrap found = bootstrap(m, tasks, {}, {.draws = 200});
  const Separation s = separation(m, tasks);
  const auto& e = found.separations.at(0);
  EXPECT_NEAR(*e.within.value, *s.within.mean, 1e-13);
  EXPECT_NEAR(*e.across.value, *s.across.mean, 1e-13);
  EXPECT_NEAR(*e.cohens_d.value, *s.cohens_d, 1e-12);
  for (const BootstrapEstimate* one : {&e.within, &e.across, &e.difference, &e.cohens_d}) {
    ASSERT_TRUE(one->interval && one->se);
    EXPECT_LT(one->interval->low, one->interval->high);
    EXPECT_GT(*one->se, 0.0);
    EXPECT_TRUE(one->interval->bca);
  }
  EXPECT_FALSE(found.slope.value);  // one matrix has no depth
}

TEST(Bootstrap, GroupsAreDrawnWhole) {
  // Two copies of each prompt as a group: resampling groups is resampling the prompts of the half.
  const std::size_t half = 12;
  const auto m = random_matrix(half, 6);
  const auto tasks = cyclic(half, 2);
  std::vector<double> twice(4 * half * half);
  std::vector<int> group(2 * half), both(2 * half);
  for (std::size_t i = 0; i < 2 * half; ++i) {
    group[i] = static_cast<int>(i % half);
    both[i] = tasks[i % half];
    for (std::size_t j = 0; j < 2 * half; ++j) twice[i * 2 * half + j] = m[(i % half) * half + j % half];
  }
  const Bootstrap one = bootstrap(m, tasks, {}, {.draws = 300}), whole = bootstrap(twice, both, group, {.draws = 300});
  EXPECT_EQ(whole.units, half);
  const auto& s = one.separations[0];
  const auto& t = whole.separations[0];  // pairs inside a group do not count
  for (const auto& [a, b] : {std::pair(s.within, t.within), {s.across, t.across}, {s.difference, t.difference}}) {
    EXPECT_NEAR(*a.value, *b.value, 1e-13);
    EXPECT_NEAR(a.interval->low, b.interval->low, 1e-12);
    EXPECT_NEAR(a.interval->high, b.interval->high, 1e-12);
  }
}

TEST(Bootstrap, GroupsThatLeaveTooFewPairsGiveNothingWithin) {
  const std::vector<int> tasks{0, 0, 0, 0, 1, 1, 1, 1}, group{0, 0, 0, 1, 2, 3, 4, 5};
  const Bootstrap found = bootstrap(random_matrix(8, 1), tasks, group, {.draws = 10});
  const auto& s = found.separations.at(0);
  EXPECT_TRUE(!s.within.value && s.across.value && !s.difference.value && !s.cohens_d.value);
}

TEST(Bootstrap, SlopeIsThatOfD) {
  std::vector<double> layers, d;
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U}) {
    const auto m = random_matrix(20, seed);
    layers.insert(layers.end(), m.begin(), m.end());
  }
  const Bootstrap found = bootstrap(layers, cyclic(20, 2), {}, {.draws = 100});
  for (const auto& s : found.separations) d.push_back(*s.cohens_d.value);
  EXPECT_NEAR(*found.slope.value, *depth_slope(d), 1e-12);
  EXPECT_TRUE(found.slope.interval);
  EXPECT_NEAR(*depth_slope(std::vector<double>{1.0, 3.0, 5.0}), 2.0, 1e-15);
  EXPECT_FALSE(depth_slope(std::vector<double>{1.0}));
}

TEST(Bootstrap, WhatIsUndefinedIsAbsent) {
  const auto four = bootstrap(random_matrix(8, 1), cyclic(8, 2));
  EXPECT_EQ(four.fewest, 4U);
  EXPECT_TRUE(four.separations[0].cohens_d.value);
  EXPECT_FALSE(four.separations[0].cohens_d.interval);
  const auto one_task = bootstrap(random_matrix(8, 1), std::vector<int>(8, 0));
  EXPECT_TRUE(one_task.separations[0].within.interval);
  EXPECT_FALSE(one_task.separations[0].across.value || one_task.separations[0].difference.value);
  const auto flat = bootstrap(std::vector<double>(100, 0.1), cyclic(10, 2));
  EXPECT_NEAR(*flat.separations[0].difference.value, 0.0, 1e-15);
  EXPECT_FALSE(flat.separations[0].cohens_d.value);
  EXPECT_TRUE(bootstrap({}, {}).separations.empty());
  auto broken = random_matrix(10, 1);
  broken[1] = std::numeric_limits<double>::infinity();
  EXPECT_THROW((void)bootstrap(broken, cyclic(10, 2)), std::invalid_argument);
  EXPECT_THROW((void)bootstrap(random_matrix(10, 1), cyclic(10, 2), {}, {.draws = 0}), std::invalid_argument);
  EXPECT_THROW((void)bootstrap(random_matrix(10, 1), cyclic(10, 2), {}, {.level = 1.0}), std::invalid_argument);
}

TEST(Bootstrap, ThreadsDoNotChangeAByte) {
  const auto m = random_matrix(40, 1);
  const auto tasks = cyclic(40, 4);
  set_num_threads(1);
  const auto one = bootstrap(m, tasks, {}, {.draws = 500}).separations[0].cohens_d;
  for (const int threads : {2, 3}) {
    set_num_threads(threads);
    const auto more = bootstrap(m, tasks, {}, {.draws = 500}).separations[0].cohens_d;
    EXPECT_EQ(one.interval->low, more.interval->low);
    EXPECT_EQ(one.interval->high, more.interval->high);
  }
  set_num_threads(0);
}

TEST(Bca, NormalQuantilesAreThoseOfTables) {
  EXPECT_NEAR(normal::quantile(0.975), 1.959963984540054, 1e-12);
  EXPECT_NEAR(normal::quantile(0.5), 0.0, 1e-12);
  EXPECT_NEAR(normal::quantile(1e-10), -6.361340902404056, 1e-9);
  EXPECT_NEAR(normal::cdf(1.0), 0.8413447460685429, 1e-15);
}

TEST(Bca, WithoutBiasOrAccelerationItIsThePercentileInterval) {
  std::vector<double> draws;
  for (int i = 0; i <= 1000; ++i) draws.push_back(i);
  const BootstrapInterval found = bca_interval(500.0, draws, 0.0, 0.95);
  EXPECT_TRUE(found.bca);
  EXPECT_NEAR(found.low, 25.0, 1e-6);
  EXPECT_NEAR(found.high, 975.0, 1e-6);
}

TEST(Bca, FallsBackToPercentiles) {
  const std::vector<double> draws{1.0, 2.0, 3.0};
  EXPECT_FALSE(bca_interval(9.0, draws, 0.0, 0.5).bca);  // every draw below: z0 is infinite
  EXPECT_FALSE(bca_interval(2.0, draws, std::numeric_limits<double>::quiet_NaN(), 0.5).bca);
  EXPECT_DOUBLE_EQ(bca_interval(9.0, draws, 0.0, 0.5).low, 1.5);
}

}  // namespace
}  // namespace routesig
