/// \file paired_bootstrap.hpp
/// Does one set of prompts separate tasks more than another recording of the same prompts does? Intervals for the
/// difference, from the same resampled prompts in both.
///
///     const auto found = routesig::paired_bootstrap(similarity_a, similarity_b, task, group, {.draws = 2'000});
///     if (found.cohens_d.difference.interval) use(*found.cohens_d.difference.value);   // of b, less that of a
///
/// What is drawn, and how intervals are made of it, is `bootstrap`'s.
#pragma once

#include <cstddef>
#include <span>

#include "routesig/parallel.hpp"
#include "routesig/statistics/bca.hpp"
#include "routesig/statistics/bootstrap.hpp"

namespace routesig {

/// A statistic of a, of b, and b less a. Each is absent where it is undefined.
struct PairedEstimate {
  BootstrapEstimate a{}, b{}, difference{};
};

struct PairedBootstrap {
  std::size_t units = 0;   ///< prompts, or groups, that were resampled
  std::size_t fewest = 0;  ///< units of the smallest task; below 5 there are no intervals
  PairedEstimate within{}, across{}, difference{}, cohens_d{};
};

/// `a` and `b` are similarity matrices [n, n] of the same prompts in one order, `task` and `group` as for `bootstrap`.
[[nodiscard]] PairedBootstrap paired_bootstrap(std::span<const double> a, std::span<const double> b,
                                               std::span<const int> task, std::span<const int> group = {},
                                               const BootstrapOptions& options = {}, const Progress& progress = {});

}  // namespace routesig
