#include "routesig/statistics/dispersion.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "routesig/random.hpp"

namespace routesig {
namespace {

// Inner products of points in the plane.
std::vector<double> products(const std::vector<std::array<double, 2>>& points) {
  std::vector<double> out;
  for (const auto& a : points)
    for (const auto& b : points) out.push_back(a[0] * b[0] + a[1] * b[1]);
  return out;
}

TEST(Dispersion, ByHand) {
  // Task 0: three points at distance 1 from (1, 0) in all; task 1: two points 2 apart; the last prompt stands alone.
  const auto m = products({{0, 0}, {2, 0}, {1, 0}, {5, 1}, {5, -1}, {9, 9}});
  const auto found = dispersion_test(m, std::vector<int>{0, 0, 0, 1, 1, 2});
  ASSERT_TRUE(found.distance[0] && found.distance[4]);
  EXPECT_NEAR(*found.distance[0], std::sqrt(1.5), 1e-12);  // |(0,0) - (1,0)| sqrt(3/2)
  EXPECT_NEAR(*found.distance[2], 0.0, 1e-7);
  EXPECT_NEAR(*found.distance[3], std::sqrt(2.0), 1e-12);
  EXPECT_FALSE(found.distance[5]);
  EXPECT_EQ(found.units, 5U);
  EXPECT_EQ(found.permutations, 10U);
  // One-way F of {1.2247, 1.2247, 0} and {1.4142, 1.4142}.
  const double a = 2.0 * std::sqrt(1.5) / 3.0, b = std::sqrt(2.0), mean = (3.0 * a + 2.0 * b) / 5.0;
  const double between = 3.0 * (a - mean) * (a - mean) + 2.0 * (b - mean) * (b - mean);
  const double within = 2.0 * (std::sqrt(1.5) - a) * (std::sqrt(1.5) - a) + a * a;
  EXPECT_NEAR(*found.f, between / (within / 3.0), 1e-6);
  EXPECT_DOUBLE_EQ(found.p->value, 0.3);  // two of the ten ways to choose three of the five distances have a larger F
  EXPECT_DOUBLE_EQ(found.p->floor, 0.1);
}

// Of `worlds` worlds of two tasks of 20 prompts, the second one spreading `scale` times as far: the share with p <=
// .05.
double rejected(int worlds, double scale, std::uint64_t seed) {
  Random random(seed);
  int count = 0;
  for (int world = 0; world < worlds; ++world) {
    std::vector<std::array<double, 2>> points;
    std::vector<int> tasks;
    for (int i = 0; i < 40; ++i) {
      const double by = i % 2 == 0 ? 1.0 : scale;
      points.push_back({by * random.normal(), 7.0 + by * random.normal()});
      tasks.push_back(i % 2);
    }
    const auto found = dispersion_test(products(points), tasks, {}, {.permutations = 199});
    count += static_cast<int>(found.p->value <= 0.05);
  }
  return count / static_cast<double>(worlds);
}

TEST(Dispersion, FindsATaskThatSpreadsMore) {
  EXPECT_GE(rejected(50, 3.0, 1), 0.96);
  const double weaker = rejected(50, 1.4, 2);
  EXPECT_GT(weaker, 0.2);
  EXPECT_LT(weaker, 0.9);
}

TEST(Dispersion, RejectsOneWorldIn20WhereTasksSpreadAlike) {
  // 400 worlds reject 20 on average, with a standard deviation of 4.4: 7 to 33 are three of them around it.
  const double share = rejected(400, 1.0, 3);
  EXPECT_GE(share, 7.0 / 400.0);
  EXPECT_LE(share, 33.0 / 400.0);
}

TEST(Dispersion, GroupsStandForTheirPrompts) {
  const auto m = products({{0, 0}, {2, 0}, {1, 3}, {5, 1}, {5, -1}, {9, 9}, {1, 2}, {2, 4}});
  const std::vector<int> tasks{0, 0, 0, 1, 1, 1, 0, 1}, group{0, 0, 1, 2, 2, 3, -1, -1};
  EXPECT_EQ(dispersion_test(m, tasks, group).units, 6U);
  EXPECT_EQ(dispersion_test(m, tasks, group).permutations, 20U);
}

TEST(Dispersion, TheCentroidIsThatOfOtherGroups) {
  // Task 0: group {(0, 0), (2, 0)}, (1, 3) and (4, 0) alone; task 1: two prompts alone, a group, and nothing else.
  const auto m = products({{0, 0}, {2, 0}, {1, 3}, {4, 0}, {9, 9}, {9, 7}});
  const std::vector<int> tasks{0, 0, 0, 0, 1, 1}, group{5, 5, -1, -1, 6, 6};
  const auto found = dispersion_test(m, tasks, group);
  EXPECT_NEAR(*found.distance[0], std::sqrt(2.5 * 2.5 + 1.5 * 1.5) * std::sqrt(2.0 / 3.0), 1e-12);  // to (2.5, 1.5)
  EXPECT_NEAR(*found.distance[1], std::sqrt(0.5 * 0.5 + 1.5 * 1.5) * std::sqrt(2.0 / 3.0), 1e-12);
  EXPECT_NEAR(*found.distance[2], std::sqrt(1.0 + 9.0) * std::sqrt(3.0 / 4.0), 1e-12);  // to (2, 0)
  EXPECT_NEAR(*found.distance[3], std::sqrt(9.0 + 1.0) * std::sqrt(3.0 / 4.0), 1e-12);  // to (1, 1)
  EXPECT_FALSE(found.distance[4] || found.distance[5]);
}

TEST(Dispersion, WhatIsUndefinedIsAbsent) {
  const auto m = products({{0, 0}, {2, 0}, {1, 3}, {5, 1}});
  EXPECT_FALSE(dispersion_test(m, std::vector<int>{0, 0, 0, 0}).f);
  EXPECT_FALSE(dispersion_test(m, std::vector<int>{0, 1, 2, 3}).f);
  EXPECT_FALSE(dispersion_test(std::vector<double>(16, 1.0), std::vector<int>{0, 0, 1, 1}).p);
  EXPECT_FALSE(dispersion_test({}, {}).p);
  EXPECT_THROW((void)dispersion_test(m, std::vector<int>{0, 1}), std::invalid_argument);
}

TEST(Dispersion, ThreadsDoNotChangeAByte) {
  Random random(2);
  std::vector<std::array<double, 2>> points;
  std::vector<int> tasks;
  for (int i = 0; i < 60; ++i) points.push_back({random.normal(), random.normal()}), tasks.push_back(i % 3);
  set_num_threads(1);
  const auto one = dispersion_test(products(points), tasks, {}, {.permutations = 2'000});
  set_num_threads(3);
  const auto three = dispersion_test(products(points), tasks, {}, {.permutations = 2'000});
  set_num_threads(0);
  EXPECT_EQ(one.p->value, three.p->value);
  EXPECT_EQ(one.f, three.f);
  EXPECT_GT(one.p->value, one.p->floor);  // and so not the same whatever is drawn
}

}  // namespace
}  // namespace routesig
