/// \file unit_pairs.hpp
/// Which pairs of prompts are evidence about tasks, and their sums over units: what is permuted and resampled as a
/// whole, groups of prompts or single ones.
///
///     const routesig::Units units(task, group);                          // group may be empty: each prompt alone
///     const auto pairs = routesig::centred_pairs(units, similarity);     // pairs.sums [units, units]
///
/// Two prompts of one unit are no such pair: two wordings of one template say nothing about a task. sums[g, h] adds the
/// pairs between units g and h; sums[g, g] is 0. Prompts of a negative task are left out, and so is a pair whose
/// similarity is NaN: its prompts share no layer that both know.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <optional>
#include <ranges>
#include <span>
#include <unordered_map>
#include <vector>

#include "routesig/error.hpp"
#include "routesig/parallel.hpp"

namespace routesig {

/// A task whose prompts make too few pairs once those of one group are left out.
struct ShortTask {
  int task = 0;
  std::size_t pairs = 0;  ///< pairs of prompts of different groups
};

/// Fewer pairs than this within a task are too few, where others were left out because they lie within a group.
inline constexpr std::size_t kFewestPairs = 5;

/// Tasks with fewer prompts (or groups) than this give no interval.
inline constexpr std::size_t kFewestResampled = 5;

class Units {
 public:
  /// `task` is [n]; `group` is [n] or empty, a negative group is a prompt alone. A group belongs to one task.
  explicit Units(std::span<const int> task, std::span<const int> group = {})
      : prompts_(task.size()), unit_(task.size(), -1) {
    if (!group.empty() && group.size() != task.size())
      throw invalid_argument("groups: expected one per prompt (", task.size(), "), got ", group.size());
    std::unordered_map<int, std::size_t> unit_of_group;
    for (std::size_t i = 0; i < task.size(); ++i) {
      if (task[i] < 0) continue;
      std::size_t unit = members_.size();
      if (!group.empty() && group[i] >= 0) unit = unit_of_group.try_emplace(group[i], unit).first->second;
      if (unit == members_.size()) {
        members_.emplace_back();
        first_.push_back(labelled_.size());
        task_.push_back(task[i]);
      }
      if (task_[unit] != task[i])
        throw invalid_argument("groups: expected every group within one task, got prompts ", members_[unit].front(),
                               " and ", i, " of one group in different tasks");
      members_[unit].push_back(i);
      unit_[i] = static_cast<int>(unit);
      labelled_.push_back(i);
    }
  }

  [[nodiscard]] std::size_t size() const noexcept { return members_.size(); }
  [[nodiscard]] std::size_t prompts() const noexcept { return prompts_; }        ///< n, unlabelled ones among them
  [[nodiscard]] const std::vector<int>& task() const noexcept { return task_; }  ///< [units]
  [[nodiscard]] const std::vector<std::size_t>& members(std::size_t unit) const noexcept { return members_[unit]; }
  /// The unit of a prompt; -1 where it is unlabelled.
  [[nodiscard]] int of(std::size_t prompt) const noexcept { return unit_[prompt]; }

