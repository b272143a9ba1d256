/// \file matrix_correlation.hpp
/// Do two models find the same prompts alike? The rank correlation of two similarity matrices, and Mantel's test of it.
///
///     const routesig::MatrixCorrelation found(similarity_a, similarity_b, prompts);
///     const auto free = found.mantel_test(std::vector<int>(prompts, 0));   // any prompt may take another's place
///     const auto within = found.mantel_test(task);                         // prompts of one task only
///
/// Pairs share prompts, so that their number says nothing about significance: the prompts of one matrix are permuted
/// instead [Mantel, Cancer Research 1967]. Freely permuted, two models that both separate tasks always agree; permuted
/// within tasks, they agree where they do so about more than tasks.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "routesig/error.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/parallel.hpp"
#include "routesig/random.hpp"
#include "routesig/statistics/statistics.hpp"

namespace routesig {

struct MantelOptions {
  std::size_t permutations = 10'000;  ///< random ones; where no more are possible, each of them once
  std::uint64_t seed = 0;
};

/// Orders of items in which only items of one stratum change places: all of them where they are few, random ones
/// otherwise. Order i is a pure function of (strata, seed, i).
class StratifiedPermutations {
 public:
  /// `strata` [n]; an item of a negative stratum stays where it is.
  explicit StratifiedPermutations(std::span<const int> strata, const MantelOptions& options = {})
      : options_(options), items_(strata.size()) {
    if (options.permutations == 0) throw invalid_argument("mantel_test: expected 1 permutation or more, got 0");
    std::vector<std::size_t> order(strata.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, {}, [&](std::size_t i) { return strata[i]; });
    for (std::size_t k = 0; k < order.size(); ++k) {
      if (strata[order[k]] < 0) continue;
      if (k == 0 || strata[order[k]] != strata[order[k - 1]]) members_.emplace_back();
      members_.back().push_back(order[k]);
    }
    possible_ = 1;
    for (const auto& members : members_)
      for (std::size_t i = 2; possible_ <= options.permutations && i <= members.size(); ++i) possible_ *= i;
  }

  [[nodiscard]] std::size_t items() const noexcept { return items_; }
  /// Whether every order comes once, the given one among them.
  [[nodiscard]] bool exact() const noexcept { return possible_ <= options_.permutations; }
  [[nodiscard]] std::size_t size() const noexcept { return exact() ? possible_ : options_.permutations; }

  /// Order `index`: out [n], the item that takes the place of each.
  void fill(std::size_t index, std::span<std::uint32_t> out) const {
    std::iota(out.begin(), out.end(), 0U);
    Random random(options_.seed, stream(Draws::mantel, index));
    for (const auto& members : members_)
      for (std::size_t i = members.size(); i > 1; --i) {
        const std::size_t j = exact() ? index % i : random.below(static_cast<std::uint32_t>(i));
        if (exact()) index /= i;
        std::swap(out[members[i - 1]], out[members[j]]);
      }
  }

 private:
  MantelOptions options_;
  std::size_t items_;
  std::vector<std::vector<std::size_t>> members_;  // [strata]
  std::size_t possible_ = 1;                       // orders; any number above the permutations where there are more
};

/// Ranks of values from 1 on; equal ones share the mean of theirs.
[[nodiscard]] std::vector<double> average_ranks(std::span<const double> values);

struct MantelTest {
  PValue p{};                    ///< one-sided: correlations as large
  bool exact = false;            ///< every order was looked at once
  std::size_t permutations = 0;  ///< orders looked at
  Spread null{};                 ///< the correlation under them
};

/// Spearman's correlation of two symmetric matrices over the pairs above the diagonal.
class MatrixCorrelation {
 public:
  /// `a` and `b` are [n, n], finite; only what is above the diagonal is read.
  MatrixCorrelation(std::span<const double> a, std::span<const double> b, std::size_t n)
      : n_(n), a_(centred_ranks(a, n)), b_(centred_ranks(b, n)) {
    scale_ = std::sqrt(squares(a_)) * std::sqrt(squares(b_));
    std::vector<std::uint32_t> same(n);
    std::iota(same.begin(), same.end(), 0U);
    if (scale_ > 0.0) spearman_ = correlation(same);
  }

