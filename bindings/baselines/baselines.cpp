#include "routesig/baselines/baselines.hpp"

#include <pybind11/stl.h>

#include <array>

#include "arrays.hpp"
#include "bindings.hpp"
#include "choice.hpp"
#include "long_work.hpp"

namespace {

using routesig::Baseline;
using routesig::BaselineOptions;
using routesig::CountView;
using routesig::RowDraws;
using Counts = py::array_t<std::uint64_t, py::array::c_style>;
using Values = py::array_t<double, py::array::c_style>;
using Tasks = std::vector<int>;

template <typename Array>
std::array<std::size_t, 3> sizes(const Array& array) {
  if (array.ndim() != 3)
    throw routesig::invalid_argument("baselines: expected signatures [prompts, layers, experts], got ", array.ndim(),
                                     " axes");
  return {static_cast<std::size_t>(array.shape(0)), static_cast<std::size_t>(array.shape(1)),
          static_cast<std::size_t>(array.shape(2))};
}

CountView count_view(const Counts& counts, std::size_t top_k) {
  const auto [prompts, layers, experts] = sizes(counts);
  return {items(counts), prompts, layers, experts, top_k};
}

BaselineOptions options(std::size_t repetitions, std::uint64_t seed, const py::object& progress) {
  return {.repetitions = repetitions, .seed = seed, .progress = python_progress(progress)};
}

// (values, mean, sd, low, high), or None where there are none.
py::object distribution(const std::vector<double>& values) {
  if (values.empty()) return py::none();
  const routesig::Spread s = routesig::spread(values);
  return py::make_tuple(owned(values, {static_cast<py::ssize_t>(values.size())}), s.mean, s.sd, s.low, s.high);
}

// What baselines.py makes a Baseline of.
py::dict as_dict(const Baseline& base) {
  py::dict out;
  out["observed"] = base.observed;
  out["within"] = distribution(base.repetitions.within);
  out["across"] = distribution(base.repetitions.across);
  out["difference"] = distribution(base.repetitions.difference);
  out["cohens_d"] = distribution(base.repetitions.cohens_d);
  out["within_pair_sd"] = base.repetitions.within_pair_sd;
  out["across_pair_sd"] = base.repetitions.across_pair_sd;
  out["closed_form"] = py::none();
  if (const auto& form = base.closed_form)
    out["closed_form"] = py::make_tuple(form->within, form->across, form->difference, form->within_sd, form->across_sd,
                                        form->difference_sd);
  out["p_value"] = py::none();
  if (const auto& p = base.p_value) out["p_value"] = py::make_tuple(p->value, p->floor);
  return out;
}

template <typename Make>
py::dict computed(const Make& make) {
  std::optional<Baseline> base;
  {
    const LongWork working;
    base = make();
  }
  return as_dict(*base);
}

void bind_nulls(py::module_& m) {
  m.def(
      "permutation_baseline",
      [](const Values& values, const Tasks& task, const Tasks& group, std::size_t repetitions, std::uint64_t seed,
         const py::object& told) {
        const auto set = signature_view("baselines", values);
        const BaselineOptions with = options(repetitions, seed, told);
        return computed([&] { return routesig::permutation_baseline(set, {task, group}, with); });
      },
      py::arg("values"), py::arg("task"), py::arg("group"), py::kw_only(), py::arg("repetitions"), py::arg("seed"),
      py::arg("progress") = py::none(),
      "Separation under relabelled experts: a dict of what routesig.baselines shows.");
  m.def(
      "load_balance_baseline",
      [](const Counts& counts, std::size_t top_k, const Tasks& task, const Tasks& group, bool with_replacement,
         std::size_t repetitions, std::uint64_t seed, const py::object& told) {
        const CountView set = count_view(counts, top_k);
        const BaselineOptions with = options(repetitions, seed, told);
        const auto draws = with_replacement ? RowDraws::with_replacement : RowDraws::distinct;
        return computed([&] { return routesig::load_balance_baseline(set, {task, group}, with, draws); });
      },
      py::arg("counts"), py::arg("top_k"), py::arg("task"), py::arg("group"), py::kw_only(),
      py::arg("with_replacement") = false, py::arg("repetitions"), py::arg("seed"), py::arg("progress") = py::none(),
      "Separation under uniform routing: a dict of what routesig.baselines shows.");
  m.def(
      "marginal_baseline",
      [](const Counts& counts, std::size_t top_k, const Tasks& task, const Tasks& group, std::size_t repetitions,
         std::uint64_t seed, const py::object& told) {
        const CountView set = count_view(counts, top_k);
        const BaselineOptions with = options(repetitions, seed, told);
        return computed([&] { return routesig::marginal_baseline(set, {task, group}, with); });
      },
      py::arg("counts"), py::arg("top_k"), py::arg("task"), py::arg("group"), py::kw_only(), py::arg("repetitions"),
      py::arg("seed"), py::arg("progress") = py::none(),
      "Separation under routing by pooled popularity: a dict of what routesig.baselines shows.");
  m.def(
      "token_pool_baseline",
      [](const routesig::TraceSet& traces, const Tasks& task, const Tasks& group, const std::string& tokens,
         const std::string& weighting, bool drop_invalid, std::size_t repetitions, std::uint64_t seed,
         const py::object& told) {
        const BaselineOptions with = options(repetitions, seed, told);
        const routesig::SignatureOptions of{.tokens = token_set("baselines", tokens),
                                            .weighting = weighting_of("baselines", weighting),
                                            .drop_invalid = drop_invalid};
        return computed([&] { return routesig::token_pool_baseline(traces.traces(), {task, group}, with, of); });
      },
      py::arg("traces"), py::arg("task"), py::arg("group"), py::kw_only(), py::arg("tokens") = "all",
      py::arg("weighting") = "count", py::arg("drop_invalid") = false, py::arg("repetitions"), py::arg("seed"),
      py::arg("progress") = py::none(),
      "Separation under redistributed tokens: a dict of what routesig.baselines shows.");
}

void bind_expectations(py::module_& m) {
  m.def(
      "permutation_moments",
      [](const Values& pair) {
        const routesig::SignatureView set = signature_view("baselines", pair);
        if (set.prompts != 2)
          throw routesig::invalid_argument("permutation_moments: expected 2 signatures, got ", set.prompts);
        const auto moments = routesig::permutation_moments(set, 0, 1);
        return py::make_tuple(moments.mean, std::sqrt(moments.variance));
      },
      py::arg("pair"), "Mean and sd of the similarity of two signatures [2, layers, experts] with relabelled experts.");
  m.def(
      "sampling_ratio",
      [](std::size_t experts, std::size_t top_k, bool with_replacement) {
        return routesig::sampling_ratio(experts, top_k,
                                        with_replacement ? RowDraws::with_replacement : RowDraws::distinct);
      },
      py::arg("experts"), py::arg("top_k"), py::arg("with_replacement") = false,
      "r of 1 / sqrt((1 + r/T_a)(1 + r/T_b)) for uniform routing.");
  m.def("sampled_similarity", py::vectorize(&routesig::sampled_similarity), py::arg("tokens_a"), py::arg("tokens_b"),
        py::arg("ratio"), "1 / sqrt((1 + r/T_a)(1 + r/T_b)), 0 without tokens.");
  m.def("break_even_tokens", &routesig::break_even_tokens, py::arg("within"), py::arg("model_ratio"),
        py::arg("balanced_ratio"), "T* = (r w - r') / (1 - w), or None where w is not below 1.");
  m.def(
      "length_free",
      [](const Counts& counts, std::size_t top_k, const Tasks& task, const Tasks& group) {
        const CountView set = count_view(counts, top_k);
        const LongWork working;
        const auto found = routesig::length_free(set, task, group);
        return found ? std::optional(std::pair(found->within, found->ratio)) : std::nullopt;
      },
      py::arg("counts"), py::arg("top_k"), py::arg("task"), py::arg("group"),
      "(within-task similarity, sampling ratio) without text length, or None.");
}

}  // namespace

void bind_baselines(py::module_& m) {
  bind_nulls(m);
  bind_expectations(m);
}
