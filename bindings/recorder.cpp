#include "routesig/recorder.hpp"

#include <pybind11/stl.h>

#include "bindings.hpp"
#include "claimed.hpp"
#include "routesig/trace.hpp"
#include "text.hpp"

namespace {

std::vector<std::string> texts_of(const std::vector<py::str>& vocabulary) {
  std::vector<std::string> texts;
  texts.reserve(vocabulary.size());
  for (const py::str& text : vocabulary)
    texts.push_back(text_of(text, "recorder", "vocabulary[" + std::to_string(texts.size()) + "]"));
  return texts;
}

}  // namespace

void bind_recorder(py::module_& m) {
  using routesig::RoutingRecorder;
  using routesig::TraceRecorder;
  py::class_<RoutingRecorder, std::shared_ptr<RoutingRecorder>>(
      m, "RoutingRecorder", "What a model tells its routing to; see TraceRecorder and JsonlRecorder.")
      .def("begin", claimed(&RoutingRecorder::begin), py::arg("info"),
           "Opens a run; models do this themselves unless told that it has begun.")
      .def("end", claimed(&RoutingRecorder::end), "Ends a run.");
  py::class_<TraceRecorder, RoutingRecorder, std::shared_ptr<TraceRecorder>>(m, "TraceRecorder",
                                                                             R"(Keeps whole traces in memory.

Parameters
----------
weights : bool
    Record the weights that the model applied.
router_logits : bool
    Record the router's logits of every expert.
vocabulary : list of str, optional
    The text of every token id, for `RoutingTrace.token_texts`.

Examples
--------
>>> import routesig as rs
>>> recorder = rs.TraceRecorder()
>>> len(recorder.traces)
0
)")
      .def(py::init([](bool weights, bool router_logits, const std::optional<std::vector<py::str>>& vocabulary) {
             auto texts =
                 vocabulary ? std::make_shared<const std::vector<std::string>>(texts_of(*vocabulary)) : nullptr;
             return std::make_shared<TraceRecorder>(routesig::RoutingNeeds{weights, router_logits}, std::move(texts));
           }),
           py::kw_only(), py::arg("weights") = true, py::arg("router_logits") = false,
           py::arg("vocabulary") = py::none())
      .def(
          "flush", [](const TraceRecorder&) {}, "Nothing: the traces are in memory.")
      .def_property_readonly(
          "traces", [](const TraceRecorder& r) { return *r.snapshot(); },
          "TraceSet of the finished runs; another thread may record meanwhile.");
}
