#include "routesig/permutation.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <map>
#include <vector>

#include "routesig/category_matrix.hpp"

namespace routesig {
namespace {

// Tasks a a b b; pairs 12 .9, 13 .5, 14 .4, 23 .6, 24 .3, 34 .8: D = .4.
const std::vector<double> kByHand{1, .9, .5, .4, .9, 1, .6, .3, .5, .6, 1, .8, .4, .3, .8, 1};
const std::vector<int> kTasks{0, 0, 1, 1};

std::vector<double> random_matrix(std::size_t n, std::uint64_t seed) {
  std::vector<double> m(n * n, 1.0);
  Random random(seed);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j) m[i * n + j] = m[j * n + i] = random.uniform();
  return m;
}

std::vector<int> cyclic(std::size_t n, int tasks) {
  std::vector<int> out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<int>(i) % tasks;
  return out;
}

double slow_sum(std::span<const double> m, std::span<const std::uint32_t> label) {
  double sum = 0.0;
  for (std::size_t i = 0; i < label.size(); ++i)
    for (std::size_t j = i + 1; j < label.size(); ++j)
      if (label[i] == label[j]) sum += m[i * label.size() + j];
  return sum;
}

TEST(Labellings, FewAreAllListedOnce) {
  const Labellings labellings(std::vector<int>{0, 0, 1, 1, 2});
  ASSERT_TRUE(labellings.exact());
  EXPECT_EQ(labellings.possible(), 30U);  // 5! / (2! 2! 1!)
  std::map<std::vector<std::uint32_t>, int> seen;
  std::vector<std::uint32_t> label(5);
  for (std::size_t i = 0; i < labellings.size(); ++i) {
    labellings.fill(i, label);
    EXPECT_EQ(std::ranges::count(label, 0U), 2);
    EXPECT_EQ(std::ranges::count(label, 1U), 2);
    ++seen[label];
  }
  EXPECT_EQ(seen.size(), 30U);
  EXPECT_DOUBLE_EQ(labellings.floor(), 2.0 / 30.0);  // the two tasks of two prompts may swap names
}

TEST(Labellings, CountsThemWithoutOverflow) {
  EXPECT_EQ(Labellings(cyclic(60, 2)).possible(), 118'264'581'564'861'424U);  // 60 choose 30
  EXPECT_EQ(Labellings(cyclic(66, 2)).possible(), 7219428434016265740U);
  EXPECT_FALSE(Labellings(cyclic(68, 2)).possible());
  EXPECT_EQ(Labellings(std::vector<int>{}).possible(), 1U);
}

TEST(Labellings, RandomOnesTakeEachTaskByItsShare) {
  // Eight, eight and four of twenty prompts; tolerances are four standard errors.
  const std::size_t draws = 30'000;
  const Labellings labellings(std::vector<int>{0, 0, 1, 1, 2, 0, 0, 1, 1, 2, 0, 0, 1, 1, 2, 0, 0, 1, 1, 2},
                              {.permutations = draws});
  ASSERT_FALSE(labellings.exact());
  std::vector<std::uint32_t> label(20);
  std::vector<double> last(3), pairs(9);
  for (std::size_t i = 0; i < draws; ++i) {
    labellings.fill(i, label);
    last[label[19]] += 1.0 / draws;
    pairs[label[3] * 3 + label[12]] += 1.0 / draws;
  }
  EXPECT_NEAR(last[0], 0.4, 0.012);
  EXPECT_NEAR(last[2], 0.2, 0.010);
  EXPECT_NEAR(pairs[0], 8.0 * 7.0 / 380.0, 0.009);
  EXPECT_NEAR(pairs[1], 8.0 * 8.0 / 380.0, 0.009);
  EXPECT_NEAR(pairs[8], 4.0 * 3.0 / 380.0, 0.005);
}

/// Sum over cells of (found - expected)^2 / expected, all cells being equally likely.
double chi_square(const std::map<std::vector<std::uint32_t>, int>& found, std::size_t cells) {
  double draws = 0.0, squares = 0.0;
  for (const auto& [cell, n] : found) draws += n, squares += static_cast<double>(n) * n;
  return squares * static_cast<double>(cells) / draws - draws;
}

TEST(Labellings, RandomOnesAreUniformOverAll) {
  // 30 labellings of which 29 are asked for, so that they are drawn; 99.9th percentile of chi-square, 29 degrees.
  std::map<std::vector<std::uint32_t>, int> seen;
  for (std::uint64_t seed = 0; seed < 1'000; ++seed) {
    const Labellings labellings(std::vector<int>{0, 0, 1, 1, 2}, {.permutations = 29, .seed = seed});
    ASSERT_FALSE(labellings.exact());
    std::vector<std::uint32_t> label(5);
    for (std::size_t i = 0; i < 29; ++i) {
      labellings.fill(i, label);
      ++seen[label];
    }
  }
  EXPECT_EQ(seen.size(), 30U);
  EXPECT_LT(chi_square(seen, 30), 58.3);
}

TEST(Labellings, TwoOfOneStreamAreIndependent) {
  // 6 x 6 pairs of labellings 2 s and 2 s + 1; 99.9th percentile of chi-square, 35 degrees.
  std::map<std::vector<std::uint32_t>, int> seen;
  for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
    const Labellings labellings(kTasks, {.permutations = 4, .seed = seed});
    for (std::size_t i = 0; i < 4; i += 2) {
      std::vector<std::uint32_t> both(8);
      labellings.fill(i, std::span(both).first(4));
      labellings.fill(i + 1, std::span(both).last(4));
      ++seen[both];
    }
  }
  EXPECT_EQ(seen.size(), 36U);
  EXPECT_LT(chi_square(seen, 36), 66.6);
}

template <typename Label>
void expect_the_same_side_by_side(std::size_t units, int tasks) {
  const Labellings labellings(cyclic(units, tasks), {.permutations = 3'000, .seed = 3});
  std::vector<Labellings::Lanes<Label>> lanes(units);
  std::vector<std::uint32_t> label(units);
  for (std::size_t first = 0; first < labellings.size(); first += Labellings::kLanes) {
    labellings.fill_lanes(first / Labellings::kLanes, std::span(lanes));
    for (std::size_t lane = 0; lane < Labellings::kLanes && first + lane < labellings.size(); ++lane) {
      labellings.fill(first + lane, label);
      for (std::size_t i = 0; i < units; ++i) ASSERT_EQ(lanes[i][lane], label[i]) << tasks << " " << first + lane;
    }
  }
}

TEST(Labellings, SideBySideTheyAreTheSame) {
  for (const std::size_t units : {4U, 90U, 255U, 256U}) {
    for (const int tasks : {1, 2, 3}) expect_the_same_side_by_side<std::uint8_t>(units, tasks);
    expect_the_same_side_by_side<std::uint32_t>(units, 20);
  }
  expect_the_same_side_by_side<std::uint32_t>(300, 300);
}

TEST(PairSums, EqualASlowSumForAnyNumberOfTasks) {
  for (const std::size_t n : {2U, 5U, 17U, 70U})
    for (const int tasks : {1, 2, 3, 4, 7, 12, 40}) {
      const auto m = random_matrix(n, n);
      const Labellings labellings(cyclic(n, tasks), {.permutations = 130});
      const std::vector<double> sums = same_label_sums(LowerPairs(m, n), labellings);
      ASSERT_EQ(sums.size(), labellings.size());
      std::vector<std::uint32_t> label(n);
      for (std::size_t i = 0; i < sums.size(); i += 13) {
        labellings.fill(i, label);
        ASSERT_NEAR(sums[i], slow_sum(m, label), 1e-10) << n << " " << tasks;
      }
    }
}

TEST(PermutationTest, OfASetIsThatOfItsLayers) {
  for (const int experts : {5, 37}) {  // sums of rows, sums of pairs
    SignatureSet<double> set{.layers = 3, .experts = experts};
    set.num_tokens.resize(90);
    Random random(1);
    for (int i = 0; i < 90 * 3 * experts; ++i) set.values.push_back(random.uniform());
    std::vector<int> task = cyclic(90, 3), group(90);
    task[4] = -1;
    for (int i = 0; i < 90; ++i) group[static_cast<std::size_t>(i)] = i < 30 ? i % 6 : -1;  // groups of five; alone
    const LabellingOptions options{.permutations = 300, .seed = 5};
    for (const std::vector<int>& groups : {std::vector<int>{}, group}) {
      const auto one_by_one = layer_permutation_test(set, task, groups, options);
      const auto together = permutation_test(similarity_layers(set), task, groups, options);
      ASSERT_EQ(one_by_one.null.size(), together.null.size());
      for (std::size_t i = 0; i < together.null.size(); ++i)
        ASSERT_NEAR(one_by_one.null[i], together.null[i], 1e-13) << i;
      ASSERT_EQ(one_by_one.tests.size(), 3U);
      for (std::size_t l = 0; l < 3; ++l) {
        EXPECT_NEAR(one_by_one.tests[l].difference, together.tests[l].difference, 1e-13);
        EXPECT_NEAR(*one_by_one.tests[l].cohens_d, *together.tests[l].cohens_d, 1e-11);
        EXPECT_EQ(one_by_one.tests[l].adjusted->value, together.tests[l].adjusted->value);
      }
    }
  }
}

TEST(PermutationTest, ByHand) {
  const PermutationTest found = permutation_test(kByHand, kTasks);
  ASSERT_EQ(found.tests.size(), 1U);
  EXPECT_TRUE(found.exact);
  EXPECT_EQ(found.permutations, 6U);
  // Partitions 12|34, 13|24, 14|23: within sums 1.7, .8, 1.0; each comes twice.
  EXPECT_NEAR(found.tests[0].difference, 0.4, 1e-14);
  EXPECT_DOUBLE_EQ(found.tests[0].p.value, 2.0 / 6.0);
  EXPECT_DOUBLE_EQ(found.tests[0].p.floor, 2.0 / 6.0);
  EXPECT_NEAR(*found.tests[0].cohens_d, 3.4112, 5e-5);
  EXPECT_DOUBLE_EQ(found.tests[0].cohens_d_p->value, 2.0 / 6.0);
  const std::vector<double> expected{.4, -.275, -.125, -.125, -.275, .4};
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(found.null[i], expected[i], 1e-14);
}

TEST(PermutationTest, NullDistributionEqualsSeparationOfEachLabelling) {
  const auto m = random_matrix(30, 4);
  const auto tasks =
      std::vector<int>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, -1, 3, 3, 3};
  const PermutationTest found = permutation_test(m, tasks, {}, {.permutations = 200, .seed = 9});
  std::vector<int> labelled;
  std::vector<std::size_t> kept;
  for (std::size_t i = 0; i < 30; ++i)
    if (tasks[i] >= 0) kept.push_back(i), labelled.push_back(tasks[i]);
  const Labellings labellings(labelled, {.permutations = 200, .seed = 9});
  std::vector<std::uint32_t> label(29);
  for (std::size_t draw = 0; draw < 200; draw += 7) {
    labellings.fill(draw, label);
    std::vector<int> dealt(30, -1);
    for (std::size_t k = 0; k < kept.size(); ++k) dealt[kept[k]] = static_cast<int>(label[k]);
    const Separation s = separation(m, dealt);
    EXPECT_NEAR(found.null[draw], *s.within.mean - *s.across.mean, 1e-13);
  }
  const Separation s = separation(m, tasks);
  EXPECT_NEAR(found.tests[0].difference, *s.within.mean - *s.across.mean, 1e-13);
  EXPECT_NEAR(*found.tests[0].cohens_d, *s.cohens_d, 1e-12);
  EXPECT_EQ(found.tests[0].p.value, found.tests[0].cohens_d_p->value);  // one size of unit: d grows with D
}

TEST(PermutationTest, WholeGroupsArePermuted) {
  // Three groups a task: 6! / (3! 3!) = 20 labellings, and the tasks may swap names.
  const auto tasks = cyclic(12, 2);
  std::vector<int> group(12);
  for (std::size_t i = 0; i < 12; ++i) group[i] = static_cast<int>(i % 6);
  const auto m = random_matrix(12, 8);
  const PermutationTest found = permutation_test(m, tasks, group);
  EXPECT_EQ(found.units, 6U);
  EXPECT_EQ(found.permutations, 20U);
  EXPECT_DOUBLE_EQ(found.tests[0].p.floor, 0.1);
  // By definition: every choice of three groups.
  std::vector<double> differences;
  for (unsigned choice = 0; choice < 64; ++choice) {
    if (std::popcount(choice) != 3) continue;
    std::vector<int> dealt(12);
    for (std::size_t i = 0; i < 12; ++i) dealt[i] = static_cast<int>(choice >> (i % 6) & 1U);
    const Separation s = separation(m, dealt);
    differences.push_back(*s.within.mean - *s.across.mean);
  }
  std::vector<double> null = found.null;
  std::ranges::sort(differences);
  std::ranges::sort(null);
  for (std::size_t i = 0; i < 20; ++i) EXPECT_NEAR(null[i], differences[i], 1e-13);
}

TEST(PermutationTest, GroupsMayDifferInSize) {
  const std::vector<int> tasks{0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1};
  const std::vector<int> group{0, 0, 0, 1, 2, 2, 3, 3, 3, 3, 4, -1};
  const auto m = random_matrix(12, 2);
  const PermutationTest found = permutation_test(m, tasks, group);
  EXPECT_EQ(found.units, 6U);
  const Labellings labellings(std::vector<int>{0, 0, 0, 1, 1, 1});
  std::vector<std::uint32_t> label(6);
  const std::vector<std::size_t> unit{0, 0, 0, 1, 2, 2, 3, 3, 3, 3, 4, 5};
  double reached = 0.0, reached_d = 0.0;
  const Separation observed = separation(m, tasks);
  for (std::size_t draw = 0; draw < 20; ++draw) {
    labellings.fill(draw, label);
    std::vector<int> dealt(12);
    for (std::size_t i = 0; i < 12; ++i) dealt[i] = static_cast<int>(label[unit[i]]);
    const Separation s = separation(m, dealt);
    EXPECT_NEAR(found.null[draw], *s.within.mean - *s.across.mean, 1e-13);
    reached += found.null[draw] >= found.tests[0].difference - 1e-12 ? 1.0 : 0.0;
    reached_d += *s.cohens_d >= *observed.cohens_d - 1e-12 ? 1.0 : 0.0;
  }
  EXPECT_DOUBLE_EQ(found.tests[0].p.value, reached / 20.0);
  EXPECT_DOUBLE_EQ(found.tests[0].cohens_d_p->value, reached_d / 20.0);
}

TEST(PermutationTest, AGroupInTwoTasksIsRefused) {
  EXPECT_THROW((void)permutation_test(kByHand, kTasks, std::vector<int>{0, 1, 1, 2}), std::invalid_argument);
}

TEST(PermutationTest, AdjustedIsTheLargestOfAllLayers) {
  std::vector<double> layers;
  for (std::uint64_t seed : {1U, 2U, 3U}) {
    const auto m = random_matrix(20, seed);
    layers.insert(layers.end(), m.begin(), m.end());
  }
  const auto tasks = cyclic(20, 2);
  const PermutationTest found = permutation_test(layers, tasks, {}, {.permutations = 500});
  ASSERT_EQ(found.tests.size(), 3U);
  for (std::size_t m = 0; m < 3; ++m) {
    const auto alone = permutation_test(std::span(layers).subspan(m * 400, 400), tasks, {}, {.permutations = 500});
    EXPECT_EQ(alone.tests[0].p.value, found.tests[m].p.value);
    EXPECT_EQ(alone.tests[0].adjusted->value, alone.tests[0].p.value);  // alone there is nothing to adjust for
    EXPECT_GE(found.tests[m].adjusted->value, found.tests[m].p.value);
  }
}

TEST(PermutationTest, WhatIsUndefinedIsAbsent) {
  EXPECT_TRUE(permutation_test(kByHand, std::vector<int>{0, 0, 0, 0}).tests.empty());
  EXPECT_TRUE(permutation_test(kByHand, std::vector<int>{0, 1, 2, 3}).tests.empty());
  EXPECT_TRUE(permutation_test(kByHand, std::vector<int>{-1, -1, -1, -1}).tests.empty());
  EXPECT_TRUE(permutation_test({}, {}).tests.empty());
  const auto flat = permutation_test(std::vector<double>(16, .1), kTasks);
  EXPECT_NEAR(flat.tests[0].difference, 0.0, 1e-15);
  EXPECT_EQ(flat.tests[0].p.value, 1.0);
  EXPECT_FALSE(flat.tests[0].cohens_d || flat.tests[0].adjusted);
  // Perfect separation: d is absent, D is not.
  const std::vector<double> perfect{1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1};
  const auto clear = permutation_test(perfect, kTasks);
  EXPECT_NEAR(clear.tests[0].difference, 1.0, 1e-15);
  EXPECT_FALSE(clear.tests[0].cohens_d);
}

TEST(PermutationTest, ThreadsDoNotChangeAByte) {
  const auto m = random_matrix(50, 1);
  const auto tasks = cyclic(50, 4);
  set_num_threads(1);
  const auto one = permutation_test(m, tasks, {}, {.permutations = 3'000, .seed = 5});
  for (const int threads : {2, 3}) {
    set_num_threads(threads);
    EXPECT_EQ(permutation_test(m, tasks, {}, {.permutations = 3'000, .seed = 5}).null, one.null);
  }
  set_num_threads(0);
  EXPECT_NE(permutation_test(m, tasks, {}, {.permutations = 3'000, .seed = 6}).null, one.null);
}

TEST(PermutationTest, TellsItsProgress) {
  std::vector<double> layers = kByHand;
  layers.insert(layers.end(), kByHand.begin(), kByHand.end());
  std::size_t last = 0;
  (void)permutation_test(layers, kTasks, {}, {}, [&](std::size_t done, std::size_t total) {
    EXPECT_LE(done, total);
    EXPECT_GE(done, last);
    EXPECT_EQ(total, 12U);
    last = done;
  });
  EXPECT_EQ(last, 12U);
}

TEST(PermutationTest, RefusesWhatDoesNotFit) {
  EXPECT_THROW((void)permutation_test(std::vector<double>(9), kTasks), std::invalid_argument);
  EXPECT_THROW((void)permutation_test(kByHand, kTasks, std::vector<int>{0}), std::invalid_argument);
  EXPECT_THROW((void)permutation_test(kByHand, kTasks, {}, {.permutations = 0}), std::invalid_argument);
  auto broken = kByHand;
  broken[1] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW((void)permutation_test(broken, kTasks), std::invalid_argument);
}

TEST(CategoryMatrix, ByHand) {
  const CategoryMatrix found = category_matrix(kByHand, kTasks, 3);
  EXPECT_NEAR(*found.mean[0], .9, 1e-15);
  EXPECT_NEAR(*found.mean[1], .45, 1e-15);
  EXPECT_NEAR(*found.mean[3], .45, 1e-15);
  EXPECT_NEAR(*found.mean[4], .8, 1e-15);
  EXPECT_FALSE(found.mean[2] || found.mean[8]);
  EXPECT_EQ(found.pairs[1], 4U);
  EXPECT_THROW((void)category_matrix(kByHand, kTasks, 1), std::invalid_argument);
  std::vector<double> broken(kByHand.begin(), kByHand.end());
  broken[1] = std::nan("");
  EXPECT_THROW((void)category_matrix(broken, kTasks, 3), std::invalid_argument);
}

TEST(BalancedSeparation, WeighsTasksAlike) {
  // Tasks a a a b b: within pairs of a .9 .9 .9, of b .5; across all .1.
  std::vector<double> m(25, .1);
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j) m[i * 5 + j] = .9;
  m[3 * 5 + 4] = m[4 * 5 + 3] = .5;
  const std::vector<int> tasks{0, 0, 0, 1, 1};
  const Separation plain = separation(m, tasks), balanced = balanced_separation(m, tasks);
  EXPECT_NEAR(*plain.within.mean, .8, 1e-15);
  EXPECT_NEAR(*balanced.within.mean, .7, 1e-15);
  EXPECT_NEAR(*balanced.across.mean, .1, 1e-15);
  EXPECT_NEAR(*balanced.cohens_d / *plain.cohens_d, .6 / .7, 1e-12);
  EXPECT_FALSE(balanced_separation({}, {}).within.mean);
}

}  // namespace
}  // namespace routesig
