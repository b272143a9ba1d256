#include "routesig/classify/classifier.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "routesig/classify/logistic_regression.hpp"
#include "routesig/classify/nearest_centroid.hpp"

namespace routesig {
namespace {

TEST(Wilson, ByHand) {
  const Proportion p = wilson_interval(74, 80);  // the paper's 92.5 %
  EXPECT_NEAR(p.low, .846, 5e-4);
  EXPECT_NEAR(p.high, .965, 5e-4);
  EXPECT_NEAR(wilson_interval(0, 10).low, 0.0, 1e-15);
  EXPECT_NEAR(wilson_interval(10, 10).high, 1.0, 1e-15);
  EXPECT_EQ(wilson_interval(0, 0).high, 1.0);
}

TEST(Scores, ByHand) {
  const std::vector<int> truth{0, 0, 0, 1, 1, 2, -1}, guess{0, 0, 1, 1, 1, 0, 0}, fold{0, 0, 0, 0, 1, 1, 1};
  const ClassificationScores s = scores(truth, guess, fold);
  EXPECT_EQ(s.hits, 4U);
  EXPECT_EQ(s.trials, 6U);
  EXPECT_EQ(s.confusion, (std::vector<std::size_t>{2, 1, 0, 0, 2, 0, 1, 0, 0}));
  EXPECT_EQ(s.fold_accuracy, (std::vector<double>{.75, .5}));
  EXPECT_DOUBLE_EQ(s.accuracy, .625);
  EXPECT_DOUBLE_EQ(s.accuracy_sd, .125);  // ddof 0
  EXPECT_DOUBLE_EQ(s.chance, .5);
  EXPECT_DOUBLE_EQ(s.macro_f1, (4.0 / 6.0 + 4.0 / 5.0 + 0.0) / 3.0);
  // Fold 0: labels 0 (f1 4/5) and 1 (2/3). Fold 1: labels 0 (0), 1 (1) and 2 (0).
  EXPECT_DOUBLE_EQ(s.macro_f1_folds, (((4.0 / 5.0 + 2.0 / 3.0) / 2.0) + 1.0 / 3.0) / 2.0);
}

TEST(Scores, ThePapersDeviationIsOverFoldsWithDdofZero) {
  // 74 of 80 in five folds of 16 as 16 15 14 16 13: .925 +- .0728.
  std::vector<int> truth(80, 0), guess(80, 0), fold(80);
  for (std::size_t i = 0; i < 80; ++i) fold[i] = static_cast<int>(i / 16);
  for (const std::size_t wrong : {16U, 32U, 33U, 64U, 65U, 66U}) guess[wrong] = 1;
  const ClassificationScores s = scores(truth, guess, fold);
  EXPECT_NEAR(s.accuracy, .925, 1e-15);
  EXPECT_NEAR(s.accuracy_sd, std::sqrt((1.2 * 1.2 + .2 * .2 + .8 * .8 + 1.2 * 1.2 + 1.8 * 1.8) / 5.0) / 16.0, 1e-15);
}

struct Table {
  std::vector<double> values;
  std::vector<int> labels;
  [[nodiscard]] Features x() const { return {values, labels.size(), values.size() / labels.size()}; }
};

Table separated(std::size_t rows, double apart) {
  Random random(5);
  Table out{.values = {}, .labels = {}};
  for (std::size_t i = 0; i < rows; ++i) {
    out.labels.push_back(static_cast<int>(i % 2));
    for (std::size_t j = 0; j < 6; ++j)
      out.values.push_back(random.normal() + (j == 0 ? apart * static_cast<double>(i % 2) : 0.0));
  }
  return out;
}

TEST(CrossValidate, NeverLearnsFromWhatItPredicts) {
  // Rows are their own one-hot code: whoever has seen a row knows its label, nobody else can.
  const std::size_t n = 12;
  Table table{.values = std::vector<double>(n * n), .labels = {}};
  for (std::size_t i = 0; i < n; ++i) {
    table.values[i * n + i] = 1.0;
    table.labels.push_back(static_cast<int>(i % 2));
  }
  std::vector<int> alone(n);
  std::iota(alone.begin(), alone.end(), 0);
  const HeldOut out = cross_validate(table.x(), table.labels, alone, LogisticRegression());
  EXPECT_EQ(scores(table.labels, out.predictions, alone).hits, 0U);  // the other label is the commoner one
}

TEST(CrossValidate, EqualsAFitOfEachFold) {
  const Table table = separated(30, 1.0);
  Random random(1);
  const std::vector<int> fold = stratified_folds(table.labels, 3, random);
  const LogisticRegression classifier({.standardize = true});
  const HeldOut out = cross_validate(table.x(), table.labels, fold, classifier);
  for (int f = 0; f < 3; ++f) {
    const auto model = classifier.fit(table.x(), training_labels(table.labels, fold, f));
    const std::vector<double> p = model.probabilities(table.x(), 2);
    for (std::size_t i = 0; i < 30; ++i) {
      if (fold[i] == f) {
        EXPECT_NEAR(out.probabilities[2 * i], p[2 * i], 1e-8);
      }
    }
  }
}

TEST(CrossValidate, TakesClassifiersWithoutProbabilitiesAndRowsThatAreNeverHeldOut) {
  const Table table = separated(20, 8.0);
  std::vector<int> fold(20, -1);
  fold[0] = fold[1] = 0;
  const HeldOut out = cross_validate(table.x(), table.labels, fold, NearestCentroid<>());
  EXPECT_TRUE(out.probabilities.empty());
  EXPECT_EQ(out.predictions[0], 0);
  EXPECT_EQ(out.predictions[1], 1);
  EXPECT_EQ(out.predictions[2], -1);
}

TEST(PermutedLabels, KeepCountsAndGroups) {
  Random random(2);
  const std::vector<int> labels{0, 0, 1, -1, 1, 2};
  const std::vector<int> permuted = permuted_labels(labels, {}, random);
  EXPECT_EQ(permuted[3], -1);
  for (int label = 0; label < 3; ++label)
    EXPECT_EQ(std::ranges::count(permuted, label), std::ranges::count(labels, label));
  const std::vector<int> tasks{0, 0, 1, 1, 1, 2, 2}, groups{5, 5, 6, 6, 6, 9, 9};
  const std::vector<int> whole = permuted_labels(tasks, groups, random);
  EXPECT_TRUE(groups_have_one_label(whole, groups));
  EXPECT_EQ(labels_present(whole).size(), 3U);
  EXPECT_FALSE(groups_have_one_label(tasks, std::vector<int>{1, 1, 1, 2, 2, 2, 2}));
  EXPECT_THROW((void)permuted_labels(tasks, std::vector<int>{1, 1, 1, 2, 2, 2, 2}, random), std::invalid_argument);
  // Within sources: rows 0, 1 and 2 keep their labels among themselves, and so do the others.
  const std::vector<int> mixed{0, 1, 1, 2, 2, 2, 0}, sources{4, 4, 4, -1, -1, -1, -1};
  for (int draw = 0; draw < 20; ++draw) {
    const std::vector<int> within = permuted_labels(mixed, {}, random, sources);
    EXPECT_EQ(within[0] + within[1] + within[2], 2);
    EXPECT_EQ(std::ranges::count(std::span(within).subspan(3), 2), 3);
  }
  EXPECT_THROW((void)permuted_labels(mixed, {}, random, std::vector<int>{1}), std::invalid_argument);
}

TEST(PermutedAccuracy, IsAtChanceAndTheObservedStandsOut) {
  const Table table = separated(40, 4.0);
  const FoldPlan plan{.folds = 4};
  const std::vector<double> observed = repeated_accuracy(table.x(), table.labels, plan, LogisticRegression(), 3, 0);
  const std::vector<double> draws = permuted_accuracy(table.x(), table.labels, plan, LogisticRegression(), 60, 0);
  const double mean = std::accumulate(draws.begin(), draws.end(), 0.0) / 60.0;
  EXPECT_NEAR(mean, 0.5, 0.06);
  EXPECT_GT(observed[0], std::ranges::max(draws));
}

TEST(PermutedAccuracy, SameBytesOnAnyNumberOfThreadsAndTellsProgress) {
  const Table table = separated(24, 1.0);
  const FoldPlan plan{.folds = 3};
  std::vector<std::vector<double>> found;
  std::size_t told = 0;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    const auto progress = [&](std::size_t done, std::size_t) { told = done; };
    found.push_back(permuted_accuracy(table.x(), table.labels, plan, LogisticRegression(), 9, 4, progress));
    const auto repeats = repeated_accuracy(table.x(), table.labels, plan, LogisticRegression(), 4, 4);
    found.back().insert(found.back().end(), repeats.begin(), repeats.end());
  }
  set_num_threads(0);
  EXPECT_EQ(found[0], found[1]);
  EXPECT_EQ(found[0], found[2]);
  EXPECT_GT(told, 0U);
}

}  // namespace
}  // namespace routesig
