#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include "arrays.hpp"
#include "bindings.hpp"
#include "choice.hpp"
#include "long_work.hpp"
#include "routesig/controls/common_prefix.hpp"
#include "routesig/controls/controls.hpp"
#include "routesig/controls/decomposition.hpp"
#include "routesig/controls/overlap_ladder.hpp"
#include "routesig/controls/residual_similarity.hpp"
#include "routesig/controls/token_shuffle.hpp"
#include "routesig/controls/trace_filter.hpp"

namespace {

using routesig::TokenTable;
using routesig::TraceSet;

// observed; mean, sd, low, high of the null; p, its floor; share or None
using Test = py::typing::Tuple<double, double, double, double, double, double, double, py::typing::Optional<double>>;

Test as_tuple(const routesig::ShuffleTest& t) {
  return py::make_tuple(t.observed, t.null.mean, t.null.sd, t.null.low, t.null.high, t.p.value, t.p.floor, t.share);
}

py::object or_none(const std::optional<routesig::ShuffleTest>& test) {
  return test ? py::object(as_tuple(*test)) : py::object(py::none());
}

py::ssize_t size(std::size_t n) { return static_cast<py::ssize_t>(n); }

// Counts in the order of the traces, prompts without a place in the table left out: [prompts, layers, experts].
py::array_t<std::uint64_t> counts_of(const TokenTable& table, std::optional<std::uint64_t> seed,
                                     std::uint64_t repetition) {
  std::vector<std::uint64_t> out;
  {
    const LongWork working;
    const auto counts = table.counts(seed ? table.shuffled(*seed, repetition) : table.unshuffled());
    const std::size_t cells = table.layers * table.experts;
    std::vector<std::size_t> order(table.prompts());
    for (std::size_t p = 0; p < order.size(); ++p) order[p] = p;
    std::ranges::sort(order, {}, [&](std::size_t p) { return table.trace[p]; });
    for (const std::size_t p : order)
      out.insert(out.end(), counts.begin() + size(p * cells), counts.begin() + size((p + 1) * cells));
  }
  return owned(std::move(out), {size(table.prompts()), size(table.layers), size(table.experts)});
}

py::tuple token_shuffle(const TokenTable& table, std::size_t shuffles, std::uint64_t seed, const py::object& progress) {
  routesig::TokenShuffle out;
  {
    const routesig::Progress told = python_progress(progress);
    const LongWork working;
    out = routesig::token_shuffle(table, {.shuffles = shuffles, .seed = seed}, told);
  }
  py::list layers;
  for (const auto& test : out.layers) layers.append(or_none(test));
  const py::ssize_t rows = size(out.draws.size());
  return py::make_tuple(or_none(out.difference), layers, owned(std::move(out.draws), {rows}),
                        owned(std::move(out.layer_draws), {rows, size(table.layers)}));
}

py::array_t<double> residual_similarity(const TokenTable& table, std::size_t shuffles, std::uint64_t seed,
                                        const py::object& progress) {
  std::vector<double> out;
  {
    const routesig::Progress told = python_progress(progress);
    const LongWork working;
    out = routesig::residual_similarity(table, {.shuffles = shuffles, .seed = seed}, told);
  }
  return owned(std::move(out), {size(table.prompts()), size(table.prompts())});
}

// value, standard error or None; or None.
py::object as_object(const std::optional<routesig::MatchedEffect>& effect) {
  return effect ? py::object(py::make_tuple(effect->value, effect->error)) : py::object(py::none());
}

py::tuple overlap_ladder(const TokenTable& table) {
  routesig::OverlapLadder out;
  {
    const LongWork working;
    out = routesig::overlap_ladder(table);
  }
  py::list layers;
  for (const routesig::LadderLayer& layer : out.layers)
    layers.append(py::make_tuple(layer.overlap, layer.pairs, layer.chance, as_object(layer.effect)));
  return py::make_tuple(out.overlap, out.chance, as_object(out.effect), out.token_ids, out.units, out.fewest, layers);
}

// value, band (low, high) or None: of total, length, vocabulary, context.
py::list as_list(const routesig::Parts& parts) {
  py::list out;
  for (const routesig::Part* part : {&parts.total, &parts.length, &parts.vocabulary, &parts.context}) {
    const py::object band =
        part->band ? py::object(py::make_tuple(part->band->low, part->band->high)) : py::object(py::none());
    out.append(py::make_tuple(part->value, band));
  }
  return out;
}

py::tuple decompose(const TokenTable& table, std::vector<double> length, std::size_t shuffles, std::size_t bootstrap,
                    std::uint64_t seed, const py::object& progress) {
  routesig::Decomposition out;
  {
    const routesig::Progress told = python_progress(progress);
    const LongWork working;
    out = routesig::decompose(
        table, {.shuffles = shuffles, .bootstrap = bootstrap, .seed = seed, .length = std::move(length)}, told);
  }
  py::list layers;
  const auto parts_or_none = [](const std::optional<routesig::Parts>& parts) {
    return parts ? py::object(as_list(*parts)) : py::object(py::none());
  };
  for (const auto& parts : out.layers) layers.append(parts_or_none(parts));
  return py::make_tuple(parts_or_none(out.overall), layers, out.no_bands);
}

template <typename Filter>
py::tuple filtered(const Filter& filter) {
  routesig::FilteredTraces found;
  {
    const LongWork working;
    found = filter();
  }
  py::list left_out;
  for (const auto& [id, reason] : found.left_out) left_out.append(py::make_tuple(id, reason));
  return py::make_tuple(found.traces, left_out, found.length, found.tokens_dropped);
}

// real, the controls, their mean, smallest and largest, gain, p, its floor
py::object or_none(const std::optional<routesig::ControlValue>& value) {
  if (!value) return py::none();
  return py::make_tuple(value->real, value->controls, value->mean, value->low, value->high, value->gain, value->p.value,
                        value->p.floor);
}

py::tuple compare_with_controls(const TraceSet& real, const std::vector<TraceSet>& controls, const std::string& tokens,
                                bool drop_invalid, bool groups) {
  const routesig::SignatureOptions options{.tokens = token_set("controls", tokens), .drop_invalid = drop_invalid};
  routesig::ControlComparison out;
  {
    const LongWork working;
    out = routesig::compare_with_controls(real, controls, options, groups);
  }
  py::list layers;
  for (const auto& layer : out.layers) layers.append(or_none(layer));
  return py::make_tuple(or_none(out.difference), or_none(out.cohens_d), layers, out.unlabelled, out.empty);
}

void bind_token_table(py::module_& m) {
  py::class_<TokenTable>(m, "TokenTable", "The tokens of labelled prompts, and the strata a shuffle keeps.")
      .def(py::init([](const TraceSet& traces, const std::string& tokens, bool drop_invalid, bool groups) {
             const routesig::TokenTableOptions options{
                 .tokens = token_set("controls", tokens), .drop_invalid = drop_invalid, .groups = groups};
             const LongWork working;
             return routesig::token_table(traces, options);
           }),
           py::arg("traces"), py::kw_only(), py::arg("tokens") = "all", py::arg("drop_invalid") = false,
           py::arg("groups") = true)
      .def_property_readonly("prompts", &TokenTable::prompts, "Prompts in the table.")
      .def_property_readonly("tasks", &TokenTable::tasks, "Different tasks.")
      .def("__len__", &TokenTable::tokens)
      .def_readonly("movable", &TokenTable::movable, "Tokens whose stratum spans two prompts or more.")
      .def_readonly("across_tasks", &TokenTable::across_tasks, "Tokens whose stratum spans two tasks or more.")
      .def_readonly("trace", &TokenTable::trace, "Index of the trace of every prompt, by task, group and id.")
      .def_readonly("task", &TokenTable::task, "Number of every prompt's task, ascending.")
      .def_readonly("group", &TokenTable::group, "Number of every prompt's group; -1 where it has none.")
      .def("crossing", &TokenTable::crossing, "Those tokens alone whose stratum spans two tasks or more.")
      .def_readonly("unlabelled", &TokenTable::unlabelled, "Traces left out: no task.")
      .def_readonly("empty", &TokenTable::empty, "Traces left out: no token with known routing.")
      .def_readonly("unknown_rows", &TokenTable::unknown_rows, "Rows without known routing.")
      .def_readonly("dropped_rows", &TokenTable::dropped_rows, "Impossible rows left out.")
      .def("counts", &counts_of, py::arg("seed") = py::none(), py::arg("repetition") = 0,
           "Counts [prompts, layers, experts] in the order of the traces; shuffled where there is a seed.");
}

}  // namespace

