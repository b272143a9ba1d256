#include "routesig/parallel.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

namespace routesig {
namespace {

struct Parallel : ::testing::Test {
  void TearDown() override { set_num_threads(0); }
};

TEST_F(Parallel, VisitsEveryItemOnce) {
  for (const int threads : {1, 2, 5}) {
    set_num_threads(threads);
    for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
      std::vector<std::atomic<int>> seen(count);
      parallel_for(count, 3, [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) ++seen[i];
      });
      for (const auto& n : seen) ASSERT_EQ(n, 1);
    }
  }
}

TEST_F(Parallel, PiecesDoNotDependOnTheNumberOfThreads) {
  const auto pieces = [](int threads) {
    set_num_threads(threads);
    std::vector<std::size_t> ends(10);
    parallel_for(10, 4, [&](std::size_t begin, std::size_t end) { ends[begin] = end; });
    return ends;
  };
  EXPECT_EQ(pieces(1), pieces(4));
  EXPECT_EQ(pieces(4), (std::vector<std::size_t>{4, 0, 0, 0, 8, 0, 0, 0, 10, 0}));
}

TEST_F(Parallel, RethrowsAnExceptionAndGoesOnWorking) {
  set_num_threads(4);
  for (int round = 0; round < 50; ++round) {
    EXPECT_THROW(parallel_for(100, 1,
                              [](std::size_t i, std::size_t) {
                                if (i == 57) throw std::runtime_error("57");
                              }),
                 std::runtime_error);
    std::atomic<int> sum = 0;
    parallel_for(100, 1, [&](std::size_t i, std::size_t) { sum += static_cast<int>(i); });
    EXPECT_EQ(sum, 4950);
  }
}

TEST_F(Parallel, ProgressIsToldOnTheCallingThread) {
  for (const int threads : {1, 4}) {
    set_num_threads(threads);
    std::vector<int> visits(1000);
    std::size_t last = 0;
    const auto caller = std::this_thread::get_id();
    const auto visit = [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) ++visits[i];
    };
    parallel_for(visits.size(), 7, visit, [&](std::size_t done, std::size_t total) {
      EXPECT_EQ(std::this_thread::get_id(), caller);
      EXPECT_EQ(total, 1000U);
      EXPECT_GT(done, last);
      last = done;
    });
    EXPECT_EQ(visits, std::vector<int>(1000, 1));
    EXPECT_EQ(last, 1000U);
  }
}

TEST_F(Parallel, ProgressMayStopTheWorkOnAnyNumberOfThreads) {
  const auto stop = [](std::size_t, std::size_t) { throw std::runtime_error("stop"); };
  for (const int threads : {1, 2, 5}) {
    set_num_threads(threads);
    // More pieces than any machine gets through, so that the calling thread always has one left to tell of.
    std::atomic<std::size_t> visits = 0;
    const auto visit = [&](std::size_t, std::size_t) { ++visits; };
    EXPECT_THROW(parallel_for(std::size_t{1} << 60U, 1, visit, stop), std::runtime_error);
    const std::size_t stopped_at = visits;
    EXPECT_TRUE(threads == 1 ? stopped_at == 1 : stopped_at >= 1) << stopped_at;
    parallel_for(100, 1, visit);
    EXPECT_EQ(visits, stopped_at + 100);  // no piece of the loop that was stopped is visited later
  }
}

TEST_F(Parallel, ALoopWithinALoopRunsOnItsOwnThread) {
  set_num_threads(3);
  std::atomic<int> sum = 0;
  parallel_for(8, 1, [&](std::size_t, std::size_t) {
    parallel_for(8, 1, [&](std::size_t i, std::size_t) { sum += static_cast<int>(i); });
  });
  EXPECT_EQ(sum, 8 * 28);
}

TEST_F(Parallel, SeveralThreadsMayLoopAtOnce) {
  set_num_threads(2);
  std::atomic<int> sum = 0;
  {
    std::vector<std::jthread> callers;
    for (int c = 0; c < 4; ++c)
      callers.emplace_back([&] {
        for (int round = 0; round < 100; ++round) parallel_for(4, 1, [&](std::size_t, std::size_t) { ++sum; });
      });
  }
  EXPECT_EQ(sum, 1600);
}

TEST_F(Parallel, ALoopThatFindsThePoolAtWorkRunsOnItsOwnThread) {
  set_num_threads(2);
  const auto own = [] {
    const auto caller = std::this_thread::get_id();
    std::size_t items = 0;  // not atomic: one thread
    parallel_for(100, 1, [&](std::size_t, std::size_t) {
      EXPECT_EQ(std::this_thread::get_id(), caller);
      ++items;
    });
    return items;
  };
  std::size_t elsewhere = 0;
  parallel_for(4, 1, [&](std::size_t i, std::size_t) {
    if (i != 0) return;
    std::thread([&] { elsewhere = own(); }).join();  // this loop cannot end before that one has
  });
  EXPECT_EQ(elsewhere, 100U);
}

TEST_F(Parallel, AForkedChildHasAPoolOfItsOwn) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer ends a process that starts threads after a fork of a threaded parent";
#endif
  set_num_threads(2);
  std::atomic<int> sum = 0;
  const auto add = [&] { parallel_for(10, 1, [&](std::size_t i, std::size_t) { sum += static_cast<int>(i); }); };
  add();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    add();
    _exit(sum == 90 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(Parallel, NumberOfThreadsIsAskedThenEnvironmentThenMachine) {
  setenv("ROUTESIG_NUM_THREADS", "3", 1);
  EXPECT_EQ(num_threads(), 3);
  set_num_threads(5);
  EXPECT_EQ(num_threads(), 5);
  set_num_threads(0);
  for (const char* bad : {"", "0", "-1", "two", "2x"}) {
    setenv("ROUTESIG_NUM_THREADS", bad, 1);
    EXPECT_EQ(num_threads(), std::max(1, static_cast<int>(std::thread::hardware_concurrency()))) << bad;
  }
  setenv("ROUTESIG_NUM_THREADS", "2147483647", 1);
  EXPECT_EQ(num_threads(), kMaxThreads);
  unsetenv("ROUTESIG_NUM_THREADS");
  EXPECT_THROW(set_num_threads(-1), std::invalid_argument);
  EXPECT_THROW(set_num_threads(kMaxThreads + 1), std::invalid_argument);
}

}  // namespace
}  // namespace routesig
