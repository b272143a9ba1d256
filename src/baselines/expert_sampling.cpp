#include "routesig/baselines/expert_sampling.hpp"

namespace routesig {
namespace detail {

std::vector<std::uint32_t> inclusion(std::span<const std::uint64_t> totals, std::size_t top_k) {
  __extension__ using Wide = unsigned __int128;
  const auto sum = std::accumulate(totals.begin(), totals.end(), std::uint64_t{0});
  std::vector<std::uint32_t> out;
  std::uint64_t so_far = 0, end = 0;
  for (std::size_t e = 0; e < totals.size(); ++e) {
    if (Wide{totals[e]} * top_k > sum)
      throw invalid_argument("sampling: expected counts of top-", top_k, " routing, got expert ", e, " in ", totals[e],
                             " of ", sum, " selections, more than 1 in ", top_k);
    so_far += totals[e];
    const std::uint64_t begin = end;
    if (sum > 0) end = static_cast<std::uint64_t>(Wide{so_far} * top_k * kOne / sum);
    out.push_back(static_cast<std::uint32_t>(end - begin));
  }
  return out;
}

}  // namespace detail
}  // namespace routesig
