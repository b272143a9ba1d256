// What the rows of a trace are, counted and placed.
#include "arrays.hpp"
#include "bindings.hpp"
#include "routesig/identity_rows.hpp"
#include "trace_arrays.hpp"

namespace {

using routesig::RoutingTrace;

py::array_t<std::uint8_t> row_states(const RoutingTrace& t) {
  py::array_t<std::uint8_t> out({static_cast<py::ssize_t>(t.layers()), static_cast<py::ssize_t>(t.tokens())});
  for (int l = 0; l < t.layers(); ++l)
    for (int i = 0; i < t.tokens(); ++i) out.mutable_at(l, i) = static_cast<std::uint8_t>(t.state(l, i));
  return out;
}

using Identity = py::typing::Tuple<py::array_t<std::uint64_t>, py::array_t<std::uint64_t>, py::array_t<std::uint64_t>>;

Identity identity_rows(const RoutingTrace& trace) {
  auto found = routesig::identity_rows(trace);
  const auto layers = static_cast<py::ssize_t>(found.rows.size());
  std::vector<std::uint64_t> tokens(found.tokens.begin(), found.tokens.end());
  const auto count = static_cast<py::ssize_t>(tokens.size());
  return py::make_tuple(owned(std::move(found.rows), {layers}), owned(std::move(found.runs), {layers}),
                        owned(std::move(tokens), {count}));
}

py::array_t<std::uint64_t> kept_tokens(const py::array_t<std::int32_t, py::array::c_style>& positions) {
  const auto kept = routesig::kept_tokens(items(positions));
  return owned(std::vector<std::uint64_t>(kept.begin(), kept.end()), {static_cast<py::ssize_t>(kept.size())});
}

}  // namespace

void bind_trace_rows(py::module_& m) {
  m.def("row_states", &row_states, py::arg("trace"),
        "uint8 [layers, tokens]: 0 known, 1 unknown, 2 impossible (a repeated id, one out of range, known in part).");
  m.def("identity_rows", &identity_rows, py::arg("trace"),
        R"(Rows that are exactly the ids 0, 1, ..., top_k - 1: what engines write for padding and for NaN.

Returns
-------
rows, runs : uint64 [layers]
    How many there are in each layer, and how many runs of them over neighbouring tokens.
tokens : uint64
    Tokens whose known rows, one at least, are all so.
)");
  m.def("kept_tokens", &kept_tokens, py::arg("positions"),
        "The tokens that `drop_invalid` keeps of those at these positions, as indices.");
}
