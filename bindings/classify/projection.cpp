#include "routesig/classify/projection.hpp"

#include "bindings.hpp"
#include "classify/features.hpp"
#include "long_work.hpp"

void bind_projection(py::module_& m) {
  m.def(
      "pca",
      [](const Values& x, std::size_t components) {
        routesig::Pca out;
        {
          const LongWork working;
          out = routesig::pca(features_of("pca", x), components);
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
