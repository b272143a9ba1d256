#include <pybind11/stl.h>

#include "arrays.hpp"
#include "bindings.hpp"
#include "choice.hpp"
#include "long_work.hpp"
#include "routesig/comparison/agreement.hpp"
#include "routesig/comparison/cka.hpp"
#include "routesig/comparison/matched_similarity.hpp"
#include "routesig/comparison/matrix_correlation.hpp"
#include "routesig/statistics/paired_bootstrap.hpp"
#include "statistics/estimate.hpp"

namespace {

using routesig::Agreement;
using routesig::RowAgreement;
using Values = py::array_t<double, py::array::c_style>;
using Labels = std::vector<int>;

py::dict as_dict(const Agreement& found, const RowAgreement& rows) {
  py::dict out;
  out["rows"] = rows.rows;
  out["exact"] = rows.exact();
  out["overlap"] = rows.overlap(found.top_k);
  out["top1"] = found.ranked ? rows.top1() : std::nullopt;
  return out;
}

py::dict agreement(const routesig::TraceSet& a, const routesig::TraceSet& b, const std::string& tokens,
                   bool drop_invalid, const py::object& progress) {
  const routesig::SignatureOptions options{.tokens = token_set("compare", tokens), .drop_invalid = drop_invalid};
  Agreement found;
  {
    const auto tell = python_progress(progress);
    const LongWork working;
    found = routesig::agreement(a, b, options, tell);
  }
  const auto top1_chance = [&](std::size_t l) { return found.ranked ? found.top1_chance(l) : std::nullopt; };
  const auto marginal_chance = [&](std::size_t l) { return found.marginal_chance(l); };
  py::list prompts, layers;
  for (std::size_t i = 0; i < found.prompts.size(); ++i) {
    py::dict one = as_dict(found, found.prompt(i));
    one["tokens"] = found.prompts[i].tokens;
    one["parts_at"] = found.prompts[i].parts_at;
    one["reason"] = found.prompts[i].reason;
    prompts.append(one);
  }
  for (std::size_t l = 0; l < found.layers; ++l) {
    py::dict one = as_dict(found, found.layer(l));
    one["marginal_chance"] = marginal_chance(l);
    one["top1_chance"] = top1_chance(l);
    one["load_divergence"] = found.load_divergence(l);
    layers.append(one);
  }
  py::dict out = as_dict(found, found.total());
  out["prompts"] = prompts;
  out["layers"] = layers;
  out["ranked"] = found.ranked;
  out["exact_chance"] = found.exact_chance();
  out["uniform_chance"] = found.uniform_chance();
  out["marginal_chance"] = found.mean_over_rows(marginal_chance);
  out["top1_chance"] = found.mean_over_rows(top1_chance);
  out["unknown_rows"] = found.unknown_rows;
  out["dropped_rows"] = found.dropped_rows;
  const auto size = static_cast<py::ssize_t>(found.first_divergent.size());
  out["first_divergent"] = owned(std::move(found.first_divergent), {size});
  return out;
}

routesig::SignatureView as_view(const Values& values) {
  if (values.ndim() != 3)
    throw routesig::invalid_argument("compare: expected values [prompts, layers, experts], got ", values.ndim(),
                                     " axes");
  const auto size = [&](int axis) { return static_cast<std::size_t>(values.shape(axis)); };
  return {items(values), size(0), size(1), size(2)};
}

py::tuple matched_similarity(const Values& a, const Values& b) {
  const routesig::SignatureView x = as_view(a), y = as_view(b);
  std::vector<std::optional<double>> same, other;
  {
    const LongWork working;
    same = routesig::matched_similarity(x, y);
    other = routesig::mismatched_similarity(x, y);
  }
  return py::make_tuple(same, other);
}

py::dict as_dict(const routesig::PairedEstimate& found) {
  py::dict out;
  out["a"] = estimate_dict(found.a);
  out["b"] = estimate_dict(found.b);
  out["difference"] = estimate_dict(found.difference);
  return out;
}

py::dict paired_bootstrap(const Values& a, const Values& b, const Labels& task, const Labels& group, std::size_t draws,
                          std::uint64_t seed, double level, const py::object& progress) {
  routesig::PairedBootstrap found;
  {
    const auto tell = python_progress(progress);
    const LongWork working;
    found = routesig::paired_bootstrap(items(a), items(b), task, group, {.draws = draws, .seed = seed, .level = level},
                                       tell);
  }
  py::dict out;
  out["units"] = found.units;
  out["fewest"] = found.fewest;
  out["within"] = as_dict(found.within);
  out["across"] = as_dict(found.across);
  out["difference"] = as_dict(found.difference);
  out["cohens_d"] = as_dict(found.cohens_d);
  return out;
}

// (Spearman's correlation, the Mantel test of each of `strata`), None where undefined.
py::tuple matrix_correlation(const Values& a, const Values& b, const std::vector<Labels>& strata,
                             std::size_t permutations, std::uint64_t seed, const py::object& progress) {
  const auto n = static_cast<std::size_t>(a.shape(0));
  std::optional<double> spearman;
  std::vector<std::optional<routesig::MantelTest>> tests;
  {
    const auto tell = python_progress(progress);
    const LongWork working;
    const routesig::MatrixCorrelation found(items(a), items(b), n);
    spearman = found.spearman();
    for (const Labels& one : strata)
      tests.push_back(found.mantel_test(one, {.permutations = permutations, .seed = seed}, tell));
  }
  py::list out;
  for (const auto& test : tests) {
    if (!test) {
      out.append(py::none());
      continue;
    }
    py::dict one;
    one["p_value"] = py::make_tuple(test->p.value, test->p.floor);
    one["exact"] = test->exact;
    one["permutations"] = test->permutations;
    one["null"] = py::make_tuple(test->null.mean, test->null.sd, test->null.low, test->null.high);
    out.append(one);
  }
  return py::make_tuple(spearman, out);
}

std::optional<double> cka(const Values& a, const Values& b) {
  const auto n = static_cast<std::size_t>(a.shape(0));
  if (b.shape(0) != a.shape(0))
    throw routesig::invalid_argument("cka: expected the same prompts, got ", n, " and ", b.shape(0));
  const LongWork working;
  return routesig::unbiased_cka(routesig::linear_kernel(items(a), n), routesig::linear_kernel(items(b), n), n);
}

std::vector<double> load_divergence(const Values& a, const Values& b) {
  if (a.ndim() < 1 || b.ndim() < 1)
    throw routesig::invalid_argument("compare: expected loads [layers, experts], got a number");
  const auto width = static_cast<std::size_t>(a.shape(a.ndim() - 1));
  if (a.size() != b.size() || b.shape(b.ndim() - 1) != a.shape(a.ndim() - 1))
    throw routesig::invalid_argument("compare: expected loads of one shape, got ", a.size(), " and ", b.size(),
                                     " values");
  std::vector<double> out;
  const LongWork working;
  for (std::size_t at = 0; width > 0 && at < items(a).size(); at += width)
    out.push_back(routesig::load_divergence(items(a).subspan(at, width), items(b).subspan(at, width)));
  return out;
}

}  // namespace

