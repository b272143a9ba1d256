#include "routesig/information/information.hpp"

#include <pybind11/stl.h>

#include "arrays.hpp"
#include "bindings.hpp"
#include "choice.hpp"
#include "long_work.hpp"
#include "routesig/information/evidence.hpp"

namespace {

using Values = py::array_t<double, py::array::c_style>;
using Number = std::optional<double>;

std::size_t size(const Values& values, int axis) { return static_cast<std::size_t>(values.shape(axis)); }

void check_axes(const Values& values, py::ssize_t axes, const char* what) {
  if (values.ndim() != axes)
    throw routesig::invalid_argument("information: expected ", what, ", got ", values.ndim(), " axes");
}

py::tuple log_loss_bound(const Values& probabilities, const std::vector<int>& label, double floor) {
  check_axes(probabilities, 2, "probabilities [prompts, classes]");
  const auto b = routesig::log_loss_bound(items(probabilities), label, size(probabilities, 1), floor);
  return py::make_tuple(b.bits, b.unclipped_bits, b.entropy_bits, b.loss_bits, b.standard_error);
}

// One tuple a layer: prompts, units, plug_in, null_mean, corrected, standard_error, (p, its floor).
py::list layer_information(const Values& values, const std::vector<int>& task, const std::vector<int>& group,
                           std::size_t permutations, std::uint64_t seed, const std::vector<int>& source,
                           const py::object& progress) {
  check_axes(values, 3, "values [prompts, layers, experts]");
  const routesig::Progress tell = python_progress(progress);
  std::vector<routesig::LayerInformation> layers;
  {
    const LongWork working;
    layers = routesig::layer_information(items(values), size(values, 0), size(values, 1), size(values, 2), task, group,
                                         {.permutations = permutations, .seed = seed, .source = source}, tell);
  }
  py::list out;
  for (const auto& l : layers) {
    std::optional<std::pair<double, double>> p;
    if (l.p) p.emplace(l.p->value, l.p->floor);
    out.append(
        py::make_tuple(l.prompts, l.units, l.plug_in, l.null_mean, l.corrected, l.standard_error, l.statistic, p));
  }
  return out;
}

py::array_t<double> prefix_signatures(const routesig::TraceSet& traces, int tokens, const std::string& which,
                                      bool drop_invalid) {
  const routesig::SignatureOptions options{.tokens = token_set("evidence", which), .drop_invalid = drop_invalid};
  std::vector<double> out;
  {
    const LongWork working;
    out = routesig::prefix_signatures(traces.traces(), tokens, options);
  }
  const auto prompts = static_cast<py::ssize_t>(traces.size());
  return owned(std::move(out),
               {prompts, prompts > 0 ? traces[0].layers() : 0, prompts > 0 ? traces[0].info().experts : 0});
}

}  // namespace

void bind_information(py::module_& m) {
  m.def("log_loss_bound", &log_loss_bound, py::arg("probabilities"), py::arg("label"), py::arg("floor"),
        "(bits, unclipped, H(T), loss, standard error of the loss).");
  m.def(
      "fano_bound",
      [](std::uint64_t errors, std::uint64_t n, int classes, double confidence, Number entropy) {
        const auto b = routesig::fano_bound(errors, n, classes, confidence, entropy);
        return py::make_tuple(b.point_bits, b.valid_bits, b.upper_error);
      },
      py::arg("errors"), py::arg("n"), py::arg("classes"), py::arg("confidence"), py::arg("entropy"),
      "(point, valid, upper error rate).");
  m.def(
      "layer_information", &layer_information, py::arg("values"), py::arg("task"), py::arg("group"),
      py::arg("permutations"), py::arg("seed"), py::arg("source") = std::vector<int>{},
      py::arg("progress") = py::none(),
      "Of each layer: (prompts, units, plug-in, null mean, corrected, standard error, statistic, (p, its floor)); None "
      "where undefined.");
  m.def("prefix_signatures", &prefix_signatures, py::arg("traces"), py::arg("tokens"), py::arg("which"),
        py::arg("drop_invalid"), "Signatures of the first tokens [prompts, layers, experts].");
}
