/// \file folds.hpp
/// Which rows are held out together in cross-validation: shuffled folds in which tasks keep their shares, and in which
/// groups (prompts of one template or source) stay whole.
///
///     routesig::Random random(seed, routesig::stream(routesig::Draws::folds, repetition));
///     const std::vector<int> fold = routesig::stratified_folds(labels, 5, random);          // 0 ... 4 a row
///     const std::vector<int> whole = routesig::grouped_folds(labels, groups, 5, random);
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <span>
#include <vector>

#include "routesig/error.hpp"
#include "routesig/random.hpp"

namespace routesig {

/// Every label's rows are shuffled and assigned to folds in turn: sizes differ by 1 at most, within a label as in all.
/// A row with a negative label gets -1.
[[nodiscard]] inline std::vector<int> stratified_folds(std::span<const int> labels, int folds, Random& random) {
  if (folds < 2) throw invalid_argument("folds: expected 2 or more, got ", folds);
  std::map<int, std::vector<std::size_t>> rows;
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] >= 0) rows[labels[i]].push_back(i);
  std::vector<int> out(labels.size(), -1);
  int next = 0;
  for (auto& [label, members] : rows) {
    random.shuffle(std::span(members));
    for (const std::size_t i : members) {
      out[i] = next;
      next = (next + 1) % folds;
    }
  }
  return out;
}

namespace detail {

/// A group: its rows by label.
struct GroupOfRows {
  std::map<int, int> rows;  // label -> rows
  int size = 0;
};

/// What the folds' squared shares of each label grow by if `group` joins a fold that holds `counts`.
[[nodiscard]] inline double crowding(const GroupOfRows& group, const std::map<int, int>& counts,
                                     const std::map<int, int>& totals) {
  double sum = 0.0;
  for (const auto& [label, rows] : group.rows) {
    const auto at = counts.find(label);
    const double here = at == counts.end() ? 0.0 : at->second;
    sum += rows * (2.0 * here + rows) / totals.at(label);
  }
  return sum;
}

}  // namespace detail

/// Groups are shuffled and, larger ones first, given to the fold where they crowd their labels least (then to the
/// smaller fold, then to the first). `groups` [rows] are any numbers. Folds stay empty where there are fewer groups.
[[nodiscard]] inline std::vector<int> grouped_folds(std::span<const int> labels, std::span<const int> groups, int folds,
                                                    Random& random) {
  if (folds < 2) throw invalid_argument("folds: expected 2 or more, got ", folds);
  if (groups.size() != labels.size())
    throw invalid_argument("folds: expected one group for each of ", labels.size(), " rows, got ", groups.size());
  std::map<int, detail::GroupOfRows> members;
  std::map<int, int> totals;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0) continue;
    detail::GroupOfRows& group = members[groups[i]];
    ++group.rows[labels[i]];
    ++group.size;
    ++totals[labels[i]];
  }
  std::vector<int> order;
  order.reserve(members.size());
  for (const auto& [name, group] : members) order.push_back(name);
  random.shuffle(std::span(order));
  std::ranges::stable_sort(order, [&](int a, int b) { return members[a].size > members[b].size; });

  std::vector<std::map<int, int>> counts(static_cast<std::size_t>(folds));
  std::vector<int> sizes(counts.size(), 0);
  std::map<int, int> fold_of;
  for (const int name : order) {
    const detail::GroupOfRows& group = members[name];
    std::size_t best = 0;
    double least = detail::crowding(group, counts[0], totals);
    for (std::size_t f = 1; f < counts.size(); ++f) {
      const double crowd = detail::crowding(group, counts[f], totals);
      const bool equal = crowd <= least + 1e-12 && crowd >= least - 1e-12;
      if (equal ? sizes[f] < sizes[best] : crowd < least) {
        best = f;
        least = crowd;
      }
    }
    for (const auto& [label, rows] : group.rows) counts[best][label] += rows;
    sizes[best] += group.size;
    fold_of[name] = static_cast<int>(best);
  }
  std::vector<int> out(labels.size(), -1);
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] >= 0) out[i] = fold_of[groups[i]];
  return out;
}

/// How rows are split: as given, else with whole groups where groups are given, else by label alone.
struct FoldPlan {
  int folds = 5;
  std::vector<int> given{};   ///< [rows], 0 ... folds - 1 (negative: never held out); empty: draw them
  std::vector<int> groups{};  ///< [rows]; empty: every row for itself

  [[nodiscard]] std::vector<int> assign(std::span<const int> labels, Random& random) const {
    if (given.empty())
      return groups.empty() ? stratified_folds(labels, folds, random) : grouped_folds(labels, groups, folds, random);
    if (given.size() != labels.size())
      throw invalid_argument("folds: expected one fold for each of ", labels.size(), " rows, got ", given.size());
    std::vector<int> out = given;
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (out[i] >= folds) throw invalid_argument("folds: expected folds below ", folds, ", got ", out[i]);
      if (labels[i] < 0) out[i] = -1;
    }
    return out;
  }
};

/// Labels [rows] without the rows of fold `held_out`, which get -1 like rows without a label.
[[nodiscard]] inline std::vector<int> training_labels(std::span<const int> labels, std::span<const int> fold,
                                                      int held_out) {
  std::vector<int> out(labels.begin(), labels.end());
  for (std::size_t i = 0; i < out.size(); ++i)
    if (fold[i] == held_out) out[i] = -1;
  return out;
}

}  // namespace routesig
