#include "routesig/signature.hpp"

#include <pybind11/typing.h>

#include "arrays.hpp"
#include "bindings.hpp"
#include "choice.hpp"
#include "long_work.hpp"

namespace {

using Result = py::typing::Tuple<py::array_t<double>, py::typing::Optional<py::array_t<std::uint64_t>>,
                                 py::array_t<std::uint64_t>, std::uint64_t, std::uint64_t>;

Result signatures(const routesig::TraceSet& traces, const std::string& tokens, const std::string& weighting,
                  bool drop_invalid) {
  const routesig::SignatureOptions options{.tokens = token_set("signatures", tokens),
                                           .weighting = weighting_of("signatures", weighting),
                                           .drop_invalid = drop_invalid};
  routesig::SignatureSet<double> set;
  {
    const LongWork working;
    set = routesig::signatures(traces, options);
  }
  const std::vector<py::ssize_t> shape{static_cast<py::ssize_t>(set.size()), set.layers, set.experts};
  const auto prompts = static_cast<py::ssize_t>(set.size());
  const py::object counts =
      options.weighting == routesig::Weighting::gate ? py::object(py::none()) : owned(std::move(set.counts), shape);
  return py::make_tuple(owned(std::move(set.values), shape), counts, owned(std::move(set.num_tokens), {prompts}),
                        set.unknown_rows, set.dropped_rows);
}

}  // namespace

void bind_signature(py::module_& m) {
  m.def("signatures", &signatures, py::arg("traces"), py::arg("tokens") = "all", py::arg("weighting") = "count",
        py::arg("drop_invalid") = false,
        "(values, counts or None, num_tokens, unknown_rows, dropped_rows) of a TraceSet.");
  m.def(
      "normalized_counts",
      [](const py::array_t<std::uint64_t, py::array::c_style>& counts) {
        if (counts.ndim() != 3)
          throw routesig::invalid_argument("signatures: expected counts [prompts, layers, experts], got ",
                                           counts.ndim(), " axes");
        const auto experts = static_cast<int>(counts.shape(2));
        std::vector<double> values;
        {
          const LongWork working;
          values = routesig::normalized_layers<double>(items(counts), experts);
        }
        return owned(std::move(values), {counts.shape(0), counts.shape(1), counts.shape(2)});
      },
      py::arg("counts"), "Counts [prompts, layers, experts] divided by their layer totals; an empty layer stays zero.");
}
