/// \file category_matrix.hpp
/// Mean similarity for every pair of tasks, and means in which each task weighs the same.
///
///     const auto matrix = routesig::category_matrix(similarity, task, 4);      // matrix.mean[a * 4 + b]
///     const auto s = routesig::balanced_separation(similarity, task);          // however many prompts a task has
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "routesig/statistics/statistics.hpp"

namespace routesig {

struct CategoryMatrix {
  std::size_t tasks = 0;
  std::vector<std::size_t> pairs{};           ///< [tasks, tasks], symmetric
  std::vector<std::optional<double>> mean{};  ///< [tasks, tasks], symmetric; absent without a pair
};

/// `similarity`, `task` and `group` as for `separation`; tasks are below `tasks`.
[[nodiscard]] CategoryMatrix category_matrix(std::span<const double> similarity, std::span<const int> task,
                                             std::size_t tasks, std::span<const int> group = {});

/// `separation` with task-balanced means: within is the mean over tasks of each task's mean, across that over pairs of
/// tasks; tasks without a pair have no within mean and are left out of it. Standard deviations are those over pairs,
/// and d is the balanced difference over the same pooled sd.
[[nodiscard]] Separation balanced_separation(std::span<const double> similarity, std::span<const int> task,
                                             std::span<const int> group = {});

}  // namespace routesig
