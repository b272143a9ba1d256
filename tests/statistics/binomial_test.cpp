#include "routesig/statistics/binomial.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <numbers>
#include <vector>

namespace routesig {
namespace {

/// Chi-square of `draws` numbers against the exact probabilities, cells of 20 expected or more; and its degrees.
struct Fit {
  double chi2 = 0.0, degrees = -1.0;

  Fit(std::uint64_t n, double p, int draws, std::uint64_t seed) {
    Random random(seed);
    std::map<std::uint64_t, int> seen;
    for (int i = 0; i < draws; ++i) ++seen[binomial(random, n, p)];
    const double trials = static_cast<double>(n), mean = trials * p, width = 9.0 * std::sqrt(mean * (1.0 - p)) + 30.0;
    const auto first = static_cast<std::uint64_t>(std::max(0.0, mean - width)),
               last = static_cast<std::uint64_t>(std::min(trials, mean + width));
    double expected = 0.0, found = 0.0, all = 0.0;
    const auto close = [&] {
      chi2 += (found - expected) * (found - expected) / expected;
      degrees += 1.0;
      all += found;
      expected = found = 0.0;
    };
    for (std::uint64_t k = first; k <= last; ++k) {
      const auto x = static_cast<double>(k);
      expected += draws * std::exp(std::lgamma(trials + 1.0) - std::lgamma(x + 1.0) - std::lgamma(trials - x + 1.0) +
                                   x * std::log(p) + (trials - x) * std::log1p(-p));
      found += seen[k];
      if (expected >= 20.0) close();
    }
    if (expected > 1.0) close();
    EXPECT_GT(all, draws - 8.0);  // next to nothing lies beyond
  }
};

TEST(Binomial, FollowsItsProbabilities) {
  // Means on both sides of 10, where the method changes; numbers near and far from the mode.
  constexpr int kDraws = 60'000;
  std::uint64_t seed = 0;
  for (const std::uint64_t n : {1ULL, 2ULL, 7ULL, 19ULL, 20ULL, 21ULL, 40ULL, 200ULL, 5'000ULL, 1'000'000ULL})
    for (const double p : {1e-6, 0.003, 0.05, 0.2499, 0.4999, 0.5, 0.51, 0.9, 0.9999}) {
      const double mean = static_cast<double>(n) * p;
      if (mean * (1.0 - p) > 40'000.0) continue;  // more cells than draws
      const Fit fit(n, p, kDraws, ++seed);
      // Of some 90 chi-squares the largest standardised one stays below 5, the tails of few degrees being heavy.
      EXPECT_LT(fit.chi2, std::max(fit.degrees, 1.0) + 5.0 * std::sqrt(2.0 * std::max(fit.degrees, 1.0)) + 12.0)
          << n << " " << p << " " << fit.degrees;
    }
}

TEST(Binomial, ALargeMeanFollowsItsProbabilitiesToo) {
  for (const double p : {0.5, 0.13}) {
    const Fit fit(20'000, p, 400'000, 77);
    EXPECT_GT(fit.degrees, 200.0);
    EXPECT_LT(std::abs(fit.chi2 - fit.degrees), 4.0 * std::sqrt(2.0 * fit.degrees)) << p;
  }
}

TEST(Binomial, CertainAndImpossibleEventsAreSo) {
  Random random(1);
  for (const std::uint64_t n : {0ULL, 1ULL, 1'000ULL, 9'007'199'254'740'992ULL, 18'446'744'073'709'551'615ULL}) {
    EXPECT_EQ(binomial(random, n, 0.0), 0U);
    EXPECT_EQ(binomial(random, n, 1.0), n);
  }
  for (const double p : {0.0, 1e-300, 0.5, 1.0}) EXPECT_EQ(binomial(random, 0, p), 0U);
  for (int i = 0; i < 1000; ++i) EXPECT_LE(binomial(random, 3, 0.999), 3U);
}

TEST(Binomial, EventsAndTheirOppositesAreSymmetric) {
  for (const std::uint64_t n : {9ULL, 1'000ULL, 1'000'000'000'000'000ULL})
    for (const double p : {0.625, 0.9375}) {  // 1 - p is exact
      Random one(4), other(4);
      for (int i = 0; i < 200; ++i) EXPECT_EQ(binomial(one, n, p), n - binomial(other, n, 1.0 - p));
    }
}

// Mean and variance of (x - n p) / sd over draws: 0 and 1.
void expect_moments(std::uint64_t n, double p, int draws) {
  Random random(n);
  double sum = 0.0, squares = 0.0;
  const long double mean = static_cast<long double>(n) * static_cast<long double>(p),
                    sd = std::sqrt(mean * (1.0L - static_cast<long double>(p)));
  for (int i = 0; i < draws; ++i) {
    const auto z = static_cast<double>((static_cast<long double>(binomial(random, n, p)) - mean) / sd);
    sum += z / draws;
    squares += z * z / draws;
  }
  EXPECT_NEAR(sum, 0.0, 4.5 / std::sqrt(draws)) << n << " " << p;
  EXPECT_NEAR(squares, 1.0, 4.5 * std::sqrt((2.0 + 1.0 / static_cast<double>(sd * sd)) / draws)) << n << " " << p;
}

TEST(Binomial, MomentsHoldUpToTheLargestNumbers) {
  // 2^53 is the last size that is drawn in one go; 2e15 x 8 and 2^64 - 1 are split.
  for (const std::uint64_t n : {1'000'000'000ULL, 2'000'000'000'000'000ULL, 9'007'199'254'740'992ULL,
                                9'007'199'254'740'993ULL, 16'000'000'000'000'000ULL, 18'446'744'073'709'551'615ULL})
    for (const double p : {0.5, 1.0 / 3.0, 1.0 / 64.0, 0.99, 1e-8})
      expect_moments(n, p, n > (1ULL << 60U) ? 300 : 20'000);
  expect_moments(9'007'199'254'740'992ULL, 1e-15, 20'000);  // mean 9.007: by inversion
  expect_moments(9'007'199'254'740'992ULL, 2e-15, 20'000);
}

TEST(Binomial, SameSeedSameNumbers) {
  Random one(9), other(9);
  for (const std::uint64_t n : {5ULL, 500ULL, 5'000'000ULL, 18'446'744'073'709'551'615ULL})
    EXPECT_EQ(binomial(one, n, 0.3), binomial(other, n, 0.3));
}

TEST(Binomial, RefusesWhatIsNoProbability) {
  Random random(1);
  for (const double p : {-1e-9, 1.0 + 1e-9, std::numeric_limits<double>::quiet_NaN()})
    EXPECT_THROW((void)binomial(random, 10, p), std::invalid_argument);
}

TEST(BinomialProbability, IsThatOfTheFormula) {
  EXPECT_DOUBLE_EQ(binomial_probability(0, 3, 0.25), 27.0 / 64);
  EXPECT_NEAR(binomial_probability(1, 3, 0.25), 27.0 / 64, 1e-15);
  EXPECT_NEAR(binomial_probability(3, 3, 0.25), 1.0 / 64, 1e-16);
  // 100 over 50 halves, 0.0795892...; at 10^15 halves the normal density, 1 / sqrt(pi n / 2).
  EXPECT_NEAR(binomial_probability(50, 100, 0.5), 0.07958923738717876, 1e-14);
  EXPECT_NEAR(binomial_probability(5e14, 1e15, 0.5) / (1.0 / std::sqrt(std::numbers::pi * 5e14)), 1.0, 1e-9);
}

TEST(LogRarity, IsThatOfThePoissonDistribution) {
  // -log(exp(-m) m^k / k!), summed factor by factor.
  for (const double m : {0.3, 10.0, 55.5, 900.0})
    for (const double k : {0.0, 1.0, 15.0, 16.0, 17.0, 40.0, 1000.0}) {
      long double expected = m;
      for (int i = 1; i <= static_cast<int>(k); ++i) expected += std::log(static_cast<long double>(i) / m);
      EXPECT_NEAR(detail::log_rarity(k, m), static_cast<double>(expected), 1e-12 * (1.0 + k + m)) << m << " " << k;
    }
}

}  // namespace
}  // namespace routesig
