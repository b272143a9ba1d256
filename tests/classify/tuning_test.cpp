#include "routesig/classify/tuning.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "classify/preparation.hpp"
#include "routesig/classify/classifier.hpp"
#include "routesig/classify/naive_bayes.hpp"

namespace routesig {
namespace {

TEST(NaiveBayes, ByHand) {
  const std::vector<double> counts{2, 0, 1, 1, 0, 3};
  const Features x(counts, 3, 2);
  const auto model = NaiveBayes().fit(x, std::vector<int>{0, 0, 1});
  EXPECT_NEAR(model.log_prior[0], std::log(2.0 / 3.0), 1e-15);
  EXPECT_NEAR(model.log_shares[0], std::log(4.0 / 6.0), 1e-15);  // (3 + 1) / (4 + 2)
  EXPECT_NEAR(model.log_shares[3], std::log(4.0 / 5.0), 1e-15);
  EXPECT_EQ(model.predict(x), (std::vector<int>{0, 0, 1}));
  EXPECT_THROW((void)NaiveBayes().fit(x, std::vector<int>(3, -1)), std::invalid_argument);
}

TEST(Preparation, ByHand) {
  const std::vector<double> counts{3, 4, 0, 1, 0, 0};
  const Features x(counts, 2, 3);
  const std::vector<int> training{0, -1};
  const auto of = [&](Preparation how) { return detail::prepared({.x = x, .preparation = how}, training); };
  EXPECT_DOUBLE_EQ(of(Preparation::log1p)(0, 0), std::log(4.0));
  EXPECT_DOUBLE_EQ(of(Preparation::l2)(0, 1), 0.8);
  const detail::Table idf = of(Preparation::tf_idf);  // one training row: df 1 1 0, idf 1 1 1 + log 2
  const double a = 1.0 + std::log(3.0), b = 1.0 + std::log(4.0);
  EXPECT_NEAR(idf(0, 0), a / std::hypot(a, b), 1e-15);
  EXPECT_DOUBLE_EQ(idf(1, 0), 1.0);
  EXPECT_DOUBLE_EQ(of(Preparation::standardized)(0, 0), 3.0);  // done by the classifier
}

TEST(McNemar, ByHand) {
  const std::vector<std::uint8_t> first{1, 1, 1, 1, 1, 0, 1, 0}, second{0, 0, 0, 0, 0, 1, 1, 0};
  const McNemar test = mcnemar(first, second);
  EXPECT_EQ(test.only_first, 5U);
  EXPECT_EQ(test.only_second, 1U);
  EXPECT_NEAR(test.p, 2.0 * (1.0 + 6.0) / 64.0, 1e-15);
  EXPECT_NEAR(test.floor, 2.0 / 64.0, 1e-15);
  EXPECT_EQ(mcnemar(first, first).p, 1.0);
  EXPECT_EQ(mcnemar(first, first).floor, 1.0);
  EXPECT_THROW((void)mcnemar(first, {}), std::invalid_argument);
}

TEST(McNemar, WholeUnitsSwap) {
  // Differences of the units: 3, -1, 0, 2. Of the 8 choices of signs, +3 +1 +2 and +3 -1 +2 sum to 4 or more.
  const std::vector<std::uint8_t> first{1, 1, 1, 0, 1, 0, 1, 1}, second{0, 0, 0, 1, 0, 1, 0, 0};
  const std::vector<int> unit{7, 7, 7, 2, 5, 5, -1, -1};
  const McNemar test = mcnemar(first, second, unit);
  EXPECT_EQ(test.only_first, 6U);
  EXPECT_EQ(test.only_second, 2U);
  EXPECT_DOUBLE_EQ(test.p, 2.0 * 2.0 / 8.0);
  EXPECT_DOUBLE_EQ(test.floor, 2.0 / 8.0);
  const std::vector<int> alone{0, 1, 2, 3, 4, 5, 6, 7};
  EXPECT_DOUBLE_EQ(mcnemar(first, second, alone).p, mcnemar(first, second).p);
  EXPECT_THROW((void)mcnemar(first, second, std::vector<int>{1}), std::invalid_argument);
}

TEST(AccuracyDifference, IntervalCoversItAndWholeUnitsWidenIt) {
  std::vector<std::uint8_t> first(80), second(80);
  std::vector<int> alone(80), grouped(80);
  for (std::size_t i = 0; i < 80; ++i) {
    first[i] = i < 72 ? 1 : 0;
    second[i] = i < 56 ? 1 : 0;
    alone[i] = static_cast<int>(i);
    grouped[i] = static_cast<int>(i / 8);
  }
  const auto [low, high] = accuracy_difference_interval(first, second, alone, 2000, 0);
  EXPECT_NEAR(low, 0.2 - 1.96 * std::sqrt(0.16 / 80.0), 0.02);  // 16 of 80 differ: sd .4
  EXPECT_NEAR(high, 0.2 + 1.96 * std::sqrt(0.16 / 80.0), 0.02);
  const auto wide = accuracy_difference_interval(first, second, grouped, 2000, 0);
  EXPECT_GT(wide.second - wide.first, 1.5 * (high - low));
  const auto same = accuracy_difference_interval(first, first, alone, 100, 0);
  EXPECT_EQ(same, (std::pair{0.0, 0.0}));
}

struct Text {
  std::vector<double> counts;
  std::vector<int> labels, fold;
  [[nodiscard]] Features x() const { return {counts, labels.size(), counts.size() / labels.size()}; }
};

/// Words 0 ... 9 belong to label 0, words 10 ... 19 to label 1, 20 ... 39 to nobody.
Text some_text(std::size_t rows) {
  Random random(3);
  Text out;
  for (std::size_t i = 0; i < rows; ++i) {
    out.labels.push_back(static_cast<int>(i % 2));
    out.fold.push_back(static_cast<int>(i / 2 % 4));
    std::vector<double> row(40);
    for (int t = 0; t < 12; ++t) ++row[random.below(3) == 0 ? 10 * (i % 2) + random.below(10) : 20 + random.below(20)];
    out.counts.insert(out.counts.end(), row.begin(), row.end());
  }
  return out;
}

TEST(TunedCrossValidation, ChoosesAmongCandidatesAndPredictsEveryRow) {
  const Text text = some_text(40);
  std::vector<Candidate> bag;
  for (const Preparation how :
       {Preparation::log1p, Preparation::l2, Preparation::tf_idf, Preparation::naive_bayes, Preparation::standardized})
    bag.push_back({.x = text.x(), .preparation = how});
  std::vector<std::vector<int>> found;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    const TunedPredictions tuned = tuned_cross_validation(bag, text.labels, text.fold, {.folds = 3});
    ASSERT_EQ(tuned.choices.size(), 4U);
    for (const Choice& choice : tuned.choices)
      EXPECT_EQ(choice.c == 0.0, bag[choice.candidate].preparation == Preparation::naive_bayes);
    found.push_back(tuned.predictions);
  }
  set_num_threads(0);
  EXPECT_GE(scores(text.labels, found[0], text.fold).hits, 32U);
  EXPECT_EQ(found[0], found[1]);
  EXPECT_EQ(found[0], found[2]);
}

TEST(TunedCrossValidation, NeverLooksAtTheHeldOutRows) {
  // Changing the held-out rows of a fold changes no other prediction and no choice.
  const Text text = some_text(24);
  const std::vector<int> one(text.fold.size(), -1);
  std::vector<int> fold = one;
  fold[0] = fold[1] = 0;
  Text other = text;
  for (std::size_t j = 0; j < 40; ++j) other.counts[j] += static_cast<double>(j);
  const auto tune = [&](const Text& t) {
    const std::vector<Candidate> bag{{.x = t.x(), .preparation = Preparation::tf_idf},
                                     {.x = t.x(), .preparation = Preparation::log1p}};
    return tuned_cross_validation(bag, t.labels, fold, {.folds = 3});
  };
  const TunedPredictions a = tune(text), b = tune(other);
  EXPECT_EQ(a.choices[0].candidate, b.choices[0].candidate);
  EXPECT_EQ(a.choices[0].c, b.choices[0].c);
  EXPECT_EQ(a.predictions[1], b.predictions[1]);
}

TEST(TunedCrossValidation, RefusesWhatDoesNotFit) {
  const Text text = some_text(8);
  EXPECT_THROW((void)tuned_cross_validation({}, text.labels, text.fold, {.folds = 2}), std::invalid_argument);
  const std::vector<double> negative(8, -1.0);
  const std::vector<Candidate> bad{{.x = {negative, 8, 1}, .preparation = Preparation::log1p}};
  EXPECT_THROW((void)tuned_cross_validation(bad, text.labels, text.fold, {.folds = 2}), std::invalid_argument);
}

}  // namespace
}  // namespace routesig
