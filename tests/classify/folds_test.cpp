#include "routesig/classify/folds.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

namespace routesig {
namespace {

std::vector<int> labels_of(std::vector<int> sizes) {
  std::vector<int> out;
  for (std::size_t label = 0; label < sizes.size(); ++label)
    out.insert(out.end(), static_cast<std::size_t>(sizes[label]), static_cast<int>(label));
  return out;
}

int count_in(const std::vector<int>& labels, const std::vector<int>& fold, int label, int f) {
  int count = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) count += labels[i] == label && fold[i] == f ? 1 : 0;
  return count;
}

TEST(StratifiedFolds, SizesDifferByOneWithinLabelsAndInAll) {
  const std::vector<int> labels = labels_of({20, 13, 7, 1});
  Random random(0);
  const std::vector<int> fold = stratified_folds(labels, 5, random);
  for (int label = 0; label < 4; ++label) {
    std::vector<int> counts;
    for (int f = 0; f < 5; ++f) counts.push_back(count_in(labels, fold, label, f));
    EXPECT_LE(std::ranges::max(counts) - std::ranges::min(counts), 1);
  }
  std::vector<std::ptrdiff_t> sizes;
  for (int f = 0; f < 5; ++f) sizes.push_back(std::ranges::count(fold, f));
  EXPECT_LE(std::ranges::max(sizes) - std::ranges::min(sizes), 1);
}

TEST(StratifiedFolds, OneSeedOneSplitAndUnlabelledRowsInNone) {
  const std::vector<int> labels{0, 1, -1, 0, 1, 0, 1, 0, 1};
  Random a(7), b(7), c(8);
  const auto first = stratified_folds(labels, 2, a), second = stratified_folds(labels, 2, b);
  EXPECT_EQ(first, second);
  EXPECT_EQ(first[2], -1);
  std::set<std::vector<int>> splits;
  for (int i = 0; i < 10; ++i) splits.insert(stratified_folds(labels, 2, c));
  EXPECT_GT(splits.size(), 1U);  // shuffled
}

TEST(GroupedFolds, KeepGroupsWholeAndTasksSpread) {
  std::vector<int> labels, groups;
  for (int label = 0; label < 4; ++label)
    for (int group = 0; group < 5; ++group)
      for (int i = 0; i < 4; ++i) {
        labels.push_back(label);
        groups.push_back(label * 100 + group);
      }
  Random random(3);
  const std::vector<int> fold = grouped_folds(labels, groups, 5, random);
  for (std::size_t i = 0; i < labels.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (groups[i] == groups[j]) {
        EXPECT_EQ(fold[i], fold[j]);
      }
  for (int label = 0; label < 4; ++label)
    for (int f = 0; f < 5; ++f) EXPECT_EQ(count_in(labels, fold, label, f), 4);
}

TEST(FoldPlan, TakesGivenFoldsAsTheyAre) {
  Random random(0);
  const FoldPlan plan{.folds = 2, .given = {1, 0, 1, -1}, .groups = {}};
  EXPECT_EQ(plan.assign(std::vector<int>{0, -1, 1, 0}, random), (std::vector<int>{1, -1, 1, -1}));
  EXPECT_EQ(training_labels(std::vector<int>{0, 2, 1}, std::vector<int>{0, 1, 0}, 0), (std::vector<int>{-1, 2, -1}));
}

TEST(Folds, RefuseWhatDoesNotFit) {
  Random random(0);
  EXPECT_THROW((void)stratified_folds(std::vector<int>{0, 1}, 1, random), std::invalid_argument);
  EXPECT_THROW((void)grouped_folds(std::vector<int>{0, 1}, std::vector<int>{0}, 2, random), std::invalid_argument);
  const FoldPlan plan{.folds = 2, .given = {0, 2}, .groups = {}};
  EXPECT_THROW((void)plan.assign(std::vector<int>{0, 1}, random), std::invalid_argument);
  EXPECT_THROW((void)plan.assign(std::vector<int>{0}, random), std::invalid_argument);
}

}  // namespace
}  // namespace routesig
