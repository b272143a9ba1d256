#include "routesig/classify/tuning.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <map>

#include "classify/preparation.hpp"
#include "classify/tables.hpp"
#include "routesig/classify/classifier.hpp"
#include "routesig/classify/logistic_regression.hpp"
#include "routesig/classify/naive_bayes.hpp"
#include "routesig/error.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/random.hpp"
#include "statistics/quantile.hpp"

namespace routesig {
namespace detail {
namespace {

void normalize_rows(Table& x) {
  for (Eigen::Index i = 0; i < x.rows(); ++i) {
    const double norm = x.row(i).norm();
    if (norm > 0.0) x.row(i) /= norm;
  }
}

}  // namespace

Table prepared(const Candidate& candidate, std::span<const int> labels) {
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

namespace {

/// Predictions [penalties][rows] of models that learned from `labels` (one row of predictions for naive Bayes).
[[nodiscard]] std::vector<std::vector<int>> predictions_of(const Candidate& candidate, std::span<const int> labels,
                                                           std::size_t classes, std::span<const double> c) {
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
[[nodiscard]] Choice best_candidate(std::span<const Candidate> candidates, std::span<const int> labels,
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

}  // namespace
}  // namespace detail

TunedPredictions tuned_cross_validation(std::span<const Candidate> candidates, std::span<const int> labels,
                                        std::span<const int> fold, const FoldPlan& inner, const TuningOptions& options,
                                        const Progress& progress) {
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

McNemar mcnemar(std::span<const std::uint8_t> first, std::span<const std::uint8_t> second, std::span<const int> unit) {
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

std::pair<double, double> accuracy_difference_interval(std::span<const std::uint8_t> first,
                                                       std::span<const std::uint8_t> second, std::span<const int> unit,
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
