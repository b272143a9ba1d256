#include "routesig/baselines/count_sampling.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

namespace routesig {
namespace {

using Counts = std::vector<std::uint64_t>;

constexpr std::size_t kMany = kRowsOneByOne + 1;

/// Every experts' counts over many draws of `rows` rows: deviations from `pi` x rows, in units of sqrt(rows).
struct Deviations {
  std::size_t experts;
  std::vector<double> values{};  // [draws, experts]

  [[nodiscard]] std::size_t draws() const { return values.size() / experts; }
  [[nodiscard]] double product(std::size_t a, std::size_t b) const {
    double sum = 0.0;
    for (std::size_t i = 0; i < values.size(); i += experts) sum += values[i + a] * values[i + b];
    return sum / static_cast<double>(draws());
  }
  [[nodiscard]] double mean(std::size_t e) const {
    double sum = 0.0;
    for (std::size_t i = e; i < values.size(); i += experts) sum += values[i];
    return sum / static_cast<double>(draws());
  }
};

template <typename Add>
Deviations deviations(const std::vector<double>& pi, std::size_t rows, std::size_t draws, std::uint64_t seed,
                      const Add& add) {
  Deviations out{.experts = pi.size()};
  Random random(seed);
  for (std::size_t i = 0; i < draws; ++i) {
    Counts counts(pi.size());
    add(random, rows, counts);
    for (std::size_t e = 0; e < pi.size(); ++e) {
      const auto n = static_cast<double>(rows);
      out.values.push_back((static_cast<double>(counts[e]) - n * pi[e]) / std::sqrt(n));
    }
  }
  return out;
}

/// Means are 0, and products of two experts' deviations `covariance(a, b)`, within `sds` standard errors of each.
template <typename Covariance>
void expect_moments(const Deviations& found, double sds, const Covariance& covariance) {
  const auto n = static_cast<double>(found.draws());
  for (std::size_t a = 0; a < found.experts; ++a) {
    EXPECT_NEAR(found.mean(a), 0.0, sds * std::sqrt(covariance(a, a) / n) + 1e-9) << a;
    for (std::size_t b = a; b < found.experts; ++b) {
      // Of nearly normal deviations a product has the variance s_aa s_bb + s_ab^2.
      const double error = std::sqrt((covariance(a, a) * covariance(b, b) + std::pow(covariance(a, b), 2)) / n);
      EXPECT_NEAR(found.product(a, b), covariance(a, b), sds * error + 1e-9) << a << " " << b;
    }
  }
}

TEST(UniformCounts, FewRowsAreThoseOfUniformRows) {
  for (const RowDraws draws : {RowDraws::distinct, RowDraws::with_replacement})
    for (const std::size_t rows : {std::size_t{0}, std::size_t{1}, std::size_t{300}, kRowsOneByOne}) {
      Counts some(70, 3), same(70, 3);
      Random one(5), other(5);
      UniformCounts(70, 8, draws).add(one, rows, some);
      UniformRows(70, 8, draws).add(other, rows, same);
      EXPECT_EQ(some, same);
    }
}

TEST(UniformCounts, SmallCasesFollowTheirExactProbabilities) {
  // More rows than are drawn one by one are needed to see the walk; with 3 experts a row of 2 picks leaves one expert
  // out, so that rows - counts is a multinomial of thirds.
  const UniformCounts uniform(3, 2);
  const auto found =
      deviations({2.0 / 3, 2.0 / 3, 2.0 / 3}, kMany, 20'000, 1, [&](Random& random, std::size_t rows, Counts& counts) {
        uniform.add(random, rows, counts);
        EXPECT_EQ(counts[0] + counts[1] + counts[2], 2 * rows);
        EXPECT_LE(std::ranges::max(counts), rows);
      });
  expect_moments(found, 4.5, [](std::size_t a, std::size_t b) { return a == b ? 2.0 / 9 : -1.0 / 9; });
}

TEST(UniformCounts, HaveTheMomentsOfDistinctExperts) {
  // pi = q = K/E, joint probability K (K - 1) / (E (E - 1)).
  constexpr double kE = 12, kK = 5, q = kK / kE, joint = q * (kK - 1) / (kE - 1);
  const UniformCounts uniform(12, 5);
  const auto found =
      deviations(std::vector<double>(12, q), 1'000'000, 20'000, 2,
                 [&](Random& random, std::size_t rows, Counts& counts) { uniform.add(random, rows, counts); });
  expect_moments(found, 4.8, [&](std::size_t a, std::size_t b) { return (a == b ? q : joint) - q * q; });
}

TEST(UniformCounts, HaveTheMomentsOfDrawsWithReplacement) {
  constexpr double q = 1.0 / 12;
  const UniformCounts uniform(12, 5, RowDraws::with_replacement);
  const auto found =
      deviations(std::vector<double>(12, 5 * q), 1'000'000, 20'000, 3,
                 [&](Random& random, std::size_t rows, Counts& counts) { uniform.add(random, rows, counts); });
  expect_moments(found, 4.8, [&](std::size_t a, std::size_t b) { return 5.0 * ((a == b ? q : 0.0) - q * q); });
}

TEST(UniformCounts, AllExpertsOrOneAreNoMatterOfChance) {
  Random random(4);
  Counts all(6), one(1);
  UniformCounts(6, 6).add(random, 1'000'000'000, all);
  EXPECT_EQ(all, Counts(6, 1'000'000'000));
  UniformCounts(1, 1, RowDraws::with_replacement).add(random, 1'000'000'000, one);
  EXPECT_EQ(one, Counts{1'000'000'000});
}

TEST(UniformCounts, HoldQuadrillionsOfRows) {
  constexpr std::uint64_t kRows = 2'000'000'000'000'000;  // x 8 is beyond 2^53
  for (const RowDraws draws : {RowDraws::distinct, RowDraws::with_replacement}) {
    Random random(5);
    Counts counts(64);
    UniformCounts(64, 8, draws).add(random, kRows, counts);
    EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}), 8 * kRows);
    const double q = draws == RowDraws::distinct ? 7.0 / 64 : 0.125 * 63 / 64, mean = kRows / 8.0;  // variance a row
    for (const std::uint64_t n : counts) EXPECT_NEAR(static_cast<double>(n), mean, 5.0 * std::sqrt(kRows * q));
  }
}

constexpr std::size_t kTopK = 4;

Counts some_totals() { return {30, 95, 0, 50, 25, 10, 90, 60, 5, 35}; }  // of 400

std::vector<double> targets() {
  std::vector<double> pi;
  for (const std::uint64_t a : some_totals()) pi.push_back(static_cast<double>(a) / 100.0);
  return pi;
}

TEST(SystematicCounts, FewRowsAreThoseOfSystematicRows) {
  Counts totals = some_totals();
  const Counts second = some_totals();
  totals.insert(totals.end(), second.rbegin(), second.rend());
  for (const std::size_t most : {std::size_t{0}, std::size_t{77}, kRowsOneByOne}) {
    const std::vector<std::size_t> rows{most / 2, most};
    Counts some(20, 3), same(20, 3);
    Random one(5), other(5);
    SystematicCounts(totals, 2, kTopK).add(one, rows, some);
    SystematicRows(totals, 2, kTopK).add(other, rows, same);
    EXPECT_EQ(some, same);
  }
}

TEST(SystematicCounts, HaveTheMeansVariancesAndCovariancesOfRows) {
  const SystematicCounts counted(some_totals(), 1, kTopK);
  const SystematicRows drawn(some_totals(), 1, kTopK);
  const auto pi = targets();
  constexpr std::size_t kDraws = 3'000;
  const auto many = deviations(pi, kMany, kDraws, 6, [&](Random& random, std::size_t rows, Counts& counts) {
    counted.add(random, std::vector{rows}, counts);
    EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}), kTopK * rows);
    EXPECT_LE(std::ranges::max(counts), rows);
    EXPECT_EQ(counts[2], 0U);
  });
  const auto single = deviations(pi, 100, 100'000, 7, [&](Random& random, std::size_t rows, Counts& counts) {
    drawn.add(random, std::vector{rows}, counts);
  });
  // Means and variances are known; covariances are those of rows one by one, whose own error is a fifth of ours.
  expect_moments(many, 5.0,
                 [&](std::size_t a, std::size_t b) { return a == b ? pi[a] * (1.0 - pi[a]) : single.product(a, b); });
}

