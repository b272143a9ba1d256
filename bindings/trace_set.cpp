#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <algorithm>

#include "arrays.hpp"
#include "bindings.hpp"
#include "long_work.hpp"
#include "routesig/io/jsonl.hpp"
#include "routesig/trace.hpp"
#include "text.hpp"
#include "trace.hpp"
#include "trace_arrays.hpp"

namespace {

using routesig::RoutingInfo;
using routesig::RoutingTrace;
using routesig::TraceSet;

std::size_t checked_index(py::ssize_t i, std::size_t size) {
  const py::ssize_t at = i < 0 ? i + static_cast<py::ssize_t>(size) : i;
  if (at < 0 || std::cmp_greater_equal(at, size))
    throw py::index_error(routesig::sentence("traces: index ", i, " is out of range for ", size, " traces"));
  return static_cast<std::size_t>(at);
}

TraceSet slice_of(const TraceSet& set, const py::slice& slice) {
  std::size_t start = 0, stop = 0, step = 0, length = 0;
  if (!slice.compute(set.size(), &start, &stop, &step, &length)) throw py::error_already_set();
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < length; ++i, start += step) chosen.push_back(start);
  return set.take(chosen);
}

TraceSet set_of(const py::object& traces) {
  const auto refuse = [&] {
    const py::object error =
        py::module_::import("routesig._kinds").attr("refused")("TraceSet", "a list of RoutingTrace", traces);
    PyErr_SetObject(py::type::of(error).ptr(), error.ptr());
    throw py::error_already_set();
  };
  if (!py::isinstance<py::iterable>(traces)) refuse();
  TraceSet set;
  for (const py::handle item : traces) {
    if (!py::isinstance<RoutingTrace>(item)) refuse();
    set.push_back(item.cast<const RoutingTrace&>());
  }
  return set;
}

RoutingTrace trace_called(const TraceSet& set, const std::string& id) {
  const auto found = std::ranges::find(set, id, [](const RoutingTrace& trace) { return trace.sequence().id; });
  if (found == set.end())
    throw py::key_error(routesig::sentence("traces: expected an id that occurs, got ", routesig::shown(id)));
  return *found;
}

TraceSet taken(const TraceSet& set, const std::vector<py::ssize_t>& indices) {
  std::vector<std::size_t> chosen;
  chosen.reserve(indices.size());
  for (const py::ssize_t i : indices) chosen.push_back(checked_index(i, set.size()));
  return set.take(chosen);
}

// The numbers that a list of integers or a boolean mask asks for, as `routesig._selection` judges them.
std::vector<py::ssize_t> indices_of(const py::object& asked, std::size_t size) {
  return py::module_::import("routesig._selection")
      .attr("indices")(asked, size, "traces")
      .cast<std::vector<py::ssize_t>>();
}

TraceSet selected(const TraceSet& set, const py::object& tasks, const py::object& ids) {
  const py::object self = py::cast(set, py::return_value_policy::reference);
  const py::object mask = py::module_::import("routesig._selection")
                              .attr("matching")("traces", self.attr("tasks"), self.attr("ids"), tasks, ids);
  return taken(set, indices_of(mask, set.size()));
}

TraceSet relabelled(const TraceSet& set, const py::object& tasks) {
  const py::object self = py::cast(set, py::return_value_policy::reference);
  const py::list given =
      py::module_::import("routesig._selection").attr("other_tasks")(self.attr("ids"), self.attr("tasks"), tasks);
  std::vector<std::string> texts;
  for (const py::handle task : given) texts.push_back(task.is_none() ? std::string() : task.cast<std::string>());
  return set.with_tasks(texts);
}

void save(const TraceSet& traces, const std::filesystem::path& path) {
  if (path.extension() == ".parquet") {
    py::module_::import("routesig._trace_parquet")
        .attr("save_traces")(py::cast(traces, py::return_value_policy::reference), path);
    return;
  }
  if (path.extension() != ".jsonl")
    throw routesig::invalid_argument("traces: expected a file name that ends in .jsonl or .parquet, got ",
                                     routesig::shown(path.filename().string()));
  const auto warn = [](const std::string& note) {
    const py::gil_scoped_acquire gil;
    if (PyErr_WarnEx(PyExc_UserWarning, note.c_str(), 1) != 0) throw py::error_already_set();
  };
  const LongWork working;
  routesig::save_jsonl(traces, path, warn);
}

