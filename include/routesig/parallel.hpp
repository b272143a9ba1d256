/// \file parallel.hpp
/// One pool of threads for everything, and a loop over it whose pieces do not depend on the number of threads.
///
///     routesig::parallel_for(prompts, 1, [&](std::size_t begin, std::size_t end) {
///       for (std::size_t i = begin; i < end; ++i) result[i] = work(i);
///     });
///
/// The number of threads: `set_num_threads`, else ROUTESIG_NUM_THREADS (1 to 1024; anything else is not heeded, more
/// counts as 1024), else the processors this process may use.
/// Pieces are [0, grain), [grain, 2 grain), ... whatever the thread count: a result kept per piece and added up in
/// order has the same bytes on any number of threads. Before each piece the loop may be interrupted (interrupt.hpp).
/// A loop that finds the pool at work, for another thread or for a loop around it, runs on its own thread alone: it
/// waits for nobody.
#pragma once

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "routesig/error.hpp"
#include "routesig/interrupt.hpp"

namespace routesig {

/// The largest number of threads that loops take.
inline constexpr int kMaxThreads = 1024;

namespace detail {

/// This thread runs a piece of a loop over the pool: a loop within it runs on this thread alone, and ends where
/// `ended`.
class InsidePiece {
 public:
  explicit InsidePiece(const std::atomic<bool>& ended) noexcept : outer_(std::exchange(heeded().ended, &ended)) {}
  InsidePiece(const InsidePiece&) = delete;
  InsidePiece& operator=(const InsidePiece&) = delete;
  ~InsidePiece() { heeded().ended = outer_; }

  [[nodiscard]] static bool anywhere() noexcept { return heeded().ended != nullptr; }

 private:
  const std::atomic<bool>* outer_;
};

/// Libraries of one process share what follows. Its layout is part of its name, so that those built from another
/// version have a pool of their own: to be counted up with every change of a member.
inline namespace pool_3 {

class ThreadPool {
 public:
  /// Called with the index of a piece and whether the loop has ended. It makes the `InsidePiece` and catches
  /// `LoopEnded`, because pool threads may run the code of another of our libraries, which heeds what is its own.
  using Piece = std::function<void(std::size_t, const std::atomic<bool>&)>;

  /// Calls piece(0) ... piece(count - 1) on `threads` threads, this one among them. The first exception ends the loop
  /// and is rethrown when no thread is at work any more. One loop at a time: false, and nothing done, where another one
  /// is under way.
  [[nodiscard]] bool try_run(std::size_t count, int threads, const Piece& piece) {
    if (looping_.exchange(true)) return false;
    const Turn turn(*this);
    grow(threads - 1);
    auto job = std::make_shared<Job>();
    job->piece = &piece;
    job->count = count;
    job->helpers = threads - 1;
    {
      const std::scoped_lock lock(mutex_);
      job_ = job;
      ++generation_;
    }
    wake_.notify_all();
    work(*job);
    wait_for_helpers(*job);
    if (job->error) std::rethrow_exception(job->error);
    return true;
  }

 private:
  struct Job {
    const Piece* piece = nullptr;
    std::size_t count = 0;
    int helpers = 0;  // how many pool threads may still join; guarded by mutex_
    int busy = 0;     // pool threads at work; guarded by mutex_
    std::atomic<std::size_t> next = 0;
    std::atomic<bool> ended = false;
    std::mutex error_mutex;
    std::exception_ptr error;

    void end(std::exception_ptr why) {
      const std::scoped_lock lock(error_mutex);
      if (!error) error = std::move(why);
      ended = true;
      next = count;
    }
  };

  /// Gives the pool back where a loop ends, by whatever way.
  class Turn {
   public:
    explicit Turn(ThreadPool& pool) noexcept : pool_(pool) {}
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() { pool_.looping_ = false; }

   private:
    ThreadPool& pool_;
  };

  /// Until `ready`, passing interruption points; what they throw leaves with the lock open.
  template <typename Ready>
  static void wait(std::unique_lock<std::mutex>& lock, std::condition_variable_any& changed, const Ready& ready) {
    while (!changed.wait_for(lock, Interruptible::kInterval, ready)) {
      lock.unlock();
      interruption_point();
      lock.lock();
    }
  }

  /// The last pieces may be long ones of other threads: their loop can still be ended from here. What asks whether to
  /// may loop itself, and has to do so on this thread: the pool is at work.
  void wait_for_helpers(Job& job) {
    const InsidePiece inside(job.ended);
    std::unique_lock lock(mutex_);
    job_.reset();
    const auto none_busy = [&] { return job.busy == 0; };
    try {
      wait(lock, idle_, none_busy);
    } catch (...) {
      job.end(std::current_exception());
      lock.lock();
      idle_.wait(lock, none_busy);
    }
  }

  static void work(Job& job) {
    for (std::size_t i = job.next++; i < job.count; i = job.next++) {
      try {
        (*job.piece)(i, job.ended);
      } catch (...) {
        job.end(std::current_exception());
      }
    }
  }

  void grow(int helpers) {
    while (static_cast<int>(threads_.size()) < helpers)
      threads_.emplace_back([this](const std::stop_token& stop) { serve(stop); });
  }

  void serve(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    std::size_t seen = 0;
    while (true) {
      if (!wake_.wait(lock, stop, [&] { return generation_ != seen; })) return;
      seen = generation_;
      const std::shared_ptr<Job> job = job_;
      if (job == nullptr || job->helpers == 0) continue;
      --job->helpers;
      ++job->busy;
      lock.unlock();
      work(*job);
      lock.lock();
      if (--job->busy == 0) idle_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::condition_variable_any idle_;  // no pool thread is busy
  std::shared_ptr<Job> job_;
  std::size_t generation_ = 0;
  std::atomic<bool> looping_ = false;
  std::vector<std::jthread> threads_;  // last: joined before the rest is destroyed
};

struct Threads {
  std::atomic<int> count = 0;  // 0: not asked for
  std::atomic<ThreadPool*> pool = nullptr;
  std::mutex mutex;
};

/// One for the whole process, also when several of our libraries are loaded (hence the visibility). Never destroyed,
/// and forgotten by a forked child, which has none of its parent's threads.
[[gnu::visibility("default")]] inline Threads& threads() {
  static auto* instance = [] {
    auto* made = new Threads;
    pthread_atfork(nullptr, nullptr, [] {
      threads().pool = nullptr;
      new (&threads().mutex) std::mutex;
    });
    return made;
  }();
  return *instance;
}

}  // namespace pool_3

[[nodiscard]] inline ThreadPool& pool() {
  if (ThreadPool* standing = threads().pool) return *standing;
  const std::scoped_lock lock(threads().mutex);
  if (threads().pool == nullptr) threads().pool = new ThreadPool;
  return *threads().pool;
}

[[nodiscard]] inline int default_num_threads() {
  if (const char* text = std::getenv("ROUTESIG_NUM_THREADS")) {
    int value = 0;
    const std::string_view view = text;
    const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), value);
    if (error == std::errc() && end == view.data() + view.size() && value > 0) return std::min(value, kMaxThreads);
  }
  static const int processors = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));  // reads a file
  return processors;
}

}  // namespace detail

