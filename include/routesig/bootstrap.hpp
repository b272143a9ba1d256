/// \file bootstrap.hpp
/// How far would the separation move with other prompts of the same tasks? Intervals from resampled prompts.
///
///     const auto found = routesig::bootstrap(similarity, task, group, {.draws = 2'000, .seed = 0});
///     if (found.separations[0].cohens_d.interval) use(found.separations[0].cohens_d.interval->low);
///
/// A draw takes n_c - 1 of a task's n_c prompts with replacement; a pair of different prompts taken m_i and m_j times
/// counts m_i m_j times, a prompt with itself never. Intervals are BCa [Efron, JASA 1987], percentile intervals where
/// that is not finite. With groups, whole groups are drawn, and a pair within a group counts as often as the group.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

#include "routesig/bca.hpp"
#include "routesig/error.hpp"
#include "routesig/parallel.hpp"
#include "routesig/random.hpp"
#include "routesig/statistics.hpp"
#include "routesig/unit_pairs.hpp"

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

/// Tasks with fewer prompts (or groups) than this give no interval.
inline constexpr std::size_t kFewestResampled = 5;

namespace detail {

using RowMajorMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

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
  /// Units of the smallest task; 0 without a task.
  [[nodiscard]] std::size_t fewest() const noexcept {
    std::size_t least = tasks() == 0 ? 0 : count(0);
    for (std::size_t task = 1; task < tasks(); ++task) least = std::min(least, count(task));
    return least;
  }
  /// Rows of weights: all units once; `draws` draws; each unit left out in turn.
  [[nodiscard]] std::size_t rows() const noexcept { return 1 + options_.draws + units(); }

  void fill(std::size_t row, std::span<double> weights) const {
    if (row == 0 || row > options_.draws) {
      std::ranges::fill(weights, 1.0);
      if (row > 0) weights[row - 1 - options_.draws] = 0.0;
      return;
    }
    std::ranges::fill(weights, 0.0);
    Random random(options_.seed, stream(Draws::bootstrap, row - 1));
    for (std::size_t task = 0; task < tasks(); ++task)
      for (std::size_t i = 1; i < count(task); ++i)
        weights[start(task) + random.below(static_cast<std::uint32_t>(count(task)))] += 1.0;
  }

 private:
  BootstrapOptions options_;
  std::vector<std::size_t> order_;   // [units]
  std::vector<std::size_t> starts_;  // [tasks + 1]
};

/// Sums over pairs, for rows of weights: between units with the product of their weights, inside them with the weight.
class WeightedPairs {
 public:
  struct Sums {
    Eigen::VectorXd within, all;  // [rows]
  };

  WeightedPairs(const std::vector<double>& sums, const Resamples& resamples)
      : resamples_(resamples), between_(size(resamples.units()), size(resamples.units())), inside_(between_.rows()) {
    const std::size_t n = resamples.units();
    for (std::size_t g = 0; g < n; ++g)
      for (std::size_t h = 0; h < n; ++h)
        between_(size(g), size(h)) = g == h ? 0.0 : sums[resamples.order()[g] * n + resamples.order()[h]];
    for (std::size_t g = 0; g < n; ++g) inside_[size(g)] = sums[resamples.order()[g] * (n + 1)];
  }

  [[nodiscard]] Sums operator()(const RowMajorMatrix& weights) const {
    const Eigen::VectorXd inside = weights * inside_;
    Sums out{.within = inside, .all = inside};
    out.all += 0.5 * (weights * between_).cwiseProduct(weights).rowwise().sum();
    for (std::size_t task = 0; task < resamples_.tasks(); ++task) {
      const Eigen::Index at = size(resamples_.start(task)), count = size(resamples_.count(task));
      const auto part = weights.middleCols(at, count);
      out.within += 0.5 * (part * between_.block(at, at, count, count)).cwiseProduct(part).rowwise().sum();
    }
    return out;
  }

 private:
  static Eigen::Index size(std::size_t n) { return static_cast<Eigen::Index>(n); }

  const Resamples& resamples_;
  RowMajorMatrix between_;  // [units, units], diagonal 0
  Eigen::VectorXd inside_;  // [units]
};

[[nodiscard]] inline Statistics weighted_statistics(double n_w, double n_a, double sum_w, double sum_a,
                                                    double squares_w, double squares_a, double shift) {
  constexpr double absent = std::numeric_limits<double>::quiet_NaN();
  Statistics out{absent, absent, absent, absent};
  const double within = sum_w / n_w, across = sum_a / n_a;
  if (n_w > 0.0) out[0] = shift + within;
  if (n_a > 0.0) out[1] = shift + across;
  if (!(n_w > 0.0 && n_a > 0.0)) return out;
  out[2] = within - across;
  const double residual = squares_w - sum_w * within + squares_a - sum_a * across;
  const double sd = std::sqrt(std::max(residual, 0.0) / (n_w + n_a - 2.0));
  if (n_w + n_a > 2.0 && sd > kNoSpread) out[3] = out[2] / sd;
  return out;
}

