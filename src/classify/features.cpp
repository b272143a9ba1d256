#include "routesig/classify/features.hpp"

#include <algorithm>
#include <limits>

#include "classify/tables.hpp"
#include "routesig/parallel.hpp"

namespace routesig {

std::vector<int> labels_present(std::span<const int> labels) {
  std::vector<int> out(labels.begin(), labels.end());
  std::ranges::sort(out);
  const auto repeated = std::ranges::unique(out);
  out.erase(repeated.begin(), repeated.end());
  std::erase_if(out, [](int label) { return label < 0; });
  return out;
}

namespace detail {

void check_labels(const char* who, const Features& x, std::span<const int> labels) {
  if (labels.size() != x.rows)
    throw invalid_argument(who, ": expected one label for each of ", x.rows, " rows, got ", labels.size());
}

void check_finite(const char* who, const Features& x) {
  for (std::size_t i = 0; i < x.rows; ++i)
    if (!as_array(x.row(i)).isFinite().all())
      throw invalid_argument(who, ": expected finite values, got NaN or infinity in row ", i);
}

}  // namespace detail

Standardization standardization(const Features& x, std::span<const int> labels) {
  detail::check_labels("standardization", x, labels);
  Standardization out{.mean = std::vector<double>(x.columns, 0.0), .scale = std::vector<double>(x.columns, 1.0)};
  const auto rows = static_cast<double>(std::ranges::count_if(labels, [](int label) { return label >= 0; }));
  if (rows == 0.0) return out;
  auto mean = detail::as_array(std::span(out.mean));
  for (std::size_t i = 0; i < x.rows; ++i)
    if (labels[i] >= 0) mean += detail::as_array(x.row(i));
  mean /= rows;
  Eigen::ArrayXd squares = Eigen::ArrayXd::Zero(mean.size());
  for (std::size_t i = 0; i < x.rows; ++i)
    if (labels[i] >= 0) squares += (detail::as_array(x.row(i)) - mean).square();
  const Eigen::ArrayXd sd = (squares / rows).sqrt();
  const Eigen::ArrayXd rounding = rows * std::numeric_limits<double>::epsilon() * mean.abs();
  detail::as_array(std::span(out.scale)) = (sd > rounding).select(sd, 1.0);
  return out;
}

std::vector<double> standardized(const Features& x, const Standardization& by) {
  std::vector<double> out(x.values.size());
  parallel_for(x.rows, 64, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      detail::as_array(std::span(out).subspan(i * x.columns, x.columns)) =
          (detail::as_array(x.row(i)) - detail::as_array(std::span(by.mean))) / detail::as_array(std::span(by.scale));
  });
  return out;
}

}  // namespace routesig
