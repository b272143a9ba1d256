/// \file tuning.hpp
/// The strongest plain text classifier, for comparison: preparation of counts and penalty chosen by inner
/// cross-validation on the training rows of each outer fold.
///
///     const std::vector<Candidate> bag{{counts, Preparation::log1p}, {counts, Preparation::naive_bayes}};
///     const auto tuned = routesig::tuned_cross_validation(bag, labels, fold, {.folds = 5}, {.seed = 0});
///     const auto test = routesig::mcnemar(hits_of_one, hits_of_the_other);
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "routesig/classifier.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/logistic_regression.hpp"
#include "routesig/naive_bayes.hpp"
#include "routesig/quantile.hpp"

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

namespace detail {

inline void normalize_rows(Table& x) {
  for (Eigen::Index i = 0; i < x.rows(); ++i) {
    const double norm = x.row(i).norm();
    if (norm > 0.0) x.row(i) /= norm;
  }
}

/// The table that logistic regression sees; `labels` say which rows are for training.
[[nodiscard]] inline Table prepared(const Candidate& candidate, std::span<const int> labels) {
  const auto rows = static_cast<Eigen::Index>(candidate.x.rows),
             columns = static_cast<Eigen::Index>(candidate.x.columns);
  Table x = Eigen::Map<const Table>(candidate.x.values.data(), rows, columns);
  if (candidate.preparation == Preparation::log1p) x = x.array().log1p().matrix();
  if (candidate.preparation == Preparation::tf_idf) {
    double n = 0.0;
    Eigen::RowVectorXd frequency = Eigen::RowVectorXd::Zero(columns);
    for (Eigen::Index i = 0; i < rows; ++i) {
      if (labels[static_cast<std::size_t>(i)] < 0) continue;
      n += 1.0;
      frequency += (x.row(i).array() > 0.0).cast<double>().matrix();
    }
    const Eigen::RowVectorXd idf = 1.0 + ((1.0 + n) / (1.0 + frequency.array())).log();
    x = x.unaryExpr([](double count) { return count > 0.0 ? 1.0 + std::log(count) : 0.0; });
    x.array().rowwise() *= idf.array();
  }
  if (candidate.preparation == Preparation::tf_idf || candidate.preparation == Preparation::l2) normalize_rows(x);
  return x;
}

/// Predictions [penalties][rows] of models that learned from `labels` (one row of predictions for naive Bayes).
[[nodiscard]] inline std::vector<std::vector<int>> predictions_of(const Candidate& candidate,
                                                                  std::span<const int> labels, std::size_t classes,
                                                                  std::span<const double> c) {
  if (candidate.preparation == Preparation::naive_bayes)
    return {NaiveBayes().fit(candidate.x, labels).predict(candidate.x)};
  const Table table = prepared(candidate, labels);
  const Features x({table.data(), static_cast<std::size_t>(table.size())}, candidate.x.rows, candidate.x.columns);
  const std::vector<TrainingSet> sets{{.labels = {labels.begin(), labels.end()}, .c = {c.begin(), c.end()}}};
  std::vector<std::vector<int>> out;
  // A choice among candidates needs no more digits than a prediction.
  const LogisticOptions options{.standardize = candidate.preparation == Preparation::standardized, .tolerance = 1e-4};
  const auto models = fit_logistic(x, sets, options);
  for (const LogisticModel& model : models.front()) {
    const std::vector<double> p = model.probabilities(x, classes);
    out.emplace_back();
    for (std::size_t i = 0; i < x.rows; ++i) {
      const auto row = std::span(p).subspan(i * classes, classes);
      out.back().push_back(static_cast<int>(std::ranges::max_element(row) - row.begin()));
    }
  }
  return out;
}

/// Inner cross-validation on rows with a label; ties go to the earlier candidate, then to the smaller penalty weight c.
[[nodiscard]] inline Choice best_candidate(std::span<const Candidate> candidates, std::span<const int> labels,
                                           std::size_t classes, std::span<const int> inner, int folds,
                                           std::span<const double> c) {
  Choice best;
  std::size_t most = 0;
  bool first = true;
  for (std::size_t k = 0; k < candidates.size(); ++k) {
    std::vector<std::size_t> hits(candidates[k].preparation == Preparation::naive_bayes ? 1 : c.size());
    for (int f = 0; f < folds; ++f) {
      const std::vector<int> training = training_labels(labels, inner, f);
      if (labels_present(training).empty()) continue;
      const auto predictions = predictions_of(candidates[k], training, classes, c);
      for (std::size_t j = 0; j < hits.size(); ++j)
        for (std::size_t i = 0; i < labels.size(); ++i)
          if (inner[i] == f && labels[i] >= 0 && predictions[j][i] == labels[i]) ++hits[j];
    }
    for (std::size_t j = 0; j < hits.size(); ++j) {
      if (!first && hits[j] <= most) continue;
      most = hits[j];
      first = false;
      best = {.candidate = k, .c = candidates[k].preparation == Preparation::naive_bayes ? 0.0 : c[j]};
    }
  }
  return best;
}

}  // namespace detail

