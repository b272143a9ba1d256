/// \file bootstrap.hpp
/// How far would the separation move with other prompts of the same tasks? Intervals from resampled prompts.
///
///     const auto found = routesig::bootstrap(similarity, task, group, {.draws = 2'000, .seed = 0});
///     if (found.separations[0].cohens_d.interval) use(found.separations[0].cohens_d.interval->low);
///
/// A draw takes n_c - 1 of a task's n_c prompts with replacement; a pair of different prompts taken m_i and m_j times
/// counts m_i m_j times, a prompt with itself never. Intervals are BCa [Efron, JASA 1987], percentile intervals where
/// that is not finite. With groups, whole groups are drawn; pairs within a group do not count.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "routesig/error.hpp"
#include "routesig/parallel.hpp"
#include "routesig/random.hpp"
#include "routesig/similarity.hpp"
#include "routesig/statistics/bca.hpp"
#include "routesig/statistics/unit_pairs.hpp"

namespace routesig {

struct BootstrapOptions {
  std::size_t draws = 2'000;
  std::uint64_t seed = 0;
  double level = 0.95;
};

struct SeparationIntervals {
  BootstrapEstimate within{}, across{}, difference{}, cohens_d{};
};

struct Bootstrap {
  std::size_t units = 0;                           ///< prompts, or groups, that were resampled
  std::size_t fewest = 0;                          ///< units of the smallest task; below 5 there are no intervals
  std::vector<SeparationIntervals> separations{};  ///< [matrices]
  BootstrapEstimate slope{};                       ///< of d over the matrices (layers), a step; absent for fewer than 2
};

namespace detail {

/// What is estimated, in this order; NaN where a draw leaves it undefined.
using Statistics = std::array<double, 4>;  // within, across, difference, cohens_d

/// Units in the order of their tasks, and how often each draw takes them.
class Resamples {
 public:
  Resamples(const Units& units, const BootstrapOptions& options) : options_(options), order_(units.size()) {
    if (options.draws == 0) throw invalid_argument("bootstrap: expected 1 draw or more, got 0");
    if (!(options.level > 0.0 && options.level < 1.0))
      throw invalid_argument("bootstrap: expected a level between 0 and 1, got ", options.level);
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::ranges::stable_sort(order_, {}, [&](std::size_t unit) { return units.task()[unit]; });
    for (std::size_t i = 0; i < order_.size(); ++i)
      if (i == 0 || units.task()[order_[i]] != units.task()[order_[i - 1]]) starts_.push_back(i);
    starts_.push_back(order_.size());
  }

  [[nodiscard]] std::size_t units() const noexcept { return order_.size(); }
  [[nodiscard]] const std::vector<std::size_t>& order() const noexcept { return order_; }
  [[nodiscard]] std::size_t tasks() const noexcept { return starts_.size() - 1; }
  [[nodiscard]] std::size_t start(std::size_t task) const noexcept { return starts_[task]; }
  [[nodiscard]] std::size_t count(std::size_t task) const noexcept { return starts_[task + 1] - starts_[task]; }
  [[nodiscard]] std::size_t draws() const noexcept { return options_.draws; }
  /// All units once; `draws` draws; each unit left out in turn.
  [[nodiscard]] std::size_t rows() const noexcept { return 1 + draws() + units(); }

  /// How often a draw takes each unit.
  void fill(std::size_t draw, std::span<double> weights) const {
    std::ranges::fill(weights, 0.0);
    Random random(options_.seed, stream(Draws::bootstrap, draw));
    for (std::size_t task = 0; task < tasks(); ++task)
      for (std::size_t i = 1; i < count(task); ++i)
        weights[start(task) + random.below(static_cast<std::uint32_t>(count(task)))] += 1.0;
  }

 private:
  BootstrapOptions options_;
  std::vector<std::size_t> order_;   // [units]
  std::vector<std::size_t> starts_;  // [tasks + 1]
};

/// The statistics of one similarity matrix: of all units, of every draw, and without each unit.
[[nodiscard]] std::vector<Statistics> resampled(const Units& units, const Resamples& resamples,
                                                std::span<const double> similarity, const Progress& progress);

/// Estimate from [1 + draws + units] values: the observed one, the draws, and each unit left out.
[[nodiscard]] BootstrapEstimate bootstrap_estimate(std::span<const double> values, const Resamples& resamples,
                                                   const BootstrapOptions& options, bool intervals);

}  // namespace detail

/// Intervals for one similarity matrix [n, n], or several [matrices, n, n] (layers) under the same draws. `task` is
/// [n]; a negative task is left out. `group` is [n] or empty; a negative group is a prompt alone. Conditional on the
/// tasks.
[[nodiscard]] Bootstrap bootstrap(std::span<const double> similarity, std::span<const int> task,
                                  std::span<const int> group = {}, const BootstrapOptions& options = {},
                                  const Progress& progress = {});

/// The same of the layer-wise cosines of a set, one matrix in memory at a time.
[[nodiscard]] Bootstrap layer_bootstrap(const SignatureView& set, std::span<const int> task,
                                        std::span<const int> group = {}, const BootstrapOptions& options = {},
                                        const Progress& progress = {});

}  // namespace routesig
