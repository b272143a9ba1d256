#include "routesig/statistics/statistics.hpp"

#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include "arrays.hpp"
#include "bindings.hpp"
#include "long_work.hpp"
#include "routesig/statistics/category_matrix.hpp"
#include "routesig/statistics/dispersion.hpp"
#include "routesig/statistics/multiplicity.hpp"
#include "routesig/statistics/permutation.hpp"
#include "statistics/estimate.hpp"

namespace {

using Values = py::array_t<double, py::array::c_style>;
using Labels = std::vector<int>;

py::object pair_of(const std::optional<routesig::PValue>& p) {
  return p ? py::object(py::make_tuple(p->value, p->floor)) : py::object(py::none());
}

// Runs `make`, which tells `progress`.
template <typename Make>
auto computed(const py::object& progress, const Make& make) {
  const auto tell = python_progress(progress);
  const LongWork working;
  return make(tell);
}

py::dict as_dict(routesig::PermutationTest found) {
  py::list tests;
  for (const auto& test : found.tests) {
    py::dict one;
    one["difference"] = test.difference;
    one["p_value"] = pair_of(test.p);
    one["cohens_d"] = test.cohens_d;
    one["cohens_d_p_value"] = pair_of(test.cohens_d_p);
    one["adjusted"] = pair_of(test.adjusted);
    tests.append(one);
  }
  const auto draws = static_cast<py::ssize_t>(found.permutations);
  py::dict out;
  out["units"] = found.units;
  out["exact"] = found.exact;
  out["permutations"] = found.permutations;
  out["labellings"] = found.possible;
  out["tests"] = tests;
  out["null"] = owned(std::move(found.null), {static_cast<py::ssize_t>(found.tests.size()), draws});
  return out;
}

py::dict as_dict(const routesig::Bootstrap& found) {
  py::list separations;
  for (const auto& one : found.separations) {
    py::dict row;
    row["within"] = estimate_dict(one.within);
    row["across"] = estimate_dict(one.across);
    row["difference"] = estimate_dict(one.difference);
    row["cohens_d"] = estimate_dict(one.cohens_d);
    separations.append(row);
  }
  py::dict out;
  out["units"] = found.units;
  out["fewest"] = found.fewest;
  out["separations"] = separations;
  out["slope"] = estimate_dict(found.slope);
  return out;
}

py::dict dispersion_test(const Values& matrix, const Labels& task, const Labels& group, std::size_t permutations,
                         std::uint64_t seed, const Labels& source, const py::object& progress) {
  const routesig::DispersionTest found = computed(progress, [&](const routesig::Progress& tell) {
    return routesig::dispersion_test(items(matrix), task, group,
                                     {.permutations = permutations, .seed = seed, .source = source}, tell);
  });
  py::dict out;
  out["units"] = found.units;
  out["exact"] = found.exact;
  out["permutations"] = found.permutations;
  out["distance"] = found.distance;
  out["f"] = found.f;
  out["p_value"] = pair_of(found.p);
  return out;
}

// Of matrices [matrices, n, n], and of the layers of signatures [n, layers, experts].
void bind_resampling(py::module_& m) {
  m.def(
      "permutation_test",
      [](const Values& matrices, const Labels& task, const Labels& group, std::size_t permutations, std::uint64_t seed,
         const Labels& source, const py::object& progress) {
        return as_dict(computed(progress, [&](const routesig::Progress& tell) {
          return routesig::permutation_test(items(matrices), task, group,
                                            {.permutations = permutations, .seed = seed, .source = source}, tell);
        }));
      },
      py::arg("matrices"), py::arg("task"), py::arg("group"), py::arg("permutations"), py::arg("seed"),
      py::arg("source") = Labels{}, py::arg("progress") = py::none(),
      "Label permutation test of similarity matrices [matrices, n, n].");
  m.def(
      "layer_permutation_test",
      [](const Values& values, const Labels& task, const Labels& group, std::size_t permutations, std::uint64_t seed,
         const Labels& source, const py::object& progress) {
        const auto set = signature_view("permutation_test", values);
        return as_dict(computed(progress, [&](const routesig::Progress& tell) {
          return routesig::layer_permutation_test(set, task, group,
                                                  {.permutations = permutations, .seed = seed, .source = source}, tell);
        }));
      },
      py::arg("values"), py::arg("task"), py::arg("group"), py::arg("permutations"), py::arg("seed"),
      py::arg("source") = Labels{}, py::arg("progress") = py::none(),
      "permutation_test of the layers' cosines of signatures [n, layers, experts].");
  m.def(
      "bootstrap",
      [](const Values& matrices, const Labels& task, const Labels& group, std::size_t draws, std::uint64_t seed,
         double level, const py::object& progress) {
        return as_dict(computed(progress, [&](const routesig::Progress& tell) {
          return routesig::bootstrap(items(matrices), task, group, {.draws = draws, .seed = seed, .level = level},
                                     tell);
        }));
      },
      py::arg("matrices"), py::arg("task"), py::arg("group"), py::arg("draws"), py::arg("seed"), py::arg("level"),
      py::arg("progress") = py::none(),
      "Bootstrap intervals of the separation of similarity matrices [matrices, n, n].");
  m.def(
      "layer_bootstrap",
      [](const Values& values, const Labels& task, const Labels& group, std::size_t draws, std::uint64_t seed,
         double level, const py::object& progress) {
        const auto set = signature_view("bootstrap", values);
        return as_dict(computed(progress, [&](const routesig::Progress& tell) {
          return routesig::layer_bootstrap(set, task, group, {.draws = draws, .seed = seed, .level = level}, tell);
        }));
      },
      py::arg("values"), py::arg("task"), py::arg("group"), py::arg("draws"), py::arg("seed"), py::arg("level"),
      py::arg("progress") = py::none(), "bootstrap of the layers' cosines of signatures [n, layers, experts].");
}

}  // namespace