// Squared lengths of deviations: mean and variance over draws.
std::vector<double> squared_lengths(const Deviations& of) {
  std::vector<double> out;
  for (std::size_t i = 0; i < of.values.size(); i += of.experts) {
    double sum = 0.0;
    for (std::size_t e = 0; e < of.experts; ++e) sum += of.values[i + e] * of.values[i + e];
    out.push_back(sum);
  }
  return out;
}

struct MeanAndVariance {
  double mean = 0.0, variance = 0.0;
  explicit MeanAndVariance(const std::vector<double>& values) {
    const auto n = static_cast<double>(values.size());
    for (const double x : values) mean += x / n;
    for (const double x : values) variance += (x - mean) * (x - mean) / (n - 1.0);
  }
};

TEST(SystematicCounts, LengthsOfDeviationsVaryByAnEighthMoreAtMost) {
  // 32 experts of equal pi: the case where sharing orders shows most.
  const Counts totals(32, 7);
  const std::vector<double> pi(32, 4.0 / 32);
  const SystematicCounts counted(totals, 1, 4);
  const SystematicRows drawn(totals, 1, 4);
  const auto many = deviations(pi, kMany, 5'000, 8, [&](Random& random, std::size_t rows, Counts& counts) {
    counted.add(random, std::vector{rows}, counts);
  });
  const auto single = deviations(pi, 150, 20'000, 9, [&](Random& random, std::size_t rows, Counts& counts) {
    drawn.add(random, std::vector{rows}, counts);
  });
  const MeanAndVariance shared(squared_lengths(many)), own(squared_lengths(single));
  // A variance of lengths over n draws has an error of about sqrt(2/n + kurtosis/n) < 2.5/sqrt(n): 3.5 % and 1.8 %.
  EXPECT_NEAR(shared.mean / own.mean, 1.0, 4.5 * std::sqrt(own.variance / 5'000 + own.variance / 20'000) / own.mean);
  EXPECT_GT(shared.variance / own.variance, 0.9);
  EXPECT_LT(shared.variance / own.variance, 1.125 + 0.15);
}

