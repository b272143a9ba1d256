#include "statistics/pair_sums.hpp"

namespace routesig {

std::vector<double> same_label_sums(const LowerPairs& pairs, const Labellings& labellings, const Progress& progress) {
  if (pairs.size() != labellings.units())
    throw invalid_argument("permutation: expected ", pairs.size(), " labels, got ", labellings.units());
  std::vector<double> sums(labellings.size());
  const auto work = [&](std::size_t begin, std::size_t end) {
    const auto out = std::span(sums).subspan(begin, end - begin);
    const std::size_t tasks = labellings.tasks();
    if (tasks <= 2) return detail::same_label_sums<1>(pairs, labellings, begin, out);
    if (tasks <= 4) return detail::same_label_sums<2>(pairs, labellings, begin, out);
    if (tasks <= 8) return detail::same_label_sums<3>(pairs, labellings, begin, out);
    if (tasks <= 16) return detail::same_label_sums<4>(pairs, labellings, begin, out);
    return detail::same_label_sums<32>(pairs, labellings, begin, out);
  };
  parallel_for(sums.size(), 4 * Labellings::kLanes, work, progress);
  return sums;
}

}  // namespace routesig
