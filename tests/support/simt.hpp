// Runs the source of a CUDA kernel on the processor, a fibre for every thread of a block, and reports what a GPU would
// not: divergent collectives, misused barriers, deadlock, races on shared memory. Include it before the kernel.
//
//     simt::run({.blocks = 2, .threads = 64, .seed = 1}, [&] { kernel(arguments); });   // throws simt::Fault
//
// What a kernel may use: threadIdx, blockIdx, blockDim, gridDim (their x); __shfl_sync, __shfl_xor_sync, __ballot_sync,
// __syncwarp, __syncthreads; atomicAdd on global memory; shared memory through simt::SharedMemory. Threads take turns
// from one collective to the next, in an order drawn from the seed: what depends on the order differs between seeds.
#pragma once

#include <cstdint>
#include <cstring>
#include <source_location>
#include <type_traits>

#include "support/simt_block.hpp"

namespace routesig::simt {

namespace detail {
inline Block* block = nullptr;  // the running one
}

// Runs every block to its end, one after the other. Throws the first Fault.
template <typename Body>
void run(const Launch& launch, const Body& body) {
  Block block(launch);
  detail::block = &block;
  blockDim = {static_cast<unsigned>(launch.threads)};
  gridDim = {static_cast<unsigned>(launch.blocks)};
  for (int b = 0; b < launch.blocks; ++b) {
    blockIdx = {static_cast<unsigned>(b)};
    block.run(static_cast<std::uint64_t>(b), body);
  }
}

// A block's shared memory as a kernel sees it: a kernel takes it as a template parameter.
struct SharedMemory {
  [[nodiscard]] std::uint32_t load(int i, std::source_location at = std::source_location::current()) const {
    return detail::block->shared().load(i, detail::block->running_thread(), at);
  }
  void store(int i, std::uint32_t value, std::source_location at = std::source_location::current()) const {
    detail::block->shared().store(i, value, detail::block->running_thread(), at);
  }
  void add(int i, std::uint32_t value, std::source_location at = std::source_location::current()) const {
    detail::block->shared().add(i, value, detail::block->running_thread(), at);
  }
};

namespace detail {

using What = Meeting::What;

// A value of up to eight bytes travels as its bits.
template <typename T>
T meet(Meeting meeting, T value) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(meeting.value));
  std::memcpy(&meeting.value, &value, sizeof(T));
  const std::uint64_t result = block->meet(meeting);
  std::memcpy(&value, &result, sizeof(T));
  return value;
}

}  // namespace detail
}  // namespace routesig::simt

// --- CUDA's own names

#define __device__
#define __host__
#define __global__
#define __forceinline__ inline

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = routesig::simt::kWarp,
              std::source_location site = std::source_location::current()) {
  using namespace routesig::simt;
  return detail::meet({detail::What::shuffle, mask, source, width, 0, site}, value);
}

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = routesig::simt::kWarp,
                  std::source_location site = std::source_location::current()) {
  using namespace routesig::simt;
  return detail::meet({detail::What::shuffle_xor, mask, lane_mask, width, 0, site}, value);
}

inline unsigned __ballot_sync(unsigned mask, bool vote, std::source_location site = std::source_location::current()) {
  using namespace routesig::simt;
  return detail::meet({.what = detail::What::ballot, .mask = mask, .site = site}, vote ? 1U : 0U);
}

inline void __syncwarp(unsigned mask = ~0U, std::source_location site = std::source_location::current()) {
  using namespace routesig::simt;
  detail::meet({.what = detail::What::sync_warp, .mask = mask, .site = site}, 0);
}

inline void __syncthreads(std::source_location site = std::source_location::current()) {
  using namespace routesig::simt;
  detail::meet({.what = detail::What::sync_threads, .site = site}, 0);
}

// Threads of the emulator take turns at collectives only, so an addition is never interrupted.
template <typename T>
T atomicAdd(T* place, T value) {
  const T before = *place;
  *place = before + value;
  return before;
}
