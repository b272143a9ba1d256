// The router of a mixture-of-experts layer in one launch: scores, the top k, weights, and what is recorded of them.
// The rule is that of routesig/topk.hpp, whose plain code is this kernel's twin.
//
// A row lives in the registers of 8, 16 or 32 lanes of one warp (topk_tile.hpp). Each lane sorts its keys, butterflies
// of merges leave the best of the row on every lane, and lane j stores rank j. Lanes meet in shuffles alone: no shared
// memory, no barrier, and every lane of a warp takes every turn, also where rows have run out. Shared memory holds the
// histogram of the chosen experts, where one is recorded.
//
// nvcc compiles this for the GPU, g++ for the emulator in tests/support/simt.hpp: no launch here, and shared memory
// only through the accessor `Shared` (load, store, add of 32-bit words).
#pragma once

#include <cstdint>

#include "logit.cuh"
#include "sorted_list.cuh"
#include "topk_tile.hpp"

namespace routesig::cuda {

inline constexpr unsigned kAllLanes = 0xFFFF'FFFFU;

// --- over the lanes of a row

// Every lane gets the same bits: a butterfly adds the same pairs on both sides.
template <typename Tile>
__device__ float sum_of_row(float x) {
#pragma unroll
  for (int distance = 1; distance < Tile::kLanes; distance *= 2)
    x += __shfl_xor_sync(kAllLanes, x, distance, Tile::kLanes);
  return x;
}

// Bit j: the vote of the row's lane j.
template <typename Tile>
__device__ unsigned votes_of_row(bool vote) {
  const unsigned first = threadIdx.x % 32 / Tile::kLanes * Tile::kLanes;
  return __ballot_sync(kAllLanes, vote) >> first & (kAllLanes >> (32 - Tile::kLanes));
}

// --- one row: load, order, choose

// The lane's logits of a row [experts]; 0 in place of columns that the row does not have.
template <typename Tile, typename Logit>
__device__ void load_row(const Logit* row, int experts, int lane, float (&logit)[Tile::kValues]) {
  constexpr int kVector = 16 / static_cast<int>(sizeof(Logit));  // logits of 16 bytes
  struct alignas(16) Vector {
    Logit element[kVector];
  };
  const bool aligned = reinterpret_cast<std::uintptr_t>(row) % 16 == 0;
#pragma unroll
  for (int first = 0; first < Tile::kValues; first += kVector) {
    const int column = Tile::column(lane, first);
    Vector vector{};
    if (aligned && column + kVector <= experts) {
      vector = *reinterpret_cast<const Vector*>(row + column);
    } else {
#pragma unroll
      for (int i = 0; i < kVector; ++i)
        if (column + i < experts) vector.element[i] = row[column + i];
    }
#pragma unroll
    for (int i = 0; i < kVector; ++i) logit[first + i] = to_float(vector.element[i]);
  }
}

__device__ inline float logit_at(const TopkCall& call, std::int64_t at) {
  return visit_logits(call, [&](const auto* logits) { return to_float(logits[at]); });
}

// True on every lane where the row has no softmax: a NaN, a +inf, nothing but -inf; or a NaN in the bias.
template <typename Tile>
__device__ bool is_nonfinite(const float (&logit)[Tile::kValues], int experts, const float* bias, int lane) {
  bool bad = false, any_finite = false;
#pragma unroll
  for (int i = 0; i < Tile::kValues; ++i) {
    const int column = Tile::column(lane, i);
    if (column >= experts) continue;
    const float x = logit[i];
    bad = bad || !(x < INFINITY) || (Tile::kSigmoid && bias != nullptr && std::isnan(bias[column]));
    any_finite = any_finite || x > -INFINITY;
  }
  const unsigned bad_lanes = votes_of_row<Tile>(bad), finite_lanes = votes_of_row<Tile>(any_finite);  // all lanes vote
  return bad_lanes != 0 || finite_lanes == 0;
}

// Sum of e^(logit - the largest) over all experts.
template <typename Tile>
__device__ float softmax_sum(const float (&logit)[Tile::kValues], int experts, int lane) {
  float largest = -INFINITY, sum = 0.0F;
#pragma unroll
  for (int i = 0; i < Tile::kValues; ++i)
    if (Tile::column(lane, i) < experts) largest = std::fmax(largest, logit[i]);
#pragma unroll
  for (int distance = 1; distance < Tile::kLanes; distance *= 2)
    largest = std::fmax(largest, __shfl_xor_sync(kAllLanes, largest, distance, Tile::kLanes));
#pragma unroll
  for (int i = 0; i < Tile::kValues; ++i)
    if (Tile::column(lane, i) < experts) sum += exponential(logit[i] - largest);
  return sum_of_row<Tile>(sum);
}

// Bit g: group g is one of the best. A group's score is the sum of its two best experts' scores.
template <typename Tile>
__device__ unsigned best_groups(const float (&score)[Tile::kValues], int experts, const RouterRule& rule, int lane) {
  const int size = experts / rule.groups;  // experts of a group
  std::uint32_t mine = 0;                  // lane g: the order of group g
  for (int group = 0; group < rule.groups; ++group) {
    std::uint32_t first = 0, second = 0;  // orders of the two best
#pragma unroll
    for (int i = 0; i < Tile::kValues; ++i) {
      const int place = Tile::column(lane, i) - group * size;
      const std::uint32_t order = place >= 0 && place < size ? order_key(score[i]) : 0;
      second = larger(second, order < first ? order : first);
      first = larger(first, order);
    }
#pragma unroll
    for (int distance = 1; distance < Tile::kLanes; distance *= 2) {
      const std::uint32_t their_first = __shfl_xor_sync(kAllLanes, first, distance, Tile::kLanes);
      const std::uint32_t their_second = __shfl_xor_sync(kAllLanes, second, distance, Tile::kLanes);
      second = larger(larger(second, their_second), first < their_first ? first : their_first);
      first = larger(first, their_first);
    }
    if (lane == group) mine = order_key(value_of_order(first) + value_of_order(second));
  }
  int better = 0;  // groups before the lane's own
  for (int group = 0; group < rule.groups; ++group) {
    const std::uint32_t theirs = __shfl_sync(kAllLanes, mine, group, Tile::kLanes);
    better += theirs > mine || (theirs == mine && group < lane) ? 1 : 0;
  }
  return votes_of_row<Tile>(lane < rule.groups && better < rule.kept_groups);
}

// The best kList keys of the row, on each of its lanes.
template <typename Tile>
__device__ void choose(const float (&score)[Tile::kValues], const TopkCall& call, int lane,
                       typename Tile::Key (&best)[Tile::kList]) {
  using Key = typename Tile::Key;
  constexpr int kRun = Tile::kRun;  // sorted at a time
  unsigned groups = ~0U;
  int group_size = Tile::kLanes * Tile::kValues;  // one group of everything
  if constexpr (Tile::kSigmoid) {
    if (call.rule.groups > 1) {
      groups = best_groups<Tile>(score, call.experts, call.rule, lane);
      group_size = call.experts / call.rule.groups;
    }
  }
#pragma unroll
  for (int first = 0; first < Tile::kValues; first += kRun) {
    Key run[kRun] = {};
#pragma unroll
    for (int i = 0; i < kRun; ++i) {
      const int column = Tile::column(lane, first + i);
      if (column < call.experts && (groups >> (column / group_size) & 1U) != 0)
        run[i] = key_of<Key>(score[first + i], column);
    }
    sort(run);
    if (first == 0) {
#pragma unroll
      for (int i = 0; i < Tile::kList; ++i) best[i] = i < kRun ? run[i] : Key{0};
    } else {
      merge(best, run);
    }
  }
  merge_lanes<Tile::kLanes>(best);
}

// --- one row: weigh, store

// The keys that the lane stores: ranks lane, lane + kLanes, ...
template <typename Tile>
__device__ void take_ranks(const typename Tile::Key (&best)[Tile::kList], int lane,
                           typename Tile::Key (&mine)[Tile::kRanks]) {
#pragma unroll
  for (int t = 0; t < Tile::kRanks; ++t) {
    mine[t] = 0;
#pragma unroll
    for (int i = 0; i < Tile::kLanes && i < Tile::kList; ++i)
      if (lane == i) mine[t] = best[t * Tile::kLanes + i];
  }
}

// Stores rank `rank` of `row`, and records it.
template <typename Shared>
__device__ void store(const TopkCall& call, std::int64_t row, int rank, int expert, float weight, Shared histogram) {
  const std::int64_t at = row * call.top_k + rank;
  call.weights[at] = weight;
  if (call.id_type == IdType::int32)
    static_cast<std::int32_t*>(call.ids)[at] = expert;
  else
    static_cast<std::int64_t*>(call.ids)[at] = expert;
  if (call.trace != nullptr) {
    const std::int64_t traced = row * call.trace_stride + rank;
    if (call.trace_type == TraceType::u8)
      static_cast<std::uint8_t*>(call.trace)[traced] = static_cast<std::uint8_t>(expert);
    else
      static_cast<std::uint16_t*>(call.trace)[traced] = static_cast<std::uint16_t>(expert);
  }
  if (call.counts != nullptr) histogram.add(expert, 1);
}

// Routes `row` on the lanes that hold it. Where it is not `real` they only keep the others company: nothing is stored.
template <typename Tile, typename Shared>
__device__ void route_row(const TopkCall& call, std::int64_t row, bool real, int lane, Shared histogram) {
  const std::int64_t start = row * call.row_stride;
  float logit[Tile::kValues];
  visit_logits(call, [&](const auto* logits) { load_row<Tile>(logits + start, call.experts, lane, logit); });
  const bool nonfinite = is_nonfinite<Tile>(logit, call.experts, call.bias, lane);
  // What the weights are parts of. A softmax over all experts, renormalised, is the softmax over the chosen ones.
  const bool of_chosen = call.rule.renormalize || call.rule.scoring == Scoring::softmax_of_chosen;
  float whole = 1.0F;
  if (!Tile::kSigmoid && !of_chosen) whole = softmax_sum<Tile>(logit, call.experts, lane);

  if constexpr (Tile::kSigmoid) {  // scores take the place of the logits
#pragma unroll
    for (int i = 0; i < Tile::kValues; ++i) {
      const int column = Tile::column(lane, i);
      logit[i] = sigmoid(logit[i]) + (call.bias != nullptr && column < call.experts ? call.bias[column] : 0.0F);
    }
  }
  typename Tile::Key best[Tile::kList];  // descending, the same on every lane
  choose<Tile>(logit, call, lane, best);
  typename Tile::Key mine[Tile::kRanks];
  take_ranks<Tile>(best, lane, mine);
  const float largest = Tile::kSigmoid ? 0.0F : value_of(best[0]);
  float part[Tile::kRanks], chosen = 0.0F;  // of the weights, before they are divided
#pragma unroll
  for (int t = 0; t < Tile::kRanks; ++t) {
    part[t] = 0.0F;
    if (lane + t * Tile::kLanes < call.top_k)
      part[t] = Tile::kSigmoid ? sigmoid(logit_at(call, start + column_of(mine[t])))
                               : exponential(value_of(mine[t]) - largest);
    chosen += part[t];
  }
  if (of_chosen) whole = sum_of_row<Tile>(chosen);

  if (!real) return;
#pragma unroll
  for (int t = 0; t < Tile::kRanks; ++t) {
    const int rank = lane + t * Tile::kLanes;
    if (rank >= call.top_k) continue;
    const float share = whole > 0.0F ? quotient(part[t], whole) : quotient(1.0F, static_cast<float>(call.top_k));
    store(call, row, rank, column_of(mine[t]), nonfinite ? NAN : share * call.rule.scale, histogram);
  }
  if (lane == 0 && call.nonfinite != nullptr) call.nonfinite[row] = nonfinite ? 1 : 0;
  if (lane == 0 && call.nonfinite_rows != nullptr && nonfinite) atomicAdd(call.nonfinite_rows, 1ULL);
}

// --- all rows

// The kernel's body. Blocks take turns over the rows, so that a histogram is flushed once a block.
template <typename Tile, typename Shared>
__device__ void topk_rows(const TopkCall& call, Shared histogram) {
  const int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  const int lane = thread % Tile::kLanes;          // of the row
  const int rows_a_turn = threads / Tile::kLanes;  // of a block
  if (call.counts != nullptr) {
    for (int e = thread; e < call.experts; e += threads) histogram.store(e, 0);
    __syncthreads();  // zeroed before anything is added
  }
  for (std::int64_t first = std::int64_t{blockIdx.x} * rows_a_turn; first < call.rows;
       first += std::int64_t{gridDim.x} * rows_a_turn) {
    const std::int64_t row = first + thread / Tile::kLanes;
    const bool real = row < call.rows;
    route_row<Tile>(call, real ? row : call.rows - 1, real, lane, histogram);
  }
  if (call.counts != nullptr) {
    __syncthreads();  // everything is added before it is read
    for (int e = thread; e < call.experts; e += threads)
      if (const std::uint32_t chosen = histogram.load(e); chosen != 0)
        atomicAdd(call.counts + e, static_cast<unsigned long long>(chosen));
  }
}

}  // namespace routesig::cuda
