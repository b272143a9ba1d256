/// \file tuning.hpp
/// The strongest plain text classifier, for comparison: preparation of counts and penalty chosen by inner
/// cross-validation on the training rows of each outer fold.
///
///     const std::vector<Candidate> bag{{counts, Preparation::log1p}, {counts, Preparation::naive_bayes}};
///     const auto tuned = routesig::tuned_cross_validation(bag, labels, fold, {.folds = 5}, {.seed = 0});
///     const auto test = routesig::mcnemar(hits_of_one, hits_of_the_other);
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "routesig/classify/features.hpp"
#include "routesig/classify/folds.hpp"
#include "routesig/parallel.hpp"

namespace routesig {

/// What is done to a table before logistic regression; naive Bayes takes the counts as they are.
enum class Preparation : std::uint8_t {
  standardized,  ///< columns to mean 0 and sd 1 on the training rows
  log1p,         ///< log(1 + count)
  l2,            ///< rows to length 1
  tf_idf,        ///< (1 + log count) (1 + log((1 + n) / (1 + df))), df of the training rows; rows to length 1
  naive_bayes,   ///< multinomial, one added to every count
};

struct Candidate {
  Features x;
  Preparation preparation;
};

struct TuningOptions {
  std::vector<double> c{0.01, 0.1, 1.0, 10.0, 100.0};
  std::uint64_t seed = 0;
};

/// What an outer fold chose.
struct Choice {
  std::size_t candidate = 0;
  double c = 0.0;  ///< 0 for naive Bayes
};

struct TunedPredictions {
  std::vector<int> predictions;  ///< [rows] label; -1 where a row was never held out
  std::vector<Choice> choices;   ///< [outer folds]
};

/// Every row predicted by the candidate that did best in `inner` folds of the rows of the other outer folds.
[[nodiscard]] TunedPredictions tuned_cross_validation(std::span<const Candidate> candidates,
                                                      std::span<const int> labels, std::span<const int> fold,
                                                      const FoldPlan& inner, const TuningOptions& options = {},
                                                      const Progress& progress = {});

/// Exact McNemar test, two-sided: under the null each row (or whole unit) might as well have had its two hits swapped.
struct McNemar {
  std::size_t only_first = 0, only_second = 0;  ///< rows
  double p = 1.0;
  double floor = 1.0;  ///< the smallest p that as many discordant rows (or units) can give
};

/// `unit` [rows] are any numbers, or empty: each row alone, a binomial test on the rows that one of the two gets right.
/// Units of several rows (groups of prompts) swap as a whole: the sign test of their differences, every choice of
/// signs counted.
[[nodiscard]] McNemar mcnemar(std::span<const std::uint8_t> first, std::span<const std::uint8_t> second,
                              std::span<const int> unit = {});

/// 95 % percentile bootstrap interval of accuracy(first) - accuracy(second), the predictions being what they are: whole
/// units (prompts, or groups) are drawn with replacement. `unit` [rows] are any numbers.
[[nodiscard]] std::pair<double, double> accuracy_difference_interval(std::span<const std::uint8_t> first,
                                                                     std::span<const std::uint8_t> second,
                                                                     std::span<const int> unit, std::size_t draws,
                                                                     std::uint64_t seed);

}  // namespace routesig
