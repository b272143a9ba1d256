/// \file bca.hpp
/// Intervals from bootstrap draws: bias-corrected and accelerated (BCa), or percentiles where that is not finite
/// [Efron, JASA 1987].
///
///     const double a = routesig::acceleration(left_out);        // the statistic without each prompt, task by task
///     const routesig::BootstrapInterval i = routesig::bca_interval(observed, draws, a, 0.95);
#pragma once

#include <optional>
#include <span>
#include <vector>

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
[[nodiscard]] double cdf(double z);

/// Its inverse, by bisection; infinite at 0 and 1.
[[nodiscard]] double quantile(double p);

}  // namespace normal

/// BCa's acceleration for several samples: `left_out[c]` is the statistic without each unit of sample c in turn. NaN
/// where leaving one out makes no difference, or no sense.
[[nodiscard]] double acceleration(std::span<const std::span<const double>> left_out);

/// The BCa interval of `observed` from draws (not empty), or their percentiles where z0 or the acceleration is not
/// finite.
[[nodiscard]] BootstrapInterval bca_interval(double observed, std::vector<double> draws, double acceleration,
                                             double level);

}  // namespace routesig
