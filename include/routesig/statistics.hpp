/// \file statistics.hpp
/// Do prompts of one task route more alike than prompts of different tasks? [paper section 5]
///
///     const auto s = routesig::separation(routesig::similarity_matrix(set), tasks);   // tasks: {0, 0, 1, 1, ...}
///     if (s.cohens_d) use(s.within.mean - s.across.mean, *s.cohens_d);
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "routesig/error.hpp"
#include "routesig/quantile.hpp"
#include "routesig/unit_pairs.hpp"

namespace routesig {

/// A standard deviation of similarities at or below this is rounding, not spread.
inline constexpr double kNoSpread = 1e-12;

/// Mean and standard deviation (ddof 1) over pairs; absent where there are too few.
struct PairMoments {
  std::size_t pairs = 0;
  std::optional<double> mean{};
  std::optional<double> sd{};

  friend bool operator==(const PairMoments&, const PairMoments&) = default;
};

struct Separation {
  PairMoments within;                ///< pairs of prompts of one task, and of different groups
  PairMoments across;                ///< pairs of prompts of different tasks
  std::optional<double> cohens_d{};  ///< (within - across) / pooled sd, pooled by pair counts; absent where undefined

  /// D = mean within - mean across; absent where either is.
  [[nodiscard]] std::optional<double> difference() const {
    return within.mean && across.mean ? std::optional(*within.mean - *across.mean) : std::nullopt;
  }

  friend bool operator==(const Separation&, const Separation&) = default;
};

/// Within-task against across-task similarity. `similarity` is [n, n], row-major; only the part above the diagonal is
/// read, and NaN there is a pair without a similarity. `task` is [n]; a negative task is unlabelled and its pairs are
/// left out. `group` is [n] or empty, a negative group is a prompt alone: pairs of one group are no pairs. Where that
/// leaves a task fewer than 5 pairs, the means within and d are absent.
[[nodiscard]] inline Separation separation(std::span<const double> similarity, std::span<const int> task,
                                           std::span<const int> group = {}) {
  const std::size_t n = task.size();
  if (similarity.size() != n * n)
    throw invalid_argument("separation: expected a similarity matrix of ", n, " x ", n,
                           " (one task label per prompt), got ", similarity.size(), " values");
  const Units units(task, group);
  struct Sums {
    std::size_t pairs = 0;
    double mean = 0.0, squares = 0.0;  // squares: sum of squared deviations (Welford)
    void add(double x) {
      const double delta = x - mean;
      mean += delta / static_cast<double>(++pairs);
      squares += delta * (x - mean);
    }
    [[nodiscard]] PairMoments moments() const {
      PairMoments out{.pairs = pairs};
      if (pairs > 0) out.mean = mean;
      if (pairs > 1) out.sd = std::sqrt(squares / static_cast<double>(pairs - 1));
      return out;
    }
  } within, across;

  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j) {
      const double x = similarity[i * n + j];
      if (task[i] < 0 || task[j] < 0 || units.of(i) == units.of(j) || std::isnan(x)) continue;
      (task[i] == task[j] ? within : across).add(x);
    }
  if (!std::isfinite(within.mean + across.mean))
    throw invalid_argument("separation: expected finite similarities, got ", within.mean + across.mean);

  Separation out{.within = within.moments(), .across = across.moments()};
  if (units.short_task()) {
    out.within = {.pairs = within.pairs};
    return out;
  }
  if (within.pairs > 0 && across.pairs > 0 && within.pairs + across.pairs > 2) {
    const double pooled = (within.squares + across.squares) / static_cast<double>(within.pairs + across.pairs - 2);
    const double sd = std::sqrt(pooled);
    if (sd > kNoSpread) out.cohens_d = (within.mean - across.mean) / sd;
  }
  return out;
}

/// The least-squares slope of values over 0, 1, 2, ... (d over layers): absent for fewer than two.
[[nodiscard]] inline std::optional<double> depth_slope(std::span<const double> values) {
  if (values.size() < 2) return std::nullopt;
  const auto n = static_cast<double>(values.size());
  double sum = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) sum += (static_cast<double>(i) - (n - 1.0) / 2.0) * values[i];
  return sum / (n * (n * n - 1.0) / 12.0);
}

/// How a statistic spreads over repetitions: mean, sd (ddof 1) and the 2.5 % and 97.5 % quantiles (linear between order
/// statistics). All 0 for no repetition; sd 0 for one.
struct Spread {
  std::size_t draws = 0;
  double mean = 0.0;
  double sd = 0.0;
  double low = 0.0;
  double high = 0.0;
};

[[nodiscard]] inline Spread spread(std::vector<double> values) {
  Spread out{.draws = values.size()};
  if (values.empty()) return out;
  std::ranges::sort(values);
  const auto n = static_cast<double>(values.size());
  for (const double x : values) out.mean += x / n;
  double squares = 0.0;
  for (const double x : values) squares += (x - out.mean) * (x - out.mean);
  if (values.size() > 1) out.sd = std::sqrt(squares / (n - 1.0));
  out.low = sorted_quantile(values, 0.025);
  out.high = sorted_quantile(values, 0.975);
  return out;
}

/// A Monte Carlo p-value and the smallest that this many draws could have given.
struct PValue {
  double value = 1.0;
  double floor = 1.0;
};

/// Equal up to rounding counts as "at least".
[[nodiscard]] inline bool at_least(double draw, double observed) noexcept {
  return draw >= observed - 1e-12 * std::max(1.0, std::abs(observed));
}

/// One-sided: (1 + #{draw >= observed}) / (1 + draws).
[[nodiscard]] inline PValue upper_p_value(double observed, std::span<const double> draws) {
  const auto reached = std::ranges::count_if(draws, [&](double draw) { return at_least(draw, observed); });
  const double all = 1.0 + static_cast<double>(draws.size());
  return {.value = (1.0 + static_cast<double>(reached)) / all, .floor = 1.0 / all};
}

}  // namespace routesig