void bind_comparison(py::module_& m) {
  m.def("agreement", &agreement, py::arg("a"), py::arg("b"), py::arg("tokens"), py::arg("drop_invalid"),
        py::arg("progress") = py::none(), "Agreement of expert sets, by name; prompts in one order.");
  m.def("matched_similarity", &matched_similarity, py::arg("a"), py::arg("b"),
        "(cosines of the same prompts, row by row [prompts, layers]; mean cosines of different ones [layers]).");
  m.def("paired_bootstrap", &paired_bootstrap, py::arg("a"), py::arg("b"), py::arg("task"), py::arg("group"),
        py::arg("draws"), py::arg("seed"), py::arg("level"), py::arg("progress") = py::none(),
        "Separations of two similarity matrices [n, n] and their difference, with intervals.");
  m.def("matrix_correlation", &matrix_correlation, py::arg("a"), py::arg("b"), py::arg("strata"),
        py::arg("permutations"), py::arg("seed"), py::arg("progress") = py::none(),
        "(Spearman's correlation of similarity matrices [n, n], Mantel's test for each of `strata`).");
  m.def("cka", &cka, py::arg("a"), py::arg("b"), "Unbiased linear CKA of rows [n, ...]; None where undefined.");
  m.def("load_divergence", &load_divergence, py::arg("a"), py::arg("b"),
        "Jensen-Shannon divergences in bits of loads [layers, experts].");
}
