#include "routesig/baselines/expert_sampling.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

namespace routesig {
namespace {

using Counts = std::vector<std::uint64_t>;

// `rows` rows one by one: [rows, experts] of 0 or 1 where experts are distinct.
template <typename Rows>
std::vector<Counts> one_by_one(const Rows& sampler, std::size_t experts, std::size_t rows, std::uint64_t seed) {
  Random random(seed);
  std::vector<Counts> out(rows, Counts(experts));
  for (Counts& counts : out) sampler.add(random, 1, counts);
  return out;
}

TEST(Digits, AreUniformAndIndependent) {
  constexpr std::size_t kRows = 150'000;
  Random random(1);
  const auto d = Digits({3, 5}).draw(random, kRows);
  std::array<int, 15> seen{};
  for (std::size_t row = 0; row < kRows; ++row) ++seen.at(d[row] * 5 + d[kRows + row]);
  for (const int n : seen) EXPECT_NEAR(n, 10'000, 450);
}

TEST(Digits, OfLargeSizesComeFromSeveralWords) {
  const std::vector<std::uint32_t> sizes{65'534, 1, 65'534, 65'534, 2, 250, 65'534, 4'000'000'000};
  constexpr std::size_t kRows = 40'000;
  Random random(2);
  const auto d = Digits(sizes).draw(random, kRows);
  ASSERT_EQ(d.size(), sizes.size() * kRows);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    double mean = 0.0;
    for (const std::uint32_t x : std::span(d).subspan(i * kRows, kRows)) {
      ASSERT_LT(x, sizes[i]);
      mean += x / static_cast<double>(kRows);
    }
    const double half = (static_cast<double>(sizes[i]) - 1.0) / 2.0;
    EXPECT_NEAR(mean, half, 0.02 * half + 1e-12) << i;
  }
}

TEST(Digits, HaveNoBias) {
  // Without drawing again, of 2^32 words 1/3 more would give even numbers below 3 x 2^30 than odd ones.
  constexpr std::size_t kRows = 40'000;
  Random random(3);
  int lowest = 0;
  for (const std::uint32_t x : Digits({3U << 30U}).draw(random, kRows)) lowest += x % 3 == 0 ? 1 : 0;
  EXPECT_NEAR(lowest, 13'333, 400);
}

TEST(UniformRows, HaveDistinctExperts) {
  for (const auto& [experts, top_k] :
       std::vector<std::array<std::size_t, 2>>{{1, 1}, {5, 5}, {8, 2}, {64, 8}, {64, 64}, {65, 8}, {128, 8}, {300, 70}})
    for (const Counts& row : one_by_one(UniformRows(experts, top_k), experts, 200, experts)) {
      EXPECT_EQ(std::accumulate(row.begin(), row.end(), 0U), top_k);
      EXPECT_LE(std::ranges::max(row), 1U) << experts << " choose " << top_k;
    }
}

TEST(UniformRows, AddAsManyAsAsked) {
  Random random(11);
  for (const std::size_t experts : {std::size_t{64}, std::size_t{128}})
    for (const std::size_t rows : {std::size_t{0}, std::size_t{64}, std::size_t{1000}}) {
      Counts counts(experts, 5);
      UniformRows(experts, 8).add(random, rows, counts);
      EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), 0U), experts * 5 + rows * 8);
      const double expected = 5.0 + 8.0 * static_cast<double>(rows) / static_cast<double>(experts);
      for (const std::uint64_t n : counts) EXPECT_NEAR(static_cast<double>(n), expected, 5.0 * std::sqrt(expected));
    }
}

TEST(UniformRows, EverySetIsEquallyLikely) {
  for (const std::size_t experts : {std::size_t{5}, std::size_t{70}}) {  // one word of bits, and several
    std::array<std::array<int, 70>, 70> seen{};
    for (const Counts& row : one_by_one(UniformRows(experts, 2), experts, 50'000, 3)) {
      const auto low = std::ranges::find(row, 1U);
      const auto high = std::find(low + 1, row.end(), 1U);
      ++seen.at(static_cast<std::size_t>(low - row.begin())).at(static_cast<std::size_t>(high - row.begin()));
    }
    const double pairs = static_cast<double>(experts * (experts - 1)) / 2.0, expected = 50'000.0 / pairs;
    double chi2 = 0.0;
    for (std::size_t i = 0; i < experts; ++i)
      for (std::size_t j = i + 1; j < experts; ++j) chi2 += std::pow(seen.at(i).at(j) - expected, 2) / expected;
    const double degrees = pairs - 1.0;
    EXPECT_LT(std::abs(chi2 - degrees), 4.0 * std::sqrt(2.0 * degrees)) << experts;
  }
}

TEST(UniformRows, WithReplacementRepeatAsOftenAsChanceSays) {
  int twice = 0;
  for (const Counts& row : one_by_one(UniformRows(4, 2, RowDraws::with_replacement), 4, 40'000, 4)) {
    EXPECT_EQ(std::accumulate(row.begin(), row.end(), 0U), 2U);
    twice += std::ranges::max(row) == 2U ? 1 : 0;
  }
  EXPECT_NEAR(twice / 40'000.0, 0.25, 0.009);
}

TEST(UniformRows, RefuseMoreExpertsThanThereAre) {
  EXPECT_THROW(UniformRows(4, 5), std::invalid_argument);
  EXPECT_THROW(UniformRows(4, 0), std::invalid_argument);
}

// What systematic sampling is used instead of: experts drawn one after another in proportion to popularity.
std::vector<double> successive_inclusion(const std::vector<std::uint64_t>& totals, std::size_t top_k, int rows) {
  Random random(5);
  std::vector<double> seen(totals.size());
  for (int row = 0; row < rows; ++row) {
    std::vector<std::uint64_t> left = totals;
    for (std::size_t k = 0; k < top_k; ++k) {
      auto at = static_cast<std::uint64_t>(random.uniform() *
                                           static_cast<double>(std::accumulate(left.begin(), left.end(), 0ULL)));
      std::size_t e = 0;
      while (at >= left[e]) at -= left[e++];
      left[e] = 0;
      seen[e] += 1.0 / rows;
    }
  }
  return seen;
}

// The same of several layers together: [rows, layers x experts].
std::vector<Counts> one_by_one(const SystematicRows& sampler, std::size_t layers, std::size_t experts, std::size_t rows,
                               std::uint64_t seed) {
  Random random(seed);
  const std::vector<std::size_t> once(layers, 1);
  std::vector<Counts> out(rows, Counts(layers * experts));
  for (Counts& counts : out) sampler.add(random, once, counts);
  return out;
}

TEST(SystematicRows, IncludeEveryExpertAsOftenAsTheTargetSays) {
  const std::vector<std::uint64_t> totals{30, 95, 0, 50, 25};  // of 200: targets .3, .95, 0, .5, .25
  std::vector<double> seen(5);
  constexpr int kRows = 40'000;
  for (const Counts& row : one_by_one(SystematicRows(totals, 1, 2), 1, 5, kRows, 6)) {
    ASSERT_EQ(std::accumulate(row.begin(), row.end(), 0U), 2U);
    ASSERT_LE(std::ranges::max(row), 1U);
    for (std::size_t e = 0; e < 5; ++e) seen[e] += static_cast<double>(row[e]) / kRows;
  }
  for (std::size_t e = 0; e < 5; ++e) EXPECT_NEAR(seen[e], static_cast<double>(totals[e]) / 100.0, 0.01) << e;
  EXPECT_LT(successive_inclusion(totals, 2, kRows)[1], 0.85);  // the test above would notice
}

TEST(SystematicRows, HaveDistinctExpertsHoweverUnevenTheTargets) {
  std::vector<std::uint64_t> totals(64);
  for (std::size_t e = 0; e < 64; ++e) totals[e] = e * e * e / 40;  // 1/3 of experts nearly never
  const auto sum = std::accumulate(totals.begin(), totals.end(), std::uint64_t{0});
  const double largest = 8.0 * static_cast<double>(totals[63]) / static_cast<double>(sum);
  ASSERT_LT(largest, 1.0);
  std::vector<double> seen(64);
  for (const Counts& row : one_by_one(SystematicRows(totals, 1, 8), 1, 64, 20'000, 7)) {
    ASSERT_EQ(std::accumulate(row.begin(), row.end(), 0U), 8U);
    ASSERT_LE(std::ranges::max(row), 1U);
    for (std::size_t e = 0; e < 64; ++e) seen[e] += static_cast<double>(row[e]) / 20'000.0;
  }
  for (std::size_t e = 0; e < 64; ++e)
    EXPECT_NEAR(seen[e], 8.0 * static_cast<double>(totals[e]) / static_cast<double>(sum), 0.015) << e;
}

TEST(SystematicRows, CertainAndImpossibleExpertsStaySo) {
  for (const Counts& row : one_by_one(SystematicRows(std::vector<std::uint64_t>{7, 0, 3, 4}, 1, 2), 1, 4, 500, 8)) {
    EXPECT_EQ(row[0], 1U);
    EXPECT_EQ(row[1], 0U);
    EXPECT_EQ(row[2] + row[3], 1U);
  }
}

TEST(SystematicRows, PairsAreDrawnTogetherWhateverTheirNumbers) {
  // In a fixed order neighbours with pi = .5 would never meet.
  int together = 0;
  for (const Counts& row : one_by_one(SystematicRows(std::vector<std::uint64_t>{1, 1, 1, 1}, 1, 2), 1, 4, 12'000, 9))
    together += row[0] == 1 && row[1] == 1 ? 1 : 0;
  EXPECT_NEAR(together / 12'000.0, 1.0 / 6.0, 0.015);
}

TEST(SystematicRows, RefuseCountsThatTopKRoutingCannotGive) {
  EXPECT_THROW(SystematicRows(std::vector<std::uint64_t>{9, 1, 1}, 1, 2), std::invalid_argument);
  Counts counts(3);
  Random random(10);
  SystematicRows(std::vector<std::uint64_t>{0, 0, 0}, 1, 2).add(random, std::vector<std::size_t>{0}, counts);
  EXPECT_EQ(counts, (Counts{0, 0, 0}));
}

TEST(SystematicRows, EveryLayerHasItsOwnTargetsAndNumberOfRows) {
  constexpr std::size_t kLayers = 19, kExperts = 6;  // more layers than go side by side
  std::vector<std::uint64_t> totals(kLayers * kExperts);
  std::vector<std::size_t> rows(kLayers);
  for (std::size_t l = 0; l < kLayers; ++l) {
    rows[l] = 70 * (l % 3);  // none, and more than are drawn at once
    for (std::size_t e = 0; e < kExperts; ++e) totals[l * kExperts + e] = 1 + (e + l) % kExperts;  // of 21
  }
  const SystematicRows sampler(totals, kLayers, 2);
  Random random(11);
  Counts counts(kLayers * kExperts);
  for (int i = 0; i < 200; ++i) sampler.add(random, rows, counts);
  for (std::size_t l = 0; l < kLayers; ++l)
    for (std::size_t e = 0; e < kExperts; ++e) {
      const double drawn = 200.0 * static_cast<double>(rows[l]),
                   pi = 2.0 * (1.0 + static_cast<double>((e + l) % kExperts)) / 21.0;
      EXPECT_NEAR(static_cast<double>(counts[l * kExperts + e]), drawn * pi, 5.0 * std::sqrt(drawn * pi * (1.0 - pi)))
          << l << " " << e;
    }
}

TEST(SystematicRows, LayersAreUncorrelatedThoughTheyShareAnOrder) {
  constexpr int kRows = 60'000;
  std::array<std::array<int, 4>, 4> together{};  // expert of the first layer, of the second
  for (const Counts& row :
       one_by_one(SystematicRows(std::vector<std::uint64_t>{1, 1, 1, 1, 1, 1, 1, 1}, 2, 2), 2, 4, kRows, 12))
    for (std::size_t a = 0; a < 4; ++a)
      for (std::size_t b = 0; b < 4; ++b) together.at(a).at(b) += static_cast<int>(row[a] * row[4 + b]);
  for (const auto& line : together)
    for (const int n : line) EXPECT_NEAR(n, kRows / 4.0, 5.0 * std::sqrt(kRows * 0.25 * 0.75));
}

}  // namespace
}  // namespace routesig
