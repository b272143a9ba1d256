#include "support/simt.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <optional>
#include <string>
#include <vector>

namespace routesig::simt {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What the emulator says of a kernel, under every seed; nothing where it finds no fault.
template <typename Body>
std::optional<Fault> fault(Launch launch, const Body& body) {
  for (launch.seed = 0; launch.seed < 5; ++launch.seed) {
    try {
      run(launch, body);
    } catch (const Fault& found) {
      return found;
    }
  }
  return std::nullopt;
}

// (Not a macro: in a macro's arguments every call has the same source location.)
void expect_fault(const std::optional<Fault>& found, FaultKind kind, const std::string& part) {
  ASSERT_TRUE(found.has_value()) << "expected: " << part;
  EXPECT_EQ(found->kind(), kind) << found->what();
  EXPECT_THAT(std::string(found->what()), HasSubstr(part));
}

TEST(Simt, EveryThreadOfEveryBlockRunsOnce) {
  std::vector<int> seen(3 * 70);
  run({.blocks = 3, .threads = 70}, [&] {
    EXPECT_EQ(blockDim.x, 70U);
    EXPECT_EQ(gridDim.x, 3U);
    ++seen[blockIdx.x * blockDim.x + threadIdx.x];
  });
  EXPECT_EQ(seen, std::vector<int>(3 * 70, 1));
}

TEST(Simt, ShufflesExchangeValuesWithinTheirWidth) {
  std::vector<int> from_two(32), swapped(32), across(32);
  run({}, [&] {
    const int lane = static_cast<int>(threadIdx.x);
    from_two[threadIdx.x] = __shfl_sync(~0U, lane, 2, 8);
    swapped[threadIdx.x] = __shfl_xor_sync(~0U, lane, 1);
    across[threadIdx.x] = __shfl_xor_sync(~0U, lane, 4, 4);
  });
  for (int lane = 0; lane < 32; ++lane) {
    const auto at = static_cast<std::size_t>(lane);
    EXPECT_EQ(from_two[at], lane / 8 * 8 + 2);
    EXPECT_EQ(swapped[at], lane ^ 1);
    // Lane 4 reaches back into the segment of lane 0; lane 0 does not reach forward, and keeps its own.
    EXPECT_EQ(across[at], lane % 8 < 4 ? lane : lane - 4);
  }
}

TEST(Simt, ShufflesCarryEightBytes) {
  std::vector<double> got(32);
  run({}, [&] { got[threadIdx.x] = __shfl_xor_sync(~0U, 1.0 / (1.0 + threadIdx.x), 31); });
  EXPECT_EQ(got[0], 1.0 / 32.0);
}

TEST(Simt, BallotCountsTheVotesOfItsMask) {
  std::vector<unsigned> votes(32);
  run({}, [&] {
    const unsigned half = threadIdx.x < 16 ? 0x0000'FFFFU : 0xFFFF'0000U;
    votes[threadIdx.x] = __ballot_sync(half, threadIdx.x % 4 == 0);
  });
  EXPECT_EQ(votes[3], 0x0000'1111U);
  EXPECT_EQ(votes[20], 0x1111'0000U);
}

TEST(Simt, BarriersOrderSharedMemory) {
  std::vector<std::uint32_t> reversed(96);
  const auto reverse = [&] {
    const SharedMemory shared;
    const int t = static_cast<int>(threadIdx.x);
    shared.store(t, threadIdx.x);
    __syncthreads();
    reversed[threadIdx.x] = shared.load(95 - t);
  };
  EXPECT_FALSE(fault({.blocks = 2, .threads = 96, .shared_words = 96}, reverse));
  EXPECT_EQ(reversed[0], 95U);
  EXPECT_EQ(reversed[95], 0U);
}

TEST(Simt, TheSeedChangesTheOrderOfLanesAndNothingElse) {
  const auto order = [](std::uint64_t seed) {
    std::vector<unsigned> came;
    unsigned total = 0;
    run({.threads = 64, .shared_words = 1, .seed = seed}, [&] {
      came.push_back(threadIdx.x);
      const SharedMemory shared;
      if (threadIdx.x == 0) shared.store(0, 0);
      __syncthreads();
      shared.add(0, threadIdx.x);
      __syncthreads();
      if (threadIdx.x == 63) total = shared.load(0);
    });
    EXPECT_EQ(total, 63U * 64U / 2U);
    return came;
  };
  EXPECT_EQ(order(1), order(1));
  EXPECT_NE(order(1), order(2));
  EXPECT_FALSE(std::ranges::is_sorted(order(1)));
}

TEST(Simt, ReportsDivergentCollectives) {
  expect_fault(fault({}, [] { threadIdx.x < 3 ? void(__shfl_sync(~0U, 1, 0)) : void(__ballot_sync(~0U, true)); }),
               FaultKind::divergence, "simt_test.cpp");
  expect_fault(fault({},
                     [] {
                       if (threadIdx.x % 2 == 0) __syncwarp();
                       if (threadIdx.x % 2 == 1) __syncwarp();
                     }),
               FaultKind::divergence, "__syncwarp");
  expect_fault(fault({},
                     [] {
                       if (threadIdx.x != 5) __shfl_xor_sync(~0U, 1, 1);
                     }),
               FaultKind::divergence, "lane");
  expect_fault(fault({}, [] { __shfl_xor_sync(~0U, 1, 1, threadIdx.x < 16 ? 8 : 16); }), FaultKind::divergence, "");
  expect_fault(fault({}, [] { __shfl_xor_sync(~0U, 1, 1, 12); }), FaultKind::divergence, "width of 12");
  expect_fault(fault({}, [] { threadIdx.x == 7 ? __syncthreads() : __syncwarp(); }), FaultKind::divergence, "");
}

TEST(Simt, ReportsLanesOutsideOfTheMask) {
  expect_fault(fault({}, [] { __ballot_sync(0x0000'FFFFU, true); }), FaultKind::divergence, "not in its mask");
  expect_fault(fault({},
                     [] {
                       if (threadIdx.x < 16) __shfl_xor_sync(0x0000'FFFFU, 1, 16);
                     }),
               FaultKind::divergence, "reads lane");
  expect_fault(fault({.threads = 40}, [] { __ballot_sync(~0U, true); }), FaultKind::divergence, "not there");
}

TEST(Simt, ReportsMisusedBarriers) {
  expect_fault(fault({.threads = 64},
                     [] {
                       if (threadIdx.x < 32) __syncthreads();
                     }),
               FaultKind::barrier, "has left the kernel");
  expect_fault(fault({.threads = 64},
                     [] {
                       if (threadIdx.x < 32) __syncthreads();
                       if (threadIdx.x >= 32) __syncthreads();
                     }),
               FaultKind::barrier, "__syncthreads");
}

TEST(Simt, ReportsDeadlock) {
  // Warp 1 waits in vain for a word that warp 0 never writes again.
  expect_fault(fault({.threads = 64, .shared_words = 1, .patience = 1000},
                     [] {
                       const SharedMemory shared;
                       if (threadIdx.x == 0) shared.store(0, 0);
                       __syncthreads();
                       while (shared.load(0) == 0) __syncwarp();
                     }),
               FaultKind::deadlock, "__syncwarp");
}

TEST(Simt, ReportsRacesBetweenBarriers) {
  const auto neighbours = [](bool block_barrier, bool warp_barrier) {
    return fault({.threads = 64, .shared_words = 64}, [=] {
      const SharedMemory shared;
      const int t = static_cast<int>(threadIdx.x);
      shared.store(t, 0);
      __syncthreads();
      shared.store(t, 1);
      if (block_barrier) __syncthreads();
      if (warp_barrier) __syncwarp();
      (void)shared.load(t ^ 1);
    });
  };
  expect_fault(neighbours(false, false), FaultKind::race, "without a barrier");
  EXPECT_FALSE(neighbours(true, false));
  EXPECT_FALSE(neighbours(false, true));
  // __syncwarp orders nothing between warps, a shuffle nothing at all.
  expect_fault(fault({.threads = 64, .shared_words = 64},
                     [] {
                       const SharedMemory shared;
                       shared.store(static_cast<int>(threadIdx.x), 1);
                       __syncwarp();
                       shared.store(static_cast<int>(threadIdx.x) ^ 32, 2);
                     }),
               FaultKind::race, "without a barrier");
  expect_fault(fault({.shared_words = 32},
                     [] {
                       const SharedMemory shared;
                       shared.store(static_cast<int>(threadIdx.x), 0);
                       __syncthreads();
                       shared.store(static_cast<int>(threadIdx.x), 1);
                       __shfl_xor_sync(~0U, 1, 1);
                       (void)shared.load(static_cast<int>(threadIdx.x) ^ 1);
                     }),
               FaultKind::race, "without a barrier");
}

TEST(Simt, AtomicsRaceWithPlainAccessesOnly) {
  std::uint32_t total = 0;
  const auto counter = [&total](bool zeroed, bool flushed) {
    return fault({.threads = 64, .shared_words = 1}, [=, &total] {
      const SharedMemory shared;
      if (threadIdx.x == 0) shared.store(0, 0);
      if (zeroed) __syncthreads();
      shared.add(0, 1);
      if (flushed) __syncthreads();
      if (threadIdx.x == 0) total = shared.load(0);
    });
  };
  EXPECT_FALSE(counter(true, true));
  EXPECT_EQ(total, 64U);
  expect_fault(counter(true, false), FaultKind::race, "");
  EXPECT_TRUE(counter(false, true));  // a race, or a sum of what nobody has written
}

TEST(Simt, ReportsWordsThatAreUnwrittenOrOutOfRange) {
  expect_fault(fault({.shared_words = 2}, [] { (void)SharedMemory().load(1); }), FaultKind::unwritten, "never written");
  expect_fault(fault({.shared_words = 2}, [] { SharedMemory().store(2, 1); }), FaultKind::out_of_range, "word 2 of 2");
  // What a block wrote is gone for the next one.
  expect_fault(fault({.blocks = 2, .shared_words = 32},
                     [] {
                       if (blockIdx.x == 0) SharedMemory().store(static_cast<int>(threadIdx.x), 1);
                       if (blockIdx.x == 1) (void)SharedMemory().load(static_cast<int>(threadIdx.x));
                     }),
               FaultKind::unwritten, "");
}

TEST(Simt, AnExceptionOfTheKernelComesOut) {
  EXPECT_THROW(run({}, [] { throw std::domain_error("lane"); }), std::domain_error);
  std::vector<int> seen(32);
  run({}, [&] { ++seen[threadIdx.x]; });  // and the next launch starts afresh
  EXPECT_EQ(seen, std::vector<int>(32, 1));
}

TEST(Simt, AtomicAddReturnsWhatWasThere) {
  int total = 0;
  std::vector<bool> seen(64);
  run({.threads = 64}, [&] { seen[static_cast<std::size_t>(atomicAdd(&total, 1))] = true; });
  EXPECT_EQ(total, 64);
  EXPECT_EQ(seen, std::vector<bool>(64, true));
}

}  // namespace
}  // namespace routesig::simt
