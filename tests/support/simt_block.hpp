// One block of threads of the emulator in simt.hpp: who runs, who waits for whom, and what cannot end well.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <source_location>
#include <span>
#include <string>
#include <vector>

#include "routesig/error.hpp"
#include "routesig/random.hpp"
#include "support/fibre.hpp"
#include "support/shared_words.hpp"

// Which thread of which block the source believes to be: CUDA's names, of which kernels here use x alone.
namespace routesig::simt {
struct Index {
  unsigned x = 0;
};
}  // namespace routesig::simt
inline routesig::simt::Index threadIdx, blockIdx, blockDim, gridDim;

namespace routesig::simt {

struct Launch {
  int blocks = 1;
  int threads = kWarp;     // of a block
  int shared_words = 0;    // of 32 bits, of a block
  std::uint64_t seed = 0;  // of the order in which threads take turns
  int patience = 1 << 20;  // a block that has not ended after so many turns of its warps waits for ever
};

// Where a thread has stopped, and what it brings along.
struct Meeting {
  enum class What : std::uint8_t { shuffle, shuffle_xor, ballot, sync_warp, sync_threads };

  What what{};
  std::uint32_t mask = 0xFFFF'FFFFU;  // the lanes that meet
  int argument = 0;                   // shuffle: source lane; shuffle_xor: lane mask
  int width = kWarp;                  // of the segments that a warp is cut into
  std::uint64_t value = 0;
  std::source_location site{};

  [[nodiscard]] bool joins(const Meeting& other) const {
    return what == other.what && mask == other.mask && width == other.width && site.line() == other.site.line() &&
           site.column() == other.site.column() && std::strcmp(site.file_name(), other.site.file_name()) == 0;
  }
  [[nodiscard]] std::string name() const {
    constexpr const char* kNames[] = {"__shfl_sync", "__shfl_xor_sync", "__ballot_sync", "__syncwarp", "__syncthreads"};
    return sentence(kNames[static_cast<std::size_t>(what)], " at ", text(site));
  }
};

// One block of threads: who waits for whom.
class Block {
 public:
  explicit Block(const Launch& launch);
  void run(std::uint64_t index, const std::function<void()>& body);

  // Called by the running thread: waits for every lane of the mask, or for every thread, and returns what it gets.
  std::uint64_t meet(const Meeting& meeting);

  [[nodiscard]] SharedWords& shared() noexcept { return shared_; }
  [[nodiscard]] int running_thread() const noexcept { return current_; }

 private:
  struct Thread {
    testing::Fibre fibre;
    bool waiting = false;
    Meeting meeting{};
    std::uint64_t result = 0;
  };

  bool take_turns(int warp);
  void resume(int thread);
  [[nodiscard]] bool any_left() const;
  [[nodiscard]] bool can_run(int thread) const { return !at(thread).waiting && !at(thread).fibre.done(); }
  void refuse_divergence(int thread) const;
  void refuse_misused_barrier(int thread) const;
  void refuse_early_exit(int thread) const;
  void refuse_deadlock(int turn) const;
  bool all_wait(int first, int end, std::uint32_t mask) const;
  void release(int first, int end, std::uint32_t mask);
  [[nodiscard]] std::uint64_t result_of(int thread) const;

  [[nodiscard]] Thread& at(int thread) const { return *threads_[static_cast<std::size_t>(thread)]; }
  [[nodiscard]] int first_of_warp(int thread) const { return thread / kWarp * kWarp; }
  [[nodiscard]] int end_of_warp(int thread) const { return std::min(first_of_warp(thread) + kWarp, count_); }
  [[nodiscard]] std::string who(int thread) const {
    return sentence("block ", index_, ", warp ", thread / kWarp, ", lane ", thread % kWarp);
  }