void bind_statistics(py::module_& m) {
  m.def(
      "balanced_separation",
      [](const Values& matrix, const Labels& task, const Labels& group) {
        const LongWork working;
        return routesig::balanced_separation(items(matrix), task, group);
      },
      py::arg("matrix"), py::arg("task"), py::arg("group") = Labels{},
      "separation with means in which every task weighs the same.");
  m.def(
      "short_task",
      [](const Labels& task, const Labels& group) -> std::optional<std::pair<int, std::size_t>> {
        const auto found = routesig::Units(task, group).short_task();
        return found ? std::optional(std::pair(found->task, found->pairs)) : std::nullopt;
      },
      py::arg("task"), py::arg("group"),
      "(task, pairs) of a task whose prompts of different groups make fewer than 5 pairs, or None.");
  m.def(
      "category_matrix",
      [](const Values& matrix, const Labels& task, std::size_t tasks, const Labels& group) {
        routesig::CategoryMatrix found;
        {
          const LongWork working;
          found = routesig::category_matrix(items(matrix), task, tasks, group);
        }
        return py::make_tuple(found.mean, found.pairs);
      },
      py::arg("matrix"), py::arg("task"), py::arg("tasks"), py::arg("group") = Labels{},
      "(means, pairs), row-major [tasks, tasks].");
  m.def("dispersion_test", &dispersion_test, py::arg("matrix"), py::arg("task"), py::arg("group"),
        py::arg("permutations"), py::arg("seed"), py::arg("source") = Labels{}, py::arg("progress") = py::none(),
        "Whether tasks differ in the distances of prompts to their centroids.");
  m.def(
      "depth_slope", [](const std::vector<double>& values) { return routesig::depth_slope(values); }, py::arg("values"),
      "Least-squares slope over 0, 1, 2, ...; None for fewer than two values.");
  m.def(
      "holm", [](const Values& p) { return owned(routesig::holm(items(p)), {p.size()}); }, py::arg("p"),
      "Holm's adjusted p-values.");
  m.def(
      "benjamini_hochberg", [](const Values& p) { return owned(routesig::benjamini_hochberg(items(p)), {p.size()}); },
      py::arg("p"), "Benjamini and Hochberg's adjusted p-values.");
  bind_resampling(m);
}
