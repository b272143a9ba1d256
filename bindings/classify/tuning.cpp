#include "routesig/classify/tuning.hpp"

#include <pybind11/stl.h>

#include "bindings.hpp"
#include "choice.hpp"
#include "classify/features.hpp"
#include "long_work.hpp"

namespace {

using routesig::Preparation;
using Labels = std::vector<int>;

Preparation preparation_of(const std::string& name) {
  return choice<Preparation>("tuning", "a preparation", name,
                             {{"standardized", Preparation::standardized},
                              {"log1p", Preparation::log1p},
                              {"l2", Preparation::l2},
                              {"tf-idf", Preparation::tf_idf},
                              {"naive Bayes", Preparation::naive_bayes}});
}

}  // namespace

void bind_tuning(py::module_& m) {
  m.def(
      "tuned_cross_validation",
      [](const std::vector<std::pair<Values, std::string>>& candidates, const Labels& labels, const Labels& fold,
         const routesig::FoldPlan& inner, const std::vector<double>& c, std::uint64_t seed,
         const py::object& progress) {
        std::vector<routesig::Candidate> all;
        all.reserve(candidates.size());
        for (const auto& [values, name] : candidates)
          all.push_back({.x = features_of("tuning", values), .preparation = preparation_of(name)});
        const routesig::Progress tell = python_progress(progress);
        routesig::TunedPredictions out;
        {
          const LongWork working;
          out = routesig::tuned_cross_validation(all, labels, fold, inner, {.c = c, .seed = seed}, tell);
        }
        std::vector<std::pair<std::size_t, double>> choices;
        choices.reserve(out.choices.size());
        for (const routesig::Choice& choice : out.choices) choices.emplace_back(choice.candidate, choice.c);
        return py::make_tuple(out.predictions, choices);
      },
      py::arg("candidates"), py::arg("labels"), py::arg("fold"), py::arg("inner"), py::kw_only(),
      py::arg("c") = routesig::TuningOptions{}.c, py::arg("seed") = 0, py::arg("progress") = py::none(),
      "(predictions [rows], (candidate, c) of each outer fold): preparation and penalty chosen by inner folds.");
  m.def(
      "mcnemar",
      [](const std::vector<std::uint8_t>& first, const std::vector<std::uint8_t>& second, const Labels& unit) {
        routesig::McNemar test;
        {
          const LongWork working;
          test = routesig::mcnemar(first, second, unit);
        }
        return py::make_tuple(test.only_first, test.only_second, test.p, test.floor);
      },
      py::arg("first"), py::arg("second"), py::arg("unit") = Labels{},
      "(right in the first alone, in the second alone, exact p, smallest p); whole units swap.");
  m.def(
      "accuracy_difference_interval",
      [](const std::vector<std::uint8_t>& first, const std::vector<std::uint8_t>& second, const Labels& unit,
         std::size_t draws, std::uint64_t seed) {
        const LongWork working;
        return routesig::accuracy_difference_interval(first, second, unit, draws, seed);
      },
      py::arg("first"), py::arg("second"), py::arg("unit"), py::arg("draws") = 2000, py::arg("seed") = 0,
      "95 % bootstrap interval of the difference of two accuracies on the same rows.");
}
