#include "routesig/interrupt.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <thread>
#include <vector>

#include "routesig/parallel.hpp"

namespace routesig {
namespace {

struct Stop : std::runtime_error {
  Stop() : std::runtime_error("stop") {}
};

/// More pieces than any machine gets through: the loop ends by an exception or not at all.
constexpr std::size_t kEndless = std::size_t{1} << 60U;

constexpr auto nothing = [](std::size_t, std::size_t) {};
const auto stop = [] { throw Stop(); };

/// Never ends of its own accord.
[[noreturn]] void work_for_ever() {
  while (true) interruption_point();
}

struct Interrupt : ::testing::Test {
  void TearDown() override { set_num_threads(0); }
};

TEST_F(Interrupt, AGuardIsAskedNoMoreOftenThanItsInterval) {
  int never = 0, always = 0;
  {
    const Interruptible watched([&] { ++never; }, std::chrono::hours(1));
    for (int i = 0; i < 1000; ++i) interruption_point();
  }
  const Interruptible watched([&] { ++always; }, std::chrono::milliseconds(0));
  for (int i = 0; i < 1000; ++i) interruption_point();
  EXPECT_EQ(never, 0);
  EXPECT_EQ(always, 1000);
}

TEST_F(Interrupt, WithoutAGuardNothingHappens) {
  for (int i = 0; i < 1000; ++i) EXPECT_NO_THROW(interruption_point());
}

TEST_F(Interrupt, EndsWorkOnItsThread) {
  const Interruptible watched(stop);
  EXPECT_THROW(work_for_ever(), Stop);
}

TEST_F(Interrupt, EndsALoopOnAnyNumberOfThreadsAndLeavesThePoolAtWork) {
  for (const int threads : {1, 2, 5}) {
    set_num_threads(threads);
    {
      const Interruptible watched(stop);
      EXPECT_THROW(parallel_for(kEndless, 1, nothing), Stop);
    }
    std::atomic<int> sum = 0;
    parallel_for(100, 1, [&](std::size_t i, std::size_t) { sum += static_cast<int>(i); });
    EXPECT_EQ(sum, 4950);
  }
}

TEST_F(Interrupt, AsksOnTheThreadThatMadeTheGuard) {
  set_num_threads(4);
  const auto caller = std::this_thread::get_id();
  std::vector<std::thread::id> asked;
  const Interruptible watched([&] {
    asked.push_back(std::this_thread::get_id());
    if (asked.size() == 3) throw Stop();
  });
  EXPECT_THROW(parallel_for(kEndless, 1, nothing), Stop);
  EXPECT_EQ(asked, std::vector<std::thread::id>(3, caller));
}

TEST_F(Interrupt, ALoopWithinALoopEndsOnEveryThread) {
  set_num_threads(4);
  const Interruptible watched(stop);
  EXPECT_THROW(parallel_for(8, 1, [](std::size_t, std::size_t) { parallel_for(kEndless, 1, nothing); }), Stop);
}

TEST_F(Interrupt, TheLastPiecesOfOtherThreadsEndThoughTheCallerHasNoneLeft) {
  set_num_threads(3);
  const auto caller = std::this_thread::get_id();
  const Interruptible watched(stop);
  std::atomic<int> at_work = 0;
  const auto piece = [&](std::size_t, std::size_t) {
    if (std::this_thread::get_id() != caller) {
      ++at_work;
      work_for_ever();
    }
    while (at_work == 0) std::this_thread::yield();  // until another thread has a piece
  };
  EXPECT_THROW(parallel_for(3, 1, piece), Stop);
}

TEST_F(Interrupt, AnErrorOfOneThreadEndsThePiecesOfOthers) {
  set_num_threads(3);
  std::atomic<int> begun = 0;
  const auto piece = [&](std::size_t, std::size_t) {
    if (++begun < 3) work_for_ever();  // no guard: only the error ends it
    throw std::out_of_range("third");
  };
  EXPECT_THROW(parallel_for(3, 1, piece), std::out_of_range);
}

TEST_F(Interrupt, AGuardInAPieceKeepsTheEndOfTheLoopOut) {
  set_num_threads(2);
  const auto caller = std::this_thread::get_id();
  std::atomic<int> begun = 0;
  bool kept_out = false;
  const auto piece = [&](std::size_t, std::size_t) {
    ++begun;
    while (begun < 2) std::this_thread::yield();
    if (std::this_thread::get_id() != caller) throw std::out_of_range("other");
    {
      const Interruptible guard([] {});
      for (int i = 0; i < 10'000'000; ++i) interruption_point();
      parallel_for(1000, 1, nothing);
      kept_out = true;
    }
    work_for_ever();
  };
  EXPECT_THROW(parallel_for(2, 1, piece), std::out_of_range);
  EXPECT_TRUE(kept_out);
}

TEST_F(Interrupt, AThreadThatFindsThePoolAtWorkEndsToo) {
  set_num_threads(2);
  std::atomic<bool> begun = false, over = false;
  std::jthread other([&] {
    parallel_for(2, 1, [&](std::size_t, std::size_t) {
      begun = true;
      while (!over) std::this_thread::yield();
    });
  });
  while (!begun) std::this_thread::yield();
  {
    const Interruptible watched(stop);
    EXPECT_THROW(parallel_for(kEndless, 1, nothing), Stop);
  }
  over = true;
}

TEST_F(Interrupt, LeavesTheLoopsOfOtherThreadsAlone) {
  set_num_threads(2);
  std::atomic<std::size_t> done = 0;
  std::atomic<bool> over = false;
  std::jthread other([&] {
    while (!over) parallel_for(100, 1, [&](std::size_t, std::size_t) { ++done; });
  });
  for (int round = 0; round < 3; ++round) {
    const Interruptible watched(stop);
    EXPECT_THROW(parallel_for(kEndless, 1, nothing), Stop);
  }
  over = true;
  other.join();
  EXPECT_EQ(done % 100, 0U);
}

TEST_F(Interrupt, TheInnermostGuardIsAskedAndTheOuterOneAfterIt) {
  struct Inner : std::exception {};
  const Interruptible outer(stop);
  {
    const Interruptible inner([] { throw Inner(); });
    EXPECT_THROW(work_for_ever(), Inner);
  }
  EXPECT_THROW(work_for_ever(), Stop);
}

TEST_F(Interrupt, TheCheckMayLoopItselfWhereverItIsCalled) {
  set_num_threads(2);
  const auto caller = std::this_thread::get_id();
  std::atomic<bool> begun = false, looped = false;
  std::atomic<int> sum = 0;
  const Interruptible watched(
      [&] {
        parallel_for(10, 1, [&](std::size_t i, std::size_t) { sum += static_cast<int>(i); });
        looped = true;
      },
      std::chrono::milliseconds(0));
  parallel_for(2, 1, [&](std::size_t, std::size_t) {
    if (std::this_thread::get_id() == caller) {
      while (!begun) std::this_thread::yield();
      return;
    }
    looped = false;
    begun = true;
    while (!looped) std::this_thread::yield();  // until the caller, which has nothing left to do, has looked
  });
  EXPECT_GE(sum, 45);
  EXPECT_EQ(sum % 45, 0);
}

TEST_F(Interrupt, WorkThatIsNotInterruptedGoesOn) {
  int asked = 0;
  const Interruptible watched([&] { ++asked; });
  while (asked < 3) interruption_point();
  std::vector<int> seen(1000);
  parallel_for(seen.size(), 7, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) ++seen[i];
  });
  EXPECT_EQ(seen, std::vector<int>(1000, 1));
}

}  // namespace
}  // namespace routesig
