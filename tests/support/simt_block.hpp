// One block of threads of the emulator in simt.hpp: who runs, who waits for whom, and what cannot end well.
#pragma once

#include <algorithm>
#include <bit>
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
           site.column() == other.site.column() &&
           (site.file_name() == other.site.file_name() || std::strcmp(site.file_name(), other.site.file_name()) == 0);
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
    Meeting meeting{};
    std::uint64_t result = 0;
  };
  struct Warp {  // a bit for each lane
    std::uint32_t waiting = 0;
    std::uint32_t gone = 0;  // has left the kernel, or never was
  };

  bool take_turns(int warp);
  void resume(int thread);
  void meet_warp(int thread);
  void meet_block(int thread);
  void release(int warp, std::uint32_t lanes);
  [[nodiscard]] std::uint64_t result_of(int thread) const;
  [[nodiscard]] bool any_left() const;
  void refuse_early_exit(int thread) const;
  void refuse_deadlock(int turn) const;
  [[noreturn]] void refuse(FaultKind kind, int thread, const std::string& why) const;

  [[nodiscard]] Thread& at(int thread) const { return *threads_[static_cast<std::size_t>(thread)]; }
  [[nodiscard]] Warp& warp_of(int thread) { return warps_[static_cast<std::size_t>(thread / kWarp)]; }
  [[nodiscard]] const Warp& warp_of(int thread) const { return warps_[static_cast<std::size_t>(thread / kWarp)]; }
  [[nodiscard]] static std::uint32_t bit(int thread) { return std::uint32_t{1} << (thread % kWarp); }
  [[nodiscard]] static int first_lane(std::uint32_t lanes) { return std::countr_zero(lanes); }
  [[nodiscard]] bool can_run(int thread) const {
    return ((warp_of(thread).waiting | warp_of(thread).gone) & bit(thread)) == 0;
  }
  [[nodiscard]] bool at_barrier(int thread) const { return at(thread).meeting.what == Meeting::What::sync_threads; }
  [[nodiscard]] std::string who(int thread) const {
    return sentence("block ", index_, ", warp ", thread / kWarp, ", lane ", thread % kWarp);
  }

  int count_, patience_;
  std::uint64_t seed_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<Warp> warps_;
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
      warps_(static_cast<std::size_t>((launch.threads + kWarp - 1) / kWarp)),
      order_(warps_.size() * kWarp),
      shared_(launch.shared_words),
      random_(launch.seed) {
  for (int t = 0; t < count_; ++t) threads_.push_back(std::make_unique<Thread>());
  std::iota(order_.begin(), order_.end(), 0);
}

inline void Block::run(std::uint64_t index, const std::function<void()>& body) {
  index_ = index;
  random_ = Random(seed_, index);
  shared_.forget();
  for (const auto& thread : threads_) thread->fibre.start(body);
  for (Warp& warp : warps_) warp = {};
  if (count_ % kWarp != 0) warps_.back().gone = ~0U << (count_ % kWarp);
  for (std::size_t first = 0; first < order_.size(); first += kWarp)
    random_.shuffle(std::span(order_).subspan(first, kWarp));
  for (int turn = 0; any_left(); ++turn) {
    const bool ran = take_turns(static_cast<int>(random_.below(static_cast<std::uint32_t>(warps_.size()))));
    if (!ran || turn > patience_) refuse_deadlock(turn);
  }
}

inline bool Block::any_left() const {
  return std::ranges::any_of(warps_, [](const Warp& warp) { return warp.gone != ~0U; });
}

