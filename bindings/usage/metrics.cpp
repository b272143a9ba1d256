#include "routesig/usage/metrics.hpp"

#include <pybind11/stl.h>

#include "arrays.hpp"
#include "bindings.hpp"
#include "choice.hpp"
#include "long_work.hpp"

namespace {

using routesig::Load;
using Values = py::array_t<double, py::array::c_style>;
using Counts = py::array_t<std::uint64_t, py::array::c_style>;
using Logits = py::array_t<float, py::array::c_style>;

// The measures of many layers, an array each: `shape`, coverage with one more axis.
py::dict as_arrays(const std::vector<Load>& loads, const std::vector<py::ssize_t>& shape, py::ssize_t experts) {
  py::dict out;
  const auto column = [&](const char* name, double Load::* member) {
    std::vector<double> values;
    values.reserve(loads.size());
    for (const Load& one : loads) values.push_back(one.*member);
    out[name] = owned(std::move(values), shape);
  };
  column("entropy", &Load::entropy_bits);
  column("effective_experts", &Load::effective_experts);
  column("cv", &Load::cv);
  column("max_violation", &Load::max_violation);
  column("gini", &Load::gini);
  column("jain", &Load::jain);
  column("balancedness", &Load::balancedness);
  column("unused", &Load::unused);
  std::vector<double> coverage;
  std::vector<std::uint8_t> known;
  for (const Load& one : loads) {
    coverage.insert(coverage.end(), one.coverage.begin(), one.coverage.end());
    known.push_back(one.known ? 1 : 0);
  }
  std::vector<py::ssize_t> wider = shape;
  wider.push_back(experts);
  out["coverage"] = owned(std::move(coverage), wider);
  out["known"] = owned(std::move(known), shape);
  return out;
}

py::dict load(const Values& values) {
  if (values.ndim() < 1) throw routesig::invalid_argument("load: expected loads [..., experts], got a number");
  const py::ssize_t experts = values.shape(values.ndim() - 1);
  const auto width = static_cast<std::size_t>(experts);
  std::vector<Load> loads;
  {
    const LongWork working;
    for (std::size_t at = 0; width > 0 && at < items(values).size(); at += width) {
      routesig::interruption_point();
      loads.push_back(routesig::load(items(values).subspan(at, width)));
    }
  }
  return as_arrays(loads, {values.shape(), values.shape() + values.ndim() - 1}, experts);
}

py::dict chance_load(int experts, int top_k, const Counts& tokens) {
  std::vector<Load> loads;
  {
    const LongWork working;
    std::map<std::uint64_t, Load> by_tokens;
    for (const std::uint64_t t : items(tokens)) {
      routesig::interruption_point();
      if (!by_tokens.contains(t)) by_tokens.emplace(t, routesig::chance_load(experts, top_k, t));
      loads.push_back(by_tokens.at(t));
    }
  }
  return as_arrays(loads, {tokens.shape(), tokens.shape() + tokens.ndim()}, experts);
}

py::tuple coactivation(const routesig::TraceSet& traces, const std::string& pairs, const std::string& tokens,
                       bool drop_invalid) {
  using routesig::Pairs;
  const auto which =
      choice<Pairs>("coactivation", "pairs", pairs, {{"all", Pairs::all}, {"adjacent", Pairs::adjacent}});
  const routesig::SignatureOptions options{.tokens = token_set("coactivation", tokens), .drop_invalid = drop_invalid};
  routesig::Coactivation out;
  {
    const LongWork working;
    out = routesig::coactivation(traces.traces(), which, options);
  }
  const auto layers = static_cast<py::ssize_t>(out.layers), experts = static_cast<py::ssize_t>(out.experts);
  return py::make_tuple(owned(std::move(out.counts), {layers, experts, experts}),
                        owned(std::move(out.tokens), {layers}));
}

// (entropy, gap, mass, margin, known) of logits [..., experts], each [...].
py::tuple uncertainty(const Logits& logits, int top_k) {
  if (logits.ndim() < 1) throw routesig::invalid_argument("uncertainty: expected logits [..., experts], got a number");
  const auto experts = static_cast<std::size_t>(logits.shape(logits.ndim() - 1));
  const std::size_t rows = experts > 0 ? items(logits).size() / experts : 0;
  std::vector<double> measures[4];
  for (auto& one : measures) one.resize(rows);
  std::vector<std::uint8_t> known(rows);
  {
    const LongWork working;
    routesig::parallel_for(rows, 256, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        const auto found = routesig::uncertainty(items(logits).subspan(i * experts, experts), top_k);
        if (!found) continue;
        known[i] = 1;
        measures[0][i] = found->entropy_bits;
        measures[1][i] = found->gap;
        measures[2][i] = found->mass;
        measures[3][i] = found->margin;
      }
    });
  }
  const std::vector<py::ssize_t> shape(logits.shape(), logits.shape() + logits.ndim() - 1);
  return py::make_tuple(owned(std::move(measures[0]), shape), owned(std::move(measures[1]), shape),
                        owned(std::move(measures[2]), shape), owned(std::move(measures[3]), shape),
                        owned(std::move(known), shape));
}

py::tuple vocabulary_specialization(const routesig::TraceSet& traces, std::uint64_t least, const std::string& tokens,
                                    bool drop_invalid) {
  const routesig::SignatureOptions options{.tokens = token_set("specialization", tokens), .drop_invalid = drop_invalid};
  routesig::VocabularySpecialization out;
  {
    const LongWork working;
    out = routesig::vocabulary_specialization(traces.traces(), least, options);
  }
  const auto ids = static_cast<py::ssize_t>(out.token_ids.size()), layers = static_cast<py::ssize_t>(out.layers);
  return py::make_tuple(owned(std::move(out.token_ids), {ids}), owned(std::move(out.occurrences), {ids, layers}),
                        owned(std::move(out.shares), {ids, layers, static_cast<py::ssize_t>(out.experts)}));
}

}  // namespace

void bind_metrics(py::module_& m) {
  m.def("load", &load, py::arg("values"), "Measures of load of counts or shares [..., experts], by name.");
  m.def("chance_load", &chance_load, py::arg("experts"), py::arg("top_k"), py::arg("tokens"),
        "Expected measures of load of uniform routing of tokens [...], by name.");
  m.def("entropy_bias", py::vectorize(&routesig::entropy_bias_bits), py::arg("experts"), py::arg("top_k"),
        py::arg("tokens"), "Bits by which the entropy of counts is too low on average.");
  m.def("unused_probability", py::vectorize(&routesig::unused_probability), py::arg("experts"), py::arg("top_k"),
        py::arg("tokens"), "(1 - K/E)^T.");
  m.def("coactivation", &coactivation, py::arg("traces"), py::arg("pairs"), py::arg("tokens"), py::arg("drop_invalid"),
        "(counts [layers, experts, experts], tokens [layers]).");
  m.def("uncertainty", &uncertainty, py::arg("logits"), py::arg("top_k"),
        "(entropy, gap, mass, margin, known) of logits [..., experts].");
  m.def("vocabulary_specialization", &vocabulary_specialization, py::arg("traces"), py::arg("least"), py::arg("tokens"),
        py::arg("drop_invalid"), "(token ids, occurrences [ids, layers], shares).");
}
