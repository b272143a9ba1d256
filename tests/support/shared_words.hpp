// Shared memory of a block that knows who touched each word last, and says so where two threads race for it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "routesig/error.hpp"

namespace routesig::simt {

inline constexpr int kWarp = 32;

enum class FaultKind : std::uint8_t { divergence, deadlock, barrier, race, unwritten, out_of_range };

// What a kernel did that has no defined result on a GPU.
class Fault : public std::runtime_error {
 public:
  Fault(FaultKind kind, const std::string& what) : std::runtime_error(what), kind_(kind) {}
  [[nodiscard]] FaultKind kind() const noexcept { return kind_; }

 private:
  FaultKind kind_;
};

inline std::string text(const std::source_location& site) {
  const std::string_view file = site.file_name();
  return sentence(file.substr(file.rfind('/') + 1), ":", site.line());
}

// Two accesses of a word are ordered by a barrier of the block between them or, within a warp, by __syncwarp. All
// others race, unless both only read or both are atomic.
class SharedWords {
 public:
  explicit SharedWords(int words) : words_(static_cast<std::size_t>(words)) {}

  [[nodiscard]] int size() const noexcept { return static_cast<int>(words_.size()); }

  std::uint32_t load(int index, int thread, const std::source_location& site) {
    Word& word = touched(index, "reads", thread, site);
    refuse_race(word.writes, index, "reads", "written", thread, site);
    refuse_race(word.atomics, index, "reads", "added to", thread, site);
    note(word.reads, thread);
    return word.value;
  }

  void store(int index, std::uint32_t value, int thread, const std::source_location& site) {
    Word& word = at(index, thread, site);
    refuse_race(word.reads, index, "writes", "read", thread, site);
    refuse_race(word.writes, index, "writes", "written", thread, site);
    refuse_race(word.atomics, index, "writes", "added to", thread, site);
    note(word.writes, thread);
    word.value = value;
    word.written = true;
  }

  void add(int index, std::uint32_t value, int thread, const std::source_location& site) {
    Word& word = touched(index, "adds to", thread, site);
    refuse_race(word.reads, index, "adds to", "read", thread, site);
    refuse_race(word.writes, index, "adds to", "written", thread, site);
    note(word.atomics, thread);
    word.value += value;
  }

  // A new block begins: nothing has been written.
  void forget() { std::ranges::fill(words_, Word{}); }
  void pass_block_barrier() { ++block_epoch_; }
  void pass_warp_barrier(int warp) { ++warp_epochs_[static_cast<std::size_t>(warp)]; }

 private:
  // The accesses of one kind since the last barrier of the block: by whom, and whether by more than one.
  struct Accesses {
    std::uint32_t block_epoch = 0;
    std::uint32_t warp_epoch = 0;
    int thread = -1;
    bool several_threads = false;  // of the warp, in its epoch
    bool several_warps = false;
  };
  struct Word {
    std::uint32_t value = 0xDEAD'BEEFU;
    bool written = false;
    Accesses reads, writes, atomics;
  };
  [[nodiscard]] std::uint32_t warp_epoch(int thread) const {
    return warp_epochs_[static_cast<std::size_t>(thread / kWarp)];
  }

  Word& at(int index, int thread, const std::source_location& site) {
    if (index < 0 || index >= size())
      throw Fault(FaultKind::out_of_range,
                  sentence("thread ", thread, " touches shared word ", index, " of ", size(), " at ", text(site)));
    return words_[static_cast<std::size_t>(index)];
  }

  Word& touched(int index, const char* does, int thread, const std::source_location& site) {
    Word& word = at(index, thread, site);
    if (!word.written)
      throw Fault(FaultKind::unwritten,
                  sentence("thread ", thread, " ", does, " shared word ", index, ", never written, at ", text(site)));
    return word;
  }

  void refuse_race(const Accesses& seen, int index, const char* does, const char* was, int thread,
                   const std::source_location& site) const {
    if (seen.thread < 0 || seen.block_epoch != block_epoch_) return;
    const bool same_warp = !seen.several_warps && seen.thread / kWarp == thread / kWarp;
    const bool other = seen.several_threads || seen.thread != thread;
    if (same_warp && (seen.warp_epoch != warp_epoch(thread) || !other)) return;
    throw Fault(FaultKind::race, sentence("thread ", thread, " ", does, " shared word ", index, " at ", text(site),
                                          ", ", was, " by thread ", seen.thread, " without a barrier between"));
  }

  void note(Accesses& seen, int thread) const {
    const std::uint32_t epoch = warp_epoch(thread);
    if (seen.thread < 0 || seen.block_epoch != block_epoch_) {
      seen = {.block_epoch = block_epoch_, .warp_epoch = epoch, .thread = thread};
    } else if (seen.thread / kWarp != thread / kWarp) {
      seen.several_warps = true;
    } else if (seen.warp_epoch != epoch) {
      seen = {.block_epoch = block_epoch_, .warp_epoch = epoch, .thread = thread, .several_warps = seen.several_warps};
    } else {
      seen.several_threads = seen.several_threads || seen.thread != thread;
    }
  }

  std::vector<Word> words_;
  std::vector<std::uint32_t> warp_epochs_ = std::vector<std::uint32_t>(32);  // a block has at most 32 warps
  std::uint32_t block_epoch_ = 0;
};

}  // namespace routesig::simt
