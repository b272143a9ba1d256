/// \file unit_pairs.hpp
/// Pairs of prompts summed over units: what is permuted and resampled as a whole, groups of prompts or single ones.
///
///     const routesig::Units units(task, group);                          // group may be empty: each prompt alone
///     const auto pairs = routesig::centred_pairs(units, similarity);     // pairs.sums [units, units]
///
/// sums[g, h] adds the pairs between units g and h, sums[g, g] those of different prompts within g. Prompts of a
/// negative task are left out.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "routesig/error.hpp"
#include "routesig/parallel.hpp"

namespace routesig {

class Units {
 public:
  /// `task` is [n]; `group` is [n] or empty, a negative group is a prompt alone. A group belongs to one task.
  explicit Units(std::span<const int> task, std::span<const int> group = {}) : prompts_(task.size()) {
    if (!group.empty() && group.size() != task.size())
      throw invalid_argument("groups: expected one a prompt (", task.size(), "), got ", group.size());
    std::unordered_map<int, std::size_t> unit_of_group;
    for (std::size_t i = 0; i < task.size(); ++i) {
      if (task[i] < 0) continue;
      std::size_t unit = members_.size();
      if (!group.empty() && group[i] >= 0) unit = unit_of_group.try_emplace(group[i], unit).first->second;
      if (unit == members_.size()) {
        members_.emplace_back();
        first_.push_back(unit_of_.size());
        task_.push_back(task[i]);
      }
      if (task_[unit] != task[i])
        throw invalid_argument("groups: expected every group within one task, got prompts ", members_[unit].front(),
                               " and ", i, " of one group in different tasks");
      members_[unit].push_back(i);
      unit_of_.emplace_back(i, unit);
    }
  }

  [[nodiscard]] std::size_t size() const noexcept { return members_.size(); }
  [[nodiscard]] const std::vector<int>& task() const noexcept { return task_; }  ///< [units]
  [[nodiscard]] const std::vector<std::size_t>& members(std::size_t unit) const noexcept { return members_[unit]; }

  /// Whether all units have as many prompts.
  [[nodiscard]] bool equal_sizes() const {
    return std::ranges::all_of(members_, [&](const auto& unit) { return unit.size() == members_.front().size(); });
  }

  /// Sums of value(similarity) over pairs: [units, units]. `similarity` is [n, n]; only the part above the diagonal is
  /// read.
  template <typename Value>
  [[nodiscard]] std::vector<double> pair_sums(std::span<const double> similarity, const Value& value) const {
    check(similarity);
    std::vector<double> sums(size() * size());
    const auto rows = [&](std::size_t begin, std::size_t end) {
      for (std::size_t g = begin; g < end; ++g)
        for (const std::size_t i : members_[g]) add_row(similarity, value, g, i, sums.data() + g * size());
    };
    parallel_for(size(), 16, rows);
    mirror(sums);
    return sums;
  }
  /// Calls visit(similarity) for every pair of labelled prompts.
  template <typename Visit>
  void for_each_pair(std::span<const double> similarity, const Visit& visit) const {
    check(similarity);
    for (std::size_t a = 0; a < unit_of_.size(); ++a)
      for (std::size_t b = a + 1; b < unit_of_.size(); ++b)
        visit(similarity[unit_of_[a].first * prompts_ + unit_of_[b].first]);
  }
  /// How many pairs: [units, units].
  [[nodiscard]] std::vector<double> pair_counts() const {
    std::vector<double> counts(size() * size());
    for (std::size_t g = 0; g < size(); ++g) {
      const auto n = static_cast<double>(members_[g].size());
      for (std::size_t h = 0; h < size(); ++h)
        counts[g * size() + h] = g == h ? n * (n - 1.0) / 2.0 : n * static_cast<double>(members_[h].size());
    }
    return counts;
  }

 private:
  void check(std::span<const double> similarity) const {
    if (similarity.size() != prompts_ * prompts_)
      throw invalid_argument("separation: expected a similarity matrix of ", prompts_, " x ", prompts_,
                             " (one task label a prompt), got ", similarity.size(), " values");
  }
  /// Adds the pairs of prompt i, of unit g, with prompts of units from g on: `sums` [units].
  template <typename Value>
  void add_row(std::span<const double> similarity, const Value& value, std::size_t g, std::size_t i,
               double* sums) const {
    for (std::size_t b = first_[g]; b < unit_of_.size(); ++b) {
      const auto [j, h] = unit_of_[b];
      if (h > g || (h == g && j > i)) sums[h] += value(similarity[std::min(i, j) * prompts_ + std::max(i, j)]);
    }
  }
  /// What is above the diagonal, below it too; in blocks that stay in the cache.
  void mirror(std::vector<double>& matrix) const {
    constexpr std::size_t kBlock = 32;
    parallel_for(size(), kBlock, [&](std::size_t row, std::size_t) {
      for (std::size_t column = row; column < size(); column += kBlock)
        for (std::size_t g = row; g < std::min(row + kBlock, size()); ++g)
          for (std::size_t h = std::max(column, g + 1); h < std::min(column + kBlock, size()); ++h)
            matrix[h * size() + g] = matrix[g * size() + h];
    });
  }

  std::size_t prompts_;
  std::vector<int> task_;                                     // [units]
  std::vector<std::vector<std::size_t>> members_;             // [units], prompts in order
  std::vector<std::pair<std::size_t, std::size_t>> unit_of_;  // [labelled prompts]: prompt, unit
  std::vector<std::size_t> first_;                            // [units]: in unit_of_
};

/// Mean and squared deviations of the similarities of all pairs of labelled prompts.
struct PairSpread {
  double mean = 0.0, squares = 0.0;
};

/// `similarity` is [n, n]; only the part above the diagonal is read.
[[nodiscard]] inline PairSpread pair_spread(const Units& units, std::span<const double> similarity) {
  double pairs = 0.0, total = 0.0;
  units.for_each_pair(similarity, [&](double x) {
    total += x;
    pairs += 1.0;
  });
  if (!std::isfinite(total)) throw invalid_argument("separation: expected finite similarities, got a sum of ", total);
  PairSpread out{.mean = pairs > 0.0 ? total / pairs : 0.0};
  units.for_each_pair(similarity, [&](double x) { out.squares += (x - out.mean) * (x - out.mean); });
  return out;
}

/// Similarities summed over units, less their mean: the mean does not matter to differences, and what is left is summed
/// without losing digits.
struct CentredPairs {
  double mean = 0.0;              ///< of the similarities; 0 without a pair
  std::vector<double> sums{};     ///< [units, units]: of x - mean
  std::vector<double> squares{};  ///< [units, units]: of (x - mean)^2
};

/// The sum over units g <= h.
[[nodiscard]] inline double upper_sum(std::span<const double> matrix, std::size_t units) {
  double sum = 0.0;
  for (std::size_t g = 0; g < units; ++g) {
    const auto row = matrix.subspan(g * units + g, units - g);
    sum += std::reduce(row.begin(), row.end());  // several sums at a time
  }
  return sum;
}

[[nodiscard]] inline CentredPairs centred_pairs(const Units& units, std::span<const double> similarity) {
  CentredPairs out{.mean = pair_spread(units, similarity).mean};
  out.sums = units.pair_sums(similarity, [&](double x) { return x - out.mean; });
  out.squares = units.pair_sums(similarity, [&](double x) { return (x - out.mean) * (x - out.mean); });
  return out;
}

}  // namespace routesig
