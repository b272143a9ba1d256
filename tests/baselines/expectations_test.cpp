#include "routesig/baselines/expectations.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace routesig {
namespace {

TEST(PermutationMoments, ByHand) {
  const std::vector<double> values{.5, .5, 0, 0, .7, .1, .1, .1};
  const auto m = permutation_moments(SignatureView(values, 2, 1, 4), 0, 1);
  EXPECT_NEAR(m.mean, .4903, 5e-5);
  EXPECT_NEAR(std::sqrt(m.variance), .2942, 5e-5);
}

TEST(PermutationMoments, EqualTheAverageOverAllPermutations) {
  const std::vector<double> a{.4, .3, .2, .1, 0}, b{.6, 0, .25, .05, .1};
  std::vector<std::size_t> order{0, 1, 2, 3, 4};
  double mean = 0.0, squares = 0.0;
  do {
    std::vector<double> moved(5);
    std::ranges::transform(order, moved.begin(), [&](std::size_t i) { return b[i]; });
    const double cosine = Cosine()(a, moved);
    mean += cosine / 120.0;
    squares += cosine * cosine / 120.0;
  } while (std::ranges::next_permutation(order).found);
  std::vector<double> values = a;
  values.insert(values.end(), b.begin(), b.end());
  const auto m = permutation_moments(SignatureView(values, 2, 1, 5), 0, 1);
  EXPECT_NEAR(m.mean, mean, 1e-13);
  EXPECT_NEAR(m.variance, squares - mean * mean, 1e-13);
}

TEST(PermutationMoments, AverageOverLayersAndAnEmptyLayerCountsAsZero) {
  const std::vector<double> values{.5, .5, 0, 0, 1, 0, 0, 0, .7, .1, .1, .1, 0, 0, 0, 0};
  const auto m = permutation_moments(SignatureView(values, 2, 2, 4), 0, 1);
  EXPECT_NEAR(m.mean, .4903 / 2, 5e-5);
  EXPECT_NEAR(std::sqrt(m.variance), .2942 / 2, 5e-5);
  const std::vector<double> one_expert{1, 1};
  EXPECT_EQ(permutation_moments(SignatureView(one_expert, 2, 1, 1), 0, 1).mean, 1.0);
  EXPECT_EQ(permutation_moments(SignatureView(one_expert, 2, 1, 1), 0, 1).variance, 0.0);
}

TEST(SampledSimilarity, OfOlmoeByHand) {
  const double r = sampling_ratio(64, 8);
  EXPECT_EQ(r, 7.0);
  EXPECT_EQ(sampling_ratio(64, 8, RowDraws::with_replacement), 7.875);
  EXPECT_NEAR(sampled_similarity(8, 8, r), .5333, 5e-5);
  EXPECT_NEAR(sampled_similarity(32, 32, r), .8205, 5e-5);
  EXPECT_NEAR(sampled_similarity(50, 50, r), .8772, 5e-5);
  EXPECT_EQ(sampled_similarity(1, 1, r), .125);  // |E_a & E_b| / K = K/E: exact
  EXPECT_EQ(sampled_similarity(0, 8, r), 0.0);
  EXPECT_GT(sampled_similarity(1e6, 1e6, r), .99999);
}

TEST(SampledSimilarity, AgreesWithDrawsFromEightTokensOn) {
  constexpr double kPairs = 3000;
  for (const RowDraws draws : {RowDraws::distinct, RowDraws::with_replacement})
    for (const std::size_t tokens : {std::size_t{8}, std::size_t{32}, std::size_t{50}}) {
      const UniformRows rows(64, 8, draws);
      Random random(tokens);
      double mean = 0.0;
      for (int i = 0; i < kPairs; ++i) {
        std::vector<std::uint64_t> a(64), b(64);
        rows.add(random, tokens, a);
        rows.add(random, tokens, b);
        mean += Cosine()(std::vector<double>(a.begin(), a.end()), std::vector<double>(b.begin(), b.end())) / kPairs;
      }
      const auto t = static_cast<double>(tokens);
      EXPECT_NEAR(mean, sampled_similarity(t, t, sampling_ratio(64, 8, draws)), .0055) << tokens;  // .004 and noise
    }
}

TEST(SamplingRatio, OfEqualPopularityIsThatOfLoadBalancing) {
  EXPECT_NEAR(sampling_ratio(std::vector<std::uint64_t>(64, 5), 8), 7.0, 1e-12);
  // pi = (1, .5, .5): m = 1.5, r = (2 - 1.5) / 1.5.
  EXPECT_NEAR(sampling_ratio(std::vector<std::uint64_t>{2, 1, 1}, 2), 1.0 / 3.0, 1e-12);
}

TEST(ClosedForm, AveragesPairsAndAddsTheirVariances) {
  const std::vector<int> task{0, 0, 1, -1, 1};
  const std::vector<double> means{1, 2, 3, 4, 5}, variances(5, 1.0);
  const auto form = closed_form(Units(task), 1, means, variances);
  EXPECT_DOUBLE_EQ(*form.within, (2.0 + 15.0) / 2.0);              // 01, 24
  EXPECT_DOUBLE_EQ(*form.across, (3.0 + 5.0 + 6.0 + 10.0) / 4.0);  // 02, 04, 12, 14
  EXPECT_DOUBLE_EQ(*form.within_sd, std::sqrt(2.0) / 2.0);
  EXPECT_DOUBLE_EQ(*form.difference_sd, std::sqrt(1.0 / 2.0 + 1.0 / 4.0));
  const auto one_task =
      closed_form(Units(std::vector<int>{0, 0}), 1, std::vector<double>{1, 1}, std::vector<double>{1, 1});
  EXPECT_TRUE(one_task.within && !one_task.across && !one_task.difference && !one_task.difference_sd);
}

TEST(SumsOfProducts, EqualTheSumOverPairs) {
  const std::vector<int> task{2, 0, -1, 2, 0, 7, 2};
  Random random(1);
  std::vector<double> rows(7 * 3);
  for (double& x : rows) x = random.uniform();
  double within = 0.0, across = 0.0;
  for (std::size_t i = 0; i < 7; ++i)
    for (std::size_t j = i + 1; j < 7; ++j)
      for (std::size_t k = 0; k < 3 && task[i] >= 0 && task[j] >= 0; ++k)
        (task[i] == task[j] ? within : across) += rows[i * 3 + k] * rows[j * 3 + k];
  const TaskPairSums sums = sums_of_products(rows, 3, Units(task));
  EXPECT_NEAR(sums.within, within, 1e-13);
  EXPECT_NEAR(sums.across, across, 1e-13);
  // Prompts 0 and 3 in one group are no pair.
  for (std::size_t k = 0; k < 3; ++k) within -= rows[k] * rows[9 + k];
  const TaskPairSums grouped = sums_of_products(rows, 3, Units(task, std::vector<int>{4, -1, -1, 4, -1, -1, -1}));
  EXPECT_NEAR(grouped.within, within, 1e-13);
  EXPECT_NEAR(grouped.across, across, 1e-13);
}

TEST(BreakEven, IsWhereBothFormsMeet) {
  const double w = .9, ratio = 1.5;
  const double t = *break_even_tokens(w, ratio, 7.0);
  EXPECT_NEAR(t, (7.0 * .9 - 1.5) / .1, 1e-9);
  EXPECT_NEAR(w * sampled_similarity(t, t, ratio), sampled_similarity(t, t, 7.0), 1e-12);
  EXPECT_LE(*break_even_tokens(.2, 7.0, 7.0), 0.0);
  EXPECT_FALSE(break_even_tokens(1.0, 1.5, 7.0));
}

TEST(LengthFree, ByHand) {
  // Every token chooses experts 0 and one of 1, 2: |c|^2 = 64 + 16 + 16, m = (96 - 16) / 56.
  const std::vector<std::uint64_t> counts{8, 4, 4, 8, 4, 4};
  const auto found = length_free(CountView(counts, 2, 1, 3, 2), std::vector<int>{0, 0});
  const double m = 80.0 / 56.0;
  EXPECT_NEAR(found->within, 96.0 / 64.0 / m, 1e-12);
  EXPECT_NEAR(found->ratio, 2.0 / m - 1.0, 1e-12);
}

TEST(LengthFree, DoesNotDependOnLength) {
  // Prompts that share half of their preferences: popular experts 0..7 with 4 or 12 more.
  const std::size_t kExperts = 16;
  std::vector<std::vector<std::uint64_t>> totals(2, std::vector<std::uint64_t>(kExperts, 2));
  for (std::size_t e = 0; e < 4; ++e) totals[0][e] = totals[1][e + 2] = 9;
  const SystematicRows a(totals[0], 1, 4), b(totals[1], 1, 4);
  Random random(11);
  for (const std::size_t tokens : {std::size_t{12}, std::size_t{400}}) {
    std::vector<std::uint64_t> counts;
    constexpr std::size_t kLayers = 600;
    for (const SystematicRows* rows : {&a, &b})
      for (std::size_t l = 0; l < kLayers; ++l) {
        std::vector<std::uint64_t> row(kExperts);
        rows->add(random, std::vector<std::size_t>{tokens}, row);
        counts.insert(counts.end(), row.begin(), row.end());
      }
    const auto found = length_free(CountView(counts, 2, kLayers, kExperts, 4), std::vector<int>{0, 0});
    // pi of one prompt: 4 x 9/60 = .6 four times, 4 x 2/60 twelve times.
    const double m = 4 * .36 + 12 * std::pow(8.0 / 60.0, 2);
    const double inner = 2 * .36 + 4 * .6 * 8.0 / 60.0 + 10 * std::pow(8.0 / 60.0, 2);
    EXPECT_NEAR(found->within, inner / m, .02) << tokens;
    EXPECT_NEAR(found->ratio, 4.0 / m - 1.0, .06) << tokens;
  }
}

TEST(LengthFree, IsAbsentForShortPromptsAndWithoutPairs) {
  const std::vector<std::uint64_t> short_one{4, 3, 8, 8};
  EXPECT_FALSE(length_free(CountView(short_one, 2, 1, 2, 1), std::vector<int>{0, 0}));
  EXPECT_FALSE(length_free(CountView(short_one, 2, 1, 2, 1), std::vector<int>{0, 1}));
  const std::vector<std::uint64_t> never_twice{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  EXPECT_FALSE(length_free(CountView(never_twice, 2, 1, 8, 1), std::vector<int>{0, 0}));
}

TEST(CountView, RefusesShapesThatDoNotFit) {
  const std::vector<std::uint64_t> counts(8);
  EXPECT_THROW(CountView(counts, 2, 1, 3, 1), std::invalid_argument);
  EXPECT_THROW(CountView(counts, 2, 1, 4, 5), std::invalid_argument);
  const std::vector<std::uint64_t> uneven{3, 2};
  EXPECT_EQ(CountView(uneven, 1, 1, 2, 2).tokens(0, 0), 3U);
}

}  // namespace
}  // namespace routesig
