/// \file interrupt.hpp
/// Ends long work from outside: the work passes points at which it may stop, its caller says whether it should.
///
///     const routesig::Interruptible watched([&] { if (cancelled) throw Cancelled(); });
///     const auto all = routesig::similarity_matrix(set);   // throws Cancelled soon after `cancelled` has become true
///
/// Every loop of parallel.hpp passes such a point before each of its pieces, on every thread at work; longer pieces
/// and loops on one thread call `interruption_point` themselves. Nothing here knows who asks, or why.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <utility>

namespace routesig {

class Interruptible;

namespace detail {

/// What a thread has to heed at its next point.
struct Heeded {
  Interruptible* caller = nullptr;           // of this thread, the innermost
  const std::atomic<bool>* ended = nullptr;  // of the loop over the pool of which this thread runs a piece
};

[[nodiscard]] inline Heeded& heeded() noexcept {
  thread_local constinit Heeded here;
  return here;
}

/// Thrown out of a piece whose loop has ended on another thread; caught by the loop, which rethrows what ended it.
struct LoopEnded {};

}  // namespace detail

/// While it lives, work on the thread that made it calls `check` at its points, at most 20 times a second, first after
/// a twentieth of a second. What `check` throws ends the work. Guards may nest: the innermost is asked.
class Interruptible {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kInterval{50};

  explicit Interruptible(std::function<void()> check)
      : check_(std::move(check)),
        next_(Clock::now() + kInterval),
        outer_(std::exchange(detail::heeded().caller, this)) {}
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;
  ~Interruptible() { detail::heeded().caller = outer_; }

  /// Calls `check` where it is time.
  void poll() {
    const auto now = Clock::now();
    if (now < next_) return;
    next_ = now + kInterval;
    check_();
  }

 private:
  std::function<void()> check_;
  Clock::time_point next_;
  Interruptible* outer_;
};

/// A place at which work may end with an exception: cheap enough for every microsecond or more of it, needed every
/// tenth of a second or less.
inline void interruption_point() {
  const detail::Heeded& here = detail::heeded();
  if (here.ended != nullptr && here.ended->load(std::memory_order_relaxed)) throw detail::LoopEnded{};
  if (here.caller != nullptr) here.caller->poll();
}

}  // namespace routesig
