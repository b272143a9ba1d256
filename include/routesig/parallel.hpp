/// \file parallel.hpp
/// One pool of threads for everything, and a loop over it whose pieces do not depend on the number of threads.
///
///     routesig::parallel_for(prompts, 1, [&](std::size_t begin, std::size_t end) {
///       for (std::size_t i = begin; i < end; ++i) result[i] = work(i);
///     });
///
/// The number of threads: `set_num_threads`, else ROUTESIG_NUM_THREADS, else the processors this process may use.
/// Pieces are [0, grain), [grain, 2 grain), ... whatever the thread count: a result kept per piece and added up in
/// order has the same bytes on any number of threads.
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
#include <vector>

#include "routesig/error.hpp"

namespace routesig {
namespace detail {

class ThreadPool {
 public:
  using Piece = std::function<void(std::size_t)>;

  /// Calls piece(0) ... piece(count - 1) on `threads` threads, this one among them. The first exception is rethrown.
  void run(std::size_t count, int threads, const Piece& piece) {
    const std::scoped_lock one_loop(loop_mutex_);
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
    std::unique_lock lock(mutex_);
    job_.reset();
    idle_.wait(lock, [&] { return job->busy == 0; });
    if (job->error) std::rethrow_exception(job->error);
  }

  /// True inside a piece: a loop within a loop runs on its own thread.
  static bool& inside() noexcept {
    thread_local bool value = false;
    return value;
  }

 private:
  struct Job {
    const Piece* piece = nullptr;
    std::size_t count = 0;
    int helpers = 0;  // how many pool threads may still join; guarded by mutex_
    int busy = 0;     // pool threads at work; guarded by mutex_
    std::atomic<std::size_t> next = 0;
    std::mutex error_mutex;
    std::exception_ptr error;
  };

  static void work(Job& job) {
    inside() = true;
    for (std::size_t i = job.next++; i < job.count; i = job.next++) {
      try {
        (*job.piece)(i);
      } catch (...) {
        const std::scoped_lock lock(job.error_mutex);
        if (!job.error) job.error = std::current_exception();
        job.next = job.count;
      }
    }
    inside() = false;
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

  std::mutex loop_mutex_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::condition_variable_any idle_;
  std::shared_ptr<Job> job_;
  std::size_t generation_ = 0;
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
    if (error == std::errc() && end == view.data() + view.size() && value > 0) return value;
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

/// Sets the number of threads; 0 goes back to the default.
inline void set_num_threads(int count) {
  if (count < 0) throw invalid_argument("set_num_threads: expected 1 or more (0: the default), got ", count);
  detail::threads().count = count;
}

/// Calls body(begin, end) for every piece of `grain` items of [0, count); the last may be shorter. Blocks until all are
/// done; the first exception is rethrown and keeps pieces not yet begun from running.
template <typename Body>
void parallel_for(std::size_t count, std::size_t grain, const Body& body) {
  grain = std::max<std::size_t>(grain, 1);
  const std::size_t pieces = count / grain + (count % grain != 0 ? 1 : 0);
  const auto piece = [&](std::size_t i) { body(i * grain, std::min(count, (i + 1) * grain)); };
  const int threads = static_cast<int>(std::min<std::size_t>(pieces, static_cast<std::size_t>(num_threads())));
  if (threads <= 1 || detail::ThreadPool::inside()) {
    for (std::size_t i = 0; i < pieces; ++i) piece(i);
  } else {
    detail::pool().run(pieces, threads, piece);
  }
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