/// The statistics of one similarity matrix for every row of weights.
[[nodiscard]] inline std::vector<Statistics> resampled(const Units& units, const Resamples& resamples,
                                                       std::span<const double> similarity, const Progress& progress) {
  const CentredPairs pairs = centred_pairs(units, similarity);
  const WeightedPairs number(pairs.counts, resamples), sum(pairs.sums, resamples), square(pairs.squares, resamples);

  std::vector<Statistics> out(resamples.rows());
  const auto work = [&](std::size_t begin, std::size_t end) {
    const auto columns = static_cast<Eigen::Index>(units.size());
    RowMajorMatrix weights(static_cast<Eigen::Index>(end - begin), columns);
    for (std::size_t row = begin; row < end; ++row)
      resamples.fill(row, {weights.row(static_cast<Eigen::Index>(row - begin)).data(), units.size()});
    const auto n = number(weights), s = sum(weights), q = square(weights);
    for (std::size_t row = begin; row < end; ++row) {
      const auto i = static_cast<Eigen::Index>(row - begin);
      out[row] = weighted_statistics(n.within[i], n.all[i] - n.within[i], s.within[i], s.all[i] - s.within[i],
                                     q.within[i], q.all[i] - q.within[i], pairs.mean);
    }
  };
  parallel_for(out.size(), 64, work, progress);
  return out;
}

/// Estimate from [1 + draws + units] values: the observed one, the draws, and each unit left out.
[[nodiscard]] inline BootstrapEstimate bootstrap_estimate(std::span<const double> values, const Resamples& resamples,
                                                          const BootstrapOptions& options, bool intervals) {
  BootstrapEstimate out;
  if (std::isnan(values[0])) return out;
  out.value = values[0];
  if (!intervals) return out;
  std::vector<std::span<const double>> left_out;
  left_out.reserve(resamples.tasks());
  for (std::size_t task = 0; task < resamples.tasks(); ++task)
    left_out.push_back(values.subspan(1 + options.draws + resamples.start(task), resamples.count(task)));
  std::vector<double> draws(values.begin() + 1, values.begin() + 1 + static_cast<std::ptrdiff_t>(options.draws));
  std::erase_if(draws, [](double x) { return std::isnan(x); });
  // Where many draws are undefined, the others are a selection.
  if (static_cast<double>(draws.size()) < 0.95 * static_cast<double>(options.draws)) return out;
  out.se = spread(draws).sd;
  out.interval = bca_interval(values[0], std::move(draws), acceleration(left_out), options.level);
  return out;
}

}  // namespace detail

/// Intervals for one similarity matrix [n, n], or several [matrices, n, n] (layers) under the same draws. `task` is
/// [n]; a negative task is left out. `group` is [n] or empty; a negative group is a prompt alone. Conditional on the
/// tasks.
[[nodiscard]] inline Bootstrap bootstrap(std::span<const double> similarity, std::span<const int> task,
                                         std::span<const int> group = {}, const BootstrapOptions& options = {},
                                         const Progress& progress = {}) {
  const std::size_t size = task.size() * task.size();
  if (size == 0 ? !similarity.empty() : similarity.size() % size != 0)
    throw invalid_argument("bootstrap: expected similarity matrices of ", task.size(), " x ", task.size(),
                           " (one task label a prompt), got ", similarity.size(), " values");
  const Units units(task, group);
  const detail::Resamples resamples(units, options);
  Bootstrap out{.units = units.size(), .fewest = resamples.fewest()};
  const bool intervals = out.fewest >= kFewestResampled;

  const std::size_t matrices = size == 0 ? 0 : similarity.size() / size, rows = resamples.rows();
  std::vector<double> slopes(rows), column(rows);
  const double middle = (static_cast<double>(matrices) - 1.0) / 2.0;
  for (std::size_t m = 0; m < matrices; ++m) {
    const Progress part = [&](std::size_t done, std::size_t) { progress(m * rows + done, matrices * rows); };
    const auto values =
        detail::resampled(units, resamples, similarity.subspan(m * size, size), progress ? part : Progress{});
    auto& found = out.separations.emplace_back();
    const std::array<BootstrapEstimate*, 4> estimates{&found.within, &found.across, &found.difference, &found.cohens_d};
    for (std::size_t k = 0; k < estimates.size(); ++k) {
      for (std::size_t row = 0; row < rows; ++row) column[row] = values[row][k];
      *estimates[k] = detail::bootstrap_estimate(column, resamples, options, intervals);
    }
    // The least-squares slope is linear in the values: add this layer's part of it.
    for (std::size_t row = 0; row < rows; ++row) slopes[row] += (static_cast<double>(m) - middle) * values[row][3];
  }
  if (matrices < 2) return out;
  const auto layers = static_cast<double>(matrices);
  for (double& slope : slopes) slope /= layers * (layers * layers - 1.0) / 12.0;
  out.slope = detail::bootstrap_estimate(slopes, resamples, options, intervals);
  return out;
}

}  // namespace routesig
