#include "routesig/comparison/matrix_correlation.hpp"

namespace routesig {

std::vector<double> average_ranks(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::size_t looks = 0;
  std::ranges::sort(order, {}, [&](std::size_t i) {
    if (++looks % 65'536 == 0) interruption_point();
    return std::pair(values[i], i);
  });
  std::vector<double> ranks(values.size());
  for (std::size_t first = 0, last = 0; first < order.size(); first = last) {
    while (last < order.size() && values[order[last]] == values[order[first]]) ++last;
    for (std::size_t k = first; k < last; ++k) ranks[order[k]] = 0.5 * static_cast<double>(first + 1 + last);
  }
  return ranks;
}

}  // namespace routesig
