#include "routesig/statistics/debiased.hpp"

#include <pybind11/operators.h>
#include <pybind11/stl.h>

#include "arrays.hpp"
#include "bindings.hpp"
#include "choice.hpp"
#include "long_work.hpp"
#include "routesig/statistics/reliability.hpp"

namespace {

using routesig::DebiasedRows;
using Counts = py::array_t<std::uint64_t, py::array::c_style>;

std::vector<py::ssize_t> prompts_by_layers(const auto& rows) {
  return {static_cast<py::ssize_t>(rows.prompts), static_cast<py::ssize_t>(rows.layers)};
}

std::vector<bool> known(const DebiasedRows& rows) {
  std::vector<bool> out;
  for (std::size_t p = 0; p < rows.prompts; ++p)
    for (std::size_t l = 0; l < rows.layers; ++l) out.push_back(rows.known(p, l));
  return out;
}

py::array_t<double> layers_of(const DebiasedRows& a, const DebiasedRows* b) {
  std::vector<double> out;
  {
    const LongWork working;
    out = routesig::debiased_layers(a, b);
  }
  const auto rows = static_cast<py::ssize_t>(a.prompts), columns = static_cast<py::ssize_t>((b ? *b : a).prompts);
  return owned(std::move(out), {static_cast<py::ssize_t>(a.layers), rows, columns});
}

py::array_t<double> matrix_of(const DebiasedRows& a, const DebiasedRows* b) {
  std::vector<double> out;
  {
    const LongWork working;
    out = routesig::debiased_matrix(a, b);
  }
  return owned(std::move(out), {static_cast<py::ssize_t>(a.prompts), static_cast<py::ssize_t>((b ? *b : a).prompts)});
}

using Number = std::optional<double>;
using Means = std::tuple<Number, Number, Number, std::size_t, std::size_t>;

Means as_tuple(const routesig::DebiasedMeans& m) {
  return {m.within, m.across, m.difference(), m.within_pairs, m.across_pairs};
}

void bind_reliability(py::module_& m) {
  m.def(
      "half_similarities",
      [](const routesig::TraceSet& traces, const std::string& split, const std::string& tokens, bool drop_invalid) {
        using routesig::Split;
        const auto how = choice<Split>("reliability", "split", split,
                                       {{"interleaved", Split::interleaved}, {"contiguous", Split::contiguous}});
        const routesig::SignatureOptions which{.tokens = token_set("reliability", tokens),
                                               .drop_invalid = drop_invalid};
        routesig::HalfSimilarities out;
        {
          const LongWork working;
          out = routesig::half_similarities(traces.traces(), how, which);
        }
        const auto shape = prompts_by_layers(out);
        return py::make_tuple(owned(std::move(out.values), shape), owned(std::move(out.tokens), shape));
      },
      py::arg("traces"), py::arg("split"), py::arg("tokens"), py::arg("drop_invalid"),
      "(cosines of the halves, tokens), [prompts, layers] each.");
  m.def("spearman_brown", py::vectorize(&routesig::spearman_brown), py::arg("half"), "2 h / (1 + h).");
  m.def("tokens_for_reliability", &routesig::tokens_for_reliability, py::arg("rho"), py::arg("r"),
        "r rho / (1 - rho).");
}

}  // namespace

void bind_debiased(py::module_& m) {
  py::class_<DebiasedRows>(m, "DebiasedRows", "Signatures prepared for the debiased cosine.")
      .def_property_readonly(
          "squared_norms", [](const DebiasedRows& r) { return owned(r.squared_norms, prompts_by_layers(r)); },
          "float64 [prompts, layers].")
      .def_property_readonly(
          "tokens", [](const DebiasedRows& r) { return owned(r.tokens, prompts_by_layers(r)); },
          "uint64 [prompts, layers] tokens with known routing.")
      .def_property_readonly("known", &known, "Whether a layer of a prompt has a similarity, row by row.")
      .def("absence", &DebiasedRows::absence, py::arg("prompt"), "Why a prompt has none, or None.")
      .def(py::self == py::self)
      .def(py::pickle(
          [](const DebiasedRows& r) {
            return py::make_tuple(r.prompts, r.layers, r.experts, r.shares, r.squared_norms, r.tokens);
          },
          [](const py::tuple& s) {
            return DebiasedRows{s[0].cast<std::size_t>(),         s[1].cast<std::size_t>(),
                                s[2].cast<std::size_t>(),         s[3].cast<std::vector<double>>(),
                                s[4].cast<std::vector<double>>(), s[5].cast<std::vector<std::uint64_t>>()};
          }));
  m.def(
      "debiased_traces",
      [](const routesig::TraceSet& traces, const std::string& tokens, int window, bool drop_invalid) {
        const routesig::DebiasedOptions options{
            .which = {.tokens = token_set("debiased", tokens), .drop_invalid = drop_invalid}, .window = window};
        const LongWork working;
        return routesig::debiased_rows(traces.traces(), options);
      },
      py::arg("traces"), py::arg("tokens"), py::arg("window"), py::arg("drop_invalid"), "DebiasedRows of traces.");
  m.def(
      "debiased_counts",
      [](const Counts& counts, std::uint64_t top_k) {
        const auto size = [&](int axis) { return static_cast<std::size_t>(counts.shape(axis)); };
        const std::size_t prompts = size(0), layers = size(1), experts = size(2);
        const LongWork working;
        return routesig::debiased_rows(items(counts), prompts, layers, experts, top_k);
      },
      py::arg("counts"), py::arg("top_k"), "DebiasedRows of counts [prompts, layers, experts].");
  m.def("debiased_layers", &layers_of, py::arg("a"), py::arg("b") = py::none(),
        "Debiased cosines [layers, prompts of a, prompts of b]; 0 where absent.");
  m.def("debiased_matrix", &matrix_of, py::arg("a"), py::arg("b") = py::none(),
        "Their mean over layers [prompts of a, prompts of b].");
  m.def(
      "debiased_means",
      [](const DebiasedRows& rows, const std::vector<int>& task, const std::vector<int>& group) {
        const LongWork working;
        const auto means = routesig::debiased_means(rows, task, group);
        std::vector<Means> by_layer;
        by_layer.reserve(means.layers.size());
        for (const auto& layer : means.layers) by_layer.push_back(as_tuple(layer));
        return std::pair(as_tuple(means.overall), by_layer);
      },
      py::arg("rows"), py::arg("task"), py::arg("group"),
      "(within, across, difference, within pairs, across pairs), overall and a list by layer.");
  bind_reliability(m);
}
