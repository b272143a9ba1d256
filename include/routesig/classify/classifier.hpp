/// \file classifier.hpp
/// Can the task be read from the routing? Cross-validated predictions and how good they are.
///
///     routesig::Random random(0, routesig::stream(routesig::Draws::folds, 0));
///     const auto fold = routesig::FoldPlan{.folds = 5}.assign(labels, random);
///     const auto held_out = routesig::cross_validate(x, labels, fold, routesig::LogisticRegression({.standardize =
///     true})); const auto scores = routesig::scores(labels, held_out.predictions, fold);
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "routesig/classify/features.hpp"
#include "routesig/classify/folds.hpp"
#include "routesig/parallel.hpp"
#include "routesig/random.hpp"

namespace routesig {

/// Learns from several choices of training rows of one table.
template <typename C>
concept Classifier = requires(const C& classifier, const Features& x, std::span<const std::vector<int>> training) {
  { classifier.fit_each(x, training) } -> std::same_as<std::vector<typename C::Model>>;
};

/// Its models also say how likely each label is.
template <typename M>
concept ProbabilisticModel = requires(const M& model, const Features& x) { model.probabilities(x, std::size_t{2}); };

struct HeldOut {
  std::vector<int> predictions;       ///< [rows] label; -1 where a row was never held out
  std::vector<double> probabilities;  ///< [rows, classes], 0 where never held out; empty if the classifier has none
};

/// Number of classes: the largest label + 1.
[[nodiscard]] std::size_t num_classes(std::span<const int> labels);

/// Every row predicted by a model that learned from the rows of the other folds. `fold` [rows] counts from 0; a
/// negative fold with a label is learned from and never held out.
template <Classifier C>
[[nodiscard]] HeldOut cross_validate(const Features& x, std::span<const int> labels, std::span<const int> fold,
                                     const C& classifier) {
  detail::check_labels("cross_validate", x, labels);
  detail::check_labels("cross_validate", x, fold);
  const std::size_t classes = num_classes(labels);
  std::vector<std::vector<int>> training;
  const auto folds = static_cast<int>(num_classes(fold));
  training.reserve(static_cast<std::size_t>(folds));
  for (int f = 0; f < folds; ++f) training.push_back(training_labels(labels, fold, f));
  const std::vector<typename C::Model> models = classifier.fit_each(x, training);
  HeldOut out{.predictions = std::vector<int>(x.rows, -1), .probabilities = {}};
  if constexpr (ProbabilisticModel<typename C::Model>) out.probabilities.assign(x.rows * classes, 0.0);
  for (std::size_t f = 0; f < models.size(); ++f) {
    std::vector<std::size_t> rows;
    std::vector<double> values;
    for (std::size_t i = 0; i < x.rows; ++i) {
      if (fold[i] != static_cast<int>(f)) continue;
      rows.push_back(i);
      values.insert(values.end(), x.row(i).begin(), x.row(i).end());
    }
    const Features held(values, rows.size(), x.columns);
    if constexpr (ProbabilisticModel<typename C::Model>) {
      const std::vector<double> p = models[f].probabilities(held, classes);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto row = std::span(p).subspan(i * classes, classes);
        std::ranges::copy(row, out.probabilities.begin() + static_cast<std::ptrdiff_t>(rows[i] * classes));
        out.predictions[rows[i]] = static_cast<int>(std::ranges::max_element(row) - row.begin());
      }
    } else {
      const std::vector<int> predicted = models[f].predict(held);
      for (std::size_t i = 0; i < rows.size(); ++i) out.predictions[rows[i]] = predicted[i];
    }
  }
  return out;
}

struct Proportion {
  double low = 0.0, high = 1.0;
};

/// Wilson's 95 % interval of a proportion (JASA 1927). (0, 1) for no trials.
[[nodiscard]] Proportion wilson_interval(std::size_t hits, std::size_t trials);

/// Mean over labels of 2 TP / (2 TP + FP + FN), over labels that occur as truth or prediction. `confusion` is
/// [classes, classes]: rows truth, columns prediction.
[[nodiscard]] double macro_f1(std::span<const std::size_t> confusion, std::size_t classes);

struct ClassificationScores {
  std::size_t hits = 0, trials = 0;      ///< pooled over folds
  std::vector<double> fold_accuracy{};   ///< [folds that held rows out]
  double accuracy = 0.0;                 ///< mean over folds
  double accuracy_sd = 0.0;              ///< over folds, ddof 0
  Proportion wilson{};                   ///< of hits / trials
  double macro_f1 = 0.0;                 ///< of the pooled predictions
  double macro_f1_folds = 0.0;           ///< mean over folds
  std::vector<std::size_t> confusion{};  ///< [classes, classes]: rows truth, columns prediction
  double chance = 0.0;                   ///< share of the commonest label among rows held out
};

/// How good held-out predictions are. Rows with a negative label, prediction or fold are left out.
[[nodiscard]] ClassificationScores scores(std::span<const int> labels, std::span<const int> predictions,
                                          std::span<const int> fold);

/// Whether every group has one label (rows with a negative label aside).
[[nodiscard]] bool groups_have_one_label(std::span<const int> labels, std::span<const int> groups);

/// Labels in random order; with groups, the groups' labels in random order, every group keeping one label. `sources`
/// [rows] or empty: labels stay within a source.
[[nodiscard]] std::vector<int> permuted_labels(std::span<const int> labels, std::span<const int> groups, Random& random,
                                               std::span<const int> sources = {});

/// Mean accuracy over folds of `repeats` cross-validations, each with folds of its own stream, from number `first` on.
template <Classifier C>
[[nodiscard]] std::vector<double> repeated_accuracy(const Features& x, std::span<const int> labels,
                                                    const FoldPlan& plan, const C& classifier, std::size_t repeats,
                                                    std::uint64_t seed, const Progress& progress = {},
                                                    std::size_t first = 0) {
  std::vector<double> out(repeats);
  const auto one = [&](std::size_t repeat, std::size_t) {
    Random random(seed, stream(Draws::folds, first + repeat));
    const std::vector<int> fold = plan.assign(labels, random);
    out[repeat] = scores(labels, cross_validate(x, labels, fold, classifier).predictions, fold).accuracy;
  };
  parallel_for(repeats, 1, one, progress);
  return out;
}

/// The same accuracy under permuted labels, the classifier being fitted and folds being drawn anew each time: what an
/// accuracy is compared with to know whether routing tells tasks apart at all (Ojala and Garriga, JMLR 2010, test 1).
/// `sources` as for `permuted_labels`.
template <Classifier C>
[[nodiscard]] std::vector<double> permuted_accuracy(const Features& x, std::span<const int> labels,
                                                    const FoldPlan& plan, const C& classifier, std::size_t refits,
                                                    std::uint64_t seed, const Progress& progress = {},
                                                    std::span<const int> sources = {}) {
  std::vector<double> out(refits);
  const auto one = [&](std::size_t refit, std::size_t) {
    Random random(seed, stream(Draws::classifier, refit));
    const std::vector<int> permuted = permuted_labels(labels, plan.groups, random, sources);
    const std::vector<int> fold = plan.assign(permuted, random);
    out[refit] = scores(permuted, cross_validate(x, permuted, fold, classifier).predictions, fold).accuracy;
  };
  parallel_for(refits, 1, one, progress);
  return out;
}

}  // namespace routesig
