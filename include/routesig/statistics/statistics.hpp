/// \file statistics.hpp
/// Do prompts of one task route more alike than prompts of different tasks? [paper section 5]
///
///     const auto s = routesig::separation(routesig::similarity_matrix(set), tasks);   // tasks: {0, 0, 1, 1, ...}
///     if (s.cohens_d) use(s.within.mean - s.across.mean, *s.cohens_d);
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

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
[[nodiscard]] Separation separation(std::span<const double> similarity, std::span<const int> task,
                                    std::span<const int> group = {});

/// The least-squares slope of values over 0, 1, 2, ... (d over layers): absent for fewer than two.
[[nodiscard]] std::optional<double> depth_slope(std::span<const double> values);

/// How a statistic spreads over repetitions: mean, sd (ddof 1) and the 2.5 % and 97.5 % quantiles (linear between order
/// statistics). All 0 for no repetition; sd 0 for one.
struct Spread {
  std::size_t draws = 0;
  double mean = 0.0;
  double sd = 0.0;
  double low = 0.0;
  double high = 0.0;
};

[[nodiscard]] Spread spread(std::vector<double> values);

/// A Monte Carlo p-value and the smallest that this many draws could have given.
struct PValue {
  double value = 1.0;
  double floor = 1.0;
};

/// Equal up to rounding counts as "at least".
[[nodiscard]] bool at_least(double draw, double observed) noexcept;

/// One-sided: (1 + #{draw >= observed}) / (1 + draws).
[[nodiscard]] PValue upper_p_value(double observed, std::span<const double> draws);

}  // namespace routesig