void bind_controls(py::module_& m) {
  bind_token_table(m);
  m.def("token_shuffle", &token_shuffle, py::arg("table"), py::arg("shuffles"), py::arg("seed"),
        py::arg("progress") = py::none(), "(test of D or None, tests of layers, draws, draws of layers).");
  m.def("residual_similarity", &residual_similarity, py::arg("table"), py::arg("shuffles"), py::arg("seed"),
        py::arg("progress") = py::none(),
        "Similarity less its mean under the shuffle [prompts, prompts]; NaN where absent.");
  m.def("overlap_ladder", &overlap_ladder, py::arg("table"),
        "(rungs, chance, effect or None, token ids, units, fewest units of a task, layers).");
  m.def(
      "shuffle_test",
      [](double observed, const std::vector<double>& draws) {
        return as_tuple(routesig::shuffle_test(observed, draws));
      },
      py::arg("observed"), py::arg("draws"), "Test of one statistic against its draws under the shuffle.");
  m.def("decompose", &decompose, py::arg("table"), py::arg("length"), py::arg("shuffles"), py::arg("bootstrap"),
        py::arg("seed"), py::arg("progress") = py::none(), "(parts or None, parts of layers, why there are no bands).");
  m.def(
      "position_matched",
      [](const TraceSet& traces, const std::string& tokens, std::size_t length) {
        const routesig::PositionMatchOptions options{.tokens = token_set("controls", tokens), .length = length};
        return filtered([&] { return routesig::position_matched(traces, options); });
      },
      py::arg("traces"), py::arg("tokens"), py::arg("length"), "(traces, left out, length, tokens dropped).");
  m.def(
      "drop_first", [](const TraceSet& traces) { return filtered([&] { return routesig::drop_first(traces); }); },
      py::arg("traces"), "(traces, left out, 0, tokens dropped).");
  m.def(
      "without_duplicates",
      [](const TraceSet& traces, const std::string& tokens) {
        const routesig::TokenSet set = token_set("controls", tokens);
        return filtered([&] { return routesig::without_duplicates(traces, set); });
      },
      py::arg("traces"), py::arg("tokens"), "(traces, left out, 0, 0).");
  m.def(
      "common_prefixes",
      [](const TraceSet& traces, bool groups) {
        routesig::CommonPrefixes found;
        {
          const LongWork working;
          found = routesig::common_prefixes(traces.traces(), groups);
        }
        return py::make_tuple(found.by_token_ids, std::move(found.own), std::move(found.foreign));
      },
      py::arg("traces"), py::arg("groups"),
      "(by token ids?, first tokens that another prompt of the task has too, those that one of another task has).");
  m.def(
      "drop_common_prefix",
      [](const TraceSet& traces, bool groups) {
        return filtered([&] { return routesig::drop_common_prefix(traces, groups); });
      },
      py::arg("traces"), py::arg("groups"), "(traces, left out, 0, tokens dropped).");
  m.def("compare_with_controls", &compare_with_controls, py::arg("real"), py::arg("controls"), py::arg("tokens"),
        py::arg("drop_invalid"), py::arg("groups"),
        "(difference or None, d or None, differences of layers, unlabelled, empty).");
}