/// How many threads loops use.
[[nodiscard]] inline int num_threads() {
  const int asked = detail::threads().count;
  return asked > 0 ? asked : detail::default_num_threads();
}

/// Sets the number of threads, at most kMaxThreads; 0 goes back to the default.
inline void set_num_threads(int count) {
  if (count < 0 || count > kMaxThreads)
    throw invalid_argument("set_num_threads: expected 1 to ", kMaxThreads, " (0: the default), got ", count);
  detail::threads().count = count;
}

/// Calls body(begin, end) for every piece of `grain` items of [0, count); the last may be shorter. Blocks until all are
/// done; the first exception is rethrown and keeps pieces not yet begun from running. Every piece begins with an
/// interruption point, at which those of other threads end too where one has thrown.
template <typename Body>
void parallel_for(std::size_t count, std::size_t grain, const Body& body) {
  grain = std::max<std::size_t>(grain, 1);
  const std::size_t pieces = count / grain + (count % grain != 0 ? 1 : 0);
  const auto piece = [&](std::size_t i) {
    interruption_point();
    body(i * grain, std::min(count, (i + 1) * grain));
  };
  const int threads = static_cast<int>(std::min<std::size_t>(pieces, static_cast<std::size_t>(num_threads())));
  const auto pooled = [&](std::size_t i, const std::atomic<bool>& ended) {
    const detail::InsidePiece inside(ended);
    try {
      piece(i);
    } catch (const detail::LoopEnded&) {  // NOLINT(bugprone-empty-catch): the pool keeps what ended it
    }
  };
  if (threads > 1 && !detail::InsidePiece::anywhere() && detail::pool().try_run(pieces, threads, pooled)) return;
  for (std::size_t i = 0; i < pieces; ++i) piece(i);
}

/// Called on the thread that asked for the work, after pieces of it are done and when all are; it may throw to stop the
/// rest.
using Progress = std::function<void(std::size_t done, std::size_t total)>;

/// The same, telling `progress` (which may be empty) how many items are done.
template <typename Body>
void parallel_for(std::size_t count, std::size_t grain, const Body& body, const Progress& progress) {
  if (!progress) return parallel_for(count, grain, body);
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<std::size_t> done = 0;
  std::size_t told = 0;
  parallel_for(count, grain, [&](std::size_t begin, std::size_t end) {
    body(begin, end);
    const std::size_t now = done += end - begin;
    if (std::this_thread::get_id() == caller) progress(told = now, count);
  });
  if (told < count) progress(count, count);
}

}  // namespace routesig
