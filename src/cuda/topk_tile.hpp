// Which instance of the kernel a call needs. The launcher and the emulator's tests both choose here, so that a shape
// that is sent to the wrong instance fails a test.
#pragma once

#include <cstdint>

#include "topk_call.hpp"

namespace routesig::cuda {

// A row of up to lanes x values experts belongs to `lanes` neighbouring lanes of a warp, `values` logits each, which
// keep the best `list` together. A lane holds eight neighbouring columns at a time, 16 bytes of 16-bit logits:
//
//     column = (run x lanes + lane) x 8 + place,   value = run x 8 + place
//
// however they are loaded and wherever the row lies, so that sums are always added in the same order.
template <typename KeyT, bool sigmoid, int lanes, int values, int list>
struct TopkTile {
  using Key = KeyT;  // 32 bits suffice for 16-bit logits
  static constexpr bool kSigmoid = sigmoid;
  static constexpr int kLanes = lanes;
  static constexpr int kValues = values;
  static constexpr int kList = list;
  static constexpr int kRun = 8;
  static constexpr int kRanks = kList > kLanes ? kList / kLanes : 1;  // of a lane: lane, lane + kLanes, ...

  static constexpr int column(int lane, int value) { return (value / kRun * kLanes + lane) * kRun + value % kRun; }
};

namespace detail {

template <typename Key, bool sigmoid, int lanes, int values, typename Visit>
void visit_list(const TopkCall& call, const Visit& visit) {
  if (call.top_k <= 8) return visit(TopkTile<Key, sigmoid, lanes, values, 8>{});
  if (call.top_k <= 16) return visit(TopkTile<Key, sigmoid, lanes, values, 16>{});
  return visit(TopkTile<Key, sigmoid, lanes, values, 32>{});
}

template <typename Key, bool sigmoid, typename Visit>
void visit_width(const TopkCall& call, const Visit& visit) {
  if (call.experts <= 64) return visit_list<Key, sigmoid, 8, 8>(call, visit);
  if (call.experts <= 128) return visit_list<Key, sigmoid, 16, 8>(call, visit);
  if (call.experts <= 256) return visit_list<Key, sigmoid, 32, 8>(call, visit);
  if (call.experts <= 512) return visit_list<Key, sigmoid, 32, 16>(call, visit);
  return visit_list<Key, sigmoid, 32, 32>(call, visit);
}

}  // namespace detail

// Calls `visit` with the tile that a checked call needs. Sigmoid scores are fp32 whatever the logits are.
template <typename Visit>
void visit_tile(const TopkCall& call, const Visit& visit) {
  if (call.rule.scoring == Scoring::sigmoid) return detail::visit_width<std::uint64_t, true>(call, visit);
  if (call.logit_type == LogitType::fp32) return detail::visit_width<std::uint64_t, false>(call, visit);
  return detail::visit_width<std::uint32_t, false>(call, visit);
}

}  // namespace routesig::cuda
