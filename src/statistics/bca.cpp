#include "routesig/statistics/bca.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "statistics/quantile.hpp"

namespace routesig {

namespace normal {

double cdf(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

double quantile(double p) {
  if (p <= 0.0 || p >= 1.0) return (p <= 0.0 ? -1.0 : 1.0) * HUGE_VAL;
  double low = -40.0, high = 40.0;
  for (int step = 0; step < 80; ++step) {
    const double middle = 0.5 * (low + high);
    (cdf(middle) < p ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

}  // namespace normal

double acceleration(std::span<const std::span<const double>> left_out) {
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

BootstrapInterval bca_interval(double observed, std::vector<double> draws, double acceleration, double level) {
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
