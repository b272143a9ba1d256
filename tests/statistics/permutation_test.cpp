#include "routesig/statistics/permutation.hpp"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "routesig/statistics/category_matrix.hpp"
#include "statistics/label_sums.hpp"
#include "statistics/pair_sums.hpp"
#include "support/matrices.hpp"

namespace routesig {
namespace {

using testing::cyclic;
using testing::random_matrix;

// Tasks a a b b; pairs 12 .9, 13 .5, 14 .4, 23 .6, 24 .3, 34 .8: D = .4.
const std::vector<double> kByHand{1, .9, .5, .4, .9, 1, .6, .3, .5, .6, 1, .8, .4, .3, .8, 1};
const std::vector<int> kTasks{0, 0, 1, 1};

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

TEST(Labellings, WithinSourcesEachOfThemComesOnce) {
  // Source 5 holds units 0, 2, 3 of tasks 0, 1, 1; the others (no source) units 1, 4 of tasks 0, 1: 3 x 2 labellings.
  const Units units(std::vector<int>{0, 0, 1, 1, 1});
  const Labellings labellings(units, {.source = {5, -1, 5, 5, -2}});
  ASSERT_TRUE(labellings.exact());
  EXPECT_EQ(labellings.possible(), 6U);
  std::map<std::vector<std::uint32_t>, int> seen;
  std::vector<std::uint32_t> label(5);
  for (std::size_t i = 0; i < labellings.size(); ++i) {
    labellings.fill(i, label);
    EXPECT_EQ(label[0] + label[2] + label[3], 2U);
    EXPECT_EQ(label[1] + label[4], 1U);
    ++seen[label];
  }
  EXPECT_EQ(seen.size(), 6U);
  EXPECT_DOUBLE_EQ(labellings.floor(), 1.0 / 6.0);  // tasks differ in their units of source 5: none may swap names
}

TEST(Labellings, WithinSourcesRandomOnesAreEquallyLikely) {
  std::vector<int> tasks, source;
  for (int i = 0; i < 24; ++i) {
    tasks.push_back(i % 3);
    source.push_back(i % 4 == 0 ? 0 : 1);  // 6 and 18 units
  }
  const Labellings labellings(Units(tasks), {.permutations = 6'000, .seed = 3, .source = source});
  ASSERT_FALSE(labellings.exact());
  std::vector<std::uint32_t> label(24);
  std::vector<Labellings::Lanes<std::uint8_t>> lanes(24);
  std::array<double, 3> counts{};
  for (std::size_t i = 0; i < labellings.size(); ++i) {
    labellings.fill(i, label);
    if (i % Labellings::kLanes == 0) labellings.fill_lanes(i / Labellings::kLanes, std::span(lanes));
    std::array<int, 3> of_first{};
    for (std::size_t u = 0; u < 24; ++u) {
      ASSERT_EQ(lanes[u][i % Labellings::kLanes], label[u]);
      if (source[u] == 0) ++of_first[label[u]];
    }
    ASSERT_EQ(of_first, (std::array<int, 3>{2, 2, 2}));
    ++counts[label[4]];
  }
  for (const double count : counts) EXPECT_NEAR(count, 2'000.0, 4.0 * std::sqrt(6'000.0 * 2.0 / 9.0));  // 4 sd
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
        EXPECT_NEAR(*one_by_one.tests[l].difference, *together.tests[l].difference, 1e-13);
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
  EXPECT_NEAR(*found.tests[0].difference, 0.4, 1e-14);
  EXPECT_DOUBLE_EQ(found.tests[0].p->value, 2.0 / 6.0);
  EXPECT_DOUBLE_EQ(found.tests[0].p->floor, 2.0 / 6.0);
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
  EXPECT_NEAR(*found.tests[0].difference, *s.within.mean - *s.across.mean, 1e-13);
  EXPECT_NEAR(*found.tests[0].cohens_d, *s.cohens_d, 1e-12);
  EXPECT_EQ(found.tests[0].p->value, found.tests[0].cohens_d_p->value);  // one size of unit: d grows with D
}

TEST(PermutationTest, WholeGroupsArePermuted) {
  // Three groups per task: 6! / (3! 3!) = 20 labellings, and the tasks may swap names.
  const auto tasks = cyclic(12, 2);
  std::vector<int> group(12);
  for (std::size_t i = 0; i < 12; ++i) group[i] = static_cast<int>(i % 6);
  const auto m = random_matrix(12, 8);
  const PermutationTest found = permutation_test(m, tasks, group);
  EXPECT_EQ(found.units, 6U);
  EXPECT_EQ(found.permutations, 20U);
  EXPECT_DOUBLE_EQ(found.tests[0].p->floor, 0.1);
  // By definition: every choice of three groups.
  std::vector<double> differences;
  for (unsigned choice = 0; choice < 64; ++choice) {
    if (std::popcount(choice) != 3) continue;
    std::vector<int> dealt(12);
    for (std::size_t i = 0; i < 12; ++i) dealt[i] = static_cast<int>(choice >> (i % 6) & 1U);
    differences.push_back(*separation(m, dealt, group).difference());
  }
  std::vector<double> null = found.null;
  std::ranges::sort(differences);
  std::ranges::sort(null);
  for (std::size_t i = 0; i < 20; ++i) EXPECT_NEAR(null[i], differences[i], 1e-13);
}

// D and d over pairs of different groups, as the definition reads; NaN is no pair.
std::array<double, 2> by_definition(std::span<const double> m, std::span<const int> tasks,
                                    std::span<const int> groups) {
  std::vector<double> within, across;
  for (std::size_t i = 0; i < tasks.size(); ++i)
    for (std::size_t j = i + 1; j < tasks.size(); ++j)
      if (const double x = m[i * tasks.size() + j]; !std::isnan(x) && groups[i] != groups[j])
        (tasks[i] == tasks[j] ? within : across).push_back(x);
  const Spread w = spread(within), a = spread(across);
  const auto n_w = static_cast<double>(w.draws), n_a = static_cast<double>(a.draws);
  const double pooled = ((n_w - 1) * w.sd * w.sd + (n_a - 1) * a.sd * a.sd) / (n_w + n_a - 2);
  return {w.mean - a.mean, (w.mean - a.mean) / std::sqrt(pooled)};
}

void expect_definition(const std::vector<double>& m, std::size_t draws) {
  const std::vector<int> tasks{0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1};
  const std::vector<int> group{0, 0, 0, 1, 2, 2, 3, 3, 3, 3, 4, 5};
  const PermutationTest found = permutation_test(m, tasks, group);
  EXPECT_EQ(found.units, 6U);
  ASSERT_EQ(found.null.size(), draws);
  const Labellings labellings(std::vector<int>{0, 0, 0, 1, 1, 1});
  std::vector<std::uint32_t> label(6);
  double reached = 0.0, reached_d = 0.0;
  const auto observed = by_definition(m, tasks, group);
  EXPECT_NEAR(*found.tests[0].difference, observed[0], 1e-13);
  EXPECT_NEAR(*found.tests[0].cohens_d, observed[1], 1e-12);
  for (std::size_t draw = 0; draw < draws; ++draw) {
    labellings.fill(draw, label);
    std::vector<int> permuted(12);
    for (std::size_t i = 0; i < 12; ++i) permuted[i] = static_cast<int>(label[static_cast<std::size_t>(group[i])]);
    const auto expected = by_definition(m, permuted, group);
    EXPECT_NEAR(found.null[draw], expected[0], 1e-13);
    reached += expected[0] >= observed[0] - 1e-12 ? 1.0 : 0.0;
    reached_d += expected[1] >= observed[1] - 1e-12 ? 1.0 : 0.0;
  }
  EXPECT_DOUBLE_EQ(found.tests[0].p->value, reached / 20.0);
  EXPECT_DOUBLE_EQ(found.tests[0].cohens_d_p->value, reached_d / 20.0);
}

TEST(PermutationTest, GroupsMayDifferInSize) { expect_definition(random_matrix(12, 2), 20); }

TEST(PermutationTest, PairsWithoutASimilarityAreNoPairs) {
  auto m = random_matrix(12, 2);
  constexpr double absent = std::numeric_limits<double>::quiet_NaN();
  for (const auto& [i, j] : {std::pair(0U, 4U), {0U, 7U}, {5U, 11U}, {6U, 10U}}) m[i * 12 + j] = m[j * 12 + i] = absent;
  expect_definition(m, 20);
}

TEST(PermutationTest, GroupsThatLeaveTooFewPairsGiveNoTest) {
  // Task 0: groups of 3 and 1, three pairs between them; task 1: single prompts.
  const std::vector<int> tasks{0, 0, 0, 0, 1, 1, 1, 1}, group{0, 0, 0, 1, 2, 3, 4, 5};
  EXPECT_TRUE(permutation_test(random_matrix(8, 1), tasks, group).tests.empty());
  EXPECT_FALSE(permutation_test(random_matrix(8, 1), tasks).tests.empty());
}

TEST(PermutationTest, WithinSourcesLabelsStay) {
  // Sources 0 and 1, each with two prompts of both tasks: 6 x 6 labellings. What differs between sources alone gives
  // every labelling the same D.
  const std::vector<int> tasks{0, 0, 1, 1, 0, 0, 1, 1}, source{0, 0, 0, 0, 1, 1, 1, 1};
  std::vector<double> m(64, .2);
  for (std::size_t i = 0; i < 8; ++i)
    for (std::size_t j = 0; j < 8; ++j)
      if (source[i] == source[j]) m[i * 8 + j] = .8;
  const PermutationTest found = permutation_test(m, tasks, {}, {.source = source});
  EXPECT_TRUE(found.exact);
  EXPECT_EQ(found.permutations, 36U);
  for (const double x : found.null) EXPECT_NEAR(x, found.null[0], 1e-14);
  EXPECT_DOUBLE_EQ(found.tests[0].p->value, 1.0);
  EXPECT_DOUBLE_EQ(found.tests[0].p->floor, 2.0 / 36.0);  // the tasks may swap names in both sources together
  // Task and source the same: no labelling differs.
  const PermutationTest none = permutation_test(m, source, {}, {.source = source});
  EXPECT_EQ(none.permutations, 1U);
  EXPECT_TRUE(none.tests[0].difference && !none.tests[0].p);
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
    EXPECT_EQ(alone.tests[0].p->value, found.tests[m].p->value);
    EXPECT_EQ(alone.tests[0].adjusted->value, alone.tests[0].p->value);  // alone there is nothing to adjust for
    EXPECT_GE(found.tests[m].adjusted->value, found.tests[m].p->value);
  }
}

TEST(PermutationTest, WhatIsUndefinedIsAbsent) {
  EXPECT_TRUE(permutation_test(kByHand, std::vector<int>{0, 0, 0, 0}).tests.empty());
  EXPECT_TRUE(permutation_test(kByHand, std::vector<int>{0, 1, 2, 3}).tests.empty());
  EXPECT_TRUE(permutation_test(kByHand, std::vector<int>{-1, -1, -1, -1}).tests.empty());
  EXPECT_TRUE(permutation_test({}, {}).tests.empty());
  const auto flat = permutation_test(std::vector<double>(16, .1), kTasks);
  EXPECT_NEAR(*flat.tests[0].difference, 0.0, 1e-15);
  EXPECT_EQ(flat.tests[0].p->value, 1.0);
  EXPECT_FALSE(flat.tests[0].cohens_d || flat.tests[0].adjusted);
  // Perfect separation: d is absent, D is not.
  const std::vector<double> perfect{1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1};
  const auto clear = permutation_test(perfect, kTasks);
  EXPECT_NEAR(*clear.tests[0].difference, 1.0, 1e-15);
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
  broken[1] = std::numeric_limits<double>::infinity();
  EXPECT_THROW((void)permutation_test(broken, kTasks), std::invalid_argument);
  EXPECT_THROW((void)permutation_test(kByHand, kTasks, {}, {.source = {0}}), std::invalid_argument);
  EXPECT_THROW(
      (void)permutation_test(random_matrix(4, 1), kTasks, std::vector<int>{0, 0, 1, 2}, {.source = {0, 1, 0, 1}}),
      std::invalid_argument);  // a group in two sources
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
  broken[1] = std::numeric_limits<double>::infinity();
  EXPECT_THROW((void)category_matrix(broken, kTasks, 3), std::invalid_argument);
  broken[1] = std::nan("");
  EXPECT_EQ(category_matrix(broken, kTasks, 3).pairs[0], 0U);  // a pair without a similarity
  const CategoryMatrix grouped = category_matrix(kByHand, kTasks, 3, std::vector<int>{7, 7, -1, -1});
  EXPECT_FALSE(grouped.mean[0]);
  EXPECT_NEAR(*grouped.mean[1], .45, 1e-15);
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