/// Every row predicted by the candidate that did best in `inner` folds of the rows of the other outer folds.
[[nodiscard]] inline TunedPredictions tuned_cross_validation(std::span<const Candidate> candidates,
                                                             std::span<const int> labels, std::span<const int> fold,
                                                             const FoldPlan& inner, const TuningOptions& options = {},
                                                             const Progress& progress = {}) {
  if (candidates.empty() || options.c.empty())
    throw invalid_argument("tuning: expected one candidate and one penalty or more");
  for (const Candidate& candidate : candidates) {
    detail::check_labels("tuning", candidate.x, labels);
    detail::check_labels("tuning", candidate.x, fold);
    detail::check_finite("tuning", candidate.x);
    const bool counts = candidate.preparation != Preparation::standardized;
    if (counts && std::ranges::any_of(candidate.x.values, [](double v) { return v < 0.0; }))
      throw invalid_argument("tuning: expected counts of 0 or more");
  }
  const std::size_t classes = num_classes(labels), folds = num_classes(fold);
  TunedPredictions out{.predictions = std::vector<int>(labels.size(), -1), .choices = std::vector<Choice>(folds)};
  const auto one = [&](std::size_t f, std::size_t) {
    const std::vector<int> training = training_labels(labels, fold, static_cast<int>(f));
    if (labels_present(training).empty()) return;
    Random random(options.seed, stream(Draws::classifier, (std::uint64_t{1} << 40U) | f));
    const std::vector<int> split = inner.assign(training, random);
    const Choice best = detail::best_candidate(candidates, training, classes, split, inner.folds, options.c);
    const std::vector<double> chosen{best.c > 0.0 ? best.c : 1.0};
    const auto predictions = detail::predictions_of(candidates[best.candidate], training, classes, chosen);
    for (std::size_t i = 0; i < labels.size(); ++i)
      if (fold[i] == static_cast<int>(f) && labels[i] >= 0) out.predictions[i] = predictions[0][i];
    out.choices[f] = best;
  };
  parallel_for(folds, 1, one, progress);
  return out;
}

/// Exact McNemar test, two-sided: under the null each row (or whole unit) might as well have had its two hits swapped.
struct McNemar {
  std::size_t only_first = 0, only_second = 0;  ///< rows
  double p = 1.0;
  double floor = 1.0;  ///< the smallest p that as many discordant rows (or units) can give
};

/// `unit` [rows] are any numbers, or empty: each row alone, a binomial test on the rows that one of the two gets right.
/// Units of several rows (groups of prompts) swap as a whole: the sign test of their differences, every choice of
/// signs counted.
[[nodiscard]] inline McNemar mcnemar(std::span<const std::uint8_t> first, std::span<const std::uint8_t> second,
                                     std::span<const int> unit = {}) {
  if (first.size() != second.size() || (!unit.empty() && unit.size() != first.size()))
    throw invalid_argument("mcnemar: expected hits (and units) of the same rows, got ", first.size(), ", ",
                           second.size(), " and ", unit.size());
  McNemar out;
  std::map<int, int> differences;
  for (std::size_t i = 0; i < first.size(); ++i) {
    if ((first[i] != 0) == (second[i] != 0)) continue;
    ++(first[i] != 0 ? out.only_first : out.only_second);
    differences[unit.empty() ? static_cast<int>(i) : unit[i]] += first[i] != 0 ? 1 : -1;
  }
  // share[s]: of all choices of signs, those whose positive units sum to s; their whole sum is then 2 s - all.
  std::vector<double> share{1.0};
  std::size_t sum = 0;  // of the units that are positive as observed
  for (const auto& [name, difference] : differences) {
    interruption_point();
    const auto size = static_cast<std::size_t>(std::abs(difference));
    if (size == 0) continue;
    if (difference > 0) sum += size;
    out.floor = share.size() == 1 ? 1.0 : out.floor / 2.0;
    std::vector<double> next(share.size() + size);
    for (std::size_t s = 0; s < share.size(); ++s) {
      next[s] += 0.5 * share[s];
      next[s + size] += 0.5 * share[s];
    }
    share = std::move(next);
  }
  const std::size_t all = share.size() - 1, far = std::max(sum, all - sum);
  if (2 * far == all) return out;
  double tail = 0.0;
  for (std::size_t s = far; s <= all; ++s) tail += share[s];
  out.p = std::min(1.0, 2.0 * tail);
  return out;
}

/// 95 % percentile bootstrap interval of accuracy(first) - accuracy(second), the predictions being what they are: whole
/// units (prompts, or groups) are drawn with replacement. `unit` [rows] are any numbers.
[[nodiscard]] inline std::pair<double, double> accuracy_difference_interval(std::span<const std::uint8_t> first,
                                                                            std::span<const std::uint8_t> second,
                                                                            std::span<const int> unit,
                                                                            std::size_t draws, std::uint64_t seed) {
  if (first.size() != second.size() || unit.size() != first.size() || first.empty() || draws == 0)
    throw invalid_argument("accuracy_difference_interval: expected hits of the same rows and one draw or more");
  std::map<int, std::pair<double, double>> units;  // difference of hits, rows
  for (std::size_t i = 0; i < first.size(); ++i) {
    units[unit[i]].first += static_cast<double>(first[i]) - static_cast<double>(second[i]);
    units[unit[i]].second += 1.0;
  }
  std::vector<std::pair<double, double>> list;
  list.reserve(units.size());
  for (const auto& [name, sums] : units) list.push_back(sums);
  std::vector<double> found(draws);
  parallel_for(draws, 64, [&](std::size_t begin, std::size_t end) {
    for (std::size_t b = begin; b < end; ++b) {
      Random random(seed, stream(Draws::bootstrap, b));
      double difference = 0.0, rows = 0.0;
      for (std::size_t i = 0; i < list.size(); ++i) {
        const auto& [d, n] = list[random.below(static_cast<std::uint32_t>(list.size()))];
        difference += d;
        rows += n;
      }
      found[b] = difference / rows;
    }
  });
  std::ranges::sort(found);
  return {sorted_quantile(found, 0.025), sorted_quantile(found, 0.975)};
}

}  // namespace routesig
