#include "routesig/classify/classifier.hpp"

#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <variant>

#include "bindings.hpp"
#include "classify/features.hpp"
#include "long_work.hpp"
#include "routesig/classify/logistic_regression.hpp"
#include "routesig/classify/nearest_centroid.hpp"
#include "routesig/statistics/statistics.hpp"

namespace {

using routesig::Features;
using Labels = std::vector<int>;

Features as_features(const Values& values) { return features_of("classifier", values); }

/// Which classifier Python asked for.
using AnyClassifier = std::variant<routesig::LogisticRegression, routesig::NearestCentroid<routesig::LayerCosine>>;

/// `layers` is read by "cosine" alone, the rest by "logistic" alone.
AnyClassifier classifier_of(const std::string& name, double c, double tolerance, std::size_t layers) {
  if (name == "logistic_regression")
    return routesig::LogisticRegression({.c = c, .standardize = true, .tolerance = tolerance});
  if (name == "nearest_centroid") return routesig::NearestCentroid<routesig::LayerCosine>({.layers = layers});
  throw routesig::invalid_argument("classify: expected classifier to be logistic_regression or nearest_centroid, got ",
                                   routesig::shown(name));
}

py::ssize_t size_of(std::size_t n) { return static_cast<py::ssize_t>(n); }

void bind_models(py::module_& m) {
  m.def(
      "fit_logistic",
      [](const Values& x, const Labels& labels, double c, bool intercept, double tolerance, int max_iterations) {
        routesig::LogisticModel model;
        {
          const LongWork working;
          model = routesig::LogisticRegression(
                      {.c = c, .intercept = intercept, .tolerance = tolerance, .max_iterations = max_iterations})
                      .fit(as_features(x), labels);
        }
        const py::ssize_t scores = size_of(model.intercepts.size());
        return py::make_tuple(owned(std::move(model.coefficients), {scores, x.shape(1)}),
                              owned(std::move(model.intercepts), {scores}), model.iterations, model.converged);
      },
      py::arg("x"), py::arg("labels"), py::kw_only(), py::arg("c") = 1.0, py::arg("intercept") = true,
      py::arg("tolerance") = 1e-10, py::arg("max_iterations") = 10'000,
      "(coefficients [scores, columns], intercepts [scores], iterations, converged); one score for two classes.");

  const auto logistic = [](const Values& x, const Values& coefficients, const std::vector<double>& intercepts) {
    if (x.ndim() != 2 || coefficients.ndim() != 2 || x.shape(1) != coefficients.shape(1) ||
        std::cmp_not_equal(coefficients.shape(0), intercepts.size()) || intercepts.empty())
      throw routesig::invalid_argument(
          "logistic regression: expected rows [rows, columns], coefficients "
          "[scores, columns] and an intercept per score, got ",
          shape_text(x), ", ", shape_text(coefficients), " and ", intercepts.size());
    routesig::LogisticModel model{.columns = static_cast<std::size_t>(coefficients.shape(1)),
                                  .coefficients = {coefficients.data(), coefficients.data() + coefficients.size()},
                                  .intercepts = intercepts};
    const int classes = intercepts.size() == 1 ? 2 : static_cast<int>(intercepts.size());
    for (int k = 0; k < classes; ++k) model.classes.push_back(k);
    return std::pair(std::move(model), as_features(x));
  };
  m.def(
      "logistic_decision",
      [logistic](const Values& x, const Values& coefficients, const std::vector<double>& intercepts) {
        const auto [model, features] = logistic(x, coefficients, intercepts);
        std::vector<double> out;
        {
          const LongWork working;
          out = model.decision(features);
        }
        return owned(std::move(out), {x.shape(0), size_of(intercepts.size())});
      },
      py::arg("x"), py::arg("coefficients"), py::arg("intercepts"), "Scores [rows, scores].");
  m.def(
      "logistic_probabilities",
      [logistic](const Values& x, const Values& coefficients, const std::vector<double>& intercepts) {
        const auto [model, features] = logistic(x, coefficients, intercepts);
        std::vector<double> out;
        {
          const LongWork working;
          out = model.probabilities(features, model.classes.size());
        }
        return owned(std::move(out), {x.shape(0), size_of(model.classes.size())});
      },
      py::arg("x"), py::arg("coefficients"), py::arg("intercepts"), "Probabilities [rows, classes].");

  m.def(
      "centroids",
      [](const Values& x, const Labels& labels) {
        routesig::CentroidModel<routesig::Euclidean> model;
        {
          const LongWork working;
          model = routesig::NearestCentroid<>().fit(as_features(x), labels);
        }
        return owned(std::move(model.centroids), {size_of(model.classes.size()), x.shape(1)});
      },
      py::arg("x"), py::arg("labels"), "Mean rows [classes, columns] of the labels that occur, ascending.");
  m.def(
      "nearest_centroid",
      [](const Values& x, const Values& centroids, std::optional<std::size_t> layers) {
        const auto predict = [&]<typename C>(C closeness) {
          routesig::CentroidModel<C> model{.closeness = closeness,
                                           .columns = static_cast<std::size_t>(centroids.shape(1)),
                                           .classes = {},
                                           .centroids = {centroids.data(), centroids.data() + centroids.size()}};
          for (py::ssize_t k = 0; k < centroids.shape(0); ++k) model.classes.push_back(static_cast<int>(k));
          return model.predict(as_features(x));
        };
        const LongWork working;
        return layers ? predict(routesig::LayerCosine{.layers = *layers}) : predict(routesig::Euclidean{});
      },
      py::arg("x"), py::arg("centroids"), py::arg("layers") = py::none(),
      "Index of the nearest centroid for every row: by distance, or by mean cosine over `layers` blocks of columns.");
}

void bind_scores(py::module_& m) {
  using Scores = routesig::ClassificationScores;
  py::class_<Scores>(m, "ClassificationScores", "How good held-out predictions are.")
      .def_readonly("hits", &Scores::hits, "Right predictions, pooled over folds.")
      .def_readonly("trials", &Scores::trials, "Predictions.")
      .def_readonly("fold_accuracy", &Scores::fold_accuracy, "Accuracy of each fold.")
      .def_readonly("accuracy", &Scores::accuracy, "Mean over folds.")
      .def_readonly("accuracy_sd", &Scores::accuracy_sd, "Standard deviation over folds (ddof 0).")
      .def_property_readonly(
          "wilson", [](const Scores& s) { return std::pair(s.wilson.low, s.wilson.high); },
          "Wilson's 95 % interval of hits / trials.")
      .def_readonly("macro_f1", &Scores::macro_f1, "Of the pooled predictions.")
      .def_readonly("macro_f1_folds", &Scores::macro_f1_folds, "Mean over folds.")
      .def_readonly("confusion", &Scores::confusion, "Counts [classes * classes]: rows truth, columns prediction.")
      .def_readonly("chance", &Scores::chance, "Share of the commonest label.")
      .def("__repr__", [](const Scores& s) {
        return routesig::sentence("ClassificationScores(", s.hits, " of ", s.trials, ", accuracy=", s.accuracy, ")");
      });
  m.def(
      "classification_scores",
      [](const Labels& labels, const Labels& predictions, const Labels& fold) {
        return routesig::scores(labels, predictions, fold);
      },
      py::arg("labels"), py::arg("predictions"), py::arg("fold"),
      "Scores of predictions [rows] against labels [rows]; rows with a negative entry are left out.");
  m.def(
      "wilson_interval",
      [](std::size_t hits, std::size_t trials) {
        const auto [low, high] = routesig::wilson_interval(hits, trials);
        return std::pair(low, high);
      },
      py::arg("hits"), py::arg("trials"), "Wilson's 95 % interval of a proportion.");
  m.def(
      "upper_p_value",
      [](double observed, const std::vector<double>& draws) {
        const auto [value, floor] = routesig::upper_p_value(observed, draws);
        return std::pair(value, floor);
      },
      py::arg("observed"), py::arg("draws"), "(p, smallest p that as many draws can give), one-sided.");
}

void bind_cross_validation(py::module_& m) {
  py::class_<routesig::FoldPlan>(m, "FoldPlan", "How rows are split into folds.")
      .def(py::init([](int folds, Labels given, Labels groups) {
             return routesig::FoldPlan{.folds = folds, .given = std::move(given), .groups = std::move(groups)};
           }),
           py::arg("folds"), py::arg("given") = Labels{}, py::arg("groups") = Labels{})
      .def(
          "assign",
          [](const routesig::FoldPlan& plan, const Labels& labels, std::uint64_t seed, std::uint64_t repetition) {
            routesig::Random random(seed, routesig::stream(routesig::Draws::folds, repetition));
            return plan.assign(labels, random);
          },
          py::arg("labels"), py::arg("seed") = 0, py::arg("repetition") = 0, "The fold of every row.")
      .def("__repr__", [](const routesig::FoldPlan& plan) {
        return routesig::sentence("FoldPlan(folds=", plan.folds, plan.given.empty() ? "" : ", given",
                                  plan.groups.empty() ? "" : ", whole groups", ")");
      });
  m.def(
      "standardized",
      [](const Values& x, const Labels& labels) {
        std::vector<double> out;
        {
          const LongWork working;
          const Features all = as_features(x);
          out = routesig::standardized(all, routesig::standardization(all, labels));
        }
        return owned(std::move(out), {x.shape(0), x.shape(1)});
      },
      py::arg("x"), py::arg("labels"),
      "Columns moved and scaled to mean 0 and sd 1 (ddof 0) of the rows whose label is not negative.");
  m.def(
      "groups_have_one_label",
      [](const Labels& labels, const Labels& groups) { return routesig::groups_have_one_label(labels, groups); },
      py::arg("labels"), py::arg("groups"), "Whether no group has rows of two labels.");
  m.def(
      "cross_validate",
      [](const Values& x, const Labels& labels, const Labels& fold, const std::string& classifier, double c,
         double tolerance, std::size_t layers) {
        const AnyClassifier any = classifier_of(classifier, c, tolerance, layers);
        routesig::HeldOut out;
        {
          const LongWork working;
          const Features features = as_features(x);
          routesig::detail::check_finite("classify", features);
          out = std::visit([&](const auto& one) { return routesig::cross_validate(features, labels, fold, one); }, any);
        }
        const py::ssize_t classes = size_of(routesig::num_classes(labels));
        const py::object probabilities = out.probabilities.empty()
                                             ? py::object(py::none())
                                             : owned(std::move(out.probabilities), {x.shape(0), classes});
        return py::make_tuple(out.predictions, probabilities);
      },
      py::arg("x"), py::arg("labels"), py::arg("fold"), py::kw_only(), py::arg("classifier") = "logistic_regression",
      py::arg("c") = 1.0, py::arg("tolerance") = 1e-10, py::arg("layers") = 1,
      "(predictions, probabilities [rows, classes] or None) of every row from the other folds' rows.");

  const auto accuracies = [](const std::string& classifier, double c, double tolerance, std::size_t layers,
                             const py::object& progress, const auto& of) {
    const AnyClassifier any = classifier_of(classifier, c, tolerance, layers);
    const routesig::Progress tell = python_progress(progress);
    const LongWork working;
    return std::visit([&](const auto& one) { return of(one, tell); }, any);
  };
  m.def(
      "repeated_accuracy",
      [accuracies](const Values& x, const Labels& labels, const routesig::FoldPlan& plan, std::size_t count,
                   std::uint64_t seed, std::size_t first, const std::string& classifier, double c, double tolerance,
                   std::size_t layers, const py::object& progress) {
        return accuracies(classifier, c, tolerance, layers, progress, [&](const auto& one, const auto& tell) {
          return routesig::repeated_accuracy(as_features(x), labels, plan, one, count, seed, tell, first);
        });
      },
      py::arg("x"), py::arg("labels"), py::arg("plan"), py::arg("count"), py::arg("seed") = 0, py::kw_only(),
      py::arg("first") = 0, py::arg("classifier") = "logistic_regression", py::arg("c") = 1.0,
      py::arg("tolerance") = 1e-10, py::arg("layers") = 1, py::arg("progress") = py::none(),
      "Accuracy of `count` cross-validations, each with folds of its own, from number `first` on.");
  m.def(
      "permuted_accuracy",
      [accuracies](const Values& x, const Labels& labels, const routesig::FoldPlan& plan, std::size_t count,
                   std::uint64_t seed, const Labels& sources, const std::string& classifier, double c, double tolerance,
                   std::size_t layers, const py::object& progress) {
        return accuracies(classifier, c, tolerance, layers, progress, [&](const auto& one, const auto& tell) {
          return routesig::permuted_accuracy(as_features(x), labels, plan, one, count, seed, tell, sources);
        });
      },
      py::arg("x"), py::arg("labels"), py::arg("plan"), py::arg("count"), py::arg("seed") = 0, py::kw_only(),
      py::arg("sources") = Labels{}, py::arg("classifier") = "logistic_regression", py::arg("c") = 1.0,
      py::arg("tolerance") = 1e-10, py::arg("layers") = 1, py::arg("progress") = py::none(),
      "Accuracy under `count` random orders of the labels (within sources), refitted each time.");
}

}  // namespace

void bind_classifier(py::module_& m) {
  bind_models(m);
  bind_scores(m);
  bind_cross_validation(m);
}
