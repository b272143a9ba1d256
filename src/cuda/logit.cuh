// Logits of the three types as numbers, and numbers as keys that order as unsigned integers do.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "routesig/topk.hpp"
#include "topk_call.hpp"

#ifdef __CUDACC__
#include <cuda_fp16.h>
#endif

namespace routesig::cuda {

struct Half {
  std::uint16_t bits;
};
struct Bfloat16 {
  std::uint16_t bits;
};

__device__ inline float to_float(float x) { return x; }

__device__ inline float to_float(Bfloat16 x) { return std::bit_cast<float>(std::uint32_t{x.bits} << 16); }

__device__ inline float to_float(Half x) {
#ifdef __CUDA_ARCH__
  return __half2float(__ushort_as_half(x.bits));
#else
  // Moved into place, the exponent is too small by 127 - 15; a product with 2^112 is exact, for subnormals too.
  const std::uint32_t magnitude = (x.bits & 0x7FFFU) << 13, sign = (x.bits & 0x8000U) << 16;
  if (magnitude >= 0x7C00U << 13) return std::bit_cast<float>(sign | 0x7F80'0000U | magnitude);  // infinite, NaN
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112F));
#endif
}

// Calls `visit` with the logits of a call as what they are.
template <typename Visit>
__device__ auto visit_logits(const TopkCall& call, const Visit& visit) {
  if (call.logit_type == LogitType::bf16) return visit(static_cast<const Bfloat16*>(call.logits));
  if (call.logit_type == LogitType::fp16) return visit(static_cast<const Half*>(call.logits));
  return visit(static_cast<const float*>(call.logits));
}

// e^x for x <= 0. On a GPU within 2 + 1.2 |x| units in the last place (CUDA's guide on __expf), elsewhere within one.
__device__ inline float exponential(float x) {
#ifdef __CUDA_ARCH__
  return __expf(x);
#else
  return std::exp(x);
#endif
}

// a / b for 0 <= a <= b, b not 0. On a GPU within 2 units in the last place where b lies in [2^-126, 2^126]: what is
// smaller is lifted first. (Its exact division calls a subroutine.)
__device__ inline float quotient(float a, float b) {
#ifdef __CUDA_ARCH__
  const float lift = b < 0x1p-64F ? 0x1p64F : 1.0F;
  return __fdividef(a * lift, b * lift);
#else
  return a / b;
#endif
}

// --- keys: order_key of topk.hpp above, the inverted column below
//
// A greater key is a better expert, and ties go to the lower column. No key is 0, which stands for no expert at all.
// 32 bits hold the 19 upper bits of a number's order, all that fp16 and bf16 have, and 11 of the column.

inline constexpr int kColumnBits = 11, kDroppedBits = 13;

template <typename Key>
__device__ Key key_of(float x, int column) {
  const auto inverted = static_cast<std::uint32_t>(kMaxTopkExperts - column);
  if constexpr (sizeof(Key) == 4) return order_key(x) >> kDroppedBits << kColumnBits | inverted;
  return static_cast<Key>(std::uint64_t{order_key(x)} << 32 | inverted);
}

template <typename Key>
__device__ int column_of(Key key) {
  return kMaxTopkExperts - static_cast<int>(static_cast<std::uint32_t>(key) & ((1U << kColumnBits) - 1U));
}

// The number of an order, NaN for a NaN's.
__device__ inline float value_of_order(std::uint32_t order) {
  return std::bit_cast<float>((order & 0x8000'0000U) != 0 ? order & 0x7FFF'FFFFU : ~order);
}

template <typename Key>
__device__ float value_of(Key key) {
  if constexpr (sizeof(Key) == 8) {
    return value_of_order(static_cast<std::uint32_t>(key >> 32));
  } else {
    const std::uint32_t order = key >> kColumnBits << kDroppedBits;
    // A negative number's order is inverted: what was dropped were ones.
    return value_of_order((order & 0x8000'0000U) != 0 ? order : order | ((1U << kDroppedBits) - 1U));
  }
}

}  // namespace routesig::cuda
