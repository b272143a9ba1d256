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

/// Thrown out of a piece whose loop has ended on another thread; caught by the loop, which rethrows what ended it. No
/// std::exception, which a piece might catch on its own account.
struct LoopEnded {};

/// Of a loop whose end is not to be heeded.
inline constinit const std::atomic<bool> kNeverEnded = false;

}  // namespace detail

/// While it lives, work on the thread that made it calls `check` at its points: first after `interval`, then no more
/// often than that. What `check` throws ends the work. Guards may nest: the innermost is asked. Inside a piece of a
/// loop (in what tells its progress, say) a guard also keeps the end of that loop out: whoever made it may be another
/// language, through which our own exceptions do not pass.
class Interruptible {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kInterval{50};

  explicit Interruptible(std::function<void()> check, Clock::duration interval = kInterval)
      : check_(std::move(check)),
        interval_(interval),
        next_(Clock::now() + interval),
        outer_(std::exchange(detail::heeded(), {.caller = this, .ended = nullptr})) {
    if (outer_.ended != nullptr) detail::heeded().ended = &detail::kNeverEnded;
  }
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;
  ~Interruptible() { detail::heeded() = outer_; }

  /// Calls `check` where it is time. It may do work of its own, of which nobody is asked.
  void poll() {
    const auto now = Clock::now();
    if (now < next_) return;
    next_ = now + interval_;
    const Asking asking;
    check_();
  }

 private:
  struct Asking {
    Interruptible* const asked = std::exchange(detail::heeded().caller, nullptr);
    Asking() = default;
    Asking(const Asking&) = delete;
    Asking& operator=(const Asking&) = delete;
    ~Asking() { detail::heeded().caller = asked; }
  };

  std::function<void()> check_;
  Clock::duration interval_;
  Clock::time_point next_;
  detail::Heeded outer_;
};

/// A place at which work may end with an exception: cheap enough for every microsecond or more of it, needed every
/// tenth of a second or less.
inline void interruption_point() {
  const detail::Heeded& here = detail::heeded();
  if (here.ended != nullptr && here.ended->load(std::memory_order_relaxed))
    throw detail::LoopEnded{};  // NOLINT(bugprone-std-exception-baseclass): see there
  if (here.caller != nullptr) here.caller->poll();
}

}  // namespace routesig
