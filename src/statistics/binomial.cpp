#include "routesig/statistics/binomial.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>

#include "routesig/error.hpp"

namespace routesig {
namespace detail {
namespace {

/// log k! for the k that `log_rarity` does not expand.
constexpr std::array<double, 16> kFactorials = [] {
  std::array<double, 16> out{1.0};
  for (std::size_t k = 1; k < out.size(); ++k) out[k] = out[k - 1] * static_cast<double>(k);
  return out;
}();

/// k log(k / m) + m - k, small where k is near m.
[[nodiscard]] double deviance(double k, double m) {
  if (std::abs(k - m) >= 0.1 * (k + m)) return k * std::log(k / m) + m - k;
  const double v = (k - m) / (k + m);
  double sum = (k - m) * v, term = 2.0 * k * v;
  for (double odd = 3.0;; odd += 2.0) {
    term *= v * v;
    const double next = sum + term / odd;
    if (next == sum) return sum;
    sum = next;
  }
}

}  // namespace

double log_rarity(double k, double m) {
  if (k < static_cast<double>(kFactorials.size()))
    return std::log(kFactorials[static_cast<std::size_t>(k)]) - (k > 0.0 ? k * std::log(m) : 0.0) + m;
  const double k2 = k * k;  // what Stirling's formula lacks
  const double rest =
      (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - (1.0 / 1680.0 - 1.0 / 1188.0 / k2) / k2) / k2) / k2) / k;
  return rest + 0.5 * std::log(2.0 * std::numbers::pi * k) + deviance(k, m);
}

namespace {

/// n p < 10, p <= 1/2: adds up probabilities until they exceed a uniform number.
[[nodiscard]] double small_binomial(Random& random, double n, double p) {
  constexpr double kMost = 110.0;  // a larger number has probability below 1e-70: what leads there is rounding
  const double odds = p / (1.0 - p), none = std::exp(n * std::log1p(-p));
  const int last = static_cast<int>(std::min(n, kMost));
  while (true) {
    double left = random.uniform(), probability = none;
    for (int k = 0; k <= last; ++k) {
      if (left < probability) return k;
      left -= probability;
      probability *= (n - k) / (k + 1.0) * odds;
    }
  }
}

/// Probability of k over that of the mode m, of Binomial(n, p).
[[nodiscard]] double over_mode(double k, double m, double n, double p) {
  constexpr double kNear = 20.0;  // so far, factors are quicker than logarithms
  if (std::abs(k - m) > kNear) {
    const auto rarity = [&](double x) { return log_rarity(x, n * p) + log_rarity(n - x, n * (1.0 - p)); };
    return std::exp(rarity(m) - rarity(k));
  }
  const auto grown = [&](double from, int steps) {  // probability of from + steps over that of from
    double out = 1.0;
    for (int i = 0; i < steps; ++i) out *= (n - from - i) / (from + i + 1.0) * (p / (1.0 - p));
    return out;
  };
  const int steps = static_cast<int>(k - m);
  return steps >= 0 ? grown(m, steps) : 1.0 / grown(k, -steps);
}

/// n p >= 10, p <= 1/2. Names as in the paper.
[[nodiscard]] double large_binomial(Random& random, double n, double p) {
  const double mean = n * p, sd = std::sqrt(mean * (1.0 - p));
  const double b = 1.15 + 2.53 * sd, a = -0.0873 + 0.0248 * b + 0.01 * p, v_r = 0.92 - 4.2 / b;
  const double m = std::min(n, std::floor((n + 1.0) * p)), alpha = (2.83 + 5.1 / b) * sd;
  while (true) {
    const double u = random.uniform() - 0.5, v = random.uniform(), us = 0.5 - std::abs(u);
    const double k = std::floor((2.0 * a / us + b) * u + mean + 0.5);
    if (us >= 0.07 && v <= v_r) return k;
    if (k >= 0.0 && k <= n && v * alpha / (a / (us * us) + b) <= over_mode(k, m, n, p)) return k;
  }
}

}  // namespace
}  // namespace detail

double binomial_probability(double k, double n, double p) {
  return std::exp(detail::log_rarity(n, n) - detail::log_rarity(k, n * p) - detail::log_rarity(n - k, n * (1.0 - p)));
}

std::uint64_t binomial(Random& random, std::uint64_t n, double p) {
  constexpr std::uint64_t kLargest = std::uint64_t{1} << 53U;  // beyond, doubles do not hold every number
  if (!(p >= 0.0 && p <= 1.0)) throw invalid_argument("binomial: expected a probability from 0 to 1, got ", p);
  if (n > kLargest) {
    const std::uint64_t first = binomial(random, n / 2, p);
    return first + binomial(random, n - n / 2, p);
  }
  if (p > 0.5) return n - binomial(random, n, 1.0 - p);
  if (n == 0 || p == 0.0) return 0;
  const auto size = static_cast<double>(n);
  return static_cast<std::uint64_t>(size * p < 10.0 ? detail::small_binomial(random, size, p)
                                                    : detail::large_binomial(random, size, p));
}

}  // namespace routesig
