#include "routesig/comparison/matrix_correlation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "support/matrices.hpp"

namespace routesig {
namespace {

using testing::cyclic;
using ::testing::ElementsAre;
using testing::random_matrix;

// Tasks 0, 1, 2, 0, ...: pairs of one task are more alike by 1.
std::vector<double> blocks(std::span<const int> task, std::uint64_t seed) {
  auto m = random_matrix(task.size(), seed);
  for (std::size_t i = 0; i < task.size(); ++i)
    for (std::size_t j = 0; j < task.size(); ++j) m[i * task.size() + j] += task[i] == task[j] ? 1.0 : 0.0;
  return m;
}

TEST(Ranks, TiesShareTheirMean) {
  EXPECT_THAT(average_ranks(std::vector<double>{3, 1, 3, 0}), ElementsAre(3.5, 2, 3.5, 1));
  EXPECT_TRUE(average_ranks({}).empty());
}

TEST(MatrixCorrelation, ByHand) {
  // Pairs 01 02 12: .1 .2 .3 and .1 .3 .2. Ranks 1 2 3 and 1 3 2: 1 - 6 (0 + 1 + 1) / (3 * 8) = .5.
  const std::vector<double> a{1, 0.1, 0.2, 0, 1, 0.3, 0, 0, 1}, b{1, 0.1, 0.3, 0, 1, 0.2, 0, 0, 1};
  const MatrixCorrelation found(a, b, 3);
  EXPECT_EQ(found.pairs(), 3U);
  EXPECT_NEAR(*found.spearman(), 0.5, 1e-15);
  // All 6 orders of three prompts permute the three pairs in every way: correlations 1, .5, .5, -.5, -.5, -1.
  const auto test = found.mantel_test(std::vector<int>{0, 0, 0});
  EXPECT_TRUE(test->exact);
  EXPECT_EQ(test->permutations, 6U);
  EXPECT_NEAR(test->p.value, 3.0 / 6.0, 1e-15);
  EXPECT_NEAR(test->p.floor, 1.0 / 6.0, 1e-15);
  EXPECT_NEAR(test->null.mean, 0.0, 1e-15);
}

TEST(StratifiedPermutations, EnumerateEveryOrderOnce) {
  const StratifiedPermutations orders(std::vector<int>{0, 1, 0, -1, 1, 0}, {.permutations = 100});
  EXPECT_TRUE(orders.exact());
  ASSERT_EQ(orders.size(), 12U);  // 3! 2!
  std::set<std::vector<std::uint32_t>> seen;
  for (std::size_t i = 0; i < orders.size(); ++i) {
    std::vector<std::uint32_t> order(6);
    orders.fill(i, order);
    EXPECT_EQ(order[3], 3U);
    EXPECT_TRUE(order[1] == 1U || order[1] == 4U);
    seen.insert(order);
  }
  EXPECT_EQ(seen.size(), 12U);
}

TEST(StratifiedPermutations, RandomOrdersAreUniform) {
  const StratifiedPermutations orders(cyclic(20, 2), {.permutations = 6'000, .seed = 3});
  EXPECT_FALSE(orders.exact());
  std::vector<int> seen(20);
  std::vector<std::uint32_t> order(20);
  for (std::size_t i = 0; i < orders.size(); ++i) {
    orders.fill(i, order);
    ++seen[order[4]];
  }
  for (std::size_t k = 0; k < 20; ++k)
    EXPECT_NEAR(seen[k], k % 2 == 0 ? 600 : 0, k % 2 == 0 ? 5 * std::sqrt(6'000 * 0.1 * 0.9) : 0) << k;
}

TEST(Mantel, FreePermutationTakesTasksForAgreementAndStratifiedDoesNot) {
  const auto task = cyclic(24, 3);
  int free = 0, within = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const MatrixCorrelation found(blocks(task, 2 * seed), blocks(task, 2 * seed + 1), 24);
    const MantelOptions options{.permutations = 99, .seed = seed};
    free += found.mantel_test(std::vector<int>(24, 0), options)->p.value <= 0.05 ? 1 : 0;
    within += found.mantel_test(task, options)->p.value <= 0.05 ? 1 : 0;
  }
  EXPECT_EQ(free, 100);
  EXPECT_LE(within, 14);  // 5 expected
}

TEST(Mantel, FindsAgreementBeyondTasks) {
  const auto task = cyclic(24, 3);
  const auto a = blocks(task, 1);
  auto b = a;
  const auto noise = random_matrix(24, 5);
  for (std::size_t i = 0; i < b.size(); ++i) b[i] += 0.5 * noise[i];
  const auto found = MatrixCorrelation(a, b, 24).mantel_test(task, {.permutations = 999});
  EXPECT_EQ(found->p.value, 0.001);
  EXPECT_EQ(found->p.floor, 0.001);
  EXPECT_LT(found->null.high, *MatrixCorrelation(a, b, 24).spearman());
}

TEST(Mantel, IsAbsentWhereNothingVariesOrMoves) {
  const auto a = random_matrix(4, 1);
  const std::vector<double> flat(16, 0.5);
  EXPECT_FALSE(MatrixCorrelation(a, flat, 4).spearman());
  EXPECT_FALSE(MatrixCorrelation(a, flat, 4).mantel_test(std::vector<int>(4, 0)));
  EXPECT_FALSE(MatrixCorrelation(a, a, 4).mantel_test(std::vector<int>{0, 1, 2, 3}));
  EXPECT_FALSE(MatrixCorrelation(a, a, 4).mantel_test(std::vector<int>(4, -1)));
  EXPECT_FALSE(MatrixCorrelation({}, {}, 0).spearman());
  EXPECT_EQ(*MatrixCorrelation(a, a, 4).spearman(), 1.0);
  EXPECT_THROW((void)MatrixCorrelation(a, flat, 3), std::invalid_argument);
  EXPECT_THROW((void)MatrixCorrelation(a, a, 4).mantel_test(std::vector<int>(3)), std::invalid_argument);
  EXPECT_THROW((void)MatrixCorrelation(a, a, 4).mantel_test(std::vector<int>(4), {.permutations = 0}),
               std::invalid_argument);
  auto broken = a;
  broken[1] = std::nan("");
  EXPECT_THROW((void)MatrixCorrelation(a, broken, 4), std::invalid_argument);
}

TEST(Mantel, ThreadsDoNotChangeAByte) {
  const MatrixCorrelation found(random_matrix(20, 1), random_matrix(20, 2), 20);
  set_num_threads(1);
  const auto one = found.mantel_test(cyclic(20, 2), {.permutations = 700});
  for (const int threads : {2, 3}) {
    set_num_threads(threads);
    const auto more = found.mantel_test(cyclic(20, 2), {.permutations = 700});
    EXPECT_EQ(one->p.value, more->p.value);
    EXPECT_EQ(one->null.mean, more->null.mean);
    EXPECT_EQ(one->null.low, more->null.low);
  }
  set_num_threads(0);
}

}  // namespace
}  // namespace routesig
