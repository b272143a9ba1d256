#include "routesig/trace.hpp"

#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "arrays.hpp"
#include "bindings.hpp"
#include "long_work.hpp"
#include "routesig/io/jsonl.hpp"
#include "text.hpp"
#include "trace.hpp"
#include "trace_arrays.hpp"

namespace {

using routesig::RoutingInfo;
using routesig::RoutingTrace;

void bind_info(py::module_& m) {
  py::class_<RoutingInfo, std::shared_ptr<RoutingInfo>>(m, "RoutingInfo",
                                                        R"(The routing shape of a model and where it comes from.

Examples
--------
>>> import routesig as rs
>>> shape = rs.RoutingInfo(layers=16, experts=64, top_k=8, model_name="mine")
>>> shape.experts, shape.ranked
(64, True)
)")
      .def(
          py::init([](int layers, int experts, int top_k, std::vector<int> model_layers, bool ranked, bool renormalized,
                      const py::str& name, const py::str& sha256, const py::str& dtype, const py::str& tokenizer) {
            RoutingInfo info{layers,
                             experts,
                             top_k,
                             std::move(model_layers),
                             ranked,
                             renormalized,
                             text_of(name, "routing", "model_name"),
                             text_of(sha256, "routing", "model_sha256"),
                             text_of(dtype, "routing", "model_dtype"),
                             text_of(tokenizer, "routing", "tokenizer_sha256")};
            info.check();
            return info;
          }),
          py::kw_only(), py::arg("layers"), py::arg("experts"), py::arg("top_k"),
          py::arg("model_layers") = std::vector<int>(), py::arg("ranked") = true, py::arg("renormalized") = false,
          py::arg("model_name") = "", py::arg("model_sha256") = "", py::arg("model_dtype") = "",
          py::arg("tokenizer_sha256") = "")
      .def_readonly("layers", &RoutingInfo::layers, "Mixture-of-experts layers.")
      .def_readonly("experts", &RoutingInfo::experts, "Experts per layer.")
      .def_readonly("top_k", &RoutingInfo::top_k, "Experts per token.")
      .def_readonly("model_layers", &RoutingInfo::model_layers,
                    "Index of each layer in the whole model; empty means 0, 1, 2, ...")
      .def_readonly("ranked", &RoutingInfo::ranked, "The experts of a row are ordered best first.")
      .def_readonly("renormalized", &RoutingInfo::renormalized, "The weights of a row are divided by their sum.")
      .def_readonly("model_name", &RoutingInfo::model_name)
      .def_readonly("model_sha256", &RoutingInfo::model_sha256)
      .def_readonly("model_dtype", &RoutingInfo::model_dtype)
      .def_readonly("tokenizer_sha256", &RoutingInfo::tokenizer_sha256)
      .def(
          "__eq__", [](const RoutingInfo& a, const RoutingInfo& b) { return a == b; }, py::is_operator())
      .def("__repr__",
           [](const RoutingInfo& i) {
             return routesig::sentence("RoutingInfo(layers=", i.layers, ", experts=", i.experts, ", top_k=", i.top_k,
                                       i.model_name.empty() ? "" : ", model_name=" + routesig::shown(i.model_name),
                                       ")");
           })
      .def(py::pickle(&info_state, &info_from));
}

// A property whose array is a view of the trace, kept alive by it.
template <typename Function>
py::cpp_function of_trace(Function function) {
  return py::cpp_function(
      [function](const py::object& self) { return function(self.cast<const RoutingTrace&>(), self); });
}

py::typing::Dict<py::str, py::object> fields_of(const RoutingTrace& trace) {
  const py::object loads = py::module_::import("json").attr("loads");
  py::typing::Dict<py::str, py::object> out;
  for (const auto& [name, json] : trace.sequence().fields) out[py::str(name)] = loads(json);
  return out;
}

std::optional<std::string> or_none(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<std::string>(text);
}

void bind_routing_trace(py::module_& m) {
  py::class_<RoutingTrace>(m, "RoutingTrace",
                           R"(The routing of one prompt. Immutable; arrays are views that keep it alive.

A token is there if it was fed to the model: the last sampled token never is.)")
      .def_static("from_arrays", &trace_from_arrays, py::arg("experts"), py::kw_only(), py::arg("num_experts"),
                  py::arg("weights") = py::none(), py::arg("token_ids") = py::none(), py::arg("positions") = py::none(),
                  py::arg("prompt_tokens") = py::none(), py::arg("id") = "", py::arg("task") = py::none(),
                  py::arg("text") = "", py::arg("group") = py::none(), py::arg("fields") = py::none(),
                  py::arg("axes") = "ltk", py::arg("ranked") = true, py::arg("drop_invalid") = false,
                  R"(A trace from expert ids of any engine.

Parameters
----------
experts : array of integers [layers, tokens, top_k]
    Best first. -1 or 65535 where no routing is known; any other id outside [0, num_experts) is refused.
num_experts : int
    Experts per layer.
weights : array of floats, optional
    Applied weights, same axes as `experts`. A row whose weights are not all finite becomes unknown, counted in
    `nonfinite_rows`.
token_ids, positions : array of integers [tokens], optional
    Token ids; positions (default 0, 1, 2, ...), which ascend.
prompt_tokens : int, optional
    How many of the tokens are the prompt's (default all); the others count as generated.
id, task, text, group : str, optional
    Of the prompt, as far as known. None, NaN and pandas' NA are unknown.
fields : dict, optional
    What else is known of the prompt, by name: `{"source": "GSM8K"}`. Values that JSON can write; unknown ones are
    left out.
axes : str
    The order of the axes of `experts` and `weights`: a permutation of "l" (layers), "t" (tokens), "k" (top_k).
ranked : bool
    False where the order of a row's experts says nothing.
drop_invalid : bool
    Where a position repeats or decreases, as after a draft that was rejected, leave out the earlier tokens from that
    position on, counted in `dropped_tokens`, instead of refusing them.

Raises
------
ValueError
    Where shapes, ids or types do not fit, positions do not ascend, or a text holds a lone surrogate (half of a
    character).

Examples
--------
>>> import numpy as np
>>> import routesig as rs
>>> trace = rs.RoutingTrace.from_arrays(np.array([[[0, 3], [1, 2]]]), num_experts=4, id="hand")
>>> trace.experts.shape
(1, 2, 2)
)")
      .def_property_readonly("experts", of_trace(experts_view),
                             "uint16 [layers, tokens, top_k], best first; 65535 where unknown. A view.")
      .def_property_readonly("weights", of_trace(weights_view),
                             "float32 [layers, tokens, top_k] as the model applied them, or None. A view.")
      .def_property_readonly("router_logits", of_trace(router_logits_view),
                             "float32 [layers, tokens, experts], or None. A view.")
      .def_property_readonly("token_ids", of_trace(token_ids_view), "int32 [tokens], or None. A view.")
      .def_property_readonly("positions", of_trace(positions_view), "int32 [tokens], 0-based. A view.")
      .def_property_readonly("token_types", of_trace(token_types_view),
                             "uint8 [tokens]: 0 prompt, 1 generation. A view.")
      .def_property_readonly("valid", &valid_rows, "bool [layers, tokens]; False where routing is unknown.")
      .def_property_readonly(
          "token_texts",
          [](const RoutingTrace& t) {
            const auto& texts = t.columns().token_texts;
            return texts.empty() ? std::nullopt : std::optional(texts);
          },
          "The text of every token, or None.")
      .def_property_readonly(
          "prompt_tokens", [](const RoutingTrace& t) { return t.sequence().prompt_tokens; }, "Tokens of the prompt.")
      .def_property_readonly("id", [](const RoutingTrace& t) { return t.sequence().id; })
      .def_property_readonly(
          "task", [](const RoutingTrace& t) { return or_none(t.sequence().task); },
          "The task, or None where unlabelled.")
      .def_property_readonly("text", [](const RoutingTrace& t) { return t.sequence().text; })
      .def_property_readonly(
          "group", [](const RoutingTrace& t) { return or_none(t.sequence().group); },
          "Template or near-duplicate family, or None.")
      .def_property_readonly("fields", &fields_of, "Further fields of the prompt.")
      .def_property_readonly(
          "nonfinite_rows", [](const RoutingTrace& t) { return t.columns().nonfinite_rows; },
          "Rows whose router logits were not finite, summed over layers.")
      .def_property_readonly("unknown_rows", &RoutingTrace::unknown_rows,
                             "Rows of which no routing is known, summed over layers.")
      .def_property_readonly(
          "dropped_tokens", [](const RoutingTrace& t) { return t.columns().dropped_tokens; },
          "Tokens that `drop_invalid` left out because their positions repeated or decreased. No file keeps it.")
      .def_property_readonly(
          "info", [](const RoutingTrace& t) { return t.info(); }, "RoutingInfo: shape and model.")
      .def("__len__", &RoutingTrace::tokens)
      .def("_repr_html_", in_python<RoutingTrace>("routesig._html", "trace_html"), "What notebooks show.")
      .def("__copy__", [](const RoutingTrace& t) { return t; })
      .def("__deepcopy__", [](const RoutingTrace& t, const py::dict&) { return t; })
      .def("__eq__", &same_trace, py::is_operator())
      .def("__repr__",
           [](const RoutingTrace& t) {
             const auto& s = t.sequence();
             return routesig::sentence("RoutingTrace(id=", routesig::shown(s.id),
                                       s.task.empty() ? "" : ", task=" + routesig::shown(s.task),
                                       ", layers=", t.layers(), ", tokens=", t.tokens(), ", top_k=", t.top_k(),
                                       ", experts=", t.info().experts, where_any(", unknown_rows=", t.unknown_rows()),
                                       where_any(", nonfinite_rows=", t.columns().nonfinite_rows),
                                       where_any(", dropped_tokens=", t.columns().dropped_tokens), ")");
           })
      .def(py::pickle([](const RoutingTrace& t) { return py::make_tuple(info_state(t.info()), trace_state(t)); },
                      [](const py::tuple& s) {
                        return trace_from_state(std::make_shared<const RoutingInfo>(info_from(s[0].cast<py::tuple>())),
                                                s[1].cast<py::tuple>());
                      }));
}

}  // namespace

py::tuple info_state(const RoutingInfo& i) {
  return py::make_tuple(i.layers, i.experts, i.top_k, i.model_layers, i.ranked, i.renormalized, i.model_name,
                        i.model_sha256, i.model_dtype, i.tokenizer_sha256);
}

RoutingInfo info_from(const py::tuple& s) {
  return {.layers = s[0].cast<int>(),
          .experts = s[1].cast<int>(),
          .top_k = s[2].cast<int>(),
          .model_layers = s[3].cast<std::vector<int>>(),
          .ranked = s[4].cast<bool>(),
          .renormalized = s[5].cast<bool>(),
          .model_name = s[6].cast<std::string>(),
          .model_sha256 = s[7].cast<std::string>(),
          .model_dtype = s[8].cast<std::string>(),
          .tokenizer_sha256 = s[9].cast<std::string>()};
}

void bind_trace(py::module_& m) {
  bind_info(m);
  bind_routing_trace(m);
}
