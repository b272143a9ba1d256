/// \file folds.hpp
/// Which rows are held out together in cross-validation: shuffled folds in which tasks keep their shares, and in which
/// groups (prompts of one template or source) stay whole.
///
///     routesig::Random random(seed, routesig::stream(routesig::Draws::folds, repetition));
///     const std::vector<int> fold = routesig::stratified_folds(labels, 5, random);          // 0 ... 4 a row
///     const std::vector<int> whole = routesig::grouped_folds(labels, groups, 5, random);
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "routesig/error.hpp"
#include "routesig/random.hpp"

namespace routesig {

/// Every label's rows are shuffled and assigned to folds in turn: sizes differ by 1 at most, within a label as in all.
/// A row with a negative label gets -1.
[[nodiscard]] std::vector<int> stratified_folds(std::span<const int> labels, int folds, Random& random);

/// Groups are shuffled and, larger ones first, given to the fold where they crowd their labels least (then to the
/// smaller fold, then to the first). `groups` [rows] are any numbers. Folds stay empty where there are fewer groups.
[[nodiscard]] std::vector<int> grouped_folds(std::span<const int> labels, std::span<const int> groups, int folds,
                                             Random& random);

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
[[nodiscard]] std::vector<int> training_labels(std::span<const int> labels, std::span<const int> fold, int held_out);

}  // namespace routesig
