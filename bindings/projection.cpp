#include "routesig/projection.hpp"

#include "arrays.hpp"
#include "bindings.hpp"

namespace {

using Values = py::array_t<double, py::array::c_style>;

routesig::Features as_features(const Values& values) {
  if (values.ndim() != 2)
    throw routesig::invalid_argument("pca: expected features [rows, columns], got ", values.ndim(), " axes");
  return {items(values), static_cast<std::size_t>(values.shape(0)), static_cast<std::size_t>(values.shape(1))};
}

}  // namespace

void bind_projection(py::module_& m) {
  m.def(
      "pca",
      [](const Values& x, std::size_t components) {
        routesig::Pca out;
        {
          const py::gil_scoped_release nogil;
          out = routesig::pca(as_features(x), components);
        }
        const auto k = static_cast<py::ssize_t>(out.components), rows = x.shape(0), columns = x.shape(1);
        return py::make_tuple(owned(std::move(out.points), {rows, k}), owned(std::move(out.loadings), {k, columns}),
                              owned(std::move(out.variance), {k}), out.total_variance,
                              owned(std::move(out.mean), {columns}));
      },
      py::arg("x"), py::arg("components") = 2,
      "(points [rows, k], loadings [k, columns], variance [k], total variance, mean [columns]); k: components, or the "
      "rank where that is smaller.");
}
