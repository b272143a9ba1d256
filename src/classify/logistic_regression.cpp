#include "routesig/classify/logistic_regression.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <utility>

#include "classify/logistic_search.hpp"
#include "classify/row_products.hpp"
#include "classify/run_apart.hpp"
#include "classify/tables.hpp"
#include "routesig/error.hpp"
#include "routesig/parallel.hpp"

namespace routesig {

std::vector<double> LogisticModel::decision(const Features& x) const {
  if (x.columns != columns)
    throw invalid_argument("LogisticRegression: expected ", columns, " features, got ", x.columns);
  const std::size_t scores = intercepts.size();
  std::vector<double> out(x.rows * scores);
  if (scores == 0) return out;
  detail::SideBySide weights(columns, scores);
  weights.values.leftCols(static_cast<Eigen::Index>(scores)) =
      Eigen::Map<const detail::Table>(coefficients.data(), static_cast<Eigen::Index>(scores),
                                      static_cast<Eigen::Index>(columns))
          .transpose();
  parallel_for(x.rows, 48, [&](std::size_t begin, std::size_t end) {
    detail::SideBySide dots(end - begin, scores);
    detail::row_dots(x, begin, end - begin, weights, dots);
    for (std::size_t i = begin; i < end; ++i)
      for (std::size_t s = 0; s < scores; ++s) out[i * scores + s] = dots.row(i - begin)[s] + intercepts[s];
  });
  return out;
}

std::vector<double> LogisticModel::probabilities(const Features& x, std::size_t num_classes) const {
  const std::vector<double> scores = decision(x);
  std::vector<double> out(x.rows * num_classes, 0.0);
  for (std::size_t i = 0; i < x.rows; ++i) {
    Eigen::ArrayXd row = Eigen::ArrayXd::Zero(static_cast<Eigen::Index>(classes.size()));
    if (classes.size() == 2) row[1] = scores[i];
    if (classes.size() > 2) row = detail::as_array(std::span(scores).subspan(i * classes.size(), classes.size()));
    row = (row - row.maxCoeff()).exp();
    row /= row.sum();
    for (std::size_t k = 0; k < classes.size(); ++k)
      out[i * num_classes + static_cast<std::size_t>(classes[k])] = row[static_cast<Eigen::Index>(k)];
  }
  return out;
}

namespace detail {
namespace {

/// What a training set asks for: the columns' centre and scale, the rows' classes, a search for every penalty.
struct TrainingPlan {
  std::vector<int> classes;              // labels, ascending
  std::vector<int> target;               // [rows]: index into classes, or -1
  std::size_t rows = 0;                  // in training
  Standardization by;                    // how columns are moved and scaled before they are weighted
  std::vector<LogisticSearch> searches;  // one a penalty
};

TrainingPlan plan(const Features& x, const TrainingSet& set, const LogisticOptions& options) {
  check_labels("LogisticRegression", x, set.labels);
  TrainingPlan out{.classes = labels_present(set.labels), .target = {}, .rows = 0, .by = {}, .searches = {}};
  if (out.classes.empty()) throw invalid_argument("LogisticRegression: expected labelled rows, got none");
  for (const int label : set.labels) {
    const auto at = std::ranges::lower_bound(out.classes, label) - out.classes.begin();
    out.target.push_back(label < 0 ? -1 : static_cast<int>(at));
    out.rows += label < 0 ? 0 : 1;
  }
  // Centring changes the intercept only, which is free, and helps the search.
  if (options.intercept || options.standardize) out.by = standardization(x, set.labels);
  if (!options.standardize) out.by.scale.assign(x.columns, 1.0);
  if (!options.intercept) out.by.mean.assign(x.columns, 0.0);
  return out;
}

LogisticSearch search(const TrainingPlan& plan, std::span<const int> target, const Standardization& by, double c,
                      const LogisticOptions& options) {
  if (!(c > 0.0)) throw invalid_argument("LogisticRegression: expected C above 0, got ", c);
  return LogisticSearch({target.begin(), target.end()}, plan.classes.size(), by, 1.0 / c, options.intercept,
                        {.tolerance = options.tolerance, .max_iterations = options.max_iterations});
}

/// The model of weights [scores' contrasts, columns] that apply to columns moved and scaled by `plan.by`.
LogisticModel model(const TrainingPlan& plan, const LogisticSearch& search, Table weights) {
  LogisticModel out{.columns = plan.by.mean.size(),
                    .classes = plan.classes,
                    .coefficients = {},
                    .intercepts = {},
                    .iterations = search.iterations(),
                    .converged = search.converged()};
  if (plan.classes.size() < 2) return out;
  weights.array().rowwise() /= as_array(std::span(plan.by.scale)).transpose();
  Eigen::VectorXd offsets = search.intercepts();
  offsets -= weights * as_array(std::span(plan.by.mean)).matrix();
  const Table expand = plan.classes.size() == 2 ? Table::Identity(1, 1) : search.contrasts();
  const Table coefficients = expand * weights;
  const Eigen::VectorXd intercepts = expand * offsets;
  out.coefficients.assign(coefficients.data(), coefficients.data() + coefficients.size());
  out.intercepts.assign(intercepts.data(), intercepts.data() + intercepts.size());
  return out;
}

/// The Cholesky factor; the caller may leave while that of a large matrix is computed.
[[nodiscard]] Eigen::LLT<Eigen::MatrixXd> cholesky_of(Eigen::MatrixXd matrix) {
  constexpr Eigen::Index kLong = 1024;
  if (matrix.rows() < kLong) return Eigen::LLT<Eigen::MatrixXd>(matrix);
  return run_apart([matrix = std::move(matrix)] { return Eigen::LLT<Eigen::MatrixXd>(matrix); });
}

/// Models of one set with fewer rows than columns. With Z the moved and scaled training rows and Z Z^T = L L^T, the
/// weights are w = Z^T L^-T v with |w| = |v| and scores L v. A ridge of relative size 1e-12 keeps L regular where rows
/// repeat or sum to zero; it stands for features that no other row has, so that predictions move by that much.
[[nodiscard]] std::vector<LogisticModel> fit_in_row_space(const Features& x, const TrainingSet& set,
                                                          const LogisticOptions& options, TrainingPlan plan) {
  Table z(static_cast<Eigen::Index>(plan.rows), static_cast<Eigen::Index>(x.columns));
  std::vector<int> target;
  for (std::size_t i = 0; i < x.rows; ++i) {
    if (plan.target[i] < 0) continue;
    z.row(static_cast<Eigen::Index>(target.size())) =
        ((as_array(x.row(i)) - as_array(std::span(plan.by.mean))) / as_array(std::span(plan.by.scale))).matrix();
    target.push_back(plan.target[i]);
  }
  Eigen::MatrixXd inner = gram(z);
  inner.diagonal().array() += std::max(1e-12 * inner.diagonal().maxCoeff(), 1e-300);
  const Eigen::LLT<Eigen::MatrixXd> cholesky = cholesky_of(std::move(inner));
  const Table factor = cholesky.matrixL();

  const Standardization as_it_is{.mean = std::vector<double>(plan.rows, 0.0),
                                 .scale = std::vector<double>(plan.rows, 1.0)};
  for (const double c : set.c) plan.searches.push_back(search(plan, target, as_it_is, c, options));
  const std::span<const double> values(factor.data(), static_cast<std::size_t>(factor.size()));
  std::vector<LogisticSearch*> all;
  all.reserve(plan.searches.size());
  for (LogisticSearch& one : plan.searches) all.push_back(&one);
  search_together(Features(values, plan.rows, plan.rows), all);

  std::vector<LogisticModel> out;
  for (const LogisticSearch& one : plan.searches) {
    const Eigen::MatrixXd back = cholesky.matrixL().transpose().solve(one.weights().transpose());
    out.push_back(model(plan, one, back.transpose() * z));
  }
  return out;
}

}  // namespace
}  // namespace detail

std::vector<std::vector<LogisticModel>> fit_logistic(const Features& x, std::span<const TrainingSet> sets,
                                                     const LogisticOptions& options) {
  std::vector<std::vector<LogisticModel>> out(sets.size());
  std::vector<detail::TrainingPlan> plans(sets.size());
  parallel_for(sets.size(), 1, [&](std::size_t begin, std::size_t) {
    plans[begin] = detail::plan(x, sets[begin], options);
    if (plans[begin].rows < x.columns)
      out[begin] = detail::fit_in_row_space(x, sets[begin], options, std::move(plans[begin]));
    else
      for (const double c : sets[begin].c)
        plans[begin].searches.push_back(detail::search(plans[begin], plans[begin].target, plans[begin].by, c, options));
  });
  std::vector<detail::LogisticSearch*> all;
  for (detail::TrainingPlan& plan : plans)
    for (detail::LogisticSearch& one : plan.searches) all.push_back(&one);
  detail::search_together(x, all);
  for (std::size_t s = 0; s < sets.size(); ++s)
    for (const detail::LogisticSearch& one : plans[s].searches)
      out[s].push_back(detail::model(plans[s], one, one.weights()));
  return out;
}

LogisticModel LogisticRegression::fit(const Features& x, std::span<const int> labels) const {
  const std::vector<std::vector<int>> one{{labels.begin(), labels.end()}};
  return std::move(fit_each(x, one).front());
}

std::vector<LogisticModel> LogisticRegression::fit_each(const Features& x,
                                                        std::span<const std::vector<int>> training) const {
  std::vector<TrainingSet> sets;
  for (const std::vector<int>& labels : training) sets.push_back({.labels = labels, .c = {options_.c}});
  std::vector<LogisticModel> out;
  for (auto& models : fit_logistic(x, sets, options_)) out.push_back(std::move(models.front()));
  return out;
}

}  // namespace routesig
