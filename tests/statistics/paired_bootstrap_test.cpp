#include "routesig/statistics/paired_bootstrap.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "support/matrices.hpp"

namespace routesig {
namespace {

using testing::cyclic;

// Similarities .5 + noise, `effect` more within a task.
std::vector<double> matrix(std::span<const int> task, double effect, std::uint64_t seed, double noise = 0.1) {
  const std::size_t n = task.size();
  std::vector<double> m(n * n, 1.0);
  Random random(seed);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j)
      m[i * n + j] = m[j * n + i] = 0.5 + noise * random.normal() + (task[i] == task[j] ? effect : 0.0);
  return m;
}

TEST(PairedBootstrap, EachSideIsTheBootstrapOfIt) {
  const auto task = cyclic(24, 3);
  const auto a = matrix(task, 0.2, 1), b = matrix(task, 0.3, 2);
  const BootstrapOptions options{.draws = 300, .seed = 7};
  const PairedBootstrap found = paired_bootstrap(a, b, task, {}, options);
  const auto alone = bootstrap(b, task, {}, options).separations[0];
  EXPECT_EQ(*found.cohens_d.b.value, *alone.cohens_d.value);
  EXPECT_EQ(found.difference.b.interval->low, alone.difference.interval->low);
  EXPECT_EQ(*found.within.b.se, *alone.within.se);
  EXPECT_DOUBLE_EQ(*found.cohens_d.difference.value, *found.cohens_d.b.value - *found.cohens_d.a.value);
  EXPECT_EQ(found.units, 24U);
  EXPECT_EQ(found.fewest, 8U);
}

TEST(PairedBootstrap, TheSameMatrixDiffersByNothing) {
  const auto task = cyclic(20, 2);
  const auto a = matrix(task, 0.2, 1);
  const PairedBootstrap found = paired_bootstrap(a, a, task, {}, {.draws = 100});
  for (const PairedEstimate* one : {&found.within, &found.across, &found.difference, &found.cohens_d}) {
    EXPECT_EQ(*one->difference.value, 0.0);
    EXPECT_EQ(*one->difference.se, 0.0);
    EXPECT_EQ(one->difference.interval->low, 0.0);
    EXPECT_EQ(one->difference.interval->high, 0.0);
  }
}

TEST(PairedBootstrap, PairingMakesTheIntervalOfADifferenceNarrow) {
  const auto task = cyclic(30, 3);
  const auto a = matrix(task, 0.2, 1);
  auto b = a;
  const auto small = matrix(task, 0.0, 2, 0.01);
  for (std::size_t i = 0; i < b.size(); ++i) b[i] += small[i] - 0.5;
  const PairedBootstrap found = paired_bootstrap(a, b, task, {}, {.draws = 500});
  EXPECT_LT(*found.difference.difference.se, 0.5 * *found.difference.a.se);
}

TEST(PairedBootstrap, SwappingTheTwoChangesTheSign) {
  const auto task = cyclic(24, 2);
  const auto a = matrix(task, 0.2, 1), b = matrix(task, 0.3, 2);
  const auto there = paired_bootstrap(a, b, task, {}, {.draws = 200}).difference.difference;
  const auto back = paired_bootstrap(b, a, task, {}, {.draws = 200}).difference.difference;
  EXPECT_EQ(*there.value, -*back.value);
  EXPECT_DOUBLE_EQ(*there.se, *back.se);
  EXPECT_NEAR(there.interval->low, -back.interval->high, 1e-9);
}

TEST(PairedBootstrap, FewPromptsGiveNoIntervalAndOneTaskNoDifference) {
  const auto task = cyclic(8, 2);
  const auto few = paired_bootstrap(matrix(task, 0.2, 1), matrix(task, 0.2, 2), task);
  EXPECT_EQ(few.fewest, 4U);
  EXPECT_TRUE(few.difference.difference.value);
  EXPECT_FALSE(few.difference.difference.interval);
  const std::vector<int> one(8, 0);
  const auto alone = paired_bootstrap(matrix(one, 0.2, 1), matrix(one, 0.2, 2), one);
  EXPECT_FALSE(alone.difference.difference.value || alone.cohens_d.a.value);
  EXPECT_TRUE(alone.within.difference.interval);
  EXPECT_THROW((void)paired_bootstrap(matrix(task, 0.2, 1), {}, task), std::invalid_argument);
  EXPECT_THROW((void)paired_bootstrap({}, {}, {}, {}, {.draws = 0}), std::invalid_argument);
}

TEST(PairedBootstrap, ThreadsDoNotChangeAByteAndProgressEnds) {
  const auto task = cyclic(24, 3);
  const auto a = matrix(task, 0.2, 1), b = matrix(task, 0.3, 2);
  set_num_threads(1);
  const auto one = paired_bootstrap(a, b, task, {}, {.draws = 300}).cohens_d.difference;
  for (const int threads : {2, 3}) {
    set_num_threads(threads);
    std::size_t last = 0, total = 1;
    const auto tell = [&](std::size_t done, std::size_t all) { last = done, total = all; };
    const auto more = paired_bootstrap(a, b, task, {}, {.draws = 300}, tell).cohens_d.difference;
    EXPECT_EQ(one.interval->low, more.interval->low);
    EXPECT_EQ(one.interval->high, more.interval->high);
    EXPECT_EQ(last, total);
  }
  set_num_threads(0);
}

}  // namespace
}  // namespace routesig
