#include "routesig/classify/logistic_regression.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "routesig/parallel.hpp"
#include "routesig/random.hpp"

namespace routesig {
namespace {

struct Problem {
  std::vector<double> values;
  std::vector<int> labels;
  std::size_t rows, columns;
  [[nodiscard]] Features x() const { return {values, rows, columns}; }
};

Problem random_problem(std::size_t rows, std::size_t columns, int classes, std::uint64_t seed = 1) {
  Random random(seed);
  Problem out{.values = std::vector<double>(rows * columns), .labels = {}, .rows = rows, .columns = columns};
  for (double& v : out.values) v = 3.0 + random.normal();
  for (std::size_t i = 0; i < rows; ++i) {
    out.labels.push_back(static_cast<int>(i % static_cast<std::size_t>(classes)));
    out.values[i * columns] += out.labels.back();
  }
  return out;
}

/// Largest entry of the gradient of sum -log p + |w|^2 / (2 c), from the definition.
double gradient_of(const LogisticModel& model, const Problem& problem, double c) {
  const std::size_t classes = model.classes.size(), scores = model.intercepts.size();
  const std::vector<double> p = model.probabilities(problem.x(), classes);
  double largest = 0.0;
  for (std::size_t s = 0; s < scores; ++s) {
    const std::size_t k = scores == 1 ? 1 : s;
    double intercept = 0.0;
    std::vector<double> weights(problem.columns);
    for (std::size_t j = 0; j < problem.columns; ++j) weights[j] = model.coefficients[s * problem.columns + j] / c;
    for (std::size_t i = 0; i < problem.rows; ++i) {
      const double residual = p[i * classes + k] - (problem.labels[i] == static_cast<int>(k) ? 1.0 : 0.0);
      intercept += residual;
      for (std::size_t j = 0; j < problem.columns; ++j) weights[j] += residual * problem.x().row(i)[j];
    }
    largest = std::max(largest, std::abs(intercept));
    for (const double g : weights) largest = std::max(largest, std::abs(g));
  }
  return largest;
}

TEST(LogisticRegression, ByHand) {
  // x = -1 (class 0) and +1 (class 1): the intercept is 0 and w solves w = 2 c / (1 + e^w); w = 1 at c = (1 + e) / 2.
  const std::vector<double> values{-1.0, 1.0};
  const Features x(values, 2, 1);
  const double c = (1.0 + std::exp(1.0)) / 2.0;
  const LogisticModel model = LogisticRegression({.c = c}).fit(x, std::vector<int>{0, 1});
  EXPECT_TRUE(model.converged);
  EXPECT_NEAR(model.coefficients.at(0), 1.0, 1e-9);
  EXPECT_NEAR(model.intercepts.at(0), 0.0, 1e-12);
  const std::vector<double> p = model.probabilities(x, 2);
  EXPECT_NEAR(p[1], 1.0 / (1.0 + std::exp(1.0)), 1e-10);
  EXPECT_NEAR(p[0] + p[1], 1.0, 1e-15);
}

TEST(LogisticRegression, TheGradientVanishesInBothForms) {
  for (const auto& [rows, columns] : {std::pair<std::size_t, std::size_t>{60, 5}, {12, 40}})
    for (const int classes : {2, 3, 5})
      for (const double c : {0.01, 1.0, 30.0}) {
        const Problem problem = random_problem(rows, columns, classes);
        const LogisticModel model = LogisticRegression({.c = c}).fit(problem.x(), problem.labels);
        EXPECT_TRUE(model.converged);
        EXPECT_LT(gradient_of(model, problem, c), 1e-7) << rows << " " << classes << " " << c;
      }
}

TEST(LogisticRegression, TheRowSpaceFormIsTheSameProblem) {
  // Columns of zeros change nothing but which form is chosen.
  const Problem tall = random_problem(20, 10, 3);
  Problem wide{.values = {}, .labels = tall.labels, .rows = 20, .columns = 30};
  for (std::size_t i = 0; i < 20; ++i) {
    const auto row = tall.x().row(i);
    wide.values.insert(wide.values.end(), row.begin(), row.end());
    wide.values.insert(wide.values.end(), 20, 0.0);
  }
  for (const bool standardize : {false, true}) {
    const LogisticRegression classifier({.standardize = standardize});
    const auto a = classifier.fit(tall.x(), tall.labels).probabilities(tall.x(), 3);
    const auto b = classifier.fit(wide.x(), wide.labels).probabilities(wide.x(), 3);
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-8);
  }
}

TEST(LogisticRegression, SetsFittedTogetherEqualSetsFittedAlone) {
  for (const std::size_t columns : {6U, 80U}) {
    const Problem problem = random_problem(50, columns, 3);
    std::vector<TrainingSet> sets(3, {.labels = problem.labels, .c = {0.1, 10.0}});
    for (std::size_t i = 0; i < 50; ++i) sets[i % 3].labels[i] = -1;
    const auto together = fit_logistic(problem.x(), sets, {.standardize = true});
    for (std::size_t s = 0; s < 3; ++s)
      for (std::size_t k = 0; k < 2; ++k) {
        const auto alone =
            LogisticRegression({.c = sets[s].c[k], .standardize = true}).fit(problem.x(), sets[s].labels);
        for (std::size_t i = 0; i < alone.coefficients.size(); ++i)
          EXPECT_NEAR(together[s][k].coefficients[i], alone.coefficients[i], 1e-7);
      }
  }
}

TEST(LogisticRegression, StandardizingIsFittingStandardizedColumns) {
  const Problem problem = random_problem(40, 6, 3);
  const std::vector<double> scaled = standardized(problem.x(), standardization(problem.x(), problem.labels));
  const auto a = LogisticRegression({.standardize = true}).fit(problem.x(), problem.labels);
  const auto b = LogisticRegression().fit(Features(scaled, 40, 6), problem.labels);
  const auto p = a.probabilities(problem.x(), 3), q = b.probabilities(Features(scaled, 40, 6), 3);
  for (std::size_t i = 0; i < p.size(); ++i) EXPECT_NEAR(p[i], q[i], 1e-9);
}

TEST(LogisticRegression, OrderOfRowsAndNamesOfClassesDoNotMatter) {
  const Problem problem = random_problem(30, 50, 3);
  Problem turned{.values = {}, .labels = {}, .rows = 30, .columns = 50};
  for (std::size_t i = 30; i-- > 0;) {
    const auto row = problem.x().row(i);
    turned.values.insert(turned.values.end(), row.begin(), row.end());
    turned.labels.push_back(2 - problem.labels[i]);
  }
  const auto p = LogisticRegression().fit(problem.x(), problem.labels).probabilities(problem.x(), 3);
  const auto q = LogisticRegression().fit(turned.x(), turned.labels).probabilities(problem.x(), 3);
  for (std::size_t i = 0; i < 30; ++i)
    for (std::size_t k = 0; k < 3; ++k) EXPECT_NEAR(p[i * 3 + k], q[i * 3 + 2 - k], 1e-8);
}

TEST(LogisticRegression, SameBytesOnAnyNumberOfThreads) {
  for (const std::size_t columns : {30U, 300U}) {
    const Problem problem = random_problem(200, columns, 4);
    std::vector<std::vector<int>> training(5, problem.labels);
    for (std::size_t i = 0; i < 200; ++i) training[i % 5][i] = -1;
    std::vector<std::vector<double>> found;
    for (const int threads : {1, 2, 3}) {
      set_num_threads(threads);
      for (const auto& model : LogisticRegression().fit_each(problem.x(), training))
        found.push_back(model.coefficients);
    }
    set_num_threads(0);
    for (std::size_t i = 5; i < found.size(); ++i) EXPECT_EQ(found[i], found[i % 5]);
  }
}

TEST(LogisticRegression, RowsThatRepeatAndColumnsThatAreConstantAreNoTrouble) {
  Problem problem = random_problem(8, 30, 2);
  for (std::size_t i = 4; i < 8; ++i)
    std::copy_n(problem.values.begin() + static_cast<std::ptrdiff_t>((i - 4) * 30), 30,
                problem.values.begin() + static_cast<std::ptrdiff_t>(i * 30));
  for (std::size_t i = 0; i < 8; ++i) problem.values[i * 30 + 3] = 5.0;
  const auto model = LogisticRegression({.standardize = true}).fit(problem.x(), problem.labels);
  EXPECT_TRUE(model.converged);
  EXPECT_LT(std::abs(model.coefficients[3]), 1e-12);
  const std::vector<double> same(20, 2.0);
  const auto flat = LogisticRegression().fit(Features(same, 4, 5), std::vector<int>{0, 0, 0, 1});
  EXPECT_NEAR(flat.probabilities(Features(same, 4, 5), 2)[1], 0.25, 1e-8);
}

TEST(LogisticRegression, ClassesThatDidNotOccurHaveNoProbability) {
  const Problem problem = random_problem(20, 4, 2);
  std::vector<int> labels = problem.labels;
  for (int& label : labels) label = label == 0 ? 0 : 3;
  const auto p = LogisticRegression().fit(problem.x(), labels).probabilities(problem.x(), 4);
  for (std::size_t i = 0; i < 20; ++i) EXPECT_TRUE(p[i * 4 + 1] == 0.0 && p[i * 4 + 2] == 0.0);
  const auto one = LogisticRegression().fit(problem.x(), std::vector<int>(20, 1));
  EXPECT_EQ(one.probabilities(problem.x(), 2)[1], 1.0);
  EXPECT_TRUE(one.intercepts.empty() && one.converged);
}

TEST(LogisticRegression, RefusesWhatDoesNotFit) {
  const Problem problem = random_problem(6, 2, 2);
  EXPECT_THROW((void)LogisticRegression().fit(problem.x(), std::vector<int>(6, -1)), std::invalid_argument);
  EXPECT_THROW((void)LogisticRegression().fit(problem.x(), std::vector<int>{0, 1}), std::invalid_argument);
  EXPECT_THROW((void)LogisticRegression({.c = 0.0}).fit(problem.x(), problem.labels), std::invalid_argument);
  const auto model = LogisticRegression().fit(problem.x(), problem.labels);
  EXPECT_THROW((void)model.decision(Features(problem.values, 4, 3)), std::invalid_argument);
}

}  // namespace
}  // namespace routesig
