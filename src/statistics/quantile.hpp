/// \file quantile.hpp
/// Quantiles of draws: the one rule behind every interval.
///
///     std::ranges::sort(draws);
///     const double low = routesig::sorted_quantile(draws, 0.025);
#pragma once

#include <span>

namespace routesig {

/// The quantile of sorted, not empty values, linear between order statistics.
[[nodiscard]] double sorted_quantile(std::span<const double> sorted, double q);

}  // namespace routesig