  int count_, patience_;
  std::uint64_t seed_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<int> order_;  // the threads of each warp, as they take turns
  SharedWords shared_;
  Random random_;
  std::uint64_t index_ = 0;
  int current_ = 0;
};

inline Block::Block(const Launch& launch)
    : count_(launch.threads),
      patience_(launch.patience),
      seed_(launch.seed),
      shared_(launch.shared_words),
      random_(launch.seed) {
  for (int t = 0; t < count_; ++t) threads_.push_back(std::make_unique<Thread>());
  order_.resize(threads_.size());
  std::iota(order_.begin(), order_.end(), 0);
}

inline void Block::run(std::uint64_t index, const std::function<void()>& body) {
  index_ = index;
  random_ = Random(seed_, index);
  shared_.forget();
  for (const auto& thread : threads_) {
    thread->waiting = false;
    thread->fibre.start(body);
  }
  for (int first = 0; first < count_; first += kWarp)
    random_.shuffle(std::span(order_).subspan(static_cast<std::size_t>(first),
                                              static_cast<std::size_t>(end_of_warp(first) - first)));
  const auto warps = static_cast<std::uint32_t>((count_ + kWarp - 1) / kWarp);
  for (int turn = 0; any_left(); ++turn) {
    const bool ran = take_turns(static_cast<int>(random_.below(warps)));
    if (!ran || turn > patience_) refuse_deadlock(turn);
  }
}

inline bool Block::any_left() const {
  return std::ranges::any_of(threads_, [](const auto& thread) { return !thread->fibre.done(); });
}

// Every lane of the warp that can run does so, to its next collective. False where none could.
inline bool Block::take_turns(int warp) {
  const int first = warp * kWarp, lanes = end_of_warp(first) - first;
  const int offset = static_cast<int>(random_.below(static_cast<std::uint32_t>(lanes)));
  bool ran = false;
  for (int i = 0; i < lanes; ++i) {
    const int thread = order_[static_cast<std::size_t>(first + (i + offset) % lanes)];
    if (!can_run(thread)) continue;
    resume(thread);
    ran = true;
  }
  return ran;
}

inline void Block::resume(int thread) {
  current_ = thread;
  threadIdx = {static_cast<unsigned>(thread)};
  at(thread).fibre.resume();
  if (at(thread).fibre.done()) refuse_early_exit(thread);
}

inline std::uint64_t Block::meet(const Meeting& meeting) {
  const int thread = current_;
  Thread& me = at(thread);
  me.meeting = meeting;
  me.waiting = true;
  if (meeting.what == Meeting::What::sync_threads) {
    refuse_misused_barrier(thread);
    if (all_wait(0, count_, ~0U)) {
      shared_.pass_block_barrier();
      release(0, count_, ~0U);
    }
  } else {
    refuse_divergence(thread);
    const int first = first_of_warp(thread), end = end_of_warp(thread);
    if (all_wait(first, end, meeting.mask)) {
      if (meeting.what == Meeting::What::sync_warp && meeting.mask == ~0U) shared_.pass_warp_barrier(thread / kWarp);
      release(first, end, meeting.mask);
    }
  }
  if (me.waiting) me.fibre.pause();
  return me.result;
}

inline bool Block::all_wait(int first, int end, std::uint32_t mask) const {
  for (int t = first; t < end; ++t)
    if ((mask >> (t % kWarp) & 1U) != 0 && !at(t).waiting) return false;
  return true;
}

inline void Block::release(int first, int end, std::uint32_t mask) {
  for (int t = first; t < end; ++t)
    if ((mask >> (t % kWarp) & 1U) != 0) at(t).result = result_of(t);
  for (int t = first; t < end; ++t)
    if ((mask >> (t % kWarp) & 1U) != 0) at(t).waiting = false;
}

inline std::uint64_t Block::result_of(int thread) const {
  const Meeting& meeting = at(thread).meeting;
  const int first = first_of_warp(thread), lane = thread % kWarp;
  const auto takes_part = [&](int other) { return (meeting.mask >> other & 1U) != 0; };
  if (meeting.what == Meeting::What::ballot) {
    std::uint64_t votes = 0;
    for (int other = 0; other < kWarp; ++other)
      if (takes_part(other) && at(first + other).meeting.value != 0) votes |= std::uint64_t{1} << other;
    return votes;
  }
  if (meeting.what != Meeting::What::shuffle && meeting.what != Meeting::What::shuffle_xor) return 0;
  const int last = lane | (meeting.width - 1);  // of the lane's segment
  int source = meeting.what == Meeting::What::shuffle_xor
                   ? lane ^ meeting.argument
                   : (last - meeting.width + 1) | (meeting.argument & (meeting.width - 1));
  if (source > last) source = lane;  // beyond its segment a lane gets its own value
  if (!takes_part(source))
    throw Fault(FaultKind::divergence,
                sentence(who(thread), " reads lane ", source, ", which is not in the mask, in ", meeting.name()));
  return at(first + source).meeting.value;
}

// Every lane of the mask has to come, to the same place, with the same mask and width.
inline void Block::refuse_divergence(int thread) const {
  const Meeting& meeting = at(thread).meeting;
  const auto refuse = [&](const auto&... why) {
    throw Fault(FaultKind::divergence, sentence(who(thread), " is in ", meeting.name(), why...));
  };
  if ((meeting.mask >> (thread % kWarp) & 1U) == 0) refuse(" and not in its mask");
  if (meeting.width < 1 || meeting.width > kWarp || (meeting.width & (meeting.width - 1)) != 0)
    refuse(" with a width of ", meeting.width);
  for (int lane = 0; lane < kWarp; ++lane) {
    if ((meeting.mask >> lane & 1U) == 0) continue;
    const int other = first_of_warp(thread) + lane;
    if (other >= count_ || at(other).fibre.done()) refuse(", lane ", lane, " of its mask is not there any more");
    if (at(other).waiting && !at(other).meeting.joins(meeting))
      refuse(", lane ", lane, " of its mask in ", at(other).meeting.name());
  }
}

inline void Block::refuse_misused_barrier(int thread) const {
  for (int other = 0; other < count_; ++other) {
    const bool gone = at(other).fibre.done();
    if (!gone && (!at(other).waiting || at(other).meeting.joins(at(thread).meeting))) continue;
    const bool in_warp = !gone && at(other).meeting.what != Meeting::What::sync_threads;
    if (in_warp && first_of_warp(other) != first_of_warp(thread)) continue;  // the other warp may still come
    throw Fault(in_warp ? FaultKind::divergence : FaultKind::barrier,
                sentence(who(thread), " is in ", at(thread).meeting.name(), ", ", who(other),
                         gone ? " has left the kernel" : " in " + at(other).meeting.name()));
  }
}

inline void Block::refuse_early_exit(int thread) const {
  for (int other = 0; other < count_; ++other) {
    const Meeting& meeting = at(other).meeting;
    if (!at(other).waiting) continue;
    const bool barrier = meeting.what == Meeting::What::sync_threads;
    const bool same_warp = first_of_warp(other) == first_of_warp(thread);
    if (!barrier && (!same_warp || (meeting.mask >> (thread % kWarp) & 1U) == 0)) continue;
    throw Fault(barrier ? FaultKind::barrier : FaultKind::divergence,
                sentence(who(thread), " has left the kernel, ", who(other), " waits for it in ", meeting.name()));
  }
}

inline void Block::refuse_deadlock(int turn) const {
  int left = -1;
  for (int t = 0; t < count_; ++t) {
    if (can_run(t) && turn <= patience_) return;
    if (!at(t).fibre.done()) left = t;
  }
  throw Fault(FaultKind::deadlock, sentence(who(left), " does not end, last seen in ", at(left).meeting.name()));
}

}  // namespace routesig::simt