py::tuple set_state(const TraceSet& set) {
  py::list infos, traces;
  const RoutingInfo* last = nullptr;  // traces of one run share their RoutingInfo: keep it once
  for (const RoutingTrace& trace : set) {
    if (last != &trace.info()) infos.append(info_state(trace.info()));
    last = &trace.info();
    traces.append(py::make_tuple(infos.size() - 1, trace_state(trace)));
  }
  py::list rotated;
  for (const TraceSet& one : set.rotated()) rotated.append(set_state(one));
  if (set.empty() && set.info() != nullptr) infos.append(info_state(*set.info()));
  const routesig::RunInfo& run = set.run();
  return py::make_tuple(infos, traces, py::make_tuple(run.settings, run.prompts, run.prompts_sha256, run.command),
                        set.complete(), rotated);
}

TraceSet set_from(const py::tuple& state) {
  std::vector<std::shared_ptr<const RoutingInfo>> infos;
  for (const py::handle info : state[0])
    infos.push_back(std::make_shared<const RoutingInfo>(info_from(info.cast<py::tuple>())));
  std::vector<RoutingTrace> traces;
  for (const py::handle item : state[1]) {
    const auto pair = item.cast<py::tuple>();
    traces.push_back(trace_from_state(infos.at(pair[0].cast<std::size_t>()), pair[1].cast<py::tuple>()));
  }
  const auto run = state[2].cast<py::tuple>();
  TraceSet set(std::move(traces),
               {run[0].cast<std::string>(), run[1].cast<std::optional<std::uint64_t>>(), run[2].cast<std::string>(),
                run[3].cast<std::string>()},
               state[3].cast<bool>(), infos.empty() ? nullptr : infos.front());
  std::vector<TraceSet> rotated;
  for (const py::handle one : state[4]) rotated.push_back(set_from(one.cast<py::tuple>()));
  set.set_rotated(std::move(rotated));
  return set;
}

}  // namespace

