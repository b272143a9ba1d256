#include "routesig/statistics/statistics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "routesig/statistics/unit_pairs.hpp"

namespace routesig {
namespace {

std::vector<double> symmetric(std::size_t n, std::vector<double> upper) {
  std::vector<double> m(n * n, 1.0);
  std::size_t next = 0;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j) m[i * n + j] = m[j * n + i] = upper[next++];
  return m;
}

TEST(Separation, ByHand) {
  // Tasks a a b b; pairs 12 13 14 23 24 34.
  const auto s = separation(symmetric(4, {.9, .5, .4, .6, .3, .8}), std::vector<int>{0, 0, 1, 1});
  EXPECT_EQ(s.within.pairs, 2U);
  EXPECT_EQ(s.across.pairs, 4U);
  EXPECT_NEAR(*s.within.mean, .85, 1e-15);
  EXPECT_NEAR(*s.across.mean, .45, 1e-15);
  EXPECT_NEAR(*s.within.sd, std::sqrt(.005), 1e-15);
  EXPECT_NEAR(*s.cohens_d, .4 / std::sqrt(.01375), 1e-12);
  EXPECT_NEAR(*s.cohens_d, 3.4112, 5e-5);
}

TEST(Separation, UnlabelledPromptsAreLeftOut) {
  const auto with =
      separation(symmetric(5, {.9, .5, .4, .0, .6, .3, .0, .8, .0, .0}), std::vector<int>{0, 0, 1, 1, -1});
  EXPECT_NEAR(*with.cohens_d, 3.4112, 5e-5);
  EXPECT_EQ(with.within.pairs + with.across.pairs, 6U);
}

TEST(Separation, WhatIsUndefinedIsAbsent) {
  const auto one_task = separation(symmetric(3, {.9, .8, .7}), std::vector<int>{0, 0, 0});
  EXPECT_TRUE(one_task.within.mean && !one_task.across.mean && !one_task.cohens_d);
  const auto singles = separation(symmetric(2, {.5}), std::vector<int>{0, 1});
  EXPECT_TRUE(!singles.within.mean && singles.across.mean && !singles.across.sd && !singles.cohens_d);
  const auto flat = separation(symmetric(4, {.1, .1, .1, .1, .1, .1}), std::vector<int>{0, 0, 1, 1});
  EXPECT_TRUE(flat.within.mean && !flat.cohens_d);
  EXPECT_FALSE(separation({}, {}).cohens_d);
}

TEST(Separation, PairsOfOneGroupDoNotCount) {
  // Task 0 holds groups {0, 1} and {2}, {3}; task 1 one prompt: pairs 02 03 12 13 23 are left of six.
  const auto m = symmetric(5, {.99, .5, .6, .1, .7, .8, .2, .9, .3, .4});
  const std::vector<int> tasks{0, 0, 0, 0, 1}, group{8, 8, -1, -1, -1};
  const auto s = separation(m, tasks, group);
  EXPECT_EQ(s.within.pairs, 5U);
  EXPECT_NEAR(*s.within.mean, (.5 + .6 + .7 + .8 + .9) / 5.0, 1e-15);
  EXPECT_NEAR(*s.across.mean, .25, 1e-15);
  EXPECT_NEAR(*s.difference(), .45, 1e-15);
  EXPECT_EQ(separation(m, tasks).within.pairs, 6U);
  EXPECT_THROW((void)separation(m, tasks, std::vector<int>{8, 8, -1, -1, 8}), std::invalid_argument);
}

TEST(Separation, TooFewPairsOfDifferentGroupsGiveNoMean) {
  const auto s =
      separation(symmetric(4, {.9, .5, .4, .6, .3, .8}), std::vector<int>{0, 0, 0, 1}, std::vector<int>{8, 8, -1, -1});
  EXPECT_TRUE(!s.within.mean && !s.within.sd && !s.cohens_d && !s.difference() && s.across.mean);
  EXPECT_EQ(s.within.pairs, 2U);
  const Units units(std::vector<int>{0, 0, 0, 1}, std::vector<int>{8, 8, -1, -1});
  ASSERT_TRUE(units.short_task());
  EXPECT_EQ(units.short_task()->task, 0);
  EXPECT_EQ(units.short_task()->pairs, 2U);
  EXPECT_FALSE(Units(std::vector<int>{0, 0, 1, 1}).short_task());  // few, but nothing was left out
}

TEST(Separation, APairWithoutASimilarityIsNoPair) {
  constexpr double absent = std::numeric_limits<double>::quiet_NaN();
  const auto s = separation(symmetric(4, {.9, .5, absent, .6, .3, .8}), std::vector<int>{0, 0, 1, 1});
  EXPECT_EQ(s.across.pairs, 3U);
  EXPECT_NEAR(*s.across.mean, 1.4 / 3.0, 1e-15);
}

TEST(Separation, RefusesAMatrixOfAnotherSize) {
  EXPECT_THROW((void)separation(std::vector<double>(9), std::vector<int>{0, 1}), std::invalid_argument);
}

TEST(Spread, ByHand) {
  const Spread s = spread({4.0, 1.0, 3.0, 2.0, 5.0});
  EXPECT_EQ(s.draws, 5U);
  EXPECT_DOUBLE_EQ(s.mean, 3.0);
  EXPECT_DOUBLE_EQ(s.sd, std::sqrt(2.5));
  EXPECT_DOUBLE_EQ(s.low, 1.1);  // 2.5 % of the way from rank 0 to rank 4
  EXPECT_DOUBLE_EQ(s.high, 4.9);
  EXPECT_EQ(spread({}).draws, 0U);
  EXPECT_DOUBLE_EQ(spread({7.0}).sd, 0.0);
}

TEST(PValue, CountsTheObservedItselfAndTiesUpToRounding) {
  const PValue p = upper_p_value(0.3, std::vector<double>{0.1 + 0.2, 0.1, 0.4});
  EXPECT_DOUBLE_EQ(p.value, 3.0 / 4.0);
  EXPECT_DOUBLE_EQ(p.floor, 1.0 / 4.0);
  EXPECT_DOUBLE_EQ(upper_p_value(1.0, std::vector<double>(999, 0.0)).value, 1.0 / 1000.0);
}

}  // namespace
}  // namespace routesig
