/// \file logistic_regression.hpp
/// Logistic regression with an L2 penalty: multinomial, or of one score for two classes, as scikit-learn fits it.
///
///     const routesig::LogisticRegression classifier({.c = 1.0});
///     const auto model = classifier.fit(x, labels);                 // labels: {0, 0, 1, 2, ...}
///     const auto p = model.probabilities(x, /*classes=*/3);         // [rows, classes]
///
/// Minimised: the sum over training rows of -log p(label) + |w|^2 / (2 c); the intercept is free. Fits that learn from
/// the same table (folds, penalties) advance together, so that one pass over it serves them all; a fit with fewer rows
/// than columns works on the Cholesky factor of its rows' inner products instead, which is the same problem, smaller.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "routesig/classify/features.hpp"

namespace routesig {

struct LogisticOptions {
  double c = 1.0;               ///< inverse strength of the penalty
  bool intercept = true;        ///< a free constant per class
  bool standardize = false;     ///< scale columns to sd 1 on the training rows (the model still takes unscaled ones)
  double tolerance = 1e-10;     ///< largest entry of the gradient of the objective over the number of rows
  int max_iterations = 10'000;  ///< of L-BFGS
};

/// A fitted model. Two classes share one score (of the higher class), one class needs none.
struct LogisticModel {
  std::size_t columns = 0;
  std::vector<int> classes{};          ///< the labels that occurred, ascending
  std::vector<double> coefficients{};  ///< [scores, columns]; scores: classes, but 1 for two and 0 for one
  std::vector<double> intercepts{};    ///< [scores]
  int iterations = 0;
  bool converged = true;

  /// [rows, scores]
  [[nodiscard]] std::vector<double> decision(const Features& x) const;

  /// [rows, num_classes]; 0 for labels that did not occur in training.
  [[nodiscard]] std::vector<double> probabilities(const Features& x, std::size_t num_classes) const;
};

/// Rows to learn from, and the penalties to learn with.
struct TrainingSet {
  std::vector<int> labels;     ///< [rows]; a negative label leaves the row out
  std::vector<double> c{1.0};  ///< one model each
};

/// Models for every training set and each of its penalties (`options.c` is not used).
[[nodiscard]] std::vector<std::vector<LogisticModel>> fit_logistic(const Features& x, std::span<const TrainingSet> sets,
                                                                   const LogisticOptions& options);

/// The classifier: options, and models of them.
class LogisticRegression {
 public:
  using Model = LogisticModel;

  explicit LogisticRegression(LogisticOptions options = {}) : options_(options) {}

  /// `labels` [rows] count from 0; a negative label leaves the row out.
  [[nodiscard]] LogisticModel fit(const Features& x, std::span<const int> labels) const;

  /// One model for each vector of labels.
  [[nodiscard]] std::vector<LogisticModel> fit_each(const Features& x,
                                                    std::span<const std::vector<int>> training) const;

 private:
  LogisticOptions options_;
};

}  // namespace routesig
