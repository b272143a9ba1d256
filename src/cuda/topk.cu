// Launches the kernel of topk.cuh.
#include <algorithm>

#include "error.cuh"
#include "topk.cuh"

namespace routesig::cuda {
namespace {

constexpr int kThreads = 128;               // of a block: 4 to 16 rows a turn
constexpr int kBlocksAMultiprocessor = 16;  // as many as run at once

extern __shared__ std::uint32_t shared_words[];  // [experts] where counts are recorded

// Shared memory as topk.cuh asks for it.
struct SharedMemory {
  __device__ std::uint32_t load(int i) const { return shared_words[i]; }
  __device__ void store(int i, std::uint32_t value) const { shared_words[i] = value; }
  __device__ void add(int i, std::uint32_t value) const { atomicAdd(shared_words + i, value); }
};

template <typename Tile>
__global__ void __launch_bounds__(kThreads) topk_kernel(const TopkCall call) {
  topk_rows<Tile>(call, SharedMemory{});
}

// Enough blocks for all rows, but no more than the current device runs at once.
int blocks(const TopkCall& call, int rows_a_block) {
  int device = 0, multiprocessors = 0;
  refuse(cudaGetDevice(&device), "topk: no current device");
  refuse(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device), "topk: an unknown device");
  const std::int64_t wanted = (call.rows + rows_a_block - 1) / rows_a_block;
  return static_cast<int>(std::min<std::int64_t>(wanted, std::int64_t{multiprocessors} * kBlocksAMultiprocessor));
}

}  // namespace

void topk(const TopkCall& call, void* stream) {
  check(call);
  if (call.rows == 0) return;
  visit_tile(call, [&]<typename Tile>(Tile) {
    const std::size_t shared_bytes =
        call.counts != nullptr ? sizeof(std::uint32_t) * static_cast<unsigned>(call.experts) : 0;
    topk_kernel<Tile>
        <<<blocks(call, kThreads / Tile::kLanes), kThreads, shared_bytes, static_cast<cudaStream_t>(stream)>>>(call);
  });
  refuse(cudaGetLastError(), "topk: the launch failed");
}

}  // namespace routesig::cuda