// Every lane of the warp that can run does so, to its next collective. False where none could.
inline bool Block::take_turns(int warp) {
  const int first = warp * kWarp, offset = static_cast<int>(random_.below(kWarp));
  bool ran = false;
  for (int i = 0; i < kWarp; ++i) {
    const int thread = order_[static_cast<std::size_t>(first + (i + offset) % kWarp)];
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
  if (!at(thread).fibre.done()) return;
  warp_of(thread).gone |= bit(thread);
  refuse_early_exit(thread);
}

inline std::uint64_t Block::meet(const Meeting& meeting) {
  const int thread = current_;
  at(thread).meeting = meeting;
  if (meeting.what == Meeting::What::sync_threads)
    meet_block(thread);
  else
    meet_warp(thread);
  if (!can_run(thread)) at(thread).fibre.pause();
  return at(thread).result;
}

// Every lane of the mask has to come, to the same place, with the same mask and width. Those that wait agree already.
inline void Block::meet_warp(int thread) {
  const Meeting& meeting = at(thread).meeting;
  Warp& warp = warp_of(thread);
  const int width = meeting.width;
  if ((meeting.mask & bit(thread)) == 0) refuse(FaultKind::divergence, thread, " and not in its mask");
  if (width < 1 || width > kWarp || !std::has_single_bit(static_cast<unsigned>(width)))
    refuse(FaultKind::divergence, thread, sentence(" with a width of ", width));
  if ((meeting.mask & warp.gone) != 0)
    refuse(FaultKind::divergence, thread,
           sentence(", lane ", first_lane(meeting.mask & warp.gone), " of its mask is not there any more"));
  if (const std::uint32_t there = meeting.mask & warp.waiting; there != 0) {
    const Meeting& theirs = at(thread / kWarp * kWarp + first_lane(there)).meeting;
    if (!theirs.joins(meeting))
      refuse(FaultKind::divergence, thread, sentence(", lane ", first_lane(there), " of its mask in ", theirs.name()));
  }
  warp.waiting |= bit(thread);
  if ((warp.waiting & meeting.mask) != meeting.mask) return;
  if (meeting.what == Meeting::What::sync_warp && meeting.mask == ~0U) shared_.pass_warp_barrier(thread / kWarp);
  release(thread / kWarp, meeting.mask);
}

inline void Block::meet_block(int thread) {
  bool complete = true;
  warp_of(thread).waiting |= bit(thread);
  for (std::size_t w = 0; w < warps_.size(); ++w) {
    const Warp& warp = warps_[w];
    const int first = static_cast<int>(w) * kWarp;
    const std::uint32_t left = first + kWarp > count_ ? warp.gone & ~(~0U << (count_ % kWarp)) : warp.gone;
    if (left != 0)
      refuse(FaultKind::barrier, thread, sentence(", ", who(first + first_lane(left)), " has left the kernel"));
    complete = complete && (warp.waiting | warp.gone) == ~0U;
    if (warp.waiting == 0) continue;
    const int other = first + first_lane(warp.waiting);
    const bool same_warp = other / kWarp == thread / kWarp;
    if (!at_barrier(other) && !same_warp) {
      complete = false;  // it may still come
    } else if (!at(other).meeting.joins(at(thread).meeting)) {
      refuse(at_barrier(other) ? FaultKind::barrier : FaultKind::divergence, thread,
             sentence(", ", who(other), " in ", at(other).meeting.name()));
    }
  }
  if (!complete) return;
  shared_.pass_block_barrier();
  for (std::size_t w = 0; w < warps_.size(); ++w) release(static_cast<int>(w), warps_[w].waiting);
}

inline void Block::release(int warp, std::uint32_t lanes) {
  for (std::uint32_t left = lanes; left != 0; left &= left - 1) {
    const int thread = warp * kWarp + first_lane(left);
    at(thread).result = result_of(thread);
  }
  warps_[static_cast<std::size_t>(warp)].waiting &= ~lanes;
}

inline std::uint64_t Block::result_of(int thread) const {
  const Meeting& meeting = at(thread).meeting;
  const int first = thread / kWarp * kWarp, lane = thread % kWarp;
  if (meeting.what == Meeting::What::ballot) {
    std::uint64_t votes = 0;
    for (std::uint32_t left = meeting.mask; left != 0; left &= left - 1)
      votes |= at(first + first_lane(left)).meeting.value << first_lane(left);
    return votes;
  }
  if (meeting.what != Meeting::What::shuffle && meeting.what != Meeting::What::shuffle_xor) return 0;
  const int last = lane | (meeting.width - 1);  // of the lane's segment
  int source = meeting.what == Meeting::What::shuffle_xor
                   ? lane ^ meeting.argument
                   : (last - meeting.width + 1) | (meeting.argument & (meeting.width - 1));
  if (source > last) source = lane;  // beyond its segment a lane gets its own value
  if ((meeting.mask & bit(source)) == 0)
    refuse(FaultKind::divergence, thread, sentence(" and reads lane ", source, ", which is not in the mask"));
  return at(first + source).meeting.value;
}

inline void Block::refuse_early_exit(int thread) const {
  for (int other = 0; other < count_; ++other) {
    if ((warp_of(other).waiting & bit(other)) == 0) continue;
    const bool same_warp = other / kWarp == thread / kWarp;
    if (!at_barrier(other) && (!same_warp || (at(other).meeting.mask & bit(thread)) == 0)) continue;
    refuse(at_barrier(other) ? FaultKind::barrier : FaultKind::divergence, other,
           sentence(", ", who(thread), " has left the kernel"));
  }
}

inline void Block::refuse_deadlock(int turn) const {
  int left = -1;
  for (int t = 0; t < count_; ++t) {
    if (can_run(t) && turn <= patience_) return;
    if ((warp_of(t).gone & bit(t)) == 0) left = t;
  }
  throw Fault(FaultKind::deadlock, sentence(who(left), " does not end, last seen in ", at(left).meeting.name()));
}

inline void Block::refuse(FaultKind kind, int thread, const std::string& why) const {
  throw Fault(kind, sentence(who(thread), " is in ", at(thread).meeting.name(), why));
}

}  // namespace routesig::simt
