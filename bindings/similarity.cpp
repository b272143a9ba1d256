#include "routesig/similarity.hpp"

#include <pybind11/operators.h>
#include <pybind11/stl.h>

#include "arrays.hpp"
#include "bindings.hpp"
#include "long_work.hpp"
#include "routesig/statistics/category_matrix.hpp"
#include "routesig/statistics/jensen_shannon.hpp"
#include "routesig/statistics/statistics.hpp"

namespace {

using Values = py::array_t<double, py::array::c_style>;

template <typename Scalar, typename Metric>
py::array similarity_array(const Values& a, const std::optional<Values>& b, bool per_layer) {
  const routesig::SignatureView x = signature_view("similarity", a), y = b ? signature_view("similarity", *b) : x;
  std::vector<py::ssize_t> shape{a.shape(0), b ? b->shape(0) : a.shape(0)};
  if (per_layer) shape.insert(shape.begin(), a.shape(1));
  py::array_t<Scalar> out(shape);
  const std::span<Scalar> values(out.mutable_data(), static_cast<std::size_t>(out.size()));
  {
    const LongWork working;
    routesig::similarity_into(x, b ? &y : nullptr, per_layer, Metric{}, values);
  }
  return out;
}

py::array similarity(const Values& a, const std::optional<Values>& b, bool per_layer, const std::string& metric,
                     bool single) {
  using namespace routesig;
  if (metric == "cosine")
    return single ? similarity_array<float, Cosine>(a, b, per_layer)
                  : similarity_array<double, Cosine>(a, b, per_layer);
  if (metric == "hellinger")
    return single ? similarity_array<float, Hellinger>(a, b, per_layer)
                  : similarity_array<double, Hellinger>(a, b, per_layer);
  if (metric != "jensen-shannon" && metric != "overlap")
    throw invalid_argument("similarity: expected metric to be one of cosine, hellinger, jensen-shannon, overlap, got ",
                           shown(metric));
  if (single)
    throw invalid_argument("similarity: expected dtype float64 for metric ", shown(metric),
                           " (float32 is for cosine and hellinger, which are matrix products)");
  return metric == "overlap" ? similarity_array<double, Overlap>(a, b, per_layer)
                             : similarity_array<double, JensenShannon>(a, b, per_layer);
}

}  // namespace

void bind_similarity(py::module_& m) {
  m.def("similarity", &similarity, py::arg("a"), py::arg("b") = py::none(), py::kw_only(), py::arg("per_layer") = false,
        py::arg("metric") = "cosine", py::arg("single") = false,
        "Mean layer-wise similarity of signatures [prompts, layers, experts] (float64, C order); float32 if `single`.");

  py::class_<routesig::PairMoments>(m, "PairMoments",
                                    "Mean and standard deviation (ddof 1) over pairs of prompts; None where undefined.")
      .def_readonly("pairs", &routesig::PairMoments::pairs, "Number of pairs.")
      .def_readonly("mean", &routesig::PairMoments::mean, "Mean similarity, or None without a pair.")
      .def_readonly("sd", &routesig::PairMoments::sd, "Standard deviation (ddof 1), or None with fewer than two pairs.")
      .def("__repr__",
           [](const routesig::PairMoments& p) {
             const auto number = [](const std::optional<double>& x) {
               return x ? routesig::sentence(*x) : std::string("None");
             };
             return routesig::sentence("PairMoments(mean=", number(p.mean), ", sd=", number(p.sd), ", pairs=", p.pairs,
                                       ")");
           })
      .def(py::self == py::self)
      .def(py::pickle([](const routesig::PairMoments& p) { return py::make_tuple(p.pairs, p.mean, p.sd); },
                      [](const py::tuple& s) {
                        return routesig::PairMoments{s[0].cast<std::size_t>(), s[1].cast<std::optional<double>>(),
                                                     s[2].cast<std::optional<double>>()};
                      }));
  py::class_<routesig::Separation>(m, "Separation", "Within-task against across-task similarity.")
      .def_readonly("within", &routesig::Separation::within, "Pairs of prompts of one task, and of different groups.")
      .def_readonly("across", &routesig::Separation::across, "Pairs of prompts of different tasks.")
      .def_readonly("cohens_d", &routesig::Separation::cohens_d,
                    "(within - across) / pooled sd, or None where undefined.")
      .def_property_readonly("difference", &routesig::Separation::difference,
                             "Mean within less mean across, or None where undefined.")
      .def("__repr__",
           [](const routesig::Separation& s) {
             const auto number = [](const std::optional<double>& x) {
               return x ? routesig::sentence(*x) : std::string("None");
             };
             return routesig::sentence("Separation(within=", number(s.within.mean), ", across=", number(s.across.mean),
                                       ", cohens_d=", number(s.cohens_d), ")");
           })
      .def(py::self == py::self)
      .def(py::pickle([](const routesig::Separation& s) { return py::make_tuple(s.within, s.across, s.cohens_d); },
                      [](const py::tuple& s) {
                        return routesig::Separation{s[0].cast<routesig::PairMoments>(),
                                                    s[1].cast<routesig::PairMoments>(),
                                                    s[2].cast<std::optional<double>>()};
                      }));
  m.def(
      "separation",
      [](const Values& matrix, const std::vector<int>& task, const std::vector<int>& group) {
        const LongWork working;
        return routesig::separation(items(matrix), task, group);
      },
      py::arg("matrix"), py::arg("task"), py::arg("group") = std::vector<int>{},
      "Separation of a similarity matrix [n, n] under integer tasks [n], negative where unlabelled, and groups [n], "
      "negative where alone.");
  m.def(
      "layer_separation",
      [](const Values& values, const std::vector<int>& task, bool balanced, const std::vector<int>& group) {
        const routesig::SignatureView set = signature_view("layer_separation", values);
        std::vector<routesig::Separation> out;
        const LongWork working;
        routesig::LayerSimilarities layers(set);
        out.reserve(set.layers);
        for (std::size_t l = 0; l < set.layers; ++l)
          out.push_back(balanced ? routesig::balanced_separation(layers(l), task, group)
                                 : routesig::separation(layers(l), task, group));
        return out;
      },
      py::arg("values"), py::arg("task"), py::arg("balanced"), py::arg("group") = std::vector<int>{},
      "Separation of the cosines of signatures [n, layers, experts], layer by layer.");
}