  [[nodiscard]] std::size_t pairs() const noexcept { return n_ * (n_ - std::min<std::size_t>(n_, 1)) / 2; }
  /// Absent where the similarities of either do not vary.
  [[nodiscard]] std::optional<double> spearman() const noexcept { return spearman_; }

  /// How often the prompts of b, permuted within `strata` [n], correlate as much with those of a. Absent without a
  /// correlation, and where no prompt can take another's place.
  [[nodiscard]] std::optional<MantelTest> mantel_test(std::span<const int> strata, const MantelOptions& options = {},
                                                      const Progress& progress = {}) const {
    if (strata.size() != n_)
      throw invalid_argument("mantel_test: expected strata of ", n_, " prompts, got ", strata.size());
    const StratifiedPermutations orders(strata, options);
    if (!spearman_ || orders.size() < 2) return std::nullopt;
    std::vector<double> draws(orders.size());
    const auto work = [&](std::size_t begin, std::size_t end) {
      std::vector<std::uint32_t> order(n_);
      for (std::size_t i = begin; i < end; ++i) {
        interruption_point();
        orders.fill(i, order);
        draws[i] = correlation(order);
      }
    };
    parallel_for(draws.size(), 64, work, progress);
    MantelTest out{.exact = orders.exact(), .permutations = draws.size()};
    out.p = upper_p_value(*spearman_, draws);
    if (out.exact) {
      const auto all = static_cast<double>(draws.size());
      const auto reached = std::ranges::count_if(draws, [&](double draw) { return at_least(draw, *spearman_); });
      out.p = {.value = static_cast<double>(reached) / all, .floor = 1.0 / all};
    }
    out.null = spread(std::move(draws));
    return out;
  }

 private:
  /// Ranks over pairs less their mean, as a symmetric matrix with diagonal 0.
  static std::vector<double> centred_ranks(std::span<const double> matrix, std::size_t n) {
    if (matrix.size() != n * n)
      throw invalid_argument("matrix_correlation: expected matrices of ", n, " x ", n, ", got ", matrix.size(),
                             " values");
    std::vector<double> upper;
    for (std::size_t i = 0; i < n; ++i) {
      const auto row = matrix.subspan(i * n, n).subspan(i + 1);
      upper.insert(upper.end(), row.begin(), row.end());
    }
    if (!std::ranges::all_of(upper, [](double x) { return std::isfinite(x); }))
      throw invalid_argument("matrix_correlation: expected finite similarities");
    const std::vector<double> ranks = average_ranks(upper);
    const double mean = 0.5 * (static_cast<double>(upper.size()) + 1.0);
    std::vector<double> out(n * n);
    for (std::size_t i = 0, pair = 0; i < n; ++i)
      for (std::size_t j = i + 1; j < n; ++j) out[i * n + j] = out[j * n + i] = ranks[pair++] - mean;
    return out;
  }

  /// Over pairs.
  static double squares(const std::vector<double>& matrix) {
    return 0.5 * std::transform_reduce(matrix.begin(), matrix.end(), matrix.begin(), 0.0);
  }

  [[nodiscard]] double correlation(std::span<const std::uint32_t> order) const {
    double sum = 0.0;
    for (std::size_t i = 0; i < n_; ++i) {
      const double* const row_a = a_.data() + i * n_;
      const double* const row_b = b_.data() + order[i] * n_;
      for (std::size_t j = i + 1; j < n_; ++j) sum += row_a[j] * row_b[order[j]];
    }
    return std::clamp(sum / scale_, -1.0, 1.0);
  }

  std::size_t n_;
  std::vector<double> a_, b_;  // [n, n]
  double scale_ = 0.0;
  std::optional<double> spearman_{};
};

}  // namespace routesig