  /// Units of the smallest task; 0 without a task.
  [[nodiscard]] std::size_t fewest() const {
    std::unordered_map<int, std::size_t> counts;
    for (const int task : task_) ++counts[task];
    return counts.empty() ? 0 : std::ranges::min(counts | std::views::values);
  }
  /// Whether all units have as many prompts.
  [[nodiscard]] bool equal_sizes() const {
    return std::ranges::all_of(members_, [&](const auto& unit) { return unit.size() == members_.front().size(); });
  }
  /// The first task that leaving out pairs of one group leaves with fewer than 5: no mean over them is given.
  [[nodiscard]] std::optional<ShortTask> short_task() const {
    struct Sizes {
      std::size_t prompts = 0, squares = 0;
      bool grouped = false;
    };
    std::map<int, Sizes> tasks;
    for (std::size_t g = 0; g < size(); ++g) {
      Sizes& sizes = tasks[task_[g]];
      sizes.prompts += members_[g].size();
      sizes.squares += members_[g].size() * members_[g].size();
      sizes.grouped = sizes.grouped || members_[g].size() > 1;
    }
    for (const auto& [task, sizes] : tasks) {
      const std::size_t pairs = (sizes.prompts * sizes.prompts - sizes.squares) / 2;
      if (sizes.grouped && pairs < kFewestPairs) return ShortTask{.task = task, .pairs = pairs};
    }
    return std::nullopt;
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
  /// Calls visit(similarity) for every pair.
  template <typename Visit>
  void for_each_pair(std::span<const double> similarity, const Visit& visit) const {
    check(similarity);
    for (std::size_t a = 0; a < labelled_.size(); ++a)
      for (std::size_t b = a + 1; b < labelled_.size(); ++b) {
        const std::size_t i = labelled_[a], j = labelled_[b];
        const double x = similarity[i * prompts_ + j];
        if (unit_[i] != unit_[j] && !std::isnan(x)) visit(x);
      }
  }
  /// How many pairs there are where none lacks a similarity: [units, units].
  [[nodiscard]] std::vector<double> pair_counts() const {
    std::vector<double> counts(size() * size());
    for (std::size_t g = 0; g < size(); ++g)
      for (std::size_t h = 0; h < size(); ++h)
        if (g != h) counts[g * size() + h] = static_cast<double>(members_[g].size() * members_[h].size());
    return counts;
  }
  /// The same of those that have one.
  [[nodiscard]] std::vector<double> pair_counts(std::span<const double> similarity) const {
    return pair_sums(similarity, [](double) { return 1.0; });
  }
  /// Whether every pair has a similarity.
  [[nodiscard]] bool complete(std::span<const double> similarity) const {
    std::size_t present = 0, pairs = labelled_.size() * labelled_.size();
    for_each_pair(similarity, [&](double) { ++present; });
    for (const auto& unit : members_) pairs -= unit.size() * unit.size();
    return 2 * present == pairs;
  }

 private:
  void check(std::span<const double> similarity) const {
    if (similarity.size() != prompts_ * prompts_)
      throw invalid_argument("separation: expected a similarity matrix of ", prompts_, " x ", prompts_,
                             " (one task label per prompt), got ", similarity.size(), " values");
  }
  /// Adds the pairs of prompt i, of unit g, with prompts of later units: `sums` [units].
  template <typename Value>
  void add_row(std::span<const double> similarity, const Value& value, std::size_t g, std::size_t i,
               double* sums) const {
    for (std::size_t b = first_[g]; b < labelled_.size(); ++b) {
      const std::size_t j = labelled_[b], h = static_cast<std::size_t>(unit_[j]);
      if (h <= g) continue;
      const double x = similarity[std::min(i, j) * prompts_ + std::max(i, j)];
      if (!std::isnan(x)) sums[h] += value(x);
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
  std::vector<int> unit_;                          // [n]
  std::vector<int> task_;                          // [units]
  std::vector<std::vector<std::size_t>> members_;  // [units], prompts in order
  std::vector<std::size_t> labelled_;              // prompts with a task
  std::vector<std::size_t> first_;                 // [units]: place of its first prompt in labelled_
};

/// How many pairs, their mean similarity and squared deviations from it.
struct PairSpread {
  double pairs = 0.0, mean = 0.0, squares = 0.0;
};

/// `similarity` is [n, n]; only the part above the diagonal is read.
[[nodiscard]] PairSpread pair_spread(const Units& units, std::span<const double> similarity);

/// Similarities summed over units, less their mean: the mean does not matter to differences, and what is left is summed
/// without losing digits.
struct CentredPairs {
  double mean = 0.0;              ///< of the similarities; 0 without a pair
  std::vector<double> sums{};     ///< [units, units]: of x - mean
  std::vector<double> squares{};  ///< [units, units]: of (x - mean)^2
};

/// The sum over units g < h.
[[nodiscard]] double upper_sum(std::span<const double> matrix, std::size_t units);

[[nodiscard]] CentredPairs centred_pairs(const Units& units, std::span<const double> similarity);

}  // namespace routesig
