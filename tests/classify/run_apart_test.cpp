#include "classify/run_apart.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <future>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>

#include "routesig/parallel.hpp"

namespace routesig {
namespace {

struct Stop : std::runtime_error {
  Stop() : std::runtime_error("stop") {}
};

TEST(RunApart, GivesWhatTheWorkGivesOrThrows) {
  EXPECT_EQ(detail::run_apart([] { return 6 * 7; }), 42);
  const Interruptible watched([] {});
  EXPECT_EQ(detail::run_apart([] { return 6 * 7; }), 42);
  EXPECT_THROW((void)detail::run_apart([]() -> int { throw std::out_of_range("work"); }), std::out_of_range);
}

TEST(RunApart, StaysOnItsThreadWhereNobodyInterrupts) {
  EXPECT_EQ(detail::run_apart([] { return std::this_thread::get_id(); }), std::this_thread::get_id());
}

TEST(RunApart, IsLeftAtOnceAndTheWorkEndsAlone) {
  // Work that waits for the caller to have gone: only then does it end.
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  std::promise<void> ended;
  auto end = ended.get_future();
  {
    const Interruptible watched([] { throw Stop(); });
    EXPECT_THROW((void)detail::run_apart([gone, told = std::make_shared<std::promise<void>>(std::move(ended))] {
                   while (!*gone) std::this_thread::yield();
                   told->set_value();
                   return 0;
                 }),
                 Stop);
  }
  *gone = true;
  end.get();
}

TEST(RunApart, InAPieceEndsWithItsLoop) {
  set_num_threads(2);
  const auto caller = std::this_thread::get_id();
  const auto over = std::make_shared<std::atomic<bool>>(false);
  std::atomic<bool> begun = false;
  const auto piece = [&](std::size_t, std::size_t) {
    if (std::this_thread::get_id() == caller) {
      while (!begun) std::this_thread::yield();
      throw std::out_of_range("caller");
    }
    begun = true;
    (void)detail::run_apart([over] {
      while (!*over) std::this_thread::yield();
      return 0;
    });
  };
  EXPECT_THROW(parallel_for(2, 1, piece), std::out_of_range);
  *over = true;
  set_num_threads(0);
}

}  // namespace
}  // namespace routesig
