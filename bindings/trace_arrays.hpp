// The arrays of a RoutingTrace: views over it, traces made from arrays, and its state for pickle.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/typing.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "routesig/trace.hpp"
#include "text.hpp"

namespace py = pybind11;

template <typename T>
using OptionalArray = py::typing::Optional<py::array_t<T>>;

py::array_t<std::uint16_t> experts_view(const routesig::RoutingTrace& trace, const py::object& owner);
OptionalArray<float> weights_view(const routesig::RoutingTrace& trace, const py::object& owner);
OptionalArray<float> router_logits_view(const routesig::RoutingTrace& trace, const py::object& owner);
OptionalArray<std::int32_t> token_ids_view(const routesig::RoutingTrace& trace, const py::object& owner);
py::array_t<std::int32_t> positions_view(const routesig::RoutingTrace& trace, const py::object& owner);
py::array_t<std::uint8_t> token_types_view(const routesig::RoutingTrace& trace, const py::object& owner);
py::array_t<bool> valid_rows(const routesig::RoutingTrace& trace);

routesig::RoutingTrace trace_from_arrays(const py::object& experts, const py::object& num_experts,
                                         const py::object& weights, const py::object& token_ids,
                                         const py::object& positions, const py::object& prompt_tokens,
                                         const OptionalText& id, const OptionalText& task, const OptionalText& text,
                                         const OptionalText& group,
                                         const std::optional<py::typing::Dict<py::str, py::object>>& fields,
                                         const std::string& axes, bool ranked, bool drop_invalid);

py::tuple trace_state(const routesig::RoutingTrace& trace);
routesig::RoutingTrace trace_from_state(std::shared_ptr<const routesig::RoutingInfo> info, const py::tuple& state);
bool same_trace(const routesig::RoutingTrace& a, const routesig::RoutingTrace& b);