TEST(SystematicCounts, LayersAreUncorrelatedThoughTheyShareOrders) {
  Counts totals = some_totals();
  const Counts second = some_totals();
  totals.insert(totals.end(), second.begin(), second.end());
  const SystematicCounts counted(totals, 2, kTopK);
  std::vector<double> pi = targets();
  pi.insert(pi.end(), pi.begin(), pi.end());
  const auto found = deviations(pi, kMany, 3'000, 10, [&](Random& random, std::size_t rows, Counts& counts) {
    counted.add(random, std::vector<std::size_t>{rows, rows}, counts);
  });
  for (std::size_t a = 0; a < 10; ++a)
    for (std::size_t b = 10; b < 20; ++b) {
      const double error = std::sqrt(pi[a] * (1.0 - pi[a]) * pi[b] * (1.0 - pi[b]) / 3'000.0);
      EXPECT_NEAR(found.product(a, b), 0.0, 4.8 * error + 1e-9) << a << " " << b;
    }
}

TEST(SystematicCounts, EveryLayerHasItsOwnNumberOfRows) {
  const Counts one = some_totals();
  Counts totals;
  for (int layer = 0; layer < 4; ++layer) totals.insert(totals.end(), one.begin(), one.end());
  const std::vector<std::size_t> rows{0, 3, 1'000'003, 2'000'000'000'000'000};
  Random random(11);
  Counts counts(40);
  SystematicCounts(totals, 4, kTopK).add(random, rows, counts);
  const auto pi = targets();
  for (std::size_t l = 0; l < 4; ++l) {
    const auto of_layer = std::span(counts).subspan(l * 10, 10);
    EXPECT_EQ(std::accumulate(of_layer.begin(), of_layer.end(), std::uint64_t{0}), kTopK * rows[l]);
    const auto n = static_cast<double>(rows[l]);
    for (std::size_t e = 0; e < 10; ++e)  // shares are exact to 2^-31
      EXPECT_NEAR(static_cast<double>(of_layer[e]), n * pi[e], 5.0 * std::sqrt(n * pi[e] * (1.0 - pi[e])) + n * 0x1p-30)
          << l << " " << e;
  }
}

TEST(SystematicCounts, CertainAndImpossibleExpertsStaySo) {
  Random random(12);
  Counts counts(4);
  SystematicCounts(Counts{7, 0, 3, 4}, 1, 2).add(random, std::vector<std::size_t>{1'000'000}, counts);
  EXPECT_EQ(counts[0], 1'000'000U);
  EXPECT_EQ(counts[1], 0U);
  EXPECT_EQ(counts[2] + counts[3], 1'000'000U);
}

TEST(SystematicCounts, RefuseCountsThatTopKRoutingCannotGive) {
  EXPECT_THROW(SystematicCounts(Counts{9, 1, 1}, 1, 2), std::invalid_argument);
}

}  // namespace
}  // namespace routesig
