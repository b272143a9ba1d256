/// \file statistics.hpp
/// Do prompts of one task route more alike than prompts of different tasks? [paper section 5]
///
///     const auto s = routesig::separation(routesig::similarity_matrix(set), tasks);   // tasks: {0, 0, 1, 1, ...}
///     if (s.cohens_d) use(s.within.mean - s.across.mean, *s.cohens_d);
#pragma once

#include <cmath>
#include <cstddef>
#include <optional>
#include <span>

#include "routesig/error.hpp"

namespace routesig {

/// A standard deviation of similarities at or below this is rounding, not spread.
inline constexpr double kNoSpread = 1e-12;

/// Mean and standard deviation (ddof 1) over pairs; absent where there are too few.
struct PairMoments {
  std::size_t pairs = 0;
  std::optional<double> mean{};
  std::optional<double> sd{};
};

struct Separation {
  PairMoments within;                ///< pairs of different prompts of one task
  PairMoments across;                ///< pairs of prompts of different tasks
  std::optional<double> cohens_d{};  ///< (within - across) / pooled sd, pooled by pair counts; absent where undefined
};

/// Within-task against across-task similarity. `similarity` is [n, n], row-major; only the part above the diagonal is
/// read. `task` is [n]; a negative task is unlabelled and its pairs are left out.
[[nodiscard]] inline Separation separation(std::span<const double> similarity, std::span<const int> task) {
  const std::size_t n = task.size();
  if (similarity.size() != n * n)
    throw invalid_argument("separation: expected a similarity matrix of ", n, " x ", n,
                           " (one task label a prompt), got ", similarity.size(), " values");
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
    for (std::size_t j = i + 1; j < n; ++j)
      if (task[i] >= 0 && task[j] >= 0) (task[i] == task[j] ? within : across).add(similarity[i * n + j]);

  Separation out{.within = within.moments(), .across = across.moments()};
  if (within.pairs > 0 && across.pairs > 0 && within.pairs + across.pairs > 2) {
    const double pooled = (within.squares + across.squares) / static_cast<double>(within.pairs + across.pairs - 2);
    const double sd = std::sqrt(pooled);
    if (sd > kNoSpread) out.cohens_d = (within.mean - across.mean) / sd;
  }
  return out;
}

}  // namespace routesig
