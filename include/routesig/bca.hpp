/// \file bca.hpp
/// Intervals from bootstrap draws: bias-corrected and accelerated (BCa), or percentiles where that is not finite
/// [Efron, JASA 1987].
///
///     const double a = routesig::acceleration(left_out);        // the statistic without each prompt, task by task
///     const routesig::BootstrapInterval i = routesig::bca_interval(observed, draws, a, 0.95);
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <optional>
#include <span>
#include <vector>

#include "routesig/quantile.hpp"

namespace routesig {

struct BootstrapInterval {
  double low = 0.0;
  double high = 0.0;
  bool bca = false;  ///< false: the percentile interval
};

/// A value with its bootstrap standard error and interval, as far as they are defined.
struct BootstrapEstimate {
  std::optional<double> value{};
  std::optional<double> se{};
  std::optional<BootstrapInterval> interval{};
};

namespace normal {

/// The standard normal distribution function.
[[nodiscard]] inline double cdf(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

/// Its inverse, by bisection; infinite at 0 and 1.
[[nodiscard]] inline double quantile(double p) {
  if (p <= 0.0 || p >= 1.0) return (p <= 0.0 ? -1.0 : 1.0) * HUGE_VAL;
  double low = -40.0, high = 40.0;
  for (int step = 0; step < 80; ++step) {
    const double middle = 0.5 * (low + high);
    (cdf(middle) < p ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

}  // namespace normal

/// BCa's acceleration for several samples: `left_out[c]` is the statistic without each unit of sample c in turn. NaN
/// where leaving one out makes no difference, or no sense.
[[nodiscard]] inline double acceleration(std::span<const std::span<const double>> left_out) {
  double cubes = 0.0, squares = 0.0;
  for (const auto& values : left_out) {
    const auto n = static_cast<double>(values.size());
    double mean = 0.0;
    for (const double x : values) mean += x / n;
    for (const double x : values) {
      const double influence = (n - 1.0) * (mean - x) / n;
      squares += influence * influence;
      cubes += influence * influence * influence;
    }
  }
  return cubes / (6.0 * std::pow(squares, 1.5));
}

/// The BCa interval of `observed` from draws (not empty), or their percentiles where z0 or the acceleration is not
/// finite.
[[nodiscard]] inline BootstrapInterval bca_interval(double observed, std::vector<double> draws, double acceleration,
                                                    double level) {
  std::ranges::sort(draws);
  const auto n = static_cast<double>(draws.size());
  const auto [first, last] = std::ranges::equal_range(draws, observed);
  const auto below = static_cast<double>(first - draws.begin()), equal = static_cast<double>(last - first);
  const double z0 = normal::quantile((below + 0.5 * equal) / n);
  const double tail = 0.5 * (1.0 - level);
  const auto corrected = [&](double q) {
    const double z = z0 + normal::quantile(q);
    return normal::cdf(z0 + z / (1.0 - acceleration * z));
  };
  const double low = corrected(tail), high = corrected(1.0 - tail);
  if (!std::isfinite(z0) || !std::isfinite(low) || !std::isfinite(high) || !(low < high))
    return {.low = sorted_quantile(draws, tail), .high = sorted_quantile(draws, 1.0 - tail), .bca = false};
  return {.low = sorted_quantile(draws, low), .high = sorted_quantile(draws, high), .bca = true};
}

}  // namespace routesig