void bind_trace_set(py::module_& m) {
  py::class_<TraceSet>(m, "TraceSet", R"(Traces of one routing shape; indexed, sliced, added and iterated like a list.

An index may also be an id, a list of integers or a boolean mask.

Examples
--------
>>> import routesig as rs
>>> traces = rs.record(rs.load_model(), rs.load_prompts()[:4], max_new_tokens=0, progress=False)
>>> traces["code-02"].task, len(traces[1:3]), traces[[True, False, True, False]].ids
('code', 2, ['code-01', 'code-03'])
)")
      .def(py::init(&set_of), py::arg("traces") = py::tuple())
      .def("__len__", &TraceSet::size)
      .def(
          "__getitem__", [](const TraceSet& set, py::ssize_t i) { return set[checked_index(i, set.size())]; },
          py::arg("index"))
      .def("__getitem__", &slice_of, py::arg("index"))
      .def("__getitem__", &trace_called, py::arg("index"))
      .def(
          "__getitem__",
          [](const TraceSet& set, const py::object& index) { return taken(set, indices_of(index, set.size())); },
          py::arg("index"))
      .def("take", &taken, py::arg("indices"), "The traces at these indices, in this order.")
      .def("select", &selected, py::kw_only(), py::arg("tasks") = py::none(), py::arg("ids") = py::none(),
           R"(The traces of the given tasks and ids, in their present order.

Parameters
----------
tasks, ids : str or iterable of str, optional
    None among the tasks stands for unlabelled traces.

Raises
------
ValueError
    Where a task or an id does not occur.

Examples
--------
>>> import routesig as rs
>>> traces = rs.record(rs.load_model(), rs.load_prompts()[::16], max_new_tokens=0, progress=False)
>>> traces.select(tasks="code").ids
['code-01', 'code-17']
)")
      .def("with_tasks", &relabelled, py::arg("tasks"), R"(The same traces under other tasks; arrays are shared.

Parameters
----------
tasks : dict or sequence
    Of each id its task: traces that are not named keep theirs. Or one task per trace. None: unlabelled.

Raises
------
ValueError
    Where an id does not occur, or the number of tasks does not fit.

Examples
--------
>>> import routesig as rs
>>> traces = rs.record(rs.load_model(), rs.load_prompts()[:2], max_new_tokens=0, progress=False)
>>> traces.with_tasks({"code-02": "python"}).tasks
['code', 'python']
)")
      .def("top_experts", in_python<TraceSet, int, std::string>("routesig._top_experts", "of_traces"),
           py::arg("count") = 5, py::kw_only(), py::arg("tokens") = "all",
           "See `SignatureSet.top_experts`: the same of `rs.signatures(traces, tokens=tokens)`.")
      .def(
          "__add__", [](const TraceSet& a, const TraceSet& b) { return a + b; }, py::arg("other"), py::is_operator(),
          "The traces of both sets, in order. Settings are kept where both were recorded with the same.")
      .def(
          "__iter__", [](const TraceSet& set) { return py::make_iterator(set.begin(), set.end()); },
          py::keep_alive<0, 1>())
      .def(
          "__eq__",
          [](const TraceSet& a, const TraceSet& b) {
            return a.run() == b.run() && std::ranges::equal(a.traces(), b.traces(), same_trace);
          },
          py::is_operator())
      .def_property_readonly(
          "info", [](const TraceSet& s) { return s.info() ? std::optional(*s.info()) : std::nullopt; },
          "RoutingInfo: shape and model; None where neither a trace nor a file says.")
      .def_property_readonly(
          "ids",
          [](const TraceSet& s) {
            std::vector<std::string> out;
            for (const RoutingTrace& t : s) out.push_back(t.sequence().id);
            return out;
          },
          "The id of every trace.")
      .def_property_readonly(
          "tasks",
          [](const TraceSet& s) {
            std::vector<std::optional<std::string>> out;
            for (const RoutingTrace& t : s) out.push_back(or_none(t.sequence().task));
            return out;
          },
          "The task of every trace, None where unlabelled.")
      .def_property(
          "rotated", [](const TraceSet& s) { return s.rotated(); }, &TraceSet::set_rotated,
          "One TraceSet for each rotated router that was recorded beside the model's own, else an empty list. Each has "
          "a file of its own, if any.")
      .def_property_readonly("dropped_tokens", &TraceSet::dropped_tokens,
                             "Tokens that `drop_invalid` left out, over all traces.")
      .def_property_readonly("complete", &TraceSet::complete,
                             "False where the file ended before its last line and was read with recover=True.")
      .def_property_readonly(
          "settings",
          [](const TraceSet& s) -> std::optional<py::dict> {
            if (s.run().settings.empty()) return std::nullopt;
            return py::dict(py::module_::import("json").attr("loads")(s.run().settings));
          },
          "Settings of the run as a dict, or None.")
      .def_property_readonly(
          "command", [](const TraceSet& s) { return or_none(s.run().command); },
          "The shell command that recorded them, as a file says; None where none did. `==` does not look at it.")
      .def("save", &save, py::arg("path"),
           R"(Write a trace file; it appears whole or not at all.

Parameters
----------
path : path
    Its end decides on the format: `.jsonl`, or `.parquet` (needs pyarrow). docs/formats.md describes both. Router
    logits and traces of rotated routers are part of neither; the latter can be saved to a file each.

Raises
------
ValueError
    On another end, on an empty set, on prompt ids that repeat, on traces of several models.
)")
      .def("to_pandas", in_python<TraceSet>("routesig._frames", "traces_to_pandas"),
           R"(One row per token, as a pandas DataFrame.

Returns
-------
pandas.DataFrame
    `prompt`, `task`, `group` (categorical), `position`, `type` ("prompt" or "generation"), `token` and `token_text`
    (missing where not recorded), `experts` (each a uint16 array [layers, top_k], a view; 65535 where not known), and,
    where they were recorded, `weights` (float32 [layers, top_k]).
)")
      .def("_repr_html_", in_python<TraceSet>("routesig._html", "traces_html"), "What notebooks show.")
      .def("__repr__",
           [](const TraceSet& s) {
             if (s.empty()) return std::string("TraceSet(0 traces)");
             std::uint64_t tokens = 0, unknown = 0, nonfinite = 0;
             for (const RoutingTrace& t : s) {
               tokens += static_cast<std::uint64_t>(t.tokens());
               unknown += t.unknown_rows();
               nonfinite += t.columns().nonfinite_rows;
             }
             return routesig::sentence(
                 "TraceSet(", s.size(), " traces, ", tokens, " tokens, ", s[0].layers(), " layers x ",
                 s[0].info().experts, " experts x top-", s[0].top_k(), where_any(", ", unknown, " unknown rows"),
                 where_any(", ", nonfinite, " not finite"), where_any(", ", s.dropped_tokens(), " tokens dropped"),
                 s.complete() ? ")" : ", incomplete)");
           })
      .def(py::pickle(&set_state, &set_from));
}
